"""What readers take and give: an artifact's file, and the constants that it holds.

Not the readers: they are by target in the files beside this one, and `readers` has their table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.errors import BundleError
from gatelet.runtime.bundle.opening import Artifact, Bundle
from gatelet.runtime.bundle.sections import check_sections
from gatelet.runtime.graph.graph import Graph

Array = NDArray[Any]


@dataclass(frozen=True)
class StoredFile:
    """An artifact that is looked into.

    Args:
        path: The file.
        graph: What it was made from.
        companions: The files beside it, by role.
        sections: Where its weights lie, where the manifest has that.
    """

    path: Path
    graph: Graph
    companions: Mapping[str, Path] = field(default_factory=dict)
    sections: Sequence[Mapping[str, Any]] | None = None

    @classmethod
    def of(cls, bundle: Bundle, artifact: Artifact, graph: Graph) -> "StoredFile":
        """Return an artifact of a bundle, with the bundle's Graph.

        Raises:
            BundleError: Its table of sections is damaged.
        """
        beside = {role: bundle.path / path for role, path in artifact.companions.items()}
        try:
            check_sections(artifact.entry)
        except ValueError as error:
            raise BundleError(
                f"bundle '{bundle.path}': the sections of {artifact.target} {artifact.scheme} are "
                f"damaged: {error}"
            ) from error
        sections = artifact.entry.get("sections")
        return cls(bundle.path / artifact.path, graph, beside, sections)


@dataclass(frozen=True)
class Stored:
    """A constant of a file.

    Args:
        name: In the file, or of the weight that its table says it is.
        values: What it stands for, float; of integers the products with their scales.
        steps: The distance of two neighbouring numbers, broadcast over the values; None for
            floats, which are what they are.
        cut_off: -1 and 1 where a value is the lowest or highest that its row can hold, and stands
            for all beyond it too; None where nothing is cut off.
        places: Where the file has a table: the places of the values in that weight, -1 for zeros
            that only fill up. None where the weight is found by its numbers.
        rows_by: Where they are rows that are looked up, each at its own place: the value that says
            which.
    """

    name: str
    values: Array
    steps: Array | None = None
    cut_off: Array | None = None
    places: Array | None = None
    rows_by: str = ""

    @property
    def is_of_signs(self) -> bool:
        """Whether both levels of a row are its lowest and highest: it holds signs, and a scale."""
        return self.cut_off is not None and self.values.ndim == 2 and bool(self.cut_off.all())


def cut_off_levels(levels: Array, bits: int = 4) -> Array:
    """Return -1 and 1 for the lowest and the highest level of so many bits, 0 for the others."""
    return np.asarray((levels == 2**bits - 1).astype(np.int8) - (levels == 0))
