"""Golden vectors: some of the compared rows, and awkward texts, with what the Graph gives.

Not the comparison with them, which is `gatelet.convert.parity.checks.golden`.
"""

import itertools
import json
import string
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.checks.behaviour import takes_few_timesteps
from gatelet.convert.parity.decisions import decided_rows
from gatelet.convert.parity.oracles.oracle import Oracle
from gatelet.convert.rows.drawn import separator_of
from gatelet.convert.rows.rows import Rows, side_by_side
from gatelet.convert.rows.vocabulary import vocabulary_sha256
from gatelet.errors import ConversionError
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.decision import decide
from gatelet.runtime.vectorizer.opening import AnyVectorizer

GOLDEN_ROWS = 16
GOLDEN_VALUES = 60_000
"""Numbers of all rows: each artifact's own stand in the manifest, which has 16 MiB at most."""
# beside real rows: nothing, blanks, unknown characters, another case, a NUL
GOLDEN_TEXTS = ("", " \t\n", "\u4e2d\U0001f600\u0301", "A GOOD FILM!", "not\0good")
_MORE_THAN_MAXLEN = 8

Array = NDArray[Any]


def golden_vectors(
    bundle: Bundle, oracle: Oracle, texts: Sequence[str], *, keep_texts: bool
) -> bytes:
    """Choose some of the compared rows, and awkward texts, and store what the Graph gives.

    Args:
        bundle: Whose Graph and vectorizer are asked.
        oracle: The compared rows.
        texts: The texts behind them; () where there are none.
        keep_texts: False leaves the texts out; ids and scores stay.

    Returns:
        The JSON of the golden file.

    Raises:
        ConversionError: No row has finite scores.
    """
    graph, vectorizer = bundle.graph(), bundle.vectorizer()
    numbers = max(1, oracle.scores[:1].size)
    most = max(1, GOLDEN_VALUES // numbers)
    count = min(GOLDEN_ROWS, most)
    step = max(1, len(oracle.inputs) // count)
    inputs = oracle.inputs[::step][:count]
    if numbers > GOLDEN_VALUES and takes_few_timesteps(graph):
        timesteps = inputs.feed[graph.inputs[0].name].shape[1]
        inputs = inputs.last_timesteps(max(1, timesteps * GOLDEN_VALUES // numbers))
    golden_texts = None
    if vectorizer is not None:
        real = list(texts)[::step][:count]
        golden_texts = (*real, *GOLDEN_TEXTS, *_telling_texts(vectorizer))
        golden_texts = golden_texts[-most:]
        ids = np.array([vectorizer.pad(text) for text in golden_texts], np.int32)
        inputs = Rows({graph.inputs[0].name: ids})
    found = ReferenceBackend(graph, dtype=np.float64).run(inputs.feed)
    scores = side_by_side(found)
    # JSON holds no other numbers
    finite: Array = np.all(np.isfinite(scores).reshape(len(scores), -1), axis=1)
    if not finite.any():
        raise ConversionError("the model gives no finite scores: train it again")
    if golden_texts is not None:
        golden_texts = tuple(golden_texts[row] for row in np.flatnonzero(finite))
    content: dict[str, Any] = {
        "texts": golden_texts if keep_texts else None,
        "inputs": {name: array.tolist() for name, array in inputs[finite].feed.items()},
        "outputs": {name: found[name][finite].tolist() for name in graph.outputs},
    }
    if vectorizer is not None:
        content["vocabulary_sha256"] = vocabulary_sha256(vectorizer.vocabulary)
    if bundle.decisions:
        content |= {
            "decided": decided_rows(bundle, graph, inputs[finite], scores[finite]),
            "decisions": [one.to_json() for one in bundle.decisions],
        }
    elif bundle.labels and len(graph.outputs) == 1 and scores.ndim == 2:
        rows = [decide(row, bundle.threshold) for row in scores[finite].tolist()]
        content |= {
            "labels": [bundle.labels[row] for row in rows],
            "threshold": bundle.threshold,
        }
    return json.dumps(content).encode()


def _telling_texts(vectorizer: AnyVectorizer) -> tuple[str, ...]:
    """Make texts of known words whose ids tell of every setting: length, case, punctuation."""
    words = sorted(vectorizer.vocabulary, key=vectorizer.vocabulary.__getitem__)
    separator = separator_of(vectorizer)
    longer = itertools.islice(itertools.cycle(words), vectorizer.maxlen + _MORE_THAN_MAXLEN)
    return (
        separator.join(longer),
        separator.join(words[:_MORE_THAN_MAXLEN]).upper(),
        "".join(itertools.chain.from_iterable(zip(words, string.punctuation, strict=False))),
    )
