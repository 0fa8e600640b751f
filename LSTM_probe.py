"""Ask a trained run what its cell states hold: linear probes beside their controls, and what happens if states change.

    python LSTM_probe.py                                             # the demo run
    python LSTM_probe.py --run-dir runs/camels --compare runs/camels_runoff_only
    python LSTM_probe.py --run-dir runs/camels_runoff_only --concepts "swe=swe/{number}.csv:uaz_swe[mm]"
    python LSTM_probe.py --run-dir runs/camels --exchange-states swe \
        --independent-data "swe=snodas/{number}.csv:snodas_swe[mm]"

Three steps. Fit: every probe is a ridge regression from one day's features to one day's concept, fitted on one period;
it reads another one. Score: the readings beside their controls, which are scored in the same way: what a probe reads
in an untrained LSTM, in the weather alone, for the concept of other years, and the mean of each day of the year. What
the cell states hold is what exceeds them all. As a second split each probe is fitted on four fifths of the basins and
scored on the rest, in the other period again. Intervene: cell states are moved along the smallest change that raises a
reading by one standard deviation, the model runs on, and the change of runoff and of every reading is set against
random changes of the same length.

--exchange-states exchanges the states of a wet and a dry year of a concept and lets the model run on in the weather of
either; --independent-data scores what is read by an observation that the model did not learn from. Concepts and basins
that are not observed are left out, with a line.
"""

from dataclasses import dataclass

from running.settings import checked_settings, from_words
from writing.messages import InputError, cli


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
    exchange_states: str | None = None
    """Concept, such as swe, whose wettest and driest year exchange their states in each basin."""
    exchange_day: str = "04-01"
    """Month and day at whose end they do."""
    independent_data: str | None = None
    """Another observation of one of the concepts, with that concept's name, written as for LSTM_train.py."""
    draw: int = 0
    """Seed of every random draw here: groups of basins, bootstrap, random changes."""
    data_dir: str | None = None
    """Where the data are now, if not where they were in training."""
    forcing: tuple[str, ...] = ()
    """Forcing product, if not that of the training: another one, or one's own, with the same inputs."""
    attributes: str | None = None
    """Table of the catchment attributes, if not those of the training."""
    out_dir: str | None = None
    """Folder for the results; if not given probe_<start>_<end>, and a seed or basins that are named, in the run."""


if __name__ == "__main__":  # before the packages below, which take seconds to load
    settings = cli(from_words, Settings, description=__doc__)

from pathlib import Path

import numpy as np

from probing import interventions, probes, report
from probing.cell_states import cell_state_statistics
from probing.independent_data import independent_series
from probing.observed import observed_part
from probing.probes import JOINT, REAL, SEASON, SHIFTED, SPARSE, TODAY, UNTRAINED, WEATHER, Batch
from reading.concepts import parse_concept
from reading.prepared import parse_day, parse_period
from running import runs
from running.learned import learned_words
from running.outside import Outside
from running.simulation import SNOW_MM, ForcingDays, simulate
from writing import netcdf, plots
from writing.files import replacing, write_csv
from writing.messages import basin_count, note
from writing.screen import show

WINDOWS = (7, 30, 90, 365)  # days of the weather's trailing means
AT_ONCE = 20  # basins whose weather is held in memory together


