"""Holding the lowering and the reference to a live Keras: models with weights of trained size."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gatelet.convert.lowering import lower
from gatelet.convert.reading import read_keras_object
from gatelet.convert.reading.source import SourceInput, SourceLayer, SourceModel
from gatelet.convert.tolerances import FLOAT32_FACTOR, FLOAT32_FLOOR
from gatelet.runtime.backends.reference import run_graph
from gatelet.runtime.graph.graph import Graph

Array = NDArray[Any]
Check = Callable[..., Graph]

# no padding; pre-, post- and inner padding; one word; nothing at all; words and gaps
PADDED_IDS = np.array(
    [
        [3, 7, 1, 4, 9, 2],
        [0, 0, 5, 8, 1, 6],
        [2, 9, 4, 0, 0, 0],
        [1, 6, 0, 0, 3, 5],
        [0, 0, 0, 0, 0, 8],
        [0, 0, 0, 0, 0, 0],
        [0, 4, 0, 7, 0, 0],
    ]
)


@pytest.fixture
def ids() -> Array:
    """Return ids below 10, [7, 6], with every way of padding."""
    return PADDED_IDS.copy()


@pytest.fixture
def features() -> Array:
    """Return features [7, 6, 3] that are 0 where `ids` are."""
    values = np.random.default_rng(5).normal(0, 1.5, (7, 6, 3)).astype(np.float32)
    return np.where(PADDED_IDS[..., None] == 0, np.float32(0), values)


@pytest.fixture
def check() -> Check:
    """Return a function that compares a live model with its Graph, and gives the Graph."""
    return check_model


def check_model(
    model: Any, *inputs: Array, deviation: float = 0.7, keep_weights: bool = False
) -> Graph:
    """Compare a model with its Graph on some inputs, and on the first timestep alone.

    Every value of the Graph must have the shape that lowering says, and outputs must be within
    the float32 limit of Keras', NaN where Keras has NaN.
    """
    if not keep_weights:
        _set_weights(model, deviation=deviation)
    graph = lower(read_keras_object(model))
    _compare(model, graph, inputs)
    open_times = [one.shape[1:2] == (None,) for one in graph.inputs]
    if all(open_times) and all(shape[1] is None for shape in map(tuple, _shapes(model))):
        _compare(model, graph, [array[:, :1] for array in inputs])
    return graph


def _compare(model: Any, graph: Graph, inputs: Sequence[Array]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Keras tells where a mask ends
        found = model(inputs[0] if len(inputs) == 1 else list(inputs))
    wanted = [np.asarray(one) for one in _flat(found)]
    named = dict(zip((one.name for one in graph.inputs), inputs, strict=True))
    values = run_graph(graph, named)
    exact = run_graph(graph, named, dtype=np.float64)
    for node in graph.nodes:
        for name, shape in zip(node.outputs, node.shapes, strict=True):
            actual = values[name].shape
            assert len(actual) == len(shape), (node.op, shape, actual)
            known = [(a, s) for a, s in zip(actual, shape, strict=True) if s is not None]
            assert all(a == s for a, s in known), (node.op, shape, actual)
            assert values[name].dtype != np.float64, node.op
    for name, y in zip(graph.outputs, wanted, strict=True):
        assert_close(values[name], y, exact[name])


def assert_close(actual: Array, wanted: Array, exact: Array) -> None:
    """Hold a float32 result to the float32 limit of the design."""
    assert actual.shape == wanted.shape
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(wanted))
    scale = np.maximum(1, np.abs(wanted))
    own = np.nan_to_num(np.abs(actual - exact) / scale).max(initial=0)
    limit = max(FLOAT32_FLOOR, FLOAT32_FACTOR * own)
    assert np.nan_to_num(np.abs(actual - wanted) / scale).max(initial=0) <= limit


def _shapes(model: Any) -> list[Any]:
    return [one.shape for one in model.inputs]


def _flat(found: Any) -> list[Any]:
    if isinstance(found, list | tuple):
        return [one for part in found for one in _flat(part)]
    return [found]


def _set_weights(model: Any, *, deviation: float = 0.7) -> None:
    generator = np.random.default_rng(len(model.weights))
    for weight in model.weights:
        if "int" in str(weight.dtype):
            continue
        values = generator.normal(0, deviation, tuple(weight.shape))
        is_spread = "variance" in (getattr(weight, "path", "") or weight.name)
        weight.assign(np.abs(values) + 0.1 if is_spread else values)
    for layer in model.layers:
        if hasattr(layer, "finalize_state"):  # Normalization keeps copies of its weights
            layer.finalize_state()


@pytest.fixture
def source_of() -> Callable[..., SourceModel]:
    """Return a function that makes the source of a model of one layer, as an old file holds it."""
    return _source_of


def _source_of(
    layer: SourceLayer, shape: tuple[int | None, ...], *, keras_version: str = "2.2.4"
) -> SourceModel:
    from gatelet.convert.reading.source import SourceCall

    calls = (SourceCall(layer.name, ("x",), ("y",)),)
    return SourceModel(
        keras_version, {layer.name: layer}, (SourceInput("x", shape),), calls, ("y",)
    )
