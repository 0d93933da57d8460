"""Parity as JUnit XML, as Ant and Jenkins read it: an artifact is a suite, a check a case.

Not the checks.
"""

from gatelet.convert.parity import ArtifactReport, Check, ParityReport
from gatelet.convert.report.elements import Element, element, shown, xml_bytes
from gatelet.convert.report.figures import describe
from gatelet.convert.report.matrix import sentence, titles

_NAME_CHARACTERS = 200


def junit_xml(report: ParityReport, *, name: str, timestamp: str, strict: bool = False) -> bytes:
    """Write the file.

    A check that failed is a failure; one that is undecided, and an artifact that cannot be run
    here, is skipped.

    Args:
        report: What was found.
        name: Of the bundle.
        timestamp: When, as 2026-01-31T12:00:00.
        strict: Undecided is a failure.

    Returns:
        The XML in UTF-8: testsuites, one testsuite an artifact, one testcase a check.
    """
    package = _token(name)
    suites = [
        _suite(report, index, name, package=package, timestamp=timestamp, strict=strict)
        for index, name in enumerate(titles(report))
    ]
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
    failures = sum(case.find("failure") is not None for case in cases)
    skipped = sum(case.find("skipped") is not None for case in cases)
    facts = {
        "engine": one.engine,
        "oracles": ", ".join(report.oracles),
        "rows": str(report.rows),
        "verdict": one.verdict,
    }
    properties = (element("property", name=key, value=value) for key, value in facts.items())
    return element(
        "testsuite",
        element("properties", *properties),
        *cases,
        element("system-out", shown(one.note, 2000)),
        element("system-err"),
        name=_token(name),
        package=package,
        id=str(index),
        timestamp=timestamp,
        hostname="localhost",
        tests=str(len(cases)),
        failures=str(failures),
        errors="0",
        skipped=str(skipped),
        time=f"{one.seconds:.3f}",
    )


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
