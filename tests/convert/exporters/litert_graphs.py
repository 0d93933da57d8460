"""Holds the LiteRT files of small Graphs against the reference."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from gatelet.convert.exporters.exported import Exported
from gatelet.convert.exporters.litert import export_litert
from gatelet.convert.parity.checks.scores import difference
from gatelet.convert.schemes import SCHEMES
from gatelet.runtime.backends.litert import LitertBackend
from gatelet.runtime.backends.reference import ReferenceBackend, run_graph
from gatelet.runtime.graph.graph import Graph

Array = NDArray[Any]
Feeds = Mapping[str, Array]

FLOOR = 1e-5
FACTOR = 4
"""Of the distance that float32 itself makes."""

SIZES = ((1, 1), (1, 9), (7, 5), (64, 3), (2, 17), (1, 9))
"""(B, T), in the order that one interpreter is resized."""


class Compared:
    """A Graph, its LiteRT file, and one interpreter of it."""

    def __init__(self, graph: Graph, *, scheme: str = "float32") -> None:
        self.graph = graph
        self.exported: Exported = export_litert(graph, SCHEMES[scheme])

    @cached_property
    def backend(self) -> LitertBackend:
        return self.opened()

    def opened(self) -> LitertBackend:
        """Return an interpreter that has run nothing."""
        return LitertBackend(
            lambda: Interpreter(model_content=self.exported.data, num_threads=1),
            engine="ai-edge-litert",
        )

    @cached_property
    def model(self) -> Any:
        """The flatbuffer as objects."""
        from tensorflow.lite.python import schema_py_generated as schema

        return schema.ModelT.InitFromObj(schema.Model.GetRootAs(self.exported.data, 0))

    def run(self, feeds: Feeds) -> dict[str, Array]:
        return self.backend.run(feeds)

    def excesses(self, feeds: Feeds, *, floor: float = FLOOR) -> dict[str, float]:
        """Return each output's largest difference from the reference as a multiple of the limit."""
        exact = ReferenceBackend(self.graph, dtype=np.float64).run(feeds)
        single = run_graph(self.graph, feeds)
        found = self.run(feeds)
        worst = {}
        for name in self.graph.outputs:
            assert found[name].shape == exact[name].shape, name
            # float32 has no number for what overflows it
            too_large = np.isinf(single[name]) & np.isfinite(exact[name])
            expected = np.where(too_large, single[name], exact[name])
            rounding = difference(single[name], expected).max(initial=0)
            limit = max(floor, FACTOR * rounding)
            worst[name] = float(difference(found[name], expected).max(initial=0) / limit)
        return worst

    def failures(self, many: Iterable[Feeds], *, floor: float = FLOOR) -> list[str]:
        """Report what exceeds the limit: 'output at its input's shape: multiple'."""
        return [
            f"{name} at {next(iter(feeds.values())).shape}: {excess:.2g}"
            for feeds in many
            for name, excess in self.excesses(feeds, floor=floor).items()
            if not excess <= 1
        ]

    def int8_bytes(self) -> int:
        """Return the size of the constants that are stored as int8, each counted once."""
        from tensorflow.lite.python import schema_py_generated as schema

        tensors = [one for graph in self.model.subgraphs for one in graph.tensors]
        buffers = {one.buffer for one in tensors if one.type == schema.TensorType.INT8}
        sizes = [self.model.buffers[index].data for index in buffers]
        return sum(len(data) for data in sizes if data is not None)
