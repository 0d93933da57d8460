"""The one tolerance table: what each (target, scheme) may cost, and why.

Not the checks that are held to it: see `gatelet.convert.parity`. Whether a file computes what its
scheme says is held to the float32 limit, of every target and scheme.
"""

from dataclasses import dataclass, replace

FLOAT32_FLOOR = 1e-5
FLOAT32_FACTOR = 4.0

TYPICAL_DIFFERENCE = 0.1
"""Of the spread: what rounding may do to a typical score where calls are compared with each other.
A row that is mixed up with another one is about one spread off."""

SMALLER = 0.8
"""A scheme whose file is not below this share of float32's is left out unless it is named."""


@dataclass(frozen=True)
class Limits:
    """What a scheme may cost on a target.

    Args:
        is_exact: Nothing is rounded but float32: the float32 limit holds for every score, and no
            decision may change but by rounding.
        as_converted: The largest difference from what the same artifact gave at conversion, by
            the same engine, relative to max(1, |y|); None means the float32 limit.
        reason: Why these.
        flips: The largest share of rows decided otherwise than by the oracle, where there are no
            labels.
        spread: The difference that 99 % of the scores stay below, in units of the spread, where
            nothing is decided.
        quality_drop: How much worse any figure of quality may become on labelled rows: 0.01 is a
            point of accuracy.
    """

    is_exact: bool
    as_converted: float | None
    reason: str
    flips: float = 0.01
    spread: float = 0.1
    quality_drop: float = 0.01


_EXACT = Limits(
    is_exact=True,
    as_converted=None,
    reason="the same equations in the same type: rounding only; half a point is more than test "
    "parts of some thousand rows can show where a few labels move",
    flips=0.0,
    quality_drop=0.005,
)

_FLOAT16 = Limits(
    is_exact=False,
    as_converted=None,
    reason="weights of 11 bits, computed in float32: what an engine gives again is the same",
)

_ROUNDED = Limits(
    is_exact=False,
    as_converted=0.001,
    reason="a point of quality is what people notice, a tenth of the spread what a regression "
    "hides in its own error; on another processor a value at a tie is rounded to the other side, "
    "where a gate off by a tenth moves golden scores by 0.003 or more",
)

_TRAINED = replace(
    _ROUNDED,
    reason="as dynamic-int8: so few bits are for models that were trained with them, whose weights "
    "are not rounded again",
)

_INTEGERS = replace(
    _ROUNDED,
    as_converted=None,
    reason="as dynamic-int8; integers, the same on every processor",
)

TOLERANCES: dict[tuple[str, str], Limits] = {
    ("litert", "float32"): _EXACT,
    ("onnx", "float32"): _EXACT,
    ("tflm", "float32"): _EXACT,
    ("litert", "dynamic-int8"): _ROUNDED,
    ("litert", "dynamic-int8-rec32"): _ROUNDED,
    ("tflm", "full-int8"): _INTEGERS,
    ("onnx", "dynamic-int8"): _ROUNDED,
    ("onnx", "dynamic-int8-rec32"): _ROUNDED,
    ("tflm", "float32-features"): _EXACT,
    ("litert", "float16"): _FLOAT16,
    ("onnx", "float16"): _FLOAT16,
    ("litert", "dynamic-int8-emb4"): _ROUNDED,
    ("onnx", "dynamic-int8-emb4"): _ROUNDED,
    ("litert", "float32-b1"): _EXACT,
    ("litert", "dynamic-int8-b1"): _ROUNDED,
    ("c", "float32"): _EXACT,
    ("c", "dynamic-int8"): _ROUNDED,
    ("c", "dynamic-int8-rec16"): _ROUNDED,
    ("c", "full-int8"): _INTEGERS,
    ("c", "dynamic-int8-emb4"): _ROUNDED,
    ("c", "dynamic-int4-emb2"): _TRAINED,
    ("c", "dynamic-int4-emb1"): _TRAINED,
}

TOLERANCES |= {
    ("onnx-text", scheme): replace(
        limits, reason=f"the nodes of onnx {scheme}, and ids that are equal to the last: as there"
    )
    for scheme, limits in (
        ("float32", TOLERANCES["onnx", "float32"]),
        ("dynamic-int8", TOLERANCES["onnx", "dynamic-int8"]),
    )
}

TOLERANCES |= {
    ("wasm", scheme): replace(limits, reason=f"the weights and the code of c {scheme}: as there")
    for (target, scheme), limits in tuple(TOLERANCES.items())
    if target == "c"
}

TOLERANCES["tflm", "full-int8-features"] = TOLERANCES["tflm", "full-int8"]
