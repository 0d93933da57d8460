"""A vectorizer from whatever file people have of one: what it is told by its content.

Not the reading of pickles, which is `pickles.py`, nor what a vectorizer does to a text.
"""

import json
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatelet.convert.reading.files import holds_model
from gatelet.convert.reading.model_source import ModelSource, open_source
from gatelet.convert.reading.pickle_source import is_compressed, is_pickle
from gatelet.convert.reading.pickled_classes import TOKENIZER, PickledArray, PickledObject
from gatelet.convert.reading.pickles import read_pickle
from gatelet.convert.reading.text_layer import TEXT_LAYER, text_layer_vectorizer
from gatelet.errors import ConfigError, ModelError
from gatelet.runtime.vectorizer.format import check_ids, wrong_file
from gatelet.runtime.vectorizer.opening import AnyVectorizer, load_vectorizer
from gatelet.runtime.vectorizer.tokenizer import KERAS_FILTERS, Vectorizer

_PICKLE_SUFFIXES = (".pickle", ".pkl", ".p", ".joblib", ".pck", ".pk")
_FORMS = (
    "a vectorizer.json, Tokenizer.to_json(), a pickled Tokenizer, a word_index, a list of tokens, "
    "or a TextVectorization as configuration and vocabulary or in a model"
)
_UNKNOWN = "[UNK]"


@dataclass(frozen=True)
class Padding:
    """How Keras' pad_sequences was called, as far as that is known.

    Args:
        maxlen: None for the model's input length.
        padding: 'pre' or 'post'; None for 'pre', Keras' default.
        truncating: Likewise.
    """

    maxlen: int | None = None
    padding: str | None = None
    truncating: str | None = None


@dataclass(frozen=True)
class _Asked:
    """A file of words, the model that it belongs to, and what was said about both."""

    path: Path
    model: Path
    config: Path | None
    padded: Padding
    progress: Callable[[str], None]

    def source(self) -> ModelSource:
        return open_source(self.model, config=self.config)

    def maxlen(self) -> int:
        """Return how many ids a text has, from --maxlen or else the model's input."""
        maxlen = self.padded.maxlen
        if maxlen is None:
            maxlen = self.source().model.inputs[0].shape[1]
        if maxlen is None:
            raise ModelError(
                f"'{self.model}' takes any number of timesteps, and '{self.path}' does not say how "
                "many texts were padded to: give --maxlen"
            )
        return maxlen


def read_vectorizer(
    path: Path | None,
    model: Path,
    *,
    config: Path | None = None,
    padded: Padding = Padding(),
    progress: Callable[[str], None] = lambda text: None,
) -> AnyVectorizer | None:
    """Read a vectorizer of ours, or what Keras and its users write of theirs.

    Args:
        path: One of the forms that docs/reading.md lists; None gives None.
        model: The model that it belongs to, whose input tells maxlen.
        config: Of that model, where its file holds weights only.
        padded: How its ids were padded.
        progress: Told what was taken for granted.

    Raises:
        ConfigError: These were given for a vectorizer that has its own.
        ModelError: It is no vectorizer, or the model does not tell its input length.
    """
    if path is None:
        return None
    asked = _Asked(path, model, config, padded, progress)
    head = _head(path)
    if path.is_dir() or holds_model(head):
        return _of_model(asked)
    if is_pickle(head) or is_compressed(head) or path.suffix.lower() in _PICKLE_SUFFIXES:
        return _of_document(asked, _plain(read_pickle(path)))
    text = _text(path)
    if '"gatelet-vectorizer"' in text[:1000]:
        if padded != Padding():
            raise ConfigError(
                f"'{path}' has a maxlen, padding and truncating of its own: leave out --maxlen, "
                "--padding and --truncating"
            )
        return load_vectorizer(path)
    return _of_document(asked, _parsed(path, text))


def _head(path: Path) -> bytes:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            return b""
        if not stat.S_ISREG(mode):
            raise ModelError(f"cannot read the vectorizer '{path}': it is no regular file")
        with path.open("rb") as file:
            return file.read(512)
    except (OSError, ValueError) as error:  # ValueError: a path no system has, with NUL
        said = error.strerror if isinstance(error, OSError) else error
        raise ModelError(f"cannot read the vectorizer '{path}': {said}") from error


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else error
        raise ModelError(
            f"cannot read the vectorizer '{path}': {said}; expected {_FORMS}"
        ) from error


