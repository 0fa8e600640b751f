"""Nothing silently wrong: what a hostile or an unlucky user does, as commands. One test for each class of faults."""

import os
import runpy
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import asdict
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydrodata_tf as hydrodata
import libs_tf
import LSTM_train
from reading import folders, windows
from reading.concepts import conversion, parse_concept
from running import runs, simulation
from writing import files
from writing.files import InputError

ROOT = Path(__file__).resolve().parent.parent
PERIOD = ("2006-10-01", "2007-09-30")
RESULTS = "test_2006-10-01_2007-09-30"
GAUGE = "caravan/timeseries/csv/camels/camels_{basin}.csv"


@pytest.fixture
def command(monkeypatch, capsys):
    """Function (script, words …): run a script as a command, in this process; gives exit code, output and errors."""

    def run(script, *words):
        monkeypatch.setattr(sys, "argv", [script, *map(str, words)])
        capsys.readouterr()
        code = 0
        try:
            runpy.run_path(str(ROOT / script), run_name="__main__")
        except SystemExit as stop:
            code = stop.code
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return run


@pytest.fixture
def refused(command):
    """Function (words that must be said, script, words …): the command ends in exit code 2 and one line."""

    def run(said, script, *words):
        code, _, error = command(script, *words)
        assert code == 2 and len(error.strip().splitlines()) == 1 and len(error) < 1000, error
        assert error.strip().isprintable()
        for word in [said] if isinstance(said, str) else said:
            assert word in error, error

    return run


@pytest.fixture
def train(demo, tmp_path):
    """The words of a training that is refused before it begins, on the small demo unless they say otherwise."""
    path = tmp_path / "run"
    periods = ("--train-period", "2002-10-01", "2005-09-30", "--valid-period", "2005-10-01", "2006-09-30")
    return ("LSTM_train.py", "--data-dir", demo, "--run-dir", path, *periods, "--test-period", *PERIOD, "--concepts")


@pytest.fixture
def copy(run_dir, tmp_path):
    """A run directory that may be harmed."""
    return shutil.copytree(run_dir, tmp_path / "copy", ignore=shutil.ignore_patterns("test_*", "states_*", "probe_*"))


@pytest.fixture
def data(demo, tmp_path):
    """Data that may be harmed."""
    return shutil.copytree(demo, tmp_path / "data")


def file_of(data, kind, basin="96000001"):
    names = {"forcing": "camels/basin_mean_forcing/daymet/**/{}_lump*", "flow": "camels/usgs_streamflow/**/{}_*",
             "caravan": "caravan/timeseries/csv/camels/camels_{}.csv"}  # fmt: skip
    (path,) = data.glob(names[kind].format(basin))
    return path


# 1: tables that lose columns or rows


@pytest.mark.parametrize(
    "text, said",
    [
        ("basin_id;elev;slope\nB;10,5;3,2\n", ("line 2", "elev '10,5'", "decimal point")),
        ("basin_id,elev\nB,1e300\n", ("line 2", "'1e300'")),
        ("basin_id,elev\nB,1.234.567\n", ("no column of numbers among",)),
        ("basin_id,elev\nB,high\n", ("no column of numbers among",)),
        (",basin_id\n0,B\n", ("no column of numbers among",)),
    ],
)
def test_a_table_that_would_lose_its_attributes_is_refused(refused, train, tmp_path, demo, text, said):
    basins = sorted(hydrodata.forcing_files(demo, "daymet"))
    head, row = text.splitlines()
    (tmp_path / "table.csv").write_text("\n".join([head, *(row.replace("B", basin) for basin in basins), ""]))
    refused(("table.csv", *said), *train, "--attributes", tmp_path / "table.csv")


def test_columns_that_are_no_attributes_are_counted_and_named(tmp_path):
    (tmp_path / "t.csv").write_text(",gauge_id,elev,country,Unnamed: 9\n0,96000001,10.5,US,3\n1,96000002,20.5,MX,4\n")
    with pytest.warns(UserWarning, match="3 of 4 columns are no attributes.*: column 1, country, Unnamed: 9"):
        table = hydrodata.load_attributes(tmp_path / "t.csv", ["96000002", "96000001"], None)
    assert table.columns.tolist() == ["elev"] and table["elev"].tolist() == [20.5, 10.5]


