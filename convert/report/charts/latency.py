"""How long single rows took, as a box an artifact.

Not a benchmark: it was measured once, on the machine that made the report.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.report.charts.axes import Frame, chart, legend, logarithmic
from gatelet.convert.report.elements import Element, element
from gatelet.convert.report.figures import write_latency

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_ROW_HEIGHT = 46


def latency(taken_us: Mapping[str, Sequence[float]]) -> Element:
    """Draw one box an artifact.

    Args:
        taken_us: Microseconds of each call, by target and scheme.
    """
    title = "Latency"
    measured = {name: np.asarray(times) for name, times in taken_us.items() if len(times)}
    if not measured:
        return chart(
            title, "Left out: the bundle has no golden vectors, or no engine here runs them."
        )
    every = np.concatenate(list(measured.values()))
    frame = Frame(
        logarithmic(float(every.min()), float(every.max()), write=write_latency),
        None,
        "time of one row (logarithmic)",
        height=60 + _ROW_HEIGHT * len(measured),
    )
    marks: list[Element] = []
    for number, (name, times) in enumerate(measured.items()):
        marks += _box(frame, name, times, y=14 + _ROW_HEIGHT * number)
    calls = min(len(times) for times in measured.values())
    return chart(
        title,
        f"{calls:,} calls of one row for each artifact, in turns, from ids or features to scores, "
        "on the machine that made this report. Other machines differ: compare the artifacts, not "
        "the figures.",
        element("div", frame.draw(*marks, label="time of one row by artifact"), class_="panels"),
        key=legend(
            [
                (element("rect", x=4, y=2, width=16, height=10, class_="bar"), "middle half"),
                (element("line", x1=12, y1=1, x2=12, y2=13, class_="median"), "median"),
                (element("line", x1=2, y1=7, x2=22, y2=7, class_="interval"), "5 % to 95 %"),
                (element("circle", cx=12, cy=7, r=2.5, class_="hollow"), "slowest"),
            ]
        ),
    )


def _box(frame: Frame, name: str, times: NDArray[Any], *, y: float) -> list[Element]:
    p5, p25, p50, p75, p95 = (float(value) for value in np.quantile(times, QUANTILES))
    low, left, middle, right, high = (frame.at_x(value) for value in (p5, p25, p50, p75, p95))
    center = y + 23
    text = f"{name}  median {write_latency(p50)}, 95 % {write_latency(p95)}"
    return [
        element("text", text, x=frame.left + 2, y=y + 10),
        element("line", x1=low, y1=center, x2=high, y2=center, class_="interval"),
        element(
            "rect", x=left, y=center - 7, width=max(1.0, right - left), height=14, class_="bar"
        ),
        element("line", x1=middle, y1=center - 8, x2=middle, y2=center + 8, class_="median"),
        element("circle", cx=frame.at_x(float(times.max())), cy=center, r=2.5, class_="hollow"),
    ]
