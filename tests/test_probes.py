"""The probes: planted concepts are found and controls are not fooled, interventions have their closed form."""

import re
import shutil
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from sklearn.linear_model import Ridge

import hydrodata_tf as hydrodata
import LSTM_probe
import LSTM_train
from libs_tf import ConceptLSTM, StateModel
from probing import cell_states, independent_data, interventions, observed, probes, report
from probing.probes import BASINS, JOINT, PERIOD, REAL, SEASON, SHIFTED, SPARSE, UNTRAINED, WEATHER, Batch
from reading import prepared, windows
from reading.concepts import parse_concept
from reading.demo_data import make_demo
from running import runs, simulation
from writing.messages import InputError, cli

BASIN_COUNT, STATES = 10, 6
STORE = probes.Probe(np.array([4.0, 0.0]), 10.0, 0.0)  # reads the first of the two leaky buckets
*_, SOIL4, SWE = LSTM_train.PRESETS["demo"].concepts


def red_noise(rng, days, number, memory=0.9):
    """Series (basin, day, number) that remember, as states and weather do."""
    series = rng.standard_normal((BASIN_COUNT, days, number))
    for t in range(1, days):
        series[:, t] = memory * series[:, t - 1] + np.sqrt(1 - memory**2) * series[:, t]
    return series.astype(np.float32)


def scored(make, seed):
    """Fits, medians by (split, reader) and scores of the concept and states that `make(states, forcing, rng)` gives."""
    rng, parts, concepts = np.random.default_rng(seed), [], []
    spans = [pd.date_range("2001-01-01", "2004-12-31"), pd.date_range("2005-01-01", "2006-12-31")]
    for dates in spans:
        states, other = red_noise(rng, len(dates), STATES), red_noise(rng, len(dates), STATES)
        forcing = red_noise(rng, len(dates), 3, memory=0.3)
        concept, states = make(states, forcing, rng)
        means = probes.trailing_means(forcing, LSTM_probe.WINDOWS)
        features = {REAL: states, UNTRAINED: other, WEATHER: np.concatenate([forcing, means], axis=2)}
        concepts.append(concept)
        parts.append({name: [Batch(b, v[b], concept[b][..., None], np.ones(concept[b].shape, bool))
                             for b in (slice(0, 4), slice(4, None))] for name, v in features.items()})  # fmt: skip
    names, readings = np.array([f"{b:08d}" for b in range(BASIN_COUNT)]), {}

    def keep(reader, concept, basins, reading):
        readings.setdefault(reader, np.full((BASIN_COUNT, len(spans[1])), np.nan))[basins] = reading

    readers, fold = [REAL, SPARSE, UNTRAINED, WEATHER, SHIFTED, SEASON], probes.fold_of_basins(names, 0)
    table = probes.Readings(["store"], readers, fold, *spans, keep)
    for reader, extra in ((REAL, (SPARSE, SHIFTED)), (UNTRAINED, ()), (WEATHER, ())):
        table.add(reader, parts[0][reader], parts[1][reader], extra=extra)
    table.add_season(parts[1][REAL])
    scores = table.scores(names, {"store": np.ones(BASIN_COUNT, bool)}, "too little")
    known = scores[(scores["split"] == PERIOD) & (scores["reader"] == REAL)].set_index("basin")
    error = ((readings[REAL] - concepts[1]) ** 2).sum(axis=1)
    spread = ((concepts[1] - concepts[1].mean(axis=1, keepdims=True)) ** 2).sum(axis=1)
    np.testing.assert_allclose(known.loc[names, "NSE"], 1 - error / spread, rtol=1e-4, atol=1e-6)
    return table, scores.groupby(["split", "reader"])[list(probes.SCORES)].median(), scores


def test_a_planted_concept_is_recovered_and_no_control_scores():
    weights = np.array([3.0, 0, -2, 0, 0, 1])
    table, median, scores = scored(lambda c, x, rng: (c @ weights + 50 + 0.1 * rng.standard_normal(c.shape[:2]), c), 1)
    found = table.fits["store", REAL].every
    np.testing.assert_allclose(found.weights, weights, atol=0.02)
    assert found.intercept == pytest.approx(50, abs=0.02)
    for split in (PERIOD, BASINS):
        assert (median.loc[split, REAL] > 0.99).all()
        for control in (UNTRAINED, WEATHER, SHIFTED, SEASON):
            row = median.loc[split, control]
            assert abs(row["r"]) < 0.15 and (row[["NSE", "NSE anomaly", "NSE deseasonalised"]] < 0.05).all(), control
    summary = report.summary_table(scores, draw=0)
    gain = summary[summary["metric"].eq("NSE") & summary["reader"].isin([UNTRAINED, WEATHER, SHIFTED, SEASON])]
    assert (gain["selectivity"] > 0.95).all() and (gain["selectivity_low"] > 0.9).all()


