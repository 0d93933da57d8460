"""Builds C models for tests, quickly: with cc, linked with kernels that are compiled once."""

from pathlib import Path

from gatelet.convert.exporters.c.build import kernel_object, run_compiler
from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.c.files import Model, render
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.graph.graph import Graph
from tests.convert.exporters.onnx_graphs import GraphMaker

STRICT = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
LIBRARY = ("-DGATELET_LIBRARY", "-DGATELET_ONE_LEVEL", "-fPIC", "-shared", "-std=c11")


def small_graph(*, vocabulary: int = 50, units: int = 8) -> Graph:
    """Feed ids [B, T] to an Embedding, an LSTM and one sigmoid score."""
    maker = GraphMaker()
    ids = maker.input("ids", None, None, vocabulary=vocabulary)
    table = {"embeddings": maker.weight(vocabulary, 6)}
    x = maker.one("Embedding", [ids], (None, None, 6), weights=table)
    (h,) = maker.recurrence("LSTM", [x], features=6, units=units, return_sequences=False)
    y = maker.one("Dense", [h], (None, 1), weights={"kernel": maker.weight(units, 1)})
    return maker.finish(maker.one("Activation", [y], (None, 1), activation="sigmoid"))


def build(
    model: Exportable, folder: Path, *, scheme: str = "float32", flags: tuple[str, ...] = ("-O1",)
) -> tuple[Model, Path]:
    """Compile a model with gcc; give what was written, and the library."""
    written = write_model(model, SCHEMES[scheme])
    source, library = folder / "model.c", folder / "library.so"
    source.write_text(render(written, model, SCHEMES[scheme])["linked"])
    kernels = kernel_object(["gcc"], (*flags, *STRICT))
    run_compiler(["gcc", *STRICT, *flags, *LIBRARY, "-o", str(library), str(source), str(kernels)])
    return written, library
