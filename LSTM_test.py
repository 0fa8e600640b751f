"""Score a run over a chosen period with chosen metrics: a table, a CSV, a netCDF and figures.

    python LSTM_test.py                                                   # the demo run over its test period
    python LSTM_test.py --run-dir runs/camels --period 2004-10-01 2008-09-30 --metrics NSE KGE FHV

Everything about the model and its data comes from the run directory. Each basin is simulated as one sequence with a
spin-up year before the period, which is not scored. With several members each is scored, and the mean of their
simulations.
"""

from dataclasses import dataclass
from pathlib import Path

import tyro

FLOW_METRICS = ("log-NSE", "FHV", "FLV", "FMS")  # made for flow duration curves: not for soil water or snow


@dataclass
class Settings:
    run_dir: str = "runs/demo"
    """Run directory that LSTM_train.py wrote."""
    period: tuple[str, str] | None = None
    """First and last day to score; the test period stored with the run if not given."""
    metrics: tuple[str, ...] = ("NSE", "KGE", "alpha-NSE", "beta-NSE", "FHV", "FLV", "r", "RMSE")
    """Any of NSE, KGE, KGE2012, MSE, RMSE, r, alpha-NSE, beta-NSE, log-NSE, PBIAS, FHV, FLV, FMS."""
    basins: tuple[str, ...] = ()
    """Basin ids, or one file that lists them; the run's basins if empty. Basins it was not trained on are welcome."""
    data_dir: str | None = None
    """Where the data are now, if not where they were in training."""
    out_dir: str | None = None
    """Folder for the results; test_<start>_<end> in the run directory if not given."""


def main(settings: Settings):
    import numpy as np
    import pandas as pd
    import xarray as xr

    import cn_loss
    import hydrodata_tf as hydrodata
    import runs

    if unknown := [name for name in settings.metrics if name not in cn_loss.METRICS]:
        raise hydrodata.InputError(f"There is no metric {unknown[0]}: choose from {', '.join(cn_loss.METRICS)}.")
    run = runs.load_run(settings.run_dir)
    start, end = settings.period or run.settings["test_period"]
    out = Path(settings.out_dir or run.path / f"test_{start}_{end}")

    dataset = run.dataset(start, end, basins=list(settings.basins) or None, data_dir=settings.data_dir)
    print(dataset.attrs["report"])
    arrays = hydrodata.to_arrays(dataset, run.normalisation)
    scored_days = dataset["date"].values >= np.datetime64(start)
    basins, dates = dataset["basin"].values, dataset["date"].values[scored_days]
    observed = {name: dataset[name].values[:, scored_days] for name in run.targets}

    members = {}  # member -> target -> (basin, day) in the target's unit
    for seed in run.seeds:
        parts = runs.simulate(run.model(seed), arrays, progress=f"seed {seed}")
        prediction = np.concatenate([part["prediction"] for _, part in parts])[:, scored_days]
        members[f"seed {seed}"] = runs.in_units(prediction, run.normalisation)
    shown = "mean of members" if len(members) > 1 else next(iter(members))
    if len(members) > 1:
        members[shown] = {n: np.mean([simulated[n] for simulated in members.values()], axis=0) for n in run.targets}

    counted = runs.scored_basins(run.basins, dataset)
    scores, summaries = [], []
    for name in run.targets:
        for member, simulated in members.items():
            metrics = [m for m in settings.metrics if name == "streamflow" or m not in FLOW_METRICS]
            table = cn_loss.score(observed[name], simulated[name], metrics, index=basins)
            reasons = [
                why_nan(table.loc[b], *pair) for b, *pair in zip(basins, observed[name], simulated[name], strict=True)
            ]
            table["note"] = np.where(counted[name], reasons, f"mean below {runs.SNOW_MM:g} mm: not in the summary")
            scores.append(table.rename_axis("basin").reset_index().assign(target=name, member=member))
            summary = cn_loss.summarise(table.loc[counted[name], metrics])
            summaries.append(summary.rename_axis("metric").reset_index().assign(target=name, member=member))
    first = ["target", "member"]
    scores = pd.concat(scores).set_index([*first, "basin"]).reset_index()
    summary = pd.concat(summaries).set_index([*first, "metric"])
    units = ", ".join(f"{name} in {dataset[name].attrs['units']}" for name in run.targets)
    print(f"\n{len(basins)} basins, {start} to {end}; {units}")
    print(summary.to_string(float_format=lambda value: f"{value:.3f}"))

    runs.write_csv(out / "scores.csv", scores, index=False)
    runs.write_csv(out / "summary.csv", summary)
    series = xr.Dataset(coords={"basin": basins, "date": dates, "member": list(members)})
    for name in run.targets:
        attrs = {"units": dataset[name].attrs["units"]}
        series[f"{name}_observed"] = (("basin", "date"), observed[name], attrs)
        simulated = np.stack([values[name] for values in members.values()])
        series[f"{name}_simulated"] = (("member", "basin", "date"), simulated, attrs)
    series.attrs = {"title": f"Simulated and observed series of {run.path.name}", **runs.origin(run)}
    runs.write_netcdf(out / "series.nc", series)

    note = f"{shown}, {start} to {end}"
    figures(out, dataset, dates, observed, members[shown], counted, note)
    print(f"\nScores, series and figures in {out}")


def why_nan(scores, observed, simulated):
    """Why some of a basin's scores (a Series by metric) are NaN, in words; "" if none is."""
    import cn_loss

    reasons = {}
    for metric in scores.index[scores.isna()]:
        reasons.setdefault(cn_loss.why_nan(observed, simulated, metric), []).append(metric)
    return "; ".join(f"no {', '.join(metrics)}: {reason}" for reason, metrics in reasons.items())


def figures(out, dataset, dates, observed, simulated, counted, note):
    """The distribution of NSE, hydrographs of a good, a median and a bad basin, and a map where places are known."""
    import numpy as np

    import plots
    from cn_loss import score

    nse = {}
    for name in observed:
        nse[name] = score(observed[name], simulated[name], ["NSE"])["NSE"].where(counted[name]).to_numpy()
    plots.score_distribution(nse, "NSE", out / "nse_distribution.png", note=note)

    order = np.argsort(nse["streamflow"])[: np.isfinite(nse["streamflow"]).sum()]
    panels = []
    for share, word in ((0.9, "good"), (0.5, "median"), (0.1, "bad")) if len(order) else ():
        b = order[round(share * (len(order) - 1))]
        concepts = [
            {"name": n, "units": dataset[n].attrs["units"], "observed": observed[n][b], "simulated": simulated[n][b]}
            for n in observed
            if n != "streamflow"
        ]
        flow = {"dates": dates, "observed": observed["streamflow"][b], "simulated": simulated["streamflow"][b]}
        title = f"{word}: {dataset['basin'].values[b]}, NSE {nse['streamflow'][b]:.2f}"
        panels.append({"title": title, "concepts": concepts, **flow})
    if panels:
        plots.hydrographs(panels, out / "hydrographs.png")
    if np.isfinite(dataset["lat"].values).any():
        plots.score_map(dataset["lon"].values, dataset["lat"].values, nse["streamflow"], "NSE", out / "nse_map.png")


if __name__ == "__main__":
    chosen = tyro.cli(Settings, description=__doc__)
    from runs import cli

    cli(main)(chosen)
