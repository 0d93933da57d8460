"""Writes the body of a C function that runs a Graph: statements, memory, sizes.

Not what any operation does: those are in the files beside this one.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.exporters.c.blob import DTYPES, Blob, coded_rows, lines_of, tiled, tiled_int8
from gatelet.convert.exporters.c.sizes import Size, known, largest_elements
from gatelet.convert.quantize import pack_int4, quantize_int4
from gatelet.convert.schemes import Scheme
from gatelet.runtime.graph import Node

__all__ = ["Call", "Value", "Writer", "initializer", "number"]

LONGEST_NAME = 40
"""Of a node, in C: compilers need not tell names apart behind their 63rd character."""
INT8_MIN_ELEMENTS = 1024
"""Smaller weights stay float32: their bytes do not count, their error does."""
ACTIVATION_LIMIT = 16383
INT4_LIMIT = 120
"""A multiple of 15, of which the levels of 4 bits are odd halves, that 7 bits hold."""
_C_TYPES = {
    "float": ("float", 4),
    "ids": ("int32_t", 4),
    "int16": ("int16_t", 2),
    "mask": ("uint8_t", 1),
}

Array = NDArray[Any]


@dataclass
class Slot:
    """A piece of the scratch memory: how many floats at most, and who still needs it."""

    name: str
    floats: str
    users: int = 0


@dataclass(frozen=True)
class Value:
    """A value of the Graph in C.

    Args:
        name: The pointer.
        kind: 'float', 'ids', 'int16' or 'mask'.
        dims: Its sizes, rows first; () for a number.
        slot: The memory it lies in; None for the caller's.
        raw: Numbers as the caller fed them, whose columns may differ by any factor.
        exact_limit: The integer that the largest magnitude of each row of features is a multiple
            of, where its row is stored as integers with a scale; 0 elsewhere.
        scale: Of an 'int16': what its integers are multiples of.
        fed: The graph input that it is; '' for what was computed.
    """

    name: str
    kind: str
    dims: tuple[Size, ...]
    slot: Slot | None = None
    raw: bool = False
    exact_limit: int = 0
    scale: float = 0.0
    fed: str = ""


@dataclass(frozen=True)
class Call:
    """A node and what it is given."""

    node: Node
    inputs: list[Value]
    weights: Mapping[str, Array]
    mask: Value | None

    @property
    def x(self) -> Value:
        """The first input."""
        return self.inputs[0]


@dataclass
class Writer:
    """Collects statements, and lays out scratch memory.

    Args:
        blob: Where weights go.
        scheme: What is stored how.
        observed: The largest magnitudes of values, for a scheme that computes in integers.
        node: The name of the node, or input, that is written: names in C begin with it.
    """

    blob: Blob
    scheme: Scheme
    observed: Mapping[str, Array] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    kernels: set[str] = field(default_factory=set)
    node: str = ""
    _names: set[str] = field(default_factory=set)

    @property
    def integers(self) -> bool:
        """Whether values are integers too."""
        return self.scheme.activations != "float32"

    @property
    def quantized(self) -> bool:
        """Whether large weights are 8 bits."""
        return self.scheme.weights == "int8"

    @property
    def fewest_bytes(self) -> bool:
        """Whether embeddings have 4 bits, beside which other tables count."""
        return self.scheme.embeddings == "int4"

    def name(self, stem: str) -> str:
        """Return a C name that is used once: of the node, and what it stands for there."""
        plain = re.sub(r"[^a-z0-9]+", "_", self.node.lower())[-LONGEST_NAME:].strip("_")
        if not plain[:1].isalpha() or plain.startswith("gatelet"):
            plain = f"node_{plain}"
        first = f"{plain}_{stem}"
        numbered = (f"{first}_{index}" for index in count(2))
        name = next(name for name in chain([first], numbered) if name not in self._names)
        self._names.add(name)
        return name

    def line(self, text: str) -> None:
        """Add a statement."""
        self.lines.append(text)

    def call(self, function: str, *arguments: str) -> None:
        """Add a call."""
        self.lines.append(f"{function}({', '.join(arguments)});")

    def make(self, dims: Sequence[Size], kind: str = "float", **facts: Any) -> Value:
        """Give memory for a value."""
        c_type, width = _C_TYPES[kind]
        floats = largest_elements(dims)
        slot = self.memory(floats if width == 4 else f"({floats} * {width} + 3) / 4")
        name = self.name("value")
        self.line(f"{c_type} *const {name} = ({c_type} *)(void *){slot.name};")
        return Value(name, kind, tuple(dims), slot, **facts)

    def memory(self, floats: str) -> Slot:
        """Give memory that is free: of the same size, so that reuse holds whatever the sizes."""
        for slot in self.slots:
            if not slot.users and slot.floats == floats:
                slot.users = 1
                return slot
        slot = Slot(f"s{len(self.slots)}", floats, users=1)
        self.slots.append(slot)
        return slot

    def work(self, floats: str) -> str:
        """Give memory that is free again after the next `release`."""
        slot = self.memory(floats)
        slot.users = 0
        return slot.name

    def size(self, text: str, most: str) -> Size:
        """Give a size that is computed where the nodes run."""
        name = self.name("size")
        self.line(f"const int32_t {name} = {text};")
        self.line(f"(void){name};")
        return Size(name, most)

    def weights(self, array: Array, c_type: str = "float") -> str:
        """Store an array as it is and give a pointer to it."""
        return f"GATELET_AT({c_type}, {self.blob.add(np.asarray(array, DTYPES[c_type]))})"

    def integer_weights(
        self,
        values: Array,
        c_type: str,
        multipliers: Array,
        multiplier_type: str,
        *,
        step: float | Array,
    ) -> tuple[str, str]:
        """Store integers, and multipliers of them, and give pointers to both.

        Args:
            values: Of 8 bits.
            c_type: Of them.
            multipliers: Broadcast over the values; or one a row of them, and behind those a shift.
            multiplier_type: Of them.
            step: What the products are multiples of, for who reads them back.
        """
        return self.weights(values, c_type), self.weights(multipliers, multiplier_type)

    def integer_bias(self, values: Array, *, step: float) -> str:
        """Store integers of 32 bits, multiples of `step`, and give a pointer to them."""
        return self.weights(values, "int32_t")

    def optional(self, weights: Mapping[str, Array], role: str) -> str:
        """Store a weight if there is one."""
        return self.weights(weights[role]) if role in weights else "NULL"

    def is_quantized(self, array: Array, *, raw: bool) -> bool:
        """Tell whether a weight is stored in 8 bits.

        Features as the user feeds them are not rounded: one column may be a thousand times
        another.
        """
        return self.quantized and array.size >= INT8_MIN_ELEMENTS and not raw

    def matrix(self, packed: Array, tile: int, *, raw: bool = False, exact_limit: int = 0) -> str:
        """Store a packed matrix [K, N] and give the name of its struct."""
        rows, columns = packed.shape
        name = self.name("matrix")
        if self.is_quantized(packed, raw=raw):
            values, scales, sums = tiled_int8(packed, tile)
            fields: dict[str, object] = {
                "values": self.weights(values, "int8_t"),
                "scales": self.weights(scales),
                "sums": self.weights(sums, "int16_t"),
                "limit": exact_limit or ACTIVATION_LIMIT,
            }
        else:
            fields = {"floats": self.weights(tiled(packed, tile))}
        fields |= {"rows": rows, "tiles": columns // tile, "tile": tile}
        self.line(f"const struct gatelet_matrix {name} = {initializer(fields)};")
        return name

    def table(self, table: Array) -> tuple[str, int]:
        """Store an embedding; give the name of its struct, and the exact limit of its rows."""
        V, F = table.shape
        name, limit = self.name("table"), 0
        fields: dict[str, object] = {}
        if self.fewest_bytes and table.size >= INT8_MIN_ELEMENTS:
            levels, multiples, unit = quantize_int4(table)
            stored = pack_int4(levels), multiples[:, 0]
            fields = {
                field: self.weights(one, "uint8_t")
                for field, one in zip(("halves", "codes"), stored, strict=True)
            }
            fields["scales"] = self.weights(np.array([unit]))
            limit = INT4_LIMIT
        elif self.is_quantized(table, raw=False):
            values, codes, codebook = coded_rows(table)
            fields = {"bytes": self.weights(values, "int8_t")}
            fields["codes"] = self.weights(codes, "uint8_t")
            fields["scales"] = self.weights(codebook)
            limit = 127
        else:
            fields = {"floats": self.weights(table)}
        fields |= {"vocabulary": V, "features": F}
        self.line(f"const struct gatelet_table {name} = {initializer(fields)};")
        return name, limit

    def lines_of(self, table: Array) -> str:
        """Store a table of states as lines between some rows; give the name of its struct."""
        name, lines = self.name("lines"), lines_of(table)
        fields = {
            "knots": self.ints(lines.knots),
            "values": self.weights(lines.values, "int8_t"),
            "count": len(lines.knots),
            "units": table.shape[1],
            "unit": number(float(lines.unit)),
        }
        self.line(f"const struct gatelet_lines {name} = {initializer(fields)};")
        return name

    def ints(self, values: Sequence[Size | int], c_type: str = "int32_t") -> str:
        """Give the name of an array of sizes."""
        name = self.name("sizes")
        texts = [f"({c_type}){v.text}" if isinstance(v, Size) else str(v) for v in values]
        self.line(f"const {c_type} {name}[] = {{{', '.join(texts) or '0'}}};")
        return name


def dims_of(shape: Sequence[int | None], like: Sequence[Size]) -> tuple[Size, ...]:
    """Give a node's sizes: those that its shape knows, else those of another value."""
    return tuple(known(size) if size is not None else like[axis] for axis, size in enumerate(shape))


def initializer(fields: Mapping[str, object]) -> str:
    """Return the initializer of a struct in C, by the names of its fields."""
    return f"{{{', '.join(f'.{name} = {text}' for name, text in fields.items())}}}"


def number(value: float) -> str:
    """Write a float so that C reads the same float32."""
    single = np.float32(value)
    if np.isnan(single):
        return "(0.0f / 0.0f)"
    if np.isinf(single):
        return "(1.0f / 0.0f)" if single > 0 else "(-1.0f / 0.0f)"
    text = f"{float(single):.9g}"
    return f"{text}f" if any(mark in text for mark in ".e") else f"{text}.0f"
