"""Whether integer files of tflm follow float in long streams: a table, and exit status 1 if not.

    python benchmarks/tflm_states.py [--small]

LSTM and GRU layers of 8 to 32 units with time constants of 10 to 20,000 steps, some behind a
Normalization and some of random weights, are converted to full-int8 and fed constants, sines,
noise and bursts, over 200 time constants: 20,000 to 100,000 steps. Each is refused, or every output
stays within 1 % of the output's span of float32.
Where all units forget within 50 steps, rows of calibration show what 8-bit weights cost, and no
stream may cost more. A refused layer is measured as well: some are within
the limit.
"""

import argparse
import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from typing import Any
from unittest.mock import patch

import numpy as np

from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.tflm import export_tflm
from gatelet.convert.exporters.tflm.long_streams import FAST_STEPS, long_stream_refusal
from gatelet.convert.exporters.tflm.slow_units import slow_unit_refusal
from gatelet.convert.rows.calibration import Calibration
from gatelet.convert.schemes import SCHEMES
from gatelet.errors import Refused
from gatelet.runtime.backends.tflm import TflmBackend
from gatelet.runtime.graph.graph import Graph, Node
from gatelet.runtime.graph.safetensors import Tensor
from tests.convert.exporters.slow_graphs import FEATURES, signals, slow_graph, with_weights

LIMIT, STEPS, ROW_STEPS, ROWS, CONSTANTS = 0.01, 100_000, 200, 12, 200
BLOCK_STEPS = 2000
KINDS = ("gru", "chrono", "small", "counter", "random gru", "random lstm")
TAUS = ((10.0,), (10.0, 30.0), (10.0, 60.0), (10.0, 100.0), (10.0, 300.0), (10.0, 1000.0))
ALL_TAUS = (10.0, 100.0, 1000.0, 5000.0, 20000.0)
UNITS = (8, 16, 32)
OFFSET, FACTOR = 300.0, 40.0
"""Of raw features, which a Normalization evens."""


def models() -> Iterator[tuple[str, int, int, tuple[float, ...], bool]]:
    """Give each layer's kind, units, seed, time constants, and whether it has a Normalization."""
    for row, kind in enumerate(KINDS):
        for column, taus in enumerate((*TAUS, ALL_TAUS)):
            place = row + column
            yield kind, UNITS[place % len(UNITS)], 61 + place, taus, place % 2 == 1


def graph_of(kind: str, units: int, seed: int, taus: tuple[float, ...]) -> Graph:
    """Return a layer, which gives all its steps."""
    if not kind.startswith("random"):
        return slow_graph(kind, units, seed, taus=taus)
    graph = slow_graph("gru" if "gru" in kind else "counter", units, seed, taus=taus)
    (node,), rng = graph.nodes, np.random.default_rng(seed)
    given = {}
    for role, size in (("kernel", 0.7), ("recurrent_kernel", 1.0 / np.sqrt(units))):
        name = node.weights[role]
        given[name] = rng.normal(0, size, graph.weights[name].shape)
    return with_weights(graph, given)


def normalized(graph: Graph) -> Graph:
    """Return a layer behind a Normalization of raw features."""
    (layer,) = graph.nodes
    shift = {"scale": 1 / FACTOR, "shift": -OFFSET / FACTOR}
    weights = {
        role: Tensor("F32", (FEATURES,), np.full(FEATURES, value, "<f4").tobytes())
        for role, value in shift.items()
    }
    shape = (None, None, FEATURES)
    roles = dict.fromkeys(weights)
    before = Node("before", "Affine", ("features",), ("even",), (shape,), {r: r for r in roles})
    nodes = (before, replace(layer, inputs=("even",)))
    return replace(graph, nodes=nodes, weights={**graph.weights, **weights})


def exported(graph: Graph, rows: Any) -> tuple[str, bytes, bytes]:
    """Return why a layer is refused, or '', and the files in integers and in floats."""
    model = Exportable(graph, graph, name="m", calibration=Calibration({"features": rows}, "made"))
    why, export = "", importlib.import_module("gatelet.convert.exporters.tflm.export")
    try:
        data = export_tflm(model, SCHEMES["full-int8"]).data
    except Refused as error:
        why = str(error)
        with ExitStack() as stack:
            for check in (slow_unit_refusal, long_stream_refusal):
                stack.enter_context(patch.object(export, check.__name__, lambda *_: ""))
            data = export_tflm(model, SCHEMES["full-int8"]).data
    return why, data, export_tflm(model, SCHEMES["float32"]).data


def stream_off(integers: TflmBackend, floats: TflmBackend, x: Any) -> float:
    """Return how far a stream [1, T, F] is off, in spans; it ends where that is clear."""
    pair = [one.follow({"features": x}) for one in (integers, floats)]
    off, low, high = 0.0, np.inf, -np.inf
    while True:
        found, exact = ([step[0] for step in islice(one, BLOCK_STEPS)] for one in pair)
        if not found:
            return float(off / (high - low))
        off = max(off, float(np.abs(np.array(found) - np.array(exact)).max()))
        low, high = min(low, np.min(exact)), max(high, np.max(exact))
        if off > 2 * LIMIT:  # of a span that is 2 at most
            return float(off / (high - low))


def measured(
    kind: str, units: int, seed: int, taus: tuple[float, ...], scaled: bool
) -> tuple[str, float, float]:
    """Return why a layer is refused or '', and how far its rows and its streams are off."""
    graph, shown = graph_of(kind, units, seed, taus), signals(STEPS, seed)
    steps = int(min(STEPS, max(STEPS // 5, CONSTANTS * max(taus))))
    if scaled:
        graph = normalized(graph)
        shown = {name: (x * FACTOR + OFFSET).astype(np.float32) for name, x in shown.items()}
    starts = range(0, STEPS - ROW_STEPS, STEPS // ROWS)
    rows = np.stack([x[0, i : i + ROW_STEPS] for i in starts for x in shown.values()])
    why, *files = exported(graph, rows)
    both = [TflmBackend(data, engine="") for data in files]
    found, exact = (one.run({"features": rows})[graph.outputs[0]] for one in both)
    of_rows = float(np.abs(found - exact).max() / np.ptp(exact))
    return why, of_rows, max(stream_off(both[0], both[1], x[:, :steps]) for x in shown.values())


def main(arguments: Sequence[str]) -> int:
    """Measure all layers; 1 where one that is taken is wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--small", action="store_true", help="a layer of each kind")
    chosen = list(models())[:: len(TAUS) + 1 if parser.parse_args(arguments).small else 1]
    print("| layer | units | seed | slowest | Normalization | rows | streams | |")
    print("|---|---|---|---|---|---|---|---|")
    counts = dict.fromkeys(("wrong", "within", "as their rows", "refused", "needlessly"), 0)
    for kind, units, seed, taus, scaled in chosen:
        why, of_rows, off = measured(kind, units, seed, taus, scaled)
        fits = off <= LIMIT
        fast = max(taus) < FAST_STEPS and off <= of_rows
        said = "within" if fits else "as their rows" if fast else "wrong"
        if why:
            said = "needlessly" if fits else "refused"
        counts[said] += 1
        reason = why.split("; ")[-1].split(": use")[0]
        print(
            f"| {kind} | {units} | {seed} | {max(taus):,.0f} | {'yes' if scaled else ''} | "
            f"{of_rows:.2%} | {off:.2%} | {said}{': ' if why else ''}{reason} |",
            flush=True,
        )
    print(f"\n{counts}, limit {LIMIT:.0%} of the output's span over {STEPS:,} steps")
    return int(counts["wrong"] > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
