"""Data sets larger than memory: a store on disk that holds a prepared data set, and data sets in parts.

    python stores.py --data-dir Caravan --out store --forcing caravan --attributes climate
        --climate-period 1981-10-01 2000-09-30 --concepts "swe=caravan:snow_depth_water_equivalent_mean"
    python LSTM_train.py --data-dir store --forcing caravan --attributes climate ...      # the same options

A store takes the place of a data folder for every script. Stopped while it is made, the same command goes on.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import tyro

import hydrodata_tf as hydrodata
from hydrodata_tf import AS_IN_FILES, PLACE, InputError

FORMAT = 1
COLUMNS = ("basin", "row", "days", "first_date", *PLACE)  # of basins.csv; every further one is an attribute


def is_store(folder):
    """Whether a folder is a store, finished or not."""
    return (Path(folder) / "store.json").is_file()


class Store:
    """A data set on disk, read by basins or by single windows, never whole.

    The folder holds store.json (what was asked for; names and units of the variables), basins.csv (place, attributes,
    first date, number of days and first row of each basin) and values.f4: little-endian float32, one row of all
    variables per basin and day, units of load_dataset, NaN where missing. A window is one stretch of the file, got
    with one plain read. (Compressed chunks would be unpacked whole for every window, and the pages of a memory map
    count as memory.)

    Parameters
    ----------
    folder : path

    Raises
    ------
    InputError
        If it is no store, of another format, damaged, or not finished.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        again = "prepare it again with stores.py"
        try:
            self.about = json.loads((self.folder / "store.json").read_text(encoding="utf-8"))
            if self.about.get("format") != FORMAT:
                raise InputError(f"{self.folder} is a store of format {self.about.get('format')!r}: {again}.")
            self.inputs, self.variables = list(self.about["inputs"]), list(self.about["variables"])
            table = _read_table(self.folder)
            self.first, self.row = table["first_date"].to_numpy("datetime64[D]"), table["row"].to_numpy("int64")
            lengths, size = table["days"].to_numpy("int64"), (self.folder / "values.f4").stat().st_size
            missing = len(set(self.about["basins"]) - set(table["basin"]))
            self._check_words(table)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as problem:
            if isinstance(problem, InputError):
                raise
            raise InputError(f"{self.folder} is not a whole store ({problem}): {again}.") from None
        if missing:
            raise InputError(
                f"{self.folder}: {missing} of {len(self.about['basins'])} basins are not prepared yet; give the "
                "command that began it again, it goes on."
            )
        self.row_bytes = 4 * len(self.variables)
        ends = np.cumsum(lengths)
        if (self.row != ends - lengths).any() or (lengths < 0).any() or size < ends[-1] * self.row_bytes:
            raise InputError(f"{self.folder}: values.f4 and basins.csv do not belong together; {again}.")
        self.last = self.first + lengths  # the day after
        self.length = int((self.last.max() - self.first.min()).astype(int))  # days from the first to the last of all
        self.table = table.set_index("basin")
        self.position = {basin: i for i, basin in enumerate(self.table.index)}
        self.attributes = list(table.columns[len(COLUMNS) :])

    def _check_words(self, table):
        """Refuse names, dates and attributes that no preparation writes."""
        concepts = [hydrodata.parse_concept(text).name for text in self.about["concepts"]]
        if self.variables != [*self.inputs, "streamflow", *concepts]:
            raise ValueError(f"its variables are {', '.join(self.variables)}")
        if not all(isinstance(about["units"], str) for about in self.about["variables"].values()):
            raise ValueError("a unit is no text")
        for basin in table["basin"]:  # ids become parts of file names
            hydrodata.basin_id(basin)
        begin, end = (np.datetime64(f"{year}") for year in hydrodata.YEARS)
        if (self.first < begin).any() or (self.first > end).any():
            raise ValueError(f"it begins on {self.first.min()}")
        if not np.isfinite(table[list(table.columns[len(COLUMNS) :])].to_numpy(float)).all():
            raise ValueError("an attribute is missing")

    def check(self, forcing, attributes, concepts, climate_period):
        """Refuse options that the store was not made with."""
        asked = {"forcing": forcing, "attributes": str(attributes)}
        if str(attributes) == "climate":
            asked["climate_period"] = _days(climate_period)
        for name, value in asked.items():
            if value != self.about[name] and (name, value) != ("attributes", "none"):
                raise InputError(
                    f"{self.folder} was made with {name} {self.about[name]}, not {value}: give the same, or make "
                    "another store."
                )
        held = {hydrodata.parse_concept(text) for text in self.about["concepts"]}
        for concept in concepts:
            if concept not in held:
                raise InputError(
                    f"{self.folder} does not hold the concept {concept.name}={concept.template}:{concept.column}, but "
                    f"{', '.join(self.about['concepts']) or 'none'}: make another store."
                )

    def days(self, basin, first, length, names):
        """Raw values (length, variable) of `length` days of a basin from the day `first` on; NaN outside its record."""
        i = self.position[basin]
        begin, end = max(first, self.first[i]), min(first + length, self.last[i])
        out = np.full((length, len(self.variables)), np.nan, np.float32)
        if begin < end:
            count, at = (end - begin).astype(int), (begin - first).astype(int)
            row = self.row[i] + (begin - self.first[i]).astype(int)
            file = self.folder / "values.f4"
            values = np.fromfile(file, "<f4", count * len(self.variables), offset=row * self.row_bytes)
            out[at : at + count] = values.reshape(count, -1)
        return out if names == self.variables else out[:, [self.variables.index(name) for name in names]]

    def dataset(self, basins, concepts, attributes=True, start=None, end=None):
        """Some basins and days in memory, as `hydrodata_tf.load_dataset` gives them.

        Parameters
        ----------
        basins : list of str
        concepts : list of str
            Names of the concepts.
        attributes : bool, default True
            With the catchment attributes.
        start, end : str or numpy.datetime64, default None
            First and last day, cut to the days of the store; None: those.

        Returns
        -------
        xarray.Dataset
        """
        import xarray as xr

        if absent := [b for b in basins if b not in self.position]:
            raise InputError(f"{self.folder} lacks {len(absent)} of {len(basins)} basins, such as {absent[0]}.")
        first, last = self.first.min(), self.last.max() - 1
        first = first if start is None else max(first, hydrodata.parse_day(start))
        last = last if end is None else min(last, hydrodata.parse_day(end))
        if last < first:
            raise InputError(
                f"The period {start} to {end} has no day in the data, which run from {self.first.min()} to "
                f"{self.last.max() - 1}."
            )
        names, dates = [*self.inputs, "streamflow", *concepts], np.arange(first, last + 1)
        values = np.empty((len(names), len(basins), len(dates)), np.float32)
        for b, basin in enumerate(basins):
            values[:, b] = self.days(basin, first, len(dates), names).T
        dataset = xr.Dataset(coords={"basin": np.array(basins, object), "date": dates.astype("datetime64[ns]")})
        for name, one in zip(names, values, strict=True):
            dataset[name] = (("basin", "date"), one, self.about["variables"][name])
        place = self.table.loc[basins]
        for name, units in PLACE.items():
            dataset = dataset.assign_coords({name: ("basin", place[name].to_numpy(float), {"units": units})})
        if attributes and self.attributes:
            dataset = dataset.assign_coords(attribute=self.attributes)
            table = place[self.attributes].to_numpy(np.float32)
            dataset["attributes"] = (("basin", "attribute"), table, AS_IN_FILES)
        dataset.attrs = {"forcing": self.about["forcing"], "inputs": self.inputs, "concepts": list(concepts)}
        dataset.attrs["report"] = f"{len(basins)} basins, {dates[0]} to {dates[-1]}, from the store {self.folder}"
        return dataset


