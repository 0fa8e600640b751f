"""Which files make a basin, what they hold together, and what is missing in them."""

from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from reading.concepts import CARAVAN_FORCING, Concept, concept_files
from reading.folders import caravan_files, files_with_area, forcing_files, streamflow_files
from reading.tables import basin_id, read_basins
from reading.text_files import FORCING, KNOWN, PET_NAMES, forcing_head, read_columns, read_forcing, read_streamflow
from reading.units import statistics
from writing.messages import InputError, some


@dataclass
class Files:
    """The files of one basin: of each forcing product, of streamflow, of the area if only another product has it, and
    the concepts by file. A Caravan file holds forcing and streamflow."""

    forcing: list[Path]
    streamflow: Path | None = None
    area: Path | None = None
    concepts: dict[Path, list[Concept]] = field(default_factory=dict)

    def state(self) -> list:
        """What changes with a file's content: its path, size and time of change."""
        paths = [path for path in (*self.forcing, self.streamflow, self.area, *self.concepts) if path]
        return [[str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns] for path in paths]


@dataclass
class Contents:
    """What the files of one basin hold, kept as JSON beside its array."""

    records: dict = field(default_factory=dict)  # by series: first day (ordinal), days, days without a value
    ends: dict = field(default_factory=dict)  # by series of a concept: unit that the file gives, lowest, highest
    means: dict = field(default_factory=dict)  # as `statistics` gives them
    negative: int = 0  # days of streamflow below zero
    equal_temperatures: list = field(default_factory=list)  # products with tmin equal to tmax
    absent: list = field(default_factory=list)  # columns of Caravan's own that its file lacks
    pet: list = field(default_factory=list)  # the names of potential evaporation in the file
    lat: float = np.nan
    area_m2: float = np.nan

    def days(self, series) -> int:
        """On how many days a series has a value."""
        _, days, gaps = self.records.get(series, (0, 0, 0))
        return days - gaps


def series_name(concept) -> str:
    """The name of a concept's column in the cache, which knows neither its factor nor its unit."""
    return f"{concept.template}:{concept.column}"


def input_columns(products) -> dict[str, str]:
    """Inputs of some forcing products by name, and their columns in the files: prcp, or prcp_daymet of several."""
    columns = {}
    for product in products:
        ending = f"_{product}" if len(products) > 1 else ""
        columns |= {name + ending: name for name in (CARAVAN_FORCING if product == "caravan" else FORCING)}
    return columns


def basin_files(data_dir, products, basins, concepts, required) -> tuple[dict[str, Files], dict[str, str]]:
    """The files of each basin, in order, and the basins left out with the reason."""
    caravan = caravan_files(data_dir) if products == ["caravan"] else None
    main = {f"{name} forcing": forcing_files(data_dir, name) if caravan is None else caravan for name in products}
    flows = {} if caravan is not None else streamflow_files(data_dir, needed="streamflow" in required)
    needed = main | ({"streamflow": flows} if "streamflow" in required and caravan is None else {})
    order, left_out = _every_basin(data_dir, needed) if basins is None else (read_basins(basins), {})
    for what, paths in needed.items():
        if absent := [basin for basin in order if basin not in paths]:
            raise InputError(f"{data_dir}: no {what} file for {len(absent)} of {len(order)} basins: {some(absent)}.")
    files = {basin: Files([paths[basin] for paths in main.values()], flows.get(basin)) for basin in order}
    for concept in concepts:
        for basin, path in concept_files(concept, order, data_dir, caravan, concept.name in required).items():
            files[basin].concepts.setdefault(path, []).append(concept)
    areas = None
    for basin, chosen in files.items():
        texts = [path.suffix == ".txt" for path in chosen.forcing]
        if chosen.streamflow and chosen.streamflow.suffix == ".txt" and not any(texts):
            areas = areas or files_with_area(data_dir)
            chosen.area = file_with_area(areas, basin, chosen.streamflow)
    return files, left_out


