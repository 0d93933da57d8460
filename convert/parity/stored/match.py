"""Compares the weights that an artifact's file stores with the Graph's, tensor by tensor.

A kernel that was stored in another gate order, a bias that was lost, a scale that is off: they
show here, before anything runs. Not the reading of files, which is `readers`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.report import Check
from gatelet.convert.parity.stored.file import Stored, StoredFile
from gatelet.convert.parity.stored.forms import Places, forms_of
from gatelet.convert.parity.stored.readers import READERS
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.graph.graph import Graph, Node

HALF_STEP = 0.501
"""Half a step, and the rounding of the division by it."""

_ABOUT_AS_NEAR = 1.1
"""How much farther another tensor may be and still be looked at."""

_MOST_AXES = 4
_RECOGNISED = 0.5
"""Relative error below which a tensor is taken for the weight, whatever its place."""

_ALWAYS_STORED = ("kernel", "recurrent_kernel", "embeddings", "bias")
_SAME_VALUES = 0.1
_SMALL = 8
"""Fewer numbers than this may be found anywhere."""

_WITH_SECTIONS = ("c",)
"""Targets whose artifacts say where each weight lies."""

FOLDED = (
    "Affine",
    "Average",
    "AveragePooling1D",
    "AveragePooling2D",
    "GlobalAveragePooling1D",
    "LayerNormalization",
    "Multiply",
    "ReduceMean",
)
"""TensorFlow's converter multiplies the constants of these into the weights of a neighbour."""

Array = NDArray[Any]


@dataclass(frozen=True)
class StoredWeight:
    """A weight of the Graph as a file has it.

    Args:
        node: That uses it.
        role: In that node.
        weight: Its name in the Graph.
        found: As the file has it, in the Graph's layout; None where it was not found.
        steps_off: The largest difference, in steps of the type that it is stored in.
    """

    node: Node
    role: str
    weight: str
    found: Array | None
    steps_off: float = 0.0

    @property
    def where(self) -> str:
        """The layer and the role, for people."""
        return f"{self.role} of layer '{self.node.source or self.node.name}'"


def check_weights(
    target: str, weights: Sequence[StoredWeight] | None, *, is_of_today: bool = True
) -> Check:
    """Check that floats are the same, and integers within half a step.

    Args:
        target: Of the artifact.
        weights: What `match_weights` returned; None where the file could not be looked into.
        is_of_today: Whether today's exporter made it: another may store in forms that are not
            known here. It does not matter where the artifact says itself where its weights lie.
    """
    if weights is None:
        note = f"this file of the target {target} is not looked into here"
        if target in _WITH_SECTIONS:
            note = "the manifest has no table of sections for this file: an older gatelet wrote it"
        return Check("weights", None, HALF_STEP, "not checked", unit="steps", note=note)
    found = [one for one in weights if one.found is not None]
    left = [one.where for one in weights if one.found is None]
    note = f"{len(found)} of {len(weights)} tensors"
    if left:
        note += f"; not checked, not found in the file: {', '.join(left[:3])}"
        note += f" and {len(left) - 3} more" if len(left) > 3 else ""
    if not found:
        return Check("weights", None, HALF_STEP, "not checked", unit="steps", note=note)
    worst = max(found, key=lambda one: one.steps_off)
    if worst.steps_off <= HALF_STEP:
        return Check("weights", worst.steps_off, HALF_STEP, "pass", unit="steps", note=note)
    wrong = [one.where for one in found if one.steps_off > HALF_STEP]
    note = f"{', '.join(wrong[:3])}; {note}"
    if not is_of_today and target not in _WITH_SECTIONS:
        note = f"of another revision, which may store in another form: {note}"
        return Check("weights", None, HALF_STEP, "not checked", unit="steps", note=note)
    return Check("weights", worst.steps_off, HALF_STEP, "fail", unit="steps", note=note)


@np.errstate(all="ignore")  # a damaged file may hold any numbers
def match_weights(target: str, file: StoredFile) -> tuple[StoredWeight, ...] | None:
    """Find each weight of a Graph in a file.

    Args:
        target: Of the file.
        file: The file, and the Graph that it was made from.

    Returns:
        Every weight but those of zeros only, which a converter may leave out; None where no
        reader knows the target, what it needs is not installed, or another version made the file.
    """
    reader = READERS.get(target)
    if reader is None:
        return None
    try:
        stored = reader(file)
    except ImportError:
        return None
    if stored is None:
        return None
    graph = file.graph
    match = _as_told if target in _WITH_SECTIONS else _match
    found = []
    seen = set()
    for node in graph.nodes:
        for role, name in node.weights.items():
            array = array_of(graph.weights[name])
            if name in seen or array.dtype.kind != "f" or not array.any():
                continue
            seen.add(name)
            matched = match(StoredWeight(node, role, name, None), target, array, stored)
            if matched.steps_off > HALF_STEP and _may_be_folded(target, graph, node):
                matched = StoredWeight(node, role, name, None)
            found.append(matched)
    return tuple(found)


