"""Train an LSTM on runoff while a linear layer maps its cell states to hydrological concepts.

    python LSTM_train.py                                  # synthetic demo catchments, made if they are not there
    python LSTM_train.py camels --data-dir camels_us      # the 391 CAMELS catchments with snow water equivalent
    python LSTM_train.py caravan --data-dir Caravan       # Caravan gauges with four soil layers and snow
    python LSTM_train.py --resume --run-dir runs/camels   # go on with a training that was stopped

Then score the run with LSTM_test.py and write its cell states with LSTM_output_Cn.py. demo, camels and caravan are the
presets below: edit them, or give any setting as an option.
"""

import sys
from dataclasses import asdict, dataclass, replace
from typing import Literal

import tyro

from running.settings import checked_settings, read_settings, refuse_other_settings, run_folder, stored_settings
from writing.messages import InputError, cli


@dataclass
class Settings:
    # Where things are
    run_dir: str = "runs/camels"
    """Folder for the trained model and everything the other scripts need; a new or an empty one."""
    data_dir: str = "camels_us"
    """CAMELS-US folder or, with --forcing caravan, a Caravan folder."""
    forcing: tuple[str, ...] = ("daymet",)
    """Forcing product: daymet, maurer, maurer_extended, nldas, nldas_extended, the name of a folder of your own csv
    files, or caravan. Of several, but for caravan, the model gets all inputs: prcp_daymet, prcp_maurer and so on."""
    basins: tuple[str, ...] = ()
    """Basin ids, or one file that lists them; if empty, all basins of the data folder that can be used."""
    attributes: str = "auto"
    """Catchment attributes: auto (the 27 of the CAMELS files, Caravan's own), a CSV table, climate (computed from the
    forcing of the training period), or none."""
    concepts: tuple[str, ...] = ()
    """Concepts the cell states are mapped to, each name=template:column, with optional *factor and [unit]. {basin} in
    the template is the 8-digit id, {number} the id without leading zeros; the template "caravan" is the basin's own
    Caravan file. None: runoff alone."""

    # Periods, first and last day; no day may be in two of them
    train_period: tuple[str, str] = ("1981-10-01", "2000-09-30")
    """Days whose streamflow and concepts are learned."""
    valid_period: tuple[str, str] = ("2000-10-01", "2004-09-30")
    """Days that choose the best weights and stop the training."""
    test_period: tuple[str, str] = ("2004-10-01", "2008-09-30")
    """Days kept for LSTM_test.py; nothing here looks at their streamflow and concepts."""

    # Model
    hidden_size: int = 128
    """Number of cell states."""
    dropout: float = 0.4
    """Share of hidden states dropped before the runoff layer; the probe always sees every cell state."""

    forcing_noise: float = 0.0
    """Standard deviation of Gaussian noise on the normalised forcing while training."""
    attribute_noise: float = 0.0
    """Standard deviation of Gaussian noise on the normalised catchment attributes while training, drawn once a window:
    for basins unlike those trained on."""
    weight_dropout: float = 0.0
    """Share of the LSTM's recurrent weights dropped while training, drawn once a step."""

    # Training
    epochs: int = 30
    """Passes over all training days."""
    batch_size: int = 64
    """Windows per step."""
    window: int = 365
    """Days per window."""
    warmup_days: int = 270
    """Days simulated before each window, not scored and without gradient, so that its first days have a past too: deep
    soil water needs most of a year."""
    learning_rate: float = 0.01
    """Adam's largest learning rate: a rise over the first twentieth of the steps, then half a cosine down to zero."""
    streamflow_weight: float = 0.7
    """Weight of streamflow in the loss."""
    concept_weight: float = 0.3
    """Weight of the concepts in the loss, shared equally between them."""
    root_flow_share: float = 0.5
    """Share of the streamflow's loss that is taken of the square root of the flow, to which low flows matter more."""
    probe_penalty: float = 0.0
    """Strength (alpha) of the elastic net on the probe's weights, which makes it use few cell states."""
    clip_norm: float = 1.0
    """Largest norm of the gradient of one step, over all weights together."""
    patience: int = 15
    """Stop after this many epochs without a better validation score."""
    validate_every: int = 1
    """Epochs from one look at the validation period to the next, which costs time; the last epoch is always looked at.
    The best weights are those of an epoch that was looked at: with --validate-every as large as --epochs, the last."""
    start_from: str | None = None
    """Run directory whose settings, weights and statistics this run begins with, but for --train-only, --folds and
    --validate-every. A concept that it does not know gets a new column of the probe."""
    train_only: Literal["all", "heads", "probe"] = "all"
    """What is trained: all weights, the probe and the runoff layer, or the probe; the rest stays as it is."""
    folds: int = 0
    """Number of parts that the basins are divided into: one run for each part, without its basins, so that LSTM_test.py
    can score every basin as ungauged. 0: one run with all basins."""
    seed: tuple[int, ...] = (1,)
    """Seed of the weights and of the order of the windows; several train one member each."""
    resume: bool = False
    """Go on with the run in --run-dir after its last whole epoch, or add a --seed to it; its own settings hold."""
    distribute: bool = False
    """Divide every batch between all devices of this host and all processes that a launcher such as srun started (needs
    KERAS_BACKEND=jax; see docs/scaling.md)."""


