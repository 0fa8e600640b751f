"""What single cell states do over a period: how they follow each concept, and for how long they remember."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

# The memory of a cell state, as every table and the page say it.
MEMORY = "days until a state has decayed to 1/e by its forget gate, days weighted by what is stored"


@dataclass
class CellStateStatistics:
    """What single cell states do over a period."""

    r: dict  # target -> array (basin, cell state), Pearson r with what was observed
    deviation: np.ndarray  # (cell state,), standard deviation over all days
    memory_stored_days: np.ndarray  # (cell state,), MEMORY, by the mean logarithm of the forget gate weighted by |c|
    covariance: np.ndarray  # (cell state, cell state), within basins


def cell_state_statistics(parts, targets, basins):
    """`CellStateStatistics` of what `simulation.simulate` yields with the states c and f.

    `targets` are the names of what was observed, `basins` is the number of basins in all parts.
    """
    r = {}
    for part in parts:
        states, forget = part["c"], part["f"].values
        number = part.sizes["cell_state"]
        if not r:
            # Sums over days: 1, c, c2, |c|, |c| log f of each state; and products of the states within basins.
            sums, products = np.zeros((5, number)), np.zeros((number, number))
            r = {name: np.full((basins, number), np.nan) for name in targets}
        loss = np.log(np.maximum(forget, 1e-6))
        for b, days in enumerate(part["complete"].values):
            c, log_f = states.values[b, days].astype(np.float64), loss[b, days]
            sums += np.stack([v.sum(0) for v in (np.ones_like(c), c, c**2, abs(c), abs(c) * log_f)])
            c -= c.mean(0) if len(c) else 0
            products += c.T @ c
        for name in targets:
            r[name][part["position"]] = correlations(states, part["observed"].sel(target=name))
    days, total, squares, stored, stored_loss = sums
    deviation = np.sqrt(np.maximum(squares / days - (total / days) ** 2, 0))
    memory = memory_days(stored_loss / np.maximum(stored, 1e-9))
    return CellStateStatistics(r, deviation, memory, products / days[0])


def correlations(states, target):
    """Pearson r (basin, cell_state) of each cell state with a target when observed; NaN where one is constant.

    From DataArrays (basin, date, cell_state) and (basin, date).
    """
    return xr.corr(states.astype(np.float64), target.astype(np.float64), dim="date").transpose("basin", "cell_state")


def memory_days(mean_log_forget):
    """Days after which a state has decayed to 1/e, from the mean logarithm of its forget gate: −1 / mean(log f)."""
    return -1 / np.minimum(mean_log_forget, -1e-9)
