"""One file to a DataFrame: against literal numbers, and every fault with its file and line."""

import re

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from small_files import CAPITALS, HEAD, REAL, SMALL, caravan_frame, flow_path, flow_rows, forcing_path  # isort: skip
from small_files import forcing_rows, forcing_text, needs_real, refused, write, write_caravan  # isort: skip

import hydrodata_tf as hd
from reading import text_files

CUBIC_FEET_A_DAY = 28316846.592 * 86400 / 1e6  # on this area in m2, 1 ft3/s is 1 mm/day


def concept_of(folder, text, column="x"):
    """What a training reads of a csv of one's own."""
    write(folder / "1022500.csv", text)
    return hd.load_concept(f"k={{number}}.csv:{column}", "01022500", folder)


# Real files

LEAP_DAY = {  # 02064000 on 2000-02-29, in FORCING's order, copied by hand from the four files
    "daymet": (0.00, -2.00, 16.84, 422.33, 520.26),
    "maurer": (0.39, 11.57, 11.57, 407.99, 754.02),
    "maurer_extended": (0.39, -0.82, 18.28, 407.99, 754.02),
    "nldas": (1.78, 10.66, 10.66, 389.38, 799.61),
}


@needs_real
@pytest.mark.parametrize("product", LEAP_DAY)
def test_real_forcing(product):
    frame = hd.load_forcing(SMALL, 2064000, product)
    assert frame.loc["2000-02-29"].tolist() == [np.float32(x) for x in LEAP_DAY[product]]
    assert (frame.index[0], frame.index[-1], len(frame)) == (pd.Timestamp(2000, 1, 1), pd.Timestamp(2002, 12, 31), 1096)
    assert frame.attrs["area_m2"] == 427165365 and frame.attrs["lat"] == 37.24 and frame.attrs["elevation_m"] == 226
    rows = [line.split() for line in hd.forcing_files(SMALL, product)["02064000"].read_text().splitlines()[4:]]
    by_python = np.array([[row[i] for i in (5, 9, 8, 6, 10)] for row in rows], np.float64).astype(np.float32)
    assert np.array_equal(frame, by_python) and (frame.dtypes == np.float32).all()


@needs_real
def test_real_streamflow_and_era5_land_from_earth_engine():
    flow = hd.load_streamflow(SMALL, "02064000")[["2000-01-01", "2000-02-29", "2002-12-31"]]
    # 79.00, 102.00 and 119.00 ft3/s over 427.165365 km2, worked out by hand: Q * 28316846.592 * 86400 / (A * 1e6)
    assert flow.tolist() == pytest.approx([0.45247018, 0.58420200, 0.68156900], rel=1e-6)
    series = hd.load_concept("depth=200510_200809_era5land_forcings_{number}.csv:snow_depth", "12189500", REAL)
    assert series.iloc[:2].tolist() == [np.float32(0.0007), np.float32(0.0076)]
    assert series.index[0] == pd.Timestamp(2005, 10, 1)
    assert series.attrs["units"] == "m of snow" and "physical" in series.attrs["long_name"]


# Forcing of CAMELS-US


@pytest.mark.parametrize("head", [HEAD, CAPITALS])
@pytest.mark.parametrize(
    "layout",
    [
        lambda text: text.replace("\t", "  \t "),
        lambda text: text.replace("2001 02 28", "\n2001 02 28") + "\n \n",
        lambda text: re.sub(r"(60\d\.00|Pa\))\n", r"\1 7\n", text),  # a column more
    ],
)
def test_forcing_layouts(tmp_path, head, layout):
    write(forcing_path(tmp_path), layout(forcing_text(head=head)))
    frame = hd.load_forcing(tmp_path, "1022500")
    assert frame.loc["2001-03-01"].tolist() == [0.0, -1.25, 14.5, 204.25, 604.0]
    assert frame.index[0] == pd.Timestamp(2001, 2, 25) and len(frame) == 10 and list(frame) == list(hd.FORCING)
    assert frame.attrs["units"] == {"prcp": "mm/day", "tmin": "degC", "tmax": "degC", "srad": "W/m2", "vp": "Pa"}


