"""Ask a trained run what its cell states hold: linear probes beside their controls, and what happens if states change.

    python LSTM_probe.py                                             # the demo run
    python LSTM_probe.py --run-dir runs/camels --period 2004-10-01 2008-09-30
    python LSTM_probe.py --run-dir runs/camels_runoff_only --concepts "swe=swe/{number}.csv:uaz_swe[mm]"

Two steps. Fit and read: every probe is a ridge regression from one day's features to one day's concept, fitted in the
training period of the run; what it reads in another period goes to readings.nc. Score, from that file: the readings
beside their controls, which are scored in the same way: what a probe reads in an untrained LSTM, in the weather alone,
for the concept of other years, and the mean of each day of the year. What the cell states hold is what exceeds them
all. As a second split each probe is fitted on four fifths of the basins and scored on the rest, in the other period
again. Then cell states are moved along the smallest change that raises a reading by one standard deviation, the model
runs on, and the change of runoff and of every reading is set against random changes of the same length.
"""

from dataclasses import dataclass
from typing import Annotated

from running.settings import FROM_0, checked_settings, read_command_line
from writing.messages import InputError, cli


@dataclass
class Settings:
    run_dir: str = "runs/demo"
    """Run directory that LSTM_train.py wrote."""
    period: tuple[str, str] | None = None
    """First and last day on which the probes are scored; the test period stored with the run if not given."""
    concepts: tuple[str, ...] = ()
    """Concepts to look for, written as for LSTM_train.py; the run's own if empty. A run of runoff alone needs them."""
    basins: tuple[str, ...] = ()
    """Basin ids, or one file that lists them; the run's basins if empty."""
    seed: int | None = None
    """Member whose states are probed; the first if not given."""
    intervention_basins: Annotated[int, FROM_0] = 100
    """Number of basins whose states are changed, drawn at random if there are more; 0 leaves the interventions out."""
    data_dir: str | None = None
    """Where the data are now, if not where they were in training."""
    out_dir: str | None = None
    """Folder for the results; if not given probe_<start>_<end> in the run directory."""


if __name__ == "__main__":  # before the packages below, which take seconds to load
    settings = cli(read_command_line, Settings, __doc__)

from functools import partial

import numpy as np
import xarray as xr

from probing import interventions, probes, report
from probing.cell_states import cell_state_statistics
from probing.observed import observed_part
from probing.probes import JOINT, REAL, SEED, SHIFTED, SPARSE, TODAY, UNTRAINED, WEATHER
from probing.readings import concepts_of, lay_out_readings, score_readings, states_of, weather_of, write_observed
from reading.concepts import parse_concept
from reading.prepared import parse_period
from running import runs
from running.outside import attributes_outside
from running.simulation import forcing_report, simulate
from writing import netcdf, plots
from writing.files import replacing, write_csv
from writing.messages import basin_count, note
from writing.screen import show

WINDOWS = (7, 30, 90, 365)  # days of the weather's trailing means