def _days(period):
    return [str(hydrodata.parse_day(day)) for day in period] if period else None


def _read_table(folder):
    return pd.read_csv(folder / "basins.csv", dtype={"basin": str})


class Parts:
    """A data set in parts of some basins each that can be gone through again and again.

    In memory it is one part; from a store as many as keep each small, read anew each time.

    Parameters
    ----------
    basins : list of str
    read : function
        From a list of basins and a first and a last day (None: all days) to their xarray.Dataset.
    size : int
        Basins in a part.
    store : Store, optional
        Where `read` reads.
    period : (first, last), default (None, None)
        Days that are read from a store.

    Attributes
    ----------
    report : str
        One line on what the data hold.
    """

    def __init__(self, basins, read, size, store=None, period=(None, None)):
        self.basins, self.read, self.size, self.store, self.period = list(basins), read, size, store, period

    @property
    def report(self):
        if self.store is None:
            return self.read(self.basins).attrs["report"]
        return f"{len(self.basins)} basins in parts of {self.size}, from the store {self.store.folder}"

    def __iter__(self):
        for at in range(0, len(self.basins), self.size):
            yield self.read(self.basins[at : at + self.size], *self.period)

    def share(self, index, count):
        """Every `count`-th basin, from number `index` on."""
        return Parts(self.basins[index::count], self.read, self.size, self.store, self.period)

    def within(self, start, end, spinup_days=0):
        """The same basins in a period and up to `spinup_days` days before it, as `select_period` cuts it."""
        if self.store is None:
            whole = self.read(self.basins)
            return in_memory(hydrodata.select_period(whole, start, end, spinup_days))
        first, last = hydrodata.parse_day(start) - spinup_days, hydrodata.parse_day(end)
        longer = self.store.length / max(1, (last - first).astype(int) + 1)  # than the period: so many more basins fit
        return Parts(self.basins, self.read, max(1, int(self.size * longer)), self.store, (first, last))


