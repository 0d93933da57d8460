"""Gives each file of a bundle a verdict of its own, for the bytes that were judged.

Not the judging of one kind of file: those are in the files beside this one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from gatelet.convert.exporters.targets import EXPORTERS
from gatelet.convert.parity.case import Case
from gatelet.convert.parity.files.c_files import CFiles
from gatelet.convert.parity.files.c_runs import CRuns
from gatelet.convert.parity.files.parts import PARTS, Parts, read_again
from gatelet.convert.parity.files.regenerate import Again, regenerate_c
from gatelet.convert.parity.files.tflm_files import judge_tflm
from gatelet.convert.parity.files.verdict import (
    RUN,
    FileVerdict,
    Finding,
    Run,
    not_run,
    run_here,
    worst_of,
)
from gatelet.convert.parity.files.wasm_files import judge_wasm
from gatelet.convert.parity.report import ArtifactReport, Check
from gatelet.convert.parity.stored.file import StoredFile
from gatelet.convert.parity.stored.match import check_stored, match_weights
from gatelet.convert.schemes import is_of_today
from gatelet.errors import GateletError
from gatelet.runtime.backends.targets import row_of
from gatelet.runtime.bundle.manifest import judged_of
from gatelet.runtime.bundle.opening import Artifact, Bundle
from gatelet.runtime.graph.states import STREAM_ROLE
from gatelet.runtime.graph.streaming import to_stream
from gatelet.runtime.stages import temporary_folder

_FOR_DEVICES = ("archive:", "firmware:")
"""How roles of files for microcontrollers begin."""

Reports = tuple[ArtifactReport, ...]


def judge_files(case: Case, reports: Sequence[ArtifactReport]) -> tuple[Reports, list[FileVerdict]]:
    """Judge the files of a bundle.

    Args:
        case: The bundle, with what is right for some rows.
        reports: Of its artifacts.

    Returns:
        The reports, each with a check of the files beside its artifact, and a verdict of each file.
    """
    bundle, found, made = case.bundle, dict[str, list[Finding]](), list[ArtifactReport]()
    for artifact in bundle.artifacts:
        own = [one for one in reports if _is_of(one, artifact)]
        beside = companions_of(case, artifact, own)
        for role, finding in beside.items():
            found.setdefault(artifact.companions[role], []).append(finding)
        runs = [one for role, one in beside.items() if role.startswith("library:")]
        found.setdefault(artifact.path, []).append(_of_artifact(own, runs))
        made += [_with_check(one, artifact, beside) for one in own]
    words = [
        one
        for artifact in bundle.artifacts
        for one in found.get(artifact.companions.get("vocabulary", ""), ())
    ]
    for key, finding in Parts(case, reports, read_again(bundle), words).findings().items():
        found.setdefault(str(bundle.manifest[key]), []).append(finding)
    return tuple(made), _verdicts(bundle, {path: worst_of(ones) for path, ones in found.items()})


def judge_without_graph(
    bundle: Bundle, reports: Sequence[ArtifactReport], *, asked: str
) -> list[FileVerdict]:
    """Return verdicts of a bundle without a Graph: its artifacts', and of what they were held to.

    Args:
        bundle: Of the route past the Graph.
        reports: Of its artifacts.
        asked: The part that gave the right answers: 'source' or 'golden'. Golden vectors that are
            just being made are Keras' own answers.
    """
    found = {
        one.path: _of_artifact([r for r in reports if _is_of(r, one)], ())
        for one in bundle.artifacts
    }
    held = {one.verdict for one in found.values()} & {"pass", "fail"}
    for key in {asked} if bundle.generation else {asked, "golden"}:
        if bundle.part(key) is not None and held:
            verdict = Finding("fail" if "fail" in held else "pass", RUN)
            found[str(bundle.manifest[key])] = verdict
    return _verdicts(bundle, found)


def _is_of(report: ArtifactReport, artifact: Artifact) -> bool:
    return (report.target, report.scheme) == (artifact.target, artifact.scheme)


def _of_artifact(reports: Sequence[ArtifactReport], libraries: Sequence[Finding]) -> Finding:
    """Return what the checks said of the bytes; what a scheme costs is not their fault."""
    ran = [one for one in reports if one.verdict != "not run"]
    if not ran:
        return not_run(next((one.note for one in reports), "it was not asked for"))
    runs = tuple(run for one in libraries for run in one.runs)
    runs = runs or tuple(run_here(one.target, one.engine) for one in ran)
    worst = "fail" if any(one.verdict == "fail" for one in ran) else "pass"
    return Finding(worst, RUN, runs=runs)


def companions_of(
    case: Case, artifact: Artifact, reports: Sequence[ArtifactReport]
) -> dict[str, Finding]:
    """Return what was found of the files beside an artifact, by role."""
    if not artifact.companions:
        return {}
    own = _of_artifact(reports, ())
    if artifact.target == "c":
        found = _of_c(case, artifact, reports)
    elif artifact.target == "tflm":
        found = judge_tflm(case.bundle, artifact, own.verdict)
    elif artifact.target == "wasm":
        found = judge_wasm(case, artifact, reports, own)
    else:
        found = {}
    if STREAM_ROLE in artifact.companions and row_of(artifact.target).streaming == "file":
        found[STREAM_ROLE] = _of_stream(case, artifact, reports)
    unknown = not_run("this gatelet does not know what it is")
    same = {artifact.companions[role]: one for role, one in found.items()}
    return {
        role: _on_device(case.bundle, path)
        if role.startswith(_FOR_DEVICES)
        else same.get(path, unknown)
        for role, path in artifact.companions.items()
    }


def _on_device(bundle: Bundle, path: str) -> Finding:
    """Return what `gatelet verify` found of a file's bytes, where it ran these."""
    (entry,) = (one for one in bundle.manifest["files"] if one["path"] == path)
    judged = judged_of(entry) or {}
    if judged.get("sha256") != entry["sha256"] or judged.get("verdict") not in ("pass", "fail"):
        return not_run("it is for a device: gatelet verify runs it there")
    runs = tuple(
        Run(*(str(one.get(key, "")) for key in ("engine", "version", "machine")))
        for one in judged.get("runs", [])
    )
    note = f"gatelet verify, {judged.get('when', '')}"
    return Finding(str(judged["verdict"]), str(judged.get("by", "")), note, runs)


