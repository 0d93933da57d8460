"""Opening a vectorizer of whichever kind a file holds.

Not the kinds: `gatelet.runtime.vectorizer` and `gatelet.runtime.text_vectorization`.
"""

from os import PathLike
from pathlib import Path

from gatelet.runtime.text_vectorization import TextVectorization
from gatelet.runtime.vectorizer import Vectorizer
from gatelet.runtime.vectorizer_format import TEXT_VECTORIZATION, kind_of, read_text

__all__ = ["AnyVectorizer", "load_vectorizer"]

AnyVectorizer = Vectorizer | TextVectorization


def load_vectorizer(path: str | PathLike[str]) -> AnyVectorizer:
    """Read a vectorizer.json.

    Raises:
        ModelError: The file cannot be read, or is no vectorizer of this format.
    """
    where = f"vectorizer {str(Path(path))!r}"
    text = read_text(Path(path), where)
    if kind_of(text) == TEXT_VECTORIZATION:
        return TextVectorization.from_text(text, where)
    return Vectorizer.from_text(text, where)
