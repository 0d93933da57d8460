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

from gatelet.convert.exporters.c.blob import Blob, lines_of, sums_of
from gatelet.convert.exporters.c.entry import Entry
from gatelet.convert.exporters.c.forms import (
    C_TYPES,
    FORMS,
    NAMES_OF_DTYPES,
    PRODUCTS,
    ROUNDING_ACTIVATIONS,
    SUMMED,
)
from gatelet.convert.exporters.c.sizes import Size, largest_elements
from gatelet.convert.exporters.c.source import initializer, number
from gatelet.convert.exporters.quantize import (
    coded_rows,
    quantize,
    quantize_int4,
    quantize_levels,
)
from gatelet.convert.layouts import (
    BITS_OF,
    DTYPES,
    LANES,
    ORDERS,
    pack,
    pack_levels,
    pack_nibbles,
    tile_of,
)
from gatelet.convert.schemes import Scheme
from gatelet.runtime.bundle.storage import SMALL_ELEMENTS
from gatelet.runtime.graph.graph import Node

LONGEST_NAME = 40
"""Of a node, in C: compilers need not tell names apart behind their 63rd character."""
ACTIVATION_LIMIT = 16383
LEVELS_LIMIT = 120
"""A multiple of 15 and of 3, of which levels of 4 and 2 bits are odd halves, that 7 bits hold."""
_LEVEL_ORDERS = {f"int{bits}": order for order, bits in BITS_OF.items()}

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
        kind: 'float', 'ids', 'int16', 'mask', or 'word': a state in integers.
        dims: Its sizes, rows first; () for a number.
        slot: The memory it lies in; None for the caller's.
        raw: Numbers as the caller fed them, whose columns may differ by any factor.
        exact_limit: The integer that the largest magnitude of each row of features is a multiple
            of, where its row is stored as integers with a scale; 0 elsewhere.
        scale: Of an 'int16' or 'word': what its integers are multiples of.
        fed: The graph input that it is; '' for what was computed.
        entry: Of states that rows begin with behind their padding.
        made: Of what a recurrence makes itself, a timestep at a time: the fields that say how.
    """

    name: str
    kind: str
    dims: tuple[Size, ...]
    slot: Slot | None = None
    raw: bool = False
    exact_limit: int = 0
    scale: float = 0.0
    fed: str = ""
    entry: Entry | None = None
    made: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Part:
    """A weight of the Graph, or some of its rows or columns, seen as a matrix.

    Args:
        array: The numbers.
        place: What the table of sections says of them: `weight`, and `rows` or `columns`.
    """

    array: Array
    place: Mapping[str, Any]


@dataclass(frozen=True)
class Stored:
    """An array in the blob."""

    c_type: str
    shape: tuple[int, ...]
    offset: int

    @property
    def pointer(self) -> str:
        """C's expression for it."""
        return f"GATELET_AT({self.c_type}, {self.offset})"

    @property
    def entry(self) -> dict[str, Any]:
        """What the table of sections says of it."""
        return {"dtype": NAMES_OF_DTYPES[self.c_type], "shape": self.shape, "offset": self.offset}


@dataclass(frozen=True)
class Call:
    """A node and what it is given."""

    node: Node
    inputs: list[Value]
    weights: Mapping[str, Array]
    mask: Value | None
    feeds_one: bool = False
    """Its output is read by one recurrence only, which can make it a timestep at a time."""

    @property
    def x(self) -> Value:
        """The first input."""
        return self.inputs[0]

    def part(
        self, role: str, *, row: int | None = None, columns: tuple[int, int] | None = None
    ) -> Part:
        """Return a weight, one of its rows, or some columns of all its rows."""
        array, place = self.weights[role], {"weight": self.node.weights[role]}
        if row is not None:
            return Part(array[row], {**place, "rows": (row, row + 1)})
        if columns is not None:
            matrix = array.reshape(-1, array.shape[-1])[:, slice(*columns)]
            return Part(matrix, {**place, "columns": columns})
        return Part(array, place)


