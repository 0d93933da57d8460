"""Runs C artifacts: the weights in one file, the code in a shared library beside it, by ctypes.

Not an exporter. Standard library only; arrays of NumPy are taken, and given back, without an
import of it.
"""

import ctypes
import json
import math
import mmap
import sys
import threading
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from gatelet.errors import BackendError, BackendMissing
from gatelet.runtime.backends.c_compiler import compile_library, host_platform

__all__ = ["CBackend", "Library", "open_artifact", "open_library"]

ABI = 1
_ALIGNMENT_BYTES = 64
_LARGEST_RANK = 8
_ERRORS = {
    1: "it was given a size out of range",
    2: "an id is outside the vocabulary",
    3: "the weights do not belong to the library: convert again",
}

_Pointers = ctypes.POINTER(ctypes.c_void_p)
_Sizes = ctypes.POINTER(ctypes.c_int32)


class Library(ctypes.Structure):
    """`struct gatelet_library` of the C source; the functions are called with addresses."""

    _fields_ = (
        ("abi", ctypes.c_int32),
        ("description", ctypes.c_char_p),
        ("weights_bytes", ctypes.c_size_t),
        ("check", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)),
        ("scratch_bytes", ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_int32, _Sizes)),
        (
            "output_shape",
            ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int32, ctypes.c_int32, _Sizes, _Sizes),
        ),
        (
            "run",
            ctypes.CFUNCTYPE(
                ctypes.c_int,
                ctypes.c_void_p,
                _Pointers,
                _Sizes,
                ctypes.c_int32,
                _Pointers,
                ctypes.c_void_p,
            ),
        ),
        (
            "ids_of_text",
            ctypes.CFUNCTYPE(
                ctypes.c_int32, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t, _Sizes
            ),
        ),
    )


def open_artifact(
    path: Path,
    *,
    module: str,
    threads: int,
    companions: Mapping[str, Path],
    steps: bool = False,
) -> "CBackend":
    """Open the weights with the library for this machine.

    Args:
        path: The artifact: the weights.
        module: 'ctypes'.
        threads: One call runs in the caller's thread, whatever this says.
        companions: 'library:<platform>', and the 'source' that is compiled where none fits.
        steps: Open what runs pieces of sequences; see `open_library`.

    Raises:
        BackendMissing: There is no library for this machine, and no compiler.
        BackendError: The library or the weights are damaged.
    """
    here = host_platform()
    library = companions.get(f"library:{here}")
    if library is None:
        if "source" not in companions:
            raise BackendMissing(f"'{path.name}' has no library for {here}", target="c")
        library = compile_library(companions["source"])
    return CBackend(open_library(library, steps=steps), path, engine=f"c {here}")


def open_library(path: Path, *, level: int = 0, steps: bool = False) -> Library:
    """Open a shared library.

    Args:
        path: The file.
        level: Of x86-64: the best (0), or 1 for the plain path, 2, 3 or 4, for tests.
        steps: Open what runs pieces of sequences, with states as further inputs and outputs.

    Raises:
        BackendError: It cannot be opened here, or is not of this kind.
    """
    try:
        opened = ctypes.CDLL(str(path.absolute()))
        open_function = opened.gatelet_open_steps if steps else opened.gatelet_open
    except (OSError, AttributeError) as error:
        raise BackendError(f"the library '{path.name}' cannot be opened: {error}") from error
    open_function.restype = ctypes.POINTER(Library)
    found = open_function(ctypes.c_int32(level))
    if not found:
        raise BackendError(
            f"the library '{path.name}' has no code of level {level} for this machine"
        )
    library: Library = found.contents
    if library.abi != ABI:
        raise BackendError(
            f"the library '{path.name}' has the interface {library.abi}, this gatelet knows {ABI}: "
            "convert again, or update gatelet"
        )
    return library


