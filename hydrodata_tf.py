"""CAMELS-US, Caravan and ERA5-Land text files to one dated data set: units, missing values, attributes, windows.

Every reader can be used alone (load_forcing, load_streamflow, load_attributes, load_caravan, load_concept);
load_dataset joins them to one xarray.Dataset (basin, date). The normalised attribute table is made by

    python hydrodata_tf.py attributes --data-dir CAMELS_FOLDER --basins BASIN_LIST --out s_391attrs.csv

Rules for what stands in a file:
- missing is NaN everywhere: an empty field, NA, NaN, -999 and -9999, streamflow with the flag M, days left out, the
  very last number of a file that ends without a line break when it may have been cut;
- a number that cannot be (rain below zero, air at 200 degrees C, inf, letters), a date that is repeated, out of
  order or not in the calendar, a line with a field too few: InputError with the file and the line.
"""

import csv
import os
import re
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

import windows
from files import InputError, some

if TYPE_CHECKING:  # imported where it is used: it takes as long as reading a small data set
    import xarray as xr

FORCING = ("prcp", "tmin", "tmax", "srad", "vp")
PRODUCTS = ("daymet", "maurer", "maurer_extended", "nldas", "nldas_extended")
ATTRIBUTES = (
    "elev_mean",
    "slope_mean",
    "area_gages2",
    "p_mean",
    "pet_mean",
    "aridity",
    "p_seasonality",
    "frac_snow",
    "high_prec_freq",
    "high_prec_dur",
    "low_prec_freq",
    "low_prec_dur",
    "frac_forest",
    "lai_max",
    "lai_diff",
    "gvf_max",
    "gvf_diff",
    "soil_depth_pelletier",
    "soil_depth_statsgo",
    "soil_porosity",
    "soil_conductivity",
    "max_water_content",
    "sand_frac",
    "silt_frac",
    "clay_frac",
    "organic_frac",
    "geol_permeability",
)
PET = "potential_evaporation_sum"
CARAVAN_FORCING = (
    "total_precipitation_sum",
    "temperature_2m_min",
    "temperature_2m_max",
    "surface_net_solar_radiation_mean",
    PET,
)
# Newer Caravan releases name two kinds of potential evaporation; the first is the older releases' column.
PET_NAMES = (PET, f"{PET}_ERA5_LAND", f"{PET}_FAO_PENMAN_MONTEITH")
CUBIC_MM_PER_CUBIC_FOOT = 28316846.592
SECONDS_PER_DAY = 86400
PLACE = {"lat": "degrees_north", "lon": "degrees_east", "area_km2": "km2"}
YEARS = 1700, 2261  # of dates that can be; pandas and xarray count nanoseconds, which end in 2262
READER_VERSION = 2  # part of the cache key: raise it when a file would be read to other numbers


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

# ---- names ----------------------------------------------------------------------------------------------------------


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
        raise InputError(f"{name[:100]!r} is not a basin id; give ids such as 01022500 or hysets_01075000")
    return name


def _basin_number(basin: str) -> str:
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
            raise InputError(f"{item}: no such basin list")
        else:
            basins.append(basin_id(item))
    if not basins:
        raise InputError("the basin list is empty; give at least one id")
    _refuse_repeated(basins, "the basin list")
    return basins


def _refuse_repeated(basins: list[str], where) -> None:
    if len(set(basins)) < len(basins):
        twice = sorted({b for b in basins if basins.count(b) > 1})
        raise InputError(f"{where} holds {some(twice)} more than once; remove the repeated ids")


def _basins_in_file(path: Path) -> list[str]:
    text = _read_bytes(path).decode("utf-8", errors="replace")
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
            raise InputError(f"{path}, line {line}: no basin id in {' '.join(fields)[:60]!r}") from None
    _refuse_repeated(basins, path)
    return basins


# ---- text to numbers ------------------------------------------------------------------------------------------------


class Table(NamedTuple):
    """Dated columns of one file: the day of each row and values (column, row), NaN where missing."""

    days: np.ndarray
    values: np.ndarray


def _read_bytes(path: Path) -> bytes:
    """The file's bytes with plain line ends and without a byte order mark."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not raw.strip():
        raise InputError(f"{path} is empty; fetch it again")
    return raw


def _line_of(raw: bytes, position: int) -> int:
    return raw.count(b"\n", 0, int(position)) + 1


def _fields(path: Path, raw: bytes, begin: int, count: int, separator: bytes | None):
    """Start and end of every field of the lines from byte `begin` on, each (lines, count).

    `separator` None means any run of blanks and tabs. Regular text is cut up by numpy in one go; anything else goes
    line by line, so that the first bad line can be named.
    """
    text = np.frombuffer(raw, np.uint8)[begin:]
    newline = text == 10
    lines = np.count_nonzero(newline)
    if separator is None:
        blank = newline | (text == 32) | (text == 9)
        edges = np.flatnonzero(blank[1:] != blank[:-1]) + 1
        if len(text) and not blank[0] and blank[-1] and len(edges) == 2 * count * lines - 1:
            edges = np.concatenate(([0], edges)).reshape(lines, count, 2)
            starts, ends = edges[:, :, 0], edges[:, :, 1]
            if lines and newline[starts[1:, 0] - 1].all() and newline[ends[:, -1]].all():
                return starts + begin, ends + begin
    else:
        breaks = np.flatnonzero(newline | (text == separator[0]))
        if lines and len(breaks) == count * lines and newline[-1]:
            ends = breaks.reshape(lines, count)
            if newline[ends[:, -1]].all():
                starts = np.empty_like(ends)
                starts.ravel()[0] = 0
                starts.ravel()[1:] = breaks[:-1] + 1
                return starts + begin, ends + begin
    return _fields_by_line(path, raw, begin, count, separator)


def _fields_by_line(path, raw, begin, count, separator):
    starts, ends = [], []
    line, position = _line_of(raw, begin), begin
    for row in raw[begin:].split(b"\n"):
        if row.strip():
            if separator is None:
                spans = [m.span() for m in re.finditer(rb"[^ \t]+", row)]
            else:
                cuts = [i for i, c in enumerate(row) if c == separator[0]]
                spans = list(zip([0, *(c + 1 for c in cuts)], [*cuts, len(row)], strict=True))
            if len(spans) != count:
                raise InputError(
                    f"{path}, line {line}: {len(spans)} fields instead of {count}; is the line cut? Fetch the file "
                    "again or remove the line"
                )
            starts.append([position + s for s, _ in spans])
            ends.append([position + e for _, e in spans])
        line += 1
        position += len(row) + 1
    if not starts:
        raise InputError(f"{path}: no data lines; fetch the file again")
    return np.array(starts), np.array(ends)


_NUMBER = re.compile(rb"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
_MISSING = (b"", b"na", b"nan", b"-nan", b"null", b"none")


_POWERS_OF_TEN = 10.0 ** np.arange(8)


def _short_numbers(word: np.ndarray, first: np.ndarray, length: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Unsigned decimals of one to eight characters in the text `word`, and where that is what stands there.

    Each field is one 64-bit word: eight digits are added up with three multiplications, all fields at once. The digits
    are an exact integer and the power of ten is exact, so the one division rounds correctly.
    """
    one, eights, zeros, tens = (np.uint64(int(byte * 8, 16)) for byte in ("01", "80", "30", "06"))
    u8 = np.uint64(8)
    shift = (first & 7).astype(np.uint64) * u8
    at = first >> 3
    text = (word[at] >> shift) | (word[at + 1] << (np.uint64(64) - shift))  # shifts by 64 give 0 in numpy
    size = np.minimum(length, 8).astype(np.uint64)
    text <<= (u8 - size) * u8  # the last character is now in the highest byte, what followed it is gone
    other = text ^ np.uint64(0x2E2E2E2E2E2E2E2E)
    point = ((other - one) & ~other & eights) >> np.uint64(7)  # lowest bit of the byte that holds the point, or 0
    decimals = (point * np.uint64(0x0706050403020100)) >> np.uint64(56)
    before = text & (point - np.uint64(1))
    text = np.where(point == 0, text, ((text ^ before) & ~(point * np.uint64(255))) | (before << u8))
    size -= point != 0
    text |= zeros >> (size * u8)
    high = np.uint64(0xF0F0F0F0F0F0F0F0)
    plain = (length <= 8) & (size > 0)
    plain &= ((text & high) == zeros) & (((text + tens) & high) == zeros)
    text -= zeros
    text = text * np.uint64(10) + (text >> u8)
    low, pairs = np.uint64(0x000000FF000000FF), text >> np.uint64(16)
    text = (text & low) * np.uint64(0x000F424000000064) + (pairs & low) * np.uint64(0x0000271000000001)
    return (text >> np.uint64(32)).astype(np.int64) / _POWERS_OF_TEN.take(decimals.astype(np.int64)), plain