def test_a_concept_of_the_weather_alone_is_caught_by_the_inputs():
    def wet(c, x, rng):
        means = probes.trailing_means(x, (30,))[..., :1]
        return 10 * means[..., 0], np.concatenate([means + 0.01 * rng.standard_normal(means.shape), c[..., 1:]], axis=2)

    _, median, _ = scored(wet, 2)
    for split in (PERIOD, BASINS):
        assert median.loc[(split, REAL), "NSE"] > 0.95
        assert median.loc[(split, WEATHER), "NSE"] > median.loc[(split, REAL), "NSE"]
        assert median.loc[(split, UNTRAINED), "NSE"] < 0.05


def test_other_basins_are_scored_without_having_been_seen():
    """A level that only its own basin's record tells is read in that basin's group, and lost when it is left out."""
    level = np.arange(BASIN_COUNT) ** 2.0

    def offset(c, x, rng):
        tags = np.repeat(np.eye(BASIN_COUNT)[:, None], c.shape[1], axis=1)
        return c[..., 0] + level[:, None], np.concatenate([c[..., :1], tags], axis=2).astype(np.float32)

    _, median, _ = scored(offset, 4)
    assert median.loc[(PERIOD, REAL), "NSE"] > 0.95
    assert median.loc[(BASINS, REAL), "NSE"] < -1 and median.loc[(BASINS, REAL), "NSE anomaly"] > 0.95


def test_ridge_is_scikit_learns():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, 200, 5)) * [1, 10, 0.1, 1, 0] + [0, 5, 0, -3, 7]  # the last never changes
    y = x @ [1, 0.2, -3, 0, 0] + rng.standard_normal((3, 200))
    y[0, :50] = np.nan
    gram = sum(probes.moments(x[[b]], y[[b]]) for b in range(3))
    known = np.isfinite(y)
    rows, target = x[known], y[known]
    scale = np.append(rows[:, :4].std(0), 1)
    expected = Ridge(alpha=0.03 * known.sum(), tol=1e-12).fit((rows - rows.mean(0)) / scale, target)
    found = probes.ridge(gram, 0.03)
    np.testing.assert_allclose(found.weights, np.append(expected.coef_[:4] / scale[:4], 0), rtol=1e-8)
    np.testing.assert_allclose(rows @ found.weights + found.intercept, expected.predict((rows - rows.mean(0)) / scale))
    none = probes.moments(x, np.full(y.shape, np.nan))
    assert np.isnan(probes.fit(np.stack([none, none])).weights).all()


def test_skill_is_that_of_groups_left_out_and_chooses_the_penalty():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((4, 12, 10)), rng.standard_normal((4, 12))
    grams = np.stack([probes.moments(x[[b]], y[[b]]) for b in range(4)])
    error = 0
    for b in range(4):
        rest = [k for k in range(4) if k != b]
        probe = probes.ridge(probes.moments(x[rest], y[rest]), 0.1)
        error += ((y[b] - x[b] @ probe.weights - probe.intercept) ** 2).sum()
    assert probes.explained(grams, 0.1) == pytest.approx(1 - error / ((y - y.mean()) ** 2).sum())
    assert probes.fit(grams).alpha == 1.0  # nothing to be found in so few days: the strongest penalty
    strong = np.stack([probes.moments(x[[b]], x[[b]] @ np.arange(10.0)) for b in range(4)])
    assert probes.fit(strong).alpha == 1e-6


def test_the_sparse_probe_finds_the_cell_states_and_their_signs():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((6, 400, 20))
    y = x[..., 3] * 2 - x[..., 11] * 3 + x[..., 17] * 1.5 + 0.2 * x[..., 5] + 4 + 0.1 * rng.standard_normal((6, 400))
    grams = np.stack([probes.moments(x[[b]], y[[b]]) for b in range(6)])
    alpha = probes.fit(grams).alpha
    found = probes.fit_sparse(grams, alpha)
    assert np.flatnonzero(found.weights).tolist() == [3, 11, 17]
    np.testing.assert_allclose(found.weights[[3, 11, 17]], [2, -3, 1.5], atol=0.03)
    assert found.intercept == pytest.approx(4, abs=0.03)
    noise = np.stack([probes.moments(x[[b]], rng.standard_normal((1, 400))) for b in range(6)])
    assert not probes.fit_sparse(noise, 1.0).weights.any()


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


