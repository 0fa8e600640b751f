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

from reading.attributes import ATTRIBUTES, attribute_folder, attributes_in, caravan_attributes, climate_indices
from reading.attributes import load_attributes as load_attributes
from reading.attributes import write_attributes as write_attributes
from reading.basins import (
    Contents,
    basin_files,
    file_with_area,
    input_columns,
    missing,
    observed,
    read_basin,
    series_name,
)
from reading.concepts import CARAVAN_FORCING, Concept, check_concept, concept_files, parse_concept
from reading.folders import PRODUCTS, caravan_files, files_with_area, folder_with, forcing_files, streamflow_files
from reading.prepared import Prepared, digest, prepare
from reading.tables import basin_id, read_attribute_table
from reading.tables import read_basins as read_basins
from reading.text_files import FORCING as FORCING
from reading.text_files import KNOWN, PET, PET_NAMES, forcing_head, read_columns, read_forcing, read_streamflow, whole
from reading.units import note_suspicions, suspicions
from writing.messages import InputError, basin_count, note, some

PLACE = {"lat": "degrees_north", "lon": "degrees_east", "area_km2": "km2"}
READER_VERSION = 6  # part of the cache key: raise it when a file would be read to other numbers


def _file_of(files: dict[str, Path], basin, what: str, where) -> Path:
    """The file of a basin, or an error that says what is missing where."""
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
        area_m2 = forcing_head(file_with_area(files_with_area(data_dir), basin, path))[0]["area_m2"]
    if path.suffix == ".txt" and not 1e4 <= area_m2 <= 1e13:
        raise InputError(f"The area of basin {basin} is in m2, between 1e4 and 1e13, not {area_m2}.")
    series = read_streamflow(path, basin, area_m2)["streamflow"]
    series.attrs = {"units": "mm/day"}
    return series


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
    frame = whole(read_columns(path, [concept.column], limits={}), path)
    check_concept(concept, path, *frame.attrs["ends"][concept.column])
    series = (frame[concept.column] * np.float32(concept.factor)).rename(concept.name)
    series.attrs = {"units": concept.units, "long_name": concept.label, "source": f"{path.name}:{concept.column}"}
    return series


def load_dataset(
    data_dir, forcing="daymet", basins=None, attributes="auto", concepts=(), train_period=None, required=None
):
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

    data = open_data(data_dir, forcing, basins, attributes, concepts, train_period, required)
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
    data_dir, forcing="daymet", basins=None, attributes="auto", concepts=(), train_period=None, required=None
) -> Prepared:
    """Forcing, streamflow, concepts and attributes of many basins; text that is not yet in the cache is read first.

    Records that look as if they were in another unit are named in notes.

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
        table: its numeric columns; 'climate': indices computed from the forcing of train_period; 'none'.
    concepts : sequence of str or Concept, default ()
        As parse_concept takes them.
    train_period : (start, end), default None
        Days that 'climate' is computed from. Where streamflow is required, a basin needs forcing and streamflow in it.
    required : sequence of str, default None
        Targets that must be observed: streamflow in every basin, a concept in one at least. None: all, for a training;
        ('streamflow',) for fine-tuning. () is for a simulation: what is not observed is NaN, and counted in `observed`.

    Returns
    -------
    Prepared
        In the order of the list, or sorted. `left_out` names the basins of the folder that cannot be used; of basins
        that are named in `basins`, none is left out: one InputError names all that cannot be used.
    """
    concepts = [parse_concept(concept) if isinstance(concept, str) else concept for concept in concepts]
    targets = ["streamflow", *(concept.name for concept in concepts)]
    products = [forcing] if isinstance(forcing, str) else list(forcing)
    forcing, columns = "+".join(products), input_columns(products)
    _check_names(products, columns, targets[1:])
    required = targets if required is None else required
    files, left_out = basin_files(data_dir, products, basins, concepts, required)
    series = [*columns, "streamflow", *map(series_name, concepts)]
    # The folder is part of the name, so that nobody's copy of the data takes the place of another's.
    folder = f"{forcing}-{digest([READER_VERSION, series, str(Path(data_dir).resolve())])}"
    stems = {basin: f"{folder}/{basin}-{digest(own.state())}" for basin, own in files.items()}
    kept = prepare(stems, lambda b: read_basin(b, products, files[b], series), len(series), f"reading {forcing}")
    arrays, first_days, lengths, contents = zip(*kept, strict=True)
    contents = {basin: Contents(**content) for basin, content in zip(files, contents, strict=True)}
    _check_contents(data_dir, products, contents, [*CARAVAN_FORCING, *required])
    _check_concepts(contents, files, [concept for concept in concepts if concept.name in required])
    factors = np.array([1] * (len(columns) + 1) + [concept.factor for concept in concepts], np.float32)
    observed_days = [[content.days(name) for name in series[len(columns) :]] for content in contents.values()]
    data = Prepared(
        basins=list(files),
        inputs=list(columns),
        targets=targets,
        about=_about(columns, concepts),
        place=_places(data_dir, forcing, contents, files, attributes),
        attributes=pd.DataFrame(index=list(files)),
        arrays=list(arrays),
        first_days=np.array(first_days),
        lengths=np.array(lengths),
        forcing=forcing,
        left_out=left_out,
        synthetic=any((place / "demo.json").is_file() for place in (Path(data_dir), Path(data_dir).parent)),
        observed=pd.DataFrame(observed_days, list(files), targets),
        factors=None if (factors == 1).all() else factors,
    )
    if train_period is not None and "streamflow" in required:
        data = _without(data, _not_usable(data, *train_period), basins is not None)
    table, lacking = _attributes_for(data_dir, data, attributes, train_period)
    data = _without(replace(data, attributes=table), lacking, basins is not None)
    # Precipitation is compared with p_mean where that is in mm/day.
    p_mean = data.attributes.get("p_mean", {}) if str(attributes) == "auto" else {}
    areas = data.place["area_km2"]
    note_suspicions({b: suspicions(contents[b].means, columns, areas[b], p_mean.get(b, np.nan)) for b in data.basins})
    report = [f"{basin_count(len(data.basins))}, {data.first_day} to {data.last_day}"]
    contents, names = [contents[basin] for basin in data.basins], dict(zip(data.about, series, strict=True))
    report += observed(contents, {name: names[name] for name in targets}) + missing(contents, names, data.inputs)
    return replace(data, report="\n".join(report))


