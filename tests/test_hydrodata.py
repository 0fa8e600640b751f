"""The readers and the data set, against literal numbers and hand-written files."""

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydrodata_tf as hd
from reading import attributes, concepts, look, text_files
from writing import files

ROOT = Path(__file__).resolve().parent.parent
REAL = ROOT.parent / "shared" / "data"
SMALL = REAL / "camels_us_small"
needs_real = pytest.mark.skipif(not SMALL.is_dir(), reason="the real CAMELS-US cut-out is not at hand")

HEAD = "Year Mnth Day Hr dayl(s) prcp(mm/day) srad(W/m2) swe(mm) tmax(C) tmin(C) vp(Pa)"
CAPITALS = "Year Mnth Day Hr\tDayl(s)\tPRCP(mm/day)\tSRAD(W/m2)\tSWE(mm)\tTmax(C)\tTmin(C)\tVp(Pa)"


CUBIC_FEET_A_DAY = (
    text_files.CUBIC_MM_PER_CUBIC_FOOT * text_files.SECONDS_PER_DAY / 1e6
)  # on this area in m2, 1 ft3/s is 1 mm/day


def forcing_rows(start="2001-02-25", days=10, shift=0.0):
    rows = []
    for i, d in enumerate(pd.date_range(start, periods=days)):
        prcp, srad, tmax, tmin, vp = i % 4 + shift, 200.25 + i, 10.5 + i, i - 5.25, 600.0 + i
        numbers = f"{prcp:.2f}\t{srad:.2f}\t0.00\t{tmax:.2f}\t{tmin:.2f}\t{vp:.2f}"
        rows.append(f"{d:%Y %m %d} 12\t34214.41\t{numbers}")
    return rows


def forcing_text(rows=None, head=HEAD, lat=" 37.24", elevation=" 226.00", area=" 427165365"):
    return "\n".join([lat, elevation, area, head, *(forcing_rows() if rows is None else rows)]) + "\n"


def flow_rows(basin="01022500", start="2001-02-25", days=10, first=10.0):
    return [f"{basin} {d:%Y %m %d} {first + i:8.2f} A" for i, d in enumerate(pd.date_range(start, periods=days))]


def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def forcing_path(root, basin="01022500", product="daymet", huc="01"):
    model = {"daymet": "cida"}.get(product, product.removesuffix("_extended"))
    return root / "basin_mean_forcing" / product / huc / f"{basin}_lump_{model}_forcing_leap.txt"


def flow_path(root, basin="01022500", huc="01"):
    return root / "usgs_streamflow" / huc / f"{basin}_streamflow_qc.txt"


def make_camels(root, basins=("01022500", "02046000", "11230500"), days=40):
    for i, basin in enumerate(basins):
        write(forcing_path(root, basin), forcing_text(forcing_rows("2001-01-01", days, shift=i)))
        write(flow_path(root, basin), "\n".join(flow_rows(basin, "2001-01-03", days - 4, 10.0 * (i + 1))) + "\n")
        swe = [f"{d:%Y-%m-%d},{3.5 * i + n},{i}" for n, d in enumerate(pd.date_range("2001-01-02", periods=days))]
        write(root / "swe" / f"{int(basin)}.csv", "\n".join(["date,uaz_swe,daymet_swe", *swe]) + "\n")
    topo, clim = ["gauge_id;gauge_lat;gauge_lon;elev_mean"], ["gauge_id;p_mean;high_prec_timing"]
    for i, basin in enumerate(basins):
        topo.append(f"{basin};{40 + i}.5;-{70 + i}.25;{100 * (i + 1)}.5")
        clim.append(f"{basin};{i + 1}.25;son")
    write(root / "camels_attributes_v2.0" / "camels_topo.txt", "\n".join(topo) + "\n")
    write(root / "camels_attributes_v2.0" / "camels_clim.txt", "\n".join(clim) + "\n")
    return root


@pytest.fixture
def camels(tmp_path):
    return make_camels(tmp_path / "camels")


def folder_with_forcing(root):
    return hd.folder_with("basin_mean_forcing", root)


def load(root, tmp_path, **options):
    options = {"attributes": "none", "cache_dir": tmp_path / "cache", "progress": False} | options
    return hd.load_dataset(root, **options)


# Names


@pytest.mark.parametrize(
    ("given", "expected"),
    [("1022500", "01022500"), (1022500, "01022500"), ("01022500", "01022500"), ("hysets_01075000", "hysets_01075000")]
    + [("x" * 100, "x" * 100)],
)
def test_basin_id(given, expected):
    assert hd.basin_id(given) == expected


@pytest.mark.parametrize("given", ["", "../etc", "a/b", "a\\b", "{0}", "a\nb", "..", "C:x", "a..b", "é", "x" * 101])
def test_basin_id_refuses_what_could_leave_the_folder(given):
    with pytest.raises(hd.InputError, match="is not a basin id"):
        hd.basin_id(given)


def test_read_basins(tmp_path):
    assert hd.read_basins(["1022500", "hysets_1"]) == ["01022500", "hysets_1"]
    assert hd.read_basins("1022500") == ["01022500"]
    for name, text in {
        "a.txt": "1022500\r\n\r\n02046000\r\n",
        "b.tsv": "\ufeffbasin_id\tlon\tlat\n01022500\t-67\t44\n02046000\t1\t2\n",
        "c.csv": "lon,gauge_id\n1,1022500\n2,2046000\n",
    }.items():
        assert hd.read_basins(write(tmp_path / name, text)) == ["01022500", "02046000"], name


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("01022500\n1022500\n", "holds 01022500 more than once"),
        ("01022500\n7\n8\n7\n", "holds 00000007 more than once"),
        ("01022500\n02046000\n1022500\n", "list.txt holds 01022500 more than once; remove the repeated ids"),
        ("01022500\n../x\n", "line 2: no basin id"),
        ("lon,gauge_id\n1\n", "line 2: no basin id"),
        ("basin_id\n", "The basin list is empty"),
    ],
)
def test_bad_basin_lists(tmp_path, text, sentence):
    with pytest.raises(hd.InputError, match=sentence):
        hd.read_basins(write(tmp_path / "list.txt", text))


def test_basin_list_that_is_not_there(tmp_path):
    for spec in (tmp_path / "none", "none.txt", "a/b"):
        with pytest.raises(hd.InputError, match="no such basin list"):
            hd.read_basins(spec)


# CAMELS-US, real numbers

LEAP_DAY = {  # 02064000 on 2000-02-29, in FORCING's order, copied by hand from the four files
    "daymet": (0.00, -2.00, 16.84, 422.33, 520.26),
    "maurer": (0.39, 11.57, 11.57, 407.99, 754.02),
    "maurer_extended": (0.39, -0.82, 18.28, 407.99, 754.02),
    "nldas": (1.78, 10.66, 10.66, 389.38, 799.61),
}


@needs_real
@pytest.mark.parametrize("product", LEAP_DAY)
@pytest.mark.filterwarnings("ignore:.*tmin equals tmax")
def test_real_forcing(product):
    frame = hd.load_forcing(SMALL, 2064000, product)
    assert frame.loc["2000-02-29"].tolist() == [np.float32(x) for x in LEAP_DAY[product]]
    assert (frame.index[0], frame.index[-1], len(frame)) == (pd.Timestamp(2000, 1, 1), pd.Timestamp(2002, 12, 31), 1096)
    assert frame.attrs["area_m2"] == 427165365 and frame.attrs["lat"] == 37.24 and frame.attrs["elevation_m"] == 226
    assert frame.notna().all(axis=None) and (frame.dtypes == np.float32).all()


@needs_real
def test_real_streamflow():
    flow = hd.load_streamflow(SMALL, "02064000")
    # 79.00, 102.00 and 119.00 ft3/s over 427.165365 km2, worked out by hand: Q * 28316846.592 * 86400 / (A * 1e6)
    assert flow["2000-01-01"] == pytest.approx(0.45247018, rel=1e-6)
    assert flow["2000-02-29"] == pytest.approx(0.58420200, rel=1e-6)
    assert flow["2002-12-31"] == pytest.approx(0.68156900, rel=1e-6)


@needs_real
def test_real_files_as_python_reads_them():
    """Every number of a real file, split and converted by Python, equals what the reader gives."""
    for product in ("daymet", "maurer_extended"):
        path = hd.forcing_files(SMALL, product)["01022500"]
        rows = [line.split() for line in path.read_text().splitlines()[4:]]
        expected = np.array([[row[i] for i in (5, 9, 8, 6, 10)] for row in rows], np.float64).astype(np.float32)
        assert np.array_equal(hd.load_forcing(SMALL, "01022500", product).to_numpy(), expected)


@pytest.fixture
def no_line_by_line(monkeypatch):
    """Text that is read line by line, which is slow, fails."""

    def slow(path, *arguments):
        raise AssertionError(f"{path} was read line by line")

    monkeypatch.setattr(text_files, "_by_line", slow)
    monkeypatch.setattr(text_files, "DATE", None)  # the pattern of the dates that are read one by one


@needs_real
def test_real_text_is_not_read_line_by_line(no_line_by_line):
    hd.load_forcing(SMALL, "02064000", "daymet")
    hd.load_forcing(SMALL, "02064000", "maurer_extended")
    hd.load_streamflow(SMALL, "02064000", 1e9)