def _numbers(path: Path, raw: bytes, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """The fields as float64, each correctly rounded; NaN where the field is empty or says NA."""
    raw_words = np.frombuffer(raw + bytes(24 - len(raw) % 8), "<u8")
    values, plain = np.empty(starts.shape), np.empty(starts.shape, bool)
    for i, (first, last) in enumerate(zip(starts, ends, strict=True)):  # column by column: stays in the cache
        negative = raw_words.view(np.uint8)[first] == ord("-")
        values[i], plain[i] = _short_numbers(raw_words, first + negative, last - first - negative)
        np.negative(values[i], where=negative, out=values[i])
    empty = starts == ends
    values[empty] = np.nan
    for i in zip(*np.nonzero(~(plain | empty)), strict=True):
        token = raw[starts[i] : ends[i]].strip()
        if _NUMBER.fullmatch(token):
            values[i] = float(token)
        elif token.lower() in _MISSING:
            values[i] = np.nan
        else:
            raise InputError(f"{path}, line {_line_of(raw, starts[i])}: {_shown(token)} is not a number")
    return values


def _shown(token: bytes) -> str:
    return repr(token[:30].decode("utf-8", "replace"))


def _mask(path: Path, names, values: np.ndarray, line_of) -> None:
    """Make -999 and -9999 NaN in place; refuse what cannot be (KNOWN has the ranges). line_of(i, row) says where."""
    values[(values == -999) | (values == -9999)] = np.nan
    for i, (name, row) in enumerate(zip(names, values, strict=True)):
        known = KNOWN.get(name)
        low, high = (known.low, known.high) if known else (-1e30, 1e30)
        wrong = np.flatnonzero((row < low) | (row > high))
        if len(wrong):
            units = f" {known.units}" if known else ""
            raise InputError(
                f"{path}, {line_of(i, wrong[0])}: {name} {row[wrong[0]]:g} is not between {low:g} and {high:g}{units}; "
                "correct it or write -999 for missing"
            )
    for low, high in (("tmin", "tmax"), ("temperature_2m_min", "temperature_2m_max")):
        if low in names and high in names:
            inverted = values[names.index(low)] > values[names.index(high)]
            if inverted.sum() > len(inverted) / 2:
                raise InputError(f"{path}: {low} is above {high} on most days; are the two columns exchanged?")


def _forget_cut_number(raw: bytes, values: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> None:
    """The very last number of a file without a final line break may be cut: keep it only if it has as many decimals
    as every number above it."""
    for i in np.flatnonzero(ends[:, -1] == len(raw)):
        decimals = {len(raw[a:b].partition(b".")[2]) for a, b in zip(starts[i], ends[i], strict=True)}
        if len(decimals) > 1 or decimals == {0}:
            values[i, -1] = np.nan


def _calendar_days(path: Path, raw: bytes, year, month, day, starts) -> np.ndarray:
    """Rows of year, month, day to datetime64[D]; refuses dates that are impossible, repeated or out of order."""
    ok = (year >= YEARS[0]) & (year <= YEARS[1]) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    months = np.where(ok, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (np.where(ok, day, 1) - 1).astype(np.int64)
    ok &= days.astype("datetime64[M]") == months
    ok &= (year % 1 == 0) & (month % 1 == 0) & (day % 1 == 0)
    if not ok.all():
        i = np.flatnonzero(~ok)[0]
        raise InputError(
            f"{path}, line {_line_of(raw, starts[i])}: there is no date {year[i]:g}-{month[i]:g}-{day[i]:g}"
        )
    return _ordered(path, raw, days, starts)


def _ordered(path, raw, days, starts):
    step = np.diff(days).astype(np.int64)
    if (step < 1).any():
        i = np.flatnonzero(step < 1)[0] + 1
        what = "is repeated" if days[i] in days[:i] else "is out of order"
        raise InputError(f"{path}, line {_line_of(raw, starts[i])}: the date {days[i]} {what}; sort the file by date")
    return days


_DATE = re.compile(rb"([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})([T ][0-9:.]+Z?)?")


def _csv_days(path: Path, raw: bytes, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Dates written year-month-day (a time of day after it is ignored)."""
    if (ends - starts == 10).all():
        char = np.frombuffer(raw, np.uint8)[starts[:, None] + np.arange(10)].astype(np.int64)
        digit = char[:, [0, 1, 2, 3, 5, 6, 8, 9]] - 48
        if ((digit >= 0) & (digit <= 9)).all() and (char[:, [4, 7]] == 45).all():
            year = digit[:, :4] @ np.array([1000, 100, 10, 1])
            return _calendar_days(
                path, raw, year, digit[:, 4] * 10 + digit[:, 5], digit[:, 6] * 10 + digit[:, 7], starts
            )
    parts = np.empty((3, len(starts)))
    for i, (start, end) in enumerate(zip(starts, ends, strict=True)):
        token = raw[start:end].strip()
        match = _DATE.fullmatch(token)
        if not match:
            where = f"{path}, line {_line_of(raw, start)}"
            raise InputError(f"{where}: {_shown(token)} is not a date; write dates as 1980-01-31")
        parts[:, i] = [int(match[k]) for k in (1, 2, 3)]
    return _calendar_days(path, raw, *parts, starts)


# ---- one file -------------------------------------------------------------------------------------------------------

_HEADER_UNITS = {"prcp": "mm/day", "tmin": "c", "tmax": "c", "srad": "w/m2", "vp": "pa"}


def _forcing_head(path: Path, raw: bytes) -> tuple[float, float, float, list[str], int]:
    """Latitude, elevation in m, area in m2, lower-case column names, and where the data begin."""
    lines = raw.split(b"\n", 4)
    if len(lines) < 5:
        raise InputError(f"{path}: {len(lines)} lines instead of a header of four and data; fetch the file again")
    values = []
    for i, (name, low, high) in enumerate(
        (("latitude", -90, 90), ("elevation in m", -500, 9000), ("area in m2", 1e4, 1e13))
    ):
        token = lines[i].strip()
        if not _NUMBER.fullmatch(token) or not low <= float(token) <= high:
            raise InputError(f"{path}, line {i + 1}: the {name} should stand here, not {_shown(token)}")
        values.append(float(token))
    names = []
    for token in lines[3].decode("utf-8", "replace").lower().split():
        name, _, units = token.partition("(")
        if name in _HEADER_UNITS and units.rstrip(")") not in ("", _HEADER_UNITS[name]):
            raise InputError(f"{path}, line 4: {name} is in {units.rstrip(')')}, not in {_HEADER_UNITS[name]}")
        names.append(name)
    missing = [name for name in ("year", "mnth", "day", *FORCING) if name not in names]
    if missing or len(set(names)) < len(names):
        raise InputError(
            f"{path}, line 4: " + (f"no column {some(missing)}" if missing else "a column name stands twice")
        )
    return *values, names, sum(len(line) + 1 for line in lines[:4])


def _read_forcing(path: Path, basin: str, columns) -> tuple[Table, dict]:
    raw = _read_bytes(path)
    lat, elevation, area, names, begin = _forcing_head(path, raw)
    starts, ends = _fields(path, raw, begin, len(names), None)
    wanted = [names.index(name) for name in ("year", "mnth", "day", *columns)]
    starts, ends = starts.T[wanted], ends.T[wanted]
    values = _numbers(path, raw, starts, ends)
    days = _calendar_days(path, raw, *values[:3], starts[0])
    values = values[3:]
    _forget_cut_number(raw, values, starts[3:], ends[3:])
    _mask(path, columns, values, lambda i, row: f"line {_line_of(raw, starts[3 + i, row])}")
    return Table(days, values), {"lat": lat, "elevation_m": elevation, "area_m2": area}


def _read_streamflow(path: Path, basin: str, columns, area_m2: float) -> tuple[Table, dict]:
    raw = _read_bytes(path)
    starts, ends = _fields(path, raw, 0, 6, None)
    starts, ends = starts.T, ends.T
    station, *date, flow = _numbers(path, raw, starts[:5], ends[:5])
    if basin.isdigit() and (station != int(basin)).any():
        i = np.flatnonzero(station != int(basin))[0]
        found = _shown(raw[starts[0, i] : ends[0, i]])
        raise InputError(f"{path}, line {_line_of(raw, starts[0, i])}: basin {found} in the file of basin {basin}")
    days = _calendar_days(path, raw, *date, starts[1])
    flagged = (np.frombuffer(raw, np.uint8)[starts[5]] == ord("M")) & (ends[5] - starts[5] == 1)
    flow[flagged | (flow == -999) | (flow == -9999)] = np.nan
    flow *= CUBIC_MM_PER_CUBIC_FOOT * SECONDS_PER_DAY / (area_m2 * 1e6)
    _mask(path, ("streamflow",), flow[None], lambda i, row: f"line {_line_of(raw, starts[4, row])}")
    return Table(days, flow[None]), {}


def _read_csv(path: Path, basin: str, columns) -> tuple[Table, dict]:
    """Named columns of a dated csv (or Caravan netCDF); a column the file lacks is NaN and named under 'absent'."""
    if path.suffix.lower() in (".nc", ".nc4"):
        return _read_netcdf(path, columns)
    raw = _read_bytes(path)
    if b'"' in raw:
        raw = raw.replace(b'"', b"")
    head, _, _ = raw.partition(b"\n")
    separator = next((s for s in (b",", b";", b"\t") if s in head), b",")
    names = [name.strip().decode("utf-8", "replace") for name in head.split(separator)]
    date = next((i for i, name in enumerate(names) if name.lower() in ("date", "time", "datetime")), None)
    if date is None:
        raise InputError(f"{path}, line 1: no column named date among {some(names, 6)}")
    for name in columns:
        if names.count(name) > 1:
            raise InputError(f"{path}, line 1: the column {name} stands twice")
    present, absent, found = _present(names, columns)
    starts, ends = _fields(path, raw, len(head) + 1, len(names), separator)
    days = _csv_days(path, raw, starts[:, date], ends[:, date])
    where = [names.index(name) for name in found]
    starts, ends = starts.T[where], ends.T[where]
    part = _numbers(path, raw, starts, ends)
    _forget_cut_number(raw, part, starts, ends)
    _mask(path, found, part, lambda i, row: f"line {_line_of(raw, starts[i, row])}")
    values = np.full((len(columns), len(days)), np.nan)
    values[present] = part
    names = [name for i, name in enumerate(names) if i != date]
    return Table(days, values), {"absent": absent, "names": names, "found": found}


def _present(names, columns) -> tuple[list[int], list[str], list[str]]:
    """Positions of the columns that are there, the names of those that are not, and the names as the file has them."""
    present, absent, found = [], [], []
    for i, column in enumerate(columns):
        candidates = PET_NAMES if column == PET else (column,)
        name = next((c for c in candidates if c in names), None)
        if name is None:
            absent.append(column)
        else:
            present.append(i)
            found.append(name)
    return present, absent, found


def _read_netcdf(path: Path, columns) -> tuple[Table, dict]:
    import xarray as xr

    try:
        with xr.open_dataset(path, engine="netcdf4") as file:
            date = next((d for d in ("date", "time") if d in file.dims and d in file.coords), None)
            if date is None:
                raise InputError(f"{path}: no date dimension")
            days = file[date].values.astype("datetime64[D]")
            names = [str(name) for name, v in file.data_vars.items() if v.dims == (date,) and v.dtype.kind in "fiu"]
            present, absent, found = _present(names, columns)
            values = np.full((len(columns), len(days)), np.nan)
            for i, name in zip(present, found, strict=True):
                values[i] = file[name].values
    except InputError:
        raise
    except Exception as problem:  # the netCDF library's exceptions are of many kinds
        raise InputError(f"{path} cannot be read as netCDF ({str(problem)[:80]}); fetch it again") from None
    if len(days) == 0 or np.isnat(days).any() or (np.diff(days).astype(np.int64) < 1).any():
        raise InputError(f"{path}: the dates are repeated, out of order or absent")
    if days[0] < np.datetime64(f"{YEARS[0]}") or days[-1] >= np.datetime64(f"{YEARS[1] + 1}"):
        raise InputError(f"{path}: dates from {days[0]} to {days[-1]} cannot be; fetch the file again")
    part = values[present]
    _mask(path, found, part, lambda i, row: str(days[row]))
    values[present] = part
    return Table(days, values), {"absent": absent, "names": names, "found": found}


_READERS = {"forcing": _read_forcing, "streamflow": _read_streamflow, "csv": _read_csv}


def _read(kind: str, path: str, basin: str, columns: tuple[str, ...], *extra) -> dict:
    """One file to float32 on contiguous days: what a reading process hands back."""
    table, head = _READERS[kind](Path(path), basin, columns, *extra)
    first, last = table.days[0], table.days[-1]
    values = np.full((len(columns), int((last - first).astype(np.int64)) + 1), np.nan, np.float32)
    values[:, (table.days - first).astype(np.int64)] = table.values
    return {
        "first": int(first.astype(np.int64)),
        "values": values,
        "missing": int(np.isnan(table.values).sum()),
        "gaps": values.shape[1] - len(table.days),
        **head,
    }


def _frame(read: dict, columns) -> "pd.DataFrame":
    days = np.datetime64(read["first"], "D") + np.arange(read["values"].shape[1])
    index = pd.DatetimeIndex(days.astype("datetime64[ns]"), name="date")
    return pd.DataFrame(dict(zip(columns, read["values"], strict=True)), index=index)


# ---- CAMELS-US ------------------------------------------------------------------------------------------------------


def find_camels(data_dir) -> Path:
    """The CAMELS-US folder that holds basin_mean_forcing: data_dir, or one folder below it as the zip unpacks.

    Raises
    ------
    InputError
        If there is none.
    """
    return _folder_with("basin_mean_forcing", data_dir)


def _folder_with(name: str, data_dir) -> Path:
    root = Path(data_dir)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the data folder that holds {name}")
    for folder in (root, root / "basin_dataset_public_v1p2", *sorted(p for p in root.iterdir() if p.is_dir())):
        if (folder / name).is_dir():
            return folder
    raise InputError(f"{root}: no folder {name} in it or one level below; give the data folder that holds it")


def _index(folder: Path, suffix: str) -> dict[str, Path]:
    """Basin to file by one walk: the HUC folder often differs from the id's first two digits."""
    found: dict[str, Path] = {}
    for where, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            if name.endswith(suffix) and name[:8].isdigit() and name[8:9] == "_":
                basin = name[:8]
                if basin in found:
                    raise InputError(
                        f"{found[basin]} and {Path(where) / name} are both files of basin {basin}; remove one"
                    )
                found[basin] = Path(where) / name
    return found


def _forcing_files(data_dir, product: str) -> dict[str, Path]:
    if product not in PRODUCTS:
        raise InputError(f"{product!r} is not a forcing product; choose from {', '.join(PRODUCTS)}")
    folder = find_camels(data_dir) / "basin_mean_forcing" / product
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; unpack the {product} forcing there or choose another product")
    return _index(folder, "_forcing_leap.txt")


def _streamflow_files(data_dir) -> dict[str, Path]:
    return _index(_folder_with("usgs_streamflow", data_dir) / "usgs_streamflow", "_streamflow_qc.txt")


def _file_of(files: dict[str, Path], basin, what: str, where) -> Path:
    basin = basin_id(basin)
    if basin not in files:
        raise InputError(f"no {what} file for basin {basin} in {where}")
    return files[basin]


def load_forcing(data_dir, basin, product: str = "daymet") -> "pd.DataFrame":
    """Daily forcing of one CAMELS-US basin (Newman et al. 2015, doi:10.5194/hess-19-209-2015).

    Parameters
    ----------
    data_dir : path
        Folder with `basin_mean_forcing/<product>/<HUC>/<id>_lump_*_forcing_leap.txt`.
    basin : str or int
        Basin id, with or without leading zeros.
    product : str, default 'daymet'
        One of PRODUCTS.

    Returns
    -------
    pandas.DataFrame
        Index date (every day from the first to the last); float32 columns prcp (mm/day), tmin and tmax (degrees C),
        srad (W/m2), vp (Pa), NaN where missing. `.attrs` holds lat, elevation_m, area_m2 and units.

    Raises
    ------
    InputError
        If there is no such product, basin or file, or the text is not what it should be.
    """
    path = _file_of(_forcing_files(data_dir, product), basin, "forcing", f"{data_dir} ({product})")
    read = _read("forcing", path, basin_id(basin), FORCING)
    frame = _frame(read, FORCING)
    if frame["tmin"].equals(frame["tmax"]):
        warn_equal_temperatures(product)
    frame.attrs = {k: read[k] for k in ("lat", "elevation_m", "area_m2")}
    frame.attrs["units"] = {name: KNOWN[name].units for name in FORCING}
    return frame


def warn_equal_temperatures(product: str) -> None:
    """Say that a product holds the daily mean under both names."""
    better = product if product.endswith("_extended") else f"{product}_extended"
    warnings.warn(f"{product}: tmin equals tmax on every day; the product {better} has both.", stacklevel=3)


def load_streamflow(data_dir, basin, area_m2: float | None = None) -> "pd.Series":
    """Daily streamflow of one CAMELS-US basin in mm/day.

    Parameters
    ----------
    data_dir : path
        Folder with `usgs_streamflow/<HUC>/<id>_streamflow_qc.txt` (ft3/s).
    basin : str or int
        Basin id, with or without leading zeros.
    area_m2 : float, default None
        Catchment area; None takes it from line 3 of the basin's forcing file (any product).

    Returns
    -------
    pandas.Series
        Index date, float32, NaN where the flow is -999 or flagged M.

    Raises
    ------
    InputError
        If there is no such file, the text is not what it should be, or another basin's id stands in it.
    """
    basin = basin_id(basin)
    path = _file_of(_streamflow_files(data_dir), basin, "streamflow", data_dir)
    if area_m2 is None:
        folder = find_camels(data_dir) / "basin_mean_forcing"
        for product in PRODUCTS:
            forcing = _index(folder / product, "_forcing_leap.txt").get(basin)
            if forcing:
                area_m2 = _forcing_head(forcing, _read_bytes(forcing))[2]
                break
        else:
            raise InputError(f"no forcing file of basin {basin} in {folder} to take the area from; give area_m2")
    series = _frame(_read("streamflow", path, basin, ("streamflow",), float(area_m2)), ("streamflow",))["streamflow"]
    series.attrs = {"units": "mm/day"}
    return series


_CUT = " (the file ends without a line break here and may be cut short; end it with one)"


def _delimited(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Column names and (line, fields) of a small `;`, `,` or tab separated table."""
    text = _read_bytes(path).decode("utf-8", "replace")
    head = text.partition("\n")[0]
    separator = next((s for s in (";", ",", "\t") if s in head), ",")
    reader = csv.reader(text.split("\n"), delimiter=separator, strict=True)
    rows = []
    try:
        names = [name.strip() for name in next(reader)]
        for fields in reader:
            if any(fields):
                if len(fields) != len(names):
                    raise InputError(f"{path}, line {reader.line_num}: {len(fields)} fields instead of {len(names)}")
                rows.append((reader.line_num, [field.strip() for field in fields]))
    except csv.Error as problem:
        raise InputError(f"{path}, line {reader.line_num}: {problem}; correct the line") from None
    if not text.endswith("\n") and rows:
        rows[-1][1][-1] += _CUT
    return names, rows


def _float(path: Path, line: int, name: str, text: str) -> float:
    if text.lower().encode() in _MISSING:
        return np.nan
    if not _NUMBER.fullmatch(text.encode()) or abs(float(text)) == np.inf:
        cut = _CUT if text.endswith(_CUT) else ""
        raise InputError(f"{path}, line {line}: {name} {text.removesuffix(_CUT)[:30]!r} is not a number{cut}")
    number = float(text)
    return np.nan if number in (-999.0, -9999.0) else number


def _attribute_table(path: Path, basins, columns=None) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Numbers by basin (the listed ones) and column of a table whose id column is basin_id, gauge_id or the first."""
    names, rows = _delimited(path)
    lower = [name.lower() for name in names]
    key = next((lower.index(n) for n in ("basin_id", "gauge_id") if n in lower), 0)
    if len(set(names)) < len(names):
        raise InputError(f"{path}, line 1: a column name stands twice")
    if columns is None:
        columns = []
        for i, name in enumerate(names):
            texts = [fields[i] for _, fields in rows]
            if i != key and any(_NUMBER.fullmatch(text.encode()) for text in texts):
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
            raise InputError(f"{path}, line {line}: basin {basin} stands here a second time; remove one")
        table[basin] = {name: _float(path, line, name, fields[i]) for i, name in here} if basin in wanted else {}
    return table, [name for _, name in here]


def load_attributes(source, basins, columns=ATTRIBUTES) -> "pd.DataFrame":
    """Catchment attributes as they stand in the files (Addor et al. 2017, doi:10.5194/hess-21-5293-2017).

    Parameters
    ----------
    source : path
        A CAMELS-US folder with `camels_attributes_v2.0/camels_*.txt`, or one table such as s_391attrs.csv.
    basins : path, id or list of ids
        As read_basins takes them.
    columns : sequence of str or None, default ATTRIBUTES
        None takes every column of a table that holds numbers.

    Returns
    -------
    pandas.DataFrame
        float64, index basin in the order given, one column per attribute.

    Raises
    ------
    InputError
        If a file or column is absent, or a basin has no value for an attribute.
    """
    basins = read_basins(basins)
    source = Path(source)
    if source.is_dir():
        tables = []
        folder = _attribute_folder(source)
        files = sorted(folder.glob("camels_*.txt"))
        for path in files:
            tables.append(_attribute_table(path, basins, ATTRIBUTES if columns is None else columns))
        columns = ATTRIBUTES if columns is None else columns
    else:
        folder = source
        tables = [_attribute_table(source, basins, columns)]
        columns = tables[0][1] if columns is None else columns
    place = {name: table for table, names in tables for name in names}
    absent = [name for name in columns if name not in place]
    if absent:
        raise InputError(f"{folder}: no attribute {some(absent)}; add the file or the column")
    missing = [b for b in basins if any(np.isnan(place[c].get(b, {}).get(c, np.nan)) for c in columns)]
    if missing:
        c = next(c for c in columns if np.isnan(place[c].get(missing[0], {}).get(c, np.nan)))
        raise InputError(f"{folder}: no attributes (first: {c}) for {len(missing)} basins: {some(missing)}")
    return pd.DataFrame(
        {c: [place[c][b][c] for b in basins] for c in columns}, index=pd.Index(basins, name="basin", dtype="str")
    )


def _attribute_folder(data_dir: Path) -> Path:
    """The folder of camels_*.txt: data_dir, camels_attributes_v2.0 in it, or beside or above the forcing folder."""
    places = [data_dir, data_dir / "camels_attributes_v2.0"]
    places += [p for p in sorted(data_dir.iterdir()) if p.is_dir()]
    places += [p / "camels_attributes_v2.0" for p in sorted(data_dir.iterdir()) if p.is_dir()]
    for folder in places:
        if (folder / "camels_clim.txt").is_file():
            return folder
    raise InputError(f"{data_dir}: no camels_attributes_v2.0/camels_clim.txt; unpack the CAMELS attributes there")


# ---- Caravan and concepts -------------------------------------------------------------------------------------------


def _caravan_files(data_dir) -> dict[str, Path]:
    """Gauge to file; the csv where a gauge has both."""
    root = _folder_with("timeseries", data_dir) / "timeseries"
    found: dict[str, Path] = {}
    for suffix in (".nc", ".csv"):
        kind: dict[str, Path] = {}
        for where, _, names in sorted(os.walk(root)):
            for name in sorted(names):
                if name.endswith(suffix) and "_" in name:
                    gauge = name.removesuffix(suffix)
                    if gauge in kind:
                        raise InputError(
                            f"{kind[gauge]} and {Path(where) / name} are both files of {gauge}; remove one"
                        )
                    kind[gauge] = Path(where) / name
        found |= kind
    return found


def load_caravan(data_dir, gauge, columns=None) -> "pd.DataFrame":
    """Daily series of one Caravan gauge (Kratzert et al. 2023, doi:10.1038/s41597-023-01975-w), csv or netCDF.

    Parameters
    ----------
    data_dir : path
        Folder with `timeseries/csv/<set>/<set>_<id>.csv` or `timeseries/netcdf/<set>/<set>_<id>.nc`.
    gauge : str
        `<set>_<id>`, for example 'hysets_01075000'.
    columns : sequence of str, default None
        None takes all. 'potential_evaporation_sum' is also found under its newer names (PET_NAMES, the first there is).

    Returns
    -------
    pandas.DataFrame
        Index date, float32, NaN where missing; `.attrs["units"]` by column.

    Raises
    ------
    InputError
        If the gauge, its file or a column is absent, or the file is not what it should be.
    """
    path = _file_of(_caravan_files(data_dir), gauge, "Caravan", data_dir)
    if columns is None:
        columns = tuple(_read("csv", path, gauge, ())["names"])
    read = _read("csv", path, gauge, tuple(columns))
    if read["absent"]:
        raise InputError(f"{path}: no column {some(read['absent'])}; it has {some(read['names'], 8)}")
    frame = _frame(read, columns)
    frame.attrs["units"] = {name: KNOWN[name].units if name in KNOWN else "as in file" for name in columns}
    return frame


class Concept(NamedTuple):
    """A daily series per basin that the cell states are mapped to: where it is read from, and its units."""

    name: str
    template: str
    column: str
    factor: float
    units: str

    @property
    def label(self) -> str:
        known = KNOWN.get(self.column)
        return known.label if known else self.column


_TAKEN = {
    *FORCING,
    *CARAVAN_FORCING,
    "streamflow",
    "attributes",
    "attribute",
    "basin",
    "date",
    "lat",
    "lon",
    "area_km2",
}


def parse_concept(text: str) -> Concept:
    """A concept from `name=template:column`, with an optional `*factor` and `[units]` after the column.

    Parameters
    ----------
    text : str
        Such as 'swe=swe/{number}.csv:uaz_swe' or 'soil1=caravan:volumetric_soil_water_layer_1_mean*70[mm]'. The
        template is a path relative to the data folder (or the current one), with {basin} (8 digits) or {number}
        (no leading zeros) in it; 'caravan' stands for the gauge's own Caravan file.

    Returns
    -------
    Concept
        Units are those given; else those of a column in KNOWN, m3/m3 times a soil layer's thickness being mm; else
        'as in file'.

    Raises
    ------
    InputError
        If the text has another form.
    """
    form = "name=template:column, for example swe=swe/{number}.csv:uaz_swe"
    name, equals, rest = str(text).partition("=")
    template, colon, last = rest.rpartition(":")
    match = re.fullmatch(r"(?P<column>[^*\[\]]+)(\*(?P<factor>[^*\[\]]+))?(\[(?P<units>[^\[\]]*)\])?", last.strip())
    name, template = name.strip(), template.strip()
    if not (equals and colon and match and template):
        raise InputError(f"concept {text!r}: write it as {form}")
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name):
        raise InputError(f"concept {text!r}: the name {name!r} should be letters, digits and _, as in {form}")
    if name in _TAKEN:
        raise InputError(f"concept {text!r}: the name {name} is taken; choose another")
    if re.search(r"[{}]", template.replace("{basin}", "").replace("{number}", "")):
        raise InputError(f"concept {text!r}: only {{basin}} and {{number}} may stand in braces")
    if template != "caravan" and "{" not in template:
        raise InputError(f"concept {text!r}: every basin would read {template}; put {{basin}} or {{number}} in it")
    column, factor_text, units = match["column"].strip(), match["factor"], match["units"]
    if factor_text and not (_NUMBER.fullmatch(factor_text.strip().encode()) and 1e-8 <= abs(float(factor_text)) <= 1e8):
        raise InputError(f"concept {text!r}: {factor_text!r} is not a factor")
    if column == "swe(mm)" or column.lower() == "swe" and "forcing_leap" in template:
        raise InputError(
            f"concept {text!r}: swe(mm) of the CAMELS forcing is 0 everywhere, not snow; use a snow data set"
        )
    factor = float(factor_text) if factor_text else 1.0
    return Concept(name, template, column, factor, _units(column, factor) if units is None else units.strip())


def _units(column: str, factor: float) -> str:
    known = KNOWN.get(column)
    if known is None:
        return "as in file" if factor == 1 else f"as in file * {factor:g}"
    layer = re.match(r"volumetric_soil_water_layer_([1-4])", column)
    if factor == 1:
        return known.units
    if layer and factor == SOIL_LAYER_MM[int(layer[1])]:
        return "mm"
    if known.units.startswith("m of ") and factor in (100.0, 1000.0):
        return ("c" if factor == 100.0 else "m") + known.units
    return f"{known.units} * {factor:g}"


def _concept_path(template: str, basin: str, data_dir, caravan: dict[str, Path] | None) -> Path | None:
    """The file of one basin, or None where there is none. Only the two placeholders are replaced, nothing evaluated."""
    if template == "caravan":
        return (caravan or {}).get(basin)
    part = Path(template.replace("{basin}", basin).replace("{number}", _basin_number(basin)))
    places = [Path(data_dir) / part, part] if data_dir is not None else [part]
    return next((p for p in places if p.is_file()), None)


def load_concept(concept: Concept | str, basin, data_dir=None) -> "pd.Series":
    """One concept of one basin, in the concept's units.

    Parameters
    ----------
    concept : Concept or str
        As parse_concept makes it, or its text.
    basin : str or int
    data_dir : path, default None
        Where a relative template starts; then (or if None) the current folder.

    Returns
    -------
    pandas.Series
        Index date, float32, NaN where missing; `.attrs` holds units, long_name and source.

    Raises
    ------
    InputError
        If the basin has no file or the file no such column.
    """
    concept = parse_concept(concept) if isinstance(concept, str) else concept
    basin = basin_id(basin)
    caravan = _caravan_files(data_dir if data_dir is not None else ".") if concept.template == "caravan" else None
    path = _concept_path(concept.template, basin, data_dir, caravan)
    if path is None:
        raise InputError(f"concept {concept.name}: no file {concept.template} for basin {basin}")
    read = _read("csv", path, basin, (concept.column,))
    if read["absent"]:
        raise InputError(f"{path}: no column {concept.column}; it has {some(read['names'], 8)}")
    read["values"] = read["values"] * np.float32(concept.factor)
    series = _frame(read, (concept.name,))[concept.name]
    series.attrs = {"units": concept.units, "long_name": concept.label, "source": f"{path.name}:{concept.column}"}
    return series


class Source(NamedTuple):
    """One file of one basin: how it is read, and which of its columns become which variables, times which factors."""

    label: str
    kind: str
    path: Path
    columns: tuple[str, ...]
    names: tuple[str, ...]
    factors: tuple[float, ...]


def load_dataset(data_dir, *arguments, **options) -> "xr.Dataset":
    """Forcing, streamflow, concepts and attributes of many basins in memory, for a notebook.

    Parameters
    ----------
    data_dir, *arguments, **options
        As `open_data` takes them.

    Returns
    -------
    xarray.Dataset
        Dimensions basin (in the order given) and date (every day of the union of all records); float32; the inputs by
        name, streamflow (mm/day), each concept, `attributes` (basin, attribute) unless there are none; coordinates lat,
        lon, area_km2; units in every variable's attrs; `.attrs`: forcing, inputs, concepts and report, the one line
        that counts what is missing. Missing is NaN.

    Raises
    ------
    InputError
        As `open_data`.
    """
    import xarray as xr

    data = open_data(data_dir, *arguments, **options)
    dates = np.arange(data.first_day, data.last_day + 1)
    ds = xr.Dataset(coords={"basin": np.array(data.basins, dtype=object), "date": dates.astype("datetime64[ns]")})
    names = [*data.inputs, *data.targets]
    values = np.empty((len(names), len(data.basins), len(dates)), np.float32)
    for b in range(len(data.basins)):
        values[:, b] = data.days(b, dates[0], len(dates)).T
    for name, series in zip(names, values, strict=True):
        ds[name] = (("basin", "date"), series, data.about[name])
    for name, units in PLACE.items():
        ds = ds.assign_coords({name: ("basin", data.place[name].to_numpy(), {"units": units})})
    if len(data.attributes.columns):
        ds = ds.assign_coords(attribute=list(data.attributes.columns))
        table = data.attributes.to_numpy(np.float32)
        ds["attributes"] = (("basin", "attribute"), table, {"units": "as in the attribute files"})
    concepts = data.targets[1:]
    ds.attrs = {"forcing": data.forcing, "inputs": data.inputs, "concepts": concepts, "report": data.report}
    return ds


def open_data(
    data_dir,
    forcing: str = "daymet",
    basins=None,
    attributes="auto",
    concepts=(),
    climate_period=None,
    used_in=None,
    cache_dir=None,
    progress: bool = True,
) -> windows.Prepared:
    """Forcing, streamflow, concepts and attributes of many basins; text that is not yet in the cache is read first.

    Parameters
    ----------
    data_dir : path
        CAMELS-US folder, or Caravan folder when `forcing` is 'caravan'.
    forcing : str, default 'daymet'
        One of PRODUCTS, or 'caravan' for Caravan's own forcing and streamflow (CARAVAN_FORCING).
    basins : path, id or list, default None
        As read_basins takes them; None: every basin of the folder that can be used.
    attributes : str or path, default 'auto'
        'auto': the 27 of ATTRIBUTES from the CAMELS files, or all numeric columns of attributes_caravan_<set>.csv; a
        table: its numeric columns; 'climate': indices computed from the forcing of climate_period; 'none'.
    concepts : sequence of str or Concept, default ()
        As parse_concept takes them.
    climate_period : (start, end), default None
        Days that 'climate' is computed from; give the training period.
    used_in : (start, end), default None
        Days in which a basin needs forcing and streamflow to be of use; give the training period.
    cache_dir : path, default None
        As `windows.cache_folder` takes it. Deleting it is safe.
    progress : bool, default True
        Show a bar on a terminal while text is read.

    Returns
    -------
    windows.Prepared
        In the order of the list, or sorted. `left_out` names the basins of the folder that cannot be used; of basins
        that were asked for, none is left out.

    Raises
    ------
    InputError
        One sentence on the first thing that cannot be used, or on all basins asked for that cannot be.
    """
    concepts = [parse_concept(c) if isinstance(c, str) else c for c in concepts]
    names = [c.name for c in concepts]
    if len(set(names)) < len(names):
        raise InputError(f"Two concepts have the same name ({some(names, 8)}); name them apart.")
    inputs = CARAVAN_FORCING if forcing == "caravan" else FORCING
    order, left_out, sources = _sources(data_dir, forcing, basins, concepts)

    request = [READER_VERSION, forcing, [[c.name, c.template, c.column, c.factor] for c in concepts]]
    folder = f"{forcing}-{windows.digest(request)}"
    stems = {basin: f"{folder}/{basin}-{windows.digest([_state(s.path) for s in sources[basin]])}" for basin in order}
    variables = [*inputs, "streamflow", *names]
    kept = windows.prepare(
        stems, lambda basin: read_basin(basin, sources[basin], variables), len(variables), cache_dir,
        f"reading {forcing}", progress,
    )  # fmt: skip
    arrays, first_days, lengths, found = zip(*kept, strict=True)
    _check_found(data_dir, forcing, order, found, concepts)
    data = windows.Prepared(
        basins=order,
        inputs=list(inputs),
        targets=["streamflow", *names],
        about=_about(inputs, concepts),
        place=_places(data_dir, order, forcing == "caravan", [one[forcing] for one in found]),
        attributes=pd.DataFrame(index=order),
        arrays=list(arrays),
        first_days=np.array(first_days),
        lengths=np.array(lengths),
        forcing=forcing,
        left_out=left_out,
        synthetic=any((folder / "demo.json").is_file() for folder in (Path(data_dir), Path(data_dir).parent)),
    )
    named = basins is not None
    if used_in is not None:
        data = _without(data, _not_usable(data, *used_in), named)
    table, lacking = _attributes_for(data_dir, data, attributes, climate_period)
    data = _without(replace(data, attributes=table), lacking, named)
    span = f"{len(data.basins)} basins, {data.first_day} to {data.last_day}"
    return replace(data, report="; ".join([span, *_notes(found)]))


def _state(path: Path) -> list:
    stat = path.stat()
    return [str(path.resolve()), stat.st_size, stat.st_mtime_ns]


def _sources(data_dir, forcing: str, basins, concepts):
    """Basins in order, those left out with the reason, and the files of each basin."""
    caravan = forcing == "caravan"
    forcing_files, flow_files = _main_files(data_dir, forcing)
    every, left_out = every_basin(data_dir, forcing, (forcing_files, flow_files))
    order = every if basins is None else read_basins(basins)
    for files, what in ((forcing_files, f"{forcing} forcing"), (flow_files, "streamflow")):
        if absent := [b for b in order if b not in files]:
            raise InputError(f"{data_dir}: no {what} file for {len(absent)} of {len(order)} basins: {some(absent)}.")
    sources = {}
    for basin in order:
        if caravan:
            columns = (*CARAVAN_FORCING, "streamflow")
            sources[basin] = [Source(forcing, "csv", forcing_files[basin], columns, columns, (1.0,) * len(columns))]
        else:
            sources[basin] = [
                Source(forcing, "forcing", forcing_files[basin], FORCING, FORCING, (1.0,) * len(FORCING)),
                Source("streamflow", "streamflow", flow_files[basin], ("streamflow",), ("streamflow",), (1.0,)),
            ]
    for template in dict.fromkeys(c.template for c in concepts):
        members = [c for c in concepts if c.template == template]
        index = (forcing_files if caravan else _caravan_files(data_dir)) if template == "caravan" else None
        paths = {b: p for b in order if (p := _concept_path(template, b, data_dir, index)) is not None}
        if not paths:
            raise InputError(
                f"Concept {members[0].name}: no file {template} for any of the {len(order)} basins in {data_dir}."
            )
        names, columns = tuple(c.name for c in members), tuple(c.column for c in members)
        for basin, path in paths.items():
            factors = tuple(c.factor for c in members)
            sources[basin].append(Source(" and ".join(names), "csv", path, columns, names, factors))
    return order, left_out if basins is None else {}, sources


def read_basin(basin: str, sources: list[Source], variables: list[str]):
    """First day, values (day, variable) and what was found in the text of one basin."""
    series, found = {}, {}
    for source in sources:
        columns = tuple(dict.fromkeys(source.columns))
        extra = (found[sources[0].label]["area_m2"],) if source.kind == "streamflow" else ()
        read = _read(source.kind, str(source.path), basin, columns, *extra)
        values = read.pop("values")
        for name, column, factor in zip(source.names, source.columns, source.factors, strict=True):
            series[name] = read["first"], values[columns.index(column)] * np.float32(factor)
        there = np.flatnonzero(np.isfinite(values).any(axis=0))
        found[source.label] = {**read, "days": values.shape[1], "path": str(source.path), "empty": not len(there)}
    first = min(start for start, _ in series.values())
    last = max(start + len(values) for start, values in series.values())
    out = np.full((last - first, len(variables)), np.nan, np.float32)
    for name, (start, values) in series.items():
        out[start - first : start - first + len(values), variables.index(name)] = values
    if "tmin" in series:
        found[sources[0].label]["equal_temperatures"] = np.array_equal(
            series["tmin"][1], series["tmax"][1], equal_nan=True
        )
    for name in found:
        found[name]["valued"] = [v for s in sources if s.label == name for v in s.names
                                 if np.isfinite(series[v][1]).any()]  # fmt: skip
    return np.datetime64(first, "D"), out, found


def _check_found(data_dir, forcing, basins, found, concepts) -> None:
    """Warn of temperatures that are means, refuse columns and concepts that are nowhere."""
    main = [one[forcing] for one in found]
    if forcing == "caravan":
        _check_caravan(main, basins, (*CARAVAN_FORCING, "streamflow"), data_dir)
    elif all(head["equal_temperatures"] for head in main):
        warn_equal_temperatures(forcing)
    for concept in concepts:
        heads = [head for one in found for head in one.values() if "names" in head and concept.name in head["valued"]]
        if not heads:
            head = next(h for one in found for label, h in one.items() if concept.name in label.split(" and "))
            raise InputError(
                f"Concept {concept.name}: no value of {concept.column} in any file {concept.template}; "
                f"{head['path']} has {some(head['names'], 8)}."
            )


def _about(inputs, concepts) -> dict:
    """Units, meaning and source of each variable."""
    about = {name: {"units": KNOWN[name].units, "long_name": KNOWN[name].label} for name in (*inputs, "streamflow")}
    for concept in concepts:
        times = f"*{concept.factor:g}" if concept.factor != 1 else ""
        source = f"{concept.template}:{concept.column}{times}"
        about[concept.name] = {"units": concept.units, "long_name": concept.label, "source": source}
    return about


def _without(data, reasons: dict[str, str], named: bool):
    """The data without the basins that cannot be used; of basins that were asked for, an error that lists them all."""
    if not reasons:
        return data
    groups: dict[str, list[str]] = {}
    for basin, reason in reasons.items():
        groups.setdefault(reason, []).append(basin)
    words = "; ".join(f"{reason}: {some(group)}" for reason, group in groups.items())
    kept = [b for b, basin in enumerate(data.basins) if basin not in reasons]
    if named or not kept:
        raise InputError(f"{len(reasons)} of {len(data.basins)} basins cannot be used. {words}.")
    return replace(data.select(kept), left_out=data.left_out | reasons)


def _not_usable(data, start, end) -> dict[str, str]:
    """Basins without forcing or streamflow in a period, and why."""
    reasons = {}
    dates = data.dates(start, end)
    for b, basin in enumerate(data.basins):
        forcing, targets = data.read([b], dates)
        there = np.isfinite(forcing[0]).any(axis=0)
        if not there.any():
            reasons[basin] = f"No forcing from {start} to {end}"
        elif not there.all():
            reasons[basin] = f"No {data.inputs[int(np.argmin(there))]} from {start} to {end}"
        elif not np.isfinite(targets[0, :, 0]).any():
            reasons[basin] = f"No streamflow from {start} to {end}"
    return reasons


def _main_files(data_dir, forcing: str) -> tuple[dict[str, Path], dict[str, Path]]:
    """Files of the forcing and of streamflow by basin; for Caravan they are the same."""
    if forcing == "caravan":
        files = _caravan_files(data_dir)
        return files, files
    return _forcing_files(data_dir, forcing), _streamflow_files(data_dir)


def every_basin(data_dir, forcing: str, files=None) -> tuple[list[str], dict[str, str]]:
    """Ids of all basins that have forcing and streamflow, sorted, and the others with what they lack."""
    forcing_files, flow_files = files or _main_files(data_dir, forcing)
    order = sorted(set(forcing_files) & set(flow_files))
    if not order:
        raise InputError(f"{data_dir}: no basin has {forcing} forcing and streamflow.")
    for basin in order:  # file names become ids, and ids the names of other files
        try:
            basin_id(basin)
        except InputError as problem:
            raise InputError(f"{forcing_files[basin]}: {problem} Rename or remove the file.") from None
    lacking = {b: "No streamflow file" for b in sorted(set(forcing_files) - set(flow_files))}
    return order, lacking | {b: f"No {forcing} forcing file" for b in sorted(set(flow_files) - set(forcing_files))}


def _notes(found) -> list[str]:
    """What was missing in each source, as clauses of the report."""
    notes = []
    for label in dict.fromkeys(label for one in found for label in one):
        heads = [one[label] for one in found if label in one]
        whole = max(h["first"] + h["days"] for h in heads) - min(h["first"] for h in heads)
        missing, lacking = sum(h["missing"] for h in heads), sum(h["missing"] > 0 for h in heads)
        gaps, short = sum(h["gaps"] for h in heads), sum(h["days"] < whole for h in heads)
        note = f"{label}: {missing} values missing in {lacking} basins, {gaps} days left out, {short} short records"
        if negative := sum(h.get("negative", 0) for h in heads):
            note += f", {negative} negative flows counted as missing"
        if without := len(found) - len(heads) + sum(h["empty"] for h in heads):
            note += f", {without} of {len(found)} basins without a value"
        notes.append(note)
    return notes


def _check_caravan(heads, keys, columns, data_dir) -> None:
    for name in columns:
        lacking = [b for b, h in zip(keys, heads, strict=True) if name in h["absent"]]
        if lacking:
            raise InputError(f"{data_dir}: no column {name} in the file of {len(lacking)} gauges: {some(lacking)}.")
    kinds = {n for h in heads for n in h["found"] if n in PET_NAMES}
    if PET_NAMES[2] in kinds and len(kinds) > 1:
        raise InputError(f"{data_dir}: the gauges have different potential evaporation ({some(sorted(kinds))}).")


def _places(data_dir, basins, caravan: bool, heads) -> "pd.DataFrame":
    """Latitude, longitude and area (km2) by basin, NaN where unknown."""
    found: dict[str, dict[str, float]] = {}
    columns = {"gauge_lat": "lat", "gauge_lon": "lon", "area": "area_km2"}
    if caravan:
        for name in sorted({b.split("_")[0] for b in basins}):
            path = _folder_with("timeseries", data_dir) / "attributes" / name / f"attributes_other_{name}.csv"
            if path.is_file():
                found |= _attribute_table(path, basins, tuple(columns))[0]
    else:
        try:
            path = _attribute_folder(Path(data_dir)) / "camels_topo.txt"
        except InputError:
            path = None
        if path is not None and path.is_file():
            found = _attribute_table(path, basins, ("gauge_lat", "gauge_lon"))[0]
    rows = []
    for basin, head in zip(basins, heads, strict=True):
        row = {"lat": head.get("lat", np.nan), "lon": np.nan, "area_km2": head.get("area_m2", np.nan) / 1e6}
        rows.append(row | {columns[name]: value for name, value in found.get(basin, {}).items()})
    return pd.DataFrame(rows, index=basins)


def _attributes_for(data_dir, data, attributes, climate_period):
    """The attribute table of the basins, and those for which it is not whole, with the reason."""
    caravan, basins = data.forcing == "caravan", data.basins
    if attributes is None or str(attributes) == "none":
        return pd.DataFrame(index=basins), {}
    if str(attributes) == "climate":
        if climate_period is None:
            raise InputError("Attributes 'climate' need climate_period; give the training period.")
        return _climate(data, climate_period)
    if str(attributes) == "auto" and caravan:
        tables: dict[str, dict[str, float]] = {}
        root = _folder_with("timeseries", data_dir) / "attributes"
        for path in sorted(root.glob("*/attributes_caravan_*.csv")):
            tables |= _attribute_table(path, basins)[0]
        table = pd.DataFrame([tables.get(basin, {}) for basin in basins], index=basins)
        reasons = {basin: f"No attributes_caravan file in {root} holds it whole (give a table, climate or none)"
                   for basin in table.index[table.isna().any(axis=1)]}  # fmt: skip
        if len(reasons) == len(basins) or not len(table.columns):
            raise InputError(
                f"{root}: no attributes_caravan file holds {some(basins)}; give a table, or attributes climate or none."
            )
        return table, reasons
    if str(attributes) == "auto":
        return load_attributes(data_dir, basins), {}
    if not Path(attributes).is_file():
        raise InputError(f"Attributes {str(attributes)!r}: no such file; give a table, auto, climate or none.")
    return load_attributes(attributes, basins, None), {}


def _climate(data, period):
    """Climate indices of each basin from its forcing in a period, and the basins for which there are none."""
    caravan = data.forcing == "caravan"
    low, high = ("temperature_2m_min", "temperature_2m_max") if caravan else ("tmin", "tmax")
    dates, rows, reasons = data.dates(*period), {}, {}
    for b, basin in enumerate(data.basins):
        forcing, _ = data.read([b], dates)
        series = dict(zip(data.inputs, forcing[0].astype(np.float64).T, strict=True))
        rain, temperature = series[data.inputs[0]], (series[low] + series[high]) / 2
        known = np.isfinite(rain) & np.isfinite(temperature)
        pet = series[PET][known] if caravan else None
        if not known.any() or not rain[known].any():
            reasons[basin] = f"No precipitation from {period[0]} to {period[1]}"
        elif caravan and not np.isfinite(pet).any():
            reasons[basin] = f"No potential evaporation from {period[0]} to {period[1]}"
        else:
            rows[basin] = climate_indices(rain[known], temperature[known], dates[known], pet)
    return pd.DataFrame.from_dict(rows, orient="index").reindex(data.basins), reasons


# ---- command --------------------------------------------------------------------------------------------------------


def write_attributes(data_dir: Path, basins: Path, out: Path) -> None:
    """Write the attribute table: each of the 27 attributes minus its mean over the listed basins, over its standard
    deviation (population form, divided by the number of basins); 9 significant digits.

    Parameters
    ----------
    data_dir : path
        CAMELS-US folder.
    basins : path
        Basin list.
    out : path
        csv to write: basin_id and the columns of ATTRIBUTES.
    """
    table = load_attributes(data_dir, basins)
    spread = table.std(ddof=0)
    table = (table - table.mean()) / spread.where(spread > 0, 1.0)
    table.index.name = "basin_id"
    out = Path(out)
    part = out.with_name(out.name + ".tmp")
    try:
        table.to_csv(part, float_format="%.9g", lineterminator="\n", encoding="utf-8")
        os.replace(part, out)
    finally:
        part.unlink(missing_ok=True)


def main() -> None:
    import tyro

    try:
        tyro.extras.subcommand_cli_from_dict({"attributes": write_attributes})
    except (InputError, OSError) as problem:
        print(problem, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
