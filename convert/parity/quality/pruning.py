"""What a smaller vocabulary costs: the pruned model against the one that has all words.

Not the pruning, which is `gatelet.convert.passes.vocabulary`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.quality.figures import alike, decided
from gatelet.convert.parity.quality.statistics import accuracy_difference
from gatelet.convert.passes import Whole
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.graph.graph import Graph

Array = NDArray[Any]


def measure_cost(
    whole: Whole, texts: Sequence[str], *, truth: Array | None, threshold: float | Array
) -> dict[str, Any]:
    """Compare the model of fewer words with the one that has all.

    Args:
        whole: Both.
        texts: Rows to compare on.
        truth: The position of each row's label, or whether it has each; None where that is not
            known.
        threshold: Of a single score of the model's own, or of each of several labels.

    Returns:
        What the manifest records: differences of scores, flips and, with truth, both accuracies
        and the interval of their difference.
    """
    pruned = whole.pruned
    facts: dict[str, Any] = {"from": pruned.before, "to": pruned.size, "rows": len(texts)}
    if not texts:
        return facts
    ids = [np.array([v.pad(text) for text in texts]) for v in (whole.vectorizer, pruned.vectorizer)]
    old, new = (
        _scores(g, array) for g, array in zip((whole.graph, pruned.graph), ids, strict=True)
    )
    facts["rows_without_dropped_words"] = int((ids[0] == ids[1]).all(axis=1).sum())
    facts["largest_difference"] = float(np.abs(new - old).max())
    facts["mean_difference"] = float(np.abs(new - old).mean())
    if old.ndim != 2 or truth is None or truth.dtype.kind not in "ib":
        return facts
    labels = [decided(scores, threshold) for scores in (old, new)]
    facts["flips"] = float((~alike(*labels)).mean())
    return {**facts, **_accuracies(*(alike(one, truth) for one in labels))}


def _accuracies(before: Array, after: Array) -> Mapping[str, Any]:
    lost, gained = int((before & ~after).sum()), int((after & ~before).sum())
    interval = accuracy_difference(lost, gained, len(before))
    return {
        "accuracy_before": float(before.mean()),
        "accuracy_after": float(after.mean()),
        "accuracy_difference": {
            "estimate": interval.estimate,
            "low": interval.low,
            "high": interval.high,
        },
    }


def _scores(graph: Graph, ids: Array) -> Array:
    found = ReferenceBackend(graph).run({graph.inputs[0].name: ids.astype(np.int32)})
    return np.asarray(found[graph.outputs[0]], np.float64)
