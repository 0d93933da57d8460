"""Keras as an oracle: its scores and its ids.

Not what runs in the worker process, which is `keras_jobs.py`.
"""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.lowering import lower
from gatelet.convert.parity.checks.scores import difference
from gatelet.convert.parity.oracles.keras_changes import PUT_IN_SETTINGS, not_put_in, told
from gatelet.convert.parity.oracles.keras_jobs import predict
from gatelet.convert.parity.oracles.oracle import Oracle, ask_graph
from gatelet.convert.reading import keras_suffix
from gatelet.convert.reading.model_source import open_source
from gatelet.convert.reading.scaling import Scaling, scaled, scaling_of
from gatelet.convert.reading.versions import parse_version
from gatelet.convert.rows.rows import Rows, side_by_side
from gatelet.convert.worker.worker import Worker
from gatelet.errors import GateletError
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.width import width_of
from gatelet.runtime.stages import temporary_folder
from gatelet.runtime.vectorizer.opening import AnyVectorizer

_ROWS_AT_ONCE = 4096
_ROWS_OF_KERAS = 256
"""Of a prediction by Keras: a third less processor time than batches of 64."""

Array = NDArray[Any]


def ask_keras(
    oracle: Oracle,
    keras_file: bytes,
    worker: Worker,
    *,
    bundle: Bundle,
    texts: Sequence[str],
    progress: Callable[[str], None],
) -> Oracle:
    """Ask Keras for the rows of an oracle, by the rules of the Keras that wrote the file.

    Where it computes otherwise all the same, and the Graph of the same file by today's rules
    agrees with it, the file's version explains that: then its answers are held against nothing.

    Args:
        oracle: Its rows, and the Graph's answers.
        keras_file: The model as Keras saved it.
        worker: Where Keras runs.
        bundle: Tells the version that wrote the file.
        texts: What is given in the rows' place, for a model that takes texts.
        progress: Told of a Keras that cannot be asked.
    """
    given = _Given(keras_file, oracle.inputs, texts, bundle)
    answers = _answers(given, worker, wrote=_version_that_wrote(bundle))
    if answers.refusal:
        progress(f"left out Keras' own verdict: {answers.refusal}")
        return replace(oracle, keras_refusal=answers.refusal)
    today, note = version("keras"), answers.note
    limit = oracle.float32_limit
    differs = _apart(answers.scores, oracle.scores) > limit
    if differs and _explains(given, answers.scores, limit):
        wrote = _version_that_wrote(bundle)
        note = (
            f"Keras {today} computes a file of Keras {wrote} by other rules "
            f"({not_put_in(parse_version(wrote))}), and cannot be made to follow the old ones; "
            "by its rules the Graph agrees with it: the Graph alone is judged by"
        )
        progress(f"left out Keras' own verdict: {note}")
        return replace(oracle, keras_note=note)
    return replace(oracle, keras=answers.scores, keras_version=today, keras_note=note)


@dataclass(frozen=True)
class _Given:
    """What Keras is given: the file and rows, and the bundle that they belong to."""

    keras_file: bytes
    inputs: Rows
    texts: Sequence[str]
    bundle: Bundle

    @property
    def scaling(self) -> Scaling:
        """The scalers that the Graph has within, and Keras' file has not."""
        content = self.bundle.manifest.get("scale")
        return scaling_of(content, f"bundle '{self.bundle.path}'") if content else {}

    @property
    def fed(self) -> list[Array]:
        """The rows as Keras' own model takes them."""
        return model_inputs(list(self.inputs.feed.values()), self.scaling)

    @property
    def rows_at_once(self) -> int:
        """How many rows Keras holds in memory together."""
        steps = max(one.shape[1] if one.ndim > 1 else 1 for one in self.inputs.feed.values())
        return min(_ROWS_OF_KERAS, width_of(self.bundle.graph()).rows_at_once(steps))


@dataclass(frozen=True)
class _Answers:
    """What Keras gave: scores, or why it gave none; and what was put into it."""

    scores: Array
    refusal: str = ""
    note: str = ""


def _answers(given: _Given, worker: Worker, *, wrote: str) -> _Answers:
    """Let Keras predict, by the rules of the Keras that `wrote` the file; '' for its own."""
    with worker.exchange() as folder:
        model, out = folder / f"model{keras_suffix(given.keras_file)}", folder / "y.npz"
        model.write_bytes(given.keras_file)
        rows = folder / "x.npz"
        arrays: dict[str, Any] = {f"x_{i}": x for i, x in enumerate(given.fed)}
        np.savez(rows, **arrays)
        texts_path = folder / "texts.json"
        _write_texts(given.texts, texts_path)
        arguments = {
            "model": str(model),
            "inputs": str(rows),
            "texts": str(texts_path) if given.texts else None,
            "out": str(out),
            "wrote": wrote,
            "rows_at_once": given.rows_at_once,
        }
        answer: dict[str, Any] = worker.call(
            "gatelet.convert.parity.oracles.keras_jobs:keras_scores_job",
            arguments,
            step="predictions by Keras",
        )
        if answer["refusal"]:
            return _Answers(np.empty(0), refusal=answer["refusal"])
        note = told(answer["needed"])
        if note:
            note = f"Keras {version('keras')} with the rules of Keras {wrote} put in: {note}"
        with np.load(out) as found:
            scores = side_by_side({name: found[name] for name in found.files})
        return _Answers(raw_scores(scores, given.scaling), note=note)


