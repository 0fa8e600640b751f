"""Basins where nothing is observed, and forcing that one has as a table of one's own."""

import shutil

import numpy as np
import pandas as pd
import pytest

from small_files import GAUGES, caravan_frame, flow_path, forcing_path, forcing_rows  # isort: skip
from small_files import forcing_text, load, opened, refused, write, write_caravan  # isort: skip

import hydrodata_tf as hd

SWE = "swe=swe/{number}.csv:uaz_swe"
LAYER = "volumetric_soil_water_layer_1_mean"
MINE = "basin_mean_forcing/mine/{}.csv"


# Where nothing is observed


def test_a_basin_without_streamflow_and_a_concept_without_file_are_missing(camels, tmp_path):
    """Forcing and what is observed elsewhere stay what they are, bit for bit; forcing goes on to its end."""
    before = opened(camels, tmp_path, concepts=[SWE])
    assert before.observed.to_dict("list") == {"streamflow": [36] * 3, "swe": [40] * 3}
    assert before.report == "3 basins, 2001-01-01 to 2001-02-10"
    flow_path(camels, "02046000").unlink()
    (camels / "swe" / "2046000.csv").unlink()
    (camels / "swe" / "11230500.csv").unlink()
    data = opened(camels, tmp_path, concepts=[SWE, "soil=nowhere/{basin}.csv:x[mm]"])
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
    sentence = "no file nowhere/{basin}.csv for any of the 2 basins in .*; --concepts without a word after it trains"
    refused(sentence, load, camels, tmp_path, concepts=["soil=nowhere/{basin}.csv:x[mm]"])
    soil = load(camels, tmp_path, concepts=["soil=nowhere/{basin}.csv:x[mm]"], required=("streamflow",))["soil"]
    assert soil.sizes["basin"] == 2 and soil.isnull().all()  # fine-tuning needs streamflow alone


def test_a_folder_without_any_streamflow_is_simulated_and_not_trained(camels, tmp_path):
    shutil.rmtree(camels / "usgs_streamflow")
    data = opened(camels, tmp_path, train_period=("1981-01-01", "1981-01-31"))
    assert data.basins == ["01022500", "02046000", "11230500"] and (data.observed["streamflow"] == 0).all()
    assert data.report.split("\n")[1:] == ["observed: streamflow in 0 of 3 basins"]
    ds = load(camels, tmp_path, required=())
    assert ds["streamflow"].isnull().all() and ds["prcp"].notnull().all()
    refused("no folder usgs_streamflow", load, camels, tmp_path)
    forcing_path(camels, "02046000").unlink()
    refused("no daymet forcing file for 1 of 1 basins: 02046000", opened, camels, tmp_path, basins=["2046000"])
    assert opened(camels, tmp_path).basins == ["01022500", "11230500"]


@pytest.mark.parametrize("lacks", [["streamflow"], [LAYER], ["streamflow", LAYER]])
def test_a_caravan_gauge_without_streamflow_or_soil(caravan, tmp_path, lacks):
    """The file of a gauge that is there for its forcing alone."""
    frame = caravan_frame().drop(columns=lacks)
    write_caravan(caravan, GAUGES[1], frame)
    data = opened(caravan, tmp_path, concepts=[f"theta=caravan:{LAYER}"], forcing="caravan")
    days = [0 if "streamflow" in lacks else 342, 0 if LAYER in lacks else 400]
    assert data.observed.to_dict("split")["data"] == [[342, 400], days] and data.basins == list(GAUGES)
    assert data.select([1]).has_forcing("2001-05-01", "2001-05-01")
    write_caravan(caravan, GAUGES[1], frame.drop(columns=hd.PET))
    refused(f"no column {hd.PET} in the file of 1 gauges", opened, caravan, tmp_path, forcing="caravan")


def test_whether_a_period_has_forcing(camels, tmp_path):
    rows = [row.replace("204.25", "-999") for row in forcing_rows("2001-01-01", 40)]
    write(forcing_path(camels), forcing_text(rows))
    data = opened(camels, tmp_path, concepts=[SWE], basins=["1022500"])
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
    data = opened(own, tmp_path, required=None, **options)
    assert data.basins == ["my_gauge"] and data.left_out == {"02046000": "No streamflow file"}
    data = opened(own, tmp_path, **options)
    assert data.basins == ["02046000", "my_gauge"] and data.observed["streamflow"].tolist() == [0, 2]
    assert data.place.to_numpy().tolist() == [[42.25, -8.5, 99], [41.25, -7.5, 120]]
    assert data.attributes["elev"].tolist() == [2.5, 1.5] and "2 basins, 2001-01-01 to 2001-02-09" in data.report
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
    shutil.rmtree(camels / "basin_mean_forcing" / "daymet")
    sentence = "no CAMELS-US forcing file of basin 02046000 to take the area from; .* streamflow/<id>.csv in mm/day"
    refused(sentence, opened, camels, tmp_path, forcing="mine", basins=["2046000"])
    refused(sentence, hd.load_streamflow, camels, "2046000")
    write(camels / "streamflow" / "2046000.csv", "date,streamflow\n2001-01-03,1\n")
    refused("are both files of basin 02046000; remove one", hd.load_streamflow, camels, "2046000")


def test_bad_csv_of_ones_own_names_file_and_line(own, tmp_path):
    path = own / MINE.format("my_gauge")
    text = path.read_text()
    for old, new, sentence in (
        (",vp", ",e", "my_gauge.csv: no column vp; it has prcp, tmin, tmax, srad, e"),
        (",604.00", ",-604.00", "my_gauge.csv, line 6: vp -604 is not between 0 and 20000 Pa"),
    ):
        write(path, text.replace(old, new))
        refused(sentence, opened, own, tmp_path, forcing="mine")


