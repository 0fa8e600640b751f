"""CAMELS-US, Caravan and ERA5-Land text files to one dated data set: units, missing values, attributes, windows.

Every reader can be used alone (load_forcing, load_streamflow, load_attributes, load_caravan, load_concept);
load_dataset joins them to one xarray.Dataset (basin, date). The normalised attribute table is made by

    python hydrodata_tf.py attributes --data-dir CAMELS_FOLDER --basins BASIN_LIST --out s_391attrs.csv

Rules for what stands in a file:
- missing is NaN everywhere: an empty field, NA, NaN, -999 and -9999, streamflow with the flag M, days left out, the
  very last number of a file that ends without a line break when it may have been cut;
- a number that cannot be (rain below zero, air at 200 degrees C, inf, letters), a date that is repeated, out of
  order or not in the calendar, a line with a field too few: InputError with the file and the line.
"""

import csv
import os
import re
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

import windows
from files import InputError, some

if TYPE_CHECKING:  # imported where it is used: it takes as long as reading a small data set
    import xarray as xr

PRODUCTS = ("daymet", "maurer", "maurer_extended", "nldas", "nldas_extended")
PLACE = {"lat": "degrees_north", "lon": "degrees_east", "area_km2": "km2"}
READER_VERSION = 2  # part of the cache key: raise it when a file would be read to other numbers


# ---- CAMELS-US ------------------------------------------------------------------------------------------------------


def find_camels(data_dir) -> Path:
    """The CAMELS-US folder that holds basin_mean_forcing: data_dir, or one folder below it as the zip unpacks.

    Raises
    ------
    InputError
        If there is none.
    """
    return _folder_with("basin_mean_forcing", data_dir)


def _folder_with(name: str, data_dir) -> Path:
    root = Path(data_dir)
    if not root.is_dir():
        raise InputError(f"{root}: no such folder; give the data folder that holds {name}")
    for folder in (root, root / "basin_dataset_public_v1p2", *sorted(p for p in root.iterdir() if p.is_dir())):
        if (folder / name).is_dir():
            return folder
    raise InputError(f"{root}: no folder {name} in it or one level below; give the data folder that holds it")


def _index(folder: Path, suffix: str) -> dict[str, Path]:
    """Basin to file by one walk: the HUC folder often differs from the id's first two digits."""
    found: dict[str, Path] = {}
    for where, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            if name.endswith(suffix) and name[:8].isdigit() and name[8:9] == "_":
                basin = name[:8]
                if basin in found:
                    raise InputError(
                        f"{found[basin]} and {Path(where) / name} are both files of basin {basin}; remove one"
                    )
                found[basin] = Path(where) / name
    return found


def _forcing_files(data_dir, product: str) -> dict[str, Path]:
    if product not in PRODUCTS:
        raise InputError(f"{product!r} is not a forcing product; choose from {', '.join(PRODUCTS)}")
    folder = find_camels(data_dir) / "basin_mean_forcing" / product
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; unpack the {product} forcing there or choose another product")
    return _index(folder, "_forcing_leap.txt")


def _streamflow_files(data_dir) -> dict[str, Path]:
    return _index(_folder_with("usgs_streamflow", data_dir) / "usgs_streamflow", "_streamflow_qc.txt")


def _file_of(files: dict[str, Path], basin, what: str, where) -> Path:
    basin = basin_id(basin)
    if basin not in files:
        raise InputError(f"no {what} file for basin {basin} in {where}")
    return files[basin]


def load_forcing(data_dir, basin, product: str = "daymet") -> "pd.DataFrame":
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
    path = _file_of(_forcing_files(data_dir, product), basin, "forcing", f"{data_dir} ({product})")
    read = _read("forcing", path, basin_id(basin), FORCING)
    frame = _frame(read, FORCING)
    if frame["tmin"].equals(frame["tmax"]):
        warn_equal_temperatures(product)
    frame.attrs = {k: read[k] for k in ("lat", "elevation_m", "area_m2")}
    frame.attrs["units"] = {name: KNOWN[name].units for name in FORCING}
    return frame


