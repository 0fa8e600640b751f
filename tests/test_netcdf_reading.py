"""netCDF files as people write them: times, dimensions, packed numbers, and units, against literal numbers."""

import numpy as np
import pytest
import xarray as xr
from small_files import caravan_frame, opened, refused, write, write_caravan

import hydrodata_tf as hd

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
        (np.float32([1323648, 1323672, 1323696]), "hours since 1850-01-01"),
        (np.int32([0, 1, 2]), f"days since {FIRST} 00:00:00 +06:00"),
        (np.int32([0, 1, 2]), f"days since {FIRST}T00:00:00+0545"),
        (np.int32([0, 1, 2]), "days since 2001-1-1 0:0:0 UTC"),
        (np.int32([12, 36, 60]), f"hours since {FIRST} 00:00:00Z"),
    ],
)
def test_times_are_the_days_that_their_writer_meant(tmp_path, times, units):
    """A rounding error before midnight, noon, hours in 32 bits, the zone of the gauge: all are 1 to 3 January 2001."""
    series = read(daily(tmp_path / "a.nc", times, units))
    assert series.index.strftime("%m-%d").tolist() == ["01-01", "01-02", "01-03"] and series.tolist() == [0, 1, 2]


@pytest.mark.parametrize("calendar", ["noleap", "360_day", "gregorian"])
def test_days_of_other_calendars_are_read_where_ours_has_them(tmp_path, calendar):
    """29 February is not in a calendar without leap days, so it is missing."""
    series = read(daily(tmp_path / "a.nc", (0, 1, 2), "days since 2004-02-27", calendar))
    days = series.dropna().index.strftime("%m-%d").tolist()
    assert days == ["02-27", "02-28", "03-01" if calendar == "noleap" else "02-29"]


@pytest.mark.parametrize(
    ("times", "units", "calendar", "sentence"),
    [
        ((0, 1, 2), "days since 2004-02-28", "360_day", "a.nc: there is no date 2004-2-30"),
        ((0, 1, 2), f"hours since {FIRST}", "standard", f"a.nc, {FIRST}: the date {FIRST} is repeated; give one value"),
        ((0, 1, 2), f"months since {FIRST}", "standard", "cannot be read as netCDF .unable to decode time units"),
        ((0, 1, 2), "", "standard", "no date dimension, with units such as days since"),
        ((0, np.nan, 2), f"days since {FIRST}", "standard", "days without a date"),
        ((), f"days since {FIRST}", "standard", "no day at all"),
        ((1, 0), f"days since {FIRST}", "standard", f"{FIRST}: the date {FIRST} is out of order"),
        ((0, 95331), f"days since {FIRST}", "standard", "2262-01-04: 2262-01-04 is not in the years"),
    ],
)
def test_what_is_no_day_of_the_calendar_is_refused(tmp_path, times, units, calendar, sentence):
    refused(sentence, read, daily(tmp_path / "a.nc", times, units, calendar))
    refused("b.nc cannot be read as netCDF", read, write(tmp_path / "b.nc", b"CDF\x05" + b"\xff" * 64))


@pytest.mark.parametrize("dim", ["date", "valid_time"])
@pytest.mark.parametrize("shape", [None, ("{}", "lat", "lon"), ("station", "{}")])
def test_the_dimension_of_days_has_any_name_and_those_of_one_place_do_not_matter(tmp_path, dim, shape):
    shape = shape and tuple(name.format(dim) for name in shape)
    path = daily(tmp_path / "a.nc", dim=dim, shape=(dim, *[n for n in shape if n != dim]) if shape else None)
    assert read(path).tolist() == [0, 1, 2]
    path = daily(tmp_path / "b.nc", (7,), dim=dim)  # a file of a single day
    assert read(path).tolist() == [0] and str(read(path).index[0])[:10] == "2001-01-08"


# Numbers


PACKED = {"dtype": "i2", "scale_factor": 0.1, "add_offset": 5.0}
TENTHS = {"dtype": "i2", "scale_factor": np.float32(0.1), "valid_range": np.float32([0.1, 0.2])}
NAN = np.nan


@pytest.mark.parametrize("form", ["NETCDF3_CLASSIC", "NETCDF4"])
@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({"missing_value": 2.0}, [0, 1, NAN, 3]),
        ({"valid_range": np.array([1.0, 2.0])}, [NAN, 1, 2, NAN]),
        ({"valid_min": 1.0}, [NAN, 1, 2, 3]),
        ({"valid_max": 2.0}, [0, 1, 2, NAN]),
        (PACKED | {"valid_range": np.int16([1, 2])}, [NAN, 5.1, 5.2, NAN]),
        (TENTHS, [NAN, 0.1, 0.2, NAN]),
        ({"dtype": "i2", "scale_factor": -1.0, "valid_max": np.int16(2)}, [0, -1, -2, NAN]),
        ({"dtype": "i2", "_FillValue": np.int16(3), "valid_min": np.int16(1)}, [NAN, 1, 2, NAN]),
    ],
)
def test_packed_numbers_and_those_that_are_not_valid(tmp_path, form, about, expected):
    series = read(daily(tmp_path / "a.nc", (0, 1, 2, 3), format=form, **about))
    np.testing.assert_allclose(series, expected, rtol=1e-6)


