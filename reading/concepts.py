"""Concepts: daily series per basin that the cell states are mapped to, as a user writes them."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from reading.text_files import FORCING, KNOWN, NUMBER, PET, SOIL_LAYER_MM, Known, read_columns
from reading.units import MM_PER_UNIT, millimetres, plain, possible, refuse_other_unit, unit_factor
from writing.messages import InputError, note, some

CARAVAN_FORCING = ("total_precipitation_sum", "temperature_2m_min", "temperature_2m_max")
CARAVAN_FORCING += ("surface_net_solar_radiation_mean", PET)
UNSAID = "as in file"  # the units of a concept if nothing tells them
# Units of what is said of snow and is no amount of it: cover, temperature, density, melt.
NO_AMOUNT = ("%", "1", "-", "K", "degC", "kg/m3", "mm/day", "cm/day", "m/day")
# Names that stand for something else; the last are states and gates, as LSTM_output_Cn.py writes them.
TAKEN = {*FORCING, *CARAVAN_FORCING, "streamflow", "attributes", "attribute", "basin", "date", "lat", "lon", "area_km2"}
TAKEN |= {"cell_state", *"cifgho"}


class Concept(NamedTuple):
    """A daily series per basin that the cell states are mapped to: where it is read from, and what it is."""

    name: str
    template: str
    column: str
    factor: float
    units: str
    snow: str = ""  # what says that it is an amount or a cover of snow: "name", "column" or "unit"
    has_factor: bool = False  # one is written: the user is believed whatever unit the file gives

    @property
    def label(self) -> str:
        return KNOWN[self.column].label if self.column in KNOWN else self.column

    @property
    def source(self) -> str:
        return f"{self.template}:{self.column}" + (f"*{self.factor:g}" if self.has_factor else "")


def is_snow(about) -> bool:
    """Whether a variable, as in `data.about` or a Concept's `_asdict()`, is an amount of snow: its unit is a length."""
    return bool(about.get("snow")) and millimetres(about["units"]) is not None


def parse_concept(text: str) -> Concept:
    """A concept from `name=template:column`, with an optional `*factor` and `[units]` after the column.

    Such as 'swe=swe/{number}.csv:uaz_swe' or 'soil1=caravan:volumetric_soil_water_layer_1_mean*70[mm]'. The template is
    a path with {basin} (8 digits) or {number} (no leading zeros) in it, or 'caravan' for the gauge's own Caravan file.
    Units are those given, else those of a column in KNOWN (m3/m3 times a soil layer's thickness is mm), else 'as in
    file'. Snow in a unit that is no length is refused.
    """
    form = "name=template:column, for example swe=swe/{number}.csv:uaz_swe[mm]"
    name, _, rest = text.partition("=")
    template, _, last = rest.rpartition(":")
    match = re.fullmatch(r"(?P<column>[^*\[\]]+)(\*(?P<factor>[^*\[\]]+))?(\[(?P<units>[^\[\]]*)\])?", last.strip())
    name, template = name.strip(), template.strip()
    if not (match and template):
        raise InputError(f"Concept {text!r}: write it as {form}.")
    column, factor, units = match["column"].strip(), (match["factor"] or "1").strip(), match["units"]
    single_file = template != "caravan" and "{" not in template
    no_snow = column == "swe(mm)" or column.lower() == "swe" and "forcing_leap" in template
    for wrong, why in (
        (not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name), f"the name {name!r} should be letters, digits and _"),
        (name in TAKEN, f"the name {name} is taken; choose another"),
        (re.search("[{}]", re.sub("{(basin|number)}", "", template)), "only {basin} and {number} may stand in braces"),
        (single_file, f"every basin would read {template}; put {{basin}} or {{number}} in it"),
        (not (NUMBER.fullmatch(factor) and 1e-8 <= abs(float(factor)) <= 1e8), f"{factor!r} is not a factor"),
        (no_snow, "swe(mm) of the CAMELS forcing is 0 everywhere, not snow; use a snow data set"),
    ):
        if wrong:
            raise InputError(f"Concept {text!r}: {why}.")
    units = _units(column, float(factor)) if units is None else units.strip()
    texts = {"name": name, "column": f"{column} {KNOWN[column].label if column in KNOWN else ''}", "unit": units}
    snow = next((what for what, text in texts.items() if re.search("snow|(?<![a-z])swe(?![a-z])", text.lower())), "")
    if snow and millimetres(units) is None and plain(units) not in NO_AMOUNT:
        lengths = some([f"[{unit}]" for unit in MM_PER_UNIT], 5)
        what = f"is snow, as its {snow} says, but {units!r} is no length known here: write {lengths}"
        raise InputError(f"Concept {text!r} {what} behind the column.")
    return Concept(name, template, column, float(factor), units, snow, match["factor"] is not None)


def _units(column: str, factor: float) -> str:
    """The units of a column times a factor, where none are written."""
    known = KNOWN.get(column)
    if known is None:
        return UNSAID if factor == 1 else f"{UNSAID} * {factor:g}"
    layer = re.match(r"volumetric_soil_water_layer_([1-4])", column)
    if layer and factor == SOIL_LAYER_MM[int(layer[1])]:
        return "mm"
    if known.units.startswith("m of ") and factor in (100.0, 1000.0):
        return ("c" if factor == 100.0 else "m") + known.units
    return known.units if factor == 1 else f"{known.units} * {factor:g}"


def concept_files(concept, basins, data_dir, caravan=None, needed=True) -> dict[str, Path]:
    """The file of each basin that has one: all from the data folder, or else all from the current one."""
    if concept.template == "caravan":
        if caravan is None:
            instead = "write caravan/timeseries/csv/camels/camels_{basin}.csv or the like"
            raise InputError(f"Concept {concept.name}: caravan stands for a Caravan gauge's own file alone; {instead}.")
        return {basin: caravan[basin] for basin in basins if basin in caravan}
    named = {b: concept.template.format(basin=b, number=int(b) if b.isdigit() else b) for b in basins}
    roots = Path(data_dir or ""), Path()
    files, here = ({b: root / name for b, name in named.items() if (root / name).is_file()} for root in roots)
    if files and (others := set(here) - set(files)):
        note(f"Concept {concept.name}: read from {data_dir} alone, not {some(sorted(others))} in the current folder.")
    if files or here or not needed:
        return files or here
    which = f"basin {basins[0]}" if len(basins) == 1 else f"any of the {len(basins)} basins"
    instead = "; --concepts without a word after it trains runoff alone" if len(basins) > 1 else ""
    missing = f"no file {concept.template} for {which} in {data_dir or 'this folder'}"
    raise InputError(f"Concept {concept.name}: {missing}{instead}.")


def check_concept(concept, path, units="", lowest=np.inf, highest=-np.inf) -> None:
    """Refuse a column of a file that gives other `units`, or whose `lowest` or `highest` number the range forbids."""
    known, factor = KNOWN.get(concept.column, Known(UNSAID, "", -np.inf, np.inf)), concept.factor
    units = units or known.units
    if not concept.has_factor and UNSAID not in (units, concept.units):
        refuse_other_unit(path, concept.column, units, concept.units)
    expected = unit_factor(known.units, concept.units)  # a factor may say that the file is in another unit than known
    if known.units == UNSAID or unit_factor(units, known.units) != 1 or not np.isclose(expected or factor, factor):
        low, high = sorted(end / factor for end in possible(concept.units, is_snow(concept._asdict())))
        known = Known(concept.units if factor == 1 else f"({concept.units} after *{factor:g})", "", low, high)
    if lowest < known.low or highest > known.high:
        read_columns(path, [concept.column], {concept.column: known})  # names the line
