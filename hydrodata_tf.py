"""CAMELS-US, Caravan and ERA5-Land folders: the series of one basin as a DataFrame, those of many as one data set.

Every reader can be used alone (load_forcing, load_streamflow, load_attributes, load_caravan, load_concept). The frames
that they give are what a training reads: side by side, one basin is one array on disk (`open_data`), which
`load_dataset` joins to one xarray.Dataset (basin, date) in memory. Series are float32, their index date is every day
from the first to the last, NaN is missing. What is absent or cannot be read is an InputError that names file and line.
What a folder holds, and the z-scored attributes:

    python hydrodata_tf.py look --data-dir FOLDER
    python hydrodata_tf.py attributes --data-dir CAMELS_FOLDER --basins BASIN_LIST --out s_391attrs.csv
"""

import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from reading import prepared
from reading.concepts import CARAVAN_FORCING, Concept, concept_files, parse_concept, read_concepts
from reading.tables import basin_id, read_attribute_table, read_basins
from writing.messages import InputError, basin_count, note, some

from reading.attributes import (  # isort: skip
    ATTRIBUTES, attribute_folder, attributes_in, caravan_attributes, climate_indices,
    load_attributes as load_attributes, write_attributes,
)  # fmt: skip
from reading.folders import (  # isort: skip
    PRODUCTS, caravan_files, files_with_area, folder_with, forcing_files, streamflow_files,
)  # fmt: skip
from reading.text_files import (  # isort: skip
    FORCING, KNOWN, PET, PET_NAMES, forcing_head, read_columns, read_forcing, read_streamflow, whole,
)  # fmt: skip

PLACE = {"lat": "degrees_north", "lon": "degrees_east", "area_km2": "km2"}
MOST_RUNOFF = 3  # times the precipitation; of the 531 CAMELS basins none has above 1.3, in m3/s most would
READER_VERSION = 5  # part of the cache key: raise it when a file would be read to other numbers


def _file_of(files: dict[str, Path], basin, what: str, where) -> Path:
    basin = basin_id(basin)
    if basin not in files:
        raise InputError(f"{where}: no {what} file for basin {basin}.")
    return files[basin]


def load_forcing(data_dir, basin, product: str = "daymet") -> pd.DataFrame:
    """Daily forcing of one CAMELS-US basin (Newman et al. 2015, doi:10.5194/hess-19-209-2015), or of one's own.

    Columns prcp (mm/day), tmin and tmax (degrees C), srad (W/m2), vp (Pa); `.attrs` holds units, and of CAMELS-US lat,
    elevation_m and area_m2.

    Parameters
    ----------
    data_dir : path
        Folder with `basin_mean_forcing/<product>/<HUC>/<id>_lump_*_forcing_leap.txt`; or `<product>/<id>.csv` with
        date,prcp,tmin,tmax,srad,vp in these units.
    basin : str or int
        Basin id, with or without leading zeros.
    product : str, default 'daymet'
        One of PRODUCTS, or the name of one's own folder in basin_mean_forcing.
    """
    frame = read_forcing(_file_of(forcing_files(data_dir, product), basin, f"{product} forcing", data_dir))
    if frame["tmin"].equals(frame["tmax"]):
        _note_equal_temperatures(product)
    return frame


def _note_equal_temperatures(product: str) -> None:
    """Say that a product holds the daily mean under both names."""
    better = f"; the product {product}_extended has both" if f"{product}_extended" in PRODUCTS else ""
    note(f"{product}: tmin equals tmax on every day{better}.")


def load_streamflow(data_dir, basin, area_m2: float | None = None) -> pd.Series:
    """Daily streamflow of one CAMELS-US basin in mm/day; NaN where it is -999, below zero or flagged M.

    Parameters
    ----------
    data_dir, basin
        As `load_forcing`; the folder has `usgs_streamflow/<HUC>/<id>_streamflow_qc.txt` (ft3/s), or one's own
        `streamflow/<id>.csv` with date,streamflow (mm/day).
    area_m2 : float, default None
        Catchment area; None takes it from line 3 of the basin's forcing file (any product).
    """
    basin = basin_id(basin)
    path = _file_of(streamflow_files(data_dir), basin, "streamflow", data_dir)
    if area_m2 is None and path.suffix == ".txt":
        area_m2 = forcing_head(_file_with_area(files_with_area(data_dir), basin, path))[0]["area_m2"]
    if path.suffix == ".txt" and not 1e4 <= area_m2 <= 1e13:
        raise InputError(f"The area of basin {basin} is in m2, between 1e4 and 1e13, not {area_m2}.")
    series = read_streamflow(path, basin, area_m2)["streamflow"]
    series.attrs = {"units": "mm/day"}
    return series


