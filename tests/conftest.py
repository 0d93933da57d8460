"""Fixtures that several folders of tests share."""

import hashlib
import json
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from gatelet.runtime.bundle.decisions import Decision
from gatelet.runtime.graph.graph import Graph, GraphInput, Node, Shape
from gatelet.runtime.graph.operations import GATES
from gatelet.runtime.graph.safetensors import Tensor, encode
from gatelet.runtime.vectorizer.tokenizer import Vectorizer
from tests import tiers
from tests.fixture_types import WriteBundle
from tests.shared import made_once

# before NumPy is imported: one thread for small matrices, and for each of several processes
for name in (
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
):
    os.environ.setdefault(name, "1")
# a machine that does other work beside is no fault of a test
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")
# before TensorFlow is imported: it multiplies images with channels first by oneDNN only, which is
# its default on processors with AVX-512 VNNI alone
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")


def pytest_configure() -> None:
    """Take Ctrl-C even where a shell started the tests in the background, which ignores it.

    The commands that tests start would inherit that, and those that are interrupted never end.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave files of slow tests unread in the fast tier; True means so, None asks others."""
    is_fast = "not ci" in config.option.markexpr
    return True if is_fast and tiers.is_slow_file(collection_path) else None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what the fast tier leaves out, before `-m` looks at the markers, and set the order."""
    tiers.arrange(items)


@dataclass(frozen=True)
class Quickstart:
    """What one real `gatelet quickstart` left."""

    bundle: Path
    run: Path
    stdout: str


@pytest.fixture(scope="session")
def quickstart(tmp_path_factory: pytest.TempPathFactory) -> Quickstart:
    """Run `gatelet quickstart` once: a model trained on reviews-en, and its bundle.

    Tests must not change it: copy the bundle first.
    """
    return quickstart_once(tmp_path_factory, "reviews-en")


def quickstart_once(factory: pytest.TempPathFactory, corpus: str) -> Quickstart:
    """Run `gatelet quickstart` on a corpus, once for all processes of this test run."""
    folder = made_once(
        factory, f"quickstart-{corpus}", lambda folder: run_quickstart(folder / "demo", corpus)
    )
    printed = (folder / "stdout").read_text("utf-8")
    return Quickstart(folder / "demo", folder / "demo-run", printed)


def run_quickstart(bundle: Path, corpus: str) -> None:
    """Run `gatelet quickstart`, and keep what it printed in `stdout` beside the bundle."""
    command = [sys.executable, "-m", "gatelet", "quickstart", "--corpus", corpus]
    done = subprocess.run(
        [*command, "--out", str(bundle)],
        check=False,
        capture_output=True,
        text=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    bundle.with_name("stdout").write_text(done.stdout, "utf-8")


VOCABULARY, UNITS = 50, 4
_DTYPES = {"ids": "int32", "features": "float32"}


@pytest.fixture(scope="session")
def write_bundle() -> WriteBundle:
    """Return a function that writes a bundle of a tiny LSTM with seeded weights, in milliseconds.

    Its vocabulary is w1 .. w48, with 10 timesteps.
    """
    return _write_bundle


@pytest.fixture(scope="session")
def written_bundle(tmp_path_factory: pytest.TempPathFactory, write_bundle: WriteBundle) -> Path:
    """Write that bundle once, with both onnx artifacts; tests that change it take `bundle`."""
    made = made_once(tmp_path_factory, "small", lambda folder: write_bundle(folder / "small"))
    return made / "small"


@pytest.fixture
def bundle(written_bundle: Path, tmp_path: Path) -> Path:
    """Return a copy of the tiny bundle."""
    return Path(shutil.copytree(written_bundle, tmp_path / "small"))


@pytest.fixture
def edit_manifest() -> Callable[..., None]:
    """Return a function that sets fields of a bundle's manifest; ... deletes one."""

    def edit(bundle: Path, **fields: object) -> None:
        path = bundle / "manifest.json"
        manifest = json.loads(path.read_bytes()) | fields
        kept = {key: value for key, value in manifest.items() if value is not ...}
        path.write_text(json.dumps(kept), "utf-8")

    return edit


