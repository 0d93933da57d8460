"""Builds small Graphs with seeded weights, and holds their ONNX files against the reference."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from gatelet.convert.exporters.exported import Exported
from gatelet.convert.exporters.onnx import export_onnx
from gatelet.convert.parity.checks.scores import difference
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.graph.graph import Graph, GraphInput, Node, Shape
from gatelet.runtime.graph.safetensors import Tensor

Array = NDArray[Any]

FLOOR = 1e-5
FACTOR = 4
"""Of the distance that float32 itself makes."""

SIZES = ((1, 1), (1, 9), (7, 5), (64, 3))
"""(B, T): one session takes them all."""

MASKS = ("pre", "post", "inner", "none", "all")

GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1, "ConvLSTM2D": 4}


class GraphMaker:
    """Collects a Graph; `scale` is the standard deviation of its weights."""

    def __init__(self, *, seed: int = 0, scale: float = 0.7) -> None:
        self.generator = np.random.default_rng(seed)
        self.scale = scale
        self.inputs: list[GraphInput] = []
        self.nodes: list[Node] = []
        self.weights: dict[str, Tensor] = {}

    def input(self, name: str, *shape: int | None, vocabulary: int | None = None) -> str:
        dtype = "int32" if name.startswith("ids") else "float32"
        self.inputs.append(GraphInput(name, dtype, shape, vocabulary))
        return name

    def weight(self, *shape: int) -> Array:
        return (self.generator.normal(size=shape) * self.scale).astype(np.float32)

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        *shapes: Shape,
        weights: Mapping[str, Array] | None = None,
        mask: str | None = None,
        **attributes: Any,
    ) -> tuple[str, ...]:
        name = f"n{len(self.nodes)}_{op.lower()}"
        stored = {}
        for role, array in (weights or {}).items():
            stored[role] = f"{name}.{role}"
            self.weights[stored[role]] = Tensor("F32", array.shape, array.tobytes())
        outputs = (name, *(f"{name}_{i}" for i in range(1, len(shapes))))
        self.nodes.append(Node(name, op, tuple(inputs), outputs, shapes, stored, attributes, mask))
        return outputs

    def one(self, op: str, inputs: Sequence[str], shape: Shape, **settings: Any) -> str:
        return self.node(op, inputs, shape, **settings)[0]

    def recurrence(
        self,
        op: str,
        inputs: Sequence[str],
        *,
        features: int,
        units: int,
        use_bias: bool = True,
        mask: str | None = None,
        **settings: Any,
    ) -> tuple[str, ...]:
        """Append an LSTM, GRU or SimpleRNN, with Keras' defaults for what is not given."""
        gates = GATES[op]
        weights = {
            "kernel": self.weight(features, gates * units),
            "recurrent_kernel": self.weight(units, gates * units),
        }
        attributes: dict[str, Any] = {"activation": "tanh", "return_sequences": False}
        if op != "SimpleRNN":
            attributes["recurrent_activation"] = "sigmoid"
        if op == "GRU":
            attributes["reset_after"] = True
        attributes |= settings
        if use_bias:
            two = (2,) if attributes.get("reset_after") else ()
            weights["bias"] = self.weight(*two, gates * units)
        y: Shape = (None, None, units) if attributes["return_sequences"] else (None, units)
        states = (2 if op == "LSTM" else 1) if attributes.get("return_state") else 0
        shapes = (y, *[(None, units)] * states)
        return self.node(op, inputs, *shapes, weights=weights, mask=mask, **attributes)

    def finish(self, *outputs: str) -> Graph:
        return Graph(tuple(self.inputs), tuple(self.nodes), outputs, self.weights)


class Compared:
    """A Graph and its ONNX file."""

    def __init__(self, graph: Graph, *, scheme: str = "float32") -> None:
        self.graph = graph
        self.exported: Exported = export_onnx(graph, SCHEMES[scheme])

    @cached_property
    def session(self) -> Any:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        return onnxruntime.InferenceSession(
            self.exported.data, options, providers=["CPUExecutionProvider"]
        )

    @cached_property
    def model(self) -> Any:
        return onnx.load_model_from_string(self.exported.data)

    @property
    def ops(self) -> tuple[str, ...]:
        return self.exported.ops

    def run(self, feeds: Mapping[str, Array]) -> dict[str, Array]:
        found = self.session.run(list(self.graph.outputs), dict(feeds))
        return dict(zip(self.graph.outputs, found, strict=True))

    def excess(self, feeds: Mapping[str, Array], *, floor: float = FLOOR) -> float:
        """Return the largest difference from the reference as a multiple of the limit."""
        exact = ReferenceBackend(self.graph, dtype=np.float64).run(feeds)
        single = ReferenceBackend(self.graph).run(feeds)
        found = self.run(feeds)
        worst = 0.0
        for name in self.graph.outputs:
            assert found[name].shape == exact[name].shape, name
            assert found[name].dtype == np.float32, name
            if not exact[name].size:
                continue
            limit = max(floor, FACTOR * difference(single[name], exact[name]).max())
            worst = max(worst, float(difference(found[name], exact[name]).max() / limit))
        return worst


def mask_of(kind: str, B: int, T: int, *, seed: int = 0) -> Array:
    """Return a mask [B, T]; rows have different numbers of real timesteps."""
    if kind == "none":
        return np.ones((B, T), bool)
    if kind == "all":
        return np.zeros((B, T), bool)
    counts = np.arange(B)[:, None] % (T + 1)
    time = np.arange(T)[None]
    if kind == "pre":
        return np.asarray(time >= counts)
    if kind == "post":
        return np.asarray(time < T - counts)
    return np.asarray(np.random.default_rng(seed + B + T).random((B, T)) < 0.6)
