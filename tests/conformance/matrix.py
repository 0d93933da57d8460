"""What the conformance matrix is made of: weights, rows, expected values, limits.

Not the models (cases.py), and not the checks (test_conformance.py).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.lowering import lower
from gatelet.convert.parity.checks.scores import difference
from gatelet.convert.reading import read_keras_object
from gatelet.convert.tolerances import FLOAT32_FACTOR, FLOAT32_FLOOR
from gatelet.runtime.backends.reference import ReferenceBackend, array_of
from gatelet.runtime.graph.graph import Graph, GraphInput
from gatelet.runtime.graph.safetensors import Tensor

Array = NDArray[Any]

BATCHES = (64, 7, 1)
KINDS = ("pre", "post", "inner", "none", "length 1, pre", "length 1, post", "no real token")


class KerasRefuses(Exception):
    """Keras builds a model that it cannot call: then there is nothing to compare with."""


@dataclass(frozen=True)
class Prepared:
    """A model with what its artifacts must give.

    Args:
        graph: Lowered, with the inputs of a final softmax as further outputs: a softmax that
            saturates hides errors.
        inputs: By graph input, [64, ...]; row i has the padding KINDS[i % 7].
        keras: What Keras gives, one array an output of the model.
        expected: What the reference gives in float64, by graph output.
        float32_limit: Of these rows.
    """

    graph: Graph
    inputs: Mapping[str, Array]
    keras: tuple[Array, ...]
    expected: Mapping[str, Array]
    float32_limit: float


def prepare(
    keras: Any,
    build: Callable[[Any], Any],
    *,
    seed: int = 3,
    saturated: bool = False,
    gain: float = 3.0,
) -> Prepared:
    """Build a case and ask Keras and the reference.

    Args:
        keras: The module.
        build: Makes the model.
        seed: Of weights and rows.
        gain: Of kernels: 1 keeps the size of what goes through them.
        saturated: Open the gates of LSTM layers, so that cells add up to more than 10.
    """
    keras.utils.set_random_seed(seed)
    model = build(keras)
    set_weights(model, seed, gain=gain)
    if saturated:
        open_gates(model)
    graph = lower(read_keras_object(model))
    inputs = {
        one.name: draw_rows(one, model_shape(model, i), seed + i)
        for i, one in enumerate(graph.inputs)
    }
    try:
        answers = ask_keras(model, list(inputs.values()))
    except Exception as error:  # Keras raises whatever it likes
        raise KerasRefuses(str(error)) from error
    graph = replace(graph, outputs=(*graph.outputs, *before_softmax(graph)))
    single = ReferenceBackend(graph).run(inputs)
    double = ReferenceBackend(graph, dtype=np.float64).run(inputs)
    own = max(float(difference(single[n], double[n]).max(initial=0.0)) for n in graph.outputs)
    return Prepared(graph, inputs, answers, double, max(FLOAT32_FLOOR, FLOAT32_FACTOR * own))


def conditioned(case: Prepared) -> Prepared:
    """Set the float32 limit by how far a model moves when its weights move by rounding.

    NumPy's own distance is one draw of the rounding errors: a model that amplifies them, as a
    SimpleRNN with large weights does, may be ten times closer by luck.
    """
    rng = np.random.default_rng(1)
    own = case.float32_limit / FLOAT32_FACTOR
    for _ in range(4):
        weights = {
            name: Tensor("F32", one.shape, _nudged(array_of(one), rng).tobytes())
            for name, one in case.graph.weights.items()
        }
        moved = replace(case.graph, weights=weights)
        found = ReferenceBackend(moved, dtype=np.float64).run(case.inputs)
        distances = (difference(found[name], case.expected[name]) for name in case.graph.outputs)
        own = max(own, *(float(one.max(initial=0.0)) for one in distances))
    return replace(case, float32_limit=max(case.float32_limit, FLOAT32_FACTOR * own))


def _nudged(array: Array, rng: np.random.Generator) -> Array:
    """Move each number by one unit in the last place, up or down."""
    towards = rng.choice([-np.inf, np.inf], array.shape).astype(np.float32)
    return np.nextafter(array, towards)


def set_weights(model: Any, seed: int, *, gain: float = 3.0) -> None:
    """Draw weights of the size that training gives, so that gates saturate."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "seed" in weight.path:
            continue
        if "variance" in weight.path or "gamma" in weight.path:
            weight.assign(rng.uniform(0.5, 2.0, weight.shape))
        else:
            fan_in = int(np.prod(weight.shape[:-1])) or 1
            size = (
                1.0
                if "embeddings" in weight.path
                else max(gain / 10, min(gain / 2.5, gain / np.sqrt(fan_in)))
            )
            weight.assign(rng.normal(0, size, weight.shape))


