"""Figures of quality over weighted rows: each is computed from sums, so that rows can be resampled.

Not intervals (`statistics`) and not verdicts (`quality`).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

CALIBRATION_BINS = 15
_SUM_SLACK = 1e-3

Array = NDArray[Any]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Features:
    """What is summed over rows, and the figure that the sums give.

    Args:
        of_rows: [N, K] for scores and truth of N rows.
        figure: One number for each [..., 1 + K] of sums; the first column counts rows.
    """

    of_rows: Callable[[Array, Array], Floats]
    figure: Callable[[Floats], Floats]


def decided(scores: Array, threshold: float | Array) -> NDArray[Any]:
    """Choose each row's label, as `gatelet.runtime.decision.decide` does; or all that it has.

    Args:
        scores: [N, C].
        threshold: Of a single score; of C labels one each, where a row may have several.

    Returns:
        Label positions, int64 [N]; of several whether it has each, bool [N, C].
    """
    if isinstance(threshold, np.ndarray):
        return np.asarray(scores >= threshold)
    if scores.shape[-1] == 1:
        return np.asarray(scores[:, 0] >= threshold, np.int64)
    best = np.where(np.isnan(scores), -np.inf, scores).argmax(axis=-1)
    return np.asarray(best, np.int64)


def alike(first: Array, second: Array) -> NDArray[np.bool_]:
    """Return for each row whether its label is the same, or all that it has are, bool [N]."""
    same = first == second
    return np.asarray(same if same.ndim == 1 else same.all(axis=-1))


def are_probabilities(scores: Array) -> bool:
    """Return whether scores [N, C] are probabilities: within 0..1, and of sum 1 where C > 1."""
    known = scores[np.isfinite(scores).all(axis=-1)]
    if not len(known) or known.min() < 0 or known.max() > 1:
        return False
    return scores.shape[-1] == 1 or bool(np.abs(known.sum(axis=-1) - 1).max() <= _SUM_SLACK)


def brier_of_rows(scores: Array, truth: Array) -> Floats:
    """Return each row's part of the Brier score: (p - y)^2, or its sum over more than two labels.

    Source: Brier 1950; two columns are measured as the one probability that they stand for.
    """
    if scores.shape[-1] <= 2:
        return np.asarray((scores[:, -1] - (truth == 1)) ** 2, np.float64)
    hits = truth[:, None] == np.arange(scores.shape[-1])
    return np.asarray(((scores - hits) ** 2).sum(axis=-1), np.float64)


def f1_features(classes: int, threshold: float | Array) -> Features:
    """Count hits, predictions and occurrences of each label."""

    def of_rows(scores: Array, truth: Array) -> Floats:
        names = np.arange(classes)
        said, so = (
            one if one.ndim > 1 else one[:, None] == names
            for one in (decided(scores, threshold), truth)
        )
        return np.concatenate([said & so, said, so], axis=1).astype(np.float64)

    return Features(of_rows, lambda sums: macro_f1(sums[..., 1:], classes))


def macro_f1(sums: Floats, classes: int) -> Floats:
    """Return the mean F1 over the labels in truth or prediction, as scikit-learn does."""
    hits, said, so = (
        sums[..., part * classes : (part + 1) * classes].astype(np.float64) for part in range(3)
    )
    occurs = said + so > 0
    f1 = np.divide(2 * hits, said + so, out=np.zeros_like(hits), where=occurs)
    return np.asarray(f1.sum(axis=-1) / np.maximum(1, occurs.sum(axis=-1)))


def calibration_features(threshold: float | Array, classes: int) -> Features:
    """Sum the gap between confidence and outcome in each bin of confidence.

    Of one probability, or two, the confidence is that of label 1 and the outcome whether it is so;
    of more, they are those of the predicted label.

    Source: Naeini et al. 2015 for two labels, Guo et al. 2017 for more; equal bins.
    """

    def of_rows(scores: Array, truth: Array) -> Floats:
        if scores.shape[-1] <= 2:
            confidence, outcome = scores[:, -1].astype(np.float64), truth == 1
        else:
            confidence = scores.max(axis=-1).astype(np.float64)
            outcome = decided(scores, threshold) == truth
        bins = np.clip((confidence * CALIBRATION_BINS).astype(int), 0, CALIBRATION_BINS - 1)
        found = np.zeros((len(scores), CALIBRATION_BINS))
        found[np.arange(len(scores)), bins] = outcome - confidence
        return found

    return Features(of_rows, expected_calibration_error)


def expected_calibration_error(sums: Floats) -> Floats:
    """Return the mean over rows of their bin's distance between confidence and outcome."""
    return np.asarray(np.abs(sums[..., 1:]).sum(axis=-1) / np.maximum(1, sums[..., 0]))


def regression_features(figure: Callable[[Floats], Floats]) -> Features:
    """Sum squared errors, values and squared values, over all outputs of a row."""

    def of_rows(scores: Array, truth: Array) -> Floats:
        error = scores.astype(np.float64) - truth
        width = np.full(len(truth), truth.shape[1])
        columns = [(error**2).sum(axis=1), truth.sum(axis=1), (truth**2).sum(axis=1), width]
        return np.stack(columns, axis=1).astype(np.float64)

    return Features(of_rows, figure)


def rmse(sums: Floats) -> Floats:
    """Return the root of the mean squared error."""
    return np.asarray(np.sqrt(sums[..., 1] / sums[..., 4]))


def r2(sums: Floats) -> Floats:
    """Return the share of the values' variance that is explained; NaN where they do not vary."""
    _, squared, values, squares, count = (sums[..., index] for index in range(5))
    around_mean = squares - values**2 / count
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(around_mean > 0, 1 - squared / around_mean, np.nan))
