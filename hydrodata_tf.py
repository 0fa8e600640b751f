"""CAMELS-US, Caravan and ERA5-Land folders: the series of one basin as a DataFrame, those of many as one data set.

Every reader can be used alone (load_forcing, load_streamflow, load_attributes, load_caravan, load_concept);
`load_dataset` joins them to one xarray.Dataset (basin, date) in memory, `open_data` to data on disk that are gone
through basin by basin. What a folder holds, and the z-scored attribute table:

    python hydrodata_tf.py look --data-dir FOLDER
    python hydrodata_tf.py attributes --data-dir CAMELS_FOLDER --basins BASIN_LIST --out s_391attrs.csv
"""

import re
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from reading import windows
from reading.attributes import attribute_folder, climate_indices, load_attributes, write_attributes
from reading.concepts import CARAVAN_FORCING, Concept, concept_path, parse_concept
from reading.folders import PRODUCTS, camels_files, caravan_files, folder_with, forcing_files, streamflow_files
from reading.text_files import (
    FORCING,
    KNOWN,
    PET,
    PET_NAMES,
    basin_id,
    forcing_head,
    read_attribute_table,
    read_basins,
    read_columns,
    read_forcing,
    read_streamflow,
    read_table,
    text_of,
)
from writing.files import InputError, some

if TYPE_CHECKING:  # imported where it is used: it takes as long as reading a small data set
    import xarray as xr

PLACE = {"lat": "degrees_north", "lon": "degrees_east", "area_km2": "km2"}
PERIODS = [f"{name}_{end}" for name in ("train", "valid", "test") for end in ("start", "end")]
READER_VERSION = 3  # part of the cache key: raise it when a file would be read to other numbers


def _file_of(files: dict[str, Path], basin, what: str, where) -> Path:
    basin = basin_id(basin)
    if basin not in files:
        raise InputError(f"{where}: no {what} file for basin {basin}.")
    return files[basin]


def _daily(frame: pd.DataFrame) -> pd.DataFrame:
    """The frame on every day from its first to its last, as float32."""
    days = pd.date_range(frame.index[0], frame.index[-1], name="date")
    return (frame if len(days) == len(frame) else frame.reindex(days)).astype(np.float32)


def load_forcing(data_dir, basin, product: str = "daymet") -> pd.DataFrame:
    """Daily forcing of one CAMELS-US basin (Newman et al. 2015, doi:10.5194/hess-19-209-2015).

    Parameters
    ----------
    data_dir : path
        Folder with `basin_mean_forcing/<product>/<HUC>/<id>_lump_*_forcing_leap.txt`.
    basin : str or int
        Basin id, with or without leading zeros.
    product : str, default 'daymet'
        One of PRODUCTS.

    Returns
    -------
    pandas.DataFrame
        Index date (every day from the first to the last); float32 columns prcp (mm/day), tmin and tmax (degrees C),
        srad (W/m2), vp (Pa), NaN where missing. `.attrs` holds lat, elevation_m, area_m2 and units.

    Raises
    ------
    InputError
        If there is no such product, basin or file, or the text is not what it should be.
    """
    read = read_forcing(_file_of(forcing_files(data_dir, product), basin, f"{product} forcing", data_dir))
    if read["tmin"].equals(read["tmax"]):
        _warn_equal_temperatures(product)
    frame = _daily(read)
    frame.attrs = {name: read.attrs[name] for name in ("lat", "elevation_m", "area_m2")}
    frame.attrs["units"] = {name: KNOWN[name].units for name in FORCING}
    return frame


def _warn_equal_temperatures(product: str) -> None:
    """Say that a product holds the daily mean under both names."""
    better = product if product.endswith("_extended") else f"{product}_extended"
    warnings.warn(f"{product}: tmin equals tmax on every day; the product {better} has both.", stacklevel=3)


