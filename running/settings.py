"""Settings: checked against the fields of a dataclass, and those that a run directory keeps in settings.json.

It needs none of the packages that take long to load, so that a script can read its command line before them.
"""

import itertools
import re
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args, get_origin, get_type_hints

from writing.files import read_json
from writing.messages import InputError

FORMAT = 2  # of the run directory
FOLDERS = ("run_dir", "data_dir", "start_from")  # options that name what may have moved since
WORDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", types.NoneType: "nothing"}
# What earlier versions did not have, as it was then.
BEFORE = {
    "start_from": None, "train_only": "all", "folds": 0, "root_flow_share": 0.0, "attribute_noise": 0.0,
    "weight_dropout": 0.0, "validate_every": 1,
}  # fmt: skip


@dataclass
class UsedSettings:
    """The options of a training that the other scripts use."""

    data_dir: str
    forcing: tuple[str, ...]
    attributes: str
    concepts: tuple[str, ...]
    train_period: tuple[str, str]
    valid_period: tuple[str, str]
    test_period: tuple[str, str]
    hidden_size: int
    dropout: float
    forcing_noise: float
    attribute_noise: float
    weight_dropout: float
    folds: int


def checked_settings(kind, values, where):
    """Settings of a dataclass from a dict of values, as a person wrote them or JSON gives them.

    A list or a single value becomes the tuple that its field asks for. `where` says where the options stand, for the
    message if there is an option that is no field, one of another kind, or a field without default has none.
    """
    kinds = get_type_hints(kind)
    if unknown := [name for name in values if name not in kinds]:
        raise InputError(f"{where}: this version knows no option {unknown[0]}; take it out, or use the version that "
                         "wrote it.")  # fmt: skip
    if missing := [name for name in kinds if name not in values and not hasattr(kind, name)]:
        raise InputError(f"{where} lacks {', '.join(missing)}; restore it or train again.")
    checked = {}
    for name, value in values.items():
        try:
            checked[name] = as_kind(value, kinds[name])
        except TypeError:
            raise InputError(f"{where}: {name} must be {in_words(kinds[name])}, not {value!r:.60}.") from None
    return kind(**checked)


def as_kind(value, kind):
    """The value as an annotation such as `tuple[str, ...]` or `str | None` asks for; TypeError if it does not fit."""
    inner = get_args(kind)
    if get_origin(kind) is tuple:
        values = value if isinstance(value, list | tuple) else [value]
        inner = inner[:1] * len(values) if inner[-1] is ... else inner
        if len(values) != len(inner):
            raise TypeError
        return tuple(as_kind(one, of) for one, of in zip(values, inner, strict=True))
    if get_origin(kind) is types.UnionType:  # of something and None
        return None if value is None else as_kind(value, inner[0])
    if kind is float and type(value) is int:
        return float(value)
    if value not in inner if get_origin(kind) is Literal else type(value) is not kind:
        raise TypeError
    return value


def in_words(kind):
    """An annotation in words: 'two texts', 'a number'."""
    inner = get_args(kind)
    if get_origin(kind) is tuple:
        return f"{'several' if inner[-1] is ... else len(inner)} values, each {in_words(inner[0])}"
    if get_origin(kind) is Literal:
        return f"one of {', '.join(inner)}"
    return " or ".join(map(in_words, inner)) or WORDS[kind]


def read_settings(path):
    """The content of settings.json of a run directory, and in its "settings" the options of the training."""
    file = Path(path) / "settings.json"
    try:
        content = read_json(file)
    except FileNotFoundError:
        raise InputError(f"{path} is not a run directory: settings.json is missing.") from None
    if content.get("format") != FORMAT:
        words = f"{path} was written in run format {content.get('format')!r}, this code reads format {FORMAT}"
        wrote = f"the version that wrote it (git commit {content.get('git_commit')!r:.60})"
        raise InputError(f"{words}: use {wrote} or train again.")
    if not isinstance(content.get("settings"), dict):
        raise InputError(f"{file} holds no settings; restore it or train again.")
    content["settings"] = BEFORE | content["settings"]
    return content


def fold_folders(run_dir):
    """The runs of a folder that holds the folds of a training, in their order; none if it is a run itself, or no such
    folder."""
    path = Path(run_dir)
    if (path / "settings.json").exists():
        return []
    folds = (fold for fold in path.glob("fold_*") if re.fullmatch("fold_[1-9][0-9]*", fold.name))
    return sorted(folds, key=lambda fold: int(fold.name.removeprefix("fold_")))


def run_folder(run_dir):
    """The path of a run directory; InputError if there is none, or the folds of a training."""
    path = Path(run_dir)
    if not path.is_dir():
        raise InputError(f"There is no run directory {path}: train one with LSTM_train.py, or name another.")
    if folds := fold_folders(path):
        words = f"{path} holds the {len(folds)} folds of a training, which LSTM_test.py scores together"
        raise InputError(f"{words}: here name one of them, such as {folds[0]}, with --basins that it never saw.")
    return path


def run_folders(run_dirs):
    """The paths of runs that are scored together, each another with its own name, and whether they are the folds of
    one folder."""
    paths = [Path(run_dir) for run_dir in run_dirs]
    if folds := fold_folders(paths[0]) if len(paths) == 1 else []:
        return folds, True
    if not paths:
        raise InputError("--run-dir names no run directory.")
    for path, other in itertools.combinations(paths, 2):
        if path.resolve() == other.resolve():
            raise InputError(f"{path} and {other} are one run: name it once.")
        if path.name == other.name:
            raise InputError(f"{path} and {other} have one name, by which their members are called: rename one.")
    return [run_folder(path) for path in paths], False


def from_words(kind, **described):
    """The options of a script, a dataclass, from its command line; a run named in them that is none is refused."""
    import tyro

    chosen = tyro.cli(kind, **described)
    asked = [chosen.run_dir, *filter(None, [getattr(chosen, "compare", None)])]
    paths = map(run_folder, asked) if isinstance(chosen.run_dir, str) else run_folders(chosen.run_dir)[0]
    for path in paths:
        read_settings(path)
    return chosen


def refuse_other_settings(run_dir, settings):
    """Refuse options (dict) of a training other than those with which a run, or the first of its folds, was begun.

    Nothing is refused if there is no run yet.
    """

    def values(option):
        return list(option) if isinstance(option, list | tuple) else [option]

    for path in (Path(run_dir), Path(run_dir) / "fold_1"):
        if (path / "settings.json").exists():
            before = read_settings(path)["settings"]
            # The first two change how a run is made, not what comes out; seeds are added, and folders may move.
            names = sorted(set(settings) - {"resume", "distribute", "seed", *FOLDERS})
            if changed := [name for name in names if values(before.get(name)) != values(settings[name])]:
                words = f"{path} was trained with other settings ({', '.join(changed)})"
                raise InputError(f"{words}: resume with the same ones, or name another --run-dir.")
            return


def stored_settings(run_dir, kind):
    """The options of the training in a run directory or in its first fold, as `kind`; None if it holds no run."""
    for path in (Path(run_dir), Path(run_dir) / "fold_1"):
        if (path / "settings.json").exists():
            return checked_settings(kind, read_settings(path)["settings"], str(path / "settings.json"))
    return None
