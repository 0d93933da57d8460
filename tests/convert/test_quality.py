"""Quality on labelled rows: the figures are scikit-learn's, and verdicts follow the intervals."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn import metrics

from gatelet.convert.parity.checks.reach import (
    check_constant,
    check_finite,
    check_labels_reached,
)
from gatelet.convert.parity.limits import Bounds, Settings, bounds_of
from gatelet.convert.parity.quality import figures
from gatelet.convert.parity.quality.quality import (
    check_quality,
    quality_of,
    refit_threshold,
)
from gatelet.convert.parity.report import Check
from gatelet.convert.tolerances import TOLERANCES

Array = NDArray[Any]
INT8 = bounds_of(TOLERANCES[("onnx", "dynamic-int8")], Settings(), exact=1e-5)
FLOAT32 = bounds_of(TOLERANCES[("onnx", "float32")], Settings(), exact=1e-5)
NAMES = ("bad", "good")


def drawn(rows: int, *, classes: int = 1) -> tuple[Array, Array]:
    """Draw probabilities, and the truth by them."""
    rng = np.random.default_rng(9)
    if classes == 1:
        scores = rng.beta(0.6, 0.6, (rows, 1))
        return scores, (rng.random(rows) < scores[:, 0]).astype(np.int64)
    scores = rng.dirichlet([0.5] * classes, rows)
    return scores, np.array([rng.choice(classes, p=row) for row in scores])


def checks(
    oracle: Array,
    found: Array,
    truth: Array,
    *,
    bounds: Bounds = INT8,
    labels: tuple[str, ...] = NAMES,
) -> dict[str, Check]:
    made = check_quality((oracle, found), truth, labels=labels, threshold=0.5, bounds=bounds)
    return {check.name: check for check in made}


# ---- Figures -----------------------------------------------------------------------------


def test_figures_of_two_labels_are_those_of_scikit_learn() -> None:
    scores, truth = drawn(900)
    found = quality_of(scores, truth, labels=NAMES, threshold=0.5)
    said = scores[:, 0] >= 0.5
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, said))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(truth, said, average="macro"))
    assert found["roc_auc"] == pytest.approx(metrics.roc_auc_score(truth, scores[:, 0]))
    assert found["brier"] == pytest.approx(metrics.brier_score_loss(truth, scores[:, 0]))


def test_two_columns_are_measured_as_the_one_probability_that_they_stand_for() -> None:
    scores, truth = drawn(900)
    both = np.concatenate([1 - scores, scores], axis=1)
    one, two = (quality_of(s, truth, labels=NAMES, threshold=0.5) for s in (scores, both))
    assert one == pytest.approx(two)


def test_figures_of_four_labels_are_those_of_scikit_learn() -> None:
    scores, truth = drawn(900, classes=4)
    found = quality_of(scores, truth, labels=("a", "b", "c", "d"), threshold=0.5)
    said = scores.argmax(axis=1)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, said))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(truth, said, average="macro"))
    expected = np.mean([metrics.roc_auc_score(truth == c, scores[:, c]) for c in range(4)])
    assert found["roc_auc"] == pytest.approx(expected)
    expected = ((scores - np.eye(4)[truth]) ** 2).sum(axis=1).mean()
    assert found["brier"] == pytest.approx(expected)


def test_a_label_that_does_not_occur_is_left_out_of_macro_f1_as_in_scikit_learn() -> None:
    scores = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1]])
    truth = np.array([0, 1, 0])
    found = quality_of(scores, truth, labels=("a", "b", "c"), threshold=0.5)
    expected = metrics.f1_score(truth, scores.argmax(axis=1), average="macro")
    assert found["macro_f1"] == pytest.approx(expected)
    assert math.isnan(found["roc_auc"])


def test_calibration_error_is_the_mean_distance_of_the_bins() -> None:
    from sklearn.calibration import calibration_curve

    scores, truth = drawn(3000)
    found = quality_of(scores, truth, labels=NAMES, threshold=0.5)["ece"]
    bins = figures.CALIBRATION_BINS
    share, confidence = calibration_curve(truth, scores[:, 0], n_bins=bins)
    counts = np.histogram(scores[:, 0], bins=bins, range=(0, 1))[0]
    expected = (np.abs(share - confidence) * counts[counts > 0]).sum() / len(truth)
    assert found == pytest.approx(expected)


def test_figures_of_a_regression_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(5, 3, (400, 2))
    scores = truth + rng.normal(0, 0.5, truth.shape)
    found = quality_of(scores, truth, labels=(), threshold=0.5)
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(truth, scores))
    assert found["rmse"] == pytest.approx(math.sqrt(metrics.mean_squared_error(truth, scores)))
    flat = metrics.r2_score(truth.ravel(), scores.ravel())
    assert found["r2"] == pytest.approx(flat)
    assert found["max_error"] == pytest.approx(np.abs(truth - scores).max())


# ---- Verdicts ----------------------------------------------------------------------------


def test_the_same_scores_pass_where_there_are_rows_enough() -> None:
    scores, truth = drawn(2000)
    assert {c.verdict for c in checks(scores, scores, truth).values()} == {"pass"}


def test_few_rows_leave_accuracy_undecided_and_say_how_many_more_decide() -> None:
    scores, truth = drawn(100)
    found = checks(scores, scores, truth)["accuracy_drop"]
    assert (found.figure, found.verdict) == (0.0, "undecided")
    assert "about 281 more rows would decide" in found.note
    scores, truth = drawn(381)
    assert checks(scores, scores, truth)["accuracy_drop"].verdict == "pass"


def test_what_differs_by_rounding_only_needs_no_inference() -> None:
    scores, truth = drawn(20)
    found = checks(scores, scores + 1e-7, truth, bounds=FLOAT32)["accuracy_drop"]
    assert found.verdict == "pass" and "rounding only" in found.note
    spoilt = scores.copy()
    spoilt[np.abs(scores[:, 0] - 0.5).argmin()] = 1 - scores[np.abs(scores[:, 0] - 0.5).argmin()]
    assert checks(scores, spoilt, truth, bounds=FLOAT32)["accuracy_drop"].verdict == "undecided"


def test_a_clear_loss_fails_and_its_sentence_counts_the_rows() -> None:
    scores, truth = drawn(2000)
    spoilt = scores.copy()
    spoilt[:200] = 1 - truth[:200, None]
    found = checks(scores, spoilt, truth)
    assert found["accuracy_drop"].verdict == "fail"
    note = found["accuracy_drop"].note
    assert "became wrong" in note and "McNemar" in note
    assert {found[n].verdict for n in ("macro_f1_drop", "brier_rise", "roc_auc_drop")} == {"fail"}


def test_capped_scores_fail_though_every_label_stays() -> None:
    scores, truth = drawn(2000)
    found = checks(scores, np.minimum(scores, 0.57), truth)
    assert found["accuracy_drop"].verdict == found["macro_f1_drop"].verdict == "pass"
    assert found["brier_rise"].verdict == found["ece_rise"].verdict == "fail"


def test_scores_that_are_no_numbers_fail() -> None:
    scores, truth = drawn(300)
    spoilt = scores.copy()
    spoilt[3] = np.nan
    (found,) = checks(scores, spoilt, truth).values()
    assert (found.figure, found.verdict) == (None, "fail")


@pytest.mark.parametrize("unit", [1e-4, 1.0, 1e4])
def test_the_errors_of_a_regression_are_shown_and_decide_where_the_user_set_a_limit(
    unit: float,
) -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(500, 300, (1000, 1))
    oracle = truth + rng.normal(0, 50, truth.shape)
    errors = ("mae_rise", "rmse_rise", "r2_drop")
    asked = bounds_of(
        TOLERANCES["onnx", "dynamic-int8"], Settings(max_accuracy_drop=0.01), exact=1e-5
    )
    for off, verdict in ((0.5, "pass"), (100, "fail")):
        given = (unit * oracle, unit * (oracle + off), unit * truth)
        shown = checks(*given, labels=())
        assert {check.verdict for check in shown.values()} == {"shown"}
        assert shown["mae_rise"].interval is not None
        judged = checks(*given, labels=(), bounds=asked)
        assert {judged[name].verdict for name in errors} == {verdict}
        assert judged["max_error_rise"].verdict == "shown"


def test_a_regression_of_several_horizons_has_figures_of_each() -> None:
    rng = np.random.default_rng(2)
    truth = rng.normal(size=(200, 3)) * [1, 10, 100]
    scores = truth + rng.normal(size=truth.shape) * [0.1, 5, 10]
    found = quality_of(scores, truth, labels=(), threshold=0.5)
    for at in range(3):
        right = metrics.r2_score(truth[:, at], scores[:, at])
        assert found[f"r2_{at + 1}"] == pytest.approx(right)
        right = metrics.mean_absolute_error(truth[:, at], scores[:, at])
        assert found[f"mae_{at + 1}"] == pytest.approx(right)
    one = quality_of(scores[:, :1], truth[:, :1], labels=(), threshold=0.5)
    many = quality_of(np.ones((9, 25)), np.ones((9, 25)), labels=(), threshold=0.5)
    assert "mae_1" not in {*one, *many}


def test_the_refitted_threshold_has_the_most_hits() -> None:
    scores, truth = drawn(400)
    moved = scores * 0.6
    found = refit_threshold(moved, truth, threshold=0.5)
    assert found is not None

    def hits(cut: float) -> int:
        return int(((moved[:, 0] >= cut) == truth).sum())

    assert hits(found) == max(hits(cut) for cut in [0, *moved[:, 0], 1])
    assert refit_threshold(moved, np.zeros(400, np.int64), threshold=0.5) is None
    assert refit_threshold(moved * np.nan, truth, threshold=0.5) is None


def test_a_refitted_threshold_of_probabilities_is_one_that_they_can_meet() -> None:
    truth = np.array([1] * 90 + [0] * 10)
    scores = np.linspace(0.05, 0.3, 100)[::-1].reshape(-1, 1).copy()
    scores[90:] = scores[:10]  # no cut is better than a yes to all
    found = refit_threshold(scores, truth, threshold=0.5)
    assert found is not None and 0 <= found < scores.min()
    at_zero = np.array([[0.0], [0.0], [0.2], [0.1]])
    assert refit_threshold(at_zero, np.array([1, 1, 1, 0]), threshold=0.5) == 0
    ones = np.array([[1.0], [1.0], [0.9]])
    refused = refit_threshold(ones, np.array([0, 0, 1]), threshold=0.5)
    assert refused is None or 0 < refused <= 1


def test_a_threshold_that_gains_nothing_is_not_offered() -> None:
    scores, truth = np.array([[0.2], [0.8]]), np.array([0, 1])
    assert refit_threshold(scores, truth, threshold=0.5) is None
    assert refit_threshold(scores, truth, threshold=0.1) == pytest.approx(0.5)
    logits = np.array([[-3.0], [-2.0]])  # no probabilities: below zero is as good as any
    assert refit_threshold(logits, truth, threshold=0.5) == pytest.approx(-2.5)


# ---- Reach -------------------------------------------------------------------------------


def test_an_output_that_never_changes_is_counted_unless_the_graphs_does_not_either() -> None:
    scores, _ = drawn(300)
    assert check_constant(np.full_like(scores, 0.4), scores).figure == 1
    assert check_constant(np.full_like(scores, 0.4), np.full_like(scores, 0.4)).verdict == "pass"
    assert check_constant(scores[:1], scores[:1]).verdict == "not checked"


def test_rows_that_are_no_numbers_are_counted_unless_the_graphs_are_none() -> None:
    scores, _ = drawn(300)
    spoilt = scores.copy()
    spoilt[[4, 9]] = np.nan
    assert check_finite(spoilt, scores).figure == 2
    assert check_finite(spoilt, spoilt).verdict == "pass"


def test_a_label_that_is_never_chosen_is_named() -> None:
    scores, _ = drawn(300)
    found = check_labels_reached(scores * 0.4, scores, labels=NAMES, threshold=0.5)
    assert found.verdict == "fail" and found.note == "never chosen: good"
    rare = np.where(np.arange(300)[:, None] < 9, 0.9, 0.1)
    assert check_labels_reached(rare * 0.4, rare, labels=NAMES, threshold=0.5).verdict == "pass"


def test_one_row_is_told_without_infinities() -> None:
    one = np.array([[0.8]])
    checks = check_quality(
        (one, one + 0.01), np.array([1]), labels=("no", "yes"), threshold=0.5, bounds=INT8
    )
    (brier,) = (check for check in checks if check.name == "brier_rise")
    assert brier.verdict == "undecided" and "inf" not in brier.note
