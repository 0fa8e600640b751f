"""The store on disk: what is read from it is what the text holds, and a training from it is the training from text."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydrodata_tf as hydrodata
import LSTM_test
import LSTM_train
import runs
import stores
from hydrodata_tf import InputError

PERIOD = ("2002-10-01", "2005-09-30")


@pytest.fixture(scope="module")
def concepts(settings):
    return settings("any").concepts


@pytest.fixture(scope="module")
def store(demo, concepts, tmp_path_factory):
    """The small demo in a store, prepared three basins at a time."""
    out = tmp_path_factory.mktemp("store") / "demo"
    stores.write_store(demo, out, concepts=concepts, basins_at_once=3)
    return out


def opened(folder, concepts, **options):
    chosen = dict(forcing="daymet", attributes="auto", concepts=concepts, climate_period=None)
    return stores.open_parts(folder, **{**chosen, **options})


def test_a_store_gives_what_the_text_holds(store, demo, concepts):
    text = hydrodata.load_dataset(demo, concepts=concepts)
    every = stores.Store(store)
    basins = [str(b) for b in text["basin"].values][::-1]
    held = every.dataset(basins, ["soil1", "swe"])
    xr.testing.assert_identical(held.drop_attrs(), text.sel(basin=basins).drop_attrs())
    for name in text.variables:
        assert held[name].attrs == text[name].attrs, name
    assert {**held.attrs, "report": ""} == {**text.attrs, "report": ""}
    part = every.dataset(basins[:2], ["swe"], attributes=False, start="2003-02-28", end="2003-03-01")
    wanted = text.sel(basin=basins[:2], date=slice("2003-02-28", "2003-03-01")).drop_vars(["soil1", "attributes"])
    xr.testing.assert_identical(part.drop_attrs(), wanted.drop_dims("attribute").drop_attrs())


def test_days_outside_a_record_are_nan(store):
    every = stores.Store(store)
    basin, first = every.table.index[1], every.first[1]
    days = every.days(basin, first - 2, 5, ["prcp", "streamflow"])
    assert days.shape == (5, 2) and np.isnan(days[:2]).all() and np.isfinite(days[2:]).all()
    after = every.days(basin, every.last[1] - 1, 3, every.variables)
    assert np.isfinite(after[0]).all() and np.isnan(after[1:]).all()
    assert np.isnan(every.days(basin, every.last[1], 2, every.variables)).all()


def test_parts_are_the_whole(store, demo, concepts):
    whole, parts = opened(demo, concepts), opened(store, concepts, part_mb=0.1)
    assert len(list(whole)) == 1 and len(list(parts)) == 4 and "4 basins" in parts.report
    fitted = hydrodata.fit_normalisation(parts, *PERIOD)
    wanted = hydrodata.fit_normalisation(whole, *PERIOD)
    assert fitted["period"] == wanted["period"] and fitted["attribute_range"] == wanted["attribute_range"]
    for kind in ("inputs", "targets", "attributes"):
        assert list(fitted[kind]) == list(wanted[kind])
        for name in wanted[kind]:
            assert fitted[kind][name] == pytest.approx(wanted[kind][name], rel=1e-12), name
    first, second = parts.share(0, 2), whole.share(1, 2)
    assert first.basins == parts.basins[::2] and second.basins == whole.basins[1::2]
    assert [b for part in first for b in part["basin"].values] == first.basins
    assert list(next(iter(second))["basin"].values) == second.basins
    one, other = (list(data.within("2003-01-01", "2003-01-31", 10)) for data in (whole, parts))
    assert len(other) == 1 and str(other[0]["date"].values[0])[:10] == "2002-12-22" and other[0].sizes["date"] == 41
    np.testing.assert_array_equal(one[0]["swe"], other[0]["swe"])
    assert len(list(parts.within("2001-10-01", "2007-09-30"))) == 4  # so many days that one basin fills a part


@pytest.mark.parametrize("warmup", [0, 30])
def test_windows_from_a_store_are_those_from_memory(store, demo, concepts, warmup):
    """Bit for bit, and two halves of every batch drawn apart are the batch."""
    whole, parts = opened(demo, concepts), opened(store, concepts, part_mb=0.1)
    normalisation = hydrodata.fit_normalisation(whole, *PERIOD)
    memory, disk = (stores.training_arrays(d, normalisation, *PERIOD, warmup_days=warmup) for d in (whole, parts))
    assert "forcing" in memory and "forcing" not in disk and memory["scored"] == disk["scored"] > 4000

    def windows(arrays, share=(0, 1)):
        return list(hydrodata.training_windows(arrays, 200, 4, warmup, np.random.default_rng(3), share))

    shared = zip(windows(disk, (0, 2)), windows(disk, (1, 2)), strict=True)
    for (x, y), (from_disk, of_disk), ((x0, y0), (x1, y1)) in zip(windows(memory), windows(disk), shared, strict=True):
        np.testing.assert_array_equal(y, of_disk)
        np.testing.assert_array_equal(y, np.concatenate([y0, y1]))
        for name in x:
            np.testing.assert_array_equal(x[name], from_disk[name], err_msg=name)
            np.testing.assert_array_equal(x[name], np.concatenate([x0[name], x1[name]]), err_msg=name)


def test_a_training_from_a_store_is_the_training_from_text(store, run_dir, settings, tmp_path):
    LSTM_train.main(settings(tmp_path / "run", data_dir=str(store), seed=(1,)))
    one, other = (runs.load_run(path) for path in (run_dir, tmp_path / "run"))
    for wanted, got in zip(one.model(1).get_weights(), other.model(1).get_weights(), strict=True):
        np.testing.assert_array_equal(wanted, got)
    pd.testing.assert_frame_equal(one.basins, other.basins)
    for path in (run_dir, tmp_path / "run"):
        LSTM_test.main(LSTM_test.Settings(run_dir=str(path), out_dir=str(tmp_path / f"test {path.name}")))
    tests = [pd.read_csv(tmp_path / f"test {name}" / "scores.csv") for name in (run_dir.name, "run")]
    pd.testing.assert_frame_equal(tests[0][tests[0]["member"] == "seed 1"].reset_index(drop=True), tests[1])


def test_a_store_that_was_stopped_in_its_first_part_goes_on(store, demo, concepts, tmp_path, monkeypatch):
    def stopped(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(hydrodata, "load_dataset", stopped)
    with pytest.raises(KeyboardInterrupt):
        stores.write_store(demo, tmp_path / "store", concepts=concepts)
    monkeypatch.undo()
    with pytest.raises(InputError, match="is not a whole store .*prepare it again"):
        stores.Store(tmp_path / "store")
    stores.write_store(demo, tmp_path / "store", concepts=concepts)
    assert (tmp_path / "store" / "values.f4").read_bytes() == (store / "values.f4").read_bytes()


@pytest.mark.parametrize("moment", ["before", "between", "after"])
def test_a_store_that_was_stopped_goes_on(store, demo, concepts, tmp_path, monkeypatch, moment):
    """In the second part: before its values are written, between these and its table, or after both."""
    out = tmp_path / "store"
    append, write, calls = stores._append, stores._write, []

    def stop(function, when):
        def stopping(*args):
            calls.append(function)
            if calls.count(function) == when and moment == "before":
                raise KeyboardInterrupt
            done = function(*args)
            if calls.count(function) == when:
                raise KeyboardInterrupt
            return done

        return stopping

    monkeypatch.setattr(stores, "_write", stop(write, 4) if moment == "after" else write)
    monkeypatch.setattr(stores, "_append", stop(append, 2) if moment != "after" else append)
    with pytest.raises(KeyboardInterrupt):
        stores.write_store(demo, out, concepts=concepts, basins_at_once=2)
    monkeypatch.undo()
    (out / "reading_x").mkdir()  # as a killed process leaves it
    if moment != "after":
        with pytest.raises(InputError, match="2 of 4 basins are not prepared yet"):
            stores.Store(out)
    stores.write_store(demo, out, concepts=concepts, basins_at_once=2)
    assert (out / "values.f4").read_bytes() == (store / "values.f4").read_bytes()
    pd.testing.assert_frame_equal(pd.read_csv(out / "basins.csv"), pd.read_csv(store / "basins.csv"))
    assert sorted(p.name for p in out.iterdir()) == ["basins.csv", "store.json", "values.f4"]


def test_a_record_that_begins_late_and_ends_early(demo, tmp_path):
    """It takes no more room than its days, and is read at the right dates."""
    data = tmp_path / "caravan"
    shutil.copytree(demo / "caravan", data)
    short = sorted((data / "timeseries" / "csv" / "camels").glob("*.csv"))[1]
    lines = short.read_text(encoding="utf-8").splitlines(keepends=True)
    short.write_text("".join([lines[0], *lines[101:-50]]), encoding="utf-8")
    options = dict(forcing="caravan", attributes="none", concepts=("swe=caravan:snow_depth_water_equivalent_mean",))
    stores.write_store(data, tmp_path / "store", **options)
    held, text = stores.Store(tmp_path / "store"), hydrodata.load_dataset(data, **options)
    assert held.table["days"].tolist() == [2191, 2041, 2191, 2191] and held.length == 2191
    assert (tmp_path / "store" / "values.f4").stat().st_size == 4 * 7 * (3 * 2191 + 2041)
    basins = [str(b) for b in text["basin"].values]
    xr.testing.assert_identical(held.dataset(basins, ["swe"]).drop_attrs(), text.drop_attrs())
    assert held.first[1] == np.datetime64("2002-01-09") and held.last[1] == np.datetime64("2007-08-12")


def test_a_concept_that_a_part_lacks(demo, tmp_path):
    """Its basins are NaN in it; the parts that have it keep it."""
    table = pd.DataFrame({"date": pd.date_range("2002-01-01", periods=900), "swe": np.arange(900.0)})
    data = tmp_path / "data"
    shutil.copytree(demo, data)
    basins = hydrodata.every_basin(data, "daymet")
    (data / "own").mkdir()
    table.to_csv(data / "own" / f"{basins[2]}.csv", index=False)
    stores.write_store(data, tmp_path / "store", concepts=("snow=own/{basin}.csv:swe[mm]",), basins_at_once=2)
    held = stores.Store(tmp_path / "store").dataset(basins, ["snow"])["snow"]
    assert np.isfinite(held).any("date").values.tolist() == [False, False, True, False]
    assert float(held.sel(basin=basins[2], date="2002-01-11")) == 10 and held.attrs["units"] == "mm"


def test_bad_stores_end_in_a_sentence(store, demo, concepts, tmp_path):
    def broken(name, change):
        shutil.copytree(store, tmp_path / name)
        change(tmp_path / name)
        return tmp_path / name

    def edit(**changes):
        def change(folder):
            about = json.loads((folder / "store.json").read_text(encoding="utf-8"))
            (folder / "store.json").write_text(json.dumps(about | changes), encoding="utf-8")

        return change

    def refused(sentence, folder, **options):
        with pytest.raises(InputError, match=sentence):
            list(opened(folder, concepts, **options))

    refused("store of format 9", broken("format", edit(format=9)))
    refused("not a whole store", broken("json", lambda f: (f / "store.json").write_text("{")))
    refused("not a whole store", broken("table", lambda f: (f / "basins.csv").write_text("basin\n")))
    refused("not a whole store", broken("values", lambda f: (f / "values.f4").unlink()))
    refused("do not belong together", broken("cut", lambda f: (f / "values.f4").write_bytes(b"1234" * 99)))
    refused("was made with forcing daymet, not nldas", store, forcing="nldas")
    refused("was made with attributes auto, not climate", store, attributes="climate", climate_period=PERIOD)
    with pytest.raises(InputError, match="does not hold the concept soil2=caravan:x"):
        opened(store, ("soil2=caravan:x",))
    refused("lacks 1 of 2 basins, such as 09999999", store, basins=["09999999", stores.Store(store).table.index[0]])
    with pytest.raises(InputError, match="has no day in the data"):
        list(opened(store, concepts).within("1950-01-01", "1950-12-31"))
    with pytest.raises(InputError, match=r"store of other options \(concepts\)"):
        stores.write_store(demo, store)
    (tmp_path / "other" / "reading_list").mkdir(parents=True)
    (tmp_path / "other" / "reading_list" / "thesis.txt").write_text("mine")
    with pytest.raises(InputError, match="holds other files and no store"):
        stores.write_store(demo, tmp_path / "other")
    assert (tmp_path / "other" / "reading_list" / "thesis.txt").read_text() == "mine"
