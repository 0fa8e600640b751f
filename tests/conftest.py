"""Fixtures: a small synthetic demo and a run trained on it, made once per test session."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

CONCEPTS = (
    "soil1=caravan/timeseries/csv/camels/camels_{basin}.csv:volumetric_soil_water_layer_1_mean*70[mm]",
    "swe=caravan/timeseries/csv/camels/camels_{basin}.csv:snow_depth_water_equivalent_mean[mm]",
)


@pytest.fixture(scope="session", autouse=True)
def cache(tmp_path_factory):
    """No test reads or writes the user's own cache."""
    os.environ["HYDRODATA_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """Folder of 4 synthetic catchments x 6 years (2001-10-01 to 2007-09-30), one of them snow-dominated."""
    from reading.demo_data import make_demo

    return make_demo(tmp_path_factory.mktemp("data") / "small", basins=4, years=6)


@pytest.fixture(scope="session")
def settings(demo):
    """A function that gives quick training settings on the small demo."""
    from LSTM_train import Settings

    def quick(run_dir, **changes):
        chosen = dict(
            run_dir=str(run_dir), data_dir=str(demo), concepts=CONCEPTS, train_period=("2002-10-01", "2005-09-30"),
            valid_period=("2005-10-01", "2006-09-30"), test_period=("2006-10-01", "2007-09-30"), hidden_size=6,
            epochs=3, batch_size=4, window=200, learning_rate=0.01, seed=(1, 2),
        )  # fmt: skip
        return Settings(**{**chosen, **changes})

    return quick


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory, settings):
    """A run with two members, trained for three epochs."""
    import LSTM_train

    path = tmp_path_factory.mktemp("runs") / "two members"
    LSTM_train.main(settings(path))
    return path
