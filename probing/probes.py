"""The numbers behind LSTM_probe.py: linear probes, their controls and scores. Arrays in, arrays out.

A probe is a linear regression from features of a day (cell states, or weather) to a concept of that day. It is fitted
from sums of products, one matrix per group of basins, so that neither the states of all basins nor those of all days
are ever held at once:

    grams = np.stack([moments(features[group == g], target[group == g]) for g in range(5)])
    probe = fit(grams)                                        # alpha chosen by leaving out one group at a time
    reading = features @ probe.weights + probe.intercept
"""

import itertools
import tempfile
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

import cn_loss

ALPHAS = 10.0 ** np.arange(-6, 1)  # ridge penalties tried, relative to the number of days and standardised features
SEASON_DAYS = 15  # width of the window that smooths a day-of-year climatology
SCORES = ("r", "NSE", "NSE anomaly", "NSE deseasonalised")
FOLDS = 5  # groups of basins
# Readers: what a probe reads in which features, and the controls.
REAL, SPARSE, JOINT = "cell states", "cell states, few units", "cell states, joint probe"
SHIFTED, UNTRAINED, SEASON = "concept of other years", "untrained LSTM", "day-of-year mean"
TODAY, WEATHER = "weather of the day", "weather, means to 365 days"
# How a probe is scored: in another period than it was fitted on, on the same or on other basins.
PERIOD, BASINS = "other period", "other basins"


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
    pandas.DataFrame (basin; SCORES), NaN where undefined
        r; NSE; NSE of the anomalies (each series minus its own mean over the days that both have); NSE of the
        deseasonalised anomalies (each minus its own climatology).
    """
    known = np.isfinite(observed) & np.isfinite(reading)
    days = np.maximum(known.sum(axis=1, keepdims=True), 1)
    anomalies = [
        values - np.where(known, values, 0).sum(axis=1, keepdims=True, dtype=np.float64) / days
        for values in (observed, reading)
    ]
    deseasonalised = observed - observed_season, reading - reading_season
    table = cn_loss.score(observed, reading, ["r", "NSE"])
    table["NSE anomaly"] = cn_loss.score(*anomalies, ["NSE"])["NSE"]
    table["NSE deseasonalised"] = cn_loss.score(*deseasonalised, ["NSE"])["NSE"]
    return table


def nearness(reading, learned, independent, slots):
    """How near a reading, the observation that its model learned and an independent one are to each other.

    Parameters
    ----------
    reading, learned, independent : array (basin, day)
        In the same unit; the days that all of them have are compared.
    slots : array (day,) of int
        From `season_slots`.

    Returns
    -------
    pandas.DataFrame (basin)
        For each pair RMSE, r, and r without each series' own day-of-year mean; the partial r, so deseasonalised, of the
        reading with the independent one, the learned one being given: what it knows beyond what it was told.
    """
    known = np.isfinite(reading) & np.isfinite(learned) & np.isfinite(independent)
    series = {"reading": reading, "learned": learned, "independent": independent}
    table = {}
    for one, other in itertools.combinations(series, 2):
        pair = [np.where(known, series[name], np.nan).astype(np.float64) for name in (one, other)]
        found = cn_loss.score(*pair, ["RMSE", "r"])
        seasons = [climatology(values[..., None], slots)[:, slots, 0] for values in pair]
        table |= {f"{metric} {one}-{other}": found[metric] for metric in found}
        table[f"r deseasonalised {one}-{other}"] = cn_loss.score(pair[0] - seasons[0], pair[1] - seasons[1], ["r"])["r"]
    told, other, beyond = (table[f"r deseasonalised {p}"] for p in
                           ("reading-learned", "learned-independent", "reading-independent"))  # fmt: skip
    table["partial r"] = (beyond - told * other) / np.sqrt((1 - told**2) * (1 - other**2))
    return pd.DataFrame(table)


class Interval(NamedTuple):
    """A median over basins and its 95 % interval."""

    median: float
    low: float
    high: float
    basins: int


def median_interval(values, resamples=1000, seed=0) -> Interval:
    """Median over basins and its 95 % interval by bootstrap over basins (percentiles).

    Parameters
    ----------
    values : array (basin,)
        NaN is left out.
    resamples : int, default 1000
    seed : int, default 0
    """
    from scipy.stats import bootstrap

    values = values[np.isfinite(values)]
    if len(values) < 2:
        value = float(values[0]) if len(values) else np.nan
        return Interval(value, value, value, len(values))
    # In batches, because a resample is as long as the list of basins; the numbers drawn are the same.
    options = {"n_resamples": resamples, "batch": 100, "method": "percentile", "rng": np.random.default_rng(seed)}
    interval = bootstrap((values,), np.median, **options).confidence_interval
    return Interval(float(np.median(values)), float(interval.low), float(interval.high), len(values))


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
        if known.sum() > 1:
            table = pd.DataFrame(x[known].astype(np.float64))
            found[b] = table.corrwith(pd.Series(y[known].astype(np.float64)))
    return found


def fold_of_basins(basins, seed):
    """Group 0 to 4 of each basin, the same whatever their order."""
    rank = np.empty(len(basins), int)
    rank[np.argsort(basins)] = np.random.default_rng(seed).permutation(len(basins))
    return rank % min(FOLDS, len(basins))


def joint_probes(model, names):
    """The probe that was trained with the model, per concept, as a reading in the concept's unit."""
    found = {}
    for name in set(names) & set(model.targets[1:]):
        k = model.targets.index(name)
        mean, std = (np.asarray(v, np.float64)[k] for v in (model.target_scale.mean, model.target_scale.std))
        weights, bias = (v.astype(np.float64)[..., k - 1] for v in model.probe.get_weights())
        found[name] = Probe(weights * std, float(bias * std + mean), 0.0)
    return found


