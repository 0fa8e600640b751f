"""Training: the numbers that come out, what is trained, what a training starts from, and settings that cannot work."""

import shutil
from dataclasses import asdict, replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import CONCEPTS, change, edit, file_of, same_weights

import hydrodata_tf as hydrodata
import LSTM_output_Cn
import LSTM_test
import LSTM_train
from reading import windows
from running import groups, parallel, runs, simulation
from writing.messages import InputError

QUICK = {"epochs": 1, "hidden_size": 4, "seed": (1,)}
RESULTS = "test_2006-10-01_2007-09-30"


def test_same_seed_same_numbers_and_the_order_of_basins_changes_nothing(run_dir, settings, tmp_path):
    ids = list(pd.read_csv(run_dir / "basins.csv", dtype=str)["basin"])
    LSTM_train.main(settings(tmp_path / "again", seed=2, basins=ids[::-1]))
    assert same_weights(run_dir, tmp_path / "again", seed=2)
    first, second = (runs.load_run(run_dir).model(seed).get_weights() for seed in (1, 2))
    assert any((one != other).any() for one, other in zip(first, second, strict=True))


def test_the_best_weights_are_those_of_the_best_validation_score(run_dir):
    history = pd.read_csv(run_dir / "seed_1" / "history.csv")
    share = {"streamflow": 0.7, "soil1": 0.15, "swe": 0.15}
    score = sum(share[name] * history[f"val_NSE_{name}"].clip(lower=-1).fillna(0) for name in share)
    run, period = runs.load_run(run_dir), ("2005-10-01", "2006-09-30")
    model = run.model(1)
    got = LSTM_train.median_nse(model, parallel.Team(), run.data(*period), period, run.basins)
    expected = history.loc[score.idxmax()]
    for name, value in got.items():
        assert value == pytest.approx(expected[f"val_NSE_{name}"], abs=1e-4)
    learned = run.normalisation["period"]
    data = run.data(*learned)
    again = LSTM_train.scale_streamflow(model, parallel.Team(), data, windows.training_set(data, *learned))
    assert (again == pytest.approx(1, abs=1e-5)) == (expected["streamflow_factor"] != 1)


def test_early_stopping_keeps_the_best(settings, tmp_path, monkeypatch, capsys):
    scores = iter(np.repeat([0.5, 0.7, 0.6, 0.65, 0.9], 2))  # as learned and scaled
    monkeypatch.setattr(LSTM_train, "median_nse", lambda *_: {"streamflow": next(scores)})
    LSTM_train.main(settings(tmp_path / "run", seed=(1,), patience=2, epochs=9, concepts=()))
    history = pd.read_csv(tmp_path / "run" / "seed_1" / "history.csv")
    assert list(history["val_NSE_streamflow"]) == [0.5, 0.7, 0.6, 0.65]
    assert "best weights from epoch 2" in capsys.readouterr().out


def test_the_validation_period_is_looked_at_now_and_then_and_after_the_last_epoch(
    settings, tmp_path, monkeypatch, capsys
):
    scores = iter(np.repeat([0.5, 0.7, 0.6], 2))  # as learned and scaled
    monkeypatch.setattr(LSTM_train, "median_nse", lambda *_: {"streamflow": next(scores)})
    LSTM_train.main(settings(tmp_path / "run", seed=(1,), validate_every=3, patience=3, epochs=7, concepts=()))
    history = pd.read_csv(tmp_path / "run" / "seed_1" / "history.csv")["val_NSE_streamflow"]
    assert history.dropna().to_dict() == {2: 0.5, 5: 0.7, 6: 0.6} and len(history) == 7
    assert "best weights from epoch 6" in capsys.readouterr().out


@pytest.mark.parametrize("progress, share", [(0, 0), (0.025, 0.5), (0.05, 1), (0.525, 0.5), (1, 0)])
def test_learning_rate_rises_then_falls_as_a_cosine(progress, share):
    assert LSTM_train.schedule(progress) == pytest.approx(share)