def broken(line, old, new):
    def change(text):
        lines = text.split("\n")
        assert old in lines[line - 1], lines[line - 1]
        lines[line - 1] = lines[line - 1].replace(old, new, 1)
        return "\n".join(lines)

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: "1\n2\n", "header of four"),
        (lambda text: "\n".join(text.split("\n")[:4]) + "\n", "no data lines"),
        (broken(4, "tmin(C)", "tmin(K)"), "line 4: tmin is in k"),
        (broken(4, "vp(Pa)", "rh(Pa)"), "line 4: the column vp should stand here once"),
        (broken(4, "dayl(s)", "tmax(C)"), "line 4: the column tmax should stand here once"),
        (broken(7, "\t602.00", ""), "line 7: 10 fields instead of 11"),
        (broken(5, "600.00", "600.00 1"), "line 5: 12 fields instead of 11"),
        (broken(7, "2001 02 27", "2001 02 26"), "line 7: the date 2001-02-26 is repeated"),
        (broken(7, "2001 02 27", "2001 02 29"), "line 7: there is no date 2001-2-29"),
        (lambda text: text.replace("tmax(C) tmin(C)", "tmin(C) tmax(C)"), "tmin is above tmax on most days"),
    ],
)
def test_bad_forcing_names_file_and_line(tmp_path, change, sentence):
    path = write(forcing_path(tmp_path), change(forcing_text()))
    assert str(path) in refused(sentence, hd.load_forcing, tmp_path, "01022500")


@pytest.mark.parametrize(
    ("line", "given", "end", "beyond"),
    [(1, "37.24", "90", "-90.01"), (2, "226.00", "-500", "9000.1"), (3, "427165365", "1e4", "1.0001e13")],
)
def test_ends_of_the_ranges_in_the_header(tmp_path, line, given, end, beyond):
    name = ("lat", "elevation_m", "area_m2")[line - 1]
    write(forcing_path(tmp_path), broken(line, given, end)(forcing_text()))
    assert hd.load_forcing(tmp_path, "01022500").attrs[name] == float(end)
    write(forcing_path(tmp_path), broken(line, given, beyond)(forcing_text()))
    refused(f"line {line}: the .* should stand here, not '{beyond}'", hd.load_forcing, tmp_path, "01022500")


# Streamflow of CAMELS-US


def test_streamflow_by_hand(tmp_path):
    rows = flow_rows()
    rows[1] = rows[1].replace("11.00 A", "-999.00 M")
    rows[2] = rows[2].replace("12.00 A", "12.00 M")
    rows[5] = rows[5].replace("15.00 A", "-9999 A")
    rows[8] = rows[8].replace("18.00 A", "-999.00 A")
    rows[3] = rows[3].replace("13.00 A", "13.00 A:e")
    rows[4] = rows[4].replace("14.00 A", "123456.78 A:<")
    rows[9] = rows[9].replace("19.00 A", "-2.50 A")
    write(flow_path(tmp_path), "\n".join(rows[:6] + rows[8:]) + "\n")
    flow = hd.load_streamflow(tmp_path, "01022500", area_m2=1e9)
    # 1 ft3/s = 28316846.592 mm3/s; over 1000 km2 in a day: 28316846.592 * 86400 / 1e15 = 0.0024465755 mm
    assert flow.iloc[0] == pytest.approx(0.024465755, rel=1e-6)
    assert flow.iloc[3] == pytest.approx(0.031805482, rel=1e-6)
    assert flow.iloc[4] == pytest.approx(302.04634, rel=1e-6)
    assert np.flatnonzero(flow.isna()).tolist() == [1, 2, 5, 6, 7, 8, 9] and len(flow) == 10
    assert flow.attrs["units"] == "mm/day" and flow.name == "streamflow"
    # -999 is missing, no flow below zero, whatever its flag
    assert text_files.read_streamflow(flow_path(tmp_path), "01022500", 1e9).attrs["negative"] == 1


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("12.00 A", "12.00  ", "line 3: 5 fields instead of 6"),
        ("10.00 A\n", "10.00 A\n\n \n1", "line 4: basin 101022500 in the file of basin 01022500"),  # below blank lines
        ("12.00 A", "12.00\u00a0 A", r"line 3: '12.00\\xa0' is not a number"),
        ("01022500 2001 02 27", "01022501 2001 02 27", "line 3: basin 01022501 in the file of basin 01022500"),
    ],
)
def test_bad_streamflow(tmp_path, old, new, sentence):
    path = write(flow_path(tmp_path), "\n".join(flow_rows()).replace(old, new) + "\n")
    assert str(path) in refused(sentence, hd.load_streamflow, tmp_path, "01022500", 1e9)


