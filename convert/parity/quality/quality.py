"""Is what is shipped as good as what was trained? Figures on labelled rows, and verdicts.

Each check says how much worse a figure became, with its interval: it passes if the whole interval
lies within the limit, fails if none of it does, and is undecided between (non-inferiority).
Not the figures (`figures`) nor the intervals (`statistics`).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.limits import Bounds
from gatelet.convert.parity.quality import figures
from gatelet.convert.parity.quality.resampling import bootstrap_sums, percentile_interval
from gatelet.convert.parity.quality.statistics import (
    Interval,
    auc_difference,
    auc_difference_one_vs_rest,
    grouped_accuracy_difference,
    mcnemar_exact,
    mean_interval,
    rows_to_decide,
    worth,
)
from gatelet.convert.parity.report import Check
from gatelet.runtime.data.regression import MOST_HORIZONS

SEED = 20240229
_HIGHER_IS_BETTER = ("accuracy", "macro_f1", "roc_auc", "r2")

Array = NDArray[Any]


@dataclass(frozen=True)
class Paired:
    """The Graph's and an artifact's scores of the same rows, all finite.

    Args:
        oracle: [N, C].
        found: [N, C].
        truth: Label positions [N], whether a row has each label, bool [N, C], or values [N, C].
        threshold: Of a single score, or of each of several labels.
        classes: How many labels; 0 for a regression.
        groups: The group of each row, [N]; None where each stands for itself.
    """

    oracle: Array
    found: Array
    truth: Array
    threshold: float | Array
    classes: int
    groups: Array | None = None


def check_quality(
    scores: Sequence[Array],
    truth: Array,
    *,
    labels: Sequence[str],
    threshold: float | Array,
    bounds: Bounds,
    groups: Array | None = None,
) -> tuple[Check, ...]:
    """Compare the quality of an artifact with that of the Graph.

    Args:
        scores: The Graph's [N, C], or a regression's values [N, ...]; and the artifact's, of the
            same shape.
        truth: Label positions [N], whether a row has each label, bool [N, C], or values [N, K] of
            a regression.
        labels: Of the model; () for a regression.
        threshold: Of a single score, or of each of several labels.
        bounds: The limits.
        groups: The group of each row; None where each stands for itself.
    """
    oracle, found = map(_flat, scores)
    sound = np.isfinite(oracle).all(axis=-1)
    if found.shape != oracle.shape or not np.isfinite(found[sound]).all():
        note = "some scores are not numbers, so quality cannot be measured"
        name = _name("accuracy" if labels else "mae")
        return (Check(name, None, bounds.quality_drop, "fail", unit="share of rows", note=note),)
    if groups is not None:  # numbered without those of which no row is left
        groups = np.unique(groups[sound], return_inverse=True)[1]
    rows = Paired(oracle[sound], found[sound], truth[sound], threshold, len(labels), groups)
    if not len(rows.truth):
        return ()
    if not labels:
        return _check_regression(rows, bounds)
    return (_check_accuracy(rows, bounds), *_check_scores(rows, bounds))


def undecided_quality(labels: Sequence[str], bounds: Bounds) -> Check:
    """Return the check of a limit that was asked for, where no row has a label."""
    name, unit = (_name("accuracy"), "share of rows") if labels else (_name("mae"), "score")
    what = "labels" if labels else "right values"
    note = f"there are no {what}, so no drop can be measured: give labelled rows with --data"
    return Check(name, None, bounds.quality_drop, "undecided", unit=unit, note=note)


def quality_of(
    scores: Array, truth: Array, *, labels: Sequence[str], threshold: float | Array
) -> dict[str, float]:
    """Return a model's own figures on labelled rows, by name; NaN where one cannot be had."""
    scores = _flat(scores)
    sound = np.isfinite(scores).all(axis=-1)
    rows = Paired(scores[sound], scores[sound], truth[sound], threshold, len(labels))
    if not len(rows.truth):
        return {}
    if not labels:
        return _errors(rows)
    found = {
        "accuracy": float(figures.alike(figures.decided(rows.found, threshold), rows.truth).mean()),
        "macro_f1": _figure(figures.f1_features(len(labels), threshold), rows),
        "roc_auc": _area(rows),
    }
    if figures.are_probabilities(rows.found):
        found["brier"] = float(figures.brier_of_rows(rows.found, rows.truth).mean())
        found["ece"] = _figure(figures.calibration_features(threshold, len(labels)), rows)
    return found


def _errors(rows: Paired) -> dict[str, float]:
    """Return the errors of all values of a row, and those of each horizon where there are a few."""
    error = np.abs(rows.found - rows.truth)
    features = figures.regression_features(figures.r2)
    sums = _sums(features, rows.found, rows.truth)
    found = {
        "mae": float(error.mean()),
        "rmse": float(figures.rmse(sums)),
        "r2": float(figures.r2(sums)),
        "max_error": float(error.max()),
    }
    horizons = rows.truth.shape[1]
    if not 1 < horizons <= MOST_HORIZONS:
        return found
    for at in range(horizons):
        own = _sums(features, rows.found[:, at : at + 1], rows.truth[:, at : at + 1])
        found[f"mae_{at + 1}"] = float(error[:, at].mean())
        found[f"r2_{at + 1}"] = float(figures.r2(own))
    return found


