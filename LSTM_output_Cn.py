"""Write the cell states of a run to dated files, with the concepts as the probe reads them.

    python LSTM_output_Cn.py                                                    # the demo run, its test period, CSV
    python LSTM_output_Cn.py --run-dir runs/camels --period 2004-10-01 2008-09-30 --format netcdf --gates
    python LSTM_output_Cn.py --run-dir runs/camels --format page                # Cn.html, to open in a browser

CSV: one file per basin, Cn_<basin>.csv, with date, cn_1 ... cn_N (no unit), streamflow as simulated and the concepts as
the probe reads them, each in its unit.
netCDF: one file, Cn.nc, with c and h (basin, date, cell_state), the gates if asked for, and each target (basin, date).
page: one file, Cn.html, to walk through the cell states that carry the concepts; with --basins, through all of them.
Each basin is run as one sequence with a spin-up year before the period, which is not written. A run can also go on from
any Cn.nc of the same member that holds the day before; a period of one day makes a small one to keep:

    python LSTM_output_Cn.py --period 2012-09-30 2012-09-30 --format netcdf --out-dir today
    python LSTM_output_Cn.py --period 2012-10-01 2013-09-30 --begin-with today/Cn.nc
"""

from dataclasses import dataclass
from typing import Literal

from running.settings import checked_settings, read_command_line
from writing.messages import InputError, cli


@dataclass
class Settings:
    run_dir: str = "runs/demo"
    """Run directory that LSTM_train.py wrote."""
    period: tuple[str, str] | None = None
    """First and last day to write; the test period stored with the run if not given."""
    format: Literal["csv", "netcdf", "page"] = "csv"
    """csv: one file per basin with the cell states; netcdf: one file of cell and hidden states; page: for a browser."""
    gates: bool = False
    """Write the four gates too (netcdf), or the forget gate (page)."""
    basins: tuple[str, ...] = ()
    """Basin ids, or one file that lists them; the run's basins if empty."""
    seed: int | None = None
    """Member whose states are written; the first if not given."""
    begin_with: str | None = None
    """Cn.nc of this member that holds the day before the period, to begin with in place of the spin-up year."""
    data_dir: str | None = None
    """Where the data are now, if not where they were in training."""
    forcing: tuple[str, ...] = ()
    """Forcing product, if not that of the training: another one, or one's own, with the same inputs."""
    attributes: str | None = None
    """Table of the catchment attributes, if not those of the training."""
    out_dir: str | None = None
    """Folder for the files; if not given states_<start>_<end> in the run directory."""


if __name__ == "__main__":  # before the packages below, which take seconds to load
    settings = cli(read_command_line, Settings, __doc__)

import contextlib
import functools
import hashlib

import numpy as np
import pandas as pd
import xarray as xr

from probing import page
from probing.probes import joint_probes
from running import runs
from running.outside import attributes_outside
from running.simulation import forcing_report, scored_basins, simulate
from writing import netcdf, plots
from writing.files import replacing, write_csv
from writing.messages import basin_count, note, reason, some

LONG_NAMES = {"c": "cell state", "h": "hidden state", "i": "input gate", "f": "forget gate"}
LONG_NAMES |= {"g": "candidate (tanh) gate", "o": "output gate"}
SHOWN = 4  # cell states in the figure


def main(settings: Settings):
    settings = checked_settings(Settings, vars(settings), "Settings")
    if settings.gates and settings.format == "csv":
        raise InputError("Gates are not written to CSV: add --format netcdf, or --format page for the forget gate.")
    run = runs.load_run(settings.run_dir)
    seed = run.pick(settings.seed)
    model = run.model(seed)
    period = settings.period or run.settings["test_period"]
    data = run.data(period, settings.basins, **runs.elsewhere(settings))
    print(data.report)
    begin = read_states(settings.begin_with, model, data, data.dates(*period)[0]) if settings.begin_with else None
    notes = attributes_outside([(run, data)])
    if learned_from := runs.overlap(run, data.basins, period):
        note(learned_from)
    question = runs.question_of(run, data, settings) | {"seed": seed, "begin_with": settings.begin_with}
    out = runs.results_folder(run.path, "states", period, question, settings.out_dir)
    origin = {"seed": seed, **runs.origin(run, data, learned_from)}
    simulated = functools.partial(simulate, model, data, period, begin=begin)
    if settings.format == "page":
        counted = scored_basins(run.basins, data)
        options = page.Options(every=bool(settings.basins), gates=settings.gates, notes=notes)
        path = out / "Cn.html"
        parts, header = functools.partial(simulated, "cf"), page_header(origin, period)
        shown = page.write_page(path, data, parts, joint_probes(model), counted, header, options)
        size = f"{shown} of {model.units} cell states, {path.stat().st_size / 1e6:.1f} MB"
        written = f"{basin_count(len(data.basins))} with {size}. Open in a browser: {path}"
    else:
        write_states(settings, out, model, data, period, origin, simulated)
        written = f"Cell states of {basin_count(len(data.basins))}, {' to '.join(period)}, in {out}"
    print(forcing_report(data, period, spinup=begin is None))
    print(written)


def page_header(origin, period):
    """What the page says of the run."""
    header = {"period": " to ".join(period), "member": f"seed {origin['seed']}"}
    names = [name for name in ("source", "comment", "run", "learned_from") if name in origin]
    header |= {name.replace("_", " "): origin[name] for name in names}
    commit, _, changes = origin["git_commit"].partition("+")
    return header | {"code": f"{commit[:10]} {changes}"}