def _check_names(products, inputs, names) -> None:
    """Refuse products that cannot be read together, and concepts of the same name or that of an input."""
    if len(set(names)) < len(names):
        raise InputError(f"Two concepts have the same name ({some(names, 8)}); name them apart.")
    if len(set(products)) < len(products) or not products or ("caravan" in products and len(products) > 1):
        raise InputError(f"Forcing {' '.join(products)}: name one product, or several different ones of CAMELS-US.")
    if taken := set(names) & set(inputs):
        raise InputError(f"Concept {min(taken)} has the name of an input; give it another.")


def _check_contents(data_dir, products, contents, needed) -> None:
    """Say which temperatures are means; refuse Caravan files that lack a column or differ in potential evaporation."""
    for product in products:
        if all(product in content.equal_temperatures for content in contents.values()):
            _note_equal_temperatures(product)
    if products == ["caravan"]:
        for name in needed:
            if lacking := [basin for basin, content in contents.items() if name in content.absent]:
                raise InputError(f"{data_dir}: no column {name} in the file of {len(lacking)} gauges: {some(lacking)}.")
        kinds = {name for content in contents.values() for name in content.pet}
        if PET_NAMES[2] in kinds and len(kinds) > 1:
            raise InputError(f"{data_dir}: the gauges have different potential evaporation ({some(sorted(kinds))}).")


def _check_concepts(contents, files, needed) -> None:
    """Refuse concepts in another unit or impossible, and those of the `needed` that have no value anywhere."""
    for basin, content in contents.items():
        for path, concepts in files[basin].concepts.items():
            for concept in concepts:
                if ends := content.ends.get(series_name(concept)):
                    check_concept(concept, path, *ends)
    for concept in needed:
        if not any(content.days(series_name(concept)) for content in contents.values()):
            path = next(path for own in files.values() for path, group in own.concepts.items() if concept in group)
            names = some(read_columns(path, [concept.column], limits={}).attrs["names"], 8)
            nothing = f"no value of {concept.column} in any file {concept.template}"
            raise InputError(f"Concept {concept.name}: {nothing}; {path} has {names}.")


def _about(columns, concepts) -> dict:
    """Units, meaning and source of each variable."""
    columns = columns | {"streamflow": "streamflow"}
    about = {name: {"units": KNOWN[c].units, "long_name": KNOWN[c].label} for name, c in columns.items()}
    for concept in concepts:
        meaning = {"units": concept.units, "long_name": concept.label, "snow": concept.snow}
        about[concept.name] = meaning | {"source": concept.source}
    return about


