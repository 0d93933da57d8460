"""Random architectures: Keras, the reference, litert and onnx agree on random padded batches."""

import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, example, given, note, seed, settings
from hypothesis import strategies as st

from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.onnx import export_onnx
from gatelet.convert.exporters.targets import export
from gatelet.convert.passes import skip_padding
from gatelet.convert.schemes import SCHEMES
from gatelet.convert.worker.worker import Worker
from gatelet.errors import GateletError
from gatelet.runtime.backends import open_backend
from gatelet.runtime.backends.reference import ReferenceBackend
from tests.conformance.matrix import (
    Array,
    KerasRefuses,
    Prepared,
    ask_keras,
    batches,
    conditioned,
    open_gates,
    prepare,
    set_weights,
    within,
)
from tests.conformance.recipes import Recipe, build, recipes

COMMON: dict[str, Any] = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.filter_too_much],
}


SEED = 3
EXACT = 1e-9
"""Of what Keras and the Graph give in float64."""


@cache
def keras() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras
    return keras


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


ROUNDING_GROWS = (
    (
        (
            ("two inputs", 5, ("SimpleRNN", 5, "tanh", "sigmoid", False), False),
            (),
            (
                "repeat",
                ("GRU", 4, "softsign", "sigmoid", True),
                ("SimpleRNN", 4, "tanh", "sigmoid", False),
            ),
            (2, "linear", False),
        ),
        False,
    ),
    (
        (
            ("two inputs", 5, ("SimpleRNN", 5, "tanh", "sigmoid", False), False),
            (("reshape",),),
            ("last states", ("GRU", 4, "tanh", "sigmoid", True)),
            (2, "linear", True),
        ),
        True,
    ),
)
"""Models that amplify rounding, found by the full run."""

KERAS_ROUNDS = (
    ("two inputs", 15, ("LSTM", 5, "tanh", "sigmoid", False), False),
    (("conv", 6, 3, "same", 1, 2), ("time distributed model", 1, "exponential")),
    ("last states", ("GRU", 4, "sigmoid", "sigmoid", True)),
    (4, "sigmoid", False),
)
"""Normalizes single values of up to 1,575: Keras' float32 gives 0.6641 for 0.6606."""


@settings(max_examples=20, **COMMON)
@example(recipe=ROUNDING_GROWS[0][0], saturated=ROUNDING_GROWS[0][1])
@example(recipe=ROUNDING_GROWS[1][0], saturated=ROUNDING_GROWS[1][1])
@example(recipe=KERAS_ROUNDS, saturated=True)
@given(recipe=recipes(), saturated=st.booleans())
def test_random_models_agree(worker: Worker, recipe: Recipe, saturated: bool) -> None:
    check(worker, recipe, saturated=saturated)


@pytest.mark.full
@pytest.mark.parametrize("part", range(16))
def test_two_thousand_random_models_agree(worker: Worker, part: int) -> None:
    @seed(part)
    @settings(max_examples=125, **{**COMMON, "derandomize": False})
    @given(recipe=recipes(), saturated=st.booleans())
    def agree(recipe: Recipe, saturated: bool) -> None:
        check(worker, recipe, saturated=saturated)

    agree()


def check(worker: Worker, recipe: Recipe, *, saturated: bool) -> None:
    case = prepared(recipe, saturated=saturated)
    note(f"limit {case.float32_limit}")
    # far outside [-1000, 1000] the rows test the range of float32 and nothing else
    assume(all(np.nanmax(np.abs(v), initial=0) < 1e3 for v in case.expected.values()))
    for output, (name, answer) in enumerate(zip(case.graph.outputs, case.keras, strict=False)):
        if not within(case.expected[name], answer, case.float32_limit):
            exact = keras_in_float64(recipe, case, saturated=saturated)[output]
            assert within(case.expected[name], exact, EXACT), "reference"
    graph = skip_padding(case.graph, timesteps=9)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        path.write_bytes(export_onnx(graph, SCHEMES["float32"]).data)
        check_artifact(case, "onnx", path)
        path = Path(folder) / "model.tflite"
        model = Exportable(case.graph, graph)
        path.write_bytes(export(model, "litert", SCHEMES["float32"], worker).data)
        check_artifact(case, "litert", path)


def keras_in_float64(recipe: Recipe, case: Prepared, *, saturated: bool) -> tuple[Array, ...]:
    """Ask Keras without its own rounding: its LayerNormalization of one large value is all that."""
    keras().config.set_dtype_policy("float64")
    try:
        model = build(keras(), recipe)
        set_weights(model, SEED)
        to_float32(model)
        if saturated:
            open_gates(model)
            to_float32(model)
        return ask_keras(model, list(case.inputs.values()))
    finally:
        keras().config.set_dtype_policy("float32")


def to_float32(model: Any) -> None:
    for weight in model.weights:
        if "seed" not in weight.path:
            weight.assign(weight.numpy().astype(np.float32))


def prepared(recipe: Recipe, *, saturated: bool) -> Prepared:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        keras().backend.clear_session()
        try:
            model = build(keras(), recipe)
        except ValueError:  # Keras refuses, say, a window longer than the sequence
            assume(False)
        try:
            return conditioned(prepare(keras(), lambda _: model, seed=SEED, saturated=saturated))
        except KerasRefuses:  # it builds some that it cannot call
            assume(False)
            raise


def check_artifact(case: Prepared, target: str, path: Path) -> None:
    backend = open_backend(target, path)
    rows = len(next(iter(case.inputs.values())))
    for part in batches(rows):
        found = backend.run({name: array[part] for name, array in case.inputs.items()})
        for name in case.graph.outputs:
            assert within(found[name], case.expected[name][part], case.float32_limit), (
                f"{target}, rows {part.start} to {part.stop}"
            )


def test_open_gates_bring_cells_beyond_ten() -> None:
    cell = ("LSTM", 4, "tanh", "sigmoid", True)
    taken, head = ("features", 16, 3, False), (1, "linear", False)
    case = prepared((taken, (), ("last states", cell), head), saturated=True)
    (lstm,) = (node for node in case.graph.nodes if node.op == "LSTM")
    graph = replace(case.graph, outputs=lstm.outputs)
    cells = ReferenceBackend(graph).run(case.inputs)[lstm.outputs[2]]
    assert np.median(np.abs(cells)) > 10


def test_a_refusal_is_an_error_of_ours() -> None:
    with pytest.raises(GateletError, match="Attention"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        k = keras()
        x = k.Input((5, 3))
        prepare(k, lambda _: k.Model(x, k.layers.Attention()([x, x])))
