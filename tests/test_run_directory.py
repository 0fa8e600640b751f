"""The run directory: what it holds, and that one which is damaged, old or from a stranger is refused in a sentence."""

import io
import json
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import change, edit, file_of, same_weights

import hydrodata_tf as hydrodata
import LSTM_output_Cn
import LSTM_probe
import LSTM_test
import LSTM_train
from running import runs, settings
from writing.files import read_json
from writing.messages import InputError

RESULTS = "test_2006-10-01_2007-09-30"


def refused_by(path, words, *scripts):
    """Every script refuses the run in these words, and nothing is written."""
    before = sorted(path.parent.rglob("*"))
    for script in scripts or (LSTM_test, LSTM_output_Cn, LSTM_probe):
        with pytest.raises(InputError) as problem:
            script.main(script.Settings(run_dir=str(path)))
        assert words in str(problem.value) and "\n" not in str(problem.value)
    assert sorted(path.parent.rglob("*")) == before


def test_it_holds_what_the_other_scripts_need(run_dir, demo):
    content = read_json(run_dir / "settings.json")
    assert content["format"] == settings.FORMAT and content["settings"]["hidden_size"] == 6
    assert content["versions"]["keras"] and content["git_commit"]
    normalisation = read_json(run_dir / "normalisation.json")
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
    parts = history["streamflow_loss"] + history["soil1_loss"] + history["swe_loss"]
    np.testing.assert_allclose(history["loss"], parts)
    assert history["loss"].iloc[-1] < history["loss"].iloc[0]
    assert history["learning_rate"].is_monotonic_decreasing and 0 <= history["learning_rate"].iloc[-1] < 0.002
    assert (run_dir / "seed_1" / "history.png").stat().st_size > 10_000


# Settings


@pytest.mark.parametrize(
    "option, value, words",
    [
        *(("hidden_size", value, "hidden_size must be a whole number, not") for value in ("6", 6.5, True)),
        *(("hidden_size", value, "does not hold the weights that settings.json describes") for value in (5, -1)),
        *(("data_dir", value, "data_dir must be a text") for value in (["x"], None)),
        ("forcing", {"a": 1}, "forcing must be several values, each a text"),
        *(
            ("test_period", value, "test_period must be 2 values, each a text")
            for value in (["2006-10-01"], [1, 2], "2006")
        ),
        ("dropout", "0", "dropout must be a number"),
        ("dropout", 2, "does not hold the weights that settings.json describes"),
        ("weight_dropout", ..., "lacks weight_dropout"),
        *(("concepts", value, "concepts must be several values, each a text") for value in ([1], None)),
        ("concepts", [], "its targets are not streamflow"),
    ],
)
def test_an_option_of_another_kind_is_named_with_its_file(copy, option, value, words):
    edit(copy / "settings.json", f"settings.{option}", value)
    refused_by(copy, f"{copy / 'settings.json'}: {words}" if "must be" in words else words, LSTM_test)


@pytest.mark.parametrize(
    "option, value, words",
    [
        ("learning_speed", 1, "this version knows no option learning_speed"),
        ("epochs", "many", "epochs must be a whole number above 0, not 'many'"),
        ("seed", ["one"], "seed must be several values, each a whole number, not ['one']"),
        ("window", None, "window must be a whole number above 0, not None"),
        ("start_from", 3, "start_from must be a text or nothing"),
        ("distribute", 1, "distribute must be true or false"),
    ],
)
@pytest.mark.parametrize("how", ["--resume", "--start-from"])
def test_a_training_goes_on_from_no_settings_that_it_does_not_understand(refused, copy, how, option, value, words):
    edit(copy / "settings.json", f"settings.{option}", value)
    begun = ("--run-dir", copy) if how == "--resume" else (copy, "--run-dir", copy.parent / "new")
    refused((str(copy / "settings.json"), words), "LSTM_train.py", how, *begun)


def test_one_value_where_several_belong_is_taken_as_one(copy, settings, monkeypatch):
    for option, value in {"seed": 1, "forcing": "daymet", "basins": "96000001", "learning_rate": 1}.items():
        edit(copy / "settings.json", f"settings.{option}", value)
    chosen = LSTM_train.from_command_line(["--resume", "--run-dir", str(copy)])
    assert (chosen.seed, chosen.forcing, chosen.basins) == ((1,), ("daymet",), ("96000001",))
    assert isinstance(chosen.learning_rate, float)
    monkeypatch.setitem(LSTM_train.PRESETS, "demo", settings("x", basins="list.csv", concepts=["a", "b"]))
    chosen = LSTM_train.from_command_line([])
    assert (chosen.basins, chosen.concepts) == (("list.csv",), ("a", "b"))
    monkeypatch.setitem(LSTM_train.PRESETS, "demo", settings("x", train_period="2002-10-01"))
    with pytest.raises(InputError, match="Preset demo in LSTM_train.py: train_period must be 2 values, each a text"):
        LSTM_train.from_command_line([])


