"""Texts that hold every word: what a reader can get wrong shows in one of them."""

from gatelet.convert.parity.texts.probes import probes_of
from gatelet.runtime.vectorizer.text_vectorization import TextVectorization

WORDS = {"one": 2, "two": 3, "three": 4}


def vectorizer(maxlen: int) -> TextVectorization:
    return TextVectorization(
        standardize="lower",
        split="whitespace",
        ngrams=None,
        maxlen=maxlen,
        vocabulary=WORDS,
    )


def test_a_text_that_is_cut_begins_and_ends_with_a_separator() -> None:
    reads = vectorizer(maxlen=2)
    texts = [one.text for one in probes_of(reads)]
    cut_too_early = [" ".join(text.split(" ")[:2]) for text in texts]  # counts empty words
    wrong = [
        text
        for text, cut in zip(texts, cut_too_early, strict=True)
        if reads.pad(text) != reads.pad(cut)
    ]
    assert wrong == [" one two three one two "]


def test_every_word_stands_in_a_text_in_each_case() -> None:
    pieces = {piece for one in probes_of(vectorizer(maxlen=4)) for piece in one.pieces}
    assert {"one", "ONE", "One", "onee", "three", "THREE"} <= pieces
