"""What a manifest says of the model.

Not the manifest, which `gatelet.convert.bundle.writer` writes.
"""

import importlib.metadata
import platform
import unicodedata

from gatelet.convert.bundle.writer import BundleWriter
from gatelet.convert.exporters.identity import code_sha256
from gatelet.convert.lowering.unused import unused_layers
from gatelet.convert.reading.model_source import ModelSource
from gatelet.convert.rows.likely import likely_inputs
from gatelet.convert.rows.vocabulary import vocabulary_sha256
from gatelet.runtime.data.dataset import sha256_of
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.safetensors import encode
from gatelet.runtime.stages import check_space


def describe(writer: BundleWriter, source: ModelSource, graph: Graph, *, strip: bool) -> None:
    """Add a model to a bundle: its parts, and what the manifest says of it.

    Args:
        writer: Of the bundle.
        source: What is converted.
        graph: As it is judged.
        strip: Leave the Keras file out.

    Raises:
        OutputError: There is no room for the bundle.
    """
    weights = encode(graph.weights)
    kept = source.keras_file if source.keras_file is not None and not strip else b""
    # a bundle without any artifact: what is refused here cannot be written
    check_space(writer.stage.parent.with_name(writer.facts["name"]), len(weights) + len(kept))
    writer.facts |= {
        "labels": list(source.labels),
        "threshold": source.threshold,
        "provenance": {
            "gatelet": importlib.metadata.version("gatelet"),
            "python": platform.python_version(),
            "unicode": unicodedata.unidata_version,
            "keras_of_model": source.model.keras_version,
            "packages": versions_of(
                "tensorflow", "keras", "onnx", "onnxruntime", "ai-edge-litert", "ziglang"
            ),
            "code_sha256": code_sha256(),
            "model": source.name,
            "parameters": graph.parameters,
            "unused_layers": list(unused_layers(source.model, graph)),
            "inputs": {n: one.to_json() for n, one in likely_inputs(source.model, graph).items()},
            "test_data_sha256": sha256_of(source.test) if source.test is not None else None,
            "training": dict(source.provenance),
        },
    }
    if source.scaling:
        writer.facts["scale"] = {side: one.to_json() for side, one in source.scaling.items()}
    if source.decisions:
        writer.facts["decisions"] = [one.to_json() for one in source.decisions]
    if source.vectorizer is not None:
        digest = vocabulary_sha256(source.vectorizer.vocabulary)
        writer.add_provenance(vocabulary_sha256=digest)
    parts = [
        ("graph", "graph", ".json", graph.to_json().encode()),
        ("weights", "weights", ".safetensors", weights),
    ]
    if source.vectorizer is not None:
        parts.append(("vectorizer", "vectorizer", ".json", source.vectorizer.to_json().encode()))
    if kept:
        parts.append(("source", "model", source.keras_suffix, kept))
    for key, stem, suffix, data in parts:
        writer.add_part(key, stem, suffix, data)


def versions_of(*packages: str) -> dict[str, str]:
    """Return the versions of the packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
