"""Outside of what was learned: attributes beyond their range, forcing far from it, cell states that run away."""

import json
import re
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import edit

import hydrodata_tf as hydrodata
import LSTM_output_Cn
import LSTM_probe
import LSTM_test
from reading import prepared
from running import groups, outside, runs, simulation

PERIOD = ("2006-10-01", "2007-09-30")
RESULTS = "test_2006-10-01_2007-09-30"
BASINS = ["96000001", "97000002", "98000003", "99000004"]
EDGES = {"area": (10.0, 2000.0), "slope": (0.5, 3.0)}


def notes(text):
    """The notes in what was printed, but for those on what a run learned from."""
    found = [line.removeprefix("Note: ") for line in text.splitlines() if line.startswith("Note: ")]
    return [line for line in found if "learned from" not in line]


# Attributes


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
        simulated[area] = xr.load_dataset(next(copy.glob("test_*/series.nc")))["streamflow_simulated"]
        scores = pd.read_csv(next(copy.glob("test_*/scores.csv")), dtype=str, keep_default_na=False)
    np.testing.assert_array_equal(simulated[1000 * largest], simulated[largest])
    assert said[largest] == [] and said[1000 * largest] == [
        "1 of 2 basins have attributes outside the training range and counted as its edge, most often area_gages2 "
        f"(1 above {largest:,.6g})."
    ]
    assert list(scores)[:5] == ["target", "member", "basin", "NSE", "note"]
    sentence = f"area_gages2 above the training range, counted as {largest:,.6g}"
    of = scores.groupby("basin")["note"]
    assert of.apply(lambda notes: notes.str.endswith(sentence).all()).tolist() == [False, True]
    assert "mean below 5 mm" not in sentence and not of.get_group(BASINS[0]).str.contains("range").any()


def test_the_attribute_that_is_most_often_outside_is_named_with_its_edge(capsys):
    table = pd.DataFrame({"area": [5.0, 3000.0, 2000.0 * (1 + 1e-9), 2e6], "slope": [1.0, 9.0, 2.0, 3.0]}, BASINS)
    rows = [("96000001", "area", "below", 10.0), ("97000002", "area", "above", 2000.0),
            ("99000004", "area", "above", 2000.0), ("97000002", "slope", "above", 3.0)]  # fmt: skip
    assert outside.attributes_outside(table, EDGES) == rows
    found = compared([run_of(EDGES)], [data_of(table)])
    assert notes(capsys.readouterr().out) == [
        "3 of 4 basins have attributes outside the training range and counted as its edge, most often area (2 above "
        "2,000)."
    ]
    assert found.said == {
        "96000001": ["area below the training range, counted as 10"],
        "97000002": ["area above the training range, counted as 2,000", "slope above the training range, counted as 3"],
        "98000003": [],
        "99000004": ["area above the training range, counted as 2,000"],
    }


def test_of_folds_and_of_several_runs_a_basin_outside_of_any_is_named_once(capsys):
    data = data_of(pd.DataFrame({"area": [5.0, 1500.0, 200.0, 2000.0]}, BASINS))
    found = compared([run_of({"area": (5.0, 1500.0)}), run_of({"area": (200.0, 2000.0)})], [data] * 2)
    assert notes(capsys.readouterr().out)[0].startswith("2 of 4 basins have attributes outside")
    assert [basin for basin, said in found.said.items() if said] == ["96000001", "99000004"]
    compared([run_of({"area": (5.0, 1500.0)}), run_of({"area": (5.0, 1400.0)})], [data] * 2)
    assert notes(capsys.readouterr().out) == [
        "2 of 4 basins have attributes outside the training range and counted as its edge, most often area (2 above "
        "1,400 or 1,500)."
    ]


def run_of(ranges, **more):
    return SimpleNamespace(normalisation={"attribute_range": ranges, "inputs": {}, "input_range": {}} | more)


