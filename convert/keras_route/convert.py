"""The conversion past the Graph: a Keras model through Keras' own converters, Keras as the oracle.

Not the rule: what the Graph knows is converted by our own exporters (`gatelet.convert.conversion`).
"""

import importlib.metadata
import platform
import unicodedata
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gatelet.convert.bundle.facts import versions_of
from gatelet.convert.bundle.writer import BundleWriter
from gatelet.convert.exporters.choice import choose
from gatelet.convert.exporters.targets import EXPORTERS
from gatelet.convert.gates.gates import check_predictions
from gatelet.convert.keras_route.bundle import (
    ask_keras,
    call_job,
    check_vectorizer,
    export_route,
    route_artifacts,
    route_golden,
)
from gatelet.convert.keras_route.parity import judge_route
from gatelet.convert.keras_route.weights import PACKAGES
from gatelet.convert.parity import ParityReport
from gatelet.convert.parity.costs import too_costly
from gatelet.convert.parity.notes.left_out import notes_on_left_out
from gatelet.convert.reading import keras_suffix
from gatelet.convert.reading.files import read_loss, suffix_of
from gatelet.convert.reading.meaning import Output, meaning_of, trained_by, with_sets
from gatelet.convert.rows.drawn import random_rows
from gatelet.convert.rows.given import described
from gatelet.convert.rows.rows import Rows, ids_of, rows_of
from gatelet.convert.rows.vocabulary import vocabulary_sha256
from gatelet.convert.settings import ConversionSettings, has_keras
from gatelet.convert.worker.worker import Worker
from gatelet.errors import ConversionError, DataError, ModelError
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.run import Run, is_run
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.interface import interface_of, interface_to_dict
from gatelet.runtime.stages import temporary_folder
from gatelet.runtime.vectorizer.opening import AnyVectorizer


@dataclass(frozen=True)
class _Source:
    """What is converted.

    Args:
        name: What it is called.
        keras_file: The model.
        run: That it is of; None for a model alone.
        vectorizer: The caller's, or the run's.
        rows: To compare on; () for random ones.
    """

    name: str
    keras_file: bytes
    run: Run | None
    vectorizer: AnyVectorizer | None
    rows: Sequence[str] | Arrays


def convert_past_the_graph(
    model_or_run: Any, settings: ConversionSettings, writer: BundleWriter, worker: Worker
) -> ParityReport:
    """Read, export, gate and prove a model with layers that the Graph does not know.

    Args:
        model_or_run: A Run, the path of a run or of a Keras file, or a live Keras model.
        settings: The caller's; targets and schemes that this route does not make are left out.
        writer: Collects the bundle's files; the caller commits.
        worker: Where Keras and its converters run; it is closed.

    Raises:
        ConversionError: Keras is not installed, a converter gave no usable file, or a gate
            refused it.
        ModelError: Keras cannot load the model.
        DataError: Rows were given for a model without a vectorizer.
    """
    if not has_keras():
        raise ConversionError("the route past the Graph needs Keras: pip install 'gatelet[train]'")
    choice, progress = choose(settings), settings.progress
    kept = route_artifacts(choice.artifacts)
    source = _read(model_or_run, settings)
    with worker.exchange() as folder:
        model = folder / f"model{keras_suffix(source.keras_file)}"
        model.write_bytes(source.keras_file)
        step = "loading of the model by Keras"
        told = call_job(worker, "describe_job", step, model=str(model))
        interface = interface_of(told["interface"])
        loss = read_loss(model)
        writer.facts |= _facts(source, settings, interface, {**told, "loss": loss})
        if source.vectorizer is not None:
            check_vectorizer(source.vectorizer, interface)
            writer.add_part(
                "vectorizer", "vectorizer", ".json", source.vectorizer.to_json().encode()
            )
            digest = vocabulary_sha256(source.vectorizer.vocabulary)
            writer.add_provenance(vocabulary_sha256=digest)
        if not settings.strip:
            writer.add_part("source", "model", model.suffix, source.keras_file)
        for target, scheme in kept:
            progress(f"exporting {target} {scheme.name} past the Graph")
            exported = export_route(worker, model, target, scheme, told)
            writer.add_exported(target, scheme.name, EXPORTERS[target].suffix, exported)
    progress("asking Keras")
    inputs, texts = _inputs(interface, source.vectorizer, source.rows)
    answers = ask_keras(source.keras_file, interface, inputs, worker, version=told["keras"])
    if source.rows:
        data = settings.data
        over = described(data, run=source.run is not None)
        answers = replace(answers, over=over, groups=None if data is None else data.groups)
    golden = route_golden(answers, texts if settings.golden_texts else ())
    writer.add_part("golden", "golden", ".json", golden)
    writer.facts["float32_limit"] = answers.float32_limit
    bundle = writer.draft()
    check_predictions(bundle, answers.inputs, answers.scores)
    worker.close()  # its temporary files lie in the stage
    report = judge_route(bundle, answers, progress=progress)
    return _without_costly(report, writer, choice.rungs)


