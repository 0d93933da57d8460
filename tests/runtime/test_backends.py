"""Backends: which engine opens an artifact, and what happens when it cannot."""

import importlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gatelet.errors import BackendError, BackendMissing
from gatelet.runtime import open_bundle
from gatelet.runtime.backends import TARGETS, installed_targets, open_backend
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.backends.targets import Engine, engine_module

IDS = np.arange(30).reshape(3, 10) % 50


def artifact(bundle: Path, target: str) -> Path:
    opened = open_bundle(bundle)
    return opened.path / next(a.path for a in opened.artifacts if a.target == target)


def expected(bundle: Path, ids: object) -> np.ndarray:
    graph = open_bundle(bundle).graph()
    found: np.ndarray = ReferenceBackend(graph).run({"ids": ids})["scores"]
    return found


def test_every_target_has_engines_and_all_are_installed_here() -> None:
    packages = ("c", "litert", "onnx", "onnx-text", "reference", "pure", "tflm")
    assert tuple(TARGETS) == (*packages, "wasm")
    assert installed_targets(*packages) == packages


@pytest.mark.parametrize("target", ["litert", "onnx"])
def test_a_backend_takes_batches_of_any_size_and_length(litert_bundle: Path, target: str) -> None:
    backend = open_backend(target, artifact(litert_bundle, target))
    assert backend.target == target
    for ids in (IDS, IDS[:1], IDS[:, :3], IDS.astype(np.int64), IDS.tolist(), IDS[::2, ::3]):
        found = backend.run({"ids": ids})
        assert list(found) == ["scores"]
        assert found["scores"].dtype == np.float32
        assert np.abs(found["scores"] - expected(litert_bundle, np.array(ids))).max() < 1e-6


@pytest.mark.parametrize(
    ("target", "engine"), [("litert", r"ai-edge-litert \d+\."), ("onnx", r"onnxruntime \d+\.")]
)
def test_a_backend_tells_its_engine_and_version(
    litert_bundle: Path, target: str, engine: str
) -> None:
    assert re.match(engine, open_backend(target, artifact(litert_bundle, target)).engine)


@pytest.mark.parametrize("target", ["litert", "onnx"])
def test_a_backend_works_again_after_a_failed_call(litert_bundle: Path, target: str) -> None:
    backend = open_backend(target, artifact(litert_bundle, target))
    right = backend.run({"ids": IDS})["scores"]
    with pytest.raises(BackendError, match=r"the engine .* failed: "):
        backend.run({"ids": IDS.reshape(3, 5, 2)})
    assert np.array_equal(backend.run({"ids": IDS})["scores"], right)


@pytest.mark.parametrize("content", [b"", b"x", b"\0" * 5000, b"\x20\0\0\0TFL3" + b"\xff" * 500])
@pytest.mark.parametrize("target", ["litert", "onnx"])
def test_a_file_of_another_kind_is_a_backend_error(
    tmp_path: Path, target: str, content: bytes
) -> None:
    (tmp_path / "model").write_bytes(content)
    with pytest.raises(BackendError, match=r"the engine .* cannot open 'model': ") as caught:
        open_backend(target, tmp_path / "model")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("target", ["litert", "onnx"])
def test_a_missing_file_is_a_backend_error(tmp_path: Path, target: str) -> None:
    with pytest.raises(BackendError, match="cannot open 'nothing'"):
        open_backend(target, tmp_path / "nothing")


def test_an_unknown_target_is_a_backend_error(tmp_path: Path) -> None:
    with pytest.raises(BackendError, match=r"target 'x' is not known .* known are c, litert, onnx"):
        open_backend("x", tmp_path)


def test_a_missing_engine_tells_the_pip_command(hide: Callable[..., None], tmp_path: Path) -> None:
    hide("onnxruntime", "ai_edge_litert", "tflite_runtime", "tflite_micro")
    assert [name for name in installed_targets() if name != "wasm"] == ["c", "reference", "pure"]
    for target in ("onnx", "litert"):
        with pytest.raises(BackendMissing) as caught:
            open_backend(target, tmp_path)
        command = f"pip install 'gatelet[{target}]'"
        assert str(caught.value) == f"the {target} backend is not installed: {command}"
        assert caught.value.facts == {"target": target, "command": command}


def test_tflite_runtime_is_used_where_ai_edge_litert_is_not(
    litert_bundle: Path, hide: Callable[..., None], module_folder: Path
) -> None:
    package = module_folder / "tflite_runtime"
    package.mkdir()
    (package / "__init__.py").write_text("__version__ = '2.14.0'\n")
    (package / "interpreter.py").write_text("from ai_edge_litert.interpreter import Interpreter\n")
    assert engine_module("litert") == "ai_edge_litert"
    hide("ai_edge_litert")
    backend = open_backend("litert", artifact(litert_bundle, "litert"))
    assert backend.engine == "tflite-runtime 2.14.0"
    assert np.abs(backend.run({"ids": IDS})["scores"] - expected(litert_bundle, IDS)).max() < 1e-6


def test_a_folder_that_has_the_name_of_an_engine_is_none(module_folder: Path) -> None:
    (module_folder / "empty_engine").mkdir()
    importlib.invalidate_caches()
    assert importlib.import_module("empty_engine")
    assert not Engine("empty_engine", "x").is_installed
    assert not Engine("surely_not_installed", "x").is_installed


def test_an_engine_that_cannot_be_imported_is_a_backend_error(
    module_folder: Path, monkeypatch: pytest.MonkeyPatch, litert_bundle: Path
) -> None:
    (module_folder / "broken_engine.py").write_text("raise ImportError('libGL.so: missing')\n")
    broken = replace(TARGETS["litert"], engines=(Engine("broken_engine", "litert"),))
    monkeypatch.setitem(TARGETS, "litert", broken)
    with pytest.raises(BackendError, match=r"broken_engine cannot open .* libGL.so: missing"):
        open_backend("litert", artifact(litert_bundle, "litert"))
