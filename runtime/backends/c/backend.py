"""Runs C artifacts: the weights in one file, the code in a shared library beside it, by ctypes.

Not an exporter. Standard library only; arrays of NumPy are taken, and given back, without an
import of it. Rows that are as usual go straight to C, which checks ids itself: `try_rows`.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import struct
import sys
from collections.abc import Mapping
from itertools import chain
from operator import countOf
from pathlib import Path

from gatelet.errors import BackendError, BackendMissing
from gatelet.runtime.backends.backend import AnyFile
from gatelet.runtime.backends.c.library import Library, library_of, open_library
from gatelet.runtime.backends.c.memory import Memories, Memory, Shapes
from gatelet.runtime.backends.host import host_platform
from gatelet.runtime.bundle.contents import sha256_for
from gatelet.runtime.bundle.held_file import HeldFile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LARGEST_SIZE = 2**20
_LONGEST_TEXT = 2**16  # characters; a longer one is read piece by piece, by Python
_ALIGNMENT_BYTES, _DIGEST_BYTES = 64, 16  # of the head of a file: a magic, a digest of the rest
_PART_BYTES, _PARTS = 2**16, 64
_LEVELS = {"": 0, "plain": 1, "v2": 2, "v3": 3, "v4": 4}
_ERRORS = {
    1: "it was given a size out of range",
    2: "an id is outside the vocabulary",
    3: "the weights do not belong to the library: convert again",
}


def used_roles(companions: Mapping[str, str]) -> list[str]:
    """Return the roles of the companions that are read on this machine."""
    library = f"library:{host_platform()}"
    code = library if library in companions else "source"
    return [role for role in (code, "vocabulary") if role in companions]


def open_artifact(
    path: AnyFile,
    *,
    module: str,
    threads: int,
    companions: Mapping[str, AnyFile],
    steps: bool = False,
) -> CBackend:
    """Open the weights with the library for this machine.

    Args:
        path: The artifact: the weights.
        module: 'ctypes'.
        threads: One call runs in the caller's thread, whatever this says.
        companions: 'library:<platform>', and the 'source' that is compiled where none fits;
            the 'vocabulary', without which it takes no texts.
        steps: Open what runs pieces of sequences; see `open_library`.

    Raises:
        BackendMissing: There is no library for this machine, and no compiler.
        BackendError: The library or the weights are damaged.
    """
    here = host_platform()
    library, is_compiled = companions.get(f"library:{here}"), False
    if library is None:
        if "source" not in companions:
            raise BackendMissing(f"'{path.name}' has no library for {here}", target="c")
        from gatelet.runtime.backends.c.compiler import compile_library

        library, is_compiled = compile_library(_path_of(companions["source"])), True
    found = open_library(_path_of(library), level=_asked_level(), steps=steps)
    vocabulary = companions.get("vocabulary")
    opened = CBackend(found, path, engine=f"c {here}", vocabulary=vocabulary)
    if is_compiled:
        opened.level = library.name
    return opened


def _path_of(file: AnyFile) -> Path:
    return file if isinstance(file, Path) else file.path


def _asked_level() -> int:
    """Return the level of x86-64 that GATELET_LEVEL asks for; 0 for the best."""
    asked = os.environ.get("GATELET_LEVEL", "")
    try:
        return _LEVELS[asked]
    except KeyError:
        names = ", ".join(filter(None, _LEVELS))
        raise BackendError(f"GATELET_LEVEL is '{asked}', expected one of {names}") from None


class CBackend:
    """A model's library and weights. Any number of threads may call.

    Args:
        library: The opened library.
        path: The weights.
        engine: What to call it.
        vocabulary: The vectorizer's tables for C.

    Raises:
        BackendError: The weights are not those of the library.
    """

    target = "c"

    def __init__(
        self, library: Library, path: AnyFile, *, engine: str, vocabulary: AnyFile | None = None
    ) -> None:
        self.engine = engine
        self.level = next(name for name, one in _LEVELS.items() if one == library.level)
        """Of x86-64, or what was compiled here; '' of code that has but one."""
        self._library = library
        self._path = path
        # by its address alone: arguments that are kept ready need no conversion
        address = ctypes.cast(library.run, ctypes.c_void_p).value or 0
        self._call = ctypes.CFUNCTYPE(ctypes.c_int)(address)
        self._mapped, self._weights = _mapped(path)
        if library.check(self._weights, len(self._mapped)):
            raise BackendError(f"'{path.name}': {_ERRORS[3]}", target=self.target)
        described = [json.loads(line) for line in library.description.decode().splitlines()]
        self._inputs = [tuple(one[1:]) for one in described if one[0] == "input"]
        made = [one[1:] for one in described if one[0] == "output"]
        self._outputs = [one[0] for one in made]
        self._made_dtypes = [(*one[1:], "float32")[0] for one in made]
        self._memories = Memories(self._memory)
        self._maxlen: int = next((one[1] for one in described if one[0] == "texts"), 0)
        self._vocabulary = _vocabulary(vocabulary) if vocabulary and self._maxlen else None
        self._ndarray: type | None = None
        self._int32: Any = None

    @property
    def reads_texts(self) -> bool:
        """Whether `try_rows` takes texts."""
        return self._vocabulary is not None

    def steps(self) -> CBackend:
        """Open what runs pieces of sequences, of the same code and weights."""
        code, level = self._library.code, self._library.level
        found = library_of(code, self._path.name, level=level, steps=True)
        return CBackend(found, self._path, engine=self.engine)

    def scratch_bytes(self, rows: int, sizes: list[int]) -> int:
        """Return what a call of so many rows needs; `sizes` are those that the caller decides."""
        given = (ctypes.c_int32 * max(len(sizes), 1))(*sizes)
        return int(self._library.scratch_bytes(rows, given))

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run rows; see `Backend.run`. Arrays give arrays, nested lists give nested lists."""
        given = [inputs[name] for name, _, _ in self._inputs]
        memory = self._memories.take(
            tuple(
                _shape(value, len(one[2])) for value, one in zip(given, self._inputs, strict=True)
            )
        )
        memory.put(given)
        status = self._call(*memory.arguments)
        if status:
            raise BackendError(
                f"the engine {self.engine} failed: {_ERRORS.get(status, status)}",
                target=self.target,
            )
        made = memory.take(as_arrays=hasattr(given[0], "__array_interface__"))
        self._memories.bring_back(memory)
        return dict(zip(self._outputs, made, strict=True))

    def try_rows(self, rows: Any, most: int) -> Any:
        """Run rows that nobody has checked, of a model with one input of ids and one output.

        C refuses ids outside the vocabulary, and what Python holds is looked at here, once.

        Args:
            rows: Texts, or ids [B, T].
            most: B is at most that.

        Returns:
            As the output of `run`; None where anything is unusual or wrong, and nothing was run:
            then check, which tells what is wrong, and call `run`.
        """
        kind = type(rows)
        if kind is list:
            if not 0 < len(rows) <= most:
                return None
            of_ids = type(rows[0]) is list
            memory = self._with_lists(rows) if of_ids else self._with_texts(rows)
        elif kind is self._ndarray:
            memory = self._with_array(rows, most)
        else:
            self._look_for_numpy()
            return None
        if memory is None or self._call(*memory.arguments):
            return None
        made = memory.take_first(as_arrays=kind is not list)
        self._memories.bring_back(memory)
        return made

    def _with_array(self, rows: Any, most: int) -> Memory | None:
        """Return memory that holds an array of whole numbers; None unless it is one."""
        shape, dtype = rows.shape, rows.dtype
        if dtype.kind not in "iu" or len(shape) != 2 or not 0 < shape[0] <= most:
            return None
        memory = self._take(shape)
        if memory is None:
            return None
        given = memory.arrays()[0][0]
        given[...] = rows
        # what int32 does not hold came out as another number
        return memory if dtype == self._int32 or (given == rows).all() else None

    def _with_lists(self, rows: list[Any]) -> Memory | None:
        """Return memory that holds lists of ids; None unless they are exactly that."""
        values, steps = rows[0], len(rows[0])
        if len(rows) > 1:
            if set(map(type, rows)) != {list} or set(map(len, rows)) != {steps}:
                return None
            values = list(chain.from_iterable(rows))
        if countOf(map(type, values), int) != len(values):  # True is no id
            return None
        memory = self._take((len(rows), steps))
        try:
            if memory is not None:
                memory.put_ids(values)
        except struct.error:
            return None
        return memory

    def _with_texts(self, texts: list[Any]) -> Memory | None:
        """Return memory that holds the ids of texts; None for what is none, or needs Python.

        Python reads long texts in pieces, and surrogates, which UTF-8 does not have.
        """
        if self._vocabulary is None or set(map(type, texts)) != {str}:
            return None
        memory = self._take((len(texts), self._maxlen))
        if memory is None:
            return None
        place = memory.first_place
        for text in texts:
            if not self._read_text(text, place):
                return None
            place += 4 * self._maxlen
        return memory

    def ids_of_text(self, text: str) -> list[int] | None:
        """Return the ids of one text by C's own reader, [maxlen]; None for what needs Python."""
        if self._vocabulary is None:
            return None
        ids = (ctypes.c_int32 * self._maxlen)()
        return ids[:] if self._read_text(text, ctypes.addressof(ids)) else None

    def _read_text(self, text: str, place: int) -> bool:
        """Write the ids of a text to an address; False, and nothing of use, if it needs Python."""
        if self._vocabulary is None or len(text) > _LONGEST_TEXT:
            return False
        try:
            utf8 = text.encode()
        except UnicodeEncodeError:
            return False
        count: int = self._library.ids_of_text(self._vocabulary[1], utf8, len(utf8), place)
        return count >= 0

    def _take(self, shape: tuple[int, ...]) -> Memory | None:
        """Return memory for ids of such a shape; None where the model takes no such."""
        steps, declared = shape[1], self._inputs[0][2][1]
        fits = 0 < steps <= _LARGEST_SIZE if declared is None else steps == declared
        return self._memories.take((shape,)) if fits else None

    def _look_for_numpy(self) -> None:
        """Know arrays from now on, if somebody has imported NumPy."""
        numpy: Any = sys.modules.get("numpy")
        if self._ndarray is None and hasattr(numpy, "ndarray") and hasattr(numpy, "dtype"):
            self._int32 = numpy.dtype("int32")
            self._ndarray = numpy.ndarray

    def _memory(self, shapes: Shapes) -> Memory:
        return Memory(self._library, self._weights, self._inputs, self._made_dtypes, shapes)


