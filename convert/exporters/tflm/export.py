"""Exports a Graph to a file of TensorFlow Lite for Microcontrollers that takes a timestep a call.

Not a converter of TensorFlow's: the file is written from the Graph. See
docs/decisions/0011-tflm-writer.md.
"""

import json
from importlib.util import find_spec
from typing import Any

from gatelet.convert.exporters.exported import Exportable, Exported
from gatelet.convert.exporters.identity import identity_of
from gatelet.convert.exporters.tflm.arena import arena_bytes
from gatelet.convert.exporters.tflm.companions import companions, table_companions
from gatelet.convert.exporters.tflm.contract import contract, written
from gatelet.convert.exporters.tflm.long_streams import long_stream_refusal
from gatelet.convert.exporters.tflm.observe import losses, observe
from gatelet.convert.exporters.tflm.recurrent import can_fuse, check_bounded
from gatelet.convert.exporters.tflm.slow_units import slow_unit_refusal
from gatelet.convert.exporters.tflm.step import StepWriter
from gatelet.convert.exporters.tflm.walk import write_step
from gatelet.convert.rows.calibration import Calibration
from gatelet.convert.schemes import Scheme
from gatelet.errors import ConversionError, Refused
from gatelet.runtime.graph.graph import Graph, Node


def export_tflm(model: Exportable, scheme: Scheme) -> Exported:
    """Export a model.

    Args:
        model: Its plain Graph: padding that is not masked is run, step by step.
        scheme: One of those that `TARGETS` lists for tflm.

    Raises:
        ConversionError: The Graph needs several timesteps at once; the message names the layer.
        Refused: Its integers would get a long stream wrong.
    """
    if find_spec("tflite_micro") is None:
        raise ConversionError(
            "the target tflm needs the package tflite-micro, which x86-64 Linux has: "
            "pip install 'gatelet[tflm]'"
        )
    graph = model.graph
    facts: dict[str, Any] = {}
    if scheme.activations == "float32":
        writer = StepWriter(fused=fused_of(graph), outside=scheme.outside)
    else:
        for node in graph.nodes:
            check_bounded(node)
        if model.calibration is None:
            raise ConversionError(f"the scheme {scheme.name} needs calibration rows")
        observed = observe(graph, model.calibration.rows)
        writer = StepWriter(ranges=observed.ranges, outside=scheme.outside)
        why = slow_unit_refusal(graph, writer, _timesteps(model.calibration))
        if why:
            raise Refused(f"tflm {scheme.name}: {why}", target="tflm")
        facts["calibration"] = {**model.calibration.facts, "steps": observed.steps}
    step = write_step(graph, writer)
    identity = identity_of(model, "tflm", scheme)
    writer.file.add_metadata("gatelet.json", json.dumps(identity).encode())
    data = written(graph, writer, step)
    if model.calibration is not None and writer.integers:
        why = long_stream_refusal(graph, model.calibration.rows, data, writer)
        if why:
            raise Refused(f"tflm {scheme.name}: {why}", target="tflm")
        facts["calibration"]["losses"] = losses(graph, model.calibration.rows, data, writer)
    facts["steps"] = contract(graph, writer, step)
    facts["arena_bytes"] = arena_bytes(data, inputs=len(step.tensors[0]))
    facts["resource_variables"] = sum(one.dtype == "resource" for one in writer.file.made)
    beside = (
        *companions(data, writer.file.ops, facts, name=model.name, scheme=scheme.name),
        *table_companions(tuple(writer.tables.values()), scheme=scheme.name),
    )
    return Exported(data, writer.file.ops, facts=facts, companions=beside)


def _timesteps(calibration: Calibration) -> int:
    return max(int(array.shape[1]) for array in calibration.rows.values() if array.ndim > 1)


def fused_of(graph: Graph) -> frozenset[str]:
    """Name the nodes that become the fused operator, in floats."""
    return frozenset(node.name for node in graph.nodes if _is_fused(node))


def _is_fused(node: Node) -> bool:
    """Return whether an LSTM becomes the fused operator: it is a plain one, and gives no states."""
    return can_fuse(node) and len(node.outputs) == 1
