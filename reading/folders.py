"""Which files a CAMELS-US or Caravan folder holds for which basin. Hidden files and folders are no data."""

import os
from pathlib import Path

from writing.files import InputError, some

PRODUCTS = ("daymet", "maurer", "maurer_extended", "nldas", "nldas_extended")


def folder_with(name: str, data_dir, needed: bool = True) -> Path | None:
    """The folder that holds the folder `name`: data_dir, or one folder below it as zip files unpack.

    InputError if there are several below data_dir, or none and one is needed.
    """
    root = Path(data_dir)
    if not root.is_dir():
        raise InputError(f"{root.absolute()}: no such folder; give the data folder (--data-dir) that holds {name}.")
    folder = only_folder(name, root, [root, *visible(root.iterdir())])
    if needed and folder is None:
        raise InputError(f"{root}: no folder {name} in it or one level below; give the data folder that holds it.")
    return folder


def only_folder(name: str, root, places) -> Path | None:
    """Of some places, the first if `name` is in it, else the only one that has it, or None; InputError if several have
    it: which one is meant would be a guess."""
    found = [place for place in places if (place / name).exists()]
    if len(found) > 1 and found[0] != places[0]:
        raise InputError(f"{root}: {name} is in {some(found)}; give one of them as the data folder.")
    return found[0] if found else None


def visible(paths) -> list[Path]:
    """Some paths, sorted, without the hidden ones, such as .ipynb_checkpoints or the ._name.csv of a Mac."""
    return sorted(path for path in paths if not path.name.startswith("."))


def _walk(folder: Path, basin_of) -> dict[str, Path]:
    """Basin to file, everywhere below a folder: the HUC folder often differs from the id's first two digits.

    `basin_of` gives the basin of a file's name, or None for a file that is something else.
    """

    def refuse(error):
        raise InputError(f"{error.filename} cannot be read ({error.strerror}); its basins would be missing.") from None

    found: dict[str, Path] = {}
    seen = set()
    for where, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(where)
        if real in seen:  # a link may lead back to a folder above it
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in visible(Path(where) / name for name in names):
            basin = basin_of(path.name)
            if basin is None and path.is_symlink() and not path.exists():
                raise InputError(f"{path} is a link to nothing; its basins would be missing.")
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
