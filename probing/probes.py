"""The numbers behind LSTM_probe.py: linear probes, their controls and scores.

A probe is a linear regression from features of a day (cell states, or weather) to a concept of that day, fitted on
days drawn at random, with the penalty that reads other basins best.
"""

import bisect
import itertools
import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import bootstrap
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge, enet_path
from sklearn.preprocessing import StandardScaler

import cn_loss

SEED = 0  # of every random draw: folds of basins, days, bootstrap, changes of the states
MOST_DAYS = 50_000  # days of all basins on which a probe is fitted
FOLDS = 5
PENALTIES = 10.0 ** np.arange(-6, 1)  # of ridge, relative to the number of days and standardised features
SHARE = 0.95  # of the skill of all cell states, that a few of them keep
SEASON_DAYS = 15  # width of the window that smooths a day-of-year mean
SCORES = ("r", "NSE", "NSE anomaly", "NSE deseasonalised")
# Readers: what a probe reads in which features, and the controls.
REAL, SPARSE, JOINT = "cell states", "few cell states", "joint probe"
SHIFTED, UNTRAINED, SEASON = "concept of other years", "untrained LSTM", "day-of-year mean"
TODAY, WEATHER = "weather of the day", "weather, means to 365 days"
READERS = (REAL, SPARSE, JOINT, UNTRAINED, TODAY, WEATHER, SHIFTED, SEASON)
# How a probe is scored: in another period than it was fitted in, on the same or on other basins.
PERIOD, BASINS = "other period", "other basins"
SPLITS = (PERIOD, BASINS)


class Probe(NamedTuple):
    """reading = features @ weights + intercept, in the units of the concept."""

    weights: np.ndarray
    intercept: float


def fold_of_basins(basins):
    """Fold 0 to 4 of each basin, the same whatever their order: array (basin,)."""
    rank = np.empty(len(basins), int)
    rank[np.argsort(basins)] = np.random.default_rng(SEED).permutation(len(basins))
    return rank % min(FOLDS, len(basins))


def draw_days(parts, fold, shares, dates):
    """Draw the days that probes are fitted on, the same ones whatever the features are.

    `parts` are Datasets of features (basin, date, feature), observed (basin, date, target) and position (basin) in the
    fitting period, whose days are `dates`; `fold` is that of all basins, `shares` a dict concept -> share of the days
    that is drawn. Gives features (row, feature); a dict (concept, REAL | SHIFTED) -> target (row,), that of the day and
    of other years (`shift_years`), NaN where not known; fold (row,); the climatology of all features (basin, 366,
    feature).
    """
    rows, seasons = [], []
    for part in parts:
        features, position = part["features"].values, part["position"].values
        chance = np.array([np.random.default_rng([SEED, basin]).random(len(dates)) for basin in position])
        targets = []
        for name, share in shares.items():
            observed = part["observed"].sel(target=name).values
            targets += [np.where(chance < share, each, np.nan) for each in (observed, shift_years(observed))]
        targets = np.stack(targets, axis=2)
        chosen = np.isfinite(targets).any(axis=2)
        rows.append((features[chosen], targets[chosen], np.repeat(fold[position], chosen.sum(axis=1))))
        seasons.append(climatology(features, days_of_year(dates)))
    features, targets, row_fold = (np.concatenate(arrays) for arrays in zip(*rows, strict=True))
    keys = itertools.product(shares, (REAL, SHIFTED))
    return features, dict(zip(keys, targets.T, strict=True)), row_fold, np.concatenate(seasons)


