"""The protocol of backends, and the table of them.

Not an engine: those are the files beside this one.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path

from gatelet.errors import BackendError, BackendMissing
from gatelet.runtime.graph.graph import Graph

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol
else:
    Protocol = object

__all__ = [
    "GRAPH_TARGETS",
    "ROWS_AT_ONCE",
    "TARGETS",
    "Backend",
    "Engine",
    "engine_module",
    "installed_targets",
    "open_backend",
    "row_trial",
]


class Backend(Protocol):
    """An opened artifact.

    Every call of `run` starts from a zero state, and one backend can be used by several threads.
    """

    target: str
    engine: str
    """The engine's package and version."""

    def run(self, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        """Run rows.

        Args:
            inputs: By graph input: ids int32 [B, T] or features float32 [B, T, F], as arrays
                or nested lists that have been checked.

        Returns:
            By graph output, array-like [B, ...].

        Raises:
            BackendError: The engine failed.
        """
        ...


class Engine:
    """A package that can run a target's artifacts.

    Args:
        module: What to import.
        extra: The extra of gatelet that installs it.
    """

    def __init__(self, module: str, extra: str) -> None:
        self.module = module
        self.extra = extra

    @property
    def is_installed(self) -> bool:
        """Whether the package can be found; it is not imported."""
        try:
            spec = importlib.util.find_spec(self.module)
        except ValueError:  # a module put into sys.modules by hand
            return self.module in sys.modules
        # a folder that only happens to have the name has no file of its own
        return spec is not None and spec.origin is not None


TARGETS: dict[str, tuple[Engine, ...]] = {
    "c": (Engine("ctypes", ""),),  # Python's own; needs a library in the bundle, or a compiler
    "litert": (Engine("ai_edge_litert", "litert"), Engine("tflite_runtime", "tflite-runtime")),
    "onnx": (Engine("onnxruntime", "onnx"),),
    "onnx-text": (Engine("onnxruntime", "onnx"),),
    "reference": (Engine("numpy", "onnx"),),
    "pure": (Engine("math", ""),),  # Python's own, so always installed
    "tflm": (Engine("tflite_micro", "tflm"),),  # a test bench: on devices it is C++
}
"""The engines of each target, the preferred ones first; targets in the runtime's order."""

ROWS_AT_ONCE = 64
"""The most rows that a backend is given."""

GRAPH_TARGETS = ("reference", "pure")
"""The targets that run the bundle's Graph itself, and so have no artifacts."""


def installed_targets() -> tuple[str, ...]:
    """Give the targets that an installed engine can run, in the runtime's order."""
    return tuple(
        target for target, engines in TARGETS.items() if any(e.is_installed for e in engines)
    )


def engine_module(target: str) -> str:
    """Give the module of the preferred engine that is installed for a target.

    Raises:
        BackendMissing: None is.
        BackendError: The target is not known.
    """
    if target not in TARGETS:
        raise BackendError(
            f"target '{target}' is not known to this gatelet; known are {', '.join(TARGETS)}: "
            "update gatelet",
            target=target,
        )
    for engine in TARGETS[target]:
        if engine.is_installed:
            return engine.module
    extra = TARGETS[target][0].extra
    raise BackendMissing(
        f"the {target} backend is not installed: pip install 'gatelet[{extra}]'",
        target=target,
        command=f"pip install 'gatelet[{extra}]'",
    )


def open_backend(
    target: str,
    path: Path,
    *,
    threads: int = 1,
    companions: Mapping[str, Path] | None = None,
    module: str | None = None,
    steps: bool = False,
) -> Backend:
    """Open an artifact file.

    Args:
        target: A target with files: 'litert' or 'onnx'.
        path: The artifact.
        threads: For the engine's kernels.
        companions: Files beside it, by their role; a backend takes those that it knows.
        module: Of the engine; None for the preferred one that is installed.
        steps: Open the streaming form that an artifact of the target 'c' holds beside the whole.

    Raises:
        BackendMissing: No engine for the target is installed.
        BackendError: The engine cannot be imported, or refuses the file.
    """
    module = module or engine_module(target)
    try:
        backend = importlib.import_module(f"gatelet.runtime.backends.{target.replace('-', '_')}")
        opened: Backend = backend.open_artifact(
            path,
            module=module,
            threads=threads,
            companions=companions or {},
            **({"steps": True} if steps else {}),
        )
    except BackendError:
        raise
    except Exception as error:  # engines raise whatever they like
        raise BackendError(
            f"the engine {module} cannot open '{path.name}': {type(error).__name__} "
            f"{first_line(error)}",
            target=target,
        ) from error
    return opened


def row_trial(backend: Backend, graph: Graph) -> Callable[[Any, int], Any] | None:
    """Give what runs rows of ids unchecked, where the backend has it and looks at ids itself."""
    trial: Callable[[Any, int], Any] | None = getattr(backend, "try_rows", None)
    one = graph.inputs[0]
    fits = len(graph.inputs) == len(graph.outputs) == 1 and len(one.shape) == 2
    return trial if fits and one.dtype == "int32" and one.vocabulary is not None else None


class Renewable(Protocol):
    """A backend with a lock or state that a forked process must not inherit as it is."""

    def renew(self) -> None:
        """Forget what other threads of the process before were doing."""
        ...


def renew_after_fork(backend: Renewable) -> None:
    """Call `renew` in each forked child: its copy of a lock may be held by a thread it lacks."""
    weak = weakref.ref(backend)

    def renew() -> None:
        alive = weak()
        if alive is not None:
            alive.renew()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)


def first_line(error: BaseException) -> str:
    """Give the first line of what an engine said."""
    return next(iter(str(error).strip().splitlines()), "")
