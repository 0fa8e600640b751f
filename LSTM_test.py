"""Score a run, or the mean of several, over a chosen period with chosen metrics: a table, a CSV, a netCDF and figures.

    python LSTM_test.py                                                   # the demo run over its test period
    python LSTM_test.py --run-dir runs/camels --period 2004-10-01 2008-09-30 --metrics NSE KGE FHV
    python LSTM_test.py --run-dir runs/daymet runs/maurer                 # the mean of both, as if members of one run
    python LSTM_test.py --run-dir runs/folds                              # each basin by the fold that never saw it

Everything about the model and its data comes from the run directory. Each basin is simulated as one sequence with a
spin-up year before the period, which is not scored. With several members each is scored, and the mean of their
simulations; several runs may differ in their forcing. Where nothing is observed the series are all that is written.
Basins are processed in batches, so that memory does not grow with their number.
"""

from dataclasses import dataclass

from running.settings import checked_settings, from_words
from writing.messages import InputError, cli


@dataclass
class Settings:
    run_dir: tuple[str, ...] = ("runs/demo",)
    """Run directory that LSTM_train.py wrote, or several whose simulations are averaged."""
    period: tuple[str, str] | None = None
    """First and last day to score; the test period stored with the run if not given."""
    metrics: tuple[str, ...] = ("NSE", "KGE", "r", "alpha-NSE", "beta-NSE", "RMSE", "FHV", "FLV")
    """Any of NSE, KGE, KGE2012, MSE, RMSE, r, alpha-NSE, beta-NSE, log-NSE, PBIAS, FHV, FLV, FMS."""
    basins: tuple[str, ...] = ()
    """Basin ids, or one file that lists them; the run's basins if empty. Basins it was not trained on are welcome; of
    folds a basin that is in none of them is scored by the mean of all their runs."""
    data_dir: str | None = None
    """Where the data are now, if not where they were in training."""
    forcing: tuple[str, ...] = ()
    """Forcing product, if not that of the training: another one, or one's own, with the same inputs."""
    attributes: str | None = None
    """Table of the catchment attributes, if not those of the training."""
    begin_with: tuple[str, ...] = ()
    """State files of LSTM_output_Cn.py to begin with in place of the spin-up year: one for each member, in order."""
    out_dir: str | None = None
    """Folder for the results; if not given test_<start>_<end> and the basins, if they are named, in the run directory,
    or beside it in mean_of_<runs>."""


if __name__ == "__main__":  # before the packages below, which take seconds to load
    settings = cli(from_words, Settings, description=__doc__)

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import cn_loss
from reading.concepts import is_snow
from running import runs
from running.groups import load_group
from running.outside import Outside
from running.simulation import SNOW_MM, ForcingDays, scored_basins
from writing import netcdf, plots
from writing.files import replacing, write_csv
from writing.messages import basin_count, command, note, some
from writing.screen import show, show_table

FLOW_METRICS = ("log-NSE", "FHV", "FLV", "FMS")  # made for flow duration curves: not for soil water or snow
MEAN = "mean of members"


