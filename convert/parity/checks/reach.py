"""What scores reach: numbers at all, every label, and more than one value. Pure functions."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.quality.figures import decided
from gatelet.convert.parity.report import Check

MIN_ROWS_OF_LABEL = 10
"""A label that the oracle chooses more rarely than this may be missed by chance."""

_VARIES = 1e-3

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
    found: Array, expected: Array, *, labels: Sequence[str], threshold: float | Array
) -> Check:
    """Count labels that the oracle chooses for ten rows or more, and the artifact for none."""
    chosen, wanted = (
        one.sum(axis=0) if one.ndim > 1 else np.bincount(one, minlength=len(labels))
        for one in (decided(scores, threshold) for scores in (found, expected))
    )
    never = [
        label
        for label, a, b in zip(labels, chosen, wanted, strict=True)
        if a == 0 and b >= MIN_ROWS_OF_LABEL
    ]
    note = f"never chosen: {', '.join(never[:5])}" if never else ""
    return _counted("labels_reached", len(never), "labels", note)


def _counted(name: str, count: int, unit: str, note: str) -> Check:
    return Check(name, float(count), 0.0, "pass" if count == 0 else "fail", unit, note=note)
