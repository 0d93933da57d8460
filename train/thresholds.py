"""The thresholds of scores that a validation part speaks for.

Not the rule that holds scores against them: that is `gatelet.runtime.decision`.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gatelet.train.tasks import Rules, Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

DECIDED = ("accuracy", "macro_f1", "precision", "recall")
"""The metrics that thresholds change."""
_CANDIDATES = 200
_ROUNDS = 3
_CLOSEST = 1e-6
"""A threshold lies at least so far from 0 and 1."""


def tuned(
    task: Task, targets: "NDArray[Any]", scores: "NDArray[Any]", rules: Rules, *, metric: str
) -> Rules:
    """Choose the thresholds with the best figure: of equally good ones those closest to 0.5.

    Args:
        task: With thresholds.
        targets: Label numbers [N], or 0 and 1 [N, C].
        scores: [N, 1] or [N, C].
        rules: Whose thresholds are chosen.
        metric: What to choose by; one that thresholds do not change stands for macro F1.
    """
    import numpy as np

    metric = metric if metric in DECIDED else "macro_f1"
    if task.is_single:
        is_so = np.asarray(targets)[:, None] > 0.5
        figure = _of_one_label if metric == "accuracy" else _of_both_labels(metric)
        return replace(rules, threshold=_chosen(is_so, scores, figure, [0.5])[0])
    is_so = np.asarray(targets) > 0.5
    found = _chosen(is_so, scores, _of_sets(metric), [0.5] * is_so.shape[1])
    return replace(rules, thresholds=tuple(found))


Figure = Callable[["NDArray[np.bool_]", "NDArray[np.bool_]"], float]
"""From what is so and what is said, each [N, C], to what shall be large."""


def _chosen(
    is_so: "NDArray[np.bool_]", scores: "NDArray[Any]", figure: Figure, found: list[float]
) -> list[float]:
    """Choose one threshold after the other, until none changes."""
    import numpy as np

    said = np.stack([scores[:, at] >= one for at, one in enumerate(found)], axis=1)
    for _ in range(_ROUNDS):
        before = list(found)
        for at in range(len(found)):
            best = (-1.0, 0.0, found[at])
            for threshold in _candidates(scores[:, at]):
                said[:, at] = scores[:, at] >= threshold
                best = max(best, (figure(is_so, said), -abs(threshold - 0.5), threshold))
            found[at] = best[2]
            said[:, at] = scores[:, at] >= found[at]
        if found == before:
            break
    return found


def _candidates(scores: "NDArray[Any]") -> list[float]:
    """Return 0.5, and thresholds between the scores: of many scores, between even parts of them."""
    import numpy as np

    levels = np.unique(scores)
    if len(levels) > _CANDIDATES:
        levels = np.quantile(levels, np.linspace(0, 1, _CANDIDATES))
    middles = np.clip((levels[:-1] + levels[1:]) / 2, _CLOSEST, 1 - _CLOSEST)
    return [0.5, *middles.tolist()]


def _of_one_label(is_so: "NDArray[np.bool_]", said: "NDArray[np.bool_]") -> float:
    return float((is_so == said).mean())


def _of_both_labels(metric: str) -> Figure:
    """Return a figure that is the mean over a label and its absence, as far as they occur."""

    def figure(is_so: "NDArray[np.bool_]", said: "NDArray[np.bool_]") -> float:
        sides = [_figure(metric, is_so, said), _figure(metric, ~is_so, ~said)]
        known = [one for one in sides if one is not None]
        return sum(known) / len(known)

    return figure


def _of_sets(metric: str) -> Figure:
    """Return a figure over several labels a row."""

    def figure(is_so: "NDArray[np.bool_]", said: "NDArray[np.bool_]") -> float:
        if metric == "accuracy":
            return float((is_so == said).all(axis=1).mean())
        each = [_figure(metric, is_so[:, at], said[:, at]) for at in range(is_so.shape[1])]
        known = [one for one in each if one is not None]
        return sum(known) / len(known) if known else 0.0

    return figure


def _figure(metric: str, is_so: "NDArray[np.bool_]", said: "NDArray[np.bool_]") -> float | None:
    """Return F1, precision or recall; None where the label neither occurs nor is said."""
    hits, so, given = int((is_so & said).sum()), int(is_so.sum()), int(said.sum())
    if not so and not given:
        return None
    if metric == "macro_f1":
        return 2 * hits / (so + given)
    whole = given if metric == "precision" else so
    return hits / whole if whole else 0.0
