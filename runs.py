"""The run directory: what the training script leaves and the other scripts read. The one place that knows its files.

::

    run/
      settings.json         options of the training, format version, package versions, git commit
      normalisation.json    mean and standard deviation of every input and target over the training period
      basins.csv            basin, lat, lon, area_km2, training-period mean and standard deviation of each target
      seed_1/               one folder per member
        model.keras         the best weights by the validation period
        history.csv, .png   losses and validation scores, one row per epoch
        checkpoint.npz      the state after the last whole epoch, for --resume

A run directory is data, not code: the model is built from settings.json, and only arrays are read from model.keras.
"""

import contextlib
import errno
import functools
import importlib.metadata
import json
import math
import os
import platform
import subprocess
import sys
import uuid
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

import hydrodata_tf as hydrodata
import stores
from hydrodata_tf import InputError

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow's start-up notes drown the first lines of a run
FORMAT = 1
SPINUP_DAYS = 365  # simulated before a period and not scored, so that the states forget their zero start
SNOW_MM = 5.0  # a basin with less mean snow than this has no snow score
MOST_UNITS = 10_000  # cell states; a run directory from elsewhere shall not fill the memory
MOST_SEED = 2**32 - 1
PACKAGES = ("keras", "tensorflow", "jax", "numpy", "pandas", "xarray")


def cli(main):
    """Decorate a script's main function: bad input ends in one sentence and exit code 2, Ctrl-C in exit code 130."""

    @functools.wraps(main)
    def run(*args, **kwargs):
        try:
            return main(*args, **kwargs)
        except InputError as error:
            message, code = str(error), 2
        except OSError as error:  # a full disk, a read-only folder
            message, code = f"{error.strerror or error}: {error.filename or 'while reading or writing files'}", 2
        except KeyboardInterrupt as stop:
            message, code = str(stop) or "Stopped.", 130
        print(message, file=sys.stderr)
        sys.exit(code)

    return run


@contextlib.contextmanager
def replacing(path):
    """Give a temporary path beside `path`; it becomes `path` when the block ends well, else it is removed."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.stem}_{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    except (OSError, RuntimeError) as error:  # netCDF's library knows only RuntimeError
        code, reason = getattr(error, "errno", None), getattr(error, "strerror", None) or str(error)
        if not code and not reason.startswith("NetCDF"):
            raise
        if getattr(error, "filename", None) not in (None, str(temporary)):
            raise
        raise OSError(code or errno.EIO, reason, str(path)) from None
    finally:
        temporary.unlink(missing_ok=True)


def origin(run):
    """What made an output file, as netCDF attributes."""
    made = {"source": f"LSTM with {run.settings['hidden_size']} cell states, forcing {run.settings['forcing']}"}
    if (Path(run.settings["data_dir"]) / "demo.json").exists():
        made["comment"] = "synthetic catchments, not observations"
    return made | {"run": run.path.name, "git_commit": provenance()["git_commit"]}


def write_json(path, content):
    """Write a dict as UTF-8 JSON, all or nothing."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def write_csv(path, frame, **options):
    """Write a DataFrame as UTF-8 CSV, all or nothing; options go to `DataFrame.to_csv`."""
    with replacing(path) as temporary:
        frame.to_csv(temporary, encoding="utf-8", lineterminator="\n", **options)


def write_netcdf(path, dataset):
    """Write an xarray.Dataset as compressed netCDF, all or nothing."""
    encoding = {name: {"zlib": True, "complevel": 1} for name, v in dataset.data_vars.items() if v.dtype.kind == "f"}
    with replacing(path) as temporary:
        dataset.to_netcdf(temporary, engine="netcdf4", encoding=encoding)


def _read_json(path):
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"{path.parent} is not a run directory: {path.name} is missing.") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not readable JSON ({_reason(error)}); restore it or train again.") from None
    if not isinstance(content, dict):
        raise InputError(f"{path} does not hold a JSON object; restore it or train again.")
    return content


def _reason(error):
    """First line of what a library says."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def provenance():
    """Versions of the packages, backend and git commit (with ``+changes`` if the tree differs from it) as a dict."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    here = Path(__file__).parent
    commit = "unknown"
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        git = functools.partial(subprocess.run, cwd=here, capture_output=True, text=True, check=True)
        commit = git(["git", "rev-parse", "HEAD"]).stdout.strip()
        commit += "+changes" if git(["git", "status", "--porcelain", "-uno"]).stdout else ""
    return {"versions": versions, "git_commit": commit}


