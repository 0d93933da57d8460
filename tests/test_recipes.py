"""The recipes of CONTRIBUTING, followed: each touches the files that it names, and works.

Each is followed in a copy of the tree, whose own commands and conformance tests then judge it.
"""

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.tree_copy import ROOT, copied, tracked

MODEL = "tests/convert/reading/files/keras-3.0.5-sequential.keras"
IDS = np.arange(60).reshape(6, 10) % 12

# the conformance tests go through all cases: here through some of them, whichever file lists those
ONLY_SOME = """
import os
import tests.conformance.cases as cases
names = os.environ["ONLY_CASES"].split()
cases.CASES = tuple(case for case in cases.CASES if case.__name__ in names)
assert len(cases.CASES) == len(names), f"the conformance cases lack one of {names}"
"""


@dataclass(frozen=True)
class Tree:
    """A copy of the tree, and what it was before anything was added.

    Args:
        root: Its folder.
        aside: A folder for what is no part of it.
        before: The digest of each file.
    """

    root: Path
    aside: Path
    before: dict[str, str]

    def add(self, name: str, text: str) -> None:
        """Write a new file."""
        path = self.root / name
        assert not path.exists(), name
        path.write_text(text, "utf-8")

    def insert(self, name: str, *, after: str, text: str) -> None:
        """Put lines into a file behind a line that it has once."""
        path = self.root / name
        before = path.read_text("utf-8")
        assert before.count(after) == 1, f"{name} has {before.count(after)} lines {after!r}"
        path.write_text(before.replace(after, f"{after}{text}"), "utf-8")

    def touched(self) -> set[str]:
        """Return the files that were added or changed."""
        now = digests(self.root)
        assert set(self.before) <= set(now)
        return {name for name, digest in now.items() if self.before.get(name) != digest}

    def run(self, *command: str, **more: str) -> str:
        """Run Python in the tree, on its own gatelet, and return what it prints."""
        done = subprocess.run(
            [sys.executable, *command],
            cwd=self.root,
            capture_output=True,
            text=True,
            env={
                **os.environ,
                "PYTHONPATH": f"{self.root}{os.pathsep}{self.aside}",
                "PYTHONDONTWRITEBYTECODE": "1",
                **more,
            },
        )
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-6000:]
        return done.stdout

    def conformance(self, *files: str, cases: str, only: str) -> list[str]:
        """Run conformance tests of some cases, and return the names of those that passed."""
        (self.aside / "only_some.py").write_text(ONLY_SOME, "utf-8")
        report = self.aside / "report.xml"
        paths = [f"tests/conformance/{name}.py" for name in files]
        options = ["-p", "only_some", "-p", "no:cacheprovider", f"--junit-xml={report}"]
        chosen = ["-m", "not full", "-k", only]
        self.run("-m", "pytest", "-q", *options, *chosen, *paths, ONLY_CASES=cases)
        cases_of = ElementTree.parse(report).iter("testcase")
        return [one.attrib["name"] for one in cases_of if not list(one)]


def digests(folder: Path) -> dict[str, str]:
    names = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in names
        if "__pycache__" not in path.parts
    }


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    (tmp_path / "aside").mkdir()
    root = copied(tracked(), tmp_path / "tree")
    return Tree(root, tmp_path / "aside", digests(root))


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    path = tmp_path / "rows.npz"
    np.savez(path, x=IDS)
    return path


LAYER = '''\
"""EinsumDense: of the equation that is a Dense.

Not any other equation.
"""

from gatelet.convert.lowering.builder import GraphBuilder, Value, keep_mask
from gatelet.convert.lowering.settings import features_of, weight_roles
from gatelet.convert.reading.source import SourceLayer
from gatelet.errors import UnsupportedLayer


def lower_einsum_dense(
    layer: SourceLayer, inputs: list[Value], builder: GraphBuilder
) -> list[Value]:
    """Lower `keras.layers.EinsumDense`."""
    if layer.config["equation"] != "btf,fu->btu":
        raise UnsupportedLayer(f"layer '{layer.name}' (EinsumDense) has another equation")
    (x,) = inputs
    weights = weight_roles(layer, "kernel", "bias")
    assert weights["kernel"].shape[0] == features_of(layer, x)
    shape = (*x.shape[:-1], weights["kernel"].shape[1])
    value = builder.add("Dense", [x], shape=shape, source=layer, weights=weights)
    return [keep_mask(value, x)]
'''

CASE = """\
def einsum_dense(k: Keras) -> Model:
    layer = k.layers.EinsumDense("btf,fu->btu", output_shape=(None, 6), bias_axes="u")
    return of_features(k, layer, k.layers.GRU(4), k.layers.Dense(1))


"""


