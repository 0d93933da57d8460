"""LSTM, GRU, SimpleRNN and ConvLSTM2D as C calls.

Not their steps, which are in kernels/.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gatelet.convert.exporters.c.activations import activation_text
from gatelet.convert.exporters.c.convolution import window_of, write_kernels
from gatelet.convert.exporters.c.forms import C_TYPES
from gatelet.convert.exporters.c.sizes import Size, known, largest_elements
from gatelet.convert.exporters.c.source import initializer
from gatelet.convert.exporters.c.writer import Call, Value, Writer
from gatelet.convert.layouts import LANES, padded_columns
from gatelet.runtime.graph.operations import GATES, OPERATIONS

STEPS = 16
"""Timesteps whose inputs are projected at a time."""
WALK_STATES = 5
"""What a walk over time works in: states of all rows."""
_SPARE = {"any_lstm": "2", "usual_gru": "{B}", "any_gru": "3", "gru_reset_before": "3"}
"""Rows of gates that a step works in beside them, of those that do."""
CONV_LSTM_STATES = 13
"""What a ConvLSTM2D works in: states of all rows."""
FUNCTIONS = {"LSTM": "lstm", "GRU": "gru", "SimpleRNN": "simple_rnn"}
FLAGS = {
    "go_backwards": "GATELET_BACKWARDS",
    "return_sequences": "GATELET_SEQUENCES",
    "zero_output_for_mask": "GATELET_ZERO_OUTPUT_FOR_MASK",
    "output_initial_state": "GATELET_OUTPUT_INITIAL_STATE",
}


def write_recurrence(writer: Writer, call: Call) -> list[Value]:
    """Write an `LSTM`, `GRU` or `SimpleRNN` node."""
    node, x, gates = call.node, call.x, GATES[call.node.op]
    function = FUNCTIONS[node.op]
    writer.kernels |= {"activations", "product", "recurrence", function}
    units = call.weights["recurrent_kernel"].shape[0]
    fields = _weights(writer, call, gates)
    rows, timesteps, features = x.dims
    states = len(OPERATIONS[node.op].states)
    gives_states = node.attributes.get("return_state", False)
    kept = [make_state(writer, one, (rows, known(units))) for one in node.outputs[1:]]
    is_last_h = gives_states and call.mask is None and not node.attributes["return_sequences"]
    outputs = [kept[0] if is_last_h else writer.make(_output_dims(call, (known(units),))), *kept]
    fields |= _pointers(call, outputs, states)
    if is_last_h:
        del fields["y"]
    fields |= entering(writer, call, call.inputs[1:])
    fields |= {
        "rows": rows.text,
        "timesteps": timesteps.text,
        "features": features.text,
        "units": str(units),
    }
    columns, padded = padded_columns(gates * units, gates), -(-units // LANES) * LANES
    variant = _variant(call, function)
    spare = f"{columns} * {_SPARE.get(variant, '0')}"
    # of whole tiles the states are where the last ones go
    own = 0 if gives_states and units == padded else states
    small = columns + padded * (own + (call.mask is not None))
    fields["work"] = writer.work(_work_floats(x, columns, padded, spare, small))
    if variant.startswith("usual"):  # and so has no need of them
        del fields["activation"], fields["recurrent_activation"]
    _write_struct(writer, "gatelet_recurrence", f"gatelet_{variant}", fields, small=x.made)
    return outputs


def make_state(
    writer: Writer, output: str, dims: Sequence[Size], kind: str = "float", **facts: Any
) -> Value:
    """Return memory for a state that a recurrence leaves: the caller's, where it has a place."""
    place = writer.places.pop(output, None)
    if place is None:
        return writer.make(dims, kind, **facts)
    c_type, name = C_TYPES[kind][0], writer.name("value")
    writer.line(f"{c_type} *const {name} = ({c_type} *)(void *)call->to[{place}];")
    return Value(name, kind, tuple(dims), **facts)


def _variant(call: Call, function: str) -> str:
    """Return the function for what a recurrence has: code that no model calls is not compiled."""
    if function == "simple_rnn":
        return function
    attributes = call.node.attributes
    if not attributes.get("reset_after", True):
        return f"{function}_reset_before"
    both = (attributes["activation"], attributes["recurrent_activation"])
    return f"{'usual' if both == ('tanh', 'sigmoid') else 'any'}_{function}"


def _work_floats(x: Value, columns: int, padded: int, spare: str, small: int) -> str:
    """Return the floats of `work` as kernels/recurrence.h has them."""
    rows, timesteps = x.dims[:2]
    if timesteps.number is None:
        T = f"({timesteps.most})"
        steps = f"({T} < {STEPS} ? {T} : {STEPS})"
    else:
        steps = str(min(timesteps.number, STEPS))
    B = f"(size_t)({rows.most})"
    states = WALK_STATES * padded
    large = f"{B} * ({columns} * (size_t){steps} + {states}) + {spare.format(B=B)}"
    return f"(GATELET_SMALL ? (size_t){small} + {spare.format(B='1')} : {large})"


