"""Train an LSTM on runoff while a linear layer maps its cell states to hydrological concepts.

    python LSTM_train.py                # synthetic demo catchments, made if they are not there
    python LSTM_train.py --resume       # go on with a training that was stopped

The 391 CAMELS catchments with snow water equivalent as the concept:

    python LSTM_train.py --run-dir runs/camels --data-dir camels_us --forcing maurer_extended --basins s_391attrs.csv
        --concepts "swe=swe/{number}.csv:uaz_swe[mm]" --train-period 1981-10-01 2000-09-30
        --valid-period 2000-10-01 2004-09-30 --test-period 2004-10-01 2008-09-30

Then score the run with LSTM_test.py and write its cell states with LSTM_output_Cn.py. Edit the settings below or give
them as options; as long as no data folder is named, the demo's settings (DEMO) hold.
"""

import itertools
import math
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tyro


@dataclass
class Settings:
    # Where things are
    run_dir: str = "runs/camels"
    """Folder for the trained model and everything the other scripts need; a new or an empty one."""
    data_dir: str = ""
    """CAMELS-US folder or, with --forcing caravan, a Caravan folder; or a store that stores.py made of one."""
    forcing: str = "daymet"
    """Forcing product: daymet, maurer, maurer_extended, nldas, nldas_extended, or caravan."""
    basins: tuple[str, ...] = ()
    """Basin ids, or one file that lists them; all basins of the data folder if empty."""
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
    """Days kept for LSTM_test.py; nothing here looks at them."""

    # Model
    hidden_size: int = 128
    """Number of cell states."""
    dropout: float = 0.4
    """Share of hidden states dropped before the runoff layer; the probe always sees every cell state."""

    forcing_noise: float = 0.1
    """Standard deviation of the Gaussian noise on the normalised forcing while training; it keeps the LSTM general."""

    # Training
    epochs: int = 40
    """Passes over all training days."""
    batch_size: int = 64
    """Windows per step."""
    window: int = 365
    """Days per window."""
    warmup_days: int = 0
    """Days simulated before each window and not scored."""
    learning_rate: float = 0.01
    """Adam's largest learning rate: a rise over the first twentieth of the steps, then half a cosine down to zero."""
    streamflow_weight: float = 0.7
    """Weight of streamflow in the loss."""
    concept_weight: float = 0.3
    """Weight of the concepts in the loss, shared equally between them."""
    probe_penalty: float = 0.0
    """Strength (alpha) of the elastic net on the probe's weights, which makes it use few cell states."""
    clip_norm: float = 1.0
    """Largest norm of the gradient of one step, over all weights together."""
    patience: int = 15
    """Stop after this many epochs without a better validation score."""
    seed: tuple[int, ...] = (1,)
    """Seed of the weights and of the order of the windows; several train one member each."""
    resume: bool = False
    """Go on with the run in --run-dir after its last whole epoch, or add a seed to it, or begin it."""
    distribute: bool = False
    """Divide every batch between all devices of this host and all processes that a launcher such as srun started (needs
    KERAS_BACKEND=jax; see docs/scaling.md)."""


STATES = "caravan/timeseries/csv/camels/camels_{basin}.csv"
DEMO = Settings(
    run_dir="runs/demo",
    data_dir="demo",
    concepts=(
        f"soil1={STATES}:volumetric_soil_water_layer_1_mean*70[mm]",
        f"soil2={STATES}:volumetric_soil_water_layer_2_mean*210[mm]",
        f"soil3={STATES}:volumetric_soil_water_layer_3_mean*720[mm]",
        f"soil4={STATES}:volumetric_soil_water_layer_4_mean*1890[mm]",
        f"swe={STATES}:snow_depth_water_equivalent_mean[mm]",
    ),
    train_period=("2002-10-01", "2009-09-30"),
    valid_period=("2009-10-01", "2011-09-30"),
    test_period=("2011-10-01", "2013-09-30"),
    hidden_size=64,
    batch_size=16,
    epochs=100,
)


def main(settings: Settings):
    import parallel

    check(settings)
    team = parallel.join(settings.distribute)
    with parallel.working(team):
        train(settings, team)


