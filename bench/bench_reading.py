"""How long it takes from CAMELS text files to arrays, beside NeuralHydrology's loaders on the same files.

    python bench/bench_reading.py                                             # the demo; ours alone
    python -m venv nhenv && nhenv/bin/pip install torch==2.13.0 neuralhydrology==1.13.0
    python bench/bench_reading.py --data-dir camels_us --forcing maurer_extended --basins s_391attrs.csv
        --peer-python nhenv/bin/python                                        # the 391 catchments (one line)

Forcing and streamflow of all basins. Cold: our cache is empty, the system's file cache is not (everything is read once
before the clock counts). From the cache: the same call again. Each reader has a process of its own; in every round one
after the other reads while the rest wait. Imports are not counted. The numbers of both are compared one by one.
"""

import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import tyro
from machine import machine, peak_gb
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import hydrodata_tf as hydrodata  # noqa: E402
from demo_data import make_demo  # noqa: E402


@dataclass
class Settings:
    data_dir: str = "demo"
    """CAMELS-US folder; the demo is made if it is not there."""
    forcing: str = "daymet"
    """Forcing product."""
    basins: tuple[str, ...] = ()
    """Basin ids, or one file that lists them; all basins of the data folder if empty."""
    peer_python: Path | None = None
    """Python of an environment with neuralhydrology; without it ours is timed alone."""
    rounds: int = 5
    """Timed rounds; the table holds medians."""
    out: Path = Path("bench_reading.csv")
    """CSV of the table."""


def serve(settings, basins, cold, pipe):
    """Our reader in a process of its own; answers every order with seconds and peak memory (GB)."""
    import xarray  # noqa: F401  (imports are not counted)

    with tempfile.TemporaryDirectory() as folder:
        number = 0
        while pipe.recv():
            number += cold
            began = time.perf_counter()
            hydrodata.open_data(
                settings.data_dir, settings.forcing, basins, attributes="none", cache_dir=Path(folder) / str(number)
            )
            seconds = time.perf_counter() - began
            helpers = peak_gb(children=True)
            pipe.send((seconds, peak_gb(), helpers))


def compare(settings, basins, path):
    """Largest difference from the peer's numbers, relative to the larger of the number and 1; days must be the same."""
    dataset = hydrodata.load_dataset(settings.data_dir, settings.forcing, basins, attributes="none")
    names, worst, count = [*hydrodata.FORCING, "streamflow"], 0.0, 0
    with np.load(path) as theirs:
        for basin in basins:
            one = dataset.sel(basin=basin)
            ours = np.stack([one[name].values for name in names], axis=1)
            place = np.searchsorted(dataset["date"].values.astype("datetime64[D]"), theirs[f"{basin} days"])
            peer = np.full(ours.shape, np.nan)
            peer[place] = theirs[basin]
            if (np.isnan(peer) != np.isnan(ours)).any():
                raise SystemExit(f"Basin {basin}: not the same days have values, so no comparison.")
            worst = max(worst, np.nanmax(np.abs(ours - peer) / np.maximum(np.abs(peer), 1)))
            count += int(np.isfinite(peer).sum())
    if not worst < 1e-6:  # ours are float32
        raise SystemExit(f"The numbers differ by up to {worst:.0e}, so no comparison.")
    print(f"Both read the same {count:,} numbers (largest relative difference {worst:.0e}).")


class Peer:
    """NeuralHydrology's loaders in a process of another environment, asked by lines of text."""

    def __init__(self, settings, camels, basins):
        reader = Path(__file__).with_name("neuralhydrology_reader.py")
        command = [settings.peer_python, reader, camels, settings.forcing]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        print(f"Peer: {self.ask(json.dumps(basins))}")

    def ask(self, order):
        """Send an order, give the answer."""
        self.process.stdin.write(f"{order}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def read(self):
        """Seconds and peak memory (GB) of reading everything."""
        return float(self.ask("read")), float(self.process.stdout.readline()) / 1e9


def main(settings):
    """Check, time, print and write the table."""
    print(machine("numpy", "pandas", "xarray"))
    if settings.data_dir == Settings.data_dir:
        make_demo(settings.data_dir)
    camels = hydrodata.folder_with("basin_mean_forcing", settings.data_dir)
    every = [p.name[:8] for p in (camels / "basin_mean_forcing" / settings.forcing).rglob("*_forcing_leap.txt")]
    basins = sorted(hydrodata.read_basins(settings.basins) if settings.basins else every)
    context, pipes, memory = multiprocessing.get_context("spawn"), {}, {}
    for name in ("hydrodata_tf, cold", "hydrodata_tf, from the cache"):
        pipes[name], there = context.Pipe()
        context.Process(target=serve, args=(settings, basins, name.endswith("cold"), there)).start()
        there.close()
    times = {name: [] for name in pipes}
    peer = Peer(settings, camels, basins) if settings.peer_python else None
    if peer:
        times["NeuralHydrology"] = []
    for number in tqdm(range(settings.rounds + 1), "rounds", disable=None):
        for name in times:
            if name in pipes:
                pipes[name].send(True)
                seconds, *peaks = pipes[name].recv()
                memory[name] = np.nanmax(peaks)
            else:
                seconds, memory[name] = peer.read()
            if number > 0:
                times[name].append(seconds)
    for pipe in pipes.values():
        pipe.send(False)
    if peer:
        with tempfile.TemporaryDirectory() as folder:
            peer.ask(f"save {Path(folder) / 'peer.npz'}")
            compare(settings, basins, Path(folder) / "peer.npz")
        peer.process.communicate()
    table = pd.DataFrame({"seconds": {name: np.median(series) for name, series in times.items()}})
    table.insert(0, "basins", len(basins))
    table["peak memory GB"] = pd.Series(memory)
    table["seconds / ours, cold"] = table["seconds"] / table["seconds"].iloc[0]
    print(table.to_string(float_format="{:.4g}".format))
    table.to_csv(settings.out, index_label="reader", float_format="%.4g")
    print(f"The table is in {settings.out}.")


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
