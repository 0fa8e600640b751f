"""The run directory: what the training script leaves and the other scripts read. The one place that knows its files.

::

    run/
      settings.json         options of the training, what it and its base learned from, versions, git commit
      normalisation.json    mean and standard deviation of every input and target over the training period
      basins.csv            basin, lat, lon, area_km2, training-period mean and standard deviation of each target
      held_out.csv          of a fold: the basins that it is trained without
      left_out.csv          basins of the data folder that could not be used, and why
      seed_1/               one folder per member
        model.keras         the best weights by the validation period; alone it turns raw series into mm/day and mm
        history.csv, .png   losses and validation scores, one row per epoch
        checkpoint.npz      the state after the last whole epoch, for --resume

A run directory is data, not code: the model is built from settings.json, and only arrays are read from model.keras.
"""

import contextlib
import functools
import importlib.metadata
import json
import os
import platform
import re
import subprocess
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

import hydrodata_tf as hydrodata
from libs_tf import CORES, ConceptLSTM, keras
from reading.concepts import parse_concept
from reading.prepared import digest, parse_period
from running.settings import FORMAT, UsedSettings, checked_settings, read_settings, refuse_other_settings, run_folders
from writing.files import locked, read_json, replacing, write_csv, write_json
from writing.messages import InputError, note, quiet_start, reason, some

PACKAGES = ("keras", "tensorflow", "jax", "numpy", "pandas", "xarray")
STATISTICS = ("inputs", "attributes", "targets", "attribute_range")  # of normalisation.json
MOST_SEED = 2**32 - 1
PLACE = ("gauge_lat", "gauge_lon", "lat", "lon")  # columns of a table of attributes that are for the map


@dataclass
class Run:
    """A run directory that was read."""

    path: Path
    settings: dict  # options of the training script that the others use, as `settings.UsedSettings`
    normalisation: dict  # as `windows.training_set` gives it
    basins: pd.DataFrame  # basins.csv, indexed by basin id
    targets: list  # "streamflow" and the names of the concepts
    seeds: list  # of the members with a trained model
    synthetic: bool  # whether the catchments it was trained on are
    learned_from: list  # of dict (run, period, basins): its own training first, then those it began with

    def pick(self, seed):
        """`seed`, or the first member's if it is None; a member that is not there is refused."""
        if seed is not None and seed not in self.seeds:
            raise InputError(f"{self.path} has no member of seed {seed}: choose from {some(self.seeds, 20)}.")
        return self.seeds[0] if seed is None else seed

    def data(self, period, basins=None, concepts=None, **elsewhere):
        """The Prepared data that the run is simulated with; nothing needs to be observed.

        Some basin must have a day with all forcing in the `period` (start, end). Basins, concepts, data_dir, forcing
        and attributes are as `hydrodata_tf.open_data` takes them; those of the training if not given.
        """
        parse_period(*period)
        chosen = self.settings | {name: value for name, value in elsewhere.items() if value}
        data = hydrodata.open_data(
            chosen["data_dir"],
            chosen["forcing"],
            list(basins or self.basins.index),
            chosen["attributes"],
            chosen["concepts"] if concepts is None else concepts,
            train_period=chosen["train_period"],
            required=(),
        )
        if not data.has_forcing(*period):
            raise InputError(f"No basin has all forcing on any day from {' to '.join(period)}: choose another period.")
        return self.matched(data)

    def matched(self, data):
        """The data with the attributes of the model alone, in its order; other inputs or no such attribute: refused."""
        inputs, attributes = (list(self.normalisation[kind]) for kind in ("inputs", "attributes"))
        if data.inputs != inputs:
            given, learned = some(data.inputs, 8) or "none", some(inputs, 8)
            raise InputError(
                f"The data have the inputs {given}, the run {self.path} was trained with {learned}: give it the same "
                "data as in training."
            )
        if lacking := [name for name in attributes if name not in data.attributes]:
            raise InputError(
                f"The data lack {len(lacking)} of the {len(attributes)} attributes of the run {self.path}: "
                f"{some(lacking, 8)}. Give it those of its training."
            )
        if more := [name for name in data.attributes if name not in (*attributes, *PLACE)]:
            note(f"{self.path} was not trained with the attributes {some(more, 8)}: they are left out.")
        return replace(data, attributes=data.attributes[attributes])

    def refuse_other_concepts(self, concepts):
        """Refuse concepts with other names or units for a training that starts from this run."""
        mine, new = (
            [f"{concept.name} [{concept.units}]" for concept in map(parse_concept, texts)]
            for texts in (self.settings["concepts"], concepts)
        )
        if mine != new:
            raise InputError(
                f"{self.path} learned {some(mine, 9) or 'no concepts'}, not {some(new, 9) or 'no concepts'}: "
                "--start-from needs concepts with the same names and units. LSTM_probe.py --concepts reads others."
            )

    def model(self, seed):
        """The trained model of one member, built from the settings; its weights are checked one by one."""
        path = self.path / f"seed_{seed}" / "model.keras"
        try:
            model = build_model(self.settings, self.normalisation, seed)
            model.load_weights(path)
        except Exception as error:  # h5py, zipfile and Keras raise many kinds
            problem = f"{path} does not hold the weights that settings.json describes"
            raise InputError(f"{problem} ({reason(error)}); train again.") from None
        if not all(np.isfinite(weights).all() for weights in model.get_weights()):
            raise InputError(f"{path} holds weights that are not finite numbers; restore it or train again.")
        return model


