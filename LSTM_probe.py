"""Ask a trained run what its cell states hold: linear probes beside their controls, and what happens if states change.

    python LSTM_probe.py                                             # the demo run
    python LSTM_probe.py --run-dir runs/camels --compare runs/camels_runoff_only
    python LSTM_probe.py --run-dir runs/camels_runoff_only --concepts "swe=swe/{number}.csv:uaz_swe[mm]"
    python LSTM_probe.py --run-dir runs/camels --memory swe --observer "swe=snodas/{number}.csv:snodas_swe[mm]"

Every probe is a ridge regression from one day's features to one day's concept, fitted on one period and scored on
another; as a second split it is fitted on four fifths of the basins and scored on the rest, in the other period again.
The controls are scored in the same way: what a probe reads in an untrained LSTM, in the weather alone, for the concept
of other years, and the mean of each day of the year. What the cell states hold is what exceeds them all.

Then cell states are moved along the smallest change that raises a reading by one standard deviation, the model runs
on, and the change of runoff and of every reading is set against random changes of the same length.

--memory puts an observed concept back into the cell states every few days, and exchanges the states of a wet and a dry
year; --observer scores what is read by an observation that the model did not learn from.
"""

import functools
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

WINDOWS = (7, 30, 90, 365)  # days of the weather's trailing means


@dataclass
class Settings:
    run_dir: str = "runs/demo"
    """Run directory that LSTM_train.py wrote."""
    period: tuple[str, str] | None = None
    """First and last day on which the probes are scored; the test period stored with the run if not given."""
    fit_period: tuple[str, str] | None = None
    """First and last day on which the probes are fitted; the training period stored with the run if not given."""
    concepts: tuple[str, ...] = ()
    """Concepts to look for, written as for LSTM_train.py; the run's own if empty. A run of runoff alone needs them."""
    compare: str | None = None
    """Another run directory, for example of runoff alone with the same seed, whose states are probed as well."""
    basins: tuple[str, ...] = ()
    """Basin ids, or one file that lists them; the run's basins if empty."""
    seed: int | None = None
    """Member whose states are probed; the first if not given."""
    intervention_days: tuple[str, ...] = ()
    """Days at whose end the states are changed; the first of each month of the first year scored if empty."""
    intervention_basins: int = 100
    """Number of basins whose states are changed, drawn at random if there are more; 0 leaves the interventions out."""
    random_directions: int = 10
    """Number of random changes that each intervention is set against."""
    memory: str | None = None
    """Concept, such as swe, that is put back into the cell states as observed (how much and how often is chosen in the
    validation period stored with the run), and whose wettest and driest year exchange their states."""
    exchange_day: str = "04-01"
    """Month and day at whose end they do."""
    observer: str | None = None
    """Another observation of one of the concepts, with that concept's name, written as for LSTM_train.py."""
    draw: int = 0
    """Seed of every random draw here: groups of basins, bootstrap, random changes."""
    data_dir: str | None = None
    """Where the data are now, if not where they were in training."""
    out_dir: str | None = None
    """Folder for the results; probe_<start>_<end> in the run directory if not given."""


