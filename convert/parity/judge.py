"""Runs every artifact of a bundle against its oracles and collects the checks.

Not a converter, and it changes nothing in the bundle.
"""

import contextlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.exporters.targets import EXPORTERS
from gatelet.convert.parity.case import Case, golden_rows, on_texts, run_rows
from gatelet.convert.parity.checks.behaviour import check_behaviour, odd_lengths
from gatelet.convert.parity.checks.blame import blame
from gatelet.convert.parity.checks.code_decides import check_code_decides
from gatelet.convert.parity.checks.golden import (
    check_as_converted,
    check_golden,
    check_graph,
    check_ids,
    check_labels,
    one_by_one,
    readable_golden,
)
from gatelet.convert.parity.checks.long_streams import check_long_stream, takes_any_steps
from gatelet.convert.parity.checks.misread import doubt_reading
from gatelet.convert.parity.checks.scores import check_max, show_max
from gatelet.convert.parity.checks.spread import Spread
from gatelet.convert.parity.checks.streams import check_stream
from gatelet.convert.parity.computes import check_computes, check_covered
from gatelet.convert.parity.costs import costs_of
from gatelet.convert.parity.decisions import meant, parts_of
from gatelet.convert.parity.exhausted import refuse_if_exhausted
from gatelet.convert.parity.files.judge_files import judge_files
from gatelet.convert.parity.limits import Bounds, Settings, bounds_of
from gatelet.convert.parity.measured import Measured
from gatelet.convert.parity.notes.evidence import check_evidence, notes_on_evidence
from gatelet.convert.parity.notes.left_out import left_out_of, notes_on_left_out
from gatelet.convert.parity.notes.making import notes_on_making
from gatelet.convert.parity.notes.ranges import notes_on_ranges
from gatelet.convert.parity.oracles.golden import GOLDEN_VALUES
from gatelet.convert.parity.oracles.oracle import (
    Advance,
    Oracle,
    ask_graph,
    float32_limit,
    nothing_to_tell,
)
from gatelet.convert.parity.quality.baseline import Standing, standing_of
from gatelet.convert.parity.quality.quality import quality_of, refit_threshold
from gatelet.convert.parity.report import ArtifactReport, Check, ParityReport
from gatelet.convert.parity.stored.file import StoredFile
from gatelet.convert.parity.stored.match import StoredWeight, check_stored, match_weights
from gatelet.convert.parity.texts.check import check_texts
from gatelet.convert.parity.texts.converted import check_same_rows, check_vectorizer, trained_beside
from gatelet.convert.rows.rows import side_by_side
from gatelet.convert.schemes import SCHEMES, is_of_today
from gatelet.convert.tolerances import TOLERANCES, Limits
from gatelet.errors import BackendMissing, BundleDamaged
from gatelet.runtime.backends.targets import row_of
from gatelet.runtime.bundle.opening import Artifact, Bundle
from gatelet.runtime.predictor.loading import open_artifact
from gatelet.runtime.predictor.predictor import Predictor
from gatelet.runtime.predictor.probe import probe_bundle

Array = NDArray[Any]


