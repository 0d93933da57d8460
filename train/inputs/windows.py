"""Windows of a table's rows: what a model of features is given, and what it shall answer.

Not the table, which is `gatelet.train.inputs.tables`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatelet.errors import DataError
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.datafiles import shown
from gatelet.train.inputs import fragments
from gatelet.train.inputs.parting import FRACTIONS
from gatelet.train.inputs.rowgroups import RowGroups, open_row_groups
from gatelet.train.inputs.tables import Table, TableRows, read_table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OUTSIDE = -1
"""The part of a window whose rows lie in two parts."""


@dataclass(frozen=True)
class Spec:
    """How windows are made of rows.

    Args:
        window: Rows a window, T.
        stride: Rows from one to the next.
        group: The column that says which recording a row is of; '' where all are of one.
        columns: Of the features; () for all numeric ones but group and label.
        label_columns: One, or several of 0 and 1 or of values.
        task: What is learned, if somebody said so.
        horizon: Next values of the label column to predict; 0 for the label of the last row.
    """

    window: int
    stride: int
    group: str
    columns: tuple[str, ...]
    label_columns: tuple[str, ...]
    task: str | None
    horizon: int


@dataclass(frozen=True)
class Windows:
    """Windows, and what they were made of.

    Args:
        arrays: x float32 [N, T, F], the answers, and the recording of each.
        columns: F names.
        dropped: Rows or recordings that no window has, by reason.
        parts: The part of each window [N] of a single recording, by time; None of several.
    """

    arrays: Arrays
    columns: tuple[str, ...]
    dropped: dict[str, int]
    parts: "NDArray[np.intp] | None"


def read_windows(path: Path, spec: Spec) -> Windows:
    """Read the windows of a file.

    Args:
        path: A table of numbers: see `read_table`.
        spec: What to make of it.

    Raises:
        DataError: The file cannot be used: a column is missing or holds no numbers, or a window
            is longer than every recording.
    """
    import numpy as np

    stored = open_row_groups(path)
    is_stored = stored is not None and (path.is_dir() or _is_large(stored, spec))
    rows: RowGroups | TableRows
    rows = stored if stored is not None and is_stored else TableRows(read_table(path))
    head = rows.head()
    columns = spec.columns or _features(head, spec)
    flags = {
        **dict.fromkeys(spec.label_columns, "--label-column"),
        **dict.fromkeys(columns, "--columns"),
        **({spec.group: "--group"} if spec.group else {}),
    }
    for name, flag in flags.items():
        head.column(name, flag)
    names, ends = rows.recordings(spec.group) if spec.group else ([""], np.array([0, len(rows)]))
    each = [_starts(count, spec) for count in np.diff(ends).tolist()]
    short = sum(not len(one) for one in each)
    if short == len(each):
        raise _too_long(rows.name, spec, int(np.diff(ends).max()))
    starts = np.concatenate([one + first for one, first in zip(each, ends, strict=False)])
    features: Any = rows.windows(columns, starts, spec.window)
    asked = np.add.outer(starts, _asked(spec))
    answers = [_answers(*part, spec) for part in rows.at(spec.label_columns, asked)]
    groups = np.repeat(names, [*map(len, each)]) if spec.group else None
    return Windows(
        Arrays((features,), np.concatenate(answers), rows.name, groups),
        tuple(columns),
        {"short recordings": short} if short else {},
        None if spec.group else _parts_by_time(starts, len(rows), spec),
    )


def _is_large(rows: RowGroups, spec: Spec) -> bool:
    """Return whether windows would be too much for memory, as far as a file's head tells."""
    if not len(rows):
        return False
    columns = spec.columns or _features(rows.head(), spec)
    return 4 * len(rows) * len(columns) * spec.window > fragments.IN_MEMORY_BYTES * spec.stride


def _asked(spec: Spec) -> "NDArray[np.intp]":
    """Return which rows, counted from a window's first, hold its answers; of one a number."""
    import numpy as np

    if spec.horizon:
        return np.arange(spec.window, spec.window + spec.horizon)
    return np.arange(spec.window) if spec.task == "tags" else np.array(spec.window - 1)


def _features(table: Table, spec: Spec) -> tuple[str, ...]:
    """Name the numeric columns; what is predicted of the future may be known of the past."""
    others = {spec.group, *(() if spec.horizon else spec.label_columns)}
    found = tuple(name for name in table.numeric() if name not in others)
    if not found:
        raise DataError(
            f"'{table.name}' has no column of numbers but group and label; found: "
            f"{shown(table.columns)}; name them with --columns",
            path=table.name,
        )
    return found


def _starts(rows: int, spec: Spec) -> "NDArray[np.intp]":
    import numpy as np

    return np.arange(0, rows - spec.window - spec.horizon + 1, spec.stride, dtype=np.intp)


def _answers(table: Table, rows: "NDArray[np.intp]", spec: Spec) -> "NDArray[Any]":
    """Return what stands in the label columns of some rows, [...] or [..., K]."""
    import numpy as np

    if len(spec.label_columns) == 1 and spec.task != "multi-label":
        (name,) = spec.label_columns
        if spec.task == "regression":
            return table.numbers(name, "--label-column")[rows]
        return np.array(table.texts(name, "--label-column"))[rows]
    each = [table.numbers(name, "--label-columns") for name in spec.label_columns]
    found = np.stack(each, axis=-1)
    bad = np.argwhere((found != 0) & (found != 1))
    if spec.task != "regression" and bad.size:
        row, column = bad[0].tolist()
        raise DataError(
            f"'{table.name}' {table.where(row)}: '{spec.label_columns[column]}' is "
            f"{found[row, column]:g}, expected 1 where the row has that label and 0 where not; "
            "of values say --task regression",
            path=table.name,
        )
    return found[rows]


def _parts_by_time(starts: "NDArray[np.intp]", rows: int, spec: Spec) -> "NDArray[np.intp]":
    """Part the windows of a single recording: the first rows are learned from, the last tested.

    Windows that overlap are no strangers, so one whose rows lie in two parts is in none.
    """
    import numpy as np

    borders = np.cumsum(FRACTIONS)[:-1] * rows
    first = np.searchsorted(borders, starts, side="right")
    ends = starts + spec.window + spec.horizon - 1
    return np.where(first == np.searchsorted(borders, ends, side="right"), first, OUTSIDE)


def _too_long(name: str, spec: Spec, longest: int) -> DataError:
    need = f"{spec.window:,} rows"
    if spec.horizon:
        need = f"{spec.window:,} rows and {spec.horizon:,} of the horizon"
    return DataError(
        f"a window has {need}, and the longest recording of '{name}' has {longest:,}: give a "
        "smaller --window, or longer recordings",
        path=name,
        window=spec.window,
        longest=longest,
    )