@pytest.fixture
def put_part() -> Callable[[Path, str, bytes], None]:
    """Return a function that replaces a part of a bundle, with its digest: a consistent forgery."""

    def put(bundle: Path, key: str, data: bytes) -> None:
        path = bundle / "manifest.json"
        manifest = json.loads(path.read_bytes())
        for entry in (*manifest["files"], *manifest["artifacts"]):
            if entry["path"] == manifest.get(key) or entry.get("target") == key:
                (bundle / entry["path"]).write_bytes(data)
                entry |= {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        path.write_text(json.dumps(manifest), "utf-8")

    return put


def _write_bundle(
    out: Path,
    *,
    outputs: int = 1,
    labels: tuple[str, ...] | None = None,
    timesteps: int | None = None,
    features: int | None = None,
    artifacts: tuple[tuple[str, str], ...] = (("onnx", "float32"), ("onnx", "dynamic-int8")),
    max_batch: int | None = None,
    with_vectorizer: bool = True,
    stream: bool = False,
    decisions: tuple[Decision, ...] = (),
    cell: str = "LSTM",
    units: int = UNITS,
    **settings: Any,
) -> Path:
    import numpy as np

    from gatelet.convert.bundle.writer import BundleWriter, commit
    from gatelet.convert.exporters.artifacts import export_all, with_stream
    from gatelet.convert.exporters.exported import Exportable
    from gatelet.convert.passes.streaming import streaming_beside
    from gatelet.convert.rows.calibration import Calibration
    from gatelet.convert.schemes import SCHEMES
    from gatelet.convert.worker.worker import Worker
    from gatelet.runtime.backends.reference import ReferenceBackend
    from gatelet.runtime.graph.streaming import to_stream

    graph = _graph(
        outputs=outputs,
        timesteps=timesteps,
        features=features,
        cell=cell,
        units=units,
        settings=settings,
    )
    named = labels if labels is not None else tuple(str(i) for i in range(max(2, outputs)))
    stage = out.with_name(f"{out.name}-stage")
    stage.mkdir(parents=True)
    facts: dict[str, Any] = {"name": out.name, "labels": list(named), "threshold": 0.5}
    facts |= {"decisions": [one.to_json() for one in decisions]} if decisions else {}
    writer = BundleWriter(stage, facts)
    writer.add_part("graph", "graph", ".json", graph.to_json().encode())
    writer.add_part("weights", "weights", ".safetensors", encode(graph.weights))
    ids = np.arange(80).reshape(8, 10) % VOCABULARY
    rows = ids if features is None else ids[:, :, None] / np.full(features, 50.0)
    taken, dtype = graph.inputs[0].name, graph.inputs[0].dtype
    found = ReferenceBackend(graph, dtype=np.float64).run({taken: rows})["scores"]
    texts = [" ".join(f"w{i}" for i in row) for row in ids.tolist()]
    if with_vectorizer:
        writer.add_part("vectorizer", "vectorizer", ".json", _vectorizer().to_json().encode())
        rows = np.array([_vectorizer().pad(text) for text in texts])
        found = ReferenceBackend(graph, dtype=np.float64).run({taken: rows})["scores"]
    golden = {
        "texts": texts if with_vectorizer else None,
        "inputs": {taken: rows.tolist()},
        "outputs": {"scores": found.tolist()},
    }
    writer.add_part("golden", "golden", ".json", json.dumps(golden).encode())
    integers = any(SCHEMES[scheme].activations != "float32" for _, scheme in artifacts)
    model = Exportable(
        graph,
        graph,
        _vectorizer() if with_vectorizer else None,
        calibration=Calibration({taken: rows.astype(dtype)}, "these rows") if integers else None,
        streaming=streaming_beside(graph, wanted=None),
        decisions=decisions,
    )
    form = to_stream(graph) if stream else None
    model = replace(model, streaming=form or model.streaming, stream_files=stream)
    chosen = [(target, SCHEMES[scheme]) for target, scheme in artifacts]
    with Worker() as worker:
        for one in export_all(model, chosen, worker, optional=False, progress=lambda text: None):
            one = replace(one, exported=replace(one.exported, max_batch=max_batch))
            exported = with_stream(one, stem="stream")
            writer.add_exported(one.target, one.scheme.name, one.suffix, exported)
    writer.write_manifest({(t, s): {"verdict": "pass"} for t, s in artifacts})
    commit(stage, out)
    return out


def _vectorizer() -> Vectorizer:
    return Vectorizer.fit(
        [" ".join(f"w{i}" for i in range(1, VOCABULARY - 1))], num_words=VOCABULARY, maxlen=10
    )


def _graph(
    *,
    outputs: int,
    timesteps: int | None,
    features: int | None,
    cell: str = "LSTM",
    units: int = UNITS,
    settings: Mapping[str, Any] = MappingProxyType({}),
) -> Graph:
    """Make Embedding 3, LSTM 4, Dense and its activation; or the same without the Embedding."""
    generator = random.Random(11)
    weights: dict[str, Tensor] = {}

    def tensor(name: str, *shape: int) -> str:
        count = 1
        for size in shape:
            count *= size
        values = [generator.uniform(-1.5, 1.5) for _ in range(count)]
        weights[name] = Tensor("F32", shape, struct.pack(f"<{count}f", *values))
        return name

    def node(op: str, source: str, made: str, shape: Shape, *roles: str, **settings: Any) -> Node:
        used = {role: f"{made}.{role}" for role in roles}
        return Node(made, op, (source,), (made,), (shape,), used, settings)

    width = features or 3
    nodes = []
    if features is None:
        tensor("embedding.embeddings", VOCABULARY, width)
        shape = (None, timesteps, width)
        nodes.append(node("Embedding", "ids", "embedding", shape, "embeddings"))
    gates = GATES[cell] * units
    tensor("lstm.kernel", width, gates)
    tensor("lstm.recurrent_kernel", units, gates)
    tensor("lstm.bias", *((2,) if settings.get("reset_after") else ()), gates)
    tensor("dense.kernel", units, outputs)
    tensor("dense.bias", outputs)
    settings = {
        "activation": "tanh",
        "recurrent_activation": "sigmoid",
        "return_sequences": False,
        "return_state": False,
        "go_backwards": False,
        "zero_output_for_mask": False,
        **settings,
    }
    source = "features" if features else "embedding"
    roles = ("kernel", "recurrent_kernel", "bias")
    nodes.append(node(cell, source, "lstm", (None, units), *roles, **settings))
    nodes.append(node("Dense", "lstm", "dense", (None, outputs), "kernel", "bias"))
    activation = "sigmoid" if outputs == 1 else "softmax"
    nodes.append(node("Activation", "dense", "scores", (None, outputs), activation=activation))
    taken = (
        GraphInput("features", "float32", (None, timesteps, features))
        if features
        else GraphInput("ids", "int32", (None, timesteps), VOCABULARY)
    )
    return Graph((taken,), tuple(nodes), ("scores",), weights)


@pytest.fixture
def module_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder that modules are imported from, and forget those of engines afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    known = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - known:
        if name.split(".")[0] in ("tflite_runtime", "broken_engine", "empty_engine", "engine_x"):
            del sys.modules[name]
