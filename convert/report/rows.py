"""Which numbers each chart shows: one artifact's scores beside the oracle's.

Not the drawing, which is `gatelet.convert.report.charts`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.measured import Measured

Array = NDArray[Any]


@dataclass(frozen=True)
class Pair:
    """The scores of one artifact beside the oracle's, one number of one row each.

    Args:
        name: Target and scheme.
        expected: The oracle's, float64 [M], all finite.
        found: The artifact's, float64 [M], all finite.
        left_out: Numbers that are not finite on either side.
        note: Why there are none at all, if so.
    """

    name: str
    expected: Array
    found: Array
    left_out: int = 0
    note: str = ""


def pairs(measured: Measured) -> Iterator[Pair]:
    """Return the scores of each artifact that ran.

    Two scores of a row that sum to 1 say the same, so of two softmax outputs the second stands
    for both.
    """
    for (target, scheme), scores in measured.scores.items():
        name = f"{target} {scheme}"
        if scores.shape != measured.oracle.shape:
            note = (
                f"its scores have the shape {list(scores.shape)}, the oracle's "
                f"{list(measured.oracle.shape)}"
            )
            yield Pair(name, np.empty(0), np.empty(0), note=note)
            continue
        expected, found = (_telling(one.astype(np.float64)) for one in (measured.oracle, scores))
        finite = np.isfinite(expected) & np.isfinite(found)
        yield Pair(name, expected[finite], found[finite], int(finite.size - finite.sum()))


def _telling(scores: Array) -> Array:
    both = scores.ndim == 2 and scores.shape[1] == 2
    if both and np.allclose(scores.sum(axis=1), 1, atol=1e-3):
        return scores[:, 1]
    return scores.ravel()


@dataclass(frozen=True)
class Probabilities:
    """What a classifier is sure of, and whether it is right.

    Args:
        name: Whose: 'oracle', or target and scheme.
        sure: The probability that it gives, float64 [N].
        right: Whether what it speaks of is so, bool [N].
    """

    name: str
    sure: Array
    right: Array


def probabilities(measured: Measured, labels: tuple[str, ...]) -> list[Probabilities] | str:
    """Return what the oracle and each artifact are sure of; text says why there is nothing.

    Of two labels that is the probability of the second; of more, that of the label decided for.
    """
    truth = measured.truth
    if not labels:
        return "the model has no labels, so its scores are no probabilities"
    if measured.oracle.ndim != 2 or measured.oracle.shape[1] not in (1, len(labels)):
        return "the model has not exactly one row of scores for each row of data"
    if truth is None or truth.ndim != 1:
        return "the data have no labels"
    found = []
    for name, scores in (
        ("oracle", measured.oracle),
        *((f"{t} {s}", scores) for (t, s), scores in measured.scores.items()),
    ):
        if scores.shape != measured.oracle.shape:
            continue
        scores = scores.astype(np.float64)
        finite = np.isfinite(scores).all(axis=1)
        scores, true = scores[finite], truth[finite]
        if scores.size and (scores.min() < -1e-6 or scores.max() > 1 + 1e-6):
            if name == "oracle":
                return "its scores are not probabilities: some are outside 0 to 1"
            continue
        two = len(labels) == 2
        sure = scores[:, -1] if two else scores.max(axis=1)
        right = true == (1 if two else scores.argmax(axis=1))
        found.append(Probabilities(name, np.clip(sure, 0, 1), right))
    return found
