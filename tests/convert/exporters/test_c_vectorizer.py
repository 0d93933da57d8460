"""The C vectorizer gives the ids of the Python one, on hostile texts and hostile bytes."""

# ruff: noqa: RUF001  look-alikes are what it is about

import ctypes
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gatelet.convert.exporters.c.vocabulary import write_vocabulary
from gatelet.convert.exporters.exported import Exportable
from gatelet.runtime.backends.c.library import open_library
from gatelet.runtime.vectorizer.opening import AnyVectorizer
from gatelet.runtime.vectorizer.text_vectorization import TextVectorization
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from tests.convert.exporters.c_builds import build, small_graph

POOLS = (
    "abcdefgh ABC DEF",
    " \t\n\r\v\f\x00\x1c\x85\u00a0\u2003\u3000",
    "!\"#$%&()*+,-./:;<=>?@[\\]^_`{|}~'",
    "ΣσςΑα\u0345\u0301 ʼ.·'ΣΣ",
    "İıIiŞşẞßǅǆᾈﬀﬁŉ",
    "ДдЖжԱաႠა\U00010400\U00010428\U0001e900",
    "房间很干净，。！？テスト한국어",
    "👍🏽👩‍👩‍👧\u200d\ufe0f\u200b\ufeff\ufffd",
    "e\u0301 n\u0303 \u0307\u0345 \u1e9b\u0323",
)
WORDS = (
    "a ab abc good film ΣΑΣ odos ὈΔΥΣΣΕΎΣ strasse straße istanbul İstanbul 房 间 很 干净 i\u0307 "
    "the the the quick brown fox don't x" + " longword" * 2 + " w" * 3
).split()
TEXTS = ["Good FILM! a film", *(" ".join(WORDS[i:]) for i in range(len(WORDS))), "x" * 300]

DEFAULT = Vectorizer.fit(TEXTS, num_words=40, maxlen=12, oov_token="<oov>")
LAYER = TextVectorization(
    standardize="lower_and_strip_punctuation",
    split="whitespace",
    ngrams=None,
    maxlen=9,
    vocabulary={"": 0, "[UNK]": 1, "good": 2, "film": 3, "a": 4, "房": 5, "ΣΑΣ": 6},
)
VECTORIZERS: dict[str, AnyVectorizer] = {
    "default": DEFAULT,
    "no unknown, post": Vectorizer.fit(
        TEXTS, num_words=30, maxlen=5, padding="post", truncating="post"
    ),
    "characters": Vectorizer.fit(TEXTS, num_words=None, maxlen=20, char_level=True),
    "two separators": Vectorizer.fit(TEXTS, num_words=None, maxlen=7, split="ab", filters=" .,"),
    "repeating separator": Vectorizer.fit(TEXTS, num_words=None, maxlen=7, split="aa"),
    "no lower": Vectorizer.fit(TEXTS, num_words=None, maxlen=8, lower=False, filters="。Σ\x00"),
    "one id": replace(DEFAULT, maxlen=1, pad_value=7),
    "layer": LAYER,
    "layer, characters": replace(LAYER, split="character", standardize="lower"),
    "layer, whole": replace(LAYER, split=None, standardize=None),
}


def draw_text(rng: np.random.Generator) -> str:
    """Draw words and characters of several pools, at times with a very long word."""
    parts = []
    for _ in range(rng.integers(0, 9)):
        pool = POOLS[rng.integers(len(POOLS))]
        kind = rng.integers(4)
        if kind == 0:
            word = WORDS[rng.integers(len(WORDS))]
            parts.append(word.upper() if rng.random() < 0.5 else word)
        elif kind == 1:
            parts.append(" ")
        else:
            parts.append("".join(rng.choice(list(pool), rng.integers(1, 8))))
    if rng.random() < 0.02:
        parts.append("x" * int(rng.integers(250, 400)))
    if rng.random() < 0.3:
        codes = rng.integers(1, 0x110000, 4)
        parts.append("".join(chr(c) for c in codes if not 0xD800 <= c < 0xE000))
    return "".join(parts)


