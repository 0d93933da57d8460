"""What TensorFlow's converter folds into a product is computed from the Graph, and compared."""

import importlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.parity.stored.file import StoredFile
from gatelet.convert.parity.stored.match import StoredWeight, check_weights, match_weights
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.bundle.opening import open_bundle
from gatelet.runtime.graph.graph import Graph, GraphInput, Node
from gatelet.runtime.graph.safetensors import Tensor

GOLDEN = Path(__file__).resolve().parent.parent / "golden" / "sensors" / "bundle"
DENSE, F, U = "n2_dense", 40, 33


def tensor(array: Any) -> Tensor:
    return Tensor("F32", array.shape, np.asarray(array, "<f4").tobytes())


def normalized(place: str) -> Graph:
    """Return the golden model with a normalisation before or behind its Dense."""
    graph = open_bundle(GOLDEN).graph()
    nodes = list(graph.nodes)
    at = next(i for i, node in enumerate(nodes) if node.name == DENSE)
    dense, rng = nodes[at], np.random.default_rng(2)
    taken = dense.inputs[0] if place == "before" else DENSE
    shape = graph.shape_of(taken)
    weights = {
        "norm.scale": tensor(rng.uniform(0.5, 2, (1, shape[-1] or 0))),
        "norm.shift": tensor(rng.normal(0, 1, (1, shape[-1] or 0))),
    }
    roles = {"scale": "norm.scale", "shift": "norm.shift"}
    norm = Node("norm", "Affine", (taken,), ("norm",), (shape,), roles)
    if place == "before":
        nodes[at : at + 1] = [norm, replace(dense, inputs=("norm",))]
    else:
        behind = [replace(one, inputs=("norm",)) for one in nodes[at + 1 :]]
        nodes[at + 1 :] = [norm, *behind]
    return replace(graph, nodes=tuple(nodes), weights={**graph.weights, **weights})


def folded(graph: Graph, place: str) -> tuple[Any, Any]:
    """Return the kernel and the bias that the Dense then has, in the arithmetic of float32."""
    w = {name: array_of(one) for name, one in graph.weights.items()}
    (dense,) = (node for node in graph.nodes if node.name == DENSE)
    kernel, bias = (w[dense.weights[role]] for role in ("kernel", "bias"))
    scale, shift = w["norm.scale"].reshape(-1), w["norm.shift"].reshape(-1)
    if place == "before":
        return scale[:, None] * kernel, shift @ kernel + bias
    return kernel * scale, bias * scale + shift


def written(path: Path, kernel: Any, bias: Any) -> Path:
    """Write the golden LiteRT file with other constants in its last product."""
    bundle = open_bundle(GOLDEN)
    (found,) = (a for a in bundle.artifacts if (a.target, a.scheme) == ("litert", "float32"))
    data = bytearray((bundle.path / found.path).read_bytes())
    schema = importlib.import_module("ai_edge_litert.schema_py_generated")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    main = model.subgraphs[0]
    kinds = [one.builtinCode for one in model.operatorCodes]
    products = [
        one
        for one in main.operators
        if kinds[one.opcodeIndex] == schema.BuiltinOperator.FULLY_CONNECTED
    ]
    for place, array in ((1, kernel.T), (2, bias)):
        buffer = model.buffers[main.tensors[products[-1].inputs[place]].buffer]
        array = np.ascontiguousarray(array, "<f4")
        assert len(buffer.data) == array.nbytes
        buffer.data = np.frombuffer(array.tobytes(), np.uint8)
    builder = importlib.import_module("flatbuffers").Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def compare(graph: Graph, path: Path) -> tuple[str, str, Mapping[str, StoredWeight]]:
    weights = match_weights("litert", StoredFile(path, graph))
    found = check_weights("litert", weights)
    return found.verdict, found.note, {one.weight: one for one in weights or ()}


PLACES = ("before", "behind")


@pytest.mark.parametrize("place", PLACES)
def test_a_folded_normalisation_is_verified(place: str, tmp_path: Path) -> None:
    graph = normalized(place)
    verdict, note, _ = compare(graph, written(tmp_path / "file", *folded(graph, place)))
    assert verdict == "pass" and note == "10 of 10 tensors", note


