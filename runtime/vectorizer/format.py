"""The fields of a vectorizer, its JSON, and the JSON that Keras' Tokenizer.to_json() writes.

Not what the fields mean, nor which values go together: that is `tokenizer.py`.
"""

import contextlib
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from reprlib import repr as show
from typing import Any

from gatelet.errors import DataError, ModelError

FORMAT = "gatelet-vectorizer"
FORMAT_VERSION = 1
TOKENIZER = "tokenizer"
TEXT_VECTORIZATION = "text_vectorization"

LARGEST_ID = 2**31 - 1  # pad_sequences gives int32
LARGEST_MAXLEN = 1_000_000
SIDES = ("pre", "post")
FIELDS: dict[str, tuple[tuple[type, ...], str]] = {
    "lower": ((bool,), "true or false"),
    "filters": ((str,), "a string"),
    "split": ((str,), "a string"),
    "char_level": ((bool,), "true or false"),
    "num_words": ((int, type(None)), "an integer or none"),
    "oov_token": ((str, type(None)), "a string or none"),
    "oov_id": ((int, type(None)), "an integer or none"),
    "maxlen": ((int,), "an integer"),
    "padding": ((str,), "'pre' or 'post'"),
    "truncating": ((str,), "'pre' or 'post'"),
    "pad_value": ((int,), "an integer"),
    "unicode_version": ((str, type(None)), "a string or none"),
    "vocabulary": ((dict,), "a mapping of words to ids"),
}

TEXT_VECTORIZATION_FIELDS: dict[str, tuple[tuple[type, ...], str]] = {
    "standardize": ((str, type(None)), "a string or none"),
    "split": ((str, type(None)), "a string or none"),
    "ngrams": ((list, type(None)), "a list or none"),
    "maxlen": ((int,), "an integer"),
    "vocabulary": ((dict,), "a mapping of words to ids"),
}
KINDS = {TOKENIZER: FIELDS, TEXT_VECTORIZATION: TEXT_VECTORIZATION_FIELDS}

DAMAGED = "take it from its run again, or fit a new one"
REWRITE = "write it again with Tokenizer.to_json()"

_HEADER = ("format", "format_version", "kind")
_KERAS_FIELDS = ("filters", "lower", "split", "char_level", "num_words", "oov_token", "word_index")
# patterns, compiled where they are used: not at the start of every process
_KIND = r'"kind"\s*:\s*"([a-z_]+)"'
_HEADER_CHARACTERS = 200
_SURROGATE_PAIR = "[\ud800-\udbff][\udc00-\udfff]"
_BEYOND_UTF16_UNIT = "[\U00010000-\U0010ffff]"


def check_types(
    values: Mapping[str, Any],
    expected_types: Mapping[str, tuple[tuple[type, ...], str]] = FIELDS,
) -> None:
    """Check that each value has the type of the field it is named after.

    Raises:
        TypeError: It has not.
    """
    for name, value in values.items():
        types, expected = expected_types[name]
        if not isinstance(value, types) or (isinstance(value, bool) and bool not in types):
            raise TypeError(f"'{name}' is {show(value)}: expected {expected}")


def check_ids(name: str, ids: object) -> None:
    """Check that `ids` maps strings to ids, no two to the same.

    Args:
        name: The field, for the message.
        ids: What should be the mapping.

    Raises:
        TypeError: It is no dict.
        ValueError: A word or an id cannot be one, or two words share an id.
    """
    if not isinstance(ids, dict):
        raise TypeError(f"'{name}' is {show(ids)}: expected a mapping of words to ids")
    owners: dict[int, str] = {}
    for word, i in ids.items():
        if not isinstance(word, str) or type(i) is not int or not 0 <= i <= LARGEST_ID:
            raise ValueError(
                f"'{name}' gives {show(word)} the id {show(i)}: "
                f"expected a string and an integer from 0 to {LARGEST_ID:,}"
            )
        if owners.setdefault(i, word) is not word:
            raise ValueError(
                f"'{name}' gives {show(owners[i])} and {show(word)} the same id {i}: "
                "expected an id of its own for each word"
            )


def read_text(path: Path, where: str) -> str:
    """Read a file as UTF-8.

    Args:
        path: The file.
        where: What to call it in messages; as in the functions below.

    Raises:
        ModelError: The file is missing, not readable or not UTF-8.
    """
    try:
        data = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path no system has, with NUL
        reason = error.strerror if isinstance(error, OSError) else error
        raise ModelError(
            f"{where} cannot be read: {reason}; check the path", path=str(path)
        ) from error
    return decode(data, where)


def decode(data: bytes, where: str) -> str:
    """Decode UTF-8, with or without a byte order mark.

    Raises:
        ModelError: The bytes are not UTF-8.
    """
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ModelError(
            f"{where} is not UTF-8 at byte {error.start}: expected JSON in UTF-8; save it as UTF-8"
        ) from error


