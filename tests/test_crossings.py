"""Steps between files: folds, starts from another run, series scored without a model, states to begin with."""

import shutil

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import CONCEPTS, edit, same_weights

import hydrodata_tf as hydrodata
import LSTM_output_Cn
import LSTM_test
import LSTM_train
from libs_tf import keras
from reading import windows
from running import runs
from writing.messages import InputError

PERIOD = ("2006-10-01", "2007-09-30")
RESULTS = "test_2006-10-01_2007-09-30"
SEEDS = (1, 2)
SOIL, SWE = CONCEPTS


# Folds


@pytest.fixture(scope="module")
def crossed(settings, demo, tmp_path_factory):
    """Two folds of three of the four basins, begun from a run of the fourth; never stopped, and stopped and resumed."""
    root = tmp_path_factory.mktemp("crossings")
    basins = hydrodata.open_data(demo).basins
    chosen = {"basins": basins[:3], "hidden_size": 4, "seed": SEEDS, "epochs": 2}
    LSTM_train.main(settings(root / "base", **chosen | {"epochs": 1, "basins": basins[3:]}))
    chosen |= {"start_from": str(root / "base"), "folds": 2}
    LSTM_train.main(settings(root / "whole", **chosen))

    draw, epochs = windows.training_windows, []

    def stopped(*args, **options):  # in the second epoch of the second seed of the first fold
        epochs.append(args)
        if len(epochs) == 4:
            raise KeyboardInterrupt
        return draw(*args, **options)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(windows, "training_windows", stopped)
        LSTM_train.main(settings(root / "folds", **chosen))
    with pytest.raises(InputError, match="does not hold all folds with the same seeds: go on with .*--resume"):
        LSTM_test.main(LSTM_test.Settings(run_dir=str(root / "folds")))
    LSTM_train.main(LSTM_train.from_command_line(["--resume", "--run-dir", str(root / "folds")]))
    return root, basins


def test_folds_that_were_stopped_are_those_that_were_not(crossed):
    root, basins = crossed
    base = runs.load_run(root / "base")
    held_out = []
    for fold in ("fold_1", "fold_2"):
        for seed in SEEDS:
            assert same_weights(root / "folds" / fold, root / "whole" / fold, seed)
        run = runs.load_run(root / "folds" / fold)
        assert run.normalisation["inputs"] == base.normalisation["inputs"] and run.seeds == list(SEEDS)
        held_out.append(hydrodata.read_basins(root / "folds" / fold / "held_out.csv"))
        assert sorted([*held_out[-1], *run.basins.index]) == basins[:3]
    assert sorted(held_out[0] + held_out[1]) == basins[:3]


def test_a_basin_is_scored_by_the_run_that_was_trained_without_it(crossed, demo, capsys):
    root, basins = crossed
    LSTM_test.main(LSTM_test.Settings(run_dir=str(root / "folds"), metrics="NSE"))
    assert "learned from" not in capsys.readouterr().out
    results = root / "folds" / RESULTS
    series = xr.load_dataset(results / "series.nc")
    assert list(series.member.values) == ["seed 1", "seed 2"] and sorted(series.basin.values) == basins[:3]
    scores = pd.read_csv(results / "scores.csv", dtype={"basin": str}).set_index(["target", "member", "basin"])
    data = hydrodata.open_data(demo, concepts=CONCEPTS)
    forcing, observed = data.read(slice(None), np.arange(np.datetime64("2005-10-01"), np.datetime64("2007-10-01")))
    inputs, observed = {"forcing": forcing, "attributes": data.attributes.to_numpy()}, observed[:, 365:].astype(float)
    for fold in ("fold_1", "fold_2"):
        path = root / "folds" / fold
        # What the model files, loaded by Keras alone, give after the spin-up year: (seed, basin, day, target).
        models = [keras.saving.load_model(path / f"seed_{seed}" / "model.keras") for seed in SEEDS]
        given = np.stack([model.predict(inputs, verbose=0) for model in models])[:, :, 365:]
        for basin in hydrodata.read_basins(path / "held_out.csv"):
            b = data.basins.index(basin)
            members = {"seed 1": given[0, b], "seed 2": given[1, b], "mean of members": given[:, b].mean(0)}
            for k, name in enumerate(data.targets):
                got = series[f"{name}_simulated"].sel(basin=basin)
                np.testing.assert_allclose(got, given[:, b, :, k], rtol=1e-4, atol=1e-4)
                known = np.isfinite(observed[b, :, k])
                truth = observed[b, known, k]
                for member, values in members.items():
                    error = truth - values[known, k]
                    nse = 1 - (error**2).sum() / (truth.var() * len(truth)) if truth.var() else np.nan  # no snow
                    got = scores.loc[(name, member, basin), "NSE"]
                    assert got == pytest.approx(nse, abs=1e-3, rel=1e-3, nan_ok=True)


