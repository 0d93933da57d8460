"""Copies are no evidence: a hundred of a row say what one says. Groups are what somebody names."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gatelet.cli.main import main
from gatelet.convert import convert, convert_with_report
from gatelet.convert.diff import compare
from gatelet.convert.keras_route.bundle import KerasAnswers
from gatelet.convert.parity.notes.evidence import check_evidence
from gatelet.convert.parity.quality.baseline import standing_of
from gatelet.convert.parity.report import ParityReport
from gatelet.convert.proving import prove
from gatelet.convert.rows.drawn import MADE_UP
from gatelet.convert.rows.rows import Rows
from gatelet.errors import DataError
from gatelet.runtime import load, open_bundle
from gatelet.runtime.data.arrays import Arrays, read_arrays
from gatelet.runtime.data.dataset import Dataset, read
from tests.adversary import keras_files as files
from tests.adversary.decision_models import converted, rows_of_ids
from tests.shared import made_once
from tests.small_vectorizer import vectorizer_of

WORDS = [f"w{number}" for number in range(1, files.V - 1)]
Array = Any


@pytest.fixture(scope="module")
def rounded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Convert a classifier of texts to onnx dynamic-int8, whose figures are estimates."""

    def write(folder: Path) -> None:
        converted_to(folder, files.head(1, "sigmoid"), vectorizer=vectorizer_of(WORDS, maxlen=7))

    return made_once(tmp_path_factory, "copies-texts", write) / "bundle"


