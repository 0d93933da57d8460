"""The target wasm: the weights of c, code that imports nothing, and what Node makes of them.

CI must have Node: GATELET_BROWSER=required makes its absence an error.
"""

import json
import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.c import export as c_export
from gatelet.convert.exporters.c import wasm_build
from gatelet.convert.exporters.c.wasm_export import export_wasm
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.parity.report import ParityReport
from gatelet.convert.passes.streaming import streaming_beside
from gatelet.convert.proving import prove
from gatelet.convert.schemes import SCHEMES
from gatelet.errors import BackendError, BackendMissing, BundleError, CompilerFailed
from gatelet.runtime import load
from gatelet.runtime.backends.backend import open_backend
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.backends.wasm.child import node_version
from gatelet.runtime.bundle.opening import open_bundle
from gatelet.runtime.predictor.predictor import Predictor
from tests.convert.exporters.c_builds import small_graph
from tests.convert.exporters.onnx_graphs import GraphMaker
from tests.fixture_types import WriteBundle
from tests.shared import made_once

SCHEMES_HERE = ("float32", "dynamic-int8", "full-int8")
pytestmark = pytest.mark.ci  # ziglang compiles each model twice
ARTIFACTS = (("onnx", "float32"), *(("wasm", scheme) for scheme in SCHEMES_HERE))
IMPORTS, EXPORTS = 2, 7
HOSTILE = [
    "w1 W2 zzz",
    "",
    "\0w3",
    "w4\u0130w5 \U0001f600",
    "w1" * 9_000,
    "\u03a3\u03a3 w6\u2028w7",
]


@pytest.fixture(scope="module", autouse=True)
def _needs_node() -> None:
    try:
        node_version()
    except BackendMissing as error:
        assert os.environ.get("GATELET_BROWSER") != "required", str(error)
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, write_bundle: WriteBundle) -> Path:
    """Write a bundle whose kernel is large enough to be rounded; not to be changed."""
    folder = made_once(
        tmp_path_factory,
        "wasm",
        lambda folder: write_bundle(folder / "wasm", artifacts=ARTIFACTS, units=32),
    )
    return folder / "wasm"


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    """Return a copy of it."""
    return Path(shutil.copytree(made, tmp_path / "wasm"))


