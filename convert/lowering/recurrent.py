"""Recurrent layers: LSTM, GRU, SimpleRNN, ConvLSTM2D, and RNN around one cell or a stack of them.

Not Bidirectional, which takes the same recurrences twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from gatelet.convert.lowering.builder import GraphBuilder, Value
from gatelet.convert.lowering.conv_lstm import recur_conv_lstm
from gatelet.convert.lowering.gru import read_gru
from gatelet.convert.lowering.lstm import read_lstm
from gatelet.convert.lowering.recurrence import Cell, Recurred, add_recurrence, read_steps
from gatelet.convert.lowering.settings import features_of, refuse, require_default
from gatelet.convert.lowering.simple_rnn import read_simple_rnn
from gatelet.convert.reading.source import SourceLayer

CELLS: dict[str, Callable[[SourceLayer, int, GraphBuilder], Cell]] = {
    "CuDNNGRU": read_gru,
    "CuDNNLSTM": read_lstm,
    "GRU": read_gru,
    "GRUCell": read_gru,
    "LSTM": read_lstm,
    "LSTMCell": read_lstm,
    "SimpleRNN": read_simple_rnn,
    "SimpleRNNCell": read_simple_rnn,
}


def lower_recurrent(layer: SourceLayer, inputs: list[Value], builder: GraphBuilder) -> list[Value]:
    """Lower a recurrent layer.

    With go_backwards Keras gives a sequence in the order of processing, but leaves its mask as it
    was: so does this.

    Args:
        layer: Its configuration, weights and, of an RNN, its cell as a part.
        inputs: x [B, T, ...], then initial states if any.
        builder: Where the nodes go.

    Returns:
        y, and the last states with `return_state`.
    """
    recurred = recur(layer, inputs, builder)
    y, steps = recurred.y, recurred.steps
    if steps.return_sequences:
        if steps.go_backwards:
            y = reverse(y, source=layer, builder=builder)
        y = replace(y, mask=inputs[0].mask)
    return [y, *recurred.states]


def recur(layer: SourceLayer, inputs: Sequence[Value], builder: GraphBuilder) -> Recurred:
    """Append the nodes of a recurrent layer, without bringing y in Keras' order.

    Raises:
        UnsupportedLayer: Its cell is not one of Keras' own.
    """
    if layer.class_name == "ConvLSTM2D":
        return recur_conv_lstm(layer, inputs, builder)
    if layer.class_name != "RNN":
        return _recur_cells(layer, [layer], inputs, builder)
    cell = layer.parts["cell"]
    assert isinstance(cell, SourceLayer), "the cell of an RNN is no model"
    if cell.class_name != "StackedRNNCells":
        return _recur_cells(layer, [cell], inputs, builder)
    require_default(cell, reverse_state_order=False)
    cells = [part for part in cell.parts.values() if isinstance(part, SourceLayer)]
    return _recur_cells(layer, cells, inputs, builder)


def reverse(value: Value, *, source: SourceLayer, builder: GraphBuilder) -> Value:
    """Turn a sequence round; the value has no mask."""
    return builder.add("Reverse", [value], shape=value.shape, source=source)


def _recur_cells(
    layer: SourceLayer, cells: Sequence[SourceLayer], inputs: Sequence[Value], builder: GraphBuilder
) -> Recurred:
    """Run cells on top of each other: each but the last one gives a sequence to the next."""
    steps = read_steps(layer, inputs, builder)
    x, *given = inputs
    states: list[Value] = []
    for index, one in enumerate(cells):
        read = CELLS.get(one.class_name)
        if read is None:
            raise refuse(layer, f"the cell {one.class_name}", f"supported: {', '.join(CELLS)}")
        cell = read(one, features_of(layer, x), builder)
        is_last = index == len(cells) - 1
        below = replace(steps, return_sequences=True, zero_output_for_mask=False)
        recurred = add_recurrence(
            layer,
            cell,
            steps if is_last else below,
            [x, *given[: cell.states]],
            builder,
        )
        given = given[cell.states :]
        x = recurred.y
        states.extend(recurred.states)
    return Recurred(x, tuple(states), steps)
