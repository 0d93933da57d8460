"""Tables of numbers: the columns of CSV, TSV and Parquet files.

Not the windows of their rows, which are `gatelet.train.inputs.windows`.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatelet.errors import BackendMissing, DataError
from gatelet.runtime.data.datafiles import shown
from gatelet.runtime.data.delimited import read_fields

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

PARQUET = ".parquet"


@dataclass(frozen=True)
class Table:
    """Columns of one length.

    Args:
        name: The file.
        columns: The cells of each column, by its name, in the file's order.
        where: Says where the row of that number, from 0, stands: 'line 7'.
    """

    name: str
    columns: dict[str, Sequence[Any]]
    where: Callable[[int], str]

    def __len__(self) -> int:
        """Count the rows."""
        return len(next(iter(self.columns.values()), ()))

    def column(self, name: str, flag: str) -> Sequence[Any]:
        """Return the cells of a column.

        Args:
            name: Of the column.
            flag: That names it, for messages.

        Raises:
            DataError: There is no such column.
        """
        if name not in self.columns:
            raise DataError(
                f"'{self.name}' has no column '{name}'; found: {shown(self.columns)}; name the "
                f"right one with {flag}",
                path=self.name,
                column=name,
            )
        return self.columns[name]

    def texts(self, name: str, flag: str) -> list[str]:
        """Return a column as texts; a whole number has no decimal point.

        Raises:
            DataError: There is no such column, or a cell is empty.
        """
        found = [_text(cell) for cell in self.column(name, flag)]
        empty = next((row for row, text in enumerate(found) if not text), None)
        if empty is not None:
            raise DataError(
                f"'{self.name}' {self.where(empty)}: the column '{name}' is empty: fill it in, or "
                "remove the row",
                path=self.name,
                column=name,
            )
        return found

    def numbers(self, name: str, flag: str) -> "NDArray[np.float64]":
        """Return a column as finite numbers.

        Raises:
            DataError: There is no such column, or a cell is no finite number.
        """
        import numpy as np

        found = np.array([_number(cell) for cell in self.column(name, flag)], np.float64)
        bad = np.flatnonzero(~np.isfinite(found))
        if bad.size:
            row = int(bad[0])
            cell = shown([str(self.columns[name][row])])
            raise DataError(
                f"'{self.name}' {self.where(row)}: the column '{name}' is {cell}, expected a "
                f"finite number: correct it, remove the row, or leave the column out with {flag}",
                path=self.name,
                column=name,
            )
        return found

    def numeric(self) -> list[str]:
        """Name the columns whose first cell is a number."""
        return [n for n, cells in self.columns.items() if not math.isnan(_number(cells[0], ""))]


class TableRows:
    """The rows of a table, recording after recording.

    Args:
        table: In memory.
    """

    def __init__(self, table: Table) -> None:
        import numpy as np

        self.name, self._table = table.name, table
        self._order = np.arange(len(table))

    def __len__(self) -> int:
        """Count the rows."""
        return len(self._table)

    def head(self) -> Table:
        """Return the table."""
        return self._table

    def recordings(self, column: str) -> "tuple[list[str], NDArray[np.intp]]":
        """Put the rows in order; return each recording's text, its first row and what follows."""
        import numpy as np

        texts, first, number, counts = np.unique(
            np.array(self._table.texts(column, "--group")),
            return_index=True,
            return_inverse=True,
            return_counts=True,
        )
        order = np.argsort(first)  # that of the file
        self._order = np.argsort(first[number], kind="stable")
        return texts[order].tolist(), np.append(0, np.cumsum(counts[order]))

    def windows(
        self, columns: Sequence[str], starts: "NDArray[np.intp]", window: int
    ) -> "NDArray[np.float32]":
        """Return columns of numbers of so many rows from each start on, [N, T, F]."""
        import numpy as np

        given = np.stack([self._table.numbers(one, "--columns") for one in columns], axis=1)
        with np.errstate(over="ignore"):
            found = given.astype(np.float32)
        bad = np.argwhere(~np.isfinite(found))
        if bad.size:
            row, place = bad[0].tolist()
            raise too_large(self.name, self._table.where(row), columns[place])
        taken: NDArray[np.float32] = found[self._order[starts[:, None] + np.arange(window)]]
        return taken

    def at(
        self, columns: Sequence[str], places: "NDArray[np.intp]"
    ) -> Iterator[tuple[Table, "NDArray[np.intp]"]]:
        """Return the table, and which of its rows the places are, whose columns it has all."""
        yield self._table, self._order[places]


def too_large(name: str, where: str, column: str) -> DataError:
    """Return what is said of a number that float32 does not hold."""
    return DataError(
        f"'{name}' {where}: the column '{column}' is more than float32 holds: use another unit",
        path=name,
    )


def read_table(path: Path) -> Table:
    """Read all columns of a file.

    Args:
        path: `.csv` or `.tsv`, also `.gz`, or `.parquet`.

    Raises:
        DataError: The file cannot be read, or has no rows.
        BackendMissing: PyArrow, which reads Parquet, is not installed.
    """
    if not path.is_file():
        raise DataError(f"'{path}' does not exist, or is no file: check the path", path=str(path))
    table = _read_parquet(path) if path.suffix.lower() == PARQUET else _read_delimited(path)
    if not len(table):
        raise DataError(f"'{path}' has no rows: expected a header and rows below", path=str(path))
    return table


def _read_delimited(path: Path) -> Table:
    rows = read_fields(path)
    _, header = next(rows, (0, []))
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise DataError(f"'{path}' has two columns named '{twice}': rename one", path=str(path))
    columns: dict[str, list[str]] = {name: [] for name in header}
    lines = []
    for line, fields in rows:
        lines.append(line)
        for cells, field in zip(columns.values(), fields, strict=True):
            cells.append(field)
    return Table(str(path), dict(columns), lambda row: f"line {lines[row]:,}")


def _read_parquet(path: Path) -> Table:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise BackendMissing(
            "reading Parquet needs PyArrow: pip install 'gatelet[train]'"
        ) from error
    try:
        found = pyarrow.parquet.ParquetFile(path).read()
    except (OSError, ValueError, pyarrow.lib.ArrowException) as error:
        raise unreadable(path, error) from error
    columns = {name: found.column(name).to_pylist() for name in found.column_names}
    return Table(str(path), columns, lambda row: f"row {row + 1:,}")


def unreadable(path: Path, error: Exception) -> DataError:
    """Return what is said of a Parquet file that cannot be read."""
    said = " ".join(str(error).split())[:200]
    return DataError(f"'{path}' cannot be read as Parquet: {said}", path=str(path))


def _text(cell: object) -> str:
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return "" if cell is None else str(cell).strip()


def _number(cell: object, broken: str = "nan") -> float:
    """Return a cell as a number, NaN where it is none; with broken='' an infinity for 'nan'."""
    try:
        found = float(cell if isinstance(cell, int | float) else str(cell))
    except (TypeError, ValueError):
        return math.nan
    return math.inf if not broken and math.isnan(found) else found
