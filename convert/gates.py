"""Gates: what an artifact must be before anyone asks what it predicts.

Not parity: a gate looks at the file, and at a few outputs for what no right model gives.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.schemes import Scheme
from gatelet.errors import ConversionError
from gatelet.runtime.graph import Graph

__all__ = ["FileFacts", "check_bytes", "check_operators", "check_outputs"]

SLACK_BYTES = 256 * 1024
"""What a file may hold beside weights: operators, names, constants of the loops."""

SHARES = {"float32": (0.9, 1.1), "float16": (0.45, 0.6), "int8": (0.2, 0.5), "int4": (0.1, 0.5)}
"""Of the bytes of float32 weights: what a file has at least and, only if it is as its scheme says,
at most; by the type of its embeddings, which are most of a model of texts."""

SMALL_PARAMETERS = 20_000
"""With fewer parameters the operators outweigh the weights, so bytes prove nothing."""

_LOOPS = ("Loop", "Scan")
_RECURRENT_OPERATORS = {"LSTM": "LSTM", "GRU": "GRU", "SimpleRNN": "RNN"}


@dataclass(frozen=True)
class FileFacts:
    """What a file says of itself.

    Args:
        ops: The names of its operators; custom ones by their own name.
        custom_ops: Those that are no built-in operators.
        variables: The names of tensors that keep their value between calls.
    """

    ops: tuple[str, ...]
    custom_ops: tuple[str, ...] = ()
    variables: tuple[str, ...] = ()


def check_operators(
    target: str, facts: FileFacts, graph: Graph | None, *, loops_needed: bool = False
) -> None:
    """Refuse operators that a device cannot run, or that make a model slow for no reason.

    Args:
        target: 'litert' or 'onnx'.
        facts: Of the file.
        graph: What was exported; None where a converter was given the Keras model itself.
        loops_needed: The Graph has a recurrence that no onnx operator can express.

    Raises:
        ConversionError: The message names the operator or tensor, and the way out.
    """
    if target == "litert":
        for op in facts.custom_ops:
            kind = "needs TensorFlow's own kernels (Flex)" if op.startswith("Flex") else "is custom"
            raise _refused(target, "operators", f"the operator '{op}' {kind}, so no device runs it")
        for name in facts.variables:
            raise _refused(
                target,
                "variables",
                f"the tensor '{name}' keeps its value between calls, so predictions depend on "
                "what came before",
            )
        return
    looping = [op for op in facts.ops if op in _LOOPS]
    if looping and graph is not None and not loops_needed:
        served = sorted(
            {_RECURRENT_OPERATORS[n.op] for n in graph.nodes if n.op in _RECURRENT_OPERATORS}
        )
        if served:
            raise _refused(
                target, "operators", f"it has a {looping[0]} where {', '.join(served)} serves"
            )


def check_bytes(target: str, scheme: Scheme, found: int, graph: Graph) -> None:
    """Refuse a file that is too small to hold its weights, or too large for its scheme.

    Args:
        target: For the message.
        scheme: Of the file.
        found: Its bytes.
        graph: What was exported.

    Raises:
        ConversionError: With the bytes found and the bytes expected.
    """
    float_bytes = 4 * graph.parameters
    least, most = SHARES[scheme.embedding_type]
    low, high = int(least * float_bytes), int(most * float_bytes) + SLACK_BYTES
    if graph.parameters < SMALL_PARAMETERS:
        low, high = 0, high + SLACK_BYTES
    if not low <= found <= high:
        what = "holds too little to contain its weights" if found < low else "is too large"
        raise _refused(
            target,
            "bytes",
            f"the {scheme.name} file {what}: {found:,} bytes for {graph.parameters:,} parameters, "
            f"expected {low:,} to {high:,}",
        )


def check_outputs(
    target: str, found: NDArray[Any], expected: NDArray[Any], *, where: str = "the output"
) -> None:
    """Refuse outputs that are NaN, or the same for all rows, where the Graph's are not.

    Args:
        target: For the message.
        found: What the artifact gave, [N, ...].
        expected: What the Graph gave.
        where: Which output.

    Raises:
        ConversionError: With the row.
    """
    wrong = np.isnan(found) & ~np.isnan(expected)
    if wrong.any():
        row = int(np.argwhere(wrong)[0][0])
        raise _refused(target, "outputs", f"{where} is NaN in row {row}, where the Graph's is not")
    spread = float(np.ptp(expected, axis=0).max(initial=0.0)) if len(expected) > 1 else 0.0
    if math.isfinite(spread) and spread > 1e-3 and not np.ptp(found, axis=0).any():
        raise _refused(
            target,
            "outputs",
            f"{where} is the same for {len(found)} different rows, where the Graph's differ by "
            f"{spread:.3g}",
        )


def _refused(target: str, gate: str, what: str) -> ConversionError:
    return ConversionError(
        f"the {target} file was refused by the gate '{gate}': {what}; leave this artifact out "
        "with --target or --scheme, and please report the model",
        target=target,
        gate=gate,
    )
