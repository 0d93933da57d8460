"""What this machine can run: its backends, how to install the others, and a bundle's artifacts.

Not a repair: it installs nothing. Engines are imported in child processes, which may fail.
"""

import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gatelet.errors import BackendMissing, GateletError
from gatelet.runtime.backends.c.compiler import find_compiler
from gatelet.runtime.backends.host import host_platform
from gatelet.runtime.backends.targets import GRAPH_TARGETS, TARGETS, Engine
from gatelet.runtime.backends.wasm.child import node_version
from gatelet.runtime.bundle.opening import Bundle, open_bundle
from gatelet.runtime.predictor.probe import Probe, probe_all

IMPORT_TIMEOUT_S = 120.0

# Wheels by Python, architecture and libc, as published in 2026; a source build is not counted.
_PYTHONS = {
    "ai_edge_litert": ((3, 10), (3, 14)),
    "tflite_runtime": ((3, 9), (3, 11)),
    "onnxruntime": ((3, 11), (3, 14)),
    "numpy": ((3, 11), (3, 14)),
}
_ARCHITECTURES = {
    "ai_edge_litert": ("x86_64", "amd64", "aarch64", "arm64"),
    "tflite_runtime": ("x86_64", "aarch64", "armv7l"),
    "onnxruntime": ("x86_64", "amd64", "aarch64", "arm64"),
    "numpy": ("x86_64", "amd64", "aarch64", "arm64", "i686"),
}
_MUSL = ("numpy",)
"""Engines with wheels for musl, such as on Alpine; the others have them for glibc only."""

_FEATURES = ("avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx_vnni", "sha_ni", "amx_int8")
_ARM_FEATURES = ("asimd", "neon", "asimdhp", "asimddp", "i8mm", "sve", "sha2")


# tflite-runtime 2.14 imports beside NumPy 2, and fails when it opens a model: here one that gives
# what it takes, a number, and has no operator
_OPEN_A_MODEL = """
module.Interpreter(model_content=base64.b64decode(
"GAAAAFRGTDMAAA4AGAAUABAADAAIAAQADgAAABQAAAAgAAAAJAAAAIwAAAADAAAAAQAAAAgAAAAEAAQA"
"BAAAAAAAAAAAAAAAAQAAABAAAAAMABQAEAAMAAgABAAMAAAAEAAAABAAAAAUAAAAGAAAAAAAAAABAAAA"
"AAAAAAEAAAAAAAAAAQAAABAAAAAMAAwACAAAAAAABAAMAAAACAAAAAwAAAABAAAAeAAAAAEAAAABAAAA"
"AAAAAA=="
))
"""


@dataclass(frozen=True)
class Machine:
    """Where this runs.

    Args:
        system: 'Linux', 'Darwin', 'Windows'.
        architecture: As the system calls it: 'x86_64', 'aarch64'.
        libc: 'glibc 2.36', 'musl', or '' where the system has no choice.
        python: Its version.
        processors: How many this process may use.
        features: Of the processor, those that matter to the engines.
    """

    system: str
    architecture: str
    libc: str
    python: str
    processors: int
    features: tuple[str, ...]


@dataclass(frozen=True)
class Backend:
    """A target and one engine that runs it.

    Args:
        target: 'litert'.
        engine: Its package, 'ai-edge-litert'; 'python' for pure.
        version: None where it is not installed, or cannot be imported.
        works: Whether it could be imported. An artifact may need more: those of c a library for
            this machine, or a C compiler.
        command: What installs it, or mends it; None where nothing is to be done, or nothing helps.
        problem: What is wrong, in a sentence; None if nothing is.
    """

    target: str
    engine: str
    version: str | None
    works: bool
    command: str | None = None
    problem: str | None = None


@dataclass(frozen=True)
class ArtifactCheck:
    """Whether an artifact of a bundle runs here.

    Args:
        target: Its target.
        scheme: Its scheme.
        parity: Its verdict when it was converted.
        runs: Whether it opened and gave the golden scores, in a child process.
        problem: Why it does not; None if it does.
        advice: What to do about it.
    """

    target: str
    scheme: str
    parity: str
    runs: bool
    problem: str | None = None
    advice: str | None = None