def _file_with_area(files, basin, path) -> Path:
    """Of `files_with_area` that of a basin whose streamflow, in the file `path`, is in ft3/s."""
    if basin not in files:
        instead = "give area_m2, or write streamflow/<id>.csv in mm/day"
        raise InputError(f"{path}: no CAMELS-US forcing file of basin {basin} to take the area from; {instead}.")
    return files[basin]


def load_caravan(data_dir, gauge, columns=None) -> pd.DataFrame:
    """Daily series of one Caravan gauge (Kratzert et al. 2023, doi:10.1038/s41597-023-01975-w), csv or netCDF.

    `.attrs["units"]` has the units by column.

    Parameters
    ----------
    data_dir : path
        Folder with `timeseries/csv/<set>/<set>_<id>.csv` or `timeseries/netcdf/<set>/<set>_<id>.nc`.
    gauge : str
        `<set>_<id>`, for example 'hysets_01075000'.
    columns : sequence of str, default None
        None takes all. 'potential_evaporation_sum' is also found under its newer names (PET_NAMES, the first there is).
    """
    path = _file_of(caravan_files(data_dir), gauge, "Caravan", data_dir)
    return whole(read_columns(path, columns), path)


def load_concept(concept: Concept | str, basin, data_dir=None) -> pd.Series:
    """One concept of one basin, in the concept's units; `.attrs` holds units, long_name and source.

    Parameters
    ----------
    concept : Concept or str
        As parse_concept makes it, or its text.
    basin : str or int
        As `load_forcing`.
    data_dir : path, default None
        Where a relative template starts; then (or if None) the current folder.
    """
    concept = parse_concept(concept) if isinstance(concept, str) else concept
    basin = basin_id(basin)
    caravan = None if basin.isdigit() or concept.template != "caravan" else caravan_files(data_dir or ".")
    path = _file_of(concept_files(concept, [basin], data_dir, caravan), basin, "Caravan", data_dir)
    series = whole(read_concepts(path, [concept]), path)[concept.name]
    series.attrs = {"units": concept.units, "long_name": concept.label, "source": f"{path.name}:{concept.column}"}
    return series


def load_dataset(data_dir, *arguments, **options):
    """Forcing, streamflow, concepts and attributes of many basins in memory, for a notebook; parameters as `open_data`.

    Returns
    -------
    xarray.Dataset
        Dimensions basin (in the order given) and date (every day of the union of all records); the inputs by name,
        streamflow (mm/day), each concept, `attributes` (basin, attribute) unless there are none; coordinates lat, lon,
        area_km2; units in every variable's attrs; `.attrs`: forcing, inputs, concepts and report, which counts what is
        missing.
    """
    import xarray as xr  # takes as long as reading a small data set

    data = open_data(data_dir, *arguments, **options)
    dates = np.arange(data.first_day, data.last_day + 1)
    values = np.empty((len(data.about), len(data.basins), len(dates)), np.float32)
    for b in range(len(data.basins)):
        values[:, b] = data.days(b, dates[0], len(dates)).T
    names = [*data.inputs, *data.targets]
    coords = {"basin": np.array(data.basins, dtype=object), "date": dates.astype("datetime64[ns]")}
    coords |= {name: ("basin", data.place[name].to_numpy(), {"units": units}) for name, units in PLACE.items()}
    ds = xr.Dataset({name: (("basin", "date"), values[i], data.about[name]) for i, name in enumerate(names)}, coords)
    if len(data.attributes.columns):
        ds = ds.assign_coords(attribute=list(data.attributes.columns))
        table = data.attributes.to_numpy(np.float32)
        ds["attributes"] = (("basin", "attribute"), table, {"units": "as in the attribute files"})
    ds.attrs = {"forcing": data.forcing, "inputs": data.inputs, "concepts": data.targets[1:], "report": data.report}
    return ds


