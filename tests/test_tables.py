"""Basin lists, tables of attributes and climate indices, against hand-written files and literal numbers."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_files import GAUGES, REAL, SMALL, caravan_frame, load, needs_real, refused, write, write_caravan

import hydrodata_tf as hd
from reading import attributes

ROOT = Path(__file__).resolve().parent.parent


# Ids and basin lists


def test_basin_id():
    assert {hd.basin_id(text) for text in ("1022500", 1022500, "01022500", "1022500.0")} == {"01022500"}
    for same in ("hysets_01075000", "123456789", "x" * 100):
        assert hd.basin_id(same) == same


def test_basin_id_refuses_what_could_leave_the_folder():
    for given in ("", "../etc", "a/b", "a\\b", "{0}", "a\nb", "..", "C:x", "a..b", "é", "x" * 101):
        refused("is not a basin id", hd.basin_id, given)


@pytest.mark.parametrize(
    "text",
    [
        "1022500\r\n\r\n02046000\r\n",
        "\ufeffbasin_id\tlon\tlat\n01022500\t-67\t44\n02046000\t1\t2\n",
        "lon,gauge_id\n1,1022500\n2,2046000\n",
        'name;Gauge_ID\n"Green River; upper";1022500\nOwl Creek;2046000\n',
        "Area km2;Basin ID;donor basin\n573.6;1022500;99000012\n100.1;02046000;99000020\n",
        '"GAUGE-ID","area, km2"\n"1022500","1,5"\n"2046000","2,5"\n',
        '"","basin_id"\n"1","01022500"\n"2","02046000"\n',
        '"basin_id"\n"01022500"\n"02046000"\n',
        "basin_id\n1022500.0\n2046000.0\n",
        "basin_id lon lat\n01022500 -67 44\n02046000 1 2\n",
    ],
)
def test_basin_lists_as_people_have_them(tmp_path, text):
    assert hd.read_basins(write(tmp_path / "list.csv", text)) == ["01022500", "02046000"]


def test_ids_themselves_and_the_lists_of_the_project():
    assert hd.read_basins(["1022500", "hysets_1"]) == ["01022500", "hysets_1"]
    assert hd.read_basins("1022500") == ["01022500"]
    assert len(hd.read_basins("s_391attrs.csv")) == 391
    if REAL.is_dir():
        assert len(hd.read_basins(REAL / "basin_391.tsv")) == 391
        assert hd.read_basins(REAL / "basins_531.txt")[0] == "01022500"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("01022500\n02046000\n1022500\n", "line 3: basin 01022500 stands here a second time; remove one"),
        ("01022500\n../x\n", "line 2: no basin id in '../x'"),
        ("01022500\n02046000 11230500\n", "line 2: no basin id in '02046000 11230500'; write one id a line"),
        ("01022500\n02046000,11230500\n", "line 2: 2 fields instead of 1"),
        ("01022500 02046000\n11230500 11230501\n", "line 1: no column basin_id among 01022500, 02046000"),
        ("station,lon\n01022500,-67\n", "line 1: no column basin_id among station, lon; name the column of ids so"),
        (",lon\n01022500,-67\n", "line 1: no column basin_id among"),
        ("station\n01022500\n", "line 1: no column basin_id among station; name the column of ids so"),
        ("lon,gauge_id\n1\n", "line 2: 1 fields instead of 2"),
        ("basin_id,lon\n,1\n", "line 2: no basin id in ''"),
        ("basin_id\n", "no data lines"),
        ("basin_id\n\n", "The basin list is empty"),
    ],
)
def test_bad_basin_lists(tmp_path, text, sentence):
    refused(sentence, hd.read_basins, write(tmp_path / "list.txt", text))


def test_basin_list_that_is_not_there(tmp_path):
    for spec in (tmp_path / "none", "none.txt", "a/b"):
        refused("no such basin list", hd.read_basins, spec)
    refused("holds 01022500 more than once; remove", hd.read_basins, ["01022500", "1022500"])


# Attributes


@needs_real
def test_attribute_table_of_the_project_is_reproduced(tmp_path):
    out = tmp_path / "attributes.csv"
    command = ["attributes", "--data-dir", str(SMALL), "--basins", str(REAL / "basin_391.tsv"), "--out", str(out)]
    subprocess.run([sys.executable, str(ROOT / "hydrodata_tf.py"), *command], check=True)
    assert out.read_bytes() == (ROOT / "s_391attrs.csv").read_bytes()


def test_attribute_table_of_the_project():
    table = pd.read_csv(ROOT / "s_391attrs.csv", dtype={"basin_id": str}).set_index("basin_id")
    assert table.shape == (391, 27) and list(table.columns) == list(attributes.ATTRIBUTES)
    np.testing.assert_allclose(table.agg(["mean", lambda column: column.std(ddof=0)]).T, [[0, 1]] * 27, atol=1e-8)


def test_attributes_of_a_folder_and_a_table(camels, tmp_path):
    frame = hd.load_attributes(camels, ["11230500", "1022500"], ("p_mean", "elev_mean"))
    assert frame.loc["11230500"].tolist() == [3.25, 300.5] and frame.loc["01022500"].tolist() == [1.25, 100.5]
    table = write(tmp_path / "t.csv", "basin_id,a,name,b\n1022500,1.5,x,-2\n02046000,2.5,y,3e1\n")
    frame = hd.load_attributes(table, ["02046000"], None)
    assert list(frame.columns) == ["a", "b"] and frame.loc["02046000"].tolist() == [2.5, 30.0]
    write(table, ",gauge_id,elev,country,Unnamed: 9\n0,96000001,10.5,US,3\n1,96000002,20.5,MX,4\n")
    frame = hd.load_attributes(table, ["96000002", "96000001"], None)
    assert frame.columns.tolist() == ["elev"] and frame["elev"].tolist() == [20.5, 10.5]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("basin_id,a\n01022500,1\n", r"no attributes \(first: a\) for 1 basin: 02046000"),
        *((f"basin_id,a\n01022500,1\n02046000,{word}\n", "first: a") for word in ("NA", "-999", "-9999.0", "", "NaN")),
        ("basin_id,a\n01022500,1\n02046000,1o\n", "line 3: '1o' is not a number"),
        ("basin_id;a\n01022500;1\n02046000;10,5\n", "line 3: '10,5' is not a number .with a decimal point"),
        ("basin_id,a\n01022500,1\n02046000,inf\n", "line 3: a 'inf' is beyond 1e.15"),
        ("basin_id,a\n01022500,1\n02046000,1.1e15\n", "line 3: a '1.1e15' is beyond"),
        ("basin_id,a\n01022500,1\n02046000,12", "line 3: the last line has no line break and may be cut"),
        ("basin_id,a\n01022500,1\n2046000,1\n02046000,2\n", "line 4: basin 02046000 stands here a second time"),
        ("basin_id,a\n01022500,1\n02046000\n", "line 3: 1 fields instead of 2"),
        ("basin_id,a\n../x,1\n", "line 2: no basin id in '../x'"),
        ("basin_id,a,a\n01022500,1,2\n", "the column a stands twice"),
        *((f"{first},a\n01022500,1\n02046000,2\n", "no column basin_id among") for first in ("", "station")),
        ("basin_id,b\n01022500,1\n02046000,2\n", "no attribute a"),
        ("", "is empty"),
    ],
)
def test_bad_attributes(tmp_path, text, sentence):
    path = write(tmp_path / "t.csv", text)
    assert str(path) in refused(sentence, hd.load_attributes, path, ["01022500", "02046000"], ("a",))


@pytest.mark.parametrize("text", ["basin_id,elev\n1,1.234.567\n", "basin_id,elev\n1,high\n", ",basin_id\n0,1\n"])
def test_a_table_without_a_number_is_refused(tmp_path, text):
    refused("t.csv: no column of numbers among", hd.load_attributes, write(tmp_path / "t.csv", text), ["1"], None)


def test_what_nobody_asks_for_does_not_matter(tmp_path):
    """Gaps, words and repeated columns beside those that are read, other basins, a line that is cut."""
    table = write(tmp_path / "t.csv", "id,a,x,x,b\n1,1.5,,1o,2\n2,3.5,NA,1,4\n3,one,,,5")
    assert hd.load_attributes(table, ["1", "2"], ("a", "b")).to_numpy().tolist() == [[1.5, 2], [3.5, 4]]
    refused("line 4: 'one' is not a number", hd.load_attributes, table, ["3"], ("a",))
    refused("line 4: the last line has no line break", hd.load_attributes, table, ["3"], ("b",))


def test_two_files_of_attributes_for_one_thing_are_refused(camels, caravan, tmp_path):
    folder = camels / "camels_attributes_v2.0"
    shutil.copy(folder / "camels_clim.txt", folder / "camels_clim_backup.txt")
    both = "camels_clim.txt and .*camels_clim_backup.txt both hold p_mean; remove one"
    refused(both, hd.load_attributes, camels, ["01022500"], ("p_mean",))
    assert hd.load_attributes(camels, ["01022500"], ("elev_mean",)).iloc[0, 0] == 100.5
    folder = caravan / "attributes" / "camels"
    for name in ("camels", "camels_old"):
        write(folder / f"attributes_caravan_{name}.csv", "gauge_id,p_mean\ncamels_01022500,0.5\n")
    both = "attributes_caravan_camels.csv and .*camels_old.csv both hold basin camels_01022500"
    refused(both, load, caravan, tmp_path, forcing="caravan", attributes="auto", basins=["camels_01022500"])


def test_attribute_files_absent(camels, tmp_path):
    shutil.rmtree(camels / "camels_attributes_v2.0")
    refused("unpack the CAMELS attributes", hd.load_attributes, camels, "01022500")
    refused("no such file; give a table", load, camels, tmp_path, attributes="nothing.csv")
    assert np.isnan(load(camels, tmp_path)["lon"].values).all()


def test_command_writes_z_scores(camels, tmp_path, monkeypatch):
    monkeypatch.setattr(attributes, "ATTRIBUTES", ("p_mean", "elev_mean"))
    monkeypatch.setattr(hd.load_attributes, "__defaults__", (("p_mean", "elev_mean"),))
    out, basins = tmp_path / "out.csv", write(tmp_path / "b.txt", "01022500\n02046000\n11230500\n")
    hd.write_attributes(camels, basins, out)
    # 1.25, 2.25, 3.25: mean 2.25, population standard deviation sqrt(2/3)
    rows = ["basin_id,p_mean,elev_mean", "01022500,-1.22474487,-1.22474487", "02046000,0,0"]
    assert out.read_text().split() == [*rows, "11230500,1.22474487,1.22474487"]
    monkeypatch.setattr(sys, "argv", f"hydrodata_tf.py attributes --data-dir {camels} --basins x.txt --out o".split())
    refused("^x.txt: no such basin list.$", hd.main)


def test_caravan_attributes(caravan, tmp_path, capsys):
    """Of sets of different versions the columns that all have, under the older releases' names."""
    options = {"forcing": "caravan", "attributes": "auto"}
    refused("files have no attribute for all of camels_01022500, lamah_1145", load, caravan, tmp_path, **options)
    camels, lamah = (caravan / "attributes" / name / f"attributes_caravan_{name}.csv" for name in ("camels", "lamah"))
    write(camels, "gauge_id,p_mean,pet_mean,slope,note\ncamels_01022500,0.5,2.25,7,text\n")
    write(lamah, "gauge_id,pet_mean_ERA5_LAND,pet_mean_FAO_PM,p_mean\nlamah_1145,3.25,9,1.5\nlamah_2,9,9,9\n")
    ds = load(caravan, tmp_path, **options)
    assert ds["attribute"].values.tolist() == ["p_mean", "pet_mean"]
    assert ds["attributes"].values.tolist() == [[0.5, 2.25], [1.5, 3.25]]
    assert ": slope (not in lamah), pet_mean_FAO_PM (not in camels).\n" in capsys.readouterr().out
    alone = load(caravan, tmp_path, basins=["lamah_1145"], **options)
    assert alone["attribute"].values.tolist() == ["pet_mean", "pet_mean_FAO_PM", "p_mean"]
    write(lamah, "gauge_id,p_mean,pet_mean\nlamah_1145,1,NA\nlamah_2,1,3\n")
    assert load(caravan, tmp_path, **options)["basin"].values.tolist() == [GAUGES[0]]
    sentence = "1 of 2 basins cannot be used. No pet_mean in the attributes of .*; give a table.*: lamah_1145"
    refused(sentence, load, caravan, tmp_path, basins=list(GAUGES), **options)
    write(lamah, "gauge_id,area\nlamah_1145,3.25\n")
    refused("no attribute for all of camels_01022500, lamah_1145; give a table", load, caravan, tmp_path, **options)


