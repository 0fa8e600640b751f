"""Stopping, disks and screens: a training goes on as if never stopped, what is written is whole or absent."""

import contextlib
import errno
import io
import itertools
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, same_weights, started
from test_run_directory import Payload, write_zip

import hydrodata_tf as hydrodata
import libs_tf
import LSTM_output_Cn
import LSTM_test
import LSTM_train
from reading import windows
from running import runs
from writing import files, messages, plots
from writing.messages import InputError


def ends_with(capsys, main, settings, *words):
    """The script ends with exit code 2 and one line that holds all the words."""
    with pytest.raises(SystemExit) as stop:
        messages.cli(main, settings)
    error = capsys.readouterr().err.strip()
    assert stop.value.code == 2 and "\n" not in error, error
    for word in words:
        assert word in error, error


def python(code, *options, cwd=ROOT, **environment):
    """Start Python with this code, or a script with options."""
    words = [sys.executable, *([code, *map(str, options)] if code.endswith(".py") else ["-c", code])]
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.Popen(words, cwd=cwd, env=environment, text=True, stdout=-1, stderr=-1)


def unfinished(folder):
    return list(folder.rglob(".unfinished_*"))


# Stopping


def test_a_training_that_was_stopped_goes_on_to_the_same_weights(run_dir, settings, tmp_path, monkeypatch):
    draw, epochs, run = windows.training_windows, [], tmp_path / "run"

    def stop_in_second_epoch(*args, **options):
        epochs.append(args)
        for k, batch in enumerate(draw(*args, **options)):
            if len(epochs) == 2 and k == 1:
                raise KeyboardInterrupt
            yield batch

    monkeypatch.setattr(windows, "training_windows", stop_in_second_epoch)
    with pytest.raises(KeyboardInterrupt, match="^Stopped. Go on with: LSTM_train.py --resume --run-dir"):
        LSTM_train.main(settings(run, seed=(1,)))
    monkeypatch.undo()
    for words, changes in (
        ("already holds a run: add --resume", {}),
        ("holds a run of its own: name the folder of the folds", {"folds": 2}),
        ("other settings .*window", {"window": 100, "resume": True}),
    ):
        with pytest.raises(InputError, match=words):
            LSTM_train.main(settings(run, seed=(1,), **changes))
    LSTM_train.main(settings(run, seed=(1,), resume=True))
    assert same_weights(run_dir, run)
    kept, again = (pd.read_csv(p / "seed_1" / "history.csv").drop(columns="seconds") for p in (run_dir, run))
    pd.testing.assert_frame_equal(kept, again)
    before = (run / "seed_1" / "model.keras").read_bytes()
    run.rename(tmp_path / "moved")
    LSTM_train.main(settings(tmp_path / "moved", seed=(1,), resume=True))  # nothing is left to do
    assert (tmp_path / "moved" / "seed_1" / "model.keras").read_bytes() == before


