"""What LSTM_probe.py shows and writes: the tables on the screen, probe.nc, the figures."""

import numpy as np
import pandas as pd
import xarray as xr

from probing.interventions import HORIZONS, SHORTEST, TOGETHER, YEARS, response_rows, verdict
from probing.probes import (
    BASINS,
    JOINT,
    PERIOD,
    REAL,
    SCORES,
    SHIFTED,
    SPARSE,
    TODAY,
    WEATHER,
    median_interval,
    nearness,
    season_slots,
)
from writing import netcdf, plots
from writing.files import write_csv

PER_DEVIATION = "unit of the concept per standard deviation of the cell state"
UNIT_COLUMNS = {
    "weight": f"weight in the probe, {PER_DEVIATION}",
    "sparse_weight": f"weight in the probe of few cell states, {PER_DEVIATION}",
    "median_r": "median over basins of r of the cell state with the concept",
}
MEMORIES = {"memory_days": "all days", "memory_stored_days": "days weighted by what is stored"}


def describe(file, data, readers):
    """Lay out probe.nc (from `netcdf.create`): the concepts as observed and as each reader reads them."""
    netcdf.add_index(file, "reader", readers, "what is read, or the control")
    for name in data.targets[1:]:
        netcdf.add_series(file, f"{name}_observed", data.about[name], f"{name}, observed")
        netcdf.add_series(file, f"{name}_reading", data.about[name], f"{name}, as read", before=["reader"])


def keeper(file, readers):
    """Function that writes readings into probe.nc."""

    def keep(reader, concept, basins, reading):
        file[f"{concept}_reading"][readers.index(reader), basins] = reading

    return keep


def summarise(scores, draw):
    """Median over basins with its bootstrap interval of every score, and of the real probe's score minus this one's."""
    counted = scores[scores["note"] == ""]
    rows = []
    for (split, concept, reader), group in counted.groupby(["split", "concept", "reader"], sort=False):
        chosen = counted["split"].eq(split) & counted["concept"].eq(concept) & counted["reader"].eq(REAL)
        real, this = counted[chosen].set_index("basin"), group.set_index("basin")
        for metric in [*SCORES, "gap"]:
            median, low, high, number = median_interval(this[metric].to_numpy(), seed=draw)
            row = {"median": median, "low": low, "high": high, "basins": number}
            if reader not in (REAL, SPARSE, JOINT):
                gain = median_interval((real[metric] - this[metric]).to_numpy(), seed=draw)
                row |= {"selectivity": gain.median, "selectivity_low": gain.low, "selectivity_high": gain.high}
            rows.append({"split": split, "concept": concept, "reader": reader, "metric": metric} | row)
    return pd.DataFrame(rows)


def show(summary, names, counted):
    """The scores on the screen, a table for each concept."""
    cells = summary.set_index(["split", "concept", "reader", "metric"])

    def cell(*key, column="median", interval=True):
        if key not in cells.index or not np.isfinite(cells.at[key, column]):
            return ""
        row = cells.loc[key]
        return f"{row[column]:.2f}" + (f" [{row['low']:.2f} {row['high']:.2f}]" if interval else "")

    for name in names:
        rows = {}
        for reader in summary.loc[summary["concept"] == name, "reader"].unique():
            here, there = (PERIOD, name, reader), (BASINS, name, reader)
            gain = {"column": "selectivity", "interval": False}
            rows[reader] = {metric: cell(*here, metric) for metric in SCORES} | {
                "selectivity: anomaly": cell(*here, "NSE anomaly", **gain),
                "deseas.": cell(*here, "NSE deseasonalised", **gain),
                "other basins: NSE": cell(*there, "NSE", interval=False),
                "other basins: anomaly": cell(*there, "NSE anomaly", interval=False),
            }
        print(f"\n{name}, median of {counted[name].sum()} basins [95 % interval]")
        print(pd.DataFrame(rows).T.to_string())
    print("\nselectivity: median over basins of the score of the cell states minus that of the control; "
          "NSE anomaly: without each series' mean;\nNSE deseasonalised: without each series' day-of-year mean; "
          "other basins: probe fitted on other basins, in the other period again.")  # fmt: skip


