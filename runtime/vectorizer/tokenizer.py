"""Text to ids as data: Keras' legacy Tokenizer and pad_sequences, exact to the last id.

Not a place for models: the Embedding that takes the ids is a node of the Graph.
"""

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from itertools import repeat
from operator import itemgetter
from os import PathLike
from pathlib import Path
from reprlib import repr as show
from typing import Any, Self

from gatelet.runtime.files import write_atomically
from gatelet.runtime.vectorizer.format import (
    DAMAGED,
    FIELDS,
    REWRITE,
    check_ids,
    check_lengths,
    check_types,
    decode,
    format_spec,
    parse_keras_tokenizer,
    parse_spec,
    read_text,
    wrong_file,
)
from gatelet.runtime.vectorizer.long_texts import PIECE_CHARACTERS, pieces

KERAS_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'


@dataclass(frozen=True, kw_only=True)
class Vectorizer:
    """Turn texts into ids as a fitted Keras Tokenizer and pad_sequences do.

    A word whose id is not below num_words behaves exactly as an unknown one, so the
    vocabulary holds only the words below it. The oov_token is no word of the vocabulary:
    looking it up and looking up an unknown word give the same oov_id. That id is 1, unless
    the token occurred as a word in the texts of `fit`: then it is that word's, as in Keras,
    and may exceed num_words.

    Attributes:
        lower: Whether texts go through `str.lower` first.
        filters: Characters each replaced by the whole of `split`; unused for char_level.
        split: What separates words; unused for char_level.
        char_level: Whether every character is a word.
        num_words: Ids of words are below it; None for no limit.
        oov_token: The name of unknown words; None drops them.
        oov_id: The id of unknown words; None where oov_token is.
        maxlen: Ids that `pad` gives, and the most that `ids` gives.
        padding: The side that is padded: 'pre' or 'post'.
        truncating: The side that loses ids: 'pre' or 'post'.
        pad_value: The id that fills.
        unicode_version: Version of the Unicode data that `lower` used at fit; None if unknown.
        vocabulary: The id of each word.
        vocabulary_size: The largest id that `pad` can give, plus 1.
    """

    lower: bool
    filters: str
    split: str
    char_level: bool
    num_words: int | None
    oov_token: str | None
    oov_id: int | None
    maxlen: int
    padding: str
    truncating: str
    pad_value: int = 0
    unicode_version: str | None
    vocabulary: Mapping[str, int] = field(repr=False, hash=False)
    vocabulary_size: int = field(init=False, repr=False, compare=False)
    _table: dict[int, Any] = field(init=False, repr=False, compare=False)
    _ascii: bytes | None = field(init=False, repr=False, compare=False)
    _get: Callable[..., Any] = field(init=False, repr=False, compare=False)
    _uses_0: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check every field once, and prepare what each call needs."""
        check_types(vars(self))
        check_lengths(self.maxlen, self.padding, self.truncating, self.pad_value)
        self._check_words()
        vocabulary = dict(self.vocabulary)
        words = {w: i for w, i in vocabulary.items() if w} if "" in vocabulary else vocabulary
        largest = max(*vocabulary.values(), self.oov_id or 0, self.pad_value)
        # Every ASCII character has an entry: str.translate is slow where a look-up fails.
        table: dict[int, Any] = {code: code for code in range(128)}
        table |= {ord(character): self.split for character in self.filters}
        for name, value in (
            ("vocabulary", vocabulary),
            ("vocabulary_size", largest + 1),
            ("_table", table),
            ("_ascii", None if self.char_level else _ascii_table(table, lower=self.lower)),
            ("_get", words.get),
            ("_uses_0", 0 in words.values()),
        ):
            object.__setattr__(self, name, value)

    def _check_words(self) -> None:
        if not self.split and not self.char_level:
            raise ValueError("'split' is empty: expected at least one character")
        if self.num_words is not None and self.num_words < 1:
            raise ValueError(f"'num_words' is {self.num_words}: expected at least 1, or none")
        if (self.oov_token is None) != (self.oov_id is None):
            raise ValueError(
                f"'oov_token' is {show(self.oov_token)} and 'oov_id' is {show(self.oov_id)}: "
                "expected both or neither"
            )
        if self.oov_token in self.vocabulary:
            raise ValueError(
                f"'vocabulary' holds the oov_token {show(self.oov_token)}: "
                "expected its id in 'oov_id' alone"
            )
        unknown = {} if self.oov_token is None else {self.oov_token: self.oov_id}
        check_ids("vocabulary", {**self.vocabulary, **unknown})
        for word, i in self.vocabulary.items():
            if self.num_words and i >= self.num_words:
                raise ValueError(
                    f"'vocabulary' gives {show(word)} the id {i}: "
                    f"expected ids below num_words, which is {self.num_words}"
                )

    @classmethod
    def fit(
        cls,
        texts: Iterable[str],
        *,
        num_words: int | None,
        maxlen: int,
        filters: str = KERAS_FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
        padding: str = "pre",
        truncating: str = "pre",
        value: int = 0,
    ) -> Self:
        """Learn the vocabulary in the order of Tokenizer.fit_on_texts: by count, then first seen.

        The arguments beside `texts`, an iterable of str, are the attributes of the same name;
        `value` is the pad_value, and num_words may be 0 for no limit.

        Raises:
            TypeError: An argument or a text has the wrong type.
            ValueError: An argument is out of range.
        """
        empty = cls(
            lower=lower,
            filters=filters,
            split=split,
            char_level=char_level,
            num_words=num_words or None,
            oov_token=oov_token,
            oov_id=None if oov_token is None else 1,
            maxlen=maxlen,
            padding=padding,
            truncating=truncating,
            pad_value=value,
            unicode_version=unicodedata.unidata_version,
            vocabulary={},
        )
        if isinstance(texts, str):
            raise TypeError("texts is one str: expected an iterable of texts, such as a list")
        counts: Counter[str] = Counter()
        for text in texts:
            counts.update(empty.tokens(text))
        words = [word for word, _ in counts.most_common()]
        if oov_token is not None:
            words.insert(0, oov_token)
        ids = {word: i for i, word in enumerate(words, start=1)}  # of two places, the later
        return replace(empty, **_split_words(ids, oov_token, num_words))

    @classmethod
    def from_keras_tokenizer(
        cls,
        source: str | PathLike[str],
        *,
        maxlen: int,
        padding: str = "pre",
        truncating: str = "pre",
        value: int = 0,
    ) -> Self:
        """Read what Tokenizer.to_json() wrote; an `analyzer` is not in there and so is lost.

        The arguments beside `source`, the path of the file or the text itself (it starts with
        '{'), are those of pad_sequences.

        Raises:
            ModelError: The file or text is no Tokenizer that can be reproduced.
            TypeError: An argument has the wrong type.
            ValueError: An argument is out of range.
        """
        check_lengths(maxlen, padding, truncating, value)
        if isinstance(source, str) and source.lstrip().startswith("{"):
            text, where = source, "the Tokenizer's JSON text"
        else:
            where = f"Tokenizer file {str(Path(source))!r}"
            text = read_text(Path(source), where)
        config = parse_keras_tokenizer(text, where)
        word_index = config["word_index"]
        oov_token, num_words, filters = config["oov_token"], config["num_words"], config["filters"]
        if filters is None and config["char_level"] is True:  # unused there, so Keras allows it
            filters = ""
        with wrong_file(where, REWRITE):
            check_types({"oov_token": oov_token, "num_words": num_words})
            check_ids("word_index", word_index)
            if oov_token is not None and oov_token not in word_index:
                raise ValueError(
                    f"the oov_token {show(oov_token)} is not in its 'word_index', so Keras has "
                    "no id for unknown words: expected a Tokenizer fitted after oov_token was set"
                )
            return cls(
                lower=config["lower"],
                filters=filters,
                split=config["split"],
                char_level=config["char_level"],
                num_words=num_words or None,
                oov_token=oov_token,
                maxlen=maxlen,
                padding=padding,
                truncating=truncating,
                pad_value=value,
                unicode_version=None,
                **_split_words(word_index, oov_token, num_words),
            )

    @classmethod
    def load(cls, path: str | PathLike[str]) -> Self:
        """Read a file that `save` wrote.

        Raises:
            ModelError: The file cannot be read, or is no vectorizer of this format.
        """
        where = f"vectorizer {str(Path(path))!r}"
        return cls.from_text(read_text(Path(path), where), where)

    @classmethod
    def from_json(cls, data: str | bytes) -> Self:
        """Read what `to_json` gave, as text or as UTF-8.

        Raises:
            ModelError: The text is no vectorizer of this format.
        """
        where = "the vectorizer's JSON text"
        return cls.from_text(decode(data, where) if isinstance(data, bytes) else data, where)

    @classmethod
    def from_text(cls, text: str, where: str) -> Self:
        """Read what `to_json` gave; `where` is what to call it in messages.

        Raises:
            ModelError: The text is no vectorizer of this format.
        """
        spec = parse_spec(text, where)
        with wrong_file(where, DAMAGED):
            return cls(**spec)

    def to_json(self) -> str:
        """Return one line of ASCII JSON, the same for the same vectorizer.

        Raises:
            DataError: A string holds the two halves of a surrogate pair as two characters,
                which JSON cannot tell from the one character they stand for.
        """
        spec = {name: getattr(self, name) for name in FIELDS}
        spec["vocabulary"] = dict(sorted(self.vocabulary.items(), key=itemgetter(1)))
        return format_spec(spec)

    def save(self, path: str | PathLike[str]) -> None:
        """Write the JSON so that a crash leaves the old file or the new one.

        Raises:
            DataError: As for `to_json`.
            OutputError: The file cannot be written.
        """
        write_atomically(Path(path), self.to_json().encode("ascii"))

    def tokens(self, text: str) -> list[str]:
        """Return the words of a text as they are looked up, all of them.

        Raises:
            TypeError: `text` is no str.
        """
        return [word for word in self._split(text) if word]

    def _split(self, text: str) -> list[str]:
        """Return the words, and an empty one wherever two separators meet."""
        if not isinstance(text, str):
            raise TypeError(f"a text is {show(text)}: expected a str")
        if self._ascii is not None and text.isascii():
            return text.encode().translate(self._ascii).decode().split(self.split)
        if self.lower:
            text = text.lower()
        return list(text) if self.char_level else text.translate(self._table).split(self.split)

    def ids(self, text: str) -> list[int]:
        """Return the ids of the real tokens, at most maxlen.

        Raises:
            TypeError: `text` is no str.
        """
        if isinstance(text, str) and len(text) > PIECE_CHARACTERS:
            return self._ids_in_pieces(text)
        ids = self._known(self._split(text))
        if len(ids) <= self.maxlen:
            return ids
        return ids[-self.maxlen :] if self.truncating == "pre" else ids[: self.maxlen]

    def _known(self, words: Iterable[str]) -> list[int]:
        """Look words up; those that are empty have no id."""
        if self.oov_id is None:
            found = map(self._get, words)
            if self._uses_0:
                return [i for i in found if i is not None]
            return list(filter(None, found))  # faster, but drops an id of 0 too
        return list(map(self._get, filter(None, words), repeat(self.oov_id)))

    def _ids_in_pieces(self, text: str) -> list[int]:
        """Return the ids of a long text, looking only at as much of it as is kept."""
        from_end = self.truncating == "pre"
        ids: list[int] = []
        for part in map(self._known, self._words_in_pieces(text)):
            ids = part + ids if from_end else ids + part
            if len(ids) >= self.maxlen:
                break
        return ids[-self.maxlen :] if from_end else ids[: self.maxlen]

    def _words_in_pieces(self, text: str) -> Iterable[Iterable[str]]:
        """Return the words of each piece, that of the kept side first."""
        from_end = self.truncating == "pre"
        if not self.char_level:
            at = " " if self.split == " " else None
            return map(self.tokens, pieces(text, at=at, from_end=from_end))
        # lowered as a whole: how a letter is lowered can depend on its neighbours
        whole = text.lower() if self.lower else text
        return pieces(whole, at="", from_end=from_end)

    def shortened(self, text: str) -> str:
        """Return a text of the same ids for an engine that splits, but does not lower-case.

        A long text is replaced by the words that its ids come from, at most maxlen. Of a word
        longer than all that are known as much is kept as no known word has.
        """
        if len(text) <= PIECE_CHARACTERS:
            return text.lower() if self.lower else text
        from_end = self.truncating == "pre"
        kept: list[str] = []
        for words in self._words_in_pieces(text):
            part = [w for w in words if self.oov_id is not None or self._get(w) is not None]
            kept = part + kept if from_end else kept + part
            if len(kept) >= self.maxlen:
                break
        kept = kept[-self.maxlen :] if from_end else kept[: self.maxlen]
        most = 1 + max(map(len, self.vocabulary), default=0)
        return ("" if self.char_level else self.split).join(word[:most] for word in kept)

    def pad(self, text: str) -> list[int]:
        """Return exactly maxlen ids, as pad_sequences does.

        Raises:
            TypeError: `text` is no str.
        """
        ids = self.ids(text)
        fill = [self.pad_value] * (self.maxlen - len(ids))
        return fill + ids if self.padding == "pre" else ids + fill


def _split_words(
    ids: Mapping[str, int], oov_token: str | None, num_words: int | None
) -> dict[str, Any]:
    """Return the fields that Keras keeps in one word_index."""
    return {
        "oov_id": None if oov_token is None else ids[oov_token],
        "vocabulary": {
            word: i
            for word, i in ids.items()
            if word != oov_token and (not num_words or i < num_words)
        },
    }


def _ascii_table(table: Mapping[int, Any], *, lower: bool) -> bytes | None:
    """Return what lowers and filters ASCII text at once; None where it takes more than that."""
    made = [table[ord(chr(code).lower()) if lower else code] for code in range(128)]
    codes = [
        code if isinstance(code, int) else ord(code) if len(code) == 1 else 128 for code in made
    ]
    return None if max(codes) > 127 else bytes([*codes, *range(128, 256)])
