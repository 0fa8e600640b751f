"""What LSTM_probe.py shows and writes: the tables on the screen and in csv, probe.nc, the figures."""

import numpy as np
import pandas as pd
import xarray as xr

from probing import probes
from probing.cell_states import MEMORY
from probing.independent_data import nearness
from probing.interventions import HORIZONS, SHORTEST, TOGETHER, YEARS, response_rows, verdict
from probing.probes import BASINS, JOINT, PERIOD, REAL, SCORES, SEASON, SHIFTED, SPARSE, TODAY, UNTRAINED, WEATHER
from writing import netcdf, plots
from writing.files import write_csv
from writing.messages import basin_count
from writing.screen import shortened, show, show_table

PER_DEVIATION = "unit of the concept per standard deviation of the cell state"
CELL_STATE_COLUMNS = {
    "weight": f"weight in the probe, {PER_DEVIATION}",
    "sparse_weight": f"weight in the probe of few cell states, {PER_DEVIATION}",
    "median_r": "median over basins of r of the cell state with the concept",
}
# What the screen shows of the scores: heads of the column, and what stands in it.
SHOWN_SCORES = {
    "NSE": ("median", PERIOD, "NSE"), "anomaly": ("score", PERIOD, "NSE anomaly"),
    "deseasonalised": ("score", PERIOD, "NSE deseasonalised"), "more": ("selectivity", PERIOD, "NSE anomaly"),
    "others": ("median", BASINS, "NSE"), "(a)": ("median", BASINS, "NSE anomaly"),
}  # fmt: skip
# How each reader is drawn: what is read in cell states in the colour of the concept, controls in greys.
GREYS = ("#444444", "#AAAAAA")
STYLES = {
    REAL: {"linewidth": 1.6}, SPARSE: {"linestyle": ":"}, JOINT: {"linestyle": "--"},
    UNTRAINED: {"color": GREYS[0]}, WEATHER: {"color": GREYS[0], "linestyle": "--"},
    TODAY: {"color": GREYS[1], "linestyle": "--"}, SHIFTED: {"color": GREYS[1]},
    SEASON: {"color": GREYS[0], "linestyle": ":"},
}  # fmt: skip


def styles_of(readers):
    """How each reader is drawn, in their order; the cell states of another run are none of STYLES."""
    return {reader: STYLES.get(reader, {"linestyle": "-."}) for reader in readers}


def remove_former(out):
    """Remove from a folder of results what an earlier call with more options wrote there, and this one may not."""
    for pattern in ("interventions*.*", "independent_data.*", "exchange.*", "series.png"):
        for file in out.glob(pattern):
            file.unlink()


def number(value):
    """Two decimals, far below zero as many digits as matter, a dash where there is no number."""
    if np.isnan(value):
        return "–"
    return f"{value:.2f}" if not value <= -10 else f"{value:.0f}" if value > -1000 else f"{value:.0e}"


def with_interval(median, low, high, form=None):
    """A median and its 95 % interval in brackets, where there is one; as `number` or by a form such as '{:.1f}'."""
    write = form.format if form else number
    return write(median) + ("" if np.isnan(low) else f" [{write(low)} {write(high)}]")


def lay_out_readings(file, data, readers):
    """Lay out probe.nc (from `netcdf.create`): the concepts as observed and as each reader reads them."""
    netcdf.add_index(file, "reader", readers, "what is read, or the control")
    for name in data.targets[1:]:
        netcdf.add_series(file, f"{name}_observed", data.about[name], f"{name}, observed")
        netcdf.add_series(file, f"{name}_reading", data.about[name], f"{name}, as read", before=["reader"])


def summary_table(scores, draw):
    """Median over basins with its bootstrap interval of every score, and of the real probe's score minus this one's."""
    rows = []
    for (split, concept), part in scores[scores["note"] == ""].groupby(["split", "concept"], sort=False):
        real = part[part["reader"] == REAL].set_index("basin")
        for reader, this in part.set_index("basin").groupby("reader", sort=False):
            for metric in [*SCORES, "gap"]:
                row = {"split": split, "concept": concept, "reader": reader, "metric": metric}
                row |= probes.median_interval(this[metric].to_numpy(), seed=draw)._asdict()
                if reader not in (REAL, SPARSE, JOINT):
                    gain = probes.median_interval((real[metric] - this[metric]).to_numpy(), seed=draw)
                    row |= {"selectivity": gain.median, "selectivity_low": gain.low, "selectivity_high": gain.high}
                rows.append(row)
    return pd.DataFrame(rows)


