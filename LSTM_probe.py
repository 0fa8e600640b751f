"""Ask a trained run what its cell states hold: linear probes beside their controls, and what happens if states change.

    python LSTM_probe.py                                             # the demo run
    python LSTM_probe.py --run-dir runs/camels --compare runs/camels_runoff_only
    python LSTM_probe.py --run-dir runs/camels_runoff_only --concepts "swe=swe/{number}.csv:uaz_swe[mm]"

Every probe is a ridge regression from one day's features to one day's concept, fitted on one period and scored on
another; as a second split it is fitted on four fifths of the basins and scored on the rest, in the other period again.
The controls are scored in the same way: what a probe reads in an untrained LSTM, in the weather alone, for the concept
of other years, and the mean of each day of the year. What the cell states hold is what exceeds them all.

Then cell states are moved along the smallest change that raises a reading by one standard deviation, the model runs
on, and the change of runoff and of every reading is set against random changes of the same length.
"""

import dataclasses
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tyro

REAL, SPARSE, JOINT = "cell states", "cell states, few units", "cell states, joint probe"
SHIFTED, UNTRAINED, SEASON = "concept of other years", "untrained LSTM", "day-of-year mean"
TODAY, WEATHER = "weather of the day", "weather, means to 365 days"
PERIOD, BASINS = "other period", "other basins"
WINDOWS = (7, 30, 90, 365)
MEMORIES = ("memory_days", "memory_stored_days")
SHORTEST, TOGETHER = "shortest change", "units moving together"
HORIZONS = (1, 7, 30, 90)  # days over which the response to a change of the states is averaged
FOLDS = 5


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
    draw: int = 0
    """Seed of every random draw here: groups of basins, bootstrap, random changes."""
    data_dir: str | None = None
    """Where the data are now, if not where they were in training."""
    out_dir: str | None = None
    """Folder for the results; probe_<start>_<end> in the run directory if not given."""


def main(settings: Settings):
    import pandas as pd

    import runs
    from hydrodata_tf import InputError, parse_concept

    logging.getLogger("tensorflow").setLevel("ERROR")  # it warns that several models are compiled, as they must be
    run = runs.load_run(settings.run_dir)
    seed = member(run, settings.seed)
    concepts = list(settings.concepts or run.settings["concepts"])
    if not concepts:
        raise InputError(f"{run.path} was trained on runoff alone: say what to look for with --concepts.")
    names = [parse_concept(concept).name for concept in concepts]
    period = settings.period or run.settings["test_period"]
    fit_period = settings.fit_period or run.settings["train_period"]
    (_, earlier_end), (later_start, _) = sorted([tuple(period), tuple(fit_period)])
    if later_start <= earlier_end:
        raise InputError(f"--period {' '.join(period)} and --fit-period {' '.join(fit_period)} share days.")
    if settings.intervention_basins < 0 or settings.random_directions < 1:
        raise InputError("--intervention-basins must not be below 0, --random-directions not below 1.")
    out = Path(settings.out_dir or run.path / f"probe_{period[0]}_{period[1]}")

    fitted, scored = (
        read(run, concepts, span, settings.basins, settings.data_dir, names) for span in (fit_period, period)
    )
    print(scored.dataset.attrs["report"])
    basins = scored.dataset["basin"].values
    if len(basins) < 2:
        raise InputError("Probes need at least two basins: their penalty is chosen by leaving basins out.")
    means = {f"mean_{n}": fitted.dataset[n].mean("date").to_series() for n in ["streamflow", *names]}
    counted = runs.scored_basins(pd.DataFrame(means), scored.dataset)  # snow where the fitting period has it
    for name in names:
        if not np.isfinite(fitted.target(name)).any() or not np.isfinite(scored.target(name)).any():
            raise InputError(f"{name} has no value in {' to '.join(fit_period)} or in {' to '.join(period)}.")

    days = start_days(settings, scored) if settings.intervention_basins else None

    model = run.model(seed)
    joint = joint_probes(model, run, names)
    table = Readings(fitted, scored, names, fold_of_basins(basins, settings.draw))
    states = lstm_states(model, "cell states")
    table.add(REAL, states, fitted, scored, extra={SPARSE, SHIFTED} | ({JOINT} if joint else set()), joint=joint)
    if settings.compare:
        other = runs.load_run(settings.compare)
        others = [read(other, concepts, s, list(basins), settings.data_dir, names) for s in (fit_period, period)]
        label = f"cell states of {other.path.name}"
        table.add(label, lstm_states(other.model(member(other, seed if seed in other.seeds else None)), label), *others)
    untrained = runs.build_model(run.settings, run.normalisation, seed)  # the weights this member began with
    table.add(UNTRAINED, lstm_states(untrained, UNTRAINED), fitted, scored)
    table.add(TODAY, weather(()), fitted, scored)
    table.add(WEATHER, weather(WINDOWS), fitted, scored)
    table.add_season()

    scores = table.scores(counted, runs.SNOW_MM)
    summary = summarise(scores, settings.draw)
    units, latent = table.units(model, scored, counted)
    print(f"\n{len(basins)} basins; fitted on {' to '.join(fit_period)}, scored on {' to '.join(period)}.")
    show(summary, names, counted)
    show_units(units, names)

    changes, curves = None, {}
    if settings.intervention_basins:
        changes, curves = interventions(settings, model, run.normalisation, scored, table, counted, days)
        show_verdicts(changes)

    runs.write_csv(out / "scores.csv", scores, index=False)
    runs.write_csv(out / "summary.csv", summary, index=False)
    runs.write_csv(out / "units.csv", units, index=False)
    if changes is not None:
        runs.write_csv(out / "interventions.csv", changes, index=False)
    about = {
        "title": f"Linear probes on the cell states of {run.path.name}, seed {seed}",
        "fit_period": " to ".join(fit_period),
        **runs.origin(run),
    }
    runs.write_netcdf(out / "probe.nc", to_dataset(table, scores, units, curves, about))
    figures(out, table, scores, summary, units, latent, curves, counted)
    print(f"\nTables, series and figures in {out}")


