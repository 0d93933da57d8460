"""Opens mutants, each in a fork of a process that has imported every engine: a fork may die.

Not the judge of what comes of it: see test_fuzz.py. `python -m tests.runtime.fuzz_child` reads one
request a line and answers each with one line.
"""

import importlib
import json
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatelet.errors import GateletError
from gatelet.runtime import load
from gatelet.runtime.predictor import probe_child
from gatelet.runtime.predictor.probe import MEMORY_LIMIT_BYTES

__all__ = ["Answer", "Request"]

IMPORTS = (
    "ai_edge_litert.interpreter",
    "onnxruntime",
    "tflite_micro",
    *(f"gatelet.runtime.backends.{name}" for name in ("c.backend", "c.compiler", "litert", "onnx")),
    *(f"gatelet.runtime.backends.{name}" for name in ("onnx_text", "tflm", "reference", "pure")),
)
WALL_S_A_CPU_S = 10  # only what sleeps for ever reaches it
FLOAT32_LIMIT = 1e-3


@dataclass(frozen=True)
class Request:
    """What a fork does.

    Args:
        path: The bundle.
        target: What to load it with.
        probe: Whether to load it with `probe=True`, and no more; else its golden vectors run.
        cpu_s: After so much processor time the kernel ends it.
    """

    path: str
    target: str
    probe: bool
    cpu_s: int


@dataclass(frozen=True)
class Answer:
    """What became of a fork.

    Args:
        error: The name of the error of ours; '' where it ran.
        message: Of the error, or of one that is none of ours.
        signal: The name of what ended it; '' where it ended by itself.
        peak_kb: The memory of the process that loaded the bundle, at most.
    """

    error: str
    message: str
    signal: str
    peak_kb: int


def main() -> None:
    """Answer requests until there are no more."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    os.dup2(sys.stdout.fileno(), sys.stderr.fileno())
    for name in IMPORTS:
        importlib.import_module(name)
    for line in sys.stdin:
        answer = answer_of(Request(**json.loads(line)))
        print(json.dumps(answer.__dict__), file=answers, flush=True)


def answer_of(request: Request) -> Answer:
    """Fork, and read what the fork says before it ends."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        said: tuple[str, str] = ("SystemExit", "it ended by itself")
        try:
            said = outcome(request)
        finally:
            os.write(write, json.dumps(said)[:4000].encode())
            os._exit(0)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        said_bytes = pipe.read()
    _, status, used = os.wait4(child, 0)
    ended_by = signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else ""
    try:
        error, message = json.loads(said_bytes)
    except ValueError:
        error, message = "", said_bytes.decode("utf-8", "replace")
    return Answer(error, message, ended_by, used.ru_maxrss)


def outcome(request: Request) -> tuple[str, str]:
    """Return the name and the message of the error, ('', '') where there is none."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT_BYTES, MEMORY_LIMIT_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (request.cpu_s, request.cpu_s))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.alarm(request.cpu_s * WALL_S_A_CPU_S)
    try:
        predictor = load(request.path, target=request.target, probe=request.probe)
        if not request.probe:
            probe_child._run(predictor, predictor.bundle, limit=FLOAT32_LIMIT)
    except GateletError as error:
        return type(error).__name__, str(error)[:1000]
    except BaseException as error:
        return type(error).__name__, f"not a named error: {error!r}"[:1000] + where(error)
    return "", ""


def where(error: BaseException) -> str:
    """Return the last lines of a traceback."""
    places: list[Any] = []
    at = error.__traceback__
    while at is not None:
        places.append(f"{Path(at.tb_frame.f_code.co_filename).name}:{at.tb_lineno}")
        at = at.tb_next
    return f" at {', '.join(places[-6:])}"


if __name__ == "__main__":
    main()
