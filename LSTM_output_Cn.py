"""Write the cell states of a run to dated files, with the concepts as the probe reads them.

    python LSTM_output_Cn.py                                                    # the demo run, its test period, CSV
    python LSTM_output_Cn.py --run-dir runs/camels --period 2004-10-01 2008-09-30 --format netcdf --gates
    python LSTM_output_Cn.py --run-dir runs/camels --format page                # Cn.html, to open in a browser

CSV: one file per basin, Cn_<basin>.csv, with date, cn_1 ... cn_N (no unit), streamflow as simulated and the concepts as
the probe reads them, each in its unit.
netCDF: one file, Cn.nc, with c and h (basin, date, unit), the gates if asked for, and each target (basin, date).
page: one file, Cn.html, to walk through the cell states that carry the concepts; with --basins, through all of them.
Each basin is run as one sequence with a spin-up year before the period, which is not written. A run can also go on
where another one ended:

    python LSTM_output_Cn.py --period 2011-10-01 2012-09-30 --save-state
    python LSTM_output_Cn.py --period 2012-10-01 2013-09-30 \
        --begin-with runs/demo/states_2011-10-01_2012-09-30/state_2012-09-30.nc
"""

from dataclasses import dataclass
from typing import Literal

from running.settings import checked_settings, from_words
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
    save_state: bool = False
    """Write the state of the last day too, state_<day>.nc, with which another run can begin."""
    begin_with: str | None = None
    """State file to begin with in place of the spin-up year; it must be of this member and of the day before."""
    units_shown: int = 4
    """Number of cell states in the figure: those that follow the concepts of that basin best."""
    data_dir: str | None = None
    """Where the data are now, if not where they were in training."""
    forcing: tuple[str, ...] = ()
    """Forcing product, if not that of the training: another one, or one's own, with the same inputs."""
    attributes: str | None = None
    """Table of the catchment attributes, if not those of the training."""
    out_dir: str | None = None
    """Folder for the files; if not given states_<start>_<end>, and a seed or basins that are named, in the run."""


if __name__ == "__main__":  # before the packages below, which take seconds to load
    settings = cli(from_words, Settings, description=__doc__)

import contextlib
import functools
from pathlib import Path

import numpy as np
import pandas as pd

from cn_loss import METRICS
from probing import page
from probing.probes import joint_probes
from running import runs
from running.learned import learned_days, learned_words
from running.outside import Outside
from running.simulation import ForcingDays, scored_basins, simulate
from running.state_files import read_state, write_state
from writing import netcdf, plots
from writing.files import replacing, write_csv
from writing.messages import basin_count, note

LONG_NAMES = {"c": "cell state", "h": "hidden state", "i": "input gate", "f": "forget gate",
              "g": "candidate (tanh) gate", "o": "output gate"}  # fmt: skip


def main(settings: Settings):
    settings = checked_settings(Settings, vars(settings), "Settings")
    if settings.gates and settings.format == "csv":
        raise InputError("Gates are not written to CSV: add --format netcdf, or --format page for the forget gate.")
    if settings.save_state and settings.format == "page":
        raise InputError("--save-state goes with --format csv or netcdf.")
    if settings.units_shown < 1:
        raise InputError(f"--units-shown must be above 0, not {settings.units_shown}.")
    run = runs.load_run(settings.run_dir)
    seed = run.pick(settings.seed)
    model = run.model(seed)
    start, end = settings.period or run.settings["test_period"]
    data = run.data(start, end, settings.basins, **runs.elsewhere(settings))
    print(data.report)
    asked = None if seed == run.seeds[0] else seed, run.other_data(**runs.elsewhere(settings)), settings.begin_with
    own = runs.results_folder(run.path, "states", (start, end), data.basins, run.basins.index, *asked)
    out, words = Path(settings.out_dir or own), learned_words(run.lessons, data.basins, start, end)
    if words:
        note(words)
    dates = data.dates(start, end)
    begin = read_state(settings.begin_with, model, data, dates[0]) if settings.begin_with else None
    forcing, found = ForcingDays(data.basins, start, end), Outside(data.basins)
    found.compare([(run, data)], start, end)

    def simulated(label, **asked):
        """The parts of a simulation of the period, their days with forcing counted."""
        for part in simulate(model, data, start, end, progress=label, begin=begin, **asked):
            forcing.count(part, part.basins)
            found.count([part], part.basins)
            yield part

    write = functools.partial(page_of_states, found.said) if settings.format == "page" else write_states
    written = write(out, run, words, seed, model, data, (start, end), settings, simulated)
    print(forcing.report(spinup_days=0) if settings.begin_with else forcing.report())
    found.note_runaways()
    print(written)


