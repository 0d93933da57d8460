r"""Reads the copies of a vectorizer that files of artifacts hold, and compares them entry by entry.

Not the running of an artifact's own reader of texts, and not the writing of copies: a checker does
not ask the checked.
"""

import hashlib
import importlib.util
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from gatelet.runtime.archives import TooLarge, read_member, twice_in
from gatelet.runtime.vectorizer.opening import AnyVectorizer
from gatelet.runtime.vectorizer.surrogates import as_utf8

SHOWN_DIGITS = 12
"""Of a digest, as in the names of files."""

MAX_MEMBER_BYTES = 256 * 2**20
"""Of a vocabulary behind a litert file."""

_DROPPED = -1
"""What onnx-text gives a word without an id."""

_ESCAPES = {"\\": "\\", "n": "\n", "r": "\r"}
_ESCAPE = r"\\(u[0-9a-f]{4}|.)"


@dataclass(frozen=True)
class Copy:
    """What a file tells of the vectorizer that it was made with; None for what it does not.

    Args:
        sha256: Of its vectorizer.json.
        settings: All fields but the vocabulary.
        words: The id of each word.
        unknown: The id of other words.
    """

    sha256: str | None = None
    settings: Mapping[str, Any] | None = None
    words: Mapping[str, int] | None = None
    unknown: int | None = None


_UNREADABLE = Copy("")
"""Of a file that has two readings, or would take much memory: no digest is like that."""


def read_copy(target: str, path: Path) -> Copy | None:
    """Read what an artifact's file tells of its vectorizer.

    Returns:
        None for a target whose files tell nothing, or a file that nobody can read here.
    """
    read = _READERS.get(target)
    return None if read is None else read(path)


def differences(copy: Copy, vectorizer: AnyVectorizer, content: bytes) -> dict[str, str]:
    """Compare a copy with the vectorizer of the bundle.

    Args:
        copy: Of a file.
        vectorizer: Of the bundle.
        content: Its vectorizer.json.

    Returns:
        A sentence for each setting or word that differs, by what it is; one where only the digest
        tells.
    """
    found: dict[str, str] = {}
    if copy.settings is not None:
        found |= _other_settings(copy.settings, vectorizer, "the file")
    if copy.words is not None:
        expected = _as_stored(vectorizer.vocabulary)
        found |= _other_words(copy.words, expected, "in the file", "in the vectorizer")
    if copy.unknown is not None:
        right = getattr(vectorizer, "oov_id", None)
        right = _DROPPED if right is None else right
        if copy.unknown != right:
            said = f"unknown words have the id {copy.unknown} in the file, expected {right}"
            found["unknown words"] = said
    here = hashlib.sha256(content).hexdigest()
    if not found and copy.sha256 not in (None, here):
        found[""] = (
            f"the file was made with another vectorizer: {str(copy.sha256)[:SHOWN_DIGITS]}, the "
            f"bundle has {here[:SHOWN_DIGITS]}"
        )
    return found


def entries_that_differ(vectorizer: AnyVectorizer, source: AnyVectorizer) -> dict[str, str]:
    """Compare the vectorizer of a bundle with the one that it was made from; as `differences`."""
    settings = json.loads(source.to_json())
    return {
        **_other_settings(settings, vectorizer, "the source"),
        **_other_words(vectorizer.vocabulary, source.vocabulary, "in the bundle", "in its source"),
    }


def _other_settings(
    settings: Mapping[str, Any], vectorizer: AnyVectorizer, where: str
) -> dict[str, str]:
    return {
        name: f"{where} says {name} {settings.get(name)!r}, the vectorizer {right!r}"
        for name, right in json.loads(vectorizer.to_json()).items()
        if name != "vocabulary" and settings.get(name) != right
    }


def _other_words(
    words: Mapping[str, int], expected: Mapping[str, int], here: str, there: str
) -> dict[str, str]:
    return {
        repr(word): f"{word!r} has the id {words.get(word)} {here}, {expected.get(word)} {there}"
        for word in {**expected, **words}
        if words.get(word) != expected.get(word)
    }


def _as_stored(words: Mapping[str, int]) -> dict[str, int]:
    """Return the words as a file in UTF-8 holds them."""
    found: dict[str, int] = {}
    for word, index in words.items():
        if word:
            found.setdefault(as_utf8(word), index)
    return found


def _read_onnx(path: Path) -> Copy | None:
    if importlib.util.find_spec("onnx") is None:
        return None
    import onnx

    model = onnx.load(str(path), load_external_data=False)
    told = {one.key: one.value for one in model.metadata_props}
    settings = told.get("gatelet.vectorizer")
    words, unknown = _label_encoder(onnx, model)
    return Copy(
        told.get("gatelet.vectorizer_sha256"),
        None if settings is None else json.loads(settings),
        words,
        unknown,
    )


def _label_encoder(onnx: Any, model: Any) -> tuple[dict[str, int] | None, int | None]:
    """Return the table that a file with the vectorizer in it looks words up in."""
    for node in model.graph.node:
        if node.op_type == "LabelEncoder":
            table = {one.name: onnx.helper.get_attribute_value(one) for one in node.attribute}
            words = [one.decode("utf-8", "replace") for one in table["keys_strings"]]
            found = dict(zip(words, table["values_int64s"], strict=True))
            found.pop("", None)
            return found, table["default_int64"]
    return None, None


def _read_litert(path: Path) -> Copy | None:
    try:
        with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
            if twice_in(archive):
                return _UNREADABLE
            read = partial(read_member, archive, limit_bytes=MAX_MEMBER_BYTES)
            names = set(archive.namelist())
            about = json.loads(read("gatelet.json")) if "gatelet.json" in names else {}
            lines = read("vocab.txt") if "vocab.txt" in names else None
    except TooLarge:
        return _UNREADABLE
    except zipfile.BadZipFile:  # a file without metadata
        return None
    words = None if lines is None else _words_of_lines(lines.decode("utf-8"))
    return Copy(about.get("vectorizer_sha256"), about.get("vectorizer"), words)


def _words_of_lines(text: str) -> dict[str, int]:
    """Read a word a line, the number of which is its id."""
    words = (re.sub(_ESCAPE, _unescaped, line) for line in text.split("\n"))
    found: dict[str, int] = {}
    for number, word in enumerate(words):
        if word:
            found.setdefault(as_utf8(word), number)
    return found


def _unescaped(found: re.Match[str]) -> str:
    code = found[1]
    return chr(int(code[1:], 16)) if len(code) > 1 else _ESCAPES.get(code, found[0])


_READERS: dict[str, Callable[[Path], Copy | None]] = {
    "onnx": _read_onnx,
    "onnx-text": _read_onnx,
    "litert": _read_litert,
}