def fit_folds(features, target, fold, folds, few=False):
    """Fit a probe on the drawn days of all basins and one without each fold in turn: two lists of 1 + `folds` Probe,
    the second one of few features, empty if not asked for.

    Arrays are (row, feature), (row,) and (row,). The penalty is the one of PENALTIES with the least squared error in
    folds that were left out; the fold that a probe is fitted without has no say in its penalty.
    """
    known = np.isfinite(target)
    features, target, fold = features[known].astype(np.float64), target[known], fold[known]
    models, errors = leave_out(features, target, fold, PENALTIES, folds)
    models, probes, few_probes = [ridge(features, target, PENALTIES), *models], [], []
    for k, (weights, intercepts) in enumerate(models, -1):  # -1 is no fold: all basins
        error = errors[np.arange(folds) != k].sum(axis=0)
        best, rows = int(np.argmin(error)), fold != k
        probes.append(Probe(weights[best], intercepts[best]))
        if few:
            few_probes.append(fit_few(features[rows], target[rows], fold[rows], PENALTIES[[best]], error[best]))
    return probes, few_probes


def ridge(features, target, penalties):
    """Ridge regressions on standardised features: weights (penalty, feature), intercepts (penalty,); NaN of one row."""
    if len(target) < 2:
        return np.full((len(penalties), features.shape[1]), np.nan), np.full(len(penalties), np.nan)
    scaler = StandardScaler().fit(features)
    targets = np.repeat(target[:, None], len(penalties), axis=1)  # sklearn takes a penalty for each target
    model = Ridge(alpha=penalties * len(target)).fit(scaler.transform(features), targets)
    weights = model.coef_.reshape(len(penalties), -1) / scaler.scale_
    return weights, target.mean() - weights @ scaler.mean_


def leave_out(features, target, fold, penalties, folds):
    """Ridge regressions without each fold in turn: a list of them, and their squared errors there (fold, penalty)."""
    models, errors = [], []
    for k in range(folds):
        out = fold == k
        weights, intercepts = ridge(features[~out], target[~out], penalties)
        models.append((weights, intercepts))
        errors.append(((features[out] @ weights.T + intercepts - target[out, None]) ** 2).sum(axis=0))
    return models, np.stack(errors)


def fit_few(features, target, fold, penalty, error):
    """The probe of the fewest features that keep SHARE of the skill of all, which is 1 − `error` / squared deviation.

    The elastic net (Zou & Hastie 2005, doi:10.1111/j.1467-9868.2005.00503.x) orders the features along its path. Each
    selection is fitted again by ridge, because the net shrinks its weights, and judged in the folds that are left out.
    Other weights are 0, all of them if all features together have no skill.
    """
    mean, weights = (target.mean() if len(target) else np.nan), np.zeros(features.shape[1])
    spread = ((target - mean) ** 2).sum()
    if not (spread > 0 and error < spread):
        return Probe(weights, mean)
    goal = SHARE * (1 - error / spread)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of few days; it gives an order all the same
        standardised = StandardScaler().fit_transform(features)
        path = enet_path(standardised, target - mean, l1_ratio=0.9, eps=1e-4)[1].T != 0
    # The first selection is empty; all features come last, in case that the path does not reach the goal.
    selections = [*pd.DataFrame(path).drop_duplicates().to_numpy()[1:], np.ones(len(weights), bool)]

    def skill(selection):
        return 1 - leave_out(features[:, selection], target, fold, penalty, fold.max() + 1)[1].sum() / spread

    chosen = selections[bisect.bisect_left(selections[:-1], goal, key=skill)]  # skill grows along the path
    (weights[chosen],), (intercept,) = ridge(features[:, chosen], target, penalty)
    return Probe(weights, intercept)


def read(part, seasons, probes, used):
    """What probes read in a part (Dataset of features and complete): reading (basin, date), NaN where an input is
    missing, and its climatology (basin, 366).

    `seasons` (basin, 366, feature) are of these basins, `used` (basin,) says which of the probes reads in each.
    """
    weights = np.stack([probe.weights for probe in probes])[used][..., None].astype(np.float32)
    intercept = np.array([probe.intercept for probe in probes])[used, None]
    reading = (part["features"].values @ weights)[..., 0] + intercept
    return np.where(part["complete"], reading, np.nan), (seasons @ weights)[..., 0] + intercept


