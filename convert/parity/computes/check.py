"""The question `computes`: does a file compute what its scheme says?

Each file is held to an oracle of its own: the Graph in NumPy with exactly its scheme's numbers.
So the limit is that of float32, whatever the scheme costs. Not that cost, which other checks judge.
"""

import importlib.util
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from gatelet.convert.parity.case import Case
from gatelet.convert.parity.checks.scores import difference
from gatelet.convert.parity.computes import inside_c, inside_litert, inside_onnx
from gatelet.convert.parity.computes.integers import run_integers
from gatelet.convert.parity.computes.roundings import Array
from gatelet.convert.parity.computes.rows import (
    by_padding,
    few_rows,
    one_by_one,
    skipped_input,
    without_shared_padding,
)
from gatelet.convert.parity.computes.steps import Distance, compare, worst
from gatelet.convert.parity.computes.table import rounded_numbers
from gatelet.convert.parity.computes.weights import Plan, plan_of
from gatelet.convert.parity.computes.whole import Scores, compare_whole
from gatelet.convert.parity.report import Check
from gatelet.convert.parity.stored.file import StoredFile
from gatelet.convert.parity.stored.match import match_weights
from gatelet.convert.passes import skip_padding
from gatelet.convert.rows.rows import Rows, side_by_side
from gatelet.convert.schemes import SCHEMES, Scheme, is_of_today
from gatelet.convert.tolerances import FLOAT32_FLOOR
from gatelet.errors import GateletError, ModelError
from gatelet.runtime.backends.backend import first_line
from gatelet.runtime.bundle.opening import Artifact
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.streamable import has_time
from gatelet.runtime.graph.streaming import StreamingGraph, to_stream
from gatelet.runtime.predictor.predictor import Predictor

QUESTION = "computes"
STEPS, WHOLE = "steps", "whole"
_WHOLE_ROWS, _WHOLE_TIMESTEPS = 16, 64
_ALONE = 12
"""Rows that are run one by one."""
_STEPPED_TIMESTEPS = 24
"""Of runs that end after each: they cost as the square."""


@dataclass(frozen=True)
class Asked:
    """An artifact that is asked.

    Args:
        case: What is the same for all artifacts.
        artifact: The artifact.
        predictor: Runs it.
        scheme: Its scheme.
        format: The target whose files are as its own.
        skipping: The Graph that it was made from: as far as it skips padding.
        misread: What is read from the file is not what it computes.
    """

    case: Case
    artifact: Artifact
    predictor: Predictor
    scheme: Scheme
    format: str
    skipping: Graph
    misread: bool = False

    def plan(self, graph: Graph, engine: str = "") -> Plan:
        """Return what the scheme makes of a Graph, with the weights that the file has."""
        file = StoredFile.of(self.case.bundle, self.artifact, graph)
        stored = None if self.misread else match_weights(self.format, file)
        return plan_of(graph, self.format, self.scheme, engine=engine, stored=stored)

    @property
    def content(self) -> bytes:
        """The file."""
        return (self.case.bundle.path / self.artifact.path).read_bytes()


