"""Texts of any length and script: cut as Keras cuts them, in bounded memory, or refused by name."""

import random
import tracemalloc
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import pytest

from gatelet.errors import InputError
from gatelet.runtime import Predictor, load, open_bundle
from gatelet.runtime.backends.c import backend
from gatelet.runtime.vectorizer import long_texts
from gatelet.runtime.vectorizer.explanation import LONGEST_EXPLAINED, Token, explain
from gatelet.runtime.vectorizer.text_vectorization import TextVectorization
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

WORDS = [
    "good",
    "ΣΑΣ",
    "σας",
    "İstanbul",
    "很好",
    "مرحبا",
    "🙂",
    "👩‍👩‍👧",
    "don't",
    "Ä",
    "a\u0301",
    "x" * 90,
]
SEPARATORS = [" ", "  ", "\n", "\t", ", ", "! ", "\u00a0", "\x00"]
TEN_MILLION = 10_000_000


def texts(count: int, *, seed: int) -> list[str]:
    draw = random.Random(seed)
    return [
        "".join(draw.choice(WORDS) + draw.choice(SEPARATORS) for _ in range(draw.randrange(60)))
        for _ in range(count)
    ]


def vectorizer(**settings: object) -> Vectorizer:
    fitted = {"num_words": None, "maxlen": 7, **settings}
    return Vectorizer.fit(texts(20, seed=1), **fitted)  # type: ignore[arg-type]


