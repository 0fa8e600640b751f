"""How long one training step of the layer takes that shows every cell state, beside the LSTMs people use instead.

    uv run bench/bench_layer.py                                      # CPU; the PyTorch peers are named as missing
    uv run --with torch==2.13.0 bench/bench_layer.py                 # CPU, all peers
    python bench/bench_layer.py --device gpu                         # one GPU, on JAX (needs jax[cuda13] and torch)

Forward and backward into every weight, forcing and attributes as the trainer has them. Each framework runs in a process
of its own with the same number of threads; in every round each peer gets the same new inputs, one after the other while
the rest wait; a ratio is the median over rounds of a peer's time by ours on the same framework (on the first one for
PyTorch). Processor time, of all cores together, holds on a machine that does other work too. Before that all are held
to a float64 numpy loop. Peers without states are given the attributes already repeated for every day and pass gradients
through h alone; those with states pass them through h and c.
"""

import importlib.util
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import tyro
from machine import machine, show, start
from tqdm import tqdm


@dataclass
class Settings:
    hidden: tuple[int, ...] = (64, 256)
    """Numbers of cell states."""
    batch: int = 256
    """Windows in a batch."""
    days: int = 365
    """Days in a window."""
    forcings: int = 5
    attributes: int = 27
    rounds: int = 9
    """Timed rounds; the table holds medians."""
    device: Literal["cpu", "gpu"] = "cpu"
    threads: int = 2
    """CPU threads of every framework."""
    out: Path = Path("bench_layer.csv")
    """CSV of the table."""


OURS = "CellStateLSTM"  # the names of both frameworks' versions start with it
CHECKED = 16  # windows of round 0, whose numbers are held to the float64 loop; round 1 compiles


def draw(settings, units, round_number):
    """Inputs of one round: a new forcing, new attributes, both together, and the gradients that reach h and c."""
    rng, batch = np.random.default_rng([units, round_number]), settings.batch if round_number else CHECKED
    forcing = rng.standard_normal((batch, settings.days, settings.forcings), dtype="float32")
    attributes = rng.standard_normal((batch, settings.attributes), dtype="float32")
    every_day = np.concatenate([forcing, np.repeat(attributes[:, None], settings.days, axis=1)], axis=-1)
    return forcing, attributes, every_day, *rng.standard_normal((2, batch, settings.days, units), dtype="float32")


def draw_weights(settings, units):
    """Kernel, recurrent kernel and bias in Keras' layout, gates i, f, g, o."""
    rng = np.random.default_rng(units)
    kernel = rng.normal(size=(settings.forcings + settings.attributes, 4 * units), scale=0.1)
    recurrent = rng.normal(size=(units, 4 * units), scale=0.5 / np.sqrt(units))
    return [w.astype("float32") for w in (kernel, recurrent, np.repeat([0, 3, 0, 0], units))]


def numpy_lstm(weights, every_day, pull_h, pull_c):
    """h, c and the gradients of sum(h pull_h) + sum(c pull_c) for the weights, day by day in float64."""
    kernel, recurrent, bias = (w.astype("float64") for w in weights)
    x, pull_h, pull_c = (a.swapaxes(0, 1).astype("float64") for a in (every_day, pull_h, pull_c))
    h = c = np.zeros(pull_h.shape[1:])
    days = []
    for x_day in x:
        i, f, g, o = np.split(x_day @ kernel + h @ recurrent + bias, 4, axis=1)
        i, f, g, o = 1 / (1 + np.exp(-i)), 1 / (1 + np.exp(-f)), np.tanh(g), 1 / (1 + np.exp(-o))
        before = h, c
        c = f * c + i * g
        h = o * np.tanh(c)
        days.append((*before, i, f, g, o, h, c))
    gradients = [np.zeros_like(w) for w in (kernel, recurrent, bias)]
    dh = dc = np.zeros_like(h)
    for day, (h0, c0, i, f, g, o, _, c) in reversed(list(enumerate(days))):
        dh = dh + pull_h[day]
        dc = dc + pull_c[day] + dh * o * (1 - np.tanh(c) ** 2)
        di, df, dg, do = dc * g * i * (1 - i), dc * c0 * f * (1 - f), dc * i * (1 - g**2), dh * np.tanh(c) * o * (1 - o)
        dz = np.concatenate([di, df, dg, do], axis=1)
        for gradient, change in zip(gradients, (x[day].T @ dz, h0.T @ dz, dz.sum(0)), strict=True):
            gradient += change
        dh, dc = dz @ recurrent.T, dc * f
    return np.stack([d[-2] for d in days], axis=1), np.stack([d[-1] for d in days], axis=1), gradients