def test_a_training_begins_with_the_constants_of_least_loss(demo, settings):
    data = hydrodata.open_data(demo, concepts=settings("any").concepts)
    training = windows.training_set(data, *settings("any").train_period)
    model = runs.build_model(asdict(settings("any")), training.normalisation, 1)
    LSTM_train.begin_with_constants(model, training)
    forcing, targets = training.data.read(slice(None), training.first_day + np.arange(training.spans[:, 2].max()))
    constants = np.unique(model.predict_on_batch({"forcing": forcing, "attributes": data.attributes.to_numpy()})[:, 9:],
                          axis=1)  # fmt: skip
    np.testing.assert_array_equal(constants, np.broadcast_to(constants[:1], (4, 1, 3)))
    for k, name in enumerate(data.targets):
        spread = (training.basins[f"std_{name}"] + 0.1 * training.normalisation["targets"][name][1]).to_numpy()
        loss = [np.mean(np.nanmean((targets[..., k] - constants[0, 0, k] * share) ** 2, axis=1) / spread**2)
                for share in (1, 0.98, 1.02)]  # fmt: skip
        assert loss[0] < min(loss[1:])


def test_scaled_streamflow_of_the_training_years_is_as_much_as_was_observed(run_dir):
    """In all basins together, each weighted as in the loss."""
    run, period = runs.load_run(run_dir), ("2002-10-01", "2005-09-30")
    assert list(period) == run.normalisation["period"]
    data = run.data(*period)
    weight = (run.basins["std_streamflow"] + 0.1 * run.normalisation["targets"]["streamflow"][1]).to_numpy() ** -2

    def ratio(model):
        parts = list(simulation.simulate(model, data, *period))
        observed, simulated = (np.concatenate([getattr(p, name)[..., 0] for p in parts]).astype(float)
                               for name in ("observed", "prediction"))  # fmt: skip
        known = np.isfinite(observed + simulated)
        sums = [(np.where(known, of, 0).sum(axis=1) * weight).sum() for of in (simulated, observed)]
        return sums[0] / sums[1]

    model, training = run.model(1), windows.training_set(data, *period)
    LSTM_train.scale_streamflow(model, parallel.Team(), data, training)
    assert ratio(model) == pytest.approx(1, abs=1e-5)
    kernel, bias = model.runoff.get_weights()
    mean, std = run.normalisation["targets"]["streamflow"]
    model.runoff.set_weights([0.9 * kernel, 0.9 * bias - 0.1 * mean / std])
    assert ratio(model) == pytest.approx(0.9, abs=1e-5)
    assert LSTM_train.scale_streamflow(model, parallel.Team(), data, training) == pytest.approx(1 / 0.9, abs=1e-4)
    np.testing.assert_allclose(model.runoff.kernel.numpy(), kernel, rtol=1e-5)
    np.testing.assert_allclose(model.runoff.bias.numpy(), bias, atol=1e-5)


