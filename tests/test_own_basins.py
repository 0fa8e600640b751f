"""Basins where nothing is observed, and forcing that one has as a table of one's own."""

import shutil
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from small_files import (  # isort: skip
    GAUGES, caravan_frame, flow_path, forcing_path, forcing_rows, forcing_text, load, refused, write, write_caravan,
)  # fmt: skip

import hydrodata_tf as hd
from reading import look

SWE = "swe=swe/{number}.csv:uaz_swe"
LAYER = "volumetric_soil_water_layer_1_mean"
MINE = "basin_mean_forcing/mine/{}.csv"


# Where nothing is observed


def opened(root, tmp_path, concepts=(), **options):
    options = {"attributes": "none", "cache_dir": tmp_path / "cache", "unobserved": True} | options
    return hd.open_data(root, concepts=concepts, **options)


def test_a_basin_without_streamflow_and_a_concept_without_file_are_missing(camels, tmp_path):
    """Forcing and what is observed elsewhere stay what they are, bit for bit; forcing goes on to its end."""
    before = opened(camels, tmp_path, [SWE])
    assert before.observed.to_dict("list") == {"streamflow": [36] * 3, "swe": [40] * 3}
    assert before.report == "3 basins, 2001-01-01 to 2001-02-10"
    flow_path(camels, "02046000").unlink()
    (camels / "swe" / "2046000.csv").unlink()
    (camels / "swe" / "11230500.csv").unlink()
    data = opened(camels, tmp_path, [SWE, "soil=nowhere/{basin}.csv:x[mm]"])
    assert data.basins == before.basins and data.left_out == {} and data.targets == ["streamflow", "swe", "soil"]
    counts = {"streamflow": [36, 0, 36], "swe": [40, 0, 0], "soil": [0, 0, 0]}
    assert data.observed.to_dict("list") == counts and set(data.observed.dtypes.map(str)) == {"int64"}
    assert data.select([2, 1]).observed.to_numpy().tolist() == [[36, 0, 0], [0, 0, 0]]
    assert data.report.split("\n")[1] == "observed: streamflow in 2 of 3 basins, swe in 1, soil in 0"
    first = data.days(1, data.first_day, 41)
    np.testing.assert_array_equal(first[:40, :5], hd.load_forcing(camels, "02046000"))
    assert np.isnan(first[:, 5:]).all() and str(data.last_day) == "2001-02-10"
    for b in (0, 2):
        now, then = data.days(b, data.first_day, 41), before.days(b, data.first_day, 41)
        np.testing.assert_array_equal(now[:, :6], then[:, :6])
    assert np.isfinite(data.days(0, data.first_day, 41)[1:, 6]).all()
    refused("no streamflow file for 1 of 3 basins: 02046000", hd.open_data, camels, basins=before.basins)
    words = "no file nowhere/{basin}.csv for any of the 2 basins in .*; --concepts without a word after it trains"
    refused(words, load, camels, tmp_path, concepts=["soil=nowhere/{basin}.csv:x[mm]"])


def test_a_folder_without_any_streamflow_is_simulated_and_not_trained(camels, tmp_path):
    shutil.rmtree(camels / "usgs_streamflow")
    data = opened(camels, tmp_path, used_in=("2001-01-01", "2001-01-31"))
    assert data.basins == ["01022500", "02046000", "11230500"] and (data.observed["streamflow"] == 0).all()
    assert data.report.split("\n")[1:] == ["observed: streamflow in 0 of 3 basins"]
    ds = load(camels, tmp_path, unobserved=True)
    assert ds["streamflow"].isnull().all() and ds["prcp"].notnull().all()
    refused("no folder usgs_streamflow", load, camels, tmp_path)
    forcing_path(camels, "02046000").unlink()
    refused("no daymet forcing file for 1 of 1 basins: 02046000", opened, camels, tmp_path, basins=["2046000"])
    assert opened(camels, tmp_path).basins == ["01022500", "11230500"]


