"""The rows that a quantized artifact is calibrated with: of every length, with many words.

Not the ranges that are observed on them, which is the exporters' work.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CALIBRATION_ROWS", "Calibration", "choose_rows"]

CALIBRATION_ROWS = 128
_LENGTHS = 8
_CANDIDATES = 512
"""Of each length: to look at more rows costs time and finds few more words."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Calibration:
    """Rows, and what the manifest records of them.

    Args:
        rows: By graph input, [N, T] or [N, T, F].
        source: Where they come from.
    """

    rows: Mapping[str, Array]
    source: str

    @property
    def facts(self) -> dict[str, Any]:
        """Their number, source, digest and, of ids, how many different ones they hold."""
        digest = hashlib.sha256()
        for name, array in self.rows.items():
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        ids = [np.unique(array).size for array in self.rows.values() if array.dtype.kind == "i"]
        found = {
            "rows": len(next(iter(self.rows.values()))),
            "source": self.source,
            "sha256": digest.hexdigest(),
        }
        return {**found, "different_ids": sum(ids)} if ids else found


def choose_rows(
    rows: Mapping[str, Array], *, source: str, count: int = CALIBRATION_ROWS
) -> Calibration:
    """Choose rows: as many of each length, and of a length those that add the most new words.

    Args:
        rows: By graph input, ids [N, T] or features [N, T, F]; the first input decides.
        source: Where they come from.
        count: How many to choose, at most.

    Returns:
        The rows in their order in `rows`.
    """
    first = next(iter(rows.values()))
    real = first != 0 if first.ndim == 2 else (first != 0).reshape(*first.shape[:2], -1).any(axis=2)
    by_length = np.argsort(real.sum(axis=1), kind="stable")
    chosen: list[int] = []
    seen: set[float] = set()
    for part in np.array_split(by_length, min(_LENGTHS, max(len(first), 1))):
        wanted = -(-count // _LENGTHS)
        if first.dtype.kind == "i":
            chosen += _most_new(first, part, seen, wanted)
        else:
            chosen += _most_extreme(first, part, wanted)
    places = np.sort(np.array(chosen[:count], np.intp))
    return Calibration({name: array[places] for name, array in rows.items()}, source)


def _most_new(ids: Array, part: Array, seen: set[float], wanted: int) -> list[int]:
    """Choose rows one after the other, each time the one with the most ids not seen yet."""
    step = max(1, len(part) // _CANDIDATES)
    left = {int(row): set(ids[row].tolist()) for row in part[::step]}
    chosen: list[int] = []
    while left and len(chosen) < wanted:
        row = max(left, key=lambda one: len(left[one] - seen))
        seen |= left.pop(row)
        chosen.append(row)
    return chosen


def _most_extreme(features: Array, part: Array, wanted: int) -> list[int]:
    """Choose the rows with the largest magnitudes, and others evenly between them."""
    largest = np.abs(features[part]).reshape(len(part), -1).max(axis=1, initial=0.0)
    order: Sequence[int] = part[np.argsort(-largest, kind="stable")].tolist()
    half = order[: wanted // 2]
    rest = order[wanted // 2 :]
    step = max(1, len(rest) // max(wanted - len(half), 1))
    return [*half, *rest[::step][: wanted - len(half)]]