@pytest.mark.parametrize(
    "text", ['"","basin_id"\n"1","01022500"\n"2","01030500"\n', "basin_id\n1022500.0\n1030500.0\n"]
)
def test_lists_as_r_and_table_programs_write_them(tmp_path, text):
    (tmp_path / "list.csv").write_text(text)
    assert hydrodata.read_basins(tmp_path / "list.csv") == ["01022500", "01030500"]


# 2: two processes at once


def test_one_of_two_trainings_begins_a_run_and_one_trains_a_member(refused, copy, tmp_path, settings):
    data = hydrodata.open_data(settings("x").data_dir, basins=["96000001"])
    training = windows.training_set(data, "2002-10-01", "2003-09-30")
    outcome = []

    def begin(size):
        options = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(settings("x")).items()}
        try:
            runs.create_run(tmp_path / "new", options | {"hidden_size": size}, training, resume=False)
            outcome.append(size)
        except InputError as problem:
            outcome.append(str(problem))

    threads = [threading.Thread(target=begin, args=(size,)) for size in (5, 6, 7, 8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(outcome) == 4
    (begun,) = [one for one in outcome if isinstance(one, int)]
    assert runs.stored_settings(tmp_path / "new")["hidden_size"] == begun
    assert all("already holds a run" in one for one in outcome if one != begun)
    with runs.only_training(copy, 1):
        refused("Another process is training seed 1", "LSTM_train.py", "--resume", "--run-dir", copy)
    assert not list(copy.rglob(".*"))


def test_a_file_that_is_renamed_while_a_run_is_looked_at_is_no_fault(copy, monkeypatch):
    listed = os.walk(copy)
    monkeypatch.setattr(os, "walk", lambda path: [(where, [], [*names, ".unfinished_x"]) for where, _, names in listed])
    assert runs.load_run(copy).seeds == [1, 2]


def test_a_lock_ends_with_its_process(tmp_path):
    hold = "import files, pathlib, time\nwith files.locked(pathlib.Path('lock'), 'x'):\n"
    hold += "    print('held', flush=True)\n    time.sleep(99)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    holder = subprocess.Popen([sys.executable, "-c", hold], cwd=tmp_path, env=environment, stdout=-1)
    try:
        assert holder.stdout.readline().strip() == b"held"
        with pytest.raises(InputError, match="busy"), files.locked(tmp_path / "lock", "busy"):
            pass
    finally:
        holder.kill()
        holder.communicate()
    with files.locked(tmp_path / "lock", "busy"):
        pass
    assert not list(tmp_path.iterdir())


def test_two_copies_of_the_data_keep_each_others_numbers_in_one_cache(data, demo, tmp_path):
    one, other = (hydrodata.open_data(folder, basins=["96000001"], cache_dir=tmp_path / "c") for folder in (demo, data))
    for prepared in (one, other):
        assert np.isfinite(prepared.days(0, prepared.first_day, 3)[:, :5]).all()


# 3: links that lead out of the run directory


@pytest.mark.parametrize("name", [RESULTS, "states_2006-10-01_2007-09-30", "seed_1"])
def test_nothing_is_written_or_removed_through_a_link(refused, copy, tmp_path, name):
    outside = tmp_path / "outside"
    if (copy / name).exists():
        shutil.move(copy / name, outside)
    outside.mkdir(exist_ok=True)
    (outside / ".unfinished_0a1b2c3d_theirs.csv").write_text("theirs")
    before = {path.name: path.stat().st_mtime_ns for path in outside.iterdir()}
    os.symlink(outside, copy / name, target_is_directory=True)
    for script in ("LSTM_test.py", "LSTM_output_Cn.py", "LSTM_probe.py"):
        refused((name, "leads out of the run directory"), script, "--run-dir", copy)
    refused((name, "leads out of the run directory"), "LSTM_train.py", "--resume", "--run-dir", copy)
    assert {path.name: path.stat().st_mtime_ns for path in outside.iterdir()} == before


# 4: snow


@pytest.mark.parametrize(
    "text, says",
    [
        ("soil=sweden/{basin}.csv:water[mm]", ""),
        ("soil=snow/{basin}.csv:water[mm]", ""),
        ("answer=a/{basin}.csv:sweet[mm]", ""),
        ("swe=a/{basin}.csv:water[mm]", "name"),
        ("SWE_2=a/{basin}.csv:water[mm]", "name"),
        ("store=a/{basin}.csv:uaz_swe[mm]", "column"),
        ("store=a/{basin}.csv:sd", "column"),
        ("store=a/{basin}.csv:water[cm of snow]", "unit"),
    ],
)
def test_snow_is_what_name_column_or_unit_says(text, says):
    concept = parse_concept(text)
    assert concept.snow == hydrodata._about((), [concept])[concept.name]["snow"] == says


def test_lengths_of_water_are_converted_and_nothing_else_is():
    assert conversion("cm", "mm") == 10 and conversion("mm", "m of water") == 0.001 and conversion("K", "K") == 1
    for units, wanted in (("m of snow", "mm"), ("m3/m3", "mm"), ("mm", "as in file")):
        with pytest.raises(InputError, match=f"{units} cannot be turned into {wanted}"):
            conversion(units, wanted)


def test_the_limit_for_snow_is_5_mm_in_every_unit():
    for unit, factor in (("mm", 1), ("cm", 10), ("m of water", 1000), ("inch", 25.4), ("kg/m2", 1)):
        values = np.array([[4.9], [5.1]]) / factor
        basins = ["a", "b"]
        data = windows.Prepared(
            basins, [], ["streamflow", "swe"], {"streamflow": {"units": "mm/day", "long_name": "streamflow"},
            "swe": {"units": unit, "long_name": "x", "snow": "name"}}, None, None, [], np.array([]), np.array([]),
        )  # fmt: skip
        scored = simulation.scored_basins(pd.DataFrame(values, basins, ["mean_swe"]), data)
        assert scored["swe"].tolist() == [False, True] and scored["streamflow"].all(), unit
    for unit in ("bananas", "as in file"):
        with pytest.raises(InputError, match=f"is snow, as its name says, but '{unit}' is no length"):
            parse_concept(f"swe=a/{{basin}}.csv:water[{unit}]")
    assert parse_concept("cover=a/{basin}.csv:snow_cover[%]").units == "%"


def test_a_concept_below_a_folder_called_sweden_is_scored_and_the_report_says_what_is_snow(command, copy, data):
    (data / "sweden").mkdir()
    for path in (data / "caravan/timeseries/csv/camels").iterdir():
        shutil.copy(path, data / "sweden" / path.name)
    text = (copy / "settings.json").read_text()
    (copy / "settings.json").write_text(text.replace(f"soil1={GAUGE}", "soil1=sweden/camels_{basin}.csv"))
    code, out, error = command("LSTM_test.py", "--run-dir", copy, "--data-dir", data, "--metrics", "NSE")
    assert code == 0, error
    assert "swe is snow, as its name says: it counts where its training-period mean exceeds 5 mm." in out
    assert "soil1 is snow" not in out and "soil1 1,460" in out
    summary = pd.read_csv(copy / RESULTS / "summary.csv", index_col=["target", "member"])
    assert summary.loc[("soil1", "mean of members"), "basins"] == 4


# 5 and 6: periods


@pytest.mark.parametrize(
    "first, last",
    [("2006", "2007"), ("2006-10", "2007-09"), ("20061001", "20070930"), ("2006-10-01T12:00", "2007-09-30"),
     ("2006-10-1", "2007-09-30"), ("2006-10-01 ", "2007-09-30"), ("banana", "split"), ("2006-02-30", "2007-09-30")],
)  # fmt: skip
def test_a_date_is_written_in_one_way_in_every_option(refused, train, run_dir, first, last):
    said = f"{first!r} is not a date; write dates as 1981-10-01."
    for option in ("--train-period", "--valid-period", "--test-period"):
        refused(said, *train, option, first, last)
    refused(said, "LSTM_test.py", "--run-dir", run_dir, "--period", first, last)
    refused(said, "LSTM_output_Cn.py", "--run-dir", run_dir, "--period", first, last)
    for option in ("--period", "--fit-period"):
        refused(said, "LSTM_probe.py", "--run-dir", run_dir, option, first, last)
    with pytest.raises(InputError, match="is not a date"):
        windows.parse_day(2006)


def test_periods_are_checked_before_text_is_read(refused, train, run_dir, demo, tmp_path, monkeypatch):
    def never(*arguments, **options):
        raise AssertionError("something was read")

    monkeypatch.setattr(hydrodata, "open_data", never)
    refused("--test-period 2007-09-30 to 2006-10-01 ends before it starts", *train, "--test-period", *PERIOD[::-1])
    for script in ("LSTM_test.py", "LSTM_output_Cn.py"):
        refused("ends before it starts", script, "--run-dir", run_dir, "--period", *PERIOD[::-1])


@pytest.mark.parametrize("option", ["--train-period", "--valid-period", "--test-period"])
def test_no_training_begins_whose_periods_the_data_do_not_reach(refused, train, tmp_path, option):
    refused("The period 2031-10-01 to 2032-09-30 has no day in the data", *train, option, "2031-10-01", "2032-09-30")
    assert not (tmp_path / "run").exists()


# 7: days asked for and days scored


def test_days_without_forcing_are_counted_and_none_is_an_error(command, refused, copy, data):
    for path in (data / "camels/basin_mean_forcing").rglob("*_forcing_leap.txt"):
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(line for i, line in enumerate(lines) if i < 4 or line[:7] < "2007 01"))
    code, out, error = command("LSTM_test.py", "--run-dir", copy, "--data-dir", data, "--metrics", "NSE")
    assert code == 0, error
    assert "2006-10-01 to 2007-09-30: all forcing on 368 of 1,460 basin-days\n" in out
    assert "soil1 368, swe 368" in out
    outside = ("--run-dir", copy, "--data-dir", data, "--period", "2007-03-01", "2007-09-30")
    for script in ("LSTM_test.py", "LSTM_output_Cn.py", "LSTM_probe.py"):
        refused("No basin has all forcing on any day from 2007-03-01 to 2007-09-30", script, *outside)
    assert not list(copy.glob("*2007-03-01*"))


def test_nothing_observed_is_an_error_and_a_missing_spin_up_is_named(command, refused, copy, data):
    for path in (data / "camels/usgs_streamflow").rglob("*.txt"):
        path.write_text(
            "".join(line for line in path.read_text().splitlines(keepends=True) if line.split()[1] < "2006")
        )
    text = (copy / "settings.json").read_text()
    for path in (data / "caravan/timeseries/csv/camels").iterdir():
        path.write_text(
            "".join(
                line for line in path.read_text().splitlines(keepends=True) if not line[:4] > "2006" or line[0] == "d"
            )
        )
    assert "soil1" in text
    refused("Nothing was observed on any day from 2007-01-01 to 2007-02-01", "LSTM_test.py", "--run-dir", copy,
            "--data-dir", data, "--period", "2007-01-01", "2007-02-01")  # fmt: skip
    assert not list(copy.glob("test_*/series.nc"))
    code, out, error = command(
        "LSTM_test.py", "--run-dir", copy, "--metrics", "NSE", "--period", "2002-01-01", "2002-12-31"
    )
    assert code == 0, error
    assert "; less than 365 days of spin-up before it in 4 basins: 96000001" in out


# 8: numbers that are none


@pytest.mark.parametrize("kind", ["forcing", "flow", "caravan"])
@pytest.mark.parametrize("word", ["1.234.567", "1,5", "0x1F", "1_000", "--1", "١٢", "1e", "\x1b[31m", "=1+1"])
def test_a_word_that_is_no_number_names_file_and_line(data, kind, word):
    path = file_of(data, kind)
    lines = path.read_text().splitlines()
    fields = lines[20].split("," if kind == "caravan" else None)
    fields[5 if kind == "forcing" else 4] = word
    lines[20] = ("," if kind == "caravan" else " ").join(fields)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(InputError, match=f"{path.name}, line 21: ") as problem:
        if kind == "caravan":
            hydrodata.load_caravan(data, "camels_96000001")
        elif kind == "flow":
            hydrodata.load_streamflow(data, "96000001")
        else:
            hydrodata.load_forcing(data, "96000001")
    assert str(problem.value).isprintable()


# 9: what ended in a traceback


def test_options_and_arguments_out_of_range(refused, run_dir, demo):
    refused("--draw must not be below 0", "LSTM_probe.py", "--run-dir", run_dir, "--draw", "-1")
    refused("--units-shown must be above 0", "LSTM_output_Cn.py", "--run-dir", run_dir, "--units-shown", "0")
    for area in (0, -5e6, float("nan")):
        with pytest.raises(InputError, match="area of basin 96000001"):
            hydrodata.load_streamflow(demo, "96000001", area_m2=area)


def test_a_word_that_no_file_can_hold_is_refused(refused, train):
    refused("printable characters", *train, f"soil={GAUGE}:x[m\udcffm]")
    refused("printable characters", *train, f"soil={GAUGE}:x[{'m' * 20000}]")
    refused("printable characters", *train[:-1], "--run-dir", "run\udcff")


@pytest.mark.parametrize("content", ['{"first": "2001-10-01", "days": 2191, "found": {}}', "[]", '{"first": 1', "\x00"])
def test_a_cache_that_was_changed_is_made_anew(demo, tmp_path, content):
    first = hydrodata.open_data(demo, basins=["96000001"], cache_dir=tmp_path)
    (about,) = tmp_path.glob("*/*.json")
    about.write_text(content)
    again = hydrodata.open_data(demo, basins=["96000001"], cache_dir=tmp_path)
    assert again.report == first.report and about.read_text() != content


def test_a_screen_of_ascii_and_a_backend_that_is_not_there():
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    words = [sys.executable, "-c", "import files\nfiles.cli(lambda: print('5 \\xb1 1'))"]
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "5 \\xb1 1\n"), done.stderr
    for backend in ("banana", "torch"):
        words = [sys.executable, "-c", "import files\nfiles.cli(lambda: __import__('libs_tf'))"]
        done = subprocess.run(words, env={**environment, "KERAS_BACKEND": backend}, capture_output=True, text=True)
        assert done.returncode == 2 and "set KERAS_BACKEND to tensorflow or jax" in done.stderr, done.stderr
        assert "Traceback" not in done.stderr


