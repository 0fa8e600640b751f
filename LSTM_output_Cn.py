"""Write the cell states of a run to dated files, with the concepts as the probe reads them.

    python LSTM_output_Cn.py                                                    # the demo run, its test period, CSV
    python LSTM_output_Cn.py --run-dir runs/camels --period 2004-10-01 2008-09-30 --format netcdf --gates

CSV: one file per basin, Cn_<basin>.csv, with date, cn_1 ... cn_N (no unit) and each target in its unit.
netCDF: one file, Cn.nc, with c and h (basin, date, unit), the gates if asked for, and each target (basin, date).
Each basin is run as one sequence with a spin-up year before the period, which is not written.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import tyro

LONG_NAMES = {
    "c": "cell state",
    "h": "hidden state",
    "i": "input gate",
    "f": "forget gate",
    "g": "candidate (tanh) gate",
    "o": "output gate",
}


@dataclass
class Settings:
    run_dir: str = "runs/demo"
    """Run directory that LSTM_train.py wrote."""
    period: tuple[str, str] | None = None
    """First and last day to write; the test period stored with the run if not given."""
    format: Literal["csv", "netcdf"] = "csv"
    """csv: one file per basin with the cell states; netcdf: one file with cell and hidden states."""
    gates: bool = False
    """Write the four gates too (netcdf)."""
    basins: tuple[str, ...] = ()
    """Basin ids, or one file that lists them; the run's basins if empty."""
    seed: int | None = None
    """Member whose states are written; the first if not given."""
    units_shown: int = 4
    """Number of cell states in the figure: those that follow the concepts of that basin best."""
    data_dir: str | None = None
    """Where the data are now, if not where they were in training."""
    out_dir: str | None = None
    """Folder for the files; states_<start>_<end> in the run directory if not given."""


def main(settings: Settings):
    import netCDF4
    import pandas as pd

    import hydrodata_tf as hydrodata
    import plots
    import runs

    if settings.gates and settings.format == "csv":
        raise hydrodata.InputError("Gates are written to netCDF only: add --format netcdf.")
    run = runs.load_run(settings.run_dir)
    seed = run.seeds[0] if settings.seed is None else settings.seed
    if seed not in run.seeds:
        raise hydrodata.InputError(f"{run.path} has no member of seed {seed}: choose from {run.seeds}.")
    model = run.model(seed)
    start, end = settings.period or run.settings["test_period"]
    out = Path(settings.out_dir or run.path / f"states_{start}_{end}")

    dataset = run.dataset(start, end, basins=list(settings.basins) or None, data_dir=settings.data_dir)
    print(dataset.attrs["report"])
    arrays = hydrodata.to_arrays(dataset, run.normalisation)
    written = dataset["date"].values >= np.datetime64(start)
    basins, dates = dataset["basin"].values, pd.DatetimeIndex(dataset["date"].values[written])
    units = {name: dataset[name].attrs["units"] for name in run.targets}

    variables = ["c", "h", *("ifgo" if settings.gates else "")]
    shown = snowiest(dataset)
    with contextlib.ExitStack() as stack:
        if settings.format == "netcdf":
            path = stack.enter_context(runs.replacing(out / "Cn.nc"))
            file = stack.enter_context(netCDF4.Dataset(path, "w"))
            describe(file, basins, dates, model.units, variables, units, runs.origin(run) | {"seed": seed})
        for part, states in runs.simulate(model, arrays, states=True, gates=settings.gates, progress="cell states"):
            read = {
                name: values[:, written]
                for name, values in runs.in_units(states.pop("prediction"), run.normalisation).items()
            }
            states = {name: values[:, written] for name, values in states.items()}
            if settings.format == "netcdf":
                for name, values in {**states, **read}.items():
                    file[name][part] = values
            else:
                for b, basin in enumerate(basins[part]):
                    table = np.column_stack([states["c"][b], *(read[name][b] for name in units)])
                    header = [f"cn_{k + 1}" for k in range(model.units)] + [
                        f"{n} ({unit})" for n, unit in units.items()
                    ]
                    frame = pd.DataFrame(table, index=dates, columns=header)
                    runs.write_csv(out / f"Cn_{basin}.csv", frame, index_label="date")
            if part.start <= shown < part.stop:
                chosen_states = states["c"][shown - part.start], {n: v[shown - part.start] for n, v in read.items()}
    print(f"Cell states of {len(basins)} basins, {start} to {end}, in {out}")

    states, read = chosen_states
    concepts = [
        {"name": n, "units": units[n], "observed": dataset[n].values[shown][written], "probed": read[n]} for n in read
    ]
    best = best_units(states, concepts[1:] or concepts, settings.units_shown)
    title = f"{basins[shown]}, {start} to {end}, seed {seed}"
    figure = out / f"states_{basins[shown]}.png"
    plots.states(dates, states[:, best], [f"cn_{k + 1}" for k in best], concepts[1:], title, figure)


def snowiest(dataset):
    """Position of the basin with the largest mean of the last concept (of streamflow if there is none)."""
    name = ["streamflow", *dataset.attrs["concepts"]][-1]
    return int(np.argmax(dataset[name].mean("date").fillna(-1).values))


def best_units(states, concepts, number):
    """The units whose states follow the observed concepts best by |r|, taken in turn from each concept's ranking."""
    from cn_loss import METRICS

    rankings = []
    for concept in concepts:
        known = np.isfinite(concept["observed"]) & np.isfinite(states).all(axis=1)
        r = [abs(METRICS["r"](concept["observed"][known], state)) for state in states[known].T]
        rankings.append(np.argsort(-np.nan_to_num(r), kind="stable"))
    return list(dict.fromkeys(int(k) for k in np.stack(rankings, axis=1).ravel()))[:number]


def describe(file, basins, dates, number, variables, units, origin):
    """Lay out the netCDF file: dimensions, coordinates, variables with their units, where it comes from."""
    for name, size in (("basin", len(basins)), ("date", len(dates)), ("unit", number)):
        file.createDimension(name, size)
    file.createVariable("basin", str, ("basin",))[:] = basins.astype(object)
    file.createVariable("unit", "i4", ("unit",))[:] = np.arange(1, number + 1)
    file["unit"].long_name = "number of the cell state, from 1"
    file.createVariable("date", "i4", ("date",))[:] = (dates - dates[0]).days
    file["date"].setncatts({"units": f"days since {dates[0]:%Y-%m-%d}", "calendar": "standard"})
    for name in variables:
        file.createVariable(name, "f4", ("basin", "date", "unit"))
        file[name].setncatts({"units": "1", "long_name": LONG_NAMES[name]})
    for name, unit in units.items():
        file.createVariable(name, "f4", ("basin", "date"), fill_value=np.nan)
        reader = "simulated streamflow" if name == "streamflow" else f"{name} as the probe reads it"
        file[name].setncatts({"units": unit, "long_name": reader})
    file.setncatts({"title": "Cell states of an LSTM and what its probe reads in them", **origin})


if __name__ == "__main__":
    chosen = tyro.cli(Settings, description=__doc__)
    from runs import cli

    cli(main)(chosen)