def test_streamflow_ids_without_leading_zero_and_area_from_the_forcing(tmp_path):
    write(flow_path(tmp_path), "\n".join(flow_rows("1022500")) + "\n")
    write(forcing_path(tmp_path, "02046000"), forcing_text())
    refused("no CAMELS-US forcing file of basin 01022500 .* give area_m2", hd.load_streamflow, tmp_path, "01022500")
    write(forcing_path(tmp_path, product="nldas"), forcing_text(head=CAPITALS))
    assert hd.load_streamflow(tmp_path, "01022500").iloc[0] == pytest.approx(24.465755 / 427.165365, rel=1e-6)


# Any dated csv or netCDF file


@pytest.mark.parametrize(
    "text",
    [
        "date,a,x\n2001-01-01,1,2.5\n2001-01-02,1,\n2001-01-04,1,-999\n2001-01-05,1,3e-1\n",
        '"x"\t"time"\n"2.5"\t"2001-01-01 00:00:00"\n\t2001-1-2\n-9999\t2001-01-04\n.3\t2001/01/05\n',
        "x,datetime\n+2.5,2001-01-01\n null ,2001-01-02\n\n-999.0,2001-01-04T12:00:00Z\n 0.3,2001-01-05\n",
        "date,x\n2001-01-01 00:00:00+01:00,2.5\n2001-01-02T00:00+0200,\n2001-01-05 00:00:00.000-05:00,0.3\n",
        # as Earth Engine exports it: JSON with commas and doubled quotation marks inside quotes
        'system:index,date,x,.geo\n1,2001-01-01,2.5,"{""type"":""Point"",""at"":[1,2]}"\n2,2001-01-02,Null,"{""a"":1,}"\n'
        '3,2001-01-05,0.3,"{""type"":""Point"",""coordinates"":[-78.9,37.2]}"\n',
        'date, "x"\n2001-01-01, "2.5"\n"2001-01-05" ,"0.3"\n',
        ",x\n2001-01-01,2.5\n2001-01-02 00:00:00,\n2001-01-05,0.3\n",  # as pandas writes an index that has no name
        ",x,date\n7,2.5,2001-01-01\n8,,2001-01-02\n9,0.3,2001-01-05\n",
    ],
)
def test_csv_layouts(tmp_path, text):
    write(tmp_path / "1022500.csv", text)
    series = hd.load_concept("k={number}.csv:x*2[cm]", "01022500", tmp_path)
    np.testing.assert_array_equal(series, np.array([5, np.nan, np.nan, np.nan, 0.6], np.float32))
    assert series.index[0] == pd.Timestamp(2001, 1, 1) and series.name == "k"
    assert series.attrs == {"units": "cm", "long_name": "x", "source": "1022500.csv:x"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("date,x\n2001-01-02,1\n2001-01-01,2\n", "line 3: the date 2001-01-01 is out of order"),
        ("date,x\n2001-01-01 05:00:00-05:00,1\n", "line 2: '2001-01-01 05:00:00-05:00' is not a date"),
        ("date,x\n2001-01-01,1\n".encode("utf-16"), "is UTF-16; save it as csv"),
        (" \n\n", "is empty"),
        ("date,x\n\n", "cannot be read .Too many columns specified"),
        ("date,x\n2001-01-01,1\ntoday,2\n", "line 3: 'today' is not a date"),
        ("date,x\n2001-01-01\n2001-01-02,1,2\n", "line 2: 1 fields instead of 2"),
        ("date,y\n2001-01-01,1\n", "no column x; it has y"),
        ("date,x,x\n2001-01-01,1,2\n", "the column x stands twice"),
        ("day,x\n2001-01-01,1\n", "line 1: no column named date"),
        ('date,y,x\n2001-01-01,"a,1\n2001-01-02,b,2\n', "line 2: a quotation mark without its other half"),
    ],
)
def test_bad_csv_names_file_and_line(tmp_path, text, sentence):
    assert str(tmp_path / "1022500.csv") in refused(sentence, concept_of, tmp_path, text)


