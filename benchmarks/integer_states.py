"""Whether integer states of c follow float over 100,000 steps: a table, and exit status 1 if not.

    python benchmarks/integer_states.py [--small]

LSTM and GRU layers of 8 to 64 units with time constants of 10 to 20,000 steps are converted to
full-int8 and fed constants, sines, noise and bursts. Each is refused, with its unit and figure, or
every output stays within 1 % of the output's span of float64.
"""

import argparse
import ctypes
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from gatelet.errors import Refused
from gatelet.runtime.backends.reference import array_of
from gatelet.runtime.graph.graph import Graph
from tests.convert.exporters.slow_graphs import FEATURES, in_integers, signals, slow_graph

LIMIT, STEPS, ROW_STEPS, ROWS = 0.01, 100_000, 5_000, 3
KINDS = ("gru", "chrono", "small", "counter")
MODELS = ((8, 61), (16, 61), (32, 61), (64, 61), (8, 62), (8, 63), (16, 62))
SMALL = MODELS[:1]
MAY_BE_REFUSED = ("chrono", "counter", "small")
"""LSTMs, whose cells add up what 8-bit weights get wrong."""


def calibration_of(shown: dict[str, Any]) -> Any:
    """Return rows [N, ROW_STEPS, FEATURES] from all parts of each signal, in turn."""
    starts = range(0, STEPS - ROW_STEPS, STEPS // ROWS)
    return np.stack([x[0, i : i + ROW_STEPS] for i in starts for x in shown.values()])


def in_double(graph: Graph, x: Any, folder: Path) -> Any:
    """Run rows [N, T, F] of a layer in float64."""
    source = Path(__file__).with_suffix(".c")
    command = ["gcc", "-O3", "-shared", "-fPIC", "-o", str(folder / "exact.so"), str(source), "-lm"]
    subprocess.run(command, check=True)
    library = ctypes.CDLL(str(folder / "exact.so"))
    (node,) = graph.nodes
    weights = [
        np.ascontiguousarray(array_of(graph.weights[node.weights[role]]), np.float64)
        for role in ("kernel", "recurrent_kernel", "bias")
    ]
    weights[2] = np.vstack([weights[2], np.zeros_like(weights[2])])[:2].copy()
    units = len(weights[1])
    y = np.empty((*x.shape[:2], units))
    for row, made in zip(x.astype(np.float64), y, strict=True):
        arrays = [ctypes.c_void_p(one.ctypes.data) for one in (*weights, row)]
        sizes = (int(node.op == "LSTM"), units, FEATURES)
        library.run(*sizes, *arrays, x.shape[1], ctypes.c_void_p(made.ctypes.data))
    return y


def measured(kind: str, units: int, seed: int) -> tuple[str, dict[str, float]]:
    """Return why a layer is refused, or '' and how far each signal's stream is from float."""
    graph, shown = slow_graph(kind, units, seed), signals(STEPS, seed)
    with tempfile.TemporaryDirectory() as folder:
        try:
            backend, _ = in_integers(graph, calibration_of(shown), Path(folder))
        except Refused as error:
            return str(error), {}
        x = np.concatenate(list(shown.values()))
        found = backend.run({"features": x})[graph.outputs[0]]
        exact = in_double(graph, x, Path(folder))
    off = np.abs(found - exact).max(axis=(1, 2)) / np.ptp(exact, axis=(1, 2))
    return "", dict(zip(shown, off.tolist(), strict=True))


def main(arguments: Sequence[str]) -> int:
    """Measure all layers; 1 where one is wrong, or refused without need."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--small", action="store_true", help="one layer of each kind")
    models = SMALL if parser.parse_args(arguments).small else MODELS
    print(f"| layer | units | seed | {' | '.join(signals(1, 0))} |")
    print("|---|---|---|---|---|---|---|")
    wrong = 0
    for (units, seed), kind in product(models, KINDS):
        why, off = measured(kind, units, seed)
        if why:
            wrong += kind not in MAY_BE_REFUSED
            told = f"refused: {why.split(': ', 2)[2].split(': use')[0]} | | |"
        else:
            wrong += max(off.values()) > LIMIT
            told = " | ".join(f"{100 * one:.3f} %" for one in off.values())
        print(f"| {kind} | {units} | {seed} | {told} |", flush=True)
    print(f"\n{wrong} wrong, limit {LIMIT:.0%} of the output's span over {STEPS:,} steps")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
