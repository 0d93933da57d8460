"""How far scores are from the oracle's, and to which side.

Not the limits' verdict, which the matrix shows: the limit is drawn where it is near.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.report.charts.axes import Frame, chart, counted, linear, panel
from gatelet.convert.report.elements import Element, element
from gatelet.convert.report.figures import write_figure
from gatelet.convert.report.rows import Pair

BINS = 41
_NEAR = 3.0
"""A limit farther out than this many times the largest difference is written, not drawn."""


def histogram(pairs: list[Pair], limits: Mapping[str, float]) -> Element:
    """Draw one panel an artifact.

    Args:
        pairs: One an artifact.
        limits: The largest difference that passes, by the artifact's name.
    """
    return chart(
        "Differences from the oracle",
        "How many scores are how far below (left) or above (right) the oracle's. Rounding makes "
        "a narrow peak in the middle; a peak to one side of it is a fault that the mean distance "
        "hides. Each panel has its own scale; counts are logarithmic, so that a single score "
        "shows.",
        element("div", *(_panel(pair, limits.get(pair.name)) for pair in pairs), class_="panels"),
    )


def _panel(pair: Pair, limit: float | None) -> Element:
    if not pair.expected.size:
        return panel(pair.name, element("p", pair.note or "no finite score"), "Nothing to draw.")
    signed = pair.found - pair.expected
    largest = float(np.abs(signed).max())
    if not largest:
        return panel(pair.name, element("p", "No difference at all."), f"{signed.size:,} scores.")
    is_near = limit is not None and 0 < limit <= _NEAR * largest
    reach = max(largest, limit or 0.0) * 1.05 if is_near else largest
    counts, edges = np.histogram(signed, bins=np.linspace(-reach, reach, BINS + 1))
    frame = Frame(
        linear(-reach, reach),
        counted(int(counts.max())),
        "artifact's score - oracle's score",
        "scores (logarithmic)",
    )
    label = f"{pair.name}: histogram of the differences from the oracle"
    marks = [
        element(
            "rect",
            x=frame.at_x(edges[i]),
            y=frame.at_y(count),
            width=frame.at_x(edges[i + 1]) - frame.at_x(edges[i]) - 0.5,
            height=frame.bottom - frame.at_y(count),
            class_="bar",
        )
        for i, count in enumerate(counts.tolist())
        if count
    ]
    if is_near and limit is not None:
        for x in (frame.at_x(-limit), frame.at_x(limit)):
            marks.append(element("line", x1=x, y1=10, x2=x, y2=frame.bottom, class_="limit"))
    return panel(pair.name, frame.draw(*marks, label=label), _sentence(signed, limit, is_near))


def _sentence(signed: NDArray[Any], limit: float | None, is_near: bool) -> str:
    size = np.abs(signed)
    said = (
        f"Mean {write_figure(float(signed.mean()))}, mean distance "
        f"{write_figure(float(size.mean()))}, 99 % within "
        f"{write_figure(float(np.quantile(size, 0.99)))}, all within "
        f"{write_figure(float(size.max()))}."
    )
    if limit is None:
        return said
    written = write_figure(limit)
    return f"{said} The limit is {written}{' (dashed)' if is_near else ', beyond this picture'}."
