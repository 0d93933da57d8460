"""Which units of a stream the integers of TensorFlow Lite for Microcontrollers get wrong.

Its kernels round a state to 16 bits at each step, with gates of 15 bits, and cut a cell off where
its range ends. So a unit that forgets slowly stops moving where a step is less than half a unit,
and one that goes on adding is cut off: told from the weights, since calibration is too short.
"""

import math
from collections.abc import Iterator
from reprlib import repr as show

from gatelet.convert.exporters.tflm.step import HEADROOM, StepWriter
from gatelet.convert.exporters.time_constants import LEAKS, slow, time_constants
from gatelet.runtime.graph.graph import Graph, Node

LIMIT = 0.01
"""Of what a state was seen to reach: how far from it a unit may stop."""
_GATE_STEP = 2.0**-15


def slow_unit_refusal(graph: Graph, writer: StepWriter, timesteps: int) -> str:
    """Say which unit of a stream integers get wrong; '' where nothing is known against them.

    Args:
        graph: The model.
        writer: With the ranges that calibration saw.
        timesteps: Of its rows.
    """
    for node in graph.nodes:
        if node.op not in LEAKS or node.attributes.get("go_backwards"):
            continue
        why = next(_reasons(graph, node, writer, timesteps), "")
        if why:
            return f"layer {show(node.source or node.name)}: {why}: use --target c, or float32"
    return ""


def _reasons(graph: Graph, node: Node, writer: StepWriter, timesteps: int) -> Iterator[str]:
    constants = time_constants(graph, node)
    unit = int(constants.argmax())
    t = float(constants[unit])
    if not slow(constants, timesteps)[unit]:
        return
    has = f"unit {unit} has a time constant of {t:,.0f} steps"
    assert writer.ranges is not None
    state = "next" if node.op == "LSTM" else "y"
    seen = max(writer.ranges[f"{node.name}_{state}"], 1e-9)
    step = writer.scale_of(f"{node.name}_{state}") or 0.0
    # half a step of the gate changes the constant, and less than half a step of the state is lost
    off = max(t * _GATE_STEP / 2, t * step / 2 / seen)
    if off > LIMIT:
        yield f"{has}; its 16 bits stop up to {off:.1%} from where it goes (limit {LIMIT:.0%})"
    reach = 1.0 / -math.expm1(-timesteps / t)
    if node.op == "LSTM" and reach > HEADROOM:
        yield (
            f"{has}; its cell may reach {reach:.1f} times what {timesteps:,} steps of calibration "
            f"showed (limit {HEADROOM:.1f})"
        )
