"""Scores and states that are written: the numbers, which days and basins they are of, and what is said about them."""

import contextlib
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import change, edit, file_of

import LSTM_output_Cn
import LSTM_test
import LSTM_train
from reading import prepared
from reading.concepts import is_snow, parse_concept
from running import runs, simulation
from writing.messages import InputError

PERIOD = ("2006-10-01", "2007-09-30")
MEAN = "mean of members"
RESULTS = "test_2006-10-01_2007-09-30"
BASINS = ("96000001", "97000002", "98000003", "99000004")
SOIL, SWE = "volumetric_soil_water_layer_1_mean", "snow_depth_water_equivalent_mean"
TRAIN_DAY, TEST_DAY = 853, 1949  # 2004-02-01 and 2007-02-01, in days from 2001-10-01


def table(path, *index):
    return pd.read_csv(path, dtype={"basin": str}).set_index(list(index)).sort_index()


@pytest.fixture(scope="module")
def tested(run_dir, tmp_path_factory):
    out = tmp_path_factory.mktemp("scores")
    with (out / "printed.txt").open("w") as printed, contextlib.redirect_stdout(printed):
        LSTM_test.main(LSTM_test.Settings(run_dir=str(run_dir), out_dir=str(out)))
    return out


@pytest.fixture(scope="module")
def dumped(run_dir, tmp_path_factory):
    out = tmp_path_factory.mktemp("states")
    for options in ({}, {"format": "netcdf", "gates": True}):
        LSTM_output_Cn.main(LSTM_output_Cn.Settings(run_dir=str(run_dir), out_dir=str(out), **options))
    return out


def test_scores_are_those_of_the_series_written(tested):
    series = xr.open_dataset(tested / "series.nc")
    assert (str(series.date.values[0])[:10], str(series.date.values[-1])[:10]) == PERIOD
    assert list(series.member.values) == ["seed 1", "seed 2"]
    assert series["streamflow_observed"].attrs["units"] == "mm/day"
    assert float(series["streamflow_simulated"].min()) >= 0
    scores = table(tested / "scores.csv", "target", "member", "basin")
    for target in ("streamflow", "soil1"):
        for basin in series.basin.values:
            o = series[f"{target}_observed"].sel(basin=basin).values.astype(float)
            simulated = series[f"{target}_simulated"].sel(basin=basin)
            known = np.isfinite(o)
            for member, values in (("seed 2", simulated.sel(member="seed 2")), (MEAN, simulated.mean("member"))):
                error = (o - values.values.astype(float))[known]
                nse = 1 - np.sum(error**2) / np.sum((o[known] - o[known].mean()) ** 2)
                assert scores.loc[(target, member, basin), "NSE"] == pytest.approx(nse, abs=1e-4)
    summary = table(tested / "summary.csv", "target", "member", "metric")
    expected = scores.loc[("streamflow", "seed 1"), "NSE"].median()
    assert summary.loc[("streamflow", "seed 1", "NSE"), "median"] == pytest.approx(expected)
    for figure in ("hydrographs.png", "nse_map.png"):
        assert (tested / figure).stat().st_size > 10_000


def test_snow_is_summarised_only_where_there_is_snow(tested, run_dir):
    snowy = int((pd.read_csv(run_dir / "basins.csv")["mean_swe"] > 5).sum())
    assert 0 < snowy < 4
    summary = table(tested / "summary.csv", "target", "member", "metric")
    assert summary.loc[("swe", "seed 1", "NSE"), "basins"] == snowy
    assert "FHV" not in summary.loc[("swe", "seed 1")].index
    notes = table(tested / "scores.csv", "target", "member", "basin")["note"]
    assert notes.loc["swe", "seed 1"].str.endswith("mean below 5 mm: not in the summary").sum() == 4 - snowy


@pytest.mark.parametrize("unit, factor", [("mm", 1), ("cm", 10), ("m of water", 1000), ("inch", 25.4), ("kg/m2", 1)])
def test_the_limit_for_snow_is_5_mm_in_every_unit(unit, factor):
    about = {"streamflow": {"units": "mm/day"}, "swe": {"units": unit, "snow": "name"}}
    data = prepared.Prepared(["a", "b"], [], list(about), about, None, None, [], np.array([]), np.array([]))
    means = pd.DataFrame({"mean_swe": np.array([4.9, 5.1]) / factor}, ["a", "b"])
    scored = simulation.scored_basins(means, data)
    assert scored["swe"].tolist() == [False, True] and scored["streamflow"].all()
    assert is_snow(about["swe"]) and not is_snow(about["streamflow"])
    assert not is_snow({"units": "%", "snow": "name"})
    assert parse_concept(f"swe=a/{{basin}}.csv:water[{unit}]").snow == "name"