@needs_real
def test_real_data_set(tmp_path):
    ds = load(SMALL, tmp_path, basins=["02064000", "1022500"], attributes="auto")
    assert ds["basin"].values.tolist() == ["02064000", "01022500"]
    assert list(ds["attribute"].values) == list(attributes.ATTRIBUTES)
    assert float(ds["attributes"].sel(basin="02064000", attribute="elev_mean")) == np.float32(192.21)
    assert float(ds["lon"].sel(basin="02064000")) == pytest.approx(-78.95974)
    assert float(ds["area_km2"].sel(basin="02064000")) == pytest.approx(427.165365)


@needs_real
def test_attribute_table_of_the_project_is_reproduced(tmp_path):
    out = tmp_path / "attributes.csv"
    command = ["attributes", "--data-dir", str(SMALL), "--basins", str(REAL / "basin_391.tsv"), "--out", str(out)]
    subprocess.run([sys.executable, str(ROOT / "hydrodata_tf.py"), *command], check=True)
    assert out.read_bytes() == (ROOT / "s_391attrs.csv").read_bytes()


def test_attribute_table_of_the_project():
    table = pd.read_csv(ROOT / "s_391attrs.csv", dtype={"basin_id": str}).set_index("basin_id")
    assert table.shape == (391, 27) and list(table.columns) == list(attributes.ATTRIBUTES)
    assert table.index.str.len().unique().tolist() == [8]
    np.testing.assert_allclose(table.mean(), 0, atol=1e-8)
    np.testing.assert_allclose(table.std(ddof=0), 1, atol=1e-8)


# CAMELS-US, hand-written


@pytest.mark.parametrize("days", [1, 2, 10])
def test_regular_text_is_not_read_line_by_line(tmp_path, no_line_by_line, days):
    for rows in (forcing_rows(days=days), [row.replace("\t", " \t ") for row in forcing_rows(days=days)]):
        write(forcing_path(tmp_path), forcing_text(rows))
        frame = hd.load_forcing(tmp_path, "01022500")
        assert frame["vp"].tolist() == [600.0 + i for i in range(days)]
    write(flow_path(tmp_path), "\n".join(flow_rows(days=days)) + "\n")
    assert len(hd.load_streamflow(tmp_path, "01022500", 1e9)) == days
    for separator in ",;\t":
        rows = [
            "date,x,y",
            *(f"{row[9:19].replace(' ', '-')},{i},{i + 0.5}" for i, row in enumerate(flow_rows(days=days))),
        ]
        write(tmp_path / "1.csv", "\n".join(rows).replace(",", separator) + "\n")
        assert hd.load_concept(f"x={tmp_path}/{{number}}.csv:y", "1").tolist() == [i + 0.5 for i in range(days)]


@pytest.mark.parametrize("head", [HEAD, CAPITALS, HEAD.replace(" ", "\t")])
@pytest.mark.parametrize("form", ["plain", "crlf", "bom", "blanks", "blank line", "one column more"])
def test_forcing_layouts(tmp_path, head, form):
    text = forcing_text(head=head)
    if form == "crlf":
        text = text.replace("\n", "\r\n")
    elif form == "bom":
        text = "\ufeff" + text
    elif form == "blanks":
        text = text.replace("\t", "  \t ")
    elif form == "blank line":
        text = text.replace("2001 02 28", "\n2001 02 28") + "\n \n"
    elif form == "one column more":
        text = forcing_text([f"{row} 7" for row in forcing_rows()], head=head + " more(x)")
    write(forcing_path(tmp_path), text)
    frame = hd.load_forcing(tmp_path, "1022500")
    assert frame.loc["2001-03-01"].tolist() == [0.0, -1.25, 14.5, 204.25, 604.0]
    assert frame.index[0] == pd.Timestamp(2001, 2, 25) and len(frame) == 10
    assert list(frame.columns) == list(hd.FORCING)
    assert frame.attrs["units"] == {"prcp": "mm/day", "tmin": "degC", "tmax": "degC", "srad": "W/m2", "vp": "Pa"}


def test_columns_are_found_by_name(tmp_path):
    rows = ["2001 01 01 12 5.0 1.5 700.0 -3.0 100.0", "2001 01 02 12 6.0 2.5 701.0 -2.0 101.0"]
    write(forcing_path(tmp_path), forcing_text(rows, "Year Mnth Day Hr tmax(C) prcp(mm/day) vp(Pa) tmin(C) srad(W/m2)"))
    assert hd.load_forcing(tmp_path, "01022500").iloc[0].tolist() == [1.5, -3.0, 5.0, 100.0, 700.0]


def test_missing_values_and_gaps_of_forcing(tmp_path):
    rows = forcing_rows()
    rows[1] = rows[1].replace("201.25", "-999.00")
    rows[2] = rows[2].replace("602.00", "NaN")
    rows[3] = rows[3].replace("13.50", "-9999")
    write(forcing_path(tmp_path), forcing_text(rows[:5] + rows[7:]))
    frame = hd.load_forcing(tmp_path, "01022500")
    assert len(frame) == 10
    assert np.argwhere(frame.isna().to_numpy()).tolist() == [[1, 3], [2, 4], [3, 2]] + [
        [day, column] for day in (5, 6) for column in range(5)
    ]


def broken(line, old, new):
    def change(text):
        lines = text.split("\n")
        assert old in lines[line - 1], lines[line - 1]
        lines[line - 1] = lines[line - 1].replace(old, new, 1)
        return "\n".join(lines)

    return change


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda text: "", "is empty"),
        (lambda text: " \n \n", "is empty"),
        (lambda text: "1\n2\n", "header of four"),
        (lambda text: "\n".join(text.split("\n")[:4]) + "\n", "no data lines"),
        (broken(1, "37.24", "north"), "line 1: the latitude"),
        (broken(2, "226.00", "1e9"), "line 2: the elevation"),
        (broken(3, "427165365", "0"), "line 3: the area"),
        (broken(3, "427165365", "427.165"), "line 3: the area"),
        (broken(4, "tmin(C)", "tmin(K)"), "line 4: tmin is in k"),
        (broken(4, "vp(Pa)", "rh(Pa)"), "line 4: no column vp"),
        (broken(4, "tmax(C)", "tmin(C)"), "line 4: no column tmax"),
        (broken(4, "dayl(s)", "tmax(C)"), "line 4: a column name stands twice"),
        (broken(7, "202.25", "2o2.25"), "line 7: '2o2.25' is not a number"),
        (broken(7, "202.25", "1_0"), "line 7: '1_0' is not a number"),
        (broken(7, "202.25", "inf"), "line 7: 'inf' is not a number"),
        (broken(7, "202.25", "1e400"), "line 7: srad inf is not between"),
        (broken(7, "2.00\t", "-2.00\t"), "line 7: prcp -2 is not between"),
        (broken(7, "12.50", "120.50"), "line 7: tmax 120.5 is not between"),
        (broken(7, "\t602.00", ""), "line 7: 10 fields instead of 11"),
        (broken(7, "602.00", "602.00 1"), "line 7: 12 fields instead of 11"),
        (lambda text: text.replace("\t602.00\n", "\n602.00\t"), "line 7: 10 fields instead of 11"),
        (broken(7, "2001 02 27", "2001 02 26"), "line 7: the date 2001-02-26 is repeated"),
        (broken(7, "2001 02 27", "2001 02 25"), "line 7: the date 2001-02-25 is repeated"),
        (broken(7, "2001 02 27", "2001 02 01"), "line 7: the date 2001-02-01 is out of order"),
        (broken(7, "2001 02 27", "2001 02 29"), "line 7: there is no date 2001-2-29"),
        (broken(7, "2001 02 27", "2001 13 27"), "line 7: there is no date 2001-13-27"),
        (broken(7, "2001 02 27", "2001 2.5 27"), "line 7: there is no date 2001-2.5-27"),
        (broken(7, "2001 02 27", "2001 NA 27"), "line 7: there is no date"),
        (lambda text: text[: text.rindex("\t")], "line 14: 10 fields instead of 11"),
    ],
)
def test_bad_forcing_names_file_and_line(tmp_path, change, sentence):
    path = write(forcing_path(tmp_path), change(forcing_text()))
    with pytest.raises(hd.InputError, match=sentence) as caught:
        hd.load_forcing(tmp_path, "01022500")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("year, known", [(1699, False), (1700, True), (2261, True), (2262, False)])
def test_years_that_can_be(tmp_path, year, known):
    """Nanoseconds, in which pandas and xarray count, end in 2262."""
    rows = [row.replace("2001 ", f"{year} ", 1) for row in forcing_rows("2001-06-01")]
    write(forcing_path(tmp_path), forcing_text(rows))
    if known:
        assert str(hd.load_forcing(tmp_path, "01022500").index[0])[:10] == f"{year}-06-01"
    else:
        with pytest.raises(hd.InputError, match=f"line 5: there is no date {year}-6-1"):
            hd.load_forcing(tmp_path, "01022500")


@pytest.mark.parametrize(
    ("line", "given", "ends", "beyond"),
    [
        (1, "37.24", ("-90", "90"), ("-90.01", "90.01")),
        (2, "226.00", ("-500", "9000"), ("-500.1", "9000.1")),
        (3, "427165365", ("1e4", "1e13"), ("9999.9", "1.0001e13")),
    ],
)
def test_ends_of_the_ranges_in_the_header(tmp_path, line, given, ends, beyond):
    for text in ends:
        write(forcing_path(tmp_path), broken(line, given, text)(forcing_text()))
        assert list(hd.load_forcing(tmp_path, "01022500").attrs.values())[line - 1] == float(text)
    for text in beyond:
        write(forcing_path(tmp_path), broken(line, given, text)(forcing_text()))
        with pytest.raises(hd.InputError, match=f"line {line}: the .* should stand here, not '{text}'"):
            hd.load_forcing(tmp_path, "01022500")