def read_basin(basin, products, files, series) -> tuple[pd.DataFrame, dict]:
    """One basin: its `series` day by day, the readers' frames side by side, and its Contents as a dict."""
    contents, frames, own, files_of_concepts = Contents(), [], (), files.concepts
    inputs = series[: series.index("streamflow")]
    if products == ["caravan"]:
        own, files_of_concepts = (*CARAVAN_FORCING, "streamflow"), {files.forcing[0]: []} | files.concepts
    else:
        for i, (product, path) in enumerate(zip(products, files.forcing, strict=True)):
            frame = read_forcing(path)
            contents.equal_temperatures += [product] if frame["tmin"].equals(frame["tmax"]) else []
            contents.lat = frame.attrs.get("lat", contents.lat)
            contents.area_m2 = frame.attrs.get("area_m2", contents.area_m2)
            frames.append(frame.set_axis(inputs[i * len(FORCING) :][: len(FORCING)], axis=1))
        if files.streamflow:
            area_m2 = forcing_head(files.area)[0]["area_m2"] if files.area else contents.area_m2
            frames.append(read_streamflow(files.streamflow, basin, area_m2))
            contents.negative = frames[-1].attrs["negative"]
    for path, concepts in files_of_concepts.items():
        mine = own if path == files.forcing[0] else ()
        names = {name: name for name in mine} | {series_name(concept): concept.column for concept in concepts}
        frame = read_columns(path, names.values(), {name: KNOWN[name] for name in mine})
        frames.append(frame[list(names.values())].set_axis(list(names), axis=1))
        ends = frame.attrs["ends"]
        contents.ends |= {name: ends[column] for name, column in names.items() if column in ends and name not in mine}
        if mine:
            contents.absent = [name for name in mine if name in frame.attrs["absent"]]
            contents.pet = [name for name in frame.attrs["present"].values() if name in PET_NAMES]
            contents.negative = frame.attrs["negative"]
    for name, column in (item for frame in frames for item in frame.items()):
        contents.records[name] = [column.index[0].toordinal(), len(column), int(column.isna().sum())]
    frame = pd.concat(frames, axis=1, sort=True).asfreq("D")
    contents.means = statistics(frame, inputs)
    return frame.reindex(columns=series), asdict(contents)


def _every_basin(data_dir, files_of) -> tuple[list[str], dict[str, str]]:
    """Ids of all basins that have all files, sorted, and the others with what they lack first."""
    everywhere = [set(files) for files in files_of.values()]
    order = sorted(set.intersection(*everywhere))
    if not order:
        raise InputError(f"{data_dir}: no basin has {' and '.join(files_of)}.")
    for basin in order:  # file names become ids, and ids the names of other files
        try:
            basin_id(basin)
        except InputError as problem:
            path = next(iter(files_of.values()))[basin]
            raise InputError(f"{path}: {problem} Rename or remove the file.") from None
    others = sorted(set.union(*everywhere) - set(order))
    return order, {b: f"No {next(w for w, files in files_of.items() if b not in files)} file" for b in others}


def file_with_area(files, basin, path) -> Path:
    """Of `files_with_area` that of a basin whose streamflow, in the file `path`, is in ft3/s."""
    if basin not in files:
        instead = "give area_m2, or write streamflow/<id>.csv in mm/day"
        raise InputError(f"{path}: no CAMELS-US forcing file of basin {basin} to take the area from; {instead}.")
    return files[basin]


def observed(contents, targets) -> list[str]:
    """For how many basins (list of Contents) each target {name: series} is observed: one line, none if for all."""
    number = {name: sum(content.days(series) > 0 for content in contents) for name, series in targets.items()}
    if min(number.values()) == len(contents):
        return []
    (first, basins), *others = number.items()
    line = f"observed: {first} in {basins} of {len(contents)} basins"
    return [", ".join([line, *(f"{name} in {basins}" for name, basins in others)])]


def missing(contents, variables, inputs) -> list[str]:
    """A table of what is missing, without the rows and columns in which nothing is; variables alike share a row.

    `variables` {name: series}. Days without a value inside the records, and in how many basins; streamflow below zero;
    records that are shorter than the others; basins without any value of an input.
    """
    rows: dict[tuple, list[str]] = {}
    for name, series in variables.items():
        records = [content.records[series] for content in contents if content.days(series)]
        table = pd.DataFrame(records, columns=["first", "days", "gaps"])
        longest = (table["first"] + table["days"]).max() - table["first"].min()
        negative = sum(content.negative for content in contents) if name == "streamflow" else 0
        without = len(contents) - len(table) if name in inputs else 0
        row = table["gaps"].sum(), (table["gaps"] > 0).sum(), negative, (table["days"] < longest).sum(), without
        if any(row):
            rows.setdefault(row, []).append(name)
    if not rows:
        return []
    columns = ["days", "basins", "below zero", "short records", "without"]
    table = pd.DataFrame(list(rows), [some(names, 1) for names in rows.values()], columns)
    return table.loc[:, table.any()].rename_axis(columns="missing").map("{:,}".format).to_string().splitlines()
