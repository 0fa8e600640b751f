"""The LSTM that shows its cell states, the linear probe on them, and the model that joins the two.

Written in Keras 3, so the same layers run on TensorFlow (the default) and on JAX (``KERAS_BACKEND=jax``)::

    h, c = CellStateLSTM(64)(forcing, attributes)       # every day's hidden and cell state
    soil_water = LinearProbe(4)(c)                      # a linear regression on the cell states, nothing more
"""

import os

import numpy as np

from writing.messages import InputError, quiet_start

# On TensorFlow every core works on a part of the batch; threads inside operations would only compete with that.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
with quiet_start():
    import keras
    from keras import ops
BACKEND = keras.backend.backend()
if BACKEND == "tensorflow":
    import tensorflow as tf
elif BACKEND == "jax":
    import jax

    if jax.config.jax_default_matmul_precision is None:  # on a GPU: float32 as on a CPU, not rounded to 10 bits (TF32)
        jax.config.update("jax_default_matmul_precision", "highest")
else:
    raise InputError(f"Keras starts on {BACKEND}: set KERAS_BACKEND to tensorflow or jax.")
keras.config.set_floatx("float32")  # a user's keras.json may say otherwise; half precision cannot hold runoff in mm
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
# Shares of hidden states and recurrent weights that are dropped while training, and the noise on attributes.
REGULARISATION = {"dropout": 0.4, "weight_dropout": 0.0, "attribute_noise": 0.0}