# ---- what is read ----------------------------------------------------------------------------------------------------


@dataclass
class Part:
    """One period of one run: its data set and arrays, the spin-up days before `begin` included."""

    dataset: object
    arrays: dict
    begin: int
    names: list

    @property
    def dates(self):
        return self.dataset["date"].values[self.begin :]

    def target(self, name):
        """A concept (basin, day) in its unit without the spin-up days; NaN where it or an input is missing."""
        return self.arrays["targets"][:, self.begin :, 1 + self.names.index(name)]


def read(run, concepts, period, basins, data_dir, names):
    """The data of a run over a period, with these concepts in place of its own, in their units."""
    import hydrodata_tf as hydrodata

    asked = dataclasses.replace(run, settings=run.settings | {"concepts": concepts})
    dataset = asked.dataset(*period, basins=list(basins) or None, data_dir=data_dir)
    in_units = run.normalisation | {"targets": {name: [0.0, 1.0] for name in ["streamflow", *names]}}
    arrays = hydrodata.to_arrays(dataset, in_units)
    return Part(dataset, arrays, int(np.searchsorted(dataset["date"].values, np.datetime64(period[0]))), names)


def member(run, seed):
    from hydrodata_tf import InputError

    if seed is not None and seed not in run.seeds:
        raise InputError(f"{run.path} has no member of seed {seed}: choose from {run.seeds}.")
    return run.seeds[0] if seed is None else seed


def joint_probes(model, run, names):
    """The probe that was trained with the model, per concept, as a reading in the concept's unit."""
    from probes import Probe

    found = {}
    for name in set(names) & set(run.targets):
        k, (mean, std) = run.targets.index(name) - 1, run.normalisation["targets"][name]
        weights, bias = (v.astype(np.float64)[..., k] for v in model.probe.get_weights())
        found[name] = Probe(weights * std, float(bias * std + mean), 0.0)
    return found


def fold_of_basins(basins, seed):
    """Group 0 to 4 of each basin, the same whatever their order."""
    rank = np.empty(len(basins), int)
    rank[np.argsort(basins)] = np.random.default_rng(seed).permutation(len(basins))
    return rank % min(FOLDS, len(basins))


def lstm_states(model, label):
    """Source of features: the cell states of a model."""

    def source(part):
        from runs import simulate

        for basins, out in simulate(model, part.arrays, states=True, progress=label):
            yield basins, out["c"][:, part.begin :]

    return source


def weather(windows):
    """Source of features: normalised forcing of the day and its trailing means, with the catchment attributes."""

    def source(part):
        from probes import trailing_means

        arrays, size = part.arrays, 20
        for first in range(0, len(arrays["forcing"]), size):
            basins = slice(first, first + size)
            forcing = arrays["forcing"][basins]
            attributes = np.repeat(arrays["attributes"][basins, None], forcing.shape[1], axis=1)
            past = [trailing_means(forcing, windows)] if windows else []
            yield basins, np.concatenate([forcing, *past, attributes], axis=2)[:, part.begin :]

    return source


# ---- probes ----------------------------------------------------------------------------------------------------------