def open_gates(model: Any) -> None:
    """Move the gates of LSTM layers to where i, f and o are near 1 and g is near 1 or -1."""
    for weight in model.weights:
        if weight.path.endswith("lstm_cell/bias"):
            i, f, g, o = np.split(weight.numpy(), 4)
            weight.assign(np.concatenate([i + 8, f + 8, 8 * np.sign(g), o + 4]))


def model_shape(model: Any, index: int) -> tuple[int | None, ...]:
    """Return the shape of a model's input without the batch."""
    return tuple(model.inputs[index].shape[1:])


def draw_rows(taken: GraphInput, shape: tuple[int | None, ...], seed: int, rows: int = 64) -> Array:
    """Draw 64 rows with every kind of padding, ids or features."""
    rng = np.random.default_rng(seed)
    sizes = [size or 9 for size in shape]
    T = sizes[0]
    keep = np.ones((rows, T), bool)
    for row in range(rows):
        length = int(rng.integers(2, max(3, T)))
        kind = KINDS[row % len(KINDS)]
        if kind == "pre":
            keep[row, : T - length] = False
        elif kind == "post":
            keep[row, length:] = False
        elif kind == "inner":
            keep[row] = rng.random(T) < 0.6
        elif kind == "length 1, pre":
            keep[row, : T - 1] = False
        elif kind == "length 1, post":
            keep[row, 1:] = False
        elif kind == "no real token":
            keep[row] = False
    if taken.dtype == "int32":
        return np.where(keep, rng.integers(1, taken.vocabulary or 2, (rows, T)), 0).astype(np.int32)
    features = rng.normal(0, 1.5, (rows, *sizes))
    masked = keep.reshape((rows, T) + (1,) * (len(sizes) - 1)) if len(sizes) > 1 else 1
    return np.asarray(features * masked, np.float32)


def ask_keras(model: Any, inputs: list[Array]) -> tuple[Array, ...]:
    """Let Keras predict, row by row where its batch is fixed."""
    rows = len(inputs[0])
    size = model.inputs[0].shape[0] or rows
    parts = []
    for start in range(0, rows, size):
        for layer in model.layers:
            if getattr(layer, "stateful", False) and hasattr(layer, "reset_states"):
                layer.reset_states()
            elif getattr(layer, "stateful", False) and hasattr(layer, "reset_state"):
                layer.reset_state()
        part = [array[start : start + size] for array in inputs]
        found = model(part if len(part) > 1 else part[0], training=False)
        found = list(found) if isinstance(found, list | tuple) else [found]
        parts.append([np.asarray(one) for one in found])
    return tuple(np.concatenate(one) for one in zip(*parts, strict=True))


def before_softmax(graph: Graph) -> tuple[str, ...]:
    """Name the inputs of softmax nodes that are outputs."""
    return tuple(
        node.inputs[0]
        for node in graph.nodes
        if node.op == "Activation"
        and node.attributes["activation"] == "softmax"
        and node.output in graph.outputs
        and node.inputs[0] not in graph.outputs
    )


def batches(rows: int) -> list[slice]:
    """Return the slices to run: all rows, seven rows, and one row of each kind."""
    return [slice(0, rows), slice(rows - 7, rows), *(slice(i, i + 1) for i in range(len(KINDS)))]


def within(found: Any, expected: Any, limit: float) -> bool:
    """Return whether all differences, relative to max(1, |y|), are within a limit; NaN is NaN."""
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape:
        return False
    return bool(difference(found, expected).max(initial=0.0) <= limit)
