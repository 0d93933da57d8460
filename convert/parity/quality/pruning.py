"""What a smaller vocabulary costs: the pruned model against the one that has all words.

Not the pruning, which is `gatelet.convert.passes.vocabulary`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.quality.figures import alike, decided
from gatelet.convert.parity.quality.statistics import grouped_accuracy_difference
from gatelet.convert.passes import Whole
from gatelet.convert.rows.evidence import AnyGroups, evidence_of
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.graph.graph import Graph

Array = NDArray[Any]


def measure_cost(
    whole: Whole,
    texts: Sequence[str],
    *,
    truth: Array | None,
    threshold: float | Array,
    groups: AnyGroups = None,
) -> dict[str, Any]:
    """Compare the model of fewer words with the one that has all.

    Args:
        whole: Both.
        texts: Rows to compare on.
        truth: The position of each row's label, or whether it has each; None where that is not
            known.
        threshold: Of a single score of the model's own, or of each of several labels.
        groups: Which texts belong together; None where each stands for itself.

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
    evidence = evidence_of({"ids": ids[0]}, groups)
    labels = [decided(evidence.of(scores), threshold) for scores in (old, new)]
    facts["flips"] = float((~alike(*labels)).mean())
    right = [alike(one, evidence.of(truth)) for one in labels]
    return {**facts, **_accuracies(right[0], right[1], evidence.groups)}


def _accuracies(before: Array, after: Array, groups: Array | None) -> Mapping[str, Any]:
    interval = grouped_accuracy_difference(after.astype(np.int64) - before, groups)
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
