"""Code that crashes, hangs or eats memory ends in a named error, and leaves nothing behind."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gatelet.convert.worker.worker import Worker
from gatelet.errors import (
    ConversionError,
    InputError,
    WorkerDied,
    WorkerMemory,
    WorkerTimeout,
)

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="uses /proc")

JOBS = """
import ctypes, os, signal, subprocess, sys, tempfile, time

def pid(): return os.getpid()
def echo(value): return value
def kill_itself(number): os.kill(os.getpid(), number)
def read_null(): ctypes.string_at(0)
def abort():
    print("terminate called after throwing an instance of 'std::bad_alloc'", file=sys.stderr)
    os.abort()
def leave(code): sys.exit(code)
def hang(): time.sleep(600)
def eat(): return len([bytearray(2**20) for _ in range(2000)])
def speak():
    print("to stdout")
    os.write(1, b'{"result": "forged"}\\n')
    sys.stdout.flush()
    print("to stderr", file=sys.stderr)
    return "spoken"
def listen(): return sys.stdin.read() + os.read(0, 10).decode()
def refuse(message):
    from gatelet.errors import InputError
    raise InputError(message)
def fail(): raise KeyError("no such thing")
def lose(): return object()
def big(count): return "x" * count
def litter():
    handle, path = tempfile.mkstemp()
    os.write(handle, b"private")
    return path
def litter_and_die():
    litter()
    os.kill(os.getpid(), signal.SIGSEGV)
def start_child():
    return subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"]).pid
def fork_and_die():
    if os.fork() == 0:
        time.sleep(600)
    os._exit(3)
def answer_late():
    time.sleep(1)
    return "late"
"""


@pytest.fixture(autouse=True)
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Plant the module `planted_jobs` where a child process can import it."""
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "planted_jobs.py").write_text(textwrap.dedent(JOBS))
    path = os.pathsep.join(filter(None, (str(tmp_path / "jobs"), os.environ.get("PYTHONPATH"))))
    monkeypatch.setenv("PYTHONPATH", path)


@pytest.fixture
def scratch(tmp_path: Path) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def worker(scratch: Path) -> Iterator[Worker]:
    with Worker(scratch=scratch, timeout_s=60) as opened:
        yield opened


def run(worker: Worker, name: str, **arguments: object) -> object:
    return worker.call(f"planted_jobs:{name}", arguments, step="the step")


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


