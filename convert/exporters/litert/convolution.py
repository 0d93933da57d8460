"""Convolutions and poolings over time and over images, and ConvLSTM2D.

Over time they are those over images of height 1: TFLite has no others.
"""

from collections.abc import Callable, Sequence

from gatelet.convert.exporters.litert.activations import activations_of
from gatelet.convert.exporters.litert.int8 import input_kernel
from gatelet.convert.exporters.litert.loop import States, run_loop
from gatelet.convert.exporters.litert.step import Step, TfTensor, apart, sizes_of


def conv_1d(step: Step) -> TfTensor:
    """Export a `Conv1D` node: x [B, T, C] to [B, T', F]."""
    tf, kernel, padding = step.tf, input_kernel(step), step.attributes["padding"]
    (dilation,) = _by_axis(step.attributes["dilation_rate"], 1)
    x = step.inputs[0]
    if padding == "causal":
        x = tf.pad(x, [[0, 0], [(kernel.shape[0] - 1) * dilation, 0], [0, 0]])
        padding = "valid"
    y = _convolve(
        step,
        apart(tf, x[:, None]),
        kernel[None],
        strides=(1, *_by_axis(step.attributes["strides"], 1)),
        padding=padding,
        dilation_rate=(1, dilation),
    )
    return tf.squeeze(_with_bias(step, y), 1)


def conv_2d(step: Step) -> TfTensor:
    """Export a `Conv2D` node: x [B, H, W, C] to [B, H', W', F]."""
    y = _convolve(
        step,
        step.inputs[0],
        step.weights["kernel"],
        strides=_by_axis(step.attributes["strides"], 2),
        padding=step.attributes["padding"],
        dilation_rate=_by_axis(step.attributes["dilation_rate"], 2),
    )
    return _with_bias(step, y)


def pooling_1d(kind: str) -> Callable[[Step], TfTensor]:
    """Return the operation `MaxPooling1D` or `AveragePooling1D`; padding is not counted."""

    def export(step: Step) -> TfTensor:
        sizes, strides = (_by_axis(step.attributes[s], 1) for s in ("pool_size", "strides"))
        pooled = _pool(step, step.inputs[0][:, None], (1, *sizes), (1, *strides), kind)
        return step.tf.squeeze(pooled, 1)

    return export


def pooling_2d(kind: str) -> Callable[[Step], TfTensor]:
    """Return the operation `MaxPooling2D` or `AveragePooling2D`; padding is not counted."""

    def export(step: Step) -> TfTensor:
        sizes, strides = (_by_axis(step.attributes[s], 2) for s in ("pool_size", "strides"))
        return _pool(step, step.inputs[0], sizes, strides, kind)

    return export


def conv_lstm_2d(step: Step) -> list[TfTensor]:
    """Export a `ConvLSTM2D` node; the input's convolution is computed before the loop."""
    tf, kernel = step.tf, step.weights["recurrent_kernel"]
    act, gate = activations_of(step)

    def advance(projected: TfTensor, states: States) -> States:
        h, c = states
        recurrent = _convolve(step, h, kernel)
        i, f, g, o = tf.split(projected + recurrent, 4, axis=3)
        c = gate(f) * c + gate(i) * act(g)
        return gate(o) * act(c), c

    return run_loop(step, _project_frames(step), advance, states=2)


def _project_frames(step: Step) -> TfTensor:
    """Convolve every frame: x [B, T, H, W, C] to [T, B, H', W', 4U]."""
    tf = step.tf
    x = tf.transpose(step.inputs[0], [1, 0, 2, 3, 4])
    T, B, *sizes = sizes_of(tf, x)
    y = _convolve(
        step,
        tf.reshape(x, tf.stack([-1, *sizes])),
        step.weights["kernel"],
        strides=_by_axis(step.attributes["strides"], 2),
        padding=step.attributes["padding"],
        dilation_rate=_by_axis(step.attributes["dilation_rate"], 2),
    )
    y = _with_bias(step, y)
    return tf.reshape(y, tf.stack([T, B, *sizes_of(tf, y)[1:]]))


def _convolve(
    step: Step,
    x: TfTensor,
    kernel: TfTensor,
    *,
    strides: Sequence[int] = (1, 1),
    padding: str = "same",
    dilation_rate: Sequence[int] = (1, 1),
) -> TfTensor:
    """Convolve x [B, H, W, C] with kernel [kh, kw, C/groups, F]: its sizes tell the groups."""
    return step.tf.nn.conv2d(
        x,
        kernel,
        strides=list(strides),
        padding=padding.upper(),
        dilations=list(dilation_rate),
    )


def _with_bias(step: Step, y: TfTensor) -> TfTensor:
    return y + step.weights["bias"] if "bias" in step.weights else y


def _pool(
    step: Step, x: TfTensor, sizes: Sequence[int], strides: Sequence[int], kind: str
) -> TfTensor:
    function = getattr(step.tf.nn, kind)
    return function(x, list(sizes), list(strides), step.attributes["padding"].upper())


def _by_axis(setting: int | Sequence[int], axes: int) -> tuple[int, ...]:
    return (setting,) * axes if isinstance(setting, int) else tuple(setting)
