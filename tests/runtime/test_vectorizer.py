"""What a Vectorizer does by itself; against Keras: test_vectorizer_keras.py."""

import copy
import dataclasses
import json
import pickle
import random
import subprocess
import sys
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gatelet.errors import DataError
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

TEXTS = ["The film was good, good!", "The worst film.", "good"]


def fit(**changes: object) -> Vectorizer:
    options: dict[str, Any] = {"num_words": None, "maxlen": 4} | changes
    return Vectorizer.fit(TEXTS, **options)


def test_fits_by_count_then_by_first_occurrence() -> None:
    assert fit().vocabulary == {"good": 1, "the": 2, "film": 3, "was": 4, "worst": 5}


def test_counts_the_oov_token_as_the_first_id() -> None:
    vectorizer = fit(oov_token="<OOV>")
    assert vectorizer.oov_id == 1
    assert vectorizer.vocabulary == {"good": 2, "the": 3, "film": 4, "was": 5, "worst": 6}


def test_gives_an_oov_token_that_occurs_in_the_texts_the_id_of_its_rank_as_keras_does() -> None:
    vectorizer = fit(oov_token="film")
    assert vectorizer.oov_id == 4
    assert vectorizer.vocabulary == {"good": 2, "the": 3, "was": 5, "worst": 6}


def test_stores_only_words_below_num_words() -> None:
    assert fit(num_words=3).vocabulary == {"good": 1, "the": 2}


def test_takes_num_words_0_as_no_limit() -> None:
    assert fit(num_words=0) == fit(num_words=None)


def test_fits_from_an_iterator() -> None:
    assert Vectorizer.fit(iter(TEXTS), num_words=None, maxlen=4) == fit()


def test_records_the_unicode_version_at_fit() -> None:
    assert fit().unicode_version == unicodedata.unidata_version


def test_drops_unknown_words_without_an_oov_token() -> None:
    assert fit(num_words=3).ids("the good unknown film") == [2, 1]


def test_gives_unknown_words_the_oov_id() -> None:
    assert fit(num_words=3, oov_token="<OOV>").ids("the good unknown film") == [1, 2, 1, 1]


@pytest.mark.parametrize(("truncating", "ids"), [("pre", [2, 3]), ("post", [1, 2])])
def test_truncates_on_the_named_side(truncating: str, ids: list[int]) -> None:
    assert fit(maxlen=2, truncating=truncating).ids("good the film") == ids


@pytest.mark.parametrize(("padding", "ids"), [("pre", [7, 7, 1, 2]), ("post", [1, 2, 7, 7])])
def test_pads_on_the_named_side(padding: str, ids: list[int]) -> None:
    assert fit(padding=padding, value=7).pad("good the") == ids


@pytest.mark.parametrize("text", ["", "  \t\n", "!!!", "zzz"])
def test_takes_a_text_without_a_known_word(text: str) -> None:
    assert fit().ids(text) == []
    assert fit().pad(text) == [0, 0, 0, 0]


def test_gives_the_tokens_as_looked_up_and_untruncated() -> None:
    assert fit(maxlen=1).tokens("A GOOD,film\u0130") == ["a", "good", "filmi\u0307"]
    assert fit(maxlen=1, char_level=True).tokens("A, b") == ["a", ",", " ", "b"]
    assert fit(maxlen=1, lower=False).tokens("A GOOD") == ["A", "GOOD"]


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        ({}, 6),
        ({"num_words": 3}, 3),
        ({"num_words": 3, "oov_token": "worst"}, 7),
        ({"value": 9}, 10),
        ({"num_words": 1}, 1),
    ],
)
def test_says_the_largest_id_it_can_give_plus_1(changes: Mapping[str, Any], size: int) -> None:
    assert fit(**changes).vocabulary_size == size


