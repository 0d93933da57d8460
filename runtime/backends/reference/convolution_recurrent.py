"""ConvLSTM2D: an LSTM whose products are convolutions.

Not the walk over time, which is in `recurrent`.
"""

from collections.abc import Callable

import numpy as np

from gatelet.runtime.backends.reference.convolution import convolve
from gatelet.runtime.backends.reference.operation import Array, Call
from gatelet.runtime.backends.reference.recurrent import activations_of, run_steps


def conv_lstm_2d(call: Call, *, recurrent: Callable[[Array], Array] | None = None) -> list[Array]:
    """Run a `ConvLSTM2D` node: x [B, T, H, W, C], (h, c [B, H', W', U]).

    Gates lie i, f, g, o along the last axis, as Keras stores them; there are no peepholes.

    Args:
        call: What the node is given.
        recurrent: Convolves h with the recurrent kernel, where that is not done in floats.

    Source: Shi et al. 2015, equation 3 without the terms of W_ci, W_cf and W_co.
    """
    kernel = call.weights["recurrent_kernel"]
    activation, recurrent_activation = activations_of(call)

    def in_floats(h: Array) -> Array:
        return convolve(h, kernel, strides=(1, 1), padding="same", dilation_rate=(1, 1))

    def step(projected: Array, states: tuple[Array, ...]) -> tuple[Array, ...]:
        h, c = states
        i, f, g, o = np.split(projected + (recurrent or in_floats)(h), 4, axis=-1)
        c = recurrent_activation(f) * c + recurrent_activation(i) * activation(g)
        return recurrent_activation(o) * activation(c), c

    x, *given = call.inputs
    projected = _project(call, x)
    zero = np.zeros_like(np.split(projected[:, 0], 4, axis=-1)[0])
    return run_steps(lambda t: projected[:, t], tuple(given) or (zero, zero), step, call)


def _project(call: Call, x: Array) -> Array:
    """Convolve every frame: [B, T, H, W, C] to [B, T, H', W', 4U]."""
    frames = convolve(
        x.reshape(-1, *x.shape[2:]),
        call.weights["kernel"],
        strides=call.attributes["strides"],
        padding=call.attributes["padding"],
        dilation_rate=call.attributes["dilation_rate"],
    )
    if "bias" in call.weights:
        frames = frames + call.weights["bias"]
    return frames.reshape(*x.shape[:2], *frames.shape[1:])
