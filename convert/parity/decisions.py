"""What a bundle of format 2 decides of scores, for arrays: written apart from the runtime's own.

Not the checks, and not bundles of format 1: labels and a threshold say it all there.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.quality.figures import decided
from gatelet.convert.rows.rows import Rows
from gatelet.runtime.bundle.decisions import Decision
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.predictor.meanings import real_timesteps

Array = NDArray[Any]


@dataclass(frozen=True)
class Part:
    """What one output gives, as far as it is decided.

    Args:
        decision: Its rule.
        scores: The model's own numbers, [M, C]: of rows, or of the real timesteps of all rows.
        counts: How many of the M are of each row.
    """

    decision: Decision
    scores: Array
    counts: Sequence[int]

    @property
    def threshold(self) -> "float | Array":
        """The threshold of the model's own numbers; of several labels one each."""
        return _raw_threshold(self.decision)

    def labels(self) -> list[Any]:
        """Return what is decided for each row, as JSON holds it."""
        names, chosen = self.decision.labels, decided(self.scores, self.threshold)
        if self.decision.multi_label:
            found: list[Any] = [[names[i] for i in np.flatnonzero(row)] for row in chosen]
        else:
            found = [names[number] for number in chosen.tolist()]
        if not self.decision.steps:
            return found
        ends = np.cumsum(self.counts).tolist()
        return [found[end - count : end] for end, count in zip(ends, self.counts, strict=True)]


def parts_of(bundle: Bundle, graph: Graph, inputs: Rows, scores: Array) -> list[Part]:
    """Return what is decided of scores.

    Args:
        bundle: With decisions.
        graph: Its Graph, or what it takes and gives.
        inputs: As the artifact was given them: they tell which timesteps are padding.
        scores: [N, C], or [N, T, C]; of several outputs side by side, [N, K].
    """
    outputs = by_output(graph, inputs, scores)
    vectorizer = bundle.vectorizer() if any(one.steps for one in bundle.decisions) else None
    real = real_timesteps(bundle.decisions, outputs, inputs.given, graph, vectorizer)
    made = []
    for one in bundle.decisions:
        found = outputs[one.output]
        if not one.steps:
            made.append(Part(one, found, [1] * len(found)))
            continue
        kept = np.array(real.get(one.output, np.ones(found.shape[:2])), bool)
        made.append(Part(one, found[kept], kept.sum(axis=1).tolist()))
    return made


def decided_rows(bundle: Bundle, graph: Graph, inputs: Rows, scores: Array) -> list[Any]:
    """Return what is decided for each row, as `Prediction.decision` has it."""
    parts = parts_of(bundle, graph, inputs, scores)
    rows = {part.decision.output: part.labels() for part in parts}
    if len(graph.outputs) == 1:
        return next(iter(rows.values()))
    return [{name: labels[row] for name, labels in rows.items()} for row in range(len(scores))]


def by_output(graph: Graph, inputs: Rows, scores: Array) -> Mapping[str, Array]:
    """Take outputs apart that `side_by_side` put together.

    An open time axis is as long as that of the first input which has one.
    """
    if len(graph.outputs) == 1:
        return {graph.outputs[0]: scores}
    timesteps = next((a.shape[1] for a in inputs.feed.values() if a.ndim > 1), 1)
    shapes = [[size or timesteps for size in graph.shape_of(o)[1:]] for o in graph.outputs]
    ends = np.cumsum([math.prod(shape) for shape in shapes]).tolist()
    if ends[-1] != scores.shape[-1]:
        raise ValueError(f"{scores.shape[-1]} numbers a row are not those of the model's outputs")
    parts = np.split(scores, ends[:-1], axis=1)
    return {
        name: part.reshape(len(scores), *shape)
        for name, part, shape in zip(graph.outputs, parts, shapes, strict=True)
    }


def meant(bundle: Bundle, scores: Array) -> "tuple[Array, float | Array]":
    """Return scores after their activation, and the threshold of those.

    Args:
        bundle: Of one output.
        scores: The model's own [N, C].
    """
    rule = rule_of_rows(bundle)
    if rule is None:
        return scores, bundle.threshold
    thresholds = np.array(rule.thresholds)
    return _after(scores, rule.activation), thresholds if rule.multi_label else bundle.threshold


def raw_threshold(bundle: Bundle) -> "float | Array":
    """Return the threshold of the model's own numbers: of one score, or of several labels each."""
    rule = rule_of_rows(bundle)
    return bundle.threshold if rule is None else _raw_threshold(rule)


def _raw_threshold(rule: Decision) -> "float | Array":
    raw = [_before(one, rule.activation) for one in rule.thresholds]
    return np.array(raw) if rule.multi_label else (raw or [0.5])[0]


def rule_of_rows(bundle: Bundle) -> Decision | None:
    """Return the decision of a model with one row of scores; None of others, and in format 1."""
    one = bundle.decisions[0] if len(bundle.decisions) == 1 else None
    return one if one is not None and not one.steps else None


def _after(scores: Array, activation: str) -> Array:
    if activation == "none":
        return scores
    scores = scores.astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        if activation == "sigmoid":
            return np.asarray(1 / (1 + np.exp(-scores)))
        powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def _before(threshold: float, activation: str) -> float:
    """Return the number that a sigmoid makes the threshold of."""
    if activation != "sigmoid" or threshold in (0, 1):
        return threshold if activation != "sigmoid" else (2 * threshold - 1) * math.inf
    return math.log(threshold / (1 - threshold))
