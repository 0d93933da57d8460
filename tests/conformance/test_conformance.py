"""Every case x target x scheme x padding x batch: the artifacts give what Keras gives.

Not trained models: those are judged by parity.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.quantize import quantize_int4
from gatelet.convert.exporters.targets import TARGETS, export, refusal
from gatelet.convert.layouts import INT4_MIDDLE
from gatelet.convert.parity.stored.file import StoredFile
from gatelet.convert.parity.stored.match import check_weights, match_weights
from gatelet.convert.passes import skip_padding
from gatelet.convert.schemes import SCHEMES
from gatelet.convert.worker.worker import Worker
from gatelet.errors import ConversionError
from gatelet.runtime.backends import Backend, open_backend
from gatelet.runtime.backends.pure import PureBackend
from gatelet.runtime.backends.reference import ReferenceBackend, array_of
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.safetensors import Tensor
from tests.conformance import layer_cases, recurrent_cases
from tests.conformance.cases import CASES
from tests.conformance.limits import LIMITS, holds
from tests.conformance.matrix import KINDS, Prepared, batches, prepare, within

EVERY_CASE = (
    ("litert", "float32"),
    ("litert", "dynamic-int8"),
    ("onnx", "float32"),
    ("onnx", "float16"),
    ("onnx", "dynamic-int8"),
    ("onnx", "dynamic-int8-emb4"),
)
"""The others differ from these in how weights are stored, so some cases tell; `./check --all` runs
them over all."""

TELLING = (
    layer_cases.addition,  # features meet a kernel that is large enough to be rounded
    recurrent_cases.lstm_classic,
    recurrent_cases.gru_reset_before_masked,
    recurrent_cases.bidirectional_concat,
    recurrent_cases.encoder_decoder,
    layer_cases.two_outputs,
    layer_cases.weather,
)


def runs() -> list[Any]:
    """Return every (target, scheme, case); those that only `./check --all` runs are marked."""
    return [
        pytest.param(
            target,
            scheme,
            case,
            id=f"{target}-{scheme}-{case.__name__}",
            marks=() if (target, scheme) in EVERY_CASE or case in TELLING else pytest.mark.full,
        )
        for target, scheme in LIMITS
        if target in ("litert", "onnx")  # the others have files of their own, beside this one
        for case in CASES
    ]


ROWS_OF_PURE = 2 * len(KINDS)


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


@cache
def prepared(build: Callable[[Any], Any]) -> Prepared:
    with warnings.catch_warnings():
        # Keras warns where it drops a mask, which is what such a case is about
        warnings.simplefilter("ignore")
        return prepare(keras(), build)


@pytest.fixture(params=CASES, ids=lambda case: case.__name__)
def case(request: pytest.FixtureRequest) -> Prepared:
    return prepared(request.param)


def test_there_are_enough_cases() -> None:
    assert len({case.__name__ for case in CASES}) >= 60


def test_the_reference_gives_what_keras_gives(case: Prepared) -> None:
    for name, expected in zip(case.graph.outputs, case.keras, strict=False):
        assert within(case.expected[name], expected, case.float32_limit)


@pytest.mark.parametrize("skips", [False, True])
def test_pure(case: Prepared, skips: bool) -> None:
    graph = skip_padding(case.graph, timesteps=12) if skips else case.graph
    found = PureBackend(graph).run(
        {name: array[:ROWS_OF_PURE] for name, array in case.inputs.items()}
    )
    for name in case.graph.outputs:
        assert within(
            np.asarray(found[name]), case.expected[name][:ROWS_OF_PURE], case.float32_limit
        )


def test_every_target_and_scheme_has_limits_and_a_reason() -> None:
    # wasm is c's source by another compiler, and is held to c itself beside its own tests
    assert set(LIMITS) == {
        (target, scheme) for target in TARGETS if target != "wasm" for scheme in TARGETS[target]
    }
    assert all(limit.reason for limit in LIMITS.values())


@pytest.mark.parametrize(("target", "scheme", "build"), runs())
def test_an_artifact_gives_what_keras_gives(
    target: str, scheme: str, build: Callable[[Any], Any], tmp_path: Path, worker: Worker
) -> None:
    case = prepared(build)
    model = Exportable(case.graph, skip_padding(case.graph, timesteps=12))
    if refusal(case.graph, target, SCHEMES[scheme]):
        lacks = "recurrent kernel" if SCHEMES[scheme].recurrent else "Embedding"
        with pytest.raises(ConversionError, match=f"the model has no {lacks}"):
            export(model, target, SCHEMES[scheme], worker)
        return
    path = tmp_path / "model"
    exported = export(model, target, SCHEMES[scheme], worker)
    path.write_bytes(exported.data)
    stored = check_weights(target, match_weights(target, StoredFile(path, case.graph)))
    assert stored.verdict == "pass" and "not checked" not in stored.note, stored
    rounded = None
    if SCHEMES[scheme].embeddings:
        # what is left to judge once the embedding's own rounding, which is coarse, is known; the
        # states after padding are those of the exact embedding
        rounded = ReferenceBackend(rounded_embeddings(model.skipping), dtype=np.float64)
    check_artifact(case, rounded, open_backend(target, path), exported.max_batch, (target, scheme))


def _embeddings(graph: Graph) -> list[str]:
    return [node.weights["embeddings"] for node in graph.nodes if node.op == "Embedding"]


def rounded_embeddings(graph: Graph) -> Graph:
    """Replace embeddings by what 4 bits hold of them."""
    weights = dict(graph.weights)
    for name in _embeddings(graph):
        levels, multiples, unit = quantize_int4(array_of(weights[name]))
        table = ((levels - INT4_MIDDLE) * multiples * unit).astype("<f4")
        weights[name] = Tensor("F32", table.shape, table.tobytes())
    return replace(graph, weights=weights)


def check_artifact(
    case: Prepared,
    rounded: Backend | None,
    backend: Backend,
    max_batch: int | None,
    pair: tuple[str, str],
) -> None:
    for part in batches(len(next(iter(case.inputs.values())))):
        if max_batch is not None and part.stop - part.start > max_batch:
            continue
        inputs = {name: array[part] for name, array in case.inputs.items()}
        found = backend.run(inputs)
        expected = rounded.run(inputs) if rounded is not None else None
        for name in case.graph.outputs:
            wanted = case.expected[name][part] if expected is None else np.asarray(expected[name])
            assert holds(np.asarray(found[name]), wanted, pair, case.float32_limit)
