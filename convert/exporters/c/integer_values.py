"""Integers and what they stand for: scales, factors, weights of 8 bits, states in words.

Not the operations, which are in `integers` and `integer_recurrences`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gatelet.convert.exporters.c import layers
from gatelet.convert.exporters.c.sizes import elements
from gatelet.convert.exporters.c.source import initializer, number
from gatelet.convert.exporters.c.writer import (
    Array,
    Call,
    Part,
    Value,
    Writer,
)
from gatelet.convert.layouts import ORDERS
from gatelet.errors import ConversionError

UNIT = 2.0**-15
"""The scale of states between layers."""
Z_UNIT = 2.0**-16
"""The scale of what goes into an activation that stands alone."""
CELL_UNIT, WIDE_UNIT = 2.0**-16, 2.0**-29
"""The scales of an LSTM's cell, and of a GRU's state within it."""
HEADROOM = 2.0
"""Values may be so many times those that were observed; the 16 bits can spare one."""
TAIL_ENTRIES, EXP_ENTRIES = 513, 1025
"""Of the tables of s(-x), the logistic function, and of e^-x, from 0 to 16."""
_MULTIPLIER_BITS = 24
_WORD_LIMITS = {UNIT: 2**15 - 1, CELL_UNIT: 2**30 - 1, WIDE_UNIT: 2**29 - 1}
WAY_OUT = "use --scheme dynamic-int8 or float32"

ACTIVATIONS = {
    "tanh": "GATELET_Q_TANH",
    "sigmoid": "GATELET_Q_SIGMOID",
    "hard_sigmoid": "GATELET_Q_HARD_SIGMOID",
    "hard_sigmoid_keras2": "GATELET_Q_HARD_SIGMOID_KERAS2",
}


@dataclass(frozen=True)
class Fixed:
    """A factor as integers: x * multiplier >> shift."""

    multipliers: Array
    shift: int


def fixed_point(factors: Array, rounded: Callable[[Array], Array] = np.rint) -> Fixed:
    """Return factors as integers of at most 24 bits with one shift."""
    largest = float(np.max(factors, initial=0.0)) or 1.0
    shift = int(np.clip(_MULTIPLIER_BITS - 1 - np.floor(np.log2(largest)) - 1, 0, 62))
    exact = rounded(np.asarray(factors, np.float64) * 2.0**shift)
    return Fixed(np.clip(exact, 0, 2**_MULTIPLIER_BITS - 1).astype(np.int64), shift)


def stored_matrix(
    writer: Writer, part: Part, x_scale: float | Array, scale: float, *, bias: float = 0.0
) -> str:
    """Store a kernel [rows, columns] and give the name of its struct.

    Args:
        writer: Stores it.
        part: Float weights.
        x_scale: Of what it is multiplied with; for features one a row.
        scale: Of what comes out.
        bias: The largest magnitude of what is added, in that scale.
    """
    kernel = part.array
    rows, columns = kernel.shape
    scaled = kernel.astype(np.float64) * np.broadcast_to(x_scale, (rows,))[:, None]
    # rounded up, so that a column's integers, which are of what is stored, are at most 127
    fixed = fixed_point(np.abs(scaled).max(axis=0, initial=0.0) / 127 / scale, np.ceil)
    multipliers = np.maximum(fixed.multipliers, 1)
    scales = multipliers * 2.0**-fixed.shift * scale
    integers = ORDERS["columns"](np.clip(np.rint(scaled / scales), -127, 127), 0)
    values, by_column = writer.store(integers, "int8_t"), writer.store(multipliers, "int32_t")
    first, _ = part.place.get("columns", (0, columns))
    meant = integers.T * scales / np.broadcast_to(x_scale, (rows,))[:, None]
    writer.rounded[part.place["weight"], first] = meant
    step = np.asarray(scale / x_scale * 2.0**-fixed.shift).tolist()
    along = [{"along": "columns", **by_column.entry}]
    writer.section(part, values, "columns", scales=along, step=step)
    name = writer.name("matrix")
    fields = {
        "values": values.pointer,
        "multipliers": by_column.pointer,
        "rows": rows,
        "columns": columns,
        "shift": fixed.shift,
        "fits": int(_fits(integers, multipliers * 2.0**-fixed.shift, bias)),
    }
    writer.line(f"const struct gatelet_integer_matrix {name} = {initializer(fields)};")
    return name


def _fits(integers: Array, factors: Array, bias: float) -> bool:
    """Return whether no int16 makes a sum whose multiple, with the bias, leaves 30 bits."""
    sums = np.abs(integers.astype(np.float64)).sum(axis=1) * 2**15
    return bool((sums * factors).max(initial=0.0) + bias + 2 < 2**30)


def stored_bias(writer: Writer, call: Call, scale: float, *, row: int | None = None) -> str:
    """Store a bias, or a row of it; 'NULL' where there is none."""
    if "bias" not in call.weights:
        return "NULL"
    part = call.part("bias", row=row)
    exact = np.clip(np.rint(part.array.astype(np.float64) / scale), -(2**30), 2**30)
    stored = writer.store(exact, "int32_t")
    writer.section(part, stored, step=scale)
    return stored.pointer


def as_integers(writer: Writer, value: Value) -> tuple[Value, float | Array]:
    """Return a value as integers, with its scale: features have one each."""
    if value.kind == "int16":
        return value, value.scale
    scales = feature_scales(writer, value)
    y = writer.make(value.dims, "int16")
    inverse = writer.weights(1.0 / scales)
    n, features = elements(value.dims[:-1]), str(len(scales))
    writer.call("gatelet_integers_of_features", value.name, inverse, n, features, y.name)
    return y, scales


def feature_scales(writer: Writer, value: Value) -> Array:
    """Return what the integers of each feature are multiples of."""
    largest = writer.observed.get(value.fed)
    if value.kind != "float" or largest is None:
        raise ConversionError(f"c full-int8 knows no range of '{value.name}': {WAY_OUT}")
    return np.asarray(np.where(largest > 0, largest, 1.0) * HEADROOM * HEADROOM / 32767)


def tail_table(writer: Writer) -> str:
    """Store the logistic function of numbers below 0, of which each has as many bits as another."""
    values = 2.0**31 / (1.0 + np.exp(np.arange(TAIL_ENTRIES) / 32.0))
    return writer.weights(np.rint(values), "int32_t")


def exponential_table(writer: Writer) -> str:
    """Store e^-x."""
    values = np.exp(-np.arange(EXP_ENTRIES) / 64.0)
    return writer.weights(np.rint(values * 2**15), "uint16_t")


def as_word(writer: Writer, value: Value, unit: float) -> Value:
    """Return a state as a word of a scale: what a stream carries is one as it is."""
    if value.kind == "ids" or (value.kind == "word" and value.scale == unit):
        return value
    value = layers.as_floats(writer, value)
    y = writer.make(value.dims, "word", scale=unit)
    limit = _WORD_LIMITS[unit]
    factor = 1 << layers.unused_bits(unit)
    given = (number(1.0 / unit), str(limit), str(factor))
    writer.call("gatelet_words_of_floats", value.name, elements(value.dims), *given, y.name)
    return y
