"""The whole conversion: read, lower, export, prove, commit.

Not any of these steps: each has a module of its own.
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gatelet.convert.bundle.device_fit import check_flash, profiles_for
from gatelet.convert.bundle.facts import check_labels, check_vocabulary, default_labels, facts_of
from gatelet.convert.bundle.writer import BundleWriter, commit
from gatelet.convert.exporters.choice import (
    EVERYTHING,
    choose_artifacts,
    fitting,
    installed,
    names_them,
)
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.targets import EXPORTERS
from gatelet.convert.gates.gates import check_predictions, export_checked
from gatelet.convert.keras_route.convert import RouteSettings, convert_past_the_graph
from gatelet.convert.lowering import lower
from gatelet.convert.parity import ParityReport, judge
from gatelet.convert.parity.oracles.ask import (
    ask_live,
    ask_oracles,
    assemble,
    golden_vectors,
    has_keras,
)
from gatelet.convert.passes import skip_padding
from gatelet.convert.passes.streaming import (
    STREAMING_TARGETS,
    choose_streaming,
    streaming_beside,
    with_stream,
)
from gatelet.convert.passes.vocabulary import measure_cost, prune_vocabulary
from gatelet.convert.reading import Equivalents
from gatelet.convert.reading.model_source import ModelSource, open_source, padded_timesteps
from gatelet.convert.rows.given import (
    declared_timesteps,
    known_truth,
    part_calibration,
    texts_of,
)
from gatelet.convert.schemes import Scheme
from gatelet.convert.worker.timing import Timings
from gatelet.convert.worker.worker import Worker
from gatelet.errors import CompilerFailed, ConfigError, DataError
from gatelet.runtime.bundle.opening import MANIFEST, Bundle, open_bundle
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.files import check_output_directory, stage_beside
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.safetensors import encode
from gatelet.runtime.graph.streaming import StreamingGraph
from gatelet.runtime.vectorizer.opening import AnyVectorizer

__all__ = ["convert", "convert_with_report"]

Progress = Callable[[str], None]

ROUTES = ("graph", "keras")


def convert(model_or_run: Any, out: str | Path, **settings: Any) -> Bundle:
    """Convert a model to a bundle and check the parity of every artifact.

    Args:
        model_or_run: A Run, the path of a run or of a Keras file, or a live Keras model.
        out: The bundle's folder: new, empty, or a bundle, which is replaced in one step.
        **settings: Those of `convert_with_report`.

    Returns:
        The bundle; its `verdict` is 'fail' if an artifact failed parity.

    Raises:
        GateletError: See `convert_with_report`.
    """
    return convert_with_report(model_or_run, out, **settings)[0]


def convert_with_report(
    model_or_run: Any,
    out: str | Path,
    *,
    targets: Sequence[str] = (),
    schemes: Sequence[str] = (),
    devices: Sequence[str] = (),
    vectorizer: AnyVectorizer | None = None,
    data: Dataset | Arrays | None = None,
    labels: Sequence[str] = (),
    strip: bool = False,
    stream: bool | None = None,
    vocabulary: int | None = None,
    golden_texts: bool = True,
    with_keras: bool = True,
    config: str | Path | None = None,
    custom_objects: Equivalents = MappingProxyType({}),
    route: str = "graph",
    progress: Progress = lambda text: None,
) -> tuple[Bundle, ParityReport]:
    """Convert a model to a bundle and give the parity report too.

    Args:
        model_or_run: A Run, the path of a run or of a Keras file, or a live Keras model.
        out: The bundle's folder: new, empty, or a bundle, which is replaced in one step.
        targets: Such as 'litert', or 'all'; none means those of the default artifacts.
        schemes: Such as 'float32', or 'all'; what the model does not fit is then left out.
        devices: Names of profiles in `gatelet.devices`: c artifacts get a library for each.
        vectorizer: For a model that comes without one.
        data: Rows for parity; else the run's test part, else seeded random inputs.
        labels: For a model that comes without them.
        strip: Leave the Keras file out of the bundle.
        stream: Whether artifacts get a streaming file, for `Predictor.stream`; None gives one to
            models with stateful layers.
        vocabulary: Ids to keep, the most frequent words'; the others become out-of-vocabulary.
        golden_texts: Keep the texts of golden vectors; False for private data.
        with_keras: Ask Keras too, where it is installed; else the Graph alone is the oracle.
        config: What `model.to_json()` gave, for a file that holds weights only.
        custom_objects: What stands for layers whose code is not Keras' own, by the layer's name,
            registered name or class: the name or class of one of Keras' layers, such a layer,
            or a function that makes one from the custom layer's settings.
        route: 'graph', or 'keras' for a model with layers that the Graph does not know: it goes
            through TensorFlow's and tf2onnx's converters as it is, and Keras is the oracle.
        progress: Told what is being done.

    Returns:
        The bundle as committed, and the report. A failed artifact is marked in the manifest.

    Raises:
        ConfigError: A target, scheme, device or route is not known, a device runs none of the
            targets, or the labels are not those of the model.
        DataError: Rows were given for a model without a vectorizer.
        OutputError: `out` is some other folder, or cannot be written.
        ModelError: The model cannot be read or lowered.
        ConversionError: An exporter failed, a gate refused what it gave, or `stream` is wanted of a
            model that cannot stream; nothing is written.
        CompilerFailed: The target c was asked for, and no C compiler can make its library; where no
            target was named, c is left out.
    """
    if route not in ROUTES:
        raise ConfigError(f"route '{route}' is not known; known are {', '.join(ROUTES)}")
    out = Path(os.path.abspath(out))  # noqa: PTH100  '.' has no name, and resolve() follows links
    chosen = choose_artifacts(tuple(targets), tuple(schemes))
    check_output_directory(out, marker=MANIFEST, kind="bundle")
    timings = Timings(progress)
    progress = timings.tell
    if not names_them(targets):
        chosen = installed(chosen, progress)
    profiles = profiles_for(devices, chosen)
    if route == "keras":
        settings = RouteSettings(vectorizer, data, tuple(labels), strip, golden_texts, progress)
        return convert_past_the_graph(model_or_run, out, chosen, settings)
    progress("reading the model")
    source = _complete(
        open_source(
            model_or_run,
            config=None if config is None else Path(config),
            custom_objects=custom_objects,
        ),
        vectorizer,
        data,
        labels,
    )
    graph = lower(source.model)
    check_vocabulary(source, graph)
    check_labels(source.labels, graph)
    if isinstance(data, Dataset) and source.vectorizer is None:
        raise DataError(
            f"model '{source.name}' comes without a vectorizer, so it cannot be checked on the "
            f"texts of '{data.name}': give one with --vectorizer"
        )
    pruning = None
    if vocabulary is not None:
        progress(f"keeping {vocabulary:,} ids of the vocabulary")
        source, graph, pruning = _prune(source, graph, vocabulary)
    if not names_them(targets) or EVERYTHING in schemes:
        chosen = fitting(chosen, graph, vectorizer=source.vectorizer, progress=progress)
    parted = part_calibration(source, data, graph, chosen)
    source, data = replace(source, test=parted.test), parted.data
    streaming = choose_streaming(graph, source.model, wanted=stream, progress=progress)
    with stage_beside(out) as stage, Worker(scratch=stage) as worker:
        timings.watch(worker)
        keras = worker if with_keras and has_keras() else None
        source, refusal = assemble(source, keras)
        facts = facts_of(out.name, source, graph)
        if pruning is not None:
            facts["provenance"]["pruning"] = pruning
        if custom_objects:
            facts["provenance"]["custom_objects"] = sorted(custom_objects)
        writer = BundleWriter(stage, facts)
        _add_parts(writer, source, graph, strip=strip)
        model = Exportable(
            # the artifacts' own Graph skips padding: the bundle keeps the plain one, the oracle
            graph=graph,
            skipping=skip_padding(graph, timesteps=padded_timesteps(source)),
            vectorizer=source.vectorizer,
            name=facts["name"],
            labels=tuple(facts["labels"]),
            threshold=source.threshold,
            calibration=parted.calibration,
            streaming=streaming_beside(graph, wanted=stream),
            scratch=stage,
            platforms=tuple(dict.fromkeys(one.platform for one in profiles)),
        )
        _export_all(
            writer,
            model,
            chosen,
            streaming=streaming,
            worker=worker,
            by_default=not names_them(targets) and not profiles,
            progress=progress,
        )
        check_flash(profiles, writer.artifacts, writer.files)
        writer.write_manifest({})
        texts = texts_of(source)
        oracle = ask_oracles(
            open_bundle(stage),
            data if isinstance(data, Arrays) else texts,
            keras,
            timesteps=declared_timesteps(source, graph),
            keras_file=source.keras_file,
            keras_takes_texts=source.takes_texts,
            truth=known_truth(
                data or source.test, graph, facts["labels"], progress, named=bool(source.labels)
            ),
            progress=progress,
        )
        if with_keras and oracle.keras is None and source.live is not None:
            oracle = ask_live(oracle, source.live, version=source.model.keras_version)
        if oracle.keras_refusal or refusal:
            facts["provenance"]["keras_refusal"] = oracle.keras_refusal or refusal
        golden = golden_vectors(open_bundle(stage), oracle, texts, keep_texts=golden_texts)
        writer.add_part("golden", "golden", ".json", golden)
        writer.write_manifest({})
        timings.end()
        check_predictions(open_bundle(stage), oracle.inputs, oracle.scores)
        worker.close()  # its temporary files lie in the stage
        report = judge(open_bundle(stage), oracle, progress=progress)
        timings.end()
        facts["provenance"]["processor_s"] = {**timings.processor_s, "all": timings.total_s}
        writer.write_manifest({(a.target, a.scheme): a.to_manifest() for a in report.artifacts})
        open_bundle(stage)
        commit(stage, out)
    return open_bundle(out), report


def _complete(
    source: ModelSource,
    vectorizer: AnyVectorizer | None,
    data: Dataset | Arrays | None,
    labels: Sequence[str],
) -> ModelSource:
    return replace(
        source,
        vectorizer=vectorizer or source.vectorizer,
        test=data if isinstance(data, Dataset) else source.test,
        labels=tuple(labels) or source.labels,
    )


def _prune(
    source: ModelSource, graph: Graph, vocabulary: int
) -> tuple[ModelSource, Graph, dict[str, Any]]:
    """Drop the rarest words, and measure on the texts at hand what that costs."""
    pruned = prune_vocabulary(graph, source.vectorizer, vocabulary)
    assert source.vectorizer is not None
    labels = source.labels or default_labels(graph)
    cost = measure_cost(
        graph,
        source.vectorizer,
        pruned,
        texts_of(source),
        truth=known_truth(source.test, graph, labels, lambda text: None, named=bool(source.labels)),
        threshold=source.threshold,
    )
    return replace(source, vectorizer=pruned.vectorizer), pruned.graph, cost


def _add_parts(writer: BundleWriter, source: ModelSource, graph: Graph, *, strip: bool) -> None:
    """Add the Graph and its weights, the vectorizer, and the Keras file."""
    writer.add_part("graph", "graph", ".json", graph.to_json().encode())
    writer.add_part("weights", "weights", ".safetensors", encode(graph.weights))
    if source.vectorizer is not None:
        writer.add_part("vectorizer", "vectorizer", ".json", source.vectorizer.to_json().encode())
    if source.keras_file is not None and not strip:
        writer.add_part("source", "model", source.keras_suffix, source.keras_file)


def _export_all(
    writer: BundleWriter,
    model: Exportable,
    chosen: tuple[tuple[str, Scheme], ...],
    *,
    streaming: StreamingGraph | None,
    worker: Worker,
    by_default: bool,
    progress: Progress,
) -> None:
    """Add each artifact, with its streaming file where the model streams.

    Raises:
        CompilerFailed: A target that was asked for, or is the only one, needs a C compiler.
    """
    without: set[str] = set()
    for target, scheme in chosen:
        if target in without:
            continue
        progress(f"exporting {target} {scheme.name}")
        try:
            exported = export_checked(model, target, scheme, worker)
        except CompilerFailed as error:
            without.add(target)
            if not by_default or {one for one, _ in chosen} == without:
                raise
            progress(f"leaving out {target}: {error}")
            continue
        if streaming is not None and target in STREAMING_TARGETS:
            progress(f"exporting {target} {scheme.name} for streaming")
            exported = with_stream(
                exported,
                streaming,
                model,
                stem=f"{target}-{scheme.name}-stream",
                suffix=EXPORTERS[target].suffix,
                export=partial(export_checked, target=target, scheme=scheme, worker=worker),
            )
        writer.add_exported(target, scheme.name, EXPORTERS[target].suffix, exported)
