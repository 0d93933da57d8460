"""How fast a bundle is here: latency, throughput, cold start and memory, artifact by artifact.

Not a comparison with other runtimes, which is in `benchmarks/`, and no cache: every call has new
random inputs.
"""

import json
import math
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gatelet.errors import BackendError, BundleError, GateletError
from gatelet.runtime.backends import GRAPH_TARGETS, installed_targets
from gatelet.runtime.bundle.opening import Bundle, open_bundle
from gatelet.runtime.graph.graph import GraphInput
from gatelet.runtime.predictor.loading import load
from gatelet.runtime.predictor.predictor import Predictor
from gatelet.runtime.vectorizer.tokenizer import Vectorizer

SEED = 0
WARM_UP_CALLS = 5
COLD_STARTS = 3
COLD_START_TIMEOUT_S = 300.0
LENGTHS = (5, 20, 50)
BATCHES = (1, 8, 64)
_WORDS_AT_MOST = 5000

_COLD_START = """
import json, sys, time
from gatelet.runtime import load
path, target, scheme, inputs = json.load(sys.stdin)
load(path, target=target, scheme=scheme).scores(inputs)
try:
    # not getrusage: Linux counts what the process was before it became this program
    lines = open("/proc/self/status").read().splitlines()
    peak_kb = next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
except (OSError, StopIteration):
    try:
        import resource
        peak_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak_kb = peak_kb / 1024 if sys.platform == "darwin" else peak_kb
    except ImportError:
        peak_kb = 0
print(json.dumps(peak_kb / 1024))
"""


@dataclass(frozen=True)
class Measured:
    """The times of one artifact for one length and batch.

    Args:
        length: Words of a text, or timesteps.
        batch: Rows of a call.
        calls: How many were measured.
        median_us: Of a call.
        p90_us: Nine of ten calls were faster.
        p99_us: 99 of 100 calls were faster.
        spread: Half the distance between the quartiles, over the median.
        rows_per_s: Batch over the median.
    """

    length: int
    batch: int
    calls: int
    median_us: float
    p90_us: float
    p99_us: float
    spread: float
    rows_per_s: float


