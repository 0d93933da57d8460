"""Text to ids: vectorizers, read and applied.

Importing this package loads nothing; a name of it loads its module.
"""

from gatelet import loads_when_asked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gatelet.runtime.vectorizer.opening import AnyVectorizer, load_vectorizer
    from gatelet.runtime.vectorizer.text_vectorization import TextVectorization
    from gatelet.runtime.vectorizer.tokenizer import Vectorizer

__all__ = ["AnyVectorizer", "TextVectorization", "Vectorizer", "load_vectorizer"]

if not TYPE_CHECKING:
    __getattr__ = loads_when_asked(
        __name__,
        {
            "AnyVectorizer": "opening",
            "TextVectorization": "text_vectorization",
            "Vectorizer": "tokenizer",
            "load_vectorizer": "opening",
        },
    )
