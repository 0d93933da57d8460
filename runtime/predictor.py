"""The Predictor: texts, ids or features in, labels and scores out.

Not an engine (see `gatelet.runtime.backends`), and there is no cache of results.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gatelet.errors import BackendError, BackendMissing, BundleError, GateletError, InputError
from gatelet.runtime.backends import GRAPH_TARGETS, Backend, installed_targets, open_backend
from gatelet.runtime.backends.backend import first_line
from gatelet.runtime.batches import (
    ROWS_AT_ONCE,
    Batches,
    cost_of,
    in_batches,
    joined,
    skipped_input,
    text_batches,
)
from gatelet.runtime.bundle import Artifact, Bundle, open_bundle
from gatelet.runtime.choice import check_engine, choose_artifact, target_of_variable
from gatelet.runtime.finite import check_finite
from gatelet.runtime.graph import Graph, GraphInput
from gatelet.runtime.inputs import (
    are_texts,
    by_input,
    check_counts,
    check_rows,
    is_known_good,
    zero_row,
)
from gatelet.runtime.prediction import Prediction, check_labels, decided

if TYPE_CHECKING:
    from gatelet.runtime.explanation import Explanation
    from gatelet.runtime.open_stream import Streaming
    from gatelet.runtime.stream import Stream
    from gatelet.runtime.vectorizers import AnyVectorizer

__all__ = ["Prediction", "Predictor", "choose_artifact", "load", "open_artifact"]

_ARRAY_TARGETS = ("litert", "onnx", "tflm", "reference")
_ROWS_OF_PURE = 8  # more at once gain nothing there, and take memory


class Predictor:
    """A bundle with one of its artifacts opened.

    Args:
        bundle: The opened bundle.
        backend: What runs the artifact.
        scheme: The artifact's scheme.
        max_batch: The most rows that the artifact takes at once.
    """

    def __init__(
        self, bundle: Bundle, backend: Backend, *, scheme: str, max_batch: int | None = None
    ) -> None:
        self.bundle = bundle
        self.labels = bundle.labels
        self.threshold = bundle.threshold
        self.target = backend.target
        self.scheme = scheme
        self.engine = backend.engine
        self.note: str | None = None
        self._backend = backend
        self.takes_texts = bool(getattr(backend, "takes_texts", False))
        self._graph: Graph = bundle.interface()
        self._vectorizer: AnyVectorizer | None = bundle.vectorizer()
        check_labels(bundle, self._graph)
        check_finite(self._graph.weights, name=str(bundle.path))
        self._rows_at_once = min(max_batch or ROWS_AT_ONCE, ROWS_AT_ONCE)
        as_is = self.target in GRAPH_TARGETS or bundle.is_opaque
        self._skipped = None if as_is else skipped_input(self._graph)
        self._cost = cost_of(self._graph, self.target)
        self._knows_its_ids = is_known_good(self._vectorizer, self._graph)
        self._fills_arrays = self._knows_its_ids and self.target in _ARRAY_TARGETS
        self._streaming: Streaming | None = None

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
        if isinstance(scores, dict) or len(self._graph.shape_of(self._graph.outputs[0])) != 2:
            raise InputError(
                f"bundle '{self.bundle.path}' does not give one row of scores a text, so there is "
                "nothing to decide: use scores()"
            )
        return self._decided(scores)

    def scores(self, inputs: Any) -> Any:
        """Give the model's own output.

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
        if self.takes_texts:
            return self._text_scores(inputs)
        batches = self._batches(inputs)
        found = [self._run(part) for part in batches.parts]
        results = {name: batches.join([f[name] for f in found]) for name in self._graph.outputs}
        return results if len(results) > 1 else next(iter(results.values()))

    def _text_scores(self, texts: Any) -> Any:
        """Hand texts to a backend that vectorizes: lower-cased as asked for, long ones cut."""
        if not are_texts(texts):
            if not len(texts):
                return []
            raise InputError(
                f"{self.target} of bundle '{self.bundle.path}' takes texts: for ids choose "
                "--target onnx"
            )
        shortened = getattr(self._vectorizer, "shortened", None)
        if shortened is not None:
            texts = [shortened(text) for text in texts]
        size = self._rows_at_once
        found = [
            self._run({"text": texts[start : start + size]}) for start in range(0, len(texts), size)
        ]
        results = {name: joined([one[name] for one in found]) for name in self._graph.outputs}
        return results if len(results) > 1 else next(iter(results.values()))

    def warm_up(self) -> None:
        """Run one row of zeros, so that the first prediction is as fast as the next ones."""
        if self.takes_texts:
            self.scores([""])
            return
        zeros = {one.name: zero_row(one) for one in self._graph.inputs}
        self.scores(zeros if len(zeros) > 1 else next(iter(zeros.values())))

    def explain(self, text: str) -> "Explanation":
        """Tell what the vectorizer makes of a text: known tokens, ids, what was cut.

        Raises:
            InputError: The bundle has no vectorizer, or the text is too long to explain.
        """
        if not are_texts([text]) or self._vectorizer is None:
            raise InputError(f"bundle '{self.bundle.path}' has no vectorizer: nothing to explain")
        from gatelet.runtime.explanation import explain

        return explain(self._vectorizer, text)

    def stream(self) -> "Stream":
        """Start a sequence that comes in pieces: sensor values, or the words of a text.

        Returns:
            A Stream with states of its own, zero at the start; any number may run at once.

        Raises:
            BundleError: The bundle does not stream; the message says why and what to do.
            BackendError: The engine refuses the streaming file.
        """
        from gatelet.runtime.open_stream import open_streaming

        # no lock, which a forked process might inherit locked: two threads may open it twice
        streaming = self._streaming
        if streaming is None:
            streaming = self._streaming = open_streaming(
                self.bundle,
                self._graph,
                self._vectorizer,
                target=self.target,
                scheme=self.scheme,
            )
        return streaming.start(self._decided)

    def _decided(self, scores: Any) -> list[Prediction]:
        """Decide rows of scores [B, C], or the last timestep of [B, n, C]."""
        rows = _as_lists(scores)
        last = [row[-1] if isinstance(row[0], list) else row for row in rows]
        return [decided(row, self.labels, threshold=self.threshold) for row in last]

    def _rows(self, inputs: Any) -> dict[str, Any]:
        """Check what the caller gives, by graph input."""
        taken = self._graph.inputs
        if len(taken) == 1:
            return {taken[0].name: self._checked(inputs, taken[0])}
        given = by_input(inputs, taken, name=str(self.bundle.path))
        rows = {one.name: self._checked(given[one.name], one) for one in taken}
        check_counts(rows)
        return rows

    def _checked(self, inputs: Any, expected: GraphInput) -> Any:
        if not are_texts(inputs):
            return check_rows(inputs, expected)
        ids = self._ids(inputs)
        return ids if self._knows_its_ids else check_rows(ids, expected)

    def _batches(self, inputs: Any) -> Batches:
        vectorizer, most, cost = self._vectorizer, self._rows_at_once, self._cost
        # of one text a list is made sooner than an array
        if vectorizer and self._fills_arrays and are_texts(inputs) and len(inputs) > 1:
            name, skips = self._graph.inputs[0].name, self._skipped is not None
            return text_batches(vectorizer, inputs, ids=name, skips=skips, most=most, cost=cost)
        return in_batches(self._rows(inputs), ids=self._skipped, most=most, cost=cost)

    def _run(self, inputs: dict[str, Any]) -> dict[str, Any]:
        try:
            found = self._backend.run(inputs)
            return {name: found[name] for name in self._graph.outputs}
        except GateletError:
            raise
        except Exception as error:  # engines raise whatever they like
            raise BackendError(
                f"the engine {self.engine} cannot run bundle '{self.bundle.path}' "
                f"({self.target} {self.scheme}): {type(error).__name__} {first_line(error)}",
                target=self.target,
            ) from error

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        if self._vectorizer is None:
            raise InputError(
                f"bundle '{self.bundle.path}' has no vectorizer, so it takes no texts: give ids "
                "or features, or convert again with --vectorizer"
            )
        return [self._vectorizer.pad(text) for text in texts]