GAUGE = "caravan/timeseries/csv/camels/camels_{basin}.csv"
PRESETS = {  # what they do not name is as above
    "demo": Settings(
        run_dir="runs/demo",
        data_dir="demo",
        concepts=(
            f"soil1={GAUGE}:volumetric_soil_water_layer_1_mean*70[mm]",
            f"soil2={GAUGE}:volumetric_soil_water_layer_2_mean*210[mm]",
            f"soil3={GAUGE}:volumetric_soil_water_layer_3_mean*720[mm]",
            f"soil4={GAUGE}:volumetric_soil_water_layer_4_mean*1890[mm]",
            f"swe={GAUGE}:snow_depth_water_equivalent_mean[mm]",
        ),
        train_period=("2002-10-01", "2009-09-30"),
        valid_period=("2009-10-01", "2011-09-30"),
        test_period=("2011-10-01", "2013-09-30"),
        hidden_size=64,
        batch_size=16,
        epochs=100,
    ),
    "camels": Settings(
        forcing=("maurer_extended",),
        basins=("s_391attrs.csv",),
        concepts=("swe=swe/{number}.csv:uaz_swe[mm]",),
        weight_dropout=0.1,
        epochs=40,
        patience=40,
        validate_every=20,
    ),
    "caravan": Settings(
        run_dir="runs/caravan",
        data_dir="Caravan",
        forcing=("caravan",),
        attributes="climate",
        concepts=(
            "soil1=caravan:volumetric_soil_water_layer_1_mean*70",
            "soil2=caravan:volumetric_soil_water_layer_2_mean*210",
            "soil3=caravan:volumetric_soil_water_layer_3_mean*720",
            "soil4=caravan:volumetric_soil_water_layer_4_mean*1890",
            "swe=caravan:snow_depth_water_equivalent_mean",
        ),
        train_period=("1980-10-01", "2006-09-30"),
        valid_period=("2006-10-01", "2008-09-30"),
        test_period=("2008-10-01", "2020-12-31"),
        hidden_size=64,
        weight_dropout=0.1,
        batch_size=16,
        epochs=150,
        patience=60,
    ),
}