@keras.saving.register_keras_serializable(package="hydrology")
class CellStateLSTM(keras.layers.Layer):
    """Keras' LSTM with the cell state of every day exposed.

    The weights are those of ``keras.layers.LSTM`` (Hochreiter & Schmidhuber 1997, doi:10.1162/neco.1997.9.8.1735;
    forget gate of Gers et al. 2000, doi:10.1162/089976600300015015): ``kernel (n + m, 4 units)``,
    ``recurrent_kernel (units, 4 units)``, ``bias (4 units,)``, gates in the order i, f, g, o.

    Three ways lead to the same numbers. TensorFlow on a CPU: one fused kernel computes ``h`` and ``c``. JAX: a scan
    over the days with a gradient written by hand. TensorFlow on a GPU or in another precision than float32: Keras' LSTM
    (cuDNN on the GPU) computes ``h``; the gates follow from it by one matrix product, and ``c`` by solving the linear
    recurrence ``c_t = f_t c_{t-1} + i_t g_t`` with an associative scan.

    Parameters
    ----------
    units : int
        Number of cell states, also known as the hidden size.
    forget_bias : float, default 3.0
        Initial bias of the forget gate; a gate that starts open lets gradients reach back over a season.
    """

    def __init__(self, units, forget_bias=3.0, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(units, int) or units <= 0:
            raise ValueError(f"units must be a positive whole number. Received: units={units!r}")
        self.units = units
        self.forget_bias = float(forget_bias)
        # XLA cannot compile TensorFlow's fused kernel and is slow for its long loops; JAX needs XLA.
        self.supports_jit = BACKEND != "tensorflow"
        self.lstm = keras.layers.LSTM(units, return_sequences=True, dtype=self.dtype_policy, name="lstm")

    def build(self, forcing_shape, attributes_shape):
        self.lstm.build((None, None, forcing_shape[-1] + attributes_shape[-1]))
        self.lstm.cell.bias.assign(np.repeat([0, self.forget_bias, 0, 0], self.units))

    @property
    def recurrent_kernel(self):
        """The weights (units, 4 units) from the hidden states of the day before."""
        return self.lstm.cell.recurrent_kernel

    def call(self, forcing, attributes, initial_state=None, recurrent_kernel=None):
        """Run the LSTM over whole sequences.

        Parameters
        ----------
        forcing : tensor (batch, time, n)
            Normalised daily forcing.
        attributes : tensor (batch, m)
            Normalised catchment attributes, the same on every day.
        initial_state : (h, c), each a tensor (batch, units), optional
            State before the first day; zeros if not given.
        recurrent_kernel : tensor (units, 4 units), optional
            In place of the layer's own, for instance with some of its weights dropped.

        Returns
        -------
        h, c : tensors (batch, time, units)
            Hidden state and cell state after each day.
        """
        zeros = ops.zeros((ops.shape(forcing)[0], self.units), dtype=self.compute_dtype)
        h0, c0 = (zeros, zeros) if initial_state is None else initial_state
        recurrent = ops.convert_to_tensor(self.recurrent_kernel if recurrent_kernel is None else recurrent_kernel)
        if BACKEND == "jax":
            run = self._scanned
        elif self.compute_dtype == "float32" and not tf.config.list_logical_devices("GPU"):
            run = self._fused
        else:
            run = self._recomputed
        return run(forcing, attributes, h0, c0, recurrent)

    def _recomputed(self, forcing, attributes, h0, c0, recurrent):
        cell, x = self.lstm.cell, _with_attributes(forcing, attributes)
        weights = [cell.kernel, recurrent, cell.bias], self.lstm.non_trainable_variables
        h, _ = self.lstm.stateless_call(*weights, x, initial_state=[h0, c0])
        gate = self.gates(forcing, attributes, h, h0, recurrent)
        return h, _linear_recurrence(gate["f"], gate["i"] * gate["g"], c0)

    def gates(self, forcing, attributes, h, h0=None, recurrent_kernel=None):
        """The gates of every day, a dict of tensors (batch, time, units): ``i`` input, ``f`` forget, ``g`` candidate
        (tanh), ``o`` output; from what the layer was called with and the hidden states ``h`` that it returned."""
        h0 = ops.zeros_like(h[:, 0]) if h0 is None else h0
        cell, n = self.lstm.cell, forcing.shape[-1]
        recurrent = self.recurrent_kernel if recurrent_kernel is None else recurrent_kernel
        h_before = ops.concatenate([h0[:, None], h[:, :-1]], axis=1)
        # The same on every day. Without attributes TensorFlow's library for CPUs would end the process.
        static = ops.matmul(attributes, cell.kernel[n:]) + cell.bias if attributes.shape[-1] else cell.bias[None]
        z = ops.matmul(forcing, cell.kernel[:n]) + ops.matmul(h_before, recurrent) + static[:, None]
        return dict(zip("ifgo", _gates(z), strict=True))

    def _scanned(self, forcing, attributes, h0, c0, recurrent):
        cell, n = self.lstm.cell, forcing.shape[-1]
        static = ops.matmul(attributes, cell.kernel[n:]) + cell.bias
        x = ops.transpose(forcing, (1, 0, 2))
        h, c = jax.jit(_recurrence)(x, static, cell.kernel[:n], recurrent, h0, c0)
        return ops.transpose(h, (1, 0, 2)), ops.transpose(c, (1, 0, 2))

    def _fused(self, forcing, attributes, h0, c0, recurrent):
        cell, u = self.lstm.cell, self.units
        # BlockLSTM takes time first and the gates in the order i, g, f, o. (Not BlockLSTMV2: in TensorFlow 2.21 its
        # registered gradient assumes another order of the gates than it has.)
        i, f, g, o = ops.split(ops.concatenate([cell.kernel, recurrent, cell.bias[None]]), 4, axis=1)
        weights = ops.concatenate([i, g, f, o], axis=1)

        def run(forcing, attributes, h0, c0):
            x = ops.transpose(_with_attributes(forcing, attributes), (1, 0, 2))
            zeros = tf.zeros([u], x.dtype)
            options = {"forget_bias": 0.0, "cell_clip": -1.0, "use_peephole": False}
            options |= {"wci": zeros, "wcf": zeros, "wco": zeros, "w": weights[:-1], "b": weights[-1]}
            days = tf.cast(tf.shape(x)[0], tf.int64)
            states = tf.raw_ops.BlockLSTM(seq_len_max=days, x=x, cs_prev=c0, h_prev=h0, **options)
            return ops.transpose(states.h, (1, 0, 2)), ops.transpose(states.cs, (1, 0, 2))

        # A day is too little work to share between cores, so the batch is split. No part is empty: the kernel's
        # gradient for no sequences is NaN.
        batch = forcing.shape[0] or 1
        count = max(1, min(CORES, batch // 4))
        sizes = [batch // count + (k < batch % count) for k in range(count)] if count > 1 else 1
        parts = zip(*(tf.split(part, sizes) for part in (forcing, attributes, h0, c0)), strict=True)
        return tuple(tf.concat(states, axis=0) for states in zip(*(run(*part) for part in parts), strict=True))

    def get_config(self):
        return {**super().get_config(), "units": self.units, "forget_bias": self.forget_bias}


def _with_attributes(forcing, attributes):
    days = ops.shape(forcing)[1]
    return ops.concatenate([forcing, ops.repeat(attributes[:, None], days, axis=1)], axis=-1)


def _gates(z):
    i, f, g, o = ops.split(z, 4, axis=-1)
    return ops.sigmoid(i), ops.sigmoid(f), ops.tanh(g), ops.sigmoid(o)


@ops.custom_gradient
def _recurrence(x, static, kernel, recurrent, h0, c0):
    """h and c (time, batch, units) of the days x (time, batch, n); static (batch, 4 units) is added to every day."""
    # Few large operations suit a GPU: one matrix product for all days, several days in a turn of the loop. One product
    # for all days suits several devices too: they exchange one sum instead of one a day. On a CPU a product for each
    # day takes half the time (64 and 128 cell states): its arrays stay in the cache, and XLA transposes nothing.
    gpu = jax.default_backend() == "gpu"
    all_days = gpu or jax.device_count() > 1
    unroll = 8 if gpu else 1

    def project(x):
        return ops.matmul(x, kernel) + static

    def forward(state, x):
        h, c = state
        i, f, g, o = _gates((x if all_days else project(x)) + ops.matmul(h, recurrent))
        c = f * c + i * g
        h = o * ops.tanh(c)
        return (h, c), (h, c, ops.concatenate([i, f, g, o], axis=-1))

    _, (h, c, gates) = ops.scan(forward, (h0, c0), project(x) if all_days else x, unroll=unroll)

    def gradient(upstream):
        def backward(state, day):
            dh, dc, sums = state
            x, h_before, dh_day, dc_day, c, c_before, gates = day
            i, f, g, o = ops.split(gates, 4, axis=-1)
            tanh_c = ops.tanh(c)
            dh = dh + dh_day
            dc = dc + dc_day + dh * o * (1 - tanh_c**2)
            dz = [dc * g * i * (1 - i), dc * c_before * f * (1 - f), dc * i * (1 - g**2), dh * tanh_c * o * (1 - o)]
            dz = ops.concatenate(dz, axis=-1)
            if not all_days:
                products = dz, ops.matmul(ops.transpose(x), dz), ops.matmul(ops.transpose(h_before), dz)
                sums = [total + part for total, part in zip(sums, products, strict=True)]
            return (ops.matmul(dz, ops.transpose(recurrent)), dc * f, sums), dz

        h_before, c_before = (ops.concatenate([first[None], x[:-1]]) for first, x in ((h0, h), (c0, c)))
        days = (x, h_before, *upstream, c, c_before, gates)
        start = ops.zeros_like(h0), ops.zeros_like(c0), [ops.zeros_like(w) for w in (static, kernel, recurrent)]
        (dh0, dc0, sums), dz = ops.scan(backward, start, days, reverse=True, unroll=unroll)
        if all_days:
            sums = [ops.sum(dz, axis=0), *(ops.tensordot(each, dz, axes=[(0, 1), (0, 1)]) for each in (x, h_before))]
        return ops.matmul(dz, ops.transpose(kernel)), *sums, dh0, dc0

    return (h, c), gradient


def _linear_recurrence(f, b, c0):
    """c_t = f_t c_{t-1} + b_t for tensors (batch, time, units), starting from c0 (batch, units)."""

    def join(first, second):
        return first[0] * second[0], first[1] * second[0] + second[1]

    decay, gain = ops.associative_scan(join, (f, b), axis=1)
    return decay * c0[:, None] + gain


@keras.saving.register_keras_serializable(package="hydrology")
class LinearProbe(keras.layers.Layer):
    """A linear regression from cell states to hydrological concepts, nothing more: what it finds is linearly there.

    Parameters
    ----------
    concepts : int
        Number of concepts.
    """

    def __init__(self, concepts, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(concepts, int) or concepts <= 0:
            raise ValueError(f"concepts must be a positive whole number. Received: concepts={concepts!r}")
        self.concepts = concepts

    def build(self, states_shape):
        self.kernel = self.add_weight(name="kernel", shape=(states_shape[-1], self.concepts))
        self.bias = self.add_weight(name="bias", shape=(self.concepts,), initializer="zeros")

    def call(self, states):
        """Map cell states (batch, time, units) to normalised concepts (batch, time, concepts)."""
        return ops.matmul(states, self.kernel) + self.bias

    def get_config(self):
        return {**super().get_config(), "concepts": self.concepts}


@keras.saving.register_keras_serializable(package="hydrology")
class Scaling(keras.layers.Layer):
    """Mean and standard deviation of named variables over the training period, kept as weights that are not trained.

    Called, it turns values in the field's units into normalised ones; `restore` turns them back. `names` are the
    variables in the order of the last axis. A value outside of its range in `held` (dict name -> (lowest, highest)),
    if that is given, counts as the nearer edge.
    """

    def __init__(self, names, held=None, **kwargs):
        super().__init__(**kwargs)
        self.names = list(names)
        self.held = None if held is None else {name: list(map(float, held[name])) for name in self.names}

    def build(self, shape):
        if shape[-1] != len(self.names):
            raise ValueError(f"{self.name} takes {len(self.names)} variables. Received: shape={shape}")
        self.mean = self.add_weight(name="mean", shape=(len(self.names),), initializer="zeros", trainable=False)
        self.std = self.add_weight(name="std", shape=(len(self.names),), initializer="ones", trainable=False)

    def set_statistics(self, statistics):
        """Take the statistics {name: (mean, standard deviation)}, in the variables' units."""
        mean, std = np.reshape([statistics[name] for name in self.names], (-1, 2)).T
        self.mean.assign(mean)
        self.std.assign(std)

    def call(self, values):
        if self.held:
            low, high = np.array(list(self.held.values()), np.float32).T
            values = ops.minimum(ops.maximum(values, low), high)
        return (values - self.mean) / self.std

    def restore(self, values):
        """Normalised values (..., variable) in the units of the variables."""
        return values * self.std + self.mean

    def get_config(self):
        return {**super().get_config(), "names": self.names, "held": self.held}


@keras.saving.register_keras_serializable(package="hydrology")
class ConceptLSTM(keras.Model):
    """Runoff from the hidden states, concepts from the cell states of one LSTM; raw series in, mm/day and mm out.

    ``compile(loss=f)`` takes ``f(targets, predictions, basin_std) -> {target: loss}``; the losses are summed.

    Parameters
    ----------
    units : int
        Number of cell states.
    targets : sequence of str
        Names of the outputs: ``"streamflow"`` first, then the concepts (none for a model of runoff alone).
    forcing, attributes : sequences of str
        Names of the daily inputs and of the catchment attributes (there may be none), in their order.
    attribute_range : dict name -> (lowest, highest), optional
        Each attribute's range in the training basins; one outside of it counts as the edge.
    regularisation : dict, default REGULARISATION
        What makes training harder, any of: ``dropout``, the share of hidden states dropped before the runoff layer
        (the probe sees every cell state); ``weight_dropout``, the share of recurrent weights dropped, drawn once a step
        (Merity et al. 2018, arXiv:1708.02182); ``attribute_noise``, the standard deviation of the Gaussian noise on the
        normalised attributes, drawn once a sequence.
    seed : int, default 0
        Seed of the dropout masks and the noise.
    """

    def __init__(
        self, units, targets, forcing, attributes, attribute_range=None, regularisation=None, seed=0, **kwargs
    ):
        super().__init__(**kwargs)
        self.targets = list(targets)
        if self.targets[:1] != ["streamflow"]:
            raise ValueError(f"the first target must be 'streamflow'. Received: targets={self.targets}")
        self.units, self.seed = units, seed
        self.regularisation = REGULARISATION | dict(regularisation or {})
        if set(self.regularisation) != set(REGULARISATION):
            raise ValueError(f"regularisation takes {', '.join(REGULARISATION)}. Received: {regularisation}")
        self.forcing_scale = Scaling(forcing, name="forcing_scale")
        self.attribute_scale = Scaling(attributes, attribute_range, name="attribute_scale")
        self.target_scale = Scaling(targets, name="target_scale")
        self.lstm = CellStateLSTM(units, name="lstm")
        rates, noise, dropout = self.regularisation, keras.layers.GaussianNoise, keras.layers.Dropout
        self.attribute_noise = noise(rates["attribute_noise"], seed=seed, name="attribute_noise")
        self.weight_dropout = dropout(rates["weight_dropout"], seed=seed, name="weight_dropout")
        self.dropout = dropout(rates["dropout"], seed=seed, name="dropout")
        self.runoff = keras.layers.Dense(1, name="runoff")
        self.probe = LinearProbe(len(self.targets) - 1, name="probe") if len(self.targets) > 1 else None
        self.part_means = [keras.metrics.Mean(name=f"{target}_loss") for target in self.targets]

    def build(self, input_shape=None):
        forcing, attributes = (None, None, len(self.forcing_scale.names)), (None, len(self.attribute_scale.names))
        self.forcing_scale.build(forcing)
        self.attribute_scale.build(attributes)
        self.target_scale.build((None, None, len(self.targets)))
        self.lstm.build(forcing, attributes)
        self.runoff.build((None, None, self.units))
        if self.probe:
            self.probe.build((None, None, self.units))

    def set_statistics(self, normalisation):
        """Take the training period's {name: (mean, standard deviation)} of "inputs", "attributes" and "targets"."""
        self.forcing_scale.set_statistics(normalisation["inputs"])
        self.attribute_scale.set_statistics(normalisation["attributes"])
        self.target_scale.set_statistics(normalisation["targets"])

    def call(self, inputs, training=False):
        """Predict every day of a batch of sequences.

        Parameters
        ----------
        inputs : dict
            ``forcing`` (batch, time, n) and ``attributes`` (batch, m), both in their own units. A day on which any
            forcing is NaN counts as a day of mean weather. While training there may be ``before`` (batch, days, n), the
            forcing of the days before: they give the states that the first day begins with, and no gradient.

        Returns
        -------
        tensor (batch, time, targets)
            Streamflow in mm/day first, then the concepts in their units. Negative streamflow becomes 0, but not while
            training, where a flow cut off at zero would have no gradient.
        """
        forcing, attributes = self.normalise(inputs, training=training)
        recurrent = self.weight_dropout(ops.convert_to_tensor(self.lstm.recurrent_kernel), training=training)
        state = None
        if "before" in inputs:
            before = self.normalise_forcing(inputs["before"])
            state = [ops.stop_gradient(days[:, -1]) for days in self.lstm(before, attributes, None, recurrent)]
        h, c = self.lstm(forcing, attributes, state, recurrent)
        return self.read(h, c, training=training)

    def normalise(self, inputs, training=False):
        """Normalised forcing (batch, time, n) and attributes (batch, m), these with noise while training."""
        attributes = self.attribute_noise(self.attribute_scale(inputs["attributes"]), training=training)
        return self.normalise_forcing(inputs["forcing"]), attributes

    def normalise_forcing(self, forcing):
        """Normalised forcing (batch, time, n); 0 on days on which any of it is missing."""
        forcing = self.forcing_scale(forcing)
        known = ops.all(ops.isfinite(forcing), axis=-1, keepdims=True)
        return ops.where(known, forcing, 0.0)

    def read(self, h, c, training=False):
        """Predictions (batch, time, targets) in their units from hidden and cell states (batch, time, units)."""
        outputs = self.runoff(self.dropout(h, training=training))
        if self.probe:
            outputs = ops.concatenate([outputs, self.probe(c)], axis=-1)
        outputs = self.target_scale.restore(outputs)
        if training:
            return outputs
        return ops.concatenate([ops.maximum(outputs[..., :1], 0.0), outputs[..., 1:]], axis=-1)

    def compute_loss(self, x, y, y_pred, sample_weight=None, training=True):
        parts = self.loss(y, y_pred, x["basin_std"])
        for mean, target in zip(self.part_means, self.targets, strict=True):
            mean.update_state(parts[target])
        return sum(parts.values())

    def get_config(self):
        config = {"units": self.units, "targets": self.targets, "seed": self.seed}
        config |= {"forcing": self.forcing_scale.names, "attributes": self.attribute_scale.names}
        config |= {"attribute_range": self.attribute_scale.held, "regularisation": dict(self.regularisation)}
        return {**super().get_config(), **config}


class StateModel(keras.Model):
    """The states behind the predictions of a ConceptLSTM, from any initial state, with that model's weights.

    `model` is built; `gates` says whether the four gates are returned as well. Call it by ``predict_on_batch``, which
    compiles on every backend.
    """

    def __init__(self, model, gates=False, **kwargs):
        super().__init__(**kwargs)
        self.model, self.gates = model, gates

    def call(self, inputs):
        """Run over sequences; `inputs` are those of the model and the states before, ``h0`` and ``c0`` (batch, units).

        A dict of ``prediction`` (batch, time, targets) as the model gives it, the states ``h`` and ``c`` and, if asked
        for, the gates ``i``, ``f``, ``g``, ``o``, each (batch, time, units).
        """
        forcing, attributes = self.model.normalise(inputs)
        h, c = self.model.lstm(forcing, attributes, initial_state=(inputs["h0"], inputs["c0"]))
        states = {"prediction": self.model.read(h, c), "h": h, "c": c}
        return states | (self.model.lstm.gates(forcing, attributes, h, inputs["h0"]) if self.gates else {})
