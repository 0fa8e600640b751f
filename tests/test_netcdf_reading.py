"""netCDF files as people write them: times, dimensions, packed numbers, and units, against literal numbers."""

import numpy as np
import pytest
import xarray as xr
from small_files import load, refused, write

import hydrodata_tf as hd
from reading.concepts import plain

FIRST = "2001-01-01"


def daily(path, times=(0, 1, 2), since=f"days since {FIRST}", calendar="standard", dim="time", shape=None, **options):
    """A file of the numbers 0, 1, 2, …; `options` are attributes of x, or its dtype and the file's format."""
    kind, dtype = options.pop("format", None), options.pop("dtype", float)
    values = np.arange(len(times)).astype(dtype)
    about = {"units": since, "calendar": calendar} if since else {}
    file = xr.Dataset({"x": (dim, values, options)}, {dim: (dim, np.asarray(times), about)})
    file = file if shape is None else file.expand_dims(dict.fromkeys(shape[1:], 1)).transpose(*shape)
    file.to_netcdf(path, format=kind, encoding={"x": {} if "_FillValue" in options else {"_FillValue": None}})
    return path


def read(path, concept="k={basin}.nc:x"):
    return hd.load_concept(concept, path.stem, path.parent)


# Times


@pytest.mark.parametrize(
    ("times", "units"),
    [
        ((-1e-9, 1 - 1e-9, 2 + 1e-9), f"days since {FIRST}"),
        ((-0.5 / 1440, 1 + 0.5 / 1440, 2), f"days since {FIRST}"),
        ((0.5, 1.5, 2.5), f"days since {FIRST}"),
        (np.float32([1323648, 1323672, 1323696]), "hours since 1850-01-01"),
        (np.int64([0, 86400, 172800]), f"seconds since {FIRST}"),
        (np.int32([0, 1, 2]), f"days since {FIRST} 00:00:00 +06:00"),
        (np.int32([0, 1, 2]), f"days since {FIRST} 00:00:00 -5"),
        (np.int32([0, 1, 2]), f"days since {FIRST}T00:00:00+0545"),
        (np.int32([0, 1, 2]), f"days since {FIRST} 00:00:00.0 UTC"),
        (np.int32([0, 1, 2]), "days since 2001-1-1 0:0:0"),
        (np.int32([12, 36, 60]), f"hours since {FIRST} 00:00:00Z"),
        (np.int32([-1, 0, 1]), "days since 2001-01-02"),
    ],
)
def test_times_are_the_days_that_their_writer_meant(tmp_path, times, units):
    """A rounding error before midnight, noon, hours in 32 bits, the zone of the gauge: all are 1 to 3 January 2001."""
    series = read(daily(tmp_path / "a.nc", times, units))
    assert series.index.strftime("%m-%d").tolist() == ["01-01", "01-02", "01-03"] and series.tolist() == [0, 1, 2]


@pytest.mark.parametrize("calendar", ["noleap", "365_day", "360_day", "proleptic_gregorian", "gregorian"])
def test_days_of_other_calendars_are_read_where_ours_has_them(tmp_path, calendar):
    """29 February is not in a calendar without leap days, so it is missing."""
    series = read(daily(tmp_path / "a.nc", (0, 1, 2), "days since 2004-02-27", calendar))
    days = series.dropna().index.strftime("%m-%d").tolist()
    assert days == ["02-27", "02-28", "03-01" if calendar in ("noleap", "365_day") else "02-29"]


@pytest.mark.parametrize(
    ("times", "units", "calendar", "sentence"),
    [
        ((0, 1, 2), "days since 2004-02-28", "360_day", "a.nc: there is no date 2004-2-30"),
        ((0, 1, 2), "days since 2005-02-27", "all_leap", "a.nc: there is no date 2005-2-29"),
        ((0, 1, 2), f"hours since {FIRST}", "standard", f"a.nc, {FIRST}: the date {FIRST} is repeated; give one value"),
        ((0, 1, 2), f"months since {FIRST}", "standard", "cannot be read as netCDF .unable to decode time units"),
        ((20010101, 20010102), "day as %Y%m%d.%f", "standard", "no date dimension, with units such as days since"),
        ((0, 1, 2), "", "standard", "no date dimension, with units such as days since"),
        ((0, np.nan, 2), f"days since {FIRST}", "standard", "days without a date"),
    ],
)
def test_what_is_no_day_of_the_calendar_is_refused(tmp_path, times, units, calendar, sentence):
    refused(sentence, read, daily(tmp_path / "a.nc", times, units, calendar))


