"""The child process of `gatelet.convert.worker`: reads requests, answers, until its parent ends.

Not to be imported.
"""

import ctypes
import importlib
import json
import os
import signal
import sys
import warnings
from typing import Any

MAX_ERROR_CHARACTERS = 2000
_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Answer one request a line: {"function", "arguments"} -> {"result"} or {"type", "error"}."""
    _die_with_parent()
    warnings.simplefilter("ignore")
    # engines print to standard output and read standard input: keep both pipes to ourselves
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)
    for line in requests:
        answers.write(_answer(json.loads(line)) + "\n")
        answers.flush()


def _answer(request: dict[str, Any]) -> str:
    module, name = request["function"].split(":")
    try:
        function = getattr(importlib.import_module(module), name)
        return json.dumps({"result": function(**request["arguments"])})
    except Exception as error:  # every error goes to the parent, which names it
        text = " ".join(str(error).split())[:MAX_ERROR_CHARACTERS]
        return json.dumps({"type": type(error).__name__, "error": text})


def _die_with_parent() -> None:
    """Ask Linux to end this process when its parent dies, however it dies."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != int(sys.argv[1]):  # it died before we could ask
            sys.exit(1)


if __name__ == "__main__":
    main()
