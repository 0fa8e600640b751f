"""Folders, concepts and the data set that a training opens, against hand-written files."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from small_files import GAUGES, caravan_frame, flow_path, flow_rows, forcing_path, forcing_text  # isort: skip
from small_files import forcing_rows, load, opened, refused, write, write_caravan  # isort: skip

import hydrodata_tf as hd
from reading import concepts, folders, look, text_files

ROOT = Path(__file__).resolve().parent.parent
SWE = "swe=swe/{number}.csv:uaz_swe"
LAYER = "volumetric_soil_water_layer_1_mean"


# Folders


def test_folders(tmp_path, camels):
    zipped = tmp_path / "zip"
    shutil.copytree(camels, zipped / "basin_dataset_public_v1p2")
    for root, found in ((zipped, zipped / "basin_dataset_public_v1p2"), (camels, camels), (camels.parent, camels)):
        assert hd.folder_with("basin_mean_forcing", root) == found
    refused("no folder basin_mean_forcing", hd.folder_with, "basin_mean_forcing", camels / "swe")
    refused("no such folder", hd.folder_with, "basin_mean_forcing", camels / "none")
    refused("no folder era5; it has daymet. Choose", hd.load_forcing, camels, "01022500", "era5")
    refused("unpack the nldas forcing", hd.load_forcing, camels, "01022500", "nldas")
    refused("no daymet forcing file for basin 09999999", hd.load_forcing, camels, "9999999")
    shutil.copytree(camels / "usgs_streamflow" / "01", camels / "usgs_streamflow" / "02")
    refused("are both files of basin 01022500; remove one", hd.load_streamflow, camels, "01022500", 1e9)
    shutil.rmtree(camels / "usgs_streamflow")
    refused("no folder usgs_streamflow", hd.load_streamflow, camels, "01022500")


def test_basins_behind_links_are_found_and_what_cannot_be_read_is_named(camels, tmp_path, monkeypatch):
    product = camels / "basin_mean_forcing" / "daymet"
    shutil.move(product / "01", tmp_path / "01")
    os.symlink(tmp_path / "01", product / "01", target_is_directory=True)
    assert sorted(folders.forcing_files(camels, "daymet")) == ["01022500", "02046000", "11230500"]
    scandir = os.scandir

    def closed(path):
        if Path(path) == product / "01":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", closed)
    refused("01 cannot be read .Permission denied", folders.forcing_files, camels, "daymet")


def test_several_data_sets_below_a_folder_are_no_guess(camels, tmp_path):
    for name in ("a", "b"):
        shutil.copytree(camels, tmp_path / "two" / name)
    refused("basin_mean_forcing is in .*a, .*b; give one of them", hd.load_forcing, tmp_path / "two", "01022500")
    refused("camels_clim.txt is in .*a/camels.*, .*b/camels", hd.load_attributes, tmp_path / "two", ["01022500"])


def test_hidden_files_and_folders_are_no_data(camels, caravan, tmp_path, capsys):
    """What Jupyter, a Mac and its Finder leave beside the files."""
    for path in [p for p in (*camels.rglob("*"), *caravan.rglob("*")) if p.is_file()]:
        write(path.with_name(f"._{path.name}"), b"\0\5\26\7")
        write(path.parent / ".ipynb_checkpoints" / path.name, path.read_bytes())
    for root in (camels, caravan):
        shutil.copytree(root, root / ".backup")
    ds = load(camels, tmp_path, concepts=[SWE])
    assert ds["basin"].values.tolist() == ["01022500", "02046000", "11230500"] and ds["lat"].notnull().all()
    assert hd.load_attributes(camels, ["1022500"], ("p_mean", "elev_mean")).iloc[0].tolist() == [1.25, 100.5]
    assert load(caravan, tmp_path, forcing="caravan")["basin"].values.tolist() == list(GAUGES)
    look.look(camels)
    look.look(caravan)
    out = capsys.readouterr().out
    assert "ipynb" not in out and "._" not in out and ".backup" not in out and "cannot be read" not in out


def test_a_strange_file_does_not_matter_to_basins_that_are_named(caravan, tmp_path):
    folder = caravan / "timeseries" / "csv" / "lamah"
    write(folder / "notes.csv", "not a gauge\n")
    shutil.copy(folder / "lamah_1145.csv", folder / "x;rm_1.csv")
    named = load(caravan, tmp_path, forcing="caravan", basins=[GAUGES[1]])
    assert named["basin"].values.tolist() == [GAUGES[1]]
    refused("is not a basin id.* Rename or remove the file", load, caravan, tmp_path, forcing="caravan")


# Concepts


@pytest.mark.parametrize(
    ("text", "expected", "label"),
    [
        (SWE, ("swe", "swe/{number}.csv", "uaz_swe", 1, "mm", "name"), "snow water equivalent"),
        ("s=C:\\x\\{basin}.csv:a b*2.5[mm]", ("s", "C:\\x\\{basin}.csv", "a b", 2.5, "mm", "", True), "a b"),
        ("d=e_{number}.csv:snow_depth", ("d", "e_{number}.csv", "snow_depth", 1, "m of snow", "column"), "snow depth"),
        ("w=e:{basin}.csv:sd*1000", ("w", "e:{basin}.csv", "sd", 1000, "mm of water", "column", True), "snow water"),
        ("w=e:{basin}.csv:sd*1[m]", ("w", "e:{basin}.csv", "sd", 1, "m", "column", True), "snow water"),
        (f"d=caravan:{LAYER}*210", ("d", "caravan", LAYER, 210, "m3/m3 * 210", "", True), "soil moisture, 0-7 cm"),
        ("x=a{basin}.csv:y", ("x", "a{basin}.csv", "y", 1, "as in file"), "y"),
        ("x=a{basin}.csv:y*-1e8[m]", ("x", "a{basin}.csv", "y", -1e8, "m", "", True), "y"),
        ("x=a{basin}.csv:y*-3", ("x", "a{basin}.csv", "y", -3, "as in file * -3", "", True), "y"),
    ],
)
def test_parse_concept(text, expected, label):
    concept = hd.parse_concept(text)
    assert concept == hd.Concept(*expected) and concept.label.startswith(label)


def test_snow_is_what_name_column_or_unit_says():
    for text, says, amount in (
        ("soil=sweden/{basin}.csv:water[mm]", "", False),
        ("answer=snow/{basin}.csv:sweet[mm]", "", False),
        ("SWE_2=a/{basin}.csv:water[mm]", "name", True),
        ("store=a/{basin}.csv:sd", "column", True),
        ("store=a/{basin}.csv:water[cm of snow]", "unit", True),
        ("cover=a/{basin}.csv:snow_cover[%]", "column", False),
    ):
        concept = hd.parse_concept(text)
        assert (concept.snow, concepts.is_snow(concept._asdict())) == (says, amount)


def test_water_of_the_four_soil_layers():
    """The thickness in mm is that of the depths in the label, from the surface to 289 cm without a gap."""
    bottom = 0
    for layer, thickness in concepts.SOIL_LAYER_MM.items():
        for column in (f"volumetric_soil_water_layer_{layer}", f"volumetric_soil_water_layer_{layer}_mean"):
            concept = hd.parse_concept(f"soil=caravan:{column}*{thickness:g}")
            label = f"soil moisture, {bottom}-{bottom + thickness / 10:g} cm"
            assert (concept.units, concept.label) == ("mm", label)
        bottom += int(thickness / 10)
    assert bottom == 289 and list(concepts.SOIL_LAYER_MM) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("swe=a{basin}: ", "write it as"),
        ("swe=a{basin}.csv:x*2*3", "write it as"),
        ("../x=a{basin}.csv:x", "should be letters"),
        ("streamflow=a{basin}.csv:x", "is taken"),
        ("swe=a{0}{number}.csv:x", "in braces"),
        ("swe=a.csv:x", "every basin would read a.csv"),
        *((f"x=a{{basin}}.csv:x*{word}", f"{word!r} is not a factor") for word in ("ten", "9.9e-9", "-1.01e8")),
        ("snow=f/{basin}_lump_cida_forcing_leap.txt:SWE", "is 0 everywhere"),
        ("swe=a/{basin}.csv:water[bananas]", "is snow, as its name says, but 'bananas' is no length"),
    ],
)
def test_bad_concepts(text, sentence):
    refused(sentence, hd.parse_concept, text)


def test_files_of_a_concept_are_looked_for_in_one_place(camels, tmp_path, monkeypatch):
    """All in the data folder, or all in the current one: never some here and some there."""
    nowhere = ["swe=none/{number}.csv:uaz_swe"]
    refused("no file none/{number}.csv for any of the 3 basins", load, camels, tmp_path, concepts=nowhere)
    refused("no file x{number}.csv for basin 01022500", hd.load_concept, "k=x{number}.csv:x", "01022500", tmp_path)
    shutil.copytree(camels / "swe", tmp_path / "here" / "swe")
    (camels / "swe" / "2046000.csv").unlink()
    monkeypatch.chdir(tmp_path / "here")
    found = load(camels, tmp_path, concepts=[SWE])["swe"].notnull().any("date").values.tolist()
    assert found == [True, False, True]
    shutil.rmtree(camels / "swe")
    assert load(camels, tmp_path, concepts=[SWE])["swe"].notnull().any("date").values.all()
    assert hd.load_concept(SWE, "01022500").iloc[0] == 0


def test_caravan_is_no_template_with_camels_forcing(camels, caravan, tmp_path):
    concept = "soil=caravan:volumetric_soil_water_layer_1_mean*70"
    shutil.copytree(caravan, camels / "caravan")
    sentence = "caravan/timeseries/csv/camels/camels_{basin}.csv"
    assert sentence in refused("caravan stands for", load, camels, tmp_path, concepts=[concept])
    assert sentence in refused("caravan stands for", hd.load_concept, concept, "1022500", caravan)
    ds = load(camels, tmp_path, concepts=[concept.replace("caravan", sentence)], basins=["1022500"])
    assert float(ds["soil"].sel(date="2001-01-11").values[0]) == pytest.approx(70 * 0.205, rel=1e-6)
    refused("no Caravan file for basin lamah_9", hd.load_concept, concept, "lamah_9", caravan)


def test_concept_column_missing_in_one_file_and_in_all(camels, tmp_path):
    write(camels / "swe" / "2046000.csv", "date,other\n2001-01-05,7\n")
    ds = load(camels, tmp_path, concepts=[SWE])
    assert ds["swe"].isnull().all("date").values.tolist() == [False, True, False]
    other = ["swe=swe/{number}.csv:none[mm]"]
    refused("no value of none in any file swe/{number}.csv", load, camels, tmp_path, concepts=other)


# The data set


def test_data_set(camels, tmp_path):
    ds = load(camels, tmp_path, concepts=[f"{SWE}*0.1[cm]", "other=swe/{number}.csv:daymet_swe"])
    assert ds["basin"].values.tolist() == ["01022500", "02046000", "11230500"]
    dates = ds["date"].values.astype("datetime64[D]")
    assert (str(dates[0]), str(dates[-1]), dict(ds.sizes)) == ("2001-01-01", "2001-02-10", {"basin": 3, "date": 41})
    one = ds.sel(basin="02046000")
    assert float(one["prcp"].sel(date="2001-01-03")) == 3.0 and np.isnan(one["prcp"].values[-1])
    assert float(one["streamflow"].sel(date="2001-01-03")) == pytest.approx(20 * 2.4465755 / 427.165365, rel=1e-6)
    assert np.isnan(one["streamflow"].sel(date=["2001-01-02", "2001-02-08"])).all()
    assert float(one["swe"].sel(date="2001-01-05")) == pytest.approx(0.65)
    source = {"source": "swe/{number}.csv:uaz_swe*0.1"}
    assert one["swe"].attrs == {"units": "cm", "long_name": "snow water equivalent", "snow": "name"} | source
    assert float(one["other"].sel(date="2001-01-05")) == 1
    assert one["other"].attrs["source"] == "swe/{number}.csv:daymet_swe"
    assert all(ds[name].dtype == np.float32 and ds[name].attrs["units"] for name in ds.data_vars)
    assert ds.attrs["inputs"] == list(hd.FORCING) and ds.attrs["concepts"] == ["swe", "other"]
    assert ds.attrs["forcing"] == "daymet"
    assert (float(one["lat"]), float(one["lon"]), float(one["area_km2"])) == (41.5, -71.25, 427.165365)


def test_a_training_reads_what_the_readers_give(camels, tmp_path, monkeypatch):
    """The array of a basin is the frames of load_*, side by side on the union of their days, each file read once."""
    swe = camels / "swe" / "1022500.csv"
    swe.write_text(swe.read_text().replace("2001-01-", "1999-01-"))  # the records have a year without any value between
    names, read_bytes = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: names.append(path.name) or read_bytes(path))
    texts = [SWE, "other=swe/{number}.csv:daymet_swe*2[mm]"]
    data = opened(camels, tmp_path, basins=["1022500"], concepts=texts, required=None)
    assert len(names) == len(set(names)) == 4  # forcing, streamflow, snow; and camels_topo.txt for the place
    parts = [hd.load_forcing(camels, "1022500"), hd.load_streamflow(camels, "1022500")]
    parts += [hd.load_concept(text, "1022500", camels) for text in texts]
    frame = pd.concat(parts, axis=1, sort=True).asfreq("D")
    assert list(frame) == [*data.inputs, *data.targets] and str(frame.index[0])[:10] == "1999-01-02"
    np.testing.assert_array_equal(data.days(0, data.first_day, int(data.lengths[0])), frame.to_numpy())


def test_basins_lacking_something(camels, tmp_path):
    refused("no daymet forcing file for 1 of 2 basins: 09999999", load, camels, tmp_path, basins=["01022500", 9999999])
    refused("4 of 4 basins: 00000004, 00000003, 00000002 and 1 more", load, camels, tmp_path, basins=[4, 3, 2, 1])
    flow_path(camels, "02046000").unlink()
    assert load(camels, tmp_path)["basin"].values.tolist() == ["01022500", "11230500"]
    refused("no streamflow file for 1 of 1 basins: 02046000", load, camels, tmp_path, basins=["02046000"])
    shutil.rmtree(camels / "usgs_streamflow" / "01")
    refused("no basin has daymet forcing and streamflow", load, camels, tmp_path)


def test_several_products_are_joined_by_name(camels, tmp_path):
    for basin in ("01022500", "11230500"):
        text = forcing_path(camels, basin).read_text().replace("\t1.00\t", "\t1.50\t")
        write(forcing_path(camels, basin, "maurer_extended"), text)
    data = opened(camels, tmp_path, forcing=("daymet", "maurer_extended"), required=None)
    assert data.inputs[:2] == ["prcp_daymet", "tmin_daymet"] and data.inputs[-1] == "vp_maurer_extended"
    assert data.basins == ["01022500", "11230500"] and data.left_out == {"02046000": "No maurer_extended forcing file"}
    assert len(data.inputs) == 10 and data.about["srad_maurer_extended"]["units"] == "W/m2"
    forcing, _ = data.read([0], data.dates("2001-01-01", "2001-01-04"))
    assert forcing[0, :, 0].tolist() == [0, 1, 2, 3] and forcing[0, :, 5].tolist() == [0, 1.5, 2, 3]
    np.testing.assert_array_equal(forcing[..., 6:], forcing[..., 1:5])


@pytest.mark.parametrize(
    ("forcing", "texts", "sentence"),
    [
        (("daymet", "daymet"), (), "name one product, or several different ones"),
        (("daymet", "caravan"), (), "name one product, or several different ones"),
        ((), (), "name one product"),
        (("daymet", "maurer"), ["vp_daymet=x/{basin}.csv:y"], "Concept vp_daymet has the name of an input"),
        ("daymet", [SWE, SWE], "Two concepts have the same name"),
    ],
)
def test_what_cannot_be_asked_for_together(camels, forcing, texts, sentence):
    refused(sentence, hd.open_data, camels, forcing, concepts=texts)


def test_attributes_and_order_of_the_data_set(camels, tmp_path):
    table = write(tmp_path / "t.csv", "basin_id,a\n11230500,3\n02046000,2\n01022500,1\n")
    ds = load(camels, tmp_path, attributes=table, concepts=[SWE])
    assert ds["attributes"].values.tolist() == [[1.0], [2.0], [3.0]] and ds["attribute"].values.tolist() == ["a"]
    back = load(camels, tmp_path, attributes=table, concepts=[SWE], basins=["11230500", "02046000", "01022500"])
    xr.testing.assert_identical(back.isel(basin=[2, 1, 0]), ds)
    refused("no attribute slope_mean", load, camels, tmp_path, attributes="auto")


@pytest.mark.parametrize("kind", ["csv", "netcdf"])
def test_caravan_data_set(tmp_path, kind):
    root = tmp_path / "zip" / "Caravan"
    for i, gauge in enumerate(GAUGES):
        path = write_caravan(root, gauge, caravan_frame(shift=i), kind)
        if i:  # the set is the folder, which the ids need not begin with
            path.parent.rename(path.parent.with_name("lamah_ce"))
        name = ("camels", "lamah_ce")[i]
        path = root / "attributes" / name / f"attributes_other_{name}.csv"
        write(path, f'gauge_id,name,country,gauge_lat,gauge_lon,area\n{gauge},"A, B",X,4{i}.5,-7.25,61.5\n')
    concepts_read = [f"soil1=caravan:{LAYER}*70", f"theta=caravan:{LAYER}"]
    ds = load(root.parent, tmp_path, forcing="caravan", concepts=concepts_read)
    assert ds["basin"].values.tolist() == list(GAUGES) and ds.attrs["inputs"] == list(hd.CARAVAN_FORCING)
    assert ds["soil1"].attrs["units"] == "mm" and ds["theta"].attrs["units"] == "m3/m3"
    assert float(ds["soil1"].sel(basin="lamah_1145", date="2001-01-11")) == pytest.approx(70 * 0.205, rel=1e-6)
    assert float(ds["total_precipitation_sum"].sel(basin="lamah_1145", date="2001-01-04")) == 4.75
    assert ds["lat"].values.tolist() == [40.5, 41.5] and ds["area_km2"].values.tolist() == [61.5, 61.5]
    # every seventh of 400 days is without streamflow, in two gauges
    assert ds.attrs["report"].endswith("2002-02-04\nmissing    days basins\nstreamflow  116      2")


def test_kinds_of_potential_evaporation(caravan, tmp_path):
    """The older releases' column and ERA5-Land's are one thing; Penman-Monteith's is another, and may stand alone."""
    _, era5, penman = text_files.PET_NAMES
    write_caravan(caravan, GAUGES[0], caravan_frame(pet=era5))
    assert (load(caravan, tmp_path, forcing="caravan")[hd.PET] == 2.5).all()
    write_caravan(caravan, GAUGES[1], caravan_frame(pet=penman))
    assert (load(caravan, tmp_path, forcing="caravan", basins=[GAUGES[1]])[hd.PET] == 2.5).all()
    refused("different potential evaporation", load, caravan, tmp_path, forcing="caravan")