def test_trailing_means_are_pandas():
    rng = np.random.default_rng(2)
    forcing = rng.standard_normal((2, 50, 3)).astype(np.float32)
    found = probes.trailing_means(forcing, (7, 30))
    for b in range(2):
        rolled = [pd.DataFrame(forcing[b]).rolling(n, min_periods=1).mean() for n in (7, 30)]
        np.testing.assert_allclose(found[b], np.hstack(rolled), atol=1e-6)


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
    other = together + interventions.random_changes(weights, 0.3, 1)[0]
    distance = [c @ np.linalg.solve(covariance, c) for c in (together, other)]
    assert other @ weights == pytest.approx(2.5) and distance[0] < distance[1]
    for kind in (None, covariance):
        random = interventions.random_changes(weights, 0.7, 20, seed=1, covariance=kind)
        np.testing.assert_allclose(random @ weights, 0, atol=1e-9)
        np.testing.assert_allclose(np.linalg.norm(random, axis=1), 0.7)
    assert not interventions.random_changes(np.array([2.0]), 1.0, 3).any()  # of one cell state none is left
    # With states that move in one direction only beside the reading, random changes are that direction.
    line = interventions.random_changes(np.eye(8)[1], 1.0, 5, covariance=np.diag([1, *[1e-12] * 7]))
    np.testing.assert_allclose(abs(line[:, 0]), 1, atol=1e-4)


def test_statistics_of_cell_states_by_hand():
    assert cell_states.memory_days(np.log(0.9)) == pytest.approx(9.4912, abs=1e-4)
    assert cell_states.memory_days(np.array([0.0]))[0] > 1e8  # a gate that never closes
    c, f = np.array([[[1.0], [3.0], [9.0]], [[2.0], [4.0], [9.0]]]), np.array([[[0.9], [0.5], [1]]] * 2)
    valid = np.array([[True, True, False]] * 2)  # the third day lacks an input
    observed = c * np.where(valid, 2, np.nan)[..., None]
    part = SimpleNamespace(basins=slice(0, 2), states={"c": c, "f": f}, observed=observed, valid=valid)
    found = cell_states.cell_state_statistics([part], ["store"], 2)
    assert found.deviation == pytest.approx(np.std([1, 3, 2, 4])) and found.r["store"] == pytest.approx(1)
    assert found.covariance == pytest.approx(1)  # each basin's states lie 1 from their mean
    assert found.memory_stored_days == pytest.approx(-10 / (3 * np.log(0.9) + 7 * np.log(0.5)))
    changing, constant = np.arange(8.0).reshape(2, 4), np.ones((2, 4))
    r = cell_states.correlations(np.stack([changing, constant], axis=2), changing)
    np.testing.assert_allclose(r, [[1, np.nan]] * 2)


def test_late_winter_is_half_a_year_later_in_the_south():
    starts = np.array(["2004-01-01", "2004-04-01", "2004-10-01"], "datetime64[D]")
    found = interventions.seasons(np.array([45.0, -45]), starts, 3)
    assert found["late winter"].tolist() == [[False, True, False], [False, False, True]] and found["all"].all()


@pytest.fixture(scope="module")
def bucket():
    """An LSTM of two leaky buckets: forget gates 0.9 and 0.5, input and output gates open, tanh of rain as inflow."""
    model = ConceptLSTM(2, ["streamflow", "store"], ["rain"], [], dropout=0.0)
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
    inflow, after, change = np.tanh(forcing[..., 0]), np.arange(1, 21), interventions.smallest_change(STORE.weights, 2)
    np.testing.assert_allclose(change, [0.5, 0])
    run_on = interventions.runner_from(StateModel(bucket), forcing, np.zeros((3, 0), "float32"), {"store": STORE})
    h, c = np.zeros((3, 2), "float32"), np.full((3, 2), 0.6, "float32")
    found = interventions.responses(run_on, h, c, change[None])
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
    none, zeros = np.zeros((basins, 0), "float32"), np.zeros((basins, 2), "float32")
    truth = interventions.runner_from(StateModel(bucket), wet[..., None], none, {"store": STORE})(zeros, zeros)
    series = zip(told, truth["streamflow"], truth["store"], strict=True)
    arrays, names = [np.stack(one, axis=1).astype("float32") for one in series], [f"{b:08d}" for b in range(basins)]
    about = {name: {"units": "mm"} for name in ("streamflow", "store")}
    return prepared.Prepared(
        names, ["rain"], list(about), about, pd.DataFrame({"lat": 45.0, "lon": 0.0}, names),
        pd.DataFrame(index=names), arrays, np.full(basins, dates[0]), np.full(basins, len(dates)),
    )  # fmt: skip


