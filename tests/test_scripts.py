"""The scripts from end to end on a small synthetic demo: what they write, that it is right, and what bad input gets."""

import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydrodata_tf as hydrodata
import LSTM_output_Cn
import LSTM_test
import LSTM_train
from reading import windows
from running import parallel, runs
from writing.files import InputError, cli, write_json

ROOT = Path(__file__).resolve().parent.parent
TEST_PERIOD = ("2006-10-01", "2007-09-30")


def weights(run_dir, seed=1):
    return runs.load_run(run_dir).model(seed).get_weights()


@pytest.fixture(scope="module")
def tested(run_dir):
    LSTM_test.main(LSTM_test.Settings(run_dir=str(run_dir)))
    return run_dir / "test_2006-10-01_2007-09-30"


@pytest.fixture(scope="module")
def dumped(run_dir, tmp_path_factory):
    out = tmp_path_factory.mktemp("states")
    LSTM_output_Cn.main(LSTM_output_Cn.Settings(run_dir=str(run_dir), out_dir=str(out)))
    LSTM_output_Cn.main(LSTM_output_Cn.Settings(run_dir=str(run_dir), out_dir=str(out), format="netcdf", gates=True))
    return out


def test_a_run_directory_holds_what_the_other_scripts_need(run_dir, demo):
    content = json.loads((run_dir / "settings.json").read_text(encoding="utf-8"))
    assert content["format"] == runs.FORMAT and content["settings"]["hidden_size"] == 6
    assert content["versions"]["keras"] and content["git_commit"]
    normalisation = json.loads((run_dir / "normalisation.json").read_text(encoding="utf-8"))
    dataset = hydrodata.load_dataset(demo, concepts=content["settings"]["concepts"])
    train = dataset.sel(date=slice("2002-10-01", "2005-09-30"))
    for part, name in (("inputs", "prcp"), ("targets", "streamflow"), ("targets", "swe")):
        values = train[name].values.astype(float)
        np.testing.assert_allclose(normalisation[part][name], [np.nanmean(values), np.nanstd(values)], rtol=1e-5)
    basins = pd.read_csv(run_dir / "basins.csv", dtype={"basin": str})
    assert list(basins["basin"]) == sorted(dataset.basin.values)
    np.testing.assert_allclose(basins["mean_swe"], train["swe"].mean("date").sortby("basin"), rtol=1e-4)
    history = pd.read_csv(run_dir / "seed_2" / "history.csv")
    assert list(history["epoch"]) == [1, 2, 3]
    np.testing.assert_allclose(
        history["loss"], history["streamflow_loss"] + history["soil1_loss"] + history["swe_loss"]
    )
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]
    assert history["learning_rate"].is_monotonic_decreasing and 0 <= history["learning_rate"].iloc[-1] < 0.002
    assert (run_dir / "seed_1" / "history.png").stat().st_size > 10_000


def test_the_best_weights_are_those_of_the_best_validation_score(run_dir):
    history = pd.read_csv(run_dir / "seed_1" / "history.csv")
    share = {"streamflow": 0.7, "soil1": 0.15, "swe": 0.15}
    score = sum(share[name] * history[f"val_NSE_{name}"].clip(lower=-1).fillna(0) for name in share)
    run, period = runs.load_run(run_dir), ("2005-10-01", "2006-09-30")
    got = LSTM_train.median_nse(run.model(1), parallel.Team(), run.data(*period), period, run.basins)
    expected = history.loc[score.idxmax()]
    for name, value in got.items():
        assert value == pytest.approx(expected[f"val_NSE_{name}"], abs=1e-4)