def test_what_is_observed_later_is_read_then(camels, tmp_path):
    """In one cache; and what was observed is missing again when its files are gone."""
    flow, swe = flow_path(camels, "02046000"), camels / "swe" / "2046000.csv"
    kept = {path: path.read_bytes() for path in (flow, swe)}
    for files in ((), (flow,), (flow, swe), (swe,), ()):
        for path in kept:
            path.unlink(missing_ok=True)
        for path in files:
            write(path, kept[path])
        data = opened(camels, tmp_path, [SWE], basins=["2046000"])
        days = {"streamflow": 36 if flow in files else 0, "swe": 40 if swe in files else 0}
        assert data.observed.loc["02046000"].to_dict() == days
        values = data.days(0, data.first_day, int(data.lengths[0]))
        assert np.isfinite(values[:, 5:]).sum(axis=0).tolist() == list(days.values())


@pytest.mark.parametrize("lacks", [["streamflow"], [LAYER], ["streamflow", LAYER]])
@pytest.mark.parametrize("how", ["no column", "nothing in it"])
def test_a_caravan_gauge_without_streamflow_or_soil(caravan, tmp_path, lacks, how):
    """The file of a gauge that is there for its forcing alone."""
    frame = caravan_frame()
    frame = frame.drop(columns=lacks) if how == "no column" else frame.assign(**dict.fromkeys(lacks, np.nan))
    write_caravan(caravan, GAUGES[1], frame)
    theta = f"theta=caravan:{LAYER}"
    data = opened(caravan, tmp_path, [theta], forcing="caravan")
    full, days = {"streamflow": 342, "theta": 400}, {"streamflow": "streamflow", "theta": LAYER}
    expected = {name: [full[name], 0 if column in lacks else full[name]] for name, column in days.items()}
    assert data.observed.to_dict("list") == expected
    alone = opened(caravan, tmp_path, [theta], forcing="caravan", basins=[GAUGES[1]])
    assert alone.has_forcing("2001-05-01", "2001-05-01") and alone.observed.sum().sum() == sum(
        counts[1] for counts in expected.values()
    )
    if how == "no column" and "streamflow" in lacks:
        refused("no column streamflow in the file of 1 gauges", load, caravan, tmp_path, forcing="caravan")
    write_caravan(caravan, GAUGES[1], frame.drop(columns=hd.PET))
    refused(f"no column {hd.PET} in the file of 1 gauges", opened, caravan, tmp_path, forcing="caravan")


def test_whether_a_period_has_forcing(camels, tmp_path):
    rows = [row.replace("204.25", "-999") for row in forcing_rows("2001-01-01", 40)]
    write(forcing_path(camels), forcing_text(rows))
    data = opened(camels, tmp_path, [SWE], basins=["1022500"])
    assert not data.has_forcing("2001-01-05", "2001-01-05") and data.has_forcing("2001-01-05", "2001-01-06")
    assert not data.has_forcing("2001-02-10", "2001-02-20")  # the snow goes on for a day, the forcing does not
    refused("has no day in the data", data.has_forcing, "2001-02-11", "2001-02-20")


# A table of one's own


def make_own(root, basins=("my_gauge", "2046000"), days=40):
    """Forcing as csv, the numbers those of `small_files.make_camels`; streamflow of the first basin; a table."""
    for i, basin in enumerate(basins):
        rows = [row.split() for row in forcing_rows("2001-01-01", days, shift=i)]
        lines = [f"{y}-{m}-{d},{prcp},{low},{high},{srad},{vp}" for y, m, d, _, _, prcp, srad, _, high, low, vp in rows]
        write(root / MINE.format(basin), "\n".join(["date,prcp,tmin,tmax,srad,vp", *lines]) + "\n")
    write(root / "streamflow" / f"{basins[0]}.csv", "date,streamflow\n2001-01-05,1.5\n2001-01-06,\n2001-01-07,2.5\n")
    places = "gauge_lat,gauge_lon,area\n{},1.5,41.25,-7.5,120\n{},2.5,42.25,-8.5,99\n".format(*basins)
    write(root / "table.csv", f"basin_id,elev,{places}")
    return root


@pytest.fixture
def own(tmp_path):
    return make_own(tmp_path / "own")