def write_states(settings, out, model, data, period, origin, simulated):
    """The cell states as CSV or netCDF, and a figure of the basin with most of the last concept: of snow, if any."""
    gates = "ifgo" if settings.gates else ""
    largest = -np.inf
    with contextlib.ExitStack() as stack:
        write = functools.partial(write_tables, out, data)
        if settings.format == "netcdf":
            path = stack.enter_context(replacing(out / "Cn.nc"))
            title = "Cell states of an LSTM and what its probe reads in them"
            origin = {"title": title, "model": identity(model), **origin}
            file = stack.enter_context(netcdf.create(path, data, data.dates(*period), origin))
            lay_out_states(file, data, model.units, "hc" + gates)
            write = functools.partial(write_netcdf, file)
        for part in simulated("hc" + gates, label="cell states"):
            write(part)
            means = part["observed"].isel(target=-1).mean("date").fillna(0).values
            if means.max() > largest:
                largest, shown = means.max(), part.isel(basin=int(means.argmax())).copy(deep=True)
    draw(out / f"states_{shown['basin'].item()}.png", data, shown, f"{' to '.join(period)}, seed {origin['seed']}")


def lay_out_states(file, data, number, states):
    """Lay out the netCDF file: the states by letter, and each target."""
    netcdf.add_index(file, "cell_state", list(range(1, number + 1)), "number of the cell state, from 1")
    for name in states:
        about = {"units": "1", "long_name": LONG_NAMES[name]}
        netcdf.add_series(file, name, about, LONG_NAMES[name], after=["cell_state"])
    for name in data.targets:
        meaning = "streamflow, simulated" if name == "streamflow" else f"{name}, as the probe reads it"
        netcdf.add_series(file, name, data.about[name], meaning)


def write_netcdf(file, part):
    """The states and readings of the basins of a part."""
    rows = part["position"].values
    for name in set(part) & set(LONG_NAMES):
        file[name][rows] = part[name]
    for name in part["target"].values:
        file[name][rows] = part["simulated"].sel(target=name)


def write_tables(out, data, part):
    """One CSV for each basin of a part."""
    header = [f"cn_{k}" for k in part["cell_state"].values]
    for name in data.targets:
        header.append(f"{name} {'simulated' if name == 'streamflow' else 'read'} ({data.about[name]['units']})")
    for basin in part["basin"].values:
        series = part.sel(basin=basin)
        table = np.hstack([series["c"], series["simulated"]])
        frame = pd.DataFrame(table, index=part.indexes["date"], columns=header)
        write_csv(out / f"Cn_{basin}.csv", frame, index_label="date")


def identity(model):
    """A digest of a model's weights and statistics: its states belong to it alone."""
    return hashlib.sha256(b"".join(np.asarray(weights).tobytes() for weights in model.get_weights())).hexdigest()[:16]


def read_states(path, model, data, first_day):
    """h and c (basin, cell_state) at the end of the day before `first_day` (datetime64[D]), from a Cn.nc."""
    try:
        with xr.open_dataset(path, engine="netcdf4") as file:
            if file.attrs.get("model") != identity(model):
                run, seed = (file.attrs.get(name, "unknown") for name in ("run", "seed"))
                raise InputError(f"{path} holds states of another model (run {run}, seed {seed}): write them anew.")
            if first_day - 1 not in file.indexes["date"]:
                first, last = (f"{day:%Y-%m-%d}" for day in file.indexes["date"][[0, -1]])
                problem = f"{path} holds {first} to {last}, not {first_day - 1}, the day before the period"
                raise InputError(f"{problem}: begin the --period on the day after one that it holds.")
            if absent := [basin for basin in data.basins if basin not in file["basin"]]:
                raise InputError(f"{path} lacks the basins {some(absent)}: name those it holds with --basins.")
            states = file[["h", "c"]].sel(basin=data.basins, date=first_day - 1).load()
    except (OSError, KeyError) as error:
        problem = f"{path} is not a Cn.nc that LSTM_output_Cn.py --format netcdf wrote ({reason(error)})"
        raise InputError(f"{problem}: write it anew.") from None
    if not all(np.isfinite(states[name]).all() for name in "hc"):
        raise InputError(f"{path} holds states that are not finite numbers on {first_day - 1}: choose another day.")
    return states


def draw(path, data, part, title):
    """The cell states that follow the concepts of one basin best by |r|, above the concepts, observed and read."""
    follows = []
    for name in data.targets[1:] or data.targets:
        series = part.sel(target=name)
        target = series["observed"] if series["observed"].notnull().any() else series["simulated"]
        follows.append(xr.corr(part["c"], target, dim="date").fillna(0).values)
    best = page.in_turn(follows)[:SHOWN]
    tables, dates = [], part.indexes["date"]
    for k in best:
        about = {"name": f"cn_{k + 1}", "units": plots.NO_UNIT, "observed": np.nan}
        tables.append(pd.DataFrame({"date": dates, "cell state": part["c"].values[:, k], **about}))
    for name in data.targets:
        series, about = part.sel(target=name), {"name": name, "units": data.about[name]["units"]}
        columns = {"date": dates, "observed": series["observed"].values}
        columns |= {"simulated or read": series["simulated"].values}
        tables.append(pd.DataFrame({**columns, **about}))
    colours = {f"cn_{k + 1}": plots.STATES[number] for number, k in enumerate(best)}
    lines = {"cell state": colours, "simulated or read": plots.target_colours(data.targets)}
    plots.series(pd.concat(tables).assign(title=f"{part['basin'].item()}, {title}"), lines, path)


if __name__ == "__main__":
    cli(main, settings)
