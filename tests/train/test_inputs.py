"""What training reads: tables, windows, groups, and each bad input in one sentence."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.errors import ConfigError, DataError
from gatelet.runtime.data.arrays import Arrays
from gatelet.train.config import TrainConfig
from gatelet.train.inputs import read_given
from gatelet.train.inputs.parting import FRACTIONS, part_groups
from gatelet.train.prepare import Prepared, prepare

ROWS = 400


def config(data: Path, **settings: Any) -> TrainConfig:
    return TrainConfig.resolve(overrides={"data": data, "out": data.parent / "run", **settings})


def write(path: Path, *, groups: int = 10, **changed: Callable[[int], object]) -> Path:
    """Write ROWS rows: one of so many groups, two numbers, a text, a label by the first's sign."""
    columns: dict[str, Callable[[int], object]] = {
        "who": lambda row: f"g{row * groups // ROWS}",
        "a": lambda row: round(np.sin(row / 3), 4),
        "b": lambda row: row / 10,
        "text": lambda row: "word",
        "label": lambda row: "up" if np.sin(row / 3) > 0 else "down",
        **changed,
    }
    lines = [",".join(str(made(row)) for made in columns.values()) for row in range(ROWS)]
    path.write_text("\n".join([",".join(columns), *lines, ""]))
    return path


def arrays_of(data: Path, **settings: Any) -> Arrays:
    rows = read_given(config(data, **settings)).rows
    assert isinstance(rows, Arrays)
    return rows


def by_hand(data: Path, *, window: int, stride: int) -> tuple[list[Any], list[str], list[str]]:
    """Return windows, last labels and groups, with loops and no NumPy of ours."""
    rows = [line.split(",") for line in data.read_text().splitlines()[1:]]
    x, y, of = [], [], []
    for group in dict.fromkeys(row[0] for row in rows):
        mine = [row for row in rows if row[0] == group]
        for at in range(0, len(mine) - window + 1, stride):
            part = mine[at : at + window]
            x.append([[float(row[1]), float(row[2])] for row in part])
            y.append(part[-1][4])
            of.append(group)
    return x, y, of


@pytest.mark.parametrize(("window", "stride"), [(7, 3), (40, None), (1, 1)])
def test_windows_are_those_of_each_recording(
    tmp_path: Path, window: int, stride: int | None
) -> None:
    data = write(tmp_path / "d.csv")
    found = arrays_of(data, group="who", window=window, stride=stride)
    x, y, of = by_hand(data, window=window, stride=stride or window)
    assert np.array_equal(found.inputs[0], np.array(x, np.float32))
    assert found.targets is not None and found.targets.tolist() == y
    assert found.groups is not None and found.groups.tolist() == of


def test_a_recording_need_not_be_in_one_piece(tmp_path: Path) -> None:
    data = write(tmp_path / "d.csv", who=lambda row: f"g{row % 5}")
    found = arrays_of(data, group="who", window=3)
    assert found.inputs[0][0, :, 1].tolist() == pytest.approx([0, 0.5, 1.0])


def test_parquet_gives_what_csv_gives(tmp_path: Path) -> None:
    import pyarrow.csv
    import pyarrow.parquet

    data = write(tmp_path / "d.csv")
    pyarrow.parquet.write_table(pyarrow.csv.read_csv(data), tmp_path / "d.parquet")
    one, other = (arrays_of(path, group="who", window=8) for path in (data, tmp_path / "d.parquet"))
    assert np.array_equal(one.inputs[0], other.inputs[0])
    assert one.targets is not None and other.targets is not None
    assert one.groups is not None and other.groups is not None
    assert np.array_equal(one.targets, other.targets)
    assert np.array_equal(one.groups, other.groups)


def test_recordings_that_are_too_short_are_counted_and_all_of_them_refused(tmp_path: Path) -> None:
    data = write(tmp_path / "d.csv", who=lambda row: "long" if row < 370 else f"s{row // 10}")
    given = read_given(config(data, group="who", window=12))
    assert given.dropped == {"short recordings": 3}
    with pytest.raises(DataError, match=r"a window has 500 rows, and the longest .* has 370"):
        read_given(config(data, group="who", window=500))


