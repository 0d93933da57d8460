import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.errors import DataError, ModelError
from gatelet.runtime.data.arrays import Arrays, write_arrays
from gatelet.runtime.data.dataset import Dataset, write_jsonl
from gatelet.runtime.data.run import Run, is_run, sha256_of_rows, was_trained_on
from gatelet.runtime.data.truth import label_sets_of
from gatelet.runtime.vectorizer.tokenizer import Vectorizer


@pytest.fixture
def run(tmp_path: Path) -> Run:
    path = tmp_path / "run"
    path.mkdir()
    run = Run(
        path=path,
        labels=("bad", "good"),
        task="binary",
        threshold=0.4,
        provenance={"seed": 3, "interrupted": False},
    )
    run.model_path.write_bytes(b"a model")
    Vectorizer.fit(["a fine film"], num_words=10, maxlen=5).save(run.vectorizer_path)
    write_jsonl(Dataset(("fine", "dire \ud800"), ("good", "bad"), "reviews"), run.test_path)
    run.save()
    return run


def change(run: Run, **values: object) -> None:
    path = run.path / "run.json"
    stored = json.loads(path.read_bytes())
    stored.update(values)
    path.write_text(json.dumps(stored))


def test_opens_what_was_saved(run: Run) -> None:
    assert Run.open(run.path) == run
    assert Run.open(str(run.path)) == run


def test_reads_its_vectorizer_and_its_test_part(run: Run) -> None:
    opened = Run.open(run.path)
    assert opened.vectorizer().pad("a film") == [0, 0, 0, 1, 3]
    assert opened.test().texts == ("fine", "dire \ud800")
    assert opened.test().labels == ("good", "bad")


def test_tells_a_run_from_other_folders(run: Run, tmp_path: Path) -> None:
    assert is_run(run.path)
    assert not is_run(tmp_path)
    assert not is_run(tmp_path / "missing")


def test_refuses_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"run '.*missing' does not exist, or is no folder"):
        Run.open(tmp_path / "missing")


def test_refuses_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is no run \(it has no run\.json\)"):
        Run.open(tmp_path)


def test_refuses_a_newer_format_with_both_numbers(run: Run) -> None:
    change(run, format_version=3)
    with pytest.raises(ModelError, match="format_version 3; this gatelet reads up to 2") as caught:
        Run.open(run.path)
    assert caught.value.facts["format_version"] == 3
    assert caught.value.facts["supported"] == 2


@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[" * 100_000])
def test_refuses_what_is_not_json(run: Run, content: bytes) -> None:
    (run.path / "run.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"damaged run\.json: it is not JSON"):
        Run.open(run.path)


def test_refuses_json_that_is_no_object(run: Run) -> None:
    (run.path / "run.json").write_bytes(b"[]")
    with pytest.raises(ModelError, match="expected an object"):
        Run.open(run.path)


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"format": "gatelet-bundle"}, "'format' is 'gatelet-bundle', expected 'gatelet-run'"),
        ({"format_version": "1"}, "'format_version' is '1', expected an integer"),
        ({"format_version": True}, "'format_version' is True, expected an integer"),
        ({"format_version": 0}, "'format_version' is 0, expected an integer from 1"),
        ({"labels": "good"}, "'labels' is not a list of strings"),
        ({"labels": [0, 1]}, "'labels' is not a list of strings"),
        ({"labels": ["good"]}, r"'labels' is \['good'\], expected two or more"),
        ({"labels": ["a", "a"]}, r"'labels' is \['a', 'a'\], expected two or more, each once"),
        ({"labels": ["a", "b", "c"]}, "'labels' has 3 names, expected 2"),
        ({"task": "translation"}, "'task' is 'translation', expected one of"),
        ({"task": "regression"}, r"'labels' is \['bad', 'good'\], expected none"),
        ({"task": "multi-label"}, "'thresholds' has 0 numbers, expected one a label"),
        ({"task": "multi-label", "thresholds": [0.5, 1.0]}, "'thresholds' is 1.0, expected"),
        ({"thresholds": 0.5}, "'thresholds' is 0.5, expected a list"),
        ({"inputs": "sounds"}, "'inputs' is 'sounds', expected one of 'texts', 'features'"),
        ({"task": None}, "'task' is None, expected one of"),
        ({"threshold": "0.5"}, "'threshold' is '0.5', expected a number"),
        ({"threshold": True}, "'threshold' is True, expected a number"),
        ({"threshold": 1}, "'threshold' is 1, expected a number between 0 and 1"),
        ({"threshold": float("nan")}, "'threshold' is nan, expected a number between 0 and 1"),
        ({"provenance": []}, "'provenance' is not an object"),
    ],
)
def test_refuses_a_damaged_description(run: Run, values: dict[str, Any], problem: str) -> None:
    change(run, **values)
    with pytest.raises(ModelError, match=problem):
        Run.open(run.path)


