"""One Predictor in many threads, and in forked and spawned processes: the same answers."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatelet.runtime import Predictor, load

THREADS = 8
FEW, MANY = 250, 10_000
FEW_OF_PURE, MANY_OF_PURE = 5, 20
TARGETS = ("litert", "onnx", "reference", "pure")
TEXTS = [" ".join(f"w{(7 * row + i) % 48 + 1}" for i in range(row % 10)) for row in range(40)]


def answers(predictor: Predictor, count: int) -> list[float]:
    """Ask one text a call, in an order that depends on nothing but the number."""
    return [predictor.predict([TEXTS[n % len(TEXTS)]])[0].score for n in range(count)]


def ask_from_threads(predictor: Predictor, count: int) -> None:
    right = answers(predictor, len(TEXTS))
    assert len(set(right)) > 20
    wrong: list[Any] = []
    together = threading.Barrier(THREADS)

    def ask(offset: int) -> None:
        try:
            together.wait()
            for n in range(offset, offset + count):
                number = n % len(TEXTS)
                (found,) = predictor.predict([TEXTS[number]])
                if found.score != right[number]:
                    wrong.append((number, found.score, right[number]))
        except Exception as error:
            wrong.append(error)

    threads = [threading.Thread(target=ask, args=(5 * n,)) for n in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("target", TARGETS)
def test_threads_get_the_answers_of_one_thread(litert_bundle: Path, target: str) -> None:
    predictor = load(litert_bundle, target=target)
    ask_from_threads(predictor, FEW_OF_PURE if target in ("pure", "reference") else FEW)


@pytest.mark.full
@pytest.mark.parametrize("target", TARGETS)
def test_eight_threads_of_ten_thousand_predictions(litert_bundle: Path, target: str) -> None:
    predictor = load(litert_bundle, target=target)
    ask_from_threads(predictor, MANY_OF_PURE if target == "pure" else MANY)


def in_a_fork(run: Callable[[], list[float]]) -> list[float]:
    """Run in a forked child and read what it found."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(write, json.dumps(run()).encode())
        finally:
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        found = pipe.read()
    os.waitpid(child, 0)
    return list(json.loads(found or b"[]"))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("target", TARGETS)
def test_a_forked_process_gets_the_same_answers(litert_bundle: Path, target: str) -> None:
    predictor = load(litert_bundle, target=target)
    right = answers(predictor, 20)
    assert in_a_fork(lambda: answers(predictor, 20)) == right
    assert answers(predictor, 20) == right


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_fork_while_another_thread_predicts_does_not_hang(litert_bundle: Path) -> None:
    predictor = load(litert_bundle, target="litert")
    right = answers(predictor, 5)
    backend: Any = predictor._backend
    with backend._lock:  # as a thread would hold it, which the child does not have
        assert in_a_fork(lambda: answers(predictor, 5)) == right


SPAWNED = """
import json, sys
from gatelet.runtime import load
path, target, texts = json.load(sys.stdin)
predictor = load(path, target=target)
print(json.dumps([predictor.predict([text])[0].score for text in texts]))
"""


@pytest.mark.parametrize("target", TARGETS)
def test_a_spawned_process_gets_the_same_answers(litert_bundle: Path, target: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SPAWNED],
        input=json.dumps([str(litert_bundle), target, TEXTS]),
        check=True,
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout) == answers(load(litert_bundle, target=target), len(TEXTS))


def test_several_kernel_threads_give_the_same_labels(litert_bundle: Path) -> None:
    for target in ("litert", "onnx"):
        one = [found.label for found in load(litert_bundle, target=target).predict(TEXTS)]
        two = load(litert_bundle, target=target, threads=2)
        two.warm_up()
        assert [found.label for found in two.predict(TEXTS)] == one
