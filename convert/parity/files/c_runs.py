"""Runs the code of a c artifact: libraries by level, compiled sources, emulated libraries.

Not the files that are compared, which are judged in `c_files`.
"""

import functools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import gatelet
from gatelet.convert.parity.case import Case
from gatelet.convert.parity.files.emulated import SYSTEMS, refusal, run_emulated
from gatelet.convert.parity.files.verdict import RUN, Finding, Run, not_run, run_here, worst_of
from gatelet.convert.rows.rows import Rows, side_by_side
from gatelet.convert.schemes import SCHEMES
from gatelet.convert.tolerances import TOLERANCES, TYPICAL_DIFFERENCE
from gatelet.errors import BackendError, CompilerFailed
from gatelet.runtime.backends.c.compiler import find_compiler
from gatelet.runtime.backends.host import host_platform
from gatelet.runtime.bundle.opening import Artifact

TEXTS = " texts"
"""What scores of texts are called; no output has such a name."""
NO_COMPILER = "there is no C compiler here"
_CHILD = Path(__file__).with_name("c_child.py")
_LEVELS = ("plain", "v2", "v3", "v4")
_ROWS, _TEXTS, _LARGEST_NUMBERS = 19, 16, 2**18  # of rows two blocks of 8, and some
_ALIKE = 0.01
"""Of the spread: what the median may differ by between two builds of what is rounded."""
_SAME = 1e-6
"""Of the spread: what integers may differ by, whose last product alone is in floats."""
_FLAGS = ("-std=gnu11", "-O1", "-fPIC", "-ffp-contract=fast", "-fno-math-errno", "-w")
_LIBRARY = ("-DGATELET_LIBRARY", "-DGATELET_ONE_LEVEL")
_TIMEOUT_S = 300

Array = NDArray[Any]
Outputs = dict[str, Array]


