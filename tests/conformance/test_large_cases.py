"""Models with weights large enough that every scheme stores them in its own type.

Not the cases of the matrix, most of whose weights are too small for a scheme to round: they tell of
operators, padding and batches, these of the rounding itself.
"""

import warnings
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.targets import export, refusal
from gatelet.convert.parity.checks.scores import difference
from gatelet.convert.passes import skip_padding
from gatelet.convert.rows.calibration import choose_rows
from gatelet.convert.schemes import SCHEMES
from gatelet.convert.worker.worker import Worker
from gatelet.errors import ConversionError
from gatelet.runtime.backends import open_backend
from gatelet.runtime.backends.reference import ReferenceBackend
from tests.conformance.limits import LARGE
from tests.conformance.matrix import Prepared, batches, prepare
from tests.conformance.test_conformance import keras, rounded_embeddings

T, V, E, U = 12, 300, 32, 40

Keras = Any


def _ids(k: Keras, *layers: Any, mask: bool = False) -> Any:
    embedding = k.layers.Embedding(V, E, mask_zero=mask)
    return k.Sequential([k.Input((T,), dtype="int32"), embedding, *layers])


def _sigmoid(k: Keras) -> Any:
    return k.layers.Dense(1, activation="sigmoid")


def lstm(k: Keras) -> Any:
    return _ids(k, k.layers.LSTM(U), _sigmoid(k))


def lstm_masked_softmax(k: Keras) -> Any:
    return _ids(k, k.layers.LSTM(U), k.layers.Dense(30, activation="softmax"), mask=True)


def gru(k: Keras) -> Any:
    return _ids(k, k.layers.GRU(U), _sigmoid(k))


def gru_reset_before_masked(k: Keras) -> Any:
    return _ids(k, k.layers.GRU(U, reset_after=False), _sigmoid(k), mask=True)


def simple_rnn(k: Keras) -> Any:
    return _ids(k, k.layers.SimpleRNN(U), _sigmoid(k))


def bidirectional_masked(k: Keras) -> Any:
    return _ids(k, k.layers.Bidirectional(k.layers.LSTM(U)), _sigmoid(k), mask=True)


def stack_normalized(k: Keras) -> Any:
    first = k.layers.LSTM(U, return_sequences=True)
    return _ids(k, first, k.layers.LayerNormalization(), k.layers.GRU(U), _sigmoid(k))


def every_step(k: Keras) -> Any:
    rnn = k.layers.GRU(U, return_sequences=True)
    return _ids(k, rnn, k.layers.TimeDistributed(k.layers.Dense(30, activation="softmax")))


def features(k: Keras) -> Any:
    return k.Sequential([k.Input((T, E)), k.layers.LSTM(U), k.layers.Dense(3)])


def conv_then_lstm(k: Keras) -> Any:
    return _ids(k, k.layers.Conv1D(U, 3, activation="relu"), k.layers.LSTM(U), _sigmoid(k))


CASES = (
    lstm,
    lstm_masked_softmax,
    gru,
    gru_reset_before_masked,
    simple_rnn,
    bidirectional_masked,
    stack_normalized,
    every_step,
    features,
    conv_then_lstm,
)
IN_SHORT = (lstm, gru_reset_before_masked)


@cache
def prepared(build: Callable[[Any], Any]) -> Prepared:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return prepare(keras(), build, gain=1.0)


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


def differences(
    case: Prepared, target: str, scheme: str, worker: Worker, folder: Path
) -> tuple[float, float]:
    """Export a case and give the largest and the mean difference of its outputs."""
    model = Exportable(
        case.graph,
        skip_padding(case.graph, timesteps=T),
        calibration=choose_rows(case.inputs, source="the case's own rows"),
    )
    path = folder / "model"
    exported = export(model, target, SCHEMES[scheme], worker)
    path.write_bytes(exported.data)
    beside = {one.role: folder / one.role for one in exported.companions}
    for one in exported.companions:
        beside[one.role].write_bytes(one.data)
    backend = open_backend(target, path, companions=beside)
    oracle = ReferenceBackend(
        rounded_embeddings(model.skipping) if SCHEMES[scheme].embeddings else case.graph,
        dtype=np.float64,
    )
    found = []
    for part in batches(len(next(iter(case.inputs.values())))):
        if exported.max_batch is not None and part.stop - part.start > exported.max_batch:
            continue
        inputs = {name: array[part] for name, array in case.inputs.items()}
        got, wanted = backend.run(inputs), oracle.run(inputs)
        off = [
            difference(np.asarray(got[name]), np.asarray(wanted[name]))
            for name in case.graph.outputs
        ]
        found += [(float(one.max()), float(one.mean())) for one in off]
    return max(one[0] for one in found), max(one[1] for one in found)


def runs() -> list[Any]:
    """Return every (target, scheme, case); those that only `./check --all` runs are marked."""
    return [
        pytest.param(
            target,
            scheme,
            build,
            id=f"{target}-{scheme}-{build.__name__}",
            marks=() if target == "onnx" or build in IN_SHORT else pytest.mark.full,
        )
        for target, scheme in LARGE
        for build in CASES
    ]


@pytest.mark.parametrize(("target", "scheme", "build"), runs())
def test_rounding_shows_and_stays_within_its_limits(
    target: str, scheme: str, build: Callable[[Any], Any], worker: Worker, tmp_path: Path
) -> None:
    case = prepared(build)
    if why := refusal(case.graph, target, SCHEMES[scheme]):
        with pytest.raises(ConversionError) as caught:
            differences(case, target, scheme, worker, tmp_path)
        assert str(caught.value) == why
        return
    largest, mean = differences(case, target, scheme, worker, tmp_path)
    limit = LARGE[target, scheme]
    assert limit.largest is not None and limit.mean is not None
    assert case.float32_limit < largest <= limit.largest
    assert mean <= limit.mean
