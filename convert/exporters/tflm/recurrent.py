"""The steps of LSTM, GRU and SimpleRNN; their states are variables, or inputs and outputs.

Not the order of steps, nor masks: see `walk`.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from gatelet.convert.exporters.tflm.activations import activate
from gatelet.convert.exporters.tflm.file import Tensor
from gatelet.convert.exporters.tflm.step import Array, StepWriter
from gatelet.errors import ConversionError
from gatelet.runtime.graph.graph import Node

_GATES = 4
_STATE_INPUTS = (18, 19)
_INPUTS = 24


_BOUNDED = (
    "hard_sigmoid",
    "hard_sigmoid_keras2",
    "hard_tanh",
    "relu6",
    "sigmoid",
    "softmax",
    "softsign",
    "tanh",
)


def check_bounded(node: Node) -> None:
    """Refuse a recurrence whose states may grow without end: no range of integers holds them.

    Those of a GRU do not grow: each is between the one before and what the activation gives.

    Raises:
        ConversionError: It is one.
    """
    name = node.attributes.get("activation", "linear")
    if node.op in ("LSTM", "SimpleRNN") and name not in _BOUNDED:
        raise ConversionError(
            f"layer '{node.source or node.name}' ({node.op}) has the activation '{name}', which "
            "has no bound, so that integers of a fixed range cannot hold its states: use --scheme "
            "float32",
            layer=node.source,
            op=node.op,
        )


def can_fuse(node: Node) -> bool:
    """Return whether the fused operator computes an LSTM node: it has no other activations."""
    return (
        node.op == "LSTM"
        and node.attributes.get("activation") == "tanh"
        and node.attributes.get("recurrent_activation") == "sigmoid"
    )


def lstm(writer: StepWriter, node: Node, x: Tensor, weights: Mapping[str, Array]) -> list[Tensor]:
    """Write a step of an `LSTM` node: h, c; the fused operator does not give c."""
    if node.name in writer.fused:
        return [_fused_lstm(writer, node, x, weights)]
    U = weights["recurrent_kernel"].shape[0]
    h_handle, h = writer.read_state(f"{node.name}_h", U, scale=writer.scale_of(f"{node.name}_y"))
    c_handle, c = writer.read_state(f"{node.name}_c", U, scale=writer.scale_of(f"{node.name}_next"))
    given = writer.dense(x, weights["kernel"], weights.get("bias"), name=f"{node.name}_input")
    again = writer.dense(h, weights["recurrent_kernel"], None, name=f"{node.name}_recurrent")
    i, f, g, o = writer.split(writer.binary("ADD", given, again), _GATES)
    kept = writer.binary("MUL", _gate(writer, node, f), c)
    added = writer.binary("MUL", _gate(writer, node, i), _activation(writer, node, g))
    c = writer.binary("ADD", kept, added, name=f"{node.name}_next")
    gate = _gate(writer, node, o)
    h = writer.binary("MUL", gate, _activation(writer, node, c), name=f"{node.name}_y")
    writer.assign_state(c_handle, c)
    writer.assign_state(h_handle, h)
    return [h, c]


def gru(writer: StepWriter, node: Node, x: Tensor, weights: Mapping[str, Array]) -> list[Tensor]:
    """Write a step of a `GRU` node, with the reset gate after or before the recurrent product."""
    recurrent, bias = weights["recurrent_kernel"], weights.get("bias")
    U = recurrent.shape[0]
    handle, h = writer.read_state(f"{node.name}_h", U, scale=writer.scale_of(f"{node.name}_y"))
    if node.attributes["reset_after"]:
        first, second = (None, None) if bias is None else bias
        x_z, x_r, x_h = writer.split(writer.dense(x, weights["kernel"], first), 3)
        h_z, h_r, h_h = writer.split(writer.dense(h, recurrent, second), 3)
        z = _gate(writer, node, writer.binary("ADD", x_z, h_z))
        r = _gate(writer, node, writer.binary("ADD", x_r, h_r))
        inner = writer.binary("MUL", r, h_h)
    else:
        x_z, x_r, x_h = writer.split(writer.dense(x, weights["kernel"], bias), 3)
        h_z, h_r = writer.split(writer.dense(h, recurrent[:, : 2 * U], None), 2)
        z = _gate(writer, node, writer.binary("ADD", x_z, h_z))
        r = _gate(writer, node, writer.binary("ADD", x_r, h_r))
        inner = writer.dense(writer.binary("MUL", r, h), recurrent[:, 2 * U :], None)
    candidate = _activation(writer, node, writer.binary("ADD", x_h, inner))
    # z * h + (1 - z) * candidate, with one product less
    part = writer.binary("MUL", z, writer.binary("SUB", h, candidate))
    h = writer.binary("ADD", candidate, part, name=f"{node.name}_y")
    writer.assign_state(handle, h)
    return [h]


def simple_rnn(
    writer: StepWriter, node: Node, x: Tensor, weights: Mapping[str, Array]
) -> list[Tensor]:
    """Write a step of a `SimpleRNN` node."""
    U = weights["recurrent_kernel"].shape[0]
    name = f"{node.name}_y"
    handle, h = writer.read_state(f"{node.name}_h", U, scale=writer.scale_of(name))
    given = writer.dense(x, weights["kernel"], weights.get("bias"))
    again = writer.dense(h, weights["recurrent_kernel"], None)
    h = _activation(writer, node, writer.binary("ADD", given, again))
    # a result of the state's own scale, whatever the activation gave
    h = writer.scalar("ADD", h, 0.0, name=name)
    writer.assign_state(handle, h)
    return [h]


def _fused_lstm(writer: StepWriter, node: Node, x: Tensor, weights: Mapping[str, Array]) -> Tensor:
    """Write UNIDIRECTIONAL_SEQUENCE_LSTM over one timestep, in floats, without clipping.

    Source: its kernel in TensorFlow Lite for Microcontrollers, lstm_eval.
    """
    U = weights["recurrent_kernel"].shape[0]
    inputs: list[Tensor | None] = [x, *[None] * (_INPUTS - 1)]
    bias = weights.get("bias", np.zeros(_GATES * U, np.float32))
    kernels = np.split(weights["kernel"].T, _GATES), np.split(weights["recurrent_kernel"].T, _GATES)
    # gates lie i, f, g, o in the Graph and in the operator's inputs
    for gate in range(_GATES):
        kernel, recurrent, part = kernels[0][gate], kernels[1][gate], np.split(bias, _GATES)[gate]
        inputs[1 + gate], inputs[5 + gate], inputs[12 + gate] = _gate_weights(
            writer, x, kernel, recurrent, part
        )
    for place, role in zip(_STATE_INPUTS, "hc", strict=True):
        inputs[place] = writer.file.tensor(
            f"{node.name}_{role}", (1, U), "float32", is_variable=True
        )
    y = writer.file.tensor(f"{node.name}_y", (1, 1, U), "float32")
    tanh = 4
    options = writer.file.options(
        "UnidirectionalSequenceLSTM", fusedActivationFunction=tanh, cellClip=0.0, projClip=0.0
    )
    writer.file.operator("UNIDIRECTIONAL_SEQUENCE_LSTM", inputs, [y], options)
    return y


def _gate_weights(
    writer: StepWriter, x: Tensor, kernel: Array, recurrent: Array, bias: Array
) -> tuple[Tensor, Tensor, Tensor]:
    """Return a gate's kernel [U, F], recurrent kernel [U, U] and bias [U]."""
    made = writer.kernel(kernel)
    return made, writer.kernel(recurrent), writer.bias(bias, x, made)


def _gate(writer: StepWriter, node: Node, x: Tensor) -> Tensor:
    return _activate(writer, node, "recurrent_activation", x)


def _activation(writer: StepWriter, node: Node, x: Tensor) -> Tensor:
    return _activate(writer, node, "activation", x)


def _activate(writer: StepWriter, node: Node, setting: str, x: Tensor) -> Tensor:
    parameters: dict[str, Any] = node.attributes.get(f"{setting}_parameters", {})
    name = node.attributes.get(setting, "linear")
    return activate(writer, name, x, layer=node.source or node.name, **parameters)
