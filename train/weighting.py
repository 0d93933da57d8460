"""How much each label counts in the loss, so that rare ones are not drowned.

Not the loss: that is `gatelet.train.steps`.
"""

from typing import TYPE_CHECKING, Any

from gatelet.runtime.data.tags import PADDING
from gatelet.train.tasks import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def balanced(task: Task, targets: "NDArray[Any]", labels: int) -> "NDArray[np.float64]":
    """Weigh labels by how rare they are, so that all count alike in sum.

    Args:
        task: What is learned; its answers are labels.
        targets: Of the training part: label numbers [N] or [N, T], or 0 and 1 [N, C].
        labels: C.

    Returns:
        N / (C n) for a label of n of N answers, [C]; of several labels a row [C, 2], for each the
        weights of rows without it and with it, N / (2 n).

    Source: King & Zeng 2001, as scikit-learn's class_weight='balanced'.
    """
    import numpy as np

    if task.name == "multi-label":
        present = targets.sum(axis=0, dtype=np.float64)
        return len(targets) / (2 * np.stack([len(targets) - present, present], axis=1))
    counts = np.bincount(targets[targets != PADDING].ravel(), minlength=labels)
    return np.asarray(counts.sum() / (labels * counts))


def weights_of(
    task: Task, targets: "NDArray[Any]", weights: "NDArray[np.float64] | None"
) -> "NDArray[np.float32]":
    """Return how much each answer of a batch counts: 0 of padding, else its label's weight or 1.

    Args:
        task: What is learned.
        targets: As `balanced` takes them.
        weights: Of the labels; None for all alike.

    Returns:
        Of the shape of `targets`.
    """
    import numpy as np

    if weights is None:
        found = np.ones(targets.shape)
    elif task.name == "multi-label":
        found = weights[np.arange(targets.shape[1]), targets.astype(int)]
    else:
        found = weights[np.maximum(targets, 0)]
    return np.where(targets == PADDING, 0, found).astype(np.float32)
