"""The conversion of a model, stage by stage: read, lower, rewrite, export, gate, prove, commit.

Not any of these stages: each is a function of the room that it is named for.
"""

import functools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ParamSpec

from gatelet.convert.bundle.device_fit import check_flash
from gatelet.convert.bundle.facts import describe
from gatelet.convert.bundle.writer import BundleWriter, commit
from gatelet.convert.exporters.choice import choose, fitting
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.keras_route.convert import convert_past_the_graph
from gatelet.convert.ladder import Making, climb, leave_uncalibrated
from gatelet.convert.lowering.lower_source import lower_source, with_meaning
from gatelet.convert.onboard.deliver import deliver
from gatelet.convert.parity import ParityReport
from gatelet.convert.passes import rewrite
from gatelet.convert.proving import ask_draft, prove_draft
from gatelet.convert.reading.read_source import read_source
from gatelet.convert.reading.scaling import units_told
from gatelet.convert.rows.given import part_calibration, unknown_ranges
from gatelet.convert.settings import ConversionSettings, Progress
from gatelet.convert.worker.place import place_for_tools
from gatelet.convert.worker.timing import Timings, spent_s
from gatelet.convert.worker.worker import Worker
from gatelet.runtime.backends.c.cache import own_folder
from gatelet.runtime.bundle.opening import MANIFEST, Bundle, open_bundle
from gatelet.runtime.data.arrays import Arrays
from gatelet.runtime.data.dataset import Dataset
from gatelet.runtime.stages import check_output_directory, kept_on_failure, stage_beside
from gatelet.runtime.vectorizer.opening import AnyVectorizer

P = ParamSpec("P")

Route = Callable[[Any, ConversionSettings, BundleWriter, Worker], ParityReport]
"""Makes everything of a bundle but its manifest, and reports its parity."""


def convert_with_report(
    model_or_run: Any,
    out: str | Path,
    *,
    targets: Sequence[str] = (),
    schemes: Sequence[str] = (),
    devices: Sequence[str] = (),
    vectorizer: AnyVectorizer | None = None,
    data: Dataset | Arrays | None = None,
    labels: Sequence[str] | Mapping[str, Sequence[str]] = (),
    multi_label: bool | None = None,
    threshold: float | Mapping[str, float] | None = None,
    activation: str | Mapping[str, str] | None = None,
    strip: bool = False,
    stream: bool | None = None,
    vocabulary: int | None = None,
    golden_texts: bool = True,
    with_keras: bool = True,
    config: str | Path | None = None,
    custom_objects: Mapping[str, Any] = MappingProxyType({}),
    scale: Sequence[str] = (),
    route: str = "graph",
    progress: Progress = lambda text: None,
) -> tuple[Bundle, ParityReport]:
    """Convert a model to a bundle, and return the parity report too.

    Args:
        model_or_run: A Run, the path of a run or of a Keras file, or a live Keras model.
        out: The bundle's folder: new, empty, or a bundle, which is replaced in one step.
        targets: Such as 'litert', or 'all'; none means those of the default artifacts.
        schemes: Such as 'float32', or 'all'; what the model does not fit is then left out.
        devices: Names of profiles in `gatelet.devices`: c artifacts get a library for each.
        vectorizer: For a model that comes without one.
        data: Rows for parity; else the run's test part, else seeded random inputs.
        labels: For a model that comes without them; of several outputs those of the first, or a
            dict by the layers that make them.
        multi_label: Whether a row may have several labels, where scores do not exclude each other.
        threshold: From which on a single score means the second label, or each of several labels
            is given; or a dict by labels. 0.5 unless given.
        activation: 'sigmoid', 'softmax' or 'none': what makes scores of the numbers of a linear
            last layer, where the file does not say; or a dict by outputs' layers.
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
        scale: Files of the scalers that stood outside the model, JSON or scikit-learn's: the bundle
            takes and gives raw units. See docs/reading.md.
        route: 'graph', or 'keras' for a model with layers that the Graph does not know: it goes
            through TensorFlow's and tf2onnx's converters as it is, and Keras is the oracle.
        progress: Called with what is being done.

    Returns:
        The bundle as committed, and the report. A failed artifact is marked in the manifest.

    Raises:
        ConfigError: A target, scheme, device or route is not known, a device runs none of the
            targets, the labels are not those of the model or nobody says what its scores mean, or
            the route cannot honour a setting.
        DataError: Rows were given for a model without a vectorizer.
        OutputError: `out` is some other folder, or cannot be written.
        ModelError: The model cannot be read or lowered.
        ConversionError: An exporter failed, a gate refused what it gave, or `stream` is wanted of a
            model that cannot stream; nothing is written.
        CompilerFailed: The target c was asked for, and no C compiler can make its library; where no
            target was named, c is left out.
    """
    place = Path(os.path.abspath(out))  # noqa: PTH100  '.' has no name, and resolve() follows links
    check_output_directory(place, marker=MANIFEST, kind="bundle")
    timings = Timings(progress)
    settings = ConversionSettings(
        targets=targets,
        schemes=schemes,
        devices=devices,
        vectorizer=vectorizer,
        data=data,
        labels=labels,
        multi_label=multi_label,
        threshold=threshold,
        activation=activation,
        strip=strip,
        stream=stream,
        vocabulary=vocabulary,
        golden_texts=golden_texts,
        with_keras=with_keras,
        config=config,
        custom_objects=custom_objects,
        scale=tuple(scale),
        route=route,
        progress=timings.tell,
    )
    with (
        stage_beside(place) as stage,
        place_for_tools(stage) as scratch,
        Worker(scratch=scratch) as worker,
    ):
        timings.watch(worker)
        # a name of bytes that are no UTF-8 is written with escapes
        name = os.fsencode(place.name).decode("utf-8", "backslashreplace")
        writer = BundleWriter(stage, {"name": name})
        report = _ROUTES[route](model_or_run, settings, writer, worker)
        if custom_objects:
            writer.add_provenance(custom_objects=sorted(custom_objects))
        timings.end()
        writer.add_provenance(processor_s={**timings.processor_s, "all": timings.total_s})
        writer.write_manifest(
            {(a.target, a.scheme): a.to_manifest() for a in report.artifacts},
            {one.path: one.to_manifest() for one in report.files},
        )
        with kept_on_failure(stage, place):
            commit(stage, place)
    return open_bundle(place), report