def data_of(attributes, forcing=None, inputs=()):
    """Prepared data of the four basins from 2001-01-01 on, `forcing` (basin, day, input)."""
    forcing = np.zeros((4, 400, 0), np.float32) if forcing is None else forcing
    place = pd.DataFrame(np.nan, BASINS, ["lat", "lon", "area_km2"])
    arrays, first_days = list(forcing.astype(np.float32)), np.full(4, np.datetime64("2001-01-01"))
    lengths = np.full(4, forcing.shape[1])
    return prepared.Prepared(BASINS, list(inputs), [], {}, place, attributes, arrays, first_days, lengths)


def compared(several, data, period=("2002-01-01", "2002-02-04")):
    found = outside.Outside(BASINS)
    found.compare(zip(several, data, strict=True), *period)
    return found


# Forcing

INPUTS = {"prcp": [2.5, 6.0], "tmin": [4.04, 10.0], "tmax": [16.04, 11.0], "srad": [350.0, 130.0], "vp": [900.0, 600.0]}
RANGE = {"prcp": [1.0, 9.0], "tmin": [-8.0, 18.0], "tmax": [4.0, 29.0], "srad": [280.0, 480.0], "vp": [330.0, 2200.0]}


def weather(**changes):
    """Forcing (basin, day, input) of ordinary means; in the second basin some inputs are changed by a function."""
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 0.3, (4, 400, 5))
    values = np.array([mean for mean, _ in INPUTS.values()]) + noise - noise.mean(axis=1, keepdims=True)
    for name, change in changes.items():
        k = list(INPUTS).index(name)
        values[1, :, k] = change(values[1, :, k])
    return values


@pytest.mark.parametrize(
    "name, change, mean, known",
    [
        ("tmin", lambda t: t + 273.15, "277.2", "-8 to 18"),
        ("tmax", lambda t: t + 273.15, "289.2", "4 to 29"),
        ("tmax", lambda t: t * 1.8 + 32, "60.87", "4 to 29"),  # degrees Fahrenheit
        ("srad", lambda s: s * 86400, "3.024e+07", "280 to 480"),  # J/m2
        ("vp", lambda v: v / 100, "9", "330 to 2,200"),  # hPa
        ("vp", lambda v: v / 1000, "0.9", "330 to 2,200"),  # kPa
        ("prcp", lambda p: p / 1000, "0.0025", "1 to 9"),  # m
    ],
)
def test_forcing_in_another_unit_is_named_with_its_basin_and_both_numbers(name, change, mean, known, capsys):
    data = data_of(pd.DataFrame(index=BASINS), weather(**{name: change}), INPUTS)
    found = compared([run_of({}, inputs=INPUTS, input_range=RANGE)], [data])
    words = f"the mean of {name} is {mean}, those of the training basins are {known}"
    assert notes(capsys.readouterr().out) == [f"In 97000002 {words}: is the unit right?"]
    assert found.said == {b: [words] if b == "97000002" else [] for b in BASINS}


@pytest.mark.parametrize("by, units", [(1 / 10, "cm"), (1 / 25.4, "inches"), (10, "a tenth of mm"), (0.3, ""), (3, "")])
def test_precipitation_is_held_against_p_mean(by, units, capsys):
    """Of a wet basin that is in cm or inches the mean may well lie among those of dry training basins."""
    known = RANGE | {"prcp": [0.4, 20.0]}
    attributes = pd.DataFrame({"p_mean": [2.5, 2.6, 2.4, 2.5]}, index=BASINS)
    for inputs in (INPUTS, {("prcp_daymet" if n == "prcp" else n): of for n, of in INPUTS.items()}):
        data = data_of(attributes, weather(prcp=lambda p: p * by), inputs)
        run = run_of({"p_mean": [2.4, 2.6]}, inputs=inputs, input_range=dict(zip(inputs, known.values(), strict=True)))
        found, prcp = compared([run], [data]), next(iter(inputs))
        words = [f"the mean of {prcp} is {2.5 * by:,.4g}, but p_mean is 2.6 mm/day"] if units else []
        assert found.said["97000002"] == words
        assert notes(capsys.readouterr().out) == [f"In 97000002 {one}: is the unit right?" for one in words]


