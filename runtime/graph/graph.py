"""The Graph: the only intermediate representation, in terms that every exporter shares.

Not a file reader for Keras models (that is `gatelet.convert.reading`) and not an executor
(that is `gatelet.runtime.backends.reference`).

Letters in shapes: B batch, T timesteps, F features, U units, V vocabulary, C classes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from reprlib import repr as show

from gatelet.errors import ModelError
from gatelet.runtime.records import dataclass, field
from gatelet.runtime.strict_json import parse_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gatelet.runtime.graph.safetensors import Tensor

FORMAT_VERSION = 1
_FORMAT = "gatelet-graph"
_INPUT_DTYPES = ("int32", "float32")

UNREAD: Mapping[str, Tensor] = {}
"""The weights of a Graph whose weights were not read."""

Shape = tuple[int | None, ...]
"""Dimensions, outermost first; None is a size that the input decides (B, and T where it may)."""


@dataclass(frozen=True)
class GraphInput:
    """What the model takes.

    Args:
        name: The name of the value: 'ids' or 'features', numbered where there are several.
        dtype: 'int32' for token ids, 'float32' for features.
        shape: [B, T] for ids, [B, T, F] for features.
        vocabulary: V; ids are 0..V-1. None for features.
    """

    name: str
    dtype: str
    shape: Shape
    vocabulary: int | None = None

    def __post_init__(self) -> None:
        """Refuse what no input can be.

        Raises:
            ModelError: A field has a value that it cannot have.
        """
        where = f"graph input {show(self.name)}"
        _require(_is_name(self.name), where, "its name is no text")
        _require(self.dtype in _INPUT_DTYPES, where, f"its type is {show(self.dtype)}")
        _require(_is_shape(self.shape), where, f"its shape is {show(self.shape)}")
        if self.vocabulary is not None:
            ok = type(self.vocabulary) is int and self.vocabulary > 0 and self.dtype == "int32"
            _require(ok, where, f"its vocabulary is {show(self.vocabulary)}")


@dataclass(frozen=True)
class Node:
    """One operation.

    Args:
        name: Unique and generated; never the user's, which may hold any character.
        op: The operation; see the reference backend for the equation of each.
        inputs: Names of values: of graph inputs or of earlier nodes' outputs.
        outputs: Names of the values made, unique in the graph.
        shapes: The shape of each output.
        weights: The role of each weight ('kernel') and the name of its tensor.
        attributes: Settings of the operation, in Keras' words.
        mask: The value (bool [B, T]) that says which timesteps count, if any.
        source: The name of the Keras layer that this was lowered from.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    shapes: tuple[Shape, ...]
    weights: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    mask: str | None = None
    source: str = ""

    def __post_init__(self) -> None:
        """Refuse what no node can be.

        Raises:
            ModelError: A field has a value that it cannot have.
        """
        where = f"graph node {show(self.name)}"
        names = (self.name, self.op, *self.inputs, *self.outputs, *self.weights.values())
        _require(all(map(_is_name, names)), where, "a name in it is no text")
        _require(self.mask is None or _is_name(self.mask), where, "its mask is no text")
        _require(isinstance(self.source, str), where, "its source is no text")
        _require(all(map(_is_shape, self.shapes)), where, f"its shapes are {show(self.shapes)}")
        _require(
            len(self.outputs) == len(self.shapes) > 0, where, "it needs one shape for each output"
        )

    def check_made(self, shapes: Iterable[tuple[int, ...]]) -> None:
        """Refuse results of other shapes than the declared ones, which tell what a row costs.

        Raises:
            ModelError: One has.
        """
        for name, made, declared in zip(self.outputs, shapes, self.shapes, strict=True):
            fits = len(made) == len(declared) and all(
                size in (None, found) for size, found in zip(declared, made, strict=True)
            )
            if not fits:
                raise ModelError(
                    f"graph node '{self.name}' declares the shape {list(declared)} for '{name}' "
                    f"and makes {list(made)}: convert the model again"
                )

    @property
    def output(self) -> str:
        """The name of the first output."""
        return self.outputs[0]

    @property
    def shape(self) -> Shape:
        """The shape of the first output."""
        return self.shapes[0]