def from_command_line(words):
    """Settings from the words of a command: a preset's name, if the first word is one, then options.

    With --resume or --start-from the settings kept in that run directory take the place of the preset's. A run that is
    not there is begun by --resume if the words say what to train.
    """
    named = words[0] if words and words[0] in PRESETS else ""
    preset, words = named or "demo", words[bool(named) :]
    described = {"description": __doc__, "prog": f"LSTM_train.py {preset}", "args": words}
    default = checked_settings(Settings, vars(PRESETS[preset]), f"Preset {preset} in LSTM_train.py")
    chosen = tyro.cli(Settings, default=default, **described)
    if named and chosen.start_from:
        raise InputError(f"With --start-from the settings of {chosen.start_from} hold: leave out the preset {named}.")
    if not (chosen.resume or chosen.start_from) or named:  # with --resume they are compared with those of the run
        return chosen
    stored = stored_settings(chosen.run_dir, Settings) if chosen.resume else None
    if stored is None and chosen.start_from:
        read_settings(run_folder(chosen.start_from))
        stored = stored_settings(chosen.start_from, Settings)
        stored.train_only, stored.folds, stored.validate_every = "all", 0, 1
    if stored is None:
        how = ("run_dir", "seed", "data_dir", "resume", "distribute")
        if all(value == vars(default)[name] for name, value in vars(chosen).items() if name not in how):
            words = f"There is no run in {chosen.run_dir} to go on with: name another --run-dir"
            raise InputError(f"{words}, or begin it with a preset or the options that say what is trained.")
        return chosen
    stored.run_dir = chosen.run_dir  # it may have been moved
    return tyro.cli(Settings, default=stored, **described)


if __name__ == "__main__":  # before the packages below, which take seconds to load
    settings = cli(from_command_line, sys.argv[1:])

import collections
import contextlib
import functools
import itertools
import math
import time
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

import cn_loss
import hydrodata_tf as hydrodata
from libs_tf import keras
from reading import prepared, windows
from reading.demo_data import make_demo
from running import parallel, runs
from running.learned import learned_days, learned_words
from running.simulation import scored_basins, simulate
from writing import plots
from writing.files import write_csv
from writing.messages import basin_count, command, note, some

EPSILON = 0.1  # of the loss: this share of a target's overall standard deviation is added to every basin's own


def main(settings: Settings):
    settings = checked_settings(Settings, vars(settings), "Settings")
    check(settings)
    team = parallel.join(settings.distribute)
    with parallel.working(team):
        try:
            train(settings, team)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"Stopped. {way_on(settings)}") from None


def way_on(settings):
    """What to type after a stop."""
    if stored_settings(settings.run_dir, Settings):
        return f"Go on with: {command('LSTM_train.py', '--resume', '--run-dir', settings.run_dir)}"
    typed = sys.argv[1:] if Path(sys.argv[0]).name == "LSTM_train.py" else ["…"]
    return f"The run was not yet begun; begin it again with: {command('LSTM_train.py', *typed)}"


def train(settings, team):
    """Read the data, begin the run directory and train every member."""
    if settings.batch_size % team.devices:
        raise InputError(f"--batch-size {settings.batch_size} cannot be divided by {team.devices} devices.")
    if settings.data_dir == PRESETS["demo"].data_dir and team.first:
        print(f"Synthetic demo catchments in {make_demo(settings.data_dir)}/")
    team.wait()
    data = hydrodata.open_data(
        settings.data_dir,
        forcing=settings.forcing,
        basins=basins_of(settings),
        attributes=settings.attributes,
        concepts=settings.concepts,
        climate_period=settings.train_period,
        used_in=settings.train_period,
    )
    for period in (settings.train_period, settings.valid_period, settings.test_period):
        data.dates(*period)
    print(data.report)
    for reason, number in collections.Counter(data.left_out.values()).items():
        print(f"{basin_count(number)} left out. {reason} (left_out.csv in the run directory names them).")
    check_validation(data, settings.valid_period)
    base = begun_with(settings, data)
    if settings.folds > len(data.basins):
        raise InputError(f"--folds {settings.folds} needs as many basins, not {len(data.basins)}.")
    if settings.folds and (Path(settings.run_dir) / "settings.json").exists():
        words = f"{settings.run_dir} holds a run of its own, which is not divided into folds"
        raise InputError(f"{words}: name the folder of the folds, or another, with --run-dir.")
    if not settings.folds:
        train_run(settings, team, data, base)
    for fold, kept in enumerate(kept_in_folds(settings.folds, len(data.basins)), start=1):
        print(f"Fold {fold} of {settings.folds}: {basin_count(len(kept))}")
        of_fold = replace(settings, run_dir=str(Path(settings.run_dir) / f"fold_{fold}"))
        train_run(of_fold, team, data.select(kept), base)
    print(f"Next: {command('LSTM_test.py', '--run-dir', settings.run_dir)}")