def parse_spec(text: str, where: str, *, kind: str = TOKENIZER) -> dict[str, Any]:
    """Return the fields of a vectorizer's JSON, values unchecked.

    Args:
        text: The JSON.
        where: What to call it in messages.
        kind: A key of KINDS, which the text must be of.

    Raises:
        ModelError: The text is no vectorizer of this format and kind.
    """
    document = _parse(text, where)
    found = document.get("format") if isinstance(document, dict) else document
    if found != FORMAT:
        raise ModelError(
            f"{where} is no vectorizer: expected 'format': '{FORMAT}', got {show(found)}; "
            "read the JSON of a Keras Tokenizer with Vectorizer.from_keras_tokenizer"
        )
    version = document.get("format_version")
    if type(version) is not int or version < 1:
        raise ModelError(
            f"{where}: 'format_version' is {show(version)}: "
            f"expected an integer from 1 to {FORMAT_VERSION}; {DAMAGED}"
        )
    if version > FORMAT_VERSION:
        raise ModelError(
            f"{where} has format_version {version}, and this gatelet reads up to "
            f"{FORMAT_VERSION}: install a newer gatelet",
            found=version,
            supported=FORMAT_VERSION,
        )
    if (found_kind := document.get("kind")) != kind:
        raise ModelError(f"{where}: 'kind' is {show(found_kind)}: expected '{kind}'; {DAMAGED}")
    fields = KINDS[kind]
    for name in sorted(document.keys() - {*_HEADER, *fields}):
        raise ModelError(f"{where} has the unknown field {show(name)}; {DAMAGED}")
    return _pick(document, tuple(fields), where, DAMAGED)


def kind_of(text: str) -> str:
    """Return which kind a vectorizer's JSON says it is of; TOKENIZER where it does not tell."""
    found = re.search(_KIND, text[:_HEADER_CHARACTERS])
    return found[1] if found and found[1] in KINDS else TOKENIZER


def format_spec(spec: Mapping[str, Any], *, kind: str = TOKENIZER) -> str:
    """Return the JSON that `parse_spec` reads, in ASCII: lone surrogates survive it.

    Args:
        spec: The fields, in the order of the file.
        kind: A key of KINDS.

    Raises:
        DataError: A string holds the two halves of a surrogate pair as two characters.
    """
    strings = [value for value in spec.values() if isinstance(value, str)]
    for text in (*strings, *spec["vocabulary"]):
        if re.search(_SURROGATE_PAIR, text):
            raise DataError(
                f"the vectorizer cannot be written: {show(text)} holds a surrogate pair as "
                "two characters, which JSON reads back as one; repair the texts, then fit again"
            )
    header = dict(zip(_HEADER, (FORMAT, FORMAT_VERSION, kind), strict=True))
    return json.dumps(header | dict(spec)) + "\n"


def parse_keras_tokenizer(text: str, where: str) -> dict[str, Any]:
    """Return the config in the JSON of a Keras Tokenizer, 'word_index' parsed, values unchecked.

    Raises:
        ModelError: The text is not what Tokenizer.to_json() writes.
    """
    document = _parse(text, where)
    if isinstance(document, str):  # json.dump(tokenizer.to_json(), file) encodes twice
        document = _parse(document, where)
    found = document.get("class_name") if isinstance(document, dict) else document
    if found != "Tokenizer":
        raise ModelError(
            f"{where} is no Keras Tokenizer: expected 'class_name': 'Tokenizer', "
            f"got {show(found)}; {REWRITE}, or read a vectorizer.json with Vectorizer.load"
        )
    config = _pick(document.get("config"), _KERAS_FIELDS, f"{where}, 'config'", REWRITE)
    words = config["word_index"]
    if not isinstance(words, str):
        raise ModelError(
            f"{where}: 'word_index' is {show(words)}: expected a string that holds JSON; {REWRITE}"
        )
    # Keras writes the character U+1F600, and its two surrogates as two characters, alike; reading
    # them it keeps the later one.
    word_index = _parse(words, f"{where}, 'word_index'", may_repeat=re.compile(_BEYOND_UTF16_UNIT))
    return config | {"word_index": word_index}


@contextlib.contextmanager
def wrong_file(where: str, advice: str) -> Iterator[None]:
    """Turn what would be a programmer's wrong argument into the error of the file it came from."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ModelError(f"{where}: {error}; {advice}") from error


def _pick(document: object, names: tuple[str, ...], where: str, advice: str) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise ModelError(f"{where} is {show(document)}: expected an object; {advice}")
    for name in names:
        if name not in document:
            raise ModelError(f"{where}: the field '{name}' is missing; {advice}", field=name)
    return {name: document[name] for name in names}


def _parse(text: str, where: str, *, may_repeat: re.Pattern[str] | None = None) -> Any:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            for key, times in Counter(key for key, _ in pairs).items():
                if times > 1 and not (may_repeat and may_repeat.search(key)):
                    raise ModelError(f"{where} has the key {show(key)} twice; leave one of them")
        return found

    try:
        return json.loads(text, object_pairs_hook=unique)
    except RecursionError as error:
        raise ModelError(
            f"{where} is nested too deeply to be read: expected at most 3 levels; "
            "check that it is the right file"
        ) from error
    except ValueError as error:
        raise ModelError(
            f"{where} is not JSON: {error}; check that it is whole and the right file"
        ) from error


def check_lengths(maxlen: int, padding: str, truncating: str, pad_value: int) -> None:
    """Check what `pad_sequences` takes.

    Raises:
        TypeError: An argument has the wrong type.
        ValueError: One is out of range.
    """
    sides = {"padding": padding, "truncating": truncating}
    check_types({"maxlen": maxlen, "pad_value": pad_value} | sides)
    if not 1 <= maxlen <= LARGEST_MAXLEN:
        raise ValueError(f"'maxlen' is {maxlen}: expected an integer from 1 to {LARGEST_MAXLEN:,}")
    for name, side in sides.items():
        if side not in SIDES:
            raise ValueError(f"'{name}' is {show(side)}: expected 'pre' or 'post'")
    if not 0 <= pad_value <= LARGEST_ID:
        raise ValueError(f"'pad_value' is {pad_value}: expected an id from 0 to {LARGEST_ID:,}")