def open_data(
    data_dir, forcing="daymet", basins=None, attributes="auto", concepts=(), climate_period=None, used_in=None,
    cache_dir=None, progress: bool = True, unobserved: bool = False,
) -> prepared.Prepared:  # fmt: skip
    """Forcing, streamflow, concepts and attributes of many basins; text that is not yet in the cache is read first.

    Parameters
    ----------
    data_dir : path
        CAMELS-US folder, one of one's own like it (see `load_forcing`), or Caravan folder when `forcing` is 'caravan'.
    forcing : str or sequence of str, default 'daymet'
        One of PRODUCTS, the name of one's own folder in basin_mean_forcing, or 'caravan' for Caravan's own forcing and
        streamflow (CARAVAN_FORCING). Of several products each gives its inputs, with its name behind theirs:
        prcp_daymet, prcp_maurer.
    basins : path, id or list, default None
        As read_basins; None: every basin of the folder that can be used.
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
        As `prepared.cache_folder` takes it. Deleting it is safe.
    progress : bool, default True
        Show a bar on a terminal while text is read.
    unobserved : bool, default False
        For a simulation: what is not observed (the streamflow of a basin, a concept, in one basin or in all) is NaN and
        counted in `observed`, and only forcing and attributes are asked for. False, for a training: every basin has a
        file of streamflow, every concept a value somewhere.

    Returns
    -------
    prepared.Prepared
        In the order of the list, or sorted. `left_out` names the basins of the folder that cannot be used; of basins
        that were asked for, none is left out: one InputError names all that cannot be used.
    """
    concepts = [parse_concept(c) if isinstance(c, str) else c for c in concepts]
    names = [c.name for c in concepts]
    if len(set(names)) < len(names):
        raise InputError(f"Two concepts have the same name ({some(names, 8)}); name them apart.")
    products = [forcing] if isinstance(forcing, str) else list(forcing)
    if len(set(products)) < len(products) or not products or ("caravan" in products and len(products) > 1):
        raise InputError(f"Forcing {' '.join(products)}: name one product, or several different ones of CAMELS-US.")
    forcing, inputs = "+".join(products), [name for of in input_names(products).values() for name in of.values()]
    if taken := set(names) & set(inputs):
        raise InputError(f"Concept {min(taken)} has the name of an input; give it another.")
    order, left_out, files, concepts_of = _files(data_dir, products, basins, concepts, unobserved)
    variables = [*inputs, "streamflow", *names]
    # The folder is part of the name, so that nobody's copy of the data takes the place of another's.
    asked = [READER_VERSION, forcing, [list(concept[:4]) for concept in concepts], str(Path(data_dir).resolve())]
    folder = f"{forcing}-{prepared.digest(asked)}"
    stems = {b: f"{folder}/{b}-{prepared.digest([_state(p) for p in (*files[b], *concepts_of[b])])}" for b in order}
    kept = prepared.prepare(
        stems, lambda basin: _read_basin(basin, products, files[basin], concepts_of[basin], variables), len(variables),
        cache_dir, f"reading {forcing}", progress,
    )  # fmt: skip
    arrays, first_days, lengths, found = zip(*kept, strict=True)
    found = dict(zip(order, found, strict=True))
    _check_found(data_dir, products, found)
    for concept in concepts:
        if files_in := {units for one in found.values() if (units := one.get("converted", {}).get(concept.name))}:
            note(
                f"Concept {concept.name}: in {' or '.join(sorted(files_in))} in the files, turned into {concept.units}."
            )
    if not unobserved:
        _check_observed(data_dir, found, concepts, concepts_of)
    observed = [_observed(one, ["streamflow", *names]) for one in found.values()]
    data = prepared.Prepared(
        order, inputs, ["streamflow", *names], _about(products, concepts),
        _places(data_dir, forcing, found, files, attributes), pd.DataFrame(index=order), list(arrays),
        np.array(first_days), np.array(lengths), forcing, left_out=left_out, observed=pd.DataFrame(observed, order),
        synthetic=any((folder / "demo.json").is_file() for folder in (Path(data_dir), Path(data_dir).parent)),
    )  # fmt: skip
    named = basins is not None
    if used_in is not None:
        needed = data.inputs if unobserved else [*data.inputs, "streamflow"]
        data = _without(data, _not_usable(data, needed, *used_in), named)
    table, lacking = _attributes_for(data_dir, data, attributes, climate_period)
    data = _without(replace(data, attributes=table), lacking, named)
    report = [f"{basin_count(len(data.basins))}, {data.first_day} to {data.last_day}"]
    report += _observed_somewhere(data.observed) + _missing([found[b] for b in data.basins], inputs, data.targets)
    return replace(data, report="\n".join(report))


def _state(path: Path) -> list:
    stat = path.stat()
    return [str(path.resolve()), stat.st_size, stat.st_mtime_ns]


