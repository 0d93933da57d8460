"""A bundle is committed by one rename, so a reader or a crash sees the old one or the new."""

import hashlib
import json
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatelet.convert.bundle.writer import BundleWriter, commit
from gatelet.errors import OutputError
from gatelet.runtime.bundle.opening import open_bundle
from gatelet.runtime.predictor.loading import load

IDS = [[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]]


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory, write_bundle: Callable[..., Path]) -> Path:
    return write_bundle(tmp_path_factory.mktemp("old") / "old")


@pytest.fixture(scope="module")
def new(tmp_path_factory: pytest.TempPathFactory, write_bundle: Callable[..., Path]) -> Path:
    """Return a bundle of another model: it has two outputs."""
    return write_bundle(tmp_path_factory.mktemp("new") / "new", outputs=2)


@pytest.fixture
def stage(tmp_path: Path, new: Path) -> Path:
    return Path(shutil.copytree(new, tmp_path / "stage"))


@pytest.fixture
def out(tmp_path: Path, old: Path) -> Path:
    return Path(shutil.copytree(old, tmp_path / "out"))


def files_of(bundle: Path) -> set[str]:
    return {path.name for path in bundle.iterdir()}


def outputs_of(bundle: Path) -> int:
    """Return which of the two bundles this is, by its predictions."""
    return len(load(bundle).scores(IDS)[0])


# ---- Writing -----------------------------------------------------------------------------


def test_files_are_named_by_their_content(tmp_path: Path) -> None:
    writer = BundleWriter(tmp_path, {})
    path = writer.add_part("graph", "graph", ".json", b"{}")
    digest = hashlib.sha256(b"{}").hexdigest()
    assert path.name == f"graph-{digest[:12]}.json"
    assert path.read_bytes() == b"{}"
    writer.add_artifact("onnx", "float32", ".onnx", b"abc", ops=["LSTM"], max_batch=None)
    (entry,) = writer.artifacts
    assert entry["path"].startswith("onnx-float32-")
    assert (entry["bytes"], entry["ops"]) == (3, ["LSTM"])
    assert entry["sha256"] == hashlib.sha256(b"abc").hexdigest()


def test_the_manifest_names_every_part_and_marks_artifacts(tmp_path: Path) -> None:
    writer = BundleWriter(tmp_path, {"name": "demo", "labels": ["a", "b"]})
    writer.add_part("graph", "graph", ".json", b"{}")
    for scheme in ("float32", "dynamic-int8"):
        writer.add_artifact("onnx", scheme, ".onnx", scheme.encode())
    writer.write_manifest({("onnx", "float32"): {"verdict": "fail", "checks": []}})
    manifest = json.loads((tmp_path / "manifest.json").read_bytes())
    assert manifest["format_version"] == 1
    assert manifest["name"] == "demo"
    assert manifest["graph"] == manifest["files"][0]["path"]
    assert manifest["golden"] is None
    verdicts = [one["parity"] for one in manifest["artifacts"]]
    assert verdicts == [{"verdict": "fail", "checks": []}, {"verdict": "not run"}]


def test_a_manifest_holds_no_number_that_json_does_not_know(tmp_path: Path) -> None:
    writer = BundleWriter(tmp_path, {"threshold": float("nan")})
    with pytest.raises(ValueError, match="not JSON compliant"):
        writer.write_manifest({})
    assert files_of(tmp_path) == set()


# ---- Committing --------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["missing", "empty"])
def test_a_new_bundle_takes_a_free_place(tmp_path: Path, stage: Path, place: str) -> None:
    out = tmp_path / "out"
    if place == "empty":
        out.mkdir()
    names = files_of(stage)
    commit(stage, out)
    assert files_of(out) == names
    assert outputs_of(out) == 2
    assert not stage.exists()


def test_a_bundle_replaces_a_bundle_and_its_files(out: Path, stage: Path) -> None:
    names = files_of(stage)
    commit(stage, out)
    assert files_of(out) == names
    assert outputs_of(out) == 2
    assert not stage.exists()


def test_the_same_bundle_again_changes_nothing(tmp_path: Path, out: Path) -> None:
    stage = Path(shutil.copytree(out, tmp_path / "again"))
    names = files_of(out)
    commit(stage, out)
    assert files_of(out) == names
    assert outputs_of(out) == 1


def test_files_that_are_not_ours_stay(out: Path, stage: Path) -> None:
    others = {"README.md", "notes-2024.txt", "graph-xyz.json", ".git", "graph-0123456789ab.d"}
    for name in others - {".git", "graph-0123456789ab.d"}:
        (out / name).write_text("mine")
    (out / ".git").mkdir()
    (out / "graph-0123456789ab.d").mkdir()
    (out / "graph-0123456789ab.json").write_text("left by a killed conversion")
    names = files_of(stage)
    commit(stage, out)
    assert files_of(out) == names | others


@pytest.mark.parametrize("what", ["folder", "file"])
def test_a_place_that_is_something_else_is_refused(tmp_path: Path, stage: Path, what: str) -> None:
    out = tmp_path / "out"
    if what == "folder":
        out.mkdir()
        (out / "thesis.txt").write_text("mine")
    else:
        out.write_text("mine")
    with pytest.raises(OutputError, match=r"cannot write the bundle '.*out'"):
        commit(stage, out)
    assert (out / "thesis.txt" if what == "folder" else out).read_text() == "mine"


class Killed(BaseException):
    """Ends a commit where a signal would: no handler of ours catches it."""