def test_files_of_a_caravan_folder(caravan, tmp_path):
    write_caravan(caravan, "lamah_1145", caravan_frame(shift=5), "netcdf")
    assert hd.load_caravan(caravan, "lamah_1145", hd.CARAVAN_FORCING[:1]).iloc[0, 0] == 1  # shift=1 in the csv
    refused("no Caravan file for basin lamah_9", hd.load_caravan, caravan, "lamah_9")
    refused("no folder timeseries", hd.load_caravan, caravan / "timeseries", "lamah_1145")


def test_gauges_that_cannot_be_used_are_left_out_or_listed(tmp_path):
    """No flow in the period, an input missing throughout, no rain: left out with the reason, or one error lists all."""
    spoiled = {"x_1": [], "x_2": ["streamflow"], "x_3": ["temperature_2m_min"], "x_4": ["total_precipitation_sum"]}
    spoiled["x_5"] = list(hd.CARAVAN_FORCING)
    for gauge, columns in spoiled.items():
        frame = caravan_frame()
        frame.loc[:364, columns] = np.nan if gauge != "x_4" else 0.0
        write_caravan(tmp_path / "c", gauge, frame)
    period = ("2001-01-01", "2001-12-31")
    options = {"forcing": "caravan", "attributes": "climate", "train_period": period, "required": None}
    data = opened(tmp_path / "c", tmp_path, **options)
    assert data.basins == ["x_1"] and list(data.attributes.index) == ["x_1"]
    assert data.left_out == {
        "x_2": "No streamflow from 2001-01-01 to 2001-12-31",
        "x_3": "No temperature_2m_min from 2001-01-01 to 2001-12-31",
        "x_4": "No precipitation from 2001-01-01 to 2001-12-31",
        "x_5": "No forcing from 2001-01-01 to 2001-12-31",
    }
    sentence = "^3 of 5 basins cannot be used. No streamflow from 2001-01-01 to 2001-12-31: x_2; No temp"
    refused(sentence, opened, tmp_path / "c", tmp_path, basins=list(spoiled), **options)
    later = options | {"attributes": "none", "train_period": ("2002-02-05", "2002-02-28")}
    refused("has no day in the data", opened, tmp_path / "c", tmp_path, **later)
    write_caravan(tmp_path / "c", "x_2", caravan_frame().drop(columns="streamflow"))
    refused(
        "no column streamflow in the file of 1 gauges: x_2", opened, tmp_path / "c", tmp_path, basins=["x_2"], **options
    )


