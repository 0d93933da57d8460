"""The matrix of the report: a row a check, a column an artifact.

Not the checks, which come from `gatelet.convert.parity`.
"""

from collections.abc import Sequence

from gatelet.convert.parity import ArtifactReport, Check, ParityReport
from gatelet.convert.report.elements import Element, element, shown
from gatelet.convert.report.figures import MARKS, ROWS, describe, write_check
from gatelet.convert.report.files import file_sentence

_NOTE_CHARACTERS = 600


def titles(report: ParityReport) -> list[str]:
    """Name each artifact; one that several engines ran by its engine too."""
    names = [f"{one.target} {one.scheme}" for one in report.artifacts]
    return [
        f"{name} in {one.engine}" if names.count(name) > 1 else name
        for name, one in zip(names, report.artifacts, strict=True)
    ]


def sentence(one: ArtifactReport, check: Check) -> str:
    """Say in one line what a check found.

    Args:
        one: The artifact.
        check: A row of its report.
    """
    name = f"{one.target} {one.scheme}: {check.name}"
    if check.verdict == "not checked":
        said = f"{name} was not checked"
    elif check.limit is None:
        said = f"{name} is {write_check(check.figure, check)} ({check.unit})"
    else:
        figure, limit = (write_check(value, check) for value in (check.figure, check.limit))
        said = f"{name} is {figure}, the limit is {limit} ({check.unit})"
    return "; ".join((said, *_extras(check)))


def findings(report: ParityReport) -> list[tuple[str, str]]:
    """Return (verdict, sentence) of what did not pass: checks, notes and files, fails first."""
    found = []
    for one in report.artifacts:
        found += [
            (c.verdict, sentence(one, c)) for c in one.checks if c.verdict not in ("pass", "shown")
        ]
        if one.note:
            note = shown(one.note, _NOTE_CHARACTERS)
            found.append((one.verdict, f"{one.target} {one.scheme}: {note}"))
    found += [("fail", file_sentence(one)) for one in report.files if one.verdict == "fail"]
    order = list(MARKS)
    return sorted(found, key=lambda one: order.index(one[0]))


def matrix(report: ParityReport) -> Element:
    """Draw the matrix."""
    names = list(dict.fromkeys(check.name for one in report.artifacts for check in one.checks))
    header = element(
        "tr",
        element("th", "check", scope="col"),
        *(
            element("th", name, element("small", one.engine), scope="col")
            for name, one in zip(titles(report), report.artifacts, strict=True)
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
        return element("td", element("small", "does not apply"))
    measured = _measured(check)
    return element(
        "td",
        _marked(check.verdict),
        element("small", measured) if measured else None,
        *(element("small", extra) for extra in _extras(check)),
        class_=check.verdict.replace(" ", "-"),
    )


def _measured(check: Check) -> str | None:
    if check.verdict == "not checked":
        return None
    said = write_check(check.figure, check)
    if check.limit is not None:
        said += f", limit {write_check(check.limit, check)}"
    return said if check.unit in (ROWS, "share") else f"{said} {check.unit}"


def _marked(verdict: str) -> Element:
    return element("b", f"{MARKS.get(verdict, '')} {verdict}")


def _extras(check: Check) -> list[str]:
    """Return what a check says beside its figure and limit: its interval, and what was seen."""
    said = []
    if check.interval is not None:
        low, high = (write_check(end, check) for end in check.interval)
        said.append(f"95 %: {low} to {high}")
    if check.note:
        said.append(shown(check.note, _NOTE_CHARACTERS))
    return said