def in_memory(dataset):
    """An xarray.Dataset as the only part."""
    every = list(dataset["basin"].values)
    return Parts(every, lambda basins, *_: dataset if basins == every else dataset.sel(basin=basins), len(every))


def open_parts(data_dir, basins=None, part_mb=64, **options):
    """The data of many basins: in one part from a data folder, in parts of `part_mb` MB from a store.

    Parameters
    ----------
    data_dir : path
        Data folder or store.
    basins : default None
        As `hydrodata_tf.load_dataset` takes them; None: all.
    part_mb : float, default 64
        Size of the raw values of a part that is read from a store.
    **options
        forcing, attributes, concepts and climate_period of `hydrodata_tf.load_dataset`.

    Returns
    -------
    Parts
    """
    if not is_store(data_dir):
        return in_memory(hydrodata.load_dataset(data_dir, basins=basins, **options))
    store = Store(data_dir)
    concepts = [hydrodata.parse_concept(text) for text in options["concepts"]]
    store.check(options["forcing"], options["attributes"], concepts, options["climate_period"])
    names, attributes = [concept.name for concept in concepts], options["attributes"] != "none"

    def read(basins, start=None, end=None):
        return store.dataset(basins, names, attributes, start, end)

    order = list(store.table.index) if basins is None else hydrodata.read_basins(basins)
    return Parts(order, read, max(1, int(part_mb * 1e6 / (store.length * store.row_bytes))), store)


def training_arrays(parts, normalisation, start, end, warmup_days=0):
    """What `hydrodata_tf.training_windows` draws from: arrays in memory or, for a store, the store itself.

    Parameters
    ----------
    parts : Parts
    normalisation : dict
        From `hydrodata_tf.fit_normalisation`.
    start, end : str
        First and last day that are scored.
    warmup_days : int, default 0
        Days before `start` that may be simulated.

    Returns
    -------
    dict
        As `hydrodata_tf.to_arrays` gives it, targets before `start` NaN, and basin_std (basin, 1 + concepts); spans
        (basin, 3), see `hydrodata_tf.target_spans`; scored, the number of days with a target. From a store, `days`
        reads what is asked of it and takes the place of forcing, targets and valid.
    """
    pieces = []
    for part in parts:
        period = hydrodata.select_period(part, start, end, spinup_days=warmup_days)
        arrays = hydrodata.to_arrays(period, normalisation)
        arrays["targets"][:, period["date"].values < np.datetime64(start)] = np.nan
        arrays["basin_std"] = hydrodata.basin_std(part, normalisation, start, end)
        arrays["spans"] = hydrodata.target_spans(arrays)
        arrays["scored"] = int(np.isfinite(arrays["targets"]).any(axis=2).sum())
        first_day = period["date"].values[0].astype("datetime64[D]")
        if parts.store is None:
            return arrays
        pieces.append({name: arrays[name] for name in ("basin", "attributes", "basin_std", "spans", "scored")})
    joined = {n: np.concatenate([piece[n] for piece in pieces]) for n in ("basin", "attributes", "basin_std", "spans")}
    joined["scored"] = sum(piece["scored"] for piece in pieces)
    return joined | {"days": NormalisedDays(parts.store, joined["basin"], first_day, normalisation)}


class NormalisedDays:
    """The days of windows, read from a store and normalised.

    Parameters
    ----------
    store : Store
    basins : sequence of str
        What a number of a basin means.
    first_day : numpy.datetime64
        Day 0.
    normalisation : dict
    """

    def __init__(self, store, basins, first_day, normalisation):
        self.store, self.basins, self.first_day, self.normalisation = store, list(basins), first_day, normalisation
        self.names = [*normalisation["inputs"], *normalisation["targets"]]

    def read(self, basin, begin, length):
        """Forcing and targets (window, length, variable) of windows that begin on day `begin` (window,) of `basin`."""
        values = np.empty((len(basin), length, len(self.names)), np.float32)
        for window, b, day in zip(values, basin, begin, strict=True):
            window[:] = self.store.days(self.basins[b], self.first_day + int(day), length, self.names)
        inputs = len(self.normalisation["inputs"])
        forcing, targets = np.ascontiguousarray(values[..., :inputs]), np.ascontiguousarray(values[..., inputs:])
        hydrodata.normalise_days(forcing, targets, self.normalisation)
        return forcing, targets


