"""Opening what streams: the streaming file beside an artifact, or the Graph's streaming form.

Not the stepping, which is `gatelet.runtime.predictor.stream`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from gatelet.errors import BackendError, BundleError, GateletError, ModelError
from gatelet.runtime.backends.backend import (
    Backend,
    first_line,
    graph_backend,
    open_backend,
    used_companions,
)
from gatelet.runtime.backends.targets import GRAPH_TARGETS, row_of
from gatelet.runtime.bundle.opening import Artifact, Bundle
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.graph.states import STREAM_ROLE, State
from gatelet.runtime.graph.streaming import streaming_refusal, to_stream
from gatelet.runtime.predictor.stream import Decide, Stream, without_limit
from gatelet.runtime.vectorizer.opening import AnyVectorizer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gatelet.runtime.predictor.ranges import RangeWatch


@dataclass(frozen=True)
class Streaming:
    """An opened streaming form; any number of streams share it.

    Args:
        bundle: For messages.
        graph: The model.
        backend: What runs the streaming form.
        states: What is carried from piece to piece.
        vectorizer: For a model of texts.
        max_batch: The most rows to run at once; None for any number.
    """

    bundle: Bundle
    graph: Graph
    backend: Backend
    states: tuple[State, ...]
    vectorizer: AnyVectorizer | None
    max_batch: int | None = None

    def start(self, decide: Decide, *, watch: "RangeWatch | None" = None) -> Stream:
        """Start a stream; `decide` makes predictions of scores, `watch` counts values."""
        return Stream(
            self.graph,
            self.states,
            self._run,
            decide,
            name=str(self.bundle.path),
            vectorizer=self.vectorizer,
            max_batch=self.max_batch,
            by_output=bool(self.bundle.decisions),
            watch=watch,
        )

    def _run(self, inputs: dict[str, Any]) -> Mapping[str, Any]:
        try:
            found = self.backend.run(inputs)
            wanted = (*self.graph.outputs, *(one.output for one in self.states))
            return {name: found[name] for name in wanted}
        except GateletError:
            raise
        except Exception as error:  # engines raise whatever they like
            raise BackendError(
                f"the engine {self.backend.engine} cannot run the stream of bundle "
                f"'{self.bundle.path}' ({self.backend.target}): {type(error).__name__} "
                f"{first_line(error)}",
                target=self.backend.target,
            ) from error


def open_streaming(
    bundle: Bundle,
    graph: Graph,
    vectorizer: AnyVectorizer | None,
    *,
    target: str,
    scheme: str,
    backend: Backend | None = None,
) -> Streaming:
    """Open what streams for a target and a scheme.

    Args:
        bundle: The opened bundle.
        graph: Its Graph.
        vectorizer: Its vectorizer.
        target: Of the artifact, or a backend of the Graph itself.
        scheme: Of the artifact.
        backend: What runs whole sequences, if it is open: its streaming form may be inside it.

    Raises:
        BundleError: The bundle does not stream, or this artifact does not; the message says why
            and what to do.
        BackendError: The engine refuses the file.
    """
    if vectorizer is not None:
        vectorizer = without_limit(vectorizer)
    artifact = _artifact(bundle, target, scheme)
    if artifact is None:
        try:
            form = to_stream(graph)
        except ModelError as error:
            raise _cannot(bundle, str(error)) from error
        steps = graph_backend(target, form.graph)
        return Streaming(bundle, graph, steps, form.states, vectorizer)
    if not artifact.states:
        raise _not_here(bundle, graph, artifact)
    inside: Callable[[], Backend] | None = getattr(backend, "steps", None)
    steps = inside() if inside is not None else _open_artifact(bundle, artifact)
    max_batch = artifact.entry["stream"].get("max_batch")
    return Streaming(bundle, graph, steps, artifact.states, vectorizer, max_batch)


def _artifact(bundle: Bundle, target: str, scheme: str) -> Artifact | None:
    """Find the artifact; None for a backend that runs the Graph itself."""
    for artifact in bundle.artifacts:
        if (artifact.target, artifact.scheme) == (target, scheme):
            return artifact
    return None


def _open_artifact(bundle: Bundle, artifact: Artifact) -> Backend:
    """Open the streaming file, or the artifact itself where that has both forms."""
    inside = row_of(artifact.target).streaming == "inside"
    companions = used_companions(artifact.target, artifact.companions) if inside else {}
    named = artifact.path if inside else artifact.companions[STREAM_ROLE]
    bundle.contents.check(named, *companions.values())
    bundle.check_unchanged(named, *companions.values())  # it may be long since it was checked
    backend = open_backend(
        artifact.target,
        bundle.contents.file(named),
        companions={role: bundle.contents.file(path) for role, path in companions.items()},
        steps=inside,
    )
    bundle.check_unchanged(named, *companions.values())
    return backend


def _not_here(bundle: Bundle, graph: Graph, artifact: Artifact) -> BundleError:
    """Say why an artifact has no streaming file, and what to do."""
    why = streaming_refusal(graph)
    if why:
        return _cannot(bundle, why)
    others = [f"{one.target} {one.scheme}" for one in bundle.artifacts if one.states]
    ways = [f"open {' or '.join(others)}"] if others else []
    again = {"file": "convert it again with --stream", "inside": "convert it again"}
    if row_of(artifact.target).streaming in again:
        ways.append(again[row_of(artifact.target).streaming])
    ways.append(f"open it with the target {' or '.join(map(repr, GRAPH_TARGETS))}")
    return BundleError(
        f"bundle '{bundle.path}' has no streaming file for {artifact.target} {artifact.scheme}: "
        f"{', or '.join(ways)}"
    )


def _cannot(bundle: Bundle, why: str) -> BundleError:
    return BundleError(
        f"bundle '{bundle.path}' cannot stream: {why}; give whole sequences to scores()"
    )
