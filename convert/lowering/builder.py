"""What lowering functions build a Graph with: values, generated names, weights.

Not a lowering of any layer.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.reading.source import SourceLayer, SourceModel
from gatelet.convert.reading.versions import is_multi_backend, parse_version
from gatelet.runtime.graph.graph import Graph, GraphInput, Node, Shape
from gatelet.runtime.graph.operations import MOVES, OPERATIONS, check_node
from gatelet.runtime.graph.safetensors import Tensor


@dataclass(frozen=True)
class Value:
    """A tensor in the Graph under construction.

    Args:
        name: Its generated name.
        shape: Its shape; None where the input decides.
        mask: The value (bool [B, T]) that masks its timesteps, if any.
    """

    name: str
    shape: Shape
    mask: str | None = None


def keep_mask(made: Value, source: Value) -> Value:
    """Copy to a value the mask of what it was made from."""
    return replace(made, mask=source.mask)


class TimeMustBeKnown(Exception):
    """A layer needs the number of timesteps, which was left open: lowering starts again.

    Args:
        layer: Which.
    """

    def __init__(self, layer: SourceLayer) -> None:
        super().__init__(
            f"layer '{layer.name}' ({layer.class_name}) needs to know every size but the batch's"
        )


@dataclass
class GraphBuilder:
    """Collects nodes and weights while a model is lowered.

    Args:
        keras_version: The version whose semantics count.
        lower_layer: Lowers a layer inside another, such as that of TimeDistributed.
        lower_calls: Lowers the layers of a nested model.
        mask_is_given: Whether the call that is being lowered names its mask as an argument.
    """

    keras_version: str
    lower_layer: "Callable[[SourceLayer, list[Value], GraphBuilder], list[Value]]"
    lower_calls: "Callable[[SourceModel, Sequence[Value], GraphBuilder], list[Value]]"
    inputs: list[GraphInput] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    weights: dict[str, Tensor] = field(default_factory=dict)
    stored: dict[int, tuple[NDArray[Any], str]] = field(default_factory=dict)
    derived: dict[tuple[int, str], tuple[SourceLayer, NDArray[Any]]] = field(default_factory=dict)
    id_masks: dict[str, str] = field(default_factory=dict)
    mask_is_given: bool = False

    @property
    def keras_major(self) -> int:
        """The major version of the Keras that wrote the model; 3 if it does not tell."""
        return self._version[0]

    @property
    def ors_masks(self) -> bool:
        """Whether merging layers join masks by or (Keras 3.4 and later)."""
        return self._version >= (3, 4)

    @property
    def keeps_named_masks(self) -> bool:
        """Whether a mask named as an argument becomes the output's too (Keras 3.11 and later)."""
        return self._version >= (3, 11)

    @property
    def is_multi_backend(self) -> bool:
        """Whether this is Keras before it became part of TensorFlow: 1.x, or 2.0 to 2.3."""
        return is_multi_backend(self.keras_version)

    @property
    def _version(self) -> tuple[int, int]:
        return parse_version(self.keras_version)

    def add(
        self,
        op: str,
        inputs: Sequence[Value],
        *,
        shape: Shape,
        source: SourceLayer,
        weights: Mapping[str, NDArray[Any]] | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> Value:
        """Append a node with one output; see `add_many`.

        Returns:
            The output, without a mask: give it one with `dataclasses.replace`.
        """
        (made,) = self.add_many(
            op, inputs, shapes=(shape,), source=source, weights=weights, attributes=attributes
        )
        return made

    def add_many(
        self,
        op: str,
        inputs: Sequence[Value],
        *,
        shapes: Sequence[Shape],
        source: SourceLayer,
        weights: Mapping[str, NDArray[Any]] | None = None,
        attributes: Mapping[str, Any] | None = None,
    ) -> list[Value]:
        """Append a node.

        Args:
            op: The operation's name in the Graph; see docs/graph.md.
            inputs: What it takes; an operation that honours a mask gets that of the first.
            shapes: Of its outputs.
            source: The layer it comes from.
            weights: Arrays by role; stored as float32, and once where a layer is shared.
            attributes: Settings, in Keras' words.

        Returns:
            The outputs, without masks.
        """
        name = f"n{len(self.nodes)}_{op.lower()}"
        outputs = tuple(name if i == 0 else f"{name}_{i}" for i in range(len(shapes)))
        node = Node(
            name=name,
            op=op,
            inputs=tuple(value.name for value in inputs),
            outputs=outputs,
            shapes=tuple(shapes),
            weights={
                role: self._store(f"{name}.{role}", array)
                for role, array in (weights or {}).items()
            },
            attributes=dict(attributes or {}),
            mask=inputs[0].mask if OPERATIONS[op].masked else None,
            source=source.name,
        )
        check_node(node)
        self.nodes.append(node)
        return [Value(output, shape) for output, shape in zip(outputs, shapes, strict=True)]

    def _store(self, name: str, array: NDArray[Any]) -> str:
        known = self.stored.get(id(array))
        if known is not None:
            return known[1]
        data = np.ascontiguousarray(array, dtype="<f4")
        self.weights[name] = Tensor("F32", data.shape, data.tobytes())
        # the array is kept too: an id is unique only while its object lives
        self.stored[id(array)] = (array, name)
        return name

    def derive(
        self, layer: SourceLayer, role: str, make: Callable[[], NDArray[Any]]
    ) -> NDArray[Any]:
        """Compute a weight from those of a layer, and once where the layer is shared."""
        # a layer with a changed configuration has the weights of the one it was made from
        key = (id(layer.weights) if layer.weights else id(layer), role)
        if key not in self.derived:
            # the layer is kept too: an id is unique only while its object lives
            self.derived[key] = (layer, make())
        return self.derived[key][1]

    def mask_ids(self, ids: Value, *, source: SourceLayer) -> str:
        """Return the mask of the ids that are not 0, one node however often it is asked for."""
        if ids.name not in self.id_masks:
            made = self.add("MaskIds", [ids], shape=ids.shape, source=source)
            self.id_masks[ids.name] = made.name
        return self.id_masks[ids.name]

    def limit_ids(self, value: Value, vocabulary: int) -> None:
        """Note that ids must be below `vocabulary`, at the graph input that they come from."""
        name = value.name
        for node in reversed(self.nodes):
            if name in node.outputs and OPERATIONS[node.op].gives == MOVES:
                name = node.inputs[0]
        for index, one in enumerate(self.inputs):
            if one.name == name:
                limit = min(vocabulary, one.vocabulary or vocabulary)
                self.inputs[index] = replace(one, vocabulary=limit)

    def finish(self, outputs: list[Value]) -> Graph:
        """Return the Graph, without what none of its outputs needs."""
        needed = {value.name for value in outputs}
        nodes: list[Node] = []
        for node in reversed(self.nodes):
            if needed.intersection(node.outputs):
                nodes.append(node)
                needed.update(node.inputs, (node.mask,) if node.mask else ())
        used = {name for node in nodes for name in node.weights.values()}
        return Graph(
            inputs=tuple(self.inputs),
            nodes=tuple(reversed(nodes)),
            outputs=tuple(value.name for value in outputs),
            weights={name: array for name, array in self.weights.items() if name in used},
        )
