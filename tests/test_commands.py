"""The house as it shall stand: arrows go down, files stay short, commands and README do what they say."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import LSTM_train
from writing import messages

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ("LSTM_train", "LSTM_test", "LSTM_output_Cn", "LSTM_probe")
# From top to bottom: a file imports what stands in its own room or in one below it.
FLOORS = [SCRIPTS, ["probing"], ["running"], ["hydrodata_tf"], ["reading"], ["libs_tf", "cn_loss"], ["writing"]]
ROOMS = ("reading", "running", "probing", "writing")
PATHS = [path for folder in (".", *ROOMS) for path in (ROOT / folder).glob("*.py")]
FILES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in PATHS}
PERIOD = ("2005-10-01", "2007-09-30")
RESULTS = "2005-10-01_2007-09-30"
TEXTS = {name: path.read_text(encoding="utf-8") for name, path in FILES.items()}


def floor_of(name):
    return next(number for number, names in enumerate(FLOORS) if name.split(".")[0] in names)


def imports_of(name):
    """Names of our files that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(TEXTS[name])):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found & set(FILES)


def test_the_root_holds_the_scripts_and_libraries_that_users_know_by_name():
    assert {path.stem for path in ROOT.glob("*.py")} == {*SCRIPTS, "hydrodata_tf", "libs_tf", "cn_loss"}


def test_arrows_go_down_without_a_circle_and_nobody_imports_a_script():
    left = {name: imports_of(name) for name in FILES}
    alone = {"libs_tf": {"writing"}, "cn_loss": {"writing"}, "reading": {"reading", "writing"}}
    for name, needs in left.items():
        assert not needs & set(SCRIPTS), name
        assert all(floor_of(name) <= floor_of(other) for other in needs), f"{name} imports {needs}"
        room = name.split(".")[0]
        assert room not in alone or {need.split(".")[0] for need in needs} <= alone[room], f"{name} imports {needs}"
    while left:
        ground = {name for name, needs in left.items() if not needs & set(left)}
        assert ground, f"a circle among {sorted(left)}"
        left = {name: needs for name, needs in left.items() if name not in ground}


def test_every_file_is_short_says_what_it_is_and_leaves_text_and_notes_to_one_place():
    for name, text in TEXTS.items():
        assert len(text.splitlines()) <= 500, name
        assert len(ast.get_docstring(ast.parse(text)).splitlines()[0]) > 30, name
        assert "warnings.warn" not in text, name
        if name.startswith(("hydrodata_tf", "reading.")):
            assert not re.search(r"frombuffer|fromfile|tofile|fromstring", text), name
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_headline_numbers_are_the_same_on_every_page():
    """Every number that README prints bold is bold in results.md, and promises.md repeats those of the benchmark."""
    pages = ("README.md", "docs/results.md", "docs/promises.md")
    readme, results, promises = ((ROOT / name).read_text(encoding="utf-8") for name in pages)
    table = readme[readme.index("## How good it is") : readme.index("## Words")]
    bold = re.findall(r"\*\*([0-9.]+)\*\*", table)
    assert len(bold) >= 6 and set(bold) <= set(re.findall(r"\*\*([0-9.]+)\*\*", results))
    benchmark = next(line for line in table.splitlines() if "published benchmark" in line)
    told = promises[promises.index("On the published benchmark") :].partition("([results]")[0]
    assert set(re.findall(r"0\.[0-9]{3}", told)) == set(re.findall(r"0\.[0-9]{3}", benchmark)) - {"0.005"}


def test_a_public_name_means_one_thing():
    seen = {}
    for name, text in TEXTS.items():
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                seen.setdefault(node.name, []).append(name)
    # Every script has its settings and its main function.
    assert {name for name, files in seen.items() if len(files) > 1} <= {"Settings", "main"}


def test_every_promise_is_held_by_a_test_that_is_there():
    tests = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "tests").glob("test_*.py")}
    named = re.findall(r"`(test_\w+|tests/\w+\.py)", (ROOT / "docs" / "promises.md").read_text(encoding="utf-8"))
    assert len(named) > 40
    for name in named:
        assert name.removeprefix("tests/") in tests or any(f"def {name}(" in text for text in tests.values()), name


def test_both_environments_pin_the_same():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pins = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    lines = (ROOT / "environment.yml").read_text(encoding="utf-8").splitlines()
    conda = [line.strip("- ") for line in lines if "==" in line]
    assert sorted(conda) == sorted(pins) and len(pins) > 10


# Commands


