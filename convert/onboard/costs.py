"""What a c artifact's row costs, as terms of a sum: how often each kind of work is done.

Not what a term costs on a core, which is `costs.toml`: benchmarks/device_costs.py measures it.
"""

import functools
import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatelet.convert.exporters.c.blob import INT8_CHUNK
from gatelet.convert.layouts import LANES
from gatelet.runtime.graph.graph import Graph, Node

TABLE = Path(__file__).with_name("costs.toml")
KINDS = {"float32": "floats", "int8": "bytes"}
"""What a product with a kernel in tiles of a type is called."""
_CELLS = ("LSTM", "GRU", "SimpleRNN")
_QUIET = ("TrimPadding", "PadState", "Embedding", "Dense", "Activation", "Affine", "Reshape")
_CHUNK = 256
"""Products of 16 and 8 bits that integer.c sums at once."""


@dataclass(frozen=True)
class Prices:
    """What a model costs on a core.

    Args:
        instructions: Of a term, once.
        code_bytes: Of a part that is there at all.
        stack_bytes: Likewise, of what the self-test's stack was with it.
    """

    instructions: Mapping[str, float]
    code_bytes: Mapping[str, float]
    stack_bytes: Mapping[str, float]


@dataclass(frozen=True)
class Work:
    """What an artifact does for a row.

    Args:
        terms: How often each kind of work is done.
        parts: What it has at all: the kernels, by what they take; each counts once.
    """

    terms: Mapping[str, float]
    parts: Mapping[str, float]


def family_of(artifact: Mapping[str, Any]) -> str:
    """Return what an artifact computes in, which has its own prices: 'floats' or 'integers'."""
    return "integers" if "integer" in artifact.get("ops", ()) else "floats"


def prices(cpu: str, family: str) -> Prices | None:
    """Return what terms cost on a core; None where that was not measured."""
    found = _table().get(cpu, {}).get(family)
    if found is None:
        return None
    return Prices(found["instructions"], found["code_bytes"], found["stack_bytes"])


@functools.cache
def _table() -> dict[str, Any]:
    return tomllib.loads(TABLE.read_text("utf-8")) if TABLE.exists() else {}


def total(terms: Mapping[str, float], each: Mapping[str, float]) -> int | None:
    """Return the sum of what terms cost; None where the price of one is not known."""
    if not set(terms) <= set(each):
        return None
    return round(sum(count * each[name] for name, count in terms.items()))


def work_of(graph: Graph, entry: Mapping[str, Any], sizes: Sequence[int]) -> Work | None:
    """Return what a row takes.

    Args:
        graph: The model.
        entry: The artifact, in the manifest: how its weights are stored.
        sizes: Of each size that a row leaves open.

    Returns:
        None of a model that has something whose price was not measured.
    """
    timesteps = max(sizes, default=0) or _known_timesteps(graph)
    sections = {str(one["weight"]): one for one in entry.get("sections", ())}
    made = _Counted(integers=family_of(entry) == "integers")
    for node in graph.nodes:
        if node.mask or (node.op not in _CELLS and node.op not in _QUIET):
            return None
        if node.op in _CELLS and not _is_usual(node):
            return None
        times = _times(node, timesteps)
        for role in ("kernel", "recurrent_kernel"):
            if role in node.weights:
                section = sections.get(node.weights[role])
                if section is None:
                    return None
                columns = graph.weights[node.weights[role]].shape[-1]
                made.product(node.op if node.op == "Dense" else role, section, columns, times)
        made.node(node, graph, sections, times)
    return Work(made.terms, made.parts)