@pytest.mark.parametrize("piece", [1, 5, 64])
@pytest.mark.parametrize(
    ("truncating", "char_level", "oov_token"),
    list(product(["pre", "post"], [False, True], [None, "<oov>"])),
)
def test_a_text_read_in_pieces_has_the_ids_of_the_whole(
    piece: int,
    truncating: str,
    char_level: bool,
    oov_token: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = vectorizer(truncating=truncating, char_level=char_level, oov_token=oov_token)
    some = texts(150, seed=2)
    whole = [one.pad(text) for text in some]
    for module in (long_texts, __import__("gatelet.runtime.vectorizer.tokenizer", fromlist=["x"])):
        monkeypatch.setattr(module, "PIECE_CHARACTERS", piece)
    assert [one.pad(text) for text in some] == whole


@pytest.mark.parametrize(
    ("truncating", "char_level", "oov_token"),
    list(product(["pre", "post"], [False, True], [None, "<oov>"])),
)
def test_a_shortened_text_has_the_ids_of_the_whole(
    truncating: str, char_level: bool, oov_token: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = vectorizer(truncating=truncating, char_level=char_level, oov_token=oov_token)
    some = texts(150, seed=3)
    whole = [one.pad(text) for text in some]
    longest = one.maxlen * (2 + max(map(len, one.vocabulary)))
    for piece in (1, 5, 64):
        for module in (
            long_texts,
            __import__("gatelet.runtime.vectorizer.tokenizer", fromlist=["x"]),
        ):
            monkeypatch.setattr(module, "PIECE_CHARACTERS", piece)
        cut = [one.shortened(text) for text in some]
        assert all(len(text) <= max(longest, piece) for text in cut)
        monkeypatch.undo()
        assert [one.pad(text) for text in cut] == whole


@pytest.mark.parametrize("split", [",", "'"])
def test_another_separator_is_not_cut_at(split: str, monkeypatch: pytest.MonkeyPatch) -> None:
    one = vectorizer(split=split, filters="")
    text = "\u0391Σ'\u0391,good \u0391Σ" * 50
    whole = one.ids(text)
    for module in (long_texts, __import__("gatelet.runtime.vectorizer.tokenizer", fromlist=["x"])):
        monkeypatch.setattr(module, "PIECE_CHARACTERS", 3)
    assert one.ids(text) == whole


@pytest.mark.parametrize("ngrams", [None, (1,), (2,), (1, 2), (3, 1)])
@pytest.mark.parametrize("split", ["whitespace", "character", None])
def test_only_the_first_tokens_of_a_text_vectorization_are_made(
    ngrams: tuple[int, ...] | None, split: str | None
) -> None:
    vocabulary = {
        word: number for number, word in enumerate(["good", "不", "good 不", "g"], start=2)
    }
    one = TextVectorization(
        standardize="lower", split=split, ngrams=ngrams, maxlen=6, vocabulary=vocabulary
    )
    for text in (" good 不 " * n for n in range(12)):
        expected = [vocabulary.get(t, 1) if t else 0 for t in one.tokens(text)[:6]]
        assert one.ids(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "good film " * (TEN_MILLION // 10),
        "x" * TEN_MILLION,
        " " * TEN_MILLION,
        "很" * (TEN_MILLION // 3),
        "🙂 " * (TEN_MILLION // 5),
    ],
    ids=["words", "one word", "spaces", "chinese", "emoji"],
)
@pytest.mark.parametrize("truncating", ["pre", "post"])
def test_ten_megabytes_take_little_more_memory_than_the_text(text: str, truncating: str) -> None:
    one = vectorizer(truncating=truncating)
    tracemalloc.start()
    try:
        assert len(one.pad(text)) == 7
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 6 * 4 * TEN_MILLION


def test_an_engine_that_takes_texts_is_given_what_is_kept(written_bundle: Path) -> None:
    bundle = open_bundle(written_bundle)
    seen: list[str] = []

    def run(inputs: dict[str, list[str]]) -> dict[str, list[list[float]]]:
        seen.extend(inputs["text"])
        return {name: [[0.5]] for name in bundle.graph().outputs}

    backend = SimpleNamespace(target="onnx-text", engine="fake", takes_texts=True, run=run)
    predictor = Predictor(bundle, backend, scheme="float32")
    predictor.scores(["W1 w2 w3 w4 w5 " * 50_000])
    assert seen == ["w1 w2 w3 w4 w5 w1 w2 w3 w4 w5"]


def test_every_script_predicts(written_bundle: Path) -> None:
    predictor = load(written_bundle)
    some = [*WORDS, "w1 " * 5_000, "\ud800", "\x00", " ".join(WORDS)]
    assert len(predictor.predict(some)) == len(some)


def test_explains_which_tokens_are_known_and_what_was_cut() -> None:
    fitted = Vectorizer.fit(["a good film"], num_words=None, maxlen=2)
    found = explain(fitted, "A good, new film")
    assert found.tokens == (
        Token("a", 1, known=True, used=False),
        Token("good", 2, known=True, used=True),
        Token("new", None, known=False, used=False),
        Token("film", 3, known=True, used=True),
    )
    assert (found.ids, found.cut, found.cut_from, found.padding) == ((2, 3), 1, "start", 0)
    short = explain(fitted, "film")
    assert (short.ids, short.cut, short.cut_from, short.padding) == ((0, 3), 0, None, 1)


def test_explains_unknown_tokens_that_have_an_id() -> None:
    fitted = Vectorizer.fit(
        ["a good film"], num_words=None, maxlen=2, oov_token="?", truncating="post"
    )
    found = explain(fitted, "good new old")
    assert [(token.id, token.known, token.used) for token in found.tokens] == [
        (3, True, True),
        (1, False, True),
        (1, False, False),
    ]
    assert (found.cut, found.cut_from) == (1, "end")
    layer = TextVectorization(
        standardize=None, split="whitespace", ngrams=None, maxlen=1, vocabulary={"good": 2}
    )
    explained = explain(layer, "good new")
    assert [token.id for token in explained.tokens] == [2, 1]
    assert (explained.ids, explained.cut, explained.cut_from) == ((2,), 1, "end")


def test_a_predictor_explains_and_refuses_what_it_cannot(
    written_bundle: Path, tmp_path: Path, write_bundle: object
) -> None:
    predictor = load(written_bundle)
    assert [token.known for token in predictor.explain("w1 nothing").tokens] == [True, False]
    with pytest.raises(InputError, match=r"has 1,000,001 characters; .* up to 1,000,000"):
        predictor.explain("x" * (LONGEST_EXPLAINED + 1))
    path = write_bundle(tmp_path / "features", features=2, with_vectorizer=False)  # type: ignore[operator]
    with pytest.raises(InputError, match="has no vectorizer: nothing to explain"):
        load(path, target="reference").explain("w1")


def test_c_hands_over_the_texts_that_python_reads_in_pieces() -> None:
    assert backend._LONGEST_TEXT == long_texts.PIECE_CHARACTERS