def _parsed(path: Path, text: str) -> Any:
    """Return the JSON, or the lines of a vocabulary.txt, one token a line."""
    if text.lstrip()[:1] not in ("{", "[", '"') or text.lstrip().startswith(_UNKNOWN):
        return text.removesuffix("\n").split("\n") if text.strip() else []
    try:
        document = json.loads(text)
        return json.loads(document) if isinstance(document, str) else document
    except (ValueError, RecursionError) as error:
        raise ModelError(
            f"'{path}' is not JSON: {error}; check that it is whole and the right file"
        ) from error


def _plain(value: Any) -> Any:
    """Return an array of strings as a list; anything else as it is."""
    if isinstance(value, PickledArray) and value.values.dtype.kind in "OUS":
        return [_word(word) for word in value.values.ravel().tolist()]
    return value


def _word(word: Any) -> Any:
    return word.decode("utf-8", "replace") if isinstance(word, bytes) else word


def _of_document(asked: _Asked, document: Any) -> AnyVectorizer:
    path = asked.path
    if isinstance(document, PickledObject) and document.name == TOKENIZER:
        return _of_tokenizer(asked, _tokenizer_config(path, document.state))
    if isinstance(document, dict) and document.get("class_name") == TOKENIZER:
        return _of_keras_json(asked, json.dumps(document))
    if isinstance(document, dict) and (layer := _layer_config(document)):
        return _of_layer(asked, layer)
    if isinstance(document, dict) and document and _are_ids(document):
        return _of_word_index(asked, document)
    if isinstance(document, list) and len(document) > 1 and all(type(w) is str for w in document):
        return _of_list(asked, document)
    found = document.name if isinstance(document, PickledObject) else type(document).__name__
    raise ModelError(f"'{path}' holds no vectorizer but a {found}: expected {_FORMS}")


def _tokenizer_config(path: Path, state: Mapping[str, Any]) -> dict[str, Any]:
    """Return what `Tokenizer.to_json()` would have said; Keras 1 had fewer settings."""
    if state.get("analyzer") is not None:
        raise ModelError(
            f"the Tokenizer in '{path}' has an analyzer, a function of its own, which no file "
            "holds: its texts are split by code that gatelet does not have"
        )
    return {
        "filters": state.get("filters"),
        "lower": state.get("lower", True),
        "split": state.get("split", " "),
        "char_level": state.get("char_level", False),
        "num_words": state.get("num_words", state.get("nb_words")),
        "oov_token": state.get("oov_token"),
        "word_index": state.get("word_index"),
    }


def _of_tokenizer(asked: _Asked, config: Mapping[str, Any]) -> Vectorizer:
    with wrong_file(f"'{asked.path}'", "check that it is a fitted Tokenizer"):
        check_ids("word_index", config["word_index"])
    words = json.dumps(config["word_index"])
    document = {"class_name": TOKENIZER, "config": {**config, "word_index": words}}
    return _of_keras_json(asked, json.dumps(document))


def _of_keras_json(asked: _Asked, text: str) -> Vectorizer:
    padded, name = asked.padded, asked.path.name
    maxlen = asked.maxlen()
    sides = (padded.padding or "pre", padded.truncating or "pre")
    if padded.padding is None or padded.truncating is None:
        asked.progress(
            f"'{name}' does not say how texts were padded: taking maxlen {maxlen}, padding "
            f"'{sides[0]}', truncating '{sides[1]}', as pad_sequences does "
            "unless told; --maxlen, --padding and --truncating say otherwise"
        )
    try:
        return Vectorizer.from_keras_tokenizer(
            text, maxlen=maxlen, padding=sides[0], truncating=sides[1]
        )
    except ModelError as error:
        raise ModelError(f"'{asked.path}': {error}") from error


def _are_ids(document: Mapping[Any, Any]) -> bool:
    """Recognise a word_index, or an index_word, whose keys JSON writes as strings."""
    if all(type(value) is int for value in document.values()):
        return all(type(key) is str for key in document)
    return all(type(w) is str for w in document.values()) and all(map(_is_id, document))


def _is_id(key: Any) -> bool:
    return type(key) is int or (type(key) is str and key.isascii() and key.isdecimal())