def main(settings: Settings):
    settings = checked_settings(Settings, vars(settings), "Settings")
    run = runs.load_run(settings.run_dir)
    seed = run.pick(settings.seed)
    period, fit_period = settings.period or run.settings["test_period"], run.settings["train_period"]
    concepts = settings.concepts or run.settings["concepts"]
    check_question(run, period, concepts)
    model, periods = run.model(seed), (fit_period, period)
    data, fitted, counted = observed_part(run, periods, settings.basins, concepts, data_dir=settings.data_dir)
    if number := min(settings.intervention_basins, len(data.basins)):
        interventions.start_days(data.dates(*period))  # refused early if there is none
    attributes_outside([(run, data)])
    if overlap := runs.overlap(run, data.basins, period):
        note(overlap)
    question = runs.question_of(run, data, settings) | {"seed": seed, "concepts": list(concepts)}
    question["intervention_basins"] = settings.intervention_basins
    out = runs.results_folder(run.path, "probe", period, question, settings.out_dir)
    origin = {"title": f"Linear probes on the cell states of {run.path.name}, seed {seed}"}
    origin |= {"fit_period": " to ".join(fit_period), **runs.origin(run, data, overlap)}

    untrained = runs.build_model(run.settings, run.normalisation, seed)  # this member's initial weights
    sources = {
        REAL: partial(states_of, model, data, REAL),
        UNTRAINED: partial(states_of, untrained, data, UNTRAINED),
        TODAY: partial(weather_of, model, data, ()),
        WEATHER: partial(weather_of, model, data, WINDOWS),
    }
    joint = {name: probe for name, probe in probes.joint_probes(model).items() if name in data.targets}
    with replacing(out / "readings.nc") as path, netcdf.create(path, data, data.dates(*period), origin) as file:
        fits = fit_and_read(file, data, sources, joint, periods, fitted, counted)
    parts = simulate(model, data, period, states="cf", label="gates")
    statistics = cell_state_statistics(parts, data.targets, len(data.basins))

    print(forcing_report(data, period))
    show(f"\n{basin_count(len(data.basins))}; fitted on {' to '.join(fit_period)}, scored on {' to '.join(period)}.")
    colours = plots.target_colours([*run.targets, *data.targets])
    with xr.open_dataset(out / "readings.nc") as readings:
        scores = score_readings(readings)
        summary = report.summary_table(scores)
        report.show_scores(summary, concepts_of(readings))
        report.draw_series(readings, scores, colours, out / "series.png")
    report.draw_controls(summary, colours, out / "controls_other_period.png")
    states = report.cell_state_table(fits, statistics, counted)
    tables = {"scores": scores, "summary": summary, "cell_states": states}
    report.show_cell_states(states)
    if number:
        real = {name: fits[name, REAL][0] for name in data.targets[1:]}
        # Standard deviations over the days of all basins, each about its own mean.
        rises = {name: float(np.sqrt((fitted.loc[counted[name], f"std_{name}"] ** 2).mean())) for name in real}
        chosen = np.sort(np.random.default_rng(SEED).choice(len(data.basins), number, replace=False))
        moved, where = data.select(chosen), counted.iloc[chosen]
        curves = interventions.raise_readings(model, moved, period, real, rises, statistics.covariance, where)
        tables["interventions"] = report.response_table(curves, data.about)
        report.show_verdicts(tables["interventions"])
        report.draw_changes(curves, data.about, colours, out)
    for name, table in tables.items():
        write_csv(out / f"{name}.csv", table, index=False)
    print(f"\nReadings, tables and figures in {out}")


def check_question(run, period, concepts):
    """Refuse what cannot be asked of a run."""
    if not concepts:
        raise InputError(f"{run.path} was trained on runoff alone: say what to look for with --concepts.")
    (first, last), (fit_first, fit_last) = parse_period(*period), parse_period(*run.settings["train_period"])
    if first <= fit_last and fit_first <= last:
        raise InputError(f"--period {first} {last} and the training period {fit_first} to {fit_last} share days.")
    learned = {concept.name: concept for concept in map(parse_concept, run.settings["concepts"])}
    for concept in map(parse_concept, concepts):
        trained = learned.get(concept.name, concept)
        if (trained.column, trained.factor, trained.units) != (concept.column, concept.factor, concept.units):
            series = [f"{each.column}*{each.factor:g}[{each.units}]" for each in (concept, trained)]
            raise InputError(f"{concept.name} is {' here, and was '.join(series)} in training: give it another name.")


def fit_and_read(file, data, sources, joint, periods, fitted, counted):
    """Fit the probes of every reader in the first period, and write what they read in the second.

    `sources` is a dict reader -> function of a period, which yields Datasets as `states_of`. The result is a dict
    (concept, reader) -> list of Probe, as `probes.fit_folds` gives it; the joint probe is alone.
    """
    names, fold = data.targets[1:], probes.fold_of_basins(data.basins)
    readers = [reader for reader in probes.READERS if reader != JOINT or joint]
    lay_out_readings(file, data, readers, counted)
    write_observed(file, data, fold, periods)
    shares = {name: probes.MOST_DAYS / fitted[f"days_{name}"].sum() for name in names}
    fit_dates = data.dates(*periods[0])
    fits = {}
    for reader, source in sources.items():
        features, targets, rows, seasons = probes.draw_days(source(periods[0]), fold, shares, fit_dates)
        fit, new = partial(probes.fit_folds, features, fold=rows, folds=fold.max() + 1), {}
        for name in names:
            new[name, reader], few = fit(targets[name, REAL], few=reader == REAL)
            if reader == REAL:
                new |= {(name, SPARSE): few, (name, SHIFTED): fit(targets[name, SHIFTED])[0]}
                new |= {(name, JOINT): [joint[name]]} if name in joint else {}
        for part in source(periods[1]):
            position = part["position"].values
            for (name, kind), fitted_probes in new.items():
                place = readers.index(kind), position
                # The probe of all basins, then that without the basin's own fold.
                for s, used in enumerate((0 * position, 1 + fold[position])[: len(fitted_probes)]):
                    reading, season = probes.read(part, seasons[position], fitted_probes, used)
                    file[f"{name}_reading"][s, *place], file[f"{name}_season"][s, *place] = reading, season
        fits |= new
    return fits


if __name__ == "__main__":
    cli(main, settings)
