"""The parts of rows, whatever decides them, and the right answers of a part.

Not what a model is given of the rows: that is `gatelet.train.prepare`.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gatelet.errors import DataError
from gatelet.runtime.data import dataset
from gatelet.runtime.data.dataset import Dataset, Split
from gatelet.runtime.data.tags import tag_ids_of
from gatelet.runtime.data.truth import label_ids_of, label_sets_of, values_of
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from gatelet.train.config import TrainConfig
from gatelet.train.inputs.parting import PARTS, part_arrays, part_groups
from gatelet.train.inputs.telling import Rows
from gatelet.train.tasks import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


def split(
    config: TrainConfig,
    kept: Rows,
    task: Task,
    labels: Sequence[str],
    numbers: "NDArray[Any] | None",
) -> Split[Any]:
    """Split by time, by groups, or by the content of each row.

    Args:
        config: Of windows, or none.
        kept: Rows without copies.
        task: What is learned.
        labels: C names.
        numbers: The part of each row, where time decides it; None elsewhere.

    Raises:
        DataError: A part would be empty, or no way to part groups gives each what it needs.
    """
    import numpy as np

    if numbers is None and kept.groups is None:
        if isinstance(kept, Dataset):
            return dataset.split(kept)
        numbers = part_arrays(kept)
    if numbers is None:
        assert kept.groups is not None
        groups, group_of = np.unique(np.array(kept.groups), return_inverse=True)
        held: list[set[int]] = [set() for _ in groups]
        rows_of, labels_of = _labels_of_rows(kept, task, labels)
        count = max(1, len(labels))
        for pair in np.unique(group_of[rows_of] * count + labels_of).tolist():
            held[pair // count].add(pair % count)
        parts = part_groups(groups.tolist(), held, names=labels, name=kept.name)
        numbers = np.array(parts)[group_of]
    places = [np.flatnonzero(numbers == at) for at in range(len(PARTS))]
    for name, rows in zip(PARTS, places, strict=True):
        if not len(rows):
            by = "the windows within it" if config.window else "few rows"
            raise DataError(
                f"'{kept.name}' has {len(kept):,} rows, too few to split: the {name} part is empty "
                f"({by}); add rows",
                path=kept.name,
            )
    return Split(
        *(
            replace(kept.rows(rows), name=f"{kept.name} ({name})")
            for name, rows in zip(PARTS, places, strict=True)
        )
    )


def check_learned(parts: Split[Any], kept: Rows, task: Task, labels: Sequence[str]) -> None:
    """Refuse a label that training would never see.

    Raises:
        DataError: It is named.
    """
    seen = set(_labels_of_rows(parts.train, task, labels)[1].tolist())
    missing = [name for at, name in enumerate(labels) if at not in seen]
    if missing:
        raise DataError(
            f"'{kept.name}' has the label '{missing[0]}' too rarely: no row of it is in the "
            f"training part ({len(parts.train):,} rows); add rows of it, drop it, or name the "
            "right column with --label-column",
            path=kept.name,
            label=missing[0],
        )


def _labels_of_rows(
    rows: Rows, task: Task, labels: Sequence[str]
) -> "tuple[NDArray[np.intp], NDArray[Any]]":
    """Return pairs of a row and the number of a label that it has."""
    import numpy as np

    if not task.labelled:
        return np.empty(0, np.intp), np.empty(0, np.intp)
    if isinstance(rows, Dataset) and task.steps:
        number = {name: at for at, name in enumerate(labels)}
        lists = rows.label_lists or ()
        each = np.array([number[one] for row in lists for one in row], np.intp)
        return np.repeat(np.arange(len(rows)), [*map(len, lists)]), each
    found = targets_of(rows, task, labels, None, width=1)
    if task.name == "multi-label":
        rows_of, labels_of = found.nonzero()
        return rows_of, labels_of
    return np.repeat(np.arange(len(rows)), found[0].size), found.ravel()


def targets_of(
    part: Rows, task: Task, labels: Sequence[str], vectorizer: Vectorizer | None, *, width: int
) -> "NDArray[Any]":
    """Return what is right.

    Args:
        part: Rows with labels or values.
        task: Of the model.
        labels: C names.
        vectorizer: Of texts.
        width: Of values, how many a row has.

    Returns:
        Label numbers int32 [N], or [N, T] with -1 at padding; float32 [N, C] of 0 and 1; values
        float64 [N, K].

    Raises:
        DataError: A label or value is none that the model could give.
    """
    import numpy as np

    if task.steps:
        return tag_ids_of(part, labels, vectorizer)
    if not task.labelled:
        return values_of(part, width=width)
    if task.name == "multi-label":
        return np.array(label_sets_of(part, labels), np.float32)
    return np.array(label_ids_of(part, labels), np.int32)
