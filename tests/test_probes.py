"""The probes: planted concepts are found and controls are not fooled, interventions have their closed form."""

import re
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sklearn.linear_model import Ridge

import hydrodata_tf as hydrodata
import LSTM_probe
import LSTM_train
from libs_tf import ConceptLSTM, StateModel
from probing import cell_states, interventions, observed, probes, readings, report
from probing.probes import BASINS, JOINT, PERIOD, REAL, SEASON, SHIFTED, UNTRAINED, WEATHER, Probe
from reading import prepared, windows
from reading.demo_data import make_demo
from running import runs, simulation
from writing import netcdf
from writing.messages import cli

BASIN_COUNT, STATES = 10, 6
STORE = Probe(np.array([4.0, 0.0]), 10.0)  # reads the first of the two leaky buckets
*_, SOIL4, SWE = LSTM_train.PRESETS["demo"].concepts


def red_noise(rng, days, number, memory=0.9):
    """Series (basin, day, number) that remember, as states and weather do."""
    series = rng.standard_normal((BASIN_COUNT, days, number))
    for t in range(1, days):
        series[:, t] = memory * series[:, t - 1] + np.sqrt(1 - memory**2) * series[:, t]
    return series.astype(np.float32)


def data_of(arrays, first_day, targets):
    """Prepared data of basins whose arrays (day, variable) hold rain and the targets."""
    number, about = len(arrays), {name: {"units": "mm", "long_name": name} for name in targets}
    names = [f"{b:08d}" for b in range(number)]
    place, none = pd.DataFrame({"lat": 45.0, "lon": 0.0}, names), pd.DataFrame(index=names)
    record = np.full(number, np.datetime64(first_day)), np.full(number, len(arrays[0]))
    arrays = [array.astype("float32") for array in arrays]
    return prepared.Prepared(names, ["rain"], targets, about, place, none, arrays, *record)


def parts_of(data, features, period):
    """Datasets of features (period -> array) and what is observed, in two batches of basins."""
    for position in (np.arange(4), np.arange(4, BASIN_COUNT)):
        _, series = data.read(position, data.dates(*period))
        dimensions = ("basin", "date", "feature"), ("basin", "date", "target"), ("basin", "date")
        values = features[period][position], series, series[..., 0] == 0
        part = dict(zip(("features", "observed", "complete"), zip(dimensions, values, strict=True), strict=True))
        yield xr.Dataset(part, {"position": ("basin", position), "target": data.targets})


def scored(make, seed, tmp_path):
    """Fits, medians by (split, reader) and scores of the concept and states that `make(states, forcing, rng)` gives."""
    rng, features, concepts = np.random.default_rng(seed), {REAL: {}, UNTRAINED: {}, WEATHER: {}}, {}
    periods = ("2001-01-01", "2004-12-31"), ("2005-01-01", "2006-12-31")
    for period in periods:
        days = len(pd.date_range(*period))
        states, features[UNTRAINED][period] = red_noise(rng, days, STATES), red_noise(rng, days, STATES)
        forcing = red_noise(rng, days, 3, memory=0.3)
        concepts[period], features[REAL][period] = make(states, forcing, rng)
        means = [readings.trailing_means(forcing, window) for window in LSTM_probe.WINDOWS]
        features[WEATHER][period] = np.concatenate([forcing, *means], axis=2)
    both = np.concatenate(list(concepts.values()), axis=1)
    data = data_of([np.stack([0 * c, 0 * c, c], axis=1) for c in both], "2001-01-01", ["streamflow", "store"])
    sources = {reader: partial(parts_of, data, series) for reader, series in features.items()}
    about = pd.DataFrame({"days_store": 10_000, "store": True}, data.basins)  # half of the days are drawn
    with netcdf.create(tmp_path / "readings.nc", data, data.dates(*periods[1]), {}) as file:
        fits = LSTM_probe.fit_and_read(file, data, sources, {}, periods, about, about[["store"]])
    drawn = probes.draw_days(sources[REAL](periods[0]), np.zeros(10, int), {"store": 0.5}, data.dates(*periods[0]))
    assert 0.48 < len(drawn[2]) / concepts[periods[0]].size < 0.52
    with xr.open_dataset(tmp_path / "readings.nc") as file:
        scores, reading = readings.score_readings(file), file["store_reading"].sel(split=PERIOD, reader=REAL).values
    known, concept = scores[(scores["split"] == PERIOD) & (scores["reader"] == REAL)], concepts[periods[1]]
    nse = 1 - ((reading - concept) ** 2).sum(1) / ((concept - concept.mean(1, keepdims=True)) ** 2).sum(1)
    np.testing.assert_allclose(known["NSE"], nse, rtol=1e-3, atol=1e-5)
    return fits, scores.groupby(["split", "reader"])[list(probes.SCORES)].median(), scores


