"""The figures of a regression on rows whose right values are known.

Not those of a classifier: see `metrics`. Not the comparison of two programs: that is parity.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from gatelet.runtime.data.distinct import Distinct
from gatelet.runtime.data.intervals import grouped_mean

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
        interval: Of the MAE, with 95 % confidence, by groups; None where there are none.
    """

    rows: int
    mae: float
    rmse: float
    r2: float
    max_error: float
    mae_by_horizon: tuple[float, ...] = ()
    r2_by_horizon: tuple[float, ...] = ()
    interval: tuple[float, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold: None for NaN, and `mae_1`, `r2_1` of the first horizon."""
        figures = asdict(self)
        interval = figures.pop("interval")
        by_horizon = {one: figures.pop(f"{one}_by_horizon") for one in ("mae", "r2")}
        for name, values in by_horizon.items():
            figures |= {f"{name}_{at}": value for at, value in enumerate(values, 1)}
        told: dict[str, Any] = {name: _finite(value) for name, value in figures.items()}
        return told if interval is None else {**told, "mae_interval": [*map(_finite, interval)]}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def evaluate_regression(
    truth: Sequence[Sequence[float]],
    scores: Sequence[Sequence[float]],
    *,
    distinct: Distinct | None = None,
) -> RegressionMetrics:
    """Compare a model's values with the right ones.

    Args:
        truth: Finite values [N][K].
        scores: The model's [N][K].
        distinct: Which rows count for the interval of the MAE; None for no interval.

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
    width = len(truth[0])
    whole = replace(_measure(pairs, rows=len(truth)), interval=_interval(pairs, width, distinct))
    if not 1 < width <= MOST_HORIZONS:
        return whole
    each = [_measure(pairs[at::width], rows=len(truth)) for at in range(width)]
    return replace(
        whole,
        mae_by_horizon=tuple(one.mae for one in each),
        r2_by_horizon=tuple(one.r2 for one in each),
    )


def _interval(
    pairs: Sequence[tuple[float, float]], width: int, distinct: Distinct | None
) -> tuple[float, float] | None:
    if distinct is None:
        return None
    errors = [abs(given - right) for right, given in pairs]
    rows = [math.fsum(errors[at * width : (at + 1) * width]) / width for at in distinct.places]
    found = grouped_mean(rows, distinct.groups)
    return found.low, found.high


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
