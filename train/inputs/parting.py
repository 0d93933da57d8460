"""The parts of rows that belong together: no group is in two parts.

Not the parts of rows that stand for themselves, texts (`gatelet.runtime.data.dataset.split`).
"""

from collections import Counter
from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING

from gatelet.errors import DataError
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import place_of
from gatelet.train.inputs.copies import row_keys

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FRACTIONS = (0.8, 0.1, 0.1)
PARTS = ("train", "validation", "test")
_TRAIN, _VALIDATION, _TEST = range(3)
_ORDERS = 200
_LOOKS = 2_000_000
"""Groups that are looked at in all orders."""


def part_of(key: bytes) -> int:
    """Return the part of what has that key: see `place_of`."""
    place = place_of(key)
    return _TRAIN if place < FRACTIONS[0] else _VALIDATION if place < sum(FRACTIONS[:2]) else _TEST


def part_arrays(rows: Arrays) -> "NDArray[np.int8]":
    """Part rows by a hash of what a model is given: a row's part never depends on the others."""
    import numpy as np

    return np.fromiter(map(part_of, row_keys(rows)), np.int8, len(rows))


def part_groups(
    groups: Sequence[Hashable], labels: Sequence[Iterable[int]], *, names: Sequence[str], name: str
) -> list[int]:
    """Part rows by a hash of their groups, so that every part has all that the groups allow.

    A group's part depends on the others only where a part would have no group, or would lack a
    label: of a label in three groups or more each part has one, of two groups training and test.

    Args:
        groups: Of N rows.
        labels: The labels of each row, as numbers.
        names: Of the labels.
        name: Of the data, for messages.

    Returns:
        The part of each row, 0 for train, 1 for validation, 2 for test.

    Raises:
        DataError: There are fewer groups than parts, or a label that cannot be learned.
    """
    held: dict[Hashable, set[int]] = {}
    for group, some in zip(groups, labels, strict=True):
        held.setdefault(group, set()).update(some)
    if len(held) < len(PARTS):
        raise DataError(
            f"'{name}' has {len(held)} {'group' if len(held) == 1 else 'groups'}, and "
            f"{len(PARTS)} are needed, as no group is in two of the parts {', '.join(PARTS)}: "
            "add groups, or leave --group out",
            path=name,
            groups=len(held),
        )
    counts = Counter(one for some in held.values() for one in some)
    for number in range(min(_ORDERS, max(1, _LOOKS // len(held)))):
        parts = _ordered(list(held), number)
        _mend(parts, held, counts)
        lacking = _lacks(parts, held, counts)
        if not lacking:
            return [parts[group] for group in groups]
    part, label = lacking[0]
    assert label is not None  # three groups or more always give each part one
    raise DataError(
        f"'{name}' has the label '{names[label]}' in {counts[label]} of {len(held)} groups, and no "
        f"way to part them gives it to the {PARTS[part]} part, whose other labels need it too: add "
        "groups with that label",
        path=name,
        label=names[label],
    )


def _ordered(groups: Sequence[Hashable], number: int) -> dict[Hashable, int]:
    """Part groups by their hashes alone; in further orders by their ranks: no part is empty."""
    if number == 0:
        return {group: part_of(_key(group)) for group in groups}
    order = sorted(groups, key=lambda one: place_of(f"{number} ".encode() + _key(one)))
    few = max(1, round(FRACTIONS[_TEST] * len(order)))
    parts = [_TEST] * few + [_VALIDATION] * few + [_TRAIN] * len(order)
    return dict(zip(order, parts, strict=False))


def _key(group: Hashable) -> bytes:
    return str(group).encode("utf-8", "surrogatepass")


def _needed(part: int, count: int) -> bool:
    """Return whether a part needs a label of so many groups."""
    return part == _TRAIN or count > 2 or (count == 2 and part == _TEST)


def _lacks(
    parts: dict[Hashable, int], held: dict[Hashable, set[int]], counts: dict[int, int]
) -> list[tuple[int, int | None]]:
    """Return what parts lack: a label, or None for any group at all."""
    found: list[tuple[int, int | None]] = []
    for part in (_TRAIN, _TEST, _VALIDATION):
        mine = [held[group] for group, at in parts.items() if at == part]
        has = set().union(*mine)
        found += [] if mine else [(part, None)]
        found += [
            (part, one) for one in sorted(counts) if one not in has and _needed(part, counts[one])
        ]
    return found


def _mend(
    parts: dict[Hashable, int], held: dict[Hashable, set[int]], counts: dict[int, int]
) -> None:
    """Move groups to parts that lack something, as long as that leaves fewer lacks."""
    while lacking := _lacks(parts, held, counts):
        moves = (
            (group, part)
            for part, label in lacking
            for group in sorted(held, key=lambda one: place_of(_key(one)))
            if parts[group] != part and (label is None or label in held[group])
        )
        better = next(
            (one for one in moves if len(_lacks(_moved(parts, one), held, counts)) < len(lacking)),
            None,
        )
        if better is None:
            return
        parts.update((better,))


def _moved(parts: dict[Hashable, int], move: tuple[Hashable, int]) -> dict[Hashable, int]:
    return {**parts, move[0]: move[1]}
