"""Concepts: daily series per basin that the cell states are mapped to, as a user writes them."""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from reading.text_files import FORCING, KNOWN, NUMBER, PET, SOIL_LAYER_MM, read_columns
from writing.messages import InputError, basin_count, note, some

CARAVAN_FORCING = (
    "total_precipitation_sum", "temperature_2m_min", "temperature_2m_max", "surface_net_solar_radiation_mean", PET,
)  # fmt: skip
UNSAID = "as in file"  # the units of a concept if nothing tells them
MM_PER_UNIT = {"mm": 1, "cm": 10, "m": 1000, "inch": 25.4, "in": 25.4, "ft": 304.8, "kg/m2": 1, "kg m-2": 1}
SPELLINGS = {
    **dict.fromkeys(("millimeter", "millimeters", "millimetre", "millimetres"), "mm"),
    **dict.fromkeys(("meter", "meters", "metre", "metres"), "m"),
    **dict.fromkeys(("centimeter", "centimeters", "centimetre", "centimetres"), "cm"),
    **dict.fromkeys(("c", "°c", "celsius", "degree_celsius", "degrees_celsius", "deg_c"), "degC"),
    "percent": "%", "kelvin": "K",
}  # fmt: skip
# Units of what is said of snow and is no amount of it: cover, temperature, density, melt.
NO_AMOUNT = ("%", "1", "-", "K", "degC", "kg/m3", "mm/day", "cm/day", "m/day")


class Concept(NamedTuple):
    """A daily series per basin that the cell states are mapped to: where it is read from, and what it is.

    `snow` says what tells that it is an amount or a cover of snow, "name", "column" or "unit"; "" if it is none.
    """

    name: str
    template: str
    column: str
    factor: float
    units: str
    snow: str = ""

    @property
    def label(self) -> str:
        return KNOWN[self.column].label if self.column in KNOWN else self.column


def _why_snow(name, column, units) -> str:
    """What says that a concept is snow, as `Concept.snow`; never its file's path."""
    column += f" {KNOWN[column].label}" if column in KNOWN else ""
    for what, words in (("name", name), ("column", column), ("unit", units)):
        if re.search("snow|(?<![a-z])swe(?![a-z])", words.lower()):
            return what
    return ""


def conversion(units, wanted) -> float:
    """Factor that turns numbers in `units` into `wanted`; InputError unless both are lengths of water, or the same.

    'as in file' is not the same of two files.
    """
    if UNSAID in units + wanted:
        raise InputError(f"Values in {units} cannot be turned into {wanted}: write the unit of both, such as [mm].")
    if units == wanted:
        return 1.0
    of, to = millimetres(units), millimetres(wanted)
    # "m of snow" is the thickness of the snow, not its water.
    if of is None or to is None or units.endswith("of snow") != wanted.endswith("of snow"):
        raise InputError(f"Values in {units} cannot be turned into {wanted}: give both the same units.")
    return of / to


def plain(units) -> str:
    """A unit as it is written here: 'kg m**-2' is kg/m2, 'mm d-1' mm/day, 'm of water equivalent' m of water."""
    units = re.sub(r"\*\*|\^", "", units.strip())
    units = re.sub(r"[ .*]+([A-Za-z]+)-([0-9])", lambda found: "/" + found[1] + found[2].replace("1", ""), units)
    units = re.sub(r"/d(ays?)?$", "/day", units)
    units = re.sub(r" (of )?(w\.? ?e\.?|swe|water)( equivalent)?$", " of water", units, flags=re.IGNORECASE)
    first, *others = units.split(" ")
    return " ".join([SPELLINGS.get(first.lower(), first), *others])


