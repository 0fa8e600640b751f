"""Losses against numpy loops and finite differences; metrics against literals, HydroErr and independent loops."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import HydroErr
import keras
import numpy as np
import pandas as pd
import pytest
from keras import ops

import cn_loss
from cn_loss import METRICS, elastic_nse_loss, nse_loss, root_nse_loss, score, summarise, why_nan

ROOT = Path(cn_loss.__file__).parent
NAN = float("nan")

# Losses


def tensor(values, dtype="float64"):
    return ops.convert_to_tensor(np.asarray(values), dtype=dtype)


def example(seed=0, shape=(3, 7, 2), missing=0.3):
    rng = np.random.default_rng(seed)
    y_true, y_pred = rng.normal(size=shape), rng.normal(size=shape)
    y_true[rng.random(shape) < missing] = NAN
    y_true[0, 1, 0], y_true[0, 2, 0] = np.inf, -np.inf
    return y_true, y_pred, rng.uniform(0.1, 2, size=(shape[0], shape[2]))


def nse_loss_loop(y_true, y_pred, basin_std, epsilon):
    total, count = 0.0, 0
    for basin, day, target in np.ndindex(*y_true.shape):
        if math.isfinite(y_true[basin, day, target]):
            error = y_pred[basin, day, target] - y_true[basin, day, target]
            total += error**2 / (basin_std[basin, target] + epsilon) ** 2
            count += 1
    return total / count if count else 0.0


def test_root_nse_loss_literal():
    # Roots of 0.01 + 0.01 * (0, 99, 24 and 3): 0.1, 1, 0.5, 0.2; spreads (sqrt(0.16) + sqrt(0.1)) / 2 and without std.
    small = 0.01
    y_true = tensor([[[0.0], [0.99]], [[0.24], [NAN]]])
    y_pred = tensor([[[0.99], [-7.0]], [[0.03], [5.0]]])
    wide, narrow = (0.4 + math.sqrt(0.1)) / 2, math.sqrt(0.1) / 2
    expected = (2 * 0.9**2 / wide**2 + 0.3**2 / narrow**2) / 3
    value = root_nse_loss(y_true, y_pred, tensor([[0.16], [NAN]]), epsilon=10 * small)
    assert float(value) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("seed", "epsilon"), [(0, 0.1), (1, 0.5)])
def test_losses_equal_numpy_loops(seed, epsilon):
    y_true, y_pred, std = example(seed)
    expected = nse_loss_loop(y_true, y_pred, std, epsilon)
    assert float(nse_loss(tensor(y_true), tensor(y_pred), tensor(std), epsilon)) == pytest.approx(expected, rel=1e-12)
    weights = np.random.default_rng(seed).normal(size=(4, 2))
    penalty = 0.02 * sum(0.3 * abs(w) + 0.35 * w * w for w in weights.ravel())
    got = elastic_nse_loss(*map(tensor, (y_true, y_pred, std, weights)), alpha=0.02, rho=0.3, epsilon=epsilon)
    assert float(got) == pytest.approx(expected + penalty, rel=1e-12)


def test_loss_is_zero_when_nothing_is_observed_and_a_spread_that_is_not_known_counts_as_zero():
    assert float(nse_loss(tensor([[[NAN], [NAN]]]), tensor([[[1.0], [1.0]]]), tensor([[1.0]]))) == 0
    y_true, y_pred = tensor([[[0.0], [0.0]], [[NAN], [NAN]]]), tensor(np.ones((2, 2, 1)))
    assert float(nse_loss(y_true, y_pred, tensor([[0.9], [NAN]]))) == pytest.approx(1.0)
    assert float(nse_loss(y_true, y_pred, tensor([[NAN], [NAN]]))) == pytest.approx(100.0)


def test_half_precision_predictions_are_summed_in_float32():
    value = nse_loss(tensor(np.zeros((1, 50, 1))), tensor(np.full((1, 50, 1), 100.0), "float16"), tensor([[0.9]]))
    assert keras.backend.standardize_dtype(value.dtype) == "float32"
    assert float(value) == pytest.approx(10000, rel=1e-6)


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        (((2, 3), (2, 3), (2, 1)), r"\(2, 3\) and \(2, 3\)"),
        (((2, 3, 1), (2, 3, 2), (2, 1)), r"\(2, 3, 2\)"),
        (((2, 3, 2), (2, 3, 2), (2, 1)), r"\(2, 2\).*Received: \(2, 1\)"),
        (((2, 3, 1), (2, 3, 1), (2,)), "basin_std"),
    ],
)
def test_losses_refuse_shapes_that_would_broadcast(shapes, words):
    with pytest.raises(ValueError, match=words):
        nse_loss(*(tensor(np.ones(shape)) for shape in shapes))


@pytest.mark.parametrize(("alpha", "rho"), [(NAN, 0.15), (1, 1.5), (1, -0.1)])
def test_elastic_net_refuses_impossible_settings(alpha, rho):
    with pytest.raises(ValueError, match="Received: (nan|1.5|-0.1)"):
        elastic_nse_loss(*map(tensor, example()), tensor([[1.0]]), alpha, rho)


tensorflow_only = pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="takes gradients by GradientTape")


def gradient(function, values):
    import tensorflow as tf

    variable = tf.Variable(values, dtype=tf.float64)
    with tf.GradientTape() as tape:
        loss = function(variable)
    return tape.gradient(loss, variable).numpy()


def finite_differences(function, values, step=1e-6):
    slopes = np.zeros_like(values)
    for place in np.ndindex(*values.shape):
        up, down = values.copy(), values.copy()
        up[place] += step
        down[place] -= step
        slopes[place] = (float(function(tensor(up))) - float(function(tensor(down)))) / (2 * step)
    return slopes


@tensorflow_only
@pytest.mark.parametrize("loss", ["nse", "root", "elastic"])
def test_gradients_equal_finite_differences(loss):
    y_true, y_pred, std = example(3, shape=(2, 5, 2))
    function = {
        "nse": lambda p: nse_loss(tensor(y_true), p, tensor(std)),
        "root": lambda p: root_nse_loss(tensor(abs(y_true)), p + 3.0, tensor(std)),
        "elastic": lambda p: elastic_nse_loss(tensor(y_true), p, tensor(std), p[:, 0], alpha=0.3, rho=0.4),
    }[loss]
    slopes = gradient(function, y_pred)
    np.testing.assert_allclose(slopes, finite_differences(function, y_pred), rtol=1e-6, atol=1e-8)
    if loss != "elastic":
        assert (slopes[~np.isfinite(y_true)] == 0).all() and (slopes[np.isfinite(y_true)] != 0).all()


@tensorflow_only
@pytest.mark.parametrize("prediction", [1.0, NAN, np.inf])
def test_masked_days_leave_no_nan_in_the_gradient(prediction):
    y_true, y_pred = np.array([[[1.0], [NAN], [np.inf]]]), np.array([[[3.0], [prediction], [prediction]]])
    slopes = gradient(lambda p: nse_loss(tensor(y_true), p, tensor([[0.9]])), y_pred)
    np.testing.assert_allclose(slopes.ravel(), [4.0, 0, 0], rtol=1e-12)
    for loss in (nse_loss, root_nse_loss):
        nothing = gradient(lambda p, loss=loss: loss(tensor(np.full((1, 3, 1), NAN)), p, tensor([[0.9]])), y_pred)
        assert (nothing == 0).all()
    # The slope of the root of a dry day is finite, and a flow below zero has none.
    dry = gradient(lambda p: root_nse_loss(tensor([[[1.0], [1.0]]]), p, tensor([[0.9]])), np.array([[[0.0], [-1.0]]]))
    assert -100 < dry[0, 0, 0] < -1 and dry[0, 1, 0] == 0


def test_losses_are_the_same_on_jax():
    y_true, y_pred, std = (np.round(a, 3) for a in example(1))
    given = json.dumps([a.tolist() for a in (y_true, y_pred, std)])
    code = """
