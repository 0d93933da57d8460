"""Parity of a bundle that exists, or that is being made: oracles are asked, artifacts judged.

Not the checks, which are in `gatelet.convert.parity`.
"""

from collections.abc import Callable
from dataclasses import replace

from gatelet.convert.bundle.writer import BundleWriter
from gatelet.convert.gates.gates import check_predictions
from gatelet.convert.keras_route.parity import prove_route
from gatelet.convert.parity import ParityReport, Settings, judge
from gatelet.convert.parity.decisions import raw_threshold
from gatelet.convert.parity.oracles.ask import Question, ask_oracles
from gatelet.convert.parity.oracles.effort import BUDGET_S
from gatelet.convert.parity.oracles.golden import golden_vectors
from gatelet.convert.parity.oracles.keras import ask_live
from gatelet.convert.parity.oracles.oracle import Advance, Oracle, nothing_to_tell
from gatelet.convert.parity.quality.pruning import measure_cost
from gatelet.convert.parity.texts.converted import judged_rows
from gatelet.convert.passes import Rewritten
from gatelet.convert.reading.model_source import open_source
from gatelet.convert.rows.given import declared_timesteps, described, known_truth, texts_of
from gatelet.convert.rows.truth import truth_of
from gatelet.convert.settings import ConversionSettings, has_keras
from gatelet.convert.worker.worker import Worker
from gatelet.errors import BackendMissing, DataError, GateletError
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.data.run import SEEN, was_trained_on
from gatelet.runtime.vectorizer.opening import AnyVectorizer
from gatelet.runtime.vectorizer.text_vectorization import TextVectorization


def prove(
    bundle: Bundle,
    data: Dataset | Arrays | None = None,
    *,
    with_keras: bool = True,
    settings: Settings = Settings(),  # noqa: B008  frozen
    progress: Callable[[str], None] = lambda text: None,
    advance: Advance = nothing_to_tell,
) -> ParityReport:
    """Check every artifact of a bundle that an installed engine can run.

    Args:
        bundle: The opened bundle.
        data: Texts or arrays to compare on; None for seeded random inputs and the golden vectors.
        with_keras: Ask Keras too, where it is installed and the bundle keeps the model.
        settings: Limits other than the tolerance table's.
        progress: Called with what is being done.
        advance: Called with how many rows are done, by whom.

    Returns:
        The report.

    Raises:
        DataError: Texts were given to a bundle without a vectorizer, or a label is none of its.
        BackendMissing: No artifact can be run here.
    """
    if isinstance(data, Dataset) and bundle.manifest.get("vectorizer") is None:
        raise DataError(
            f"bundle '{bundle.path}' has no vectorizer, so it cannot be checked on the texts of "
            f"'{data.name}'"
        )
    if bundle.is_opaque:
        return prove_route(
            bundle, data, with_keras=with_keras, settings=settings, progress=progress
        )
    source = bundle.part("source")
    truth = truth_of(data, bundle.graph(), bundle.labels, decisions=bundle.decisions)
    question = Question(
        rows=data.texts if isinstance(data, Dataset) else data or (),
        over=described(data),
        truth=truth.values,
        timesteps=_golden_timesteps(bundle),
        keras_file=source.read_bytes() if source is not None else None,
        keras_takes_texts=isinstance(bundle.vectorizer(), TextVectorization),
        vectorizer=_vectorizer_of_source(bundle),
        groups=None if data is None else data.groups,
    )
    with Worker() as worker:
        keras = worker if with_keras and has_keras() else None
        oracle = ask_oracles(bundle, question, keras, progress=progress, advance=advance)
    if truth.unused:
        note = f"quality is not checked: {truth.unused}"
        oracle = replace(oracle, notes=(*oracle.notes, note))
    report = judge(
        bundle, oracle, settings=settings, all_engines=True, progress=progress, advance=advance
    )
    if report.artifacts and report.verdict == "not run":
        raise BackendMissing(report.artifacts[0].note)
    return replace(report, notes=(*report.notes, *_notes_on_rows(bundle, data)))


