"""The synthetic catchments: closed water balance, known physics, exact layouts, nothing half-written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import demo_data

SCRIPT = Path(demo_data.__file__)
SOIL = [f"soil_water_{layer}" for layer in range(1, 5)]


@pytest.fixture(scope="module")
def ds():
    return demo_data.simulate()


@pytest.fixture(scope="module")
def tables(ds):
    return demo_data.attributes(ds)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Folder and simulation of 6 catchments x 2 years."""
    root = tmp_path_factory.mktemp("made") / "demo"
    return demo_data.make_demo(root, basins=6, years=2, seed=5), demo_data.simulate(6, 2, 5)


def change(stores):
    return np.diff(stores, axis=1)


def one_basin(**changed):
    land = demo_data.catchments(1, 1)
    return land.assign(**changed)


def constant(value, days):
    return np.full((days, 1), float(value))


# Physics


def test_default_size(ds):
    assert ds.sizes == {"basin": 30, "date": 4383}
    assert str(ds.date.values[0])[:10] == "2001-10-01" and str(ds.date.values[-1])[:10] == "2013-09-30"


def test_water_balance_closes_for_each_basin_and_day(ds):
    now = sum(ds[store] for store in demo_data.STORES)
    rest = ds.prcp - ds.evapotranspiration - ds.discharge - (now - ds.storage_before)
    assert abs(rest).max() < 1e-10  # mm, with some 1000 mm stored
    np.testing.assert_array_equal(ds.storage_before[:, 1:], _total(ds)[:, :-1])


def _total(ds):
    return ds["swe"].values + sum(ds[name].values for name in SOIL) + ds["routing"].values


def test_each_store_balances(ds):
    close = dict(rtol=0, atol=1e-10)
    np.testing.assert_allclose(ds.rain + ds.snowfall, ds.prcp, **close)
    np.testing.assert_allclose(change(ds.swe), (ds.snowfall - ds.melt)[:, 1:], **close)
    np.testing.assert_allclose(ds.infiltration + ds.surface_runoff, ds.rain + ds.melt, **close)
    soil = sum(ds[name].values for name in SOIL)
    gain = ds.infiltration - ds.evapotranspiration - ds.interflow - ds.baseflow
    np.testing.assert_allclose(change(soil), gain[:, 1:], **close)
    inflow = ds.surface_runoff + ds.interflow + ds.baseflow
    np.testing.assert_allclose(change(ds.routing), (inflow - ds.discharge)[:, 1:], **close)


def test_fluxes_and_stores_are_never_negative(ds):
    fluxes = ("rain", "snowfall", "melt", "infiltration", "surface_runoff", "interflow", "baseflow", "discharge")
    for name in (*fluxes, "evapotranspiration", *demo_data.STORES):
        assert ds[name].min() >= 0, name


def test_snow_falls_only_where_it_is_cold(ds):
    assert (ds.snowfall.values[ds.tmean.values >= 2] == 0).all()
    cold = ds.tmean.values <= 0
    np.testing.assert_array_equal(ds.snowfall.values[cold], ds.prcp.values[cold])
    snow = ds.swe.mean("date")
    assert (snow[ds.climate == "warm and wet"] < 0.1).all()
    assert (snow[ds.climate == "snow-dominated"] > 20).all()


def test_degree_days_melt_what_fell():
    """Ten days of 3 mm at -5 degrees make 30 mm of snow; at +2 degrees 4 mm/degree/day take 8 mm a day."""
    tmean = np.concatenate([constant(-5, 10), constant(2, 5)])
    prcp = np.concatenate([constant(3, 10), constant(0, 5)])
    out = demo_data.water(one_basin(degree_day=4.0), prcp, tmean, 0 * prcp, 0 * prcp)
    np.testing.assert_allclose(out["swe"][:, 0], [3, 6, 9, 12, 15, 18, 21, 24, 27, 30, 22, 14, 6, 0, 0], atol=1e-12)
    np.testing.assert_allclose(out["melt"][10:, 0], [8, 8, 8, 6, 0], atol=1e-12)


def test_routing_store_is_linear():
    """One store with a residence time of k days passes on the share 1 - exp(-1/k) of what it holds."""
    out = demo_data.water(one_basin(residence=2.0), constant(20, 30), *[constant(v, 30) for v in (10, 1, 0.5)])
    np.testing.assert_allclose(out["discharge"] / (out["discharge"] + out["routing"]), 1 - np.exp(-0.5), rtol=1e-12)


