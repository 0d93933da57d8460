"""What is read of a bundle is checked before, and a start through c reads what it uses."""

import hashlib
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatelet.errors import BackendError, BundleDamaged, BundleError, GateletError
from gatelet.runtime import load, open_bundle
from gatelet.runtime.backends.c import backend as c
from gatelet.runtime.backends.c.library import open_library
from gatelet.runtime.backends.host import host_platform
from gatelet.runtime.bundle.contents import Contents, sha256_for
from gatelet.runtime.bundle.manifest import BundleFile

LIBRARY = f"library:{host_platform()}"


@pytest.fixture
def bundle(every_target_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(every_target_bundle, tmp_path / "bundle"))


def name_of(bundle: Path, part: str) -> str:
    """Return the file of a part, of a target, or of a role of the c artifact."""
    opened = open_bundle(bundle, all_digests=False)
    if part in opened.manifest:
        return str(opened.manifest[part])
    artifacts = {artifact.target: artifact for artifact in opened.artifacts}
    return artifacts[part].path if part in artifacts else artifacts["c"].companions[part]


def flip(bundle: Path, part: str) -> str:
    """Change a bit in the middle of a file."""
    name = name_of(bundle, part)
    data = bytearray((bundle / name).read_bytes())
    data[len(data) // 2] ^= 1
    (bundle / name).write_bytes(data)
    return name


@pytest.mark.parametrize("part", ["c", LIBRARY, "vocabulary", "graph"])
def test_no_byte_that_c_uses_is_opened_with_a_wrong_digest(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    name = flip(bundle, part)
    if part != "graph":
        monkeypatch.setattr(c, "open_library", lambda *_, **__: pytest.fail("it was opened"))
    for probe in (False, True):
        with pytest.raises(BundleDamaged, match=f"'{name}' has sha256 .* the manifest says"):
            load(bundle, target="c", probe=probe)


@pytest.mark.parametrize("part", ["weights", "golden", "vectorizer", "onnx", "litert", "source"])
def test_what_c_does_not_use_is_checked_by_whoever_reads_it(bundle: Path, part: str) -> None:
    if part == "source":  # C's, not Keras'
        artifact = next(a for a in open_bundle(bundle).artifacts if a.target == "c")
        (bundle / artifact.companions["source"]).write_bytes(b"int main;")
        with pytest.raises(BundleDamaged, match="should have"):
            load(bundle, target="c")
        return
    right = load(bundle, target="c").predict(["w1 w2"])
    name = flip(bundle, part)
    message = f"'{name}' has sha256 .* the manifest says"
    with pytest.raises(BundleDamaged, match=message):
        open_bundle(bundle)
    for target in ("onnx", "reference", "pure"):
        with pytest.raises(BundleDamaged, match=message):
            load(bundle, target=target)
    predictor = load(bundle, target="c")
    assert predictor.predict(["w1 w2"]) == right
    reads: dict[str, Callable[[], Any]] = {
        "weights": predictor.bundle.graph,
        "golden": predictor.bundle.golden,
        "vectorizer": lambda: predictor.explain("w1"),
    }
    if part in reads:
        with pytest.raises(BundleDamaged, match=message):
            reads[part]()


@pytest.mark.parametrize("part", ["weights", "golden", "onnx", "c"])
@pytest.mark.parametrize("how", ["longer", "missing", "folder", "pipe", "link out"])
def test_a_start_looks_at_the_place_and_length_of_every_file(
    bundle: Path, tmp_path: Path, part: str, how: str
) -> None:
    path = bundle / name_of(bundle, part)
    data = path.read_bytes()
    path.unlink()
    if how == "longer":
        path.write_bytes(data + b"\0")
    elif how == "folder":
        path.mkdir()
    elif how == "pipe":
        os.mkfifo(path)
    elif how == "link out":
        (tmp_path / "outside").write_bytes(data)
        path.symlink_to(tmp_path / "outside")
    with pytest.raises(BundleError, match=r"has more|is missing|cannot be read|link out of"):
        load(bundle, target="c")


def test_a_file_that_changes_after_its_check_is_not_taken(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights, opening = bundle / name_of(bundle, "c"), open_library

    def open_and_change(*given: Any, **named: Any) -> Any:
        weights.write_bytes(weights.read_bytes())
        return opening(*given, **named)

    monkeypatch.setattr(c, "open_library", open_and_change)
    with pytest.raises(BundleDamaged, match="changed while it was opened"):
        load(bundle, target="c")


def test_a_forged_vocabulary_is_refused_by_its_own_head(bundle: Path) -> None:
    """C follows the offsets in it, so a right digest in the manifest is not enough."""
    path = bundle / name_of(bundle, "vocabulary")
    data = bytearray(path.read_bytes())
    for place in (24, 64, len(data) // 2, len(data) - 1):
        forged = bytearray(data)
        forged[place] ^= 0x80
        path.write_bytes(forged)
        if place == 24:  # zeros behind the digest: nothing reads them
            continue
        with pytest.raises(BackendError, match="is damaged: convert again"):
            c._vocabulary(path)
    path.write_bytes(data[:64])
    with pytest.raises(BackendError, match="is damaged"):
        c._vocabulary(path)


@pytest.mark.parametrize("count", [0, 1, 2**16, 2**16 + 1, 300_000])
def test_each_sha256_is_sha256(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    data = bytes(range(256)) * (count // 256 + 1)
    data = data[:count]
    (tmp_path / "file").write_bytes(data)
    right = BundleFile("file", count, hashlib.sha256(data).hexdigest())
    wrong = BundleFile("file", count, hashlib.sha256(data + b"x").hexdigest())
    for loaded in (True, False):
        if not loaded:
            monkeypatch.delitem(sys.modules, "_hashlib", raising=False)
        Contents(tmp_path, [right]).check()
        with pytest.raises(BundleDamaged, match="has sha256"):
            Contents(tmp_path, [wrong]).check("file")
    assert sha256_for(2**30) is hashlib.sha256
    assert sha256_for(0)().name == "sha256"


def test_a_name_that_the_manifest_does_not_list_is_refused(bundle: Path) -> None:
    (bundle / "more").write_bytes(b"x")
    opened = open_bundle(bundle)
    with pytest.raises(GateletError):
        opened.check_unchanged("more")
