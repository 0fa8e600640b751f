"""Training: the numbers that come out, kinds of training, and settings that cannot work."""

import shutil
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import change, file_of, same_weights

import hydrodata_tf as hydrodata
import LSTM_output_Cn
import LSTM_test
import LSTM_train
from reading import windows
from running import runs, simulation, validation
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
    got, factor = validation.validate(model, run.data(period), period, run.basins, factor=0.0)
    expected = history.loc[score.idxmax()]
    assert factor == 1  # no flow at all is worse
    for name, value in got.items():
        assert value == pytest.approx(expected[f"val_NSE_{name}"], abs=1e-4)
    learned = run.normalisation["period"]
    data = run.data(learned)
    again = validation.volume_factor(model, data, windows.training_set(data, *learned))
    assert (again == pytest.approx(1, abs=1e-5)) == (expected["streamflow_factor"] != 1)


def test_the_validation_period_is_looked_at_now_and_then_and_after_the_last_epoch(
    settings, tmp_path, monkeypatch, capsys
):
    scores = iter([0.5, 0.7, 0.6])
    monkeypatch.setattr(LSTM_train, "validate", lambda *_: ({"streamflow": next(scores)}, 1.0))
    LSTM_train.main(settings(tmp_path / "run", seed=(1,), validate_every=3, epochs=7, concepts=()))
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
    constants = np.unique(
        model.predict_on_batch({"forcing": forcing, "attributes": data.attributes.to_numpy()})[:, 9:], axis=1
    )
    np.testing.assert_array_equal(constants, np.broadcast_to(constants[:1], (4, 1, 3)))
    for k, name in enumerate(data.targets):
        spread = (training.basins[f"std_{name}"] + 0.1 * training.normalisation["targets"][name][1]).to_numpy()
        loss = [
            np.mean(np.nanmean((targets[..., k] - constants[0, 0, k] * share) ** 2, axis=1) / spread**2)
            for share in (1, 0.98, 1.02)
        ]
        assert loss[0] < min(loss[1:])


def test_scaled_streamflow_of_the_training_years_is_as_much_as_was_observed(run_dir):
    """In all basins together, each weighted as in the loss."""
    run, period = runs.load_run(run_dir), ("2002-10-01", "2005-09-30")
    assert list(period) == run.normalisation["period"]
    data = run.data(period)
    weight = (run.basins["std_streamflow"] + 0.1 * run.normalisation["targets"]["streamflow"][1]).to_numpy() ** -2

    def ratio(model):
        part = xr.concat(simulation.simulate(model, data, period), "basin").sel(target="streamflow")
        observed, simulated = (part[name].values.astype(float) for name in ("observed", "simulated"))
        known = np.isfinite(observed + simulated)
        sums = [(np.where(known, of, 0).sum(axis=1) * weight).sum() for of in (simulated, observed)]
        return sums[0] / sums[1]

    model, training = run.model(1), windows.training_set(data, *period)
    validation.scale_streamflow(model, validation.volume_factor(model, data, training), run.normalisation)
    assert ratio(model) == pytest.approx(1, abs=1e-5)
    validation.scale_streamflow(model, 0.9, run.normalisation)
    assert ratio(model) == pytest.approx(0.9, abs=1e-5)
    assert validation.volume_factor(model, data, training) == pytest.approx(1 / 0.9, abs=1e-4)


