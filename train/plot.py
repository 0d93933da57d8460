"""The training history as one SVG picture, readable on light and dark pages.

Not a plotting library: two panels, two lines each.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from gatelet.train.epochs import Epoch, History

WIDTH, HEIGHT = 760, 340
PANEL_WIDTH, PANEL_HEIGHT = 290, 200
LEFT, TOP, GAP = 60, 70, 90
TICKS = 5

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #222; }
  .title { font-size: 15px; font-weight: 600; }
  .frame { stroke: #888; fill: none; }
  .grid { stroke: #888; stroke-opacity: 0.25; }
  .best { stroke: #888; stroke-dasharray: 2 3; }
  .train { stroke: #0b62a8; fill: none; stroke-width: 2; }
  .validation { stroke: #b34700; fill: none; stroke-width: 2; stroke-dasharray: 6 3; }
  circle.train { fill: #0b62a8; }
  circle.validation { fill: #b34700; stroke-dasharray: none; }
  @media (prefers-color-scheme: dark) {
    text { fill: #ddd; }
    .train { stroke: #6cb6ff; }
    .validation { stroke: #ffa657; }
    circle.train { fill: #6cb6ff; }
    circle.validation { fill: #ffa657; }
  }
"""

# What XML 1.0 cannot hold, even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class _Panel:
    x: float
    title: str
    axis: str
    tick: Callable[[float], str]
    train: Sequence[float]
    validation: Sequence[float]

    def limits(self) -> tuple[float, float]:
        values = [value for value in (*self.train, *self.validation) if math.isfinite(value)]
        low, high = min(values, default=0.0), max(values, default=1.0)
        margin = (high - low) * 0.08 or 0.05
        return low - margin, high + margin


def plot_history(history: History, *, title: str, values: bool = False) -> str:
    """Draw loss and accuracy, or error, of every epoch, for the training and the validation part.

    Args:
        history: One epoch or more.
        title: What was trained on what.
        values: The accuracies are mean absolute errors, of a model that gives values.

    Returns:
        An SVG document.
    """
    epochs = history.epochs
    loss = "squared error (of the variance)" if values else "cross-entropy (nats)"
    panels = (
        _panel(0, "Loss", loss, "{:.3f}".format, epochs, "loss"),
        _panel(1, "Error", "mean absolute error", "{:.3g}".format, epochs, "accuracy")
        if values
        else _panel(1, "Accuracy", "accuracy (%)", lambda x: f"{100 * x:.1f}", epochs, "accuracy"),
    )
    stopped = ", interrupted" if history.interrupted else ""
    heading = escape(_NOT_XML.sub("\ufffd", title))
    body = "\n".join(_draw(panel, len(epochs), history.best) for panel in panels)
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">
<title>{heading}</title>
<style>{STYLE}</style>
<text class="title" x="{LEFT}" y="24">{heading}</text>
<text x="{LEFT}" y="44">epoch {history.best} of {len(epochs)} was kept{stopped}</text>
{_legend(WIDTH - 250, 40)}
{body}
</svg>
"""


def _panel(
    place: int,
    title: str,
    axis: str,
    tick: Callable[[float], str],
    epochs: Sequence[Epoch],
    figure: str,
) -> _Panel:
    return _Panel(
        x=LEFT + place * (PANEL_WIDTH + GAP),
        title=title,
        axis=axis,
        tick=tick,
        train=[getattr(epoch, figure) for epoch in epochs],
        validation=[getattr(epoch, f"val_{figure}") for epoch in epochs],
    )


def _draw(panel: _Panel, epochs: int, best: int) -> str:
    low, high = panel.limits()
    bottom = TOP + PANEL_HEIGHT

    def across(epoch: float) -> float:
        return panel.x + PANEL_WIDTH * (epoch - 0.5) / epochs

    def up(value: float) -> float:
        return bottom - PANEL_HEIGHT * (value - low) / (high - low)

    middle = panel.x + PANEL_WIDTH / 2
    parts = [
        f'<text x="{middle:.1f}" y="{TOP - 8}" text-anchor="middle">{panel.title}</text>',
        f'<rect class="frame" x="{panel.x:.1f}" y="{TOP}" width="{PANEL_WIDTH}" '
        f'height="{PANEL_HEIGHT}"/>',
        f'<text x="{middle:.1f}" y="{bottom + 40}" text-anchor="middle">epoch</text>',
        f'<text transform="translate({panel.x - 46:.1f} {TOP + PANEL_HEIGHT / 2:.1f}) rotate(-90)" '
        f'text-anchor="middle">{panel.axis}</text>',
        f'<line class="best" x1="{across(best):.1f}" x2="{across(best):.1f}" y1="{TOP}" '
        f'y2="{bottom}"/>',
    ]
    for step in range(TICKS):
        value = low + (high - low) * (step + 0.5) / TICKS
        parts.append(
            f'<line class="grid" x1="{panel.x:.1f}" x2="{panel.x + PANEL_WIDTH:.1f}" '
            f'y1="{up(value):.1f}" y2="{up(value):.1f}"/>'
            f'<text x="{panel.x - 6:.1f}" y="{up(value) + 4:.1f}" text-anchor="end">'
            f"{panel.tick(value)}</text>"
        )
    for epoch in range(1, epochs + 1, math.ceil(epochs / 10)):
        parts.append(
            f'<text x="{across(epoch):.1f}" y="{bottom + 18}" text-anchor="middle">{epoch}</text>'
        )
    for part, values in (("train", panel.train), ("validation", panel.validation)):
        points = [
            (across(epoch), up(value))
            for epoch, value in enumerate(values, start=1)
            if math.isfinite(value)
        ]
        line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        parts.append(f'<polyline class="{part}" points="{line}"/>')
        parts += [f'<circle class="{part}" cx="{x:.1f}" cy="{y:.1f}" r="2.5"/>' for x, y in points]
    return "\n".join(parts)


def _legend(x: int, y: int) -> str:
    return "\n".join(
        f'<line class="{part}" x1="{left}" x2="{left + 28}" y1="{y}" y2="{y}"/>'
        f'<text x="{left + 34}" y="{y + 4}">{part}</text>'
        for part, left in (("train", x), ("validation", x + 100))
    )
