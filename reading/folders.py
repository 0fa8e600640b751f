"""Which files a CAMELS-US or Caravan folder holds for which basin, and those of one's own basins beside them.

Hidden files and folders are no data.
"""

import os
import re
from pathlib import Path

from writing.messages import InputError, some

PRODUCTS = ("daymet", "maurer", "maurer_extended", "nldas", "nldas_extended")  # of CAMELS-US


def folder_with(name: str, data_dir, needed: bool = True) -> Path | None:
    """The folder that holds the folder `name`: data_dir, or one folder below it as zip files unpack."""
    root = Path(data_dir)
    if not root.is_dir():
        raise InputError(f"{root.absolute()}: no such folder; give the data folder (--data-dir) that holds {name}.")
    folder = only_folder(name, root, [root, *visible(root.iterdir())])
    if needed and folder is None:
        raise InputError(f"{root}: no folder {name} in it or one level below; give the data folder that holds it.")
    return folder


def only_folder(name: str, root, places) -> Path | None:
    """Of some places, the first if `name` is in it, else the only one that has it, or None; several are refused."""
    having = [place for place in places if (place / name).exists()]
    if len(having) > 1 and having[0] != places[0]:
        raise InputError(f"{root}: {name} is in {some(having)}; give one of them as the data folder.")
    return having[0] if having else None


def visible(paths) -> list[Path]:
    """Some paths, sorted, without the hidden ones, such as .ipynb_checkpoints or the ._name.csv of a Mac."""
    return sorted(path for path in paths if not path.name.startswith("."))


def _add(files: dict[str, Path], others: dict[str, Path]) -> dict[str, Path]:
    """The files by basin with others added to them; two files of one basin are refused."""
    for basin, path in others.items():
        if basin in files:
            raise InputError(f"{files[basin]} and {path} are both files of basin {basin}; remove one.")
        files[basin] = path
    return files


def _walk(folder: Path, form: str) -> dict[str, Path]:
    """Basin (a group of `form`, the names' regular expression) to file, in whichever HUC folder below `folder`."""

    def refuse(error):
        raise InputError(f"{error.filename} cannot be read ({error.strerror}); its basins would be missing.") from None

    files: dict[str, Path] = {}
    seen = set()
    for where, folders, names in os.walk(folder, onerror=refuse, followlinks=True):
        real = os.path.realpath(where)
        if real in seen:  # a link may lead back to a folder above it
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for path in visible(Path(where) / name for name in names):
            if match := re.fullmatch(form, path.name):
                basin = match[match.lastindex]
                basin = basin.zfill(8) if re.fullmatch("[0-9]+", basin) else basin  # as tables.basin_id
                _add(files, {basin: path})
            elif path.is_symlink() and not path.exists():
                raise InputError(f"{path} is a link to nothing; its basins would be missing.")
    return files


def forcing_files(data_dir, product: str) -> dict[str, Path]:
    """Forcing file of every basin of a product: the text of CAMELS-US, or <id>.csv of one's own."""
    root = folder_with("basin_mean_forcing", data_dir) / "basin_mean_forcing"
    if product not in (products := products_in(root)):
        instead = f"unpack the {product} forcing" if product in PRODUCTS else "write one <id>.csv for each basin"
        has = some(products, 9) or "none"
        raise InputError(f"{root}: no folder {product}; it has {has}. Choose one of them, or {instead} there.")
    return _walk(root / product, r"([0-9]{8})_(?:.*_)?forcing_leap\.txt|(.+)\.(?i:csv)")


def products_in(root: Path) -> list[str]:
    """The forcing products of a folder basin_mean_forcing."""
    return [path.name for path in visible(root.iterdir()) if path.is_dir()]


def streamflow_files(data_dir, needed: bool = True) -> dict[str, Path]:
    """Streamflow file of every basin: the text of CAMELS-US and, beside basin_mean_forcing, streamflow/<id>.csv."""
    root = folder_with("basin_mean_forcing", data_dir, needed=False)
    own = _walk(root / "streamflow", r"(.+)\.(?i:csv)") if root and (root / "streamflow").is_dir() else {}
    folder = folder_with("usgs_streamflow", data_dir, needed=False)
    if needed and not own and folder is None:
        missing = "no folder usgs_streamflow in it or one level below, and no streamflow/<id>.csv"
        raise InputError(f"{data_dir}: {missing} beside basin_mean_forcing; a training needs streamflow.")
    return _add(_walk(folder / "usgs_streamflow", r"([0-9]{8})_(?:.*_)?streamflow_qc\.txt") if folder else {}, own)


def files_with_area(data_dir) -> dict[str, Path]:
    """Of each CAMELS-US basin one forcing file, of any product: its header has the area."""
    root, files = folder_with("basin_mean_forcing", data_dir) / "basin_mean_forcing", {}
    for product in products_in(root):
        files |= {basin: path for basin, path in forcing_files(data_dir, product).items() if path.suffix == ".txt"}
    return files


def caravan_files(data_dir) -> dict[str, Path]:
    """File of every Caravan gauge; the csv where a gauge has both."""
    folder = folder_with("timeseries", data_dir) / "timeseries"
    return _walk(folder, r"(.*_.*)\.nc") | _walk(folder, r"(.*_.*)\.csv")
