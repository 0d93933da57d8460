"""Judges the files that a c artifact offers to programs: compiled and run, or compared.

Not the running, which is `c_runs`.
"""

import functools
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from gatelet.convert.parity.files.c_runs import TEXTS, CRuns
from gatelet.convert.parity.files.printed import are_printed, printed_of
from gatelet.convert.parity.files.regenerate import Again, regenerate_libraries
from gatelet.convert.parity.files.verdict import (
    COMPARED,
    REGENERATED,
    RUN,
    Finding,
    found_equal,
    not_run,
    worst_of,
)
from gatelet.runtime.backends.host import host_platform
from gatelet.runtime.graph.states import STREAM_ROLE

_ARRAY = re.compile(rb'^ARRAY\("\w+", "([^"]*)"\);', re.MULTILINE)
_OTHER_FILES = re.compile(rb'^[ \t]*#[ \t]*include[ \t]*"|\.incbin', re.MULTILINE)
_OF_TEXTS = ("golden_texts", "vocabulary")
"""Checks that read texts with the artifact's own tables."""
_EXAMPLE_TEXTS, _TIMEOUT_S = 4, 60
_PRINTED = 1e-4
"""Of a score, of which the example prints six digits, compiled with other flags."""


@dataclass(frozen=True)
class CFiles:
    """The files of one artifact.

    Args:
        runs: Runs its code.
        is_new: It is being made: what an exporter writes again proves nothing, and what was just
            written needs no other proof than that its names fit.
        checks: The verdicts of the artifact's checks, by name.
        again: The files as this exporter writes them; none where that is not comparable.
    """

    runs: CRuns
    is_new: bool
    checks: Mapping[str, str] = field(default_factory=dict)
    again: Again = field(default_factory=Again)

    def findings(self) -> dict[str, Finding]:
        """Return what was found of each companion, by its role."""
        roles = [role for role in self.runs.artifact.companions if role != STREAM_ROLE]
        return {role: self.finding(role) for role in roles}  # the code that streams is the source

    def finding(self, role: str) -> Finding:
        """Return what was found of one companion."""
        judge = _JUDGES.get(role.partition(":")[0])
        if judge is None:
            return not_run("this gatelet does not know what it is")
        try:
            found = judge(self, role)
        except KeyError as error:
            return not_run(f"there is no {error} beside it")
        if found.verdict == "pass" and found.by == RUN and "fail" in self.checks.values():
            found = not_run("its artifact is wrong, so what it gives proves nothing")
        if role not in self.again.companions:
            return found
        is_equal = self.again.companions[role] == self.runs.path(role).read_bytes()
        note = "this gatelet writes another one of the bundle's graph"
        again = found_equal(is_equal=is_equal, by=REGENERATED, note=note)
        if found.verdict == "not run":
            return again
        # texts meet a few words of the tables only, so there the other one says more
        return worst_of([again, found] if role == "vocabulary" else [found, again])

    def _library(self, role: str) -> Finding:
        """Run it, and compare it with one that is built again."""
        found, platform = self.runs.library(role), role.partition(":")[2]
        if platform not in self._built:
            return found
        is_equal = self._built[platform] == self.runs.path(role).read_bytes()
        note = "ziglang makes another one of the bundle's graph"
        again = found_equal(is_equal=is_equal, by=REGENERATED, note=note)
        return again if found.verdict == "not run" else worst_of([found, again])

    @functools.cached_property
    def _built(self) -> Mapping[str, bytes]:
        """Libraries built again, where there are any for other processors.

        An emulator runs them slowly, so on few rows; all of this machine's levels run on more.
        """
        roles = (one.partition(":") for one in self.runs.artifact.companions)
        platforms = [platform for kind, _, platform in roles if kind == "library"]
        if set(platforms) <= {host_platform()}:
            return {}
        return regenerate_libraries(self.runs.case.bundle, self.again, platforms)

    def _source(self, role: str) -> Finding:
        if _OTHER_FILES.search(self.runs.path(role).read_bytes()):
            return Finding("fail", COMPARED, "it reads other files")
        compiled = self.runs.compiled
        return compiled if isinstance(compiled, Finding) else self.runs.ran(compiled)

    def _header(self, role: str) -> Finding:
        is_equal = self.runs.path(role).read_bytes() in self.runs.path("source").read_bytes()
        return found_equal(is_equal=is_equal, by=COMPARED, note="its source has another one")

    def _array(self, role: str) -> Finding:
        """Compare the arrays with the files that they are made of."""
        companions, path = self.runs.artifact.companions, self.runs.path(role)
        wanted = [self.runs.artifact.path]
        wanted += [companions["vocabulary"]] if "vocabulary" in companions else []
        named = [one.decode("utf-8", "replace") for one in _ARRAY.findall(path.read_bytes())]
        if named != wanted:
            return Finding("fail", COMPARED, f"it is made of {', '.join(named) or 'no file'}")
        compiled = self.runs.array
        if isinstance(compiled, Finding):
            return compiled
        folder = self.runs.case.bundle.path
        for name, one in zip(("weights", "vocabulary"), wanted, strict=False):
            held = self.runs.array_bytes(name)
            if isinstance(held, Finding):
                return held
            if held != (folder / one).read_bytes():
                return Finding("fail", COMPARED, f"its {name} are not those of '{one}'")
        return Finding("pass", COMPARED)

    def _cmake(self, role: str) -> Finding:
        """Look for the names in it; whether it builds, only regeneration tells."""
        artifact = self.runs.artifact
        line = f"add_library({artifact.entry.get('prefix')} STATIC {artifact.companions['source']})"
        if line not in self.runs.path(role).read_text("utf-8", "replace"):
            return Finding("fail", COMPARED, f"it has no line '{line}'")
        return Finding("pass", COMPARED) if self.is_new else not_run("nothing here builds with it")

    def _example(self, role: str) -> Finding:
        """Compile the example with header and source, and compare what it prints."""
        runs, texts = self.runs, self.runs.texts[:_EXAMPLE_TEXTS]
        compiled = runs.compiled
        if isinstance(compiled, Finding) or not texts:
            return compiled if isinstance(compiled, Finding) else not_run("there is no text")
        folder, program = runs.case.bundle.path.absolute(), runs.folder / "example"
        given = [str(runs.path(role)), str(compiled.with_suffix(".o"))]
        said = runs.run_compiler(["-o", str(program), *given])
        if said:
            return Finding("fail", RUN, said)
        reference = self.runs.reference
        if isinstance(reference, Finding):
            return reference
        if TEXTS not in reference:
            return not_run("its library reads no texts")
        try:
            done = subprocess.run(
                [str(program), *texts],
                cwd=folder,
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
            case = runs.case
            decisions, outputs = case.bundle.decisions, len(case.graph.outputs)
            rows = [
                printed_of(row.ravel().tolist(), decisions, outputs=outputs)
                for row in reference[TEXTS][: len(texts)]
            ]
            said = done.stdout.decode("utf-8", "replace")
            is_equal = not done.returncode and are_printed(said, texts, rows, most=_PRINTED)
        except subprocess.TimeoutExpired:
            is_equal = False
        return found_equal(is_equal=bool(is_equal), by=RUN, note="it prints other scores")

    def _vocabulary(self, role: str) -> Finding:
        """Say what the checks of the artifact said of texts, which it reads with these tables."""
        told = [self.checks[name] for name in _OF_TEXTS if name in self.checks]
        if not told:
            return not_run("there is no text to read")
        is_equal = "fail" not in told
        return found_equal(is_equal=is_equal, by=RUN, note="texts have other scores than their ids")


_JUDGES: Mapping[str, Callable[[CFiles, str], Finding]] = {
    "library": CFiles._library,
    "source": CFiles._source,
    "header": CFiles._header,
    "array": CFiles._array,
    "cmake": CFiles._cmake,
    "example": CFiles._example,
    "vocabulary": CFiles._vocabulary,
}
"""By the beginning of the companion's role."""
