"""The layer against Keras' own LSTM and a numpy loop; its gradients by finite differences; saving and loading."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import libs_tf
from libs_tf import CellStateLSTM, ConceptLSTM, LinearProbe, Scaling, StateModel, keras, ops

BATCH, DAYS, N, M, UNITS = 3, 40, 5, 4, 6
# On TensorFlow float64 takes the path without the fused kernel, so both paths are held; JAX is float32 here.
DTYPES = ["float32", "float64"] if keras.backend.backend() == "tensorflow" else ["float32"]


def inputs(seed=0, batch=BATCH, days=DAYS):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(batch, days, N)).astype("float32"), rng.normal(size=(batch, M)).astype("float32")


def layer(dtype="float32"):
    built = CellStateLSTM(UNITS, dtype=dtype)
    built.build((None, None, N), (None, M))
    rng = np.random.default_rng(1)
    for weight in built.weights:
        weight.assign(rng.normal(scale=0.5, size=weight.shape))
    return built


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numpy_lstm(forcing, attributes, kernel, recurrent, bias, h, c):
    """A plain loop in float64: one day after the other, gates i, f, g, o."""
    states = []
    for day in range(forcing.shape[1]):
        z = np.concatenate([forcing[:, day], attributes], axis=1) @ kernel + h @ recurrent + bias
        i, f, g, o = np.split(z, 4, axis=1)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        c = f * c + i * g
        h = o * np.tanh(c)
        states.append((h, c, i, f, g, o))
    return [np.stack(series, axis=1) for series in zip(*states, strict=True)]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("started", [False, True])
def test_states_and_gates_equal_a_numpy_loop(dtype, started):
    forcing, attributes = inputs()
    lstm = layer(dtype)
    rng = np.random.default_rng(2)
    h0, c0 = (rng.normal(size=(2, BATCH, UNITS)) if started else np.zeros((2, BATCH, UNITS))).astype(dtype)
    h, c = lstm(forcing, attributes, initial_state=(ops.array(h0), ops.array(c0)) if started else None)
    gates = lstm.gates(ops.array(forcing, dtype), ops.array(attributes, dtype), h, ops.array(h0) if started else None)
    weights = [w.numpy().astype("float64") for w in lstm.weights]
    expected = numpy_lstm(forcing, attributes, *weights, h0.astype("float64"), c0.astype("float64"))
    for name, got, want in zip("hcifgo", [h, c, *(gates[k] for k in "ifgo")], expected, strict=True):
        np.testing.assert_allclose(got, want, atol=1e-5 if dtype == "float32" else 1e-12, err_msg=name)


def test_hidden_states_equal_keras_lstm_with_the_same_weights():
    forcing, attributes = inputs()
    lstm = layer()
    theirs = keras.layers.LSTM(UNITS, return_sequences=True)
    theirs.build((None, None, N + M))
    theirs.set_weights(lstm.get_weights())
    every_day = np.concatenate([forcing, np.repeat(attributes[:, None], DAYS, axis=1)], axis=-1)
    np.testing.assert_allclose(lstm(forcing, attributes)[0], theirs(every_day), atol=1e-5)


def test_initial_weights_are_an_open_forget_gate_and_an_orthogonal_recurrent_kernel():
    """The layer is compiled on JAX alone: XLA cannot compile TensorFlow's fused kernel and slows its long loops."""
    built = CellStateLSTM(UNITS)
    built.build((None, None, N), (None, M))
    kernel, recurrent, bias = built.get_weights()
    assert kernel.shape == (N + M, 4 * UNITS) and built.supports_jit == (keras.backend.backend() == "jax")
    np.testing.assert_array_equal(bias, [0] * UNITS + [3] * UNITS + [0] * 2 * UNITS)
    np.testing.assert_allclose(recurrent @ recurrent.T, np.eye(UNITS), atol=1e-5)


class Recomputed(CellStateLSTM):
    """The layer on the path that every backend can take."""

    def call(self, forcing, attributes, initial_state, recurrent_kernel=None):
        recurrent = self.recurrent_kernel if recurrent_kernel is None else recurrent_kernel
        return self._recomputed(forcing, attributes, *initial_state, ops.convert_to_tensor(recurrent))