def test_what_is_found_computes_what_the_file_does(tmp_path: Path) -> None:
    for place in PLACES:
        graph = normalized(place)
        kernel, bias = folded(graph, place)
        path = written(tmp_path / "file", kernel * np.float32(1.01), bias + np.float32(0.5))
        verdict, _, found = compare(graph, path)
        assert verdict == "fail"
        as_read = {name: tensor(one.found) for name, one in found.items() if one.found is not None}
        again = folded(replace(graph, weights={**graph.weights, **as_read}), place)
        assert np.allclose(again[0], kernel * 1.01, atol=1e-5)
        assert np.allclose(again[1], bias + 0.5, atol=1e-5)


WRONG = {
    "a kernel that was not scaled": lambda k, b, own: (own[0], b),
    "a bias that was not shifted": lambda k, b, own: (k, own[1]),
    "columns in another order": lambda k, b, own: (k[:, ::-1], b),
    "a bias in another order": lambda k, b, own: (k, b[::-1]),
    "a thousandth": lambda k, b, own: (k * np.float32(1.001), b),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("fault", WRONG)
def test_what_is_folded_wrong_is_a_fault(fault: str, place: str, tmp_path: Path) -> None:
    graph = normalized(place)
    kernel, bias = folded(graph, place)
    own = [array_of(graph.weights[f"{DENSE}.{role}"]) for role in ("kernel", "bias")]
    wrong = WRONG[fault](kernel, bias, own)
    verdict, note, _ = compare(graph, written(tmp_path / "file", *wrong))
    assert verdict == "fail" and "of layer 'dense" in note, note


def chain(*ops: str) -> Graph:
    """Return an LSTM over features and then layers, a number of units or the name of each."""
    rng, weights, nodes = np.random.default_rng(1), {}, []
    value, width = "features", F
    for index, op in enumerate(("LSTM", *ops)):
        name = f"n{index}_{op.lower()}"
        attributes: dict[str, Any] = {}
        if op == "Affine":
            shapes: dict[str, tuple[int, ...]] = {"scale": (width,), "shift": (width,)}
        elif op == "LSTM":
            shapes = {"kernel": (F, 4 * U), "recurrent_kernel": (U, 4 * U), "bias": (4 * U,)}
            attributes = {"activation": "tanh", "recurrent_activation": "sigmoid"}
            attributes |= {"return_sequences": False}
            width = U
        elif op == "Dense":
            shapes = {"kernel": (width, U), "bias": (U,)}
        else:
            shapes, attributes = {}, {"activation": op}
            op = "Activation"
        for role, shape in shapes.items():
            low = 0.5 if role == "scale" else -1.0
            weights[f"{name}.{role}"] = tensor(rng.uniform(low, 1.5, shape))
        roles = {role: f"{name}.{role}" for role in shapes}
        nodes.append(Node(name, op, (value,), (name,), ((None, width),), roles, attributes))
        value = name
    features = GraphInput("features", "float32", (None, None, F))
    return Graph((features,), tuple(nodes), (value,), weights)


CHAINS = (
    ("Dense", "Affine"),
    ("Affine", "Dense"),
    ("Dense", "Affine", "Dense"),
    ("Dense", "Affine", "Affine", "relu", "Affine", "Dense"),
    ("Dense", "hard_sigmoid", "Dense"),
    ("Dense", "softplus", "Dense"),
)


@pytest.mark.parametrize("ops", CHAINS, ids=" ".join)
def test_the_converters_own_foldings_are_verified(ops: tuple[str, ...], tmp_path: Path) -> None:
    from gatelet.convert.exporters.litert.export import export_litert

    graph, path = chain(*ops), tmp_path / "file"
    for scheme in ("float32", "dynamic-int8"):
        path.write_bytes(export_litert(graph, SCHEMES[scheme]).data)
        verdict, note, _ = compare(graph, path)
        assert verdict == "pass" and "not checked" not in note, note
        for name, one in graph.weights.items():
            other = replace(one, data=(array_of(one) * np.float32(1.1)).tobytes())
            judging = replace(graph, weights={**graph.weights, name: other})
            assert compare(judging, path)[0] == "fail", name