@dataclass(frozen=True)
class Result:
    """What was measured of one artifact.

    Args:
        target: Its target.
        scheme: Its scheme.
        engine: What ran it.
        cold_start_ms: From the start of a process to its first prediction and its end; median.
        peak_rss_mb: The most memory of that process; 0 where the system does not tell.
        measured: By length and batch; the first is what one text of a common length costs.
    """

    target: str
    scheme: str
    engine: str
    cold_start_ms: float
    peak_rss_mb: float
    measured: tuple[Measured, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON takes it, the figures of one text beside the others."""
        first = {key: value for key, value in asdict(self.measured[0]).items() if key != "calls"}
        return {**asdict(self), **first}


def measure(
    path: Path | str,
    *,
    targets: Sequence[str] = (),
    schemes: Sequence[str] = (),
    lengths: Sequence[int] = LENGTHS,
    batches: Sequence[int] = BATCHES,
    calls: int = 200,
    threads: int = 1,
) -> list[Result]:
    """Measure every artifact that runs here, in turn, so that a busy moment hits all alike.

    Args:
        path: The bundle's folder.
        targets: Those to measure, 'reference' and 'pure' too; by default those of the artifacts.
        schemes: Those to measure; by default all.
        lengths: Words of the texts, or timesteps.
        batches: Rows of a call.
        calls: Of batch 1; larger batches get fewer. The pure and reference backends get a tenth.
        threads: For the engine's kernels.

    Raises:
        BundleError: The bundle is damaged, or none of its artifacts runs here.
        BackendError: A target that was named does not run, or has no such scheme.
    """
    bundle = open_bundle(path)
    predictors = _predictors(bundle, targets, schemes, threads)
    if not predictors:
        raise BundleError(
            f"no artifact of bundle '{bundle.path}' that was asked for runs here: see gatelet "
            "doctor, or name --target pure"
        )
    draw = random.Random(SEED)
    lengths = sorted({_possible(length, bundle, predictors[0]) for length in lengths})
    common = lengths[len(lengths) // 2]
    shapes = [(common, 1), *((n, b) for n in lengths for b in batches if (n, b) != (common, 1))]
    times = {(p, s): list[float]() for p in range(len(predictors)) for s in shapes}
    for shape in shapes:
        _measure_shape(predictors, shape, times, calls=calls, draw=draw)
    cold = [_cold_start(bundle, predictor, common, draw) for predictor in predictors]
    return [
        Result(
            predictor.target,
            predictor.scheme,
            predictor.engine,
            *cold[number],
            tuple(_summary(times[number, shape], shape) for shape in shapes),
        )
        for number, predictor in enumerate(predictors)
    ]


def _predictors(
    bundle: Bundle, targets: Sequence[str], schemes: Sequence[str], threads: int
) -> list[Predictor]:
    """Open what was asked for; what was not asked for by name may be missing."""
    wanted = [(a.target, a.scheme) for a in bundle.artifacts if not targets or a.target in targets]
    wanted += [(target, "float32") for target in GRAPH_TARGETS if target in targets]
    wanted = [(target, scheme) for target, scheme in wanted if not schemes or scheme in schemes]
    for target in targets:
        if target not in {one for one, _ in wanted}:
            of = f" in {', '.join(schemes)}" if schemes else ""
            raise BackendError(f"bundle '{bundle.path}' has nothing for target '{target}'{of}")
    opened = []
    for target, scheme in wanted:
        if not targets and target not in installed_targets():
            continue
        try:
            opened.append(load(bundle.path, target=target, scheme=scheme, threads=threads))
        except GateletError:
            if targets:
                raise
    return opened


def _possible(length: int, bundle: Bundle, predictor: Predictor) -> int:
    """Return a length that the model takes."""
    vectorizer = bundle.vectorizer()
    if vectorizer is not None:
        return min(length, vectorizer.maxlen)
    shape = predictor._graph.inputs[0].shape
    return length if len(shape) < 2 or shape[1] is None else shape[1]


def _measure_shape(
    predictors: list[Predictor],
    shape: tuple[int, int],
    times: dict[tuple[int, tuple[int, int]], list[float]],
    *,
    calls: int,
    draw: random.Random,
) -> None:
    length, batch = shape
    rounds = max(calls // math.isqrt(batch), 3)
    slow = max(rounds // 10, 3)
    for number in range(WARM_UP_CALLS + rounds):
        for index, predictor in enumerate(predictors):
            if predictor.target in GRAPH_TARGETS and number >= WARM_UP_CALLS + slow:
                continue
            inputs = random_inputs(predictor, length, batch, draw)
            start = time.perf_counter_ns()
            predictor.scores(inputs)
            taken_us = (time.perf_counter_ns() - start) / 1000
            if number >= WARM_UP_CALLS:
                times[index, shape].append(taken_us)


def random_inputs(predictor: Predictor, length: int, batch: int, draw: random.Random) -> Any:
    """Draw texts of known words where the bundle takes texts, else ids or features."""
    vectorizer = predictor._vectorizer
    if isinstance(vectorizer, Vectorizer) and vectorizer.vocabulary:
        words = list(vectorizer.vocabulary)[:_WORDS_AT_MOST]
        between = "" if vectorizer.char_level else vectorizer.split
        return [between.join(draw.choices(words, k=length)) for _ in range(batch)]
    rows = {
        one.name: [_random(one, one.shape[1:], length, draw) for _ in range(batch)]
        for one in predictor._graph.inputs
    }
    return rows if len(rows) > 1 else next(iter(rows.values()))


def _random(
    one: GraphInput, shape: tuple[int | None, ...], length: int, draw: random.Random
) -> Any:
    if not shape:
        if one.dtype == "int32":
            return draw.randrange(1, one.vocabulary) if (one.vocabulary or 0) > 1 else 0
        return draw.uniform(-1, 1)
    return [_random(one, shape[1:], length, draw) for _ in range(shape[0] or length)]


def _summary(times_us: list[float], shape: tuple[int, int]) -> Measured:
    median = statistics.median(times_us)
    cuts = statistics.quantiles(times_us, n=100, method="inclusive")
    return Measured(
        length=shape[0],
        batch=shape[1],
        calls=len(times_us),
        median_us=median,
        p90_us=cuts[89],
        p99_us=cuts[98],
        spread=(cuts[74] - cuts[24]) / 2 / median,
        rows_per_s=shape[1] * 1e6 / median,
    )


def _cold_start(
    bundle: Bundle, predictor: Predictor, length: int, draw: random.Random
) -> tuple[float, float]:
    """Return milliseconds and megabytes of a process that predicts once."""
    inputs = random_inputs(predictor, length, 1, draw)
    path = str(bundle.path.absolute())
    request = json.dumps([path, predictor.target, predictor.scheme, inputs])
    times, peaks = [], []
    for _ in range(COLD_STARTS):
        start = time.perf_counter_ns()
        try:
            done = subprocess.run(
                [sys.executable, "-P", "-c", _COLD_START],
                input=request,
                check=False,
                capture_output=True,
                text=True,
                timeout=COLD_START_TIMEOUT_S,
            )
        except subprocess.TimeoutExpired as error:
            raise BackendError(f"a cold start took longer than {error.timeout:g} s") from error
        times.append((time.perf_counter_ns() - start) / 1e6)
        if done.returncode:
            said = done.stderr.strip().splitlines()[-1:] or ["no message"]
            raise BackendError(f"a process of its own cannot predict: {said[0]}")
        peaks.append(float(done.stdout.split()[-1]))
    return statistics.median(times), max(peaks)