def test_a_single_recording_is_parted_by_time_and_no_row_is_in_two_parts(tmp_path: Path) -> None:
    prepared = prepare(config(write(tmp_path / "d.csv"), window=8, stride=1, columns="a,b"))
    rows = [
        set(np.rint(part.inputs[0][:, :, 1].ravel() * 10).astype(int)) for part in parts(prepared)
    ]
    assert max(rows[0]) < min(rows[1]) <= max(rows[1]) < min(rows[2])
    assert [min(one) for one in rows] == [0, 320, 360]
    assert prepared.source["dropped"] == {
        "duplicates": 0,
        "contradictory": 0,
        "between two parts": 14,
    }


def parts(prepared: Prepared) -> tuple[Any, Any, Any]:
    found = prepared.parts
    return found.train, found.validation, found.test


@pytest.mark.parametrize("groups", [3, 4, 8, 25])
def test_no_group_is_in_two_parts_and_each_part_has_all_labels(tmp_path: Path, groups: int) -> None:
    data = write(tmp_path / "d.csv", groups=groups)
    settings = {"group": "who", "window": 5, "stride": 2}
    prepared = prepare(config(data, **settings))
    held = [set(part.groups.tolist()) for part in parts(prepared)]
    assert all(held) and sum(map(len, held)) == len(set.union(*held)) == groups
    assert all(set(part.targets.tolist()) == {"up", "down"} for part in parts(prepared))
    again = [set(part.groups.tolist()) for part in parts(prepare(config(data, **settings)))]
    assert again == held


def test_a_group_stays_where_it_is_when_others_come() -> None:
    few = part_groups([f"g{i}" for i in range(60)], [(0,)] * 60, names=["x"], name="d")
    many = part_groups([f"g{i}" for i in range(90)], [(0,)] * 90, names=["x"], name="d")
    assert many[:60] == few
    shares = np.bincount(many) / 90
    assert np.abs(shares - FRACTIONS).max() < 0.1


def test_labels_of_few_groups_go_where_they_are_needed_most() -> None:
    groups = [f"g{i}" for i in range(40)]
    labels = [
        (0, 1) if i == 3 else (0, 2) if i in (5, 9) else (0, 3) if i % 13 == 0 else (0,)
        for i in range(40)
    ]
    found = part_groups(groups, labels, names="abcd", name="d")
    where = {one: {found[i] for i in range(40) if one in labels[i]} for one in range(4)}
    assert where == {0: {0, 1, 2}, 1: {0}, 2: {0, 2}, 3: {0, 1, 2}}


def test_texts_of_a_group_stay_together(tmp_path: Path) -> None:
    lines = [f"w{i} w{i % 7},{'ab'[i % 2]},u{i % 9}" for i in range(180)]
    data = tmp_path / "t.csv"
    data.write_text("\n".join(["text,label,author", *lines, ""]))
    held = [set(part.groups) for part in parts(prepare(config(data, group="author")))]
    assert sum(map(len, held)) == len(set.union(*held)) == 9


def test_features_are_brought_to_mean_0_by_the_training_part(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    x = rng.normal((5, -300, 7), (2, 50, 0), (200, 4, 3))
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(200) % 2)
    prepared = prepare(config(tmp_path / "d.npz"))
    assert prepared.features is not None
    train = np.asarray(prepared.parts.train.inputs[0], np.float64).reshape(-1, 3)
    assert prepared.features.mean == pytest.approx(train.mean(axis=0))
    assert prepared.features.variance[:2] == pytest.approx(train.var(axis=0)[:2])
    assert prepared.features.variance[2] == 1  # it never changes


SHAPES: dict[str, tuple[Any, str]] = {
    "classes": (lambda x: (x[:, 0, 0] > 0).astype(int), "binary"),
    "names": (lambda x: np.array(["a", "b", "c"])[np.arange(len(x)) % 3], "multiclass"),
    "whole floats": (lambda x: np.float32(np.arange(len(x)) % 4), "multiclass"),
    "fractions": (lambda x: x[:, 0, 0], "regression"),
    "horizon": (lambda x: x[:, :3, 0], "regression"),
    "steps": (lambda x: (x[:, :, 0] > 0).astype(int), "tags"),
    "sets": (lambda x: (x[:, 0, :2] > 0).astype(int), "multi-label"),
}