def test_a_training_that_was_stopped_while_text_was_read_is_begun_again(command, settings, tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(hydrodata, "open_data", stopped)
    code, _, error = command("LSTM_train.py", "camels", "--data-dir", "my data", "--run-dir", tmp_path / "new run")
    assert code == 130 and error == "Stopped. The run was not yet begun: begin it again with the same command.\n"
    assert not (tmp_path / "new run").exists()


def test_a_training_killed_at_random_moments_ends_with_the_same_weights(settings, tmp_path):
    """SIGKILL while reading, in an epoch and while saving. KILLS=10 in the environment tries ten moments, else two."""
    kills = int(os.environ.get("KILLS", 2))
    epochs = 25 * kills  # more than are done between the kills
    chosen = {"seed": (1,), "epochs": epochs}
    LSTM_train.main(settings(tmp_path / "never stopped", **chosen))
    killed = settings(tmp_path / "killed", resume=True, **chosen)
    rng, done = np.random.default_rng(0), []
    for kill in range(kills):
        with started(killed) as process:
            if kill % 3:  # else while it imports and reads
                next((line for line in process.stdout if line.startswith("epoch")), None)
            time.sleep(rng.uniform(0, 1))
            process.kill()
        checkpoint = tmp_path / "killed" / "seed_1" / "checkpoint.npz"
        done.append(json.loads(str(np.load(checkpoint)["meta"]))["epoch"] if checkpoint.exists() else 0)
    assert done == sorted(done) and done[-1] < epochs, f"epochs done at each kill: {done}"
    (tmp_path / "killed" / "seed_1").mkdir(exist_ok=True)
    (tmp_path / "killed" / "seed_1" / ".unfinished_1_model.keras").write_text("half")
    LSTM_train.main(killed)
    assert same_weights(tmp_path / "never stopped", tmp_path / "killed") and not unfinished(tmp_path / "killed")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_ctrl_c_while_packages_load_ends_in_a_word(run_dir, tmp_path):
    # A package that is loaded after the command line is read, in the midst of which Ctrl-C comes; a shell that starts
    # tests in the background leaves it ignored.
    (tmp_path / "cn_loss.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n", encoding="utf-8")
    heard = "import signal\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    script = heard + (ROOT / "LSTM_test.py").read_text(encoding="utf-8")
    (tmp_path / "LSTM_test.py").write_text(script, encoding="utf-8")
    process = python("LSTM_test.py", "--run-dir", run_dir, cwd=tmp_path)
    assert (*process.communicate(timeout=300), process.returncode) == ("", "Stopped.\n", 130)


@pytest.mark.skipif(os.name == "nt", reason="Windows ends processes without asking them")
def test_a_process_that_is_asked_to_end_removes_what_it_was_writing(tmp_path):
    code = (
        "from writing import files, messages; import time\ndef main():\n    with files.replacing('out.csv') as path:\n"
        "        path.write_text('half')\n        print('writing', flush=True)\n        time.sleep(99)\n"
        "messages.cli(main)"
    )
    process = python(code, cwd=tmp_path)
    assert process.stdout.readline().strip() == "writing" and len(list(tmp_path.iterdir())) == 1
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 143 and not error and not list(tmp_path.iterdir())


def test_another_number_of_cores_is_told_on_resume(copy, settings, monkeypatch, capsys):
    monkeypatch.setattr(runs, "CORES", libs_tf.CORES + 1)
    LSTM_train.main(settings(copy, resume=True, seed=(1,)))
    note = f"Note: {copy / 'seed_1' / 'checkpoint.npz'} was written on {libs_tf.CORES} cores, here are"
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith(note) for line in lines) and any("going on after epoch 3" in line for line in lines)


# Two processes at once


def test_one_of_two_trainings_begins_a_run_and_one_trains_a_member(refused, copy, tmp_path, settings):
    data = hydrodata.open_data(settings("x").data_dir, basins=["96000001"])
    training = windows.training_set(data, "2002-10-01", "2003-09-30")

    def begin(size):
        try:
            runs.create_run(tmp_path / "new", {"hidden_size": size}, training, resume=False)
            return size
        except InputError as problem:
            return str(problem)

    with ThreadPoolExecutor(4) as threads:
        outcome = list(threads.map(begin, (5, 6, 7, 8)))
    (begun,) = [one for one in outcome if isinstance(one, int)]
    assert json.loads((tmp_path / "new" / "settings.json").read_text())["settings"]["hidden_size"] == begun
    assert all("already holds a run" in one for one in outcome if one != begun)
    with runs.only_training(copy, 1):
        refused("Another process is training seed 1", "LSTM_train.py", "--resume", "--run-dir", copy)
    with runs.only_training(copy, 1), runs.only_training(copy, 2):
        pass


# Disks


@pytest.fixture
def full_disk(monkeypatch):
    """Function (file name, count): from its count-th time on, that file cannot grow, by the operating system."""
    resource, replacing = pytest.importorskip("resource"), files.replacing
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(name, count=1):
        times = itertools.count(1)

        @contextlib.contextmanager
        def limited(path):
            full = Path(path).name == name and next(times) >= count
            with replacing(path) as temporary:
                resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]) if full else before)
                try:
                    yield temporary
                finally:
                    resource.setrlimit(resource.RLIMIT_FSIZE, before)

        for module in (files, runs, plots, LSTM_test, LSTM_output_Cn):
            monkeypatch.setattr(module, "replacing", limited)

    return fill


