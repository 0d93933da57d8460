"""Sizes that the caller decides, as C text: in the function that runs, and in its header.

Not shapes of the Graph, whose open sizes are None.
"""

from collections.abc import Iterable
from dataclasses import dataclass

LARGEST_SIZE = 1_048_576
"""Of those that the caller decides."""
MAX_RANK = 8
"""Sizes of a value, its rows among them."""
SCRATCH_FLOATS = 16
"""Pieces of scratch memory begin on multiples of it: whole lines of a cache."""
SMALL_FLOATS = 2
"""The same where memory counts more than speed: what is read at once."""


@dataclass(frozen=True)
class Size:
    """One dimension.

    Args:
        text: A C expression where the nodes run: a number or a variable.
        most: A C expression in the caller's sizes that is never smaller: for memory.
        number: Its value, where it is known.
    """

    text: str
    most: str
    number: int | None = None


def known(number: int) -> Size:
    """Return a size that is known at conversion."""
    return Size(str(number), str(number), number)


def elements(dims: Iterable[Size]) -> str:
    """Return the number of elements as a C expression of type size_t."""
    return _product([(size.text, size.number) for size in dims])


def largest_elements(dims: Iterable[Size]) -> str:
    """Return the most elements that there can be, as a C expression in the caller's sizes."""
    return _product([(size.most, size.number) for size in dims])


def _product(sizes: list[tuple[str, int | None]]) -> str:
    constant, factors = 1, []
    for text, number in sizes:
        if number is None:
            factors.append(f"(size_t)({text})")
        else:
            constant *= number
    if constant != 1 or not factors:
        factors.append(f"(size_t){constant}")
    return " * ".join(factors)
