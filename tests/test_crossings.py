"""Features that meet: folds, members, starts from another run, stops, means of runs, new basins, units, periods."""

import shutil

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import CONCEPTS, change, edit, file_of, same_weights

import hydrodata_tf as hydrodata
import LSTM_output_Cn
import LSTM_test
import LSTM_train
from libs_tf import keras
from reading import windows
from running import groups, runs
from writing.messages import InputError

PERIOD = ("2006-10-01", "2007-09-30")
RESULTS = "test_2006-10-01_2007-09-30"
SEEDS = (1, 2)
SOIL, SWE = CONCEPTS
IN_CM = SWE.replace("[mm]", "*0.1[cm]")


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
    with pytest.raises(InputError, match="holds 1 of 2 folds: go on with .*LSTM_train.py --resume"):
        groups.load_group([root / "folds"])
    LSTM_train.main(LSTM_train.from_command_line(["--resume", "--run-dir", str(root / "folds")]))
    return root, basins


def test_folds_that_were_stopped_are_those_that_were_not(crossed):
    root, basins = crossed
    base = runs.load_run(root / "base")
    for fold in ("fold_1", "fold_2"):
        for seed in SEEDS:
            assert same_weights(root / "folds" / fold, root / "whole" / fold, seed)
        run = runs.load_run(root / "folds" / fold)
        assert run.normalisation["inputs"] == base.normalisation["inputs"] and run.seeds == list(SEEDS)
    trained = [set(runs.load_run(root / "folds" / f"fold_{k}").basins.index) for k in (1, 2)]
    assert not trained[0] & trained[1] and trained[0] | trained[1] == set(basins[:3])


def test_a_basin_is_scored_by_the_mean_of_all_runs_that_never_saw_it(crossed, demo, capsys):
    root, basins = crossed
    LSTM_test.main(LSTM_test.Settings(run_dir=str(root / "folds"), basins=basins, metrics="NSE"))
    lines = capsys.readouterr().out.splitlines()
    assert f"In none of the folds: {basins[3]}. Scored by the mean of all 2 runs." in lines
    known = f"base, with which the folds began, learned from 1 of 4 basins, which are not ungauged: {basins[3]}."
    assert lines.count(f"Note: {known}") == 1
    inside = [runs.load_run(root / "folds" / fold) for fold in ("fold_1", "fold_2")]
    run = next(run for run in inside if basins[0] not in run.basins.index)
    unseen = [basin for basin in basins if basin not in run.basins.index]
    assert lines[-1].endswith(f"LSTM_output_Cn.py --run-dir {run.path} --basins {' '.join(unseen)} --format page")
    results = next((root / "folds").glob(f"{RESULTS}_4_basins_*"))  # those that were trained on are the usual ones
    series = xr.load_dataset(results / "series.nc")
    assert series.attrs["learned_from"] == known
    assert list(series.member.values) == ["seed 1", "seed 2", "mean of members"] and list(series.basin.values) == basins
    scores = pd.read_csv(results / "scores.csv", dtype={"basin": str}).set_index(["target", "member", "basin"])
    folds = [root / "folds" / f"fold_{k}" for k in (1, 2)]
    known = [pd.read_csv(fold / "basins.csv", dtype=str)["basin"].tolist() for fold in folds]

    # What the model files, loaded by Keras alone, give after the spin-up year: (fold, seed, basin, day, target).
    data = hydrodata.open_data(demo, concepts=CONCEPTS)
    forcing, observed = data.read(slice(None), np.arange(np.datetime64("2005-10-01"), np.datetime64("2007-10-01")))
    inputs, observed = {"forcing": forcing, "attributes": data.attributes.to_numpy()}, observed[:, 365:].astype(float)
    given = np.array([
        [keras.saving.load_model(fold / f"seed_{seed}" / "model.keras").predict(inputs, verbose=0) for seed in SEEDS]
        for fold in folds
    ])[..., 365:, :]  # fmt: skip
    for b, basin in enumerate(basins):
        unseen = [basin not in trained for trained in known]
        assert sum(unseen) == (2 if basin == basins[3] else 1)
        by_seed = given[unseen, :, b].mean(axis=0)
        assert np.abs(by_seed[0] - by_seed[1]).max() > 1e-3
        for member, values in zip(series.member.values, [*by_seed, by_seed.mean(axis=0)], strict=True):
            for k, name in enumerate(data.targets):
                got = series[f"{name}_simulated"].sel(basin=basin, member=member)
                np.testing.assert_allclose(got, values[:, k], rtol=1e-4, atol=1e-4)
                there = np.isfinite(observed[b, :, k])
                truth, error = observed[b, there, k], observed[b, there, k] - values[there, k]
                nse = 1 - (error**2).sum() / (truth.var() * len(truth)) if truth.var() else np.nan  # without snow
                assert scores.loc[(name, member, basin), "NSE"] == pytest.approx(nse, abs=1e-3, rel=1e-3, nan_ok=True)


