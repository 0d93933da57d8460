"""No work is lost, and no file is replaced that is none of ours, whatever is in the way."""

import errno
import importlib
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gatelet.cli import main
from gatelet.convert import convert
from gatelet.convert.proving import prove
from gatelet.convert.worker.worker import Worker
from gatelet.errors import BackendError, OutputError
from gatelet.runtime import stages
from gatelet.runtime.bundle.opening import open_bundle
from gatelet.runtime.data.run import MARKER, Run
from gatelet.runtime.files import check_output_file, write_atomically
from gatelet.runtime.stages import kept_on_failure, replace_directory, stage_beside
from gatelet.train import TrainConfig, fit, train
from gatelet.train.epochs import Epoch, History
from tests.convert.reading.hostile_files import fill, write_keras

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="as POSIX does")

JUDGE = importlib.import_module("gatelet.convert.parity.judge")  # a function has its name
ROOT = Path(__file__).resolve().parents[2]


def test_a_device_is_written_to_and_stays_one() -> None:
    ours, theirs = os.openpty()
    try:
        device = Path(os.ttyname(theirs))
        write_atomically(device, b"report")
        assert os.read(ours, 100) == b"report"
        assert stat.S_ISCHR(device.lstat().st_mode)
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_link_to_a_device_stays_one(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.symlink_to(os.devnull)
    write_atomically(path, b"report")
    assert path.is_symlink() and stat.S_ISCHR(path.stat().st_mode)


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    os.mkfifo(path)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(path.read_bytes()), daemon=True)
    reader.start()
    write_atomically(path, b"x" * 200_000)
    reader.join(60)
    assert read == [b"x" * 200_000] and path.is_fifo()


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o666])
def test_a_file_keeps_its_mode_and_its_link(tmp_path: Path, mode: int) -> None:
    (tmp_path / "disk").mkdir()
    target, path = tmp_path / "disk" / "private.html", tmp_path / "report.html"
    target.write_bytes(b"old")
    target.chmod(mode)
    path.symlink_to(target)
    write_atomically(path, b"new")
    assert path.is_symlink() and target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == mode
    assert len(list(tmp_path.rglob("*"))) == 3, "nothing is left beside either"


