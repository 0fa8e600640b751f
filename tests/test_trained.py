"""The weights that come with the code load, give the numbers that they gave, and are those that their page names."""

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest

import LSTM_train
from running import runs

ROOT = Path(__file__).parent.parent
TRAINED = ROOT / "trained" / "camels_531"
SEEDS = sorted(int(path.parent.name.removeprefix("seed_")) for path in TRAINED.glob("seed_*/model.keras"))
# Of two years of a made-up weather in a mean basin: streamflow on the last day, its mean in the second year (mm/day),
# and the largest snow water equivalent of the second year (mm).
HELD = {
    1: (1.7308, 1.6991, 84.145),
    2: (2.8173, 2.2231, 132.608),
    3: (1.8199, 1.8462, 94.803),
    4: (2.4233, 2.6980, 70.376),
    5: (1.6073, 1.9320, 73.298),
    7: (0.8664, 2.0393, 154.354),
    8: (1.3596, 1.6313, 97.261),
    9: (0.7888, 1.6366, 79.074),
}


def made_up(run):
    """Forcing (1, 730, 5) and attributes (1, 27) of a basin with the means of the training basins and a cold winter."""
    mean, std = np.transpose([run.normalisation["inputs"][name] for name in ("prcp", "tmin", "tmax", "srad", "vp")])
    day = np.arange(730)[:, None]
    season = np.sin(2 * np.pi * (day - 110) / 365) * [0, 1.3, 1.3, 1.2, 1.1]
    rain = np.where(day % 6 == 0, 5.0, -0.4) * [1, 0, 0, 0, 0]
    forcing = mean + std * (season + rain)
    forcing[:, 0] = np.maximum(forcing[:, 0], 0)
    attributes = np.array([value[0] for value in run.normalisation["attributes"].values()])
    return {"forcing": forcing[None].astype(np.float32), "attributes": attributes[None].astype(np.float32)}


@pytest.mark.parametrize("seed", SEEDS)
def test_every_trained_member_gives_the_numbers_that_it_gave(seed):
    run = runs.load_run(TRAINED)
    water = run.model(seed).predict_on_batch(made_up(run))[0]
    flow, snow = np.asarray(water).T
    got = [flow[-1], flow[365:].mean(), snow[365:].max()]
    np.testing.assert_allclose(got, HELD[seed], rtol=2e-3, err_msg=f"{seed}: {[round(float(g), 4) for g in got]}")


def test_the_trained_weights_are_those_that_are_named_and_small():
    words = (TRAINED / "README.md").read_text(encoding="utf-8")
    named = dict(re.findall(r"`seed_(\d+)`.*?`([0-9a-f]{64})`", words))
    digests = {str(s): hashlib.sha256((TRAINED / f"seed_{s}" / "model.keras").read_bytes()).hexdigest() for s in SEEDS}
    assert named == digests and set(HELD) == set(SEEDS)
    files = [path for path in TRAINED.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 5e6
    assert {path.name for path in files} == {
        "README.md",
        "settings.json",
        "normalisation.json",
        "basins.csv",
        "model.keras",
    }


def test_a_training_that_starts_from_them_looks_at_its_own_validation_period_after_every_epoch():
    chosen = LSTM_train.from_command_line(["--start-from", str(TRAINED), "--run-dir", "new", "--epochs", "20"])
    assert (chosen.validate_every, chosen.epochs, chosen.warmup_days, chosen.run_dir) == (1, 20, 270, "new")
    assert runs.read_settings(TRAINED)["settings"]["validate_every"] == 20
