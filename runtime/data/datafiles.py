"""The rows of a data file: CSV, TSV, JSONL, each also gzipped, and a folder per class.

Not what is done with the rows: that is `gatelet.runtime.data.dataset`.
"""

import csv
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gatelet.errors import DataError
from gatelet.runtime.data.delimited import DELIMITERS, fields_of, kind_of
from gatelet.runtime.data.lines import decoded, open_bytes, read_text

Row = tuple[str, str | tuple[str, ...] | None, str]
"""A text, its label or several of them, and its group: '' where there are none."""

LISTS = "labels"
"""The JSON key of several labels a row: all that it has, or one a token."""

SEPARATORS = (",", ";", "\t", "|")
JSON_LINES = (".jsonl", ".ndjson", ".json")


@dataclass(frozen=True)
class Columns:
    """Where text and label stand in a file.

    Args:
        text: Name of the text column.
        label: Name of the label column.
        require_labels: False gives the label None where the column or the value is missing.
        group: Name of the column of groups; '' for none.
        flags: Names of columns of 0 and 1, each of which is a label that a row has or not; then
            there is no label column.
    """

    text: str
    label: str
    require_labels: bool
    group: str = ""
    flags: tuple[str, ...] = ()


def read_file(path: Path, columns: Columns) -> list[Row]:
    """Read the rows of one file; its name says which kind it is.

    Args:
        path: A `.csv`, `.tsv`, `.jsonl`, `.ndjson` or `.json` file in UTF-8, with `.gz` or not.
        columns: Where text and label stand.

    Returns:
        (text, label, group) in the order of the file.

    Raises:
        DataError: The file cannot be read, or is not what its name says.
    """
    kind, zipped = kind_of(path)
    if kind not in DELIMITERS and kind not in JSON_LINES:
        raise DataError(
            f"the kind of '{path}' is unknown: expected a name that ends in .csv, .tsv or .jsonl "
            "(also with .gz), or a folder with one sub-folder a label; rename or convert it",
            path=str(path),
        )
    with open_bytes(path, zipped=zipped) as stream:
        if kind in JSON_LINES:
            return list(_json_rows(path, decoded(path, stream), columns))
        lines = decoded(path, stream)
        return list(_delimited_rows(path, lines, columns, delimiter=DELIMITERS[kind]))


def read_folder(folder: Path) -> list[Row]:
    """Read a folder with one sub-folder a label, which holds `.txt` files of one text each.

    Args:
        folder: Sub-folders whose name starts with a dot, and other files, are left alone.

    Returns:
        (text, label, ''), labels and file names in lexicographic order.

    Raises:
        DataError: There is no sub-folder, one has no `.txt` file, or a file cannot be read.
    """
    try:
        names = sorted(f.name for f in folder.iterdir() if f.is_dir() and f.name[0] != ".")
    except OSError as error:
        raise DataError(
            f"cannot read the folder '{folder}': {error.strerror or error}; check its permissions",
            path=str(folder),
        ) from error
    if not names:
        raise DataError(
            f"the folder '{folder}' has no sub-folder: expected one a label, with .txt files; "
            "or name a .csv, .tsv or .jsonl file",
            path=str(folder),
        )
    rows: list[Row] = []
    for name in names:
        files = sorted((folder / name).glob("*.txt"))
        if not files:
            parts = sorted(one.name for one in (folder / name).iterdir() if one.is_dir())
            if parts:
                raise DataError(
                    f"the sub-folder '{name}' of '{folder}' has no .txt file but the folders "
                    f"{shown(parts)}: expected one sub-folder a label; name '{folder / name}'",
                    path=str(folder / name),
                )
            raise DataError(
                f"the sub-folder '{name}' of '{folder}' has no .txt file: expected the texts of "
                f"the label '{name}'; add them, or take the sub-folder away",
                path=str(folder / name),
            )
        rows += [(read_text(file), name, "") for file in files]
    return rows


def shown(names: Iterable[str]) -> str:
    """Quote names for a message, on one line: the wrong column may hold whole texts."""
    quoted = [repr(name if len(name) <= 40 else f"{name[:40]}...") for name in names]
    more = [f"and {len(quoted) - 12} more"] if len(quoted) > 12 else []
    return ", ".join(quoted[:12] + more) or "none"


def _delimited_rows(
    path: Path, lines: Iterable[str], columns: Columns, *, delimiter: str
) -> Iterator[Row]:
    header: list[str] | None = None
    text_at = label_at = group_at = -1
    for line, fields in fields_of(path, lines, delimiter=delimiter):
        if header is None:
            header = fields
            _check_delimiter(path, header, columns, delimiter)
            text_at, label_at, group_at = _positions(path, header, columns)
            continue
        group = fields[group_at].strip() if group_at >= 0 else ""
        if group_at >= 0 and not group:
            raise _no_group(path, line, columns)
        if columns.flags:
            given = {name: fields[header.index(name)].strip() for name in columns.flags}
            yield fields[text_at], _flagged(path, line, given), group
            continue
        label = fields[label_at].strip() if label_at >= 0 else ""
        yield fields[text_at], _checked_label(path, line, label, columns), group


