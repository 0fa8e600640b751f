"""Simulate a chosen period into series.nc, then score that file: a table, a CSV and figures.

    python LSTM_test.py                                                   # the demo run over its test period
    python LSTM_test.py --run-dir runs/camels --period 2004-10-01 2008-09-30 --metrics NSE KGE FHV
    python LSTM_test.py --run-dir runs/folds                              # each basin by the run trained without it
    python LSTM_test.py --series runs/daymet/test_2004-10-01_2008-09-30/series.nc other/series.nc --out-dir mean

Simulate: everything about the model and its data comes from the run directory. Every member simulates each basin as one
sequence, with a spin-up year before the period that is not scored.
Score: each member, and the mean of all of them. --series scores files that are there, without a model: of two runs, of
two forcing products, or somebody else's simulation in the same layout: dimensions member, basin and date, variables
<target>_simulated (member, basin, date) and <target>_observed (basin, date) with their units.
Where nothing is observed, series.nc is all that is written.
"""

from dataclasses import dataclass

from running.settings import checked_settings, read_command_line
from writing.messages import InputError, cli


@dataclass
class Settings:
    run_dir: str = "runs/demo"
    """Run directory that LSTM_train.py wrote, or the folder that holds its folds."""
    series: tuple[str, ...] = ()
    """Files series.nc to score in place of a run, together with their mean; needs --out-dir."""
    period: tuple[str, str] | None = None
    """First and last day to simulate and score; the test period stored with the run if not given."""
    metrics: tuple[str, ...] = ("NSE", "KGE", "r", "alpha-NSE", "beta-NSE", "RMSE", "FHV", "FLV")
    """Any of NSE, KGE, KGE2012, MSE, RMSE, r, alpha-NSE, beta-NSE, log-NSE, PBIAS, FHV, FLV, FMS."""
    basins: tuple[str, ...] = ()
    """Basin ids, or one file that lists them; the run's basins if empty. Basins it was not trained on are welcome."""
    data_dir: str | None = None
    """Where the data are now, if not where they were in training."""
    forcing: tuple[str, ...] = ()
    """Forcing product, if not that of the training: another one, or one's own, with the same inputs."""
    attributes: str | None = None
    """Table of the catchment attributes, if not those of the training."""
    out_dir: str | None = None
    """Folder for the results; if not given test_<start>_<end> in the run directory."""


if __name__ == "__main__":  # before the packages below, which take seconds to load
    settings = cli(read_command_line, Settings, __doc__)

import contextlib
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from tqdm import tqdm

import cn_loss
import hydrodata_tf as hydrodata
from running import runs
from running.outside import attributes_outside
from running.settings import run_folders
from running.simulation import SNOW_MM, forcing_report, scored_basins, simulate
from writing import netcdf, plots
from writing.files import replacing, write_csv
from writing.messages import basin_count, command, note, some
from writing.screen import show, show_table

FLOW_METRICS = ("log-NSE", "FHV", "FLV", "FMS")  # made for flow duration curves: not for soil water or snow
MEAN = "mean of members"
NOT_COUNTED = f"mean below {SNOW_MM:g} mm: not in the summary"


def main(settings: Settings):
    settings = checked_settings(Settings, vars(settings), "Settings")
    unknown = [name for name in settings.metrics if name not in cn_loss.METRICS]
    if unknown or not settings.metrics:
        raise InputError(f"--metrics: choose from {', '.join(cn_loss.METRICS)}, not {some(unknown) or 'none'}.")
    if settings.series and not settings.out_dir:
        raise InputError("--series needs a folder for the results: name it with --out-dir.")
    out = None if settings.series else write_series(settings)
    with contextlib.ExitStack() as stack:
        paths = settings.series or [out / "series.nc"]
        files = [stack.enter_context(open_series(path)) for path in paths]
        score_files(settings, files, paths, out)
    if not settings.series:
        print(f"Look inside: {look_inside(settings)}")