def main(settings: Settings):
    from probing import memory, report
    from probing.probes import (
        JOINT,
        REAL,
        SEASON,
        SHIFTED,
        SPARSE,
        TODAY,
        UNTRAINED,
        WEATHER,
        Readings,
        fold_of_basins,
        joint_probes,
    )
    from running import runs, simulation
    from writing import netcdf
    from writing.files import InputError, replacing, write_csv

    logging.getLogger("tensorflow").setLevel("ERROR")  # it warns that several models are compiled, as they must be
    run = runs.load_run(settings.run_dir)
    seed = run.pick(settings.seed)
    texts = list(settings.concepts or run.settings["concepts"])
    if not texts:
        raise InputError(f"{run.path} was trained on runoff alone: say what to look for with --concepts.")
    period = settings.period or run.settings["test_period"]
    fit_period = settings.fit_period or run.settings["train_period"]
    check(settings, period, fit_period, run.settings["valid_period"])
    out = Path(settings.out_dir or run.path / f"probe_{period[0]}_{period[1]}")

    read = functools.partial(run.data, *period, settings.basins, data_dir=settings.data_dir)
    data = read(texts)
    names, dates, fit_dates = data.targets[1:], data.dates(*period), data.dates(*fit_period)
    observed = memory.independent(read([settings.observer]), data, dates) if settings.observer else None
    years = memory.exchange_days(settings.memory, settings.exchange_day, names, dates) if settings.memory else None
    print(data.report)
    if len(data.basins) < 2:
        raise InputError("Probes need at least two basins: their penalty is chosen by leaving basins out.")
    fitted, counted = judge(data, fit_period, period)
    days = start_days(settings, dates) if settings.intervention_basins else None

    model = run.model(seed)
    untrained = runs.build_model(run.settings, run.normalisation, seed)  # the weights this member began with
    joint = joint_probes(model, names)
    readers = [REAL, SPARSE, *([JOINT] if joint else []), UNTRAINED, TODAY, WEATHER, SHIFTED, SEASON]
    if settings.compare:
        other = runs.load_run(settings.compare)
        label = f"cell states of {other.path.name}"
        readers.insert(readers.index(UNTRAINED), label)
        other_data = other.data(*period, data.basins, texts, settings.data_dir)
        other_model = other.model(other.pick(seed if seed in other.seeds else None))

    origin = {"title": f"Linear probes on the cell states of {run.path.name}, seed {seed}",
              "fit_period": " to ".join(fit_period), **runs.origin(run)}  # fmt: skip
    with replacing(out / "probe.nc") as path, netcdf.create(path, data, dates, origin) as file:
        report.describe(file, data, readers)
        fold = fold_of_basins(data.basins, settings.draw)
        table = Readings(names, fold, fit_dates, dates, report.keeper(file, readers), folder=out)
        table.add(REAL, states(model, data, fit_period, REAL), states(model, data, period, REAL),
                  extra=(SPARSE, SHIFTED), joint=joint)  # fmt: skip
        if settings.compare:
            table.add(label, *(states(other_model, other_data, span, label) for span in (fit_period, period)))
        table.add(UNTRAINED, *(states(untrained, data, span, UNTRAINED) for span in (fit_period, period)))
        for name, windows in ((TODAY, ()), (WEATHER, WINDOWS)):
            table.add(name, *(weather(model, data, span, windows) for span in (fit_period, period)))
        table.add_season(weather(model, data, period, ()))

        note = f"mean below {simulation.SNOW_MM:g} mm: not in the summary"
        scores = table.scores(data.basins, counted, note)
        summary = report.summarise(scores, settings.draw)
        statistics = unit_statistics_of(model, data, period, names)
        units, best = report.unit_tables(table, statistics, counted)
        print(f"\n{len(data.basins)} basins; fitted on {' to '.join(fit_period)}, scored on {' to '.join(period)}.")
        report.show(summary, names, counted)
        report.show_units(units, names)
        curves = []
        if settings.intervention_basins:
            probes = {name: table.fits[name, REAL].every for name in names}
            spread = {name: fitted[f"std_{name}"].to_numpy() for name in names}
            curves = intervene(settings, model, data, period, days, probes, spread, statistics.covariance, counted)
            changes = report.summarise_interventions(curves, data, settings.draw)
            report.show_verdicts(changes)
            write_csv(out / "interventions.csv", changes, index=False)
        report.write(file, data, readers, scores, units, curves)

    write_csv(out / "scores.csv", scores, index=False)
    write_csv(out / "summary.csv", summary, index=False)
    write_csv(out / "units.csv", units, index=False)
    for chosen in best.values():
        one = data.select([chosen["basin"]])
        (part,) = states(model, one, period, None)
        chosen["states"] = part.features[0, :, chosen["unit"]]
    report.figures(out, data, scores, summary, units, best, curves, counted)
    if settings.observer:
        report.observer(out, *observed, counted, settings.draw)
    if settings.memory:
        basins, probe = np.flatnonzero(counted[settings.memory]), table.fits[settings.memory, REAL].every
        choice = run.settings["valid_period"]
        covariance = unit_statistics_of(model, data, choice, names).covariance
        parts = model, data, basins, settings.memory, probe, covariance, settings.random_directions, settings.draw
        report.put_back(out, *memory.put_back(*parts, choice, period), settings.draw)
        report.exchange(out, memory.exchange(*parts, years), data, settings.draw)
    print(f"\nTables, series and figures in {out}")