# Readings: all probes and controls, basin group by basin group


class Group(NamedTuple):
    """Some basins in a period: features (basin, day, feature), targets (basin, day, concept), days with all inputs."""

    basins: slice
    features: np.ndarray
    targets: np.ndarray
    valid: np.ndarray


@dataclass
class Fits:
    """The probe fitted on all basins, and those fitted without each group of them (none for the joint probe)."""

    every: Probe
    without: list

    def chosen(self, split, fold):
        """Weights (basin, feature) and intercepts (basin, 1) with which basins of these groups are read."""
        probes = [self.every if split == PERIOD else self.without[k] for k in fold]
        return np.stack([p.weights for p in probes]), np.array([[p.intercept] for p in probes])


class Readings:
    """What each reader (a kind of features with its probe, or a control) reads for each concept, and its scores.

    Basins come group by group; features are not kept, but for their climatologies, which lie in a temporary file.

    Parameters
    ----------
    concepts : list of str
    fold : array (basin,) of int
        From `fold_of_basins`.
    fit_dates, dates : array (day,) of datetime64
        Days of the fitting and of the scoring period.
    keep : function (reader, concept, basins, reading (basin, day))
        Takes the readings of the scoring period by probes fitted on all basins, NaN where there is none.
    folder : path, optional
        Of the temporary file; the system's own, which may lie in memory, if not given.

    Attributes
    ----------
    fits : dict (concept, reader) -> Fits
    season : dict concept -> array (basin, 366)
        Climatology in the fitting period.
    """

    def __init__(self, concepts, fold, fit_dates, dates, keep, folder=None):
        self.concepts, self.fold, self.keep, self.folder = concepts, fold, keep, folder
        self.fit_slots, self.slots = season_slots(fit_dates), season_slots(dates)
        self.fits, self.tables = {}, []
        self.season = {name: np.full((len(fold), 366), np.nan, np.float32) for name in concepts}

    def add(self, reader, fit_groups, groups, extra=(), joint=None):
        """Fit probes on the features of the fitting period and read the scoring period with them.

        Parameters
        ----------
        reader : str
        fit_groups, groups : iterable of Group
            The fitting and the scoring period; each is gone through once.
        extra : collection of str
            SPARSE and SHIFTED are fitted on the same features too.
        joint : dict concept -> Probe, optional
            The probe that was trained with the model, as the reader JOINT.
        """
        kinds = [reader, *([SHIFTED] if SHIFTED in extra else [])]
        with tempfile.TemporaryFile(dir=self.folder) as file:
            grams = self._products(fit_groups, kinds, file)
            found = {job: Fits(fit(gram), [fit(np.delete(gram, k, 0)) for k in range(len(gram))])
                     for job, gram in grams.items()}  # fmt: skip
            for name in self.concepts if SPARSE in extra else ():
                gram, full = grams[name, reader], found[name, reader]
                without = [fit_sparse(np.delete(gram, k, 0), full.without[k].alpha) for k in range(len(gram))]
                found[name, SPARSE] = Fits(fit_sparse(gram, full.every.alpha), without)
            found |= {(name, JOINT): Fits(probe, []) for name, probe in (joint or {}).items()}
            self.fits |= found
            for group in groups:
                seasons = self._seasons(group, file)
                for (name, kind), fits in found.items():
                    self._read(name, kind, fits, group, seasons)

    def _products(self, groups, kinds, file):
        """Sums of products of every fit, by groups of basins, and the climatology of the features, in a file."""
        grams = {}
        for group in groups:
            if not grams:
                number, folds = group.features.shape[2], self.fold.max() + 1
                jobs = [(name, kind) for kind in kinds for name in self.concepts]
                grams = {job: np.zeros((folds, number + 2, number + 2)) for job in jobs}
            self._seasons(group, file)[:] = climatology(group.features, self.fit_slots)
            fold = self.fold[group.basins]
            for k, name in enumerate(self.concepts):
                target = group.targets[..., k]
                self.season[name][group.basins] = climatology(target[..., None], self.fit_slots)[..., 0]
                for kind in kinds:
                    aim = shift_years(target) if kind == SHIFTED else target
                    for g in np.unique(fold):
                        grams[name, kind][g] += moments(group.features[fold == g], aim[fold == g])
        return grams

    def _seasons(self, group, file):
        """Climatology (basin, 366, feature) of a group's features, in a file of those of all basins.

        Mapped anew each time: the pages that were touched then do not pile up as memory of this process.
        """
        return np.memmap(file, np.float32, "r+", shape=(len(self.fold), 366, group.features.shape[2]))[group.basins]

    def _read(self, name, kind, fits, group, seasons):
        """Read one concept in a group of basins, keep the reading and score it."""
        target = group.targets[..., self.concepts.index(name)]
        observed = shift_years(target) if kind == SHIFTED else target
        for split in (PERIOD, BASINS) if fits.without else (PERIOD,):
            weights, intercept = fits.chosen(split, self.fold[group.basins])
            reading = (group.features @ weights[..., None].astype(np.float32))[..., 0] + intercept
            reading = np.where(group.valid, reading, np.nan)
            season = (seasons @ weights[..., None])[..., 0] + intercept
            self._score(split, name, kind, group.basins, observed, reading, season)

    def add_season(self, groups):
        """The control that knows the date alone: the basin's own climatology, or the mean of the other basins'."""
        others = {name: np.full_like(season, np.nan) for name, season in self.season.items()}
        for name, season in self.season.items():
            for k in np.unique(self.fold):
                rest = season[self.fold != k]
                known = np.isfinite(rest).sum(axis=0)
                mean = np.where(known > 0, np.nansum(rest, axis=0) / np.maximum(known, 1), np.nan)
                others[name][self.fold == k] = mean
        for group in groups:
            for k, name in enumerate(self.concepts):
                for split, season in ((PERIOD, self.season[name]), (BASINS, others[name])):
                    season = season[group.basins]
                    target = group.targets[..., k]
                    self._score(split, name, SEASON, group.basins, target, season[:, self.slots], season)

    def _score(self, split, name, reader, basins, observed, reading, reading_season):
        if split == PERIOD:
            self.keep(reader, name, basins, reading)
        table = scores(observed, reading, self.season[name][basins][:, self.slots], reading_season[:, self.slots])
        table["gap"] = table["NSE anomaly"] - table["NSE"]  # what a wrong level of the catchment costs
        positions = np.arange(len(self.fold))[basins]
        self.tables.append(table.assign(split=split, concept=name, reader=reader, position=positions))

    def scores(self, basins, counted, note):
        """Tidy table: split, concept, reader, basin, the scores, and whether the basin counts.

        Parameters
        ----------
        basins : array (basin,) of str
        counted : dict concept -> array (basin,) of bool
        note : str
            Of basins that do not count.
        """
        table = pd.concat(self.tables)
        order = [REAL, SPARSE, JOINT, "another run", UNTRAINED, TODAY, WEATHER, SHIFTED, SEASON]
        place = {
            "split": [PERIOD, BASINS].index,
            "concept": self.concepts.index,
            "reader": lambda reader: order.index(reader if reader in order else "another run"),
        }
        keys = [*place, "position"]
        table = table.sort_values(keys, key=lambda v: v.map(place[v.name]) if v.name in place else v, kind="stable")
        judged = [counted[name][b] for name, b in zip(table["concept"], table["position"], strict=True)]
        table["note"] = np.where(judged, "", note)
        table["basin"] = np.asarray(basins)[table["position"]]
        return table[["split", "concept", "reader", "basin", *SCORES, "gap", "note"]].reset_index(drop=True)