def check_computes(
    case: Case, artifact: Artifact, predictor: Predictor, *, misread: bool = False
) -> tuple[Check, ...]:
    """Hold an artifact to the oracle of its scheme.

    Args:
        case: With the rows as the artifact takes them: some of them are run.
        artifact: The artifact.
        predictor: Runs it.
        misread: What is read from the file is not what it computes: the oracle does without.

    Returns:
        A check for each way in which the file was looked at: node by node or step by step, where
        it gives its states, and whole sequences besides or instead.
    """
    scheme, look = SCHEMES.get(artifact.scheme), _LOOKS.get(artifact.target)
    if not is_of_today(artifact):
        return (_unasked("of another revision: what it should compute is not known here"),)
    if scheme is not None and scheme.activations != "float32":
        look = _INTEGER_LOOKS.get(artifact.target)
    if scheme is None or look is None:
        why = (
            f"{artifact.target} {artifact.scheme} has no oracle: its engine's integers are not ours"
        )
        return (_unasked(why),)
    number = rounded_numbers(case.graph, artifact.target, scheme)
    if number:
        why = f"the converter rounds the numbers of the activation '{number}' to 16 bits too"
        return (_unasked(why),)
    format_name, look_inside = look
    if format_name == "litert" and importlib.util.find_spec("ai_edge_litert") is None:
        why = "its kernels cannot be chosen: ai-edge-litert is not installed"
        return (_unasked(why),)
    asked = Asked(case, artifact, predictor, scheme, format_name, case.graph, misread)
    try:
        return tuple(look_inside(replace(asked, skipping=_skipping(asked))))
    except GateletError:  # of the file, or of its engine
        raise
    # A bug of an oracle must neither accuse the file nor end the verdict of the others: the note
    # names it, and tests/conformance/test_honest.py asks that no honest file has such a note.
    except Exception as error:  # an oracle's own bug
        return (_unasked(f"its oracle failed: {type(error).__name__} {first_line(error)}"),)


def _unasked(why: str) -> Check:
    return Check(QUESTION, None, 0.0, "not checked", note=why, question=QUESTION)


def _check(found: Distance, by: str, note: str, engine: str = "") -> Check:
    name = "_".join(filter(None, (QUESTION, by, engine)))
    verdict = "pass" if found.figure <= found.limit else "fail"
    at = f"largest at '{found.where}'" if found.where else ""
    told = "; ".join(filter(None, (at, note)))
    return Check(name, found.figure, found.limit, verdict, note=told, question=QUESTION, by=by)


def _skipping(asked: Asked) -> Graph:
    """Return the Graph that a file was made from: one skips padding if its rows have it in front.

    The file says so itself: without a vectorizer nobody else knows.
    """
    graph, inputs = asked.case.graph, asked.case.oracle.inputs
    golden = asked.case.golden
    ids = graph.inputs[0].name
    known = {} if golden is None else golden.inputs
    timesteps = len(known[ids][0]) if ids in known and len(known[ids]) else None
    if timesteps is None and ids in inputs.feed and inputs.feed[ids].ndim > 1:
        timesteps = inputs.feed[ids].shape[1]
    skipping = skip_padding(graph, timesteps=timesteps)
    tables = [node for node in skipping.nodes if node.op == "PadState"]
    if not tables:
        return skipping
    shape = skipping.weights[tables[0].weights["table"]].shape
    return skipping if _HOLDS_STATES[asked.format](asked, *shape) else graph


def _c_holds_states(asked: Asked, rows: int, units: int) -> bool:
    return "skipped_pads" in asked.artifact.entry


def _onnx_holds_states(asked: Asked, rows: int, units: int) -> bool:
    return b"trim_start" in asked.content


def _litert_holds_states(asked: Asked, rows: int, units: int) -> bool:
    return inside_litert.holds_states(asked.content, rows - 1, units)


_HOLDS_STATES: dict[str, Callable[[Asked, int, int], bool]] = {
    "c": _c_holds_states,
    "onnx": _onnx_holds_states,
    "litert": _litert_holds_states,
    "tflm": lambda asked, rows, units: False,  # it takes all steps
}


def _groups(asked: Asked, plan: Plan, rows: Rows) -> Iterable[Mapping[str, Array]]:
    if plan.spans_call:
        return one_by_one(rows)
    return by_padding(rows, skipped_input(plan.graph))