# Other files


@pytest.mark.parametrize("name", ["settings.json", "normalisation.json"])
@pytest.mark.parametrize("content", ["[]", "[" * 200_000, '{"format": ' + "9" * 5000 + "}", "\udcff", ""])
def test_json_that_holds_something_else(copy, name, content):
    (copy / name).write_bytes(content.encode(errors="surrogateescape"))
    refused_by(copy, f"{name} is not readable JSON")


@pytest.mark.parametrize(
    "name, part, value, words",
    [
        ("settings", "settings", [], "settings.json holds no settings"),
        ("settings", "format", 99, "run format 99"),
        ("normalisation", "targets", ..., "'targets'"),
        ("normalisation", "targets", {}, "its targets are not streamflow, soil1, swe"),
        ("normalisation", "inputs", ["prcp"], "not what a training writes"),
        ("normalisation", "inputs.prcp", [0], "not what a training writes"),
        ("normalisation", "inputs.prcp", ..., "give it the same data as in training"),
    ],
)
def test_another_format_and_statistics_that_are_none(copy, name, part, value, words):
    edit(copy / f"{name}.json", part, value)
    refused_by(copy, words, LSTM_test)


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("96000001", "97000002", "basin 97000002 stands there twice"),
        ("96000001", "../x", "is not a basin id"),
        ("mean_swe", "mean_snow", "mean_swe"),
        ("99000004,", "99000004,1,2,3,4,5,6,7,8,9,", "is missing or not readable"),
    ],
)
def test_a_basin_table_that_cannot_be_used(refused, copy, old, new, words):
    path = copy / "basins.csv"
    text = path.read_text(encoding="utf-8").replace(old, new, 1)
    path.write_text(text, encoding="utf-8")
    refused_by(copy, words)
    refused(words, "LSTM_train.py", "--resume", "--run-dir", copy)


def test_a_folder_that_holds_no_run(copy, settings, tmp_path):
    refused_by(tmp_path / "none", "There is no run directory")
    (tmp_path / "other").mkdir()
    refused_by(tmp_path / "other", "is not a run directory: settings.json is missing")
    (tmp_path / "other" / "thesis.tex").write_text("")
    with pytest.raises(InputError, match="holds other files and no run"):
        LSTM_train.main(settings(tmp_path / "other"))
    for seed in (1, 2):
        shutil.rmtree(copy / f"seed_{seed}")
    (copy / ("seed_" + "9" * 30)).mkdir()
    refused_by(copy, "holds no trained model yet: run LSTM_train.py --resume")


def test_a_run_goes_on_where_its_data_moved(refused, copy, data, settings):
    gone = copy.parent / "gone"
    edit(copy / "settings.json", "settings.data_dir", str(gone))
    refused(str(gone), "LSTM_train.py", "--resume", "--run-dir", copy)
    LSTM_train.main(LSTM_train.from_command_line(["--resume", "--run-dir", str(copy), "--data-dir", str(data)]))
    assert runs.load_run(copy).settings["data_dir"] == str(data)  # which the other scripts take then
    assert read_json(copy / "settings.json")["settings"]["epochs"] == 3
    change(file_of(data, "streamflow", "96000001"), 4, "-999", lambda number: number == 1000)
    with pytest.raises(InputError, match="The data changed since .*copy was begun"):
        LSTM_train.main(LSTM_train.from_command_line(["--resume", "--run-dir", str(copy)]))


