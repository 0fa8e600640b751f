"""Several forcing products, runs scored together, a start from another run, folds, periods of single basins."""

import shutil

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import hydrodata_tf as hydrodata
import LSTM_test
import LSTM_train
from reading import windows
from running import groups, runs, simulation
from writing.files import InputError

QUICK = {"epochs": 1, "hidden_size": 4, "seed": (1,)}
TEST_PERIOD = ("2006-10-01", "2007-09-30")


@pytest.fixture(scope="module")
def two_products(demo, tmp_path_factory):
    """The demo with a second forcing product, in which heavy rain is lighter, for all basins but the last."""
    folder = tmp_path_factory.mktemp("products") / "demo"
    shutil.copytree(demo, folder)
    (forcing,) = folder.rglob("basin_mean_forcing")
    for path in sorted((forcing / "daymet").rglob("*_forcing_leap.txt"))[:-1]:
        lines = path.read_text(encoding="utf-8").splitlines()
        column = lines[3].split().index("prcp(mm/day)")
        for i in range(4, len(lines)):
            fields = lines[i].split()
            fields[column] = f"{3 * float(fields[column]) ** 0.5:.2f}"
            lines[i] = " ".join(fields)
        other = forcing / "maurer_extended" / path.parent.name / path.name.replace("cida", "maurer")
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def by_product(two_products, settings, tmp_path_factory):
    """One run for each product, on the basins that have both."""
    parent = tmp_path_factory.mktemp("by product")
    basins = hydrodata.open_data(two_products, forcing="maurer_extended").basins
    for product, seeds in (("daymet", (1, 2)), ("maurer_extended", (1,))):
        chosen = {"forcing": (product,), "basins": tuple(basins), "data_dir": str(two_products)}
        LSTM_train.main(settings(parent / product, **{**QUICK, **chosen, "seed": seeds}))
    return parent


def test_several_products_give_one_model_all_their_inputs(two_products, settings, tmp_path):
    products = ("daymet", "maurer_extended")
    data = hydrodata.open_data(two_products, forcing=products)
    assert data.inputs[:2] == ["prcp_daymet", "tmin_daymet"] and data.inputs[-1] == "vp_maurer_extended"
    assert len(data.inputs) == 10 and data.about["srad_maurer_extended"]["units"] == "W/m2"
    assert len(data.basins) == 3 and list(data.left_out.values()) == ["No maurer_extended forcing file"]
    forcing, _ = data.read(slice(None), data.dates(*TEST_PERIOD))
    np.testing.assert_allclose(forcing[..., 5], 3 * forcing[..., 0] ** 0.5, atol=0.006)
    np.testing.assert_array_equal(forcing[..., 6], forcing[..., 1])

    LSTM_train.main(settings(tmp_path / "both", forcing=products, data_dir=str(two_products), **QUICK))
    LSTM_test.main(LSTM_test.Settings(run_dir=(str(tmp_path / "both"),), metrics=("NSE",)))
    model = runs.load_run(tmp_path / "both").model(1)
    assert model.forcing_scale.names == data.inputs and model.lstm.lstm.cell.kernel.shape[0] == 10 + 27


@pytest.mark.parametrize(
    "forcing, sentence",
    [
        (("daymet", "daymet"), "name one product, or several different ones"),
        (("daymet", "caravan"), "name one product, or several different ones"),
        (("daymet", "era5"), "'era5' is not a forcing product"),
        ((), "name one product"),
    ],
)
def test_products_that_cannot_be_joined(two_products, forcing, sentence):
    with pytest.raises(InputError, match=sentence):
        hydrodata.open_data(two_products, forcing=forcing)


def test_a_concept_may_not_have_the_name_of_an_input(two_products):
    with pytest.raises(InputError, match="Concept vp_daymet has the name of an input"):
        hydrodata.open_data(two_products, ("daymet", "maurer_extended"), concepts=["vp_daymet=x/{basin}.csv:y"])


