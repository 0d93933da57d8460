"""Training without the steps that all rows of a batch pad in front: they are computed once.

Not the deployed model, which reads every step: `gatelet.train.model` gives it these weights.
"""

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any

from gatelet.train.config import TrainConfig
from gatelet.train.layers import CELL_LAYERS, hidden_layers
from gatelet.train.model import Network
from gatelet.train.padding_steps import padded

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

WINDOW_BATCHES = 32
"""Rows of so many batches of a shuffled epoch are sorted by length: random, but for that."""
_STEP = 4
"""Lengths are rounded up to a multiple: fewer shapes, for backends that compile each."""


def can_skip(config: TrainConfig) -> bool:
    """Return whether padding in front can be left out with the same result.

    The states behind it are the same in every row, or a mask leaves them at zero; a backward pass
    ends in it.
    """
    return config.padding == "pre" and not config.bidirectional


def _read_across(config: TrainConfig) -> int:
    """Return how many steps before a row's first token are read together with it."""
    return config.conv_width - 1 if config.conv else 0


def batches_of(
    lengths: "NDArray[np.integer[Any]] | None",
    *,
    rows: int,
    batch_size: int,
    seed: tuple[int, int],
    shuffled: "Callable[[np.random.Generator], NDArray[np.intp]] | None" = None,
) -> "list[NDArray[np.intp]]":
    """Return the rows of each batch of an epoch, shuffled.

    Args:
        lengths: Real tokens of each row [N]: rows of like length come together. None for none.
        rows: N.
        batch_size: Rows a batch; the last ones of a window may be fewer.
        seed: Of the run, and the number of the epoch.
        shuffled: Returns the rows in another random order, where they are not in memory.
    """
    import numpy as np

    generator = np.random.default_rng(seed)
    order = generator.permutation(rows) if shuffled is None else shuffled(generator)
    if lengths is None:
        return [order[at : at + batch_size] for at in range(0, rows, batch_size)]
    size = batch_size * WINDOW_BATCHES
    batches = []
    for start in range(0, rows, size):
        window = order[start : start + size]
        window = window[np.argsort(lengths[window], kind="stable")]
        batches += [window[at : at + batch_size] for at in range(0, len(window), batch_size)]
    return [batches[at] for at in generator.permutation(len(batches))]


def real_lengths(ids: "NDArray[np.int32]") -> "NDArray[np.intp]":
    """Return how many timesteps of each row follow its padding in front, at least 1."""
    is_real = ids != 0
    is_real[:, -1] = True
    found: NDArray[np.intp] = ids.shape[1] - is_real.argmax(axis=1)
    return found


def cut(ids: "NDArray[np.int32]", config: TrainConfig) -> "NDArray[np.int32]":
    """Return a batch without what all its rows pad in front, but for what a convolution reads."""
    longest = -(-int(real_lengths(ids).max()) // _STEP) * _STEP + _read_across(config)
    return ids[:, max(ids.shape[1] - longest, 0) :]


def skipping_model(keras: ModuleType, config: TrainConfig, network: Network) -> Any:
    """Return a model of ids [B, t], t up to `maxlen`, as if padding stood before them.

    Its weights are those of the usual one, in the same order; so are its scores and gradients but
    for float32's rounding, as long as nothing is dropped: a dropped number of the common padding
    is dropped for all rows of a batch. For the TensorFlow backend.

    Args:
        keras: The module.
        config: For which `can_skip` holds.
        network: The usual one.
    """
    import tensorflow as tf

    ops, layers = keras.ops, keras.layers
    gates, states_of_cell = _SIZES[config.cell]

    class Skipping(keras.Model):  # type: ignore[misc, name-defined]  # Keras has no types
        def __init__(self) -> None:
            super().__init__(name="skipping")
            self.embedding = layers.Embedding(
                network.vocabulary_size, config.embedding, mask_zero=config.mask_zero
            )
            self.dropout = layers.Dropout(config.dropout)
            self.before = hidden_layers(keras, config)[: bool(config.conv)]
            width = config.conv or config.embedding
            for layer in self.before:
                layer.build((None, None, config.embedding))
            cell = getattr(layers, CELL_LAYERS[config.cell])
            self.recurrent = [
                cell(config.units, return_sequences=True, return_state=True)
                for _ in range(config.layers)
            ]
            for place, layer in enumerate(self.recurrent):
                layer.build((None, None, config.units if place else width))
            self.head = layers.Dense.from_config(network.model.layers[-1].get_config())

        def call(self, ids: Any, training: bool | None = None) -> Any:
            x = self.dropout(self.embedding(ids), training=training)
            if not config.mask_zero:
                return self.head(self._behind_padding(ids, x, training))
            for layer in self.recurrent:
                x = layer(x, mask=ops.not_equal(ids, 0))[0]
            return self.head(x[:, -1])

        def _behind_padding(self, ids: Any, x: Any, training: bool | None) -> Any:
            """Return what is pooled of the steps of x [B, t, F] and of those before."""
            rows, pads = ops.shape(ids)[0], config.maxlen - ops.shape(ids)[1]
            # one step too many: a convolution of none is an error
            read = pads + _read_across(config) + 1
            before = self.embedding(ops.zeros((1, read), "int32"))
            before = self.dropout(before, training=training)
            for layer in self.before:
                before, x = layer(before), layer(x)
            before = before[0, :pads]
            for layer in self.recurrent:
                before, states = self._padded(layer, before)
                states = [ops.repeat(one[None], rows, axis=0) for one in states]
                x = layer(x, initial_state=states)[0]
            if config.pooling == "last":
                return x[:, -1]
            every = ops.concatenate([ops.repeat(before[None], rows, axis=0), x], axis=1)
            return {"mean": ops.mean, "max": ops.max}[config.pooling](every, axis=1)

        def _padded(self, layer: Any, x: Any) -> Any:
            """Return a layer's outputs over padding x [P, F], and its states behind it."""
            cell = layer.cell
            bias, recurrent_bias = cell.bias, ops.zeros((gates * config.units,))
            if config.cell == "gru":
                bias, recurrent_bias = bias[0], bias[1]
            z = ops.matmul(x, cell.kernel) + bias
            kernel = tf.identity(cell.recurrent_kernel.value)  # no variable: a plain tensor
            outputs, *states = take(z, kernel, recurrent_bias)
            return outputs, states

    @tf.custom_gradient  # type: ignore[untyped-decorator]
    def take(z: Any, kernel: Any, bias: Any) -> Any:
        shape = (None, config.units)

        def forward(*given: Any) -> Any:
            done = padded(config.cell, *given)
            return [done.outputs, *done.states]

        made = tf.numpy_function(forward, [z, kernel, bias], [tf.float32] * (1 + states_of_cell))
        made[0].set_shape(shape)
        for one in made[1:]:
            one.set_shape(shape[1:])

        def gradient(*given: Any) -> Any:
            def backward(*values: Any) -> Any:
                return list(padded(config.cell, *values[:3]).back(*values[3:]))

            found = tf.numpy_function(backward, [z, kernel, bias, *given], [tf.float32] * 3)
            for one, like in zip(found, (z, kernel, bias), strict=True):
                one.set_shape(like.shape)
            return found

        return made, gradient

    return Skipping()


_SIZES = {"lstm": (4, 2), "gru": (3, 1), "rnn": (1, 1)}
"""Gates and states of a cell."""