def test_flooded_soil_stays_within_its_pores():
    """300 mm/day fill every layer to the porosity; what does not fit runs off."""
    land = one_basin(infiltration_capacity=1e9, interflow_rate=0.0, beta=50.0)
    out = demo_data.water(land, *[constant(v, 200) for v in (300, 10, 0, 0)])
    for layer, depth in enumerate((70, 210, 720, 1890), start=1):
        assert (out[f"soil_water_{layer}"] <= land.porosity.iloc[0] * depth + 1e-9).all()
    assert out["soil_water_1"][-1, 0] > 0.9 * land.porosity.iloc[0] * 70
    assert out["surface_runoff"][-1, 0] > 200


def test_drought_ends_at_the_wilting_point():
    land = one_basin()
    out = demo_data.water(land, *[constant(v, 1000) for v in (0, 25, 60, 0.5)])  # an air that would take 60 mm a day
    assert (out["soil_water_1"] >= land.wilting.iloc[0] * 70 - 1e-9).all()
    assert out["evapotranspiration"][-1, 0] < 0.02 * out["evapotranspiration"][0, 0]


def test_soil_moisture_within_bounds_and_slower_with_depth(ds):
    speed = []
    for name, depth in zip(SOIL, demo_data.DEPTHS, strict=True):
        moisture = ds[name] / depth
        assert (moisture >= ds.wilting - 1e-12).all() and (moisture <= ds.porosity + 1e-12).all()
        assert (moisture.std("date") > 0.003).all()
        speed.append(float((abs(moisture.diff("date")).mean("date") / moisture.std("date")).median()))
    assert speed == sorted(speed, reverse=True)
    assert speed[3] < 0.1 * speed[0]


def test_weather_is_possible(ds):
    assert (ds.tmin < ds.tmax).all() and (ds.prcp >= 0).all()
    assert (ds.vp <= 610.8 * np.exp(17.27 * ds.tmin / (ds.tmin + 237.3)) + 0.01).all()
    # Astronomy by another formula (Spencer's declination): day length within 12 minutes.
    angle = 2 * np.pi * (ds.date.dt.dayofyear - 1) / 365.25
    tilt = 0.006918 - 0.399912 * np.cos(angle) + 0.070257 * np.sin(angle) - 0.006758 * np.cos(2 * angle)
    tilt += 0.000907 * np.sin(2 * angle)
    dayl = np.arccos(-np.tan(np.radians(ds.lat)) * np.tan(tilt)) / np.pi * 86400
    assert abs(dayl - ds.dayl).max() < 720  # FAO-56's own declination is that rough
    share = ds.srad * ds.dayl / 86400 / (1361 / np.pi * (dayl * np.pi / 86400))  # below a sun that stands overhead
    assert 0.02 < share.min() and share.max() < 0.85
    # FAO-56 table 2.3: 3.168 kPa at 25 degrees.
    assert demo_data._saturation(np.array(25.0)) == pytest.approx(3168, abs=1)


def test_climates_differ_as_named(ds, tables):
    by_climate = tables["clim"].join(tables["hydro"]).groupby(ds.climate.values).median(numeric_only=True)
    order = ["warm and wet", "temperate", "semi-arid"]
    assert by_climate.loc[order, "aridity"].is_monotonic_increasing
    assert by_climate.loc[order, "runoff_ratio"].is_monotonic_decreasing
    assert by_climate.loc["semi-arid", "aridity"] > 2 > 1 > by_climate.loc["warm and wet", "aridity"]
    assert by_climate.loc["snow-dominated", "frac_snow"] > 0.4 and by_climate.loc["warm and wet", "frac_snow"] < 0.01


# Streamflow


def test_streamflow_is_discharge_with_noise_and_gaps(ds):
    missing = np.isnan(ds.streamflow.values)
    assert missing[0].any() and missing.any(axis=1).mean() > 0.5
    assert 0.002 < missing.mean() < 0.05
    ratio = np.log(ds.streamflow / ds.discharge).values[~missing & (ds.discharge.values > 0.1)]
    assert ratio.std() == pytest.approx(0.05, rel=0.02) and abs(ratio.mean()) < 0.001


