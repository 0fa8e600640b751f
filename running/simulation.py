"""A model run over every basin's whole sequence, in batches, and which basins a target is scored in."""

import math
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from libs_tf import StateModel
from reading.concepts import is_snow, millimetres
from reading.prepared import parse_day, parse_period
from running.outside import RUNAWAY
from writing.messages import basin_count, some

SPINUP_DAYS = 365  # simulated before a period and not scored, so that the states forget their zero start
BATCH_BYTES = 96 * 2**20  # what the states and gates of one batch of basins may take
SNOW_MM = 5.0  # a basin with less mean snow than this has no snow score


def scored_basins(table, data):
    """Which basins each target is scored in: snow where its training-period mean exceeds 5 mm, all else everywhere.

    `table` is the run's basins.csv; a basin that is not in it is judged by its mean over its whole record.

    Returns
    -------
    dict of array (basin,) of bool
        One for each target, in the order of the basins of `data`.
    """
    scored = {}
    for k, name in enumerate(data.targets):
        scored[name] = np.ones(len(data.basins), bool)
        if is_snow(data.about[name]):
            mean = table[f"mean_{name}"].reindex(data.basins).to_numpy(float, copy=True)
            for b in np.flatnonzero(np.isnan(mean)):
                record = data.days(b, data.first_days[b], int(data.lengths[b]))[:, len(data.inputs) + k]
                mean[b] = record[np.isfinite(record)].mean() if np.isfinite(record).any() else np.nan
            scored[name] = ~(mean * millimetres(data.about[name]["units"]) <= SNOW_MM)
    return scored


@dataclass
class Simulated:
    """What a model gave for some basins over a period, without the spin-up days; in the field's units."""

    basins: slice  # of the data
    dates: np.ndarray  # (day,) of datetime64[D]
    forcing: np.ndarray  # (basin, day, input), NaN where missing
    observed: np.ndarray  # (basin, day, target), NaN where missing and where an input is
    valid: np.ndarray  # (basin, day) of bool: whether every input is there
    spinup: np.ndarray  # (basin,): number of days before the period that were simulated with every input
    prediction: np.ndarray  # (basin, day, target), NaN where not valid
    states: dict  # of arrays (basin, day, cell state): h and c, with gates also i, f, g, o; empty if not asked for
    runaway: np.ndarray | None = None  # (basin,) of bool: whether a cell state ran away; None if it was not watched


class ForcingDays:
    """On how many days from `start` to `end` the basins have all forcing, counted while they are simulated."""

    def __init__(self, basins, start, end):
        self.basins, self.start, self.end = basins, start, end
        self.days, self.spinup = np.zeros((2, len(basins)), int)

    def count(self, part, positions):
        """Count what was simulated of the basins at these positions; a second time it changes nothing."""
        self.days[positions], self.spinup[positions] = part.valid.sum(axis=1), part.spinup

    def report(self, spinup_days=SPINUP_DAYS):
        """The number of days in words, and the basins whose spin-up is not whole."""
        first, last = parse_period(self.start, self.end)
        asked = len(self.basins) * (int((last - first).astype(int)) + 1)
        words = f"{self.start} to {self.end}: all forcing on {self.days.sum():,} of {asked:,} basin-days"
        if short := [basin for basin, days in zip(self.basins, self.spinup, strict=True) if days < spinup_days]:
            words += f"; less than {spinup_days} days of spin-up before it in {basin_count(len(short))}: {some(short)}"
        return words


def basins_at_once(model, data, dates):
    """How many basins are processed in one batch; without states the LSTM still holds its states and gates."""
    size = max(1, math.floor(BATCH_BYTES / (len(dates) * model.units * 4 * 8)))
    return math.ceil(len(data.basins) / math.ceil(len(data.basins) / size))


def simulate(model, data, start, end, states=False, gates=False, progress=None, begin=None, at_once=None, watch=False):
    """Run a model over every basin's whole sequence from zero states or given ones, in batches of basins.

    Parameters
    ----------
    model : ConceptLSTM
    data : prepared.Prepared
    start, end : str or datetime64[D]
        First and last day of the period. Up to SPINUP_DAYS days before it are simulated too and cut off.
    states, gates : bool
        Give hidden and cell states, and the four gates, as well.
    progress : str, optional
        Label of a progress bar.
    begin : array (2, basin, cell state), optional
        h and c at the end of the day before `start`, from `state_files.read_state`; there is no spin-up then.
    at_once : int, optional
        Number of basins in a batch; if not given, as many as BATCH_BYTES allow.
    watch : bool
        Tell whether cell states run away, as is always told with `states`.

    Yields
    ------
    Simulated
    """
    dates = data.dates(start, end, SPINUP_DAYS if begin is None else 0)
    before = int((dates < parse_day(start)).sum())
    attributes = data.attributes.to_numpy(np.float32)
    shown = states or gates or begin is not None
    runner = StateModel(model, gates=gates, states=shown) if shown or watch else model
    basins, size = len(data.basins), at_once or basins_at_once(model, data, dates)
    h, c = np.zeros((2, basins, model.units), np.float32) if begin is None else begin
    for first in tqdm(range(0, basins, size), desc=progress, disable=None if progress else True, unit="batch"):
        part = slice(first, min(first + size, basins))
        forcing, observed = data.read(part, dates)
        inputs = {"forcing": forcing, "attributes": attributes[part]}
        if runner is model:
            out = {"prediction": np.array(model.predict_on_batch(inputs))}
        else:
            inputs |= {"h0": h[part], "c0": c[part]}
            out = {k: np.array(v) for k, v in runner.predict_on_batch(inputs).items()}
        runaway = None if runner is model else out.pop("largest") > RUNAWAY
        valid = np.isfinite(forcing).all(axis=2)
        out["prediction"][~valid] = np.nan
        spinup, kept = valid[:, :before].sum(axis=1), slice(before, None)
        forcing, observed, valid = forcing[:, kept], observed[:, kept], valid[:, kept]
        out = {name: values[:, kept] for name, values in out.items()}
        yield Simulated(part, dates[kept], forcing, observed, valid, spinup, out.pop("prediction"), out, runaway)
