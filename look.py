"""What a data folder holds, in one screen: `python hydrodata_tf.py look --data-dir FOLDER`."""

import csv
from collections import Counter
from pathlib import Path

from attributes import ATTRIBUTES, attribute_folder
from files import InputError, some
from folders import PRODUCTS, caravan_files, folder_with, forcing_files, streamflow_files
from readers import KNOWN, read_columns, read_forcing, text_of

SAMPLE = 30  # files that are opened to see periods and columns


def look(data_dir: Path) -> None:
    """Say what a CAMELS-US or Caravan folder holds, and what is missing in it.

    Parameters
    ----------
    data_dir : path
        The folder, or one above it.

    Raises
    ------
    InputError
        If there is no such folder, or it holds neither.
    """
    found = 0
    for name, describe in (("basin_mean_forcing", look_at_camels), ("timeseries", look_at_caravan)):
        try:
            folder = folder_with(name, data_dir)
        except InputError:
            if not Path(data_dir).is_dir():
                raise
            continue
        describe(folder)
        found += 1
    if not found:
        raise InputError(f"{data_dir} holds neither CAMELS-US nor Caravan data: no basin_mean_forcing, no timeseries.")


def sample(files):
    """Some of the files, spread evenly."""
    paths = [files[basin] for basin in sorted(files)]
    return paths[:: max(1, len(paths) // SAMPLE)][:SAMPLE]


def period(frames):
    """The most common first and last day of some records, and how many differ."""
    spans = Counter(f"{frame.index[0]:%Y-%m-%d} to {frame.index[-1]:%Y-%m-%d}" for frame in frames)
    (span, most), number = spans.most_common(1)[0], sum(spans.values())
    return span + (f" ({number - most} of {number} files looked at differ)" if most < number else "")


def look_at_camels(folder):
    """Products, basins with streamflow, periods, attributes."""
    print(f"CAMELS-US in {folder}")
    try:
        flows = streamflow_files(folder)
    except InputError:
        flows = {}
    for product in PRODUCTS:
        if not (folder / "basin_mean_forcing" / product).is_dir():
            continue
        forcing = forcing_files(folder, product)
        both = len(set(forcing) & set(flows))
        print(f"  forcing {product}: {len(forcing)} basins, {both} of them with streamflow", end="")
        print(f"; {period(map(read_forcing, sample(forcing)))}" if forcing else "")
        if without := sorted(set(flows) - set(forcing)):
            print(f"    without it: {some(without)}")
    print(f"  {len(flows)} basins with streamflow" + ("" if flows else ": there is no usgs_streamflow folder"))
    try:
        attributes = attribute_folder(folder)
    except InputError:
        print("  no attributes: unpack camels_attributes_v2.0 there")
        return
    names = {name for path in attributes.glob("camels_*.txt") for name in columns_of(path)}
    missing = [name for name in ATTRIBUTES if name not in names]
    print(f"  {len(ATTRIBUTES) - len(missing)} of the {len(ATTRIBUTES)} attributes in {attributes}", end="")
    print(f"; missing: {some(missing)}" if missing else "")


def look_at_caravan(folder):
    """Sets and gauges, periods, attributes, columns that can be concepts."""
    files = caravan_files(folder)
    print(f"Caravan in {folder}")
    for name, gauges in sorted(Counter(gauge.split("_")[0] for gauge in files).items()):
        attributes = folder / "attributes" / name
        held = sorted(path.name for path in attributes.glob("attributes_*.csv"))
        print(f"  {name}: {gauges} gauges; " + (", ".join(held) if held else f"no attribute files in {attributes}"))
    if not files:
        return
    frames = [read_columns(path, ["streamflow"]) for path in sample(files)]
    print(f"  {period(frames)}")
    columns = Counter(name for frame in frames for name in frame.attrs["names"])
    print(f"  columns in {len(frames)} files looked at, any of which can be a concept:")
    for name, number in sorted(columns.items()):
        known = f"{KNOWN[name].label} ({KNOWN[name].units})" if name in KNOWN else ""
        if known or len(columns) < 25:
            print(f"    {name}: {known or 'unknown unit'}" + (f", in {number} files" if number < len(frames) else ""))
    if len(columns) >= 25:
        print(f"    and others without a unit known here: {some(sorted(set(columns) - set(KNOWN)), 6)}")


def columns_of(path):
    """Names in the first line of an attribute file."""
    return next(csv.reader(text_of(path).decode("utf-8", "replace").split("\n"), delimiter=";"))
