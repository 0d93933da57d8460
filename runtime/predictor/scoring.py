"""The usual way of rows to scores: checked, in batches, through the backend, joined.

Not the straight way, `try_rows` of a backend that checks ids itself: see `backends/c.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from gatelet.errors import BackendError, GateletError, InputError
from gatelet.runtime.backends.backend import Backend, first_line
from gatelet.runtime.backends.targets import row_of
from gatelet.runtime.graph.width import Width, width_of
from gatelet.runtime.predictor.batches import (
    Batches,
    in_batches,
    joined,
    skipped_input,
    starts_at_stored_states,
    text_batches,
)
from gatelet.runtime.predictor.call_cost import Cost, cost_of
from gatelet.runtime.predictor.inputs import (
    are_texts,
    by_input,
    check_counts,
    check_rows,
    is_known_good,
)
from gatelet.runtime.records import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from gatelet.runtime.bundle.opening import Bundle
    from gatelet.runtime.graph.graph import Graph, GraphInput
    from gatelet.runtime.vectorizer.opening import AnyVectorizer


@dataclass(frozen=True)
class Scorer:
    """What gives a model's scores.

    Args:
        name: The bundle's, for messages.
        graph: The model.
        backend: What runs it.
        scheme: What the backend runs, for messages.
        skipped: The input of ids whose padding is skipped; None to keep the order of rows.
        rows_at_once: The most rows of a batch.
        vectorizer: Gives it; None of a model without texts.
        cost: Of a call, by which rows are divided.
        width: Of a row, which bounds the rows of a batch too.
        apart: Rows of a batch have as many pads in front.
    """

    name: str
    graph: Graph
    backend: Backend
    scheme: str
    skipped: str | None
    rows_at_once: int
    vectorizer: Callable[[], AnyVectorizer | None]
    cost: Cost
    width: Width
    apart: bool = False

    def scores(self, inputs: Any) -> Any:
        """Return the model's output; see `Predictor.scores`."""
        if row_of(self.backend.target).takes_texts:
            return self._text_scores(inputs)
        batches = self._batches(inputs)
        found = [self._run(part) for part in batches.parts]
        results = {name: batches.join([f[name] for f in found]) for name in self.graph.outputs}
        return results if len(results) > 1 else next(iter(results.values()))

    def _text_scores(self, texts: Any) -> Any:
        """Hand texts to a backend that vectorizes: lower-cased as asked for, long ones cut."""
        if not are_texts(texts):
            if not len(texts):
                return []
            raise InputError(
                f"{self.backend.target} of bundle '{self.name}' takes texts: for ids choose "
                "--target onnx"
            )
        texts = self._shortened(texts)
        size = self.rows_at_once
        found = [
            self._run({"text": texts[start : start + size]}) for start in range(0, len(texts), size)
        ]
        results = {name: joined([one[name] for one in found]) for name in self.graph.outputs}
        return results if len(results) > 1 else next(iter(results.values()))

    def _shortened(self, texts: Sequence[str]) -> Sequence[str]:
        shortened = getattr(self.vectorizer(), "shortened", None)
        return texts if shortened is None else [shortened(text) for text in texts]

    def own_ids(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the ids that the artifact's own reader makes of texts, at least one."""
        backend: Any = self.backend
        if row_of(backend.target).takes_texts:
            name = self.graph.inputs[0].name
            found: list[list[int]] = backend.ids_of_texts(name, self._shortened(texts)).tolist()
            return found
        vectorizer = self.vectorizer()
        assert vectorizer is not None, "a backend that reads texts comes with a vectorizer"
        return [self._ids(vectorizer, text) for text in texts]

    def _ids(self, vectorizer: AnyVectorizer, text: str) -> list[int]:
        """Return the ids of a text by the artifact's own reader, and by Python where it has none.

        One reader for any number of texts: `try_rows`, which takes few, asks the same one.
        """
        read = getattr(self.backend, "ids_of_text", None)
        return (read and read(text)) or vectorizer.pad(text)

    def _rows(self, inputs: Any) -> dict[str, Any]:
        """Check what the caller gives, by graph input."""
        taken = self.graph.inputs
        if len(taken) == 1:
            return {taken[0].name: self._checked(inputs, taken[0])}
        given = by_input(inputs, taken, name=self.name)
        rows = {one.name: self._checked(given[one.name], one) for one in taken}
        check_counts(rows)
        return rows

    def _checked(self, inputs: Any, expected: GraphInput) -> Any:
        if not are_texts(inputs):
            return check_rows(inputs, expected)
        vectorizer = self.vectorizer()
        if vectorizer is None:
            raise InputError(
                f"bundle '{self.name}' has no vectorizer, so it takes no texts: give ids "
                "or features, or convert again with --vectorizer"
            )
        ids = [self._ids(vectorizer, text) for text in inputs]
        return ids if is_known_good(vectorizer, self.graph) else check_rows(ids, expected)

    def _batches(self, inputs: Any) -> Batches:
        skips, cost = self.skipped is not None, self.cost
        # of one text a list is made sooner than an array
        if row_of(self.backend.target).takes_arrays and are_texts(inputs) and len(inputs) > 1:
            vectorizer, name = self.vectorizer(), self.graph.inputs[0].name
            if vectorizer is not None and is_known_good(vectorizer, self.graph):
                most = self._most(vectorizer.maxlen)
                return text_batches(
                    vectorizer,
                    inputs,
                    ids=name,
                    skips=skips,
                    most=most,
                    cost=cost,
                    apart=self.apart,
                )
        rows = self._rows(inputs)
        first = next(iter(rows.values()))
        most = self._most(len(first[0]) if len(first) else 1)
        return in_batches(rows, ids=self.skipped, most=most, cost=cost, apart=self.apart)

    def _most(self, timesteps: int) -> int:
        return min(self.rows_at_once, self.width.rows_at_once(timesteps))

    def _run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        try:
            found = self.backend.run(inputs)
            return {name: found[name] for name in self.graph.outputs}
        except GateletError:
            raise
        except Exception as error:  # engines raise whatever they like
            raise BackendError(
                f"the engine {self.backend.engine} cannot run bundle '{self.name}' "
                f"({self.backend.target} {self.scheme}): {type(error).__name__} "
                f"{first_line(error)}",
                target=self.backend.target,
            ) from error


def scorer_of(
    bundle: Bundle,
    graph: Graph,
    backend: Backend,
    *,
    scheme: str,
    rows_at_once: int,
    vectorizer: Callable[[], AnyVectorizer | None],
) -> Scorer:
    """Return the Scorer of an opened artifact.

    Rows are sorted for engines that skip the padding which rows share; see `Target.sorts_rows`.
    """
    sorts = row_of(backend.target).sorts_rows and not bundle.is_opaque
    skipped = skipped_input(graph) if sorts else None
    return Scorer(
        name=str(bundle.path),
        graph=graph,
        backend=backend,
        scheme=scheme,
        skipped=skipped,
        rows_at_once=rows_at_once,
        vectorizer=vectorizer,
        cost=Cost() if skipped is None else cost_of(graph, backend.target),
        width=width_of(graph),
        apart=skipped is not None and starts_at_stored_states(graph, scheme),
    )