def kill_at(monkeypatch: pytest.MonkeyPatch, call: int) -> list[str]:
    """Raise Killed before the given call, counted from 0, that changes the file system."""
    calls: list[str] = []

    def counted(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            if len(calls) == call:
                raise Killed
            calls.append(name)
            return real(*args, **kwargs)

        return run

    for name in ("replace", "rename", "unlink", "rmdir", "mkdir"):
        monkeypatch.setattr(os, name, counted(name, getattr(os, name)))
    return calls


def test_killed_before_any_step_the_old_bundle_or_the_new_is_there(
    tmp_path: Path, old: Path, new: Path
) -> None:
    seen, call = [], 0
    while True:
        out = Path(shutil.copytree(old, tmp_path / f"out{call}"))
        stage = Path(shutil.copytree(new, tmp_path / f"stage{call}"))
        with pytest.MonkeyPatch.context() as monkeypatch:
            calls = kill_at(monkeypatch, call)
            try:
                commit(stage, out)
            except Killed:
                finished = False
            else:
                finished = True
        if finished:
            break
        seen.append(outputs_of(out))
        again = Path(shutil.copytree(new, tmp_path / f"again{call}"))
        commit(again, out)
        assert files_of(out) == files_of(new), f"killed before call {call}: {calls}"
        assert outputs_of(out) == 2
        call += 1
    # files go first, one rename each at least; those that both bundles have stay
    manifest = seen.index(2) - 1
    assert manifest >= len(files_of(new) - files_of(old))
    assert seen == [1] * (manifest + 1) + [2] * (len(seen) - manifest - 1)
    assert calls[manifest] == "replace"


def test_a_file_that_both_bundles_have_is_left_as_it_is(old: Path, stage: Path, out: Path) -> None:
    (shared,) = (files_of(old) & files_of(stage)) - {"manifest.json"}
    before = (out / shared).stat()
    commit(stage, out)
    assert (out / shared).stat().st_ino == before.st_ino


def test_a_damaged_file_is_replaced_though_it_has_the_right_name(
    old: Path, stage: Path, out: Path
) -> None:
    (shared,) = (files_of(old) & files_of(stage)) - {"manifest.json"}
    (out / shared).write_bytes(b"damaged")
    commit(stage, out)
    assert open_bundle(out).part("vectorizer") == out / shared


@pytest.mark.parametrize("empty", [False, True])
def test_killed_at_a_free_place_there_is_nothing_or_the_whole_bundle(
    tmp_path: Path, new: Path, empty: bool
) -> None:
    for call in range(4):
        out = tmp_path / f"out{call}"
        if empty:
            out.mkdir()
        stage = Path(shutil.copytree(new, tmp_path / f"stage{call}"))
        with pytest.MonkeyPatch.context() as monkeypatch:
            kill_at(monkeypatch, call)
            try:
                commit(stage, out)
            except Killed:
                assert not out.exists() or files_of(out) == set()
            else:
                assert outputs_of(out) == 2


def test_a_file_system_that_refuses_leaves_the_old_bundle(
    out: Path, stage: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OutputError, match="No space left on device"):
        commit(stage, out)
    assert outputs_of(out) == 1


def test_of_two_commits_at_once_one_whole_bundle_stays(
    tmp_path: Path, old: Path, new: Path
) -> None:
    for round_ in range(30):
        out = tmp_path / f"out{round_}"
        if round_ % 2:
            shutil.copytree(old, out)
        stages = [
            Path(shutil.copytree(source, tmp_path / f"stage{round_}-{source.name}"))
            for source in (old, new)
        ]
        start = threading.Barrier(len(stages))
        failed: list[Exception] = []

        def run(stage: Path, out: Path = out, start: threading.Barrier = start) -> None:
            start.wait()
            try:
                commit(stage, out)
            except Exception as error:
                failed.append(error)  # noqa: B023  read in this round

        threads = [threading.Thread(target=run, args=(stage,)) for stage in stages]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        open_bundle(out)
        assert files_of(out) in (files_of(old), files_of(new))


def test_a_second_commit_does_not_delete_files_that_the_first_is_bringing(
    tmp_path: Path, old: Path, new: Path, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupt one commit before its manifest, and let another one run in between."""
    brings_new = Path(shutil.copytree(new, tmp_path / "first"))
    brings_old = Path(shutil.copytree(old, tmp_path / "second"))
    second = threading.Thread(target=commit, args=(brings_old, out))
    real = os.replace

    def replace(source: Any, target: Any) -> None:
        if Path(target).name == "manifest.json" and Path(source).parent == brings_new:
            second.start()
            second.join(timeout=0.5)  # it waits for the first: both orders are tried here
        real(source, target)

    monkeypatch.setattr(os, "replace", replace)
    commit(brings_new, out)
    second.join()
    assert files_of(out) == files_of(old)
    assert outputs_of(out) == 1


def test_a_reader_never_sees_anything_but_a_whole_bundle(
    tmp_path: Path, old: Path, new: Path, out: Path
) -> None:
    seen: set[int] = set()
    failed: list[Exception] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                seen.add(outputs_of(out))
            except Exception as error:
                failed.append(error)
                return

    reader = threading.Thread(target=read)
    reader.start()
    for round_ in range(40):
        source = (new, old)[round_ % 2]
        commit(Path(shutil.copytree(source, tmp_path / f"stage{round_}")), out)
    stop.set()
    reader.join()
    assert failed == []
    assert seen == {1, 2}
