"""What C models store in fewer bytes: scales told by a byte, states as lines between a few."""

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.c.blob import lines_of
from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.c.files import render
from gatelet.convert.exporters.c.stored import c_weight_bytes
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.quantize import coded_rows, quantize_int4, quantize_levels
from gatelet.convert.layouts import INT4_MIDDLE
from gatelet.convert.parity.report import Check
from gatelet.convert.parity.stored.file import StoredFile
from gatelet.convert.parity.stored.match import check_weights, match_weights
from gatelet.convert.passes import skip_padding
from gatelet.convert.schemes import SCHEMES
from gatelet.errors import BundleDamaged
from gatelet.runtime.backends.c.backend import CBackend
from gatelet.runtime.backends.c.library import open_library
from gatelet.runtime.backends.reference import ReferenceBackend, array_of
from gatelet.runtime.data.rounding import ROUNDED, settled_kernel, settled_table
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.safetensors import Tensor
from tests.conformance.c_builds import Build
from tests.convert.exporters.c_builds import build, small_graph
from tests.convert.exporters.onnx_graphs import GraphMaker

RNG = np.random.default_rng(8)
T = 40


@pytest.fixture(autouse=True)
def numbers_of_its_own() -> None:
    """Let each test draw the same numbers, whichever tests run before it."""
    RNG.bit_generator.state = np.random.default_rng(8).bit_generator.state


def decay(timesteps: int, units: int) -> np.ndarray:
    """Return states that approach a fixed point, as those of padding do."""
    end, rate = RNG.normal(size=units), RNG.uniform(0.5, 0.9, units)
    return (end * (1 - rate ** np.arange(timesteps)[:, None])).astype("<f4")


def read_lines(table: np.ndarray) -> np.ndarray:
    """Return every row of a table as its lines have it."""
    lines, rows = lines_of(table), np.arange(len(table))
    columns = [np.interp(rows, lines.knots, values) for values in lines.values.T]
    return np.stack(columns, axis=1) * lines.unit


@pytest.mark.parametrize("spread", [0.0, 0.3, 3.0, 12.0])
@pytest.mark.parametrize("rows", [1, 200, 3000])
def test_a_byte_tells_a_scale_that_cuts_nothing_off(rows: int, spread: float) -> None:
    sizes = np.exp(RNG.normal(size=(rows, 1)) * spread)
    table = (RNG.normal(size=(rows, 9)) * sizes).astype(np.float32)
    table[::7] = 0
    values, codes, codebook = coded_rows(table)
    scales = codebook[codes][:, None]
    assert len(codebook) <= 256 and np.isfinite(scales).all() and (scales > 0).all()
    assert np.abs(values * scales.astype(float) - table).max(initial=0) <= 0.501 * scales.max()
    assert (np.abs(table / scales - values) <= 0.501).all()
    if spread <= 3:  # 256 scales are near each other, however the rows' sizes differ
        used = np.abs(values[table.any(axis=1)]).max(axis=1, initial=0)
        assert (used >= 120).all()


def test_rows_of_nothing_and_of_the_smallest_numbers_have_a_scale() -> None:
    for table in (np.zeros((3, 4)), np.full((2, 4), 1e-45), np.full((400, 2), 1e-39)):
        values, codes, codebook = coded_rows(table.astype(np.float32))
        assert np.isfinite(codebook).all() and (codebook > 0).all()
        assert np.abs(values * codebook[codes][:, None] - table).max() <= 1e-38


@pytest.mark.parametrize("timesteps", [2, 3, 101, 257])
def test_states_are_never_far_from_their_lines(timesteps: int) -> None:
    noise = RNG.normal(size=(timesteps, 5)).astype("<f4")
    for table in (decay(timesteps, 6), noise, np.zeros((timesteps, 3), "<f4")):
        off = np.abs(read_lines(table) - table).max()
        assert off <= 1.5001 / 127 * np.abs(table).max()
    assert len(lines_of(decay(257, 6)).knots) < 40


def with_weights(graph: Graph, replaced: dict[str, np.ndarray]) -> Graph:
    weights = {
        name: Tensor("F32", array.shape, array.astype("<f4").tobytes())
        for name, array in replaced.items()
    }
    return replace(graph, weights={**graph.weights, **weights})