@dataclass
class Writer:
    """Collects statements, and lays out scratch memory.

    Args:
        blob: Where weights go.
        scheme: What is stored how.
        observed: The largest magnitudes of values, for a scheme that computes in integers.
        sections: The table of what the blob holds of the Graph, as in docs/bundle.md.
        rounded: What the integers of kernels stand for, by weight and first column.
        places: Values that may still be made in the caller's memory: which output each is.
        node: The name of the node, or input, that is written: names in C begin with it.
    """

    blob: Blob
    scheme: Scheme
    observed: Mapping[str, Array] = field(default_factory=dict)
    lines: list[str] = field(default_factory=list)
    slots: list[Slot] = field(default_factory=list)
    kernels: set[str] = field(default_factory=set)
    sections: list[dict[str, Any]] = field(default_factory=list)
    rounded: dict[tuple[str, int], Array] = field(default_factory=dict)
    places: dict[str, int] = field(default_factory=dict)
    node: str = ""
    _names: set[str] = field(default_factory=set)

    @property
    def integers(self) -> bool:
        """Whether values are integers too."""
        return self.scheme.activations != "float32"

    @property
    def quantized(self) -> bool:
        """Whether large weights are 8 bits or fewer."""
        return self.scheme.weights in ("int8", "int4")

    @property
    def fewest_bytes(self) -> bool:
        """Whether embeddings have 4 bits or fewer, beside which other tables count."""
        return self.scheme.embeddings in _LEVEL_ORDERS

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
        """Return memory for a value."""
        c_type, width = C_TYPES[kind]
        floats = largest_elements(dims)
        slot = self.memory(floats if width == 4 else f"({floats} * {width} + 3) / 4")
        name = self.name("value")
        self.line(f"{c_type} *const {name} = ({c_type} *)(void *){slot.name};")
        return Value(name, kind, tuple(dims), slot, **facts)

    def of_several(self, dims: Sequence[Size], kind: str = "float") -> tuple[str, Slot]:
        """Return memory that one row has no need of, as a pointer, and what it lies in."""
        slot = self.memory(f"(({dims[0].most}) > 1 ? {largest_elements(dims)} : (size_t)0)")
        return f"({C_TYPES[kind][0]} *)(void *){slot.name}", slot

    def memory(self, floats: str) -> Slot:
        """Return memory that is free: of the same size, so that reuse holds whatever the sizes."""
        for slot in self.slots:
            if not slot.users and slot.floats == floats:
                slot.users = 1
                return slot
        slot = Slot(f"s{len(self.slots)}", floats, users=1)
        self.slots.append(slot)
        return slot

    def work(self, floats: str) -> str:
        """Return memory that is free again after the next `release`."""
        slot = self.memory(floats)
        slot.users = 0
        return slot.name

    def size(self, text: str, most: str) -> Size:
        """Return a size that is computed where the nodes run."""
        name = self.name("size")
        self.line(f"const int32_t {name} = {text};")
        self.line(f"(void){name};")
        return Size(name, most)

    def store(self, array: Array, c_type: str = "float") -> Stored:
        """Store an array as it is."""
        stored = np.asarray(array, DTYPES[NAMES_OF_DTYPES[c_type]])
        return Stored(c_type, stored.shape, self.blob.add(stored))

    def weights(self, array: Array, c_type: str = "float") -> str:
        """Store an array as it is and return a pointer to it."""
        return self.store(array, c_type).pointer

    def section(self, part: Part, values: Stored, order: str = "rows", **facts: Any) -> None:
        """Note where a part of a weight lies.

        Args:
            part: The part.
            values: Its numbers.
            order: One of `layouts.ORDERS`.
            facts: `gates`, `scales` and `step`, as in docs/bundle.md.
        """
        entry = {**part.place, "order": order, **values.entry, **facts}
        if entry not in self.sections:  # whole sequences and pieces share weights
            self.sections.append(entry)

    def vector(self, part: Part, gates: int = 0) -> str:
        """Store floats, packed for so many gates, and return a pointer to them."""
        stored = self.store(pack(part.array, gates))
        self.section(part, stored, gates=gates)
        return stored.pointer

    def optional(self, call: Call, role: str, gates: int = 0) -> str:
        """Store a weight as `vector` does, if there is one."""
        return self.vector(call.part(role), gates) if role in call.weights else "NULL"

    def is_quantized(self, array: Array) -> bool:
        """Return whether an embedding is stored in 8 bits."""
        return self.quantized and array.size >= SMALL_ELEMENTS

    def form_of(self, array: Array, *, raw: bool, recurrent: bool) -> str:
        """Return in which of FORMS a matrix is stored.

        Features as the user feeds them are not rounded: one column may be a thousand times
        another. Their kernels have 8 bits where others have 4.
        """
        stored = self.scheme.recurrent_type if recurrent else self.scheme.weights
        if stored == "float32" or array.size < SMALL_ELEMENTS:
            return "floats"
        if stored == "int16":
            return "words"
        if raw:
            return "bytes"
        return "nibbles" if stored == "int4" else "values"

    def matrix(
        self,
        part: Part,
        gates: int = 1,
        *,
        raw: bool = False,
        exact_limit: int = 0,
        recurrent: bool = False,
    ) -> str:
        """Pack and store a matrix [K, N] and return the name of its struct.

        Args:
            part: The matrix.
            gates: It is packed for so many.
            raw: What it is multiplied with is not to be rounded.
            exact_limit: As of the value that it is multiplied with.
            recurrent: It is a recurrent kernel.
        """
        packed = pack(part.array, gates)
        rows, columns = packed.shape
        tile = tile_of(part.array.shape[1]) if gates == 1 else gates * LANES
        name, form = self.name("matrix"), self.form_of(packed, raw=raw, recurrent=recurrent)
        c_type, order, largest = FORMS[form]
        fields: dict[str, object] = {}
        more: dict[str, Any] = {}
        if largest:
            packed, scales = quantize(packed, axis=1, limit=largest)
            self.kernels.add(PRODUCTS[form])
        arranged = ORDERS[order](packed, tile)
        values = self.store(pack_nibbles(arranged) if form == "nibbles" else arranged, c_type)
        fields[form] = values.pointer
        if largest:
            by_column = self.store(scales[0])
            fields["scales"] = by_column.pointer
            more["scales"] = [{"along": "columns", **by_column.entry}]
        if form in SUMMED:
            sums = self.store(sums_of(packed), "int16_t")
            fields["sums"], more["sums"] = sums.pointer, sums.entry
        if form in ROUNDING_ACTIVATIONS:
            fields["limit"] = exact_limit or ACTIVATION_LIMIT
        self.section(part, values, order, gates=gates, **more)
        fields |= {"rows": rows, "tiles": columns // tile, "tile": tile}
        self.line(f"const struct gatelet_matrix {name} = {initializer(fields)};")
        return name

    def table(self, part: Part) -> tuple[str, int]:
        """Store an embedding; return the name of its struct, and the exact limit of its rows."""
        table = part.array
        V, F = table.shape
        name, limit = self.name("table"), 0
        fields: dict[str, object] = {}
        if self.fewest_bytes and table.size >= SMALL_ELEMENTS:
            order = _LEVEL_ORDERS[self.scheme.embeddings]
            bits = BITS_OF[order]
            found = quantize_int4(table) if bits == 4 else quantize_levels(table, bits)
            levels, multiples, unit = found
            values = self.store(pack_levels(levels, bits), "uint8_t")
            by_row, units = self.store(multiples[:, 0], "uint8_t"), self.store(np.array([unit]))
            scales = [{"along": "rows", **one.entry} for one in (by_row, units)]
            self.section(part, values, order, scales=scales)
            fields = {"levels": values.pointer, "codes": by_row.pointer, "scales": units.pointer}
            fields["bits"], limit = bits, LEVELS_LIMIT
        elif self.is_quantized(table):
            integers, by_row_code, by_code = coded_rows(table)
            values = self.store(integers, "int8_t")
            codes, codebook = self.store(by_row_code, "uint8_t"), self.store(by_code)
            scale = {"along": "rows", **codebook.entry, "codes": codes.entry}
            self.section(part, values, scales=[scale])
            fields = {"bytes": values.pointer, "codes": codes.pointer, "scales": codebook.pointer}
            limit = 127
        else:
            fields = {"floats": self.vector(part)}
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
        """Return the name of an array of sizes."""
        name = self.name("sizes")
        texts = [f"({c_type}){v.text}" if isinstance(v, Size) else str(v) for v in values]
        self.line(f"const {c_type} {name}[] = {{{', '.join(texts) or '0'}}};")
        return name
