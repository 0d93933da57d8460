"""What a vectorizer made of a text: which tokens it knows, their ids, and what was cut.

Not what the model makes of it.
"""

from dataclasses import dataclass
from typing import Any

from gatelet.errors import InputError
from gatelet.runtime.vectorizer.opening import AnyVectorizer
from gatelet.runtime.vectorizer.text_vectorization import OOV_ID

LONGEST_EXPLAINED = 1_000_000
"""Characters of a text: an explanation holds every token."""


@dataclass(frozen=True)
class Token:
    """A word or character of a text.

    Args:
        text: As it was looked up.
        id: What the model gets for it; None where an unknown token is dropped.
        known: Whether the vocabulary holds it.
        used: Whether the model sees it: it has an id, and was not cut.
    """

    text: str
    id: int | None
    known: bool
    used: bool


@dataclass(frozen=True)
class Explanation:
    """What became of a text.

    Args:
        tokens: All of them, in the text's order.
        ids: What the model gets, padding included.
        cut: How many tokens with an id were left out, for there were more than maxlen.
        cut_from: The side that lost them: 'start' or 'end'; None where nothing was cut.
        padding: How many ids are padding.
    """

    tokens: tuple[Token, ...]
    ids: tuple[int, ...]
    cut: int
    cut_from: str | None
    padding: int

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return {
            "tokens": [vars(token) for token in self.tokens],
            "ids": list(self.ids),
            "cut": self.cut,
            "cut_from": self.cut_from,
            "padding": self.padding,
        }


def explain(vectorizer: AnyVectorizer, text: str) -> Explanation:
    """Report what a vectorizer makes of a text.

    Raises:
        InputError: The text is longer than `LONGEST_EXPLAINED` characters.
        TypeError: `text` is no str.
    """
    tokens = _tokens(vectorizer, text)
    ids = vectorizer.pad(text)
    with_id = [number for number, (_, i, _) in enumerate(tokens) if i is not None]
    cut = max(len(with_id) - vectorizer.maxlen, 0)
    from_start = getattr(vectorizer, "truncating", "post") == "pre"
    kept = set(with_id[cut:] if from_start else with_id[: len(with_id) - cut])
    return Explanation(
        tokens=tuple(
            Token(text, i, known, number in kept) for number, (text, i, known) in enumerate(tokens)
        ),
        ids=tuple(ids),
        cut=cut,
        cut_from=("start" if from_start else "end") if cut else None,
        padding=vectorizer.maxlen - len(kept),
    )


def _tokens(vectorizer: AnyVectorizer, text: str) -> list[tuple[str, int | None, bool]]:
    """Return each token, its id and whether the vocabulary holds it."""
    if isinstance(text, str) and len(text) > LONGEST_EXPLAINED:
        raise InputError(
            f"the text has {len(text):,} characters; an explanation takes up to "
            f"{LONGEST_EXPLAINED:,}: give a part of it"
        )
    unknown = getattr(vectorizer, "oov_id", OOV_ID)
    known = vectorizer.vocabulary
    return [(one, known.get(one, unknown), one in known) for one in vectorizer.tokens(text)]
