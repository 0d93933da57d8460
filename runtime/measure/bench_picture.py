"""The picture of a benchmark: a bar an artifact, with the 99th percentile as a line.

Not the measurement, which is `gatelet.runtime.measure.bench`.
"""

from collections.abc import Sequence
from html import escape

from gatelet.runtime.measure.bench import Result
from gatelet.runtime.terminal import escaped

_ROW, _LEFT, _WIDTH, _TOP = 28, 190, 420, 46


def bench_svg(results: Sequence[Result], *, title: str) -> str:
    """Draw the latency of one text, by artifact.

    Args:
        results: At least one.
        title: The line above.
    """
    first = [one.measured[0] for one in results]
    most = max(one.p99_us for one in first)
    height = _TOP + _ROW * len(results) + 12
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 120}" '
        f'height="{height}" font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="10" y="20" font-weight="bold">{escape(escaped(title))}</text>',
        f'<text x="10" y="36" fill="#666">one text of {first[0].length} words or timesteps: '
        "bar is the median, line reaches to the 99th percentile</text>",
    ]
    for number, (result, one) in enumerate(zip(results, first, strict=True)):
        y = _TOP + _ROW * number
        bar, tail = (_WIDTH * value / most for value in (one.median_us, one.p99_us))
        lines += [
            f'<text x="{_LEFT - 8}" y="{y + 17}" text-anchor="end">'
            f"{escape(f'{result.target} {result.scheme}')}</text>",
            f'<rect x="{_LEFT}" y="{y + 5}" width="{bar:.1f}" height="16" fill="#3572b0"/>',
            f'<path d="M{_LEFT + bar:.1f} {y + 13}H{_LEFT + tail:.1f}" stroke="#333"/>',
            f'<text x="{_LEFT + tail + 6:.1f}" y="{y + 17}">{one.median_us:,.0f} µs</text>',
        ]
    return "\n".join([*lines, "</svg>", ""])
