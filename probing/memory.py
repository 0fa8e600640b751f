"""Is it really the concept? What LSTM_probe.py does with a trained model beyond reading it, some basins at a time.

Observations are put back into the cell states, a wet and a dry year exchange their states, and an independent observer
is called in. The arithmetic is in `interventions` and `probes`.
"""

import numpy as np

from cn_loss import score
from probing import interventions
from probing.interventions import HORIZONS, SHORTEST, TOGETHER, Curve, random_changes, runner_from, smallest_change
from probing.probes import shift_years
from reading.windows import parse_day
from running.simulation import simulate
from writing.files import InputError

# What of the missing water is put back, and every how many days: all are tried in the validation years.
SHARES, EVERY = (0.03, 0.1, 0.3, 1.0), (2, 7, 30)
MELT = (3, 4, 5, 6, 7)  # months, March to July; half a year later in the south
GROUP = 100  # basins at a time


def independent(observer, data, dates):
    """The series of a concept as an independent observer has it.

    Parameters
    ----------
    observer, data : windows.Prepared
        Data of the same basins: the observer's, with the name of one concept of `data`, and those of the model.
    dates : array (day,) of datetime64[D]

    Returns
    -------
    name : str
    values : array (basin, day), in the unit of the concept

    Raises
    ------
    InputError
        If `data` has no such concept, its unit is another one, or the observer has no day of these.
    """
    name = observer.targets[1]
    if name not in data.targets[1:]:
        raise InputError(f"--observer is of {name}: give it the name of a concept, {', '.join(data.targets[1:])}.")
    if observer.about[name]["units"] != data.about[name]["units"]:
        raise InputError(
            f"--observer is in {observer.about[name]['units']}, but {name} in {data.about[name]['units']}."
        )
    values = observer.read(slice(None), dates)[1][..., 1]
    if not np.isfinite(values).any():
        raise InputError(f"--observer has no value from {dates[0]} to {dates[-1]}.")
    return name, values


def exchange_days(concept, month_and_day, names, dates):
    """The day of every year at whose end states are exchanged, where the record goes on long enough after it.

    Raises
    ------
    InputError
        If the concept is none of `names`, there is no such day, or there are not two.
    """
    if concept not in names:
        raise InputError(f"There is no concept {concept} for --memory: choose from {', '.join(names)}.")
    years = np.unique(dates.astype("datetime64[Y]"))
    days = np.array([parse_day(f"{year}-{month_and_day}") for year in years])
    days = days[(days >= dates[0]) & (days + max(HORIZONS) <= dates[-1])]
    if len(days) < 2:
        raise InputError(f"{dates[0]} to {dates[-1]} has no two years to exchange states of on {month_and_day}.")
    return days


def states_at(model, data, day):
    """h and c of every basin at the end of a day, after a spin-up year: array (2, basin, unit)."""
    parts = simulate(model, data, str(day), str(day), states=True)
    return np.concatenate([np.stack([part.states[name][:, -1] for name in "hc"]) for part in parts], axis=1)


