"""What happens if cell states are changed: changes that raise a reading, observations put back, years exchanged.

A change is set against random changes of the same length. Arrays in, arrays out:

    change = smallest_change(probe.weights, 10.0)              # 10 mm more in the reading
    outcome = responses(runner_from(StateModel(model), forcing, attributes, {"swe": probe}), h, c, change[None])
"""

from dataclasses import dataclass

import numpy as np

from probing.probes import median_interval

HORIZONS = (1, 7, 30, 90)  # days over which the response to a change of the states is averaged
SHORTEST, TOGETHER = "shortest change", "units moving together"  # kinds of changes
YEARS, WHOLE, PART, REST = "state and weather", "whole state", "probe's part", "the rest"  # of two years, exchanged


def smallest_change(weights, rise, covariance=None):
    """The smallest change of the features that raises the reading by `rise`.

    Without a covariance the shortest one, weights · rise / |weights|². With the covariance S of the features the
    smallest by the Mahalanobis distance, S weights · rise / (weights · S weights): the features move as they are used
    to move together when the reading rises (the pattern of Haufe et al. 2014, doi:10.1016/j.neuroimage.2013.10.067).

    Parameters
    ----------
    weights : array (feature,)
    rise : float, in the unit of the reading
    covariance : array (feature, feature), optional

    Returns
    -------
    array (feature,)
    """
    direction = weights if covariance is None else covariance @ weights
    return direction * (rise / (weights @ direction))


def random_changes(weights, length, number, seed=0, covariance=None):
    """Changes of a given length in random directions that leave the reading as it is.

    Parameters
    ----------
    weights : array (feature,)
        Of the probe.
    length : float
    number : int
    seed : int, default 0
    covariance : array (feature, feature), optional
        Draw directions as the features are used to move together; without it every direction is as likely.

    Returns
    -------
    array (number, feature), each row orthogonal to `weights`
    """
    drawn = np.random.default_rng(seed).standard_normal((number, len(weights)))
    if covariance is not None:
        values, vectors = np.linalg.eigh(covariance)
        drawn = (drawn * np.sqrt(np.maximum(values, 0))) @ vectors.T
    drawn -= np.outer(drawn @ weights, smallest_change(weights, 1.0, covariance))
    return drawn * (length / np.linalg.norm(drawn, axis=1, keepdims=True))


def responses(run_on, h, c, changes):
    """What a change of the cell states does to everything that follows.

    Parameters
    ----------
    run_on : function (h, c) -> dict of array (basin, day)
        Lets the model run on from these states.
    h, c : array (basin, unit)
        States at the end of a day. Only c is changed; h follows from the next day on.
    changes : array (change, unit)

    Returns
    -------
    dict of array (change, basin, day)
        Changed minus unchanged.
    """
    plain = run_on(h, c)
    changed = [run_on(h, c + change.astype(c.dtype)) for change in changes]
    return {name: np.stack([outcome[name] - plain[name] for outcome in changed]) for name in plain}


def runner_from(runner, forcing, attributes, readers):
    """Function (h, c) -> runoff (mm/day) and every reading, (basin, day), over the days of `forcing`.

    Parameters
    ----------
    runner : libs_tf.StateModel
    forcing : array (basin, day, input)
    attributes : array (basin, attribute)
    readers : dict concept -> Probe
    """

    def run_on(h, c):
        inputs = {"forcing": forcing, "attributes": attributes, "h0": h, "c0": c}
        out = {key: np.asarray(value, np.float64) for key, value in runner.predict_on_batch(inputs).items()}
        read = {name: out["c"] @ probe.weights + probe.intercept for name, probe in readers.items()}
        return {"streamflow": out["prediction"][..., 0]} | read

    return run_on


def changes_that_raise(probe, rise, covariance, number, seed):
    """Changes of the states by kind: the one that raises the reading first, then random ones of the same length.

    Returns
    -------
    dict kind -> array (1 + number, unit)
    """
    changes = {}
    for kind, used in ((SHORTEST, None), (TOGETHER, covariance)):
        change = smallest_change(probe.weights, rise, used)
        random = random_changes(probe.weights, np.linalg.norm(change), number, seed, used)
        changes[kind] = np.concatenate([change[None], random])
    return changes


@dataclass
class Curve:
    """Mean responses, over the days on which states were changed in a season, to one kind of change.

    Attributes
    ----------
    concept, kind, season : str
        What was raised, by which change, and when.
    rise : float
        In the unit of the concept.
    basins : array
        Positions of the basins.
    responses : dict name -> array (change, basin, day)
        Of streamflow (mm/day) and every reading; the change along the probe first, then the random ones.
    """

    concept: str
    kind: str
    season: str
    rise: float
    basins: np.ndarray
    responses: dict


