"""Which artifact of a bundle to use: what an installed engine runs, in the runtime's order.

Not the opening of it, which `gatelet.runtime.predictor.loading` does.
"""

import os

from gatelet.errors import BackendError, BackendMissing, BundleError, ParityRefused
from gatelet.runtime.backends.targets import (
    GRAPH_TARGETS,
    TARGETS,
    engine_module,
    installed_targets,
    row_of,
    unknown_target,
)
from gatelet.runtime.bundle.opening import Artifact, Bundle

TARGET_VARIABLE = "GATELET_TARGET"


def choose_artifact(bundle: Bundle, *, target: str | None, scheme: str | None) -> Artifact:
    """Choose among a bundle's artifacts: installed engines first, in the runtime's order.

    Raises:
        BundleError: The bundle has no such artifact.
        BackendMissing: No engine for it is installed.
        ParityRefused: It failed parity, and was not named by both target and scheme.
    """
    fitting = [
        artifact
        for artifact in bundle.artifacts
        if (_by_itself(artifact) if target is None else target == artifact.target)
        and scheme in (None, artifact.scheme)
    ]
    if not fitting:
        has = ", ".join(f"{a.target} {a.scheme}" for a in bundle.artifacts) or "none"
        raise BundleError(
            f"bundle '{bundle.path}' has no artifact for target {target or 'any'}, scheme "
            f"{scheme or 'any'}; it has: {has}"
        )
    runnable = installed_targets(*(a.target for a in fitting))
    installed = [a for a in fitting if a.target in runnable]
    if not installed:
        raise _missing(list(dict.fromkeys(a.target for a in fitting)))
    if target is not None and scheme is not None:
        return installed[0]
    suitable = [a for a in installed if _suitability(a) is not None]
    if not suitable:
        raise _wrong_engine(bundle, installed[0])
    passed = [artifact for artifact in suitable if artifact.verdict != "fail"]
    if not passed:
        failed = ", ".join(f"{a.target} {a.scheme}" for a in suitable)
        raise ParityRefused(
            f"parity failed for {failed} of bundle '{bundle.path}': its predictions are not those "
            "of the trained model; to use it all the same, name both --target and --scheme"
        )
    order = list(TARGETS)
    return min(passed, key=lambda a: (a.verdict != "pass", order.index(a.target), _suitability(a)))


def target_of_variable(bundle: Bundle) -> str | None:
    """Return the target that the environment names.

    Raises:
        BundleError: The bundle has no such target.
    """
    named = os.environ.get(TARGET_VARIABLE)
    has = dict.fromkeys([*(artifact.target for artifact in bundle.artifacts), *GRAPH_TARGETS])
    if named and named not in has:
        raise BundleError(
            f"the environment variable {TARGET_VARIABLE} is '{named}', and bundle "
            f"'{bundle.path}' has no such target; it has: {', '.join(has)}: unset it, or set "
            "one of these"
        )
    return named or None


def graph_target(bundle: Bundle, scheme: str | None) -> str | None:
    """Return what runs the Graph itself, where no engine for any artifact is installed."""
    installed = installed_targets()
    runs = any(one.target in installed and _by_itself(one) for one in bundle.artifacts)
    if runs or scheme not in (None, "float32"):
        return None
    return next(target for target in GRAPH_TARGETS if target in installed)


def _by_itself(artifact: Artifact) -> bool:
    """Return whether an artifact may be used where nobody named its target."""
    return not row_of(artifact.target).only_named


def check_engine(bundle: Bundle, artifact: Artifact) -> None:
    """Refuse an artifact that the engine at hand runs wrongly, or not at all.

    Raises:
        BackendMissing: It is one of those, or no engine is installed.
    """
    if _suitability(artifact) is None:
        raise _wrong_engine(bundle, artifact)


def _suitability(artifact: Artifact) -> int | None:
    """Rank an artifact for the engine that would run it: 0 is best, None does not run."""
    if not artifact.engines:
        return 0
    package = _package(artifact.target)
    return artifact.engines.index(package) if package in artifact.engines else None


def _wrong_engine(bundle: Bundle, artifact: Artifact) -> BackendMissing:
    commands = {one.package: one.command for one in TARGETS[artifact.target].engines}
    command = next((commands[name] for name in artifact.engines if name in commands), None)
    command = command or f"pip install 'gatelet[{artifact.target}]'"
    return BackendMissing(
        f"{_package(artifact.target)}, which is installed here, does not run "
        f"{artifact.target} {artifact.scheme} of bundle '{bundle.path}': {command}, or choose "
        "another --scheme",
        target=artifact.target,
        command=command,
    )


def _package(target: str) -> str:
    """Return the package of the engine that would run a target here."""
    module = engine_module(target)
    return next(one.package for one in TARGETS[target].engines if one.module == module)


def _missing(targets: list[str]) -> BackendError:
    known = [name for name in targets if name in TARGETS]
    if not known:
        return unknown_target(targets[0])
    commands = " or ".join(TARGETS[name].engines[0].command for name in known)
    return BackendMissing(
        f"the {' or '.join(known)} backend is not installed: {commands}",
        target=known[0],
        command=commands,
    )