@pytest.mark.parametrize("learned, kept", [(1.0, "as learned"), (-99.0, "scaled"), (np.nan, "scaled")])
def test_streamflow_is_scaled_unless_the_validation_years_score_better_as_it_was_learned(run_dir, learned, kept):
    run, period, team = runs.load_run(run_dir), ("2002-10-01", "2005-09-30"), parallel.Team()
    data, model = run.data(*period), run.model(1)
    scores = {"streamflow": learned, "soil1": 0.5, "swe": 0.5}
    validation = data, windows.training_set(data, *period), period
    LSTM_train.scale_streamflow(model, team, *validation[:2])
    kernel, bias = model.runoff.get_weights()
    mean, std = run.normalisation["targets"]["streamflow"]
    model.runoff.set_weights([kernel / 2, bias / 2 - mean / std / 2])
    factor, got = LSTM_train.scale_where_better(model, team, *validation, scores)
    again = LSTM_train.scale_streamflow(model, team, *validation[:2])  # by 1 if it was scaled before
    if kept == "as learned":
        assert factor == 1 and got is scores and again == pytest.approx(2, abs=1e-5)
    else:
        assert factor == pytest.approx(2, abs=1e-5) and again == pytest.approx(1, abs=1e-5)
        assert got == pytest.approx(LSTM_train.median_nse(model, team, data, period, run.basins), abs=1e-5)


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_share_of_the_loss_is_of_the_root_of_the_flow(run_dir, settings, share):
    run = runs.load_run(run_dir)
    model = run.model(1)
    weights = {"streamflow": 0.7, "soil1": 0.1, "swe": 0.2}
    LSTM_train.compile_model(settings("any", root_flow_share=share), model, run.normalisation, weights)
    rng = np.random.default_rng(0)
    y, prediction, std = rng.uniform(0, 5, (2, 9, 3)), rng.uniform(0, 5, (2, 9, 3)), rng.uniform(1, 2, (2, 3))
    epsilon = 0.1 * run.normalisation["targets"]["streamflow"][1]
    parts = {name: float(value) for name, value in model.loss(y, prediction, std).items()}
    y, prediction, std = y[..., 0], prediction[..., 0], std[:, :1]
    plain = np.mean(((prediction - y) / (std + epsilon)) ** 2)
    roots = np.sqrt(prediction + 0.1 * epsilon) - np.sqrt(y + 0.1 * epsilon)
    roots = np.mean((roots / (np.sqrt(std) / 2 + np.sqrt(epsilon) / 2)) ** 2)
    assert parts["streamflow"] == pytest.approx(0.7 * ((1 - share) * plain + share * roots), rel=1e-5)
    assert set(parts) == {"streamflow", "soil1", "swe"} and parts["swe"] > 0


# Kinds of training


@pytest.mark.parametrize(
    "changes", [{"concepts": (), "warmup_days": 50}, {"attributes": "none", "probe_penalty": 0.01}]
)
def test_other_kinds_of_training_run_to_the_end(settings, tmp_path, changes):
    LSTM_train.main(settings(tmp_path / "run", seed=(3,), epochs=1, **changes))
    LSTM_test.main(LSTM_test.Settings(run_dir=str(tmp_path / "run"), metrics="NSE"))
    LSTM_output_Cn.main(LSTM_output_Cn.Settings(run_dir=str(tmp_path / "run"), format="netcdf", gates=True))
    summary = pd.read_csv(tmp_path / "run" / RESULTS / "summary.csv")
    assert set(summary["target"]) == {"streamflow"} | (set() if "concepts" in changes else {"soil1", "swe"})


def test_caravan_alone_is_a_data_set(settings, demo, tmp_path):
    concepts = ("soil1=caravan:volumetric_soil_water_layer_1_mean*70", "swe=caravan:snow_depth_water_equivalent_mean")
    caravan = {"data_dir": str(demo / "caravan"), "forcing": "caravan", "concepts": concepts}
    LSTM_train.main(settings(tmp_path / "run", **{**QUICK, **caravan}))
    LSTM_test.main(LSTM_test.Settings(run_dir=str(tmp_path / "run"), metrics="NSE"))
    series = xr.open_dataset(tmp_path / "run" / RESULTS / "series.nc")
    assert [str(b)[:9] for b in series.basin.values] == ["camels_96", "camels_97", "camels_98", "camels_99"]
    assert series["soil1_observed"].attrs["units"] == "mm"


@pytest.fixture(scope="module")
def two_products(demo, tmp_path_factory):
    """The demo with a second forcing product, in which heavy rain is lighter, for all basins but the last."""
    folder = shutil.copytree(demo, tmp_path_factory.mktemp("products") / "demo")
    (forcing,) = folder.rglob("basin_mean_forcing")
    for path in sorted((forcing / "daymet").rglob("*_forcing_leap.txt"))[:-1]:
        lines = path.read_text(encoding="utf-8").splitlines()
        for i, fields in enumerate(map(str.split, lines[4:]), start=4):
            fields[5] = f"{3 * float(fields[5]) ** 0.5:.2f}"  # prcp (mm/day)
            lines[i] = " ".join(fields)
        other = forcing / "maurer_extended" / path.parent.name / path.name.replace("cida", "maurer")
        other.parent.mkdir(parents=True, exist_ok=True)
        other.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


