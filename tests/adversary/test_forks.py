"""A forked child uses the Predictors of its parent, whatever other threads were doing then."""

import os
import select
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gatelet.runtime import Predictor, load

pytestmark = [
    pytest.mark.ci,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork"),
]

TARGETS = ("c", "litert", "onnx", "onnx-text", "tflm", "pure", "reference")
STREAMING = ("c", "litert", "onnx", "pure", "reference")
TEXTS = ["w1 w2 w3", "w4 w5 w6 w7 w8 w9", "w40"]
LONGEST_S = 60.0
"""A child that has not answered by then hangs: it needs some milliseconds."""


@pytest.fixture
def streaming_bundle(pair: Path) -> Path:
    """Return a bundle of every target, with what streams."""
    return pair / "one"


def answer(predictor: Predictor) -> list[float]:
    return [found.score for found in predictor.predict(TEXTS)]


def step_through(predictor: Predictor) -> str:
    stream = predictor.stream()
    return str([stream.step([[word]]) for word in (3, 4, 5)])


def in_child(call: Callable[[], Any], *, leave: Callable[[int], Any] = os._exit) -> str:
    """Call in a forked child, and return what it gave, or how it ended."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(write, repr(call()).encode())
        except BaseException as error:
            os.write(write, f"{type(error).__name__}: {error}".encode())
        finally:
            os.close(write)
            leave(0)
    os.close(write)
    found = b""
    while select.select([read], [], [], LONGEST_S)[0]:
        part = os.read(read, 2**16)
        if not part:
            break
        found += part
    else:
        found += b" hangs"
        os.kill(child, signal.SIGKILL)
    os.close(read)
    _, status = os.waitpid(child, 0)
    return found.decode() + (f" status {status}" if status and b"hangs" not in found else "")


@contextmanager
def at_work(call: Callable[[], Any], *, threads: int = 2) -> Iterator[None]:
    """Call again and again in other threads."""
    stop, wrong = threading.Event(), list[BaseException]()

    def work() -> None:
        try:
            while not stop.is_set():
                call()
        except BaseException as error:
            wrong.append(error)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for one in workers:
        one.start()
    try:
        yield
    finally:
        stop.set()
        for one in workers:
            one.join()
    assert not wrong, wrong


@contextmanager
def disturbed() -> Iterator[None]:
    """Send signals at short intervals; calls of the system are interrupted."""
    old = signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.003, 0.003)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)


@pytest.mark.parametrize("target", TARGETS)
def test_a_child_predicts_while_threads_of_its_parent_do(
    streaming_bundle: Path, target: str
) -> None:
    predictor = load(streaming_bundle, target=target)
    right = answer(predictor)
    with at_work(lambda: predictor.predict(TEXTS)):
        found = [in_child(lambda: answer(predictor)) for _ in range(3)]
    assert found == [repr(right)] * 3
    assert answer(predictor) == right


@pytest.mark.parametrize("target", STREAMING)
def test_a_child_steps_while_threads_of_its_parent_do(streaming_bundle: Path, target: str) -> None:
    """A stream that the parent began goes on in the child, and in the parent."""
    predictor = load(streaming_bundle, target=target)
    right = step_through(predictor)
    begun = predictor.stream()
    first = [begun.step([[3]]), begun.step([[4]])]
    shared = predictor.stream()
    with at_work(lambda: shared.step([[7]])):
        assert in_child(lambda: step_through(predictor)) == repr(right)
        assert in_child(lambda: str([*first, begun.step([[5]])])) == repr(right)
        assert in_child(lambda: shared.step([[7]]) and None) == "None"
    assert str([*first, begun.step([[5]])]) == right


@pytest.mark.parametrize("target", ("litert", "onnx"))
def test_engines_with_threads_of_their_own_start_them_in_the_child(
    streaming_bundle: Path, target: str
) -> None:
    predictor = load(streaming_bundle, target=target, threads=2)
    right = answer(predictor)
    with at_work(lambda: predictor.predict(TEXTS)):
        assert in_child(lambda: answer(predictor)) == repr(right)


@pytest.mark.parametrize("target", ["c", "litert", "onnx", "tflm"])
def test_a_child_of_a_child_predicts(streaming_bundle: Path, target: str) -> None:
    predictor = load(streaming_bundle, target=target)
    right = repr(answer(predictor))
    with at_work(lambda: answer(predictor)):
        assert in_child(lambda: in_child(lambda: answer(predictor))) == repr(right)


def test_a_child_ends_as_python_does(streaming_bundle: Path) -> None:
    """`sys.exit` runs destructors; those of the parent's engines could wait for its threads.

    Onnxruntime's own wait for ever, even where nothing but its import came before the fork.
    """
    script = f"""
import os, sys
from gatelet.runtime import load
opened = [load({str(streaming_bundle)!r}, target=one) for one in ("c", "litert", "tflm", "pure")]
for one in opened:
    one.warm_up()
child = os.fork()
if not child:
    for one in opened[:2]:
        one.warm_up()
    sys.exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        check=False,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
        timeout=LONGEST_S,
    )
    assert done.stdout == "7\n", done.stderr


def test_a_child_opens_its_engine_from_the_file_that_its_parent_opened(
    streaming_bundle: Path, tmp_path: Path
) -> None:
    bundle = Path(shutil.copytree(streaming_bundle, tmp_path / "bundle"))
    opened = [load(bundle, target=target) for target in ("litert", "onnx", "c", "pure")]
    right = [(answer(one), step_through(one)) for one in opened]
    shutil.rmtree(bundle)
    assert in_child(lambda: [(answer(one), step_through(one)) for one in opened]) == repr(right)


@pytest.mark.full
@pytest.mark.parametrize("target", TARGETS)
def test_three_hundred_forks_of_all_backends(streaming_bundle: Path, target: str) -> None:
    """43 of each, of a process whose threads predict and step, under signals."""
    predictor = load(streaming_bundle, target=target)
    calls: list[Callable[[], str]] = [lambda: repr(answer(predictor))]
    if target in STREAMING:
        calls.append(lambda: step_through(predictor))
    right = [call() for call in calls]
    failures = []
    with at_work(lambda: [call() for call in calls]), disturbed():
        for number in range(43):
            which = number % len(calls)
            found = in_child(calls[which])
            if found != repr(right[which]):
                failures.append((number, found))
    assert not failures, failures
