"""Asks the oracles for right answers: the Graph, and Keras where it can be asked.

Not the judging, which `gatelet.convert.parity.judge` does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from typing import Any

from numpy.typing import NDArray

from gatelet.convert.parity.oracles.keras import count_other_ids, keras_scores
from gatelet.convert.parity.oracles.oracle import Advance, Oracle, nothing_to_tell
from gatelet.convert.rows.coverage import notes_on_texts
from gatelet.convert.rows.drawn import MADE_UP, random_rows, random_texts
from gatelet.convert.rows.rows import Rows, ids_of, rows_of
from gatelet.convert.worker.worker import Worker
from gatelet.runtime.backends.targets import row_of
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.vectorizer.text_vectorization import TextVectorization

Array = NDArray[Any]


@dataclass(frozen=True)
class Question:
    """What the oracles are asked.

    Args:
        rows: Texts or arrays to compare on; () for seeded random inputs.
        over: What `rows` are: 'test texts'.
        truth: Of `rows`: label positions, or the values of a regression.
        timesteps: Of random inputs, by graph input.
        keras_file: The model as Keras saved it; None leaves Keras' predictions out.
        keras_takes_texts: It begins with the TextVectorization layer that became the vectorizer.
    """

    rows: Sequence[str] | Arrays = ()
    over: str = "rows"
    truth: Array | None = None
    timesteps: Mapping[str, int] = field(default_factory=dict)
    keras_file: bytes | None = None
    keras_takes_texts: bool = False


def ask_oracles(
    bundle: Bundle,
    question: Question,
    worker: Worker | None,
    *,
    progress: Callable[[str], None],
    advance: Advance = nothing_to_tell,
) -> Oracle:
    """Collect right answers for texts or arrays, or for seeded random inputs where there are none.

    Args:
        bundle: Its Graph is the first oracle; its vectorizer makes the ids.
        question: The rows, and what is known of them.
        worker: Where Keras runs; None leaves Keras out.
        progress: Called with what is being done.
        advance: Told how many rows the Graph has done.
    """
    graph, vectorizer, rows = bundle.graph(), bundle.vectorizer(), question.rows
    needs_texts = question.keras_takes_texts and isinstance(vectorizer, TextVectorization)
    needs_texts |= any(row_of(artifact.target).takes_texts for artifact in bundle.artifacts)
    texts: Sequence[str] = () if isinstance(rows, Arrays) else rows
    wrong_ids: int | None = None
    notes: tuple[str, ...] = ()
    made_up = not isinstance(rows, Arrays) and (vectorizer is None or not texts)
    if needs_texts and not texts and vectorizer is not None and not isinstance(rows, Arrays):
        texts = random_texts(vectorizer)
    if isinstance(rows, Arrays):
        inputs = rows_of(graph, rows)
    elif vectorizer is not None and texts:
        ids = ids_of(vectorizer, texts)
        inputs = Rows({graph.inputs[0].name: ids})
        notes = notes_on_texts(vectorizer, texts)
        if worker is not None:
            progress("asking Keras for the ids")
            wrong_ids = count_other_ids(vectorizer, texts, ids, worker)
    else:
        inputs = random_rows(graph, vectorizer, question.timesteps)
    progress(f"asking the Graph for {len(inputs):,} rows")
    oracle = Oracle.of(
        graph,
        inputs,
        advance=advance,
        texts=texts,
        wrong_ids=wrong_ids,
        truth=question.truth,
        notes=notes,
        over=MADE_UP if made_up else question.over,
        made_up=made_up,
    )
    if worker is None or question.keras_file is None:
        return oracle
    progress(f"asking Keras for {len(inputs):,} rows")
    given = texts if question.keras_takes_texts else ()
    scores = keras_scores(question.keras_file, inputs, given, worker)
    if isinstance(scores, str):
        progress(f"left out Keras' own verdict: {scores}")
        return replace(oracle, keras_refusal=scores)
    return replace(oracle, keras=scores, keras_version=version("keras"))
