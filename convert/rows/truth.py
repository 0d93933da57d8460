"""The truth of the compared rows, in the form that the figures of quality take.

Not the figures, and not the oracle: the truth is what people labelled, whatever a model says.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.bundle.decisions import Decision
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.truth import label_ids_of, label_sets_of, values_of
from gatelet.runtime.graph.graph import Graph


class Truth(NamedTuple):
    """The truth of rows.

    Args:
        values: The position of each row's label, int64 [N], whether it has each of several labels,
            bool [N, C], or values float64 [N, K], a
            sequence's one after the other; None where the rows have none that can be used.
        unused: Why the truth that the rows come with is held against nothing; '' where it is.
    """

    values: NDArray[Any] | None
    unused: str = ""


def truth_of(
    data: Dataset | Arrays | None,
    graph: Graph,
    labels: Sequence[str],
    *,
    decisions: Sequence[Decision] = (),
) -> Truth:
    """Return the truth of rows.

    Args:
        data: The rows; None for random ones.
        graph: The model.
        labels: Of the model; () for a regression.
        decisions: Of the bundle: a row may have several labels.

    Raises:
        DataError: A label is none of the model's, or values are none that it could give.
    """
    if data is None or not _has_truth(data):
        return Truth(None)
    shape = graph.shape_of(graph.outputs[0])
    if len(graph.outputs) > 1:
        count = len(graph.outputs)
        return Truth(None, f"the model has {count} outputs, the data right answers for one")
    if labels and len(shape) > 2:
        said = "the model has scores for each timestep, which gatelet evaluate measures"
        return Truth(None, said)
    if len(shape) > 2 and isinstance(data, Dataset):
        said = "the model's output is a sequence of numbers, and a column holds one: use a .npz"
        return Truth(None, said)
    if labels and any(one.multi_label for one in decisions):
        return Truth(np.array(label_sets_of(data, labels), bool))
    if labels:
        return Truth(np.array(label_ids_of(data, labels), np.int64))
    sizes = shape[1:]
    if None in sizes:
        sizes = _shape_of_a_row(data, graph)
    return Truth(np.asarray(values_of(data, width=math.prod(size or 1 for size in sizes))))


def _has_truth(data: Dataset | Arrays) -> bool:
    if isinstance(data, Dataset):
        return data.labels is not None or data.label_lists is not None
    return data.targets is not None


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