def load_streamflow(data_dir, basin, area_m2: float | None = None) -> pd.Series:
    """Daily streamflow of one CAMELS-US basin in mm/day.

    Parameters
    ----------
    data_dir : path
        Folder with `usgs_streamflow/<HUC>/<id>_streamflow_qc.txt` (ft3/s).
    basin : str or int
        Basin id, with or without leading zeros.
    area_m2 : float, default None
        Catchment area; None takes it from line 3 of the basin's forcing file (any product).

    Returns
    -------
    pandas.Series
        Index date, float32, NaN where the flow is -999, below zero or flagged M.

    Raises
    ------
    InputError
        If there is no such file, the text is not what it should be, or another basin's id stands in it.
    """
    basin = basin_id(basin)
    path = _file_of(streamflow_files(data_dir), basin, "streamflow", data_dir)
    if area_m2 is None:
        folder = folder_with("basin_mean_forcing", data_dir) / "basin_mean_forcing"
        there = [folder / product for product in PRODUCTS if (folder / product).exists()]
        forcing = [camels_files(product, "_forcing_leap.txt").get(basin) for product in there]
        known = [file for file in forcing if file is not None]
        if not known:
            raise InputError(f"{folder}: no forcing file of basin {basin} to take the area from; give area_m2.")
        area_m2 = forcing_head(known[0])[0]["area_m2"]
    if not 1e4 <= area_m2 <= 1e13:
        raise InputError(f"The area of basin {basin} is in m2, between 1e4 and 1e13, not {area_m2}.")
    series = _daily(read_streamflow(path, basin, float(area_m2)))["streamflow"]
    series.attrs = {"units": "mm/day"}
    return series


def load_caravan(data_dir, gauge, columns=None) -> pd.DataFrame:
    """Daily series of one Caravan gauge (Kratzert et al. 2023, doi:10.1038/s41597-023-01975-w), csv or netCDF.

    Parameters
    ----------
    data_dir : path
        Folder with `timeseries/csv/<set>/<set>_<id>.csv` or `timeseries/netcdf/<set>/<set>_<id>.nc`.
    gauge : str
        `<set>_<id>`, for example 'hysets_01075000'.
    columns : sequence of str, default None
        None takes all. 'potential_evaporation_sum' is also found under its newer names (PET_NAMES, the first there is).

    Returns
    -------
    pandas.DataFrame
        Index date, float32, NaN where missing; `.attrs["units"]` by column.

    Raises
    ------
    InputError
        If the gauge, its file or a column is absent, or the file is not what it should be.
    """
    path = _file_of(caravan_files(data_dir), gauge, "Caravan", data_dir)
    read = read_columns(path, columns)
    if read.attrs["absent"]:
        raise InputError(f"{path}: no column {some(read.attrs['absent'])}; it has {some(read.attrs['names'], 8)}.")
    frame = _daily(read)
    frame.attrs = {"units": {name: KNOWN[name].units if name in KNOWN else "as in file" for name in frame.columns}}
    return frame


def load_concept(concept: Concept | str, basin, data_dir=None) -> pd.Series:
    """One concept of one basin, in the concept's units.

    Parameters
    ----------
    concept : Concept or str
        As parse_concept makes it, or its text.
    basin : str or int
    data_dir : path, default None
        Where a relative template starts; then (or if None) the current folder.

    Returns
    -------
    pandas.Series
        Index date, float32, NaN where missing; `.attrs` holds units, long_name and source.

    Raises
    ------
    InputError
        If the basin has no file or the file no such column.
    """
    concept = parse_concept(concept) if isinstance(concept, str) else concept
    basin = basin_id(basin)
    caravan = caravan_files(data_dir if data_dir is not None else ".") if concept.template == "caravan" else None
    path = concept_path(concept.template, basin, data_dir, caravan)
    if path is None:
        raise InputError(f"Concept {concept.name}: no file {concept.template} for basin {basin}.")
    read = read_columns(path, [concept.column])
    if read.attrs["absent"]:
        raise InputError(f"{path}: no column {concept.column}; it has {some(read.attrs['names'], 8)}.")
    series = _daily(read)[concept.column].rename(concept.name) * np.float32(concept.factor)
    series.attrs = {"units": concept.units, "long_name": concept.label, "source": f"{path.name}:{concept.column}"}
    return series


