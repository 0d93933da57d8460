"""The trials of a study as one SVG picture, readable on light and dark pages.

Not a plotting library: quality over cost, the front as a staircase. The training's own picture is
`gatelet.train.plot`.
"""

import math
import re
from collections.abc import Callable, Sequence
from html import escape

from gatelet.train.tune.front import quality_of
from gatelet.train.tune.results import Point, Result

WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 30, 70, 60
TICKS = 5
AXES = {
    "bytes": "bytes of the c artifact, {scheme}",
    "macs": "multiply-adds a timestep",
    "latency": "median latency on this machine (us)",
}

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #222; }
  .title { font-size: 15px; font-weight: 600; }
  .frame { stroke: #888; fill: none; }
  .grid { stroke: #888; stroke-opacity: 0.25; }
  .front { stroke: #0b62a8; fill: none; stroke-width: 2; }
  circle.complete { fill: #888; }
  circle.best { fill: #0b62a8; }
  circle.chosen { fill: none; stroke: #b34700; stroke-width: 2.5; }
  .stopped { stroke: #888; stroke-width: 1.5; }
  @media (prefers-color-scheme: dark) {
    text { fill: #ddd; }
    .front { stroke: #6cb6ff; }
    circle.best { fill: #6cb6ff; }
    circle.chosen { stroke: #ffa657; }
  }
"""

# What XML 1.0 cannot hold, even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def safe(text: object) -> str:
    """Return a text as XML and HTML can hold it."""
    return escape(_NOT_XML.sub("\ufffd", str(text)))


def plot_front(result: Result) -> str:
    """Draw every trial that has a figure, and the front.

    Args:
        result: A study with one point or more that ran to its end.

    Returns:
        An SVG document.
    """
    config = result.config
    points = [one for one in result.points if one.trial.epochs]
    across = _scale([one.trial.cost for one in points], LEFT, WIDTH - RIGHT, logarithmic=True)
    up = _scale([_quality(result, one) for one in points], HEIGHT - BOTTOM, TOP)
    heading = safe(f"{result.name}: {len(result.points)} trials")
    axis = safe(AXES[config.against].format(scheme=config.scheme))
    measure = "accuracy" if config.quality == "accuracy" else "loss, negative"
    body = [*_frame(points, result, across, up), _staircase(result, across, up)]
    body += [_mark(result, one, across, up) for one in points]
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">
<title>{heading}</title>
<style>{STYLE}</style>
<text class="title" x="{LEFT}" y="24">{heading}</text>
<text x="{LEFT}" y="44">blue: the front; ring: trial {result.chosen.trial.number}, chosen; \
cross: stopped early</text>
<text x="{(LEFT + WIDTH - RIGHT) / 2:.1f}" y="{HEIGHT - 14}" text-anchor="middle">{axis}</text>
<text transform="translate(16 {(TOP + HEIGHT - BOTTOM) / 2:.1f}) rotate(-90)" \
text-anchor="middle">validation {measure}</text>
{chr(10).join(body)}
</svg>
"""


def _quality(result: Result, point: Point) -> float:
    trial = point.trial
    return quality_of(trial.epochs[trial.best - 1], result.config.quality)


Scale = Callable[[float], float]


def _scale(
    values: Sequence[float], start: float, end: float, *, logarithmic: bool = False
) -> Scale:
    """Return what places values between two ends of an axis, with a margin."""
    made: Scale = (
        (lambda value: math.log(max(value, 1e-9))) if logarithmic else (lambda value: value)
    )
    placed = [made(value) for value in values]
    low, high = min(placed), max(placed)
    margin = (high - low) * 0.06 or 0.05

    def place(value: float) -> float:
        return start + (end - start) * (made(value) - low + margin) / (high - low + 2 * margin)

    return place


def _frame(points: Sequence[Point], result: Result, across: Scale, up: Scale) -> list[str]:
    parts = [
        f'<rect class="frame" x="{LEFT}" y="{TOP}" width="{WIDTH - LEFT - RIGHT}" '
        f'height="{HEIGHT - TOP - BOTTOM}"/>'
    ]
    costs = [one.trial.cost for one in points]
    qualities = [_quality(result, one) for one in points]
    for step in range(TICKS):
        share = step / (TICKS - 1)
        value = min(qualities) + share * (max(qualities) - min(qualities))
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{up(value):.1f}" '
            f'y2="{up(value):.1f}"/>'
            f'<text x="{LEFT - 6}" y="{up(value) + 4:.1f}" text-anchor="end">{value:.3f}</text>'
        )
        cost = min(costs) * (max(costs) / min(costs)) ** share if min(costs) > 0 else max(costs)
        parts.append(
            f'<text x="{across(cost):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle">'
            f"{cost:,.0f}</text>"
        )
        if min(costs) == max(costs):
            break
    return parts


def _staircase(result: Result, across: Scale, up: Scale) -> str:
    """Draw the best quality that each cost allows."""
    places: list[tuple[float, float]] = []
    for one in result.front:
        x, y = across(one.trial.cost), up(_quality(result, one))
        if places:
            places.append((x, places[-1][1]))
        places.append((x, y))
    places.append((WIDTH - RIGHT, places[-1][1]))
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
    return f'<polyline class="front" points="{line}"/>'


def _mark(result: Result, point: Point, across: Scale, up: Scale) -> str:
    x, y = across(point.trial.cost), up(_quality(result, point))
    kept = point.trial.epochs[point.trial.best - 1]
    told = (
        f"<title>trial {point.trial.number}: {result.config.figure} {kept.val_accuracy:.4f}, "
        f"loss {kept.val_loss:.4f}, {point.trial.bytes:,} bytes</title>"
    )
    if point.state != "complete":
        return (
            f'<path class="stopped" d="M {x - 3:.1f} {y - 3:.1f} l 6 6 m 0 -6 l -6 6">{told}</path>'
        )
    kind = "best" if point.on_front else "complete"
    ring = f'<circle class="chosen" cx="{x:.1f}" cy="{y:.1f}" r="8"/>' if point.is_chosen else ""
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="4">{told}</circle>{ring}'
