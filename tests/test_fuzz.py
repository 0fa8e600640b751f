"""Broken text, by the thousand: a mutated file loads to the right numbers or ends in an error that names it.

Some mutations must be read as if nothing had happened, some must be refused, and after the rest every number that is
there must be the right one. The test suite tries a few hundred, always the same ones; 6,000 drawn anew each time:

    HYDRODATA_FUZZ=2000 python -m pytest tests/test_fuzz.py            (Windows: set HYDRODATA_FUZZ=2000 first)
"""

import os
import random
import re
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_files import write

import hydrodata_tf as hd

EXAMPLES = int(os.environ.get("HYDRODATA_FUZZ", "0"))
fuzz = settings(
    max_examples=EXAMPLES or 80,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,  # machines may be busy
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)

BASIN = "01022500"
AREA = 587654321.0
FORCING_UNITS = {"dayl": "s", "prcp": "mm/day", "srad": "W/m2", "swe": "mm", "tmax": "C", "tmin": "C", "vp": "Pa"}
# Lowest and highest value in hundredths, inside what each reader takes for possible.
RANGES = {"prcp": (0, 20000), "srad": (0, 60000), "tmax": (500, 4500), "tmin": (-4500, 499), "vp": (0, 500000)}
RANGES |= {"dayl": (2000000, 6000000), "swe": (0, 0), "streamflow": (0, 30000)}
# any bytes but what can make another number of a number: digits, points, signs and the e of an exponent
JUNK = st.binary(min_size=1, max_size=4).map(lambda b: re.sub(rb"[0-9.eE+-]", b"#", b))


class File:
    """A file as rows of text fields, so that a mutation knows what it changes."""

    missing = ("-999", "-999.00", "-9999", "NaN", "NA")

    def __init__(self, draw, root: Path):
        self.root, self.path, self.draw = root, root / self.place, draw
        self.rng = random.Random(draw(st.integers(0, 2**32)))  # the many numbers; the choices are hypothesis' own
        start = date(1999, 12, 25) + timedelta(draw(st.integers(0, 70)))
        self.dates = [start + timedelta(i) for i in range(draw(st.integers(3, 12)))]
        self.rows = [{name: self.number(name) for name in self.names} for _ in self.dates]
        self.end = "\n"

    def number(self, name):
        return f"{self.rng.randint(*RANGES.get(name, (-100000, 100000))) / 100:.2f}"

    def pick(self, items):
        return self.draw(st.sampled_from(list(items)))

    def truth(self):
        """(date, column) to float32, NaN where missing."""
        out = {}
        for day, row in zip(self.dates, self.rows, strict=True):
            for name in self.wanted:
                number = float(row[name]) if row[name] not in ("", "NA") else np.nan
                out[day, name] = np.float32(np.nan if number in (-999, -9999) else self.convert(number))
        return out

    def convert(self, number):
        return number


class Forcing(File):
    wanted, header_lines, names = hd.FORCING, 4, list(FORCING_UNITS)
    place = f"basin_mean_forcing/daymet/01/{BASIN}_lump_cida_forcing_leap.txt"

    def text(self):
        gap, capital = self.pick([" ", "\t", "  ", " \t"]), self.draw(st.booleans())
        names = [f"{name.upper() if capital else name}({FORCING_UNITS[name]})" for name in self.names]
        lines = ["  44.61", "  92.68", f"{AREA:.0f}", gap.join(["Year", "Mnth", "Day", "Hr", *names])]
        for day, row in zip(self.dates, self.rows, strict=True):
            lines.append(gap.join([*f"{day:%Y %m %d} 12".split(), *(row[name] for name in self.names)]))
        return self.end.join(lines) + self.end

    def load(self):
        return hd.load_forcing(self.root, BASIN)


