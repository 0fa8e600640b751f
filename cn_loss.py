"""Losses that train the LSTM and its probe, and the metrics that score them.

The losses are written in `keras.ops` (TensorFlow and JAX), the metrics are numpy functions `metric(observed, simulated)
-> float` on plain one-dimensional arrays. Both work on values in the field's units:

    from cn_loss import METRICS, nse, score, summarise
    nse([1.0, 2.0, 4.0], [1.0, 2.5, 3.5])
    summarise(score(observed, simulated, ["NSE", "KGE"]))  # observed, simulated: (basin, day)
"""

import functools

import numpy as np
import pandas as pd

from writing.messages import quiet_start

with quiet_start():
    import keras
    from keras import ops

# Losses


def nse_loss(y_true, y_pred, basin_std, epsilon=0.1):
    """Squared error over the basin's own spread, `sum(((y_pred - y_true) / (basin_std + epsilon))^2) / number valid`.

    Every basin counts alike, however wet it is, as in the Nash-Sutcliffe efficiency (Kratzert et al. 2019, equation 2,
    doi:10.5194/hess-23-5089-2019). NaN and infinite targets are left out of the sum, the number and the gradient.

    Parameters
    ----------
    y_true, y_pred : tensor (batch, time, target)
        Targets (NaN where missing) and predictions, in one unit.
    basin_std : tensor (batch, target)
        Standard deviation of each basin's target over the training period, in that unit; 0 where it is not finite.
    epsilon : float, default 0.1
        Added to `basin_std`, in the same unit, so that a basin whose target hardly varies does not dominate the loss.

    Returns
    -------
    scalar tensor, float32 or wider; 0 when no target is valid. Raises ValueError if the shapes do not fit.
    """
    y_true, y_pred, basin_std = (ops.convert_to_tensor(values) for values in (y_true, y_pred, basin_std))
    if len(y_pred.shape) != 3 or not _same_shape(y_true.shape, y_pred.shape):
        received = f"{tuple(y_true.shape)} and {tuple(y_pred.shape)}"
        raise ValueError(f"y_true and y_pred must both have shape (batch, time, target). Received: {received}")
    expected = (y_pred.shape[0], y_pred.shape[2])
    if not _same_shape(basin_std.shape, expected):
        raise ValueError(f"basin_std must have shape (batch, target) = {expected}. Received: {tuple(basin_std.shape)}")
    dtype = keras.backend.result_type(y_pred.dtype, "float32")  # half precision would overflow in the sum
    y_true, y_pred, basin_std = (ops.cast(values, dtype) for values in (y_true, y_pred, basin_std))
    valid = ops.isfinite(y_true)
    # Both sides are masked before the difference: a NaN masked after it would still reach the gradient as 0 * NaN.
    error = ops.where(valid, y_pred, 0.0) - ops.where(valid, y_true, 0.0)
    spread = ops.where(ops.isfinite(basin_std), basin_std, 0.0) + epsilon
    count = ops.maximum(ops.sum(ops.cast(valid, dtype)), 1.0)
    return ops.sum(ops.square(error / ops.expand_dims(spread, 1))) / count


def root_nse_loss(y_true, y_pred, basin_std, epsilon=0.1):
    """`nse_loss` of the square root of streamflow, in which low and medium flows matter more.

    The root is taken of the flow plus a tenth of `epsilon`, so that its slope stays finite at zero; a negative
    prediction counts as zero. The spread is `(sqrt(basin_std) + sqrt(epsilon)) / 2`: where the flow is as large as its
    standard deviation, its root varies by half of that one's root.
    Arguments, return value and errors as for `nse_loss`; `y_true` must not be negative.
    """
    small = 0.1 * epsilon
    roots = ops.sqrt(y_true + small), ops.sqrt(ops.maximum(y_pred, 0.0) + small)
    return nse_loss(*roots, ops.sqrt(basin_std) / 2, epsilon=epsilon**0.5 / 2)


