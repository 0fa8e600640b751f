"""Files of 100,000 lines with one bad cell are refused with file and line.

numpy's own parser of dates once ended the whole process where one of more than 500 was bad.
"""

import numpy as np
import pytest
import xarray as xr
from small_files import CAPITALS, refused, write

import hydrodata_tf as hd

ROWS, BAD = 100_000, 70_000
DAYS = (np.datetime64("1750-01-01") + np.arange(ROWS)).astype(str).tolist()  # the bad one is 1941-08-28
BASIN = "01022500"
CAMELS_HEAD = f"37.24\n226\n427165365\n{CAPITALS}\n"
READERS = {  # header, a data line, which of its fields are the date and a number, the file, and how it is read
    "forcing": (CAMELS_HEAD, "{0} {1} {2} 12 1 1.5 200 0 9.5 2.5 600", (0, 1, 2), 8,
                f"basin_mean_forcing/daymet/01/{BASIN}_forcing_leap.txt", lambda root: hd.load_forcing(root, BASIN)),
    "streamflow": ("", f"{BASIN} {{0}} {{1}} {{2}} 1.50 A", (1, 2, 3), 4,
                   f"usgs_streamflow/01/{BASIN}_streamflow_qc.txt", lambda root: hd.load_streamflow(root, BASIN, 1e9)),
    "concept": ("a;date;x;.geo\n", '1;{0}/{1}/{2};1.5;"{{;}}"', (1,), 2,
                f"{BASIN}.csv", lambda root: hd.load_concept("k={basin}.csv:x", BASIN, root)),
    "own forcing": ("date,prcp,tmin,tmax,srad,vp\n", "{0}-{1}-{2},1.5,2.5,9.5,200,600", (0,), 5,
                    f"basin_mean_forcing/daymet/{BASIN}.csv", lambda root: hd.load_forcing(root, BASIN)),
}  # fmt: skip
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


def test_one_bad_row_in_a_long_table_or_list(tmp_path):
    ids = [f"{i:08d}" for i in range(1, ROWS + 1)]
    path = tmp_path / "t.csv"
    for row, said in (("7a/,1", "no basin id"), ("00070001,1a", "not a number"), ("00070001", "1 fields instead of 2"),
                      ("00000001,1", "stands here a second time"), ("00070001,1e30", "beyond")):  # fmt: skip
        rows = [f"{basin},1.5" for basin in ids]
        rows[BAD] = row
        write(path, "basin_id,a\n" + "\n".join(rows) + "\n")
        refused(f"t.csv, line {BAD + 2}: .*{said}", hd.load_attributes, path, ids[: BAD + 1], None)
    write(path, "\n".join(ids[:BAD] + ["x y"] + ids[BAD + 1 :]) + "\n")
    refused(f"t.csv, line {BAD + 1}: no basin id in 'x y'", hd.read_basins, path)


def test_one_bad_day_or_number_in_a_long_netcdf(tmp_path):
    path = tmp_path / "timeseries" / "netcdf" / "a" / "a_1.nc"
    path.parent.mkdir(parents=True)
    for value, day, said in (
        (1e6, BAD, f"{DAYS[BAD]}: streamflow 1e.06 is not between"),
        (1, np.nan, "without a date"),
        (1, 0, f"{DAYS[0]}: the date {DAYS[0]} is repeated"),
        (1, 1e12, "cannot be read as netCDF"),
    ):
        days, flow = np.arange(ROWS, dtype=float), np.ones(ROWS)
        days[BAD], flow[BAD] = day, value
        time = ("time", days, {"units": f"days since {DAYS[0]}"})
        xr.Dataset({"streamflow": ("time", flow)}, {"time": time}).to_netcdf(path)
        refused(said, hd.load_caravan, tmp_path, "a_1")