def input_names(products) -> dict[str, dict[str, str]]:
    """Names of the inputs that each forcing product gives, by column: prcp, or prcp_daymet of several products."""
    ending = "_{}" if len(products) > 1 else ""
    columns = {product: CARAVAN_FORCING if product == "caravan" else FORCING for product in products}
    return {product: {name: name + ending.format(product) for name in names} for product, names in columns.items()}


def _files(data_dir, products, basins, concepts, unobserved):
    """Basins in order, those left out with the reason, and of each basin its files and {file: concepts in it}.

    The files: one of each product, that of streamflow if there is one, and that which has the area if the others lack
    it and streamflow is in ft3/s.
    """
    caravan = caravan_files(data_dir) if products == ["caravan"] else None  # each file holds forcing and streamflow
    main = {f"{name} forcing": forcing_files(data_dir, name) if caravan is None else caravan for name in products}
    flows = {} if caravan is not None else streamflow_files(data_dir, needed=not unobserved)
    needed = main if unobserved or caravan is not None else main | {"streamflow": flows}
    order, left_out = _every_basin(data_dir, needed) if basins is None else (read_basins(basins), {})
    for what, files in needed.items():
        if absent := [b for b in order if b not in files]:
            raise InputError(f"{data_dir}: no {what} file for {len(absent)} of {len(order)} basins: {some(absent)}.")
    concepts_of: dict[str, dict[Path, list[Concept]]] = {basin: {} for basin in order}
    for concept in concepts:
        for basin, path in concept_files(concept, order, data_dir, caravan, needed=not unobserved).items():
            concepts_of[basin].setdefault(path, []).append(concept)
    files_of = {basin: [files[basin] for files in main.values()] for basin in order}
    areas = {}
    for basin in set(order) & set(flows):
        without_area = all(path.suffix != ".txt" for path in files_of[basin])
        files_of[basin].append(flows[basin])
        if without_area and flows[basin].suffix == ".txt":
            areas = areas or files_with_area(data_dir)
            files_of[basin].append(_file_with_area(areas, basin, flows[basin]))
    return order, left_out, files_of, concepts_of


def _read_basin(basin, products, files, concepts_of, variables):
    """One basin: its variables day by day, the readers' frames side by side, and what was found in the files."""
    frames, found, own = [], {"means": []}, ()
    if products == ["caravan"]:
        own, concepts_of = (*CARAVAN_FORCING, "streamflow"), {files[0]: []} | concepts_of
    else:
        for product, path in zip(products, files, strict=False):
            frame = read_forcing(path)
            found["means"] += [product] if frame["tmin"].equals(frame["tmax"]) else []
            frames.append(frame.rename(columns=input_names(products)[product]))
            found |= {name: frame.attrs[name] for name in ("lat", "area_m2") if name in frame.attrs}
        area_m2 = forcing_head(files[-1])[0]["area_m2"] if len(files) > len(products) + 1 else found.get("area_m2")
        frames += [read_streamflow(path, basin, area_m2) for path in files[len(products) : len(products) + 1]]
    for path, concepts in concepts_of.items():
        frames.append(read_concepts(path, concepts, own if path == files[0] else ()))
        found.setdefault("converted", {}).update(frames[-1].attrs["converted"])
    if own:
        found["absent"] = [name for name in own if name in frames[0].attrs["absent"]]
        found["pet"] = [name for name in frames[0].attrs["found"] if name in PET_NAMES]
    found["negative"] = sum(frame.attrs["negative"] for frame in frames if "streamflow" in frame)
    found["records"] = {name: [frame.index[0].toordinal(), len(frame), int(frame[name].isna().sum())]
                        for frame in frames for name in frame}  # fmt: skip
    frame = pd.concat(frames, axis=1, sort=True).asfreq("D").reindex(columns=variables)
    rain, flow = (frame[name].to_numpy(float) for name in (variables[0], "streamflow"))
    both = np.isfinite(rain + flow)
    found["runoff"] = flow[both].sum() / rain[both].sum() if both.sum() >= 365 and rain[both].any() else 0.0
    return frame, found


def _check_found(data_dir, products, found) -> None:
    """Say which temperatures are means, and of what runoff nobody knows whence it came; refuse what lacks an input."""
    if more := {basin: one["runoff"] for basin, one in found.items() if one["runoff"] > MOST_RUNOFF}:
        words = some([f"{basin} {times:.0f} times" for basin, times in more.items()])
        where = f"in {basin_count(len(more))} ({words})"
        note(f"streamflow is much more than precipitation {where}; is it in m3/s, not mm/day?")
    for product in products:
        if all(product in one["means"] for one in found.values()):
            _note_equal_temperatures(product)
    if products == ["caravan"]:
        _refuse_absent(data_dir, found, CARAVAN_FORCING)
        kinds = {name for one in found.values() for name in one["pet"]}
        if PET_NAMES[2] in kinds and len(kinds) > 1:
            raise InputError(f"{data_dir}: the gauges have different potential evaporation ({some(sorted(kinds))}).")


