"""Opening a vectorizer of whichever kind a file holds.

Not the kinds: `tokenizer.py` and `text_vectorization.py`.
"""

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Union

from gatelet.runtime.vectorizer.format import TEXT_VECTORIZATION, decode, kind_of, read_text
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

if TYPE_CHECKING:
    from gatelet.runtime.vectorizer.text_vectorization import TextVectorization

AnyVectorizer = Union[Vectorizer, "TextVectorization"]


def load_vectorizer(path: str | PathLike[str]) -> AnyVectorizer:
    """Read a vectorizer.json.

    Raises:
        ModelError: The file cannot be read, or is no vectorizer of this format.
    """
    where = _where(path)
    return _of_text(read_text(Path(path), where), where)


def read_vectorizer(read: Callable[[], bytes], path: str | PathLike[str]) -> AnyVectorizer:
    """Read a vectorizer.json.

    Args:
        read: Returns its bytes, which nobody else keeps while they are parsed.
        path: For messages.

    Raises:
        ModelError: They are no vectorizer of this format.
    """
    where = _where(path)
    return _of_text(decode(read(), where), where)


def _where(path: str | PathLike[str]) -> str:
    return f"vectorizer {str(Path(path))!r}"


def _of_text(text: str, where: str) -> AnyVectorizer:
    if kind_of(text) == TEXT_VECTORIZATION:
        from gatelet.runtime.vectorizer.text_vectorization import TextVectorization

        return TextVectorization.from_text(text, where)
    return Vectorizer.from_text(text, where)