def test_readings_are_raised_in_the_basins_that_count_and_averaged_over_days(bucket, catchments):
    period, counted, found = ("2002-01-01", "2003-12-31"), {"store": np.arange(6) != 2}, []
    for days in ([10, 200], [10], [200]):
        found.append(interventions.raise_readings(bucket, catchments, np.arange(1, 4), period, np.array(days),
                     {"store": STORE}, {"store": 2.0}, np.eye(2), counted, 3, 0))  # fmt: skip
    assert [curve.kind for curve in found[0]] == [interventions.SHORTEST, interventions.TOGETHER]
    for both, one, other in zip(*found, strict=True):
        store = both.responses["store"]
        assert both.basins.tolist() == [1, 3] and store.shape == (4, 2, 90)
        np.testing.assert_allclose(store[0, :, :20], [2 * 0.9 ** np.arange(1, 21)] * 2, atol=1e-4)
        np.testing.assert_allclose(store[1:], 0, atol=1e-4)  # random changes leave the reading
        flow = [curve.responses["streamflow"] for curve in (both, one, other)]
        np.testing.assert_allclose(flow[0], (flow[1] + flow[2]) / 2, atol=1e-6)
        assert abs(flow[1] - flow[2]).max() > 1e-4


def test_exchanged_states_carry_the_flow_of_a_leaky_bucket(bucket):
    rng, none, after = np.random.default_rng(2), np.zeros((3, 0), "float32"), np.arange(1, 21)
    forcing = 0.1 * abs(rng.standard_normal((2, 3, 20, 1))).astype("float32")
    h = rng.standard_normal((2, 3, 2)).astype("float32")  # it does nothing here: the recurrent kernel is zero
    c = np.array([[[0.9, 0.5]] * 3, [[0.2, 0.1]] * 3], "float32")  # the wet and the dry year
    run_on = [interventions.runner_from(StateModel(bucket), rain, none, {"store": STORE}) for rain in forcing]
    found = interventions.effects_of_exchange(run_on, h, c, STORE, np.diag([1.0, 4.0]), 2, 0)

    def flow(rain, states):
        total = 0
        for state, keep, most in zip(states, (0.9, 0.5), (2.0, 1.0), strict=True):  # most: mm/day
            inflow = np.tanh(rain[..., 0])
            filled = np.stack([inflow[:, :k] @ keep ** np.arange(k)[::-1] for k in after], axis=1)
            total = total + most * np.tanh(state * keep**after + filled)
        return total

    parts = {interventions.WHOLE: (0.7, 0.4)}
    for kind in (interventions.SHORTEST, interventions.TOGETHER):
        parts |= {f"probe's part, {kind}": (0.7, 0), f"the rest, {kind}": (0, 0.4)}
    assert set(found) == {interventions.YEARS, *parts}
    years = flow(forcing[0], (0.9, 0.5)) - flow(forcing[1], (0.2, 0.1))
    np.testing.assert_allclose(found[interventions.YEARS]["streamflow"][0], years, atol=1e-4)
    for way, (one, two) in parts.items():
        in_wet = flow(forcing[0], (0.9, 0.5)) - flow(forcing[0], (0.9 - one, 0.5 - two))
        in_dry = flow(forcing[1], (0.2 + one, 0.1 + two)) - flow(forcing[1], (0.2, 0.1))
        np.testing.assert_allclose(found[way]["streamflow"][0], (in_wet + in_dry) / 2, atol=1e-4)
        np.testing.assert_allclose(found[way]["store"][0], np.tile(4 * one * 0.9**after, (3, 1)), atol=1e-4)
        np.testing.assert_allclose(found[way]["store"][1:], 0, atol=1e-4)  # random changes leave the reading


def test_years_that_exchange_states_are_the_wettest_and_the_driest(bucket, catchments):
    days = interventions.exchange_days("store", "04-01", ["store"], catchments.dates("2002-01-01", "2005-12-31"))
    assert list(days.astype(str)) == [f"{year}-04-01" for year in (2002, 2003, 2004, 2005)]
    curves = interventions.exchange_years(bucket, catchments, np.arange(1, 6), "store", STORE, np.eye(2), 3, 0, days)
    whole = {curve.kind: curve.responses for curve in curves}[interventions.WHOLE]
    state = np.stack([interventions.states_at(bucket, catchments, day)[1, :, 0] for day in days])
    store, basin = np.stack([array[(days - np.datetime64("2000-01-01")).astype(int), 2]
                             for array in catchments.arrays], axis=1), np.arange(1, 6)  # fmt: skip
    apart = state[store.argmax(0)[basin], basin] - state[store.argmin(0)[basin], basin]
    np.testing.assert_allclose(whole["store"][0, :, 9], 4 * apart * 0.9**10, atol=1e-4)
    assert (apart > 0).all() and (whole["streamflow"][0].mean(axis=1) > 0).all()