def test_forcing_is_judged_over_whole_years_and_not_for_extremes(capsys):
    none = pd.DataFrame(index=BASINS)
    run = run_of({}, inputs=INPUTS, input_range=RANGE)
    hot = {"tmax": lambda t: t + 30, "prcp": lambda p: p * 5, "srad": lambda s: s / 4}
    compared([run], [data_of(none, weather(**hot), INPUTS)])  # within the range's width of its edge
    kelvin = weather(tmin=lambda t: t + 273.15)
    compared([run], [data_of(none, kelvin[:, :364], INPUTS)], period=("2001-12-01", "2001-12-30"))
    assert notes(capsys.readouterr().out) == []
    # A few training basins that are alike, and runs that know no range: the spread of the days is the measure.
    alike = {name: [mean, mean] for name, (mean, _) in INPUTS.items()}
    for known, shown in ((alike, "4.04 to 4.04"), ({}, "-5.96 to 14.04")):
        of = [run_of({}, inputs=INPUTS, input_range=known)]
        compared(of, [data_of(none, weather(tmax=lambda t: t + 8, prcp=lambda p: p + 5), INPUTS)])
        assert notes(capsys.readouterr().out) == []
        compared(of, [data_of(none, kelvin, INPUTS)])
        (line,) = notes(capsys.readouterr().out)
        assert line.startswith("In 97000002 the mean of tmin is 277.2, those of the training basins are " + shown)


def test_a_run_keeps_the_range_of_its_basins_means_and_one_that_goes_on_widens_it(run_dir, demo):
    run = runs.load_run(run_dir)
    train = hydrodata.load_dataset(demo).sel(date=slice("2002-10-01", "2005-09-30"))
    for name, ends in run.normalisation["input_range"].items():
        means = train[name].values.astype(float).mean(axis=list(train[name].dims).index("date"))
        np.testing.assert_allclose(ends, [means.min(), means.max()], rtol=1e-6)
    new = run.normalisation | {"input_range": {n: [low - 1, high - 1] for n, (low, high) in
                                               run.normalisation["input_range"].items()}}  # fmt: skip
    wider = run.statistics_with(new, {})["input_range"]
    assert wider["tmin"] == [new["input_range"]["tmin"][0], run.normalisation["input_range"]["tmin"][1]]


def test_runs_of_before_have_no_range_of_the_forcing_and_nothing_is_said_of_their_own(copy, capsys):
    edit(copy / "normalisation.json", "input_range", ...)
    run = runs.load_run(copy)
    assert run.normalisation["input_range"] == {} == run.statistics_with(run.normalisation, {})["input_range"]
    found = outside.Outside(BASINS)
    found.compare([(run, run.data(*PERIOD))], *PERIOD)
    assert notes(capsys.readouterr().out) == [] and not any(found.said.values())


# Cell states that run away


def test_a_winters_snow_has_not_run_away_and_a_count_of_days_has(run_dir):
    """From a state of 140, 364, -366, or of 1,000 in one cell state, all others being 0."""
    run = runs.load_run(run_dir)
    model, data = run.model(1), run.data(*PERIOD)
    kernel, recurrent, bias = model.lstm.get_weights()
    begin, still = np.zeros((2, 4, model.units), np.float32), np.zeros_like(bias)
    begin[1, :, 2] = [140, 364, -366, 1000]
    still[model.units : 2 * model.units] = 100  # forget gates at 1, nothing is added: what is there stays
    model.lstm.set_weights([0 * kernel, 0 * recurrent, still])
    (part,) = simulation.simulate(model, data, *PERIOD, begin=begin)
    assert part.runaway.tolist() == [False, False, True, True] and outside.RUNAWAY == 365


