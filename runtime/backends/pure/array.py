"""The arrays of the pure backend: a shape and a flat list of numbers.

Not a library of arrays: what the operations of the Graph need, with the standard library alone.
"""

import math
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import repeat
from operator import mul
from typing import Any

from gatelet.errors import ModelError
from gatelet.runtime.graph.safetensors import DTYPE_BYTES, Tensor

LARGEST_ARRAY = 2**23
"""Elements of an array: more than this is a damaged graph, not a model for this backend."""

_FORMATS = {"F32": "f", "F16": "e", "I32": "i", "I16": "h", "I8": "b", "U8": "B", "I64": "q"}


@dataclass(frozen=True, slots=True)
class Array:
    """Numbers in a shape.

    Args:
        shape: The dimensions, outermost first.
        data: The elements, row-major.
        pads: Of [B, T, ...]: with how many timesteps each row begins that are padding's alone and
            so the same in every row; () where that is not known.
    """

    shape: tuple[int, ...]
    data: list[Any]
    pads: tuple[int, ...] = ()

    def nested(self) -> Any:
        """Return nested lists."""
        found: list[Any] = self.data
        for size in reversed(self.shape[1:]):
            found = [found[at : at + size] for at in range(0, len(found), size)] if size else []
        return found if self.shape else found[0]


class Weight:
    """A stored tensor whose elements become numbers when they are used.

    Args:
        tensor: As it lies in the file.
    """

    def __init__(self, tensor: Tensor) -> None:
        self.shape = tensor.shape
        self._tensor = tensor

    @cached_property
    def values(self) -> list[float]:
        """All elements, row-major."""
        return self._numbers(0, math.prod(self.shape))

    @cached_property
    def columns(self) -> list[list[float]]:
        """The columns of [n, m]: m lists of n."""
        width = self.shape[-1]
        return [self.values[at::width] for at in range(width)]

    @cached_property
    def array(self) -> Array:
        """As a value of the Graph."""
        return Array(self.shape, self.values)

    def row(self, index: int) -> list[float]:
        """Return row `index` of [V, ...]; only these bytes are read.

        Raises:
            IndexError: There is no such row.
        """
        if not 0 <= index < self.shape[0]:
            raise IndexError(f"row {index} of {self.shape[0]}")
        width = math.prod(self.shape[1:])
        return self._numbers(index * width, width)

    def _numbers(self, start: int, count: int) -> list[float]:
        size, code = DTYPE_BYTES[self._tensor.dtype], _FORMATS[self._tensor.dtype]
        found = list(struct.unpack_from(f"<{count}{code}", self._tensor.data, start * size))
        if not all(map(math.isfinite, found)):
            raise ModelError("a weight holds numbers that are not finite: convert the model again")
        return found


def _dot(a: Sequence[float], b: Sequence[float]) -> float:
    return sum(map(mul, a, b), 0.0)


dot: Callable[[Sequence[float], Sequence[float]], float] = getattr(math, "sumprod", _dot)
"""The inner product; `math.sumprod` is two to five times as fast, and new in Python 3.12."""


def divide(a: float, b: float) -> float:
    """Divide as IEEE 754 does: by zero too."""
    try:
        return a / b
    except ZeroDivisionError:
        return math.nan if a == 0 or a != a else math.copysign(math.inf, a) * math.copysign(1, b)


def check_width(x: Array, kernel: Weight) -> None:
    """Refuse a kernel [F, U] that does not fit x [..., F].

    Raises:
        ModelError: It does not.
    """
    if len(kernel.shape) != 2 or kernel.shape[0] != x.shape[-1]:
        raise ModelError(f"a kernel of shape {list(kernel.shape)} got {list(x.shape)}")


def checked_count(shape: Iterable[int]) -> int:
    """Return the number of elements.

    Raises:
        ModelError: It is absurd.
    """
    count = math.prod(shape)
    if count > LARGEST_ARRAY:
        raise ModelError(
            f"the pure backend holds values of at most {LARGEST_ARRAY:,} numbers, this model needs "
            f"{count:,}: use another backend, or fewer rows at once"
        )
    return count


def strides_of(shape: Sequence[int]) -> list[int]:
    """Return how far apart neighbours lie, by axis."""
    strides = [1] * len(shape)
    for axis in range(len(shape) - 2, -1, -1):
        strides[axis] = strides[axis + 1] * shape[axis + 1]
    return strides


def gather(axes: Iterable[tuple[int, int]], *, start: int = 0) -> list[int]:
    """Return the places of a view's elements in the flat list.

    Args:
        axes: (size, stride) of each axis of the view, outermost first.
        start: The place of the view's first element.
    """
    axes = list(axes)
    checked_count(size for size, _ in axes)
    places = [start]
    for size, stride in axes:
        steps = range(0, size * stride, stride) if stride else list(repeat(0, size))
        places = [place + step for place in places for step in steps]
    return places


def transpose(x: Array, perm: Sequence[int]) -> Array:
    """Reorder the axes."""
    strides = strides_of(x.shape)
    places = gather((x.shape[axis], strides[axis]) for axis in perm)
    return Array(tuple(x.shape[axis] for axis in perm), [x.data[place] for place in places])


def expand(x: Array, shape: tuple[int, ...]) -> list[Any]:
    """Broadcast to a shape.

    Raises:
        ModelError: It does not fit.
    """
    if x.shape == shape:
        return x.data
    checked_count(shape)
    had = (1,) * (len(shape) - len(x.shape)) + x.shape
    if len(had) != len(shape) or any(h not in (1, n) for h, n in zip(had, shape, strict=True)):
        raise ModelError(f"a value of shape {list(x.shape)} does not fit {list(shape)}")
    if 0 in shape:
        return []
    data, inner = x.data, 1
    for axis in reversed(range(len(shape))):
        if had[axis] != shape[axis]:
            times = shape[axis]
            blocks = (data[at : at + inner] * times for at in range(0, len(data), inner))
            data = [value for block in blocks for value in block]
        inner *= shape[axis]
    return data


def chunks(data: list[Any], size: int) -> Iterable[list[Any]]:
    """Return the data in pieces of `size`."""
    return (data[at : at + size] for at in range(0, len(data), size)) if size else ()


def along(
    x: Array, axes: Sequence[int], function: Callable[[list[Any]], list[Any]], *, keep: bool = True
) -> Array:
    """Apply a function to each run of elements along some axes.

    Args:
        x: Any shape.
        axes: Negative ones count from the end.
        function: From a run of elements to their replacement, of any one length.
        keep: Whether the replacement lies along the last of `axes`; else it is one element, and
            the axes go.
    """
    rank = len(x.shape)
    axes = [axis % rank for axis in axes]
    kept = [axis for axis in range(rank) if axis not in axes]
    moved = x if axes == list(range(len(kept), rank)) else transpose(x, [*kept, *axes])
    run = math.prod(x.shape[axis] for axis in axes)
    results = [function(part) for part in chunks(moved.data, run)]
    data = [value for part in results for value in part]
    outer = tuple(x.shape[axis] for axis in kept)
    if not keep:
        return Array(outer, data)
    width = len(results[0]) if results else run
    if len(axes) > 1:
        moved = Array((*outer, *(x.shape[axis] for axis in axes)), data)
    else:
        moved = Array((*outer, width), data)
    back = [[*kept, *axes].index(axis) for axis in range(rank)]
    return moved if back == list(range(rank)) else transpose(moved, back)