def _vocabulary(path: AnyFile) -> tuple[mmap.mmap, int]:
    """Return the tables. C follows what they say, so they must be those that it was written with.

    Raises:
        BackendError: They are not what their head says; C looks at the head.
    """
    mapped, address = _mapped(path)
    digest = sha256_for(len(mapped))()
    with memoryview(mapped) as view, view[_ALIGNMENT_BYTES:] as rest:
        digest.update(rest)
    if digest.digest()[:_DIGEST_BYTES] != mapped[8 : 8 + _DIGEST_BYTES]:
        raise BackendError(f"'{path.name}' is damaged: convert again", target="c")
    return mapped, address


def _mapped(path: AnyFile) -> tuple[mmap.mmap, int]:
    """Return a file in memory, of which only what is used is read, and its address."""
    held = HeldFile(path) if isinstance(path, Path) else path
    # private to this process: from_buffer asks for memory that can be written
    mapped = held.mapped(private=True)
    if isinstance(mapped, bytes):
        raise BackendError(f"'{path.name}' is empty: convert again", target="c")
    _part(mapped)
    return mapped, ctypes.addressof(ctypes.c_char.from_buffer(mapped))


def _part(mapped: mmap.mmap) -> None:
    """Let a page that is used bring its neighbours only, not two megabytes of them.

    Linux maps as much around a page as lies together in its cache, up to the end of what was
    advised alike. A short text uses few rows of an embedding.
    """
    if not sys.platform.startswith("linux"):
        return
    most = -(-len(mapped) // (2 * _PARTS))
    part = max(_PART_BYTES, -(-most // mmap.PAGESIZE) * mmap.PAGESIZE)
    for start in range(0, len(mapped), 2 * part):
        mapped.madvise(mmap.MADV_RANDOM, start, min(part, len(mapped) - start))


def _shape(value: Any, rank: int) -> tuple[int, ...]:
    if hasattr(value, "__array_interface__"):
        shape: tuple[int, ...] = value.shape
        return shape
    sizes = []
    for _ in range(rank):
        sizes.append(len(value))
        value = value[0] if sizes[-1] else ()
    return tuple(sizes)
