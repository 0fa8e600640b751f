"""What follows if cell states are changed: changes that raise a reading, and initial states exchanged between years.

A change is set against random changes of the same length:

    change = smallest_change(probe.weights, 10.0)              # 10 mm more in the reading
    outcome = responses(runner_from(StateModel(model), forcing, attributes, {"swe": probe}), h, c, change[None])
"""

from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from libs_tf import StateModel
from probing.probes import median_interval
from reading.concepts import is_snow
from reading.prepared import parse_day
from running.simulation import simulate
from writing.messages import InputError

HORIZONS = (1, 7, 30, 90)  # days over which the response to a change of the states is averaged
BASINS_AT_ONCE = 100  # whose states are exchanged
SHORTEST, TOGETHER = "shortest change", "units moving together"  # kinds of changes
YEARS, WHOLE, PART, REST = "state and weather", "whole state", "probe's part", "the rest"  # of two years, exchanged


def smallest_change(weights, rise, covariance=None):
    """The smallest change of the features that raises the reading by `rise`.

    Without a covariance the shortest one, weights · rise / |weights|². With the covariance S of the features the
    smallest by the Mahalanobis distance, S weights · rise / (weights · S weights): the features move as they are used
    to move together when the reading rises (the pattern of Haufe et al. 2014, doi:10.1016/j.neuroimage.2013.10.067).

    From weights (feature,), a rise in the reading's units and a covariance (feature, feature) to an array (feature,).
    """
    direction = weights if covariance is None else covariance @ weights
    return direction * (rise / (weights @ direction))


def random_changes(weights, length, number, seed=0, covariance=None):
    """Changes of a given length in random directions that leave the reading as it is: array (number, feature).

    With a covariance (feature, feature) directions are drawn as the features are used to move together, without it
    every direction is as likely. `weights` (feature,) are those of the probe. All are 0 where no direction is left, as
    of a single feature.
    """
    drawn = np.random.default_rng(seed).standard_normal((number, len(weights)))
    if covariance is not None:
        values, vectors = np.linalg.eigh(covariance)
        drawn = (drawn * np.sqrt(np.maximum(values, 0))) @ vectors.T
    before = np.linalg.norm(drawn, axis=1, keepdims=True)
    drawn -= np.outer(drawn @ weights, smallest_change(weights, 1.0, covariance))
    left = np.linalg.norm(drawn, axis=1, keepdims=True)
    return np.where(left > 1e-9 * before, drawn * (length / np.maximum(left, 1e-300)), 0.0)


def runner_from(runner, forcing, attributes, readers):
    """Function (h, c) -> dict of array (basin, day): runoff (mm/day) and every reading over the days of `forcing`.

    `runner` is a libs_tf.StateModel, `forcing` (basin, day, input), `attributes` (basin, attribute), `readers` a dict
    concept -> Probe.
    """

    def run_on(h, c):
        inputs = {"forcing": forcing, "attributes": attributes, "h0": h, "c0": c}
        out = {key: np.asarray(value, np.float64) for key, value in runner.predict_on_batch(inputs).items()}
        read = {name: out["c"] @ probe.weights + probe.intercept for name, probe in readers.items()}
        return {"streamflow": out["prediction"][..., 0]} | read

    return run_on


def responses(run_on, h, c, changes):
    """What changes of the cell states do to what follows: dict of array (change, basin, day), changed minus unchanged.

    `run_on` is from `runner_from`; h and c (basin, cell state) are the states at the end of a day. Only c is changed,
    by the rows of `changes` (change, cell state); h follows from the next day on.
    """
    plain = run_on(h, c)
    changed = [run_on(h, c + change.astype(c.dtype)) for change in changes]
    return {name: np.stack([outcome[name] - plain[name] for outcome in changed]) for name in plain}


class Curve(NamedTuple):
    """Mean responses, over the days on which states were changed in a season, to one kind of change."""

    concept: str  # what was raised
    kind: str  # by which change
    season: str
    rise: float  # in the units of the concept
    basins: np.ndarray  # positions
    responses: dict  # of streamflow (mm/day) and readings: array (change, basin, day), the random changes behind