def unit_tables(table, statistics, counted):
    """Which unit carries what, and for how long it remembers.

    Parameters
    ----------
    table : probes.Readings
    statistics : probes.UnitStatistics
    counted : dict concept -> array (basin,) of bool

    Returns
    -------
    units : DataFrame
        concept, unit (from 1), weight in the probe and in the sparse probe (unit of the concept per standard deviation
        of the state), median r of the state with the concept, e-folding times in days.
    best : dict concept -> dict
        unit with the largest median |r|, basin in which its |r| is the median, r there.
    """
    tables, best = [], {}
    for name in table.concepts:
        r = np.where(counted[name][:, None], statistics.r[name], np.nan)
        filled = r[np.isfinite(r).any(axis=1)]
        median = np.nanmedian(filled, axis=0) if len(filled) else np.zeros(r.shape[1])
        frame = pd.DataFrame({"concept": name, "unit": np.arange(1, r.shape[1] + 1)})
        frame["weight"] = table.fits[name, REAL].every.weights * statistics.deviation
        frame["sparse_weight"] = table.fits[name, SPARSE].every.weights * statistics.deviation
        frame["median_r"] = median
        frame["memory_days"], frame["memory_stored_days"] = statistics.memory_days, statistics.memory_stored_days
        tables.append(frame)
        unit = int(np.nanargmax(np.nan_to_num(abs(median))))
        distance = abs(abs(r[:, unit]) - (np.nanmedian(abs(filled[:, unit])) if len(filled) else 0))
        basin = int(np.argmin(np.nan_to_num(distance, nan=np.inf)))
        best[name] = {"unit": unit, "basin": basin, "r": r[basin, unit]}
    return pd.concat(tables), best


def show_units(units, names):
    """Which units carry each concept, with sign, and how long they remember."""
    print("\nUnits that carry 95 % of the skill, with the sign of their weight and their memory in days (by the mean "
          "log of\nthe forget gate over all days, and weighted by what is stored)")  # fmt: skip
    for name in names:
        table = units[units["concept"] == name]
        kept = table[table["sparse_weight"] != 0].sort_values("sparse_weight", key=abs, ascending=False)
        best = table.loc[table["median_r"].abs().fillna(0).idxmax()]
        listed = [
            f"{'+' if u.sparse_weight > 0 else '-'}cn_{u.unit} ({u.memory_days:.0f}, {u.memory_stored_days:.0f})"
            for u in kept.itertuples()
        ]
        more = f" and {len(listed) - 8} more" if len(listed) > 8 else ""
        means = [f"{weighted_memory(kept, column):.0f}" for column in MEMORIES] if len(kept) else []
        memory = f", mean memory ({', '.join(means)})" if means else ""
        alone = f"cn_{best.unit} ({best.memory_days:.0f}, {best.memory_stored_days:.0f}), median r {best.median_r:.2f}"
        print(f"  {name}: {len(kept)} of {len(table)}{memory}: {', '.join(listed[:8])}{more}; best single unit {alone}")


def weighted_memory(kept, column):
    """Mean memory (days) of the units, each weighted by its absolute weight; logarithms, as memories span decades."""
    return float(np.exp(np.average(np.log(kept[column]), weights=kept["sparse_weight"].abs())))


def summarise_interventions(curves, data, draw):
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
    rows, days = {}, max(HORIZONS)
    for (name, kind), part in changes.groupby(["moved", "change"], sort=False):
        row, answer = verdict(part)
        flow = part[(part["response_of"] == "streamflow") & (part["start_days"] == row["start_days"])]
        rows[f"{name} +{row['by']:.3g} {row['unit_of_move']}", kind] = (
            {"days moved": row["start_days"]}
            | {f"{h} d": f"{mean:+.3f}" for h, mean in zip(flow["horizon_days"], flow["mean"], strict=True)}
            | {
                f"mm in {days} d": "{cumulated:+.2f} [{cumulated_low:+.2f} {cumulated_high:+.2f}]".format(**row),
                "random": f"±{row['random_mean'] * days:.2f}",
                "basins up": f"{row['share_positive']:.0%} of {row['basins']}",
                "more runoff": answer,
            }
        )
    print("\nReading raised by one standard deviation: mean change of runoff (mm/day) over the next days, median over "
          "basins.\nrandom: what changes of the same length do that leave the reading as it is. more runoff: yes if "
          "the interval lies\nabove zero and the median above random, weakly if not above random.")  # fmt: skip
    print(pd.DataFrame(rows).T.to_string())


