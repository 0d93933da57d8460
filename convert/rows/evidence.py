"""Which of the judged rows are evidence: copies count once, and rows of a group belong together.

Not the choice of rows, and nothing is guessed: rows that are nearly alike are as many as they are.
"""

import hashlib
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.runtime.data.distinct import distinct_of

_ROWS_AT_ONCE = 1024

Array = NDArray[Any]
AnyGroups = Sequence[Any] | Array | None
"""What somebody says which rows belong together by, [N]; None where nobody does."""


@dataclass(frozen=True)
class Evidence:
    """What figures of confidence are measured on.

    Args:
        rows: How many there are, copies and all.
        kept: The places of the first of each distinct row, int [K].
        groups: The group of each of these, numbered from 0, int [K]; None where each stands for
            itself.
    """

    rows: int
    kept: Array
    groups: Array | None = None

    @property
    def units(self) -> int:
        """How many rows, or groups of them, are independent of each other."""
        return len(self.kept) if self.groups is None else int(self.groups.max(initial=-1)) + 1

    @property
    def copies(self) -> int:
        """How many rows are copies of others."""
        return self.rows - len(self.kept)

    def of(self, array: Array) -> Array:
        """Return what counts of an array of all rows, [K, ...]."""
        return array[self.kept] if self.copies else array

    def groups_of(self, counts: Sequence[int]) -> Array | None:
        """Return the group of each value, where each row that counts has some."""
        return None if self.groups is None else np.repeat(self.groups, counts)


def all_rows(rows: int) -> Evidence:
    """Return rows that all count: drawn ones, which nobody copied."""
    return Evidence(rows, np.arange(rows))


def evidence_of(inputs: Mapping[str, Array], groups: AnyGroups = None) -> Evidence:
    """Tell copies from other rows, by all that the model is given of them.

    Args:
        inputs: By graph input, [N, ...], as the model takes them: ids or features.
        groups: Which rows belong together.

    Raises:
        DataError: There are not as many groups as rows.
    """
    return evidence_of_keys(row_digests(inputs), groups)


def evidence_of_keys(keys: Sequence[Hashable], groups: AnyGroups = None) -> Evidence:
    """Tell copies from other rows by what stands for each; as `evidence_of`."""
    known = groups.tolist() if isinstance(groups, np.ndarray) else groups
    found = distinct_of(keys, known)
    numbers = None if found.groups is None else np.array(found.groups, np.int64)
    return Evidence(len(keys), np.array(found.places, np.intp), numbers)


def row_digests(inputs: Mapping[str, Array]) -> list[bytes]:
    """Return a digest of each row, equal where all inputs are; -0.0 is 0.0."""
    rows = len(next(iter(inputs.values())))
    found = []
    for start in range(0, rows, _ROWS_AT_ONCE):
        parts = [
            np.ascontiguousarray(a[start : start + _ROWS_AT_ONCE] + 0) for a in inputs.values()
        ]
        for row in range(len(parts[0])):
            digest = hashlib.blake2b(digest_size=16)
            for part in parts:
                digest.update(part[row].tobytes())
            found.append(digest.digest())
    return found
