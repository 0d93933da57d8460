"""The weights of Keras 2's CuDNNLSTM and CuDNNGRU, in the layout of LSTM and GRU.

Not the layers, which are in `lstm` and `gru`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def from_cudnn_kernel(kernel: Array, *, gates: int) -> Array:
    """Put an input kernel [F, gates * U] in Keras' layout.

    Source: `_convert_rnn_weights` of Keras 2.2.4: each gate holds the transposed kernel's numbers
    in column order.
    """
    parts = np.split(kernel, gates, axis=1)
    return np.hstack([part.T.reshape(part.shape, order="F") for part in parts])


def from_cudnn_recurrent(kernel: Array, *, gates: int) -> Array:
    """Put a recurrent kernel [U, gates * U] in Keras' layout: each gate is transposed."""
    return np.hstack([part.T for part in np.split(kernel, gates, axis=1)])