def check(settings, period, fit_period, valid_period):
    """Refuse settings that cannot work before anything is read."""
    from reading.windows import parse_period
    from writing.files import InputError

    (_, earlier_end), (later_start, _) = sorted(parse_period(*span) for span in (period, fit_period))
    if later_start <= earlier_end:
        raise InputError(f"--period {' '.join(period)} and --fit-period {' '.join(fit_period)} share days.")
    (_, earlier_end), (later_start, _) = sorted(parse_period(*span) for span in (period, valid_period))
    if settings.memory and later_start <= earlier_end:
        raise InputError(f"--memory chooses in the validation period {' '.join(valid_period)}: score another --period.")
    if settings.intervention_basins < 0 or settings.random_directions < 1 or settings.draw < 0:
        raise InputError("--intervention-basins and --draw must not be below 0, --random-directions not below 1.")


def judge(data, fit_period, period):
    """Statistics of the fitting period, and for each target which basins count: snow where that period has it."""
    from running.simulation import scored_basins
    from writing.files import InputError

    fitted, scored = statistics_of(data, fit_period), statistics_of(data, period)
    counted = scored_basins(fitted, data)
    for name in data.targets[1:]:
        for table, span in ((fitted, fit_period), (scored, period)):
            if table.loc[counted[name], f"mean_{name}"].isna().all():
                days = " to ".join(span)
                raise InputError(f"No basin counts for {name}: none has enough of it, or none a value from {days}.")
    return fitted, counted


def statistics_of(data, period):
    """Mean and standard deviation of every target over a period, as a table (basin; mean_<target>, std_<target>)."""
    import pandas as pd

    rows, dates = [], data.dates(*period)
    for b in range(len(data.basins)):
        _, targets = data.read([b], dates)
        series = pd.DataFrame(targets[0].astype(np.float64), columns=data.targets)
        rows.append(pd.concat([series.mean().add_prefix("mean_"), series.std(ddof=0).add_prefix("std_")]))
    return pd.DataFrame(rows, index=data.basins)


def states(model, data, period, label):
    """The cell states of a model over a period, some basins at a time."""
    from probing.probes import Group
    from running.simulation import simulate

    for part in simulate(model, data, *period, states=True, progress=label):
        yield Group(part.basins, part.states["c"], part.observed[..., 1:], part.valid)


def weather(model, data, period, windows):
    """What the model is given: normalised forcing of the day and its trailing means, with the catchment attributes."""
    from probing.probes import Group, trailing_means

    dates, size = data.dates(*period, spinup_days=max(windows, default=0)), 20
    begin = len(dates) - len(data.dates(*period))
    for first in range(0, len(data.basins), size):
        basins = slice(first, min(first + size, len(data.basins)))
        forcing, targets = data.read(basins, dates)
        valid = np.isfinite(forcing).all(axis=2)
        inputs = {"forcing": forcing, "attributes": data.attributes.to_numpy(np.float32)[basins]}
        forcing, attributes = map(np.array, model.normalise(inputs))  # a missing day is mean weather
        parts = [forcing, *([trailing_means(forcing, windows)] if windows else [])]
        parts.append(np.repeat(attributes[:, None], len(dates), axis=1))
        features = np.concatenate(parts, axis=2)[:, begin:]
        yield Group(basins, features, targets[:, begin:, 1:], valid[:, begin:])