def read_periods(spec) -> pd.DataFrame:
    """The periods of single basins, where a basin list gives them.

    Parameters
    ----------
    spec : sequence of str
        As `read_basins` takes it. A table may have the columns train_start, train_end, valid_start, valid_end,
        test_start and test_end, with dates as 1981-10-01; where a field is empty the basin is as the others.

    Returns
    -------
    pandas.DataFrame
        Index basin; those of the columns that are there, NaT where empty; without columns if no table has one.

    Raises
    ------
    InputError
        If a table cannot be read or a field is no date.
    """
    rows: dict[str, dict[str, pd.Timestamp]] = {}
    for path in (Path(str(item)) for item in spec if Path(str(item)).is_file()):
        if not re.search(rb"(train|valid|test)_(start|end)", text_of(path).partition(b"\n")[0]):
            continue
        names, lines = read_table(path)
        lower = [name.lower() for name in names]
        key = next((lower.index(name) for name in ("basin_id", "gauge_id") if name in lower), 0)
        columns = [(i, name) for i, name in enumerate(names) if name in PERIODS]
        for line, fields in lines:
            try:
                row = {name: pd.Timestamp(windows.parse_day(fields[i])) for i, name in columns if fields[i]}
            except InputError as problem:
                raise InputError(f"{path}, line {line}: {problem}") from None
            rows[basin_id(fields[key])] = row
    return pd.DataFrame.from_dict(rows, orient="index")


class Source(NamedTuple):
    """One file of one basin: which of its columns become which variables, times which factors."""

    label: str
    path: Path
    columns: tuple[str, ...]
    names: tuple[str, ...]
    factors: tuple[float, ...]


def load_dataset(data_dir, *arguments, **options) -> "xr.Dataset":
    """Forcing, streamflow, concepts and attributes of many basins in memory, for a notebook.

    Parameters
    ----------
    data_dir, *arguments, **options
        As `open_data` takes them.

    Returns
    -------
    xarray.Dataset
        Dimensions basin (in the order given) and date (every day of the union of all records); float32; the inputs by
        name, streamflow (mm/day), each concept, `attributes` (basin, attribute) unless there are none; coordinates lat,
        lon, area_km2; units in every variable's attrs; `.attrs`: forcing, inputs, concepts and report, the one line
        that counts what is missing. Missing is NaN.

    Raises
    ------
    InputError
        As `open_data`.
    """
    import xarray as xr

    data = open_data(data_dir, *arguments, **options)
    dates = np.arange(data.first_day, data.last_day + 1)
    ds = xr.Dataset(coords={"basin": np.array(data.basins, dtype=object), "date": dates.astype("datetime64[ns]")})
    names = [*data.inputs, *data.targets]
    values = np.empty((len(names), len(data.basins), len(dates)), np.float32)
    for b in range(len(data.basins)):
        values[:, b] = data.days(b, dates[0], len(dates)).T
    for name, series in zip(names, values, strict=True):
        ds[name] = (("basin", "date"), series, data.about[name])
    for name, units in PLACE.items():
        ds = ds.assign_coords({name: ("basin", data.place[name].to_numpy(), {"units": units})})
    if len(data.attributes.columns):
        ds = ds.assign_coords(attribute=list(data.attributes.columns))
        table = data.attributes.to_numpy(np.float32)
        ds["attributes"] = (("basin", "attribute"), table, {"units": "as in the attribute files"})
    concepts = data.targets[1:]
    ds.attrs = {"forcing": data.forcing, "inputs": data.inputs, "concepts": concepts, "report": data.report}
    return ds


