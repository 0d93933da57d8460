"""The cell of GRU, GRUCell and CuDNNGRU.

Not the equation, which stands in the reference backend, and not the walk over time.
"""

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.lowering.builder import GraphBuilder
from gatelet.convert.lowering.cudnn import from_cudnn_kernel, from_cudnn_recurrent
from gatelet.convert.lowering.recurrence import Cell, activation_attributes
from gatelet.convert.lowering.settings import expect_shape, read_bool, read_int, weight_roles
from gatelet.convert.reading.source import SourceLayer


def read_gru(layer: SourceLayer, features: int, builder: GraphBuilder) -> Cell:
    """Read the cell of a GRU.

    Args:
        layer: Its configuration and weights: kernel [F, 3U], recurrent_kernel [U, 3U] and bias,
            [2, 3U] with reset_after, else [3U]; gates z, r, h. CuDNNGRU, always with
            reset_after, has each gate's kernels transposed and a bias [6U].
        features: F.
        builder: Knows the version.
    """
    units = read_int(layer, "units")
    is_cudnn = layer.class_name == "CuDNNGRU"
    # without the setting it is an older Keras, which knew no such thing
    reset_after = is_cudnn or read_bool(layer, "reset_after", default=builder.keras_major >= 3)
    use_bias = read_bool(layer, "use_bias", default=True)
    roles = ("kernel", "recurrent_kernel", "bias") if use_bias else ("kernel", "recurrent_kernel")
    weights = weight_roles(layer, *roles)
    expect_shape(layer, "kernel", weights["kernel"], (features, 3 * units))
    expect_shape(layer, "recurrent_kernel", weights["recurrent_kernel"], (units, 3 * units))
    if is_cudnn:
        expect_shape(layer, "bias", weights["bias"], (6 * units,))
        weights = _from_cudnn(layer, weights, builder)
    elif use_bias:
        bias = (2, 3 * units) if reset_after else (3 * units,)
        expect_shape(layer, "bias", weights["bias"], bias)
    gate = "hard_sigmoid" if builder.keras_major < 3 and not is_cudnn else "sigmoid"
    attributes = activation_attributes(layer, builder, activation="tanh", recurrent_activation=gate)
    return Cell(
        op="GRU",
        state=(units,),
        weights=weights,
        attributes={**attributes, "reset_after": reset_after},
    )


def _from_cudnn(
    layer: SourceLayer, weights: dict[str, NDArray[np.generic]], builder: GraphBuilder
) -> dict[str, NDArray[np.generic]]:
    kernel, recurrent_kernel, bias = (
        weights[role] for role in ("kernel", "recurrent_kernel", "bias")
    )
    return {
        "kernel": builder.derive(layer, "kernel", lambda: from_cudnn_kernel(kernel, gates=3)),
        "recurrent_kernel": builder.derive(
            layer, "recurrent_kernel", lambda: from_cudnn_recurrent(recurrent_kernel, gates=3)
        ),
        "bias": builder.derive(layer, "bias", lambda: bias.reshape(2, -1)),
    }
