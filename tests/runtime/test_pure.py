"""The pure backend: what the reference gives, from the standard library alone.

The models of the conformance matrix are in tests/conformance.
"""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.errors import BundleError, ModelError
from gatelet.runtime import load, open_bundle
from gatelet.runtime.backends import reference
from gatelet.runtime.backends.pure import PureBackend
from gatelet.runtime.backends.pure.array import Array, Weight, expand
from gatelet.runtime.graph.graph import Graph, GraphInput, Node
from gatelet.runtime.graph.safetensors import Tensor

INF, NAN = math.inf, math.nan
VALUES = [
    -INF,
    -1e30,
    -800.0,
    -7.5,
    -3.0,
    -1.0,
    -0.5,
    -0.2,
    0.0,
    0.2,
    0.5,
    1.0,
    3.0,
    800.0,
    INF,
    NAN,
]
PARAMETERS: dict[str, list[dict[str, Any]]] = {
    "relu": [{"max_value": 6.0}, {"negative_slope": 0.1, "threshold": 0.3}],
    "threshold": [{"threshold": 0.4, "default_value": -2.0}],
    "gelu": [{}, {"approximate": True}],
    "elu": [{}, {"alpha": 0.3}],
    "celu": [{}, {"alpha": 0.3}],
    "softmax": [{}, {"axis": -2}],
    "log_softmax": [{"axis": -2}],
    "glu": [{}, {"axis": -2}],
    "sparsemax": [{}, {"axis": -2}],
}


def one_node(
    op: str,
    shape: tuple[int | None, ...],
    *,
    made: tuple[int | None, ...] | None = None,
    **settings: Any,
) -> Graph:
    taken = GraphInput("features", "float32", shape)
    node = Node("node", op, ("features",), ("y",), (made or shape,), **settings)
    return Graph((taken,), (node,), ("y",), {})


def both(graph: Graph, x: Any) -> tuple[Any, Any]:
    given = np.asarray(x, np.float32)
    expected = reference.run_graph(graph, {"features": given}, dtype=np.float64)["y"]
    return np.asarray(PureBackend(graph).run({"features": given})["y"]), expected


@pytest.mark.parametrize("name", reference.ACTIVATIONS)
def test_activations_at_every_kind_of_number(name: str) -> None:
    rows = np.array([VALUES, VALUES[::-1]] if name not in ("sparsemax",) else [VALUES[1:-2]] * 2)
    for parameters in PARAMETERS.get(name, [{}]):
        attributes = {"activation": name, **parameters}
        shape = (None, rows.shape[1])
        graph = one_node("Activation", shape, made=(None, None), attributes=attributes)
        found, expected = both(graph, rows)
        with np.errstate(over="ignore"):
            assert np.allclose(
                found, expected.astype(np.float32), rtol=1e-6, atol=1e-7, equal_nan=True
            )


def test_softmax_of_finite_numbers_does_not_overflow() -> None:
    graph = one_node("Activation", (None, 3), attributes={"activation": "softmax"})
    found, expected = both(graph, [[900.0, 899.0, -900.0], [-900.0, -900.0, -900.0]])
    assert np.isfinite(found).all()
    assert np.allclose(found, expected, rtol=1e-6)


def test_padding_in_front_is_computed_once_and_changes_nothing(bundle: Path) -> None:
    graph = open_bundle(bundle).graph()
    backend = PureBackend(graph)
    rows = [[0] * pads + [7] * (10 - pads) for pads in (3, 0, 9, 10, 5)]
    expected = reference.ReferenceBackend(graph, dtype=np.float64).run({"ids": rows})["scores"]
    for part in (rows, rows[::-1], rows[:1]):
        found = backend.run({"ids": part})["scores"]
        wanted = [expected[rows.index(row)] for row in part]
        assert np.abs(np.array(found) - np.array(wanted)).max() < 1e-7


