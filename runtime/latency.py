"""How long one prediction takes, by artifact, measured in turns.

Not a benchmark of other engines, which is in `benchmarks/`.
"""

import statistics
import time
from typing import Any

from gatelet.errors import BackendError
from gatelet.runtime.bundle import Bundle
from gatelet.runtime.predictor import Predictor, open_artifact

__all__ = ["median_latencies_us"]

CALLS = 200
WARM_UP_CALLS = 10


def median_latencies_us(bundle: Bundle, *, calls: int = CALLS) -> dict[tuple[str, str], float]:
    """Measure one row at a time, golden inputs in turn, artifacts in turn.

    Args:
        bundle: With golden vectors.
        calls: Measured calls of each artifact.

    Returns:
        Median microseconds of `Predictor.scores` by (target, scheme), for those that an
        installed engine can run.
    """
    golden = bundle.golden()
    rows = next(iter(golden.inputs.values()), []) if golden is not None else []
    predictors = _predictors(bundle, rows[:1]) if rows else {}
    taken: dict[tuple[str, str], list[float]] = {key: [] for key in predictors}
    for call in range(WARM_UP_CALLS + calls):
        for key, predictor in predictors.items():
            row = [rows[call % len(rows)]]
            start = time.perf_counter_ns()
            predictor.scores(row)
            if call >= WARM_UP_CALLS:
                taken[key].append((time.perf_counter_ns() - start) / 1000)
    return {key: statistics.median(times) for key, times in taken.items() if times}


def _predictors(bundle: Bundle, row: list[Any]) -> dict[tuple[str, str], Predictor]:
    """Open each artifact that gives scores for a row here."""
    opened = {}
    for artifact in bundle.artifacts:
        try:
            predictor = open_artifact(bundle, artifact)
            predictor.scores(row)
        except BackendError:
            continue
        opened[(artifact.target, artifact.scheme)] = predictor
    return opened
