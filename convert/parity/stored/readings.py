"""Finds what a file's operators read where the Graph has a weight.

Not the comparison of the two, which is `match`, and not what each target reads: see `forms`.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from gatelet.convert.parity.stored.file import Array, Stored
from gatelet.convert.parity.stored.forms import LOOKUP, Part, Places, ways_to_store
from gatelet.convert.parity.stored.program import Operator, Program
from gatelet.convert.parity.stored.scopes import behind_in, input_of
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.operations import RECURRENCES


@dataclass(frozen=True)
class Reading:
    """A part of a weight, with what is read for it.

    Args:
        places: For each element of what is read its place in the weight; -1 for zero.
        stored: What each operator that needs this part reads; none where no operator does.
    """

    places: Places
    stored: tuple[Stored, ...]


_FACTORS = ("scale", "gamma")
"""Roles of weights that are multiplied with."""


def does_nothing(role: str, weight: Array) -> bool:
    """Return whether a converter may leave a weight out: zeros, or factors of one."""
    return not weight.any() or (role in _FACTORS and bool((weight == 1).all()))


class Readings:
    """Finds readings; an operator that names do not tell from others is found once.

    Args:
        target: Of the file.
        program: What it runs.
        graph: What it was made from.
    """

    def __init__(self, target: str, program: Program, graph: Graph) -> None:
        self._target, self._program = target, program
        self._behind = behind_in(graph)
        self._taken: set[str] = set()
        self._read: set[tuple[str, str]] = set()
        self._seen: dict[tuple[str, str], list[Reading]] = {}

    def has_others(self, node: Node, role: str) -> bool:
        """Return whether another weight of a node is read where this one could be."""
        return any((node.name, one) in self._read for one in node.weights if one != role)

    def of(self, node: Node, role: str, weight: Array, *, fused: bool = False) -> list[Reading]:
        """Return the parts of a weight that operators read; none where no form fits.

        Args:
            node: That uses it.
            role: In that node.
            weight: The Graph's.
            fused: Only what the node's own operator reads.
        """
        if (node.name, role) in self._seen:
            return self._seen[node.name, role]
        found = self._look(node, role, weight, fused=fused)
        if role != "embeddings":  # which are large, and asked for once
            self._seen[node.name, role] = found
        if found:
            self._read.add((node.name, role))
        return found

    def _look(self, node: Node, role: str, weight: Array, *, fused: bool) -> list[Reading]:
        places = np.arange(weight.size).reshape(weight.shape)
        is_zero = np.append(weight.reshape(-1) == 0, True)
        for way in ways_to_store(self._target, node.op, role):
            if fused and any(part.after for part in way):
                continue
            found = []
            for part in way:
                try:
                    wanted = part.form(places)
                except (IndexError, ValueError):  # the form of a weight of another rank
                    break
                is_one = does_nothing(role, weight) and bool(weight.any())
                stored = tuple(self._stored(node, part, wanted, is_one=is_one))
                # what is zero altogether may be left out
                if not stored and not is_zero[wanted.reshape(-1)].all():
                    break
                found.append(Reading(wanted, stored))
            else:
                if any(one.stored for one in found):
                    return found
        return []

    def _stored(
        self, node: Node, part: Part, places: Places, *, is_one: bool = False
    ) -> Iterator[Stored]:
        if part.kinds == (LOOKUP,):
            tables = [table for one, table in self._program.lookups if one.scope == node.name]
            beside = self._program.beside.items()
            tables += [table for name, table in beside if name.startswith(f"{node.name}_")]
            yield from (table for table in tables if _fits(table, places))
            return
        for one in self._operators(node, part):
            stored = self._program.constant(one, part.place)
            if stored is None or not _fits(stored, places):
                continue
            if part.after and is_one and (stored.values != 1).any():
                continue  # the converter left the factor of one out: this is another's
            yield stored
            if part.after:
                self._taken.update(one.outputs)
                return

    def _operators(self, node: Node, part: Part) -> Iterator[Operator]:
        """Return the operators that a part may be read by."""
        kind = [
            one
            for one in self._program.live
            if one.kind in part.kinds and bool(one.loop) == part.inside
        ]
        if part.after:
            behind = self._behind[node.output]
            if node.op in RECURRENCES:
                behind = frozenset((input_of(node.name),))
            free = (one for one in kind if not one.scope and self._taken.isdisjoint(one.outputs))
            yield from (one for one in free if one.behind == behind)
            return
        own = [one for one in kind if one.scope == node.name]
        if part.which is None:
            yield from own
            return
        for copy in sorted({one.copy for one in own}):
            same = [one for one in own if one.copy == copy]
            yield from same[part.which :][:1]


def _fits(stored: Stored, places: Places) -> bool:
    """Return whether a constant has the shape, but for axes of the size 1."""
    return [n for n in stored.values.shape if n != 1] == [n for n in places.shape if n != 1]
