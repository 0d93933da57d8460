"""A vectorizer of a few words, for tests that look at something else."""

import json
from collections.abc import Sequence

from gatelet.runtime.vectorizer.tokenizer import Vectorizer


def vectorizer_of(words: Sequence[str], *, maxlen: int = 4) -> Vectorizer:
    """Return the vectorizer that gives the first word 1, the second 2, and so on."""
    index = {word: number for number, word in enumerate(words, 1)}
    config = {
        "num_words": len(words) + 1,
        "filters": "",
        "lower": True,
        "split": " ",
        "char_level": False,
        "oov_token": None,
        "document_count": 1,
        "word_index": json.dumps(index),
        **dict.fromkeys(("index_word", "word_counts", "word_docs", "index_docs"), "{}"),
    }
    return Vectorizer.from_keras_tokenizer(
        json.dumps({"class_name": "Tokenizer", "config": config}),
        maxlen=maxlen,
        padding="pre",
        truncating="pre",
    )
