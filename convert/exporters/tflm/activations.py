"""Activations in the operators of TensorFlow Lite for Microcontrollers.

Not those that its library cannot compute to float32's precision: they are refused.
"""

from collections.abc import Callable
from typing import Any

from gatelet.convert.exporters.tflm.file import Tensor
from gatelet.convert.exporters.tflm.step import StepWriter
from gatelet.errors import ConversionError

_SELU_ALPHA = 1.6732632423543772
_SELU_SCALE = 1.0507009873554805


def activate(writer: StepWriter, name: str, x: Tensor, *, layer: str, **parameters: Any) -> Tensor:
    """Append an activation.

    Args:
        writer: Where to.
        name: As in the Graph.
        x: Any shape.
        layer: The layer's name, for messages.
        **parameters: By Keras' names.

    Raises:
        ConversionError: It cannot be exact here.
    """
    if name not in ACTIVATIONS:
        raise _refusal(layer, f"the activation '{name}'")
    if parameters.pop("threshold", 0.0):
        raise _refusal(layer, f"the threshold of the activation '{name}'")
    if parameters.pop("axis", -1) not in (-1, len(x.shape) - 1):
        raise _refusal(layer, f"an axis of the activation '{name}' that is not the last")
    return ACTIVATIONS[name](writer, x, **parameters)


def _refusal(layer: str, what: str) -> ConversionError:
    return ConversionError(
        f"layer '{layer}': {what} cannot be exported to tflm, which has {', '.join(ACTIVATIONS)}: "
        "use --target c, litert or onnx",
        layer=layer,
    )


def _linear(writer: StepWriter, x: Tensor) -> Tensor:
    return x


def _plain(op: str) -> Callable[..., Tensor]:
    return lambda writer, x: writer.unary(op, x)


def _clip(writer: StepWriter, x: Tensor, low: float, high: float) -> Tensor:
    return writer.scalar("MINIMUM", writer.scalar("MAXIMUM", x, low), high)


def _relu(
    writer: StepWriter,
    x: Tensor,
    *,
    max_value: float | None = None,
    negative_slope: float = 0.0,
) -> Tensor:
    above = writer.scalar("MAXIMUM", x, 0.0)
    if max_value is not None:
        above = writer.scalar("MINIMUM", above, max_value)
    if not negative_slope:
        return above
    below = writer.scalar("MUL", writer.scalar("MINIMUM", x, 0.0), negative_slope)
    return writer.binary("ADD", above, below)


def _hard_sigmoid(slope: float) -> Callable[..., Tensor]:
    def write(writer: StepWriter, x: Tensor) -> Tensor:
        return _clip(writer, writer.scalar("ADD", writer.scalar("MUL", x, slope), 0.5), 0.0, 1.0)

    return write


def _softmax(writer: StepWriter, x: Tensor) -> Tensor:
    return writer.unary("SOFTMAX", x, writer.file.options("Softmax", beta=1.0))


def _softplus(writer: StepWriter, x: Tensor) -> Tensor:
    """Write log(1 + exp(x)) in the form that does not overflow."""
    small = writer.unary("EXP", writer.scalar("MUL", writer.unary("ABS", x), -1.0))
    logarithm = writer.unary("LOG", writer.scalar("ADD", small, 1.0, in_float=True))
    return writer.binary("ADD", writer.scalar("MAXIMUM", x, 0.0), logarithm, in_float=True)


def _elu(writer: StepWriter, x: Tensor, *, alpha: float = 1.0) -> Tensor:
    below = writer.scalar("SUB", writer.unary("EXP", writer.scalar("MINIMUM", x, 0.0)), 1.0)
    if alpha != 1.0:
        below = writer.scalar("MUL", below, alpha)
    return writer.binary("ADD", writer.scalar("MAXIMUM", x, 0.0), below)


def _selu(writer: StepWriter, x: Tensor) -> Tensor:
    return writer.scalar("MUL", _elu(writer, x, alpha=_SELU_ALPHA), _SELU_SCALE)


def _leaky_relu(writer: StepWriter, x: Tensor, *, negative_slope: float = 0.2) -> Tensor:
    return _relu(writer, x, negative_slope=negative_slope)


def _softsign(writer: StepWriter, x: Tensor) -> Tensor:
    return writer.binary("DIV", x, writer.scalar("ADD", writer.unary("ABS", x), 1.0))


def _silu(writer: StepWriter, x: Tensor) -> Tensor:
    return writer.binary("MUL", x, writer.unary("LOGISTIC", x))


def _hard_silu(writer: StepWriter, x: Tensor) -> Tensor:
    return writer.binary("MUL", x, _hard_sigmoid(1 / 6)(writer, x))


ACTIVATIONS: dict[str, Callable[..., Tensor]] = {
    "linear": _linear,
    "relu": _relu,
    "relu6": lambda writer, x: _clip(writer, x, 0.0, 6.0),
    "sigmoid": _plain("LOGISTIC"),
    "hard_sigmoid": _hard_sigmoid(1 / 6),
    "hard_sigmoid_keras2": _hard_sigmoid(0.2),
    "tanh": _plain("TANH"),
    "softmax": _softmax,
    "elu": _elu,
    "selu": _selu,
    "softplus": _softplus,
    "softsign": _softsign,
    "exponential": _plain("EXP"),
    "silu": _silu,
    "leaky_relu": _leaky_relu,
    "hard_tanh": lambda writer, x: _clip(writer, x, -1.0, 1.0),
    "hard_silu": _hard_silu,
}
