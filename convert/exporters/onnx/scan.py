"""Recurrences as a Scan: ConvLSTM2D, and those whose activations the operators lack.

Not the recurrences that the operators LSTM, GRU and RNN compute: see `recurrent`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gatelet.convert.exporters.onnx.activations import activate, exact_sigmoid
from gatelet.convert.exporters.onnx.convolution import (
    Convolution,
    channels_first,
    write_convolution,
)
from gatelet.convert.exporters.onnx.writer import Array, Call, Writer
from gatelet.convert.layouts import ONNX_LOOP_GATES, reorder_gates
from gatelet.runtime.graph.operations import OPERATIONS

Step = Callable[[Writer, str, list[str]], list[str]]
"""Appends one timestep: (body, projected input, states) -> next states, the first the output."""


@dataclass(frozen=True)
class _Walk:
    """What a Scan takes.

    Args:
        projected: The input's part of each step, [T, B, ...].
        initial: The states at the start, each [B, ...] with the same shape.
        rank: Of a state.
        step: One timestep.
    """

    projected: str
    initial: list[str]
    rank: int
    step: Step


def write_scan(writer: Writer, call: Call) -> list[str]:
    """Write an `LSTM`, `GRU` or `SimpleRNN` node."""
    make_step = STEPS[call.node.op]
    x = writer.add("Transpose", call.x, perm=[1, 0, 2])
    kernel = _gates_together(call, call.weights["kernel"])
    projected = writer.add("MatMul", x, writer.weight(kernel, "kernel", axis=1))
    bias = call.weights.get("bias")
    if bias is not None:
        own = _gates_together(call, bias[0] if bias.ndim == 2 else bias)
        projected = writer.add("Add", projected, writer.constant(own, "bias"))
    initial, states = call.inputs[1:], OPERATIONS[call.node.op].states
    if not initial:
        units = writer.ints(call.weights["recurrent_kernel"].shape[0])
        initial = [writer.zeros(writer.sizes(call.x, 0, 1), units)] * len(states)
    walk = _Walk(projected, initial, rank=2, step=make_step(writer, call))
    y, *last = _walk(writer, call, walk)
    if call.node.attributes["return_sequences"]:
        y = writer.add("Transpose", y, perm=[1, 0, 2])
    return [y, *last]


def write_conv_lstm_2d(writer: Writer, call: Call) -> list[str]:
    """Write a `ConvLSTM2D` node; inside, channels come first, as Conv wants them."""
    attributes, (kernel, recurrent_kernel) = (
        call.node.attributes,
        (call.weights[role] for role in ("kernel", "recurrent_kernel")),
    )
    units = recurrent_kernel.shape[2]
    # the input's convolution of all frames at once, then time to the front
    shape = writer.add("Concat", writer.ints(-1), writer.sizes(call.x, 2), axis=0)
    frames = channels_first(writer, writer.add("Reshape", call.x, shape), rank=4)
    bias = call.weights.get("bias")
    settings = Convolution(
        _gates_together(call, kernel),
        bias=None if bias is None else _gates_together(call, bias),
        sizes=call.shapes[0][2:4],
        padding=attributes["padding"],
        strides=attributes["strides"],
        dilation_rate=attributes["dilation_rate"],
    )
    found = write_convolution(writer, frames, settings)
    batch, image = writer.sizes(call.x, 0, 2), writer.sizes(found, 1)
    shape = writer.add("Concat", batch, image, axis=0)
    projected = writer.add("Transpose", writer.add("Reshape", found, shape), perm=[1, 0, 2, 3, 4])
    if call.inputs[1:]:
        initial = [channels_first(writer, state, rank=4) for state in call.inputs[1:]]
    else:
        sizes = (writer.sizes(call.x, 0, 1), writer.ints(units), writer.sizes(found, 2))
        initial = [writer.zeros(*sizes)] * 2
    step = _conv_lstm_step(writer, call)
    y, *last = _walk(writer, call, _Walk(projected, initial, rank=4, step=step))
    sequences = attributes["return_sequences"]
    perm = [1, 0, 3, 4, 2] if sequences else [0, 2, 3, 1]
    return [
        writer.add("Transpose", y, perm=perm),
        *(writer.add("Transpose", state, perm=[0, 2, 3, 1]) for state in last),
    ]


def _walk(writer: Writer, call: Call, walk: _Walk) -> list[str]:
    """Append the Scan.

    Returns:
        y [T, B, ...] or [B, ...], then the last states with `return_state`.
    """
    attributes = call.node.attributes
    wants_sequence = bool(attributes["return_sequences"])
    initial, scanned = list(walk.initial), [walk.projected]
    if call.mask:
        # the previous step's output is one more state: h differs from it where masked
        h = walk.initial[0]
        is_h = attributes.get("output_initial_state")
        initial.append(h if is_h else writer.add("ConstantOfShape", writer.sizes(h, 0)))
        time_major = writer.add("Transpose", call.mask, perm=[1, 0])
        axes = writer.ints(*range(2, walk.rank + 1))
        scanned.append(writer.add("Unsqueeze", time_major, axes))
    body = _body(writer, call, walk, wants_sequence=wants_sequence)
    backwards = int(bool(attributes.get("go_backwards")))
    settings: dict[str, Any] = {"scan_input_directions": [backwards] * len(scanned)}
    if wants_sequence:
        settings["scan_output_directions"] = [backwards]
    found = writer.add_many(
        "Scan",
        [*initial, *scanned],
        [True] * (len(initial) + wants_sequence),
        body=body,
        num_scan_inputs=len(scanned),
        **settings,
    )
    states = found[: len(walk.initial)]
    last_output = found[len(initial) - 1] if call.mask else states[0]
    y = found[-1] if wants_sequence else last_output
    return [y, *states] if attributes.get("return_state") else [y]


def _body(writer: Writer, call: Call, walk: _Walk, *, wants_sequence: bool) -> Any:
    """Return the graph of one timestep."""
    helper, types = writer.onnx.helper, writer.onnx.TensorProto
    body = writer.body()

    def value(name: str, *, kind: Any = types.FLOAT) -> Any:
        return helper.make_tensor_value_info(name, kind, [None] * walk.rank)

    states = [body.fresh("state") for _ in walk.initial]
    projected, counts, previous = (body.fresh(s) for s in ("projected", "counts", "previous"))
    following = walk.step(body, projected, states)
    y, inputs = following[0], [value(name) for name in states]
    if call.mask:
        is_zero = call.node.attributes.get("zero_output_for_mask")
        instead = body.scalar(0) if is_zero else previous
        y = body.add("Where", counts, following[0], instead)
        following = [
            body.add("Where", counts, new, old) for new, old in zip(following, states, strict=True)
        ]
        following.append(y)
        inputs += [value(previous)]
    inputs.append(value(projected))
    if call.mask:
        inputs.append(value(counts, kind=types.BOOL))
    outputs = [body.add("Identity", name) for name in following]
    if wants_sequence:
        outputs.append(body.add("Identity", y))
    return helper.make_graph(body.nodes, "timestep", inputs, [value(name) for name in outputs])


def _activate(body: Writer, call: Call, setting: str, x: str) -> str:
    name = call.node.attributes[setting]
    if name == "sigmoid":
        return exact_sigmoid(body, x)
    return activate(body, name, x, **call.node.attributes.get(f"{setting}_parameters", {}))


def _gates_together(call: Call, matrix: Array) -> Array:
    """Reorder an LSTM's gates along the last axis from i, f, g, o to i, f, o, g.

    Each node in the loop costs time at each step: so one activation serves three gates.
    """
    return reorder_gates(matrix, ONNX_LOOP_GATES) if "LSTM" in call.node.op else matrix


def _lstm_cell(body: Writer, call: Call, gates: str, c: str) -> list[str]:
    """Append the part of an LSTM's step that follows the products; gates i, f, o, g."""
    U = call.weights["recurrent_kernel"].shape[-2]
    ifo, g = body.add_many("Split", [gates, body.ints(3 * U, U)], (True, True), axis=1)
    ifo = _activate(body, call, "recurrent_activation", ifo)
    i, f, o = body.add_many("Split", [ifo], (True,) * 3, axis=1)
    kept = body.add("Mul", f, c)
    c = body.add("Add", kept, body.add("Mul", i, _activate(body, call, "activation", g)))
    return [body.add("Mul", o, _activate(body, call, "activation", c)), c]