def _look_into_onnx(asked: Asked) -> Iterator[Check]:
    graph, rows = asked.skipping, asked.case.oracle.inputs
    plan, takes_texts = asked.plan(graph), asked.predictor.takes_texts
    chosen = rows[:_ALONE] if takes_texts else few_rows(graph, rows)
    if plan.spans_call:
        chosen = chosen[:_ALONE]
    groups = one_by_one(chosen) if takes_texts else _groups(asked, plan, chosen)
    try:
        inside = inside_onnx.open_inside(asked.case.bundle.path / asked.artifact.path, graph)
        looked = [inside.look(group) for group in groups]
    # onnxruntime and onnx have errors of their own, without a base; and onnx may be missing
    except Exception as error:  # of packages whose errors share no base
        yield _unasked(f"its values cannot be read: {first_line(error)}")
        if not takes_texts:
            yield from _whole(asked, "")
        return
    found = [one for taken, seen in looked for one in compare(plan, taken, seen.values, seen)]
    yield _check(worst(found), STEPS, f"{len(inside.values)} values of {len(chosen)} rows")


def _streaming(graph: Graph) -> StreamingGraph | None:
    try:
        return to_stream(graph)
    except ModelError:
        return None


def _look_into_c(asked: Asked) -> Iterator[Check]:
    """Step through the library, and look at what only some processors read."""
    yield from _spoilt(asked)
    graph, form = asked.case.graph, _streaming(asked.case.graph)
    if form is not None and asked.artifact.states:
        rows = few_rows(graph, asked.case.oracle.inputs)
        library = inside_c.open_steps(asked.case.bundle, asked.artifact)
        taken = inside_c.step_through(library, graph, asked.artifact.states, rows.feed)
        tables = _states_after_pads(asked)
        stepped = inside_c.as_rows(graph, form.graph, form.states, rows.feed, taken, tables)
        found = compare(asked.plan(form.graph), stepped.feed, stepped.held, stepped.seen)
        yield _check(worst(found), STEPS, _steps_of(rows, graph))
    yield from _whole(asked, "")


def _states_after_pads(asked: Asked) -> dict[str, Array]:
    """Return the states that steps take where a row has had pads alone; {} of an older file."""
    counted = {one.input for one in asked.artifact.states}
    form = _streaming(asked.case.graph)
    if form is None or counted == {one.input for one in form.states}:
        return {}
    weights = asked.plan(asked.skipping).weights
    tables = (node.name for node in asked.skipping.nodes if node.op == "PadState")
    return {name: weights[name]["table"].values.astype(np.float32) for name in tables}


def _spoilt(asked: Asked) -> Iterator[Check]:
    """Fail where a matrix has sums that are not its own: processors with VNNI read them."""
    file = StoredFile.of(asked.case.bundle, asked.artifact, asked.case.graph)
    stored = match_weights(asked.format, file) or ()
    wrong = [one.where for one in stored if one.found is not None and np.isnan(one.found).any()]
    if wrong:
        found = Distance(np.inf, FLOAT32_FLOOR, wrong[0])
        yield _check(found, STEPS, "its sums are of other weights", "sums")


def _compare_bits(asked: Asked) -> Iterator[Check]:
    """Compare integers, which are the same on every processor, by the floats made of them."""
    graph, observed = asked.skipping, asked.artifact.entry.get("observed", {})
    rows = few_rows(graph, asked.case.oracle.inputs)
    ranges = {name: np.asarray(one, np.float64) for name, one in observed.items()}
    most = 0.0
    for group in by_padding(rows, skipped_input(graph)):
        made = side_by_side(run_integers(graph, ranges, group))
        found = _by_predictor(asked)(group)
        most = max(most, float(difference(found, made).max(initial=0.0)))
    note = f"{len(rows)} rows: each bit is to be the same"
    verdict = "pass" if most == 0.0 else "fail"
    yield Check(f"{QUESTION}_{WHOLE}", most, 0.0, verdict, note=note, question=QUESTION, by=WHOLE)


def _steps_of(rows: Rows, graph: Graph) -> str:
    steps = max(rows.feed[one.name].shape[1] for one in graph.inputs if has_time(one))
    return f"{steps} timesteps of {len(rows)} rows"