def judge(
    bundle: Bundle,
    oracle: Oracle,
    *,
    settings: Settings = Settings(),  # noqa: B008  frozen
    all_engines: bool = False,
    progress: Callable[[str], None] = lambda text: None,
    advance: Advance = nothing_to_tell,
) -> ParityReport:
    """Check every artifact of a bundle.

    Args:
        bundle: The opened bundle.
        oracle: The right answers for some rows.
        settings: Limits other than the tolerance table's.
        all_engines: Run an artifact by every engine that is installed for its target, not by the
            preferred one only; each run is a report of its own.
        progress: Called with what is being done.
        advance: Called with how many rows are done.

    Returns:
        The report. An artifact whose engine is not installed is 'not run'.

    Raises:
        BundleDamaged: The golden vectors are none that the model takes or gives.
    """
    case = prepare(bundle, oracle, settings, advance)
    ran = []
    for artifact in bundle.artifacts:
        for module in _modules(artifact, all_engines=all_engines):
            progress(f"parity of {artifact.target} {artifact.scheme}")
            start = perf_counter()
            found = judge_artifact(case, artifact, module)
            ran.append(replace(found, seconds=perf_counter() - start))
    progress("judging the files beside them")
    reports, files = judge_files(case, ran)
    oracles = ("graph", f"keras {oracle.keras_version}") if oracle.keras is not None else ("graph",)
    standing, left_out = _standing(case), left_out_of(bundle.manifest)
    return ParityReport(
        rows=len(oracle.inputs),
        distinct_rows=len(oracle.evidence.kept),
        oracles=oracles,
        artifacts=reports,
        measured=_measured(case),
        notes=(
            *oracle.notes,
            *notes_on_evidence(oracle),
            *notes_on_ranges(bundle, oracle),
            *notes_on_making(bundle.manifest),
            *notes_on_left_out(left_out, reports),
        ),
        quality=standing.quality,
        baseline=standing.baseline,
        baseline_name=standing.name,
        warnings=standing.warnings,
        over=oracle.over,
        made_up=oracle.made_up,
        left_out=left_out,
        files=tuple(files),
    )


def prepare(bundle: Bundle, oracle: Oracle, settings: Settings, advance: Advance) -> Case:
    """Return what is the same for all artifacts of a bundle; the arguments are those of `judge`."""
    golden, graph = readable_golden(bundle), bundle.graph()
    odd, limit = [], oracle.float32_limit
    for rows in odd_lengths(graph, oracle.inputs, padding=oracle.padding):
        expected = ask_graph(graph, rows)
        limit = max(limit, float32_limit(graph, rows, expected, oracle.spread))
        odd.append((rows, expected))
    return Case(
        bundle=bundle,
        graph=graph,
        oracle=oracle,
        golden=golden,
        settings=settings,
        odd=tuple(odd),
        odd_limit=limit,
        shared=(
            *check_ids(bundle.vectorizer(), oracle, golden),
            *check_vectorizer(bundle, oracle.vectorizer, golden),
            *check_same_rows(bundle, oracle),
            *check_graph(bundle, oracle, golden),
            *check_evidence(oracle),
        ),
        advance=advance,
    )


def _modules(artifact: Artifact, *, all_engines: bool) -> tuple[str | None, ...]:
    """Return the installed engines that an artifact is for.

    Returns:
        Their modules; None leaves the choice, and the error, to the opening.
    """
    meant = [
        one.module
        for one in row_of(artifact.target).engines
        if one.is_installed and (not artifact.engines or one.package in artifact.engines)
    ]
    return tuple(meant) if all_engines and len(meant) > 1 else (None,)


def _bounds(case: Case, artifact: Artifact, limits: Limits) -> Bounds:
    exact, made_up = case.oracle.float32_limit, case.oracle.made_up
    found = bounds_of(limits, case.settings, exact=exact, made_up=made_up)
    return replace(found, one_answer=artifact.target in ("c", "wasm") and is_of_today(artifact))


