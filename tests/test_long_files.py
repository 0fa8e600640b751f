"""Files of 100,000 lines with one bad cell are refused with file and line.

numpy's own parser of dates once ended the whole process where one of more than 500 was bad.
"""

import numpy as np
import pytest
from small_files import CAPITALS, refused, write

import hydrodata_tf as hd

ROWS, BAD = 100_000, 70_000
DAYS = (np.datetime64("1750-01-01") + np.arange(ROWS)).astype(str).tolist()  # the bad one is 1941-08-28
BASIN = "01022500"
CAMELS_HEAD = f"37.24\n226\n427165365\n{CAPITALS}\n"
PLACES = f"basin_mean_forcing/daymet/01/{BASIN}_forcing_leap.txt", f"usgs_streamflow/01/{BASIN}_streamflow_qc.txt"
LINES = "{0} {1} {2} 12 1 1.5 200 0 9.5 2.5 600", f"{BASIN} {{0}} {{1}} {{2}} 1.50 A", '1;{0}/{1}/{2};1.5;"{{;}}"'
READERS = {  # header, a data line, which of its fields are the date and a number, the file, and how it is read
    "forcing": (CAMELS_HEAD, LINES[0], (0, 1, 2), 8, PLACES[0], lambda root: hd.load_forcing(root, BASIN)),
    "flow": ("", LINES[1], (1, 2, 3), 4, PLACES[1], lambda root: hd.load_streamflow(root, BASIN, 1e9)),
    "csv": ("a;date;x;.geo\n", LINES[2], (1,), 2, "1022500.csv", lambda root: hd.load_concept(CONCEPT, BASIN, root)),
}
CONCEPT = "k={number}.csv:x"
DATES, PARTS = ("31/12/1941", "1941-02-30", "194l-08-28", "", "today"), ("0", "10000", "1l")
NUMBERS = ("12a", "−5", "1,5", "inf")


def bad_lines(line, dates, number, separator):
    """The data line with one wrong field, one field too few or too many, half of a pair of quotes, or a zero byte."""
    fields = line.split(separator)
    for at, words in [(at, DATES if len(dates) == 1 else PARTS) for at in dates] + [(number, NUMBERS)]:
        yield from (separator.join([*fields[:at], word, *fields[at + 1 :]]) for word in words if separator not in word)
    yield separator.join(fields[:-1])
    yield line + separator + "1"
    yield line.replace("1", '"1', 1)
    yield line.replace("1", "1\0", 1)


@pytest.mark.parametrize("reader", READERS)
def test_one_bad_cell_in_a_long_text_file_is_named_with_its_line(reader, tmp_path):
    head, form, dates, number, name, load = READERS[reader]
    separator = next(mark for mark in (";", ",", " ") if mark in form)
    lines = [form.format(*day.split("-")) for day in DAYS]
    write(tmp_path / name, head + "\n".join(lines) + "\n")
    assert len(load(tmp_path)) == ROWS
    above, below = head + "\n".join(lines[:BAD]) + "\n", "\n" + "\n".join(lines[BAD + 1 :]) + "\n"
    for line in bad_lines(lines[BAD], dates, number, separator):
        write(tmp_path / name, above + line + below)
        sentence = refused(f"line {BAD + 1 + head.count(chr(10))}: ", load, tmp_path)
        assert str(tmp_path / name) in sentence, line
