"""Parity as JUnit XML, as Ant and Jenkins read it: an artifact is a suite, a check a case.

One more suite has a case for each file of the bundle.

Not the checks.
"""

from collections.abc import Mapping, Sequence

from gatelet.convert.parity import ArtifactReport, Check, ParityReport
from gatelet.convert.parity.files.verdict import FileVerdict
from gatelet.convert.report.elements import Element, element, shown, xml_bytes
from gatelet.convert.report.figures import describe
from gatelet.convert.report.files import file_sentence, ran_on
from gatelet.convert.report.matrix import sentence, titles
from gatelet.runtime.bundle.manifest import FILE_VERDICTS

_NAME_CHARACTERS = 200


def junit_xml(report: ParityReport, *, name: str, timestamp: str, strict: bool = False) -> bytes:
    """Write the file.

    A check that failed is a failure; one that is undecided, and an artifact that cannot be run
    here, is skipped. Likewise a file that failed, or was not run.

    Args:
        report: What was found.
        name: Of the bundle.
        timestamp: When, as 2026-01-31T12:00:00.
        strict: Undecided is a failure, and so is a file that was not run.

    Returns:
        The XML in UTF-8: testsuites, one testsuite an artifact, one testcase a check; and one
        testsuite of the files, where the report has those.
    """
    package = _token(name)
    suites = [
        _suite(report, index, name, package=package, timestamp=timestamp, strict=strict)
        for index, name in enumerate(titles(report))
    ]
    if report.files:
        suites.append(_files_suite(report, package=package, timestamp=timestamp, strict=strict))
    return xml_bytes(element("testsuites", *suites))


def _suite(
    report: ParityReport,
    index: int,
    name: str,
    *,
    package: str,
    timestamp: str,
    strict: bool,
) -> Element:
    one = report.artifacts[index]
    class_name = f"{package}.{_token(name).replace(' ', '.')}"
    cases = [_case(one, check, class_name, strict=strict) for check in one.checks]
    if not cases:
        cases = [_skipped_artifact(one, class_name)]
    facts = {
        "engine": one.engine,
        "oracles": ", ".join(report.oracles),
        "rows": str(report.rows),
        "verdict": one.verdict,
    }
    place = {"package": package, "id": str(index), "timestamp": timestamp}
    time = f"{one.seconds:.3f}"
    return _as_suite(cases, facts, shown(one.note, 2000), name=_token(name), time=time, **place)


def _as_suite(
    cases: Sequence[Element], facts: Mapping[str, str], note: str, **attributes: str
) -> Element:
    """Put cases into a suite, and count them."""
    properties = (element("property", name=key, value=value) for key, value in facts.items())
    return element(
        "testsuite",
        element("properties", *properties),
        *cases,
        element("system-out", note),
        element("system-err"),
        hostname="localhost",
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors="0",
        skipped=str(sum(case.find("skipped") is not None for case in cases)),
        **attributes,
    )


def _files_suite(report: ParityReport, *, package: str, timestamp: str, strict: bool) -> Element:
    """Write a case for each file, by the name that it has in the bundle."""
    cases = [_file_case(one, f"{package}.files", strict=strict) for one in report.files]
    counts = {v: str(sum(one.verdict == v for one in report.files)) for v in FILE_VERDICTS}
    place = {"package": package, "id": str(len(report.artifacts)), "timestamp": timestamp}
    return _as_suite(cases, counts, "", name="files", time="0", **place)


def _file_case(one: FileVerdict, class_name: str, *, strict: bool) -> Element:
    said, outcome = file_sentence(one), None
    if one.verdict == "fail" or (strict and one.verdict == "not run"):
        text = f"{said}\n{one.finding.by} {ran_on(one.finding.runs)}".rstrip()
        outcome = element("failure", text, message=said, type=one.verdict)
    elif one.verdict != "pass":
        outcome = element("skipped", message=said)
    return element("testcase", outcome, name=_token(one.path), classname=class_name, time="0")


def _case(one: ArtifactReport, check: Check, class_name: str, *, strict: bool) -> Element:
    said = sentence(one, check)
    meaning = describe(check.name)
    outcome = None
    if check.verdict == "fail" or (strict and check.verdict == "undecided"):
        text = f"{said}\n{meaning}" if meaning else said
        outcome = element("failure", text, message=said, type=check.verdict)
    elif check.verdict not in ("pass", "shown"):
        outcome = element("skipped", message=said)
    return element("testcase", outcome, name=_token(check.name), classname=class_name, time="0")


def _skipped_artifact(one: ArtifactReport, class_name: str) -> Element:
    outcome = element("skipped", message=shown(one.note or one.verdict, 600))
    return element("testcase", outcome, name="runs", classname=class_name, time="0")


def _token(text: str) -> str:
    """Write a name without blanks at its ends, and never an empty one."""
    return " ".join(shown(text, _NAME_CHARACTERS).split()) or "unnamed"
