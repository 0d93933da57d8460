"""The types that weights are stored in, and what an artifact says of its own.

Not the schemes, which a conversion chooses among: a bundle says what its artifacts became.
"""

from __future__ import annotations

from gatelet.runtime.records import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

BYTES_OF = {
    "float32": 4.0,
    "float16": 2.0,
    "int16": 2.0,
    "int8": 1.0,
    "int4": 0.5,
    "int2": 0.25,
    "int1": 0.125,
}
"""The bytes of a number, by its type."""

SMALL_ELEMENTS = 1024
"""Weights of fewer numbers stay float32 where values are: their bytes do not count, their error
does."""


@dataclass(frozen=True)
class Storage:
    """How an artifact stores its weights.

    Args:
        weights: The type of large weights.
        embeddings: The type of large embeddings.
        activations: The type that is computed in; in integers, small weights are integers too.
        outside: Embeddings lie beside the file.
        recurrent: The type of large recurrent kernels, where it is another than of other weights.
    """

    weights: str
    embeddings: str
    activations: str = "float32"
    outside: bool = False
    recurrent: str = ""

    @property
    def is_exact(self) -> bool:
        """Whether nothing is rounded: stored and computed in float32."""
        types = {self.weights, self.embeddings, self.activations, self.recurrent or self.weights}
        return types == {"float32"}

    def bytes_of(self, role: str, elements: int) -> float:
        """Return the bytes of a weight in the file, without scales.

        Args:
            role: Of the weight: 'embeddings', 'kernel', 'bias'.
            elements: How many numbers it has.
        """
        is_table = role == "embeddings"
        if is_table and self.outside:
            return 0.0
        if self.activations != "float32":
            return elements * (8.0 if "bias" in role else self._each(role))
        return elements * (4.0 if elements < SMALL_ELEMENTS else self._each(role))

    def _each(self, role: str) -> float:
        types = {"embeddings": self.embeddings, "recurrent_kernel": self.recurrent}
        return BYTES_OF[types.get(role) or self.weights]


def storage_of(entry: Mapping[str, Any]) -> Storage | None:
    """Return how an artifact stores its weights.

    Args:
        entry: Of the artifact, in the manifest.

    Returns:
        What its field `stores` says; of a bundle from before there was one, what its scheme meant
        then; None where neither is known here, as in a bundle of a newer gatelet.
    """
    told = entry.get("stores")
    if told is None:
        return OLD_SCHEMES.get(entry.get("scheme", ""))
    if not isinstance(told, dict):
        return None
    types = [told.get(key) for key in ("weights", "embeddings", "activations")]
    if any(not isinstance(one, str) or one not in BYTES_OF for one in types):
        return None
    weights, embeddings, activations = map(str, types)
    outside, recurrent = told.get("outside") is True, told.get("recurrent", "")
    if not isinstance(recurrent, str) or (recurrent and recurrent not in BYTES_OF):
        return None
    return Storage(weights, embeddings, activations, outside=outside, recurrent=recurrent)


OLD_SCHEMES = {
    "float32": Storage("float32", "float32"),
    "float32-b1": Storage("float32", "float32"),
    "float16": Storage("float16", "float16"),
    "dynamic-int8": Storage("int8", "int8"),
    "dynamic-int8-b1": Storage("int8", "int8"),
    "dynamic-int8-emb4": Storage("int8", "int4"),
    "full-int8": Storage("int8", "int8", "int16"),
    "float32-features": Storage("float32", "float32", outside=True),
    "full-int8-features": Storage("int8", "int8", "int16", outside=True),
}
"""The schemes of bundles whose artifacts have no field `stores`: no scheme is added here."""