def _lstm_step(writer: Writer, call: Call) -> Step:
    matrix = _gates_together(call, call.weights["recurrent_kernel"])
    kernel = writer.weight(matrix, "recurrent_kernel", axis=1)

    def step(body: Writer, projected: str, states: list[str]) -> list[str]:
        h, c = states
        return _lstm_cell(body, call, body.add("Gemm", h, kernel, projected), c)

    return step


def _gru_step(writer: Writer, call: Call) -> Step:
    kernel, bias = call.weights["recurrent_kernel"], call.weights.get("bias")
    reset_after = call.node.attributes["reset_after"]
    U = kernel.shape[0]
    if reset_after:
        inner_kernel = writer.weight(kernel, "recurrent_kernel", axis=1)
    else:
        gate_kernel = writer.weight(kernel[:, : 2 * U], "gate_kernel", axis=1)
        candidate_kernel = writer.weight(kernel[:, 2 * U :], "candidate_kernel", axis=1)

    def step(body: Writer, projected: str, states: list[str]) -> list[str]:
        (h,), sizes = states, body.ints(2 * U, U)
        x_zr, x_h = body.add_many("Split", [projected, sizes], (True, True), axis=1)
        if reset_after:
            added = [] if bias is None else [body.constant(bias[1], "recurrent_bias")]
            inner = body.add("Gemm", h, inner_kernel, *added)
            h_zr, h_h = body.add_many("Split", [inner, sizes], (True, True), axis=1)
        else:
            h_zr = body.add("MatMul", h, gate_kernel)
        zr = _activate(body, call, "recurrent_activation", body.add("Add", x_zr, h_zr))
        z, r = body.add_many("Split", [zr], (True, True), axis=1)
        if reset_after:
            reset = body.add("Mul", r, h_h)
        else:
            reset = body.add("MatMul", body.add("Mul", r, h), candidate_kernel)
        candidate = _activate(body, call, "activation", body.add("Add", x_h, reset))
        rest = body.add("Sub", body.scalar(1), z)
        return [body.add("Add", body.add("Mul", z, h), body.add("Mul", rest, candidate))]

    return step


def _simple_rnn_step(writer: Writer, call: Call) -> Step:
    kernel = writer.weight(call.weights["recurrent_kernel"], "recurrent_kernel", axis=1)

    def step(body: Writer, projected: str, states: list[str]) -> list[str]:
        total = body.add("Gemm", states[0], kernel, projected)
        return [_activate(body, call, "activation", total)]

    return step


def _conv_lstm_step(writer: Writer, call: Call) -> Step:
    recurrent_kernel = _gates_together(call, call.weights["recurrent_kernel"])
    settings = Convolution(
        recurrent_kernel,
        stored=writer.weight(recurrent_kernel.transpose(3, 2, 0, 1), "recurrent_kernel", axis=0),
        sizes=(None, None),
        padding="same",
        strides=(1, 1),
        dilation_rate=(1, 1),
    )

    def step(body: Writer, projected: str, states: list[str]) -> list[str]:
        h, c = states
        recurrent = write_convolution(body, h, settings)
        return _lstm_cell(body, call, body.add("Add", projected, recurrent), c)

    return step


STEPS = {"LSTM": _lstm_step, "GRU": _gru_step, "SimpleRNN": _simple_rnn_step}
