"""The truth that comes with data: which label each row has, or which values.

Not the reading of data files, and not the figures that compare predictions with it.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gatelet.errors import DataError
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def label_ids_of(data: Dataset | Arrays, labels: Sequence[str]) -> list[int]:
    """Return, for each row, the position of its label.

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
    if data.targets is None:
        return []
    import numpy as np

    names, places = _named(_one_a_row(data.targets, data.name, len(labels)))
    if not set(names) <= set(labels):
        given = tuple(map(names.__getitem__, places.tolist()))
        return Dataset(("",) * len(given), given, data.name).label_ids(labels)  # it says where
    found: list[int] = np.array([labels.index(name) for name in names], np.intp)[places].tolist()
    return found


def label_names_of(data: Arrays) -> tuple[str, ...]:
    """Name the label of each row, or of each timestep of [N, T], one after the other.

    All rows share the texts of a few names: there may be millions.

    Args:
        data: With y [N] or [N, T]; rows of which one number is 1 and the others 0 name its place.
    """
    assert data.targets is not None
    steps = data.inputs[0].shape[1:2]
    if data.targets.ndim > 1 and data.targets.shape[1:] == steps:
        names, places = _named(data.targets.reshape(-1))
    else:
        width = int(data.targets[0].size)
        names, places = _named(_one_a_row(data.targets, data.name, width))
    return tuple(map(names.__getitem__, places.tolist()))


def _named(values: "NDArray[Any]") -> "tuple[list[str], NDArray[np.intp]]":
    """Return the names of the values that occur, and of each value the place of its name."""
    import numpy as np

    distinct, places = np.unique(values, return_inverse=True)
    whole = (int(v) if isinstance(v, float) and v.is_integer() else v for v in distinct.tolist())
    return [str(value) for value in whole], places


def label_sets_of(data: Dataset | Arrays, labels: Sequence[str]) -> list[list[bool]]:
    """Return, for each row, whether it has each label.

    Args:
        data: Texts with lists of labels, or whose label is those of the row with commas between;
            or arrays with y [N, C] of 0 and 1.
        labels: C names, in a model's order.

    Returns:
        N lists of C.

    Raises:
        DataError: There are no labels, one is none of the model's, or y holds something else.
    """
    if isinstance(data, Dataset):
        names = label_lists_of(data)
        each = [(one, at) for at, row in enumerate(names) for one in row]
        alone = Dataset(("",) * len(each), tuple(one for one, _ in each), data.name)
        found = [[False] * len(labels) for _ in names]
        for number, (_, at) in zip(alone.label_ids(labels), each, strict=True):
            found[at][number] = True
        return found
    targets = data.targets
    if targets is None or targets.shape[1:] != (len(labels),) or not _are_flags(targets):
        raise DataError(
            f"'{data.name}': 'y' is expected to be [N, {len(labels)}], 1 where the row has a label "
            "and 0 where not, since a row may have several"
        )
    return [[bool(one) for one in row] for row in targets.tolist()]


def label_lists_of(data: Dataset) -> list[tuple[str, ...]]:
    """Return the labels of each row, whichever way the file says them.

    Raises:
        DataError: There are none.
    """
    if data.label_lists is not None:
        return list(data.label_lists)
    if data.labels is None:
        raise DataError(f"'{data.name}' has no labels: add a label column", path=data.name)
    return [tuple(one.strip() for one in row.split(",")) for row in data.labels]


def _are_flags(targets: "NDArray[Any]") -> bool:
    return targets.dtype.kind in "fiub" and bool(((targets == 0) | (targets == 1)).all())


def _one_a_row(targets: "NDArray[Any]", name: str, classes: int) -> "NDArray[Any]":
    """Return one label a row; of one-hot rows the position of the one."""
    found = targets.reshape(len(targets), -1)
    width = found.shape[1]
    if width == 1:
        return found[:, 0]
    one_hot = width == classes and found.dtype.kind in "fiub"
    if not one_hot or not ((found == 0) | (found == 1)).all() or not (found.sum(axis=1) == 1).all():
        raise DataError(
            f"'{name}': 'y' has {width} values a row, expected one label, or {classes} of "
            "which one is 1 and the others 0"
        )
    places: NDArray[Any] = found.argmax(axis=1)
    return places


def values_of(data: Dataset | Arrays, *, width: int) -> "NDArray[Any]":
    """Return the values of a regression.

    Args:
        data: Texts whose labels are numbers, or arrays with y.
        width: How many numbers the model gives a row.

    Returns:
        float64 [N, width].

    Raises:
        DataError: There are none, one is no finite number, or a row has another number of them.
    """
    import numpy as np

    given = _of_texts(data) if isinstance(data, Dataset) else _of_arrays(data)
    if given.shape[1] != width:
        raise DataError(
            f"'{data.name}' has {given.shape[1]} values a row, expected {width}, as the model gives"
        )
    bad = np.argwhere(~np.isfinite(given))
    if bad.size:
        row, column = bad[0].tolist()
        raise DataError(
            f"'{data.name}' has {given[row, column]} in row {row} of 'y': put a finite number "
            "there, or leave the row out",
            path=data.name,
            row=row,
        )
    return given


def _of_arrays(data: Arrays) -> "NDArray[Any]":
    import numpy as np

    if data.targets is None or data.targets.dtype.kind not in "fiub":
        raise DataError(f"'{data.name}' has no numbers in 'y': save the right values there")
    return np.asarray(data.targets, np.float64).reshape(len(data), -1)


def _of_texts(data: Dataset) -> "NDArray[Any]":
    import numpy as np

    if data.labels is None:
        raise DataError(f"'{data.name}' has no labels: add a column with the right values")
    for row, label in enumerate(data.labels, 1):
        if not math.isfinite(_number(label)):
            raise DataError(
                f"'{data.name}' has the label '{label}' (row {row}), and the model gives numbers: "
                "put the right value there, or leave the row out",
                path=data.name,
                label=label,
            )
    return np.array([_number(label) for label in data.labels], np.float64)[:, None]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
