"""Which task a file's answers are for, and what their labels are called.

Not the tasks themselves: those are `gatelet.train.tasks`.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gatelet.errors import ConfigError, DataError
from gatelet.runtime.data import dataset
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.datafiles import shown
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.truth import label_lists_of, label_names_of, values_of
from gatelet.train.config import TrainConfig
from gatelet.train.tasks import TASKS, Task, of_labels

if TYPE_CHECKING:
    from numpy.typing import NDArray

Rows = Dataset | Arrays


def tell_task(config: TrainConfig, rows: Rows) -> tuple[Task, Rows]:
    """Tell what is learned: what the settings say, else what the answers look like.

    Args:
        config: Its `task`, `label_columns` and `horizon` decide.
        rows: With answers.

    Returns:
        The task, and the rows with answers in its form: values are float64 [N, K].

    Raises:
        DataError: The answers are none of the task's.
        ConfigError: They could be of two tasks, or the settings are not for the task.
    """
    told = config.task or ("multi-label" if config.label_columns else None)
    told = "regression" if config.horizon else told
    if isinstance(rows, Dataset):
        task = TASKS[told] if told else _of_texts(rows)
        if not task.labelled:
            values_of(rows, width=1)  # here a row has the number that it has in the file
    else:
        _check_kind(rows)
        task = TASKS[told] if told else _of_arrays(rows)
        rows = _in_form(rows, task)
    if task.name in ("binary", "multiclass"):
        names = _names(rows, task)
        if task.name == "binary" and len(names) > 2:
            raise DataError(
                f"'{rows.name}' has {len(names)} labels ({shown(names)}), and the task 'binary' is "
                "for 2: say --task multiclass",
                path=rows.name,
            )
        task = of_labels(len(names)) if told != "multiclass" else task
    task.check(config)
    return task, rows


def tell_labels(config: TrainConfig, rows: Rows, task: Task) -> tuple[str, ...]:
    """Name the labels of rows without copies, in the order of the scores.

    Raises:
        DataError: There are fewer than two, or of several labels a row one that no row has, or
            all have.
    """
    if not task.labelled:
        return ()
    if task.name == "multi-label":
        return _names_of_sets(config, rows)
    return _names(rows, task)


def _names(rows: Rows, task: Task) -> tuple[str, ...]:
    if isinstance(rows, Dataset):
        if (task.name == "tags" and rows.label_lists is None) or (
            task.name != "tags" and rows.label_lists
        ):
            raise DataError(
                f"'{rows.name}' has {'several labels' if rows.label_lists else 'one label'} a row, "
                f"and the task is '{task.name}': say another --task, or name other labels",
                path=rows.name,
            )
        if rows.label_lists is None:
            return dataset.require_two_labels(rows)
        flat = tuple(one for row in rows.label_lists for one in row)
        empty = [f"{row:,}" for row, some in enumerate(rows.label_lists, 1) if "" in some]
    else:
        flat = label_names_of(rows)
        steps = max(1, len(flat) // len(rows))
        places = [at // steps for at, one in enumerate(flat) if not one]
        empty = [f"{row:,} (counted from 0)" for row in places]
    if empty:
        raise DataError(
            f"'{rows.name}': a label of row {empty[0]} is empty: fill it in, or leave the row out",
            path=rows.name,
        )
    return dataset.require_two_labels(Dataset(flat, flat, rows.name))


def _check_kind(rows: Arrays) -> None:
    """Refuse answers that are neither numbers nor texts."""
    assert rows.targets is not None
    if rows.targets.dtype.kind not in "fiubUS":
        raise DataError(
            f"'{rows.name}': 'y' holds {rows.targets.dtype}, expected numbers or texts: save it as "
            "such",
            path=rows.name,
        )


def _names_of_sets(config: TrainConfig, rows: Rows) -> tuple[str, ...]:
    import numpy as np

    given = tuple(one.strip() for one in (config.label_columns or "").split(",") if one.strip())
    if isinstance(rows, Dataset):
        lists = [tuple(one for one in row if one) for row in label_lists_of(rows)]
        names = given or replace(rows, labels=None, label_lists=tuple(lists)).label_names()
        counts = {name: sum(name in row for row in lists) for name in names}
    else:
        assert rows.targets is not None
        width = rows.targets.shape[1]
        names = given or tuple(map(str, range(width)))
        if len(names) != width:
            raise DataError(
                f"'{rows.name}': 'y' has {width} labels a row, and --label-columns names "
                f"{len(names)}: name all of them",
                path=rows.name,
            )
        counts = dict(zip(names, np.sum(rows.targets > 0.5, axis=0).tolist(), strict=True))
    if len(set(names)) < 2 or len(set(names)) < len(names):
        raise DataError(
            f"'{rows.name}' has the labels {shown(names)}: expected two or more, each once",
            path=rows.name,
        )
    for name, count in counts.items():
        if count in (0, len(rows)):
            which = "no row has" if not count else "every row has"
            raise DataError(
                f"'{rows.name}': {which} the label '{name}', of {len(rows):,}, so there is nothing "
                "to learn of it: leave it out, or add rows",
                path=rows.name,
                label=name,
            )
    return tuple(names)


def _of_texts(rows: Dataset) -> Task:
    if rows.label_lists is not None:
        return TASKS["tags"]
    return of_labels(len(dataset.require_two_labels(rows)))


def _of_arrays(rows: Arrays) -> Task:
    """Tell the task of arrays: fractions are values, [N, T] are of timesteps, 0 and 1 of sets."""
    targets, steps = rows.targets, rows.inputs[0].shape[1]
    assert targets is not None
    if _has_fractions(targets):
        return TASKS["regression"]
    width = int(targets[0].size)
    if width == 1:
        return TASKS["multiclass"]
    if targets.ndim == 2 and width == steps:
        return TASKS["tags"]
    kind = targets.dtype.kind
    if targets.ndim == 2 and kind in "fiub" and ((targets == 0) | (targets == 1)).all():
        if (targets.sum(axis=1) == 1).all():
            raise ConfigError(
                f"'{rows.name}': 'y' is {list(targets.shape)} with a single 1 a row: say --task "
                "multiclass if a row has one label, --task multi-label if it may have several",
                field="task",
            )
        return TASKS["multi-label"]
    raise ConfigError(
        f"'{rows.name}': 'y' is {targets.dtype} {list(targets.shape)}, of which nobody can tell "
        f"what it means: say --task {' or '.join(TASKS)}",
        field="task",
    )


def _has_fractions(targets: "NDArray[Any]") -> bool:
    import numpy as np

    if targets.dtype.kind in "US":
        try:
            targets = targets.astype(np.float64)
        except ValueError:
            return False
    return targets.dtype.kind == "f" and bool((targets != np.rint(targets)).any())


def _in_form(rows: Arrays, task: Task) -> Arrays:
    """Return arrays with the answers of a task; refuse those of another shape."""
    import numpy as np

    targets, (count, steps) = rows.targets, rows.inputs[0].shape[:2]
    assert targets is not None
    if targets.dtype.kind == "f" and not np.isfinite(targets).all():
        at = int(np.argwhere(~np.isfinite(targets.reshape(count, -1)).all(axis=1))[0, 0])
        raise DataError(
            f"'{rows.name}': 'y' is no finite number in row {at} (counted from 0): put one there, "
            "or leave the row out",
            path=rows.name,
            row=at,
        )
    if not task.labelled:
        if targets.dtype.kind in "US":
            targets = _numbers(rows.name, targets)
        values = replace(rows, targets=targets)
        return replace(rows, targets=values_of(values, width=int(targets[0].size)))
    wanted = {"tags": f"[{count}, {steps}]", "multi-label": f"[{count}, labels]"}
    fits = {
        "tags": targets.shape == (count, steps),
        "multi-label": targets.ndim == 2 and targets.dtype.kind in "fiub",
    }.get(task.name, targets.ndim in (1, 2))
    if not fits:
        raise DataError(
            f"'{rows.name}': 'y' is {targets.dtype} {list(targets.shape)}, expected "
            f"{wanted.get(task.name, f'[{count}]')} for the task '{task.name}'",
            path=rows.name,
        )
    if task.name == "multi-label" and not ((targets == 0) | (targets == 1)).all():
        raise DataError(
            f"'{rows.name}': 'y' holds other numbers than 0 and 1, which say whether a row has a "
            "label: correct it, or say --task regression",
            path=rows.name,
        )
    return replace(rows, targets=targets.astype(np.int8)) if task.name == "multi-label" else rows


def _numbers(name: str, targets: "NDArray[Any]") -> "NDArray[Any]":
    import numpy as np

    try:
        return targets.astype(np.float64)
    except ValueError as error:
        raise DataError(f"'{name}': a value to predict is no number ({error})") from error