def test_the_table_of_what_is_missing_stays_narrow_with_all_columns_and_long_names(caravan, tmp_path):
    """An input without value in one gauge, and everything else that can be missing."""
    frame = caravan_frame(1000).assign(streamflow=-1.0, surface_net_solar_radiation_mean=np.nan, x=1.0)
    write_caravan(caravan, GAUGES[0], frame)
    write_caravan(caravan, GAUGES[1], caravan_frame(300).assign(**{hd.PET: np.nan, LAYER: np.nan}))
    report = load(caravan, tmp_path, forcing="caravan", concepts=[f"theta=caravan:{LAYER}"]).attrs["report"].split("\n")
    assert report == [
        "2 basins, 2001-01-01 to 2003-09-27",
        "observed: streamflow in 1 of 2 basins, theta in 1",
        "missing                                     days basins below zero short records without",
        "total_precipitation_sum and 2 more             0      0          0             1       0",
        "surface_net_solar_radiation_mean and 1 more    0      0          0             0       1",
        "streamflow                                    43      1      1,000             0       0",
    ]
    assert all(len(line) <= 100 for line in report)


# The cache, as the data set uses it, and what is said


def test_two_copies_of_the_data_keep_each_others_numbers_in_one_cache(camels, tmp_path):
    shutil.copytree(camels, tmp_path / "copy")
    data = [opened(root, tmp_path, basins=["1022500"]) for root in (camels, tmp_path / "copy")]
    assert data[0].arrays != data[1].arrays
    assert all(np.isfinite(copy.days(0, copy.first_day, 3)[:, :5]).all() for copy in data)


