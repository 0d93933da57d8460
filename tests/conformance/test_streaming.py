"""Every case that can stream, in pieces: each backend gives what the whole sequence gives."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import pairwise, zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.targets import export
from gatelet.convert.schemes import SCHEMES
from gatelet.convert.worker.worker import Worker
from gatelet.runtime.backends import Backend, open_backend
from gatelet.runtime.backends.pure import PureBackend
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.graph.streaming import StreamingGraph, streaming_refusal, to_stream
from gatelet.runtime.predictor.stream import Stream
from tests.conformance.cases import CASES
from tests.conformance.limits import holds
from tests.conformance.matrix import Array, Prepared
from tests.conformance.test_conformance import prepared

Case = Callable[[Any], Any]
Outputs = Mapping[str, Array]

FEW = (
    "lstm_masked",
    "gru_reset_before_masked",
    "stack_three_mixed",
    "lstm_odd_activations",
    "softmax_every_step",
    "return_state_masked",
    "sequences_concatenated_masked",
    "text_and_numbers",
    "conv_lstm_sequences",
    "stateful",
)
"""Of each way to stream one: they run through litert, the others with --all."""


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with Worker() as worker:
        yield worker


@cache
def case_of(name: str) -> tuple[Prepared, StreamingGraph]:
    (build,) = (case for case in CASES if case.__name__ == name)
    case = prepared(build)
    why = streaming_refusal(case.graph)
    if why:
        pytest.skip(why)
    return case, to_stream(case.graph)


every_case = pytest.mark.parametrize("name", [case.__name__ for case in CASES])


@every_case
def test_reference(name: str) -> None:
    case, form = case_of(name)
    check_streams(case, form, ReferenceBackend(form.graph))


@every_case
def test_pure(name: str) -> None:
    case, form = case_of(name)
    check_streams(case, form, PureBackend(form.graph))


@every_case
@pytest.mark.parametrize("scheme", ["float32", "dynamic-int8"])
def test_onnx(name: str, scheme: str, worker: Worker, tmp_path: Path) -> None:
    check_artifact(name, "onnx", scheme, worker, tmp_path)


@pytest.mark.parametrize("name", FEW)
@pytest.mark.parametrize("scheme", ["float32", "dynamic-int8"])
def test_litert(name: str, scheme: str, worker: Worker, tmp_path: Path) -> None:
    check_artifact(name, "litert", scheme, worker, tmp_path)


@pytest.mark.full
@every_case
@pytest.mark.parametrize("scheme", ["float32", "dynamic-int8"])
def test_every_case_through_litert(name: str, scheme: str, worker: Worker, tmp_path: Path) -> None:
    check_artifact(name, "litert", scheme, worker, tmp_path)


def test_most_cases_without_a_look_ahead_stream() -> None:
    refused = [case.__name__ for case in CASES if streaming_refusal(prepared(case).graph)]
    assert not set(refused) & {*FEW, "autoencoder", "addition", "frames", "nested_models"}
    assert len(CASES) - len(refused) >= 40


def check_artifact(name: str, target: str, scheme: str, worker: Worker, folder: Path) -> None:
    case, form = case_of(name)
    exported = export(Exportable(form.graph, form.graph), target, SCHEMES[scheme], worker)
    path = folder / "stream"
    path.write_bytes(exported.data)
    backend = open_backend(target, path)
    check_streams(case, form, backend, max_batch=exported.max_batch, limit=("litert", scheme))


def check_streams(
    case: Prepared,
    form: StreamingGraph,
    backend: Backend,
    *,
    max_batch: int | None = None,
    limit: tuple[str, str] = ("litert", "float32"),
    cuts: Sequence[int] = (1, 3, 7, 11),
) -> None:
    """Run streams of different rows in turn, and hold each to its whole sequences.

    `limit` is of the target and scheme that allow as much.
    """
    timesteps = timesteps_of(case)
    single_steps = _pieces(timesteps, range(timesteps))
    settings = (
        (slice(0, 7), _pieces(timesteps, cuts)),
        (slice(3, 4), single_steps),
        (slice(57, 64), single_steps),
    )
    streams = [
        Stream(
            case.graph,
            form.states,
            backend.run,
            lambda scores: [],
            name="case",
            max_batch=max_batch,
        )
        for _ in settings
    ]
    found: list[list[Outputs]] = [[] for _ in settings]
    for turn in zip_longest(*(pieces for _, pieces in settings)):
        for stream, parts, (rows, _), steps in zip(streams, found, settings, turn, strict=True):
            if steps is not None:
                parts.append(_step(stream, case, rows, steps))
    for stream, parts, (rows, _) in zip(streams, found, settings, strict=True):
        assert stream.steps == timesteps
        for name in case.graph.outputs:
            expected = case.expected[name][rows]
            got = np.asarray(parts[-1][name])
            if form.graph.shape_of(name)[1] is None:  # an output for each timestep
                got = np.concatenate([part[name] for part in parts], axis=1)
            assert holds(got, expected, limit, case.float32_limit)


def timesteps_of(case: Prepared) -> int:
    (found,) = {array.shape[1] for array in case.inputs.values() if _is_sequence(array)}
    return int(found)


def _is_sequence(array: Array) -> bool:
    return array.ndim > 2 or array.dtype == np.int32


def _pieces(timesteps: int, cuts: Iterable[int]) -> list[slice]:
    inside = {cut for cut in cuts if 0 < cut < timesteps}
    return [slice(start, end) for start, end in pairwise(sorted({0, *inside, timesteps}))]


def _step(stream: Stream, case: Prepared, rows: slice, steps: slice) -> Outputs:
    given = {
        name: array[rows, steps] if _is_sequence(array) else array[rows]
        for name, array in case.inputs.items()
    }
    found = stream.step(given if len(given) > 1 else next(iter(given.values())))
    return found if isinstance(found, dict) else {case.graph.outputs[0]: found}
