"""The parts of a model's C files for one input: predict, and texts to ids to scores.

Not the list of calls, which every model has: see `files`.
"""

from gatelet.convert.exporters.c.blob import HEAD_BYTES
from gatelet.convert.exporters.c.sizes import known
from gatelet.convert.exporters.c.source import c_bytes, fill
from gatelet.convert.exporters.c.vocabulary import Vocabulary
from gatelet.convert.exporters.c.writer import Value
from gatelet.runtime.graph.graph import Graph

INPUTS = {"int32": ("int32_t", "ids"), "float32": ("float", "features")}
"""The type in C and the name of a single input, by its dtype."""


class Texts:
    """What a model offers beside `run`.

    Args:
        predict: It has one input and one output, and at most one open size.
        vocabulary: Its vectorizer, where C can do what that does.
        scores: The number of scores of a text, where it is known.
    """

    def __init__(self, *, predict: bool, vocabulary: Vocabulary | None, scores: int | None) -> None:
        self.predict = predict
        self.vocabulary = vocabulary
        self.scores = scores if predict and vocabulary is not None else None


def texts_of(
    graph: Graph, outputs: list[Value], sizes: int, vocabulary: Vocabulary | None
) -> Texts:
    """Report what a model offers."""
    one = len(graph.inputs) == 1 and len(outputs) == 1 and sizes <= 1
    takes_ids = graph.inputs[0].dtype == "int32"
    scores = 1
    for size in outputs[0].dims[1:] if one else (known(0),):
        scores *= size.number or 0
    return Texts(
        predict=one,
        vocabulary=vocabulary if takes_ids and len(graph.inputs) == 1 else None,
        scores=scores or None,
    )


def text_values(
    texts: Texts, graph: Graph, sizes: int, values: dict[str, object]
) -> dict[str, str]:
    """Return 'texts' and 'predict' of the source, and 'declarations' of the header."""
    source, header = [], []
    c_type, name = INPUTS[graph.inputs[0].dtype]
    named = {
        **values,
        "c_type": c_type,
        "input": name,
        "timesteps_argument": " int32_t timesteps," if sizes else "",
        "sizes_argument": "&timesteps" if sizes else "NULL",
    }
    if texts.predict:
        source.append("predict.c")
        header.append("predict.h")
    if texts.vocabulary is not None:
        named |= _vocabulary_values(texts.vocabulary, texts.scores, sizes)
        header.append("text.h")
        if texts.scores is not None:
            source.append("predict_text.c")
            header.append("predict_text.h")
    return {
        "texts": fill("text.c", named) if texts.vocabulary is not None else "",
        "predict": "".join(fill(one, named) for one in source),
        "declarations": "".join(fill(one, named) for one in header),
    }


def _vocabulary_values(vocabulary: Vocabulary, scores: int | None, sizes: int) -> dict[str, object]:
    return {
        "maxlen": vocabulary.maxlen,
        "vocabulary_bytes": len(vocabulary.data),
        "vocabulary_head": c_bytes(vocabulary.data[:HEAD_BYTES]),
        "token_bytes": vocabulary.token_bytes,
        "vectorizer": "\n".join(f"    {line}" for line in vocabulary.lines),
        "scores_text": scores,
        "text_sizes": f"1, {vocabulary.maxlen}" if sizes else "1",
    }