def test_a_stack_of_recurrences_may_start_after_the_padding(bundle: Path) -> None:
    graph = open_bundle(bundle).graph()
    first = next(node for node in graph.nodes if node.op == "LSTM")
    units = graph.weights[first.weights["recurrent_kernel"]].shape[0]
    sequence = replace(
        first,
        shapes=((None, None, units),),
        attributes={**first.attributes, "return_sequences": True},
    )
    kernel = f"{first.name}_kernel_2"
    shape = (units, 4 * units)
    data = np.random.default_rng(1).normal(size=shape).astype("<f4").tobytes()
    second = replace(
        first,
        name="second",
        inputs=sequence.outputs,
        outputs=("h2",),
        weights={**first.weights, "kernel": kernel},
    )
    at = graph.nodes.index(first)
    stacked = Graph(
        graph.inputs,
        (*graph.nodes[:at], sequence, second),
        ("h2",),
        {**graph.weights, kernel: Tensor("F32", shape, data)},
    )
    rows = [[0] * pads + [3, 9, 4][: 10 - pads] + [5] * (7 - pads) for pads in (7, 0, 4)]
    expected = reference.run_graph(stacked, {"ids": np.array(rows)}, dtype=np.float64)["h2"]
    found = PureBackend(stacked).run({"ids": rows})["h2"]
    assert np.abs(np.array(found) - expected).max() < 1e-7


def test_only_the_rows_of_an_embedding_that_occur_become_numbers() -> None:
    tensor = Tensor("F32", (4, 2), np.arange(8, dtype="<f4").tobytes())
    weight = Weight(tensor)
    assert weight.row(3) == [6.0, 7.0]
    assert "values" not in vars(weight)
    for outside in (-1, 4):
        with pytest.raises(IndexError):
            weight.row(outside)


@pytest.mark.parametrize(
    ("dtype", "kind"), [("F16", "<f2"), ("I8", "i1"), ("I32", "<i4"), ("U8", "u1")]
)
def test_weights_of_every_type_are_read(dtype: str, kind: str) -> None:
    data = np.array([1, 2, 3, 100], kind).tobytes()
    assert Weight(Tensor(dtype, (2, 2), data)).columns == [[1, 3], [2, 100]]


@pytest.mark.parametrize(
    "graph",
    [
        one_node("Teleport", (None, 2)),
        one_node("Activation", (None, 2), attributes={"activation": "bogus"}),
        one_node("RepeatVector", (None, 2), attributes={"n": 10**15}),
        one_node("Reshape", (None, 2), attributes={"target_shape": [3]}),
    ],
)
def test_what_cannot_be_run_is_a_named_error(graph: Graph) -> None:
    with pytest.raises(ModelError):
        PureBackend(graph).run({"features": [[1.0, 2.0]]})


def test_a_value_that_does_not_fit_is_a_named_error() -> None:
    with pytest.raises(ModelError, match=r"shape \[3\] does not fit \[2, 2\]"):
        expand(Array((3,), [1.0, 2.0, 3.0]), (2, 2))


def test_a_bundle_is_run_with_nothing_installed(bundle: Path, hide: Any) -> None:
    expected = load(bundle, target="reference").scores(["w1 w2", ""])
    hide("numpy", "onnxruntime", "ai_edge_litert", "tflite_runtime")
    predictor = load(bundle)
    assert (predictor.target, predictor.scheme) == ("pure", "float32")
    assert np.abs(np.array(predictor.scores(["w1 w2", ""])) - expected).max() < 1e-6


def test_the_environment_names_the_target(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATELET_TARGET", "pure")
    assert load(bundle).target == "pure"
    assert load(bundle, target="onnx").target == "onnx"


def test_a_variable_that_names_no_target_of_the_bundle_is_named(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for named in ("bogus", "litert"):
        monkeypatch.setenv("GATELET_TARGET", named)
        with pytest.raises(
            BundleError,
            match=f"the environment variable GATELET_TARGET is '{named}', .* it has: onnx, ref",
        ):
            load(bundle)
    assert load(bundle, target="onnx").target == "onnx"


def test_what_a_mask_leaves_out_is_zero() -> None:
    taken = GraphInput("features", "float32", (None, None, 2))
    mask = Node(
        "m", "MaskFeatures", ("features",), ("m",), ((None, None),), {}, {"mask_value": 5.0}
    )
    kept = Node("y", "ApplyMask", ("features",), ("y",), ((None, None, 2),), mask="m")
    x = [[[1.0, 2.0], [5.0, 5.0], [5.0, 3.0]]]
    found, expected = both(Graph((taken,), (mask, kept), ("y",), {}), x)
    assert found.tolist() == expected.tolist() == [[[1.0, 2.0], [0.0, 0.0], [5.0, 3.0]]]
