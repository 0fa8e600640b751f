"""One file to a DataFrame in the field's units: CAMELS-US forcing and streamflow, Caravan, any dated csv, tables.

pandas' parser reads regular text. Where anything looks odd, the same file is read again line by line, in plain Python:
what is wrong is named with its line, what is only unusual gives the same numbers.

- Missing is NaN: an empty field, NA, NaN, -999 and -9999, streamflow with the flag M or below zero, the very last
  number of a file that ends without a line break when it may have been cut.
- A number that cannot be (rain below zero, air at 200 degrees C, inf, letters), a date that is repeated, out of order
  or not in the calendar, a line with a field too few: InputError with the file and the line.
"""

import csv
import io
import itertools
import os
import re
import threading
import warnings
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from writing.files import InputError, some

FORCING = ("prcp", "tmin", "tmax", "srad", "vp")
PET = "potential_evaporation_sum"
# Newer Caravan releases name two kinds of potential evaporation; the first is the older releases' column.
PET_NAMES = (PET, f"{PET}_ERA5_LAND", f"{PET}_FAO_PENMAN_MONTEITH")
CUBIC_MM_PER_CUBIC_FOOT = 28316846.592
SECONDS_PER_DAY = 86400
MOST = 1e30  # of a number without a unit; float32 ends at 3e38
YEARS = 1700, 2261  # of dates that can be; pandas and xarray count nanoseconds, which end in 2262
MOST_DAYS = 366 * (YEARS[1] - YEARS[0] + 1)
NETCDF = threading.Lock()  # its library does one thing at a time


class Known(NamedTuple):
    """Units, meaning and possible range of a column that public data sets hold under this name."""

    units: str
    label: str
    low: float
    high: float


_T = (-100.0, 100.0)
_WATER_EQUIVALENT = "snow water equivalent"
_DEPTHS_CM = {1: "0-7", 2: "7-28", 3: "28-100", 4: "100-289"}  # of ERA5-Land's soil layers
_SOIL_MOISTURE = {i: Known("m3/m3", f"soil moisture, {depth} cm", 0, 1) for i, depth in _DEPTHS_CM.items()}
KNOWN = {
    "prcp": Known("mm/day", "precipitation", 0, 3000),
    "tmin": Known("degC", "minimum air temperature", *_T),
    "tmax": Known("degC", "maximum air temperature", *_T),
    "srad": Known("W/m2", "shortwave radiation", 0, 2000),
    "vp": Known("Pa", "vapour pressure", 0, 20000),
    "streamflow": Known("mm/day", "streamflow", 0, 5000),
    "total_precipitation_sum": Known("mm/day", "precipitation", 0, 3000),
    "temperature_2m_mean": Known("degC", "mean air temperature", *_T),
    "temperature_2m_min": Known("degC", "minimum air temperature", *_T),
    "temperature_2m_max": Known("degC", "maximum air temperature", *_T),
    "surface_net_solar_radiation_mean": Known("W/m2", "net shortwave radiation", -100, 2000),
    "surface_pressure_mean": Known("kPa", "air pressure", 20, 120),
    **{name: Known("mm/day", "potential evaporation", -100, 200) for name in PET_NAMES},
    "snow_depth_water_equivalent_mean": Known("mm", _WATER_EQUIVALENT, 0, 100000),
    **{f"volumetric_soil_water_layer_{i}_mean": moisture for i, moisture in _SOIL_MOISTURE.items()},
    # Earth Engine's daily ERA5-Land: snow_depth is the snow's thickness; ECMWF's short name sd is its water.
    "snow_depth": Known("m of snow", "snow depth (physical thickness)", 0, 100),
    "snow_depth_water_equivalent": Known("m of water", _WATER_EQUIVALENT, 0, 100),
    "sd": Known("m of water", _WATER_EQUIVALENT, 0, 100),
    "temperature_2m": Known("K", "air temperature", 150, 373),
    **{f"volumetric_soil_water_layer_{i}": moisture for i, moisture in _SOIL_MOISTURE.items()},
    "uaz_swe": Known("mm", _WATER_EQUIVALENT, 0, 100000),
    "daymet_swe": Known("mm", _WATER_EQUIVALENT, 0, 100000),
}
# Thickness in mm of the four ERA5-Land soil layers: volumetric water times this is mm of water.
SOIL_LAYER_MM = {1: 70.0, 2: 210.0, 3: 720.0, 4: 1890.0}


NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
BLANKS = " \t\v\f"  # not the no-break space, which Python strips too
WIDTH = 40  # bytes of a date in a csv, with a time of day and its zone; longer text is read line by line
MISSING = ("", "na", "nan", "-nan", "null", "none")
DATE = re.compile(r"([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})([T ][0-9:.]+Z?)?")


def text_of(path) -> bytes:
    """The file's bytes with plain line ends and without a byte order mark.

    Raises
    ------
    InputError
        If there is no such file, or nothing in it.
    """
    try:
        raw = Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in raw:  # looked for first: replacing goes through megabytes byte by byte
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not raw or raw.isspace():
        raise InputError(f"{path} is empty; fetch it again.")
    return raw


def separator_of(head: str) -> str:
    """What separates the columns of a csv, by its first line: the first of ; , and tab that stands there."""
    return next((separator for separator in (";", ",", "\t") if separator in head), ",")


# Reading text: pandas, and line by line


def _columns(path, raw, skip, separator, count, numbers, words=()) -> dict[int, np.ndarray]:
    """Some columns of the data lines, the blank ones left out.

    Parameters
    ----------
    path, raw
        The file and its text, from `text_of`.
    skip : int
        Lines of header.
    separator : str or None
        None: any run of blanks and tabs.
    count : int
        Fields of a line.
    numbers, words : sequence of int
        Positions of the columns that are read as float64, NaN where missing, and as text.

    Returns
    -------
    dict position -> array (line,)
    """
    columns = _by_pandas(raw, skip, separator, count, numbers, words)
    return _by_line(path, raw, skip, separator, count, numbers, words) if columns is None else columns


def _by_pandas(raw, skip, separator, count, numbers, words):
    """The columns as pandas' parser reads them, or None if the text is not regular throughout."""
    if not raw.endswith(b"\n") or b"\0" in raw:
        return None
    kind = object if separator is None else f"S{WIDTH}"  # dates, each another text, make objects slowly
    options = {"sep": r"\s+", "na_filter": False}  # pandas refuses a line that is too long, fills one too short with ""
    if separator is not None:
        lines = raw.split(b"\n")[skip:-1]
        # Counted for every line of every file, so without a loop in Python.
        if set(map(bytes.count, lines, itertools.repeat(separator.encode()))) != {count - 1}:
            return None
        options = {"sep": separator, "usecols": sorted({*numbers, *words})}
        options["na_values"] = dict.fromkeys(numbers, ["", "NA", "NaN", "nan"])
    try:
        frame = pd.read_csv(
            io.BytesIO(raw), skiprows=skip, header=None, names=range(count), dtype=dict.fromkeys(words, kind),
            keep_default_na=False, quoting=csv.QUOTE_NONE, low_memory=False, **options,
        )  # fmt: skip
    except (ValueError, OverflowError):  # pandas' own errors are ValueErrors
        return None
    columns = {position: frame[position].to_numpy() for position in (*numbers, *words)}
    numeric = all(columns[position].dtype.kind in "iuf" for position in numbers)
    if not numeric or not isinstance(frame.index, pd.RangeIndex):
        return None
    if not len(frame) or (separator is None and _short(frame[count - 1])):
        return None
    if separator is not None and any((np.char.str_len(columns[position]) == WIDTH).any() for position in words):
        return None  # longer ones were cut
    for position in numbers:
        columns[position] = columns[position].astype(float)  # a copy that may be changed
        if not np.isfinite(columns[position]).all() and (separator is None or np.isinf(columns[position]).any()):
            return None
    return columns


def _short(last) -> bool:
    """Whether a blank-separated line is too short: its last field is empty."""
    return last.dtype.kind == "O" and bool((last.to_numpy() == "").any())


