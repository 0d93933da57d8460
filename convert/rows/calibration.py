"""The rows that a quantized artifact is calibrated with: of every length, with many words.

Not the ranges that are observed on them, which is the exporters' work.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.runtime.data.spread import LENGTHS, even_parts, spread_rows

CALIBRATION_ROWS = 128
Array = NDArray[Any]


@dataclass(frozen=True)
class Calibration:
    """Rows, and what the manifest records of them.

    Args:
        rows: By graph input, [N, T] or [N, T, F].
        source: Where they come from.
        places: Of the rows, among those that they were chosen from.
        left_out_of: How many rows there were, where the others are judged and these are not.
    """

    rows: Mapping[str, Array]
    source: str
    places: tuple[int, ...] = ()
    left_out_of: int = 0

    @property
    def facts(self) -> dict[str, Any]:
        """Their number, source, digest and, of ids, how many different ones they hold."""
        digest = hashlib.sha256()
        for name, array in self.rows.items():
            digest.update(f"{name} {array.dtype} {array.shape}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        ids = [np.unique(array).size for array in self.rows.values() if array.dtype.kind == "i"]
        found: dict[str, Any] = {
            "rows": len(next(iter(self.rows.values()))),
            "source": self.source,
            "sha256": digest.hexdigest(),
        }
        if self.left_out_of:
            found["left_out_of"] = self.left_out_of
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
    lengths = real.sum(axis=1).tolist()
    if first.dtype.kind == "i":
        places = spread_rows(first.tolist(), lengths, count=count)
    else:
        wanted = -(-count // LENGTHS)
        found = [row for p in even_parts(lengths) for row in _most_extreme(first, p, wanted)]
        places = sorted(found[:count])
    chosen = np.array(places, np.intp)
    return Calibration({n: array[chosen] for n, array in rows.items()}, source, tuple(places))


def _most_extreme(features: Array, part: Sequence[int], wanted: int) -> list[int]:
    """Choose the rows with the largest magnitudes, and others evenly between them."""
    largest = np.abs(features[part]).reshape(len(part), -1).max(axis=1, initial=0.0)
    order = [part[place] for place in np.argsort(-largest, kind="stable")]
    half = order[: wanted // 2]
    rest = order[wanted // 2 :]
    step = max(1, len(rest) // max(wanted - len(half), 1))
    return [*half, *rest[::step][: wanted - len(half)]]
