"""One HTML file of a run for a browser, offline: page.html filled with plotly's JavaScript and the run's series.

A series becomes whole numbers of 16 bits with its own offset and step, value = offset + step * code, so that a number
is off by at most half a step: 1/131,068 of the range of its series. The browser unpacks a basin when it is chosen.
"""

import base64
import datetime
import json
import secrets
import zlib
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from plotly.offline import get_plotlyjs

import cn_loss
from probing.cell_states import MEMORY, cell_state_statistics
from writing import plots
from writing.files import replacing

TEMPLATE = Path(__file__).with_name("page.html")
METRICS = ("NSE", "KGE", "r", "alpha-NSE", "beta-NSE")
STATES = 12  # cell states of each basin in the file, where all of them would be too many numbers
MOST_VALUES = 4_000_000  # values of cell states up to which all are written without being asked for, about 8 MB
MISSING = 65535  # code of a missing value


@dataclass
class Options:
    """What a page may hold besides."""

    every: bool = False  # every cell state of every basin, however many
    gates: bool = False  # the forget gates of the cell states
    notes: dict = field(default_factory=dict)  # basin -> short sentences, shown when it is chosen; the list marks it


def write_page(path, data, simulate, probes, counted, header, options):
    """Write the page, and give the number of cell states whose series are in it.

    `simulate` (label=…) yields the Datasets of the model with the states c and f. It is called twice: the first round
    tells which cell states carry the concepts, the second writes them, so that memory does not grow with the basins.
    `probes` are the `joint_probes` of the model, `counted` says where a target is scored (basin, target), `header` what
    the page says of the run: name, period, member and the like, of which ``comment`` stands out.
    """
    statistics = cell_state_statistics(simulate(label="cell states"), data.targets, len(data.basins))
    carried = {name: probes[name].weights * statistics.deviation for name in data.targets if name in probes}
    medians = {name: pd.DataFrame(statistics.r[name][counted[name]]).median().to_numpy() for name in data.targets}
    # Without a probe those that follow runoff, and where that is not observed those that change most.
    followed = np.nan_to_num(medians["streamflow"])
    order = in_turn(list(carried.values()) or [followed if followed.any() else statistics.deviation])
    basins, observed_in = [], 0
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", newline="\n") as file:
        template = TEMPLATE.read_text(encoding="utf-8").replace("@NONCE@", secrets.token_hex(8))
        before, rest = template.split("@PLOTLY@")
        between, after = rest.split("@DATA@")
        file.write(before + get_plotlyjs() + between)
        for part in simulate(label="page"):
            few = len(data.basins) * len(order) * part.sizes["date"] <= MOST_VALUES
            shown = order if options.every or few else order[:STATES]
            scores = scores_of(part, counted)
            for basin in part["basin"].values:
                series = part.sel(basin=basin)
                text, scales = pack(packed_series(series, shown, options.gates))
                r_text, r_scales = pack([statistics.r[name][len(basins)] for name in data.targets])
                file.write(f'<script type="text/plain" id="pack-{len(basins)}">{text} {r_text}</script>\n')
                entry = {"id": basin, "scales": scales, "r_scales": r_scales, "notes": options.notes.get(basin, [])}
                entry["attributes"] = numbers(data.attributes.loc[basin].to_numpy(float))
                entry["scores"] = {name: numbers(table.loc[basin]) for name, table in scores.items()}
                basins.append(entry | dict(zip(("lat", "lon", "area"), numbers(data.place.loc[basin]), strict=True)))
            observed_in += part["observed"].notnull().any("date").sum("basin")
        if observed_in.min() < len(basins):
            counts = ", ".join(f"{name} in {observed_in.sel(target=name).item()}" for name in data.targets)
            header = header | {"observed": f"{counts} of {len(basins)} basins"}
        colours, rain = plots.target_colours(data.targets), data.inputs[0]
        content = {"header": header | {"written": f"{datetime.date.today()}"}, "metrics": METRICS, "basins": basins}
        content |= {"first_day": str(part["date"].values[0])[:10], "days": part.sizes["date"]}
        content["precipitation"] = {"name": rain, **data.about[rain]}
        content["targets"] = [{"name": name, "colour": colours[name], **data.about[name]} for name in data.targets]
        content |= {"state_colours": plots.STATES, "remembered": MEMORY, "attributes": list(data.attributes.columns)}
        content |= {"order": [k + 1 for k in order], "states": [k + 1 for k in shown], "gates": options.gates}
        content["weights"] = {name: numbers(values) for name, values in carried.items()}
        content["median_r"] = {name: numbers(values) for name, values in medians.items()}
        content["memory"] = numbers(statistics.memory_stored_days)
        # No text in it can end the script element or open another.
        text = json.dumps(content, allow_nan=False).replace("<", "\\u003c")
        file.write(f'<script type="application/json" id="content">{text}</script>\n{after}')
    return len(shown)


def scores_of(part, counted):
    """For each target a table (basin, metric) of the basins of a part, NaN where the target is not counted."""
    scores = {}
    for name in part["target"].values:
        series, rows = part.sel(target=name), counted.loc[part["basin"].values, name]
        table = cn_loss.score(series["observed"], series["simulated"], METRICS, rows.index)
        scores[name] = table[rows].reindex(rows.index)
    return scores


def packed_series(series, shown, gates):
    """Series (series, day) of a basin: precipitation, each target observed and simulated, cell states, forget gates."""
    rows = [series["forcing"].values[:, 0]]
    for k in range(series.sizes["target"]):
        rows += [series[kind].values[:, k] for kind in ("observed", "simulated")]
    rows += [series[letter].values[:, k] for letter in ("cf" if gates else "c") for k in shown]
    return np.stack(rows)


def in_turn(importance):
    """Positions of the cell states, those of the largest magnitude first, taken in turn from each concept's ranking."""
    rankings = np.argsort(-np.abs(importance), axis=1, kind="stable")
    return list(dict.fromkeys(rankings.T.ravel().tolist()))


def pack(series):
    """Series (series, value) as text, codes of 16 bits compressed in base64, and the [offset, step] of each series."""
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