def _by_line(path, raw, skip, separator, count, numbers, words) -> dict[int, np.ndarray]:
    """The columns in plain Python, or an error that names the line."""
    rows, lines = [], _line_numbers(raw, skip)
    text = raw.decode("utf-8", "replace").split("\n")
    for line in lines:
        fields = re.findall(r"[^ \t]+", text[line - 1]) if separator is None else text[line - 1].split(separator)
        if len(fields) != count:
            raise InputError(
                f"{path}, line {line}: {len(fields)} fields instead of {count}; is the line cut? Fetch the file again "
                "or remove the line."
            )
        rows.append([field.strip(BLANKS) for field in fields])
    if not rows:
        raise InputError(f"{path}: no data lines; fetch the file again.")
    table, columns = list(zip(*rows, strict=True)), {}
    for position in numbers:
        columns[position] = np.array([_number(path, *pair) for pair in zip(lines, table[position], strict=True)])
    if count - 1 in columns and text[-1].strip():
        # The very last number may be cut: it is kept only if it has as many decimals as every number above it.
        decimals = {len(word.partition(".")[2]) for word in table[count - 1]}
        if len(decimals) > 1 or decimals == {0}:
            columns[count - 1][-1] = np.nan
    return columns | {position: np.array(table[position], object) for position in words}


def _line_numbers(raw, skip) -> list[int]:
    """Numbers, from 1, of the lines that are data."""
    return [i for i, line in enumerate(raw.split(b"\n"), start=1) if i > skip and line.strip()]


def _number(path, line, word) -> float:
    if NUMBER.fullmatch(word):
        return float(word)
    if word.lower() in MISSING:
        return np.nan
    raise InputError(f"{path}, line {line}: {word[:30]!r} is not a number.")