def test_a_table_that_lacks_a_basin_of_the_folder(camels, tmp_path):
    """Left out with the reason where no basins are named, else an error; so too of the folder's own attributes."""
    table = write(tmp_path / "t.csv", "basin_id,a,b\n11230500,3,1\n02046000,2,\n")
    data = hd.open_data(camels, attributes=table)
    assert data.basins == ["11230500"] and data.attributes.to_numpy().tolist() == [[3, 1]]
    reasons = {"01022500": f"No a in the attributes of {table}", "02046000": f"No b in the attributes of {table}"}
    assert data.left_out == reasons and data.report.startswith("1 basin,")
    sentence = "2 of 3 basins cannot be used. No b in the attributes of .*t.csv: 02046000; No a in .*: 01022500.$"
    refused(sentence, hd.open_data, camels, basins=["11230500", "2046000", "1022500"], attributes=table)
    write(table, "basin_id,a\n1,3\n")
    refused("3 of 3 basins cannot be used. No a in the attributes", hd.open_data, camels, attributes=table)


# Climate indices


def test_climate_attributes(caravan, tmp_path):
    options = {"forcing": "caravan", "attributes": "climate", "required": ()}
    year = ("2001-01-01", "2001-12-31")
    refused("give the training period", load, caravan, tmp_path, **options)
    ds = load(caravan, tmp_path, train_period=year, **options)
    row = ds["attributes"].sel(basin="camels_01022500").to_series()
    # 0, 1.25, 2.5, 3.75, 5 mm over 365 days: mean 2.5, one day in five below 1 mm, none of 12.5 mm
    assert row["p_mean"] == 2.5 and row["pet_mean"] == 2.5 and row["aridity"] == 1
    assert row["low_prec_freq"] == pytest.approx(365.25 / 5) and row["low_prec_dur"] == 1
    assert row["high_prec_freq"] == 0 and row["high_prec_dur"] == 0 and abs(row["p_seasonality"]) < 0.01
    frame = caravan_frame()[:365]
    rain, cold = frame["total_precipitation_sum"], frame["temperature_2m_min"] + 3 < 0
    assert row["frac_snow"] == pytest.approx(rain[cold].sum() / rain.sum(), rel=1e-6)
    ds = load(caravan, tmp_path, train_period=("2001-01-01", "2001-01-02"), **options)
    assert float(ds["attributes"].sel(basin="camels_01022500", attribute="p_mean")) == 0.625
    options["basins"] = list(GAUGES)
    dry = "1 of 2 basins cannot be used. No precipitation from .*: camels_01022500"
    refused(dry, load, caravan, tmp_path, train_period=("2001-01-01", "2001-01-01"), **options)
    # Without the day of 5 mm whose temperature is missing 907.5 mm in 364 days.
    frame.loc[4, "temperature_2m_min"] = np.nan
    write_caravan(caravan, GAUGES[0], frame)
    row = load(caravan, tmp_path, train_period=year, **options)["attributes"][0].to_series()
    assert row["p_mean"] == pytest.approx(907.5 / 364) and row.notna().all()
    write_caravan(caravan, GAUGES[0], caravan_frame().assign(**{hd.PET: np.nan}))
    thirsty = "No potential evaporation from .* to 2001-12-31: camels_01022500"
    refused(thirsty, load, caravan, tmp_path, train_period=year, **options)