@pytest.mark.parametrize("form", ["{}-{:02d}-{:02d}", "{}/{}/{}"])  # the first is read at once, the second by its parts
def test_ends_of_the_calendar(tmp_path, form):
    for day in ((1700, 1, 1), (2000, 2, 29), (2261, 12, 31)):
        series = concept_of(tmp_path, f"date,x\n{form.format(*day)},1\n")
        assert (series.index[0].year, series.index[0].month, series.index[0].day) == day
    for day in ((2001, 0, 1), (2001, 13, 1), (2001, 1, 0), (2001, 1, 32), (1900, 2, 29)):
        sentence = "line 2: there is no date {}-{}-{}.$".format(*day)
        refused(sentence, concept_of, tmp_path, f"date,x\n{form.format(*day)},1\n")
    for row, (first, second) in enumerate((("1699-12-31", "2000-01-01"), ("2000-01-01", "2262-01-01"))):
        text = f"date,x\n{first},1\n{second},1\n".replace("-", "-" if "-" in form else "/")
        refused(f"line {row + 2}: .* is not in the years 1700 to 2261", concept_of, tmp_path, text)


@pytest.mark.parametrize("kind", ["csv", "netcdf"])
@pytest.mark.parametrize("pet", text_files.PET_NAMES)
def test_caravan_file(tmp_path, kind, pet):
    write_caravan(tmp_path, "lamah_1145", caravan_frame(pet=pet), kind)
    frame = hd.load_caravan(tmp_path, "lamah_1145", (hd.PET, "total_precipitation_sum", "streamflow"))
    assert frame.iloc[3].tolist() == [2.5, 3.75, np.float32(1.03)]
    assert frame.index[3] == pd.Timestamp(2001, 1, 4) and np.isnan(frame["streamflow"].iloc[7])
    assert frame.attrs["units"] == {hd.PET: "mm/day", "total_precipitation_sum": "mm/day", "streamflow": "mm/day"}
    assert set(hd.load_caravan(tmp_path, "lamah_1145").columns) == set(caravan_frame(pet=pet).columns) - {"date"}
    refused("no column swe; it has", hd.load_caravan, tmp_path, "lamah_1145", ("swe",))


def test_only_daily_numbers_of_a_netcdf_are_columns(tmp_path):
    path = tmp_path / "timeseries" / "netcdf" / "x" / "x_1.nc"
    path.parent.mkdir(parents=True)
    daily = {"streamflow": ("date", [1.0, 2.0]), "days": ("date", [3, 4]), "flag": ("date", ["A", "P"])}
    other = {"area": 5.0, "by_hour": (("date", "hour"), np.ones((2, 24)))}
    xr.Dataset({**daily, **other}, {"date": pd.DatetimeIndex(["1700-01-01", "1700-01-03"])}).to_netcdf(path)
    frame = hd.load_caravan(tmp_path, "x_1")
    assert frame.dropna().to_dict("list") == {"streamflow": [1.0, 2.0], "days": [3.0, 4.0]} and len(frame) == 3


