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
import os
import re
import threading
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from files import InputError, some

FORCING = ("prcp", "tmin", "tmax", "srad", "vp")
PET = "potential_evaporation_sum"
# Newer Caravan releases name two kinds of potential evaporation; the first is the older releases' column.
PET_NAMES = (PET, f"{PET}_ERA5_LAND", f"{PET}_FAO_PENMAN_MONTEITH")
CUBIC_MM_PER_CUBIC_FOOT = 28316846.592
SECONDS_PER_DAY = 86400
YEARS = 1700, 2261  # of dates that can be; pandas and xarray count nanoseconds, which end in 2262
NETCDF = threading.Lock()  # its library does one thing at a time


class Known(NamedTuple):
    """Units, meaning and possible range of a column that public data sets hold under this name."""

    units: str
    label: str
    low: float
    high: float


_T = (-100.0, 100.0)
_WATER_EQUIVALENT = "snow water equivalent"
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
    **{
        f"volumetric_soil_water_layer_{i}_mean": Known("m3/m3", f"soil moisture, {depth} cm", 0, 1)
        for i, depth in enumerate(("0-7", "7-28", "28-100", "100-289"), start=1)
    },
    # Earth Engine's daily ERA5-Land: snow_depth is the snow's thickness; ECMWF's short name sd is its water.
    "snow_depth": Known("m of snow", "snow depth (physical thickness)", 0, 100),
    "snow_depth_water_equivalent": Known("m of water", _WATER_EQUIVALENT, 0, 100),
    "sd": Known("m of water", _WATER_EQUIVALENT, 0, 100),
    "temperature_2m": Known("K", "air temperature", 150, 373),
    **{
        f"volumetric_soil_water_layer_{i}": Known("m3/m3", f"soil moisture, {depth} cm", 0, 1)
        for i, depth in enumerate(("0-7", "7-28", "28-100", "100-289"), start=1)
    },
    "uaz_swe": Known("mm", _WATER_EQUIVALENT, 0, 100000),
    "daymet_swe": Known("mm", _WATER_EQUIVALENT, 0, 100000),
}
# Thickness in mm of the four ERA5-Land soil layers: volumetric water times this is mm of water.
SOIL_LAYER_MM = {1: 70.0, 2: 210.0, 3: 720.0, 4: 1890.0}


NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
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
    raw = raw.removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not raw.strip():
        raise InputError(f"{path} is empty; fetch it again.")
    return raw


def separator_of(head: str) -> str:
    """What separates the columns of a csv, by its first line: the first of ; , and tab that stands there."""
    return next((separator for separator in (";", ",", "\t") if separator in head), ",")


# Reading text: pandas, and line by line


def _columns(path, raw, skip, separator, count, numbers, words=()) -> pd.DataFrame:
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
    pandas.DataFrame (line; position)
    """
    frame = _by_pandas(raw, skip, separator, count, numbers, words)
    return _by_line(path, raw, skip, separator, count, numbers, words) if frame is None else frame


def _by_pandas(raw, skip, separator, count, numbers, words):
    """The columns as pandas' parser reads them, or None if the text is not regular throughout."""
    if not raw.endswith(b"\n") or b"\0" in raw:
        return None
    blank = separator is None
    try:
        frame = pd.read_csv(
            io.BytesIO(raw), sep=r"\s+" if blank else separator, skiprows=skip, header=None, names=range(count + 1),
            usecols=sorted({*numbers, *words, count - 1, count}), dtype=dict.fromkeys([*words, count], str),
            keep_default_na=False, na_values={} if blank else dict.fromkeys(numbers, ["", "NA", "NaN", "nan"]),
            quoting=csv.QUOTE_NONE, low_memory=False,
        )  # fmt: skip
    except (ValueError, OverflowError):  # pandas' own errors are ValueErrors
        return None
    # A line that is too long has something in the column too many; one that is too short lacks a separator, or the last
    # of the blank-separated fields.
    whole = isinstance(frame.index, pd.RangeIndex) and len(frame) and frame[count].isna().all()
    if blank:
        whole = whole and frame[count - 1].notna().all()
    else:
        lines = raw.split(b"\n", skip)[skip] if skip else raw
        whole = whole and lines.count(separator.encode()) == (count - 1) * len(frame)
    chosen = frame[list(numbers)]
    if not whole or not all(dtype.kind in "iuf" for dtype in chosen.dtypes) or np.isinf(chosen.to_numpy(float)).any():
        return None
    if blank and chosen.isna().to_numpy().any():
        return None
    return pd.concat([chosen.astype(float), frame[list(words)]], axis=1)


