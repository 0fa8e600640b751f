"""Seconds for one epoch of LSTM_train.py, beside the trainers people use instead.

    uv run bench/bench_training.py                            # demo catchments; the PyTorch peers are named as missing
    uv run --with torch==2.13.0 bench/bench_training.py       # with them
    uv run --with torch==2.13.0 bench/bench_training.py --data-dir camels_us --forcing maurer_extended
        --basins s_391attrs.csv --concepts "swe=swe/{number}.csv:uaz_swe[mm]"       # the 391 catchments (one line)

Ours is LSTM_train.py itself, reading, first batches, validation and all; its training windows are handed out one batch
at a time so that each trainer takes a batch in turn while the others wait, and an epoch ends after --batches batches.
The peers have the same LSTM, dropout, loss and Adam on the same arrays, in PyTorch, for runoff alone:

- one target day per sample: every basin-day is the last day of one sample of --window days, drawn by a DataLoader, as
  NeuralHydrology ships it;
- all days as targets: windows that do not overlap, every day of a window counts.

Before any is timed, the peers get our weights and must predict the same runoff for the same windows. An epoch is
extrapolated by basin-days: the median over batches of seconds per scored basin-day, times all basin-days.
"""

import contextlib
import importlib.util
import io
import itertools
import os
import sys
import tempfile
import time
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import pandas as pd
import tyro
from machine import machine, peak_gb, show, start
from tqdm import tqdm

import LSTM_train

ONE_DAY, ALL_DAYS = "PyTorch, one target day per sample", "PyTorch, all days as targets"
FIRST = 3  # batches before the clock counts: they compile


@dataclass
class Settings(LSTM_train.Settings):
    run_dir: tyro.conf.Suppress[str] = ""
    resume: tyro.conf.Suppress[bool] = False
    epochs: tyro.conf.Suppress[int] = 1
    seed: tyro.conf.Suppress[tuple[int, ...]] = (1,)

    # Benchmark
    batches: int = 15
    """Timed batches of each trainer."""
    peers: bool = True
    """Time the PyTorch trainers too."""
    out: Path = Path("bench_training.csv")
    """CSV of the table."""


def normalised(settings, statistics, basins):
    """What the peers train on: arrays of the training period, normalised as our model does, and each basin's spread."""
    import hydrodata_tf as hydrodata
    from reading import windows

    options = {"concepts": settings.concepts, "train_period": settings.train_period}
    data = hydrodata.open_data(settings.data_dir, settings.forcing, basins, settings.attributes, **options)
    training = windows.training_set(data, *settings.train_period, settings.warmup_days)
    if training.normalisation != statistics:
        raise SystemExit("Not the training period of LSTM_train.py, so no comparison.")
    forcing, targets = data.read(slice(None), data.dates(*statistics["period"]))
    arrays = {"attributes": data.attributes.to_numpy(np.float32)}
    kinds = (("forcing", forcing, "inputs"), ("attributes", arrays["attributes"], "attributes"))
    for name, values, kind in (*kinds, ("targets", targets, "targets")):
        mean, std = np.float32(list(statistics[kind].values())).reshape(-1, 2).T
        arrays[name] = (values - mean) / std
    arrays["forcing"] = np.where(np.isfinite(forcing).all(axis=2, keepdims=True), arrays["forcing"], 0)
    spread = training.basins[[f"std_{name}" for name in data.targets]].to_numpy(np.float32)
    arrays["basin_std"] = spread / np.float32(list(statistics["targets"].values())).T[1]
    return arrays


def serve_ours(settings, pipe):
    """LSTM_train.py in a process of its own; a batch is trained when the pipe says so."""
    from reading import windows
    from running import runs

    draw_windows, build_model = windows.training_windows, runs.build_model
    models = []

    def build(*arguments):
        models.append(build_model(*arguments))
        return models[-1]

    def served(training, window, batch_size, warmup_days, rng, **share):
        x, y = next(draw_windows(training, window, batch_size, warmup_days, np.random.default_rng(0)))
        weights = [w.numpy() for layer in (models[0].lstm, models[0].runoff) for w in layer.weights]
        forcing, attributes = (np.asarray(v) for v in models[0].normalise(x))
        runoff = np.asarray(models[0](x, training=False))[..., 0]
        about = training.normalisation, training.data.basins, training.scored
        pipe.send((about, {"forcing": forcing, "attributes": attributes}, weights, runoff))
        epochs = (draw_windows(training, window, batch_size, warmup_days, rng) for _ in itertools.count())
        drawn = itertools.chain.from_iterable(epochs)
        while pipe.recv():
            began = time.perf_counter()
            x, y = next(drawn)
            ready = time.perf_counter()
            yield x, y
            pipe.send((ready - began, time.perf_counter() - ready, int(np.isfinite(y).any(axis=2).sum())))

    windows.training_windows, runs.build_model = served, build
    options = {f.name: getattr(settings, f.name) for f in fields(LSTM_train.Settings)}
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        run_dir = Path(folder) / "run"
        LSTM_train.main(LSTM_train.Settings(**options | {"run_dir": str(run_dir)}))
    pipe.send(peak_gb())


