"""Labelled texts: read, rid of copies, split by content, written and hashed.

Not the formats of the files (`gatelet.runtime.data.datafiles`), nor the public corpora
(`gatelet.train.corpora`).
"""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence, Sized
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Generic, TypeVar

from gatelet.errors import DataError
from gatelet.runtime.data.datafiles import LISTS, Columns, read_file, read_folder, shown
from gatelet.runtime.files import write_atomically

R = TypeVar("R", bound=Sized)

_INTEGER = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True)
class Dataset:
    """Texts with their labels.

    Args:
        texts: N texts.
        labels: N labels, or None where there are none and the caller did not ask for them.
        name: Where the rows came from, for messages.
        left_out: (reason, rows) of what the reader of a corpus left out.
        groups: Which rows belong together, N texts: of one author, say; None where nobody says.
        label_lists: Of N texts all labels that each has, or one a token; None where a row has one.
    """

    texts: tuple[str, ...]
    labels: tuple[str, ...] | None
    name: str
    left_out: tuple[tuple[str, int], ...] = ()
    groups: tuple[str, ...] | None = None
    label_lists: tuple[tuple[str, ...], ...] | None = None

    def __post_init__(self) -> None:
        """Refuse labels, or groups, that are not one a text."""
        if self.groups is not None and len(self.groups) != len(self.texts):
            raise ValueError(f"{len(self.texts)} texts but {len(self.groups)} groups")
        for one in (self.labels, self.label_lists):
            if one is not None and len(one) != len(self.texts):
                raise ValueError(f"{len(self.texts)} texts but {len(one)} labels")

    def __len__(self) -> int:
        """Count the rows."""
        return len(self.texts)

    def rows(self, places: Iterable[int]) -> "Dataset":
        """Return some of the rows, by their places."""
        kept = list(places)
        labels, groups = (
            None if one is None else tuple(one[row] for row in kept)
            for one in (self.labels, self.groups)
        )
        texts = tuple(self.texts[row] for row in kept)
        lists = self.label_lists
        return replace(
            self,
            texts=texts,
            labels=labels,
            groups=groups,
            label_lists=None if lists is None else tuple(lists[row] for row in kept),
        )

    def label_names(self) -> tuple[str, ...]:
        """List the distinct labels: by value if all are integers, else lexicographically."""
        names = set(self.labels or ())
        names.update(*(self.label_lists or ()))
        if all(_INTEGER.fullmatch(name) for name in names):
            return tuple(sorted(names, key=lambda name: (int(name), name)))
        return tuple(sorted(names))

    def label_ids(self, names: Sequence[str]) -> list[int]:
        """Return, for each row, the position of its label in `names`.

        Args:
            names: The labels in a model's order.

        Returns:
            N numbers in 0..len(names)-1.

        Raises:
            DataError: There are no labels, or one is not in `names`.
        """
        if self.labels is None:
            raise DataError(f"'{self.name}' has no labels: add a label column", path=self.name)
        ids = {name: index for index, name in enumerate(names)}
        unknown = next((label for label in self.labels if label not in ids), None)
        if unknown is not None:
            row = self.labels.index(unknown) + 1
            raise DataError(
                f"'{self.name}' has the label {shown([unknown])} (row {row}); "
                f"the model knows: {shown(names)}; correct the label, or train with it",
                path=self.name,
                label=unknown,
            )
        return [ids[label] for label in self.labels]


@dataclass(frozen=True)
class Dropped:
    """How many rows `deduplicate` dropped, by reason.

    Args:
        empty: Rows of blanks only.
        duplicates: Copies of a row that was kept.
        contradictory: All rows of texts that occur with more than one label.
    """

    empty: int
    duplicates: int
    contradictory: int


@dataclass(frozen=True)
class Split(Generic[R]):
    """The three parts of the rows."""

    train: R
    validation: R
    test: R

    def rows(self) -> dict[str, int]:
        """Count the rows of each part."""
        return {
            "train": len(self.train),
            "validation": len(self.validation),
            "test": len(self.test),
        }