def test_independent_data_of_noise_show_nothing_and_those_that_see_the_store_do():
    rng, dates = np.random.default_rng(7), pd.date_range("2001-01-01", "2004-12-31")
    truth, *errors = (red_noise(rng, len(dates), 1)[..., 0] for _ in range(4))
    days = probes.days_of_year(dates)
    read, learned, independent = (3 * truth + error for error in errors)
    independent[0, :100] = np.nan
    found = independent_data.nearness(read, learned, independent, days)
    rmse = np.sqrt(np.nanmean((read - independent) ** 2, axis=1))
    np.testing.assert_allclose(found["RMSE reading-independent"], rmse, rtol=1e-6)
    assert (found["r deseasonalised reading-independent"] > 0.8).all() and (found["partial r"] > 0.2).all()
    told = independent_data.nearness(learned + 0.3 * errors[0], learned, independent, days)  # knows what it was told
    assert (told["r deseasonalised reading-independent"] > 0.8).all() and abs(told["partial r"].median()) < 0.1
    noise = independent_data.nearness(read, learned, 3 * errors[2], days)
    assert (abs(noise[["r reading-independent", "partial r"]].median()) < 0.1).all()
    assert (noise["RMSE reading-independent"] > noise["RMSE reading-learned"]).all()


def test_the_verdict_needs_more_runoff_than_chance():
    def rows(low, mean, random):
        row = {"response_of": "streamflow", "horizon_days": 90, "low": low, "mean": mean, "random_mean": random}
        return pd.DataFrame([row | {"horizon_days": 1, "low": -9}, row])

    answers = [interventions.verdict(rows(*r))[1] for r in
               ((0.1, 0.3, 0.2), (0.1, 0.3, 0.4), (-0.1, 0.3, 0.2), (np.nan, 0.3, 0.2))]  # fmt: skip
    assert answers == ["yes", "weakly", "no", "–"]  # one basin has no interval, hence no verdict


def test_folds_do_not_depend_on_the_order_of_the_basins():
    basins = np.array([f"{b:08d}" for b in range(23)])
    fold, order = probes.fold_of_basins(basins, 7), np.random.default_rng(0).permutation(23)
    np.testing.assert_array_equal(probes.fold_of_basins(basins[order], 7), fold[order])
    assert sorted(np.bincount(fold)) == [4, 4, 5, 5, 5] and probes.fold_of_basins(basins[:2], 7).max() == 1


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    """A run directory on few demo catchments, its LSTM made to hold nothing yet; and one of runoff alone."""
    root = tmp_path_factory.mktemp("probe")
    data = make_demo(root / "demo", basins=4, years=6)
    periods = {"train_period": ["2002-01-01", "2003-12-31"], "test_period": ["2004-01-01", "2005-12-31"],
               "valid_period": ["2006-01-01", "2006-12-31"]}  # fmt: skip
    for name, concepts in (("joint", [SOIL4, SWE]), ("alone", [])):
        settings = {"data_dir": str(data), "forcing": "daymet", "attributes": "auto", "concepts": concepts,
                    "hidden_size": 5, "dropout": 0.2, "forcing_noise": 0.0, "attribute_noise": 0.0,
                    "weight_dropout": 0.0, "seed": [3], **periods}  # fmt: skip
        data_set = hydrodata.open_data(data, concepts=concepts, cache_dir=root / "cache")
        training = windows.training_set(data_set, *periods["train_period"])
        runs.create_run(root / name, settings, training, resume=False)
        (root / name / "seed_3").mkdir()
        runs.write_model(root / name / "seed_3" / "model.keras", runs.build_model(settings, training.normalisation, 3))
    return root


@pytest.fixture(scope="module")
def simulated(run_dir):
    """Streamflow, soil4 and swe as the run simulates them in its test period."""
    run, period = runs.load_run(run_dir / "joint"), ("2004-01-01", "2005-12-31")
    return next(simulation.simulate(run.model(3), run.data(*period), *period))


