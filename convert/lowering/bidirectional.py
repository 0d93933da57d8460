"""Bidirectional: one recurrence over time, one against it, and their outputs merged.

Not the recurrences, which are in `gatelet.convert.lowering.recurrent`.
"""

from collections.abc import Sequence
from dataclasses import replace

from gatelet.convert.lowering.builder import GraphBuilder, Value
from gatelet.convert.lowering.merging import concatenated
from gatelet.convert.lowering.recurrence import Recurred
from gatelet.convert.lowering.recurrent import recur, reverse
from gatelet.convert.lowering.settings import read_bool, refuse
from gatelet.convert.reading.source import SourceLayer
from gatelet.errors import ModelError

_MERGES = {"sum": "Add", "mul": "Multiply", "ave": "Average"}
_CLASSES = ("LSTM", "GRU", "SimpleRNN", "RNN", "ConvLSTM2D", "CuDNNLSTM", "CuDNNGRU")


def lower_bidirectional(
    layer: SourceLayer, inputs: list[Value], builder: GraphBuilder
) -> list[Value]:
    """Lower `keras.layers.Bidirectional`.

    Args:
        layer: Its configuration, with the parts 'forward' and 'backward'.
        inputs: x [B, T, ...], then the initial states of both, if any.
        builder: Where the nodes go.

    Returns:
        The merged output, or both with merge_mode None; then the last states of both with
        `return_state`.

    Raises:
        UnsupportedLayer: merge_mode or a part is unknown.
    """
    x, *given = inputs
    half = len(given) // 2
    forward, backward = _part(layer, "forward", builder), _part(layer, "backward", builder)
    if read_bool(forward, "go_backwards", default=False) == read_bool(
        backward, "go_backwards", default=False
    ):
        raise ModelError(
            f"layer '{layer.name}' (Bidirectional): its two layers go in the same direction",
            layer=layer.name,
            class_name=layer.class_name,
        )
    ahead = recur(forward, [x, *given[:half]], builder)
    back = recur(backward, [x, *given[half:]], builder)
    # Keras turns the backward layer's sequence round, whichever of them goes backwards
    outputs = [
        _in_order(ahead, ahead.steps.go_backwards, layer, builder),
        _in_order(back, not back.steps.go_backwards, layer, builder),
    ]
    merged = _merge(layer, outputs, builder)
    if ahead.steps.return_sequences:
        merged = [replace(value, mask=x.mask) for value in merged]
    return [*merged, *ahead.states, *back.states]


def _part(layer: SourceLayer, role: str, builder: GraphBuilder) -> SourceLayer:
    """Return one of the two layers, with the zeros at masked timesteps that Bidirectional wants."""
    part = layer.parts[role]
    if not isinstance(part, SourceLayer) or part.class_name not in _CLASSES:
        raise refuse(
            layer, f"a {role} layer that is not recurrent", f"supported: {', '.join(_CLASSES)}"
        )
    zero = read_bool(part, "return_sequences", default=False) and not builder.is_multi_backend
    return replace(part, config={**part.config, "zero_output_for_mask": zero})


def _in_order(recurred: Recurred, turn: bool, layer: SourceLayer, builder: GraphBuilder) -> Value:
    if turn and recurred.steps.return_sequences:
        return reverse(recurred.y, source=layer, builder=builder)
    return recurred.y


def _merge(layer: SourceLayer, outputs: Sequence[Value], builder: GraphBuilder) -> list[Value]:
    mode = layer.config.get("merge_mode", "concat")
    if mode is None:
        return list(outputs)
    if mode == "concat":
        return [concatenated(outputs, axis=-1, source=layer, builder=builder)]
    if mode not in _MERGES:
        raise refuse(layer, f"merge_mode={mode!r}", "supported: concat, sum, mul, ave, None")
    return [builder.add(_MERGES[mode], outputs, shape=outputs[0].shape, source=layer)]