@pytest.mark.parametrize("dim", ["date", "time", "Time", "valid_time", "day"])
@pytest.mark.parametrize("shape", [None, ("{}", "lat", "lon"), ("station", "{}")])
def test_the_dimension_of_days_has_any_name_and_those_of_one_place_do_not_matter(tmp_path, dim, shape):
    shape = shape and tuple(name.format(dim) for name in shape)
    path = daily(tmp_path / "a.nc", dim=dim, shape=(dim, *[n for n in shape if n != dim]) if shape else None)
    assert read(path).tolist() == [0, 1, 2]
    path = daily(tmp_path / "b.nc", (7,), dim=dim)  # a file of a single day
    assert read(path).tolist() == [0] and str(read(path).index[0])[:10] == "2001-01-08"


# Numbers


@pytest.mark.parametrize("form", ["NETCDF3_CLASSIC", "NETCDF3_64BIT", "NETCDF4", "NETCDF4_CLASSIC"])
@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({}, [0, 1, 2, 3]),
        ({"_FillValue": 2.0}, [0, 1, np.nan, 3]),
        ({"missing_value": 2.0}, [0, 1, np.nan, 3]),
        ({"valid_range": np.array([1.0, 2.0])}, [np.nan, 1, 2, np.nan]),
        ({"valid_min": 1.0}, [np.nan, 1, 2, 3]),
        ({"valid_max": 2.0}, [0, 1, 2, np.nan]),
        ({"dtype": "i2", "scale_factor": 0.1, "add_offset": 5.0}, [5, 5.1, 5.2, 5.3]),
        ({"dtype": "i2", "scale_factor": 0.1, "add_offset": 5.0, "valid_range": np.int16([1, 2])},
         [np.nan, 5.1, 5.2, np.nan]),
        ({"dtype": "i2", "scale_factor": np.float32(0.1), "valid_range": np.float32([0.1, 0.2])},
         [np.nan, 0.1, 0.2, np.nan]),
        ({"dtype": "i2", "scale_factor": -1.0, "valid_max": np.int16(2)}, [0, -1, -2, np.nan]),
        ({"dtype": "i2", "_FillValue": np.int16(3), "valid_min": np.int16(1)}, [np.nan, 1, 2, np.nan]),
    ],
)  # fmt: skip
def test_packed_numbers_and_those_that_are_not_valid(tmp_path, form, about, expected):
    series = read(daily(tmp_path / "a.nc", (0, 1, 2, 3), format=form, **about))
    np.testing.assert_allclose(series, expected, rtol=1e-6)


def test_what_cannot_be_is_refused_unless_the_file_says_that_it_is_missing(tmp_path):
    """Snow of -1 and -2, as a netCDF of one's own may have it."""
    path, about = tmp_path / "a.nc", {"dtype": "i2", "scale_factor": -1.0}
    refused("2001-01-02: x -1 is not between 0 and", read, daily(path, **about), "swe={basin}.nc:x[mm]")
    series = read(daily(path, valid_min=0.0, **about), "swe={basin}.nc:x[mm]")
    np.testing.assert_array_equal(series, [0, np.nan, np.nan])


# Units


@pytest.mark.parametrize(
    ("units", "asked", "times"),
    [
        ("m", "[mm]", 1000), ("mm", "[mm]", 1), ("cm", "[m]", 0.01), ("kg m-2", "[mm]", 1), ("kg m**-2", "[cm]", 0.1),
        ("m of water equivalent", "[mm]", 1000), ("m of water equivalent", "[mm of water]", 1000),
        ("meters", "[mm]", 1000),
        ("mm w.e.", "[cm]", 0.1), ("m", "[cm of snow]", 100), ("inch", "[mm]", 25.4), ("mm d-1", "[mm/day]", 1),
        ("mm/d", "[mm]", 1), ("m3 m-3", "[m3/m3]", 1), ("m**3 m**-3", "[m3/m3]", 1), ("celsius", "[degC]", 1),
        ("percent", "[%]", 1), ("anything", "", 1), ("", "[mm]", 1), ("m", "*300[mm]", 300), ("K", "*2[mm]", 2),
    ],
)  # fmt: skip
def test_units_of_the_file_are_turned_into_those_asked_for(tmp_path, units, asked, times):
    """A factor that is written holds; without one lengths are converted."""
    path = daily(tmp_path / "a.nc", units=units) if units else daily(tmp_path / "a.nc")
    series = read(path, f"k={{basin}}.nc:x{asked}")
    np.testing.assert_allclose(series, [0, times, 2 * times], rtol=1e-6)
    assert series.attrs["units"] == (asked.partition("[")[2].rstrip("]") or "as in file")