def test_the_script_writes_tables_series_and_figures(run_dir, simulated, capsys):
    joint, alone = str(run_dir / "joint"), str(run_dir / "alone")
    more = {"exchange_states": "swe", "independent_data": SWE}
    LSTM_probe.main(LSTM_probe.Settings(run_dir=joint, compare=alone, random_directions=2, **more))
    out = run_dir / "joint" / "probe_2004-01-01_2005-12-31"
    figures = ("controls_other_period", "controls_other_basins", "skill_anomaly", "skill_deseasonalised", "series",
               "interventions", "interventions_together", "independent_data", "exchange")  # fmt: skip
    for name in figures:
        assert (out / f"{name}.png").read_bytes()[:4] == b"\x89PNG"
    printed = capsys.readouterr().out
    assert "soil4 in mm, median of 4 basins" in printed and "untrained LSTM" in printed and "more runoff" in printed
    assert max(map(len, printed.splitlines()[:-1])) <= 100 and "learned from" not in printed  # the last holds a path

    same = pd.read_csv(out / "independent_data.csv", index_col="reader").loc[REAL]  # here what was learned
    assert same["r learned-independent"] == pytest.approx(1) and same["RMSE learned-independent"] == 0
    assert same["RMSE reading-independent"] == same["RMSE reading-learned"] > 0 == same["nearer to learned"]
    exchanged = pd.read_csv(out / "exchange.csv")
    assert set(exchanged["start_days"]) == {"04-01"} and set(exchanged["response_of"]) == {"streamflow", "swe"}

    scores = pd.read_csv(out / "scores.csv", dtype={"basin": str}, keep_default_na=False, na_values={"NSE": [""]})
    chosen = scores[scores["split"].eq(PERIOD) & scores["concept"].eq("soil4") & scores["reader"].eq(REAL)]
    with xr.open_dataset(out / "probe.nc") as file:
        assert file["soil4_observed"].attrs["units"] == "mm"
        observed, reading = file["soil4_observed"].values, file["soil4_reading"].sel(reader=REAL).values
        # These weights are the initial ones, so this "trained" LSTM and the untrained one are the same.
        np.testing.assert_array_equal(reading, file["soil4_reading"].sel(reader=UNTRAINED).values)
        joint = file["soil4_reading"].sel(reader=JOINT).values
        assert file["response_soil4_streamflow_together"].dims == ("basin", "day_after")
        assert file.sizes["day_after"] == 90 and file.sizes["unit"] == 5
    nse = 1 - np.nansum((reading - observed) ** 2, 1) / np.nansum((observed - np.nanmean(observed, 1)[:, None]) ** 2, 1)
    np.testing.assert_allclose(chosen["NSE"], nse, rtol=1e-4)

    np.testing.assert_allclose(joint, simulated.prediction[..., 1], rtol=1e-4)


def test_joint_probe_and_independent_data_are_converted_to_the_units_that_are_probed(run_dir, simulated):
    """A run trained on swe in mm, probed for swe in m, beside the same snow in mm as independent data."""
    out, metres = run_dir / "metres", SWE.replace("[mm]", "*0.001[m]")
    LSTM_probe.main(LSTM_probe.Settings(run_dir=str(run_dir / "joint"), concepts=(metres,), independent_data=SWE,
                                        intervention_basins=0, out_dir=str(out)))  # fmt: skip
    assert not (out / "interventions.csv").exists()
    with xr.open_dataset(out / "probe.nc") as file:
        assert file["swe_reading"].attrs["units"] == "m"
        snow, joint = file["swe_observed"].values, file["swe_reading"].sel(reader=JOINT).values
    np.testing.assert_allclose(snow, simulated.observed[..., 2] / 1000, rtol=1e-6)
    np.testing.assert_allclose(joint, simulated.prediction[..., 2] / 1000, rtol=1e-4, atol=1e-6)
    near = pd.read_csv(out / "independent_data.csv", index_col="reader").loc[JOINT]
    assert near["RMSE learned-independent"] < 1e-6 < near["RMSE reading-independent"] < 1


