from collections.abc import Callable
from pathlib import Path

import pytest

from gatelet.errors import DataError
from gatelet.train.config import TrainConfig
from gatelet.train.prepare import prepare


def config(data: Path, **overrides: object) -> TrainConfig:
    values = {"data": data, "out": data.parent / "run", "maxlen": 12, **overrides}
    return TrainConfig.resolve(overrides=values)


def write(path: Path, rows: list[tuple[str, str]]) -> Path:
    path.write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    return path


def test_fits_the_vectorizer_on_the_training_part_only(
    tmp_path: Path, write_reviews: Callable[..., Path]
) -> None:
    data = write_reviews(tmp_path / "d.csv")
    with data.open("a") as file:
        file.writelines(f"unique{row} good words,good\n" for row in range(100))
    prepared = prepare(config(data))
    train = " ".join(prepared.parts.train.texts)
    words = [word for word in prepared.vectorizer.vocabulary if word.startswith("unique")]
    assert words
    assert all(word in train.split() for word in words)
    assert len(words) < 100


def test_gives_padded_ids_and_label_numbers(
    tmp_path: Path, write_reviews: Callable[..., Path]
) -> None:
    prepared = prepare(config(write_reviews(tmp_path / "d.csv", labels=("good", "bad", "mixed"))))
    assert prepared.labels == ("bad", "good", "mixed")
    examples = prepared.examples(prepared.parts.test)
    assert {len(ids) for ids in examples.inputs} == {12}
    assert set(examples.targets.tolist()) == {0, 1, 2}


def test_records_what_was_read_and_dropped(
    tmp_path: Path, write_reviews: Callable[..., Path]
) -> None:
    data = write_reviews(tmp_path / "d.csv")
    with data.open("a") as file:
        file.write("\n".join(["a copy,good", "A  copy,good", " ,bad", "both,good", "both,bad", ""]))
    source = prepare(config(data)).source
    assert source["name"] == "d.csv"
    assert source["dropped"] == {"empty": 1, "duplicates": 1, "contradictory": 2}
    rows = source["rows"]
    assert isinstance(rows, dict)
    assert rows["read"] == 305
    assert rows["train"] + rows["validation"] + rows["test"] == 301


def test_refuses_one_label_only(tmp_path: Path, write_reviews: Callable[..., Path]) -> None:
    data = write_reviews(tmp_path / "d.csv", labels=("good",))
    with pytest.raises(DataError, match="only the label 'good'"):
        prepare(config(data))


def test_refuses_one_label_that_is_left_without_contradictions(tmp_path: Path) -> None:
    rows = [(f"text {row}", "good") for row in range(80)] + [("text 1", "bad")]
    with pytest.raises(DataError, match="only the label 'good'"):
        prepare(config(write(tmp_path / "d.csv", rows)))


def test_says_how_many_rows_are_needed(tmp_path: Path, write_reviews: Callable[..., Path]) -> None:
    data = write_reviews(tmp_path / "d.csv", rows=49)
    with pytest.raises(DataError, match="has 49 distinct rows; training needs 50 or more"):
        prepare(config(data))


def test_refuses_a_label_that_training_would_never_see(
    tmp_path: Path, write_reviews: Callable[..., Path]
) -> None:
    data = write_reviews(tmp_path / "d.csv")
    with data.open("a") as file:
        file.writelines(f"once {row},label{row}\n" for row in range(20))
    with pytest.raises(DataError, match=r"the label 'label.*' too rarely: no row of it"):
        prepare(config(data))


def test_refuses_texts_without_words(tmp_path: Path) -> None:
    rows = [("!" * (row + 1), "good" if row % 2 else "bad") for row in range(80)]
    with pytest.raises(DataError, match=r"has no words in .* rows: check the text column"):
        prepare(config(write(tmp_path / "d.csv", rows)))