class Readings:
    """What each reader (a kind of features with its probe, or a control) reads for each concept, in both splits.

    Attributes
    ----------
    values : dict (split, concept, reader) -> array (basin, day), unit of the concept
    probes : dict (concept, reader) -> Probe fitted on all basins
    """

    def __init__(self, fitted, scored, names, fold):
        from probes import climatology, season_slots, shift_years

        self.fitted, self.scored, self.names, self.fold = fitted, scored, names, fold
        self.fit_slots, self.slots = season_slots(fitted.dates), season_slots(scored.dates)
        self.values, self.seasons, self.probes = {}, {}, {}
        self.fit_target = {name: fitted.target(name) for name in names}
        self.observed = {name: scored.target(name) for name in names}
        self.shifted_fit = {name: shift_years(y) for name, y in self.fit_target.items()}
        self.shifted = {name: shift_years(y) for name, y in self.observed.items()}
        self.season = {n: climatology(y[..., None], self.fit_slots)[..., 0] for n, y in self.fit_target.items()}

    def add(self, reader, source, fitted, scored, extra=frozenset(), joint=None):
        """Fit probes on the features of `source` in the fitting period and read the other period with them."""
        import probes

        folds = self.fold.max() + 1
        jobs = [(name, reader) for name in self.names]
        jobs += [(name, SHIFTED) for name in self.names if SHIFTED in extra]
        grams, season = {}, None
        for basins, features in source(fitted):
            if season is None:
                season = np.empty((len(self.fold), 366, features.shape[2]), np.float32)
                grams = {job: np.zeros((folds, features.shape[2] + 2, features.shape[2] + 2)) for job in jobs}
            season[basins] = probes.climatology(features, self.fit_slots)
            fold = self.fold[basins]
            for (name, kind), gram in grams.items():
                target = (self.shifted_fit if kind == SHIFTED else self.fit_target)[name][basins]
                for k in np.unique(fold):
                    gram[k] += probes.moments(features[fold == k], target[fold == k])
        # For each reading a probe for the other period (all basins) and one for each group of basins left out.
        found = {job: [probes.fit(gram)] + [probes.fit(np.delete(gram, k, 0)) for k in range(folds)]
                 for job, gram in grams.items()}  # fmt: skip
        for name in self.names if SPARSE in extra else ():
            gram, full = grams[name, reader], found[name, reader]
            found[name, SPARSE] = [probes.fit_sparse(gram, full[0].alpha)] + [
                probes.fit_sparse(np.delete(gram, k, 0), full[k + 1].alpha) for k in range(folds)
            ]
        if JOINT in extra:
            found |= {(name, JOINT): [probe] for name, probe in joint.items()}
        self.probes |= {job: fits[0] for job, fits in found.items()}
        shape = (len(self.fold), len(self.slots))
        for job, fits in found.items():
            for split in (PERIOD, BASINS)[: len(fits)]:
                self.values[split, *job] = np.full(shape, np.nan, np.float32)
                self.seasons[split, *job] = np.full((len(self.fold), 366), np.nan, np.float32)
        for basins, features in source(scored):
            valid = scored.arrays["valid"][basins, scored.begin :]
            for job, fits in found.items():
                for split in (PERIOD, BASINS)[: len(fits)]:
                    choice = np.zeros(len(features), int) if split == PERIOD else self.fold[basins] + 1
                    weights = np.stack([fits[k].weights for k in choice])
                    intercept = np.array([fits[k].intercept for k in choice])[:, None]
                    reading = (features @ weights[..., None].astype(np.float32))[..., 0] + intercept
                    self.values[split, *job][basins] = np.where(valid, reading, np.nan)
                    self.seasons[split, *job][basins] = (season[basins] @ weights[..., None])[..., 0] + intercept

    def add_season(self):
        """The control that knows the date alone: the basin's own climatology, or the mean of the other basins'."""
        for name in self.names:
            own = self.season[name]
            known, summed = np.isfinite(own), np.nan_to_num(own)
            others = np.full_like(own, np.nan)
            for k in np.unique(self.fold):
                rest, number = self.fold != k, known[self.fold != k].sum(0)
                others[self.fold == k] = np.where(number > 0, summed[rest].sum(0) / np.maximum(number, 1), np.nan)
            for split, season in ((PERIOD, own), (BASINS, others)):
                self.values[split, name, SEASON] = season[:, self.slots]
                self.seasons[split, name, SEASON] = season

    def scores(self, counted, snow_mm):
        """Tidy table: split, concept, reader, basin, the scores, and whether the basin counts."""
        import pandas as pd

        from probes import METRICS, scores

        tables = []
        for (split, name, reader), reading in sorted(self.values.items(), key=lambda item: place(item[0], self.names)):
            observed = (self.shifted if reader == SHIFTED else self.observed)[name]
            seasons = self.season[name][:, self.slots], self.seasons[split, name, reader][:, self.slots]
            frame = pd.DataFrame(scores(observed, reading, *seasons), columns=list(METRICS))
            frame["gap"] = frame["NSE anomaly"] - frame["NSE"]  # what a wrong level of the catchment costs
            frame["note"] = np.where(counted[name], "", f"mean below {snow_mm:g} mm: not in the summary")
            frame.insert(0, "basin", self.scored.dataset["basin"].values)
            tables.append(frame.assign(split=split, concept=name, reader=reader))
        first = ["split", "concept", "reader"]
        return pd.concat(tables).set_index(first).reset_index()

    def units(self, model, scored, counted):
        """Which unit carries what, and for how long it remembers.

        Returns
        -------
        table : DataFrame (concept, unit)
            Weight in the probe and in the sparse probe (unit of the concept per standard deviation of the state),
            median r of the state with the concept, e-folding time of the unit (days) by the mean logarithm of its
            forget gate: over all days, and weighted by |c|, which counts the days on which something is stored.
        best : dict concept -> (unit, basin, states (day,))
            The unit with the largest median |r|, in the basin where its |r| is the median.
        """
        import pandas as pd

        import probes
        import runs

        # Sums over days: 1, c, c², log f, |c|, |c| log f of each unit; and products of the states within basins.
        sums, products = np.zeros((6, model.units)), np.zeros((model.units, model.units))
        r = {name: np.full((len(self.fold), model.units), np.nan) for name in self.names}
        for basins, out in runs.simulate(model, scored.arrays, states=True, gates=True, progress="gates"):
            valid = scored.arrays["valid"][basins, scored.begin :]
            states = out["c"][:, scored.begin :]
            loss = np.log(np.maximum(out["f"][:, scored.begin :], 1e-6))
            for b, days in enumerate(valid):
                c, log_f = states[b, days].astype(np.float64), loss[b, days]
                sums += np.stack([v.sum(0) for v in (np.ones_like(c), c, c**2, log_f, abs(c), abs(c) * log_f)])
                c -= c.mean(0) if len(c) else 0
                products += c.T @ c
            for name in self.names:
                r[name][basins] = probes.correlations(states, self.observed[name][basins])
        days, total, squares, loss, stored, stored_loss = sums
        memory, held = probes.memory_days(loss / days), probes.memory_days(stored_loss / np.maximum(stored, 1e-9))
        deviation = np.sqrt(np.maximum(squares / days - (total / days) ** 2, 0))
        self.covariance = products / days[0]
        tables, best = [], {}
        for name in self.names:
            known = np.where(counted[name][:, None], r[name], np.nan)
            filled = known[np.isfinite(known).any(axis=1)]
            median = np.nanmedian(filled, axis=0) if len(filled) else np.zeros(model.units)
            frame = pd.DataFrame({"concept": name, "unit": np.arange(1, model.units + 1)})
            frame["weight"] = self.probes[name, REAL].weights * deviation
            frame["sparse_weight"] = self.probes[name, SPARSE].weights * deviation
            frame["median_r"], frame["memory_days"], frame["memory_stored_days"] = median, memory, held
            tables.append(frame)
            unit = int(np.nanargmax(abs(median)))
            place = np.nan_to_num(abs(abs(known[:, unit]) - np.nanmedian(abs(known[:, unit]))), nan=np.inf)
            best[name] = {"unit": unit, "basin": int(np.argmin(place)), "r": known[np.argmin(place), unit]}
        for name, chosen in best.items():
            one = {k: v[[chosen["basin"]]] for k, v in scored.arrays.items()}
            ((_, out),) = runs.simulate(model, one, states=True)
            best[name]["states"] = out["c"][0, scored.begin :, chosen["unit"]]
        return pd.concat(tables), best


