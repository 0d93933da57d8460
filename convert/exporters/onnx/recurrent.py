"""LSTM, GRU and SimpleRNN, written as the operators LSTM, GRU and RNN.

Not the recurrences that no operator computes exactly: see `scan`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gatelet.convert.exporters.onnx.compaction import Compaction, compact, gather, spread
from gatelet.convert.exporters.onnx.scan import write_scan
from gatelet.convert.exporters.onnx.writer import INT8_LIMIT, Array, Call, Writer
from gatelet.convert.exporters.quantize import quantize_int8
from gatelet.convert.layouts import ONNX_GATES, reorder_gates
from gatelet.runtime.bundle.storage import SMALL_ELEMENTS
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.operations import OPERATIONS

OPERATORS = {"LSTM": "LSTM", "GRU": "GRU", "SimpleRNN": "RNN"}
"""By operation of the Graph."""


@dataclass(frozen=True)
class _Function:
    """An activation inside an operator.

    Args:
        name: ONNX' name.
        alpha: Its first parameter, if it has one.
        beta: Its second.
    """

    name: str
    alpha: float | None = None
    beta: float | None = None


_BOUNDED = ("hard_sigmoid", "hard_sigmoid_keras2", "sigmoid", "softsign", "sparse_sigmoid", "tanh")
_HARD_GATES = ("hard_sigmoid", "hard_sigmoid_keras2", "sparse_sigmoid")


def write_recurrence(writer: Writer, call: Call) -> list[str]:
    """Write an `LSTM`, `GRU` or `SimpleRNN` node."""
    if node_needs_scan(call.node):
        return write_scan(writer, call)
    attributes = call.node.attributes
    wants_sequence = bool(attributes["return_sequences"])
    wants_states = bool(attributes.get("return_state"))
    wants_last = not wants_sequence or wants_states
    compaction = compact(writer, call.mask) if call.mask else None
    x = _time_major(writer, call, compaction)
    sequence, *states = _write_operator(
        writer, call, x, compaction, wanted=(wants_sequence, wants_last, wants_states)
    )
    states = [writer.add("Squeeze", state, writer.ints(0)) for state in states if state]
    if wants_sequence:
        y = _batch_major(writer, call, sequence, compaction)
    else:
        y = _last_output(writer, call, states[0], compaction)
    return [y, *_kept_states(writer, call, states, compaction)] if wants_states else [y]


def count_scans(graph: Graph) -> int:
    """Count the recurrences of a Graph that no ONNX operator computes exactly."""
    return sum(
        node.op == "ConvLSTM2D" or (node.op in OPERATORS and node_needs_scan(node))
        for node in graph.nodes
    )


def node_needs_scan(node: Node) -> bool:
    """Return whether the operator cannot compute a recurrence, or only with a rounding that shows.

    onnxruntime's sigmoid is off by up to 1.7e-7 absolutely. That is invisible while what it is
    multiplied by stays near 1, and is not where an activation has no bound.
    """
    if _function_of(node, "activation") is None:
        return True
    if node.op == "SimpleRNN":
        return False
    activation, gate = (node.attributes[s] for s in ("activation", "recurrent_activation"))
    if _function_of(node, "recurrent_activation") is None or gate not in _BOUNDED:
        return True
    return activation not in _BOUNDED and gate not in _HARD_GATES


def _function_of(node: Node, setting: str) -> _Function | None:
    """Return an activation as the operators know it, or None where they do not."""
    name = node.attributes[setting]
    parameters: Mapping[str, Any] = node.attributes.get(f"{setting}_parameters") or {}
    if name == "relu":
        slope = float(parameters.get("negative_slope", 0))
        if parameters.get("max_value") is not None or parameters.get("threshold"):
            return None
        return _Function("LeakyRelu", slope) if slope else _Function("Relu")
    known = {
        "elu": _Function("Elu", float(parameters.get("alpha", 1))),
        "hard_sigmoid": _Function("HardSigmoid", 1 / 6, 0.5),
        "hard_sigmoid_keras2": _Function("HardSigmoid", 0.2, 0.5),
        "leaky_relu": _Function("LeakyRelu", float(parameters.get("negative_slope", 0.2))),
        "linear": _Function("Affine", 1.0, 0.0),
        "sigmoid": _Function("Sigmoid"),
        "softsign": _Function("Softsign"),
        "sparse_sigmoid": _Function("HardSigmoid", 0.5, 0.5),
        "tanh": _Function("Tanh"),
    }
    return known.get(name)


def _time_major(writer: Writer, call: Call, compaction: Compaction | None) -> str:
    if compaction is None:
        return writer.add("Transpose", call.x, perm=[1, 0, 2])
    features = call.weights["kernel"].shape[0]
    return gather(writer, call.x, features=features, by=compaction)


def _batch_major(writer: Writer, call: Call, y: str, compaction: Compaction | None) -> str:
    """Append [T, 1, B, U] -> [B, T, U]."""
    if compaction is None:
        return writer.add("Transpose", writer.add("Squeeze", y, writer.ints(1)), perm=[1, 0, 2])
    return spread(writer, call, y, by=compaction, before_first=_output_before_first(call))


def _output_before_first(call: Call) -> str:
    """Return what y is before the first step that counts: a name, or '' for zero."""
    return call.inputs[1] if call.node.attributes.get("output_initial_state") else ""


def _last_output(writer: Writer, call: Call, h: str, compaction: Compaction | None) -> str:
    """Return the last step's output, which may be a masked one."""
    attributes = call.node.attributes
    if compaction is None:
        return h
    if not attributes.get("zero_output_for_mask"):
        return _where_steps(writer, compaction, h, _output_before_first(call))
    last = writer.int_scalar(0 if attributes.get("go_backwards") else -1)
    counts = writer.add("Gather", compaction.mask, last, axis=1)
    counts = writer.add("Unsqueeze", counts, writer.ints(1))
    return writer.add("Where", counts, h, writer.scalar(0))


