"""The figures of a classifier on labelled rows, and the one rule that makes a score a label.

Not the comparison of two programs on the same rows: that is parity.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from gatelet.runtime.data.distinct import Distinct
from gatelet.runtime.data.intervals import grouped_share
from gatelet.runtime.decision import decide


@dataclass(frozen=True)
class LabelMetrics:
    """The figures of one label against all others.

    Args:
        precision: Share of the rows predicted so that are so; 0 if none is predicted so.
        recall: Share of the rows that are so that are predicted so; 0 if none is so.
        f1: Harmonic mean of both; 0 if both are 0.
        support: Rows that are so.
    """

    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True)
class Metrics:
    """The figures of N rows and C labels; all but the counts in 0..1 (brier: 0..2 for C > 2).

    Args:
        rows: N.
        accuracy: Share of the rows whose label is predicted.
        macro_f1: Mean of the labels' F1; as precision and recall, over the labels that occur in
            truth or prediction, as scikit-learn does by default.
        precision: Mean of the labels' precision.
        recall: Mean of the labels' recall.
        roc_auc: Area under the ROC curve; None if a label does not occur, NaN if a score is not
            finite.
        brier: Brier score; NaN if a score is not finite.
        confusion_matrix: Rows, [C][C]: first index the truth, second the prediction.
        per_label: C entries, in the order of `labels`.
        labels: C names.
        interval: Of the accuracy, with 95 % confidence, by groups; None where there are none.
    """

    rows: int
    accuracy: float
    macro_f1: float
    precision: float
    recall: float
    roc_auc: float | None
    brier: float
    confusion_matrix: tuple[tuple[int, ...], ...]
    per_label: tuple[LabelMetrics, ...]
    labels: tuple[str, ...]
    interval: tuple[float, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold: `per_label` by name, None for NaN."""
        return {
            "rows": self.rows,
            "accuracy": self.accuracy,
            **_told("accuracy_interval", self.interval),
            "macro_f1": self.macro_f1,
            "precision": self.precision,
            "recall": self.recall,
            "roc_auc": _finite(self.roc_auc),
            "brier": _finite(self.brier),
            "confusion_matrix": [list(row) for row in self.confusion_matrix],
            "per_label": {
                label: asdict(figures)
                for label, figures in zip(self.labels, self.per_label, strict=True)
            },
            "labels": list(self.labels),
        }

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> "Metrics":
        """Read what `to_dict` returned, without the interval.

        Raises:
            KeyError, TypeError, ValueError: It is something else.
        """
        labels, each = tuple(map(str, stored["labels"])), stored["per_label"]
        plain = ("rows", "accuracy", "macro_f1", "precision", "recall", "roc_auc", "brier")
        return cls(
            **{name: stored[name] for name in plain},
            confusion_matrix=tuple(map(tuple, stored["confusion_matrix"])),
            per_label=tuple(LabelMetrics(**each[label]) for label in labels),
            labels=labels,
        )


def evaluate(
    labels_true: Sequence[int],
    scores: Sequence[Sequence[float]],
    *,
    label_names: Sequence[str],
    threshold: float = 0.5,
    distinct: Distinct | None = None,
) -> Metrics:
    """Compare a model's scores with the truth.

    Two softmax columns are measured as the one sigmoid they stand for: by the second column.

    Args:
        labels_true: N numbers in 0..C-1.
        scores: Probabilities [N][1] of label 1, or [N][C].
        label_names: C names, two or more.
        threshold: See `decide`.
        distinct: Which rows count for the interval of the accuracy; None for no interval.

    Returns:
        The figures.

    Raises:
        ValueError: No rows, or the lengths do not fit each other.
    """
    columns = _check(labels_true, scores, len(label_names))
    rows = [[float(score) for score in row] for row in scores]
    matrix = [[0] * len(label_names) for _ in label_names]
    said = [decide(row, threshold) for row in rows]
    for truth, label in zip(labels_true, said, strict=True):
        matrix[truth][label] += 1
    hits = [float(a == b) for a, b in zip(labels_true, said, strict=True)]
    per_label = [_label_metrics(matrix, label) for label in range(len(matrix))]
    occurring = [
        figures
        for label, figures in enumerate(per_label)
        if figures.support or any(row[label] for row in matrix)
    ]
    if columns <= 2:
        positive = [row[-1] for row in rows]
        roc_auc = _roc_auc([label == 1 for label in labels_true], positive)
        brier = _brier_of_probability([label == 1 for label in labels_true], positive)
    else:
        roc_auc = _roc_auc_one_vs_rest(labels_true, rows)
        brier = _brier_of_distribution(labels_true, rows)
    return Metrics(
        rows=len(rows),
        accuracy=sum(matrix[label][label] for label in range(len(matrix))) / len(rows),
        macro_f1=_mean([figures.f1 for figures in occurring]),
        precision=_mean([figures.precision for figures in occurring]),
        recall=_mean([figures.recall for figures in occurring]),
        roc_auc=roc_auc,
        brier=brier,
        confusion_matrix=tuple(tuple(row) for row in matrix),
        per_label=tuple(per_label),
        labels=tuple(label_names),
        interval=_interval(hits, distinct),
    )


