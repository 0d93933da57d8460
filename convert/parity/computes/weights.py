"""The weights of a Graph as a file has them, and as matrices that round what they multiply.

Not the table of forms (`table`), and not the run (`oracle`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from gatelet.convert.parity.computes.roundings import Array, Rounding
from gatelet.convert.parity.computes.table import (
    FLOAT,
    IMAGE,
    ROW,
    SEQUENCE,
    Facts,
    Form,
    facts_of,
    forms_of,
    parts_of,
    uses_of,
)
from gatelet.convert.parity.stored.match import StoredWeight
from gatelet.convert.schemes import Scheme
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.graph.graph import Graph

_SAME = 1e-6
_NEAR = 1e-3
"""How far a file may be from a form, relative to the weight, and still be taken for it."""
_LOOKED_UP = ("embeddings", "table")
_TIES = 0.01
"""The largest share of weights that may lie halfway between two numbers of the file."""


@dataclass(frozen=True)
class Part:
    """Columns of a weight that are stored together, in float64 as the file has them."""

    columns: slice
    values: Array
    form: Form


@dataclass(frozen=True)
class Matrix:
    """A weight: its parts, and the look that each takes at what is multiplied with it.

    Args:
        parts: By columns.
        before: What another engine might have in the place of x; None for x itself.
    """

    parts: tuple[Part, ...]
    before: Rounding | None = None

    __array_ufunc__ = None  # so that NumPy leaves x @ Matrix to this class

    @property
    def values(self) -> Array:
        """All columns."""
        return np.concatenate([part.values for part in self.parts], axis=-1)

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the weight."""
        return self.values.shape

    def __getitem__(self, which: tuple[slice, slice]) -> "Matrix":
        """Return the parts that lie within some columns; a part of one is cut off."""
        first, end, _ = which[1].indices(self.shape[-1])
        kept = []
        for part in self.parts:
            low, high = max(part.columns.start, first), min(part.columns.stop, end)
            if low < high:
                at = slice(low - part.columns.start, high - part.columns.start)
                kept.append(Part(slice(low - first, high - first), part.values[..., at], part.form))
        return Matrix(tuple(kept), self.before)

    def __rmatmul__(self, x: Array) -> Array:
        made = []
        for part in self.parts:
            taken = x
            if part.form.taken is not None and part.form.span != SEQUENCE:
                taken = part.form.taken(x if self.before is None else self.before(x))
            made.append(taken.astype(x.dtype, copy=False) @ part.values.astype(x.dtype, copy=False))
        return made[0] if len(made) == 1 else np.concatenate(made, axis=-1)

    @property
    def rounds(self) -> bool:
        """Whether it rounds what it is multiplied with."""
        return any(part.form.taken is not None for part in self.parts)

    @property
    def over_sequence(self) -> Rounding | None:
        """What rounds all timesteps of an input together."""
        form = self.parts[0].form
        return form.taken if form.span == SEQUENCE else None

    def over_images(self, x: Array) -> Array:
        """Round each of the images [B, ..., C] that share a scale; others stay as they are."""
        form = self.parts[0].form
        if form.span != IMAGE or form.taken is None:
            return x
        taken = x if self.before is None else self.before(x)
        rows = form.taken(taken.reshape(len(x), -1))
        return rows.reshape(x.shape).astype(x.dtype, copy=False)

    @property
    def spans_images(self) -> bool:
        """Whether the numbers of an image share a scale."""
        return self.rounds and self.parts[0].form.span == IMAGE

    @property
    def spans_call(self) -> bool:
        """Whether rows of a call share a scale, so that they are to be run alone."""
        alone = (ROW, IMAGE)
        return any(
            part.form.taken is not None and part.form.span not in alone for part in self.parts
        )


