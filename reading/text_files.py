"""One file to a DataFrame in the field's units: CAMELS-US forcing and streamflow, dated csv and netCDF.

pandas reads the text. The index of what it gives is the line in the file, so that every error names file and line.

- Missing is NaN: an empty field, NA, NaN, -999 and -9999, streamflow with the flag M or below zero, the very last
  number of a file that ends without a line break when it may have been cut.
- An impossible value (rain below zero, air at 61 degrees C, inf, letters), a date that is repeated, out of order or
  not in the calendar, a line with a field too few: InputError with the file and the line.
"""

import csv
import io
import itertools
import re
import threading
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from reading.units import refuse_other_unit
from writing.messages import InputError, reason, some

FORCING = ("prcp", "tmin", "tmax", "srad", "vp")
PET = "potential_evaporation_sum"
# Newer Caravan releases name two kinds of potential evaporation; the first is the older releases' column.
PET_NAMES = (PET, f"{PET}_ERA5_LAND", f"{PET}_FAO_PENMAN_MONTEITH")
CUBIC_MM_PER_CUBIC_FOOT = 28316846.592
SECONDS_PER_DAY = 86400
MOST = 1e15  # of a number without a known unit; fill values such as 1e20 lie above
NETCDF = threading.Lock()  # its library does one thing at a time


class Known(NamedTuple):
    """Units, meaning and possible range of a column that public data sets hold under this name."""

    units: str
    label: str
    low: float
    high: float


_COLUMNS_OF = {
    Known("mm/day", "precipitation", 0, 3000): "prcp total_precipitation_sum",
    Known("degC", "minimum air temperature", -90, 60): "tmin temperature_2m_min",
    Known("degC", "maximum air temperature", -90, 60): "tmax temperature_2m_max",
    Known("degC", "mean air temperature", -90, 60): "temperature_2m_mean",
    Known("K", "air temperature", 183.15, 333.15): "temperature_2m",
    Known("W/m2", "shortwave radiation", 0, 2000): "srad",
    Known("W/m2", "net shortwave radiation", -100, 2000): "surface_net_solar_radiation_mean",
    Known("Pa", "vapour pressure", 0, 20000): "vp",
    Known("kPa", "air pressure", 20, 120): "surface_pressure_mean",
    Known("mm/day", "potential evaporation", -100, 200): " ".join(PET_NAMES),
    Known("mm/day", "streamflow", 0, 5000): "streamflow",
    Known("mm", "snow water equivalent", 0, 100000): "snow_depth_water_equivalent_mean uaz_swe daymet_swe",
    # Earth Engine's daily ERA5-Land: snow_depth is the snow's thickness; ECMWF's short name sd is its water.
    Known("m of water", "snow water equivalent", 0, 100): "snow_depth_water_equivalent sd",
    Known("m of snow", "snow depth (physical thickness)", 0, 100): "snow_depth",
}
KNOWN = {name: known for known, names in _COLUMNS_OF.items() for name in names.split()}
for _number, _depth in enumerate(("0-7", "7-28", "28-100", "100-289"), start=1):
    _layer = f"volumetric_soil_water_layer_{_number}"
    KNOWN |= dict.fromkeys((_layer, f"{_layer}_mean"), Known("m3/m3", f"soil moisture, {_depth} cm", 0, 1))
# Thickness in mm of the four ERA5-Land soil layers: volumetric water times this is mm of water.
SOIL_LAYER_MM = {1: 70.0, 2: 210.0, 3: 720.0, 4: 1890.0}

MISSING = ("", "NA", "NaN", "nan", "null", "NULL", "none", "None", "-nan")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
# 1980-01-31 or 1980/1/31, with a time of day behind it, and UTC as its zone, of midnight any zone
DATE = (
    r"^([0-9]{4})[-/]([0-9]{1,2})[-/]([0-9]{1,2})"
    r"(?:[T ][0-9:.]+(?:Z|[+-]00:?00)?|[T ]00:00(?::00(?:\.0+)?)?[+-][0-9]{2}:?[0-9]{2})?$"
)
UTF16 = "UTF-16; save it as csv (UTF-8)"
OTHER_FORMS = {b"\xff\xfe": UTF16, b"\xfe\xff": UTF16, b"\x1f\x8b": "packed with gzip; unpack it"}
BLANKS = " \t"  # not the no-break space


