"""Libraries of all cases for the C conformance tests: one a build, since compilers take long.

Not the models (cases.py), and not what is checked (test_conformance_c.py).
"""

import ctypes
import shutil
import sys
import tempfile
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from gatelet.convert.exporters.c.build import kernel_object, run_compiler
from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.c.files import render
from gatelet.convert.exporters.c.refusal import c_refusal
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.targets import TARGETS
from gatelet.convert.passes import skip_padding
from gatelet.convert.passes.streaming import streaming_beside
from gatelet.convert.rows.calibration import Calibration
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.backends.c.backend import CBackend
from gatelet.runtime.backends.c.library import Library
from gatelet.runtime.graph.states import State
from tests.conformance.cases import CASES
from tests.conformance.matrix import Prepared, conditioned, prepare
from tests.tiers import C_SAMPLE

STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
V2 = ("-msse4.2", "-mpopcnt")
V3 = (*V2, "-mavx2", "-mfma", "-mbmi", "-mbmi2")
V4 = (*V3, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni")
LEVELS = {
    "plain": ("-DGATELET_PLAIN",),
    "v2": V2,
    "v3": V3,
    "v4": V4,
    "native": ("-march=native",),
}
SANITIZERS = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
_LIBRARY = ("-DGATELET_LIBRARY", "-fPIC", "-shared", "-std=c11", "-ffp-contract=fast")


@dataclass(frozen=True)
class Build:
    """How the kernels and calls are compiled.

    Args:
        compiler: 'gcc' or 'zig'.
        optimization: '-O2'.
        level: Of LEVELS.
        schemes: Of which the library has models.
        sanitized: Under AddressSanitizer and UndefinedBehaviorSanitizer.
    """

    compiler: str
    optimization: str
    level: str
    schemes: tuple[str, ...] = TARGETS["c"]
    sanitized: bool = False

    def __str__(self) -> str:
        return f"{self.compiler} {self.optimization} {self.level}"

    @property
    def flags(self) -> tuple[str, ...]:
        """The compiler's flags, beside those that are always given."""
        return (self.optimization, *LEVELS[self.level], *(SANITIZERS if self.sanitized else ()))

    @property
    def command(self) -> list[str]:
        """The compiler's command line."""
        return [sys.executable, "-m", "ziglang", "cc"] if self.compiler == "zig" else ["gcc"]

    def is_possible(self) -> bool:
        """Return whether the compiler is here, and the processor can run the result."""
        if self.compiler == "gcc" and shutil.which("gcc") is None:
            return False
        flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
        needed = {"-mavx2": "avx2", "-mavx512vnni": "avx512_vnni", "-msse4.2": "sse4_2"}
        return all(name in flags for flag, name in needed.items() if flag in self.flags)


@dataclass(frozen=True)
class Written:
    """A case in a scheme as files.

    Args:
        name: The prefix of its C names.
        source: Its calls.
        weights: The blob.
        states: What its steps carry; () where it has none.
    """

    name: str
    source: Path
    weights: Path
    states: tuple[State, ...]


@cache
def keras() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import keras
    return keras


@cache
def prepared(build: Callable[[Any], Any]) -> Prepared:
    """Return a case with the float32 limit that its conditioning allows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        case = prepare(keras(), build)
    return replace(case, float32_limit=conditioned(case).float32_limit)


@cache
def folder() -> Path:
    """Return a folder for the session's libraries."""
    made = tempfile.TemporaryDirectory(prefix="gatelet-conformance-c-")
    _KEPT.append(made)
    return Path(made.name)


_KEPT: list[Any] = []


def written(scheme: str) -> Mapping[str, Written]:
    """Write every case that a scheme takes, by name."""
    return {**written_part(scheme, is_sample=True), **written_part(scheme, is_sample=False)}


@cache
def written_part(scheme: str, *, is_sample: bool) -> Mapping[str, Written]:
    """Write the cases of the fast tier, or the others: the fast tier does not compile those."""
    found = {}
    for index, build in enumerate(CASES):
        if (build.__name__ in C_SAMPLE) is not is_sample:
            continue
        case = prepared(build)
        model = Exportable(
            case.graph,
            skip_padding(case.graph, timesteps=12),
            name=f"case{index} {scheme}",
            calibration=Calibration(case.inputs, "the case's own rows"),
            streaming=streaming_beside(case.graph, wanted=None),
        )
        if c_refusal(case.graph, SCHEMES[scheme], None):
            continue
        made = write_model(model, SCHEMES[scheme])
        source, weights = (folder() / f"{made.prefix}{suffix}" for suffix in (".c", ".bin"))
        source.write_text(render(made, model, SCHEMES[scheme])["linked"])
        weights.write_bytes(made.weights)
        found[build.__name__] = Written(made.prefix, source, weights, made.states)
    return found


@cache
def library_of(build: Build, scheme: str, *, is_sample: bool | None = None) -> Path:
    """Compile cases of a scheme into one library, with kernels that are compiled once.

    Args:
        is_sample: Those of the fast tier, or the others; None for all.
    """
    cases = written(scheme) if is_sample is None else written_part(scheme, is_sample=is_sample)
    path = folder() / f"library{len(list(folder().glob('*.so')))}.so"
    kernels = kernel_object(build.command, (*build.flags, *STRICT))
    sources = [str(one.source) for one in cases.values()]
    files = ["-o", str(path), *sources, str(kernels)]
    run_compiler([*build.command, *STRICT, *build.flags, *_LIBRARY, *files])
    return path


def open_case(build: Build, name: str, scheme: str, *, steps: bool = False) -> CBackend:
    """Open a case of a build."""
    is_sample = name in C_SAMPLE
    one = written_part(scheme, is_sample=is_sample)[name]
    symbol = f"{one.name}_{'step_' if steps else ''}library"
    path = library_of(build, scheme, is_sample=is_sample)
    library = Library.in_dll(ctypes.CDLL(str(path)), symbol)
    return CBackend(library, one.weights, engine="c")