def values_and_gradients(lstm, arguments, pulls):
    """h, c and the gradients of <pull_h, h> + <pull_c, c> for the weights and for every argument.

    On TensorFlow a second time from a graph that was traced without knowing the batch size.
    """

    def states(weights, forcing, attributes, *start):
        others = [v.value for v in lstm.non_trainable_variables]
        return lstm.stateless_call(weights, others, forcing, attributes, initial_state=start)[0]

    def value(weights, *arguments):
        h, c = states(weights, *arguments)
        return ops.sum(h * pulls[0]) + ops.sum(c * pulls[1]), (h, c)

    weights = [ops.convert_to_tensor(w) for w in lstm.get_weights()]
    arguments = [ops.convert_to_tensor(x) for x in arguments]
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        def both(*everything):
            with tf.GradientTape() as tape:
                tape.watch(everything)
                total, (h, c) = value(everything[: len(weights)], *everything[len(weights) :])
            return h, c, *tape.gradient(total, everything)

        yield [np.asarray(x) for x in both(*weights, *arguments)]
        any_batch = [*(w.shape for w in weights), *([None, *x.shape[1:]] for x in arguments)]
        trace = tf.function(both, input_signature=[tf.TensorSpec(shape) for shape in any_batch])
        yield [np.asarray(x) for x in trace(*weights, *arguments)]
        return
    import jax

    both = jax.jit(jax.value_and_grad(value, argnums=range(5), has_aux=True))
    (_, (h, c)), (of_weights, *of_arguments) = both(weights, *arguments)
    yield [np.asarray(x) for x in (h, c, *of_weights, *of_arguments)]


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_equal_finite_differences(dtype):
    """Through h and c both, for every weight; the differences are taken in float64 by the numpy loop."""
    forcing, attributes = (x.astype(dtype) for x in inputs())
    lstm = layer(dtype)
    pulls = pull_h, pull_c = np.random.default_rng(3).normal(size=(2, BATCH, DAYS, UNITS)).astype(dtype)
    weights = [w.numpy().astype("float64") for w in lstm.weights]
    zeros = np.zeros((BATCH, UNITS), dtype)
    _, _, *gradients = next(values_and_gradients(lstm, [forcing, attributes, zeros, zeros], pulls))

    def value():
        h, c = numpy_lstm(forcing.astype("float64"), attributes.astype("float64"), *weights, zeros, zeros)[:2]
        return np.sum(h * pull_h) + np.sum(c * pull_c)

    rng = np.random.default_rng(4)
    for weight, gradient in zip(weights, gradients[:3], strict=True):
        scale = np.abs(gradient).max()
        for _ in range(20):
            at = tuple(rng.integers(0, n) for n in weight.shape)
            kept = weight[at]
            weight[at] = kept + 1e-5
            above = value()
            weight[at] = kept - 1e-5
            below = value()
            weight[at] = kept
            assert abs((above - below) / 2e-5 - gradient[at]) < (1e-4 if dtype == "float32" else 1e-7) * scale


ON_JAX = pytest.mark.skipif(keras.backend.backend() != "jax", reason="JAX alone has a loop for GPUs of its own")


@pytest.mark.parametrize(
    "batch, device", [(1, "cpu"), (2, "cpu"), (9, "cpu"), (14, "cpu"), pytest.param(5, "gpu", marks=ON_JAX)]
)
def test_every_path_gives_the_same_states_and_gradients(batch, device, monkeypatch):
    """Gradients for the weights, the inputs and the initial state; batches in one, two and three unequal parts.

    JAX runs the loop for GPUs on the CPU, with a batch size of its own because it keeps compiled loops by their shapes.
    """
    monkeypatch.setattr(libs_tf, "CORES", 3)
    rng = np.random.default_rng(batch)
    start, pulls = (rng.normal(size=(2, batch, *shape, UNITS)).astype("float32") for shape in ((), (DAYS,)))
    fast, slow = layer(), Recomputed(UNITS)
    slow.build((None, None, N), (None, M))
    slow.set_weights(fast.get_weights())
    arguments = [*inputs(batch, batch), *start]
    wanted = next(values_and_gradients(slow, arguments, pulls))
    if device == "gpu":
        monkeypatch.setattr(libs_tf.jax, "default_backend", lambda: "gpu")
    for got in values_and_gradients(fast, arguments, pulls):
        assert len(got) == len(wanted) == 9
        for name, g, w in zip("h c kernel recurrent bias forcing attributes h0 c0".split(), got, wanted, strict=True):
            np.testing.assert_allclose(g, w, atol=1e-5 * max(1, np.abs(w).max()), err_msg=name)