def test_a_training_on_a_full_disk_can_be_resumed(settings, run_dir, tmp_path, full_disk, capsys):
    path = tmp_path / "run"
    chosen = settings(path, seed=(1,), resume=True)
    for name, count in (
        ("basins.csv", 1),
        ("settings.json", 1),
        ("model.keras", 1),
        ("checkpoint.npz", 2),
        ("history.csv", 1),
        ("history.png", 1),
    ):
        full_disk(name, count)
        ends_with(capsys, LSTM_train.main, chosen, "File too large", name)
        assert not unfinished(path), name
        if (path / "seed_1" / "model.keras").exists():
            runs.load_run(path).model(1)
        if (path / "seed_1" / "checkpoint.npz").exists():
            assert json.loads(str(np.load(path / "seed_1" / "checkpoint.npz")["meta"]))["epoch"] >= 1
    full_disk("none")
    LSTM_train.main(chosen)
    assert same_weights(path, run_dir) and (path / "seed_1" / "history.png").exists()


@pytest.mark.parametrize(
    "script, options, names",
    [
        (LSTM_test, {"metrics": ("NSE",)}, ("scores.csv", "series.nc", "nse_map.png")),
        (LSTM_output_Cn, {}, ("Cn_98000003.csv",)),
        (LSTM_output_Cn, {"format": "netcdf"}, ("Cn.nc", "states_98000003.png")),
    ],
)
def test_results_on_a_full_disk_keep_those_before(run_dir, tmp_path, full_disk, capsys, script, options, names):
    chosen = script.Settings(run_dir=str(run_dir), out_dir=str(tmp_path), **options)
    script.main(chosen)
    before = {path.name for path in tmp_path.iterdir()}
    for name in names:
        full_disk(name)
        (tmp_path / name).write_bytes(b"of an earlier run")
        reason = "NetCDF: HDF error" if name.endswith(".nc") else "File too large"
        ends_with(capsys, script.main, chosen, reason, name)
        assert (tmp_path / name).read_bytes() == b"of an earlier run"
        assert {path.name for path in tmp_path.iterdir()} == before


def test_folders_that_cannot_be_written(run_dir, settings, tmp_path, monkeypatch, capsys):
    (tmp_path / "file").write_text("")
    below = str(tmp_path / "file" / "out")
    ends_with(capsys, LSTM_train.main, settings(below, seed=(1,)), "file")
    for script in (LSTM_test, LSTM_output_Cn):
        ends_with(capsys, script.main, script.Settings(run_dir=str(run_dir), out_dir=below), "file")

    def read_only(source, target):
        raise OSError(errno.EROFS, "Read-only file system", str(source), None, str(target))

    monkeypatch.setattr(os, "replace", read_only)
    out = tmp_path / "out"
    chosen = LSTM_test.Settings(run_dir=str(run_dir), out_dir=str(out), metrics="NSE")
    ends_with(capsys, LSTM_test.main, chosen, f"Read-only file system: {out / 'test.json'}")
    ends_with(capsys, LSTM_train.main, settings(tmp_path / "run", seed=(1,)), "Read-only", "basins.csv")
    assert not list(out.iterdir()) and {path.name for path in (tmp_path / "run").iterdir()} <= {".lock"}


def test_a_failed_write_keeps_what_was_there(tmp_path):
    files.write_json(tmp_path / "kept.json", {"a": 1})
    with pytest.raises(TypeError):
        files.write_json(tmp_path / "kept.json", {"a": object()})
    with pytest.raises(ZeroDivisionError), files.replacing(tmp_path / "kept.json") as temporary:
        temporary.write_text("half")
        raise ZeroDivisionError
    # Only what the disk or netCDF's library says becomes a sentence; a fault in the program stays what it is.
    for error in (RuntimeError("a fault"), FileNotFoundError(errno.ENOENT, "No such file", "other.txt")):
        with pytest.raises(type(error)) as raised, files.replacing(tmp_path / "x.nc"):
            raise error
        assert raised.value is error
    assert files.read_json(tmp_path / "kept.json") == {"a": 1} and len(list(tmp_path.iterdir())) == 1


