"""Text to ids exactly as a Keras TextVectorization layer with output_mode='int' does it.

Not the legacy Tokenizer, which is `gatelet.runtime.vectorizer.tokenizer`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from reprlib import repr as show
from typing import Self

from gatelet.runtime.files import write_atomically
from gatelet.runtime.vectorizer.format import (
    DAMAGED,
    TEXT_VECTORIZATION,
    TEXT_VECTORIZATION_FIELDS,
    check_ids,
    check_types,
    format_spec,
    parse_spec,
    read_text,
    wrong_file,
)

PAD_ID = 0
OOV_ID = 1
STANDARDIZE = (None, "lower", "strip_punctuation", "lower_and_strip_punctuation")
SPLIT = (None, "whitespace", "character")
LARGEST_MAXLEN = 1_000_000

# TensorFlow works on bytes: it lowers ASCII only, and splits at ASCII white space only
_ASCII_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}
_PUNCTUATION = re.compile(r"""[!"#$%&()*+,\-./:;<=>?@\[\\\]^_`{|}~']""")
_ASCII_SPACE = re.compile(r"[ \t\n\v\f\r]+")


@dataclass(frozen=True, kw_only=True)
class TextVectorization:
    """Turn texts into ids as the layer does: standardize, split, join n-grams, look up, pad.

    Attributes:
        standardize: One of STANDARDIZE, in Keras' words.
        split: 'whitespace', 'character', or None: the text is one token.
        ngrams: Widths of the n-grams, as (1, 2); None for the tokens themselves.
        maxlen: Ids that `pad` gives; the layer's output_sequence_length.
        vocabulary: The id of each token; 0 is padding and 1 is unknown.
        vocabulary_size: The largest id that `pad` can give, plus 1.
    """

    standardize: str | None
    split: str | None
    ngrams: tuple[int, ...] | None
    maxlen: int
    vocabulary: Mapping[str, int] = field(repr=False, hash=False)
    vocabulary_size: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check every field once."""
        check_types(
            {
                "standardize": self.standardize,
                "split": self.split,
                "maxlen": self.maxlen,
                "vocabulary": self.vocabulary,
            },
            TEXT_VECTORIZATION_FIELDS,
        )
        check_ids("vocabulary", self.vocabulary)
        if self.standardize not in STANDARDIZE:
            raise ValueError(f"'standardize' is {show(self.standardize)}: expected {STANDARDIZE}")
        if self.split not in SPLIT:
            raise ValueError(f"'split' is {show(self.split)}: expected one of {SPLIT}")
        if not 1 <= self.maxlen <= LARGEST_MAXLEN:
            raise ValueError(f"'maxlen' is {self.maxlen}: expected 1 to {LARGEST_MAXLEN:,}")
        if self.ngrams is not None and (
            not self.ngrams or any(type(n) is not int or n < 1 for n in self.ngrams)
        ):
            raise ValueError(f"'ngrams' is {show(self.ngrams)}: expected widths of at least 1")
        object.__setattr__(self, "vocabulary_size", max((OOV_ID, *self.vocabulary.values())) + 1)

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read a file that `save` wrote.

        Raises:
            ModelError: The file cannot be read, or is no such vectorizer.
        """
        where = f"vectorizer {str(Path(path))!r}"
        return cls.from_text(read_text(Path(path), where), where)

    @classmethod
    def from_text(cls, text: str, where: str) -> Self:
        """Read what `to_json` gave.

        Args:
            text: The JSON.
            where: What to call it in messages.

        Raises:
            ModelError: The text is no such vectorizer.
        """
        spec = parse_spec(text, where, kind=TEXT_VECTORIZATION)
        with wrong_file(where, DAMAGED):
            ngrams = spec.pop("ngrams")
            if ngrams is not None and not isinstance(ngrams, list):
                raise TypeError(f"'ngrams' is {show(ngrams)}: expected a list of widths")
            return cls(ngrams=None if ngrams is None else tuple(ngrams), **spec)

    def to_json(self) -> str:
        """Return one line of ASCII JSON, the same for the same vectorizer."""
        spec = {name: getattr(self, name) for name in TEXT_VECTORIZATION_FIELDS}
        spec["ngrams"] = None if self.ngrams is None else list(self.ngrams)
        return format_spec(spec, kind=TEXT_VECTORIZATION)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the JSON so that a crash leaves the old file or the new one."""
        write_atomically(Path(path), self.to_json().encode("ascii"))

    def tokens(self, text: str) -> list[str]:
        """Return the tokens of a text as they are looked up, n-grams included, all of them.

        Raises:
            TypeError: `text` is no str.
        """
        return self._tokens(text, most=None)

    def _tokens(self, text: str, *, most: int | None) -> list[str]:
        """Return the tokens, or at least the first `most`: the rest of a long text is not read."""
        if not isinstance(text, str):
            raise TypeError(f"a text is {show(text)}: expected a str")
        # the n-grams of the first width are as many as the words, but for the width
        words = None if most is None else most + max(self.ngrams or (1,))
        if self.standardize in ("lower", "lower_and_strip_punctuation"):
            text = text.translate(_ASCII_LOWER)
        if self.standardize in ("strip_punctuation", "lower_and_strip_punctuation"):
            text = _PUNCTUATION.sub("", text)
        if self.split == "whitespace":
            # the first and the last may be empty, and the last may be all the rest
            found = _ASCII_SPACE.split(text, maxsplit=0 if words is None else words + 1)
            tokens = [token for token in found if token][:words]
        else:
            tokens = [text] if self.split is None else list(text[:words])
        if self.ngrams is None:
            return tokens
        return [
            " ".join(tokens[start : start + width])
            for width in self.ngrams
            for start in range(len(tokens) - width + 1)
        ]

    def ids(self, text: str) -> list[int]:
        """Return the ids of the real tokens, at most maxlen: those after it are cut.

        Raises:
            TypeError: `text` is no str.
        """
        get = self.vocabulary.get
        tokens = self._tokens(text, most=self.maxlen)[: self.maxlen]
        # the empty token is Keras' mask token
        return [get(token, OOV_ID) if token else PAD_ID for token in tokens]

    def pad(self, text: str) -> list[int]:
        """Return exactly maxlen ids, zeros after the real ones.

        Raises:
            TypeError: `text` is no str.
        """
        ids = self.ids(text)
        return ids + [PAD_ID] * (self.maxlen - len(ids))
