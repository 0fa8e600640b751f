"""What a data folder holds, in one screen: `python hydrodata_tf.py look --data-dir FOLDER`."""

import re
from collections import Counter
from pathlib import Path

from reading.attributes import ATTRIBUTES, attribute_folder
from reading.concepts import CARAVAN_FORCING
from reading.folders import caravan_files, folder_with, forcing_files, products_in, streamflow_files, visible
from writing.messages import InputError, basin_count, some

from reading.text_files import (  # isort: skip
    FORCING, KNOWN, PET_NAMES, head_of, read_columns, read_forcing, read_streamflow, text_of,
)  # fmt: skip

SAMPLE = 30  # files that are opened to see periods and columns
LARGE_M2 = 1e12  # area that makes no flow impossible; only the dates are looked at
MODELLED = {*FORCING, *CARAVAN_FORCING, *PET_NAMES, "streamflow", "date", "time", "datetime", ""}  # what is no concept


def look(data_dir: Path) -> None:
    """Say what a CAMELS-US or Caravan folder, or one of one's own basins, holds, and what is missing in it.

    Parameters
    ----------
    data_dir : path
        The folder, or one above it.
    """
    basins, root = None, Path(data_dir)
    for name, describe in (("basin_mean_forcing", look_at_camels), ("timeseries", look_at_caravan)):
        if folder := folder_with(name, root, needed=False):
            basins = (basins or set()) | describe(folder)
    if basins is None:
        raise InputError(f"{root} holds neither CAMELS-US nor Caravan data: no basin_mean_forcing, no timeseries.")
    look_at_tables(root, basins)


def opened(read, files):
    """Some of the files, spread evenly, as `read` gives them; one that cannot be read is named."""
    frames = []
    for key in sorted(files)[:: max(1, len(files) // SAMPLE)][:SAMPLE]:
        try:
            frames.append(read(files[key]))
        except InputError as problem:
            print(f"    cannot be read: {problem}")
    return frames


def period(frames):
    """The most common first and last day of some records, and how many differ."""
    spans = Counter(f"{frame.index[0]:%Y-%m-%d} to {frame.index[-1]:%Y-%m-%d}" for frame in frames)
    if not spans:
        return "no file that can be read"
    (span, most), number = spans.most_common(1)[0], sum(spans.values())
    return span + (f" ({number - most} of {number} files looked at differ)" if most < number else "")


def look_at_camels(folder):
    """Products, basins with streamflow, periods, attributes; returns the basins."""
    print(f"CAMELS-US in {folder}")
    flows = streamflow_files(folder, needed=False)
    basins = set(flows)
    for product in products_in(folder / "basin_mean_forcing"):
        forcing = forcing_files(folder, product)
        basins |= set(forcing)
        both = f"{basin_count(len(forcing))}, {len(set(forcing) & set(flows))} of them with streamflow"
        print(f"  forcing {product}: {both}; {period(opened(read_forcing, forcing))}")
        for what, without in (("forcing", set(flows) - set(forcing)), ("streamflow", set(forcing) - set(flows))):
            if without and flows:
                print(f"    without {what}: {some(sorted(without))}")
    if flows:
        days = period(opened(lambda path: read_streamflow(path, path.name[:8], LARGE_M2), flows))
        print(f"  {basin_count(len(flows))} with streamflow; {days}")
    else:
        print("  no streamflow: unpack usgs_streamflow there, or write streamflow/<id>.csv (date,streamflow in mm/day)")
    try:
        attributes = attribute_folder(folder)
    except InputError:
        print("  no attributes: unpack camels_attributes_v2.0 there, or give --attributes table.csv")
        return basins
    files = visible(attributes.glob("camels_*.txt"))
    names = {name for path in files for name in columns_of(path)}
    missing = [name for name in ATTRIBUTES if name not in names]
    words = some([path.name for path in files], 9) + (f"; missing: {some(missing)}" if missing else "")
    print(f"  {len(ATTRIBUTES) - len(missing)} of the {len(ATTRIBUTES)} attributes in {attributes}: {words}")
    return basins


def look_at_caravan(folder):
    """Sets and gauges, periods, attributes, columns that can be concepts; returns the gauges."""
    files = caravan_files(folder)
    print(f"Caravan in {folder}")
    for name, gauges in sorted(Counter(path.parent.name for path in files.values()).items()):
        attributes = folder / "attributes" / name
        held = ", ".join(path.name for path in visible(attributes.glob("attributes_*.csv")))
        print(f"  {name}: {gauges} gauges; {held or f'no attribute files in {attributes}'}")
    frames = opened(lambda path: read_columns(path, [*CARAVAN_FORCING, "streamflow"]), files)
    print(f"  {period(frames)}")
    for name, number in Counter(name for frame in frames for name in frame.attrs["absent"]).items():
        print(f"  no column {name} in {number} of {len(frames)} files looked at")
    if words := described([frame.attrs["names"] for frame in frames]):
        print(f"  concepts, as caravan:COLUMN: {words}")
    return set(files)


def look_at_tables(root, basins):
    """Other csv files that are named by basin: templates of concepts, and the columns."""
    tables = {}
    for path in visible(root.rglob("*.csv")):
        if any(name.startswith(".") for name in path.relative_to(root).parts):
            continue
        for number in re.findall("[0-9]+", path.stem):
            if number.zfill(8) in basins:
                word = "{basin}" if len(number) == 8 else "{number}"
                template = path.relative_to(root).with_name(path.name.replace(number, word)).as_posix()
                tables.setdefault(template.replace("{number}", "{basin}"), {})[template, number] = path
    for files in tables.values():
        # Numbers of eight digits are the same with and without their leading zeros.
        template = min((template for template, _ in files), key=lambda text: "{basin}" in text)
        if words := described(opened(columns_of, files)):
            print(f"Concepts of {basin_count(len(files))}, as {template}:COLUMN: {words}")


def described(names):
    """Columns of some files, those of a known unit with it, and in how many files if not in all."""
    number = Counter(name for columns in names for name in columns if name.lower() not in MODELLED)
    known = [name for name in number if name in KNOWN]
    words = []
    for name in known or number:
        units = f" ({KNOWN[name].units})" if known else ""
        words.append(name + units + (f" in {number[name]} of {len(names)} files" if number[name] < len(names) else ""))
    others = f"; {len(number) - len(known)} others without a unit known here" if 0 < len(known) < len(number) else ""
    return some(words, 20) + others


def columns_of(path):
    """Names in the first line of a table."""
    return head_of(text_of(path))[0]
