"""What scores reach: their extremes, labels that are never chosen, outputs that never change.

A quantized model whose scores never pass 0.57 may well agree on every label. Pure functions.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.checks.scores import difference
from gatelet.convert.parity.quality.figures import are_probabilities, decided
from gatelet.convert.parity.report import Check

MIN_ROWS_OF_LABEL = 10
"""A label that the oracle chooses more rarely than this may be missed by chance."""

_VARIES = 1e-3
_SMALLEST_PROBABILITY = 1e-7

Array = NDArray[Any]


def check_finite(found: Array, expected: Array) -> Check:
    """Count rows with NaN or infinity where the oracle gives a number.

    Args:
        found: An artifact's scores [N, C].
        expected: The oracle's.
    """
    bad = (~np.isfinite(found) & np.isfinite(expected)).any(axis=1)
    note = f"the first is row {int(bad.argmax()) + 1:,}" if bad.any() else ""
    return _counted("finite", int(bad.sum()), "rows", note)


def check_constant(found: Array, expected: Array) -> Check:
    """Count outputs that are the same for all rows where the oracle's differ."""
    if len(found) < 2:
        return Check(
            "constant", None, 0.0, "not checked", "outputs", note="with one row no output can vary"
        )
    with np.errstate(invalid="ignore"):
        varies = np.ptp(expected, axis=0) > _VARIES
        stuck = varies & (found == found[0]).all(axis=0)
    note = f"output {int(stuck.argmax())} is always {found[0, stuck.argmax()]:.4g}"
    return _counted("constant", int(stuck.sum()), "outputs", note if stuck.any() else "")


def check_labels_reached(
    found: Array, expected: Array, *, labels: Sequence[str], threshold: float
) -> Check:
    """Count labels that the oracle chooses for ten rows or more, and the artifact for none."""
    chosen, wanted = (
        np.bincount(decided(scores, threshold), minlength=len(labels))
        for scores in (found, expected)
    )
    never = [
        label
        for label, a, b in zip(labels, chosen, wanted, strict=True)
        if a == 0 and b >= MIN_ROWS_OF_LABEL
    ]
    note = f"never chosen: {', '.join(never[:5])}" if never else ""
    return _counted("labels_reached", len(never), "labels", note)


def check_range(found: Array, expected: Array, limit: float) -> Check:
    """Compare the smallest and the largest score of each output with the oracle's.

    Args:
        found: An artifact's scores [N, C].
        expected: The oracle's.
        limit: The most that passes, relative to max(1, |y|).
    """
    ends = [np.stack([scores.min(axis=0), scores.max(axis=0)]) for scores in (found, expected)]
    apart = difference(*ends)
    figure = float(apart.max(initial=0.0))
    end, output = np.unravel_index(apart.argmax(), apart.shape)
    note = (
        f"output {output} never {('falls below', 'passes')[int(end)]} {ends[0][end, output]:.4g}, "
        f"the Graph's {('falls to', 'reaches')[int(end)]} {ends[1][end, output]:.4g}"
    )
    passed = figure <= limit
    return Check(
        "scores_range", figure, limit, "pass" if passed else "fail", note="" if passed else note
    )


def check_kl(found: Array, expected: Array, limit: float, *, min_rows: int) -> Check | None:
    """Compare the mean Kullback-Leibler divergence of an artifact from the oracle with a limit.

    Args:
        found: An artifact's scores [N, C].
        expected: The oracle's.
        limit: In nats.
        min_rows: With fewer rows, a figure above the limit decides nothing.

    Returns:
        None where the oracle's scores are no probabilities.

    Source: Kullback & Leibler 1951. A probability of the artifact below 1e-7 counts as that.
    """
    if not are_probabilities(expected):
        return None
    p, q = (np.asarray(scores, np.float64) for scores in (expected, found))
    if p.shape[1] == 1:
        p, q = (np.concatenate([one, 1 - one], axis=1) for one in (p, q))
    q = np.maximum(q, _SMALLEST_PROBABILITY)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(p > 0, p * np.log(np.maximum(p, _SMALLEST_PROBABILITY) / q), 0.0)
    figure = float(parts.sum(axis=1).mean())
    verdict = "pass" if figure <= limit else "fail"
    if verdict == "fail" and len(p) < min_rows and np.isfinite(figure):
        verdict = "undecided"
    return Check("kl", figure, limit, verdict, unit="nats")


def _counted(name: str, count: int, unit: str, note: str) -> Check:
    return Check(name, float(count), 0.0, "pass" if count == 0 else "fail", unit, note=note)
