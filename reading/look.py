"""What a data folder holds, in one screen: `python hydrodata_tf.py look --data-dir FOLDER`."""

import re
from collections import Counter
from pathlib import Path

import numpy as np

from reading.attributes import ATTRIBUTES, attribute_folder
from reading.concepts import CARAVAN_FORCING
from reading.folders import caravan_files, folder_with, forcing_files, products_in, streamflow_files, visible
from reading.text_files import FORCING, KNOWN, PET_NAMES, head_of, read_columns, read_forcing, read_streamflow, text_of
from reading.units import note_suspicions, statistics, suspicions
from writing.messages import InputError, basin_count, some

SAMPLE = 30  # files that are opened to see periods and columns
MODELLED = {*FORCING, *CARAVAN_FORCING, *PET_NAMES, "streamflow", "date", "time", "datetime", ""}  # what is no concept


def look(data_dir: Path) -> None:
    """Say what a CAMELS-US or Caravan folder, or one of one's own basins, holds and lacks; or that one folder below."""
    basins, root = None, Path(data_dir)
    for name, describe in (("basin_mean_forcing", look_at_camels), ("timeseries", look_at_caravan)):
        if folder := folder_with(name, root, needed=False):
            basins = (basins or set()) | describe(folder)
    if basins is None:
        raise InputError(f"{root} holds neither CAMELS-US nor Caravan data: no basin_mean_forcing, no timeseries.")
    look_at_tables(root, basins)


def opened(read, files):
    """{basin: what `read` gives} for some of the basins, spread evenly; a file that cannot be read is named."""
    frames = {}
    for basin in sorted(files)[:: max(1, len(files) // SAMPLE)][:SAMPLE]:
        try:
            frames[basin] = read(basin)
        except InputError as problem:
            print(f"    cannot be read: {problem}")
    return frames


def period(frames):
    """The first and the last day of some records."""
    days = [day for frame in frames.values() for day in (frame.index[0], frame.index[-1])]
    return f"{min(days):%Y-%m-%d} to {max(days):%Y-%m-%d}" if days else "no file that can be read"


def note_units(frames, inputs):
    """Say which records look as if they were in another unit."""
    suspicious = {}
    for basin, frame in frames.items():
        area_km2 = frame.attrs.get("area_m2", np.nan) / 1e6
        suspicious[basin] = suspicions(statistics(frame, inputs), {name: name for name in inputs}, area_km2)
    note_suspicions(suspicious)


def look_at_camels(folder):
    """Products, basins with streamflow, periods, attributes; returns the basins."""
    print(f"CAMELS-US in {folder}")
    flows, areas, products = streamflow_files(folder, needed=False), {}, {}
    basins = set(flows)
    for product in products_in(folder / "basin_mean_forcing"):
        forcing = forcing_files(folder, product)
        basins |= set(forcing)
        products[product] = frames = opened(lambda basin, files=forcing: read_forcing(files[basin]), forcing)
        areas |= {basin: frame.attrs["area_m2"] for basin, frame in frames.items() if "area_m2" in frame.attrs}
        both = f"{basin_count(len(forcing))}, {len(set(forcing) & set(flows))} of them with streamflow"
        print(f"  forcing {product}: {both}; {period(frames)}")
        for what, files, others in (("forcing", forcing, flows), ("streamflow", flows, forcing)):
            if flows and (without := sorted(set(others) - set(files))):
                print(f"    without {what}: {some(without)}")
    # An area of 1e12 m2 makes no flow impossible where a basin's own is not at hand.
    records = opened(lambda basin: read_streamflow(flows[basin], basin, areas.get(basin, 1e12)), flows)
    if flows:
        print(f"  {basin_count(len(flows))} with streamflow; {period(records)}")
    else:
        print("  no streamflow: unpack usgs_streamflow there, or write streamflow/<id>.csv (date,streamflow in mm/day)")
    for frames in products.values():
        note_units({b: frame.join(records[b]) if b in records else frame for b, frame in frames.items()}, FORCING)
    try:
        attributes = attribute_folder(folder)
    except InputError:
        print("  no attributes: unpack camels_attributes_v2.0 there, or give --attributes table.csv")
        return basins
    names = {name for path in visible(attributes.glob("camels_*.txt")) for name in head_of(text_of(path))[0]}
    missing = [name for name in ATTRIBUTES if name not in names]
    what = f"; missing: {some(missing)}" if missing else ""
    print(f"  {len(ATTRIBUTES) - len(missing)} of the {len(ATTRIBUTES)} attributes in {attributes}{what}")
    return basins


def look_at_caravan(folder):
    """Sets and gauges, periods, attributes, columns that can be concepts; returns the gauges."""
    files = caravan_files(folder)
    print(f"Caravan in {folder}")
    for name, gauges in sorted(Counter(path.parent.name for path in files.values()).items()):
        attributes = folder / "attributes" / name
        held = "attributes" if any(attributes.glob("attributes_*.csv")) else "no attribute files"
        print(f"  {name}: {gauges} gauges; {held} in {attributes}")
    frames = opened(lambda gauge: read_columns(files[gauge], [*CARAVAN_FORCING, "streamflow"]), files)
    print(f"  {period(frames)}")
    if absent := dict.fromkeys(name for frame in frames.values() for name in frame.attrs["absent"]):
        print(f"  not in every file: {some(absent)}")
    if columns := described([frame.attrs["names"] for frame in frames.values()]):
        print(f"  concepts, as caravan:COLUMN: {columns}")
    note_units(frames, CARAVAN_FORCING)
    return set(files)


def look_at_tables(root, basins):
    """Other csv files that are named by basin: templates of concepts, and the columns."""
    tables = {}
    for path in visible(root.rglob("*.csv")):
        if any(name.startswith(".") for name in path.relative_to(root).parts):
            continue
        for number in re.findall("[0-9]+", path.stem):
            if number.zfill(8) in basins:
                place = "{basin}" if len(number) == 8 else "{number}"
                template = path.relative_to(root).with_name(path.name.replace(number, place)).as_posix()
                tables.setdefault(template.replace("{number}", "{basin}"), {})[template, number] = path
    for files in tables.values():
        # Numbers of eight digits are the same with and without their leading zeros.
        template = min((template for template, _ in files), key=lambda text: "{basin}" in text)
        names = opened(lambda key, files=files: head_of(text_of(files[key]))[0], files)
        if columns := described(list(names.values())):
            print(f"Concepts of {basin_count(len(files))}, as {template}:COLUMN: {columns}")


def described(names):
    """Columns of some files that can be concepts, those of a known unit first and with it."""
    columns = dict.fromkeys(name for columns in names for name in columns if name.lower() not in MODELLED)
    known = [f"{name} ({KNOWN[name].units})" for name in columns if name in KNOWN]
    return some([*known, *(name for name in columns if name not in KNOWN)], 20)
