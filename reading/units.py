"""Units: how they are compared, which numbers they allow, and which records look as if they were in another one."""

import re

import numpy as np

from writing.messages import InputError, note, some

MM_PER_UNIT = {"mm": 1, "cm": 10, "m": 1000, "inch": 25.4, "in": 25.4, "ft": 304.8, "kg/m2": 1}
SPELLINGS = {"millimeter": "mm", "millimetre": "mm", "centimeter": "cm", "centimetre": "cm", "meter": "m", "metre": "m"}
SPELLINGS |= {f"{name}s": unit for name, unit in SPELLINGS.items()} | {"percent": "%", "kelvin": "K"}
SPELLINGS |= dict.fromkeys(("c", "°c", "celsius", "degree_celsius", "degrees_celsius", "deg_c"), "degC")
# Lowest and highest possible number of a column that nobody knows; lengths of water are none below zero either.
RANGES = {"m3/m3": (0, 1), "%": (0, 100), "degC": (-90, 60), "K": (183.15, 333.15), "W/m2": (-1000, 2000)}
RANGES |= {"mm/day": (-1000, 5000), "m3/s": (0, 1e6), "kg/m3": (0, 2000), "Pa": (0, 120000), "kPa": (0, 120)}


def plain(units) -> str:
    """A unit as it is written here: 'kg m**-2' is kg/m2, 'mm d-1' mm/day, 'm of water equivalent' m of water."""
    units = re.sub(r"\*\*|\^", "", units.strip()).replace(" per ", "/")
    units = re.sub(r"[ .*]+([A-Za-z]+)-([0-9])", lambda power: "/" + power[1] + power[2].replace("1", ""), units)
    units = re.sub(r"/d(ays?)?$", "/day", units)
    units = re.sub(r" (of )?(w\.? ?e\.?|swe|water)( equivalent)?$", " of water", units, flags=re.IGNORECASE)
    first, *others = units.split(" ")
    return " ".join([SPELLINGS.get(first.lower(), first), *others])


def millimetres(units) -> float | None:
    """How many mm a length of water or snow is ('cm of water': 10), or None if it is no length."""
    return MM_PER_UNIT.get(plain(units).partition(" of ")[0])


def unit_factor(units, wanted) -> float | None:
    """What turns numbers in `units` into `wanted`: 1 of one unit (mm is mm/day), else of two lengths; None: unknown."""
    if plain(units).removesuffix("/day") == plain(wanted).removesuffix("/day"):
        return 1.0
    kinds = {plain(unit).partition(" of ")[2] for unit in (units, wanted)} - {""}
    lengths = millimetres(units), millimetres(wanted)
    return lengths[0] / lengths[1] if None not in lengths and len(kinds) < 2 else None


def refuse_other_unit(path, column, units, wanted, instead="") -> None:
    """Refuse a column of a file whose unit is another one than the one wanted; nothing is converted."""
    if (factor := unit_factor(units, wanted)) != 1:
        own = f"write {column}[{units}], or give the factor: {column}*FACTOR[{wanted}]"
        instead = instead or (f"write {column}*{factor:.9g}[{wanted}]" if factor else own)
        raise InputError(f"{path}: {column} is in {units}, not in {wanted}; {instead}.")


def possible(units, snow=False) -> tuple[float, float]:
    """Lowest and highest possible number in a unit, of an amount of snow if `snow`."""
    if length := millimetres(units):
        return 0, (1e5 if snow else 1e7) / length
    return RANGES.get(plain(units), (-np.inf, np.inf))


# Records that look as if they were in another unit

RAIN = {"m (times 1000)": 1000, "kg/m2/s (times 86400)": 86400}
SUN = {"MJ/m2 a day (times 11.574)": 11.574, "kWh/m2 a day (times 41.667)": 41.667}
# Columns and their unit; lowest and highest mean of a year or more in nearly all basins; units that people mix up.
MEANS = (
    ("prcp total_precipitation_sum", "mm/day", 0.1, 25, RAIN),
    ("srad surface_net_solar_radiation_mean", "W/m2", 40, 550, SUN),
    ("vp", "Pa", 150, 4000, {"kPa (times 1000)": 1000, "hPa (times 100)": 100}),
    ("tmin tmax temperature_2m_min temperature_2m_max", "degC", -40, 40, {}),
    ("potential_evaporation_sum", "mm/day", 0.05, 30, {"m (times 1000)": 1000, "m downwards (times -1000)": -1000}),
)
WHOLE_YEAR = 365  # days that a mean must be of, so that it holds every season


def statistics(series, inputs) -> dict[str, float]:
    """Means of a year or more of a basin's inputs (columns, precipitation first), and runoff: streamflow over it."""
    values = {name: column.to_numpy(float) for name, column in series.items()}
    known = {name: np.isfinite(values[name]) for name in values}
    means = {name: float(values[name][known[name]].mean()) for name in inputs if known[name].sum() >= WHOLE_YEAR}
    if "streamflow" in values and (both := known[inputs[0]] & known["streamflow"]).sum() >= WHOLE_YEAR:
        rain = values[inputs[0]][both].sum()
        means |= {"runoff": float(values["streamflow"][both].sum() / rain)} if rain else {}
    return means


def suspicions(means, columns, area_km2=np.nan, p_mean=np.nan) -> list[tuple[str, str, str]]:
    """What is suspicious in the `statistics` of a basin: (what, number, advice); `columns` {input: its column}."""
    known = {column: rule for columns_of, *rule in MEANS for column in columns_of.split()}
    suspicious = []
    for name, (units, low, high, others) in {name: known[column] for name, column in columns.items()}.items():
        mean = means.get(name, np.nan)
        if others is RAIN and (mean < p_mean / 5 or mean > p_mean * 5):
            advice = _advice(mean, RAIN | {"inches (times 25.4)": 25.4}, p_mean / 1.5, p_mean * 1.5)
            suspicious.append((f"{name} is far from the attribute p_mean", f"{mean:.3g}, not {p_mean:.3g}", advice))
        elif mean < low or mean > high:
            what = f"{name} has a mean that hardly any basin has, in {units}"
            suspicious.append((what, f"{mean:.3g}", _advice(mean, others, low, high)))
    if (runoff := means.get("runoff", 0)) > 3:  # none of the 531 CAMELS basins has above 1.3
        others = {"m3/s (times 86.4, over km2)": 86.4 / area_km2, "ft3/s (times 2.4466, over km2)": 2.4466 / area_km2}
        advice = _advice(runoff, others, 0.05, 1.5)
        suspicious.append(("streamflow is much more than precipitation", f"{runoff:.3g} times", advice))
    return suspicious


def _advice(number, units, low, high) -> str:
    """The unit that makes a number possible, if it is the only one."""
    fitting = [unit for unit, factor in units.items() if low <= number * factor <= high]
    return f"It looks like {fitting[0]}." if len(fitting) == 1 else "Is the unit right?"


def note_suspicions(by_basin) -> None:
    """Say the `suspicions` of many basins, {basin: list}, those alike in one note."""
    groups: dict[tuple, list[str]] = {}
    for basin, suspicious in by_basin.items():
        for what, number, advice in suspicious:
            groups.setdefault((what, advice), []).append(f"{basin} {number}")
    for (what, advice), basins in groups.items():
        note(f"{what}: {some(basins)}. {advice}")
