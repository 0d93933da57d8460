"""The verdict of each file of a bundle, in the HTML report.

Not the judging, which is `gatelet.convert.parity.files`.
"""

from collections.abc import Sequence

from gatelet.convert.parity import ParityReport
from gatelet.convert.parity.files.verdict import FileVerdict, Run
from gatelet.convert.report.elements import Element, element, folding_table, shown
from gatelet.convert.report.figures import MARKS

OPEN_FILES = 16
_NAME_CHARACTERS = 200
_NOTE_CHARACTERS = 600
_COLUMNS = ("file", "what it is", "verdict", "by", "on", "bytes judged (SHA-256)")
_SHOWN_DIGITS = 12


def file_sentence(one: FileVerdict) -> str:
    """Say in one line what was found of a file."""
    note = f"; {shown(one.finding.note, _NOTE_CHARACTERS)}" if one.finding.note else ""
    name, what = (shown(text, _NAME_CHARACTERS) for text in (one.path, one.what))
    return f"the file '{name}' ({what}): {one.verdict}{note}"


def ran_on(runs: Sequence[Run]) -> str:
    """Say on which engines, machines and levels a file ran."""
    told = []
    for one in runs:
        level = f" level {one.level}" if one.level else ""
        version = f" {one.version}" if one.version else ""
        told.append(f"{one.engine}{version}, {one.machine}{level}")
    return shown("; ".join(told), _NOTE_CHARACTERS)


def files_judged(report: ParityReport) -> Element:
    """Draw the table, a row a file: failed ones first, then those that were not run."""
    order = ("fail", "not run", "pass")
    files = sorted(report.files, key=lambda one: order.index(one.verdict))
    counts = {verdict: sum(one.verdict == verdict for one in files) for verdict in order}
    return folding_table(
        ", ".join(f"{count} {verdict}" for verdict, count in counts.items() if count),
        [element("th", title, scope="col") for title in _COLUMNS],
        map(_row, files),
        label="verdicts by file",
        is_open=counts["pass"] < len(files) or len(files) <= OPEN_FILES,
    )


def _row(one: FileVerdict) -> Element:
    note = shown(one.finding.note, _NOTE_CHARACTERS)
    verdict = element(
        "td",
        element("b", f"{MARKS[one.verdict]} {one.verdict}"),
        element("small", note) if note else None,
        class_=one.verdict.replace(" ", "-"),
    )
    return element(
        "tr",
        element("th", shown(one.path, _NAME_CHARACTERS), scope="row"),
        element("td", shown(one.what, _NAME_CHARACTERS)),
        verdict,
        element("td", one.finding.by),
        element("td", ran_on(one.finding.runs)),
        element("td", shown(one.sha256[:_SHOWN_DIGITS], _SHOWN_DIGITS)),
    )