def test_a_basin_in_no_fold_and_a_folder_of_folds_elsewhere_are_refused(crossed, refused):
    root, basins = crossed
    folds = root / "folds"
    said = f"No fold holds out {basins[3]}: name one of the folds' runs, such as {folds / 'fold_1'}."
    refused(said, "LSTM_test.py", "--run-dir", folds, "--basins", *basins)
    for script in ("LSTM_output_Cn.py", "LSTM_probe.py"):
        refused(f"{folds} holds the 2 folds of a training, which LSTM_test.py scores", script, "--run-dir", folds)
    out = root / "one"
    chosen = {"basins": str(folds / "fold_2" / "held_out.csv"), "out_dir": str(out)}
    LSTM_test.main(LSTM_test.Settings(run_dir=str(folds / "fold_2"), metrics="NSE", **chosen))
    together = xr.load_dataset(folds / RESULTS / "series.nc")
    alone = xr.load_dataset(out / "series.nc")
    np.testing.assert_array_equal(alone["swe_simulated"], together["swe_simulated"].sel(basin=alone["basin"]))


def test_folds_do_not_begin_with_a_run_that_knows_their_basins(crossed, settings, tmp_path):
    root, basins = crossed
    chosen = {"hidden_size": 4, "start_from": str(root / "base"), "folds": 2}
    with pytest.raises(InputError, match=rf"base learned from 1 of the 4 basins \({basins[3]}\), which no fold could"):
        LSTM_train.main(settings(tmp_path / "folds", **chosen))
    chosen["start_from"] = str(root / "folds" / "fold_1")  # it knows what its own base knows, too
    with pytest.raises(InputError, match="fold_1 learned from [23] of the 4 basins"):
        LSTM_train.main(settings(tmp_path / "folds", **chosen))
    assert not (tmp_path / "folds").exists()


# Starts from another run, and what was learned from


@pytest.fixture(scope="module")
def later(run_dir, settings, demo, tmp_path_factory):
    """A run that began with another one, of two of its basins, with other years; hardly trained."""
    path = tmp_path_factory.mktemp("later") / "later"
    basins = hydrodata.open_data(demo).basins
    periods = {"train_period": ("2005-10-01", "2006-09-30"), "valid_period": ("2004-10-01", "2005-09-30")}
    periods |= {"test_period": ("2003-10-01", "2004-09-30")}
    chosen = {"basins": basins[:2], "epochs": 1, "learning_rate": 1e-9, "seed": (1,), "start_from": str(run_dir)}
    LSTM_train.main(settings(path, **periods, **chosen))
    return path


def test_a_training_starts_from_another_run(later, run_dir):
    """A learning rate of nothing leaves the weights of the same member, but for streamflow's scale."""
    after, before = runs.load_run(later), runs.load_run(run_dir)
    for part in ("inputs", "attributes", "targets"):
        assert after.normalisation[part] == before.normalisation[part]
    assert after.normalisation["period"] == ["2005-10-01", "2006-09-30"] and len(after.basins) == 2
    mine, theirs = after.model(1), before.model(1)
    for layer in ("lstm", "probe", "forcing_scale", "attribute_scale"):
        for one, other in zip(*(getattr(model, layer).get_weights() for model in (mine, theirs)), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)
    ratio = mine.runoff.kernel.numpy() / theirs.runoff.kernel.numpy()
    np.testing.assert_allclose(ratio, np.full_like(ratio, ratio[0]), rtol=1e-3)


