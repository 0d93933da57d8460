"""The magnitudes of a step's tensors, observed while the float file runs over calibration rows.

Not the choice of rows, which is in `gatelet.convert.rows.calibration`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from gatelet.convert.exporters.tflm.contract import written
from gatelet.convert.exporters.tflm.step import Array, StepWriter
from gatelet.convert.exporters.tflm.walk import write_step
from gatelet.runtime.backends.tflm import TflmBackend
from gatelet.runtime.graph.graph import Graph

_LOSS_ROWS = 16
_LOSSES = 8
"""How many are told: the worst."""


@dataclass(frozen=True)
class Observed:
    """What was seen.

    Args:
        ranges: The largest magnitude of each float tensor, by name.
        steps: How many timesteps were run.
    """

    ranges: dict[str, float]
    steps: int


def observe(graph: Graph, rows: Mapping[str, Array]) -> Observed:
    """Run rows through the float form of a step, nothing fused, and look at every tensor.

    Args:
        graph: The model.
        rows: By graph input, [N, T] or [N, T, F].
    """
    writer = StepWriter()
    data = written(graph, writer, write_step(graph, writer))
    watched = [one for one in writer.file.made if one.dtype == "float32" and one.data is None]
    largest = np.zeros(len(watched))
    steps = 0

    def look(interpreter: Any) -> None:
        nonlocal steps
        steps += 1
        for place, one in enumerate(watched):
            found = interpreter.GetTensor(one.index, 0)["tensor_data"]
            largest[place] = max(largest[place], float(np.abs(found).max()))

    TflmBackend(data, engine="", observe=look).run(rows)
    return Observed({one.name: float(x) for one, x in zip(watched, largest, strict=True)}, steps)


def losses(
    graph: Graph, rows: Mapping[str, Array], data: bytes, writer: StepWriter
) -> list[dict[str, Any]]:
    """Report which tensors of an integer file differ most from the float file's.

    Args:
        graph: The model.
        rows: Of calibration; a few of them are run.
        data: The integer file.
        writer: That wrote it.

    Returns:
        The worst first: tensor, the layer's name, and the root mean square of its difference,
        relative to that of its values.
    """
    some = {name: array[:: max(1, len(array) // _LOSS_ROWS)] for name, array in rows.items()}
    floats = StepWriter()
    float_data = written(graph, floats, write_step(graph, floats))
    scaled = {
        one.name: one for one in writer.file.made if one.dtype == "int16" and one.data is None
    }
    # the float file's states are as they were before the step, the fused operator's after it
    states = {one.name for one in floats.file.made if one.name.endswith(("_h", "_c"))}
    shared = [one for one in floats.file.made if one.name in scaled and one.name not in states]
    exact = _values(float_data, some, {one.name: one.index for one in shared})
    tables = {one.role: one.data for one in writer.tables.values()}
    found = _values(data, some, {one.name: scaled[one.name].index for one in shared}, tables)
    layers = {node.name: node.source or node.name for node in graph.nodes}
    entries: list[dict[str, Any]] = []
    for one in shared:
        scale = scaled[one.name].scale or 1.0
        error = np.concatenate(found[one.name]) * scale - np.concatenate(exact[one.name])
        size = float(np.sqrt(np.mean(np.concatenate(exact[one.name]) ** 2)))
        layer = next((layers[name] for name in layers if one.name.startswith(f"{name}_")), "")
        relative = float(np.sqrt(np.mean(error**2))) / size if size else 0.0
        entries.append({"tensor": one.name, "layer": layer, "relative_error": round(relative, 6)})
    return sorted(entries, key=lambda entry: -float(entry["relative_error"]))[:_LOSSES]


def _values(
    data: bytes,
    rows: Mapping[str, Array],
    watched: Mapping[str, int],
    tables: Mapping[str, bytes] = MappingProxyType({}),
) -> dict[str, list[Array]]:
    """Run rows and give all values of some tensors, by name."""
    seen: dict[str, list[Array]] = {name: [] for name in watched}

    def look(interpreter: Any) -> None:
        for name, index in watched.items():
            found = interpreter.GetTensor(index, 0)["tensor_data"]
            seen[name].append(np.asarray(found, np.float64).ravel())

    TflmBackend(data, engine="", tables=tables, observe=look).run(rows)
    return seen