import json, sys
import jax, numpy as np
from cn_loss import elastic_nse_loss
y_true, y_pred, std = (np.array(a, "float32") for a in json.loads(sys.argv[1]))
loss = lambda p: elastic_nse_loss(y_true, p, std, np.array([[3.0], [-1.0]], "float32"), alpha=0.1)
value, slopes = jax.jit(jax.value_and_grad(loss))(y_pred)
print(json.dumps([float(value), np.asarray(slopes).tolist()]))
"""
    command, environment = [sys.executable, "-c", code, given], os.environ | {"KERAS_BACKEND": "jax"}
    done = subprocess.run(command, cwd=ROOT, env=environment | {"JAX_PLATFORMS": "cpu"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    value, slopes = json.loads(done.stdout.splitlines()[-1])
    assert value == pytest.approx(nse_loss_loop(y_true, y_pred, std, 0.1) + 0.485, rel=1e-5)
    error = np.where(np.isfinite(y_true), y_pred - y_true, 0)
    expected = 2 * error / (std[:, None, :] + 0.1) ** 2 / np.isfinite(y_true).sum()
    np.testing.assert_allclose(slopes, expected, rtol=1e-4, atol=1e-7)


# Metrics, each written a second time from its source, with loops and lists


def loop_log_nse(o, s):
    o, s = [max(v, 0.0) for v in o], [max(v, 0.0) for v in s]
    epsilon = 0.01 * math.fsum(o) / len(o)
    o, s = (np.array([math.log(v + epsilon) for v in x]) for x in (o, s))
    return HydroErr.nse(s, o)


def loop_fhv(o, s):
    top = round(0.02 * len(o))
    o, s = sorted(o, reverse=True)[:top], sorted(s, reverse=True)[:top]
    return 100 * math.fsum(b - a for a, b in zip(o, s, strict=True)) / math.fsum(o)


def loop_flv(o, s):
    def volume(x):
        logs = [math.log(v if v > 1e-6 else 1e-6) for v in sorted(x, reverse=True)[-round(0.3 * len(x)) :]]
        return math.fsum(v - min(logs) for v in logs)

    return -100 * (volume(s) - volume(o)) / volume(o)


def loop_fms(o, s):
    def slope(x):
        x = [v if v > 1e-6 else 1e-6 for v in sorted(x, reverse=True)]
        return math.log(x[round(0.2 * len(x))]) - math.log(x[round(0.7 * len(x))])

    return 100 * (slope(s) - slope(o)) / slope(o)


ORACLES = {
    "NSE": lambda o, s: HydroErr.nse(s, o),
    "KGE": lambda o, s: HydroErr.kge_2009(s, o),
    "KGE2012": lambda o, s: HydroErr.kge_2012(s, o),
    "MSE": lambda o, s: HydroErr.mse(s, o),
    "RMSE": lambda o, s: HydroErr.rmse(s, o),
    "r": lambda o, s: HydroErr.pearson_r(s, o),
    "alpha-NSE": lambda o, s: np.std(s) / np.std(o),
    "beta-NSE": lambda o, s: (np.mean(s) - np.mean(o)) / np.std(o),
    "log-NSE": loop_log_nse,
    "PBIAS": lambda o, s: 100 * (math.fsum(s) - math.fsum(o)) / math.fsum(o),
    "FHV": loop_fhv,
    "FLV": loop_flv,
    "FMS": loop_fms,
}


def random_pair(rng):
    """Skewed flows with dry days, some negative simulated values, NaN and infinities in both."""
    days = int(rng.integers(60, 200))
    observed = rng.gamma(0.7, 2.0, days) * (rng.random(days) > 0.1)
    simulated = observed * rng.lognormal(0, 0.4, days) + rng.normal(0, 0.1, days)
    for series in (observed, simulated):
        series[rng.random(days) < 0.05] = NAN
        series[rng.random(days) < 0.01] = np.inf
    return observed, simulated


def test_metrics_equal_independent_oracles_on_2000_random_series():
    assert list(METRICS) == list(ORACLES)
    rng = np.random.default_rng(7)
    for _ in range(2000):
        observed, simulated = random_pair(rng)
        valid = np.isfinite(observed) & np.isfinite(simulated)
        for name, oracle in ORACLES.items():
            got, expected = METRICS[name](observed, simulated), oracle(observed[valid], simulated[valid])
            assert got == pytest.approx(expected, rel=1e-9, abs=1e-9), name


def test_signs_and_literals_of_the_signatures():
    flow = np.exp(np.arange(100) / 10)  # log-linear flow duration curve
    assert METRICS["PBIAS"](flow, 1.1 * flow) == pytest.approx(10)  # positive: too much water
    assert METRICS["beta-NSE"]([0.0, 2.0], [1.0, 3.0]) == pytest.approx(1)
    peaks = flow.copy()
    peaks[-2:] *= 1.5
    assert METRICS["FHV"](flow, peaks) == pytest.approx(50)  # positive: peaks too high
    assert METRICS["FHV"](flow, flow[::-1]) == 0  # each series is sorted on its own
    # Squared flows double every difference of logarithms: steeper, and low flows that rise further.
    assert METRICS["FMS"](flow, flow**2) == pytest.approx(100)
    assert METRICS["FLV"](flow, flow**2) == pytest.approx(-100)
    # Level alone is not seen by FLV and FMS.
    assert METRICS["FLV"](flow, 2 * flow) == pytest.approx(0, abs=1e-9)
    assert METRICS["FMS"](flow, 2 * flow) == pytest.approx(0, abs=1e-9)
    # epsilon = 0.02: logs of 0.02, 2.02, 4.02 against logs of 0.02 (negative counts as 0), 2.02, 2.02.
    logs = np.log([0.02, 2.02, 4.02])
    expected = 1 - (logs[2] - logs[1]) ** 2 / np.sum((logs - logs.mean()) ** 2)
    assert METRICS["log-NSE"]([0.0, 2.0, 4.0], [-5.0, 2.0, 2.0]) == pytest.approx(expected)


RAMP = list(np.linspace(0.5, 9.5, 60))
UNDEFINED = [
    (list(METRICS), [NAN, 1.0], [1.0, NAN], True),
    (list(METRICS), [], [], True),
    # The variance of a constant is a rounding error above zero.
    (["NSE", "KGE", "KGE2012", "r", "alpha-NSE", "beta-NSE", "log-NSE", "FLV", "FMS"], [0.1] * 60, RAMP, False),
    (["NSE", "KGE", "r", "FLV", "FMS", "FHV"], [1.0], [2.0], False),
    (["KGE", "KGE2012", "r"], RAMP, [0.1] * 60, False),
    (["KGE", "KGE2012", "PBIAS"], [0.1, 0.2, -0.3] * 20, RAMP, False),  # a mean that is zero but for rounding
    (["KGE", "KGE2012", "PBIAS", "FHV", "log-NSE"], [0.0] * 60, RAMP, False),
    (["KGE2012"], RAMP, [0.1, 0.2, -0.3] * 20, False),
    (["log-NSE", "FHV"], [-1.0, -2.0, 0.0] * 20, RAMP, False),
    (["FHV"], list(-np.array(RAMP)), RAMP, False),
    (["FHV"], RAMP[:25], RAMP[:25], False),  # 2 % of these are less than a day
    (["FLV"], [0.0] * 30 + RAMP[:30], RAMP, False),
    (["FMS"], [0.0] * 10 + [1.0] * 40 + [2.0] * 10, RAMP, False),
    (["NSE", "MSE", "RMSE"], [1e200, 2e200], [3e300, 1e300], False),
]


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("names", "observed", "simulated", "empty"), UNDEFINED)
def test_undefined_metrics_are_nan_with_a_reason_and_no_warning(names, observed, simulated, empty):
    reason = "no day has both an observation and a simulation" if empty else "it is not defined for these numbers"
    for name in names:
        assert math.isnan(METRICS[name](observed, simulated)), name
        assert why_nan(observed, simulated, name) == reason, name


@pytest.mark.filterwarnings("error")
def test_metrics_that_stay_defined():
    zero = [0.0] * 60
    assert METRICS["MSE"](zero, [2.0] * 60) == 4
    assert METRICS["alpha-NSE"](RAMP, [3.0] * 60) == 0
    assert METRICS["FHV"](RAMP[:26], RAMP[:26]) == 0
    assert METRICS["FMS"]([1.0, 2.0], [1.0, 4.0]) == pytest.approx(100)
    assert METRICS["FLV"](RAMP, zero) == pytest.approx(100)  # no rise at all
    assert why_nan(RAMP, RAMP) == ""
    small = 1e-8 * np.array(RAMP)  # never above 1, and no mean that is zero
    assert METRICS["KGE2012"](small, small) == METRICS["log-NSE"](small, small) == pytest.approx(1)
    assert METRICS["FHV"](small, 2 * small) == pytest.approx(100)


@pytest.mark.parametrize("name", METRICS)
def test_metrics_refuse_shapes_that_do_not_fit(name):
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        METRICS[name]([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"\(1, 2\)"):
        METRICS[name]([[1.0, 2.0]], [[1.0, 2.0]])
    assert "doi:10." in METRICS[name].__doc__ or name == "RMSE"


def test_score_and_summarise():
    flow = np.array(RAMP)
    observed = np.stack([flow, flow, np.full(60, NAN), flow])
    simulated = np.stack([flow, flow + 1, flow, -flow])
    table = score(pd.DataFrame(observed), simulated, ("NSE", "PBIAS"), index=["01", "02", "03", "04"])
    assert list(table.columns) == ["NSE", "PBIAS"] and list(table.index) == ["01", "02", "03", "04"]
    shifted = 1 - 1 / flow.var()
    mirrored = 1 - 4 * np.mean(flow**2) / flow.var()
    np.testing.assert_allclose(table["NSE"], [1, shifted, NAN, mirrored], rtol=1e-12)
    np.testing.assert_allclose(table["PBIAS"], [0, 20, NAN, -200], rtol=1e-12, atol=1e-12)
    summary = summarise(table)
    assert list(summary.columns) == ["median", "mean", "p10", "p90", "below_zero", "basins"]
    # Three values, so the 10th percentile lies a fifth of the way from the lowest to the middle one.
    np.testing.assert_allclose(summary.loc["PBIAS"], [0, -60, -160, 16, 1, 3], rtol=1e-12, atol=1e-12)
    tenths = mirrored + (shifted - mirrored) / 5, shifted + (1 - shifted) * 0.8
    np.testing.assert_allclose(summary.loc["NSE"], [shifted, (1 + shifted + mirrored) / 3, *tenths, 1, 3], rtol=1e-12)


@pytest.mark.filterwarnings("error")
def test_score_of_nothing():
    empty = summarise(score(np.full((2, 5), NAN), np.ones((2, 5))))
    assert list(empty.index) == list(METRICS) and (empty["basins"] == 0).all() and empty["median"].isna().all()
    none = score(np.empty((0, 5)), np.empty((0, 5)), ["NSE"])
    assert none.shape == (0, 1) and summarise(none).loc["NSE", "basins"] == 0


def test_score_refuses_what_does_not_fit():
    two = np.ones((2, 5))
    with pytest.raises(ValueError, match=r"\(2, 5\) and \(2, 4\)"):
        score(two, two[:, :4])
    with pytest.raises(ValueError, match=r"\(5,\)"):
        score(two[0], two[0])
    for ask in (lambda: score(two, two, ["NES"]), lambda: why_nan(two[0], two[0], "NES")):
        with pytest.raises(ValueError, match="'NES'; known are NSE, KGE"):
            ask()
