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
    LSTM_train.main(settings(root / "base", **chosen))
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


def predicted(path, forcing, attributes):
    """What a model file, loaded by Keras alone, gives for one basin after its spin-up year: (day, target)."""
    model = keras.saving.load_model(path)
    return model.predict({"forcing": forcing[None], "attributes": attributes[None]}, verbose=0)[0, 365:]


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

    data = hydrodata.open_data(demo, concepts=CONCEPTS)
    forcing, observed = data.read(slice(None), np.arange(np.datetime64("2005-10-01"), np.datetime64("2007-10-01")))
    for b, basin in enumerate(basins):
        unseen = [fold for fold, trained in zip(folds, known, strict=True) if basin not in trained]
        assert len(unseen) == (2 if basin == basins[3] else 1)
        by_seed = np.array([
            np.mean([predicted(fold / f"seed_{seed}" / "model.keras", forcing[b], data.attributes.to_numpy()[b])
                     for fold in unseen], axis=0) for seed in SEEDS
        ])  # fmt: skip
        assert np.abs(by_seed[0] - by_seed[1]).max() > 1e-3
        wanted = [*by_seed, by_seed.mean(axis=0)]
        for k, name in enumerate(data.targets):
            got = series[f"{name}_simulated"].sel(basin=basin).values
            for member, one, values in zip(series.member.values, got, wanted, strict=True):
                np.testing.assert_allclose(one, values[:, k], rtol=1e-4, atol=1e-4)
                truth = observed[b, 365:, k].astype(float)
                there = np.isfinite(truth)
                error = ((truth - values[:, k])[there] ** 2).sum()
                spread = ((truth - truth[there].mean())[there] ** 2).sum()
                nse = 1 - error / spread if spread else np.nan  # a basin without snow
                assert scores.loc[(name, member, basin), "NSE"] == pytest.approx(nse, abs=1e-3, rel=1e-3, nan_ok=True)


def test_folds_without_names_are_scored_on_what_they_were_trained_on(crossed):
    root, basins = crossed
    group = groups.load_group(root / "folds")
    assert group.data(*PERIOD)[0].basins == basins[:3]
    with pytest.raises(InputError, match="in their order; there is none for folds"):
        LSTM_test.main(LSTM_test.Settings(run_dir=str(root / "folds"), begin_with=("a.nc", "b.nc")))