def basins_of(settings):
    """The basins to be read, sorted, so that the order of a list changes no number; None: all that can be used.

    A run that goes on keeps its own, whatever its list or the data folder hold by now.
    """
    if settings.resume and (Path(settings.run_dir) / "settings.json").exists() and not settings.folds:
        return sorted(runs.load_basins(Path(settings.run_dir), []).index)
    return sorted(hydrodata.read_basins(settings.basins)) if settings.basins else None


def check_validation(data, period):
    """Refuse a validation period in which nothing can be scored, before an epoch is trained for it."""
    dates, what = data.dates(*period), "a score"
    if not data.has_forcing(*period):
        what = "all forcing on any day"
    # It stops at the first basin that has two different values of a target.
    elif any(pd.DataFrame(data.read([b], dates)[1][0]).nunique().gt(1).any() for b in range(len(data.basins))):
        return
    raise InputError(f"No basin has {what} from {' to '.join(period)}: choose another --valid-period.")


def begun_with(settings, data):
    """The run that a training starts from, or None: what it learned from is said, basins of folds it may not know."""
    if not settings.start_from:
        return None
    if not Path(settings.start_from).exists():
        words = f"There is no run directory {settings.start_from}, with which {settings.run_dir} begins"
        raise InputError(f"{words}: put it back, or name another with --start-from.")
    base = runs.load_run(settings.start_from)
    base.check_inputs(data)
    base.note_changes(data, settings.concepts)
    known = learned_days(base.lessons, data.basins)
    if settings.folds and known.any():
        which = f"{(known > 0).sum()} of the {len(known)} basins ({some(known.index[known > 0])})"
        raise InputError(f"{base.path} learned from {which}, which no fold could score as ungauged: leave out "
                         "--start-from, or name other --basins.")  # fmt: skip
    for option in ("valid_period", "test_period"):
        if words := learned_words(base.lessons, data.basins, *getattr(settings, option)):
            note(f"--{option.replace('_', '-')}: {words}")
    return base


def kept_in_folds(folds, basins):
    """Positions of the basins that each fold's run is trained on; every basin is missing in one of them."""
    order = np.random.default_rng(folds).permutation(basins)
    return [sorted(set(range(basins)) - set(order[fold::folds])) for fold in range(folds)]


def train_run(settings, team, data, base):
    """Begin or resume one run directory and train its members."""
    training = windows.training_set(data, *settings.train_period, settings.warmup_days)
    if base:
        shared = base.shared_concepts(settings.concepts)
        training = replace(training, normalisation=base.statistics_with(training.normalisation, shared))
    valid = data.select(range(len(data.basins))[team.index :: team.count])
    apart = ("resume", "distribute")  # these change how a run is made, not what comes out
    options = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items() if k not in apart}
    if team.first:
        runs.create_run(settings.run_dir, options, training, settings.resume, base.lessons if base else ())
    team.wait()
    for seed in settings.seed:
        with runs.only_training(settings.run_dir, seed) if team.first else contextlib.nullcontext():
            train_member(settings, team, seed, training, valid, base)