RANGES = {  # lowest and highest number that is taken for possible, in the unit of the file
    (0, 3000): "prcp total_precipitation_sum",
    (-100, 100): "tmin tmax temperature_2m_mean temperature_2m_min temperature_2m_max",
    (0, 2000): "srad",
    (-100, 2000): "surface_net_solar_radiation_mean",
    (0, 20000): "vp",
    (0, 5000): "streamflow",
    (20, 120): "surface_pressure_mean",
    (-100, 200): " ".join(text_files.PET_NAMES),
    (0, 100000): "snow_depth_water_equivalent_mean uaz_swe daymet_swe",
    (0, 1): " ".join(f"volumetric_soil_water_layer_{i}{end}" for i in "1234" for end in ("", "_mean")),
    (0, 100): "snow_depth snow_depth_water_equivalent sd",
    (150, 373): "temperature_2m",
    (-1e30, 1e30): "unknown",
}


@pytest.mark.parametrize(("low", "high"), RANGES)
def test_ends_of_the_ranges_of_the_columns(low, high, tmp_path):
    """Both ends are read; the next number beyond is refused, but for streamflow below zero, which is missing."""
    path = tmp_path / "f.csv"
    for name in RANGES[low, high].split():
        write(path, f"date,{name}\n2001-01-01,{low!r}\n2001-01-02,{high!r}\n")
        assert text_files.read_columns(path)[name].tolist() == [low, high]
        for wrong in (np.nextafter(low, -np.inf), np.nextafter(high, np.inf)):
            write(path, f"date,{name}\n2001-01-01,{low!r}\n2001-01-02,{float(wrong)!r}\n")
            if name == "streamflow" and wrong < 0:
                assert text_files.read_columns(path).attrs["negative"] == 1
                continue
            with pytest.raises(hd.InputError, match=f"f.csv, line 3: {name} .* is not between"):
                text_files.read_columns(path)


def test_every_known_column_has_its_range_here():
    assert {name for names in RANGES.values() for name in names.split()} == {*text_files.KNOWN, "unknown"}


def test_exchanged_temperatures(tmp_path):
    head = HEAD.replace("tmax(C) tmin(C)", "tmin(C) tmax(C)")
    write(forcing_path(tmp_path), forcing_text(head=head))
    with pytest.raises(hd.InputError, match="tmin is above tmax on most days"):
        hd.load_forcing(tmp_path, "01022500")


def test_temperatures_exchanged_on_half_of_the_days(tmp_path):
    rows = forcing_rows()
    for i in range(5):
        rows[i] = rows[i].replace(f"{10.5 + i:.2f}\t{i - 5.25:.2f}", f"{i - 5.25:.2f}\t{10.5 + i:.2f}")
    write(forcing_path(tmp_path), forcing_text(rows))
    frame = hd.load_forcing(tmp_path, "01022500")
    assert (frame["tmin"] > frame["tmax"]).tolist() == [True] * 5 + [False] * 5


@pytest.mark.parametrize(("cut", "kept"), [(1, True), (2, False), (3, False), (5, False)])
def test_last_number_without_line_break(tmp_path, cut, kept):
    """Cut inside '609.00': with the line break gone all is there; with a digit gone the value is missing, not wrong."""
    write(forcing_path(tmp_path), forcing_text()[:-cut])
    frame = hd.load_forcing(tmp_path, "01022500")
    assert frame["vp"].isna().tolist() == [False] * 9 + [not kept]
    assert frame["tmin"].iloc[-1] == 3.75


def test_last_whole_number_without_line_break_is_missing(tmp_path):
    path = write(tmp_path / "1.csv", "date,x\n2001-01-01,100\n2001-01-02,200")
    values = hd.load_concept(f"x={tmp_path}/{{number}}.csv:x", "1")
    assert values.iloc[0] == 100 and np.isnan(values.iloc[1]), path
    write(path, "date,x\n2001-01-01,100\n2001-01-02,200\n ")  # the line of the number is whole
    assert hd.load_concept(f"x={tmp_path}/{{number}}.csv:x", "1").tolist() == [100, 200]
    write(path, "date,x\n2001-01-01,.25\n2001-01-02,.50")
    assert hd.load_concept(f"x={tmp_path}/{{number}}.csv:x", "1").tolist() == [0.25, 0.5]


@pytest.mark.parametrize("product", ["maurer", "nldas"])
def test_equal_temperatures_are_warned_about(tmp_path, product):
    rows = [row.replace(f"{10.5 + i:.2f}", f"{i - 5.25:.2f}") for i, row in enumerate(forcing_rows())]
    write(forcing_path(tmp_path, product=product), forcing_text(rows, CAPITALS))
    with pytest.warns(UserWarning, match=f"{product}_extended"):
        hd.load_forcing(tmp_path, "01022500", product)


def test_streamflow_by_hand(tmp_path):
    rows = flow_rows()
    rows[1] = rows[1].replace("11.00 A", "-999.00 M")
    rows[2] = rows[2].replace("12.00 A", "12.00 M")
    rows[5] = rows[5].replace("15.00 A", "-9999 A")
    rows[8] = rows[8].replace("18.00 A", "-999.00 A")
    rows[3] = rows[3].replace("13.00 A", "13.00 A:e")
    rows[4] = rows[4].replace("14.00 A", "123456.78 A:<")
    write(flow_path(tmp_path), "\n".join(rows[:6] + rows[8:]) + "\n")
    flow = hd.load_streamflow(tmp_path, "01022500", area_m2=1e9)
    # 1 ft3/s = 28316846.592 mm3/s; over 1000 km2 in a day: 28316846.592 * 86400 / 1e15 = 0.0024465755 mm
    assert flow.iloc[0] == pytest.approx(0.024465755, rel=1e-6)
    assert flow.iloc[3] == pytest.approx(0.031805482, rel=1e-6)
    assert flow.iloc[4] == pytest.approx(302.04634, rel=1e-6)
    assert np.flatnonzero(flow.isna()).tolist() == [1, 2, 5, 6, 7, 8] and len(flow) == 10
    assert flow.attrs["units"] == "mm/day" and flow.name == "streamflow"


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("12.00 A", "1e12 A", "line 3: streamflow .* is not between"),
        ("12.00 A", "12,00 A", "line 3: '12,00' is not a number"),
        ("12.00 A", "12.00", "line 3: 5 fields instead of 6"),
        ("12.00 A", "12.00  ", "line 3: 5 fields instead of 6"),
        ("12.00 A", "12.00\u00a0 A", r"line 3: '12.00\\xa0' is not a number"),
        ("01022500 2001 02 27", "01022501 2001 02 27", "line 3: basin '01022501' in the file of basin 01022500"),
        ("2001 02 27", "2001 02 28", "line 4: the date 2001-02-28 is repeated"),
        ("2001 02 27", "2001 02 30", "line 3: there is no date"),
    ],
)
def test_bad_streamflow(tmp_path, old, new, sentence):
    path = write(flow_path(tmp_path), "\n".join(flow_rows()).replace(old, new) + "\n")
    with pytest.raises(hd.InputError, match=sentence) as caught:
        hd.load_streamflow(tmp_path, "01022500", 1e9)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(("before", "after"), [("", ""), ("\n", ""), ("\n", "\n"), (" ", "\n"), ("\n ", "\n \n")])
def test_blanks_around_the_lines(tmp_path, before, after):
    write(flow_path(tmp_path), before + "\n".join(flow_rows()) + after)
    flow = hd.load_streamflow(tmp_path, "01022500", CUBIC_FEET_A_DAY)
    assert flow.tolist() == [10.0 + i for i in range(10)] and flow.index[0] == pd.Timestamp(2001, 2, 25)


def test_blank_lines_are_counted(tmp_path):
    write(flow_path(tmp_path), "\n" + "\n\n".join(flow_rows()).replace("12.00", "12,00") + "\n")
    with pytest.raises(hd.InputError, match="line 6: '12,00' is not a number"):
        hd.load_streamflow(tmp_path, "01022500", 1e9)


def test_streamflow_ids_without_leading_zero_and_area_from_the_forcing(tmp_path):
    write(flow_path(tmp_path), "\n".join(flow_rows("1022500")) + "\n")
    write(forcing_path(tmp_path, "02046000"), forcing_text())
    with pytest.raises(hd.InputError, match="no forcing file of basin 01022500 .* give area_m2"):
        hd.load_streamflow(tmp_path, "01022500")
    write(forcing_path(tmp_path, product="nldas"), forcing_text(head=CAPITALS))
    assert hd.load_streamflow(tmp_path, "01022500").iloc[0] == pytest.approx(24.465755 / 427.165365, rel=1e-6)


def test_folders(tmp_path, camels):
    zipped = tmp_path / "zip"
    shutil.copytree(camels, zipped / "basin_dataset_public_v1p2")
    assert folder_with_forcing(zipped) == zipped / "basin_dataset_public_v1p2"
    assert folder_with_forcing(camels) == camels and folder_with_forcing(camels.parent) == camels
    with pytest.raises(hd.InputError, match="no folder basin_mean_forcing"):
        folder_with_forcing(camels / "swe")
    with pytest.raises(hd.InputError, match="no such folder"):
        folder_with_forcing(camels / "none")
    with pytest.raises(hd.InputError, match="'era5' is not a forcing product; choose from daymet"):
        hd.load_forcing(camels, "01022500", "era5")
    with pytest.raises(hd.InputError, match="unpack the nldas forcing"):
        hd.load_forcing(camels, "01022500", "nldas")
    with pytest.raises(hd.InputError, match="no daymet forcing file for basin 09999999"):
        hd.load_forcing(camels, "9999999")
    shutil.rmtree(camels / "usgs_streamflow")
    with pytest.raises(hd.InputError, match="no folder usgs_streamflow"):
        hd.load_streamflow(camels, "01022500")


