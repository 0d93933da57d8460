"""What a model says of one row: the label decided for, and scores.

Not the running of models, which is `gatelet.runtime.predictor`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from gatelet.runtime.decision import decide

__all__ = ["Prediction", "decided"]


@dataclass(frozen=True)
class Prediction:
    """What the model says of one row.

    Args:
        label: The label decided for; None for a model without labels.
        score: That label's score, or the single output of a model without labels.
        scores: The score of each label.
    """

    label: str | None
    score: float
    scores: dict[str, float] = field(default_factory=dict)


def decided(row: Sequence[float], labels: Sequence[str], *, threshold: float) -> Prediction:
    """Decide one row.

    Args:
        row: The model's outputs [C].
        labels: In the order of the outputs, two for a single one; () for a model without labels.
        threshold: A single output at or above it means labels[1].
    """
    if not labels:
        return Prediction(None, row[0])
    index = decide(row, threshold)
    if len(row) == 1:
        scores = {labels[1]: row[0], labels[0]: 1 - row[0]}
    else:
        scores = dict(zip(labels, row, strict=True))
    return Prediction(labels[index], scores[labels[index]], scores)