def test_a_run_says_where_snow_counts_and_counts_the_days(tested):
    out = (tested / "printed.txt").read_text()
    assert "swe: 3 of 4 basins with a mean below 5 mm: not in the summary.\n" in out
    assert "soil1: " not in out and "soil1 1,460" in out
    assert "\n2006-10-01 to 2007-09-30: all forcing on 1,460 of 1,460 basin-days\n\n4 basins, 2006-10-01 to" in out


# Days and basins


def test_days_without_forcing_are_counted_and_none_is_an_error(copy, data, tmp_path, capsys):
    for path in (data / "camels/basin_mean_forcing").rglob("*_forcing_leap.txt"):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for i, line in enumerate(lines) if i < 4 or line[:7] < "2007 01"))
    here = {"run_dir": str(copy), "data_dir": str(data)}
    LSTM_test.main(LSTM_test.Settings(**here, metrics="NSE"))
    out = capsys.readouterr().out
    assert "2006-10-01 to 2007-09-30: all forcing on 368 of 1,460 basin-days\n" in out
    assert "soil1 368, swe 368" in out
    for form in ("csv", "page"):
        LSTM_output_Cn.main(LSTM_output_Cn.Settings(**here, format=form, out_dir=str(tmp_path / "out")))
        assert "2006-10-01 to 2007-09-30: all forcing on 368 of 1,460 basin-days\n" in capsys.readouterr().out
    for script in (LSTM_test, LSTM_output_Cn):
        with pytest.raises(InputError, match="No basin has all forcing on any day from 2007-03-01 to 2007-09-30"):
            script.main(script.Settings(**here, period=("2007-03-01", "2007-09-30")))
    assert not list(copy.glob("*2007-03-01*"))


def test_nothing_observed_is_not_scored_and_a_missing_spin_up_is_named(copy, data, capsys):
    for basin in BASINS:
        change(file_of(data, "streamflow", basin), 4, "-999", lambda n: n > 365)
        change(file_of(data, "concept", basin), SOIL, "", lambda n: n > 365)
        change(file_of(data, "concept", basin), SWE, "", lambda n: n > 365)
    chosen = {"run_dir": str(copy), "metrics": "NSE"}
    LSTM_test.main(LSTM_test.Settings(**chosen, data_dir=str(data), period=("2007-01-01", "2007-02-01")))
    said = "Nothing was observed on any day from 2007-01-01 to 2007-02-01, so nothing is scored."
    assert said in capsys.readouterr().out
    assert {path.name for path in next(copy.glob("test_2007-01-01*")).iterdir()} == {"series.nc", "test.json"}
    LSTM_test.main(LSTM_test.Settings(**chosen, period=("2002-01-01", "2002-12-31")))
    assert "; less than 365 days of spin-up before it in 4 basins: 96000001" in capsys.readouterr().out
    run, days = runs.load_run(copy), ("2002-01-01", "2002-12-31")
    (part,) = simulation.simulate(run.model(1), run.data(days), days)
    assert part["spinup_days"].values.tolist() == [92] * 4  # from 2001-10-01 on


def test_what_is_not_observed_is_simulated_to_the_last_bit(copy, demo, data, tmp_path, capsys):
    def states(folder, **options):
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        chosen = {"format": "netcdf", "data_dir": str(folder), "out_dir": str(tmp_path / "out")} | options
        LSTM_output_Cn.main(LSTM_output_Cn.Settings(run_dir=str(copy), **chosen))
        return xr.load_dataset(tmp_path / "out" / "Cn.nc") if chosen["format"] == "netcdf" else None

    whole = states(demo)
    capsys.readouterr()
    file_of(data, "streamflow", BASINS[1]).unlink()
    file_of(data, "concept", BASINS[2]).unlink()
    for basin in (BASINS[0], *BASINS[2:]):  # the forcing goes on for nine months
        path = file_of(data, "streamflow", basin)
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(line for line in lines if line.split()[1] < "2007"), encoding="utf-8")
    some = states(data)
    observed = "observed: streamflow in 3 of 4 basins, soil1 in 3, swe in 3"
    assert observed in capsys.readouterr().out.splitlines()
    for name in whole.data_vars:
        np.testing.assert_array_equal(some[name], whole[name], err_msg=name)
    LSTM_test.main(LSTM_test.Settings(run_dir=str(copy), data_dir=str(data), metrics="NSE"))
    lines = capsys.readouterr().out.splitlines()
    assert observed in lines and "Basin-days scored: streamflow 276, soil1 1,095, swe 1,095" in lines  # 3 x 92 days
    scores = table(copy / RESULTS / "scores.csv", "target", "member", "basin")
    for target, basin in (("streamflow", BASINS[1]), ("soil1", BASINS[2])):
        one = scores.loc[(target, "seed 1", basin)]
        assert np.isnan(one["NSE"]) and one["note"] == "no NSE: no day has both an observation and a simulation"

    for basin in BASINS:
        file_of(data, "concept", basin).unlink() if basin != BASINS[2] else None
    LSTM_test.main(LSTM_test.Settings(run_dir=str(copy), data_dir=str(data), metrics="NSE"))
    shown = capsys.readouterr().out.splitlines()
    assert "Basin-days scored: streamflow 276, soil1 0, swe 0" in shown
    assert {line.split()[0] for line in shown if "seed 1" in line} == {"streamflow"}
    for basin in BASINS:
        file_of(data, "streamflow", basin).unlink() if basin != BASINS[1] else None
    none = states(data)
    for name in whole.data_vars:
        np.testing.assert_array_equal(none[name], whole[name], err_msg=name)
    for form in ("page", "csv"):
        states(data, format=form, basins=BASINS[1:3])
    frame = pd.read_csv(tmp_path / "out" / f"Cn_{BASINS[1]}.csv")
    np.testing.assert_allclose(frame["swe read (mm)"], whole["swe"].sel(basin=BASINS[1]), rtol=1e-5, atol=1e-5)
    assert "observed: streamflow in 0 of 4 basins, soil1 in 0, swe in 0" in capsys.readouterr().out.splitlines()
    LSTM_test.main(LSTM_test.Settings(run_dir=str(copy), data_dir=str(data), out_dir=str(tmp_path / "unobserved")))
    assert "from 2006-10-01 to 2007-09-30, so nothing is scored" in capsys.readouterr().out
    with xr.open_dataset(tmp_path / "unobserved" / "series.nc") as series:
        for name in ("streamflow", "soil1", "swe"):
            np.testing.assert_allclose(
                series[f"{name}_simulated"].sel(member="seed 1"), whole[name], rtol=1e-4, atol=1e-5
            )