@dataclass(frozen=True)
class Diagnosis:
    """All of it.

    Args:
        machine: Where this runs.
        backends: Every engine of every target, in the runtime's order.
        bundle: The name of the bundle that was looked at, if any.
        artifacts: Its artifacts, and its Graph in reference and pure.
    """

    machine: Machine
    backends: tuple[Backend, ...]
    bundle: str | None = None
    artifacts: tuple[ArtifactCheck, ...] = field(default=())

    @property
    def is_well(self) -> bool:
        """Whether something can predict: with a bundle, one of its artifacts or its Graph."""
        found = self.artifacts if self.bundle is not None else self.backends
        return any(getattr(one, "runs", False) or getattr(one, "works", False) for one in found)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it."""
        return {**asdict(self), "well": self.is_well}


def diagnose(path: Path | None = None) -> Diagnosis:
    """Look at this machine, and at a bundle.

    Args:
        path: The bundle's folder; None to look at the machine alone.

    Raises:
        BundleError: There is no bundle, or it is damaged.
    """
    bundle = None if path is None else open_bundle(path)
    backends = tuple(
        _backend(target, engine) for target, row in TARGETS.items() for engine in row.engines
    )
    if bundle is None:
        return Diagnosis(machine(), backends)
    return Diagnosis(machine(), backends, bundle.name, _artifacts(bundle, backends))


def machine() -> Machine:
    """Look at this machine; nothing is run."""
    name, version = platform.libc_ver()
    libc = f"{name} {version}".strip()
    if not libc and sys.platform == "linux":
        libc = "musl"
    return Machine(
        system=platform.system(),
        architecture=platform.machine(),
        libc=libc,
        python=platform.python_version(),
        processors=len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1,
        features=_features(),
    )


def _features() -> tuple[str, ...]:
    """Read the processor's features where the system tells them in a file: Linux."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8", "replace")
    except OSError:
        return ()
    lines = (line.partition(":") for line in text.splitlines())
    told = {
        w for key, _, rest in lines if key.strip() in ("flags", "Features") for w in rest.split()
    }
    return tuple(name for name in (*_FEATURES, *_ARM_FEATURES) if name in told)


def _backend(target: str, engine: Engine) -> Backend:
    name, command = engine.package, engine.command
    if TARGETS[target].is_code:
        return _code_backend(target, engine)
    if engine.is_python:
        return Backend(target, name, platform.python_version(), works=True)
    if not engine.is_installed:
        missing = _no_wheel(engine.module, machine())
        if missing is not None:
            return Backend(target, name, None, works=False, problem=missing)
        return Backend(target, name, None, works=False, command=command, problem="not installed")
    version, said = _try_import(engine)
    if version is not None:
        return Backend(target, name, version, works=True)
    if engine.is_program:
        return Backend(target, name, None, works=False, command=command, problem=said)
    problem, mend = _explain_import(engine.module, said, command)
    return Backend(target, name, None, works=False, command=mend, problem=problem)


def _code_backend(target: str, engine: Engine) -> Backend:
    """Look at Python's own ctypes, and at what makes a library where a bundle has none."""
    name = engine.package
    version, said = _try_import(engine)
    if version is None:
        problem = f"this Python cannot import its own {engine.module}: {said[-200:]}"
        return Backend(target, name, None, works=False, problem=problem)
    if find_compiler() is not None:
        return Backend(target, name, version, works=True)
    problem = f"no C compiler: runs only bundles with a library for {host_platform()}"
    return Backend(target, name, version, works=True, problem=problem)


def _no_wheel(module: str, here: Machine) -> str | None:
    """Report why pip will find no wheel, if it will not."""
    first, last = _PYTHONS.get(module, ((3, 0), (4, 0)))
    package, version = module.replace("_", "-"), sys.version_info[:2]
    if not first <= version <= last:
        span = f"{first[0]}.{first[1]} to {last[0]}.{last[1]}"
        return f"{package} has no wheel for Python {version[0]}.{version[1]}, only for {span}"
    if here.architecture.lower() not in _ARCHITECTURES.get(module, (here.architecture.lower(),)):
        return f"{package} has no wheel for {here.architecture}"
    if here.libc == "musl" and module not in _MUSL:
        return f"{package} has no wheel for musl, only for glibc"
    return None


