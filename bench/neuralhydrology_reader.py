"""NeuralHydrology's own loaders, for bench_reading.py, which runs this file in an environment that has them.

The first line on standard input is the list of basins (JSON), answered with the versions in use. Then orders, a line
each: `read` is answered with two lines, the seconds it took and the peak memory (bytes; nan on Windows), `save FILE`
with one when the numbers are in that .npz.
"""

import importlib.metadata
import json
import platform
import sys
import time
import warnings
from pathlib import Path

import numpy as np

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
    folder, product, basins = Path(sys.argv[1]), sys.argv[2], json.loads(sys.stdin.readline())
    versions = [f"{p} {importlib.metadata.version(p)}" for p in ("neuralhydrology", "pandas")]
    print(", ".join([*versions, f"python {platform.python_version()}"]), flush=True)
    loaded = {}
    for order in sys.stdin:
        if order.startswith("save"):
            save(order.strip().partition(" ")[2], loaded)
            print("saved", flush=True)
        else:
            began = time.perf_counter()
            loaded = read(folder, product, basins)
            print(time.perf_counter() - began, flush=True)
            print(peak_bytes(), flush=True)


def peak_bytes():
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


if __name__ == "__main__":
    main()