def run(*words, cwd=ROOT, **more):
    """What a command prints as a user starts it; TensorFlow's own lines alone may come on the error stream."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")} | more
    options = {"cwd": cwd, "env": environment, "capture_output": True, "text": True, "encoding": "utf-8"}
    done = subprocess.run([sys.executable, *map(str, words)], timeout=600, **options)
    own = ("I0000", "WARNING: All log messages before absl")
    error = [line for line in done.stderr.splitlines() if not line.startswith(own)]
    assert (done.returncode, error) == (0, []), done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def commands(demo, tmp_path_factory):
    """A run of six members made by the scripts as commands, on the small demo.

    Trained from another folder, with a user's own file for Keras.
    """
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    path = elsewhere / "runs" / "six"
    (elsewhere / "keras.json").write_text('{"floatx": "float16", "backend": "tensorflow"}')
    own = {"cwd": elsewhere, "KERAS_HOME": str(elsewhere)}
    periods = {"train": ("2002-10-01", "2004-09-30"), "valid": ("2004-10-01", "2005-09-30"), "test": PERIOD}
    options = [word for name, days in periods.items() for word in (f"--{name}-period", *days)]
    options += ["--data-dir", demo, "--hidden-size", 6, "--epochs", 1, "--seed", *range(1, 7)]
    printed = [run(ROOT / "LSTM_train.py", "--run-dir", "runs/six", *options, **own)]
    printed.append(run("LSTM_test.py", "--run-dir", path, "--metrics", "NSE", "KGE"))
    printed.append(run("LSTM_output_Cn.py", "--run-dir", path))
    printed.append(run("LSTM_output_Cn.py", "--run-dir", path, "--format", "netcdf", "--gates"))
    printed.append(run("LSTM_probe.py", "--run-dir", path, "--intervention-basins", 2))
    return path, printed


def test_the_four_scripts_as_commands(commands):
    path, (train, test, states, _, probe) = commands
    assert "LSTM_test.py --run-dir runs/six\n" in train and "median" in test and "KGE" in test and "seed 6" in test
    assert "Cell states of 4 basins" in states and "untrained LSTM" in probe
    assert {p.name for p in path.iterdir()} >= {"settings.json", "seed_1", f"test_{RESULTS}", f"states_{RESULTS}"}
    with np.load(path / "seed_1" / "checkpoint.npz") as trained:  # numbers of 32 bits, whatever keras.json says
        assert np.float16 not in {trained[name].dtype.type for name in trained.files}


def test_the_command_line_is_read_before_tensorflow():
    """Also of the presets; and a run directory that is not there is told then."""
    code = """
import runpy, sys
for words, code in ((["test"], 0), (["output_Cn"], 0), (["probe"], 0), (["train"], 0), (["train", "camels"], 0),
                    (["train", "caravan"], 0), (["train", "--start-from", "misspelt"], 2),
                    (["train", "--resume", "--run-dir", "misspelt"], 2), (["test", "--run-dir", "misspelt"], 2),
                    (["output_Cn", "--run-dir", "misspelt"], 2), (["probe", "--run-dir", "misspelt"], 2)):
    script, *words = words
    sys.argv = [f"LSTM_{script}.py", *words, *([] if code else ["--help"])]
    sys.stderr = sys.stdout
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except SystemExit as stop:
        assert stop.code == code, words
    assert not {"tensorflow", "keras", "jax", "pandas"} & set(sys.modules), words
