"""Parity of a bundle that exists: oracles are asked, artifacts are judged.

Not conversion, and nothing in the bundle changes.
"""

from collections.abc import Callable
from dataclasses import replace

from gatelet.convert.keras_route.parity import prove_route
from gatelet.convert.parity import ParityReport, Settings, judge
from gatelet.convert.parity.oracles.ask import ask_oracles, has_keras
from gatelet.convert.parity.oracles.oracle import Advance, nothing_to_tell
from gatelet.convert.parity.quality.quality import notes_on_quality
from gatelet.convert.rows.truth import truth_of, why_unknown
from gatelet.convert.worker.worker import Worker
from gatelet.errors import BackendMissing, DataError
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.vectorizer.text_vectorization import TextVectorization

__all__ = ["prove"]


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
        progress: Told what is being done.
        advance: Told how many rows are done, by whom.

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
    with Worker() as worker:
        oracle = ask_oracles(
            bundle,
            data.texts if isinstance(data, Dataset) else data or (),
            worker if with_keras and has_keras() else None,
            timesteps=_golden_timesteps(bundle),
            keras_file=source.read_bytes() if source is not None else None,
            keras_takes_texts=isinstance(bundle.vectorizer(), TextVectorization),
            truth=truth_of(data, bundle.graph(), bundle.labels),
            progress=progress,
            advance=advance,
        )
    unknown = why_unknown(data, bundle.graph(), bundle.labels)
    if unknown:
        oracle = replace(oracle, notes=(*oracle.notes, f"quality is not checked: {unknown}"))
    report = judge(
        bundle, oracle, settings=settings, all_engines=True, progress=progress, advance=advance
    )
    if report.artifacts and report.verdict == "not run":
        raise BackendMissing(report.artifacts[0].note)
    doubts = notes_on_quality(report.quality, report.rows)
    return replace(report, notes=(*report.notes, *doubts))


def _golden_timesteps(bundle: Bundle) -> dict[str, int]:
    """Give the timesteps of the golden inputs, by graph input."""
    golden = bundle.golden()
    found = {} if golden is None else golden.inputs
    return {n: len(rows[0]) for n, rows in found.items() if rows and isinstance(rows[0], list)}