def unit_statistics_of(model, data, period, names):
    """What each cell state does over the period: its r with every concept, its memory by the forget gate."""
    from probing.probes import Group, unit_statistics
    from running.simulation import simulate

    parts = simulate(model, data, *period, gates=True, progress="gates")
    groups = ((Group(p.basins, p.states["c"], p.observed[..., 1:], p.valid), p.states["f"]) for p in parts)
    return unit_statistics(groups, names, len(data.basins))


def start_days(settings, dates):
    """Positions, in the scored period, of the days at whose end the states are changed."""
    from probing.interventions import HORIZONS
    from reading.windows import parse_day
    from writing.files import InputError

    ahead = max(HORIZONS)
    if settings.intervention_days:
        days = (np.array([parse_day(day) for day in settings.intervention_days]) - dates[0]).astype(int)
        if (days < 0).any() or (days >= len(dates) - ahead).any():
            raise InputError(f"--intervention-days must lie {ahead} days before the end of {dates[0]} to {dates[-1]}.")
        return days
    days = np.where(dates == dates.astype("datetime64[M]"))[0]
    days = days[days < len(dates) - ahead][:12]
    if not len(days):
        raise InputError(f"{dates[0]} to {dates[-1]} is too short for interventions: add --intervention-basins 0.")
    return days


def intervene(settings, model, data, period, days, probes, spread, covariance, counted):
    """Move the states of some basins on some days, let the model run on, and take the mean response by season.

    Two changes raise a reading alike: the shortest, and the one along which the units are used to move together when
    the reading rises, which stays among states the model knows.

    Returns
    -------
    list of interventions.Curve
    """
    from tqdm import tqdm

    from libs_tf import StateModel
    from probing.interventions import HORIZONS, changes_that_raise, curves_by_season, responses, runner_from
    from running import simulation

    basins = np.arange(len(data.basins))
    if len(basins) > settings.intervention_basins:
        basins = np.sort(np.random.default_rng(settings.draw).choice(basins, settings.intervention_basins, False))
    some = data.select(basins)
    parts = simulation.simulate(model, some, *period, states=True, progress="states to change")
    before = [(part.states["h"][:, days], part.states["c"][:, days]) for part in parts]
    h, c = (np.concatenate(values) for values in zip(*before, strict=True))
    forcing, _ = some.read(slice(None), data.dates(*period))
    attributes, runner = some.attributes.to_numpy(np.float32), StateModel(model)
    curves = []
    for number, (name, probe) in enumerate(probes.items()):
        rise = float(np.sqrt(np.nanmean(spread[name][counted[name]] ** 2)))
        changes = changes_that_raise(probe, rise, covariance, settings.random_directions, [settings.draw, number])
        found = []
        for k, day in enumerate(tqdm(days, f"moving {name}", disable=None, unit="day")):
            ahead = forcing[:, day + 1 : day + 1 + max(HORIZONS)]
            run_on = runner_from(runner, ahead, attributes, probes)
            found.append(responses(run_on, h[:, k], c[:, k], np.concatenate(list(changes.values()))))
        outcome = {n: np.stack([one[n] for one in found], axis=2) for n in found[0]}  # (change, basin, start, day)
        starts = data.dates(*period)[days] if simulation.is_snow(data.about[name]) else None
        latitudes = some.place["lat"].to_numpy()
        curves += curves_by_season(name, rise, changes, outcome, basins, counted[name][basins], latitudes, starts)
    return curves


if __name__ == "__main__":
    from writing.files import cli

    cli(lambda: main(tyro.cli(Settings, description=__doc__)))