# Seeds


def test_same_seed_same_numbers():
    assert demo_data.simulate(4, 1).identical(demo_data.simulate(4, 1))
    one, two = demo_data.simulate(2, 1, 1), demo_data.simulate(2, 1, 2)
    for name in ("prcp", "tmin", "streamflow", "elev", "sand"):
        assert not np.array_equal(one[name], two[name]), name


def test_a_catchment_does_not_depend_on_how_many_there_are():
    assert demo_data.simulate(2, 1).identical(demo_data.simulate(6, 1).isel(basin=slice(2)))


def test_a_longer_simulation_begins_like_a_shorter_one(ds):
    short = demo_data.simulate(30, 1)
    np.testing.assert_array_equal(short.discharge, ds.discharge[:, : short.sizes["date"]])


@pytest.mark.parametrize("wrong", [dict(basins=0), dict(basins=10000), dict(years=0), dict(seed=-1)])
def test_numbers_out_of_range_are_named(wrong):
    name, value = next(iter(wrong.items()))
    with pytest.raises(ValueError, match=f"{name} must be .* received {value}"):
        demo_data.simulate(**wrong)


# Attributes


def test_attributes_matter_for_runoff(tables):
    every = tables["clim"].join([tables["hydro"], tables["soil"], tables["vege"], tables["topo"], tables["geol"]])
    rank = every.select_dtypes("number").rank().corr()
    assert rank.loc["runoff_ratio", "aridity"] < -0.7
    assert rank.loc["baseflow_index", "soil_conductivity"] > 0.5
    assert rank.loc["frac_snow", "elev_mean"] > 0.5


@pytest.mark.parametrize(
    ("parameter", "factor", "flux", "sign"),
    [
        ("crop_factor", 1.2, "evapotranspiration", 1),
        ("crop_factor", 1.2, "discharge", -1),
        ("beta", 1.5, "surface_runoff", -1),
        ("interflow_rate", 2.0, "interflow", 1),
        ("degree_day", 1.5, "swe", -1),
        ("depth_soil", 0.5, "evapotranspiration", -1),
        ("residence", 3.0, "routing", 1),
    ],
)
def test_each_parameter_acts_as_its_name_says(ds, parameter, factor, flux, sign):
    """The third catchment, snow-dominated, with one parameter changed and the same weather of two years."""
    land = demo_data.catchments(3, 1).iloc[2:]
    inputs = [ds[name].values[2:3, :731].T for name in ("prcp", "tmean", "pet", "cover")]
    both = pd.concat([land, land.assign(**{parameter: land[parameter] * factor})])
    usual, other = demo_data.water(both, *[np.repeat(values, 2, axis=1) for values in inputs])[flux].mean(axis=0)
    assert sign * (other - usual) > 0.005 * usual


def test_climate_attributes_by_hand():
    """Two years; in each 5 days of 20 mm in January at -2 degrees, the other days 1 mm at +10."""
    dates = pd.date_range("2001-01-01", "2002-12-31")
    storm = dates.day_of_year.isin([3, 4, 10, 11, 12])
    prcp, tmean = np.where(storm, 20.0, 1.0), np.where(storm, -2.0, 10.0)
    prcp[dates.day_of_year == 200] = 0.0
    got = demo_data.climate(prcp, tmean, np.full(730, 2.5), dates)
    assert got["p_mean"] == pytest.approx((5 * 20 + 359) / 365)
    assert got["aridity"] == pytest.approx(2.5 * 365 / 459)
    assert got["frac_snow"] == pytest.approx(100 / 459)
    assert got["high_prec_freq"] == pytest.approx(5 / 365 * 365.25) and got["high_prec_dur"] == 2.5
    assert got["low_prec_freq"] == pytest.approx(365.25 / 365) and got["low_prec_dur"] == 1
    assert (got["high_prec_timing"], got["low_prec_timing"]) == ("djf", "jja")


def test_precipitation_seasonality_of_a_pure_wave():
    """Rain that swings by half its mean, 60 degrees of the year apart from temperature: 0.5 cos 60 = 0.25."""
    dates = pd.date_range("2001-01-01", "2012-12-31")
    phase = 2 * np.pi * dates.day_of_year.to_numpy() / 365.25
    got = demo_data.climate(2 + np.cos(phase - np.pi / 3), 8 + 10 * np.cos(phase), np.ones(len(dates)), dates)
    assert got["p_seasonality"] == pytest.approx(0.25, abs=1e-3)