def judge_artifact(case: Case, artifact: Artifact, module: str | None) -> ArtifactReport:
    """Check one artifact, in the engine of a module; None for the preferred one."""
    target, scheme = artifact.target, artifact.scheme
    limits = TOLERANCES.get((target, scheme))
    if limits is None:
        return ArtifactReport(target, scheme, (), note=f"no limits for {target} {scheme} here")
    oracle, spread = case.oracle, case.oracle.spread
    bounds = _bounds(case, artifact, limits)
    engine, stage = "", "opens"
    try:
        if row_of(target).is_code and case.bundle.generation:  # damaged, it may end the process
            with contextlib.suppress(BundleDamaged):  # what is wrong, the checks measure
                probe_bundle(case.bundle, target=target, scheme=scheme)
        predictor = open_artifact(case.bundle, artifact, module=module)
        engine, stage = predictor.engine, "runs"
        if predictor.takes_texts and not case.oracle.texts:
            note = f"{target} is compared on texts, and there are none: give some with --data"
            return ArtifactReport(target, scheme, (), engine, note=note)
        given = on_texts(case) if predictor.takes_texts else case
        format_name = EXPORTERS[target].stored_as or target
        file = StoredFile.of(case.bundle, artifact, case.graph)
        read = match_weights(format_name, file)
        found = run_rows(predictor, given.oracle.inputs, advance=case.advance)
        case.seen.setdefault((target, scheme), found)
        stored = check_stored(format_name, read, file.path, is_of_today=is_of_today(artifact))
        near = bounds.exact if bounds.is_exact else np.inf
        weights, stored = doubt_reading(case.graph, oracle, found, read, stored, limit=near)
        computes = check_computes(given, artifact, predictor, misread=weights is not read)
        checks = [
            stored,
            *costs_of(case.bundle, oracle, found, bounds),
            *_check_code(case, artifact, found),
            *_check_keras(oracle, found, bounds),
            *_check_calls(given, predictor, bounds, spread),
            *check_texts(case, artifact, predictor, found, bounds),
            *_check_lengths(given, predictor, bounds),
            *computes,
            *check_covered(case.graph, artifact, format_name, weights=weights, computes=computes),
        ]
        if artifact.states:
            checks.append(check_stream(predictor, case.graph, oracle.inputs, bounds, spread=spread))
        checks += _check_long_stream(case, artifact, predictor, weights, bounds)
        of_golden, golden_scores = _check_golden(given, artifact, predictor, bounds)
        checks += of_golden
    except BackendMissing as error:
        return ArtifactReport(target, scheme, (), note=str(error))
    except Exception as error:  # a broken artifact may fail in any way, and the others go on
        refuse_if_exhausted(error, f"{target} {scheme}")
        broken = Check(stage, None, 0.0, "fail", unit="engine")
        said = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        return ArtifactReport(target, scheme, (*case.shared, broken), engine, note=said)
    return ArtifactReport(
        target,
        scheme,
        (*case.shared, *checks),
        engine,
        golden_scores=_as_lists(golden_scores),
        quality=_quality(case, found),
        diagnosis=_diagnose(case, checks, weights, found),
        threshold=_refitted(case, found),
    )


def _check_calls(
    given: Case, predictor: Predictor, bounds: Bounds, spread: Spread
) -> Iterable[Check]:
    oracle = given.oracle
    return check_behaviour(
        predictor.scores, oracle.inputs, bounds, spread=spread, short=oracle.short
    )


def _check_golden(
    case: Case, artifact: Artifact, predictor: Predictor, bounds: Bounds
) -> tuple[list[Check], Array | None]:
    """Compare the golden rows, and return what the artifact gives for them."""
    if case.golden is None:
        return [], None
    rows = golden_rows(case.golden, predictor)
    scores = one_by_one(predictor, rows)
    spread = case.oracle.spread
    return [
        *check_labels(case.golden, rows, case.bundle, predictor),
        *check_golden(case.golden, scores, predictor, bounds, spread=spread),
        *check_as_converted(artifact, scores, predictor.engine, bounds),
    ], scores


def _check_code(case: Case, artifact: Artifact, found: Array) -> list[Check]:
    """Ask the artifact's own code for decisions, where it has any."""
    if not case.bundle.decisions:
        return []
    parts = parts_of(case.bundle, case.graph, case.oracle.inputs, found)
    return check_code_decides(case.bundle, artifact, parts)


def _check_keras(oracle: Oracle, found: Array, bounds: Bounds) -> list[Check]:
    """Compare an exact artifact with Keras; what is rounded is held to the Graph alone."""
    if oracle.keras is None or not bounds.is_exact:
        return []
    # each of the two may be off the Graph by the float32 limit, to either side
    limit, spread = 2 * bounds.exact, oracle.spread
    return [check_max("scores_max_keras", found, oracle.keras, limit, spread=spread)]