def tensorflow_peers(settings, units, weights):
    import tensorflow as tf

    def step(states):
        def run(forcing, attributes, every_day, pull_h, pull_c):
            with tf.GradientTape() as tape:
                h, c = states(forcing, attributes, every_day)
                value = tf.reduce_sum(h * pull_h) + (0 if c is None else tf.reduce_sum(c * pull_c))
            return h, c, tape.gradient(value, trained[states])

        return tf.function(run, jit_compile=False)

    ours, theirs = keras_layers(settings, units, weights)
    trained = {ours: ours.trained, theirs: theirs.trained}
    peers = {f"{OURS}, TensorFlow": step(ours), "keras.layers.LSTM, TensorFlow": step(theirs)}
    return peers, tf.constant, lambda outputs: None  # on a CPU a tf.function returns when it is done


def jax_peers(settings, units, weights):
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_default_matmul_precision", "highest")

    def step(states):
        def value(weights, forcing, attributes, every_day, pull_h, pull_c):
            h, c = states(forcing, attributes, every_day, weights)
            return jnp.sum(h * pull_h) + (0 if c is None else jnp.sum(c * pull_c)), (h, c)

        def run(weights, *inputs):
            (_, (h, c)), gradients = jax.value_and_grad(value, has_aux=True)(weights, *inputs)
            return h, c, gradients

        compiled = jax.jit(run)
        return lambda *inputs: compiled(states.trained, *inputs)

    ours, theirs = keras_layers(settings, units, weights)
    peers = {f"{OURS}, JAX": step(ours), "keras.layers.LSTM, JAX": step(theirs)}
    return peers, jnp.asarray, jax.block_until_ready


def keras_layers(settings, units, weights):
    """Our layer and Keras' as functions (forcing, attributes, every_day) -> (h, c or None), with the same weights."""
    import keras

    from libs_tf import CellStateLSTM

    ours = CellStateLSTM(units)
    ours.build((None, None, settings.forcings), (None, settings.attributes))
    theirs = keras.layers.LSTM(units, return_sequences=True)
    theirs.build((None, None, settings.forcings + settings.attributes))

    def call(layer, *inputs, values=None):
        if values is None:
            return layer(*inputs)
        return layer.stateless_call(values, [v.value for v in layer.non_trainable_variables], *inputs)[0]

    def ours_states(forcing, attributes, every_day, values=None):
        return call(ours, forcing, attributes, values=values)

    def theirs_states(forcing, attributes, every_day, values=None):
        return call(theirs, every_day, values=values), None

    for states, layer in ((ours_states, ours), (theirs_states, theirs)):
        layer.set_weights(weights)
        states.trained = [w.value for w in layer.trainable_variables]
    return ours_states, theirs_states


def torch_peers(settings, units, weights):
    import torch

    torch.set_num_threads(settings.threads)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    device = "cuda" if settings.device == "gpu" else "cpu"

    def filled(module):
        kernel, recurrent, bias = weights
        for parameter, value in zip(module.parameters(), (kernel.T, recurrent.T, bias, 0 * bias), strict=True):
            parameter.data = torch.tensor(value).contiguous()
        return module.to(device)

    lstm = filled(torch.nn.LSTM(settings.forcings + settings.attributes, units, batch_first=True))
    cell = filled(torch.nn.LSTMCell(settings.forcings + settings.attributes, units))

    def no_states(every_day):
        return lstm(every_day)[0], None

    def loop(every_day):
        h = c = torch.zeros(len(every_day), units, device=device)
        states = []
        for day in range(every_day.shape[1]):
            h, c = cell(every_day[:, day], (h, c))
            states.append((h, c))
        return [torch.stack(series, dim=1) for series in zip(*states, strict=True)]

    def step(states, parameters):
        def run(forcing, attributes, every_day, pull_h, pull_c):
            h, c = states(every_day)
            value = (h * pull_h).sum() + (0 if c is None else (c * pull_c).sum())
            d_kernel, d_recurrent, d_bias, _ = torch.autograd.grad(value, parameters)
            return h.detach(), None if c is None else c.detach(), [d_kernel.T, d_recurrent.T, d_bias]

        return run

    def wait(outputs):
        if settings.device == "gpu":
            torch.cuda.synchronize()

    peers = {"torch.nn.LSTM": step(no_states, [*lstm.parameters()])}
    peers["loop over torch.nn.LSTMCell"] = step(loop, [*cell.parameters()])
    return peers, lambda x: torch.tensor(x, device=device), wait


FRAMEWORKS = {"tensorflow": tensorflow_peers, "jax": jax_peers, "torch": torch_peers}


