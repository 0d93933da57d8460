"""The baseline beside a run's figures: scikit-learn's own, chosen by validation."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gatelet.cli import main
from gatelet.runtime.data.dataset import Dataset, Split, read, split
from gatelet.train.baseline import NAME, STRENGTHS, measure_baseline

pytest.importorskip("sklearn")


@pytest.fixture
def parts(tmp_path: Path, write_reviews: Callable[..., Path]) -> Split[Dataset]:
    return split(read(write_reviews(tmp_path / "reviews.csv", labels=("good", "bad", "mixed"))))


@pytest.mark.parametrize("char_level", [False, True])
def test_it_is_scikit_learns_own_chosen_by_validation(
    parts: Split[Dataset], char_level: bool
) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    # labels that the words do not give away: figures below 1
    mixed = tuple(a if i % 3 else "good" for i, a in enumerate(parts.train.labels or ()))
    parts = Split(Dataset(parts.train.texts, mixed, "noisy"), parts.validation, parts.test)
    counted = {"analyzer": "char", "ngram_range": (1, 3)} if char_level else {"ngram_range": (1, 2)}
    wanted = {}
    for strength in STRENGTHS:
        model = make_pipeline(
            TfidfVectorizer(sublinear_tf=True, min_df=2, **counted),
            LogisticRegression(C=strength, max_iter=1000),
        ).fit(parts.train.texts, parts.train.labels)
        wanted[strength] = tuple(
            model.score(one.texts, one.labels) for one in (parts.validation, parts.test)
        )
    found = measure_baseline(parts, ("bad", "good", "mixed"), char_level=char_level)
    assert found.strength is not None and found.figures is not None
    assert wanted[found.strength][0] == max(validation for validation, _ in wanted.values())
    assert found.figures.accuracy == pytest.approx(wanted[found.strength][1])
    assert found.figures.accuracy > 0.3
    assert found.to_dict()["C"] == found.strength


def test_nothing_that_can_be_counted_is_told() -> None:
    rows = Dataset(("a", "b", "c", "d"), ("0", "1", "0", "1"), "letters")
    found = measure_baseline(Split(rows, rows, rows), ("0", "1"), char_level=False)
    assert found.to_dict() == {
        "name": NAME,
        "missing": "no word of the training part is in two of its texts",
    }


@pytest.mark.ci  # trains twice
def test_train_prints_it_writes_it_and_leaves_it_out(
    tmp_path: Path,
    write_reviews: Callable[..., Path],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, run = write_reviews(tmp_path / "reviews.csv"), tmp_path / "run"
    words = ["train", "--data", str(data), "--maxlen=12", "--units=4", "--epochs=1"]
    words += ["--out", str(run)]
    assert main(words) == 0
    figures = json.loads((run / "metrics.json").read_bytes())
    beside = figures["baseline"]
    assert beside["rows"] == figures["rows"] and beside["C"] in STRENGTHS
    assert beside["accuracy"] >= 0.9
    assert f"{NAME}, on whole texts: {beside['accuracy']:.4f}\n" in capsys.readouterr().out
    assert main(["evaluate", str(run), "--data", str(run / "test.jsonl")]) == 0
    shown = [line for line in capsys.readouterr().out.splitlines() if line.startswith("no network")]
    assert len(shown) == 1 and NAME in shown[0] and f"{beside['accuracy']:.4f}" in shown[0]
    assert main(["evaluate", str(run), "--data", str(data)]) == 0  # other rows
    assert "no network" not in capsys.readouterr().out
    assert main([*words, "--no-baseline", "--json"]) == 0
    assert "baseline" not in json.loads((run / "metrics.json").read_bytes())
    assert "baseline" not in json.loads(capsys.readouterr().out)
    monkeypatch.setitem(sys.modules, "sklearn.linear_model", None)  # not installed
    assert main(words) == 0
    said = capsys.readouterr().out
    assert f"{NAME}: not measured, scikit-learn is not installed: pip install" in said