def main(settings: Settings):
    settings = checked_settings(Settings, vars(settings), "Settings")
    group = load_group(settings.run_dir)
    check_options(group, settings)
    start, end = settings.period or group.runs[0].settings["test_period"]
    several = group.data(start, end, settings.basins, **runs.elsewhere(settings))
    dates, data = group.dates(several, start, end), several[0]
    models = [[run.model(seed) for seed in run.seeds] for run in group.runs]
    for report in dict.fromkeys(one.report for one in several):
        print(report)
    found = Outside(data.basins)
    found.compare(zip(group.runs, several, strict=True), start, end)
    if new := [basin for basin in data.basins if group.folds and basin not in group.basins.index]:
        print(f"In none of the folds: {some(new)}. Scored by the mean of all {len(group.runs)} runs.")
    if words := group.learned_words(data.basins, start, end):
        note(words)
    asked = {"other": group.runs[0].other_data(**runs.elsewhere(settings)), "begin_with": settings.begin_with}
    own = runs.results_folder(group.folder, "test", (start, end), data.basins, group.known, **asked)
    out = Path(settings.out_dir or own)
    members = group.members + [MEAN] * (len(group.members) > 1)
    counted, forcing = scored_basins(group.basins, data), ForcingDays(data.basins, start, end)

    scores, days, metrics = [], dict.fromkeys(data.targets, 0), list(dict.fromkeys(settings.metrics))
    nse = {name: np.full(len(data.basins), np.nan) for name in data.targets}  # of the last member, for the figures
    origin = {"title": f"Simulated and observed series of {group.folder.name}", **group.origin(several, words)}
    with replacing(out / "series.nc") as path, netcdf.create(path, data, dates, origin) as file:
        netcdf.add_index(file, "member", members, "member of the run, or their mean")
        for name in data.targets:
            netcdf.add_series(file, f"{name}_observed", data.about[name], f"{name}, observed")
            netcdf.add_series(file, f"{name}_simulated", data.about[name], f"{name}, simulated", before=["member"])
        begin = settings.begin_with
        for basins, parts in group.simulate_members(models, several, start, end, begin, "simulating"):
            forcing.count(parts[0], basins)
            found.count(parts, basins)
            simulated = [one.prediction for one in parts]
            simulated += [np.mean(simulated, axis=0)] * (len(parts) > 1)
            for k, name in enumerate(data.targets):
                observed = parts[0].observed[..., k]
                file[f"{name}_observed"][basins] = observed
                names = [data.basins[b] for b in basins]
                for m, member in enumerate(members):
                    file[f"{name}_simulated"][m, basins] = simulated[m][..., k]
                    table = score_basins(metrics, names, name, observed, simulated[m][..., k])
                    table.loc[~counted[name][basins], "note"] = f"mean below {SNOW_MM:g} mm: not in the summary"
                    scores.append(table.assign(target=name, member=member))
                last = simulated[-1][..., k]
                days[name] += int((np.isfinite(observed) & np.isfinite(last)).sum())
                nse[name][basins] = cn_loss.score(observed, last, ["NSE"])["NSE"].where(counted[name][basins])

    print(forcing.report(spinup_days=0) if begin else forcing.report())
    found.note_runaways()
    if not any(days.values()):
        of = f"{len(members) - 1} members and their mean" if len(members) > 1 else members[0]
        words = f"Nothing was observed on any day from {start} to {end}, so nothing is scored."
        print(f"{words} The simulated series of {of} are in {out / 'series.nc'}")
        return
    order = pd.MultiIndex.from_product([data.targets, members, data.basins], names=["target", "member", "basin"])
    scores = pd.concat(scores).set_index(order.names).reindex(order).reset_index()
    scores["note"] = ["; ".join(filter(None, [of, *found.said[b]])) for of, b in scores[["note", "basin"]].to_numpy()]
    summary = summary_of(scores, counted, data, members)
    units = ", ".join(f"{name} in {data.about[name]['units']}" for name in data.targets)
    show(f"\n{basin_count(len(data.basins))}, {start} to {end}; {units}")
    scored = [name for name in data.targets if days[name]]
    show_table(cn_loss.shown_summary(summary.loc[scored]), float_format="{:.3f}".format, na_rep="–")
    show("Basin-days scored: " + ", ".join(f"{name} {number:,}" for name, number in days.items()))
    for name in filter(lambda name: is_snow(data.about[name]), scored):
        print(f"{name} is snow, as its {data.about[name]['snow']} says: it counts where its training-period mean "
              f"exceeds {SNOW_MM:g} mm.")  # fmt: skip
    learned = np.concatenate(group.learned(data.basins, start, end))
    write_csv(out / "scores.csv", scores.assign(learned_days=np.tile(learned, len(data.targets))), index=False)
    write_csv(out / "summary.csv", summary)
    draw_scores(out, data, nse, members[-1], note=f"{members[-1]}, {start} to {end}")
    print(f"\nScores, series and figures in {out}")
    print(f"Look inside: {look_inside(settings, group, data)}")


