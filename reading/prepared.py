"""The prepared data on disk: what many basins hold, read from the text once.

Every basin is one plain float32 array (day, variable) of its files' columns as they stand, NaN where missing; factors
and units are applied when it is read::

    <cache>/<columns asked for>/<basin>-<state of its files>.npy      forcing, streamflow, columns of the concepts
    <cache>/<columns asked for>/<basin>-<state of its files>.json     its first day, and what its files hold

A basin is whole or not there, so preparing can be stopped at any time and goes on with the next basin, two runs may
prepare the same basins at once, and the folder may be deleted whenever nothing runs.
"""

import contextlib
import hashlib
import json
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd

from writing.files import read_json, replacing, write_json
from writing.messages import InputError

DIGEST = 16  # characters
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
        ``units`` and ``long_name`` of each variable, of a concept also its ``source`` and ``snow``.
    place : DataFrame (basin; lat, lon, area_km2)
        Degrees north, degrees east, km2; NaN where unknown.
    attributes : DataFrame (basin, attribute)
        Catchment attributes in their own units; no column if there are none.
    arrays : list of Path, or of arrays in memory
        One ``.npy`` (day, variable) for each basin, the inputs and then the targets.
    first_days, lengths : array (basin,)
        First day (datetime64[D]) and number of days of each basin's array.
    forcing, report : str
        Name of the forcing product; lines that say what is missing.
    left_out : dict basin -> str
        Basins of the folder that cannot be used, and why.
    synthetic : bool
        Whether the folder says that its catchments are synthetic.
    observed : DataFrame (basin; target) of int
        On how many days of its whole record each target is observed.
    factors : array (variable,) of float32, or None
        What the numbers in `arrays` are multiplied by to be in the units of `about`; None: by 1.
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
    factors: np.ndarray | None = None

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
        array, part = self.arrays[position], values[begin - ahead : end - ahead]
        if isinstance(array, Path):
            # A plain read takes a third of the time of opening a memory map, and no pages pile up as memory.
            with array.open("rb") as file:
                file.seek(NPY_HEADER + begin * values.shape[1] * values.itemsize)
                if file.readinto(part) != part.nbytes:
                    raise InputError(f"{array} has been cut since it was written: start again, it is made anew.")
        else:
            part[:] = array[begin:end]
        if self.factors is not None:
            part *= self.factors
        return values

    def read(self, positions, dates):
        """Forcing (basin, day, input) and targets (basin, day, target) of some basins, float32.

        `positions` is a slice or a sequence of int, `dates` consecutive days as `dates` gives them. NaN where missing,
        targets also on days on which an input is missing.
        """
        positions = range(len(self.basins))[positions] if isinstance(positions, slice) else positions
        values = np.empty((len(positions), len(dates), len(self.inputs) + len(self.targets)), np.float32)
        for series, position in zip(values, positions, strict=True):
            series[:] = self.days(position, dates[0], len(dates))
        return split(values, len(self.inputs))

    def has_forcing(self, start, end):
        """Whether any basin has every input on any day from `start` to `end`; InputError as `dates`."""
        dates = self.dates(start, end)  # the first basin that has such a day ends the search
        return any(np.isfinite(self.read([b], dates)[0]).all(axis=2).any() for b in range(len(self.basins)))

    def in_memory(self, dates):
        """The same basins on these days alone, held in memory."""
        arrays = [self.days(position, dates[0], len(dates)) for position in range(len(self.basins))]
        first_days, lengths = np.full(len(arrays), dates[0]), np.full(len(arrays), len(dates))
        return replace(self, arrays=arrays, first_days=first_days, lengths=lengths, factors=None)

    def select(self, positions):
        """The same data of some of the basins."""
        basins = [self.basins[position] for position in positions]
        return replace(
            self,
            basins=basins,
            arrays=[self.arrays[position] for position in positions],
            place=self.place.loc[basins],
            attributes=self.attributes.loc[basins],
            first_days=self.first_days[positions],
            lengths=self.lengths[positions],
            observed=None if self.observed is None else self.observed.loc[basins],
        )


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


def cache_folder() -> Path:
    """Where prepared data are kept: the environment variable HYDRODATA_CACHE, else the user's own cache folder."""
    if os.environ.get("HYDRODATA_CACHE"):
        return Path(os.environ["HYDRODATA_CACHE"])
    home = Path.home()
    own = {"win32": os.environ.get("LOCALAPPDATA", home / "AppData" / "Local"), "darwin": home / "Library" / "Caches"}
    folder = own.get(sys.platform, os.environ.get("XDG_CACHE_HOME", home / ".cache"))
    return Path(folder) / "hydrological-concepts-lstm"


def digest(content) -> str:
    """A short name for JSON-able content."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:DIGEST]


def prepare(stems, read, variables, label):
    """Read the text of every basin that is not yet in the cache, several at a time; a terminal shows a bar.

    `stems` {basin: path in the cache, without its ending}; `read` gives a basin's frame (day, variable) and a JSON-able
    dict of what its files hold. Returns (Path, first day, number of days, that dict) for each basin.
    """
    from tqdm import tqdm

    folder, request = cache_folder(), Path(next(iter(stems.values()))).parent
    try:
        (folder / request).mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        instead = "name another with the environment variable HYDRODATA_CACHE"
        raise InputError(f"{folder}: the cache cannot be written ({problem.strerror}); {instead}.") from None
    earlier = {}
    for path in folder.glob(f"{request}/*-{'?' * DIGEST}.*"):
        earlier.setdefault(path.stem[: -DIGEST - 1], []).append(path)

    def bring(basin):
        array = folder / f"{stems[basin]}.npy"
        if (kept := _kept(array, variables)) is not None:
            return array, *kept
        frame, contents = read(basin)
        for path in earlier.get(basin, ()):  # of text that has changed since
            with contextlib.suppress(OSError):  # Windows keeps a file that another run has open
                path.unlink()
        with replacing(array) as temporary:
            np.save(temporary, np.ascontiguousarray(frame, np.float32), allow_pickle=False)
        # The words come after the numbers: a basin that has them is whole.
        first = frame.index[0].to_numpy().astype("datetime64[D]")
        write_json(array.with_suffix(".json"), {"first": str(first), "days": len(frame), "contents": contents})
        return array, first, len(frame), contents

    # Threads are enough: pandas' parser runs them side by side, and nothing stays behind when the script is stopped.
    pool = ThreadPoolExecutor(os.cpu_count() or 1)
    try:
        return list(tqdm(pool.map(bring, stems), label, len(stems), disable=None, unit="basin"))
    finally:
        pool.shutdown(cancel_futures=True)


def _kept(array, variables):
    """First day, number of days and contents of a basin that is whole in the cache; else None."""
    try:
        about = read_json(array.with_suffix(".json"))
        days = about["days"]
        whole = array.stat().st_size == NPY_HEADER + 4 * days * variables
        return (np.datetime64(about["first"], "D"), days, about["contents"]) if whole else None
    except (OSError, ValueError, KeyError):
        return None