def sections(code: bytes) -> dict[int, bytes]:
    """Return the sections of a module by their number."""

    def unsigned(at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            value |= (code[at] & 127) << shift
            at, shift = at + 1, shift + 7
            if code[at - 1] < 128:
                return value, at

    found, at = {}, 8
    while at < len(code):
        number = code[at]
        length, at = unsigned(at + 1)
        found[number] = code[at : at + length]
        at += length
    return found


def judged(bundle: Path) -> ParityReport:
    """Judge a bundle on made-up rows."""
    return prove(open_bundle(bundle), None, with_keras=False)


def test_has_the_weights_of_c_and_code_that_imports_nothing() -> None:
    graph = small_graph(units=32)
    model = Exportable(graph, graph, streaming=streaming_beside(graph, wanted=None))
    exported = export_wasm(model, SCHEMES["dynamic-int8"])
    written = c_export.write_model(model, SCHEMES["dynamic-int8"])
    assert exported.data == written.weights
    codes = {one.role: one.data for one in exported.companions}
    assert codes["stream"] == codes["code:simd"] != codes["code:plain"]
    for code in codes.values():
        assert IMPORTS not in sections(code)
        assert b"\x06memory\x02" in sections(code)[EXPORTS]


def test_two_exports_are_the_same_bytes() -> None:
    graph = small_graph()
    first, second = (export_wasm(Exportable(graph, graph), SCHEMES["float32"]) for _ in "ab")
    assert [one.data for one in first.companions] == [one.data for one in second.companions]


def test_says_in_one_sentence_that_it_needs_ziglang(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wasm_build, "compilers", lambda: {"cc": ["cc"]})
    graph = small_graph()
    with pytest.raises(CompilerFailed, match=r"pip install ziglang$"):
        export_wasm(Exportable(graph, graph), SCHEMES["float32"])


def code_alone(bundle: Path, scheme: str, role: str) -> Any:
    """Open an artifact with one code only."""
    artifact = next(
        one for one in open_bundle(bundle).artifacts if (one.target, one.scheme) == ("wasm", scheme)
    )
    path = bundle / artifact.companions[role]
    return open_backend("wasm", bundle / artifact.path, companions={role: path})


@pytest.mark.parametrize("scheme", ["float32", "dynamic-int8", "full-int8"])
def test_both_codes_give_the_same_bits(made: Path, scheme: str) -> None:
    rows = {"ids": np.random.default_rng(3).integers(0, 50, (9, 10)).astype(np.int32)}
    simd, plain = (code_alone(made, scheme, f"code:{kind}").run(rows) for kind in ("simd", "plain"))
    assert simd["scores"].tobytes() == plain["scores"].tobytes()
    assert np.ptp(simd["scores"]) > 1e-3


def test_scores_are_those_of_the_reference(made: Path) -> None:
    ids = np.random.default_rng(4).integers(0, 50, (9, 10))
    found = load(made, target="wasm", scheme="float32").scores(ids)
    np.testing.assert_allclose(found, load(made, target="reference").scores(ids), atol=1e-6)


def test_lists_give_what_arrays_give(made: Path) -> None:
    predictor = load(made, target="wasm", scheme="float32")
    ids = [[1, 2, 3], [4, 5, 6]]
    found = predictor.scores(ids)
    assert type(found) is list
    assert found == predictor.scores(np.array(ids)).tolist()


def test_reads_texts_as_the_vectorizer_does(made: Path) -> None:
    predictor = load(made, target="wasm", scheme="float32")
    vectorizer = open_bundle(made).vectorizer()
    assert predictor.reads_texts
    assert vectorizer is not None
    assert predictor.own_ids(HOSTILE) == [vectorizer.pad(text) for text in HOSTILE]


def test_steps_give_what_whole_sequences_give(made: Path) -> None:
    predictor = load(made, target="wasm", scheme="dynamic-int8")
    stream, ids = predictor.stream(), list(range(1, 9))
    stepped = [stream.step([one])[0] for one in ids]
    np.testing.assert_allclose(stepped[-1], predictor.scores([ids])[0], atol=2e-3)
    assert len({one[0] for one in stepped}) == len(ids)


def test_parity_judges_it_and_both_its_codes(made: Path) -> None:
    report = judged(made)
    own = [one for one in report.artifacts if one.target == "wasm"]
    assert [one.scheme for one in own] == ["float32", "dynamic-int8", "full-int8"]
    assert "fail" not in {one.verdict for one in own}
    assert own[0].verdict == "pass"
    for one in own:
        checks = {check.name: check for check in one.checks}
        asked = [check.by for check in one.checks if check.question == "computes" and check.by]
        assert "whole" in asked
        assert ("steps" in asked) == (one.scheme != "full-int8")
        assert checks["vocabulary"].verdict == "pass"
        assert checks["companions"].verdict == "pass"
    files = {one.what: one for one in report.files if one.what.startswith("wasm")}
    for kind in ("simd", "plain"):
        (told,) = [one for what, one in files.items() if what == f"wasm full-int8 code:{kind}"]
        assert (told.verdict, told.finding.by) == ("pass", "run")
        assert [run.level for run in told.finding.runs if run.level] == [kind]


@pytest.mark.parametrize("kind", ["simd", "plain"])
def test_parity_fails_the_code_of_another_model(
    copied: Path, kind: str, edit_manifest: Callable[..., None]
) -> None:
    manifest = json.loads((copied / "manifest.json").read_bytes())
    kept = [one for one in manifest["artifacts"] if one["target"] == "wasm"]
    mine, other = kept[0], kept[2]
    role = f"code:{kind}"
    assert mine["scheme"] == "float32"
    assert other["scheme"] == "full-int8"
    mine["companions"] = {**mine["companions"], role: other["companions"][role]}
    edit_manifest(copied, artifacts=[mine])
    report = judged(copied)
    assert report.verdict == "fail"


def test_is_never_chosen_by_itself(copied: Path, edit_manifest: Callable[..., None]) -> None:
    manifest = json.loads((copied / "manifest.json").read_bytes())
    own = [one for one in manifest["artifacts"] if one["target"] == "wasm"]
    edit_manifest(copied, artifacts=own)
    assert load(copied).target == "reference"
    assert load(copied, target="wasm").target == "wasm"
    with pytest.raises(BundleError, match="it has: wasm float32"):
        load(copied, scheme="dynamic-int8")


def test_without_node_parity_says_not_run(made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    report = judged(made)
    (one,) = [a for a in report.artifacts if (a.target, a.scheme) == ("wasm", "float32")]
    assert one.verdict == "not run"
    assert "Node.js 18" in one.note
    with pytest.raises(BackendMissing, match=r"install Node\.js 18 or later"):
        load(made, target="wasm")


@pytest.mark.skipif(sys.platform == "win32", reason="a script is no program there")
@pytest.mark.parametrize(
    ("answer", "told"),
    [('\\023\\0\\0\\0{"node": "16.20.2"}', "node is 16.20.2"), ("v16", "does not answer")],
)
def test_says_what_node_it_needs(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, answer: str, told: str
) -> None:
    script = tmp_path / "node"
    header = '{"node": "16.20.2", "bytes": []}'
    answer = f"\\0{len(header):o}\\0\\0\\0{header}" if "node" in answer else answer
    script.write_text(f"#!/bin/sh\nprintf '%b' '{answer}'\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackendMissing, match=told):
        load(made, target="wasm")


def test_threads_may_call_one_model(made: Path) -> None:
    predictor = load(made, target="wasm", scheme="float32")
    rows = [[[n, n + 1, n + 2]] for n in range(1, 30)]
    alone = [predictor.scores(one) for one in rows]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(predictor.scores, rows)) == alone


def _scores(predictor: Predictor, found: Any) -> None:
    found.put(predictor.scores([[1, 2]]))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_a_forked_process_has_a_child_of_its_own(made: Path) -> None:
    predictor = load(made, target="wasm", scheme="float32")
    context = multiprocessing.get_context("fork")
    found = context.SimpleQueue()
    process = context.Process(target=_scores, args=(predictor, found))
    process.start()
    process.join()
    assert process.exitcode == 0
    assert found.get() == predictor.scores([[1, 2]])


def test_a_child_that_was_killed_is_one_error_and_then_another_child(made: Path) -> None:
    predictor = load(made, target="wasm", scheme="float32")
    right = predictor.scores([[1, 2]])
    child: Any = predictor._backend
    child._child._process.kill()
    child._child._process.wait()
    with pytest.raises(BackendError, match="the engine node has ended"):
        predictor.scores([[1, 2]])
    assert predictor.scores([[1, 2]]) == right


@pytest.mark.parametrize(
    ("scheme", "settings"),
    [
        ("full-int8", {"outputs": 3, "timesteps": 10}),
        ("dynamic-int8", {"cell": "GRU", "reset_after": True, "units": 32}),
    ],
)
def test_models_of_features_are_judged_with_their_streams(
    tmp_path: Path, write_bundle: WriteBundle, scheme: str, settings: dict[str, Any]
) -> None:
    given = {"features": 3, "with_vectorizer": False, **settings}
    path = write_bundle(tmp_path / "it", artifacts=(("wasm", scheme),), **given)
    (one,) = judged(path).artifacts
    told = {check.name: check.verdict for check in one.checks}
    assert "fail" not in told.values()
    assert told["stream"] == told["companions"] == told["computes_whole"] == "pass"


def test_several_inputs_and_outputs_have_their_names(tmp_path: Path) -> None:
    maker = GraphMaker()
    ids = maker.input("ids", None, 4, vocabulary=9)
    numbers = maker.input("numbers", None, 4, 2)
    table = {"embeddings": maker.weight(9, 2)}
    x = maker.one("Embedding", [ids], (None, 4, 2), weights=table)
    total = maker.one("Add", [x, numbers], (None, 4, 2))
    graph = maker.finish(total, x)
    exported = export_wasm(Exportable(graph, graph), SCHEMES["float32"])
    (tmp_path / "weights").write_bytes(exported.data)
    companions = {}
    for one in exported.companions:
        companions[one.role] = tmp_path / one.stored_name
        companions[one.role].write_bytes(one.data)
    rows = {
        "ids": np.array([[1, 2, 3, 4], [8, 7, 0, 5]], np.int32),
        "numbers": np.arange(16, dtype=np.float32).reshape(2, 4, 2),
    }
    found = open_backend("wasm", tmp_path / "weights", companions=companions).run(rows)
    right = ReferenceBackend(graph).run(rows)
    assert list(found) == list(graph.outputs)
    for name in graph.outputs:
        np.testing.assert_allclose(found[name], right[name], atol=1e-6)
