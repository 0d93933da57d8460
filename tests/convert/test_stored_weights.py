"""What c and tflm files store is read back, and any other weight is seen."""

import json
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.targets import TARGETS
from gatelet.convert.exporters.tflm.export import export_tflm
from gatelet.convert.lowering import lower
from gatelet.convert.parity.report import Check
from gatelet.convert.parity.stored.file import StoredFile
from gatelet.convert.parity.stored.match import check_weights, match_weights
from gatelet.convert.parity.stored.read_flatbuffers import _read
from gatelet.convert.passes.pad_skip import skip_padding
from gatelet.convert.reading import read_keras_object
from gatelet.convert.rows.calibration import choose_rows
from gatelet.convert.schemes import SCHEMES
from gatelet.errors import BundleDamaged, ConversionError
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.bundle.sections import check_sections as check_table
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
SCHEMES_OF_C = tuple(TARGETS["c"])
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
        return StoredFile(path, graph, sections=written.sections)
    made = export_tflm(model, SCHEMES[scheme])
    path.write_bytes(made.data)
    beside = {one.role: path.with_name(one.role) for one in made.companions}
    for one in made.companions:
        beside[one.role].write_bytes(one.data)
    return StoredFile(path, graph, beside)


def check_all(build: Callable[[Any], Any], target: str, scheme: str, path: Path) -> None:
    graph = graph_of(build)
    file = write(graph, target, scheme, path)
    stored = match_weights(target, file)
    assert stored is not None
    found = check_weights(target, stored)
    assert found.verdict == "pass" and "not checked" not in found.note, found
    for one in stored:
        tensor = graph.weights[one.weight]
        other = (array_of(tensor) * np.float32(1.1)).tobytes()
        changed = {**graph.weights, one.weight: Tensor("F32", tensor.shape, other)}
        judging = replace(graph, weights=changed)
        seen = check_weights(target, match_weights(target, replace(file, graph=judging)))
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


