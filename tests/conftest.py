"""Fixtures: a small synthetic demo and a run trained on it, made once per test session, and copies to harm."""

import functools
import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # files run side by side: more threads would wait for each other

CONCEPTS = (
    "soil1=caravan/timeseries/csv/camels/camels_{basin}.csv:volumetric_soil_water_layer_1_mean*70[mm]",
    "swe=caravan/timeseries/csv/camels/camels_{basin}.csv:snow_depth_water_equivalent_mean[mm]",
)


def pytest_collection_modifyitems(items):
    """The files that take longest begin, so that no worker is left alone with one of them at the end."""
    longest = ("test_tour", "test_parallel", "test_probes", "test_page")
    items.sort(key=lambda item: item.path.stem not in longest)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """No test reads or writes the user's own cache."""
    os.environ["HYDRODATA_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """Folder of 4 synthetic catchments x 6 years (2001-10-01 to 2007-09-30), one of them snow-dominated."""
    from reading.demo_data import make_demo

    return make_demo(tmp_path_factory.mktemp("data") / "small", basins=4, years=6)


@pytest.fixture(scope="session")
def settings(demo):
    """A function that gives quick training settings on the small demo."""
    from LSTM_train import Settings

    def quick(run_dir, **changes):
        chosen = dict(
            run_dir=str(run_dir),
            data_dir=str(demo),
            concepts=CONCEPTS,
            train_period=("2002-10-01", "2005-09-30"),
            valid_period=("2005-10-01", "2006-09-30"),
            test_period=("2006-10-01", "2007-09-30"),
            hidden_size=6,
            epochs=3,
            batch_size=4,
            window=200,
            warmup_days=30,
            weight_dropout=0.1,
            attribute_noise=0.1,
            learning_rate=0.01,
            seed=(1, 2),
        )
        return Settings(**{**chosen, **changes})

    return quick


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory, settings):
    """A run with two members, trained for three epochs."""
    import LSTM_train

    path = tmp_path_factory.mktemp("runs") / "two members"
    LSTM_train.main(settings(path))
    return path


def started(settings, **environment):
    """LSTM_train.py as a process, with these settings as options."""
    words = [sys.executable, "LSTM_train.py"]
    for name, value in vars(settings).items():
        if isinstance(value, tuple):
            words += [f"--{name.replace('_', '-')}", *map(str, value)]
        elif value is not None and value is not False:
            words += [f"--{name.replace('_', '-')}", *([] if value is True else [str(value)])]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(words, cwd=ROOT, env=os.environ | environment, text=True, **pipes)


@pytest.fixture
def data(demo, tmp_path):
    """A copy of the small demo that a test may harm."""
    return shutil.copytree(demo, tmp_path / "data")


@pytest.fixture
def copy(run_dir, tmp_path):
    """A copy of the run directory that a test may harm."""
    return shutil.copytree(run_dir, tmp_path / "copy", ignore=shutil.ignore_patterns("test_*", "states_*", "probe_*"))


@pytest.fixture
def command(monkeypatch, capsys):
    """Function (script, words …): run a script as a command, in this process; gives exit code, output and errors."""

    def run(script, *words):
        monkeypatch.setattr(sys, "argv", [script, *map(str, words)])
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        capsys.readouterr()
        code = 0
        try:
            runpy.run_path(str(ROOT / script), run_name="__main__")
        except SystemExit as stop:
            code = stop.code
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def refused(command):
    """Function (words that must be said, script, words …): the command ends in exit code 2 and one line."""

    def run(said, script, *words):
        code, _, error = command(script, *words)
        assert code == 2 and len(error.strip().splitlines()) == 1 and len(error) < 1000, error
        for word in [said] if isinstance(said, str) else said:
            assert word in error, error

    return run


def file_of(data, kind, basin):
    """The file of one basin in the small demo: its forcing, streamflow or concepts."""
    names = {"forcing": f"{basin}_lump_*", "streamflow": f"{basin}_streamflow_qc.txt", "concept": f"camels_{basin}.csv"}
    return next(data.rglob(names[kind]))


def change(path, field, value, chosen=lambda number: True):
    """Write `value` into a field of the data lines whose number, from 0, is chosen; blanks or commas between fields."""
    separator = "," if path.suffix == ".csv" else None
    lines = path.read_text(encoding="utf-8").splitlines()
    first = 1 if separator else 4 if "lump" in path.name else 0
    for i in range(first, len(lines)):
        if chosen(i - first):
            fields = lines[i].split(separator)
            fields[lines[0].split(",").index(field) if separator else field] = value
            lines[i] = (separator or " ").join(fields)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def edit(path, part, value):
    """Set part `a.b.c` of a JSON file; `...` takes it out."""
    content = json.loads(path.read_text(encoding="utf-8"))
    *outer, last = part.split(".")
    inner = functools.reduce(dict.__getitem__, outer, content)
    inner[last] = value
    if value is ...:
        del inner[last]
    path.write_text(json.dumps(content), encoding="utf-8")


def same_weights(one, other, seed=1):
    """Whether the members of a seed in two runs have the same weights, bit for bit."""
    from running.runs import load_run

    pairs = zip(*(load_run(path).model(seed).get_weights() for path in (one, other)), strict=True)
    return all((a == b).all() for a, b in pairs)


@pytest.fixture
def camels(tmp_path):
    """A small CAMELS-US folder written by hand."""
    from small_files import make_camels

    return make_camels(tmp_path / "camels")


@pytest.fixture
def caravan(tmp_path):
    """A small Caravan folder written by hand."""
    from small_files import make_caravan

    return make_caravan(tmp_path / "caravan")
