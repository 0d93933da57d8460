"""The engines that are compared, with the environment of each, and the files they are given.

Not the environments themselves (environments.py), and not the measurement.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.onnx import export_onnx
from gatelet.convert.exporters.targets import export
from gatelet.convert.schemes import SCHEMES
from gatelet.convert.worker.worker import Worker
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.graph.graph import Graph


@dataclass(frozen=True)
class Candidate:
    """An engine with a model.

    Args:
        name: For the table.
        engine: A key of `worker.OPENERS`.
        environment: A key of ENVIRONMENTS.
        scheme: Of the model.
        target: Of gatelet's own artifacts.
        file: The model's file beside the others; '' for the bundle.
        level: Of x86-64, that gatelet's C code is held to; '' for the processor's best.
        arrays: gatelet is given ids in arrays of NumPy, as the other engines are.
    """

    name: str
    engine: str
    environment: str
    scheme: str = "float32"
    target: str = ""
    file: str = ""
    level: str = ""
    arrays: bool = False


ENVIRONMENTS: dict[str, tuple[str, ...]] = {
    "gatelet": ("gatelet",),
    "gatelet, numpy": ("gatelet", "numpy"),
    "gatelet[onnx]": ("gatelet", "numpy", "onnxruntime"),
    "gatelet[litert]": ("gatelet", "numpy", "ai-edge-litert"),
    "onnxruntime": ("numpy", "onnxruntime"),
    "ai-edge-litert": ("numpy", "ai-edge-litert"),
    "tflite-runtime": ("numpy<2", "tflite-runtime==2.14.0"),
    "openvino": ("numpy", "openvino"),
    "pytorch": ("numpy", "torch==2.13.0+cpu"),
    "keras": ("keras", "tensorflow"),
}
"""What pip installs; 'gatelet' is this checkout."""

OTHERWISE: dict[str, tuple[str, ...]] = {"pytorch": ("numpy", "torch")}
"""Where pip finds no such build. PyTorch's own for processors lie in an index of theirs; the one of
the package registry brings CUDA for Linux on x86-64, and is as fast on a processor."""

CANDIDATES = (
    Candidate("gatelet c float32", "gatelet", "gatelet", target="c"),
    Candidate("gatelet c dynamic-int8", "gatelet", "gatelet", "dynamic-int8", "c"),
    Candidate("gatelet c, NumPy ids", "gatelet", "gatelet, numpy", target="c", arrays=True),
    Candidate("gatelet c float32, AVX2", "gatelet", "gatelet", target="c", level="v3"),
    Candidate("gatelet onnx float32", "gatelet", "gatelet[onnx]", target="onnx"),
    Candidate("gatelet litert float32", "gatelet", "gatelet[litert]", target="litert"),
    Candidate("onnxruntime float32", "onnxruntime", "onnxruntime", file="float32.onnx"),
    Candidate(
        "onnxruntime dynamic-int8",
        "onnxruntime",
        "onnxruntime",
        "dynamic-int8",
        file="dynamic-int8.onnx",
    ),
    Candidate("LiteRT float32", "ai-edge-litert", "ai-edge-litert", file="float32.tflite"),
    Candidate(
        "LiteRT dynamic-int8",
        "ai-edge-litert",
        "ai-edge-litert",
        "dynamic-int8",
        file="dynamic-int8.tflite",
    ),
    Candidate("tflite-runtime float32", "tflite-runtime", "tflite-runtime", file="b1.tflite"),
    Candidate("OpenVINO float32", "openvino", "openvino", file="float32.onnx"),
    Candidate("OpenVINO bfloat16", "openvino", "openvino", "bfloat16", file="float32.onnx"),
    Candidate("PyTorch float32", "pytorch", "pytorch", file="weights.npz"),
    Candidate("Keras float32", "keras", "keras", file="model.keras"),
)


def write_files(bundle: Bundle, folder: Path) -> None:
    """Write the model for each engine: no file of theirs skips padding, as no engine does."""
    graph = bundle.graph()
    plain = Exportable(graph, graph)
    with Worker() as worker:
        for scheme in ("float32", "dynamic-int8"):
            (folder / f"{scheme}.onnx").write_bytes(export_onnx(graph, SCHEMES[scheme]).data)
            exported = export(plain, "litert", SCHEMES[scheme], worker)
            (folder / f"{scheme}.tflite").write_bytes(exported.data)
        exported = export(plain, "litert", SCHEMES["float32-b1"], worker)
        (folder / "b1.tflite").write_bytes(exported.data)
    source = bundle.part("source")
    if source is not None:
        shutil.copy(source, folder / "model.keras")
    weights = torch_weights(graph)
    if weights is not None:
        np.savez(folder / "weights.npz", **weights)


def torch_weights(graph: Graph) -> dict[str, Any] | None:
    """Return the weights of Embedding, LSTM, Dense and a sigmoid; None for any other network."""
    if [node.op for node in graph.nodes] != ["Embedding", "LSTM", "Dense", "Activation"]:
        return None
    embedding, lstm, dense, _ = graph.nodes
    found = {role: array_of(graph.weights[name]) for role, name in lstm.weights.items()}
    found["embeddings"] = array_of(graph.weights[embedding.weights["embeddings"]])
    for role, name in dense.weights.items():
        found[f"dense_{role}"] = array_of(graph.weights[name])
    return found
