"""How reading, training and dumping grow with the number of basins and of cell states.

    uv run bench/bench_growth.py                                      # the demo catchments
    uv run bench/bench_growth.py --data-dir camels_us --forcing maurer_extended --basins s_391attrs.csv
        --concepts "swe=swe/{number}.csv:uaz_swe[mm]" --numbers 50 100 200 391      # the 391 catchments (one line)

Every number of basins (at --hidden's first) and every number of cell states (with all basins) is read with an empty
cache, trained for two epochs by LSTM_train.py, of which the second, validation included, is in the table, and its
states of the validation period are written by LSTM_output_Cn.py to netCDF. Each script is a process of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import pandas as pd
import tyro
from machine import DEMO, ROOT, DataSettings, machine, make_demo_data, run_command
from tqdm import tqdm

import LSTM_train


@dataclass
class Settings(DataSettings):
    concepts: tuple[str, ...] = ()
    """Concepts as LSTM_train.py takes them."""
    numbers: tuple[int, ...] = (4, 8, 15, 30)
    """Numbers of basins, taken from the front of the list."""
    hidden: tuple[int, ...] = (64, 32, 128, 256)
    """Numbers of cell states; the first is also that of every number of basins."""
    batch_size: int = 64
    """Windows per step."""
    out: Path = Path("bench_growth.csv")
    """CSV of the table; the figure lies beside it."""


def read(settings, basins):
    """Seconds to read the data: from text and then from the cache."""
    import hydrodata_tf as hydrodata

    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        hydrodata.open_data(settings.data_dir, settings.forcing, basins, concepts=settings.concepts)
        seconds.append(time.perf_counter() - began)
    return seconds


def alone(function, *arguments):
    """Call a function in a process that does nothing else."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def measure(settings, basins, hidden, folder):
    """One row of the table: seconds and memory for a list of basins and a number of cell states."""
    os.environ["HYDRODATA_CACHE"] = str(folder / "cache")
    cold, cached = alone(read, settings, basins)
    (folder / "basins.txt").write_text("\n".join(basins) + "\n", encoding="utf-8")
    run_dir = folder / "run"
    train = [sys.executable, ROOT / "LSTM_train.py", "--run-dir", run_dir, "--data-dir", settings.data_dir]
    train += ["--forcing", settings.forcing, "--basins", folder / "basins.txt", "--concepts", *settings.concepts]
    train += ["--hidden-size", hidden, "--batch-size", settings.batch_size, "--epochs", 2]
    periods = LSTM_train.PRESETS["demo" if settings.data_dir == DEMO else "camels"]
    for name in ("train", "valid", "test"):
        train += [f"--{name}-period", *getattr(periods, f"{name}_period")]
    _, train_memory = alone(run_command, [str(word) for word in train])
    run = json.loads((run_dir / "settings.json").read_text(encoding="utf-8"))["settings"]
    days = len(pd.date_range(*run["train_period"])) * len(basins)
    epoch = pd.read_csv(run_dir / "seed_1" / "history.csv")["seconds"].iloc[-1]
    dump = [sys.executable, ROOT / "LSTM_output_Cn.py", "--run-dir", run_dir, "--format", "netcdf"]
    dump += ["--period", *run["valid_period"], "--out-dir", folder / "states"]
    dump_seconds, dump_memory = alone(run_command, [str(word) for word in dump])
    return {
        "basins": len(basins), "cell states": hidden, "reading text s": cold, "from the cache s": cached,
        "epoch s": epoch, "basin-days per s": days / epoch, "training GB": train_memory,
        "dumping s": dump_seconds, "dumped MB": (folder / "states" / "Cn.nc").stat().st_size / 1e6,
        "dumping GB": dump_memory,
    }  # fmt: skip


def figure(table, path, title):
    """Seconds against basins and against cell states, on logarithmic axes, beside what strict proportion would be."""
    import matplotlib.pyplot as plt

    first, most = table["cell states"].iloc[0], table["basins"].max()
    panels = {"basins": table[table["cell states"] == first], "cell states": table[table["basins"] == most]}
    others = {"basins": f"{first} cell states", "cell states": f"{most} basins"}
    fig, axes = plt.subplots(1, 2, figsize=(9, 4), sharey=True, layout="constrained")
    for ax, (name, rows) in zip(axes, panels.items(), strict=True):
        rows = rows.sort_values(name)
        x = rows[name]
        for column, label in (
            ("reading text s", "reading text"),
            ("epoch s", "one epoch with validation"),
            ("dumping s", "dumping to netCDF, with start-up"),
        ):
            ax.plot(x, rows[column], "o-", label=label)
        ax.plot(x, rows["epoch s"].iloc[-1] * x / x.iloc[-1], ":", color="0.5", label="in proportion to the epoch")
        ax.set(xscale="log", yscale="log", xlabel=f"number of {name} ({others[name]})", xticks=x, xticklabels=x)
        ax.minorticks_off()
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("time (s)")
    axes[0].legend()
    fig.suptitle(title, fontsize="medium")
    fig.savefig(path, dpi=150)


def main(settings):
    """Measure every size in turn, print the table, write it and its figure."""
    import hydrodata_tf as hydrodata

    about = machine("keras", "tensorflow")
    print(about)
    make_demo_data(settings.data_dir)
    everything = (
        hydrodata.read_basins(settings.basins)
        if settings.basins
        else hydrodata.open_data(settings.data_dir, settings.forcing).basins
    )
    sizes = [(number, settings.hidden[0]) for number in settings.numbers]
    sizes += [(len(everything), hidden) for hidden in settings.hidden]
    rows = []
    for number, hidden in tqdm(list(dict.fromkeys(sizes)), "sizes", disable=None):
        with tempfile.TemporaryDirectory() as folder:
            try:
                rows.append(measure(settings, everything[:number], hidden, Path(folder)))
            except subprocess.CalledProcessError as error:
                raise SystemExit(f"{Path(error.cmd[1]).name} failed; its message stands above.") from None
    table = pd.DataFrame(rows)
    print(table.to_string(index=False, float_format="{:.4g}".format))
    table.to_csv(settings.out, index=False, float_format="%.4g")
    figure(table, settings.out.with_suffix(".png"), about.split(", Linux")[0].split("; python")[0])
    print(f"The table is in {settings.out}, the figure beside it.")


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
