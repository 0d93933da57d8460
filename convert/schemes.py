"""The schemes: what is stored and computed how.

Not the limits that their results must hold, nor which target has which: there is an artifact of
each target and scheme that have a row in `gatelet.convert.tolerances`.
"""

from dataclasses import dataclass, replace
from typing import Any

from gatelet.runtime.bundle.manifest import Artifact
from gatelet.runtime.bundle.storage import BYTES_OF


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
        recurrent: The type that large recurrent kernels are stored in, where it is another.

    Raises:
        ValueError: A type is not known.
    """

    name: str
    weights: str
    activations: str
    embeddings: str = ""
    batch: int | None = None
    outside: bool = False
    recurrent: str = ""

    def __post_init__(self) -> None:
        for what in ("weights", "activations", "embedding_type", "recurrent_type"):
            if getattr(self, what) not in BYTES_OF:
                raise ValueError(
                    f"scheme '{self.name}': the type '{getattr(self, what)}' of its {what} is not "
                    f"known; known are {', '.join(BYTES_OF)}"
                )

    @property
    def embedding_type(self) -> str:
        """The type that large embeddings are stored in."""
        return self.embeddings or self.weights

    @property
    def recurrent_type(self) -> str:
        """The type that large recurrent kernels are stored in."""
        return self.recurrent or self.weights

    @property
    def stores(self) -> dict[str, Any]:
        """What the manifest says of an artifact; see `gatelet.runtime.bundle.storage`."""
        return {
            "weights": self.weights,
            "embeddings": self.embedding_type,
            "activations": self.activations,
            "outside": self.outside,
            **({"recurrent": self.recurrent} if self.recurrent else {}),
        }


SCHEMES = {
    "float32": Scheme("float32", weights="float32", activations="float32"),
    "float16": Scheme("float16", weights="float16", activations="float32"),
    "dynamic-int8": Scheme("dynamic-int8", weights="int8", activations="float32"),
    "dynamic-int8-emb4": Scheme(
        "dynamic-int8-emb4", weights="int8", activations="float32", embeddings="int4"
    ),
    "dynamic-int4-emb2": Scheme(
        "dynamic-int4-emb2", weights="int4", activations="float32", embeddings="int2"
    ),
    "dynamic-int4-emb1": Scheme(
        "dynamic-int4-emb1", weights="int4", activations="float32", embeddings="int1"
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
    "dynamic-int8-rec16": Scheme(
        "dynamic-int8-rec16", weights="int8", activations="float32", recurrent="int16"
    ),
    "dynamic-int8-rec32": Scheme(
        "dynamic-int8-rec32", weights="int8", activations="float32", recurrent="float32"
    ),
}


REVISIONS: dict[tuple[str, str], int] = {
    # states after padding are rounded to the nearest number, no longer upwards
    ("litert", "dynamic-int8"): 2,
    ("litert", "dynamic-int8-b1"): 2,
    ("litert", "dynamic-int8-emb4"): 2,
    # each row begins behind its own padding, in steps too; before that one rounding of activations
    # at all levels, and kernels that meet features are stored in 8 bits
    ("c", "float32"): 2,
    ("c", "dynamic-int8"): 3,
    ("c", "dynamic-int8-rec16"): 2,
    ("c", "dynamic-int8-emb4"): 3,
    ("c", "full-int8"): 3,  # and states with a remainder, which stream as integers
    # states are inputs and outputs: a kernel that keeps them may forget them
    ("tflm", "full-int8"): 2,
    ("tflm", "full-int8-features"): 2,
}
"""By target and scheme, raised when what is written or computed changes; 1 where none is listed."""


def revision_of(target: str, scheme: str) -> int:
    """Return today's revision of what is written for a target and scheme."""
    return REVISIONS.get((target, scheme), 1)


def is_of_today(artifact: Artifact) -> bool:
    """Return whether an artifact is what today's code would write.

    Comparisons with what today's code writes say "not checked" of another, never "fail".
    """
    return artifact.revision == revision_of(artifact.target, artifact.scheme)


def same_but(scheme: Scheme, **fields: Any) -> str:
    """Return the name of the scheme that differs in some fields only; '' if there is none.

    Args:
        scheme: The scheme.
        **fields: How the other one differs.
    """
    wanted = replace(scheme, **fields)
    found = (name for name, one in SCHEMES.items() if replace(one, name=scheme.name) == wanted)
    return next(found, "")
