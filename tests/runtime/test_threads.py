"""One Predictor in many threads, and in forked and spawned processes: the same answers."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gatelet.runtime import load
from tests.runtime.askers import TEXTS, answers, wrong_answers

FEW, MANY = 250, 10_000
FEW_OF_PURE, MANY_OF_PURE = 5, 20
TARGETS = ("c", "litert", "onnx", "onnx-text", "tflm", "reference", "pure")


@pytest.mark.parametrize("target", TARGETS)
def test_threads_get_the_answers_of_one_thread(every_target_bundle: Path, target: str) -> None:
    predictor = load(every_target_bundle, target=target)
    assert not wrong_answers(predictor, FEW_OF_PURE if target in ("pure", "reference") else FEW)


@pytest.mark.full
@pytest.mark.parametrize("target", TARGETS)
def test_eight_threads_of_ten_thousand_predictions(every_target_bundle: Path, target: str) -> None:
    """Here, in a process forked of this one, and in one that is started anew."""
    count = MANY_OF_PURE if target == "pure" else MANY
    predictor = load(every_target_bundle, target=target)
    assert not wrong_answers(predictor, count)
    assert in_a_fork(lambda: wrong_answers(predictor, count)) == []
    assert spawned(every_target_bundle, target, f"wrong_answers(predictor, {count})") == []


def in_a_fork(run: Callable[[], list[Any]]) -> list[Any]:
    """Run in a forked child and read what it found; not a list where it failed."""
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
    assert found, "the forked process gave no answer"
    return list(json.loads(found))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("target", TARGETS)
def test_a_forked_process_gets_the_same_answers(every_target_bundle: Path, target: str) -> None:
    predictor = load(every_target_bundle, target=target)
    right = answers(predictor, 20)
    assert in_a_fork(lambda: answers(predictor, 20)) == right
    assert answers(predictor, 20) == right


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("target", ["litert", "tflm"])
def test_a_fork_while_another_thread_predicts_does_not_hang(
    every_target_bundle: Path, target: str
) -> None:
    predictor = load(every_target_bundle, target=target)
    right = answers(predictor, 5)
    backend: Any = predictor._backend
    with backend._lock:  # as a thread would hold it, which the child does not have
        assert in_a_fork(lambda: answers(predictor, 5)) == right


SPAWNED = """
import json, sys
from gatelet.runtime import load
from tests.runtime.askers import TEXTS, answers, wrong_answers
predictor = load(sys.argv[1], target=sys.argv[2])
print(json.dumps({expression}))
"""


def spawned(bundle: Path, target: str, expression: str) -> Any:
    """Evaluate an expression in a process that opens the bundle itself."""
    done = subprocess.run(
        [sys.executable, "-c", SPAWNED.format(expression=expression), str(bundle), target],
        check=True,
        capture_output=True,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    return json.loads(done.stdout)


@pytest.mark.parametrize("target", TARGETS)
def test_a_spawned_process_gets_the_same_answers(every_target_bundle: Path, target: str) -> None:
    right = answers(load(every_target_bundle, target=target), len(TEXTS))
    assert spawned(every_target_bundle, target, "answers(predictor, len(TEXTS))") == right


def test_several_kernel_threads_give_the_same_labels(every_target_bundle: Path) -> None:
    for target in ("litert", "onnx"):
        one = [found.label for found in load(every_target_bundle, target=target).predict(TEXTS)]
        two = load(every_target_bundle, target=target, threads=2)
        two.warm_up()
        assert [found.label for found in two.predict(TEXTS)] == one
