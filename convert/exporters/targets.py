"""The exporters by target, and the one way to call them.

Not an exporter.
"""

import importlib.util
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from gatelet.convert.exporters.c import export_c
from gatelet.convert.exporters.c.activations import activation_refusal
from gatelet.convert.exporters.c.export import OPERATIONS as C_OPERATIONS
from gatelet.convert.exporters.c.integers import integer_refusal
from gatelet.convert.exporters.exported import Exportable, Exported
from gatelet.convert.exporters.identity import identity_of
from gatelet.convert.exporters.litert import export_litert
from gatelet.convert.exporters.litert.export import OPERATIONS as LITERT_OPERATIONS
from gatelet.convert.exporters.litert.metadata import add_metadata, carried_bytes
from gatelet.convert.exporters.onnx import export_onnx
from gatelet.convert.exporters.onnx.export import OPERATIONS as ONNX_OPERATIONS
from gatelet.convert.exporters.onnx.text import check_vectorizer
from gatelet.convert.exporters.stored_bytes import vocabulary_bytes
from gatelet.convert.exporters.tflm import export_tflm
from gatelet.convert.exporters.tflm.refusal import tflm_refusal
from gatelet.convert.schemes import Scheme
from gatelet.convert.worker.worker import Worker
from gatelet.errors import ConversionError
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.vectorizer.opening import AnyVectorizer

__all__ = ["EXPORTERS", "Exporter", "export", "fitting", "installed", "refusal"]


@dataclass(frozen=True)
class Exporter:
    """How a target's artifacts are made.

    Args:
        function: Exports in this process.
        suffix: Of the artifact's file.
        package: What must be installed, by its import name.
        extra: The extra of gatelet that installs it.
        isolated: It can crash or hang, so it runs in the worker process.
        refuses: Says why it cannot take a Graph in a scheme with the model's vectorizer, '' where
            it can; without export.
    """

    function: Callable[[Exportable, Scheme], Exported]
    suffix: str
    package: str
    extra: str
    isolated: bool
    refuses: Callable[[Graph, Scheme, AnyVectorizer | None], str]


def refusal(
    graph: Graph, target: str, scheme: Scheme, *, vectorizer: AnyVectorizer | None = None
) -> str:
    """Say why a target cannot take a model in a scheme, before any export; '' where it can.

    What this says is what `export` does: both `gatelet inspect` and a conversion ask it.
    """
    if scheme.embeddings and not any(node.op == "Embedding" for node in graph.nodes):
        return (
            f"the model has no Embedding, so {target} {scheme.name} would be no smaller than "
            f"{scheme.name.removesuffix('-emb4')}: choose that with --scheme"
        )
    if scheme.outside and not any(node.op == "Embedding" for node in graph.nodes):
        return (
            f"the model has no Embedding, so {target} {scheme.name} would be the same as "
            f"{scheme.name.removesuffix('-features')}: choose that with --scheme"
        )
    return EXPORTERS[target].refuses(graph, scheme, vectorizer)


def _lacks(
    target: str, operations: Collection[str]
) -> Callable[[Graph, Scheme, AnyVectorizer | None], str]:
    """Refuse a Graph with an operation that an exporter has not."""

    def refuses(graph: Graph, scheme: Scheme, vectorizer: AnyVectorizer | None) -> str:
        missing = {n.op: n.source for n in graph.nodes if n.op not in operations}
        told = ", ".join(f"{op} (of layer '{layer}')" for op, layer in missing.items())
        return f"{target} has no {told}: leave it out with --target" if missing else ""

    return refuses


def _takes_no_texts(graph: Graph, scheme: Scheme, vectorizer: AnyVectorizer | None) -> str:
    """Refuse a model that no vectorizer fits, or whose own cannot be in the graph."""
    lacking = _lacks("onnx-text", ONNX_OPERATIONS)(graph, scheme, vectorizer)
    if lacking:
        return lacking
    if len(graph.inputs) > 1:
        return (
            f"onnx-text takes texts, and the model takes {len(graph.inputs)} inputs: choose "
            "--target onnx"
        )
    if graph.inputs[0].dtype != "int32":
        return "onnx-text takes texts, and the model takes features: choose --target onnx"
    try:
        check_vectorizer(vectorizer)
    except ConversionError as error:
        return str(error)
    return ""


def _c_refusal(graph: Graph, scheme: Scheme, vectorizer: AnyVectorizer | None) -> str:
    lacking = _lacks("c", C_OPERATIONS)(graph, scheme, vectorizer) or activation_refusal(graph)
    return lacking or (integer_refusal(graph) if scheme.activations != "float32" else "")


