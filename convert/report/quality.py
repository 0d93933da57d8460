"""What the report says of quality on labelled rows, of what is to blame, and of thresholds.

Not the figures, which come from `gatelet.convert.parity`.
"""

from gatelet.convert.parity import ParityReport
from gatelet.convert.report.charts.axes import chart
from gatelet.convert.report.elements import Element, element, shown
from gatelet.convert.report.figures import QUALITY, write_figure
from gatelet.convert.report.matrix import titles

_SENTENCE_CHARACTERS = 500


def quality(report: ParityReport) -> Element:
    """Show the figures of the oracle and of each artifact side by side."""
    title = "Quality on labelled rows"
    if not report.quality:
        return chart(title, "Left out: the data have no labels or values to compare with.")
    columns = {"oracle": report.quality}
    if report.baseline:
        columns[f"baseline: {report.baseline_name}"] = report.baseline
    columns |= {
        name: one.quality
        for name, one in zip(titles(report), report.artifacts, strict=True)
        if one.quality
    }
    header = element(
        "tr",
        element("th", "figure", scope="col"),
        *(element("th", name, scope="col", class_="number") for name in columns),
    )
    rows = (
        element(
            "tr",
            element("th", QUALITY.get(figure, figure), scope="row"),
            *(
                element("td", write_figure(found.get(figure), digits=4), class_="number")
                for found in columns.values()
            ),
        )
        for figure in report.quality
    )
    return chart(
        title,
        f"How good the model is, and each artifact, on {report.rows:,} rows. The checks above hold "
        "the differences to limits, with their intervals.",
        element(
            "div",
            element("table", element("thead", header), element("tbody", *rows)),
            class_="wide",
            tabindex="0",
            role="region",
            aria_label="quality by figure and artifact",
        ),
    )


def blame(report: ParityReport) -> Element | None:
    """Say which layer carries the error of an artifact that missed a limit, and what to try."""
    parts: list[Element] = []
    for name, one in zip(titles(report), report.artifacts, strict=True):
        said = [shown(sentence, _SENTENCE_CHARACTERS) for sentence in one.diagnosis]
        if one.threshold is not None and one.verdict in ("fail", "undecided"):
            said.append(
                f"on these rows the threshold {one.threshold:.4f} makes the most labels right; it "
                "is not applied"
            )
        if said:
            items = (element("li", sentence) for sentence in said)
            parts += [element("h3", name), element("ul", *items, class_="findings")]
    if not parts:
        return None
    return chart(
        "What is to blame",
        "Of artifacts that missed a limit or are undecided: which layer carries the error, by the "
        "reference backend with the artifact's weights, and a threshold that would suit it.",
        *parts,
    )