def test_the_mean_of_runs_is_the_mean_of_their_simulations(by_product):
    paths = [by_product / "daymet", by_product / "maurer_extended"]
    for path in paths:
        LSTM_test.main(LSTM_test.Settings(run_dir=(str(path),), metrics=("NSE",)))
    LSTM_test.main(LSTM_test.Settings(run_dir=tuple(map(str, paths)), metrics=("NSE",)))
    name = f"test_{TEST_PERIOD[0]}_{TEST_PERIOD[1]}"
    one, other = (xr.load_dataset(path / name / "series.nc") for path in paths)
    together = xr.load_dataset(by_product / "mean_of_daymet_maurer_extended" / name / "series.nc")
    assert together.attrs["run"] == "mean_of_daymet_maurer_extended"
    assert together.attrs["source"].count("4 cell states, forcing ") == 2
    assert list(together.member.values) == [
        "daymet seed 1", "daymet seed 2", "maurer_extended seed 1", "mean of members",
    ]  # fmt: skip
    for target in ("streamflow", "swe"):
        each = [one[f"{target}_simulated"][m].values for m in (0, 1)] + [other[f"{target}_simulated"][0].values]
        assert np.abs(each[0] - each[2]).max() > 1e-3
        got = together[f"{target}_simulated"].values
        np.testing.assert_allclose(got[:3], each, rtol=1e-6)
        np.testing.assert_allclose(got[3], np.mean(each, axis=0), rtol=1e-5, atol=1e-6)


def test_runs_that_cannot_be_scored_together(by_product, settings, two_products, tmp_path):
    LSTM_train.main(settings(tmp_path / "flow", concepts=(), data_dir=str(two_products), **QUICK))
    with pytest.raises(InputError, match="other targets"):
        groups.load_group([by_product / "daymet", tmp_path / "flow"])
    group = groups.load_group([by_product / "daymet", by_product / "maurer_extended"])
    several = group.data(*TEST_PERIOD)
    short = several[1].in_memory(several[1].dates("2001-10-01", "2007-06-30"))
    with pytest.raises(InputError, match="choose a --period that both hold"):
        group.dates([several[0], short], *TEST_PERIOD)


def test_a_training_starts_from_another_run(run_dir, settings, demo, tmp_path):
    before = runs.load_run(run_dir)
    one = hydrodata.open_data(demo).basins[0]
    chosen = settings(tmp_path / "one", basins=(one,), start_from=str(run_dir), epochs=1, learning_rate=1e-9)
    LSTM_train.main(chosen)
    after = runs.load_run(tmp_path / "one")
    assert after.normalisation["inputs"] == before.normalisation["inputs"]
    assert after.normalisation["targets"] == before.normalisation["targets"]
    assert list(after.basins.index) == [one]
    for seed in (1, 2):  # a learning rate of nothing leaves the weights of the same member
        for mine, theirs in zip(after.model(seed).get_weights(), before.model(seed).get_weights(), strict=True):
            np.testing.assert_allclose(mine, theirs, atol=1e-6)


@pytest.mark.parametrize("part, moved", [("probe", {"probe"}), ("heads", {"probe", "runoff"})])
def test_only_the_named_part_is_trained(run_dir, settings, tmp_path, part, moved):
    frozen = {"start_from": str(run_dir), "train_only": part, "seed": (2,), "epochs": 2}
    concepts = (*settings("").concepts[:1], settings("").concepts[1].replace("swe=", "other="))
    LSTM_train.main(settings(tmp_path / part, concepts=concepts, **frozen))
    before, after = runs.load_run(run_dir).model(2), runs.load_run(tmp_path / part).model(2)
    for name in ("lstm", "runoff", "forcing_scale", "attribute_scale"):
        pairs = zip(getattr(before, name).get_weights(), getattr(after, name).get_weights(), strict=True)
        assert all(np.array_equal(*pair) for pair in pairs) == (name not in moved)
    assert not np.array_equal(after.probe.kernel.numpy()[:, 0], before.probe.kernel.numpy()[:, 0])
    history = pd.read_csv(tmp_path / part / "seed_2" / "history.csv")
    assert history["loss"].iloc[1] < history["loss"].iloc[0]