def text_of(path) -> bytes:
    """The file's bytes with plain line ends and without a byte order mark; refuses what is empty or no text."""
    try:
        raw = Path(path).read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file.") from None
    if raw[:2] in OTHER_FORMS:
        raise InputError(f"{path} is {OTHER_FORMS[raw[:2]]}.")
    raw = raw.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in raw:  # looked for first: replacing goes through megabytes byte by byte
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if not raw or raw.isspace():
        raise InputError(f"{path} is empty; fetch it again.")
    if b"\0" in raw:
        line = raw[: raw.index(b"\0")].count(b"\n") + 1
        raise InputError(f"{path}, line {line}: a zero byte, so the file is damaged; fetch it again.")
    return raw


def head_of(raw: bytes) -> tuple[list[str], str]:
    """Column names in the first line of a csv, and what separates them: the first of ; , tab and blank there."""
    line = raw.partition(b"\n")[0].decode("utf-8", "replace").strip(" ")
    bare = re.sub('"[^"]*"', "", line)  # a blank or comma inside quotes separates nothing
    separator = next((separator for separator in (";", ",", "\t", " ") if separator in bare), ",")
    return [name.strip() for name in next(csv.reader([line], delimiter=separator, skipinitialspace=True))], separator


# Text to numbers


def read_lines(path, raw, skip, separator, names, columns=None, **options) -> pd.DataFrame:
    """The data lines below `skip` lines of header, blank ones left out, as pandas reads them; the index is the line.

    `separator` None is any run of blanks and tabs; `columns` are those of `names` that are wanted, None: all.
    """
    layout = {"sep": r"\s+", "quoting": csv.QUOTE_NONE, "na_filter": False}
    if separator:
        blank = _check_fields(path, raw, skip, separator, len(names))
        layout = {"sep": separator, "skipinitialspace": True, "usecols": columns, "na_values": MISSING}
    layout |= {"skip_blank_lines": False, "low_memory": False, "encoding_errors": "replace", "keep_default_na": False}
    try:
        frame = pd.read_csv(io.BytesIO(raw), skiprows=skip, header=None, names=names, **layout | options)
    except pd.errors.ParserError as error:
        if too_long := re.search(r"line (\d+), saw (\d+)", str(error)):
            _refuse_fields(path, too_long[1], too_long[2], len(names))
        raise InputError(f"{path} cannot be read ({reason(error)}); fetch the file again.") from None
    except pd.errors.EmptyDataError:
        frame, blank = pd.DataFrame(), []
    if separator is None:
        blank = _check_lines(path, raw, skip, frame) if len(frame) else []
    frame.index = range(skip + 1, skip + 1 + len(frame))
    frame = frame.drop(index=frame.index[blank]) if blank else frame
    if frame.empty:
        raise InputError(f"{path}: no data lines; fetch the file again.")
    return frame


def _check_lines(path, raw, skip, frame) -> list[int]:
    """Refuse a blank-separated line with too many or too few fields; gives the rows that are blank."""
    # pandas fills a line that is too short with "".
    last, blank = frame.iloc[:, -1].to_numpy(), []
    odd = list(np.flatnonzero(last == "")) if last.dtype == object else []
    if not isinstance(frame.index, pd.RangeIndex):  # pandas takes what is too much in the first line for an index
        odd = [0]
    lines = raw.split(b"\n")[skip:] if odd else []
    for row in odd:
        if fields := len(lines[row].split()):
            _refuse_fields(path, skip + 1 + row, fields, frame.shape[1])
        blank.append(row)
    return blank


