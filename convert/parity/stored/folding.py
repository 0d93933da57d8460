"""What TensorFlow's converter multiplies and adds into the weights of a neighbouring product.

Not the reading of a file: this computes from the Graph what a product then stores.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from gatelet.convert.parity.stored.file import Array
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.operations import RECURRENCES

_ROUNDING = 8 * float(np.finfo(np.float32).eps)
_STAYS = ("MergeTime", "SplitTime")
_VECTORS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "Affine": (("scale", "scale"), ("shift", "shift")),
    "LayerNormalization": (("scale", "gamma"), ("shift", "beta")),
}

_Constants = tuple[tuple[str, float], ...]
_AROUND: Mapping[str, tuple[_Constants, _Constants]] = {
    "hard_sigmoid": ((("shift", 3.0),), (("scale", 1 / 6),)),
    "hard_sigmoid_keras2": ((("scale", 0.2), ("shift", 0.5)), ()),
    "selu": ((), (("scale", 1.0507009873554805),)),
    "sparse_plus": ((("shift", 1.0),), ()),
    "sparse_sigmoid": ((("shift", 1.0), ("scale", 0.5)), ()),
    "squareplus": ((), (("scale", 0.5),)),
}
"""By name: the constants that an activation of built-in operators begins and ends with."""


@dataclass(frozen=True)
class Step:
    """A product with, or a sum with, a constant.

    Args:
        kind: 'scale' or 'shift'.
        by: A number, or one for each element of the last axis.
        weight: Of the Graph; '' where it is no weight.
    """

    kind: str
    by: Array
    weight: str = ""


@dataclass(frozen=True)
class Folded:
    """Steps that went into a product.

    Args:
        before: Those of its input, in order.
        after: Those of its output.
        scaled_before: The factors of its input went into the product in front of it instead.
        gives_bias: Its own bias went into the product behind it.
    """

    before: tuple[Step, ...] = ()
    after: tuple[Step, ...] = ()
    scaled_before: bool = False
    gives_bias: bool = False

    @property
    def weights(self) -> frozenset[str]:
        """The Graph's weights among them."""
        before = [s for s in self.before if s.kind == "shift" or not self.scaled_before]
        return frozenset(one.weight for one in (*before, *self.after) if one.weight)

    @property
    def settled(self) -> frozenset[str]:
        """The Graph's weights that no operator of their own reads."""
        return frozenset(one.weight for one in (*self.before, *self.after) if one.weight)

    def kernel(self, kernel: Array) -> Array:
        """Return what a kernel [..., F, U] becomes."""
        before = np.ones(1) if self.scaled_before else _composed(self.before)[0]
        return before[..., None] * kernel * _composed(self.after)[0]

    def bias(self, kernel: Array, bias: Array) -> Array:
        """Return what a bias becomes, or the row of it that goes with this kernel."""
        if self.gives_bias:
            return _with_row(bias, np.zeros_like(_row(bias)))
        scale, shift = _composed(self.after)
        first = (_spread(_composed(self.before)[1], kernel) + _row(bias)) * scale + shift
        return _with_row(bias, first)

    def kernel_before(self, stored: Array, kernel: Array) -> Array:
        """Return the kernel that gives a stored one; the Graph's where a factor is zero."""
        factor = self.kernel(np.ones_like(kernel))
        found = np.array(kernel)
        np.divide(stored, factor, out=found, where=factor != 0)
        return found

    def bias_before(self, stored: Array, kernel: Array, bias: Array) -> Array:
        """Return the bias that gives a stored one; the Graph's where a factor is zero."""
        if self.gives_bias:
            return bias
        own = _row(bias)
        scale, shift = (np.broadcast_to(one, own.shape) for one in _composed(self.after))
        found = np.array(own)
        np.divide(_row(stored) - shift, scale, out=found, where=scale != 0)
        found -= np.where(scale != 0, _spread(_composed(self.before)[1], kernel), 0.0)
        return _with_row(stored, found)

    def rounding(self, kernel: Array, bias: Array) -> tuple[Array, Array]:
        """Return how far the folded kernel and bias may be off where float32 computed them."""
        if not self.before and not self.after:
            return np.zeros_like(kernel), np.zeros_like(bias)
        same, one = (
            replace(self, before=_absolute(self.before), after=_absolute(self.after)),
            _ROUNDING,
        )
        sums = same.bias(np.abs(kernel), np.abs(bias)) * math.sqrt(kernel[..., 0].size)
        return one * same.kernel(np.abs(kernel)), one * sums