def _flagged(path: Path, line: int, given: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names of the columns that say that a row has a label."""
    for name, value in given.items():
        if value.lower() not in _FLAGS:
            raise DataError(
                f"'{path}' line {line}: '{name}' is {shown([value])}, expected 1 where the row has "
                "that label and 0 where not, as --label-columns names columns of labels",
                path=str(path),
                line=line,
                column=name,
            )
    return tuple(name for name, value in given.items() if _FLAGS[value.lower()])


_FLAGS = {"1": True, "true": True, "0": False, "false": False}


def _no_group(path: Path, line: int, columns: Columns) -> DataError:
    return DataError(
        f"'{path}' line {line}: the group in column '{columns.group}' is empty: fill it in, or "
        "leave --group out",
        path=str(path),
        line=line,
    )


def _check_delimiter(path: Path, header: list[str], columns: Columns, delimiter: str) -> None:
    """Refuse a header of one field that other separators would make the right columns of."""
    if len(header) > 1 or columns.text in header:
        return
    for other in SEPARATORS:
        if other != delimiter and columns.text in next(csv.reader([header[0]], delimiter=other)):
            raise DataError(
                f"'{path}' looks separated by {other!r}, and its name says {delimiter!r}: save it "
                "with commas as .csv, or with tabs as .tsv",
                path=str(path),
            )


def _positions(path: Path, header: list[str], columns: Columns) -> tuple[int, int, int]:
    def position(column: str, flag: str) -> int:
        if header.count(column) == 1:
            return header.index(column)
        if column not in header:
            raise _missing_column(path, "", column, flag, header)
        raise DataError(
            f"'{path}' has {header.count(column)} columns named '{column}': expected one; "
            "rename the others",
            path=str(path),
        )

    text_at = position(columns.text, "--text-column")
    group_at = position(columns.group, "--group") if columns.group else -1
    if columns.flags:
        for name in columns.flags:
            position(name, "--label-columns")
        return text_at, -1, group_at
    if not columns.require_labels and columns.label not in header:
        return text_at, -1, group_at
    return text_at, position(columns.label, "--label-column"), group_at


def _missing_column(
    path: Path, where: str, column: str, flag: str, found: Iterable[str]
) -> DataError:
    return DataError(
        f"'{path}'{where} has no column '{column}'; found: {shown(found)}; "
        f"name the right one with {flag}",
        path=str(path),
        column=column,
    )


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse a key that occurs twice: json would take the last."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"it has the key {shown([twice])} twice")
    return found


def _json_rows(path: Path, lines: Iterable[str], columns: Columns) -> Iterator[Row]:
    for line, content in enumerate(lines, start=1):
        if not content.strip():
            continue
        try:
            record = json.loads(content, object_pairs_hook=_once)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"'{path}' line {line} is not JSON ({error}): expected one object a line",
                path=str(path),
                line=line,
            ) from error
        if not isinstance(record, dict):
            raise DataError(
                f"'{path}' line {line}: expected a JSON object such as "
                f'{{"text": ..., "label": ...}}, got {_json_type(record)}; write one object a line',
                path=str(path),
                line=line,
            )
        if columns.text not in record:
            raise _missing_column(path, f" line {line}", columns.text, "--text-column", record)
        several = not columns.flags and columns.label not in record and LISTS in record
        if columns.require_labels and not (columns.flags or several or columns.label in record):
            raise _missing_column(path, f" line {line}", columns.label, "--label-column", record)
        text = record[columns.text]
        if not isinstance(text, str):
            raise DataError(
                f"'{path}' line {line}: '{columns.text}' is {_json_type(text)}, expected a string; "
                f"{'join its words with spaces' if isinstance(text, list) else 'quote it'}",
                path=str(path),
                line=line,
            )
        group = ""
        if columns.group:
            if columns.group not in record:
                raise _missing_column(path, f" line {line}", columns.group, "--group", record)
            group = _json_label(path, line, record[columns.group], columns.group)
            if not group:
                raise _no_group(path, line, columns)
        yield text, _label_of(path, line, record, columns), group


def _label_of(
    path: Path, line: int, record: Mapping[str, object], columns: Columns
) -> str | tuple[str, ...] | None:
    """Return the label of a JSON record, or all of them."""
    if columns.flags and (LISTS not in record or columns.flags[0] in record):
        for name in columns.flags:
            if name not in record:
                raise _missing_column(path, f" line {line}", name, "--label-columns", record)
        given = {n: _json_label(path, line, record[n], n) for n in columns.flags}
        return _flagged(path, line, given)
    if columns.label not in record and LISTS in record:
        several = record[LISTS]
        if isinstance(several, list):
            return tuple(_json_label(path, line, one, LISTS) for one in several)
        return tuple(_json_label(path, line, several, LISTS).split())
    label = _json_label(path, line, record.get(columns.label), columns.label)
    return _checked_label(path, line, label, columns)


def _json_label(path: Path, line: int, value: object, column: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float) and math.isfinite(value):
        return str(int(value)) if value.is_integer() else repr(value)
    raise DataError(
        f"'{path}' line {line}: '{column}' is {_json_type(value)}, "
        "expected a string, a finite number, true or false",
        path=str(path),
        line=line,
    )


def _json_type(value: object) -> str:
    if value is None:
        return "null"
    names: dict[type, str] = {
        bool: "true or false", int: "a number", float: "a number", str: "a string", list: "a list"
    }  # fmt: skip
    if isinstance(value, float) and not math.isfinite(value):
        return f"the number {value}"
    return names.get(type(value), "an object")


def _checked_label(path: Path, line: int, label: str, columns: Columns) -> str | None:
    if label or not columns.require_labels:
        return label or None
    raise DataError(
        f"'{path}' line {line}: the label in column '{columns.label}' is empty; "
        "fill it in, or remove the row",
        path=str(path),
        line=line,
    )