def check(settings):
    """Refuse settings that cannot work, before anything is read."""

    option = {name: f"--{name.replace('_', '-')}" for name in vars(settings)}
    given = vars(settings)
    above = ("hidden_size", "epochs", "batch_size", "window", "learning_rate", "clip_norm", "patience",
             "validate_every")  # fmt: skip
    least = ("warmup_days", "streamflow_weight", "concept_weight", "probe_penalty")
    up_to_one, below_one = ("forcing_noise", "attribute_noise", "root_flow_share"), ("dropout", "weight_dropout")
    seeds = " ".join(map(str, settings.seed))
    rules = [
        *((given[name] > 0, f"{option[name]} must be above 0, not {given[name]}.") for name in above),
        *((given[name] >= 0, f"{option[name]} must not be below 0, not {given[name]}.") for name in least),
        (settings.streamflow_weight or (settings.concepts and settings.concept_weight),
         "Nothing would be learned: give --streamflow-weight or --concept-weight a value above 0."),
        *((0 <= given[name] <= 1, f"{option[name]} must be from 0 to 1, not {given[name]}.") for name in up_to_one),
        *((0 <= given[name] < 1, f"{option[name]} must be at least 0 and below 1, not {given[name]}.")
          for name in below_one),
        (settings.patience >= min(settings.validate_every, settings.epochs),
         f"--patience {settings.patience} would stop before --validate-every {settings.validate_every} has looked."),
        (settings.folds == 0 or settings.folds > 1, f"--folds must be 0 or at least 2, not {settings.folds}."),
        (settings.concepts or settings.train_only != "probe", "--train-only probe needs --concepts."),
        (settings.seed and len(set(settings.seed)) == len(settings.seed)
         and all(0 <= seed <= runs.MOST_SEED for seed in settings.seed),
         f"--seed takes different whole numbers from 0 to {runs.MOST_SEED}, not {seeds}."),
    ]  # fmt: skip
    names = ("train_period", "valid_period", "test_period")
    periods = sorted((*prepared.parse_period(*given[name], option[name]), option[name]) for name in names)
    for (first, last, one), (later, end, other) in itertools.pairwise(periods):
        rules.append((last < later, f"{one} ({first} to {last}) and {other} ({later} to {end}) share days."))
    for holds, sentence in rules:
        if not holds:
            raise InputError(sentence)
    if settings.resume:
        refuse_other_settings(settings.run_dir, given)


def train_member(settings, team, seed, training, valid, base):
    """Train the member of one seed, from its last checkpoint if it has one, and leave its best weights in the run."""
    folder = Path(settings.run_dir) / f"seed_{seed}"
    build_model = functools.partial(runs.build_model, asdict(settings), training.normalisation, seed)
    weights = dict.fromkeys(valid.targets, settings.concept_weight / max(1, len(valid.targets) - 1))
    weights["streamflow"] = settings.streamflow_weight
    done, history, best = 0, [], {"score": -np.inf, "epoch": 0}
    with team.training():
        model = build_model()
        begin_with_constants(model, training)
        if base:
            base.give_weights(model, seed, base.shared_concepts(settings.concepts))
        model.lstm.trainable, model.runoff.trainable = settings.train_only == "all", settings.train_only != "probe"
        compile_model(settings, model, training.normalisation, weights)
        if (folder / "checkpoint.npz").exists():
            done, extra = runs.read_checkpoint(folder / "checkpoint.npz", model)
            history, best = extra["history"], extra["best"]
    judged = build_model()  # the epoch's weights, streamflow scaled or not; the training goes on as it learned
    number = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    print(f"Seed {seed}: {settings.hidden_size} cell states, {number:,} weights to train" +
          (f", going on after epoch {done}" if done else ""))  # fmt: skip

    print(f"{'epoch':>5} {'seconds':>8} {'loss':>8}  validation NSE, median over basins")
    for epoch in range(done + 1, settings.epochs + 1):
        if epoch - 1 - best["epoch"] >= settings.patience:
            print(f"No better validation score for {settings.patience} epochs.")
            break
        began = time.perf_counter()
        losses = train_epoch(settings, team, model, training, seed, epoch)
        scores, score, factor = dict.fromkeys(valid.targets, np.nan), -np.inf, np.nan
        if epoch % settings.validate_every == 0 or epoch == settings.epochs:
            judged.set_weights(model.get_weights())
            scores = median_nse(judged, team, valid, settings.valid_period, training.basins)
            if settings.streamflow_weight and settings.train_only != "probe":
                factor, scores = scale_where_better(judged, team, valid, training, settings.valid_period, scores)
            score = validation_score(scores, weights, settings.valid_period)
        seconds, rate = time.perf_counter() - began, float(model.optimizer.learning_rate)
        row = {"epoch": epoch, **losses, **{f"val_NSE_{name}": v for name, v in scores.items()}}
        history.append(row | {"streamflow_factor": factor, "learning_rate": rate, "seconds": seconds})
        print(f"{epoch:5d} {seconds:8.1f} {losses['loss']:8.4f}  " +
              "  ".join(f"{name} {v:.3f}" for name, v in scores.items() if np.isfinite(score)), flush=True)  # fmt: skip
        better = score > best["score"]
        best = {"score": score, "epoch": epoch} if better else best
        if team.first:
            if better:
                runs.write_model(folder / "model.keras", judged)
            write_csv(folder / "history.csv", pd.DataFrame(history), index=False)
            # Last, so that whatever is cut off before it is done again.
            runs.write_checkpoint(folder / "checkpoint.npz", model, epoch, {"history": history, "best": best})
    if team.first:
        plots.history(pd.DataFrame(history), folder / "history.png")
    print(f"Seed {seed}: best weights from epoch {best['epoch']}, in {folder / 'model.keras'}")


