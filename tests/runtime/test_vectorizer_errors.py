"""One test for each way in which a vectorizer's file, a Tokenizer's or an argument can be wrong."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gatelet.errors import ModelError, OutputError
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

SPEC: dict[str, Any] = json.loads(
    Vectorizer.fit(["a good film", "a film"], num_words=9, maxlen=4, oov_token="<OOV>").to_json()
)
CONFIG: dict[str, Any] = {
    "num_words": 9,
    "filters": ",",
    "lower": True,
    "split": " ",
    "char_level": False,
    "oov_token": "<OOV>",
    "document_count": 2,
    "word_index": '{"<OOV>": 1, "a": 2}',
}


def refusal(text: str | bytes, path: Path) -> str:
    """Load the text as a vectorizer, and give the one line that refuses it."""
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(ModelError) as caught:
        Vectorizer.load(path)
    message = str(caught.value)
    assert str(path) in message
    assert "\n" not in message
    with pytest.raises(ModelError, match=r"^the vectorizer's JSON text"):
        Vectorizer.from_json(text)
    return message


def keras_refusal(document: object) -> str:
    with pytest.raises(ModelError) as caught:
        Vectorizer.from_keras_tokenizer(json.dumps(document), maxlen=4)
    message = str(caught.value)
    assert message.startswith("the Tokenizer's JSON text")
    assert "\n" not in message
    return message


def keras_document(**changes: object) -> dict[str, object]:
    return {"class_name": "Tokenizer", "config": CONFIG | changes}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"is not JSON: Expecting value.*; check that it is whole"),
        (json.dumps(SPEC)[:-9], r"is not JSON: .*; check that it is whole"),
        ("9" * 5000, r"is not JSON: Exceeds the limit .*; check that it is whole"),
        (b'{"format": "\xff"}', r"is not UTF-8 at byte 12: expected JSON in UTF-8"),
        ("[" * 200_000, r"is nested too deeply to be read: expected at most 3 levels"),
        ('{"a": 1, "a": 1}', r"has the key 'a' twice; leave one of them"),
        (
            "[]",
            r"is no vectorizer: expected 'format': 'gatelet-vectorizer', got \[\]; .*from_keras",
        ),
        (
            "{}",
            r"is no vectorizer: expected 'format': 'gatelet-vectorizer', got None; .*from_keras",
        ),
    ],
    ids=["empty", "cut", "huge-number", "not-utf-8", "nested", "twice", "list", "no-format"],
)
def test_refuses_what_is_no_vectorizer(text: str | bytes, message: str, tmp_path: Path) -> None:
    assert re.search(message, refusal(text, tmp_path / "v.json"))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("format", "x", r"is no vectorizer: expected 'format': 'gatelet-vectorizer', got 'x'"),
        ("format_version", 7, r"has format_version 7, and this gatelet reads up to 1: install a"),
        ("format_version", 0, r"'format_version' is 0: expected an integer from 1 to 1; take"),
        (
            "format_version",
            True,
            r"'format_version' is True: expected an integer from 1 to 1; take",
        ),
        ("kind", "bpe", r"'kind' is 'bpe': expected 'tokenizer'; take it from its run again"),
        ("colour", 1, r"has the unknown field 'colour'; take"),
        ("lower", 1, r"'lower' is 1: expected true or false; take"),
        ("filters", None, r"'filters' is None: expected a string; take"),
        ("split", ["a"], r"'split' is \['a'\]: expected a string; take"),
        ("split", "", r"'split' is empty: expected at least one character; take"),
        ("char_level", "no", r"'char_level' is 'no': expected true or false; take"),
        ("num_words", 9.0, r"'num_words' is 9\.0: expected an integer or none; take"),
        ("num_words", 0, r"'num_words' is 0: expected at least 1, or none; take"),
        ("num_words", 3, r"gives 'film' the id 3: expected ids below num_words, which is 3; take"),
        ("oov_token", 5, r"'oov_token' is 5: expected a string or none; take"),
        (
            "oov_token",
            None,
            r"'oov_token' is None and 'oov_id' is 1: expected both or neither; take",
        ),
        ("oov_token", "a", r"'vocabulary' holds the oov_token 'a': expected its id in 'oov_id'"),
        ("oov_id", True, r"'oov_id' is True: expected an integer or none; take"),
        ("oov_id", None, r"'oov_token' is '<OOV>' and 'oov_id' is None: expected both or neither"),
        ("oov_id", 2, r"gives 'a' and '<OOV>' the same id 2: expected an id of its own"),
        ("oov_id", -1, r"gives '<OOV>' the id -1: expected a string and an integer from 0 to"),
        ("maxlen", "4", r"'maxlen' is '4': expected an integer; take"),
        ("maxlen", 0, r"'maxlen' is 0: expected an integer from 1 to 1,000,000; take"),
        ("maxlen", 10**9, r"'maxlen' is 1000000000: expected an integer from 1 to 1,000,000; take"),
        ("padding", "left", r"'padding' is 'left': expected 'pre' or 'post'; take"),
        ("padding", 1, r"'padding' is 1: expected 'pre' or 'post'; take"),
        ("truncating", "right", r"'truncating' is 'right': expected 'pre' or 'post'; take"),
        ("pad_value", 0.5, r"'pad_value' is 0\.5: expected an integer; take"),
        ("pad_value", -1, r"'pad_value' is -1: expected an id from 0 to 2,147,483,647; take"),
        ("unicode_version", 14, r"'unicode_version' is 14: expected a string or none; take"),
        ("vocabulary", ["a"], r"'vocabulary' is \['a'\]: expected a mapping of words to ids; take"),
        ("vocabulary", {"a": "2"}, r"gives 'a' the id '2': expected a string and an integer from"),
        ("vocabulary", {"a": True}, r"gives 'a' the id True: expected a string and an integer"),
        ("vocabulary", {"a": -2}, r"gives 'a' the id -2: expected a string and an integer from"),
        ("vocabulary", {"a": 2**31}, r"gives 'a' the id 2147483648: .* from 0 to 2,147,483,647"),
        ("vocabulary", {"a": 2, "b": 2}, r"gives 'a' and 'b' the same id 2: expected an id of its"),
    ],
)
def test_refuses_a_wrong_field(field: str, value: object, message: str, tmp_path: Path) -> None:
    assert re.search(message, refusal(json.dumps(SPEC | {field: value}), tmp_path / "v.json"))


@pytest.mark.parametrize("field", sorted(SPEC.keys() - {"format", "format_version", "kind"}))
def test_refuses_a_missing_field(field: str, tmp_path: Path) -> None:
    spec = {name: value for name, value in SPEC.items() if name != field}
    message = refusal(json.dumps(spec), tmp_path / "v.json")
    assert f"the field '{field}' is missing; take it from its run again" in message


def test_a_newer_format_gives_both_numbers_as_attributes() -> None:
    with pytest.raises(ModelError) as caught:
        Vectorizer.from_json(json.dumps(SPEC | {"format_version": 7}))
    assert caught.value.facts == {"found": 7, "supported": 1}


def test_refuses_a_word_that_is_there_twice(tmp_path: Path) -> None:
    text = json.dumps(SPEC).replace('{"a": 2', '{"a": 2, "b": 7, "a": 8')
    assert "has the key 'a' twice" in refusal(text, tmp_path / "v.json")


@pytest.mark.parametrize("path", ["missing.json", ".", "nul\0.json"])
def test_refuses_a_path_that_cannot_be_read(path: str, tmp_path: Path) -> None:
    for read in (Vectorizer.load, lambda p: Vectorizer.from_keras_tokenizer(p, maxlen=4)):
        with pytest.raises(ModelError, match=r"cannot be read: .*; check the path$") as caught:
            read(tmp_path / path)
        assert repr(str(tmp_path / path)) in str(caught.value)


def test_refuses_a_place_it_cannot_be_saved_to(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        Vectorizer.from_json(json.dumps(SPEC)).save(tmp_path / "missing" / "v.json")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            {},
            r"is no Keras Tokenizer: expected 'class_name': 'Tokenizer', got None; write it again",
        ),
        ({"class_name": "X"}, r"expected 'class_name': 'Tokenizer', got 'X'; .*Vectorizer\.load$"),
        ({"class_name": "Tokenizer"}, r"'config' is None: expected an object; write it again"),
        (keras_document(word_index={}), r"'word_index' is {}: expected a string that holds JSON"),
        (keras_document(word_index="{"), r"'word_index' is not JSON: "),
        (
            keras_document(word_index="[]"),
            r"'word_index' is \[\]: expected a mapping of words to ids",
        ),
        (keras_document(word_index='{"a": 1, "a": 2}'), r"'word_index' has the key 'a' twice"),
        (keras_document(word_index='{"a": -1}'), r"'word_index' gives 'a' the id -1: expected"),
        (
            keras_document(word_index='{"a": 1, "b": 1}'),
            r"gives 'a' and 'b' the same id 1: expected",
        ),
        (
            keras_document(word_index='{"a": 1}'),
            r"the oov_token '<OOV>' is not in its 'word_index', ",
        ),
        (
            keras_document(oov_token=1),
            r"'oov_token' is 1: expected a string or none; write it again",
        ),
        (keras_document(num_words="9"), r"'num_words' is '9': expected an integer or none; write"),
        (keras_document(num_words=-9), r"'num_words' is -9: expected at least 1, or none; write"),
        (keras_document(filters=None), r"'filters' is None: expected a string; write it again"),
        (keras_document(split=""), r"'split' is empty: expected at least one character; write"),
        (keras_document(lower=None), r"'lower' is None: expected true or false; write it again"),
    ],
)
def test_refuses_what_is_no_usable_tokenizer(document: object, message: str) -> None:
    assert re.search(message, keras_refusal(document))


def test_refuses_a_tokenizer_text_that_is_no_json() -> None:
    with pytest.raises(ModelError, match=r"^the Tokenizer's JSON text is not JSON: "):
        Vectorizer.from_keras_tokenizer("{]", maxlen=4)


@pytest.mark.parametrize("field", sorted(CONFIG.keys() - {"document_count"}))
def test_refuses_a_tokenizer_without_a_field(field: str) -> None:
    config = {name: value for name, value in CONFIG.items() if name != field}
    message = keras_refusal({"class_name": "Tokenizer", "config": config})
    assert f"'config': the field '{field}' is missing; write it again" in message


def test_refuses_its_own_format_as_a_tokenizer_and_says_what_reads_it() -> None:
    assert keras_refusal(SPEC).endswith("or read a vectorizer.json with Vectorizer.load")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"maxlen": 0}, ValueError, "'maxlen' is 0: expected an integer from 1"),
        ({"maxlen": None}, TypeError, "'maxlen' is None: expected an integer"),
        ({"padding": "left"}, ValueError, "'padding' is 'left': expected 'pre' or 'post'"),
        ({"truncating": "right"}, ValueError, "'truncating' is 'right': expected 'pre' or 'post'"),
        ({"value": -1}, ValueError, "'pad_value' is -1: expected an id from 0"),
        ({"value": 0.0}, TypeError, "'pad_value' is 0.0: expected an integer"),
    ],
)
def test_a_wrong_argument_is_the_programmers_error(
    changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    arguments: dict[str, Any] = {"maxlen": 4} | changes
    with pytest.raises(error, match=message):
        Vectorizer.fit(["a"], num_words=None, **arguments)
    with pytest.raises(error, match=message):
        Vectorizer.from_keras_tokenizer(json.dumps(keras_document()), **arguments)


@pytest.mark.parametrize(
    ("texts", "changes", "error", "message"),
    [
        ("abc", {}, TypeError, "texts is one str: expected an iterable of texts"),
        ([b"abc"], {}, TypeError, "a text is b'abc': expected a str"),
        (["a"], {"num_words": -1}, ValueError, "'num_words' is -1: expected at least 1, or none"),
        (["a"], {"split": ""}, ValueError, "'split' is empty"),
        (["a"], {"oov_token": 1}, TypeError, "'oov_token' is 1: expected a string or none"),
    ],
)
def test_fit_refuses_wrong_arguments(
    texts: list[str], changes: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        Vectorizer.fit(texts, **({"num_words": None, "maxlen": 4} | changes))


@pytest.mark.parametrize("text", [None, 3, b"a", ["a"]])
def test_refuses_a_text_that_is_no_str(text: str) -> None:
    vectorizer = Vectorizer.from_json(json.dumps(SPEC))
    for method in (vectorizer.ids, vectorizer.pad, vectorizer.tokens):
        with pytest.raises(TypeError, match=r"a text is .*: expected a str"):
            method(text)