def test_several_products_give_one_model_all_their_inputs(two_products, settings, tmp_path):
    products = ("daymet", "maurer_extended")
    data = hydrodata.open_data(two_products, forcing=products)
    assert data.inputs[:2] == ["prcp_daymet", "tmin_daymet"] and data.inputs[-1] == "vp_maurer_extended"
    assert len(data.inputs) == 10 and list(data.left_out.values()) == ["No maurer_extended forcing file"]
    LSTM_train.main(settings(tmp_path / "both", forcing=products, data_dir=str(two_products), **QUICK))
    model = runs.load_run(tmp_path / "both").model(1)
    assert model.forcing_scale.names == data.inputs and model.lstm.lstm.cell.kernel.shape[0] == 10 + 27


@pytest.fixture(scope="module")
def by_product(two_products, settings, tmp_path_factory):
    """One run for each product, on the basins that have both."""
    parent = tmp_path_factory.mktemp("by product")
    basins = hydrodata.open_data(two_products, forcing="maurer_extended").basins
    for product, seeds in (("daymet", (1, 2)), ("maurer_extended", (1,))):
        chosen = {"forcing": product, "basins": basins, "data_dir": str(two_products)}
        LSTM_train.main(settings(parent / product, **{**QUICK, **chosen, "seed": seeds}))
    return parent


def test_the_mean_of_runs_is_the_mean_of_their_simulations(by_product):
    paths = [by_product / "daymet", by_product / "maurer_extended"]
    for path in paths:
        LSTM_test.main(LSTM_test.Settings(run_dir=str(path), metrics="NSE"))
    LSTM_test.main(LSTM_test.Settings(run_dir=tuple(map(str, paths)), metrics="NSE"))
    one, other = (xr.load_dataset(path / RESULTS / "series.nc") for path in paths)
    together = xr.load_dataset(by_product / "mean_of_daymet_maurer_extended" / RESULTS / "series.nc")
    assert together.attrs["run"] == "mean_of_daymet_maurer_extended"
    assert together.attrs["source"].count("4 cell states, forcing ") == 2
    members = ["daymet seed 1", "daymet seed 2", "maurer_extended seed 1", "mean of members"]
    assert list(together.member.values) == members
    for target in ("streamflow", "swe"):
        each = [one[f"{target}_simulated"][m].values for m in (0, 1)] + [other[f"{target}_simulated"][0].values]
        assert np.abs(each[0] - each[2]).max() > 1e-3
        got = together[f"{target}_simulated"].values
        np.testing.assert_allclose(got[:3], each, rtol=1e-6)
        np.testing.assert_allclose(got[3], np.mean(each, axis=0), rtol=1e-5, atol=1e-6)


def test_runs_that_cannot_be_scored_together(by_product, copy):
    edit(copy / "settings.json", "settings.concepts", CONCEPTS[1:])
    edit(copy / "normalisation.json", "targets.soil1", ...)
    with pytest.raises(InputError, match="other targets"):
        groups.load_group([by_product / "daymet", copy])
    group = groups.load_group([by_product / "daymet", by_product / "maurer_extended"])
    several = group.data("2006-10-01", "2007-09-30")
    short = several[1].in_memory(several[1].dates("2001-10-01", "2007-06-30"))
    with pytest.raises(InputError, match="choose a --period that both hold"):
        group.dates([several[0], short], "2006-10-01", "2007-09-30")


# Starts from another run