class CVectorizer:
    """The C function of a model with a vectorizer."""

    def __init__(self, vectorizer: AnyVectorizer, folder: Path) -> None:
        graph = small_graph(vocabulary=vectorizer.vocabulary_size)
        written, library = build(Exportable(graph, graph, vectorizer, name="v"), folder)
        assert written.vocabulary is not None
        self._library = open_library(library)
        self._data = ctypes.create_string_buffer(written.vocabulary.data)
        self._ids = (ctypes.c_int32 * vectorizer.maxlen)()

    def pad(self, text: bytes) -> list[int]:
        function, address = self._library.ids_of_text, ctypes.addressof(self._data)
        assert function(address, text, len(text), self._ids) >= 0
        return list(self._ids)


@pytest.mark.parametrize("name", VECTORIZERS)
def test_hostile_texts(name: str, tmp_path: Path) -> None:
    vectorizer, rng = VECTORIZERS[name], np.random.default_rng(5)
    in_c = CVectorizer(vectorizer, tmp_path)
    for text in ["", " ", *TEXTS, *(draw_text(rng) for _ in range(1000))]:
        assert in_c.pad(text.encode()) == vectorizer.pad(text), repr(text)


def test_ten_thousand_hostile_texts(tmp_path: Path) -> None:
    rng = np.random.default_rng(6)
    in_c = CVectorizer(DEFAULT, tmp_path)
    known = 0
    for text in (draw_text(rng) for _ in range(10_000)):
        ids = DEFAULT.pad(text)
        assert in_c.pad(text.encode()) == ids, repr(text)
        known += any(i > 1 for i in ids)
    assert known > 1500


def test_bytes_that_are_no_utf_8_are_read_as_python_replaces_them(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    vectorizer = VECTORIZERS["characters"]
    vectorizer = replace(vectorizer, vocabulary={**vectorizer.vocabulary, "\ufffd": 900})
    in_c = CVectorizer(vectorizer, tmp_path)
    leads = np.array([0x61, 0x80, 0xBF, 0xC1, 0xC3, 0xE0, 0xE9, 0xED, 0xEF, 0xF0, 0xF4, 0xF5, 0xFF])
    for _ in range(5000):
        data = bytes(rng.choice(leads, rng.integers(0, 9)).astype(np.uint8))
        data += bytes(rng.integers(0, 256, rng.integers(0, 5)).astype(np.uint8))
        assert in_c.pad(data) == vectorizer.pad(data.decode("utf-8", "replace")), data


def test_every_character_is_lowered_as_python_does(tmp_path: Path) -> None:
    letters = {chr(c) for c in range(0x110000) if not 0xD800 <= c < 0xE000}
    changed = sorted(c for c in letters if c.lower() != c)
    lowered = sorted({one for c in changed for one in c.lower()})
    vectorizer = replace(
        VECTORIZERS["characters"],
        maxlen=2,
        vocabulary={one: i for i, one in enumerate([*lowered, *changed], 1)},
    )
    in_c = CVectorizer(vectorizer, tmp_path)
    assert len(changed) > 1300
    for character in changed:
        assert in_c.pad(character.encode()) == vectorizer.pad(character), hex(ord(character))


def test_n_grams_are_left_to_python() -> None:
    assert write_vocabulary(replace(LAYER, ngrams=(1, 2))) is None


def test_another_vocabulary_is_refused(tmp_path: Path) -> None:
    in_c = CVectorizer(DEFAULT, tmp_path)
    other = ctypes.create_string_buffer(256)
    ids = (ctypes.c_int32 * DEFAULT.maxlen)()
    assert in_c._library.ids_of_text(ctypes.addressof(other), b"a", 1, ids) == -1