def test_scores_are_those_of_the_series_written(tested):
    series = xr.open_dataset(tested / "series.nc")
    assert str(series.date.values[0])[:10] == TEST_PERIOD[0] and str(series.date.values[-1])[:10] == TEST_PERIOD[1]
    assert list(series.member.values) == ["seed 1", "seed 2", "mean of members"]
    assert series["streamflow_observed"].attrs["units"] == "mm/day"
    both = series["streamflow_simulated"].sel(member=["seed 1", "seed 2"]).mean("member")
    np.testing.assert_allclose(series["streamflow_simulated"].sel(member="mean of members"), both, rtol=1e-5)
    assert float(series["streamflow_simulated"].min()) >= 0
    scores = pd.read_csv(tested / "scores.csv", dtype={"basin": str}).set_index(["target", "member", "basin"])
    for target in ("streamflow", "soil1"):
        for basin in series.basin.values:
            o = series[f"{target}_observed"].sel(basin=basin).values.astype(float)
            s = series[f"{target}_simulated"].sel(basin=basin, member="seed 2").values.astype(float)
            known = np.isfinite(o)
            nse = 1 - np.sum((o - s)[known] ** 2) / np.sum((o[known] - o[known].mean()) ** 2)
            assert scores.loc[(target, "seed 2", basin), "NSE"] == pytest.approx(nse, abs=1e-4)
    summary = pd.read_csv(tested / "summary.csv").set_index(["target", "member", "metric"])
    expected = scores.loc[("streamflow", "seed 1"), "NSE"].median()
    assert summary.loc[("streamflow", "seed 1", "NSE"), "median"] == pytest.approx(expected)
    for figure in ("nse_distribution.png", "hydrographs.png", "nse_map.png"):
        assert (tested / figure).stat().st_size > 10_000


def test_snow_is_summarised_only_where_there_is_snow(tested, run_dir):
    basins = pd.read_csv(run_dir / "basins.csv")
    snowy = int((basins["mean_swe"] > 5).sum())
    assert 0 < snowy < len(basins)
    summary = pd.read_csv(tested / "summary.csv").set_index(["target", "member", "metric"])
    assert summary.loc[("swe", "seed 1", "NSE"), "basins"] == snowy
    assert "FHV" not in summary.loc[("swe", "seed 1")].index


def test_a_basin_that_the_run_does_not_know_is_judged_by_its_own_snow(run_dir, tmp_path):
    """Its training-period mean is in no table: the mean of its whole record says whether its snow counts."""
    path = shutil.copytree(run_dir, tmp_path / "run", ignore=shutil.ignore_patterns("test_*", "states_*"))
    table = pd.read_csv(path / "basins.csv", dtype={"basin": str})
    snowy = table["basin"][table["mean_swe"] > 5].tolist()
    table[~table["basin"].isin(snowy)].to_csv(path / "basins.csv", index=False)
    LSTM_test.main(LSTM_test.Settings(run_dir=str(path), basins=tuple(table["basin"]), metrics=("NSE",)))
    scores = pd.read_csv(path / "test_2006-10-01_2007-09-30" / "scores.csv", dtype={"basin": str})
    counted = scores[scores["target"].eq("swe") & scores["note"].isna()]["basin"].unique()
    assert snowy and sorted(counted) == sorted(snowy)


def test_observations_are_those_of_the_files(tested, demo):
    series = xr.open_dataset(tested / "series.nc")
    basin = str(series.basin.values[1])
    flow = hydrodata.load_streamflow(demo, basin)[slice(*TEST_PERIOD)]
    np.testing.assert_allclose(series["streamflow_observed"].sel(basin=basin), flow, rtol=1e-5)
    table = pd.read_csv(demo / "caravan" / "timeseries" / "csv" / "camels" / f"camels_{basin}.csv", index_col="date")
    soil = table.loc[slice(*TEST_PERIOD), "volumetric_soil_water_layer_1_mean"] * 70
    np.testing.assert_allclose(series["soil1_observed"].sel(basin=basin), soil, rtol=1e-5)


