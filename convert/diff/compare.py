"""Runs two bundles on the same rows and holds the new one to limits.

Not the data that comes out (`found`), and nothing in either bundle changes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.diff.findings import findings_of
from gatelet.convert.diff.found import ArtifactDiff, BundleDiff, Finding, Limits
from gatelet.convert.diff.training import changes
from gatelet.convert.parity.decisions import raw_threshold, rule_of_rows
from gatelet.convert.parity.quality.figures import alike, decided
from gatelet.convert.parity.quality.statistics import (
    Interval,
    grouped_accuracy_difference,
    mean_interval,
)
from gatelet.convert.rows.evidence import Evidence, all_rows, evidence_of, evidence_of_keys
from gatelet.convert.rows.rows import side_by_side
from gatelet.convert.rows.truth import truth_of
from gatelet.errors import BackendMissing, DataError, GateletError, InputError
from gatelet.runtime.bundle.opening import Artifact, Bundle
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.intervals import grouped_share
from gatelet.runtime.decision import decide
from gatelet.runtime.predictor.loading import open_artifact, open_graph
from gatelet.runtime.predictor.predictor import Predictor

Array = NDArray[Any]
Open = Callable[[Bundle], Predictor]


@dataclass(frozen=True)
class _Given:
    """The rows, as each bundle takes them: texts, or arrays by input.

    Args:
        source: What they are called.
        rows: For `Predictor.scores`.
        count: How many.
        truths: The right label or values by the old and by the new bundle's labels; or None.
        evidence: Which of the rows count where figures are estimates.
    """

    source: str
    rows: Any
    count: int
    truths: tuple[Array, Array] | None
    evidence: Evidence

    @property
    def are_texts(self) -> bool:
        """Whether the rows are texts."""
        return isinstance(self.rows[0], str)


def compare(
    old: Bundle,
    new: Bundle,
    data: Dataset | Arrays | None = None,
    *,
    limits: Limits | None = None,
    progress: Callable[[str], None] = lambda text: None,
) -> BundleDiff:
    """Compare two bundles.

    Args:
        old: What is in use.
        new: What is to replace it.
        data: The rows to compare on; None for the golden vectors of `old`.
        limits: How much worse `new` may be.
        progress: Called with what is being done.

    Returns:
        The model itself first, then each artifact of either.

    Raises:
        DataError: The rows are none that both take, or a label is unknown to one of them.
        BackendError: The graph of one of them cannot be run.
    """
    limits = limits or Limits()
    given = _given(old, new, data)
    open_ = partial(open_graph, target="reference")
    whole = _Side("reference", "float32", (None, None), open_, open_)
    compared = [
        _compared(old, new, one, given, limits, progress) for one in (whole, *_sides(old, new))
    ]
    metric = "" if given.truths is None else "accuracy" if old.labels and new.labels else "MAE"
    return BundleDiff(given.count, given.source, metric, tuple(compared), tuple(changes(old, new)))


@dataclass(frozen=True)
class _Side:
    """How to open the same artifact in both bundles; None where one has none."""

    target: str
    scheme: str
    bytes: tuple[int | None, int | None]
    old: Open | None
    new: Open | None
    verdicts: tuple[str, str] = ("", "")


def _sides(old: Bundle, new: Bundle) -> list[_Side]:
    before = {(a.target, a.scheme): a for a in old.artifacts}
    after = {(a.target, a.scheme): a for a in new.artifacts}
    made = []
    for key in dict.fromkeys((*before, *after)):
        first, second = before.get(key), after.get(key)
        made.append(
            _Side(
                *key,
                bytes=(first.bytes if first else None, second.bytes if second else None),
                old=_opener(first),
                new=_opener(second),
                verdicts=(first.verdict if first else "", second.verdict if second else ""),
            )
        )
    return made


def _opener(artifact: Artifact | None) -> Open | None:
    if artifact is None:
        return None
    return lambda bundle: open_artifact(bundle, artifact)


def _given(old: Bundle, new: Bundle, data: Dataset | Arrays | None) -> _Given:
    """Choose the rows and their truth.

    Raises:
        DataError: There are none that both bundles take.
    """
    if isinstance(data, Dataset):
        for bundle in (old, new):
            if bundle.part("vectorizer") is None:
                raise DataError(
                    f"bundle '{bundle.path}' has no vectorizer, so it cannot be compared on the "
                    f"texts of '{data.name}'"
                )
        known = evidence_of_keys(data.texts, data.groups)
        return _Given(data.name, list(data.texts), len(data), _truths(old, new, data), known)
    if data is not None:
        rows = data.inputs[0] if len(data.inputs) == 1 else list(data.inputs)
        by_place = {str(place): one for place, one in enumerate(data.inputs)}
        known = evidence_of(by_place, data.groups)
        return _Given(data.name, rows, len(data), _truths(old, new, data), known)
    golden = old.golden()
    if golden is None:
        raise DataError(f"bundle '{old.name}' has no golden vectors: give rows with --data")
    if golden.texts and new.part("vectorizer") is not None:
        texts = list(golden.texts)
        known = all_rows(len(texts))
        return _Given("golden texts of the old bundle", texts, len(texts), None, known)
    if old.vectorizer() != new.vectorizer():
        raise DataError(
            "the vectorizers differ and the old bundle keeps no golden texts, so that its golden "
            "ids mean something else to the new one: give rows with --data"
        )
    rows = [np.asarray(values) for values in golden.inputs.values()]
    inputs, count = rows[0] if len(rows) == 1 else rows, len(rows[0])
    return _Given("golden inputs of the old bundle", inputs, count, None, all_rows(count))


def _truths(old: Bundle, new: Bundle, data: Dataset | Arrays) -> tuple[Array, Array] | None:
    if bool(old.labels) != bool(new.labels):
        return None
    first, second = (
        truth_of(data, one.graph(), one.labels, decisions=one.decisions).values
        for one in (old, new)
    )
    return None if first is None or second is None else (first, second)


def _compared(
    old: Bundle,
    new: Bundle,
    side: _Side,
    given: _Given,
    limits: Limits,
    progress: Callable[[str], None],
) -> ArtifactDiff:
    known: dict[str, Any] = {"target": side.target, "scheme": side.scheme, "bytes": side.bytes}
    if side.new is None:
        gone = Finding("there", "fail", "the new bundle has no such artifact")
        return ArtifactDiff(**known, findings=(gone,))
    if side.old is None:
        return ArtifactDiff(**known, note="only in the new bundle")
    progress(f"comparing {side.target} {side.scheme} on {given.count:,} rows")
    try:
        predictors = (side.old(old), side.new(new))
        if predictors[0].takes_texts and not given.are_texts:
            note = f"{side.target} is compared on texts, and there are none: give some with --data"
            return _held(ArtifactDiff(**known, note=note), side, limits)
        first, second = (side_by_side(one.scores(given.rows)) for one in predictors)
    except BackendMissing as error:
        return _held(ArtifactDiff(**known, note=str(error)), side, limits)
    except InputError as error:
        raise DataError(f"'{given.source}' cannot be given to both bundles: {error}") from error
    except GateletError as error:
        broken = Finding("runs", "fail", f"it cannot be run: {error}")
        return ArtifactDiff(**known, findings=(broken,))
    return _held(_measured(known, (old, new), (first, second), given), side, limits)


def _held(one: ArtifactDiff, side: _Side, limits: Limits) -> ArtifactDiff:
    return findings_of(one, verdicts=side.verdicts, limits=limits)


def _measured(
    known: dict[str, Any], bundles: Sequence[Bundle], scores: Sequence[Array], given: _Given
) -> ArtifactDiff:
    figures: dict[str, Any] = {}
    first, second = (one.astype(np.float64) for one in scores)
    if first.shape == second.shape and bundles[0].labels == bundles[1].labels:
        distance = _distance(first, second)
        figures["difference_max"] = float(distance.max(initial=0))
        figures["difference_mean"] = float(distance.mean()) if distance.size else 0.0
    else:
        figures["note"] = "scores are of another shape or of other labels: only decisions compare"
    labels = [_decisions(bundle, one) for bundle, one in zip(bundles, scores, strict=True)]
    if labels[0] is not None and labels[1] is not None:
        kept = given.evidence.kept.tolist()
        flips = [int(labels[0][row] != labels[1][row]) for row in kept]
        groups = given.evidence.groups
        figures["flips"] = grouped_share(flips, None if groups is None else groups.tolist())
    if given.truths is not None:
        figures["quality"], figures["change"] = _quality(bundles, (first, second), given)
    return ArtifactDiff(**known, **figures)


def _distance(first: Array, second: Array) -> Array:
    """Return |first - second|; infinite where one only is not finite."""
    with np.errstate(invalid="ignore"):
        distance = np.abs(first - second)
    same = (first == second) | (np.isnan(first) & np.isnan(second))
    return np.where(same, 0.0, np.where(np.isnan(distance), np.inf, distance))


def _decisions(bundle: Bundle, scores: Array) -> list[str] | None:
    """Return each row's label by its name: the order of labels may differ between bundles."""
    rule = rule_of_rows(bundle)
    if rule is not None:
        return [
            ", ".join(rule.labels[i] for i in rule.chosen(rule.scores_of(row))) for row in scores
        ]
    if not bundle.labels or scores.ndim != 2 or bundle.decisions:
        return None
    return [bundle.labels[decide(row, bundle.threshold)] for row in scores.tolist()]


def _quality(
    bundles: Sequence[Bundle], scores: Sequence[Array], given: _Given
) -> tuple[tuple[float, float], Interval]:
    """Return old and new accuracy, or mean absolute error, and the paired difference."""
    assert given.truths is not None, "rows are labelled"
    evidence = given.evidence
    scores, truths = ([evidence.of(one) for one in both] for both in (scores, given.truths))
    if bundles[0].labels:
        right = [
            alike(decided(one, raw_threshold(bundle)), truth)
            for bundle, one, truth in zip(bundles, scores, truths, strict=True)
        ]
        change = grouped_accuracy_difference(right[1].astype(np.int64) - right[0], evidence.groups)
        return (float(right[0].mean()), float(right[1].mean())), change
    errors = [
        np.abs(one.reshape(len(truth), -1) - truth).mean(axis=1)
        for one, truth in zip(scores, truths, strict=True)
    ]
    change = mean_interval(errors[1] - errors[0], groups=evidence.groups)
    return (float(errors[0].mean()), float(errors[1].mean())), change
