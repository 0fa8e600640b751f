"""Independent data: another observation of a concept, which the model did not learn from, beside what is read."""

import itertools

import numpy as np
import pandas as pd

import cn_loss
from probing.probes import climatology
from reading.concepts import conversion
from writing.messages import InputError


def independent_series(independent, data, dates):
    """Name and series (basin, day) of a concept in independent data, in the units in which the model's data have it.

    `independent` and `data` are the prepared.Prepared of the same basins: independent data, of one concept of `data`,
    and those of the model. InputError if `data` has no such concept, units cannot be converted, or no value is there.
    """
    name, option = independent.targets[1], "--independent-data"
    if name not in data.targets[1:]:
        raise InputError(f"{option} is of {name}: give it the name of a concept, {', '.join(data.targets[1:])}.")
    try:
        factor = conversion(independent.about[name]["units"], data.about[name]["units"])
    except InputError as error:
        raise InputError(f"{option} of {name}: {error}") from None
    values = independent.read(slice(None), dates)[1][..., 1] * np.float32(factor)
    if not np.isfinite(values).any():
        raise InputError(f"{option} has no value from {dates[0]} to {dates[-1]}.")
    return name, values


def nearness(reading, learned, independent, days):
    """How near a reading, the observation that its model learned and an independent one are to each other.

    Parameters
    ----------
    reading, learned, independent : array (basin, day)
        In the same units; the days that all of them have are compared.
    days : array (day,) of int
        From `probes.days_of_year`.

    Returns
    -------
    pandas.DataFrame (basin)
        For each pair RMSE, r, and r without each series' own day-of-year mean; the partial r, so deseasonalised, of the
        reading with the independent one, the learned one being given: what it knows beyond what it was told.
    """
    known = np.isfinite(reading) & np.isfinite(learned) & np.isfinite(independent)
    series = {"reading": reading, "learned": learned, "independent": independent}
    table = {}
    for one, other in itertools.combinations(series, 2):
        pair = [np.where(known, series[name], np.nan).astype(np.float64) for name in (one, other)]
        found = cn_loss.score(*pair, ["RMSE", "r"])
        anomalies = [values - climatology(values[..., None], days)[:, days, 0] for values in pair]
        table |= {f"{metric} {one}-{other}": found[metric] for metric in found}
        table[f"r deseasonalised {one}-{other}"] = cn_loss.score(*anomalies, ["r"])["r"]
    pairs = ("reading-learned", "learned-independent", "reading-independent")
    told, other, beyond = (table[f"r deseasonalised {pair}"] for pair in pairs)
    table["partial r"] = (beyond - told * other) / np.sqrt((1 - told**2) * (1 - other**2))
    return pd.DataFrame(table)
