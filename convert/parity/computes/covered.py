"""Whether anybody saw each kernel that an artifact keeps as floats.

Whole sequences may be off by what rounding costs, and a wrong kernel of floats hides in that. So
each is read from the file, or the steps that it takes part in are followed.
"""

from collections.abc import Iterator, Sequence

from gatelet.convert.parity.computes.check import QUESTION, STEPS
from gatelet.convert.parity.computes.inside_litert import XNNPACK
from gatelet.convert.parity.computes.roundings import as_stored, float16
from gatelet.convert.parity.computes.table import facts_of, forms_of, parts_of, uses_of
from gatelet.convert.parity.report import Check
from gatelet.convert.parity.stored.match import StoredWeight
from gatelet.convert.schemes import SCHEMES, Scheme, is_of_today
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.bundle.opening import Artifact
from gatelet.runtime.graph.graph import Graph

_NAMED = 3


def check_covered(
    graph: Graph,
    artifact: Artifact,
    format_name: str,
    *,
    weights: Sequence[StoredWeight] | None,
    computes: Sequence[Check],
) -> tuple[Check, ...]:
    """Leave an artifact undecided where a kernel of floats was neither read nor followed.

    Args:
        graph: The model.
        artifact: Today's exporter made it, or nothing is asked.
        format_name: The target whose files are as its own.
        weights: As the file was found to hold them; None where it could not be looked into.
        computes: What the oracle of its scheme found: its steps run through every kernel.
    """
    scheme = SCHEMES.get(artifact.scheme)
    if scheme is None or scheme.activations != "float32" or not is_of_today(artifact):
        return ()
    if any(one.by == STEPS for one in computes):
        return ()
    if weights is None and scheme == SCHEMES["float32"]:
        return ()  # on a device, say, which has no reader: all its scores were within float32's own
    read = {one.weight for one in weights or () if one.found is not None}
    unseen = [one.where for one in _kernels(graph, format_name, scheme) if one.weight not in read]
    if not unseen:
        return ()
    named = ", ".join(unseen[:_NAMED])
    named += f" and {len(unseen) - _NAMED} more" if len(unseen) > _NAMED else ""
    note = f"neither read from the file nor followed step by step: {named}"
    unread = float(len(unseen))
    return (
        Check(
            "kernels_seen", unread, 0.0, "undecided", unit="tensors", note=note, question=QUESTION
        ),
    )


def _kernels(graph: Graph, format_name: str, scheme: Scheme) -> Iterator[StoredWeight]:
    """Return the kernels of which a file keeps columns as floats; of zeros nothing need be kept."""
    facts = facts_of(graph, format_name, scheme)
    for node in graph.nodes:
        for role, use in uses_of(graph, node, format_name, scheme, facts).items():
            stored = {forms_of(format_name, XNNPACK, part)[0].stored for _, part in parts_of(use)}
            weight = node.weights[role]
            is_float = not stored.isdisjoint((as_stored, float16))
            if role.endswith("kernel") and is_float and array_of(graph.weights[weight]).any():
                yield StoredWeight(node, role, weight, None)
