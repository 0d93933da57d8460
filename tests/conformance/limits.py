"""What each (target, scheme) must hold over the conformance cases, and why.

Not the limits of trained models, which are in convert/tolerances.py.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gatelet.convert.parity.checks import difference
from tests.conformance.matrix import within

__all__ = ["LIMITS", "Limit", "holds"]


@dataclass(frozen=True)
class Limit:
    """What the rows of a case must hold, relative to max(1, |y|).

    Weights are random, of trained size, over 12 steps of recurrences this small: they are
    further off than trained models.

    Args:
        largest: Difference; None means the float32 limit of the case.
        mean: Difference; None likewise.
        reason: Why these, with what was measured over all cases.
    """

    largest: float | None
    mean: float | None
    reason: str


EXACT = Limit(None, None, "the same equations in the same type: the float32 limit of the case")
INT8 = Limit(0.5, 0.05, "measured over all cases, with a third in hand")

LIMITS = {
    ("litert", "float32"): EXACT,
    ("litert", "float16"): Limit(
        0.4, 0.02, "11-bit weights: 0.02, and 0.26 where an LSTM with relu has grown beyond 10"
    ),
    ("litert", "dynamic-int8"): INT8,
    ("litert", "dynamic-int8-emb4"): INT8,
    ("litert", "float32-b1"): EXACT,
    ("litert", "dynamic-int8-b1"): INT8,
    ("onnx", "float32"): EXACT,
    ("onnx", "float16"): Limit(
        0.02, 0.001, "11-bit weights, of which these cases have few large enough: measured 0.0063"
    ),
    ("onnx", "dynamic-int8"): INT8,
    ("onnx", "dynamic-int8-emb4"): INT8,
    ("tflm", "float32"): EXACT,
    ("tflm", "full-int8"): INT8,
    ("tflm", "float32-features"): EXACT,
    ("tflm", "full-int8-features"): INT8,
    ("onnx-text", "float32"): EXACT,
    ("onnx-text", "dynamic-int8"): INT8,
    ("c", "float32"): EXACT,
    ("c", "dynamic-int8"): Limit(
        0.3,
        0.03,
        "8-bit weights, 14-bit activations: a tenth of what the engines that round "
        "both to 8 bits make",
    ),
    ("c", "dynamic-int8-emb4"): INT8,
}


def holds(found: Any, expected: Any, pair: tuple[str, str], float32_limit: float) -> bool:
    """Tell whether outputs are within the limits of a (target, scheme)."""
    limit = LIMITS[pair]
    if not within(found, expected, limit.largest or float32_limit):
        return False
    return float(np.mean(difference(found, expected))) <= (limit.mean or float32_limit)
