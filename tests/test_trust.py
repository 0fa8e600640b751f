"""What goes wrong outside: full disks, Ctrl-C, bad numbers, files from strangers. All end in one sentence, or work."""

import contextlib
import errno
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydrodata_tf as hydrodata
import LSTM_output_Cn
import LSTM_probe
import LSTM_test
import LSTM_train
from running import parallel, runs
from writing import files, plots
from writing.files import InputError

ROOT = Path(__file__).resolve().parent.parent
TEST = "test_2006-10-01_2007-09-30"


def ends_with(capsys, main, settings, *words):
    """The script ends with exit code 2 and one line that holds all the words."""
    with pytest.raises(SystemExit) as stop:
        files.cli(main, settings)
    error = capsys.readouterr().err.strip()
    assert stop.value.code == 2 and "\n" not in error and len(error) < 1000, error
    for word in words:
        assert word in error, error


def hidden(folder):
    return [path.name for path in folder.rglob("*") if path.name.startswith(".") or path.suffix == ".tmp"]


def same_weights(one, other):
    pairs = zip(*(runs.load_run(path).model(1).get_weights() for path in (one, other)), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


# Disks


@contextlib.contextmanager
def no_space(limit=100):
    """No file can grow beyond `limit` bytes, by the operating system: what a full disk is to a program."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def full_disk(monkeypatch):
    """Function (file name, count): from its count-th time on, that file cannot be written for want of space."""

    def fill(name, count=1):
        monkeypatch.undo()
        left = [count]
        replacing = files.replacing

        @contextlib.contextmanager
        def limited(path):
            left[0] -= Path(path).name == name
            full = Path(path).name == name and left[0] <= 0
            with replacing(path) as temporary, no_space() if full else contextlib.nullcontext():
                yield temporary

        for module in (files, runs, plots):
            monkeypatch.setattr(module, "replacing", limited)

    return fill


def test_a_training_on_a_full_disk_can_be_resumed(settings, run_dir, tmp_path, full_disk, capsys):
    path = tmp_path / "run"
    chosen = settings(path, seed=(1,), resume=True)
    for name, count in (
        ("basins.csv", 1), ("normalisation.json", 1), ("settings.json", 1), ("model.keras", 1), ("checkpoint.npz", 2),
        ("history.csv", 1), ("history.png", 1),
    ):  # fmt: skip
        full_disk(name, count)
        ends_with(capsys, LSTM_train.main, chosen, "File too large", name)
        assert not hidden(path), name
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
        (LSTM_test, {}, ("scores.csv", "summary.csv", "series.nc", "nse_map.png")),
        (LSTM_output_Cn, {}, ("Cn_98000003.csv",)),
        (LSTM_output_Cn, {"format": "netcdf"}, ("Cn.nc", "states_98000003.png")),
    ],
)
def test_results_on_a_full_disk_keep_those_before(run_dir, tmp_path, full_disk, capsys, script, options, names):
    chosen = script.Settings(run_dir=str(run_dir), out_dir=str(tmp_path), **options)
    script.main(chosen)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for name in names:
        assert name in before, sorted(before)
        full_disk(name)
        (tmp_path / name).write_bytes(b"of an earlier run")
        reason = "NetCDF: HDF error" if name.endswith(".nc") else "File too large"
        ends_with(capsys, script.main, chosen, reason, name)
        assert (tmp_path / name).read_bytes() == b"of an earlier run"
        assert {path.name for path in tmp_path.iterdir()} == set(before)


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
    chosen = LSTM_test.Settings(run_dir=str(run_dir), out_dir=str(out))
    ends_with(capsys, LSTM_test.main, chosen, f"Read-only file system: {out / 'series.nc'}")
    ends_with(capsys, LSTM_train.main, settings(tmp_path / "run", seed=(1,)), "Read-only", "basins.csv")
    assert not list(out.iterdir()) and not list((tmp_path / "run").iterdir())


def test_other_errors_while_writing_stay_what_they_are(tmp_path):
    """Only what the disk or netCDF's library says becomes a sentence; a fault in the program shows itself."""
    for error in (RuntimeError("a fault"), FileNotFoundError(errno.ENOENT, "No such file", "other.txt")):
        with pytest.raises(type(error)) as raised, files.replacing(tmp_path / "x.nc"):
            raise error
        assert raised.value is error and not list(tmp_path.iterdir())


def test_an_attribute_table_on_a_full_disk(demo, tmp_path):
    (tmp_path / "list.txt").write_text("96000001\n97000002\n")
    with pytest.raises(OSError, match="File too large"), no_space():
        hydrodata.write_attributes(demo, tmp_path / "list.txt", tmp_path / "table.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["list.txt"]


# Ctrl-c


def start(settings, before=""):
    """LSTM_train.py with these settings in a session of its own, some lines of Python run before it."""
    options = [f"--{name.replace('_', '-')}" for name in vars(settings)]
    words = ["LSTM_train.py"]
    for option, value in zip(options, vars(settings).values(), strict=True):
        if isinstance(value, bool):
            words += [option] * value
        else:
            words += [option, *(map(str, value) if isinstance(value, tuple) else [str(value)])]
    # A shell that starts tests in the background leaves Ctrl-C ignored, for all that it starts.
    code = "import os, runpy, signal, sys\nsignal.signal(signal.SIGINT, signal.default_int_handler)\n"
    code += f"{before}\nsys.argv = {words!r}\n"
    code += "runpy.run_path('LSTM_train.py', run_name='__main__')"
    return subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


IN_SECOND_EPOCH = """
from reading import windows
draw, epochs = windows.training_windows, []
def interrupted(*args, **options):
    epochs.append(1)
    for k, batch in enumerate(draw(*args, **options)):
        if len(epochs) == 2 and k == 1:
            os.kill(os.getpid(), signal.SIGINT)
        yield batch
windows.training_windows = interrupted
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_ctrl_c_in_an_epoch_says_how_to_go_on(settings, run_dir, tmp_path):
    chosen = settings(tmp_path / "run", seed=(1,))
    output, error = (process := start(chosen, IN_SECOND_EPOCH)).communicate(timeout=300)
    assert process.returncode == 130, error
    assert error == f"Stopped. Go on with: python LSTM_train.py --resume --run-dir {tmp_path / 'run'}\n"
    assert output.splitlines()[-1].startswith("    1 ")
    LSTM_train.main(settings(tmp_path / "run", seed=(1,), resume=True))
    assert same_weights(tmp_path / "run", run_dir)


WHILE_READING = """
import hydrodata_tf
def interrupted(*arguments):
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()
hydrodata_tf.read_basin = interrupted
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has other signals")
def test_ctrl_c_while_reading_ends_in_a_word(settings, tmp_path):
    before = f"os.environ['HYDRODATA_CACHE'] = {str(tmp_path)!r}\n" + WHILE_READING.replace(
        "signal.pause()", "raise SystemExit"
    )
    process = start(settings(tmp_path / "run"), before)
    output, error = process.communicate(timeout=300)
    assert (process.returncode, output, error) == (130, "", "Stopped.\n")
    assert not (tmp_path / "run").exists()


# Bad numbers

BASINS = ("96000001", "97000002", "98000003", "99000004")


@pytest.fixture
def data(demo, tmp_path):
    """A copy of the small demo that a test may spoil."""
    return shutil.copytree(demo, tmp_path / "data")


def file_of(data, kind, basin):
    pattern = {
        "forcing": f"{basin}_lump_*",
        "streamflow": f"{basin}_streamflow_qc.txt",
        "concept": f"camels_{basin}.csv",
    }
    return next(data.rglob(pattern[kind]))


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


SOIL, SWE = "volumetric_soil_water_layer_1_mean", "snow_depth_water_equivalent_mean"
TRAIN_DAY, TEST_DAY = (pd.Timestamp(day) - pd.Timestamp("2001-10-01") for day in ("2004-02-01", "2007-02-01"))


def test_poor_data_train_to_finite_numbers_and_scores_say_why_they_are_missing(settings, data, tmp_path, capsys):
    few, dry, still, without = BASINS
    change(file_of(data, "streamflow", few), 4, "-999", lambda n: n not in (TRAIN_DAY.days, TEST_DAY.days))
    change(file_of(data, "streamflow", few), 5, "M", lambda n: n not in (TRAIN_DAY.days, TEST_DAY.days))
    for basin, flow in ((dry, "0.00"), (still, "25.00")):
        change(file_of(data, "streamflow", basin), 4, flow)
        change(file_of(data, "streamflow", basin), 5, "A")
    change(file_of(data, "concept", without), SOIL, "")
    change(file_of(data, "concept", dry), SWE, "NaN", lambda n: n % 3 == 0)
    change(file_of(data, "forcing", without), 5, "-999", lambda n: n % 50 == 0)
    change(file_of(data, "forcing", still), 6, "NaN", lambda n: n % 70 == 0)
    LSTM_train.main(settings(tmp_path / "run", data_dir=str(data), seed=(1,), epochs=2))
    report = capsys.readouterr().out.splitlines()[0]
    forcing = -(-2191 // 50) + -(-2191 // 70)
    assert f"daymet: {forcing} values missing in 2 basins" in report, report
    assert f"streamflow: {2191 - 2} values missing in 1 basins" in report
    assert "soil1: 1 of 4 basins without a value" in report
    history = pd.read_csv(tmp_path / "run" / "seed_1" / "history.csv")
    assert np.isfinite(history.drop(columns=["val_NSE_streamflow"])).all(axis=None)

    LSTM_test.main(LSTM_test.Settings(run_dir=str(tmp_path / "run")))
    series = xr.load_dataset(tmp_path / "run" / TEST / "series.nc")
    for name in ("streamflow", "soil1", "swe"):
        assert np.isfinite(series[f"{name}_simulated"].sel(basin=[few, dry])).all()
    scores = pd.read_csv(tmp_path / "run" / TEST / "scores.csv", dtype={"basin": str}, keep_default_na=True)
    scores = scores.set_index(["target", "basin"])
    notes = scores["note"].fillna("")
    assert np.isnan(scores.loc[("streamflow", dry), "NSE"]) and np.isnan(scores.loc[("streamflow", still), "KGE"])
    assert "no NSE, KGE" in notes["streamflow", dry] and "the observations are constant" in notes["streamflow", dry]
    assert "FHV: the highest 2 % of the observations sum to zero" in notes["streamflow", dry]
    assert notes["streamflow", still].startswith("no NSE, KGE, alpha-NSE, beta-NSE, FLV, r: the observations are const")
    assert "no FHV: 2 % of the valid days is less than one day" in notes["streamflow", few]
    assert np.isfinite(scores.loc[("streamflow", few), "RMSE"])
    assert notes["soil1", without] == (
        "no NSE, KGE, alpha-NSE, beta-NSE, r, RMSE: no day has both an observation and a simulation"
    )
    metrics = scores.drop(columns=["member", "note"])
    for name in ("streamflow", "soil1"):  # no score is missing without a reason, none has a reason without missing
        wanted = ["NSE", "KGE", "alpha-NSE", "beta-NSE", "r", "RMSE", *(("FHV", "FLV") if name == "streamflow" else ())]
        missing = metrics.loc[name, wanted].isna().any(axis=1)
        assert (missing == (notes[name] != "")).all(), scores.loc[name]
    summary = pd.read_csv(tmp_path / "run" / TEST / "summary.csv").set_index(["target", "metric"])
    assert summary.loc[("streamflow", "NSE"), "basins"] == 1 and summary.loc[("soil1", "NSE"), "basins"] == 3
    LSTM_output_Cn.main(LSTM_output_Cn.Settings(run_dir=str(tmp_path / "run")))
    states = pd.read_csv(tmp_path / "run" / "states_2006-10-01_2007-09-30" / f"Cn_{few}.csv")
    assert np.isfinite(states.drop(columns="date")).all(axis=None)


def test_a_test_period_with_a_single_observation(run_dir, data, tmp_path, capsys):
    for basin in BASINS:
        change(file_of(data, "streamflow", basin), 4, "-999", lambda n, b=basin: b != BASINS[0] or n != TEST_DAY.days)
    LSTM_test.main(LSTM_test.Settings(run_dir=str(run_dir), data_dir=str(data), out_dir=str(tmp_path / "out")))
    scores = pd.read_csv(tmp_path / "out" / "scores.csv", dtype={"basin": str}).set_index(["target", "member", "basin"])
    flow = scores.sort_index().loc[("streamflow", "mean of members")]
    assert flow["NSE"].isna().all() and np.isfinite(flow.loc[BASINS[0], "RMSE"])
    assert "the observations are constant" in flow.loc[BASINS[0], "note"]
    assert (flow["note"].iloc[1:].str.contains("no day has both")).all()
    assert (tmp_path / "out" / "nse_map.png").exists()


@pytest.mark.parametrize(
    "kind, field, value",
    [("forcing", 5, "inf"), ("streamflow", 4, "-inf"), ("concept", SOIL, "inf"), ("concept", SWE, "1e999")],
)
def test_infinite_numbers_name_file_and_line(settings, data, tmp_path, capsys, kind, field, value):
    path = file_of(data, kind, BASINS[2])
    change(path, field, value, lambda n: n == 700)
    line = 700 + {"forcing": 5, "streamflow": 1, "concept": 2}[kind]
    ends_with(capsys, LSTM_train.main, settings(tmp_path / "run", data_dir=str(data)), f"{path}, line {line}: ")
    assert not (tmp_path / "run").exists()


def test_a_concept_or_a_period_without_any_value(settings, data, tmp_path, capsys):
    for basin in BASINS:
        change(file_of(data, "concept", basin), SOIL, "")
    ends_with(capsys, LSTM_train.main, settings(tmp_path / "run", data_dir=str(data)), "Concept soil1: no value of")
    for basin in BASINS:
        change(file_of(data, "streamflow", basin), 4, "-999", lambda n: n > 365 * 4)
    chosen = settings(tmp_path / "valid", data_dir=str(data), concepts=())
    ends_with(capsys, LSTM_train.main, chosen, "No basin has a score from 2005-10-01 to 2006-09-30: choose another")
    for basin in BASINS:
        change(file_of(data, "streamflow", basin), 4, "-999", lambda n: n > 360)
    chosen = settings(tmp_path / "train", data_dir=str(data), concepts=())
    ends_with(
        capsys,
        LSTM_train.main,
        chosen,
        "4 of 4 basins cannot be used. No streamflow from 2002-10-01 to 2005-09-30: 96000001, 97000002",
    )


def test_attributes_far_from_those_of_the_training_are_warned_about(run_dir, data, tmp_path):
    path = data / "camels" / "camels_attributes_v2.0" / "camels_topo.txt"
    table = pd.read_csv(path, sep=";", dtype=str)
    table.loc[table["gauge_id"] == BASINS[1], "elev_mean"] = "9000"
    table.to_csv(path, sep=";", index=False)
    chosen = LSTM_test.Settings(
        run_dir=str(run_dir), data_dir=str(data), basins=BASINS[1:2], out_dir=str(tmp_path / "o")
    )
    with pytest.warns(UserWarning, match=f"elev_mean of basins {BASINS[1]} is far outside the training range"):
        LSTM_test.main(chosen)


def test_no_potential_evaporation_is_no_attribute(demo, data):
    for path in (data / "caravan" / "timeseries").rglob(f"camels_{BASINS[0]}.csv"):
        change(path, "potential_evaporation_sum", "")
    options = dict(forcing="caravan", attributes="climate", climate_period=("2002-10-01", "2005-09-30"))
    gauges = [f"camels_{basin}" for basin in BASINS]
    with pytest.raises(InputError, match=f"1 of 4 basins cannot be used. No potential evaporation .*: {gauges[0]}"):
        hydrodata.load_dataset(data / "caravan", basins=gauges, **options)


# Files from strangers


class Payload:
    """Whoever unpickles this makes the canary."""

    def __init__(self, canary):
        self.canary = canary

    def __reduce__(self):
        return Path.touch, (self.canary,)


@pytest.fixture
def crafted(run_dir, tmp_path, monkeypatch):
    """A copy of a good run, to be spoiled; the current folder is empty and watched."""
    path = tmp_path / "run"
    shutil.copytree(run_dir, path, ignore=shutil.ignore_patterns("test_*", "states_*", "probe_*"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    content = json.loads((path / "settings.json").read_text(encoding="utf-8"))
    content["settings"]["run_dir"] = str(path)
    (path / "settings.json").write_text(json.dumps(content), encoding="utf-8")
    return path


def refused(capsys, path, mains, *words):
    """Every script ends in one sentence; nothing is written, not even the canary."""
    before = sorted(path.parent.rglob("*"))
    for main, chosen in mains:
        ends_with(capsys, main, chosen, *words)
    assert sorted(path.parent.rglob("*")) == before


def readers(path):
    """The scripts that read a run."""
    return [(script.main, script.Settings(run_dir=str(path))) for script in (LSTM_test, LSTM_output_Cn, LSTM_probe)]


def edited(path, part, value):
    """Set part `a.b.c` of a JSON file; `...` takes it out."""
    content = json.loads(path.read_text(encoding="utf-8"))
    *outer, last = part.split(".")
    inner = content
    for name in outer:
        inner = inner[name]
    if value is ...:
        del inner[last]
    else:
        inner[last] = value
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.mark.parametrize(
    "option, value, words",
    [
        *(("hidden_size", value, "hidden_size must be a whole number from 1 to 2048, not")
          for value in ("6", -1, 0, 10**9, 6.5, True, None, [6])),
        *(("data_dir", value, "data_dir must be a text") for value in (["x"], None, 3)),
        ("data_dir", "../../nowhere", "no such folder"),
        ("forcing", {"a": 1}, "forcing must be a list of texts"),
        ("forcing", "../daymet", "is not a forcing product"),
        ("attributes", 1, "attributes must be a text"),
        ("attributes", "../../../../etc/passwd", "no such file"),
        *(("test_period", value, "test_period must be two dates") for value in (None, ["2006-10-01"], [1, 2], "2006")),
        ("test_period", ["../../../outside", "2007-09-30"], "../../../outside"),
        ("test_period", ["2006-10-01", "\u0000"], "is not a date"),
        ("train_period", [None, None], "train_period must be two dates"),
        *(("dropout", value, "dropout must be a number from 0 to 1") for value in ("0", -1, float("nan"), 10**30)),
        ("forcing_noise", float("inf"), "forcing_noise must be a number"),
        ("forcing_noise", ..., "lacks forcing_noise"),
        *(("concepts", value, "concepts must be a list of texts") for value in ("x", [1], None, [None])),
        ("concepts", ["x={basin.__class__}.csv:y"], "only {basin} and {number} may stand in braces"),
        ("concepts", ["x={0}.csv:y"], "only {basin} and {number} may stand in braces"),
        ("concepts", ["x={basin!r}.csv:y"], "only {basin} and {number} may stand in braces"),
        ("concepts", ["x=../../../etc/passwd:column"], "every basin would read ../../../etc/passwd"),
        ("concepts", ["../x={basin}.csv:y"], "the name '../x' should be letters"),
        ("concepts", ["x={basin}.csv:y*1e999"], "is not a factor"),
        ("concepts", ["x=a\u0000{basin}.csv:y"], "printable characters"),
        ("concepts", [], "its targets are not streamflow"),
    ],
)  # fmt: skip
def test_settings_of_a_stranger(crafted, capsys, option, value, words):
    edited(crafted / "settings.json", f"settings.{option}", value)
    refused(capsys, crafted, readers(crafted), words)


@pytest.mark.parametrize("name", ["settings.json", "normalisation.json"])
@pytest.mark.parametrize(
    "content, words",
    [
        ("[]", "does not hold a JSON object"),
        ("[" * 200_000, "is not readable JSON"),
        ('{"format": ' + "9" * 5000 + "}", "is not readable JSON"),
        (b"\xff\xfe\x00", "is not readable JSON"),
        (b"\x80\x04K\x01.", "is not readable JSON"),
        ("", "is not readable JSON"),
    ],
)
def test_json_of_a_stranger(crafted, capsys, name, content, words):
    (crafted / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    refused(capsys, crafted, readers(crafted), words, name)


@pytest.mark.parametrize(
    "part, value, words",
    [
        ("targets", ..., "'targets'"),
        ("targets", {}, "its targets are not streamflow, soil1, swe"),
        ("targets.swe", ..., "its targets are not streamflow, soil1, swe"),
        ("targets.../x", [0, 1], "its targets are not streamflow, soil1, swe"),
        ("inputs", ["prcp"], ""),
        ("inputs.prcp", [0, 0], "prcp: mean 0, standard deviation 0"),
        ("inputs.prcp", [0, float("nan")], "prcp: mean 0, standard deviation nan"),
        ("inputs.prcp", [float("inf"), 1], "prcp: mean inf"),
        ("inputs.prcp", [0, -1], "prcp: mean 0, standard deviation -1"),
        ("inputs.prcp", [0, 1e-300], "prcp: mean 0, standard deviation 1e-300"),
        ("inputs.prcp", ["0", "1"], "prcp: mean '0', standard deviation '1'"),
        ("inputs.prcp", [0], ""),
        ("inputs.prcp", None, ""),
        ("inputs.prcp", ..., ""),
        ("attributes.elev_mean", [[0], [1]], "elev_mean: mean [0], standard deviation [1]"),
        ("attribute_range", None, ""),
        ("attribute_range.elev_mean", [2, 1], "elev_mean: from 2 to 1"),
    ],
)
def test_normalisation_of_a_stranger(crafted, capsys, part, value, words):
    path = crafted / "normalisation.json"
    if "../" in part:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["targets"]["../x"] = value
        path.write_text(json.dumps(content), encoding="utf-8")
    else:
        edited(path, part, value)
    refused(capsys, crafted, readers(crafted)[:2], words)


@pytest.mark.parametrize(
    "name", ["../x", "a/b", "/etc/passwd", "..\\x", "C:\\x", "a\0b", "..", "x" * 5000, "", '"a\nb"']
)
def test_basins_of_a_stranger(crafted, capsys, name):
    lines = (crafted / "basins.csv").read_text(encoding="utf-8").splitlines()
    lines[2] = ",".join([name, *lines[2].split(",")[1:]])
    (crafted / "basins.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    refused(
        capsys, crafted, readers(crafted), "is not a basin id" if name else "no daymet forcing file for 1 of 4 basins"
    )


@pytest.mark.parametrize(
    "old, new, words",
    [
        ("96000001", "97000002", "basin 97000002 stands there twice"),
        ("mean_swe", "mean_snow", "mean_swe"),
        ("\n", ",many\n", "could not convert string to float"),
        ("96000001", "96000001,1,2,3,4,5,6,7,8,9", ""),
        ("99000004", "99000004,1,2,3,4,5,6,7,8,9", ""),
        ("96000001", "\xff", "not readable"),
    ],
)
def test_a_basin_table_of_a_stranger(crafted, capsys, old, new, words):
    path = crafted / "basins.csv"
    text = path.read_text(encoding="utf-8")
    if "many" in new:  # a word in place of the mean of swe in the first basin
        table = pd.read_csv(path, dtype=str)
        table.loc[0, "mean_swe"] = "many"
        table.to_csv(path, index=False)
    else:
        path.write_bytes(text.replace(old, new, 1).encode("latin-1"))
    refused(capsys, crafted, readers(crafted), words)
    with pytest.raises(SystemExit):
        files.cli(LSTM_train.main, LSTM_train.Settings(run_dir=str(crafted), resume=True))


WEIGHTS = "model.weights.h5"


def weights_of(path):
    """Names and arrays of a .keras file."""
    found = {}
    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read(WEIGHTS))) as file:
        file.visititems(lambda name, item: found.update({name: item[()]}) if isinstance(item, h5py.Dataset) else None)
    return found


def write_weights(path, arrays, members=(), craft=lambda file: None):
    """A .keras file of these arrays, further members, and whatever `craft` does to its HDF5 file."""
    with zipfile.ZipFile(path) as archive:
        kept = {name: archive.read(name) for name in archive.namelist() if name != WEIGHTS}
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        for name, values in arrays.items():
            file[name] = values
        craft(file)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in {**kept, **dict(members), WEIGHTS: buffer.getvalue()}.items():
            archive.writestr(name, content)


def replaced(arrays, change):
    """The same arrays with the largest one changed, or left out where `change` gives None."""
    largest = max(arrays, key=lambda name: arrays[name].size)
    return {name: v for name, v in {**arrays, largest: change(arrays[largest])}.items() if v is not None}


def linked_elsewhere(file):
    name = next(name for name in weights_in(file) if file[name].ndim == 2)
    del file[name]
    file[name] = h5py.ExternalLink("/etc/passwd", "/")


def declared_huge(file):
    name = next(name for name in weights_in(file) if file[name].ndim == 2)
    del file[name]
    file.create_dataset(name, (10**6, 10**6), "f4", chunks=(1000, 1000), compression="gzip")


def weights_in(file):
    found = []
    file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return found


@pytest.mark.parametrize(
    "change",
    [lambda v: None, lambda v: v.T, lambda v: v[:-1], lambda v: v.ravel(), lambda v: np.full(v.shape, b"x"),
     lambda v: np.where(v == v.max(), np.nan, v), lambda v: np.full(v.shape, np.inf)],
    ids=["lacks one", "transposed", "too short", "flat", "words", "NaN", "infinite"],
)  # fmt: skip
def test_weights_of_a_stranger(crafted, capsys, change):
    path = crafted / "seed_1" / "model.keras"
    write_weights(path, replaced(weights_of(path), change))
    refused(capsys, crafted, readers(crafted)[:2], str(path), "hold")


@pytest.mark.parametrize("craft", [linked_elsewhere, declared_huge])
def test_links_and_bombs_in_weights(crafted, capsys, craft):
    path = crafted / "seed_1" / "model.keras"
    write_weights(path, weights_of(path), craft=craft)
    refused(capsys, crafted, readers(crafted)[:2], f"{path} does not hold the weights")


def test_model_files_that_are_something_else(crafted, capsys, tmp_path):
    path, canary = crafted / "seed_1" / "model.keras", tmp_path / "canary"
    poison = pickle.dumps(Payload(canary))
    pickle.loads(poison)
    assert canary.exists()  # so the canary works
    canary.unlink()
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(WEIGHTS, bytes(10**7))
    pickled = io.BytesIO()
    with zipfile.ZipFile(pickled, "w") as archive:
        archive.writestr(WEIGHTS, poison)
    for content in (b"", b"not a zip", poison, bomb.getvalue(), pickled.getvalue(), path.read_bytes()[:-100]):
        path.write_bytes(content)
        refused(capsys, crafted, readers(crafted)[:1], f"{path} does not hold the weights")
    path.unlink()
    path.mkdir()
    refused(capsys, crafted, readers(crafted)[:1], f"{path} does not hold the weights")
    for name in ("seed_" + "9" * 30, "seed_²", "seed_1"):
        path.parent.rename(crafted / name)
        path = crafted / name / "model.keras"
    shutil.rmtree(crafted / "seed_2")
    (crafted / "seed_1").rename(crafted / ("seed_" + "9" * 30))
    refused(capsys, crafted, readers(crafted), "holds no trained model yet")


def test_nothing_but_weights_is_read_from_a_model_file(crafted, run_dir, tmp_path):
    """The layers that config.json names, further members with paths and odd settings change nothing and do nothing."""
    canary, path = tmp_path / "canary", crafted / "seed_1" / "model.keras"
    poison = pickle.dumps(Payload(canary))
    call = {"module": "os", "class_name": "system", "config": {"command": f"touch {canary}"}, "registered_name": None}
    layer = {"module": "keras.layers", "class_name": "Lambda", "config": {"function": call, "name": "lambda"}}
    config = {"module": "builtins", "class_name": "eval", "config": {"layers": [layer, call]}, "build_config": call}
    members = {
        "config.json": json.dumps(config), "metadata.json": json.dumps(call), "assets/../../../canary": poison,
        "../canary": b"", "/tmp/../canary": b"", "assets/model.pkl": poison,
    }  # fmt: skip
    write_weights(path, weights_of(path), members)
    for option, value in {"seed": ["../../x"], "basins": {"a": 1}, "../x": "../y", "epochs": float("nan")}.items():
        content = json.loads((crafted / "settings.json").read_text(encoding="utf-8"))
        content["settings"][option] = value
        (crafted / "settings.json").write_text(json.dumps(content), encoding="utf-8")
    before = set(tmp_path.rglob("*"))
    for script in (LSTM_test, LSTM_output_Cn):
        script.main(script.Settings(run_dir=str(crafted), out_dir=str(tmp_path / "out")))
    assert same_weights(crafted, run_dir)
    new = set(tmp_path.rglob("*")) - before
    assert len(new) > 10 and all(p.is_relative_to(tmp_path / "out") for p in new), new


def checkpoint_members(path):
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def npy(values):
    buffer = io.BytesIO()
    np.save(buffer, values, allow_pickle=True)
    return buffer.getvalue()


def header(text):
    return b"\x93NUMPY\x01\x00" + (len(text) + 1).to_bytes(2, "little") + text.encode() + b"\n"


def with_meta(**changes):
    def craft(members, canary):
        meta = json.loads(str(np.load(io.BytesIO(members["meta.npy"]))))
        return {**members, "meta.npy": npy(np.array(json.dumps({**meta, **changes})))}

    return craft


CHECKPOINTS = {
    "pickled array": lambda m, canary: {**m, "v0.npy": npy(np.array([Payload(canary)], object))},
    "pickled meta": lambda m, canary: {**m, "meta.npy": npy(np.array([Payload(canary)], object))},
    "a plain pickle": lambda m, canary: pickle.dumps(Payload(canary)),
    "a pickle as member": lambda m, canary: {**m, "v0.npy": pickle.dumps(Payload(canary))},
    "header with code": lambda m, canary: {**m, "v0.npy": header(f"__import__('os').mkdir({str(canary)!r})")},
    "huge shape": lambda m, canary: {
        **m,
        "v0.npy": header(f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({10**15},)}}"),
    },
    "other shape": lambda m, canary: {**m, "v0.npy": npy(np.zeros((2, 3), "f4"))},
    "one array less": lambda m, canary: {k: v for k, v in m.items() if k != "v3.npy"},
    "one array more": lambda m, canary: {**m, "v999.npy": m["v0.npy"]},
    "no meta": lambda m, canary: {k: v for k, v in m.items() if k != "meta.npy"},
    "meta no JSON": lambda m, canary: {**m, "meta.npy": npy(np.array("{"))},
    "meta a list": lambda m, canary: {**m, "meta.npy": npy(np.array("[]"))},
    "epoch a word": with_meta(epoch="3"),
    "epoch huge": with_meta(epoch=10**9),
    "epoch negative": with_meta(epoch=-1),
    "history of numbers": with_meta(history=[1, 2, 3]),
    "history no list": with_meta(history=None),
    "best not a number": with_meta(best={"score": float("nan"), "epoch": 1}),
    "best a word": with_meta(best={"score": "0", "epoch": 1}),
    "best epoch to come": with_meta(best={"score": 0.5, "epoch": 7}),
    "empty": lambda m, canary: b"",
    "not a zip": lambda m, canary: b"PK\x03\x04 nothing",
}  # fmt: skip


def test_checkpoints_of_a_stranger(crafted, settings, tmp_path, capsys):
    path, canary = crafted / "seed_1" / "checkpoint.npz", tmp_path / "canary"
    members = checkpoint_members(path)
    LSTM_train.main(settings(crafted, resume=True))  # whole, it has nothing left to do
    for name, craft in CHECKPOINTS.items():
        spoiled = craft(members, canary)
        if isinstance(spoiled, bytes):
            path.write_bytes(spoiled)
        else:
            with zipfile.ZipFile(path, "w") as archive:
                for member, content in spoiled.items():
                    archive.writestr(member, content)
        capsys.readouterr()
        try:
            refused(capsys, crafted, [(LSTM_train.main, settings(crafted, resume=True))], f"{path} is not a checkpoint")
        except AssertionError as error:
            raise AssertionError(f"{name}: {error}") from error


def test_a_stream_that_cannot_be_unpacked(crafted, settings, capsys):
    path = crafted / "seed_1" / "checkpoint.npz"
    members = checkpoint_members(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
        start = archive.getinfo("v0.npy").header_offset + 30 + len("v0.npy")
    raw = bytearray(path.read_bytes())
    raw[start : start + 8] = b"\xff" * 8
    path.write_bytes(raw)
    refused(capsys, crafted, [(LSTM_train.main, settings(crafted, resume=True))], f"{path} is not a checkpoint")


@pytest.mark.parametrize("name", ["..\\..\\x_1", "x\n_1", "x y_1", "x;rm_1", "._camels_1", "${HOME}_1", "é_1"])
def test_names_of_a_strangers_gauges(data, settings, tmp_path, capsys, name):
    folder = data / "caravan" / "timeseries" / "csv" / "camels"
    shutil.copy(folder / f"camels_{BASINS[0]}.csv", folder / f"{name}.csv")
    chosen = settings(tmp_path / "run", data_dir=str(data / "caravan"), forcing="caravan", concepts=())
    with pytest.raises(SystemExit) as stop:
        files.cli(LSTM_train.main, chosen)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and "is not a basin id" in error and "Rename or remove the file" in error
    assert not (tmp_path / "run").exists()


def test_a_basin_list_of_a_stranger(settings, tmp_path, capsys):
    for name in ("../x", "a/b", "/etc/passwd", "..\\x", "a\0b", "x" * 5000):
        (tmp_path / "list.txt").write_text(f"{BASINS[0]}\n{name}\n")
        chosen = settings(tmp_path / "run", basins=(str(tmp_path / "list.txt"),))
        ends_with(capsys, LSTM_train.main, chosen, "list.txt, line 2: no basin id in")


@pytest.mark.parametrize(
    "dates, values, words",
    [
        ([np.datetime64("NaT", "ns")], [1.0], "the dates are repeated, out of order or absent"),
        ([], [], "the dates are repeated, out of order or absent"),
        (["2002-01-02", "2002-01-01"], [1.0, 2.0], "out of order"),
        (["1690-01-01"], [1.0], "cannot be"),
        (["2002-01-01"], [np.inf], "2002-01-01: x inf is not between"),
        (["2002-01-01"], ["many"], "no value of x"),
    ],
)
def test_a_netcdf_concept_of_a_stranger(settings, data, tmp_path, capsys, dates, values, words):
    (data / "nc").mkdir()
    for basin in BASINS:
        days = np.array(dates, "datetime64[ns]")
        xr.Dataset({"x": ("date", values)}, {"date": days}).to_netcdf(data / "nc" / f"{basin}.nc")
    chosen = settings(tmp_path / "run", data_dir=str(data), concepts=("k=nc/{basin}.nc:x",))
    ends_with(capsys, LSTM_train.main, chosen, words)


def test_a_netcdf_concept_that_is_something_else(settings, data, tmp_path, capsys):
    canary = tmp_path / "canary"
    (data / "nc").mkdir()
    for content in (pickle.dumps(Payload(canary)), b"\x89HDF\r\n\x1a\n" + bytes(100), b"CDF\x05" + b"\xff" * 64, b""):
        for basin in BASINS:
            (data / "nc" / f"{basin}.nc").write_bytes(content)
        chosen = settings(tmp_path / "run", data_dir=str(data), concepts=("k=nc/{basin}.nc:x",))
        ends_with(capsys, LSTM_train.main, chosen, f"{data / 'nc' / BASINS[0]}.nc cannot be read as netCDF")
    assert not canary.exists()


# Settings


@pytest.mark.parametrize(
    "option, value, words",
    [
        *((name, value, f"--{name.replace('_', '-')} must be above 0, not {value}.")
          for name in ("hidden_size", "epochs", "batch_size", "window", "learning_rate", "clip_norm", "patience")
          for value in (0, -1, float("nan"))),
        *((name, value, f"--{name.replace('_', '-')} must not be below 0, not {value}.")
          for name in ("warmup_days", "forcing_noise", "streamflow_weight", "concept_weight", "probe_penalty")
          for value in (-1, float("nan"))),
        ("forcing_noise", 1.5, "--forcing-noise must not be above 1, not 1.5."),
        *(("root_flow_share", value, f"--root-flow-share must be from 0 to 1, not {value}.")
          for value in (-0.1, 1.1, float("nan"))),
        ("hidden_size", 10**9, "--hidden-size must not be above 2048, not 1000000000."),
        *(("dropout", value, f"--dropout must be at least 0 and below 1, not {value}.") for value in (-0.1, 1.0)),
        *(("seed", value, "--seed takes different whole numbers from 0 to 4294967295, not")
          for value in ((), (1, 1), (-1,), (2**32,))),
        ("valid_period", ("2006-09-30", "2006-10-01"),
         "--valid-period (2006-09-30 to 2006-10-01) and --test-period (2006-10-01 to 2007-09-30) share days."),
    ],
)  # fmt: skip
def test_settings_that_cannot_work(settings, option, value, words):
    with pytest.raises(InputError) as problem:
        LSTM_train.check(settings("any", **{option: value}))
    assert str(problem.value).startswith(words)


def test_a_training_whose_numbers_leave_their_range_ends(settings, tmp_path, capsys):
    chosen = settings(tmp_path / "run", seed=(1,), learning_rate=float("inf"))
    ends_with(capsys, LSTM_train.main, chosen, "The loss is not a number in epoch 1: lower --learning-rate")
    assert not (tmp_path / "run" / "seed_1").exists()


def test_folders_that_hold_something_else(settings, crafted, data, tmp_path, capsys, monkeypatch):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("")
    ends_with(capsys, LSTM_train.main, settings(tmp_path / "other"), "holds other files and no run")
    (Path.cwd() / "demo").mkdir()
    (Path.cwd() / "demo" / "thesis.tex").write_text("")
    ends_with(capsys, LSTM_train.main, settings(tmp_path / "run3", data_dir="demo"), "demo")
    shutil.rmtree(crafted / "seed_1")
    shutil.rmtree(crafted / "seed_2")
    ends_with(capsys, *readers(crafted)[0], "holds no trained model yet: run LSTM_train.py --resume")
    change(file_of(data, "streamflow", BASINS[0]), 4, "-999", lambda n: n == 1000)
    edited(crafted / "settings.json", "settings.data_dir", str(data))
    chosen = settings(crafted, data_dir=str(data), resume=True)
    ends_with(capsys, LSTM_train.main, chosen, f"The data changed since {crafted} was begun")
    edited(crafted / "settings.json", "settings", [])
    ends_with(capsys, *readers(crafted)[0], "settings.json holds no settings")


def test_processes_that_do_not_come_together(monkeypatch):
    jax, keras = pytest.importorskip("jax"), pytest.importorskip("keras")

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


def test_periods_that_cannot_be_probed(run_dir, data, capsys):
    chosen = LSTM_probe.Settings(run_dir=str(run_dir), period=("2007-01-01", "2007-02-28"))
    ends_with(capsys, LSTM_probe.main, chosen, "2007-01-01 to 2007-02-28 is too short for interventions")
    for basin in BASINS:
        change(file_of(data, "concept", basin), SOIL, "", lambda n: n > 2000)
    chosen = LSTM_probe.Settings(run_dir=str(run_dir), data_dir=str(data), period=("2007-05-01", "2007-09-30"))
    ends_with(
        capsys,
        LSTM_probe.main,
        chosen,
        "No basin counts for soil1: none has enough of it, or none a value from 2007-05-01 to 2007-09-30.",
    )