@pytest.mark.parametrize("kind", [CellStateLSTM, Recomputed])
def test_a_recurrent_kernel_that_is_given_takes_the_place_of_the_layers_own(kind):
    own, other = kind(UNITS), layer()
    own.build((None, None, N), (None, M))
    kernel, recurrent, bias = other.get_weights()
    own.set_weights([kernel, np.zeros_like(recurrent), bias])
    zeros, (forcing, attributes) = np.zeros((BATCH, UNITS), "float32"), inputs()
    h, c = own(forcing, attributes, (zeros, zeros), recurrent)
    for got, wanted in zip((h, c), other(forcing, attributes), strict=True):
        np.testing.assert_allclose(got, wanted, atol=1e-5)
    assert np.array_equal(own.get_weights()[1], np.zeros_like(recurrent))
    given, wanted = own.gates(forcing, attributes, h, None, recurrent), other.gates(forcing, attributes, h)
    np.testing.assert_allclose(given["f"], wanted["f"], atol=1e-6)


FORCING, ATTRIBUTES = [f"forcing{k}" for k in range(N)], [f"attribute{k}" for k in range(M)]


def concept_model(
    targets=("streamflow", "soil1", "swe"), statistics=(0.0, 1.0), attribute_range=None, **regularisation
):
    """A model whose variables all have the mean and standard deviation `statistics`."""
    keras.utils.set_random_seed(0)
    model = ConceptLSTM(UNITS, targets, FORCING, ATTRIBUTES, attribute_range, regularisation)
    model.build()
    kinds = {"inputs": FORCING, "attributes": ATTRIBUTES, "targets": targets}
    model.set_statistics({kind: dict.fromkeys(names, statistics) for kind, names in kinds.items()})
    return model


def test_probe_reads_cell_states_and_runoff_reads_hidden_states():
    forcing, attributes = inputs()
    model = concept_model()
    model.runoff.bias.assign([0.5])
    model.probe.bias.assign([1.0, -2.0])
    h, c = model.lstm(forcing, attributes)
    runoff_kernel, runoff_bias = model.runoff.get_weights()
    probe_kernel, probe_bias = model.probe.get_weights()
    flow = h @ runoff_kernel + runoff_bias
    expected = np.concatenate([np.maximum(flow, 0), c @ probe_kernel + probe_bias], axis=-1)
    got = model({"forcing": forcing, "attributes": attributes})
    np.testing.assert_allclose(got, expected, atol=1e-6)
    trained = model({"forcing": forcing, "attributes": attributes}, training=True)
    assert not np.allclose(trained[..., 0], expected[..., 0], atol=1e-3)  # runoff sees dropped-out hidden states
    np.testing.assert_allclose(trained[..., 1:], expected[..., 1:], atol=1e-6)  # the probe sees every cell state


def test_the_model_normalises_and_answers_in_the_units_of_its_variables():
    forcing, attributes = inputs()
    plain, scaled = concept_model(), concept_model(statistics=(3.0, 20.0))
    wanted = np.asarray(plain({"forcing": forcing, "attributes": attributes}))
    raw = {"forcing": forcing * 20 + 3, "attributes": attributes * 20 + 3}
    got = np.asarray(scaled(raw))
    np.testing.assert_allclose(got[..., 1:], wanted[..., 1:] * 20 + 3, atol=1e-3)
    flow = np.asarray(plain({"forcing": forcing, "attributes": attributes}, training=True))  # not cut off at zero
    assert (flow[..., 0] < 0).any() and wanted[..., 0].min() == 0
    assert (got[..., 0] >= 0).all() and (got[..., 0] > 3).any()


def test_a_day_with_a_missing_input_is_a_day_of_mean_weather():
    forcing, attributes = inputs()
    model = concept_model(statistics=(3.0, 20.0))
    mean = forcing.copy()
    mean[1, 7] = 3.0
    forcing[1, 7, 2] = np.nan
    np.testing.assert_array_equal(
        model({"forcing": forcing, "attributes": attributes}), model({"forcing": mean, "attributes": attributes})
    )


def test_statistics_are_weights_that_training_leaves_alone():
    model = concept_model(statistics=(3.0, 20.0))
    scales = (model.forcing_scale, model.attribute_scale, model.target_scale)
    assert not any(scale.trainable_weights for scale in scales) and len(model.non_trainable_weights) == 6
    with pytest.raises(ValueError, match="2 variables"):
        Scaling(["a", "b"], name="scale").build((None, 3))


def test_runoff_alone_has_no_probe():
    forcing, attributes = inputs()
    model = concept_model(["streamflow"])
    assert model({"forcing": forcing, "attributes": attributes}).shape == (BATCH, DAYS, 1)
    assert len(model.trainable_weights) == 5


