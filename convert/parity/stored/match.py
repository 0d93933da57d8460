"""Compares the weights that an artifact's file stores with the Graph's, tensor by tensor.

A kernel that was stored in another gate order, a bias that was lost, a scale that is off: they
show here, before anything runs. Not the reading of files, which is `readers`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.gates.operators import ALIGNMENT_BYTES, read_litert_facts
from gatelet.convert.parity.report import Check
from gatelet.convert.parity.stored.compared import Compared, compare, distance, steps_off
from gatelet.convert.parity.stored.file import Stored, StoredFile
from gatelet.convert.parity.stored.folding import Folded, foldings
from gatelet.convert.parity.stored.program import Program
from gatelet.convert.parity.stored.readers import READERS
from gatelet.convert.parity.stored.readings import Reading, Readings, does_nothing
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.graph.graph import Graph, Node

HALF_STEP = 0.501
"""Half a step, and the rounding of the division by it."""

_RECOGNISED = 0.5
"""Relative error below which tensors are taken for the weight that a table says they are."""

FLATBUFFER = ".tflite"
"""Of files whose weights engines read where they lie."""

_ADDED = ("bias", "shift", "beta")
"""Roles of weights that are added: where nothing is, they are zero in the file."""

_FOLDING = ("litert",)
"""Targets whose converter puts constants into the weights of a neighbour."""

_WITH_SECTIONS = ("c",)
"""Targets whose artifacts say where each weight lies."""

Array = NDArray[Any]
_Seen = tuple[Folded, Compared, Compared]
"""A way of folding, with the kernel and the bias compared with what they then are."""


@dataclass(frozen=True)
class StoredWeight:
    """A weight of the Graph as a file has it.

    Args:
        node: That uses it.
        role: In that node.
        weight: Its name in the Graph.
        found: As the file has it, in the Graph's layout; None where it was not found.
        steps_off: The largest difference, in steps of the type that it is stored in.
        is_folded: The file has it only as a part of a product: its rounding is that one's.
    """

    node: Node
    role: str
    weight: str
    found: Array | None
    steps_off: float = 0.0
    is_folded: bool = False

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


def check_stored(
    target: str, weights: Sequence[StoredWeight] | None, path: Path, *, is_of_today: bool
) -> Check:
    """Check with `check_weights` what the weights are, and before that where they lie.

    Args:
        target: Of the artifact.
        weights: What `match_weights` returned.
        path: The file, of which another engine or processor may read the weights in place.
        is_of_today: As in `check_weights`.
    """
    is_mapped = path.suffix == FLATBUFFER
    found = read_litert_facts(path.read_bytes()).alignment_bytes if is_mapped else ALIGNMENT_BYTES
    if found < ALIGNMENT_BYTES:
        note = f"buffers lie at multiples of {found} bytes, where the format asks for 16"
        return Check("weights", float(found), ALIGNMENT_BYTES, "fail", unit="bytes", note=note)
    return check_weights(target, weights, is_of_today=is_of_today)


@np.errstate(all="ignore")  # a damaged file may hold any numbers
def match_weights(target: str, file: StoredFile) -> tuple[StoredWeight, ...] | None:
    """Find each weight of a Graph in a file.

    Args:
        target: Of the file.
        file: The file, and the Graph that it was made from.

    Returns:
        Every weight but those that a converter left out, since they do nothing; None where no
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
    asked = [
        (StoredWeight(node, role, name, None), array_of(file.graph.weights[name]))
        for node in file.graph.nodes
        for role, name in node.weights.items()
    ]
    asked = [(one, array) for one, array in asked if array.dtype.kind == "f" and array.any()]
    if isinstance(stored, Program):
        comparison = _Comparison(target, stored, file.graph)
        found = [comparison.compare(one) for one, _ in asked]
    else:
        found = [_as_told(one, array, stored) for one, array in asked]
    uses: dict[str, list[StoredWeight]] = {}
    for one in found:
        if one.found is not None or not does_nothing(
            one.role, array_of(file.graph.weights[one.weight])
        ):
            uses.setdefault(one.weight, []).append(one)
    return tuple(_worst(ones) for ones in uses.values())


def _worst(uses: Sequence[StoredWeight]) -> StoredWeight:
    """Return what is found for a weight that several nodes use: a wrong one, or one not found."""
    worst = max(uses, key=lambda one: one.steps_off)
    unread = [one for one in uses if one.found is None]
    return unread[0] if unread and worst.steps_off <= HALF_STEP else worst


