"""The figures, against values worked out by hand and slow definitions."""

import json
import math
import random
from collections.abc import Sequence

import pytest

from gatelet.runtime.data.metrics import LabelMetrics, evaluate
from gatelet.runtime.decision import decide

HALVES = 1e-12  # sums of a few hundred float64 in another order


def test_one_score_is_label_1_from_the_threshold_on() -> None:
    assert decide([0.5], 0.5) == 1
    assert decide([math.nextafter(0.5, 0)], 0.5) == 0
    assert decide([0.6], 0.7) == 0
    assert decide([math.nan], 0.5) == 0


def test_of_several_scores_the_first_greatest_wins() -> None:
    assert decide([0.1, 0.6, 0.3], 0.9) == 1
    assert decide([0.4, 0.2, 0.4], 0.5) == 0
    assert decide([0.2, 0.4, 0.4], 0.5) == 1
    assert decide([math.nan, 0.1, 0.2], 0.5) == 2
    assert decide([math.nan, math.nan], 0.5) == 0


def test_binary_figures_are_those_worked_out_by_hand() -> None:
    metrics = evaluate(
        [0, 0, 1, 1, 1], [[0.1], [0.6], [0.35], [0.8], [0.6]], label_names=("n", "y")
    )
    assert metrics.rows == 5
    assert metrics.confusion_matrix == ((1, 1), (1, 2))
    assert metrics.accuracy == 3 / 5
    assert metrics.per_label == (
        LabelMetrics(precision=1 / 2, recall=1 / 2, f1=1 / 2, support=2),
        LabelMetrics(precision=2 / 3, recall=2 / 3, f1=2 / 3, support=3),
    )
    assert metrics.macro_f1 == pytest.approx(7 / 12, abs=HALVES)
    assert metrics.precision == pytest.approx(7 / 12, abs=HALVES)
    assert metrics.recall == pytest.approx(7 / 12, abs=HALVES)
    # pairs: 0.1 loses to all three; 0.6 beats 0.35, loses to 0.8, ties with 0.6
    assert metrics.roc_auc == pytest.approx(4.5 / 6, abs=HALVES)
    expected = (0.01 + 0.36 + 0.4225 + 0.04 + 0.16) / 5
    assert metrics.brier == pytest.approx(expected, abs=HALVES)


def test_figures_of_three_labels_are_those_worked_out_by_hand() -> None:
    scores = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.5, 0.3, 0.2], [0.2, 0.2, 0.6]]
    metrics = evaluate([0, 1, 1, 2], scores, label_names=("a", "b", "c"))
    assert metrics.confusion_matrix == ((1, 0, 0), (1, 1, 0), (0, 0, 1))
    assert metrics.accuracy == 3 / 4
    assert [label.f1 for label in metrics.per_label] == [2 / 3, 2 / 3, 1.0]
    assert [label.precision for label in metrics.per_label] == [1 / 2, 1, 1]
    assert [label.recall for label in metrics.per_label] == [1, 1 / 2, 1]
    assert metrics.precision == pytest.approx((1 / 2 + 1 + 1) / 3, abs=HALVES)
    assert metrics.recall == pytest.approx((1 + 1 / 2 + 1) / 3, abs=HALVES)
    assert metrics.roc_auc == 1.0
    expected = (0.14 + 0.06 + 0.78 + 0.24) / 4
    assert metrics.brier == pytest.approx(expected, abs=HALVES)


def slow_auc(positive: Sequence[bool], scores: Sequence[float]) -> float:
    pairs = [
        (s > t) + (s == t) / 2
        for s, is_positive in zip(scores, positive, strict=True)
        if is_positive
        for t, other in zip(scores, positive, strict=True)
        if not other
    ]
    return sum(pairs) / len(pairs)


@pytest.mark.parametrize("levels", [1, 3, 20, 10**9])
def test_the_area_is_that_of_all_pairs(levels: int) -> None:
    draw = random.Random(levels)
    truth = [draw.randrange(2) for _ in range(300)]
    scores = [[draw.randrange(levels) / levels] for _ in truth]
    metrics = evaluate(truth, scores, label_names=("0", "1"))
    expected = slow_auc([label == 1 for label in truth], [row[0] for row in scores])
    assert metrics.roc_auc == pytest.approx(expected, abs=HALVES)