def validation_score(scores, weights, period):
    """One number of the NSE of all targets, weighted as in the loss; a target below -1 counts as -1."""
    if not np.isfinite(list(scores.values())).any():
        raise InputError(f"No basin has a score from {' to '.join(period)}: choose another --valid-period.")
    return sum(weights[name] * max(value, -1.0) for name, value in scores.items() if np.isfinite(value))


def begin_with_constants(model, training):
    """Let a new model predict the constant of each target that its loss is smallest for, whatever the states are.

    With the mean over all basins dry ones would begin with errors of many times their own spread, and the first epoch
    would be spent on them.
    """
    constants = []
    for name, (mean, std) in training.normalisation["targets"].items():
        means, spread = training.basins[f"mean_{name}"], training.basins[f"std_{name}"] + EPSILON * std
        known = means.notna()
        constants.append((np.average(means[known], weights=spread[known] ** -2) - mean) / std)
    for layer, of in ((model.runoff, constants[:1]), (model.probe, constants[1:])):
        if layer:
            layer.set_weights([np.zeros((model.units, len(of))), np.array(of)])


def scale_where_better(model, team, data, training, period, as_learned):
    """Scale a model's streamflow, unless the validation period scores better with it as it was learned.

    Where less runs off than in the training years, from the same precipitation, the lower volume may be the better one.

    Parameters
    ----------
    period : tuple of str
        The validation period.
    as_learned : dict
        Median NSE of each target in it, from `median_nse`.

    Returns
    -------
    factor : float
        What streamflow was multiplied by; 1 if it stayed as it was learned.
    scores : dict
        Median NSE of each target with it.
    """
    learned = model.get_weights()
    factor = scale_streamflow(model, team, data, training)
    scaled = median_nse(model, team, data, period, training.basins)
    if as_learned["streamflow"] >= scaled["streamflow"]:
        model.set_weights(learned)
        return 1.0, as_learned
    return factor, scaled


def scale_streamflow(model, team, data, training):
    """Multiply simulated streamflow by one factor, so that over all training days it is as much as was observed.

    What is learned of the root of the flow, and with weights dropped, comes out 3 to 5 % too low there. Basins count as
    in the loss. Each process simulates its own, those of `data`. Returns that factor.
    """
    mean, std = training.normalisation["targets"]["streamflow"]
    spread = (training.basins.loc[data.basins, "std_streamflow"] + EPSILON * std).to_numpy()
    sums = np.zeros((1, 2))  # of observed and simulated streamflow (mm/day), weighted
    for part in simulate(model, data, *training.normalisation["period"]):
        observed, simulated = part.observed[..., 0], part.prediction[..., 0]
        both = np.where(np.isnan(observed), np.nan, [observed, simulated])
        sums += np.nansum(both / spread[part.basins, None] ** 2, axis=(1, 2))
    observed, simulated = team.gather(sums).sum(axis=0)
    factor = observed / simulated if simulated else 1.0
    kernel, bias = model.runoff.get_weights()
    model.runoff.set_weights([factor * kernel, factor * bias + (factor - 1) * mean / std])
    return float(factor)


