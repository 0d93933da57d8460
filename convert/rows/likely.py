"""What a model's inputs are likely to be fed, told from the model itself: ranges, one-hot, padding.

Not the drawing, which is in `gatelet.convert.rows.drawn`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.reading.source import SourceLayer, SourceModel
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.graph.graph import Graph, GraphInput, Node
from gatelet.runtime.graph.operations import RECURRENCES, VECTOR_RECURRENCES

NORMAL, ONE_HOT, STATE = "normal", "one-hot", "state"
_KEEPS = ("ApplyMask", "MergeTime", "SplitTime")
_BOUNDED = ("tanh", "sigmoid", "softsign", "hard_sigmoid", "hard_sigmoid_keras2", "hard_tanh")
_FEW_CLASSES = 8
_MANY_CLASSES = 32
_UNITS_A_CLASS = 4

Array = NDArray[Any]


@dataclass(frozen=True)
class Likely:
    """What one input of features is likely to be fed.

    Args:
        kind: 'normal', numbers around `mean`; 'one-hot', a single 1 a timestep; 'state', between
            -1 and 1.
        mean: Broadcast over a row.
        deviation: Likewise.
        padding: What stands where there is no real timestep, likewise.
    """

    kind: str = NORMAL
    mean: Array | float = 0.0
    deviation: Array | float = 1.0
    padding: Array | float = 0.0

    def to_json(self) -> dict[str, Any]:
        """Return what the manifest records."""
        numbers = {"mean": self.mean, "deviation": self.deviation, "padding": self.padding}
        return {"kind": self.kind, **{n: np.asarray(one).tolist() for n, one in numbers.items()}}


def likely_inputs(model: SourceModel, graph: Graph) -> dict[str, Likely]:
    """Tell what the inputs of a model are likely to be fed, as far as the model tells.

    Args:
        model: As read.
        graph: What it was lowered to.

    Returns:
        By graph input; those of which the model tells nothing, and ids, are left out.
    """
    layers = {layer.name: layer for layer in _leaves(model)}
    found = {}
    for one, declared in zip(graph.inputs, model.inputs, strict=True):
        if one.dtype == "float32":
            is_open = len(declared.shape) > 1 and declared.shape[1] is None
            told = _likely(one, graph, layers, is_open=is_open)
            if told is not None:
                found[one.name] = told
    return found


def read_likely(manifest: Mapping[str, Any]) -> dict[str, Likely]:
    """Return what a manifest records; an entry of another form than gatelet writes is left out."""
    provenance = manifest.get("provenance")
    entries = provenance.get("inputs") if isinstance(provenance, Mapping) else None
    found = {}
    for name, entry in (entries if isinstance(entries, Mapping) else {}).items():
        try:
            numbers = [np.asarray(entry[key], float) for key in ("mean", "deviation", "padding")]
            found[str(name)] = Likely(str(entry["kind"]), *numbers)
        except (KeyError, TypeError, ValueError):
            continue
    return found


def _likely(
    one: GraphInput, graph: Graph, layers: Mapping[str, SourceLayer], *, is_open: bool
) -> Likely | None:
    if _is_state(one, graph):
        return Likely(STATE)
    path = list(_path(one.name, graph))
    affines: list[tuple[Array, Array]] = []
    masked: Array | float | None = None
    for node in path:
        if node.op == "MaskFeatures":
            masked = _inverse(affines, float(node.attributes["mask_value"]))
        if node.op != "Affine":
            continue
        scale, shift = (_weight(graph, node, role) for role in ("scale", "shift"))
        source = layers.get(node.source)
        if source is not None and source.class_name.startswith("BatchNormalization"):
            mean, variance = (array.reshape(scale.shape) for array in source.weights[-2:])
            return _around(affines, mean, np.sqrt(variance.astype(np.float64)), masked)
        affines.append((scale, shift))
    if affines or masked:
        return _around(affines, 0.0, 1.0, masked)
    readers = [node for node in graph.nodes if one.name in node.inputs[:1]]
    return Likely(ONE_HOT) if _is_one_hot(one, graph, readers, is_open=is_open) else None


def _around(
    affines: list[tuple[Array, Array]],
    mean: Array | float,
    deviation: Array | float,
    masked: Array | float | None,
) -> Likely:
    """Carry a mean and a deviation back to where a row is fed."""
    centre = _inverse(affines, mean)
    spread = np.abs(np.asarray(_inverse(affines, np.add(mean, deviation))) - centre)
    return Likely(NORMAL, centre, spread, centre if masked is None else masked)


def _inverse(affines: list[tuple[Array, Array]], value: Array | float) -> Array | float:
    """Undo x * scale + shift, the last one first; a scale of 0 tells nothing of x."""
    for scale, shift in reversed(affines):
        told = scale != 0
        value = np.where(told, (value - shift) / np.where(told, scale, 1), 0.0)
    return value


def _path(name: str, graph: Graph) -> Iterator[Node]:
    """Follow an input through the nodes that normalise or mask it."""
    seen = {name}
    for node in graph.nodes:
        if node.inputs[0] in seen and node.op in (*_KEEPS, "Affine", "MaskFeatures"):
            yield node
            if node.op != "MaskFeatures":
                seen = {node.output}


def _is_state(one: GraphInput, graph: Graph) -> bool:
    """Return whether an input is the output of a bounded recurrence's step before."""
    return any(
        node.op in RECURRENCES
        and node.inputs[1:2] == (one.name,)
        and node.attributes.get("activation") in _BOUNDED
        for node in graph.nodes
    )


def _is_one_hot(one: GraphInput, graph: Graph, readers: list[Node], *, is_open: bool) -> bool:
    """Return whether an input is as wide as a vocabulary.

    It is where the model's own choice among as many classes is fed back to it; and where
    sequences of any length have far more features than the recurrence that reads them has units,
    or its states are all that the model gives, as in an encoder.
    """
    if len(one.shape) != 3 or not readers or any(n.op not in VECTOR_RECURRENCES for n in readers):
        return False
    width = one.shape[2] or 0
    made = {output: node for node in graph.nodes for output in node.outputs}
    last = [made[name] for name in graph.outputs if name in made]
    chosen = [n.shape[-1] for n in last if n.attributes.get("activation") == "softmax"]
    if width >= _FEW_CLASSES and width in chosen:
        return True
    if not is_open or width < _MANY_CLASSES:
        return False
    units = max(node.shape[-1] or 0 for node in readers)
    gives_states = all(node in readers and node.attributes.get("return_state") for node in last)
    return gives_states or units * _UNITS_A_CLASS <= width


def _weight(graph: Graph, node: Node, role: str) -> Array:
    return array_of(graph.weights[node.weights[role]]).astype(np.float64)


def _leaves(model: SourceModel) -> Iterator[SourceLayer]:
    for layer in model.layers.values():
        yield from _inside(layer)


def _inside(layer: SourceLayer) -> Iterator[SourceLayer]:
    yield layer
    for part in layer.parts.values():
        if isinstance(part, SourceModel):
            yield from _leaves(part)
        else:
            yield from _inside(part)
