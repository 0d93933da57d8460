"""The picture of a plan: bytes of flash against the quality that a scheme loses.

Not the plan, which is `plan.py`.
"""

from collections.abc import Sequence

from gatelet.convert.onboard.plan import LOST, Offer
from gatelet.convert.report.charts.axes import Frame, linear, logarithmic
from gatelet.convert.report.elements import Element, element, shown, xml_bytes
from gatelet.convert.report.figures import write_bytes

_STYLE = """
svg { color-scheme: light dark; font-family: sans-serif; background: #ffffff; }
text { font-size: 11px; fill: #1c1f23; } .axis-title { text-anchor: middle; fill: #565d66; }
.grid { stroke: #c9ced6; } .axis { stroke: #565d66; } .fits { fill: #2b7bba; }
.over { fill: none; stroke: #b23a00; stroke-width: 2; }
@media (prefers-color-scheme: dark) {
  svg { background: #14171b; } text { fill: #e8eaed; } .axis-title { fill: #aeb5bf; }
  .grid { stroke: #454c56; } .axis { stroke: #aeb5bf; } .fits { fill: #6cb2ea; }
  .over { stroke: #ff9a63; }
}
"""
_NAME_CHARACTERS = 40


def plan_svg(offers: Sequence[Offer], *, title: str) -> bytes:
    """Draw each scheme once: of the devices that it fits, else of all, with the fewest bytes.

    Args:
        offers: The plan.
        title: What the model is called.
    """
    points: dict[str, tuple[int, float, bool]] = {}
    for fits in (False, True):
        for one in offers:
            if one.fits != fits or one.lost is None:
                continue
            before = points.get(one.scheme)
            if before is None or before[2] != fits or one.stored_bytes < before[0]:
                points[one.scheme] = one.stored_bytes, one.lost, fits
    name = shown(title, _NAME_CHARACTERS)
    if not points:
        said = f"{name}: nobody measured what its schemes lose"
        text = element("text", said, x=10, y=20)
        return _written(element("svg", text, viewBox="0 0 420 40", role="img", aria_label=said))
    stored_bytes = [point[0] for point in points.values()]
    most = max(point[1] for point in points.values())
    frame = Frame(
        logarithmic(min(stored_bytes), max(stored_bytes) * 1.5, write=write_bytes),
        linear(0, most or 1),
        f"{name}: flash (logarithmic); hollow: fits no device here",
        f"quality lost ({LOST[0]}, or {LOST[1]})",
    )
    marks = []
    for scheme, (stored, lost, fits) in points.items():
        x, y = frame.at_x(stored), frame.at_y(lost)
        marks.append(element("circle", cx=x, cy=y, r=4, class_="fits" if fits else "over"))
        marks.append(element("text", scheme, x=x + 7, y=y - 5))
    return _written(frame.draw(*marks, label=f"{name}: flash against quality lost, by scheme"))


def _written(picture: Element) -> bytes:
    picture.set("xmlns", "http://www.w3.org/2000/svg")
    picture.insert(0, element("style", _STYLE))
    return xml_bytes(picture)