def overlap(run, basins, period):
    """One sentence on what a run, and what it began with, learned from of some basins in a period, or ""."""
    first, last = parse_period(*period)
    names, known = [], set()
    for training in run.learned_from:
        start, end = parse_period(*training["period"])
        shared = set(basins) & set(training["basins"].split())
        if shared and start <= last and first <= end:
            names.append(f"{training['run']} ({start} to {end})")
            known |= shared
    if not names:
        return ""
    return (
        f"{', '.join(names)} learned from days between {first} and {last} in {len(known)} of {len(basins)} basins: "
        "their scores are no independent test."
    )


def elsewhere(settings):
    """Of a script's settings what says where the data are, and which, if not those of the training: for `Run.data`."""
    names = ("data_dir", "forcing", "attributes")
    return {name: getattr(settings, name) for name in names if hasattr(settings, name)}


def origin(run, data, learned_from=""):
    """What made an output file, as netCDF attributes; `learned_from` is the sentence of `overlap`."""
    products = data.forcing.replace("+", " ")
    made = {"source": f"LSTM with {run.settings['hidden_size']} cell states, forcing {products}"}
    if run.synthetic:
        made["comment"] = "synthetic catchments, not observations"
    if learned_from:
        made["learned_from"] = learned_from
    return made | {"run": run.path.name, "git_commit": provenance()["git_commit"]}


def results_folder(path, kind, period, question, out_dir=None):
    """The folder of results, <path>/<kind>_<start>_<end> or `out_dir`; one that answers another question is refused.

    `question` is a dict, JSON-able, of what decides the numbers besides the period: both are kept in the folder as
    <kind>.json. A data folder that is not there any more has moved, and is the same.
    """
    out = Path(out_dir or Path(path) / "_".join([kind, *map(str, period)]))
    question = {"period": list(map(str, period)), **question}
    file = out / f"{kind}.json"
    before = read_json(file) if file.exists() and len(list(out.iterdir())) > 1 else question
    if "data_dir" in before and not Path(before["data_dir"]).exists():
        before["data_dir"] = question.get("data_dir")
    if changed := [name for name in question if question[name] != before.get(name)]:
        raise InputError(
            f"{out} holds results of other options ({', '.join(changed)}): name another folder with --out-dir, or "
            "remove this one."
        )
    write_json(file, question)
    return out


def question_of(run, data, settings):
    """What decides the numbers of a script's results, for `results_folder`; `settings` are the script's."""
    places = {name: value for name, value in elsewhere(settings).items() if value}
    chosen = run.settings | places
    question = {"run": run.path.name, "basins": f"{len(data.basins)}: {digest(sorted(data.basins))}"}
    question |= {"data_dir": str(Path(chosen["data_dir"]).resolve()), "forcing": list(chosen["forcing"])}
    return question | {"attributes": chosen["attributes"]}


def provenance():
    """Versions of the packages, backend and git commit (with ``+changes`` if the tree differs from it) as a dict."""
    versions = {"python": platform.python_version()}
    for package in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    commit, here = "unknown", Path(__file__).parent
    with contextlib.suppress(OSError, subprocess.CalledProcessError):
        git = functools.partial(subprocess.run, cwd=here, capture_output=True, text=True, check=True)
        commit = git(["git", "rev-parse", "HEAD"]).stdout.strip()
        commit += "+changes" if git(["git", "status", "--porcelain", "-uno"]).stdout else ""
    return {"versions": versions, "git_commit": commit}


