"""What readers take and give: an artifact's file, and the constants that it holds.

Not the readers: they are by target in the files beside this one, and `readers` has their table.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.exporters.quantize import INT4_MIDDLE, unpack_int4
from gatelet.convert.passes.pad_skip import timesteps_in_front
from gatelet.runtime.bundle.opening import Artifact, Bundle
from gatelet.runtime.graph.graph import Graph

__all__ = ["PackedOtherwise", "Stored", "StoredFile", "of_halves", "of_levels", "scaled"]

Array = NDArray[Any]
_LAST_LEVEL = 15


@dataclass(frozen=True)
class StoredFile:
    """An artifact that is looked into.

    Args:
        path: The file.
        graph: What it was made from.
        scheme: What is stored how.
        timesteps: That texts are padded to in front, or the pads that it skips; None where
            neither is known.
        companions: The files beside it, by role.
        observed: The largest magnitudes that integers were scaled by, where it tells them.
    """

    path: Path
    graph: Graph
    scheme: str = ""
    timesteps: int | None = None
    companions: Mapping[str, Path] = field(default_factory=dict)
    observed: Mapping[str, Array] = field(default_factory=dict)

    @classmethod
    def of(cls, bundle: Bundle, artifact: Artifact, graph: Graph) -> "StoredFile":
        """Give an artifact of a bundle, and the bundle's Graph."""
        timesteps = artifact.entry.get("skipped_pads")
        if not isinstance(timesteps, int):
            timesteps = timesteps_in_front(graph.inputs[0].shape, bundle.vectorizer())
        beside = {role: bundle.path / path for role, path in artifact.companions.items()}
        observed = _numbers_of(artifact.entry.get("observed"))
        return cls(bundle.path / artifact.path, graph, artifact.scheme, timesteps, beside, observed)


def _numbers_of(told: object) -> dict[str, Array]:
    """Give the arrays that a manifest tells; {} unless it is all positive numbers."""
    if not isinstance(told, dict):
        return {}
    try:
        found = {name: np.array(one, np.float64) for name, one in told.items()}
    except (TypeError, ValueError):
        return {}
    good = all(one.ndim == 1 and one.size and (one >= 0).all() for one in found.values())
    return found if good and all(np.isfinite(one).all() for one in found.values()) else {}


class PackedOtherwise(Exception):
    """A file of another version of gatelet: it runs, and what it stores is not known here."""


@dataclass(frozen=True)
class Stored:
    """A constant of a file.

    Args:
        name: In the file.
        values: What it stands for, float; of integers the products with their scales.
        steps: The distance of two neighbouring numbers, broadcast over the values; None for
            floats, which are what they are.
        cut_off: -1 and 1 where a value is the lowest or highest that its row can hold, and stands
            for all beyond it too; None where nothing is cut off.
    """

    name: str
    values: Array
    steps: Array | None = None
    cut_off: Array | None = None


def scaled(name: str, array: Array, scales: Array) -> Iterator[Stored]:
    """Give integers times their scales, where the shapes fit."""
    try:
        steps = np.broadcast_to(scales.astype(np.float64), array.shape)
    except ValueError:
        return
    yield Stored(name, array * steps, steps)


def of_levels(name: str, packed: Array, multiples: Array, units: set[float]) -> Iterator[Stored]:
    """Give the tables of F and, where the last half column is filled up, F - 1 columns."""
    if packed.ndim != 2 or multiples.shape != (len(packed), 1) or multiples is packed:
        return
    if multiples.dtype != np.uint8:
        return
    for columns in (2 * packed.shape[1], 2 * packed.shape[1] - 1):
        for unit in units - {0.0}:
            yield of_halves(name, packed, multiples * unit, columns)


def of_halves(name: str, packed: Array, scales: Array, columns: int) -> Stored:
    """Give a table of bytes with two levels in each; scales are [V, 1]."""
    levels = unpack_int4(packed, columns).astype(np.int8)
    steps = np.broadcast_to(scales, levels.shape)
    cut_off = (levels == _LAST_LEVEL).astype(np.int8) - (levels == 0)
    return Stored(name, (levels - INT4_MIDDLE) * steps, steps, cut_off)
