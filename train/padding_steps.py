"""A recurrence over the padding that every row has in front: one row, in NumPy, with gradients.

Not a layer of the network: `gatelet.train.skipping` hands it a layer's weights. A loop of a graph
takes longer for its own bookkeeping than for the products of one row.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Padded:
    """What a recurrence does over P steps of one row.

    Args:
        outputs: h after each step, [P, U].
        states: What the next step starts from, each [U]: h, and c of an LSTM.
        back: Takes the gradients of `outputs` and of each state, and returns those of the input's
            part [P, GU], of the recurrent kernel and of the recurrent bias.
    """

    outputs: "Array"
    states: "tuple[Array, ...]"
    back: "Callable[..., tuple[Array, Array, Array]]"


def padded(cell: str, z: "Array", kernel: "Array", bias: "Array") -> Padded:
    """Take P steps from a zero state.

    Args:
        cell: 'lstm', 'gru' (with reset_after) or 'rnn'.
        z: The input's part of each step, its bias included, [P, GU]; gates as Keras stores them.
        kernel: The recurrent kernel, [U, GU].
        bias: The recurrent bias, [GU], which a GRU has; zeros of the others.
    """
    return _CELLS[cell](z, kernel, bias)


def _lstm(z: "Array", kernel: "Array", bias: "Array") -> Padded:
    """Source: Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000."""
    import numpy as np

    steps, units = len(z), len(kernel)
    gates, cells, hidden = (
        np.empty_like(z),
        np.zeros((steps + 1, units), z.dtype),
        np.zeros((steps + 1, units), z.dtype),
    )
    for p in range(steps):
        a = z[p] + hidden[p] @ kernel
        gate = _sigmoid(a)
        gate[2 * units : 3 * units] = np.tanh(a[2 * units : 3 * units])
        i, f, g, o = gate.reshape(4, units)
        cells[p + 1] = f * cells[p] + i * g
        hidden[p + 1] = o * np.tanh(cells[p + 1])
        gates[p] = gate

    def back(d_outputs: "Array", d_h: "Array", d_c: "Array") -> "tuple[Array, Array, Array]":
        d_z = np.empty_like(z)
        reached = np.tanh(cells)
        for p in reversed(range(steps)):
            i, f, g, o = gates[p].reshape(4, units)
            d_h = d_h + d_outputs[p]
            d_c = d_c + d_h * o * (1 - reached[p + 1] ** 2)
            d_z[p] = np.concatenate(
                (
                    d_c * g * i * (1 - i),
                    d_c * cells[p] * f * (1 - f),
                    d_c * i * (1 - g * g),
                    d_h * reached[p + 1] * o * (1 - o),
                )
            )
            d_h, d_c = kernel @ d_z[p], d_c * f
        return d_z, hidden[:-1].T @ d_z, np.zeros_like(bias)

    return Padded(hidden[1:], (hidden[-1], cells[-1]), back)


def _gru(z: "Array", kernel: "Array", bias: "Array") -> Padded:
    """Source: Cho et al. 2014, in its version 1: the reset gate after the product."""
    import numpy as np

    steps, units = len(z), len(kernel)
    hidden = np.zeros((steps + 1, units), z.dtype)
    gates, inner = np.empty((steps, 3, units), z.dtype), np.empty((steps, units), z.dtype)
    for p in range(steps):
        recurrent = hidden[p] @ kernel + bias
        update, reset = _sigmoid(z[p, : 2 * units] + recurrent[: 2 * units]).reshape(2, units)
        inner[p] = recurrent[2 * units :]
        candidate = np.tanh(z[p, 2 * units :] + reset * inner[p])
        gates[p] = update, reset, candidate
        hidden[p + 1] = update * hidden[p] + (1 - update) * candidate

    def back(d_outputs: "Array", d_h: "Array") -> "tuple[Array, Array, Array]":
        d_z, d_recurrent = np.empty_like(z), np.empty_like(z)
        for p in reversed(range(steps)):
            update, reset, candidate = gates[p]
            d_h = d_h + d_outputs[p]
            d_update = d_h * (hidden[p] - candidate) * update * (1 - update)
            d_candidate = d_h * (1 - update) * (1 - candidate * candidate)
            d_reset = d_candidate * inner[p] * reset * (1 - reset)
            d_z[p] = np.concatenate((d_update, d_reset, d_candidate))
            d_recurrent[p] = np.concatenate((d_update, d_reset, d_candidate * reset))
            d_h = d_h * update + kernel @ d_recurrent[p]
        return d_z, hidden[:-1].T @ d_recurrent, d_recurrent.sum(axis=0)

    return Padded(hidden[1:], (hidden[-1],), back)


def _rnn(z: "Array", kernel: "Array", bias: "Array") -> Padded:
    """Source: Elman 1990."""
    import numpy as np

    hidden = np.zeros((len(z) + 1, len(kernel)), z.dtype)
    for p in range(len(z)):
        hidden[p + 1] = np.tanh(z[p] + hidden[p] @ kernel)

    def back(d_outputs: "Array", d_h: "Array") -> "tuple[Array, Array, Array]":
        d_z = np.empty_like(z)
        for p in reversed(range(len(z))):
            d_h = d_h + d_outputs[p]
            d_z[p] = d_h * (1 - hidden[p + 1] ** 2)
            d_h = kernel @ d_z[p]
        return d_z, hidden[:-1].T @ d_z, np.zeros_like(bias)

    return Padded(hidden[1:], (hidden[-1],), back)


def _sigmoid(x: "Array") -> Any:
    import numpy as np

    with np.errstate(over="ignore"):  # 1 / infinity is the 0 that is meant
        return 1 / (1 + np.exp(-x))


_CELLS = {"lstm": _lstm, "gru": _gru, "rnn": _rnn}