class _Counted:
    """Terms and parts, as they are found."""

    def __init__(self, *, integers: bool) -> None:
        self._integers = integers
        self.terms: dict[str, float] = {"row": 1}
        self.parts: dict[str, float] = {"row": 1}

    def product(self, role: str, section: Mapping[str, Any], columns: int, times: int) -> None:
        """Count products with a kernel of so many columns."""
        kind, found = _product(section, columns, integers=self._integers)
        self.parts[f"{kind} {role}"] = self.parts[kind] = 1
        if not self._integers:
            self.parts[f"{kind} tiles of {section['shape'][2]}"] = 1
        for name, count in found.items():
            self._add(f"{kind} {name}", times * count)

    def node(
        self, node: Node, graph: Graph, sections: Mapping[str, Mapping[str, Any]], times: int
    ) -> None:
        """Count what a node does beside products."""
        kind = node.op
        if node.op in _CELLS:
            units = graph.weights[node.weights["recurrent_kernel"]].shape[0]
            self._add(f"{kind} unit", times * units)
            if not self._integers:
                self._add(f"{kind} idle unit", times * (-units % LANES))
            if node.attributes.get("return_sequences"):
                self.parts["sequence"] = 1
                self._add("sequence", times * units)
        elif node.op == "Embedding":
            table = node.weights["embeddings"]
            kind = f"Embedding of {sections.get(table, {}).get('dtype', 'float32')}"
            self._add(f"{kind} number", times * graph.weights[table].shape[1])
        elif node.op in ("Activation", "Affine"):
            kind = str(node.attributes.get("activation", "Affine"))
            self._add(f"{kind} number", times * (node.shapes[0][-1] or 1))
        if node.op not in ("TrimPadding", "PadState", "Reshape") and kind != "linear":
            self.parts[kind] = 1
            self._add(kind, times)

    def _add(self, name: str, count: float) -> None:
        if count:
            self.terms[name] = self.terms.get(name, 0) + count


def _known_timesteps(graph: Graph) -> int:
    return next((size for one in graph.inputs for size in one.shape[1:2] if size), 1)


def _times(node: Node, timesteps: int) -> int:
    """Return how many rows of numbers a node takes: timesteps, or one."""
    if node.op in _CELLS:
        return timesteps
    shape = node.shapes[0]
    inner = shape[1:-1] if node.op != "Embedding" else shape[1:-1] or (1,)
    return math.prod(timesteps if size is None else size for size in inner)


def _is_usual(node: Node) -> bool:
    """Return whether a recurrence has the usual activations, runs forwards and resets after."""
    told = node.attributes
    usual = told.get("activation") == "tanh" and not told.get("go_backwards")
    gates = node.op == "SimpleRNN" or told.get("recurrent_activation") == "sigmoid"
    return usual and gates and (node.op != "GRU" or bool(told.get("reset_after")))


def _product(
    section: Mapping[str, Any], columns: int, *, integers: bool
) -> tuple[str, dict[str, float]]:
    """Return the kind of one row's product with a kernel, and its work.

    What fills up tiles is apart: zeros take fewer instructions where floats are computed by code.
    """
    shape = section["shape"]
    if integers:  # columns, each with its weights in a row
        inner = shape[1]
        whole = inner & ~3 if inner <= _CHUNK else 0
        fours = columns & ~3 if whole else 0
        return "integers", {
            "product": 1,
            "column": fours,
            "weight": fours * whole,
            "odd weight": fours * (inner - whole),
            "odd column": columns - fours,
            "odd column weight": (columns - fours) * inner,
            "value": inner,
        }
    order = str(section["order"])
    tiles, inner, tile = shape[:3]
    inner *= {"fours": 4, "pairs": 2}.get(order, 1)
    kind = KINDS[str(section["dtype"])] if order == "tiles" else order
    chunks = -(-inner // INT8_CHUNK) if order == "fours" else 1
    found = {
        "product": 1,
        "column": columns * chunks,
        "weight": columns * inner,
        "idle column": (tiles * tile - columns) * chunks,
        "idle weight": (tiles * tile - columns) * inner,
    }
    if kind == "floats":
        return kind, found
    # of which kernels take some tiles faster than others, and values eight at a time
    return f"{kind} of {tile}", {**found, "value": -(-inner // 8) * 8}
