"""Small tables as text: lists of basins, their ids, and tables of catchment attributes."""

import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd

from reading.text_files import MOST, NUMBER, head_of, numbers_of, read_lines, text_of
from writing.messages import InputError, some

ID_NAMES = ("basin_id", "gauge_id", "basin", "gauge", "id")  # of the column of ids; the first of these counts


def basin_id(text) -> str:
    """The basin's id (str or int) as it stands in file names: '01022500' for 1022500, a Caravan id as it is."""
    name = str(text).strip()
    if number := re.fullmatch(r"([0-9]{1,8})(\.0+)?", name):  # table programs write 1022500.0
        return number[1].zfill(8)
    if not re.fullmatch(r"[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)*", name) or len(name) > 100:
        raise InputError(f"{name[:100]!r} is not a basin id; give ids such as 01022500 or hysets_01075000.")
    return name


def id_column(path, names) -> int | None:
    """Position of the column of ids, by its name in the first line alone; None: a list without a header."""
    plain = [re.sub("[ -]", "_", name.lower()) for name in names]
    if known := [plain.index(name) for name in ID_NAMES if name in plain]:
        return known[0]
    if len(names) > 1 or not re.search("[0-9]", names[0]):
        what = f"no column basin_id among {some([name[:60] for name in names])}"
        raise InputError(f"{path}, line 1: {what}; name the column of ids so, or write a list with one id a line.")
    return None


def read_table(path) -> tuple[pd.Series, pd.DataFrame]:
    """The basin ids of a table or list, and its other columns as text; the index of both is the line in the file."""
    raw = text_of(path)
    names, separator = head_of(raw)
    key = id_column(path, names)
    text = read_lines(path, raw, 0 if key is None else 1, separator, range(len(names)), dtype=str, na_filter=False)
    text = text.apply(lambda column: column.str.strip())
    text = text[text[0] != ""] if len(names) == 1 else text  # blank lines
    ids = {}
    for line, word in text.pop(key or 0).items():
        try:
            ids[line] = basin_id(word)
        except InputError:
            raise InputError(f"{path}, line {line}: no basin id in {word[:60]!r}; write one id a line.") from None
    ids = pd.Series(ids, dtype="str")
    if ids.duplicated().any():
        line = ids.duplicated().idxmax()
        raise InputError(f"{path}, line {line}: basin {ids[line]} stands here a second time; remove one.")
    text = text.set_axis([names[position] for position in text], axis=1)
    text.attrs["cut"] = not raw.endswith(b"\n")  # so that its last line may be cut
    return ids, text


def read_basins(spec) -> list[str]:
    """Basin ids in the order given, each once. `spec` is an id, the path of a list or table, or a sequence of these."""
    basins: list[str] = []
    for item in [spec] if isinstance(spec, str | os.PathLike | int) else spec:
        path = Path(str(item))
        if not path.is_file() and path.name == str(item):  # s_391attrs.csv, where a script runs in another folder
            path = Path(__file__).parent.parent / path.name
        if path.is_file():
            basins += read_table(path)[0].to_list()
        elif isinstance(item, os.PathLike) or re.search(r"[\\/]|\.(txt|csv|tsv)$", str(item)):
            raise InputError(f"{item}: no such basin list.")
        else:
            basins.append(basin_id(item))
    if not basins:
        raise InputError("The basin list is empty; give at least one id.")
    if twice := sorted(basin for basin, times in Counter(basins).items() if times > 1):
        raise InputError(f"The basin list holds {some(twice)} more than once; remove the repeated ids.")
    return basins


def read_attribute_table(path, basins, columns=None) -> pd.DataFrame:
    """Numbers (basin, attribute) of some basins from a table with a column of ids, float64, in the table's order.

    Of the columns those that are there, None: all that hold numbers. What stands elsewhere does not matter.
    """
    ids, text = read_table(path)
    if columns is None:
        # The number of a row is no attribute: pandas and R write it under no name. A decimal comma is refused below.
        named = text[[name for name in text if name and not name.startswith("Unnamed:")]]
        columns = [name for name in named if named[name].str.replace(",", ".", n=1).str.fullmatch(NUMBER).any()]
        if not columns:
            raise InputError(f"{path}: no column of numbers among {some(list(text), 8)}.")
    names, last = [name for name in text if name in columns], text.index[-1]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(f"{path}, line 1: the column {twice[0]} stands twice.")
    ids = ids[ids.isin(basins)]
    if text.attrs["cut"] and last in ids and text.columns[-1] in names:
        raise InputError(f"{path}, line {last}: the last line has no line break and may be cut; end it with one.")
    table, numbers = text.loc[ids.index, names], {}
    for name in names:
        numbers[name] = values = numbers_of(path, table[name])
        if (np.abs(values) > MOST).any():
            line = table.index[np.abs(values) > MOST][0]
            raise InputError(f"{path}, line {line}: {name[:60]} {table.loc[line, name]!r} is beyond {MOST:g}.")
        values[(values == -999) | (values == -9999)] = np.nan
    return pd.DataFrame(numbers, ids.to_list())