@dataclass(frozen=True)
class CRuns:
    """Runs the code of one artifact on some rows.

    Args:
        case: With the rows, and what is right for them.
        artifact: The artifact.
        folder: For what is compiled.
    """

    case: Case
    artifact: Artifact
    folder: Path

    def path(self, role: str = "") -> Path:
        """Return the path of a companion; '' for the artifact."""
        named = self.artifact.companions[role] if role else self.artifact.path
        return (self.case.bundle.path / named).absolute()

    @functools.cached_property
    def rows(self) -> Rows:
        """The first of the judged rows."""
        inputs = self.case.oracle.inputs
        numbers = sum(int(np.prod(one.shape[1:])) for one in inputs.feed.values())
        return inputs[: max(1, min(_ROWS, _LARGEST_NUMBERS // max(1, numbers)))]

    @functools.cached_property
    def texts(self) -> list[str]:
        """Texts that any program can be given, golden ones where the rows have none."""
        golden = self.case.golden
        known = [*self.case.oracle.texts, *((golden.texts or ()) if golden is not None else ())]
        return [text for text in known if text.isprintable()][:_TEXTS]

    @functools.cached_property
    def compiled(self) -> Path | Finding:
        """The library that this machine's compiler makes of the source."""
        made = self.compile("source", ["-c", *_LIBRARY], suffix=".o")
        if isinstance(made, Finding):
            return made
        library = made.with_suffix(".so")
        said = self.run_compiler(["-shared", "-o", str(library), str(made)])
        return Finding("fail", RUN, said) if said else library

    @functools.cached_property
    def array(self) -> Path | Finding:
        """The library that it makes of the arrays alone."""
        return self.compile("array", ["-shared"], suffix=".so")

    def compile(self, role: str, flags: Sequence[str], *, suffix: str) -> Path | Finding:
        """Compile a companion, in the bundle's folder, as its reader is told to."""
        if role not in self.artifact.companions:
            return not_run(f"there is no {role} beside it")
        if find_compiler() is None:
            return not_run(NO_COMPILER)
        made = self.folder / f"{role}{suffix}"
        said = self.run_compiler([*flags, "-o", str(made), str(self.path(role))])
        return Finding("fail", RUN, said) if said else made

    def run_compiler(self, given: Sequence[str]) -> str:
        """Run this machine's compiler; return what it says where it refuses its input, else ''."""
        command, folder = [*(find_compiler() or ()), *_FLAGS, *given], self.case.bundle.path
        try:
            done = subprocess.run(
                command,
                cwd=folder,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_TIMEOUT_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"the C compiler cannot be run: {error}"
        if not done.returncode:
            return ""
        said = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr)
        return f"the C compiler refuses it: {said.strip()[:200]}"

    def library(self, role: str) -> Finding:
        """Run a library: each level of x86-64 that this processor has, or under an emulator."""
        platform = role.partition(":")[2]
        if platform != host_platform():
            return self._emulated(role, platform)
        levels = _LEVELS if platform.startswith("x86_64") else ("",)
        found = (self.ran(self.path(role), level) for level in levels)
        return worst_of(one for one in found if one.verdict != "not run")

    def ran(self, library: Path, level: str = "") -> Finding:
        """Run whole sequences, and as pieces where the artifact streams."""
        found = []
        for steps in self._forms:
            made = self.outputs(library, level, steps=steps)
            if isinstance(made, Finding):
                return made
            runs = (run_here(self.artifact.target, f"c {host_platform()}", level or None),)
            found.append(self._alike(made, runs, steps=steps))
        return worst_of(found)

    @functools.cached_property
    def reference(self) -> Outputs | Finding:
        """What the artifact gives as this machine runs it: what its other builds must give too."""
        library = f"library:{host_platform()}"
        if library in self.artifact.companions:
            return self.outputs(self.path(library))
        compiled = self.compiled
        return compiled if isinstance(compiled, Finding) else self.outputs(compiled)

    def outputs(self, library: Path, level: str = "", *, steps: bool = False) -> Outputs | Finding:
        """Return what a library gives for the rows; or why there is nothing."""
        made = self._made(library, level, steps=steps)
        said = self._answers[str(made)]
        if said is None:
            with np.load(made) as held:
                return {name: held[name] for name in held.files}
        if level and "has no code of level" in said:
            return not_run(f"this processor has no level {level}")
        return Finding("fail", RUN, f"at level {level}: {said}" if level else said)

    def array_bytes(self, name: str) -> bytes | Finding:
        """Return an array of the library of arrays, as long as what it should hold."""
        made = self.folder / f"{name}.bin"
        said = self._answers[str(made)]
        return Finding("fail", RUN, said) if said is not None else made.read_bytes()

    @property
    def _forms(self) -> tuple[bool, ...]:
        return (False, True) if self.artifact.states else (False,)

    def _made(self, library: Path, level: str, *, steps: bool) -> Path:
        return self.folder / f"{library.name}-{level}-{int(steps)}.npz"

    @functools.cached_property
    def _answers(self) -> Mapping[str, str | None]:
        """What went wrong with each job, by what it makes: all are done in one process."""
        role, jobs = f"library:{host_platform()}", []
        builds = []
        if role in self.artifact.companions:
            builds += [(self.path(role), level) for level in ("", *_LEVELS)]
        if isinstance(self.compiled, Path):
            builds.append((self.compiled, ""))
        words = str(self.path("vocabulary")) if "vocabulary" in self.artifact.companions else ""
        for steps in self._forms:
            rows = self._write_rows(steps=steps)
            for library, level in builds:
                jobs.append(
                    {
                        "library": str(library),
                        "level": level,
                        "weights": str(self.path()),
                        "vocabulary": words,
                        "rows": str(rows),
                        "steps": steps,
                        "made": str(self._made(library, level, steps=steps)),
                    }
                )
        if isinstance(self.array, Path):
            prefix = self.artifact.entry.get("prefix", "model")
            for name, path in (("weights", str(self.path())), ("vocabulary", words)):
                if path:
                    jobs.append(
                        {
                            "library": str(self.array),
                            "name": f"{prefix}_{name}",
                            "count": Path(path).stat().st_size,
                            "made": str(self.folder / f"{name}.bin"),
                        }
                    )
        said = _in_children(jobs)
        return {str(job["made"]): one for job, one in zip(jobs, said, strict=True)}

    def _write_rows(self, *, steps: bool) -> Path:
        path = self.folder / f"rows-{int(steps)}.npz"
        given: dict[str, Any] = dict(self.rows.feed)
        if steps:
            for one in self.artifact.states:
                given[one.input] = np.zeros((len(self.rows), *one.shape), np.float32)
        else:
            given[TEXTS] = np.array(self.texts, str)
        np.savez(path, **given)
        return path

    def _emulated(self, role: str, platform: str) -> Finding:
        why = refusal(platform)
        if why:
            return not_run(why)
        graph, library = self.case.graph, self.path(role)
        try:
            found = run_emulated(library, self.path(), platform, graph, self.rows, self.folder)
        except (BackendError, CompilerFailed) as error:
            return Finding("fail", RUN, str(error))
        machine = SYSTEMS[platform].machine
        return self._alike(found, (Run(self.artifact.target, f"{machine}-linux", machine),))

    def _alike(self, made: Outputs, runs: tuple[Run, ...], *, steps: bool = False) -> Finding:
        """Compare with the Graph; what is rounded with what this machine's library gives."""
        scores = self._scores(made)
        is_exact = TOLERANCES[self.artifact.target, self.artifact.scheme].is_exact
        if is_exact:
            expected = self.case.oracle.scores[: len(self.rows)]
        elif isinstance(self.reference, Finding):
            return self.reference
        else:
            expected = self._scores(self.reference)
        if scores.shape != expected.shape:
            return Finding("fail", RUN, f"its scores have the shape {list(scores.shape)}", runs)
        apart = self.case.oracle.spread.difference(scores, expected)
        in_integers = SCHEMES[self.artifact.scheme].activations != "float32"
        largest = float(apart.max(initial=0.0))
        if is_exact or (in_integers and not steps):
            figure, limit = largest, self.case.oracle.float32_limit if is_exact else _SAME
        else:
            figure = float(np.median(apart)) if np.isfinite(apart).all() else np.inf
            limit = TYPICAL_DIFFERENCE if steps else _ALIKE
        if figure <= limit:
            return Finding("pass", RUN, runs=runs)
        where = f" at level {runs[0].level}" if runs[0].level else ""
        note = f"{'streamed ' if steps else ''}scores are {figure:.3g} of the spread off{where}"
        return Finding("fail", RUN, note, runs)

    def _scores(self, made: Outputs) -> Array:
        return side_by_side({name: made[name] for name in self.case.graph.outputs})


def _in_children(jobs: Sequence[Mapping[str, Any]]) -> list[str | None]:
    """Do jobs in as few processes as survive; return what went wrong with each."""
    found: list[str | None] = []
    roots = (str(Path(gatelet.__file__).parent.parent), os.environ.get("PYTHONPATH", ""))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, roots))}
    while len(found) < len(jobs):
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-W", "ignore", str(_CHILD)],
                input=json.dumps(jobs[len(found) :]).encode(),
                env=environment,
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
            output, ended = done.stdout, _how_it_ended(done.returncode)
        except subprocess.TimeoutExpired as error:
            output, ended = error.stdout or b"", f"it did not end within {_TIMEOUT_S} s"
        answers = [json.loads(line) for line in output.split(b"\n")[:-1]]
        found += answers
        if len(found) < len(jobs):
            found.append(ended)
    return found


def _how_it_ended(code: int) -> str:
    if code >= 0:
        return f"it ended the process with exit code {code}"
    try:
        return f"it ended the process by {signal.Signals(-code).name}"
    except ValueError:
        return f"it ended the process by signal {-code}"