def load(
    path: str | Path,
    *,
    target: str | None = None,
    scheme: str | None = None,
    threads: int = 1,
    probe: bool = False,
) -> Predictor:
    """Open a bundle with a backend that is installed.

    Args:
        path: The bundle's folder.
        target: 'c', 'litert', 'onnx', 'onnx-text', 'tflm', 'reference' or 'pure'; unless given,
            the environment variable GATELET_TARGET, else the first one that can run.
        scheme: Such as 'float32'; the first one that passed parity, unless given.
        threads: For the engine's kernels.
        probe: Let a child process open the artifact first and run the golden vectors: for bundles
            that may be damaged, whose artifact may end the process that opens it. No sandbox:
            the child runs what the bundle holds, native code of the c target too, as this user.

    Returns:
        A Predictor, which tells its `target`, `scheme` and `engine`.

    Raises:
        BundleError: The bundle is damaged, unsafe, too new, or has no such artifact.
        BackendMissing: No engine for it is installed.
        BackendError: The engine refuses it.
        ParityRefused: The artifact failed parity, and target and scheme do not both name it.
        ValueError: `threads` is below 1.
    """
    if threads < 1:
        raise ValueError(f"threads is {threads}: expected 1 or more")
    bundle = open_bundle(path)
    while True:
        try:
            return _load(bundle, target, scheme, threads=threads, probe=probe)
        except GateletError:
            # a conversion may have replaced the bundle in the meantime: then use the new one
            newer = open_bundle(path)
            if newer.generation == bundle.generation:
                raise
            bundle = newer


