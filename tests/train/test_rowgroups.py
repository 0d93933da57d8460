"""Parquet larger than memory: the windows of a file in memory, read by row groups."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.errors import ConfigError, DataError
from gatelet.runtime.data.run import sha256_of_rows
from gatelet.train import TrainConfig, prepare
from gatelet.train.inputs import Given, fragments, read_given
from gatelet.train.inputs.fragments import Stored

ROWS = 400
GROUP_ROWS = 33


def columns(**changed: Any) -> dict[str, list[Any]]:
    """Return rows of ten recordings of 40 rows but for one of 3: numbers, a text, and answers."""
    at = range(ROWS)
    wave = np.sin(np.arange(ROWS) / 3).tolist()
    return {
        "who": [f"g{min(row, ROWS - 4) // 40}" if row < ROWS - 3 else "short" for row in at],
        "a": wave,
        "b": [row / 10 for row in at],
        "c": list(at),
        "text": ["word"] * ROWS,
        "up": [int(one > 0) for one in wave],
        "late": [int(row % 40 > 20) for row in at],
        "label": ["up" if one > 0 else "down" for one in wave],
        **changed,
    }


def write(folder: Path, given: dict[str, list[Any]], *, files: int = 1) -> Path:
    """Write one file, or a folder of several, with row groups of 33 rows or fewer."""
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table(given)
    if files == 1:
        pyarrow.parquet.write_table(table, folder / "d.parquet", row_group_size=GROUP_ROWS)
        return folder / "d.parquet"
    (folder / "parts").mkdir()
    size = -(-ROWS // files)
    for number in range(files):
        path = folder / "parts" / f"{number}.parquet"
        part = table.slice(number * size, size)
        pyarrow.parquet.write_table(part, path, row_group_size=GROUP_ROWS)
    return folder / "parts"


def given_of(data: Path, **settings: Any) -> Given:
    return read_given(config(data, **settings))


def config(data: Path, **settings: Any) -> TrainConfig:
    return TrainConfig.resolve(overrides={"data": data, "out": data.parent / "run", **settings})


@pytest.fixture
def on_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fragments, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(fragments, "POOL_BYTES", 4 * GROUP_ROWS * 3 * 8)


SETTINGS: dict[str, dict[str, Any]] = {
    "labels": {"window": 7, "stride": 3, "group": "who"},
    "wide windows": {"window": 39, "stride": 1, "group": "who"},
    "one row": {"window": 1, "group": "who"},
    "a label a timestep": {"window": 7, "group": "who", "task": "tags"},
    "several labels": {"window": 7, "group": "who", "label_columns": "up,late", "columns": "b,a"},
    "values": {"window": 7, "group": "who", "label_column": "b", "task": "regression"},
    "one recording": {"window": 7, "stride": 3, "columns": "a"},
    "the next values": {"window": 6, "stride": 1, "horizon": 4, "label_column": "a"},
    "numbered recordings": {"window": 7, "group": "late", "label_column": "up"},
}


@pytest.mark.parametrize("files", [1, 3])
@pytest.mark.parametrize("kind", SETTINGS)
def test_windows_on_disk_are_those_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, files: int
) -> None:
    settings, rows = SETTINGS[kind], columns()
    if kind == "numbered recordings":
        rows["late"] = [float(row // 50) for row in range(ROWS)]
    expected = given_of(write(tmp_path, rows), **settings)
    monkeypatch.setattr(fragments, "IN_MEMORY_BYTES", 0)
    monkeypatch.setattr(fragments, "POOL_BYTES", 4 * GROUP_ROWS * 3 * 8)
    found = given_of(write(tmp_path, rows, files=files), **settings)
    whole: Any = expected.rows
    stored: Any = found.rows
    assert isinstance(whole.inputs[0], np.ndarray) and isinstance(stored.inputs[0], Stored)
    assert sha256_of_rows(stored) == sha256_of_rows(whole)
    assert np.array_equal(stored.targets, whole.targets)
    assert (stored.groups is None) == (whole.groups is None)
    if whole.groups is not None:
        assert np.array_equal(stored.groups, whole.groups)
    assert (found.columns, found.dropped) == (expected.columns, expected.dropped)
    parts: list[Any] = [found.parts, expected.parts]
    assert np.array_equal(*parts)
    order = stored.inputs[0].shuffled(np.random.default_rng(0))
    assert sorted(order.tolist()) == list(range(len(whole)))
    assert np.array_equal(stored.inputs[0][order], whole.inputs[0][order])


def test_a_small_parquet_file_is_read_into_memory(tmp_path: Path) -> None:
    rows: Any = given_of(write(tmp_path, columns()), window=7, group="who").rows
    assert isinstance(rows.inputs[0], np.ndarray)


@pytest.mark.usefixtures("on_disk")
def test_windows_on_disk_are_prepared(tmp_path: Path) -> None:
    data = write(tmp_path, columns(), files=2)
    found = prepare.prepare(config(data, window=7, stride=3, group="who"))
    assert found.source["columns"] == ["a", "b", "c", "up", "late"]
    assert found.source["dropped"] == {"duplicates": 0, "contradictory": 0, "short recordings": 1}
    assert found.features is not None and found.features.timesteps == 7
    assert isinstance(found.inputs(found.parts.train), Stored)


WINDOW = {"window": 5, "group": "who"}
TURNS = [f"g{row % 3}" for row in range(ROWS)]
BAD: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "recordings in turn": (
        {"who": TURNS},
        WINDOW,
        "row 4: the rows of 'g0' do not follow each other, .*: sort it by 'who'",
    ),
    "an empty group": (
        {"who": ["g0", None, *TURNS[2:]]},
        WINDOW,
        "row 2: the column 'who' is empt",
    ),
    "a blank group": ({"who": ["g0", " ", *TURNS[2:]]}, WINDOW, "the column 'who' is empty"),
    "no group column": ({}, {**WINDOW, "group": "whom"}, "no column 'whom'; .* with --group"),
    "no label column": (
        {},
        {**WINDOW, "label_column": "y"},
        "no column 'y'; .* with --label-column",
    ),
    "no column": ({}, {**WINDOW, "columns": "a,z"}, "no column 'z'; .* with --columns"),
    "a text": (
        {},
        {**WINDOW, "columns": "a,text"},
        "row 1: the column 'text' is 'word', expected a finite number",
    ),
    "NaN": (
        {"b": [np.nan if row == 70 else row for row in range(ROWS)]},
        WINDOW,
        "row 71: the column 'b' is 'nan', expected a finite number",
    ),
    "nothing": (
        {"b": [None if row == 70 else row for row in range(ROWS)]},
        WINDOW,
        "row 71: the column 'b' is 'None', expected a finite number",
    ),
    "too large": (
        {"b": [1e39 if row == 70 else row for row in range(ROWS)]},
        WINDOW,
        "row 71: the column 'b' is more than float32 holds",
    ),
    "no flag": (
        {"up": [2 if row == 74 else 1 for row in range(ROWS)]},
        {**WINDOW, "label_columns": "up,late"},
        "row 75: 'up' is 2, expected 1",
    ),
    "too long": ({}, {**WINDOW, "window": 41}, "longest recording of '.*' has 40"),
}


@pytest.mark.usefixtures("on_disk")
@pytest.mark.parametrize("kind", BAD)
def test_bad_row_groups_are_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    changed, settings, said = BAD[kind]
    data = write(tmp_path, columns(**changed))
    with pytest.raises((DataError, ConfigError)) as caught:
        prepare.prepare(config(data, **settings))
    assert re.search(said, str(caught.value)), caught.value
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("on_disk")
def test_files_that_are_no_parquet_or_not_alike_are_refused(tmp_path: Path) -> None:
    data = write(tmp_path, columns(), files=2)
    other = write(tmp_path, {name: cells for name, cells in columns().items() if name != "b"})
    (data / "1.parquet").write_bytes(other.read_bytes())
    with pytest.raises(DataError, match=r"1\.parquet' has the columns who, a, c, .*must be alike"):
        given_of(data, **WINDOW)
    (data / "1.parquet").write_bytes(b"no")
    with pytest.raises(DataError, match=r"1\.parquet' cannot be read as Parquet"):
        given_of(data, **WINDOW)