def test_streamflow_is_scaled_unless_the_validation_years_score_better_as_it_was_learned(run_dir):
    """One simulation gives both scores; they are those of an independent formula, and of a model that is scaled."""
    run, period = runs.load_run(run_dir), ("2002-10-01", "2005-09-30")
    data, model = run.data(period), run.model(1)
    part = xr.concat(simulation.simulate(model, data, period), "basin").sel(target="streamflow")
    observed = part["observed"].values.astype(float)

    def median(factor):
        error, spread = observed - factor * part["simulated"].values, observed - np.nanmean(observed, 1, keepdims=True)
        return np.median(1 - np.nansum(error**2, axis=1) / np.nansum(spread**2, axis=1))

    chosen = set()
    for factor in (0.3, 0.9, 1.1, 3.0):
        scores, kept = validation.validate(model, data, period, run.basins, factor)
        assert kept == (1 if median(1) >= median(factor) else factor)
        assert scores["streamflow"] == pytest.approx(median(kept), abs=1e-5)
        chosen.add(kept)
    assert 1 in chosen and len(chosen) > 1
    validation.scale_streamflow(model, max(chosen - {1}), run.normalisation)
    scaled, _ = validation.validate(model, data, period, run.basins, 1.0)
    assert scaled["streamflow"] == pytest.approx(median(max(chosen - {1})), abs=1e-5)


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


# Settings that cannot work


ABOVE_0 = [("hidden_size", 0), ("epochs", -1), ("batch_size", 0), ("window", -1), ("validate_every", 0)]
SHARES = ("streamflow_weight", "attribute_noise", "root_flow_share")
BAD_SETTINGS = [
    *(({name: value}, f"Settings: {name} must be a whole number above 0, not {value}.") for name, value in ABOVE_0),
    ({"learning_rate": float("nan")}, "learning_rate must be a number above 0, not nan."),
    ({"warmup_days": -1}, "warmup_days must be a whole number not below 0, not -1."),
    ({"folds": -2}, "folds must be a whole number not below 0, not -2."),
    ({"probe_penalty": -1.0}, "probe_penalty must be a number not below 0, not -1.0."),
    *(
        ({name: value}, f"{name} must be a number from 0 to 1, not {value}.")
        for name in SHARES
        for value in (-0.1, 1.1)
    ),
    *(({name: 1.0}, f"{name} must be a number from 0 on and below 1") for name in ("dropout", "weight_dropout")),
    ({"streamflow_weight": 0, "concepts": ()}, "Nothing would be learned"),
    *(({"seed": value}, "--seed takes different whole numbers from 0 to") for value in ((), (1, 1), (-1,), (2**32,))),
    ({"folds": 1}, "--folds must be 0 or at least 2, not 1."),
    ({"folds": 5}, "--folds 5 needs as many basins, not 4."),
    (
        {"valid_period": ("2006-09-30", "2006-10-01")},
        "--valid-period (2006-09-30 to 2006-10-01) and --test-period (2006-10-01 to 2007-09-30) share days.",
    ),
    ({"test_period": ("2007-09-30", "2006-10-01")}, "2007-09-30 to 2006-10-01 ends before it starts"),
    ({"train_period": ("2002-10-01", "2005-13-30")}, "'2005-13-30' is not a date"),
    *(
        ({f"{name}_period": ("2031-10-01", "2032-09-30")}, "2031-10-01 to 2032-09-30 has no day in the data")
        for name in ("train", "valid", "test")
    ),
    ({"data_dir": "no such folder"}, "no such folder"),
    ({"forcing": "era5"}, "era5"),
    ({"basins": "01013500"}, "01013500"),
    ({"attributes": "none.csv"}, "none.csv"),
    ({"concepts": "swe=nowhere/{basin}.csv:swe[mm]"}, "nowhere/{basin}.csv"),
    ({"start_from": "nowhere"}, "There is no run directory nowhere, with which"),
    ({"hidden_size": "64"}, "Settings: hidden_size must be a whole number above 0, not '64'."),
    ({"valid_period": "2006"}, "Settings: valid_period must be 2 values, each a text, not '2006'."),
]


@pytest.mark.parametrize("changes, sentence", BAD_SETTINGS)
def test_settings_that_cannot_work_write_nothing(settings, tmp_path, changes, sentence):
    with pytest.raises(InputError) as problem:
        LSTM_train.main(settings(tmp_path / "run", **changes))
    assert sentence in str(problem.value) and "\n" not in str(problem.value)
    assert not (tmp_path / "run").exists()


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