def test_folds_without_names_are_scored_on_what_they_were_trained_on(crossed):
    root, basins = crossed
    group = groups.load_group(root / "folds")
    assert group.data(*PERIOD)[0].basins == basins[:3]
    with pytest.raises(InputError, match="in their order; there is none for folds"):
        LSTM_test.main(LSTM_test.Settings(run_dir=str(root / "folds"), begin_with=("a.nc", "b.nc")))


def test_folds_do_not_begin_with_a_run_that_knows_their_basins(crossed, settings, tmp_path):
    root, basins = crossed
    chosen = {"hidden_size": 4, "start_from": str(root / "base"), "folds": 2}
    with pytest.raises(InputError, match=rf"base learned from 1 of the 4 basins \({basins[3]}\), which no fold could"):
        LSTM_train.main(settings(tmp_path / "folds", **chosen))
    chosen["start_from"] = str(root / "folds" / "fold_1")  # it knows what its own base knows, too
    with pytest.raises(InputError, match="fold_1 learned from [23] of the 4 basins"):
        LSTM_train.main(settings(tmp_path / "folds", **chosen))
    assert not (tmp_path / "folds").exists()


# Days that were learned from


@pytest.fixture(scope="module")
def later(run_dir, settings, demo, tmp_path_factory):
    """A run that began with another one, of two of its basins, with other years and snow in cm; hardly trained."""
    path = tmp_path_factory.mktemp("later") / "later"
    basins = hydrodata.open_data(demo).basins
    periods = {"train_period": ("2005-10-01", "2006-09-30"), "valid_period": ("2004-10-01", "2005-09-30")}
    chosen = {"basins": basins[:2], "concepts": (SOIL, IN_CM), "epochs": 1, "learning_rate": 1e-9, "seed": (1,)}
    began = {"start_from": str(run_dir), "test_period": ("2003-10-01", "2004-09-30")}
    LSTM_train.main(settings(path, **periods, **chosen, **began))
    return path


def days_of(results):
    """learned_days of scores.csv: dict member -> list (basin)."""
    scores = pd.read_csv(results / "scores.csv", dtype={"basin": str})
    return {member: rows["learned_days"].tolist() for member, rows in scores.groupby("member")
            for _, rows in list(rows.groupby("target"))[:1]}  # fmt: skip


def test_a_training_says_that_it_will_be_judged_on_what_its_base_learned_from(later, run_dir, capsys):
    LSTM_train.main(LSTM_train.from_command_line(["--resume", "--run-dir", str(later)]))
    said = (
        f"{run_dir.name} (2002-10-01 to 2005-09-30) learned from {{}} in 2 of 2 basins, which are no independent test."
    )
    lines = capsys.readouterr().out.splitlines()
    for option, days in (("valid", "365 of the 365 days from 2004-10-01 to 2005-09-30"),
                         ("test", "366 of the 366 days from 2003-10-01 to 2004-09-30")):  # fmt: skip
        assert lines.count(f"Note: --{option}-period: {said.format(days)}") == 1, lines


