"""The table of targets: how each is exported to; and the one way to call an exporter.

Not how a target is run: that side's row is in `gatelet.runtime.backends.targets`. Nor who reads its
weights back: parity has a table of its own (`gatelet.convert.parity.stored.readers`), since what is
checked does not choose its checker.
"""

import math
from dataclasses import replace

from gatelet.convert.exporters.c import export_c
from gatelet.convert.exporters.c.export import OPERATIONS as C_OPERATIONS
from gatelet.convert.exporters.c.refusal import c_refusal
from gatelet.convert.exporters.c.stored import c_weight_bytes
from gatelet.convert.exporters.c.wasm_export import export_wasm
from gatelet.convert.exporters.exported import Exportable, Exported
from gatelet.convert.exporters.identity import identity_of
from gatelet.convert.exporters.litert import export_litert
from gatelet.convert.exporters.litert.export import OPERATIONS as LITERT_OPERATIONS
from gatelet.convert.exporters.litert.metadata import add_metadata, carried_bytes
from gatelet.convert.exporters.onnx import count_scans, export_onnx
from gatelet.convert.exporters.onnx.export import OPERATIONS as ONNX_OPERATIONS
from gatelet.convert.exporters.onnx.text import text_refusal, vocabulary_bytes
from gatelet.convert.exporters.ranges import input_ranges, largest_features
from gatelet.convert.exporters.row import Exporter, Frame
from gatelet.convert.exporters.subtracted import float16_refusal
from gatelet.convert.exporters.tflm import export_tflm
from gatelet.convert.exporters.tflm.refusal import tflm_refusal
from gatelet.convert.schemes import SCHEMES, Scheme, same_but
from gatelet.convert.tolerances import TOLERANCES
from gatelet.convert.worker.worker import Worker
from gatelet.errors import ConversionError
from gatelet.runtime.bundle.ranges import RANGES
from gatelet.runtime.bundle.storage import SMALL_ELEMENTS
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.vectorizer.opening import AnyVectorizer
from gatelet.runtime.vectorizer.tokenizer import Vectorizer


def _litert(model: Exportable, scheme: Scheme) -> Exported:
    exported = export_litert(model.skipping, scheme)
    data = add_metadata(exported.data, model, scheme)
    facts = {"engines": list(_litert_engines(scheme)), **_vocabulary(carried_bytes(data))}
    return replace(exported, data=data, facts=facts)


def _litert_engines(scheme: Scheme) -> tuple[str, ...]:
    """Name the packages that run a file right, the one that it is made for first.

    tflite-runtime 2.14 has no FULLY_CONNECTED with a scale a column, which files for a fixed batch
    do without, and float16 weights that it has made float32 once are lost when an interpreter is
    resized again.
    """
    old, new = "tflite-runtime", "ai-edge-litert"
    if scheme.embeddings or scheme.weights == "float16":
        return (new,)
    if scheme.batch is not None:
        return (old, new)
    return (new, old) if scheme.weights == "float32" else (new,)


def _litert_refusal(graph: Graph, scheme: Scheme, vectorizer: AnyVectorizer | None) -> str:
    """Refuse recurrent kernels of another type where they are convolutions: those are constants."""
    lost = float16_refusal(graph, scheme, target="litert")
    if lost:
        return lost
    if not scheme.recurrent or all(node.op != "ConvLSTM2D" for node in graph.nodes):
        return ""
    return (
        f"litert stores the recurrent kernel of a ConvLSTM2D as its other weights, so it has no "
        f"{scheme.name}: choose another --scheme"
    )


def _onnx_refusal(graph: Graph, scheme: Scheme, vectorizer: AnyVectorizer | None) -> str:
    return float16_refusal(graph, scheme, target="onnx", least=SMALL_ELEMENTS)


def _vocabulary(count: int) -> dict[str, int]:
    """Return what a vocabulary takes in a file that holds one."""
    return {"vocabulary_bytes": count} if count else {}