def test_what_is_stored_is_what_runs(tmp_path: Path) -> None:
    graph = small_graph(vocabulary=400)  # whose kernels are too small to be rounded
    skipping = skip_padding(graph, timesteps=T)
    tables = {name: array_of(one) for name, one in skipping.weights.items()}
    name = next(node.weights["embeddings"] for node in graph.nodes if node.op == "Embedding")
    levels, multiples, unit = quantize_int4(tables[name])
    stored = {n: read_lines(one) for n, one in tables.items() if n.endswith(".table")}
    assert len(stored) == 2
    stored[name] = (levels - INT4_MIDDLE) * multiples * unit
    written, library = build(Exportable(graph, skipping), tmp_path, scheme="dynamic-int8-emb4")
    (tmp_path / "w.bin").write_bytes(written.weights)
    backend = CBackend(open_library(library), tmp_path / "w.bin", engine="c")
    exact, rounded = ReferenceBackend(graph), ReferenceBackend(with_weights(skipping, stored))
    for pads in range(T):
        ids = RNG.integers(1, 400, (3, T)).astype(np.int32)
        ids[:, :pads] = 0
        (found,) = backend.run({"ids": ids}).values()
        assert np.abs(found - rounded.run({"ids": ids})[graph.outputs[0]]).max() < 2e-6
        assert np.abs(found - exact.run({"ids": ids})[graph.outputs[0]]).max() < 0.1


def quickstart_graph() -> Graph:
    """Return a model of the quickstart's shape."""
    maker = GraphMaker(scale=0.05)
    ids = maker.input("ids", None, None, vocabulary=10_000)
    table = {"embeddings": maker.weight(10_000, 64)}
    x = maker.one("Embedding", [ids], (None, None, 64), weights=table)
    (h,) = maker.recurrence("LSTM", [x], features=64, units=64)
    y = maker.one("Dense", [h], (None, 1), weights={"kernel": maker.weight(64, 1)})
    return maker.finish(maker.one("Activation", [y], (None, 1), activation="sigmoid"))


def test_a_scheme_is_as_small_as_its_bits_say() -> None:
    graph = quickstart_graph()
    model = Exportable(graph, skip_padding(graph, timesteps=100))
    floats, eight, four = (
        len(write_model(model, SCHEMES[name]).weights)
        for name in ("float32", "dynamic-int8", "dynamic-int8-emb4")
    )
    assert eight <= 0.27 * floats
    assert four <= 0.15 * floats and four <= 0.5 * eight


FEW_BITS = {"dynamic-int4-emb2": 200_000, "dynamic-int4-emb1": 120 * 1024}
"""Schemes of few bits, and the most bytes of the quickstart's model."""


def settled_graph(graph: Graph, scheme: str) -> Graph:
    """Return a model whose weights are those that a scheme stores."""
    bits = ROUNDED[scheme]
    weights = {}
    for name, tensor in graph.weights.items():
        if name.endswith("embeddings"):
            weights[name] = settled_table(array_of(tensor), bits.embeddings)
        elif name.endswith("kernel"):
            weights[name] = settled_kernel(array_of(tensor), bits.kernels)
    return with_weights(graph, weights)


@pytest.mark.parametrize("scheme", FEW_BITS)
def test_a_model_of_settled_weights_computes_what_its_floats_do_at_every_level(
    scheme: str, tmp_path: Path
) -> None:
    graph = settled_graph(quickstart_graph(), scheme)
    skipping = skip_padding(graph, timesteps=T)
    exact = {n: read_lines(array_of(one)) for n, one in skipping.weights.items() if ".table" in n}
    ids = RNG.integers(1, 10_000, (5, T)).astype(np.int32)
    ids[0, :17], ids[1, :] = 0, 0
    expected = ReferenceBackend(with_weights(skipping, exact)).run({"ids": ids})[graph.outputs[0]]
    found = []
    for level in ("plain", "v2", "v3", "v4"):
        one = Build("gcc", "-O2", level)
        if not one.is_possible():
            continue
        (tmp_path / level).mkdir()
        model = Exportable(graph, skipping)
        written, library = build(model, tmp_path / level, scheme=scheme, flags=one.flags)
        path = tmp_path / level / "w.bin"
        path.write_bytes(written.weights)
        assert len(written.weights) <= FEW_BITS[scheme]
        assert c_weight_bytes(skipping, SCHEMES[scheme]) == pytest.approx(
            len(written.weights), rel=0.001
        )
        check = check_weights(
            "c", match_weights("c", StoredFile(path, graph, sections=written.sections))
        )
        assert (check.verdict, check.figure) == ("pass", 0.0) and "not found" not in check.note
        (scores,) = CBackend(open_library(library), path, engine="c").run({"ids": ids}).values()
        assert np.abs(scores - expected).max() < 3e-5
        found.append(np.asarray(scores))
    assert found and all(np.abs(one - found[0]).max() < 1e-6 for one in found)