@pytest.mark.parametrize("kind", SHAPES)
def test_the_task_is_told_from_the_answers(tmp_path: Path, kind: str) -> None:
    x = np.random.default_rng(3).normal(size=(120, 5, 2)).astype(np.float32)
    answers, task = SHAPES[kind]
    np.savez(tmp_path / "d.npz", x=x, y=answers(x))
    assert prepare(config(tmp_path / "d.npz")).task.name == task


def test_whole_numbers_are_values_if_somebody_says_so(tmp_path: Path) -> None:
    x = np.random.default_rng(3).normal(size=(120, 5, 2))
    np.savez(tmp_path / "d.npz", x=x, y=np.arange(120) % 9)
    prepared = prepare(config(tmp_path / "d.npz", task="regression"))
    assert prepared.unit is not None and prepared.unit.mean.shape == (1,)
    examples = prepared.examples(prepared.parts.train)
    assert examples.targets.mean() == pytest.approx(0, abs=1e-6)
    assert examples.targets.std() == pytest.approx(1, abs=1e-6)


NUMBERS = np.random.default_rng(4).normal(size=(80, 5, 2)).astype(np.float32)
HALF = np.arange(80) % 2
BAD_ARRAYS: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "one class": ({"y": HALF * 0}, {}, "only the label '0' in 80 rows"),
    "NaN target": ({"y": np.where(HALF, np.nan, 1.0)}, {}, "'y' is no finite number in row 1"),
    "inf feature": (
        {"x": np.where(NUMBERS[3, 2, 1] == NUMBERS, np.inf, NUMBERS)},
        {},
        "'x' is inf in row 3, timestep 2, feature 1",
    ),
    "shape of x": ({"x": NUMBERS[:, :, 0]}, {}, r"the features are \[80, 5\], expected one array"),
    "one-hot or sets": ({"y": np.eye(3)[np.arange(80) % 3]}, {}, "say --task multiclass if"),
    "shape of y": ({"y": np.ones((80, 3), int) * 4}, {}, "nobody can tell what it means"),
    "y of steps": ({"y": HALF}, {"task": "tags"}, r"'y' is int64 \[80\], expected \[80, 5\]"),
    "an empty class": (
        {"y": np.stack([HALF, HALF * 0, HALF], 1)},
        {},
        "no row has the label '1', of 80",
    ),
    "names of labels": (
        {"y": np.stack([HALF, 1 - HALF, HALF * 0], 1)},
        {"label_columns": "a,b"},
        "'y' has 3 labels a row, and --label-columns names 2",
    ),
    "no group": ({}, {"group": "who"}, r"has no array 'who' \(the groups\)"),
    "two groups": ({"group": HALF}, {}, "has 2 groups, and 3 are needed"),
    "too many labels": ({"y": np.arange(80) % 3}, {"task": "binary"}, "has 3 labels .* for 2"),
}


@pytest.mark.parametrize("kind", BAD_ARRAYS)
def test_bad_arrays_are_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    given, settings, said = BAD_ARRAYS[kind]
    np.savez(tmp_path / "d.npz", **{"x": NUMBERS, "y": HALF, **given})
    refused(tmp_path / "d.npz", settings, said)


def refused(data: Path, settings: dict[str, Any], said: str) -> None:
    with pytest.raises((DataError, ConfigError)) as caught:
        prepare(config(data, **settings))
    assert re.search(said, str(caught.value)), caught.value
    assert "\n" not in str(caught.value)