def test_a_planted_concept_is_recovered_and_no_control_scores(tmp_path):
    weights = np.array([3.0, 0, -2, 0, 0, 1])
    fits, median, scores = scored(
        lambda c, x, rng: (c @ weights + 50 + 0.1 * rng.standard_normal(c.shape[:2]), c), 1, tmp_path
    )
    found = fits["store", REAL][0]
    np.testing.assert_allclose(found.weights, weights, atol=0.02)
    assert found.intercept == pytest.approx(50, abs=0.02)
    for split in (PERIOD, BASINS):
        assert (median.loc[split, REAL] > 0.99).all()
        for control in (UNTRAINED, WEATHER, SHIFTED, SEASON):
            row = median.loc[split, control]
            assert abs(row["r"]) < 0.15 and (row[["NSE", "NSE anomaly", "NSE deseasonalised"]] < 0.05).all(), control
    summary = report.summary_table(scores)
    gain = summary[summary["metric"].eq("NSE") & summary["reader"].isin([UNTRAINED, WEATHER, SHIFTED, SEASON])]
    assert (gain["selectivity"] > 0.95).all() and (gain["selectivity_low"] > 0.9).all()


def test_a_concept_of_the_weather_alone_is_caught_by_the_inputs(tmp_path):
    def wet(c, x, rng):
        means = readings.trailing_means(x, 30)[..., :1]
        return 10 * means[..., 0], np.concatenate([means + 0.01 * rng.standard_normal(means.shape), c[..., 1:]], axis=2)

    _, median, _ = scored(wet, 2, tmp_path)
    for split in (PERIOD, BASINS):
        assert median.loc[(split, REAL), "NSE"] > 0.95
        assert median.loc[(split, WEATHER), "NSE"] > median.loc[(split, REAL), "NSE"]
        assert median.loc[(split, UNTRAINED), "NSE"] < 0.05


def test_other_basins_are_scored_without_having_been_seen(tmp_path):
    """A level that only its own basin's record tells is read in that basin's group, and lost when it is left out."""
    level = np.arange(BASIN_COUNT) ** 2.0

    def offset(c, x, rng):
        tags = np.repeat(np.eye(BASIN_COUNT)[:, None], c.shape[1], axis=1)
        return c[..., 0] + level[:, None], np.concatenate([c[..., :1], tags], axis=2).astype(np.float32)

    _, median, _ = scored(offset, 4, tmp_path)
    assert median.loc[(PERIOD, REAL), "NSE"] > 0.95
    assert median.loc[(BASINS, REAL), "NSE"] < -1 and median.loc[(BASINS, REAL), "NSE anomaly"] > 0.95


def test_the_penalty_is_chosen_in_folds_that_are_left_out():
    rng = np.random.default_rng(1)
    x, noise, fold = rng.standard_normal((48, 10)) * [1, 10, *[1] * 8], rng.standard_normal(48), np.arange(48) % 4
    for target, penalty in ((noise, 1.0), (x @ np.arange(10.0), 1e-6)):  # nothing to be found in so few days
        full, *without = probes.fit_folds(x, np.append(target[:-1], np.nan), fold, 4)[0]
        for left_out, probe in zip((-1, *range(4)), (full, *without), strict=True):
            rows = (fold != left_out) & (np.arange(48) < 47)
            scaled = (x[rows] - x[rows].mean(0)) / x[rows].std(0)
            expected = Ridge(alpha=penalty * rows.sum()).fit(scaled, target[rows])
            np.testing.assert_allclose(x[rows] @ probe.weights + probe.intercept, expected.predict(scaled), rtol=1e-6)
    # Fold 0 is read best by the strongest penalty, the others by the weakest: it has no say in the probe without it.
    probe = probes.fit_folds(x[:, :1], x[:, 0] * np.where(fold == 0, -1.2, 1), fold, 4)[0][1]
    assert probe.weights[0] == pytest.approx(1, abs=1e-3)
    none, _ = probes.fit_folds(x, np.full(48, np.nan), fold, 4)
    assert all(np.isnan(probe.weights).all() for probe in none)


