"""The numbers behind LSTM_probe.py: linear probes, their controls and scores, and interventions. Arrays in, arrays out.

A probe is a linear regression from features of a day (cell states, or weather) to a concept of that day. It is fitted
from sums of products, one matrix per group of basins, so that neither the states of all basins nor those of all days
are ever held at once:

    grams = np.stack([moments(features[group == g], target[group == g]) for g in range(5)])
    probe = fit(grams)                                        # alpha chosen by leaving out one group at a time
    reading = features @ probe.weights + probe.intercept
"""

from typing import NamedTuple

import numpy as np

ALPHAS = 10.0 ** np.arange(-6, 1)  # ridge penalties tried, relative to the number of days and standardised features
SEASON_DAYS = 15  # width of the window that smooths a day-of-year climatology
METRICS = ("r", "NSE", "NSE anomaly", "NSE deseasonalised")


class Probe(NamedTuple):
    """reading = features @ weights + intercept, in the unit of the concept; alpha is the ridge penalty chosen."""

    weights: np.ndarray
    intercept: float
    alpha: float


def moments(features, target):
    """Sums of products that a linear regression needs.

    Parameters
    ----------
    features : array (basin, day, feature)
    target : array (basin, day)
        NaN where missing; those days are left out.

    Returns
    -------
    array (feature + 2, feature + 2), float64
        A'A of the rows A = (1, features, target); it adds up over basins.
    """
    known = np.isfinite(target)
    rows = np.empty((int(known.sum()), features.shape[-1] + 2))
    rows[:, 0], rows[:, 1:-1], rows[:, -1] = 1, features[known], target[known]
    return rows.T @ rows


def ridge(gram, alpha):
    """Ridge regression from sums of products, on standardised features.

    Equal to ``sklearn.linear_model.Ridge(alpha * days)`` on features that were standardised first, with the weights
    turned back to the features' own scale. A feature that never changes gets no weight.

    Parameters
    ----------
    gram : array (feature + 2, feature + 2)
        From `moments`.
    alpha : float
        Penalty relative to the number of days.

    Returns
    -------
    Probe
        NaN throughout if `gram` holds fewer than two days.
    """
    covariance, cross, mean, target_mean, scale = _centred(gram)
    if gram[0, 0] < 2:
        return Probe(np.full(len(mean), np.nan), np.nan, alpha)
    correlation = covariance / np.outer(scale, scale)
    weights = np.linalg.solve(correlation + alpha * np.eye(len(mean)), cross / scale) / scale
    return Probe(weights, target_mean - mean @ weights, alpha)


def _centred(gram):
    """Covariance of the features, their covariance with the target, means and standard deviations (inf if constant)."""
    days = max(gram[0, 0], 1)
    mean, target_mean = gram[0, 1:-1] / days, gram[0, -1] / days
    covariance = gram[1:-1, 1:-1] / days - np.outer(mean, mean)
    variance = np.diag(covariance)
    # What is left of the variance of a constant after rounding is no variance.
    scale = np.sqrt(np.where(variance > 1e-11 * np.diag(gram)[1:-1] / days, variance, np.inf))
    return covariance, gram[1:-1, -1] / days - mean * target_mean, mean, target_mean, scale


def squared_error(gram, probe):
    """Sum of squared errors of a probe over the days behind `gram`."""
    residual = np.concatenate([[-probe.intercept], -probe.weights, [1]])
    return max(float(residual @ gram @ residual), 0.0)


def explained(grams, alpha):
    """Share of the target's variance explained in groups of basins that were left out of the fit, in turn.

    Parameters
    ----------
    grams : array (group, feature + 2, feature + 2)
    alpha : float

    Returns
    -------
    float
        1 − squared error / squared deviation from the overall mean; NaN with fewer than two groups that have data.
    """
    grams = grams[grams[:, 0, 0] > 0]
    total = grams.sum(axis=0)
    if len(grams) < 2:
        return np.nan
    error = sum(squared_error(gram, ridge(total - gram, alpha)) for gram in grams)
    spread = total[-1, -1] - total[0, -1] ** 2 / total[0, 0]
    return 1 - error / spread if spread > 0 else np.nan


def fit(grams):
    """Ridge probe on all groups, its penalty chosen among ALPHAS by leaving out one group of basins at a time."""
    skills = np.nan_to_num([explained(grams, alpha) for alpha in ALPHAS], nan=-np.inf)
    return ridge(grams.sum(axis=0), ALPHAS[int(np.argmax(skills))])