def write_series(settings):
    """Simulate every basin by every member of a run, or of the fold that it is held out of; returns the folder."""
    folder = Path(settings.run_dir)
    parts = runs_and_basins(settings)
    first = parts[0][0]
    period = settings.period or first.settings["test_period"]
    basins = [basin for _, part in parts for basin in part]
    data = first.data(period, basins, **runs.elsewhere(settings))
    print(data.report)
    selected = [(run, [basins.index(basin) for basin in part]) for run, part in parts]
    notes = attributes_outside([(run, data.select(positions)) for run, positions in selected])
    if learned_from := next(filter(None, (runs.overlap(run, part, period) for run, part in parts)), ""):
        note(learned_from)
    models = [[run.model(seed) for seed in run.seeds] for run, _ in parts]
    out = runs.results_folder(folder, "test", period, runs.question_of(first, data, settings), settings.out_dir)
    members, dates = [f"seed {seed}" for seed in first.seeds], data.dates(*period)
    origin = {"title": f"Simulated and observed series of {folder.name}", **runs.origin(first, data, learned_from)}
    origin["run"] = folder.name
    with replacing(out / "series.nc") as path, netcdf.create(path, data, dates, origin) as file:
        netcdf.add_index(file, "member", members, "member of the run")
        remarks = ["; ".join(notes[basin]) for basin in data.basins]
        file.createVariable("note", str, ("basin",))[:] = np.array(remarks, object)
        file["note"].long_name = "what lies outside of what the run learned from"
        counted = scored_basins(pd.concat([run.basins for run, _ in parts]).groupby(level=0).first(), data)
        for name in data.targets:
            netcdf.add_series(file, f"{name}_observed", data.about[name], f"{name}, observed")
            netcdf.add_series(file, f"{name}_simulated", data.about[name], f"{name}, simulated", before=["member"])
            about = f"whether {name} counts in the summary: snow where its training-period mean exceeds {SNOW_MM:g} mm"
            netcdf.add_table(file, f"{name}_counted", ("basin",), counted[name].to_numpy(int), long_name=about)
        for (run, positions), models_of_run in zip(selected, models, strict=True):
            for m, model in enumerate(models_of_run):
                label = f"{run.path.name} {members[m]}"
                for part in simulate(model, data.select(positions), period, label=label):
                    rows = np.array(positions)[part["position"]]
                    for name in data.targets:
                        file[f"{name}_observed"][rows] = part["observed"].sel(target=name)
                        file[f"{name}_simulated"][m, rows] = part["simulated"].sel(target=name)
    print(forcing_report(data, period))
    return out


def runs_and_basins(settings):
    """The runs that simulate, each with its basins: one run, or the folds, each with those that it holds out."""
    folders = run_folders(settings.run_dir)
    folds = [runs.load_run(path) for path in folders]
    chosen = hydrodata.read_basins(settings.basins) if settings.basins else []
    if folders == [Path(settings.run_dir)]:
        return [(folds[0], chosen or list(folds[0].basins.index))]
    if any(run.seeds != folds[0].seeds or len(folds) != run.settings["folds"] for run in folds):
        go_on = command("LSTM_train.py", "--resume", "--run-dir", settings.run_dir)
        raise InputError(f"{settings.run_dir} does not hold all folds with the same seeds: go on with {go_on}")
    held_out = {run.path.name: hydrodata.read_basins(run.path / "held_out.csv") for run in folds}
    if unknown := sorted(set(chosen) - set().union(*held_out.values())):
        raise InputError(f"No fold holds out {some(unknown)}: name one of the folds' runs, such as {folders[0]}.")
    kept = [[basin for basin in basins if basin in chosen or not chosen] for basins in held_out.values()]
    return [(run, basins) for run, basins in zip(folds, kept, strict=True) if basins]


def open_series(path):
    """A file of series, not read yet."""
    try:
        file = xr.open_dataset(path)
        lacking = {"member", "basin", "date"} - set(file.coords)
        if lacking or not [name for name in file if name.endswith("_simulated")]:
            raise ValueError(f"no {', '.join(sorted(lacking)) or 'variable <target>_simulated'}")
        return file
    except (OSError, ValueError) as error:
        problem = f"{path} is not a file of series ({str(error).splitlines()[0]:.100})"
        raise InputError(f"{problem}: LSTM_test.py --help tells its layout.") from None