def test_what_a_run_and_its_base_learned_from_is_said_wherever_it_is_used(later, run_dir, tmp_path, capsys):
    entries = runs.load_run(later).learned_from
    assert [(entry["run"], entry["period"][0], len(entry["basins"].split())) for entry in entries] == [
        ("later", "2005-10-01", 2),
        (run_dir.name, "2002-10-01", 4),
    ]
    LSTM_train.main(LSTM_train.from_command_line(["--resume", "--run-dir", str(later)]))
    lines = capsys.readouterr().out.splitlines()
    base = f"{run_dir.name} (2002-10-01 to 2005-09-30)"
    end = "their scores are no independent test."
    for option, days in (("valid", "2004-10-01 and 2005-09-30"), ("test", "2003-10-01 and 2004-09-30")):
        assert f"Note: --{option}-period: {base} learned from days between {days} in 2 of 2 basins: {end}" in lines
    options = {"run_dir": str(later), "out_dir": str(tmp_path)}
    basins = tuple(runs.load_run(run_dir).basins.index)
    mine = "later (2005-10-01 to 2006-09-30)"
    both = {"basins": basins, "period": ("2005-09-01", "2005-10-31"), "metrics": "NSE"}
    for script, chosen, trainings, number in (
        (LSTM_test, both, [mine, base], "4 of 4"),
        (LSTM_output_Cn, {"period": ("2006-08-01", "2006-10-31"), "format": "netcdf"}, [mine], "2 of 2"),
    ):
        script.main(script.Settings(**options, **chosen))
        days = " and ".join(chosen["period"])
        said = f"{', '.join(trainings)} learned from days between {days} in {number} basins: {end}"
        assert f"Note: {said}" in capsys.readouterr().out.splitlines()
    assert xr.load_dataset(tmp_path / "Cn.nc").attrs["learned_from"] == said
    LSTM_output_Cn.main(LSTM_output_Cn.Settings(**options | {"out_dir": str(tmp_path / "new")}, period=PERIOD))
    assert "learned from" not in capsys.readouterr().out


def test_what_cannot_be_started_from(run_dir, copy, settings, tmp_path):
    def refused(sentence, **changes):
        with pytest.raises(InputError, match=sentence):
            LSTM_train.main(settings(tmp_path / "new", **{"start_from": str(run_dir), **changes}))
        assert not (tmp_path / "new").exists()

    refused("has 6 cell states, --hidden-size must be the same", hidden_size=5)
    refused("The data lack 27 of the 27 attributes of the run", attributes="none")
    other = r"learned soil1 \[mm\], swe \[mm\], not .*: --start-from needs concepts with the same names and units"
    for concepts in ((SOIL,), (), (SOIL, SWE.replace("[mm]", "*0.1[cm]")), (SWE, SOIL), (SOIL, "ice" + SWE[3:])):
        refused(other, concepts=concepts)
    edit(copy / "settings.json", "learned_from", [{"run": "x"}])
    refused("settings.json: learned_from is not what a training writes", start_from=str(copy))


def test_fine_tuning_needs_no_observation_of_the_concepts(run_dir, data, settings, tmp_path):
    """The model still has them; streamflow alone is learned from."""
    for path in data.rglob("camels_9*.csv"):
        path.unlink()
    chosen = settings(tmp_path / "new", data_dir=str(data), start_from=str(run_dir), epochs=1, seed=(1,))
    LSTM_train.main(chosen)
    before, after = (runs.load_run(path).model(1) for path in (run_dir, tmp_path / "new"))
    np.testing.assert_array_equal(after.probe.kernel.numpy(), before.probe.kernel.numpy())
    assert not np.allclose(after.runoff.kernel.numpy(), before.runoff.kernel.numpy())


# Series scored without a model


@pytest.fixture(scope="module")
def two_files(run_dir, later, demo, tmp_path_factory):
    """series.nc of a run of two members and of another one, in the same basins and days."""
    root, basins = tmp_path_factory.mktemp("series"), hydrodata.open_data(demo).basins
    for name, path in (("first", run_dir), ("second", later)):
        chosen = {"period": PERIOD, "basins": basins, "metrics": "NSE", "out_dir": str(root / name)}
        LSTM_test.main(LSTM_test.Settings(run_dir=str(path), **chosen))
    return [str(root / name / "series.nc") for name in ("first", "second")]