def refit_threshold(scores: Array, truth: Array, *, threshold: float) -> float | None:
    """Find the threshold of most hits over one score a row; among equals the one nearest 0.5.

    Args:
        scores: [N, 1].
        truth: Label positions [N].
        threshold: The present one.

    Returns:
        Within 0..1 for probabilities. None where it has no more hits than the present one, the
        scores are no numbers, or the rows are of one label.
    """
    if scores.shape[-1] != 1 or not np.isfinite(scores).all() or len(np.unique(truth)) < 2:
        return None
    order = np.argsort(scores[:, 0], kind="stable")
    ranked, positive = scores[order, 0].astype(np.float64), truth[order] == 1
    # the k lowest scores are decided as label 0
    hits = np.concatenate([[0], np.cumsum(~positive)]) + positive.sum()
    hits[1:] -= np.cumsum(positive)
    between = np.concatenate([[True], ranked[1:] > ranked[:-1], [True]])
    low, high = (0, 1) if figures.are_probabilities(scores) else (ranked[0] - 1, ranked[-1] + 1)
    edges = np.concatenate([[low], ranked, [high]])
    cuts = (edges[:-1] + edges[1:]) / 2
    between[-1] = cuts[-1] > ranked[-1]  # no threshold within 0..1 says no to a score of 1
    if hits[between].max() <= int((figures.decided(scores, threshold) == truth).sum()):
        return None
    best = between & (hits == hits[between].max())
    return float(min(cuts[best], key=lambda cut: abs(cut - 0.5)))


def _check_accuracy(rows: Paired, bounds: Bounds) -> Check:
    right, still = (
        figures.alike(figures.decided(scores, rows.threshold), rows.truth)
        for scores in (rows.oracle, rows.found)
    )
    lost, gained = int((right & ~still).sum()), int((still & ~right).sum())
    said = (
        f"{still.mean():.4f}, the Graph's {right.mean():.4f}: of {len(right):,} rows {lost:,} "
        f"became wrong and {gained:,} right"
    )
    if rows.groups is None:  # the test is of independent rows
        said += f"; McNemar's p {mcnemar_exact(lost, gained):.3g}"
    if _equal_up_to_rounding(rows, bounds):
        return Check(
            _name("accuracy"),
            0.0,
            bounds.quality_drop,
            "pass",
            unit="share of rows",
            interval=(0.0, 0.0),
            note=f"{said}; the scores differ by rounding only",
        )
    change = still.astype(np.int64) - right
    found = grouped_accuracy_difference(change, rows.groups)
    check = _verdict("accuracy", found, bounds.quality_drop, said=said)
    if check.verdict != "undecided":
        return check
    share = worth(change, rows.groups) / len(right)
    counts = (share * one for one in (lost, gained, len(right)))
    more = rows_to_decide(*counts, drop=bounds.quality_drop)
    likely = None if more is None else math.ceil(more / share)
    needed = "no number of rows like these" if likely is None else f"about {likely:,} more rows"
    return replace(check, note=f"{check.note}; {needed} would decide")


def _check_scores(rows: Paired, bounds: Bounds) -> tuple[Check, ...]:
    drop = bounds.quality_drop
    checks = [_verdict("macro_f1", _resampled_f1(rows), drop)]
    area = _area_difference(rows)
    if area is not None:
        checks.append(_verdict("roc_auc", area, drop))
    if figures.are_probabilities(rows.oracle):
        worse = figures.brier_of_rows(rows.found, rows.truth) - figures.brier_of_rows(
            rows.oracle, rows.truth
        )
        checks.append(_verdict("brier", mean_interval(worse, groups=rows.groups), drop))
        features = figures.calibration_features(rows.threshold, rows.classes)
        checks.append(_verdict("ece", _resampled(features, rows), drop))
    return tuple(checks)


def _check_regression(rows: Paired, bounds: Bounds) -> tuple[Check, ...]:
    """Show the errors, in the units of the values; differences relative to the spread decide.

    Where the user set a limit, they decide too: they may grow by that share of the values' own
    standard deviation.
    """
    limit = bounds.quality_drop * (float(rows.truth.std()) or 1.0)
    errors = [np.abs(scores - rows.truth) for scores in (rows.oracle, rows.found)]
    worse = (errors[1] - errors[0]).mean(axis=1)
    rmse, r2 = (
        _resampled(figures.regression_features(figure), rows)
        for figure in (figures.rmse, figures.r2)
    )
    checks: tuple[Check, ...] = (
        _verdict("mae", mean_interval(worse, groups=rows.groups), limit, unit="score"),
        _verdict("rmse", rmse, limit, unit="score"),
        _verdict("r2", r2, bounds.quality_drop),
    )
    largest = float(errors[1].max() - errors[0].max())
    shown = Check("max_error_rise", largest, None, "shown")
    if bounds.asked.max_accuracy_drop is None:
        checks = tuple(replace(one, limit=None, verdict="shown") for one in checks)
    return (*checks, shown)