def serve(framework, settings, pipe):
    """One framework's process: is sent a peer and a round, answers with seconds and, in round 0, the outputs."""
    threads = str(settings.threads)
    os.environ |= {"KERAS_BACKEND": framework, "TF_CPP_MIN_LOG_LEVEL": "3"}
    os.environ |= {"OMP_NUM_THREADS": threads, "NPROC": threads}  # PyTorch's and JAX's
    if settings.device == "cpu":
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # the frameworks share one GPU
    if framework == "tensorflow":
        import tensorflow as tf

        # As libs_tf.py sets it; keras.layers.LSTM is faster so, too.
        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(settings.threads)
    for units in settings.hidden:
        peers, to_device, wait = FRAMEWORKS[framework](settings, units, draw_weights(settings, units))
        pipe.send(list(peers))
        last_round = None
        while (order := pipe.recv()) is not None:
            name, round_number = order
            if round_number != last_round:
                inputs, last_round = [to_device(x) for x in draw(settings, units, round_number)], round_number
                wait(inputs)
            start = np.array([time.perf_counter(), time.process_time()])
            outputs = peers[name](*inputs)
            wait(outputs)
            seconds = np.array([time.perf_counter(), time.process_time()]) - start
            pipe.send((seconds, as_numpy(outputs) if round_number == 0 else None))


def as_numpy(outputs):
    h, c, gradients = outputs
    h, c, *gradients = (x.numpy(force=True) if type(x).__module__ == "torch" else x for x in (h, c, *gradients))
    return np.asarray(h), None if c is None else np.asarray(c), [np.asarray(gradient) for gradient in gradients]


def error(settings, units, outputs):
    """Largest difference of the states and of the gradients from the float64 loop, relative to its largest number."""
    _, _, every_day, pull_h, pull_c = draw(settings, units, 0)
    h, c, gradients = outputs
    pull_c = 0 * pull_c if c is None else pull_c
    expected_h, expected_c, expected_gradients = numpy_lstm(draw_weights(settings, units), every_day, pull_h, pull_c)
    states = [(h, expected_h)] if c is None else [(h, expected_h), (c, expected_c)]
    pairs = states, zip(gradients, expected_gradients, strict=True)
    return tuple(max(np.abs(got - want).max() / np.abs(want).max() for got, want in pair) for pair in pairs)


def main(settings):
    """Check, time and print the table of every hidden size."""
    print(machine("keras", "tensorflow", "jax", "torch", "numpy"), f"batch {settings.batch} x {settings.days} days")
    frameworks = ["tensorflow", "jax", "torch"] if settings.device == "cpu" else ["jax", "torch"]
    for framework in [f for f in frameworks if importlib.util.find_spec(f) is None]:
        frameworks.remove(framework)
        print(f"{framework} is not installed: its peers are missing from the table.")
    pipes = [start(serve, framework, settings) for framework in frameworks]
    show(pd.concat([measure(settings, units, pipes) for units in settings.hidden]), settings.out)


def measure(settings, units, pipes):
    peers = {name: pipe for pipe in pipes for name in pipe.recv()}
    errors, times = {}, {name: [] for name in peers}
    for round_number in tqdm(range(settings.rounds + 2), desc=f"hidden {units}", disable=None):
        for name, pipe in peers.items():
            pipe.send((name, round_number))
            try:
                seconds, outputs = pipe.recv()
            except EOFError:
                raise SystemExit(f"{name} broke off; its error stands above.") from None
            if round_number == 0:
                errors[name] = error(settings, units, outputs)
            elif round_number > 1:
                times[name].append(seconds)
    for pipe in pipes:
        pipe.send(None)
    rows = []
    ours = {name.partition(", ")[2]: name for name in peers if name.startswith(OURS)}
    for name, series in times.items():
        own = ours.get(name.partition(", ")[2], next(iter(ours.values())))
        seconds, ratios = np.median(series, axis=0), np.median(np.divide(series, times[own]), axis=0)
        row = {"layer": name, "hidden": units}
        for clock, second, ratio in zip(("ms", "processor ms"), seconds, ratios, strict=True):
            row |= {clock: 1000 * second, f"{clock}, peer / ours": ratio}
        rows.append(row | {"error of states": errors[name][0], "error of gradients": errors[name][1]})
    table = pd.DataFrame(rows)
    wrong = [name for name, both in errors.items() if max(both) > 1e-4]
    if wrong:
        raise SystemExit(f"not the same numbers, so no comparison: {', '.join(wrong)}\n{table.to_string()}")
    return table


if __name__ == "__main__":
    main(tyro.cli(Settings, description=__doc__))