def write_states(out, run, learned_from, seed, model, data, period, settings, simulated):
    """The cell states as CSV or netCDF, a figure of one basin and, if asked for, the states of the last day."""
    dates, origin = data.dates(*period), {"seed": seed, **runs.origin(run, data, learned_from)}
    last = np.empty((2, len(data.basins), model.units), np.float32)  # h and c at the end of the last day
    largest = -np.inf
    with contextlib.ExitStack() as stack:
        write = functools.partial(write_tables, out, data)
        if settings.format == "netcdf":
            path = stack.enter_context(replacing(out / "Cn.nc"))
            title = "Cell states of an LSTM and what its probe reads in them"
            file = stack.enter_context(netcdf.create(path, data, dates, {"title": title, **origin}))
            lay_out_states(file, data, model.units, settings.gates)
            write = functools.partial(write_netcdf, file, data)
        for part in simulated("cell states", states=True, gates=settings.gates):
            write(part)
            last[:, part.basins] = part.states["h"][:, -1], part.states["c"][:, -1]
            # The figure shows the basin with the largest mean of the last concept: of snow, if there is any.
            mean = np.nan_to_num(part.observed[..., -1]).mean(axis=1)
            b = int(np.argmax(mean))
            if mean[b] > largest:
                largest, basin = mean[b], data.basins[part.basins][b]
                shown = part.states["c"][b], part.observed[b], part.prediction[b]
    if settings.save_state:
        write_state(out / f"state_{dates[-1]}.nc", data, dates[-1], *last, model, origin)
    title = f"{basin}, {' to '.join(period)}, seed {seed}"
    draw(out / f"states_{basin}.png", data, dates, *shown, settings.units_shown, title)
    return f"Cell states of {basin_count(len(data.basins))}, {' to '.join(period)}, in {out}"


def page_of_states(said, out, run, learned_from, seed, model, data, period, settings, simulated):
    """One HTML file of the run for a browser; `said` is what it says of single basins."""
    path, made = out / "Cn.html", runs.origin(run, data)
    made |= {"learned from": learned_from} if learned_from else {}
    commit, _, changes = made.pop("git_commit").partition("+")
    header = {"period": " to ".join(period), "member": f"seed {seed}", **made, "code": f"{commit[:10]} {changes}"}
    counted, with_gates = scored_basins(run.basins, data), functools.partial(simulated, gates=True)
    learned = learned_days(run.lessons, data.basins, *period)
    for basin in learned.index[learned > 0] if (learned == 0).any() else ():  # of all of them the header says it
        said[basin].append(f"learned from on {learned[basin]:,} of these days")
    options = {"every": bool(settings.basins), "gates": settings.gates, "notes": said}
    shown = page.write_page(path, data, with_gates, joint_probes(model), counted, header, **options)
    what = f"{shown} of {model.units} cell states, {path.stat().st_size / 1e6:.1f} MB"
    return f"{basin_count(len(data.basins))} with {what}. Open in a browser: {path}"


def lay_out_states(file, data, number, gates):
    """Lay out the netCDF file: cell and hidden states, the gates if asked for, and each target."""
    netcdf.add_index(file, "unit", list(range(1, number + 1)), "number of the cell state, from 1")
    for name, words in LONG_NAMES.items():
        if gates or name in "ch":
            netcdf.add_series(file, name, {"units": "1", "long_name": words}, words, after=["unit"])
    for name in data.targets:
        words = "streamflow, simulated" if name == "streamflow" else f"{name}, as the probe reads it"
        netcdf.add_series(file, name, data.about[name], words)


def write_netcdf(file, data, part):
    """The states and readings of the basins of a part."""
    for name, values in part.states.items():
        file[name][part.basins] = values
    for k, name in enumerate(data.targets):
        file[name][part.basins] = part.prediction[..., k]


def write_tables(out, data, part):
    """One CSV for each basin of a part."""
    header = [f"cn_{k + 1}" for k in range(part.states["c"].shape[2])]
    for name in data.targets:
        header.append(f"{name} {'simulated' if name == 'streamflow' else 'read'} ({data.about[name]['units']})")
    for basin, states, read in zip(data.basins[part.basins], part.states["c"], part.prediction, strict=True):
        table = pd.DataFrame(np.hstack([states, read]), index=pd.DatetimeIndex(part.dates), columns=header)
        write_csv(out / f"Cn_{basin}.csv", table, index_label="date")


def draw(path, data, dates, states, observed, read, number, title):
    """The cell states that follow the concepts of one basin best by |r|, above the concepts, observed and read."""
    concepts = [
        {"name": name, "units": data.about[name]["units"], "observed": observed[:, k], "probed": read[:, k]}
        for k, name in enumerate(data.targets)
    ]
    rankings = []
    for concept in concepts[1:] or concepts:
        known = np.isfinite(concept["observed"]) & np.isfinite(states).all(axis=1)
        series = concept["observed"]
        if not known.any():  # a basin in which it was not observed
            series, known = concept["probed"], np.isfinite(concept["probed"])
        r = [abs(METRICS["r"](series[known], state)) for state in states[known].T]
        rankings.append(np.argsort(-np.nan_to_num(r), kind="stable"))
    best = list(dict.fromkeys(np.stack(rankings, axis=1).ravel().tolist()))[:number]  # from each concept in turn
    plots.states(dates, states[:, best], [f"cn_{k + 1}" for k in best], concepts[1:], title, path)


if __name__ == "__main__":
    cli(main, settings)