# ---- interventions ---------------------------------------------------------------------------------------------------


def interventions(settings, model, normalisation, scored, table, counted, days):
    """Move the states, let the model run on, and measure runoff and every reading.

    Two changes raise a reading alike: the shortest, and the one along which the units are used to move together when
    the reading rises, which stays among states the model knows.

    Returns
    -------
    summary : DataFrame
        Concept moved, kind of change, days moved, response of what, horizon (days); median over basins of the mean
        response with its interval, and cumulated; typical (root mean square) response to random changes of the same
        length; share of basins whose response is positive.
    curves : dict (concept moved, kind of change) -> dict
        responses: dict name -> array (change, basin, day), the change along the probe first, mean over the days moved;
        season, sigma (unit of the concept), basins (their positions).
    """
    import pandas as pd
    from tqdm import tqdm

    import probes
    import runs
    from libs_tf import StateModel

    basins = np.arange(len(table.fold))
    if len(basins) > settings.intervention_basins:
        basins = np.sort(np.random.default_rng(settings.draw).choice(basins, settings.intervention_basins, False))
    arrays = {key: value[basins] for key, value in scored.arrays.items()}
    at = scored.begin + days
    h, c = [], []
    for _, out in runs.simulate(model, arrays, states=True, progress="states to change"):
        h.append(out["h"][:, at])
        c.append(out["c"][:, at])
    h, c = np.concatenate(h), np.concatenate(c)
    runner, ahead = StateModel(model), max(HORIZONS)
    readers = {name: table.probes[name, REAL] for name in table.names}
    units = {name: scored.dataset[name].attrs["units"] for name in ["streamflow", *table.names]}
    flow_mean, flow_std = normalisation["targets"]["streamflow"]
    latitudes = scored.dataset["lat"].values[basins]
    rows, curves = [], {}
    for number, (name, probe) in enumerate(readers.items()):
        spread = np.nanstd(table.fit_target[name][counted[name]], axis=1)
        sigma = float(np.sqrt(np.nanmean(spread**2)))
        changes, kinds = [], {SHORTEST: None, TOGETHER: table.covariance}
        for covariance in kinds.values():
            change = probes.smallest_change(probe.weights, sigma, covariance)
            draw = probe.weights, np.linalg.norm(change), settings.random_directions, [settings.draw, number]
            changes += [change[None], probes.random_changes(*draw, covariance)]
        changes = np.concatenate(changes)
        found = []
        for k, day in enumerate(tqdm(at, f"moving {name}", disable=None, unit="day")):
            run_on = runner_from(runner, arrays, day + 1, ahead, flow_mean, flow_std, readers)
            found.append(probes.responses(run_on, h[:, k], c[:, k], changes))
        outcome = {n: np.stack([one[n] for one in found], axis=2) for n in found[0]}  # (change, basin, start, day)
        seasons = {"all": np.ones((len(basins), len(days)), bool)}
        if runs.is_snow(scored.dataset, name):  # its water comes out at the next melt
            month = scored.dates[days].astype("datetime64[M]").astype(int) % 12 + 1
            seasons["late winter"] = np.where(
                latitudes[:, None] < 0, np.isin(month, (8, 9, 10)), np.isin(month, (2, 3, 4))
            )
        judged = counted[name][basins]
        for season, chosen in seasons.items():
            if not (judged & chosen.any(axis=1)).any():
                continue
            keep = np.where(judged & chosen.any(axis=1))[0]
            weight = chosen[keep] / chosen[keep].sum(1, keepdims=True)
            for kind, values in zip(kinds, np.split(np.arange(len(changes)), 2), strict=True):
                means = {n: np.einsum("kbsd,bs->kbd", v[values][:, keep], weight) for n, v in outcome.items()}
                curves[name, kind] = {"season": season, "sigma": sigma, "basins": basins[keep], "responses": means}
                for target, response in means.items():
                    about = {"moved": name, "by": sigma, "unit_of_move": units[name], "change": kind,
                             "start_days": season, "response_of": target, "units": units[target]}  # fmt: skip
                    rows += [about | row for row in response_rows(response, settings.draw)]
    return pd.DataFrame(rows), curves