# Files


def test_layout(small):
    root, _ = small
    ids = ["96000001", "97000002", "98000003", "99000004", "96000005", "97000006"]
    folders = ["96", "96", "98", "99", "96", "97"]  # the second catchment lies in another HUC's folder
    expected = {"README.txt", "demo.json"}
    expected |= {f"camels/camels_attributes_v2.0/camels_{n}.txt" for n in "clim geol hydro name soil topo vege".split()}
    expected |= {f"caravan/attributes/camels/attributes_{n}_camels.csv" for n in ("caravan", "other")}
    for basin, huc in zip(ids, folders, strict=True):
        expected |= {
            f"camels/basin_mean_forcing/daymet/{huc}/{basin}_lump_cida_forcing_leap.txt",
            f"camels/usgs_streamflow/{huc}/{basin}_streamflow_qc.txt",
            f"caravan/timeseries/csv/camels/camels_{basin}.csv",
        }
    assert {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()} == expected


def test_every_output_says_synthetic(small):
    root, ds = small
    assert "SYNTHETIC" in (root / "README.txt").read_text("utf-8") and "seed 5" in (root / "README.txt").read_text(
        "utf-8"
    )
    assert json.loads((root / "demo.json").read_text("utf-8"))["synthetic"] is True
    assert ds.attrs["title"] == "Synthetic catchments"
    names = pd.read_csv(root / "camels/camels_attributes_v2.0/camels_name.txt", sep=";")["gauge_name"]
    others = pd.read_csv(root / "caravan/attributes/camels/attributes_other_camels.csv")["gauge_name"]
    assert names.str.startswith("synthetic").all() and others.str.startswith("synthetic").all()


def test_forcing_file(small):
    root, ds = small
    path = root / "camels/basin_mean_forcing/daymet/96/97000002_lump_cida_forcing_leap.txt"
    lines = path.read_text("utf-8").splitlines()
    one = ds.sel(basin="97000002")
    assert float(lines[0]) == pytest.approx(float(one.lat), abs=0.005)
    assert float(lines[1]) == pytest.approx(float(one.elev), abs=0.005)
    assert lines[2] == str(int(one.area_m2))
    assert lines[3] == "Year Mnth Day Hr dayl(s) prcp(mm/day) srad(W/m2) swe(mm) tmax(C) tmin(C) vp(Pa)"
    assert lines[4].split()[:4] == ["2001", "10", "01", "12"] and "\t" in lines[4]
    values = np.array([line.split() for line in lines[4:]], float)
    assert values.shape == (730, 11) and (values[:, 7] == 0).all()
    for column, name in ((4, "dayl"), (5, "prcp"), (6, "srad"), (8, "tmax"), (9, "tmin"), (10, "vp")):
        np.testing.assert_allclose(values[:, column], one[name], rtol=0, atol=1e-9, err_msg=name)


def test_streamflow_file(small):
    root, ds = small
    one = ds.sel(basin="96000001")
    lines = (root / "camels/usgs_streamflow/96/96000001_streamflow_qc.txt").read_text("utf-8").splitlines()
    rows = [line.split() for line in lines]
    assert len(rows) == 730 and rows[0][:4] == ["96000001", "2001", "10", "01"]
    missing = np.isnan(one.streamflow.values)
    assert missing.any()
    assert [row[4] for row, gone in zip(rows, missing, strict=True) if gone] == ["-999.00"] * missing.sum()
    assert [row[5] == "M" for row in rows] == missing.tolist() and {row[5] for row in rows} <= {"M", "A", "A:e"}
    flow = np.array([float(row[4]) for row in rows]) * 28316846.592 * 86400 / (float(one.area_m2) * 1e6)
    np.testing.assert_allclose(flow[~missing], one.streamflow.values[~missing], rtol=1e-6, atol=1e-6)


