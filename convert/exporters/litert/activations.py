"""Activations by their Keras names, made of built-in TFLite operators.

Not the definition of them: that is `gatelet.runtime.backends.reference.activations`.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from gatelet.convert.exporters.litert.step import Step, Tf, TfTensor
from gatelet.errors import ConversionError

Activation = Callable[[TfTensor], TfTensor]


def activation(step: Step) -> TfTensor:
    """Export an `Activation` node."""
    parameters = dict(step.attributes)
    return _bind(step.tf, parameters.pop("activation"), parameters)(step.inputs[0])


def activations_of(step: Step) -> tuple[Activation, Activation]:
    """Return a recurrence's activation and recurrent activation as functions."""

    def bind(setting: str) -> Activation:
        parameters = step.attributes.get(f"{setting}_parameters", {})
        return _bind(step.tf, step.attributes.get(setting, "linear"), parameters)

    return bind("activation"), bind("recurrent_activation")


def _bind(tf: Tf, name: str, parameters: Mapping[str, Any]) -> Activation:
    """Return an activation as a function; what `parameters` leave out is as in Keras 3."""
    function = ACTIVATIONS.get(name)
    if function is None:
        raise ConversionError(
            f"activation '{name}' cannot be exported to litert; known are {', '.join(ACTIVATIONS)}"
        )
    return lambda x: function(tf, x, **parameters)


def _relu(
    tf: Tf,
    x: TfTensor,
    *,
    max_value: float | None = None,
    negative_slope: float = 0.0,
    threshold: float = 0.0,
) -> TfTensor:
    above = tf.where(x > threshold, x, 0.0) if threshold else tf.nn.relu(x)
    if max_value is not None:
        above = tf.minimum(above, max_value)
    if not negative_slope:
        return above
    return above - negative_slope * tf.nn.relu(threshold - x)


def _softmax(tf: Tf, x: TfTensor, *, axis: int = -1) -> TfTensor:
    return _along(tf, x, axis, tf.nn.softmax)


def _log_softmax(tf: Tf, x: TfTensor, *, axis: int = -1) -> TfTensor:
    return _along(tf, x, axis, tf.nn.log_softmax)


def _elu(tf: Tf, x: TfTensor, *, alpha: float = 1.0) -> TfTensor:
    if alpha == 1:
        return tf.nn.elu(x)
    return tf.nn.relu(x) + alpha * tf.nn.elu(tf.minimum(x, 0.0))


def _selu(tf: Tf, x: TfTensor) -> TfTensor:
    return 1.0507009873554805 * _elu(tf, x, alpha=1.6732632423543772)


def _celu(tf: Tf, x: TfTensor, *, alpha: float = 1.0) -> TfTensor:
    return tf.nn.relu(x) + alpha * tf.nn.elu(tf.minimum(x, 0.0) / alpha)


def _softplus(tf: Tf, x: TfTensor) -> TfTensor:
    # exp of a negative number only: it cannot overflow
    return tf.nn.relu(x) + tf.math.log(1.0 + tf.exp(-tf.abs(x)))


def _exponential(tf: Tf, x: TfTensor) -> TfTensor:
    # LiteRT's EXP gives 0 for NaN
    return tf.where(tf.equal(x, x), tf.exp(x), x)


def _gelu(tf: Tf, x: TfTensor, *, approximate: bool = False) -> TfTensor:
    if not approximate:
        # TFLite has no erf: the converter turns exactly this formula into its operator GELU
        return tf.nn.gelu(x)
    # 0.5 * (1 + tanh(u)) is sigmoid(2 * u)
    inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
    return x * tf.sigmoid(2.0 * inner)


def _leaky_relu(tf: Tf, x: TfTensor, *, negative_slope: float = 0.2) -> TfTensor:
    return tf.nn.relu(x) - negative_slope * tf.nn.relu(-x)


def _hard_sigmoid(tf: Tf, x: TfTensor) -> TfTensor:
    return tf.nn.relu6(x + 3.0) / 6.0


def _hard_shrink(tf: Tf, x: TfTensor, *, threshold: float = 0.5) -> TfTensor:
    return tf.where(tf.abs(x) > threshold, x, 0.0)