def serve_peer(settings, kind, pipe):
    """A PyTorch trainer in a process of its own."""
    import torch
    from torch.utils.data import DataLoader, Dataset

    arrays, x, weights = pipe.recv()
    forcing, attributes, std = (torch.from_numpy(arrays[n]) for n in ("forcing", "attributes", "basin_std"))
    runoff = torch.from_numpy(np.ascontiguousarray(arrays["targets"][..., 0]))
    length, last_only = settings.window, kind == ONE_DAY
    known = np.isfinite(arrays["targets"][..., 0])
    if last_only:
        known[:, : length - 1] = False
        samples = np.argwhere(known)
    else:
        samples = np.array([(b, end) for b in range(len(known)) for end in range(length - 1, known.shape[1], length)])

    class Samples(Dataset):
        def __len__(self):
            return len(samples)

        def __getitem__(self, k):
            basin, day = samples[k]
            span = slice(day + 1 - length, day + 1)
            return forcing[basin, span], attributes[basin], runoff[basin, span], std[basin, 0]

    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.lstm = torch.nn.LSTM(forcing.shape[2] + attributes.shape[1], settings.hidden_size, batch_first=True)
            self.dropout = torch.nn.Dropout(settings.dropout)
            self.head = torch.nn.Linear(settings.hidden_size, 1)

        def forward(self, forcing, attributes):
            every_day = attributes[:, None].expand(-1, forcing.shape[1], -1)
            h = self.lstm(torch.cat([forcing, every_day], dim=2))[0]
            return self.head(self.dropout(h[:, -1:] if last_only else h))[..., 0]

    torch.set_num_threads(os.cpu_count())
    model = Model()
    kernel, recurrent, bias, head, head_bias = weights
    values = (kernel.T, recurrent.T, bias, 0 * bias, head.T, head_bias)
    for parameter, value in zip(model.parameters(), values, strict=True):
        parameter.data = torch.tensor(value)
    with torch.no_grad():
        pipe.send(model.eval()(torch.from_numpy(x["forcing"]), torch.from_numpy(x["attributes"])).numpy())
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), settings.learning_rate)
    size = settings.batch_size
    loader = DataLoader(Samples(), size, shuffle=True, drop_last=len(samples) >= size)
    drawn = itertools.chain.from_iterable(itertools.repeat(loader))
    while pipe.recv():
        began = time.perf_counter()
        forcing_batch, attributes_batch, y, scale = next(drawn)
        ready = time.perf_counter()
        y = y[:, -1:] if last_only else y
        there = torch.isfinite(y)
        error = (model(forcing_batch, attributes_batch) - y) / (scale[:, None] + 0.1)
        loss = (error[there] ** 2).mean()
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), LSTM_train.CLIP_NORM)
        optimizer.step()
        loss.item()
        pipe.send((ready - began, time.perf_counter() - ready, int(there.sum())))
    pipe.send(peak_gb())


def main(settings):
    """Check, time, print and write the table."""
    print(machine("keras", os.environ.get("KERAS_BACKEND", "tensorflow"), "torch", "numpy"))
    peers = settings.peers and importlib.util.find_spec("torch") is not None
    if settings.peers and not peers:
        print("torch is not installed: its trainers are missing from the table.")
    pipes = {"LSTM_train.py": start(serve_ours, settings)}
    (statistics, basins, whole), x, weights, expected = pipes["LSTM_train.py"].recv()
    if peers:
        # Made here, so that they are not in the memory that ours is said to take.
        arrays = normalised(settings, statistics, basins)
        mean, std = statistics["targets"]["streamflow"]
        expected = (expected - mean) / std
        for kind in (ONE_DAY, ALL_DAYS):
            pipes[kind] = pipe = start(serve_peer, settings, kind)
            pipe.send((arrays, x, weights))
            simulated = np.maximum(pipe.recv(), -mean / std)  # our runoff is not below zero
            difference = np.abs(simulated - expected[:, -simulated.shape[1] :]).max()
            print(f"{kind}: with our weights the predictions differ by {difference:.0e} at most")
            if not difference < 1e-4:
                raise SystemExit("Not the same predictions, so no comparison.")
    times = {trainer: [] for trainer in pipes}
    for number in tqdm(range(FIRST + settings.batches), "batches", disable=None):
        for trainer, pipe in pipes.items():
            pipe.send(True)
            measured = pipe.recv()
            if number >= FIRST:
                times[trainer].append(measured)
    rows = []
    for trainer, pipe in pipes.items():
        pipe.send(False)
        draw, step, days = np.array(times[trainer]).T
        per_day = np.median((draw + step) / days)
        row = {"trainer": trainer, "hidden": settings.hidden_size, "batch": settings.batch_size, "basins": len(basins)}
        row |= {"basin-days": whole, "batches": settings.batches, "s per batch": np.median(draw + step)}
        row |= {"s per epoch": per_day * whole, "basin-days per s": 1 / per_day}
        row |= {"waits for data %": 100 * np.median(draw / (draw + step)), "peak memory GB": pipe.recv()}
        rows.append(row)
    table = pd.DataFrame(rows)
    table["epoch / ours"] = table["s per epoch"] / table["s per epoch"][0]
    show(table, settings.out)


if __name__ == "__main__":
    named = any(word.startswith(("--data-dir", "--data_dir")) for word in sys.argv)
    default = {} if named else vars(LSTM_train.PRESETS["demo"])
    main(tyro.cli(Settings, description=__doc__, default=Settings(**default | {"run_dir": "", "epochs": 1})))
