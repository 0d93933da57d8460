"""The figures of a regression on rows whose right values are known.

Not those of a classifier: see `metrics`. Not the comparison of two programs: that is parity.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

MOST_HORIZONS = 24
"""Of a regression with more values a row, the figures of each are not told."""


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
        mae_by_horizon: MAE of each value of a row, where it has several, and few.
        r2_by_horizon: R2 likewise.
    """

    rows: int
    mae: float
    rmse: float
    r2: float
    max_error: float
    mae_by_horizon: tuple[float, ...] = ()
    r2_by_horizon: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold: None for NaN, and `mae_1`, `r2_1` of the first horizon."""
        figures = asdict(self)
        by_horizon = {one: figures.pop(f"{one}_by_horizon") for one in ("mae", "r2")}
        for name, values in by_horizon.items():
            figures |= {f"{name}_{at}": value for at, value in enumerate(values, 1)}
        return {name: _finite(value) for name, value in figures.items()}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


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
    whole = _measure(pairs, rows=len(truth))
    width = len(truth[0])
    if not 1 < width <= MOST_HORIZONS:
        return whole
    each = [_measure(pairs[at::width], rows=len(truth)) for at in range(width)]
    return replace(
        whole,
        mae_by_horizon=tuple(one.mae for one in each),
        r2_by_horizon=tuple(one.r2 for one in each),
    )


def _measure(pairs: Sequence[tuple[float, float]], *, rows: int) -> RegressionMetrics:
    errors = [abs(given - right) for right, given in pairs]
    squared = math.fsum(error * error for error in errors)
    mean = math.fsum(right for right, _ in pairs) / len(pairs)
    variance = math.fsum((right - mean) ** 2 for right, _ in pairs)
    return RegressionMetrics(
        rows=rows,
        mae=math.fsum(errors) / len(pairs),
        rmse=math.sqrt(squared / len(pairs)),
        r2=1 - squared / variance if variance > 0 else math.nan,
        max_error=math.nan if any(map(math.isnan, errors)) else max(errors),
    )
