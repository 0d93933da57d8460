"""Convolutions and poolings, over time and over images, channels last.

Not ConvLSTM2D, which calls them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from gatelet.runtime.backends.reference.operation import Array, Call, Operation


def convolve(
    x: Array,
    kernel: Array,
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
    sizes = kernel.shape[:-2]
    total: Array | None = None
    places = np.ndindex(*sizes)
    for place, part in zip(places, windows(x, sizes, strides, padding, dilation_rate), strict=True):
        outputs = [
            xs @ ks
            for xs, ks in zip(
                np.split(part, groups, axis=-1),
                np.split(kernel[place], groups, axis=-1),
                strict=True,
            )
        ]
        made = np.concatenate(outputs, axis=-1)
        if total is None:
            total = made
        else:
            total += made
    assert total is not None, "a kernel has a place"
    return total


def windows(
    x: Array,
    sizes: Sequence[int],
    strides: Sequence[int],
    padding: str,
    dilation_rate: Sequence[int],
) -> Iterator[Array]:
    """Return what lies under each place of a kernel, [B, N'..., C].

    Args:
        x: [B, N..., C].
        sizes: Of the kernel, by axis; as the others.
        strides: See `convolve`; as the others.
        padding: Likewise.
        dilation_rate: Likewise.
    """
    spans = [(k - 1) * d + 1 for k, d in zip(sizes, dilation_rate, strict=True)]
    x = np.pad(x, _padding(x.shape[1:-1], spans, strides, padding))
    counts = _counts(x.shape[1:-1], spans, strides)
    for place in np.ndindex(*sizes):
        start = [p * d for p, d in zip(place, dilation_rate, strict=True)]
        yield _window(x, start, counts, strides)


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
        return [y + call.weights["bias"] if "bias" in call.weights else y]

    return run


def max_pooling(axes: int) -> Operation:
    """Return the operation `MaxPooling1D` or `MaxPooling2D`: x [B, N..., C] to [B, N'..., C]."""
    return lambda call: [_pool(call, axes=axes, empty=-np.inf).max(axis=0)]


def average_pooling(axes: int) -> Operation:
    """Return the operation `AveragePooling1D` or `AveragePooling2D`; padding is not counted."""

    def run(call: Call) -> list[Array]:
        ones = replace(call, inputs=[np.ones_like(call.inputs[0])])
        total, number = (_pool(one, axes=axes, empty=0).sum(axis=0) for one in (call, ones))
        return [np.asarray(total / number)]

    return run


def _pool(call: Call, *, axes: int, empty: float) -> Array:
    """Return each place of the window as a layer: [places, B, N'..., C]."""
    x = call.inputs[0]
    sizes = _by_axis(call.attributes["pool_size"], axes)
    strides = _by_axis(call.attributes["strides"], axes)
    pads = _padding(x.shape[1:-1], sizes, strides, call.attributes["padding"])
    x = np.pad(x, pads, constant_values=empty)
    counts = _counts(x.shape[1:-1], sizes, strides)
    return np.stack([_window(x, place, counts, strides) for place in np.ndindex(*sizes)])


def _by_axis(setting: int | Sequence[int], axes: int) -> tuple[int, ...]:
    return (setting,) * axes if isinstance(setting, int) else tuple(setting)


def _padding(
    sizes: Sequence[int], spans: Sequence[int], strides: Sequence[int], padding: str
) -> list[tuple[int, int]]:
    """Return what each axis is padded with, left and right."""
    pads = [(0, 0)]
    for size, span, stride in zip(sizes, spans, strides, strict=True):
        if padding == "causal":
            pads.append((span - 1, 0))
        elif padding == "same":
            total = max((-(-size // stride) - 1) * stride + span - size, 0)
            pads.append((total // 2, total - total // 2))
        else:
            pads.append((0, 0))
    return [*pads, (0, 0)]


def _counts(sizes: Sequence[int], spans: Sequence[int], strides: Sequence[int]) -> list[int]:
    """Return how many windows fit along each axis."""
    return [max((n - k) // s + 1, 0) for n, k, s in zip(sizes, spans, strides, strict=True)]


def _window(x: Array, start: Sequence[int], counts: Sequence[int], strides: Sequence[int]) -> Array:
    """Return what one place of the window sees: [B, N'..., C]."""
    slices = [
        slice(first, first + (n - 1) * s + 1 if n else first, s)
        for first, n, s in zip(start, counts, strides, strict=True)
    ]
    return x[(slice(None), *slices)]
