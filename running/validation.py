"""How a member is judged while it trains: the scores of the validation period, and streamflow scaled to its volume."""

import numpy as np
import pandas as pd

import cn_loss
from running.simulation import scored_basins, simulate
from writing.messages import InputError

EPSILON = 0.1  # of the loss: this share of a target's overall standard deviation is added to every basin's own


def volume_factor(model, data, training):
    """Observed over simulated streamflow of all training days; basins count as in the loss.

    What is learned of the root of the flow, and with weights dropped, comes out 3 to 5 % too low.
    """
    spread = training.basins["std_streamflow"] + EPSILON * training.normalisation["targets"]["streamflow"][1]
    weights = (spread.to_numpy() ** -2)[:, None]
    sums = np.zeros(2)  # of observed and simulated streamflow (mm/day), weighted
    for part in simulate(model, data, training.normalisation["period"]):
        flow = part.sel(target="streamflow")
        simulated = flow["simulated"].where(flow["observed"].notnull())
        for k, series in enumerate((flow["observed"], simulated)):
            sums[k] += np.nansum(series.values * weights[part["position"]])
    observed, simulated = sums
    return float(observed / simulated) if simulated else 1.0


def validate(model, data, period, table, factor):
    """Median NSE over basins of each target in a period, streamflow times the factor if it scores better so.

    Where less runs off than in the training years, from the same precipitation, the lower volume may be the better one.
    `table` holds each basin's training-period means. Gives a dict target -> median NSE, NaN where no basin has a score,
    and the factor, 1 where streamflow is better as it was learned.
    """
    counted = scored_basins(table, data)
    parts = []
    for part in simulate(model, data, period):
        series = {name: part.sel(target=name) for name in data.targets}
        pairs = {name: (values["observed"], values["simulated"]) for name, values in series.items()}
        pairs["scaled"] = (pairs["streamflow"][0], factor * pairs["streamflow"][1])
        parts.append(pd.DataFrame({name: cn_loss.score(*pair, ["NSE"])["NSE"] for name, pair in pairs.items()}))
    scores = pd.concat(parts).set_axis(data.basins)
    scores[data.targets] = scores[data.targets].where(counted)
    medians = scores.median().to_dict()
    scaled = medians.pop("scaled")
    if medians["streamflow"] >= scaled:
        return medians, 1.0
    return medians | {"streamflow": scaled}, factor


def scale_streamflow(model, factor, normalisation):
    """Multiply what a model simulates as streamflow by a factor."""
    mean, std = normalisation["targets"]["streamflow"]
    kernel, bias = model.runoff.get_weights()
    model.runoff.set_weights([factor * kernel, factor * bias + (factor - 1) * mean / std])


def validation_score(scores, weights, period):
    """One number of the NSE of all targets, weighted as in the loss; a target below -1 counts as -1."""
    if not np.isfinite(list(scores.values())).any():
        raise InputError(f"No basin has a score from {' to '.join(period)}: choose another --valid-period.")
    return sum(weights[name] * max(value, -1.0) for name, value in scores.items() if np.isfinite(value))