# Numbers


def test_every_number_is_rounded_as_python_rounds_it(tmp_path):
    rng = np.random.default_rng(0)
    tokens = [f"{rng.choice(['', '-'])}{rng.integers(10 ** rng.integers(1, 8))}" for _ in range(5000)]
    tokens += [f"{token}.{rng.integers(10 ** rng.integers(1, 9))}" for token in tokens]
    tokens += ["0", "-0.0", "1e-5", "12345678", "123456789", "0.1234567", "00000001", "99999.99", "+5", "1.", ".5"]
    tokens = [token for token in tokens if float(token) not in (-999.0, -9999.0)]
    dates = pd.date_range("1900-01-01", periods=len(tokens) + 1).strftime("%Y-%m-%d")
    expected = np.array([float(token) for token in tokens]).astype(np.float32)
    for missing in ("", "nULL"):  # a word that pandas does not know as missing: the column is converted apart
        rows = [f"{date},{token}" for date, token in zip(dates, [*tokens, missing], strict=True)]
        values = text_files.read_columns(write(tmp_path / "x.csv", "\n".join(["date,x", *rows]) + "\n"))["x"]
        assert np.array_equal(values.iloc[:-1], expected) and np.isnan(values.iloc[-1])


@pytest.mark.parametrize("token", ["-", "1.234.567", "é1", "0x1", "True", "1_0", "١٢", "1e", "\x1b[31m", '"1,5"'])
def test_what_is_no_number(token, tmp_path):
    text = f"date,x,y\n2001-01-01,{token},{token}\n"
    refused("1022500.csv, line 2: .*not a number", concept_of, tmp_path, text)


RANGES = {  # lowest and highest number that is taken for possible, in the unit of the file
    (0, 3000): "prcp total_precipitation_sum",
    (-90, 60): "tmin tmax temperature_2m_mean temperature_2m_min temperature_2m_max",
    (0, 2000): "srad",
    (-100, 2000): "surface_net_solar_radiation_mean",
    (0, 20000): "vp",
    (0, 5000): "streamflow",
    (20, 120): "surface_pressure_mean",
    (-100, 200): " ".join(text_files.PET_NAMES),
    (0, 100000): "snow_depth_water_equivalent_mean uaz_swe daymet_swe",
    (0, 1): " ".join(f"volumetric_soil_water_layer_{i}{end}" for i in "1234" for end in ("", "_mean")),
    (0, 100): "snow_depth snow_depth_water_equivalent sd",
    (183.15, 333.15): "temperature_2m",
    (-1e15, 1e15): "unknown",
}


@pytest.mark.parametrize(("low", "high"), RANGES)
def test_ends_of_the_ranges_of_the_columns(low, high, tmp_path):
    """Both ends are read; the next number beyond is refused, but for streamflow below zero, which is missing."""
    assert {name for names in RANGES.values() for name in names.split()} == {*text_files.KNOWN, "unknown"}
    for name in RANGES[low, high].split():
        for numbers in ((low, high), (high, np.nextafter(low, -np.inf)), (high, np.nextafter(high, np.inf))):
            first, second = (repr(float(number)) for number in numbers)
            path = write(tmp_path / "1022500.csv", f"date,{name}\n2001-01-01,{first}\n2001-01-02,{second}\n")
            if numbers == (low, high):
                assert text_files.read_columns(path)[name].tolist() == [np.float32(low), np.float32(high)]
            elif name == "streamflow" and numbers[1] < 0:
                assert text_files.read_columns(path).attrs["negative"] == 1
            else:
                sentence = f"1022500.csv, line 3: {name} .* is not between"
                refused(sentence, text_files.read_columns, path)
                refused(sentence, hd.load_concept, f"k={{number}}.csv:{name}", "01022500", tmp_path)