def _refuse_absent(data_dir, found, columns) -> None:
    for name in columns:
        if lacking := [basin for basin, one in found.items() if name in one.get("absent", ())]:
            raise InputError(f"{data_dir}: no column {name} in the file of {len(lacking)} gauges: {some(lacking)}.")


def _observed(found, targets) -> dict[str, int]:
    """On how many days the targets of a basin are observed, by what was found in its files."""
    records = [found["records"].get(name, (0, 0, 0)) for name in targets]
    return {name: days - missing for name, (_, days, missing) in zip(targets, records, strict=True)}


def _check_observed(data_dir, found, concepts, concepts_of) -> None:
    """Refuse, for a training, gauges without a column of streamflow and concepts that have no value anywhere."""
    _refuse_absent(data_dir, found, ["streamflow"])
    for concept in concepts:
        if not any(_observed(one, [concept.name])[concept.name] for one in found.values()):
            path = next(path for of in concepts_of.values() for path, group in of.items() if concept in group)
            has = some(read_columns(path, [concept.column]).attrs["names"], 8)
            nothing = f"no value of {concept.column} in any file {concept.template}"
            raise InputError(f"Concept {concept.name}: {nothing}; {path} has {has}.")


def _observed_somewhere(observed) -> list[str]:
    """For how many basins each target is observed, in words, if not for all."""
    number = (observed > 0).sum()
    if (number == len(observed)).all():
        return []
    first, *others = number.items()
    words = [f"{first[0]} in {first[1]} of {len(observed)} basins", *(f"{name} in {of}" for name, of in others)]
    return [f"observed: {', '.join(words)}"]


def _missing(found, inputs, targets) -> list[str]:
    """A table of what is missing, without the rows and columns in which nothing is; variables alike share a row.

    Days without a value inside the records, and in how many basins; streamflow below zero, which is missing too;
    records that are shorter than the others; basins without any value (of targets `_observed_somewhere` says that).
    """
    columns, rows = ("days", "basins", "below zero", "short records", "without"), {}
    for name in (*inputs, *targets):
        records = [one["records"][name] for one in found if name in one["records"]]
        records = [record for record in records if record[2] < record[1]]
        spans = [(first, first + days) for first, days, _ in records]
        whole = max(last for _, last in spans) - min(first for first, _ in spans) if spans else 0
        negative = sum(one["negative"] for one in found) if name == "streamflow" else 0
        missing = [days for _, _, days in records if days]
        short, without = sum(days < whole for _, days, _ in records), len(found) - len(records)
        row = sum(missing), len(missing), negative, short, without if name in inputs else 0
        if any(row):
            rows.setdefault(row, []).append(name)
    if not rows:
        return []
    table = pd.DataFrame(list(rows), columns=columns, index=[some(names, 1) for names in rows.values()])
    table = table.loc[:, table.any()].rename_axis(columns="missing")
    return table.map("{:,}".format).to_string().splitlines()


def _about(products, concepts) -> dict:
    """Units, meaning and source of each variable."""
    columns = {name: column for of in input_names(products).values() for column, name in of.items()}
    columns["streamflow"] = "streamflow"
    about = {n: {"units": KNOWN[c].units, "long_name": KNOWN[c].label} for n, c in columns.items()}
    for concept in concepts:
        times = f"*{concept.factor:g}" if concept.factor != 1 else ""
        about[concept.name] = {"units": concept.units, "long_name": concept.label, "snow": concept.snow,
                               "source": f"{concept.template}:{concept.column}{times}"}  # fmt: skip
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


def _not_usable(data, needed, start, end) -> dict[str, str]:
    """Basins without one of the variables that are needed (inputs, and streamflow for a training) in the training
    period, and why."""
    reasons, dates = {}, data.dates(start, end)
    for b, basin in enumerate(data.basins):
        known = np.concatenate([values[0] for values in data.read([b], dates)], axis=1)
        there = np.isfinite(known).any(axis=0)
        lacking = [name for name, any_day in zip(needed, there, strict=False) if not any_day]
        if lacking:  # without any forcing streamflow is masked too
            what = "forcing" if set(lacking) >= set(data.inputs) else lacking[0]
            reasons[basin] = f"No {what} from {start} to {end}"
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


