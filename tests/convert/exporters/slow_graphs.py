"""LSTM and GRU Graphs whose units have known time constants, and long signals for them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.passes.streaming import streaming_beside
from gatelet.convert.rows.calibration import Calibration
from gatelet.runtime.backends.c.backend import CBackend
from gatelet.runtime.backends.c.library import open_library
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.safetensors import Tensor
from tests.convert.exporters.c_builds import build
from tests.convert.exporters.onnx_graphs import GATES, GraphMaker

TAUS = (10.0, 100.0, 1000.0, 5000.0, 20000.0)
FEATURES = 2

Array = NDArray[Any]


def slow_graph(
    kind: str, units: int, seed: int, *, taus: Sequence[float] = TAUS, **settings: Any
) -> Graph:
    """Return a layer whose units have some time constants, in turn, and all its steps.

    Args:
        kind: 'gru'; or an LSTM: 'chrono', whose input gates are as small as 1 - f (Tallec &
            Ollivier 2018), 'small', whose candidates are, or 'counter', where neither is.
        units: U.
        seed: Of the weights.
        taus: The time constants.
        **settings: Attributes of the layer.
    """
    rng = np.random.default_rng(seed)
    op = "GRU" if kind == "gru" else "LSTM"
    gates, leak = GATES[op], 0 if kind == "gru" else 1
    tau = np.array(taus)[np.arange(units) % len(taus)]
    kernel = rng.normal(0, 0.5, (FEATURES, gates, units))
    recurrent = rng.normal(0, 0.5 / np.sqrt(units), (units, gates, units))
    bias = rng.normal(0, 0.1, (gates, units))
    kernel[:, leak] *= 0.6  # so that the time constants stay what they are called
    bias[leak] = np.log(tau - 1)
    if kind == "chrono":
        bias[0], bias[2] = -bias[1], rng.normal(0, 0.3, units)
    elif kind == "small":
        kernel[:, 2] *= 6 / tau
        recurrent[:, 2] *= 6 / tau
        bias[0], bias[2] = 0, rng.normal(0, 0.6, units) / tau
    elif kind == "counter":
        bias[0], bias[2] = 0, 0
    elif settings.get("reset_after", True):
        again = rng.normal(0, 0.1, (gates, units))
        again[0] = 0
        bias = np.stack([bias, again])
    maker = GraphMaker()
    x = maker.input("features", None, None, FEATURES)
    settings = {"return_sequences": True, **settings}
    outputs = maker.recurrence(op, [x], features=FEATURES, units=units, **settings)
    (node,) = maker.nodes
    given = {
        "kernel": kernel.reshape(FEATURES, -1),
        "recurrent_kernel": recurrent.reshape(units, -1),
        "bias": bias.reshape(2, -1) if bias.ndim == 3 else bias.reshape(-1),
    }
    return with_weights(maker.finish(*outputs), {node.weights[k]: v for k, v in given.items()})


def with_weights(graph: Graph, given: Mapping[str, Array]) -> Graph:
    """Return a Graph with other weights."""
    made = {name: Tensor("F32", a.shape, a.astype("<f4").tobytes()) for name, a in given.items()}
    return replace(graph, weights={**graph.weights, **made})


def signals(steps: int, seed: int) -> dict[str, Array]:
    """Return a constant, sines, noise and bursts, each float32 [1, steps, FEATURES]."""
    rng = np.random.default_rng(1000 + seed)
    t = np.arange(steps)
    bursts = np.zeros((steps, FEATURES))
    for start in range(0, steps, 20_000):
        bursts[start : start + int(rng.integers(1, 3000))] = rng.normal(0, 1.0, FEATURES)
    made = {
        "constant": np.full((steps, FEATURES), (0.7, -0.4)),
        "sines": np.stack([np.sin(2 * np.pi * t / 20011), np.cos(2 * np.pi * t / 7013)], 1),
        "noise": np.clip(rng.normal(0, 0.7, (steps, FEATURES)), -3, 3),
        "bursts": bursts,
    }
    return {name: one[None].astype(np.float32) for name, one in made.items()}


def model_of(graph: Graph, rows: Array) -> Exportable:
    """Return a Graph with rows of calibration, ready for export."""
    return Exportable(
        graph,
        graph,
        name="m",
        calibration=Calibration({"features": rows}, "test"),
        streaming=streaming_beside(graph, wanted=None),
    )


def in_integers(graph: Graph, rows: Array, folder: Path) -> tuple[CBackend, CBackend]:
    """Return c's full-int8 of a Graph, calibrated by some rows, and its `step`."""
    written, library = build(model_of(graph, rows), folder, scheme="full-int8")
    (folder / "w").write_bytes(written.weights)
    whole, steps = (
        CBackend(open_library(library, steps=one), folder / "w", engine="c")
        for one in (False, True)
    )
    return whole, steps