@dataclass
class Run:
    """A run directory that was read.

    Attributes
    ----------
    path : Path
    settings : dict
        Options of the training script.
    normalisation : dict
        As `hydrodata_tf.fit_normalisation` gives it.
    basins : pandas.DataFrame
        Index basin id; lat, lon (degrees), area_km2; training-period mean and standard deviation of each target.
    targets : list of str
        ``streamflow`` and the concepts.
    seeds : list of int
        Members with a trained model.
    """

    path: Path
    settings: dict
    normalisation: dict
    basins: pd.DataFrame
    targets: list
    seeds: list

    def dataset(self, start, end, basins=None, spinup_days=SPINUP_DAYS, data_dir=None):
        """The run's data from `spinup_days` before `start` to `end`, read with the run's own settings.

        Returns
        -------
        xarray.Dataset
            As `hydrodata_tf.load_dataset`; spin-up days are included as far as the record reaches back.
        """
        chosen = self.settings
        data = stores.open_parts(
            data_dir or chosen["data_dir"],
            forcing=chosen["forcing"],
            basins=list(basins or self.basins.index),
            attributes=chosen["attributes"],
            concepts=chosen["concepts"],
            climate_period=tuple(chosen["train_period"]),
        ).within(start, end, spinup_days)
        return data.read(data.basins, *data.period)

    def model(self, seed):
        """The trained model of one member, built from the settings; its weights are checked one by one."""
        model = build_model(self.settings, self.normalisation, seed)
        path = self.path / f"seed_{seed}" / "model.keras"
        try:
            model.load_weights(path)
        except Exception as error:  # h5py, zipfile and Keras raise many kinds
            raise InputError(
                f"{path} does not hold the weights that settings.json describes: {_reason(error)}"
            ) from None
        if not all(np.isfinite(weights).all() for weights in model.get_weights()):
            raise InputError(f"{path} holds weights that are not finite numbers; restore it or train again.")
        return model


def build_model(settings, normalisation, seed):
    """A new model of the size that the settings ask for, built, with initial weights drawn from `seed`."""
    import keras

    from libs_tf import ConceptLSTM

    keras.utils.set_random_seed(seed)
    options = {name: settings[name] for name in ("dropout", "forcing_noise")}
    model = ConceptLSTM(
        settings["hidden_size"], list(normalisation["targets"]), seed=seed, name="concept_lstm", **options
    )
    inputs, attributes = len(normalisation["inputs"]), len(normalisation["attributes"])
    model.build({"forcing": (None, None, inputs), "attributes": (None, attributes)})
    return model


def create_run(run_dir, settings, normalisation, data, resume):
    """Write a new run directory, or check that an existing one may be resumed with these settings.

    Parameters
    ----------
    run_dir : path
    settings : dict
        Options of the training script, JSON-able.
    normalisation : dict
    data : xarray.Dataset, or an iterable of them, each of some of the basins
        All basins and at least the training period.
    resume : bool

    Raises
    ------
    InputError
        If `run_dir` holds a run and `resume` is false, or holds one with other settings or another format.
    """
    path = Path(run_dir)
    # Looked at before settings.json is: members that are started side by side begin the same run.
    there = {p.name for p in path.iterdir() if not p.name.startswith(".")} if path.exists() else set()
    if (path / "settings.json").exists():
        if not resume:
            raise InputError(f"{path} already holds a run: add --resume to go on with it, or name another --run-dir.")
        before = _read_settings(path)
        changed = sorted(k for k in settings if k not in ("seed", "run_dir") and before.get(k) != settings[k])
        if changed:
            raise InputError(
                f"{path} was trained with other settings ({', '.join(changed)}): resume with the same ones, or name "
                "another --run-dir."
            )
        if _read_json(path / "normalisation.json") != normalisation:
            raise InputError(f"The data changed since {path} was begun: resume with the same data, or begin a new run.")
        for seed in settings["seed"]:
            for unfinished in (path / f"seed_{seed}").glob(".*_????????.*"):  # what a killed process was writing
                unfinished.unlink()
        return
    if there - {"normalisation.json", "basins.csv"}:  # these: a run that was stopped before its first epoch
        raise InputError(f"{path} holds other files and no run: name a new or an empty folder with --run-dir.")
    basins = []
    for part in [data] if isinstance(data, xr.Dataset) else data:
        train = hydrodata.select_period(part, *settings["train_period"])
        table = pd.DataFrame({name: train[name].values for name in ("basin", "lat", "lon", "area_km2")})
        for name in normalisation["targets"]:
            series = train[name].to_pandas()
            table[f"mean_{name}"], table[f"std_{name}"] = series.mean(axis=1).values, series.std(axis=1, ddof=0).values
        basins.append(table)
    write_csv(path / "basins.csv", pd.concat(basins), index=False)
    write_json(path / "normalisation.json", normalisation)
    # settings.json comes last: a folder without it is no run.
    write_json(path / "settings.json", {"format": FORMAT, "settings": settings, **provenance()})


