"""A data set of Caravan's size on disk: how it is prepared and trained on in bounded memory, and at which speed.

    uv run bench/bench_store.py                                         # 6,800 gauges x 40 years: about a quarter of an
                                                                        # hour on 2 cores, 5 GB of disk
    uv run bench/bench_store.py --gauges 60 --years 12 --few 30         # the same in small: 2 minutes

The gauges are synthetic: 30 catchments of reading/demo_data.py, whose text files stand under the names of all gauges
(as hard links, so that the text takes no more room, and the system has it in its file cache; the prepared numbers do).
They are prepared, the start of the process included, and LSTM_train.py trains one epoch on them from the prepared
files, each in a process of its own. Then --few gauges are trained with their days held in memory and read from the
files, in turn; after two epochs both must have the same weights. Epochs include validation, and the first one includes
building TensorFlow's graphs. The files of a few gauges stay in the system's file cache: reading them needs no disk.

The most memory of a process's own (anonymous) and the most pages of mapped files, TensorFlow's libraries among them,
are looked up ten times a second where the system tells them apart (Linux), and not measured elsewhere.
"""

import os
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import tyro
from machine import ROOT, machine, show
from tqdm import tqdm

IN_MEMORY, FROM_FILES = 1e12, 0  # windows.IN_MEMORY_BYTES: a training set below it is held in memory
SOIL = [f"soil{k}=caravan:volumetric_soil_water_layer_{k}_mean*{mm}" for k, mm in enumerate((70, 210, 720, 1890), 1)]
CONCEPTS = [*SOIL, "swe=caravan:snow_depth_water_equivalent_mean"]


@dataclass
class Settings:
    gauges: int = 6800
    """Number of gauges; Caravan had about so many in 2023."""
    years: int = 40
    """Years of each, at least 5: the last four are for validation and test."""
    hidden_size: int = 64
    """Number of cell states."""
    batch_size: int = 256
    """Windows per step."""
    few: int = 400
    """Gauges that are trained from memory, too, twice from each; all if there are fewer."""
    out: Path = Path("bench_store.csv")
    """CSV of the table."""


def make_text(settings, folder):
    """A Caravan folder of many gauges that share the text of 30."""
    from reading.demo_data import make_demo

    demo = make_demo(folder / "demo", basins=30, years=settings.years)
    texts = sorted((demo / "caravan" / "timeseries" / "csv" / "camels").glob("*.csv"))
    place = folder / "caravan" / "timeseries" / "csv" / "many"
    place.mkdir(parents=True)
    for k in range(settings.gauges):
        os.link(texts[k % len(texts)], place / f"many_{k:05d}.csv")
    return folder / "caravan"


def watch(command):
    """Seconds of a command, and its peaks (GB) of memory of its own and of mapped files."""
    began, peaks = time.perf_counter(), {"RssAnon": np.nan, "RssFile": np.nan}
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.DEVNULL)
    while process.poll() is None:
        try:
            text = Path(f"/proc/{process.pid}/status").read_text()
        except OSError:
            text = ""
        for name, kilobytes in re.findall(r"(RssAnon|RssFile):\s+(\d+) kB", text):
            peaks[name] = np.fmax(peaks[name], int(kilobytes) / 1e6)
        time.sleep(0.1)
    if process.returncode:
        raise SystemExit("A process failed; its message stands above.")
    return time.perf_counter() - began, *peaks.values()


def prepare(text, period):
    """Read all text into the cache."""
    code = "import sys, hydrodata_tf as h; h.open_data(sys.argv[1], 'caravan', attributes='climate', "
    code += "concepts=sys.argv[4:], train_period=sys.argv[2:4])"
    return watch([sys.executable, "-c", code, text, *period, *CONCEPTS])


def train(settings, data, run_dir, epochs, in_memory_bytes, basins=()):
    """Train; seconds of the last epoch, validation included, and peaks of memory (GB)."""
    last = 2001 + settings.years
    periods = {"train": (2001, last - 4), "valid": (last - 4, last - 2), "test": (last - 2, last)}
    code = f"import runpy, sys; from reading import windows; windows.IN_MEMORY_BYTES = {in_memory_bytes}; "
    code += "sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", code, ROOT / "LSTM_train.py", "caravan", "--run-dir", run_dir, "--data-dir", data]
    for name, (first, end) in periods.items():
        command += [f"--{name}-period", f"{first}-10-01", f"{end}-09-30"]
    command += ["--hidden-size", settings.hidden_size, "--batch-size", settings.batch_size, "--epochs", epochs]
    _, own, mapped = watch([*command, "--basins", *basins])
    return pd.read_csv(run_dir / "seed_1" / "history.csv")["seconds"].iloc[-1], own, mapped


def same_weights(one, other):
    """Whether the last checkpoints of two runs hold the same numbers, bit for bit."""
    both = [np.load(run / "seed_1" / "checkpoint.npz") for run in (one, other)]
    names = [name for name in both[0].files if name != "meta"]
    return all(np.array_equal(both[0][name], both[1][name]) for name in names)


def main(settings):
    """Prepare, train, compare, print the table and write it."""
    print(machine("keras", "tensorflow", "numpy"))
    os.environ["PYTHONPATH"] = str(ROOT)
    period, gauges = ("2001-10-01", f"{2001 + settings.years - 4}-09-30"), settings.gauges
    few, days = [f"many_{k:05d}" for k in range(min(settings.few, gauges))], len(pd.date_range(*period))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["HYDRODATA_CACHE"] = str(folder / "cache")
        text = make_text(settings, folder)
        rows = [["preparing", gauges, gauges * round(settings.years * 365.25), *prepare(text, period)]]
        size, text_size = (
            sum(path.stat().st_size for path in place.rglob(form)) / 1e9
            for place, form in ((folder / "cache", "*.npy"), (text, "many_*.csv"))
        )
        rows.append(
            ["first epoch from files", gauges, gauges * days, *train(settings, text, folder / "all", 1, FROM_FILES)]
        )
        measured = {"memory": [], "files": []}
        for number in tqdm(range(2), "rounds", disable=None):
            for name, in_memory_bytes in (("memory", IN_MEMORY), ("files", FROM_FILES)):
                measured[name].append(train(settings, text, folder / f"{name} {number}", 2, in_memory_bytes, few))
        if not same_weights(folder / "memory 0", folder / "files 0"):
            raise SystemExit("Not the same weights from memory and from files, so no comparison.")
        print("From memory and from files come the same weights, bit for bit.")
        for name, each in measured.items():
            rows.append([f"second epoch from {name}", len(few), len(few) * days, *np.median(each, axis=0)])
    columns = ["what", "gauges", "basin-days", "seconds", "own memory GB", "mapped files GB"]
    table = pd.DataFrame(rows, columns=columns)
    table.insert(4, "basin-days per s", table["basin-days"] / table["seconds"])
    show(table, settings.out)
    ratio = table["basin-days per s"].iloc[-1] / table["basin-days per s"].iloc[-2]
    print(f"Speed from files / from memory: {ratio:.3f}. Text {text_size:.3g} GB, prepared numbers {size:.3g} GB.")


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