def open_data(
    data_dir,
    forcing="daymet",
    basins=None,
    attributes="auto",
    concepts=(),
    climate_period=None,
    used_in=None,
    own_periods=None,
    cache_dir=None,
    progress: bool = True,
) -> windows.Prepared:
    """Forcing, streamflow, concepts and attributes of many basins; text that is not yet in the cache is read first.

    Parameters
    ----------
    data_dir : path
        CAMELS-US folder, or Caravan folder when `forcing` is 'caravan'.
    forcing : str or sequence of str, default 'daymet'
        One of PRODUCTS, or 'caravan' for Caravan's own forcing and streamflow (CARAVAN_FORCING). Of several products
        each gives its inputs, with its name behind theirs: prcp_daymet, prcp_maurer.
    basins : path, id or list, default None
        As read_basins takes them; None: every basin of the folder that can be used.
    attributes : str or path, default 'auto'
        'auto': the 27 of ATTRIBUTES from the CAMELS files, or all numeric columns of attributes_caravan_<set>.csv; a
        table: its numeric columns; 'climate': indices computed from the forcing of climate_period; 'none'.
    concepts : sequence of str or Concept, default ()
        As parse_concept takes them.
    climate_period : (start, end), default None
        Days that 'climate' is computed from; give the training period.
    used_in : (start, end), default None
        Days in which a basin needs forcing and streamflow to be of use; give the training period.
    own_periods : DataFrame, default None
        Basins whose periods differ, as `read_periods` gives them; they hold for the two options above too.
    cache_dir : path, default None
        As `windows.cache_folder` takes it. Deleting it is safe.
    progress : bool, default True
        Show a bar on a terminal while text is read.

    Returns
    -------
    windows.Prepared
        In the order of the list, or sorted. `left_out` names the basins of the folder that cannot be used; of basins
        that were asked for, none is left out.

    Raises
    ------
    InputError
        One sentence on the first thing that cannot be used, or on all basins asked for that cannot be.
    """
    concepts = [parse_concept(c) if isinstance(c, str) else c for c in concepts]
    names = [c.name for c in concepts]
    if len(set(names)) < len(names):
        raise InputError(f"Two concepts have the same name ({some(names, 8)}); name them apart.")
    products = [forcing] if isinstance(forcing, str) else list(forcing)
    if len(set(products)) < len(products) or not products or ("caravan" in products and len(products) > 1):
        raise InputError(f"Forcing {' '.join(products)}: name one product, or several different ones of CAMELS-US.")
    forcing, inputs = "+".join(products), [name for names in input_names(products).values() for name in names]
    if taken := set(names) & set(inputs):
        raise InputError(f"Concept {min(taken)} has the name of an input; give it another.")
    order, left_out, sources = _sources(data_dir, products, basins, concepts)

    request = [READER_VERSION, forcing, [[c.name, c.template, c.column, c.factor] for c in concepts]]
    request.append(str(Path(data_dir).resolve()))  # so that nobody's copy of the data takes the place of another's
    folder = f"{forcing}-{windows.digest(request)}"
    stems = {basin: f"{folder}/{basin}-{windows.digest([_state(s.path) for s in sources[basin]])}" for basin in order}
    variables = [*inputs, "streamflow", *names]
    kept = windows.prepare(
        stems, lambda basin: read_basin(basin, sources[basin], variables), len(variables), cache_dir,
        f"reading {forcing}", progress,
    )  # fmt: skip
    arrays, first_days, lengths, found = zip(*kept, strict=True)
    _check_found(data_dir, products, order, found, concepts)
    data = windows.Prepared(
        basins=order,
        inputs=inputs,
        targets=["streamflow", *names],
        about=_about(products, concepts),
        place=_places(data_dir, order, forcing == "caravan", [one[products[0]] for one in found]),
        attributes=pd.DataFrame(index=order),
        arrays=list(arrays),
        first_days=np.array(first_days),
        lengths=np.array(lengths),
        forcing=forcing,
        left_out=left_out,
        own_periods=pd.DataFrame() if own_periods is None else own_periods,
        synthetic=any((folder / "demo.json").is_file() for folder in (Path(data_dir), Path(data_dir).parent)),
    )
    named = basins is not None
    if used_in is not None:
        data = _without(data, _not_usable(data, *used_in), named)
    table, lacking = _attributes_for(data_dir, data, attributes, climate_period)
    data = _without(replace(data, attributes=table), lacking, named)
    span = f"{len(data.basins)} basins, {data.first_day} to {data.last_day}"
    return replace(data, report="; ".join([span, *_notes(found)]))


def _state(path: Path) -> list:
    stat = path.stat()
    return [str(path.resolve()), stat.st_size, stat.st_mtime_ns]


def input_names(products) -> dict[str, list[str]]:
    """Names of the inputs that each forcing product gives: prcp, or prcp_daymet where there are several products."""
    ending = "_{}" if len(products) > 1 else ""
    return {product: [name + ending.format(product) for name in _columns(product)] for product in products}