def _vectorizer_of_source(bundle: Bundle) -> AnyVectorizer | None:
    """Return the layer that the Keras file begins with, whose words were all kept; else None."""
    source, vectorizer = bundle.part("source"), bundle.vectorizer()
    pruned = "pruning" in bundle.manifest.get("provenance", {})
    if source is None or pruned or not isinstance(vectorizer, TextVectorization):
        return None
    try:
        return open_source(source).vectorizer
    except GateletError:  # layers of somebody's own, which the caller of the conversion told of
        return None


def _notes_on_rows(bundle: Bundle, data: Dataset | Arrays | None) -> tuple[str, ...]:
    """Return a sentence where the rows are those that the model was trained on."""
    training = bundle.manifest.get("provenance", {}).get("training") or {}
    return (SEEN,) if isinstance(data, Dataset) and was_trained_on(training, data) else ()


def _golden_timesteps(bundle: Bundle) -> dict[str, int]:
    """Return the timesteps of the golden inputs, by graph input."""
    golden = bundle.golden()
    found = {} if golden is None else golden.inputs
    return {n: len(rows[0]) for n, rows in found.items() if rows and isinstance(rows[0], list)}


def ask_draft(
    writer: BundleWriter,
    model: Rewritten,
    settings: ConversionSettings,
    worker: Worker,
    *,
    exports_s: float = 0.0,
) -> Oracle:
    """Ask what is right for the rows that a bundle is judged on, and add its golden vectors.

    Args:
        writer: Of the bundle; it is given the golden vectors, and facts of the proof.
        model: What is exported, and the rows that are judged.
        settings: Whether Keras is asked, and texts are kept.
        worker: Where Keras runs.
        exports_s: Processor time of the exports: made-up rows may cost twice as much.
    """
    source, rows, progress = model.source, model.rows, settings.progress
    bundle = writer.draft()
    timesteps = declared_timesteps(source, model.graph)
    given = rows or source.test
    truth = known_truth(
        given,
        model.graph,
        bundle.labels,
        progress,
        named=source.named,
        decisions=bundle.decisions,
    )
    texts = texts_of(source)
    question = Question(
        rows=rows if isinstance(rows, Arrays) else texts,
        over=described(rows, run=bool(texts)),
        truth=truth,
        timesteps=timesteps,
        keras_file=source.keras_file,
        keras_takes_texts=source.takes_texts,
        budget_s=max(BUDGET_S, 2 * exports_s),
        vectorizer=source.vectorizer,
        groups=None if given is None else given.groups,
    )
    keras = worker if settings.asks_keras else None
    oracle = ask_oracles(bundle, question, keras, progress=progress)
    if settings.with_keras and oracle.keras is None and source.live is not None:
        wrote = source.model.keras_version
        oracle = ask_live(oracle, source.live, wrote=wrote, scaling=source.scaling)
    if oracle.keras_refusal:
        writer.add_provenance(keras_refusal=oracle.keras_refusal)
    if model.whole is not None:
        threshold = raw_threshold(bundle)
        cost = measure_cost(
            model.whole, texts, truth=truth, threshold=threshold, groups=question.groups
        )
        writer.add_provenance(pruning=cost)
    golden = golden_vectors(bundle, oracle, texts, keep_texts=settings.golden_texts)
    writer.add_part("golden", "golden", ".json", golden)
    data = settings.data
    if isinstance(data, Dataset) and was_trained_on(source.provenance, data):
        oracle = replace(oracle, notes=(*oracle.notes, SEEN))
    return oracle


def prove_draft(
    writer: BundleWriter, oracle: Oracle, settings: ConversionSettings, worker: Worker
) -> ParityReport:
    """Check the artifacts of a bundle that is being made.

    Args:
        writer: With every artifact; it is given how good the model is on the rows.
        oracle: The rows, and what is right for them.
        settings: Told what is being done.
        worker: It is closed, as its temporary files lie in the stage.

    Raises:
        ConversionError: Outputs are NaN or constant where the right ones are not.
    """
    bundle = writer.draft()
    check_predictions(bundle, oracle.inputs, oracle.scores)
    worker.close()
    report = judge(bundle, oracle, progress=settings.progress)
    writer.add_provenance(**judged_rows(bundle, oracle))
    return report