def response_rows(response, draw):
    """Summary of a response (change, basin, day), the change along the probe first, over each of HORIZONS."""
    from probes import median_interval

    for horizon in HORIZONS:
        mean = response[:, :, :horizon].mean(axis=2)
        median, low, high, count = median_interval(mean[0], seed=draw)
        random = float(np.median(np.sqrt((mean[1:] ** 2).mean(axis=0))))
        cumulated = {"cumulated": median * horizon, "cumulated_low": low * horizon, "cumulated_high": high * horizon}
        share = float((mean[0] > 0).mean())
        yield {"horizon_days": horizon, "mean": median, "low": low, "high": high, **cumulated,
               "random_mean": random, "share_positive": share, "basins": count}  # fmt: skip


def start_days(settings, scored):
    """Positions, in the scored period, of the days at whose end the states are changed."""
    from hydrodata_tf import InputError

    dates, ahead = scored.dates.astype("datetime64[D]"), max(HORIZONS)
    if settings.intervention_days:
        try:
            chosen = np.array(settings.intervention_days, "datetime64[D]")
        except ValueError as error:
            raise InputError(f"--intervention-days takes dates as 2005-03-01 ({error}).") from None
        days = (chosen - dates[0]).astype(int)
        if (days < 0).any() or (days >= len(dates) - ahead).any():
            raise InputError(f"--intervention-days must lie {ahead} days before the end of {dates[0]} to {dates[-1]}.")
        return days
    days = np.where(dates == dates.astype("datetime64[M]"))[0]
    days = days[days < len(dates) - ahead][:12]
    if not len(days):
        raise InputError(f"{dates[0]} to {dates[-1]} is too short for interventions: add --intervention-basins 0.")
    return days