def test_caravan_file(small):
    root, ds = small
    one = ds.sel(basin="98000003")
    table = pd.read_csv(root / "caravan/timeseries/csv/camels/camels_98000003.csv", index_col="date", parse_dates=True)
    assert table.index.equals(ds.indexes["date"].rename("date")) and table.shape == (730, 13)
    for layer, depth in enumerate((70, 210, 720, 1890), start=1):
        water = table[f"volumetric_soil_water_layer_{layer}_mean"] * depth
        np.testing.assert_allclose(water, one[f"soil_water_{layer}"], rtol=0, atol=0.001)
    same = {
        "total_precipitation_sum": "prcp", "temperature_2m_mean": "tmean", "temperature_2m_min": "tmin",
        "temperature_2m_max": "tmax", "surface_pressure_mean": "pressure", "potential_evaporation_sum": "pet",
        "snow_depth_water_equivalent_mean": "swe", "streamflow": "streamflow",
    }  # fmt: skip
    for column, name in same.items():
        np.testing.assert_allclose(table[column], one[name], rtol=0, atol=1e-4, err_msg=column)
    reflected = table["surface_net_solar_radiation_mean"] / one["solar"].values
    assert reflected.between(0.44, 0.83).all()


def test_attribute_files(small, tables):
    root, ds = small
    folder = root / "camels/camels_attributes_v2.0"
    read = {p.stem[7:]: pd.read_csv(p, sep=";", dtype={"gauge_id": str}, index_col=0) for p in folder.iterdir()}
    assert (
        list(read["clim"])
        == (
            "p_mean pet_mean p_seasonality frac_snow aridity high_prec_freq high_prec_dur high_prec_timing "
            "low_prec_freq low_prec_dur low_prec_timing"
        ).split()
    )
    assert (
        list(read["soil"])
        == (
            "soil_depth_pelletier soil_depth_statsgo soil_porosity soil_conductivity max_water_content sand_frac "
            "silt_frac clay_frac water_frac organic_frac other_frac"
        ).split()
    )
    assert list(read["topo"]) == "gauge_lat gauge_lon elev_mean slope_mean area_gages2 area_geospa_fabric".split()
    every = read["topo"].join([read["clim"], read["vege"], read["soil"], read["geol"]])
    wanted = (
        "elev_mean slope_mean area_gages2 p_mean pet_mean aridity p_seasonality frac_snow high_prec_freq high_prec_dur "
        "low_prec_freq low_prec_dur frac_forest lai_max lai_diff gvf_max gvf_diff soil_depth_pelletier "
        "soil_depth_statsgo soil_porosity soil_conductivity max_water_content sand_frac silt_frac clay_frac "
        "organic_frac geol_permeability"
    ).split()
    assert every[wanted].notna().all(axis=None) and (every[wanted].nunique() == 6).sum() >= 25
    assert sorted(every.index) == sorted(ds.basin.values)
    np.testing.assert_allclose(read["soil"][["sand_frac", "silt_frac", "clay_frac"]].sum(axis=1), 100)
    caravan = pd.read_csv(root / "caravan/attributes/camels/attributes_caravan_camels.csv", index_col=0)
    assert caravan.index.tolist() == [f"camels_{basin}" for basin in sorted(ds.basin.values)]
    assert caravan["moisture_index"].between(-1, 1).all() and caravan.notna().all(axis=None)
    np.testing.assert_allclose(caravan["p_mean"], read["clim"]["p_mean"])
    # Real numbers of rows and columns of the other tables, so that a reader of CAMELS finds what it looks for.
    assert {name: frame.shape for name, frame in read.items() if name in ("geol", "hydro", "name", "vege")} == {
        "geol": (6, 7), "hydro": (6, 13), "name": (6, 2), "vege": (6, 9),
    }  # fmt: skip


def test_same_files_however_many_catchments(small, tmp_path):
    root, _ = small
    other = demo_data.make_demo(tmp_path / "other", basins=2, years=2, seed=5)
    paths = [path for path in other.rglob("*9[67]00000[12]*")]
    assert len(paths) == 6
    for path in paths:
        assert path.read_bytes() == (root / path.relative_to(other)).read_bytes()


