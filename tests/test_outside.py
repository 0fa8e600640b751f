"""Attributes outside of the range of the training basins count as its edge, and are named."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import xarray as xr

import LSTM_test
from running import outside

BASINS = ["96000001", "97000002", "98000003", "99000004"]
EDGES = {"area": (10.0, 2000.0), "slope": (0.5, 3.0)}


def notes(text):
    """The notes in what was printed, but for those on what a run learned from."""
    lines = [line.removeprefix("Note: ") for line in text.splitlines() if line.startswith("Note: ")]
    return [line for line in lines if "learned from" not in line]


def test_a_basin_a_thousand_times_the_largest_gives_the_runoff_of_the_largest_and_is_named(copy, data, capsys):
    path = next(data.rglob("camels_topo.txt"))
    topography = pd.read_csv(path, sep=";", dtype=str, index_col="gauge_id")
    largest = json.loads((copy / "normalisation.json").read_text())["attribute_range"]["area_gages2"][1]
    simulated, said = {}, {}
    for area in (largest, 1000 * largest):
        topography.loc[BASINS[1], "area_gages2"] = repr(area)
        topography.to_csv(path, sep=";")
        LSTM_test.main(LSTM_test.Settings(run_dir=str(copy), data_dir=str(data), basins=BASINS[:2], metrics="NSE"))
        said[area] = notes(capsys.readouterr().out)
        series = xr.load_dataset(next(copy.glob("test_*/series.nc")))
        simulated[area] = series["streamflow_simulated"]
        scores = pd.read_csv(next(copy.glob("test_*/scores.csv")), dtype=str, keep_default_na=False)
    np.testing.assert_array_equal(simulated[1000 * largest], simulated[largest])
    assert said[largest] == [] and said[1000 * largest] == [
        "1 of 2 basins have attributes outside the training range and counted as its edge, most often area_gages2 "
        f"(1 above {largest:,.6g})."
    ]
    assert list(scores)[:5] == ["target", "member", "basin", "NSE", "note"]
    sentence = f"area_gages2 above the training range, counted as {largest:,.6g}"
    by_basin = scores.groupby("basin")["note"]
    assert by_basin.apply(lambda notes: notes.str.endswith(sentence).all()).tolist() == [False, True]
    assert not by_basin.get_group(BASINS[0]).str.contains("range").any()


def test_the_attribute_that_is_most_often_outside_is_named_with_its_edge(capsys):
    table = pd.DataFrame({"area": [5.0, 3000.0, 2000.0 * (1 + 1e-9), 2e6], "slope": [1.0, 9.0, 2.0, 3.0]}, BASINS)
    sentences = outside.attributes_outside([(run_of(EDGES), data_of(table))])
    assert notes(capsys.readouterr().out) == [
        "3 of 4 basins have attributes outside the training range and counted as its edge, most often area (2 above "
        "2,000)."
    ]
    assert sentences == {
        "96000001": ["area below the training range, counted as 10"],
        "97000002": ["area above the training range, counted as 2,000", "slope above the training range, counted as 3"],
        "98000003": [],
        "99000004": ["area above the training range, counted as 2,000"],
    }


def test_of_folds_a_basin_outside_of_its_own_run_is_named(capsys):
    tables = [pd.DataFrame({"area": [5.0, 1500.0]}, BASINS[:2]), pd.DataFrame({"area": [200, 2000.0]}, BASINS[2:])]
    ranges = [{"area": (10.0, 1400.0)}, {"area": (100.0, 1500.0)}]
    pairs = [(run_of(edges), data_of(table)) for edges, table in zip(ranges, tables, strict=True)]
    sentences = outside.attributes_outside(pairs)
    assert notes(capsys.readouterr().out) == [
        "3 of 4 basins have attributes outside the training range and counted as its edge, most often area (2 above "
        "1,400 or 1,500)."
    ]
    assert [basin for basin, listed in sentences.items() if listed] == [BASINS[0], BASINS[1], BASINS[3]]


def run_of(ranges):
    return SimpleNamespace(normalisation={"attribute_range": ranges})


def data_of(attributes):
    return SimpleNamespace(basins=list(attributes.index), attributes=attributes)