"""
    shown = run("-c", code)
    assert shown.count("--run-dir") >= 6 and "There is no run directory misspelt" in shown
    for words in ("runs/demo", "runs/camels", "maurer_extended", "uaz_swe", "runs/caravan"):
        assert words in shown


@pytest.mark.parametrize(
    "words, said",
    [
        (
            ["--resume", "--run-dir", "none"],
            "There is no run in none to go on with: name another --run-dir, or begin it",
        ),
        (["--resume", "--run-dir", "none", "--seed", 3, "--data-dir", "x"], "There is no run in none to go on with"),
        (["--resume", "--run-dir", "none", "--start-from", "nor this"], "There is no run directory nor this"),
        (["--start-from", "{run}/seed_1", "--run-dir", "none"], "seed_1 is not a run directory"),
        (
            ["camels", "--start-from", "{run}"],
            "With --start-from the settings of {run} hold: leave out the preset camels",
        ),
        (
            ["demo", "--resume", "--run-dir", "{run}"],
            "{run} was trained with other settings (attribute_noise, batch_size, ",
        ),
    ],
)
def test_what_is_gone_on_with_is_there_and_keeps_its_settings(refused, copy, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    refused(said.format(run=copy), "LSTM_train.py", *(str(word).format(run=copy) for word in words))
    assert not (tmp_path / "none").exists() and not (tmp_path / "demo").exists()


def test_a_run_that_is_not_there_is_begun_by_resume_if_the_words_say_what(settings, run_dir):
    def chosen(*words):
        return LSTM_train.from_command_line(["--resume", "--run-dir", "none", *words])

    assert chosen("--epochs", "7").epochs == 7
    begun = chosen("--start-from", str(run_dir), "--seed", "5")  # what is trained is what the other run trained
    assert (begun.hidden_size, begun.seed, begun.start_from, begun.resume) == (6, (5,), str(run_dir), True)
    camels = LSTM_train.from_command_line(["camels", "--resume", "--run-dir", "none", "--seed", "2"])
    assert (camels.warmup_days, camels.seed, camels.resume) == (270, (2,), True)


@pytest.mark.skipif(os.name == "nt", reason="Windows has other quotes")
def test_a_command_to_type_next_is_quoted_for_the_shell():
    assert messages.command("LSTM_test.py", "--run-dir", "my run") == "LSTM_test.py --run-dir 'my run'"


@pytest.mark.parametrize("first", ["2006", "2006-10", "20061001", "2006-10-01T12:00", "2006-10-1", "2006-02-30"])
def test_a_date_is_written_in_one_way_in_every_option(refused, run_dir, demo, tmp_path, first):
    said, last = f"{first!r} is not a date; write dates as 1981-10-01.", "2007-09-30"
    for option in ("--train-period", "--valid-period", "--test-period"):
        refused(said, "LSTM_train.py", "--data-dir", demo, "--run-dir", tmp_path / "run", option, first, last)
    for script in ("LSTM_test.py", "LSTM_output_Cn.py", "LSTM_probe.py"):
        refused(said, script, "--run-dir", run_dir, "--period", first, last)


# Results


def test_the_lines_of_the_readme_open_states_and_model(commands, demo, tmp_path, monkeypatch, capsys):
    """The README's Python, run as it stands but for the folders and the period of this test's small run."""
    path, _ = commands
    (tmp_path / "runs").mkdir()
    os.symlink(path, tmp_path / "runs" / "demo", target_is_directory=True)
    os.symlink(demo, tmp_path / "demo", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(xr.DataArray, "plot", lambda self: None)
    readme = (ROOT / "README.md").read_text(encoding="utf-8").replace("2011-10-01_2013-09-30", RESULTS)
    (opened, alone), found = re.findall(r"```python\n(.*?)```", readme, flags=re.DOTALL), {}
    exec(opened, found)
    states = found["states"]
    assert len(states) == 730 and found["dataset"]["c"].dims == ("basin", "date", "cell_state")
    # The cell states are set against what was observed, not against what the probe reads in them.
    printed = dict(line.split() for line in capsys.readouterr().out.splitlines()[:3])
    observed = found["observed"].loc[states.index]
    for name, r in printed.items():
        assert float(r) == pytest.approx(abs(np.corrcoef(states[name], observed)[0, 1]), abs=1e-5)
    exec(alone, found)
    assert len(alone.strip().splitlines()) <= 9
    # The model alone, over the whole record, gives what was written after its spin-up year.
    water = pd.DataFrame(found["water"][0], found["weather"].index, found["model"].targets).loc[states.index]
    wanted = states.drop(columns=[column for column in states if column.startswith("cn_")])
    assert [column.split(" ")[0] for column in wanted] == list(water)
    scale = wanted.abs().max().to_numpy()
    np.testing.assert_allclose(water / scale, wanted / scale, atol=2e-2)  # other spin-up: four years, not one


def test_results_follow_the_conventions_that_other_programs_know(commands):
    path, _ = commands
    for file in (path / f"test_{RESULTS}" / "series.nc", path / f"states_{RESULTS}" / "Cn.nc"):
        with xr.open_dataset(file, decode_times=False) as data:
            assert data.attrs["Conventions"] == "CF-1.8" and data.attrs["featureType"] == "timeSeries"
            assert data.attrs["history"] and data.attrs["title"] and "synthetic" in data.attrs["comment"]
            assert data["basin"].attrs["cf_role"] == "timeseries_id"
            assert data["date"].dtype == np.int32 and data["date"].attrs["standard_name"] == "time"
            assert data["lat"].attrs["units"] == "degrees_north" and {"lat", "lon"} <= set(data.coords)
            assert all(variable.attrs["long_name"] for variable in data.variables.values())
            swe = data["swe" if "swe" in data else "swe_simulated"]
            assert swe.attrs["standard_name"] == "lwe_thickness_of_surface_snow_amount" and swe.attrs["units"] == "mm"