def main(settings: Settings):
    settings = checked_settings(Settings, vars(settings), "Settings")
    run = runs.load_run(settings.run_dir)
    seed = run.pick(settings.seed)
    period = settings.period or run.settings["test_period"]
    fit_period = settings.fit_period or run.settings["train_period"]
    concepts = list(settings.concepts or run.settings["concepts"])
    (first, last), (fit_first, fit_last) = parse_period(*period), parse_period(*fit_period)
    for wrong, sentence in (
        (not concepts, f"{run.path} was trained on runoff alone: say what to look for with --concepts."),
        (first <= fit_last and fit_first <= last,
         f"--period {' '.join(period)} and --fit-period {' '.join(fit_period)} share days."),
        (min(settings.intervention_basins, settings.draw) < 0, "--intervention-basins and --draw must not be below 0."),
        (settings.random_directions < 1, "--random-directions must not be below 1."),
    ):  # fmt: skip
        if wrong:
            raise InputError(sentence)
    model = run.model(seed)
    spans, elsewhere = (fit_period, period), runs.elsewhere(settings)
    data, concepts, fitted, counted = observed_part(run, spans, settings.basins, concepts, **elsewhere)
    trained, wanted = ([parse_concept(text) for text in texts] for texts in (run.settings["concepts"], concepts))
    joint = probes.converted(probes.joint_probes(model), trained, wanted)
    dates, names = data.dates(*period), data.targets[1:]
    if settings.independent_data:
        other = run.data(*period, data.basins, [settings.independent_data], **elsewhere)
        independent = independent_series(other, data, dates)
    if settings.exchange_states:
        exchange_days = interventions.exchange_days(settings.exchange_states, settings.exchange_day, names, dates)
    Outside(data.basins).compare([(run, data)], *period)
    if learned_from := learned_words(run.lessons, data.basins, *period):
        note(learned_from)
    days = start_days(settings, dates) if settings.intervention_basins else []
    named = data.basins if settings.basins else run.basins.index
    asked = None if seed == run.seeds[0] else seed, run.other_data(**elsewhere)
    out = Path(settings.out_dir or runs.results_folder(run.path, "probe", period, named, run.basins.index, *asked))
    report.remove_former(out)
    origin = {"title": f"Linear probes on the cell states of {run.path.name}, seed {seed}",
              "fit_period": " to ".join(fit_period), **runs.origin(run, data, learned_from)}  # fmt: skip
    with replacing(out / "probe.nc") as path, netcdf.create(path, data, dates, origin) as file:
        readings = fit_probes(settings, run, seed, model, joint, data, concepts, spans, file, out)
        statistics, forcing = statistics_of_states(model, data, period)
        print(forcing.report())
        fitted_on, scored_on = " to ".join(fit_period), " to ".join(period)
        show(f"\n{basin_count(len(data.basins))}; fitted on {fitted_on}, scored on {scored_on}.")
        scores, summary, cell_states = score_probes(data, readings, statistics, counted, settings.draw)
        curves = intervene(settings, model, data, period, days, readings, statistics, fitted, counted, out)
        report.write_results(file, data, readings.readers, scores, cell_states, curves)
    colours = plots.target_colours([*run.targets, *names])
    for name, table in (("scores", scores), ("summary", summary), ("units", cell_states)):
        write_csv(out / f"{name}.csv", table, index=False)
    report.draw_probes(out, data, scores, summary, curves, counted, colours)
    if settings.independent_data:
        report.show_independent_data(out, *independent, counted, colours, settings.draw)
    if settings.exchange_states:
        of_other_years, _ = statistics_of_states(model, data, run.settings["valid_period"])
        name, draws = settings.exchange_states, (settings.random_directions, settings.draw)
        which = np.flatnonzero(counted[name]), name, readings.fits[name, REAL].every
        curves = interventions.exchange_years(model, data, *which, of_other_years.covariance, *draws, exchange_days)
        report.show_exchange(out, curves, data, colours, settings.draw)
    print(f"\nTables, series and figures in {out}")


def fit_probes(settings, run, seed, model, joint, data, concepts, spans, file, out):
    """Fit the probes of every reader in the first span, write what they read in the second: probes.Readings."""
    models = {REAL: (model, data)}
    if settings.compare:
        other = runs.load_run(settings.compare)
        other_data = other.data(*spans[1], data.basins, concepts, **runs.elsewhere(settings))
        other_model = other.model(other.pick(seed if seed in other.seeds else None))
        models[f"cell states of {other.path.name}"] = other_model, other_data
    models[UNTRAINED] = runs.build_model(run.settings, run.normalisation, seed), data  # this member's initial weights
    readers = [REAL, SPARSE, *([JOINT] if joint else []), *list(models)[1:], TODAY, WEATHER, SHIFTED, SEASON]
    report.lay_out_readings(file, data, readers)

    def keep(reader, concept, basins, reading):
        file[f"{concept}_reading"][readers.index(reader), basins] = reading

    fold, dates = probes.fold_of_basins(data.basins, settings.draw), [data.dates(*span) for span in spans]
    readings = probes.Readings(data.targets[1:], readers, fold, *dates, keep, folder=out)
    for reader, (lstm, series) in models.items():
        more = {"extra": (SPARSE, SHIFTED), "joint": joint} if reader == REAL else {}
        found = Outside(data.basins)
        readings.add(reader, *(cell_states_of(lstm, series, span, reader, found) for span in spans), **more)
        found.note_runaways(f" ({reader})")
    for reader, windows in ((TODAY, ()), (WEATHER, WINDOWS)):
        readings.add(reader, *(weather_features(model, data, span, windows) for span in spans))
    readings.add_season(weather_features(model, data, spans[1], ()))
    return readings


