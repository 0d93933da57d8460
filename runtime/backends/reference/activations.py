"""Activations by their Keras names.

Not the reading of activations from a configuration: that is lowering's work, and so is telling
apart what versions of Keras mean by one name.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.errors import ModelError

Array = NDArray[Any]


def activate(name: str, x: Array, **parameters: Any) -> Array:
    """Apply an activation.

    Args:
        name: A key of `ACTIVATIONS`.
        x: Any shape.
        **parameters: By Keras' names; what is left out has the default of Keras 3.

    Returns:
        The shape and dtype of x; glu halves its axis.

    Raises:
        ModelError: The name is not in the table.
    """
    try:
        function = ACTIVATIONS[name]
    except KeyError:
        raise ModelError(
            f"activation '{name}' is not known; known are {', '.join(ACTIVATIONS)}"
        ) from None
    return np.asarray(function(x, **parameters), dtype=x.dtype)


def _relu(
    x: Array,
    *,
    max_value: float | None = None,
    negative_slope: float = 0.0,
    threshold: float = 0.0,
) -> Array:
    above = np.where(x > threshold, x, 0) if threshold else np.maximum(x, 0)
    if max_value is not None:
        above = np.clip(above, 0, max_value)
    if not negative_slope:
        return above
    return np.asarray(above - negative_slope * np.maximum(threshold - x, 0))


def _leaky_relu(x: Array, *, negative_slope: float = 0.2) -> Array:
    return np.where(x > 0, x, negative_slope * x)


def _sigmoid(x: Array) -> Array:
    with np.errstate(over="ignore"):  # 1 / infinity is the 0 that is meant
        y = np.asarray(np.exp(-x))
    y += 1
    return np.asarray(np.reciprocal(y, out=y))


def _hard_sigmoid(x: Array) -> Array:
    return np.asarray(np.clip(x + 3, 0, 6) / 6)


def _hard_sigmoid_keras2(x: Array) -> Array:
    return np.clip(0.2 * x + 0.5, 0, 1)


def _softmax(x: Array, *, axis: int = -1) -> Array:
    shifted = np.exp(x - x.max(axis=axis, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=axis, keepdims=True))


def _log_softmax(x: Array, *, axis: int = -1) -> Array:
    shifted = x - x.max(axis=axis, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True)))


def _elu(x: Array, *, alpha: float = 1.0) -> Array:
    return np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0)))


def _selu(x: Array) -> Array:
    """Source: Klambauer et al. 2017."""
    alpha, scale = 1.6732632423543772, 1.0507009873554805
    return np.asarray(scale * _elu(x, alpha=alpha))


def _celu(x: Array, *, alpha: float = 1.0) -> Array:
    """Source: Barron 2017."""
    return np.asarray(np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0) / alpha))


def _softplus(x: Array) -> Array:
    return np.asarray(np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x))))


def _softsign(x: Array) -> Array:
    return np.asarray(x / (1 + np.abs(x)))


def _silu(x: Array) -> Array:
    return np.asarray(x * _sigmoid(x))


def _gelu(x: Array, *, approximate: bool = False) -> Array:
    """Source: Hendrycks & Gimpel 2016."""
    if approximate:
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
        return np.asarray(0.5 * x * (1 + np.tanh(inner)))
    erf = np.vectorize(math.erf, otypes=[np.float64])(x / math.sqrt(2)).astype(x.dtype)
    return np.asarray(0.5 * x * (1 + erf))


def _mish(x: Array) -> Array:
    """Source: Misra 2019."""
    return np.asarray(x * np.tanh(_softplus(x)))


def _hard_shrink(x: Array, *, threshold: float = 0.5) -> Array:
    return np.where(np.abs(x) > threshold, x, 0)


def _soft_shrink(x: Array, *, threshold: float = 0.5) -> Array:
    return np.where(np.abs(x) > threshold, x - np.sign(x) * threshold, 0)


def _squareplus(x: Array, *, b: float = 4.0) -> Array:
    return np.asarray((x + np.sqrt(x * x + b)) / 2)


def _sparse_plus(x: Array) -> Array:
    return np.where(x <= -1, 0, np.where(x < 1, (x + 1) ** 2 / 4, x))


def _glu(x: Array, *, axis: int = -1) -> Array:
    """Source: Dauphin et al. 2016."""
    value, gate = np.split(x, 2, axis=axis)
    return np.asarray(value * _sigmoid(gate))


def _sparsemax(x: Array, *, axis: int = -1) -> Array:
    """Keras' own: Martins & Astudillo 2016, but for the threshold tau.

    The paper's tau is (the sum of the k values in the support - 1) / k. Keras takes the sum of
    their k cumulative sums, which is the same for k = 1 only.
    """
    x = np.moveaxis(x, axis, -1)
    ordered = -np.sort(-x, axis=-1)
    total = np.cumsum(ordered, axis=-1)
    rank = np.arange(1, x.shape[-1] + 1, dtype=x.dtype)
    in_support = ordered - (total - 1) / rank > 0
    count = in_support.sum(axis=-1, keepdims=True)
    tau = (np.where(in_support, total, 0).sum(axis=-1, keepdims=True) - 1) / count
    return np.moveaxis(np.maximum(x - tau.astype(x.dtype), 0), -1, axis)


def _threshold(x: Array, *, threshold: float, default_value: float = 0.0) -> Array:
    return np.where(x > threshold, x, default_value)


ACTIVATIONS: dict[str, Callable[..., Array]] = {
    "linear": lambda x: x,
    "relu": _relu,
    "sigmoid": _sigmoid,
    "hard_sigmoid": _hard_sigmoid,
    "hard_sigmoid_keras2": _hard_sigmoid_keras2,
    "tanh": np.tanh,
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "elu": _elu,
    "selu": _selu,
    "softplus": _softplus,
    "softsign": _softsign,
    "exponential": np.exp,
    "silu": _silu,
    "gelu": _gelu,
    "leaky_relu": _leaky_relu,
    "relu6": lambda x: np.clip(x, 0, 6),
    "mish": _mish,
    "celu": _celu,
    "hard_tanh": lambda x: np.clip(x, -1, 1),
    "hard_silu": lambda x: x * _hard_sigmoid(x),
    "log_sigmoid": lambda x: -_softplus(-x),
    "tanh_shrink": lambda x: x - np.tanh(x),
    "hard_shrink": _hard_shrink,
    "soft_shrink": _soft_shrink,
    "squareplus": _squareplus,
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": lambda x: np.clip(0.5 * (x + 1), 0, 1),
    "glu": _glu,
    "sparsemax": _sparsemax,
    "threshold": _threshold,
}
"""By name; the parameters are Keras' own."""