# 10: the number of cores


def test_another_number_of_cores_is_told_on_resume(copy, settings, monkeypatch):
    chosen = settings(copy, resume=True, seed=(1,))
    monkeypatch.setattr(libs_tf, "CORES", libs_tf.CORES + 1)
    with pytest.warns(UserWarning, match=f"on {libs_tf.CORES - 1} cores, here are {libs_tf.CORES}"):
        LSTM_train.main(chosen)


def test_a_member_that_was_copied_is_no_other_member(refused, copy):
    shutil.copy(copy / "seed_1" / "checkpoint.npz", copy / "seed_2" / "checkpoint.npz")
    refused("it is of seed 1", "LSTM_train.py", "--resume", "--run-dir", copy, "--seed", "2")


# 11: what is left behind


def test_what_a_killed_process_left_is_removed_after_a_day(tmp_path):
    old, new, folder = (tmp_path / f".unfinished_{i}_x.csv" for i in "abc")
    folder.mkdir()
    for path in (old, new):
        path.write_text("x")
    for path in (old, folder):
        os.utime(path, (1e9, 1e9))
    (tmp_path / ".hidden").write_text("a user's own")
    files.write_text(tmp_path / "y.txt", "y")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".hidden", ".unfinished_b_x.csv", "y.txt"]