def test_csv_and_camels_text_of_the_same_numbers_are_the_same_array(camels, own, tmp_path):
    """Bit for bit; also where one product has basins as text and others as csv."""
    one, other = hd.load_forcing(own, "2046000", "mine"), hd.load_forcing(camels, "02046000")
    assert one.to_numpy().tobytes() == other.to_numpy().tobytes() and one.index.equals(other.index)
    assert one.attrs["units"] == other.attrs["units"] and list(one) == list(other)
    mixed = write(camels / "basin_mean_forcing" / "daymet" / "1.csv", (own / MINE.format("2046000")).read_bytes())
    both = opened(camels, tmp_path, basins=["02046000", "1"])
    np.testing.assert_array_equal(both.days(0, both.first_day, 40)[:, :5], both.days(1, both.first_day, 40)[:, :5])
    write(mixed.with_name("2046000.csv"), mixed.read_bytes())
    refused("are both files of basin 02046000; remove one", opened, camels, tmp_path)


def test_a_product_of_ones_own_is_trained_and_simulated_like_any_other(own, camels, tmp_path):
    options = {"forcing": "mine", "attributes": own / "table.csv"}
    data = hd.open_data(own, cache_dir=tmp_path / "cache", **options)
    assert data.basins == ["my_gauge"] and data.left_out == {"02046000": "No streamflow file"}
    data = opened(own, tmp_path, **options)
    assert data.basins == ["02046000", "my_gauge"] and data.observed["streamflow"].tolist() == [0, 2]
    assert data.place.to_numpy().tolist() == [[42.25, -8.5, 99], [41.25, -7.5, 120]]
    assert data.attributes["elev"].tolist() == [2.5, 1.5] and data.report.startswith(
        "2 basins, 2001-01-01 to 2001-02-09"
    )
    flow = hd.load_streamflow(own, "my_gauge")
    assert flow.tolist()[::2] == [1.5, 2.5] and flow.attrs["units"] == "mm/day"
    np.testing.assert_array_equal(data.days(1, np.datetime64("2001-01-05"), 3)[:, 5], flow)
    assert opened(own, tmp_path, forcing="mine").place.isna().all().all()
    write(own / "table.csv", "basin_id,a,lat,lon,area_km2\n2046000,1,-500,8.25,-0.5\nmy_gauge,2,-33.5,8.5,0.5\n")
    place = opened(own, tmp_path, **options).place
    assert place.fillna(0).to_numpy().tolist() == [[0, 8.25, 0], [-33.5, 8.5, 0.5]]
    shutil.copytree(own / "basin_mean_forcing" / "mine", camels / "basin_mean_forcing" / "mine")
    two = opened(camels, tmp_path, forcing=("daymet", "mine"), basins=["2046000"])
    assert two.inputs[5] == "prcp_mine" and two.place.iloc[0].tolist() == [41.5, -71.25, 427.165365]


def test_streamflow_in_cubic_feet_takes_its_area_from_another_product(camels, own, tmp_path):
    """One's own forcing of a basin of CAMELS; without any text of CAMELS-US the area is asked for."""
    shutil.move(own / "basin_mean_forcing" / "mine", camels / "basin_mean_forcing" / "mine")
    expected = hd.load_streamflow(camels, "2046000")
    data = opened(camels, tmp_path, forcing="mine", basins=["2046000"])
    np.testing.assert_array_equal(data.days(0, expected.index[0].to_numpy().astype("M8[D]"), 36)[:, 5], expected)
    write(forcing_path(camels, "02046000"), forcing_text().replace("427165365", "854330730"))
    data = opened(camels, tmp_path, forcing="mine", basins=["2046000"])
    half = data.days(0, np.datetime64("2001-01-03"), 36)[:, 5]
    np.testing.assert_allclose(half, expected / 2, rtol=1e-6)
    shutil.rmtree(camels / "basin_mean_forcing" / "daymet")
    words = "no CAMELS-US forcing file of basin 02046000 to take the area from; .* streamflow/<id>.csv in mm/day"
    refused(words, opened, camels, tmp_path, forcing="mine", basins=["2046000"])
    refused(words, hd.load_streamflow, camels, "2046000")
    write(camels / "streamflow" / "2046000.csv", "date,streamflow\n2001-01-03,1\n")
    refused("are both files of basin 02046000; remove one", hd.load_streamflow, camels, "2046000")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: text.replace(",vp", ",e"), "no column vp; it has prcp, tmin, tmax, srad, e"),
        (lambda text: text.replace("date,", "day,"), "line 1: no column named date"),
        (lambda text: text.replace(",604.00", ",-604.00"), "line 6: vp -604 is not between 0 and 20000 Pa"),
        (lambda text: text.replace("2001-01-03", "2001-01-02"), "line 4: the date 2001-01-02 is repeated"),
        (lambda text: text.replace("prcp,tmin,tmax", "prcp,tmax,tmin"), "tmin is above tmax on most days"),
    ],
)
def test_bad_csv_of_ones_own_names_file_and_line(own, tmp_path, change, sentence):
    path = own / MINE.format("my_gauge")
    write(path, change(path.read_text()))
    assert str(path) in refused(sentence, opened, own, tmp_path, forcing="mine")


