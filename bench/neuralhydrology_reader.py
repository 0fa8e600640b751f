"""NeuralHydrology's own loaders, for bench_reading.py, which runs this file in an environment that has them.

Arguments: folder, product, number of times to read, .npz for the numbers; standard input: a basin a line. Prints JSON:
versions, seconds of every time, peak memory (GB).
"""

import importlib.metadata
import json
import platform
import sys
import time
import warnings
from pathlib import Path

import numpy as np
from machine import peak_gb

warnings.simplefilter("ignore")
from neuralhydrology.datasetzoo.camelsus import load_camels_us_discharge, load_camels_us_forcings  # noqa: E402


def read(folder, product, basins):
    """Forcing table and streamflow series (mm/day) of every basin."""
    loaded = {}
    for basin in basins:
        forcing, area = load_camels_us_forcings(folder, basin, product)
        loaded[basin] = forcing, load_camels_us_discharge(folder, basin, area)
    return loaded


def save(path, loaded):
    """One array (day, 6) with its first day for each basin: forcing by name, then streamflow, NaN where missing."""
    arrays = {}
    for basin, (forcing, flow) in loaded.items():
        forcing = forcing.rename(columns=lambda name: name.split("(")[0].lower())
        table = forcing[["prcp", "tmin", "tmax", "srad", "vp"]].join(flow.where(flow >= 0), how="outer")
        arrays[basin], arrays[f"{basin} days"] = table.to_numpy(float), table.index.values.astype("datetime64[D]")
    np.savez(path, **arrays)


def main():
    folder, product, rounds, path = sys.argv[1:]
    basins, seconds = sys.stdin.read().split(), []
    for _ in range(int(rounds)):
        began = time.perf_counter()
        loaded = read(Path(folder), product, basins)
        seconds.append(time.perf_counter() - began)
    memory = peak_gb()
    save(path, loaded)
    versions = [f"{name} {importlib.metadata.version(name)}" for name in ("neuralhydrology", "pandas")]
    versions = ", ".join([*versions, f"python {platform.python_version()}"])
    print(json.dumps({"versions": versions, "seconds": seconds, "peak": memory}))


if __name__ == "__main__":
    main()
