"""Opening a bundle for predictions: which artifact, which engine, and what is checked before.

Not the predicting, which is `gatelet.runtime.predictor.predictor`.
"""

from __future__ import annotations

from pathlib import Path

from gatelet.errors import BackendError, BundleError, GateletError
from gatelet.runtime.backends.backend import (
    graph_backend,
    open_backend,
    used_companions,
)
from gatelet.runtime.backends.targets import GRAPH_TARGETS, row_of
from gatelet.runtime.bundle.opening import Artifact, Bundle, open_bundle
from gatelet.runtime.predictor.choice import (
    check_engine,
    choose_artifact,
    graph_target,
    target_of_variable,
)
from gatelet.runtime.predictor.coverage import check_on_this_machine
from gatelet.runtime.predictor.predictor import Predictor

MAX_ROW_S = 60.0
"""The longest that one row may take by what a bundle declares, unless the caller says more."""


def load(
    path: str | Path,
    *,
    target: str | None = None,
    scheme: str | None = None,
    threads: int = 1,
    probe: bool = False,
    max_row_s: float = MAX_ROW_S,
) -> Predictor:
    """Open a bundle with a backend that is installed.

    The Predictor owns what it opened: it gives the same answers when the bundle is replaced. Where
    no verdict of the manifest covers this machine, golden rows run once before the first answer.

    Args:
        path: The bundle's folder.
        target: 'c', 'litert', 'onnx', 'onnx-text', 'tflm', 'wasm', 'reference' or 'pure'; unless
            given, the environment variable GATELET_TARGET, else the first one that can run.
        scheme: Such as 'float32'; the first one that passed parity, unless given.
        threads: For the engine's kernels.
        probe: Let a child process open the artifact first and run the golden vectors: for bundles
            that may be damaged, whose artifact may end the process that opens it. No sandbox:
            the child runs what the bundle holds, native code of the c target too, as this user.
        max_row_s: Refuse a bundle of which one row would take longer, estimated from its Graph
            and `maxlen`, or more than 1 GiB for a value; math.inf for no limit. Not of the target
            'c', which is code.

    Returns:
        A Predictor, which tells its `target`, `scheme` and `engine`.

    Raises:
        BundleError: The bundle is damaged, unsafe, too new, too large, or has no such artifact.
        BackendMissing: No engine for it is installed.
        BackendError: The engine refuses it, or gives other golden scores than at conversion.
        ParityRefused: The artifact failed parity, and target and scheme do not both name it.
        ValueError: `threads` is below 1, or `max_row_s` not above 0.
    """
    if threads < 1:
        raise ValueError(f"threads is {threads}: expected 1 or more")
    if not max_row_s > 0:
        raise ValueError(f"max_row_s is {max_row_s}: expected more than 0, or math.inf")
    bundle = open_bundle(path, all_digests=False)
    while True:
        try:
            predictor = _load(bundle, target, scheme, threads=threads, probe=probe)
            _check_row(predictor, max_row_s)
            check_on_this_machine(predictor, predictor._backend)
            if predictor._watch is not None:
                predictor._watch.outside = 0  # golden rows were nobody's
            if bundle.doubt:
                predictor.note = "; ".join(filter(None, (predictor.note, bundle.doubt)))
            return predictor
        except GateletError:
            # a conversion may have replaced the bundle in the meantime: then use the new one
            newer = open_bundle(path, all_digests=False)
            if newer.generation == bundle.generation:
                raise
            bundle = newer


def _load(
    bundle: Bundle, target: str | None, scheme: str | None, *, threads: int, probe: bool
) -> Predictor:
    target = target or target_of_variable(bundle) or graph_target(bundle, scheme)
    if target in GRAPH_TARGETS:
        if scheme not in (None, "float32"):
            raise BundleError(
                f"the {target} backend runs the Graph in float32, not in '{scheme}': "
                "choose another --target or --scheme"
            )
        bundle.contents.check()
        if probe:
            _probe(bundle, target, "float32")
        return open_graph(bundle, target)
    artifact = choose_artifact(bundle, target=target, scheme=scheme)
    is_code = row_of(artifact.target).is_code
    if not is_code:  # which starts without reading what it does not use
        bundle.contents.check()
    try:
        if probe:
            _probe(bundle, artifact.target, artifact.scheme)
        return open_artifact(bundle, artifact, threads=threads)
    except BackendError as error:
        if target is not None or not is_code:
            raise
        return _load_another(bundle, scheme, error, threads=threads, probe=probe)


def _check_row(predictor: Predictor, max_row_s: float) -> None:
    if row_of(predictor.target).is_code or predictor.bundle.is_opaque:
        return
    from gatelet.runtime.predictor.workload import check_row

    vectorizer = predictor._vectorizer
    check_row(
        predictor._graph,
        target=predictor.target,
        timesteps=None if vectorizer is None else vectorizer.maxlen,
        max_row_s=max_row_s,
        name=str(predictor.bundle.path),
    )


def _probe(bundle: Bundle, target: str | None, scheme: str) -> None:
    from gatelet.runtime.predictor.probe import probe_bundle

    probe_bundle(bundle, target=target, scheme=scheme)


def _load_another(
    bundle: Bundle, scheme: str | None, error: BackendError, *, threads: int, probe: bool
) -> Predictor:
    """Open what comes after code, which needs a library for this very machine.

    Raises:
        BackendError: The bundle has nothing else: `error` itself.
    """
    from dataclasses import replace

    kept = tuple(one for one in bundle.artifacts if not row_of(one.target).is_code)
    others = replace(bundle, artifacts=kept)
    target = graph_target(others, scheme)
    try:
        predictor = _load(others, target, scheme, threads=threads, probe=probe)
    except (BundleError, BackendError):
        raise error from None
    predictor.note = f"{error}; using {predictor.target} {predictor.scheme}"
    return predictor


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
    companions = used_companions(artifact.target, artifact.companions)
    names = (artifact.path, *companions.values())
    # a library is opened by its path, and now; what is opened later must not be another file then
    bundle.hold(*(names[:1] if row_of(artifact.target).is_code else names))
    bundle.contents.check(*names)
    backend = open_backend(
        artifact.target,
        bundle.contents.file(artifact.path),
        module=module,
        threads=threads,
        companions={role: bundle.contents.file(path) for role, path in companions.items()},
    )
    bundle.check_unchanged(*names)
    return Predictor(
        bundle,
        backend,
        scheme=artifact.scheme,
        max_batch=artifact.max_batch,
        ranges=artifact.ranges,
    )


def open_graph(bundle: Bundle, target: str) -> Predictor:
    """Open the Graph of a bundle: by NumPy ('reference'), or in plain Python ('pure'), slowly.

    Raises:
        BackendMissing: NumPy is not installed.
    """
    bundle.hold()
    return Predictor(bundle, graph_backend(target, bundle.graph()), scheme="float32")
