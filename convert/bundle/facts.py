"""What a manifest says of the model, and the refusal of what cannot be said of it.

Not the manifest, which `gatelet.convert.bundle.writer` writes.
"""

import importlib.metadata
import platform
import unicodedata
from collections.abc import Sequence
from typing import Any

from gatelet.convert.reading.model_source import ModelSource
from gatelet.errors import ConfigError, ModelError
from gatelet.runtime.data.dataset import sha256_of
from gatelet.runtime.graph.graph import Graph

__all__ = ["check_labels", "check_vocabulary", "default_labels", "facts_of"]


def check_vocabulary(source: ModelSource, graph: Graph) -> None:
    """Refuse a vectorizer that cannot be the model's.

    Raises:
        ModelError: It cannot.
    """
    limit = graph.inputs[0].vocabulary
    if source.vectorizer is None:
        return
    if len(graph.inputs) > 1:
        raise ModelError(
            f"model '{source.name}' takes {len(graph.inputs)} inputs, so no vectorizer alone can "
            "make them: convert it without --vectorizer, and give it ids"
        )
    if limit is None:
        raise ModelError(f"model '{source.name}' takes features, so it can have no vectorizer")
    if source.vectorizer.vocabulary_size > limit:
        raise ModelError(
            f"the vectorizer gives ids up to {source.vectorizer.vocabulary_size - 1}, the model "
            f"'{source.name}' takes ids up to {limit - 1}: it belongs to another model"
        )


def check_labels(labels: Sequence[str], graph: Graph) -> None:
    """Refuse labels that are not as many as the model's scores.

    Raises:
        ConfigError: They are not.
    """
    scores = graph.shape_of(graph.outputs[0])[-1]
    if not labels or scores is None:
        return
    expected = max(2, scores)
    if len(labels) != expected or len(set(labels)) < expected:
        raise ConfigError(
            f"the labels are {', '.join(labels)}: the model gives {scores} scores a row, so name "
            f"{expected} different labels"
        )


def facts_of(name: str, source: ModelSource, graph: Graph) -> dict[str, Any]:
    """Give the manifest's entries about the model: name, labels, threshold, provenance."""
    return {
        "name": name,
        "labels": list(source.labels or default_labels(graph)),
        "threshold": source.threshold,
        "provenance": {
            "gatelet": importlib.metadata.version("gatelet"),
            "python": platform.python_version(),
            "unicode": unicodedata.unidata_version,
            "keras_of_model": source.model.keras_version,
            "packages": _versions("tensorflow", "keras", "onnx", "onnxruntime", "ai-edge-litert"),
            "model": source.name,
            "parameters": graph.parameters,
            "test_data_sha256": sha256_of(source.test) if source.test is not None else None,
            "training": dict(source.provenance),
        },
    }


def _versions(*packages: str) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def default_labels(graph: Graph) -> tuple[str, ...]:
    """Number the classes of a classifier; a model that ends otherwise has no labels."""
    made = {output: node for node in graph.nodes for output in node.outputs}
    last = made.get(graph.outputs[0])
    if last is None or len(last.shape) != 2:
        return ()
    outputs = last.shape[-1] or 0
    activation = last.attributes.get("activation")
    if activation == "sigmoid" and outputs == 1:
        return ("0", "1")
    if activation == "softmax":
        return tuple(str(index) for index in range(outputs))
    return ()