def foldings(graph: Graph, node: Node, *, gives_bias: bool) -> list[Folded]:
    """Return what may have gone into the weights of a product, the least first.

    Args:
        graph: The model.
        node: The product.
        gives_bias: Its own bias is known to have gone into the product behind it.
    """
    (before, is_behind_product), after = _before(graph, node), _after(graph, node)
    if gives_bias:
        after = tuple(one for one in after if one.kind == "scale")
    found = [
        Folded(before[len(before) - first :], after[:last], scaled_before, gives_bias)
        for first in range(len(before) + 1)
        for last in range(len(after) + 1)
        for scaled_before in ((False, True) if is_behind_product else (False,))
    ]
    return sorted(found, key=lambda one: len(one.before) + len(one.after))


def _row(bias: Array) -> Array:
    """Return the bias of the input's product: a GRU may have another, of the state's."""
    return bias[0] if bias.ndim == 2 else bias


def _with_row(bias: Array, row: Array) -> Array:
    return np.stack([row, *bias[1:]]) if bias.ndim == 2 else row


def _composed(steps: tuple[Step, ...]) -> tuple[Array, Array]:
    """Return the factor and the summand that steps come to."""
    scale, shift = np.ones(1), np.zeros(1)
    for one in steps:
        if one.kind == "scale":
            scale, shift = scale * one.by, shift * one.by
        else:
            shift = shift + one.by
    return scale, shift


def _absolute(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    return tuple(Step(one.kind, np.abs(one.by)) for one in steps)


def _spread(shift: Array, kernel: Array) -> Array:
    """Return shift @ kernel, of a convolution over its whole window."""
    return np.asarray((shift[..., None] * kernel).sum(axis=tuple(range(kernel.ndim - 1))))


def _before(graph: Graph, node: Node) -> tuple[tuple[Step, ...], bool]:
    """Return the steps in front of a product, and whether another product is in front of them."""
    if node.attributes.get("groups", 1) > 1:
        return (), False
    makers = {name: one for one in graph.nodes for name in one.outputs}
    found: list[Step] = []
    name, columns = node.inputs[0], graph.weights[node.weights["kernel"]].shape[-2]
    while (maker := makers.get(name)) is not None:
        steps, is_all = _steps_of(graph, maker, columns, last=True)
        found = [*steps, *found]
        if not is_all:
            return tuple(found), "kernel" in maker.weights and maker.op not in RECURRENCES
        name = maker.inputs[0]
    return tuple(found), False


def _after(graph: Graph, node: Node) -> tuple[Step, ...]:
    if node.op in RECURRENCES:
        return ()
    found: list[Step] = []
    name, columns = node.output, graph.weights[node.weights["kernel"]].shape[-1]
    while name not in graph.outputs:
        users = [one for one in graph.nodes if name in one.inputs]
        if len(users) != 1:
            break
        steps, is_all = _steps_of(graph, users[0], columns, last=False)
        found += steps
        if not is_all:
            break
        name = users[0].output
    return tuple(found)


def _steps_of(graph: Graph, node: Node, columns: int, *, last: bool) -> tuple[list[Step], bool]:
    """Return the steps that a node ends with, or begins with, and whether it is nothing else."""
    if node.op in _STAYS:
        return [], True
    if node.op in _VECTORS and (last or node.op == "Affine"):
        found = []
        for kind, role in _VECTORS[node.op]:
            if role in node.weights:
                by = array_of(graph.weights[node.weights[role]]).astype(np.float64).reshape(-1)
                if by.size not in (1, columns):
                    return [], False
                found.append(Step(kind, by, node.weights[role]))
        return found, node.op == "Affine"
    if node.op == "Activation":
        name = node.attributes["activation"]
        around = _AROUND.get(name, ((), ()))[1 if last else 0]
        return [Step(kind, np.full(1, by)) for kind, by in around], name == "linear"
    if last and "kernel" in node.weights and "bias" in node.weights:
        bias = node.weights["bias"]
        by = array_of(graph.weights[bias]).astype(np.float64)
        is_product = node.op not in RECURRENCES and by.shape == (columns,)
        return [Step("shift", by, bias)] if is_product else [], False
    if node.op == "Average" and last:
        return [Step("scale", np.full(1, 1 / len(node.inputs)))], False
    return [], False
