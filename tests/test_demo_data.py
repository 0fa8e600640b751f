"""The synthetic catchments: closed water balance, known physics, exact layouts, nothing half-written."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import hydrodata_tf
from reading import attributes, demo_data
from writing import files
from writing.messages import InputError

ROOT = Path(demo_data.__file__).parent.parent
SOIL = [f"soil_water_{layer}" for layer in range(1, 5)]
CLIMATES = ("warm and wet", "temperate", "semi-arid", "snow-dominated")


@pytest.fixture(scope="module")
def ds():
    return demo_data.synthetic_catchments()


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Folder and simulation of 6 catchments x 2 years."""
    root = tmp_path_factory.mktemp("made") / "demo"
    return demo_data.make_demo(root, basins=6, years=2, seed=5), demo_data.synthetic_catchments(6, 2, 5)


def run(days, prcp, tmean, pet=0.0, cover=0.0, **changed):
    """The conceptual model of one catchment: daily series, or constants for a number of days; its stores and fluxes."""
    *series, _ = np.broadcast_arrays(prcp, tmean, pet, cover, np.empty(days))
    return demo_data.water(demo_data.catchments(1, 1).assign(**changed), *(values[:, None] for values in series))


def test_water_balance_closes_for_each_basin_day_and_store(ds):
    def change(*names):
        return np.diff(sum(ds[name].values for name in names), axis=1)

    assert ds.sizes == {"basin": 30, "date": 4383}
    for one, other in (
        (change(*demo_data.STORES), (ds.prcp - ds.evapotranspiration - ds.discharge)[:, 1:]),
        (ds.rain + ds.snowfall, ds.prcp),
        (ds.infiltration + ds.surface_runoff, ds.rain + ds.melt),
        (change("swe"), (ds.snowfall - ds.melt)[:, 1:]),
        (change(*SOIL), (ds.infiltration - ds.evapotranspiration - ds.interflow - ds.baseflow)[:, 1:]),
        (change("routing"), (ds.surface_runoff + ds.interflow + ds.baseflow - ds.discharge)[:, 1:]),
    ):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-10)  # mm, with some 1000 mm stored
    for name in (*demo_data.FLUXES, *demo_data.STORES):
        assert ds[name].min() >= 0, name
    # All that falls in the cold is snow, and nothing in the warmth.
    assert (ds.snowfall.values[ds.tmean.values >= 2] == 0).all()
    assert (ds.rain.values[ds.tmean.values <= 0] == 0).all()


def test_degree_days_melt_what_fell_and_one_linear_store_routes_it():
    """Ten days of 3 mm at -5 degrees make 30 mm of snow; at +2 degrees 4 mm/degree/day take 8 mm a day. A residence
    time of k days passes on the share 1 - exp(-1/k) of what is stored."""
    out = run(15, [3.0] * 10 + [0] * 5, [-5.0] * 10 + [2] * 5, degree_day=4.0)
    np.testing.assert_allclose(out["swe"][:, 0], [3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 22, 14, 6, 0, 0], atol=1e-12)
    np.testing.assert_allclose(out["melt"][10:, 0], [8, 8, 8, 6, 0], atol=1e-12)
    out = run(30, 20.0, 10.0, 1.0, 0.5, residence=2.0)
    np.testing.assert_allclose(out["discharge"] / (out["discharge"] + out["routing"]), 1 - np.exp(-0.5), rtol=1e-12)


def test_flood_fills_the_pores_and_drought_ends_at_the_wilting_point():
    """300 mm/day fill every layer to the porosity, and the rest runs off; 60 mm/day of thirst empty the upper one."""
    land = demo_data.catchments(1, 1).iloc[0]
    pores, wilted = land["soil_porosity"] * demo_data.DEPTHS, land["wilting"] * demo_data.DEPTHS
    out = run(200, 300.0, 10.0, infiltration_capacity=1e9, interflow_rate=0.0, beta=50.0)
    assert all((out[name] <= full + 1e-9).all() for name, full in zip(SOIL, pores, strict=True))
    assert out["soil_water_1"][-1, 0] > 0.9 * pores[0] and out["surface_runoff"][-1, 0] > 200
    out = run(1000, 0.0, 25.0, 60.0, 0.5)
    assert (out["soil_water_1"] >= wilted[0] - 1e-9).all()
    assert out["evapotranspiration"][-1, 0] < 0.02 * out["evapotranspiration"][0, 0]