def _places(data_dir, forcing, found, files, attributes) -> pd.DataFrame:
    """Latitude, longitude and area (km2) by basin, NaN where unknown."""
    basins, tables = list(found), []
    place = pd.DataFrame({"lat": [found[b].get("lat", np.nan) for b in basins], "lon": np.nan,
                          "area_km2": [found[b].get("area_m2", np.nan) / 1e6 for b in basins]}, basins)  # fmt: skip
    if forcing == "caravan":
        root = folder_with("timeseries", data_dir) / "attributes"
        sets = sorted({files[basin][0].parent.name for basin in basins})
        tables = [root / name / f"attributes_other_{name}.csv" for name in sets]
    else:
        with contextlib.suppress(InputError):
            tables = [attribute_folder(Path(data_dir)) / "camels_topo.txt"]
    names = {"gauge_lat": "lat", "gauge_lon": "lon", "area": "area_km2"}
    for path in tables:
        if path.is_file():
            place.update(read_attribute_table(path, basins, list(names)).rename(columns=names))
    if place.isna().to_numpy().any() and Path(str(attributes)).is_file():  # what the data folder does not say
        table = read_attribute_table(Path(attributes), basins, [*names, *PLACE])
        for name, of in {**names, **dict(zip(PLACE, PLACE, strict=True))}.items():
            place[of] = place[of].fillna(table[name]) if name in table else place[of]
    possible = {"lat": (-90, 90), "lon": (-180, 180), "area_km2": (1e-2, 1e7)}  # a table may be of z-scores
    return place.apply(lambda column: column.where(column.between(*possible[column.name])))


def _attributes_for(data_dir, data, attributes, climate_period):
    """The attribute table of the basins, and those for which it is not whole, with the reason."""
    basins = data.basins
    if attributes is None or str(attributes) == "none":
        return pd.DataFrame(index=basins), {}
    if str(attributes) == "climate":
        return _climate(data, climate_period)
    if str(attributes) == "auto" and data.forcing == "caravan":
        source = folder_with("timeseries", data_dir) / "attributes"
        table = caravan_attributes(source, basins)
    elif str(attributes) == "auto":
        source, table = data_dir, attributes_in(data_dir, basins, ATTRIBUTES)
    elif not Path(attributes).is_file():
        raise InputError(f"Attributes {str(attributes)!r}: no such file; give a table, auto, climate or none.")
    else:
        source, table = attributes, attributes_in(attributes, basins, None)
    lacking = table.isna()
    instead = "; give a table, climate or none" if str(attributes) == "auto" else ""
    reasons = {b: f"No {lacking.columns[lacking.loc[b]][0]} in the attributes of {source}{instead}"
               for b in table.index[lacking.any(axis=1)]}  # fmt: skip
    return table, reasons


def _climate(data, period):
    """Climate indices of each basin from its forcing in the training period, and the basins without any."""
    if period is None:
        raise InputError("Attributes 'climate' need climate_period; give the training period.")
    try:
        (start, end), dates, caravan = period, data.dates(*period), data.forcing == "caravan"
    except InputError as problem:
        words = "Attributes 'climate' are computed from the forcing of the training period"
        raise InputError(f"{words}; give a table instead. {problem}") from None
    rows, reasons = {}, {}
    for b, basin in enumerate(data.basins):
        forcing, _ = data.read([b], dates)
        series = dict(zip(data.inputs, forcing[0].astype(np.float64).T, strict=True))
        rain, low, high = (series[name] for name in data.inputs[:3])  # of the first product, if there are several
        temperature = (low + high) / 2
        known = np.isfinite(rain) & np.isfinite(temperature)
        pet = series[PET][known] if caravan else None
        if not known.any() or not rain[known].any():
            reasons[basin] = f"No precipitation from {start} to {end}"
        elif caravan and not np.isfinite(pet).any():
            reasons[basin] = f"No potential evaporation from {start} to {end}"
        else:
            rows[basin] = climate_indices(rain[known], temperature[known], dates[known], pet)
    return pd.DataFrame.from_dict(rows, orient="index").reindex(data.basins), reasons


def main() -> None:
    import tyro

    from reading.look import look

    tyro.extras.subcommand_cli_from_dict({"look": look, "attributes": write_attributes})


if __name__ == "__main__":
    from writing.messages import cli

    cli(main)