def test_two_files_of_one_basin(camels):
    shutil.copytree(camels / "usgs_streamflow" / "01", camels / "usgs_streamflow" / "02")
    with pytest.raises(hd.InputError, match="are both files of basin 01022500; remove one"):
        hd.load_streamflow(camels, "01022500", 1e9)


# Attributes


def test_attributes_of_a_folder_and_a_table(camels, tmp_path):
    frame = hd.load_attributes(camels, ["11230500", "1022500"], ("p_mean", "elev_mean"))
    assert frame.loc["11230500"].tolist() == [3.25, 300.5] and frame.loc["01022500"].tolist() == [1.25, 100.5]
    table = write(tmp_path / "t.csv", "basin_id,a,name,b\n1022500,1.5,x,-2\n02046000,2.5,y,3e1\n")
    frame = hd.load_attributes(table, ["02046000"], None)
    assert list(frame.columns) == ["a", "b"] and frame.loc["02046000"].tolist() == [2.5, 30.0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("basin_id,a\n01022500,1\n", r"no attributes \(first: a\) for 1 basins: 02046000"),
        ("basin_id,a\n01022500,1\n02046000,NA\n", "first: a"),
        ("basin_id,a\n01022500,1\n02046000,-999\n", "first: a"),
        ("basin_id,a\n01022500,1\n02046000,-9999\n", "first: a"),
        ("basin_id,a\n01022500,1\n02046000,1o\n", "line 3: a '1o' is not a number"),
        ("basin_id,a\n01022500,1\n02046000,inf\n", "line 3: a 'inf' is not a number"),
        ("basin_id,a\n01022500,1\n02046000,12", "line 3: a '12' is not a number .* cut short"),
        ("basin_id,a\n01022500,1\n2046000,1\n02046000,2\n", "line 4: basin 02046000 stands here a second time"),
        ("basin_id,a\n01022500,1\n02046000\n", "line 3: 1 fields instead of 2"),
        ('basin_id,a\n01022500,1\n02046000,"1\n', "line 4: unexpected end of data"),
        ("basin_id,a\n../x,1\n", "line 2: '../x' is not a basin id"),
        ("basin_id,a,a\n01022500,1,2\n", "a column name stands twice"),
        ("basin_id,b\n01022500,1\n02046000,2\n", "no attribute a"),
        ("", "is empty"),
    ],
)
def test_bad_attributes(tmp_path, text, sentence):
    path = write(tmp_path / "t.csv", text)
    with pytest.raises(hd.InputError, match=sentence) as caught:
        hd.load_attributes(path, ["01022500", "02046000"], ("a",))
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["-999", "-999.0", "-9999", "NaN", ""])
def test_missing_attributes(text, tmp_path):
    table = write(tmp_path / "table.csv", f"basin_id,a\n01022500,{text}\n02046000,1\n")
    with pytest.raises(hd.InputError, match=r"no attributes \(first: a\) for 1 basins: 01022500"):
        hd.load_attributes(table, ["01022500", "02046000"], ("a",))


def test_attribute_files_absent(camels, tmp_path):
    shutil.rmtree(camels / "camels_attributes_v2.0")
    with pytest.raises(hd.InputError, match="unpack the CAMELS attributes"):
        hd.load_attributes(camels, "01022500")
    assert np.isnan(load(camels, tmp_path)["lon"].values).all()
    with pytest.raises(hd.InputError, match="no such file; give a table"):
        load(camels, tmp_path, attributes="nothing.csv")
    with pytest.raises(hd.InputError, match="no such file"):
        hd.load_attributes(tmp_path / "nothing.csv", "01022500")


