"""The truth that comes with data: which label each row has, or which values.

Not the reading of data files, and not the figures that compare predictions with it.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gatelet.errors import DataError
from gatelet.runtime.arrays import Arrays
from gatelet.runtime.dataset import Dataset

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["label_ids_of", "targets_of"]


def label_ids_of(data: Dataset | Arrays, labels: Sequence[str]) -> list[int]:
    """Give each row the position of its label.

    Args:
        data: Texts with labels, or arrays with y [N], which holds labels or their numbers.
        labels: C names, in a model's order.

    Returns:
        N numbers in 0..C-1.

    Raises:
        DataError: There are no labels, or one is none of the model's.
    """
    if isinstance(data, Dataset):
        return data.label_ids(labels)
    values = [] if data.targets is None else _one_a_row(data.targets, data.name, len(labels))
    whole = (int(v) if isinstance(v, float) and v.is_integer() else v for v in values)
    names = tuple(str(value) for value in whole)
    return Dataset(("",) * len(names), names, data.name).label_ids(labels)


def _one_a_row(targets: "NDArray[Any]", name: str, classes: int) -> list[Any]:
    """Give one label a row; of one-hot rows the position of the one."""
    found = targets.reshape(len(targets), -1)
    width = found.shape[1]
    if width == 1:
        return list(found[:, 0].tolist())
    one_hot = width == classes and found.dtype.kind in "fiub"
    if not one_hot or not ((found == 0) | (found == 1)).all() or not (found.sum(axis=1) == 1).all():
        raise DataError(
            f"'{name}': 'y' has {width} values a row, expected one label, or {classes} of "
            "which one is 1 and the others 0"
        )
    return list(found.argmax(axis=1).tolist())


def targets_of(data: Arrays, *, width: int) -> "NDArray[Any]":
    """Give the values of a regression.

    Args:
        data: Arrays with y.
        width: How many numbers the model gives a row.

    Returns:
        float64 [N, width].

    Raises:
        DataError: y is missing, holds no finite numbers, or another number of them a row.
    """
    import numpy as np

    if data.targets is None or data.targets.dtype.kind not in "fiub":
        raise DataError(f"'{data.name}' has no numbers in 'y': save the right values there")
    targets = np.asarray(data.targets, np.float64).reshape(len(data), -1)
    if targets.shape[1] != width or not np.isfinite(targets).all():
        raise DataError(
            f"'{data.name}': 'y' has {targets.shape[1]} values a row, expected {width} finite "
            "ones, as the model gives"
        )
    return targets