def test_probe_columns_go_by_the_names_of_the_concepts(run_dir):
    run = runs.load_run(run_dir)
    scale = {**run.normalisation["targets"], "new": [1.0, 2.0]}
    targets = {name: scale[name] for name in ("streamflow", "swe", "new", "soil1")}
    model, theirs = runs.build_model(run.settings, {**run.normalisation, "targets": targets}, seed=9), run.model(2)
    kernel, bias = model.probe.get_weights()
    run.give_weights(model, 2)
    expected, their_bias = theirs.probe.get_weights()
    got, got_bias = model.probe.get_weights()
    np.testing.assert_array_equal(got, np.stack([expected[:, 1], kernel[:, 1], expected[:, 0]], axis=1))
    np.testing.assert_array_equal(got_bias, [their_bias[1], bias[1], their_bias[0]])
    run.give_weights(model, 77)  # a member that the run does not have starts from its first
    np.testing.assert_array_equal(model.runoff.kernel.numpy(), run.model(1).runoff.kernel.numpy())


def test_the_settings_of_the_run_it_starts_from_are_the_defaults(run_dir, tmp_path, demo):
    words = ["--start-from", str(run_dir), "--run-dir", str(tmp_path / "new"), "--train-only", "probe"]
    chosen = LSTM_train.from_command_line(words)
    assert (chosen.hidden_size, chosen.data_dir, chosen.seed) == (6, str(demo), (1, 2))
    assert (chosen.train_only, chosen.folds, chosen.start_from) == ("probe", 0, str(run_dir))
    LSTM_train.main(LSTM_train.replace(chosen, epochs=1, seed=(1,)))
    again = LSTM_train.from_command_line(["--resume", "--run-dir", str(tmp_path / "new")])
    assert (again.train_only, again.start_from, again.epochs) == ("probe", str(run_dir), 1)


def test_what_cannot_be_started_from(run_dir, settings, two_products, tmp_path):
    with pytest.raises(InputError, match="6 cell states, --hidden-size must be the same"):
        LSTM_train.main(settings(tmp_path / "a", start_from=str(run_dir), hidden_size=5))
    with pytest.raises(InputError, match="was trained with"):
        LSTM_train.main(settings(tmp_path / "b", start_from=str(run_dir), attributes="none"))
    with pytest.raises(InputError, match="There is no run directory"):
        LSTM_train.main(settings(tmp_path / "c", start_from=str(tmp_path / "none")))
    with pytest.raises(InputError, match="--train-only probe needs --concepts"):
        LSTM_train.main(settings(tmp_path / "d", concepts=(), train_only="probe"))


def test_folds_score_every_basin_by_the_run_that_never_saw_it(settings, demo, tmp_path):
    path = tmp_path / "folds"
    LSTM_train.main(settings(path, folds=2, **QUICK))
    basins = hydrodata.open_data(demo).basins
    folds = [runs.load_run(path / f"fold_{k}") for k in (1, 2)]
    trained = [set(fold.basins.index) for fold in folds]
    assert not trained[0] & trained[1] and sorted(trained[0] | trained[1]) == basins and len(trained[0]) == 2

    LSTM_test.main(LSTM_test.Settings(run_dir=(str(path),), metrics=("NSE",)))
    series = xr.load_dataset(path / f"test_{TEST_PERIOD[0]}_{TEST_PERIOD[1]}" / "series.nc")
    assert list(series.basin.values) == basins and series.attrs["run"] == "folds"
    for k, basin in enumerate(basins):
        unseen = folds[0] if basin in trained[1] else folds[1]
        (part,) = simulation.simulate(unseen.model(1), unseen.data(*TEST_PERIOD, basins=[basin]), *TEST_PERIOD)
        got = series["streamflow_simulated"].sel(member="seed 1")[k].values
        np.testing.assert_allclose(got, part.prediction[0, :, 0], rtol=1e-4, atol=1e-5)

    resumed = LSTM_train.from_command_line(["--resume", "--run-dir", str(path)])
    assert (resumed.folds, resumed.run_dir) == (2, str(path))
    LSTM_train.main(resumed)  # nothing is left to do
    with pytest.raises(InputError, match="1 of 2 folds: go on with"):
        shutil.rmtree(path / "fold_2")
        groups.load_group([path])


