"""The house as it shall stand: arrows go down, files stay short, commands and README do what they say."""

import ast
import os
import re
import subprocess
import sys
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
    while left:
        ground = {name for name, needs in left.items() if not needs & set(left)}
        assert ground, f"a circle among {sorted(left)}"
        left = {name: needs for name, needs in left.items() if name not in ground}


@pytest.mark.parametrize("name", sorted(FILES))
def test_every_file_is_short_and_says_what_it_is(name):
    text = FILES[name].read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 700
    assert len(ast.get_docstring(ast.parse(text)).splitlines()[0]) > 30


def test_text_is_read_through_a_library():
    for name in ("hydrodata_tf", *(name for name in FILES if name.startswith("reading."))):
        assert not re.search(r"frombuffer|fromfile|tofile|fromstring", FILES[name].read_text(encoding="utf-8"))


def test_the_readme_is_one_screen_and_a_half():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def run(*words):
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=ROOT, capture_output=True, text=True, encoding="utf-8", timeout=600
    )
    assert done.returncode == 0, done.stderr
    assert "absl" not in done.stderr and "port.cc" not in done.stderr and "Traceback" not in done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def commands(demo, tmp_path_factory):
    """A run made by the four scripts as commands, on the small demo."""
    path = tmp_path_factory.mktemp("commands") / "run"
    periods = {"train": "2002-10-01 2004-09-30", "valid": "2004-10-01 2005-09-30", "test": "2005-10-01 2007-09-30"}
    options = [word for name, days in periods.items() for word in (f"--{name}-period", *days.split())]
    printed = [run("LSTM_train.py", "--run-dir", path, "--data-dir", demo, "--hidden-size", 6, "--epochs", 2, *options)]
    printed.append(run("LSTM_test.py", "--run-dir", path, "--metrics", "NSE", "KGE"))
    printed.append(run("LSTM_output_Cn.py", "--run-dir", path))
    printed.append(run("LSTM_output_Cn.py", "--run-dir", path, "--format", "netcdf", "--gates"))
    printed.append(run("LSTM_probe.py", "--run-dir", path, "--random-directions", 2, "--intervention-basins", 2))
    return path, printed


def test_the_four_scripts_as_commands(commands):
    path, (train, test, states, _, probe) = commands
    assert "Next: python LSTM_test.py" in train and "median" in test and "KGE" in test
    assert "Cell states of 4 basins" in states and "untrained LSTM" in probe
    assert {p.name for p in path.iterdir()} >= {"settings.json", "seed_1", "test_2005-10-01_2007-09-30"}
    assert "going on after epoch 2" in run("LSTM_train.py", "--resume", "--run-dir", path)


def test_presets_and_their_help():
    shown = run("LSTM_train.py", "camels", "--help")
    assert "maurer_extended" in shown and "runs/camels" in shown and "uaz_swe" in shown
    assert "runs/demo" in run("LSTM_train.py", "--help") and "runs/caravan" in run("LSTM_train.py", "caravan", "--help")


def blocks(language):
    """The README's code blocks of a language."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_the_lines_of_the_readme_open_states_and_model(commands, demo, tmp_path, monkeypatch):
    """The README's Python, run as it stands but for the folders and the period of this test's small run."""
    path, _ = commands
    (tmp_path / "runs").mkdir()
    os.symlink(path, tmp_path / "runs" / "demo", target_is_directory=True)
    os.symlink(demo, tmp_path / "demo", target_is_directory=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(xr.DataArray, "plot", lambda self: None)
    opened, alone = (block.replace("2011-10-01_2013-09-30", "2005-10-01_2007-09-30") for block in blocks("python"))
    found = {}
    exec(opened, found)
    assert len(found["states"]) == 730 and found["dataset"]["c"].dims == ("basin", "date", "unit")
    exec(alone, found)
    assert len(alone.strip().splitlines()) <= 9
    # The model alone, over the whole record, gives what was written after its spin-up year.
    wanted = pd.read_csv(path / "states_2005-10-01_2007-09-30" / "Cn_96000001.csv", index_col="date", parse_dates=True)
    water = pd.DataFrame(found["water"][0], found["weather"].index, found["model"].targets).loc[wanted.index]
    columns = [column for column in wanted if not column.startswith("cn_")]
    assert [column.split(" ")[0] for column in columns] == list(water)
    scale = wanted[columns].abs().max().to_numpy()
    np.testing.assert_allclose(water / scale, wanted[columns] / scale, atol=2e-2)  # other spin-up: four years, not one


def test_results_follow_the_conventions_that_other_programs_know(commands):
    path, _ = commands
    for file in (path / "test_2005-10-01_2007-09-30" / "series.nc", path / "states_2005-10-01_2007-09-30" / "Cn.nc"):
        with xr.open_dataset(file, decode_times=False) as data:
            assert data.attrs["Conventions"] == "CF-1.8" and data.attrs["featureType"] == "timeSeries"
            assert data.attrs["history"] and data.attrs["title"] and "synthetic" in data.attrs["comment"]
            assert data["basin"].attrs["cf_role"] == "timeseries_id"
            assert data["date"].dtype == np.int32 and data["date"].attrs["standard_name"] == "time"
            assert data["lat"].attrs["units"] == "degrees_north" and {"lat", "lon"} <= set(data.coords)
            assert all(variable.attrs["long_name"] for variable in data.variables.values())
            swe = data["swe" if "swe" in data else "swe_simulated"]
            assert swe.attrs["standard_name"] == "lwe_thickness_of_surface_snow_amount" and swe.attrs["units"] == "mm"
