"""What a model says of one row: the label decided for, and scores.

Not the running of models, which is `gatelet.runtime.predictor.predictor`.
"""

from __future__ import annotations

from collections.abc import Sequence

from gatelet.errors import BundleDamaged
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.decision import decide
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.records import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


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


def decided_rows(scores: Any, labels: Sequence[str], *, threshold: float) -> list[Prediction]:
    """Decide rows of scores [B, C], or the last timestep of [B, n, C]; as `decided`."""
    rows = scores.tolist() if hasattr(scores, "tolist") else scores
    last = [row[-1] if isinstance(row[0], list) else row for row in rows]
    return [decided(row, labels, threshold=threshold) for row in last]


def decided(row: Sequence[float], labels: Sequence[str], *, threshold: float) -> Prediction:
    """Decide one row.

    Args:
        row: The model's outputs [C].
        labels: In the order of the outputs, two for a single one; () for a model without labels.
        threshold: A single output at or above it means labels[1].

    Raises:
        BundleDamaged: The outputs are not as many as the labels need.
    """
    needed = 2 if len(row) == 1 else len(row)
    if not row or (labels and len(labels) != needed):
        raise BundleDamaged(
            f"the model gives {len(row)} scores a row, its bundle has {len(labels)} labels: "
            "convert it again"
        )
    if not labels:
        return Prediction(None, row[0])
    index = decide(row, threshold)
    if len(row) == 1:
        scores = {labels[1]: row[0], labels[0]: 1 - row[0]}
    else:
        scores = dict(zip(labels, row, strict=True))
    return Prediction(labels[index], scores[labels[index]], scores)


def check_labels(bundle: Bundle, graph: Graph) -> None:
    """Refuse a bundle whose labels cannot be those of its Graph's output.

    Raises:
        BundleDamaged: They cannot.
    """
    outputs = graph.shape_of(graph.outputs[0])[-1:]
    expected = 2 if outputs == (1,) else outputs[0] if outputs else None
    if bundle.labels and expected not in (None, len(bundle.labels)):
        raise BundleDamaged(
            f"bundle '{bundle.path}' has {len(bundle.labels)} labels, its model needs {expected}: "
            "convert it again"
        )