def train(settings, team):
    """Read the data, begin the run directory and train every member."""
    import hydrodata_tf as hydrodata
    import runs
    import stores

    if settings.batch_size % team.devices:
        raise hydrodata.InputError(f"--batch-size {settings.batch_size} cannot be divided by {team.devices} devices.")
    if settings.data_dir == DEMO.data_dir and team.first:
        from demo_data import make_demo

        try:
            print(f"Synthetic demo catchments in {make_demo(settings.data_dir)}/")
        except ValueError as error:  # the folder holds something else
            raise hydrodata.InputError(str(error)) from None
    team.wait()
    data = stores.open_parts(
        settings.data_dir,
        # Sorted, so that the order of a basin list changes no number.
        basins=sorted(hydrodata.read_basins(settings.basins)) if settings.basins else None,
        forcing=settings.forcing,
        attributes=settings.attributes,
        concepts=settings.concepts,
        climate_period=settings.train_period,
    )
    print(data.report)

    normalisation = hydrodata.fit_normalisation(data, *settings.train_period)
    arrays = stores.training_arrays(data, normalisation, *settings.train_period, warmup_days=settings.warmup_days)
    valid = data.within(*settings.valid_period, spinup_days=runs.SPINUP_DAYS).share(team.index, team.count)

    apart = ("resume", "distribute")  # these change how a run is made, not what comes out
    options = {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(settings).items() if k not in apart}
    if team.first:
        runs.create_run(settings.run_dir, options, normalisation, data, resume=settings.resume)
    team.wait()
    del data
    for seed in settings.seed:
        train_member(settings, team, seed, arrays, valid, normalisation)
    print(f"Next: python LSTM_test.py --run-dir {settings.run_dir}")


def check(settings):
    """Refuse settings that cannot work before anything is read."""
    from hydrodata_tf import InputError
    from runs import MOST_SEED, MOST_UNITS

    if not settings.data_dir:
        raise InputError("Name the folder of the data with --data-dir.")
    for name in ("hidden_size", "epochs", "batch_size", "window", "learning_rate", "clip_norm", "patience"):
        if not getattr(settings, name) > 0:
            raise InputError(f"--{name.replace('_', '-')} must be above 0, not {getattr(settings, name)}.")
    for name in ("warmup_days", "forcing_noise", "streamflow_weight", "concept_weight", "probe_penalty"):
        if not getattr(settings, name) >= 0:
            raise InputError(f"--{name.replace('_', '-')} must not be below 0, not {getattr(settings, name)}.")
    if settings.hidden_size > MOST_UNITS:
        raise InputError(f"--hidden-size must not be above {MOST_UNITS}, not {settings.hidden_size}.")
    if settings.forcing_noise > 1:
        raise InputError(f"--forcing-noise must not be above 1, not {settings.forcing_noise}.")
    if not 0 <= settings.dropout < 1:
        raise InputError(f"--dropout must be at least 0 and below 1, not {settings.dropout}.")
    if len(set(settings.seed)) < max(1, len(settings.seed)) or not all(
        0 <= seed <= MOST_SEED for seed in settings.seed
    ):
        given = " ".join(map(str, settings.seed))
        raise InputError(f"--seed takes different whole numbers from 0 to {MOST_SEED}, not {given}.")
    periods = sorted((getattr(settings, f"{name}_period"), f"--{name}-period") for name in ("train", "valid", "test"))
    for (earlier, one), (later, other) in itertools.pairwise(periods):
        if later[0] <= earlier[1]:
            raise InputError(f"{one} ({' to '.join(earlier)}) and {other} ({' to '.join(later)}) share days.")


