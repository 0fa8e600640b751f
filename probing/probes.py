"""The numbers behind LSTM_probe.py: linear probes, their controls and scores. Arrays in, arrays out.

A probe is a linear regression from features of a day (cell states, or weather) to a concept of that day. It is fitted
from sums of products, one matrix per group of basins, so that neither the states of all basins nor those of all days
are ever held at once:

    grams = np.stack([moments(features[group == g], target[group == g]) for g in range(5)])
    probe = fit(grams)                                        # alpha chosen by leaving out one group at a time
    reading = features @ probe.weights + probe.intercept
"""

import tempfile
import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import bootstrap
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path

import cn_loss
from reading.concepts import times_of
from writing.messages import note

ALPHAS = 10.0 ** np.arange(-6, 1)  # ridge penalties tried, relative to the number of days and standardised features
SEASON_DAYS = 15  # width of the window that smooths a day-of-year mean
SCORES = ("r", "NSE", "NSE anomaly", "NSE deseasonalised")
FOLDS = 5  # groups of basins
# Readers: what a probe reads in which features, and the controls.
REAL, SPARSE, JOINT = "cell states", "cell states, few units", "cell states, joint probe"
SHIFTED, UNTRAINED, SEASON = "concept of other years", "untrained LSTM", "day-of-year mean"
TODAY, WEATHER = "weather of the day", "weather, means to 365 days"
# How a probe is scored: in another period than it was fitted on, on the same or on other basins.
PERIOD, BASINS = "other period", "other basins"


class Probe(NamedTuple):
    """reading = features @ weights + intercept, in the units of the concept; alpha is the ridge penalty chosen."""

    weights: np.ndarray
    intercept: float
    alpha: float


def moments(features, target):
    """Sums of products that a linear regression needs; they add up over basins.

    From features (basin, day, feature) and a target (basin, day), whose NaN are left out, to the array
    (feature + 2, feature + 2) A'A of the rows A = (1, features, target).
    """
    known = np.isfinite(target)
    rows = np.empty((int(known.sum()), features.shape[-1] + 2))
    rows[:, 0], rows[:, 1:-1], rows[:, -1] = 1, features[known], target[known]
    return rows.T @ rows


