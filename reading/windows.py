"""The statistics of the training period, and the windows that a training draws."""

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reading.prepared import Prepared, parse_day, parse_period, split
from writing.messages import InputError

IN_MEMORY_BYTES = 500e6  # a training set smaller than this is held in memory, a larger one is read from disk


class Moments:
    """Mean and variance of values that come in pieces (Chan et al. 1983, doi:10.1080/00031305.1983.10483115)."""

    def __init__(self):
        self.number, self.mean, self.variance = 0, 0.0, 0.0

    def add(self, values):
        """Take in the finite ones of an array of any shape."""
        values = values[np.isfinite(values)].astype(np.float64)
        if not len(values):
            return
        share = len(values) / (self.number + len(values))
        shift = values.mean() - self.mean
        self.variance = (1 - share) * self.variance + share * values.var() + share * (1 - share) * shift**2
        self.mean += share * shift
        self.number += len(values)

    def mean_and_std(self):
        """[mean, standard deviation], NaN without any value."""
        return [float(self.mean), float(np.sqrt(self.variance))] if self.number else [np.nan, np.nan]


@dataclass
class TrainingSet:
    """What the windows of a training are drawn from, and the statistics of its training period.

    Attributes
    ----------
    data : Prepared
    first_day : datetime64[D]
        Day 0 of `spans`.
    normalisation : dict
        JSON-able: period [start, end]; inputs, attributes, targets each {name: [mean, standard deviation]} in the
        variable's units over all basins, a standard deviation of 0 being 1; attribute_range and input_range, of the
        basins' means, each {name: [lowest, highest]}.
    basins : DataFrame (basin; mean_<target>, std_<target>)
        Mean and standard deviation of each basin's targets, NaN where a basin has no value.
    spans : array (basin, 3) of int
        First day with all inputs, first day with a target, day after the last with one; zeros where there is no target.
    scored : int
        Number of basin-days with a target.
    """

    data: Prepared
    first_day: np.datetime64
    normalisation: dict
    basins: pd.DataFrame
    spans: np.ndarray
    scored: int


def training_set(data, start, end, warmup_days=0):
    """The TrainingSet of the days from `start` to `end` of `data` (Prepared).

    `warmup_days` days before `start` may be simulated and count for nothing else. InputError if the period has no day
    in the data or a variable no value in it.
    """
    period = [str(day) for day in parse_period(start, end)]
    dates = data.dates(start, end, warmup_days)
    inside = dates >= parse_day(start)
    if len(data.basins) * len(dates) * (len(data.inputs) + len(data.targets)) * 4 < IN_MEMORY_BYTES:
        data = data.in_memory(dates)
    inputs, targets = ({name: Moments() for name in names} for names in (data.inputs, data.targets))
    attributes = {str(name): Moments() for name in data.attributes}
    rows, means, spans, scored = [], [], np.zeros((len(data.basins), 3), int), 0
    for b in range(len(data.basins)):
        forcing, observed = (values[0] for values in data.read([b], dates))
        observed[~inside] = np.nan
        of_basin = {name: Moments() for name in data.targets}
        for group, values in ((inputs, forcing[inside]), (targets, observed), (of_basin, observed)):
            for moments, series in zip(group.values(), values.T, strict=True):
                moments.add(series)
        rows.append(np.transpose([moments.mean_and_std() for moments in of_basin.values()]).ravel())
        means.append(pd.DataFrame(forcing[inside], columns=data.inputs, dtype=float).mean())
        there = np.flatnonzero(np.isfinite(observed).any(axis=1))
        if len(there):
            spans[b] = np.argmax(np.isfinite(forcing).all(axis=1)), there[0], there[-1] + 1
            scored += len(there)
    for moments, values in zip(attributes.values(), data.attributes.to_numpy().T, strict=True):
        moments.add(values)
    ends = {str(name): [float(values.min()), float(values.max())] for name, values in data.attributes.items()}
    normalisation = {"period": period, "attributes": {}, "attribute_range": ends}
    for kind, group in (("attributes", attributes), ("inputs", inputs), ("targets", targets)):
        normalisation[kind] = {name: moments.mean_and_std() for name, moments in group.items()}
        for name, (mean, std) in normalisation[kind].items():
            if np.isnan(mean):
                words = "choose another period or leave it out"
                raise InputError(f"{name} has no value from {' to '.join(period)}; {words}.")
            normalisation[kind][name][1] = std if std > 0 else 1.0
    ends = {name: [float(values.min()), float(values.max())] for name, values in pd.DataFrame(means).items()}
    normalisation["input_range"] = ends
    columns = [f"{statistic}_{name}" for statistic in ("mean", "std") for name in data.targets]
    basins = pd.DataFrame(rows, index=data.basins, columns=columns)
    return TrainingSet(data, dates[0], normalisation, basins, spans, scored)


def training_windows(training, window, batch_size, warmup_days, rng, share=(0, 1)):
    """The windows of one epoch: every day from a basin's first target to its last is scored in exactly one of them.

    Parameters
    ----------
    training : TrainingSet
    window : int
        Scored days per window.
    batch_size : int
    warmup_days : int
        Days before a window that are simulated and not scored; NaN where the record has not begun.
    rng : numpy.random.Generator
        Gives each basin its phase (in the order of the sorted ids, so the list's order changes nothing) and shuffles.
    share : (index, count), default (0, 1)
        Draw only this one of `count` equal consecutive parts of every batch, for one of several processes.

    Yields
    ------
    (x, y)
        x: forcing (batch, window, input) and attributes (batch, attribute) in their units, with warm-up days also
        before (batch, warmup, input), and basin_std (batch, target) in the target's; y: (batch, window, target), NaN
        where not scored. Windows shorter than full are padded with NaN at the end, the last batch with windows that are
        NaN throughout: all batches have one shape.
    """
    data, (index, count) = training.data, share
    basin_std = training.basins[[f"std_{name}" for name in data.targets]]
    by_basin = {"attributes": data.attributes.to_numpy(np.float32), "basin_std": basin_std.to_numpy(np.float32)}
    table = rng.permutation(window_table(training, window, warmup_days, rng))
    size = batch_size // count
    for at in range(0, len(table), batch_size):
        rows = table[at : at + batch_size][index * size : (index + 1) * size]
        days = np.full((size, warmup_days + window, len(data.inputs) + len(data.targets)), np.nan, np.float32)
        for one, (basin, begin, scored, end) in zip(days, rows, strict=False):
            ahead = warmup_days - (scored - begin)  # days of the warm-up before the record's first
            one[ahead : ahead + end - begin] = data.days(basin, training.first_day + begin, end - begin)
        forcing, y = split(days, len(data.inputs))
        x, y = {"forcing": forcing[:, warmup_days:]}, y[:, warmup_days:]
        if warmup_days:
            x["before"] = forcing[:, :warmup_days]
        for name, values in by_basin.items():
            x[name] = np.zeros((size, values.shape[1]), np.float32)
            x[name][: len(rows)] = values[rows[:, 0]]
        yield x, y


def window_table(training, window, warmup_days, rng):
    """Rows (basin, first day, first scored day, day after the last) of all windows, days counted from `first_day`."""
    rows = []
    for b in np.argsort(training.data.basins):
        phase = int(rng.integers(window))
        record, first, last = (int(day) for day in training.spans[b])
        cuts = sorted({first, *range(first + phase, last, window), last})  # a single one where there is no target
        rows += [(b, max(begin - warmup_days, record), begin, end) for begin, end in itertools.pairwise(cuts)]
    if not rows:
        raise InputError("No basin has a day with forcing and a target in the training period.")
    return np.array(rows)