def test_noise_of_the_given_size_reaches_the_attributes_in_training_only_and_is_drawn_once_a_window():
    model = concept_model(attribute_noise=0.5, dropout=0.0)
    x = {"forcing": np.zeros((2000, 2, N), "float32"), "attributes": np.ones((2000, M), "float32")}
    np.testing.assert_array_equal(model.normalise(x)[1], x["attributes"])
    added = np.asarray(model.normalise(x, training=True)[1]) - x["attributes"]
    assert abs(added.std() - 0.5) < 0.02 and abs(added.mean()) < 0.02
    seen = []
    model.lstm.call = lambda forcing, attributes, *others: seen.append(attributes) or [ops.zeros((2000, 2, UNITS))] * 2
    model(x | {"before": x["forcing"]}, training=True)
    assert len(seen) == 2 and np.array_equal(*seen) and not np.array_equal(seen[0], x["attributes"])


def test_a_share_of_the_recurrent_weights_is_dropped_in_training_only_and_once_a_step():
    model, seen = concept_model(weight_dropout=0.25, dropout=0.0), []
    model.lstm.call = lambda x, a, state, recurrent: seen.append(np.array(recurrent)) or [ops.zeros((1, 2, UNITS))] * 2
    forcing, kernel = np.zeros((1, 2, N), "float32"), model.lstm.recurrent_kernel.numpy()
    x = {"forcing": forcing, "before": forcing, "attributes": np.ones((1, M), "float32")}
    model(x)
    for _ in range(30):
        model(x, training=True)
    np.testing.assert_array_equal(seen[0], kernel)
    masks = np.array(seen[2:]) / kernel
    np.testing.assert_allclose(np.unique(masks.round(5)), [0, 1 / 0.75], atol=1e-5)
    assert np.array_equal(masks[0::2], masks[1::2]) and not np.array_equal(masks[0], masks[2])
    assert abs((masks == 0).mean() - 0.25) < 0.03


def training_gradients(model, x):
    """Gradients of the sum of the predictions, for the LSTM's weights and the forcing of the days before."""
    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        with tf.GradientTape() as tape:
            x = {name: tf.convert_to_tensor(values) for name, values in x.items()}
            tape.watch(x)
            total = ops.sum(model(x, training=True))
        return tape.gradient(total, [model.lstm.weights[1].value, x["before"]], unconnected_gradients="zero")
    import jax

    def total(recurrent, before):
        weights = [recurrent if v is model.lstm.weights[1] else v.value for v in model.trainable_variables]
        others = [v.value for v in model.non_trainable_variables]
        return ops.sum(model.stateless_call(weights, others, x | {"before": before}, training=True)[0])

    return jax.grad(total, argnums=(0, 1))(model.lstm.weights[1].value, x["before"])


def test_days_before_a_window_give_its_first_states_and_no_gradient():
    forcing, attributes = inputs()
    model = concept_model(dropout=0.0)
    x = {"forcing": forcing[:, 25:], "before": forcing[:, :25], "attributes": attributes}
    np.testing.assert_allclose(model(x), model({"forcing": forcing, "attributes": attributes})[:, 25:], atol=1e-5)
    h, c = (np.array(states[:, 24]) for states in model.lstm(forcing, attributes))
    recurrent, before = training_gradients(model, x)
    assert not np.any(before)
    # The gradient of a window that begins with these states as constants: the layer's own, through its outputs.
    run = model.lstm.call
    model.lstm.call = lambda x, a, state, recurrent: run(x, a, (h, c), recurrent)
    wanted = training_gradients(model, x | {"before": forcing[:, :1]})[0]
    np.testing.assert_allclose(recurrent, wanted, rtol=1e-4, atol=1e-4)


def test_an_attribute_outside_of_the_range_counts_as_its_edge_in_the_saved_model_too(tmp_path):
    forcing, attributes = inputs()
    ranges = {name: (-0.5, 1.0 + k) for k, name in enumerate(ATTRIBUTES)}
    held, free = (concept_model(statistics=(3.0, 20.0), attribute_range=held) for held in (ranges, None))
    attributes = np.clip(attributes, -0.5, 1.0)
    far = attributes.copy()
    attributes[0], attributes[-1] = -0.5, [high for _, high in ranges.values()]
    far[0], far[-1] = -1000.0, 1e30
    x, outside = {"forcing": forcing, "attributes": attributes}, {"forcing": forcing, "attributes": far}
    np.testing.assert_array_equal(held(outside), free(x))
    np.testing.assert_array_equal(held(x), free(x))
    assert not np.allclose(free(outside), free(x))
    held.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras", safe_mode=True)
    np.testing.assert_array_equal(again(outside), free(x))
    assert again.get_config() == held.get_config()


