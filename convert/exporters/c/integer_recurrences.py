"""LSTM, GRU and SimpleRNN in integers as C calls.

Not their steps, which are in kernels/integer.c.
"""

from collections.abc import Mapping

import numpy as np

from gatelet.convert.exporters.c.integer_values import (
    ACTIVATIONS,
    CELL_UNIT,
    UNIT,
    WIDE_UNIT,
    as_integers,
    as_word,
    feature_scales,
    stored_bias,
    stored_matrix,
    tail_table,
)
from gatelet.convert.exporters.c.recurrent import FLAGS, entering, gru_columns, make_state
from gatelet.convert.exporters.c.sizes import known
from gatelet.convert.exporters.c.writer import Array, Call, Value, Writer

FEWEST_BITS, MOST_BITS = 16, 24
"""Behind the point of what goes into the activations."""
STATE_UNITS = {"LSTM": (UNIT, CELL_UNIT), "GRU": (WIDE_UNIT,), "SimpleRNN": (UNIT,)}
_KINDS = {"LSTM": "LSTM", "GRU": "GRU", "SimpleRNN": "SIMPLE_RNN"}


def write_recurrence(writer: Writer, call: Call) -> list[Value]:
    """Write an `LSTM`, `GRU` or `SimpleRNN` node."""
    writer.kernels |= {"integer", "recurrence", "product", "activations"}
    node, attributes = call.node, call.node.attributes
    taken, x_scale = _taken(writer, call)
    x = call.x
    fields = taken | _weights(writer, call, x_scale)
    units = len(call.weights["recurrent_kernel"])
    rows, timesteps = x.dims[:2]
    sequence = (timesteps,) if attributes["return_sequences"] else ()
    outputs = [writer.make((rows, *sequence, known(units)), "int16", scale=UNIT)]
    if attributes.get("return_state"):
        outputs += [
            make_state(writer, name, (rows, known(units)), "word", scale=unit)
            for name, unit in zip(node.outputs[1:], STATE_UNITS[node.op], strict=True)
        ]
    pairs = zip(call.inputs[1:], STATE_UNITS[node.op], strict=False)
    states = [as_word(writer, one, unit) for one, unit in pairs]
    fields |= {"y": outputs[0].name, "units": str(units)}
    fields |= {"rows": rows.text, "timesteps": timesteps.text}
    fields |= dict(zip(("h0", "c0"), (one.name for one in states), strict=False))
    fields |= dict(zip(("h", "c"), (one.name for one in outputs[1:]), strict=False))
    if call.mask is not None:
        fields["mask"] = call.mask.name
    fields |= entering(writer, call, states)
    for setting in ("activation", "recurrent_activation"):
        fields[setting] = ACTIVATIONS.get(attributes.get(setting, ""), "0")
    flags = [flag for name, flag in FLAGS.items() if attributes.get(name)]
    fields["flags"] = " | ".join(flags) or "0"
    fields["tail"] = tail_table(writer)
    fields["work"] = f"(int32_t *)(void *){writer.work(_work_words(call))}"
    name = writer.name("recurrence")
    writer.line(f"const struct gatelet_integer_recurrence {name} = {{")
    for field, text in fields.items():
        writer.line(f"    .{field} = {text},")
    writer.line("};")
    writer.call("gatelet_integer_walk", f"&{name}")
    return outputs


def _taken(writer: Writer, call: Call) -> tuple[dict[str, str], float | Array]:
    """Return the fields that say what a recurrence takes, and its scale."""
    if call.x.made:
        return dict(call.x.made), call.x.scale
    if call.x.kind == "float":
        scales = feature_scales(writer, call.x)
        return {"numbers": call.x.name, "inverse": writer.weights(1.0 / scales)}, scales
    x, scale = as_integers(writer, call.x)
    return {"x": x.name}, scale


def _weights(writer: Writer, call: Call, x_scale: float | Array) -> dict[str, str]:
    """Store the weights, and return the fields that say where, and what they make."""
    node, kind = call.node, _KINDS[call.node.op]
    bits = input_bits(call.weights, x_scale)
    unit, row = 2.0**-bits, None
    most = np.abs(call.weights.get("bias", np.zeros(1))).max() / unit
    fields = {"kernel": stored_matrix(writer, call.part("kernel"), x_scale, unit, bias=most)}
    recurrent = call.part("recurrent_kernel")
    if node.op == "GRU" and not node.attributes.get("reset_after", True):
        kind = "GRU_RESET_BEFORE"
        units = len(recurrent.array)
        parts = (call.part("recurrent_kernel", columns=c) for c in gru_columns(units))
        recurrent, candidate = parts
        fields["candidate"] = stored_matrix(writer, candidate, UNIT, unit)
    elif node.op == "GRU" and "bias" in call.weights:
        row = 0
        fields["recurrent_bias"] = stored_bias(writer, call, unit, row=1)
    own = most if row is not None else 0.0
    fields["recurrent"] = stored_matrix(writer, recurrent, UNIT, unit, bias=own)
    fields["bias"] = stored_bias(writer, call, unit, row=row)
    return {"kind": f"GATELET_Q_{kind}", "bits": str(bits), **fields}


def _work_words(call: Call) -> str:
    """Return the words of `work` as kernels/integer.h has them."""
    (features, columns), units = call.weights["kernel"].shape, len(call.weights["recurrent_kernel"])
    node, attributes = call.node, call.node.attributes
    is_gru, resets_before = node.op == "GRU", not attributes.get("reset_after", True)
    halves = 1 + (not is_gru) + (call.mask is not None) + resets_before
    wide = units * (node.op != "SimpleRNN" and not attributes.get("return_state", False))
    return str(columns * (1 + is_gru) + wide + halves * -(-units // 2) + -(-features // 2))


def input_bits(weights: Mapping[str, Array], x_scale: float | Array) -> int:
    """Return the most bits behind the point with which x W + b and h W + b hold 31 bits."""
    kernel, recurrent = (weights[one].astype(np.float64) for one in ("kernel", "recurrent_kernel"))
    x = np.broadcast_to(np.asarray(x_scale, np.float64), (len(kernel),)) * 2**15
    largest = max(np.abs(kernel).T.dot(x).max(), np.abs(recurrent).sum(axis=0).max())
    largest += np.abs(weights.get("bias", np.zeros(1))).max()
    # a hundredth more for weights that are rounded up
    return int(np.clip(np.floor(30 - np.log2(1.01 * largest)), FEWEST_BITS, MOST_BITS))
