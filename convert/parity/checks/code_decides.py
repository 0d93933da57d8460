"""Does the code of a C artifact decide as its bundle says? Its `decide` is called with real scores.

Not the scores themselves, which other checks compare.
"""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.decisions import Part
from gatelet.convert.parity.report import Check
from gatelet.runtime.backends.host import host_platform
from gatelet.runtime.bundle.opening import Artifact, Bundle

MOST_ROWS = 1024
_ROUNDING = 2.0**-20
"""What float32 makes of a score in another order of operations; so near a threshold, or a tie, a
row may be decided either way."""

Array = NDArray[Any]


def check_code_decides(bundle: Bundle, artifact: Artifact, parts: list[Part]) -> list[Check]:
    """Count rows that the code decides otherwise, or to which it gives other scores.

    Args:
        bundle: With decisions.
        artifact: Of the target c; of others there is nothing to check.
        parts: What its outputs gave for the judged rows.
    """
    name = artifact.companions.get(f"library:{host_platform()}")
    if artifact.target != "c" or name is None:
        return []
    bundle.contents.check(name)
    library = ctypes.CDLL(str((bundle.path / name).absolute()))
    wrong = 0
    for index, part in enumerate(parts):
        decide = getattr(library, f"gatelet_decide_{index}", None)
        if decide is None:
            note = "the library has no function that decides: convert again"
            return [Check("code_decides", None, 0.0, "fail", "rows", note=note)]
        wrong += sum(_is_wrong(decide, part, row) for row in part.scores[:MOST_ROWS])
    verdict = "fail" if wrong else "pass"
    return [Check("code_decides", float(wrong), 0.0, verdict, "rows")]


def _is_wrong(decide: Any, part: Part, row: Array) -> bool:
    rule = part.decision
    row = np.ascontiguousarray(row, np.float32)
    scores = np.zeros(len(rule.labels), np.float32)
    chosen = np.zeros(len(rule.labels), np.uint8)
    pointer = ctypes.c_void_p
    first = decide(
        pointer(row.ctypes.data), pointer(scores.ctypes.data), pointer(chosen.ctypes.data)
    )
    meant = rule.scores_of(row.tolist())
    named, right = rule.by_label(meant), np.zeros_like(chosen)
    right[list(rule.chosen(meant))] = 1
    expected = np.array([named[label] for label in rule.labels])
    given = np.flatnonzero(chosen)
    if first != (given[0] if len(given) else -1):
        return True
    if not np.allclose(scores, expected, rtol=_ROUNDING, atol=_ROUNDING, equal_nan=True):
        return True
    other = np.flatnonzero(chosen != right)
    return bool(len(other)) and not _is_near(part, expected, other)


def _is_near(part: Part, scores: Array, other: Array) -> bool:
    thresholds = np.array(part.decision.thresholds)
    if len(thresholds) == 1:
        return bool(abs(scores[1] - thresholds[0]) <= _ROUNDING)
    near = scores[other] - thresholds[other] if len(thresholds) else np.ptp(scores[other])
    return bool((np.abs(near) <= _ROUNDING).all())
