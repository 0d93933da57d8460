"""The matrix of the report: a row a check, a column an artifact.

Not the checks, which come from `gatelet.convert.parity`.
"""

from collections.abc import Sequence

from gatelet.convert.parity import ArtifactReport, Check, ParityReport
from gatelet.convert.report.elements import Element, element, shown
from gatelet.convert.report.figures import MARKS, describe, write_check
from gatelet.runtime.bundle import VERDICTS

__all__ = ["findings", "matrix", "sentence"]

_NOTE_CHARACTERS = 600


def sentence(one: ArtifactReport, check: Check) -> str:
    """Say in one line what a check found.

    Args:
        one: The artifact.
        check: A row of its report.
    """
    said = (
        f"{one.target} {one.scheme}: {check.name} is {write_check(check.figure, check)}, the "
        f"limit is {write_check(check.limit, check)} ({check.unit})"
    )
    extra = _extra(check)
    return f"{said}; {extra}" if extra else said


def findings(report: ParityReport) -> list[tuple[str, str]]:
    """Give (verdict, sentence) of every check that did not pass and of every note, fails first."""
    found = []
    for one in report.artifacts:
        found += [(c.verdict, sentence(one, c)) for c in one.checks if c.verdict != "pass"]
        if one.note:
            note = shown(one.note, _NOTE_CHARACTERS)
            found.append((one.verdict, f"{one.target} {one.scheme}: {note}"))
    return sorted(found, key=lambda one: VERDICTS.index(one[0]))


def matrix(report: ParityReport) -> Element:
    """Draw the matrix."""
    names = list(dict.fromkeys(check.name for one in report.artifacts for check in one.checks))
    header = element(
        "tr",
        element("th", "check", scope="col"),
        *(
            element("th", f"{one.target} {one.scheme}", element("small", one.engine), scope="col")
            for one in report.artifacts
        ),
    )
    rows = [
        _row(
            "verdict", "the worst of the checks below", [_verdict(one) for one in report.artifacts]
        )
    ]
    rows += [
        _row(name, describe(name), [_cell(one, name) for one in report.artifacts]) for name in names
    ]
    return element(
        "div",
        element("table", element("thead", header), element("tbody", *rows), class_="matrix"),
        class_="wide",
        tabindex="0",
        role="region",
        aria_label="verdicts by check and artifact",
    )


def _row(name: str, meaning: str, cells: Sequence[Element]) -> Element:
    small = element("small", meaning) if meaning else None
    return element("tr", element("th", name, small, scope="row"), *cells)


def _verdict(one: ArtifactReport) -> Element:
    return element("td", _marked(one.verdict), class_=one.verdict.replace(" ", "-"))


def _cell(one: ArtifactReport, name: str) -> Element:
    check = next((check for check in one.checks if check.name == name), None)
    if check is None:
        return element("td", element("small", "not checked"))
    measured = f"{write_check(check.figure, check)}, limit {write_check(check.limit, check)}"
    extra = _extra(check)
    return element(
        "td",
        _marked(check.verdict),
        element(
            "small", measured if check.unit.startswith("share") else f"{measured} {check.unit}"
        ),
        element("small", extra) if extra else None,
        class_=check.verdict.replace(" ", "-"),
    )


def _marked(verdict: str) -> Element:
    return element("b", f"{MARKS.get(verdict, '')} {verdict}")


def _extra(check: Check) -> str:
    """Give what a check says beside its figure and limit."""
    return ""
