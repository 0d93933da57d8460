"""Asks the oracles for right answers: the Graph, and Keras where it can be asked.

Not the judging, which `gatelet.convert.parity.judge` does.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.checks.behaviour import takes_few_timesteps
from gatelet.convert.parity.oracles.effort import BUDGET_S, Size, affordable
from gatelet.convert.parity.oracles.keras import ask_keras, count_other_ids
from gatelet.convert.parity.oracles.oracle import Advance, Oracle, nothing_to_tell
from gatelet.convert.parity.texts.probes import probes_of
from gatelet.convert.rows.coverage import notes_on_texts
from gatelet.convert.rows.drawn import MADE_UP, RANDOM_TIMESTEPS, random_rows, random_texts
from gatelet.convert.rows.evidence import AnyGroups
from gatelet.convert.rows.likely import Likely, read_likely
from gatelet.convert.rows.rows import Rows, ids_of, rows_of
from gatelet.convert.worker.worker import Worker
from gatelet.runtime.backends.targets import row_of
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.vectorizer.opening import AnyVectorizer
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
        budget_s: Processor time that random inputs may cost.
        vectorizer: The one that the bundle's was made from, while it is at hand: Keras is handed
            its words, not those of the bundle.
        groups: Which of `rows` belong together; None where each stands for itself.
    """

    rows: Sequence[str] | Arrays = ()
    over: str = "rows"
    truth: Array | None = None
    timesteps: Mapping[str, int] = field(default_factory=dict)
    keras_file: bytes | None = None
    keras_takes_texts: bool = False
    budget_s: float = BUDGET_S
    vectorizer: AnyVectorizer | None = None
    groups: AnyGroups = None


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
    likely = read_likely(bundle.manifest)
    needs_texts = question.keras_takes_texts and isinstance(vectorizer, TextVectorization)
    needs_texts |= any(row_of(artifact.target).takes_texts for artifact in bundle.artifacts)
    texts: Sequence[str] = () if isinstance(rows, Arrays) else rows
    notes: tuple[str, ...] = ()
    draw = partial(_drawn, graph, vectorizer, question.timesteps, likely)
    size = Size()
    is_made_up = not isinstance(rows, Arrays) and (vectorizer is None or not texts)
    if is_made_up:
        asks_keras = worker is not None and question.keras_file is not None
        size = _size(bundle, draw, question, progress, asks_keras=asks_keras)
        notes = (size.note,) if size.note else ()
    if needs_texts and is_made_up and vectorizer is not None:
        texts = random_texts(vectorizer, rows=size.rows)
    ids = None if vectorizer is None else ids_of(vectorizer, texts)
    if isinstance(rows, Arrays):
        inputs = rows_of(graph, rows)
    elif vectorizer is not None and ids is not None and texts:
        inputs = Rows({graph.inputs[0].name: ids})
        notes = (*notes, *notes_on_texts(vectorizer, texts))
    else:
        inputs = draw(size.rows, size.timesteps)
    keras_ids: dict[str, Any] = {}
    if vectorizer is not None and ids is not None:
        keras_ids = _ask_ids(vectorizer, texts, ids, question, worker=worker, progress=progress)
    progress(f"asking the Graph for {len(inputs):,} rows")
    oracle = Oracle.of(
        graph,
        inputs,
        advance=advance,
        texts=texts,
        **keras_ids,
        truth=question.truth,
        notes=notes,
        padding={name: one.padding for name, one in likely.items()},
        over=MADE_UP if is_made_up else question.over,
        made_up=is_made_up,
        groups=question.groups,
        vectorizer=question.vectorizer,
    )
    if worker is None or question.keras_file is None:
        return oracle
    progress(f"asking Keras for {len(inputs):,} rows")
    return ask_keras(
        oracle,
        question.keras_file,
        worker,
        bundle=bundle,
        texts=texts if question.keras_takes_texts else (),
        progress=progress,
    )


def _ask_ids(
    vectorizer: AnyVectorizer,
    texts: Sequence[str],
    ids: Array,
    question: Question,
    *,
    worker: Worker | None,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    """Ask Keras for the ids of texts, and of some that hold every word; {} where it is not asked.

    Without texts and a model it is left out: its start takes seconds.
    """
    if worker is None or not (texts or question.keras_file):
        return {}
    progress("asking Keras for the ids")
    probes = [one.text for one in probes_of(vectorizer)]
    asked, found = (*texts, *probes), np.concatenate([ids, ids_of(vectorizer, probes)])
    wrong = count_other_ids(question.vectorizer or vectorizer, asked, found, worker)
    return {"wrong_ids": wrong, "asked_ids": len(asked)}


def _drawn(
    graph: Graph,
    vectorizer: AnyVectorizer | None,
    timesteps: Mapping[str, int],
    likely: Mapping[str, Likely],
    rows: int,
    shorter: int | None,
) -> Rows:
    """Draw rows, of fewer timesteps where that is said."""
    known = {one.name: timesteps.get(one.name, RANDOM_TIMESTEPS) for one in graph.inputs}
    if shorter is not None:
        known = {name: min(shorter, one) for name, one in known.items()}
    return random_rows(graph, vectorizer, known, rows=rows, likely=likely)


def _size(
    bundle: Bundle,
    draw: Callable[[int, int | None], Rows],
    question: Question,
    progress: Callable[[str], None],
    *,
    asks_keras: bool,
) -> Size:
    """Choose how many rows are drawn; a vectorizer's have its length."""
    graph, vectorizer = bundle.graph(), bundle.vectorizer()
    known = [question.timesteps.get(one.name, RANDOM_TIMESTEPS) for one in graph.inputs]
    declared = max(known) if vectorizer is None else vectorizer.maxlen
    is_open = vectorizer is None and takes_few_timesteps(graph)
    progress("choosing rows to compare")
    size = affordable(
        bundle,
        draw,
        declared=declared,
        is_open=is_open,
        budget_s=question.budget_s,
        asks_keras=asks_keras,
    )
    if size.note:
        progress(f"made-up rows: {size.note}")
    return size