def train_member(settings, team, seed, arrays, valid, normalisation):
    """Train the member of one seed, from its last checkpoint if it has one, and leave its best weights in the run."""
    import keras
    import pandas as pd
    from tqdm import tqdm

    import plots
    import runs
    from cn_loss import elastic_nse_loss, nse_loss
    from hydrodata_tf import InputError, training_windows

    folder = Path(settings.run_dir) / f"seed_{seed}"
    with team.training():
        model = runs.build_model(asdict(settings), normalisation, seed)
    share = settings.concept_weight / max(1, len(model.targets) - 1)
    weights = {name: settings.streamflow_weight if name == "streamflow" else share for name in model.targets}

    def loss(targets, predictions, basin_std):
        parts = {}
        for k, name in enumerate(model.targets):
            one = targets[..., k : k + 1], predictions[..., k : k + 1], basin_std[:, k : k + 1]
            if name == "streamflow" or settings.probe_penalty == 0:
                parts[name] = weights[name] * nse_loss(*one)
            else:
                kernel = model.probe.kernel[:, k - 1]
                parts[name] = weights[name] * elastic_nse_loss(*one, kernel, alpha=settings.probe_penalty)
        return parts

    done, history, best = 0, [], {"score": -np.inf, "epoch": 0}
    with team.training():
        adam = keras.optimizers.Adam(settings.learning_rate, global_clipnorm=settings.clip_norm)
        model.compile(optimizer=adam, loss=loss)
        model.optimizer.build(model.trainable_variables)
        if (folder / "checkpoint.npz").exists():
            done, extra = runs.read_checkpoint(folder / "checkpoint.npz", model)
            history, best = extra["history"], extra["best"]
    # A shared model cannot simulate other basins in every process; a model of its own can.
    judged = runs.build_model(asdict(settings), normalisation, seed) if team.distribution else model
    basins = runs.load_basins(settings.run_dir, normalisation["targets"])
    print(f"Seed {seed}: {settings.hidden_size} cell states, {model.count_params():,} weights" +
          (f", going on after epoch {done}" if done else ""))  # fmt: skip

    print(f"{'epoch':>5} {'seconds':>8} {'loss':>8}  validation NSE, median over basins")
    steps = math.ceil(arrays["scored"] / settings.window / settings.batch_size)
    hidden = None if team.first else True  # the bar
    draw = settings.window, settings.batch_size, settings.warmup_days
    try:
        for epoch in range(done + 1, settings.epochs + 1):
            if epoch - 1 - best["epoch"] >= settings.patience:
                print(f"No better validation score for {settings.patience} epochs.")
                break
            began = time.perf_counter()
            rng = np.random.default_rng([seed, epoch])  # an epoch that is done again after a stop sees the same windows
            batches = training_windows(arrays, *draw, rng, share=(team.index, team.count))
            logs = []
            for x, y in tqdm(batches, f"epoch {epoch}", total=steps, leave=False, disable=hidden, unit="batch"):
                progress = (epoch - 1 + min(len(logs) / steps, 1)) / settings.epochs
                model.optimizer.learning_rate = rate = settings.learning_rate * schedule(progress)
                with team.training():
                    logs.append(model.train_on_batch(x, y, return_dict=True))
            losses = pd.DataFrame(logs).astype(float).mean()
            if not all(np.isfinite(values).all() for values in (losses["loss"], *model.get_weights())):
                raise InputError(f"The loss is not a number in epoch {epoch}: lower --learning-rate or --clip-norm.")
            if judged is not model:
                judged.set_weights(model.get_weights())
            scores = median_nse(judged, team, valid, settings.valid_period[0], normalisation, basins)
            if not np.isfinite(list(scores.values())).any():
                raise InputError(
                    f"No basin has a score from {' to '.join(settings.valid_period)}: choose another --valid-period."
                )
            score = sum(weights[name] * max(value, -1.0) for name, value in scores.items() if np.isfinite(value))
            row = {"epoch": epoch, **losses, **{f"val_NSE_{name}": v for name, v in scores.items()}}
            history.append(row | {"learning_rate": rate, "seconds": time.perf_counter() - began})
            print(f"{epoch:5d} {history[-1]['seconds']:8.1f} {losses['loss']:8.4f}  " +
                  "  ".join(f"{name} {v:.3f}" for name, v in scores.items()), flush=True)  # fmt: skip
            better = score > best["score"]
            best = {"score": score, "epoch": epoch} if better else best
            if team.first:
                if better:
                    runs.write_model(folder / "model.keras", judged)
                runs.write_csv(folder / "history.csv", pd.DataFrame(history), index=False)
                # Last, so that whatever is cut off before it is done again.
                runs.write_checkpoint(folder / "checkpoint.npz", model, epoch, {"history": history, "best": best})
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"Stopped. Go on with the same options and --resume (run directory {settings.run_dir})."
        ) from None
    if team.first:
        plots.history(pd.DataFrame(history), folder / "history.png")
    print(f"Seed {seed}: best weights from epoch {best['epoch']}, in {folder / 'model.keras'}")


def schedule(progress):
    """Share of the learning rate at a share of the training: a linear rise over the first 5 %, then half a cosine."""
    return progress / 0.05 if progress < 0.05 else (1 + math.cos(math.pi * (progress - 0.05) / 0.95)) / 2


def median_nse(model, team, valid, start, normalisation, basins):
    """Median NSE over basins of each target from the day `start` on; NaN where no basin has a score.

    Each process simulates its own basins.
    """
    import pandas as pd

    from cn_loss import score
    from hydrodata_tf import to_arrays
    from runs import in_units, scored_basins, simulate

    rows = [np.empty((0, len(model.targets)))]
    for part in valid:
        arrays = to_arrays(part, normalisation)
        arrays["targets"][:, part["date"].values < np.datetime64(start)] = np.nan  # spin-up
        simulated = in_units(np.concatenate([out["prediction"] for _, out in simulate(model, arrays)]), normalisation)
        observed, counted = in_units(arrays["targets"], normalisation), scored_basins(basins, part)
        nse = [score(observed[n], simulated[n], ["NSE"])["NSE"].where(counted[n]) for n in model.targets]
        rows.append(np.stack(nse, axis=1))
    return pd.DataFrame(team.gather(np.concatenate(rows)), columns=model.targets).median().to_dict()


if __name__ == "__main__":
    named = Settings.data_dir or any(word.startswith(("--data-dir", "--data_dir")) for word in sys.argv)
    chosen = tyro.cli(Settings, description=__doc__, default=Settings() if named else DEMO)
    from runs import cli

    cli(main)(chosen)