def _of_c(case: Case, artifact: Artifact, reports: Sequence[ArtifactReport]) -> dict[str, Finding]:
    with temporary_folder() as folder:
        return c_files(case, artifact, reports, folder).findings()


def c_files(
    case: Case, artifact: Artifact, reports: Sequence[ArtifactReport], folder: Path
) -> CFiles:
    """Return the files beside a c artifact, to be judged.

    Args:
        case: The bundle, with what is right for some rows.
        artifact: Of the target c.
        reports: Of that artifact.
        folder: For what is compiled, until all are judged.
    """
    is_new = not case.bundle.generation  # of a draft
    checks = {check.name: check.verdict for one in reports for check in one.checks}
    again = Again() if is_new else regenerate_c(case.bundle, artifact)
    return CFiles(CRuns(case, artifact, folder), is_new, checks, again)


def _of_stream(case: Case, artifact: Artifact, reports: Sequence[ArtifactReport]) -> Finding:
    """Hold a streaming file to what its pieces gave, and to the Graph's weights."""
    ran = [one for one in reports for check in one.checks if check.name == "stream"]
    broken = [one for one in reports for check in one.checks if check.name == "runs"]
    if not ran and broken:  # at this file, or before
        return Finding("fail", RUN, broken[0].note)
    if not ran:
        return not_run("its artifact did not run")
    told = [c.verdict for one in ran for c in one.checks if c.name == "stream"]
    try:
        form, path = (
            to_stream(case.graph).graph,
            case.bundle.path / artifact.companions[STREAM_ROLE],
        )
        name = EXPORTERS[artifact.target].stored_as or artifact.target
        stored = match_weights(name, StoredFile(path, form))
        weights = check_stored(name, stored, path, is_of_today=is_of_today(artifact))
    except (GateletError, LookupError, ValueError) as error:
        return Finding("fail", RUN, str(error))
    runs = tuple(run_here(one.target, one.engine) for one in ran)
    if "fail" in told or weights.verdict == "fail":
        note = weights.note if weights.verdict == "fail" else "sequences in pieces differ"
        return Finding("fail", RUN, note, runs)
    return Finding("pass", RUN, runs=runs)


def _with_check(
    report: ArtifactReport, artifact: Artifact, beside: Mapping[str, Finding]
) -> ArtifactReport:
    """Add a check of the files beside an artifact, if it is right itself and any was judged."""
    judged = {role: one for role, one in beside.items() if one.verdict != "not run"}
    if not judged or report.verdict in ("fail", "not run"):
        return report
    wrong = {role: one for role, one in judged.items() if one.verdict == "fail"}
    note = "; ".join(f"{role}: {one.note}" for role, one in wrong.items())
    verdict = "fail" if wrong else "pass"
    check = Check("companions", float(len(wrong)), 0.0, verdict, unit="files", note=note)
    return replace(report, checks=(*report.checks, check))


def _verdicts(bundle: Bundle, found: Mapping[str, Finding]) -> list[FileVerdict]:
    names = {str(bundle.manifest.get(key)): key for key in PARTS}
    for artifact in bundle.artifacts:
        name = f"{artifact.target} {artifact.scheme}"
        for role, path in artifact.companions.items():
            names.setdefault(path, f"{name} {role}")
        names[artifact.path] = name
    when = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    missing = not_run("nothing here judges it")
    return [
        FileVerdict(
            one.path, names.get(one.path, ""), one.sha256, found.get(one.path, missing), when
        )
        for one in (*bundle.artifacts, *bundle.files)
    ]