@pytest.mark.parametrize("scheme", FEW_BITS)
def test_weights_of_few_bits_that_are_others_are_seen(scheme: str, tmp_path: Path) -> None:
    written = Written(tmp_path, scheme)
    assert written.check(written.data).verdict == "pass"
    _, multiples, unit = quantize_levels(written.table, ROUNDED[scheme].embeddings)
    one_row = np.where(np.arange(400)[:, None] == 17, 255 - multiples, multiples)
    units = np.array([unit], "<f4")
    for old, new in ((multiples, one_row), (units, units * 1.2), (multiples, multiples[::-1])):
        found = written.check(written.with_bytes(old, new))
        assert found.verdict == "fail" and "embeddings" in found.note
    at = next(one for one in written.sections if one["weight"].endswith("embeddings"))["offset"]
    edited = bytearray(written.data)
    edited[at + 40] ^= 0x55  # levels
    found = written.check(bytes(edited))
    assert found.verdict == "fail" and "embeddings" in found.note


def test_kernels_of_4_bits_lie_two_in_a_byte_and_their_sums_are_looked_at(tmp_path: Path) -> None:
    graph = features_graph()
    data, sections = sections_of("dynamic-int4-emb1", graph)
    fed, carried, behind = (sections[name] for name in kernel_names(graph))
    assert (fed["dtype"], fed["order"]) == ("int8", "tiles") and "sums" not in fed
    assert all(one["order"] == "nibbles" and "sums" in one for one in (carried, behind))
    assert c_weight_bytes(graph, SCHEMES["dynamic-int4-emb1"]) == len(data)
    for offset, step in ((carried["offset"], 16), (behind["sums"]["offset"], 1)):
        edited = bytearray(data)
        edited[offset + 5] ^= step
        (tmp_path / "w.bin").write_bytes(edited)
        file = StoredFile(tmp_path / "w.bin", graph, sections=list(sections.values()))
        assert check_weights("c", match_weights("c", file)).verdict == "fail"


class Written:
    """The blob of a model with a large embedding, and what parity says of changed ones."""

    def __init__(self, folder: Path, scheme: str, *, equal: bool = False) -> None:
        graph = small_graph(vocabulary=400)
        name = next(node.weights["embeddings"] for node in graph.nodes if node.op == "Embedding")
        sizes = np.geomspace(0.1, 1, 400)[:, None]
        self.table = (array_of(graph.weights[name]) * sizes).astype("<f4")
        if equal:
            self.table = np.tile(self.table[-1:], (400, 1))
        self.graph = with_weights(graph, {name: self.table})
        self.path = folder / "w.bin"
        model = Exportable(self.graph, skip_padding(self.graph, timesteps=T))
        written = write_model(model, SCHEMES[scheme])
        self.data, self.sections = written.weights, written.sections

    def check(self, data: bytes) -> Check:
        self.path.write_bytes(data)
        file = StoredFile(self.path, self.graph, sections=self.sections)
        return check_weights("c", match_weights("c", file))

    def with_bytes(self, old: np.ndarray, new: np.ndarray) -> bytes:
        assert self.data.count(old.tobytes()) == 1
        return self.data.replace(old.tobytes(), new.astype(old.dtype).tobytes())


def test_a_scale_of_8_bits_that_is_another_is_seen(tmp_path: Path) -> None:
    written = Written(tmp_path, "dynamic-int8")
    assert written.check(written.data).verdict == "pass"
    _, codes, codebook = coded_rows(written.table)
    one_row = np.where(np.arange(400) == 17, 255 - codes, codes)
    for old, new in ((codes, one_row), (codebook, codebook * 1.02), (codes, np.roll(codes, 1))):
        found = written.check(written.with_bytes(old, new))
        assert found.verdict == "fail" and "embeddings" in found.note