# Single cell states


@dataclass
class UnitStatistics:
    """What single cell states do over a period.

    Attributes
    ----------
    r : dict concept -> array (basin, unit)
        Of the state with the concept.
    deviation : array (unit,)
        Standard deviation over all days.
    memory_days, memory_stored_days : array (unit,)
        e-folding time by the mean logarithm of the forget gate: over all days, and weighted by |c|, which counts the
        days on which something is stored.
    covariance : array (unit, unit)
        Within basins.
    """

    r: dict
    deviation: np.ndarray
    memory_days: np.ndarray
    memory_stored_days: np.ndarray
    covariance: np.ndarray


def unit_statistics(groups, concepts, basins):
    """Statistics of single cell states.

    Parameters
    ----------
    groups : iterable of (Group, array)
        The group's features are cell states, and the array (basin, day, unit) their forget gates.
    concepts : list of str
    basins : int
        Number of basins in all groups.
    """
    r = {}
    for group, forget in groups:
        units = group.features.shape[2]
        if not r:
            # Sums over days: 1, c, c2, log f, |c|, |c| log f of each unit; and products of the states within basins.
            sums, products = np.zeros((6, units)), np.zeros((units, units))
            r = {name: np.full((basins, units), np.nan) for name in concepts}
        loss = np.log(np.maximum(forget, 1e-6))
        for b, days in enumerate(group.valid):
            c, log_f = group.features[b, days].astype(np.float64), loss[b, days]
            sums += np.stack([v.sum(0) for v in (np.ones_like(c), c, c**2, log_f, abs(c), abs(c) * log_f)])
            c -= c.mean(0) if len(c) else 0
            products += c.T @ c
        for k, name in enumerate(concepts):
            r[name][group.basins] = correlations(group.features, group.targets[..., k])
    days, total, squares, loss, stored, stored_loss = sums
    deviation = np.sqrt(np.maximum(squares / days - (total / days) ** 2, 0))
    held = memory_days(stored_loss / np.maximum(stored, 1e-9))
    return UnitStatistics(r, deviation, memory_days(loss / days), held, products / days[0])


def memory_days(mean_log_forget):
    """Days after which a state has decayed to 1/e, from the mean logarithm of its forget gate: −1 / mean(log f)."""
    return -1 / np.minimum(mean_log_forget, -1e-9)