def fit_sparse(grams, alpha, share=0.95, l1_ratio=0.9):
    """The fewest features, as an elastic net picks them, that keep a share of the skill of all.

    The elastic net (Zou & Hastie 2005, doi:10.1111/j.1467-9868.2005.00503.x) orders the features along its path; each
    selection is fitted again by ridge, because the net shrinks the weights it keeps. Skill is `explained`, in groups
    of basins left out of the fit.

    Parameters
    ----------
    grams : array (group, feature + 2, feature + 2)
    alpha : float
        Ridge penalty, as `fit` chose it for all features.
    share : float, default 0.95
    l1_ratio : float, default 0.9

    Returns
    -------
    Probe
        Weight 0 for the features left out; all 0 when all features together have no skill.
    """
    from sklearn.linear_model import enet_path

    total = grams.sum(axis=0)
    covariance, cross, mean, target_mean, scale = _centred(total)
    number, weights = len(mean), np.zeros(len(mean))
    goal = share * explained(grams, alpha)
    if not goal > 0:
        return Probe(weights, target_mean, alpha)
    # As many rows as features, with the correlations of all days: the elastic net sees no difference.
    values, vectors = np.linalg.eigh(covariance / np.outer(scale, scale))
    kept = values > 1e-9 * values.max()
    root = np.sqrt(values[kept])
    rows = np.sqrt(number) * root[:, None] * vectors[:, kept].T
    aim = np.sqrt(number) * (vectors[:, kept].T @ (cross / scale)) / root
    padding = np.zeros((number - len(rows), number))
    path = enet_path(np.vstack([rows, padding]), np.append(aim, padding[:, 0]), l1_ratio=l1_ratio, eps=1e-4)[1].T
    tried = None
    for selection in path != 0:
        if not selection.any() or (tried is not None and (selection == tried).all()):
            continue
        tried = selection
        within = np.concatenate([[True], selection, [True]])
        part = grams[:, within][:, :, within]
        if explained(part, alpha) >= goal:
            found = ridge(part.sum(axis=0), alpha)
            weights[selection] = found.weights
            return Probe(weights, found.intercept, alpha)
    return ridge(total, alpha)


def trailing_means(forcing, windows):
    """Means of the forcing over the last days, the day itself included; fewer days where the record begins.

    Parameters
    ----------
    forcing : array (basin, day, input)
    windows : sequence of int
        Lengths in days.

    Returns
    -------
    array (basin, day, input * windows), float32
    """
    before = np.zeros((forcing.shape[0], 1, forcing.shape[2]))
    total = np.concatenate([before, np.cumsum(forcing, axis=1, dtype=np.float64)], axis=1)
    last = np.arange(1, forcing.shape[1] + 1)
    means = []
    for window in windows:
        first = np.maximum(last - window, 0)
        means.append((total[:, last] - total[:, first]) / (last - first)[:, None])
    return np.concatenate(means, axis=2).astype(np.float32)


