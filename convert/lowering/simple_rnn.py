"""The cell of SimpleRNN and SimpleRNNCell.

Not the equation, which stands in the reference backend, and not the walk over time.
"""

from gatelet.convert.lowering.builder import GraphBuilder
from gatelet.convert.lowering.recurrence import Cell, activation_attributes
from gatelet.convert.lowering.settings import expect_shape, read_bool, read_int, weight_roles
from gatelet.convert.reading.source import SourceLayer


def read_simple_rnn(layer: SourceLayer, features: int, builder: GraphBuilder) -> Cell:
    """Read the cell of a SimpleRNN.

    Args:
        layer: Its configuration and weights: kernel [F, U], recurrent_kernel [U, U], bias [U].
        features: F.
        builder: Knows the version.
    """
    units = read_int(layer, "units")
    use_bias = read_bool(layer, "use_bias", default=True)
    roles = ("kernel", "recurrent_kernel", "bias") if use_bias else ("kernel", "recurrent_kernel")
    weights = weight_roles(layer, *roles)
    expect_shape(layer, "kernel", weights["kernel"], (features, units))
    expect_shape(layer, "recurrent_kernel", weights["recurrent_kernel"], (units, units))
    if use_bias:
        expect_shape(layer, "bias", weights["bias"], (units,))
    return Cell(
        op="SimpleRNN",
        state=(units,),
        weights=weights,
        attributes=activation_attributes(layer, builder, activation="tanh"),
    )