def _by_line(path, raw, skip, separator, count, numbers, words) -> pd.DataFrame:
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
        rows.append([field.strip() for field in fields])
    if not rows:
        raise InputError(f"{path}: no data lines; fetch the file again.")
    table = pd.DataFrame(rows)
    out = {}
    for position in numbers:
        out[position] = [_number(path, line, word) for line, word in zip(lines, table[position], strict=True)]
    if count - 1 in out and not raw.endswith(b"\n"):
        # The very last number may be cut: it is kept only if it has as many decimals as every number above it.
        decimals = {len(word.partition(".")[2]) for word in table[count - 1]}
        if len(decimals) > 1 or decimals == {0}:
            out[count - 1][-1] = np.nan
    return pd.DataFrame(out | {position: table[position] for position in words}, columns=[*numbers, *words])


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
    ok &= (year % 1 == 0) & (month % 1 == 0) & (day % 1 == 0)
    months = np.where(ok, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (np.where(ok, day, 1) - 1).astype(int)
    ok &= days.astype("datetime64[M]") == months
    if not ok.all():
        i = int(np.argmin(ok))
        raise InputError(f"{path}, {line_of(i)}: there is no date {year[i]:g}-{month[i]:g}-{day[i]:g}.")
    steps = np.diff(days).astype(int)
    if (steps < 1).any():
        i = int(np.argmax(steps < 1)) + 1
        what = "is repeated" if days[i] in days[:i] else "is out of order"
        raise InputError(f"{path}, {line_of(i)}: the date {days[i]} {what}; sort the file by date.")
    return days


def _csv_days(path, words, line_of) -> np.ndarray:
    """Days of dates written year-month-day (a time of day after it is ignored)."""
    dates = pd.to_datetime(words, format="%Y-%m-%d", errors="coerce")
    if dates.notna().all():
        return _days(path, *(part.to_numpy(float) for part in (dates.dt.year, dates.dt.month, dates.dt.day)), line_of)
    found = [DATE.fullmatch(str(word).strip()) for word in words]
    if None in found:
        i = found.index(None)
        raise InputError(
            f"{path}, {line_of(i)}: {str(words.iloc[i]).strip()[:30]!r} is not a date; write dates as 1980-01-31."
        )
    return _days(path, *np.array([match.groups()[:3] for match in found], float).T, line_of)


def _checked(path, frame, line_of) -> pd.DataFrame:
    """The frame with -999, -9999 and negative streamflow as NaN; refuses what cannot be (KNOWN has the ranges)."""
    values = frame.to_numpy(copy=True)
    values[(values == -999) | (values == -9999)] = np.nan
    negative = 0
    for name, column in zip(frame.columns, values.T, strict=True):
        if name == "streamflow":
            negative = int((column < 0).sum())
            column[(column < 0) & (column > -1e30)] = np.nan
        low, high, units = (
            (KNOWN[name].low, KNOWN[name].high, f" {KNOWN[name].units}") if name in KNOWN else (-1e30, 1e30, "")
        )
        wrong = (column < low) | (column > high)
        if wrong.any():
            i = int(np.argmax(wrong))
            raise InputError(
                f"{path}, {line_of(i)}: {name} {column[i]:g} is not between {low:g} and {high:g}{units}; correct it or "
                "write -999 for missing."
            )
    for low, high in (("tmin", "tmax"), ("temperature_2m_min", "temperature_2m_max")):
        if {low, high} <= set(frame.columns):
            inverted = values[:, frame.columns.get_loc(low)] > values[:, frame.columns.get_loc(high)]
            if inverted.sum() > len(inverted) / 2:
                raise InputError(f"{path}: {low} is above {high} on most days; are the two columns exchanged?")
    checked = pd.DataFrame(values, index=frame.index, columns=frame.columns)
    checked.attrs = frame.attrs | {"negative": negative}
    return checked


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
    frame = _columns(path, raw, 4, None, len(names), wanted)
    line_of = _lines(raw, 4)
    days = _days(path, *frame[wanted[:3]].to_numpy().T, line_of)
    frame = frame[wanted[3:]].set_axis(FORCING, axis=1)
    frame.attrs = head
    return _dated(_checked(path, frame, line_of), days)


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
    frame = _columns(path, raw, 0, None, 6, range(5), [5])
    line_of = _lines(raw, 0)
    other = frame[0] != int(basin) if basin.isdigit() else np.zeros(len(frame), bool)
    if other.any():
        i = int(np.argmax(other))
        found = raw.split(b"\n")[_line_numbers(raw, 0)[i] - 1].split()[0].decode("utf-8", "replace")
        raise InputError(f"{path}, {line_of(i)}: basin {found[:30]!r} in the file of basin {basin}.")
    days = _days(path, *frame[[1, 2, 3]].to_numpy().T, line_of)
    flow = frame[4].mask((frame[5] == "M") | (frame[4] == -999) | (frame[4] == -9999))
    flow *= CUBIC_MM_PER_CUBIC_FOOT * SECONDS_PER_DAY / (area_m2 * 1e6)
    return _dated(_checked(path, flow.to_frame("streamflow"), line_of), days)


def _lines(raw, skip):
    """Function that says on which line of the file a row of data stands."""
    return lambda row: f"line {_line_numbers(raw, skip)[row]}"


def _dated(frame, days) -> pd.DataFrame:
    return frame.set_axis(pd.DatetimeIndex(days.astype("datetime64[ns]"), name="date"), axis=0)


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
    names, found, frame, days, place_of = (_read_netcdf if netcdf else _read_csv)(path, columns)
    frame = _dated(_checked(path, frame, place_of), days)
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
    frame = _columns(path, raw, 1, separator, len(names), where, [date])
    days = _csv_days(path, frame[date], _lines(raw, 1))
    frame = frame[where].set_axis(list(found.values()), axis=1)
    return names[:date] + names[date + 1 :], found, frame, days, _lines(raw, 1)


def _read_netcdf(path, columns):
    """As `_read_csv`, of a netCDF file."""
    import xarray as xr

    try:
        with NETCDF, xr.open_dataset(path, engine="netcdf4") as file:
            date = next((d for d in ("date", "time") if d in file.dims and d in file.coords), None)
            if date is None:
                raise InputError(f"{path}: no date dimension.")
            days = file[date].values.astype("datetime64[D]")
            names = [str(name) for name, v in file.data_vars.items() if v.dims == (date,) and v.dtype.kind in "fiu"]
            found = _found(columns, names)
            frame = pd.DataFrame({name: file[name].values.astype(float) for name in found.values()}, range(len(days)))
    except InputError:
        raise
    except Exception as problem:  # the netCDF library's exceptions are of many kinds
        raise InputError(f"{path} cannot be read as netCDF ({str(problem)[:80]}); fetch it again.") from None
    if len(days) == 0 or np.isnat(days).any() or (np.diff(days).astype(int) < 1).any():
        raise InputError(f"{path}: the dates are repeated, out of order or absent.")
    if days[0] < np.datetime64(f"{YEARS[0]}") or days[-1] >= np.datetime64(f"{YEARS[1] + 1}"):
        raise InputError(f"{path}: dates from {days[0]} to {days[-1]} cannot be; fetch the file again.")
    return names, found, frame, days, lambda row: str(days[row])


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
    if not NUMBER.fullmatch(text) or abs(float(text)) == np.inf:
        cut = CUT if text.endswith(CUT) else ""
        raise InputError(f"{path}, line {line}: {name} {text.removesuffix(CUT)[:30]!r} is not a number{cut}.")
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
    if re.fullmatch(r"[0-9]{1,8}", name):
        return name.zfill(8)
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
    text = text_of(path).decode("utf-8", errors="replace")
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


def read_attribute_table(path, basins, columns=None) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Numbers by basin (the listed ones) and column of a table whose id column is basin_id, gauge_id or the first."""
    names, rows = read_table(path)
    lower = [name.lower() for name in names]
    key = next((lower.index(n) for n in ("basin_id", "gauge_id") if n in lower), 0)
    if len(set(names)) < len(names):
        raise InputError(f"{path}, line 1: a column name stands twice.")
    if columns is None:
        columns = []
        for i, name in enumerate(names):
            texts = [fields[i] for _, fields in rows]
            if i != key and any(NUMBER.fullmatch(text) for text in texts):
                columns.append(name)
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