def test_every_score_and_dump_says_which_days_were_learned_from(later, run_dir, demo, tmp_path, capsys):
    basins = hydrodata.open_data(demo).basins
    options = {"period": ("2005-09-01", "2005-10-31"), "metrics": "NSE", "basins": basins, "out_dir": str(tmp_path)}
    LSTM_test.main(LSTM_test.Settings(run_dir=(str(run_dir), str(later)), **options))
    own, all_of = f"{run_dir.name} seed", 61
    assert days_of(tmp_path) == {
        f"{own} 1": [30] * 4, f"{own} 2": [30] * 4, "later seed 1": [all_of, all_of, 30, 30],
        "mean of members": [all_of, all_of, 30, 30],
    }  # fmt: skip
    mine = "later (2005-10-01 to 2006-09-30) learned from"
    said = (f"{run_dir.name} (2002-10-01 to 2005-09-30), {mine} 61 of the 61 days from 2005-09-01 to 2005-10-31 in 4 "
            "of 4 basins, which are no independent test.")  # fmt: skip
    assert capsys.readouterr().out.splitlines().count(f"Note: {said}") == 1
    assert xr.load_dataset(tmp_path / "series.nc").attrs["learned_from"] == said
    for form in ("csv", "netcdf", "page"):
        chosen = {"period": ("2006-08-01", "2006-10-31"), "format": form, "out_dir": str(tmp_path)}
        LSTM_output_Cn.main(LSTM_output_Cn.Settings(run_dir=str(later), **chosen))
        said = (
            f"{mine} 61 of the 92 days from 2006-08-01 to 2006-10-31 in 2 of 2 basins, which are no independent test."
        )
        assert f"Note: {said}" in capsys.readouterr().out.splitlines()
    assert xr.load_dataset(tmp_path / "Cn.nc").attrs["learned_from"] == said
    assert f'"learned from": "{said}"' in (tmp_path / "Cn.html").read_text(encoding="utf-8")
    LSTM_output_Cn.main(LSTM_output_Cn.Settings(run_dir=str(later), period=PERIOD, out_dir=str(tmp_path)))
    assert "learned from" not in capsys.readouterr().out


def test_lessons_are_kept_with_the_run_and_found_by_those_of_before(later, run_dir, tmp_path, capsys):
    kept = runs.load_run(later).lessons
    ids = frozenset(runs.load_run(run_dir).basins.index)
    assert [(one.run, one.start, len(one.basins)) for one in kept] == [
        ("later", "2005-10-01", 2), (run_dir.name, "2002-10-01", 4)]  # fmt: skip
    assert kept[1].basins == ids
    old = shutil.copytree(later, tmp_path / "later")
    edit(old / "settings.json", "learned_before", ...)
    assert runs.load_run(old).lessons == kept and "not known" not in capsys.readouterr().out
    edit(old / "settings.json", "settings.start_from", str(tmp_path / "gone"))
    assert runs.load_run(old).lessons == kept[:1]
    assert f"Note: {old} began with {tmp_path / 'gone'}, which is not there any more" in capsys.readouterr().out
    edit(old / "settings.json", "settings.start_from", str(old))  # a folder that was trained anew from its own child
    assert [one.run for one in runs.load_run(old).lessons] == ["later", "later"]
    for damaged in (None, [1], [{"run": "a", "period": ["2001-01-01"], "basins": "b"}], [{"run": "a"}]):
        edit(old / "settings.json", "learned_before", damaged)
        with pytest.raises(InputError, match="settings.json: learned_before is not what a training writes"):
            runs.load_run(old)


# Quantities


def simulated(results, name, member):
    with xr.open_dataset(results / "series.nc") as file:
        return file[f"{name}_simulated"].sel(member=member).values


def test_snow_in_another_unit_is_the_same_snow(later, run_dir, demo, tmp_path):
    """A run that began with one in mm, learns in cm and was hardly trained reads a tenth; a mean is in the first's."""
    basins, outs = hydrodata.open_data(demo).basins, {}
    for name, folders in {
        "mm": (run_dir,),
        "cm": (later,),
        "mm first": (run_dir, later),
        "cm first": (later, run_dir),
    }.items():
        outs[name] = tmp_path / name
        LSTM_test.main(LSTM_test.Settings(run_dir=tuple(map(str, folders)), period=PERIOD, basins=basins, metrics="NSE",
                                          out_dir=str(outs[name])))  # fmt: skip
    mm, other = (simulated(outs["mm"], "swe", f"seed {seed}") for seed in SEEDS)
    cm = simulated(outs["cm"], "swe", "seed 1")
    assert np.nanmax(mm) > 20
    np.testing.assert_allclose(cm * 10, mm, rtol=1e-3, atol=1e-2)
    np.testing.assert_allclose(
        simulated(outs["mm first"], "swe", "mean of members"), (mm + other + cm * 10) / 3, rtol=1e-4, atol=1e-3
    )
    np.testing.assert_allclose(
        simulated(outs["cm first"], "swe", "mean of members"), (mm / 10 + other / 10 + cm) / 3, rtol=1e-4, atol=1e-4
    )
    nse = {name: pd.read_csv(out / "summary.csv").query("target == 'swe' and metric == 'NSE'")["median"].iloc[-1]
           for name, out in outs.items()}  # fmt: skip
    assert nse["mm first"] == pytest.approx(nse["cm first"], abs=1e-4)
    with xr.open_dataset(outs["cm first"] / "series.nc") as file:
        assert file["swe_simulated"].attrs["units"] == "cm"
    # Where there is snow is judged in the unit of each run: two basins are known to one in mm alone.
    counted = [
        pd.read_csv(out / "scores.csv")["note"].notna().sum() / pd.read_csv(out / "scores.csv")["member"].nunique()
        for out in outs.values()
    ]
    assert len(set(counted)) == 1