def test_a_link_that_leads_nowhere_yet_is_followed(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.symlink_to("later.html")
    write_atomically(path, b"new")
    assert path.is_symlink() and (tmp_path / "later.html").read_bytes() == b"new"


def test_all_names_of_a_file_see_the_new_content(tmp_path: Path) -> None:
    path, other = tmp_path / "report.html", tmp_path / "other.html"
    path.write_bytes(b"an older and longer report")
    other.hardlink_to(path)
    write_atomically(path, b"new")
    assert other.read_bytes() == b"new" and other.samefile(path)


def test_an_open_file_is_written_where_it_is(tmp_path: Path) -> None:
    with (tmp_path / "output").open("w+b") as file:
        write_atomically(Path(f"/dev/fd/{file.fileno()}"), b"report")
        assert file.read() == b"report"
        assert os.fstat(file.fileno()).st_nlink == 1


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EXDEV, errno.EACCES])
def test_a_file_that_cannot_be_replaced_is_written_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Such as one file of the host that a container has mounted."""
    path = tmp_path / "report.html"
    path.write_bytes(b"the old report")
    fail_renames(monkeypatch, number)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]


def test_what_a_full_disk_cuts_off_is_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, other = tmp_path / "report.html", tmp_path / "other.html"
    path.write_bytes(b"old")
    other.hardlink_to(path)
    write = os.write

    def full(handle: int, data: Any) -> int:
        if len(data) > 3:
            write(handle, data[:2])
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(handle, data)

    monkeypatch.setattr("os.write", full)
    for place in (path, tmp_path / "third.html"):
        with pytest.raises(OutputError, match="No space left on device"):
            write_atomically(place, b"a new report")
    assert path.read_bytes() == b"old"
    assert set(tmp_path.iterdir()) == {path, other}


def test_a_temporary_file_that_a_killed_process_left_goes(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    left, mine = tmp_path / f".report.html-{'0a' * 8}.tmp", tmp_path / ".report.html-mine.tmp"
    for one in (left, mine):
        one.touch()
    write_atomically(path, b"new")
    assert set(tmp_path.iterdir()) == {path, mine}


def test_a_place_for_a_report_is_refused_before_the_work(tmp_path: Path) -> None:
    for path, problem in (
        (tmp_path, "is a folder"),
        (tmp_path / "none" / "report.html", "does not exist"),
    ):
        with pytest.raises(OutputError, match=problem):
            check_output_file(path)
    for path in (tmp_path / "report.html", Path(os.devnull)):
        check_output_file(path)


def fail_renames(
    monkeypatch: pytest.MonkeyPatch, number: int, *, only: Callable[[Path], bool] = lambda to: True
) -> None:
    """Let renames to some places fail, and exchanges."""
    rename, exchange = Path.rename, stages._exchange

    def failing(path: Path, to: Path) -> Path:
        if only(Path(to)):
            raise OSError(number, os.strerror(number))
        return rename(path, to)

    def failing_exchange(stage: Path, out: Path) -> bool:
        if only(out):
            raise OSError(number, os.strerror(number))
        return exchange(stage, out)

    monkeypatch.setattr(Path, "rename", failing)
    monkeypatch.setattr(Path, "replace", failing)
    monkeypatch.setattr(stages, "_exchange", failing_exchange)


class Network:
    """What a trained network does; saving fails at first where a disk is to be full."""

    def __init__(self, content: bytes, full: Callable[[Path], bool] = lambda path: False) -> None:
        self.content, self.full = content, full

    def save(self, path: Path) -> None:
        path.write_bytes(self.content)
        if self.full(path):
            raise OSError(errno.ENOSPC, "No space left on device")

    def predict(self, ids: list[Any]) -> list[list[float]]:
        return [[0.5] for _ in ids]


@pytest.fixture
def train_as(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Run]:
    """Return a function that trains a network that is given."""
    data = tmp_path / "rows.csv"
    rows = (f"good film w{i},pos\nbad film w{i},neg\n" for i in range(30))
    data.write_text("text,label\n" + "".join(rows))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))

    def run(network: Network | None, out: Path) -> Run:
        def fit_at_once(*_: object, **__: object) -> tuple[Network, History]:
            if network is None:
                raise AssertionError("it was trained")
            return network, History((Epoch(1.0, 0.5, 1.0, 0.5),), best=1)

        monkeypatch.setattr(fit, "_fit", fit_at_once)
        return train(TrainConfig.resolve(overrides={"data": data, "out": out, "maxlen": 8}))

    return run


@pytest.fixture
def place(tmp_path: Path) -> Path:
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EXDEV, errno.EROFS, errno.ENOSPC])
def test_a_run_that_cannot_take_its_place_is_kept_and_named(
    place: Path, monkeypatch: pytest.MonkeyPatch, train_as: Callable[..., Run], number: int
) -> None:
    out = place / "run"
    train_as(Network(b"old"), out)
    with monkeypatch.context() as patched:
        fail_renames(patched, number, only=lambda to: to == out)
        with pytest.raises(OutputError, match=os.strerror(number)) as caught:
            train_as(Network(b"new"), out)
    kept = Path(caught.value.kept)  # type: ignore[attr-defined]
    assert f"kept in '{kept}'" in str(caught.value) and kept.parent == place
    assert Run.open(kept).model_path.read_bytes() == b"new"
    assert Run.open(out).model_path.read_bytes() == b"old"
    train_as(Network(b"next"), out)
    assert names(place) == sorted(["run", kept.name]), "and the next training lets it be"


def test_a_run_that_a_full_disk_does_not_take_is_written_elsewhere(
    place: Path, train_as: Callable[..., Run], tmp_path: Path
) -> None:
    out = place / "run"
    train_as(Network(b"old"), out)
    with pytest.raises(OutputError, match="No space left on device") as caught:
        train_as(Network(b"new", full=lambda path: path.is_relative_to(place)), out)
    kept = Path(caught.value.kept)  # type: ignore[attr-defined]
    assert f"written to '{kept}' instead" in str(caught.value)
    assert kept.parent == tmp_path / "temporary" and stat.S_IMODE(kept.stat().st_mode) == 0o700
    assert Run.open(kept).model_path.read_bytes() == b"new"
    assert Run.open(out).model_path.read_bytes() == b"old" and names(place) == ["run"]


def mount(patched: pytest.MonkeyPatch, out: Path) -> None:
    patched.setattr(stages, "_is_mount", lambda folder: folder == out)


def close(patched: pytest.MonkeyPatch, out: Path) -> None:
    access = os.access
    patched.setattr("os.access", lambda path, mode: path != out and access(path, mode))


def make_read_only(patched: pytest.MonkeyPatch, out: Path) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    patched.setattr(Path, "mkdir", refuse)


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (mount, "is a mount of its own"),
        (close, "cannot be written by this user"),
        (make_read_only, "Read-only file system"),
    ],
)
def test_a_place_that_cannot_be_replaced_is_told_before_the_work(
    place: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    train_as: Callable[..., Run],
    spoil: Callable[[pytest.MonkeyPatch, Path], None],
    problem: str,
) -> None:
    out = place / "run"
    train_as(Network(b"old"), out)
    works: list[Callable[[], object]] = [
        lambda: train_as(None, out),
        lambda: convert(tmp_path / "none.keras", out, targets=["onnx"]),
    ]
    for marker, work in zip((MARKER, "manifest.json"), works, strict=True):
        (out / marker).touch()
        with monkeypatch.context() as patched:
            spoil(patched, out)
            with pytest.raises(OutputError, match=problem):
                work()
    assert (out / "model.keras").read_bytes() == b"old" and names(place) == ["run"]


def test_what_is_mounted_is_known() -> None:
    assert stages._is_mount(Path("/proc"))
    assert not stages._is_mount(ROOT / "runtime")


def test_a_disk_without_room_is_told_before_the_exports(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = write_keras(place / "model.keras")
    usage = shutil.disk_usage(place)
    monkeypatch.setattr("shutil.disk_usage", lambda path: usage._replace(free=100))
    monkeypatch.setattr("gatelet.convert.ladder.export_all", None)
    with pytest.raises(OutputError, match=r"needs [\d,]+ bytes or more, .* has 100 left"):
        convert(model, place / "demo", targets=["onnx"], schemes=["float32"], with_keras=False)
    assert names(place) == ["model.keras"]


@pytest.mark.parametrize("links", [True, False])
def test_a_bundle_that_cannot_take_its_place_is_kept_whole(
    place: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    model, out = write_keras(place / "model.keras"), place / "demo"
    other = write_keras(place / "other.keras", weights=fill_otherwise)
    settings: dict[str, Any] = {"targets": ["onnx"], "schemes": ["float32"], "with_keras": False}
    convert(model, out, **settings)
    before = (out / "manifest.json").read_bytes()
    with monkeypatch.context() as patched:
        fail_renames(patched, errno.EBUSY, only=lambda to: to == out / "manifest.json")
        if not links:
            patched.setattr("os.link", refuse_links)
        with pytest.raises(OutputError, match="what was made is whole") as caught:
            convert(other, out, golden_texts=False, strip=True, **settings)
    kept = open_bundle(caught.value.kept)  # type: ignore[attr-defined]
    assert kept.part("source") is None
    assert (out / "manifest.json").read_bytes() == before
    assert open_bundle(out).part("source") is not None


def fill_otherwise(file: Any) -> None:
    """Write other weights, so that each file of the bundle has another name."""
    fill(file)

    def change(_: str, one: Any) -> None:
        if hasattr(one, "dtype"):
            one[...] = one[...] + 1

    file.visititems(change)


def refuse_links(*_: object) -> None:
    raise PermissionError(errno.EPERM, "Operation not permitted")


def complete(stage: Path, content: str) -> None:
    (stage / MARKER).write_text(content)


def leave_killed(out: Path, content: str, *, exchanged: bool = False, old: str = "") -> None:
    """Leave what a process leaves that is killed beside `out`, its run complete."""
    left = out.with_name(f".{out.name}.stage-{os.urandom(8).hex()}")
    (left / "content").mkdir(parents=True)
    complete(left / "content", content)
    number = (left / "content").stat().st_ino + int(exchanged)
    (left / "lock").write_text(str(number))
    if old:
        (left / "old").mkdir()
        complete(left / "old", old)


@pytest.mark.parametrize(
    ("there", "left", "then"),
    [
        (None, {"content": "new"}, "new"),  # killed before the rename
        (None, {"content": "new", "old": "old"}, "new"),  # between two renames
        ("old", {"content": "new"}, "new"),  # before the exchange
        ("new", {"content": "old", "exchanged": True}, "new"),  # after it
    ],
)
def test_a_complete_run_of_a_killed_process_is_not_deleted(
    place: Path, there: str | None, left: dict[str, Any], then: str
) -> None:
    out = place / "run"
    if there is not None:
        out.mkdir()
        complete(out, there)
    leave_killed(out, **left)
    with stage_beside(out, marker=MARKER):
        assert (out / MARKER).read_text() == then
    assert names(place) == ["run"]


def test_a_complete_run_does_not_take_the_place_of_something_else(place: Path) -> None:
    out = place / "run"
    out.mkdir()
    (out / "mine").touch()
    leave_killed(out, "new")
    with stage_beside(out, marker=MARKER):
        pass
    assert names(out) == ["mine"] and len(names(place)) == 2


def test_stages_of_threads_and_of_other_containers_do_not_collide(place: Path) -> None:
    """Two containers that share a folder have processes of the same number."""
    out, together = place / "run", threading.Barrier(4, timeout=60)
    seen: list[Path] = []

    def make() -> None:
        with stage_beside(out, marker=MARKER) as stage:
            together.wait()
            complete(stage, stage.parent.name)
            seen.append(stage)
            together.wait()
            assert (stage / MARKER).read_text() == stage.parent.name
            replace_directory(stage, out)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert len(set(seen)) == 4 and names(place) == ["run"]


def test_what_cannot_even_be_renamed_stays_in_its_stage(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = place / "run"
    with monkeypatch.context() as patched, pytest.raises(OutputError, match="kept in") as caught:
        fail_renames(patched, errno.EROFS)
        with stage_beside(out, marker=MARKER) as stage:
            complete(stage, "new")
            with kept_on_failure(stage, out):
                replace_directory(stage, out)
    assert (Path(caught.value.kept) / MARKER).read_text() == "new"  # type: ignore[attr-defined]
    with stage_beside(out, marker=MARKER):
        assert (out / MARKER).read_text() == "new"


def test_an_old_run_that_cannot_be_put_back_is_not_deleted(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the two steps that replace a run, the second fails, and so does the way back."""
    out = place / "run"
    out.mkdir()
    complete(out, "old")
    monkeypatch.setattr(stages, "_exchange", lambda *given: False)
    with monkeypatch.context() as patched, pytest.raises(OutputError) as caught:
        fail_renames(patched, errno.EIO, only=lambda to: to == out)
        with stage_beside(out, marker=MARKER) as stage:
            complete(stage, "new")
            with kept_on_failure(stage, out):
                replace_directory(stage, out)
    assert (Path(caught.value.kept) / MARKER).read_text() == "new"  # type: ignore[attr-defined]
    with stage_beside(out, marker=MARKER):
        assert (out / MARKER).read_text() == "old"


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    before = {n: signal.signal(n, signal.SIG_DFL) for n in (signal.SIGTERM, signal.SIGHUP)}
    yield folder
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_parity_that_is_ended_leaves_no_texts(
    written_bundle: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    seen: list[str] = []

    def ask(*_: object, **__: object) -> None:
        with Worker() as worker, worker.exchange() as folder:
            (folder / "texts.json").write_text("private")
            seen.extend(path.name for path in temporary.rglob("texts.json"))
            os.kill(os.getpid(), number)

    monkeypatch.setattr("gatelet.convert.proving.ask_oracles", ask)
    assert main(["parity", str(written_bundle)]) == 128 + number
    assert seen == ["texts.json"] and names(temporary) == []


@pytest.mark.ci
def test_texts_of_a_killed_parity_go_with_the_next_one(temporary: Path) -> None:
    code = (
        "import os, signal, tempfile; from gatelet.convert.worker.worker import Worker\n"
        f"tempfile.tempdir = {str(temporary)!r}\n"
        "with Worker() as worker, worker.exchange() as folder:\n"
        "    (folder / 'texts.json').write_text('private')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=False, cwd=ROOT)
    assert [path.name for path in temporary.rglob("texts.json")] == ["texts.json"]
    with Worker() as worker, worker.exchange():
        assert not list(temporary.rglob("texts.json"))
    assert names(temporary) == [] and tempfile.gettempdir() == str(temporary)


def wrapped(*_: object, **__: object) -> None:
    try:
        raise OSError(errno.EMFILE, "Too many open files")
    except OSError as error:
        raise BackendError("the engine refuses the file") from error


def in_words_of_its_own(*_: object, **__: object) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    raise RuntimeError("Load model failed")


def full_disk(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("failing", "reason"),
    [
        (wrapped, "open no more files: raise the limit, with ulimit -n"),
        (in_words_of_its_own, "open no more files: raise the limit, with ulimit -n"),
        (full_disk, "a file system has no room left"),
    ],
)
def test_want_of_files_or_room_is_no_verdict(
    written_bundle: Path,
    monkeypatch: pytest.MonkeyPatch,
    failing: Callable[..., None],
    reason: str,
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    monkeypatch.setattr(JUDGE, "open_artifact", failing)
    try:
        with pytest.raises(BackendError, match=f"onnx float32 cannot be judged: .*{reason}"):
            prove(open_bundle(written_bundle), with_keras=False)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def test_a_broken_artifact_fails_all_the_same(
    written_bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("Load model failed")

    monkeypatch.setattr(JUDGE, "open_artifact", broken)
    assert prove(open_bundle(written_bundle), with_keras=False).verdict == "fail"


@pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")
@pytest.mark.parametrize(
    "flags",
    [
        pytest.param(["--sample"], marks=pytest.mark.ci),
        pytest.param([], marks=pytest.mark.full),
    ],
)
def test_no_kill_and_no_fault_loses_work(flags: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, ROOT / "benchmarks" / "storage_faults.py", *flags],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "faults, 0 that lost or left something" in done.stdout
