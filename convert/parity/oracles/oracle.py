"""The right answers that artifacts are held to: the Graph's in float64, Keras' where it was asked.

Not the asking of Keras, which is `gatelet.convert.parity.oracles.ask`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.parity.checks.behaviour import SHORT_TIMESTEPS, takes_few_timesteps
from gatelet.convert.parity.checks.spread import Spread, spread_of
from gatelet.convert.rows.evidence import AnyGroups, Evidence, all_rows, evidence_of
from gatelet.convert.rows.rows import Rows, side_by_side
from gatelet.convert.tolerances import FLOAT32_FACTOR, FLOAT32_FLOOR
from gatelet.runtime.backends.reference import ReferenceBackend, array_of
from gatelet.runtime.backends.reference.tables import pays_off
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.safetensors import Tensor
from gatelet.runtime.predictor.inputs import check_rows
from gatelet.runtime.vectorizer.opening import AnyVectorizer

LIMIT_ROWS = 1024
"""Over so many rows the model's own distance between float32 and float64 is measured."""

DISTURBED_RUNS, DISTURBED_ROWS = 4, 256
"""Besides, that many times over so many rows with weights that are off by a few units."""

_ROWS_AT_ONCE = 256
_UNITS = 2
"""In the last place: what an exporter or engine that multiplies constants beforehand is off by."""

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
        asked_ids: Of how many: those behind the rows, and some that hold every word.
        truth: The position of each row's label, int [N], or a regression's values [N, C].
        notes: Sentences on the rows.
        padding: What stands where there is no real timestep, by graph input; else zeros.
        keras_note: What was put in, so that Keras computes as the one that wrote the file; or why
            its answers are held against nothing.
        over: What the rows are: 'test texts'.
        made_up: Nobody gave them.
        vectorizer: The one that the bundle's was made from, while it is at hand.
        evidence: Which rows count where figures are estimates: each distinct one once.
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
    asked_ids: int = 0
    truth: Array | None = None
    notes: tuple[str, ...] = ()
    padding: Mapping[str, Array | float] = field(default_factory=dict)
    keras_note: str = ""
    over: str = "rows"
    made_up: bool = False
    vectorizer: AnyVectorizer | None = None
    evidence: Evidence = field(default_factory=lambda: all_rows(0))

    def __post_init__(self) -> None:
        """Let all rows count where nobody said which do."""
        if self.evidence.rows != len(self.scores):
            object.__setattr__(self, "evidence", all_rows(len(self.scores)))

    @classmethod
    def of(
        cls,
        graph: Graph,
        inputs: Rows,
        *,
        advance: Advance = nothing_to_tell,
        groups: AnyGroups = None,
        **known: Any,
    ) -> "Oracle":
        """Ask a Graph.

        Args:
            graph: It is asked in float64 and, for some rows, in float32.
            inputs: ids [N, T] or features [N, T, F], by graph input.
            advance: Called with how many rows are done.
            groups: Which rows belong together; None where each stands for itself.
            **known: Other fields.

        Raises:
            InputError: The model cannot take these inputs.
            DataError: There are not as many groups as rows.
        """
        for one in graph.inputs:
            check_rows(inputs.feed[one.name], one)
        made_up = known.get("made_up", False)
        evidence = all_rows(len(inputs)) if made_up else evidence_of(inputs.feed, groups)
        double = ask_graph(graph, inputs, advance=advance)
        some = slice(None, None, max(1, len(inputs) // LIMIT_ROWS))
        spread = spread_of(graph, evidence.of(double))
        limit = float32_limit(graph, inputs[some], double[some], spread, disturbed=DISTURBED_RUNS)
        short = inputs.last_timesteps(SHORT_TIMESTEPS) if takes_few_timesteps(graph) else None
        return cls(inputs, double, limit, spread, short=short, evidence=evidence, **known)


def float32_limit(
    graph: Graph, inputs: Rows, double: Array, spread: Spread, *, disturbed: int = 0
) -> float:
    """Return the limit that float32 artifacts are held to on some rows.

    Args:
        graph: The model.
        inputs: The rows.
        double: What the Graph gives for them in float64.
        spread: The unit of differences.
        disturbed: How many times the first rows run with other roundings besides: one run says
            little of how far another engine's may go.

    Returns:
        The larger of 1e-5 and four times the model's own distance between float32 and float64.
    """
    graphs = [graph, *(_disturbed(graph, seed) for seed in range(disturbed))]
    own, exact = 0.0, replace(spread, rounding=np.zeros_like(spread.rounding))
    for number, one in enumerate(graphs):
        some = slice(None if number == 0 else DISTURBED_ROWS)
        single = side_by_side(ReferenceBackend(one).run(inputs[some].feed))
        own = max(own, float(exact.difference(single, double[some]).max(initial=0.0)))
    return max(FLOAT32_FLOOR, FLOAT32_FACTOR * own)


def _disturbed(graph: Graph, seed: int) -> Graph:
    """Return a Graph whose weights are off by up to two units in the last place.

    What is only subtracted from an input is not: no exporter multiplies it by anything, and a unit
    of a large mean may be more than a feature's whole spread.
    """
    rng, weights = np.random.default_rng(seed), {}
    exact = _subtracted(graph)
    for name, tensor in graph.weights.items():
        values = array_of(tensor)
        if values.dtype == np.float32 and name not in exact:
            units = rng.integers(-_UNITS, _UNITS + 1, values.shape)
            values = (values + units * np.spacing(values)).astype("<f4")
        weights[name] = Tensor(tensor.dtype, tensor.shape, values.tobytes())
    return replace(graph, weights=weights)


def _subtracted(graph: Graph) -> set[str]:
    """Return the weights of x * 1 + shift where x is an input."""
    found: set[str] = set()
    inputs = {one.name for one in graph.inputs}
    for node in graph.nodes:
        if node.op != "Affine" or node.inputs[0] not in inputs:
            continue
        if np.all(array_of(graph.weights[node.weights["scale"]]) == 1):
            found |= set(node.weights.values())
    return found


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
