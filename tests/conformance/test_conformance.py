"""Every case x target x scheme x padding x batch: the artifacts give what Keras gives."""

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.onnx import export_onnx
from gatelet.convert.exporters.table import export
from gatelet.convert.isolation import Worker
from gatelet.convert.parity.checks import difference
from gatelet.convert.passes import skip_padding
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.backends import open_backend
from gatelet.runtime.backends.pure import PureBackend
from tests.conformance.cases import CASES
from tests.conformance.matrix import KINDS, Prepared, batches, prepare, within

# the largest difference, relative to max(1, |y|), that 8-bit weights of trained size make over
# 12 steps of recurrences this small; measured over all cases, with a third in hand
INT8_LIMIT = 0.5
INT8_MEAN_LIMIT = 0.05

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


@pytest.mark.parametrize("scheme", ["float32", "dynamic-int8"])
def test_onnx(case: Prepared, scheme: str, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    exported = export_onnx(skip_padding(case.graph, timesteps=12), SCHEMES[scheme])
    path.write_bytes(exported.data)
    check_artifact(case, "onnx", scheme, path, max_batch=exported.max_batch)


@pytest.mark.parametrize("scheme", ["float32", "dynamic-int8"])
def test_litert(case: Prepared, scheme: str, tmp_path: Path, worker: Worker) -> None:
    path = tmp_path / "model.tflite"
    graph = skip_padding(case.graph, timesteps=12)
    exported = export(Exportable(case.graph, graph), "litert", SCHEMES[scheme], worker)
    path.write_bytes(exported.data)
    check_artifact(case, "litert", scheme, path, max_batch=None)


def check_artifact(
    case: Prepared, target: str, scheme: str, path: Path, *, max_batch: int | None
) -> None:
    backend = open_backend(target, path)
    rows = len(next(iter(case.inputs.values())))
    for part in batches(rows):
        if max_batch is not None and part.stop - part.start > max_batch:
            continue
        found = backend.run({name: array[part] for name, array in case.inputs.items()})
        for name in case.graph.outputs:
            expected = case.expected[name][part]
            got = np.asarray(found[name])
            if scheme == "float32":
                assert within(got, expected, case.float32_limit)
            else:
                assert within(got, expected, INT8_LIMIT)
                assert float(np.mean(difference(got, expected))) <= INT8_MEAN_LIMIT
