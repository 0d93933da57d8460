"""Parquet files that are larger than memory: their columns, a row group at a time.

Not the windows of their rows (`gatelet.train.inputs.windows`), nor smaller files, which are read as
tables (`gatelet.train.inputs.tables`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatelet.errors import BackendMissing, DataError
from gatelet.train.inputs.fragments import Fragment, Stored
from gatelet.train.inputs.tables import PARQUET, Table, too_large, unreadable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_BATCH_ROWS = 65_536
"""Rows that are decoded at once."""


@dataclass(frozen=True)
class RowGroups:
    """The row groups of a file, or of a folder of files by their names.

    Args:
        name: What was named.
        places: The file of each row group, and its number in it.
        ends: The rows before the end of each.
    """

    name: str
    places: tuple[tuple[Path, int], ...]
    ends: "NDArray[np.intp]"

    def __len__(self) -> int:
        """Count the rows."""
        return int(self.ends[-1]) if len(self.ends) else 0

    def begin(self, number: int) -> int:
        """Return the first row of a row group."""
        return int(self.ends[number - 1]) if number else 0

    def head(self) -> Table:
        """Return the first row, as a table."""
        first, batch = next(self._batches(0, 1))
        return _table(self.name, batch, first)

    def windows(self, columns: Sequence[str], starts: "NDArray[np.intp]", window: int) -> Stored:
        """Return windows that stay on disk, [N, T, F].

        Args:
            columns: F names, of numbers.
            starts: The first row of each.
            window: Rows of each, T.
        """
        found = []
        for number, end in enumerate(self.ends.tolist()):
            rows = end - self.begin(number)
            read = partial(self._numbers, tuple(columns), number, rows + window - 1)
            found.append(Fragment(rows, read))
        return Stored(found, (len(columns),), places=starts, window=window)

    def at(
        self, columns: Sequence[str], places: "NDArray[np.intp]"
    ) -> Iterator[tuple[Table, "NDArray[np.intp]"]]:
        """Read rows [N, ...]: a table for each row group that one of the N begins in.

        Args:
            columns: Of them.
            places: Of the rows; the first of each of the N, in order.

        Returns:
            Tables, and which of their rows the places are.
        """
        import numpy as np
        import pyarrow

        group_of = np.searchsorted(self.ends, places.reshape(len(places), -1)[:, 0], side="right")
        for number in np.unique(group_of).tolist():
            begin, asked = self.begin(number), places[group_of == number]
            local = asked.ravel() - begin
            batches = [one for _, one in self._batches(number, int(local.max()) + 1, columns)]
            taken = pyarrow.Table.from_batches(batches).take(pyarrow.array(local))
            cells = {name: taken.column(name).to_pylist() for name in columns}
            where = partial(_where, asked.ravel())
            yield Table(self.name, cells, where), np.arange(asked.size).reshape(asked.shape)

    def recordings(self, column: str) -> "tuple[list[str], NDArray[np.intp]]":
        """Return the text of each recording, and the first row of each and of what follows.

        Raises:
            DataError: A cell is empty, or rows of a recording do not follow each other.
        """
        import numpy as np

        names: list[str] = []
        firsts: list[int] = []
        for first, batch in self._batches(0, len(self), [column]):
            coded = batch.column(column).dictionary_encode()
            # which refuses an empty cell, and writes numbers as a small file's are
            told = Table(self.name, {column: coded.dictionary.to_pylist()}, str)
            if coded.null_count or not all(cell is not None for cell in told.columns[column]):
                _table(self.name, batch, first).texts(column, "--group")
            texts, codes = told.texts(column, "--group"), coded.indices.to_numpy()
            for at in [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist()]:
                if not names or names[-1] != texts[codes[at]]:
                    names.append(texts[codes[at]])
                    firsts.append(first + at)
        seen: set[str] = set()
        for name, row in zip(names, firsts, strict=True):
            if name in seen:
                raise DataError(
                    f"'{self.name}' row {row + 1:,}: the rows of '{name}' do not follow each "
                    f"other, as they must in a file that is too large for memory: sort it by "
                    f"'{column}'",
                    path=self.name,
                    column=column,
                )
            seen.add(name)
        return names, np.array([*firsts, len(self)], np.intp)

    def _batches(
        self, number: int, rows: int, columns: Sequence[str] | None = None
    ) -> Iterator[tuple[int, Any]]:
        """Read so many rows from a row group on: the first row of a batch, and the batch."""
        import pyarrow.parquet

        first = self.begin(number)
        for path, group in self.places[number:]:
            try:
                file = pyarrow.parquet.ParquetFile(path)
                for batch in file.iter_batches(
                    _BATCH_ROWS,
                    row_groups=[group],
                    columns=None if columns is None else list(columns),
                    use_threads=False,
                ):
                    taken = batch.slice(0, rows)
                    yield first, taken
                    first, rows = first + len(taken), rows - len(taken)
                    if not rows:
                        return
            except (OSError, ValueError, pyarrow.lib.ArrowException) as error:
                raise unreadable(path, error) from error

    def _numbers(self, columns: tuple[str, ...], number: int, rows: int) -> "NDArray[np.float32]":
        """Read columns as finite float32 [rows, F]; fewer rows where the data end."""
        import numpy as np

        count = min(rows, len(self) - self.begin(number))
        found = np.empty((count, len(columns)), np.float32)
        at = 0
        for first, batch in self._batches(number, count, columns):
            for place, column in enumerate(columns):
                with np.errstate(over="ignore"):
                    found[at : at + len(batch), place] = _column(self.name, batch, first, column)
            at += len(batch)
        bad = np.argwhere(~np.isfinite(found))
        if bad.size:
            row, place = bad[0].tolist()
            where = f"row {self.begin(number) + row + 1:,}"
            raise too_large(self.name, where, columns[place])
        return found


def open_row_groups(path: Path) -> RowGroups | None:
    """Read what Parquet files say of their row groups; None of another file or folder.

    Raises:
        DataError: A file cannot be read, or has other columns than the first.
        BackendMissing: PyArrow is not installed.
    """
    files = sorted(one for one in path.glob("*") if one.suffix.lower() == PARQUET)
    files = files or ([path] if path.is_file() and path.suffix.lower() == PARQUET else [])
    if not files:
        return None
    try:
        import numpy as np
        import pyarrow.parquet
    except ImportError as error:
        raise BackendMissing(
            "reading Parquet needs PyArrow: pip install 'gatelet[train]'"
        ) from error
    places: list[tuple[Path, int]] = []
    rows: list[int] = []
    names: list[str] = []
    for file in files:
        try:
            found = pyarrow.parquet.ParquetFile(file)
        except (OSError, ValueError, pyarrow.lib.ArrowException) as error:
            raise unreadable(file, error) from error
        columns = found.schema_arrow.names
        names = names or columns
        if columns != names:
            raise DataError(
                f"'{file}' has the columns {', '.join(columns)}, and '{files[0]}' "
                f"{', '.join(names)}: all files of a folder must be alike",
                path=str(file),
            )
        for number in range(found.metadata.num_row_groups):
            if count := found.metadata.row_group(number).num_rows:
                places.append((file, number))
                rows.append(count)
    return RowGroups(str(path), tuple(places), np.cumsum(rows, dtype=np.intp))


def _column(name: str, batch: Any, first: int, column: str) -> "NDArray[np.float64]":
    """Return finite numbers; what is none is told as that of a small file."""
    import numpy as np
    import pyarrow

    try:
        found = batch.column(column).cast(pyarrow.float64(), safe=False)
        numbers: NDArray[np.float64] = found.to_numpy(zero_copy_only=False)
    except pyarrow.lib.ArrowException:
        numbers = np.full(1, np.nan)
    if np.isfinite(numbers).all():
        return numbers
    return _table(name, batch, first).numbers(column, "--columns")


def _where(places: "NDArray[np.intp]", row: int) -> str:
    return f"row {int(places[row]) + 1:,}"


def _table(name: str, batch: Any, first: int) -> Table:
    """Return rows as a small file's."""
    cells = {one: batch.column(one).to_pylist() for one in batch.schema.names}
    return Table(name, cells, lambda row: f"row {first + row + 1:,}")
