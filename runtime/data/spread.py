"""Chooses few rows that show much: of every length, with as many different ids as they can have.

Not the reading of rows, and not what they are for: calibration of integers.
"""

from collections.abc import Collection, Sequence
from itertools import pairwise

LENGTHS = 8
CANDIDATES = 512
"""Of each length: to look at more rows costs time and finds few more ids."""


def spread_rows(ids: Sequence[Collection[int]], lengths: Sequence[int], *, count: int) -> list[int]:
    """Choose rows: as many of each length, and of a length those that add the most new ids.

    Args:
        ids: Those of each row.
        lengths: How many real timesteps each row has.
        count: How many to choose, at most.

    Returns:
        Their places, in order.
    """
    chosen: list[int] = []
    seen: set[int] = set()
    for part in even_parts(lengths):
        step = max(1, len(part) // CANDIDATES)
        left = {row: set(ids[row]) for row in part[::step]}
        for _ in range(min(-(-count // LENGTHS), len(left))):
            row = max(left, key=lambda one: len(left[one] - seen))
            seen |= left.pop(row)
            chosen.append(row)
    return sorted(chosen[:count])


def even_parts(lengths: Sequence[int]) -> list[list[int]]:
    """Return the places of rows, the shortest rows first, in LENGTHS parts of about one size."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    parts = min(LENGTHS, max(len(order), 1))
    cuts = [len(order) * part // parts for part in range(parts + 1)]
    return [order[start:end] for start, end in pairwise(cuts)]
