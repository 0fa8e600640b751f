"""The prepared data on disk, what is computed from its training period, and the windows that a training draws.

Text is read once. Every basin becomes one plain float32 array (day, variable) in the field's units, NaN where missing,
in the cache folder::

    <cache>/<what was asked for>/<basin>-<state of its files>.npy      forcing, streamflow, concepts
    <cache>/<what was asked for>/<basin>-<state of its files>.json     its first day, and what was found in the text

A basin is whole or not there, so preparing can be stopped at any time and goes on with the next basin, two runs may
prepare the same basins at once, and the folder may be deleted whenever nothing runs. Basins are read one after another,
the days that are needed: 6,800 gauges take the same road as 24.
"""

import atexit
import contextlib
import hashlib
import itertools
import json
import os
import re
import shutil
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from writing.files import InputError, note, read_json, replacing, write_json

DIGEST = 16  # characters
IN_MEMORY_BYTES = 500e6  # a training set smaller than this is held in memory, a larger one is read from disk
NPY_HEADER = 128  # bytes before the numbers in a .npy of two dimensions


@dataclass
class Prepared:
    """Daily series and attributes of many basins, in the field's units; the series stay on disk.

    Attributes
    ----------
    basins : list of str
    inputs, targets : list of str
        Variables of the series: the forcing; ``streamflow`` and the concepts.
    about : dict name -> dict
        ``units`` and ``long_name`` of each variable, of a concept also its ``source``.
    place : DataFrame (basin; lat, lon, area_km2)
        Degrees north, degrees east, km2; NaN where unknown.
    attributes : DataFrame (basin, attribute)
        Catchment attributes in their own units; no column if there are none.
    arrays : list of Path, or of arrays in memory
        One ``.npy`` (day, variable) for each basin, the variables being the inputs and then the targets.
    first_days, lengths : array (basin,)
        First day (datetime64[D]) and number of days of each basin's array.
    forcing : str
        Name of the forcing product.
    report : str
        What the text held and lacked: one line, and one for each variable in which something is missing.
    left_out : dict basin -> str
        Basins of the folder that cannot be used, and why.
    synthetic : bool
        Whether the folder says that its catchments are synthetic.
    observed : DataFrame (basin; target) of int
        On how many days of its whole record each target is observed.
    """

    basins: list
    inputs: list
    targets: list
    about: dict
    place: pd.DataFrame
    attributes: pd.DataFrame
    arrays: list
    first_days: np.ndarray
    lengths: np.ndarray
    forcing: str = ""
    report: str = ""
    left_out: dict = field(default_factory=dict)
    synthetic: bool = False
    observed: pd.DataFrame | None = None

    @property
    def first_day(self):
        return self.first_days.min()

    @property
    def last_day(self):
        return (self.first_days + self.lengths).max() - 1

    def dates(self, start, end, spinup_days=0):
        """The days from `start` to `end`, both included, and up to `spinup_days` days before them, as far as the data
        reach; InputError if they have none between start and end."""
        first, last = parse_period(start, end)
        if last < self.first_day or first > self.last_day:
            run = f"{self.first_day} to {self.last_day}"
            raise InputError(f"The period {first} to {last} has no day in the data, which run from {run}.")
        return np.arange(max(first - int(spinup_days), self.first_day), min(last, self.last_day) + 1)

    def days(self, position, first, number):
        """The series (number, variable) of one basin from the day `first` on; NaN outside its record."""
        values = np.full((number, len(self.inputs) + len(self.targets)), np.nan, np.float32)
        ahead = int((first - self.first_days[position]).astype(int))
        begin, end = max(ahead, 0), min(ahead + number, int(self.lengths[position]))
        if begin >= end:
            return values
        array, kept = self.arrays[position], values[begin - ahead : end - ahead]
        if not isinstance(array, Path):
            kept[:] = array[begin:end]
            return values
        # A plain read takes a third of the time of opening a memory map, and no pages pile up as memory.
        with array.open("rb") as file:
            file.seek(NPY_HEADER + begin * values.shape[1] * values.itemsize)
            if file.readinto(kept) != kept.nbytes:
                raise InputError(f"{array} has been cut since it was written: start again, it is made anew.")
        return values

    def read(self, positions, dates):
        """Forcing (basin, day, input) and targets (basin, day, target) of some basins, float32.

        `positions` is a slice or a sequence of int, `dates` consecutive days as `dates` gives them. NaN where missing,
        targets also on days on which an input is missing.
        """
        positions = range(len(self.basins))[positions] if isinstance(positions, slice) else positions
        values = np.empty((len(positions), len(dates), len(self.inputs) + len(self.targets)), np.float32)
        for one, position in zip(values, positions, strict=True):
            one[:] = self.days(position, dates[0], len(dates))
        return split(values, len(self.inputs))

    def has_forcing(self, start, end):
        """Whether any basin has every input on any day from `start` to `end`; InputError as `dates`."""
        dates = self.dates(start, end)  # the first basin that has such a day ends the search
        return any(np.isfinite(self.read([b], dates)[0]).all(axis=2).any() for b in range(len(self.basins)))

    def in_memory(self, dates):
        """The same basins on these days alone, held in memory."""
        arrays = [self.days(position, dates[0], len(dates)) for position in range(len(self.basins))]
        first_days, lengths = np.full(len(arrays), dates[0]), np.full(len(arrays), len(dates))
        return replace(self, arrays=arrays, first_days=first_days, lengths=lengths)

    def select(self, positions):
        """The same data of some of the basins."""
        basins, arrays = ([of[position] for position in positions] for of in (self.basins, self.arrays))
        return replace(
            self, basins=basins, arrays=arrays, place=self.place.loc[basins], attributes=self.attributes.loc[basins],
            first_days=self.first_days[positions], lengths=self.lengths[positions],
            observed=None if self.observed is None else self.observed.loc[basins],
        )  # fmt: skip