def _columns(product) -> tuple[str, ...]:
    """Columns of a forcing product's files that become inputs."""
    return CARAVAN_FORCING if product == "caravan" else FORCING


def _sources(data_dir, products, basins, concepts):
    """Basins in order, those left out with the reason, and the files of each basin."""
    caravan = products == ["caravan"]
    # A Caravan file holds forcing and streamflow.
    main = {name: caravan_files(data_dir) if caravan else forcing_files(data_dir, name) for name in products}
    flows = main["caravan"] if caravan else streamflow_files(data_dir)
    files_of = {f"{name} forcing": files for name, files in main.items()} | {"streamflow": flows}
    if basins is None:
        order, left_out = _every_basin(data_dir, files_of)
    else:
        order, left_out = read_basins(basins), {}
    for what, files in files_of.items():
        if absent := [b for b in order if b not in files]:
            raise InputError(f"{data_dir}: no {what} file for {len(absent)} of {len(order)} basins: {some(absent)}.")
    names_of = input_names(products)
    sources = {}
    for basin in order:
        if caravan:
            columns = (*CARAVAN_FORCING, "streamflow")
            sources[basin] = [Source("caravan", flows[basin], columns, columns, (1.0,) * len(columns))]
            continue
        sources[basin] = [
            Source(product, main[product][basin], FORCING, tuple(names_of[product]), (1.0,) * len(FORCING))
            for product in products
        ]
        sources[basin].append(Source("streamflow", flows[basin], ("streamflow",), ("streamflow",), (1.0,)))
    for template in dict.fromkeys(c.template for c in concepts):
        members = [c for c in concepts if c.template == template]
        index = (flows if caravan else caravan_files(data_dir)) if template == "caravan" else None
        paths = {b: p for b in order if (p := concept_path(template, b, data_dir, index)) is not None}
        if not paths:
            raise InputError(
                f"Concept {members[0].name}: no file {template} for any of the {len(order)} basins in {data_dir}."
            )
        names, columns = tuple(c.name for c in members), tuple(c.column for c in members)
        for basin, path in paths.items():
            factors = tuple(c.factor for c in members)
            sources[basin].append(Source(" and ".join(names), path, columns, names, factors))
    return order, left_out, sources


def read_basin(basin: str, sources: list[Source], variables: list[str]):
    """First day, values (day, variable) and what was found in the text of one basin."""
    series, found = {}, {}
    for source in sources:
        columns = list(dict.fromkeys(source.columns))
        if source.label in PRODUCTS:
            read = read_forcing(source.path)
            read.attrs["equal_temperatures"] = read["tmin"].equals(read["tmax"])
        elif source.label == "streamflow":
            read = read_streamflow(source.path, basin, found[sources[0].label]["area_m2"])
        else:
            read = read_columns(source.path, columns)
        first, last = (day.to_numpy().astype("datetime64[D]") for day in (read.index[0], read.index[-1]))
        place = (read.index.to_numpy().astype("datetime64[D]") - first).astype(int)
        for name, column, factor in zip(source.names, source.columns, source.factors, strict=True):
            values = np.full(int((last - first).astype(int)) + 1, np.nan, np.float32)
            values[place] = read[column].to_numpy(np.float32) * np.float32(factor)
            series[name] = first, values
        found[source.label] = read.attrs | {
            "path": str(source.path), "first": int(first.astype(int)), "days": len(values),
            "gaps": len(values) - len(read), "missing": int(read.isna().to_numpy().sum()),
            "valued": [name for name in source.names if np.isfinite(series[name][1]).any()],
        }  # fmt: skip
    start = min(first for first, _ in series.values())
    days = max((first - start).astype(int) + len(values) for first, values in series.values())
    table = np.full((days, len(variables)), np.nan, np.float32)
    for name, (first, values) in series.items():
        ahead = int((first - start).astype(int))
        table[ahead : ahead + len(values), variables.index(name)] = values
    return start, table, found


