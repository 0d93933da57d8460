"""Texts that hold every word of a vocabulary, as people write it.

Not real texts: parity reads those too.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import cycle, islice

from gatelet.convert.rows.drawn import separator_of
from gatelet.runtime.vectorizer.opening import AnyVectorizer
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

_PUNCTUATION = ".,!?'\"-"
_MORE_THAN_MAXLEN = 3


@dataclass(frozen=True)
class Probe:
    """A text.

    Args:
        text: Its pieces, with separators between them.
        pieces: Forms of words.
    """

    text: str
    pieces: tuple[str, ...]


@lru_cache(maxsize=2)  # artifacts of a bundle share them, and they take longer than their reading
def probes_of(vectorizer: AnyVectorizer) -> tuple[Probe, ...]:
    """Put all words into texts: alone, capital, between filtered characters, beside unknown ones.

    Each text has at most maxlen tokens, so that none is cut; the first ones are empty or too long.
    """
    separator = separator_of(vectorizer)
    words = sorted(vectorizer.vocabulary, key=vectorizer.vocabulary.__getitem__)
    is_whole = not isinstance(vectorizer, Vectorizer) and vectorizer.split is None
    most = 1 if is_whole else vectorizer.maxlen
    too_many = tuple(islice(cycle(words or [""]), most + _MORE_THAN_MAXLEN))
    # separators around words do not count as words, wherever a text is cut
    found = [("",), (separator,), too_many, ("", *too_many, "")]
    held: list[str] = []
    count = 0
    for piece in _forms(words, vectorizer):
        tokens = max(1, len(vectorizer.tokens(piece)))
        if held and count + tokens > most:
            found.append(tuple(held))
            held, count = [], 0
        held.append(piece)
        count += tokens
    found.append(tuple(held))
    return tuple(Probe(separator.join(pieces), pieces) for pieces in found)


def _forms(words: list[str], vectorizer: AnyVectorizer) -> Iterator[str]:
    """Yield each word as it is, in other cases, behind and before a filter, beside unknown ones."""
    filters = vectorizer.filters if isinstance(vectorizer, Vectorizer) else _PUNCTUATION
    around = cycle(filters or " ")
    for word in words:
        yield word
        yield from {word.upper(), word.capitalize()} - {word}
        yield f"{next(around)}{word}{next(around)}"
        unknown = word + word[-1:]
        if unknown not in vectorizer.vocabulary:
            yield unknown