def warn_equal_temperatures(product: str) -> None:
    """Say that a product holds the daily mean under both names."""
    better = product if product.endswith("_extended") else f"{product}_extended"
    warnings.warn(f"{product}: tmin equals tmax on every day; the product {better} has both.", stacklevel=3)


def load_streamflow(data_dir, basin, area_m2: float | None = None) -> "pd.Series":
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
        Index date, float32, NaN where the flow is -999 or flagged M.

    Raises
    ------
    InputError
        If there is no such file, the text is not what it should be, or another basin's id stands in it.
    """
    basin = basin_id(basin)
    path = _file_of(_streamflow_files(data_dir), basin, "streamflow", data_dir)
    if area_m2 is None:
        folder = find_camels(data_dir) / "basin_mean_forcing"
        for product in PRODUCTS:
            forcing = _index(folder / product, "_forcing_leap.txt").get(basin)
            if forcing:
                area_m2 = _forcing_head(forcing, _read_bytes(forcing))[2]
                break
        else:
            raise InputError(f"no forcing file of basin {basin} in {folder} to take the area from; give area_m2")
    series = _frame(_read("streamflow", path, basin, ("streamflow",), float(area_m2)), ("streamflow",))["streamflow"]
    series.attrs = {"units": "mm/day"}
    return series


# ---- Caravan and concepts -------------------------------------------------------------------------------------------


def _caravan_files(data_dir) -> dict[str, Path]:
    """Gauge to file; the csv where a gauge has both."""
    root = _folder_with("timeseries", data_dir) / "timeseries"
    found: dict[str, Path] = {}
    for suffix in (".nc", ".csv"):
        kind: dict[str, Path] = {}
        for where, _, names in sorted(os.walk(root)):
            for name in sorted(names):
                if name.endswith(suffix) and "_" in name:
                    gauge = name.removesuffix(suffix)
                    if gauge in kind:
                        raise InputError(
                            f"{kind[gauge]} and {Path(where) / name} are both files of {gauge}; remove one"
                        )
                    kind[gauge] = Path(where) / name
        found |= kind
    return found


def load_caravan(data_dir, gauge, columns=None) -> "pd.DataFrame":
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
    path = _file_of(_caravan_files(data_dir), gauge, "Caravan", data_dir)
    if columns is None:
        columns = tuple(_read("csv", path, gauge, ())["names"])
    read = _read("csv", path, gauge, tuple(columns))
    if read["absent"]:
        raise InputError(f"{path}: no column {some(read['absent'])}; it has {some(read['names'], 8)}")
    frame = _frame(read, columns)
    frame.attrs["units"] = {name: KNOWN[name].units if name in KNOWN else "as in file" for name in columns}
    return frame


def load_concept(concept: Concept | str, basin, data_dir=None) -> "pd.Series":
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
    caravan = _caravan_files(data_dir if data_dir is not None else ".") if concept.template == "caravan" else None
    path = _concept_path(concept.template, basin, data_dir, caravan)
    if path is None:
        raise InputError(f"concept {concept.name}: no file {concept.template} for basin {basin}")
    read = _read("csv", path, basin, (concept.column,))
    if read["absent"]:
        raise InputError(f"{path}: no column {concept.column}; it has {some(read['names'], 8)}")
    read["values"] = read["values"] * np.float32(concept.factor)
    series = _frame(read, (concept.name,))[concept.name]
    series.attrs = {"units": concept.units, "long_name": concept.label, "source": f"{path.name}:{concept.column}"}
    return series


class Source(NamedTuple):
    """One file of one basin: how it is read, and which of its columns become which variables, times which factors."""

    label: str
    kind: str
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
    forcing: str = "daymet",
    basins=None,
    attributes="auto",
    concepts=(),
    climate_period=None,
    used_in=None,
    cache_dir=None,
    progress: bool = True,
) -> windows.Prepared:
    """Forcing, streamflow, concepts and attributes of many basins; text that is not yet in the cache is read first.

    Parameters
    ----------
    data_dir : path
        CAMELS-US folder, or Caravan folder when `forcing` is 'caravan'.
    forcing : str, default 'daymet'
        One of PRODUCTS, or 'caravan' for Caravan's own forcing and streamflow (CARAVAN_FORCING).
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
    inputs = CARAVAN_FORCING if forcing == "caravan" else FORCING
    order, left_out, sources = _sources(data_dir, forcing, basins, concepts)

    request = [READER_VERSION, forcing, [[c.name, c.template, c.column, c.factor] for c in concepts]]
    folder = f"{forcing}-{windows.digest(request)}"
    stems = {basin: f"{folder}/{basin}-{windows.digest([_state(s.path) for s in sources[basin]])}" for basin in order}
    variables = [*inputs, "streamflow", *names]
    kept = windows.prepare(
        stems, lambda basin: read_basin(basin, sources[basin], variables), len(variables), cache_dir,
        f"reading {forcing}", progress,
    )  # fmt: skip
    arrays, first_days, lengths, found = zip(*kept, strict=True)
    _check_found(data_dir, forcing, order, found, concepts)
    data = windows.Prepared(
        basins=order,
        inputs=list(inputs),
        targets=["streamflow", *names],
        about=_about(inputs, concepts),
        place=_places(data_dir, order, forcing == "caravan", [one[forcing] for one in found]),
        attributes=pd.DataFrame(index=order),
        arrays=list(arrays),
        first_days=np.array(first_days),
        lengths=np.array(lengths),
        forcing=forcing,
        left_out=left_out,
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


def _sources(data_dir, forcing: str, basins, concepts):
    """Basins in order, those left out with the reason, and the files of each basin."""
    caravan = forcing == "caravan"
    forcing_files, flow_files = _main_files(data_dir, forcing)
    every, left_out = every_basin(data_dir, forcing, (forcing_files, flow_files))
    order = every if basins is None else read_basins(basins)
    for files, what in ((forcing_files, f"{forcing} forcing"), (flow_files, "streamflow")):
        if absent := [b for b in order if b not in files]:
            raise InputError(f"{data_dir}: no {what} file for {len(absent)} of {len(order)} basins: {some(absent)}.")
    sources = {}
    for basin in order:
        if caravan:
            columns = (*CARAVAN_FORCING, "streamflow")
            sources[basin] = [Source(forcing, "csv", forcing_files[basin], columns, columns, (1.0,) * len(columns))]
        else:
            sources[basin] = [
                Source(forcing, "forcing", forcing_files[basin], FORCING, FORCING, (1.0,) * len(FORCING)),
                Source("streamflow", "streamflow", flow_files[basin], ("streamflow",), ("streamflow",), (1.0,)),
            ]
    for template in dict.fromkeys(c.template for c in concepts):
        members = [c for c in concepts if c.template == template]
        index = (forcing_files if caravan else _caravan_files(data_dir)) if template == "caravan" else None
        paths = {b: p for b in order if (p := _concept_path(template, b, data_dir, index)) is not None}
        if not paths:
            raise InputError(
                f"Concept {members[0].name}: no file {template} for any of the {len(order)} basins in {data_dir}."
            )
        names, columns = tuple(c.name for c in members), tuple(c.column for c in members)
        for basin, path in paths.items():
            factors = tuple(c.factor for c in members)
            sources[basin].append(Source(" and ".join(names), "csv", path, columns, names, factors))
    return order, left_out if basins is None else {}, sources


def read_basin(basin: str, sources: list[Source], variables: list[str]):
    """First day, values (day, variable) and what was found in the text of one basin."""
    series, found = {}, {}
    for source in sources:
        columns = tuple(dict.fromkeys(source.columns))
        extra = (found[sources[0].label]["area_m2"],) if source.kind == "streamflow" else ()
        read = _read(source.kind, str(source.path), basin, columns, *extra)
        values = read.pop("values")
        for name, column, factor in zip(source.names, source.columns, source.factors, strict=True):
            series[name] = read["first"], values[columns.index(column)] * np.float32(factor)
        there = np.flatnonzero(np.isfinite(values).any(axis=0))
        found[source.label] = {**read, "days": values.shape[1], "path": str(source.path), "empty": not len(there)}
    first = min(start for start, _ in series.values())
    last = max(start + len(values) for start, values in series.values())
    out = np.full((last - first, len(variables)), np.nan, np.float32)
    for name, (start, values) in series.items():
        out[start - first : start - first + len(values), variables.index(name)] = values
    if "tmin" in series:
        found[sources[0].label]["equal_temperatures"] = np.array_equal(
            series["tmin"][1], series["tmax"][1], equal_nan=True
        )
    for name in found:
        found[name]["valued"] = [v for s in sources if s.label == name for v in s.names
                                 if np.isfinite(series[v][1]).any()]  # fmt: skip
    return np.datetime64(first, "D"), out, found


def _check_found(data_dir, forcing, basins, found, concepts) -> None:
    """Warn of temperatures that are means, refuse columns and concepts that are nowhere."""
    main = [one[forcing] for one in found]
    if forcing == "caravan":
        _check_caravan(main, basins, (*CARAVAN_FORCING, "streamflow"), data_dir)
    elif all(head["equal_temperatures"] for head in main):
        warn_equal_temperatures(forcing)
    for concept in concepts:
        heads = [head for one in found for head in one.values() if "names" in head and concept.name in head["valued"]]
        if not heads:
            head = next(h for one in found for label, h in one.items() if concept.name in label.split(" and "))
            raise InputError(
                f"Concept {concept.name}: no value of {concept.column} in any file {concept.template}; "
                f"{head['path']} has {some(head['names'], 8)}."
            )


def _about(inputs, concepts) -> dict:
    """Units, meaning and source of each variable."""
    about = {name: {"units": KNOWN[name].units, "long_name": KNOWN[name].label} for name in (*inputs, "streamflow")}
    for concept in concepts:
        times = f"*{concept.factor:g}" if concept.factor != 1 else ""
        source = f"{concept.template}:{concept.column}{times}"
        about[concept.name] = {"units": concept.units, "long_name": concept.label, "source": source}
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
    """Basins without forcing or streamflow in a period, and why."""
    reasons = {}
    dates = data.dates(start, end)
    for b, basin in enumerate(data.basins):
        forcing, targets = data.read([b], dates)
        there = np.isfinite(forcing[0]).any(axis=0)
        if not there.any():
            reasons[basin] = f"No forcing from {start} to {end}"
        elif not there.all():
            reasons[basin] = f"No {data.inputs[int(np.argmin(there))]} from {start} to {end}"
        elif not np.isfinite(targets[0, :, 0]).any():
            reasons[basin] = f"No streamflow from {start} to {end}"
    return reasons


def _main_files(data_dir, forcing: str) -> tuple[dict[str, Path], dict[str, Path]]:
    """Files of the forcing and of streamflow by basin; for Caravan they are the same."""
    if forcing == "caravan":
        files = _caravan_files(data_dir)
        return files, files
    return _forcing_files(data_dir, forcing), _streamflow_files(data_dir)


def every_basin(data_dir, forcing: str, files=None) -> tuple[list[str], dict[str, str]]:
    """Ids of all basins that have forcing and streamflow, sorted, and the others with what they lack."""
    forcing_files, flow_files = files or _main_files(data_dir, forcing)
    order = sorted(set(forcing_files) & set(flow_files))
    if not order:
        raise InputError(f"{data_dir}: no basin has {forcing} forcing and streamflow.")
    for basin in order:  # file names become ids, and ids the names of other files
        try:
            basin_id(basin)
        except InputError as problem:
            raise InputError(f"{forcing_files[basin]}: {problem} Rename or remove the file.") from None
    lacking = {b: "No streamflow file" for b in sorted(set(forcing_files) - set(flow_files))}
    return order, lacking | {b: f"No {forcing} forcing file" for b in sorted(set(flow_files) - set(forcing_files))}


def _notes(found) -> list[str]:
    """What was missing in each source, as clauses of the report."""
    notes = []
    for label in dict.fromkeys(label for one in found for label in one):
        heads = [one[label] for one in found if label in one]
        whole = max(h["first"] + h["days"] for h in heads) - min(h["first"] for h in heads)
        missing, lacking = sum(h["missing"] for h in heads), sum(h["missing"] > 0 for h in heads)
        gaps, short = sum(h["gaps"] for h in heads), sum(h["days"] < whole for h in heads)
        note = f"{label}: {missing} values missing in {lacking} basins, {gaps} days left out, {short} short records"
        if negative := sum(h.get("negative", 0) for h in heads):
            note += f", {negative} negative flows counted as missing"
        if without := len(found) - len(heads) + sum(h["empty"] for h in heads):
            note += f", {without} of {len(found)} basins without a value"
        notes.append(note)
    return notes


def _check_caravan(heads, keys, columns, data_dir) -> None:
    for name in columns:
        lacking = [b for b, h in zip(keys, heads, strict=True) if name in h["absent"]]
        if lacking:
            raise InputError(f"{data_dir}: no column {name} in the file of {len(lacking)} gauges: {some(lacking)}.")
    kinds = {n for h in heads for n in h["found"] if n in PET_NAMES}
    if PET_NAMES[2] in kinds and len(kinds) > 1:
        raise InputError(f"{data_dir}: the gauges have different potential evaporation ({some(sorted(kinds))}).")


def _places(data_dir, basins, caravan: bool, heads) -> "pd.DataFrame":
    """Latitude, longitude and area (km2) by basin, NaN where unknown."""
    found: dict[str, dict[str, float]] = {}
    columns = {"gauge_lat": "lat", "gauge_lon": "lon", "area": "area_km2"}
    if caravan:
        for name in sorted({b.split("_")[0] for b in basins}):
            path = _folder_with("timeseries", data_dir) / "attributes" / name / f"attributes_other_{name}.csv"
            if path.is_file():
                found |= _attribute_table(path, basins, tuple(columns))[0]
    else:
        try:
            path = _attribute_folder(Path(data_dir)) / "camels_topo.txt"
        except InputError:
            path = None
        if path is not None and path.is_file():
            found = _attribute_table(path, basins, ("gauge_lat", "gauge_lon"))[0]
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
        root = _folder_with("timeseries", data_dir) / "attributes"
        for path in sorted(root.glob("*/attributes_caravan_*.csv")):
            tables |= _attribute_table(path, basins)[0]
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
    """Climate indices of each basin from its forcing in a period, and the basins for which there are none."""
    caravan = data.forcing == "caravan"
    low, high = ("temperature_2m_min", "temperature_2m_max") if caravan else ("tmin", "tmax")
    dates, rows, reasons = data.dates(*period), {}, {}
    for b, basin in enumerate(data.basins):
        forcing, _ = data.read([b], dates)
        series = dict(zip(data.inputs, forcing[0].astype(np.float64).T, strict=True))
        rain, temperature = series[data.inputs[0]], (series[low] + series[high]) / 2
        known = np.isfinite(rain) & np.isfinite(temperature)
        pet = series[PET][known] if caravan else None
        if not known.any() or not rain[known].any():
            reasons[basin] = f"No precipitation from {period[0]} to {period[1]}"
        elif caravan and not np.isfinite(pet).any():
            reasons[basin] = f"No potential evaporation from {period[0]} to {period[1]}"
        else:
            rows[basin] = climate_indices(rain[known], temperature[known], dates[known], pet)
    return pd.DataFrame.from_dict(rows, orient="index").reindex(data.basins), reasons


# ---- command --------------------------------------------------------------------------------------------------------


def main() -> None:
    import tyro

    try:
        tyro.extras.subcommand_cli_from_dict({"attributes": write_attributes})
    except (InputError, OSError) as problem:
        print(problem, file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
