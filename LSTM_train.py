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
from typing import Annotated

import tyro

from running import settings as options
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
    """Days that choose the best weights."""
    test_period: tuple[str, str] = ("2004-10-01", "2008-09-30")
    """Days kept for LSTM_test.py; nothing here looks at their streamflow and concepts."""

    # Model
    hidden_size: Annotated[int, options.ABOVE_0] = 128
    """Number of cell states."""
    dropout: Annotated[float, options.BELOW_1] = 0.4
    """Share of hidden states dropped before the runoff layer; the probe always sees every cell state."""
    attribute_noise: Annotated[float, options.FROM_0_TO_1] = 0.0
    """Standard deviation of Gaussian noise on the normalised catchment attributes while training, drawn once a window:
    for basins unlike those trained on."""
    weight_dropout: Annotated[float, options.BELOW_1] = 0.0
    """Share of the LSTM's recurrent weights dropped while training, drawn once a step."""

    # Training
    epochs: Annotated[int, options.ABOVE_0] = 30
    """Passes over all training days."""
    batch_size: Annotated[int, options.ABOVE_0] = 64
    """Windows per step."""
    window: Annotated[int, options.ABOVE_0] = 365
    """Days per window."""
    warmup_days: Annotated[int, options.FROM_0] = 270
    """Days simulated before each window, not scored and without gradient, so that its first days have a past too: deep
    soil water needs most of a year."""
    learning_rate: Annotated[float, options.ABOVE_0] = 0.01
    """Adam's largest learning rate: a rise over the first twentieth of the steps, then half a cosine down to zero."""
    streamflow_weight: Annotated[float, options.FROM_0_TO_1] = 0.7
    """Weight of streamflow in the loss; the concepts share the rest equally."""
    root_flow_share: Annotated[float, options.FROM_0_TO_1] = 0.5
    """Share of the streamflow's loss that is taken of the square root of the flow, to which low flows matter more."""
    probe_penalty: Annotated[float, options.FROM_0] = 0.0
    """Strength (alpha) of the elastic net on the probe's weights, which makes it use few cell states."""
    validate_every: Annotated[int, options.ABOVE_0] = 1
    """Validate every N epochs, and after the last. Validation takes about as long as an epoch. The best weights are of
    an epoch that was validated: with --validate-every as large as --epochs, the last."""
    start_from: str | None = None
    """Run directory whose settings, weights and statistics this run begins with, but for --folds and --validate-every.
    Inputs, attributes, concepts and their units have to be the same."""
    folds: Annotated[int, options.FROM_0] = 0
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
    default = options.checked_settings(Settings, vars(PRESETS[preset]), f"Preset {preset} in LSTM_train.py")
    chosen = tyro.cli(Settings, default=default, **described)
    if named and chosen.start_from:
        raise InputError(f"With --start-from the settings of {chosen.start_from} hold: leave out the preset {named}.")
    if not (chosen.resume or chosen.start_from) or named:  # with --resume they are compared with those of the run
        return chosen
    stored = options.stored_settings(chosen.run_dir, Settings) if chosen.resume else None
    if stored is None and chosen.start_from:
        options.run_folders(chosen.start_from)
        options.read_settings(chosen.start_from)
        stored = replace(options.stored_settings(chosen.start_from, Settings), folds=0, validate_every=1)
    if stored is None:
        how = ("run_dir", "seed", "data_dir", "resume", "distribute")
        if all(value == vars(default)[name] for name, value in vars(chosen).items() if name not in how):
            raise InputError(
                f"There is no run in {chosen.run_dir} to go on with: name another --run-dir, or begin it with a preset "
                "or the options that say what is trained."
            )
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
from reading import windows
from reading.demo_data import make_demo
from reading.prepared import parse_period
from running import parallel, runs
from running.validation import EPSILON, scale_streamflow, validate, validation_score, volume_factor
from writing import plots
from writing.files import write_csv
from writing.messages import basin_count, command, note, some

CLIP_NORM = 1.0  # largest norm of the gradient of one step, over all weights together


