"""Kill -9 at any moment of a conversion over a bundle: the old bundle or the new one is there."""

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gatelet.convert import convert
from gatelet.runtime.bundle.opening import open_bundle
from gatelet.runtime.predictor.loading import load

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kills as POSIX does")

TARGETS, SCHEMES = ("c", "onnx"), ("float32",)

SEED = 20240229
PROGRESS_LINES = 7
TEXTS = ["a good film", "dull, slow and a waste of time"]

# Counts what changes files below a folder, before it happens, and kills the process at one.
KILL_AT_CHANGE = """
import os, signal, sys

changes = 0

def watch(event, arguments, folder=os.environ["WATCHED"], at=int(os.environ["KILL_AT"])):
    global changes
    if event == "open":
        path, mode, flags = arguments
        if not flags & (os.O_WRONLY | os.O_RDWR):
            return
    elif event in ("os.rename", "os.remove", "os.rmdir", "os.mkdir"):
        path = arguments[0]
    else:
        return
    if isinstance(path, str) and os.path.abspath(path).startswith(folder):
        changes += 1
        if changes == at:
            os.kill(os.getpid(), signal.SIGKILL)

sys.addaudithook(watch)
"""


@dataclass(frozen=True)
class Versions:
    """Two runs whose models differ, the bundles they become, and what those predict."""

    runs: tuple[Path, Path]
    bundles: tuple[Path, Path]
    scores: tuple[NDArray[Any], NDArray[Any]]

    def which(self, bundle: Path) -> int:
        """Return whose predictions a bundle gives: 0 or 1."""
        found = np.asarray(load(bundle).scores(TEXTS))
        (number,) = (i for i in (0, 1) if np.abs(found - self.scores[i]).max() < 1e-6)
        return number