def test_a_joint_probe_is_of_the_column_and_the_units_it_learned(bucket, capsys):
    joint = probes.joint_probes(bucket)
    assert joint["store"].weights.tolist() == [4, 0] and joint["store"].intercept == 10

    def read(trained, wanted, name="store"):
        found = probes.converted(joint, *([parse_concept(f"{name}=a/{{number}}.csv:{c}")] for c in (trained, wanted)))
        return {name: (probe.weights[0], probe.intercept) for name, probe in found.items()}

    assert read("water*1000[mm]", "water*100[cm]") == {"store": (pytest.approx(0.4), pytest.approx(1))}
    assert read("water[mm]", "water[kg/m2]") == {"store": (4, 10)} and read("water[mm]", "water[mm]", "swe") == {}
    assert not capsys.readouterr().out
    assert read("water[mm]", "snow[mm]") == {}
    assert "store is snow here, and was water in training: there is no joint probe" in capsys.readouterr().out
    for trained, wanted in (("water*70[mm]", "water*210[mm]"), ("water[mm]", "water[m]")):
        with pytest.raises(InputError, match=r"store is water times .* which cannot both be right"):
            read(trained, wanted)
    with pytest.raises(InputError, match="store is in m3/m3 here, in mm in training. Values in mm cannot be turned"):
        read("water[mm]", "water[m3/m3]")
    # Of units that nobody says the same file's are the same, another file's are not known.
    assert read("depth", "depth*10") == {"store": (40, 100)} and read("depth", "depth[%]") == {"store": (4, 10)}
    unsaid = [parse_concept(f"store={folder}/{{number}}.csv:depth") for folder in "ab"]
    with pytest.raises(InputError, match=r"Values in as in file cannot .*: write the unit of both, such as \[mm\]"):
        probes.converted(joint, *([one] for one in unsaid))
    other_file = [parse_concept(f"store={folder}/{{number}}.csv:water{c}") for folder, c in
                  (("a", "[mm]"), ("b", "*1000[mm]"))]  # fmt: skip
    assert probes.converted(joint, other_file[:1], other_file[1:])["store"].intercept == 10  # its numbers are in m


def test_a_run_of_runoff_alone_is_probed_for_what_is_observed(run_dir, capsys):
    """No flow in the scored period, no file of one basin, snow of another alone, and a concept without any file."""
    data = shutil.copytree(run_dir / "demo", run_dir / "dry")
    for file in (data / "camels" / "usgs_streamflow").rglob("*_streamflow_qc.txt"):
        file.write_text(re.sub(r"(200[45] \d\d \d\d) .*", r"\1 -999.00 M", file.read_text()))
    snowy = runs.load_run(run_dir / "joint").basins["mean_swe"].idxmax()
    dry, *_ = (basin for basin in runs.load_run(run_dir / "alone").basins.index if basin != snowy)
    next(data.rglob(f"camels_{dry}.csv")).unlink()
    next(data.rglob(f"{dry}_streamflow_qc.txt")).unlink()
    ice = SWE.replace("swe=", "ice=").replace("{basin}", "{basin}_ice")
    LSTM_probe.main(LSTM_probe.Settings(
        run_dir=str(run_dir / "alone"), concepts=(ice, SWE), data_dir=str(data), out_dir=str(run_dir / "swe"),
        period=("2004-06-01", "2005-12-31"), fit_period=("2002-01-01", "2004-05-31"), intervention_basins=2,
        random_directions=1, intervention_days=("2005-02-01", "2005-03-01"),
    ))  # fmt: skip
    said, _, printed = capsys.readouterr().out.partition("swe in mm, median of 1 basin [95 % interval]")
    assert "observed: streamflow in 3 of 4 basins, ice in 0, swe in 3" in said
    assert "Note: ice is observed in no basin from 2004-06-01 to 2005-12-31. It is left out." in said
    assert f"Note: Left out: 1 basin in which nothing to probe is observed, {dry}." in said
    assert "3 basins; fitted on 2002-01-01 to 2004-05-31, scored on 2004-06-01 to 2005-12-31." in said
    assert "shortest change" in printed and "–" in printed
    assert [word for word in ("[", "nan ", "nan\n", "yes\n", "weakly\n", "joint probe") if word in printed] == []
    scores = pd.read_csv(run_dir / "swe" / "scores.csv", dtype={"basin": str}, keep_default_na=False)
    assert set(scores["note"]) == {"", "mean below 5 mm: not in the summary"} and dry not in set(scores["basin"])
    summary = pd.read_csv(run_dir / "swe" / "summary.csv")
    counted = scores[scores["note"] == ""]["basin"].nunique()
    assert summary.loc[summary["reader"] == REAL, "basins"].max() == counted < 4