# Of a column that nobody knows: lowest and highest number in the file.
UNIT_RANGES = {"[m3/m3]": (0, 1), "*0.01[m3/m3]": (0, 100), "[%]": (0, 100), "*100[percent]": (0, 1)}
UNIT_RANGES |= {"[degC]": (-90, 60)}
UNIT_RANGES |= {"[K]": (183.15, 333.15), "[W m-2]": (-1000, 2000), "[kPa]": (0, 120), "[mm]": (0, 1e7), "[m]": (0, 1e4)}
UNIT_RANGES |= {"[cm of snow]": (0, 1e4), "*-10[mm of water]": (-1e6, 0), "[mm anomaly]": (-1e15, 1e15)}


@pytest.mark.parametrize("written", UNIT_RANGES)
def test_the_unit_says_what_is_possible_in_an_unknown_column(written, tmp_path):
    """After the factor; a change of 1 in 10,000 beyond each end is refused."""
    low, high = UNIT_RANGES[written]
    beyond = (high - low) / 10000
    text = f"date,x\n2001-01-01,{low}\n2001-01-02,{high}\n"
    concept = f"k={{number}}.csv:x{written}"
    write(tmp_path / "1022500.csv", text)
    assert len(hd.load_concept(concept, "1022500", tmp_path)) == 2
    for old, new in ((f"{low}\n", f"{low - beyond}\n"), (f"{high}\n", f"{high + beyond}\n")):
        write(tmp_path / "1022500.csv", text.replace(f",{old}", f",{new}"))
        refused("1022500.csv, line [23]: x .* is not between", hd.load_concept, concept, "1022500", tmp_path)


def test_a_known_column_that_its_factor_says_is_in_another_unit(tmp_path):
    """m3/m3 in %, snow depth in cm: the range is that of the unit after the factor."""
    columns = "volumetric_soil_water_layer_1,snow_depth,uaz_swe"
    write(tmp_path / "1022500.csv", f"date,{columns}\n2001-01-01,35,150,2\n")
    for written, value in (("volumetric_soil_water_layer_1*0.01[m3/m3]", 0.35), ("snow_depth*10[mm of snow]", 1500)):
        series = hd.load_concept(f"k={{number}}.csv:{written}", "1022500", tmp_path)
        assert series.iloc[0] == pytest.approx(value, rel=1e-6)
    for written in ("volumetric_soil_water_layer_1*70[mm]", "snow_depth*1000[mm]", "uaz_swe*100000[mm]"):
        refused("is not between 0 and", hd.load_concept, f"k={{number}}.csv:{written}", "1022500", tmp_path)


@pytest.mark.parametrize("area", [9999, 1.1e13, float("nan")])
def test_an_area_that_is_not_in_square_metres(tmp_path, area):
    write(flow_path(tmp_path), "\n".join(flow_rows()) + "\n")
    refused("The area of basin 01022500 is in m2", hd.load_streamflow, tmp_path, "01022500", area)
    write(flow_path(tmp_path), "01022500 2001 02 25 0.00 A\n")
    assert [hd.load_streamflow(tmp_path, "01022500", end).iloc[0] for end in (1e4, 1e13)] == [0, 0]


@pytest.mark.parametrize(
    ("product", "better"), [("maurer", "; the product maurer_extended has both"), ("daymet", "day.\n")]
)
def test_a_product_with_daily_means_alone_is_named_with_the_one_that_has_both(tmp_path, capsys, product, better):
    rows = [row.replace(f"{10.5 + i:.2f}", f"{i - 5.25:.2f}") for i, row in enumerate(forcing_rows())]
    write(forcing_path(tmp_path, product=product), forcing_text(rows, CAPITALS))
    hd.load_forcing(tmp_path, "01022500", product)
    out = capsys.readouterr().out
    assert out.startswith(f"Note: {product}: tmin equals tmax on every day") and out.count("\n") == 1
    assert better in out and "daymet_extended" not in out
