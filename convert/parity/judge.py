"""Runs every artifact of a bundle against its oracles and collects the checks.

Not a converter, and it changes nothing in the bundle.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.checks import (
    check_equal,
    check_flips,
    check_ids,
    check_max,
    check_mean,
    check_shift,
)
from gatelet.convert.parity.measured import Measured
from gatelet.convert.parity.report import ArtifactReport, Check, ParityReport
from gatelet.convert.parity.rows import Rows, side_by_side
from gatelet.convert.parity.streams import check_stream
from gatelet.convert.tolerances import (
    FLOAT32_FACTOR,
    FLOAT32_FLOOR,
    MIN_DECIDING_ROWS,
    TOLERANCES,
    Limits,
)
from gatelet.errors import BackendMissing, BundleDamaged, InputError
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.bundle import Artifact, Bundle, Golden
from gatelet.runtime.graph import Graph
from gatelet.runtime.inputs import check_rows
from gatelet.runtime.predictor import Predictor, open_artifact
from gatelet.runtime.vectorizers import AnyVectorizer

__all__ = ["Oracle", "ask_graph", "judge"]

BATCH_ROWS = 64
SHORT_TIMESTEPS = 2
# what looks at several timesteps at once may need more of them
_WINDOWS = ("AveragePooling", "Conv", "MaxPooling")
Array = NDArray[Any]


@dataclass(frozen=True)
class Oracle:
    """What the right answers are.

    Args:
        inputs: ids [N, T] or features [N, T, F], by graph input.
        scores: What the Graph gives in float64, [N, C]; several outputs side by side.
        float32_limit: The design's float32 limit for this model and these inputs.
        short: The inputs cut to few timesteps; None where the model does not take them.
        keras: What Keras itself gives, where it was asked.
        keras_version: Of that Keras.
        keras_refusal: Why Keras could not be asked: it no longer loads the model, say.
        texts: The texts behind the rows; () where there are none.
        expected_ids: Their ids by another vectorizer than the bundle's own; () if none was asked.
        truth: The position of each row's label, int [N], or a regression's values [N, C].
    """

    inputs: Rows
    scores: Array
    float32_limit: float
    short: Rows | None = None
    keras: Array | None = None
    keras_version: str = ""
    keras_refusal: str = ""
    texts: Sequence[str] = ()
    expected_ids: Sequence[Sequence[int]] = ()
    truth: Array | None = None

    @classmethod
    def of(cls, bundle: Bundle, inputs: Rows, **known: Any) -> "Oracle":
        """Ask the bundle's Graph.

        Args:
            bundle: Its Graph is asked in float32 and float64.
            inputs: ids [N, T] or features [N, T, F], by graph input.
            **known: Other fields.

        Raises:
            InputError: The model cannot take these inputs.
        """
        graph = bundle.graph()
        for one in graph.inputs:
            check_rows(inputs.feed[one.name], one)
        single = side_by_side(ReferenceBackend(graph).run(inputs.feed))
        double = ask_graph(graph, inputs)
        own = float(check_max("own", single, double, np.inf).figure or 0.0)
        limit = max(FLOAT32_FLOOR, FLOAT32_FACTOR * own)
        short = _cut(graph, inputs)
        return cls(inputs=inputs, scores=double, float32_limit=limit, short=short, **known)


def ask_graph(graph: Graph, inputs: Rows) -> Array:
    """Give what a Graph gives in float64, several outputs side by side."""
    return side_by_side(ReferenceBackend(graph, dtype=np.float64).run(inputs.feed))


def _cut(graph: Graph, inputs: Rows) -> Rows | None:
    """Keep the last timesteps, where the model takes that few."""
    if any(len(one.shape) < 2 or one.shape[1] is not None for one in graph.inputs):
        return None
    if any(node.op.startswith(_WINDOWS) for node in graph.nodes):
        return None
    return inputs.last_timesteps(SHORT_TIMESTEPS)


def judge(
    bundle: Bundle, oracle: Oracle, *, progress: Callable[[str], None] = lambda text: None
) -> ParityReport:
    """Check every artifact of a bundle.

    Args:
        bundle: The opened bundle.
        oracle: The right answers for some rows.
        progress: Told what is being done.

    Returns:
        The report. An artifact whose engine is not installed is 'not run'.

    Raises:
        BundleDamaged: The golden vectors are none that the model takes or gives.
    """
    golden = bundle.golden()
    if golden is not None:
        _check_readable(bundle, golden)
    shared = (
        *_check_vectorizer(bundle.vectorizer(), oracle, golden),
        *_check_graph(bundle, oracle, golden),
    )
    reports = []
    seen: dict[tuple[str, str], Array] = {}
    for artifact in bundle.artifacts:
        progress(f"parity of {artifact.target} {artifact.scheme}")
        reports.append(_judge_artifact(bundle, artifact, oracle, shared, seen=seen))
    oracles = ("graph", f"keras {oracle.keras_version}") if oracle.keras is not None else ("graph",)
    return ParityReport(
        len(oracle.inputs), oracles, tuple(reports), measured=_measured(oracle, seen)
    )


def _measured(oracle: Oracle, seen: Mapping[tuple[str, str], Array]) -> Measured:
    def flat(scores: Array) -> Array:
        return scores.reshape(len(scores), -1)

    return Measured(
        texts=oracle.texts,
        inputs=oracle.inputs,
        truth=oracle.truth,
        oracle=flat(oracle.scores),
        keras=None if oracle.keras is None else flat(oracle.keras),
        scores={key: flat(scores) for key, scores in seen.items()},
    )


def _judge_artifact(
    bundle: Bundle,
    artifact: Artifact,
    oracle: Oracle,
    shared: tuple[Check, ...],
    *,
    seen: dict[tuple[str, str], Array],
) -> ArtifactReport:
    target, scheme = artifact.target, artifact.scheme
    limits = TOLERANCES.get((target, scheme))
    if limits is None:
        note = f"this gatelet has no limits for {target} {scheme}"
        return ArtifactReport(target, scheme, (), note=note)
    engine, stage = "", "opens"
    golden = bundle.golden()
    golden_scores = None
    try:
        predictor = open_artifact(bundle, artifact)
        engine, stage = predictor.engine, "runs"
        found = side_by_side(predictor.scores(oracle.inputs.given)).astype(np.float32, copy=False)
        seen[(target, scheme)] = found
        checks = [
            *_check_scores(bundle, found, oracle, limits),
            *_check_calls(predictor, oracle, limits),
        ]
        if artifact.states:
            limit = _or(limits.scores_max, oracle.float32_limit)
            checks.append(check_stream(predictor, bundle.graph(), oracle.inputs, limit))
        if golden is not None:
            golden_scores = side_by_side(predictor.scores(_golden_arrays(golden)[0].given))
            checks += _check_golden(golden, golden_scores, predictor, oracle, limits)
            checks += _check_as_converted(artifact, golden_scores, engine, oracle, limits)
    except BackendMissing as error:
        return ArtifactReport(target, scheme, (), note=str(error))
    except Exception as error:  # a broken artifact may fail in any way, and the others go on
        broken = Check(stage, None, 0.0, "fail", unit="engine")
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return ArtifactReport(target, scheme, (*shared, broken), engine, note=said)
    return ArtifactReport(
        target, scheme, (*shared, *checks), engine, golden_scores=_as_lists(golden_scores)
    )


def _check_vectorizer(
    vectorizer: AnyVectorizer | None, oracle: Oracle, golden: Golden | None
) -> tuple[Check, ...]:
    """Compare the vectorizer's ids with the golden ones and, where it was asked, with Keras'."""
    if vectorizer is None:
        return ()
    expected = [list(row) for row in oracle.expected_ids]
    texts = list(oracle.texts) if expected else []
    if golden is not None and golden.texts is not None:
        (rows,) = golden.inputs.values()
        texts += golden.texts
        expected += rows
    if not texts:
        return (Check("ids", None, 0.0, "undecided", unit="texts"),)
    return (check_ids([vectorizer.pad(text) for text in texts], expected),)


def _check_graph(bundle: Bundle, oracle: Oracle, golden: Golden | None) -> tuple[Check, ...]:
    """Compare the Graph, which judges the artifacts, with Keras and with what it gave before."""
    limit = oracle.float32_limit
    checks = []
    if oracle.keras is not None:
        checks.append(check_max("graph_keras", oracle.scores, oracle.keras, limit))
    if golden is not None:
        inputs, expected = _golden_arrays(golden)
        checks.append(check_max("graph_golden", ask_graph(bundle.graph(), inputs), expected, limit))
    return tuple(checks)


def _check_scores(
    bundle: Bundle, found: Array, oracle: Oracle, limits: Limits
) -> tuple[Check, ...]:
    """Compare every row with the Graph and with Keras."""
    exact = oracle.float32_limit
    # a mean over few rows of a quantized artifact says little
    min_rows = MIN_DECIDING_ROWS if limits.scores_mean is not None else 0
    largest = _or(limits.scores_max, exact)
    checks = [
        check_max("scores_max", found, oracle.scores, largest),
        check_mean(
            "scores_mean", found, oracle.scores, _or(limits.scores_mean, exact), min_rows=min_rows
        ),
        check_shift(
            "scores_shift", found, oracle.scores, _or(limits.scores_shift, exact), min_rows=min_rows
        ),
    ]
    if oracle.keras is not None:
        checks.append(check_max("scores_max_keras", found, oracle.keras, largest))
    if bundle.labels:
        tie = _or(limits.scores_mean, exact)  # nearer to the threshold, both are as good
        checks.append(
            check_flips(
                found, oracle.scores, threshold=bundle.threshold, limit=limits.flips, tie=tie
            )
        )
    return tuple(checks)


def _check_calls(predictor: Predictor, oracle: Oracle, limits: Limits) -> tuple[Check, ...]:
    """Compare calls with each other: neither an earlier call nor a row beside may matter."""
    inputs = oracle.inputs
    befores, afters = [], []
    # few timesteps too: over many, a state that was left over is forgotten
    for pool, rows in ((inputs, 1), (inputs, BATCH_ROWS), (oracle.short, 1)):
        if pool is not None:
            before, after = _around_another_call(predictor, pool, rows)
            befores.append(before)
            afters.append(after)
    everything = [np.concatenate([one.ravel() for one in found]) for found in (afters, befores)]
    count = min(BATCH_ROWS, len(inputs))
    singles = [side_by_side(predictor.scores(inputs[i : i + 1].given)) for i in range(count)]
    return (
        check_equal("state_leak", *everything),
        check_max(
            "batch", befores[1], np.concatenate(singles), _or(limits.batch, oracle.float32_limit)
        ),
    )


def _around_another_call(predictor: Predictor, pool: Rows, rows: int) -> tuple[Array, Array]:
    """Run A, B, A and give what A gave before and after.

    Args:
        predictor: Runs them.
        pool: [N, ...].
        rows: In A, the first of the pool; B has as many.
    """
    first = pool[:rows]
    start = int(pool.differs_from_first().argmax())
    other = pool[(np.arange(len(first)) + start) % len(pool)]
    before = side_by_side(predictor.scores(first.given))
    predictor.scores(other.given)
    return before, side_by_side(predictor.scores(first.given))


def _check_golden(
    golden: Golden, found: Array, predictor: Predictor, oracle: Oracle, limits: Limits
) -> list[Check]:
    """Compare with the golden vectors: from their ids and, end to end, from their texts."""
    limit = _or(limits.scores_max, oracle.float32_limit)
    expected = _golden_arrays(golden)[1]
    checks = [check_max("golden", found, expected, limit)]
    if golden.texts:
        found = np.asarray(predictor.scores(list(golden.texts)))
        checks.append(check_max("golden_texts", found, expected, limit))
    return checks


def _check_as_converted(
    artifact: Artifact, found: Array, engine: str, oracle: Oracle, limits: Limits
) -> list[Check]:
    """Compare with what the artifact itself gave at conversion, if the engine is the same.

    A quantized artifact may be far from the Graph, not from itself: a changed weight that
    hides among rounding errors shows here.
    """
    before = artifact.parity.get("golden_scores")
    if before is None or artifact.parity.get("engine") != engine:
        return []
    limit = _or(limits.as_converted, oracle.float32_limit)
    return [check_max("as_converted", found, np.array(before, np.float64), limit)]


def _as_lists(scores: Array | None) -> list[Any] | None:
    return None if scores is None or not np.isfinite(scores).all() else list(scores.tolist())


def _check_readable(bundle: Bundle, golden: Golden) -> None:
    """Refuse golden vectors that are no arrays of the model's inputs and outputs."""
    graph = bundle.graph()
    try:
        inputs, _ = _golden_arrays(golden)
        for one in graph.inputs:
            check_rows(inputs.feed[one.name], one)
        if tuple(golden.outputs) != graph.outputs:
            raise ValueError(f"they have the outputs {', '.join(golden.outputs)}")
    except (InputError, ValueError, TypeError, OverflowError, KeyError) as error:
        raise BundleDamaged(
            f"the golden vectors '{bundle.part('golden')}' are not those of the model: {error}"
        ) from error


def _golden_arrays(golden: Golden) -> tuple[Rows, Array]:
    inputs = {
        name: np.array(values, np.int32 if _is_integer(values) else np.float32)
        for name, values in golden.inputs.items()
    }
    outputs = {name: np.array(values, np.float64) for name, values in golden.outputs.items()}
    return Rows(inputs), side_by_side(outputs)


def _is_integer(values: Any) -> bool:
    while isinstance(values, list) and values:
        values = values[0]
    return isinstance(values, int)


def _or(limit: float | None, exact: float) -> float:
    return exact if limit is None else limit