class Streamflow(File):
    wanted, header_lines, names = ("streamflow",), 0, ["streamflow"]
    place = f"usgs_streamflow/01/{BASIN}_streamflow_qc.txt"

    def text(self):
        lines = []
        for day, row in zip(self.dates, self.rows, strict=True):
            flag = "M" if row["streamflow"] == "-999.00" else self.rng.choice(["A", "A:e", "A:<", "P"])
            lines.append(f"{BASIN} {day:%Y %m %d} {row['streamflow']:>8} {flag}")
        return self.end.join(lines) + self.end

    def convert(self, number):
        return number * 28316846.592 * 86400 / (AREA * 1e6) if number >= 0 else np.nan

    def load(self):
        return hd.load_streamflow(self.root, BASIN, AREA).to_frame()


class Csv(File):
    """Any dated csv, read as a concept."""

    wanted, header_lines, names, place = ("x",), 1, ["a", "x", "b"], "1022500.csv"
    missing = (*File.missing, "")

    def text(self):
        separator, quote = self.pick([",", ";", "\t"]), self.pick(['"', ""])
        columns = self.pick([["date", *self.names], [*self.names, "date"]])
        lines = [separator.join(f"{quote}{column}{quote}" for column in columns)]
        for day, row in zip(self.dates, self.rows, strict=True):
            fields = {"date": f"{quote}{day}{quote}", **row}
            lines.append(separator.join(fields[column] for column in columns))
        return self.end.join(lines) + self.end

    def load(self):
        return hd.load_concept("x={number}.csv:x", BASIN, self.root).to_frame()


# Mutations: each returns what the loader must do with the text
# 'equal': load to the truth; 'refuse': raise; 'true': raise, or whatever loads is the truth or missing


def another_layout(f):
    f.end, mark, blank = f.pick(["\n", "\r\n"]), f.pick(["", "\ufeff"]), f.pick(["", "\n", "\n\n", " \n"])
    if type(f) is not Streamflow:
        f.names = f.draw(st.permutations(f.names))
    return mark + f.text() + blank, "equal"


def missing_values(f):
    for row in f.rows:
        row |= {name: f.rng.choice(f.missing) for name in f.names if f.rng.random() < 0.5}
    return f.text(), "equal"


def days_left_out(f):
    keep = sorted(f.draw(st.sets(st.integers(0, len(f.dates) - 1), min_size=1)))
    f.dates, f.rows = [f.dates[i] for i in keep], [f.rows[i] for i in keep]
    return f.text(), "equal"


def any_precision(f):
    for row in f.rows:
        row |= {name: format(float(row[name]), f.rng.choice([".1f", ".9f", ".3e", "+.2f", ".17g"])) for name in f.names}
    return f.text(), "equal"


def empty(f):
    return f.pick(["", "\n", " \n\t\n", "\ufeff", "\r\n"]), "refuse"


def date_repeated(f):
    i = f.draw(st.integers(1, len(f.dates) - 1))
    f.dates[i] = f.dates[f.draw(st.integers(0, i - 1))]
    return f.text(), "refuse"


def dates_shuffled(f):
    order = f.draw(st.permutations(range(len(f.dates))))
    f.dates, f.rows = [f.dates[i] for i in order], [f.rows[i] for i in order]
    return f.text(), "equal" if f.dates == sorted(f.dates) else "refuse"


def impossible_date(f):
    text, day = f.text(), f.pick(f.dates)
    written = re.search(rf"{day:%Y}[- \t]+{day:%m}[- \t]+{day:%d}", text)[0]
    return text.replace(written, written[:-2] + "32"), "refuse"


def letter_in_number(f):
    row, name = f.pick(f.rows), f.pick(f.wanted)
    at = f.draw(st.integers(0, len(row[name])))
    row[name] = row[name][:at] + f.pick("abcdfghoOlI_:/xÀ") + row[name][at:]
    return f.text(), "refuse"