def test_the_sparse_probe_finds_the_cell_states_and_their_signs():
    rng = np.random.default_rng(5)
    x, fold = rng.standard_normal((2400, 20)), np.arange(2400) % 6
    y = x[:, 3] * 2 - x[:, 11] * 3 + x[:, 17] * 1.5 + 0.2 * x[:, 5] + 4 + 0.1 * rng.standard_normal(2400)
    for found in probes.fit_folds(x, y, fold, 6, few=True)[1]:
        assert np.flatnonzero(found.weights).tolist() == [3, 11, 17]
        np.testing.assert_allclose(found.weights[[3, 11, 17]], [2, -3, 1.5], atol=0.03)
        assert found.intercept == pytest.approx(4, abs=0.03)
    none = probes.fit_few(x, y, fold, probes.PENALTIES[[0]], error=((y - y.mean()) ** 2).sum())  # all have no skill
    assert not none.weights.any() and none.intercept == pytest.approx(y.mean())


def test_scores_by_hand():
    observed = np.array([[1.0, 2, 3, 6, np.nan], [1, 1, 1, 1, 1]])
    reading = np.array([[2.0, 3, 4, 7, 9], [1, 2, 3, 4, 5]])
    season = np.array([[0.0, 1, 2, 3, 4], [0, 0, 0, 0, 0]])
    first, second = probes.scores(observed, reading, season, season - 1).to_numpy()
    # NSE: 1 - 4 / 14; anomalies agree; deseasonalised 1, 1, 1, 3 against 3, 3, 3, 5: 1 - 16 / 3.
    np.testing.assert_allclose(first, [1, 1 - 4 / 14, 1, 1 - 16 / 3])
    assert np.isnan(second).all()  # an observation that never changes has no score


def test_days_of_the_year_and_their_means():
    dates = pd.date_range("2003-01-01", "2004-12-31")
    days = probes.days_of_year(dates)
    some = [days[dates.get_loc(day)] for day in ("2003-01-01", "2003-03-01", "2004-02-29", "2004-03-01")]
    assert some == [0, 60, 59, 60] and days[-1] == 365
    values = np.where(dates.year == 2003, 1.0, 3.0)[None, :, None].repeat(2, axis=0)
    values[1], values[1, dates.get_loc("2003-01-01")] = np.nan, 8
    found = probes.climatology(values, days)[..., 0]
    assert found.shape == (2, 366) and found[0, 200] == pytest.approx(2)
    # One value reaches 7 days to either side, across the turn of the year.
    assert np.flatnonzero(np.isfinite(found[1])).tolist() == [*range(8), *range(359, 366)] and found[1, 0] == 8


def test_shifted_targets_keep_the_season_and_lose_the_year():
    dates = pd.date_range("2001-10-01", "2005-09-30")
    days = np.arange(len(dates), dtype=float)[None]
    shifted = probes.shift_years(days)
    np.testing.assert_array_equal(shifted[0, :3], [730, 731, 732])
    season = (shifted - days) % 365.25
    assert np.minimum(season, 365.25 - season).max() <= 1  # the same day of the year, two years on or back
    assert sorted(shifted[0]) == days[0].tolist()  # every value once
    assert np.isnan(probes.shift_years(days[:, :700])).all()


def test_medians_and_their_intervals():
    values = np.append(np.random.default_rng(0).standard_normal(400) + 2, np.nan)
    median, low, high, number = probes.median_interval(values)
    assert median == np.nanmedian(values) and number == 400
    assert (median, low, high, number) == probes.median_interval(values)
    # The standard error of a median of normal values is 1.253 / sqrt(n).
    assert high - low == pytest.approx(2 * 1.96 * 1.253 / 20, rel=0.25)
    # One basin has a median and no interval.
    assert str(probes.median_interval(np.array([np.nan, 0.72]))) == "Interval(median=0.72, low=nan, high=nan, basins=1)"
    assert np.isnan(probes.median_interval(np.array([np.nan]))[:3]).all()


