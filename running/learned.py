"""What a run learned from: the basins and days of its own training, and of those that it began with.

A score on such days is no independent one, and a basin that was learned from is not ungauged. Whoever scores or shows a
period asks here.
"""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from reading.prepared import parse_day, parse_period
from reading.tables import basin_id
from running.settings import read_settings
from writing.messages import InputError, note, reason


class Lesson(NamedTuple):
    """One training: the run's name, the first and the last day of its training period, and its basins."""

    run: str
    start: str
    end: str
    basins: frozenset


def own_lesson(path, settings, basins):
    """The lesson of a run itself, from its settings and the ids in its basins.csv."""
    return Lesson(path.name, *map(str, parse_period(*settings["train_period"])), frozenset(basins))


def lessons_before(path, content):
    """The lessons of the run that a run began with, the latest first, from what its settings.json holds.

    Runs of earlier versions name that run alone: it is followed as long as its folder is there.
    """
    lessons, seen = [], set()
    while "learned_before" not in content:
        start = content["settings"].get("start_from")
        if not start or start in seen:
            return lessons
        seen.add(start)
        try:
            content, table = read_settings(start), pd.read_csv(Path(start) / "basins.csv", dtype=str)
            lessons.append(own_lesson(Path(start), content["settings"], map(basin_id, table["basin"])))
        except (InputError, OSError, KeyError, TypeError, ValueError):
            note(f"{path} began with {start}, which is not there any more: what that learned from is not known.")
            return lessons
    try:
        stored = [Lesson(one["run"], *one["period"], frozenset(one["basins"].split()))
                  for one in content["learned_before"]]  # fmt: skip
        for one in stored:
            parse_period(one.start, one.end)
        return lessons + stored
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        words = f"{path / 'settings.json'}: learned_before is not what a training writes ({reason(error)})"
        raise InputError(f"{words}; restore it or train again.") from None


def as_json(lessons):
    """Lessons as settings.json holds them, in "learned_before"."""
    return [{"run": one.run, "period": [one.start, one.end], "basins": " ".join(sorted(one.basins))}
            for one in lessons]  # fmt: skip


def learned_days(lessons, basins, start="0001-01-01", end="9999-12-31"):
    """On how many days of a period each basin was learned from; of all days if no period is given.

    Returns
    -------
    Series (basin) of int
    """
    period = parse_period(start, end)
    of = {b: frozenset((one.start, one.end) for one in lessons if b in one.basins) for b in basins}
    return pd.Series({b: _days_in(period, periods) for b, periods in of.items()}, dtype=int)


@lru_cache
def _days_in(period, others):
    """Number of days of a period that lie in one of some others, which may share days."""
    first, last = (day.astype(int) for day in period)
    days = set()
    for begin, end in others:
        days.update(range(max(first, parse_day(begin).astype(int)), min(last, parse_day(end).astype(int)) + 1))
    return len(days)


def learned_words(lessons, basins, start, end):
    """What was learned from of some basins in a period, in a sentence; "" if nothing was."""
    days = learned_days(lessons, basins, start, end)
    if not days.any():
        return ""
    whose = [one for one in lessons if learned_days([one], basins, start, end).any()]
    names = ", ".join(dict.fromkeys(f"{one.run} ({one.start} to {one.end})" for one in whose))
    first, last = parse_period(start, end)
    asked = (last - first).astype(int) + 1
    which = f"{days.max():,} of the {asked:,} days from {first} to {last} in {(days > 0).sum()} of {len(days)} basins"
    return f"{names} learned from {which}, which are no independent test."
