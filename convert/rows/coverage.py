"""Do the compared texts belong to the model? How many of their words its vocabulary knows.

Not a check: an artifact is not wrong because the texts are in another language. The report says it.
"""

from collections.abc import Sequence

from gatelet.runtime.vectorizer.opening import AnyVectorizer

MOSTLY_UNKNOWN = 0.5
"""Texts of the training's own kind have nine known words in ten."""

_MOST_TEXTS = 500
_MOST_CHARACTERS = 10_000


def notes_on_texts(vectorizer: AnyVectorizer, texts: Sequence[str]) -> tuple[str, ...]:
    """Return a sentence on texts whose words are mostly unknown.

    Args:
        vectorizer: Of the model.
        texts: The compared texts; of many, some spread over all.
    """
    known = share_known(vectorizer, texts[:: max(1, len(texts) // _MOST_TEXTS)])
    if known is None or known >= MOSTLY_UNKNOWN:
        return ()
    return (
        f"{1 - known:.0%} of the words are not in the model's vocabulary: the texts may be of "
        "another language or kind than those it was trained on, and figures on them say little",
    )


def share_known(vectorizer: AnyVectorizer, texts: Sequence[str]) -> float | None:
    """Return the share of the texts' tokens that the vocabulary knows; None for no tokens."""
    known = total = 0
    for text in texts:
        tokens = vectorizer.tokens(text[:_MOST_CHARACTERS])
        total += len(tokens)
        known += sum(token in vectorizer.vocabulary for token in tokens)
    return known / total if total else None
