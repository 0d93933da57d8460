"""Rows for a model with any number of inputs, and outputs put side by side for comparison.

Not the checks, which compare arrays.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.errors import DataError
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.graph.graph import Graph, GraphInput
from gatelet.runtime.vectorizer.opening import AnyVectorizer

Array = NDArray[Any]


@dataclass(frozen=True)
class Rows:
    """Inputs of a model.

    Args:
        feed: By graph input, in the model's order: ids or features [N, ...]; or texts [N].
    """

    feed: Mapping[str, Array]

    def __len__(self) -> int:
        return len(next(iter(self.feed.values())))

    def __getitem__(self, rows: slice | Array) -> "Rows":
        return Rows({name: array[rows] for name, array in self.feed.items()})

    @property
    def given(self) -> Any:
        """What `Predictor.scores` takes: the array of a single input, or all by name; texts."""
        if len(self.feed) > 1:
            return dict(self.feed)
        (only,) = self.feed.values()
        return only.tolist() if only.dtype == object else only

    def differs_from_first(self) -> Array:
        """Return for each row whether some input differs from the first row's, bool [N]."""
        different = [
            (array != array[0]).reshape(len(array), -1).any(axis=1) for array in self.feed.values()
        ]
        return np.asarray(np.any(different, axis=0))

    def last_timesteps(self, count: int) -> "Rows":
        """Keep the last timesteps of each input that has any."""
        return Rows(
            {n: array[:, -count:] if array.ndim > 1 else array for n, array in self.feed.items()}
        )


def side_by_side(outputs: Any) -> Array:
    """Return one array for all outputs of a model.

    Args:
        outputs: An array-like [N, ...], or several by name.

    Returns:
        The array itself, or [N, K] with all numbers of a row.
    """
    if not isinstance(outputs, Mapping):
        return np.array(outputs)
    arrays = [np.asarray(one) for one in outputs.values()]
    if len(arrays) == 1:
        return np.array(arrays[0])
    return np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)


def rows_of(graph: Graph, data: Arrays) -> Rows:
    """Match arrays with a model's inputs, in its order.

    Raises:
        DataError: There are more or fewer than the model has inputs, or features for ids.
    """
    if len(data.inputs) != len(graph.inputs):
        raise DataError(
            f"'{data.name}' has {len(data.inputs)} inputs, the model takes {len(graph.inputs)}: "
            "name them x_0, x_1, ... in the model's order"
        )
    for one, array in zip(graph.inputs, data.inputs, strict=True):
        _check_kind(one, array, data.name)
    return Rows(
        {
            one.name: np.asarray(array, np.int32 if one.dtype == "int32" else np.float32)
            for one, array in zip(graph.inputs, data.inputs, strict=True)
        }
    )


def _check_kind(one: GraphInput, array: Array, name: str) -> None:
    """Refuse features where the model takes ids: as numbers they would be other words."""
    if one.dtype != "int32" or array.dtype.kind in "iu":
        return
    if array.ndim != len(one.shape) or (array != np.rint(array)).any():
        raise DataError(
            f"'{name}' holds features, {array.dtype} {list(array.shape)}, and the model takes "
            "token ids, int32 [N, T]: give a file of texts, or ids"
        )


def ids_of(vectorizer: AnyVectorizer, texts: Sequence[str]) -> Array:
    """Return the padded ids of texts, int32 [N, T]."""
    found = np.zeros((len(texts), vectorizer.maxlen), np.int32)
    for row, text in enumerate(texts):
        found[row] = vectorizer.pad(text)
    return found
