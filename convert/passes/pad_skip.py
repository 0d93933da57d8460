"""Padding skipped inside the artifact, exactly: the cost follows the real tokens.

A pre-padded, unmasked, unidirectional stack always starts with the same steps, so its states
after k pads are constants: they are stored, and the recurrences start after the pads. Where
padding is masked its steps change nothing, so its columns are dropped at both ends.
The artifact finds the padding that all rows of a batch share by itself: callers feed padded ids.
See docs/decisions/0004-pad-skip.md.

Not a way to feed artifacts: inputs and outputs stay as they are.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from gatelet.runtime.backends.reference import run_graph
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.operations import POINTWISE, VECTOR_RECURRENCES
from gatelet.runtime.graph.safetensors import Tensor
from gatelet.runtime.graph.streaming import StreamingGraph, with_states
from gatelet.runtime.vectorizer.opening import AnyVectorizer
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

LARGEST_SKIP = 256
"""The most pads that are skipped: 2 x U floats are stored for each."""


def timesteps_in_front(shape: Sequence[int | None], vectorizer: AnyVectorizer | None) -> int | None:
    """Return the timesteps that rows are padded to in front; None where they are not.

    Args:
        shape: Of the model's first input.
        vectorizer: Of the model, whose padding side and length count where there is one.
    """
    if vectorizer is None:
        return shape[1] if len(shape) > 1 else None
    in_front = isinstance(vectorizer, Vectorizer) and vectorizer.padding == "pre"
    return vectorizer.maxlen if in_front else None


def skip_padding(graph: Graph, *, timesteps: int | None) -> Graph:
    """Let a Graph over ids skip the padding that all rows of a batch share.

    Args:
        graph: The model.
        timesteps: T that texts are padded to; None if not known.

    Returns:
        A Graph that gives the same outputs: to the bit where padding is masked, else within
        rounding. The same object where the model's structure does not allow it.
    """
    ids = [one for one in graph.inputs if one.dtype == "int32"]
    if len(ids) != 1 or ids[0].shape != (None, None):
        return graph
    timed = _timed_values(graph, ids[0].name)
    if timed is None:
        return graph
    if any(node.op == "MaskIds" for node in graph.nodes):
        return _trim_masked(graph, ids[0].name, timed)
    over_ids = [n for n in graph.nodes if n.op in VECTOR_RECURRENCES and n.inputs[0] in timed]
    if not over_ids or any(n.attributes.get("go_backwards") or n.inputs[1:] for n in over_ids):
        return graph
    stream = with_states(graph, [node.name for node in over_ids])
    limit = min(timesteps or 0, LARGEST_SKIP)
    return _skip_unmasked(graph, ids[0].name, stream, limit=limit)


def _timed_values(graph: Graph, ids: str) -> set[str] | None:
    """Return the values with a time axis that comes from the ids.

    Returns:
        None where something reads across time other than a recurrence, or a mask-aware mean, or
        where an output has a time axis.
    """
    timed = {ids}
    for node in graph.nodes:
        if not timed.intersection(node.inputs):
            continue
        if node.op in VECTOR_RECURRENCES:
            if node.inputs[0] not in timed or timed.intersection(node.inputs[1:]):
                return None
            if node.attributes.get("return_sequences"):
                timed.add(node.output)
        elif node.op == "GlobalAveragePooling1D" and node.mask is not None:
            continue
        elif node.op in ("Embedding", "MaskIds", "MaskAnd") or _is_pointwise(node, timed):
            timed.update(node.outputs)
        else:
            return None
    return None if timed.intersection(graph.outputs) else timed


def _is_pointwise(node: Node, timed: set[str]) -> bool:
    axis = node.attributes.get("axis")
    rank = len(node.shape)
    return (
        node.op in POINTWISE
        and rank == 3
        and (axis is None or axis in (-1, rank - 1))
        and all(a in (-1, rank - 1) for a in node.attributes.get("axes", ()))
        and all(name in timed for name in node.inputs)
    )


def _trim_masked(graph: Graph, ids: str, timed: set[str]) -> Graph:
    """Drop masked columns at both ends, where their steps change nothing."""
    for node in graph.nodes:
        reads_time = node.inputs[0] in timed and node.op in VECTOR_RECURRENCES
        if reads_time and (node.mask is None or node.attributes.get("return_state")):
            return graph
        # the last output is that of the last step, or of the first: zeros where that is masked
        zeros = node.attributes.get("zero_output_for_mask")
        if reads_time and zeros and not node.attributes.get("return_sequences"):
            return graph
    trim = _trim_node(ids, trailing=True, limit=None)
    return replace(graph, nodes=(trim, *(_renamed(node, ids) for node in graph.nodes)))


def _skip_unmasked(graph: Graph, ids: str, stream: StreamingGraph, *, limit: int) -> Graph:
    """Start the recurrences over the ids at the states that `start` pads lead to."""
    if limit < 1:
        return graph
    if any(n.op in VECTOR_RECURRENCES and n.attributes.get("return_state") for n in graph.nodes):
        return graph
    tables = _trajectory(stream, ids, limit)
    trim = _trim_node(ids, trailing=False, limit=limit)
    nodes, weights = [trim], dict(graph.weights)
    for node in graph.nodes:
        initial = []
        # one that runs over other steps, such as those of a RepeatVector, starts at zero
        for name in [one.input for one in stream.states if one.node == node.name]:
            table = tables[name]
            weights[f"{name}.table"] = Tensor("F32", table.shape, table.tobytes())
            nodes.append(
                Node(
                    name=name,
                    op="PadState",
                    inputs=(trim.outputs[1], trim.output),
                    outputs=(name,),
                    shapes=((None, table.shape[1]),),
                    weights={"table": f"{name}.table"},
                    source=node.source,
                )
            )
            initial.append(name)
        renamed = _renamed(node, ids)
        nodes.append(replace(renamed, inputs=(*renamed.inputs, *initial)))
    return replace(graph, nodes=tuple(nodes), weights=weights)


def _trim_node(ids: str, *, trailing: bool, limit: int | None) -> Node:
    return Node(
        name="trim",
        op="TrimPadding",
        inputs=(ids,),
        outputs=("trim", "trim_start"),
        shapes=((None, None), ()),
        attributes={"trailing": trailing, "limit": limit},
    )


def _renamed(node: Node, ids: str) -> Node:
    return replace(node, inputs=tuple("trim" if name == ids else name for name in node.inputs))


def _trajectory(stream: StreamingGraph, ids: str, limit: int) -> dict[str, np.ndarray]:
    """Return each state after 0..limit pads, float32 [limit + 1, U], by name."""
    graph = _states_only(stream)
    seen = [{one.input: np.zeros((1, *one.shape)) for one in stream.states}]
    for _ in range(limit):
        feed: dict[str, Any] = {ids: np.zeros((1, 1), np.int32), **seen[-1]}
        values = run_graph(graph, feed, dtype=np.float64)
        seen.append({one.input: values[one.output] for one in stream.states})
    return {one.input: _table([step[one.input] for step in seen]) for one in stream.states}


def _states_only(stream: StreamingGraph) -> Graph:
    """Leave out what no state needs: it may not take a single timestep."""
    needed = {one.output for one in stream.states}
    nodes = []
    for node in reversed(stream.graph.nodes):
        if needed.intersection(node.outputs):
            nodes.append(node)
            needed.update(node.inputs)
    outputs = tuple(one.output for one in stream.states)
    return replace(stream.graph, nodes=tuple(reversed(nodes)), outputs=outputs)


def _table(rows: Sequence[np.ndarray]) -> np.ndarray:
    return np.concatenate(rows).astype("<f4")
