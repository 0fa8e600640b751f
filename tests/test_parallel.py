"""Several processes that train one model, and several members side by side: the same numbers as one after the other."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import LSTM_output_Cn
import LSTM_test
from libs_tf import keras
from running import parallel, runs
from writing.files import InputError

ROOT = Path(__file__).resolve().parent.parent


def command(chosen, *extra):
    """LSTM_train.py with settings as options."""
    words = [sys.executable, "LSTM_train.py", "--basins", *extra]
    for name in ("run_dir", "data_dir", "hidden_size", "epochs", "batch_size", "window", "learning_rate"):
        words += [f"--{name.replace('_', '-')}", str(getattr(chosen, name))]
    for name in ("train", "valid", "test"):
        words += [f"--{name}-period", *getattr(chosen, f"{name}_period")]
    return [*words, "--seed", *map(str, chosen.seed), "--concepts", *chosen.concepts]


def start(words, **environment):
    return subprocess.Popen(
        words, cwd=ROOT, env=os.environ | environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def team(chosen, count, launcher="keras"):
    """Start the processes of one training on the loopback, by Keras' variables or as SLURM's srun starts them."""
    port, processes = free_port(), []
    for k in range(count):
        names = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
        if launcher == "keras":
            names |= {"KERAS_DISTRIBUTION_JOB_ADDRESSES": f"127.0.0.1:{port}"}
            names |= {"KERAS_DISTRIBUTION_NUM_PROCESSES": str(count), "KERAS_DISTRIBUTION_PROCESS_ID": str(k)}
        else:
            names |= {"SLURM_JOB_ID": str(port), "SLURM_STEP_NODELIST": "localhost", "SLURM_NTASKS": str(count)}
            names |= {"SLURM_STEP_NUM_TASKS": str(count), "SLURM_PROCID": str(k), "SLURM_LOCALID": str(k)}
        processes.append(start(command(chosen, "--distribute"), **names))
    return processes


def done(process):
    out, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    return out


@pytest.fixture(scope="module")
def alone(settings, tmp_path_factory):
    """A run on JAX by one process on one device."""
    path = tmp_path_factory.mktemp("jax") / "alone"
    done(start(command(settings(path, seed=(1,))), KERAS_BACKEND="jax", JAX_PLATFORMS="cpu"))
    return path


def same_training(one, other):
    """Both run directories hold the same files and, to 1e-5, the same losses, scores and weights."""
    assert sorted(p.relative_to(one) for p in one.rglob("*")) == sorted(p.relative_to(other) for p in other.rglob("*"))
    kept, again = (pd.read_csv(run / "seed_1" / "history.csv").drop(columns="seconds") for run in (one, other))
    np.testing.assert_allclose(again, kept, rtol=1e-5, atol=1e-5)
    for a, b in zip(*(runs.load_run(run).model(1).get_weights() for run in (one, other)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
    assert (one / "settings.json").read_text().replace(str(one), str(other)) == (other / "settings.json").read_text()


@pytest.mark.parametrize("count, launcher", [(2, "keras"), (3, "slurm")])
def test_processes_train_as_one(alone, settings, tmp_path, count, launcher):
    """Dropout and noise included. Only the first process prints and writes."""
    path = tmp_path / "run"
    first, *others = (done(process) for process in team(settings(path, seed=(1,)), count, launcher))
    assert "Next: python LSTM_test.py" in first
    for out in others:
        assert "epoch" not in out and "Next" not in out
    same_training(alone, path)


def test_devices_of_one_process_train_as_one(alone, settings, tmp_path):
    path, options = tmp_path / "run", {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    two = {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    done(start(command(settings(path, seed=(1,)), "--distribute"), **options, **two))
    same_training(alone, path)
    five = start(command(settings(tmp_path / "odd", batch_size=5), "--distribute"), **options, **two)
    assert "--batch-size 5 cannot be divided by 2 devices" in five.communicate()[1] and five.returncode == 2
    assert not (tmp_path / "odd").exists()


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="the other backend is started as a process")
@pytest.mark.parametrize("trained_on", ["jax", "tensorflow"])
def test_both_backends_give_the_same_outputs(alone, run_dir, tmp_path, trained_on):
    """A run trained on either, tested and dumped on both."""
    run = str({"jax": alone, "tensorflow": run_dir}[trained_on])
    on_jax, here = str(tmp_path / "jax"), str(tmp_path / "here")
    for script in (["LSTM_output_Cn.py", "--format", "netcdf"], ["LSTM_test.py"]):
        done(start([sys.executable, *script, "--run-dir", run, "--out-dir", on_jax], KERAS_BACKEND="jax"))
    LSTM_output_Cn.main(LSTM_output_Cn.Settings(run, format="netcdf", out_dir=here))
    LSTM_test.main(LSTM_test.Settings(run, out_dir=here))
    for file, tolerance in (("series.nc", 2e-5), ("Cn.nc", 5e-5)):  # rounding adds up over two years
        one, other = (xr.open_dataset(Path(folder) / file) for folder in (on_jax, here))
        assert set(one.data_vars) == set(other.data_vars)
        for name in one.data_vars:
            largest = float(np.abs(one[name]).max())
            np.testing.assert_allclose(one[name], other[name], rtol=0, atol=tolerance * largest, err_msg=name)


@pytest.mark.parametrize("killed", [0, 1])
def test_a_process_that_dies_ends_the_other_and_the_run_goes_on(alone, settings, tmp_path, killed):
    chosen = settings(tmp_path / "run", seed=(1,), epochs=500, patience=500)
    processes = team(chosen, 2)
    next(line for line in processes[0].stdout if line.split()[:1] == ["2"])  # the second epoch is done
    processes[killed].kill()
    left = processes[1 - killed]
    error = left.communicate(timeout=120)[1]
    assert left.returncode not in (0, None)
    assert "another process ended" in error or "another task died" in error  # ours, or of JAX's own watch
    assert runs.load_run(tmp_path / "run").seeds == [1]


def test_members_side_by_side_are_those_one_after_the_other(run_dir, settings, tmp_path):
    """Two processes begin one run at once; the second is killed, and goes on alone."""
    both = [settings(tmp_path / "run", seed=(seed,)) for seed in (1, 2)]
    first, second = (start(command(chosen, "--resume")) for chosen in both)
    next((line for line in second.stdout if line.split()[:1] == ["1"]), None)
    second.kill()
    second.communicate()
    done(first)
    done(start(command(both[1], "--resume")))
    for seed in (1, 2):
        one, other = (runs.load_run(path).model(seed).get_weights() for path in (run_dir, tmp_path / "run"))
        for wanted, got in zip(one, other, strict=True):
            np.testing.assert_array_equal(wanted, got)
    LSTM_test.main(LSTM_test.Settings(str(tmp_path / "run"), out_dir=str(tmp_path / "test")))
    members = xr.open_dataset(tmp_path / "test" / "series.nc")["member"].values
    assert list(members) == ["seed 1", "seed 2", "mean of members"]


def test_rows_of_processes_are_put_back_in_order(monkeypatch):
    multihost = pytest.importorskip("jax.experimental.multihost_utils")
    whole = np.arange(14.0).reshape(7, 2)
    own = [whole[k::3] for k in range(3)]
    sent = []

    def allgather(value):
        sent.append(value)
        if np.ndim(value) == 0:
            return np.array([len(rows) for rows in own])
        return np.stack([np.pad(rows, ((0, 3 - len(rows)), (0, 0))) for rows in own])

    monkeypatch.setattr(multihost, "process_allgather", allgather)
    got = parallel.Team(count=3, index=2).gather(own[2])
    np.testing.assert_array_equal(got, whole)
    np.testing.assert_array_equal(sent[1], np.pad(own[2], ((0, 1), (0, 0))))


def test_distribute_needs_jax_and_a_whole_set_of_variables(monkeypatch):
    assert parallel.join(False).first
    if keras.backend.backend() != "jax":
        with pytest.raises(InputError, match="KERAS_BACKEND=jax"):
            parallel.join(True)
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "2")
    with pytest.raises(InputError, match="KERAS_DISTRIBUTION_NUM_PROCESSES is 2, but 'KERAS_DISTRIBUTION_JOB_ADDR"):
        parallel.join(True)
    monkeypatch.setenv("KERAS_DISTRIBUTION_NUM_PROCESSES", "two")
    with pytest.raises(InputError, match="KERAS_DISTRIBUTION_NUM_PROCESSES is 'two', which is no number"):
        parallel.join(True)


def test_processes_that_do_not_come_together(monkeypatch):
    jax = pytest.importorskip("jax")

    def fail(**options):
        assert options["num_processes"] == 2 and options["process_id"] == 1
        raise RuntimeError("Connect failed.\nMany more lines.")

    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    monkeypatch.setattr(jax.distributed, "initialize", fail)
    for name, value in {"NUM_PROCESSES": "2", "PROCESS_ID": "1", "JOB_ADDRESSES": "127.0.0.1:1"}.items():
        monkeypatch.setenv(f"KERAS_DISTRIBUTION_{name}", value)
    with pytest.raises(InputError) as problem:
        parallel.join(True)
    assert str(problem.value) == "The 2 processes did not come together (Connect failed.)."
