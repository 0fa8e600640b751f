"""What the scripts here share: the machine in words, processes of their own, peak memory, the table at the end."""

import datetime
import importlib.metadata
import multiprocessing
import os
import platform
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))


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


def start(target, *arguments):
    """Call a function in a new process; gives one end of a pipe, whose other end is the function's last argument."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    context.Process(target=target, args=(*arguments, there), daemon=True).start()
    there.close()  # so that a process that died ends the script instead of leaving it waiting
    return here


def peak_gb():
    """Largest resident memory (GB) of this process; NaN on Windows."""
    try:
        import resource
    except ImportError:
        return np.nan
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e9 if sys.platform == "darwin" else 1e9 / 1024)


def show(table, path):
    """Print a table and write it as CSV."""
    print(table.to_string(index=False, float_format="{:.4g}".format))
    table.to_csv(path, index=False, float_format="%.4g")
    print(f"The table is in {path}.")
