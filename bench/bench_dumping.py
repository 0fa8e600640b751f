"""How long LSTM_output_Cn.py takes to write every cell state, as netCDF and as CSV.

    uv run bench/bench_dumping.py                                      # the demo catchments
    uv run bench/bench_dumping.py --data-dir camels_us --forcing maurer_extended --basins s_391attrs.csv
        --concepts "swe=swe/{number}.csv:uaz_swe[mm]" --period 2000-10-01 2008-09-30    # 391 basins, 8 years (one line)

The script runs as a process of its own, from start to the end of its figure, on a run directory with an untrained model
that is made first (so the data are in the reader's cache). Afterwards a few basins' states in the files are held to the
model's own.
"""

import sys
import tempfile
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, fields
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pandas as pd
import tyro
from machine import ROOT, DataSettings, machine, make_demo_data, run_command
from tqdm import tqdm

import LSTM_train


@dataclass
class Settings(DataSettings):
    concepts: tuple[str, ...] = ()
    """Concepts as LSTM_train.py takes them."""
    period: tuple[str, str] = ("2002-10-01", "2010-09-30")
    """First and last day to write."""
    hidden_size: int = 64
    """Number of cell states."""
    formats: tuple[str, ...] = ("netcdf", "csv")
    """What to write."""
    rounds: int = 1
    """Times each format is written; the table holds medians."""
    out: Path = Path("bench_dumping.csv")
    """CSV of the table."""


def make_run(settings, run_dir):
    """A run directory with an untrained model; returns it as the other scripts read it."""
    import hydrodata_tf as hydrodata
    from reading import windows
    from running import runs

    make_demo_data(settings.data_dir)
    shared = {f.name for f in fields(Settings)} & {f.name for f in fields(LSTM_train.Settings)}
    options = {name: getattr(settings, name) for name in shared}
    options |= {"run_dir": str(run_dir), "train_period": settings.period, "test_period": settings.period}
    options = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(LSTM_train.Settings(**options)).items()}
    data = hydrodata.open_data(settings.data_dir, settings.forcing, settings.basins or None, concepts=settings.concepts)
    training = windows.training_set(data, *settings.period)
    runs.create_run(run_dir, options, training, resume=False)
    runs.write_model(Path(run_dir) / "seed_1" / "model.keras", runs.build_model(options, training.normalisation, 1))
    return runs.load_run(run_dir)


def check(run, settings, out):
    """Hold the states in the files of the first, a middle and the last basin to the model's."""
    import netCDF4

    from running import simulation

    basins = list(run.basins.index[[0, len(run.basins) // 2, -1]].unique())
    data = run.data(*settings.period, basins)
    parts = simulation.simulate(run.model(1), data, *settings.period, states=True)
    states = np.concatenate([part.states["c"] for part in parts])
    for b, basin in enumerate(basins):
        if "netcdf" in settings.formats:
            with netCDF4.Dataset(out / "netcdf" / "Cn.nc") as file:
                found = file["c"][list(file["basin"][:]).index(basin)]
            np.testing.assert_allclose(found, states[b], rtol=1e-5, atol=1e-5, err_msg=f"netCDF, basin {basin}")
        if "csv" in settings.formats:
            found = pd.read_csv(out / "csv" / f"Cn_{basin}.csv").filter(regex="^cn_").to_numpy()
            np.testing.assert_allclose(found, states[b], rtol=1e-5, atol=1e-5, err_msg=f"CSV, basin {basin}")
    print(f"The files hold the model's states (basins {', '.join(basins)}).")


def main(settings):
    """Write, check, print the table and write it."""
    print(machine("keras", "tensorflow", "netCDF4", "pandas"))
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        run = make_run(settings, folder / "run")
        days = len(pd.date_range(*settings.period))
        rows = []
        for form in tqdm(settings.formats, "formats", disable=None):
            command = [sys.executable, ROOT / "LSTM_output_Cn.py", "--run-dir", folder / "run", "--format", form]
            command += ["--period", *settings.period, "--out-dir", folder / form]
            times = []
            for _ in range(settings.rounds):
                with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
                    seconds, memory = pool.submit(run_command, [str(word) for word in command]).result()
                times.append(seconds)
            size = sum(p.stat().st_size for p in (folder / form).iterdir()) / 1e6
            rows.append({"format": form, "basins": len(run.basins), "days": days, "hidden": settings.hidden_size})
            rows[-1] |= {"seconds": np.median(times), "MB": size, "MB/s": size / np.median(times)}
            rows[-1]["peak memory GB"] = memory
        check(run, settings, folder)
    table = pd.DataFrame(rows)
    table[f"seconds / {settings.formats[0]}"] = table["seconds"] / table["seconds"].iloc[0]
    print(table.to_string(index=False, float_format="{:.4g}".format))
    table.to_csv(settings.out, index=False, float_format="%.4g")
    print(f"The table is in {settings.out}.")


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