def _check_lengths(case: Case, predictor: Predictor, bounds: Bounds) -> list[Check]:
    """Compare rows of no real timestep, of one, of some, of all and of more with the Graph."""
    if not case.odd:
        return []
    spread, limit = case.oracle.spread, max(bounds.exact, case.odd_limit)
    pairs = [(side_by_side(predictor.scores(rows.given)), right) for rows, right in case.odd]
    found = [
        check_max("lengths", *pair, limit, spread=spread)
        if bounds.is_exact
        else show_max("lengths", *pair, spread, question="")
        for pair in pairs
    ]
    return [max(found, key=lambda one: np.inf if one.figure is None else one.figure)]


def _check_long_stream(
    case: Case,
    artifact: Artifact,
    predictor: Predictor,
    weights: tuple[StoredWeight, ...] | None,
    bounds: Bounds,
) -> list[Check]:
    """Stream as long as the model remembers, where states are integers or somebody asked."""
    integers = artifact.scheme in SCHEMES and SCHEMES[artifact.scheme].activations != "float32"
    asked = bool(artifact.states) and row_of(artifact.target).streaming == "file"
    if not integers and not asked:
        return []
    if not artifact.states and not takes_any_steps(case.graph):
        return []
    found = check_long_stream(
        predictor,
        case.graph,
        case.oracle.inputs,
        weights=weights,
        exact=bounds.exact if bounds.is_exact else None,
        streams=bool(artifact.states),
    )
    if found is None:
        return []
    if integers and not is_of_today(artifact):
        return [replace(found, figure=None, verdict="not checked", note="of another revision")]
    return [found]


def _diagnose(
    case: Case,
    checks: list[Check],
    weights: tuple[StoredWeight, ...] | None,
    found: Array,
) -> tuple[str, ...]:
    """Name the layer to blame where the artifact missed a limit."""
    if not any(check.verdict == "fail" for check in checks):
        return ()
    return blame(
        case.graph,
        case.oracle.inputs,
        case.oracle.scores,
        found,
        weights,
        failed=[check.name for check in checks if check.verdict == "fail"],
    )


def _standing(case: Case) -> Standing:
    oracle, bundle = case.oracle, case.bundle
    if oracle.truth is None:
        return Standing()
    evidence = oracle.evidence
    scores, threshold = meant(bundle, evidence.of(oracle.scores))
    rows = (_flat(scores), evidence.of(oracle.truth), oracle.inputs[evidence.kept])
    found = standing_of(*rows, labels=bundle.labels, threshold=threshold, units=evidence.units)
    return trained_beside(found, bundle, oracle)


def _quality(case: Case, scores: Array) -> dict[str, float]:
    oracle = case.oracle
    if oracle.truth is None or scores.shape != oracle.scores.shape:
        return {}
    scores, threshold = meant(case.bundle, oracle.evidence.of(scores))
    truth = oracle.evidence.of(oracle.truth)
    return quality_of(scores, truth, labels=case.bundle.labels, threshold=threshold)


def _refitted(case: Case, found: Array) -> float | None:
    truth, evidence = case.oracle.truth, case.oracle.evidence
    if truth is None or not case.bundle.labels or found.ndim != 2:
        return None
    scores, threshold = meant(case.bundle, evidence.of(found))
    if isinstance(threshold, np.ndarray):
        return None
    return refit_threshold(scores, evidence.of(truth), threshold=threshold)


def _measured(case: Case) -> Measured:
    oracle = case.oracle
    return Measured(
        texts=oracle.texts,
        inputs=oracle.inputs,
        truth=oracle.truth,
        oracle=_flat(oracle.scores),
        keras=None if oracle.keras is None else _flat(oracle.keras),
        scores={key: _flat(scores) for key, scores in case.seen.items()},
    )


def _flat(scores: Array) -> Array:
    return scores.reshape(len(scores), -1)


def _as_lists(scores: Array | None) -> list[Any] | None:
    """Return what the manifest keeps; of one row that is too long by far nothing."""
    if scores is None or not np.isfinite(scores).all() or scores.size > 2 * GOLDEN_VALUES:
        return None
    return list(scores.tolist())