def test_a_layer_of_operations_that_exist_is_a_file_a_line_and_a_case(tree: Tree) -> None:
    tree.add("convert/lowering/einsum_dense.py", LAYER)
    table = "convert/lowering/lower.py"
    imported = "from gatelet.convert.lowering.dense import lower_dense\n"
    line = "from gatelet.convert.lowering.einsum_dense import lower_einsum_dense\n"
    tree.insert(table, after=imported, text=line)
    tree.insert(
        table,
        after='    "Dropout": lower_nothing,\n',
        text='    "EinsumDense": lower_einsum_dense,\n',
    )
    cases = "tests/conformance/layer_cases.py"
    marker = "LAYER_CASES: tuple[Case, ...] = (\n"
    tree.insert(cases, after=marker, text="    einsum_dense,\n")
    text = (tree.root / cases).read_text("utf-8").replace(marker, CASE + marker)
    (tree.root / cases).write_text(text, "utf-8")

    files = ("test_conformance", "test_conformance_c", "test_conformance_text", "test_tflm")
    passed = tree.conformance(*files, cases="einsum_dense", only="einsum_dense")

    assert "test_the_reference_gives_what_keras_gives[einsum_dense]" in passed
    assert {"test_pure[einsum_dense-False]", "test_c[einsum_dense-full-int8]"} <= set(passed)
    for target in ("litert", "onnx"):
        for scheme in ("float32", "dynamic-int8"):
            assert (
                f"test_an_artifact_gives_what_keras_gives[{target}-{scheme}-einsum_dense]" in passed
            )
    assert "test_tflm[einsum_dense-float32]" in passed
    assert "test_texts_give_what_their_ids_give[einsum_dense-float32-words]" in passed  # refused
    assert tree.touched() == {"convert/lowering/einsum_dense.py", table, cases}


SCHEME = """\
    "float16-emb4": Scheme(
        "float16-emb4", weights="float16", activations="float32", embeddings="int4"
    ),
"""
TOLERANCES = """\
    ("litert", "float16-emb4"): _ROUNDED,
    ("onnx", "float16-emb4"): _ROUNDED,
"""
LIMITS = """\
    ("litert", "float16-emb4"): Limit(0.05, 0.01, "11-bit weights beside the embedding"),
    ("onnx", "float16-emb4"): Limit(0.05, 0.01, "11-bit weights beside the embedding"),
"""


def test_a_scheme_of_types_that_targets_have_is_its_row_its_limits_and_those_of_the_cases(
    tree: Tree, rows: Path
) -> None:
    tree.insert("convert/schemes.py", after="SCHEMES = {\n", text=SCHEME)
    start = "TOLERANCES: dict[tuple[str, str], Limits] = {\n"
    tree.insert("convert/tolerances.py", after=start, text=TOLERANCES)
    tree.insert("tests/conformance/limits.py", after="\nLIMITS = {\n", text=LIMITS)

    only = "float16-emb4 or has_limits"
    passed = tree.conformance("test_conformance", cases="lstm_classic two_outputs", only=only)

    assert "test_every_target_and_scheme_has_limits_and_a_reason" in passed
    for target in ("litert", "onnx"):
        name = f"test_an_artifact_gives_what_keras_gives[{target}-float16-emb4-lstm_classic]"
        assert name in passed, passed
    bundle = tree.aside / "bundle"
    convert = ("-m", "gatelet", "convert", MODEL, "--no-keras", "--target", "onnx")
    told = tree.run(*convert, "--scheme", "float16-emb4", "--out", str(bundle), "--json")
    assert json.loads(told)["verdict"] in ("pass", "undecided")  # over made-up rows
    told = tree.run("-m", "gatelet", "inspect", str(bundle), "--json")
    (size,) = [one for one in json.loads(told)["sizes"] if one["name"] == "onnx float16-emb4"]
    assert len(size["parts"]) > 5  # it is no scheme of which all is rest
    told = tree.run("-m", "gatelet", "inspect", MODEL, "--json")
    prospects = json.loads(told)["lint"]["artifacts"]
    assert {one["target"] for one in prospects if one["scheme"] == "float16-emb4"} == {
        "litert",
        "onnx",
    }
    assert tree.touched() == {
        "convert/schemes.py",
        "convert/tolerances.py",
        "tests/conformance/limits.py",
    }


EXPORTER = '''\
"""Export to JSON: the Graph as it is, and its weights in base 64."""

import base64
import json

from gatelet.convert.exporters.exported import Exportable, Exported
from gatelet.convert.schemes import Scheme
from gatelet.runtime.graph.safetensors import encode


def export_graph_json(model: Exportable, scheme: Scheme) -> Exported:
    """Export a model."""
    weights = base64.b64encode(encode(model.graph.weights)).decode()
    text = json.dumps({"graph": model.graph.to_json(), "weights": weights})
    return Exported(text.encode(), tuple(sorted({node.op for node in model.graph.nodes})))
'''
EXPORTER_ROW = """\
    "graph-json": Exporter(
        export_graph_json,
        ".json",
        package="numpy",
        extra="convert",
        isolated=False,
        made="when named",
        numbers=(("float32", "float32"),),
        frames=(Frame(), Frame()),
        skips_padding=False,
    ),
"""
BACKEND = '''\
"""Runs Graphs that are stored as JSON, in NumPy."""

import base64
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path

from gatelet.runtime.backends.backend import AnyFile
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.graph.graph import graph_from_json
from gatelet.runtime.graph.safetensors import read


class GraphJsonBackend(ReferenceBackend):
    """A Graph in NumPy."""

    target = "graph-json"


def open_artifact(
    path: AnyFile, *, module: str, threads: int, companions: Mapping[str, AnyFile]
) -> GraphJsonBackend:
    """Open an artifact."""
    content = json.loads(path.read_bytes())
    with tempfile.NamedTemporaryFile() as file:
        file.write(base64.b64decode(content["weights"]))
        file.flush()
        weights = read(Path(file.name))
    return GraphJsonBackend(graph_from_json(content["graph"], weights, name=path.name))
'''
BACKEND_ROW = """\
    "graph-json": Target("graph_json", (Engine("numpy", "onnx"),), takes_arrays=True),
"""


