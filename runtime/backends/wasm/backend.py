"""Runs wasm artifacts: the code, its weights and vocabulary in a Node child.

Not an exporter. Standard library only; arrays of NumPy are taken, and given back, without an
import of it.
"""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Mapping, Sequence
from itertools import pairwise

from gatelet.errors import BackendError, BackendMissing
from gatelet.runtime.backends.backend import AnyFile
from gatelet.runtime.backends.wasm.child import Child

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

CODE_ROLES = ("code:simd", "code:plain")
"""The companions that are code, the preferred one first."""
_TYPES = {"int32": "i", "float32": "f"}
_LONGEST_TEXT = 2**16  # characters; a longer one is read piece by piece, by Python


def open_artifact(
    path: AnyFile,
    *,
    module: str,
    threads: int,
    companions: Mapping[str, AnyFile],
    steps: bool = False,
) -> WasmBackend:
    """Open the weights with the first code that Node can run.

    Args:
        path: The artifact: the weights.
        module: 'node'.
        threads: One call runs at a time, whatever this says.
        companions: 'code:simd' and 'code:plain', one of them at least; the 'vocabulary', without
            which it takes no texts.
        steps: Open what runs pieces of sequences.

    Raises:
        BackendMissing: There is no Node, or one that is too old.
        BackendError: Code or weights are damaged.
    """
    codes = [companions[role] for role in CODE_ROLES if role in companions]
    if not codes:
        raise BackendMissing(f"'{path.name}' has no code beside it: convert again", target="wasm")
    words = companions.get("vocabulary")

    def opening() -> tuple[dict[str, Any], list[bytes]]:
        files = [*codes, path, *([words] if words is not None else [])]
        header = {"ask": "open", "codes": len(codes), "words": words is not None}
        return header, [one.read_bytes() for one in files]

    return WasmBackend(Child(opening), form=int(steps))


class WasmBackend:
    """A model in a Node child. Any number of threads may call.

    Args:
        child: With the model opened.
        form: 0 runs whole sequences, 1 pieces of them.

    Raises:
        BackendError: The code has no such form.
    """

    target = "wasm"

    def __init__(self, child: Child, *, form: int) -> None:
        forms = child.opened["forms"]
        if form >= len(forms):
            raise BackendError("the code does not run pieces of sequences", target=self.target)
        self.engine = f"node {child.node}"
        self._child, self._form = child, form
        self._inputs = [tuple(one) for one in forms[form]["inputs"]]
        self._outputs = [tuple(one) for one in forms[form]["outputs"]]
        self._maxlen: int = child.opened["maxlen"]

    @property
    def reads_texts(self) -> bool:
        """Whether it has a reader of texts."""
        return self._maxlen > 0

    def steps(self) -> WasmBackend:
        """Open what runs pieces of sequences, of the same code and weights."""
        return WasmBackend(self._child, form=1)

    def ids_of_text(self, text: str) -> list[int] | None:
        """Return the ids of one text by its own reader, [maxlen]; None for what needs Python."""
        if not self.reads_texts or len(text) > _LONGEST_TEXT:
            return None
        try:
            utf8 = text.encode()
        except UnicodeEncodeError:
            return None
        _, (found,) = self._child.ask({"ask": "ids"}, [utf8])
        return array("i", found).tolist()

    def run(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run rows; see `Backend.run`. Arrays give arrays, nested lists give nested lists."""
        given = [inputs[name] for name, _, _ in self._inputs]
        as_arrays = any(hasattr(one, "__array_interface__") for one in given)
        shapes, parts = [], []
        for value, (_, dtype, declared) in zip(given, self._inputs, strict=True):
            shape, data = _flat(value, dtype, len(declared))
            shapes.append(shape)
            parts.append(data)
        asked = {"ask": "run", "form": self._form, "shapes": shapes}
        answer, made = self._child.ask(asked, parts)
        found = {}
        for (name, dtype), shape, data in zip(self._outputs, answer["shapes"], made, strict=True):
            found[name] = _shaped(data, dtype, shape, as_arrays=as_arrays)
        return found


def _flat(value: Any, dtype: str, rank: int) -> tuple[list[int], Any]:
    """Return the shape and the numbers of an array or of nested lists."""
    if hasattr(value, "__array_interface__"):
        numpy = sys.modules["numpy"]
        return list(value.shape), numpy.ascontiguousarray(value, dtype).reshape(-1)
    shape: list[int] = []
    for axis in range(rank):
        shape.append(len(value))
        if axis < rank - 1:
            value = [one for inner in value for one in inner]
    return _inner_sizes(shape), array(_TYPES[dtype], value)


def _inner_sizes(counts: Sequence[int]) -> list[int]:
    """Return a shape of how many there are at each depth."""
    return [counts[0], *(b // a if a else 0 for a, b in pairwise(counts))]


def _shaped(data: bytes, dtype: str, shape: Sequence[int], *, as_arrays: bool) -> Any:
    if as_arrays:
        return sys.modules["numpy"].frombuffer(data, dtype).reshape(shape).copy()
    nested: Any = array(_TYPES[dtype], data).tolist()
    for axis in range(len(shape) - 1, 0, -1):
        size, rows = shape[axis], math.prod(shape[:axis])
        nested = [nested[row * size : (row + 1) * size] for row in range(rows)]
    return nested