def test_two_things_of_one_name_have_no_mean_and_are_learned_anew(run_dir, copy, settings, tmp_path, capsys):
    edit(copy / "settings.json", "settings.concepts", [SOIL, "swe" + SOIL.removeprefix("soil1")])
    with pytest.raises(
        InputError, match="swe is volumetric_soil_water_layer_1_mean in .* and snow_depth_water_equ.*: these are two"
    ):
        groups.load_group([run_dir, copy])
    edit(copy / "settings.json", "settings.concepts", [SOIL, SWE.replace("[mm]", "[cm]")])
    with pytest.raises(InputError, match="times 1 in cm in .*, and times 1 in mm in .*, which cannot both be right"):
        groups.load_group([copy, run_dir])
    edit(copy / "settings.json", "settings.concepts", [SOIL, SWE.replace("[mm]", "[m of snow]")])
    with pytest.raises(InputError, match="swe is in m of snow in .*, in mm in .* cannot be turned"):
        groups.load_group([copy, run_dir])

    base, texts = runs.load_run(run_dir), [SWE.replace("swe=", "new="), "swe" + SOIL.removeprefix("soil1"), SOIL]
    shared = base.shared_concepts(texts)
    assert shared == {"soil1": 1.0} and base.shared_concepts([IN_CM]) == {"swe": pytest.approx(0.1)}
    said = (
        f"Note: swe is volumetric_soil_water_layer_1_mean here, and was snow_depth_water_equivalent_mean in {run_dir}"
    )
    assert capsys.readouterr().out.startswith(said)
    targets = {name: [5.0, 2.0] for name in ("streamflow", "new", "swe", "soil1")}
    given = base.statistics_with(base.normalisation | {"targets": targets}, shared)["targets"]
    mine = base.normalisation["targets"]
    assert given == {"streamflow": mine["streamflow"], "new": [5, 2], "swe": [5, 2], "soil1": mine["soil1"]}


# Data that are others than in training


def test_data_that_changed_since_are_told_in_a_line(copy, data, settings, tmp_path, capsys):
    changed, line = "96000001", "Note: The data are not those that {} learned from, in {} of basins {}."

    def said(script, *words, **options):
        script.main(script.Settings(run_dir=str(copy), data_dir=str(data), out_dir=str(tmp_path / "out"), **options))
        return [text for text in capsys.readouterr().out.splitlines() if text.startswith("Note: The data")]

    assert said(LSTM_test, metrics="NSE") == said(LSTM_output_Cn) == []
    table = pd.read_csv(copy / "basins.csv", dtype={"basin": str}, index_col="basin")
    for column in ("mean_prcp", "mean_swe", "attribute_elev_mean"):  # the rounding of another processor
        table[column] *= 1 + 1e-8
    table.to_csv(copy / "basins.csv")
    assert said(LSTM_test, metrics="NSE") == []
    change(file_of(data, "streamflow", changed), 4, "9.00", lambda number: number == 1000)
    change(file_of(data, "forcing", "97000002"), 5, "9.00", lambda number: number == 1000)
    expected = [line.format(copy, "prcp, streamflow", f"{changed}, 97000002")]
    assert said(LSTM_test, metrics="NSE") == said(LSTM_output_Cn, format="netcdf") == expected
    assert said(LSTM_test, metrics="NSE", basins="98000003") == []
    late = runs.load_run(copy)
    late.normalisation["period"] = ["1990-10-01", "1991-09-30"]  # the data do not reach the training period
    late.note_changes(late.data(*PERIOD, data_dir=data), CONCEPTS)
    assert "not those" not in capsys.readouterr().out
    LSTM_train.main(settings(tmp_path / "new", data_dir=str(data), start_from=str(copy), epochs=1, basins=changed))
    lines = capsys.readouterr().out.splitlines()
    assert [text for text in lines if "not those" in text] == [line.format(copy, "streamflow", changed)]
    # A run of before knows its targets alone.
    table[[name for name in table if not name.startswith(("mean_prcp", "attribute_"))]].to_csv(copy / "basins.csv")
    assert said(LSTM_test, metrics="NSE") == [line.format(copy, "streamflow", changed)]