def test_command_writes_z_scores(camels, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(attributes, "ATTRIBUTES", ("p_mean", "elev_mean"))
    monkeypatch.setattr(hd.load_attributes, "__defaults__", (("p_mean", "elev_mean"),))
    out, basins = tmp_path / "out.csv", write(tmp_path / "b.txt", "01022500\n02046000\n11230500\n")
    hd.write_attributes(camels, basins, out)
    # 1.25, 2.25, 3.25: mean 2.25, population standard deviation sqrt(2/3)
    assert out.read_text().split() == [
        "basin_id,p_mean,elev_mean",
        "01022500,-1.22474487,-1.22474487",
        "02046000,0,0",
        "11230500,1.22474487,1.22474487",
    ]
    monkeypatch.setattr(
        sys, "argv", ["hydrodata_tf.py", "attributes", "--data-dir", str(camels), "--basins", "x.txt", "--out", "o"]
    )
    with pytest.raises(SystemExit) as stop:
        files.cli(hd.main)
    assert stop.value.code == 2 and capsys.readouterr().err == "x.txt: no such basin list.\n"


# Caravan

CARAVAN = ("total_precipitation_sum", "temperature_2m_min", "temperature_2m_max", "surface_net_solar_radiation_mean")
GAUGES = ("camels_01022500", "lamah_1145")


def caravan_frame(days=400, shift=0.0, pet="potential_evaporation_sum"):
    n = np.arange(days)
    frame = pd.DataFrame({"date": pd.date_range("2001-01-01", periods=days).strftime("%Y-%m-%d")})
    frame["volumetric_soil_water_layer_1_mean"] = np.round(0.2 + 0.0005 * n, 4)
    frame["total_precipitation_sum"] = np.round((n % 5) * 1.25 + shift, 2)
    frame["temperature_2m_min"] = np.round(10 * np.sin(2 * np.pi * n / 365.25) - 3, 2)
    frame["temperature_2m_max"] = frame["temperature_2m_min"] + 6
    frame["surface_net_solar_radiation_mean"] = 100.5
    frame[pet] = 2.5
    frame["streamflow"] = np.where(n % 7 == 0, np.nan, np.round(1 + 0.01 * n, 2))
    return frame


def write_caravan(root, gauge, frame, kind="csv"):
    folder = root / "timeseries" / kind / gauge.split("_")[0]
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "csv":
        return write(folder / f"{gauge}.csv", frame.to_csv(index=False, lineterminator="\n"))
    dated = frame.assign(date=pd.to_datetime(frame["date"])).set_index("date")
    path = folder / f"{gauge}.nc"
    xr.Dataset.from_dataframe(dated).to_netcdf(path)
    return path


@pytest.fixture
def caravan(tmp_path):
    root = tmp_path / "caravan"
    for i, gauge in enumerate(GAUGES):
        write_caravan(root, gauge, caravan_frame(shift=i))
    return root


@pytest.mark.parametrize("kind", ["csv", "netcdf"])
@pytest.mark.parametrize("pet", text_files.PET_NAMES)
def test_caravan_file(tmp_path, kind, pet):
    write_caravan(tmp_path, "lamah_1145", caravan_frame(pet=pet), kind)
    frame = hd.load_caravan(
        tmp_path, "lamah_1145", ("potential_evaporation_sum", "total_precipitation_sum", "streamflow")
    )
    assert frame.iloc[3].tolist() == [2.5, 3.75, np.float32(1.03)]
    assert frame.index[3] == pd.Timestamp(2001, 1, 4) and np.isnan(frame["streamflow"].iloc[7])
    assert frame.attrs["units"]["total_precipitation_sum"] == "mm/day"
    assert set(hd.load_caravan(tmp_path, "lamah_1145").columns) == set(caravan_frame(pet=pet).columns) - {"date"}
    with pytest.raises(hd.InputError, match="no column swe; it has"):
        hd.load_caravan(tmp_path, "lamah_1145", ("swe",))


def test_other_files_beside_the_gauges(caravan, tmp_path):
    for name in ("notes.csv", "camels_notes.txt"):
        write(caravan / "timeseries" / "csv" / name, "not a gauge\n")
    assert load(caravan, tmp_path, forcing="caravan")["basin"].values.tolist() == list(GAUGES)


def test_kinds_of_potential_evaporation(caravan, tmp_path):
    """The older releases' column and ERA5-Land's are one thing; Penman-Monteith's is another, and may stand alone."""
    for pets in (
        (text_files.PET_NAMES[0], text_files.PET_NAMES[1]),
        (text_files.PET_NAMES[2], text_files.PET_NAMES[2]),
    ):
        for gauge, pet in zip(GAUGES, pets, strict=True):
            write_caravan(caravan, gauge, caravan_frame(pet=pet))
        assert (load(caravan, tmp_path, forcing="caravan")[hd.PET] == 2.5).all()


def test_gauges_whose_id_has_two_underscores(tmp_path):
    write_caravan(tmp_path / "c", "camelsgb_uk_1", caravan_frame())
    other = tmp_path / "c" / "attributes" / "camelsgb" / "attributes_other_camelsgb.csv"
    write(other, "gauge_id,gauge_lat,gauge_lon,area\ncamelsgb_uk_1,55.5,-3.25,7.5\n")
    ds = load(tmp_path / "c", tmp_path, forcing="caravan")
    assert [float(ds[name][0]) for name in ("lat", "lon", "area_km2")] == [55.5, -3.25, 7.5]


def test_csv_is_read_where_a_gauge_has_both(caravan):
    write_caravan(caravan, "lamah_1145", caravan_frame(shift=5), "netcdf")
    assert hd.load_caravan(caravan, "lamah_1145", CARAVAN[:1]).iloc[0, 0] == 1  # shift=1 in the csv


@pytest.mark.parametrize("kind", ["csv", "netcdf"])
def test_caravan_data_set(tmp_path, kind):
    root = tmp_path / "zip" / "Caravan"
    for i, gauge in enumerate(GAUGES):
        write_caravan(root, gauge, caravan_frame(shift=i), kind)
        write(
            root / "attributes" / gauge.split("_")[0] / f"attributes_other_{gauge.split('_')[0]}.csv",
            f'gauge_id,gauge_name,country,gauge_lat,gauge_lon,area\n{gauge},"A, B",X,4{i}.5,-7.25,61.5\n',
        )
    layer = "caravan:volumetric_soil_water_layer_1_mean"
    ds = load(root.parent, tmp_path, forcing="caravan", concepts=[f"soil1={layer}*70", f"theta={layer}"])
    assert ds["basin"].values.tolist() == list(GAUGES) and ds.attrs["inputs"] == list(hd.CARAVAN_FORCING)
    assert ds["soil1"].attrs["units"] == "mm" and ds["theta"].attrs["units"] == "m3/m3"
    assert float(ds["soil1"].sel(basin="lamah_1145", date="2001-01-11")) == pytest.approx(70 * 0.205, rel=1e-6)
    assert float(ds["total_precipitation_sum"].sel(basin="lamah_1145", date="2001-01-04")) == 4.75
    assert ds["lat"].values.tolist() == [40.5, 41.5] and ds["area_km2"].values.tolist() == [61.5, 61.5]
    assert "58 days" not in ds.attrs["report"] and "116 values missing in 2 basins" in ds.attrs["report"]


def test_caravan_attributes(caravan, tmp_path):
    with pytest.raises(hd.InputError, match="no attributes_caravan file holds camels_01022500, lamah_1145"):
        load(caravan, tmp_path, forcing="caravan", attributes="auto")
    for i, gauge in enumerate(GAUGES):
        folder = gauge.split("_")[0]
        text = f"gauge_id,p_mean,pet_mean,note\n{gauge},{i}.5,2.25,text\n"
        write(caravan / "attributes" / folder / f"attributes_caravan_{folder}.csv", text)
    ds = load(caravan, tmp_path, forcing="caravan", attributes="auto")
    assert ds["attribute"].values.tolist() == ["p_mean", "pet_mean"]
    assert ds["attributes"].values.tolist() == [[0.5, 2.25], [1.5, 2.25]]
    write(
        caravan / "attributes" / "lamah" / "attributes_caravan_lamah.csv", "gauge_id,p_mean,pet_mean\nlamah_1145,1,NA\n"
    )
    assert load(caravan, tmp_path, forcing="caravan", attributes="auto")["basin"].values.tolist() == [GAUGES[0]]
    with pytest.raises(hd.InputError, match="1 of 2 basins cannot be used. No attributes_caravan file .*: lamah_1145"):
        load(caravan, tmp_path, forcing="caravan", attributes="auto", basins=list(GAUGES))


def test_climate_attributes(caravan, tmp_path):
    with pytest.raises(hd.InputError, match="give the training period"):
        load(caravan, tmp_path, forcing="caravan", attributes="climate")
    period = ("2001-01-01", "2001-12-31")
    ds = load(caravan, tmp_path, forcing="caravan", attributes="climate", climate_period=period)
    row = ds["attributes"].sel(basin="camels_01022500").to_series()
    # 0, 1.25, 2.5, 3.75, 5 mm over 365 days: mean 2.5, one day in five below 1 mm, none of 12.5 mm
    assert row["p_mean"] == 2.5 and row["pet_mean"] == 2.5 and row["aridity"] == 1
    assert row["low_prec_freq"] == pytest.approx(365.25 / 5) and row["low_prec_dur"] == 1
    assert row["high_prec_freq"] == 0 and row["high_prec_dur"] == 0
    assert abs(row["p_seasonality"]) < 0.01
    frame = caravan_frame()[:365]
    cold = frame["temperature_2m_min"] + 3 < 0
    expected = frame.loc[cold, "total_precipitation_sum"].sum() / frame["total_precipitation_sum"].sum()
    assert row["frac_snow"] == pytest.approx(expected, rel=1e-6)
    ds = load(caravan, tmp_path, forcing="caravan", attributes="climate", climate_period=("2001-01-01", "2001-01-02"))
    assert float(ds["attributes"].sel(basin="camels_01022500", attribute="p_mean")) == 0.625
    dry = {"forcing": "caravan", "attributes": "climate", "climate_period": ("2001-01-01", "2001-01-01")}
    with pytest.raises(hd.InputError, match="1 of 2 basins cannot be used. No precipitation from .*: camels_01022500"):
        load(caravan, tmp_path, basins=list(GAUGES), **dry)


@pytest.mark.parametrize(("wettest", "days", "length"), [(8.1, 365.25 / 15, 1), (6.7, 0, 0)])
def test_high_precipitation_is_five_times_the_mean(wettest, days, length):
    """One day in fifteen with 8.1 mm, else 1 mm: 5.5 times the mean; with 6.7 mm 4.8 times."""
    rain = np.where(np.arange(390) % 15 == 3, wettest, 1.0)
    got = hd.climate_indices(rain, rain, np.datetime64("2001-01-01") + np.arange(390))
    assert got["high_prec_freq"] == pytest.approx(days) and got["high_prec_dur"] == length


def test_days_on_the_limits_of_the_climate_indices():
    """10 mm are 5 times the mean of 2 mm: high; 1 mm is not low; 0 degrees C is not snow."""
    rain = np.array([1.0, 1, 1, 10, 1, 1, 1, 1, 0, 3])
    temperature = np.array([0.0, 0, 0, 0, 0, 0, -0.5, 0, 0, 0])
    got = hd.climate_indices(rain, temperature, np.datetime64("2001-01-01") + np.arange(10))
    assert got["p_mean"] == 2 and got["frac_snow"] == pytest.approx(1 / 20)
    assert got["high_prec_freq"] == got["low_prec_freq"] == pytest.approx(36.525)
    assert got["high_prec_dur"] == got["low_prec_dur"] == 1


@pytest.mark.parametrize(
    ("wet", "length"), [("1", 1), ("0", 0), ("10", 1), ("01", 1), ("110111", 2.5), ("0110", 2), ("1001011", 4 / 3)]
)
def test_mean_length_of_dry_spells(wet, length):
    rain = np.where(np.array(list(wet)) == "1", 0.5, 1.5)
    dates = np.datetime64("2001-01-01") + np.arange(len(wet))
    assert hd.climate_indices(rain, np.ones(len(wet)), dates)["low_prec_dur"] == pytest.approx(length)


def test_climate_indices_by_hand():
    """January storms in a dry, warm land; a pure wave of rain 60 degrees behind that of temperature."""
    dates = np.arange("2001-01-01", "2003-01-01", dtype="datetime64[D]")
    rain = np.zeros(730)
    rain[[9, 10, 11, 20, 21, 374, 375, 376, 385, 386]] = 20.0
    rain[100:110] = 0.5
    temperature = np.where(np.arange(730) % 365 == 10, -1.0, 15.0)
    got = hd.climate_indices(rain, temperature, dates, pet=np.full(730, 2.0))
    assert got["p_mean"] == pytest.approx(205 / 730) and got["aridity"] == pytest.approx(2 * 730 / 205)
    assert got["frac_snow"] == pytest.approx(40 / 205)
    assert got["high_prec_freq"] == pytest.approx(10 / 730 * 365.25) and got["high_prec_dur"] == pytest.approx(2.5)
    assert list(got)[:3] == ["p_mean", "pet_mean", "aridity"] and "pet_mean" not in hd.climate_indices(
        rain, rain, dates
    )
    angle = 2 * np.pi * pd.DatetimeIndex(dates).day_of_year.to_numpy() / 365.25
    wave = hd.climate_indices(4 + 2 * np.cos(angle - np.pi / 3), 10 + 8 * np.cos(angle), dates)
    assert wave["p_seasonality"] == pytest.approx(0.25, abs=1e-6)


def test_climate_is_that_of_days_with_rain_and_temperature(tmp_path):
    """2.5 mm on average; without the day of 5 mm whose temperature is missing 907.5 mm in 364 days."""
    frame = caravan_frame(365)
    frame.loc[4, "temperature_2m_min"] = np.nan
    write_caravan(tmp_path / "c", "x_1", frame)
    period = ("2001-01-01", "2001-12-31")
    ds = load(tmp_path / "c", tmp_path, forcing="caravan", attributes="climate", climate_period=period)
    row = ds["attributes"].sel(basin="x_1").to_series()
    assert row["p_mean"] == pytest.approx(907.5 / 364) and row.notna().all()


@pytest.mark.parametrize("sign", [1, -1])
def test_seasonality_of_a_summer_maximum(sign):
    """Rain and temperature in phase: p_seasonality is rain's relative amplitude, out of phase minus that."""
    dates = np.datetime64("2001-01-01") + np.arange(1461)
    wave = np.sin(2 * np.pi * (pd.DatetimeIndex(dates).day_of_year.to_numpy() - 100) / 365.25)
    got = hd.climate_indices(4 + sign * 2 * wave, 8.5 + 8 * wave, dates)
    assert got["p_seasonality"] == pytest.approx(sign * 0.5, abs=1e-3)


def test_bad_caravan(caravan, tmp_path):
    with pytest.raises(hd.InputError, match="no Caravan file for basin lamah_9"):
        hd.load_caravan(caravan, "lamah_9")
    with pytest.raises(hd.InputError, match="no folder timeseries"):
        hd.load_caravan(caravan / "timeseries", "lamah_1145")
    with pytest.raises(hd.InputError, match="no such folder"):
        hd.load_caravan(caravan / "none", "lamah_1145")
    write_caravan(caravan, "lamah_1145", caravan_frame().drop(columns="streamflow"))
    with pytest.raises(hd.InputError, match="no column streamflow in the file of 1 gauges: lamah_1145"):
        load(caravan, tmp_path, forcing="caravan")
    write_caravan(caravan, "lamah_1145", caravan_frame(pet=text_files.PET_NAMES[2]))
    with pytest.raises(hd.InputError, match="different potential evaporation"):
        load(caravan, tmp_path, forcing="caravan")
    shutil.copytree(caravan / "timeseries" / "csv" / "lamah", caravan / "timeseries" / "csv" / "copy")
    with pytest.raises(hd.InputError, match="are both files of basin lamah_1145"):
        hd.load_caravan(caravan, "lamah_1145")


def test_dates_of_a_caravan_file(tmp_path):
    """Every digit of a regular date, read at once, and of one with a time of day, read alone."""
    frame = caravan_frame(40)
    frame["date"] = pd.date_range("2013-11-25", periods=40).strftime("%Y-%m-%d")
    write_caravan(tmp_path, "x_1", frame)
    write_caravan(tmp_path, "x_2", frame.assign(date=frame["date"] + " 12:00"))
    for gauge in ("x_1", "x_2"):
        assert hd.load_caravan(tmp_path, gauge).index.equals(pd.date_range("2013-11-25", periods=40, name="date"))


@pytest.mark.parametrize(
    ("flow", "days", "sentence"),
    [
        (None, None, "cannot be read as netCDF"),
        ([1.0], None, "no date dimension"),
        ([1.0, 2.0], ["2001-01-02", "2001-01-01"], "out of order"),
        ([], [], "repeated, out of order or absent"),
        ([1.0, np.inf], ["2001-01-01", "2001-01-02"], "2001-01-02: streamflow inf is not between"),
        ([1.0, 2.0], ["1690-01-01", "2001-01-02"], "dates from 1690-01-01 to 2001-01-02 cannot be"),
        ([1.0, 2.0], ["2001-01-02", "2262-01-01"], "dates from 2001-01-02 to 2262-01-01 cannot be"),
    ],
)
def test_bad_netcdf(tmp_path, flow, days, sentence):
    path = write(tmp_path / "timeseries" / "netcdf" / "x" / "x_1.nc", "not a netCDF file")
    if flow is not None:
        dates = {} if days is None else {"date": pd.DatetimeIndex(days)}
        xr.Dataset({"streamflow": ("n" if days is None else "date", np.array(flow, float))}, dates).to_netcdf(path)
    with pytest.raises(hd.InputError, match=sentence) as caught:
        hd.load_caravan(tmp_path, "x_1", ("streamflow",))
    assert str(path) in str(caught.value)


def test_only_daily_numbers_of_a_netcdf_are_columns(tmp_path):
    path = tmp_path / "timeseries" / "netcdf" / "x" / "x_1.nc"
    path.parent.mkdir(parents=True)
    daily = {"streamflow": ("date", [1.0, 2.0]), "days": ("date", [3, 4]), "flag": ("date", ["A", "P"])}
    other = {"area": 5.0, "by_hour": (("date", "hour"), np.ones((2, 24)))}
    xr.Dataset({**daily, **other}, {"date": pd.date_range("2001-01-01", periods=2)}).to_netcdf(path)
    frame = hd.load_caravan(tmp_path, "x_1")
    assert frame.to_dict("list") == {"streamflow": [1.0, 2.0], "days": [3.0, 4.0]}


def test_ends_of_the_calendar_in_netcdf(tmp_path):
    days = pd.DatetimeIndex(["1700-01-01", "2261-12-31"])
    write_caravan(tmp_path, "x_1", pd.DataFrame({"date": days, "streamflow": [1.0, 2.0]}), "netcdf")
    flow = hd.load_caravan(tmp_path, "x_1", ("streamflow",))["streamflow"]
    assert flow[days].tolist() == [1, 2] and flow.count() == 2


# Concepts


@pytest.mark.parametrize(
    ("text", "expected", "label"),
    [
        ("swe=swe/{number}.csv:uaz_swe", ("swe", "swe/{number}.csv", "uaz_swe", 1.0, "mm"), "snow water equivalent"),
        ("s=C:\\x\\{basin}.csv:a b*2.5[mm]", ("s", "C:\\x\\{basin}.csv", "a b", 2.5, "mm"), "a b"),
        (
            "depth=194_{number}.csv:snow_depth",
            ("depth", "194_{number}.csv", "snow_depth", 1.0, "m of snow"),
            "snow depth (physical thickness)",
        ),
        ("w=e_{number}.csv:sd*1000", ("w", "e_{number}.csv", "sd", 1000.0, "mm of water"), "snow water equivalent"),
        (
            "d=caravan:volumetric_soil_water_layer_3_mean*720",
            ("d", "caravan", "volumetric_soil_water_layer_3_mean", 720.0, "mm"),
            "soil moisture, 28-100 cm",
        ),
        (
            "d=caravan:volumetric_soil_water_layer_3_mean*70",
            ("d", "caravan", "volumetric_soil_water_layer_3_mean", 70.0, "m3/m3 * 70"),
            "soil moisture, 28-100 cm",
        ),
        ("w=e_{number}.csv:sd*100", ("w", "e_{number}.csv", "sd", 100.0, "cm of water"), "snow water equivalent"),
        ("w=e_{number}.csv:sd*2", ("w", "e_{number}.csv", "sd", 2.0, "m of water * 2"), "snow water equivalent"),
        (
            "t=e_{number}.csv:temperature_2m*100",
            ("t", "e_{number}.csv", "temperature_2m", 100.0, "K * 100"),
            "air temperature",
        ),
        ("x=a{basin}.csv:y", ("x", "a{basin}.csv", "y", 1.0, "as in file"), "y"),
        ("x=a{basin}.csv:y*1e-8[m]", ("x", "a{basin}.csv", "y", 1e-8, "m"), "y"),
        ("x=a{basin}.csv:y*-1e8[m]", ("x", "a{basin}.csv", "y", -1e8, "m"), "y"),
        ("x=a{basin}.csv:y*-3", ("x", "a{basin}.csv", "y", -3.0, "as in file * -3"), "y"),
    ],
)
def test_parse_concept(text, expected, label):
    concept = hd.parse_concept(text)
    assert concept == hd.Concept(*expected) and concept.label == label


def test_snow_of_ones_own_table_may_be_called_swe():
    assert hd.parse_concept("snow=own/{basin}.csv:swe[mm]").column == "swe"


def test_water_of_the_four_soil_layers():
    """The thickness in mm is that of the depths in the label, from the surface to 289 cm without a gap."""
    bottom = 0
    for layer, thickness in concepts.SOIL_LAYER_MM.items():
        for column in (f"volumetric_soil_water_layer_{layer}", f"volumetric_soil_water_layer_{layer}_mean"):
            concept = hd.parse_concept(f"soil=caravan:{column}*{thickness:g}")
            label = f"soil moisture, {bottom}-{bottom + thickness / 10:g} cm"
            assert (concept.units, concept.label) == ("mm", label)
        bottom += int(thickness / 10)
    assert bottom == 289 and list(concepts.SOIL_LAYER_MM) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("swe", "write it as"),
        ("swe=a{basin}.csv", "write it as"),
        ("swe=:x", "write it as"),
        ("swe=a{basin}: ", "write it as"),
        ("swe=a{basin}.csv:x*2*3", "write it as"),
        ("../x=a{basin}.csv:x", "should be letters"),
        ("streamflow=a{basin}.csv:x", "is taken"),
        ("swe=a{basin.__class__}.csv:x", "in braces"),
        ("swe=a{0}{number}.csv:x", "in braces"),
        ("swe=a.csv:x", "every basin would read a.csv"),
        ("swe=a{basin}.csv:x*ten", "'ten' is not a factor"),
        ("swe=a{basin}.csv:x*0", "'0' is not a factor"),
        ("swe=a{basin}.csv:x*1e999", "is not a factor"),
        ("swe=a{basin}.csv:x*9.9e-9", "is not a factor"),
        ("swe=a{basin}.csv:x*-1.01e8", "is not a factor"),
        ("swe=x/{basin}_lump_cida_forcing_leap.txt:SWE", "is 0 everywhere, not snow"),
        ("swe=a{basin}.csv:x*100000001", "'100000001' is not a factor"),
        ("snow=f/{basin}_lump_cida_forcing_leap.txt:swe(mm)", "is 0 everywhere"),
        ("snow=f/{basin}_lump_cida_forcing_leap.txt:SWE", "is 0 everywhere"),
    ],
)
def test_bad_concepts(text, sentence):
    with pytest.raises(hd.InputError, match=sentence):
        hd.parse_concept(text)