_LITERT_ENGINES = {
    "float32": ("ai-edge-litert", "tflite-runtime"),
    "float32-b1": ("tflite-runtime", "ai-edge-litert"),
    "dynamic-int8-b1": ("tflite-runtime", "ai-edge-litert"),
    "": ("ai-edge-litert",),
}
"""By scheme, '' for all others: what runs the file, the engine that it is made for first.

tflite-runtime 2.14 has no FULLY_CONNECTED with a scale a column, and float16 weights that it has
made float32 once are lost when an interpreter is resized again.
"""


def _litert(model: Exportable, scheme: Scheme) -> Exported:
    exported = export_litert(model.skipping, scheme)
    data = add_metadata(exported.data, model, scheme)
    facts = {
        "engines": list(_LITERT_ENGINES.get(scheme.name, _LITERT_ENGINES[""])),
        **_vocabulary(carried_bytes(data)),
    }
    return replace(exported, data=data, facts=facts)


def _vocabulary(count: int) -> dict[str, int]:
    """Tell what a vocabulary takes in a file that holds one."""
    return {"vocabulary_bytes": count} if count else {}


def _onnx(model: Exportable, scheme: Scheme) -> Exported:
    return export_onnx(model.skipping, scheme, identity=identity_of(model, "onnx", scheme))


def _onnx_text(model: Exportable, scheme: Scheme) -> Exported:
    vectorizer = check_vectorizer(model.vectorizer)
    identity = identity_of(model, "onnx-text", scheme)
    exported = export_onnx(model.skipping, scheme, identity=identity, vectorizer=vectorizer)
    count = vocabulary_bytes(vectorizer, "onnx-text")
    return replace(exported, facts={**exported.facts, **_vocabulary(count)})


EXPORTERS = {
    "litert": Exporter(
        _litert,
        ".tflite",
        package="tensorflow",
        extra="train",
        isolated=True,
        refuses=_lacks("litert", LITERT_OPERATIONS),
    ),
    "onnx": Exporter(
        _onnx,
        ".onnx",
        package="onnx",
        extra="convert",
        isolated=False,
        refuses=_lacks("onnx", ONNX_OPERATIONS),
    ),
    "tflm": Exporter(
        export_tflm,
        ".tflite",
        package="tflite_micro",
        extra="tflm",
        isolated=True,
        refuses=lambda graph, scheme, vectorizer: tflm_refusal(graph, scheme) or "",
    ),
    "onnx-text": Exporter(
        _onnx_text,
        ".onnx",
        package="onnx",
        extra="convert",
        isolated=False,
        refuses=_takes_no_texts,
    ),
    "c": Exporter(
        export_c,
        ".bin",
        package="numpy",
        extra="convert",
        isolated=False,
        refuses=_c_refusal,
    ),
}


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
    exporter = EXPORTERS[target]
    if not exporter.isolated:
        return exporter.function(model, scheme)
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


def installed(
    chosen: tuple[tuple[str, Scheme], ...], progress: Callable[[str], None]
) -> tuple[tuple[str, Scheme], ...]:
    """Leave out targets whose converter is not installed, and say so."""
    left_out = set()
    for target in dict.fromkeys(target for target, _ in chosen):
        needed = EXPORTERS[target]
        if importlib.util.find_spec(needed.package) is None:
            left_out.add(target)
            progress(
                f"leaving out {target}: it needs {needed.package}: "
                f"pip install 'gatelet[{needed.extra}]'"
            )
    kept = tuple((target, scheme) for target, scheme in chosen if target not in left_out)
    if not kept:
        raise ConversionError(
            "no converter is installed: pip install 'gatelet[convert]' for onnx, "
            "'gatelet[train]' for litert"
        )
    return kept


def fitting(
    chosen: tuple[tuple[str, Scheme], ...],
    graph: Graph,
    *,
    vectorizer: AnyVectorizer | None,
    progress: Callable[[str], None],
) -> tuple[tuple[str, Scheme], ...]:
    """Leave out what cannot take the model, where nobody asked for it by name, and say so."""
    refused = {
        (target, scheme.name): refusal(graph, target, scheme, vectorizer=vectorizer)
        for target, scheme in chosen
    }
    kept = tuple(one for one in chosen if not refused[one[0], one[1].name])
    if not kept:
        raise ConversionError(next(iter(refused.values())))
    for (target, name), why in refused.items():
        if why:
            progress(f"leaving out {target} {name}: {why}")
    return kept