WINDOW = {"window": 5, "group": "who"}
BAD_TABLES: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "no group column": ({}, {**WINDOW, "group": "whom"}, "has no column 'whom'; .* with --group"),
    "no label column": (
        {},
        {**WINDOW, "label_column": "y"},
        "has no column 'y'; .* with --label-column",
    ),
    "no column": ({}, {**WINDOW, "columns": "a,z"}, "has no column 'z'; .* with --columns"),
    "a text": (
        {},
        {**WINDOW, "columns": "a,text"},
        "line 2: the column 'text' is 'word', expected a finite number",
    ),
    "NaN": (
        {"b": lambda row: "nan" if row == 7 else row},
        WINDOW,
        "line 9: the column 'b' is 'nan', expected a finite number",
    ),
    "a hole": ({"b": lambda row: "" if row == 7 else row}, WINDOW, "line 9: the column 'b' is ''"),
    "no label": (
        {"label": lambda row: "" if row == 4 else "xy"[row % 2]},
        WINDOW,
        "line 6: the column 'label' is empty",
    ),
    "one label": ({"label": lambda row: "up"}, WINDOW, "only the label 'up'"),
    "several labels": (
        {},
        {**WINDOW, "label_columns": "a,b", "columns": "b"},
        "line 3: 'a' is 0.3272, expected 1 where the row has that label",
    ),
    "long horizon": (
        {},
        {"window": 5, "horizon": 396, "label_column": "a"},
        "a window has 5 rows and 396 of the horizon, and the longest .* has 400",
    ),
    "a text ahead": (
        {},
        {"window": 5, "horizon": 2},
        "the column 'label' is 'down', expected a finite number",
    ),
    "a horizon of labels": (
        {},
        {"window": 5, "horizon": 2, "task": "binary"},
        "'horizon' predicts values, and 'task' is 'binary'",
    ),
    "a stride alone": ({}, {"stride": 2}, "'stride' is for windows .*: give --window"),
    "a metric of another task": (
        {},
        {**WINDOW, "metric": "mae"},
        "'metric' is 'mae', which a binary model does not have; allowed: loss, accuracy",
    ),
    "an unknown metric": ({}, {**WINDOW, "metric": "f2"}, "'metric' is 'f2'; allowed: 'loss' or"),
    "weights of values": (
        {},
        {**WINDOW, "horizon": 1, "label_column": "a", "class_weights": "balanced"},
        "'class_weights' is for labels",
    ),
    "a threshold of none": (
        {"label": lambda row: "xyz"[row % 3]},
        {**WINDOW, "tune_threshold": True},
        "'tune_threshold' is for models whose scores have thresholds",
    ),
    "two folds": ({}, {**WINDOW, "folds": 2}, "'folds' is 2; allowed: 0, or 3 and more"),
}


@pytest.mark.parametrize("kind", BAD_TABLES)
def test_bad_tables_are_refused_in_one_sentence(tmp_path: Path, kind: str) -> None:
    changed, settings, said = BAD_TABLES[kind]
    refused(write(tmp_path / "d.csv", **changed), settings, said)


@pytest.mark.parametrize(
    ("line", "settings", "said"),
    [
        ('{"text": "a b c", "labels": ["x", "y"]}', {}, "row 61 has 2 labels and 3 tokens"),
        ('{"text": "a b"}', {}, "line 61 has no column 'label'"),
        ('{"text": "a b", "labels": ["x", {}]}', {}, "line 61: 'labels' is an object"),
        ('{"text": "a b", "label": "x"}', {}, "60 of 61 rows have the key 'labels'"),
        ('{"text": "a b", "labels": "x y"}', {"pooling": "mean"}, "answers each timestep"),
    ],
)
def test_bad_tags_are_refused_in_one_sentence(
    tmp_path: Path, line: str, settings: dict[str, Any], said: str
) -> None:
    lines = [f'{{"text": "a{i} b", "labels": ["x", "y"]}}' for i in range(60)]
    data = tmp_path / "t.jsonl"
    data.write_text("\n".join([*lines, line, ""]))
    refused(data, settings, said)


def test_columns_of_labels_hold_0_and_1(tmp_path: Path) -> None:
    data = tmp_path / "s.csv"
    data.write_text(
        "text,p,q\n" + "".join(f"w{i},{i % 2},{'maybe' if i == 9 else 1}\n" for i in range(60))
    )
    refused(data, {"label_columns": "p,q"}, "line 11: 'q' is 'maybe', expected 1 where")
    refused(data, {"label_columns": "p,r"}, "has no column 'r'; .* with --label-columns")
