"""Judges the files beside a wasm artifact: each code runs, the one that was not chosen too.

Not the artifact itself, which runs with the first code that Node takes.
"""

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gatelet.convert.parity.case import Case
from gatelet.convert.parity.files.c_files import CFiles
from gatelet.convert.parity.files.c_runs import CRuns, Outputs
from gatelet.convert.parity.files.verdict import RUN, Finding, not_run, run_here, worst_of
from gatelet.convert.parity.report import ArtifactReport
from gatelet.errors import BackendError, BackendMissing
from gatelet.runtime.backends.backend import open_backend
from gatelet.runtime.backends.wasm.backend import CODE_ROLES
from gatelet.runtime.bundle.opening import Artifact
from gatelet.runtime.stages import temporary_folder


@dataclass(frozen=True)
class WasmRuns(CRuns):
    """Runs the codes of one artifact on some rows, one after the other."""

    @functools.cached_property
    def reference(self) -> Outputs | Finding:
        """What the preferred code gives: what the others must give too."""
        return self.made(next(one for one in CODE_ROLES if one in self.artifact.companions))

    def made(self, role: str, *, steps: bool = False) -> Outputs | Finding:
        """Return what one code gives for the rows; or why there is nothing."""
        feed = dict(self.rows.feed)
        if steps:
            for one in self.artifact.states:
                feed[one.input] = np.zeros((len(self.rows), *one.shape), np.float32)
        try:
            backend = open_backend(
                self.artifact.target, self.path(), companions={role: self.path(role)}, steps=steps
            )
            return dict(backend.run(feed))
        except BackendMissing as error:
            return not_run(str(error))
        except BackendError as error:
            return Finding("fail", RUN, str(error))

    def code(self, role: str, engine: str) -> Finding:
        """Run a code on whole sequences, and on pieces where the artifact streams."""
        found = []
        for steps in self._forms:
            made = self.made(role, steps=steps)
            if isinstance(made, Finding):
                return made
            runs = (run_here(self.artifact.target, engine, role.partition(":")[2]),)
            found.append(self._alike(made, runs, steps=steps))
        return worst_of(found)


def judge_wasm(
    case: Case, artifact: Artifact, reports: Sequence[ArtifactReport], own: Finding
) -> dict[str, Finding]:
    """Return what was found of the files beside a wasm artifact, by role.

    Args:
        case: The bundle, with what is right for some rows.
        artifact: The artifact.
        reports: Of it.
        own: Its own verdict, with the code that Node chose.
    """
    if own.verdict == "not run":
        return {role: own for role in artifact.companions}
    engine = next((one.engine for one in reports if one.engine), "")
    checks = {check.name: check.verdict for one in reports for check in one.checks}
    found = {}
    with temporary_folder() as folder:
        runs = WasmRuns(case, artifact, folder)
        chosen, *others = [role for role in CODE_ROLES if role in artifact.companions]
        found[chosen] = worst_of([own, runs.code(chosen, engine)])
        for role in others:
            found[role] = runs.code(role, engine)
        if "vocabulary" in artifact.companions:
            files = CFiles(runs, is_new=not case.bundle.generation, checks=checks)
            found["vocabulary"] = files.finding("vocabulary")
    return found