@pytest.fixture(scope="module")
def sensors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Convert a regression of two features, which decides nothing."""

    def write(folder: Path) -> None:
        layers = [files.features(width=2), files.rnn("x", width=2), files.dense(1, "rnn")]
        converted_to(folder, layers, labels=())

    return made_once(tmp_path_factory, "copies-sensors", write) / "bundle"


def converted_to(folder: Path, layers: list[files.Layer], **settings: Any) -> None:
    model = files.save(folder / "model.keras", layers, trained="binary_crossentropy")
    given = {"targets": ["onnx"], "schemes": ["float32", "dynamic-int8"], "with_keras": False}
    convert(model, folder / "bundle", **{"labels": ("no", "yes"), **given, **settings})


def judged(bundle: Path, *inputs: Array, labelled: bool = True, groups: Any = None) -> ParityReport:
    """Judge a bundle on rows that its own Graph labels."""
    truth = None
    if labelled:
        given = inputs[0] if len(inputs) == 1 else list(inputs)
        scores = np.asarray(load(bundle, target="reference").scores(given))
        truth = np.where(scores[:, 0] >= 0.5, "yes", "no") if open_bundle(bundle).labels else scores
    rows = Arrays(inputs, truth, "own.npz", groups)
    return prove(open_bundle(bundle), rows, with_keras=False)


def figures(report: ParityReport, scheme: str = "dynamic-int8") -> dict[str, Any]:
    """Return the interval and verdict of each check that has an interval."""
    (one,) = (one for one in report.artifacts if one.scheme == scheme)
    return {
        check.name: (check.verdict, check.figure, check.interval)
        for check in one.checks
        if check.interval is not None
    }


# ---- Copies --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "copy",
    [
        pytest.param(lambda rows: np.tile(rows, (100, 1)), id="all rows a hundred times"),
        pytest.param(lambda rows: np.repeat(rows, 60, axis=0), id="one after the other"),
        pytest.param(lambda rows: np.concatenate([rows, *[rows[:1]] * 900]), id="one row often"),
        pytest.param(lambda rows: np.tile(rows, (90, 1)).astype(np.int64), id="in another type"),
    ],
)
def test_copies_of_twenty_rows_say_what_twenty_rows_say(
    rounded: Path, copy: Callable[[Array], Array]
) -> None:
    rows = rows_of_ids(20)
    alone, copied = judged(rounded, rows), judged(rounded, copy(rows))
    assert alone.verdict == copied.verdict == "undecided"
    assert figures(alone) == figures(copied)
    assert copied.quality == alone.quality and copied.distinct_rows == 20
    assert any("20 are distinct: copies count once" in note for note in copied.notes)


@pytest.mark.parametrize(
    "rows",
    [
        np.zeros((900, 7), np.int32),
        np.tile(np.arange(1, 8, dtype=np.int32), (50, 1)),
        np.full((2, 7), 3, np.int32),
    ],
)
def test_rows_that_are_all_equal_leave_everything_undecided(rounded: Path, rows: Array) -> None:
    report = judged(rounded, rows)
    assert [one.verdict for one in report.artifacts] == ["undecided", "undecided"]
    for one in report.artifacts:
        (check,) = (check for check in one.checks if check.name == "rows")
        assert check.note.startswith(f"all {len(rows)} rows are equal")


def test_texts_of_the_same_ids_are_copies_and_each_is_read(rounded: Path) -> None:
    rng = np.random.default_rng(5)
    texts = [" ".join(rng.choice(WORDS, 5)) for _ in range(20)]
    spelt = [
        text.upper() if turn % 2 else f"  {text} unknown" for turn in range(40) for text in texts
    ]
    report = prove(open_bundle(rounded), Dataset(tuple(spelt), None, "own.csv"), with_keras=False)
    assert (report.rows, report.distinct_rows, report.verdict) == (800, 20, "undecided")
    (ids,) = (check for check in report.artifacts[0].checks if check.name == "ids")
    assert ids.verdict == "pass"


def test_copies_show_nothing_of_a_regression_either(sensors: Path) -> None:
    rows = np.random.default_rng(6).normal(size=(30, 8, 2)).astype(np.float32)
    alone, copied = (judged(sensors, one) for one in (rows, np.tile(rows, (40, 1, 1))))
    assert figures(alone)["spread_p99"] == figures(copied)["spread_p99"]
    assert alone.verdict == copied.verdict == "undecided"
    many = np.random.default_rng(7).normal(size=(1200, 8, 2)).astype(np.float32)
    assert judged(sensors, many).verdict == "pass"


def test_copies_of_taggers_and_of_several_outputs_count_once(tagger: Path, outputs: Path) -> None:
    for path in (tagger, outputs):
        rows = rows_of_ids(30, 6)
        alone, copied = (
            judged(path, one, labelled=False) for one in (rows, np.tile(rows, (20, 1)))
        )
        assert figures(alone, "float32") == figures(copied, "float32")


def test_copies_show_nothing_of_two_bundles(rounded: Path) -> None:
    rows = rows_of_ids(20)
    scores = np.asarray(load(rounded, target="reference").scores(rows))[:, 0]
    bundle, labels = open_bundle(rounded), np.where(scores >= 0.5, "yes", "no")
    alone, copied = (
        compare(bundle, bundle, Arrays((np.tile(rows, (n, 1)),), np.tile(labels, n), "own.npz"))
        for n in (1, 50)
    )
    for one, other in zip(alone.artifacts, copied.artifacts, strict=True):
        assert one.flips == other.flips and one.change == other.change
        assert one.flips is not None and one.flips.high > 0.1


def test_copies_make_no_model_one_that_has_learnt_nothing() -> None:
    scores, truth = np.tile([[0.9], [0.1]], (20, 1)), np.tile([0, 1], 20)
    known = {"labels": ("no", "yes"), "threshold": 0.5}
    inputs = Rows({"ids": np.zeros((40, 3), np.int32)})
    assert standing_of(scores, truth, inputs, **known).warnings  # type: ignore[arg-type]
    assert not standing_of(scores, truth, inputs, units=2, **known).warnings  # type: ignore[arg-type]


def test_a_few_copies_are_no_news(rounded: Path) -> None:
    rows = rows_of_ids(400)
    report = judged(rounded, np.concatenate([rows, rows[:20]]))
    assert report.distinct_rows is not None and report.distinct_rows <= 400
    assert not any("copies" in note for note in report.notes)
    assert report.verdict == "pass"


# ---- Inputs that never change ---------------------------------------------------------------


def test_features_that_never_change_are_named(sensors: Path) -> None:
    rows = np.random.default_rng(8).normal(size=(40, 8, 2)).astype(np.float32)
    rows[..., 1] = np.arange(8)  # the same course in each row
    notes = judged(sensors, rows).notes
    assert any(note.startswith("feature 2 of") and "never changes" in note for note in notes)
    rows[3, 3, 1] += 1
    assert not any("never changes" in note for note in judged(sensors, rows).notes)


def test_an_input_that_never_changes_is_named(tmp_path: Path) -> None:
    layers = [
        files.features("x", width=2),
        files.features("y", width=2),
        files.rnn("x", "first", width=2),
        files.rnn("y", "second", width=2),
        files.Layer("Concatenate", "joined", ("first", "second"), {"axis": -1}),
        files.Layer("Dense", "out", ("joined",), {"units": 1}, ((2 * files.U, 1), (1,))),
    ]
    bundle = converted(tmp_path, layers)
    x = np.random.default_rng(9).normal(size=(30, 5, 2)).astype(np.float32)
    report = judged(bundle, x, np.ones_like(x), labelled=False)
    names = [one.name for one in open_bundle(bundle).graph().inputs]
    assert (
        f"the input '{names[1]}' is the same in all rows: they show nothing of it" in report.notes
    )
    assert report.distinct_rows == 30


# ---- Groups ----------------------------------------------------------------------------------


def test_rows_of_groups_are_as_wide_as_their_groups(rounded: Path, sensors: Path) -> None:
    rows = np.repeat(rows_of_ids(20), 60, axis=0)
    numbers = np.arange(len(rows))  # no two rows of a group are equal
    rows[:, -2:] = 1 + np.stack([numbers // (files.V - 1), numbers], axis=1) % (files.V - 1)
    assert judged(rounded, rows).verdict == "pass"
    grouped = judged(rounded, rows, groups=np.repeat(np.arange(20), 60))
    assert grouped.verdict == "undecided"
    assert any("the rows are of 20 groups" in note for note in grouped.notes)
    jitter = np.random.default_rng(10).normal(0, 1e-4, (1200, 8, 2))
    near = np.repeat(np.random.default_rng(11).normal(size=(30, 8, 2)), 40, axis=0) + jitter
    names = np.repeat([f"machine {number}" for number in range(30)], 40)
    near = near.astype(np.float32)
    assert judged(sensors, near).verdict == "pass"
    assert judged(sensors, near, groups=names).verdict == "undecided"


def test_groups_of_one_row_change_no_verdict(rounded: Path) -> None:
    rows = rows_of_ids(600)
    plain, grouped = (judged(rounded, rows, groups=g) for g in (None, np.arange(600)))
    assert plain.verdict == grouped.verdict == "pass"


def test_a_conversion_takes_groups_too(tmp_path: Path) -> None:
    rng = np.random.default_rng(15)
    texts = tuple(" ".join(rng.choice(WORDS, 6)) for _ in range(600))
    groups = tuple(str(row // 60) for row in range(600))
    model = files.save(tmp_path / "model.keras", files.head(1, "sigmoid"), trained="mse")
    _, report = convert_with_report(
        model,
        tmp_path / "bundle",
        targets=["onnx"],
        schemes=["dynamic-int8"],
        vectorizer=vectorizer_of(WORDS, maxlen=7),
        labels=("no", "yes"),
        data=Dataset(texts, ("no", "yes") * 300, "own.csv", groups=groups),
        with_keras=False,
    )
    assert report.verdict == "undecided"
    assert "the rows are of 10 groups: intervals are of groups, not of rows" in report.notes


def test_where_keras_alone_answers_copies_count_once_too() -> None:
    rows = Rows({"x": np.zeros((50, 3), np.int32)})
    given = KerasAnswers(rows, np.zeros((50, 1)), {}, 1e-5, "3", "rows of 'own.npz'")
    assert len(given.evidence.kept) == 1
    (check,) = check_evidence(given)
    assert check.verdict == "undecided"
    assert not check_evidence(replace(given, over=MADE_UP))


def cli(capsys: pytest.CaptureFixture[str], *words: object) -> SimpleNamespace:
    capsys.readouterr()
    code = main([str(word) for word in words])
    printed = capsys.readouterr()
    return SimpleNamespace(code=code, out=printed.out, err=printed.err)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_the_command_line_takes_a_column_of_groups(
    rounded: Path, tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = np.random.default_rng(12)
    rows = [
        (" ".join(rng.choice(WORDS, 6)), ("no", "yes")[row % 2], row // 50) for row in range(900)
    ]
    if suffix == ".csv":
        lines = ["text,label,author", *(f"{a},{b},{c}" for a, b, c in rows)]
    else:
        lines = [json.dumps({"text": a, "label": b, "author": c}) for a, b, c in rows]
    data = tmp_path / f"rows{suffix}"
    data.write_text("\n".join(lines), "utf-8")
    plain = cli(capsys, "parity", rounded, "--data", data, "--no-keras", "--json")
    words = ("parity", rounded, "--data", data, "--no-keras", "--json", "--group", "author")
    grouped = cli(capsys, *words)
    ends = [
        max(c["interval"][1] for c in one["checks"] if c["name"] == "accuracy_drop")
        for found in (plain, grouped)
        for one in json.loads(found.out)["artifacts"]
        if one["scheme"] == "dynamic-int8"
    ]
    assert ends[1] > 5 * ends[0]
    evaluated = cli(capsys, "evaluate", rounded, "--data", data, "--group", "author", "--json")
    for one in json.loads(evaluated.out):
        low, high = one["accuracy_interval"]
        assert low < one["accuracy"] < high
    table = cli(capsys, "evaluate", rounded, "--data", data, "--group", "author")
    assert "95 % interval" in table.out
    assert "interval" not in cli(capsys, "evaluate", rounded, "--data", data, "--json").out


def test_evaluate_counts_copies_once_in_its_interval(
    sensors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    x = np.random.default_rng(13).normal(size=(25, 8, 2)).astype(np.float32)
    y = np.random.default_rng(14).normal(size=(25, 1)).astype(np.float32)
    found = []
    for times in (1, 30):
        path = tmp_path / f"{times}.npz"
        group = np.tile(np.arange(25), times)
        np.savez(path, x=np.tile(x, (times, 1, 1)), y=np.tile(y, (times, 1)), group=group)
        printed = cli(capsys, "evaluate", sensors, "--data", path, "--json").out
        found.append(json.loads(printed)[0])
    assert found[0]["mae_interval"] == pytest.approx(found[1]["mae_interval"])
    assert found[0]["mae_interval"][0] < found[0]["mae"] < found[0]["mae_interval"][1]


def test_groups_that_cannot_be_used_are_refused_in_one_sentence(tmp_path: Path) -> None:
    x = np.zeros((4, 3), np.float32)
    for group, said in ((np.zeros((4, 2), int), "whole number or a text"), (x[:, 0], "float32")):
        np.savez(tmp_path / "bad.npz", x=x, group=group)
        with pytest.raises(DataError, match=said):
            read_arrays(tmp_path / "bad.npz", require_targets=False)
    np.savez(tmp_path / "bad.npz", x=x, group=np.arange(3))
    with pytest.raises(DataError, match="different numbers of rows"):
        read_arrays(tmp_path / "bad.npz", require_targets=False)
    with pytest.raises(DataError, match=r"no array 'machine'.*--group"):
        read_arrays(tmp_path / "bad.npz", require_targets=False, group="machine")
    path = tmp_path / "rows.csv"
    path.write_text("text,author\na,\nb,2\n", "utf-8")
    with pytest.raises(DataError, match=r"line 2: the group in column 'author' is empty"):
        read(path, require_labels=False, group_column="author")
    with pytest.raises(DataError, match=r"no column 'who'.*--group"):
        read(path, require_labels=False, group_column="who")
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a", "author": 1}\n{"text": "b"}\n', "utf-8")
    with pytest.raises(DataError, match=r"line 2 has no column 'author'"):
        read(path, require_labels=False, group_column="author")


def test_groups_stay_with_their_rows() -> None:
    data = Arrays((np.arange(4),), None, "x", np.array(["a", "b", "c", "d"]))
    kept = data.rows([3, 1]).groups
    assert kept is not None and kept.tolist() == ["d", "b"]
    texts = Dataset(("a", "b", "c"), None, "x", groups=("1", "2", "3"))
    assert texts.rows([2, 0]).groups == ("3", "1")