def show_scores(summary, data):
    """The scores on the screen, a table for each concept."""
    for concept, rows in summary.groupby("concept", sort=False):
        wide = rows.assign(score=[with_interval(*row) for row in rows[["median", "low", "high"]].to_numpy()])
        wide = wide.pivot(
            index="reader", columns=["split", "metric"], values=["score", "selectivity", "median", "basins"]
        )
        table = pd.DataFrame({
            heads: wide[column] if column[0] == "score" else wide[column].map(number)
            for heads, column in SHOWN_SCORES.items() if column in wide
        })  # fmt: skip
        table = table.reindex(rows["reader"].unique()).fillna("").rename(lambda name: shortened(name, 26))
        units, basins = data.about[concept]["units"], wide.loc[REAL, ("basins", PERIOD, "NSE")]
        show(f"\n{concept} in {units}, median of {basin_count(basins)} [95 % interval]")
        show_table(table.rename_axis(index=None))
    show(
        "\nanomaly (a): NSE without each series' mean; deseasonalised: without each series' day-of-year mean; more: "
        "by how much the anomaly of the cell states scores higher than that of the control, median over basins; "
        "others: NSE and (a) of a probe fitted on other basins, in the other period again. summary.csv has all, with "
        "intervals."
    )


def cell_state_table(readings, statistics, counted):
    """What each cell state carries, and for how long it remembers, from probes.Readings and CellStateStatistics.

    Columns: concept; unit, the number of the cell state from 1; weight in the probe and in the sparse probe (units of
    the concept per standard deviation of the state); median r of the state with the concept; its memory, see
    `cell_states.MEMORY`.
    """
    tables = []
    for name in readings.concepts:
        weights, sparse = (readings.fits[name, reader].every.weights for reader in (REAL, SPARSE))
        tables.append(pd.DataFrame({
            "concept": name, "unit": np.arange(1, len(weights) + 1),
            "weight": weights * statistics.deviation, "sparse_weight": sparse * statistics.deviation,
            "median_r": pd.DataFrame(statistics.r[name][counted[name]]).median().to_numpy(),
            "memory_stored_days": statistics.memory_stored_days,
        }))  # fmt: skip
    return pd.concat(tables)


def show_cell_states(cell_states):
    """Which cell states carry each concept, with sign, and how long they remember."""
    show(f"\nCell states that carry 95 % of the skill, with the sign of their weight and their memory: {MEMORY}")
    for name, table in cell_states.groupby("concept", sort=False):
        kept = table[table["sparse_weight"] != 0].sort_values("sparse_weight", key=abs, ascending=False)
        listed = [f"{'+' if k.sparse_weight > 0 else '-'}cn_{k.unit} ({k.memory_stored_days:.0f})"
                  for k in kept.itertuples()]  # fmt: skip
        more = f" and {len(listed) - 8} more" if len(listed) > 8 else ""
        one = table.loc[table["median_r"].abs().fillna(0).idxmax()]
        alone = f"best single one cn_{one['unit']} ({one['memory_stored_days']:.0f}), median r {one['median_r']:.2f}"
        which = f": {', '.join(listed[:8])}{more}" if listed else ""
        show(f"  {name}: {len(kept)} of {len(table)}{which}; {alone}", indent="    ")


def response_table(curves, data, draw):
    """A row for each change, response and horizon; see `interventions.response_rows`."""
    rows = []
    for curve in curves:
        about = {"moved": curve.concept, "by": curve.rise, "unit_of_move": data.about[curve.concept]["units"],
                 "change": curve.kind, "start_days": curve.season}  # fmt: skip
        for target, response in curve.responses.items():
            of = {"response_of": target, "units": data.about[target]["units"]}
            rows += [about | of | row for row in response_rows(response, draw)]
    return pd.DataFrame(rows)


