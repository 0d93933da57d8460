"""Convolutions and poolings as C calls.

Not their loops, which are in kernels/convolution.c.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatelet.convert.exporters.c.sizes import Size, known
from gatelet.convert.exporters.c.source import initializer
from gatelet.convert.exporters.c.writer import Call, Value, Writer
from gatelet.convert.layouts import padded_columns

PLACES = 4
"""Places whose windows a convolution multiplies at a time."""
_NO_AXIS = "{.size = 1, .stride = 1, .dilation = 1, .length = 1, .count = 1}"


@dataclass(frozen=True)
class Window:
    """What a window does along one axis.

    Args:
        text: The initializer of a struct gatelet_window.
        count: How often it fits.
    """

    text: str
    count: Size


def window_of(
    writer: Writer, length: Size, size: int, attributes: Mapping[str, Any], axis: int
) -> Window:
    """Return the window along an axis of `length`, by Keras' attributes."""
    stride = _along(attributes["strides"], axis)
    dilation = _along(attributes.get("dilation_rate", 1), axis)
    padding, span = attributes["padding"], (size - 1) * dilation + 1
    if padding == "same":
        total = f"gatelet_same_padding({length.text}, {span}, {stride})"
        in_front = f"{total} / 2"
        count = _count(writer, length, span, stride, total)
    else:
        total = str(span - 1 if padding == "causal" else 0)
        in_front = total
        count = _count(writer, length, span, stride, total)
    fields = {"size": size, "stride": stride, "dilation": dilation, "before": in_front}
    return Window(initializer({**fields, "length": length.text, "count": count.text}), count)


def _count(writer: Writer, length: Size, span: int, stride: int, padding: str) -> Size:
    same = not padding.isdigit()
    if length.number is not None:
        n = length.number
        total = max((-(-n // stride) - 1) * stride + span - n, 0) if same else int(padding)
        return known(max((n + total - span) // stride + 1, 0))
    if same:
        most = f"(({length.most}) + {stride - 1}) / {stride}"
    else:
        room = f"({length.most}) + {padding} - {span}"
        most = f"(({room}) < 0 ? 0 : ({room}) / {stride} + 1)"
    return writer.size(f"gatelet_fits({length.text}, {span}, {stride}, {padding})", most)


def _along(setting: Any, axis: int) -> int:
    return setting if isinstance(setting, int) else int(setting[axis])


def write_kernels(
    writer: Writer, call: Call, role: str, *, groups: int = 1, raw: bool
) -> tuple[str, int]:
    """Store a kernel [h, w, C / groups, F], one matrix a group.

    Returns:
        The name of the array of matrices, and the floats of work that a convolution needs.
    """
    *seen, columns = call.weights[role].shape
    width = columns // groups
    parts = [call.part(role, columns=(start, start + width)) for start in range(0, columns, width)]
    recurrent = role == "recurrent_kernel"
    names = [writer.matrix(part, raw=raw, recurrent=recurrent) for part in parts]
    name = writer.name("kernels")
    # a struct's value is no constant expression to every compiler, so it is copied
    writer.line(f"struct gatelet_matrix {name}[{groups}];")
    for index, one in enumerate(names):
        writer.line(f"{name}[{index}] = {one};")
    return name, PLACES * (math.prod(seen) + padded_columns(width))


def write_conv(writer: Writer, call: Call) -> list[Value]:
    """Write a `Conv1D` or `Conv2D` node."""
    writer.kernels |= {"product", "convolution"}
    attributes, x = call.node.attributes, call.x
    kernel, groups = call.weights["kernel"], attributes["groups"]
    windows = _windows(writer, x, kernel.shape[:-2], attributes)
    y = writer.make((x.dims[0], *(one.count for one in windows), known(kernel.shape[-1])))
    kernels, floats = write_kernels(writer, call, "kernel", groups=groups, raw=x.raw)
    texts = [one.text for one in windows]
    if len(windows) == 1:
        texts.insert(0, _NO_AXIS)
    name = writer.name("convolution")
    fields = {
        **dict(zip(("height", "width"), texts, strict=True)),
        "rows": x.dims[0].text,
        "channels": x.dims[-1].text,
        "filters": kernel.shape[-1],
        "groups": groups,
        "kernels": kernels,
        "bias": writer.optional(call, "bias"),
    }
    writer.line(f"const struct gatelet_convolution {name} = {initializer(fields)};")
    writer.call("gatelet_convolve", f"&{name}", x.name, y.name, writer.work(str(floats)))
    return [y]


def write_pooling(writer: Writer, call: Call) -> list[Value]:
    """Write a pooling node over one or two axes."""
    writer.kernels |= {"product", "convolution"}
    attributes, x = call.node.attributes, call.x
    axes = len(x.dims) - 2
    sizes = [_along(attributes["pool_size"], axis) for axis in range(axes)]
    windows = _windows(writer, x, sizes, attributes)
    y = writer.make((x.dims[0], *(one.count for one in windows), x.dims[-1]))
    texts = [one.text for one in windows]
    if len(windows) == 1:
        texts.insert(0, _NO_AXIS)
    names = []
    for text in texts:
        names.append(writer.name("window"))
        writer.line(f"const struct gatelet_window {names[-1]} = {text};")
    average = "1" if call.node.op.startswith("Average") else "0"
    pointers = [f"&{name}" for name in names]
    sizes_of_x = (x.dims[0].text, x.dims[-1].text)
    writer.call("gatelet_pool", average, *pointers, *sizes_of_x, x.name, y.name)
    return [y]


def _windows(writer: Writer, x: Value, sizes: Any, attributes: Mapping[str, Any]) -> list[Window]:
    return [
        window_of(writer, x.dims[axis + 1], size, attributes, axis)
        for axis, size in enumerate(sizes)
    ]
