"""The run directory: what the training script leaves and the other scripts read. The one place that knows its files.

::

    run/
      settings.json         options of the training, what it began with had learned from, versions, git commit
      normalisation.json    mean and standard deviation of every input and target over the training period
      basins.csv            basin, lat, lon, area_km2, training-period mean and standard deviation of each target,
                            mean of each input, attributes: by these data that changed since are noticed
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
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

import hydrodata_tf as hydrodata
from libs_tf import CORES, ConceptLSTM, keras
from reading.concepts import parse_concept, times_of
from reading.prepared import digest, parse_period
from running import learned
from running.settings import FORMAT, UsedSettings, checked_settings, read_settings, refuse_other_settings, run_folder
from writing.files import locked, read_json, replacing, write_csv, write_json
from writing.messages import InputError, note, quiet_start, reason, some

PACKAGES = ("keras", "tensorflow", "jax", "numpy", "pandas", "xarray")
STATISTICS = ("inputs", "attributes", "targets", "attribute_range")  # of normalisation.json
RANGES = ("attribute_range", "input_range")  # the latter is not in runs of earlier versions
MOST_SEED = 2**32 - 1
PLACE = ("gauge_lat", "gauge_lon", "lat", "lon")  # columns of a table of attributes that are for the map
OWN_PERIOD = "(train|valid|test)_(start|end)"  # columns with which earlier versions gave single basins other periods


def origin(run, data, learned_from=""):
    """What made an output file, as netCDF attributes; `learned_from` is what `learned.learned_words` says of it."""
    products = data.forcing.replace("+", " ")
    made = {"source": f"LSTM with {run.settings['hidden_size']} cell states, forcing {products}"}
    if run.synthetic:
        made["comment"] = "synthetic catchments, not observations"
    if learned_from:
        made["learned_from"] = learned_from
    return made | {"run": run.path.name, "git_commit": provenance()["git_commit"]}


def results_folder(parent, kind, period, basins, usual, seed=None, other=(), begin_with=()):
    """The folder of results, named by what was asked: <kind>_<start>_<end>, and what is not usual.

    `seed` is None for the usual member, `usual` are the basins that are taken if none are named, `other` names data
    that are not those of the training, as `Run.other_data` gives it, `begin_with` are the state files to begin with.
    """
    names = [kind, *map(str, period), *([] if seed is None else [f"seed_{seed}"]), *other]
    names += ["begun_with_states"] if begin_with else []
    if set(basins) != set(usual):
        names += basins if len(basins) < 3 else [f"{len(basins)}_basins", digest(sorted(basins))[:6]]
    return parent / "_".join(names)


def elsewhere(settings):
    """Of a script's settings what says where the data are, and which, if not those of the training: for `Run.data`."""
    return {name: getattr(settings, name) for name in ("data_dir", "forcing", "attributes")}


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
    lessons: list  # of learned.Lesson: its own training, and those of what it began with
    noted: set = field(default_factory=set)  # what was said of its data, which is said once

    def pick(self, seed):
        """`seed`, or the first member's if it is None; a member that is not there is refused."""
        if seed is not None and seed not in self.seeds:
            raise InputError(f"{self.path} has no member of seed {seed}: choose from {some(self.seeds, 20)}.")
        return self.seeds[0] if seed is None else seed

    def data(self, start, end, basins=None, concepts=None, data_dir=None, forcing=None, attributes=None):
        """The data (Prepared) that the run is simulated with, in which the period must have a day with forcing.

        Nothing needs to be observed.

        Basins, as `hydrodata_tf.read_basins` takes them, concepts and, as `hydrodata_tf.open_data` takes them, data
        folder, forcing and attributes are those of the training if they are not given.
        """
        parse_period(start, end)
        chosen = self.settings
        data = hydrodata.open_data(
            data_dir or chosen["data_dir"], forcing or chosen["forcing"], list(basins or self.basins.index),
            attributes or chosen["attributes"], chosen["concepts"] if concepts is None else concepts,
            climate_period=chosen["train_period"], unobserved=True,
        )  # fmt: skip
        if not data.has_forcing(start, end):
            raise InputError(f"No basin has all forcing on any day from {start} to {end}: choose another period.")
        self.check_inputs(data)
        self.note_changes(data, chosen["concepts"] if concepts is None else concepts)
        return data

    def other_data(self, data_dir=None, forcing=(), attributes=None):
        """What of the data asked for is not that of the training, such as another climate, as parts of a file name.

        A data folder is another one if that of the training is still there, else that has moved.
        """
        own, names = Path(self.settings["data_dir"]), []
        if data_dir and own.is_dir() and own.resolve() != Path(data_dir).resolve():
            names.append(f"data_{Path(data_dir).resolve().name}")
        if forcing and list(forcing) != list(self.settings["forcing"]):
            names += forcing
        if attributes and attributes != self.settings["attributes"]:
            names.append(Path(attributes).stem)
        return names

    def check_inputs(self, data):
        """Refuse data with other inputs than those of the training, or without one of its attributes; take these alone,
        in the model's order."""
        inputs, attributes = (list(self.normalisation[kind]) for kind in ("inputs", "attributes"))
        if data.inputs != inputs:
            words = f"The data have the inputs {some(data.inputs, 8) or 'none'}, the run {self.path} was trained with"
            raise InputError(f"{words} {some(inputs, 8)}: give it the same data as in training.")
        if lacking := [name for name in attributes if name not in data.attributes]:
            words = f"The data lack {len(lacking)} of the {len(attributes)} attributes of the run {self.path}"
            raise InputError(f"{words}: {some(lacking, 8)}. Give it those of its training.")
        if more := [name for name in data.attributes if name not in (*attributes, *PLACE)]:
            self.note_once(f"{self.path} was not trained with the attributes {some(more, 8)}: they are left out.")
        data.attributes = data.attributes[attributes]

    def note_changes(self, data, concepts):
        """Say in which of the run's basins the data are others than in its training; `concepts` are those of `data`."""
        known = [b for b, basin in enumerate(data.basins) if basin in self.basins.index]
        now = contents(data.select(known), *self.normalisation["period"])
        other = {parse_concept(text).name for text in set(concepts) ^ set(self.settings["concepts"])}
        columns = [name for name in now if name in self.basins and name.removeprefix("mean_") not in other]
        now, then = now[columns], self.basins.loc[now.index, columns]
        then = then.apply(pd.to_numeric, errors="coerce")
        # What is not there now is no change, and another processor rounds otherwise.
        changed = now.notna() & then.notna() & ~np.isclose(now, then, rtol=1e-6, atol=1e-9)
        if changed.any(axis=None):
            names = [name.removeprefix("mean_").removeprefix("attribute_") for name in columns if changed[name].any()]
            where = some(changed.index[changed.any(axis=1)])
            words = f"The data are not those that {self.path} learned from, in {some(names, 5)} of basins {where}."
            self.note_once(words)

    def note_once(self, words):
        """A note that is not said again when the same is asked again."""
        if words not in self.noted:
            note(words)
        self.noted.add(words)

    def shared_concepts(self, concepts):
        """Of the run's concepts those that a new run has too: dict name -> factor from this run's numbers to its own.

        InputError if units cannot be converted, or contradict the factors.
        """
        mine = {one.name: one for one in map(parse_concept, self.settings["concepts"])}
        new = [one for one in map(parse_concept, concepts) if one.name in mine]
        found = {one.name: times_of(mine[one.name], one, f"in {self.path}") for one in new}
        for one in new:
            if found[one.name] is None:
                was = f"was {mine[one.name].column} in {self.path}"
                self.note_once(f"{one.name} is {one.column} here, and {was}: it is learned as a new concept.")
        return {name: times for name, times in found.items() if times is not None}

    def statistics_with(self, normalisation, times):
        """The statistics for a training that goes on from this run: this run's; of new concepts those given.

        `times` is from `shared_concepts`: what this run knows is put into the new one's units.
        """
        mine, ranges = self.normalisation, {}
        for kind in RANGES:
            ends = [[*mine[kind][name], *normalisation[kind][name]] for name in mine[kind]]
            ranges[kind] = {name: [min(of), max(of)] for name, of in zip(mine[kind], ends, strict=True)}
        known = {name: [factor * value for value in mine["targets"][name]] for name, factor in times.items()}
        targets = normalisation["targets"] | {"streamflow": mine["targets"]["streamflow"]} | known
        return {**mine, "period": normalisation["period"], "targets": targets, **ranges}

    def give_weights(self, model, seed, times):
        """Give a new model the weights of the member of this seed, or of the first; new concepts keep their own.

        `times` is from `shared_concepts`; the units are in the statistics.
        """
        mine = self.model(seed if seed in self.seeds else self.seeds[0])
        if model.units != mine.units:
            raise InputError(f"{self.path} has {mine.units} cell states, --hidden-size must be the same.")
        model.lstm.set_weights(mine.lstm.get_weights())
        model.runoff.set_weights(mine.runoff.get_weights())
        if model.probe and mine.probe:
            kernel, bias = model.probe.get_weights()
            known = [k for k, name in enumerate(model.targets[1:]) if name in times]
            given = [mine.targets[1:].index(model.targets[1:][k]) for k in known]
            kernel[:, known], bias[known] = (values[..., given] for values in mine.probe.get_weights())
            model.probe.set_weights([kernel, bias])

    def model(self, seed):
        """The trained model of one member, built from the settings; its weights are checked one by one."""
        path = self.path / f"seed_{seed}" / "model.keras"
        try:
            model = build_model(self.settings, self.normalisation, seed)
            model.load_weights(path)
        except Exception as error:  # h5py, zipfile and Keras raise many kinds
            words = f"{path} does not hold the weights that settings.json describes"
            raise InputError(f"{words} ({reason(error)}); train again.") from None
        if not all(np.isfinite(weights).all() for weights in model.get_weights()):
            raise InputError(f"{path} holds weights that are not finite numbers; restore it or train again.")
        return model