@dataclass(frozen=True)
class SetMetrics:
    """The figures of N rows that may have several of C labels; all but the counts in 0..1.

    Args:
        rows: N.
        accuracy: Share of the rows that are given exactly their labels.
        macro_f1: Mean of the labels' F1, over those in truth or prediction.
        precision: Mean of the labels' precision.
        recall: Mean of the labels' recall.
        roc_auc: Mean of the labels' areas under the ROC curve; None if one has no such area.
        brier: Mean over rows and labels of (p - y)^2; NaN if a score is not finite.
        per_label: C entries, in the order of `labels`.
        labels: C names.
        interval: As of `Metrics`.
    """

    rows: int
    accuracy: float
    macro_f1: float
    precision: float
    recall: float
    roc_auc: float | None
    brier: float
    per_label: tuple[LabelMetrics, ...]
    labels: tuple[str, ...]
    interval: tuple[float, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return what JSON can hold, as `Metrics.to_dict`."""
        figures = {**asdict(self), "roc_auc": _finite(self.roc_auc), "brier": _finite(self.brier)}
        figures |= _told("accuracy_interval", figures.pop("interval"))
        each = dict(zip(self.labels, figures["per_label"], strict=True))
        return {**figures, "per_label": each, "labels": list(self.labels)}


def evaluate_sets(
    truth: Sequence[Sequence[bool]],
    scores: Sequence[Sequence[float]],
    *,
    label_names: Sequence[str],
    thresholds: Sequence[float],
    distinct: Distinct | None = None,
) -> SetMetrics:
    """Compare a model's scores with the truth, where a row may have several labels.

    Args:
        truth: Whether each of N rows has each of C labels.
        scores: Probabilities [N][C].
        label_names: C names.
        thresholds: C numbers: a label is given where its score is at or above its own.
        distinct: As of `evaluate`.

    Raises:
        ValueError: No rows, or the lengths do not fit each other.
    """
    if not scores or {len(row) for row in (*truth, *scores)} != {len(label_names)}:
        raise ValueError(f"{len(truth)} rows of labels for {len(scores)} rows of scores")
    said = [[s >= t for s, t in zip(row, thresholds, strict=True)] for row in scores]
    per_label, areas = [], []
    for label in range(len(label_names)):
        matrix = [[0, 0], [0, 0]]
        for is_so, given in zip(truth, said, strict=True):
            matrix[is_so[label]][given[label]] += 1
        per_label.append(_label_metrics(matrix, 1))
        areas.append(_roc_auc([row[label] for row in truth], [row[label] for row in scores]))
    occurring = [
        one for label, one in enumerate(per_label) if one.support or any(row[label] for row in said)
    ] or per_label
    known = [area for area in areas if area is not None]
    pairs = (zip(one, row, strict=True) for one, row in zip(truth, scores, strict=True))
    hits = [float(list(a) == b) for a, b in zip(truth, said, strict=True)]
    return SetMetrics(
        rows=len(scores),
        accuracy=sum(hits) / len(scores),
        macro_f1=_mean([one.f1 for one in occurring]),
        precision=_mean([one.precision for one in occurring]),
        recall=_mean([one.recall for one in occurring]),
        roc_auc=_mean(known) if len(known) == len(areas) else None,
        brier=_mean([_square(p - y) for row in pairs for y, p in row]),
        per_label=tuple(per_label),
        labels=tuple(label_names),
        interval=_interval(hits, distinct),
    )


def _interval(hits: list[float], distinct: Distinct | None) -> tuple[float, float] | None:
    if distinct is None:
        return None
    found = grouped_share([hits[place] for place in distinct.places], distinct.groups)
    return found.low, found.high


def _told(name: str, interval: tuple[float, float] | None) -> dict[str, Any]:
    """Return what JSON carries of an interval; nothing where there is none."""
    return {} if interval is None else {name: list(interval)}


def _check(labels_true: Sequence[int], scores: Sequence[Sequence[float]], labels: int) -> int:
    if len(labels_true) != len(scores) or len(scores) == 0:
        raise ValueError(f"{len(labels_true)} labels for {len(scores)} rows of scores")
    if labels < 2:
        raise ValueError(f"{labels} label names: expected two or more")
    columns = len(scores[0])
    if columns != labels and (columns, labels) != (1, 2):
        raise ValueError(f"{columns} scores a row for {labels} labels")
    for row in scores:
        if len(row) != columns:
            raise ValueError(f"rows of {columns} and of {len(row)} scores")
    for label in labels_true:
        if not 0 <= label < labels:
            raise ValueError(f"label {label} is outside 0..{labels - 1}")
    return columns


def _label_metrics(matrix: list[list[int]], label: int) -> LabelMetrics:
    """Source: van Rijsbergen, Information Retrieval, 1979, chapter 7."""
    hits = matrix[label][label]
    support = sum(matrix[label])
    predicted = sum(row[label] for row in matrix)
    return LabelMetrics(
        precision=hits / predicted if predicted else 0.0,
        recall=hits / support if support else 0.0,
        f1=2 * hits / (support + predicted) if support + predicted else 0.0,
        support=support,
    )


def _roc_auc(positive: Sequence[bool], scores: Sequence[float]) -> float | None:
    """Return the probability that a positive row scores above a negative one, a tie counting half.

    (R - n1 (n1 + 1) / 2) / (n1 n0), where R sums the ranks of the n1 positive rows and equal
    scores share the middle of their ranks.

    Source: Hanley & McNeil 1982, through the statistic of Mann & Whitney 1947.
    """
    n1 = sum(positive)
    n0 = len(positive) - n1
    if not n1 or not n0:
        return None
    if not all(math.isfinite(score) for score in scores):
        return math.nan
    below = 0
    twice_rank_sum = 0  # an integer: middle ranks are halves
    for _, group in groupby(sorted(zip(scores, positive, strict=True)), key=lambda row: row[0]):
        tied = [is_positive for _, is_positive in group]
        twice_rank_sum += sum(tied) * (2 * below + len(tied) + 1)
        below += len(tied)
    return (twice_rank_sum - n1 * (n1 + 1)) / (2 * n1 * n0)


def _roc_auc_one_vs_rest(labels_true: Sequence[int], rows: list[list[float]]) -> float | None:
    """Average the areas of each label against the rest, all labels alike.

    Source: Fawcett 2006, An introduction to ROC analysis, section 9, without class weights.
    """
    areas = []
    for column in range(len(rows[0])):
        area = _roc_auc([label == column for label in labels_true], [row[column] for row in rows])
        if area is None:
            return None
        areas.append(area)
    return _mean(areas)


def _brier_of_probability(positive: Sequence[bool], scores: Sequence[float]) -> float:
    """Return the mean of (p - y)^2, in 0..1: half the sum over both labels.

    Source: Brier 1950, in the form for two classes of which one is scored.
    """
    return _mean([_square(p - y) for p, y in zip(scores, positive, strict=True)])


def _brier_of_distribution(labels_true: Sequence[int], rows: list[list[float]]) -> float:
    """Return the mean over the rows of the sum over the labels of (p - y)^2, in 0..2.

    Source: Brier 1950, equation 2.
    """
    return _mean(
        [
            _square(p - (column == label))
            for label, row in zip(labels_true, rows, strict=True)
            for column, p in enumerate(row)
        ]
    ) * len(rows[0])


def _square(x: float) -> float:
    return x * x if math.isfinite(x) else math.nan  # x**2 would raise where this is inf


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