def test_what_a_run_on_synthetic_catchments_gives_stays_synthetic(copy, data):
    next(data.rglob("demo.json")).unlink()
    LSTM_test.main(LSTM_test.Settings(run_dir=str(copy), data_dir=str(data), basins=BASINS[1], metrics="NSE"))
    with xr.open_dataset(next(copy.glob("test_*/series.nc"))) as series:
        assert series.attrs["comment"] == "synthetic catchments, not observations"


def test_poor_data_train_to_finite_numbers_and_scores_say_why_they_are_missing(settings, data, tmp_path, capsys):
    few, dry, still, without = BASINS
    for field, value in ((4, "-999"), (5, "M")):
        change(file_of(data, "streamflow", few), field, value, lambda n: n not in (TRAIN_DAY, TEST_DAY))
    for basin, flow in ((dry, "0.00"), (still, "25.00")):
        change(file_of(data, "streamflow", basin), 4, flow)
        change(file_of(data, "streamflow", basin), 5, "A")
    change(file_of(data, "concept", without), SOIL, "")
    change(file_of(data, "concept", dry), SWE, "NaN", lambda n: n % 3 == 0)
    change(file_of(data, "forcing", without), 5, "-999", lambda n: n % 50 == 0)
    change(file_of(data, "forcing", still), 6, "NaN", lambda n: n % 70 == 0)
    LSTM_train.main(settings(tmp_path / "run", data_dir=str(data), seed=(1,), epochs=2))
    report = capsys.readouterr().out.splitlines()
    assert "observed: streamflow in 4 of 4 basins, soil1 in 3, swe in 4" in report
    rows = [line.split() for line in report]
    assert ["prcp", "44", "1"] in rows and ["srad", "32", "1"] in rows and ["streamflow", "2,189", "1"] in rows, report
    history = pd.read_csv(tmp_path / "run" / "seed_1" / "history.csv")
    assert np.isfinite(history.drop(columns=["val_NSE_streamflow"])).all(axis=None)

    LSTM_test.main(LSTM_test.Settings(run_dir=str(tmp_path / "run")))
    series = xr.load_dataset(tmp_path / "run" / RESULTS / "series.nc")
    for name in ("streamflow", "soil1", "swe"):
        assert np.isfinite(series[f"{name}_simulated"].sel(basin=[few, dry])).all()
    scores = table(tmp_path / "run" / RESULTS / "scores.csv", "target", "basin")
    notes = scores["note"].fillna("")
    assert np.isnan(scores.loc[("streamflow", dry), "NSE"]) and np.isnan(scores.loc[("streamflow", still), "KGE"])
    for basin, metrics in ((dry, "NSE, KGE"), (still, "NSE, KGE, r, alpha-NSE, beta-NSE, FLV"), (few, "NSE, KGE")):
        assert notes["streamflow", basin].startswith(f"no {metrics}")
    assert "FHV" in notes["streamflow", dry] and "FHV" in notes["streamflow", few]
    assert np.isfinite(scores.loc[("streamflow", few), "RMSE"])
    wanted = ["NSE", "KGE", "r", "alpha-NSE", "beta-NSE", "RMSE"]
    assert notes["soil1", without] == f"no {', '.join(wanted)}: no day has both an observation and a simulation"
    for name, more in (("streamflow", ["FHV", "FLV"]), ("soil1", [])):  # a score is missing where there is a reason
        missing = scores.loc[name, wanted + more].isna().any(axis=1)
        assert (missing == (notes[name] != "")).all(), scores.loc[name]
    summary = table(tmp_path / "run" / RESULTS / "summary.csv", "target", "metric")
    assert summary.loc[("streamflow", "NSE"), "basins"] == 1 and summary.loc[("soil1", "NSE"), "basins"] == 3


