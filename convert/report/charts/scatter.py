"""Each score against the oracle's: on the diagonal nothing was lost.

Not one mark a row: rows are counted in cells, so a report of many rows stays small.
"""

import numpy as np

from gatelet.convert.report.charts.axes import Frame, chart, legend, linear, panel
from gatelet.convert.report.elements import Element, element
from gatelet.convert.report.figures import write_figure
from gatelet.convert.report.rows import Pair

CELLS = 60
SHADES = 5
WORST = 5


def scatter(pairs: list[Pair]) -> Element:
    """Draw one panel an artifact."""
    return chart(
        "Scores against the oracle",
        "Each cell counts rows by the oracle's score (across) and the artifact's (up). Rows on "
        "the diagonal have the same score on both sides; the distance from it is the error.",
        element("div", *(_panel(pair) for pair in pairs), class_="panels"),
        key=legend(
            [
                (element("rect", x=2, y=2, width=9, height=10, class_="cell shade0"), "one row"),
                (
                    element("rect", x=2, y=2, width=9, height=10, class_=f"cell shade{SHADES - 1}"),
                    "the most rows of the panel",
                ),
                (element("path", d=_cross(12, 7), class_="worst"), f"the {WORST} largest errors"),
                (element("line", x1=1, y1=13, x2=23, y2=1, class_="ideal"), "equal scores"),
            ]
        ),
    )


def _panel(pair: Pair) -> Element:
    if not pair.expected.size:
        return panel(pair.name, element("p", pair.note or "no finite score"), "Nothing to draw.")
    both = np.concatenate([pair.expected, pair.found])
    low, high = float(both.min()), float(both.max())
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    scale = linear(low, high)
    frame = Frame(scale, scale, "oracle's score", "artifact's score")
    error = np.abs(pair.found - pair.expected)
    worst = np.argsort(-error, kind="stable")[:WORST]
    marks = [
        element("line", **_ends(frame, scale.low, scale.high), class_="ideal"),
        *_cells(pair, frame),
        *(
            element(
                "path",
                d=_cross(frame.at_x(pair.expected[i]), frame.at_y(pair.found[i])),
                class_="worst",
            )
            for i in worst
            if error[i] > 0
        ),
    ]
    sentence = (
        f"{pair.expected.size:,} scores; the largest error is {write_figure(float(error.max()))}, "
        f"the smallest score {write_figure(float(pair.found.min()))}, "
        f"the largest {write_figure(float(pair.found.max()))}."
    )
    if pair.left_out:
        sentence += f" {pair.left_out:,} that are not finite are left out."
    label = f"{pair.name}: scores against the oracle"
    return panel(pair.name, frame.draw(*marks, label=label), sentence)


def _ends(frame: Frame, low: float, high: float) -> dict[str, float]:
    return {
        "x1": frame.at_x(low),
        "y1": frame.at_y(low),
        "x2": frame.at_x(high),
        "y2": frame.at_y(high),
    }


def _cells(pair: Pair, frame: Frame) -> list[Element]:
    """Return one path for each shade: cells of about as many rows share one."""
    assert frame.y is not None
    edges = np.linspace(frame.x.low, frame.x.high, CELLS + 1)
    counts, _, _ = np.histogram2d(pair.expected, pair.found, bins=(edges, edges))
    most = counts.max()
    paths: list[list[str]] = [[] for _ in range(SHADES)]
    width = frame.at_x(edges[1]) - frame.at_x(edges[0])
    height = frame.at_y(edges[0]) - frame.at_y(edges[1])
    for i, j in zip(*np.nonzero(counts), strict=True):
        share = np.log(counts[i, j]) / np.log(most) if most > 1 else 0.0
        x, y = frame.at_x(edges[i]), frame.at_y(edges[j + 1])
        paths[min(SHADES - 1, int(share * SHADES))].append(
            f"M{x:.1f} {y:.1f}h{width:.1f}v{height:.1f}h-{width:.1f}z"
        )
    return [
        element("path", d="".join(path), class_=f"cell shade{shade}")
        for shade, path in enumerate(paths)
        if path
    ]


def _cross(x: float, y: float) -> str:
    return f"M{x - 4:.1f} {y - 4:.1f}l8 8m0 -8l-8 8"