def test_changes_of_the_states():
    rng = np.random.default_rng(4)
    weights, root = rng.standard_normal(8), rng.standard_normal((8, 8))
    covariance = root @ root.T
    change = interventions.smallest_change(weights, 2.5)
    np.testing.assert_allclose(change, weights * 2.5 / (weights**2).sum())
    together = interventions.smallest_change(weights, 2.5, covariance)
    np.testing.assert_allclose([change @ weights, together @ weights], 2.5)
    assert np.linalg.norm(change) < np.linalg.norm(together)
    # Any other change of the same rise is longer by Mahalanobis' distance.
    other = together + interventions.random_changes(weights, 0.3, 1, 0)[0]
    distance = [c @ np.linalg.solve(covariance, c) for c in (together, other)]
    assert other @ weights == pytest.approx(2.5) and distance[0] < distance[1]
    for kind in (None, covariance):
        random = interventions.random_changes(weights, 0.7, 20, seed=1, covariance=kind)
        np.testing.assert_allclose(random @ weights, 0, atol=1e-9)
        np.testing.assert_allclose(np.linalg.norm(random, axis=1), 0.7)
    assert not interventions.random_changes(np.array([2.0]), 1.0, 3, 0).any()  # of one cell state none is left
    # With states that move in one direction only beside the reading, random changes are that direction.
    line = interventions.random_changes(np.eye(8)[1], 1.0, 5, 0, covariance=np.diag([1, *[1e-12] * 7]))
    np.testing.assert_allclose(abs(line[:, 0]), 1, atol=1e-4)


def test_statistics_of_cell_states_by_hand():
    assert cell_states.memory_days(np.log(0.9)) == pytest.approx(9.4912, abs=1e-4)
    assert cell_states.memory_days(np.array([0.0]))[0] > 1e8  # a gate that never closes
    c, f = np.array([[[1.0], [3.0], [9.0]], [[2.0], [4.0], [9.0]]]), np.array([[[0.9], [0.5], [1]]] * 2)
    valid = np.array([[True, True, False]] * 2)  # the third day lacks an input
    observed = c * np.where(valid, 2, np.nan)[..., None]
    dimensions, place = ("basin", "date", "cell_state"), {"position": ("basin", [0, 1]), "target": ["store"]}
    series = {"c": (dimensions, c), "f": (dimensions, f), "complete": (dimensions[:2], valid)}
    part = xr.Dataset(series | {"observed": (("basin", "date", "target"), observed)}, place)
    found = cell_states.cell_state_statistics([part], ["store"], 2)
    assert found.deviation == pytest.approx(np.std([1, 3, 2, 4])) and found.r["store"] == pytest.approx(1)
    assert found.covariance == pytest.approx(1)  # each basin's states lie 1 from their mean
    assert found.memory_stored_days == pytest.approx(-10 / (3 * np.log(0.9) + 7 * np.log(0.5)))
    changing, constant = np.arange(8.0).reshape(2, 4), np.ones((2, 4))
    states = xr.DataArray(np.stack([changing, constant], axis=2), dims=dimensions)
    r = cell_states.correlations(states, xr.DataArray(changing, dims=dimensions[:2]))
    np.testing.assert_allclose(r, [[1, np.nan]] * 2)


def test_late_winter_is_half_a_year_later_in_the_south():
    starts = np.array(["2004-01-01", "2004-04-01", "2004-10-01"], "datetime64[D]")
    found = interventions.seasons(np.array([45.0, -45]), starts, 3)
    assert found["late winter"].tolist() == [[False, True, False], [False, False, True]] and found["all"].all()


