"""The truth of the compared rows, in the form that the figures of quality take.

Not the figures, and not the oracle: the truth is what people labelled, whatever a model says.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.errors import DataError
from gatelet.runtime.arrays import Arrays
from gatelet.runtime.dataset import Dataset
from gatelet.runtime.graph import Graph
from gatelet.runtime.truth import label_ids_of, targets_of

__all__ = ["truth_of"]


def truth_of(
    data: Dataset | Arrays | None, graph: Graph, labels: Sequence[str]
) -> NDArray[Any] | None:
    """Give the truth of rows.

    Args:
        data: The rows; None for random ones.
        graph: The model.
        labels: Of the model; () for a regression.

    Returns:
        The position of each row's label, int64 [N], or values float64 [N, C]; None where the rows
        have no truth, or the model gives other than one list of scores a row.

    Raises:
        DataError: A label is none of the model's, or values are none that it could give.
    """
    given = data.labels if isinstance(data, Dataset) else getattr(data, "targets", None)
    shape = graph.shape_of(graph.outputs[0])
    if data is None or given is None or len(graph.outputs) > 1 or len(shape) != 2:
        return None
    if labels:
        return np.array(label_ids_of(data, labels), np.int64)
    width = shape[1] or 1
    if isinstance(data, Arrays):
        return np.asarray(targets_of(data, width=width))
    return _values_of(data)


def _values_of(data: Dataset) -> NDArray[Any]:
    """Read labels as the values of a regression."""
    values = []
    for row, label in enumerate(data.labels or (), 1):
        try:
            values.append(float(label))
        except ValueError:
            values.append(math.nan)
        if not math.isfinite(values[-1]):
            raise DataError(
                f"'{data.name}' has the label '{label}' (row {row}), and the model gives numbers: "
                "put the right value there, or leave the labels out",
                path=data.name,
                label=label,
            )
    return np.array(values, np.float64)[:, None]
