"""A model run over every basin's whole sequence, in batches of basins, and which basins a target is scored in."""

import math

import numpy as np
import pandas as pd
import xarray as xr
from tqdm import tqdm

from libs_tf import StateModel
from reading.concepts import is_snow, millimetres
from reading.prepared import parse_day
from writing.messages import basin_count, some

SPINUP_DAYS = 365  # simulated before a period and not scored, so that the states forget their zero start
BATCH_BYTES = 96 * 2**20  # what the states and gates of one batch of basins may take
SNOW_MM = 5.0  # a basin with less mean snow than this has no snow score


def simulate(model, data, period, states="", begin=None, label=None):
    """Run a model over every basin's whole sequence from zero states or given ones, in batches of basins.

    Up to SPINUP_DAYS days before the `period` (start, end) of `data` (Prepared) are simulated too and cut off. `states`
    are the letters of the states to give: h and c, the gates i, f, g and o. `begin` has h and c (basin, cell_state) at
    the end of the day before the period, for all basins; there is no spin-up then. `label` is that of a progress bar.

    Yields
    ------
    xarray.Dataset
        forcing (basin, date, input); observed and simulated (basin, date, target) in the field's units, NaN where an
        input is missing; complete (basin, date), whether every input is there; spinup_days (basin) simulated with every
        input before the period; the states (basin, date, cell_state), no unit. The coordinate position (basin) is the
        basin's place in `data`.
    """
    dates = data.dates(*period, SPINUP_DAYS if begin is None else 0)
    before = int((dates < parse_day(period[0])).sum())
    attributes = data.attributes.to_numpy(np.float32)
    with_states = bool(states) or begin is not None
    runner = StateModel(model, gates=bool(set(states) & set("ifgo"))) if with_states else model
    h, c = np.zeros((2, len(data.basins), model.units), np.float32)
    if begin is not None:
        h, c = (begin[name].sel(basin=data.basins).values for name in "hc")
    size = basins_at_once(model, data, dates)
    for first in tqdm(range(0, len(data.basins), size), label, disable=None if label else True, unit="batch"):
        positions = np.arange(first, min(first + size, len(data.basins)))
        forcing, observed = data.read(positions, dates)
        inputs = {"forcing": forcing, "attributes": attributes[positions]}
        if with_states:
            inputs |= {"h0": h[positions], "c0": c[positions]}
            output = {name: np.array(values) for name, values in runner.predict_on_batch(inputs).items()}
        else:
            output = {"prediction": np.array(model.predict_on_batch(inputs))}
        complete = np.isfinite(forcing).all(axis=2)
        simulated = np.full_like(observed, np.nan)  # of targets that the model did not learn, as probes look for, too
        for k, name in enumerate(data.targets):
            if name in model.targets:
                predicted = output["prediction"][..., model.targets.index(name)]
                simulated[..., k] = np.where(complete, predicted, np.nan)
        series = {
            "forcing": (("basin", "date", "input"), forcing[:, before:]),
            "observed": (("basin", "date", "target"), observed[:, before:]),
            "simulated": (("basin", "date", "target"), simulated[:, before:]),
            "complete": (("basin", "date"), complete[:, before:]),
            "spinup_days": ("basin", complete[:, :before].sum(axis=1)),
        }
        series |= {name: (("basin", "date", "cell_state"), output[name][:, before:]) for name in states}
        coordinates = {
            "basin": [data.basins[position] for position in positions],
            "date": dates[before:].astype("datetime64[ns]"),
            "input": data.inputs,
            "target": data.targets,
            "position": ("basin", positions),
        }
        coordinates |= {"cell_state": np.arange(1, model.units + 1)} if states else {}
        yield xr.Dataset(series, coordinates)


def basins_at_once(model, data, dates):
    """How many basins are processed in one batch; without states the LSTM still holds its states and gates."""
    size = max(1, math.floor(BATCH_BYTES / (len(dates) * model.units * 4 * 8)))
    return math.ceil(len(data.basins) / math.ceil(len(data.basins) / size))


def scored_basins(table, data):
    """Which basins each target is scored in: snow where its training-period mean exceeds 5 mm, all else everywhere.

    `table` is the run's basins.csv; a basin that is not in it is judged by its mean over its whole record. A DataFrame
    (basin, target) of bool.
    """
    scored = pd.DataFrame(True, index=data.basins, columns=data.targets)
    for k, name in enumerate(data.targets):
        if is_snow(data.about[name]):
            mean = table[f"mean_{name}"].reindex(data.basins).to_numpy(float, copy=True)
            for b in np.flatnonzero(np.isnan(mean)):
                record = data.days(b, data.first_days[b], int(data.lengths[b]))[:, len(data.inputs) + k]
                mean[b] = record[np.isfinite(record)].mean() if np.isfinite(record).any() else np.nan
            scored[name] = ~(mean * millimetres(data.about[name]["units"]) <= SNOW_MM)
    return scored


def forcing_report(data, period, spinup=True):
    """On how many days of a period the basins have all forcing, and in which the days of spin-up are not whole."""
    dates = data.dates(*period, SPINUP_DAYS if spinup else 0)
    inside = dates >= parse_day(period[0])
    days, short = 0, []
    for position, basin in enumerate(data.basins):
        complete = np.isfinite(data.read([position], dates)[0][0]).all(axis=1)
        days += complete[inside].sum()
        if spinup and complete[~inside].sum() < SPINUP_DAYS:
            short.append(basin)
    asked = len(data.basins) * len(pd.date_range(*period))
    report = f"{period[0]} to {period[1]}: all forcing on {days:,} of {asked:,} basin-days"
    if short:
        report += f"; less than {SPINUP_DAYS} days of spin-up before it in {basin_count(len(short))}: {some(short)}"
    return report
