"""The table of targets: which engines run each, and how the runtime treats it.

Not the conversion to a target: that side's row is in `gatelet.convert.exporters.targets`.
"""

from __future__ import annotations

import importlib.util
import sys

from gatelet.errors import BackendError, BackendMissing
from gatelet.runtime.records import dataclass

ROWS_AT_ONCE = 64
"""The most rows that a backend is given."""


class Engine:
    """A package that can run a target's artifacts.

    Args:
        module: What to import.
        extra: The extra of gatelet that installs it; '' for a part of Python itself.
        package: Its name for people and for pip; by default that of the module.
        command: What installs it; by default the extra.
        loads: The module that opens a model, where importing the package alone says little.
        is_program: It is a program of that name, and no package of Python.
    """

    def __init__(
        self,
        module: str,
        extra: str,
        *,
        package: str = "",
        command: str = "",
        loads: str = "",
        is_program: bool = False,
    ) -> None:
        self.is_program = is_program
        self.module = module
        self.extra = extra
        self.package = package or module.replace("_", "-")
        self.command = command or f"pip install 'gatelet[{extra}]'"
        self.loads = loads or module

    @property
    def is_python(self) -> bool:
        """Whether it is a part of Python itself, of its version."""
        return not self.extra

    @property
    def is_installed(self) -> bool:
        """Whether the package can be found; it is not imported, and no program is started."""
        if self.is_program:
            from shutil import which  # not at the start of every process

            return which(self.module) is not None
        try:
            spec = importlib.util.find_spec(self.module)
        except ValueError:  # a module put into sys.modules by hand
            return self.module in sys.modules
        # a folder that only happens to have the name has no file of its own
        return spec is not None and spec.origin is not None


@dataclass(frozen=True)
class Target:
    """How the runtime runs a target.

    Args:
        module: Of its backend, in this folder: it defines `open_artifact`, or `open_graph` where
            it runs the Graph itself.
        engines: That can run it, the preferred one first.
        runs_graph: It runs the bundle's Graph, and has no artifacts.
        is_code: Its artifacts are native code with weights of its own, which looks at its inputs
            itself: the bundle's weights are not read, its backend picks the companions that it
            uses (`used_roles`), and where none fits this machine another target is opened.
        takes_texts: Its artifacts have the vectorizer in them.
        takes_arrays: The ids of several texts are made as an array rather than as lists.
        sorts_rows: It skips the padding that a batch shares, so rows are sorted by it.
        rows_at_once: The most rows that its backend is given.
        streaming: Where its streaming form is: 'file' beside the artifact, 'inside' the artifact,
            or the 'graph'; '' for a target without one.
        call_us: What any call costs beside its timesteps; of this and the next only the
            proportions matter. See `gatelet.runtime.predictor.call_cost`.
        step_us: What a timestep costs, for any number of rows.
        multiplies_rows_together: Its matrix kernels take several rows at once.
        multiplications_a_s: On a small processor of today, roughly.
        timestep_s: What a timestep of a recurrence takes beside its multiplications.
        only_named: It is used where it is named, and never chosen by itself.
    """

    module: str
    engines: tuple[Engine, ...]
    runs_graph: bool = False
    is_code: bool = False
    takes_texts: bool = False
    takes_arrays: bool = False
    sorts_rows: bool = True
    rows_at_once: int = ROWS_AT_ONCE
    streaming: str = ""
    call_us: float = 20.0
    step_us: float = 0.7
    multiplies_rows_together: bool = False
    multiplications_a_s: float = 5e9
    timestep_s: float = 2e-6
    only_named: bool = False


_ONNXRUNTIME = Engine("onnxruntime", "onnx")

TARGETS: dict[str, Target] = {
    "c": Target(
        "c",
        (Engine("ctypes", ""),),  # Python's own; needs a library in the bundle, or a compiler
        is_code=True,
        sorts_rows=False,  # it does so itself
        streaming="inside",
    ),
    "litert": Target(
        "litert",
        (
            Engine("ai_edge_litert", "litert", loads="ai_edge_litert.interpreter"),
            Engine("tflite_runtime", "tflite-runtime", loads="tflite_runtime.interpreter"),
        ),
        takes_arrays=True,
        streaming="file",
        multiplies_rows_together=True,
    ),
    "onnx": Target(
        "onnx", (_ONNXRUNTIME,), takes_arrays=True, streaming="file", call_us=20.0, step_us=0.1
    ),
    "onnx-text": Target("onnx_text", (_ONNXRUNTIME,), takes_texts=True),
    "reference": Target(
        "reference.run",
        (Engine("numpy", "onnx", command="pip install numpy"),),
        runs_graph=True,
        takes_arrays=True,
        sorts_rows=False,  # it skips no padding
        streaming="graph",
        multiplications_a_s=1e9,
        timestep_s=1e-4,
    ),
    "pure": Target(
        "pure.run",
        (Engine("math", "", package="python"),),  # Python's own, so always installed
        runs_graph=True,
        sorts_rows=False,
        rows_at_once=8,  # more gain nothing there, and take memory
        streaming="graph",
        multiplications_a_s=1e7,
        timestep_s=1e-4,
    ),
    "tflm": Target(  # a test bench: on devices it is C++
        "tflm",
        (Engine("tflite_micro", "tflm"),),
        takes_arrays=True,
        multiplications_a_s=1e8,
        timestep_s=1e-5,
    ),
    "wasm": Target(  # a test bench too: in pages it is a package of `gatelet export`
        "wasm.backend",
        (
            Engine(
                "node",
                "wasm",
                command="install Node.js 18 or later, such that 'node' is found",
                is_program=True,
            ),
        ),
        sorts_rows=False,  # as c
        streaming="inside",
        only_named=True,
    ),
}
"""In the runtime's order: the first one that can run is used where none is named."""

GRAPH_TARGETS = tuple(name for name, row in TARGETS.items() if row.runs_graph)
"""The targets that run the bundle's Graph itself, and so have no artifacts."""


_UNKNOWN = Target("", ())


def row_of(target: str) -> Target:
    """Return the row of a target; of one that is not known, a row that says nothing."""
    return TARGETS.get(target, _UNKNOWN)


def installed_targets(*names: str) -> tuple[str, ...]:
    """Return the targets that an installed engine can run, in the runtime's order.

    Args:
        names: To look for these alone, which takes less time.
    """
    return tuple(
        name
        for name, row in TARGETS.items()
        if (name in names or not names) and any(one.is_installed for one in row.engines)
    )


def engine_module(target: str) -> str:
    """Return the module of the preferred engine that is installed for a target.

    Raises:
        BackendMissing: None is.
        BackendError: The target is not known.
    """
    if target not in TARGETS:
        raise unknown_target(target)
    engines = TARGETS[target].engines
    for engine in engines:
        if engine.is_installed:
            return engine.module
    raise BackendMissing(
        f"the {target} backend is not installed: {engines[0].command}",
        target=target,
        command=engines[0].command,
    )


def unknown_target(target: str) -> BackendError:
    """Return the error of a target that no row is about: a newer gatelet made it."""
    return BackendError(
        f"target '{target}' is not known to this gatelet; known are {', '.join(TARGETS)}: "
        "update gatelet",
        target=target,
    )