def show_verdicts(changes):
    """For each concept, what raising its reading does to runoff, and whether that is what physics asks."""
    days = max(HORIZONS)
    show("\nReading raised by one standard deviation: mean change of runoff (mm/day) over the next days, median over "
         "basins. random: what changes of the same length do that leave the reading as it is. more "
         "runoff: yes if the interval lies above zero and the median above random, weakly if not above random; – "
         "without an interval.")  # fmt: skip
    for kind, of_kind in changes.groupby("change", sort=False):
        rows = {}
        for name, part in of_kind.groupby("moved", sort=False):
            row, answer = verdict(part)
            flow = part[(part["response_of"] == "streamflow") & (part["start_days"] == row["start_days"])]
            means = dict(zip(flow["horizon_days"], flow["mean"], strict=True))
            rows[shortened(f"{name} +{row['by']:.3g} {row['unit_of_move']}, {row['start_days']}")] = {
                f"{h} d": f"{means[h]:+.3f}" for h in HORIZONS[::2]
            } | {
                f"mm in {days} d": with_interval(*row[["cumulated", "cumulated_low", "cumulated_high"]], "{:+.2f}"),
                "random": f"±{row['random_mean'] * days:.2f}",
                "basins up": f"{row['share_positive'] * row['basins']:.0f} of {row['basins']}",
                "more runoff": answer,
            }
        print()
        show_table(pd.DataFrame(rows).T.rename_axis(columns=kind))


def show_independent_data(out, name, values, counted, colours, draw):
    """Table and figure of how near each reader is to data that no model learned, beside the data learned."""
    with xr.open_dataset(out / "probe.nc") as file:
        days, learned, readings = probes.days_of_year(file["date"].values), file[f"{name}_observed"], {}
        for reader in file["reader"].values:
            if reader != SHIFTED:
                read = file[f"{name}_reading"].sel(reader=reader).values
                readings[reader] = nearness(read, learned.values, values, days)[counted[name]]
        units = learned.attrs.get("units", "")
    rows = {}
    for reader, table in readings.items():
        apart = table["RMSE learned-independent"]
        _, low, high, number = probes.median_interval(table["partial r"].to_numpy(), seed=draw)
        rows[reader] = dict(table.median()) | {"partial r low": low, "partial r high": high, "basins": number}
        for other in ("learned", "independent"):
            rows[reader][f"nearer to {other}"] = (table[f"RMSE reading-{other}"] < apart)[apart.notna()].mean()
    rows = pd.DataFrame(rows).T.rename_axis("reader")
    write_csv(out / "independent_data.csv", rows)
    show_nearness(name, units, rows)
    real = readings[REAL].filter(like="r deseasonalised")
    pairs = {pair.split()[-1].replace("-", " and ").replace("reading", "read"): real[pair].to_numpy() for pair in real}
    styles = {"read and learned": {"color": colours[name], "linestyle": "-"},
              "read and independent": {"color": colours[name], "linestyle": "--"},
              "learned and independent": {"color": plots.OBSERVED, "linestyle": "-"}}  # fmt: skip
    note = f"{name}, without the day-of-year means"
    plots.score_distribution(pairs, "r", out / "independent_data.png", note, styles)


def show_nearness(name, units, rows):
    """The table of independent data on the screen, a line for each reader."""
    apart = rows.loc[REAL, [f"{score} learned-independent" for score in ("RMSE", "r", "r deseasonalised")]]
    show(f"\n{name}: what is read against what was learned (L) and independent data (I), medians over basins. L and I: "
         f"RMSE {apart.iloc[0]:.3g} {units}, r {apart.iloc[1]:.2f}, deseasonalised {apart.iloc[2]:.2f}.")  # fmt: skip
    table = {}
    for letter, other in (("L", "learned"), ("I", "independent")):
        table[f"RMSE {letter}"] = rows[f"RMSE reading-{other}"].map("{:.3g}".format)
        table[f"r {letter}"] = rows[f"r reading-{other}"].map(number)
        table[f"(d) {letter}"] = rows[f"r deseasonalised reading-{other}"].map(number)
    partial = rows[["partial r", "partial r low", "partial r high"]].to_numpy()
    table["partial"] = [with_interval(*row) for row in partial]
    table["near L/I"] = rows["nearer to learned"].map(number) + "/" + rows["nearer to independent"].map(number)
    show_table(pd.DataFrame(table).rename_axis(None))
    show("(d): r, deseasonalised; partial: r of reading and independent data, deseasonalised, given what was learned; "
         "near: share of basins in which the reading is nearer by RMSE than L and I are to each other.")  # fmt: skip