def wait_for(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 30
    while not condition() and time.monotonic() < deadline:
        os.sched_yield()
    return condition()


@pytest.mark.parametrize(
    ("name", "arguments", "how"),
    [
        ("kill_itself", {"number": int(signal.SIGSEGV)}, "died with SIGSEGV"),
        ("kill_itself", {"number": int(signal.SIGKILL)}, "died with SIGKILL"),
        ("kill_itself", {"number": 40}, "died with signal 40"),
        ("read_null", {}, "died with SIGSEGV"),
        ("abort", {}, "died with SIGABRT (terminate called after"),
        ("leave", {"code": 3}, "ended with exit code 3"),
        ("leave", {"code": 0}, "ended with exit code 0"),
    ],
)
def test_a_crash_is_an_error_that_names_the_step_and_the_signal(
    worker: Worker, scratch: Path, name: str, arguments: dict[str, object], how: str
) -> None:
    if "40" in how and not hasattr(signal, "SIGRTMIN"):
        pytest.skip("no real-time signals")
    with pytest.raises(WorkerDied, match="the step") as caught:
        run(worker, name, **arguments)
    assert how in str(caught.value)
    assert caught.value.facts["step"] == "the step"
    assert len(str(caught.value).splitlines()) == 1
    assert list(scratch.iterdir()) == []
    assert run(worker, "echo", value="again") == "again"


def test_the_advice_of_the_caller_is_given(worker: Worker) -> None:
    with pytest.raises(WorkerDied, match=r"nothing was written; try less$"):
        worker.call("planted_jobs:leave", {"code": 1}, step="the step", advice="try less")


def test_one_process_serves_many_calls_and_another_one_after_a_crash(worker: Worker) -> None:
    first = run(worker, "pid")
    assert run(worker, "pid") == first != os.getpid()
    with pytest.raises(WorkerDied):
        run(worker, "read_null")
    second = run(worker, "pid")
    assert second != first
    assert run(worker, "pid") == second


@linux_only
def test_a_hanging_call_is_ended_at_its_limit(scratch: Path) -> None:
    with Worker(scratch=scratch, timeout_s=60) as worker:
        pid = run(worker, "pid")
        worker._timeout_s = 0.3  # the limit counts for calls, not for the start before them
        started = time.monotonic()
        with pytest.raises(WorkerTimeout, match=r"the step took longer than 0\.3 s") as caught:
            run(worker, "hang")
        assert time.monotonic() - started < 15
        assert caught.value.facts == {"step": "the step", "timeout_s": 0.3}
        assert isinstance(pid, int) and not is_alive(pid)
        assert list(scratch.iterdir()) == []


@linux_only
def test_a_call_that_eats_memory_is_ended_at_its_limit(scratch: Path) -> None:
    with Worker(scratch=scratch, memory_limit_bytes=300 * 2**20) as worker:
        pid = run(worker, "pid")
        with pytest.raises(WorkerMemory, match=r"314,572,800 is the limit") as caught:
            run(worker, "eat")
        assert caught.value.facts["step"] == "the step"
        assert isinstance(pid, int) and not is_alive(pid)
        assert run(worker, "echo", value=1) == 1


def test_what_a_call_prints_does_not_spoil_its_answer(
    worker: Worker, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(worker, "speak") == "spoken"
    assert run(worker, "echo", value=[1, None, "é\ud800"]) == [1, None, "é\ud800"]
    assert capfd.readouterr() == ("", "")


def test_a_call_that_reads_its_input_does_not_take_the_next_request(worker: Worker) -> None:
    assert run(worker, "listen") == ""
    assert run(worker, "echo", value=2) == 2


def test_our_errors_arrive_with_their_class_and_message(worker: Worker) -> None:
    message = "the id 7 is outside the model's vocabulary 0..6: " + "x" * 1000
    with pytest.raises(InputError) as caught:
        run(worker, "refuse", message=message)
    assert str(caught.value) == message


def test_other_errors_arrive_as_conversion_errors_that_name_step_and_class(worker: Worker) -> None:
    with pytest.raises(ConversionError, match="the step failed: KeyError: 'no such thing'"):
        run(worker, "fail")
    with pytest.raises(ConversionError, match=r"the step failed: TypeError: .*object"):
        run(worker, "lose")
    with pytest.raises(ConversionError, match="the step failed: AttributeError"):
        run(worker, "no_such_job")
    with pytest.raises(ConversionError, match="the step failed: ModuleNotFoundError"):
        worker.call("no_such_module:job", {}, step="the step")
    assert run(worker, "echo", value=3) == 3


def test_big_results_and_requests_arrive_whole(worker: Worker) -> None:
    assert run(worker, "big", count=20_000_000) == "x" * 20_000_000
    assert run(worker, "echo", value="y" * 5_000_000) == "y" * 5_000_000


def test_temporary_files_of_a_call_go_with_the_worker(scratch: Path) -> None:
    with Worker(scratch=scratch) as worker:
        path = run(worker, "litter")
        assert Path(str(path)).is_relative_to(scratch)
    assert list(scratch.iterdir()) == []
    with Worker(scratch=scratch) as worker, pytest.raises(WorkerDied):
        run(worker, "litter_and_die")
    assert list(scratch.iterdir()) == []


@linux_only
def test_what_a_call_has_started_ends_with_the_worker(scratch: Path) -> None:
    with Worker(scratch=scratch) as worker:
        own, child = run(worker, "pid"), run(worker, "start_child")
        assert isinstance(own, int) and isinstance(child, int)
        assert is_alive(child)
    assert wait_for(lambda: not is_alive(child))
    assert not Path(f"/proc/{own}").exists()  # not even a zombie


@linux_only
def test_a_death_is_noticed_though_a_child_of_the_dead_holds_the_pipe(worker: Worker) -> None:
    worker._timeout_s = 30
    with pytest.raises(WorkerDied, match="ended with exit code 3"):
        run(worker, "fork_and_die")


def test_an_interrupted_call_does_not_answer_the_next_one(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(worker, "pid")

    def interrupt(*arguments: object) -> bytes:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(worker, "_wait", interrupt)
        run(worker, "answer_late")
    assert run(worker, "echo", value="mine") == "mine"


def test_closing_twice_or_unused_is_no_error(scratch: Path) -> None:
    worker = Worker(scratch=scratch)
    worker.close()
    run(worker, "pid")
    worker.close()
    worker.close()
    assert list(scratch.iterdir()) == []


@linux_only
def test_a_parent_that_is_killed_takes_the_worker_with_it(tmp_path: Path, scratch: Path) -> None:
    parent = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys, pathlib\n"
            "from gatelet.convert.worker.worker import Worker\n"
            f"worker = Worker(scratch=pathlib.Path({str(scratch)!r}))\n"
            "print(worker.call('planted_jobs:pid', {}, step='pid'), flush=True)\n"
            "worker.call('planted_jobs:hang', {}, step='hang')\n",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        worker_pid = int(parent.stdout.readline())
        assert is_alive(worker_pid)
        parent.kill()
    assert wait_for(lambda: not is_alive(worker_pid))


FAKE_TENSORFLOW = {
    "segfaults": ("import ctypes; ctypes.string_at(0)", "died with SIGSEGV"),
    "aborts": ("import os; os.abort()", "died with SIGABRT"),
    "exits": ("import sys; sys.exit(3)", "ended with exit code 3"),
    "is broken": ("raise ImportError('libfoo.so: no such file')", "needs TensorFlow"),
    "raises": ("raise RuntimeError('no\\nGPU')", "failed: RuntimeError: no GPU"),
}


@pytest.mark.parametrize("kind", FAKE_TENSORFLOW)
@pytest.mark.parametrize("over", ["a new folder", "a bundle"])
def test_a_conversion_whose_converter_crashes_is_one_line_and_writes_nothing(
    tmp_path: Path,
    small_run: Path,
    written_bundle: Path,
    digests_of: Callable[[Path], dict[str, str]],
    kind: str,
    over: str,
) -> None:
    source, said = FAKE_TENSORFLOW[kind]
    fake = tmp_path / "fake" / "tensorflow"
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text(source)
    work, temporary = tmp_path / "work", tmp_path / "temporary"
    work.mkdir()
    temporary.mkdir()
    if over == "a bundle":
        shutil.copytree(written_bundle, work / "bundle")
    before = digests_of(work)
    path = os.pathsep.join((str(tmp_path / "fake"), os.environ["PYTHONPATH"]))
    done = subprocess.run(
        [sys.executable, "-m", "gatelet", "convert", str(small_run), "--out", "bundle"],
        cwd=work,
        env={**os.environ, "PYTHONPATH": path, "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    *progress, last = done.stderr.splitlines()
    assert (progress[0], progress[-1]) == ("reading the model", "exporting litert float32")
    assert last.startswith("gatelet: ")
    assert said in last
    assert "defect" not in last
    assert "died" not in said or "export to litert float32" in last
    assert digests_of(work) == before
    assert [path.name for path in work.iterdir()] == (["bundle"] if before else [])
    assert list(temporary.iterdir()) == []