# Units

SAME = "mm=mm, kg m-2=mm, kg m**-2=mm of water, m of water equivalent=m, meters=m of snow, mm w.e.=mm, mm d-1=mm/day, "
SAME += "kg.m^-2=mm, mm s-1=mm/s, Millimetres=mm, MJ m-2 d-1=MJ/m2/day, "
SAME += "mm/d=mm, mm per day=mm/day, m3 m-3=m3/m3, m**3 m**-3=m3/m3, celsius=degC, °C=degC, percent=%, anything=, =mm"


@pytest.mark.parametrize("pair", SAME.split(", "))
def test_a_unit_may_be_spelled_otherwise_or_left_out(tmp_path, pair):
    """Then the numbers are those of the file."""
    units, wanted = pair.split("=")
    path = daily(tmp_path / "a.nc", (0, 1), **({"units": units} if units else {}))
    series = read(path, "k={basin}.nc:x" + (f"[{wanted}]" if wanted else ""))
    assert series.tolist() == [0, 1] and series.attrs["units"] == (wanted or "as in file")


@pytest.mark.parametrize(
    ("units", "wanted", "instead"),
    [
        ("m", "mm", "x*1000[mm]"),
        ("mm w.e.", "cm", "x*0.1[cm]"),
        ("m of water equivalent", "mm of water", "x*1000[mm of water]"),
        ("degF", "degC", "x[degF], or give the factor: x*FACTOR[degC]"),
        ("m of snow", "m of water", "x[m of snow], or give the factor: x*FACTOR[m of water]"),
    ],
)
def test_another_unit_is_refused_with_what_to_write_and_a_factor_is_believed(tmp_path, units, wanted, instead):
    path = daily(tmp_path / "a.nc", (0, 1), units=units)
    sentence = refused("a.nc: ", read, path, f"k={{basin}}.nc:x[{wanted}]")
    assert sentence == f"{path}: x is in {units}, not in {wanted}; write {instead}."
    assert read(path, f"k={{basin}}.nc:x*1[{wanted}]").tolist() == [0, 1]
    written = instead.split(", or")[0]
    times = float(written.partition("*")[2].partition("[")[0] or 1)
    np.testing.assert_allclose(read(path, f"k={{basin}}.nc:{written}"), [0, times], rtol=1e-6)


def test_a_known_column_has_its_unit_without_being_told(tmp_path):
    """ECMWF's sd is m of water, snow_depth m of snow, soil moisture m3/m3."""
    columns = {"sd": 0.5, "snow_depth": 2.0, "volumetric_soil_water_layer_1_mean": 0.25, "uaz_swe": 40.0, "y": 7.0}
    write(tmp_path / "1.csv", f"date,{','.join(columns)}\n{FIRST},{','.join(map(str, columns.values()))}\n")
    form = "k={number}.csv:"
    kept = "sd=0.5, sd[m]=0.5, sd*1000[mm]=500, sd*100=50, snow_depth*1[mm]=2, y[mm]=7, "
    kept += "volumetric_soil_water_layer_1_mean*70=17.5, volumetric_soil_water_layer_1_mean[m3/m3]=0.25"
    for text, expected in (pair.split("=") for pair in kept.split(", ")):
        assert hd.load_concept(form + text, "1", tmp_path).iloc[0] == pytest.approx(float(expected), rel=1e-6), text
    for text, instead in (("sd[mm]", "sd*1000[mm]"), ("snow_depth[mm of water]", "snow_depth[m of snow]")):
        assert f"write {instead}" in refused("is in mm?.*, not in", hd.load_concept, form + text, "1", tmp_path)


def test_the_forcing_of_a_caravan_file_is_held_to_its_unit(tmp_path):
    path = write_caravan(tmp_path / "c", "x_1", caravan_frame(), "netcdf")
    with xr.open_dataset(path) as file:
        file = file.load()
    file["temperature_2m_min"].attrs["units"], file["streamflow"].attrs["units"] = "°C", "mm d-1"
    file.to_netcdf(path)
    assert opened(tmp_path / "c", tmp_path, forcing="caravan").basins == ["x_1"]
    file["streamflow"].attrs["units"] = "m3 s-1"
    file.to_netcdf(path)
    sentence = "x_1.nc: streamflow is in m3 s-1, not in mm/day; convert the numbers in the file"
    refused(sentence, opened, tmp_path / "c", tmp_path, forcing="caravan")