def joint_probes(model):
    """The probe that was trained with the model: dict concept -> Probe, in the concept's units."""
    if not model.probe:
        return {}
    means, stds = (np.asarray(v, np.float64)[1:] for v in (model.target_scale.mean, model.target_scale.std))
    kernel, bias = (values.astype(np.float64) for values in model.probe.get_weights())
    weights, intercepts = (kernel * stds).T, bias * stds + means
    return {name: Probe(weights[k], float(intercepts[k])) for k, name in enumerate(model.targets[1:])}


def shift_years(target):
    """Each day's value (basin, day) replaced by the one of half the period's whole years later, the period as a ring.

    Season and catchment stay, the day's own weather does not. NaN with fewer than two whole years, and on the days
    after the last whole year.
    """
    days = target.shape[1]
    years = int((days + 2) // 365.25)
    shifted = np.full(target.shape, np.nan, target.dtype)
    if years >= 2:
        length = min(days, round(years * 365.25))
        shifted[:, :length] = np.roll(target[:, :length], -round(years // 2 * 365.25), axis=1)
    return shifted


def days_of_year(dates):
    """Day of a leap year, 0 to 365, of each date: 1 March is always 60."""
    dates = pd.DatetimeIndex(dates)
    return np.asarray(dates.day_of_year - 1 + ((dates.month > 2) & ~dates.is_leap_year))


def climatology(values, days):
    """Mean of each day of the year over the years, smoothed over SEASON_DAYS days.

    From values (basin, day, feature) and their `days_of_year` to an array (basin, 366, feature), float32, NaN where no
    year has a value within half the window.
    """
    total = np.zeros((values.shape[0], 366, values.shape[2]))
    count = np.zeros_like(total)
    for day in np.unique(days):
        chosen = values[:, days == day]
        known = np.isfinite(chosen)
        total[:, day], count[:, day] = np.where(known, chosen, 0).sum(axis=1), known.sum(axis=1)
    reach = SEASON_DAYS // 2
    total, count = (sum(np.roll(a, k, axis=1) for k in range(-reach, reach + 1)) for a in (total, count))
    return np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)


def scores(observed, reading, observed_season, reading_season):
    """How well a reading follows a concept: DataFrame (basin; SCORES), NaN where undefined.

    All are arrays (basin, day) in the same units, NaN where missing; the seasons are climatologies of the fitting
    period. Anomalies are without each series' mean over the days that both have, or without its climatology.
    """
    known = np.isfinite(observed) & np.isfinite(reading)
    days = np.maximum(known.sum(axis=1, keepdims=True), 1)
    means = [np.where(known, v, 0).sum(axis=1, keepdims=True, dtype=np.float64) / days for v in (observed, reading)]
    table = cn_loss.score(observed, reading, ["r", "NSE"])
    table["NSE anomaly"] = cn_loss.score(observed - means[0], reading - means[1], ["NSE"])["NSE"]
    table["NSE deseasonalised"] = cn_loss.score(observed - observed_season, reading - reading_season, ["NSE"])["NSE"]
    return table


class Interval(NamedTuple):
    """A median over basins and its 95 % interval, NaN with fewer than two basins."""

    median: float
    low: float
    high: float
    basins: int


def median_interval(values) -> Interval:
    """Median of an array (basin,), NaN left out, and its 95 % interval by bootstrap over basins (percentiles)."""
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return Interval(float(values[0]) if len(values) else np.nan, np.nan, np.nan, len(values))
    # In batches, because a resample is as long as the list of basins; the numbers drawn are the same.
    options = {"n_resamples": 1000, "batch": 100, "method": "percentile", "rng": np.random.default_rng(SEED)}
    interval = bootstrap((values,), np.median, **options).confidence_interval
    return Interval(float(np.median(values)), float(interval.low), float(interval.high), len(values))
