"""What artifacts take on devices, as a table, and the instructions of a timestep as a bar each.

Not measured for the report: the bundle has it from `gatelet verify` and `convert --device`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gatelet.convert.report.charts.axes import Frame, chart, logarithmic
from gatelet.convert.report.elements import Element, element, shown
from gatelet.convert.report.figures import write_figure
from gatelet.runtime.bundle.device_figures import COLUMNS, HEADER, entries_of, rows_of, timestep_of
from gatelet.runtime.bundle.opening import Bundle

_ROW_HEIGHT = 34
_CHARACTERS = 60
_VERDICT = HEADER.index("verdict")
_NUMBERS = range(2, 3 + len(COLUMNS))


@dataclass(frozen=True)
class Counted:
    """What counts the work of a timestep.

    Args:
        name: Device and artifact.
        unit: 'instructions', or 'cycles'.
        timestep: How many.
    """

    name: str
    unit: str
    timestep: int


def devices(bundle: Bundle) -> Element | None:
    """Draw both; None of a bundle that says nothing of devices."""
    rows = sorted(row for artifact in bundle.artifacts for row in rows_of(bundle, artifact))
    if not rows:
        return None
    found = counted(bundle)
    picture = element("div", _bars(found), class_="panels") if found else None
    said = (
        "The picture has the instructions of a timestep, the fewest first."
        if found
        else "Nothing has counted instructions."
    )
    return chart(
        "Devices",
        "A row a device and artifact, in bytes: of the program that was linked with the self-test "
        "and, where the verdict is pass or fail, run. An emulator is no board: it knows nothing of "
        f"caches and flash wait states. {said}",
        _table(rows),
        picture,
    )


def counted(bundle: Bundle) -> list[Counted]:
    """Return what was counted, the fewest first."""
    found = []
    for artifact in bundle.artifacts:
        for one in entries_of(bundle, artifact):
            each = timestep_of(one)
            if each is not None and each > 0:
                unit = "cycles" if one["count"].get("unit") == "cycles" else "instructions"
                name = f"{one.get('device')}, {artifact.target} {artifact.scheme}"
                found.append(Counted(shown(name, _CHARACTERS), unit, each))
    return sorted(found, key=lambda one: (one.timestep, one.name))


def _bars(found: Sequence[Counted]) -> Element:
    counts = [one.timestep for one in found]
    frame = Frame(
        logarithmic(min(counts), max(counts), write=write_figure),
        None,
        "instructions of a timestep (logarithmic)",
        height=60 + _ROW_HEIGHT * len(found),
    )
    marks = []
    for number, one in enumerate(found):
        y = 12 + _ROW_HEIGHT * number
        width = max(1.0, frame.at_x(one.timestep) - frame.left)
        text = f"{one.name}: {one.timestep:,}" + (" cycles" if one.unit == "cycles" else "")
        marks.append(element("text", text, x=frame.left + 2, y=y + 10))
        marks.append(element("rect", x=frame.left, y=y + 15, width=width, height=10, class_="bar"))
    return frame.draw(*marks, label="instructions of a timestep by device and artifact")


def _table(rows: Sequence[tuple[str, ...]]) -> Element:
    header = (
        element("th", title, scope="col", class_="number" if at in _NUMBERS else None)
        for at, title in enumerate(HEADER)
    )
    table = element(
        "table",
        element("thead", element("tr", *header)),
        element("tbody", *(_row(row) for row in rows)),
    )
    return element(
        "div", table, class_="wide", tabindex="0", role="region", aria_label="devices and artifacts"
    )


def _row(row: Sequence[str]) -> Element:
    cells = []
    for at, text in enumerate(row[1:], 1):
        kind = "number" if at in _NUMBERS else None
        if at == _VERDICT and text in ("pass", "fail"):
            kind = text
        cells.append(element("td", shown(text, _CHARACTERS), class_=kind))
    return element("tr", element("th", shown(row[0], _CHARACTERS), scope="row"), *cells)