def test_a_target_is_an_exporter_a_backend_a_row_on_each_side_and_its_limits(
    tree: Tree, rows: Path
) -> None:
    tree.add("convert/exporters/graph_json.py", EXPORTER)
    table = "convert/exporters/targets.py"
    imported = "from gatelet.convert.exporters.exported import Exportable, Exported\n"
    line = "from gatelet.convert.exporters.graph_json import export_graph_json\n"
    tree.insert(table, after=imported, text=line)
    tree.insert(table, after="EXPORTERS: dict[str, Exporter] = {\n", text=EXPORTER_ROW)
    start = "TOLERANCES: dict[tuple[str, str], Limits] = {\n"
    text = '    ("graph-json", "float32"): _EXACT,\n'
    tree.insert("convert/tolerances.py", after=start, text=text)
    tree.add("runtime/backends/graph_json.py", BACKEND)
    start = "TARGETS: dict[str, Target] = {\n"
    tree.insert("runtime/backends/targets.py", after=start, text=BACKEND_ROW)

    bundle = str(tree.aside / "bundle")
    convert = ("-m", "gatelet", "convert", MODEL, "--no-keras", "--out", bundle, "--json")
    told = tree.run(*convert, "--target", "graph-json", "--target", "onnx", "--scheme", "float32")
    verdicts = {one["target"]: one["verdict"] for one in json.loads(told)["artifacts"]}
    assert verdicts == {"graph-json": "pass", "onnx": "pass"}
    told = tree.run("-m", "gatelet", "parity", bundle, "--no-keras", "--json")
    assert {one["target"]: one["verdict"] for one in json.loads(told)["artifacts"]} == verdicts
    inspected = tree.run("-m", "gatelet", "inspect", bundle)
    assert "graph-json float32" in inspected
    doctor = json.loads(tree.run("-m", "gatelet", "doctor", bundle, "--json"))
    assert {one["target"] for one in doctor["artifacts"] if one["runs"]} >= {"graph-json", "onnx"}
    predict = ("-m", "gatelet", "predict", bundle, "--file", str(rows), "--json", "--target")
    scores = {
        target: [json.loads(line)["outputs"] for line in tree.run(*predict, target).splitlines()]
        for target in ("graph-json", "reference")
    }
    assert len(scores["reference"]) == len(IDS)
    assert scores["graph-json"] == scores["reference"]
    assert tree.touched() == {
        "convert/exporters/graph_json.py",
        "convert/tolerances.py",
        "runtime/backends/graph_json.py",
        "runtime/backends/targets.py",
        table,
    }


def test_a_linux_device_is_one_file(tree: Tree) -> None:
    like = tree.root / "devices/profiles/x86-64-linux.toml"
    text = like.read_text("utf-8").replace('title = "', 'title = "Toy: ')
    tree.add("devices/profiles/toy-board.toml", text)

    assert "toy-board" in tree.run("-m", "gatelet", "devices")
    assert "Toy: " in tree.run("-m", "gatelet", "devices", "toy-board")
    bundle = tree.aside / "bundle"
    convert = ("-m", "gatelet", "convert", MODEL, "--no-keras", "--device", "toy-board")
    tree.run(*convert, "--target", "c", "--scheme", "float32", "--out", str(bundle))
    manifest = json.loads((bundle / "manifest.json").read_bytes())
    (artifact,) = manifest["artifacts"]
    assert "library:x86_64-linux" in artifact["companions"]
    assert tree.touched() == {"devices/profiles/toy-board.toml"}


def test_contributing_names_the_files_that_its_recipes_touch() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    recipes = dict(part.split("\n", 1) for part in text.split("\n## ")[1:])
    named: dict[str, tuple[str, ...]] = {
        "Add a layer": (
            "convert/lowering/NAME.py",
            "convert/lowering/lower.py",
            "tests/conformance/layer_cases.py",
        ),
        "Add a scheme": (
            "convert/schemes.py",
            "convert/tolerances.py",
            "tests/conformance/limits.py",
        ),
        "Add a target": (
            "convert/exporters/targets.py",
            "convert/tolerances.py",
            "runtime/backends/targets.py",
        ),
        "Add a device": ("devices/profiles/NAME.toml",),
    }
    for recipe, files in named.items():
        for name in files:
            assert f"`{name}`" in recipes[recipe], (recipe, name)
            assert "NAME" in name or (ROOT / name).is_file(), name
