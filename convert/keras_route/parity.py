"""Parity of a bundle without a Graph: every artifact against Keras, or against its golden vectors.

Not the parity of other bundles, which the Graph judges too (`gatelet.convert.parity`).
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.keras_route.bundle import GOLDEN, KerasAnswers, ask_keras, make_again
from gatelet.convert.keras_route.weights import check_weights
from gatelet.convert.parity import ArtifactReport, Check, ParityReport, Settings
from gatelet.convert.parity.checks.costs import check_alike, check_flips, check_scores
from gatelet.convert.parity.checks.golden import check_ids
from gatelet.convert.parity.checks.scores import check_equal, check_max
from gatelet.convert.parity.checks.spread import Spread
from gatelet.convert.parity.costs import check_parts
from gatelet.convert.parity.decisions import decided_rows
from gatelet.convert.parity.exhausted import refuse_if_exhausted
from gatelet.convert.parity.files.judge_files import judge_without_graph
from gatelet.convert.parity.limits import Bounds, bounds_of
from gatelet.convert.parity.notes.evidence import check_evidence, notes_on_evidence
from gatelet.convert.parity.quality.quality import undecided_quality
from gatelet.convert.parity.texts.converted import check_vectorizer
from gatelet.convert.rows.drawn import MADE_UP, random_rows
from gatelet.convert.rows.given import described
from gatelet.convert.rows.rows import Rows, ids_of, rows_of, side_by_side
from gatelet.convert.settings import has_keras
from gatelet.convert.tolerances import FLOAT32_FLOOR, TOLERANCES
from gatelet.convert.worker.worker import Worker
from gatelet.errors import BackendMissing, BundleError
from gatelet.runtime.bundle.opening import Artifact, Bundle
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.predictor.loading import open_artifact
from gatelet.runtime.predictor.predictor import Predictor

CALL_ROWS = 16
Array = NDArray[Any]


def judge_route(
    bundle: Bundle,
    answers: KerasAnswers,
    *,
    again: Mapping[tuple[str, str], bytes] = MappingProxyType({}),
    settings: Settings = Settings(),  # noqa: B008  frozen
    progress: Callable[[str], None] = lambda text: None,
) -> ParityReport:
    """Check every artifact against Keras' answers.

    Args:
        bundle: Without a Graph.
        answers: What is right.
        again: The artifacts as Keras' converters make them now, by target and scheme.
        settings: Limits other than the tolerance table's.
        progress: Called with what is being done.
    """
    golden = bundle.golden()
    shared = (
        *(check_ids(bundle.vectorizer(), None, golden) if golden and golden.texts else ()),
        *check_vectorizer(bundle, None, golden),
        *check_evidence(answers),
    )
    reports = []
    for artifact in bundle.artifacts:
        progress(f"parity of {artifact.target} {artifact.scheme}")
        found = _judge(bundle, artifact, answers, settings)
        weights = check_weights(bundle, artifact, again.get((artifact.target, artifact.scheme)))
        checks = (*shared, weights, *found.checks) if found.checks else ()
        reports.append(replace(found, checks=checks))
    oracle = f"keras {answers.version}" if answers.version else "golden vectors"
    asked = "source" if answers.version else "golden"
    return ParityReport(
        rows=len(answers.inputs),
        distinct_rows=len(answers.evidence.kept),
        notes=notes_on_evidence(answers),
        oracles=(oracle,),
        artifacts=tuple(reports),
        over=answers.over,
        made_up=answers.made_up,
        files=tuple(judge_without_graph(bundle, reports, asked=asked)),
    )


def prove_route(
    bundle: Bundle,
    data: Dataset | Arrays | None,
    *,
    with_keras: bool,
    settings: Settings = Settings(),  # noqa: B008  frozen
    progress: Callable[[str], None] = lambda text: None,
) -> ParityReport:
    """Check every artifact of a bundle that exists.

    Args:
        bundle: Without a Graph.
        data: Rows to compare on; None for random ones.
        with_keras: Ask Keras, where it is installed and the bundle keeps the model; else the
            golden vectors are all that can be compared with.
        settings: Limits other than the tolerance table's.
        progress: Called with what is being done.

    Raises:
        BundleError: There is neither Keras nor a golden vector to compare with.
    """
    source, vectorizer, interface = bundle.part("source"), bundle.vectorizer(), bundle.interface()
    if source is None or not with_keras or not has_keras():
        return judge_route(bundle, _golden_answers(bundle), settings=settings, progress=progress)
    over = described(data)
    if isinstance(data, Arrays):
        inputs = rows_of(interface, data)
    elif isinstance(data, Dataset) and vectorizer is not None:
        inputs = Rows({interface.inputs[0].name: ids_of(vectorizer, data.texts)})
    else:
        inputs, over = random_rows(interface, vectorizer, {}), MADE_UP
    version = str(bundle.manifest.get("provenance", {}).get("keras_of_model", ""))
    with Worker() as worker:
        progress("asking Keras")
        keras_file = source.read_bytes()
        answers = ask_keras(keras_file, interface, inputs, worker, version=version)
        again = make_again(bundle, keras_file, worker, progress)
    answers = replace(answers, over=over, groups=None if data is None else data.groups)
    return judge_route(bundle, answers, again=again, settings=settings, progress=progress)


def _golden_answers(bundle: Bundle) -> KerasAnswers:
    golden = bundle.golden()
    if golden is None:
        raise BundleError(
            f"bundle '{bundle.path}' has no Graph, no golden vectors, and no Keras to ask: "
            "convert it again"
        )
    types = {one.name: one.dtype for one in bundle.interface().inputs}
    inputs = Rows({name: np.array(rows, types[name]) for name, rows in golden.inputs.items()})
    outputs = {name: np.array(rows, np.float64) for name, rows in golden.outputs.items()}
    limit = float(bundle.manifest.get("float32_limit", FLOAT32_FLOOR))
    return KerasAnswers(inputs, side_by_side(outputs), outputs, limit, "", GOLDEN)


_UNASKED = Check(
    "computes",
    None,
    0.0,
    "not checked",
    note="the file was made past the Graph: what it should compute is not known",
    question="computes",
)


def _judge(
    bundle: Bundle, artifact: Artifact, answers: KerasAnswers, settings: Settings
) -> ArtifactReport:
    target, scheme = artifact.target, artifact.scheme
    engine = ""
    try:
        predictor = open_artifact(bundle, artifact)
        engine = predictor.engine
        found = side_by_side(predictor.scores(answers.inputs.given))
        limits, exact = TOLERANCES[target, scheme], answers.float32_limit
        bounds = bounds_of(limits, settings, exact=exact, made_up=answers.made_up)
        checks = _checks(bundle, predictor, found, answers, bounds)
    except BackendMissing as error:
        return ArtifactReport(target, scheme, (), note=str(error))
    except Exception as error:  # a broken artifact may fail in any way, and the others go on
        refuse_if_exhausted(error, f"{target} {scheme}")
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        broken = (Check("runs", None, 0.0, "fail", unit="engine"),)
        return ArtifactReport(target, scheme, broken, engine, note=said)
    return ArtifactReport(target, scheme, (_UNASKED, *checks), engine)


def _checks(
    bundle: Bundle, predictor: Predictor, found: Array, answers: KerasAnswers, bounds: Bounds
) -> tuple[Check, ...]:
    right, spread = answers.scores, Spread.of(answers.scores)
    decides = bool(bundle.decisions or bundle.labels)
    evidence = answers.evidence
    checks = check_scores(found, right, spread, bounds, decides=decides, evidence=evidence)
    if bounds.is_exact:  # what Keras' own rounding does was measured relative to max(1, |y|)
        checks[0] = check_max("scores_max", found, right, bounds.exact)
    if bundle.decisions:
        rows = (answers.inputs, found, right)
        checks += check_parts(bundle, rows, bounds, labelled=False, evidence=evidence)
        checks.append(_check_decided(predictor, answers.inputs))
    elif bundle.labels:
        kept = [evidence.of(scores) for scores in (found, right)]
        threshold, groups = bundle.threshold, evidence.groups
        checks.append(check_flips(kept, spread, bounds, threshold=threshold, groups=groups))
    if bounds.asked.max_accuracy_drop is not None:
        note = "a bundle without a Graph is not judged on labels, so no drop is measured"
        checks.append(replace(undecided_quality(bundle.labels, bounds), note=note))
    return (*checks, *_check_calls(predictor, answers.inputs, found, bounds))


def _check_decided(predictor: Predictor, inputs: Rows) -> Check:
    """Count rows that are decided otherwise than their scores ask for."""
    some, bundle = inputs[:CALL_ROWS], predictor.bundle
    scores = side_by_side(predictor.scores(some.given))
    right = decided_rows(bundle, bundle.interface(), some, scores)
    said = [one.decision for one in predictor.predict(some.given)]
    wrong = sum(one != other for one, other in zip(said, right, strict=True))
    return Check("labels", float(wrong), 0.0, "fail" if wrong else "pass", unit="rows")


def _check_calls(
    predictor: Predictor, inputs: Rows, found: Array, bounds: Bounds
) -> tuple[Check, Check]:
    """Neither an earlier call nor a row beside may matter."""
    count = min(CALL_ROWS, len(inputs))
    singles = [side_by_side(predictor.scores(inputs[i : i + 1].given)) for i in range(count)]
    again = side_by_side(predictor.scores(inputs.given))
    alone, together = np.concatenate(singles), found[:count]
    batch = (
        check_max("batch", alone, together, bounds.exact)
        if bounds.is_exact
        else check_alike("batch", alone, together, Spread.of(found), bounds)
    )
    return check_equal("state_leak", again, found), batch