def build_model(settings, normalisation, seed):
    """A new model of the size that the settings ask for, with initial weights drawn from `seed`."""
    with quiet_start():  # on JAX too Keras sets the seed of TensorFlow, which it loads for that
        keras.utils.set_random_seed(seed)
    targets, forcing, attributes = (list(normalisation[kind]) for kind in ("targets", "inputs", "attributes"))
    regularisation = {name: settings[name] for name in ("dropout", "weight_dropout", "attribute_noise")}
    ranges = normalisation["attribute_range"]
    model = ConceptLSTM(settings["hidden_size"], targets, forcing, attributes, ranges, regularisation, seed)
    model.build()
    model.set_statistics(normalisation)
    return model


def create_run(run_dir, settings, training, resume, learned_from=(), held_out=()):
    """Write a new run directory, or check that an existing one may be resumed with these settings and data.

    `settings` are the options of the training, a JSON-able dict, `training` is its TrainingSet, `learned_from` that of
    the Run that this one begins with; `held_out` are the basins that a fold is trained without.
    """
    path = Path(run_dir)
    # Of two that begin the same run at once the second finds the first one's settings.
    with locked(path / ".lock", f"Another process begins {run_dir}; try again when it is done.", wait=60):
        if not (path / "settings.json").exists():
            write_run(path, settings, training, learned_from, held_out)
        elif resume:
            check_resumed(path, settings, training, learned_from)
        else:
            raise InputError(f"{path} already holds a run: add --resume to go on with it, or name another --run-dir.")


def write_run(path, settings, training, learned_from, held_out):
    """Write what a run directory holds before its first epoch."""
    names = {file.name for file in path.iterdir() if not file.name.startswith(".")}
    # These are of a run that was stopped while they were written.
    if names - {"normalisation.json", "basins.csv", "left_out.csv", "held_out.csv"}:
        raise InputError(f"{path} holds other files and no run: name a new or an empty folder with --run-dir.")
    data = training.data
    write_csv(path / "basins.csv", pd.concat([data.place, training.basins], axis=1), index_label="basin")
    if data.left_out:
        left_out = pd.Series(data.left_out, name="reason").rename_axis("basin").reset_index()
        write_csv(path / "left_out.csv", left_out, index=False)
    if held_out:
        write_csv(path / "held_out.csv", pd.DataFrame({"basin": held_out}), index=False)
    write_json(path / "normalisation.json", training.normalisation)
    own = {"run": path.name, "period": training.normalisation["period"], "basins": " ".join(sorted(data.basins))}
    content = {"format": FORMAT, "settings": settings, "synthetic": data.synthetic, **provenance()}
    content["learned_from"] = [own, *learned_from]
    # It comes last: a folder without it is no run.
    write_json(path / "settings.json", content)


def check_resumed(path, settings, training, learned_from):
    """Refuse to go on with a run with other settings, other data or begun with another run; keep where they are now."""
    refuse_other_settings(path, settings)
    content = read_settings(path)
    if content["learned_from"][1:] != list(learned_from):
        raise InputError(
            f"{path} was not begun with --start-from {settings['start_from']}: leave it out, or name the run that it "
            "began with."
        )
    load_basins(path, training.normalisation["targets"])
    if not same_statistics(read_normalisation(path, settings["concepts"]), training.normalisation):
        raise InputError(f"The data changed since {path} was begun: resume with the same data, or begin a new run.")
    moved = content["settings"] | {name: settings[name] for name in ("data_dir", "start_from")}
    if moved != content["settings"]:
        write_json(path / "settings.json", content | {"settings": moved})


def same_statistics(one, other):
    """Whether two normalisations agree: names and dates exactly, numbers but for the rounding of another processor."""
    return one["period"] == other["period"] and all(
        list(one[kind]) == list(other[kind])
        and np.allclose(list(one[kind].values()), list(other[kind].values()), rtol=1e-6)
        for kind in STATISTICS
    )


@contextlib.contextmanager
def only_training(run_dir, seed):
    """While a member is trained: no other process trains it, and what a killed one left half written is removed."""
    path = Path(run_dir)
    busy = f"Another process is training seed {seed} of {run_dir}; wait for it or stop it."
    with locked(path / f".seed_{seed}.lock", busy):
        for left in (path / f"seed_{seed}").glob(".unfinished_*"):
            left.unlink()
        yield