def build_model(settings, normalisation, seed):
    """A new model of the size that the settings ask for, with initial weights drawn from `seed`."""
    with quiet_start():  # on JAX too Keras sets the seed of TensorFlow, which it loads for that
        keras.utils.set_random_seed(seed)
    targets, forcing, attributes = (list(normalisation[kind]) for kind in ("targets", "inputs", "attributes"))
    chosen = {name: settings[name] for name in ("dropout", "forcing_noise", "attribute_noise", "weight_dropout")}
    chosen |= {"attribute_range": normalisation["attribute_range"], "seed": seed}
    model = ConceptLSTM(settings["hidden_size"], targets, forcing, attributes, **chosen, name="concept_lstm")
    model.build()
    model.set_statistics(normalisation)
    return model


def create_run(run_dir, settings, training, resume, before=()):
    """Write a new run directory, or check that an existing one may be resumed with these settings and data.

    `settings` is a dict of the options of the training script, JSON-able, `training` a windows.TrainingSet, `before`
    the lessons (learned.Lesson) of the run that this one begins with.
    """
    path = Path(run_dir)
    check_links(path)
    # Of two that begin the same run at once the second finds the first one's settings.
    with locked(path / ".lock", f"Another process begins {run_dir}; try again when it is done.", wait=60):
        if not (path / "settings.json").exists():
            write_run(path, settings, training, before)
        elif resume:
            check_resumed(path, settings, training, before)
        else:
            raise InputError(f"{path} already holds a run: add --resume to go on with it, or name another --run-dir.")


