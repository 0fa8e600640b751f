"""Catchment attributes: CAMELS-US files and tables, climate indices from the forcing, the z-scored table."""

from pathlib import Path

import numpy as np
import pandas as pd

from reading.folders import only_folder, visible
from reading.tables import read_attribute_table, read_basins
from writing.files import write_csv
from writing.messages import InputError, basin_count, note, some

ATTRIBUTES = (
    *"elev_mean slope_mean area_gages2 p_mean pet_mean aridity p_seasonality frac_snow high_prec_freq".split(),
    *"high_prec_dur low_prec_freq low_prec_dur frac_forest lai_max lai_diff gvf_max gvf_diff".split(),
    *"soil_depth_pelletier soil_depth_statsgo soil_porosity soil_conductivity max_water_content".split(),
    *"sand_frac silt_frac clay_frac organic_frac geol_permeability".split(),
)


def load_attributes(source, basins, columns=ATTRIBUTES) -> pd.DataFrame:
    """Catchment attributes as they stand in the files (Addor et al. 2017, doi:10.5194/hess-21-5293-2017).

    float64, index basin in the order given, one column per attribute, none missing.

    Parameters
    ----------
    source : path
        A CAMELS-US folder with `camels_attributes_v2.0/camels_*.txt`, or one table such as s_391attrs.csv.
    basins : path, id or list of ids
        As read_basins.
    columns : sequence of str or None, default ATTRIBUTES
        None takes every column of a table that holds numbers.
    """
    basins = read_basins(basins)
    table = attributes_in(source, basins, columns)
    missing = table.index[table.isna().any(axis=1)]
    if len(missing):
        first = table.columns[table.loc[missing[0]].isna()][0]
        raise InputError(f"{source}: no attributes (first: {first}) for {basin_count(len(missing))}: {some(missing)}.")
    return table


def attributes_in(source, basins, columns) -> pd.DataFrame:
    """As `load_attributes`, of a list of ids; NaN where a basin lacks an attribute."""
    source, paths = Path(source), [Path(source)]
    if source.is_dir():
        source, columns = attribute_folder(source), ATTRIBUTES if columns is None else columns
        paths = visible(source.glob("camels_*.txt"))
    tables, path_of = [], {}
    for path in paths:
        tables.append(read_attribute_table(path, basins, columns))
        for name in tables[-1]:
            if path_of.setdefault(name, path) != path:
                raise InputError(f"{path_of[name]} and {path} both hold {name}; remove one.")
    if absent := [name for name in columns or () if name not in path_of]:
        raise InputError(f"{source}: no attribute {some(absent)}; add the file or the column.")
    table = pd.concat(tables, axis=1).reindex(basins).rename_axis("basin")
    return table if columns is None else table[list(columns)]


def caravan_attributes(root: Path, basins) -> pd.DataFrame:
    """The numeric columns of `<set>/attributes_caravan_<set>.csv` below `root` that all sets of the basins have.

    NaN where a basin lacks one; pet_mean_ERA5_LAND of newer releases is pet_mean. A note names the other columns.
    """
    tables, path_of = {}, {}
    for path in [p for folder in visible(root.glob("*")) for p in visible(folder.glob("attributes_caravan_*.csv"))]:
        table = read_attribute_table(path, basins)
        for basin in table.index:
            if path_of.setdefault(basin, path) != path:
                raise InputError(f"{path_of[basin]} and {path} both hold basin {basin}; remove one.")
        older = {name: old for name in table if (old := name.removesuffix("_ERA5_LAND")) not in table}
        if len(table):
            tables[path.stem.removeprefix("attributes_caravan_")] = table.rename(columns=older)
    names = dict.fromkeys(name for table in tables.values() for name in table)
    lacking = {name: [label for label, table in tables.items() if name not in table] for name in names}
    if others := [f"{name} (not in {some(labels)})" for name, labels in lacking.items() if labels]:
        note(f"Attributes that not all sets have are not taken: {some(others, 8)}.")
    if all(lacking.values()):
        what = f"the attributes_caravan files have no attribute for all of {some(basins)}"
        raise InputError(f"{root}: {what}; give a table, climate or none.")
    return pd.concat(tables.values(), join="inner").reindex(basins)


def attribute_folder(data_dir: Path) -> Path:
    """The folder of camels_*.txt: data_dir, camels_attributes_v2.0 in it, or beside or above the forcing folder."""
    own, name = data_dir / "camels_attributes_v2.0", "camels_clim.txt"
    below = [place for folder in visible(data_dir.iterdir()) for place in (folder, folder / own.name)]
    places = dict.fromkeys([own if (own / name).is_file() else data_dir, *below])
    if folder := only_folder(name, data_dir, list(places)):
        return folder
    instead = "unpack the CAMELS attributes there, or give a table, climate or none (--attributes)"
    raise InputError(f"{data_dir}: no camels_attributes_v2.0/camels_clim.txt; {instead}.")


def climate_indices(precipitation, temperature, dates, pet=None) -> dict[str, float]:
    """Climate indices of a basin by the definitions of CAMELS (Addor et al. 2017, doi:10.5194/hess-21-5293-2017).

    `precipitation` (mm/day) and `temperature` (degrees C) are arrays (day,) without missing days, `dates` their
    datetime64, `pet` potential evaporation (mm/day), where NaN is left out. p_mean and pet_mean in mm/day, aridity
    their ratio; p_seasonality after Woods 2009 (doi:10.1016/j.advwatres.2009.06.011); frac_snow: below 0 degrees C, as
    published (the files agree with 1 degree); high_prec (at least 5 times the mean) and low_prec (below 1 mm/day), each
    _freq in days/year and _dur, the mean length of a spell, in days.
    """
    indices = {"p_mean": precipitation.mean()}
    if pet is not None:
        indices |= {"pet_mean": np.nanmean(pet), "aridity": np.nanmean(pet) / precipitation.mean()}
    angle = 2 * np.pi * pd.DatetimeIndex(dates).day_of_year.to_numpy() / 365.25
    waves = np.column_stack([np.ones_like(angle), np.sin(angle), np.cos(angle)])
    (_, a, b), (mean, c, d) = (np.linalg.lstsq(waves, y, rcond=None)[0] for y in (temperature, precipitation))
    amplitude = np.hypot(a, b)
    indices["p_seasonality"] = (a * c + b * d) / (amplitude * mean) if amplitude > 0 else 0.0
    indices["frac_snow"] = precipitation[temperature < 0].sum() / precipitation.sum()
    for name, chosen in (("high_prec", precipitation >= 5 * precipitation.mean()), ("low_prec", precipitation < 1)):
        spells = np.count_nonzero(chosen[1:] & ~chosen[:-1]) + int(chosen[0])
        indices[f"{name}_freq"] = chosen.mean() * 365.25
        indices[f"{name}_dur"] = chosen.sum() / spells if spells else 0.0
    return {name: float(value) for name, value in indices.items()}


def write_attributes(data_dir: Path, basins: Path, out: Path) -> None:
    """Write a csv as s_391attrs.csv from a CAMELS-US folder: basin_id, each of the 27 attributes minus its mean over
    the listed basins, over its standard deviation (divided by the number of basins); 9 significant digits."""
    table = load_attributes(data_dir, basins)
    spread = table.std(ddof=0)
    table = (table - table.mean()) / spread.where(spread > 0, 1.0)
    write_csv(out, table, index_label="basin_id", float_format="%.9g")