def train_epoch(settings, team, model, training, seed, epoch):
    """One pass over all training days; the mean loss and its parts, by name."""
    rng = np.random.default_rng([seed, epoch])  # an epoch that is done again after a stop sees the same windows
    draw = settings.window, settings.batch_size, settings.warmup_days, rng
    batches = windows.training_windows(training, *draw, share=(team.index, team.count))
    steps = math.ceil(training.scored / settings.window / settings.batch_size)
    hidden = None if team.first else True  # the bar
    logs = []
    for x, y in tqdm(batches, f"epoch {epoch}", total=steps, leave=False, disable=hidden, unit="batch"):
        progress = (epoch - 1 + min(len(logs) / steps, 1)) / settings.epochs
        model.optimizer.learning_rate = settings.learning_rate * schedule(progress)
        with team.training():
            logs.append(model.train_on_batch(x, y, return_dict=True))
    losses = pd.DataFrame(logs).astype(float).mean()
    if not all(np.isfinite(values).all() for values in (losses["loss"], *model.get_weights())):
        raise InputError(f"The loss is not a number in epoch {epoch}: lower --learning-rate or --clip-norm.")
    return losses


def schedule(progress):
    """Share of the learning rate at a share of the training: a linear rise over its first 5 %, then half a cosine."""
    return progress / 0.05 if progress < 0.05 else (1 + math.cos(math.pi * (progress - 0.05) / 0.95)) / 2


def compile_model(settings, model, normalisation, weights):
    """Give a model its loss, a part for each target, and Adam with clipped gradients."""

    def loss(targets, predictions, basin_std):
        parts = {}  # targets and predictions (batch, time, target) in mm/day and the concepts' units
        for k, name in enumerate(model.targets):
            one = targets[..., k : k + 1], predictions[..., k : k + 1], basin_std[:, k : k + 1]
            epsilon = EPSILON * normalisation["targets"][name][1]
            if name == "streamflow":
                share, roots = settings.root_flow_share, cn_loss.root_nse_loss(*one, epsilon=epsilon)
                parts[name] = (1 - share) * cn_loss.nse_loss(*one, epsilon=epsilon) + share * roots
            elif settings.probe_penalty == 0:
                parts[name] = cn_loss.nse_loss(*one, epsilon=epsilon)
            else:
                probe = model.probe.kernel[:, k - 1]
                parts[name] = cn_loss.elastic_nse_loss(*one, probe, alpha=settings.probe_penalty, epsilon=epsilon)
        return {name: weights[name] * part for name, part in parts.items()}

    adam = keras.optimizers.Adam(settings.learning_rate, global_clipnorm=settings.clip_norm)
    model.compile(optimizer=adam, loss=loss)
    model.optimizer.build(model.trainable_variables)


def median_nse(model, team, data, period, table):
    """Median NSE over basins of each target in a period; NaN where no basin has a score.

    Each process simulates its own basins. `table` holds each basin's training-period means.
    """
    counted = scored_basins(table, data)
    rows = [np.empty((0, len(model.targets)))]
    for part in simulate(model, data, *period):
        rows.append(np.full((len(part.prediction), len(model.targets)), np.nan))
        for k, name in enumerate(model.targets):
            nse = cn_loss.score(part.observed[..., k], part.prediction[..., k], ["NSE"])["NSE"]
            rows[-1][:, k] = nse.where(counted[name][part.basins])
    return pd.DataFrame(team.gather(np.concatenate(rows)), columns=model.targets).median().to_dict()


if __name__ == "__main__":
    cli(main, settings)