@pytest.fixture
def counting(copy):
    """A run whose second member has two cell states that count days in one basin alone, as all its gates are at 1."""
    run = runs.load_run(copy)
    model, attributes = run.model(2), run.data(*PERIOD).attributes
    kernel, recurrent, bias = model.lstm.get_weights()
    inputs, units = len(model.forcing_scale.names), model.units
    mean, std = run.normalisation["attributes"]["area_gages2"]
    normal = ((attributes["area_gages2"] - mean) / std).sort_values()
    row, at = inputs + list(attributes).index("area_gages2"), normal.iloc[-2:].mean()
    for cell, sign in ((0, 1), (3, -1)):
        i, f, g = cell, units + cell, 2 * units + cell
        kernel[:, [i, f, g]], recurrent[:, [i, f, g]] = 0, 0
        kernel[row, i], bias[i] = 1000, -1000 * at  # the input gate: 1 in the largest basin, 0 elsewhere
        bias[f], bias[g] = 100, 100 * sign
    model.lstm.set_weights([kernel, recurrent, bias])
    runs.write_model(copy / "seed_2" / "model.keras", model)
    return copy, normal.index[-1]


def test_a_simulation_that_runs_away_is_named_with_its_basin_by_every_script(counting, capsys):
    run_dir, basin = counting
    words = "they count days, beyond 365, whatever the weather; what is simulated means nothing in"
    said = f"Cell states run away in 1 of 4 basins: {words} {basin}."
    LSTM_test.main(LSTM_test.Settings(run_dir=str(run_dir), metrics="NSE"))
    assert notes(capsys.readouterr().out) == [said]
    scores = pd.read_csv(run_dir / RESULTS / "scores.csv", dtype={"basin": str}, keep_default_na=False)
    assert set(scores.loc[scores["note"].str.endswith(outside.RAN_AWAY), "basin"]) == {basin}
    for form in ("netcdf", "page"):
        chosen = {"run_dir": str(run_dir), "format": form, "seed": 2}
        LSTM_output_Cn.main(LSTM_output_Cn.Settings(**chosen))
        assert notes(capsys.readouterr().out) == [said]
    page = next(run_dir.glob("states_*/Cn.html")).read_text(encoding="utf-8")
    content = json.loads(re.search('<script type="application/json" id="content">(.*?)</script>', page)[1])
    assert {one["id"]: one["notes"] for one in content["basins"]} == {
        b: ["cell states run away, beyond 365: what is simulated means nothing"] if b == basin else [] for b in BASINS
    }
    states = xr.load_dataset(next(run_dir.glob("states_*/Cn.nc")))["c"].sel(basin=basin)
    np.testing.assert_allclose(states.isel(date=-1)[[0, 3]], [730, -730], atol=0.1)  # with the spin-up year
    LSTM_probe.main(LSTM_probe.Settings(run_dir=str(run_dir), seed=2, intervention_basins=0, random_directions=1))
    assert f"Cell states run away in 1 of 4 basins (cell states): {words} {basin}." in notes(capsys.readouterr().out)


def test_folds_and_states_that_are_given_are_watched_too(counting, tmp_path):
    run_dir, basin = counting
    run = runs.load_run(run_dir)
    data, models = run.data(*PERIOD), [run.model(1), run.model(2)]
    others = [replace(run, basins=run.basins.drop(b)) for b in (BASINS[0], BASINS[1:])]
    group = groups.Group(others, True, run.basins, [1.0, 1.0])
    parts = list(group.simulate_members([models] * 2, [data] * 2, *PERIOD))
    for positions, members in parts:
        for part in members:
            assert part.runaway.tolist() == [data.basins[p] == basin for p in positions]
    # From a state that ran away before, a day is enough.
    begin = np.zeros((2, 4, models[0].units), np.float32)
    begin[1, 2, 5] = 1000
    (part,) = simulation.simulate(models[0], data, PERIOD[0], PERIOD[0], begin=begin)
    assert part.runaway.tolist() == [False, False, True, False]


def test_watching_changes_no_number(run_dir):
    run = runs.load_run(run_dir)
    model, data = run.model(1), run.data(*PERIOD)
    plain, watched, states = (
        list(simulation.simulate(model, data, *PERIOD, **options))
        for options in ({}, {"watch": True}, {"states": True})
    )
    for one, other, third in zip(plain, watched, states, strict=True):
        np.testing.assert_array_equal(one.prediction, other.prediction)
        assert one.runaway is None and not other.runaway.any() and not third.runaway.any() and not other.states