def _try_import(engine: Engine) -> tuple[str | None, str]:
    """Import an engine in a child process: its version, or the last line of what it said."""
    if engine.is_program:
        return _try_node()
    version = f"importlib.metadata.version({engine.package!r})"
    script = (
        "import base64, importlib, importlib.metadata, platform\n"
        f"module = importlib.import_module({engine.loads!r})\n"
        f"{_OPEN_A_MODEL if engine.loads != engine.module else ''}\n"
        f"print({'platform.python_version()' if engine.is_python else version})"
    )
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", script],
            check=False,
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            timeout=IMPORT_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return None, f"importing it took longer than {IMPORT_TIMEOUT_S:g} s"
    if done.returncode == 0 and done.stdout.strip():
        return done.stdout.split()[-1], ""
    if done.returncode < 0:
        return None, f"importing it ended the process by signal {-done.returncode}"
    lines = [line for line in done.stderr.splitlines() if line.strip()]
    return None, " ".join(lines)[:20_000] if lines else f"exit code {done.returncode}"


def _try_node() -> tuple[str | None, str]:
    """Start the Node child of the wasm backend: its version, or why there is none."""
    try:
        return node_version(), ""
    except BackendMissing as error:
        return None, str(error)


def _explain_import(module: str, said: str, command: str) -> tuple[str, str | None]:
    """Return the known cause of a failed import, and what mends it."""
    package = module.replace("_", "-")
    if "_ARRAY_API not found" in said or "compiled using NumPy 1" in said:
        return f"{package} was built for NumPy 1, and NumPy 2 is installed", "pip install 'numpy<2'"
    if "No module named 'numpy'" in said:
        return f"{package} needs NumPy, which is not installed", "pip install numpy"
    if "GLIBC_" in said or "GLIBCXX_" in said:
        return f"{package} needs a newer libc than this system has", None
    if "wrong ELF class" in said or "cannot open shared object" in said:
        return (
            f"{package} is built for another system: {said[-160:]}",
            f"{command} --force-reinstall",
        )
    return f"{package} cannot be imported: {said[-200:]}", f"{command} --force-reinstall"


def _artifacts(bundle: Bundle, backends: tuple[Backend, ...]) -> tuple[ArtifactCheck, ...]:
    working = {one.target for one in backends if one.works}
    commands = {one.target: one.command for one in reversed(backends) if one.command}
    entries = [(a.target, a.scheme, a.verdict) for a in bundle.artifacts]
    entries += [(target, "float32", "not run") for target in GRAPH_TARGETS]
    tried = [entry for entry in entries if entry[0] in working]
    path = str(bundle.path.absolute())
    errors = dict(zip(tried, probe_all([Probe(path, t, s) for t, s, _ in tried]), strict=True))
    return tuple(_artifact(entry, errors, commands) for entry in entries)


def _artifact(
    entry: tuple[str, str, str],
    errors: dict[tuple[str, str, str], GateletError | None],
    commands: dict[str, str],
) -> ArtifactCheck:
    target, scheme, verdict = entry
    if entry not in errors:
        known = target in TARGETS
        problem = f"no engine for {target} works here" if known else f"{target} is not known"
        advice = commands.get(target) if known else "update gatelet"
        return ArtifactCheck(target, scheme, verdict, runs=False, problem=problem, advice=advice)
    error = errors[entry]
    if error is None:
        return ArtifactCheck(target, scheme, verdict, runs=True)
    said = str(error)
    old = "tflite_runtime" in said or "Didn't find op" in said or "version" in said
    advice = (
        "the engine is too old for an operator: use another target, or float32" if old else None
    )
    return ArtifactCheck(target, scheme, verdict, runs=False, problem=said, advice=advice)