@pytest.fixture(scope="module")
def bucket():
    """An LSTM of two leaky buckets: forget gates 0.9 and 0.5, input and output gates open, tanh of rain as inflow."""
    model = ConceptLSTM(2, ["streamflow", "store"], ["rain"], [])
    model.build()
    statistics = {"streamflow": (5.0, 2.0), "store": (0.0, 1.0)}
    model.set_statistics({"inputs": {"rain": (0.0, 1.0)}, "attributes": {}, "targets": statistics})
    kernel, bias = np.zeros((1, 8), "float32"), np.zeros(8, "float32")
    kernel[0, 4:6] = 1  # gates i, f, g, o: the candidate is the rain
    bias[:2] = bias[6:] = 30
    bias[2:4] = np.log([0.9 / 0.1, 1.0])
    model.lstm.set_weights([kernel, np.zeros((2, 8), "float32"), bias])
    model.runoff.set_weights([np.array([[1.0], [0.5]], "float32"), np.zeros(1, "float32")])
    model.probe.set_weights([np.array([[4.0], [0.0]], "float32"), np.array([10.0], "float32")])
    return model


def test_a_leaky_bucket_answers_a_change_as_its_closed_form_does(bucket):
    forcing = 0.1 * abs(np.random.default_rng(0).standard_normal((3, 20, 1))).astype("float32")
    joint = probes.joint_probes(bucket)["store"]
    assert joint.weights.tolist() == STORE.weights.tolist() and joint.intercept == STORE.intercept
    inflow, after, change = np.tanh(forcing[..., 0]), np.arange(1, 21), interventions.smallest_change(STORE.weights, 2)
    np.testing.assert_allclose(change, [0.5, 0])
    states = {"h0": np.zeros((3, 2), "float32"), "c0": np.full((3, 2), 0.6, "float32")}
    inputs = {"forcing": forcing, "attributes": np.zeros((3, 0), "float32"), **states}
    found = interventions.responses(StateModel(bucket), inputs, {"store": STORE}, change[None])
    store = np.stack([0.6 * 0.9**k + inflow[:, :k] @ 0.9 ** np.arange(k)[::-1] for k in after], axis=1)
    np.testing.assert_allclose(found["store"][0], np.tile(2.0 * 0.9**after, (3, 1)), atol=1e-4)
    expected = 2.0 * (np.tanh(store + 0.5 * 0.9**after) - np.tanh(store))  # 2 mm/day per unit of runoff
    np.testing.assert_allclose(found["streamflow"][0], expected, atol=1e-4)


@pytest.fixture(scope="module")
def catchments(bucket):
    """Catchments of two leaky buckets, and of the rain on them a record that errs: the model must be told the store."""
    rng, basins = np.random.default_rng(6), 6
    dates = np.arange(np.datetime64("2000-01-01"), np.datetime64("2006-01-01"))
    wet = 0.06 + 0.05 * np.sin(np.arange(len(dates)) / 58) + 0.04 * red_noise(rng, len(dates), 1, 0.98)[:basins, :, 0]
    told = wet + 0.03 * red_noise(rng, len(dates), 1, 0.95)[:basins, :, 0]
    inputs = {"forcing": wet[..., None].astype("float32"), "attributes": np.zeros((basins, 0), "float32")}
    output = StateModel(bucket).predict_on_batch(inputs | dict.fromkeys(("h0", "c0"), np.zeros((basins, 2), "float32")))
    flow, store = np.asarray(output["prediction"])[..., 0], 4 * np.asarray(output["c"])[..., 0] + 10
    arrays = [np.stack(series, axis=1) for series in zip(told, flow, store, strict=True)]
    return data_of(arrays, "2000-01-01", ["streamflow", "store"])


