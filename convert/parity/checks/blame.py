"""Which layer is guilty: the reference backend runs with an artifact's own weights.

If the Graph with those weights is as wrong as the artifact, weights are to blame, and putting them
right one by one says which. If it is not, the engine or the way it computes is. Not a check.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.checks.scores import difference
from gatelet.convert.parity.stored.match import HALF_STEP, StoredWeight
from gatelet.convert.rows.rows import Rows, side_by_side
from gatelet.runtime.backends.reference import run_graph
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.safetensors import Tensor
from gatelet.runtime.graph.width import width_of

ROWS = 64
EXPLAINED = 0.5
"""The share of an artifact's error from which on its weights are to blame for it."""

_OF_SCORES = ("scores", "golden", "as_converted", "flips", "weights", "lengths", "finite", "spread")
_OF_VECTORIZER = ("ids", "golden_texts")
_OF_READER = ("vocabulary", "text_ids")
_OF_CALLS = ("state_leak", "repeat", "threads", "batch", "row_order")
_VISIBLE = 1e-6

Array = NDArray[Any]


def blame(
    graph: Graph,
    inputs: Rows,
    expected: Array,
    found: Array,
    weights: Sequence[StoredWeight] | None,
    *,
    failed: Sequence[str],
) -> tuple[str, ...]:
    """Say which tensor of which layer carries an artifact's error, and what to try.

    Args:
        graph: The model.
        inputs: The rows that were compared.
        expected: The Graph's scores of them [N, ...].
        found: The artifact's.
        weights: The artifact's own; None where its file could not be looked into.
        failed: The names of the checks that failed.

    Returns:
        Sentences; none where no check of scores failed.
    """
    if any(name in _OF_READER for name in failed):
        return (
            "the file and the vectorizer of the bundle have other words, or other settings, and "
            "one of them is not that of training: convert again",
            *_of_the_rest(failed),
        )
    if not any(n.startswith(_OF_SCORES) and n not in _OF_VECTORIZER for n in failed):
        return _of_the_rest(failed)
    if found.shape != expected.shape:
        return (
            "the artifact's scores have another shape: it was made from another model; convert "
            "again",
        )
    known = [one for one in weights or () if one.found is not None]
    if not known:
        return ("the file's weights could not be read, so no layer can be named",)
    distance = difference(found, expected).reshape(len(found), -1).max(axis=1)
    order = np.argsort(-np.nan_to_num(distance, nan=np.inf, posinf=np.inf), kind="stable")
    worst = order[: _rows_that_fit(graph, inputs)]
    rows, right, wrong = inputs[worst], expected[worst], found[worst]
    own = float(difference(wrong, right).max(initial=0.0))
    carried = _error(graph, rows, {one.weight: one for one in known}, right)
    off = [one for one in known if one.steps_off > HALF_STEP]
    unread = [one.where for one in weights or () if one.found is None]
    if carried < EXPLAINED * own and unread:
        doubt = (
            f"with the {len(known)} tensors that could be read the reference backend is off by "
            f"{carried:.3g} only, the artifact by {own:.3g}: the {', '.join(unread[:3])}"
            + (f" and {len(unread) - 3} more" if len(unread) > 3 else "")
            + " could not be read from the file and may be to blame, or else how the engine "
            "computes; try the scheme float32, or another engine or target"
        )
        rest = _of_weights(graph, rows, right, known, carried=carried, off=off) if off else ()
        return (doubt, *rest)
    if carried < EXPLAINED * own and not off:
        return (
            f"with the file's own weights the reference backend is off by {carried:.3g} only, the "
            f"artifact by {own:.3g}: the weights are not to blame, but how the engine "
            "computes with them; try the scheme float32, or another engine or target",
        )
    return _of_weights(graph, rows, right, known, carried=carried, off=off)


def _rows_that_fit(graph: Graph, inputs: Rows) -> int:
    """Return how many rows are looked at: all their values are in memory together."""
    timesteps = max(one.shape[1] if one.ndim > 1 else 1 for one in inputs.feed.values())
    return min(ROWS, width_of(graph).rows_at_once(timesteps))