def test_soil_moisture_within_bounds_and_slower_with_depth(ds):
    speed = []
    for name, depth in zip(SOIL, demo_data.DEPTHS, strict=True):
        moisture = ds[name] / depth
        assert (moisture >= ds.wilting - 1e-12).all() and (moisture <= ds.soil_porosity + 1e-12).all()
        speed.append(float((abs(moisture.diff("date")).mean("date") / moisture.std("date")).median()))
    assert speed == sorted(speed, reverse=True) and speed[3] < 0.1 * speed[0]


def test_streamflow_is_discharge_with_noise_and_gaps_of_its_seed(ds):
    missing = np.isnan(ds.streamflow.values)
    assert missing[0].any() and missing.any(axis=1).mean() > 0.5 and 0.002 < missing.mean() < 0.05
    ratio = np.log(ds.streamflow / ds.discharge).values[~missing & (ds.discharge.values > 0.1)]
    assert ratio.std() == pytest.approx(0.05, rel=0.02) and abs(ratio.mean()) < 0.001
    other = demo_data.synthetic_catchments(2, 1, 2)
    for name in ("prcp", "tmin", "streamflow", "elev_mean", "sand_frac"):
        assert not np.array_equal(ds[name][:2, :365] if ds[name].ndim == 2 else ds[name][:2], other[name]), name


def test_layout_and_that_it_is_said_to_be_synthetic(small, tmp_path):
    """The same files, whatever the number of catchments; the second one lies in another HUC's folder."""
    root, _ = small
    expected = {"README.txt", "demo.json"}
    expected |= {f"camels/camels_attributes_v2.0/camels_{n}.txt" for n in "clim geol soil topo vege".split()}
    expected |= {f"caravan/attributes/camels/attributes_{n}_camels.csv" for n in ("caravan", "other")}
    ids = ["96000001", "97000002", "98000003", "99000004", "96000005", "97000006"]
    for basin, huc in zip(ids, ["96", "96", "98", "99", "96", "97"], strict=True):
        expected |= {
            f"camels/basin_mean_forcing/daymet/{huc}/{basin}_lump_cida_forcing_leap.txt",
            f"camels/usgs_streamflow/{huc}/{basin}_streamflow_qc.txt",
            f"caravan/timeseries/csv/camels/camels_{basin}.csv",
        }
    assert {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()} == expected
    text = (root / "README.txt").read_text("utf-8")
    assert text.startswith("These data are SYNTHETIC.") and files.read_json(root / "demo.json")["synthetic"] is True
    assert text.endswith("python -m reading.demo_data --seed 5 --basins 6 --years 2\n")
    other = demo_data.make_demo(tmp_path / "other", basins=2, years=2, seed=5)
    paths = list(other.rglob("*9[67]00000[12]*"))
    assert len(paths) == 6
    assert all(path.read_bytes() == (root / path.relative_to(other)).read_bytes() for path in paths)


