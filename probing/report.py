"""What LSTM_probe.py shows of its scores, cell states and interventions: tables and figures."""

import numpy as np
import pandas as pd

from probing.cell_states import MEMORY
from probing.interventions import HORIZONS, SHORTEST, TOGETHER, response_rows, verdict
from probing.probes import (
    BASINS,
    JOINT,
    PERIOD,
    REAL,
    SCORES,
    SEASON,
    SHIFTED,
    SPARSE,
    TODAY,
    UNTRAINED,
    WEATHER,
    median_interval,
)
from probing.readings import concepts_of
from writing import plots
from writing.messages import basin_count
from writing.screen import show, show_table

# What the screen shows of the scores: heads of the column, and what stands in it.
SHOWN_SCORES = {
    "NSE": ("median", PERIOD, "NSE"),
    "anomaly": ("score", PERIOD, "NSE anomaly"),
    "deseasonalised": ("score", PERIOD, "NSE deseasonalised"),
    "more": ("selectivity", PERIOD, "NSE anomaly"),
    "others": ("median", BASINS, "NSE"),
    "(a)": ("median", BASINS, "NSE anomaly"),
}
# How each reader is drawn: what is read in cell states in the colour of the concept, controls in greys.
DARK, LIGHT = {"color": "#444444"}, {"color": "#AAAAAA"}
STYLES = {REAL: {}, SPARSE: {}, JOINT: {}, UNTRAINED: DARK, WEATHER: DARK, SEASON: DARK, TODAY: LIGHT, SHIFTED: LIGHT}


def number(value):
    """Two decimals, far below zero as many digits as matter, a dash where there is no number."""
    if np.isnan(value):
        return "–"
    return f"{value:.2f}" if not value <= -10 else f"{value:.0f}" if value > -1000 else f"{value:.0e}"


def with_interval(median, low, high, form=None):
    """A median and its 95 % interval in brackets, where there is one; as `number` or by a form such as '{:.1f}'."""
    write = form.format if form else number
    return write(median) + ("" if np.isnan(low) else f" [{write(low)} {write(high)}]")


def summary_table(scored):
    """Median over basins with its bootstrap interval of every score, and of the real probe's score minus this one's."""
    rows = []
    for (split, concept), part in scored[scored["note"] == ""].groupby(["split", "concept"], sort=False):
        real = part[part["reader"] == REAL].set_index("basin")
        for reader, this in part.set_index("basin").groupby("reader", sort=False):
            for metric in [*SCORES, "gap"]:
                row = {"split": split, "concept": concept, "reader": reader, "metric": metric}
                row |= median_interval(this[metric].to_numpy())._asdict()
                if reader not in (REAL, SPARSE, JOINT):
                    gain = median_interval((real[metric] - this[metric]).to_numpy())
                    row |= {"selectivity": gain.median, "selectivity_low": gain.low, "selectivity_high": gain.high}
                rows.append(row)
    return pd.DataFrame(rows)


def show_scores(summary, units):
    """The scores on the screen, a table for each concept of the dict `units`."""
    for concept, rows in summary.groupby("concept", sort=False):
        wide = rows.assign(score=[with_interval(*row) for row in rows[["median", "low", "high"]].to_numpy()])
        values = ["score", "selectivity", "median", "basins"]
        wide = wide.pivot(index="reader", columns=["split", "metric"], values=values)
        shown = {head: column for head, column in SHOWN_SCORES.items() if column in wide}
        table = pd.DataFrame({h: wide[c] if c[0] == "score" else wide[c].map(number) for h, c in shown.items()})
        basins = wide.loc[REAL, ("basins", PERIOD, "NSE")]
        show(f"\n{concept} in {units[concept]}, median of {basin_count(basins)} [95 % interval]")
        show_table(table.reindex(rows["reader"].unique()).fillna("").rename_axis(index=None))
    show(
        "\nanomaly (a): NSE without each series' mean; deseasonalised: without each series' day-of-year mean; more: "
        "by how much the anomaly of the cell states scores higher than that of the control, median over basins; "
        "others: NSE and (a) of a probe fitted on other basins, in the other period again. summary.csv has all, with "
        "intervals."
    )


def cell_state_table(fits, statistics, counted):
    """What each cell state carries, and for how long it remembers, from the fits and CellStateStatistics.

    Columns: concept; cell_state, its number from 1; weight in the probe and in the sparse probe (unit of the concept
    per standard deviation of the state); median r of the state with the concept; its memory, see `cell_states.MEMORY`.
    """
    tables = []
    for name in dict.fromkeys(name for name, _ in fits):
        table = {"concept": name, "cell_state": np.arange(1, len(statistics.deviation) + 1)}
        for column, reader in (("weight", REAL), ("sparse_weight", SPARSE)):
            table[column] = fits[name, reader][0].weights * statistics.deviation
        table["median_r"] = pd.DataFrame(statistics.r[name][counted[name]]).median().to_numpy()
        tables.append(pd.DataFrame(table | {"memory_stored_days": statistics.memory_stored_days}))
    return pd.concat(tables)