def _look_into_litert(asked: Asked) -> Iterator[Check]:
    """Ask the delegate, which takes part unless it is told not to, and the engine's own kernels."""
    for engine in (inside_litert.XNNPACK, inside_litert.BUILTIN):
        yield from _step_through_loops(asked, engine)
        yield from _whole(asked, engine)


def _step_through_loops(asked: Asked, engine: str) -> Iterator[Check]:
    """Step through the loops where the model can be cut at any timestep."""
    graph, form = asked.case.graph, _streaming(asked.case.graph)
    open_time = all(one.shape[1] is None for one in graph.inputs if has_time(one))
    if form is None or not open_time or asked.scheme.batch is not None:
        return
    rows = few_rows(graph, asked.case.oracle.inputs, timesteps=_STEPPED_TIMESTEPS)
    rows = without_shared_padding(rows, skipped_input(asked.skipping))
    timed = [one.name for one in graph.inputs if has_time(one)]
    try:
        inside = inside_litert.open_inside(asked.content, asked.skipping, engine=engine)
        if inside is None:
            return
        taken = inside_litert.prefixes(inside, form.states, rows.feed, timed)
    # what the interpreter says of a changed file is a RuntimeError, a ValueError or its own
    except Exception as error:  # of an interpreter that a changed file breaks
        yield _unasked(f"its states cannot be read: {first_line(error)}")
        return
    stepped = inside_c.as_rows(graph, form.graph, form.states, rows.feed, taken)
    found = compare(asked.plan(form.graph, engine), stepped.feed, stepped.held, stepped.seen)
    yield _check(worst(found), STEPS, f"{engine}: {_steps_of(rows, graph)}", engine)


def _whole(asked: Asked, engine: str) -> Iterator[Check]:
    """Compare whole sequences, in the engine that the predictor has or in another of litert's."""
    graph = asked.skipping
    rows = few_rows(graph, asked.case.oracle.inputs, timesteps=_WHOLE_TIMESTEPS)[:_WHOLE_ROWS]
    plan = asked.plan(graph, engine)
    groups = list(_groups(asked, plan, rows))

    scores = _by_predictor(asked)
    if engine == inside_litert.BUILTIN:
        scores = _by_builtin_kernels(asked)
    limit = asked.case.oracle.float32_limit
    found = compare_whole(plan, groups, scores, limit=limit)
    yield _check(found, WHOLE, f"{len(rows)} rows", engine)


def _by_predictor(asked: Asked) -> Scores:
    return lambda group: side_by_side(asked.predictor.scores(Rows(group).given))


def _by_builtin_kernels(asked: Asked) -> Scores:
    graph = asked.case.graph
    plain = inside_litert.open_plain(asked.content, graph, engine=inside_litert.BUILTIN)

    def run(group: Mapping[str, Array]) -> Array:
        made = plain.run(group)
        return side_by_side({name: made[name] for name in graph.outputs})

    def scores(group: Mapping[str, Array]) -> Array:
        rows = Rows(group)
        size = asked.scheme.batch or len(rows)
        return np.concatenate([run(rows[i : i + size].feed) for i in range(0, len(rows), size)])

    return scores


_LOOKS: dict[str, tuple[str, Callable[[Asked], Iterator[Check]]]] = {
    "c": ("c", _look_into_c),
    "litert": ("litert", _look_into_litert),
    "onnx": ("onnx", _look_into_onnx),
    "onnx-text": ("onnx", _look_into_onnx),
    "tflm": ("tflm", lambda asked: _whole(asked, "")),
    "wasm": ("c", _look_into_c),
}
"""By target: whose files it writes, and how they are looked into."""

_INTEGER_LOOKS: dict[str, tuple[str, Callable[[Asked], Iterator[Check]]]] = {
    "c": ("c", _compare_bits),
    "wasm": ("c", _compare_bits),
}
"""The same of schemes that compute in integers."""
