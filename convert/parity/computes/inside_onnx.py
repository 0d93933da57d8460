"""What an ONNX file holds while it runs: each value of the Graph, and each recurrence's states.

Not the comparison, which is in `steps`. They are made further outputs of the same nodes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gatelet.convert.parity.computes.oracle import Seen
from gatelet.convert.parity.computes.roundings import Array
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.operations import VECTOR_RECURRENCES

_OPERATORS = ("LSTM", "GRU", "RNN", "DynamicQuantizeLSTM")
_ERRORS_ONLY = 3


@dataclass(frozen=True)
class OnnxInside:
    """An ONNX file that gives what it holds.

    Args:
        session: Of onnxruntime.
        inputs: The names of what it takes.
        values: The names of values of the Graph.
        operators: By recurrence, the output with its states at the timesteps that count.
        scans: By recurrence, the output with its states at all timesteps.
        graph: The Graph that the file was made from.
    """

    session: Any
    inputs: tuple[str, ...]
    values: tuple[str, ...]
    operators: Mapping[str, str]
    scans: Mapping[str, str]
    graph: Graph = field(repr=False)

    def look(self, feed: Mapping[str, Any]) -> tuple[dict[str, Array], Seen]:
        """Run rows.

        Args:
            feed: By input of the file.

        Returns:
            The Graph's inputs, and what the file held.
        """
        names = [*self.values, *self.operators.values(), *self.scans.values()]
        given = {name: feed[name] for name in self.inputs}
        made = dict(zip(names, self.session.run(names, given), strict=True))
        values = {name: made[name] for name in self.values}
        taken = {
            one.name: values[one.name] if one.name in values else np.asarray(feed[one.name])
            for one in self.graph.inputs
        }
        known = {**taken, **values}
        before = {}
        for node in self.graph.nodes:
            mask = known.get(node.mask) if node.mask else None
            start = known.get(node.inputs[1]) if node.inputs[1:] else None
            if node.inputs[1:] and start is None:
                continue
            if node.name in self.scans and (node.mask is None or mask is not None):
                before[node.name] = before_each(
                    made[self.scans[node.name]].swapaxes(0, 1), start, node
                )
            elif node.name in self.operators and (node.mask is None or mask is not None):
                after = made[self.operators[node.name]][:, 0].swapaxes(0, 1)
                if mask is not None:
                    after = _spread(after, mask, start, node)
                before[node.name] = before_each(after, start, node)
        return taken, Seen({n: a for n, a in values.items() if n not in taken}, before)


def open_inside(path: Path, graph: Graph) -> OnnxInside:
    """Open an ONNX file with further outputs.

    Args:
        path: The file.
        graph: What it was made from: the Graph that skips padding.

    Raises:
        ImportError: The onnx package is not installed.
    """
    import onnx
    import onnxruntime

    model = onnx.load(str(path))
    nodes = {node.name: node for node in graph.nodes if node.op in VECTOR_RECURRENCES}
    operators, scans = {}, {}
    for node in model.graph.node:
        name = node.name.rsplit(".", 1)[0]
        if name not in nodes:
            continue
        if node.op_type in _OPERATORS:
            if not node.output[0]:
                node.output[0] = f"{name}.all_states"
            operators[name] = node.output[0]
        elif node.op_type == "Scan":
            scans[name] = _scan_states(onnx, node, f"{name}.all_states")
    own = [one.name for one in model.graph.output]
    made = {name for node in model.graph.node for name in node.output}
    known = {one.name for one in graph.inputs} | {n for one in graph.nodes for n in one.outputs}
    values = tuple(sorted(known & made))
    for name in {*values, *operators.values(), *scans.values()}.difference(own):
        model.graph.output.append(onnx.ValueInfoProto(name=name))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    inputs = tuple(one.name for one in session.get_inputs())
    return OnnxInside(session, inputs, values, operators, scans, graph)


def _scan_states(onnx: Any, node: Any, name: str) -> str:
    """Let a Scan give its first state after each timestep; return the output's name."""
    settings = {one.name: one for one in node.attribute}
    body = settings["body"].g
    copy = f"{name}.copy"
    body.node.append(onnx.helper.make_node("Identity", [body.output[0].name], [copy]))
    one = onnx.ValueInfoProto()
    one.CopyFrom(body.output[0])
    one.name = copy
    body.output.append(one)
    node.output.append(name)
    backwards = settings["scan_input_directions"].ints[0]
    if "scan_output_directions" in settings:
        settings["scan_output_directions"].ints.append(backwards)
    else:
        node.attribute.append(onnx.helper.make_attribute("scan_output_directions", [backwards]))
    return name


def _spread(after: Array, mask: Array, start: Array | None, node: Node) -> Array:
    """Put states at the timesteps that count where they belong; others keep the one before.

    Args:
        after: [B, longest, U], the timesteps that count in front.
        mask: [B, T].
        start: [B, U]; None for zeros.
        node: The recurrence.
    """
    first = np.zeros_like(after[:, 0]) if start is None else start
    found = np.repeat(first[:, None], mask.shape[1], axis=1)
    for row, counts in enumerate(mask):
        held, places = first[row], np.flatnonzero(counts)
        order = {int(t): after[row, index] for index, t in enumerate(places)}
        steps = range(mask.shape[1])
        for t in reversed(steps) if node.attributes.get("go_backwards") else steps:
            held = order.get(t, held)
            found[row, t] = held
    return np.asarray(found)


def before_each(after: Array, start: Array | None, node: Node) -> Array:
    """Return the states before each timestep, [B, T, U], of those after it."""
    first = (np.zeros_like(after[:, 0]) if start is None else start)[:, None]
    if node.attributes.get("go_backwards"):
        return np.concatenate([after[:, 1:], first], axis=1)
    return np.concatenate([first, after[:, :-1]], axis=1)