def times_of(old, new, then="in training", now="here") -> float | None:
    """Factor that turns numbers of the concept `old` into those of `new`, which has its name; None if it is of another
    column: then they are two things.

    InputError if units cannot be converted, or contradict the factors; `then` and `now` say where each is meant.
    """
    if new.column != old.column:
        return None
    if UNSAID in old.units + new.units and new.template == old.template:
        return new.factor / old.factor  # the same numbers, whatever they are
    try:
        times = conversion(old.units, new.units)
    except InputError as error:
        raise InputError(f"{new.name} is in {new.units} {now}, in {old.units} {then}. {error}") from None
    if new.template == old.template and not np.isclose(new.factor / old.factor, times, rtol=1e-6):
        raise InputError(
            f"{new.name} is {new.column} times {new.factor:g} in {new.units} {now}, and times {old.factor:g} in "
            f"{old.units} {then}, which cannot both be right: write it as {then}."
        )
    return times


def millimetres(units) -> float | None:
    """How many mm a unit of snow is ('cm of water': 10), or None if it is no length."""
    return MM_PER_UNIT.get(units.partition(" of ")[0].strip())


def is_snow(about) -> bool:
    """Whether a variable is an amount of snow, whose unit is a length; `about` has its "snow" (as Concept) and "units".

    Such a dict is `data.about[name]` of a data set, or a Concept's `_asdict()`.
    """
    return bool(about.get("snow")) and millimetres(about["units"]) is not None


_TAKEN = {*FORCING, *CARAVAN_FORCING, "streamflow", "attributes", "attribute", "basin", "date", "lat", "lon",
          "area_km2", "unit", *"cifgho"}  # the last: states and gates, as LSTM_output_Cn.py writes them  # fmt: skip


def parse_concept(text: str) -> Concept:
    """A concept from `name=template:column`, with an optional `*factor` and `[units]` after the column.

    Such as 'swe=swe/{number}.csv:uaz_swe' or 'soil1=caravan:volumetric_soil_water_layer_1_mean*70[mm]'. The template is
    a path relative to the data folder (or the current one), with {basin} (8 digits) or {number} (no leading zeros) in
    it; 'caravan' stands for the gauge's own Caravan file. Units are those given; else those of a column in KNOWN, m3/m3
    times a soil layer's thickness being mm; else 'as in file'. Snow in a unit that is no length is refused.
    """
    form = "name=template:column, for example swe=swe/{number}.csv:uaz_swe[mm]"
    name, _, rest = text.partition("=")
    template, _, last = rest.rpartition(":")
    match = re.fullmatch(r"(?P<column>[^*\[\]]+)(\*(?P<factor>[^*\[\]]+))?(\[(?P<units>[^\[\]]*)\])?", last.strip())
    name, template = name.strip(), template.strip()
    if not (match and template):
        raise InputError(f"Concept {text!r}: write it as {form}.")
    column, factor, units = match["column"].strip(), (match["factor"] or "1").strip(), match["units"]
    one_file = template != "caravan" and "{" not in template
    no_snow = column == "swe(mm)" or column.lower() == "swe" and "forcing_leap" in template
    for wrong, words in (
        (not re.fullmatch("[A-Za-z][A-Za-z0-9_]*", name), f"the name {name!r} should be letters, digits and _"),
        (name in _TAKEN, f"the name {name} is taken; choose another"),
        (re.search("[{}]", re.sub("{(basin|number)}", "", template)), "only {basin} and {number} may stand in braces"),
        (one_file, f"every basin would read {template}; put {{basin}} or {{number}} in it"),
        (not (NUMBER.fullmatch(factor) and 1e-8 <= abs(float(factor)) <= 1e8), f"{factor!r} is not a factor"),
        (no_snow, "swe(mm) of the CAMELS forcing is 0 everywhere, not snow; use a snow data set"),
    ):
        if wrong:
            raise InputError(f"Concept {text!r}: {words}.")
    units = _units(column, float(factor)) if units is None else units.strip()
    concept = Concept(name, template, column, float(factor), units, _why_snow(name, column, units))
    if concept.snow and millimetres(units) is None and units not in NO_AMOUNT:
        raise InputError(
            f"Concept {text!r} is snow, as its {concept.snow} says, but {units!r} is no length known here: "
            f"write {some([f'[{unit}]' for unit in MM_PER_UNIT], 5)} behind the column."
        )
    return concept


