"""Is what the model is sure of so? Share of true rows by the probability that was given.

Not a test of the artifact against the oracle: both are drawn against the labels.
"""

import math
from collections.abc import Sequence

import numpy as np

from gatelet.convert.parity.quality.figures import CALIBRATION_BINS
from gatelet.convert.report.charts.axes import Frame, chart, legend, linear, panel
from gatelet.convert.report.elements import Element, element, shown
from gatelet.convert.report.figures import write_figure
from gatelet.convert.report.rows import Probabilities

_Z95 = 1.959964
Bin = tuple[float, float, int]
"""Mean probability, share of rows that are so, rows."""


def reliability(found: Sequence[Probabilities] | str, *, labels: tuple[str, ...]) -> Element:
    """Draw one panel an artifact, the oracle behind each.

    Args:
        found: The oracle's first; or why there is nothing to draw.
        labels: Of the model.
    """
    title = "Reliability"
    if isinstance(found, str):
        return chart(title, f"Left out: {found}.")
    if len(labels) == 2:
        what = f"the label '{shown(labels[1], 60)}'"
        axis = f"probability given to '{shown(labels[1], 20)}'"
    else:
        what, axis = "the chosen label", "probability of the chosen label"
    oracle, *artifacts = found
    return chart(
        title,
        f"Of the rows with about this probability for {what}, how many really have it? On the "
        "diagonal the probabilities are right; below it the model is too sure. Bars are 95 % "
        "intervals (Wilson): the fewer labelled rows, the longer.",
        element("div", *(_panel(one, oracle, axis) for one in artifacts), class_="panels"),
        key=legend(
            [
                (element("circle", cx=12, cy=7, r=4, class_="point"), "artifact"),
                (element("rect", x=7, y=2, width=10, height=10, class_="hollow"), "oracle"),
                (element("line", x1=1, y1=13, x2=23, y2=1, class_="ideal"), "reliable"),
            ]
        ),
    )


def bins_of(one: Probabilities) -> list[Bin]:
    """Sort rows by their probability into equal widths; empty ones are left out."""
    index = np.minimum((one.sure * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [
        (float(one.sure[inside].mean()), float(one.right[inside].mean()), int(inside.sum()))
        for inside in (index == number for number in range(CALIBRATION_BINS))
        if inside.any()
    ]


def expected_calibration_error(bins: Sequence[Bin]) -> float:
    """Return the mean distance from the diagonal, each bin with the weight of its rows.

    Source: Naeini et al. 2015, Obtaining well calibrated probabilities using Bayesian binning.
    """
    rows = sum(count for _, _, count in bins)
    return sum(count * abs(sure - share) for sure, share, count in bins) / rows if rows else 0.0


def _panel(one: Probabilities, oracle: Probabilities, axis: str) -> Element:
    scale = linear(0, 1)
    frame = Frame(scale, scale, axis, "share of rows that are so")
    bins, behind = bins_of(one), bins_of(oracle)
    marks = [
        element(
            "line",
            x1=frame.at_x(0),
            y1=frame.at_y(0),
            x2=frame.at_x(1),
            y2=frame.at_y(1),
            class_="ideal",
        )
    ]
    for sure, share, _ in behind:
        x, y = frame.at_x(sure), frame.at_y(share)
        marks.append(element("rect", x=x - 5, y=y - 5, width=10, height=10, class_="hollow"))
    for sure, share, count in bins:
        x, (low, high) = frame.at_x(sure), interval_of_share(share, count)
        marks.append(
            element("line", x1=x, y1=frame.at_y(low), x2=x, y2=frame.at_y(high), class_="interval")
        )
        marks.append(element("circle", cx=x, cy=frame.at_y(share), r=3.5, class_="point"))
    sentence = (
        f"{len(one.sure):,} rows; expected calibration error "
        f"{write_figure(expected_calibration_error(bins))}, the oracle's "
        f"{write_figure(expected_calibration_error(behind))}."
    )
    return panel(one.name, frame.draw(*marks, label=f"{one.name}: reliability"), sentence)


def interval_of_share(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share.

    Source: Wilson 1927, Probable inference, the law of succession, and statistical inference.
    """
    z2 = _Z95**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = _Z95 * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2)) / (1 + z2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)
