"""The verdict of a file: about which bytes, by what, on which engine and machine.

Not the judging.
"""

import platform
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gatelet.runtime.bundle.manifest import FILE_VERDICTS

RUN, REGENERATED, COMPARED = "run", "regenerated", "compared"


@dataclass(frozen=True)
class Run:
    """What a file ran on.

    Args:
        engine: The target, or what ran it otherwise: 'keras', 'qemu'.
        version: Of the engine's package; '' where it has none.
        machine: The processor's kind: 'x86_64'.
        level: Of x86-64, of code that is built for several; None of other files.
    """

    engine: str
    version: str
    machine: str
    level: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON and the manifest carry."""
        return {
            "engine": self.engine,
            "version": self.version,
            "machine": self.machine,
            "level": self.level,
        }


def run_here(target: str, engine: str, level: str | None = None) -> Run:
    """Return a run on this machine; `engine` is its package and version, as backends tell it."""
    return Run(target, engine.partition(" ")[2], platform.machine().lower(), level)


@dataclass(frozen=True)
class Finding:
    """What was found of a file.

    Args:
        verdict: 'pass', 'fail', or 'not run'.
        by: 'run', 'regenerated' or 'compared'; '' of what was not run.
        note: What was seen, or why nothing was.
        runs: What it ran on.
    """

    verdict: str
    by: str = ""
    note: str = ""
    runs: tuple[Run, ...] = ()


def not_run(why: str) -> Finding:
    """Return the verdict of what could not be judged here."""
    return Finding("not run", note=why)


def found_equal(*, is_equal: bool, by: str, note: str) -> Finding:
    """Return a pass where two things are equal; the note says what they are where they are not."""
    return Finding("pass", by) if is_equal else Finding("fail", by, note)


def worst_of(findings: Iterable[Finding]) -> Finding:
    """Return the worst finding, with the runs of all; of none 'not run'."""
    found = list(findings)
    if not found:
        return not_run("nothing here judges it")
    worst = min(found, key=lambda one: FILE_VERDICTS.index(one.verdict))
    runs = tuple(dict.fromkeys(run for one in found for run in one.runs))
    return Finding(worst.verdict, worst.by, worst.note, runs)


@dataclass(frozen=True)
class FileVerdict:
    """A file of a bundle, and what was found of it.

    Args:
        path: In the bundle.
        what: Which part it is, or the artifact and the role: 'weights', 'c float32 header'.
        sha256: Of the bytes that were judged.
        finding: What was found.
        when: The time, in UTC.
    """

    path: str
    what: str
    sha256: str
    finding: Finding
    when: str

    @property
    def verdict(self) -> str:
        """'pass', 'fail' or 'not run'."""
        return self.finding.verdict

    def to_manifest(self) -> dict[str, Any]:
        """Return the entry `judged` of the manifest."""
        return {
            "verdict": self.verdict,
            "by": self.finding.by,
            "sha256": self.sha256,
            "runs": [one.to_dict() for one in self.finding.runs],
            "when": self.when,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON carries."""
        note = {"note": self.finding.note} if self.finding.note else {}
        return {"path": self.path, "what": self.what, **self.to_manifest(), **note}