def test_where_a_concept_counts_and_why_it_cannot_be_probed(catchments):
    arrays, later = [array.copy() for array in catchments.arrays], catchments.dates("2000-01-01", "2003-12-31").size
    for array in arrays:
        array[later:, 2] = np.nan
    spans = ("2001-01-01", "2003-12-31"), ("2004-01-01", "2005-12-31")
    fitted, counted, somewhere, reasons = observed.judge(catchments, *spans)
    spread = [array[366:1461, 2].std(dtype=float) for array in arrays]
    np.testing.assert_allclose(fitted["std_store"], spread, rtol=1e-6)
    assert counted["store"].all() and somewhere["store"].all() and reasons == {}
    _, _, _, reasons = observed.judge(replace(catchments, arrays=arrays), *spans)
    assert reasons["store"] == "store is observed in no basin from 2004-01-01 to 2005-12-31."
    arrays = [array.copy() for array in catchments.arrays]
    arrays[3][:, 2] = np.nan
    _, counted, somewhere, reasons = observed.judge(replace(catchments, arrays=arrays), *spans)
    assert np.flatnonzero(~counted["store"]).tolist() == [3] == np.flatnonzero(~somewhere["store"]).tolist()
    for array in arrays[1:]:
        array[:later, 2] = np.nan
    _, _, _, reasons = observed.judge(replace(catchments, arrays=arrays), *spans)
    assert reasons["store"].startswith("Probes need at least two basins: store is observed in one from 2001-01-01")


def test_what_the_model_learned_from_is_no_independent_test(run_dir, capsys):
    """Said on the screen and in probe.nc. What an earlier call with more options left in the folder does not stay."""
    (run_dir / "learned").mkdir()
    (run_dir / "learned" / "exchange.csv").touch()
    spans = {"period": ("2003-10-01", "2004-02-29"), "fit_period": ("2004-03-01", "2005-12-31")}
    seed = {"out_dir": str(run_dir / "learned"), "concepts": (SOIL4,), "intervention_basins": 0}
    LSTM_probe.main(LSTM_probe.Settings(run_dir=str(run_dir / "joint"), **spans, **seed))
    said = ("joint (2002-01-01 to 2003-12-31) learned from 92 of the 152 days from 2003-10-01 to 2004-02-29 in 4 of 4 "
            "basins, which are no independent test.")  # fmt: skip
    assert f"Note: {said}" in capsys.readouterr().out.splitlines()
    with xr.open_dataset(run_dir / "learned" / "probe.nc") as file:
        assert file.attrs["learned_from"] == said
    assert not (run_dir / "learned" / "exchange.csv").exists()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"run_dir": "alone"}, "trained on runoff alone: say what to look for with --concepts"),
        ({"run_dir": "folds"}, "folds"),
        ({"period": ("2003-06-01", "2004-12-31")}, "share days"),
        ({"period": ("2003-12-31", "2004-12-31")}, "share days"),
        ({"seed": 9}, "no member of seed 9"),
        ({"basins": ("96000001",)}, "at least two basins"),
        ({"fit_period": ("1990-01-01", "1991-12-31")}, "The period 1990-01-01 to 1991-12-31 has no day in the data"),
        ({"concepts": (SWE.replace("swe=", "ice=").replace("[mm]", "*0.001[mm]"),)},
         "No basin counts for ice from 2004-01-01 to 2005-12-31: none has more than 5 mm of it."),
        ({"concepts": (SWE.replace("[mm]", "*1000[mm]"),)}, "which cannot both be right: write it as in training"),
        ({"random_directions": 0}, "--random-directions must not be below 1"),
        ({"draw": -1}, "--draw must not be below 0"),
        ({"period": ("2006-01-01", "2006-03-31")}, "2006-01-01 to 2006-03-31 is too short for interventions"),
        ({"intervention_days": ("2005-12-01",)}, "must lie 90 days before the end"),
        ({"exchange_states": "ice"}, "There is no concept ice for --exchange-states: choose from soil4, swe"),
        ({"exchange_states": "swe", "exchange_day": "11-30"}, "no two years to exchange states of on 11-30"),
        ({"independent_data": SWE.replace("swe=", "ice=")},
         "--independent-data is of ice: give it the name of a concept, soil4, swe"),
        ({"independent_data": SOIL4.replace("_mean*1890[mm]", "_mean*2")},
         "--independent-data of soil4: Values in m3/m3 * 2 cannot be turned into mm: give both the same units."),
        ({"independent_data": SOIL4.replace("[mm]", "[%]")},
         "--independent-data of soil4: Values in % cannot be turned into mm: give both the same units."),
    ],
)  # fmt: skip
def test_bad_settings_end_in_a_sentence(run_dir, options, sentence, capsys):
    shutil.copytree(run_dir / "joint", run_dir / "folds" / "fold_1", dirs_exist_ok=True)
    settings = LSTM_probe.Settings(**options | {"run_dir": str(run_dir / options.get("run_dir", "joint"))})
    with pytest.raises(SystemExit) as stop:
        cli(LSTM_probe.main, settings)
    said = capsys.readouterr().err.strip()
    assert stop.value.code == 2 and sentence in said and said.endswith(".") and len(said.splitlines()) == 1
