"""The c target of a bundle: first in the order, and what is used where it cannot be."""

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gatelet.errors import BackendError, BackendMissing
from gatelet.runtime import load

IDS = [[0, 0, 3, 4, 5, 6, 7, 8, 9, 10], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, write_bundle: Callable[..., Path]) -> Path:
    """Write the tiny bundle with onnx and c artifacts."""
    out = tmp_path_factory.mktemp("bundles") / "with-c"
    return write_bundle(out, artifacts=(("onnx", "float32"), ("c", "float32")))


@pytest.fixture
def no_library(written: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Return the bundle without its library, on a machine without a compiler."""
    manifest = written / "manifest.json"
    text = manifest.read_text("utf-8")
    found = json.loads(text)
    for entry in found["artifacts"]:
        roles = entry.get("companions", {})
        entry["companions"] = {r: p for r, p in roles.items() if not r.startswith("library:")}
    copied = tmp_path / "bundle"
    copied.mkdir()
    for path in written.iterdir():
        (copied / path.name).write_bytes(path.read_bytes())
    (copied / "manifest.json").write_text(json.dumps(found), "utf-8")
    monkeypatch.setenv("CC", "no-such-compiler")
    return copied


def test_it_is_the_first_in_the_order_and_agrees(written: Path) -> None:
    predictor = load(written)
    assert (predictor.target, predictor.scheme, predictor.note) == ("c", "float32", None)
    expected = np.asarray(load(written, target="reference").scores(IDS))
    for ids in (IDS, np.array(IDS), np.array(IDS * 50)):
        found = np.asarray(predictor.scores(ids))
        assert np.abs(found - np.resize(expected, found.shape)).max() < 1e-6


def test_without_a_library_and_a_compiler_the_next_target_is_used(no_library: Path) -> None:
    predictor = load(no_library)
    assert (predictor.target, predictor.scheme) == ("onnx", "float32")
    assert predictor.note is not None
    assert "no library for this machine, and no C compiler" in predictor.note
    assert predictor.note.endswith("using onnx float32")


def test_what_was_asked_for_is_not_replaced(no_library: Path) -> None:
    with pytest.raises(BackendMissing, match="no C compiler"):
        load(no_library, target="c")


def test_a_damaged_library_is_an_error_of_ours(written: Path, tmp_path: Path) -> None:
    from gatelet.runtime.backends.c.library import open_library

    path = tmp_path / "library.so"
    path.write_bytes(b"no library")
    with pytest.raises(BackendError, match="cannot be opened"):
        open_library(path)


def test_a_bundle_that_could_stream_starts_as_light_as_another(
    written: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copytree(written, tmp_path / "streams"))
    found = json.loads((path / "manifest.json").read_text("utf-8"))
    (c,) = (entry for entry in found["artifacts"] if entry["target"] == "c")
    c["companions"]["stream"] = c["companions"]["source"]
    c["stream"] = {"states": [{"input": "h", "output": "h2", "shape": [None, 4]}]}
    (path / "manifest.json").write_text(json.dumps(found), "utf-8")
    script = (
        "import sys; from gatelet.runtime import load; "
        f"print(load({str(path)!r}, target='c').predict(['w1'])[0].label); "
        "heavy = ('dataclasses', 'inspect', 'numpy', 'gatelet.runtime.graph.operations'); "
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    label, heavy = done.stdout.splitlines()
    assert label in ("0", "1")
    assert heavy == "[]"