def _load(
    bundle: Bundle, target: str | None, scheme: str | None, *, threads: int, probe: bool
) -> Predictor:
    target = target or target_of_variable(bundle) or _fallback(bundle, scheme)
    if target in GRAPH_TARGETS:
        if scheme not in (None, "float32"):
            raise BundleError(
                f"the {target} backend runs the Graph in float32, not in '{scheme}': "
                "choose another --target or --scheme"
            )
        if probe:
            _probe(bundle, target, "float32")
        return open_reference(bundle) if target == "reference" else open_pure(bundle)
    artifact = choose_artifact(bundle, target=target, scheme=scheme)
    try:
        if probe:
            _probe(bundle, artifact.target, artifact.scheme)
        return open_artifact(bundle, artifact, threads=threads)
    except BackendError as error:
        if target is not None or artifact.target != "c":
            raise
        return _load_another(bundle, scheme, error, threads=threads, probe=probe)


def _probe(bundle: Bundle, target: str | None, scheme: str) -> None:
    from gatelet.runtime.probe import probe_bundle

    probe_bundle(bundle, target=target, scheme=scheme)


def _load_another(
    bundle: Bundle, scheme: str | None, error: BackendError, *, threads: int, probe: bool
) -> Predictor:
    """Open what comes after the c target, which needs a library for this very machine.

    Raises:
        BackendError: The bundle has nothing else: `error` itself.
    """
    others = replace(bundle, artifacts=tuple(a for a in bundle.artifacts if a.target != "c"))
    target = _fallback(others, scheme)
    try:
        predictor = _load(others, target, scheme, threads=threads, probe=probe)
    except (BundleError, BackendError):
        raise error from None
    predictor.note = f"{error}; using {predictor.target} {predictor.scheme}"
    return predictor


def _fallback(bundle: Bundle, scheme: str | None) -> str | None:
    """Give what runs the Graph where no engine for any artifact is installed."""
    installed = installed_targets()
    runs = any(artifact.target in installed for artifact in bundle.artifacts)
    if runs or scheme not in (None, "float32"):
        return None
    return next(target for target in GRAPH_TARGETS if target in installed)


def open_artifact(
    bundle: Bundle, artifact: Artifact, *, module: str | None = None, threads: int = 1
) -> Predictor:
    """Open one artifact of a bundle, whatever its parity verdict.

    Args:
        bundle: The opened bundle.
        artifact: One of its own.
        module: Of the engine; None for the preferred one that is installed.
        threads: For the engine's kernels.

    Raises:
        BackendMissing: No engine for it is installed, or one that runs it wrongly or not at all.
        BackendError: The engine refuses it.
    """
    if module is None:
        check_engine(bundle, artifact)
    backend = open_backend(
        artifact.target,
        bundle.path / artifact.path,
        module=module,
        threads=threads,
        companions={role: bundle.path / path for role, path in artifact.companions.items()},
    )
    bundle.check_unchanged(artifact.path, *artifact.companions.values())
    return Predictor(bundle, backend, scheme=artifact.scheme, max_batch=artifact.max_batch)


def open_reference(bundle: Bundle) -> Predictor:
    """Open the Graph of a bundle in the NumPy reference backend.

    Raises:
        BackendMissing: NumPy is not installed.
    """
    if "reference" not in installed_targets():
        raise BackendMissing(
            "the reference backend needs NumPy: pip install numpy",
            target="reference",
            command="pip install numpy",
        )
    from gatelet.runtime.backends.reference import ReferenceBackend

    return Predictor(bundle, ReferenceBackend(bundle.graph()), scheme="float32")


def open_pure(bundle: Bundle) -> Predictor:
    """Open the Graph of a bundle in plain Python, which is slow and needs nothing."""
    from gatelet.runtime.backends.pure import PureBackend

    backend = PureBackend(bundle.graph())
    return Predictor(bundle, backend, scheme="float32", max_batch=_ROWS_OF_PURE)


def _as_lists(scores: Any) -> list[Any]:
    return list(scores.tolist()) if hasattr(scores, "tolist") else list(scores)
