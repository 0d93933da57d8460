"""The protocol of backends, and the opening of them.

Not an engine: those are the files beside this one, and `targets` has the table of them.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path

from gatelet.errors import BackendError
from gatelet.runtime.backends.targets import engine_module, row_of, unknown_target
from gatelet.runtime.bundle.held_file import HeldFile
from gatelet.runtime.graph.graph import Graph

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol
else:
    Protocol = object

AnyFile = Path | HeldFile


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


def open_backend(
    target: str,
    path: AnyFile,
    *,
    threads: int = 1,
    companions: Mapping[str, AnyFile] | None = None,
    module: str | None = None,
    steps: bool = False,
) -> Backend:
    """Open an artifact file.

    Args:
        target: A target with files.
        path: The artifact; a file that stays open where it may be replaced.
        threads: For the engine's kernels.
        companions: Files beside it, by their role; a backend takes those that it knows.
        module: Of the engine; None for the preferred one that is installed.
        steps: Open the streaming form that the artifact holds inside it; see `Target.streaming`.

    Raises:
        BackendMissing: No engine for the target is installed.
        BackendError: The engine cannot be imported, or refuses the file.
    """
    module = module or engine_module(target)
    try:
        opened: Backend = _module_of(target).open_artifact(
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


def graph_backend(target: str, graph: Graph) -> Backend:
    """Open a Graph in a target that runs the Graph itself.

    Raises:
        BackendMissing: Its engine is not installed.
    """
    engine_module(target)
    opened: Backend = _module_of(target).open_graph(graph)
    return opened


def used_companions(target: str, companions: Mapping[str, str]) -> Mapping[str, str]:
    """Return the companions of an artifact that are read here: of code, those of this machine."""
    if not row_of(target).is_code:
        return companions
    return {role: companions[role] for role in _module_of(target).used_roles(companions)}


def _module_of(target: str) -> Any:
    """Import the backend of a target."""
    module = row_of(target).module
    if not module:
        raise unknown_target(target)
    return importlib.import_module(f"gatelet.runtime.backends.{module}")


def row_trial(backend: Backend, graph: Graph) -> Callable[[Any, int], Any] | None:
    """Return what runs rows of ids unchecked, where the backend has it and looks at ids itself."""
    trial: Callable[[Any, int], Any] | None = getattr(backend, "try_rows", None)
    one = graph.inputs[0]
    fits = len(graph.inputs) == len(graph.outputs) == 1 and len(one.shape) == 2
    return trial if fits and one.dtype == "int32" and one.vocabulary is not None else None


def place_or_bytes(file: AnyFile) -> str | bytes:
    """Return a path by which an engine opens a file; its bytes where there is none."""
    if isinstance(file, Path):
        return str(file)
    return file.place or file.read_bytes()


def first_line(error: BaseException) -> str:
    """Return the first line of what an engine said."""
    return next(iter(str(error).strip().splitlines()), "")