def main(settings: Settings):
    settings = options.checked_settings(Settings, vars(settings), "Settings")
    check(settings)
    team = parallel.join(settings.distribute)
    with parallel.working(team):
        try:
            train(settings, team)
        except KeyboardInterrupt:
            raise KeyboardInterrupt(f"Stopped. {way_on(settings)}") from None


def check(settings):
    """Refuse settings that do not fit together, before anything is read."""
    seeds = settings.seed
    if settings.streamflow_weight == 0 and not settings.concepts:
        raise InputError("Nothing would be learned: --streamflow-weight 0 needs --concepts.")
    if settings.folds == 1:
        raise InputError("--folds must be 0 or at least 2, not 1.")
    if not seeds or len(set(seeds)) < len(seeds) or not all(0 <= seed <= runs.MOST_SEED for seed in seeds):
        shown = " ".join(map(str, seeds))
        raise InputError(f"--seed takes different whole numbers from 0 to {runs.MOST_SEED}, not {shown}.")
    names = ("train_period", "valid_period", "test_period")
    periods = sorted((*parse_period(*vars(settings)[name]), f"--{name.replace('_', '-')}") for name in names)
    for (first, last, option), (begin, end, later) in itertools.pairwise(periods):
        if begin <= last:
            raise InputError(f"{option} ({first} to {last}) and {later} ({begin} to {end}) share days.")
    for path in (Path(settings.run_dir), Path(settings.run_dir) / "fold_1") if settings.resume else ():
        if (path / "settings.json").exists():
            options.refuse_other_settings(path, vars(settings))


def way_on(settings):
    """What to type after a stop."""
    if options.stored_settings(settings.run_dir, Settings):
        return f"Go on with: {command('LSTM_train.py', '--resume', '--run-dir', settings.run_dir)}"
    return "The run was not yet begun: begin it again with the same command."


def train(settings, team):
    """Read the data, begin the run directory and train every member."""
    if settings.batch_size % team.devices:
        raise InputError(f"--batch-size {settings.batch_size} cannot be divided by {team.devices} devices.")
    base = load_base(settings) if settings.start_from else None
    if settings.data_dir == PRESETS["demo"].data_dir:
        print(f"Synthetic demo catchments in {make_demo(settings.data_dir)}/")
    data = hydrodata.open_data(
        settings.data_dir,
        settings.forcing,
        basins_to_read(settings),
        settings.attributes,
        settings.concepts,
        train_period=settings.train_period,
        required=("streamflow",) if base else None,
    )
    for period in (settings.train_period, settings.valid_period, settings.test_period):
        data.dates(*period)
    print(data.report)
    for reason, number in collections.Counter(data.left_out.values()).items():
        print(f"{basin_count(number)} left out. {reason} (left_out.csv in the run directory names them).")
    check_validation(data, settings.valid_period)
    if base:
        data = base.matched(data)
        note_overlap(settings, base, data.basins)
    if not settings.folds:
        train_run(settings, team, data, base)
    else:
        train_folds(settings, team, data, base)
    print(f"Next: {command('LSTM_test.py', '--run-dir', settings.run_dir)}")


def basins_to_read(settings):
    """The basins to be read, sorted, so that the order of a list changes no number; None: all that can be used.

    A run that goes on keeps its own, whatever its list or the data folder hold by now.
    """
    path = Path(settings.run_dir) / ("fold_1" if settings.folds else "")
    if settings.resume and (path / "settings.json").exists():
        basins = list(runs.load_basins(path, []).index)
        return sorted(basins + (hydrodata.read_basins(path / "held_out.csv") if settings.folds else []))
    return sorted(hydrodata.read_basins(settings.basins)) if settings.basins else None


