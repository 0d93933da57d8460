"""What an artifact costs on the judged rows: all checks of the second question.

Not the running of artifacts, and not whether a file computes what its scheme says.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from gatelet.convert.lowering.endings import ends_in
from gatelet.convert.parity.checks.costs import check_flips, check_scores
from gatelet.convert.parity.checks.reach import (
    check_constant,
    check_finite,
    check_labels_reached,
)
from gatelet.convert.parity.checks.spread import Spread
from gatelet.convert.parity.decisions import meant, parts_of
from gatelet.convert.parity.limits import Bounds
from gatelet.convert.parity.oracles.oracle import Oracle
from gatelet.convert.parity.quality.quality import check_quality, undecided_quality
from gatelet.convert.parity.report import Check, LeftOut, worst
from gatelet.convert.rows.evidence import Evidence, all_rows
from gatelet.convert.rows.rows import Rows
from gatelet.runtime.bundle.opening import Bundle

Array = NDArray[Any]


def costs_of(bundle: Bundle, oracle: Oracle, found: Array, bounds: Bounds) -> list[Check]:
    """Compare an artifact's scores with the Graph's, and with labels where there are any.

    Figures of quality decide where there are labels, else changed decisions; where nothing is
    decided, of regressions and the features of encoders, the differences themselves.

    Args:
        bundle: Its labels and threshold.
        oracle: The right scores, and the truth where it is known.
        found: The artifact's scores [N, ...].
        bounds: The limits.
    """
    expected = oracle.scores
    if found.shape != expected.shape:
        note = f"scores of the shape {list(found.shape)}, the Graph's have {list(expected.shape)}"
        return [Check("scores_max", None, bounds.exact, "fail", note=note)]
    flat, right = (scores.reshape(len(scores), -1) for scores in (found, expected))
    decides, evidence = decides_labels(bundle), oracle.evidence
    checks = [check_finite(flat, right), _judged(check_constant(flat, right), bounds)]
    checks += check_scores(
        found, expected, oracle.spread, bounds, decides=decides, evidence=evidence
    )
    if bundle.decisions:
        labelled = oracle.truth is not None
        rows = (oracle.inputs, found, expected)
        checks += check_parts(bundle, rows, bounds, labelled=labelled, evidence=evidence)
    elif decides:
        checks += _check_decisions(bundle, oracle, found, bounds)
    return [*checks, *_check_quality(bundle, oracle, found, bounds)]


def decides_labels(bundle: Bundle) -> bool:
    """Return whether a model's scores are decisions: labels, or a softmax at each timestep."""
    graph = bundle.graph()
    if bundle.decisions:
        return len(bundle.decisions) == len(graph.outputs)
    if len(graph.outputs) > 1:
        return False
    activation = ends_in(graph, graph.outputs[0])
    single = graph.shape_of(graph.outputs[0])[-1] == 1
    return bool(bundle.labels) or activation == "softmax" or (activation == "sigmoid" and single)


def _check_decisions(bundle: Bundle, oracle: Oracle, found: Array, bounds: Bounds) -> list[Check]:
    """Compare the labels that are decided for; each timestep is one where the model scores each."""
    evidence = oracle.evidence
    kept = [evidence.of(scores) for scores in (found, oracle.scores)]
    flips = check_flips(
        kept,
        oracle.spread,
        bounds,
        threshold=bundle.threshold,
        labelled=oracle.truth is not None,
        groups=evidence.groups_of(_decisions_a_row(kept[0])),
    )
    if not bundle.labels:
        return [flips]
    ours, right = (scores.reshape(-1, scores.shape[-1]) for scores in kept)
    reached = check_labels_reached(ours, right, labels=bundle.labels, threshold=bundle.threshold)
    return [_judged(reached, bounds), flips]


def _decisions_a_row(scores: Array) -> list[int]:
    """Return how many decisions each row of scores [N, ..., C] has."""
    return [math.prod(scores.shape[1:-1])] * len(scores)


def check_parts(
    bundle: Bundle,
    rows: tuple[Rows, Array, Array],
    bounds: Bounds,
    *,
    labelled: bool,
    evidence: Evidence | None = None,
) -> list[Check]:
    """Compare the labels that each output is decided for, by what the bundle says of it.

    Args:
        bundle: With decisions.
        rows: The inputs, an artifact's scores and the oracle's.
        bounds: The limits.
        labelled: As `check_flips`.
        evidence: Which rows count; None for all.
    """
    graph, evidence = bundle.interface(), evidence or all_rows(len(rows[0]))
    inputs = rows[0][evidence.kept]
    scores = [evidence.of(one) for one in rows[1:]]
    reached, flips = [], []
    for ours, right in zip(*(parts_of(bundle, graph, inputs, s) for s in scores), strict=True):
        rule, threshold = ours.decision, ours.threshold
        where = f"of '{rule.output}'" if len(graph.outputs) > 1 else ""
        one = check_labels_reached(
            ours.scores, right.scores, labels=rule.labels, threshold=threshold
        )
        reached.append(_noted(_judged(one, bounds), where))
        one = check_flips(
            (ours.scores, right.scores),
            Spread.of(right.scores),
            bounds,
            threshold=threshold,
            labelled=labelled,
            groups=evidence.groups_of(ours.counts),
        )
        flips.append(_noted(one, where))
    return [_worst(reached), _worst(flips)]


def _noted(check: Check, where: str) -> Check:
    return replace(check, note="; ".join(filter(None, (check.note, where))))


def _worst(checks: Sequence[Check]) -> Check:
    """Return the check of several outputs that stands for all."""
    verdict = worst(check.verdict for check in checks)
    return max(checks, key=lambda one: (one.verdict == verdict, one.figure or 0.0))


def _judged(check: Check, bounds: Bounds) -> Check:
    """Judge a count: of what is rounded it is a cost, which made-up rows only estimate."""
    return check if bounds.is_exact or check.figure is None else bounds.judged(check)


def _check_quality(
    bundle: Bundle, oracle: Oracle, found: Array, bounds: Bounds
) -> tuple[Check, ...]:
    if oracle.truth is None:
        asked = bounds.asked.max_accuracy_drop is not None
        return (undecided_quality(bundle.labels, bounds),) if asked else ()
    evidence = oracle.evidence
    (right, threshold), (ours, _) = (
        meant(bundle, evidence.of(scores)) for scores in (oracle.scores, found)
    )
    checks = check_quality(
        (right, ours),
        evidence.of(oracle.truth),
        labels=bundle.labels,
        threshold=threshold,
        bounds=bounds,
        groups=evidence.groups,
    )
    return tuple(replace(check, question="costs") for check in checks)


def too_costly(target: str, scheme: str, checks: Sequence[Check], rows: int) -> LeftOut | None:
    """Say why an artifact is not good enough, by its figures without their intervals.

    Args:
        target: Of the artifact.
        scheme: Likewise.
        checks: What it costs.
        rows: How many rows that was measured on.

    Returns:
        The figure that exceeds its limit most; None where all are within theirs.
    """
    worst = max(checks, key=excess, default=None)
    if worst is None or excess(worst) <= 1:
        return None
    figure = math.inf if worst.figure is None else worst.figure
    return LeftOut(target, scheme, worst.name, figure, worst.limit or 0.0, rows)


def excess(check: Check) -> float:
    """Return a check's figure as a share of its limit; what is shown only is 0."""
    if check.figure is None or check.limit is None or check.verdict == "not checked":
        return math.inf if check.verdict == "fail" else 0.0
    if check.limit > 0:
        return check.figure / check.limit
    return 0.0 if check.figure <= check.limit else math.inf