def _convert_through_the_graph(
    model_or_run: Any, settings: ConversionSettings, writer: BundleWriter, worker: Worker
) -> ParityReport:
    """Read, lower, rewrite, export, gate and prove; the caller commits."""
    progress, choice = settings.progress, choose(settings)
    source = read_source(model_or_run, settings)
    graph = lower_source(source, settings)
    source = with_meaning(source, graph, settings)
    model = rewrite(source, graph, settings)
    choice = fitting(choice, model.graph, vectorizer=model.source.vectorizer, progress=progress)
    unknown = unknown_ranges(model.source, model.rows, model.graph)
    choice, without_rows = leave_uncalibrated(choice, unknown, progress=progress)
    chosen = choice.artifacts
    parted = part_calibration(model.source, model.rows, model.graph, chosen)
    model = replace(model, source=replace(model.source, test=parted.test), rows=parted.data)
    describe(writer, model.source, model.graph, strip=settings.strip)
    exportable = Exportable(
        # the artifacts' own Graph skips padding: the bundle keeps the plain one, the oracle
        graph=model.graph,
        skipping=model.skipping,
        vectorizer=model.source.vectorizer,
        name=writer.facts["name"],
        labels=tuple(writer.facts["labels"]),
        threshold=model.source.threshold,
        decisions=model.source.decisions,
        units=units_told(model.source.scaling),
        calibration=parted.calibration,
        streaming=model.streaming,
        stream_files=model.stream_files,
        scratch=worker.scratch,
        platforms=tuple(dict.fromkeys(one.platform for one in choice.profiles if not one.is_bare)),
    )
    optional = not choice.by_name and not choice.profiles
    making = Making(writer, exportable, worker, optional, progress, not choice.all_named)
    before_s = spent_s(worker)
    making.make([one for one in chosen if (one[0], one[1].name) not in choice.rungs])
    exports_s = max(0.0, spent_s(worker) - before_s)
    oracle = ask_draft(writer, model, settings, worker, exports_s=exports_s)
    rungs = [one for one in chosen if (one[0], one[1].name) in choice.rungs]
    left_out = (*without_rows, *climb(making, rungs, oracle))
    if left_out:
        writer.facts["left_out"] = [one.to_dict() for one in left_out]
    check_flash(choice.profiles, writer.artifacts, writer.files)
    if any(one.is_bare for one in choice.profiles):
        zig = own_folder() / "zig"
        named = choice.all_named
        deliver(writer, choice.profiles, all_named=named, cache=zig, progress=progress)
    return prove_draft(writer, oracle, settings, worker)


def _returns_bundle_only(
    function: Callable[P, tuple[Bundle, ParityReport]],
) -> Callable[P, Bundle]:
    @functools.wraps(function)
    def first(*args: P.args, **kwargs: P.kwargs) -> Bundle:
        return function(*args, **kwargs)[0]

    first.__name__ = first.__qualname__ = "convert"
    first.__doc__ = (
        (function.__doc__ or "")
        .replace(
            "Convert a model to a bundle, and return the parity report too.",
            "Convert a model to a bundle and check the parity of every artifact.",
        )
        .replace(
            "The bundle as committed, and the report. A failed artifact is marked in the manifest.",
            "The bundle as committed; its `verdict` is 'fail' if an artifact failed parity.",
        )
    )
    return first


convert = _returns_bundle_only(convert_with_report)

_ROUTES: dict[str, Route] = {
    "graph": _convert_through_the_graph,
    "keras": convert_past_the_graph,
}
