"""What an artifact needs of a device's memory, without what a compiler adds.

Not stack and code, which are measured on the device: `gatelet verify`.
"""

import re
from dataclasses import asdict, dataclass
from typing import Any

from gatelet.convert.packages.golden import golden_sizes
from gatelet.runtime.backends.backend import used_companions
from gatelet.runtime.backends.c.backend import open_artifact
from gatelet.runtime.bundle.opening import Artifact, Bundle, Golden
from gatelet.runtime.graph.graph import Graph


@dataclass(frozen=True)
class Memory:
    """Bytes of one row.

    Args:
        weights_bytes: Of flash.
        vocabulary_bytes: Of flash; 0 of a model that reads no texts.
        timesteps: That the next figure is for; 0 where sizes are fixed.
        scratch_bytes: Of RAM, for a whole row.
        step_scratch_bytes: Of RAM, for a timestep; 0 where it does not stream.
        state_bytes: Of RAM, for each sequence that is under way; 0 where it does not stream.
    """

    weights_bytes: int
    vocabulary_bytes: int
    timesteps: int
    scratch_bytes: int
    step_scratch_bytes: int
    state_bytes: int

    def to_dict(self) -> dict[str, int]:
        """Return its fields."""
        return asdict(self)


def memory_of(
    bundle: Bundle, artifact: Artifact, graph: Graph, golden: Golden, header: str
) -> Memory:
    """Ask the artifact's library, and its header, what it needs.

    Args:
        bundle: The bundle.
        artifact: Its c artifact.
        graph: What it takes.
        golden: Rows, whose sizes are taken for usual ones.
        header: The C header.
    """
    sizes = golden_sizes(graph, golden.inputs)
    companions = used_companions("c", artifact.companions)
    files: Any = {role: bundle.path / path for role, path in companions.items()}
    backend = open_artifact(
        bundle.path / artifact.path, module="ctypes", threads=1, companions=files
    )
    steps, state = 0, 0
    found = re.search(r"_STATE_FLOATS (\d+)", header)
    if artifact.states and found is not None:
        steps, state = backend.steps().scratch_bytes(1, [1] * len(sizes)), 4 * int(found[1])
    vocabulary = re.search(r"_VOCABULARY_BYTES \(\(size_t\)(\d+)\)", header)
    return Memory(
        weights_bytes=artifact.bytes,
        vocabulary_bytes=int(vocabulary[1]) if vocabulary else 0,
        timesteps=max(sizes, default=0),
        scratch_bytes=backend.scratch_bytes(1, sizes),
        step_scratch_bytes=steps,
        state_bytes=state,
    )
