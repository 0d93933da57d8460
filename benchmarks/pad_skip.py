"""What skipping padding inside an artifact gains: `python benchmarks/pad_skip.py RUN`.

Not a test: it measures, and judges nothing.
"""

import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from gatelet.convert.exporters.litert import export_litert
from gatelet.convert.exporters.onnx import export_onnx
from gatelet.convert.exporters.targets import TARGETS
from gatelet.convert.lowering import lower
from gatelet.convert.passes import skip_padding
from gatelet.convert.reading import read_keras_file
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.backends import Backend, open_backend
from gatelet.runtime.data.run import Run

REAL_TOKENS = (100, 50, 20, 5)
CALLS = 300
WARM_UP_CALLS = 20


def main(run: Run) -> None:
    """Measure each target and scheme with and without the pass, calls in turn."""
    graph = lower(read_keras_file(run.model_path))
    maxlen = run.vectorizer().maxlen
    skipping = skip_padding(graph, timesteps=maxlen)
    print("target scheme real_tokens without_us with_us ratio of_the_longest")
    with tempfile.TemporaryDirectory() as folder:
        for target, export in (("onnx", export_onnx), ("litert", export_litert)):
            for name in TARGETS[target]:
                scheme, backends = SCHEMES[name], []
                for kind, one in (("plain", graph), ("skip", skipping)):
                    path = Path(folder) / f"{target}-{name}-{kind}"
                    path.write_bytes(export(one, scheme).data)
                    backends.append(open_backend(target, path))
                _measure(f"{target} {name}", backends, maxlen)


def _measure(what: str, backends: list[Backend], maxlen: int) -> None:
    rng = np.random.default_rng(1)
    medians = {}
    for real in REAL_TOKENS:
        times: list[list[float]] = [[], []]
        for call in range(WARM_UP_CALLS + CALLS):
            ids = np.zeros((1, maxlen), np.int32)
            ids[:, maxlen - real :] = rng.integers(1, 1000, real)
            for backend, taken in zip(backends, times, strict=True):
                start = time.perf_counter_ns()
                backend.run({"ids": ids})
                if call >= WARM_UP_CALLS:
                    taken.append((time.perf_counter_ns() - start) / 1000)
        medians[real] = [statistics.median(taken) for taken in times]
        plain, skip = medians[real]
        longest = skip / medians[REAL_TOKENS[0]][1]
        print(f"{what} {real} {plain:.0f} {skip:.0f} {skip / plain:.2f} {longest:.2f}")


if __name__ == "__main__":
    main(Run.open(sys.argv[1]))