@pytest.mark.parametrize("name", ["model.keras", "vectorizer.json"])
def test_refuses_a_run_with_a_missing_file(run: Run, name: str) -> None:
    (run.path / name).unlink()
    with pytest.raises(ModelError, match=f"has no {name}: train it again"):
        Run.open(run.path)


def test_a_run_without_its_test_part_opens_and_says_so_when_asked(run: Run) -> None:
    run.test_path.unlink()
    opened = Run.open(run.path)
    with pytest.raises(DataError, match=r"has no test\.jsonl: name a data file"):
        opened.test()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Run(path=Path("x"), labels=("a",), task="binary"),
        lambda: Run(path=Path("x"), labels=("a", "b"), task="other"),
        lambda: Run(path=Path("x"), labels=("a", "b"), task="binary", threshold=0.0),
    ],
)
def test_refuses_fields_that_do_not_fit_together(make: Callable[[], Run]) -> None:
    with pytest.raises(ValueError, match="expected"):
        make()


def test_a_run_of_features_keeps_arrays_and_needs_format_2(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    rows = Arrays((rng.normal(size=(4, 3, 2)),), rng.normal(size=(4, 2)), "rows")
    made = Run(path=tmp_path, labels=(), task="regression", inputs="features")
    made.model_path.write_bytes(b"a model")
    write_arrays(rows, made.test_path)
    made.save()
    assert json.loads((tmp_path / "run.json").read_bytes())["format_version"] == 2
    opened = Run.open(tmp_path)
    assert opened == made
    kept = opened.test_rows()
    assert isinstance(kept, Arrays) and kept.targets is not None
    assert np.array_equal(kept.inputs[0], rows.inputs[0])
    assert sha256_of_rows(kept) == sha256_of_rows(rows)
    assert was_trained_on({"data": {"sha256": sha256_of_rows(rows)}}, kept)
    assert opened.calibration_rows() is None
    with pytest.raises(ModelError, match="takes features, so it has no vectorizer"):
        opened.vectorizer()
    with pytest.raises(DataError, match="takes features: its rows are no texts"):
        opened.test()


def test_several_labels_a_text_come_back_with_their_groups(run: Run) -> None:
    config = {"config": {"group": "author"}}
    several = replace(run, task="multi-label", thresholds=(0.5, 0.25), provenance=config)
    lists, groups = (("good", "bad"), ()), ("a", "b")
    rows = Dataset(("fine", "dire"), None, "d", groups=groups, label_lists=lists)
    write_jsonl(rows, several.test_path)
    several.save()
    opened = Run.open(run.path)
    assert opened.thresholds == (0.5, 0.25)
    kept = opened.test()
    assert (kept.label_lists, kept.groups) == (lists, groups)
    assert label_sets_of(kept, opened.labels) == [[True, True], [False, False]]


def test_a_run_that_format_1_describes_is_written_as_such(run: Run) -> None:
    stored = json.loads((run.path / "run.json").read_bytes())
    assert stored["format_version"] == 1
    assert "inputs" not in stored and "thresholds" not in stored
