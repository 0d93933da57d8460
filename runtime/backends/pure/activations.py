"""Activations by their Keras names, in plain Python.

Not their definition: that is the reference backend, which these equal.
"""

import math
from collections.abc import Callable
from typing import Any

from gatelet.errors import ModelError
from gatelet.runtime.backends.pure.array import Array, along, divide

Vector = list[float]


def activate(name: str, x: Array, parameters: dict[str, Any]) -> Array:
    """Apply an activation.

    Args:
        name: A key of `ELEMENTWISE` or `ALONG`.
        x: Any shape.
        parameters: By Keras' names; what is left out has the default of Keras 3.

    Raises:
        ModelError: The name is not known.
    """
    if name in ALONG:
        rest = dict(parameters)
        return along(x, [rest.pop("axis", -1)], lambda run: ALONG[name](run, **rest))
    return Array(x.shape, list(map(_elementwise(name, parameters), x.data)))


def vector_activation(name: str, parameters: dict[str, Any]) -> Callable[[Vector], Vector]:
    """Return an activation of the vectors [U] of a recurrence.

    Raises:
        ModelError: The name is not known, or its axis is not the last one.
    """
    if name in ALONG:
        rest = dict(parameters)
        if rest.pop("axis", -1) != -1:
            raise ModelError(f"activation '{name}' of a recurrence: its axis is not the last one")
        return lambda run: ALONG[name](run, **rest)
    function = _elementwise(name, parameters)
    return lambda run: list(map(function, run))


def _elementwise(name: str, parameters: dict[str, Any]) -> Callable[[float], float]:
    if name not in ELEMENTWISE:
        raise ModelError(
            f"activation '{name}' is not known; known are {', '.join([*ELEMENTWISE, *ALONG])}"
        )
    function = ELEMENTWISE[name]
    return (lambda x: function(x, **parameters)) if parameters else function


def exp(x: float) -> float:
    """Return e to the x; infinity where it is too large."""
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


# Comparisons are written so that NaN stays NaN, as it does in NumPy.


def _clip(x: float, low: float, high: float) -> float:
    return low if x < low else high if x > high else x


def _relu(
    x: float,
    *,
    max_value: float | None = None,
    negative_slope: float = 0.0,
    threshold: float = 0.0,
) -> float:
    above = 0.0 if x < 0 or (threshold and not x > threshold) else x
    if max_value is not None:
        above = _clip(above, 0.0, max_value)
    if not negative_slope:
        return above
    below = threshold - x
    return above - negative_slope * (0.0 if below < 0 else below)


def sigmoid(x: float) -> float:
    """Return 1 / (1 + e^-x), without an overflow."""
    if x >= 0:
        return 1 / (1 + math.exp(-x))
    small = math.exp(x)
    return small / (1 + small)


def _hard_sigmoid(x: float) -> float:
    return _clip(x + 3, 0.0, 6.0) / 6


def _expm1_of_negative(x: float) -> float:
    return math.expm1(0.0 if x > 0 else x)


def _elu(x: float, *, alpha: float = 1.0) -> float:
    return x if x > 0 else alpha * _expm1_of_negative(x)


def _selu(x: float) -> float:
    """Source: Klambauer et al. 2017."""
    return 1.0507009873554805 * _elu(x, alpha=1.6732632423543772)


def _celu(x: float, *, alpha: float = 1.0) -> float:
    """Source: Barron 2017."""
    return (0.0 if x < 0 else x) + alpha * math.expm1(divide(0.0 if x > 0 else x, alpha))


def _softplus(x: float) -> float:
    return (0.0 if x < 0 else x) + math.log1p(math.exp(-abs(x)))


def _softsign(x: float) -> float:
    return x / (1 + abs(x))


def _silu(x: float) -> float:
    return x * sigmoid(x)


def _gelu(x: float, *, approximate: bool = False) -> float:
    """Source: Hendrycks & Gimpel 2016."""
    if approximate:
        return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))
    return 0.5 * x * (1 + math.erf(x / math.sqrt(2)))


def _soft_shrink(x: float, *, threshold: float = 0.5) -> float:
    if x != x:
        return 0.0
    return x - math.copysign(threshold, x) if abs(x) > threshold else 0.0


def _sparse_plus(x: float) -> float:
    if x <= -1:
        return 0.0
    return (x + 1) ** 2 / 4 if x < 1 else x


ELEMENTWISE: dict[str, Callable[..., float]] = {
    "linear": lambda x: x,
    "relu": _relu,
    "sigmoid": sigmoid,
    "hard_sigmoid": _hard_sigmoid,
    "hard_sigmoid_keras2": lambda x: _clip(0.2 * x + 0.5, 0.0, 1.0),
    "tanh": math.tanh,
    "elu": _elu,
    "selu": _selu,
    "softplus": _softplus,
    "softsign": _softsign,
    "exponential": exp,
    "silu": _silu,
    "gelu": _gelu,
    "leaky_relu": lambda x, negative_slope=0.2: x if x > 0 else negative_slope * x,
    "relu6": lambda x: _clip(x, 0.0, 6.0),
    "mish": lambda x: x * math.tanh(_softplus(x)),
    "celu": _celu,
    "hard_tanh": lambda x: _clip(x, -1.0, 1.0),
    "hard_silu": lambda x: x * _hard_sigmoid(x),
    "log_sigmoid": lambda x: -_softplus(-x),
    "tanh_shrink": lambda x: x - math.tanh(x),
    "hard_shrink": lambda x, threshold=0.5: x if abs(x) > threshold else 0.0,
    "soft_shrink": _soft_shrink,
    "squareplus": lambda x, b=4.0: (x + math.sqrt(x * x + b)) / 2,
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": lambda x: _clip(0.5 * (x + 1), 0.0, 1.0),
    "threshold": lambda x, threshold, default_value=0.0: x if x > threshold else default_value,
}
"""From one number to one."""


def _largest(run: Vector) -> float:
    return math.nan if any(x != x for x in run) else max(run)


def _softmax(run: Vector) -> Vector:
    largest = _largest(run)
    shifted = [exp(x - largest) for x in run]
    total = sum(shifted)
    return [divide(x, total) for x in shifted]


def _log_softmax(run: Vector) -> Vector:
    largest = _largest(run)
    total = math.log(sum(exp(x - largest) for x in run))
    return [x - largest - total for x in run]


def _glu(run: Vector) -> Vector:
    """Source: Dauphin et al. 2016."""
    half = len(run) // 2
    return [x * sigmoid(gate) for x, gate in zip(run[:half], run[half:], strict=True)]


def _sparsemax(run: Vector) -> Vector:
    """Keras' own: Martins & Astudillo 2016, but for the threshold; see the reference backend."""
    total, totals, count = 0.0, 0.0, 0
    for rank, x in enumerate(sorted(run, reverse=True), start=1):
        total += x
        if x - (total - 1) / rank > 0:
            totals += total
            count += 1
    tau = divide(totals - 1, count)
    return [_relu(x - tau) for x in run]


ALONG: dict[str, Callable[..., Vector]] = {
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "glu": _glu,
    "sparsemax": _sparsemax,
}
"""From the numbers along an axis to as many, or half as many."""