def test_the_area_of_several_labels_is_the_mean_of_one_against_the_rest() -> None:
    draw = random.Random(4)
    truth = [draw.randrange(4) for _ in range(200)]
    scores = [[draw.randrange(9) / 9 for _ in range(4)] for _ in truth]
    areas = [
        slow_auc([label == c for label in truth], [row[c] for row in scores]) for c in range(4)
    ]
    metrics = evaluate(truth, scores, label_names=tuple("abcd"))
    assert metrics.roc_auc == pytest.approx(sum(areas) / 4, abs=HALVES)


def test_two_columns_give_the_figures_of_their_sigmoid() -> None:
    draw = random.Random(2)
    truth = [draw.randrange(2) for _ in range(100)]
    p = [draw.random() for _ in truth]
    one = evaluate(truth, [[x] for x in p], label_names=("0", "1"))
    two = evaluate(truth, [[1 - x, x] for x in p], label_names=("0", "1"))
    assert one == two


def test_the_threshold_moves_the_decision_only() -> None:
    low = evaluate([0, 1], [[0.4], [0.6]], label_names=("0", "1"), threshold=0.3)
    assert low.confusion_matrix == ((0, 1), (0, 1))
    assert low.roc_auc == 1.0


def test_an_absent_label_has_no_area_and_does_not_lower_the_means() -> None:
    metrics = evaluate([1, 1], [[0.9], [0.8]], label_names=("0", "1"))
    assert metrics.roc_auc is None
    assert (metrics.accuracy, metrics.macro_f1, metrics.precision, metrics.recall) == (1, 1, 1, 1)
    assert metrics.per_label[0] == LabelMetrics(precision=0, recall=0, f1=0, support=0)
    metrics = evaluate([1, 1], [[0.9], [0.1]], label_names=("0", "1"))
    assert metrics.macro_f1 == pytest.approx((0 + 2 / 3) / 2, abs=HALVES)
    scores = [[0.2, 0.7, 0.1], [0.7, 0.2, 0.1]]
    assert evaluate([1, 0], scores, label_names=("a", "b", "c")).roc_auc is None


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_does_not_crash(broken: float) -> None:
    for truth in ([0, 1, 0], [1, 1, 0]):
        binary = evaluate(truth, [[broken], [0.9], [0.2]], label_names=("0", "1"))
        assert math.isnan(binary.brier)
        assert binary.roc_auc is not None
        assert math.isnan(binary.roc_auc)
        assert binary.to_dict()["roc_auc"] is None
        assert binary.to_dict()["brier"] is None
    row = [broken, 0.1, 0.2]
    several = evaluate([0, 1, 2], [row, row, row], label_names=("a", "b", "c"))
    assert several.to_dict()["brier"] is None
    json.dumps(several.to_dict(), allow_nan=False)


def test_to_dict_is_json_with_the_agreed_keys() -> None:
    metrics = evaluate([0, 1], [[0.25], [0.75]], label_names=("no", "yes"))
    assert json.loads(json.dumps(metrics.to_dict(), allow_nan=False)) == {
        "rows": 2,
        "accuracy": 1.0,
        "macro_f1": 1.0,
        "precision": 1.0,
        "recall": 1.0,
        "roc_auc": 1.0,
        "brier": 0.0625,
        "confusion_matrix": [[1, 0], [0, 1]],
        "per_label": {
            "no": {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1},
            "yes": {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1},
        },
        "labels": ["no", "yes"],
    }


@pytest.mark.parametrize(
    ("truth", "scores", "names", "message"),
    [
        ([], [], "ab", "0 labels for 0 rows"),
        ([0], [[0.5], [0.5]], "ab", "1 labels for 2 rows"),
        ([0], [[0.5]], "abc", "1 scores a row for 3 labels"),
        ([0], [[0.5, 0.2, 0.3]], "ab", "3 scores a row for 2 labels"),
        ([0], [[0.5]], "a", "1 label names"),
        ([0, 1], [[0.5], [0.5, 0.5]], "ab", "rows of 1 and of 2 scores"),
        ([2], [[0.5]], "ab", "label 2 is outside 0..1"),
        ([-1], [[0.5]], "ab", "label -1 is outside 0..1"),
    ],
)
def test_refuses_what_does_not_fit(
    truth: list[int], scores: list[list[float]], names: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        evaluate(truth, scores, label_names=tuple(names))