def _units(column: str, factor: float) -> str:
    known = KNOWN.get(column)
    if known is None:
        return "as in file" if factor == 1 else f"as in file * {factor:g}"
    layer = re.match(r"volumetric_soil_water_layer_([1-4])", column)
    if layer and factor == SOIL_LAYER_MM[int(layer[1])]:
        return "mm"
    if known.units.startswith("m of ") and factor in (100.0, 1000.0):
        return ("c" if factor == 100.0 else "m") + known.units
    return known.units if factor == 1 else f"{known.units} * {factor:g}"


def concept_files(concept, basins, data_dir, caravan=None, needed=True) -> dict[str, Path]:
    """The file of each basin that has one: all from the data folder, or else all from the current one.

    `caravan` has the gauges' own Caravan files, None where there are none; InputError if no basin has a file and one is
    `needed`.
    """
    if concept.template == "caravan":
        if caravan is None:
            instead = "write caravan/timeseries/csv/camels/camels_{basin}.csv or the like"
            raise InputError(f"Concept {concept.name}: caravan stands for a Caravan gauge's own file alone; {instead}.")
        return {basin: caravan[basin] for basin in basins if basin in caravan}
    named = {b: concept.template.format(basin=b, number=int(b) if b.isdigit() else b) for b in basins}
    files, here = ({b: root / name for b, name in named.items() if (root / name).is_file()}
                   for root in (Path(data_dir or ""), Path()))  # fmt: skip
    if files and (others := set(here) - set(files)):
        words = f"files of {basin_count(len(files))} are in {data_dir}, and no other is read"
        note(f"Concept {concept.name}: {words}: those of {len(others)} more in the current folder are not.")
    if files or here or not needed:
        return files or here
    whom = f"basin {basins[0]}" if len(basins) == 1 else f"any of the {len(basins)} basins"
    words = f"no file {concept.template} for {whom} in {data_dir or 'this folder'}"
    instead = "; --concepts without a word after it trains runoff alone" if len(basins) > 1 else ""
    raise InputError(f"Concept {concept.name}: {words}{instead}.")


def read_concepts(path, concepts, others=()) -> pd.DataFrame:
    """Concepts of one basin that stand in one file, in their units, behind other columns of it, which stay as they are.

    Daily, float32; `.attrs` as `read_columns` gives them, and converted: {concept: the units in the file, if others}.
    """
    # An amount of snow is never below zero.
    snow = [concept.column for concept in concepts if is_snow(concept._asdict()) and concept.factor > 0]
    read = read_columns(path, [*others, *(concept.column for concept in concepts)], snow)
    series, converted = {}, {}
    for concept in concepts:
        units = plain(read.attrs["file_units"].get(concept.column) or _units(concept.column, 1.0))
        times = _times(path, concept, units)
        series[concept.name] = read[concept.column] * np.float32(times)
        converted |= {concept.name: units} if times != concept.factor else {}
    frame = pd.DataFrame({name: read[name] for name in others} | series, index=read.index)
    frame.attrs = read.attrs | {"converted": converted}
    return frame


def _times(path, concept, units) -> float:
    """What numbers in `units` are multiplied by: the concept's factor or, if it has none, what converts their units."""
    wanted, (bare, _, kind) = plain(concept.units), units.partition(" of ")
    wanted = wanted if kind else wanted.partition(" of ")[0]  # what the metres of a file are of, the concept says
    same = bare.removesuffix("/day") == wanted.partition(" of ")[0].removesuffix("/day")
    if concept.factor != 1 or same or "as in file" in (units, wanted):
        return concept.factor
    try:
        return conversion(units, wanted)
    except InputError:
        words = f"{path}: {concept.column} is in {units}, which cannot be turned into {concept.units}"
        instead = f"write [{units}], or the factor between them, {concept.column}*FACTOR[{concept.units}]"
        raise InputError(f"{words}; {instead}.") from None