class CBackend:
    """A model's library and weights; each thread has memory of its own.

    Args:
        library: The opened library.
        path: The weights.
        engine: What to call it.

    Raises:
        BackendError: The weights are not those of the library.
    """

    target = "c"

    def __init__(self, library: Library, path: Path, *, engine: str) -> None:
        self.engine = engine
        self._library = library
        self._run = library.run
        with path.open("rb") as file:
            # private to this process: from_buffer asks for memory that can be written
            self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
        self._weights = ctypes.addressof(ctypes.c_char.from_buffer(self._mapped))
        if library.check(self._weights, len(self._mapped)):
            raise BackendError(f"'{path.name}': {_ERRORS[3]}", target=self.target)
        described = [json.loads(line) for line in library.description.decode().splitlines()]
        self._inputs = [tuple(one[1:]) for one in described if one[0] == "input"]
        self._outputs = _output_names(library)
        self._local = threading.local()

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run rows; see `Backend.run`. Arrays give arrays, nested lists give nested lists."""
        given = [inputs[name] for name, _, _ in self._inputs]
        shapes = tuple(
            _shape(value, len(one[2])) for value, one in zip(given, self._inputs, strict=True)
        )
        # one call after the other is of the same sizes as a rule
        memory: Memory | None = getattr(self._local, "memory", None)
        if memory is None or memory.shapes != shapes:
            memory = self._local.memory = Memory(self._library, self._weights, self._inputs, shapes)
        as_arrays = hasattr(given[0], "__array_interface__")
        memory.put(given)
        status = self._run(*memory.arguments)
        if status:
            raise BackendError(
                f"the engine {self.engine} failed: {_ERRORS.get(status, status)}",
                target=self.target,
            )
        return dict(zip(self._outputs, memory.take(as_arrays=as_arrays), strict=True))


class Memory:
    """What calls of one size need: buffers for inputs and outputs, scratch, pointers.

    Args:
        library: The library.
        weights: Their address.
        inputs: (name, dtype, shape) of each; None is a size that the caller decides.
        shapes: Of the inputs of this call.
    """

    def __init__(
        self,
        library: Library,
        weights: int,
        inputs: Sequence[tuple[str, str, list[int | None]]],
        shapes: tuple[tuple[int, ...], ...],
    ) -> None:
        self.shapes = shapes
        rows, sizes = shapes[0][0], []
        for shape, (_, _, declared) in zip(shapes, inputs, strict=True):
            sizes += [n for n, d in zip(shape[1:], declared[1:], strict=True) if d is None]
        c_sizes = (ctypes.c_int32 * max(len(sizes), 1))(*sizes)
        types = [ctypes.c_int32 if one[1] == "int32" else ctypes.c_float for one in inputs]
        self._dtypes = [one[1] for one in inputs]
        self._given = [(t * math.prod(s))() for t, s in zip(types, shapes, strict=True)]
        self._made, self._made_shapes = [], []
        for output in range(len(_output_names(library))):
            made = (ctypes.c_int32 * _LARGEST_RANK)()
            rank = library.output_shape(output, rows, c_sizes, made)
            self._made_shapes.append(tuple(made[:rank]))
            self._made.append((ctypes.c_float * math.prod(made[:rank]))())
        count = library.scratch_bytes(rows, c_sizes) + _ALIGNMENT_BYTES
        self._scratch = ctypes.create_string_buffer(count)
        address = ctypes.addressof(self._scratch)
        self._views: tuple[list[Any], list[Any]] | None = None
        self.arguments = (
            ctypes.c_void_p(weights),
            _addresses(self._given),
            c_sizes,
            rows,
            _addresses(self._made),
            ctypes.c_void_p(address + -address % _ALIGNMENT_BYTES),
        )

    def put(self, values: Sequence[Any]) -> None:
        """Copy the inputs in."""
        for index, value in enumerate(values):
            if hasattr(value, "__array_interface__"):
                self._arrays()[0][index][...] = value
            else:
                flat = value
                for _ in self.shapes[index][1:]:
                    flat = list(chain.from_iterable(flat))
                self._given[index][:] = flat

    def take(self, *, as_arrays: bool) -> list[Any]:
        """Copy the outputs out."""
        if as_arrays:
            return [view.copy() for view in self._arrays()[1]]
        pairs = zip(self._made, self._made_shapes, strict=True)
        return [_nested(list(flat), shape) for flat, shape in pairs]

    def _arrays(self) -> tuple[list[Any], list[Any]]:
        """Give the buffers as arrays of NumPy, which the caller has imported."""
        if self._views is None:
            numpy = sys.modules["numpy"]
            given = [
                numpy.frombuffer(one, dtype).reshape(shape)
                if len(one)
                else numpy.empty(shape, dtype)
                for one, dtype, shape in zip(self._given, self._dtypes, self.shapes, strict=True)
            ]
            made = [
                numpy.frombuffer(one, "float32").reshape(shape)
                if len(one)
                else numpy.empty(shape, "float32")
                for one, shape in zip(self._made, self._made_shapes, strict=True)
            ]
            self._views = (given, made)
        return self._views


def _shape(value: Any, rank: int) -> tuple[int, ...]:
    if hasattr(value, "__array_interface__"):
        shape: tuple[int, ...] = value.shape
        return shape
    sizes = []
    for _ in range(rank):
        sizes.append(len(value))
        value = value[0] if sizes[-1] else ()
    return tuple(sizes)


def _addresses(buffers: Sequence[Any]) -> Any:
    return (ctypes.c_void_p * len(buffers))(*map(ctypes.addressof, buffers))


def _output_names(library: Library) -> list[str]:
    described = map(json.loads, library.description.decode().splitlines())
    return [one[1] for one in described if one[0] == "output"]


def _nested(flat: list[float], shape: Sequence[int]) -> list[Any]:
    """Give a flat list as nested lists."""
    nested: list[Any] = flat
    for size in reversed(shape[1:]):
        nested = [nested[start : start + size] for start in range(0, len(nested), size)]
    return nested