def _soft_shrink(tf: Tf, x: TfTensor, *, threshold: float = 0.5) -> TfTensor:
    return tf.where(x > threshold, x - threshold, tf.where(x < -threshold, x + threshold, 0.0))


def _squareplus(tf: Tf, x: TfTensor, *, b: float = 4.0) -> TfTensor:
    return (x + tf.sqrt(x * x + float(b))) / 2.0


def _sparse_plus(tf: Tf, x: TfTensor) -> TfTensor:
    # (x + 1)^2 / 4 between -1 and 1, and x above
    between = tf.minimum(tf.nn.relu(x + 1.0), 2.0)
    return between * between / 4.0 + tf.nn.relu(x - 1.0)


def _glu(tf: Tf, x: TfTensor, *, axis: int = -1) -> TfTensor:
    value, gate = tf.split(x, 2, axis=axis)
    return value * tf.sigmoid(gate)


def _sparsemax(tf: Tf, x: TfTensor, *, axis: int = -1) -> TfTensor:
    return _along(tf, x, axis, lambda last: _sparsemax_last(tf, last))


def _sparsemax_last(tf: Tf, x: TfTensor) -> TfTensor:
    """As Keras computes it: see the reference, which says where that is not the paper's."""
    count = x.shape[-1]
    ordered = tf.math.top_k(x, k=count).values
    total = tf.cumsum(ordered, axis=x.shape.rank - 1)
    rank = tf.range(1.0, count + 1.0)
    in_support = ordered - (total - 1.0) / rank > 0.0
    number = tf.reduce_sum(tf.cast(in_support, x.dtype), axis=-1, keepdims=True)
    in_total = tf.reduce_sum(tf.where(in_support, total, 0.0), axis=-1, keepdims=True)
    return tf.nn.relu(x - (in_total - 1.0) / number)


def _threshold(tf: Tf, x: TfTensor, *, threshold: float, default_value: float = 0.0) -> TfTensor:
    return tf.where(x > threshold, x, float(default_value))


def _along(tf: Tf, x: TfTensor, axis: int, function: Activation) -> TfTensor:
    """Apply a function of the last axis along another one."""
    rank = x.shape.rank
    axis %= rank
    if axis == rank - 1:
        return function(x)
    swapped = [*range(rank)]
    swapped[axis], swapped[-1] = rank - 1, axis
    return tf.transpose(function(tf.transpose(x, swapped)), swapped)


ACTIVATIONS: dict[str, Callable[..., TfTensor]] = {
    "linear": lambda tf, x: x,
    "relu": _relu,
    "sigmoid": lambda tf, x: tf.sigmoid(x),
    "hard_sigmoid": _hard_sigmoid,
    "hard_sigmoid_keras2": lambda tf, x: tf.clip_by_value(0.2 * x + 0.5, 0.0, 1.0),
    "tanh": lambda tf, x: tf.tanh(x),
    "softmax": _softmax,
    "log_softmax": _log_softmax,
    "elu": _elu,
    "selu": _selu,
    "softplus": _softplus,
    "softsign": lambda tf, x: x / (1.0 + tf.abs(x)),
    "exponential": _exponential,
    "silu": lambda tf, x: x * tf.sigmoid(x),
    "gelu": _gelu,
    "leaky_relu": _leaky_relu,
    "relu6": lambda tf, x: tf.nn.relu6(x),
    "mish": lambda tf, x: x * tf.tanh(_softplus(tf, x)),
    "celu": _celu,
    "hard_tanh": lambda tf, x: tf.clip_by_value(x, -1.0, 1.0),
    "hard_silu": lambda tf, x: x * _hard_sigmoid(tf, x),
    "log_sigmoid": lambda tf, x: -_softplus(tf, -x),
    "tanh_shrink": lambda tf, x: x - tf.tanh(x),
    "hard_shrink": _hard_shrink,
    "soft_shrink": _soft_shrink,
    "squareplus": _squareplus,
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": lambda tf, x: tf.clip_by_value(0.5 * (x + 1.0), 0.0, 1.0),
    "glu": _glu,
    "sparsemax": _sparsemax,
    "threshold": _threshold,
}