# Cell states


def test_dumped_states_are_dated_the_right_basins_and_what_was_scored(dumped, tested, run_dir):
    names = sorted(path.name for path in dumped.glob("Cn_*.csv"))
    assert names == [f"Cn_{basin}.csv" for basin in BASINS]
    series = xr.open_dataset(tested / "series.nc")
    columns = [f"cn_{k}" for k in range(1, 7)] + ["streamflow simulated (mm/day)", "soil1 read (mm)", "swe read (mm)"]
    states = [pd.read_csv(dumped / name, index_col="date", parse_dates=True) for name in names]
    for basin, frame in zip(BASINS, states, strict=True):
        assert list(frame.columns) == columns and (frame.index == series.date.to_index()).all()
        for name, column in zip(("streamflow", "soil1", "swe"), columns[6:], strict=True):
            scored = series[f"{name}_simulated"].sel(basin=basin, member="seed 1")
            np.testing.assert_allclose(frame[column], scored, rtol=1e-4, atol=1e-4)
    assert np.abs(states[0].iloc[:, :6].to_numpy() - states[1].iloc[:, :6].to_numpy()).max() > 0.01
    probe, bias = runs.load_run(run_dir).model(1).probe.get_weights()
    mean, std = runs.load_run(run_dir).normalisation["targets"]["soil1"]
    read = (states[0].iloc[:, :6].to_numpy() @ probe[:, 0] + bias[0]) * std + mean
    np.testing.assert_allclose(states[0]["soil1 read (mm)"], read, rtol=1e-4, atol=1e-4)


def test_netcdf_holds_the_same_states_and_their_gates(dumped):
    states = xr.open_dataset(dumped / "Cn.nc")
    assert dict(states.sizes) == {"basin": 4, "date": 365, "cell_state": 6}
    frame = pd.read_csv(dumped / f"Cn_{BASINS[2]}.csv", index_col="date", parse_dates=True)
    one = states.sel(basin=BASINS[2])
    np.testing.assert_allclose(one["c"], frame.iloc[:, :6], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(one["swe"], frame["swe read (mm)"], rtol=1e-5, atol=1e-5)
    c, gated = one["c"].values, one["i"].values[1:] * one["g"].values[1:]
    np.testing.assert_allclose(c[1:], one["f"].values[1:] * c[:-1] + gated, atol=1e-5)
    np.testing.assert_allclose(one["h"], one["o"] * np.tanh(one["c"]), atol=1e-5)
    assert "synthetic" in states.attrs["comment"] and states.attrs["git_commit"]
    assert len(list(dumped.glob("states_*.png"))) == 1


@pytest.mark.parametrize(
    "script, options, words",
    [
        (LSTM_test, {"metrics": "NSEE"}, ", not NSEE."),
        (LSTM_test, {"period": ("1950-01-01", "1950-12-31")}, "1950-01-01"),
        (LSTM_test, {"metrics": ()}, "--metrics: choose from NSE, "),
        (LSTM_output_Cn, {"seed": 7}, "has no member of seed 7: choose from 1, 2"),
        (LSTM_output_Cn, {"gates": True}, "--format netcdf"),
        (LSTM_output_Cn, {"format": "xlsx"}, "format must be one of csv, netcdf, page, not 'xlsx'"),
        (LSTM_output_Cn, {"data_dir": "nowhere"}, str(Path("nowhere").resolve())),
    ],
)
def test_options_that_cannot_be_used(run_dir, script, options, words):
    before = sorted(run_dir.rglob("*"))
    with pytest.raises(InputError) as problem:
        script.main(script.Settings(run_dir=str(run_dir), **options))
    assert words in str(problem.value) and sorted(run_dir.rglob("*")) == before


def test_a_run_of_another_data_folder_is_scored_there(copy, demo):
    edit(copy / "settings.json", "settings.data_dir", "gone")
    with pytest.raises(InputError, match="gone.*--data-dir"):
        LSTM_test.main(LSTM_test.Settings(run_dir=str(copy)))
    run = runs.load_run(copy)
    assert run.data(PERIOD, data_dir=demo).basins == list(BASINS)