def _without_costly(
    report: ParityReport, writer: BundleWriter, rungs: Collection[tuple[str, str]]
) -> ParityReport:
    """Leave out what nobody asked for by its scheme, and what costs too much."""
    found = [
        too_costly(
            one.target,
            one.scheme,
            [check for check in one.checks if check.question == "costs"],
            report.rows,
        )
        for one in report.artifacts
        if (one.target, one.scheme) in rungs
    ]
    left_out = tuple(one for one in found if one is not None)
    if not left_out:
        return report
    for one in left_out:
        writer.remove(one.target, one.scheme)
    writer.facts["left_out"] = [one.to_dict() for one in left_out]
    gone = {(one.target, one.scheme) for one in left_out}
    kept = tuple(one for one in report.artifacts if (one.target, one.scheme) not in gone)
    notes = (*report.notes, *notes_on_left_out(left_out, kept))
    return replace(report, artifacts=kept, left_out=left_out, notes=notes)


def _read(model_or_run: Any, settings: ConversionSettings) -> _Source:
    name, keras_file, run = _open(model_or_run)
    vectorizer = settings.vectorizer or (
        run.vectorizer() if run is not None and run.takes_texts else None
    )
    rows: Sequence[str] | Arrays = ()
    if isinstance(settings.data, Arrays):
        rows = settings.data
    elif vectorizer is not None:
        dataset = settings.data or (run.test() if run is not None else None)
        rows = dataset.texts if dataset is not None else ()
    elif settings.data is None and run is not None:
        kept = run.test_rows()
        rows = kept if isinstance(kept, Arrays) else ()
    elif settings.data is not None:
        raise DataError(f"model '{name}' comes without a vectorizer: give one with --vectorizer")
    return _Source(name, keras_file, run, vectorizer, rows)


def _open(source: Any) -> tuple[str, bytes, Run | None]:
    """Return a name, the Keras file, and the run that it is of."""
    if isinstance(source, str | Path) and is_run(Path(source)):
        source = Run.open(Path(source))
    if isinstance(source, Run):
        return source.path.name, source.model_path.read_bytes(), source
    if isinstance(source, str | Path):
        suffix_of(Path(source))
        return Path(source).stem, Path(source).read_bytes(), None
    with temporary_folder() as folder:
        path = folder / "model.keras"
        try:
            source.save(path)
        except (OSError, TypeError, ValueError, NotImplementedError) as error:
            raise ModelError(f"Keras cannot save the model '{source.name}': {error}") from error
        return str(source.name), path.read_bytes(), None


def _facts(
    source: _Source, settings: ConversionSettings, interface: Graph, told: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the manifest's entries about the model."""
    run = source.run
    names, layers = interface.outputs, told["layers"]
    trained = trained_by(told["loss"], layers)
    outputs = [
        Output(name, layer, interface.shape_of(name), ending, one)
        for name, layer, ending, one in zip(names, layers, told["endings"], trained, strict=True)
    ]
    labels, threshold = ((), 0.5) if run is None else (run.labels, run.threshold)
    if run is not None:
        settings = with_sets(settings, run.labels, run.thresholds)
    meaning = meaning_of(outputs, settings, labels=labels, threshold=threshold)
    decisions = [one.to_json() for one in meaning.decisions]
    return {
        **({"decisions": decisions} if decisions else {}),
        "route": "keras",
        "interface": interface_to_dict(interface),
        "labels": list(meaning.labels),
        "threshold": meaning.threshold,
        "provenance": {
            "gatelet": importlib.metadata.version("gatelet"),
            "python": platform.python_version(),
            "unicode": unicodedata.unidata_version,
            "keras_of_model": told["keras"],
            "packages": versions_of(*PACKAGES),
            "model": source.name,
            "parameters": told["parameters"],
        },
    }


def _inputs(
    interface: Graph, vectorizer: AnyVectorizer | None, rows: Sequence[str] | Arrays
) -> tuple[Rows, Sequence[str]]:
    if isinstance(rows, Arrays):
        return rows_of(interface, rows), ()
    if vectorizer is not None and rows:
        return Rows({interface.inputs[0].name: ids_of(vectorizer, rows)}), rows
    return random_rows(interface, vectorizer, {}), ()