def test_days_on_the_limits_of_the_climate_indices():
    """10 mm are 5 times the mean of 2 mm: high, 9.9 are not; 1 mm is not low; 0 degrees C is not snow."""
    rain = np.array([1.0, 1, 1, 10, 1, 1, 1, 1, 0, 3])
    temperature = np.array([0.0, 0, 0, 0, 0, 0, -0.5, 0, 0, 0])
    got = hd.climate_indices(rain, temperature, np.datetime64("2001-01-01") + np.arange(10))
    assert got["p_mean"] == 2 and got["frac_snow"] == pytest.approx(1 / 20)
    assert got["high_prec_freq"] == got["low_prec_freq"] == pytest.approx(36.525)
    assert got["high_prec_dur"] == got["low_prec_dur"] == 1
    rain[[3, 9]] = 9.9, 3.1
    got = hd.climate_indices(rain, temperature, np.datetime64("2001-01-01") + np.arange(10))
    assert got["high_prec_freq"] == got["high_prec_dur"] == 0


def test_mean_length_of_dry_spells():
    spells = {"1": 1, "0": 0, "10": 1, "01": 1, "110111": 2.5, "0110": 2, "1001011": 4 / 3}
    for wet, length in spells.items():
        rain = np.where(np.array(list(wet)) == "1", 0.5, 1.5)
        indices = hd.climate_indices(rain, np.ones(len(wet)), np.datetime64("2001-01-01") + np.arange(len(wet)))
        assert indices["low_prec_dur"] == pytest.approx(length), wet