def runner_from(runner, arrays, first, days, flow_mean, flow_std, readers):
    """Function (h, c) -> runoff (mm/day) and every reading, (basin, day), over `days` days from day `first`."""

    def run_on(h, c):
        forcing = arrays["forcing"][:, first : first + days]
        inputs = {"forcing": forcing, "attributes": arrays["attributes"], "h0": h, "c0": c}
        out = {key: np.asarray(value, np.float64) for key, value in runner.predict_on_batch(inputs).items()}
        flow = np.maximum(out["prediction"][..., 0] * flow_std + flow_mean, 0)
        return {"streamflow": flow} | {n: out["c"] @ p.weights + p.intercept for n, p in readers.items()}

    return run_on


def place(job, names):
    """Order of (split, concept, reader) in tables: other runs come after what this run holds, then the controls."""
    split, name, reader = job
    order = [REAL, SPARSE, JOINT, "another run", UNTRAINED, TODAY, WEATHER, SHIFTED, SEASON]
    return (PERIOD, BASINS).index(split), names.index(name), order.index(reader if reader in order else "another run")


# ---- tables ----------------------------------------------------------------------------------------------------------


def summarise(scores, draw):
    """Median over basins with its bootstrap interval of every score, and of the real probe's score minus this one's."""
    import pandas as pd

    from probes import METRICS, median_interval

    counted = scores[scores["note"] == ""]
    rows = []
    for (split, concept, reader), group in counted.groupby(["split", "concept", "reader"], sort=False):
        chosen = counted["split"].eq(split) & counted["concept"].eq(concept) & counted["reader"].eq(REAL)
        real, this = counted[chosen].set_index("basin"), group.set_index("basin")
        for metric in [*METRICS, "gap"]:
            median, low, high, number = median_interval(this[metric].to_numpy(), seed=draw)
            row = {"median": median, "low": low, "high": high, "basins": number}
            if reader not in (REAL, SPARSE, JOINT):
                gain = median_interval((real[metric] - this[metric]).to_numpy(), seed=draw)
                row |= dict(zip(("selectivity", "selectivity_low", "selectivity_high"), gain[:3], strict=True))
            rows.append({"split": split, "concept": concept, "reader": reader, "metric": metric} | row)
    return pd.DataFrame(rows)


def show(summary, names, counted):
    """The table on the screen."""
    import pandas as pd

    cells = summary.set_index(["split", "concept", "reader", "metric"])

    def cell(*key, column="median", interval=True):
        if key not in cells.index or not np.isfinite(cells.at[key, column]):
            return ""
        row = cells.loc[key]
        return f"{row[column]:.2f}" + (f" [{row['low']:.2f} {row['high']:.2f}]" if interval else "")

    for name in names:
        rows = {}
        for reader in summary.loc[summary["concept"] == name, "reader"].unique():
            here, there = (PERIOD, name, reader), (BASINS, name, reader)
            rows[reader] = {
                "r": cell(*here, "r"),
                "NSE": cell(*here, "NSE"),
                "NSE anomaly": cell(*here, "NSE anomaly"),
                "NSE deseasonalised": cell(*here, "NSE deseasonalised"),
                "selectivity: anomaly": cell(*here, "NSE anomaly", column="selectivity", interval=False),
                "deseas.": cell(*here, "NSE deseasonalised", column="selectivity", interval=False),
                "other basins: NSE": cell(*there, "NSE", interval=False),
                "other basins: anomaly": cell(*there, "NSE anomaly", interval=False),
            }
        print(f"\n{name}, median of {counted[name].sum()} basins [95 % interval]")
        print(pd.DataFrame(rows).T.to_string())
    print("\nselectivity: median over basins of the score of the cell states minus that of the control; "
          "NSE anomaly: without each series' mean;\nNSE deseasonalised: without each series' day-of-year mean; "
          "other basins: probe fitted on other basins, in the other period again.")  # fmt: skip


def show_units(units, names):
    """Which units carry each concept, with sign, and how long they remember."""
    print("\nUnits that carry 95 % of the skill, with the sign of their weight and their memory in days (by the mean "
          "log of\nthe forget gate over all days, and weighted by what is stored)")  # fmt: skip
    for name in names:
        table = units[units["concept"] == name]
        kept = table[table["sparse_weight"] != 0].sort_values("sparse_weight", key=abs, ascending=False)
        best = table.loc[table["median_r"].abs().fillna(0).idxmax()]
        listed = [
            f"{'+' if u.sparse_weight > 0 else '-'}cn_{u.unit} ({u.memory_days:.0f}, {u.memory_stored_days:.0f})"
            for u in kept.itertuples()
        ]
        more = f" and {len(listed) - 8} more" if len(listed) > 8 else ""
        means = [f"{weighted_memory(kept, column):.0f}" for column in MEMORIES] if len(kept) else []
        memory = f", mean memory ({', '.join(means)})" if means else ""
        alone = f"cn_{best.unit} ({best.memory_days:.0f}, {best.memory_stored_days:.0f}), median r {best.median_r:.2f}"
        print(f"  {name}: {len(kept)} of {len(table)}{memory}: {', '.join(listed[:8])}{more}; best single unit {alone}")


