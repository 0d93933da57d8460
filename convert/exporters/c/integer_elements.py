"""Element by element in integers as C calls: sums, products, Affine, activations by a table.

Not the arithmetic, which is in kernels/integer_elements.c.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from gatelet.convert.exporters.c.integer_values import HEADROOM, fixed_point
from gatelet.convert.exporters.c.sizes import elements
from gatelet.convert.exporters.c.source import number
from gatelet.convert.exporters.c.writer import Array, Call, Value, Writer
from gatelet.runtime.backends.reference.activations import ACTIVATIONS

LOOKED_UP = (
    *("relu", "leaky_relu", "relu6", "elu", "selu", "celu", "gelu", "silu", "softplus"),
    *("softsign", "mish", "hard_tanh", "hard_silu"),
)
"""Activations that are tables: each is continuous, and no larger than its input and 1."""
SIGNS = {"Add": 1, "Average": 1, "Subtract": -1}
OBSERVED = ("Dense", "Multiply", "Affine", *SIGNS)
"""Operations whose outputs have the range that calibration rows show."""


def observed_scale(writer: Writer, call: Call) -> float:
    """Return what an output's integers are multiples of: they hold some more than was observed."""
    return (float(writer.observed[call.node.output][0]) or 1.0) * HEADROOM / 32767


def write_sum(writer: Writer, call: Call) -> list[Value]:
    """Write an `Add`, `Average` or `Subtract` node, two values at a time."""
    writer.kernels.add("integer_elements")
    scale, op = observed_scale(writer, call), call.node.op
    share = 1.0 / len(call.inputs) if op == "Average" else 1.0
    y = writer.make(call.x.dims, "int16", scale=scale)
    n, before, own = elements(y.dims), call.x, call.x.scale * share
    for value in call.inputs[1:]:
        fixed = fixed_point(np.array([own, value.scale * share]) / scale)
        a, b = (str(int(one)) for one in fixed.multipliers * [1, SIGNS[op]])
        given = (before.name, a, value.name, b, n, str(fixed.shift), y.name)
        writer.call("gatelet_integer_add", *given)
        before, own = y, scale
    return [y]


def write_product(writer: Writer, call: Call) -> list[Value]:
    """Write a `Multiply` node of two values."""
    writer.kernels.add("integer_elements")
    scale, (x, z) = observed_scale(writer, call), call.inputs
    y = writer.make(x.dims, "int16", scale=scale)
    fixed = fixed_point(np.array([x.scale * z.scale / scale]))
    given = (elements(y.dims), str(int(fixed.multipliers[0])), str(fixed.shift), y.name)
    writer.call("gatelet_integer_multiply", x.name, z.name, *given)
    return [y]


def write_affine(writer: Writer, call: Call) -> list[Value]:
    """Write an `Affine` node: features as they are fed are rounded behind it, not before."""
    writer.kernels |= {"integer", "integer_elements"}
    scale, x = observed_scale(writer, call), call.x
    parts = [call.part(role) for role in ("scale", "shift")]
    size = max(one.array.size for one in parts)
    y = writer.make(x.dims, "int16", scale=scale)
    n = f"({elements(y.dims)}) / {size}"
    exact = [np.broadcast_to(one.array.astype(np.float64).ravel(), (size,)) for one in parts]
    if x.kind == "float":
        stored = [writer.store(one) for one in exact]
        steps: list[dict[str, Any]] = [{}, {}]
        function, last = "gatelet_integers_of_affine", number(1.0 / scale)
    else:
        fixed = fixed_point(np.abs(exact[0]) * x.scale / scale)
        signed = fixed.multipliers * np.where(exact[0] < 0, -1, 1)
        stored = [writer.store(one, "int32_t") for one in (signed, _rounded(exact[1] / scale))]
        steps = [{"step": scale / x.scale * 2.0**-fixed.shift}, {"step": scale}]
        function, last = "gatelet_integer_affine", str(fixed.shift)
    # what is not as large as the other is stored so often, and no table of sections tells that
    for part, one, step in zip(parts, stored, steps, strict=True):
        if part.array.size == size:
            writer.section(part, one, **step)
    pointers = (one.pointer for one in stored)
    writer.call(function, x.name, *pointers, n, str(size), last, y.name)
    return [y]


def _rounded(exact: Array) -> Array:
    return np.clip(np.rint(exact), -(2**30), 2**30)


def look_up(writer: Writer, x: Value, scale: float, name: str, **parameters: float) -> Value:
    """Write an activation as a table of its values."""
    writer.kernels.add("integer_elements")
    values = table_of(ACTIVATIONS[name], scale, **parameters)
    step = np.abs(values).max() / 32767
    table = writer.weights(np.rint(values / step), "int16_t")
    y = writer.make(x.dims, "int16", scale=float(step))
    writer.call("gatelet_integer_look_up", table, x.name, elements(x.dims), y.name)
    return y


def table_of(function: Callable[..., Array], scale: float, **parameters: float) -> Array:
    """Return a function's values at each 128th of all integers of a scale, float64 [513]."""
    return np.asarray(function(np.arange(-(2**15), 2**15 + 1, 128) * scale, **parameters))