def ridge(gram, alpha):
    """Ridge regression from sums of products, on standardised features.

    Equal to ``sklearn.linear_model.Ridge(alpha * days)`` on features that were standardised first, with the weights
    turned back to the features' own scale. A feature that never changes gets no weight; all is NaN if there are fewer
    than two days. `gram` is that of `moments`.
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


def explained(grams, alpha):
    """Share of the target's variance explained in groups of basins that were left out of the fit, in turn.

    That is 1 − squared error / squared deviation from the overall mean; NaN with fewer than two groups that have data.
    `grams` is an array (group, feature + 2, feature + 2), `alpha` the penalty of `ridge`.
    """
    grams = grams[grams[:, 0, 0] > 0]
    total = grams.sum(axis=0)
    if len(grams) < 2:
        return np.nan
    error = 0
    for gram in grams:
        probe = ridge(total - gram, alpha)
        residual = np.concatenate([[-probe.intercept], -probe.weights, [1]])
        error += max(float(residual @ gram @ residual), 0.0)
    spread = total[-1, -1] - total[0, -1] ** 2 / total[0, 0]
    return 1 - error / spread if spread > 0 else np.nan


def fit(grams):
    """Ridge probe on all groups, its penalty chosen among ALPHAS by leaving out one group of basins at a time."""
    skills = np.nan_to_num([explained(grams, alpha) for alpha in ALPHAS], nan=-np.inf)
    return ridge(grams.sum(axis=0), ALPHAS[int(np.argmax(skills))])


def fit_sparse(grams, alpha, share=0.95, l1_ratio=0.9):
    """The fewest features, as an elastic net picks them, that keep a share of the skill of all.

    The elastic net (Zou & Hastie 2005, doi:10.1111/j.1467-9868.2005.00503.x) orders the features along its path; each
    selection is fitted again by ridge with the penalty `alpha`, because the net shrinks the weights it keeps. Skill is
    `explained`. The weights of features left out are 0, all of them when all features together have no skill.
    """
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
    rows, aim = np.zeros((number, number)), np.zeros(number)
    rows[: len(root)] = np.sqrt(number) * root[:, None] * vectors[:, kept].T
    aim[: len(root)] = np.sqrt(number) * (vectors[:, kept].T @ (cross / scale)) / root
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of few days; it gives an order all the same
        path = enet_path(rows, aim, l1_ratio=l1_ratio, eps=1e-4)[1].T
    for selection in pd.DataFrame(path != 0).drop_duplicates().to_numpy()[1:]:  # the first has no feature
        within = np.concatenate([[True], selection, [True]])
        part = grams[:, within][:, :, within]
        if explained(part, alpha) >= goal:
            found = ridge(part.sum(axis=0), alpha)
            weights[selection] = found.weights
            return Probe(weights, found.intercept, alpha)
    return ridge(total, alpha)


def trailing_means(forcing, windows):
    """Means of the forcing over the last days, the day itself included; fewer days where the record begins.

    From an array (basin, day, input) and lengths in days to an array (basin, day, input * windows), float32.
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

    Season and catchment stay, the day's own weather does not. NaN with fewer than two whole years, and on the days
    after the last whole year. `target` is an array (basin, day).
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

    From values (basin, day, feature), NaN where missing, and their `days_of_year` to an array (basin, 366, feature),
    float32, NaN where no year has a value within half the window.
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
    """Per basin, how well a reading follows a concept.

    All are arrays (basin, day) in the same units, NaN where missing; the seasons are climatologies from the fitting
    period. A table (basin; SCORES), NaN where undefined: r; NSE; NSE of the anomalies (each series minus its own mean
    over the days that both have); NSE of the deseasonalised anomalies (each minus its own climatology).
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


def median_interval(values, seed=0) -> Interval:
    """Median of an array (basin,), NaN left out, and its 95 % interval by bootstrap over basins (percentiles)."""
    values = values[np.isfinite(values)]
    if len(values) < 2:
        return Interval(float(values[0]) if len(values) else np.nan, np.nan, np.nan, len(values))
    # In batches, because a resample is as long as the list of basins; the numbers drawn are the same.
    options = {"n_resamples": 1000, "batch": 100, "method": "percentile", "rng": np.random.default_rng(seed)}
    interval = bootstrap((values,), np.median, **options).confidence_interval
    return Interval(float(np.median(values)), float(interval.low), float(interval.high), len(values))


def fold_of_basins(basins, seed):
    """Group 0 to 4 of each basin, the same whatever their order."""
    rank = np.empty(len(basins), int)
    rank[np.argsort(basins)] = np.random.default_rng(seed).permutation(len(basins))
    return rank % min(FOLDS, len(basins))


def joint_probes(model):
    """The probe that was trained with the model: a Probe for each concept it learned, in the units of the training."""
    if not model.probe:
        return {}
    means, stds = (np.asarray(v, np.float64)[1:] for v in (model.target_scale.mean, model.target_scale.std))
    kernel, bias = (values.astype(np.float64) for values in model.probe.get_weights())
    weights, intercepts = (kernel * stds).T, bias * stds + means
    return {name: Probe(weights[k], float(intercepts[k]), 0.0) for k, name in enumerate(model.targets[1:])}


def converted(joint, trained, wanted):
    """The `joint_probes` of a model in the units in which concepts are looked for now: dict concept -> Probe.

    `trained` and `wanted` are the concepts (list of reading.concepts.Concept) as the model learned them, and as they
    are looked for. One that is of another column now is left out, with a note: another series is not its own.
    InputError if units cannot be converted, or contradict the factors.
    """
    trained, found = {concept.name: concept for concept in trained}, {}
    for new in wanted:
        if new.name not in joint:
            continue
        old, probe = trained[new.name], joint[new.name]
        times = times_of(old, new)
        if times is None:
            note(f"{new.name} is {new.column} here, and was {old.column} in training: there is no joint probe of it.")
            continue
        found[new.name] = probe._replace(weights=probe.weights * times, intercept=probe.intercept * times)
    return found


class Batch(NamedTuple):
    """Some basins in a period: features (basin, day, feature), targets (basin, day, concept), days with all inputs."""

    basins: slice
    features: np.ndarray
    targets: np.ndarray
    valid: np.ndarray


class Fits(NamedTuple):
    """The probe fitted on all basins, and those fitted without each group of them (none for the joint probe)."""

    every: Probe
    without: list


class Readings:
    """What each reader (a kind of features with its probe, or a control) reads for each concept, and its scores.

    Basins are processed in batches; features are not kept, but for their climatologies, which lie in a temporary file.
    `fits` is a dict (concept, reader) -> Fits of all that has been added.

    Parameters
    ----------
    concepts, readers : list of str
        In the order of the table of scores.
    fold : array (basin,) of int
        From `fold_of_basins`.
    fit_dates, dates : array (day,) of datetime64
        Days of the fitting and of the scoring period.
    keep : function (reader, concept, basins, reading (basin, day))
        Takes the readings of the scoring period by probes fitted on all basins, NaN where there is none.
    folder : path, optional
        Of the temporary file; the system's own, which may lie in memory, if not given.
    """

    def __init__(self, concepts, readers, fold, fit_dates, dates, keep, folder=None):
        self.concepts, self.readers, self.fold, self.keep, self.folder = concepts, readers, fold, keep, folder
        self.fit_days, self.days = days_of_year(fit_dates), days_of_year(dates)
        self.fits, self.tables = {}, []
        # Climatology of each concept in the fitting period.
        self.season = {name: np.full((len(fold), 366), np.nan, np.float32) for name in concepts}

    def add(self, reader, fit_batches, batches, extra=(), joint=None):
        """Fit probes on the features of the fitting period and read the scoring period with them.

        `fit_batches` and `batches` are iterables of Batch, each used once. SPARSE and SHIFTED are fitted on the same
        features if they are in `extra`; `joint` (dict concept -> Probe), trained with the model, reads them as JOINT.
        """
        kinds = [reader, SHIFTED] if SHIFTED in extra else [reader]
        with tempfile.TemporaryFile(dir=self.folder) as file:
            grams = self._products(fit_batches, kinds, file)
            found = {job: Fits(fit(gram), [fit(np.delete(gram, k, 0)) for k in range(len(gram))])
                     for job, gram in grams.items()}  # fmt: skip
            for name in self.concepts if SPARSE in extra else ():
                gram, full = grams[name, reader], found[name, reader]
                without = [fit_sparse(np.delete(gram, k, 0), full.without[k].alpha) for k in range(len(gram))]
                found[name, SPARSE] = Fits(fit_sparse(gram, full.every.alpha), without)
            found |= {(name, JOINT): Fits(probe, []) for name, probe in (joint or {}).items()}
            self.fits |= found
            for batch in batches:
                seasons = self._seasons(batch, file)
                for (name, kind), fits in found.items():
                    self._read(name, kind, fits, batch, seasons)

    def _products(self, batches, kinds, file):
        """Sums of products of every fit, by groups of basins, and the climatology of the features, in a file."""
        grams = {}
        for batch in batches:
            if not grams:
                number, folds = batch.features.shape[2], self.fold.max() + 1
                jobs = [(name, kind) for kind in kinds for name in self.concepts]
                grams = {job: np.zeros((folds, number + 2, number + 2)) for job in jobs}
            self._seasons(batch, file)[:] = climatology(batch.features, self.fit_days)
            fold = self.fold[batch.basins]
            for k, name in enumerate(self.concepts):
                target = batch.targets[..., k]
                self.season[name][batch.basins] = climatology(target[..., None], self.fit_days)[..., 0]
                for kind in kinds:
                    aim = shift_years(target) if kind == SHIFTED else target
                    for g in np.unique(fold):
                        grams[name, kind][g] += moments(batch.features[fold == g], aim[fold == g])
        return grams

    def _seasons(self, batch, file):
        """Climatology (basin, 366, feature) of a batch's features, in a file of those of all basins.

        Mapped anew each time: the pages that were touched then do not pile up as memory of this process.
        """
        return np.memmap(file, np.float32, "r+", shape=(len(self.fold), 366, batch.features.shape[2]))[batch.basins]

    def _read(self, name, kind, fits, batch, seasons):
        """Read one concept in a batch of basins, keep the reading and score it."""
        target = batch.targets[..., self.concepts.index(name)]
        observed = shift_years(target) if kind == SHIFTED else target
        for split in (PERIOD, BASINS) if fits.without else (PERIOD,):
            used = [fits.every if split == PERIOD else fits.without[k] for k in self.fold[batch.basins]]
            weights, intercept = np.stack([p.weights for p in used]), np.array([[p.intercept] for p in used])
            reading = (batch.features @ weights[..., None].astype(np.float32))[..., 0] + intercept
            reading = np.where(batch.valid, reading, np.nan)
            season = (seasons @ weights[..., None])[..., 0] + intercept
            self._score(split, name, kind, batch.basins, observed, reading, season)

    def add_season(self, batches):
        """The control that knows the date alone: the basin's own climatology, or the mean of the other basins'."""
        others = {name: np.empty_like(season) for name, season in self.season.items()}
        for name, season in self.season.items():
            for k in np.unique(self.fold):
                rest = season[self.fold != k]
                known = np.isfinite(rest).sum(axis=0)
                others[name][self.fold == k] = np.nansum(rest, axis=0) / np.where(known > 0, known, np.nan)
        for batch in batches:
            for k, name in enumerate(self.concepts):
                for split, season in ((PERIOD, self.season[name]), (BASINS, others[name])):
                    season, target = season[batch.basins], batch.targets[..., k]
                    self._score(split, name, SEASON, batch.basins, target, season[:, self.days], season)

    def _score(self, split, name, reader, basins, observed, reading, reading_season):
        if split == PERIOD:
            self.keep(reader, name, basins, reading)
        table = scores(observed, reading, self.season[name][basins][:, self.days], reading_season[:, self.days])
        table["gap"] = table["NSE anomaly"] - table["NSE"]  # what a wrong level of the catchment costs
        positions = np.arange(len(self.fold))[basins]
        self.tables.append(table.assign(split=split, concept=name, reader=reader, position=positions))

    def scores(self, basins, counted, remark):
        """Tidy table: split, concept, reader, basin, the scores, and the note `remark` where the basin does not count.

        `basins` is an array (basin,) of str, `counted` a dict concept -> array (basin,) of bool.
        """
        order = {"split": [PERIOD, BASINS], "concept": self.concepts, "reader": self.readers}
        table = pd.concat(self.tables).sort_values(
            [*order, "position"], key=lambda v: v.map(order[v.name].index) if v.name in order else v, kind="stable"
        )
        judged = [counted[name][b] for name, b in zip(table["concept"], table["position"], strict=True)]
        table["note"] = np.where(judged, "", remark)
        table["basin"] = np.asarray(basins)[table["position"]]
        return table[["split", "concept", "reader", "basin", *SCORES, "gap", "note"]].reset_index(drop=True)