def _without(data, reasons: dict[str, str], named: bool):
    """The data without the basins that cannot be used; of basins that are named, an error that lists them all."""
    if not reasons:
        return data
    groups: dict[str, list[str]] = {}
    for basin, reason in reasons.items():
        groups.setdefault(reason, []).append(basin)
    listed = "; ".join(f"{reason}: {some(group)}" for reason, group in groups.items())
    kept = [b for b, basin in enumerate(data.basins) if basin not in reasons]
    if named or not kept:
        raise InputError(f"{len(reasons)} of {len(data.basins)} basins cannot be used. {listed}.")
    return replace(data.select(kept), left_out=data.left_out | reasons)


def _not_usable(data, start, end) -> dict[str, str]:
    """Basins without an input or without streamflow in the training period, and why."""
    reasons, dates, needed = {}, data.dates(start, end), [*data.inputs, "streamflow"]
    for b, basin in enumerate(data.basins):
        known = np.concatenate([values[0] for values in data.read([b], dates)], axis=1)
        lacking = [name for name, days in zip(needed, np.isfinite(known).T, strict=False) if not days.any()]
        if lacking:  # without any forcing streamflow is masked too
            what = "forcing" if set(lacking) >= set(data.inputs) else lacking[0]
            reasons[basin] = f"No {what} from {start} to {end}"
    return reasons


def _places(data_dir, forcing, contents, files, attributes) -> pd.DataFrame:
    """Latitude, longitude and area (km2) by basin, NaN where unknown."""
    basins, tables = list(contents), []
    known = [(content.lat, np.nan, content.area_m2 / 1e6) for content in contents.values()]
    place = pd.DataFrame(known, basins, ["lat", "lon", "area_km2"])
    if forcing == "caravan":
        root = folder_with("timeseries", data_dir) / "attributes"
        sets = sorted({files[basin].forcing[0].parent.name for basin in basins})
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
        for name, column in {**names, **dict(zip(PLACE, PLACE, strict=True))}.items():
            place[column] = place[column].fillna(table[name]) if name in table else place[column]
    possible = {"lat": (-90, 90), "lon": (-180, 180), "area_km2": (1e-2, 1e7)}  # a table may be of z-scores
    return place.apply(lambda column: column.where(column.between(*possible[column.name])))


def _attributes_for(data_dir, data, attributes, train_period):
    """The attribute table of the basins, and those for which it is not whole, with the reason."""
    basins = data.basins
    if attributes is None or str(attributes) == "none":
        return pd.DataFrame(index=basins), {}
    if str(attributes) == "climate":
        return _climate(data, train_period)
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
    first = lacking.idxmax(axis=1)[lacking.any(axis=1)]
    instead = "; give a table, climate or none" if str(attributes) == "auto" else ""
    return table, {b: f"No {name} in the attributes of {source}{instead}" for b, name in first.items()}


def _climate(data, period):
    """Climate indices of each basin from its forcing in the training period, and the basins without any."""
    if period is None:
        raise InputError("Attributes 'climate' need train_period; give the training period.")
    (start, end), dates, caravan = period, data.dates(*period), data.forcing == "caravan"
    rows, reasons = {}, {}
    for b, basin in enumerate(data.basins):
        forcing, _ = data.read([b], dates)
        series = dict(zip(data.inputs, forcing[0].astype(np.float64).T, strict=True))
        rain, low, high = (series[name] for name in data.inputs[:3])  # of the first product, if there are several
        temperature = (low + high) / 2
        known = np.isfinite(rain) & np.isfinite(temperature)
        pet = series[PET][known] if caravan else None
        if not rain[known].any():
            reasons[basin] = f"No precipitation from {start} to {end}"
        elif caravan and not np.isfinite(pet).any():
            reasons[basin] = f"No potential evaporation from {start} to {end}"
        else:
            rows[basin] = climate_indices(rain[known], temperature[known], dates[known], pet)
    return pd.DataFrame.from_dict(rows, orient="index").reindex(data.basins), reasons


def main() -> None:
    """The commands `look` and `attributes`."""
    import tyro

    from reading.look import look

    tyro.extras.subcommand_cli_from_dict({"look": look, "attributes": write_attributes})


if __name__ == "__main__":
    from writing.messages import cli

    cli(main)
