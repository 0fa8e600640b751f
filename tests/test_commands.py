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

ROOT = Path(__file__).resolve().parent.parent
SCRIPTS = ("LSTM_train", "LSTM_test", "LSTM_output_Cn", "LSTM_probe")
LIBRARIES = ("hydrodata_tf", "libs_tf", "cn_loss")
# From top to bottom: a file imports what stands in its own room or in one below it.
FLOORS = [SCRIPTS, ["probing"], ["running"], ["hydrodata_tf"], ["reading"], ["libs_tf", "cn_loss"], ["writing"]]
ROOMS = ("reading", "running", "probing", "writing")
FILES = {".".join(path.relative_to(ROOT).with_suffix("").parts): path
         for folder in (".", *ROOMS) for path in (ROOT / folder).glob("*.py")}  # fmt: skip
PERIOD = ("2005-10-01", "2007-09-30")
RESULTS = "2005-10-01_2007-09-30"


def floor_of(name):
    return next(number for number, names in enumerate(FLOORS) if name.split(".")[0] in names)


def imports_of(path):
    """Names of our files that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found & set(FILES)


def test_the_root_holds_the_scripts_and_libraries_that_users_know_by_name():
    assert {path.stem for path in ROOT.glob("*.py")} == {*SCRIPTS, *LIBRARIES}


def test_arrows_go_down_without_a_circle_and_nobody_imports_a_script():
    left = {name: imports_of(path) for name, path in FILES.items()}
    for name, needs in left.items():
        assert not needs & set(SCRIPTS), name
        assert all(floor_of(name) <= floor_of(other) for other in needs), f"{name} imports {needs}"
    for name in ("libs_tf", "cn_loss"):
        assert {need.split(".")[0] for need in left[name]} == {"writing"}
    for name in (name for name in FILES if name.startswith("reading.")):
        assert {need.split(".")[0] for need in left[name]} <= {"reading", "writing"}
    while left:
        ground = {name for name, needs in left.items() if not needs & set(left)}
        assert ground, f"a circle among {sorted(left)}"
        left = {name: needs for name, needs in left.items() if name not in ground}


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_file_is_short_and_says_what_it_is(name):
    text = FILES[name].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 600
    assert len(ast.get_docstring(ast.parse(text)).splitlines()[0]) > 30


def test_text_is_read_through_a_library():
    for name in ("hydrodata_tf", *(name for name in FILES if name.startswith("reading."))):
        assert not re.search(r"frombuffer|fromfile|tofile|fromstring", FILES[name].read_text(encoding="utf-8"))


def test_notes_are_said_by_one_function():
    for name, path in FILES.items():
        assert "warnings.warn" not in path.read_text(encoding="utf-8"), name


def test_the_readme_is_one_screen_and_a_half():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


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


def start(*words, cwd=ROOT):
    """Run a command as a user does, without the settings of the tests."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TF_")}
    return subprocess.run([sys.executable, *map(str, words)], cwd=cwd, env=environment, capture_output=True,
                          text=True, encoding="utf-8", timeout=600)  # fmt: skip


def run(*words, cwd=ROOT):
    """What a command prints; nothing may come on the error stream, no warning and no note of a package."""
    done = start(*words, cwd=cwd)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def commands(demo, tmp_path_factory):
    """A run of six members made by the scripts as commands, on the small demo; trained from another folder."""
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    path = elsewhere / "runs" / "six"
    periods = {"train": ("2002-10-01", "2004-09-30"), "valid": ("2004-10-01", "2005-09-30"), "test": PERIOD}
    options = [word for name, days in periods.items() for word in (f"--{name}-period", *days)]
    options += ["--data-dir", demo, "--hidden-size", 6, "--epochs", 1, "--seed", *range(1, 7)]
    printed = [run(ROOT / "LSTM_train.py", "--run-dir", "runs/six", *options, cwd=elsewhere)]
    printed.append(run("LSTM_test.py", "--run-dir", path, "--metrics", "NSE", "KGE"))
    printed.append(run("LSTM_output_Cn.py", "--run-dir", path))
    printed.append(run("LSTM_output_Cn.py", "--run-dir", path, "--format", "netcdf", "--gates"))
    printed.append(run("LSTM_probe.py", "--run-dir", path, "--random-directions", 2, "--intervention-basins", 2))
    return path, printed