def test_forcing_and_streamflow_files(small):
    root, ds = small
    one = ds.sel(basin="97000002")  # whose folder bears another number
    path = root / "camels/basin_mean_forcing/daymet/96/97000002_lump_cida_forcing_leap.txt"
    lines = path.read_text("utf-8").splitlines()
    head = [float(one.gauge_lat), float(one.elev_mean), float(one.area_m2)]
    np.testing.assert_allclose([float(line) for line in lines[:3]], head, rtol=0, atol=0.005)
    assert lines[3] == "Year Mnth Day Hr dayl(s) prcp(mm/day) srad(W/m2) swe(mm) tmax(C) tmin(C) vp(Pa)"
    assert lines[4].startswith("2001 10 01 12\t") and lines[-1].startswith("2003 09 30 12\t")
    values = np.array([line.split() for line in lines[4:]], float)
    assert values.shape == (730, 11) and (values[:, 7] == 0).all()
    np.testing.assert_allclose(values[:, 4], one.dayl, rtol=0, atol=1e-9)
    forcing = hydrodata_tf.load_forcing(root, "97000002")
    for name in ("prcp", "tmin", "tmax", "srad", "vp"):
        np.testing.assert_allclose(forcing[name], one[name], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(hydrodata_tf.load_streamflow(root, "97000002"), one.streamflow, rtol=1e-5, atol=1e-6)

    rows = (root / "camels/usgs_streamflow/96/96000001_streamflow_qc.txt").read_text("utf-8").splitlines()
    rows = [row.split() for row in rows]
    assert len(rows) == 730 and rows[0][:4] == ["96000001", "2001", "10", "01"]
    missing = np.isnan(ds.sel(basin="96000001").streamflow.values)
    assert missing.any() and [row[4] == "-999.00" for row in rows] == missing.tolist()
    assert [row[5] == "M" for row in rows] == missing.tolist() and {row[5] for row in rows} <= {"M", "A", "A:e"}


def test_caravan_file(small):
    root, ds = small
    one = ds.sel(basin="98000003")
    table = pd.read_csv(root / "caravan/timeseries/csv/camels/camels_98000003.csv", index_col="date", parse_dates=True)
    assert table.index.equals(ds.indexes["date"]) and table.shape == (730, 13)
    same = {own: column for own, column in demo_data.CARAVAN.items() if own in ds}
    same = {column: one[own] for own, column in same.items()}
    assert list(same)[::7] == ["total_precipitation_sum", "streamflow"]
    for layer, depth in enumerate((70, 210, 720, 1890), start=1):
        same[f"volumetric_soil_water_layer_{layer}_mean"] = one[f"soil_water_{layer}"] / depth
    for column, values in same.items():
        np.testing.assert_allclose(table[column], values, rtol=0, atol=1e-4, err_msg=column)
    assert (table["surface_net_solar_radiation_mean"] / one["solar"].values).between(0.44, 0.83).all()  # albedo


def test_attribute_files(small):
    root, ds = small
    folder = root / "camels/camels_attributes_v2.0"
    read = {p.stem[7:]: pd.read_csv(p, sep=";", dtype={"gauge_id": str}, index_col=0) for p in folder.iterdir()}
    assert list(read["topo"]) == "gauge_lat gauge_lon elev_mean slope_mean area_gages2".split()
    every = pd.concat(read.values(), axis=1)
    assert set(every) == {*attributes.ATTRIBUTES, "gauge_lat", "gauge_lon"} and every.notna().all(axis=None)
    assert (every.nunique() == 6).sum() >= 25 and every.index.tolist() == sorted(ds.basin.values)
    np.testing.assert_allclose(every[["sand_frac", "silt_frac", "clay_frac"]].sum(axis=1), 100)
    np.testing.assert_allclose(every["max_water_content"], every["soil_porosity"] * every["soil_depth_statsgo"])
    table = hydrodata_tf.load_attributes(root, ds.basin.values.tolist())
    assert table.shape == (6, 27) and table.notna().all(axis=None)
    np.testing.assert_allclose(table["frac_forest"], ds["frac_forest"], rtol=1e-6)
    one = ds.sel(basin=every.index)
    np.testing.assert_allclose(every["p_mean"], one.prcp.mean("date"))
    np.testing.assert_allclose(every["frac_snow"], one.prcp.where(one.tmean < 0).sum("date") / one.prcp.sum("date"))

    folder = root / "caravan/attributes/camels"
    caravan, other = (pd.read_csv(folder / f"attributes_{n}_camels.csv", index_col=0) for n in ("caravan", "other"))
    assert caravan.index.tolist() == other.index.tolist() == [f"camels_{basin}" for basin in every.index]
    assert list(caravan) == [name for name in read["clim"] if name != "p_seasonality"]
    year = np.where(caravan.columns.str.endswith("_freq"), 365.25, 1)
    np.testing.assert_allclose(caravan, every[list(caravan)] / year)
    np.testing.assert_allclose(other, every[["gauge_lat", "gauge_lon", "area_gages2"]])


def test_a_folder_is_filled_if_empty_and_else_left_alone(small, tmp_path):
    root, _ = small
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert demo_data.make_demo(root, basins=6, years=2, seed=5) == root
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before
    thesis = tmp_path / "work" / "thesis.txt"
    thesis.parent.mkdir()
    thesis.write_text("years of work", "utf-8")
    for place in (thesis.parent, thesis):
        with pytest.raises(InputError, match="holds no demo of these settings; name a new folder"):
            demo_data.make_demo(place, 1, 1)
    assert thesis.read_text("utf-8") == "years of work"
    thesis.unlink()
    assert (demo_data.make_demo(thesis.parent, 1, 1) / "README.txt").exists()
    with pytest.raises(InputError, match="holds no demo of these settings; name a new folder"):
        demo_data.make_demo(thesis.parent, 2, 1, 6)


def test_failure_midway_leaves_nothing(tmp_path, monkeypatch):
    def fail(*_, **options):
        assert any(tmp_path.rglob("*_streamflow_qc.txt"))  # half of it is on the disk by now,
        assert not (tmp_path / "demo").exists()  # but not where a reader would look for it
        raise KeyboardInterrupt

    monkeypatch.setattr(demo_data, "write_csv", fail)
    with pytest.raises(KeyboardInterrupt):
        demo_data.make_demo(tmp_path / "demo", 1, 1)
    assert list(tmp_path.iterdir()) == []