def observer(out, name, values, counted, draw):
    """Table and figure of how near each reader is to an observation that nobody learned, beside the one learned."""
    with xr.open_dataset(out / "probe.nc") as file:
        slots, learned = season_slots(file["date"].values), file[f"{name}_observed"].values
        tables = {}
        for reader in file["reader"].values:
            if reader != SHIFTED:
                reading = file[f"{name}_reading"].sel(reader=reader).values
                tables[reader] = nearness(reading, learned, values, slots)[counted[name]]
    rows = {}
    for reader, table in tables.items():
        apart = table["RMSE learned-independent"]
        _, low, high, number = median_interval(table["partial r"].to_numpy(), seed=draw)
        rows[reader] = dict(table.median()) | {"partial r low": low, "partial r high": high, "basins": number}
        for other in ("learned", "independent"):
            rows[reader][f"nearer to {other}"] = (table[f"RMSE reading-{other}"] < apart)[apart.notna()].mean()
    rows = pd.DataFrame(rows).T.rename_axis("reader")
    print(f"\n{name}: what is read, what was learned and what an independent observer saw; medians over basins.\n"
          "nearer: share of basins in which the reading is nearer by RMSE than the two observations to each other;\n"
          "partial r: of reading and independent observation, deseasonalised, given what was learned.")  # fmt: skip
    print(rows.T.to_string(float_format=lambda value: f"{value:.2f}"))
    write_csv(out / "observer.csv", rows)
    pairs = {
        words: tables[REAL][f"r deseasonalised {pair}"].to_numpy()
        for words, pair in (
            ("read and learned", "reading-learned"),
            ("read and independent", "reading-independent"),
            ("learned and independent", "learned-independent"),
        )
    }
    plots.score_distribution(pairs, "r", out / "observer.png", note=f"{name}, without the day-of-year means")


def gains_of(gain, draw):
    """Median over basins of a gain in NSE (basin,) with its interval, and the share of basins that are better."""
    median, low, high, number = median_interval(gain, seed=draw)
    return {"gain": median, "low": low, "high": high, "better": (gain > 0).sum() / max(number, 1), "basins": number}