def _onnx(model: Exportable, scheme: Scheme) -> Exported:
    return export_onnx(model.skipping, scheme, identity=identity_of(model, "onnx", scheme))


def _onnx_text(model: Exportable, scheme: Scheme) -> Exported:
    vectorizer = model.vectorizer
    why = text_refusal(model.graph, scheme, vectorizer)
    if why or not isinstance(vectorizer, Vectorizer):
        raise ConversionError(why, target="onnx-text")
    identity = identity_of(model, "onnx-text", scheme)
    exported = export_onnx(model.skipping, scheme, identity=identity, vectorizer=vectorizer)
    return replace(exported, facts={**exported.facts, **_vocabulary(vocabulary_bytes(vectorizer))})


_FLOATS = (("float32", "float32"), ("float16", "float32"), ("int8", "float32"))
# the frames were measured over the shapes of the public examples
_ONNX_FRAMES = (Frame(200, 600, 600, 350), Frame(200, 800, 900, 500))

EXPORTERS: dict[str, Exporter] = {
    "c": Exporter(
        export_c,
        ".bin",
        package="numpy",
        extra="convert",
        isolated=False,
        made="by default",
        operations=C_OPERATIONS,
        rungs=("dynamic-int8", "dynamic-int8-rec16"),
        refuses=c_refusal,
        numbers=(
            ("float32", "float32"),
            ("int8", "float32"),
            ("int4", "float32"),
            ("int8", "int16"),
        ),
        embeddings=("int4", "int2", "int1"),
        recurrents=("int16",),
        frames=(Frame(), Frame()),  # operators are code, in files beside it
        weight_bytes=c_weight_bytes,
    ),
    "litert": Exporter(
        _litert,
        ".tflite",
        package="tensorflow",
        extra="train",
        isolated=True,
        made="by default",
        operations=LITERT_OPERATIONS,
        refuses=_litert_refusal,
        rungs=("dynamic-int8", "dynamic-int8-rec32", "float16"),
        numbers=_FLOATS,
        embeddings=("int4",),
        recurrents=("float32",),
        fixes_batch=True,
        # the body of a loop is written out
        frames=(Frame(2_500, 5_000, 16_500, 400), Frame(2_500, 8_500, 25_000, 450)),
        row_scale_bytes=2,
        past_graph=("float32", "dynamic-int8"),
    ),
    "onnx": Exporter(
        _onnx,
        ".onnx",
        package="onnx",
        extra="convert",
        isolated=False,
        made="by default",
        operations=ONNX_OPERATIONS,
        refuses=_onnx_refusal,
        rungs=("dynamic-int8", "dynamic-int8-rec32", "float16"),
        numbers=_FLOATS,
        embeddings=("int4",),
        recurrents=("float32",),
        frames=_ONNX_FRAMES,
        loops=count_scans,
        past_graph=("float32",),
    ),
    "tflm": Exporter(
        export_tflm,
        ".tflite",
        package="tflite_micro",
        extra="tflm",
        isolated=True,
        made="when named",
        refuses=tflm_refusal,
        numbers=(("float32", "float32"), ("int8", "int16")),
        parts_embeddings=True,
        skips_padding=False,
        frames=(_ONNX_FRAMES[1], _ONNX_FRAMES[1]),  # a step has about as many operators
        keeps_variables=True,  # which it resets, and streams by them
    ),
    "onnx-text": Exporter(
        _onnx_text,
        ".onnx",
        package="onnx",
        extra="convert",
        isolated=False,
        made="with a scheme",
        operations=ONNX_OPERATIONS,
        rungs=("dynamic-int8",),
        refuses=text_refusal,
        numbers=_FLOATS,
        embeddings=("int4",),
        frames=_ONNX_FRAMES,
        vocabulary_bytes=vocabulary_bytes,
        loops=count_scans,
        stored_as="onnx",
    ),
}

EXPORTERS["wasm"] = replace(
    EXPORTERS["c"],
    function=export_wasm,
    package="ziglang",
    extra="c",
    made="when named",
    stored_as="c",
)

