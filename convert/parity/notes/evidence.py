"""What is to be said of rows as evidence: copies, inputs that never change, and rows all equal.

Not the choice of what counts, which is `gatelet.convert.rows.evidence`'s.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from gatelet.convert.parity.report import Check
from gatelet.convert.rows.evidence import Array, Evidence
from gatelet.convert.rows.rows import Rows

FEW_COPIES = 0.05
"""Ordinary texts hold a few copies: this share of them is not told."""

_NAMED = 4
"""How many features are named that never change."""


class Judged(Protocol):
    """Rows that artifacts are judged on: an oracle's, or those that Keras alone answers."""

    @property
    def inputs(self) -> Rows:
        """As the model takes them."""

    @property
    def evidence(self) -> Evidence:
        """Which of them count."""

    @property
    def made_up(self) -> bool:
        """Whether nobody gave them."""


def check_evidence(oracle: Judged) -> tuple[Check, ...]:
    """Leave rows undecided that are all equal: a model that ignores its input passes on them.

    Args:
        oracle: The judged rows; made-up ones are an estimate anyway.

    Returns:
        () where there are two different rows or more.
    """
    evidence = oracle.evidence
    if oracle.made_up or len(evidence.kept) > 1:
        return ()
    are = f"all {evidence.rows:,} rows are equal" if evidence.copies else "there is one row only"
    note = f"{are}, which shows nothing of others: give more with --data"
    return (Check("rows", 1.0, None, "undecided", "distinct rows", note=note),)


def notes_on_evidence(oracle: Judged) -> tuple[str, ...]:
    """Return a sentence on copies, on groups, and on each input that is the same in all rows."""
    evidence = oracle.evidence
    if oracle.made_up:
        return ()
    found = []
    if evidence.copies > FEW_COPIES * evidence.rows:
        are = "is" if len(evidence.kept) == 1 else "are"
        found.append(
            f"of {evidence.rows:,} rows {len(evidence.kept):,} {are} distinct: copies count once"
        )
    if evidence.groups is not None:
        groups = "1 group" if evidence.units == 1 else f"{evidence.units:,} groups"
        found.append(f"the rows are of {groups}: intervals are of groups, not of rows")
    if len(evidence.kept) > 1:
        for name, array in oracle.inputs.feed.items():
            found += _constant(name, array[evidence.kept])
    return tuple(found)


def _constant(name: str, array: Array) -> list[str]:
    """Say which input, or features of it, are the same in all rows."""
    if array.dtype == object or len(array) < 2:
        return []
    same = (array == array[0]).all(axis=0)
    if same.all():
        return [f"the input '{name}' is the same in all rows: they show nothing of it"]
    if array.dtype.kind != "f":
        return []
    places = np.flatnonzero(same.all(axis=tuple(range(same.ndim - 1))))
    if not len(places):
        return []
    return [f"{_features(places.tolist())} of '{name}' never changes from row to row"]


def _features(places: Sequence[int]) -> str:
    named = ", ".join(str(place + 1) for place in places[:_NAMED])
    more = f" and {len(places) - _NAMED} more" if len(places) > _NAMED else ""
    return f"feature{'s' * (len(places) > 1)} {named}{more}"