# Screens


@pytest.mark.parametrize(
    "code, expected",
    [
        ("messages.cli(lambda: print('5 \\xb1 1'))", (0, "5 \\xb1 1\n", "")),
        ("print(messages.cli(max, 2, 3))", (0, "3\n", "")),
        ("messages.cli(int)\nraise messages.InputError('Bad.')", (2, "", "Bad.\n")),
        ("messages.cli(open, 'none.txt')", (2, "", "No such file or directory: none.txt.\n")),
        ("def main():\n    raise MemoryError\nmessages.cli(main)", (2, "", "Not enough memory: MemoryError.\n")),
        ("def main():\n    raise KeyboardInterrupt\nmessages.cli(main)", (130, "", "Stopped.\n")),
        ("messages.cli(lambda: 1 / 0)", (1, "", "Traceback")),
    ],
)
def test_a_script_ends_in_one_sentence_and_a_fault_of_the_program_in_a_traceback(code, expected):
    process = python(f"from writing import files, messages\n{code}", PYTHONIOENCODING="ascii")
    out, error = process.communicate()
    assert (process.returncode, out, error[:9] if expected[0] == 1 else error) == expected


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_screen_that_takes_nothing():
    words = [sys.executable, "-c", "from writing import files, messages\nmessages.cli(lambda: print('x'))"]
    with open("/dev/full", "w") as full:
        buffered = os.environ | {"PYTHONUNBUFFERED": ""}
        done = subprocess.run(words, cwd=ROOT, env=buffered, stdout=full, stderr=-1, text=True)
    assert done.returncode == 2 and done.stderr.startswith("No space left on device"), done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("script", ["LSTM_test.py", "LSTM_probe.py", "LSTM_output_Cn.py"])
@pytest.mark.parametrize("backend", ["banana", "torch"])
def test_a_backend_that_is_not_there(run_dir, script, backend):
    process = python(script, "--run-dir", run_dir, KERAS_BACKEND=backend)
    _, error = process.communicate()
    assert process.returncode == 2 and "set KERAS_BACKEND to tensorflow or jax" in error, error
    assert "Traceback" not in error


# Checkpoints


def npy(values):
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=True)
    return buffer.getvalue()


CHECKPOINTS = {
    "pickled array": lambda m, canary: {**m, "v0.npy": npy(np.array([Payload(canary)], object))},
    "a plain pickle": lambda m, canary: pickle.dumps(Payload(canary)),
    "other shape": lambda m, canary: {**m, "v0.npy": npy(np.zeros((2, 3), "f4"))},
    "one array less": lambda m, canary: {k: v for k, v in m.items() if k != "v3.npy"},
    "one array more": lambda m, canary: {**m, "v999.npy": m["v0.npy"]},
    "cut off": lambda m, canary: b"PK\x03\x04 nothing",
}


def test_checkpoints_that_were_harmed_are_refused_and_run_nothing(copy, settings, tmp_path):
    path, canary = copy / "seed_1" / "checkpoint.npz", tmp_path / "canary"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, craft in CHECKPOINTS.items():
        harmed = craft(members, canary)
        if isinstance(harmed, bytes):
            path.write_bytes(harmed)
        else:
            write_zip(path, harmed)
        run = runs.load_run(copy)
        model = run.model(1)
        LSTM_train.compile_model(settings(copy), model, run.normalisation, dict.fromkeys(model.targets, 1))
        with pytest.raises(InputError, match="is not a checkpoint of this model .*: remove it to train this member"):
            runs.read_checkpoint(path, model)
            pytest.fail(name)
    assert not canary.exists()


def test_a_member_that_was_copied_is_no_other_member(refused, copy):
    shutil.copy(copy / "seed_1" / "checkpoint.npz", copy / "seed_2" / "checkpoint.npz")
    refused("it is of seed 1", "LSTM_train.py", "--resume", "--run-dir", copy, "--seed", "2")