def test_a_blob_that_is_cut_off_is_named(tmp_path: Path) -> None:
    file = write(graph_of(lstm_classic), "c", "float32", tmp_path / "weights.bin")
    data = file.path.read_bytes()
    file.path.write_bytes(data[: len(data) // 2])
    with pytest.raises(BundleDamaged, match="the weights end before all"):
        match_weights("c", file)


def test_a_blob_that_is_moved_by_a_byte_holds_other_weights(tmp_path: Path) -> None:
    file = write(graph_of(lstm_classic), "c", "float32", tmp_path / "weights.bin")
    file.path.write_bytes(b"x" + file.path.read_bytes())
    assert check_weights("c", match_weights("c", file)).verdict == "fail"


def test_without_a_table_nothing_is_checked(tmp_path: Path) -> None:
    file = write(graph_of(lstm_classic), "c", "float32", tmp_path / "weights.bin")
    stored = match_weights("c", replace(file, sections=None))
    found = check_weights("c", stored)
    assert found.verdict == "not checked" and "an older gatelet wrote it" in found.note


def sections_of(file: StoredFile) -> list[dict[str, Any]]:
    """Return a copy of the table, as a manifest has it."""
    return list(json.loads(json.dumps(file.sections)))


def check_sections(file: StoredFile, sections: list[dict[str, Any]]) -> Check:
    judging = replace(file, sections=sections)
    return check_weights("c", match_weights("c", judging))


@pytest.mark.parametrize("scheme", SCHEMES_OF_C)
def test_a_table_that_swaps_two_weights_is_a_fault(scheme: str, tmp_path: Path) -> None:
    file = write(graph_of(two_of_a_size), "c", scheme, tmp_path / "weights.bin")
    sections = sections_of(file)
    first, second = (one for one in sections if one["weight"].endswith(".recurrent_kernel"))
    first["weight"], second["weight"] = second["weight"], first["weight"]
    found = check_sections(file, sections)
    assert found.verdict == "fail" and "recurrent_kernel of layer" in found.note


@pytest.mark.parametrize("scheme", SCHEMES_OF_C)
def test_a_weight_that_the_table_leaves_out_is_named(scheme: str, tmp_path: Path) -> None:
    file = write(graph_of(gru_reset_before_masked), "c", scheme, tmp_path / "weights.bin")
    sections = sections_of(file)
    at = [i for i, one in enumerate(sections) if one["weight"].endswith(".recurrent_kernel")]
    assert len(at) == 2, "the gates lie apart from the candidate"
    del sections[at[1]]
    found = check_sections(file, sections)
    assert found.verdict == "pass" and "not found in the file: recurrent_kernel" in found.note
    offset = sections[at[0]]["offset"]
    sections[at[0]]["offset"] = sections[0]["offset"]
    found = check_sections(file, sections)
    assert found.verdict == "fail" and "recurrent_kernel of layer" in found.note
    sections[at[0]] |= {"order": "spirals", "offset": offset}  # an order of a later gatelet
    found = check_sections(file, sections)
    assert found.verdict == "pass" and "not found in the file: recurrent_kernel" in found.note


def test_a_table_of_wide_steps_acquits_nothing(tmp_path: Path) -> None:
    file = write(graph_of(lstm_classic), "c", "dynamic-int8", tmp_path / "weights.bin")
    sections = sections_of(file)
    for one in sections:
        if one["weight"].endswith(".embeddings"):
            one |= {"dtype": "int8", "offset": 0, "shape": file.graph.weights[one["weight"]].shape}
            one |= {"scales": [], "step": 1e9}
    file.path.write_bytes(bytes(4096) + file.path.read_bytes()[4096:])
    found = check_sections(file, sections)
    assert "embeddings" in found.note, found


SPOILED: tuple[Any, ...] = (0, 1, 3, 2**40, 2**62, [], [0], [2, 3], [2**40, 2**40], "", "rows")


@pytest.mark.parametrize("scheme", SCHEMES_OF_C)
def test_a_spoiled_table_is_damage_or_a_fault(scheme: str, tmp_path: Path) -> None:
    file = write(graph_of(gru_reset_before_masked), "c", scheme, tmp_path / "weights.bin")
    rng = np.random.default_rng(3)
    right, seen = match_weights("c", file), Counter[str]()
    for _ in range(300):
        sections = sections_of(file)
        section = sections[rng.integers(len(sections))]
        scales = section.get("scales", [])
        places = [section, *scales, *(one["codes"] for one in scales if "codes" in one)]
        place = places[rng.integers(len(places))]
        key = str(rng.choice(sorted(set(place) - {"scales", "codes"})))
        place[key] = SPOILED[rng.integers(len(SPOILED))]
        try:
            check_table({"sections": sections})
        except ValueError:
            seen["refused"] += 1
            continue
        try:
            stored = match_weights("c", replace(file, sections=sections))
        except BundleDamaged:
            seen["damaged"] += 1
            continue
        assert stored is not None and right is not None
        seen[check_weights("c", stored).verdict] += 1
        for one, before in zip(stored, right, strict=True):
            if one.found is not None and one.steps_off <= 0.501:
                assert before.found is not None and np.array_equal(one.found, before.found), place
    assert min(seen[one] for one in ("refused", "damaged", "fail")) > 5, seen


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
    found = check_weights("tflm", match_weights("tflm", file))
    assert found.verdict == "pass" and "not checked" not in found.note, found


def test_a_scale_that_is_rounded_to_float32_is_no_fault() -> None:
    bias, scale = np.array([0.7313, -1.25, 1e-9]), 1.1e-9
    integers = np.rint(bias / scale).astype(np.int64)
    quantization = SimpleNamespace(scale=[float(np.float32(scale))], zeroPoint=[0])
    read = _read(SimpleNamespace(name="bias", quantization=quantization), integers)
    assert read.steps is not None
    assert np.all(np.abs(read.values - bias) <= 0.501 * read.steps)
    assert np.all(np.abs(read.values * 1.00001 - bias)[:2] > read.steps[:2])