def show_exchange(out, curves, data, colours, draw):
    """Table and figure of what follows when two years exchange their states; see `interventions.exchange_years`."""
    table = response_table(curves, data, draw)
    shown = {}
    for row in table[table["response_of"].eq("streamflow") & table["horizon_days"].ge(30)].itertuples():
        shown[row.change, f"{row.horizon_days} d"] = {
            "mm": with_interval(row.cumulated, row.cumulated_low, row.cumulated_high, "{:+.1f}"),
            "random": f"±{row.random_mean * row.horizon_days:.1f}" if row.change != YEARS else "",
            "more": f"{row.share_positive:.0%}",
        }
    first, units = curves[0], data.about[curves[0].concept]["units"]
    show(
        f"\nA wet and a dry year ({first.concept} {first.rise:.3g} {units} apart, median of {len(first.basins)} "
        f"basins) exchange their states at the end of {first.season}: runoff that follows, wet minus dry; random: "
        "after random changes as long that leave the reading as it is; more: share of basins with more after the wet "
        "year's states."
    )
    show_table(pd.DataFrame(shown).T)
    write_csv(out / "exchange.csv", table, index=False)
    shown = quartiles({c.kind: c for c in curves if c.kind != YEARS}, data)
    plots.interventions(shown, colours, out / "exchange.png")


def write_results(file, data, readers, scores, cell_states, curves):
    """The rest of probe.nc: observed series, scores, weights, memories, mean responses."""
    names = data.targets[1:]
    start = np.datetime64(file["date"].units.removeprefix("days since "), "D")
    dates = start + file["date"][:].filled().astype(int)
    for b in range(len(data.basins)):
        _, targets = data.read([b], dates)
        for k, name in enumerate(names):
            file[f"{name}_observed"][b] = targets[0, :, 1 + k]
    netcdf.add_index(file, "metric", list(SCORES), "score")
    netcdf.add_index(file, "split", [PERIOD, BASINS], "what the probe had not seen")
    netcdf.add_index(file, "concept", names, "concept")
    netcdf.add_index(file, "unit", sorted(cell_states["unit"].unique()), "number of the cell state, from 1")
    values = np.full((2, len(names), len(readers), len(data.basins), len(SCORES)), np.nan, np.float32)
    for (split, name, reader), group in scores.groupby(["split", "concept", "reader"]):
        values[[PERIOD, BASINS].index(split), names.index(name), readers.index(reader)] = group[list(SCORES)]
    netcdf.add_table(file, "score", ("split", "concept", "reader", "basin", "metric"), values, units="1")
    for column, words in CELL_STATE_COLUMNS.items():
        of_states = cell_states[column].to_numpy().reshape(len(names), -1)
        netcdf.add_table(file, column, ("concept", "unit"), of_states, long_name=words)
    memory = cell_states["memory_stored_days"].to_numpy()[: len(file.dimensions["unit"])]  # the same for every concept
    netcdf.add_table(file, "memory_stored_days", ("unit",), memory, units="days", long_name=MEMORY)
    if curves:
        netcdf.add_index(file, "day_after", list(range(1, max(HORIZONS) + 1)), "days after the change")
    for curve in latest(curves):
        after, end = f"after {curve.concept} was raised by {curve.rise:.4g}", "_together" * (curve.kind == TOGETHER)
        for target, response in curve.responses.items():
            about = {"units": data.about[target]["units"], "start_days": curve.season, "change": curve.kind}
            for start, words, mean in (
                ("response", f"mean change of {target} {after}", response[0]),
                ("random", f"root mean square change of {target} after random changes", typical_size(response)),
            ):
                full = np.full((len(data.basins), max(HORIZONS)), np.nan, np.float32)
                full[curve.basins] = mean
                name = f"{start}_{curve.concept}_{target}{end}"
                netcdf.add_table(file, name, ("basin", "day_after"), full, long_name=words, **about)