def put_back(model, data, basins, concept, probe, covariance, number, seed, choice, period):
    """NSE of runoff with observations put back: how much and how often is what was best in the validation years.

    Parameters
    ----------
    model : libs_tf.ConceptLSTM
    data : windows.Prepared
    basins : array of int
        Positions of the basins in which it is done.
    concept : str
    probe : Probe
    covariance : array (unit, unit)
    number, seed : int
        Of random directions.
    choice, period : pair of str
        Validation period, and the one that is scored.

    Returns
    -------
    tried : dict (kind of change, days between, share) -> array (2, basin)
        Gain in NSE in the validation years, over all days and in the months of melt.
    scored : dict (kind of change, days between, share) -> array (3 + number, 2, basin)
        NSE in the scored period with nothing put back, with what was observed, with what was observed in other years,
        and with what was observed put back along random directions, which leave the reading as it is.
    """
    from libs_tf import StateModel

    runner, k = StateModel(model), data.targets.index(concept)

    def scores(span, gains, every, of_other_years=()):
        dates, found = data.dates(*span), []
        month = dates[1:].astype("datetime64[M]").astype(int) % 12 + 1
        for first in range(0, len(basins), GROUP):
            some = data.select(basins[first : first + GROUP])
            forcing, targets = some.read(slice(None), dates)
            observed = np.stack([targets[..., k]] * len(gains))
            observed[list(of_other_years)] = shift_years(targets[..., k])
            begin, attributes = states_at(model, some, dates[0]), some.attributes.to_numpy(np.float32)
            runoff = interventions.put_back(
                runner, forcing[:, 1:], attributes, *begin, probe, gains, observed[..., 1:], every
            )
            south = some.place["lat"].to_numpy()[:, None] < 0
            melt = np.isin((month - 1 + 6 * south) % 12 + 1, MELT)
            flows = [np.where(days, targets[:, 1:, 0], np.nan) for days in (True, melt)]
            found.append([[score(flow, one, ["NSE"])["NSE"] for flow in flows] for one in runoff])
        return np.concatenate(found, axis=2)

    tried, scored = {}, {}
    for kind, used in ((SHORTEST, None), (TOGETHER, covariance)):
        change = smallest_change(probe.weights, 1.0, used)
        for every in EVERY:
            nse = scores(choice, np.outer([0, *SHARES], change), every)
            tried |= {(kind, every, share): gain for share, gain in zip(SHARES, nse[1:] - nse[0], strict=True)}
        best = max((key for key in tried if key[0] == kind), key=lambda key: np.nanmedian(tried[key][0]))
        change = best[2] * change
        random = random_changes(probe.weights, np.linalg.norm(change), number, seed, used)
        scored[best] = scores(period, np.vstack([0 * change, change, change, random]), best[1], of_other_years=[2])
    return tried, scored


def exchange(model, data, basins, concept, probe, covariance, number, seed, days):
    """What follows if the year with most of a concept on a day and the year with least exchange their states then.

    Parameters
    ----------
    model, data, basins, concept, probe, covariance, number, seed
        As for `put_back`.
    days : array of datetime64[D]
        From `exchange_days`.

    Returns
    -------
    list of interventions.Curve
        One for each key of `interventions.exchange`.
    """
    from libs_tf import StateModel

    runner, outcome, apart = StateModel(model), {}, []
    observed = np.stack([data.read(basins, day[None])[1][:, 0, data.targets.index(concept)] for day in days])
    basins, observed = (values[..., np.isfinite(observed).all(axis=0)] for values in (basins, observed))
    order = np.argsort(observed, axis=0)
    if not len(basins):
        raise InputError(f"No basin has {concept} on all of the days {', '.join(map(str, days))}.")
    for first in range(0, len(basins), GROUP):
        some = data.select(basins[first : first + GROUP])
        states = np.stack([states_at(model, some, day) for day in days])  # (year, 2, basin, unit)
        each = np.arange(len(some.basins))
        ahead = np.stack([some.read(slice(None), day + np.arange(1, max(HORIZONS) + 1))[0] for day in days])
        run_on, h, c = [], [], []
        for year in order[[-1, 0], first : first + GROUP]:  # the wet and the dry year of each basin
            attributes = some.attributes.to_numpy(np.float32)
            run_on.append(runner_from(runner, ahead[year, each], attributes, {concept: probe}))
            h.append(states[year, 0, each])
            c.append(states[year, 1, each])
        found = interventions.exchange(run_on, np.stack(h), np.stack(c), probe, covariance, number, seed)
        for way, effects in found.items():
            outcome.setdefault(way, []).append(effects)
        apart.append((c[0] - c[1]) @ probe.weights)
    rise, day = float(np.median(np.concatenate(apart))), str(days[0])[5:]
    joined = {way: {name: np.concatenate([part[name] for part in parts], axis=1) for name in parts[0]}
              for way, parts in outcome.items()}  # fmt: skip
    return [Curve(concept, way, day, rise, basins, effects) for way, effects in joined.items()]
