"""What runs on a device say of the bundle's own files: verdicts bound to their bytes.

Not the verdicts of artifacts on devices, which are in `verdict.py`.
"""

from collections.abc import Sequence
from typing import Any

from gatelet.convert.onboard.verdict import FAIL, PASS, Verdict
from gatelet.convert.parity.files.verdict import FileVerdict, Finding, Run
from gatelet.runtime.bundle.opening import Bundle


def judged_files(bundle: Bundle, found: Sequence[Verdict]) -> dict[str, dict[str, Any]]:
    """Return the entry `judged` of each file whose very bytes were run or made again, by its path.

    Args:
        bundle: As it was verified.
        found: The verdicts of its c artifacts.
    """
    digests = {one.path: one.sha256 for one in bundle.files}
    artifacts = {one.scheme: one for one in bundle.artifacts if one.target == "c"}
    made = {}
    for one in found:
        if one.verdict not in (PASS, FAIL):
            continue
        for role, by in one.files.items():
            path = artifacts[one.scheme].companions[role]
            finding = Finding(one.verdict, by, runs=(run_of(one),))
            told = FileVerdict(path, "", digests[path], finding, one.when)
            made[path] = told.to_manifest()
    return made


def artifact_runs(found: Sequence[Verdict]) -> dict[str, dict[str, Any]]:
    """Return where the weights of artifacts passed, by scheme: a run for `judged` of each."""
    return {one.scheme: run_of(one).to_dict() for one in found if one.verdict == PASS}


def run_of(verdict: Verdict) -> Run:
    """Return what an artifact ran on: engine c, on a core of something that has a name."""
    return Run("c", verdict.on, verdict.cpu)