def test_a_training_starts_from_another_run(run_dir, settings, demo, tmp_path):
    before = runs.load_run(run_dir)
    one = hydrodata.open_data(demo).basins[0]
    chosen = settings(tmp_path / "one", basins=one, start_from=str(run_dir), epochs=1, learning_rate=1e-9)
    LSTM_train.main(chosen)
    after = runs.load_run(tmp_path / "one")
    assert after.normalisation["inputs"] == before.normalisation["inputs"]
    assert after.normalisation["targets"] == before.normalisation["targets"]
    assert list(after.basins.index) == [one]
    for seed in (1, 2):  # a learning rate of nothing leaves the weights of the same member, but for streamflow's scale
        mine, theirs = after.model(seed), before.model(seed)
        for layer in ("lstm", "probe", "forcing_scale", "attribute_scale"):
            for one, other in zip(*(getattr(m, layer).get_weights() for m in (mine, theirs)), strict=True):
                np.testing.assert_allclose(one, other, atol=1e-6)
        ratio = mine.runoff.kernel.numpy() / theirs.runoff.kernel.numpy()
        np.testing.assert_allclose(ratio, np.full_like(ratio, ratio[0]), rtol=1e-3)


@pytest.mark.parametrize("part, moved", [("probe", {"probe"}), ("heads", {"probe", "runoff"})])
def test_only_the_named_part_is_trained(run_dir, demo, tmp_path, part, moved):
    """The settings of the run that it starts from are the defaults."""
    words = ["--start-from", str(run_dir), "--run-dir", str(tmp_path / part), "--train-only", part, "--epochs", "2"]
    chosen = LSTM_train.from_command_line(words)
    assert (chosen.hidden_size, chosen.data_dir, chosen.seed, chosen.folds) == (6, str(demo), (1, 2), 0)
    LSTM_train.main(replace(chosen, seed=(2,), concepts=(CONCEPTS[0], CONCEPTS[1].replace("swe=", "other="))))
    again = LSTM_train.from_command_line(["--resume", "--run-dir", str(tmp_path / part)])
    assert (again.train_only, again.start_from, again.epochs) == (part, str(run_dir), 2)
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
    run.give_weights(model, 2, {"swe": 1.0, "soil1": 1.0})
    expected, their_bias = theirs.probe.get_weights()
    got, got_bias = model.probe.get_weights()
    np.testing.assert_array_equal(got, np.stack([expected[:, 1], kernel[:, 1], expected[:, 0]], axis=1))
    np.testing.assert_array_equal(got_bias, [their_bias[1], bias[1], their_bias[0]])
    run.give_weights(model, 77, {})  # a member that the run does not have starts from its first
    np.testing.assert_array_equal(model.runoff.kernel.numpy(), run.model(1).runoff.kernel.numpy())


# Settings that cannot work