def score_files(settings, files, paths, out):
    """Score every member of some files of series, and the mean of all of them, in the basins that all files hold."""
    first = files[0]
    targets = [name.removesuffix("_simulated") for name in first if name.endswith("_simulated")]
    for file, path in zip(files, paths, strict=True):
        refuse_other_series(first, file, targets, path)
    basins = [basin for basin in first["basin"].values if all(basin in file["basin"] for file in files)]
    if not basins:
        raise InputError(f"{' and '.join(map(str, paths))} have no basin in common.")
    tables, days = score_basins(settings, files, targets, basins)
    dates = first.indexes["date"]
    span = f"{dates[0]:%Y-%m-%d} to {dates[-1]:%Y-%m-%d}"
    if not any(days.values()):
        print(f"Nothing was observed on any day from {span}, so nothing is scored.")
        print(f"The simulated series of {basin_count(len(basins))} are in {some(paths)}")
        return
    if settings.series:
        question = {"series": [str(Path(path).resolve()) for path in paths]}
        out = runs.results_folder("", "test", (), question, settings.out_dir)
    scores = pd.concat(tables, names=["target", "member"]).reset_index(["target", "member"])
    write_csv(out / "scores.csv", scores[["target", "member", "basin", *settings.metrics, "note"]], index=False)
    units = ", ".join(f"{name} in {units_of(first, name)}" for name in targets)
    show(f"\n{basin_count(len(basins))}, {span}; {units}")
    write_csv(out / "summary.csv", show_summary(settings.metrics, tables, days))
    *_, last = (table for (name, _), table in tables.items() if name == targets[0])  # of the mean of all members
    nse = last.set_index("basin")["NSE"]
    draw_hydrographs(out, nse, targets, files)
    if {"lat", "lon"} <= set(first.coords) and first["lon"].notnull().any():
        lon, lat = (first[name].sel(basin=basins).values for name in ("lon", "lat"))
        plots.score_map(lon, lat, nse.to_numpy(), "NSE", out / "nse_map.png")
    print(f"\nScores and figures in {out}")


def score_basins(settings, files, targets, basins):
    """Scores {(target, member): table (basin)} of all members and their mean, and the days scored of each target."""
    members = names_of_members(files)
    shown = [*members, MEAN] if len(members) > 1 else members
    rows = {(name, member): [] for name in targets for member in shown}
    days = dict.fromkeys(targets, 0)
    for basin in tqdm(basins, "scoring", disable=None, unit="basin"):
        series = [file.sel(basin=basin).load() for file in files]
        for name in targets:
            observed, simulated = observed_and_simulated(series, name)
            simulated = [*simulated, simulated.mean(axis=0)] if len(members) > 1 else simulated
            days[name] += int((np.isfinite(observed) & np.isfinite(simulated[-1])).sum())
            counted = bool(series[0].get(f"{name}_counted", True))
            notes = [NOT_COUNTED] * (not counted) + [str(part["note"].item()) for part in series if "note" in part]
            for member, values in zip(shown, simulated, strict=True):
                row = score_row(observed, values, metrics_of(settings.metrics, name), notes)
                rows[name, member].append({"basin": str(basin), **row, "counted": counted})
    return {key: pd.DataFrame(table) for key, table in rows.items()}, days


def observed_and_simulated(series, name):
    """One basin's observed series (day,) of a target, of the first file, and the simulated (member, day) of all."""
    simulated = [part[f"{name}_simulated"].transpose("member", "date").values for part in series]
    return series[0][f"{name}_observed"].values, np.concatenate(simulated)


