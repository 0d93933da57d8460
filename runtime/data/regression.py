"""The figures of a regression on rows whose right values are known.

Not those of a classifier: see `metrics`. Not the comparison of two programs: that is parity.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class RegressionMetrics:
    """The figures of N rows, over all values of a row; NaN where the model gives no numbers.

    Args:
        rows: N.
        mae: Mean absolute error.
        rmse: Root of the mean squared error.
        r2: Share of the values' variance that is explained, all values about one mean; NaN where
            they do not vary.
        max_error: The largest absolute error.
    """

    rows: int
    mae: float
    rmse: float
    r2: float
    max_error: float

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold: None for NaN."""
        return {
            name: value if math.isfinite(value) else None for name, value in asdict(self).items()
        }


def evaluate_regression(
    truth: Sequence[Sequence[float]], scores: Sequence[Sequence[float]]
) -> RegressionMetrics:
    """Compare a model's values with the right ones.

    Args:
        truth: Finite values [N][K].
        scores: The model's [N][K].

    Raises:
        ValueError: No rows, or the shapes differ.
    """
    pairs = [
        (float(right), float(given))
        for row, found in zip(truth, scores, strict=True)
        for right, given in zip(row, found, strict=True)
    ]
    if not pairs:
        raise ValueError("no rows to evaluate")
    errors = [abs(given - right) for right, given in pairs]
    squared = math.fsum(error * error for error in errors)
    mean = math.fsum(right for right, _ in pairs) / len(pairs)
    variance = math.fsum((right - mean) ** 2 for right, _ in pairs)
    return RegressionMetrics(
        rows=len(truth),
        mae=math.fsum(errors) / len(pairs),
        rmse=math.sqrt(squared / len(pairs)),
        r2=1 - squared / variance if variance > 0 else math.nan,
        max_error=math.nan if any(map(math.isnan, errors)) else max(errors),
    )
