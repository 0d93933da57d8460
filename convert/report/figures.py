"""How the reports write figures, verdicts and the names of checks.

Not the figures themselves.
"""

import math

from gatelet.convert.parity.report import Check

__all__ = [
    "MARKS",
    "describe",
    "write_bytes",
    "write_check",
    "write_figure",
    "write_latency",
    "write_share",
]

MARKS = {"pass": "✓", "fail": "✗", "undecided": "?", "not run": "○"}
"""A sign for each verdict, so that colour is never alone."""

CHECKS = {
    "ids": "texts whose ids differ from those of the training vectorizer",
    "weights": "stored weights against those of the graph",
    "graph_keras": "largest difference of the graph from Keras",
    "graph_golden": "largest difference of the graph from what it gave at conversion",
    "scores_max": "largest difference of a score from the oracle",
    "scores_mean": "mean difference of the scores from the oracle",
    "scores_p99": "difference that 99 of 100 scores stay below",
    "scores_shift": "mean difference with its sign",
    "scores_max_keras": "largest difference of a score from Keras",
    "flips": "rows that are decided otherwise than by the oracle",
    "state_leak": "a call changes what a later call gives",
    "batch": "a batch against its rows alone",
    "golden": "golden ids against their recorded scores",
    "golden_texts": "golden texts against their recorded scores",
    "as_converted": "golden ids against what this artifact gave at conversion",
    "opens": "the engine opens the artifact",
    "runs": "the engine runs the artifact",
}
"""What each check looks at; one that is not listed is shown by its name."""


def describe(name: str) -> str:
    """Say what a check looks at; nothing for one that this page does not know."""
    return CHECKS.get(name, "")


def write_figure(value: float | None) -> str:
    """Write a figure with three significant digits."""
    if value is None:
        return "-"
    if not math.isfinite(value):
        return str(value)
    if value == round(value) and abs(value) < 1e6:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def write_check(value: float | None, check: Check) -> str:
    """Write a figure or limit of a check: shares in percent."""
    if value is not None and math.isfinite(value) and check.unit.startswith("share"):
        return write_share(value)
    return write_figure(value)


def write_share(value: float) -> str:
    """Write a share in percent."""
    return f"{100 * value:.3g} %"


def write_bytes(count: float) -> str:
    """Write a number of bytes for people, in decimal units."""
    for unit, factor in (("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count:,.0f} bytes"


def write_latency(latency_us: float) -> str:
    """Write microseconds for people."""
    for unit, factor in (("s", 1e6), ("ms", 1e3)):
        if latency_us >= factor:
            return f"{latency_us / factor:.3g} {unit}"
    return f"{latency_us:.3g} µs"
