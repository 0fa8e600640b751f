"""What follows if cell states are changed so that a reading rises, set against random changes of the same length."""

import itertools
from typing import NamedTuple

import numpy as np
import xarray as xr
from tqdm import tqdm

from libs_tf import StateModel
from probing.probes import SEED, median_interval
from reading.concepts import is_snow
from running.simulation import simulate
from writing.messages import InputError

HORIZONS = (1, 7, 30, 90)  # days over which the response to a change of the states is averaged
RANDOM_CHANGES = 10  # that each change is set against
SHORTEST, TOGETHER = "shortest change", "cell states moving together"  # kinds of changes


def smallest_change(weights, rise, covariance=None):
    """The smallest change of the features that raises the reading by `rise`.

    Without a covariance the shortest one, weights · rise / |weights|². With the covariance S of the features the
    smallest by the Mahalanobis distance, S weights · rise / (weights · S weights): the features move as they are used
    to move together when the reading rises (the pattern of Haufe et al. 2014, doi:10.1016/j.neuroimage.2013.10.067).
    """
    direction = weights if covariance is None else covariance @ weights
    return direction * (rise / (weights @ direction))


def random_changes(weights, length, number, seed, covariance=None):
    """Changes of a given length in random directions that leave the reading as it is: array (number, feature).

    With a covariance directions are drawn as the features are used to move together. 0 where no direction is left.
    """
    drawn = np.random.default_rng(seed).standard_normal((number, len(weights)))
    if covariance is not None:
        values, vectors = np.linalg.eigh(covariance)
        drawn = (drawn * np.sqrt(np.maximum(values, 0))) @ vectors.T
    before = np.linalg.norm(drawn, axis=1, keepdims=True)
    drawn -= np.outer(drawn @ weights, smallest_change(weights, 1.0, covariance))
    left = np.linalg.norm(drawn, axis=1, keepdims=True)
    return np.where(left > 1e-9 * before, drawn * (length / np.maximum(left, 1e-300)), 0.0)


def responses(runner, inputs, probes, changes):
    """What changes of the cell states do to runoff (mm/day) and every reading: dict of array (change, basin, day).

    `runner` (StateModel) runs on from the states h0 and c0 in `inputs`. Only c is changed, by the rows of `changes`
    (change, cell state); h follows from the next day on. `probes` is a dict concept -> Probe.
    """
    outcomes = []
    for change in (0 * changes[0], *changes):
        output = runner.predict_on_batch(inputs | {"c0": (inputs["c0"] + change).astype(np.float32)})
        c, runoff = (np.asarray(output[name], np.float64) for name in ("c", "prediction"))
        readings = {name: c @ probe.weights + probe.intercept for name, probe in probes.items()}
        outcomes.append({"streamflow": runoff[..., 0]} | readings)
    plain, *changed = outcomes
    return {name: np.stack([outcome[name] - plain[name] for outcome in changed]) for name in plain}


class Curve(NamedTuple):
    """Mean responses, over the days on which states were changed in a season, to one kind of change."""

    concept: str  # what was raised
    kind: str  # by which change
    season: str
    rise: float  # in the units of the concept
    responses: dict  # of streamflow (mm/day) and readings: array (change, basin, day), the random changes behind


def start_days(dates):
    """Positions of the days at whose end the states are changed: the first of each month of the first year."""
    days = np.flatnonzero(dates == dates.astype("datetime64[M]"))
    days = days[days < len(dates) - max(HORIZONS)][:12]
    if not len(days):
        raise InputError(f"{dates[0]} to {dates[-1]} is too short for interventions: add --intervention-basins 0.")
    return days


def raise_readings(model, data, period, probes, rises, covariance, counted):
    """Raise the reading of each concept on the start days, let the model run on: a list of `Curve`, by season.

    Two changes raise a reading alike: the shortest, and the one along which the cell states are used to move together
    when the reading rises, which stays among states the model knows. `probes` and `rises` are dicts by concept,
    `covariance` is (cell state, cell state), `counted` a DataFrame (basin, concept): where the concept counts.
    """
    dates = data.dates(*period)
    days = start_days(dates)
    parts = simulate(model, data, period, states="hc", label="states to change")
    before = xr.concat([part[["h", "c"]].isel(date=days) for part in parts], "basin")
    forcing, _ = data.read(slice(None), dates)
    attributes, runner, curves = data.attributes.to_numpy(np.float32), StateModel(model), []
    kinds = {SHORTEST: None, TOGETHER: covariance}
    for (k, (name, probe)), (kind, used) in itertools.product(enumerate(probes.items()), kinds.items()):
        change = smallest_change(probe.weights, rises[name], used)
        random = random_changes(probe.weights, np.linalg.norm(change), RANDOM_CHANGES, [SEED, k], used)
        outcomes = []
        for start, day in enumerate(tqdm(days, f"moving {name}", disable=None, unit="day")):
            inputs = {"forcing": forcing[:, day + 1 : day + 1 + max(HORIZONS)], "attributes": attributes}
            inputs |= {f"{state}0": before[state].values[:, start] for state in "hc"}
            outcomes.append(responses(runner, inputs, probes, [change, *random]))
        starts = dates[days] if is_snow(data.about[name]) else None
        for season, chosen in seasons(data.place["lat"].to_numpy(), starts, len(days)).items():
            kept = np.flatnonzero(counted[name] & chosen.any(axis=1))
            weight, means = chosen[kept] / chosen[kept].sum(axis=1, keepdims=True), {}
            for target in outcomes[0]:
                series = np.stack([outcome[target][:, kept] for outcome in outcomes])  # (start, change, basin, day)
                means[target] = np.einsum("skbd,bs->kbd", series, weight)
            curves += [Curve(name, kind, season, rises[name], means)] if len(kept) else []
    return curves


def seasons(latitudes, starts, number):
    """On which start days states are changed in which basins (basin, start): on all; of snow also those in late winter.

    Snow's water comes out at the next melt; `starts` are the dates, or None if the concept is not snow.
    """
    chosen = {"all": np.ones((len(latitudes), number), bool)}
    if starts is not None:
        month = starts.astype("datetime64[M]").astype(int) % 12 + 1
        south = latitudes[:, None] < 0
        chosen["late winter"] = np.where(south, np.isin(month, (8, 9, 10)), np.isin(month, (2, 3, 4)))
    return chosen


def response_rows(response):
    """A dict for each of HORIZONS: median over basins of a response (change, basin, day), random changes behind."""
    for horizon in HORIZONS:
        mean = response[:, :, :horizon].mean(axis=2)
        median, low, high, count = median_interval(mean[0])
        row = {"horizon_days": horizon, "mean": median, "low": low, "high": high, "cumulated": median * horizon}
        row |= {"cumulated_low": low * horizon, "cumulated_high": high * horizon}
        row["random_mean"] = float(np.median(np.sqrt((mean[1:] ** 2).mean(axis=0))))
        yield row | {"share_positive": float((mean[0] > 0).mean()), "basins": count}


def verdict(rows):
    """What the longest response of runoff says: (row, 'yes' | 'weakly' | 'no' | '–').

    More water in a store, more runoff. yes: the interval of the median response lies above zero and the median above
    that of random changes; weakly: above zero alone; –: there is no interval, as in one basin; else no.
    """
    row = rows[(rows["response_of"] == "streamflow") & (rows["horizon_days"] == max(HORIZONS))].iloc[-1]
    if np.isnan(row["low"]):
        return row, "–"
    if row["low"] <= 0:
        return row, "no"
    return row, "yes" if row["mean"] > row["random_mean"] else "weakly"