def _check_found(data_dir, products, basins, found, concepts) -> None:
    """Warn of temperatures that are means, refuse columns and concepts that are nowhere."""
    for product in products:
        heads = [one[product] for one in found]
        if product == "caravan":
            _check_caravan(heads, basins, (*CARAVAN_FORCING, "streamflow"), data_dir)
        elif all(head["equal_temperatures"] for head in heads):
            _warn_equal_temperatures(product)
    for concept in concepts:
        heads = [head for one in found for head in one.values() if "names" in head and concept.name in head["valued"]]
        if not heads:
            head = next(h for one in found for label, h in one.items() if concept.name in label.split(" and "))
            raise InputError(
                f"Concept {concept.name}: no value of {concept.column} in any file {concept.template}; "
                f"{head['path']} has {some(head['names'], 8)}."
            )


def _about(products, concepts) -> dict:
    """Units, meaning and source of each variable."""
    about = {}
    for product, names in input_names(products).items():
        for name, column in zip(names, _columns(product), strict=True):
            about[name] = {"units": KNOWN[column].units, "long_name": KNOWN[column].label}
    about["streamflow"] = {"units": KNOWN["streamflow"].units, "long_name": KNOWN["streamflow"].label}
    for concept in concepts:
        times = f"*{concept.factor:g}" if concept.factor != 1 else ""
        source = f"{concept.template}:{concept.column}{times}"
        meaning = {"units": concept.units, "long_name": concept.label, "snow": concept.snow}
        about[concept.name] = meaning | {"source": source}
    return about


def _without(data, reasons: dict[str, str], named: bool):
    """The data without the basins that cannot be used; of basins that were asked for, an error that lists them all."""
    if not reasons:
        return data
    groups: dict[str, list[str]] = {}
    for basin, reason in reasons.items():
        groups.setdefault(reason, []).append(basin)
    words = "; ".join(f"{reason}: {some(group)}" for reason, group in groups.items())
    kept = [b for b, basin in enumerate(data.basins) if basin not in reasons]
    if named or not kept:
        raise InputError(f"{len(reasons)} of {len(data.basins)} basins cannot be used. {words}.")
    return replace(data.select(kept), left_out=data.left_out | reasons)


def _not_usable(data, start, end) -> dict[str, str]:
    """Basins without forcing or streamflow in the training period, and why."""
    reasons = {}
    data.dates(start, end)
    for b, (basin, first, last) in enumerate(zip(data.basins, *data.period("train", start, end), strict=True)):
        forcing, targets = data.read([b], np.arange(first, last + 1))
        there = np.isfinite(forcing[0]).any(axis=0)
        if not there.any():
            reasons[basin] = f"No forcing from {first} to {last}"
        elif not there.all():
            reasons[basin] = f"No {data.inputs[int(np.argmin(there))]} from {first} to {last}"
        elif not np.isfinite(targets[0, :, 0]).any():
            reasons[basin] = f"No streamflow from {first} to {last}"
    return reasons


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


def _notes(found) -> list[str]:
    """What was missing in each source, as clauses of the report."""
    notes = []
    labels = list(dict.fromkeys(label for one in found for label in one))
    for label in labels:
        heads = [one[label] for one in found if label in one]
        whole = max(h["first"] + h["days"] for h in heads) - min(h["first"] for h in heads)
        missing, lacking = sum(h["missing"] for h in heads), sum(h["missing"] > 0 for h in heads)
        gaps, short = sum(h["gaps"] for h in heads), sum(h["days"] < whole for h in heads)
        note = f"{label}: {missing} values missing in {lacking} basins, {gaps} days left out, {short} short records"
        if negative := sum(h.get("negative", 0) for h in heads):
            note += f", {negative} negative flows counted as missing"
        notes.append(note)
        for name in label.split(" and ") if label in labels[1:] and "names" in heads[0] else ():  # concepts
            if without := len(found) - sum(name in h["valued"] for h in heads):
                notes.append(f"{name}: {without} of {len(found)} basins without a value")
    return notes


def _check_caravan(heads, keys, columns, data_dir) -> None:
    for name in columns:
        lacking = [b for b, h in zip(keys, heads, strict=True) if name in h["absent"]]
        if lacking:
            raise InputError(f"{data_dir}: no column {name} in the file of {len(lacking)} gauges: {some(lacking)}.")
    kinds = {n for h in heads for n in h["found"] if n in PET_NAMES}
    if PET_NAMES[2] in kinds and len(kinds) > 1:
        raise InputError(f"{data_dir}: the gauges have different potential evaporation ({some(sorted(kinds))}).")


