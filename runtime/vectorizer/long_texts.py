"""A long text in pieces, so that memory stays bounded and only what is kept is looked at.

Not a limit: a text of any length gives the ids that Keras gives.
"""

from collections.abc import Iterator

PIECE_CHARACTERS = 65_536


def pieces(text: str, *, at: str | None, from_end: bool) -> Iterator[str]:
    """Yield a text piece by piece.

    Args:
        text: Of any length.
        at: The character that pieces are cut at, which belongs to none: it must separate words, and
            be one that `str.lower` does not look across. "" cuts anywhere, None nowhere.
        from_end: Whether to start with the last piece.
    """
    if at is None:
        yield text
    elif not at:
        starts = range(0, len(text), PIECE_CHARACTERS)
        for start in reversed(starts) if from_end else starts:
            yield text[start : start + PIECE_CHARACTERS]
    elif from_end:
        yield from _from_end(text, at)
    else:
        yield from _from_start(text, at)


def _from_start(text: str, at: str) -> Iterator[str]:
    start = 0
    while start <= len(text):
        end = text.find(at, start + PIECE_CHARACTERS)
        end = len(text) if end < 0 else end
        yield text[start:end]
        start = end + 1


def _from_end(text: str, at: str) -> Iterator[str]:
    end = len(text)
    while end >= 0:
        start = text.rfind(at, 0, max(end - PIECE_CHARACTERS, 0))
        yield text[start + 1 : end]
        end = start
