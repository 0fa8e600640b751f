"""Features that meet: folds, a basin that nobody was trained on, two seeds, a start from another run, a stop."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from conftest import CONCEPTS, same_weights

import hydrodata_tf as hydrodata
import LSTM_test
import LSTM_train
from libs_tf import keras
from reading import windows
from running import groups, runs
from writing.files import InputError

PERIOD = ("2006-10-01", "2007-09-30")
RESULTS = "test_2006-10-01_2007-09-30"
SEEDS = (1, 2)


@pytest.fixture(scope="module")
def crossed(settings, demo, tmp_path_factory):
    """Two folds of three of the four basins, begun from another run of them; never stopped, and stopped and resumed."""
    root = tmp_path_factory.mktemp("crossings")
    basins = hydrodata.open_data(demo).basins
    chosen = {"basins": basins[:3], "hidden_size": 4, "seed": SEEDS, "epochs": 2}
    LSTM_train.main(settings(root / "base", **chosen | {"epochs": 1}))
    chosen |= {"start_from": str(root / "base"), "folds": 2}
    LSTM_train.main(settings(root / "whole", **chosen))

    draw, epochs = windows.training_windows, []

    def stopped(*args, **options):  # in the second epoch of the second seed of the first fold
        epochs.append(args)
        if len(epochs) == 4:
            raise KeyboardInterrupt
        return draw(*args, **options)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(windows, "training_windows", stopped)
        LSTM_train.main(settings(root / "folds", **chosen))
    with pytest.raises(InputError, match="1 of 2 folds: go on with LSTM_train.py --resume"):
        groups.load_group([root / "folds"])
    LSTM_train.main(LSTM_train.from_command_line(["--resume", "--run-dir", str(root / "folds")]))
    return root, basins


def test_folds_that_were_stopped_are_those_that_were_not(crossed):
    root, basins = crossed
    base = runs.load_run(root / "base")
    for fold in ("fold_1", "fold_2"):
        for seed in SEEDS:
            assert same_weights(root / "folds" / fold, root / "whole" / fold, seed)
        run = runs.load_run(root / "folds" / fold)
        assert run.normalisation["inputs"] == base.normalisation["inputs"] and run.seeds == list(SEEDS)
    trained = [set(runs.load_run(root / "folds" / f"fold_{k}").basins.index) for k in (1, 2)]
    assert not trained[0] & trained[1] and trained[0] | trained[1] == set(basins[:3])


def test_a_basin_is_scored_by_the_mean_of_all_runs_that_never_saw_it(crossed, demo, capsys):
    root, basins = crossed
    LSTM_test.main(LSTM_test.Settings(run_dir=str(root / "folds"), basins=basins, metrics="NSE"))
    said = f"In none of the folds: {basins[3]}. Scored by the mean of all 2 runs, none of which saw them in training."
    assert said in capsys.readouterr().out.splitlines()
    results = root / "folds" / RESULTS
    series = xr.load_dataset(results / "series.nc")
    assert list(series.member.values) == ["seed 1", "seed 2", "mean of members"] and list(series.basin.values) == basins
    scores = pd.read_csv(results / "scores.csv", dtype={"basin": str}).set_index(["target", "member", "basin"])
    folds = [root / "folds" / f"fold_{k}" for k in (1, 2)]
    known = [pd.read_csv(fold / "basins.csv", dtype=str)["basin"].tolist() for fold in folds]

    # What the model files, loaded by Keras alone, give after the spin-up year: (fold, seed, basin, day, target).
    data = hydrodata.open_data(demo, concepts=CONCEPTS)
    forcing, observed = data.read(slice(None), np.arange(np.datetime64("2005-10-01"), np.datetime64("2007-10-01")))
    inputs, observed = {"forcing": forcing, "attributes": data.attributes.to_numpy()}, observed[:, 365:].astype(float)
    given = np.array([
        [keras.saving.load_model(fold / f"seed_{seed}" / "model.keras").predict(inputs, verbose=0) for seed in SEEDS]
        for fold in folds
    ])[..., 365:, :]  # fmt: skip
    for b, basin in enumerate(basins):
        unseen = [basin not in trained for trained in known]
        assert sum(unseen) == (2 if basin == basins[3] else 1)
        by_seed = given[unseen, :, b].mean(axis=0)
        assert np.abs(by_seed[0] - by_seed[1]).max() > 1e-3
        for member, values in zip(series.member.values, [*by_seed, by_seed.mean(axis=0)], strict=True):
            for k, name in enumerate(data.targets):
                got = series[f"{name}_simulated"].sel(basin=basin, member=member)
                np.testing.assert_allclose(got, values[:, k], rtol=1e-4, atol=1e-4)
                there = np.isfinite(observed[b, :, k])
                truth, error = observed[b, there, k], observed[b, there, k] - values[there, k]
                nse = 1 - (error**2).sum() / (truth.var() * len(truth)) if truth.var() else np.nan  # without snow
                assert scores.loc[(name, member, basin), "NSE"] == pytest.approx(nse, abs=1e-3, rel=1e-3, nan_ok=True)


def test_folds_without_names_are_scored_on_what_they_were_trained_on(crossed):
    root, basins = crossed
    group = groups.load_group(root / "folds")
    assert group.data(*PERIOD)[0].basins == basins[:3]
    with pytest.raises(InputError, match="in their order; there is none for folds"):
        LSTM_test.main(LSTM_test.Settings(run_dir=str(root / "folds"), begin_with=("a.nc", "b.nc")))