def show_summary(metrics, tables, days):
    """Show and give median, mean and spread over the basins that count, for each target, member and metric."""
    summaries = {}
    for (name, member), table in tables.items():
        if asked := metrics_of(metrics, name):
            summaries[name, member] = cn_loss.summarise(table.loc[table["counted"], asked])
    summary = pd.concat(summaries, names=["target", "member", "metric"])
    scored = summary[[days[name] > 0 for name in summary.index.get_level_values("target")]]
    show_table(cn_loss.shown_summary(scored), float_format="{:.3f}".format, na_rep="–")
    show("Basin-days scored: " + ", ".join(f"{name} {number:,}" for name, number in days.items()))
    left_out = {name: int((~table["counted"]).sum()) for (name, _), table in tables.items()}
    for name, number in left_out.items():
        if number:
            print(f"{name}: {number} of {basin_count(len(table))} with a {NOT_COUNTED}.")
    return summary


def metrics_of(metrics, name):
    """The metrics that a target is scored with."""
    return [metric for metric in metrics if name == "streamflow" or metric not in FLOW_METRICS]


def units_of(file, name):
    """The unit of a target in a file of series, as `netcdf.add_series` writes it."""
    about = file[f"{name}_simulated"].attrs
    return about.get("comment", "").removeprefix("in ") or about.get("units", "no unit")


def refuse_other_series(first, file, targets, path):
    """Refuse a file of series with other targets, units or days than the first one, or without observations."""
    for name in targets:
        for variable in (f"{name}_simulated", *([f"{name}_observed"] if file is first else [])):
            if variable not in file:
                raise InputError(f"{path} holds no {variable}: all files need the same targets.")
        if units_of(file, name) != units_of(first, name):
            units = f"{name} is in {units_of(file, name)}, in the first file in {units_of(first, name)}"
            raise InputError(f"{path}: {units}. Simulate both in the same unit.")
    if not first.indexes["date"].equals(file.indexes["date"]):
        raise InputError(f"{path} holds other days than the first file: simulate both with the same --period.")


def names_of_members(files):
    """The names of all members; of several files each behind the file's number and the name of its run."""
    labels = [f"{k}. {file.attrs.get('run', 'file')} " if len(files) > 1 else "" for k, file in enumerate(files, 1)]
    return [f"{label}{name}" for label, file in zip(labels, files, strict=True) for name in file["member"].values]


def score_row(observed, simulated, metrics, notes):
    """The scores of one basin, target and member, NSE always, and why a score has no value."""
    names = list(dict.fromkeys([*metrics, "NSE"]))
    row = cn_loss.score(observed[None], simulated[None], names).iloc[0].to_dict()
    reasons = {}
    for name in metrics:
        if np.isnan(row[name]):
            reasons.setdefault(cn_loss.why_nan(observed, simulated, name), []).append(name)
    missing = [f"no {', '.join(names)}: {reason}" for reason, names in reasons.items()]
    return row | {"note": "; ".join(filter(None, [*missing, *notes]))}


def draw_hydrographs(out, nse, targets, files):
    """The series of a good, a median and a bad basin by the NSE of the first target; the mean of all members."""
    runoff, reading, tables = "simulated", "read from the cell states", []
    for basin, word in plots.shown_basins(nse).items():
        series = [file.sel(basin=basin).load() for file in files]
        for name in targets:
            observed, simulated = observed_and_simulated(series, name)
            line = runoff if name == "streamflow" else reading
            table = pd.DataFrame({"date": files[0]["date"], "observed": observed, line: simulated.mean(axis=0)})
            title = f"{word}: {basin}, NSE {nse[basin]:.2f}"
            tables.append(table.assign(title=title, name=name, units=units_of(files[0], name)))
    if tables:
        colours = plots.target_colours(targets)
        plots.series(pd.concat(tables), {runoff: colours, reading: colours}, out / "hydrographs.png")


def look_inside(settings):
    """The command that shows the run, or its first fold, from inside."""
    folder = run_folders(settings.run_dir)[0]
    words = ["--run-dir", folder]
    chosen = {"period": settings.period, "basins": settings.basins, **runs.elsewhere(settings)}
    for option, given in chosen.items():
        if given:
            words += [f"--{option.replace('_', '-')}", *([given] if isinstance(given, str) else given)]
    return command("LSTM_output_Cn.py", *words, "--format", "page")


if __name__ == "__main__":
    cli(main, settings)
