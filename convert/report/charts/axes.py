"""The frame of a chart: two scales, their ticks, and the figure around it.

Not a plotting library: what every chart here shares, and no more.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from gatelet.convert.report.elements import Content, Element, element
from gatelet.convert.report.figures import write_figure

WIDTH, HEIGHT = 340, 260
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 10, 44
TICKS = 5


@dataclass(frozen=True)
class Scale:
    """Maps values to places along one side of a chart.

    Args:
        low: The smallest value.
        high: The largest one, above `low`.
        ticks: Values that are written.
        map: From value to 0..1.
        write: How a tick is written.
    """

    low: float
    high: float
    ticks: tuple[float, ...]
    map: Callable[[float], float]
    write: Callable[[float], str] = write_figure


def linear(low: float, high: float, *, write: Callable[[float], str] = write_figure) -> Scale:
    """Make a linear scale that holds both values, with round ticks."""
    if not high > low:
        margin = abs(low) * 0.1 or 1.0
        low, high = low - margin, high + margin
    raw = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 2.5, 5, 10) if power * factor >= raw * 0.999)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    ticks = tuple(float(f"{index * step:.12g}") for index in range(first, last + 1))
    return Scale(low, high, ticks, lambda value: (value - low) / (high - low), write)


def logarithmic(low: float, high: float, *, write: Callable[[float], str] = write_figure) -> Scale:
    """Make a logarithmic scale that holds both positive values."""
    start, end = math.log10(low), math.log10(high)
    margin = 0.05 * (end - start) or 0.2
    start, end = start - margin, end + margin
    factors = (1,) if end - start > 2.5 else (1, 2, 5)
    powers = range(math.floor(start), math.ceil(end) + 1)
    places = [(f * 10.0**p, math.log10(f) + p) for p in powers for f in factors]
    ticks = tuple(value for value, place in places if start <= place <= end)
    return Scale(
        10**start, 10**end, ticks, lambda v: (math.log10(v) - start) / (end - start), write
    )


def counted(most: int) -> Scale:
    """Make a logarithmic scale for counts from 0: a single one is well above the line."""
    start, end = math.log10(0.5), math.log10(max(2, most))
    ticks = tuple(float(10**power) for power in range(math.floor(end) + 1))
    return Scale(
        low=0.5,
        high=max(2, most),
        ticks=ticks,
        map=lambda count: (math.log10(max(0.5, count)) - start) / (end - start),
    )


@dataclass(frozen=True)
class Frame:
    """The area in which a chart draws.

    Args:
        x: The scale along the bottom.
        y: The scale along the left side; None where each line names itself.
        x_title: Of the axis, with its unit.
        y_title: Likewise.
        height: Of the whole picture, in pixels.
    """

    x: Scale
    y: Scale | None
    x_title: str
    y_title: str = ""
    height: int = HEIGHT
    left: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "left", LEFT if self.y is not None else RIGHT)

    @property
    def bottom(self) -> float:
        """The place of the lower edge."""
        return self.height - BOTTOM

    def at_x(self, value: float) -> float:
        """Return the place of a value along the bottom."""
        return self.left + self.x.map(value) * (WIDTH - RIGHT - self.left)

    def at_y(self, value: float) -> float:
        """Return the place of a value along the left side."""
        assert self.y is not None
        return self.bottom - self.y.map(value) * (self.bottom - TOP)

    def draw(self, *marks: Content, label: str) -> Element:
        """Return the picture: grid, ticks and titles, then the marks.

        Args:
            *marks: What the chart shows.
            label: What it is, for those who do not see it.
        """
        return element(
            "svg",
            *self._ticks_of_x(),
            *(self._ticks_of_y() if self.y is not None else ()),
            *marks,
            viewBox=f"0 0 {WIDTH} {self.height}",
            role="img",
            aria_label=label,
        )

    def _ticks_of_x(self) -> list[Element]:
        made = []
        end = -1.0
        for value in self.x.ticks:
            x, text = self.at_x(value), self.x.write(value)
            made.append(_line(x, TOP, x, self.bottom, "grid"))
            if x - 3.2 * len(text) > end:  # else the last one would be overwritten
                made.append(element("text", text, x=x, y=self.bottom + 16, text_anchor="middle"))
                end = x + 3.2 * len(text) + 6
        middle = (self.left + WIDTH - RIGHT) / 2
        return [
            *made,
            _line(self.left, self.bottom, WIDTH - RIGHT, self.bottom, "axis"),
            element("text", self.x_title, x=middle, y=self.height - 8, class_="axis-title"),
        ]

    def _ticks_of_y(self) -> list[Element]:
        assert self.y is not None
        made = []
        for value in self.y.ticks:
            y = self.at_y(value)
            made.append(_line(self.left, y, WIDTH - RIGHT, y, "grid"))
            text = self.y.write(value)
            made.append(element("text", text, x=self.left - 6, y=y + 4, text_anchor="end"))
        middle = (TOP + self.bottom) / 2
        turned = f"rotate(-90 13 {middle:g})"
        return [
            *made,
            _line(self.left, TOP, self.left, self.bottom, "axis"),
            element("text", self.y_title, x=13, y=middle, transform=turned, class_="axis-title"),
        ]


def _line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Element:
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def panel(title: str, picture: Element, sentence: str) -> Element:
    """Put one picture of several under its own title, with what it shows."""
    return element(
        "figure",
        element("figcaption", element("strong", title), element("span", sentence)),
        picture,
        class_="panel",
    )


def chart(title: str, sentence: str, *content: Content, key: Element | None = None) -> Element:
    """Put a chart into its section: its title, a sentence of what it shows, its pictures.

    Args:
        title: Of the chart.
        sentence: What the chart shows and how to read it.
        *content: Pictures, or why there are none.
        key: What the marks mean.
    """
    name = "".join(c if c.isalnum() else "-" for c in title.lower())
    return element(
        "section",
        element("h2", title, id=name),
        element("p", sentence),
        key,
        *content,
        aria_labelledby=name,
    )


def legend(entries: Sequence[tuple[Element, str]]) -> Element:
    """Say what marks mean: each is drawn within 24 by 14 pixels."""
    items = (
        element(
            "li",
            element("svg", mark, viewBox="0 0 24 14", width=24, height=14, aria_hidden="true"),
            text,
        )
        for mark, text in entries
    )
    return element("ul", *items, class_="legend")