def test_a_run_goes_on_where_its_base_moved_and_with_no_other_and_keeps_its_basins(run_dir, copy, settings, tmp_path):
    base, other = copy.rename(tmp_path / "base"), tmp_path / "other"
    listed = tmp_path / "list.txt"
    listed.write_text("96000001\n97000002\n")
    run = tmp_path / "run"
    LSTM_train.main(settings(run, start_from=str(base), basins=str(listed), epochs=1, seed=(1,)))
    listed.write_text("96000001\n97000002\n98000003\n")  # the list grew since
    shutil.copytree(base, other)
    edit(
        other / "settings.json", "learned_from", [{"run": "other", "period": ["1990-10-01"] * 2, "basins": "96000001"}]
    )
    (tmp_path / "elsewhere").mkdir()
    moved = base.rename(tmp_path / "elsewhere" / "base")

    def go_on(*words):
        LSTM_train.main(LSTM_train.from_command_line(["--resume", "--run-dir", str(run), *words]))

    with pytest.raises(InputError, match="There is no run directory .*base, with which .*run begins: put it back"):
        go_on()
    with pytest.raises(InputError, match="run was not begun with --start-from .*other: leave it out, or"):
        go_on("--start-from", str(other))
    go_on("--start-from", str(moved), "--seed", "2")
    assert runs.load_run(run).seeds == [1, 2] and list(runs.load_run(run).basins.index) == ["96000001", "97000002"]
    go_on()  # where it is now is kept


def test_data_that_changed_are_no_longer_those_of_the_run(copy, data, settings):
    change(file_of(data, "streamflow", "96000001"), 4, "-999", lambda number: number == 1000)
    edit(copy / "settings.json", "settings.data_dir", str(data))
    with pytest.raises(InputError, match=f"The data changed since {copy} was begun"):
        LSTM_train.main(settings(copy, data_dir=str(data), resume=True))


def test_rounding_is_no_change_of_the_data(copy, settings):
    mean, std = read_json(copy / "normalisation.json")["inputs"]["prcp"]
    edit(copy / "normalisation.json", "inputs.prcp", [mean * (1 + 1e-7), std * (1 - 1e-7)])
    LSTM_train.main(settings(copy, resume=True))  # nothing is left to do
    statistics = runs.read_normalisation(copy, settings("x").concepts)
    assert runs.same_statistics(statistics, statistics | {"inputs": statistics["inputs"]})
    inputs = statistics["inputs"]
    for other in (
        {"inputs": inputs | {"prcp": [mean * 1.00001, std]}},
        {"period": ["2002-10-01", "2005-09-29"]},
        {"inputs": inputs | {"prcp": [mean, std * 1.00001]}},
        {"inputs": dict(reversed(inputs.items()))},
    ):
        assert not runs.same_statistics(statistics, statistics | other)


# Models from strangers


class Payload:
    """Whoever unpickles this makes the canary."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return Path.touch, (self.canary,)


def write_zip(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def test_weights_that_are_no_numbers(copy):
    model = runs.load_run(copy).model(1)
    model.set_weights([weights * np.nan for weights in model.get_weights()])
    runs.write_model(copy / "seed_1" / "model.keras", model)
    refused_by(copy, "weights that are not finite", LSTM_test)


def test_model_files_that_are_something_else(copy, tmp_path):
    path, canary = copy / "seed_1" / "model.keras", tmp_path / "canary"
    poison = pickle.dumps(Payload(canary))
    pickle.loads(poison)
    assert canary.exists()  # so the canary works
    canary.unlink()
    pickled = io.BytesIO()
    write_zip(pickled, {"model.weights.h5": poison})
    for content in (b"not a zip", poison, pickled.getvalue(), path.read_bytes()[:-100]):
        path.write_bytes(content)
        refused_by(copy, f"{path} does not hold the weights", LSTM_test)
    assert not canary.exists()


def test_nothing_but_weights_is_read_from_a_model_file(copy, run_dir, tmp_path):
    """The layers that config.json names and further members with paths change nothing and do nothing."""
    canary, path = tmp_path / "canary", copy / "seed_1" / "model.keras"
    call = {"module": "os", "class_name": "system", "config": {"command": f"touch {canary}"}, "registered_name": None}
    layer = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": call, "name": "lambda"}}
    config = {"module": "builtins", "class_name": "eval", "config": {"layers": [layer, call]}, "build_config": call}
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members |= {"config.json": json.dumps(config), "metadata.json": json.dumps(call), "../canary": b""}
    members["assets/model.pkl"] = pickle.dumps(Payload(canary))
    write_zip(path, members)
    before = set(tmp_path.rglob("*"))
    LSTM_test.main(LSTM_test.Settings(run_dir=str(copy), out_dir=str(tmp_path / "out")))
    assert same_weights(copy, run_dir)
    new = set(tmp_path.rglob("*")) - before
    assert len(new) > 5 and all(p.is_relative_to(tmp_path / "out") for p in new), new
