"""Writes a bundle's c files again, from its Graph: a file that was changed differs.

It proves nothing where the same code has just written them, and nothing of another code's files.
"""

import importlib.metadata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gatelet.convert.exporters.c.build import build_libraries
from gatelet.convert.exporters.c.export import write_model
from gatelet.convert.exporters.c.files import render
from gatelet.convert.exporters.exported import Exportable
from gatelet.convert.exporters.identity import code_sha256
from gatelet.convert.passes import skip_padding
from gatelet.convert.passes.pad_skip import timesteps_in_front
from gatelet.convert.passes.streaming import streaming_beside
from gatelet.convert.schemes import SCHEMES, is_of_today
from gatelet.errors import CompilerFailed, GateletError
from gatelet.runtime.bundle.opening import Artifact, Bundle

_COMPILER = "ziglang"
CODE = "code_sha256"
"""The field of the provenance that says which code wrote the files."""


def is_our_code(bundle: Bundle) -> bool:
    """Return whether this very code read, lowered and exported the model of a bundle."""
    made: Mapping[str, Any] = bundle.manifest.get("provenance", {})
    return made.get(CODE) == code_sha256()


def is_written_by_us(bundle: Bundle, artifact: Artifact) -> bool:
    """Return whether this very code wrote an artifact."""
    return is_of_today(artifact) and is_our_code(bundle)


@dataclass(frozen=True)
class Again:
    """The files beside a c artifact, written again.

    Args:
        companions: All but libraries, by role.
        linked: What libraries are compiled of.
        levels: What chooses among their levels.
    """

    companions: Mapping[str, bytes] = field(default_factory=dict)
    linked: str = ""
    levels: str = ""


def regenerate_c(bundle: Bundle, artifact: Artifact) -> Again:
    """Return the companions of a c artifact as this gatelet writes them.

    Returns:
        Nothing where another code wrote the artifact. No package but NumPy has a part in them.
    """
    if not is_written_by_us(bundle, artifact):
        return Again()
    graph, vectorizer, scheme = bundle.graph(), bundle.vectorizer(), SCHEMES[artifact.scheme]
    timesteps = timesteps_in_front(graph.inputs[0].shape, vectorizer)
    model = Exportable(
        graph=graph,
        skipping=skip_padding(graph, timesteps=timesteps),
        vectorizer=vectorizer,
        name=bundle.name,
        labels=bundle.labels,
        threshold=bundle.threshold,
        decisions=bundle.decisions,
        streaming=streaming_beside(graph, wanted=bool(artifact.states)),
    )
    told: Mapping[str, Any] = artifact.entry.get("observed", {})
    observed = {name: np.array(values, np.float64) for name, values in told.items()}
    try:
        written = write_model(model, scheme, observed=observed)
        files = render(written, model, scheme)
    except (GateletError, LookupError, ValueError):
        return Again()  # what the manifest says of it is not what wrote it
    if written.weights != (bundle.path / artifact.path).read_bytes():
        return Again()  # it was made otherwise, or is wrong, which its own checks tell
    companions = {one.role: one.data for one in files["companions"]}
    return Again(companions, files["linked"], files["levels"])


def regenerate_libraries(
    bundle: Bundle, again: Again, platforms: Sequence[str]
) -> Mapping[str, bytes]:
    """Return the libraries for some platforms; none where another compiler made them."""
    made = bundle.manifest.get("provenance", {}).get("packages", {}).get(_COMPILER)
    try:
        if not again.linked or made != importlib.metadata.version(_COMPILER):
            return {}
        built = build_libraries(again.linked, again.levels, platforms)
    except (importlib.metadata.PackageNotFoundError, CompilerFailed):
        return {}
    return {one.platform: one.data for one in built}
