"""The picture of the comparison: a bar an engine, at 100 and at 20 real tokens.

Not the figures, which the table has in full.
"""

import statistics
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_ROW, _LEFT, _WIDTH, _TOP = 34, 200, 460, 62
_CUT = 4.0
_COLOURS = ("#3572b0", "#9bc1e6")


def draw_svg(rows: Sequence[Mapping[str, Any]], *, lengths: Sequence[int], note: str) -> str:
    """Draw the latency of one row.

    Args:
        rows: Name and latencies by real tokens, in microseconds; the fastest first.
        lengths: The two numbers of real tokens to show.
        note: The line below the title: date, processor.
    """
    every = [row["latency_us"][str(n)] for row in rows for n in lengths]
    # one slow engine would leave the others no width to differ in
    most = max(us for us in every if us <= _CUT * statistics.median(every))
    height = _TOP + _ROW * len(rows) + 12
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_LEFT + _WIDTH + 110}" '
        f'height="{height}" font-family="sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="white"/>',
        '<text x="10" y="20" font-weight="bold">Processor time of one prediction, one thread'
        "</text>",
        f'<text x="10" y="37" fill="#666">{escape(note)}</text>',
    ]
    for place, (length, colour) in enumerate(zip(lengths, _COLOURS, strict=True)):
        x = _LEFT + 150 * place
        lines += [
            f'<rect x="{x}" y="44" width="12" height="12" fill="{colour}"/>',
            f'<text x="{x + 18}" y="55">{length} real tokens</text>',
        ]
    for number, row in enumerate(rows):
        y = _TOP + _ROW * number
        lines.append(
            f'<text x="{_LEFT - 8}" y="{y + 20}" text-anchor="end">{escape(row["name"])}</text>'
        )
        for place, (length, colour) in enumerate(zip(lengths, _COLOURS, strict=True)):
            taken, top = row["latency_us"][str(length)], y + 3 + 13 * place
            bar, cut = _WIDTH * min(taken / most, 1.0), " (cut)" if taken > most else ""
            lines += [
                f'<rect x="{_LEFT}" y="{top}" width="{bar:.1f}" height="12" fill="{colour}"/>',
                f'<text x="{_LEFT + bar + 5:.1f}" y="{top + 11}" font-size="11">'
                f"{taken:,.0f} µs{cut}</text>",
            ]
    return "\n".join([*lines, "</svg>", ""])
