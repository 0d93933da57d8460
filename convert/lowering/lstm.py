"""The cell of LSTM, LSTMCell and CuDNNLSTM.

Not the equation, which stands in the reference backend, and not the walk over time.
"""

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.lowering.builder import GraphBuilder
from gatelet.convert.lowering.cudnn import from_cudnn_kernel, from_cudnn_recurrent
from gatelet.convert.lowering.recurrence import Cell, activation_attributes
from gatelet.convert.lowering.settings import expect_shape, read_bool, read_int, weight_roles
from gatelet.convert.reading.source import SourceLayer


def read_lstm(layer: SourceLayer, features: int, builder: GraphBuilder) -> Cell:
    """Read the cell of an LSTM.

    Args:
        layer: Its configuration and weights: kernel [F, 4U], recurrent_kernel [U, 4U] and
            bias [4U], gates i, f, g, o; CuDNNLSTM has each gate's kernels transposed and a bias
            [8U], of which the halves are added.
        features: F.
        builder: Knows the version.
    """
    units = read_int(layer, "units")
    is_cudnn = layer.class_name == "CuDNNLSTM"
    use_bias = read_bool(layer, "use_bias", default=True)
    roles = ("kernel", "recurrent_kernel", "bias") if use_bias else ("kernel", "recurrent_kernel")
    weights = weight_roles(layer, *roles)
    expect_shape(layer, "kernel", weights["kernel"], (features, 4 * units))
    expect_shape(layer, "recurrent_kernel", weights["recurrent_kernel"], (units, 4 * units))
    if use_bias:
        expect_shape(layer, "bias", weights["bias"], ((8 if is_cudnn else 4) * units,))
    if is_cudnn:
        weights = _from_cudnn(layer, weights, builder)
    # Keras 2.3 and tf.keras, which always write it, changed this from hard_sigmoid to sigmoid
    gate = "hard_sigmoid" if builder.keras_major < 3 and not is_cudnn else "sigmoid"
    return Cell(
        op="LSTM",
        state=(units,),
        weights=weights,
        attributes=activation_attributes(
            layer, builder, activation="tanh", recurrent_activation=gate
        ),
    )


def _from_cudnn(
    layer: SourceLayer, weights: dict[str, NDArray[np.generic]], builder: GraphBuilder
) -> dict[str, NDArray[np.generic]]:
    kernel, recurrent_kernel, bias = (
        weights[role] for role in ("kernel", "recurrent_kernel", "bias")
    )
    return {
        "kernel": builder.derive(layer, "kernel", lambda: from_cudnn_kernel(kernel, gates=4)),
        "recurrent_kernel": builder.derive(
            layer, "recurrent_kernel", lambda: from_cudnn_recurrent(recurrent_kernel, gates=4)
        ),
        "bias": builder.derive(layer, "bias", lambda: np.add(*np.split(bias, 2))),
    }