def weighted_memory(kept, column):
    """Mean memory (days) of the units, each weighted by its absolute weight; logarithms, as memories span decades."""
    return float(np.exp(np.average(np.log(kept[column]), weights=kept["sparse_weight"].abs())))


def verdict(rows):
    """What the longest response of runoff says: (row, 'yes' | 'weakly' | 'no').

    Expected of any water store: more water in it, more runoff. yes: the interval of the median response lies above
    zero and the median above that of random changes; weakly: above zero, not above random changes; else no.
    """
    row = rows[(rows["response_of"] == "streamflow") & (rows["horizon_days"] == max(HORIZONS))].iloc[-1]
    if not row["low"] > 0:
        return row, "no"
    return row, "yes" if row["mean"] > row["random_mean"] else "weakly"


def show_verdicts(changes):
    """For each concept, what raising its reading does to runoff, and whether that is what physics asks."""
    import pandas as pd

    rows, days = {}, max(HORIZONS)
    for (name, kind), part in changes.groupby(["moved", "change"], sort=False):
        row, answer = verdict(part)
        flow = part[(part["response_of"] == "streamflow") & (part["start_days"] == row["start_days"])]
        rows[f"{name} +{row['by']:.3g} {row['unit_of_move']}", kind] = (
            {"days moved": row["start_days"]}
            | {f"{h} d": f"{mean:+.3f}" for h, mean in zip(flow["horizon_days"], flow["mean"], strict=True)}
            | {
                f"mm in {days} d": "{cumulated:+.2f} [{cumulated_low:+.2f} {cumulated_high:+.2f}]".format(**row),
                "random": f"±{row['random_mean'] * days:.2f}",
                "basins up": f"{row['share_positive']:.0%} of {row['basins']}",
                "more runoff": answer,
            }
        )
    print("\nReading raised by one standard deviation: mean change of runoff (mm/day) over the next days, median over "
          "basins.\nrandom: what changes of the same length do that leave the reading as it is. more runoff: yes if "
          "the interval lies\nabove zero and the median above random, weakly if not above random.")  # fmt: skip
    print(pd.DataFrame(rows).T.to_string())


def to_dataset(table, scores, units, curves, about):
    """Everything in one netCDF: scores, readings of the other period, weights, memories, mean responses."""
    import xarray as xr

    from probes import METRICS

    dataset, names = table.scored.dataset, table.names
    readers = list(scores["reader"].unique())
    out = xr.Dataset(coords={"basin": dataset["basin"].values.astype(str), "date": table.scored.dates,
                             "reader": readers, "metric": list(METRICS), "split": [PERIOD, BASINS],
                             "concept": names})  # fmt: skip
    values = np.full((2, len(names), len(readers), out.sizes["basin"], len(METRICS)), np.nan, np.float32)
    for (split, name, reader), group in scores.groupby(["split", "concept", "reader"]):
        values[[PERIOD, BASINS].index(split), names.index(name), readers.index(reader)] = group[list(METRICS)]
    out["score"] = (("split", "concept", "reader", "basin", "metric"), values, {"units": "1"})
    for name in names:
        attrs = {"units": dataset[name].attrs["units"], "source": dataset[name].attrs.get("source", "")}
        out[f"{name}_observed"] = (("basin", "date"), table.observed[name], attrs)
        read = [
            table.values.get((PERIOD, name, reader), np.full_like(table.observed[name], np.nan)) for reader in readers
        ]
        out[f"{name}_reading"] = (("reader", "basin", "date"), np.stack(read), attrs)
    out["unit"] = units["unit"].unique()
    for column in ("weight", "sparse_weight", "median_r"):
        out[column] = (("concept", "unit"), units[column].to_numpy().reshape(len(names), -1))
    out["weight"].attrs["long_name"] = "unit of the concept per standard deviation of the cell state"
    for column, days in zip(MEMORIES, ("all days", "days weighted by what is stored"), strict=True):
        memory = units[column].to_numpy()[: out.sizes["unit"]]
        out[column] = ("unit", memory, {"units": "days", "long_name": f"e-folding time by the forget gate, {days}"})
    for (name, kind), curve in curves.items():
        end = "" if kind == SHORTEST else "_together"
        for target, values in curve["responses"].items():
            attrs = {"units": "mm/day" if target == "streamflow" else dataset[target].attrs["units"],
                     "long_name": f"mean change of {target} after {name} was raised by {curve['sigma']:.4g}",
                     "start_days": curve["season"], "change": kind}  # fmt: skip
            full = np.full((out.sizes["basin"], values.shape[2]), np.nan, np.float32)
            full[curve["basins"]] = values[0]
            out[f"response_{name}_{target}{end}"] = (("basin", "day_after"), full, attrs)
            full = np.full_like(full, np.nan)
            full[curve["basins"]] = np.sqrt((values[1:] ** 2).mean(axis=0))
            about_random = attrs | {"long_name": f"root mean square change of {target} after random changes"}
            out[f"random_{name}_{target}{end}"] = (("basin", "day_after"), full, about_random)
    if curves:
        out["day_after"] = np.arange(1, max(HORIZONS) + 1)
    out.attrs = about
    return out


