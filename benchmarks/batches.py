"""What batches by length gain: `python benchmarks/batches.py BUNDLE FILE`.

1,000 texts of FILE through each engine: fed 64 rows padded to maxlen, in the file's order, against
the Predictor, given all texts at once and 64 at a time. In turn, vectorizer included on both sides.
Not a test: it measures, and judges nothing.
"""

import random
import statistics
import sys
import time
from typing import Any

import numpy as np

from gatelet.runtime import Predictor, load
from gatelet.runtime.data.dataset import read

TEXTS = 1000
ROWS = 64
ROUNDS = 7


def main(bundle: str, file: str) -> None:
    """Measure litert and onnx, float32."""
    texts = list(read(file, require_labels=False).texts)
    random.Random(0).shuffle(texts)
    texts = texts[:TEXTS]
    predictors = {name: load(bundle, target=name, scheme="float32") for name in ("litert", "onnx")}
    vectorizer = predictors["onnx"].bundle.vectorizer()
    assert vectorizer is not None
    lengths = sorted(len(vectorizer.ids(text)) for text in texts)
    tenths = [lengths[len(lengths) * q // 10] for q in (1, 5, 9)]
    print(f"{len(texts):,} texts of {tenths[0]}, {tenths[1]}, {tenths[2]} ids (p10, p50, p90)")
    print("target  padded_ms  all_at_once  by_64   (ratios; medians of the rounds)")
    for name, predictor in predictors.items():
        measure(name, predictor, texts)


def measure(name: str, predictor: Predictor, texts: list[str]) -> None:
    """Print one line."""
    vectorizer: Any = predictor.bundle.vectorizer()
    parts = [texts[at : at + ROWS] for at in range(0, len(texts), ROWS)]

    def padded() -> Any:
        run = predictor._backend.run
        rows = (np.array([vectorizer.pad(text) for text in part], np.int32) for part in parts)
        return np.concatenate([*(next(iter(run({"ids": part}).values())) for part in rows)])

    runs = {
        "padded": padded,
        "all": lambda: predictor.scores(texts),
        "by 64": lambda: np.concatenate([predictor.scores(part) for part in parts]),
    }
    results = {key: run() for key, run in runs.items()}  # also the warm-up
    assert all(np.abs(one - results["padded"]).max() < 1e-5 for one in results.values())
    taken: dict[str, list[float]] = {key: [] for key in runs}
    for _ in range(ROUNDS):
        for key, run in runs.items():
            start = time.process_time()
            run()
            taken[key].append(time.process_time() - start)
    median = {key: statistics.median(times) for key, times in taken.items()}
    ratios = [median[key] / median["padded"] for key in ("all", "by 64")]
    print(f"{name:7} {1000 * median['padded']:9.1f} {ratios[0]:12.2f} {ratios[1]:6.2f}")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(f"usage: python {sys.argv[0]} BUNDLE FILE")
    main(sys.argv[1], sys.argv[2])
