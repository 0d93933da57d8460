"""The schemes: what is stored and computed how, and which target has which.

Not the limits that their results must hold: see `gatelet.convert.tolerances`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from gatelet.errors import ConfigError
from gatelet.runtime.bundle.manifest import Artifact

__all__ = [
    "DEFAULT_ARTIFACTS",
    "EVERYTHING",
    "ON_REQUEST",
    "REVISIONS",
    "SCHEMES",
    "TARGETS",
    "Scheme",
    "choose_artifacts",
    "is_of_today",
    "names_them",
    "revision_of",
]


@dataclass(frozen=True)
class Scheme:
    """How an artifact stores and computes.

    Args:
        name: As in the manifest and on the command line.
        weights: The type that large weights are stored in.
        activations: The type that is computed in.
        embeddings: The type that large embeddings are stored in, where it is another.
        batch: The rows that a file is made for; None for any number.
        outside: Embeddings lie beside the file, which takes their rows: features.
    """

    name: str
    weights: str
    activations: str
    embeddings: str = ""
    batch: int | None = None
    outside: bool = False

    @property
    def embedding_type(self) -> str:
        """The type that large embeddings are stored in."""
        return self.embeddings or self.weights


SCHEMES = {
    "float32": Scheme("float32", weights="float32", activations="float32"),
    "float16": Scheme("float16", weights="float16", activations="float32"),
    "dynamic-int8": Scheme("dynamic-int8", weights="int8", activations="float32"),
    "dynamic-int8-emb4": Scheme(
        "dynamic-int8-emb4", weights="int8", activations="float32", embeddings="int4"
    ),
    "full-int8": Scheme("full-int8", weights="int8", activations="int16"),
    "float32-features": Scheme(
        "float32-features", weights="float32", activations="float32", outside=True
    ),
    "full-int8-features": Scheme(
        "full-int8-features", weights="int8", activations="int16", outside=True
    ),
    "float32-b1": Scheme("float32-b1", weights="float32", activations="float32", batch=1),
    "dynamic-int8-b1": Scheme("dynamic-int8-b1", weights="int8", activations="float32", batch=1),
}

TARGETS = {
    "c": ("float32", "dynamic-int8", "dynamic-int8-emb4", "full-int8"),
    "litert": (
        "float32",
        "float16",
        "dynamic-int8",
        "dynamic-int8-emb4",
        "float32-b1",
        "dynamic-int8-b1",
    ),
    "onnx": ("float32", "float16", "dynamic-int8", "dynamic-int8-emb4"),
    "tflm": ("float32", "full-int8", "float32-features", "full-int8-features"),
    "onnx-text": ("float32", "dynamic-int8"),
}

REVISIONS: dict[tuple[str, str], int] = {}
"""By target and scheme, raised when what is written or computed changes; 1 where none is listed."""

DEFAULT_ARTIFACTS = (
    ("c", "float32"),
    ("c", "dynamic-int8"),
    ("litert", "float32"),
    ("litert", "dynamic-int8"),
    ("onnx", "float32"),
    ("onnx", "dynamic-int8"),
)
"""What is made where neither a target nor a scheme is named."""


ON_REQUEST = ("tflm",)
"""Targets that a scheme alone does not choose where others have it: not every model fits them."""


EVERYTHING = "all"
"""In place of a name: every target, or every scheme, that the model fits."""


def revision_of(target: str, scheme: str) -> int:
    """Return today's revision of what is written for a target and scheme."""
    return REVISIONS.get((target, scheme), 1)


def is_of_today(artifact: Artifact) -> bool:
    """Tell whether an artifact is what today's code would write.

    Comparisons with what today's code writes say "not checked" of another, never "fail".
    """
    return artifact.revision == revision_of(artifact.target, artifact.scheme)


def names_them(names: Sequence[str]) -> bool:
    """Tell whether somebody asked for these and no others: then none of them is left out."""
    return bool(names) and EVERYTHING not in names


def _others_have(scheme: str, target: str) -> bool:
    return any(scheme in schemes for other, schemes in TARGETS.items() if other != target)


def choose_artifacts(
    targets: tuple[str, ...] = (), schemes: tuple[str, ...] = ()
) -> tuple[tuple[str, Scheme], ...]:
    """Give the (target, scheme) pairs to export.

    Args:
        targets: Names of targets, or 'all'; none means all that have one of the schemes.
        schemes: Names of schemes, or 'all'; none means those of the default artifacts or, of a
            target that is in none of them, all that it has.

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
        usual = [name for one, name in DEFAULT_ARTIFACTS if one == target]
        if not schemes and (usual or not targets):
            names = usual
        else:
            names = [
                name
                for name in TARGETS[target]
                if (name in schemes if schemes else not SCHEMES[name].outside)
            ]
        if not targets and target in ON_REQUEST:
            names = [name for name in names if not _others_have(name, target)]
        if not names and must_have:
            raise ConfigError(
                f"target '{target}' has none of the schemes {', '.join(schemes)}; "
                f"it has {', '.join(TARGETS[target])}"
            )
        chosen += [(target, SCHEMES[name]) for name in names]
    return tuple(chosen)