@dataclass(frozen=True)
class Plan:
    """A Graph with what a scheme makes of its weights.

    Args:
        graph: The model.
        facts: What is known of its values.
        weights: By node and role.
    """

    graph: Graph
    facts: Facts
    weights: Mapping[str, Mapping[str, Matrix]]

    def disturbed(self, seed: int) -> "Plan":
        """Return the same with weights that are off by up to two units of float32.

        Rows of tables are exact, or what rounds them would go the other way now and then.
        """
        rng = np.random.default_rng(seed)

        def moved(part: Part) -> Part:
            if part.values.dtype.kind != "f":
                return part
            units = rng.integers(-2, 3, part.values.shape) * 2.0**-24
            return replace(part, values=part.values * (1 + units))

        return replace(
            self,
            weights={
                node: {
                    role: one
                    if role in _LOOKED_UP
                    else replace(one, parts=tuple(map(moved, one.parts)))
                    for role, one in roles.items()
                }
                for node, roles in self.weights.items()
            },
        )

    @property
    def spans_call(self) -> bool:
        """Whether rows of a call share a scale."""
        return any(one.spans_call for roles in self.weights.values() for one in roles.values())

    @property
    def rounds(self) -> bool:
        """Whether anything is rounded but weights."""
        return any(one.rounds for roles in self.weights.values() for one in roles.values())


def plan_of(
    graph: Graph, target: str, scheme: Scheme, *, engine: str, stored: Sequence[StoredWeight] | None
) -> Plan:
    """Work out what a scheme makes of a Graph's weights.

    Args:
        graph: The model.
        target: The target, 'onnx' for onnx-text too.
        scheme: The scheme.
        engine: The kernels that compute: 'xnnpack' or 'builtin' of litert; '' elsewhere.
        stored: What the file was found to hold; None where it could not be looked into.
    """
    facts = facts_of(graph, target, scheme)
    in_file = {one.weight: one for one in stored or ()}
    weights = {}
    for node in graph.nodes:
        found = {}
        for role, use in uses_of(graph, node, target, scheme, facts).items():
            name = node.weights[role]
            whole = array_of(graph.weights[name])
            parts = []
            for columns, part in parts_of(use):
                own = in_file.get(name)
                had = None if own is None or own.found is None else own.found[..., columns]
                made = _part(columns, whole[..., columns], forms_of(target, engine, part), had)
                if had is not None and own is not None and own.is_folded:
                    made = replace(made, values=had)
                parts.append(made)
            found[role] = Matrix(tuple(parts))
        weights[node.name] = found
    return Plan(graph, facts, weights)


def _part(columns: slice, weight: Array, forms: Sequence[Form], had: Array | None) -> Part:
    """Choose the form that a file has a weight in: that of the rule, where it has none of them.

    A number halfway between two of the file may have become either: there the file is believed.
    """
    if weight.dtype.kind != "f":
        return Part(columns, weight, FLOAT)
    made = [form.stored(weight).astype(np.float64) for form in forms]
    if had is None or not weight.any() or not np.isfinite(had).all():
        return Part(columns, made[0], forms[0])
    size = float(np.sqrt(np.mean(np.square(weight.astype(np.float64)))))
    far = [_distance(had, one, weight) / size for one in made]
    best = int(np.argmin(far))
    if far[best] > _NEAR:
        return Part(columns, made[0], forms[0])
    is_tie = _ties(had, made[best], weight)
    return Part(columns, np.where(is_tie, had, made[best]), forms[best])


def _ties(had: Array, made: Array, weight: Array) -> Array:
    apart = np.abs(had - made)
    is_other = apart > _SAME * (float(np.abs(weight).max()) or 1.0)
    both_near = np.abs(np.abs(had - weight) - np.abs(made - weight)) <= _NEAR * apart
    return np.asarray(is_other & both_near)


def _distance(had: Array, made: Array, weight: Array) -> float:
    """Return the root of the mean squared difference, leaving a few ties out."""
    is_tie = _ties(had, made, weight)
    off = np.where(is_tie, 0.0, had - made) if is_tie.mean() <= _TIES else had - made
    return float(np.sqrt(np.mean(np.square(off))))
