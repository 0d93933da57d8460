"""The right answers that artifacts are held to: the Graph's in float64, Keras' where it was asked.

Not the asking of Keras, which is `gatelet.convert.parity.oracles.ask`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.checks.behaviour import SHORT_TIMESTEPS, takes_few_timesteps
from gatelet.convert.parity.checks.spread import Spread, spread_of
from gatelet.convert.rows.rows import Rows, side_by_side
from gatelet.convert.tolerances import FLOAT32_FACTOR, FLOAT32_FLOOR
from gatelet.runtime.backends.reference import ReferenceBackend
from gatelet.runtime.backends.reference.tables import pays_off
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.predictor.inputs import check_rows

LIMIT_ROWS = 1024
"""Over so many rows the model's own distance between float32 and float64 is measured."""

_ROWS_AT_ONCE = 256

Array = NDArray[Any]
Advance = Callable[[str, int, int], None]
"""Told what is being run, how many rows are done, and of how many."""


def nothing_to_tell(what: str, done: int, rows: int) -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Oracle:
    """What the right answers are.

    Args:
        inputs: ids [N, T] or features [N, T, F], by graph input.
        scores: What the Graph gives in float64, [N, ...]; several outputs side by side.
        float32_limit: The float32 limit of this model and these inputs, in units of the spread.
        spread: The unit of differences between scores.
        short: The inputs cut to few timesteps; None where the model does not take them.
        keras: What Keras itself gives, where it was asked.
        keras_version: Of that Keras.
        keras_refusal: Why Keras could not be asked: it no longer loads the model, say.
        texts: The texts behind the rows; () where there are none.
        wrong_ids: How many texts have other ids by Keras' own vectorizer; None if not asked.
        truth: The position of each row's label, int [N], or a regression's values [N, C].
        notes: Sentences on the rows.
        padding: What stands where there is no real timestep, by graph input; else zeros.
        keras_note: What was put in, so that Keras computes as the one that wrote the file; or why
            its answers are held against nothing.
        over: What the rows are: 'test texts'.
        made_up: Nobody gave them.
    """

    inputs: Rows
    scores: Array
    float32_limit: float
    spread: Spread
    short: Rows | None = None
    keras: Array | None = None
    keras_version: str = ""
    keras_refusal: str = ""
    texts: Sequence[str] = ()
    wrong_ids: int | None = None
    truth: Array | None = None
    notes: tuple[str, ...] = ()
    padding: Mapping[str, Array | float] = field(default_factory=dict)
    keras_note: str = ""
    over: str = "rows"
    made_up: bool = False

    @classmethod
    def of(
        cls, graph: Graph, inputs: Rows, *, advance: Advance = nothing_to_tell, **known: Any
    ) -> "Oracle":
        """Ask a Graph.

        Args:
            graph: It is asked in float64 and, for some rows, in float32.
            inputs: ids [N, T] or features [N, T, F], by graph input.
            advance: Called with how many rows are done.
            **known: Other fields.

        Raises:
            InputError: The model cannot take these inputs.
        """
        for one in graph.inputs:
            check_rows(inputs.feed[one.name], one)
        double = ask_graph(graph, inputs, advance=advance)
        some = slice(None, None, max(1, len(inputs) // LIMIT_ROWS))
        spread = spread_of(graph, double)
        limit = float32_limit(graph, inputs[some], double[some], spread)
        short = inputs.last_timesteps(SHORT_TIMESTEPS) if takes_few_timesteps(graph) else None
        return cls(inputs, double, limit, spread, short=short, **known)


def float32_limit(graph: Graph, inputs: Rows, double: Array, spread: Spread) -> float:
    """Return the limit that float32 artifacts are held to on some rows.

    Args:
        graph: The model.
        inputs: The rows.
        double: What the Graph gives for them in float64.
        spread: The unit of differences.

    Returns:
        The larger of 1e-5 and four times the model's own distance between float32 and float64.
    """
    single = side_by_side(ReferenceBackend(graph).run(inputs.feed))
    own = float(spread.difference(single, double).max(initial=0.0))
    return max(FLOAT32_FLOOR, FLOAT32_FACTOR * own)


def ask_graph(graph: Graph, inputs: Rows, *, advance: Advance = nothing_to_tell) -> Array:
    """Return what a Graph gives in float64, several outputs side by side."""
    tokens = sum(array.size for array in inputs.feed.values())
    backend = ReferenceBackend(graph, dtype=np.float64, project_ahead=pays_off(graph, tokens))
    found: Array | None = None
    for start in range(0, len(inputs), _ROWS_AT_ONCE):
        part = side_by_side(backend.run(inputs[start : start + _ROWS_AT_ONCE].feed))
        if found is None:
            found = np.empty((len(inputs), *part.shape[1:]))
        found[start : start + len(part)] = part
        advance("the Graph", start + len(part), len(inputs))
    return side_by_side(backend.run(inputs.feed)) if found is None else found