def _check_fields(path, raw, skip, separator, number) -> list[int]:
    """Refuse a line of a csv with too many or too few fields; gives the rows that are blank."""
    mark = separator.encode()
    if b'"' in raw:  # separators inside quotes do not count
        raw = re.sub(rb'(^|%s) *"(?:[^"\n]|"")*" *(?=%s|$)' % (mark, mark), rb"\1", raw, flags=re.MULTILINE)
        if b'"' in raw:
            line = raw[: raw.index(b'"')].count(b"\n") + 1
            raise InputError(f"{path}, line {line}: a quotation mark without its other half; correct the line.")
    lines = raw.removesuffix(b"\n").split(b"\n")[skip:]
    # Counted for every line of every file, so without a loop in Python.
    marks = np.fromiter(map(bytes.count, lines, itertools.repeat(mark)), int, len(lines))
    odd = np.flatnonzero(marks != number - 1)
    if wrong := [row for row in odd if lines[row].strip()]:
        _refuse_fields(path, skip + 1 + wrong[0], marks[wrong[0]] + 1, number)
    return list(odd)


def _refuse_fields(path, line, fields, number):
    raise InputError(f"{path}, line {line}: {fields} fields instead of {number}; correct the line or fetch it again.")


def numbers_of(path, texts) -> np.ndarray:
    """A column as float64, NaN where missing; refuses the first word that is no number."""
    if texts.dtype.kind not in "iuf":
        texts = texts.astype("str").fillna("").str.strip(BLANKS)
        numbers = pd.to_numeric(texts, errors="coerce")
        wrong = numbers.isna() & ~texts.str.lower().isin([word.lower() for word in MISSING])
        if wrong.any():
            line = wrong.idxmax()
            raise InputError(f"{path}, line {line}: {texts[line][:30]!r} is not a number (with a decimal point).")
        texts = numbers
    return texts.to_numpy(float, copy=True)


def _last_may_be_cut(raw, skip, separator) -> bool:
    """Whether the last number of a file without a last line break may lack digits, as the numbers above it suggest."""
    lines = raw.split(b"\n")[skip:] if not raw.endswith(b"\n") else [b""]
    last = separator and separator.encode()
    decimals = {len(line.rsplit(last, 1)[-1].strip().partition(b".")[2]) for line in lines if line.strip()}
    return bool(lines[-1].strip()) and (len(decimals) > 1 or decimals == {0})


