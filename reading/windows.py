"""The statistics of the training period, and the windows that a training draws."""

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reading.prepared import Prepared, parse_day, parse_period, split
from writing.messages import InputError

IN_MEMORY_BYTES = 500e6  # a training set smaller than this is held in memory, a larger one is read from disk


@dataclass
class TrainingSet:
    """What the windows of a training are drawn from, and the statistics of its training period."""

    data: Prepared
    first_day: np.datetime64  # day 0 of `spans`
    # JSON-able: period [start, end]; inputs, attributes, targets each {name: [mean, standard deviation]} in the
    # variable's units over all basins, a standard deviation of 0 being 1; attribute_range {name: [lowest, highest]}.
    normalisation: dict
    basins: pd.DataFrame  # (basin; mean_<target>, std_<target>), NaN where a basin has no value
    spans: np.ndarray  # (basin, 3): first day with all inputs, first with a target, day after the last; else zeros
    scored: int  # number of basin-days with a target


def training_set(data, start, end, warmup_days=0, base=None):
    """The TrainingSet of the days from `start` to `end` (str) of `data` (Prepared).

    The `warmup_days` before `start` may be simulated and count for nothing else. `base` is the normalisation of the run
    that a training starts from: its statistics hold, and the range of the attributes holds both's. InputError if the
    period has no day in the data or a variable no value in it, but for what a base knows.
    """
    from sklearn.preprocessing import StandardScaler

    period = [str(day) for day in parse_period(start, end)]
    dates = data.dates(start, end, warmup_days)
    inside = dates >= parse_day(start)
    if len(data.basins) * len(dates) * (len(data.inputs) + len(data.targets)) * 4 < IN_MEMORY_BYTES:
        data = data.in_memory(dates)
    names = {"inputs": data.inputs, "attributes": [str(name) for name in data.attributes], "targets": data.targets}
    scalers = {kind: {name: StandardScaler() for name in names[kind]} for kind in names}

    def add(kind, values):
        """Take in the values (row, variable) that are there; a scaler that meets NaN alone would never leave it."""
        for scaler, series in zip(scalers[kind].values(), values.astype(np.float64).T, strict=True):
            if len(known := series[np.isfinite(series)]):
                scaler.partial_fit(known[:, None])

    add("attributes", data.attributes.to_numpy())
    rows, spans, scored = [], np.zeros((len(data.basins), 3), int), 0
    for b in range(len(data.basins)):
        forcing, observed = (values[0] for values in data.read([b], dates))
        observed[~inside] = np.nan
        add("inputs", forcing[inside])
        add("targets", observed)
        targets = pd.DataFrame(observed, dtype=float)
        rows.append([*targets.mean(), *targets.std(ddof=0)])
        scored_days = np.flatnonzero(np.isfinite(observed).any(axis=1))
        if len(scored_days):
            spans[b] = np.argmax(np.isfinite(forcing).all(axis=1)), scored_days[0], scored_days[-1] + 1
            scored += len(scored_days)
    columns = [f"{statistic}_{name}" for statistic in ("mean", "std") for name in data.targets]
    basins = pd.DataFrame(rows, index=data.basins, columns=columns)
    ranges = {str(name): [float(values.min()), float(values.max())] for name, values in data.attributes.items()}
    if base:
        ends = {name: [*base["attribute_range"][name], *ranges[name]] for name in ranges}
        ranges = {name: [min(values), max(values)] for name, values in ends.items()}
    normalisation = {**(base or {}), "period": period, "attribute_range": ranges}
    for kind, group in scalers.items() if not base else ():
        if empty := [name for name, scaler in group.items() if not hasattr(scaler, "mean_")]:
            instead = "choose another period or leave it out"
            raise InputError(f"{empty[0]} has no value from {' to '.join(period)}; {instead}.")
        normalisation[kind] = {name: [float(s.mean_[0]), float(s.scale_[0])] for name, s in group.items()}
    return TrainingSet(data, dates[0], normalisation, basins, spans, scored)


def training_windows(training, window, batch_size, warmup_days, rng, share=(0, 1)):
    """The windows of one epoch: every day from a basin's first target to its last is scored in exactly one of them.

    A window has `window` scored days and `warmup_days` before them that are not scored, NaN where the record has not
    begun. `rng` gives each basin its phase (in the order of the sorted ids, so the list's order changes nothing) and
    shuffles. Of several processes each draws every whole batch and keeps its `share` (index, count) of it.

    Yields (x, y). x: forcing (batch, window, input) and attributes (batch, attribute) in their units, with warm-up days
    also before (batch, warmup, input), and basin_std (batch, target) in the target's; y: (batch, window, target), NaN
    where not scored. Short windows are padded with NaN at the end and the last batch with windows of NaN: all batches
    have one shape.
    """
    data, (index, count) = training.data, share
    basin_std = training.basins[[f"std_{name}" for name in data.targets]]
    by_basin = {"attributes": data.attributes.to_numpy(np.float32), "basin_std": basin_std.to_numpy(np.float32)}
    table = rng.permutation(window_table(training, window, warmup_days, rng))
    size = batch_size // count
    for at in range(0, len(table), batch_size):
        rows = table[at : at + batch_size][index * size : (index + 1) * size]
        days = np.full((size, warmup_days + window, len(data.inputs) + len(data.targets)), np.nan, np.float32)
        for series, (basin, begin, scored, end) in zip(days, rows, strict=False):
            ahead = warmup_days - (scored - begin)  # days of the warm-up before the record's first
            series[ahead : ahead + end - begin] = data.days(basin, training.first_day + begin, end - begin)
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