def _verdict(
    figure: str, difference: Interval, limit: float, *, unit: str = "share", said: str = ""
) -> Check:
    """Turn a difference, artifact less Graph, into a check of how much worse it is."""
    sign = -1 if figure in _HIGHER_IS_BETTER else 1
    worse = sign * difference.estimate + 0.0
    low, high = sorted((sign * difference.low + 0.0, sign * difference.high + 0.0))
    verdict = "pass" if high <= limit else "fail" if low > limit else "undecided"
    if math.isnan(worse):
        return Check(_name(figure), None, limit, "not checked", unit)
    sentence = (
        f"worse by at most {high:.3g}, with 95 % confidence"
        if verdict == "pass"
        else (f"worse by {low:.3g} to {high:.3g}, with 95 % confidence")
    )
    if not math.isfinite(high - low):
        sentence = "there are too few rows for an interval"
    note = "; ".join(filter(None, (said, sentence)))
    return Check(_name(figure), worse, limit, verdict, unit, (low, high), note)


def _flat(scores: Array) -> Array:
    """Return one list of numbers a row: a sequence's one after the other."""
    return scores.reshape(len(scores), -1)


def _name(figure: str) -> str:
    return f"{figure}_{'drop' if figure in _HIGHER_IS_BETTER else 'rise'}"


def _equal_up_to_rounding(rows: Paired, bounds: Bounds) -> bool:
    """Return whether only rounding sets the two apart: then there is nothing to be inferred."""
    if not bounds.is_exact:
        return False
    distance = np.abs(rows.found - rows.oracle) / np.maximum(1, np.abs(rows.oracle))
    flips = figures.decided(rows.found, rows.threshold) != figures.decided(
        rows.oracle, rows.threshold
    )
    return bool(distance.max() <= bounds.exact and not flips.any())


def _resampled_f1(rows: Paired) -> Interval:
    """Resample rows by what they count as: all that are decided alike are drawn at once."""
    features = figures.f1_features(rows.classes, rows.threshold)
    if rows.groups is not None:
        return _resampled(features, rows)
    both = [figures.decided(one, rows.threshold) for one in (rows.oracle, rows.found)]
    kinds = np.column_stack([rows.truth, *both])
    _, first, alike = np.unique(kinds, axis=0, return_index=True, return_counts=True)
    one_of_each = replace(
        rows, oracle=rows.oracle[first], found=rows.found[first], truth=rows.truth[first]
    )
    return _resampled(features, one_of_each, alike=alike)


def _resampled(
    features: figures.Features, rows: Paired, *, alike: NDArray[np.int64] | None = None
) -> Interval:
    """Resample rows, or groups, the same ones for both, and give the difference with its interval.

    Args:
        features: Of the figure.
        rows: The rows.
        alike: How many rows each stands for; None for itself.
    """

    def both(part: slice) -> Array:
        truth = rows.truth[part]
        return np.concatenate(
            [features.of_rows(scores[part], truth) for scores in (rows.oracle, rows.found)], axis=1
        )

    sums = bootstrap_sums(both, len(rows.truth), seed=SEED, alike=alike, groups=rows.groups)
    half = (sums.shape[1] - 1) // 2
    oracle, found = (
        features.figure(np.concatenate([sums[:, :1], sums[:, start : start + half]], axis=1))
        for start in (1, 1 + half)
    )
    drawn = len(rows.truth) if rows.groups is None else int(rows.groups.max()) + 1
    return percentile_interval(found - oracle, resampled=drawn if alike is None else 2)


def _figure(features: figures.Features, rows: Paired) -> float:
    return float(features.figure(_sums(features, rows.found, rows.truth)))


def _sums(features: figures.Features, scores: Array, truth: Array) -> Array:
    return np.concatenate([[len(truth)], features.of_rows(scores, truth).sum(axis=0)])


def _area_difference(rows: Paired) -> Interval | None:
    if rows.truth.ndim > 1:  # of several labels a row there is no one order of rows
        return None
    first, second = (np.asarray(one, np.float64) for one in (rows.oracle, rows.found))
    if first.shape[-1] <= 2:
        positive = rows.truth == 1
        return auc_difference(positive, first[:, -1], second[:, -1], groups=rows.groups)
    return auc_difference_one_vs_rest(rows.truth, first, second, groups=rows.groups)


def _area(rows: Paired) -> float:
    """Return the area under the ROC curve: scores that tell nothing have an area of a half."""
    blind = Paired(np.zeros_like(rows.found), rows.found, rows.truth, rows.threshold, rows.classes)
    found = _area_difference(blind)
    return math.nan if found is None else 0.5 + found.estimate
