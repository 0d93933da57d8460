"""Notes which lines of a tree's functions a process runs, each as soon as it ran: some are killed.

Not what runs at import, such as tables and defaults, whoever then uses them.

`executed_lines.py` has it started in every process of a conversion, by a `sitecustomize` module.
Standard library only.
"""

import inspect
import os
import sys
import threading
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

TREE, NOTED = "GATELET_TRACED_TREE", "GATELET_TRACED_LINES"
"""What the environment says: the tree, and the file that lines are added to."""
LINKED = ("convert", "devices", "runtime", "train")
"""Packages that the import package links to."""


def start() -> None:
    """Trace this process from now on, if the environment says so."""
    tree, noted = os.environ.get(TREE), os.environ.get(NOTED)
    if not tree or not noted:
        return
    file = os.open(noted, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    seen: dict[CodeType, set[int]] = {}

    def on_call(frame: FrameType, event: str, given: Any) -> Any:
        code = frame.f_code
        is_function = code.co_flags & inspect.CO_OPTIMIZED  # neither a module nor a class
        if not is_function or not code.co_filename.startswith(tree):
            return None
        known = seen.setdefault(code, set())
        name = path_in(tree, code.co_filename)

        def on_line(frame: FrameType, event: str, given: Any) -> Any:
            if event == "line" and frame.f_lineno not in known:
                known.add(frame.f_lineno)
                os.write(file, f"{name}:{frame.f_lineno}\n".encode())
            return on_line

        return on_line

    threading.settrace(on_call)
    sys.settrace(on_call)


def path_in(tree: str, name: str) -> str:
    """Return a module's path in the tree, where git has it: links are followed."""
    parts = Path(name).relative_to(tree).parts
    return "/".join(parts[1:] if parts[:1] == ("gatelet",) and parts[1] in LINKED else parts)