def _kept_states(
    writer: Writer, call: Call, states: list[str], compaction: Compaction | None
) -> list[str]:
    """Return the last states; a row without any step keeps its initial ones."""
    if compaction is None:
        return states
    initial = call.inputs[1:] or [""] * len(states)
    return [
        _where_steps(writer, compaction, state, start)
        for state, start in zip(states, initial, strict=True)
    ]


def _where_steps(writer: Writer, compaction: Compaction, state: str, start: str) -> str:
    """Put `start` ('' for zero) into rows without any step.

    The operators give such rows zeros whatever the initial state is, and RNN up to onnxruntime
    1.20 gives what was in memory.
    """
    has_steps = writer.cast(compaction.counts, "BOOL")
    return writer.add("Where", has_steps, state, start or writer.scalar(0))


def _write_operator(
    writer: Writer, call: Call, x: str, compaction: Compaction | None, *, wanted: Sequence[bool]
) -> list[str]:
    op, attributes = call.node.op, call.node.attributes
    wanted = wanted if op == "LSTM" else wanted[:2]
    initial = [writer.add("Unsqueeze", state, writer.ints(0)) for state in call.inputs[1:]]
    initial += [""] * (len(OPERATIONS[op].states) - len(initial))
    lengths = compaction.lengths if compaction else ""
    settings = {"hidden_size": call.weights["recurrent_kernel"].shape[0], **_functions(call.node)}
    if attributes.get("go_backwards"):
        settings["direction"] = "reverse"
    if op == "GRU":
        settings["linear_before_reset"] = int(attributes["reset_after"])
    bias = writer.constant(_bias(call), "bias")
    if _quantizes_activations(writer, call):
        writer.spans_batch = True
        (w, *w_scales), (r, *r_scales) = (
            _quantized(writer, call, role) for role in ("kernel", "recurrent_kernel")
        )
        return writer.add_many(
            "DynamicQuantizeLSTM",
            _trimmed([x, w, r, bias, lengths, *initial, "", *w_scales, *r_scales]),
            wanted,
            domain="com.microsoft",
            **settings,
        )
    w, r = (
        writer.weight(_onnx_gates(op, call.weights[role]).T[None], role, axis=1)
        for role in ("kernel", "recurrent_kernel")
    )
    return writer.add_many(
        OPERATORS[op], _trimmed([x, w, r, bias, lengths, *initial]), wanted, **settings
    )


def _quantizes_activations(writer: Writer, call: Call) -> bool:
    """Return whether DynamicQuantizeLSTM serves: it gives x and h 8 bits for their whole range."""
    sizes = [call.weights[role].size for role in ("kernel", "recurrent_kernel")]
    return (
        writer.quantized
        and not writer.scheme.recurrent
        and call.node.op == "LSTM"
        and call.node.attributes["activation"] in _BOUNDED
        and not call.takes_raw_features
        and max(sizes) >= SMALL_ELEMENTS
    )


def _quantized(writer: Writer, call: Call, role: str) -> tuple[str, str, str]:
    values, scales = quantize_int8(
        _onnx_gates("LSTM", call.weights[role]), axis=1, limit=INT8_LIMIT
    )
    return (
        writer.constant(values[None], f"{role}_int8"),
        writer.constant(scales, f"{role}_scales"),
        writer.constant(np.zeros(scales.shape, np.int8), f"{role}_zero_points"),
    )


def _functions(node: Node) -> dict[str, Any]:
    """Return the attributes that name the activations; parameters are listed in their order."""
    activation = _function_of(node, "activation")
    assert activation is not None, "node_needs_scan has found the function"
    functions = [activation]
    if node.op != "SimpleRNN":
        gate = _function_of(node, "recurrent_activation")
        assert gate is not None, "node_needs_scan has found the function"
        functions = [gate, *[activation] * len(OPERATIONS[node.op].states)]
    found: dict[str, Any] = {"activations": [one.name for one in functions]}
    for key in ("alpha", "beta"):
        values = [getattr(one, key) for one in functions if getattr(one, key) is not None]
        if values:
            found[f"activation_{key}"] = values
    return found


def _bias(call: Call) -> Array:
    """Return ONNX' two biases, that of the input and that of the state, as [1, 2 * gates * U]."""
    bias = call.weights.get("bias")
    if bias is None:
        bias = np.zeros(call.weights["kernel"].shape[1], np.float32)
    both = bias if bias.ndim == 2 else np.stack([bias, np.zeros_like(bias)])
    return _onnx_gates(call.node.op, both).reshape(1, -1).astype(np.float32)


def _onnx_gates(op: str, matrix: Array) -> Array:
    """Reorder an LSTM's gates along the last axis from Keras' order to ONNX'."""
    return reorder_gates(matrix, ONNX_GATES) if op == "LSTM" else matrix


def _trimmed(inputs: list[str]) -> list[str]:
    """Drop optional inputs at the end that are left out."""
    while inputs and not inputs[-1]:
        inputs = inputs[:-1]
    return inputs