def _of_word_index(asked: _Asked, document: Mapping[Any, Any]) -> Vectorizer:
    """Take the settings of Keras' Tokenizer for granted, and say so."""
    is_index = all(type(value) is int for value in document.values())
    ids = dict(document) if is_index else {word: int(key) for key, word in document.items()}
    with wrong_file(f"'{asked.path}'", "give the word_index of the Tokenizer that the model had"):
        check_ids("word_index", ids)
    first = next((word for word, i in ids.items() if i == 1), None)
    unknown = first if first and _in_no_text(first) else None
    rows = _embedding_rows(asked.source())
    limit = rows if rows is not None and max(ids.values()) >= rows else None
    asked.progress(
        f"'{asked.path.name}' holds words and ids only: taking lower case, and the filters and "
        "spaces of Keras' Tokenizer"
        + (f"; {unknown!r}, which no text gives, for unknown words" if unknown else "")
        + (f"; ids below {limit:,} only, the rows of the model's Embedding" if limit else "")
    )
    config = {
        "filters": KERAS_FILTERS,
        "lower": True,
        "split": " ",
        "char_level": False,
        "num_words": limit,
        "oov_token": unknown,
        "word_index": ids,
    }
    return _of_tokenizer(asked, config)


def _in_no_text(word: str) -> bool:
    return word != word.lower() or any(letter in KERAS_FILTERS for letter in word)


def _embedding_rows(source: ModelSource) -> int | None:
    """Return how many ids the model knows; None without one Embedding that says so."""
    layers = source.model.layers.values()
    rows = {one.config.get("input_dim") for one in layers if one.class_name == "Embedding"}
    only = rows.pop() if len(rows) == 1 else None
    return only if type(only) is int else None


def _of_list(asked: _Asked, words: list[str]) -> AnyVectorizer:
    """Take a list for the vocabulary of a TextVectorization with Keras' defaults, and say so."""
    asked.progress(
        f"'{asked.path.name}' holds tokens only: taking them for the vocabulary of a "
        f"{TEXT_LAYER} that lower-cases, strips punctuation and splits at spaces"
    )
    config = {"standardize": "lower_and_strip_punctuation", "split": "whitespace"}
    return _of_layer(asked, {**config, "vocabulary": words})


def _layer_config(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the configuration of a TextVectorization, its vocabulary within; None if it is none.

    Known are the configuration itself, what keras.layers.serialize returns, and either beside
    `vocabulary` or `weights`, as they are pickled together.
    """
    inner = document.get("config", document)
    while isinstance(inner, dict) and isinstance(inner.get("config"), dict):
        inner = inner["config"]
    if not isinstance(inner, dict) or not {"standardize", "split"} <= inner.keys():
        return None
    weights = [_plain(weight) for weight in document.get("weights") or []]
    lists = [weight for weight in weights if isinstance(weight, list)]
    words = document.get("vocabulary", inner.get("vocabulary"))
    return {**inner, "vocabulary": _plain(words) or (lists[0] if lists else None)}


def _of_layer(asked: _Asked, config: Mapping[str, Any]) -> AnyVectorizer:
    path, padded = asked.path, asked.padded
    words = config["vocabulary"]
    if not isinstance(words, list) or not words or not all(type(word) is str for word in words):
        raise ModelError(
            f"'{path}' holds the configuration of a {TEXT_LAYER} without its vocabulary: write "
            "get_vocabulary() beside it, as 'vocabulary'"
        )
    if padded.padding is not None or padded.truncating is not None:
        raise ConfigError(
            f"'{path}' is a {TEXT_LAYER}, which always pads and cuts at the end: leave out "
            "--padding and --truncating"
        )
    if words[0] != "":  # Keras takes a vocabulary with its two special tokens, or without
        words = ["", *([] if words[0] == _UNKNOWN else [_UNKNOWN]), *words]
    length = config.get("output_sequence_length") or asked.maxlen()
    whole = {**config, "vocabulary": words, "output_sequence_length": length}
    return text_layer_vectorizer(path.stem, whole)


def _of_model(asked: _Asked) -> AnyVectorizer:
    vectorizer = open_source(asked.path).vectorizer
    if vectorizer is None:
        raise ModelError(
            f"'{asked.path}' is a model without a {TEXT_LAYER} layer, so it holds no vectorizer: "
            f"expected {_FORMS}"
        )
    if asked.padded != Padding():
        raise ConfigError(
            f"'{asked.path}' has a length of its own: leave out --maxlen, --padding and "
            "--truncating"
        )
    return vectorizer
