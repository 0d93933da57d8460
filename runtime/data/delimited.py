"""Fields of CSV and TSV files, whatever they hold.

Not what they mean: texts are `gatelet.runtime.data.datafiles`, numbers `gatelet.train.inputs`.
"""

import csv
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gatelet.errors import DataError
from gatelet.runtime.data.lines import decoded, open_bytes

DELIMITERS = {".csv": ",", ".tsv": "\t"}
FIELD_CHARACTERS_MAX = 2**31 - 1  # the largest limit that csv takes on every platform

# csv has one limit for the whole process; whoever changes it holds this lock until it is back.
_FIELD_LIMIT = threading.Lock()


def kind_of(path: Path) -> tuple[str, bool]:
    """Return what a file's name says it is, such as '.csv', and whether it is compressed."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    zipped = suffixes[-1:] == [".gz"]
    return "".join(suffixes[:-1][-1:] if zipped else suffixes[-1:]), zipped


def read_fields(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Read the fields of a CSV or TSV file, whatever they hold.

    Args:
        path: A `.csv` or `.tsv` file in UTF-8, with `.gz` or not.

    Yields:
        The line and the fields of each row, the header first.

    Raises:
        DataError: As `read_file`.
    """
    kind, zipped = kind_of(path)
    if kind not in DELIMITERS:
        raise DataError(
            f"rows of numbers are read from .csv, .tsv, .parquet or .npz, not from '{path}': "
            "convert it",
            path=str(path),
        )
    with open_bytes(path, zipped=zipped) as stream:
        yield from fields_of(path, decoded(path, stream), delimiter=DELIMITERS[kind])


def fields_of(
    path: Path, lines: Iterable[str], *, delimiter: str
) -> Iterator[tuple[int, list[str]]]:
    """Read rows of fields, the header first, all as many as it has.

    Args:
        path: For messages.
        lines: Of the file.
        delimiter: What separates fields.

    Yields:
        The line that a row starts in, and its fields.

    Raises:
        DataError: A quote is not closed, or a row has more or fewer fields.
    """
    with _long_fields():
        yield from _fields(path, lines, delimiter)


def _fields(path: Path, lines: Iterable[str], delimiter: str) -> Iterator[tuple[int, list[str]]]:
    # strict: without it, a quote that is never closed swallows the rest of the file in silence.
    pieces = (piece for line in lines for piece in _split_cr(line))
    reader = csv.reader(pieces, delimiter=delimiter, strict=True)
    width = 0
    while True:
        line = reader.line_num + 1
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            raise DataError(
                f"'{path}' line {line}: the row that starts here has a quote that is not closed or "
                f"not doubled ({error}); double the quotes inside a field, or use .jsonl",
                path=str(path),
                line=line,
            ) from error
        if not fields:
            continue
        width = width or len(fields)
        if len(fields) != width:
            raise DataError(
                f"'{path}' line {line}: expected {width} fields, as in the header, "
                f"got {len(fields)}; quote a field that holds the separator",
                path=str(path),
                line=line,
                expected=width,
                got=len(fields),
            )
        yield line, fields


def _split_cr(line: str) -> list[str]:
    r"""Split at a lone \r, which the csv module refuses inside a line and old files end lines with.

    Not str.splitlines: that splits at U+2028 and its like too.
    """
    if "\r" not in line[:-2]:
        return [line]
    end = "\r\n" if line.endswith("\r\n") else ""
    pieces = line.removesuffix("\r\n").split("\r")
    return [piece + "\r" for piece in pieces[:-1]] + [pieces[-1] + end]


@contextmanager
def _long_fields() -> Iterator[None]:
    with _FIELD_LIMIT:
        before = csv.field_size_limit(FIELD_CHARACTERS_MAX)
        try:
            yield
        finally:
            csv.field_size_limit(before)
