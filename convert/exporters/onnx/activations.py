"""Activations, composed of standard operators.

Not those inside the operators LSTM, GRU and RNN: see `recurrent`. Where onnxruntime's own operator
is far from exact it is avoided, and the place says so.
"""

import math
from collections.abc import Callable
from typing import Any

from gatelet.convert.exporters.onnx.writer import Call, Writer
from gatelet.errors import ConversionError


def write_activation(writer: Writer, call: Call) -> list[str]:
    """Write an `Activation` node."""
    parameters = dict(call.node.attributes)
    name = parameters.pop("activation")
    return [activate(writer, name, call.x, **parameters)]


def activate(writer: Writer, name: str, x: str, **parameters: Any) -> str:
    """Append an activation.

    Args:
        writer: Where to.
        name: As in the Graph.
        x: Any shape.
        **parameters: By Keras' names.

    Returns:
        The output's name; that of x for 'linear'.

    Raises:
        ConversionError: The name is not known.
    """
    if name not in ACTIVATIONS:
        raise ConversionError(
            f"activation '{name}' cannot be exported to onnx; known are {', '.join(ACTIVATIONS)}"
        )
    return ACTIVATIONS[name](writer, x, **parameters)


def exact_sigmoid(writer: Writer, x: str, *, times: str = "") -> str:
    """Append 1 / (1 + exp(-x)), or something divided by (1 + exp(-x)).

    onnxruntime's Sigmoid is off by up to 1.7e-7 absolutely, which is many times the value itself
    below -16; that shows where it is multiplied by something large.
    """
    below = writer.add("Add", writer.add("Exp", writer.add("Neg", x)), writer.scalar(1))
    return writer.add("Div", times, below) if times else writer.add("Reciprocal", below)


def _plain(op: str, **attributes: float) -> Callable[..., str]:
    return lambda writer, x: writer.add(op, x, **attributes)


def _clip(low: float, high: float) -> Callable[..., str]:
    return lambda writer, x: writer.add("Clip", x, writer.scalar(low), writer.scalar(high))


def _relu(
    writer: Writer,
    x: str,
    *,
    max_value: float | None = None,
    negative_slope: float = 0.0,
    threshold: float = 0.0,
) -> str:
    above = _threshold(writer, x, threshold=threshold) if threshold else writer.add("Relu", x)
    if max_value is not None:
        above = _clip(0, max_value)(writer, above)
    if not negative_slope:
        return above
    below = writer.add("Relu", writer.add("Sub", writer.scalar(threshold), x))
    return writer.add("Sub", above, writer.add("Mul", writer.scalar(negative_slope), below))


def _softmax(op: str) -> Callable[..., str]:
    def write(writer: Writer, x: str, *, axis: int = -1) -> str:
        return writer.add(op, x, axis=axis)

    return write


def _elu(op: str) -> Callable[..., str]:
    def write(writer: Writer, x: str, *, alpha: float = 1.0) -> str:
        return writer.add(op, x, alpha=float(alpha))

    return write


def _leaky_relu(writer: Writer, x: str, *, negative_slope: float = 0.2) -> str:
    return writer.add("LeakyRelu", x, alpha=float(negative_slope))


def _silu(writer: Writer, x: str) -> str:
    return exact_sigmoid(writer, x, times=x)


def _gelu(writer: Writer, x: str, *, approximate: bool = False) -> str:
    """Source: Hendrycks & Gimpel 2016; 0.5 (1 + tanh(u)) is sigmoid(2u)."""
    if approximate:
        cube = writer.add("Mul", writer.add("Mul", x, x), x)
        inner = writer.add("Add", x, writer.add("Mul", cube, writer.scalar(0.044715)))
        twice = writer.add("Mul", inner, writer.scalar(2 * math.sqrt(2 / math.pi)))
        return exact_sigmoid(writer, twice, times=x)
    erf = writer.add("Erf", writer.add("Div", x, writer.scalar(math.sqrt(2))))
    half = writer.add("Mul", x, writer.scalar(0.5))
    return writer.add("Mul", half, writer.add("Add", erf, writer.scalar(1)))


def _mish(writer: Writer, x: str) -> str:
    return writer.add("Mul", x, writer.add("Tanh", writer.add("Softplus", x)))


def _hard_silu(writer: Writer, x: str) -> str:
    return writer.add("Mul", x, writer.add("HardSigmoid", x, alpha=1 / 6, beta=0.5))


def _log_sigmoid(writer: Writer, x: str) -> str:
    return writer.add("Neg", writer.add("Softplus", writer.add("Neg", x)))