def cell_states_of(model, data, period, label, found):
    """The cell states of a model over a period, basins in batches; `found` (Outside) takes in those that run away."""
    for part in simulate(model, data, *period, states=True, progress=label):
        found.count([part], part.basins)
        yield Batch(part.basins, part.states["c"], part.observed[..., 1:], part.valid)


def weather_features(model, data, period, windows):
    """What the model is given: normalised forcing of the day and its trailing means, with the catchment attributes."""
    dates = data.dates(*period, spinup_days=max(windows, default=0))
    begin = len(dates) - len(data.dates(*period))
    for first in range(0, len(data.basins), AT_ONCE):
        basins = slice(first, min(first + AT_ONCE, len(data.basins)))
        forcing, targets = data.read(basins, dates)
        valid = np.isfinite(forcing).all(axis=2)
        inputs = {"forcing": forcing, "attributes": data.attributes.to_numpy(np.float32)[basins]}
        forcing, attributes = map(np.array, model.normalise(inputs))  # a missing day is mean weather
        means = [probes.trailing_means(forcing, windows)] if windows else []
        attributes = np.repeat(attributes[:, None], len(dates), axis=1)
        features = np.concatenate([forcing, *means, attributes], axis=2)[:, begin:]
        yield Batch(basins, features, targets[:, begin:, 1:], valid[:, begin:])


def score_probes(data, readings, statistics, counted, draw):
    """Score every reader and show it: the scores, their summary, and what each cell state carries."""
    scores = readings.scores(data.basins, counted, f"mean below {SNOW_MM:g} mm: not in the summary")
    summary = report.summary_table(scores, draw)
    cell_states = report.cell_state_table(readings, statistics, counted)
    report.show_scores(summary, data)
    report.show_cell_states(cell_states)
    return scores, summary, cell_states


def statistics_of_states(model, data, period):
    """What each cell state does over a period: its r with every target, its memory by the forget gate; ForcingDays."""
    forcing = ForcingDays(data.basins, *period)

    def parts():
        for part in simulate(model, data, *period, gates=True, progress="gates"):
            forcing.count(part, part.basins)
            yield part

    return cell_state_statistics(parts(), data.targets, len(data.basins)), forcing


def start_days(settings, dates):
    """Positions, in the scored period, of the days at whose end the states are changed."""
    ahead = max(interventions.HORIZONS)
    if settings.intervention_days:
        days = (np.array([parse_day(day) for day in settings.intervention_days]) - dates[0]).astype(int)
        if (days < 0).any() or (days >= len(dates) - ahead).any():
            raise InputError(f"--intervention-days must lie {ahead} days before the end of {dates[0]} to {dates[-1]}.")
        return days
    days = np.flatnonzero(dates == dates.astype("datetime64[M]"))  # the first of each month
    days = days[days < len(dates) - ahead][:12]
    if not len(days):
        raise InputError(f"{dates[0]} to {dates[-1]} is too short for interventions: add --intervention-basins 0.")
    return days


def intervene(settings, model, data, period, days, readings, statistics, fitted, counted, out):
    """Raise each reading on some days in some basins, show and write what follows: list of interventions.Curve."""
    if not len(days):
        return []
    basins = np.arange(len(data.basins))
    if len(basins) > settings.intervention_basins:
        basins = np.sort(np.random.default_rng(settings.draw).choice(basins, settings.intervention_basins, False))
    real = {name: readings.fits[name, REAL].every for name in readings.concepts}
    # A standard deviation over the days of all basins, each about its own mean.
    rises = {name: float(np.sqrt((fitted.loc[counted[name], f"std_{name}"] ** 2).mean())) for name in real}
    asked = basins, period, days, real, rises, statistics.covariance, counted
    curves = interventions.raise_readings(model, data, *asked, settings.random_directions, settings.draw)
    changes = report.response_table(curves, data, settings.draw)
    report.show_verdicts(changes)
    write_csv(out / "interventions.csv", changes, index=False)
    return curves


if __name__ == "__main__":
    cli(main, settings)
