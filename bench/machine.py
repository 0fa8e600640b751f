"""What the scripts here share: which data they take, what they say about the machine, what memory a process took."""

import datetime
import importlib.metadata
import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
DEMO = "demo"  # the data folder of LSTM_train.py's preset, which is not imported here: it brings TensorFlow's memory


@dataclass
class DataSettings:
    """Which catchments a benchmark takes; the options of a script begin with these."""

    data_dir: str = DEMO
    """CAMELS-US folder; the demo is made if it is not there."""
    forcing: str = "daymet"
    """Forcing product."""
    basins: tuple[str, ...] = ()
    """Basin ids, or one file that lists them; all basins of the data folder if empty."""


def make_demo_data(data_dir):
    """Make the demo catchments if the data folder is theirs and they are not there."""
    if data_dir == DEMO:
        from reading.demo_data import make_demo

        make_demo(data_dir)


def machine(*packages):
    """Processor, cores, system, date and the versions of Python and of the packages that are installed, in one line."""
    info = Path("/proc/cpuinfo")  # elsewhere platform.processor() knows the name
    lines = info.read_text(encoding="utf-8").splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    versions = [f"python {platform.python_version()}"]
    for package in packages:
        try:
            versions.append(f"{package} {importlib.metadata.version(package)}")
        except importlib.metadata.PackageNotFoundError:
            versions.append(f"{package} not installed")
    system = f"{processor}, {os.cpu_count()} cores, {platform.system()}"
    return f"{system}; {datetime.date.today()}; {', '.join(versions)}"


def peak_gb(children=False):
    """Largest resident memory (GB) of this process, or of the largest of its ended children; NaN on Windows."""
    try:
        import resource
    except ImportError:
        return np.nan
    kind = resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF
    return resource.getrusage(kind).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e9 / 1024)


def run_command(command):
    """Run a command to its end; returns its seconds and its peak memory (GB).

    To be called in a process that ran nothing else before: the system keeps one peak for all children.
    """
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began, peak_gb(children=True)
