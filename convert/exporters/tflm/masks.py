"""Which timesteps a file never runs: those that every recurrence masks alike.

Not the mask of any operator: the file has none.
"""

from dataclasses import dataclass

from gatelet.errors import ConversionError
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.operations import RECURRENCES


@dataclass(frozen=True)
class Skip:
    """Timesteps that are not run.

    Args:
        input: The graph input that tells.
        value: Those where it, or all of its features, is this.
    """

    input: str
    value: float


def skip_of(graph: Graph, timed: set[str]) -> Skip | None:
    """Return the rule by which timesteps are left out.

    Args:
        graph: The model.
        timed: The names of its values that have a time axis.

    Returns:
        None where no mask is used.

    Raises:
        ConversionError: Something would notice that they are left out; the message names it.
    """
    makers = {name: node for node in graph.nodes for name in node.outputs}
    rules: dict[Skip, Node] = {}
    for node in graph.nodes:
        if node.mask is not None:
            rule = _rule(node.mask, makers, node)
            if rule is not None:
                rules[rule] = node
    if not rules:
        return None
    if len(rules) > 1:
        node = list(rules.values())[1]
        raise _refusal(node, "has another mask than the layers before it")
    (rule,) = rules
    _check_recurrences(graph, makers)
    _check_outputs(graph, timed)
    if any(one.name not in timed for one in graph.inputs):
        raise ConversionError(
            "the model has a mask and an input without timesteps, which a tflm file cannot answer "
            "for a row that is all masked: use --target c, litert or onnx"
        )
    return rule


def _check_recurrences(graph: Graph, makers: dict[str, Node]) -> None:
    for node in graph.nodes:
        if node.op == "Reverse":
            raise _refusal(node, "reverses a sequence and leaves its mask as it was")
        if node.op not in RECURRENCES:
            continue
        if node.mask is None or _rule(node.mask, makers, node) is None:
            raise _refusal(node, "is not masked, though another layer is")
        if node.attributes.get("zero_output_for_mask") and not node.attributes["return_sequences"]:
            raise _refusal(node, "gives zeros where the last timestep is masked")


def _check_outputs(graph: Graph, timed: set[str]) -> None:
    """Refuse a sequence that is given out and is not the previous step's at a masked one."""
    held: set[str] = set()
    for node in graph.nodes:
        repeats = node.op in RECURRENCES and not node.attributes.get("zero_output_for_mask")
        if repeats or (node.op not in ("ApplyMask", "Reverse") and held.issuperset(node.inputs)):
            held.update(node.outputs)
    for name in graph.outputs:
        if name in timed and name not in held:
            node = next(node for node in graph.nodes if name in node.outputs)
            raise _refusal(node, "gives out what it computes at masked timesteps")


def _rule(mask: str, makers: dict[str, Node], user: Node) -> Skip | None:
    """Return what a mask stands for; None for one that is true everywhere."""
    node = makers.get(mask)
    if node is not None and node.inputs[0] not in makers:
        if node.op == "MaskIds":
            return Skip(node.inputs[0], 0.0)
        if node.op == "MaskFeatures":
            return Skip(node.inputs[0], float(node.attributes["mask_value"]))
    if node is not None and node.op == "MaskAll":
        return None
    if node is not None and node.op == "MaskAnd":
        found = {_rule(one, makers, user) for one in node.inputs} - {None}
        if len(found) <= 1:
            return found.pop() if found else None
    raise _refusal(user, "has a mask that is not made of one input alone")


def _refusal(node: Node, why: str) -> ConversionError:
    return ConversionError(
        f"layer '{node.source or node.name}' ({node.op}) {why}; a tflm file leaves masked "
        "timesteps out, which would change its scores: use --target c, litert or onnx",
        layer=node.source,
        op=node.op,
    )