def elastic_nse_loss(y_true, y_pred, basin_std, weights, alpha, rho=0.15, epsilon=0.1):
    """`nse_loss` plus an elastic net on the probe's weights, never on its predictions.

    The penalty is `alpha * (rho * sum|w| + (1 - rho) / 2 * sum(w^2))` (Zou & Hastie 2005,
    doi:10.1111/j.1467-9868.2005.00503.x), which drives the probe to few cell states.

    Parameters
    ----------
    weights : tensor of any shape
        Kernel of the linear probe.
    alpha : float
        Strength of the penalty, 0 or more.
    rho : float, default 0.15
        Share of the absolute values in the penalty, 0 (ridge) to 1 (lasso).

    The other arguments, the return value and the errors are those of `nse_loss`.
    """
    if not alpha >= 0:
        raise ValueError(f"alpha must not be negative. Received: {alpha}")
    if not 0 <= rho <= 1:
        raise ValueError(f"rho must lie between 0 and 1. Received: {rho}")
    loss = nse_loss(y_true, y_pred, basin_std, epsilon)
    weights = ops.cast(ops.convert_to_tensor(weights), loss.dtype)
    return loss + alpha * (rho * ops.sum(ops.abs(weights)) + (1 - rho) / 2 * ops.sum(ops.square(weights)))


def _same_shape(first, second):
    """Whether two shapes are equal; None (unknown while a graph is traced) fits any number."""
    return len(first) == len(second) and all(None in (a, b) or a == b for a, b in zip(first, second, strict=True))


# Metrics

_FLOOR = 1e-6  # mm/day: flows below it, zero and negative ones too, take this value in FLV and FMS before the logarithm


def _on_valid_days(formula):
    """Make a metric of a formula: days that lack a value are left out, and what is not finite is NaN."""

    @functools.wraps(formula)
    def metric(observed, simulated):
        observed, simulated = _valid_pairs(observed, simulated)
        if observed.size == 0:
            return np.nan
        with np.errstate(all="ignore"):
            value = float(formula(observed, simulated))
        return value if np.isfinite(value) else np.nan

    return metric


def _valid_pairs(observed, simulated):
    """Both series as float64, days dropped where either is NaN or infinite."""
    observed, simulated = np.asarray(observed, dtype=np.float64), np.asarray(simulated, dtype=np.float64)
    if observed.ndim != 1 or observed.shape != simulated.shape:
        raise ValueError(f"Both series must be (day,). Received: {observed.shape} and {simulated.shape}")
    valid = np.isfinite(observed) & np.isfinite(simulated)
    return observed[valid], simulated[valid]


def _squares(series):
    """Sum of squared deviations from the mean; 0 for a constant, whose own mean may be a rounding error off."""
    return np.sum((series - series.mean()) ** 2) * (series.min() < series.max())


def _std(series):
    return np.sqrt(_squares(series) / series.size)


def _sum(series):
    """The sum; 0 where it is no more than a rounding error."""
    total = np.sum(series)
    return total * (abs(total) > 1e-12 * np.sum(abs(series)))


def _correlation(observed, simulated):
    products = np.sum((observed - observed.mean()) * (simulated - simulated.mean()))
    return products / np.sqrt(_squares(observed) * _squares(simulated))


def _high_flow(flow):
    """Sum over the highest 2 % of the days."""
    return np.sort(flow)[flow.size - round(0.02 * flow.size) :].sum()


def _low_flow(flow):
    """Sum over the lowest 30 % of the days of the logarithm of the flow minus that of the lowest."""
    logs = np.log(np.maximum(np.sort(flow)[: round(0.3 * flow.size)], _FLOOR))
    return np.sum(logs - logs.min(initial=np.inf))


def _middle_slope(flow):
    """Logarithm of the flow exceeded on 20 % of the days minus that of the flow exceeded on 70 %."""
    logs = np.log(np.maximum(np.sort(flow)[::-1], _FLOOR))
    return logs[round(0.2 * flow.size)] - logs[min(round(0.7 * flow.size), flow.size - 1)]


@_on_valid_days
def nse(observed, simulated):
    """Nash-Sutcliffe efficiency, `1 - sum((s - o)^2) / sum((o - mean(o))^2)`.

    From -inf to 1 (perfect), no unit; 0 is as good as the mean of the observations. Nothing is added to the
    denominator. Nash & Sutcliffe 1970, doi:10.1016/0022-1694(70)90255-6.

    Parameters
    ----------
    observed, simulated : array (day,)
        Any unit. Days on which either is NaN or infinite are left out; so in every metric. ValueError if they are not
        one-dimensional and of equal length.

    Returns
    -------
    float; NaN where the metric has no value (`why_nan` says why).
    """
    return 1 - np.sum((simulated - observed) ** 2) / _squares(observed)


