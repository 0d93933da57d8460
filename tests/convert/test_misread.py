"""Where a file computes what the Graph does, and what is read from it does not, it is misread."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.c import build as building
from gatelet.convert.parity import ArtifactReport
from gatelet.convert.parity.checks.blame import scores_with
from gatelet.convert.parity.checks.misread import doubt_reading
from gatelet.convert.parity.report import Check
from gatelet.convert.parity.stored.file import StoredFile
from gatelet.convert.parity.stored.match import StoredWeight, check_weights
from gatelet.convert.parity.stored.program import Program
from gatelet.convert.parity.stored.readers import READERS
from gatelet.convert.proving import prove
from gatelet.convert.rows.rows import Rows
from gatelet.runtime.backends.reference import array_of, run_graph
from gatelet.runtime.bundle.opening import open_bundle
from gatelet.runtime.graph.graph import Graph, GraphInput, Node
from gatelet.runtime.graph.safetensors import Tensor
from tests.fixture_types import WriteBundle

SETTINGS = {
    "LSTM": {"activation": "tanh", "recurrent_activation": "sigmoid", "return_sequences": False}
}
ROWS = {"features": np.random.default_rng(4).normal(0, 1, (20, 3, 5)).astype(np.float32)}


def graph_of() -> Graph:
    """Return a recurrence, a normalisation and a product."""
    rng = np.random.default_rng(3)
    shapes: dict[str, dict[str, tuple[int, ...]]] = {
        "LSTM": {"kernel": (5, 16), "recurrent_kernel": (4, 16), "bias": (16,)},
        "Affine": {"scale": (4,), "shift": (4,)},
        "Dense": {"kernel": (4, 4), "bias": (4,)},
    }
    weights: dict[str, Tensor] = {}
    nodes, value = [], "features"
    for op, of_roles in shapes.items():
        name = op.lower()
        for role, shape in of_roles.items():
            data = rng.normal(0, 0.5, shape).astype("<f4").tobytes()
            weights[f"{name}.{role}"] = Tensor("F32", shape, data)
        roles = {role: f"{name}.{role}" for role in of_roles}
        nodes.append(Node(name, op, (value,), (name,), ((None, 4),), roles, SETTINGS.get(op, {})))
        value = name
    taken = GraphInput("features", "float32", (None, None, 5))
    return Graph((taken,), tuple(nodes), (value,), weights)


def read(graph: Graph, weight: str, factor: float) -> tuple[StoredWeight, ...]:
    """Return the weights as they are read: one of them times a factor."""
    found = []
    for node in graph.nodes:
        for role, name in node.weights.items():
            array = array_of(graph.weights[name]).astype(np.float64)
            is_off = name == weight and factor != 1
            found.append(
                StoredWeight(node, role, name, array * (factor if is_off else 1), 9.0 * is_off)
            )
    return tuple(found)


def scores(graph: Graph, weights: tuple[StoredWeight, ...] = ()) -> Any:
    if weights:
        return scores_with(graph, Rows(ROWS), {one.weight: one for one in weights})
    return run_graph(graph, ROWS, dtype=np.float64)["dense"]


def judged(weights: tuple[StoredWeight, ...], file: Any, limit: float) -> tuple[Any, Check]:
    graph = graph_of()
    oracle: Any = SimpleNamespace(inputs=Rows(ROWS), scores=scores(graph))
    check = check_weights("litert", weights)
    assert check.verdict == "fail"
    return doubt_reading(graph, oracle, file, weights, check, limit=limit)


WEIGHTS = {
    "lstm.recurrent_kernel": "recurrent_kernel of layer 'lstm'",
    "affine.shift": "shift of layer 'affine'",
    "dense.kernel": "kernel of layer 'dense'",
}
each_weight = pytest.mark.parametrize("weight", WEIGHTS)
each_factor = pytest.mark.parametrize("factor", [1.01, 2.0, -1.0])


@each_weight
@each_factor
def test_a_reader_that_is_wrong_blames_no_file(weight: str, factor: float) -> None:
    right = scores(graph_of()).astype(np.float32)
    weights, found = judged(read(graph_of(), weight, factor), right, 1e-5)
    assert weights is None and found.verdict == "not checked"
    assert f"this gatelet misreads them ({WEIGHTS[weight]}" in found.note


@each_weight
@each_factor
def test_a_file_that_computes_what_is_read_from_it_is_to_blame(weight: str, factor: float) -> None:
    weights = read(graph_of(), weight, factor)
    file = scores(graph_of(), weights).astype(np.float32)
    for limit in (1e-5, 10.0):  # an integer scheme's limit hides a fault
        found = judged(weights, file, limit)
        assert found[0] == weights and found[1].verdict == "fail"


def test_noise_of_a_scheme_is_no_reason_to_doubt() -> None:
    weights = read(graph_of(), "lstm.recurrent_kernel", 1.01)
    noise = np.random.default_rng(0).normal(0, 0.02, (20, 4))
    found = judged(weights, scores(graph_of(), weights) + noise, 0.1)
    assert found[1].verdict == "fail"


@pytest.mark.parametrize("factor", [1.01, -1.0])
def test_parity_blames_no_file_for_a_reader_that_is_wrong(
    factor: float, bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = READERS["onnx"]

    def misreading(file: StoredFile) -> Program:
        program = real(file)
        assert isinstance(program, Program)
        wrong = {
            name: replace(one, values=one.values * factor) if "dense" in name else one
            for name, one in program.constants.items()
        }
        return replace(program, constants=wrong)

    monkeypatch.setitem(READERS, "onnx", misreading)
    found = prove(open_bundle(bundle), with_keras=False).artifacts[0]
    assert (found.scheme, found.verdict, found.diagnosis) == ("float32", "pass", ()), found.checks
    (check,) = (one for one in found.checks if one.name == "weights")
    assert check.verdict == "not checked"
    assert "this gatelet misreads them (kernel of layer 'dense'" in check.note


def leave_out_a_section(bundle: Path, patch: pytest.MonkeyPatch) -> None:
    """Let the manifest say neither where a kernel lies nor that the library steps."""
    path = bundle / "manifest.json"
    manifest = json.loads(path.read_bytes())
    (entry,) = manifest["artifacts"]
    del entry["stream"], entry["companions"]["stream"]
    entry["sections"] = [one for one in entry["sections"] if one["weight"] != "dense.kernel"]
    path.write_text(json.dumps(manifest), "utf-8")


def read_nothing(bundle: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setitem(READERS, "litert", lambda file: [])


def uninstall_onnx(bundle: Path, patch: pytest.MonkeyPatch) -> None:
    patch.setitem(sys.modules, "onnx", None)


HIDES = {"c": leave_out_a_section, "litert": read_nothing, "onnx": uninstall_onnx}


@pytest.mark.parametrize(
    ("target", "scheme"), [("c", "float32"), ("litert", "float32"), ("onnx", "float16")]
)
def test_a_kernel_that_nobody_saw_leaves_its_file_undecided(
    target: str,
    scheme: str,
    write_bundle: WriteBundle,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(building, "FLAGS", ("-O1", *building.FLAGS[2:]))
    timesteps = 10 if target == "litert" else None  # of a closed time no steps are followed
    artifacts = ((target, scheme),)
    path = write_bundle(tmp_path / "b", artifacts=artifacts, timesteps=timesteps)

    def proved() -> ArtifactReport:
        return prove(open_bundle(path), with_keras=False).artifacts[0]

    assert proved().verdict == "pass"
    HIDES[target](path, monkeypatch)
    found = proved()
    assert found.verdict == "undecided", found.checks
    (check,) = (one for one in found.checks if one.verdict == "undecided")
    assert "kernel of layer 'dense'" in check.note
    assert ("kernel of layer 'lstm'" in check.note) == (target != "c")


def test_a_file_of_float32_needs_no_reader_where_its_package_is_not_installed(
    write_bundle: WriteBundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_bundle(tmp_path / "b", artifacts=(("onnx", "float32"),))
    uninstall_onnx(path, monkeypatch)
    assert prove(open_bundle(path), with_keras=False).artifacts[0].verdict == "pass"