def _read_settings(path):
    content = _read_json(path / "settings.json")
    if content.get("format") != FORMAT:
        raise InputError(
            f"{path} was written in run format {content.get('format')!r}, this code reads format {FORMAT}: use the "
            f"version that wrote it (git commit {content.get('git_commit')!r:.60})."
        )
    settings, file = content.get("settings"), path / "settings.json"
    if not isinstance(settings, dict):
        raise InputError(f"{file} holds no settings; restore it or train again.")
    if missing := set(USED) - set(settings):
        raise InputError(f"{file} lacks {', '.join(sorted(missing))}; restore it or train again.")
    for name, (fits, words) in USED.items():
        if not fits(settings[name]):
            raise InputError(f"{file}: {name} must be {words}, not {settings[name]!r:.60}; restore it or train again.")
    return settings


def _is_text(value):
    return isinstance(value, str)


def _are_texts(value):
    return isinstance(value, list) and all(map(_is_text, value))


def _is_period(value):
    return _are_texts(value) and len(value) == 2


def _is_number(value, low, high):
    return isinstance(value, int | float) and low <= value <= high


# The options in settings.json that are used after the training: what they must be, and its words.
USED = {
    **dict.fromkeys(("data_dir", "forcing", "attributes"), (_is_text, "a text")),
    "concepts": (_are_texts, "a list of texts"),
    **dict.fromkeys(("train_period", "test_period"), (_is_period, "two dates")),
    "hidden_size": (
        lambda value: _is_number(value, 1, MOST_UNITS) and type(value) is int,
        f"a whole number from 1 to {MOST_UNITS}",
    ),
    **dict.fromkeys(("dropout", "forcing_noise"), (lambda value: _is_number(value, 0, 1), "a number from 0 to 1")),
}


def _read_normalisation(path, concepts):
    """normalisation.json, checked to hold what these concepts need and no number that cannot be divided by."""
    content, file = _read_json(path / "normalisation.json"), path / "normalisation.json"
    targets = ["streamflow", *(hydrodata.parse_concept(text).name for text in concepts)]
    try:
        for kind in ("inputs", "attributes", "targets"):
            for name, (mean, std) in content[kind].items():
                if not (_is_number(mean, -1e30, 1e30) and _is_number(std, 1e-30, 1e30)):
                    raise ValueError(f"{name}: mean {mean!r:.30}, standard deviation {std!r:.30}")
        for name, (low, high) in content["attribute_range"].items():
            if not (_is_number(low, -1e30, 1e30) and _is_number(high, low, 1e30)):
                raise ValueError(f"{name}: from {low!r:.30} to {high!r:.30}")
        if list(content["targets"]) != targets:
            raise ValueError(f"its targets are not {', '.join(targets)}")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{file} is not what a training writes ({_reason(error)}); restore it or train again."
        ) from None
    return content


def load_run(run_dir):
    """Read a run directory.

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If it is no run directory, of another format, damaged, or holds no trained member yet.
    """
    path = Path(run_dir)
    if not path.is_dir():
        raise InputError(
            f"There is no run directory {path}: train one with LSTM_train.py or name another with --run-dir."
        )
    settings = _read_settings(path)
    normalisation = _read_normalisation(path, settings["concepts"])
    basins = load_basins(path, normalisation["targets"])
    trained = (file.parent.name.removeprefix("seed_") for file in path.glob("seed_*/model.keras"))
    seeds = sorted(int(seed) for seed in trained if seed.isdecimal() and int(seed) <= MOST_SEED)
    if not seeds:
        raise InputError(f"{path} holds no trained model yet: run LSTM_train.py --resume with its settings.")
    return Run(path, settings, normalisation, basins, list(normalisation["targets"]), seeds)


def load_basins(run_dir, targets):
    """The table basins.csv of a run, indexed by basin id, with the training-period mean of each of the targets."""
    path = Path(run_dir) / "basins.csv"
    try:
        basins = pd.read_csv(path, dtype={"basin": str}).set_index("basin")
        basins.index = [hydrodata.basin_id(basin) for basin in basins.index]
        if basins.index.has_duplicates:
            raise ValueError(f"basin {basins.index[basins.index.duplicated()][0]} stands there twice")
        basins = basins.astype({f"mean_{name}": float for name in targets})
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} is missing or not readable ({_reason(error)}); restore it or train again.") from None
    return basins


def is_snow(dataset, name):
    """Whether a target is snow: its name or its source contains ``snow`` or ``swe``."""
    words = f"{name} {dataset[name].attrs.get('source', '')}".lower()
    return "snow" in words or "swe" in words


