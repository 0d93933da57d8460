"""A c artifact as the self-test of a device takes it, and its rows with what is right for them.

Not the building or the running: see `gatelet.devices`.
"""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gatelet.convert.rows.rows import Rows
from gatelet.devices.build import Case
from gatelet.devices.protocol import Row
from gatelet.errors import DeviceError
from gatelet.runtime.backends.backend import Backend, open_backend
from gatelet.runtime.bundle.opening import Artifact, Bundle
from gatelet.runtime.graph.graph import Graph, GraphInput
from gatelet.runtime.graph.streamable import has_time

Array = NDArray[Any]

_TYPES = {"int32": "int32_t", "float32": "float"}


@dataclass(frozen=True)
class Posed:
    """A row for a device, and what this machine makes of it.

    Args:
        row: As the self-test takes it.
        expected: Outputs of each call, float32 [calls, words].
        timesteps: Of the row.
    """

    row: Row
    expected: Array
    timesteps: int


class Examiner:
    """Poses the rows of an artifact, in one of its forms.

    Args:
        bundle: The bundle.
        artifact: Of the target c.
        steps: Rows are fed timestep by timestep.

    Raises:
        BackendError: This machine cannot run it.
    """

    def __init__(self, bundle: Bundle, artifact: Artifact, *, steps: bool) -> None:
        self.graph: Graph = bundle.interface()
        self.artifact, self.steps = artifact, steps
        names = artifact.companions
        self._source = bundle.contents.read(names["source"])
        self._header = bundle.contents.read(names["header"])
        self._weights = bundle.contents.read(artifact.path)
        files = {role: bundle.path / path for role, path in names.items()}
        self._backend: Backend = open_backend(
            "c", bundle.path / artifact.path, companions=files, steps=steps
        )

    @property
    def source_sha256(self) -> str:
        """Of the C source."""
        return hashlib.sha256(self._source).hexdigest()

    def pose(self, rows: Rows) -> Iterator[Posed]:
        """Yield rows one at a time: dynamic-int8 skips other padding in a batch."""
        for place in range(len(rows)):
            yield self._pose(rows[place : place + 1])

    def _pose(self, one: Rows) -> Posed:
        given = {n: np.ascontiguousarray(one.feed[n], self._dtype(n)) for n in one.feed}
        timed = [given[i.name].shape[1] for i in self.graph.inputs if has_time(i)]
        timesteps = max(timed, default=1)
        if not self.steps:
            made = self._backend.run(given)
            row = Row((_words(self._in_order(given)),), self._sizes(given))
            return Posed(row, _flat([made[n] for n in self.graph.outputs])[None], timesteps)
        pieces, expected = [], []
        states = {
            state.input: np.zeros((1, *state.shape), state.dtype) for state in self.artifact.states
        }
        for t in range(timesteps):
            piece = {
                i.name: given[i.name][:, t : t + 1] if has_time(i) else given[i.name]
                for i in self.graph.inputs
            }
            made = self._backend.run({**piece, **states})
            states = {state.input: np.asarray(made[state.output]) for state in self.artifact.states}
            pieces.append(_words(self._in_order(piece)))
            expected.append(_flat([made[name] for name in self.graph.outputs]))
        return Posed(Row(tuple(pieces)), np.stack(expected), timesteps)

    def case(self, largest: Rows) -> Case:
        """Describe the artifact for `gatelet.devices.build`.

        Args:
            largest: A row with the most timesteps that shall be run.
        """
        posed = self._pose(largest[:1])
        given = {n: np.ascontiguousarray(largest.feed[n][:1], self._dtype(n)) for n in largest.feed}
        if self.steps:
            given = {
                i.name: given[i.name][:, :1] if has_time(i) else given[i.name]
                for i in self.graph.inputs
            }
        made = self._outputs(given)
        prefix = str(self.artifact.entry["prefix"])
        form = "STEP_" if self.steps else ""
        sizes = _defined(self._header, f"{prefix.upper()}_{form}SIZES")
        found = (1,) * sizes if self.steps else self._sizes(given)
        if len(found) != sizes or sum(made) != posed.expected.shape[1]:
            raise DeviceError(f"the header of c {self.artifact.scheme} is not of its graph")
        return Case(
            prefix=prefix,
            source=self._source,
            source_sha256=self.source_sha256,
            header_name=self.artifact.companions["header"],
            header=self._header,
            weights=self._weights,
            inputs=tuple(given[one.name].size for one in self.graph.inputs),
            outputs=made,
            types=tuple(_TYPES[one.dtype] for one in self.graph.inputs),
            sizes=found,
            steps=self.steps,
        )

    def _outputs(self, given: dict[str, Array]) -> tuple[int, ...]:
        """Return the numbers of each output."""
        states = {
            state.input: np.zeros((1, *state.shape), state.dtype) for state in self.artifact.states
        }
        made = self._backend.run({**given, **states} if self.steps else given)
        return tuple(np.asarray(made[name]).size for name in self.graph.outputs)

    def _dtype(self, name: str) -> str:
        return next(one.dtype for one in self.graph.inputs if one.name == name)

    def _in_order(self, given: dict[str, Array]) -> list[Array]:
        return [given[one.name] for one in self.graph.inputs]

    def _sizes(self, given: dict[str, Array]) -> tuple[int, ...]:
        return tuple(
            given[one.name].shape[axis] for one in self.graph.inputs for axis in _open_axes(one)
        )


def _open_axes(one: GraphInput) -> list[int]:
    return [axis for axis, size in enumerate(one.shape) if axis and size is None]


def _words(arrays: Sequence[Array]) -> list[int]:
    """Return the 32-bit patterns of arrays, one after the other."""
    found: list[int] = np.frombuffer(b"".join(one.tobytes() for one in arrays), "<u4").tolist()
    return found


def _flat(outputs: Sequence[Any]) -> Array:
    return np.concatenate([np.asarray(one, np.float32).reshape(-1) for one in outputs])


def _defined(header: bytes, name: str) -> int:
    found = re.search(rf"^#define {name} (\d+)".encode(), header, re.MULTILINE)
    if found is None:
        raise DeviceError(f"the header that the bundle has does not define {name}")
    return int(found.group(1))