def test_the_mean_of_files_is_the_mean_of_their_simulations(two_files, run_dir, tmp_path):
    LSTM_test.main(LSTM_test.Settings(series=two_files, metrics=("NSE", "KGE"), out_dir=str(tmp_path)))
    files = [xr.load_dataset(path) for path in two_files]
    simulated = np.concatenate([file["streamflow_simulated"] for file in files]).astype(float)
    assert simulated.shape[0] == 3 and np.abs(simulated[0] - simulated[2]).max() > 1e-4
    observed = files[0]["streamflow_observed"].values.astype(float)
    scores = pd.read_csv(tmp_path / "scores.csv", dtype={"basin": str}).set_index(["target", "member", "basin"])
    members = [f"1. {run_dir.name} seed 1", f"1. {run_dir.name} seed 2", "2. later seed 1", "mean of members"]
    assert list(scores.loc["streamflow"].index.unique("member")) == members
    for member, values in zip(members, [*simulated, simulated.mean(axis=0)], strict=True):
        for b, basin in enumerate(files[0]["basin"].values):
            known = np.isfinite(observed[b])
            error, truth = (observed[b] - values[b])[known], observed[b][known]
            nse = 1 - (error**2).sum() / ((truth - truth.mean()) ** 2).sum()
            assert scores.loc[("streamflow", member, basin), "NSE"] == pytest.approx(nse, abs=1e-5)


def test_somebody_elses_simulation_is_scored_in_the_same_layout(two_files, tmp_path, refused):
    observed = xr.load_dataset(two_files[0])["streamflow_observed"]
    about = {"units": "mm/day"}
    mine = xr.Dataset(
        {
            "streamflow_simulated": (("basin", "date", "member"), observed.values[..., None] * 1.1, about),
            "streamflow_observed": (("basin", "date"), observed.values, about),
        },
        {"basin": observed["basin"].values, "date": observed["date"].values, "member": ["NWM"]},
    )
    mine.to_netcdf(tmp_path / "nwm.nc")
    LSTM_test.main(LSTM_test.Settings(series=str(tmp_path / "nwm.nc"), metrics="PBIAS", out_dir=str(tmp_path / "out")))
    scores = pd.read_csv(tmp_path / "out" / "scores.csv")
    np.testing.assert_allclose(scores["PBIAS"], 10, rtol=1e-4)
    assert set(scores["member"]) == {"NWM"} and (tmp_path / "out" / "hydrographs.png").stat().st_size > 10_000

    mine.isel(date=slice(5, None)).to_netcdf(tmp_path / "late.nc")
    mine["streamflow_simulated"].attrs["units"] = "m3/s"
    mine.to_netcdf(tmp_path / "volume.nc")
    (tmp_path / "text.nc").write_text("text")
    out = ["--out-dir", tmp_path / "none"]
    for path, said in (
        ("volume.nc", "streamflow is in m3/s, in the first file in mm/day. Simulate both in the same unit."),
        ("late.nc", "holds other days than the first file"),
        ("text.nc", "is not a file of series"),
        ("none.nc", "is not a file of series"),
    ):
        refused((path, said), "LSTM_test.py", "--series", tmp_path / "nwm.nc", tmp_path / path, *out)
    refused("holds no soil1_simulated", "LSTM_test.py", "--series", two_files[0], tmp_path / "nwm.nc", *out)
    refused("name it with --out-dir", "LSTM_test.py", "--series", two_files[0])
    assert not (tmp_path / "none").exists()


# States to begin with


def states_of(run_dir, out, period, **options):
    """Cn.nc that LSTM_output_Cn.py writes for a period."""
    options |= {"period": period, "out_dir": str(out), "format": "netcdf"}
    LSTM_output_Cn.main(LSTM_output_Cn.Settings(run_dir=str(run_dir), **options))
    return xr.load_dataset(out / "Cn.nc")