@pytest.mark.parametrize(
    "changes, sentence",
    [
        *(({name: value}, f"--{name.replace('_', '-')} must be above 0, not {value}.") for name, value in
          (("hidden_size", 0), ("epochs", -1), ("batch_size", 0), ("window", -1), ("learning_rate", float("nan")),
           ("clip_norm", 0.0), ("patience", 0),
           ("validate_every", 0))),
        *(({name: value}, f"--{name.replace('_', '-')} must not be below 0, not {value}.") for name, value in
          (("warmup_days", -1), ("streamflow_weight", float("nan")),
           ("concept_weight", -1.0), ("probe_penalty", -1.0))),
        ({"streamflow_weight": 0, "concept_weight": 0}, "Nothing would be learned"),
        ({"streamflow_weight": 0, "concepts": ()}, "Nothing would be learned"),
        *(({name: value}, f"--{name.replace('_', '-')} must be from 0 to 1, not {value}.")
          for name in ("forcing_noise", "attribute_noise", "root_flow_share") for value in (-0.1, 1.1)),
        *(({name: value}, f"--{name.replace('_', '-')} must be at least 0 and below 1, not {value}.")
          for name in ("dropout", "weight_dropout") for value in (-0.1, 1.0)),
        *(({"seed": value}, "--seed takes different whole numbers from 0 to 4294967295, not")
          for value in ((), (1, 1), (-1,), (2**32,))),
        ({"validate_every": 2, "patience": 1}, "--patience 1 would stop before --validate-every 2 has looked."),
        *(({"folds": value}, f"--folds must be 0 or at least 2, not {value}.") for value in (1, -2)),
        ({"folds": 5}, "--folds 5 needs as many basins, not 4."),
        ({"concepts": (), "train_only": "probe"}, "--train-only probe needs --concepts"),
        ({"valid_period": ("2006-09-30", "2006-10-01")},
         "--valid-period (2006-09-30 to 2006-10-01) and --test-period (2006-10-01 to 2007-09-30) share days."),
        ({"test_period": ("2007-09-30", "2006-10-01")}, "--test-period 2007-09-30 to 2006-10-01 ends before it starts"),
        ({"train_period": ("2002-10-01", "2005-13-30")}, "'2005-13-30' is not a date"),
        *(({f"{name}_period": ("2031-10-01", "2032-09-30")},
           "The period 2031-10-01 to 2032-09-30 has no day in the data") for name in ("train", "valid", "test")),
        ({"data_dir": "no such folder"}, "no such folder"),
        ({"forcing": "era5"}, "era5"),
        ({"basins": "01013500"}, "01013500"),
        ({"attributes": "none.csv"}, "none.csv"),
        ({"concepts": "swe=nowhere/{basin}.csv:swe[mm]"}, "nowhere/{basin}.csv"),
        ({"hidden_size": "64"}, "Settings: hidden_size must be a whole number, not '64'."),
        ({"train_only": "lstm"}, "Settings: train_only must be one of all, heads, probe, not 'lstm'."),
        ({"valid_period": "2006"}, "Settings: valid_period must be 2 values, each a text, not '2006'."),
    ],
)  # fmt: skip
def test_settings_that_cannot_work_write_nothing(settings, tmp_path, changes, sentence):
    with pytest.raises(InputError) as problem:
        LSTM_train.main(settings(tmp_path / "run", **changes))
    assert sentence in str(problem.value) and "\n" not in str(problem.value)
    assert not (tmp_path / "run").exists()


def test_what_cannot_be_started_from(run_dir, settings, tmp_path):
    def begin(words, **changes):
        with pytest.raises(InputError, match=words):
            LSTM_train.main(settings(tmp_path / "new", start_from=str(run_dir), **changes))

    begin("has 6 cell states, --hidden-size must be the same", hidden_size=5)
    begin("The data lack 27 of the 27 attributes of the run", attributes="none")


def test_a_concept_or_a_period_without_any_value(settings, data, tmp_path):
    basins = sorted(hydrodata.forcing_files(data, "daymet"))

    def refused(sentence, **changes):
        with pytest.raises(InputError, match=sentence):
            LSTM_train.main(settings(tmp_path / sentence, data_dir=str(data), **changes))

    for basin in basins:
        change(file_of(data, "concept", basin), "volumetric_soil_water_layer_1_mean", "")
    refused("Concept soil1: no value of")
    for basin in basins:
        change(file_of(data, "streamflow", basin), 4, "25.00", lambda n: n > 365 * 4)
        change(file_of(data, "streamflow", basin), 5, "A", lambda n: n > 365 * 4)
    refused("No basin has a score from 2005-10-01 to 2006-09-30: choose another", concepts=())
    for basin in basins:
        change(file_of(data, "forcing", basin), 5, "-999", lambda n: n > 365 * 4)
    refused("No basin has all forcing on any day from 2005-10-01 to 2006-09-30: choose another", concepts=())
    assert not list(tmp_path.glob("No *"))  # nothing is left of what was not begun
    for basin in basins:
        change(file_of(data, "streamflow", basin), 4, "-999", lambda n: n > 360)
    refused("4 of 4 basins cannot be used. No streamflow from 2002-10-01 to 2005-09-30: 96000001", concepts=())


def test_a_training_whose_numbers_leave_their_range_ends(settings, tmp_path):
    with pytest.raises(InputError, match="The loss is not a number in epoch 1: lower --learning-rate"):
        LSTM_train.main(settings(tmp_path / "run", seed=(1,), learning_rate=float("inf")))
    assert not (tmp_path / "run" / "seed_1").exists()