def _as_told(asked: StoredWeight, weight: Array, stored: Sequence[Stored]) -> StoredWeight:
    """Take the tensors that a file's table says are a weight, whatever they hold.

    Those whose steps are so wide that other numbers would be as near are not taken for it.
    """
    flat = np.append(weight.reshape(-1).astype(np.float64), 0.0)
    rebuilt, is_told, steps = flat[:-1].copy(), np.zeros(weight.size, bool), 0.0
    near = _RECOGNISED
    for one in stored:
        if one.name != asked.weight or one.places is None:
            continue
        values, places = one.values.reshape(-1).astype(np.float64), one.places.reshape(-1)
        steps = max(steps, steps_off(one, flat[places]))
        near = 1.0 if one.is_of_signs else near  # of which the scales were compared
        real = places >= 0
        rebuilt[places[real]], is_told[places[real]] = values[real], True
    is_near = is_told.all() and distance(rebuilt, flat[:-1]) <= near
    if steps <= HALF_STEP and not is_near:  # a part that is wrong is a fault without the others
        return asked
    return replace(asked, found=rebuilt.reshape(weight.shape), steps_off=steps)


class _Comparison:
    """Compares what the operators of a file read with the weights of a Graph.

    Args:
        target: Of the file.
        program: What it runs.
        graph: What it was made from.
    """

    def __init__(self, target: str, program: Program, graph: Graph) -> None:
        self._graph = graph
        self._readings = Readings(target, program, graph)
        self._folded: dict[tuple[str, str], Compared] = {}
        if target in _FOLDING:  # what went into a product is read by no operator of its own
            for node in reversed(graph.nodes):
                if "kernel" in node.weights:
                    self._look_for_folding(node)

    def compare(self, asked: StoredWeight) -> StoredWeight:
        """Compare a weight with what is read for it."""
        node, role, weight = asked.node, asked.role, self._weight(asked.weight)
        found = self._folded.get((node.name, role))
        if found is not None:
            return replace(asked, found=found.values, steps_off=found.steps_off, is_folded=True)
        parts = self._readings.of(node, role, weight)
        if not parts and not (role in _ADDED and self._readings.has_others(node, role)):
            return asked
        found = compare(parts, weight)  # without a part, nothing is added
        return replace(asked, found=found.values, steps_off=found.steps_off)

    def _whole(self, seen: Sequence[_Seen], most: Folded) -> list[_Seen]:
        """Return the ways in which operators read what did not go into the product."""
        return [one for one in seen if self._are_read(most.settled - one[0].settled)]

    def _are_read(self, names: frozenset[str]) -> bool:
        """Return whether operators read weights of normalisations beside a product."""
        return all(
            self._readings.of(node, role, self._weight(name))
            or does_nothing(role, self._weight(name))
            for node in self._graph.nodes
            for role, name in node.weights.items()
            if name in names and not ("kernel" in node.weights or (node.name, role) in self._folded)
        )

    def _weight(self, name: str) -> Array:
        return array_of(self._graph.weights[name]).astype(np.float64)

    def _look_for_folding(self, node: Node) -> None:
        """Compare a product's weights with each way in which constants may have gone into it."""
        kernel = self._weight(node.weights["kernel"])
        own = self._weight(node.weights["bias"]) if "bias" in node.weights else None
        bias = np.zeros(kernel.shape[-1]) if own is None else own
        parts = self._readings.of(node, "kernel", kernel)
        added = self._readings.of(node, "bias", bias, fused=own is None)
        gone = self._folded.get((node.name, "bias")) is not None
        ways = foldings(self._graph, node, gives_bias=gone) if parts else []
        if len(ways) < 2 and not gone:
            return
        seen = [(way, *_compare_folded(way, (parts, added), kernel, bias)) for way in ways]
        good = [one for one in seen if max(one[1].steps_off, one[2].steps_off) <= HALF_STEP]
        whole = self._whole(good, ways[-1]) or self._whole(seen, ways[-1]) or seen
        nearest = min(whole, key=lambda one: one[1].distance + one[2].distance)
        is_good = [one for one in whole if max(one[1].steps_off, one[2].steps_off) <= HALF_STEP]
        way, of_kernel, of_bias = is_good[0] if is_good else nearest
        if way == Folded():
            return
        found = way.kernel_before(of_kernel.values, kernel)
        self._folded[node.name, "kernel"] = replace(of_kernel, values=found)
        found = way.bias_before(of_bias.values, found, bias)
        self._folded[node.name, "bias"] = replace(of_bias, values=found)
        for user in self._graph.nodes:
            for role, name in user.weights.items():
                if name in way.weights:
                    # without a bias of its own, all that a product adds is the neighbour's
                    off = of_bias.steps_off if own is None and role in _ADDED else 0.0
                    self._folded[user.name, role] = Compared(self._weight(name), off, 0.0)


def _compare_folded(
    way: Folded, read: tuple[Sequence[Reading], Sequence[Reading]], kernel: Array, bias: Array
) -> tuple[Compared, Compared]:
    """Compare a product's kernel and bias with what they become by folding."""
    rounding = way.rounding(kernel, bias)
    return (
        compare(read[0], way.kernel(kernel), rounding=rounding[0]),
        compare(read[1], way.bias(kernel, bias), rounding=rounding[1]),
    )