def look_inside(settings, group, data):
    """The command that shows the first run from inside; of folds the first ones' basins that it never saw."""
    run, basins = group.runs[0], settings.basins
    if group.folds:
        first = group.simulated_by(data.basins[0])[0]
        run, basins = group.runs[first], [b for b in data.basins if first in group.simulated_by(b)][:3]
    words = ["--run-dir", run.path]
    asked = {"period": settings.period, "basins": basins, **runs.elsewhere(settings)}
    for option, given in asked.items():
        if given:
            words += [f"--{option.replace('_', '-')}", *([given] if isinstance(given, str) else given)]
    return command("LSTM_output_Cn.py", *words, "--format", "page")


def check_options(group, settings):
    """Refuse metrics that are not known, and state files that are not one for each member."""
    begin_with = settings.begin_with
    if unknown := [name for name in settings.metrics if name not in cn_loss.METRICS]:
        raise InputError(f"There is no metric {unknown[0]}: choose from {', '.join(cn_loss.METRICS)}.")
    words = f"--begin-with needs one state file for each of the {len(group.members)} members, in their order"
    if begin_with and group.folds:
        raise InputError(f"{words}; there is none for folds.")
    if begin_with and len(begin_with) != len(group.members):
        raise InputError(f"{words}.")


def score_basins(metrics, basins, name, observed, simulated):
    """Scores of some basins for one target, a row each, and in words why a score has no value."""
    metrics = [metric for metric in metrics if name == "streamflow" or metric not in FLOW_METRICS]
    table = cn_loss.score(observed, simulated, metrics, index=basins)
    notes = []
    for (_, row), *pair in zip(table.iterrows(), observed, simulated, strict=True):
        reasons = {}
        for metric in row.index[row.isna()]:
            reasons.setdefault(cn_loss.why_nan(*pair, metric), []).append(metric)
        notes.append("; ".join(f"no {', '.join(missing)}: {reason}" for reason, missing in reasons.items()))
    return table.assign(note=notes).rename_axis("basin").reset_index()


def summary_of(scores, counted, data, members):
    """Median, mean and spread over basins of each metric, for each target and member."""
    summaries = {}
    for name in data.targets:
        unasked = () if name == "streamflow" else FLOW_METRICS
        for member in members:
            rows = scores[(scores["target"] == name) & (scores["member"] == member)][counted[name]]
            table = rows.drop(columns=["target", "member", "basin", "note", *unasked], errors="ignore")
            summaries[name, member] = cn_loss.summarise(table)
    return pd.concat(summaries, names=["target", "member", "metric"])


def draw_scores(out, data, nse, shown, note):
    """The distribution of NSE, hydrographs of a good, a median and a bad basin, and a map where places are known."""
    plots.score_distribution(nse, "NSE", out / "nse_distribution.png", note=note)
    order = np.argsort(nse["streamflow"])[: np.isfinite(nse["streamflow"]).sum()]
    tables, runoff, reading = [], "simulated streamflow", "concept, read from the cell states"
    with xr.open_dataset(out / "series.nc") as series:
        for share, word in ((0.9, "good"), (0.5, "median"), (0.1, "bad")) if len(order) else ():
            b = order[round(share * (len(order) - 1))]
            one = series.isel(basin=b).sel(member=shown)
            title = f"{word}: {data.basins[b]}, NSE {nse['streamflow'][b]:.2f}"
            for name in data.targets:
                line = runoff if name == "streamflow" else reading
                about = {"title": title, "name": name, "units": data.about[name]["units"], "date": one["date"].values}
                lines = {"observed": one[f"{name}_observed"].values, line: one[f"{name}_simulated"].values}
                tables.append(pd.DataFrame(about | lines))
    if tables:
        colours = plots.target_colours(data.targets)
        plots.series(pd.concat(tables), {runoff: colours, reading: colours}, out / "hydrographs.png")
    lon, lat = data.place["lon"].to_numpy(), data.place["lat"].to_numpy()
    if np.isfinite(lon + lat).any():
        plots.score_map(lon, lat, nse["streamflow"], "NSE", out / "nse_map.png")


if __name__ == "__main__":
    cli(main, settings)
