"""The source of a model has only the activations that the model has, and computes as the library.

Not what they compute: see the conformance tests.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gatelet.convert.exporters.c.build import run_compiler
from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.c.files import render
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.backends.c.backend import CBackend
from gatelet.runtime.backends.c.library import open_library
from gatelet.runtime.backends.reference import ACTIVATIONS
from gatelet.runtime.graph.graph import Graph
from tests.convert.exporters.c_builds import LIBRARY, STRICT, build
from tests.convert.exporters.onnx_graphs import GraphMaker

EACH = 8


def graph_of(names: list[str]) -> Graph:
    """Feed features [B, 6] to some activations, each with an output of its own."""
    maker = GraphMaker()
    x = maker.input("features", None, 6)
    halved = {"glu": 3}
    shapes = [(None, halved.get(name, 6)) for name in names]
    made = [
        maker.one("Activation", [x], shape, activation=name)
        for name, shape in zip(names, shapes, strict=True)
    ]
    return maker.finish(*made)


def from_one_source(model: Exportable, folder: Path) -> Path:
    """Compile what is shipped as one file."""
    text = render(write_model(model, SCHEMES["float32"]), model, SCHEMES["float32"])["source"]
    (folder / "whole.c").write_text(text)
    library = folder / "whole.so"
    run_compiler(["gcc", *STRICT, "-O1", *LIBRARY, "-o", str(library), str(folder / "whole.c")])
    return library


@pytest.mark.parametrize("first", range(0, len(ACTIVATIONS), EACH))
def test_one_source_activates_as_the_library(first: int, tmp_path: Path) -> None:
    graph = graph_of(list(ACTIVATIONS)[first : first + EACH])
    model = Exportable(graph, graph, name="m")
    written, library = build(model, tmp_path)
    (tmp_path / "w").write_bytes(written.weights)
    rows: dict[str, Any] = {"features": np.linspace(-4, 4, 30, dtype=np.float32).reshape(5, 6)}
    found, expected = (
        CBackend(open_library(one), tmp_path / "w", engine="c").run(rows)
        for one in (from_one_source(model, tmp_path), library)
    )
    assert all((found[name] == expected[name]).all() for name in graph.outputs)


def test_what_no_layer_has_is_left_out(tmp_path: Path) -> None:
    sizes = {}
    for name in ("relu", "gelu"):
        graph = graph_of([name])
        folder = tmp_path / name
        folder.mkdir()
        library = from_one_source(Exportable(graph, graph, name="m"), folder)
        sizes[name] = library.read_bytes().count(np.float32(-0.0268543288).tobytes())
    assert sizes["relu"] == 0 < sizes["gelu"]  # a number of erf's polynomial