def test_a_product_that_is_not_there_is_told_with_those_that_are(own, tmp_path):
    (own / "basin_mean_forcing" / ".git").mkdir()
    (own / "basin_mean_forcing" / "more").mkdir()
    refused("no folder era5; it has mine, more. .* or write one <id>.csv", opened, own, tmp_path, forcing="era5")
    refused("it has mine, more. .*, or unpack the maurer forcing there", opened, own, tmp_path, forcing="maurer")
    refused("no folder ../mine; it has", opened, own, tmp_path, forcing="../mine")
    refused("no basin has more forcing.$", opened, own, tmp_path, forcing="more")
    write(own / MINE.format("my gauge"), "date\n")
    refused("'my gauge' is not a basin id", opened, own, tmp_path, forcing="mine")


def test_look_says_what_there_is_of_ones_own(own, capsys):
    write(own / MINE.format("3"), "date,prcp,tmin,tmax,srad\n2001-01-01,1,1,2,3\n")
    look.look(own)
    out = capsys.readouterr().out
    assert "forcing mine: 3 basins, 1 of them with streamflow; 2001-01-01 to 2001-02-09\n" in out
    assert "00000003.csv: no column vp" in out.replace("/3.csv", "/00000003.csv") and "without streamflow: 0000" in out
    assert "1 basin with streamflow; 2001-01-05 to 2001-01-07\n" in out and "or give --attributes table.csv" in out
    assert "Concepts" not in out
    shutil.rmtree(own / "streamflow")
    look.look(own)
    assert "or write streamflow/<id>.csv (date,streamflow in mm/day)" in capsys.readouterr().out


def test_what_else_is_said_of_a_folder_of_ones_own(own, tmp_path):
    (own / MINE.format("my_gauge")).rename((own / MINE.format("my_gauge")).with_suffix(".CSV"))
    assert opened(own, tmp_path, forcing="mine").observed["streamflow"].tolist() == [0, 2]
    refused(
        "no camels_attributes.*, or give a table, climate or none",
        opened,
        own,
        tmp_path,
        forcing="mine",
        attributes="auto",
    )
    options = {"forcing": "mine", "attributes": "climate", "climate_period": ("1990-01-01", "1990-12-31")}
    words = "are computed from the forcing of the training period; give a table instead. The period 1990-01-01 to"
    refused(words, opened, own, tmp_path, **options)


def test_a_run_takes_of_a_table_the_attributes_that_it_knows(own, tmp_path):
    """Places and notes of one's own stand in the same table."""
    from running.runs import Run

    statistics = {"inputs": dict.fromkeys(hd.FORCING), "attributes": {"b": None, "a": None}, "attribute_range": {}}
    run = SimpleNamespace(normalisation=statistics, path=tmp_path)
    write(own / "table.csv", "basin_id,a,gauge_lat,b\n2046000,1.5,41.5,2.5\n")
    data = opened(own, tmp_path, forcing="mine", attributes=own / "table.csv", basins=["2046000"])
    Run.check_inputs(run, data)
    assert data.attributes.to_dict("list") == {"b": [2.5], "a": [1.5]}
    statistics["attributes"]["c"] = None
    refused("The data lack 1 of the 3 attributes of the run .*: c. Give it", Run.check_inputs, run, data)


# Units that the numbers show


def year(scale=1.0, shift=0.0, column="prcp", days=365):
    """A year in the units of CAMELS, but for one column: rain every fourth day, means of 5, 10, 15, 180 and 900."""
    n = np.arange(days)
    wave = np.sin(2 * np.pi * n / 365)
    series = {"prcp": np.where(n % 4 == 0, 20.0, 0), "tmin": 10 + 9 * wave, "tmax": 15 + 9 * wave,
              "srad": 180 + 90 * wave, "vp": 900 + 500 * wave}  # fmt: skip
    series[column] = series[column] * scale + shift
    return pd.DataFrame(series, pd.date_range("2001-01-01", periods=days, name="date"))


