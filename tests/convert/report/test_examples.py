"""Which rows are shown as the worst, and what is said of their words."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gatelet.convert.report import Story
from gatelet.convert.report.examples import tokens_of, worst_examples
from gatelet.runtime.vectorizer.text_vectorization import TextVectorization
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from tests.convert.report.conftest import TellStory

TEXTS = ("the cat sat", "on the mat", "the end")
VECTORIZERS = [
    Vectorizer.fit(TEXTS, num_words=5, maxlen=4),
    Vectorizer.fit(TEXTS, num_words=5, maxlen=4, truncating="post", padding="post"),
    Vectorizer.fit(TEXTS, num_words=5, maxlen=4, oov_token="<oov>"),
    Vectorizer.fit(TEXTS, num_words=5, maxlen=4, char_level=True),
    TextVectorization(
        standardize="lower",
        split="whitespace",
        ngrams=(1, 2),
        maxlen=4,
        vocabulary={"the": 2, "cat": 3, "the cat": 4},
    ),
]


@pytest.mark.parametrize("vectorizer", VECTORIZERS, ids=lambda one: type(one).__name__)
@pytest.mark.parametrize("text", [*TEXTS, "", "the unseen cat sat on the longest of mats the end"])
def test_the_words_that_are_not_cut_have_the_ids_of_the_model(
    vectorizer: Vectorizer | TextVectorization, text: str
) -> None:
    tokens = tokens_of(vectorizer, text)
    given = [token.id for token in tokens if token.id is not None and token.kind != "cut"]
    assert given == vectorizer.ids(text)
    assert [token.text for token in tokens] == vectorizer.tokens(text)
    for token in tokens:
        if token.kind == "unknown":
            assert token.text not in vectorizer.vocabulary


def test_flips_come_before_larger_errors(tell: TellStory) -> None:
    oracle = np.full((30, 1), 0.9)
    found = oracle.copy()
    found[3], found[11], found[20] = 0.6, 0.49, np.nan
    examples = worst_examples(
        tell().bundle, _measured(tell(oracle=oracle, scores=found)), with_texts=True
    )
    assert [example.row for example in examples][:3] == [21, 12, 4]
    _, answer = examples[1].answers
    assert (answer.label, answer.is_flip) == ("0", True)
    assert answer.difference == pytest.approx(-0.41)


def test_rows_without_an_error_are_not_shown(tell: TellStory) -> None:
    oracle = np.full((30, 1), 0.9, np.float32)
    assert worst_examples(tell().bundle, _measured(tell(oracle=oracle)), with_texts=True) == []


def test_of_several_outputs_the_one_that_differs_most_is_shown(tell: TellStory) -> None:
    oracle = np.full((5, 2, 3), 0.25)
    found = oracle.copy()
    found[4, 1, 2] = 0.75
    (example,) = worst_examples(
        tell().bundle, _measured(tell(oracle=oracle, scores=found)), with_texts=True
    )
    assert (example.row, example.output) == (5, "of output [1, 2]")
    assert example.answers[1].score == 0.75


def test_each_artifact_has_its_turn_and_each_row_is_shown_once(judged: Story) -> None:
    measured = judged.measured
    assert measured is not None
    examples = worst_examples(judged.bundle, measured, with_texts=True)
    rows = [example.row for example in examples]
    assert len(rows) == len(set(rows)) == 12
    for array in measured.scores.values():
        errors = np.abs(array - measured.oracle).ravel()
        assert int(errors.argmax()) + 1 in rows
    assert examples[0].text == measured.texts[rows[0] - 1]
    assert examples[0].truth in ("0", "1")


def test_features_have_scores_but_no_words(tmp_path: Path, tell: TellStory) -> None:
    story = tell()
    bundle = replace(story.bundle, manifest={**story.bundle.manifest, "vectorizer": None})
    examples = worst_examples(bundle, _measured(story), with_texts=True)
    assert examples and all(one.text is None and one.tokens == () for one in examples)


def _measured(story: Story):  # type: ignore[no-untyped-def]  # noqa: ANN202
    assert story.measured is not None
    return story.measured