def test_readings_are_raised_in_the_basins_that_count_and_averaged_over_days(bucket, catchments, monkeypatch):
    data, counted = catchments.select(np.arange(1, 4)), pd.DataFrame({"store": [True, False, True]})
    period, found = ("2002-01-01", "2003-12-31"), []
    assert interventions.start_days(data.dates(*period))[:3].tolist() == [0, 31, 59]
    for days in ([10, 200], [10], [200]):
        monkeypatch.setattr(interventions, "start_days", lambda dates, days=days: np.array(days))
        moved = {"store": STORE}, {"store": 2.0}, np.array([[1, 0.5], [0.5, 1]]), counted
        found.append(interventions.raise_readings(bucket, data, period, *moved))
    assert [curve.kind for curve in found[0]] == [interventions.SHORTEST, interventions.TOGETHER]
    shortest, together = (curve.responses["streamflow"][0, :, 0].mean() for curve in found[0])
    assert together > 1.1 * shortest  # the second bucket is filled too
    for both, one, other in zip(*found, strict=True):
        store = both.responses["store"]
        assert store.shape == (1 + interventions.RANDOM_CHANGES, 2, 90)
        np.testing.assert_allclose(store[0, :, :20], [2 * 0.9 ** np.arange(1, 21)] * 2, atol=1e-4)
        np.testing.assert_allclose(store[1:], 0, atol=1e-4)  # random changes leave the reading
        flow = [curve.responses["streamflow"] for curve in (both, one, other)]
        np.testing.assert_allclose(flow[0], (flow[1] + flow[2]) / 2, atol=1e-6)
        assert abs(flow[1] - flow[2]).max() > 1e-4


def test_the_verdict_needs_more_runoff_than_chance():
    def rows(low, mean, random):
        row = {"response_of": "streamflow", "horizon_days": 90, "low": low, "mean": mean, "random_mean": random}
        return pd.DataFrame([row | {"horizon_days": 1, "low": -9}, row])

    cases = (0.1, 0.3, 0.2), (0.1, 0.3, 0.4), (-0.1, 0.3, 0.2), (np.nan, 0.3, 0.2)
    answers = [interventions.verdict(rows(*case))[1] for case in cases]
    assert answers == ["yes", "weakly", "no", "–"]  # one basin has no interval, hence no verdict


