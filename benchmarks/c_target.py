"""The c target beside onnxruntime, through the Predictor: latency, batches, start, memory.

Run: python benchmarks/c_target.py BUNDLE, one with float32 and dynamic-int8 artifacts of
c and onnx. Calls are interleaved in random order, each with new random ids, on one thread; medians
of processor time. "padded" is onnxruntime given all timesteps, as a user's own export would be;
"v3" is c held to x86-64-v3 (AVX2), while onnxruntime may use all that the processor has.

Not a comparison with every engine in an environment of its own.
"""

import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from gatelet.convert.exporters.onnx import export_onnx
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime import load, open_bundle
from gatelet.runtime.backends import open_backend

TOKENS = (100, 50, 20, 5)
ROUNDS = 400
BATCH_ROWS = 64
BATCH_ROUNDS = 20
STARTS = 7
PAIRS = [(target, scheme) for scheme in ("float32", "dynamic-int8") for target in ("c", "onnx")]
START = """
import sys, time
bundle, target = sys.argv[1:]
if target != "bare":
    from gatelet.runtime import load
    load(bundle, target=target, scheme="float32").scores([[0] * 80 + [5] * 20])
# ru_maxrss would begin with the memory of the process that started this one
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(time.process_time() * 1e3, int(status["VmHWM"].split()[0]) / 1024)
"""

Run = Callable[[Any], Any]


def padded(bundle: str, scheme: str) -> Run:
    """Return onnxruntime with the Graph as it is, no padding skipped."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    data = export_onnx(open_bundle(bundle).graph(), SCHEMES[scheme]).data
    session = onnxruntime.InferenceSession(data, options)
    return lambda ids: session.run(None, {"ids": ids})[0]


def at_level(bundle: str, scheme: str, level: str) -> Run:
    """Return the Predictor with the code of one level of x86-64."""
    os.environ["GATELET_LEVEL"] = level
    try:
        return load(bundle, target="c", scheme=scheme).scores
    finally:
        del os.environ["GATELET_LEVEL"]


def backend_of(bundle: str, scheme: str) -> Run:
    """Return the c backend without the Predictor, which checks ids and sorts rows by length."""
    opened = open_bundle(bundle)
    artifact = next(a for a in opened.artifacts if (a.target, a.scheme) == ("c", scheme))
    companions = {role: opened.path / path for role, path in artifact.companions.items()}
    backend = open_backend("c", opened.path / artifact.path, companions=companions)
    return lambda ids: backend.run({"ids": ids})


def draw(rng: np.random.Generator, rows: int, tokens: int, vocabulary: int) -> Any:
    """Draw rows of ids padded in front to 100."""
    ids = np.zeros((rows, 100), np.int32)
    ids[:, 100 - tokens :] = rng.integers(1, vocabulary, (rows, tokens))
    return ids


def medians(runs: dict[str, Run], rows: int, tokens: int, vocabulary: int, rounds: int) -> Any:
    """Return the median microseconds of each, interleaved."""
    rng, order = np.random.default_rng(tokens), random.Random(tokens)
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        names = list(runs)
        order.shuffle(names)
        for name in names:
            ids = draw(rng, rows, tokens, vocabulary)
            start = time.thread_time_ns()
            runs[name](ids)
            taken[name].append((time.thread_time_ns() - start) / 1e3)
    return {name: statistics.median(times[rounds // 10 :]) for name, times in taken.items()}


def start_of(bundle: str, target: str) -> tuple[float, float]:
    """Return a process' processor ms up to its first prediction, and its peak memory in MB."""
    found = []
    for _ in range(STARTS):
        command = [sys.executable, "-c", START, bundle, target]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        found.append(tuple(map(float, done.stdout.split())))
    return statistics.median(ms for ms, _ in found), statistics.median(mb for _, mb in found)


def main(bundle: str) -> None:
    """Measure and print."""
    graph = open_bundle(bundle).graph()
    vocabulary = graph.inputs[0].vocabulary or 2
    runs: dict[str, Run] = {
        f"{target} {scheme}": load(bundle, target=target, scheme=scheme).scores
        for target, scheme in PAIRS
    }
    runs |= {f"c {scheme} v3": at_level(bundle, scheme, "v3") for _, scheme in PAIRS[::2]}
    runs |= {f"onnx padded {scheme}": padded(bundle, scheme) for _, scheme in PAIRS[::2]}
    for scheme in ("float32", "dynamic-int8"):
        runs[f"c {scheme}, backend alone"] = backend_of(bundle, scheme)
    columns = {str(n): medians(runs, 1, n, vocabulary, ROUNDS) for n in TOKENS}
    batched = {name: run for name, run in runs.items() if name != "onnx padded dynamic-int8"}
    columns["64 rows"] = medians(batched, BATCH_ROWS, 100, vocabulary, BATCH_ROUNDS)
    print(f"{'us, real tokens':28}" + "".join(f"{name:>10}" for name in columns))
    for name in runs:
        figures = [found.get(name) for found in columns.values()]
        print(f"{name:28}" + "".join("          " if f is None else f"{f:10.1f}" for f in figures))
    starts = {target: start_of(bundle, target) for target in ("bare", "c", "onnx")}
    for target, (ms, megabytes) in starts.items():
        print(f"start of {target}: {ms:.0f} ms of processor time, {megabytes:.1f} MB at the peak")
    print(json.dumps({"latency_us": columns, "start_ms_and_mb": starts}))


if __name__ == "__main__":
    main(sys.argv[1])
