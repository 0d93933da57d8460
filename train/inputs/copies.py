"""Rows without copies: a copy in the test part is no test.

Not the copies of texts, which `gatelet.runtime.data.dataset.deduplicate` knows.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gatelet.errors import DataError
from gatelet.runtime.data import dataset
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset

if TYPE_CHECKING:
    from numpy.typing import NDArray


def without_copies(
    rows: Dataset | Arrays, parts: "NDArray[Any] | None", *, labelled: bool
) -> tuple[Dataset | Arrays, list[int] | None, dict[str, int]]:
    """Keep one row of each content, and none of what contradicts itself.

    Args:
        rows: Texts or features.
        parts: Of features whose parts time decides, the part of each row; -1 drops it.
        labelled: The answers are labels: one content with two of them says nothing.

    Returns:
        The rows in their order, the part of each as `parts` has it, and how many were dropped, by
        reason.

    Raises:
        DataError: No row is left.
    """
    if isinstance(rows, Dataset):
        kept, dropped = dataset.deduplicate(rows)
        return kept, None, asdict(dropped) | dict(rows.left_out)
    places, found = _distinct(rows, labelled=labelled)
    if parts is not None:
        inside = [row for row in places if parts[row] >= 0]
        found["between two parts"] = len(places) - len(inside)
        places = inside
    if not places:
        raise DataError(
            f"'{rows.name}': no row is left of {len(rows):,} "
            f"({', '.join(f'{count:,} {why}' for why, count in found.items())})",
            path=rows.name,
        )
    numbers = None if parts is None else [int(parts[row]) for row in places]
    return rows.rows(places), numbers, found


def row_keys(rows: Arrays) -> Iterator[bytes]:
    """Return the content of each row: 0 and -0 are the same."""
    import numpy as np

    (x,) = rows.inputs
    for row in x:
        yield np.ascontiguousarray(row + np.float32(0)).tobytes()


def _distinct(rows: Arrays, *, labelled: bool) -> tuple[list[int], dict[str, int]]:
    import hashlib

    keys = [hashlib.blake2b(key, digest_size=16).digest() for key in row_keys(rows)]
    answers: Sequence[Any] = [()] * len(rows)
    if rows.targets is not None and labelled:
        answers = [one.tobytes() for one in rows.targets]
    first: dict[bytes, Any] = {}
    against = {
        key for key, one in zip(keys, answers, strict=True) if first.setdefault(key, one) != one
    }
    seen: set[bytes] = set()
    places = []
    for row, key in enumerate(keys):
        if key not in seen and key not in against:
            places.append(row)
        seen.add(key)
    contradictory = sum(key in against for key in keys)
    duplicates = len(rows) - len(places) - contradictory
    return places, {"duplicates": duplicates, "contradictory": contradictory}
