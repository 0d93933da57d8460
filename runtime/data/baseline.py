"""Answers that need no model, beside whose figures a model's own stand.

Not the verdict on a model that is no better: that is a conversion's, and `gatelet parity`'s.
"""

from collections.abc import Sequence

from gatelet.runtime.data.metrics import Metrics, evaluate
from gatelet.runtime.data.regression import RegressionMetrics, evaluate_regression


def majority(labels_true: Sequence[int], label_names: Sequence[str]) -> tuple[str, Metrics]:
    """Measure the answer that is always the most frequent label.

    Args:
        labels_true: N numbers in 0..C-1.
        label_names: C names.

    Returns:
        What the answer is, and its figures; its scores are the labels' shares.
    """
    shares = [labels_true.count(label) / len(labels_true) for label in range(len(label_names))]
    most = label_names[shares.index(max(shares))]
    rows = [shares] * len(labels_true)
    return f"always '{most}'", evaluate(labels_true, rows, label_names=label_names)


def forecast(
    truth: Sequence[Sequence[float]], last: Sequence[Sequence[float]]
) -> tuple[str, RegressionMetrics]:
    """Measure the mean of the right values, and the last value of each feature.

    Args:
        truth: Finite values [N][K].
        last: What each row ends with, [N][F]; rows of nothing where they are no series.

    Returns:
        What the answer with the smallest mean absolute error is, and its figures.
    """
    width, rows = len(truth[0]), len(truth)
    means = [sum(row[at] for row in truth) / rows for at in range(width)]
    answers = {"their mean": evaluate_regression(truth, [means] * rows)}
    for at in range(len(last[0])):
        given = [[row[at]] * width for row in last]
        answers[f"the last value of feature {at + 1}"] = evaluate_regression(truth, given)
    best = min(answers, key=lambda name: answers[name].mae)
    return best, answers[best]
