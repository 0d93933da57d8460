"""Which models can take a sequence in pieces, and why others cannot: one rule an operation.

Not the making of the streaming form: see `gatelet.runtime.graph.streaming`.

Every value is of one kind: STEPS has the input's time axis as axis 1; MERGED has a row for each
of its timesteps; SUMMARY is what is known after the steps so far; CONSTANT does not depend on the
sequence. An operation that looks at several timesteps at once is refused.
"""

import math
from collections.abc import Callable, Mapping

from gatelet.errors import ModelError
from gatelet.runtime.graph.graph import Graph, GraphInput, Node
from gatelet.runtime.graph.operations import BY_AXES, EACH_STEP, OPERATIONS, RECURRENT

STEPS, MERGED, SUMMARY, CONSTANT = "steps", "merged", "summary", "constant"

Kinds = Mapping[str, str]


def follow_steps(graph: Graph) -> Kinds:
    """Follow the input's timesteps through a model.

    Args:
        graph: The model.

    Returns:
        The kind of every value.

    Raises:
        ModelError: An operation needs timesteps that have not come yet, or that are gone; the
            message names the layer.
    """
    kinds = {one.name: STEPS if has_time(one) else CONSTANT for one in graph.inputs}
    for node in graph.nodes:
        kind = _kind_of(node, kinds, graph)
        others = SUMMARY if kind == STEPS else kind  # the last states of a recurrence
        kinds.update(dict.fromkeys(node.outputs, others))
        kinds[node.output] = kind
    return kinds


def has_time(one: GraphInput) -> bool:
    """Return whether an input is a sequence: ids, or features with a time axis."""
    return one.dtype == "int32" or len(one.shape) > 2


def _kind_of(node: Node, kinds: Kinds, graph: Graph) -> str:
    taken = [kinds[name] for name in node.inputs]
    if STEPS in taken:
        return _rule_of(node)(node, kinds, graph)
    if node.mask is not None and kinds[node.mask] == STEPS:
        raise _refused(node, "is masked by timesteps that it does not have")
    if MERGED in taken:
        if set(taken) != {MERGED}:
            raise _refused(node, "joins each timestep with something that is none")
        return MERGED
    return SUMMARY if SUMMARY in taken else CONSTANT


def _rule_of(node: Node) -> "_Rule":
    """Return what to do with an operation on a sequence: a rule of its own, or of its kind."""
    known = OPERATIONS.get(node.op)
    if known is None or known.time not in BY_TIME:
        raise _refused(node, "reads several timesteps at once")
    if node.op in BY_NAME:
        return BY_NAME[node.op]
    return _each_step if known.broadcasts else BY_TIME[known.time]


def _each_step(node: Node, kinds: Kinds, graph: Graph) -> str:
    """Every timestep by itself; what is beside the sequence must not change with it."""
    rank = len(graph.shape_of(node.inputs[0]))
    for name in node.inputs:
        if kinds[name] == STEPS:
            continue
        shape = graph.shape_of(name)
        if kinds[name] != CONSTANT or len(shape) != rank or shape[1] != 1:
            raise _refused(node, "joins each timestep with what is known only after the last")
    return STEPS


def _steps_only(node: Node, kinds: Kinds, graph: Graph) -> str:
    """Every timestep by itself, of sequences only."""
    given = [*node.inputs, *([node.mask] if node.mask else [])]
    if any(kinds[name] != STEPS for name in given):
        raise _refused(node, "joins each timestep with something that is none")
    return STEPS


def _other_axes(node: Node, kinds: Kinds, graph: Graph) -> str:
    """Every timestep by itself, unless an axis, or one of a weight, is that of time."""
    rank = len(graph.shape_of(node.inputs[0]))
    for role, name in node.weights.items():
        shape = graph.weights[name].shape  # all but a kernel's is broadcast over the input's
        if role != "kernel" and len(shape) >= rank - 1 and shape[1 - rank] != 1:
            raise _refused(node, "has weights for each timestep")
    axes = [node.attributes.get("axis", -1), *node.attributes.get("axes", ())]
    if any(axis in (1, 1 - rank) for axis in axes):
        raise _refused(node, "works along the time axis")
    return _steps_only(node, kinds, graph)


def _other_reduced_axes(node: Node, kinds: Kinds, graph: Graph) -> str:
    if any(
        axis in (1, 1 - len(graph.shape_of(node.inputs[0]))) for axis in node.attributes["axes"]
    ):
        raise _refused(node, "reads all timesteps at once")
    return STEPS


def _reshape(node: Node, kinds: Kinds, graph: Graph) -> str:
    before, after = graph.shape_of(node.inputs[0])[2:], node.shape[2:]
    known = [size for size in (*before, *after) if size is not None]
    if len(node.shape) < 3 or len(known) < len(before) + len(after):
        raise _refused(node, "mixes timesteps")
    # where a timestep has as many values as before, none of them changes its timestep
    if math.prod(known[: len(before)]) != math.prod(known[len(before) :]):
        raise _refused(node, "mixes timesteps")
    return STEPS


def _transpose(node: Node, kinds: Kinds, graph: Graph) -> str:
    if node.attributes["perm"][1] != 1:
        raise _refused(node, "moves the time axis")
    return STEPS


def _merge_time(node: Node, kinds: Kinds, graph: Graph) -> str:
    return MERGED


def _split_time(node: Node, kinds: Kinds, graph: Graph) -> str:
    if kinds[node.inputs[0]] != MERGED:
        raise _refused(node, "joins each timestep with something that is none")
    return STEPS


def _recurrence(node: Node, kinds: Kinds, graph: Graph) -> str:
    if node.attributes.get("go_backwards"):
        raise _refused(node, "runs backwards, from the end of the sequence")
    if len(node.inputs) > 1:
        raise _refused(node, "starts from states that the model computes")
    if node.mask is not None and kinds[node.mask] != STEPS:
        raise _refused(node, "is masked by something that has no timesteps")
    return STEPS if node.attributes["return_sequences"] else SUMMARY


def _refused(node: Node, why: str) -> ModelError:
    return ModelError(
        f"layer '{node.source or node.name}' ({node.op}) {why}", layer=node.source, op=node.op
    )


_Rule = Callable[[Node, Kinds, Graph], str]
BY_TIME: dict[str, _Rule] = {
    RECURRENT: _recurrence,
    EACH_STEP: _steps_only,
    BY_AXES: _other_axes,
}
BY_NAME: dict[str, _Rule] = {
    "ReduceMax": _other_reduced_axes,
    "ReduceMean": _other_reduced_axes,
    "Reshape": _reshape,
    "Transpose": _transpose,
    "MergeTime": _merge_time,
    "SplitTime": _split_time,
}
"""What an operation on a sequence gives; the others look at several timesteps at once."""