def put_back(out, tried, scored, draw):
    """Tables and figure of the runoff with observations put back; see `memory.put_back`."""
    chosen, rows, curves = [], [], {}
    for key, gains in tried.items():
        about = dict(zip(("change", "every_days", "share"), key, strict=True))
        chosen += [about | {"days": days} | gains_of(gains[k], draw) for k, days in enumerate(("all", "melt"))]
    for key, (before, *after) in scored.items():
        cases = {"observed": after[0], "of other years": after[1], "random directions": np.median(after[2:], axis=0)}
        for case, nse in cases.items():
            about = dict(zip(("change", "every_days", "share"), key, strict=True)) | {"put back": case}
            for k, days in enumerate(("all", "melt")):
                median = {"NSE before": np.nanmedian(before[k])}
                rows.append(about | {"days": days} | median | gains_of(nse[k] - before[k], draw))
            curves.setdefault(key[0], {})[case] = nse[0] - before[0]
    chosen, rows = pd.DataFrame(chosen), pd.DataFrame(rows)
    print("\nGain in NSE of runoff if every few days a share of what is missing is put back into the cell states.\n"
          "better: share of basins; melt: March to July. In the validation years, which chose:")  # fmt: skip
    print(chosen.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
    print("In the scored period:")
    print(rows.to_string(index=False, float_format=lambda value: f"{value:.4f}"))
    write_csv(out / "put_back_choice.csv", chosen, index=False)
    write_csv(out / "put_back.csv", rows, index=False)
    plots.probe_distributions(curves, "gain in NSE of runoff", out / "put_back.png", -0.1, 0.1)


def exchange(out, curves, data, draw):
    """Table and figure of what follows when two years exchange their states; see `memory.exchange`."""
    table = summarise_interventions(curves, data, draw)
    flow, shown = table[table["response_of"].eq("streamflow") & table["horizon_days"].ge(30)], {}
    for row in flow.itertuples():
        days = row.horizon_days
        shown.setdefault(row.change, {"basins": row.basins}).update({
            f"mm in {days} d": f"{row.cumulated:+.1f} [{row.cumulated_low:+.1f} {row.cumulated_high:+.1f}]",
            f"random, {days} d": f"±{row.random_mean * days:.1f}" if row.change != YEARS else "",
            f"more, {days} d": f"{row.share_positive:.0%}",
        })  # fmt: skip
    name, day, rise = curves[0].concept, curves[0].season, curves[0].rise
    print(f"\nA wet and a dry year ({name} {rise:.3g} apart, median) exchange their states at the end of {day}: "
          "runoff\nthat follows, wet minus dry; random: after random changes as long that leave the reading as it is;\n"
          "more: share of basins with more after the wet year's states")  # fmt: skip
    print(pd.DataFrame(shown).T.to_string())
    write_csv(out / "exchange.csv", table, index=False)
    panels = [{"name": curve.concept, "title": curve.kind,
               "rows": [{"name": n, "units": data.about[n]["units"], "real": v[0], "random": v[1:]}
                        for n, v in curve.responses.items()]}
              for curve in curves if curve.kind != YEARS]  # fmt: skip
    plots.interventions(panels, out / "exchange.png")


def write(file, data, readers, scores, units, curves):
    """The rest of probe.nc: observed series, scores, weights, memories, mean responses."""
    names, dates = data.targets[1:], netcdf_dates(file)
    for b in range(len(data.basins)):
        _, targets = data.read([b], dates)
        for k, name in enumerate(names):
            file[f"{name}_observed"][b] = targets[0, :, 1 + k]
    netcdf.add_index(file, "metric", list(SCORES), "score")
    netcdf.add_index(file, "split", [PERIOD, BASINS], "what the probe had not seen")
    netcdf.add_index(file, "concept", names, "concept")
    netcdf.add_index(file, "unit", sorted(units["unit"].unique()), "number of the cell state, from 1")
    values = np.full((2, len(names), len(readers), len(data.basins), len(SCORES)), np.nan, np.float32)
    for (split, name, reader), group in scores.groupby(["split", "concept", "reader"]):
        values[[PERIOD, BASINS].index(split), names.index(name), readers.index(reader)] = group[list(SCORES)]
    netcdf.add_table(file, "score", ("split", "concept", "reader", "basin", "metric"), values, units="1")
    for column in UNIT_COLUMNS:
        of_units = units[column].to_numpy().reshape(len(names), -1)
        netcdf.add_table(file, column, ("concept", "unit"), of_units, long_name=UNIT_COLUMNS[column])
    for column, days in MEMORIES.items():
        memory, words = units[column].to_numpy()[: len(file.dimensions["unit"])], f"e-folding time of the unit, {days}"
        netcdf.add_table(file, column, ("unit",), memory, units="days", long_name=words)
    if curves:
        netcdf.add_index(file, "day_after", list(range(1, max(HORIZONS) + 1)), "days after the change")
    for curve in shown(curves):
        end = "" if curve.kind == SHORTEST else "_together"
        for target, response in curve.responses.items():
            after = f"after {curve.concept} was raised by {curve.rise:.4g}"
            rest = {"units": data.about[target]["units"], "start_days": curve.season, "change": curve.kind}
            for start, words, mean in (
                ("response", f"mean change of {target} {after}", response[0]),
                ("random", f"root mean square change of {target} after random changes",
                 np.sqrt((response[1:] ** 2).mean(axis=0))),
            ):  # fmt: skip
                full = np.full((len(data.basins), max(HORIZONS)), np.nan, np.float32)
                full[curve.basins] = mean
                name = f"{start}_{curve.concept}_{target}{end}"
                netcdf.add_table(file, name, ("basin", "day_after"), full, long_name=words, **rest)


def netcdf_dates(file):
    """The days of a file from `netcdf.create`."""
    start = np.datetime64(file["date"].units.removeprefix("days since "), "D")
    return start + file["date"][:].filled().astype(int)


def shown(curves):
    """One curve for each concept and kind of change: that of late winter where there is one."""
    return list({(curve.concept, curve.kind): curve for curve in curves}.values())


def figures(out, data, scores, summary, units, best, curves, counted):
    """Real against controls, skill per basin, series in three basins, best units, responses."""
    names, unit_of = data.targets[1:], {name: about["units"] for name, about in data.about.items()}
    for split, file in ((PERIOD, "controls_other_period.png"), (BASINS, "controls_other_basins.png")):
        panels = {}
        for row in summary[summary["split"] == split].itertuples():
            panels.setdefault(row.concept, {}).setdefault(row.reader, {})[row.metric] = (row.median, row.low, row.high)
        plots.probe_controls(panels, out / file, note=f"probes scored in {split}; medians, 95 % intervals")

    kept = scores[(scores["split"] == PERIOD) & (scores["note"] == "")]
    for metric, file in (("NSE anomaly", "skill_anomaly.png"), ("NSE deseasonalised", "skill_deseasonalised.png")):
        values = {n: {reader: group[metric].to_numpy() for reader, group in part.groupby("reader", sort=False)
                      if reader not in (SPARSE, TODAY)} for n, part in kept.groupby("concept", sort=False)}  # fmt: skip
        plots.probe_distributions(values, metric, out / file)

    real = kept[kept["reader"] == REAL]
    skill = real.groupby("basin")["NSE anomaly"].mean().reindex(data.basins).to_numpy()
    everywhere = np.sum([counted[n] for n in names], axis=0)  # prefer basins where every concept is scored
    able = np.where(np.isfinite(skill) & (everywhere == everywhere.max()))[0]
    order, panels = able[np.argsort(skill[able])], []
    with xr.open_dataset(out / "probe.nc") as file:
        for share, word in ((0.9, "good"), (0.5, "median"), (0.1, "bad")) if len(order) else ():
            b = order[round(share * (len(order) - 1))]
            one = file.isel(basin=b)
            concepts = [{"name": n, "units": unit_of[n], "observed": one[f"{n}_observed"].values,
                         "readings": {label: one[f"{n}_reading"].sel(reader=label).values for label in (REAL, WEATHER)}}
                        for n in names]  # fmt: skip
            title = f"{word}: {data.basins[b]}, mean NSE of anomalies {skill[b]:.2f}"
            panels.append({"title": title, "dates": file["date"].values, "concepts": concepts})
        if panels:
            plots.probe_series(panels, out / "series.png")
        panels = []
        for name in names:
            unit, b = best[name]["unit"], best[name]["basin"]
            memory = units.loc[(units["concept"] == name) & (units["unit"] == unit + 1), "memory_days"].iloc[0]
            title = f"cn_{unit + 1}, memory {memory:.0f} days, r {best[name]['r']:.2f}, {data.basins[b]}"
            panels.append({"title": title, "dates": file["date"].values, "state": best[name]["states"], "name": name,
                           "units": unit_of[name], "observed": file[f"{name}_observed"].values[b]})  # fmt: skip
    plots.best_units(panels, out / "best_units.png")
    for kind, file in ((SHORTEST, "interventions.png"), (TOGETHER, "interventions_together.png")) if curves else ():
        panels = [{"name": curve.concept,
                   "title": f"{curve.concept} +{curve.rise:.3g} {unit_of[curve.concept]}, {curve.season} days",
                   "rows": [{"name": n, "units": unit_of[n], "real": v[0], "random": v[1:]}
                            for n, v in curve.responses.items()]}
                  for curve in shown(curves) if curve.kind == kind]  # fmt: skip
        plots.interventions(panels, out / file)