def test_daily_means_under_two_names_are_noted_and_a_terminal_shows_a_bar(camels, tmp_path, capsys, monkeypatch):
    load(camels, tmp_path)
    assert capsys.readouterr() == ("", "")
    text = forcing_text([row.replace(f"{10.5 + i:.2f}", f"{i - 5.25:.2f}") for i, row in enumerate(forcing_rows())])
    write(forcing_path(camels, product="maurer"), text)
    load(camels, tmp_path, forcing="maurer")
    better = "the product maurer_extended has both"
    assert capsys.readouterr().out == f"Note: maurer: tmin equals tmax on every day; {better}.\n"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    load(camels, tmp_path / "another")
    assert "reading daymet: 100%" in capsys.readouterr().err


def test_a_plain_script_of_three_lines_that_loads_no_network(camels, tmp_path):
    lines = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom hydrodata_tf import load_dataset\n"
    lines += "print([m for m in ('keras', 'tensorflow', 'xarray') if m in sys.modules])\n"
    lines += f"print(dict(load_dataset({str(camels)!r}, attributes='none').sizes))\n"
    script = write(tmp_path / "script.py", lines)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[]\n{'basin': 3, 'date': 40}\n", "")


def test_look_says_what_is_missing(camels, caravan, tmp_path, capsys):
    refused("holds neither CAMELS-US nor Caravan data", look.look, camels / "swe")
    refused("no such folder", look.look, tmp_path / "x")
    forcing_path(camels, "02046000").unlink()
    write(camels / "swe" / "2046000.csv", "date,daymet_swe,depth\n2001-01-02,1,2\n")
    write(flow_path(camels, "11230500"), "\n".join(flow_rows("11230500", days=3)) + "\n")
    write(flow_path(camels), "no flow\n")
    look.look(camels)
    out = capsys.readouterr().out
    assert "forcing daymet: 2 basins, 2 of them with streamflow; 2001-01-01 to 2001-02-09\n" in out
    assert "without forcing: 02046000\n" in out and "cannot be read: " in out and "line 1: 2 fields instead of 6" in out
    assert "3 basins with streamflow; 2001-01-03 to 2001-02-27\n" in out
    assert "2 of the 27 attributes in " in out and "missing: slope_mean, area_gages2, pet_mean and 22 more" in out
    assert "Concepts of 3 basins, as swe/{number}.csv:COLUMN: uaz_swe (mm), daymet_swe (mm), depth\n" in out
    flow_path(camels, "02046000").unlink()
    shutil.rmtree(camels / "usgs_streamflow")
    shutil.rmtree(camels / "camels_attributes_v2.0")
    look.look(camels)
    out = capsys.readouterr().out
    assert "unpack usgs_streamflow there" in out and "unpack camels_attributes_v2.0 there" in out
    write_caravan(caravan, "lamah_1145", caravan_frame().drop(columns="streamflow"))
    look.look(caravan)
    out = capsys.readouterr().out
    assert "not in every file: streamflow\n" in out and "lamah: 1 gauges; no attribute files in" in out