def test_dumped_states_are_dated_the_right_basins_and_what_was_scored(dumped, tested, run_dir):
    series = xr.open_dataset(tested / "series.nc")
    tables = {b: pd.read_csv(dumped / f"Cn_{b}.csv", index_col="date") for b in series.basin.values}
    assert len(list(dumped.glob("Cn_*.csv"))) == 4
    for basin, table in tables.items():
        assert list(table.columns) == [f"cn_{k}" for k in range(1, 7)] + [
            "streamflow (mm/day)",
            "soil1 (mm)",
            "swe (mm)",
        ]
        assert [table.index[0], table.index[-1]] == list(TEST_PERIOD) and len(table) == 365
        for name in ("streamflow (mm/day)", "soil1 (mm)", "swe (mm)"):
            scored = series[f"{name.split()[0]}_simulated"].sel(basin=basin, member="seed 1")
            np.testing.assert_allclose(table[name], scored, rtol=1e-4, atol=1e-4)
    first, second = list(tables.values())[:2]
    assert (np.abs(first - second).to_numpy() > 1e-4).any(axis=0).all()
    # The probe's weights on the states written give the concept written.
    probe, bias = runs.load_run(run_dir).model(1).probe.get_weights()
    mean, std = runs.load_run(run_dir).normalisation["targets"]["soil1"]
    read = (first.iloc[:, :6].to_numpy() @ probe[:, 0] + bias[0]) * std + mean
    np.testing.assert_allclose(first["soil1 (mm)"], read, rtol=1e-4, atol=1e-4)