def _places(data_dir, basins, caravan: bool, heads) -> pd.DataFrame:
    """Latitude, longitude and area (km2) by basin, NaN where unknown."""
    found: dict[str, dict[str, float]] = {}
    columns = {"gauge_lat": "lat", "gauge_lon": "lon", "area": "area_km2"}
    if caravan:
        for name in sorted({b.split("_")[0] for b in basins}):
            path = folder_with("timeseries", data_dir) / "attributes" / name / f"attributes_other_{name}.csv"
            if path.is_file():
                found |= read_attribute_table(path, basins, tuple(columns))[0]
    else:
        try:
            path = attribute_folder(Path(data_dir)) / "camels_topo.txt"
        except InputError:
            path = None
        if path is not None and path.is_file():
            found = read_attribute_table(path, basins, ("gauge_lat", "gauge_lon"))[0]
    rows = []
    for basin, head in zip(basins, heads, strict=True):
        row = {"lat": head.get("lat", np.nan), "lon": np.nan, "area_km2": head.get("area_m2", np.nan) / 1e6}
        rows.append(row | {columns[name]: value for name, value in found.get(basin, {}).items()})
    return pd.DataFrame(rows, index=basins)


def _attributes_for(data_dir, data, attributes, climate_period):
    """The attribute table of the basins, and those for which it is not whole, with the reason."""
    caravan, basins = data.forcing == "caravan", data.basins
    if attributes is None or str(attributes) == "none":
        return pd.DataFrame(index=basins), {}
    if str(attributes) == "climate":
        if climate_period is None:
            raise InputError("Attributes 'climate' need climate_period; give the training period.")
        return _climate(data, climate_period)
    if str(attributes) == "auto" and caravan:
        tables: dict[str, dict[str, float]] = {}
        root = folder_with("timeseries", data_dir) / "attributes"
        for path in sorted(root.glob("*/attributes_caravan_*.csv")):
            tables |= read_attribute_table(path, basins)[0]
        table = pd.DataFrame([tables.get(basin, {}) for basin in basins], index=basins)
        reasons = {basin: f"No attributes_caravan file in {root} holds it whole (give a table, climate or none)"
                   for basin in table.index[table.isna().any(axis=1)]}  # fmt: skip
        if len(reasons) == len(basins) or not len(table.columns):
            raise InputError(
                f"{root}: no attributes_caravan file holds {some(basins)}; give a table, or attributes climate or none."
            )
        return table, reasons
    if str(attributes) == "auto":
        return load_attributes(data_dir, basins), {}
    if not Path(attributes).is_file():
        raise InputError(f"Attributes {str(attributes)!r}: no such file; give a table, auto, climate or none.")
    return load_attributes(attributes, basins, None), {}


def _climate(data, period):
    """Climate indices of each basin from its forcing in the training period, and the basins without any."""
    caravan = data.forcing == "caravan"
    data.dates(*period)
    rows, reasons = {}, {}
    for b, (basin, first, last) in enumerate(zip(data.basins, *data.period("train", *period), strict=True)):
        dates = np.arange(first, last + 1)
        forcing, _ = data.read([b], dates)
        series = dict(zip(data.inputs, forcing[0].astype(np.float64).T, strict=True))
        rain, low, high = (series[name] for name in data.inputs[:3])  # of the first product, if there are several
        temperature = (low + high) / 2
        known = np.isfinite(rain) & np.isfinite(temperature)
        pet = series[PET][known] if caravan else None
        if not known.any() or not rain[known].any():
            reasons[basin] = f"No precipitation from {first} to {last}"
        elif caravan and not np.isfinite(pet).any():
            reasons[basin] = f"No potential evaporation from {first} to {last}"
        else:
            rows[basin] = climate_indices(rain[known], temperature[known], dates[known], pet)
    return pd.DataFrame.from_dict(rows, orient="index").reindex(data.basins), reasons


def main() -> None:
    import tyro

    from reading.look import look

    tyro.extras.subcommand_cli_from_dict({"look": look, "attributes": write_attributes})


if __name__ == "__main__":
    from writing.files import cli

    cli(main)
