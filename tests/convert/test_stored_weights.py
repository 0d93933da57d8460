"""What c and tflm files store is read back, and any other weight is seen."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.c.blob import tiled, tiled_int8, untiled, untiled_int8
from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.tflm.export import export_tflm
from gatelet.convert.lowering import lower
from gatelet.convert.parity.stored.file import StoredFile
from gatelet.convert.parity.stored.match import check_weights, match_weights
from gatelet.convert.parity.stored.read_flatbuffers import _read
from gatelet.convert.passes.pad_skip import skip_padding
from gatelet.convert.reading import read_keras_object
from gatelet.convert.rows.calibration import choose_rows
from gatelet.convert.schemes import SCHEMES
from gatelet.errors import BundleDamaged, ConversionError
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.safetensors import Tensor
from tests.conformance.cases import CASES
from tests.conformance.matrix import draw_rows
from tests.conformance.recurrent_cases import (
    bidirectional_stack_masked,
    gru_reset_before_masked,
    lstm_classic,
)

T = 12
FEW = (lstm_classic, gru_reset_before_masked, bidirectional_stack_masked)
SIZES = (
    "c float32",
    "c dynamic-int8",
    "c dynamic-int8-emb4",
    "c full-int8",
    "tflm float32",
    "tflm float32-features",
    "tflm full-int8-features",
)


def graph_of(build: Callable[[Any], Any]) -> Graph:
    """Lower a case, with weights that are all different."""
    with warnings.catch_warnings():
        # Keras warns where it drops a mask, which is what some cases are about
        warnings.simplefilter("ignore")
        import keras

        graph = lower(read_keras_object(build(keras)))
    rng = np.random.default_rng(0)
    weights = {
        name: replace(one, data=rng.normal(0, 0.5, one.shape).astype("<f4").tobytes())
        for name, one in graph.weights.items()
        if one.dtype == "F32"
    }
    return replace(graph, weights={**graph.weights, **weights})


def write(graph: Graph, target: str, scheme: str, path: Path) -> StoredFile:
    """Write an artifact, and what it takes rows of beside it."""
    calibration = None
    if SCHEMES[scheme].activations != "float32":
        some = {one.name: draw_rows(one, one.shape[1:], 1) for one in graph.inputs}
        calibration = choose_rows(some, source="drawn here")
    model = Exportable(graph, skip_padding(graph, timesteps=T), calibration=calibration)
    if target == "c":
        written = write_model(model, SCHEMES[scheme])
        path.write_bytes(written.weights)
        return StoredFile(path, graph, scheme, T, observed=written.observed)
    made = export_tflm(model, SCHEMES[scheme])
    path.write_bytes(made.data)
    beside = {one.role: path.with_name(one.role) for one in made.companions}
    for one in made.companions:
        beside[one.role].write_bytes(one.data)
    return StoredFile(path, graph, scheme, T, beside)


def check_all(build: Callable[[Any], Any], target: str, scheme: str, path: Path) -> None:
    graph = graph_of(build)
    file = write(graph, target, scheme, path)
    stored = match_weights(target, file)
    assert stored is not None
    found = check_weights(target, graph, stored)
    assert found.verdict == "pass" and "not checked" not in found.note, found
    for one in stored:
        tensor = graph.weights[one.weight]
        other = (array_of(tensor) * np.float32(1.1)).tobytes()
        changed = {**graph.weights, one.weight: Tensor("F32", tensor.shape, other)}
        judging = replace(graph, weights=changed)
        seen = check_weights(target, judging, match_weights(target, replace(file, graph=judging)))
        assert seen.verdict == "fail" and one.where in seen.note, one.where


@pytest.mark.parametrize("what", SIZES)
@pytest.mark.parametrize("build", FEW, ids=lambda build: build.__name__)
def test_every_weight_is_read(build: Callable[[Any], Any], what: str, tmp_path: Path) -> None:
    target, scheme = what.split()
    if target == "tflm" and build is bidirectional_stack_masked:
        pytest.skip("a stack of both directions needs several timesteps at once")
    check_all(build, target, scheme, tmp_path / "file")


@pytest.mark.full
@pytest.mark.parametrize("what", SIZES)
@pytest.mark.parametrize("build", CASES, ids=lambda build: build.__name__)
def test_every_weight_of_every_case_is_read(
    build: Callable[[Any], Any], what: str, tmp_path: Path
) -> None:
    target, scheme = what.split()
    try:
        check_all(build, target, scheme, tmp_path / "file")
    except ConversionError as error:
        if target == "c" and scheme != "full-int8":
            raise
        pytest.skip(str(error))


def test_what_is_packed_can_be_unpacked() -> None:
    rng = np.random.default_rng(1)
    packed = rng.normal(size=(7, 128)).astype(np.float32)
    assert np.array_equal(untiled(tiled(packed, 64)), packed)
    values, scales, _ = tiled_int8(packed, 64)
    assert np.abs(untiled_int8(values, 7) * scales - packed).max() <= 0.501 * scales.max()


def test_a_file_that_is_no_blob_is_named(tmp_path: Path) -> None:
    graph = graph_of(lstm_classic)
    path = tmp_path / "weights.bin"
    data = write(graph, "c", "float32", path).path.read_bytes()
    for broken, said in ((b"x" + data, "holds no weights"), (data[: len(data) // 2], "end before")):
        path.write_bytes(broken)
        with pytest.raises(BundleDamaged, match=said):
            match_weights("c", StoredFile(path, graph, "float32", T))


def two_of_a_size(keras: Any) -> Any:
    layers = keras.layers
    first, second = layers.LSTM(6, return_sequences=True), layers.LSTM(6)
    ids = layers.Input((None,), dtype="int32")
    return keras.Sequential([ids, layers.Embedding(40, 5), first, second, layers.Dense(1)])


def test_fused_operators_may_share_a_constant(tmp_path: Path) -> None:
    graph = graph_of(two_of_a_size)
    # biases of the LSTMs
    zero = {
        name: replace(one, data=bytes(len(one.data)))
        for name, one in graph.weights.items()
        if one.shape == (24,)
    }
    assert len(zero) == 2
    graph = replace(graph, weights={**graph.weights, **zero})
    path = tmp_path / "file"
    file = write(graph, "tflm", "float32", path)
    found = check_weights("tflm", graph, match_weights("tflm", file))
    assert found.verdict == "pass" and "not checked" not in found.note, found


def test_a_scale_that_is_rounded_to_float32_is_no_fault() -> None:
    bias, scale = np.array([0.7313, -1.25, 1e-9]), 1.1e-9
    integers = np.rint(bias / scale).astype(np.int64)
    quantization = SimpleNamespace(scale=[float(np.float32(scale))], zeroPoint=[0])
    read = _read(SimpleNamespace(name="bias", quantization=quantization), integers)
    assert read.steps is not None
    assert np.all(np.abs(read.values - bias) <= 0.501 * read.steps)
    assert np.all(np.abs(read.values * 1.00001 - bias)[:2] > read.steps[:2])
