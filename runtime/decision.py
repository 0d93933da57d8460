"""From a row of scores to a label.

Not how good the labels are: that is `gatelet.runtime.data.metrics`.
"""

import math
from collections.abc import Sequence


def decide(row: Sequence[float], threshold: float) -> int:
    """Choose the label of one row of scores.

    Args:
        row: One sigmoid probability [1], or C > 1 scores [C].
        threshold: For one probability only: label 1 from here on (p >= threshold).

    Returns:
        The label's number. Of equal scores the first wins; NaN never wins, and is 0 if alone.
    """
    if len(row) == 1:
        return 1 if float(row[0]) >= threshold else 0
    scores = [-math.inf if math.isnan(score) else float(score) for score in row]
    return scores.index(max(scores))
