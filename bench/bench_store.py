"""A data set of Caravan's size on disk: how it is prepared and trained on in bounded memory, and at which speed.

    uv run bench/bench_store.py                                         # 6,800 gauges x 40 years: about a quarter of an
                                                                        # hour on 2 cores, 20 GB of disk
    uv run bench/bench_store.py --gauges 60 --years 12 --few 30         # the same in small: 2 minutes

The gauges are synthetic: 30 catchments of demo_data.py, whose text files stand under the names of all gauges (as hard
links, so that the text takes no more room; the store does). stores.py prepares the store, LSTM_train.py trains one
epoch on it, each as a process of its own. Then --few gauges are trained from the text, in memory, and from the store,
in turn; after two epochs both must have the same weights.
"""

import os
import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import tyro
from machine import machine, run_command
from tqdm import tqdm

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

CONCEPTS = [
    f"soil{k}=caravan:volumetric_soil_water_layer_{k}_mean*{mm}" for k, mm in enumerate((70, 210, 720, 1890), 1)
]
CONCEPTS.append("swe=caravan:snow_depth_water_equivalent_mean")
OPTIONS = ["--forcing", "caravan", "--attributes", "climate", "--concepts", *CONCEPTS]


@dataclass
class Settings:
    gauges: int = 6800
    """Number of gauges; Caravan had about so many in 2023."""
    years: int = 40
    """Years of each, the last four for validation and test."""
    hidden_size: int = 64
    """Number of cell states."""
    batch_size: int = 256
    """Windows per step."""
    few: int = 400
    """Gauges that are trained from memory, too."""
    rounds: int = 2
    """Times that these are trained from each; the table holds medians."""
    folder: Path | None = None
    """Where the data are made, and kept; a temporary folder that is removed if not given."""
    out: Path = Path("bench_store.csv")
    """CSV of the table."""


def make_text(settings, folder):
    """A Caravan folder of many gauges that share the text of 30."""
    from demo_data import make_demo

    demo = make_demo(folder / "demo", basins=30, years=settings.years)
    texts = sorted((demo / "caravan" / "timeseries" / "csv" / "camels").glob("*.csv"))
    place = folder / "caravan" / "timeseries" / "csv" / "many"
    place.mkdir(parents=True, exist_ok=True)
    for k in range(settings.gauges):
        path = place / f"many_{k:05d}.csv"
        if not path.exists():
            os.link(texts[k % len(texts)], path)
    return folder / "caravan"


def alone(command):
    """Seconds and peak memory (GB) of a command."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(run_command, [str(word) for word in command]).result()


def train(settings, data, run_dir, epochs, basins=()):
    """Train on text or a store; returns the seconds of the last epoch, validation included, and peak memory (GB)."""
    last = 2001 + settings.years
    periods = {"train": (2001, last - 4), "valid": (last - 4, last - 2), "test": (last - 2, last)}
    command = [sys.executable, ROOT / "LSTM_train.py", "--run-dir", run_dir, "--data-dir", data, *OPTIONS]
    for name, (first, end) in periods.items():
        command += [f"--{name}-period", f"{first}-10-01", f"{end}-09-30"]
    command += ["--hidden-size", settings.hidden_size, "--batch-size", settings.batch_size, "--epochs", epochs]
    _, memory = alone([*command, "--basins", *basins])
    return pd.read_csv(run_dir / "seed_1" / "history.csv")["seconds"].iloc[-1], memory


def same_weights(one, other):
    """Whether the last checkpoints of two runs hold the same numbers, bit for bit."""
    both = [np.load(run / "seed_1" / "checkpoint.npz") for run in (one, other)]
    names = [name for name in both[0].files if name != "meta"]
    return all(np.array_equal(both[0][name], both[1][name]) for name in names)


def main(settings):
    """Prepare, train, compare, print the table and write it."""
    print(machine("keras", "tensorflow", "numpy"))
    last = 2001 + settings.years - 4
    with tempfile.TemporaryDirectory() as temporary:
        folder = settings.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        os.environ["HYDRODATA_CACHE"] = str(folder / "cache")
        text, store = make_text(settings, folder), folder / "store"
        rows = []
        seconds, memory = alone([
            sys.executable, ROOT / "stores.py", "--data-dir", text, "--out", store, *OPTIONS,
            "--climate-period", "2001-10-01", f"{last}-09-30",
        ])  # fmt: skip
        days = int(pd.read_csv(store / "basins.csv")["days"].sum())
        row = {"gauges": settings.gauges, "basin-days": days, "seconds": seconds, "peak memory GB": memory}
        rows.append({"what": "preparing the store", **row})
        with tempfile.TemporaryDirectory() as runs:
            seconds, memory = train(settings, store, Path(runs) / "all", 1)
            days = settings.gauges * len(pd.date_range("2001-10-01", f"{last}-09-30"))
            row = {"gauges": settings.gauges, "basin-days": days, "seconds": seconds, "peak memory GB": memory}
            rows.append({"what": "one epoch from the store", **row})
            few = [f"many_{k:05d}" for k in range(settings.few)]
            measured = {"memory": [], "store": []}
            for number in tqdm(range(settings.rounds), "rounds", disable=None):
                for name, data in (("memory", text), ("store", store)):
                    measured[name].append(train(settings, data, Path(runs) / f"{name} {number}", 2, few))
            if not same_weights(Path(runs) / "memory 0", Path(runs) / "store 0"):
                raise SystemExit("Not the same weights from memory and from the store, so no comparison.")
            print("From memory and from the store come the same weights, bit for bit.")
        days = settings.few * len(pd.date_range("2001-10-01", f"{last}-09-30"))
        for name, each in measured.items():
            seconds, memory = np.median(each, axis=0)
            row = {"gauges": settings.few, "basin-days": days, "seconds": seconds, "peak memory GB": memory}
            rows.append({"what": f"second epoch from {'the store' if name == 'store' else 'memory'}", **row})
        size = (store / "values.f4").stat().st_size / 1e9
        text_size = sum(p.stat().st_size for p in (text / "timeseries" / "csv" / "many").iterdir()) / 1e9
    table = pd.DataFrame(rows)
    table.insert(4, "basin-days per s", table["basin-days"] / table["seconds"])
    print(table.to_string(index=False, float_format="{:.4g}".format))
    ratio = table["basin-days per s"].iloc[-1] / table["basin-days per s"].iloc[-2]
    print(f"Speed from the store / from memory: {ratio:.3f}. Text {text_size:.1f} GB, store {size:.1f} GB.")
    table.to_csv(settings.out, index=False, float_format="%.4g")
    print(f"The table is in {settings.out}.")


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