def _weights(writer: Writer, call: Call, gates: int) -> dict[str, str]:
    x, units = call.x, len(call.weights["recurrent_kernel"])
    kernel = writer.matrix(call.part("kernel"), gates, raw=x.raw, exact_limit=x.exact_limit)
    fields = {"kernel": f"&{kernel}"}
    reset_after = call.node.attributes.get("reset_after", True)
    if call.node.op == "GRU" and not reset_after:
        parts = (call.part("recurrent_kernel", columns=c) for c in gru_columns(units))
        fields["recurrent"], fields["candidate"] = (
            f"&{writer.matrix(part, count, recurrent=True)}"
            for part, count in zip(parts, (2, 1), strict=True)
        )
    else:
        recurrent = writer.matrix(call.part("recurrent_kernel"), gates, recurrent=True)
        fields["recurrent"] = f"&{recurrent}"
    if "bias" in call.weights and call.node.op == "GRU" and reset_after:
        fields["recurrent_bias"] = writer.vector(call.part("bias", row=1), gates)
        fields["bias"] = writer.vector(call.part("bias", row=0), gates)
    elif "bias" in call.weights:
        fields["bias"] = writer.vector(call.part("bias"), gates)
    return fields


def entering(writer: Writer, call: Call, states: Sequence[Value]) -> dict[str, str]:
    """Let rows begin behind their padding, where they do; give the field that says where.

    Args:
        writer: Writes what rows that have states of their own begin with.
        call: Whose inputs say where rows begin.
        states: The same, as the recurrence takes them.
    """
    fields = {}
    for one, state in zip(call.inputs[1:], states, strict=True):
        if one.entry is None:
            continue
        fields["enter"] = one.entry.enter
        if one.entry.given:
            rows, units = (size.text for size in one.dims)
            own = (one.entry.given, one.entry.pads, rows, units, state.name)
            writer.call("gatelet_keep_states", *own)
    return fields


def gru_columns(units: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the columns of a GRU's gates, and those of its candidate."""
    return (0, 2 * units), (2 * units, 3 * units)


def _pointers(call: Call, outputs: list[Value], states: int) -> dict[str, str]:
    """Return what LSTM and ConvLSTM2D share with the others: inputs, outputs, settings."""
    attributes = call.node.attributes
    fields = {"x": call.x.name, "y": outputs[0].name}
    if call.mask is not None:
        fields["mask"] = call.mask.name
    for field, value in zip(("h0", "c0"), call.inputs[1:], strict=False):
        fields[field] = value.name
    for field, value in zip(("h", "c")[:states], outputs[1:], strict=False):
        fields[field] = value.name
    for setting in ("activation", "recurrent_activation"):
        parameters = attributes.get(f"{setting}_parameters", {})
        fields[setting] = activation_text(attributes.get(setting, "linear"), parameters)
    flags = [flag for name, flag in FLAGS.items() if attributes.get(name)]
    fields["flags"] = " | ".join(flags) or "0"
    return fields


def _output_dims(call: Call, state: tuple[Size, ...]) -> tuple[Size, ...]:
    rows, timesteps = call.x.dims[:2]
    sequence = call.node.attributes["return_sequences"]
    return (rows, timesteps, *state) if sequence else (rows, *state)


def _write_struct(
    writer: Writer,
    struct: str,
    function: str,
    fields: Mapping[str, str],
    *,
    small: Mapping[str, str] | None = None,
) -> None:
    name = writer.name("recurrence")
    writer.line(f"const struct {struct} {name} = {{")
    for field, text in fields.items():
        writer.line(f"    .{field} = {text},")
    if small:
        own = (f"    .{field} = {text}," for field, text in small.items())
        writer.lines += ["#if GATELET_SMALL", *own, "#endif"]
    writer.line("};")
    writer.call(function, f"&{name}")


def write_conv_lstm_2d(writer: Writer, call: Call) -> list[Value]:
    """Write a `ConvLSTM2D` node."""
    writer.kernels |= {"activations", "product", "recurrence", "convolution", "conv_lstm"}
    attributes, x = call.node.attributes, call.x
    kernel, recurrent = call.weights["kernel"], call.weights["recurrent_kernel"]
    units = recurrent.shape[2]
    rows, timesteps, height, width, channels = x.dims
    windows = [
        window_of(writer, length, kernel.shape[axis], attributes, axis)
        for axis, length in enumerate((height, width))
    ]
    inner = [
        window_of(writer, one.count, recurrent.shape[axis], _SAME, axis)
        for axis, one in enumerate(windows)
    ]
    state = (windows[0].count, windows[1].count, known(units))
    outputs = [writer.make(_output_dims(call, state))]
    if attributes.get("return_state"):
        outputs += [writer.make((rows, *state)) for _ in range(2)]
    fields = _pointers(call, outputs, 2)
    fields |= {"rows": rows.text, "timesteps": timesteps.text, "units": str(units)}
    most = 0
    for name, role, around, taken in (
        ("input", "kernel", windows, channels.text),
        ("recurrent", "recurrent_kernel", inner, str(units)),
    ):
        kernels, floats = write_kernels(writer, call, role, raw=x.raw or name != "input")
        bias = writer.optional(call, "bias") if name == "input" else "NULL"
        most = max(most, floats)
        fields[name] = initializer(
            {
                "height": around[0].text,
                "width": around[1].text,
                "rows": rows.text,
                "channels": taken,
                "filters": 4 * units,
                "groups": 1,
                "kernels": kernels,
                "bias": bias,
            }
        )
    all_states = largest_elements((rows, *state))
    fields["work"] = writer.work(f"(size_t){CONV_LSTM_STATES} * {all_states} + {most}")
    _write_struct(writer, "gatelet_conv_lstm", "gatelet_conv_lstm_2d", fields)
    return outputs


_SAME = {"strides": 1, "padding": "same", "dilation_rate": 1}