def test_a_scale_of_4_bits_that_is_another_is_seen(tmp_path: Path) -> None:
    written = Written(tmp_path, "dynamic-int8-emb4")
    assert written.check(written.data).verdict == "pass"
    _, multiples, unit = quantize_int4(written.table)
    one_row = np.where(np.arange(400)[:, None] == 17, 255 - multiples, multiples)
    units = np.array([unit], "<f4")
    for old, new in ((multiples, one_row), (units, units * 1.2), (multiples, multiples[::-1])):
        found = written.check(written.with_bytes(old, new))
        assert found.verdict == "fail" and "embeddings" in found.note


def test_a_code_without_a_scale_is_damage(tmp_path: Path) -> None:
    same = Written(tmp_path, "dynamic-int8", equal=True)
    codes = np.zeros(400, np.uint8)
    assert same.check(same.data).verdict == "pass"
    with pytest.raises(BundleDamaged, match="no scale among"):
        same.check(same.with_bytes(codes, codes + 1))


FIRST = ("LSTM", "GRU", "Dense", "Conv1D", "Masking")
"""What features as the user feeds them meet first."""


def features_graph(first: str = "LSTM", *, units: int = 40, hidden: int = 48) -> Graph:
    """Return a recurrence over features, with another layer before it or not, and two Dense."""
    maker, mask, cell = GraphMaker(), None, "GRU" if first == "GRU" else "LSTM"
    x, features = maker.input("x", None, None, 30), 30
    if first == "Masking":
        mask = maker.one("MaskFeatures", [x], (None, None), mask_value=0.5)
        x = maker.one("ApplyMask", [x], (None, None, features), mask=mask)
    elif first in ("Dense", "Conv1D"):
        shape: tuple[int, ...] = (features, units)
        more: dict[str, Any] = {}
        if first == "Conv1D":
            shape = (3, features, units)
            more = {"strides": 1, "dilation_rate": 1, "groups": 1, "padding": "causal"}
        weights = {"kernel": maker.weight(*shape)}
        y = maker.one(first, [x], (None, None, units), weights=weights, **more)
        x, features = maker.one("Activation", [y], (None, None, units), activation="tanh"), units
    (h,) = maker.recurrence(cell, [x], features=features, units=units, mask=mask)
    weights = {"kernel": maker.weight(units, hidden)}
    y = maker.one("Dense", [h], (None, hidden), weights=weights)
    y = maker.one("Activation", [y], (None, hidden), activation="tanh")
    weights = {"kernel": maker.weight(hidden, 2)}
    return maker.finish(maker.one("Dense", [y], (None, 2), weights=weights))


def kernel_names(graph: Graph) -> tuple[str, str, str]:
    """Return the kernel that meets features, the recurrent one, and that of a Dense behind it."""
    kernels = [node.weights["kernel"] for node in graph.nodes if "kernel" in node.weights]
    (recurrent,) = (name for name in graph.weights if name.endswith(".recurrent_kernel"))
    return kernels[0], recurrent, kernels[-2]