def squared_errors(targets, predictions, basin_std):
    errors = ops.mean(ops.square(targets - predictions), axis=(0, 1))
    return {name: errors[k] for k, name in enumerate(["streamflow", "soil1", "swe"])}


def test_training_moves_every_weight_and_lowers_the_loss():
    forcing, attributes = inputs(batch=8)
    model = concept_model()
    before = [np.array(w) for w in model.trainable_weights]
    model.compile(optimizer=keras.optimizers.Adam(1e-2), loss=squared_errors, jit_compile=False)
    x = {"forcing": forcing, "attributes": attributes, "basin_std": np.ones((8, 3), "float32")}
    y = np.stack([forcing[..., 0], np.cumsum(forcing[..., 1], axis=1) / 5, forcing[..., 2]], axis=-1)
    logs = []
    for _ in range(30):
        model.reset_metrics()
        logs.append(model.train_on_batch(x, y, return_dict=True))
    assert float(logs[-1]["loss"]) < 0.8 * float(logs[0]["loss"])
    parts = [float(logs[-1][f"{name}_loss"]) for name in model.targets]
    assert sum(parts) == pytest.approx(float(logs[-1]["loss"]), rel=1e-5)
    assert len(before) == 7
    for old, new in zip(before, model.trainable_weights, strict=True):
        assert np.all(np.any(old != np.array(new), axis=0))


def test_state_model_continues_from_a_state():
    """Two halves, the second started from the first half's last states, equal the whole."""
    forcing, attributes = inputs()
    states = StateModel(concept_model(), gates=True)
    zeros = np.zeros((BATCH, UNITS), "float32")
    start = {"attributes": attributes, "h0": zeros, "c0": zeros}
    whole = states.predict_on_batch({"forcing": forcing, **start})
    first = states.predict_on_batch({**start, "forcing": forcing[:, :17]})
    last = {"h0": first["h"][:, -1], "c0": first["c"][:, -1]}
    second = states.predict_on_batch({**start, "forcing": forcing[:, 17:], **last})
    assert set(whole) == {"prediction", *"hcifgo"}
    for name, series in whole.items():
        halves = np.concatenate([first[name], second[name]], axis=1)
        np.testing.assert_allclose(halves, series, rtol=1e-5, atol=1e-6, err_msg=name)
    kept, gained = whole["f"][:, 1:] * whole["c"][:, :-1], whole["i"][:, 1:] * whole["g"][:, 1:]
    np.testing.assert_allclose(whole["c"][:, 1:], kept + gained, atol=1e-5)
    without_gates = StateModel(states.model).predict_on_batch({"forcing": forcing, **start})
    assert set(without_gates) == {"prediction", *"hc"}


def test_defaults_and_chosen_regularisation():
    config = ConceptLSTM(UNITS, ["streamflow"], FORCING, []).get_config()
    wanted = {"dropout": 0.4, "weight_dropout": 0.0, "attribute_noise": 0.0}
    assert config["regularisation"] == wanted and config["attribute_range"] is None and config["seed"] == 0
    chosen = ConceptLSTM(UNITS, ["streamflow"], FORCING, [], None, {"weight_dropout": 0.1}, 3)
    assert chosen.get_config()["regularisation"] == wanted | {"weight_dropout": 0.1} and chosen.weight_dropout.seed == 3
    assert CellStateLSTM(UNITS).get_config()["forget_bias"] == 3.0


@pytest.mark.parametrize(
    "make, received",
    [
        (lambda: CellStateLSTM(0), "units=0"),
        (lambda: CellStateLSTM(6.5), "units=6.5"),
        (lambda: LinearProbe(0), "concepts=0"),
        (lambda: ConceptLSTM(4, ["swe"], FORCING, []), "swe"),
        (lambda: concept_model(forcing_noise=0.1), "forcing_noise"),
    ],
)
def test_wrong_arguments_are_named(make, received):
    with pytest.raises(ValueError, match=received):
        make()


@pytest.mark.skipif(keras.backend.backend() == "jax", reason="this is that run")
def test_all_of_this_holds_on_jax():
    """The other backend has a path and a gradient of its own."""
    command = [sys.executable, "-m", "pytest", "-n0", "-x", "-q", "-p", "no:cacheprovider", __file__]
    root, environment = Path(__file__).parent.parent, os.environ | {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0 and " passed" in done.stdout, done.stdout
