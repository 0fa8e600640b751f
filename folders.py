"""Which files a CAMELS-US or Caravan folder holds for which basin."""

import os
from pathlib import Path

from files import InputError

PRODUCTS = ("daymet", "maurer", "maurer_extended", "nldas", "nldas_extended")


def folder_with(name: str, data_dir) -> Path:
    """The folder that holds the folder `name`: data_dir, or one folder below it as zip files unpack.

    Raises
    ------
    InputError
        If there is none.
    """
    root = Path(data_dir)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the data folder that holds {name}.")
    for folder in (root, root / "basin_dataset_public_v1p2", *sorted(p for p in root.iterdir() if p.is_dir())):
        if (folder / name).is_dir():
            return folder
    raise InputError(f"{root}: no folder {name} in it or one level below; give the data folder that holds it.")


def _walk(folder: Path, basin_of) -> dict[str, Path]:
    """Basin to file, everywhere below a folder: the HUC folder often differs from the id's first two digits.

    `basin_of` gives the basin of a file's name, or None for a file that is something else.
    """
    found: dict[str, Path] = {}
    for where, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            basin, path = basin_of(name), Path(where) / name
            if basin in found:
                raise InputError(f"{found[basin]} and {path} are both files of basin {basin}; remove one.")
            if basin is not None:
                found[basin] = path
    return found


def camels_files(folder: Path, suffix: str) -> dict[str, Path]:
    """File of every CAMELS-US basin below a folder whose name ends in `suffix`."""

    def basin_of(name):
        return name[:8] if name.endswith(suffix) and name[:8].isdigit() and name[8:9] == "_" else None

    return _walk(folder, basin_of)


def forcing_files(data_dir, product: str) -> dict[str, Path]:
    """Forcing file of every basin of a CAMELS-US product."""
    if product not in PRODUCTS:
        raise InputError(f"{product!r} is not a forcing product; choose from {', '.join(PRODUCTS)}.")
    folder = folder_with("basin_mean_forcing", data_dir) / "basin_mean_forcing" / product
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; unpack the {product} forcing there or choose another product.")
    return camels_files(folder, "_forcing_leap.txt")


def streamflow_files(data_dir) -> dict[str, Path]:
    """Streamflow file of every CAMELS-US basin."""
    return camels_files(folder_with("usgs_streamflow", data_dir) / "usgs_streamflow", "_streamflow_qc.txt")


def caravan_files(data_dir) -> dict[str, Path]:
    """File of every Caravan gauge; the csv where a gauge has both."""
    root = folder_with("timeseries", data_dir) / "timeseries"
    found: dict[str, Path] = {}
    for suffix in (".nc", ".csv"):
        found |= _walk(
            root, lambda name, end=suffix: name.removesuffix(end) if name.endswith(end) and "_" in name else None
        )
    return found
