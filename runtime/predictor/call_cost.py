"""What a call of an engine costs, by rows and timesteps: what batches are divided by.

Not a measurement: the figures were measured once, and only their proportions matter.
"""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

from gatelet.runtime.backends.targets import row_of
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.records import dataclass

# measured with LSTM(8) to LSTM(256), 1 to 64 rows, 5 to 80 timesteps; so is what the table of
# targets says of a timestep, and of a call by what all batches of benchmarks/batches.py take
_WEIGHTS_A_US, _WEIGHTS_A_STEP_US, _LEAST_ROW_US = 40_000, 60_000, 0.1
_SHARE_OF_KERNELS = 1 / 3  # of a row's timestep in LiteRT; the gates' functions take the rest


@dataclass(frozen=True)
class Cost:
    """What a call of an engine costs, in microseconds; only the proportions matter.

    Args:
        call: Whatever the call has: another size than the call before, above all.
        step: Of a timestep, for any number of rows.
        row: Of a timestep of one row.
        rows_of_kernel: How many rows the engine multiplies at once; fewer take it as long.
    """

    call: float = 20.0
    step: float = 0.7
    row: float = 1.0
    rows_of_kernel: int = 1


@cache
def timestep_us(cost: Cost, most: int) -> tuple[float, ...]:
    """Return what a timestep costs, for 0 to `most` rows."""
    size, share = cost.rows_of_kernel, _SHARE_OF_KERNELS
    return tuple(
        cost.step + cost.row * ((1 - share) * rows + share * -(-rows // size) * size)
        for rows in range(most + 1)
    )


def cost_of(graph: Graph, target: str) -> Cost:
    """Estimate what a call costs, from the weights that each timestep is multiplied with."""
    used = {
        tensor
        for node in graph.nodes
        for role, tensor in node.weights.items()
        if role in ("kernel", "recurrent_kernel") and "recurrent_kernel" in node.weights
    }
    weights = sum(math.prod(graph.weights[tensor].shape) for tensor in used)
    row = row_of(target)
    return Cost(
        row.call_us,
        row.step_us + weights / _WEIGHTS_A_STEP_US,
        _LEAST_ROW_US + weights / _WEIGHTS_A_US,
        _rows_of_kernels() if row.multiplies_rows_together else 1,
    )


def _rows_of_kernels() -> int:
    """Return how many rows XNNPACK's matrix kernels take at once here.

    Source: XNNPACK, src/configs/gemm-config.c, of float32.
    """
    import platform

    if platform.machine().lower() in ("aarch64", "arm64"):
        return 6
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8", errors="replace") as file:
            first = file.read(8192)
    except OSError:  # not Linux
        return 5
    return 7 if "avx512f" in first else 5