def _explains(given: _Given, scores: Array, limit: float) -> bool:
    """Return whether rules that cannot be put in are what Keras' scores differ by.

    They are if the Graph of the same file by today's rules, with what was put in, has them.
    """
    try:
        with temporary_folder() as folder:
            path = folder / f"model{keras_suffix(given.keras_file)}"
            path.write_bytes(given.keras_file)
            model = scaled(open_source(path).model, given.scaling)
        graph = lower(replace(model, keras_version=version("keras")))
    except GateletError:
        return False
    own = given.bundle.graph()
    graph = _with_put_ins(graph, own)
    if [one.name for one in graph.inputs] != [one.name for one in own.inputs]:
        return False
    return graph.nodes != own.nodes and _apart(ask_graph(graph, given.inputs), scores) <= limit


def _with_put_ins(graph: Graph, own: Graph) -> Graph:
    """Return a Graph whose nodes mean what those of another mean, where that is put in."""
    meant: dict[tuple[str, str], list[Node]] = {}
    for node in own.nodes:
        meant.setdefault((node.source, node.op), []).append(node)
    nodes = []
    for node in graph.nodes:
        others = meant.get((node.source, node.op))
        settings = others.pop(0).attributes if others else {}
        kept = {name: settings[name] for name in PUT_IN_SETTINGS if name in settings}
        nodes.append(replace(node, attributes={**node.attributes, **kept}))
    return replace(graph, nodes=tuple(nodes))


def _apart(found: Array, expected: Array) -> float:
    """Return the largest difference; infinity between arrays of other shapes."""
    if found.shape != expected.shape:
        return math.inf
    return float(difference(found, expected).max(initial=0.0))


def _version_that_wrote(bundle: Bundle) -> str:
    provenance = bundle.manifest.get("provenance")
    return str(provenance.get("keras_of_model", "")) if isinstance(provenance, dict) else ""


def model_inputs(arrays: list[Array], scaling: Scaling) -> list[Array]:
    """Return raw rows as a model without its scalers takes them, float32."""
    scaler = scaling.get("inputs")
    return [scaler.scaled(one).astype(np.float32) if scaler else one for one in arrays]


def raw_scores(scores: Array, scaling: Scaling) -> Array:
    """Return what a model without its scalers gives in raw units, float64 where it is scaled."""
    scaler = scaling.get("outputs")
    return scaler.raw(scores) if scaler else scores


def ask_live(oracle: Oracle, model: Any, *, wrote: str, scaling: Scaling) -> Oracle:
    """Ask a live model, whose code is here and in no file, in this process.

    Args:
        oracle: Whose rows it is asked for.
        model: A model of Keras 3 or tf_keras.
        wrote: The version of its Keras.
        scaling: The scalers that stand outside it.
    """
    if len(model.inputs) != len(oracle.inputs.feed):
        return oracle
    parts = predict(model, model_inputs(list(oracle.inputs.feed.values()), scaling))
    scores = side_by_side({f"y_{index}": part for index, part in enumerate(parts)})
    scores = raw_scores(scores, scaling)
    return replace(oracle, keras=scores, keras_version=wrote, keras_refusal="")


def count_other_ids(
    vectorizer: AnyVectorizer, texts: Sequence[str], ids: Array, worker: Worker
) -> int:
    """Let Keras' own Tokenizer and pad_sequences make ids, and count the texts that differ."""
    with worker.exchange() as folder:
        texts_path, out = folder / "texts.json", folder / "ids.npy"
        settings = folder / "vectorizer.json"
        settings.write_text(vectorizer.to_json(), "utf-8")
        _write_texts(texts, texts_path)
        arguments = {
            "vectorizer": str(settings),
            "texts": str(texts_path),
            "out": str(out),
        }
        worker.call(
            "gatelet.convert.parity.oracles.keras_jobs:keras_ids_job",
            arguments,
            step="ids by Keras' Tokenizer",
        )
        expected = np.load(out, mmap_mode="r")
        if expected.shape != ids.shape:
            return len(texts)
        parts = range(0, len(ids), _ROWS_AT_ONCE)
        counts = [
            (ids[i : i + _ROWS_AT_ONCE] != expected[i : i + _ROWS_AT_ONCE]).any(axis=1).sum()
            for i in parts
        ]
        return int(sum(counts))


def _write_texts(texts: Sequence[str], path: Path) -> None:
    """Write a JSON list, a text at a time: there may be many."""
    with path.open("w", encoding="ascii") as file:
        for index, text in enumerate(texts):
            file.write(("[" if index == 0 else ",\n") + json.dumps(text))
        file.write("]" if texts else "[]")