def check_validation(data, period):
    """Refuse a validation period in which nothing can be scored, before an epoch is trained for it."""
    dates, missing = data.dates(*period), "a score"
    if not data.has_forcing(*period):
        missing = "all forcing on any day"
    # It stops at the first basin that has two different values of a target.
    elif any(pd.DataFrame(data.read([b], dates)[1][0]).nunique().gt(1).any() for b in range(len(data.basins))):
        return
    raise InputError(f"No basin has {missing} from {' to '.join(period)}: choose another --valid-period.")


def load_base(settings):
    """The run that a training starts from; another size or other concepts are refused."""
    if not Path(settings.start_from).exists():
        problem = f"There is no run directory {settings.start_from}, with which {settings.run_dir} begins"
        raise InputError(f"{problem}: put it back, or name another with --start-from.")
    base = runs.load_run(settings.start_from)
    if (number := base.settings["hidden_size"]) != settings.hidden_size:
        raise InputError(f"{base.path} has {number} cell states, --hidden-size must be the same.")
    base.refuse_other_concepts(settings.concepts)
    return base


def note_overlap(settings, base, basins):
    """Say what a base learned from in the validation and test period; basins of folds it may not know at all."""
    known = {basin for training in base.learned_from for basin in training["basins"].split()}
    if settings.folds and (known := [basin for basin in basins if basin in known]):
        raise InputError(
            f"{base.path} learned from {len(known)} of the {len(basins)} basins ({some(known)}), which no fold could "
            "score as ungauged: leave out --start-from, or name other --basins."
        )
    for option in ("valid_period", "test_period"):
        if sentence := runs.overlap(base, basins, getattr(settings, option)):
            note(f"--{option.replace('_', '-')}: {sentence}")


def train_folds(settings, team, data, base):
    """Train one run for each part of the basins, without its basins, which held_out.csv names."""
    number = len(data.basins)
    if settings.folds > number:
        raise InputError(f"--folds {settings.folds} needs as many basins, not {number}.")
    if (Path(settings.run_dir) / "settings.json").exists():
        raise InputError(f"{settings.run_dir} holds a run of its own: name the folder of the folds with --run-dir.")
    order = np.random.default_rng(settings.folds).permutation(number)
    for fold in range(settings.folds):
        held_out = sorted(order[fold :: settings.folds])
        kept = sorted(set(range(number)) - set(held_out))
        print(f"Fold {fold + 1} of {settings.folds}: {basin_count(len(kept))}")
        chosen = replace(settings, run_dir=str(Path(settings.run_dir) / f"fold_{fold + 1}"))
        train_run(chosen, team, data.select(kept), base, [data.basins[position] for position in held_out])


def train_run(settings, team, data, base, held_out=()):
    """Begin or resume one run directory and train its members."""
    statistics = base.normalisation if base else None
    training = windows.training_set(data, *settings.train_period, settings.warmup_days, statistics)
    apart = ("resume", "distribute")  # these change how a run is made, not what comes out
    chosen = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items() if k not in apart}
    if team.first:
        learned_from = base.learned_from if base else ()
        runs.create_run(settings.run_dir, chosen, training, settings.resume, learned_from, held_out)
    for seed in settings.seed:
        with runs.only_training(settings.run_dir, seed) if team.first else contextlib.nullcontext():
            train_member(settings, team, seed, data, training, base)


