"""The exporters by target, and the one way to call them.

Not an exporter.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from gatelet.convert.exporters.c import export_c
from gatelet.convert.exporters.exported import Exportable, Exported
from gatelet.convert.exporters.identity import identity_of
from gatelet.convert.exporters.litert import export_litert
from gatelet.convert.exporters.litert.metadata import add_metadata
from gatelet.convert.exporters.onnx import export_onnx
from gatelet.convert.exporters.onnx.text import check_vectorizer
from gatelet.convert.exporters.tflm import export_tflm
from gatelet.convert.isolation import Worker
from gatelet.convert.schemes import Scheme
from gatelet.errors import ConversionError

__all__ = ["EXPORTERS", "Exporter", "export"]


@dataclass(frozen=True)
class Exporter:
    """How a target's artifacts are made.

    Args:
        function: Exports in this process.
        suffix: Of the artifact's file.
        package: What must be installed, by its import name.
        extra: The extra of gatelet that installs it.
        isolated: It can crash or hang, so it runs in the worker process.
    """

    function: Callable[[Exportable, Scheme], Exported]
    suffix: str
    package: str
    extra: str
    isolated: bool


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
    return replace(
        exported,
        data=add_metadata(exported.data, model, scheme),
        facts={"engines": list(_LITERT_ENGINES.get(scheme.name, _LITERT_ENGINES[""]))},
    )


def _onnx(model: Exportable, scheme: Scheme) -> Exported:
    return export_onnx(model.skipping, scheme, identity=identity_of(model, "onnx", scheme))


def _onnx_text(model: Exportable, scheme: Scheme) -> Exported:
    vectorizer = check_vectorizer(model.vectorizer)
    identity = identity_of(model, "onnx-text", scheme)
    return export_onnx(model.skipping, scheme, identity=identity, vectorizer=vectorizer)


EXPORTERS = {
    "litert": Exporter(_litert, ".tflite", package="tensorflow", extra="train", isolated=True),
    "onnx": Exporter(_onnx, ".onnx", package="onnx", extra="convert", isolated=False),
    "tflm": Exporter(export_tflm, ".tflite", package="tflite_micro", extra="tflm", isolated=True),
    "onnx-text": Exporter(_onnx_text, ".onnx", package="onnx", extra="convert", isolated=False),
    "c": Exporter(export_c, ".bin", package="numpy", extra="convert", isolated=False),
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
    if scheme.embeddings and not any(node.op == "Embedding" for node in model.graph.nodes):
        raise ConversionError(
            f"the model has no Embedding, so {target} {scheme.name} would be no smaller than "
            f"{scheme.name.removesuffix('-emb4')}: choose that with --scheme",
            target=target,
        )
    exporter = EXPORTERS[target]
    if not exporter.isolated:
        return exporter.function(model, scheme)
    with tempfile.TemporaryDirectory(dir=worker.scratch, prefix="gatelet-") as folder:
        given, made = Path(folder) / "model", Path(folder) / "artifact"
        given.mkdir()
        made.mkdir()
        model.save(given)
        worker.call(
            "gatelet.convert.jobs:export_job",
            {"target": target, "scheme": scheme.name, "model": str(given), "out": str(made)},
            step=f"export to {target} {scheme.name}",
            advice="leave this artifact out with --target or --scheme",
        )
        return Exported.open(made)