TARGETS = {
    target: tuple(name for name in SCHEMES if (target, name) in TOLERANCES) for target in EXPORTERS
}
"""The schemes of each target: those that have limits, without which nothing could be judged."""


def refusal(
    graph: Graph, target: str, scheme: Scheme, *, vectorizer: AnyVectorizer | None = None
) -> str:
    """Say why a target cannot take a model in a scheme, before any export; '' where it can.

    What this says is what `export` does: both `gatelet inspect` and a conversion ask it.
    """
    row = EXPORTERS[target]
    lacking = row.lacks(scheme)
    if lacking:
        return f"{target} has no {lacking}, as {scheme.name} wants: choose another --scheme"
    if (scheme.embeddings or scheme.outside) and not any(n.op == "Embedding" for n in graph.nodes):
        other = same_but(scheme, embeddings="", outside=False)
        if not other:
            return (
                f"the model has no Embedding, which {target} {scheme.name} is for: choose another "
                "--scheme"
            )
        gain = "the same as" if scheme.outside else "no smaller than"
        return (
            f"the model has no Embedding, so {target} {scheme.name} would be {gain} {other}: "
            "choose that with --scheme"
        )
    if scheme.recurrent and not _has_large_recurrence(graph):
        other = same_but(scheme, recurrent="") or "another scheme"
        return (
            f"the model has no recurrent kernel of {SMALL_ELEMENTS:,} numbers or more, so {target} "
            f"{scheme.name} would be the same as {other}: choose that with --scheme"
        )
    if row.operations is not None:
        missing = {node.op: node.source for node in graph.nodes if node.op not in row.operations}
        told = ", ".join(f"{op} (of layer '{layer}')" for op, layer in missing.items())
        if missing:
            return f"{target} has no {told}: leave it out with --target"
    return row.refuses(graph, scheme, vectorizer)


def _has_large_recurrence(graph: Graph) -> bool:
    kernels = {n.weights.get("recurrent_kernel", "") for n in graph.nodes}
    return any(math.prod(graph.weights[k].shape) >= SMALL_ELEMENTS for k in kernels if k)


def export(model: Exportable, target: str, scheme: Scheme, worker: Worker) -> Exported:
    """Export a model to one artifact.

    Args:
        model: What to export.
        target: A name in `EXPORTERS`.
        scheme: What is stored and computed how.
        worker: Where exporters run that can crash.

    Raises:
        ConversionError: The model has nothing that the scheme is for, the exporter failed, or its
            process died.
    """
    refused = refusal(model.graph, target, scheme, vectorizer=model.vectorizer)
    if refused:
        raise ConversionError(refused, target=target)
    exported = _exported(model, target, scheme, worker)
    facts = {**exported.facts, **_ranges(model, scheme), "stores": scheme.stores}
    return replace(exported, facts=facts)


def _ranges(model: Exportable, scheme: Scheme) -> dict[str, object]:
    """Return what the manifest says of features that an artifact in integers is calibrated for."""
    if scheme.activations == "float32" or model.calibration is None:
        return {}
    largest = largest_features(model.graph, model.calibration.rows)
    ranges = {one.name: one.to_manifest() for one in input_ranges(model.graph, largest)}
    return {RANGES: ranges} if ranges else {}


def _exported(model: Exportable, target: str, scheme: Scheme, worker: Worker) -> Exported:
    if not EXPORTERS[target].isolated:
        return EXPORTERS[target].function(model, scheme)
    with worker.exchange() as folder:
        given, made = folder / "model", folder / "artifact"
        given.mkdir()
        made.mkdir()
        model.save(given)
        worker.call(
            "gatelet.convert.exporters.job:export_job",
            {"target": target, "scheme": scheme.name, "model": str(given), "out": str(made)},
            step=f"export to {target} {scheme.name}",
            advice="leave this artifact out with --target or --scheme",
        )
        return Exported.open(made)
