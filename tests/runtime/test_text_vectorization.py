"""TextVectorization gives the ids of the Keras layer, to the last one."""

import random
import warnings
from pathlib import Path
from typing import Any

import pytest

from gatelet.errors import ModelError
from gatelet.runtime.vectorizer.opening import load_vectorizer
from gatelet.runtime.vectorizer.text_vectorization import TextVectorization
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

CHARACTERS = [
    *"abcABC !\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'\t\n\r\v\f",
    *map(chr, (0, 0x1C, 0x85, 0xA0, 0x130, 0x301, 0x3A3, 0x200B, 0x2028, 0x3000, 0x4E2D, 0x1F600)),
]


@pytest.fixture(scope="module")
def keras() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras
    return keras


def hostile_texts(count: int) -> list[str]:
    draw = random.Random(7)
    texts = ["", " ", "[UNK]", "don't stop", "the the the " * 50]
    while len(texts) < count:
        length = draw.choice((1, 3, 20, 80))
        text = "".join(draw.choice(CHARACTERS) for _ in range(length))
        texts.append(text)
    return texts


@pytest.mark.parametrize(
    ("split", "ngrams"),
    [
        ("whitespace", None),
        ("whitespace", 2),
        ("whitespace", (2, 3)),
        ("character", None),
        ("character", 3),
        (None, None),
    ],
)
@pytest.mark.parametrize(
    "standardize", ["lower_and_strip_punctuation", "lower", "strip_punctuation", None]
)
def test_gives_the_ids_of_the_keras_layer(
    keras: Any, split: str | None, standardize: str | None, ngrams: int | tuple[int, ...] | None
) -> None:
    texts = hostile_texts(200)
    widths = tuple(range(1, ngrams + 1)) if isinstance(ngrams, int) else ngrams
    vocabulary = tokens_of(texts[:80], standardize=standardize, split=split, ngrams=widths)
    layer = keras.layers.TextVectorization(
        standardize=standardize,
        split=split,
        ngrams=ngrams,
        output_sequence_length=12,
        vocabulary=vocabulary,
    )
    ours = TextVectorization(
        standardize=standardize,
        split=split,
        ngrams=widths,
        maxlen=12,
        vocabulary={word: index for index, word in enumerate(vocabulary, 2)},
    )
    found = [ours.pad(text) for text in texts]
    if split is None:  # then Keras wants texts [N, 1], and does not pad further than that
        expected = layer([[text] for text in texts]).numpy().tolist()
        assert [row[:1] for row in found] == [row[:1] for row in expected]
    else:
        assert found == layer(texts).numpy().tolist()
    assert len({i for row in found for i in row}) > 10


def tokens_of(
    texts: list[str], *, standardize: str | None, split: str | None, ngrams: tuple[int, ...] | None
) -> list[str]:
    """Choose a vocabulary; Keras' own list would lose a NUL at the end of a token."""
    plain = TextVectorization(
        standardize=standardize, split=split, ngrams=ngrams, maxlen=1, vocabulary={}
    )
    tokens = dict.fromkeys(token for text in texts for token in plain.tokens(text))
    return [t for t in tokens if t and not t.endswith("\0") and t != "[UNK]"][:400:2]


def test_round_trips_through_its_file(tmp_path: Path) -> None:
    ours = TextVectorization(
        standardize="lower",
        split="whitespace",
        ngrams=(1, 2),
        maxlen=5,
        vocabulary={"a": 2, "a b": 3},
    )
    path = tmp_path / "vectorizer.json"
    ours.save(path)
    assert load_vectorizer(path) == ours
    assert load_vectorizer(path).pad("A b") == [2, 1, 3, 0, 0]
    assert ours.vocabulary_size == 4


def test_a_tokenizer_is_still_a_tokenizer(tmp_path: Path) -> None:
    fitted = Vectorizer.fit(["a b"], num_words=10, maxlen=3)
    fitted.save(tmp_path / "vectorizer.json")
    assert load_vectorizer(tmp_path / "vectorizer.json") == fitted


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"whitespace"', '"commas"', "'split' is 'commas'"),
        ("[1, 2]", "[0]", "'ngrams' is \\(0,\\)"),
        ("[1, 2]", '"two"', "'ngrams' is 'two'"),
        ('"maxlen": 5', '"maxlen": 0', "'maxlen' is 0"),
        ('"lower"', '"upper"', "'standardize' is 'upper'"),
        ('"a": 2', '"a": -2', "the id -2"),
    ],
)
def test_refuses_a_damaged_file(tmp_path: Path, old: str, new: str, message: str) -> None:
    ours = TextVectorization(
        standardize="lower", split="whitespace", ngrams=(1, 2), maxlen=5, vocabulary={"a": 2}
    )
    path = tmp_path / "vectorizer.json"
    path.write_text(ours.to_json().replace(old, new))
    with pytest.raises(ModelError, match=message):
        load_vectorizer(path)