def raise_readings(model, data, basins, period, days, probes, rises, covariance, counted, number, draw):
    """Raise the reading of each concept on some days, let the model run on: a list of `Curve`, by season.

    Two changes raise a reading alike: the shortest, and the one along which the cell states are used to move together
    when the reading rises, which stays among states the model knows.

    Parameters
    ----------
    basins, days : array of int
        Positions of the basins, and of the days of the period at whose end the states are changed.
    probes, rises, counted : dict concept -> Probe, float, array (basin of data,) of bool
    covariance : array (cell state, cell state)
    number, draw : int
        Of random changes, and the seed of their directions.
    """
    some = data.select(basins)
    parts = simulate(model, some, *period, states=True, progress="states to change")
    before = [(part.states["h"][:, days], part.states["c"][:, days]) for part in parts]
    h, c = (np.concatenate(values) for values in zip(*before, strict=True))
    dates = data.dates(*period)
    forcing, _ = some.read(slice(None), dates)
    attributes, runner = some.attributes.to_numpy(np.float32), StateModel(model)
    curves = []
    for position, (name, probe) in enumerate(probes.items()):
        changes = []
        for used in (None, covariance):
            change = smallest_change(probe.weights, rises[name], used)
            random = random_changes(probe.weights, np.linalg.norm(change), number, [draw, position], used)
            changes += [change, *random]
        found = []
        for k, day in enumerate(tqdm(days, f"moving {name}", disable=None, unit="day")):
            ahead = forcing[:, day + 1 : day + 1 + max(HORIZONS)]
            run_on = runner_from(runner, ahead, attributes, probes)
            found.append(responses(run_on, h[:, k], c[:, k], changes))
        outcome = {target: np.stack([one[target] for one in found], axis=2) for target in found[0]}
        starts = dates[days] if is_snow(data.about[name]) else None
        for season, chosen in seasons(some.place["lat"].to_numpy(), starts, len(days)).items():
            keep = np.flatnonzero(counted[name][basins] & chosen.any(axis=1))
            weight = chosen[keep] / chosen[keep].sum(axis=1, keepdims=True)
            for kind, rows in ((SHORTEST, slice(number + 1)), (TOGETHER, slice(number + 1, None))) if len(keep) else ():
                means = {of: np.einsum("kbsd,bs->kbd", v[rows][:, keep], weight) for of, v in outcome.items()}
                curves.append(Curve(name, kind, season, rises[name], basins[keep], means))
    return curves


def seasons(latitudes, starts, number):
    """On which of some days states are changed in which basins (basin, start): on all, and for snow in late winter.

    Snow's water comes out at the next melt; `starts` are the dates (start,), or None if the concept is not snow.
    """
    found = {"all": np.ones((len(latitudes), number), bool)}
    if starts is not None:
        month = starts.astype("datetime64[M]").astype(int) % 12 + 1
        south = latitudes[:, None] < 0
        found["late winter"] = np.where(south, np.isin(month, (8, 9, 10)), np.isin(month, (2, 3, 4)))
    return found


def effects_of_exchange(run_on, h, c, probe, covariance, number, seed):
    """What follows from the initial states of a wet year in place of those of a dry year, in the weather of either.

    Parameters
    ----------
    run_on : pair of function (h, c) -> dict of array (basin, day)
        Lets the model run on in the weather of the wet and of the dry year.
    h, c : array (2, basin, cell state)
        States of the wet and of the dry year on the same day of the year.
    probe : Probe
        Its part of the difference of two states raises the reading by the difference of their readings, in each of the
        ways of `smallest_change`; the rest, with h, is what is left.
    covariance : array (cell state, cell state)
    number, seed : int
        Of random changes of c, as long as what is exchanged, that leave the reading as it is.

    Returns
    -------
    dict what is exchanged -> dict name -> array (1 + number, basin, day)
        With the wet minus with the dry year's states, mean of both weathers, then random changes; under YEARS
        (1, basin, day) the wet minus the dry year, weather and all.
    """
    apart, weights = c[0] - c[1], probe.weights
    ways = {WHOLE: (1, apart, covariance)}
    for kind, used in ((SHORTEST, None), (TOGETHER, covariance)):
        part = np.outer(apart @ weights, smallest_change(weights, 1.0, used))
        ways |= {f"{PART}, {kind}": (0, part, used), f"{REST}, {kind}": (1, apart - part, used)}
    plain = [run_on[year](h[year], c[year]) for year in (0, 1)]
    found = {YEARS: {name: (plain[0][name] - plain[1][name])[None] for name in plain[0]}}
    for way, (with_h, change, used) in ways.items():
        directions = random_changes(weights, 1.0, number, seed, used)
        lengths = np.linalg.norm(change, axis=1, keepdims=True)
        changes = [(with_h * (h[0] - h[1]), change), *((0, lengths * direction) for direction in directions)]
        effects = {name: 0 for name in plain[0]}
        for year, sign in ((0, -1), (1, 1)):  # the wet year is given the dry one's states, the dry year the wet one's
            moved = [run_on[year](h[year] + sign * dh, (c[year] + sign * dc).astype(c.dtype)) for dh, dc in changes]
            for name, before in plain[year].items():
                effects[name] = effects[name] + sign / 2 * np.stack([one[name] - before for one in moved])
        found[way] = effects
    return found