def test_readers_read_what_was_simulated(small):
    hydrodata_tf = pytest.importorskip("hydrodata_tf")
    root, ds = small
    for basin in ("97000002", "99000004"):
        one = ds.sel(basin=basin)
        forcing = hydrodata_tf.load_forcing(root, basin)
        for name in ("prcp", "tmin", "tmax", "srad", "vp"):
            np.testing.assert_allclose(forcing[name], one[name], rtol=1e-6, atol=1e-6)
        flow = hydrodata_tf.load_streamflow(root, basin)
        np.testing.assert_allclose(flow, one["streamflow"], rtol=1e-5, atol=1e-6)
        concept = hydrodata_tf.parse_concept(
            "soil_1=caravan/timeseries/csv/camels/camels_{basin}.csv:volumetric_soil_water_layer_1_mean*70[mm]"
        )
        series = hydrodata_tf.load_concept(concept, basin, root)
        np.testing.assert_allclose(series, one["soil_water_1"], rtol=0, atol=1e-3)
        table = hydrodata_tf.load_caravan(root / "caravan", f"camels_{basin}")
        np.testing.assert_allclose(table["snow_depth_water_equivalent_mean"], one["swe"], rtol=1e-5, atol=1e-3)
    attributes = hydrodata_tf.load_attributes(root, ds.basin.values.tolist())
    assert attributes.shape == (6, 27) and attributes.notna().all(axis=None)
    np.testing.assert_allclose(attributes["frac_forest"], ds["forest"], rtol=1e-6)


# Nothing half-written


def test_a_second_call_writes_nothing(small):
    root, _ = small
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    assert demo_data.make_demo(root, basins=6, years=2, seed=5) == root
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == before


def test_other_settings_are_refused(small):
    root, _ = small
    with pytest.raises(ValueError, match="other settings"):
        demo_data.make_demo(root, basins=6, years=2, seed=6)


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work", "utf-8")
    for content in (None, "not json", "[]", "{}", "null"):
        if content is not None:
            (tmp_path / "demo.json").write_text(content, "utf-8")
        with pytest.raises(ValueError, match="not a demo folder"):
            demo_data.make_demo(tmp_path, 1, 1)
    assert (tmp_path / "thesis.txt").read_text("utf-8") == "years of work"
    with pytest.raises(ValueError, match="not a demo folder"):
        demo_data.make_demo(tmp_path / "thesis.txt", 1, 1)


def test_lost_files_are_noticed(tmp_path):
    root = demo_data.make_demo(tmp_path / "demo", 1, 1)
    next(root.rglob("*_streamflow_qc.txt")).unlink()
    with pytest.raises(ValueError, match="lost some of its 14 files"):
        demo_data.make_demo(root, 1, 1)


def test_an_empty_folder_is_filled(tmp_path):
    assert (demo_data.make_demo(tmp_path, 1, 1) / "README.txt").exists()


@pytest.mark.parametrize("error", [OSError("No space left on device"), KeyboardInterrupt()])
def test_failure_midway_leaves_nothing(tmp_path, monkeypatch, error):
    def fail(*_):
        assert any(tmp_path.rglob("*_streamflow_qc.txt"))  # half of it is on the disk by now,
        assert not (tmp_path / "demo").exists()  # but not where a reader would look for it
        raise error

    monkeypatch.setattr(demo_data, "_write_attributes", fail)
    with pytest.raises(type(error)):
        demo_data.make_demo(tmp_path / "demo", 1, 1)
    assert list(tmp_path.iterdir()) == []


def test_what_the_disk_refuses_is_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("x", "utf-8")
    options = ["--root", str(tmp_path / "file" / "demo"), "--basins", "1", "--years", "1"]
    monkeypatch.setattr(sys, "argv", ["demo_data.py", *options])
    with pytest.raises(SystemExit) as stop:
        demo_data.main()
    printed = capsys.readouterr()
    assert stop.value.code == 2 and printed.out == ""
    assert str(tmp_path / "file") in printed.err and printed.err.count("\n") == 1


def test_command_line(tmp_path):
    def command(*options):
        return subprocess.run(
            [sys.executable, SCRIPT, "--basins", "2", "--years", "1", *options],
            cwd=tmp_path, capture_output=True, encoding="utf-8", env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        )  # fmt: skip

    done = command()
    assert done.returncode == 0 and "Synthetic" in done.stdout and done.stderr == ""
    assert (tmp_path / "demo" / "camels" / "basin_mean_forcing").is_dir()
    refused = command("--seed", "2")
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1 and "other settings" in refused.stderr