def sections_of(scheme: str, graph: Graph) -> tuple[bytes, dict[str, Mapping[str, Any]]]:
    """Return a model's blob, and its sections by the weight."""
    written = write_model(Exportable(graph, graph), SCHEMES[scheme])
    return written.weights, {one["weight"]: one for one in written.sections}


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize(
    ("scheme", "recurrent"),
    [("dynamic-int8", ("int8", "fours")), ("dynamic-int8-rec16", ("int16", "pairs"))],
)
def test_kernels_have_the_types_of_their_scheme(
    scheme: str, recurrent: tuple[str, str], first: str
) -> None:
    graph = features_graph(first)
    data, sections = sections_of(scheme, graph)
    fed, carried, behind = (sections[name] for name in kernel_names(graph))
    # what meets features has no sums, since they are not rounded
    assert (fed["dtype"], fed["order"]) == ("int8", "tiles") and "sums" not in fed
    assert (carried["dtype"], carried["order"]) == recurrent
    assert ("sums" in carried) == (scheme == "dynamic-int8")
    assert (behind["dtype"], behind["order"]) == ("int8", "fours") and "sums" in behind
    floats, _ = sections_of("float32", graph)
    assert len(data) < 0.6 * len(floats)
    assert c_weight_bytes(graph, SCHEMES[scheme]) == len(data)


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("scheme", ["dynamic-int8", "dynamic-int8-rec16"])
def test_features_of_any_size_are_not_rounded(scheme: str, first: str, tmp_path: Path) -> None:
    graph = features_graph(first)
    name, *_ = kernel_names(graph)
    kernel = array_of(graph.weights[name]).copy()
    kernel[..., 0, :] = 0  # a feature that counts for nothing, but for the scale of its row
    graph = with_weights(graph, {name: kernel})
    written, library = build(Exportable(graph, graph), tmp_path, scheme=scheme)
    (tmp_path / "w.bin").write_bytes(written.weights)
    file = StoredFile(tmp_path / "w.bin", graph, sections=written.sections)
    stored = {one.weight: one.found for one in match_weights("c", file) or ()}
    assert all(one is not None for one in stored.values())
    rounded = with_weights(graph, {n: one for n, one in stored.items() if one is not None})
    x = RNG.normal(size=(3, 7, 30)).astype(np.float32)
    x[:, :, 0] *= 1e4  # beside which the others would be lost
    (found,) = (
        CBackend(open_library(library), tmp_path / "w.bin", engine="c").run({"x": x}).values()
    )
    expected = ReferenceBackend(rounded).run({"x": x})[graph.outputs[0]]
    assert np.abs(found - expected).max() < 1e-3


SUMMED = {
    "of an LSTM": ("LSTM", 40, 1, "recurrent_kernel of layer"),
    "of a GRU": ("GRU", 40, 1, "recurrent_kernel of layer"),
    "of a Dense": ("LSTM", 40, 2, "kernel of layer 'n1_dense'"),
    "of several chunks": ("LSTM", 300, 1, "recurrent_kernel of layer"),
}
"""The first layer, its units, which kernel has the sums, and its name."""


@pytest.mark.parametrize("case", SUMMED)
def test_a_sum_that_is_another_is_seen_though_this_processor_reads_none(
    case: str, tmp_path: Path
) -> None:
    first, units, which, named = SUMMED[case]
    graph = features_graph(first, units=units)
    data, sections = sections_of("dynamic-int8", graph)
    summed = sections[kernel_names(graph)[which]]
    sums = summed["sums"]
    assert sums["shape"][0] == (2 if units > 256 else 1)
    path = tmp_path / "w.bin"
    for changed in (None, 0, 37, int(np.prod(sums["shape"])) - 1):
        edited = bytearray(data)
        if changed is not None:
            edited[sums["offset"] + 2 * changed] ^= 1
        path.write_bytes(edited)
        file = StoredFile(path, graph, sections=list(sections.values()))
        check = check_weights("c", match_weights("c", file))
        assert check.verdict == ("pass" if changed is None else "fail")
        assert (named in check.note) == (changed is not None)
    wrong = {**summed, "sums": {**sums, "shape": [3, 80]}}
    with pytest.raises(BundleDamaged, match="its sums are"):
        match_weights("c", StoredFile(path, graph, sections=[wrong]))
    wrong = {**summed, "order": "tiles", "sums": sums}
    with pytest.raises(BundleDamaged):
        match_weights("c", StoredFile(path, graph, sections=[wrong]))


def test_a_model_has_the_products_that_it_needs() -> None:
    graph = features_graph(hidden=8)  # too few to be rounded
    for scheme, needed in (
        ("float32", set()),
        ("dynamic-int8", {"product_int8", "product_bytes"}),
        ("dynamic-int8-rec16", {"product_int16", "product_bytes"}),
    ):
        model = Exportable(graph, graph)
        written = write_model(model, SCHEMES[scheme])
        source = render(written, model, SCHEMES[scheme])["source"]
        products = ("product_int8", "product_int16", "product_bytes")
        found = {name for name in products if f"GATELET_KERNEL void gatelet_{name}(" in source}
        assert {name for name in products if name in written.kernels} == needed <= found
        # not GATELET_HAS_KIND(one), which is of activations
        flags = re.findall(r"^#define GATELET_HAS_(\w+) ", source, re.MULTILINE)
        assert sorted(f"product_{flag.lower()}" for flag in flags) == sorted(needed)
