"""The prepared data, what the training period tells, and the windows that are drawn from it."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from small_files import forcing_path, make_camels, refused

import hydrodata_tf as hydrodata
from reading import basins, prepared, windows

DAY = np.datetime64("2001-01-01")


def data_of(values, basins=("b", "a", "c"), attributes=None, first_days=None):
    """Data in memory from arrays (day, variable): inputs rain and heat, targets streamflow and snow."""
    names = ["rain", "heat", "streamflow", "snow"]
    about = {name: {"units": "mm", "long_name": name} for name in names}
    place = pd.DataFrame({"lat": 0.0, "lon": 0.0, "area_km2": 1.0}, index=list(basins))
    attributes = pd.DataFrame(index=list(basins)) if attributes is None else attributes
    arrays, lengths = [np.asarray(one, np.float32) for one in values], np.array([len(one) for one in values])
    days = np.array(first_days or [DAY] * len(values))
    return prepared.Prepared(list(basins), names[:2], names[2:], about, place, attributes, arrays, days, lengths)


def weather(days=1000, seed=0):
    return np.random.default_rng(seed).gamma(2.0, 3.0, (3, days, 4)).astype(np.float32)


# What is on disk


CONCEPTS = ["swe=swe/{number}.csv:uaz_swe", "other=swe/{number}.csv:daymet_swe"]


@pytest.fixture
def opened(tmp_path, monkeypatch):
    """A function that opens three small basins with their cache in a folder of its own."""
    root = make_camels(tmp_path / "camels")
    monkeypatch.setenv("HYDRODATA_CACHE", str(tmp_path / "cache"))
    options = {"concepts": CONCEPTS, "attributes": "none"}
    return lambda **others: hydrodata.open_data(root, **options | others)


@pytest.fixture
def streamflow_read(monkeypatch):
    """The basins whose streamflow was read from text, in order."""
    read, order = basins.read_streamflow, []
    monkeypatch.setattr(basins, "read_streamflow", lambda p, b, area: order.append(b) or read(p, b, area))
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    return order


def test_every_basin_is_one_array_in_the_cache_and_the_text_is_read_once(opened, tmp_path, streamflow_read):
    data = opened()
    arrays = sorted((tmp_path / "cache").rglob("*.npy"))
    assert len(arrays) == 3 and sorted(data.arrays) == arrays and streamflow_read == data.basins
    text = hydrodata.load_forcing(tmp_path / "camels", data.basins[0])
    kept = np.load(data.arrays[0])
    assert kept.dtype == np.float32 and kept.shape == (41, 5 + 3)
    np.testing.assert_array_equal(kept[:40, :5], text)
    again = opened()
    assert again.report == data.report and (again.lengths == data.lengths).all()
    assert opened(basins=data.basins[:2]).arrays == data.arrays[:2]  # another list shares what is there
    assert streamflow_read == data.basins  # nothing is read again


def test_factors_and_units_are_applied_on_what_is_in_the_cache(opened, tmp_path, streamflow_read):
    """Other names, factors and units of the same columns share the arrays, bit for bit, and are checked each time."""
    data = opened()
    written = ["snow=swe/{number}.csv:uaz_swe*0.3[cm]", "twice=swe/{number}.csv:daymet_swe*2[mm]"]
    other = opened(concepts=written)
    assert other.arrays == data.arrays and streamflow_read == data.basins and other.about["snow"]["units"] == "cm"
    values, numbers = (d.days(1, d.first_day, 41) for d in (other, data))
    np.testing.assert_array_equal(values[:, :6], numbers[:, :6])
    np.testing.assert_array_equal(values[:, 6], numbers[:, 6] * np.float32(0.3))
    np.testing.assert_array_equal(values[:, 7], numbers[:, 7] * np.float32(2))
    dates = other.dates("2001-01-05", "2001-01-20")
    np.testing.assert_array_equal(other.in_memory(dates).days(1, dates[0], 16), other.days(1, dates[0], 16))
    sentence = "1022500.csv: uaz_swe is in mm, not in cm; write uaz_swe.0.1.cm"
    refused(sentence, opened, concepts=[f"{CONCEPTS[0]}[cm]", CONCEPTS[1]])
    wrong = "other=swe/{number}.csv:daymet_swe*-1[mm]"  # the third basin has 2, the first 0
    sentence = "2046000.csv, line 2: daymet_swe 1 is not between -100000 and -?0 .mm after .-1.; correct it or its unit"
    refused(sentence, opened, concepts=[CONCEPTS[0], wrong])
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 3 and streamflow_read == data.basins


def test_preparing_that_was_stopped_goes_on_with_the_next_basin(opened, tmp_path, streamflow_read, monkeypatch):
    def stops(frame, inputs):
        if len(streamflow_read) == 3:
            raise KeyboardInterrupt
        return {}

    with monkeypatch.context() as patch:
        patch.setattr(basins, "statistics", stops)
        with pytest.raises(KeyboardInterrupt):
            opened()
    assert len(list((tmp_path / "cache").rglob("*.json"))) == 2
    del streamflow_read[:]
    data = opened()
    assert streamflow_read == data.basins[2:]  # the first two were read before


@pytest.mark.parametrize("harm", ["cut", "text", "[]", '{"first": 1', ""])
def test_a_basin_that_is_not_whole_is_read_again(opened, harm):
    data = opened()
    kept, words = np.load(data.arrays[1]), data.arrays[1].with_suffix(".json")
    if harm == "cut":
        data.arrays[1].write_bytes(data.arrays[1].read_bytes()[:-4])
        refused("has been cut since it was written", data.days, 1, data.first_day, 41)
    elif harm == "text":
        data.arrays[1].write_text("no numbers")
    elif harm:
        words.write_text(harm)
    else:
        words.unlink()
    np.testing.assert_array_equal(np.load(opened().arrays[1]), kept)
    assert opened().report == data.report and words.read_text() != harm


def test_text_that_changed_is_read_again(opened, tmp_path, streamflow_read):
    data = opened()
    before, path = data.days(0, data.first_day, 3), forcing_path(tmp_path / "camels")
    path.write_text(path.read_text().replace("427165365", "213582682.5"))
    assert opened().days(0, data.first_day, 3)[2, 5] / before[2, 5] == pytest.approx(2)
    assert len(list((tmp_path / "cache").rglob("*.npy"))) == 3 and streamflow_read == [*data.basins, data.basins[0]]


def test_a_cache_that_cannot_be_written_is_refused_with_what_to_set(opened, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("HYDRODATA_CACHE", str(tmp_path / "file" / "cache"))
    refused("the cache cannot be written .Not a directory.; name another with .* HYDRODATA_CACHE", opened)


USERS = {  # system, variable that is set: the cache folder
    ("linux", "XDG_CACHE_HOME"): "there/hydrological-concepts-lstm",
    ("linux", "ANOTHER"): "home/.cache/hydrological-concepts-lstm",
    ("darwin", "ANOTHER"): "home/Library/Caches/hydrological-concepts-lstm",
    ("win32", "LOCALAPPDATA"): "there/hydrological-concepts-lstm",
    ("win32", "HYDRODATA_CACHE"): "there",
}


@pytest.mark.parametrize(("system", "variable"), USERS)
def test_cache_folder_of_the_user(monkeypatch, system, variable):
    for name in ("HYDRODATA_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, "there")
    monkeypatch.setattr("sys.platform", system)
    monkeypatch.setattr(Path, "home", lambda: Path("home"))
    assert prepared.cache_folder() == Path(USERS[system, variable])


# Days and periods


def test_days_outside_a_record_are_nan():
    values = weather(days=10)
    data = data_of(values, first_days=[DAY, DAY + 5, DAY + 20])
    np.testing.assert_array_equal(data.days(0, DAY + 2, 3), values[0, 2:5])
    early = data.days(1, DAY + 3, 4)
    assert np.isnan(early[:2]).all() and (early[2:] == values[1, :2]).all()
    late = data.days(1, DAY + 14, 3)
    assert (late[0] == values[1, 9]).all() and np.isnan(late[1:]).all()
    assert np.isnan(data.days(2, DAY, 20)).all() and np.isnan(data.days(0, DAY + 10, 2)).all()
    assert (data.first_day, data.last_day) == (DAY, DAY + 29)


def test_targets_are_missing_where_an_input_is():
    values = weather(days=20)
    values[0, 5, 0], values[1, 7, 3], values[2, 9, 1] = np.nan, np.nan, np.inf
    data = data_of(values)
    forcing, targets = data.read(slice(None), data.dates("2001-01-01", "2001-01-20"))
    np.testing.assert_array_equal(forcing, values[..., :2])
    assert np.argwhere(np.isnan(targets)).tolist() == [[0, 5, 0], [0, 5, 1], [1, 7, 1], [2, 9, 0], [2, 9, 1]]


def test_periods():
    data = data_of(weather())
    dates = data.dates("2001-02-01", "2001-02-03", 10)
    assert str(dates[0]) == "2001-01-22" and len(dates) == 13
    assert len(data.dates("2000-01-01", "2001-01-02", 5)) == 2
    assert str(data.dates("2000-12-01", "2001-01-01")) == "['2001-01-01']"
    assert str(data.dates("2003-09-27", "2004-01-01")) == "['2003-09-27']"
    for period, sentence in (
        (("1990-01-01", "1990-12-31"), "no day in the data, which run from 2001-01-01 to 2003-09-27"),
        (("2002-01-02", "2002-01-01"), "ends before it starts"),
        (("x", "2002-01-01"), "'x' is not a date"),
        (("20010101", "2002-01-01"), "'20010101' is not a date; write dates as 1981-10-01"),
        (("2002-01-01", "NaT"), "is not a date"),
    ):
        refused(sentence, data.dates, *period)


# Statistics


def test_normalisation_knows_only_the_training_period():
    values, period = weather(), ("2001-03-01", "2002-03-01")
    attributes = pd.DataFrame({"k": [1.0, 2.0, 6.0]}, index=["b", "a", "c"])
    before = windows.training_set(data_of(values, attributes=attributes), *period)
    dates = DAY + np.arange(1000)
    inside = (dates >= np.datetime64(period[0])) & (dates <= np.datetime64(period[1]))
    changed = np.where(inside[None, :, None], values, np.float32(1e6))
    after = windows.training_set(data_of(changed, attributes=attributes), *period, warmup_days=20)
    assert after.normalisation == before.normalisation
    pd.testing.assert_frame_equal(after.basins, before.basins)
    flow = values[:, inside, 2].astype(np.float64)
    assert before.normalisation["targets"]["streamflow"] == pytest.approx([flow.mean(), flow.std()])
    np.testing.assert_allclose(before.basins["std_streamflow"], flow.std(axis=1))
    np.testing.assert_allclose(before.basins["mean_streamflow"], flow.mean(axis=1))
    assert before.normalisation["attributes"]["k"] == pytest.approx([3.0, np.std([1, 2, 6])])
    assert before.normalisation["attribute_range"]["k"] == [1.0, 6.0]
    assert json.loads(json.dumps(before.normalisation)) == before.normalisation
    assert before.normalisation["period"] == list(period) and before.scored == 3 * inside.sum()
    assert set(before.normalisation) == {"period", "inputs", "attributes", "targets", "attribute_range"}


def test_normalisation_of_odd_variables():
    values = weather()
    values[..., 1], values[1, :, 3] = 3.0, np.nan
    period = ("2001-01-01", "2003-01-01")
    training = windows.training_set(data_of(values), *period)
    assert training.normalisation["inputs"]["heat"] == [3.0, 1.0]
    assert np.isnan(training.basins.loc["a", "std_snow"]) and np.isfinite(training.basins.loc["b", "std_snow"])
    values[..., 3] = np.nan
    refused("snow has no value from 2001-01-01 to 2003-01-01", windows.training_set, data_of(values), *period)


# Windows


def counted(basins=("b", "a", "c"), days=1000):
    """Data whose forcing says which basin and day it is, so that windows can be checked against it."""
    values, numbers = [], ["abc".index(basin) + 1.0 for basin in basins]
    for basin, number in zip(basins, numbers, strict=True):
        day = np.arange(days, dtype=np.float32)
        one = np.stack([np.full(days, number), day, day + 1000 * number, day + 1000 * number], axis=1)
        if basin == "b":  # this record begins late, ends early and has a gap
            one[:100, :2], one[:150, 2:], one[900:, 2:], one[300:310, 3] = np.nan, np.nan, np.nan, np.nan
        values.append(one)
    return data_of(values, basins, pd.DataFrame({"number": numbers}, index=list(basins)))


def whole(data):
    return windows.training_set(data, "2001-01-01", "2003-09-27")


def epoch(data, window=90, batch_size=8, warmup_days=30, seed=1, **options):
    rng = np.random.default_rng(seed)
    return list(windows.training_windows(whole(data), window, batch_size, warmup_days, rng, **options))


def on_disk(data, folder):
    """The same data, each basin in a file."""
    for b, array in enumerate(data.arrays):
        np.save(folder / f"{b}.npy", array)
        data.arrays[b] = folder / f"{b}.npy"
    return data


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize(("window", "warmup_days", "batch_size"), [(90, 30, 8), (365, 0, 4), (1, 3, 64), (2000, 50, 2)])
def test_every_day_is_scored_exactly_once(window, warmup_days, batch_size, in_memory, tmp_path, monkeypatch):
    data = counted()
    targets = np.stack([targets[0] for targets in (data.read([b], DAY + np.arange(1000))[1] for b in range(3))])
    spread = whole(data).basins[["std_streamflow", "std_snow"]].to_numpy()
    if not in_memory:
        monkeypatch.setattr(windows, "IN_MEMORY_BYTES", 0)
        on_disk(data, tmp_path)
    seen = np.zeros(targets.shape, int)
    for x, y in epoch(data, window, batch_size, warmup_days):
        assert x["forcing"].shape == y.shape == (batch_size, window, 2) and ("before" in x) == (warmup_days > 0)
        assert x["attributes"].shape == (batch_size, 1) and x["basin_std"].shape == (batch_size, 2)
        before = x.get("before", x["forcing"][:, :0])
        assert before.shape == (batch_size, warmup_days, 2)
        whole_forcing = np.concatenate([before, x["forcing"]], axis=1)
        whole_target = np.concatenate([np.full_like(before, np.nan), y], axis=1)
        windows_of = zip(whole_forcing, whole_target, x["attributes"], x["basin_std"], strict=True)
        for forcing, target, basin, std in windows_of:
            scored = np.isfinite(target)
            if not scored.any():
                assert basin == 0 and np.isnan(forcing).all()
                continue
            begin, length = np.flatnonzero(np.isfinite(forcing[:, 0]))[[0, -1]] + [0, 1]
            assert np.isnan(forcing[:begin]).all()  # before the record begins
            forcing, target, scored, length = forcing[begin:], target[begin:], scored[begin:], length - begin
            assert (forcing[:length, 0] == basin).all() and np.isnan(forcing[length:]).all()  # padding at the end
            assert (np.diff(forcing[:length, 1]) == 1).all()  # consecutive days
            b = [2, 1, 3].index(int(basin[0]))
            np.testing.assert_allclose(std, spread[b], rtol=1e-6)
            days = forcing[:length, 1].astype(int)
            assert np.array_equal(target[:length][scored[:length]], targets[b, days][scored[:length]])
            first = np.flatnonzero(scored.any(axis=1))[0]
            record = 100 if b == 0 else 0
            assert first == min(warmup_days, days[first] - record)  # warm-up as far as the record reaches back
            assert scored.any(axis=1).sum() <= window
            seen[b, days] += scored[:length]
    assert np.array_equal(seen, np.isfinite(targets))


def test_warm_up_days_before_the_training_period_are_not_scored():
    training = windows.training_set(counted(), "2001-04-11", "2001-07-19", 30)  # days 100 to 199
    assert training.first_day == DAY + 70
    batches = list(windows.training_windows(training, 50, 4, 30, np.random.default_rng(0)))
    day = np.concatenate([x["forcing"][..., 1][np.isfinite(y[..., 0])] for x, y in batches])
    assert day.min() == 100 and day.max() == 199 and training.scored == 100 + 100 + 50
    assert np.nanmin(np.concatenate([x["before"][..., 1] for x, _ in batches])) == 70


def test_windows_are_drawn_by_the_generator_alone():
    data = counted()
    same, again, other = epoch(data), epoch(data), epoch(data, seed=2)
    assert all(np.array_equal(a[1], b[1], equal_nan=True) for a, b in zip(same, again, strict=True))
    assert not all(np.array_equal(a[1], b[1], equal_nan=True) for a, b in zip(same, other, strict=False))
    rng, training = np.random.default_rng(1), whole(data)
    epochs = [np.concatenate([y for _, y in windows.training_windows(training, 90, 8, 0, rng)]) for _ in range(2)]
    assert not np.array_equal(epochs[0][:30], epochs[1][:30], equal_nan=True)  # a new phase each epoch


def test_order_of_the_basin_list_changes_no_window():
    for (x, y), (x2, y2) in zip(epoch(counted(("b", "a", "c"))), epoch(counted(("c", "b", "a"))), strict=True):
        assert np.array_equal(y, y2, equal_nan=True)
        assert all(np.array_equal(x[name], x2[name], equal_nan=True) for name in x)


def test_processes_share_every_batch():
    alone = epoch(counted())
    shares = [epoch(counted(), share=(k, 2)) for k in range(2)]
    for (x, y), *parts in zip(alone, *shares, strict=True):
        assert np.array_equal(y, np.concatenate([part[1] for part in parts]), equal_nan=True)
        joined = np.concatenate([part[0]["forcing"] for part in parts])
        assert np.array_equal(x["forcing"], joined, equal_nan=True)


def test_windows_without_any_target():
    data = counted()
    training = whole(data)
    training.spans[:] = 0
    refused("No basin has a day", next, windows.training_windows(training, 90, 8, 30, np.random.default_rng(0)))
    for array in data.arrays:
        array[:, 2:] = np.nan
    data.arrays[1][5, 2:] = 1.0  # a period with a single valid day
    ((x, y),) = epoch(data)
    assert np.isfinite(y[..., 0]).sum() == 1 and x["forcing"][0, 0, 1] == x["before"][0, 30 - 5, 1] + 5 == 5