@_on_valid_days
def kge(observed, simulated):
    """Kling-Gupta efficiency of 2009, `1 - sqrt((r - 1)^2 + (std(s) / std(o) - 1)^2 + (mean(s) / mean(o) - 1)^2)`.

    From -inf to 1 (perfect), no unit. Gupta et al. 2009, doi:10.1016/j.jhydrol.2009.08.003. Otherwise as `nse`.
    """
    alpha, beta = _std(simulated) / _std(observed), simulated.mean() / (_sum(observed) / observed.size)
    return 1 - np.sqrt((_correlation(observed, simulated) - 1) ** 2 + (alpha - 1) ** 2 + (beta - 1) ** 2)


@_on_valid_days
def kge_2012(observed, simulated):
    """Kling-Gupta efficiency of 2012: as `kge`, with the ratio of the coefficients of variation, `std / mean`, for the
    ratio of the standard deviations, so that bias and variability do not act twice.

    From -inf to 1 (perfect), no unit. Kling et al. 2012, doi:10.1016/j.jhydrol.2012.01.011. Otherwise as `nse`.
    """
    beta = (_sum(simulated) / simulated.size) / (_sum(observed) / observed.size)
    gamma = _std(simulated) / _std(observed) / beta
    return 1 - np.sqrt((_correlation(observed, simulated) - 1) ** 2 + (gamma - 1) ** 2 + (beta - 1) ** 2)


@_on_valid_days
def mse(observed, simulated):
    """Mean squared error, `mean((s - o)^2)`; 0 is perfect, unit of the series squared ((mm/day)^2 for streamflow).

    The plain average, as decomposed by Gupta et al. 2009, doi:10.1016/j.jhydrol.2009.08.003. Otherwise as `nse`.
    """
    return np.mean((simulated - observed) ** 2)


@_on_valid_days
def rmse(observed, simulated):
    """Root of `mse`; 0 is perfect, unit of the series (mm/day for streamflow). Otherwise as `nse`."""
    return np.sqrt(np.mean((simulated - observed) ** 2))


@_on_valid_days
def pearson_r(observed, simulated):
    """Pearson's correlation coefficient, `cov(o, s) / (std(o) std(s))`; -1 to 1 (perfect), no unit.

    Pearson 1895, doi:10.1098/rspl.1895.0041. Otherwise as `nse`.
    """
    return _correlation(observed, simulated)


@_on_valid_days
def alpha_nse(observed, simulated):
    """Variability part of the NSE, `std(s) / std(o)`; 1 is perfect, above 1 varies too much, no unit.

    Gupta et al. 2009, doi:10.1016/j.jhydrol.2009.08.003. Otherwise as `nse`.
    """
    return _std(simulated) / _std(observed)


@_on_valid_days
def beta_nse(observed, simulated):
    """Bias part of the NSE, `(mean(s) - mean(o)) / std(o)`; 0 is perfect, positive is too much, no unit.

    Gupta et al. 2009, doi:10.1016/j.jhydrol.2009.08.003. Otherwise as `nse`.
    """
    return (simulated.mean() - observed.mean()) / _std(observed)


@_on_valid_days
def log_nse(observed, simulated):
    """NSE of `log(flow + epsilon)`, in which low flows weigh more; from -inf to 1 (perfect), no unit.

    epsilon is one hundredth of the mean observed flow, added to both series (Pushpalatha et al. 2012,
    doi:10.1016/j.jhydrol.2011.11.055); negative values count as 0 first, also in that mean. Otherwise as `nse`.
    """
    observed, simulated = np.maximum(observed, 0), np.maximum(simulated, 0)
    epsilon = observed.mean() / 100
    observed, simulated = np.log(observed + epsilon), np.log(simulated + epsilon)
    return 1 - np.sum((simulated - observed) ** 2) / _squares(observed)


@_on_valid_days
def pbias(observed, simulated):
    """Bias of the volume in %, `100 * sum(s - o) / sum(o)`; 0 is perfect, **positive is too much** water.

    The sign is that of Yilmaz et al. 2008 (their %BiasRR, doi:10.1029/2007WR006716); some guidelines use the opposite.
    Otherwise as `nse`.
    """
    return 100 * np.sum(simulated - observed) / _sum(observed)


@_on_valid_days
def fhv(observed, simulated):
    """Bias of the peaks in %: `100 * sum(S - O) / sum(O)` over the highest 2 % of the flow duration curves.

    S and O are each sorted on their own; 0 is perfect, **positive means peaks too high**. The number of days is rounded
    to the nearest, halves to the even number. Yilmaz et al. 2008, doi:10.1029/2007WR006716. Otherwise as `nse`.
    """
    volume = np.maximum(_high_flow(observed), 0)  # peaks below zero have no bias in %
    return 100 * (_high_flow(simulated) - volume) / volume