def write_store(
    data_dir: Path,
    out: Path,
    forcing: str = "daymet",
    basins: tuple[str, ...] = (),
    attributes: str = "auto",
    concepts: tuple[str, ...] = (),
    climate_period: tuple[str, str] | None = None,
    basins_at_once: int = 200,
) -> None:
    """Prepare a store, or go on with one that was stopped.

    Parameters
    ----------
    data_dir : path
        CAMELS-US folder or, with forcing caravan, a Caravan folder.
    out : path
        Folder of the store; the other scripts take it as --data-dir, with the same options as here.
    forcing : str
        Forcing product, as LSTM_train.py takes it.
    basins : sequence of str
        Basin ids, or one file that lists them; all basins of the data folder if empty.
    attributes : str
        auto, a csv table, climate or none.
    concepts : sequence of str
        As LSTM_train.py takes them.
    climate_period : (first, last)
        Training period, from which the attributes 'climate' are computed.
    basins_at_once : int
        Basins in memory at a time.

    Raises
    ------
    InputError
        If `out` holds something else or a store of other options, or a file cannot be used.
    """
    from tqdm import tqdm

    out = Path(out)
    parsed = [hydrodata.parse_concept(text) for text in concepts]
    order = hydrodata.read_basins(basins) if basins else hydrodata.every_basin(data_dir, forcing)
    request = {
        "format": FORMAT, "data_dir": str(data_dir), "forcing": forcing, "attributes": attributes,
        "concepts": list(concepts), "climate_period": _days(climate_period), "basins": sorted(order),
    }  # fmt: skip
    done = pd.DataFrame(columns=list(COLUMNS))
    if is_store(out):
        about = json.loads((out / "store.json").read_text(encoding="utf-8"))
        if changed := [name for name in request if about.get(name) != request[name]]:
            raise InputError(f"{out} is a store of other options ({', '.join(changed)}): name another folder.")
        if (out / "basins.csv").is_file():
            done = _read_table(out)
    else:
        out.mkdir(parents=True, exist_ok=True)
        if {p.name for p in out.iterdir()} - {"store.json.tmp"}:
            raise InputError(f"{out} holds other files and no store: name a new or an empty folder.")
        _write(out / "store.json", json.dumps(request, indent=2))
    for unfinished in out.glob("reading_*"):  # what a killed process was reading
        shutil.rmtree(unfinished)
    missing = sorted(set(order) - set(done["basin"]))
    for at in tqdm(range(0, len(missing), basins_at_once), "preparing", unit="part", disable=None):
        group = missing[at : at + basins_at_once]
        with tempfile.TemporaryDirectory(dir=out, prefix="reading_") as cache:  # the store itself is the cache
            part = hydrodata.load_dataset(
                data_dir, forcing, group, attributes, parsed, climate_period, cache, progress=False, partial=True
            )
            rows = _append(part, out, int(done["days"].sum()))
        if len(done) and list(rows.columns) != list(done.columns):
            raise InputError(f"{group[0]} has other attributes than the basins before: give a table, climate or none.")
        names = _variables(part)
        _write(out / "store.json", json.dumps(
            {**request, "inputs": part.attrs["inputs"], "variables": {n: dict(part[n].attrs) for n in names}}, indent=2
        ))  # fmt: skip
        done = pd.concat([done, rows]) if len(done) else rows
        # After the values, so that a part that is cut off is done again.
        _write(out / "basins.csv", done.to_csv(index=False, lineterminator="\n"))
    store = Store(out)
    print(f"{len(order)} basins, {int(store.table['days'].sum()):,} basin-days in {out}")


def _variables(part):
    return [*part.attrs["inputs"], "streamflow", *part.attrs["concepts"]]


def _append(part, out, row):
    """Write the days of a part from row `row` of values.f4 on; returns its rows of basins.csv."""
    names, dates = _variables(part), part["date"].values.astype("datetime64[D]")
    file = out / "values.f4"
    file.touch()
    rows = []
    with file.open("r+b") as values:
        values.truncate(row * 4 * len(names))
        values.seek(0, os.SEEK_END)
        for b, basin in enumerate(part["basin"].values):
            days = np.stack([part[name].values[b] for name in names], axis=1)
            there = np.flatnonzero(np.isfinite(days).any(axis=1))
            begin, end = (int(there[0]), int(there[-1]) + 1) if len(there) else (0, 0)
            values.write(days[begin:end].astype("<f4").tobytes())
            place = [float(part[name].values[b]) for name in PLACE]
            rows.append([basin, row, end - begin, str(dates[begin]), *place])
            row += end - begin
        values.flush()
        os.fsync(values.fileno())
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    if "attributes" in part:
        table[[str(name) for name in part["attribute"].values]] = part["attributes"].values.astype(float)
    return table


def _write(path, text):
    """All or nothing, and on the disk before it has its name."""
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


if __name__ == "__main__":
    from runs import cli

    tyro.cli(cli(write_store), description=__doc__)