def test_climate_indices_by_hand():
    """January storms in a dry, warm land; a pure wave of rain 60 degrees behind that of temperature."""
    dates = np.arange("2001-01-01", "2003-01-01", dtype="datetime64[D]")
    rain = np.zeros(730)
    rain[[9, 10, 11, 20, 21, 374, 375, 376, 385, 386]] = 20.0
    rain[100:110] = 0.5
    temperature = np.where(np.arange(730) % 365 == 10, -1.0, 15.0)
    got = hd.climate_indices(rain, temperature, dates, pet=np.full(730, 2.0))
    assert got["p_mean"] == pytest.approx(205 / 730) and got["aridity"] == pytest.approx(2 * 730 / 205)
    assert got["frac_snow"] == pytest.approx(40 / 205)
    assert got["high_prec_freq"] == pytest.approx(10 / 730 * 365.25) and got["high_prec_dur"] == pytest.approx(2.5)
    assert list(got)[:3] == ["p_mean", "pet_mean", "aridity"]
    assert "pet_mean" not in hd.climate_indices(rain, rain, dates)
    angle = 2 * np.pi * pd.DatetimeIndex(dates).day_of_year.to_numpy() / 365.25
    for phase, seasonality in ((np.pi / 3, 0.25), (0, 0.5), (np.pi, -0.5)):
        wave = hd.climate_indices(4 + 2 * np.cos(angle - phase), 10 + 8 * np.cos(angle), dates)
        assert wave["p_seasonality"] == pytest.approx(seasonality, abs=1e-6)