def scored_basins(basins, dataset):
    """Which basins each target is scored in: snow where its training-period mean exceeds 5 mm, all else everywhere.

    Parameters
    ----------
    basins : pandas.DataFrame
        The run's basins.csv; a basin that is not in it is judged by its mean in `dataset`.
    dataset : xarray.Dataset
        As `Run.dataset` gives it.

    Returns
    -------
    dict of array (basin,) of bool
        One for each target, in the order of the data set's basins.
    """
    scored = {}
    for name in ["streamflow", *dataset.attrs["concepts"]]:
        attrs = dataset[name].attrs
        mean = basins[f"mean_{name}"].reindex(dataset["basin"].values).fillna(dataset[name].mean("date").to_series())
        limit = SNOW_MM / (1000 if attrs["units"].split()[:1] == ["m"] else 1)
        scored[name] = ~(mean.to_numpy() <= limit) if is_snow(dataset, name) else np.ones(len(mean), bool)
    return scored


def simulate(model, arrays, states=False, gates=False, memory_mb=96, progress=None):
    """Run a model over every basin's whole sequence from zero states, some basins at a time.

    Parameters
    ----------
    model : ConceptLSTM
    arrays : dict
        As `hydrodata_tf.to_arrays` gives them.
    states, gates : bool
        Give hidden and cell states, and the four gates, as well.
    memory_mb : int, default 96
        Size of what one step may hold, which sets the number of basins at a time.
    progress : str, optional
        Label of a progress bar.

    Yields
    ------
    (slice, dict)
        Which basins, and arrays ``prediction (basins, day, targets)`` normalised, NaN on days without forcing; with
        `states` also ``h`` and ``c (basins, day, units)``, with `gates` also ``i, f, g, o``.
    """
    from tqdm import tqdm

    from libs_tf import StateModel

    basins, days = arrays["forcing"].shape[:2]
    runner = StateModel(model, gates=gates) if states or gates else model
    # Without states the LSTM still holds its states and gates while it runs.
    size = max(1, math.floor(memory_mb * 2**20 / (days * model.units * 4 * 8)))
    size = math.ceil(basins / math.ceil(basins / size))
    for first in tqdm(range(0, basins, size), desc=progress, disable=None if progress else True, unit="batch"):
        part = slice(first, min(first + size, basins))
        inputs = {"forcing": arrays["forcing"][part], "attributes": arrays["attributes"][part]}
        if runner is model:
            out = {"prediction": np.array(model.predict_on_batch(inputs))}
        else:
            start = np.zeros((part.stop - part.start, model.units), "float32")
            out = {k: np.array(v) for k, v in runner.predict_on_batch({**inputs, "h0": start, "c0": start}).items()}
        out["prediction"][~arrays["valid"][part]] = np.nan
        yield part, out


def in_units(prediction, normalisation):
    """Normalised predictions (basin, day, target) as a dict of arrays (basin, day) in the targets' units.

    Streamflow below zero, which a linear layer can give, becomes zero; concepts stay as the probe reads them.
    """
    values = {
        n: hydrodata.denormalise(prediction[..., k], normalisation, n) for k, n in enumerate(normalisation["targets"])
    }
    values["streamflow"] = np.maximum(values["streamflow"], 0)
    return values


def write_model(path, model):
    """Save a model as ``.keras``, all or nothing."""
    with replacing(path) as temporary:
        model.save(temporary)


def write_checkpoint(path, model, epoch, extra):
    """Everything that the next epoch depends on, in one file, all or nothing.

    Parameters
    ----------
    path : path of the ``.npz``
    model : compiled and built keras.Model
    epoch : int
        Number of whole epochs done.
    extra : dict
        JSON-able: history, best score and the like.
    """
    arrays = {f"v{k}": np.asarray(v) for k, v in enumerate(_variables(model))}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, meta=json.dumps({"format": FORMAT, "epoch": epoch, **extra}), **arrays)
        file.flush()
        os.fsync(file.fileno())


def read_checkpoint(path, model):
    """Put a checkpoint back into a compiled and built model; returns (epoch, extra)."""
    try:
        with np.load(path, allow_pickle=False) as file:
            meta = json.loads(str(file["meta"]))
            variables = _variables(model)
            for k, variable in enumerate(variables):
                variable.assign(file[f"v{k}"])
            if len(file.files) != len(variables) + 1:
                raise ValueError(f"{len(file.files) - 1} arrays for {len(variables)} variables")
        epoch, best = meta.pop("epoch"), meta["best"]
        rows = [row["epoch"] for row in meta["history"]]
        if rows != list(range(1, len(rows) + 1)) or (type(epoch), epoch) != (int, len(rows)):
            raise ValueError(f"its history is not that of {epoch!r:.20} epochs")
        if not (_is_number(best["score"], -math.inf, math.inf) and best["epoch"] in range(epoch + 1)):
            raise ValueError(f"its best epoch is {best!r:.60}")
        return epoch, meta
    except Exception as error:  # numpy, zipfile, zlib and json raise many kinds
        raise InputError(
            f"{path} is not a checkpoint of this model ({_reason(error)}): remove it to train this member anew."
        ) from None


def _variables(model):
    model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]
