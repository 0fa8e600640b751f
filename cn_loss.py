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

from writing.files import quiet_start

with quiet_start():
    import keras
    from keras import ops

# Losses


def nse_loss(y_true, y_pred, basin_std, epsilon=0.1):
    """Squared error over the basin's own spread, `sum(((y_pred - y_true) / (basin_std + epsilon))^2) / number valid`.

    Every basin counts alike, however wet it is, as it does in the Nash-Sutcliffe efficiency (Kratzert et al. 2019,
    equation 2, doi:10.5194/hess-23-5089-2019). NaN and infinite targets are left out of sum, number and gradient.

    Parameters
    ----------
    y_true, y_pred : tensor (batch, time, target)
        Targets (NaN where missing) and predictions, in one unit.
    basin_std : tensor (batch, target)
        Standard deviation of each basin's target over the training period, in that unit. One that is not finite counts
        as 0.
    epsilon : float, default 0.1
        Added to `basin_std`, in the same unit, so that a basin whose target hardly moves does not rule the loss.

    Returns
    -------
    scalar tensor, float32 or wider; 0 when no target is valid.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    error, count = _masked_error(y_true, y_pred)
    basin_std = ops.cast(ops.convert_to_tensor(basin_std), error.dtype)
    expected = (error.shape[0], error.shape[2])
    if len(basin_std.shape) != 2 or not _same_shape(basin_std.shape, expected):
        raise ValueError(f"basin_std must have shape (batch, target) = {expected}. Received: {tuple(basin_std.shape)}")
    spread = ops.where(ops.isfinite(basin_std), basin_std, 0.0) + epsilon
    return ops.sum(ops.square(error / ops.expand_dims(spread, 1))) / count


def root_nse_loss(y_true, y_pred, basin_std, epsilon=0.1):
    """`nse_loss` of the square root of streamflow, to which low and middling flows matter more.

    The root is taken of the flow plus a tenth of `epsilon`, so that its slope stays finite at zero; a prediction below
    zero counts as zero here. The spread is `(sqrt(basin_std) + sqrt(epsilon)) / 2`: a root varies by half of the root
    of what the flow varies by where the flow is as large as it varies.

    Arguments, return value and errors as for `nse_loss`; `y_true` must not be below zero.
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
    y_true, y_pred, basin_std, epsilon
        As for `nse_loss`.
    weights : tensor of any shape
        Kernel of the linear probe.
    alpha : float
        Strength of the penalty; 0 gives `nse_loss`.
    rho : float, default 0.15
        Share of the absolute values in the penalty, 0 (ridge) to 1 (lasso).

    Returns
    -------
    scalar tensor, float32 or wider.

    Raises
    ------
    ValueError
        If the shapes do not fit, `alpha` is negative or `rho` is outside 0 to 1.
    """
    if not alpha >= 0:
        raise ValueError(f"alpha must not be negative. Received: {alpha}")
    if not 0 <= rho <= 1:
        raise ValueError(f"rho must lie between 0 and 1. Received: {rho}")
    loss = nse_loss(y_true, y_pred, basin_std, epsilon)
    weights = ops.cast(ops.convert_to_tensor(weights), loss.dtype)
    return loss + alpha * (rho * ops.sum(ops.abs(weights)) + (1 - rho) / 2 * ops.sum(ops.square(weights)))


def masked_mse(y_true, y_pred):
    """Mean squared error over the targets that are finite; 0 when none is.

    Parameters
    ----------
    y_true, y_pred : tensor (batch, time, target)
        Targets (NaN where missing) and predictions, in one unit.

    Returns
    -------
    scalar tensor, float32 or wider.

    Raises
    ------
    ValueError
        If the shapes do not fit.
    """
    error, count = _masked_error(y_true, y_pred)
    return ops.sum(ops.square(error)) / count


def _masked_error(y_true, y_pred):
    """Error (0 where the target is missing) and number of valid targets (at least 1)."""
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if len(y_true.shape) != 3 or len(y_pred.shape) != 3 or not _same_shape(y_true.shape, y_pred.shape):
        raise ValueError(
            "y_true and y_pred must both have shape (batch, time, target). "
            f"Received: {tuple(y_true.shape)} and {tuple(y_pred.shape)}"
        )
    dtype = keras.backend.result_type(y_pred.dtype, "float32")  # half precision would overflow in the sum
    y_true, y_pred = ops.cast(y_true, dtype), ops.cast(y_pred, dtype)
    valid = ops.isfinite(y_true)
    # Both sides are masked before the difference: a NaN masked after it would still reach the gradient as 0 * NaN.
    error = ops.where(valid, y_pred, 0.0) - ops.where(valid, y_true, 0.0)
    return error, ops.maximum(ops.sum(ops.cast(valid, dtype)), 1.0)


def _same_shape(first, second):
    """Equal shapes; None (unknown while a graph is traced) fits anything."""
    return all(a is None or b is None or a == b for a, b in zip(first, second, strict=True))


# Metrics

METRICS = {}
"""Every metric by its name: function `(observed, simulated) -> float`."""

_FLOOR = 1e-6  # mm/day: flows below it, zero and negative ones too, take this value in FLV and FMS before the logarithm

# Why a metric can have no value: words, and the test on the valid pairs that finds it. The first holds for all metrics.
_NO_DAY = "no day has both an observation and a simulation"
_CONSTANT_OBSERVED = "the observations are constant"
_CONSTANT_SIMULATED = "the simulation is constant"
_ZERO_MEAN_OBSERVED = "the mean of the observations is zero"
_ZERO_MEAN_SIMULATED = "the mean of the simulation is zero"
_NOT_POSITIVE = "no observation is above zero"
_NO_HIGH_DAY = "2 % of the valid days is less than one day"
_NO_HIGH_FLOW = "the highest 2 % of the observations sum to zero or less"
_CONSTANT_LOW = "the lowest 30 % of the observations are constant"
_FLAT_MIDDLE = "the observed flow duration curve is flat between 20 and 70 %"
_UNDEFINED = {
    _NO_DAY: lambda o, s: o.size == 0,
    # Equal extremes, not a zero variance: the variance of a constant is often a rounding error above zero.
    _CONSTANT_OBSERVED: lambda o, s: o.min() == o.max(),
    _CONSTANT_SIMULATED: lambda o, s: s.min() == s.max(),
    _ZERO_MEAN_OBSERVED: lambda o, s: abs(o.mean()) <= 1e-12 * abs(o).mean(),
    _ZERO_MEAN_SIMULATED: lambda o, s: abs(s.mean()) <= 1e-12 * abs(s).mean(),
    _NOT_POSITIVE: lambda o, s: o.max() <= 0,
    _NO_HIGH_DAY: lambda o, s: _days(0.02, o) == 0,
    _NO_HIGH_FLOW: lambda o, s: _high_flow(o) <= 0,
    _CONSTANT_LOW: lambda o, s: np.ptp(_low_flows(o)) == 0,
    _FLAT_MIDDLE: lambda o, s: _middle_slope(o) == 0,
}


def _metric(name, *needs):
    """Register a formula as metric `name`: pairs checked and masked, NaN where one of the reasons in `needs` holds."""

    def decorate(formula):
        @functools.wraps(formula)
        def metric(observed, simulated):
            observed, simulated = _valid_pairs(observed, simulated)
            with np.errstate(all="ignore"):
                if any(_UNDEFINED[reason](observed, simulated) for reason in metric.needs):
                    return float("nan")
                value = float(formula(observed, simulated))
            return value if np.isfinite(value) else float("nan")

        metric.needs = (_NO_DAY, *needs)
        METRICS[name] = metric
        return metric

    return decorate


def _valid_pairs(observed, simulated):
    """Both series as float64, days dropped where either is NaN or infinite."""
    observed, simulated = np.asarray(observed, dtype=np.float64), np.asarray(simulated, dtype=np.float64)
    if observed.ndim != 1 or observed.shape != simulated.shape:
        raise ValueError(
            "observed and simulated must be one-dimensional and of equal length. "
            f"Received shapes: {observed.shape} and {simulated.shape}"
        )
    valid = np.isfinite(observed) & np.isfinite(simulated)
    return observed[valid], simulated[valid]


@_metric("NSE", _CONSTANT_OBSERVED)
def nse(observed, simulated):
    """Nash-Sutcliffe efficiency, `1 - sum((s - o)^2) / sum((o - mean(o))^2)`.

    From -inf to 1 (perfect), no unit; 0 is as good as the mean of the observations. Nothing is added to the
    denominator. Nash & Sutcliffe 1970, doi:10.1016/0022-1694(70)90255-6.

    Parameters
    ----------
    observed, simulated : array (day,)
        Any unit. Days on which either is NaN or infinite are left out; so in every metric.

    Returns
    -------
    float; NaN where the metric has no value (`why_nan` says why).

    Raises
    ------
    ValueError
        If the arrays are not one-dimensional and of equal length.
    """
    return 1 - np.sum((simulated - observed) ** 2) / np.sum((observed - observed.mean()) ** 2)


@_metric("KGE", _CONSTANT_OBSERVED, _CONSTANT_SIMULATED, _ZERO_MEAN_OBSERVED)
def kge(observed, simulated):
    """Kling-Gupta efficiency of 2009, `1 - sqrt((r - 1)^2 + (std(s) / std(o) - 1)^2 + (mean(s) / mean(o) - 1)^2)`.

    From -inf to 1 (perfect), no unit. Gupta et al. 2009, doi:10.1016/j.jhydrol.2009.08.003.
    Arguments, return value and errors as for `nse`.
    """
    alpha, beta = simulated.std() / observed.std(), simulated.mean() / observed.mean()
    return 1 - np.sqrt((_correlation(observed, simulated) - 1) ** 2 + (alpha - 1) ** 2 + (beta - 1) ** 2)


@_metric("KGE2012", _CONSTANT_OBSERVED, _CONSTANT_SIMULATED, _ZERO_MEAN_OBSERVED, _ZERO_MEAN_SIMULATED)
def kge_2012(observed, simulated):
    """Kling-Gupta efficiency of 2012: as `kge`, with the ratio of the coefficients of variation, `std / mean`, for the
    ratio of the standard deviations, so that bias and variability do not act twice.

    From -inf to 1 (perfect), no unit. Kling et al. 2012, doi:10.1016/j.jhydrol.2012.01.011.
    Arguments, return value and errors as for `nse`.
    """
    beta = simulated.mean() / observed.mean()
    gamma = simulated.std() / observed.std() / beta
    return 1 - np.sqrt((_correlation(observed, simulated) - 1) ** 2 + (gamma - 1) ** 2 + (beta - 1) ** 2)


@_metric("MSE")
def mse(observed, simulated):
    """Mean squared error, `mean((s - o)^2)`; 0 is perfect, unit of the series squared ((mm/day)^2 for streamflow).

    The plain average, as decomposed by Gupta et al. 2009, doi:10.1016/j.jhydrol.2009.08.003.
    Arguments, return value and errors as for `nse`.
    """
    return np.mean((simulated - observed) ** 2)


@_metric("RMSE")
def rmse(observed, simulated):
    """Root mean squared error, `sqrt(mean((s - o)^2))`; 0 is perfect, unit of the series (mm/day for streamflow).

    The root of `mse`. Arguments, return value and errors as for `nse`.
    """
    return np.sqrt(np.mean((simulated - observed) ** 2))


@_metric("r", _CONSTANT_OBSERVED, _CONSTANT_SIMULATED)
def pearson_r(observed, simulated):
    """Pearson's correlation coefficient, `cov(o, s) / (std(o) std(s))`; -1 to 1 (perfect), no unit.

    Pearson 1895, doi:10.1098/rspl.1895.0041. Arguments, return value and errors as for `nse`.
    """
    return _correlation(observed, simulated)


@_metric("alpha-NSE", _CONSTANT_OBSERVED)
def alpha_nse(observed, simulated):
    """Variability part of the NSE, `std(s) / std(o)`; 1 is perfect, above 1 varies too much, no unit.

    Gupta et al. 2009, doi:10.1016/j.jhydrol.2009.08.003. Arguments, return value and errors as for `nse`.
    """
    return simulated.std() / observed.std()


@_metric("beta-NSE", _CONSTANT_OBSERVED)
def beta_nse(observed, simulated):
    """Bias part of the NSE, `(mean(s) - mean(o)) / std(o)`; 0 is perfect, positive is too much, no unit.

    Gupta et al. 2009, doi:10.1016/j.jhydrol.2009.08.003. Arguments, return value and errors as for `nse`.
    """
    return (simulated.mean() - observed.mean()) / observed.std()


@_metric("log-NSE", _CONSTANT_OBSERVED, _NOT_POSITIVE)
def log_nse(observed, simulated):
    """NSE of `log(flow + epsilon)`, which weighs low flows; from -inf to 1 (perfect), no unit.

    epsilon is one hundredth of the mean observed flow, added to both series (Pushpalatha et al. 2012,
    doi:10.1016/j.jhydrol.2011.11.055); negative values count as 0 first, also in that mean.
    Arguments, return value and errors as for `nse`.
    """
    observed, simulated = np.maximum(observed, 0), np.maximum(simulated, 0)
    epsilon = observed.mean() / 100
    return nse.__wrapped__(np.log(observed + epsilon), np.log(simulated + epsilon))


@_metric("PBIAS", _ZERO_MEAN_OBSERVED)
def pbias(observed, simulated):
    """Bias of the volume in %, `100 * sum(s - o) / sum(o)`; 0 is perfect, **positive is too much** water.

    The sign is that of Yilmaz et al. 2008 (their %BiasRR, doi:10.1029/2007WR006716); some guidelines use the opposite.
    Arguments, return value and errors as for `nse`.
    """
    return 100 * np.sum(simulated - observed) / np.sum(observed)


@_metric("FHV", _NO_HIGH_DAY, _NO_HIGH_FLOW)
def fhv(observed, simulated):
    """Bias of the peaks in %: `100 * sum(S - O) / sum(O)` over the highest 2 % of the flow duration curves.

    S and O are each sorted on their own; 0 is perfect, **positive means peaks too high**. The number of days is rounded
    to the nearest, halves to the even number. Yilmaz et al. 2008, doi:10.1029/2007WR006716.
    Arguments, return value and errors as for `nse`.
    """
    return 100 * (_high_flow(simulated) - _high_flow(observed)) / _high_flow(observed)


@_metric("FLV", _CONSTANT_OBSERVED, _CONSTANT_LOW)
def flv(observed, simulated):
    """Bias of the low flows in %: `-100 * (L(s) - L(o)) / L(o)`, where L sums `log(flow) - log(lowest flow)` over the
    lowest 30 % of the flow duration curve.

    0 is perfect; **negative means that the simulated low flows rise further above their minimum** than the observed
    ones (the minus sign is the source's). It sees the shape of the low flows, not their level. Flows below 1e-6 mm/day
    take that value before the logarithm; the number of days is rounded as in `fhv`.
    Yilmaz et al. 2008, doi:10.1029/2007WR006716. Arguments, return value and errors as for `nse`.
    """
    low_observed, low_simulated = _low_flows(observed), _low_flows(simulated)
    volume = np.sum(low_observed - low_observed.min())
    return -100 * (np.sum(low_simulated - low_simulated.min()) - volume) / volume


@_metric("FMS", _CONSTANT_OBSERVED, _FLAT_MIDDLE)
def fms(observed, simulated):
    """Bias of the flow duration curve's middle slope in %: `100 * (M(s) - M(o)) / M(o)`, where
    `M = log(flow exceeded on 20 % of the days) - log(flow exceeded on 70 %)`.

    0 is perfect; **positive means too steep**, a river that reacts too quickly. Flows below 1e-6 mm/day take that value
    before the logarithm. Yilmaz et al. 2008, doi:10.1029/2007WR006716. Arguments, return value and errors as for `nse`.
    """
    return 100 * (_middle_slope(simulated) - _middle_slope(observed)) / _middle_slope(observed)


def _correlation(observed, simulated):
    observed, simulated = observed - observed.mean(), simulated - simulated.mean()
    return np.sum(observed * simulated) / np.sqrt(np.sum(observed**2) * np.sum(simulated**2))


def _days(share, flow):
    return round(share * flow.size)


def _high_flow(flow):
    """Sum over the highest 2 % of the days."""
    return np.sort(flow)[flow.size - _days(0.02, flow) :].sum()


def _low_flows(flow):
    """Logarithms of the lowest 30 % of the days."""
    return np.log(np.maximum(np.sort(flow)[: _days(0.3, flow)], _FLOOR))


def _middle_slope(flow):
    descending = np.sort(flow)[::-1]
    return np.log(max(descending[_days(0.2, flow)], _FLOOR)) - np.log(max(descending[_days(0.7, flow)], _FLOOR))


def why_nan(observed, simulated, name="NSE"):
    """Say in words why a metric has no value.

    Parameters
    ----------
    observed, simulated : array (day,)
        As given to the metric.
    name : str, default "NSE"
        A key of `METRICS`.

    Returns
    -------
    str, "" where the metric has a value.

    Raises
    ------
    ValueError
        If the shapes do not fit or the metric is unknown.
    """
    metric = _find(name)
    if np.isfinite(metric(observed, simulated)):
        return ""
    pairs = _valid_pairs(observed, simulated)
    found = (reason for reason in metric.needs if _UNDEFINED[reason](*pairs))
    return next(found, "the values are too large, too small or too close to each other for this metric")


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

    Raises
    ------
    ValueError
        If the shapes do not fit or a metric is unknown.
    """
    observed, simulated = np.asarray(observed), np.asarray(simulated)
    if observed.ndim != 2 or observed.shape != simulated.shape:
        raise ValueError(
            "observed and simulated must both have shape (basin, day). "
            f"Received: {observed.shape} and {simulated.shape}"
        )
    if index is not None and len(index) != len(observed):
        raise ValueError(f"index must name {len(observed)} basins. Received: {len(index)} names")
    names = list(METRICS) if names is None else list(names)
    metrics = [_find(name) for name in names]
    values = [[metric(*pair) for metric in metrics] for pair in map(_valid_pairs, observed, simulated)]
    return pd.DataFrame(values, index=index, columns=names, dtype=np.float64)


def summarise(scores):
    """Summarise the scores of many basins.

    Parameters
    ----------
    scores : DataFrame (basin, metric)
        As `score` returns it.

    Returns
    -------
    DataFrame, one row per metric; columns median, mean, p10, p90 (10th and 90th percentile, linear interpolation),
    below_zero (number of basins with a negative value) and basins (number with a value). Basins without one are left
    out of all of them.
    """
    return pd.DataFrame(
        {
            "median": scores.median(),
            "mean": scores.mean(),
            "p10": scores.quantile(0.1),
            "p90": scores.quantile(0.9),
            "below_zero": (scores < 0).sum(),
            "basins": scores.notna().sum(),
        }
    )


def _find(name):
    if name not in METRICS:
        raise ValueError(f"Unknown metric. Received: {name!r}; known are {', '.join(METRICS)}")
    return METRICS[name]
