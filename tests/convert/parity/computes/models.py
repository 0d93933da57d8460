"""Small models, large enough that schemes round their weights, and what asks their artifacts.

Not tests. No Keras is needed.
"""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np

from gatelet.convert.exporters.exported import Exportable, Exported
from gatelet.convert.parity.case import Case
from gatelet.convert.parity.computes import check_computes
from gatelet.convert.parity.oracles.oracle import Oracle
from gatelet.convert.parity.report import Check
from gatelet.convert.passes import skip_padding
from gatelet.convert.rows.drawn import random_inputs
from gatelet.convert.rows.rows import Rows
from gatelet.convert.schemes import revision_of
from gatelet.errors import ModelError
from gatelet.runtime.backends.backend import open_backend
from gatelet.runtime.bundle.opening import Artifact
from gatelet.runtime.graph.graph import Graph, GraphInput, Node, Shape
from gatelet.runtime.graph.safetensors import Tensor
from gatelet.runtime.graph.states import parse_states
from gatelet.runtime.graph.streaming import StreamingGraph, to_stream
from gatelet.runtime.predictor.predictor import Predictor

VOCABULARY, FEATURES, UNITS, T = 60, 24, 20, 12
SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "LSTM": {"activation": "tanh", "recurrent_activation": "sigmoid"},
    "GRU": {"activation": "tanh", "recurrent_activation": "sigmoid", "reset_after": True},
    "SimpleRNN": {"activation": "tanh"},
}
GATES = {"LSTM": 4, "GRU": 3, "SimpleRNN": 1}


def model(
    cells: Sequence[str] = ("LSTM",), *, features: bool = False, backwards: bool = False
) -> Graph:
    """Return a Graph of an Embedding, recurrences, two Dense layers and a sigmoid.

    Args:
        cells: The recurrences, one behind the other.
        features: It takes features in the place of ids.
        backwards: The last recurrence runs backwards.
    """
    rng = np.random.default_rng(5)
    weights: dict[str, Tensor] = {}

    def made(op: str, name: str, source: str, shape: Shape, **more: Any) -> Node:
        roles = {role: f"{name}.{role}" for role in more.pop("roles", {})}
        return Node(name, op, (source,), (name,), (shape,), roles, more, source=name)

    def tensors(name: str, **shapes: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        for role, shape in shapes.items():
            values = rng.normal(0, 0.4, shape).astype("<f4")
            weights[f"{name}.{role}"] = Tensor("F32", shape, values.tobytes())
        return shapes

    nodes, before, width = [], "features" if features else "ids", FEATURES
    if not features:
        roles = tensors("embedding", embeddings=(VOCABULARY, FEATURES))
        nodes.append(made("Embedding", "embedding", before, (None, None, FEATURES), roles=roles))
        before = "embedding"
    for index, cell in enumerate(cells):
        name, columns = f"cell_{index}", GATES[cell] * UNITS
        bias = (2, columns) if cell == "GRU" else (columns,)
        kernels = {"kernel": (width, columns), "recurrent_kernel": (UNITS, columns), "bias": bias}
        is_last = index == len(cells) - 1
        more: dict[str, Any] = {
            **SETTINGS[cell],
            "return_sequences": not is_last,
            "return_state": False,
            "go_backwards": backwards and is_last,
            "zero_output_for_mask": False,
        }
        shape: Shape = (None, UNITS) if is_last else (None, None, UNITS)
        nodes.append(made(cell, name, before, shape, roles=tensors(name, **kernels), **more))
        before, width = name, UNITS
    for name, units in (("hidden", 64), ("last", 2)):
        roles = tensors(name, kernel=(width, units), bias=(units,))
        nodes.append(made("Dense", name, before, (None, units), roles=roles))
        before, width = name, units
    nodes.append(made("Activation", "scores", before, (None, 2), activation="sigmoid"))
    taken = (
        GraphInput("features", "float32", (None, None, FEATURES))
        if features
        else GraphInput("ids", "int32", (None, None), VOCABULARY)
    )
    return Graph((taken,), tuple(nodes), ("scores",), weights)


def exportable(graph: Graph) -> Exportable:
    """Return what exporters take, with padding skipped and a streaming form."""
    streaming: StreamingGraph | None = None
    with suppress(ModelError):
        streaming = to_stream(graph)
    skipping = skip_padding(graph, timesteps=T)
    return Exportable(graph, skipping, name="m", streaming=streaming)


def ask(
    graph: Graph,
    target: str,
    scheme: str,
    exported: Exported,
    folder: Path,
    *,
    revision: int | None = None,
) -> tuple[Check, ...]:
    """Write an artifact to an empty folder and ask whether it computes what its scheme says."""
    (folder / "file").write_bytes(exported.data)
    beside = {}
    for one in exported.companions:
        beside[one.role] = one.role.replace(":", "-") + one.suffix
        (folder / beside[one.role]).write_bytes(one.data)
    entry: dict[str, Any] = {"target": target, "scheme": scheme, **exported.facts}
    artifact = SimpleNamespace(
        target=target,
        scheme=scheme,
        path="file",
        companions=beside,
        entry=json.loads(json.dumps(entry, default=np.ndarray.tolist)),  # as from a file
        states=parse_states(entry),
        revision=revision or revision_of(target, scheme),
    )
    paths = {role: folder / name for role, name in beside.items()}
    backend = open_backend(target, folder / "file", companions=paths)

    def scores(given: Any) -> Any:
        rows = {graph.inputs[0].name: given}
        size = exported.max_batch or len(given)
        parts = [
            backend.run({name: one[at : at + size] for name, one in rows.items()})["scores"]
            for at in range(0, len(given), size)
        ]
        return np.concatenate(parts)

    rows = Rows({one.name: random_inputs(one, timesteps=T, rows=24) for one in graph.inputs})
    case = SimpleNamespace(
        bundle=SimpleNamespace(path=folder),
        graph=graph,
        oracle=Oracle.of(graph, rows),
        golden=None,
    )
    predictor = SimpleNamespace(scores=scores, takes_texts=False)
    return check_computes(cast(Case, case), cast(Artifact, artifact), cast(Predictor, predictor))