def _days(path, lines, year, month, day) -> np.ndarray:
    """Days (datetime64[D]) of years, months and days; refuses those that are not in the calendar."""
    parts = np.stack([year, month, day])
    ok = ((parts >= 1) & (parts <= [[9999], [12], [31]])).all(axis=0)
    whole = np.where(ok, parts, 1).astype(int)
    months = ((whole[0] - 1970) * 12 + whole[1] - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + (whole[2] - 1)
    ok &= (whole == parts).all(axis=0) & (days.astype("datetime64[M]") == months)
    if not ok.all():
        i = int(np.argmin(ok))
        place = path if lines is None else f"{path}, line {lines[i]}"
        raise InputError(f"{place}: there is no date {year[i]:g}-{month[i]:g}-{day[i]:g}.")
    return days


def _days_of_dates(path, texts) -> np.ndarray:
    """Days of dates written year-month-day (a time of day after it is ignored)."""
    times = pd.to_datetime(texts, format="%Y-%m-%d", errors="coerce", cache=False).to_numpy()
    days = times.astype("datetime64[D]")
    if (days == times).all():  # false for NaT, and for "today", which pandas reads
        return days
    texts = texts.fillna("").str.strip(BLANKS)
    parts = texts.str.extract(DATE)
    if parts[0].isna().any():
        line = parts[0].isna().idxmax()
        raise InputError(f"{path}, line {line}: {texts[line][:30]!r} is not a date; write dates as 1980-01-31.")
    return _days(path, texts.index, *parts.to_numpy(float).T)


def _daily(path, days, columns, lines, limits) -> pd.DataFrame:
    """The columns {name: (day,)} on every day from the first to the last, float32; refuses what is impossible."""

    def place(row):
        return f"{path}, {days[row] if lines is None else f'line {lines[row]}'}"

    if (back := np.diff(days).astype(int) < 1).any():
        row = int(np.argmax(back)) + 1
        repeated = days[row] in days[:row]
        what = "is repeated; give one value a day" if repeated else "is out of order; sort the file by date"
        raise InputError(f"{place(row)}: the date {days[row]} {what}.")
    for row in (0, -1):  # pandas and xarray count nanoseconds, which end in 2262
        if not 1700 <= days[row].astype(object).year <= 2261:
            raise InputError(f"{place(row)}: {days[row]} is not in the years 1700 to 2261.")
    negative, ends = 0, {}
    for name, values in columns.items():
        values[(values == -999) | (values == -9999)] = np.nan
        if name == "streamflow":
            below = (values < 0) & (values > -MOST)
            negative, values[below] = int(below.sum()), np.nan
        _refuse_impossible(name, values, limits.get(name, Known("", "", -MOST, MOST)), place)
        if np.isfinite(values).any():
            ends[name] = float(np.nanmin(values)), float(np.nanmax(values))
    for low, high in (("tmin", "tmax"), ("temperature_2m_min", "temperature_2m_max")):
        if low in columns and high in columns and (columns[low] > columns[high]).sum() > len(days) / 2:
            raise InputError(f"{path}: {low} is above {high} on most days; are the two columns exchanged?")
    frame = pd.DataFrame(columns, index=pd.DatetimeIndex(days.astype("datetime64[ns]"), name="date"))
    frame = (frame if days[-1] - days[0] < len(days) else frame.asfreq("D")).astype(np.float32)
    frame.attrs = {"negative": negative, "ends": ends}
    return frame


def _refuse_impossible(name, values, known, place) -> None:
    """Refuse a number outside the range of its column."""
    wrong = (values < known.low) | (values > known.high)
    if wrong.any():
        row = int(np.argmax(wrong))
        what = f"{name} {values[row]:g} is not between {known.low:g} and {known.high:g} {known.units}".rstrip()
        raise InputError(f"{place(row)}: {what}; correct it or its unit, or write -999 for missing.")


# Forcing and streamflow of CAMELS-US

# Of the first three lines: what it is called, lowest and highest possible number.
PLACE_IN_HEADER = {"lat": ("latitude", -90, 90), "elevation_m": ("elevation in m", -500, 9000)}
PLACE_IN_HEADER["area_m2"] = ("area in m2", 1e4, 1e13)
HEADER_UNITS = {"prcp": "mm/day", "tmin": "c", "tmax": "c", "srad": "w/m2", "vp": "pa"}


def forcing_head(path, raw=None) -> tuple[dict, list[str]]:
    """What the four lines at the head of a forcing file say: lat, elevation_m, area_m2; lower-case column names."""
    lines = (text_of(path) if raw is None else raw).split(b"\n", 4)
    if len(lines) < 5:
        raise InputError(f"{path}: {len(lines)} lines instead of a header of four and data; fetch the file again.")
    lines = [line.decode("utf-8", "replace").strip() for line in lines[:4]]
    head, names = {}, []
    for line, (name, (meaning, low, high)) in enumerate(PLACE_IN_HEADER.items()):
        if not NUMBER.fullmatch(lines[line]) or not low <= float(lines[line]) <= high:
            raise InputError(f"{path}, line {line + 1}: the {meaning} should stand here, not {lines[line][:30]!r}.")
        head[name] = float(lines[line])
    for word in lines[3].lower().split():
        name, _, units = word.rstrip(")").partition("(")
        if name in HEADER_UNITS and units not in ("", HEADER_UNITS[name]):
            raise InputError(f"{path}, line 4: {name} is in {units}, not in {HEADER_UNITS[name]}.")
        names.append(name)
    needed = dict.fromkeys(("year", "mnth", "day", *FORCING, *names))
    if wrong := [name for name in needed if names.count(name) != 1]:
        raise InputError(f"{path}, line 4: the column {some(wrong)} should stand here once.")
    return head, names


def read_forcing(path) -> pd.DataFrame:
    """What `hydrodata_tf.load_forcing` gives, from CAMELS-US' text or a csv with date and the columns of FORCING."""
    if Path(path).suffix.lower() == ".csv":
        return whole(read_columns(path, FORCING), path)
    raw = text_of(path)
    head, names = forcing_head(path, raw)
    text = read_lines(path, raw, 4, None, names)
    year, month, day, *series = (numbers_of(path, text[name]) for name in ("year", "mnth", "day", *FORCING))
    if names[-1] in FORCING and _last_may_be_cut(raw, 4, None):
        series[FORCING.index(names[-1])][-1] = np.nan
    days = _days(path, text.index, year, month, day)
    frame = _daily(path, days, dict(zip(FORCING, series, strict=True)), text.index, KNOWN)
    frame.attrs |= head | {"units": {name: KNOWN[name].units for name in FORCING}}
    return frame


def read_streamflow(path, basin, area_m2) -> pd.DataFrame:
    """Daily streamflow (mm/day) of a CAMELS-US basin, NaN where it is -999, below zero or flagged M.

    From `<id>_streamflow_qc.txt` (id, year, month, day, ft3/s, flag), or a csv with date and streamflow in mm/day.
    """
    if Path(path).suffix.lower() == ".csv":
        return whole(read_columns(path, ["streamflow"]), path)
    names = ["station", "year", "month", "day", "flow", "flag"]
    text = read_lines(path, text_of(path), 0, None, names, dtype={"flag": object})
    station, year, month, day, flow = (numbers_of(path, text[name]) for name in names[:-1])
    if basin.isdigit() and (station != int(basin)).any():
        row = int(np.argmax(station != int(basin)))
        raise InputError(f"{path}, line {text.index[row]}: basin {station[row]:08.0f} in the file of basin {basin}.")
    days = _days(path, text.index, year, month, day)
    flow[(text["flag"] == "M") | (flow == -999) | (flow == -9999)] = np.nan
    flow *= CUBIC_MM_PER_CUBIC_FOOT * SECONDS_PER_DAY / (area_m2 * 1e6)
    frame = _daily(path, days, {"streamflow": flow}, text.index, KNOWN)
    frame.attrs["units"] = {"streamflow": KNOWN["streamflow"].units}
    return frame


# Any dated file


def read_columns(path, columns=None, limits=KNOWN) -> pd.DataFrame:
    """Named columns of a csv with a column date (time, or a first one without name) or of a netCDF file; None: all.

    (day, column) float32, every day from the first to the last, NaN where missing and throughout for a column that the
    file lacks. `limits` {column: Known}: another unit in a netCDF file, or a number out of the range, is an InputError.

    `.attrs`: names, the file's columns; present {column: name in the file}; absent, the columns that it lacks; units;
    ends {column: [unit that the file gives, lowest, highest]} as they stand in the file; negative, the count of
    streamflow below zero.
    """
    netcdf = Path(path).suffix.lower() in (".nc", ".nc4")
    names, present, days, series, lines, file_units = (_read_netcdf if netcdf else _read_csv)(path, columns)
    limits = {name: limits[column] for column, name in present.items() if column in limits}
    for name in set(limits) & set(file_units):
        refuse_other_unit(path, name, file_units[name], limits[name].units, "convert the numbers in the file")
    frame = _daily(path, days, series, lines, limits)
    columns = names if columns is None else list(dict.fromkeys(columns))
    ends = {column: [file_units.get(name, ""), *frame.attrs["ends"].get(name, ())] for column, name in present.items()}
    frame = frame[list(present.values())].set_axis(list(present), axis=1).reindex(columns=columns)
    units = {name: KNOWN[name].units if name in KNOWN else "as in file" for name in columns}
    absent = [name for name in columns if name not in present]
    frame.attrs |= {"names": names, "present": present, "absent": absent, "units": units, "ends": ends}
    return frame


def whole(frame, path) -> pd.DataFrame:
    """A frame of `read_columns`, which is refused if the file lacks a column."""
    if frame.attrs["absent"]:
        raise InputError(f"{path}: no column {some(frame.attrs['absent'])}; it has {some(frame.attrs['names'], 8)}.")
    return frame


def _present(columns, names) -> dict[str, str]:
    """The columns that a file with these names has, and how it names them."""
    present = {}
    for column in names if columns is None else columns:
        candidates = PET_NAMES if column == PET else (column,)
        if name := next((name for name in candidates if name in names), None):
            present[column] = name
    return present


def _read_csv(path, columns):
    """Names of the columns but the date; those present; days; values by the file's name; lines; units in the file."""
    raw = text_of(path)
    names, separator = head_of(raw)
    first = 0 if not names[0] else None  # as pandas writes an index that has no name
    date = next((i for i, name in enumerate(names) if name.lower() in ("date", "time", "datetime")), first)
    if date is None:
        raise InputError(f"{path}, line 1: no column named date among {some(names, 6)}.")
    others = names[:date] + names[date + 1 :]
    present = _present(columns, others)
    if twice := [name for name in present.values() if names.count(name) > 1]:
        raise InputError(f"{path}, line 1: the column {twice[0]} stands twice.")
    where = {name: names.index(name) for name in present.values()}
    missing = dict.fromkeys(where.values(), MISSING)  # of the numbers; a date is never missing
    options = {"columns": [date, *where.values()], "dtype": {date: str}, "na_values": missing}
    text = read_lines(path, raw, 1, separator, range(len(names)), **options)
    series = {name: numbers_of(path, text[position]) for name, position in where.items()}
    if names[-1] in series and _last_may_be_cut(raw, 1, separator):
        series[names[-1]][-1] = np.nan
    return others, present, _days_of_dates(path, text[date]), series, text.index, {}


def _read_netcdf(path, columns):
    """As `_read_csv`, of a netCDF file."""
    import xarray as xr

    try:
        with NETCDF, xr.open_dataset(path, engine="netcdf4", decode_times=False) as file:
            times = {d: file[d] for d in file.dims if d in file.coords and " since " in str(file[d].attrs.get("units"))}
            if len(times) != 1:
                raise InputError(f"{path}: no date dimension, with units such as days since 2000-01-01, or several.")
            ((date, time),) = times.items()
            file = file.squeeze([d for d, size in file.sizes.items() if d != date and size == 1], drop=True)
            days = _days_of_times(path, time)
            names = [str(name) for name, v in file.data_vars.items() if v.dims == (date,) and v.dtype.kind in "fiu"]
            present = _present(columns, names)
            series = {name: _valid(file[name]) for name in present.values()}
            units = {name: str(file[name].attrs.get("units", "")).strip() for name in present.values()}
    except InputError:
        raise
    except Exception as problem:  # the netCDF library's exceptions are of many kinds
        raise InputError(f"{path} cannot be read as netCDF ({reason(problem)[:80]}); fetch it again.") from None
    return names, present, days, series, None, {name: unit for name, unit in units.items() if unit}


def _days_of_times(path, time) -> np.ndarray:
    """Days of the times of a netCDF file, in its zone: a time is often a rounding error before midnight."""
    import xarray as xr

    zone = r"(.* since \d+-\d+-\d+(?:[T ]+\d+:[\d:.]+)?) *(?:Z|UTC|GMT|[+-]\d+:?\d*)"
    about = time.attrs | {"units": re.sub(zone, r"\1", time.attrs["units"])}
    times = xr.decode_cf(xr.Dataset(coords={"time": ("time", time.values, about)}))["time"].values
    if len(times) == 0 or pd.isna(times).any():
        raise InputError(f"{path}: days without a date, or no day at all; fetch it again.")
    if times.dtype.kind == "M":
        return (times + np.timedelta64(1, "m")).astype("datetime64[D]")
    times = times + timedelta(minutes=1)  # of another calendar, in which some days of ours are not, or others are
    return _days(path, None, *np.array([(t.year, t.month, t.day) for t in times], float).T)


def _valid(variable) -> np.ndarray:
    """Numbers of a netCDF variable, NaN where missing or outside valid_range (or valid_min and valid_max)."""
    about, packed, values = variable.attrs, variable.encoding, variable.values.astype(float)
    given = [np.asarray(about[name]) for name in ("valid_range", "valid_min", "valid_max") if name in about]
    if given:
        ends = about.get("valid_range", (about.get("valid_min", -np.inf), about.get("valid_max", np.inf)))
        if all(end.dtype.kind in "iu" for end in given):  # of the numbers as they are packed
            ends = np.sort(np.multiply(ends, packed.get("scale_factor", 1)) + packed.get("add_offset", 0))
        low, high = np.array(ends, float) + 1e-6 * np.abs(ends) * (-1, 1)  # not what is rounded alone
        values[(values < low) | (values > high)] = np.nan
    return values