@dataclass(frozen=True)
class Graph:
    """A model: inputs, nodes in an order that can be run, outputs, and weights by name.

    Raises:
        ModelError: A node uses a value or weight that does not exist at its place.
    """

    inputs: tuple[GraphInput, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    weights: Mapping[str, Tensor]

    def __post_init__(self) -> None:
        known: set[str] = set()
        for value in self._values_in_order():
            if value in known:
                raise ModelError(f"graph: the value '{value}' is made twice")
            known.add(value)
        for output in self.outputs:
            if output not in known:
                raise ModelError(f"graph: the output '{output}' is made by no node")
        if not self.inputs or not self.outputs:
            raise ModelError("graph: it needs at least one input and one output")
        if self.weights is not UNREAD:
            self._check_tables()

    def _check_tables(self) -> None:
        """Refuse an input that takes ids for which a table has no row."""
        taken = {one.name: one.vocabulary for one in self.inputs}
        for node in self.nodes:
            ids = taken.get(node.inputs[0]) if node.op == "Embedding" and node.inputs else None
            rows = self.weights[node.weights["embeddings"]].shape[:1] if ids else ()
            if ids and rows and ids > rows[0]:
                raise ModelError(
                    f"graph: '{node.inputs[0]}' takes ids up to {ids - 1}, and the table of node "
                    f"'{node.name}' has {rows[0]} rows"
                )

    def _values_in_order(self) -> Iterator[str]:
        known = {one.name for one in self.inputs}
        yield from (one.name for one in self.inputs)
        for node in self.nodes:
            for value in (*node.inputs, *((node.mask,) if node.mask else ())):
                if value not in known:
                    raise ModelError(
                        f"graph: node '{node.name}' uses '{value}', which no earlier node makes"
                    )
            for role, tensor in node.weights.items():
                if tensor not in self.weights and self.weights is not UNREAD:
                    raise ModelError(
                        f"graph: node '{node.name}' needs the weight '{tensor}' ({role}), "
                        "which is missing"
                    )
            known.update(node.outputs)
            yield from node.outputs

    @property
    def parameters(self) -> int:
        """The number of weights' elements."""
        return sum(math.prod(tensor.shape) for tensor in self.weights.values())

    def shape_of(self, value: str) -> Shape:
        """Return the shape of a value.

        Raises:
            KeyError: There is no such value.
        """
        for one in self.inputs:
            if one.name == value:
                return one.shape
        for node in self.nodes:
            if value in node.outputs:
                return node.shapes[node.outputs.index(value)]
        raise KeyError(value)

    def to_json(self) -> str:
        """Return everything but the weights' values, as stable text."""
        return json.dumps(
            {
                "format": _FORMAT,
                "format_version": FORMAT_VERSION,
                "inputs": [
                    {
                        "name": one.name,
                        "dtype": one.dtype,
                        "shape": list(one.shape),
                        "vocabulary": one.vocabulary,
                    }
                    for one in self.inputs
                ],
                "nodes": [_node_to_dict(node) for node in self.nodes],
                "outputs": list(self.outputs),
            },
            indent=1,
        )


def graph_from_json(text: str | bytes, weights: Mapping[str, Tensor] | None, *, name: str) -> Graph:
    """Read what `Graph.to_json` wrote.

    Args:
        text: The JSON text; bytes are UTF-8.
        weights: The tensors that the nodes name; None where nobody will ask for them.
        name: What to call the file in messages.

    Raises:
        ModelError: The text is no graph, or a newer one than this gatelet knows.
    """
    try:
        found = parse_json(text)
    except ValueError as error:
        raise ModelError(f"'{name}' is no valid JSON: {error}") from error
    if not isinstance(found, dict) or found.get("format") != _FORMAT:
        raise ModelError(f"'{name}' is no gatelet graph: its 'format' is not '{_FORMAT}'")
    version = found.get("format_version")
    if type(version) is not int or version < 1:
        raise ModelError(
            f"'{name}' is damaged: its format_version is {show(version)}, expected an integer "
            "from 1"
        )
    if version > FORMAT_VERSION:
        raise ModelError(
            f"'{name}' has graph format {show(version)}, this gatelet reads up to "
            f"{FORMAT_VERSION}: update gatelet",
            found=version,
            known=FORMAT_VERSION,
        )
    try:
        return Graph(
            inputs=tuple(
                GraphInput(one["name"], one["dtype"], _tuple(one["shape"]), one["vocabulary"])
                for one in _tuple(found["inputs"])
            ),
            nodes=tuple(_node_from_dict(one) for one in _tuple(found["nodes"])),
            outputs=_tuple(found["outputs"]),
            weights=UNREAD if weights is None else weights,
        )
    except (KeyError, TypeError, ModelError) as error:
        what = f"{error} is missing" if isinstance(error, KeyError) else error
        raise ModelError(f"'{name}' is damaged: {what}") from error


def _node_to_dict(node: Node) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": node.name,
        "op": node.op,
        "inputs": list(node.inputs),
        "outputs": list(node.outputs),
        "shapes": [list(shape) for shape in node.shapes],
        "weights": dict(node.weights),
        "attributes": dict(node.attributes),
        "source": node.source,
    }
    if node.mask is not None:
        found["mask"] = node.mask
    return found


def _node_from_dict(found: dict[str, Any]) -> Node:
    return Node(
        name=found["name"],
        op=found["op"],
        inputs=_tuple(found["inputs"]),
        outputs=_tuple(found["outputs"]),
        shapes=tuple(_tuple(shape) for shape in _tuple(found["shapes"])),
        weights=_mapping(found["weights"]),
        attributes=_mapping(found["attributes"]),
        mask=found.get("mask"),
        source=found["source"],
    )


def _tuple(value: object) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise TypeError(f"it has {show(value)} where a list is expected")
    return tuple(value)


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise TypeError(f"it has {show(value)} where an object is expected")
    return value


def _require(holds: bool, where: str, problem: str) -> None:
    if not holds:
        raise ModelError(f"{where}: {problem}")


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_shape(value: object) -> bool:
    return isinstance(value, tuple) and all(
        size is None or (type(size) is int and size > 0) for size in value
    )
