"""The parts of a model's C files for one input: predict, and texts to ids to scores.

Not the list of calls, which every model has: see `files`.
"""

from gatelet.convert.exporters.c.sizes import known
from gatelet.convert.exporters.c.source import fill, template
from gatelet.convert.exporters.c.vocabulary import Vocabulary
from gatelet.convert.exporters.c.writer import Value
from gatelet.runtime.graph.graph import Graph

__all__ = ["Texts", "text_values", "texts_of"]

_C_TYPES = {"int32": "int32_t", "float32": "float"}


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
    """Tell what a model offers."""
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
) -> dict[str, object]:
    """Give 'extras' of the source, 'declarations' of the header, and the binding's entry."""
    source, header = [], []
    named = dict(values)
    given = graph.inputs[0]
    named |= {
        "c_type": _C_TYPES[given.dtype],
        "input": "ids" if given.dtype == "int32" else "features",
        "timesteps_argument": " int32_t timesteps," if sizes else "",
        "sizes_argument": "&timesteps" if sizes else "NULL",
    }
    if texts.predict:
        source.append(fill(template("predict.c"), named))
        header.append(fill(template("predict.h"), named))
    if texts.vocabulary is not None:
        named |= _vocabulary_values(texts.vocabulary, texts.scores, sizes)
        named["predict_text"] = ""
        header.append(fill(template("text.h"), named))
        if texts.scores is not None:
            named["predict_text"] = fill(template("predict_text.c"), named)
            header.append(fill(template("predict_text.h"), named))
        source.append(fill(template("text.c"), named))
    return {
        "extras": "".join(source),
        "declarations": "".join(header),
        "ids_of_text": "NULL" if texts.vocabulary is None else "NAME(ids_of_text)",
    }


def _vocabulary_values(vocabulary: Vocabulary, scores: int | None, sizes: int) -> dict[str, object]:
    return {
        "maxlen": vocabulary.maxlen,
        "vocabulary_bytes": len(vocabulary.data),
        "vocabulary_digest": ", ".join(f"0x{byte:02x}" for byte in vocabulary.data[:24]),
        "token_bytes": vocabulary.token_bytes,
        "vectorizer": "\n".join(f"    {line}" for line in vocabulary.lines),
        "scores_text": scores,
        "text_sizes": f"1, {vocabulary.maxlen}" if sizes else "1",
    }
