"""Element by element in integers, in NumPy, with the bits of kernels/integer_elements.c."""

from collections.abc import Mapping

import numpy as np

from gatelet.convert.parity.computes.integer_numbers import (
    LARGEST,
    Given,
    Scaled,
    factors,
    integers_of,
    narrow,
    scale_of,
    shifted,
)
from gatelet.convert.parity.computes.roundings import Array
from gatelet.runtime.backends.reference.activations import ACTIVATIONS as FLOATS

LOOKED_UP = (
    *("relu", "leaky_relu", "relu6", "elu", "selu", "celu", "gelu", "silu", "softplus"),
    *("softsign", "mish", "hard_tanh", "hard_silu"),
)


def looked_up(name: str, x: Array, scale: float, parameters: Mapping[str, float]) -> Scaled:
    """Return a function by its values at every 128th integer, on lines between them."""
    exact = np.asarray(FLOATS[name](np.arange(-(2**15), 2**15 + 1, 128) * scale, **parameters))
    unit = float(np.abs(exact).max() / LARGEST)
    table = np.rint(exact / unit).astype(np.int64)
    index, rest = (x + 2**15) >> 7, (x + 2**15) & 127
    return Scaled(table[index] + shifted((table[index + 1] - table[index]) * rest, 7), unit)


def affine(given: Given) -> list[Scaled]:
    """Return x a + b: of features as they are fed in float32, rounded once."""
    scale, x = scale_of(given), given.x
    factor, shift = (given.weights[role].astype(np.float64).ravel() for role in ("scale", "shift"))
    name = given.node.inputs[0]
    if name in given.feed:
        product = given.feed[name].astype(np.float32) * factor.astype(np.float32)
        total = product + shift.astype(np.float32)
        return [Scaled(integers_of(total, 1.0 / scale, LARGEST), scale)]
    multipliers, bits = factors(np.abs(factor) * x.scale / scale)
    added = np.clip(np.rint(shift / scale), -(2**30), 2**30).astype(np.int64)
    signed = np.where(factor < 0, -multipliers, multipliers)
    return [Scaled(narrow(shifted(x.values * signed, bits) + added), scale)]


def add(given: Given) -> list[Scaled]:
    """Add two at a time, with a factor each; what was added so far has the output's scale."""
    op, scale = given.node.op, scale_of(given)
    share, sign = 1.0 / len(given.inputs) if op == "Average" else 1.0, 1 - 2 * (op == "Subtract")
    before, own = given.x.values, given.x.scale * share
    for one in given.inputs[1:]:
        (a, b), shift = factors(np.array([own, float(one.scale) * share]) / scale)
        before, own = narrow(shifted(before * a + one.values * b * sign, shift)), scale
    return [Scaled(before, scale)]


def multiply(given: Given) -> list[Scaled]:
    """Multiply two values."""
    scale, (x, z) = scale_of(given), given.inputs
    multipliers, shift = factors(np.array([x.scale * z.scale / scale]))
    return [Scaled(narrow(shifted(x.values * z.values * multipliers[0], shift)), scale)]
