"""The exporters by target, and the one way to call them.

Not an exporter.
"""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gatelet.convert.exporters.exported import Exportable, Exported
from gatelet.convert.exporters.litert import export_litert
from gatelet.convert.exporters.onnx import export_onnx
from gatelet.convert.isolation import Worker
from gatelet.convert.schemes import Scheme

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


def _litert(model: Exportable, scheme: Scheme) -> Exported:
    return export_litert(model.skipping, scheme)


def _onnx(model: Exportable, scheme: Scheme) -> Exported:
    return export_onnx(model.skipping, scheme)


EXPORTERS = {
    "litert": Exporter(_litert, ".tflite", package="tensorflow", extra="train", isolated=True),
    "onnx": Exporter(_onnx, ".onnx", package="onnx", extra="convert", isolated=False),
}


def export(model: Exportable, target: str, scheme: Scheme, worker: Worker) -> Exported:
    """Export a model to one artifact.

    Args:
        model: What to export.
        target: A name in `EXPORTERS`.
        scheme: What is stored and computed how.
        worker: Where exporters run that can crash.

    Raises:
        ConversionError: The exporter failed, or its process died.
    """
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
