"""What calls of a C library need, by the sizes of their inputs: buffers, scratch, arguments.

Not the library, which is `gatelet.runtime.backends.c.library`.
"""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Callable, Sequence
from itertools import chain
from struct import Struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gatelet.runtime.backends.c.library import Library

Shapes = tuple[tuple[int, ...], ...]
"""Of the inputs of a call."""

_ALIGNMENT_BYTES = 64
_TYPES: dict[str, type[ctypes.c_int32] | type[ctypes.c_float]] = {
    "int32": ctypes.c_int32,
    "float32": ctypes.c_float,
}
_LARGEST_RANK = 8
_KEPT_SHAPES = 16
_KEPT_BYTES = 2**22


class Memory:
    """What calls of one size need.

    Args:
        library: The library.
        weights: Their address.
        inputs: (name, dtype, shape) of each; None is a size that the caller decides.
        outputs: The dtype of each.
        shapes: Of the inputs of a call.
    """

    def __init__(
        self,
        library: Library,
        weights: int,
        inputs: Sequence[tuple[str, str, list[int | None]]],
        outputs: Sequence[str],
        shapes: Shapes,
    ) -> None:
        self.shapes = shapes
        rows, sizes = shapes[0][0], []
        for shape, (_, _, declared) in zip(shapes, inputs, strict=True):
            sizes += [n for n, d in zip(shape[1:], declared[1:], strict=True) if d is None]
        c_sizes = (ctypes.c_int32 * max(len(sizes), 1))(*sizes)
        self._dtypes, self._made_dtypes = [one[1] for one in inputs], outputs
        types = [_TYPES[dtype] for dtype in self._dtypes]
        self.given = [(t * math.prod(s))() for t, s in zip(types, shapes, strict=True)]
        self._made, self._made_shapes = [], []
        for output, dtype in enumerate(outputs):
            made = (ctypes.c_int32 * _LARGEST_RANK)()
            rank = library.output_shape(output, rows, c_sizes, made)
            self._made_shapes.append(tuple(made[:rank]))
            self._made.append((_TYPES[dtype] * math.prod(made[:rank]))())
        count = library.scratch_bytes(rows, c_sizes) + _ALIGNMENT_BYTES
        self._scratch = ctypes.create_string_buffer(count)
        self.bytes = count + sum(ctypes.sizeof(one) for one in (*self.given, *self._made))
        address = ctypes.addressof(self._scratch)
        self._views: tuple[list[Any], list[Any]] | None = None
        self._pack: Callable[..., None] | None = None
        self._kept_alive = (c_sizes, _addresses(self.given), _addresses(self._made))
        self.first_place = ctypes.addressof(self.given[0])
        """The address of the first input."""
        sizes_at, given_at, made_at = map(_pointer, self._kept_alive)
        scratch_at = ctypes.c_void_p(address + -address % _ALIGNMENT_BYTES)
        # in C's types, since the function is called without a look at its own
        self.arguments = (
            ctypes.c_void_p(weights),
            given_at,
            sizes_at,
            ctypes.c_int32(rows),
            made_at,
            scratch_at,
        )

    def put(self, values: Sequence[Any]) -> None:
        """Copy the inputs in."""
        for index, value in enumerate(values):
            if hasattr(value, "__array_interface__"):
                self.arrays()[0][index][...] = value
            else:
                flat = value
                for _ in self.shapes[index][1:]:
                    flat = list(chain.from_iterable(flat))
                self.given[index][:] = flat

    def put_ids(self, ids: Sequence[int]) -> None:
        """Copy the one input in.

        Raises:
            struct.error: One is beyond int32, or there are more or fewer.
        """
        if self._pack is None:
            self._pack = Struct(f"={len(self.given[0])}i").pack_into
        self._pack(self.given[0], 0, *ids)

    def take(self, *, as_arrays: bool) -> list[Any]:
        """Copy the outputs out."""
        if as_arrays:
            return [view.copy() for view in self.arrays()[1]]
        return [_nested(m[:], s) for m, s in zip(self._made, self._made_shapes, strict=True)]

    def take_first(self, *, as_arrays: bool) -> Any:
        """Copy the first output out: the only one, as a rule."""
        if as_arrays:
            return self.arrays()[1][0].copy()
        shape = self._made_shapes[0]
        flat = self._made[0][:]
        return [flat] if len(shape) == 2 and shape[0] == 1 else _nested(flat, shape)

    def arrays(self) -> tuple[list[Any], list[Any]]:
        """Return the buffers as arrays of NumPy, which the caller has imported."""
        if self._views is None:
            numpy = sys.modules["numpy"]

            def view(buffer: Any, dtype: str, shape: tuple[int, ...]) -> Any:
                # an empty buffer cannot be viewed
                empty = not len(buffer)
                return (
                    numpy.empty(shape, dtype)
                    if empty
                    else numpy.frombuffer(buffer, dtype).reshape(shape)
                )

            self._views = (
                list(map(view, self.given, self._dtypes, self.shapes)),
                list(map(view, self._made, self._made_dtypes, self._made_shapes)),
            )
        return self._views


class Memories:
    """Memory between calls. A call takes what it needs and brings it back: no two share any.

    That holds for threads, for a signal's handler that predicts, and after a fork.

    Args:
        make: Makes memory for inputs of such shapes.
    """

    def __init__(self, make: Callable[[Shapes], Memory]) -> None:
        self._make = make
        self._idle: dict[Shapes, list[Memory]] = {}

    def take(self, shapes: Shapes) -> Memory:
        """Return memory for inputs of such shapes."""
        try:
            return self._idle[shapes].pop()
        except (KeyError, IndexError):
            return self._make(shapes)

    def bring_back(self, memory: Memory) -> None:
        """Keep memory for the next call, unless it is much."""
        idle = self._idle.get(memory.shapes)
        if idle is None:
            if memory.bytes > _KEPT_BYTES:
                return
            if len(self._idle) >= _KEPT_SHAPES:
                self._idle = {}
            idle = self._idle.setdefault(memory.shapes, [])
        idle.append(memory)


def _pointer(buffer: Any) -> ctypes.c_void_p:
    return ctypes.c_void_p(ctypes.addressof(buffer))


def _addresses(buffers: Sequence[Any]) -> Any:
    return (ctypes.c_void_p * len(buffers))(*map(ctypes.addressof, buffers))


def _nested(flat: list[Any], shape: Sequence[int]) -> list[Any]:
    """Return a flat list as nested lists."""
    nested: list[Any] = flat
    for size in reversed(shape[1:]):
        if len(nested) == size:  # as of one row
            nested = [nested]
        else:
            nested = [nested[start : start + size] for start in range(0, len(nested), size)]
    return nested
