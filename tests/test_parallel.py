"""Several processes that train one model, and several members side by side: the same numbers as one after the other."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import ROOT, same_weights, started

import LSTM_output_Cn
import LSTM_test
from libs_tf import keras
from running import parallel, runs
from writing.messages import InputError

JAX = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
CHOSEN = {"seed": (1,), "batch_size": 6}  # two and three processes can divide it


def team(chosen, count, launcher="keras"):
    """Start the processes of one training on the loopback, by Keras' variables or as SLURM's srun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    processes = []
    for k in range(count):
        if launcher == "keras":
            names = {"JOB_ADDRESSES": f"127.0.0.1:{port}", "NUM_PROCESSES": str(count), "PROCESS_ID": str(k)}
            names = {f"KERAS_DISTRIBUTION_{name}": value for name, value in names.items()}
        else:
            names = {"SLURM_JOB_ID": str(port), "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": str(count)}
            names |= {"SLURM_STEP_NUM_TASKS": str(count), "SLURM_PROCID": str(k), "SLURM_LOCALID": str(k)}
        processes.append(started(chosen, **JAX, **names))
    return processes


def done(process):
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    return out


@pytest.fixture(scope="module")
def alone(settings, tmp_path_factory):
    """A run on JAX by one process on one device."""
    path = tmp_path_factory.mktemp("jax") / "alone"
    done(started(settings(path, **CHOSEN), **JAX))
    return path


def same_training(one, other):
    """Both run directories hold the same files and, to 1e-5, the same losses, scores and weights."""
    assert sorted(p.relative_to(one) for p in one.rglob("*")) == sorted(p.relative_to(other) for p in other.rglob("*"))
    kept, again = (pd.read_csv(run / "seed_1" / "history.csv").drop(columns="seconds") for run in (one, other))
    np.testing.assert_allclose(again, kept, rtol=1e-5, atol=1e-5)
    for a, b in zip(*(runs.load_run(run).model(1).get_weights() for run in (one, other)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    before, after = (json.loads((run / "settings.json").read_text(encoding="utf-8")) for run in (one, other))
    for content in (before, after):
        content["settings"]["run_dir"] = content["learned_from"][0]["run"] = "the same"
    assert before == after


@pytest.mark.parametrize("count, launcher", [(2, "keras"), (3, "slurm")])
def test_processes_train_as_one(alone, settings, tmp_path, count, launcher):
    """Dropout and noise included. Only the first process prints and writes."""
    chosen = settings(tmp_path / "run", **CHOSEN, distribute=True)
    first, *others = (done(process) for process in team(chosen, count, launcher))
    assert "Next: " in first and not any("epoch" in out or "Next" in out for out in others)
    same_training(alone, tmp_path / "run")


def test_devices_of_one_process_train_as_one(alone, settings, tmp_path):
    two = JAX | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    done(started(settings(tmp_path / "run", **CHOSEN, distribute=True), **two))
    same_training(alone, tmp_path / "run")
    five = started(settings(tmp_path / "odd", batch_size=5, distribute=True), **two)
    assert "--batch-size 5 cannot be divided by 2 devices" in five.communicate()[1] and five.returncode == 2
    assert not (tmp_path / "odd").exists()


def write(out, *run_dirs):
    """Test and dump runs."""
    for run in run_dirs:
        LSTM_output_Cn.main(LSTM_output_Cn.Settings(run, format="netcdf", out_dir=f"{out}/{Path(run).name}"))
        LSTM_test.main(LSTM_test.Settings(run_dir=run, out_dir=f"{out}/{Path(run).name}"))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the other backend is started as a process")
def test_both_backends_give_the_same_outputs(alone, run_dir, tmp_path):
    """A run trained on either, tested and dumped on both."""
    words = [sys.executable, "-c", "import sys, test_parallel; test_parallel.write(*sys.argv[1:])"]
    environment = os.environ | JAX | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}
    subprocess.run([*words, tmp_path / "jax", alone, run_dir], env=environment, check=True, capture_output=True)
    write(tmp_path / "here", str(alone), str(run_dir))
    files = sorted(path.relative_to(tmp_path / "here") for path in tmp_path.glob("here/*/*.nc"))
    assert len(files) == 4
    for file in files:
        one, other = (xr.open_dataset(tmp_path / folder / file) for folder in ("jax", "here"))
        tolerance = {"series.nc": 2e-5, "Cn.nc": 5e-5}[file.name]  # rounding adds up over two years
        assert set(one.data_vars) == set(other.data_vars)
        for name in set(one.data_vars) - {"note"}:
            atol = tolerance * float(np.abs(one[name]).max())
            np.testing.assert_allclose(one[name], other[name], rtol=0, atol=atol, err_msg=f"{file} {name}")


@pytest.mark.parametrize("killed", [0, 1])
def test_a_process_that_dies_ends_the_other_and_the_run_goes_on(settings, tmp_path, killed):
    chosen = settings(tmp_path / "run", **CHOSEN | {"epochs": 500}, distribute=True)
    processes = team(chosen, 2)
    next(line for line in processes[0].stdout if line.split()[:1] == ["2"])  # the second epoch is done
    processes[killed].kill()
    processes[killed].communicate()
    left = processes[1 - killed]
    error = left.communicate(timeout=120)[1]
    assert left.returncode not in (0, None)
    assert "If another process ended first" in error or "another task died" in error  # ours, or of JAX's own watch
    assert runs.load_run(tmp_path / "run").seeds == [1]


def test_members_side_by_side_are_those_one_after_the_other(run_dir, settings, tmp_path):
    """Two processes begin one run at once."""
    for process in [started(settings(tmp_path / "run", seed=(seed,), resume=True)) for seed in (1, 2)]:
        done(process)
    assert all(same_weights(run_dir, tmp_path / "run", seed) for seed in (1, 2))
    assert runs.load_run(tmp_path / "run").seeds == [1, 2]


def test_processes_that_cannot_come_together(monkeypatch):
    jax = pytest.importorskip("jax")

    def refused(words, **variables):
        for name, value in variables.items():
            monkeypatch.setenv(f"KERAS_DISTRIBUTION_{name}", value)
        with pytest.raises(InputError, match=words):
            parallel.join(True)

    def fail(**options):
        assert options["num_processes"] == 2 and options["process_id"] == 1
        raise RuntimeError("Connect failed.\nMany more lines.")

    assert parallel.join(False).first
    if keras.backend.backend() != "jax":
        refused("KERAS_BACKEND=jax")
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(jax.distributed, "initialize", fail)
    refused("KERAS_DISTRIBUTION_NUM_PROCESSES is 2, but 'KERAS_DISTRIBUTION_JOB_ADDR", NUM_PROCESSES="2")
    variables = {"PROCESS_ID": "1", "JOB_ADDRESSES": "127.0.0.1:1"}
    refused(r"^The 2 processes did not come together \(Connect failed.\).$", **variables)
