"""Convolutions and poolings, which ONNX wants with channels first.

Not ConvLSTM2D, which is in `scan`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gatelet.convert.exporters.onnx.writer import Array, Call, Writer
from gatelet.runtime.graph.graph import Shape


def channels_first(writer: Writer, x: str, *, rank: int) -> str:
    """Append [B, N..., C] -> [B, C, N...]."""
    return writer.add("Transpose", x, perm=[0, rank - 1, *range(1, rank - 1)])


def channels_last(writer: Writer, x: str, *, rank: int) -> str:
    """Append [B, C, N...] -> [B, N..., C]."""
    return writer.add("Transpose", x, perm=[0, *range(2, rank), 1])


@dataclass(frozen=True)
class Convolution:
    """What a Conv is told beside x [B, C, N...].

    Args:
        kernel: [k..., C/groups, F].
        sizes: N..., as far as they are known.
        padding: 'valid', 'same' or 'causal'.
        strides: By axis.
        dilation_rate: By axis.
        bias: [F].
        groups: Into how many parts C and F are split.
        stored: The kernel's name in the file, where it is there already.
    """

    kernel: Array
    sizes: Shape
    padding: str
    strides: Sequence[int]
    dilation_rate: Sequence[int]
    bias: Array | None = None
    groups: int = 1
    stored: str = ""


def write_conv(writer: Writer, call: Call) -> list[str]:
    """Write a `Conv1D` or `Conv2D` node."""
    attributes, rank = call.node.attributes, call.rank
    settings = Convolution(
        call.weights["kernel"],
        bias=call.weights.get("bias"),
        sizes=call.shapes[0][1:-1],
        padding=attributes["padding"],
        strides=_by_axis(attributes["strides"], rank - 2),
        dilation_rate=_by_axis(attributes["dilation_rate"], rank - 2),
        groups=attributes["groups"],
    )
    y = write_convolution(writer, channels_first(writer, call.x, rank=rank), settings)
    return [channels_last(writer, y, rank=rank)]


def write_convolution(writer: Writer, x: str, settings: Convolution) -> str:
    """Append a Conv over x [B, C, N...]."""
    kernel, bias, strides = settings.kernel, settings.bias, settings.strides
    axes, stored = kernel.ndim - 2, settings.stored
    if not stored:
        ours = kernel.transpose(axes + 1, axes, *range(axes))
        stored = writer.weight(ours, "kernel", axis=0)
    dilations = settings.dilation_rate
    spans = [(k - 1) * d + 1 for k, d in zip(kernel.shape, dilations, strict=False)]
    x, pads = _padded(writer, x, settings.sizes, spans, strides, settings.padding)
    return writer.add(
        "Conv",
        x,
        stored,
        *([] if bias is None else [writer.constant(bias, "bias")]),
        kernel_shape=list(kernel.shape[:axes]),
        strides=list(strides),
        dilations=list(dilations),
        group=settings.groups,
        **pads,
    )


def write_pooling(writer: Writer, call: Call) -> list[str]:
    """Write a `MaxPooling` or `AveragePooling` node, 1D or 2D; padding is never counted."""
    attributes, rank = call.node.attributes, call.rank
    windows = _by_axis(attributes["pool_size"], rank - 2)
    strides = _by_axis(attributes["strides"], rank - 2)
    x = channels_first(writer, call.x, rank=rank)
    sizes = call.shapes[0][1:-1]
    x, pads = _padded(writer, x, sizes, windows, strides, attributes["padding"])
    op = "MaxPool" if call.node.op.startswith("Max") else "AveragePool"
    y = writer.add(op, x, kernel_shape=list(windows), strides=list(strides), **pads)
    return [channels_last(writer, y, rank=rank)]


def _padded(
    writer: Writer,
    x: str,
    sizes: Shape,
    spans: Sequence[int],
    strides: Sequence[int],
    padding: str,
) -> tuple[str, dict[str, Any]]:
    """Return x [B, C, N...] and the attributes that pad it."""
    pads = _pads(sizes, spans, strides, padding)
    if "auto_pad" in pads:
        for axis, (span, stride) in enumerate(zip(spans, strides, strict=True)):
            if stride > span:
                x = _without_rest(writer, x, axis=2 + axis, window=span, stride=stride)
    return x, pads


def _without_rest(writer: Writer, x: str, *, axis: int, window: int, stride: int) -> str:
    """Drop what lies behind the last window, where windows leave gaps.

    onnxruntime takes what lies there for negative padding: it refuses to pool, and up to 1.18 it
    convolves the wrong places.
    """
    size = writer.sizes(x, axis, axis + 1)
    before_last = writer.add("Sub", size, writer.ints(1))
    # of the last window and the gap behind it, as much as x has
    last = writer.add("Mod", before_last, writer.ints(stride))
    rest = writer.add("Max", writer.add("Sub", last, writer.ints(window - 1)), writer.ints(0))
    return writer.add("Slice", x, writer.ints(0), writer.add("Sub", size, rest), writer.ints(axis))


def _by_axis(setting: int | Sequence[int], axes: int) -> tuple[int, ...]:
    return (setting,) * axes if isinstance(setting, int) else tuple(setting)


def _pads(
    sizes: Shape, spans: Sequence[int], strides: Sequence[int], padding: str
) -> dict[str, Any]:
    """Return the attributes that pad as TensorFlow does: the odd one at the end."""
    if padding == "valid":
        return {}
    if padding == "causal":
        return {"pads": [span - 1 for span in spans] + [0] * len(spans)}
    totals = []
    for size, span, stride in zip(sizes, spans, strides, strict=True):
        if stride == 1:
            totals.append(span - 1)
        elif size is None:
            # what is padded depends on the size, which this leaves to the engine
            return {"auto_pad": "SAME_UPPER"}
        else:
            totals.append(max((-(-size // stride) - 1) * stride + span - size, 0))
    starts = [total // 2 for total in totals]
    return {"pads": starts + [t - start for t, start in zip(totals, starts, strict=True)]}
