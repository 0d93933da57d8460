"""Golden rows for a package: a few of the bundle's, with what the artifact gives for each.

Not their text in C: see `gatelet.convert.packages.programs`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gatelet.runtime.bundle.opening import Golden
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.predictor.predictor import Predictor

MOST_ROWS, MOST_NUMBERS = 4, 4096
"""Of a package: they lie in a device's flash."""
_LONGEST_TEXT_BYTES = 2000


@dataclass(frozen=True)
class GoldenRows:
    """Rows with their scores.

    Args:
        inputs: For each row the numbers of each input, in the model's order, flat.
        outputs: For each row those of each output, of this row alone.
        texts: That the ids were made of; () where C reads none, or they are private.
        sizes: That a caller of C gives, of all inputs in order.
    """

    inputs: tuple[tuple[list[float], ...], ...]
    outputs: tuple[tuple[list[float], ...], ...]
    texts: tuple[str, ...]
    sizes: tuple[int, ...]


def golden_rows(
    golden: Golden, graph: Graph, predictor: Predictor, *, with_texts: bool
) -> GoldenRows:
    """Choose a bundle's first golden rows, and run each alone.

    Scores of a batch may differ in their last bits from those of a row, and in more where padding
    is skipped.

    Args:
        golden: Of the bundle.
        graph: What the model takes and gives.
        predictor: Runs the artifact.
        with_texts: The C code predicts texts.
    """
    names = [one.name for one in graph.inputs]
    numbers = sum(len(_flat(golden.inputs[name][0])) for name in names)
    count = max(1, min(MOST_ROWS, MOST_NUMBERS // max(1, numbers), len(golden.inputs[names[0]])))
    inputs, outputs = [], []
    for row in range(count):
        given = {name: golden.inputs[name][row : row + 1] for name in names}
        scores = predictor.scores(given if len(names) > 1 else given[names[0]])
        found = scores if isinstance(scores, dict) else {graph.outputs[0]: scores}
        inputs.append(tuple(_flat(given[name]) for name in names))
        outputs.append(tuple(_flat(_listed(found[name])) for name in graph.outputs))
    texts = (golden.texts or ())[:count] if with_texts else ()
    return GoldenRows(
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        texts=tuple(texts) if all(map(_is_short, texts)) else (),
        sizes=tuple(golden_sizes(graph, golden.inputs)),
    )


def golden_sizes(graph: Graph, rows: Mapping[str, Any]) -> list[int]:
    """Return the sizes that a caller of C gives, for golden rows: of all inputs, in order."""
    found = []
    for one in graph.inputs:
        value = rows[one.name]
        for size in one.shape[1:]:
            value = value[0]
            found += [len(value)] if size is None else []
    return found


def _is_short(text: str) -> bool:
    return len(text.encode("utf-8", "replace")) <= _LONGEST_TEXT_BYTES


def _listed(values: Any) -> Any:
    return values.tolist() if hasattr(values, "tolist") else values


def _flat(values: Any) -> list[Any]:
    if not isinstance(values, list | tuple):
        return [values]
    return [number for one in values for number in _flat(one)]
