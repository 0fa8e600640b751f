"""How long it takes from CAMELS text files to arrays, beside NeuralHydrology's loaders on the same files.

    python bench/bench_reading.py                                             # the demo; ours alone
    python -m venv nhenv && nhenv/bin/pip install torch==2.13.0 neuralhydrology==1.13.0
    python bench/bench_reading.py --data-dir camels_us --forcing maurer_extended --basins s_391attrs.csv
        --peer-python nhenv/bin/python                                        # the 391 catchments (one line)

Forcing and streamflow of all basins, into memory. Cold: our cache is empty and is written, the system's file cache is
not empty (everything is read once before the clock counts). From the cache: the same again. Each reader has a process
of its own; in every round one after the other reads while the rest wait. Imports are not counted. With --peer-python
the numbers of both are compared one by one.
"""

import json
import multiprocessing
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import tyro
from machine import DataSettings, machine, make_demo_data, peak_gb
from tqdm import tqdm

OURS = "hydrodata_tf, cold"


@dataclass
class Settings(DataSettings):
    peer_python: Path | None = None
    """Python of an environment with neuralhydrology; without it ours is timed alone."""
    rounds: int = 5
    """Timed rounds; the table holds medians."""
    out: Path = Path("bench_reading.csv")
    """CSV of the table."""


def serve(settings, basins, cold, pipe):
    """Our reader in a process of its own; answers every order with seconds and peak memory (GB)."""
    import hydrodata_tf as hydrodata

    with tempfile.TemporaryDirectory() as folder:
        number = 0
        while pipe.recv():
            number += cold
            place = {"attributes": "none", "cache_dir": Path(folder) / str(number)}
            began = time.perf_counter()
            data = hydrodata.open_data(settings.data_dir, settings.forcing, basins, **place)
            arrays = data.read(slice(None), data.dates(data.first_day, data.last_day))
            seconds = time.perf_counter() - began
            pipe.send((seconds, peak_gb()))
            del data, arrays


def compare(settings, basins, path):
    """Largest difference from the peer's numbers, relative to the larger of the number and 1; days must be the same."""
    import hydrodata_tf as hydrodata

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


def time_readers(settings, basins, peer):
    """Seconds of every timed round and the peak memory (GB), by reader."""
    context, readers = multiprocessing.get_context("spawn"), {}
    for name, cold in ((OURS, True), ("hydrodata_tf, from the cache", False)):
        pipe, there = context.Pipe()
        context.Process(target=serve, args=(settings, basins, cold, there), daemon=True).start()
        there.close()  # so that a process that died ends the script instead of leaving it waiting
        readers[name] = pipe
    times, memory = {name: [] for name in [*readers, *(["NeuralHydrology"] if peer else [])]}, {}
    for number in tqdm(range(settings.rounds + 1), "rounds", disable=None):
        for name, series in times.items():
            if name in readers:
                readers[name].send(True)
                seconds, memory[name] = readers[name].recv()
            else:
                seconds, memory[name] = peer.read()
            if number > 0:
                series.append(seconds)
    for pipe in readers.values():
        pipe.send(False)
    return times, memory


def main(settings):
    """Check, time, print and write the table."""
    print(machine("numpy", "pandas"))
    make_demo_data(settings.data_dir)
    import hydrodata_tf as hydrodata

    camels = hydrodata.folder_with("basin_mean_forcing", settings.data_dir)
    every = [p.name[:8] for p in (camels / "basin_mean_forcing" / settings.forcing).rglob("*_forcing_leap.txt")]
    basins = sorted(hydrodata.read_basins(settings.basins) if settings.basins else every)
    if settings.peer_python:
        peer = Peer(settings, camels, basins)
    else:
        peer = None
        print("No --peer-python: NeuralHydrology is missing from the table.")
    times, memory = time_readers(settings, basins, peer)
    if peer:
        with tempfile.TemporaryDirectory() as folder:
            peer.ask(f"save {Path(folder) / 'peer.npz'}")
            compare(settings, basins, Path(folder) / "peer.npz")
        peer.process.communicate()
    table = pd.DataFrame({"seconds": {name: np.median(series) for name, series in times.items()}})
    table.insert(0, "basins", len(basins))
    table["peak memory GB"] = pd.Series(memory)
    table["seconds / ours, cold"] = table["seconds"] / table.loc[OURS, "seconds"]
    print(table.to_string(float_format="{:.4g}".format))
    table.to_csv(settings.out, index_label="reader", float_format="%.4g")
    print(f"The table is in {settings.out}.")


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
