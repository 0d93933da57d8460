"""The Predictor: texts, ids or features in, labels and scores out.

Not an engine (see `gatelet.runtime.backends`), and there is no cache of results.
"""

from __future__ import annotations

from gatelet.errors import InputError
from gatelet.runtime.backends.backend import (
    Backend,
    row_trial,
)
from gatelet.runtime.backends.targets import row_of
from gatelet.runtime.bundle.opening import Bundle
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.predictor.prediction import Prediction, check_labels, decided_rows

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from gatelet.runtime.bundle.ranges import InputRange
    from gatelet.runtime.predictor.open_stream import Streaming
    from gatelet.runtime.predictor.ranges import RangeWatch
    from gatelet.runtime.predictor.scoring import Scorer
    from gatelet.runtime.predictor.stream import Stream
    from gatelet.runtime.vectorizer.explanation import Explanation
    from gatelet.runtime.vectorizer.opening import AnyVectorizer


class Predictor:
    """A bundle with one of its artifacts opened.

    Args:
        bundle: The opened bundle.
        backend: What runs the artifact.
        scheme: The artifact's scheme.
        max_batch: The most rows that the artifact takes at once.
        ranges: Of the features that the artifact was calibrated for; () where it was not.
    """

    def __init__(
        self,
        bundle: Bundle,
        backend: Backend,
        *,
        scheme: str,
        max_batch: int | None = None,
        ranges: tuple[InputRange, ...] = (),
    ) -> None:
        self.bundle = bundle
        self.labels = bundle.labels
        self.threshold = bundle.threshold
        self.target = backend.target
        self.scheme = scheme
        self.engine = backend.engine
        self.note: str | None = None
        self._backend = backend
        row = row_of(self.target)
        self.takes_texts = row.takes_texts
        self._graph = _graph_of(bundle, self.target)
        self._vectorizers: list[AnyVectorizer | None] = []
        if not getattr(backend, "reads_texts", False):
            _ = self._vectorizer  # damage is told now
        check_labels(bundle, self._graph)
        self._rows_at_once = min(max_batch or row.rows_at_once, row.rows_at_once)
        self._usual: Scorer | None = None
        self._try_rows = row_trial(backend, self._graph)
        self._gives_rows = len(self._graph.shape_of(self._graph.outputs[0])) == 2
        self._decides_rows = (
            self._gives_rows and len(self._graph.outputs) == 1 and not bundle.decisions
        )
        self._streaming: Streaming | None = None
        self._watch: RangeWatch | None = None
        if ranges:
            from gatelet.runtime.predictor.ranges import RangeWatch

            self._watch = RangeWatch(ranges, self._graph.inputs, name=str(bundle.path))

    def __repr__(self) -> str:
        """Report what is open."""
        return f"<Predictor '{self.bundle.name}', {self.target} {self.scheme} ({self.engine})>"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled.

        Raises:
            TypeError: Always.
        """
        raise TypeError(
            "a Predictor is not pickled: hand over the bundle's path, and load it in each process"
        )

    def predict(self, inputs: Any) -> list[Prediction]:
        """Predict labels.

        Args:
            inputs: As for `scores`.

        Returns:
            One Prediction a row.

        Raises:
            InputError: The model cannot take these inputs, or gives no row of scores for each.
            BackendError: The engine failed.
        """
        scores = self.scores(inputs)
        if self._decides_rows:
            return decided_rows(scores, self.labels, threshold=self.threshold)
        return self.decide(scores, inputs)

    def decide(self, scores: Any, inputs: Any) -> list[Prediction]:
        """Decide what `scores` gave for these inputs; as `predict`."""
        if self.bundle.decisions:
            from gatelet.runtime.predictor.meanings import decided

            return decided(self.bundle, self._graph, scores, inputs, lambda: self._vectorizer)
        if isinstance(scores, dict) or not self._gives_rows:
            raise InputError(
                f"bundle '{self.bundle.path}' does not give one row of scores a text, so there is "
                "nothing to decide: use scores()"
            )
        return decided_rows(scores, self.labels, threshold=self.threshold)

    def scores(self, inputs: Any) -> Any:
        """Return the model's own output.

        Args:
            inputs: Texts, ids int32 [B, T] (0 is padding) or features float32 [B, T, F]; of a
                model with several inputs a dict by their names, or a list in the model's order.

        Returns:
            Array-like [B, C], or [B, T, C] where the model gives one output a timestep; [] for no
            rows. Of a model with several outputs a dict, in the model's order.

        Raises:
            InputError: The model cannot take these inputs.
            BackendError: The engine failed.
        """
        if self._try_rows is not None:
            tried = self._try_rows(inputs, self._rows_at_once)
            if tried is not None:
                return tried
        found = self._scorer.scores(inputs)
        if self._watch is not None:
            self._watch.look(inputs)
        return found

    @property
    def out_of_range(self) -> int | None:
        """How many features lay outside the range that the artifact was calibrated for.

        Of all calls and streams since it was opened. None where it was not calibrated for any:
        in floats nothing is cut, and ids are all known.
        """
        return None if self._watch is None else self._watch.outside

    def out_of_range_by_row(self, inputs: Any) -> list[int] | None:
        """Count the features of each row outside that range; None likewise.

        Args:
            inputs: That `scores` has taken.
        """
        return None if self._watch is None else self._watch.by_row(inputs)

    def warm_up(self) -> None:
        """Run one row of zeros, so that the first prediction is as fast as the next ones."""
        if self.takes_texts:
            self.scores([""])
            return
        from gatelet.runtime.predictor.inputs import zero_row

        zeros = {one.name: zero_row(one) for one in self._graph.inputs}
        self.scores(zeros if len(zeros) > 1 else next(iter(zeros.values())))

    def explain(self, text: str) -> Explanation:
        """Report what the vectorizer makes of a text: known tokens, ids, what was cut.

        Raises:
            InputError: The bundle has no vectorizer, or the text is too long to explain.
        """
        from gatelet.runtime.vectorizer.explanation import explain

        if not isinstance(text, str):
            raise InputError(f"the text to explain is a {type(text).__name__}: expected a str")
        if self._vectorizer is None:
            raise InputError(f"bundle '{self.bundle.path}' has no vectorizer: nothing to explain")

        return explain(self._vectorizer, text)

    @property
    def reads_texts(self) -> bool:
        """Whether the artifact has a reader of texts of its own; else Python's vectorizer reads."""
        return self.takes_texts or bool(getattr(self._backend, "reads_texts", False))

    def own_ids(self, texts: list[str]) -> list[list[int]]:
        """Return the ids that the artifact's own reader makes of texts, [B, maxlen].

        Args:
            texts: Any number, for an artifact that `reads_texts`.
        """
        return self._scorer.own_ids(texts) if texts else []

    def stream(self) -> Stream:
        """Start a sequence that comes in pieces: sensor values, or the words of a text.

        Returns:
            A Stream with states of its own, zero at the start; any number may run at once.

        Raises:
            BundleError: The bundle does not stream; the message says why and what to do.
            BackendError: The engine refuses the streaming file.
        """
        from gatelet.runtime.predictor.open_stream import open_streaming

        # no lock, which a forked process might inherit locked: two threads may open it twice
        streaming = self._streaming
        if streaming is None:
            streaming = self._streaming = open_streaming(
                self.bundle,
                self.bundle.interface(),
                self._vectorizer,
                target=self.target,
                scheme=self.scheme,
                backend=self._backend,
            )
        return streaming.start(self._decided, watch=self._watch)

    def _decided(self, scores: Any) -> list[Prediction]:
        """Decide rows of scores [B, C], or the last timestep of [B, n, C]."""
        if self.bundle.decisions:
            from gatelet.runtime.predictor.meanings import decided

            return decided(self.bundle, self._graph, scores, None, None)
        return decided_rows(scores, self.labels, threshold=self.threshold)

    @property
    def _vectorizer(self) -> AnyVectorizer | None:
        """The vectorizer, read when it is first needed: C has tables of its own."""
        if not self._vectorizers:
            self._vectorizers = [self.bundle.vectorizer()]
        return self._vectorizers[0]

    @property
    def _scorer(self) -> Scorer:
        """The usual way, loaded when it is first needed: many a c bundle never does."""
        if self._usual is None:
            from gatelet.runtime.predictor.scoring import scorer_of

            self._usual = scorer_of(
                self.bundle,
                self._graph,
                self._backend,
                scheme=self.scheme,
                rows_at_once=self._rows_at_once,
                vectorizer=lambda: self._vectorizer,
            )
        return self._usual


def _graph_of(bundle: Bundle, target: str) -> Graph:
    """Return the Graph, its weights looked at; without them for code, which has its own."""
    if row_of(target).is_code:
        return bundle.structure()
    from gatelet.runtime.predictor.finite import check_finite

    graph = bundle.interface()
    check_finite(graph.weights, name=str(bundle.path))
    return graph
