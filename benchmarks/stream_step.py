"""What a step of a stream costs: `python benchmarks/stream_step.py BUNDLE [TIMESTEPS]`.

Against the whole sequence so far, which is what a caller without a stream has to feed at each step.
Not a test: it measures, and judges nothing.
"""

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from gatelet.runtime import Predictor, load, open_bundle
from gatelet.runtime.graph.graph import GraphInput

CALLS = 300
WARM_UP_CALLS = 20
SEED = 1


def main(bundle: Path, timesteps: int) -> None:
    """Measure each artifact that streams, and the Graph itself; calls in turn."""
    opened = open_bundle(bundle)
    named = [(one.target, one.scheme) for one in opened.artifacts if one.states]
    print(f"target scheme step_us whole_{timesteps}_us")
    for target, scheme in (*named, ("reference", "float32"), ("pure", "float32")):
        predictor = load(bundle, target=target, scheme=scheme)
        step_us, whole_us = _measure(predictor, opened.graph().inputs[0], timesteps)
        print(f"{target} {scheme} {step_us:.0f} {whole_us:.0f}")


def _measure(predictor: Predictor, taken: GraphInput, timesteps: int) -> tuple[float, float]:
    rng, stream = np.random.default_rng(SEED), predictor.stream()
    steps: list[float] = []
    wholes: list[float] = []
    for call in range(WARM_UP_CALLS + (CALLS if predictor.target != "pure" else CALLS // 10)):
        if taken.dtype == "int32":
            given = rng.integers(1, taken.vocabulary or 2, (1, timesteps)).astype(np.int32)
        else:
            sizes = [size or 1 for size in taken.shape[2:]]
            given = rng.normal(size=(1, timesteps, *sizes)).astype(np.float32)
        step, whole = _timed(stream.step, given[:, -1:]), _timed(predictor.scores, given)
        if call >= WARM_UP_CALLS:
            steps.append(step)
            wholes.append(whole)
    return statistics.median(steps), statistics.median(wholes)


def _timed(function: Callable[[Any], Any], given: Any) -> float:
    start = time.perf_counter_ns()
    function(given)
    return (time.perf_counter_ns() - start) / 1000


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 128)