def _of_weights(
    graph: Graph,
    rows: Rows,
    right: Array,
    known: Sequence[StoredWeight],
    *,
    carried: float,
    off: Sequence[StoredWeight],
) -> tuple[str, ...]:
    """Put each tensor right in turn: the one without which the error is smallest carries it."""
    every = {one.weight: one for one in known}
    lossy = [one for one in known if one.steps_off > 0]
    if not lossy:
        return ()
    left = {
        one.weight: _error(graph, rows, {n: w for n, w in every.items() if n != one.weight}, right)
        for one in lossy
    }
    guilty = min(lossy, key=lambda one: (left[one.weight], -one.steps_off))
    ratio = signal_to_noise_db(graph, guilty)
    sentences = [
        f"the error is carried by the {guilty.where} (signal to noise {ratio:.0f} dB): with the "
        f"file's weights the reference backend is off by {carried:.3g}, and by "
        f"{left[guilty.weight]:.3g} with this tensor put right",
        _of_layers(graph, rows, every),
    ]
    if off:
        others = ", ".join(one.where for one in off[:3])
        sentences.append(f"{others} is not what was exported: convert again, and replace the file")
    else:
        sentences.append(
            f"it is rounded to few bits: keep layer '{guilty.node.source}' in float (--scheme "
            "float32 or float16), or train with smaller weights"
        )
    return tuple(filter(None, sentences))


def _of_layers(graph: Graph, rows: Rows, weights: Mapping[str, StoredWeight]) -> str:
    """Name the layer after which the values first get clearly worse than before."""
    right = run_graph(graph, rows.feed, dtype=np.float64)
    wrong = run_graph(_with(graph, weights), rows.feed, dtype=np.float64)
    ratios = []
    for node in graph.nodes:
        good, bad = right[node.output], wrong[node.output]
        if good.dtype.kind == "f" and node.weights:
            ratios.append(f"'{node.source or node.name}' {_ratio_db(good, bad):.0f} dB")
    return f"signal to noise after each layer: {', '.join(ratios[:12])}" if ratios else ""


def _of_the_rest(failed: Sequence[str]) -> tuple[str, ...]:
    if any(name in _OF_VECTORIZER for name in failed):
        return (
            "the scores of ids are right, those of texts are not: the vectorizer is another than "
            "in training (case, filters, padding side, vocabulary); convert with the right one",
        )
    if any(name in _OF_CALLS for name in failed):
        return (
            "the scores of single rows are right, but calls depend on each other: the engine "
            "keeps something between calls, or rows of a batch share a scale; try another engine "
            "or scheme",
        )
    return ()


def signal_to_noise_db(graph: Graph, weight: StoredWeight) -> float:
    """Return the ratio of a weight's power to that of what its file has otherwise, in decibels."""
    from gatelet.runtime.backends.reference import array_of

    return _ratio_db(array_of(graph.weights[weight.weight]), weight.found)


def _ratio_db(right: Array, wrong: Array | None) -> float:
    if wrong is None or right.shape != wrong.shape:
        return -math.inf
    noise = float(((right.astype(np.float64) - wrong) ** 2).sum())
    power = float((right.astype(np.float64) ** 2).sum())
    if noise == 0 or not math.isfinite(noise):
        return math.inf if noise == 0 else -math.inf
    return 10 * math.log10(power / noise) if power else -math.inf


def scores_with(graph: Graph, rows: Rows, weights: Mapping[str, StoredWeight]) -> Array:
    """Return the scores of the Graph with other weights, by their names."""
    values = run_graph(_with(graph, weights), rows.feed, dtype=np.float64)
    return side_by_side({name: values[name] for name in graph.outputs})


def _error(graph: Graph, rows: Rows, weights: Mapping[str, StoredWeight], right: Array) -> float:
    """Return the largest error of the Graph with other weights."""
    return float(difference(scores_with(graph, rows, weights), right).max(initial=0.0))


def _with(graph: Graph, weights: Mapping[str, StoredWeight]) -> Graph:
    changed = dict(graph.weights)
    for name, one in weights.items():
        if one.found is not None:
            changed[name] = Tensor("F32", one.found.shape, one.found.astype("<f4").tobytes())
    return replace(graph, weights=changed)