def _as_told(
    asked: StoredWeight, target: str, weight: Array, stored: Sequence[Stored]
) -> StoredWeight:
    """Take the tensors that a file's table says are a weight, whatever they hold.

    Those whose steps are so wide that other numbers would be as near are not taken for it.
    """
    flat = np.append(weight.reshape(-1).astype(np.float64), 0.0)
    rebuilt, is_told, steps = flat[:-1].copy(), np.zeros(weight.size, bool), 0.0
    for one in stored:
        if one.name != asked.weight or one.places is None:
            continue
        values, places = one.values.reshape(-1).astype(np.float64), one.places.reshape(-1)
        steps = max(steps, _steps_off(one, values, flat[places]))
        real = places >= 0
        rebuilt[places[real]], is_told[places[real]] = values[real], True
    is_near = is_told.all() and _distance(rebuilt, flat[:-1]) <= _RECOGNISED
    if steps <= HALF_STEP and not is_near:  # a part that is wrong is a fault without the others
        return asked
    return replace(asked, found=rebuilt.reshape(weight.shape), steps_off=steps)


def _match(
    asked: StoredWeight, target: str, weight: Array, stored: Sequence[Stored]
) -> StoredWeight:
    """Take the form, and the tensors, that come nearest to a weight."""
    best: tuple[float, Array, float, bool] | None = None
    role = asked.role
    for operator, parts in forms_of(target, asked.node.op, role, weight.shape):
        own = [one for one in stored if one.operator == operator]
        matched = [_nearest(weight, part, own) for part in parts]
        if not all(matched):
            continue
        distance = max(one.distance for one in matched if one)
        if best is not None and distance >= best[0]:
            continue
        rebuilt = np.zeros(weight.size)
        for one in filter(None, matched):
            real = one.places >= 0
            rebuilt[one.places[real]] = one.values[real]
        steps = max(one.steps_off for one in matched if one)
        integers = any(one.integers for one in matched if one)
        best = (distance, rebuilt.reshape(weight.shape), steps, integers)
    if best is None or (best[0] > _RECOGNISED and not _is_meant(role, weight, best[1], best[3])):
        return asked
    return replace(asked, found=best[1], steps_off=best[2])


def _is_meant(role: str, weight: Array, found: Array, integers: bool) -> bool:
    """Return whether a tensor of the right size is this weight even where it looks like another.

    Of integers, the scales may have been misread: then the values are others, not only elsewhere.
    """
    if role not in _ALWAYS_STORED or weight.size < _SMALL:
        return False
    if not integers:
        return True
    apart = np.sort(found.reshape(-1)) - np.sort(weight.reshape(-1).astype(np.float64))
    return float((apart**2).mean()) <= (_SAME_VALUES**2) * float((weight**2).mean())


def _may_be_folded(target: str, graph: Graph, node: Node) -> bool:
    """Return whether a neighbour's constants may have gone into this node's weights."""
    beside = [
        other.op
        for other in graph.nodes
        if set(other.outputs) & set(node.inputs) or set(node.outputs) & set(other.inputs)
    ]
    return target == "litert" and not set(beside).isdisjoint(FOLDED)


@dataclass(frozen=True)
class _Near:
    places: Places
    values: Array
    distance: float
    steps_off: float
    integers: bool


def _distance(values: Array, wanted: Array) -> float:
    """Return the root of the mean squared difference, relative to that of what is wanted."""
    scale = float(np.sqrt((wanted**2).mean())) or 1.0
    return float(np.sqrt(((values - wanted) ** 2).mean())) / scale


def _nearest(weight: Array, part: Places, among: Sequence[Stored]) -> _Near | None:
    flat = np.append(weight.reshape(-1).astype(np.float64), 0.0)
    squeezed = part.reshape([size for size in part.shape if size != 1] or [1])
    orders = permutations(range(squeezed.ndim)) if squeezed.ndim <= _MOST_AXES else []
    turned = [squeezed.transpose(order) for order in orders]
    best: _Near | None = None
    for stored in (one for one in among if one.values.size == part.size):
        shape = tuple(size for size in stored.values.shape if size != 1) or (1,)
        for places in turned:
            if places.shape != shape:
                continue
            wanted = flat[places.reshape(-1)]
            values = stored.values.reshape(-1).astype(np.float64)
            distance = _distance(values, wanted)
            if best is not None and distance >= _ABOUT_AS_NEAR * best.distance:
                continue
            steps = _steps_off(stored, values, wanted)
            # of two scales that fit, one that explains every value is the right one
            rank = (steps > HALF_STEP, distance)
            if best is None or rank < (best.steps_off > HALF_STEP, best.distance):
                integers = stored.steps is not None
                best = _Near(places.reshape(-1), values, distance, steps, integers)
                if distance == 0:
                    return best
    return best


def _steps_off(stored: Stored, values: Array, wanted: Array) -> float:
    """Return the largest difference in steps; floats that are not the very same are a step off."""
    if stored.steps is not None:
        apart, steps = wanted - values, stored.steps.reshape(-1)
        # a scale of 0 holds zeros only
        off = np.where(apart == 0, 0.0, np.copysign(np.inf, apart))
        np.divide(apart, steps, out=off, where=steps != 0)
        if stored.cut_off is not None:
            off = np.where(off * stored.cut_off.reshape(-1) > 0, 0.0, off)
        return float(np.nan_to_num(np.abs(off), nan=np.inf).max())
    exact = wanted.astype(stored.values.dtype).astype(np.float64)
    if np.array_equal(values, exact):
        return 0.0
    largest = float(np.abs(wanted).max()) or 1.0
    step = largest * float(np.finfo(stored.values.dtype).eps)
    return max(1.0, float(np.abs(values - exact).max() / step))