@pytest.mark.parametrize(
    ("units", "asked"),
    [("K", "mm"), ("m3 m-3", "mm"), ("mm", "degC"), ("bananas", "mm"), ("1", "%"), ("K", "degC"), ("m of snow", "mm")],
)
def test_units_that_cannot_be_converted_are_refused(tmp_path, units, asked):
    sentence = f"a.nc: x is in .* cannot be turned into {asked}; write .*, or the factor between them, x.FACTOR"
    refused(sentence, read, daily(tmp_path / "a.nc", units=units), f"k={{basin}}.nc:x[{asked}]")


@pytest.mark.parametrize("kind", ["csv", "netcdf"])
def test_units_that_are_known_of_a_column_are_turned_into_those_asked_for(tmp_path, kind):
    """ECMWF's sd is m of water, snow_depth m of snow, soil moisture m3/m3, in csv too; a factor is the user's word."""
    columns = {"sd": 0.5, "snow_depth": 2.0, "volumetric_soil_water_layer_1_mean": 0.25, "uaz_swe": 40.0, "y": 7.0}
    if kind == "csv":
        write(tmp_path / "1.csv", f"date,{','.join(columns)}\n{FIRST},{','.join(map(str, columns.values()))}\n")
    else:
        time = ("time", [0], {"units": f"days since {FIRST}"})
        xr.Dataset({name: ("time", [value]) for name, value in columns.items()}, {"time": time}).to_netcdf(
            tmp_path / "1.nc"
        )
    form = f"k={{number}}.{'csv' if kind == 'csv' else 'nc'}:"
    for asked, expected in (
        ("sd[mm]", 500), ("sd[mm of water]", 500), ("sd", 0.5), ("sd*1000[mm]", 500), ("sd*100", 50),
        ("uaz_swe[cm]", 4), ("snow_depth[cm of snow]", 200), ("snow_depth[m]", 2), ("y[mm]", 7),
        ("volumetric_soil_water_layer_1_mean*70", 17.5), ("volumetric_soil_water_layer_1_mean[m3/m3]", 0.25),
    ):  # fmt: skip
        assert hd.load_concept(form + asked, "1", tmp_path).iloc[0] == pytest.approx(expected, rel=1e-6), asked
    for asked in ("snow_depth[mm]", "volumetric_soil_water_layer_1_mean[mm]"):
        refused("cannot be turned into mm", hd.load_concept, form + asked, "1", tmp_path)


def test_a_conversion_is_noted_once_and_files_of_other_units_are_one_series(camels, tmp_path, capsys):
    for number, units in (("1022500", "m"), ("2046000", "mm"), ("11230500", "cm")):
        daily(tmp_path / f"{number}.nc", units=units)
    ds = load(camels, tmp_path, concepts=[f"swe={tmp_path}/{{number}}.nc:x[mm]"])
    assert ds["swe"].sel(date="2001-01-02").values.tolist() == [1000, 1, 10]
    assert capsys.readouterr().out == "Note: Concept swe: in cm or m in the files, turned into mm.\n"


def test_units_are_written_in_one_way():
    written = {"kg m-2": "kg/m2", "kg.m^-2": "kg/m2", " mm day-1": "mm/day", "mm s-1": "mm/s", "m3/m3": "m3/m3",
               "°C": "degC", "mm of water": "mm of water", "Millimetres": "mm", "MJ m-2 d-1": "MJ/m2/day"}  # fmt: skip
    assert {units: plain(units) for units in written} == written
