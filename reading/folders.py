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
    found = [place for place in places if (place / name).exists()]
    if len(found) > 1 and found[0] != places[0]:
        raise InputError(f"{root}: {name} is in {some(found)}; give one of them as the data folder.")
    return found[0] if found else None


def visible(paths) -> list[Path]:
    """Some paths, sorted, without the hidden ones, such as .ipynb_checkpoints or the ._name.csv of a Mac."""
    return sorted(path for path in paths if not path.name.startswith("."))


def _walk(folder: Path, form: str) -> dict[str, Path]:
    """Basin to file, everywhere below a folder: the HUC folder often differs from the id's first two digits.

    `form` is a regular expression of the files' names, of whose groups one is the basin.
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
            basin = re.fullmatch(form, path.name)
            if not basin and path.is_symlink() and not path.exists():
                raise InputError(f"{path} is a link to nothing; its basins would be missing.")
            if basin:
                name = basin[basin.lastindex]
                name = name.zfill(8) if re.fullmatch("[0-9]+", name) else name  # as tables.basin_id
                if name in found:
                    raise InputError(f"{found[name]} and {path} are both files of basin {name}; remove one.")
                found[name] = path
    return found


def forcing_files(data_dir, product: str) -> dict[str, Path]:
    """Forcing file of every basin of a product: the text of CAMELS-US, or <id>.csv of one's own."""
    root = folder_with("basin_mean_forcing", data_dir) / "basin_mean_forcing"
    if product not in (there := products_in(root)):
        words = f"{root}: no folder {product}; it has {some(there, 9) or 'none'}"
        instead = f"unpack the {product} forcing" if product in PRODUCTS else "write one <id>.csv for each basin"
        raise InputError(f"{words}. Choose one of them, or {instead} there.")
    return _walk(root / product, r"([0-9]{8})_(?:.*_)?forcing_leap\.txt|(.+)\.(?i:csv)")


def products_in(root: Path) -> list[str]:
    """The forcing products of a folder basin_mean_forcing."""
    return [path.name for path in visible(root.iterdir()) if path.is_dir()]


def streamflow_files(data_dir, needed: bool = True) -> dict[str, Path]:
    """Streamflow file of every basin that has one: the text of CAMELS-US and, beside basin_mean_forcing, those of one's
    own, streamflow/<id>.csv; none at all is an error if they are `needed`."""
    root = folder_with("basin_mean_forcing", data_dir, needed=False)
    own = _walk(root / "streamflow", r"(.+)\.(?i:csv)") if root and (root / "streamflow").is_dir() else {}
    folder = folder_with("usgs_streamflow", data_dir, needed=False)
    if needed and not own and folder is None:
        words = (
            "no folder usgs_streamflow in it or one level below, and no streamflow/<id>.csv beside basin_mean_forcing"
        )
        raise InputError(f"{data_dir}: {words}; a training needs streamflow.")
    flows = _walk(folder / "usgs_streamflow", r"([0-9]{8})_(?:.*_)?streamflow_qc\.txt") if folder else {}
    if both := sorted(set(own) & set(flows)):
        raise InputError(f"{own[both[0]]} and {flows[both[0]]} are both files of basin {both[0]}; remove one.")
    return flows | own


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
