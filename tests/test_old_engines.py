"""Files run alike in tflite-runtime 2.14, in the onnxruntime of two years back, and without VNNI.

Each engine has an environment of its own, as on a device.
"""

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.targets import TARGETS, export
from gatelet.convert.parity.checks.behaviour import takes_few_timesteps
from gatelet.convert.passes import skip_padding
from gatelet.convert.schemes import SCHEMES
from gatelet.convert.worker.worker import Worker
from gatelet.runtime.backends import open_backend
from gatelet.runtime.bundle.opening import open_bundle
from gatelet.runtime.data.run import Run
from tests.conformance.layer_cases import batch_normalized
from tests.conformance.test_conformance import TELLING, prepared
from tests.conftest import Quickstart

pytestmark = pytest.mark.install

ROOT = Path(__file__).resolve().parent.parent
ROWS = 60
SAME = {"float32": 1e-5, "float16": 1e-5, "int8": 2e-3}
"""The largest difference between two versions of an engine, by the type of weights: int8 kernels
round activations, and a value between two steps may fall on either side."""

ONNXRUNTIMES = [
    "1.20.1",
    pytest.param(
        "1.18.1",
        marks=[
            pytest.mark.full,
            pytest.mark.skipif(sys.version_info >= (3, 13), reason="it has no wheel for 3.13"),
        ],
    ),
]
needs_python311 = pytest.mark.skipif(
    sys.version_info[:2] != (3, 11), reason="tflite-runtime has wheels for Python 3.11 at most"
)
Install = Callable[..., Path]


@pytest.fixture(scope="module")
def install(tmp_path_factory: pytest.TempPathFactory) -> Install:
    """Return a function that installs requirements in a fresh environment and gives its Python."""
    made: dict[tuple[str, ...], Path] = {}

    def run(*requirements: str) -> Path:
        if requirements not in made:
            folder = tmp_path_factory.mktemp("engine") / "venv"
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            python = folder / "bin" / "python"
            command = [str(python), "-m", "pip", "install", "--quiet", *requirements]
            subprocess.run(command, check=True, env=_plain_environment())
            made[requirements] = python
        return made[requirements]

    return run


def _plain_environment() -> dict[str, str]:
    hidden = ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {name: value for name, value in os.environ.items() if name not in hidden}


def run_in(python: Path, engine: str, folder: Path, *before: str) -> None:
    command = [*before, str(python), str(ROOT / "tests" / "old_engines.py"), engine, str(folder)]
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, env=_plain_environment()
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.fixture(scope="module")
def texts_model(quickstart: Quickstart) -> tuple[Exportable, Any]:
    """Return the trained model of the quickstart and ids of its test texts."""
    bundle = open_bundle(quickstart.bundle)
    graph, vectorizer = bundle.graph(), bundle.vectorizer()
    assert vectorizer is not None
    texts = Run.open(quickstart.run).test().texts[:ROWS]
    ids = np.array([vectorizer.pad(text) for text in texts], np.int32)
    return Exportable(graph, skip_padding(graph, timesteps=ids.shape[1])), ids


def write(folder: Path, name: str, target: str, scheme: str, model: Exportable, feed: Any) -> Path:
    suffix = ".tflite" if target == "litert" else ".onnx"
    path = folder / f"{name}-{scheme}{suffix}"
    with Worker() as worker:
        path.write_bytes(export(model, target, SCHEMES[scheme], worker).data)
    np.savez(path.with_suffix(".npz"), **feed)
    return path


def compare(path: Path, target: str, scheme: str, engine: str, feed: dict[str, Any]) -> None:
    """Compare with what the engine of this environment gives for the same rows."""
    backend = open_backend(target, path)
    limit = SAME[SCHEMES[scheme].weights]
    with np.load(path.with_name(f"{path.stem}-{engine}.npz")) as found:
        for index in range(len(next(iter(feed.values())))):
            row = {name: array[index : index + 1] for name, array in feed.items()}
            if "-open-" in path.name:
                row = {name: array[:, : 1 + index % array.shape[1]] for name, array in row.items()}
            for name, expected in backend.run(row).items():
                got = found[f"{name}-{index}"]
                scale = np.maximum(1, np.abs(expected))
                assert np.abs((got - expected) / scale).max() <= limit, (path.name, name, index)


@needs_python311
@pytest.mark.parametrize("scheme", ["float32-b1", "dynamic-int8-b1"])
def test_batch_1_files_run_in_tflite_runtime_whatever_the_order_of_lengths(
    install: Install, texts_model: tuple[Exportable, Any], scheme: str, tmp_path: Path
) -> None:
    model, ids = texts_model
    # of the trained model, rows of 1, 2, 3 ... timesteps; of the cases, all kinds of padding
    path = write(tmp_path, "trained-open-", "litert", scheme, model, {"ids": ids})
    written = [(path, {"ids": ids})]
    for build in (*TELLING, batch_normalized):
        case = prepared(build)
        feed = {name: array[:14] for name, array in case.inputs.items()}
        model = Exportable(case.graph, skip_padding(case.graph, timesteps=12))
        name = f"{build.__name__}{'-open-' if takes_few_timesteps(case.graph) else ''}"
        written.append((write(tmp_path, name, "litert", scheme, model, feed), feed))
    python = install("-r", str(ROOT / "constraints-tflite-runtime.txt"))
    run_in(python, "tflite-runtime", tmp_path)
    for path, feed in written:
        compare(path, "litert", scheme, "tflite-runtime", feed)


@pytest.mark.parametrize("version", ONNXRUNTIMES)
def test_the_onnxruntime_of_two_years_back_runs_every_scheme(
    install: Install, texts_model: tuple[Exportable, Any], version: str, tmp_path: Path
) -> None:
    model, ids = texts_model
    feed = {"ids": ids}
    schemes = TARGETS["onnx"]
    paths = {s: write(tmp_path, "trained", "onnx", s, model, feed) for s in schemes}
    python = install(f"onnxruntime=={version}", "numpy<2" if version < "1.19" else "numpy")
    run_in(python, "onnxruntime", tmp_path)
    for scheme, path in paths.items():
        compare(path, "onnx", scheme, "onnxruntime", feed)


@pytest.mark.skipif(platform.machine() != "x86_64", reason="emulates an x86 without VNNI")
@pytest.mark.parametrize("scheme", ["dynamic-int8", "dynamic-int8-emb4"])
def test_int8_gives_the_same_on_a_processor_without_vnni(
    install: Install, texts_model: tuple[Exportable, Any], scheme: str, tmp_path: Path
) -> None:
    emulator = shutil.which("qemu-x86_64") or shutil.which("qemu-x86_64-static")
    if emulator is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no qemu-x86_64: apt-get install qemu-user")
        pytest.skip("no qemu-x86_64: apt-get install qemu-user")
    model, ids = texts_model
    feed = {"ids": ids[:8]}
    path = write(tmp_path, "trained", "onnx", scheme, model, feed)
    python = install("onnxruntime==1.20.1", "numpy")
    run_in(python, "onnxruntime", tmp_path, emulator, "-cpu", "Haswell")
    compare(path, "onnx", scheme, "onnxruntime", feed)
