"""The truth of the compared rows, in the form that the figures of quality take.

Not the figures, and not the oracle: the truth is what people labelled, whatever a model says.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.runtime.arrays import Arrays
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.dataset import Dataset
from gatelet.runtime.graph import Graph
from gatelet.runtime.truth import label_ids_of, values_of

__all__ = ["truth_of", "why_unknown"]


def truth_of(
    data: Dataset | Arrays | None, graph: Graph, labels: Sequence[str]
) -> NDArray[Any] | None:
    """Give the truth of rows.

    Args:
        data: The rows; None for random ones.
        graph: The model.
        labels: Of the model; () for a regression.

    Returns:
        The position of each row's label, int64 [N], or values float64 [N, K], a sequence's one
        after the other; None where the rows have no truth, or `why_unknown` says why.

    Raises:
        DataError: A label is none of the model's, or values are none that it could give.
    """
    if data is None or not _is_given(data) or why_unknown(data, graph, labels):
        return None
    if labels:
        return np.array(label_ids_of(data, labels), np.int64)
    shape = graph.shape_of(graph.outputs[0])
    sizes = shape[1:] if None not in shape[1:] else _shape_of_a_row(data, graph)
    return np.asarray(values_of(data, width=math.prod(size or 1 for size in sizes)))


def why_unknown(data: Dataset | Arrays | None, graph: Graph, labels: Sequence[str]) -> str:
    """Say why the truth that rows come with is held against nothing; '' where it is."""
    if data is None or not _is_given(data):
        return ""
    rank = len(graph.shape_of(graph.outputs[0]))
    if len(graph.outputs) > 1:
        return f"the model has {len(graph.outputs)} outputs, the data right answers for one"
    if labels and rank > 2:
        return "the model has scores for each timestep, and the data one label for each row"
    if rank > 2 and isinstance(data, Dataset):
        return "the model's output is a sequence of numbers, and a column holds one: use a .npz"
    return ""


def _is_given(data: Dataset | Arrays) -> bool:
    return (data.labels if isinstance(data, Dataset) else data.targets) is not None


def _shape_of_a_row(data: Dataset | Arrays, graph: Graph) -> tuple[int, ...]:
    """Run one row: how long a sequence comes out depends on how long it went in."""
    if not isinstance(data, Arrays):
        return (1,)
    feed = {
        one.name: np.asarray(array[:1], np.int32 if one.dtype == "int32" else np.float32)
        for one, array in zip(graph.inputs, data.inputs, strict=True)
    }
    (only,) = ReferenceBackend(graph).run(feed).values()
    return tuple(only.shape[1:])