def curves_by_season(concept, rise, changes, outcome, basins, judged, latitudes, starts):
    """Mean responses over all start days and, for snow, whose water comes out at the next melt, over late winter.

    Parameters
    ----------
    concept : str
    rise : float
    changes : dict
        From `changes_that_raise`.
    outcome : dict name -> array (change, basin, start, day)
        Responses, the changes of all kinds one after the other.
    basins, judged, latitudes : array (basin,)
        Positions; whether the concept counts there; degrees north.
    starts : array (start,) of datetime64, or None
        Days on which the states were changed, if the concept is snow.

    Returns
    -------
    list of Curve
    """
    number = next(iter(outcome.values())).shape[2]
    seasons = {"all": np.ones((len(basins), number), bool)}
    if starts is not None:
        month = starts.astype("datetime64[M]").astype(int) % 12 + 1
        south = latitudes[:, None] < 0
        seasons["late winter"] = np.where(south, np.isin(month, (8, 9, 10)), np.isin(month, (2, 3, 4)))
    curves = []
    for season, chosen in seasons.items():
        keep = np.flatnonzero(judged & chosen.any(axis=1))
        if not len(keep):
            continue
        weight = chosen[keep] / chosen[keep].sum(axis=1, keepdims=True)
        first = 0
        for kind, change in changes.items():
            rows = slice(first, first + len(change))
            first += len(change)
            means = {name: np.einsum("kbsd,bs->kbd", v[rows][:, keep], weight) for name, v in outcome.items()}
            curves.append(Curve(concept, kind, season, rise, basins[keep], means))
    return curves


def put_back(runner, forcing, attributes, h, c, probe, gains, observed, every):
    """Runoff if an observed concept is put back into the memory: every few days c += gain (observed − read).

    Parameters
    ----------
    runner : libs_tf.StateModel
    forcing : array (basin, day, input)
    attributes : array (basin, attribute)
    h, c : array (basin, unit)
        States before the first day.
    probe : Probe
        Reads the concept.
    gains : array (case, unit)
        Change of the states for one unit of the concept, in each of the cases, which run side by side; 0 for none.
    observed : array (case, basin, day)
        In the unit of the concept; nothing is put back where it is NaN.
    every : int
        Days between two updates, each made at the end of a day.

    Returns
    -------
    array (case, basin, day), mm/day
        The runoff of a day knows the observations of the days before it alone.
    """
    cases, basins, days = observed.shape
    h, c, attributes = (np.tile(values, (cases, 1)) for values in (h, c, attributes))
    runoff = np.empty(observed.shape)
    for first in range(0, days, every):
        span = slice(first, min(first + every, days))
        inputs = {"forcing": np.tile(forcing[:, span], (cases, 1, 1)), "attributes": attributes, "h0": h, "c0": c}
        out = {name: np.asarray(values) for name, values in runner.predict_on_batch(inputs).items()}
        runoff[..., span] = out["prediction"][..., 0].reshape(cases, basins, -1)
        h, c = out["h"][:, -1], out["c"][:, -1].reshape(cases, basins, -1)
        missing = np.nan_to_num(observed[..., span.stop - 1] - c @ probe.weights - probe.intercept)
        c = (c + missing[..., None] * gains[:, None]).astype(h.dtype).reshape(h.shape)
    return runoff


def exchange(run_on, h, c, probe, covariance, number, seed):
    """What the states of a wet year do in place of those of a dry year, in the weather of either.

    Parameters
    ----------
    run_on : pair of function (h, c) -> dict of array (basin, day)
        Lets the model run on in the weather of the wet and of the dry year.
    h, c : array (2, basin, unit)
        States of the wet and of the dry year on the same day of the year.
    probe : Probe
        Its part of the difference of two states raises the reading by the difference of their readings, in each of the
        ways of `changes_that_raise`; the rest, with h, is what is left.
    covariance : array (unit, unit)
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


def response_rows(response, draw):
    """Summary of a response (change, basin, day), the change along the probe first, over each of HORIZONS.

    Yields
    ------
    dict
        Median over basins of the mean response with its interval, and cumulated; the typical (root mean square)
        response to random changes; the share of basins whose response is positive.
    """
    for horizon in HORIZONS:
        mean = response[:, :, :horizon].mean(axis=2)
        median, low, high, count = median_interval(mean[0], seed=draw)
        random = float(np.median(np.sqrt((mean[1:] ** 2).mean(axis=0)))) if len(mean) > 1 else np.nan
        cumulated = {"cumulated": median * horizon, "cumulated_low": low * horizon, "cumulated_high": high * horizon}
        share = float((mean[0] > 0).mean())
        yield {"horizon_days": horizon, "mean": median, "low": low, "high": high, **cumulated,
               "random_mean": random, "share_positive": share, "basins": count}  # fmt: skip


def verdict(rows):
    """What the longest response of runoff says: (row, 'yes' | 'weakly' | 'no').

    Expected of any water store: more water in it, more runoff. yes: the interval of the median response lies above
    zero and the median above that of random changes; weakly: above zero, not above random changes; else no.
    """
    row = rows[(rows["response_of"] == "streamflow") & (rows["horizon_days"] == max(HORIZONS))].iloc[-1]
    if not row["low"] > 0:
        return row, "no"
    return row, "yes" if row["mean"] > row["random_mean"] else "weakly"
