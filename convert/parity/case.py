"""What is the same for all artifacts that are judged, and the running of one on the judged rows.

Not the checks.
"""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.checks.golden import golden_arrays
from gatelet.convert.parity.limits import Settings
from gatelet.convert.parity.oracles.oracle import Advance, Oracle, nothing_to_tell
from gatelet.convert.parity.report import Check
from gatelet.convert.rows.rows import Rows, side_by_side
from gatelet.runtime.bundle.opening import Bundle, Golden
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.predictor.predictor import Predictor

_ROWS_AT_ONCE = 1024
Array = NDArray[Any]


@dataclass(frozen=True)
class Case:
    """What is the same for all artifacts.

    Args:
        bundle: The opened bundle.
        graph: Its Graph.
        oracle: The right answers for some rows.
        golden: Its golden vectors.
        settings: The user's limits.
        odd: Rows of odd lengths and what the Graph gives for them.
        odd_limit: The float32 limit of those rows.
        shared: The checks of vectorizer and Graph.
        advance: Called with how many rows are done.
        seen: What each artifact gave, [N, ...]: filled by the judging.
    """

    bundle: Bundle
    graph: Graph
    oracle: Oracle
    golden: Golden | None
    settings: Settings
    odd: tuple[tuple[Rows, Array], ...]
    odd_limit: float
    shared: tuple[Check, ...]
    advance: Advance
    seen: dict[tuple[str, str], Array] = field(default_factory=dict)


def on_texts(case: Case) -> Case:
    """Return the same rows as texts, for an artifact that has the vectorizer in it."""
    texts = as_texts(case.oracle)
    golden = None if case.golden is None or case.golden.texts is None else case.golden
    return replace(
        case, oracle=replace(case.oracle, inputs=texts, short=None), odd=(), golden=golden
    )


def as_texts(oracle: Oracle) -> Rows:
    """Return the judged rows as texts."""
    return Rows({"text": np.array(oracle.texts, object)})


def golden_rows(golden: Golden, predictor: Predictor) -> Rows:
    """Return the inputs of golden vectors as an artifact takes them."""
    if predictor.takes_texts and golden.texts is not None:
        return Rows({"text": np.array(golden.texts, object)})
    return golden_arrays(golden)[0]


def run_rows(predictor: Predictor, inputs: Rows, *, advance: Advance = nothing_to_tell) -> Array:
    """Run all rows and keep their scores, float32 [N, ...].

    Args:
        predictor: Of an artifact.
        inputs: N rows.
        advance: Called with how many rows are done.
    """
    found: Array | None = None
    for start in range(0, len(inputs), _ROWS_AT_ONCE):
        part = side_by_side(predictor.scores(inputs[start : start + _ROWS_AT_ONCE].given))
        if found is None:
            found = np.empty((len(inputs), *part.shape[1:]), np.float32)
        found[start : start + len(part)] = part
        advance(f"{predictor.target} {predictor.scheme}", start + len(part), len(inputs))
    assert found is not None, "an oracle has rows"
    return found
