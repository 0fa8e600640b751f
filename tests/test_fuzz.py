"""Broken text, by the thousand: a mutated file loads to the right numbers or ends in an error that names it.

Some mutations must be read as if nothing had happened, some must be refused, and after the rest every number that is
there must be the right one. The test suite tries a few hundred, always the same ones; 8,000 drawn anew each time:

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
RANGES = {  # lowest and highest value in hundredths, inside what each reader takes for possible
    "prcp": (0, 20000), "srad": (0, 60000), "tmax": (500, 4500), "tmin": (-4500, 499), "vp": (0, 500000),
    "dayl": (2000000, 6000000), "swe": (0, 0), "flow": (0, 99999999), "total_precipitation_sum": (0, 20000),
    "temperature_2m_min": (-4500, 499), "temperature_2m_max": (500, 4500), "streamflow": (0, 30000),
    "surface_net_solar_radiation_mean": (0, 40000), "potential_evaporation_sum": (-50, 1500),
}  # fmt: skip
# any bytes but what can make another number of a number: digits, points, signs and the e of an exponent
JUNK = st.binary(min_size=1, max_size=4).map(lambda b: re.sub(rb"[0-9.eE+-]", b"#", b))
MISSING = ("-999", "-999.00", "-9999", "NaN", "NA")


def hundredths(rng, name):
    return f"{rng.randint(*RANGES.get(name, (-100000, 100000))) / 100:.2f}"


class File:
    """A file as rows of text fields, so that a mutation knows what it changes."""

    def __init__(self, draw, path: Path):
        self.path, self.draw = path, draw
        self.rng = random.Random(draw(st.integers(0, 2**32)))  # the many numbers; the choices are hypothesis' own
        days = draw(st.integers(3, 12))
        start = date(1999, 12, 25) + timedelta(draw(st.integers(0, 70)))
        self.dates = [start + timedelta(i) for i in range(days)]
        self.rows = [{name: hundredths(self.rng, name) for name in self.names} for _ in self.dates]
        self.end = "\n"

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

    def write(self, text):
        self.path.write_bytes(text if isinstance(text, bytes) else text.encode())


class Forcing(File):
    wanted, header_lines = hd.FORCING, 4
    names = list(FORCING_UNITS)

    def text(self):
        capital = self.draw(st.booleans())
        gap = self.pick([" ", "\t", "  ", " \t"])
        names = [f"{name.upper() if capital else name}({FORCING_UNITS[name]})" for name in self.names]
        head = gap.join(["Year", "Mnth", "Day", "Hr", *names])
        lines = ["  44.61", "  92.68", f"{AREA:.0f}", head]
        for day, row in zip(self.dates, self.rows, strict=True):
            lines.append(gap.join([f"{day:%Y}", f"{day:%m}", f"{day:%d}", "12"] + [row[n] for n in self.names]))
        return self.end.join(lines) + self.end

    def load(self):
        return hd.load_forcing(self.path.parents[3], BASIN)


class Streamflow(File):
    wanted, header_lines = ("streamflow",), 0
    names = ["flow"]

    def __init__(self, draw, path):
        super().__init__(draw, path)
        self.names = ["streamflow"]
        for row in self.rows:
            row |= {"streamflow": row.pop("flow"), "flag": self.rng.choice(["A", "A:e", "A:<", "P"])}
            if self.rng.random() < 0.1:
                row |= {"streamflow": "-999.00", "flag": "M"}

    def text(self):
        lines = []
        for day, row in zip(self.dates, self.rows, strict=True):
            lines.append(f"{BASIN} {day:%Y %m %d} {row['streamflow']:>8} {row['flag']}")
        return self.end.join(lines) + self.end

    def convert(self, number):
        return number * 28316846.592 * 86400 / (AREA * 1e6) if number >= 0 else np.nan  # missing, as a flag M

    def load(self):
        return hd.load_streamflow(self.path.parents[2], BASIN, AREA).to_frame()


class Csv(File):
    """Any dated csv, read as a concept."""

    wanted, header_lines = ("x",), 1
    names = ["a", "x", "b"]

    def text(self):
        separator = self.pick([",", ";", "\t"]) if type(self) is Csv else ","
        quote = '"' if self.draw(st.booleans()) else ""
        columns = ["date", *self.names]
        if self.draw(st.booleans()):
            columns = columns[1:] + columns[:1]
        lines = [separator.join(f"{quote}{c}{quote}" for c in columns)]
        for day, row in zip(self.dates, self.rows, strict=True):
            fields = {"date": f"{quote}{day}{quote}", **row}
            lines.append(separator.join(fields[c] for c in columns))
        return self.end.join(lines) + self.end

    def load(self):
        return hd.load_concept(f"x={self.path.parent}/{{number}}.csv:x", BASIN).to_frame()


class Caravan(Csv):
    wanted = (*hd.CARAVAN_FORCING, "streamflow")
    names = ["volumetric_soil_water_layer_1_mean", *wanted, "eobs"]

    def load(self):
        return hd.load_caravan(self.path.parents[3], "camels_01022500", self.wanted)


# Mutations: each returns what the loader must do with the text
# 'equal': load to the truth; 'refuse': raise; 'true': raise, or whatever loads is the truth or missing


def nothing(f):
    return f.text(), "equal"


def bom(f):
    return "\ufeff" + f.text(), "equal"


def crlf(f):
    f.end = "\r\n"
    return f.text(), "equal"


def blank_lines(f):
    return f.text() + f.pick(["\n", "\n\n", " \n"]), "equal"


def columns_exchanged(f):
    f.names = f.draw(st.permutations(f.names))
    return f.text(), "equal"


def missing_values(f):
    for row in f.rows:
        for name in f.names:
            if f.rng.random() < 0.5:
                row[name] = f.rng.choice(MISSING)
    return f.text(), "equal"


def days_left_out(f):
    keep = sorted(f.draw(st.sets(st.integers(0, len(f.dates) - 1), min_size=1)))
    f.dates, f.rows = [f.dates[i] for i in keep], [f.rows[i] for i in keep]
    return f.text(), "equal"


def any_precision(f):
    for row in f.rows:
        for name in f.names:
            number = float(row[name])
            row[name] = format(number, f.rng.choice([".1f", ".9f", ".3e", "+.2f", ".17g"]))
            if name == "swe":
                row[name] = "0.0"
    return f.text(), "equal"


def empty(f):
    return f.pick(["", "\n", " \n\t\n", "\ufeff", "\r\n"]), "refuse"


def date_repeated(f):
    i = f.draw(st.integers(1, len(f.dates) - 1))
    f.dates[i] = f.dates[f.draw(st.integers(0, i - 1))]
    return f.text(), "refuse"


def dates_shuffled(f):
    order = f.draw(st.permutations(range(len(f.dates))))
    changed = list(order) != sorted(order)
    f.dates, f.rows = [f.dates[i] for i in order], [f.rows[i] for i in order]
    return f.text(), "refuse" if changed else "equal"


def impossible_date(f):
    text = f.text()
    day = f.pick(f.dates)
    old, new = (f"{day}", f"{day:%Y-%m}-32") if f"{day}" in text else (_ymd(text, day), _ymd(text, day)[:-2] + "32")
    return text.replace(old, new), "refuse"


def _ymd(text, day):
    return re.search(rf"{day:%Y}[ \t]+{day:%m}[ \t]+{day:%d}", text)[0]


def letter_in_number(f):
    row, name = f.pick(f.rows), f.pick(f.wanted)
    at = f.draw(st.integers(0, len(row[name])))
    row[name] = row[name][:at] + f.pick("abcdfghoOlI_:/xÀ") + row[name][at:]
    return f.text(), "refuse"


def absurd_value(f):
    row, name = f.pick(f.rows), f.pick(f.wanted)
    row["flag"] = "A"  # on a day flagged M any number is masked
    row[name] = f.pick(["1e40", "-1e40", "1e999", "inf", "-inf", "Infinity", "0x10", "1e", "9" * 40])
    return f.text(), "refuse"


def line_doubled(f):
    lines = f.text().splitlines(True)
    i = f.draw(st.integers(f.header_lines, len(lines) - 1))
    return "".join(lines[: i + 1] + lines[i:]), "refuse"


def header_line_lost(f):
    lines = f.text().splitlines(True)
    if f.header_lines:
        del lines[f.draw(st.integers(0, f.header_lines - 1))]
    return "".join(lines), "refuse" if f.header_lines else "equal"


def field_lost(f):
    lines = f.text().splitlines()
    i = f.draw(st.integers(f.header_lines, len(lines) - 1))
    fields = re.split(r"([ \t,;]+)", lines[i])
    del fields[-2:]
    lines[i] = "".join(fields)
    return "\n".join(lines) + "\n", "refuse"


def cut(f):
    raw = f.text().encode()
    return raw[: f.draw(st.integers(0, len(raw) - 1))], "true"


def middle_lost(f):
    lines = f.text().splitlines(True)
    a, b = sorted((f.draw(st.integers(0, len(lines))), f.draw(st.integers(0, len(lines)))))
    return "".join(lines[:a] + lines[b:]), "true"


def foreign_bytes(f):
    raw = f.text().encode()
    at = f.draw(st.integers(0, len(raw)))
    junk = f.draw(JUNK)
    return raw[:at] + junk + raw[at:], "true"


COMMON = [
    nothing, bom, crlf, blank_lines, missing_values, days_left_out, any_precision, empty, date_repeated, dates_shuffled,
    impossible_date, letter_in_number, absurd_value, line_doubled, header_line_lost, field_lost, cut, middle_lost,
    foreign_bytes,
]  # fmt: skip


def wrong_area(f):
    return f.text().replace(f"{AREA:.0f}", f.pick(["0", "-5", "587.65", "nan", "", "1e30", "area"]), 1), "refuse"


def wrong_units(f):
    text = f.text()
    head = text.splitlines()[3]
    return text.replace(head, re.sub(r"(?i)(tmax|tmin)\(C\)", r"\1(K)", head)), "refuse"


def temperatures_exchanged(f):
    for row in f.rows:
        row["tmax"], row["tmin"] = row["tmin"], row["tmax"]
    return f.text(), "refuse"


def other_basin(f):
    lines = f.text().splitlines(True)
    i = f.draw(st.integers(0, len(lines) - 1))
    lines[i] = lines[i].replace(BASIN, f.pick(["01022501", "1022400", "99999999", "0102250", "x"]))
    return "".join(lines), "refuse"


def zero_lost(f):
    return f.text().replace(BASIN, "1022500"), "equal"


def negative_flow(f):
    f.pick(f.rows).update(streamflow=f.pick(["-1.00", "-0.01", "-998"]), flag="A")
    return f.text(), "equal"


def fields_emptied(f):
    for row in f.rows:
        for name in f.wanted:
            if f.rng.random() < 0.5:
                row[name] = ""
    return f.text(), "equal"


def column_renamed(f):
    name = f.pick(f.wanted)
    return f.text().replace(name, name + "q", 1) if f.names.count(name) else f.text(), "refuse"


def column_doubled(f):
    name = f.pick(f.wanted)
    f.names = [*f.names, name]
    return f.text(), "refuse"


MUTATIONS = {
    Forcing: [*COMMON, columns_exchanged, wrong_area, wrong_units, temperatures_exchanged],
    Streamflow: [*COMMON, other_basin, zero_lost, negative_flow],
    Csv: [*COMMON, columns_exchanged, fields_emptied, column_doubled],
    Caravan: [*COMMON, columns_exchanged, fields_emptied, column_doubled, column_renamed],
}


def place(kind, root: Path) -> Path:
    path = {
        Forcing: root / "basin_mean_forcing" / "daymet" / "01" / f"{BASIN}_lump_cida_forcing_leap.txt",
        Streamflow: root / "usgs_streamflow" / "01" / f"{BASIN}_streamflow_qc.txt",
        Csv: root / "1022500.csv",
        Caravan: root / "timeseries" / "csv" / "camels" / f"camels_{BASIN}.csv",
    }[kind]
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize("kind", MUTATIONS, ids=lambda kind: kind.__name__)
def test_right_numbers_or_an_error_that_names_the_file(kind, tmp_path):
    path = place(kind, tmp_path)

    @fuzz
    @given(st.data())
    def check(data):
        f = kind(data.draw, path)
        mutation = data.draw(st.sampled_from(MUTATIONS[kind]))
        before = f.truth()
        text, expected = mutation(f)
        f.write(text)
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