def show_cell_states(table):
    """Which cell states carry each concept, with sign, and how long they remember."""
    show(f"\nCell states that carry 95 % of the skill, with the sign of their weight and their memory: {MEMORY}")
    table = table.assign(text=[f"cn_{row.cell_state} ({row.memory_stored_days:.0f})" for row in table.itertuples()])
    for name, states in table.groupby("concept", sort=False):
        kept = states[states["sparse_weight"] != 0].sort_values("sparse_weight", key=abs, ascending=False)
        listed = np.where(kept["sparse_weight"] > 0, "+", "-") + kept["text"]
        listed = [*listed[:8], *([f"{len(kept) - 8} more"] if len(kept) > 8 else [])]
        best = states.loc[states["median_r"].abs().fillna(0).idxmax()]
        show(
            f"  {name}: {len(kept)} of {len(states)}{': ' if listed else ''}{', '.join(listed)}; best single one "
            f"{best['text']}, median r {best['median_r']:.2f}",
            indent="    ",
        )


def response_table(curves, about):
    """A row for each change, response and horizon; see `interventions.response_rows`. `about` has the units."""
    rows = []
    for curve in curves:
        change = {"moved": curve.concept, "by": curve.rise, "unit_of_move": about[curve.concept]["units"]}
        change |= {"change": curve.kind, "start_days": curve.season}
        for target, response in curve.responses.items():
            kind = {"response_of": target, "units": about[target]["units"]}
            rows += [change | kind | row for row in response_rows(response)]
    return pd.DataFrame(rows)


def show_verdicts(changes):
    """For each concept, what raising its reading does to runoff, and whether that is what physics asks."""
    days = max(HORIZONS)
    show(
        "\nReading raised by one standard deviation: mean change of runoff (mm/day) over the next days, median over "
        "basins. random: what changes of the same length do that leave the reading as it is. more runoff: yes if the "
        "interval lies above zero and the median above random, weakly if not above random; – without an interval."
    )
    for kind, of_kind in changes.groupby("change", sort=False):
        rows = {}
        for name, part in of_kind.groupby("moved", sort=False):
            row, answer = verdict(part)
            flow = part[(part["response_of"] == "streamflow") & (part["start_days"] == row["start_days"])]
            means = dict(zip(flow["horizon_days"], flow["mean"], strict=True))
            shown = {f"{horizon} d": f"{means[horizon]:+.3f}" for horizon in HORIZONS[::2]}
            cumulated = row[["cumulated", "cumulated_low", "cumulated_high"]]
            shown[f"mm in {days} d"] = with_interval(*cumulated, "{:+.2f}")
            shown["random"] = f"±{row['random_mean'] * days:.2f}"
            shown["basins up"] = f"{row['share_positive'] * row['basins']:.0f} of {row['basins']}"
            head = f"{name} +{row['by']:.3g} {row['unit_of_move']}, {row['start_days']}"
            rows[head] = shown | {"more runoff": answer}
        print()
        show_table(pd.DataFrame(rows).T.rename_axis(columns=kind))


def draw_controls(summary, colours, path):
    """Real probes against their controls, scored in the other period."""
    table = summary[summary["split"] == PERIOD]
    plots.probe_controls(table, colours, STYLES, path, f"probes scored in {PERIOD}; medians, 95 % intervals")


def draw_changes(curves, about, colours, out):
    """The responses to each kind of change: quartiles over basins, and what random changes typically do."""
    latest = {(curve.concept, curve.kind): curve for curve in curves}  # late winter where there is one
    for kind, file in ((SHORTEST, "interventions.png"), (TOGETHER, "interventions_together.png")):
        tables = []
        for curve in (curve for (_, its_kind), curve in latest.items() if its_kind == kind):
            title = f"{curve.concept} +{curve.rise:.3g} {about[curve.concept]['units']}, {curve.season} days"
            for target, response in curve.responses.items():
                low, median, high = np.percentile(response[0], (25, 50, 75), axis=0)
                random = np.median(np.sqrt((response[1:] ** 2).mean(axis=0)), axis=0)
                table = {"title": title, "moved": curve.concept, "response_of": target}
                table |= {"units": about[target]["units"], "day_after": np.arange(1, len(median) + 1)}
                tables.append(pd.DataFrame(table | {"low": low, "median": median, "high": high, "random": random}))
        plots.interventions(pd.concat(tables), colours, out / file)


def draw_series(readings, scored, colours, path):
    """Observed concepts and what is read in states and weather, in a good, a median and a bad basin."""
    kept = scored[(scored["split"] == PERIOD) & (scored["reader"] == REAL) & (scored["note"] == "")]
    skill = kept.pivot(index="basin", columns="concept", values="NSE anomaly")
    everywhere = skill.notna().sum(axis=1)  # prefer basins where every concept is scored
    means, tables = skill[everywhere == everywhere.max()].mean(axis=1), []
    for basin, word in plots.shown_basins(means).items():
        chosen = readings.sel(basin=basin, split=PERIOD)
        for name, units in concepts_of(readings).items():
            title = f"{word}: {basin}, mean NSE of anomalies {means[basin]:.2f}"
            table = {"title": title, "name": name, "units": units}
            table |= {"date": chosen["date"].values, "observed": chosen[f"{name}_observed"].values}
            for reader in (REAL, WEATHER):
                table[f"read in: {reader}"] = chosen[f"{name}_reading"].sel(reader=reader).values
            tables.append(pd.DataFrame(table))
    if tables:
        plots.series(pd.concat(tables), {f"read in: {REAL}": colours, f"read in: {WEATHER}": LIGHT["color"]}, path)