@pytest.mark.parametrize("folds", [1, -2, 5])
def test_folds_that_cannot_be(settings, tmp_path, folds):
    with pytest.raises(InputError, match="--folds"):
        LSTM_train.main(settings(tmp_path / "run", folds=folds))


@pytest.fixture
def own_periods(demo, tmp_path):
    """A basin list in which the second basin is trained, validated and tested a year later than the others."""
    basins = hydrodata.open_data(demo).basins
    columns = "train_start,train_end,valid_start,valid_end,test_start,test_end"
    own = "2001-10-01,2002-09-30,2003-10-01,2004-09-30,2004-10-01,2005-09-30"
    rows = [f"{basin}," + (own if k == 1 else ",,,,,") for k, basin in enumerate(basins)]
    path = tmp_path / "basins.csv"
    path.write_text("\n".join([f"basin_id,{columns}", *rows]) + "\n", encoding="utf-8")
    return path, basins


def test_periods_of_single_basins(own_periods, settings, demo, tmp_path):
    path, basins = own_periods
    LSTM_train.main(settings(tmp_path / "run", basins=(str(path),), **QUICK))
    run = runs.load_run(tmp_path / "run")
    data = hydrodata.load_dataset(demo, basins=basins)
    for basin, period in ((basins[0], ("2002-10-01", "2005-09-30")), (basins[1], ("2001-10-01", "2002-09-30"))):
        flow = data.streamflow.sel(basin=basin, date=slice(*period)).values.astype(float)
        got = run.basins.loc[basin, ["mean_streamflow", "std_streamflow"]].astype(float)
        np.testing.assert_allclose(got, [np.nanmean(flow), np.nanstd(flow)], rtol=1e-5)

    training = windows.training_set(
        run.data(*TEST_PERIOD), *run.data(*TEST_PERIOD).period("train", "2002-10-01", "2005-09-30")
    )
    rows = windows.window_table(training, 200, 0, np.random.default_rng(1))
    days = training.first_day + rows[rows[:, 0] == 1][:, [2, 3]]
    assert (str(days.min()), str(days.max())) == ("2001-10-01", "2002-10-01")

    LSTM_test.main(LSTM_test.Settings(run_dir=str(tmp_path / "run"), metrics=("NSE",)))
    series = xr.load_dataset(tmp_path / "run" / "test_2004-10-01_2007-09-30" / "series.nc")
    observed = series["streamflow_observed"]
    for basin, period in ((0, TEST_PERIOD), (1, ("2004-10-01", "2005-09-30"))):
        known = series.date.values[np.isfinite(observed[basin].values)].astype("datetime64[D]")
        assert (str(known.min()), str(known.max())) == period
    # A period that is asked for is asked for all basins.
    LSTM_test.main(LSTM_test.Settings(run_dir=str(tmp_path / "run"), period=TEST_PERIOD, metrics=("NSE",)))
    scores = pd.read_csv(tmp_path / "run" / f"test_{TEST_PERIOD[0]}_{TEST_PERIOD[1]}" / "scores.csv")
    assert scores.loc[scores["target"] == "streamflow", "NSE"].notna().all()


@pytest.mark.parametrize(
    "old, new, sentence",
    [
        ("2003-10-01", "2002-09-30", "Basin {1}: two of its periods share days"),
        ("2002-09-30", "2001-09-30", "Basin {1}: its train period 2001-10-01 to 2001-09-30 ends before it starts"),
        ("2001-10-01", "2001-10", "basins.csv, line 3: '2001-10' is not a date"),
        ("2001-10-01,2002-09-30", "1990-10-01,1991-09-30", "No forcing from 1990-10-01 to 1991-09-30: {1}"),
    ],
)
def test_periods_of_single_basins_that_cannot_be(own_periods, settings, tmp_path, old, new, sentence):
    path, basins = own_periods
    path.write_text(path.read_text(encoding="utf-8").replace(old, new, 1), encoding="utf-8")
    with pytest.raises(InputError, match=sentence.format(*basins)):
        LSTM_train.main(settings(tmp_path / "run", basins=(str(path),), **QUICK))