def split(values, inputs):
    """Forcing and targets from days (…, variable); the targets become NaN where an input is missing."""
    forcing, targets = values[..., :inputs], values[..., inputs:]
    valid = np.isfinite(forcing).all(axis=-1, keepdims=True)
    return forcing, np.where(valid, targets, np.float32(np.nan))


def parse_day(text) -> np.datetime64:
    """A day written as 1981-10-01; InputError if it is written otherwise, or no date."""
    # numpy would take 2011, 2011-10 and 2011-10-01T12:00 too, for other days than meant.
    with contextlib.suppress(ValueError):
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", str(text)):
            return np.datetime64(str(text), "D")
    raise InputError(f"{str(text)!r} is not a date; write dates as 1981-10-01.")


def parse_period(start, end, what="The period"):
    """First and last day of a period; InputError as `parse_day`, or if the last comes before the first."""
    first, last = parse_day(start), parse_day(end)
    if last < first:
        raise InputError(f"{what} {first} to {last} ends before it starts.")
    return first, last


def cache_folder(cache_dir=None) -> Path:
    """Where prepared data are kept: `cache_dir`, else the environment variable HYDRODATA_CACHE, else the user's own."""
    if given := cache_dir or os.environ.get("HYDRODATA_CACHE"):
        return Path(given)
    try:
        home = Path.home()
    except RuntimeError:  # a user of a container may have none
        home = Path(tempfile.gettempdir())
    own = {"win32": os.environ.get("LOCALAPPDATA", home / "AppData" / "Local"), "darwin": home / "Library" / "Caches"}
    folder = own.get(sys.platform, os.environ.get("XDG_CACHE_HOME", home / ".cache"))
    return Path(folder) / "hydrological-concepts-lstm"


def digest(content) -> str:
    """A short name for JSON-able content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:DIGEST]


def prepare(stems, read, variables, cache_dir=None, label="reading", progress=True):
    """Read the text of every basin that is not yet in the cache, several at a time.

    `stems` {basin: ``<what was asked for>/<basin>-<state of its files>``} say where the basins are kept in the cache
    folder; `read` gives a basin's daily frame of so many `variables` and a JSON-able dict of what was found. Returns
    (Path, first day, number of days, what was found) for each basin. A cache that cannot be written costs the next
    start its speed, no more.
    """
    from tqdm import tqdm

    request = Path(next(iter(stems.values()))).parent
    folder = _writable(cache_folder(cache_dir), request)
    there = {}
    for path in folder.glob(f"{request}/*-{'?' * DIGEST}.*"):
        there.setdefault(path.stem[: -DIGEST - 1], []).append(path)

    def bring(basin):
        array = folder / f"{stems[basin]}.npy"
        if (kept := _kept(array, variables)) is not None:
            return array, *kept
        frame, found = read(basin)
        for old in there.get(basin, ()):  # of text that has changed since
            with contextlib.suppress(OSError):  # Windows keeps a file that another run has open
                old.unlink()
        with replacing(array) as temporary:
            np.save(temporary, np.ascontiguousarray(frame, np.float32), allow_pickle=False)
        # The words come after the numbers: a basin that has them is whole.
        first = frame.index[0].to_numpy().astype("datetime64[D]")
        about = {"first": str(first), "days": len(frame), "found": found}
        write_json(array.with_suffix(".json"), about | {"digest": digest(about)})
        return array, first, len(frame), found

    # Threads are enough: pandas' parser runs them side by side, and nothing stays behind when the script is stopped.
    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        return list(tqdm(pool.map(bring, stems), label, len(stems), disable=None if progress else True, unit="basin"))
    finally:
        pool.shutdown(cancel_futures=True)


def _writable(folder, request):
    """The cache folder, or a temporary one if nothing can be written there (another user's)."""
    try:
        (folder / request).mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder / request).close()
        return folder
    except OSError as problem:
        note(f"{folder}: the cache cannot be written ({problem.strerror}); the text is read anew each time.")
        instead = Path(tempfile.mkdtemp(prefix="hydrodata-"))
        atexit.register(shutil.rmtree, instead, ignore_errors=True)
        return instead


def _kept(array, variables):
    """First day, number of days and what was found, of a basin that is whole in the cache; else None."""
    try:
        about = read_json(array.with_suffix(".json"))
        if about.pop("digest") != digest(about):
            return None
        days = about["days"]
        whole = array.stat().st_size == NPY_HEADER + 4 * days * variables
        return (np.datetime64(about["first"], "D"), days, about["found"]) if whole else None
    except (OSError, ValueError, KeyError):
        return None


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
