"""Rows without copies: a copy in the test part is no test.

Not the copies of texts, which `gatelet.runtime.data.dataset.deduplicate` knows.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gatelet.errors import DataError
from gatelet.runtime.data import dataset
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset
from gatelet.train.inputs.fragments import blocks_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def without_copies(
    rows: Dataset | Arrays, parts: "NDArray[Any] | None", *, labelled: bool
) -> "tuple[Dataset | Arrays, NDArray[Any] | None, dict[str, int]]":
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
        inside = places[parts[places] >= 0]
        found["between two parts"] = len(places) - len(inside)
        places = inside
    if not len(places):
        raise DataError(
            f"'{rows.name}': no row is left of {len(rows):,} "
            f"({', '.join(f'{count:,} {why}' for why, count in found.items())})",
            path=rows.name,
        )
    return rows.rows(places), None if parts is None else parts[places], found


def row_keys(rows: Arrays) -> Iterator[bytes]:
    """Return the content of each row: 0 and -0 are the same."""
    import numpy as np

    (x,) = rows.inputs
    for block in blocks_of(x):
        for row in block + np.float32(0):
            yield row.tobytes()


def _distinct(rows: Arrays, *, labelled: bool) -> "tuple[NDArray[np.intp], dict[str, int]]":
    """Return the places of the rows to keep, and how many others there are.

    Rows are told apart by 16 bytes each, sorted: ten million need half a gigabyte at most.
    """
    import numpy as np

    digests = bytearray()
    for key in row_keys(rows):
        digests += hashlib.blake2b(key, digest_size=16).digest()
    low, high = np.frombuffer(digests, np.uint64).reshape(-1, 2).T
    order = np.lexsort((high, low))  # which is stable: the first of its copies comes first
    is_first = np.ones(len(rows), bool)
    is_first[1:] = (np.diff(low[order]) != 0) | (np.diff(high[order]) != 0)
    begins = np.flatnonzero(is_first)
    kept = order[begins]
    contradictory = 0
    if rows.targets is not None and labelled and len(begins) < len(rows):
        copies = np.diff(np.append(begins, len(rows)))
        first = np.repeat(kept, copies)
        differs = (rows.targets[order] != rows.targets[first]).reshape(len(rows), -1).any(axis=1)
        against = np.logical_or.reduceat(differs, begins)
        kept, contradictory = kept[~against], int(copies[against].sum())
    duplicates = len(rows) - len(kept) - contradictory
    return np.sort(kept), {"duplicates": duplicates, "contradictory": contradictory}
