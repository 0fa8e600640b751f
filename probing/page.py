"""One HTML file of a run for a browser, offline: page.html filled with plotly's JavaScript and the run's series.

A series becomes whole numbers of 16 bits with its own offset and step, value = offset + step * code, so that a number
is off by at most half a step: 1/131,068 of the range of its series. The browser unpacks a basin when it is chosen.
"""

import base64
import datetime
import json
import secrets
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
from plotly.offline import get_plotlyjs

import cn_loss
from probing.cell_states import MEMORY, cell_state_statistics
from writing.files import replacing
from writing.plots import STATES as STATE_COLOURS
from writing.plots import target_colours

TEMPLATE = Path(__file__).with_name("page.html")
METRICS = ("NSE", "KGE", "r", "alpha-NSE", "beta-NSE")
STATES = 12  # cell states of each basin in the file, where all of them would be too many numbers
MOST_VALUES = 4_000_000  # values of cell states up to which all are written without being asked for, about 8 MB
MISSING = 65535  # code of a missing value


def write_page(path, data, simulate, probes, counted, header, every=False, gates=False, notes=None):
    """Write the page, and give the number of cell states whose series are in it.

    Parameters
    ----------
    path : path of the ``.html``
    data : prepared.Prepared
    simulate : function (str) -> iterable of simulation.Simulated
        Runs the model with states and gates; called twice, with the label of its progress bar. The first round tells
        which cell states carry the concepts, the second writes them, so that memory does not grow with the basins.
    probes : dict concept -> probes.Probe
        The layer that was trained with the model; empty for a run of runoff alone.
    counted : dict target -> array (basin,) of bool
        Where a target is scored.
    header : dict str -> str
        What the page says of the run: name, period, member and the like; ``comment`` stands out.
    every : bool, default False
        Write every cell state of every basin, however many.
    gates : bool, default False
        Write the forget gates of these cell states too.
    notes : dict basin -> list of str, optional
        Short sentences on single basins, shown when they are chosen; the list marks these basins.
    """
    statistics = cell_state_statistics(simulate("cell states"), data.targets, len(data.basins))
    carried = {name: probes[name].weights * statistics.deviation for name in data.targets if name in probes}
    medians = {name: pd.DataFrame(statistics.r[name][counted[name]]).median().to_numpy() for name in data.targets}
    # Without a probe those that follow runoff, and where that is not observed those that change most.
    followed = np.nan_to_num(medians["streamflow"])
    order = in_turn(list(carried.values()) or [followed if followed.any() else statistics.deviation])
    colours, basins, observed_in = target_colours(data.targets), [], dict.fromkeys(data.targets, 0)
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        template = TEMPLATE.read_text(encoding="utf-8").replace("@NONCE@", secrets.token_hex(8))
        before, rest = template.split("@PLOTLY@")
        between, after = rest.split("@DATA@")
        file.write(before + get_plotlyjs() + between)
        for part in simulate("page"):
            few = len(data.basins) * len(order) * len(part.dates) <= MOST_VALUES
            shown = order if every or few else order[:STATES]
            scores = {}  # a table for each target, NaN where it is not scored
            for k, name in enumerate(data.targets):
                observed, predicted = part.observed[..., k], part.prediction[..., k]
                observed_in[name] += int(np.isfinite(observed).any(axis=1).sum())
                scores[name] = cn_loss.score(observed, predicted, METRICS, data.basins[part.basins])
                scores[name].loc[~counted[name][part.basins]] = np.nan
            for b, basin in enumerate(data.basins[part.basins]):
                text, scales = pack(series_of(part, b, shown, gates))
                r_text, r_scales = pack([statistics.r[name][len(basins)] for name in data.targets])
                file.write(f'<script type="text/plain" id="pack-{len(basins)}">{text} {r_text}</script>\n')
                entry = {"id": basin, "scales": scales, "r_scales": r_scales, "notes": (notes or {}).get(basin, [])}
                entry["attributes"] = numbers(data.attributes.loc[basin].to_numpy(float))
                entry["scores"] = {name: numbers(table.loc[basin]) for name, table in scores.items()}
                basins.append(entry | dict(zip(("lat", "lon", "area"), numbers(data.place.loc[basin]), strict=True)))
        if min(observed_in.values()) < len(basins):
            header |= {"observed": ", ".join(f"{name} in {number}" for name, number in observed_in.items())
                       + f" of {len(basins)} basins"}  # fmt: skip
        content = {
            "header": header | {"written": f"{datetime.date.today()}"},
            "first_day": str(part.dates[0]), "days": len(part.dates),
            "precipitation": {"name": data.inputs[0], **data.about[data.inputs[0]]},
            "targets": [{"name": name, "colour": colours[name], **data.about[name]} for name in data.targets],
            "state_colours": STATE_COLOURS, "remembered": MEMORY,
            "metrics": METRICS, "attributes": list(data.attributes.columns), "basins": basins,
            "order": [k + 1 for k in order], "states": [k + 1 for k in shown], "gates": gates,
            "weights": {name: numbers(values) for name, values in carried.items()},
            "median_r": {name: numbers(values) for name, values in medians.items()},
            "memory": numbers(statistics.memory_stored_days),
        }  # fmt: skip
        # No text in it can end the script element or open another.
        text = json.dumps(content, allow_nan=False).replace("<", "\\u003c")
        file.write(f'<script type="application/json" id="content">{text}</script>\n{after}')
    return len(shown)


def series_of(part, b, shown, gates):
    """Series (series, day) of a basin: precipitation, each target observed and simulated, cell states, forget gates."""
    columns = [part.forcing[b, :, :1]]
    for k in range(part.observed.shape[2]):
        columns += [part.observed[b, :, k : k + 1], part.prediction[b, :, k : k + 1]]
    columns += [part.states[name][b][:, shown] for name in ("cf" if gates else "c")]
    return np.concatenate(columns, axis=1).T


def in_turn(importance):
    """Positions of the cell states, those of the largest magnitude first, taken in turn from each concept's ranking."""
    rankings = np.argsort(-np.abs(importance), axis=1, kind="stable")
    return list(dict.fromkeys(rankings.T.ravel().tolist()))


def pack(series):
    """Series (series, value), NaN where missing, as text: codes of 16 bits, compressed, in base64.

    Returns
    -------
    text : str
    scales : list of [offset, step]
        value = offset + step * code; code 65535 is missing.
    """
    series = np.asarray(series, np.float64)
    low = np.where(np.isnan(series), np.inf, series).min(axis=1)
    high = np.where(np.isnan(series), -np.inf, series).max(axis=1)
    low, high = np.where(low <= high, (low, high), 0.0)  # nothing is known
    step = (high - low) / (MISSING - 1)
    codes = np.rint((series - low[:, None]) / np.where(step > 0, step, 1.0)[:, None])
    codes = np.where(np.isnan(series), MISSING, codes).astype("<u2")
    # Changes from one day to the next, and all low bytes before all high bytes, make the file smaller.
    changes = np.diff(codes, axis=1, prepend=np.uint16(0)).astype("<u2")
    planes = np.ascontiguousarray(changes.reshape(-1, 1).view(np.uint8).T)
    text = base64.b64encode(zlib.compress(planes.tobytes(), 9)).decode()
    return text, np.stack([low, step], axis=1).tolist()


def numbers(values):
    """Numbers for JSON, to five digits; None where there is none."""
    return [float(f"{value:.5g}") if np.isfinite(value) else None for value in values]
