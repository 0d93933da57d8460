"""Which rows of data are no copies of others, and which belong together. Standard library only.

Nothing is guessed: rows that are nearly alike are as many as they are.
"""

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

from gatelet.errors import DataError


@dataclass(frozen=True)
class Distinct:
    """Rows that count where a figure is an estimate.

    Args:
        places: Of the first of each distinct row, in the order of the rows.
        groups: The group of each of these, numbered from 0; None where each stands for itself.
    """

    places: tuple[int, ...]
    groups: tuple[int, ...] | None = None


def distinct_of(keys: Iterable[Hashable], groups: Sequence[Hashable] | None = None) -> Distinct:
    """Tell copies from other rows.

    Args:
        keys: Of N rows, equal where a model is given the same.
        groups: What somebody says which rows belong together by, [N].

    Raises:
        DataError: There are not as many groups as rows.
    """
    first: dict[Hashable, int] = {}
    rows = 0
    for rows, key in enumerate(keys, 1):
        first.setdefault(key, rows - 1)
    places = tuple(first.values())
    if groups is None:
        return Distinct(places)
    if len(groups) != rows:
        raise DataError(f"there are {len(groups):,} groups for {rows:,} rows: give one for each")
    numbers: dict[Hashable, int] = {}
    return Distinct(places, tuple(numbers.setdefault(groups[p], len(numbers)) for p in places))