def exchange_days(concept, month_and_day, names, dates):
    """The day of every year at whose end states are exchanged, where the record goes on long enough after it."""
    if concept not in names:
        raise InputError(f"There is no concept {concept} for --exchange-states: choose from {', '.join(names)}.")
    days = np.array([parse_day(f"{year}-{month_and_day}") for year in np.unique(dates.astype("datetime64[Y]"))])
    days = days[(days >= dates[0]) & (days + max(HORIZONS) <= dates[-1])]
    if len(days) < 2:
        raise InputError(f"{dates[0]} to {dates[-1]} has no two years to exchange states of on {month_and_day}.")
    return days


def states_at(model, data, day):
    """h and c of every basin at the end of a day, after a spin-up year: array (2, basin, cell state)."""
    parts = simulate(model, data, str(day), str(day), states=True)
    return np.concatenate([np.stack([part.states[name][:, -1] for name in "hc"]) for part in parts], axis=1)


def exchange_years(model, data, basins, concept, probe, covariance, number, seed, days):
    """What follows if the year with most of a concept on a day and the year with least exchange their states then.

    `basins` (positions) are those in which it is done, `days` are from `exchange_days`, the rest is as for
    `effects_of_exchange`: a list of Curve, one for each of its keys.
    """
    k, runner, outcome, apart = data.targets.index(concept), StateModel(model), {}, []
    observed = np.stack([data.read(basins, day[None])[1][:, 0, k] for day in days])
    known = np.isfinite(observed).all(axis=0)
    basins, order = basins[known], np.argsort(observed[:, known], axis=0)
    if not len(basins):
        raise InputError(f"No basin has {concept} on all of the days {', '.join(map(str, days))}.")
    for first in range(0, len(basins), BASINS_AT_ONCE):
        some = data.select(basins[first : first + BASINS_AT_ONCE])
        each, attributes = np.arange(len(some.basins)), some.attributes.to_numpy(np.float32)
        states = np.stack([states_at(model, some, day) for day in days])  # (year, 2, basin, cell state)
        ahead = np.stack([some.read(slice(None), day + np.arange(1, max(HORIZONS) + 1))[0] for day in days])
        years = order[[-1, 0], first : first + BASINS_AT_ONCE]  # the wet and the dry year of each basin
        run_on = [runner_from(runner, ahead[year, each], attributes, {concept: probe}) for year in years]
        h, c = (np.stack([states[year, which, each] for year in years]) for which in (0, 1))
        for way, effects in effects_of_exchange(run_on, h, c, probe, covariance, number, seed).items():
            outcome.setdefault(way, []).append(effects)
        apart.append((c[0] - c[1]) @ probe.weights)
    rise, day = float(np.median(np.concatenate(apart))), str(days[0])[5:]
    curves = []
    for way, parts in outcome.items():
        joined = {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}
        curves.append(Curve(concept, way, day, rise, basins, joined))
    return curves


def response_rows(response, draw):
    """A dict for each of HORIZONS that sums up a response (change, basin, day), the change along the probe first.

    Median over basins of the mean response with its interval, and cumulated; the typical (root mean square) response
    to random changes; the share of basins whose response is positive.
    """
    for horizon in HORIZONS:
        mean = response[:, :, :horizon].mean(axis=2)
        median, low, high, count = median_interval(mean[0], seed=draw)
        random = float(np.median(np.sqrt((mean[1:] ** 2).mean(axis=0)))) if len(mean) > 1 else np.nan
        yield {"horizon_days": horizon, "mean": median, "low": low, "high": high, "cumulated": median * horizon,
               "cumulated_low": low * horizon, "cumulated_high": high * horizon, "random_mean": random,
               "share_positive": float((mean[0] > 0).mean()), "basins": count}  # fmt: skip


def verdict(rows):
    """What the longest response of runoff says: (row, 'yes' | 'weakly' | 'no' | '–').

    Expected of any water store: more water in it, more runoff. yes: the interval of the median response lies above
    zero and the median above that of random changes; weakly: above zero, not above random changes; –: there is no
    interval, as in one basin; else no.
    """
    row = rows[(rows["response_of"] == "streamflow") & (rows["horizon_days"] == max(HORIZONS))].iloc[-1]
    if np.isnan(row["low"]):
        return row, "–"
    if row["low"] <= 0:
        return row, "no"
    return row, "yes" if row["mean"] > row["random_mean"] else "weakly"
