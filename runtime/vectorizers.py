"""Opening a vectorizer of whichever kind a file holds.

Not the kinds: `gatelet.runtime.vectorizer` and `gatelet.runtime.text_vectorization`.
"""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Union

from gatelet.runtime.vectorizer import Vectorizer
from gatelet.runtime.vectorizer_format import TEXT_VECTORIZATION, kind_of, read_text

__all__ = ["AnyVectorizer", "load_vectorizer"]

if TYPE_CHECKING:
    from gatelet.runtime.text_vectorization import TextVectorization

AnyVectorizer = Union[Vectorizer, "TextVectorization"]


def load_vectorizer(path: str | PathLike[str]) -> AnyVectorizer:
    """Read a vectorizer.json.

    Raises:
        ModelError: The file cannot be read, or is no vectorizer of this format.
    """
    where = f"vectorizer {str(Path(path))!r}"
    text = read_text(Path(path), where)
    if kind_of(text) == TEXT_VECTORIZATION:
        from gatelet.runtime.text_vectorization import TextVectorization

        return TextVectorization.from_text(text, where)
    return Vectorizer.from_text(text, where)
