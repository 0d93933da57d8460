"""Predictions by what a bundle of format 2 says of its outputs: see `Decision`.

Not those of format 1, whose labels and threshold `prediction.py` knows.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence

from gatelet.errors import BundleDamaged
from gatelet.runtime.bundle.decisions import Decision
from gatelet.runtime.graph.graph import Graph, GraphInput
from gatelet.runtime.predictor.inputs import are_texts, by_input
from gatelet.runtime.predictor.prediction import Prediction, several

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gatelet.runtime.bundle.opening import Bundle
    from gatelet.runtime.vectorizer.opening import AnyVectorizer


def check_decisions(bundle: Bundle, graph: Graph) -> None:
    """Refuse a bundle whose decisions cannot be those of its Graph's outputs.

    Raises:
        BundleDamaged: They cannot.
    """
    for one in bundle.decisions:
        shape = graph.shape_of(one.output) if one.output in graph.outputs else ()
        if len(shape) != 2 + one.steps or shape[-1] not in (None, one.width):
            raise BundleDamaged(
                f"bundle '{bundle.path}' decides {one.width} scores of the output "
                f"'{one.output}', its model gives {list(shape) or 'no such output'}: convert it "
                "again"
            )


def decided(
    bundle: Bundle,
    graph: Graph,
    scores: Any,
    inputs: Any,
    vectorizer: Callable[[], AnyVectorizer | None] | None,
) -> list[Prediction]:
    """Decide what a model gave.

    Args:
        bundle: With decisions.
        graph: The model.
        scores: As `Predictor.scores` gives them.
        inputs: That they are of: these tell which timesteps are padding.
        vectorizer: Gives that of texts; None to decide the last timestep only, of a stream.
    """
    outputs = scores if isinstance(scores, dict) else {graph.outputs[0]: scores}
    if vectorizer is None:
        return predictions(bundle.decisions, outputs, {}, last=True)
    steps = any(one.steps for one in bundle.decisions)
    known = vectorizer() if steps else None
    real = real_timesteps(bundle.decisions, outputs, inputs, graph, known)
    return predictions(bundle.decisions, outputs, real)


def predictions(
    decisions: Sequence[Decision],
    outputs: Mapping[str, Any],
    real: Mapping[str, Sequence[Sequence[bool]]],
    *,
    last: bool = False,
) -> list[Prediction]:
    """Decide rows.

    Args:
        decisions: Of the bundle.
        outputs: The model's, by name, each an array or lists of N rows.
        real: By output of steps: which of each row's timesteps are real; all of them without.
        last: Decide the last timestep only, of a stream.

    Returns:
        One a row: of several outputs by their names.
    """
    known = {one.output: one for one in decisions}
    rows = {name: _as_lists(values) for name, values in outputs.items()}
    made = []
    for at in range(len(next(iter(rows.values())))):
        found: dict[str, Any] = {}
        for name, values in rows.items():
            row, decision = values[at], known.get(name)
            if decision is None:
                found[name] = row
            elif decision.steps and not last:
                kept = real[name][at] if name in real else [True] * len(row)
                pairs = zip(row, kept, strict=True)
                found[name] = several(
                    steps=[_decided(decision, s) for s, is_real in pairs if is_real]
                )
            else:
                found[name] = _decided(decision, row[-1] if isinstance(row[0], list) else row)
        made.append(several(outputs=found) if len(rows) > 1 else next(iter(found.values())))
    return made


def _decided(decision: Decision, row: Sequence[float]) -> Prediction:
    scores = decision.scores_of(row)
    named, chosen = decision.by_label(scores), decision.chosen(scores)
    labels = tuple(decision.labels[at] for at in chosen)
    if decision.multi_label:
        return several(labels=labels, scores=named)
    return Prediction(labels[0], named[labels[0]], named)


def real_timesteps(
    decisions: Sequence[Decision],
    outputs: Mapping[str, Any],
    inputs: Any,
    graph: Graph,
    vectorizer: AnyVectorizer | None,
) -> dict[str, list[list[bool]]]:
    """Tell real timesteps from padding: of ids those that are not 0, of features the unmasked.

    Args:
        decisions: Of the bundle.
        outputs: The model's, by name.
        inputs: As `Predictor.scores` was given them.
        graph: The model.
        vectorizer: Makes ids of texts.

    Returns:
        By output of steps, for each row; none of an output whose timesteps are not the input's.
    """
    found = {}
    for one in decisions:
        source = _followed(graph, one.output) if one.steps else None
        if source is None:
            continue
        given, is_backwards = inputs, source[1]
        if len(graph.inputs) > 1:
            given = by_input(inputs, graph.inputs, name="")[source[0].name]
        if are_texts(given):
            assert vectorizer is not None  # else they had no scores
            kept = [_unpadded(vectorizer, text) for text in given]
        else:
            kept = _kept(_as_lists(given), source[0], graph)
        lengths = [len(row) for row in outputs[one.output]]
        if kept and lengths == list(map(len, kept)):
            found[one.output] = [row[::-1] for row in kept] if is_backwards else kept
    return found


def _unpadded(vectorizer: AnyVectorizer, text: str) -> list[bool]:
    count = len(vectorizer.ids(text))
    real, padding = [True] * count, [False] * (vectorizer.maxlen - count)
    pre = getattr(vectorizer, "padding", "post") == "pre"
    return [*padding, *real] if pre else [*real, *padding]


def _kept(rows: list[Any], source: GraphInput, graph: Graph) -> list[list[bool]]:
    if source.dtype == "int32":
        return [[number != 0 for number in row] for row in rows]
    masks = [n for n in graph.nodes if n.op == "MaskFeatures" and n.inputs[0] == source.name]
    if not masks:
        return []
    masked = _single(masks[0].attributes["mask_value"])
    return [[any(_single(x) != masked for x in step) for step in row] for row in rows]


def _followed(graph: Graph, output: str) -> tuple[GraphInput, bool] | None:
    """Find the input whose timesteps an output has, and whether they are in reverse order."""
    made = {name: node for node in graph.nodes for name in node.outputs}
    inputs, is_backwards = {one.name: one for one in graph.inputs}, False
    while output not in inputs:
        node = made[output]
        if node.op == "Transpose" or len(graph.shape_of(output)) < 3:
            return None
        is_backwards ^= node.op == "Reverse" or bool(node.attributes.get("go_backwards"))
        # after SplitTime the timesteps are those of its second input
        output = node.inputs[-1 if node.op == "SplitTime" else 0]
    return inputs[output], is_backwards


def _single(x: float) -> float:
    """Round to float32."""
    return float(struct.unpack("<f", struct.pack("<f", x))[0])


def _as_lists(values: Any) -> list[Any]:
    return list(values.tolist() if hasattr(values, "tolist") else values)