def train_member(settings, team, seed, data, training, base):
    """Train the member of one seed, from its last checkpoint if it has one, and leave its best weights in the run."""
    folder = Path(settings.run_dir) / f"seed_{seed}"
    build_model = functools.partial(runs.build_model, asdict(settings), training.normalisation, seed)
    weights = dict.fromkeys(data.targets, (1 - settings.streamflow_weight) / max(1, len(data.targets) - 1))
    weights["streamflow"] = settings.streamflow_weight
    done, history, best = 0, [], {"score": -np.inf, "epoch": 0}
    with team.training():
        model = build_model()
        if base:
            model.set_weights(base.model(seed if seed in base.seeds else base.seeds[0]).get_weights())
        else:
            begin_with_constants(model, training)
        compile_model(settings, model, training.normalisation, weights)
        if (folder / "checkpoint.npz").exists():
            done, extra = runs.read_checkpoint(folder / "checkpoint.npz", model)
            history, best = extra["history"], extra["best"]
    judged = build_model()  # the epoch's weights, streamflow scaled or not; the training goes on as it learned
    number = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    going_on = f", going on after epoch {done}" if done else ""
    print(f"Seed {seed}: {settings.hidden_size} cell states, {number:,} weights to train{going_on}")
    print(f"{'epoch':>5} {'seconds':>8} {'loss':>8}  validation NSE, median over basins")
    for epoch in range(done + 1, settings.epochs + 1):
        began = time.perf_counter()
        losses = train_epoch(settings, team, model, training, seed, epoch)
        scores, score, factor = dict.fromkeys(data.targets, np.nan), -np.inf, np.nan
        if epoch % settings.validate_every == 0 or epoch == settings.epochs:
            judged.set_weights(model.get_weights())
            factor = volume_factor(judged, data, training) if settings.streamflow_weight else 1.0
            scores, factor = validate(judged, data, settings.valid_period, training.basins, factor)
            scale_streamflow(judged, factor, training.normalisation)
            score = validation_score(scores, weights, settings.valid_period)
        seconds, rate = time.perf_counter() - began, float(model.optimizer.learning_rate)
        row = {"epoch": epoch, **losses, **{f"val_NSE_{name}": value for name, value in scores.items()}}
        history.append(row | {"streamflow_factor": factor, "learning_rate": rate, "seconds": seconds})
        shown = [f"{name} {value:.3f}" for name, value in scores.items() if np.isfinite(score)]
        print(f"{epoch:5d} {seconds:8.1f} {losses['loss']:8.4f}  {'  '.join(shown)}", flush=True)
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
    for layer, values in ((model.runoff, constants[:1]), (model.probe, constants[1:])):
        if layer:
            layer.set_weights([np.zeros((model.units, len(values))), np.array(values)])


def compile_model(settings, model, normalisation, weights):
    """Give a model its loss, a part for each target, and Adam with clipped gradients."""

    def loss(targets, predictions, basin_std):
        parts = {}  # targets and predictions (batch, time, target) in mm/day and the concepts' units
        for k, name in enumerate(model.targets):
            series = targets[..., k : k + 1], predictions[..., k : k + 1], basin_std[:, k : k + 1]
            epsilon = EPSILON * normalisation["targets"][name][1]
            if name == "streamflow":
                share, roots = settings.root_flow_share, cn_loss.root_nse_loss(*series, epsilon=epsilon)
                parts[name] = (1 - share) * cn_loss.nse_loss(*series, epsilon=epsilon) + share * roots
            elif settings.probe_penalty == 0:
                parts[name] = cn_loss.nse_loss(*series, epsilon=epsilon)
            else:
                probe = model.probe.kernel[:, k - 1]
                parts[name] = cn_loss.elastic_nse_loss(*series, probe, alpha=settings.probe_penalty, epsilon=epsilon)
        return {name: weights[name] * part for name, part in parts.items()}

    adam = keras.optimizers.Adam(settings.learning_rate, global_clipnorm=CLIP_NORM)
    model.compile(optimizer=adam, loss=loss)
    model.optimizer.build(model.trainable_variables)


def train_epoch(settings, team, model, training, seed, epoch):
    """One pass over all training days; the mean loss and its parts, by name."""
    rng = np.random.default_rng([seed, epoch])  # an epoch that is done again after a stop sees the same windows
    sizes = settings.window, settings.batch_size, settings.warmup_days
    batches = windows.training_windows(training, *sizes, rng, share=(team.index, team.count))
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
        raise InputError(f"The loss is not a number in epoch {epoch}: lower --learning-rate.")
    return losses


def schedule(progress):
    """Share of the learning rate at a share of the training: a linear rise over its first 5 %, then half a cosine."""
    return progress / 0.05 if progress < 0.05 else (1 + math.cos(math.pi * (progress - 0.05) / 0.95)) / 2


if __name__ == "__main__":
    cli(main, settings)
