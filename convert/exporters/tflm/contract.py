"""How a file's steps are fed: what it says of itself, for the loop on the device and on the host.

Not the loop: `gatelet.runtime.backends.tflm` has it, and docs/tflm.md describes the fields.
"""

import json
from typing import Any

import numpy as np

from gatelet.convert.exporters.tflm.step import StepWriter
from gatelet.convert.exporters.tflm.walk import Step
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.backends.tflm import CONTRACT, STATES_CONTRACT
from gatelet.runtime.graph.graph import Graph


def written(graph: Graph, writer: StepWriter, step: Step) -> bytes:
    """Return the file of a step, with how to feed it."""
    told = contract(graph, writer, step)
    name = STATES_CONTRACT if "states" in told else CONTRACT
    writer.file.add_metadata(name, json.dumps(told).encode())
    inputs, outputs = step.tensors
    return writer.file.finish(inputs, outputs, description="gatelet: one timestep a call")


def contract(graph: Graph, writer: StepWriter, step: Step) -> dict[str, Any]:
    """Say how steps are fed; docs/tflm.md describes the fields."""
    dtypes = {one.name: one.dtype for one in graph.inputs}
    outputs: list[dict[str, Any]] = []
    for (name, order), tensor in zip(step.outputs, step.tensors[1], strict=False):
        shape = graph.shape_of(name)[1 if order == "once" else 2 :]
        one = {"name": name, "order": order, "shape": list(shape), "scale": tensor.scale}
        outputs.append(one)
    states = [
        {"input": len(step.inputs) + place, "output": len(step.outputs) + place}
        | {"shape": list(given.shape), "dtype": given.dtype, "scale": given.scale}
        for place, (given, _) in enumerate(writer.states)
    ]
    return {
        "inputs": [
            {"name": name, "order": order, "dtype": dtypes[name]}
            | ({"table": writer.tables[table].facts} if table else {})
            for name, order, table in step.inputs
        ],
        "outputs": outputs,
        "skip": None if step.skip is None else {"input": step.skip.input, "value": step.skip.value},
        "empty": {} if step.skip is None else _empty(graph, step),
        **({"states": states} if states else {}),
    }


def _empty(graph: Graph, step: Step) -> dict[str, Any]:
    """Return the outputs of a row without a timestep that counts: the Graph's for a masked one."""
    assert step.skip is not None
    feed = {}
    for one in graph.inputs:
        value = step.skip.value if one.name == step.skip.input else 0
        shape = (1, *(size or 1 for size in one.shape[1:]))
        feed[one.name] = np.full(shape, value, one.dtype)
    found = ReferenceBackend(graph).run(feed)
    return {
        name: (found[name][0] if order == "once" else found[name][0, 0]).tolist()
        for name, order in step.outputs
    }