@pytest.mark.parametrize(
    ("column", "scale", "shift", "sentence"),
    [
        ("prcp", 1e-3, 0, "mm/day, but its mean of 0.00504 looks like m; multiply by 1000"),
        ("prcp", 1 / 86400, 0, "looks like mm a second .kg/m2/s.; multiply by 86400"),
        ("tmin", 1, 273.15, "tmin is read in degC, but its mean of 283 looks like K; subtract 273.15"),
        ("tmax", 1, 273.15, "tmax is read in degC, but its mean of 288 looks like K"),
        ("tmax", 1.8, 32, "mean of 59 looks like degrees F; subtract 32, then divide by 1.8"),
        ("srad", 86400, 0, "srad is read in W/m2, but its mean of 1.56e.07 looks like J/m2 a day; divide by 86400"),
        ("srad", 86.4, 0, "looks like kJ/m2 a day; multiply by 0.011574"),
        ("srad", 0.0864, 0, "mean of 15.6 looks like MJ/m2 a day; multiply by 11.574"),
        ("vp", 1e-3, 0, "vp is read in Pa, but its mean of 0.9 looks like kPa; multiply by 1000"),
        ("vp", 1e-2, 0, "mean of 9 looks like hPa; multiply by 100"),
    ],
)
def test_a_wrong_unit_is_named_with_its_factor(tmp_path, column, scale, shift, sentence):
    path = tmp_path / MINE.format("a")
    for right, wrong in ((year(), year(scale, shift, column)),):
        write(path, right.round(9).to_csv())
        hd.load_forcing(tmp_path, "a", "mine")
        write(path, wrong.to_csv())
        assert str(path) in refused(sentence, hd.load_forcing, tmp_path, "a", "mine")
    # the numbers on one day are nothing to go by, unless they are impossible
    if column in ("prcp", "vp"):
        write(path, year(scale, shift, column, days=364).to_csv())
        hd.load_forcing(tmp_path, "a", "mine")


def test_wrong_units_are_seen_in_every_forcing(tmp_path):
    """Caravan's columns and CAMELS text too, whose header may say what it likes."""
    frame = caravan_frame().assign(total_precipitation_sum=lambda frame: frame["total_precipitation_sum"] / 1000)
    write_caravan(tmp_path / "c", "x_1", frame)
    refused(
        "total_precipitation_sum .* looks like m; multiply by 1000", load, tmp_path / "c", tmp_path, forcing="caravan"
    )
    frame = caravan_frame().assign(temperature_2m_min=lambda frame: frame["temperature_2m_min"] + 273.15)
    write_caravan(tmp_path / "c", "x_1", frame, "netcdf")
    (tmp_path / "c" / "timeseries" / "csv" / "x" / "x_1.csv").unlink()
    refused("temperature_2m_min .* looks like K; subtract 273.15", load, tmp_path / "c", tmp_path, forcing="caravan")
    rows = [row.split() for row in forcing_rows(days=400)]
    rows = [" ".join([*row[:6], "200.00", "0.00", "9.00", "5.00", f"{float(row[10]) / 1000}"]) for row in rows]
    write(forcing_path(tmp_path / "u"), forcing_text(rows))
    refused("vp is read in Pa, .* looks like kPa; multiply by 1000", hd.load_forcing, tmp_path / "u", "1022500")


def test_more_runoff_than_rain_is_noted(own, tmp_path, capsys):
    """A mean of 5 mm/day of rain; m3/s of a basin of 1,000 km2 are more than ten times the mm/day."""
    write(own / MINE.format("my_gauge"), year(days=400).round(6).to_csv())
    days = pd.date_range("2001-01-01", periods=380).strftime("%Y-%m-%d")
    for flow, number, said in ((14.9, 380, ""), (50.0, 380, "my_gauge 10 times"), (50.0, 360, "")):
        rows = [f"{day},{flow}" for day in days[:number]]
        write(own / "streamflow" / "my_gauge.csv", "\n".join(["date,streamflow", *rows]) + "\n")
        opened(own, tmp_path, forcing="mine", basins=["my_gauge"])
        words = f"Note: streamflow is much more than precipitation in 1 basin ({said}); is it in m3/s, not mm/day?\n"
        assert capsys.readouterr().out == (words if said else "")
