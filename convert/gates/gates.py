"""Gates: what an artifact must be before anyone asks what it predicts.

Not parity: a gate looks at the file, and at a few outputs for what no right model gives. An
artifact that a gate refuses ends the conversion, and nothing is written.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.exporters.artifacts import Made
from gatelet.convert.exporters.exported import Exportable, Exported
from gatelet.convert.exporters.onnx.recurrent import OPERATORS
from gatelet.convert.exporters.stored_bytes import operator_bytes, weight_bytes
from gatelet.convert.exporters.targets import EXPORTERS
from gatelet.convert.gates.operators import READERS, FileFacts
from gatelet.convert.schemes import Scheme
from gatelet.convert.tolerances import TOLERANCES
from gatelet.errors import BackendError, ConversionError
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.predictor.loading import open_artifact

LOW, HIGH = 0.8, 1.25
"""What a file may have, as shares of the bytes that its weights take."""

BESIDE, SLACK_BYTES = 3, 16 * 1024
"""What a file may hold beside weights: so many times what its operators are expected to take."""

NUMBER_BYTES = 4
"""Of the largest numbers in a buffer: converters align what they make by these, or by more."""

ROWS = 64
"""Of the real inputs, whose outputs are looked at."""

_MIN_SPREAD = 1e-3


def check_made(made: Sequence[Made], model: Exportable) -> None:
    """Hold artifacts and their streaming files to the gates of `check_exported`.

    Args:
        made: What was exported.
        model: What it was exported from.

    Raises:
        ConversionError: A gate refuses a file.
    """
    # the words of a tokenizer in the graph, and their lengths
    words = 2 * len(model.vectorizer.to_json()) if model.vectorizer is not None else 0
    for one in made:
        beside = words if EXPORTERS[one.target].vocabulary_bytes else 0
        check_exported(
            one.target,
            one.scheme,
            one.exported,
            model.graph,
            skipping=model.skipping,
            beside_bytes=beside,
        )
        if one.form is not None and model.streaming is not None:
            graph = model.streaming.graph
            check_exported(one.target, one.scheme, one.form, graph, beside_bytes=beside)


def check_exported(
    target: str,
    scheme: Scheme,
    exported: Exported,
    graph: Graph,
    *,
    skipping: Graph | None = None,
    beside_bytes: int = 0,
) -> None:
    """Hold an artifact to the gates 'operators', 'alignment', 'variables' and 'bytes'.

    Args:
        target: Of the artifact.
        scheme: Of the artifact.
        exported: The artifact.
        graph: What was exported.
        skipping: The same with padding skipped, which most targets' files are made from.
        beside_bytes: What the file holds beside the Graph.

    Raises:
        ConversionError: A gate refuses it; the message names what was found, and where.
    """
    row = EXPORTERS[target]
    if row.suffix in READERS:
        check_operators(target, READERS[row.suffix](exported.data), graph)
    stored = skipping if skipping is not None and row.skips_padding else graph
    check_bytes(
        target,
        scheme,
        len(exported.data),
        Budget(
            parameters=stored.parameters,
            expected=weight_bytes(stored, target, scheme),
            beside=BESIDE * operator_bytes(stored, target, scheme) + SLACK_BYTES + beside_bytes,
            # of the files beside it only a table holds weights: others hold the file again, or code
            companion_bytes=sum(
                len(one.data) for one in exported.companions if one.role.startswith("embedding")
            ),
        ),
    )


def check_operators(target: str, facts: FileFacts, graph: Graph | None) -> None:
    """Refuse operators and buffers that a device cannot run, or that are slow for no reason.

    Args:
        target: Of the file.
        facts: What the file says of itself.
        graph: What was exported; None where a converter was given the Keras model itself.

    Raises:
        ConversionError: The message names the operator or tensor.
    """
    for op in facts.custom_ops:
        kind = "needs TensorFlow's own kernels (Flex)" if op.startswith("Flex") else "is custom"
        raise _refused(target, "operators", f"the operator '{op}' {kind}, so no device runs it")
    if facts.alignment_bytes < NUMBER_BYTES:
        raise _refused(
            target,
            "alignment",
            f"buffers lie at multiples of {facts.alignment_bytes} bytes, where numbers have "
            f"{NUMBER_BYTES}",
        )
    row = EXPORTERS[target]
    for op in facts.resources if not row.keeps_variables else ():
        raise _refused(
            target,
            "variables",
            f"the operator '{op}' uses a resource variable, which outlives a call",
        )
    if facts.variables and not row.keeps_variables:
        raise _refused(
            target,
            "variables",
            f"the tensor '{facts.variables[0]}' keeps its value between calls, so predictions "
            "depend on what came before",
        )
    if row.loops is not None and graph is not None:
        _check_loops(target, facts, graph, needed=row.loops(graph))


def _check_loops(target: str, facts: FileFacts, graph: Graph, *, needed: int) -> None:
    if len(facts.loops) > needed:
        served = [node for node in graph.nodes if node.op in OPERATORS]
        operators = ", ".join(sorted({OPERATORS[node.op] for node in served})) or "no loop"
        layers = ", ".join(dict.fromkeys(f"'{node.source}'" for node in served))
        raise _refused(
            target,
            "operators",
            f"it has {len(facts.loops)} loops ({', '.join(sorted(set(facts.loops)))}) where "
            f"{needed} are needed: {operators} serves for {layers or 'this model'}",
        )


@dataclass(frozen=True)
class Budget:
    """How many bytes a file may have.

    Args:
        parameters: Of the model.
        expected: What its weights take in this scheme.
        beside: What it may hold beside them.
        companion_bytes: Of files beside it, which may hold the weights in its place.
    """

    parameters: int
    expected: int
    beside: int
    companion_bytes: int = 0


def check_bytes(target: str, scheme: Scheme, found: int, budget: Budget) -> None:
    """Refuse a file that is too small to hold its weights, or too large for its scheme.

    Args:
        target: For the message.
        scheme: Of the file.
        found: Its bytes.
        budget: What it may have.

    Raises:
        ConversionError: With the bytes found and the bytes expected.
    """
    low, high = int(LOW * budget.expected), int(HIGH * budget.expected) + budget.beside
    too_small = found + budget.companion_bytes < low
    if too_small or found > high:
        what = "holds too little to contain its weights" if too_small else "is too large"
        raise _refused(
            target,
            "bytes",
            f"the {scheme.name} file {what}: {found:,} bytes for {budget.parameters:,} parameters, "
            f"expected {low:,} to {high:,}",
        )


def check_predictions(bundle: Bundle, inputs: Any, expected: NDArray[Any]) -> None:
    """Hold every exact artifact that an installed engine runs to the gate 'outputs'.

    What rounding does to outputs, parity tells.

    Args:
        bundle: Whose artifacts are run.
        inputs: Rows [N, ...], as `Predictor.scores` takes them in parts (`Rows`).
        expected: What is right for them, [N, ...]; several outputs side by side.

    Raises:
        ConversionError: Outputs are NaN or constant where the right ones are not.
    """
    from gatelet.convert.rows.rows import side_by_side

    for artifact in bundle.artifacts:
        if not TOLERANCES[artifact.target, artifact.scheme].is_exact:
            continue
        try:
            predictor = open_artifact(bundle, artifact)
            if predictor.takes_texts:  # parity has the texts
                continue
            found = side_by_side(predictor.scores(inputs[:ROWS].given))
        except BackendError:  # no engine here; or parity tells how it fails
            continue
        if found.shape == expected[:ROWS].shape:
            where = f"the output of the {artifact.scheme} file"
            check_outputs(artifact.target, found, expected[:ROWS], where=where)


def check_outputs(
    target: str, found: NDArray[Any], expected: NDArray[Any], *, where: str = "the output"
) -> None:
    """Refuse outputs that are NaN, or the same for all rows, where the right ones are not.

    Args:
        target: For the message.
        found: What the artifact gave, [N, ...].
        expected: What is right.
        where: Which output.

    Raises:
        ConversionError: With the row.
    """
    wrong = np.isnan(found) & ~np.isnan(expected)
    if wrong.any():
        row = int(np.argwhere(wrong)[0][0])
        raise _refused(target, "outputs", f"{where} is NaN in row {row}, where the model's is not")
    spread = float(np.ptp(expected, axis=0).max(initial=0.0)) if len(expected) > 1 else 0.0
    if math.isfinite(spread) and spread > _MIN_SPREAD and not np.ptp(found, axis=0).any():
        raise _refused(
            target,
            "outputs",
            f"{where} is the same for {len(found)} different rows, where the model's differ by "
            f"{spread:.3g}",
        )


def _refused(target: str, gate: str, what: str) -> ConversionError:
    return ConversionError(
        f"the {target} file was refused by the gate '{gate}': {what}; nothing was written; leave "
        "this artifact out with --target or --scheme, and please report the model",
        target=target,
        gate=gate,
    )
