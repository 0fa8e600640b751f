"""Settings: checked against the fields of a dataclass, and those that a run directory keeps in settings.json.

It needs none of the packages that take long to load, so that a script can read its command line before them.
"""

import re
import types
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

from writing.files import read_json
from writing.messages import InputError

FORMAT = 3  # of the run directory
FOLDERS = ("run_dir", "data_dir", "start_from")  # options that name what may have moved since
KINDS = {str: "a text", int: "a whole number", float: "a number", bool: "true or false", types.NoneType: "nothing"}


class Rule(NamedTuple):
    """What a number must be, beside the field of a dataclass: `epochs: Annotated[int, ABOVE_0] = 30`."""

    holds: Any  # function (number) -> bool
    meaning: str


ABOVE_0 = Rule(lambda number: number > 0, "above 0")
FROM_0 = Rule(lambda number: number >= 0, "not below 0")
FROM_0_TO_1 = Rule(lambda number: 0 <= number <= 1, "from 0 to 1")
BELOW_1 = Rule(lambda number: 0 <= number < 1, "from 0 on and below 1")


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
    attribute_noise: float
    weight_dropout: float
    folds: int


def checked_settings(kind, values, where):
    """Settings of a dataclass from a dict of values, as a person wrote them or JSON gives them.

    A list or a single value becomes the tuple that its field asks for. `where` says where the options stand, for the
    message if there is an option that is no field, one of another kind, or a field without default has none.
    """
    kinds = get_type_hints(kind, include_extras=True)
    if unknown := [name for name in values if name not in kinds]:
        instead = "take it out, or use the version that wrote it"
        raise InputError(f"{where}: this version knows no option {unknown[0]}; {instead}.")
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
    if get_origin(kind) is Annotated:
        value = as_kind(value, inner[0])
        if not inner[1].holds(value):
            raise TypeError
        return value
    if get_origin(kind) is tuple:
        values = value if isinstance(value, list | tuple) else [value]
        inner = inner[:1] * len(values) if inner[-1] is ... else inner
        if len(values) != len(inner):
            raise TypeError
        return tuple(as_kind(part, part_kind) for part, part_kind in zip(values, inner, strict=True))
    if get_origin(kind) is types.UnionType:  # of something and None
        return None if value is None else as_kind(value, inner[0])
    if kind is float and type(value) is int:
        return float(value)
    if value not in inner if get_origin(kind) is Literal else type(value) is not kind:
        raise TypeError
    return value


def in_words(kind):
    """An annotation in words: '2 values, each a text', 'a whole number above 0'."""
    inner = get_args(kind)
    if get_origin(kind) is Annotated:
        return f"{in_words(inner[0])} {inner[1].meaning}"
    if get_origin(kind) is tuple:
        return f"{'several' if inner[-1] is ... else len(inner)} values, each {in_words(inner[0])}"
    if get_origin(kind) is Literal:
        return f"one of {', '.join(inner)}"
    return " or ".join(map(in_words, inner)) or KINDS[kind]


def read_settings(path):
    """The content of settings.json of a run directory, and in its "settings" the options of the training."""
    file = Path(path) / "settings.json"
    try:
        content = read_json(file)
    except FileNotFoundError:
        raise InputError(f"{path} is not a run directory: settings.json is missing.") from None
    if content.get("format") != FORMAT:
        written = f"{path} was written in run format {content.get('format')!r}, this code reads format {FORMAT}"
        version = f"the version that wrote it (git commit {content.get('git_commit')!r:.60})"
        raise InputError(f"{written}: use {version} or train again.")
    if not isinstance(content.get("settings"), dict):
        raise InputError(f"{file} holds no settings; restore it or train again.")
    return content


def run_folders(run_dir):
    """The run of a folder, or the folds of a training in their order; InputError if there is no such folder."""
    path = Path(run_dir)
    if not path.is_dir():
        raise InputError(f"There is no run directory {path}: train one with LSTM_train.py, or name another.")
    if (path / "settings.json").exists():
        return [path]
    folds = [folder for folder in path.glob("fold_*") if re.fullmatch("fold_[1-9][0-9]*", folder.name)]
    return sorted(folds, key=lambda fold: int(fold.name.removeprefix("fold_"))) or [path]


def read_command_line(kind, description):
    """The options of a script, a dataclass, from its command line; a run named in them that is none is refused."""
    import tyro

    chosen = tyro.cli(kind, description=description)
    if not getattr(chosen, "series", ()):  # files of series are scored without a run
        for path in run_folders(chosen.run_dir):
            read_settings(path)
    return chosen


def refuse_other_settings(path, settings):
    """Refuse to go on with a run with other options (dict) of a training than those with which it was begun."""

    def values(option):
        return list(option) if isinstance(option, list | tuple) else [option]

    before = read_settings(path)["settings"]
    # The first two change how a run is made, not what comes out; seeds are added, and folders may move.
    names = sorted(set(settings) - {"resume", "distribute", "seed", *FOLDERS})
    if changed := [name for name in names if values(before.get(name)) != values(settings[name])]:
        listed = ", ".join(changed)
        raise InputError(
            f"{path} was trained with other settings ({listed}): resume with the same ones, or name another --run-dir."
        )


def stored_settings(run_dir, kind):
    """The options of the training in a run directory or in its first fold, as `kind`; None if it holds no run."""
    for path in (Path(run_dir), Path(run_dir) / "fold_1"):
        if (path / "settings.json").exists():
            return checked_settings(kind, read_settings(path)["settings"], str(path / "settings.json"))
    return None