@pytest.mark.skipif(os.name == "nt", reason="Windows ends processes without asking them")
def test_a_process_that_is_asked_to_end_removes_what_it_was_writing(tmp_path):
    code = (
        "import files, time\ndef main():\n    with files.replacing('out.csv') as path:\n"
        "        path.write_text('half')\n        print('writing', flush=True)\n        time.sleep(99)\nfiles.cli(main)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment, stdout=-1, stderr=-1)
    assert process.stdout.readline().strip() == b"writing" and len(list(tmp_path.iterdir())) == 1
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGTERM and not error and not list(tmp_path.iterdir())


# 12: homes


def test_a_home_is_written_out_or_refused(monkeypatch, tmp_path, refused, run_dir):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    words = ["--out-dir=~/x", "~", "swe=~/swe/{number}.csv:a", "a~b", "runs/~x", "--basins=1"]
    home = str(tmp_path)
    assert [files.home_written_out(word) for word in words] == [
        f"--out-dir={home}/x", home, f"swe={home}/swe/{{number}}.csv:a", "a~b", "runs/~x", "--basins=1",
    ]  # fmt: skip
    if os.name != "nt":  # where homes are guessed
        refused("no home folder ~nobody-here", "LSTM_test.py", "--run-dir", run_dir, "--out-dir=~nobody-here/x")

    def homeless():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.delenv("HYDRODATA_CACHE")
    assert windows.cache_folder().name.startswith("hydrological-concepts-lstm-")


# 13: folders that are not what they look like


def test_basins_behind_links_are_found_and_what_cannot_be_read_is_named(data, tmp_path, monkeypatch):
    product = data / "camels/basin_mean_forcing/daymet"
    wanted = {basin: path.name for basin, path in folders.forcing_files(data, "daymet").items()}
    shutil.move(product / "98", tmp_path / "98")
    os.symlink(tmp_path / "98", product / "98", target_is_directory=True)
    os.symlink(product, product / "98" / "round", target_is_directory=True)
    assert {basin: path.name for basin, path in folders.forcing_files(data, "daymet").items()} == wanted
    scandir, locked = os.scandir, file_of(data, "forcing", "97000002").parent

    def closed(path):
        if Path(path) == locked:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", closed)
        with pytest.raises(InputError, match=f"{locked.name} cannot be read .Permission denied"):
            folders.forcing_files(data, "daymet")
    shutil.move(tmp_path / "98", tmp_path / "elsewhere")
    with pytest.raises(InputError, match="98 is a link to nothing"):
        folders.forcing_files(data, "daymet")


def test_several_data_sets_below_a_folder_are_no_guess(demo, tmp_path):
    for name in ("a", "b"):
        shutil.copytree(demo / "camels", tmp_path / name)
    for read in (hydrodata.open_data, hydrodata.load_forcing):
        with pytest.raises(InputError, match="basin_mean_forcing is in .*a, .*b; give one of them"):
            read(tmp_path, **({"basins": "96000001"} if read is hydrodata.open_data else {"basin": "96000001"}))
    with pytest.raises(InputError, match="camels_clim.txt is in .*a/camels.*, .*b/camels"):
        hydrodata.load_attributes(tmp_path, ["96000001"])


# 14 and 17: files of strangers


def external(file):
    Path("secret.bin").write_bytes(np.arange(100, dtype="f4").tobytes())
    file.create_dataset("water", (100,), "f4", external=[("secret.bin", 0, 400)])


def virtual(file):
    with h5py.File("other.nc", "w") as other:
        other["water"] = np.arange(100.0)
    layout = h5py.VirtualLayout((100,), "f8")
    layout[:] = h5py.VirtualSource("other.nc", "water", (100,))
    file.create_virtual_dataset("water", layout)


def linked(file):
    with h5py.File("other.nc", "w") as other:
        other["water"] = np.arange(100.0)
    file["water"] = h5py.ExternalLink("other.nc", "water")


@pytest.mark.parametrize("craft", [external, virtual, linked])
def test_a_netcdf_file_holds_its_own_numbers(tmp_path, monkeypatch, craft):
    monkeypatch.chdir(tmp_path)
    with h5py.File("96000001.nc", "w") as file:
        date = file.create_dataset("date", data=np.arange(100))
        date.attrs["units"] = "days since 2001-10-01"
        date.make_scale("date")
        craft(file)
        if isinstance(file.get("water", getlink=True), h5py.HardLink):
            file["water"].dims[0].attach_scale(date)
    with pytest.raises(InputError, match="96000001.nc: water lies in another file"):
        hydrodata.load_concept("soil={basin}.nc:water[mm]", "96000001", tmp_path)


def test_a_netcdf_file_that_declares_more_days_than_there_are(tmp_path):
    with netCDF4.Dataset(tmp_path / "96000001.nc", "w") as file:
        file.createDimension("date", 10**9)
        file.createVariable("date", "i4", ("date",), zlib=True, chunksizes=(10**6,)).units = "days since 2001-10-01"
    with pytest.raises(InputError, match="96000001.nc: the dimension date has more than"):
        hydrodata.load_concept("soil={basin}.nc:water[mm]", "96000001", tmp_path)


def pipe(path):
    path.unlink()
    os.mkfifo(path)


def device(path):
    path.unlink()
    path.symlink_to("/dev/zero")


def endless(path):
    os.truncate(path, 10**12)  # without taking a place on the disk


@pytest.mark.skipif(os.name == "nt", reason="pipes and devices have no names there")
@pytest.mark.parametrize("craft", [pipe, device, endless])
def test_only_regular_files_of_a_sane_size_are_read(data, copy, refused, tmp_path, craft):
    said = {pipe: "no regular file", device: "no regular file", endless: "1,000,000,000,000 bytes"}[craft]
    craft(file_of(data, "forcing"))
    with pytest.raises(InputError, match=said):
        hydrodata.load_forcing(data, "96000001")
    for name in ("table.csv", "list.txt", "one.nc"):
        (tmp_path / name).write_text("96000001\n")
        craft(tmp_path / name)
    for read in (
        lambda: hydrodata.read_attribute_table(tmp_path / "table.csv", ["96000001"]),
        lambda: hydrodata.read_columns(tmp_path / "one.nc"),
        lambda: windows.read_json(tmp_path / "list.txt"),
    ):
        with pytest.raises(InputError, match=said):
            read()
    said = said if craft is endless else "leads out" if craft is device else said
    for name in ("settings.json", "normalisation.json", "basins.csv", "seed_1/model.keras"):
        shutil.copy(copy / name, tmp_path / "kept")
        craft(copy / name)
        if craft is not endless or name != "seed_1/model.keras":  # that Keras refuses by its own rules
            refused(said, "LSTM_test.py", "--run-dir", copy)
        (copy / name).unlink()
        shutil.copy(tmp_path / "kept", copy / name)


def test_a_run_that_asks_for_too_many_cell_states(refused, copy, train):
    text = (copy / "settings.json").read_text()
    (copy / "settings.json").write_text(text.replace('"hidden_size": 6', '"hidden_size": 10000'))
    refused("hidden_size must be a whole number from 1 to 2048", "LSTM_test.py", "--run-dir", copy)
    refused("--hidden-size must not be above 2048", *train, "--hidden-size", 10000)


# 15 and 16


def test_what_is_synthetic_stands_in_the_run(command, copy, demo, tmp_path):
    shutil.copytree(demo / "camels", tmp_path / "moved" / "camels")
    shutil.copytree(demo / "caravan", tmp_path / "moved" / "caravan")
    code, _, error = command("LSTM_test.py", "--run-dir", copy, "--data-dir", tmp_path / "moved", "--metrics", "NSE")
    assert code == 0, error
    with xr.open_dataset(copy / RESULTS / "series.nc") as series:
        assert series.attrs["comment"] == "synthetic catchments, not observations"


@pytest.mark.parametrize("name", ["c", "h", "i", "f", "g", "o", "unit", "lat", "streamflow"])
def test_names_that_the_results_need_are_refused_at_the_start(refused, train, name):
    refused(f"the name {name} is taken", *train, f"{name}={GAUGE}:volumetric_soil_water_layer_1_mean")


# 18


def test_a_folder_that_is_not_there_is_named_whole(refused, copy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused((str(tmp_path / "nowhere"), "--data-dir"), "LSTM_test.py", "--run-dir", copy, "--data-dir", "nowhere")


def test_control_characters_of_a_file_do_not_reach_the_screen(command, refused, train, data):
    folder = data / "red"
    folder.mkdir()
    (folder / "96000001.csv").write_bytes(b"date,\x1b[31mred\x07,x\n2002-01-01,1,2\n")
    words = [data if word == train[2] else word for word in train]
    refused("?[31mred?", *words, "soil=red/{basin}.csv:nope[mm]", "--basins", "96000001")
    code, out, error = command("hydrodata_tf.py", "look", "--data-dir", data)
    assert code == 0 and "?[31mred?" in out and "\x1b" not in out, error


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_screen_that_takes_nothing():
    words = [sys.executable, "-c", "import files\nfiles.cli(lambda: print('x'))"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}
    with open("/dev/full", "w") as full:
        done = subprocess.run(words, env=environment, stdout=full, stderr=-1, text=True)
    assert done.returncode == 2 and done.stderr.startswith("No space left on device"), done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_keras_numbers_are_of_32_bits_whatever_a_users_file_says(tmp_path):
    (tmp_path / "keras.json").write_text('{"floatx": "float16", "backend": "tensorflow"}')
    words = [sys.executable, "-c", "import libs_tf; print(libs_tf.keras.layers.Dense(1).compute_dtype)"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "KERAS_HOME": str(tmp_path)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True)
    assert done.stdout.strip() == "float32", done.stderr


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGINT of this kind on Windows")
@pytest.mark.parametrize("script", ["LSTM_train.py", "LSTM_test.py", "LSTM_output_Cn.py", "LSTM_probe.py"])
def test_ctrl_c_while_packages_load_ends_in_a_word(script, tmp_path):
    # A package that is loaded before the script's own lines, in the midst of which Ctrl-C comes.
    (tmp_path / "tyro.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, ROOT / script], capture_output=True, text=True, env=environment, timeout=300)
    assert (done.stderr, done.stdout, done.returncode) == ("Stopped.\n", "", -signal.SIGINT)
