"""What each (target, scheme) must hold over the conformance cases, and why.

Not the limits of trained models, which are in convert/tolerances.py.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from gatelet.convert.parity.checks.scores import difference
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

LIMITS = {
    ("litert", "float32"): EXACT,
    ("litert", "float16"): Limit(
        0.4, 0.02, "11-bit weights: 0.02, and 0.26 where an LSTM with relu has grown beyond 10"
    ),
    ("litert", "dynamic-int8"): Limit(
        0.5, 0.05, "8-bit weights where they are large: 0.39 in a case of one-hot rows, mean 0.021"
    ),
    ("litert", "dynamic-int8-emb4"): Limit(
        0.01, 0.002, "beside the embedding, whose own rounding is known, little is large: 0.0015"
    ),
    ("litert", "dynamic-int8-rec32"): Limit(
        0.5, 0.05, "the limits of dynamic-int8, whose other kernels it has: not measured"
    ),
    ("litert", "float32-b1"): EXACT,
    ("litert", "dynamic-int8-b1"): Limit(
        0.4, 0.05, "one scale a kernel: measured 0.28, mean 0.021"
    ),
    ("onnx", "float32"): EXACT,
    ("onnx", "float16"): Limit(
        0.02, 0.001, "11-bit weights, of which these cases have few large enough: measured 0.0063"
    ),
    ("onnx", "dynamic-int8"): Limit(
        0.5, 0.01, "7-bit weights where they are large: 0.39 in a case of one-hot rows, mean 0.0036"
    ),
    ("onnx", "dynamic-int8-emb4"): Limit(
        0.01, 0.002, "beside the embedding, whose own rounding is known, little is large: 0.0015"
    ),
    ("onnx", "dynamic-int8-rec32"): Limit(
        0.5, 0.01, "the limits of dynamic-int8, whose other kernels it has: not measured"
    ),
    ("tflm", "float32"): EXACT,
    ("tflm", "full-int8"): Limit(
        0.6, 0.06, "all weights are int8, and these recurrences amplify: 0.48, mean 0.048"
    ),
    ("tflm", "float32-features"): EXACT,
    ("tflm", "full-int8-features"): Limit(0.6, 0.06, "as full-int8"),
    ("onnx-text", "float32"): EXACT,
    ("onnx-text", "dynamic-int8"): Limit(
        0.002, 0.001, "of models over ids none of these cases has a large weight: measured 0.0004"
    ),
    ("c", "float32"): EXACT,
    ("c", "dynamic-int8"): Limit(
        0.5,
        0.08,
        "8-bit weights, 14-bit activations: a tenth of what the engines that round both to 8 bits "
        "make, but for kernels of features, which all round alike: 0.39 in a case of one-hot rows, "
        "mean of a single row 0.039",
    ),
    ("c", "dynamic-int8-rec16"): Limit(
        0.5, 0.08, "recurrent kernels of 16 bits, the others as dynamic-int8: 0.39 in the same case"
    ),
    ("c", "full-int8"): Limit(
        0.5,
        0.1,
        "as dynamic-int8; the kernel that features go through has 8 bits too: measured 0.26, and "
        "0.44 behind two recurrences in a row (an encoder and a decoder, of numbers up to 5.8); "
        "mean of a single row 0.077",
    ),
    ("c", "dynamic-int8-emb4"): Limit(
        0.5, 0.05, "its shapes only: the rounding is looked at apart"
    ),
    ("c", "dynamic-int4-emb2"): Limit(
        4.0, 1.0, "the limits of dynamic-int4-emb1, whose embeddings are coarser: not measured"
    ),
    ("c", "dynamic-int4-emb1"): Limit(
        4.0,
        1.0,
        "its shapes only, as dynamic-int8-emb4; kernels of 4 bits were not trained so: measured "
        "1.6, mean of a single row 0.51",
    ),
}


def holds(found: Any, expected: Any, pair: tuple[str, str], float32_limit: float) -> bool:
    """Return whether outputs are within the limits of a (target, scheme)."""
    limit = LIMITS[pair]
    if not within(found, expected, limit.largest or float32_limit):
        return False
    return float(np.mean(difference(found, expected))) <= (limit.mean or float32_limit)


LARGE = {
    ("litert", "float16"): Limit(0.003, 0.0005, "11-bit weights: measured 0.0011, mean 0.0002"),
    ("litert", "dynamic-int8"): Limit(
        0.06, 0.01, "8-bit weights and activations: measured 0.024, mean 0.0053"
    ),
    ("litert", "dynamic-int8-emb4"): Limit(
        0.06,
        0.01,
        "the same beside the embedding, whose own rounding is known: measured 0.021, mean 0.0047",
    ),
    ("litert", "dynamic-int8-rec32"): Limit(
        0.06, 0.01, "the limits of dynamic-int8, whose other kernels it has: not measured"
    ),
    ("litert", "dynamic-int8-b1"): Limit(
        0.06, 0.02, "one scale a kernel instead of one a column: measured 0.027, mean 0.0098"
    ),
    ("onnx", "float16"): Limit(0.002, 0.0004, "11-bit weights: measured 0.0010, mean 0.0002"),
    ("onnx", "dynamic-int8"): Limit(
        0.06, 0.012, "7-bit weights, 8-bit activations of one scale: measured 0.034, mean 0.0071"
    ),
    ("onnx", "dynamic-int8-rec32"): Limit(
        0.06, 0.012, "the limits of dynamic-int8, whose other kernels it has: not measured"
    ),
    ("onnx", "dynamic-int8-emb4"): Limit(
        0.06,
        0.012,
        "the same beside the embedding, whose own rounding is known: measured 0.030, mean 0.0067",
    ),
    ("tflm", "full-int8"): Limit(
        0.06,
        0.01,
        "8-bit weights of one scale a gate, 16-bit activations: measured 0.034, mean 0.0060",
    ),
    ("tflm", "full-int8-features"): Limit(
        0.05, 0.01, "the same with a scale a row of the embedding: measured 0.028, mean 0.0062"
    ),
}
"""Of models whose weights are all large enough to be rounded: about twice what was measured."""
