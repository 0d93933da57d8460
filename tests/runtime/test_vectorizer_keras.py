"""The ids of a Vectorizer equal those of Keras' Tokenizer and pad_sequences, to the last one."""

import dataclasses
import itertools
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatelet.runtime.vectorizer.tokenizer import KERAS_FILTERS, Vectorizer
from tests.late import keras, keras_text

SIDES = list(itertools.product(("pre", "post"), repeat=2))
MAXLEN = 12

# Where a tokenizer goes wrong: case that changes length or depends on context, spaces that are
# none to `split`, joiners, directions, surrogates, and everything that is filtered.
TRAPS = [
    *KERAS_FILTERS,
    *"\0\x1c\x85\xa0\u2003\u3000\u200b\u200d\u200e\u202e\u2028\ufeff\ufffd\uffff\r\v\f'",
    *("\u0130", "\u0131", "I", "i\u0307", "\u1e9e", "\xdf", "\u01c5", "\ufb03", "\u0345", "\u212a"),
    *("\u03a3", "\u03c3", "\u03c2", "\u039f\u0394\u039f\u03a3", "\u03a3.\u03a3", "\u03a3\u0301"),
    *("e\u0301", "\xe9", "a" + "\u0300\u0323" * 9, "\u0915\u094d\u0937", "\u1112\u1161\u11ab"),
    *("\u05e9\u05dc\u05d5\u05dd", "\u0645\u0631\u062d\u0628\u0627", "\u4e2d\u6587", "\U00020000"),
    *(
        "\U0001f600",
        "\U0001f468\u200d\U0001f469\u200d\U0001f467",
        "\U0001f1e9\U0001f1ea",
        "1\ufe0f\u20e3",
    ),
    *("\ud800", "\udbff", "\udc00", "\udfff", "\ude00\ud83d", "\U0010ffff", "\U00010400"),
    *("<OOV>", "<oov>", "The", "the", "THE", "film", "1e5", "", " ", "  "),
]


def hostile_text(chance: random.Random, length: int) -> str:
    planes = [(0x20, 0x7E), (0, 0x2FF), (0x300, 0xFFFF), (0x10000, 0x1FFFF), (0x20000, 0x10FFFF)]
    parts = []
    for _ in range(length):
        match chance.randrange(4):
            case 0:
                parts.append(chance.choice(TRAPS))
            case 1:
                parts.append(chr(chance.randint(*chance.choice(planes))))
            case 2:
                parts.append(" ")
            case _:
                parts.append(chance.choice("etaoinshrdluETAOINSHRDLU"))
    return "".join(parts)


def hostile_texts() -> list[str]:
    chance = random.Random(20)
    texts = ["", " ", " \t\n ", KERAS_FILTERS, *TRAPS, "x" * 100_000, " " * 100_000]
    texts += [hostile_text(chance, 100_000)[:100_000] for _ in range(3)]
    texts += [f"{trap}the{trap}{trap}Film {trap}" for trap in TRAPS]
    return texts + [hostile_text(chance, chance.randint(1, 60)) for _ in range(2_000 - len(texts))]


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return hostile_texts()


def fit_both(
    texts: Sequence[str], *, maxlen: int = MAXLEN, **options: object
) -> tuple[Any, Vectorizer]:
    tokenizer = keras_text.Tokenizer(**options)
    tokenizer.fit_on_texts(texts)
    arguments: dict[str, Any] = {"maxlen": maxlen} | options
    return tokenizer, Vectorizer.fit(texts, **arguments)


def assert_same_vocabulary(vectorizer: Vectorizer, tokenizer: Any) -> None:
    kept = {
        word: i
        for word, i in tokenizer.word_index.items()
        if word == tokenizer.oov_token or not tokenizer.num_words or i < tokenizer.num_words
    }
    if vectorizer.oov_token is not None:
        assert vectorizer.oov_id == kept.pop(vectorizer.oov_token)
    assert vectorizer.vocabulary == kept


def assert_same_ids(
    vectorizer: Vectorizer, tokenizer: Any, texts: Sequence[str], *, value: int = 0
) -> None:
    sequences = tokenizer.texts_to_sequences(texts)
    maxlen = vectorizer.maxlen
    for padding, truncating in SIDES:
        one = dataclasses.replace(
            vectorizer, padding=padding, truncating=truncating, pad_value=value
        )
        cut = slice(-maxlen, None) if truncating == "pre" else slice(maxlen)
        assert [one.ids(text) for text in texts] == [sequence[cut] for sequence in sequences]
        padded = keras.utils.pad_sequences(
            sequences, maxlen=maxlen, padding=padding, truncating=truncating, value=value
        )
        assert [one.pad(text) for text in texts] == padded.tolist()


def test_there_are_2000_hostile_texts(texts: list[str]) -> None:
    assert len(texts) == 2_000
    assert sum(len(text) == 100_000 for text in texts) == 5
    assert set(KERAS_FILTERS) <= set(texts)
    assert {ord(character) >> 16 for text in texts for character in text} == set(range(17))


@pytest.mark.parametrize("num_words", [None, 40])
@pytest.mark.parametrize("oov_token", [None, "<OOV>"])
@pytest.mark.parametrize("char_level", [False, True])
@pytest.mark.parametrize("lower", [False, True])
def test_ids_of_hostile_texts_equal_keras(
    texts: list[str], lower: bool, char_level: bool, oov_token: str | None, num_words: int | None
) -> None:
    tokenizer, vectorizer = fit_both(
        texts[::2],  # so that some words are unknown
        lower=lower,
        char_level=char_level,
        oov_token=oov_token,
        num_words=num_words,
    )
    assert_same_vocabulary(vectorizer, tokenizer)
    assert_same_ids(vectorizer, tokenizer, texts)


