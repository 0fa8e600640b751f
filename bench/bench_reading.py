"""How long it takes from CAMELS text files to arrays, beside NeuralHydrology's loaders on the same files.

    python bench/bench_reading.py                                             # the demo; ours alone
    python -m venv nhenv && nhenv/bin/pip install torch==2.13.0 neuralhydrology==1.13.0
    python bench/bench_reading.py --data-dir camels_us --forcing maurer_extended --basins s_391attrs.csv
        --peer-python nhenv/bin/python                                        # the 391 catchments (one line)

Forcing and streamflow of all basins, into memory. Cold: our cache is empty and is written, the system's file cache is
not empty (everything is read once before the clock counts). From the cache: the same again. Each reader has a process
of its own, one after the other. Imports are not counted. With --peer-python the numbers of both are compared one by
one.
"""

import json
import os
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import tyro
from machine import machine, peak_gb, show, start
from tqdm import tqdm


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
    """Our reader in a process of its own: the seconds of every timed round and the peak memory (GB)."""
    import hydrodata_tf as hydrodata

    times = []
    with tempfile.TemporaryDirectory() as folder:
        for number in tqdm(range(settings.rounds + 1), "cold" if cold else "from the cache", disable=None):
            os.environ["HYDRODATA_CACHE"] = f"{folder}/{number * cold}"
            began = time.perf_counter()
            data = hydrodata.open_data(settings.data_dir, settings.forcing, basins, "none")
            arrays = data.read(slice(None), data.dates(data.first_day, data.last_day))
            times.append(time.perf_counter() - began)
            del data, arrays
    pipe.send((times[1:], peak_gb()))


def read_by_peer(settings, camels, basins):
    """The same of NeuralHydrology's loaders, in the process of another environment; its numbers are compared."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "peer.npz"
        reader = Path(__file__).with_name("neuralhydrology_reader.py")
        command = [settings.peer_python, reader, camels, settings.forcing, str(settings.rounds + 1), path]
        done = subprocess.run(command, input="\n".join(basins), stdout=subprocess.PIPE, text=True, check=True)
        answer = json.loads(done.stdout)
        print(f"Peer: {answer['versions']}")
        compare(settings, basins, path)
    return answer["seconds"][1:], answer["peak"]


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


def main(settings):
    """Check, time, print and write the table."""
    print(machine("numpy", "pandas"))
    import hydrodata_tf as hydrodata
    from reading.demo_data import make_demo

    if settings.data_dir == "demo":
        make_demo(settings.data_dir)
    camels = hydrodata.folder_with("basin_mean_forcing", settings.data_dir)
    every = hydrodata.forcing_files(settings.data_dir, settings.forcing)
    basins = sorted(hydrodata.read_basins(settings.basins) if settings.basins else every)
    readers = {"hydrodata_tf, cold": start(serve, settings, basins, True).recv()}
    readers["hydrodata_tf, from the cache"] = start(serve, settings, basins, False).recv()
    if settings.peer_python:
        readers["NeuralHydrology"] = read_by_peer(settings, camels, basins)
    else:
        print("No --peer-python: NeuralHydrology is missing from the table.")
    table = pd.DataFrame({"reader": list(readers), "basins": len(basins)})
    table["seconds"] = [np.median(times) for times, _ in readers.values()]
    table["peak memory GB"] = [memory for _, memory in readers.values()]
    table["seconds / ours, cold"] = table["seconds"] / table["seconds"][0]
    show(table, settings.out)


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