def typical_size(response):
    """Root mean square of what random changes do, (basin, day), in a response (change, basin, day)."""
    return np.sqrt((response[1:] ** 2).mean(axis=0))


def latest(curves):
    """One curve for each concept and kind of change: that of late winter where there is one."""
    return list({(curve.concept, curve.kind): curve for curve in curves}.values())


def quartiles(curves, data):
    """Table for a figure of `curves`, title -> Curve: quartiles over basins, and what random changes typically do."""
    tables = []
    for title, curve in curves.items():
        for target, response in curve.responses.items():
            low, median, high = np.percentile(response[0], (25, 50, 75), axis=0)
            about = {"title": title, "moved": curve.concept, "response_of": target,
                     "units": data.about[target]["units"], "day_after": np.arange(1, len(median) + 1)}  # fmt: skip
            numbers = {"low": low, "median": median, "high": high, "random": np.median(typical_size(response), axis=0)}
            tables.append(pd.DataFrame(about | numbers))
    return pd.concat(tables)


def draw_probes(out, data, scores, summary, curves, counted, colours):
    """Real against controls, skill per basin, series in three basins, responses."""
    for split, file in ((PERIOD, "controls_other_period.png"), (BASINS, "controls_other_basins.png")):
        table = summary[summary["split"] == split]
        note = f"probes scored in {split}; medians, 95 % intervals"
        plots.probe_controls(table, colours, styles_of(table["reader"].unique()), out / file, note)
    kept = scores[(scores["split"] == PERIOD) & (scores["note"] == "")]
    shown = styles_of(reader for reader in kept["reader"].unique() if reader not in (SPARSE, TODAY))
    for metric, file in (("NSE anomaly", "skill_anomaly.png"), ("NSE deseasonalised", "skill_deseasonalised.png")):
        plots.probe_distributions(kept, metric, colours, shown, out / file)
    draw_series(out, data, kept[kept["reader"] == REAL], counted, colours)
    for kind, file in ((SHORTEST, "interventions.png"), (TOGETHER, "interventions_together.png")) if curves else ():
        titles = {f"{c.concept} +{c.rise:.3g} {data.about[c.concept]['units']}, {c.season} days": c
                  for c in latest(curves) if c.kind == kind}  # fmt: skip
        plots.interventions(quartiles(titles, data), colours, out / file)


def draw_series(out, data, scores, counted, colours):
    """Observed concepts and what is read in states and weather, in a good, a median and a bad basin."""
    names = data.targets[1:]
    skill = scores.groupby("basin")["NSE anomaly"].mean().reindex(data.basins).to_numpy()
    everywhere = np.sum([counted[name] for name in names], axis=0)  # prefer basins where every concept is scored
    able = np.where(np.isfinite(skill) & (everywhere == everywhere.max()))[0]
    if not len(able):
        return
    order, tables = able[np.argsort(skill[able])], []
    with xr.open_dataset(out / "probe.nc") as file:
        for share, word in ((0.9, "good"), (0.5, "median"), (0.1, "bad")):
            b = order[round(share * (len(order) - 1))]
            title = f"{word}: {data.basins[b]}, mean NSE of anomalies {skill[b]:.2f}"
            for name in names:
                about = {"title": title, "name": name, "units": data.about[name]["units"], "date": file["date"].values}
                about["observed"] = file[f"{name}_observed"][b].values
                read = file[f"{name}_reading"][:, b]
                lines = {f"read in: {reader}": read.sel(reader=reader).values for reader in (REAL, WEATHER)}
                tables.append(pd.DataFrame(about | lines))
    lines = {f"read in: {REAL}": colours, f"read in: {WEATHER}": GREYS[1]}
    plots.series(pd.concat(tables), lines, out / "series.png")
