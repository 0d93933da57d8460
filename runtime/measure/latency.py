"""How long one prediction takes, by artifact, measured in turns.

Not a benchmark of other engines, which is in `benchmarks/`.
"""

import statistics
import time
from typing import Any

from gatelet.errors import BackendError
from gatelet.runtime.bundle.opening import Bundle, Golden
from gatelet.runtime.predictor.loading import open_artifact
from gatelet.runtime.predictor.predictor import Predictor

CALLS = 200
WARM_UP_CALLS = 10


def median_latencies_us(bundle: Bundle, *, calls: int = CALLS) -> dict[tuple[str, str], float]:
    """Return the median microseconds of each artifact; as `latencies_us`."""
    taken = latencies_us(bundle, calls=calls)
    return {key: statistics.median(times) for key, times in taken.items()}


def latencies_us(bundle: Bundle, *, calls: int = CALLS) -> dict[tuple[str, str], list[float]]:
    """Measure one row at a time, golden inputs in turn, artifacts in turn.

    Args:
        bundle: With golden vectors.
        calls: Measured calls of each artifact.

    Returns:
        Microseconds of each `Predictor.scores`, in the order of the calls, by (target, scheme),
        for those that an installed engine can run.
    """
    predictors = _predictors(bundle)
    taken: dict[tuple[str, str], list[float]] = {key: [] for key in predictors}
    for call in range(WARM_UP_CALLS + calls):
        for key, (predictor, rows) in predictors.items():
            row = rows[call % len(rows)]
            start = time.perf_counter_ns()
            predictor.scores(row)
            if call >= WARM_UP_CALLS:
                taken[key].append((time.perf_counter_ns() - start) / 1000)
    return {key: times for key, times in taken.items() if times}


def _predictors(bundle: Bundle) -> dict[tuple[str, str], tuple[Predictor, list[Any]]]:
    """Open each artifact that gives scores here, with the golden rows one by one."""
    golden = bundle.golden()
    opened = {}
    for artifact in bundle.artifacts:
        try:
            predictor = open_artifact(bundle, artifact)
            rows = _single_rows(golden, predictor) if golden is not None else []
            if not rows:
                continue
            predictor.scores(rows[0])
        except BackendError:
            continue
        opened[(artifact.target, artifact.scheme)] = (predictor, rows)
    return opened


def _single_rows(golden: Golden, predictor: Predictor) -> list[Any]:
    """Return the golden rows as `Predictor.scores` takes them: texts, arrays, or all by name."""
    if predictor.takes_texts:
        return [[text] for text in golden.texts or ()]
    rows = [
        {name: [one] for name, one in zip(golden.inputs, row, strict=True)}
        for row in zip(*golden.inputs.values(), strict=True)
    ]
    return [next(iter(row.values())) for row in rows] if len(golden.inputs) == 1 else rows