def shift_years(target):
    """Each day's value replaced by the one of half the period's whole years later, the period taken as a ring.

    Season and catchment stay, the day's own weather does not. With fewer than two whole years, and on the days after
    the last whole year, the result is NaN.

    Parameters
    ----------
    target : array (basin, day)
    """
    days = target.shape[1]
    years = int((days + 2) // 365.25)
    shifted = np.full(target.shape, np.nan, target.dtype)
    if years >= 2:
        length = min(days, round(years * 365.25))
        shifted[:, :length] = np.roll(target[:, :length], -round(years // 2 * 365.25), axis=1)
    return shifted


def season_slots(dates):
    """Day of a leap year, 0 to 365, of each date: 1 March is always 60."""
    dates = np.asarray(dates, "datetime64[D]")
    month = dates.astype("datetime64[M]")
    starts = np.array([0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335])
    return starts[month.astype(int) % 12] + (dates - month).astype(int)


def climatology(values, slots):
    """Mean of each day of the year over the years, smoothed over SEASON_DAYS days.

    Parameters
    ----------
    values : array (basin, day, feature)
        NaN where missing.
    slots : array (day,) of int
        From `season_slots`.

    Returns
    -------
    array (basin, 366, feature), float32
        NaN where no year has a value within half the window.
    """
    total = np.zeros((values.shape[0], 366, values.shape[2]))
    count = np.zeros_like(total)
    for slot in np.unique(slots):
        chosen = values[:, slots == slot]
        known = np.isfinite(chosen)
        total[:, slot], count[:, slot] = np.where(known, chosen, 0).sum(axis=1), known.sum(axis=1)
    reach = SEASON_DAYS // 2
    total, count = (sum(np.roll(a, k, axis=1) for k in range(-reach, reach + 1)) for a in (total, count))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def scores(observed, reading, observed_season, reading_season):
    """Per basin, how well a reading follows a concept.

    Parameters
    ----------
    observed, reading : array (basin, day)
        In the same unit, NaN where missing.
    observed_season, reading_season : array (basin, day)
        Climatology of each, from the fitting period.

    Returns
    -------
    array (basin, 4), NaN where undefined
        r; NSE; NSE of the anomalies (each series minus its own mean over these days); NSE of the deseasonalised
        anomalies (each minus its own climatology). METRICS has their names.
    """
    known = np.isfinite(observed) & np.isfinite(reading)
    o, s = (_minus_mean(values, known) for values in (observed, reading))
    with np.errstate(invalid="ignore", divide="ignore"):
        moving = (o**2).sum(1) * (s**2).sum(1)
        r = np.where(moving > 0, (o * s).sum(1) / np.sqrt(moving), np.nan)
    season = np.isfinite(observed_season) & np.isfinite(reading_season) & known
    pairs = [
        (observed, reading, known),
        (o, s, known),
        (observed - observed_season, reading - reading_season, season),
    ]
    return np.stack([r, *(_nse(*pair) for pair in pairs)], axis=1)


def _minus_mean(values, known):
    values = np.where(known, values, 0).astype(np.float64)
    return np.where(known, values - (values.sum(1) / np.maximum(known.sum(1), 1))[:, None], 0)


def _nse(observed, simulated, known):
    error = np.where(known, np.where(known, simulated, 0) - np.where(known, observed, 0), 0).astype(np.float64)
    spread = (_minus_mean(observed, known) ** 2).sum(1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(spread > 0, 1 - (error**2).sum(1) / spread, np.nan)


def median_interval(values, resamples=1000, seed=0):
    """Median over basins and its 95 % interval by bootstrap over basins.

    Parameters
    ----------
    values : array (basin,)
        NaN is left out.
    resamples : int, default 1000
    seed : int, default 0

    Returns
    -------
    (median, low, high, number of basins)
    """
    values = values[np.isfinite(values)]
    if not len(values):
        return np.nan, np.nan, np.nan, 0
    drawn = np.random.default_rng(seed).integers(len(values), size=(resamples, len(values)))
    low, high = np.percentile(np.median(values[drawn], axis=1), (2.5, 97.5))
    return float(np.median(values)), float(low), float(high), len(values)


def correlations(features, target):
    """Pearson r of each feature with the target, per basin.

    Parameters
    ----------
    features : array (basin, day, feature)
    target : array (basin, day), NaN where missing

    Returns
    -------
    array (basin, feature), NaN where either never changes
    """
    found = np.full((features.shape[0], features.shape[2]), np.nan)
    for b, (x, y) in enumerate(zip(features, target, strict=True)):
        known = np.isfinite(y)
        if known.sum() < 2:
            continue
        x, y = x[known].astype(np.float64), y[known].astype(np.float64)
        x, y = x - x.mean(0), y - y.mean()
        length = np.sqrt((x**2).sum(0) * (y**2).sum())
        np.divide(x.T @ y, length, out=found[b], where=length > 0)
    return found


def smallest_change(weights, rise, covariance=None):
    """The smallest change of the features that raises the reading by `rise`.

    Without a covariance the shortest one, weights · rise / |weights|². With the covariance S of the features the
    smallest by the Mahalanobis distance, S weights · rise / (weights · S weights): the features move as they are used
    to move together when the reading rises (the pattern of Haufe et al. 2014, doi:10.1016/j.neuroimage.2013.10.067).

    Parameters
    ----------
    weights : array (feature,)
    rise : float, in the unit of the reading
    covariance : array (feature, feature), optional

    Returns
    -------
    array (feature,)
    """
    direction = weights if covariance is None else covariance @ weights
    return direction * (rise / (weights @ direction))


def random_changes(weights, length, number, seed=0, covariance=None):
    """Changes of a given length in random directions that leave the reading as it is.

    Parameters
    ----------
    weights : array (feature,)
        Of the probe.
    length : float
    number : int
    seed : int, default 0
    covariance : array (feature, feature), optional
        Draw directions as the features are used to move together; without it every direction is as likely.

    Returns
    -------
    array (number, feature), each row orthogonal to `weights`
    """
    drawn = np.random.default_rng(seed).standard_normal((number, len(weights)))
    if covariance is not None:
        values, vectors = np.linalg.eigh(covariance)
        drawn = (drawn * np.sqrt(np.maximum(values, 0))) @ vectors.T
    drawn -= np.outer(drawn @ weights, smallest_change(weights, 1.0, covariance))
    return drawn * (length / np.linalg.norm(drawn, axis=1, keepdims=True))


def responses(run_on, h, c, changes):
    """What a change of the cell states does to everything that follows.

    Parameters
    ----------
    run_on : function (h, c) -> dict of array (basin, day)
        Lets the model run on from these states.
    h, c : array (basin, unit)
        States at the end of a day. Only c is changed; h follows from the next day on.
    changes : array (change, unit)

    Returns
    -------
    dict of array (change, basin, day)
        Changed minus unchanged.
    """
    plain = run_on(h, c)
    changed = [run_on(h, c + change.astype(c.dtype)) for change in changes]
    return {name: np.stack([outcome[name] - plain[name] for outcome in changed]) for name in plain}


def memory_days(mean_log_forget):
    """Days after which a state has decayed to 1/e, from the mean logarithm of its forget gate: −1 / mean(log f)."""
    return -1 / np.minimum(mean_log_forget, -1e-9)