@pytest.fixture(scope="module")
def joined(run_dir, tmp_path_factory):
    """One run over two years; the first of them; and the second one from the states of the first."""
    root = tmp_path_factory.mktemp("joined")
    whole = states_of(run_dir, root / "whole", ("2005-10-01", "2007-09-30"))
    first = states_of(run_dir, root / "first", ("2005-10-01", "2006-09-30"))
    second = states_of(run_dir, root / "second", PERIOD, begin_with=str(root / "first" / "Cn.nc"))
    return whole, first, second, root / "first" / "Cn.nc"


def test_two_periods_joined_by_a_file_are_one(joined, run_dir, tmp_path):
    whole, first, second, path = joined
    both = xr.concat([first, second], "date")
    assert (both["date"] == whole["date"]).all() and len(both["date"]) == 730
    for name in ("c", "h", "streamflow", "soil1", "swe"):
        np.testing.assert_allclose(both[name], whole[name], atol=1e-6 * float(abs(whole[name]).max()), rtol=0)
    # From the middle of a file, some of its basins, in another order.
    basins = tuple(map(str, whole["basin"].values[[2, 0]]))
    part = states_of(run_dir, tmp_path, ("2006-03-02", "2006-03-31"), begin_with=str(path), basins=basins)
    wanted = whole.sel(basin=list(basins), date=slice("2006-03-02", "2006-03-31"))
    np.testing.assert_allclose(part["c"], wanted["c"], atol=1e-5)


def test_a_file_that_does_not_fit_is_refused(joined, copy, refused, tmp_path):
    whole, first, _, path = joined
    day = ["--period", "2006-10-01", "2006-10-31", "--out-dir", tmp_path / "out"]
    begin = ["LSTM_output_Cn.py", "--run-dir", copy, *day, "--begin-with"]
    refused("holds states of another model (run two members, seed 1)", *begin, path, "--seed", 2)
    later = ["--period", "2006-10-02", "2006-10-31"]
    refused("holds 2005-10-01 to 2006-09-30, not 2006-10-01, the day before the period", *begin, path, *later)
    first.isel(basin=[0, 1]).to_netcdf(tmp_path / "few.nc")
    refused("lacks the basins 98000003, 99000004: name those it holds", *begin, tmp_path / "few.nc")
    first.assign(h=first["h"] * np.nan).to_netcdf(tmp_path / "nan.nc")
    refused("not finite numbers on 2006-09-30", *begin, tmp_path / "nan.nc")
    first.drop_vars("h").to_netcdf(tmp_path / "half.nc")
    for other in (tmp_path / "half.nc", tmp_path / "none.nc", copy / "settings.json"):
        refused("is not a Cn.nc", *begin, other)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_results_answers_one_question(copy, data, refused):
    LSTM_test.main(LSTM_test.Settings(run_dir=str(copy), metrics="NSE"))
    LSTM_test.main(LSTM_test.Settings(run_dir=str(copy), metrics=("NSE", "KGE")))  # the same series
    LSTM_output_Cn.main(LSTM_output_Cn.Settings(run_dir=str(copy), seed=2, basins="96000001"))
    before = {path: path.stat().st_mtime_ns for path in copy.rglob("*")}
    run = ["--run-dir", copy]
    end = "): name another folder with --out-dir, or remove this one."
    refused((f"{RESULTS} holds results of other options (basins", end), "LSTM_test.py", *run, "--basins", "96000001")
    refused(("other options (data_dir", end), "LSTM_test.py", *run, "--data-dir", data)
    refused(("other options (basins, seed", end), "LSTM_output_Cn.py", *run)
    out, series = ["--out-dir", copy / RESULTS], copy / RESULTS / "series.nc"
    refused(("other options (period", end), "LSTM_test.py", *run, "--period", "2006-10-01", "2006-10-31", *out)
    refused(("other options (period, series", end), "LSTM_test.py", "--series", series, *out)
    assert {path: path.stat().st_mtime_ns for path in copy.rglob("*")} == before
    moved = shutil.move(data, data.parent / "moved")
    shutil.copytree(moved, data)
    other = {"run_dir": str(copy), "data_dir": str(data), "out_dir": str(copy / "new"), "metrics": "NSE"}
    LSTM_test.main(LSTM_test.Settings(**other))
    shutil.rmtree(data)
    LSTM_test.main(LSTM_test.Settings(**other | {"data_dir": str(moved)}))  # data that moved are the same