def _tanh_shrink(writer: Writer, x: str) -> str:
    return writer.add("Sub", x, writer.add("Tanh", x))


def _hard_shrink(writer: Writer, x: str, *, threshold: float = 0.5) -> str:
    return writer.add("Shrink", x, lambd=float(threshold), bias=0.0)


def _soft_shrink(writer: Writer, x: str, *, threshold: float = 0.5) -> str:
    return writer.add("Shrink", x, lambd=float(threshold), bias=float(threshold))


def _squareplus(writer: Writer, x: str, *, b: float = 4.0) -> str:
    root = writer.add("Sqrt", writer.add("Add", writer.add("Mul", x, x), writer.scalar(b)))
    return writer.add("Div", writer.add("Add", x, root), writer.scalar(2))


def _sparse_plus(writer: Writer, x: str) -> str:
    more = writer.add("Add", x, writer.scalar(1))
    parabola = writer.add("Div", writer.add("Mul", more, more), writer.scalar(4))
    is_low = writer.add("LessOrEqual", x, writer.scalar(-1))
    is_middle = writer.add("Less", x, writer.scalar(1))
    upper = writer.add("Where", is_middle, parabola, x)
    return writer.add("Where", is_low, writer.scalar(0), upper)


def _glu(writer: Writer, x: str, *, axis: int = -1) -> str:
    value, gate = writer.add_many("Split", [x], (True, True), axis=axis)
    return exact_sigmoid(writer, gate, times=value)


def _sparsemax(writer: Writer, x: str, *, axis: int = -1) -> str:
    """See the reference for Keras' own threshold tau."""
    size = writer.sizes(x, axis, axis + 1 if axis + 1 else None)
    ordered, _ = writer.add_many("TopK", [x, size], (True, True), axis=axis)
    total = writer.add("CumSum", ordered, writer.int_scalar(axis))
    ones = writer.add("ConstantOfShape", size, value=_one(writer))
    rank = writer.add("CumSum", ones, writer.int_scalar(0))
    if axis != -1:
        rank = writer.add("Unsqueeze", rank, writer.ints(*range(1, -axis)))
    less = writer.add("Div", writer.add("Sub", total, writer.scalar(1)), rank)
    supported = writer.add("Greater", ordered, less)
    axes = writer.ints(axis)
    number = writer.add("ReduceSum", writer.cast(supported, "FLOAT"), axes)
    inside = writer.add("Where", supported, total, writer.scalar(0))
    sums = writer.add("ReduceSum", inside, axes)
    tau = writer.add("Div", writer.add("Sub", sums, writer.scalar(1)), number)
    return writer.add("Relu", writer.add("Sub", x, tau))


def _one(writer: Writer) -> Any:
    return writer.onnx.helper.make_tensor("one", writer.onnx.TensorProto.FLOAT, [1], [1.0])


def _threshold(writer: Writer, x: str, *, threshold: float, default_value: float = 0.0) -> str:
    is_above = writer.add("Greater", x, writer.scalar(threshold))
    return writer.add("Where", is_above, x, writer.scalar(default_value))


ACTIVATIONS: dict[str, Callable[..., str]] = {
    "linear": lambda writer, x: x,
    "relu": _relu,
    "sigmoid": _plain("Sigmoid"),
    "hard_sigmoid": _plain("HardSigmoid", alpha=1 / 6, beta=0.5),
    "hard_sigmoid_keras2": _plain("HardSigmoid", alpha=0.2, beta=0.5),
    "tanh": _plain("Tanh"),
    "softmax": _softmax("Softmax"),
    "log_softmax": _softmax("LogSoftmax"),
    "elu": _elu("Elu"),
    "selu": _plain("Selu"),
    "softplus": _plain("Softplus"),
    "softsign": _plain("Softsign"),
    "exponential": _plain("Exp"),
    "silu": _silu,
    "gelu": _gelu,
    "leaky_relu": _leaky_relu,
    "relu6": _clip(0, 6),
    "mish": _mish,
    "celu": _elu("Celu"),
    "hard_tanh": _clip(-1, 1),
    "hard_silu": _hard_silu,
    "log_sigmoid": _log_sigmoid,
    "tanh_shrink": _tanh_shrink,
    "hard_shrink": _hard_shrink,
    "soft_shrink": _soft_shrink,
    "squareplus": _squareplus,
    "sparse_plus": _sparse_plus,
    "sparse_sigmoid": _plain("HardSigmoid", alpha=0.5, beta=0.5),
    "glu": _glu,
    "sparsemax": _sparsemax,
    "threshold": _threshold,
}
"""By name; the parameters are Keras' own."""
