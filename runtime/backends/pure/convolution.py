"""Convolutions and poolings in plain Python, over time and over images, channels last.

Not ConvLSTM2D, which calls them.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import product
from operator import add

from gatelet.errors import ModelError
from gatelet.runtime.backends.pure.array import Array, Weight, chunks, divide, dot, gather
from gatelet.runtime.backends.pure.operation import Call, Operation


def convolve(
    x: Array,
    kernel: Weight,
    *,
    strides: Sequence[int],
    padding: str,
    dilation_rate: Sequence[int],
    groups: int = 1,
) -> Array:
    """Convolve over one or two axes.

    Args:
        x: [B, N..., C].
        kernel: [k..., C/groups, F].
        strides: By axis.
        padding: 'valid', 'same' or 'causal' (zeros on the left only).
        dilation_rate: By axis.
        groups: Into how many parts C and F are split.

    Returns:
        [B, N'..., F].
    """
    *sizes, width, F = kernel.shape
    C, per_group = x.shape[-1], F // groups
    places, columns = list(product(*map(range, sizes))), _columns(kernel)
    data: list[float] = []
    counts, windows = _windows(x, sizes, strides, padding, dilation_rate)
    for window in windows:
        for group in range(groups):
            seen, used = [], []
            for place, at in enumerate(window):
                if at is not None:  # outside there are zeros
                    seen += x.data[at + group * width : at + (group + 1) * width]
                    used.append(place)
            for column in columns[group * per_group : (group + 1) * per_group]:
                if len(used) == len(places):
                    data.append(dot(seen, column))
                else:
                    part = [v for p in used for v in column[p * width : (p + 1) * width]]
                    data.append(dot(seen, part))
    if width * groups != C:
        raise ModelError(f"a convolution of {width * groups} channels got {C}")
    return Array((x.shape[0], *counts, F), data)


def conv(axes: int) -> Operation:
    """Return the operation `Conv1D` or `Conv2D`: x [B, N..., C] to [B, N'..., F]."""

    def run(call: Call) -> list[Array]:
        y = convolve(
            call.inputs[0],
            call.weights["kernel"],
            strides=_by_axis(call.attributes["strides"], axes),
            padding=call.attributes["padding"],
            dilation_rate=_by_axis(call.attributes["dilation_rate"], axes),
            groups=call.attributes["groups"],
        )
        if "bias" not in call.weights:
            return [y]
        bias = call.weights["bias"].values
        rows = (map(add, part, bias) for part in chunks(y.data, len(bias)))
        return [Array(y.shape, [value for row in rows for value in row])]

    return run


def max_pooling(axes: int) -> Operation:
    """Return the operation `MaxPooling1D` or `MaxPooling2D`: x [B, N..., C] to [B, N'..., C]."""
    return lambda call: [_pool(call, _largest, axes=axes)]


def average_pooling(axes: int) -> Operation:
    """Return the operation `AveragePooling1D` or `AveragePooling2D`; padding is not counted."""
    return lambda call: [_pool(call, _mean, axes=axes)]


def _pool(call: Call, function: Callable[[Sequence[float]], float], *, axes: int) -> Array:
    x = call.inputs[0]
    sizes = _by_axis(call.attributes["pool_size"], axes)
    strides = _by_axis(call.attributes["strides"], axes)
    counts, windows = _windows(x, sizes, strides, call.attributes["padding"], (1,) * axes)
    C = x.shape[-1]
    data: list[float] = []
    for window in windows:
        seen = [x.data[at : at + C] for at in window if at is not None]
        data += map(function, zip(*seen, strict=True))
    return Array((x.shape[0], *counts, C), data)


def _largest(values: Sequence[float]) -> float:
    return math.nan if any(value != value for value in values) else max(values)


def _mean(values: Sequence[float]) -> float:
    return divide(sum(values), len(values))


def _columns(kernel: Weight) -> list[list[float]]:
    """Return the weights of each filter: F lists of k... * C/groups."""
    return kernel.columns


def _by_axis(setting: int | Sequence[int], axes: int) -> tuple[int, ...]:
    return (setting,) * axes if isinstance(setting, int) else tuple(setting)


def _windows(
    x: Array,
    sizes: Sequence[int],
    strides: Sequence[int],
    padding: str,
    dilation_rate: Sequence[int],
) -> tuple[list[int], Iterator[list[int | None]]]:
    """Return how many windows there are along each axis, and what each sees.

    A window is, for each of its places, where the place's channels start in the flat list; None
    outside of x.
    """
    B, *lengths, C = x.shape
    axes = []
    for n, size, stride, dilation in zip(lengths, sizes, strides, dilation_rate, strict=True):
        axes.append(_along_axis(n, size, stride, padding, dilation))
    counts = [len(axis) for axis in axes]
    gather((count, 1) for count in (B, *counts))  # refuses what is absurd
    width = lengths[-1]

    def each() -> Iterator[list[int | None]]:
        for b in range(B):
            base = b * math.prod(lengths)
            for window in product(*axes):
                if len(window) == 1:
                    yield [None if t is None else (base + t) * C for t in window[0]]
                else:
                    yield [
                        None if i is None or j is None else (base + i * width + j) * C
                        for i in window[0]
                        for j in window[1]
                    ]

    return counts, each()


def _along_axis(
    n: int, size: int, stride: int, padding: str, dilation: int
) -> list[list[int | None]]:
    """Return the positions that each window sees along an axis; None outside of it."""
    span = (size - 1) * dilation + 1
    before, after = 0, 0
    if padding == "causal":
        before = span - 1
    elif padding == "same":
        total = max((-(-n // stride) - 1) * stride + span - n, 0)
        before, after = total // 2, total - total // 2
    count = max((n + before + after - span) // stride + 1, 0)
    gather([(count, 1), (size, 1)])  # refuses what is absurd
    starts = range(-before, -before + count * stride, stride)
    return [
        [at if 0 <= at < n else None for at in range(start, start + span, dilation)]
        for start in starts
    ]