@pytest.fixture(scope="module")
def versions(
    small_run: Path, other_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Versions:
    folder = tmp_path_factory.mktemp("versions")
    bundles = (folder / "a", folder / "b")
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(sys.modules, "tensorflow", None)
        for run, bundle in zip((small_run, other_run), bundles, strict=True):
            convert(run, bundle, targets=TARGETS, schemes=SCHEMES)
    a, b = (np.asarray(load(bundle).scores(TEXTS)) for bundle in bundles)
    assert np.abs(a - b).min() > 0.01
    return Versions((small_run, other_run), bundles, (a, b))


def command(run: Path, out: Path) -> list[str]:
    flags = [word for name in TARGETS for word in ("--target", name)]
    flags += [word for name in SCHEMES for word in ("--scheme", name)]
    return [sys.executable, "-m", "gatelet", "convert", str(run), "--out", str(out), *flags]


def run_convert(run: Path, out: Path, environment: dict[str, str]) -> int:
    """Convert in a process of its own and give its exit code; negative is a signal."""
    return subprocess.run(
        command(run, out), env=environment, capture_output=True, check=False
    ).returncode


def assert_clean(work: Path, expected: Path) -> None:
    """Nothing but the bundle is there, and nothing but its files is in it."""
    assert [path.name for path in work.iterdir()] == ["demo"]
    bundle = open_bundle(work / "demo")
    listed = {file.path for file in (*bundle.files, *bundle.artifacts)} | {"manifest.json"}
    assert {path.name for path in (work / "demo").iterdir()} == listed
    assert len(listed) == len(list(expected.iterdir()))


@pytest.mark.parametrize("moments", [5, pytest.param(50, marks=pytest.mark.full)])
def test_killed_at_random_moments(
    tmp_path: Path, versions: Versions, without_tensorflow: dict[str, str], moments: int
) -> None:
    work = tmp_path / "work"
    out = work / "demo"
    shutil.copytree(versions.bundles[0], out)
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    environment = {**without_tensorflow, "TMPDIR": str(temporary)}
    generator = random.Random(SEED + moments)
    killed, current = 0, 0
    while killed < moments:
        code = kill_after(
            command(versions.runs[1 - current], out),
            environment,
            lines=generator.randrange(PROGRESS_LINES + 1),
            delay_s=generator.uniform(0, 0.3),
        )
        assert code in (0, -signal.SIGKILL)
        killed += code != 0
        found = versions.which(out)
        assert code != 0 or found == 1 - current
        current = found
    assert run_convert(versions.runs[1 - current], out, environment) == 0
    assert versions.which(out) == 1 - current
    assert_clean(work, versions.bundles[0])
    ours = [path.name for path in temporary.iterdir() if path.name.startswith(("gatelet-", "tmp"))]
    assert ours == []


def kill_after(words: list[str], environment: dict[str, str], *, lines: int, delay_s: float) -> int:
    """Kill a process some time after it has told some lines of progress; give its exit code."""
    with subprocess.Popen(
        words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        for _ in range(lines):
            process.stderr.readline()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=delay_s)
        process.kill()
    return process.returncode


def kill_before_change(
    tmp_path: Path, versions: Versions, environment: dict[str, str], change: int
) -> tuple[int, int]:
    """Kill a conversion before its n-th change of files, and check what is there.

    Returns:
        The exit code, and which bundle was there afterwards.
    """
    work = tmp_path / f"work{change}"
    out = work / "demo"
    shutil.copytree(versions.bundles[0], out)
    watching = {**environment, "WATCHED": str(work), "KILL_AT": str(change)}
    code = run_convert(versions.runs[1], out, watching)
    found = versions.which(out)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setitem(sys.modules, "tensorflow", None)
        convert(versions.runs[1], out, targets=TARGETS, schemes=SCHEMES)
    assert versions.which(out) == 1
    assert_clean(work, versions.bundles[0])
    shutil.rmtree(work)
    return code, found


@pytest.fixture
def watched(tmp_path: Path, without_tensorflow: dict[str, str]) -> dict[str, str]:
    """Return an environment in which a process kills itself before the change KILL_AT."""
    hidden, *others = without_tensorflow["PYTHONPATH"].split(os.pathsep)
    folder = tmp_path / "watch"
    folder.mkdir()
    site = (Path(hidden) / "sitecustomize.py").read_text()
    (folder / "sitecustomize.py").write_text(site + KILL_AT_CHANGE)
    return {**without_tensorflow, "PYTHONPATH": os.pathsep.join((str(folder), *others))}


def test_killed_before_some_changes_of_files(
    tmp_path: Path, versions: Versions, watched: dict[str, str]
) -> None:
    for change in (1, 2, 20):
        assert kill_before_change(tmp_path, versions, watched, change) == (-signal.SIGKILL, 0)


@pytest.mark.full
def test_killed_before_every_change_of_files(
    tmp_path: Path, versions: Versions, watched: dict[str, str]
) -> None:
    seen, change, code = [], 0, -1
    while code != 0:
        change += 1
        code, found = kill_before_change(tmp_path, versions, watched, change)
        assert code in (0, -signal.SIGKILL)
        seen.append(found)
    assert len(seen) > 25
    assert seen == sorted(seen)  # the old one until the manifest is replaced, then the new one
    assert set(seen) == {0, 1}


def test_a_reader_never_fails_while_conversions_run(
    tmp_path: Path, versions: Versions, without_tensorflow: dict[str, str]
) -> None:
    out = tmp_path / "demo"
    shutil.copytree(versions.bundles[0], out)
    seen: set[int] = set()
    failed: list[Exception] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            try:
                seen.add(versions.which(out))
            except Exception as error:
                failed.append(error)
                return

    reader = threading.Thread(target=read)
    reader.start()
    codes = [run_convert(versions.runs[(i + 1) % 2], out, without_tensorflow) for i in range(5)]
    stop.set()
    reader.join()
    assert codes == [0] * 5
    assert failed == []
    assert seen == {0, 1}


def test_two_conversions_to_one_place_leave_one_whole_bundle(
    tmp_path: Path, versions: Versions, without_tensorflow: dict[str, str]
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    for _ in range(2):  # a free place first, then a bundle
        processes = [
            subprocess.Popen(
                command(run, work / "demo"),
                env=without_tensorflow,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )
            for run in versions.runs
        ]
        said = [process.communicate()[1] for process in processes]
        assert [process.returncode for process in processes] == [0, 0], said
        assert versions.which(work / "demo") in (0, 1)
        assert_clean(work, versions.bundles[0])