def test_netcdf_holds_the_same_states_and_their_gates(dumped):
    states = xr.open_dataset(dumped / "Cn.nc")
    assert dict(states.sizes) == {"basin": 4, "date": 365, "unit": 6}
    basin = str(states.basin.values[2])
    table = pd.read_csv(dumped / f"Cn_{basin}.csv", index_col="date", parse_dates=True)
    assert (table.index == states.date.to_index()).all()
    one = states.sel(basin=basin)
    np.testing.assert_allclose(one["c"], table.iloc[:, :6], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(one["swe"], table["swe (mm)"], rtol=1e-5, atol=1e-5)
    c = one["c"].values
    np.testing.assert_allclose(
        c[1:], (one["f"].values[1:] * c[:-1] + one["i"].values[1:] * one["g"].values[1:]), atol=1e-5
    )
    np.testing.assert_allclose(one["h"], one["o"] * np.tanh(one["c"]), atol=1e-5)
    assert "synthetic" in states.attrs["comment"] and states.attrs["git_commit"]
    assert len(list(dumped.glob("states_*.png"))) == 1


def test_same_seed_same_numbers_and_the_order_of_basins_changes_nothing(run_dir, settings, demo, tmp_path):
    ids = list(pd.read_csv(run_dir / "basins.csv", dtype=str)["basin"])
    LSTM_train.main(settings(tmp_path / "again", seed=(2,), basins=tuple(ids[::-1])))
    for one, other in zip(weights(run_dir, 2), weights(tmp_path / "again", 2), strict=True):
        np.testing.assert_array_equal(one, other)
    assert any((one != other).any() for one, other in zip(weights(run_dir, 1), weights(run_dir, 2), strict=True))


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(run_dir, settings, tmp_path, monkeypatch):
    draw = windows.training_windows
    calls = []

    def stop_in_second_epoch(*args, **options):
        calls.append(args)
        for k, batch in enumerate(draw(*args, **options)):
            if len(calls) == 2 and k == 1:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(windows, "training_windows", stop_in_second_epoch)
    with pytest.raises(KeyboardInterrupt, match="--resume"):
        LSTM_train.main(settings(tmp_path / "run", seed=(1,)))
    monkeypatch.undo()
    with pytest.raises(InputError, match="already holds a run: add --resume"):
        LSTM_train.main(settings(tmp_path / "run", seed=(1,)))
    with pytest.raises(InputError, match="other settings .*window"):
        LSTM_train.main(settings(tmp_path / "run", seed=(1,), window=100, resume=True))
    LSTM_train.main(settings(tmp_path / "run", seed=(1,), resume=True))
    for one, other in zip(weights(run_dir), weights(tmp_path / "run"), strict=True):
        np.testing.assert_array_equal(one, other)
    kept, again = (pd.read_csv(p / "seed_1" / "history.csv") for p in (run_dir, tmp_path / "run"))
    pd.testing.assert_frame_equal(kept.drop(columns="seconds"), again.drop(columns="seconds"))
    before = (tmp_path / "run" / "seed_1" / "model.keras").read_bytes()
    (tmp_path / "run").rename(tmp_path / "moved")
    LSTM_train.main(settings(tmp_path / "moved", seed=(1,), resume=True))  # nothing is left to do
    assert (tmp_path / "moved" / "seed_1" / "model.keras").read_bytes() == before


@pytest.mark.parametrize("progress, share", [(0, 0), (0.025, 0.5), (0.05, 1), (0.525, 0.5), (1, 0)])
def test_learning_rate_rises_then_falls_as_a_cosine(progress, share):
    assert LSTM_train.schedule(progress) == pytest.approx(share)


def test_a_training_killed_at_random_moments_ends_with_the_same_weights(settings, tmp_path):
    """SIGKILL while reading, in an epoch and while saving. KILLS=10 in the environment tries ten moments, else two."""
    kills = int(os.environ.get("KILLS", 2))
    epochs = 40 * kills  # more than are done between the kills
    chosen = settings(tmp_path / "never stopped", seed=(1,), epochs=epochs, patience=epochs)
    LSTM_train.main(chosen)
    options = ["--run-dir", str(tmp_path / "killed"), "--resume", "--data-dir", chosen.data_dir, "--basins"]
    options += ["--concepts", *chosen.concepts, "--seed", "1"]
    for name in ("hidden_size", "epochs", "patience", "batch_size", "window", "learning_rate"):
        options += [f"--{name.replace('_', '-')}", str(getattr(chosen, name))]
    for name in ("train", "valid", "test"):
        options += [f"--{name}-period", *getattr(chosen, f"{name}_period")]
    command = [sys.executable, "LSTM_train.py", *options]
    rng = np.random.default_rng(0)
    done = []
    for kill in range(kills):
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            if kill % 3:  # else while it imports and reads
                next((line for line in process.stdout if line.startswith("epoch")), None)
            time.sleep(rng.uniform(0, 2))
            process.kill()
        checkpoint = tmp_path / "killed" / "seed_1" / "checkpoint.npz"
        done.append(json.loads(str(np.load(checkpoint)["meta"]))["epoch"] if checkpoint.exists() else 0)
    assert done == sorted(done) and done[-1] < epochs, f"epochs done at each kill: {done}"
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    for one, other in zip(weights(tmp_path / "never stopped"), weights(tmp_path / "killed"), strict=True):
        np.testing.assert_array_equal(one, other)
    assert not list((tmp_path / "killed" / "seed_1").glob(".*"))


def test_early_stopping_keeps_the_best(settings, tmp_path, monkeypatch, capsys):
    scores = iter([0.5, 0.7, 0.6, 0.65, 0.9])
    monkeypatch.setattr(LSTM_train, "median_nse", lambda *_: {"streamflow": next(scores)})
    LSTM_train.main(settings(tmp_path / "run", seed=(1,), patience=2, epochs=9, concepts=()))
    history = pd.read_csv(tmp_path / "run" / "seed_1" / "history.csv")
    assert list(history["val_NSE_streamflow"]) == [0.5, 0.7, 0.6, 0.65]
    assert "best weights from epoch 2" in capsys.readouterr().out


@pytest.mark.parametrize(
    "changes", [dict(concepts=()), dict(attributes="none"), dict(warmup_days=50, probe_penalty=0.01)]
)
def test_other_kinds_of_training_run_to_the_end(settings, tmp_path, changes):
    LSTM_train.main(settings(tmp_path / "run", seed=(3,), epochs=1, **changes))
    LSTM_test.main(LSTM_test.Settings(run_dir=str(tmp_path / "run")))
    LSTM_output_Cn.main(LSTM_output_Cn.Settings(run_dir=str(tmp_path / "run")))
    summary = pd.read_csv(tmp_path / "run" / "test_2006-10-01_2007-09-30" / "summary.csv")
    assert set(summary["target"]) == {"streamflow"} | (set() if "concepts" in changes else {"soil1", "swe"})


def test_a_training_begins_with_the_constants_of_least_loss(demo, settings):
    data = hydrodata.open_data(demo, concepts=settings("any").concepts)
    training = windows.training_set(data, *settings("any").train_period)
    model = runs.build_model(asdict(settings("any")), training.normalisation, 1)
    LSTM_train.begin_with_constants(model, training)
    forcing, targets = training.data.read(slice(None), training.first_day + np.arange(training.spans[:, 2].max()))
    constants = np.unique(model.predict_on_batch({"forcing": forcing, "attributes": data.attributes.to_numpy()})[:, 9:],
                          axis=1)  # fmt: skip
    np.testing.assert_array_equal(constants, np.broadcast_to(constants[:1], (4, 1, 3)))
    for k, name in enumerate(data.targets):
        spread = (training.basins[f"std_{name}"] + 0.1 * training.normalisation["targets"][name][1]).to_numpy()
        loss = [np.mean(np.nanmean((targets[..., k] - constants[0, 0, k] * share) ** 2, axis=1) / spread**2)
                for share in (1, 0.98, 1.02)]  # fmt: skip
        assert loss[0] < min(loss[1:])


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_share_of_the_loss_is_of_the_root_of_the_flow(run_dir, settings, share):
    run = runs.load_run(run_dir)
    model = run.model(1)
    LSTM_train.compile_model(settings("any", root_flow_share=share), model, run.normalisation,
                             {"streamflow": 0.7, "soil1": 0.1, "swe": 0.2})  # fmt: skip
    rng = np.random.default_rng(0)
    y, prediction, std = rng.uniform(0, 5, (2, 9, 3)), rng.uniform(0, 5, (2, 9, 3)), rng.uniform(1, 2, (2, 3))
    epsilon = 0.1 * run.normalisation["targets"]["streamflow"][1]
    parts = {name: float(value) for name, value in model.loss(y, prediction, std).items()}
    y, prediction, std = y[..., 0], prediction[..., 0], std[:, :1]
    plain = np.mean(((prediction - y) / (std + epsilon)) ** 2)
    roots = np.sqrt(prediction + 0.1 * epsilon) - np.sqrt(y + 0.1 * epsilon)
    roots = np.mean((roots / (np.sqrt(std) / 2 + np.sqrt(epsilon) / 2)) ** 2)
    assert parts["streamflow"] == pytest.approx(0.7 * ((1 - share) * plain + share * roots), rel=1e-5)
    assert set(parts) == {"streamflow", "soil1", "swe"} and parts["swe"] > 0


def test_a_run_of_version_0_2_goes_on_with_what_it_began_with(run_dir, tmp_path):
    shutil.copytree(run_dir, tmp_path / "old")
    content = json.loads((run_dir / "settings.json").read_text(encoding="utf-8"))
    for name in ("start_from", "train_only", "folds", "root_flow_share"):
        del content["settings"][name]
    content["settings"]["forcing"] = "daymet"
    write_json(tmp_path / "old" / "settings.json", content)
    chosen = LSTM_train.from_command_line(["--resume", "--run-dir", str(tmp_path / "old")])
    assert (chosen.root_flow_share, chosen.forcing, chosen.train_only, chosen.folds) == (0.0, ("daymet",), "all", 0)


def test_caravan_alone_is_a_data_set(settings, demo, tmp_path):
    concepts = ("soil1=caravan:volumetric_soil_water_layer_1_mean*70", "swe=caravan:snow_depth_water_equivalent_mean")
    chosen = settings(
        tmp_path / "run", seed=(1,), epochs=1, data_dir=str(demo / "caravan"), forcing="caravan", concepts=concepts
    )
    LSTM_train.main(chosen)
    LSTM_test.main(LSTM_test.Settings(run_dir=str(tmp_path / "run")))
    series = xr.open_dataset(tmp_path / "run" / "test_2006-10-01_2007-09-30" / "series.nc")
    assert [str(b)[:9] for b in series.basin.values] == ["camels_96", "camels_97", "camels_98", "camels_99"]
    assert series["soil1_observed"].attrs["units"] == "mm"


def ends_with(capsys, main, settings, sentence):
    """The script ends with exit code 2 and one sentence that holds `sentence`."""
    with pytest.raises(SystemExit) as stop:
        cli(main, settings)
    error = capsys.readouterr().err.strip()
    assert stop.value.code == 2 and "\n" not in error and sentence in error, error


@pytest.mark.parametrize(
    "changes, sentence",
    [
        (dict(data_dir="no such folder"), "no such folder"),
        (dict(forcing="era5"), "era5"),
        (dict(basins=("01013500",)), "01013500"),
        (dict(basins=("no/such/list.txt",)), "no/such/list.txt"),
        (dict(attributes="none.csv"), "none.csv"),
        (dict(concepts=("swe=nowhere/{basin}.csv:swe[mm]",)), "nowhere/{basin}.csv"),
        (dict(concepts=("swe",)), "swe"),
        (dict(train_period=("1950-10-01", "1951-09-30")), "1950-10-01"),
        (dict(train_period=("2002-10-01", "2005-13-30")), "2005-13-30"),
        (dict(valid_period=("2005-01-01", "2006-09-30")), "share days"),
        (dict(hidden_size=0), "--hidden-size"),
        (dict(dropout=1.0), "--dropout"),
        (dict(seed=(1, 1)), "--seed"),
        (dict(warmup_days=-1), "--warmup-days"),
    ],
)
def test_bad_training_settings_end_in_a_sentence_and_write_nothing(settings, tmp_path, capsys, changes, sentence):
    ends_with(capsys, LSTM_train.main, settings(tmp_path / "run", **changes), sentence)
    assert not (tmp_path / "run").exists()


def test_bad_runs_end_in_a_sentence(run_dir, tmp_path, capsys):
    def copy(name, **changes):
        path = tmp_path / name
        shutil.copytree(run_dir, path, ignore=shutil.ignore_patterns("test_*", "states_*"))
        for file, content in changes.items():
            (path / file.replace("_json", ".json").replace("_csv", ".csv")).write_text(content, encoding="utf-8")
        return str(path)

    good = json.loads((run_dir / "settings.json").read_text(encoding="utf-8"))
    test = LSTM_test.main

    def given(**options):
        return LSTM_test.Settings(**options)

    ends_with(capsys, test, given(run_dir=str(tmp_path / "none")), "There is no run directory")
    (tmp_path / "empty").mkdir()
    ends_with(capsys, test, given(run_dir=str(tmp_path / "empty")), "is not a run directory")
    ends_with(capsys, test, given(run_dir=str(run_dir), metrics=("NSEE",)), "There is no metric NSEE")
    ends_with(capsys, test, given(run_dir=str(run_dir), period=("1950-01-01", "1950-12-31")), "1950-01-01")
    ends_with(capsys, test, given(run_dir=copy("a", settings_json="{")), "not readable JSON")
    ends_with(capsys, test, given(run_dir=copy("b", settings_json=json.dumps({**good, "format": 99}))), "run format 99")
    ends_with(capsys, test, given(run_dir=copy("c", basins_csv="nothing\n")), "basins.csv")
    small = {**good, "settings": {**good["settings"], "hidden_size": 5}}
    ends_with(capsys, test, given(run_dir=copy("d", settings_json=json.dumps(small))), "does not hold the weights")
    broken = copy("e")
    (Path(broken) / "seed_1" / "model.keras").write_bytes(b"PK")
    ends_with(capsys, test, given(run_dir=broken), "does not hold the weights")
    states = LSTM_output_Cn
    ends_with(capsys, states.main, states.Settings(run_dir=str(run_dir), seed=7), "no member of seed 7")
    ends_with(capsys, states.main, states.Settings(run_dir=str(run_dir), gates=True), "--format netcdf")


def test_a_failed_write_keeps_what_was_there(tmp_path):
    path = tmp_path / "kept.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text(encoding="utf-8")) == {"a": 1} and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize("script", ["LSTM_train.py", "LSTM_test.py", "LSTM_output_Cn.py"])
def test_help_answers_without_tensorflow(script):
    code = f"import sys; sys.argv = ['{script}', '--help']; import runpy\n"
    code += f"try: runpy.run_path('{script}', run_name='__main__')\nexcept SystemExit as stop: assert stop.code == 0\n"
    code += "assert not {'tensorflow', 'keras', 'jax', 'pandas'} & set(sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "--run-dir" in done.stdout


def test_both_environments_pin_the_same():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pins = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    lines = (ROOT / "environment.yml").read_text(encoding="utf-8").splitlines()
    conda = [line.strip("- ") for line in lines if "==" in line]
    assert sorted(conda) == sorted(pins) and len(pins) > 10