@_on_valid_days
def flv(observed, simulated):
    """Bias of the low flows in %: `-100 * (L(s) - L(o)) / L(o)`, where L sums `log(flow) - log(lowest flow)` over the
    lowest 30 % of the flow duration curve.

    0 is perfect; **negative means that the simulated low flows rise further above their minimum** than the observed
    ones (the minus sign is the source's). It sees the shape of the low flows, not their level. Flows below 1e-6 mm/day
    take that value before the logarithm; the number of days is rounded as in `fhv`.
    Yilmaz et al. 2008, doi:10.1029/2007WR006716. Otherwise as `nse`.
    """
    volume = _low_flow(observed)
    return -100 * (_low_flow(simulated) - volume) / volume


@_on_valid_days
def fms(observed, simulated):
    """Bias of the flow duration curve's middle slope in %: `100 * (M(s) - M(o)) / M(o)`, where
    `M = log(flow exceeded on 20 % of the days) - log(flow exceeded on 70 %)`.

    0 is perfect; **positive means too steep**, a river that reacts too quickly. Flows below 1e-6 mm/day take that value
    before the logarithm. Yilmaz et al. 2008, doi:10.1029/2007WR006716. Otherwise as `nse`.
    """
    return 100 * (_middle_slope(simulated) - _middle_slope(observed)) / _middle_slope(observed)


METRICS = {
    "NSE": nse, "KGE": kge, "KGE2012": kge_2012, "MSE": mse, "RMSE": rmse, "r": pearson_r, "alpha-NSE": alpha_nse,
    "beta-NSE": beta_nse, "log-NSE": log_nse, "PBIAS": pbias, "FHV": fhv, "FLV": flv, "FMS": fms,
}  # fmt: skip
PERCENT = ("PBIAS", "FHV", "FLV", "FMS")  # have no upper limit where a river nearly runs dry


def why_nan(observed, simulated, name="NSE"):
    """Say in words why a metric has no value, "" where it has one; `name` is a key of `METRICS`. Otherwise as `nse`."""
    if np.isfinite(_find(name)(observed, simulated)):
        return ""
    days = _valid_pairs(observed, simulated)[0].size
    return "it is not defined for these numbers" if days else "no day has both an observation and a simulation"


def score(observed, simulated, names=None, index=None):
    """Score many basins with many metrics.

    Parameters
    ----------
    observed, simulated : array (basin, day)
        In the same unit; NaN where missing.
    names : list of str, default all
        Keys of `METRICS`.
    index : list of str (basin,), default 0, 1, …
        Basin ids that name the rows.

    Returns
    -------
    DataFrame, one row per basin in the order given, one float64 column per metric; NaN where a metric has no value.
    Raises ValueError if the shapes do not fit or a metric is unknown.
    """
    observed, simulated = np.asarray(observed), np.asarray(simulated)
    if observed.ndim != 2 or observed.shape != simulated.shape:
        raise ValueError(f"Both arrays must be (basin, day). Received: {observed.shape} and {simulated.shape}")
    metrics = {name: _find(name) for name in (METRICS if names is None else names)}
    values = [[metric(*pair) for metric in metrics.values()] for pair in map(_valid_pairs, observed, simulated)]
    return pd.DataFrame(values, index=index, columns=list(metrics), dtype=np.float64)


def summarise(scores):
    """Summarise the scores of many basins, a DataFrame (basin, metric) as `score` returns it.

    A DataFrame, one row per metric; columns median, mean, p10, p90 (10th and 90th percentile, linear interpolation),
    below_zero (number of basins with a negative value) and basins (number with a value). A basin without a value is
    left out of all of them.
    """
    columns = {"median": scores.median(), "mean": scores.mean()}
    columns |= {"p10": scores.quantile(0.1), "p90": scores.quantile(0.9)}
    return pd.DataFrame({**columns, "below_zero": (scores < 0).sum(), "basins": scores.notna().sum()})


def shown_summary(summary):
    """The table of `summarise`, or several with the metric as last index level, as people read it: the mean of metrics
    in %, which one river that nearly runs dry decides, is NaN."""
    return summary.assign(mean=summary["mean"].mask(summary.index.get_level_values(-1).isin(PERCENT)))


def _find(name):
    if name not in METRICS:
        raise ValueError(f"Unknown metric. Received: {name!r}; known are {', '.join(METRICS)}")
    return METRICS[name]
