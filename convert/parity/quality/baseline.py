"""Has the model learnt anything? Its figures beside those of an answer that needs no model.

Not what a scheme costs: the model itself is in question here, as it was trained.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.quality.figures import decided
from gatelet.convert.parity.quality.quality import quality_of
from gatelet.convert.rows.rows import Rows

MIN_ROWS = 30
"""With fewer rows a model that has learnt may be no better by chance."""

RANKS = 0.6
"""From this area under the ROC curve on, scores rank rows: only the decisions may be wrong."""
LUCK = 3
"""Standard deviations by which another order of labels must be better before it is advised."""

Array = NDArray[Any]


@dataclass(frozen=True)
class Standing:
    """How good a model is, and how good it would be without having learnt.

    Args:
        quality: The model's figures, by name.
        baseline: The same of the best answer that needs no model.
        name: What that answer is: "always '1'".
        warnings: A sentence where the model is no better.
    """

    quality: Mapping[str, float] = field(default_factory=dict)
    baseline: Mapping[str, float] = field(default_factory=dict)
    name: str = ""
    warnings: tuple[str, ...] = ()


def standing_of(
    scores: Array,
    truth: Array,
    inputs: Rows,
    *,
    labels: Sequence[str],
    threshold: float | Array,
    units: int = 0,
) -> Standing:
    """Compare a model with an answer that needs none.

    Args:
        scores: The model's, [N, C].
        truth: Label positions [N], or a regression's values [N, K].
        inputs: The rows, whose last value is a forecast too.
        labels: Of the model; () for a regression.
        threshold: Of a single score; of several labels one each, which have no such answer.
        units: How many rows, or groups of them, are independent; 0 for all.
    """
    units = units or len(truth)
    quality = quality_of(scores, truth, labels=labels, threshold=threshold)
    if not quality or isinstance(threshold, np.ndarray):
        return Standing(quality)
    if labels:
        baseline, name = _majority(truth, scores.shape[-1], labels)
        warnings = _doubt_decisions(
            quality, baseline, name, (scores, truth, labels, threshold, units)
        )
    else:
        baseline, name = _forecast(truth, inputs)
        warnings = _doubt_values(quality, baseline, name)
    return Standing(quality, baseline, name, warnings if units >= MIN_ROWS else ())


def _majority(truth: Array, columns: int, labels: Sequence[str]) -> tuple[dict[str, float], str]:
    """Answer with the most frequent label, and with the labels' shares as scores."""
    shares = np.bincount(truth, minlength=len(labels)) / len(truth)
    most = int(shares.argmax())
    given = shares[-1:] if columns == 1 else shares
    constant = np.tile(given, (len(truth), 1))
    # just below the only score, so that it decides as the majority does
    threshold = float(given[0]) if most == 1 else math.inf
    found = quality_of(constant, truth, labels=labels, threshold=threshold)
    found.pop("ece", None)  # shares are always calibrated, and tell nothing
    return found, f"always '{labels[most]}'"


def _forecast(truth: Array, inputs: Rows) -> tuple[dict[str, float], str]:
    """Answer with the mean of the right values, or with the last value of a feature."""
    answers = {"their mean": np.broadcast_to(truth.mean(axis=0), truth.shape)}
    for array in inputs.feed.values():
        if array.dtype.kind == "f" and array.ndim == 3:
            for at in range(array.shape[-1]):
                last = np.broadcast_to(array[:, -1, at : at + 1], truth.shape)
                answers[f"the last value of feature {at + 1}"] = last
    found = {
        name: quality_of(np.asarray(one, np.float64), truth, labels=(), threshold=0.5)
        for name, one in answers.items()
    }
    best = min(found, key=lambda name: found[name].get("mae", math.inf))
    return found[best], best


def _doubt_decisions(
    quality: Mapping[str, float],
    baseline: Mapping[str, float],
    name: str,
    rows: tuple[Array, Array, Sequence[str], float, int],
) -> tuple[str, ...]:
    scores, truth, labels, threshold, units = rows
    accuracy, area = quality["accuracy"], quality["roc_auc"]
    said = decided(scores, threshold)
    one_label = len(np.unique(said)) == 1 and len(np.unique(truth)) > 1
    if accuracy > baseline["accuracy"] or (area >= RANKS and not one_label):
        return ()
    told = (
        f"the model is right on {accuracy:.1%} of these rows, {name} on {baseline['accuracy']:.1%}"
    )
    order, right = _best_order(said, truth, labels)
    best = max(accuracy, baseline["accuracy"])
    # of guesses one order or another is right a little more often
    if right - best > LUCK * math.sqrt(best * (1 - best) / units):
        return (
            f"{told}: with its labels in another order it is right on {right:.1%}: convert with "
            f"--labels {','.join(order)}",
        )
    if one_label:
        told += f"; it says '{labels[int(said[0])]}' of every row"
    return (
        f"{told}: it has learnt nothing that they show: train it longer (gatelet train --epochs), "
        "or convert with what it was trained with (--vectorizer, --labels)",
    )


def _best_order(said: Array, truth: Array, labels: Sequence[str]) -> tuple[list[str], float]:
    """Name each output by the label that its rows have most, each label once.

    Returns:
        The labels in the order of the outputs, and the share of rows that are right so.
    """
    counts = np.zeros((len(labels), len(labels)), int)
    np.add.at(counts, (said, truth), 1)
    order = list(labels)
    free, hits = counts.astype(float), 0
    for _ in labels:
        output, label = divmod(int(free.argmax()), len(labels))
        order[output] = labels[label]
        hits += int(counts[output, label])
        free[output], free[:, label] = -1, -1
    return order, hits / len(truth)


def _doubt_values(
    quality: Mapping[str, float], baseline: Mapping[str, float], name: str
) -> tuple[str, ...]:
    if quality["mae"] < baseline["mae"]:
        return ()
    return (
        f"the model's mean absolute error is {quality['mae']:.4g} on these rows, that of {name} "
        f"{baseline['mae']:.4g}: it has learnt nothing that they show; give rows in the units that "
        "it was trained in with --data, or train it longer",
    )
