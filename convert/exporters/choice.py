"""Which artifacts a conversion makes: of the targets and schemes that were named, or by default.

Not the making of them, which is `gatelet.convert.exporters.targets`.
"""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from gatelet.convert.exporters.targets import EXPORTERS, TARGETS, refusal
from gatelet.convert.schemes import SCHEMES, Scheme
from gatelet.convert.settings import ConversionSettings
from gatelet.devices import DeviceProfile, read_profile
from gatelet.errors import ConfigError, ConversionError
from gatelet.runtime.graph.graph import Graph
from gatelet.runtime.vectorizer.opening import AnyVectorizer

WHOLE = "float32"
"""What each target has whatever else it has."""

DEFAULT_ARTIFACTS = tuple(
    (target, name)
    for target, row in EXPORTERS.items()
    if row.made == "by default"
    for name in (WHOLE, row.rungs[0])
)
"""What is made where neither a target nor a scheme is named, of a model that rounding does not
hurt: else another rung takes the place of the first."""

EVERYTHING = "all"
"""In place of a name: every target, or every scheme, that the model fits."""


def names_them(names: Sequence[str]) -> bool:
    """Return whether somebody asked for these and no others: then none of them is left out."""
    return bool(names) and EVERYTHING not in names


@dataclass(frozen=True)
class Choice:
    """What a conversion makes.

    Args:
        artifacts: Targets and schemes.
        rungs: Those of them of which a target keeps one, the smallest that is good enough.
        profiles: Of the devices that it is made for.
        by_name: Somebody asked for these targets: then none of them is left out.
        what_fits: Artifacts that cannot take the model are left out, and not an error.
        all_named: Somebody asked for these targets and these schemes: each is made, or an error.
    """

    artifacts: tuple[tuple[str, Scheme], ...]
    rungs: frozenset[tuple[str, str]]
    profiles: tuple[DeviceProfile, ...]
    by_name: bool
    what_fits: bool
    all_named: bool = False


def choose(settings: ConversionSettings) -> Choice:
    """Choose what a conversion makes, of what is installed here.

    Raises:
        ConfigError: A target, scheme or device is not known, or a device runs none of the targets.
        ConversionError: No converter is installed.
    """
    chosen = choose_artifacts(tuple(settings.targets), tuple(settings.schemes))
    profiles = tuple(read_profile(name) for name in dict.fromkeys(settings.devices))
    targets = list(dict.fromkeys(target for target, _ in chosen))
    for one in profiles:
        if not set(targets) & set(one.targets):
            raise ConfigError(
                f"device '{one.name}' runs {', '.join(one.targets)}, and the conversion makes "
                f"{', '.join(targets)}: choose one of its own with --target"
            )
    by_name = names_them(settings.targets)
    if not by_name:
        chosen = installed(chosen, settings.progress)
    rungs = frozenset(
        (target, scheme.name)
        for target, scheme in chosen
        if not settings.schemes and scheme.name in EXPORTERS[target].rungs
    )
    what_fits = not by_name or EVERYTHING in settings.schemes
    all_named = not what_fits and bool(settings.schemes)
    return Choice(chosen, rungs, profiles, by_name, what_fits, all_named)


def _others_have(scheme: str, target: str) -> bool:
    return any(scheme in schemes for other, schemes in TARGETS.items() if other != target)


def choose_artifacts(
    targets: tuple[str, ...] = (), schemes: tuple[str, ...] = ()
) -> tuple[tuple[str, Scheme], ...]:
    """Return the (target, scheme) pairs to export.

    Args:
        targets: Names of targets, or 'all'; none means all that have one of the schemes.
        schemes: Names of schemes, or 'all'; none means float32 and all rungs or, of a target that
            has no rungs, all that it has.

    Raises:
        ConfigError: A name is not known, or a target that is named has none of the schemes.
    """
    for target in targets:
        if target not in (*TARGETS, EVERYTHING):
            known = ", ".join((*TARGETS, EVERYTHING))
            raise ConfigError(f"target '{target}' is not known; known are {known}")
    for name in schemes:
        if name not in (*SCHEMES, EVERYTHING):
            known = ", ".join((*SCHEMES, EVERYTHING))
            raise ConfigError(f"scheme '{name}' is not known; known are {known}")
    must_have = names_them(targets)
    if EVERYTHING in targets or (not targets and EVERYTHING in schemes):
        targets = tuple(TARGETS)
    if EVERYTHING in schemes:
        schemes = tuple(SCHEMES)
    chosen = []
    for target in dict.fromkeys(targets or TARGETS):
        row = EXPORTERS[target]
        if not schemes and not targets and row.made != "by default":
            continue
        if not schemes and row.rungs:
            names = [WHOLE, *row.rungs]
        else:
            names = [
                name
                for name in TARGETS[target]
                if (name in schemes if schemes else not SCHEMES[name].outside)
            ]
        if not targets and row.made == "when named":
            names = [name for name in names if not _others_have(name, target)]
        if not names and must_have:
            raise ConfigError(
                f"target '{target}' has none of the schemes {', '.join(schemes)}; "
                f"it has {', '.join(TARGETS[target])}"
            )
        chosen += [(target, SCHEMES[name]) for name in names]
    return tuple(chosen)


def installed(
    chosen: tuple[tuple[str, Scheme], ...], progress: Callable[[str], None]
) -> tuple[tuple[str, Scheme], ...]:
    """Leave out targets whose converter is not installed, and say so."""
    left_out = set()
    for target in dict.fromkeys(target for target, _ in chosen):
        needed = EXPORTERS[target]
        if importlib.util.find_spec(needed.package) is None:
            left_out.add(target)
            progress(
                f"leaving out {target}: it needs {needed.package}: "
                f"pip install 'gatelet[{needed.extra}]'"
            )
    kept = tuple((target, scheme) for target, scheme in chosen if target not in left_out)
    if not kept:
        raise ConversionError(
            "no converter is installed: pip install 'gatelet[convert]' for onnx, "
            "'gatelet[train]' for litert"
        )
    return kept


def fitting(
    choice: Choice,
    graph: Graph,
    *,
    vectorizer: AnyVectorizer | None,
    progress: Callable[[str], None],
) -> Choice:
    """Leave out what cannot take the model, where nobody asked for it by name, and say so."""
    refused = {
        (target, scheme.name): refusal(graph, target, scheme, vectorizer=vectorizer)
        for target, scheme in choice.artifacts
    }
    kept = tuple(
        (target, scheme)
        for target, scheme in choice.artifacts
        if not refused[target, scheme.name]
        or not (choice.what_fits or (target, scheme.name) in choice.rungs)
    )
    if not kept:
        raise ConversionError(next(iter(refused.values())))
    for (target, name), why in refused.items():
        if why and choice.what_fits and (target, name) not in choice.rungs:
            progress(f"leaving out {target} {name}: {why}")
    return replace(choice, artifacts=kept)
