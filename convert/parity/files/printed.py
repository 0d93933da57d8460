"""What the example of a C artifact prints of a text, and whether it did.

Not its running, which `c_files` does.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from gatelet.runtime.bundle.decisions import Decision

Printed = list[tuple[str, float]]
"""In order: a label, or '', and a number behind it."""


def printed_of(row: Sequence[float], decisions: Sequence[Decision], *, outputs: int) -> Printed:
    """Return what the example prints of one text.

    Args:
        row: The model's own scores, those of all its outputs.
        decisions: Of the bundle.
        outputs: How many outputs the model has: of several all scores are printed.
    """
    rule = next((one for one in decisions if not one.steps), None)
    if rule is None or outputs > 1:
        return [("", float(one)) for one in row]
    meant = rule.scores_of(list(row))
    named = rule.by_label(meant)
    return [(rule.labels[at], named[rule.labels[at]]) for at in rule.chosen(meant)]


def are_printed(said: str, texts: Sequence[str], rows: Sequence[Printed], *, most: float) -> bool:
    """Report whether an example said of each text its row, each number within `most`."""
    try:
        found = np.array(list(_numbers(said, texts, rows)))
    except ValueError:
        return False
    expected: NDArray[np.float64] = np.array([number for row in rows for _, number in row])
    return bool((np.abs(found - expected) <= most).all())


def _numbers(said: str, texts: Sequence[str], rows: Sequence[Printed]) -> Iterator[float]:
    """Yield the numbers.

    Raises:
        ValueError: Something else stands there.
    """
    for text, row in zip(texts, rows, strict=True):
        for label, _ in row:
            said = _behind(said, f"{label} " if label else "")
            number, _, said = said.partition(" ")
            yield float(number)
        said = _behind(said, f" {text}\n")


def _behind(said: str, start: str) -> str:
    if not said.startswith(start):
        raise ValueError(start)
    return said.removeprefix(start)