def absurd_value(f):
    f.pick(f.rows)[f.pick(f.wanted)] = f.pick(["1e40", "-1e40", "1e999", "inf", "-inf", "0x10", "1e", "9" * 40])
    return f.text(), "refuse"


def header_line_lost(f):
    lines = f.text().splitlines(True)
    if f.header_lines:
        del lines[f.draw(st.integers(0, f.header_lines - 1))]
    return "".join(lines), "refuse" if f.header_lines else "equal"


def field_lost(f):
    lines = f.text().splitlines()
    i = f.draw(st.integers(f.header_lines, len(lines) - 1))
    lines[i] = re.sub("[ \t,;]+[^ \t,;]*$", "", lines[i])
    return "\n".join(lines) + "\n", "refuse"


def cut(f):
    raw = f.text().encode()  # not within the last word: what is left of a number is a number
    return re.sub(rb"[^ \t,;\n]*$", b"", raw[: f.draw(st.integers(0, len(raw) - 1))]), "true"


def middle_lost(f):
    lines = f.text().splitlines(True)
    a, b = sorted(f.draw(st.integers(0, len(lines))) for _ in range(2))
    return "".join(lines[:a] + lines[b:]), "true"


def foreign_bytes(f):
    raw = f.text().encode()
    at = f.draw(st.integers(0, len(raw)))
    return raw[:at] + f.draw(JUNK) + raw[at:], "true"


EQUAL = another_layout, missing_values, days_left_out, any_precision
REFUSED = empty, date_repeated, dates_shuffled, impossible_date, letter_in_number, absurd_value, field_lost
MUTATIONS = *EQUAL, *REFUSED, header_line_lost, cut, middle_lost, foreign_bytes


@pytest.mark.parametrize("kind", [Forcing, Streamflow, Csv])
def test_right_numbers_or_an_error_that_names_the_file(kind, tmp_path):
    path = write(tmp_path / kind.place, "")

    @fuzz
    @given(st.data())
    def check(data):
        f = kind(data.draw, tmp_path)
        mutation = f.pick(MUTATIONS)
        before = f.truth()
        text, expected = mutation(f)
        write(path, text)
        try:
            frame = f.load()
        except hd.InputError as problem:
            assert expected != "equal", problem
            sentence = str(problem)
            assert str(path) in sentence and "\n" not in sentence and len(sentence) < 400 + len(str(path))
            assert re.search("line [0-9]|is empty|no data lines|header of four|no column|are the two columns", sentence)
            return
        assert expected != "refuse", f"{mutation.__name__} was read"
        truth = f.truth() if expected == "equal" else before
        days = [d.date() for d in frame.index]
        assert days == [days[0] + timedelta(i) for i in range(len(days))]
        for day, row in zip(days, frame[list(f.wanted)].to_numpy(), strict=True):
            for name, value in zip(f.wanted, row, strict=True):
                right = truth.get((day, name), np.float32(np.nan))
                if expected == "true" and np.isnan(value):
                    continue
                assert np.array_equal(value, right, equal_nan=True), (mutation.__name__, day, name, value, right)
        if expected == "equal":
            assert (days[0], days[-1]) == (f.dates[0], f.dates[-1])

    check()


@settings(fuzz, max_examples=EXAMPLES or 100)
@given(st.text(max_size=40))
def test_any_text_as_a_name(text):
    """Ids and concepts from a stranger's list or settings end in an InputError or stay what they are."""
    try:
        basin = hd.basin_id(text)
        assert re.fullmatch(r"[\w.-]+", basin) and ".." not in basin
    except hd.InputError:
        pass
    for concept in (text, f"x={text}", f"x=a/{{basin}}{text}:y", f"x=a/{{basin}}.csv:{text}"):
        try:
            parsed = hd.parse_concept(concept)
            assert not set("{}") & set(parsed.template.replace("{basin}", "").replace("{number}", ""))
            assert np.isfinite(parsed.factor) and parsed.factor != 0
        except hd.InputError:
            pass