def contents(data, start, end):
    """What was read of each basin, in few numbers: a DataFrame (basin; mean of each variable in a period, attributes).

    The columns are mean_<input or target> and attribute_<name>; NaN where there is no value.
    """
    first, last = parse_period(start, end)
    dates, rows = np.arange(first, last + 1), []  # beyond the data, too
    for b in range(len(data.basins)):
        values = np.concatenate([part[0] for part in data.read([b], dates)], axis=1).astype(float)
        known = np.isfinite(values)
        number = known.sum(axis=0)
        rows.append(np.where(number, np.where(known, values, 0).sum(axis=0) / np.maximum(number, 1), np.nan))
    means = pd.DataFrame(rows, data.basins, [f"mean_{name}" for name in (*data.inputs, *data.targets)])
    return pd.concat([means, data.attributes.add_prefix("attribute_")], axis=1)


def write_run(path, settings, training, before):
    """Write what a run directory holds before its first epoch."""
    there = {file.name for file in path.iterdir() if not file.name.startswith(".")}
    if there - {"normalisation.json", "basins.csv", "left_out.csv"}:  # these: stopped while they were written
        raise InputError(f"{path} holds other files and no run: name a new or an empty folder with --run-dir.")
    data = training.data
    table = pd.concat([data.place, training.basins, contents(data, *training.normalisation["period"])], axis=1)
    write_csv(path / "basins.csv", table.loc[:, ~table.columns.duplicated()], index_label="basin")
    if data.left_out:
        left_out = pd.Series(data.left_out, name="reason").rename_axis("basin").reset_index()
        write_csv(path / "left_out.csv", left_out, index=False)
    write_json(path / "normalisation.json", training.normalisation)
    # settings.json comes last: a folder without it is no run.
    content = {"format": FORMAT, "settings": settings, "synthetic": data.synthetic, **provenance()}
    content["learned_before"] = learned.as_json(before)
    write_json(path / "settings.json", content)