def test_the_four_scripts_as_commands(commands):
    path, (train, test, states, _, probe) = commands
    assert "Next: python LSTM_test.py" in train and "median" in test and "KGE" in test and "seed 6" in test
    assert "Cell states of 4 basins" in states and "untrained LSTM" in probe
    assert {p.name for p in path.iterdir()} >= {"settings.json", "seed_1", f"test_{RESULTS}", f"states_{RESULTS}"}


def test_resuming_needs_the_run_directory_alone(commands, command):
    path, _ = commands
    code, out, error = command("LSTM_train.py", "--resume", "--run-dir", path)
    assert (code, error) == (0, "") and "Seed 6: 6 cell states" in out and "going on after epoch 1" in out


def test_presets_and_their_help(command):
    code, shown, _ = command("LSTM_train.py", "camels", "--help")
    assert code == 0 and "maurer_extended" in shown and "runs/camels" in shown and "uaz_swe" in shown
    assert "runs/demo" in command("LSTM_train.py", "--help")[1]
    assert "runs/caravan" in command("LSTM_train.py", "caravan", "--help")[1]


@pytest.mark.parametrize(
    "script, words, code, said",
    [
        ("LSTM_train.py", ["--help"], 0, "--run-dir"),
        ("LSTM_test.py", ["--help"], 0, "--run-dir"),
        ("LSTM_output_Cn.py", ["--help"], 0, "--run-dir"),
        ("LSTM_probe.py", ["--help"], 0, "--run-dir"),
        ("LSTM_train.py", ["--start-from", "misspelt"], 2, "There is no run directory misspelt"),
    ],
)
def test_the_command_line_is_read_before_tensorflow(script, words, code, said):
    lines = [
        "import sys, runpy", f"sys.argv = {[script, *words]!r}",
        f"try: runpy.run_path({script!r}, run_name='__main__')",
        f"except SystemExit as stop: assert stop.code == {code}",
        "assert not {'tensorflow', 'keras', 'jax', 'pandas'} & set(sys.modules)",
    ]  # fmt: skip
    done = start("-c", "\n".join(lines))
    assert done.returncode == 0 and said in done.stdout + done.stderr, done.stderr


@pytest.mark.parametrize("first", ["2006", "2006-10", "20061001", "2006-10-01T12:00", "2006-10-1", "2006-02-30"])
def test_a_date_is_written_in_one_way_in_every_option(refused, run_dir, demo, tmp_path, first):
    said, last = f"{first!r} is not a date; write dates as 1981-10-01.", "2007-09-30"
    for option in ("--train-period", "--valid-period", "--test-period"):
        refused(said, "LSTM_train.py", "--data-dir", demo, "--run-dir", tmp_path / "run", option, first, last)
    for script in ("LSTM_test.py", "LSTM_output_Cn.py", "LSTM_probe.py"):
        refused(said, script, "--run-dir", run_dir, "--period", first, last)


def test_folders_that_are_not_there_are_named_whole(refused, run_dir, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused((str(tmp_path / "nowhere"), "--data-dir"), "LSTM_test.py", "--run-dir", run_dir, "--data-dir", "nowhere")
    for script in ("LSTM_test.py", "LSTM_output_Cn.py", "LSTM_probe.py"):
        refused("There is no run directory misspelt: train one", script, "--run-dir", "misspelt")


def test_keras_numbers_are_of_32_bits_whatever_a_users_file_says(tmp_path, monkeypatch):
    (tmp_path / "keras.json").write_text('{"floatx": "float16", "backend": "tensorflow"}')
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    assert run("-c", "import libs_tf; print(libs_tf.keras.layers.Dense(1).compute_dtype)").strip() == "float32"


# README


def blocks(language):
    """The README's code blocks of a language."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_the_lines_of_the_readme_open_states_and_model(commands, demo, tmp_path, monkeypatch, capsys):
    """The README's Python, run as it stands but for the folders and the period of this test's small run."""
    path, _ = commands
    (tmp_path / "runs").mkdir()
    os.symlink(path, tmp_path / "runs" / "demo", target_is_directory=True)
    os.symlink(demo, tmp_path / "demo", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(xr.DataArray, "plot", lambda self: None)
    opened, alone = (block.replace("2011-10-01_2013-09-30", RESULTS) for block in blocks("python"))
    found = {}
    exec(opened, found)
    states = found["states"]
    assert len(states) == 730 and found["dataset"]["c"].dims == ("basin", "date", "unit")
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
