"""What a conversion of a Keras model would give, and what stands in its way, before any is made.

Not a conversion: nothing is exported and TensorFlow is not needed.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gatelet.convert.exporters.tflm.refusal import tflm_refusal
from gatelet.convert.lowering import LOWERINGS, lower
from gatelet.convert.reading import SourceModel
from gatelet.convert.reading.source import SourceLayer
from gatelet.convert.schemes import SCHEMES, TARGETS, Scheme
from gatelet.errors import GateletError
from gatelet.runtime.graph import Graph, Node

__all__ = ["Cost", "Lint", "Prospect", "cost_of", "lint"]

# what the exporters keep in float: smaller tensors gain no bytes worth their rounding
_SMALL_ELEMENTS = 1024
_FILE_BYTES = {"litert": 6_000, "onnx": 3_000, "tflm": 4_000}


@dataclass(frozen=True)
class Cost:
    """Multiply-accumulates of a model.

    Args:
        per_timestep: Done again at each timestep.
        per_row: Done once for a row.
    """

    per_timestep: int
    per_row: int


@dataclass(frozen=True)
class Prospect:
    """One artifact that could be made: about how many bytes it would have."""

    target: str
    scheme: str
    bytes: int


@dataclass(frozen=True)
class Lint:
    """What is known of a conversion before it is made.

    Args:
        graph: What the model would become; None where something stands in the way.
        cost: Of the Graph.
        prospects: Artifacts that could be made.
        obstacles: What stands in the way, a sentence each.
        notes: What should be known, a sentence each.
    """

    graph: Graph | None
    cost: Cost | None
    prospects: tuple[Prospect, ...]
    obstacles: tuple[str, ...]
    notes: tuple[str, ...]


def lint(model: SourceModel) -> Lint:
    """Say what a conversion would give.

    Args:
        model: As read from a file or a live model.

    Returns:
        The findings; this does not raise for a model that cannot be lowered.
    """
    notes = tuple(_notes(model))
    try:
        graph = lower(model)
    except GateletError as error:
        unknown = [
            f"layer '{layer.name}' ({layer.class_name}) cannot be lowered"
            for layer in _all_layers(model)
            if layer.class_name not in LOWERINGS and layer.class_name != "InputLayer"
        ]
        first = str(error)
        others = [text for text in unknown if not first.startswith(text)]
        return Lint(None, None, (), (first, *others), notes)
    prospects = tuple(
        Prospect(target, scheme, _FILE_BYTES[target] + _weight_bytes(graph, SCHEMES[scheme]))
        for target, schemes in TARGETS.items()
        for scheme in schemes
        if target in _FILE_BYTES
        if not SCHEMES[scheme].embeddings or any(node.op == "Embedding" for node in graph.nodes)
        if target != "tflm" or tflm_refusal(graph, SCHEMES[scheme]) is None
    )
    for_tflm = tflm_refusal(graph, SCHEMES["float32"])
    left_out = () if for_tflm is None else (f"no tflm file: {for_tflm}",)
    return Lint(graph, cost_of(graph), prospects, (), (*notes, *_graph_notes(graph), *left_out))


def cost_of(graph: Graph) -> Cost:
    """Count the multiply-accumulates of matrix products and convolutions.

    Args:
        graph: The model.

    Returns:
        The counts; a node counts by timestep where its output, or its loop, has a time axis.
    """
    per_timestep = per_row = 0
    for node in graph.nodes:
        count = _COUNTS.get(node.op)
        if count is None:
            continue
        shapes = {role: graph.weights[name].shape for role, name in node.weights.items()}
        times = count(node, shapes)
        if node.op in _LOOPS or (len(node.shape) > 2 and node.op != "Conv2D"):
            per_timestep += times
        else:
            per_row += times
    return Cost(per_timestep, per_row)


Shapes = Mapping[str, tuple[int, ...]]


def _matrices(node: Node, shapes: Shapes) -> int:
    return sum(math.prod(shape) for role, shape in shapes.items() if role.endswith("kernel"))


def _convolution(node: Node, shapes: Shapes) -> int:
    places = math.prod(size or 1 for size in node.shape[1:-1])
    return places * math.prod(shapes["kernel"])


def _convolution_in_time(node: Node, shapes: Shapes) -> int:
    places = math.prod(size or 1 for size in node.shape[-3:-1])
    return places * (math.prod(shapes["kernel"]) + math.prod(shapes["recurrent_kernel"]))


_LOOPS = ("ConvLSTM2D", "GRU", "LSTM", "SimpleRNN")
_COUNTS: dict[str, Callable[[Node, Shapes], int]] = {
    "Conv1D": _matrices,
    "Conv2D": _convolution,
    "ConvLSTM2D": _convolution_in_time,
    "Dense": _matrices,
    "GRU": _matrices,
    "LSTM": _matrices,
    "SimpleRNN": _matrices,
}


def _weight_bytes(graph: Graph, scheme: Scheme) -> int:
    embeddings = {n.weights["embeddings"] for n in graph.nodes if n.op == "Embedding"}
    total = 0
    for name, tensor in graph.weights.items():
        elements = math.prod(tensor.shape)
        stored = scheme.embedding_type if name in embeddings else scheme.weights
        if scheme.activations != "float32":
            total += elements if len(tensor.shape) > 1 else 8 * elements
            continue
        if stored == "int4":
            total += tensor.shape[0] * (1 + (tensor.shape[-1] + 1) // 2)
        elif stored == "int8" and elements >= _SMALL_ELEMENTS:
            scale_bytes = 2 * tensor.shape[0] if name in embeddings else 4 * tensor.shape[-1]
            total += elements + scale_bytes
        elif stored == "float16" and elements >= _SMALL_ELEMENTS:
            total += 2 * elements
        else:
            total += 4 * elements
    return total


def _all_layers(model: SourceModel) -> list[SourceLayer]:
    found: list[SourceLayer] = []
    for layer in model.layers.values():
        found.append(layer)
        for part in layer.parts.values():
            found += _all_layers(part) if isinstance(part, SourceModel) else [part]
    return found


def _notes(model: SourceModel) -> list[str]:
    found = [f"written by Keras {model.keras_version}"]
    for layer in _all_layers(model):
        if layer.config.get("stateful"):
            found.append(
                f"layer '{layer.name}' is stateful: each call of an artifact starts from zero, "
                "and a streaming file goes with it where the model can stream"
            )
        policy: Any = layer.config.get("dtype")
        name = policy.get("config", {}).get("name") if isinstance(policy, dict) else policy
        if isinstance(name, str) and "16" in name:
            found.append(f"layer '{layer.name}' has the policy {name}: it is computed in float32")
    return found


def _graph_notes(graph: Graph) -> list[str]:
    return [
        f"the input '{one.name}' takes exactly {one.shape[1]} timesteps: a layer needs them known"
        for one in graph.inputs
        if len(one.shape) > 1
        and one.shape[1] is not None
        and (one.dtype == "int32" or len(one.shape) > 2)
    ]