def check_resumed(path, settings, training, before):
    """Refuse to go on with a run with other settings, other data or begun with another run; keep where they are now."""
    refuse_other_settings(path, settings)
    content, learned_before = read_settings(path), learned.as_json(before)
    if content.get("learned_before", learned_before) != learned_before:
        words = f"{path} was not begun with --start-from {settings['start_from']}"
        raise InputError(f"{words}: leave it out, or name the run that it began with.")
    load_basins(path, training.normalisation["targets"])
    statistics = read_normalisation(path, settings["concepts"])
    if not same_statistics(statistics, training.normalisation):
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


def check_links(path):
    """Refuse a run directory in which a link leads elsewhere: nothing is read or written there."""
    for where, folders, names in os.walk(path):
        for entry in (Path(where) / name for name in (*folders, *names)):
            if not entry.resolve().is_relative_to(path.resolve()):
                raise InputError(f"{entry} leads out of the run directory: remove it (results elsewhere: --out-dir).")


def read_normalisation(path, concepts):
    """normalisation.json, checked to hold two numbers of every variable, and the targets that these concepts make."""
    content = read_json(path / "normalisation.json")
    targets = ["streamflow", *(parse_concept(text).name for text in concepts)]
    content.setdefault("input_range", {})
    try:
        for kind in {*STATISTICS, *RANGES}:
            np.array(list(content[kind].values()), float).reshape(-1, 2)
        if list(content["targets"]) != targets:
            raise ValueError(f"its targets are not {', '.join(targets)}")
        return content
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        words = f"{path / 'normalisation.json'} is not what a training writes ({reason(error)})"
        raise InputError(f"{words}; restore it or train again.") from None


def load_run(run_dir):
    """The `Run` of a directory; raises InputError if it is none, damaged, or holds no trained member yet."""
    path = run_folder(run_dir)
    check_links(path)
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
    seeds = sorted(int(s) for s in trained if re.fullmatch("0|[1-9][0-9]{0,9}", s) and int(s) <= MOST_SEED)
    if not seeds:
        raise InputError(f"{path} holds no trained model yet: run LSTM_train.py --resume with its settings.")
    targets, synthetic = list(normalisation["targets"]), content.get("synthetic") is True
    lessons = [learned.own_lesson(path, settings, basins.index), *learned.lessons_before(path, content)]
    return Run(path, settings, normalisation, basins, targets, seeds, synthetic, lessons)


def load_basins(run_dir, targets):
    """basins.csv by basin id: lat, lon (degrees), area_km2, training-period mean and standard deviation of targets."""
    path = run_dir / "basins.csv"
    try:
        basins = pd.read_csv(path, dtype={"basin": str}).set_index("basin")
        basins.index = [hydrodata.basin_id(basin) for basin in basins.index]
        if basins.index.has_duplicates:
            raise ValueError(f"basin {basins.index[basins.index.duplicated()][0]} stands there twice")
        basins = basins.astype({f"mean_{name}": float for name in targets})
    except (OSError, KeyError, ValueError) as error:
        raise InputError(f"{path} is missing or not readable ({reason(error)}); restore it or train again.") from None
    if own := [column for column in basins if re.fullmatch(OWN_PERIOD, column)]:
        words = f"{path} gives single basins periods of their own ({some(own)}), which this code no longer does"
        raise InputError(f"{words}: train again with the same periods for all basins.")
    return basins


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
            note(f"{path} was written on {meta['cores']} cores, here are {CORES}: the batch is split otherwise, so "
                 "the weights will differ by rounding from those of a training that was never stopped.")  # fmt: skip
        return meta.pop("epoch"), meta
    except Exception as error:  # numpy, zipfile, zlib and json raise many kinds
        words = f"{path} is not a checkpoint of this model ({reason(error)})"
        raise InputError(f"{words}: remove it to train this member anew.") from None


def all_variables(model):
    """The weights of a compiled model and the state of its optimizer."""
    model.optimizer.build(model.trainable_variables)
    return [*model.variables, *model.optimizer.variables]