def load_run(run_dir):
    """The `Run` of a directory; raises InputError if it is none, damaged, or holds no trained member yet."""
    folders = run_folders(run_dir)
    path = Path(run_dir)
    if folders != [path]:
        raise InputError(
            f"{path} holds the {len(folders)} folds of a training, which LSTM_test.py scores together: here name one "
            f"of them, such as {folders[0]}, with --basins that it never saw (its held_out.csv)."
        )
    content = read_settings(path)
    used = {name: value for name, value in content["settings"].items() if name in UsedSettings.__annotations__}
    settings = asdict(checked_settings(UsedSettings, used, str(path / "settings.json")))
    for name in ("train_period", "valid_period", "test_period"):
        try:
            parse_period(*settings[name])
        except InputError as problem:
            raise InputError(f"{path / 'settings.json'}: {name}: {problem}") from None
    normalisation = read_normalisation(path, settings["concepts"])
    basins = load_basins(path, normalisation["targets"])
    trained = (file.parent.name.removeprefix("seed_") for file in path.glob("seed_*/model.keras"))
    seeds = sorted(int(seed) for seed in trained if re.fullmatch("0|[1-9][0-9]{0,9}", seed))
    if not seeds:
        raise InputError(f"{path} holds no trained model yet: run LSTM_train.py --resume with its settings.")
    targets, synthetic = list(normalisation["targets"]), content.get("synthetic") is True
    try:
        learned_from = [{key: entry[key] for key in ("run", "period", "basins")} for entry in content["learned_from"]]
    except (KeyError, TypeError):
        problem = f"{path / 'settings.json'}: learned_from is not what a training writes"
        raise InputError(f"{problem}; restore it or train again.") from None
    return Run(path, settings, normalisation, basins, targets, seeds, synthetic, learned_from)


def read_normalisation(path, concepts):
    """normalisation.json, checked to hold two numbers of every variable, and the targets that these concepts make."""
    content = read_json(path / "normalisation.json")
    targets = ["streamflow", *(parse_concept(text).name for text in concepts)]
    try:
        for kind in STATISTICS:
            np.array(list(content[kind].values()), float).reshape(-1, 2)
        if list(content["targets"]) != targets:
            raise ValueError(f"its targets are not {', '.join(targets)}")
        return content
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = f"{path / 'normalisation.json'} is not what a training writes ({reason(error)})"
        raise InputError(f"{problem}; restore it or train again.") from None


def load_basins(run_dir, targets):
    """basins.csv by basin id: lat, lon (degrees), area_km2, training-period mean and standard deviation of targets."""
    path = run_dir / "basins.csv"
    try:
        basins = pd.read_csv(path, dtype={"basin": str}).set_index("basin")
        basins.index = [hydrodata.basin_id(basin) for basin in basins.index]
        if basins.index.has_duplicates:
            raise ValueError(f"basin {basins.index[basins.index.duplicated()][0]} stands there twice")
        return basins.astype({f"mean_{name}": float for name in targets})
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} is missing or not readable ({reason(error)}); restore it or train again.") from None


def write_model(path, model):
    """Save a model as ``.keras``, all or nothing, without what only its training needs."""
    alone = type(model).from_config(model.get_config())
    alone.build()
    alone.set_weights(model.get_weights())
    with replacing(path) as temporary:
        alone.save(temporary)


def write_checkpoint(path, model, epoch, extra):
    """Everything that the next epoch depends on, in one file, all or nothing: after `epoch` epochs, `extra` a dict."""
    arrays = {f"v{k}": np.asarray(v) for k, v in enumerate(all_variables(model))}
    meta = {"format": FORMAT, "epoch": epoch, **extra, "seed": model.seed, "cores": CORES}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, meta=json.dumps(meta), **arrays)
        file.flush()
        os.fsync(file.fileno())


def read_checkpoint(path, model):
    """Put a checkpoint back into a compiled and built model; returns (epoch, extra)."""
    try:
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            meta = json.loads(str(file["meta"]))
            variables = all_variables(model)
            for k, variable in enumerate(variables):
                variable.assign(file[f"v{k}"])
            if len(file.files) != len(variables) + 1:
                raise ValueError(f"{len(file.files) - 1} arrays for {len(variables)} variables")
        if meta.get("seed", model.seed) != model.seed:
            raise ValueError(f"it is of seed {meta['seed']!r:.20}")
        if meta.get("cores", CORES) != CORES:
            note(
                f"{path} was written on {meta['cores']} cores, here are {CORES}: the batch is split otherwise, so the "
                "weights will differ by rounding from those of a training that was never stopped."
            )
        return meta.pop("epoch"), meta
    except Exception as error:  # numpy, zipfile, zlib and json raise many kinds
        problem = f"{path} is not a checkpoint of this model ({reason(error)})"
        raise InputError(f"{problem}: remove it to train this member anew.") from None


def all_variables(model):
    """The weights of a compiled model and the state of its optimizer."""
    model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]