# ---- figures ---------------------------------------------------------------------------------------------------------


def figures(out, table, scores, summary, units, best, curves, counted):
    """Real against controls, skill per basin, series in three basins, best units, responses."""
    import plots

    dataset, names, dates = table.scored.dataset, table.names, table.scored.dates
    unit_of = {name: dataset[name].attrs["units"] for name in names}
    for split, file in ((PERIOD, "controls_other_period.png"), (BASINS, "controls_other_basins.png")):
        panels = {}
        for row in summary[summary["split"] == split].itertuples():
            panels.setdefault(row.concept, {}).setdefault(row.reader, {})[row.metric] = (row.median, row.low, row.high)
        plots.probe_controls(panels, out / file, note=f"probes scored in {split}; medians, 95 % intervals")

    kept = scores[(scores["split"] == PERIOD) & (scores["note"] == "")]
    for metric, file in (("NSE anomaly", "skill_anomaly.png"), ("NSE deseasonalised", "skill_deseasonalised.png")):
        values = {n: {reader: group[metric].to_numpy() for reader, group in part.groupby("reader", sort=False)
                      if reader not in (SPARSE, TODAY)} for n, part in kept.groupby("concept", sort=False)}  # fmt: skip
        plots.probe_distributions(values, metric, out / file)

    real = kept[kept["reader"] == REAL]
    skill = real.groupby("basin")["NSE anomaly"].mean().reindex(dataset["basin"].values).to_numpy()
    everywhere = np.sum([counted[n] for n in names], axis=0)  # prefer basins where every concept is scored
    able = np.where(np.isfinite(skill) & (everywhere == everywhere.max()))[0]
    order, panels = able[np.argsort(skill[able])], []
    for share, word in ((0.9, "good"), (0.5, "median"), (0.1, "bad")) if len(order) else ():
        b = order[round(share * (len(order) - 1))]
        concepts = [{"name": n, "units": unit_of[n], "observed": table.observed[n][b],
                     "readings": {label: table.values[PERIOD, n, label][b] for label in (REAL, WEATHER)}}
                    for n in names]  # fmt: skip
        title = f"{word}: {dataset['basin'].values[b]}, mean NSE of anomalies {skill[b]:.2f}"
        panels.append({"title": title, "dates": dates, "concepts": concepts})
    if panels:
        plots.probe_series(panels, out / "series.png")

    panels = []
    for name in names:
        unit, b = best[name]["unit"], best[name]["basin"]
        memory = units.loc[(units["concept"] == name) & (units["unit"] == unit + 1), "memory_days"].iloc[0]
        title = f"cn_{unit + 1}, memory {memory:.0f} days, r {best[name]['r']:.2f}, {dataset['basin'].values[b]}"
        panels.append({"title": title, "dates": dates, "state": best[name]["states"], "name": name,
                       "units": unit_of[name], "observed": table.observed[name][b]})  # fmt: skip
    plots.best_units(panels, out / "best_units.png")

    if curves:
        units_by_name = {"streamflow": "mm/day"} | unit_of
        for kind, file in ((SHORTEST, "interventions.png"), (TOGETHER, "interventions_together.png")):
            panels = [{"name": name, "title": f"{name} +{curve['sigma']:.3g} {unit_of[name]}, {curve['season']} days",
                       "rows": [{"name": n, "units": units_by_name[n], "real": v[0], "random": v[1:]}
                                for n, v in curve["responses"].items()]}
                      for (name, which), curve in curves.items() if which == kind]  # fmt: skip
            plots.interventions(panels, out / file)


if __name__ == "__main__":
    chosen = tyro.cli(Settings, description=__doc__)
    from runs import cli

    cli(main)(chosen)
