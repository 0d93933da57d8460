"""What `gatelet doctor` says of an artifact, by what its engines did."""

import pytest

from gatelet.errors import BackendError
from gatelet.runtime.measure.doctor import _artifact

COMMANDS = {"onnx": "pip install 'gatelet[onnx]'"}


@pytest.mark.parametrize(
    ("target", "problem", "advice"),
    [
        ("onnx", "no engine for onnx works here", COMMANDS["onnx"]),
        ("litert", "no engine for litert works here", None),
        ("later", "later is not known", "update gatelet"),
    ],
)
def test_an_artifact_that_no_engine_here_runs(
    target: str, problem: str, advice: str | None
) -> None:
    found = _artifact((target, "float32", "pass"), {}, COMMANDS)
    assert (found.runs, found.problem, found.advice) == (False, problem, advice)


@pytest.mark.parametrize(
    ("said", "is_old"), [("Didn't find op for builtin opcode", True), ("no such file", False)]
)
def test_an_artifact_that_its_engine_refuses(said: str, is_old: bool) -> None:
    entry = ("litert", "dynamic-int8", "pass")
    found = _artifact(entry, {entry: BackendError(said, target="litert")}, {})
    assert not found.runs and found.problem == said
    assert (found.advice is not None and "the engine is too old" in found.advice) == is_old
    assert _artifact(entry, {entry: None}, {}).runs