def read(
    path: Path | str,
    *,
    text_column: str = "text",
    label_column: str = "label",
    require_labels: bool = True,
    group_column: str = "",
    flag_columns: Sequence[str] = (),
) -> Dataset:
    """Read labelled texts from a file or a folder.

    Labels are stripped of surrounding blanks. JSON labels become strings: 1 and 1.0 "1",
    true "true".

    Args:
        path: CSV, TSV or JSONL in UTF-8, also gzipped, or a folder with one sub-folder a label.
        text_column: The column, or JSON key, of the texts.
        label_column: The column, or JSON key, of the labels.
        require_labels: False reads a file without labels too: `labels` is then None, as it is
            when some row has none.
        group_column: The column, or JSON key, that says which rows belong together; '' for none.
        flag_columns: Columns of 0 and 1, each of them a label; instead of `label_column`.

    Returns:
        At least one row, in the order of the file.

    Raises:
        DataError: The file cannot be used; the message names the place and the remedy.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(f"'{path}' does not exist: check the path", path=str(path))
    if path.is_dir():
        rows = read_folder(path)
    else:
        flags = tuple(flag_columns)
        columns = Columns(text_column, label_column, require_labels, group_column, flags)
        rows = read_file(path, columns)
    if path.is_dir() and group_column:
        raise DataError(f"the folder '{path}' has no columns: leave --group out, or give a table")
    if not rows:
        empty = path.stat().st_size == 0
        raise DataError(
            f"'{path}' {'is empty' if empty else 'has no rows'}: expected texts"
            f"{' and labels' if require_labels else ''} under the columns "
            f"'{text_column}' and '{label_column}'",
            path=str(path),
        )
    labels = tuple(label for _, label, _ in rows if isinstance(label, str))
    lists = tuple(label for _, label, _ in rows if isinstance(label, tuple))
    if lists and len(lists) < len(rows):
        raise DataError(
            f"'{path}': {len(lists):,} of {len(rows):,} rows have the key '{LISTS}', the others "
            "have not: give it to all of them, or to none",
            path=str(path),
        )
    return Dataset(
        tuple(text for text, _, _ in rows),
        labels if len(labels) == len(rows) else None,
        str(path),
        groups=tuple(group for _, _, group in rows) if group_column else None,
        label_lists=lists or None,
    )


def require_two_labels(dataset: Dataset) -> tuple[str, ...]:
    """Check that there is something to tell apart.

    Returns:
        The label names, two or more.

    Raises:
        DataError: There are no labels, or one only.
    """
    names = dataset.label_names()
    if len(names) < 2:
        got = f"only the label {shown(names)}" if names else "no labels"
        raise DataError(
            f"'{dataset.name}' has {got} in {len(dataset):,} rows: expected two labels or more; "
            "add rows of another label, or name the right column with --label-column",
            path=dataset.name,
            labels=names,
        )
    return names


def deduplicate(dataset: Dataset) -> tuple[Dataset, Dropped]:
    """Keep one row of each text, and none of a text that contradicts itself.

    Two texts are the same if they differ in case and blanks only. To be done before splitting:
    a copy in the test part is not a test.

    Args:
        dataset: Labels or not.

    Returns:
        The first row of each text, in the order it came; and what was dropped.

    Raises:
        DataError: No row is left.
    """
    labels: tuple[str | tuple[str, ...], ...] = dataset.label_lists or dataset.labels or ()
    labels = labels or ("",) * len(dataset)
    keys = [_key(text) for text in dataset.texts]
    label_of: dict[str, str | tuple[str, ...]] = {}
    contradictions = set()
    for key, label in zip(keys, labels, strict=True):
        if label_of.setdefault(key, label) != label:
            contradictions.add(key)
    kept: list[int] = []
    seen: set[str] = set()
    empty = duplicates = contradictory = 0
    for index, key in enumerate(keys):
        if not key:
            empty += 1
        elif key in contradictions:
            contradictory += 1
        elif key in seen:
            duplicates += 1
        else:
            seen.add(key)
            kept.append(index)
    dropped = Dropped(empty=empty, duplicates=duplicates, contradictory=contradictory)
    if not kept:
        raise DataError(
            f"'{dataset.name}': no row is left of {len(dataset):,} ({empty:,} empty, {duplicates:,}"
            f" duplicates, {contradictory:,} of contradictory labels); check the columns",
            path=dataset.name,
        )
    return _select(dataset, kept, dataset.name), dropped


def split(dataset: Dataset, *, fractions: Sequence[float] = (0.8, 0.1, 0.1)) -> Split[Dataset]:
    """Split by a hash of each text, so that a text's part never depends on the others.

    No seed and no order: added rows leave the old ones where they are, and texts that differ in
    case and blanks only share a part.

    Args:
        dataset: The rows, without copies.
        fractions: Of train, validation and test; they sum to 1.

    Returns:
        The parts, each in the order of `dataset`.

    Raises:
        DataError: A part whose fraction is not 0 has no row.
    """
    if len(fractions) != 3 or min(fractions) < 0 or abs(sum(fractions) - 1) > 1e-9:
        raise ValueError(f"fractions must be three that sum to 1, not {tuple(fractions)}")
    parts: tuple[list[int], list[int], list[int]] = ([], [], [])
    for index, text in enumerate(dataset.texts):
        place = place_of(text_key(text))
        part = 0 if place < fractions[0] else 1 if place < fractions[0] + fractions[1] else 2
        parts[part].append(index)
    names = ("train", "validation", "test")
    for name, fraction, rows in zip(names, fractions, parts, strict=True):
        if fraction > 0 and not rows:
            raise DataError(
                f"'{dataset.name}' has {len(dataset):,} rows, too few to split: the {name} part "
                f"({fraction:.0%}) is empty; add rows",
                path=dataset.name,
            )
    return Split(
        *(
            _select(dataset, rows, f"{dataset.name} ({name})")
            for name, rows in zip(names, parts, strict=True)
        )
    )


def write_jsonl(dataset: Dataset, path: Path | str) -> None:
    """Write one JSON object a line, whole or not at all.

    The file is ASCII, so a lone surrogate, which UTF-8 has no bytes for, comes back by `read`.

    Args:
        dataset: Without labels, the objects have the key "text" only; with groups, "group" too.
        path: The file to write, which `read` takes if it ends in `.jsonl`.

    Raises:
        OutputError: The file cannot be written there.
    """
    write_atomically(Path(path), b"".join(_json_lines(dataset, with_groups=True)))


def sha256_of(dataset: Dataset) -> str:
    """Hash texts, labels and their order; not where they came from, nor their groups.

    Returns:
        64 hexadecimal digits: the SHA-256 of what `write_jsonl` writes without groups.
    """
    digest = hashlib.sha256()
    for line in _json_lines(dataset):
        digest.update(line)
    return digest.hexdigest()


def _json_lines(dataset: Dataset, *, with_groups: bool = False) -> list[bytes]:
    columns: dict[str, Sequence[object]] = {"text": dataset.texts}
    if dataset.label_lists is not None:
        columns[LISTS] = dataset.label_lists
    elif dataset.labels is not None:
        columns["label"] = dataset.labels
    if with_groups and dataset.groups is not None:
        columns["group"] = dataset.groups
    rows = zip(*columns.values(), strict=True)
    records = [dict(zip(columns, row, strict=True)) for row in rows]
    return [json.dumps(record).encode("ascii") + b"\n" for record in records]


def _key(text: str) -> str:
    return " ".join(text.casefold().split())


def text_key(text: str) -> bytes:
    """Return what texts share that differ in case and blanks only."""
    return _key(text).encode("utf-8", "surrogatepass")


def place_of(key: bytes) -> float:
    """Map a key to 0 <= place < 1, evenly; 53 bits, which a float holds exactly."""
    return (int.from_bytes(hashlib.sha256(key).digest()[:8], "big") >> 11) / 2**53


def _select(dataset: Dataset, rows: Sequence[int], name: str) -> Dataset:
    return replace(dataset.rows(rows), name=name)
