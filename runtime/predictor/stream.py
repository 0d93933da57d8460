"""A Stream: a sequence that comes in pieces, with the states between them.

Not an engine, and not the making of the streaming form: see `gatelet.runtime.graph.streaming`.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from reprlib import repr as show
from typing import Any, NamedTuple

from gatelet.errors import InputError
from gatelet.runtime.backends.forks import renew_after_fork
from gatelet.runtime.graph.graph import Graph, GraphInput
from gatelet.runtime.graph.states import State
from gatelet.runtime.graph.streamable import has_time
from gatelet.runtime.predictor.inputs import check_rows
from gatelet.runtime.predictor.prediction import Prediction
from gatelet.runtime.vectorizer.format import LARGEST_MAXLEN
from gatelet.runtime.vectorizer.opening import AnyVectorizer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gatelet.runtime.predictor.ranges import RangeWatch

Run = Callable[[dict[str, Any]], Mapping[str, Any]]
Decide = Callable[[Any], list[Prediction]]


class _Place(NamedTuple):
    """Where a stream is: in one object, so that a fork finds the old or the new."""

    carried: dict[str, Any] | None = None
    rows: int = 0
    steps: int = 0
    outside: int = 0


_START = _Place()


class Stream:
    """A sequence that comes in pieces; each Stream has states of its own, zero at the start.

    One Stream may be used by several threads: a step waits for the one before it.

    Args:
        graph: The model.
        states: What is carried from piece to piece.
        run: Runs the streaming form: by its inputs to its outputs.
        decide: Makes predictions of scores [B, C], or of the last timestep of [B, n, C].
        name: The bundle's name, for messages.
        vectorizer: For a model of texts: see `without_limit`.
        max_batch: The most rows to run at once; None for any number.
        by_output: `decide` takes several outputs too.
        watch: Counts values outside what the artifact was calibrated for; None where it was not.
    """

    def __init__(
        self,
        graph: Graph,
        states: Sequence[State],
        run: Run,
        decide: Decide,
        *,
        name: str,
        vectorizer: AnyVectorizer | None = None,
        max_batch: int | None = None,
        by_output: bool = False,
        watch: "RangeWatch | None" = None,
    ) -> None:
        self._graph = graph
        self._names = [one.name for one in graph.inputs]
        self._expected = [(one, _open_time(one)) for one in graph.inputs]
        self._states = tuple(states)
        self._run = run
        self._decide = decide
        self._name = name
        self._vectorizer = vectorizer
        self._max_batch = max_batch
        self._by_output = by_output
        self._watch = watch
        self._at = _START
        self._lock = threading.Lock()
        renew_after_fork(self)

    def renew(self) -> None:
        """See `Renewable`: a step of another thread is not taken in a forked child."""
        self._lock = threading.Lock()

    @property
    def steps(self) -> int:
        """Timesteps since the start."""
        return self._at.steps

    @property
    def out_of_range(self) -> int | None:
        """How many features since the start lay outside the range that it was calibrated for.

        None where the artifact was not calibrated for any; see `Predictor.out_of_range`.
        """
        return None if self._watch is None else self._at.outside

    @property
    def inputs(self) -> tuple[GraphInput, ...]:
        """What the model takes."""
        return self._graph.inputs

    @property
    def takes_texts(self) -> bool:
        """Whether a text can be a step."""
        return self._vectorizer is not None and len(self._graph.inputs) == 1

    @property
    def decides(self) -> bool:
        """Whether `predict` can be used: the model has one output, of scores, or knows of more."""
        if self._by_output:
            return True
        first, *others = self._graph.outputs
        return not others and len(self._graph.shape_of(first)) in (2, 3)

    def decide(self, scores: Any) -> list[Prediction]:
        """Make predictions of what `step` gave, as after its last timestep."""
        return self._decide(scores)

    def reset(self) -> None:
        """Start a new sequence; the number of rows may be another."""
        with self._lock:
            self._at = _START

    def predict(self, inputs: Any) -> list[Prediction]:
        """Take a step and predict labels.

        Args:
            inputs: As for `step`.

        Returns:
            One Prediction a row, as after the last timestep.

        Raises:
            InputError: As `step`; or the model has several outputs, or none that is decided.
            BackendError: The engine failed; the states stay as they were.
        """
        if not self.decides:
            raise InputError(
                f"bundle '{self._name}' does not give one row of scores, so there is nothing to "
                "decide: use step()"
            )
        return self.decide(self.step(inputs))

    def step(self, inputs: Any) -> Any:
        """Take one timestep, or several.

        Args:
            inputs: Features [F] of one timestep, [B, F] of one timestep of B rows, or [B, n, F];
                ids likewise: one id, [B] or [B, n]; of a model of texts also a text, of which each
                token is a timestep, or B texts of as many tokens. Of a model with several inputs a
                dict by their names, or a list in the model's order.

        Returns:
            What `Predictor.scores` gives for the whole sequence so far: [B, C] after the last
            timestep; of a model with an output for each timestep those of the new ones, [B, n, C].
            Of a model with several outputs a dict, in the model's order.

        Raises:
            InputError: The model cannot take these inputs, or they have another number of rows
                than the steps before; the states stay as they were.
            BackendError: The engine failed; the states stay as they were.
        """
        given = {
            one.name: self._checked(value, one, open_time)
            for (one, open_time), value in zip(self._expected, self._by_input(inputs), strict=True)
        }
        rows = _one_size(given, self._graph.inputs, axis=0, what="rows")
        timesteps = _one_size(given, self._graph.inputs, axis=1, what="timesteps")
        with self._lock:
            at = self._at
            if at.carried is not None and rows != at.rows:
                raise InputError(
                    f"this stream has {at.rows} rows, got {rows}: give as many at each step, "
                    "reset() it, or open a stream for each"
                )
            found = self._run_rows({**given, **(at.carried or self._zeros(rows))}, rows)
            carried = {one.input: found[one.output] for one in self._states}
            outside = at.outside + (0 if self._watch is None else self._watch.look(given))
            self._at = _Place(carried, rows, at.steps + timesteps, outside)
        results = {name: found[name] for name in self._graph.outputs}
        return results if len(results) > 1 else next(iter(results.values()))

    def _by_input(self, inputs: Any) -> list[Any]:
        names = self._names
        if isinstance(inputs, Mapping) and set(inputs) != set(names):
            raise InputError(
                f"bundle '{self._name}' takes the input{'s' * (len(names) > 1)} "
                f"{', '.join(names)}, got {', '.join(map(str, inputs)) or 'none'}"
            )
        if len(names) == 1 and not isinstance(inputs, Mapping):
            return [inputs]
        if isinstance(inputs, Mapping):
            return [inputs[name] for name in names]
        if isinstance(inputs, list | tuple) and len(inputs) == len(names):
            return list(inputs)
        raise InputError(
            f"bundle '{self._name}' takes {len(names)} inputs: give a dict with "
            f"{', '.join(names)}, or a list of {len(names)} in this order"
        )

    def _checked(self, value: Any, expected: GraphInput, open_time: GraphInput) -> Any:
        """Check one input and give it all its axes; `open_time` takes any number of timesteps."""
        if isinstance(value, str) or (
            isinstance(value, list | tuple) and value and isinstance(value[0], str)
        ):
            value = self._ids([value] if isinstance(value, str) else value)
        full = len(expected.shape)
        given = _rank(value)
        least = full - (2 if has_time(expected) else 1)
        if not least <= given <= full:
            raise InputError(
                f"'{expected.name}' is {show(value)}: expected {_forms(expected)}",
                expected=expected.shape,
            )
        if given < full and has_time(expected):
            value = _with_time_axis(value, is_row=given == full - 2)
        elif given < full:
            value = _within(value)
        return check_rows(value, open_time)

    def _ids(self, texts: Sequence[Any]) -> list[list[int]]:
        if self._vectorizer is None:
            raise InputError(
                f"bundle '{self._name}' has no vectorizer, so it takes no texts: give ids or "
                "features"
            )
        if getattr(self._vectorizer, "ngrams", None):
            raise InputError(
                f"bundle '{self._name}' takes n-grams, which a text in pieces lacks: give ids"
            )
        for text in texts:
            if not isinstance(text, str):
                raise InputError(f"a text is {show(text)}: expected a str")
        ids = [self._vectorizer.ids(text) for text in texts]
        counts = sorted({len(row) for row in ids})
        if counts == [0]:
            raise InputError(
                f"{show(texts[0])} has no token that the model knows: leave it out", tokens=0
            )
        if len(counts) > 1:
            raise InputError(
                f"the texts have {', '.join(map(str, counts[:5]))} known tokens, expected as many "
                "in each: open a stream for each"
            )
        return ids

    def _zeros(self, rows: int) -> dict[str, Any]:
        zeros = {"float32": 0.0, "int32": 0}
        return {one.input: _filled(zeros[one.dtype], (rows, *one.shape)) for one in self._states}

    def _run_rows(self, inputs: dict[str, Any], rows: int) -> Mapping[str, Any]:
        size = self._max_batch or rows
        if rows <= size:
            return self._run(inputs)
        parts = [
            self._run({name: array[start : start + size] for name, array in inputs.items()})
            for start in range(0, rows, size)
        ]
        return {name: _joined([part[name] for part in parts]) for name in parts[0]}


def without_limit(vectorizer: AnyVectorizer) -> AnyVectorizer:
    """Return a vectorizer that cuts no text: a stream has no end."""
    return replace(vectorizer, maxlen=LARGEST_MAXLEN)


def _open_time(one: GraphInput) -> GraphInput:
    if not has_time(one):
        return one
    return replace(one, shape=(one.shape[0], None, *one.shape[2:]))


def _one_size(
    given: Mapping[str, Any], inputs: Sequence[GraphInput], *, axis: int, what: str
) -> int:
    """Return the one number of rows, or of timesteps, that all inputs have.

    Raises:
        InputError: They have different ones, or none.
    """
    names = [one.name for one in inputs if axis == 0 or has_time(one)]
    sizes = {
        name: len(given[name]) if axis == 0 or not len(given[name]) else len(given[name][0])
        for name in names
    }
    if len(set(sizes.values())) > 1:
        written = ", ".join(f"'{name}' has {size}" for name, size in sizes.items())
        raise InputError(f"the inputs have different numbers of {what}: {written}")
    size = next(iter(sizes.values()))
    if not size:
        raise InputError(f"there are no {what} to take a step with")
    return size


def _rank(value: Any) -> int:
    """Count the axes of an array or of nested lists, by their first elements."""
    rank = 0
    while not hasattr(value, "ndim"):
        if not isinstance(value, Sequence) or isinstance(value, str | bytes | bytearray):
            return rank
        rank += 1
        if not value:
            return rank
        value = value[0]
    return rank + int(value.ndim)


def _with_time_axis(value: Any, *, is_row: bool) -> Any:
    """Make one timestep of several rows, or of one, a sequence of one timestep."""
    if is_row:
        return _within(_within(value))
    return value[:, None] if hasattr(value, "ndim") else [[one] for one in value]


def _within(value: Any) -> Any:
    return value[None] if hasattr(value, "ndim") else [value]


def _forms(expected: GraphInput) -> str:
    sizes = [str(size) if size is not None else "?" for size in expected.shape[1:]]
    if not has_time(expected):
        return f"[{', '.join(sizes)}], or a list of B of them"
    step = ", ".join(sizes[1:])
    rest = f", {step}" if step else ""
    one = f"[{step}]" if step else "one id"
    return f"{one} for one timestep, [B{rest}] for one of B rows, or [B, n{rest}] for n timesteps"


def _filled(value: float | int, shape: tuple[int, ...]) -> Any:
    if not shape:
        return value
    return [_filled(value, shape[1:]) for _ in range(shape[0])]


def _joined(parts: list[Any]) -> Any:
    if hasattr(parts[0], "dtype"):
        import numpy as np

        return np.concatenate(parts)
    return [row for part in parts for row in part]