def test_survives_saving_and_loading(tmp_path: Path) -> None:
    texts = ["lone \ud83d surrogate \ude00", 'NUL\0 "quoted" \\ \u2028 \U0001f600', "\ufeff"]
    saved = Vectorizer.fit(
        texts,
        num_words=9,
        maxlen=5,
        filters="\ud800,\0",
        lower=False,
        split="--",
        oov_token="\udfff",
        padding="post",
        truncating="post",
        value=2,
    )
    saved.save(tmp_path / "vectorizer.json")
    loaded = Vectorizer.load(tmp_path / "vectorizer.json")
    assert loaded == saved
    assert [loaded.pad(text) for text in texts] == [saved.pad(text) for text in texts]
    assert Vectorizer.from_json(saved.to_json()) == saved
    assert Vectorizer.from_json(saved.to_json().encode()) == saved


def test_writes_the_same_bytes_whatever_the_order_of_the_vocabulary(tmp_path: Path) -> None:
    vectorizer = fit()
    turned = dataclasses.replace(
        vectorizer, vocabulary=dict(reversed(list(vectorizer.vocabulary.items())))
    )
    vectorizer.save(tmp_path / "a")
    turned.save(tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert (tmp_path / "a").read_bytes() == vectorizer.to_json().encode("ascii")


def test_writes_the_documented_format() -> None:
    assert json.loads(fit(num_words=3, oov_token="<OOV>").to_json()) == {
        "format": "gatelet-vectorizer",
        "format_version": 1,
        "kind": "tokenizer",
        "lower": True,
        "filters": '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n',
        "split": " ",
        "char_level": False,
        "num_words": 3,
        "oov_token": "<OOV>",
        "oov_id": 1,
        "maxlen": 4,
        "padding": "pre",
        "truncating": "pre",
        "pad_value": 0,
        "unicode_version": unicodedata.unidata_version,
        "vocabulary": {"good": 2},
    }


def test_refuses_to_write_a_surrogate_pair_in_two_characters() -> None:
    vectorizer = Vectorizer.fit(["a \ud83d\ude00"], num_words=None, maxlen=4)
    assert vectorizer.ids("\ud83d\ude00 \U0001f600") == [2]
    with pytest.raises(DataError, match=r"cannot be written: '\\ud83d\\ude00' holds a surrogate"):
        vectorizer.to_json()


def test_is_immutable_hashable_and_survives_pickling_and_copying() -> None:
    vectorizer = fit()
    with pytest.raises(dataclasses.FrozenInstanceError):
        vectorizer.maxlen = 5  # type: ignore[misc]
    assert hash(vectorizer) == hash(fit())
    for other in (pickle.loads(pickle.dumps(vectorizer)), copy.deepcopy(vectorizer)):
        assert other == vectorizer
        assert other.pad(TEXTS[0]) == vectorizer.pad(TEXTS[0])


def test_keeps_its_own_vocabulary() -> None:
    vocabulary = {"good": 1}
    vectorizer = dataclasses.replace(fit(), vocabulary=vocabulary)
    vocabulary["bad"] = 2
    assert vectorizer.ids("good bad") == [1]


def test_importing_it_loads_the_standard_library_only() -> None:
    code = (
        "import sys; before = set(sys.modules); import gatelet.runtime.vectorizer.tokenizer; "
        "names = {name.partition('.')[0] for name in set(sys.modules) - before}; "
        "print(sorted(names - sys.stdlib_module_names))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "['gatelet']"


@pytest.mark.parametrize("lower", [False, True])
@pytest.mark.parametrize(("filters", "split"), [("!.,", " "), ("Ab.", "-"), ("", "--"), ("x", "é")])
def test_ascii_texts_are_split_as_all_others(filters: str, split: str, *, lower: bool) -> None:
    draw = random.Random(4)
    texts = ["".join(draw.choices("ABXabx.,! -\t\0", k=draw.randrange(30))) for _ in range(300)]
    one = Vectorizer.fit(texts, num_words=None, maxlen=9, filters=filters, split=split, lower=lower)
    for text in (text.rstrip("-") for text in texts):
        other = one.tokens(f"{text}{split}\u4f60")  # takes the way of all other texts
        assert one.tokens(text) == other[:-1]


@pytest.mark.parametrize("first", [0, 1])
def test_gives_a_word_the_id_0_where_the_vocabulary_does(first: int) -> None:
    vocabulary = {"good": first, "film": first + 1}
    vectorizer = dataclasses.replace(fit(), vocabulary=vocabulary)
    assert vectorizer.ids("a good film, good") == [first, first + 1, first]
