"""Small tables as text: lists of basins, their ids, and tables of catchment attributes."""

import difflib
import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from reading.text_files import MOST, NUMBER, head_of, numbers_of, read_lines, text_of
from writing.messages import InputError, note, some


def read_table(path) -> pd.DataFrame:
    """A small table as text: columns by name, the index is the line; `.attrs["cut"]`: it ends without a line break."""
    raw = text_of(path)
    names, separator = head_of(raw)
    text = read_lines(path, raw, 1, separator, range(len(names)), dtype=str, na_filter=False)
    text = text.apply(lambda words: words.str.strip()).set_axis(names, axis=1)
    text.attrs["cut"] = not raw.endswith(b"\n")
    return text


def basin_id(text) -> str:
    """The basin's id as it stands in file names: '01022500' for the USGS number 1022500, a Caravan id as it is.

    `text` is a str or an int of letters, digits, '_', '-' and single dots alone: ids become parts of file names.
    """
    name = str(text).strip()
    if number := re.fullmatch(r"([0-9]{1,8})(\.0+)?", name):  # table programs write 1022500.0
        return number[1].zfill(8)
    if not re.fullmatch(r"[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)*", name) or len(name) > 100:
        raise InputError(f"{name[:100]!r} is not a basin id; give ids such as 01022500 or hysets_01075000.")
    return name


ID_NAMES = ("basin_id", "gauge_id", "basin", "gauge", "id")
PERIODS = [words for name in ("train", "valid", "validation", "test") for end in ("start", "begin", "end", "stop")
           for words in (name + end, end + name, f"{end}of{name}")]  # fmt: skip


def id_column(names, known=ID_NAMES) -> int | None:
    """Position of the column of ids among the names of a table's columns, or None."""
    lower = [re.sub("[ -]", "_", name.lower()) for name in names]
    return next((lower.index(name) for name in known if name in lower), None)


def read_basins(spec) -> list[str]:
    """Basin ids in the order given, each once, from a list file or from ids themselves.

    `spec` is a path, an id or a sequence of these; a file has one id a line, or is a csv or tsv with a column named
    basin_id or gauge_id.
    """
    basins: list[str] = []
    for item in [spec] if isinstance(spec, str | os.PathLike | int) else spec:
        path = Path(str(item))
        if not path.is_file() and path.name == str(item):  # s_391attrs.csv, where a script runs in another folder
            path = Path(__file__).parent.parent / path.name
        if path.is_file():
            basins += _basins_in_file(path)
        elif isinstance(item, os.PathLike) or re.search(r"[\\/]|\.(txt|csv|tsv)$", str(item)):
            raise InputError(f"{item}: no such basin list.")
        else:
            basins.append(basin_id(item))
    if not basins:
        raise InputError("The basin list is empty; give at least one id.")
    _refuse_repeated(basins, "The basin list")
    return basins


def _refuse_repeated(basins: list[str], where) -> None:
    if twice := sorted(basin for basin, times in Counter(basins).items() if times > 1):
        raise InputError(f"{where} holds {some(twice)} more than once; remove the repeated ids.")


def _basins_in_file(path: Path) -> list[str]:
    raw = text_of(path)
    names, _ = head_of(raw)
    for name in names:
        if difflib.get_close_matches(re.sub("[^a-z]", "", name.lower()), PERIODS, cutoff=0.8):
            instead = "remove it (--train-period, --valid-period and --test-period hold for all basins)"
            words = f"the column {name!r} gives periods of single basins, an option that is withdrawn"
            raise InputError(f"{path}: {words}; {instead}.")
    column = id_column(names)
    if column is not None and len(names) > 1:
        words = read_table(path).iloc[:, column]
    elif len(names) > 1:
        raise InputError(f"{path}, line 1: no column basin_id among {some(names)}; name it so, or write one id a line.")
    else:
        lines = raw.decode("utf-8", "replace").replace('"', "").split("\n")
        words = pd.Series(lines, range(1, len(lines) + 1)).str.strip()
        words = words[words != ""].iloc[0 if column is None else 1 :]
        if column is None and not re.search("[0-9]", words.iloc[0]):
            raise InputError(f"{path}, line 1: {words.iloc[0][:60]!r} is no id; write basin_id above the ids.")
    basins = _ids(path, words).to_list()
    _refuse_repeated(basins, path)
    return basins


def _ids(path, words) -> pd.Series:
    """The ids in a column of words, by line."""
    ids = {}
    for line, word in words.items():
        try:
            ids[line] = basin_id(word)
        except InputError:
            raise InputError(f"{path}, line {line}: no basin id in {word[:60]!r}; write one id a line.") from None
    return pd.Series(ids, dtype="str")


def read_attribute_table(path, basins, columns=None) -> pd.DataFrame:
    """Numbers of some basins from a table whose id column is basin_id, gauge_id or the first.

    float64, index basin in the order of the table; those of the columns that are there, None: all that hold numbers.
    """
    text = read_table(path)
    names = list(text.columns)
    if len(set(names)) < len(names):
        raise InputError(f"{path}, line 1: a column name stands twice.")
    key = id_column(names, ID_NAMES[:2]) or 0
    ids = _ids(path, text.iloc[:, key])
    if ids.duplicated().any():
        line = ids.duplicated().idxmax()
        raise InputError(f"{path}, line {line}: basin {ids[line]} stands here a second time; remove one.")
    columns = _numeric_columns(path, text.drop(columns=names[key])) if columns is None else columns
    ids = ids[ids.isin(basins)]
    table, numbers, last = text.loc[ids.index, [name for name in names if name in columns]], {}, text.index[-1]
    if text.attrs["cut"] and last in ids and names[-1] in table:
        raise InputError(f"{path}, line {last}: the last line has no line break and may be cut; end it with one.")
    for name in table:
        numbers[name] = values = numbers_of(path, table[name])
        if (np.abs(values) > MOST).any():
            line = table.index[np.abs(values) > MOST][0]
            raise InputError(f"{path}, line {line}: {name[:60]} {table.loc[line, name]!r} is beyond {MOST:g}.")
        values[(values == -999) | (values == -9999)] = np.nan
    return pd.DataFrame(numbers, ids.to_list())


def _numeric_columns(path, text) -> list[str]:
    """The columns of a table that hold numbers (with a decimal comma too, which is refused where they are read); the
    others are named in a note."""
    # The number of a row is no attribute: pandas and R write it under no name.
    named = text[[name for name in text if name and not name.startswith("Unnamed:")]]
    columns = [name for name in named if named[name].str.replace(",", ".", n=1).str.fullmatch(NUMBER).any()]
    others = [name or f"column {i}" for i, name in enumerate(text, start=1) if name not in columns]
    if not columns:
        raise InputError(f"{path}: no column of numbers among {some(list(text), 8)}.")
    if others:
        which = f"{len(others)} of {text.shape[1]} columns are no attributes"
        note(f"{path}: {which}, as they hold no numbers or have no name: {some(others, 8)}.")
    return columns