def test_a_product_that_is_not_there_is_told_with_those_that_are(own, tmp_path):
    (own / "basin_mean_forcing" / "more").mkdir()
    refused("no folder era5; it has mine, more. .* or write one <id>.csv", opened, own, tmp_path, forcing="era5")
    refused("it has mine, more. .*, or unpack the maurer forcing there", opened, own, tmp_path, forcing="maurer")
    refused("no basin has more forcing.$", opened, own, tmp_path, forcing="more")
    write(own / MINE.format("my gauge"), "date\n")
    refused("'my gauge' is not a basin id", opened, own, tmp_path, forcing="mine")
    (own / MINE.format("my gauge")).rename(own / "basin_mean_forcing" / "more" / "1.CSV")
    assert list(hd.forcing_files(own, "more")) == ["00000001"]
    sentence = "no camels_attributes.*, or give a table, climate or none"
    refused(sentence, opened, own, tmp_path, forcing="mine", attributes="auto")


# Records that look as if they were in another unit


def year(scale=1.0, column="prcp", days=365):
    """A year in the units of CAMELS, but for one column: rain every fourth day, means of 5, 10, 15, 180 and 900."""
    n = np.arange(days)
    wave = np.sin(2 * np.pi * n / 365)
    series = {"prcp": np.where(n % 4 == 0, 20.0, 0), "tmin": 10 + 9 * wave, "tmax": 15 + 9 * wave}
    series |= {"srad": 180 + 90 * wave, "vp": 900 + 500 * wave}
    series[column] = series[column] * scale
    return pd.DataFrame(series, pd.date_range("2001-01-01", periods=days, name="date"))


@pytest.mark.parametrize(
    ("column", "scale", "number", "advice"),
    [
        ("prcp", 1e-3, "0.00504", "It looks like m (times 1000)."),
        ("prcp", 1 / 86400, "5.83e-05", "It looks like kg/m2/s (times 86400)."),
        ("prcp", 2 / 86400, "0.000117", "Is the unit right?"),  # 10 mm a day as kg/m2/s, 0.1 as m
        ("srad", 0.0864, "15.6", "It looks like MJ/m2 a day (times 11.574)."),
        ("vp", 1e-3, "0.9", "It looks like kPa (times 1000)."),
        ("vp", 2.5e-3, "2.25", "Is the unit right?"),  # 2.25 kPa and 2.25 hPa are both possible
    ],
)
def test_a_mean_that_hardly_any_basin_has_is_noted(tmp_path, capsys, column, scale, number, advice):
    """Advice is given where one unit alone fits; of less than a year nothing is said."""
    frame, path = year(scale, column), tmp_path / MINE.format("a")
    units = {"prcp": "mm/day", "srad": "W/m2", "vp": "Pa"}[column]
    what = f"Note: {column} has a mean that hardly any basin has, in {units}: a {number}. {advice}\n"
    for days, expected in ((365, what), (364, "")):
        write(path, frame[:days].to_csv())
        opened(tmp_path, tmp_path, forcing="mine")
        assert capsys.readouterr().out == expected


def test_basins_alike_share_a_note_and_p_mean_is_compared(tmp_path, capsys):
    """p_mean is in mm/day in Caravan's own attributes alone; a table may be of z-scores."""
    for i in range(5):
        frame = caravan_frame(shift=0.5)
        frame["total_precipitation_sum"] /= 25.4
        write_caravan(tmp_path / "c", f"x_{i}", frame)
    rows = "".join(f"x_{i},{p_mean}\n" for i, p_mean in enumerate((3, 3, 3, 3, 0.1)))
    table = write(tmp_path / "c" / "attributes" / "x" / "attributes_caravan_x.csv", f"gauge_id,p_mean\n{rows}")
    opened(tmp_path / "c", tmp_path, forcing="caravan", attributes="auto")
    numbers = ", ".join(f"x_{i} 0.118, not 3" for i in range(3))
    sentence = f"Note: total_precipitation_sum is far from the attribute p_mean: {numbers} and 1 more."
    assert capsys.readouterr().out == f"{sentence} It looks like inches (times 25.4).\n"
    opened(tmp_path / "c", tmp_path, forcing="caravan", attributes=table)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("flow", "days", "area", "said"),
    [
        (14.9, 380, 1000, ""),
        (50.0, 380, 1000, "10 times. It looks like m3/s (times 86.4, over km2)."),
        (50.0, 380, "", "10 times. Is the unit right?"),
        (50.0, 360, 1000, ""),
    ],
)
def test_more_runoff_than_rain_is_noted(tmp_path, capsys, flow, days, area, said):
    """A mean of 5 mm/day of rain; m3/s of a basin of 1,000 km2 are more than ten times the mm/day."""
    write(tmp_path / MINE.format("a"), year(days=400).to_csv())
    table = write(tmp_path / "table.csv", f"basin_id,x,area\na,1,{area}\n") if area else "none"
    rows = [f"{day:%Y-%m-%d},{flow}" for day in pd.date_range("2001-01-01", periods=days)]
    write(tmp_path / "streamflow" / "a.csv", "\n".join(["date,streamflow", *rows]) + "\n")
    opened(tmp_path, tmp_path, forcing="mine", attributes=table)
    expected = f"Note: streamflow is much more than precipitation: a {said}\n" if said else ""
    assert capsys.readouterr().out == expected