def test_ids_equal_keras_without_a_limit_on_the_length_of_a_text(texts: list[str]) -> None:
    tokenizer, vectorizer = fit_both(texts, maxlen=100_000, char_level=True, num_words=None)
    longest = [text for text in texts if len(text) == 100_000]
    assert [vectorizer.ids(text) for text in longest] == [
        sequence[-100_000:] for sequence in tokenizer.texts_to_sequences(longest)
    ]


ANY_CHARACTER = st.characters(exclude_categories=()) | st.sampled_from("aAbB .,\u0130\u03a3\ud800")
ANY_TEXT = st.text(ANY_CHARACTER, max_size=30)


@st.composite
def options_and_texts(draw: st.DrawFn) -> tuple[dict[str, Any], list[str]]:
    filters = draw(st.just(KERAS_FILTERS) | st.text(ANY_CHARACTER, max_size=6))
    split = draw(
        st.just(" ") | st.text(ANY_CHARACTER | st.sampled_from("ab,"), min_size=1, max_size=3)
    )
    piece = ANY_TEXT | st.sampled_from([split, *filters, "a", "b", "the", "The"])
    texts = draw(st.lists(st.lists(piece, max_size=12).map("".join), max_size=8))
    options = {
        "filters": filters,
        "split": split,
        "lower": draw(st.booleans()),
        "char_level": draw(st.booleans()),
        "num_words": draw(st.none() | st.integers(0, 12)),
        "oov_token": draw(st.none() | st.sampled_from(["<OOV>", "", "the", "a", split])),
    }
    return options, texts


@settings(derandomize=True, max_examples=400, deadline=None)
@given(drawn=options_and_texts(), unseen=st.lists(ANY_TEXT, max_size=3), maxlen=st.integers(1, 9))
def test_ids_equal_keras_for_any_options(
    drawn: tuple[dict[str, Any], list[str]], unseen: list[str], maxlen: int
) -> None:
    options, texts = drawn
    tokenizer, vectorizer = fit_both(texts, maxlen=maxlen, **options)
    assert_same_vocabulary(vectorizer, tokenizer)
    assert_same_ids(vectorizer, tokenizer, texts + unseen, value=3)


@pytest.mark.parametrize("num_words", [None, 0, 30])
@pytest.mark.parametrize("oov_token", [None, "<OOV>", "the"])
def test_reads_what_keras_wrote_from_a_path_and_from_text(
    texts: list[str], tmp_path: Path, oov_token: str | None, num_words: int | None
) -> None:
    tokenizer, _ = fit_both(texts[::2], oov_token=oov_token, num_words=num_words)
    written = tokenizer.to_json()
    path = tmp_path / "tokenizer.json"
    path.write_text(written, encoding="utf-8")
    vectorizer = Vectorizer.from_keras_tokenizer(written, maxlen=MAXLEN)
    assert Vectorizer.from_keras_tokenizer(path, maxlen=MAXLEN) == vectorizer
    assert Vectorizer.from_keras_tokenizer(str(path), maxlen=MAXLEN) == vectorizer
    assert vectorizer.unicode_version is None
    assert_same_ids(vectorizer, keras_text.tokenizer_from_json(written), texts)


def test_reads_two_words_that_json_merges_as_keras_reads_them() -> None:
    tokenizer, _ = fit_both(["\U0001f600 a", "\ud83d\ude00 b"], num_words=None)
    read = Vectorizer.from_keras_tokenizer(tokenizer.to_json(), maxlen=MAXLEN)
    assert read.vocabulary == {"\U0001f600": 3, "a": 2, "b": 4}
    assert_same_vocabulary(read, keras_text.tokenizer_from_json(tokenizer.to_json()))


def test_reads_a_tokenizer_whose_json_was_encoded_twice(tmp_path: Path) -> None:
    tokenizer, vectorizer = fit_both(["a good film"], num_words=None)
    path = tmp_path / "tokenizer.json"
    path.write_text("\ufeff" + json.dumps(tokenizer.to_json(indent=2)), encoding="utf-8")
    read = Vectorizer.from_keras_tokenizer(path, maxlen=MAXLEN)
    assert read == dataclasses.replace(vectorizer, unicode_version=None)


def test_reads_a_tokenizer_whose_ids_were_edited() -> None:
    tokenizer, _ = fit_both(["a b c d"], num_words=3, oov_token="<OOV>")
    tokenizer.word_index |= {"<PAD>": 0, "<OOV>": 77}
    vectorizer = Vectorizer.from_keras_tokenizer(tokenizer.to_json(), maxlen=MAXLEN)
    assert vectorizer.vocabulary_size == 78
    assert_same_ids(vectorizer, tokenizer, ["a b c d e", "<PAD>"])


def test_reads_a_char_level_tokenizer_without_filters() -> None:
    tokenizer = keras_text.Tokenizer(char_level=True, filters=None)
    tokenizer.fit_on_texts(["A, b"])
    vectorizer = Vectorizer.from_keras_tokenizer(tokenizer.to_json(), maxlen=MAXLEN)
    assert_same_ids(vectorizer, tokenizer, ["A, b", "b,c"])