def test_folds_do_not_depend_on_the_order_of_the_basins():
    basins = np.array([f"{b:08d}" for b in range(23)])
    fold, order = probes.fold_of_basins(basins), np.random.default_rng(0).permutation(23)
    np.testing.assert_array_equal(probes.fold_of_basins(basins[order]), fold[order])
    assert sorted(np.bincount(fold)) == [4, 4, 5, 5, 5] and probes.fold_of_basins(basins[:2]).max() == 1


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run directory on few demo catchments, its LSTM made to hold nothing yet; and one of runoff alone."""
    root = tmp_path_factory.mktemp("probe")
    data = make_demo(root / "demo", basins=4, years=6)
    periods = {"train_period": ["2002-01-01", "2003-12-31"], "test_period": ["2004-01-01", "2005-12-31"]}
    periods["valid_period"] = ["2006-01-01", "2006-12-31"]
    for name, concepts in (("joint", [SOIL4, SWE]), ("alone", [])):
        settings = {"data_dir": str(data), "forcing": "daymet", "attributes": "auto", "concepts": concepts, "seed": [3]}
        settings |= {"hidden_size": 5, "dropout": 0.2, "attribute_noise": 0.0, "weight_dropout": 0.0, "folds": 0}
        data_set = hydrodata.open_data(data, concepts=concepts)
        training = windows.training_set(data_set, *periods["train_period"])
        runs.create_run(root / name, settings | periods, training, resume=False)
        (root / name / "seed_3").mkdir()
        runs.write_model(root / name / "seed_3" / "model.keras", runs.build_model(settings, training.normalisation, 3))
    return root


def test_the_script_writes_readings_tables_and_figures(run_dir, capsys):
    joint, period = str(run_dir / "joint"), ("2004-01-01", "2005-12-31")
    LSTM_probe.main(LSTM_probe.Settings(run_dir=joint))
    out = run_dir / "joint" / "probe_2004-01-01_2005-12-31"
    for name in ("controls_other_period", "series", "interventions", "interventions_together"):
        assert (out / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
    printed = capsys.readouterr().out
    assert "soil4 in mm, median of 4 basins" in printed and "untrained LSTM" in printed and "more runoff" in printed
    assert max(map(len, printed.splitlines()[:-1])) <= 100 and "learned from" not in printed  # the last holds a path
    states = pd.read_csv(out / "cell_states.csv").groupby("concept")["cell_state"].max()
    assert states.to_dict() == {"soil4": 5, "swe": 5} and (out / "summary.csv").exists()
    assert set(pd.read_csv(out / "interventions.csv")["response_of"]) == {"streamflow", "soil4", "swe"}

    scores = pd.read_csv(out / "scores.csv", dtype={"basin": str}, keep_default_na=False, na_values={"NSE": [""]})
    chosen = scores[scores["split"].eq(PERIOD) & scores["concept"].eq("soil4") & scores["reader"].eq(REAL)]
    assert set(scores.loc[scores["reader"] == JOINT, "split"]) == {PERIOD}
    run = runs.load_run(joint)
    data = run.data(period)
    simulated = next(simulation.simulate(run.model(3), data, period)).sel(target="soil4")
    with xr.open_dataset(out / "readings.nc") as file:
        assert file["soil4_reading"].attrs["units"] == file["soil4_season"].attrs["units"] == "mm"
        table = file.sel(split=PERIOD)
        seen, reading = table["soil4_observed"].values, table["soil4_reading"].sel(reader=REAL).values
        # These weights are the initial ones, so this "trained" LSTM and the untrained one are the same.
        np.testing.assert_array_equal(reading, table["soil4_reading"].sel(reader=UNTRAINED).values)
        np.testing.assert_allclose(table["soil4_reading"].sel(reader=JOINT), simulated["simulated"], rtol=1e-4)
        np.testing.assert_allclose(seen, simulated["observed"], rtol=1e-6)
        # The mean year of the fitting period, of which the control is made in the scored days.
        dates = data.dates("2002-01-01", "2003-12-31")
        year = probes.climatology(data.read(slice(None), dates)[1], probes.days_of_year(dates))[..., 1]
        np.testing.assert_allclose(table["soil4_observed_season"], year, rtol=1e-6)
        others = file["soil4_season"].sel(split=BASINS, reader=SEASON)  # each of the four basins is a fold of its own
        np.testing.assert_allclose(others, (year.sum(axis=0) - year) / 3, rtol=1e-6)
        date = table["soil4_reading"].sel(reader=SEASON).values
        np.testing.assert_allclose(date, year[:, probes.days_of_year(file["date"].values)], rtol=1e-6)
    nse = 1 - np.nansum((reading - seen) ** 2, 1) / np.nansum((seen - np.nanmean(seen, 1)[:, None]) ** 2, 1)
    np.testing.assert_allclose(chosen["NSE"], nse, rtol=1e-4)


def test_a_run_of_runoff_alone_is_probed_for_what_is_observed(run_dir, capsys):
    """No flow in the scored period, no file of one basin, snow of another alone, a concept without any file, and a run
    that began with one that learned from days that are scored."""
    data = shutil.copytree(run_dir / "demo", run_dir / "dry")
    for file in (data / "camels" / "usgs_streamflow").rglob("*_streamflow_qc.txt"):
        file.write_text(re.sub(r"(200[45] \d\d \d\d) .*", r"\1 -999.00 M", file.read_text()))
    snowy = runs.load_run(run_dir / "joint").basins["mean_swe"].idxmax()
    dry, *_ = (basin for basin in runs.load_run(run_dir / "alone").basins.index if basin != snowy)
    next(data.rglob(f"camels_{dry}.csv")).unlink()
    next(data.rglob(f"{dry}_streamflow_qc.txt")).unlink()
    ice, path = SWE.replace("swe=", "ice=").replace("{basin}", "{basin}_ice"), run_dir / "alone" / "settings.json"
    base = f'"learned_from": [{{"run": "base", "period": ["2004-03-01", "2005-12-31"], "basins": "{snowy}"}}, '
    path.write_text(path.read_text(encoding="utf-8").replace('"learned_from": [', base), encoding="utf-8")
    question = {"concepts": (ice, SWE), "data_dir": str(data), "out_dir": str(run_dir / "swe")}
    LSTM_probe.main(LSTM_probe.Settings(run_dir=str(run_dir / "alone"), intervention_basins=2, **question))
    before, _, printed = capsys.readouterr().out.partition("swe in mm, median of 1 basin [95 % interval]")
    assert "observed: streamflow in 3 of 4 basins, ice in 0, swe in 3" in before
    assert "Note: ice is observed in no basin from 2002-01-01 to 2003-12-31. It is left out." in before
    assert f"Note: Left out: 1 basin in which nothing to probe is observed, {dry}." in before
    assert "3 basins; fitted on 2002-01-01 to 2003-12-31, scored on 2004-01-01 to 2005-12-31." in before
    with xr.open_dataset(run_dir / "swe" / "readings.nc") as file:
        assert file.attrs["learned_from"] in before and file.attrs["learned_from"].startswith("base (2004-03-01 to")
    assert "shortest change" in printed and "–" in printed
    assert [word for word in ("[", "nan ", "nan\n", "yes\n", "weakly\n", "joint probe") if word in printed] == []
    scores = pd.read_csv(run_dir / "swe" / "scores.csv", dtype={"basin": str}, keep_default_na=False)
    assert set(scores["note"]) == {"", "mean below 5 mm: not in the summary"} and dry not in set(scores["basin"])
    summary = pd.read_csv(run_dir / "swe" / "summary.csv")
    counted = scores[scores["note"] == ""]["basin"].nunique()
    assert summary.loc[summary["reader"] == REAL, "basins"].max() == counted < 4


def test_where_a_concept_counts_and_why_it_cannot_be_probed(catchments):
    spans, later = (("2001-01-01", "2003-12-31"), ("2004-01-01", "2005-12-31")), slice(1461, None)

    def judge(*gaps):
        arrays = [array.copy() for array in catchments.arrays]
        for basins, days in gaps:
            for array in arrays[basins]:
                array[days, 2] = np.nan
        return observed.judge(replace(catchments, arrays=arrays), *spans)

    fitted, counted, somewhere, reasons = judge()
    spread = [array[366:1461, 2].std(dtype=float) for array in catchments.arrays]
    np.testing.assert_allclose(fitted["std_store"], spread, rtol=1e-6)
    assert counted["store"].all() and somewhere["store"].all() and reasons == {}
    *_, reasons = judge((slice(None), later))
    assert reasons["store"] == "store is observed in no basin from 2004-01-01 to 2005-12-31."
    _, counted, somewhere, _ = judge((slice(3, 4), slice(None)))
    assert np.flatnonzero(~counted["store"]).tolist() == [3] == np.flatnonzero(~somewhere["store"]).tolist()
    *_, reasons = judge((slice(1, None), slice(1461)))
    assert reasons["store"].startswith("Probes need at least two basins: store is observed in one from 2001-01-01")


ICE, METRES = SWE.replace("swe=", "ice=").replace("[mm]", "*0.001[mm]"), SWE.replace("[mm]", "*0.001[m]")
REFUSED = {
    "trained on runoff alone: say what to look for with --concepts": {"run_dir": "alone"},
    "here name one of them, such as": {"run_dir": "folds"},
    "--period 2003-12-31 2004-12-31 and the training period 2002-01-01 to 2003-12-31 share days": {
        "period": ("2003-12-31", "2004-12-31")
    },
    "at least two basins": {"basins": ("96000001",)},
    "No basin counts for ice from 2002-01-01 to 2003-12-31: none has more than 5 mm of it.": {"concepts": (ICE,)},
    "mean*0.001[m] here, and was snow_depth_water_equivalent_mean*1[mm] in training": {"concepts": (METRES,)},
    "intervention_basins must be a whole number not below 0": {"intervention_basins": -1},
    "2006-01-01 to 2006-03-31 is too short for interventions": {"period": ("2006-01-01", "2006-03-31")},
    "holds results of other options (concepts): name another folder with --out-dir": {"concepts": (SOIL4,)},
}


@pytest.mark.parametrize("sentence", REFUSED)
def test_bad_settings_end_in_a_sentence(run_dir, sentence, capsys):
    options = REFUSED[sentence]
    shutil.copytree(run_dir / "joint", run_dir / "folds" / "fold_1", dirs_exist_ok=True)
    settings = LSTM_probe.Settings(**options | {"run_dir": str(run_dir / options.get("run_dir", "joint"))})
    with pytest.raises(SystemExit) as stop:
        cli(LSTM_probe.main, settings)
    error = capsys.readouterr().err.strip()
    assert stop.value.code == 2 and sentence in error and error.endswith(".") and len(error.splitlines()) == 1