def _days(path, year, month, day, line_of) -> np.ndarray:
    """Days (datetime64[D]) of years, months and days; refuses those that are impossible, repeated or out of order."""
    ok = (year >= YEARS[0]) & (year <= YEARS[1]) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    whole = [np.where(ok, part, 1).astype(int) for part in (year, month, day)]
    months = ((whole[0] - 1970) * 12 + whole[1] - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (whole[2] - 1)
    ok &= (whole[0] == year) & (whole[1] == month) & (whole[2] == day) & (days.astype("datetime64[M]") == months)
    if not ok.all():
        i = int(np.argmin(ok))
        raise InputError(f"{path}, {line_of(i)}: there is no date {year[i]:g}-{month[i]:g}-{day[i]:g}.")
    return _in_order(path, days, line_of)


def _in_order(path, days, line_of) -> np.ndarray:
    """The days, or an error if one of them is repeated or out of order."""
    steps = np.diff(days).astype(int)
    if (steps < 1).any():
        i = int(np.argmax(steps < 1)) + 1
        what = "is repeated" if days[i] in days[:i] else "is out of order"
        raise InputError(f"{path}, {line_of(i)}: the date {days[i]} {what}; sort the file by date.")
    return days


def _regular_days(words) -> np.ndarray | None:
    """Days of dates that are all written as 1980-01-31, else None."""
    if (np.char.str_len(words) != 10).any():  # numpy takes "today" for a date
        return None
    try:
        days = words.astype("datetime64[D]")
    except ValueError:
        return None
    possible = (days >= np.datetime64(f"{YEARS[0]}")) & (days < np.datetime64(f"{YEARS[1] + 1}"))
    return days if possible.all() else None


def _csv_days(path, words, line_of) -> np.ndarray:
    """Days of dates written year-month-day (a time of day after it is ignored)."""
    if words.dtype.kind == "S":
        days = _regular_days(words)
        if days is not None:
            return _in_order(path, days, line_of)
        words = [word.decode("utf-8", "replace") for word in words]
    found = [DATE.fullmatch(str(word).strip(BLANKS)) for word in words]
    if None in found:
        i = found.index(None)
        raise InputError(
            f"{path}, {line_of(i)}: {str(words[i]).strip(BLANKS)[:30]!r} is not a date; write dates as 1980-01-31."
        )
    return _days(path, *np.array([match.groups()[:3] for match in found], float).T, line_of)


def _checked(path, columns, days, line_of) -> pd.DataFrame:
    """A frame of the columns {name: array (day,)}; -999, -9999 and negative streamflow, which is counted, become NaN.

    What cannot be is refused; KNOWN has the ranges.
    """
    negative = 0
    for name, values in columns.items():
        values[(values == -999) | (values == -9999)] = np.nan
        known = KNOWN.get(name, Known("", "", -MOST, MOST))
        if name == "streamflow":
            below = (values < 0) & (values > -MOST)
            negative, values[below] = int(below.sum()), np.nan
        wrong = (values < known.low) | (values > known.high)
        if wrong.any():
            i = int(np.argmax(wrong))
            raise InputError(
                f"{path}, {line_of(i)}: {name} {values[i]:g} is not between {known.low:g} and {known.high:g} "
                f"{known.units}".rstrip()
                + "; correct it or write -999 for missing."
            )
    for low, high in (("tmin", "tmax"), ("temperature_2m_min", "temperature_2m_max")):
        if low in columns and high in columns and (columns[low] > columns[high]).sum() > len(days) / 2:
            raise InputError(f"{path}: {low} is above {high} on most days; are the two columns exchanged?")
    frame = pd.DataFrame(columns, index=pd.DatetimeIndex(days.astype("datetime64[ns]"), name="date"), copy=False)
    frame.attrs = {"negative": negative}
    return frame


# Forcing and streamflow of CAMELS-US

HEADER_UNITS = {"prcp": "mm/day", "tmin": "c", "tmax": "c", "srad": "w/m2", "vp": "pa"}


def forcing_head(path, raw=None) -> tuple[dict, list[str]]:
    """What the four lines at the head of a forcing file say: lat, elevation_m, area_m2; lower-case column names."""
    lines = (text_of(path) if raw is None else raw).split(b"\n", 4)
    if len(lines) < 5:
        raise InputError(f"{path}: {len(lines)} lines instead of a header of four and data; fetch the file again.")
    head = {}
    for line, (name, words, low, high) in enumerate(
        (
            ("lat", "latitude", -90, 90),
            ("elevation_m", "elevation in m", -500, 9000),
            ("area_m2", "area in m2", 1e4, 1e13),
        )
    ):
        word = lines[line].decode("utf-8", "replace").strip()
        if not NUMBER.fullmatch(word) or not low <= float(word) <= high:
            raise InputError(f"{path}, line {line + 1}: the {words} should stand here, not {word[:30]!r}.")
        head[name] = float(word)
    names = []
    for word in lines[3].decode("utf-8", "replace").lower().split():
        name, _, units = word.partition("(")
        if name in HEADER_UNITS and units.rstrip(")") not in ("", HEADER_UNITS[name]):
            raise InputError(f"{path}, line 4: {name} is in {units.rstrip(')')}, not in {HEADER_UNITS[name]}.")
        names.append(name)
    if missing := [name for name in ("year", "mnth", "day", *FORCING) if name not in names]:
        raise InputError(f"{path}, line 4: no column {some(missing)}.")
    if len(set(names)) < len(names):
        raise InputError(f"{path}, line 4: a column name stands twice.")
    return head, names


def read_forcing(path) -> pd.DataFrame:
    """Daily forcing of a CAMELS-US basin (Newman et al. 2015, doi:10.5194/hess-19-209-2015).

    Parameters
    ----------
    path : path
        `<id>_lump_*_forcing_leap.txt`: four lines of header, then columns separated by any run of blanks and tabs.

    Returns
    -------
    pandas.DataFrame
        Index date, the days that the file holds; float64 columns prcp (mm/day), tmin and tmax (degrees C), srad (W/m2),
        vp (Pa), NaN where missing. `.attrs` holds lat, elevation_m, area_m2.

    Raises
    ------
    InputError
        If the text is not what it should be.
    """
    raw = text_of(path)
    head, names = forcing_head(path, raw)
    wanted = [names.index(name) for name in ("year", "mnth", "day", *FORCING)]
    read = _columns(path, raw, 4, None, len(names), wanted)
    year, month, day, *series = (read[position] for position in wanted)
    line_of = _lines(raw, 4)
    days = _days(path, year, month, day, line_of)
    frame = _checked(path, dict(zip(FORCING, series, strict=True)), days, line_of)
    frame.attrs |= head
    return frame


def read_streamflow(path, basin, area_m2) -> pd.DataFrame:
    """Daily streamflow of a CAMELS-US basin.

    Parameters
    ----------
    path : path
        `<id>_streamflow_qc.txt`: id, year, month, day, flow in ft3/s, flag.
    basin : str
        The id that must stand in the file.
    area_m2 : float
        Catchment area.

    Returns
    -------
    pandas.DataFrame
        Index date, the days that the file holds; float64 column streamflow (mm/day), NaN where the flow is -999, below
        zero or flagged M; `.attrs["negative"]` counts the flows below zero.

    Raises
    ------
    InputError
        If the text is not what it should be, or another basin's id stands in it.
    """
    raw = text_of(path)
    station, year, month, day, flow, flag = _columns(path, raw, 0, None, 6, range(5), [5]).values()
    line_of = _lines(raw, 0)
    if basin.isdigit() and (station != int(basin)).any():
        i = int(np.argmax(station != int(basin)))
        found = raw.split(b"\n")[_line_numbers(raw, 0)[i] - 1].split()[0].decode("utf-8", "replace")
        raise InputError(f"{path}, {line_of(i)}: basin {found[:30]!r} in the file of basin {basin}.")
    days = _days(path, year, month, day, line_of)
    flow[(flag == "M") | (flow == -999) | (flow == -9999)] = np.nan
    flow *= CUBIC_MM_PER_CUBIC_FOOT * SECONDS_PER_DAY / (area_m2 * 1e6)
    return _checked(path, {"streamflow": flow}, days, line_of)


def _lines(raw, skip):
    """Function that says on which line of the file a row of data stands."""
    return lambda row: f"line {_line_numbers(raw, skip)[row]}"


# Any dated file


def read_columns(path, columns=None) -> pd.DataFrame:
    """Named columns of a dated csv or netCDF file, such as Caravan's (doi:10.1038/s41597-023-01975-w).

    Parameters
    ----------
    path : path
        A csv with a column named date (or time), or a netCDF file with that dimension.
    columns : sequence of str, default None
        None takes all that hold numbers. 'potential_evaporation_sum' is also found under its newer names (PET_NAMES).

    Returns
    -------
    pandas.DataFrame
        Index date, the days that the file holds; float64, NaN where missing, NaN throughout for a column that the file
        lacks. `.attrs`: absent, the columns it lacks; names, those it has; found, the columns under the file's names;
        negative, the number of streamflow values below zero.

    Raises
    ------
    InputError
        If the file is not what it should be.
    """
    netcdf = Path(path).suffix.lower() in (".nc", ".nc4")
    names, found, series, days, place_of = (_read_netcdf if netcdf else _read_csv)(path, columns)
    frame = _checked(path, series, days, place_of)
    negative = frame.attrs["negative"]
    columns = names if columns is None else list(columns)
    frame = frame.set_axis(list(found), axis=1).reindex(columns=columns)
    frame.attrs = {"absent": [column for column in columns if column not in found], "names": names,
                   "found": list(found.values()), "negative": negative}  # fmt: skip
    return frame


def _found(columns, names) -> dict:
    """The columns that are there, and how the file names them."""
    found = {}
    for column in names if columns is None else columns:
        candidates = PET_NAMES if column == PET else (column,)
        if name := next((name for name in candidates if name in names), None):
            found[column] = name
    return found


def _read_csv(path, columns):
    """Names of the columns but the date; those found; their values and days; what says where a row stands."""
    raw = text_of(path).replace(b'"', b"")
    head = raw.partition(b"\n")[0].decode("utf-8", "replace")
    separator = separator_of(head)
    names = [name.strip() for name in head.split(separator)]
    date = next((i for i, name in enumerate(names) if name.lower() in ("date", "time", "datetime")), None)
    if date is None:
        raise InputError(f"{path}, line 1: no column named date among {some(names, 6)}.")
    found = _found(columns, names[:date] + names[date + 1 :])
    if twice := [name for name in found.values() if names.count(name) > 1]:
        raise InputError(f"{path}, line 1: the column {twice[0]} stands twice.")
    where = [names.index(name) for name in found.values()]
    read = _columns(path, raw, 1, separator, len(names), where, [date])
    days = _csv_days(path, read[date], _lines(raw, 1))
    series = {name: read[position] for name, position in zip(found.values(), where, strict=True)}
    return names[:date] + names[date + 1 :], found, series, days, _lines(raw, 1)


def _alone(path):
    """Refuse a netCDF file whose numbers lie in other files, or that declares more days than there can be."""
    import h5py
    import netCDF4

    def elsewhere(name):
        link = file.get(name, getlink=True)
        one = file.get(name) if isinstance(link, h5py.HardLink) else None
        return name if one is None or isinstance(one, h5py.Dataset) and (one.external or one.is_virtual) else None

    if h5py.is_hdf5(path):
        with h5py.File(path) as file:
            name = file.visit_links(elsewhere)
        if name is not None:
            raise InputError(f"{path}: {name[:60]} lies in another file or is a link; put the numbers into this file.")
    with netCDF4.Dataset(path) as file:
        if large := [name for name, dimension in file.dimensions.items() if len(dimension) > MOST_DAYS]:
            raise InputError(f"{path}: the dimension {some(large)} has more than {MOST_DAYS:,} values; fetch it again.")


def _read_netcdf(path, columns):
    """As `_read_csv`, of a netCDF file."""
    import xarray as xr

    try:
        with NETCDF:
            _alone(path)
        with NETCDF, xr.open_dataset(path, engine="netcdf4") as file:
            date = next((d for d in ("date", "time") if d in file.dims and d in file.coords), None)
            if date is None:
                raise InputError(f"{path}: no date dimension.")
            days = file[date].values.astype("datetime64[D]")
            names = [str(name) for name, v in file.data_vars.items() if v.dims == (date,) and v.dtype.kind in "fiu"]
            found = _found(columns, names)
            series = {name: file[name].values.astype(float) for name in found.values()}
    except InputError:
        raise
    except Exception as problem:  # the netCDF library's exceptions are of many kinds
        raise InputError(f"{path} cannot be read as netCDF ({str(problem)[:80]}); fetch it again.") from None
    if len(days) == 0 or np.isnat(days).any() or (np.diff(days).astype(int) < 1).any():
        raise InputError(f"{path}: the dates are repeated, out of order or absent.")
    if days[0] < np.datetime64(f"{YEARS[0]}") or days[-1] >= np.datetime64(f"{YEARS[1] + 1}"):
        raise InputError(f"{path}: dates from {days[0]} to {days[-1]} cannot be; fetch the file again.")
    return names, found, series, days, lambda row: str(days[row])


# Tables and basin lists


CUT = " (the file ends without a line break here and may be cut short; end it with one)"


def read_table(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Column names and (line, fields) of a small `;`, `,` or tab separated table."""
    text = text_of(path).decode("utf-8", "replace")
    separator = separator_of(text.partition("\n")[0])
    reader = csv.reader(text.split("\n"), delimiter=separator, strict=True)
    rows = []
    try:
        names = [name.strip() for name in next(reader)]
        for fields in reader:
            if any(fields):
                if len(fields) != len(names):
                    raise InputError(f"{path}, line {reader.line_num}: {len(fields)} fields instead of {len(names)}.")
                rows.append((reader.line_num, [field.strip() for field in fields]))
    except csv.Error as problem:
        raise InputError(f"{path}, line {reader.line_num}: {problem}; correct the line.") from None
    if not text.endswith("\n") and rows:
        rows[-1][1][-1] += CUT
    return names, rows


def table_number(path: Path, line: int, name: str, text: str) -> float:
    if text.lower() in MISSING:
        return np.nan
    if not NUMBER.fullmatch(text) or abs(float(text)) > MOST:
        cut = CUT if text.endswith(CUT) else ""
        raise InputError(
            f"{path}, line {line}: {name[:60]} {text.removesuffix(CUT)[:30]!r} is not a number between {-MOST:g} and "
            f"{MOST:g} (with a decimal point){cut}."
        )
    number = float(text)
    return np.nan if number in (-999.0, -9999.0) else number


def basin_id(text) -> str:
    """The basin's id as it stands in file names.

    Parameters
    ----------
    text : str or int
        A USGS number with or without its leading zeros, or a Caravan id (`<set>_<id>`).

    Returns
    -------
    str
        Numbers of up to eight digits with leading zeros ('1022500' becomes '01022500'), anything else unchanged.

    Raises
    ------
    InputError
        If the id holds anything but letters, digits, '_', '-' and single dots: ids become parts of file names.
    """
    name = str(text).strip()
    if number := re.fullmatch(r"([0-9]{1,8})(\.0+)?", name):  # table programs write 1022500.0
        return number[1].zfill(8)
    if not re.fullmatch(r"[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)*", name) or len(name) > 100:
        raise InputError(f"{name[:100]!r} is not a basin id; give ids such as 01022500 or hysets_01075000.")
    return name


def basin_number(basin: str) -> str:
    """A basin's id without leading zeros."""
    return (basin.lstrip("0") or "0") if basin.isdigit() else basin


def read_basins(spec) -> list[str]:
    """Basin ids from a list file, or ids themselves.

    Parameters
    ----------
    spec : str, Path or sequence of these
        A file with one id a line (csv and tsv too: the column basin_id or gauge_id, else the first), or ids.

    Returns
    -------
    list of str
        The ids in the order given.

    Raises
    ------
    InputError
        If the file does not exist or is empty, or an id is malformed or stands there twice.
    """
    items = [spec] if isinstance(spec, str | os.PathLike | int) else list(spec)
    basins: list[str] = []
    for item in items:
        path = Path(str(item))
        if not path.is_file() and path.name == str(item):  # s_391attrs.csv, where a script runs in another folder
            path = Path(__file__).parent.parent / path.name
        if path.is_file():
            basins += _basins_in_file(path)
        elif isinstance(item, os.PathLike) or re.search(r"[\\/]|\.(txt|csv|tsv)$", str(item)):
            raise InputError(f"{item}: no such basin list.")
        else:
            basins.append(basin_id(item))
    if not basins:
        raise InputError("The basin list is empty; give at least one id.")
    _refuse_repeated(basins, "The basin list")
    return basins


def _refuse_repeated(basins: list[str], where) -> None:
    if len(set(basins)) < len(basins):
        twice = sorted({b for b in basins if basins.count(b) > 1})
        raise InputError(f"{where} holds {some(twice)} more than once; remove the repeated ids.")


def _basins_in_file(path: Path) -> list[str]:
    text = text_of(path).decode("utf-8", errors="replace").replace('"', "")
    lines = [(i, line) for i, line in enumerate(text.split("\n"), start=1) if line.strip()]
    rows = [(i, [field.strip() for field in re.split(r"[,;\t ]", line.strip())]) for i, line in lines]
    head = [field.lower() for field in rows[0][1]]
    column = next((head.index(name) for name in ("basin_id", "gauge_id") if name in head), 0)
    if any(name in head for name in ("basin_id", "gauge_id", "basin", "gauge", "id")):
        rows = rows[1:]
    basins = []
    for line, fields in rows:
        try:
            basins.append(basin_id(fields[column]))
        except (InputError, IndexError):
            raise InputError(f"{path}, line {line}: no basin id in {' '.join(fields)[:60]!r}.") from None
    _refuse_repeated(basins, path)
    return basins


def _numeric_columns(path, names, rows, key) -> list[str]:
    """The columns of a table that hold numbers (with a decimal comma too, which is refused where they are read); the
    others are named in a warning."""
    columns, others = [], []
    for i, name in enumerate(names):
        texts = [fields[i] for _, fields in rows]
        # The number of a row is no attribute: pandas and R write it under no name.
        named = name and not name.startswith("Unnamed:")
        if i != key and named and any(NUMBER.fullmatch(text.replace(",", ".")) for text in texts):
            columns.append(name)
        elif i != key:
            others.append(name or f"column {i + 1}")
    if not columns:
        raise InputError(f"{path}: no column of numbers among {some(names, 8)}.")
    if others:
        warnings.warn(
            f"{path}: {len(others)} of {len(names) - 1} columns are no attributes, as they hold no numbers or have no "
            f"name: {some(others, 8)}.", stacklevel=2,
        )  # fmt: skip
    return columns


def read_attribute_table(path, basins, columns=None) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Numbers by basin (the listed ones) and column of a table whose id column is basin_id, gauge_id or the first."""
    names, rows = read_table(path)
    lower = [name.lower() for name in names]
    key = next((lower.index(n) for n in ("basin_id", "gauge_id") if n in lower), 0)
    if len(set(names)) < len(names):
        raise InputError(f"{path}, line 1: a column name stands twice.")
    if columns is None:
        columns = _numeric_columns(path, names, rows, key)
    here = [(i, name) for i, name in enumerate(names) if name in columns]
    table: dict[str, dict[str, float]] = {}
    wanted = set(basins)
    for line, fields in rows:
        try:
            basin = basin_id(fields[key])
        except InputError as problem:
            raise InputError(f"{path}, line {line}: {problem}") from None
        if basin in table:
            raise InputError(f"{path}, line {line}: basin {basin} stands here a second time; remove one.")
        table[basin] = {name: table_number(path, line, name, fields[i]) for i, name in here} if basin in wanted else {}
    return table, [name for _, name in here]