@pytest.mark.parametrize(
    "text",
    [
        "date,a,x\n2001-01-01,1,2.5\n2001-01-02,1,\n2001-01-04,1,-999\n2001-01-05,1,3e-1\n",
        "\ufeffDate;x\r\n2001-01-01;2.5\r\n2001-01-02;NA\r\n2001-01-04;nan\r\n2001-01-05;0.30\r\n",
        '"x"\t"time"\n"2.5"\t"2001-01-01 00:00:00"\n\t2001-1-2\n-9999\t2001-01-04\n.3\t2001/01/05\n',
        "x,datetime\n+2.5,2001-01-01\n null ,2001-01-02\n\n-999.0,2001-01-04T12:00:00Z\n 0.3,2001-01-05\n",
    ],
)
def test_concept_layouts(tmp_path, text):
    write(tmp_path / "1022500.csv", text)
    series = hd.load_concept("k={number}.csv:x*2[cm]", "01022500", tmp_path)
    np.testing.assert_array_equal(series, np.array([5, np.nan, np.nan, np.nan, 0.6], np.float32))
    assert series.index[0] == pd.Timestamp(2001, 1, 1) and series.name == "k"
    assert series.attrs == {"units": "cm", "long_name": "x", "source": "1022500.csv:x"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("date,x\n2001-01-01,1\n2001-01-01,2\n", "line 3: the date 2001-01-01 is repeated"),
        ("date,x\n2001-01-02,1\n2001-01-01,2\n", "line 3: the date 2001-01-01 is out of order"),
        ("date,x\n2001-02-30,1\n", "line 2: there is no date"),
        ("date,x\n01.02.2001,1\n", "line 2: '01.02.2001' is not a date"),
        ("x,date\n1,\n2,\n", "line 2: '' is not a date"),
        ("date,x\n2001-01-01,1\ntoday,2\n", "line 3: 'today' is not a date"),
        ("date,x\n2001-01-01\u00a0,1\n", r"line 2: '2001-01-01\\xa0' is not a date"),
        (f"date,x\n2001-01-01 00:00:00.{40 * '0'}x,1\n", "line 2: '2001-01-01 00:00:00.0000000000' is not a date"),
        ("date,x\n2001-01-01,1,2\n", "line 2: 3 fields instead of 2"),
        ("date,x\n2001-01-01,1\n2001", "line 3: 1 fields instead of 2"),
        ("date,x\n2001-01-01\n2001-01-02,1,2\n", "line 2: 1 fields instead of 2"),
        ("date,x\n2001-01-01,l\n", "line 2: 'l' is not a number"),
        ("date,x\n2001-01-01,1e300\n", "line 2: x 1e.300 is not between"),
        ("date,y\n2001-01-01,1\n", "no column x; it has y"),
        ("date,x,x\n2001-01-01,1,2\n", "the column x stands twice"),
        ("day,x\n2001-01-01,1\n", "line 1: no column named date"),
        ("date,x\n", "no data lines"),
        ("", "is empty"),
    ],
)
def test_bad_concept_files(tmp_path, text, sentence):
    path = write(tmp_path / "1022500.csv", text)
    with pytest.raises(hd.InputError, match=sentence) as caught:
        hd.load_concept("k={number}.csv:x", "01022500", tmp_path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("form", ["{}-{:02d}-{:02d}", "{}/{}/{}"])  # the first is read at once, the second by line
def test_ends_of_the_calendar(tmp_path, form):
    for day in ((1700, 1, 1), (2000, 2, 29), (2261, 12, 31)):
        write(tmp_path / "01022500.csv", f"date,x\n{form.format(*day)},1\n")
        series = hd.load_concept("k={basin}.csv:x", "01022500", tmp_path)
        assert (series.index[0].year, series.index[0].month, series.index[0].day) == day
    for day in ((1699, 12, 31), (2262, 1, 1), (2001, 0, 1), (2001, 13, 1), (2001, 1, 0), (2001, 1, 32), (1900, 2, 29)):
        write(tmp_path / "01022500.csv", f"date,x\n{form.format(*day)},1\n")
        with pytest.raises(hd.InputError, match="line 2: there is no date {}-{}-{}.$".format(*day)):
            hd.load_concept("k={basin}.csv:x", "01022500", tmp_path)


def test_concept_without_file(tmp_path, monkeypatch):
    with pytest.raises(hd.InputError, match="no file .* for basin 01022500"):
        hd.load_concept("k={number}.csv:x", "01022500", tmp_path)
    write(tmp_path / "01022500.csv", "date,x\n2001-01-01,1\n")
    monkeypatch.chdir(tmp_path)
    assert hd.load_concept("k={basin}.csv:x", "01022500").tolist() == [1]


@needs_real
def test_real_era5_land_from_earth_engine():
    series = hd.load_concept("depth=200510_200809_era5land_forcings_{number}.csv:snow_depth", "12189500", REAL)
    assert series.iloc[:2].tolist() == [np.float32(0.0007), np.float32(0.0076)]
    assert series.index[0] == pd.Timestamp(2005, 10, 1)
    assert series.attrs["units"] == "m of snow" and "physical" in series.attrs["long_name"]


# Numbers


def test_every_number_is_rounded_as_python_rounds_it(tmp_path):
    rng = np.random.default_rng(0)
    tokens = []
    for _ in range(20000):
        digits = "".join(rng.choice(list("0123456789"), rng.integers(1, 18)))
        at = rng.integers(0, len(digits) + 1)
        point = rng.random() < 0.7
        tokens.append(("-" if rng.random() < 0.3 else "") + (digits[:at] + "." + digits[at:] if point else digits))
    tokens += ["0", "-0.0", "1e-5", "12345678", "123456789", "0.1234567", "00000001", "99999.99", "+5", "1.", ".5"]
    tokens = [token for token in tokens if float(token) not in (-999.0, -9999.0)]
    dates = pd.date_range("1900-01-01", periods=len(tokens)).strftime("%Y-%m-%d")
    path = tmp_path / "x.csv"
    expected = np.array([float(t) for t in tokens])
    for end in ("\n", ""):  # the first is read at once, the second, whose last number may be cut, line by line
        write(path, "date,x\n" + "\n".join(f"{d},{t}" for d, t in zip(dates, tokens, strict=True)) + end)
        values = text_files.read_columns(path)["x"].to_numpy()
        kept = len(values) if end else len(values) - 1
        assert np.array_equal(values[:kept], expected[:kept])


@pytest.mark.parametrize(
    "token",
    [".", "-", "-.", "1..2", "1.2.3", "1/2", "1:2", "./1", "/.1", "--1", "1-", "1\x00", "é1", "0x1", "True", "1_0"],
)
def test_what_is_no_number(token, tmp_path):
    path = write(tmp_path / "x.csv", f"date,x\n2001-01-01,{token}\n")
    with pytest.raises(hd.InputError, match="x.csv, line 2: .* is not a number"):
        text_files.read_columns(path)


# The data set


def test_data_set(camels, tmp_path):
    ds = load(camels, tmp_path, concepts=["swe=swe/{number}.csv:uaz_swe*0.1[cm]", "other=swe/{number}.csv:daymet_swe"])
    assert ds["basin"].values.tolist() == ["01022500", "02046000", "11230500"]
    dates = ds["date"].values.astype("datetime64[D]")
    assert (str(dates[0]), str(dates[-1]), len(dates)) == ("2001-01-01", "2001-02-10", 41)
    assert dict(ds.sizes) == {"basin": 3, "date": 41}
    one = ds.sel(basin="02046000")
    assert float(one["prcp"].sel(date="2001-01-03")) == 3.0 and np.isnan(one["prcp"].values[-1])
    assert float(one["streamflow"].sel(date="2001-01-03")) == pytest.approx(20 * 2.4465755 / 427.165365, rel=1e-6)
    assert np.isnan(one["streamflow"].sel(date=["2001-01-02", "2001-02-08"])).all()
    assert float(one["swe"].sel(date="2001-01-05")) == pytest.approx(0.65)
    assert one["swe"].attrs == {
        "units": "cm",
        "long_name": "snow water equivalent",
        "source": "swe/{number}.csv:uaz_swe*0.1",
    }
    assert float(one["other"].sel(date="2001-01-05")) == 1
    assert one["other"].attrs["source"] == "swe/{number}.csv:daymet_swe"
    assert all(ds[name].dtype == np.float32 and ds[name].attrs["units"] for name in ds.data_vars)
    assert ds.attrs["inputs"] == list(hd.FORCING) and ds.attrs["concepts"] == ["swe", "other"]
    assert ds.attrs["forcing"] == "daymet"
    assert (float(one["lat"]), float(one["lon"]), float(one["area_km2"])) == (41.5, -71.25, 427.165365)


def test_report_counts_what_is_missing(camels, tmp_path):
    rows = flow_rows("02046000", "2001-01-03", 30)
    rows[3] = rows[3].replace("13.00 A", "-999.00 M")
    write(flow_path(camels, "02046000"), "\n".join(rows[:10] + rows[12:]) + "\n")
    (camels / "swe" / "2046000.csv").unlink()
    ds = load(camels, tmp_path, concepts=["swe=swe/{number}.csv:uaz_swe"])
    assert ds["swe"].sel(date="2001-01-05").fillna(-1).values.tolist() == [3.0, -1.0, 10.0]
    report = ds.attrs["report"]
    assert "streamflow: 1 values missing in 1 basins, 2 days left out, 1 short records" in report
    assert "swe: 1 of 3 basins without a value" in report and "\n" not in report
    assert report == load(camels, tmp_path, concepts=["swe=swe/{number}.csv:uaz_swe"]).attrs["report"]


def test_basins_lacking_something(camels, tmp_path):
    with pytest.raises(hd.InputError, match="no daymet forcing file for 1 of 2 basins: 09999999"):
        load(camels, tmp_path, basins=["01022500", "9999999"])
    with pytest.raises(hd.InputError, match="for 4 of 4 basins: 00000004, 00000003, 00000002 and 1 more.$"):
        load(camels, tmp_path, basins=[4, 3, 2, 1])
    with pytest.raises(hd.InputError, match="for 3 of 3 basins: 00000003, 00000002, 00000001.$"):
        load(camels, tmp_path, basins=[3, 2, 1])
    flow_path(camels, "02046000").unlink()
    assert load(camels, tmp_path)["basin"].values.tolist() == ["01022500", "11230500"]
    with pytest.raises(hd.InputError, match="no streamflow file for 1 of 1 basins: 02046000"):
        load(camels, tmp_path, basins=["02046000"])
    with pytest.raises(hd.InputError, match="no file none/{number}.csv for any of the 2 basins"):
        load(camels, tmp_path, concepts=["swe=none/{number}.csv:uaz_swe"])
    with pytest.raises(hd.InputError, match="no value of none in any file .* has uaz_swe, daymet_swe"):
        load(camels, tmp_path, concepts=["swe=swe/{number}.csv:none[mm]"])
    with pytest.raises(hd.InputError, match="Two concepts have the same name"):
        load(camels, tmp_path, concepts=["swe=swe/{number}.csv:uaz_swe", "swe=swe/{number}.csv:daymet_swe"])
    shutil.rmtree(camels / "usgs_streamflow" / "01")
    with pytest.raises(hd.InputError, match="no basin has daymet forcing and streamflow"):
        load(camels, tmp_path)


def test_concept_column_missing_in_one_file(camels, tmp_path):
    write(camels / "swe" / "2046000.csv", "date,other\n2001-01-05,7\n")
    ds = load(camels, tmp_path, concepts=["swe=swe/{number}.csv:uaz_swe"])
    assert ds["swe"].isnull().all("date").values.tolist() == [False, True, False]


def test_attributes_of_the_data_set(camels, tmp_path):
    table = write(tmp_path / "t.csv", "basin_id,a\n11230500,3\n02046000,2\n01022500,1\n")
    ds = load(camels, tmp_path, attributes=table, basins=["11230500", "01022500"])
    assert ds["attributes"].values.tolist() == [[3.0], [1.0]] and ds["attribute"].values.tolist() == ["a"]
    with pytest.raises(hd.InputError, match="no attribute slope_mean"):
        load(camels, tmp_path, attributes="auto")


def test_order_of_basins_changes_only_the_order(camels, tmp_path):
    ds = load(camels, tmp_path, concepts=["swe=swe/{number}.csv:uaz_swe"])
    back = load(
        camels, tmp_path, concepts=["swe=swe/{number}.csv:uaz_swe"], basins=["11230500", "02046000", "01022500"]
    )
    xr.testing.assert_identical(back.isel(basin=[2, 1, 0]), ds)


def test_wrong_area_is_not_hidden_by_the_cache(camels, tmp_path):
    load(camels, tmp_path)
    path = forcing_path(camels)
    path.write_text(path.read_text().replace("427165365", "213582682"))
    twice = load(camels, tmp_path)["streamflow"].sel(basin="01022500", date="2001-01-03")
    assert float(twice) == pytest.approx(10 * 2.4465755 / 213.582682, rel=1e-6)


@pytest.mark.parametrize("progress", [True, False])
def test_no_bar_where_there_is_no_terminal(camels, tmp_path, capsys, progress):
    load(camels, tmp_path, progress=progress)
    assert capsys.readouterr() == ("", "")


def test_bar_on_a_terminal_if_wanted(camels, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    load(camels, tmp_path, progress=False)
    assert capsys.readouterr().err == ""
    load(camels, tmp_path, cache_dir=tmp_path / "other", progress=True)
    assert "reading daymet: 100%" in capsys.readouterr().err


def test_a_plain_script_of_three_lines(camels, tmp_path):
    lines = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom hydrodata_tf import load_dataset\n"
    lines += f"print(dict(load_dataset({str(camels)!r}, attributes='none').sizes))\n"
    script = write(tmp_path / "script.py", lines)
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{'basin': 3, 'date': 40}\n", "")


def test_importing_the_readers_loads_no_network():
    code = "import sys, hydrodata_tf; print([m for m in ('keras', 'tensorflow', 'xarray') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# What cannot be used, and what a folder holds


def test_negative_flow_is_missing_and_counted(camels, caravan, tmp_path):
    write(flow_path(camels), "\n".join(flow_rows(start="2001-01-03", days=30)).replace(" 12.00", " -2.50") + "\n")
    flow = hd.load_streamflow(camels, "01022500")
    assert np.isnan(flow["2001-01-05"]) and flow.isna().sum() == 1
    assert "1 negative flows counted as missing" in load(camels, tmp_path).attrs["report"]
    frame = caravan_frame()
    frame.loc[[3, 9], "streamflow"] = -0.5
    write_caravan(caravan, GAUGES[0], frame)
    assert "2 negative flows counted as missing" in load(caravan, tmp_path, forcing="caravan").attrs["report"]


def test_gauges_that_cannot_be_used_are_left_out_or_listed(tmp_path):
    """No flow in the period, an input missing throughout, no rain: left out with the reason, or one error lists all."""
    spoiled = {"x_1": None, "x_2": "streamflow", "x_3": "temperature_2m_min", "x_4": "total_precipitation_sum"}
    for gauge, column in spoiled.items():
        frame = caravan_frame()
        if column:
            frame.loc[:364, column] = np.nan if gauge != "x_4" else 0.0
        write_caravan(tmp_path / "c", gauge, frame)
    period = ("2001-01-01", "2001-12-31")
    options = {"forcing": "caravan", "attributes": "climate", "climate_period": period, "used_in": period}
    data = hd.open_data(tmp_path / "c", cache_dir=tmp_path / "cache", **options)
    assert data.basins == ["x_1"] and list(data.attributes.index) == ["x_1"]
    assert data.left_out == {
        "x_2": "No streamflow from 2001-01-01 to 2001-12-31",
        "x_3": "No temperature_2m_min from 2001-01-01 to 2001-12-31",
        "x_4": "No precipitation from 2001-01-01 to 2001-12-31",
    }
    with pytest.raises(hd.InputError) as problem:
        hd.open_data(tmp_path / "c", basins=list(spoiled), cache_dir=tmp_path / "cache", **options)
    words = str(problem.value)
    assert words.startswith("2 of 4 basins cannot be used. No streamflow from 2001-01-01 to 2001-12-31: x_2; No temp")
    flow_only = hd.open_data(tmp_path / "c", basins=["x_2"], forcing="caravan", attributes="none")
    assert flow_only.left_out == {}  # without a period nothing is asked of the flow


def test_a_strange_file_does_not_matter_to_basins_that_are_named(caravan, tmp_path):
    folder = caravan / "timeseries" / "csv" / "lamah"
    shutil.copy(folder / "lamah_1145.csv", folder / "x y_1.csv")
    assert load(caravan, tmp_path, forcing="caravan", basins=[GAUGES[1]])["basin"].values.tolist() == [GAUGES[1]]
    with pytest.raises(hd.InputError, match="is not a basin id.* Rename or remove the file"):
        load(caravan, tmp_path, forcing="caravan")


@pytest.mark.parametrize("inner", ["", "camels", "caravan"])
def test_look_says_what_a_folder_holds(demo, capsys, inner):
    look.look(demo / inner)
    out = capsys.readouterr().out
    assert out.count("\n") < 40
    if inner != "caravan":
        assert "daymet" in out and "4 basins with streamflow" in out and "27 of the 27 attributes" in out
        assert "2001-10-01 to 2007-09-30" in out
    if inner != "camels":
        assert "camels: 4 gauges" in out and "as caravan:COLUMN: " in out
        assert "volumetric_soil_water_layer_1_mean (m3/m3)" in out and "temperature_2m_min" not in out
    if inner == "":
        assert "Concepts of 4 basins, as caravan/timeseries/csv/camels/camels_{basin}.csv:COLUMN: " in out


def test_look_says_what_is_missing(camels, caravan, capsys):
    forcing_path(camels, "02046000").unlink()
    write(camels / "swe" / "2046000.csv", "date,daymet_swe,depth\n2001-01-02,1,2\n")
    write(flow_path(camels, "11230500"), "\n".join(flow_rows("11230500", days=3)) + "\n")
    write(flow_path(camels), "no flow\n")
    look.look(camels)
    out = capsys.readouterr().out
    assert "forcing daymet: 2 basins, 2 of them with streamflow; 2001-01-01 to 2001-02-09\n" in out
    assert "without forcing: 02046000\n" in out and "cannot be read: " in out and "line 1: 2 fields instead of 6" in out
    assert "3 basins with streamflow; 2001-01-03 to 2001-02-07 (1 of 2 files looked at differ)" in out
    assert "2 of the 27 attributes in " in out and "missing: slope_mean, area_gages2, pet_mean and 22 more" in out
    assert "Concepts of 3 basins, as swe/{number}.csv:COLUMN: " in out and "uaz_swe (mm) in 2 of 3 files" in out
    flow_path(camels, "02046000").unlink()
    shutil.rmtree(camels / "usgs_streamflow")
    shutil.rmtree(camels / "camels_attributes_v2.0")
    look.look(camels)
    out = capsys.readouterr().out
    assert "unpack usgs_streamflow there" in out and "unpack camels_attributes_v2.0 there" in out
    write_caravan(caravan, "lamah_1145", caravan_frame().drop(columns="streamflow"))
    look.look(caravan)
    out = capsys.readouterr().out
    assert "no column streamflow in 1 of 2 files looked at" in out and "lamah: 1 gauges; no attribute files in" in out


def test_look_at_something_else(tmp_path, capsys):
    for folder, sentence in (
        (tmp_path, "holds neither CAMELS-US nor Caravan data"),
        (tmp_path / "x", "no such folder"),
    ):
        with pytest.raises(hd.InputError, match=sentence):
            look.look(folder)
