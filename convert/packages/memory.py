"""What an artifact needs of a device's memory, without what a compiler adds.

Not stack and code, which are measured on the device: `gatelet verify`.
"""

import re
from dataclasses import asdict, dataclass

from gatelet.convert.exporters.c.macros import HeaderSizes
from gatelet.convert.packages.golden import golden_sizes
from gatelet.errors import BundleDamaged
from gatelet.runtime.bundle.opening import Artifact, Golden
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


def memory_of(artifact: Artifact, graph: Graph, golden: Golden, header: str) -> Memory:
    """Evaluate what the artifact's header says, as the compiler of a microcontroller will.

    Args:
        artifact: Of the target c.
        graph: What it takes.
        golden: Rows, whose sizes are taken for usual ones.
        header: The C header.

    Raises:
        BundleDamaged: The header says no sizes.
    """
    prefix = str(artifact.entry.get("prefix", "model")).upper()
    found = HeaderSizes(header, {f"{prefix}_SMALL": 1})
    sizes, steps, state = golden_sizes(graph, golden.inputs), 0, 0
    try:
        scratch = found.value(f"{prefix}_SCRATCH_BYTES", (1, *sizes))
        if artifact.states:
            of_step = f"{prefix}_STEP_SCRATCH_BYTES"
            steps = found.value(of_step, (1,) * found.count(of_step))
            state = found.value(f"{prefix}_STATE_BYTES", (1,))
    except ValueError as error:
        raise BundleDamaged(f"c {artifact.scheme}: {error}: convert it again") from error
    vocabulary = re.search(r"_VOCABULARY_BYTES \(\(size_t\)(\d+)\)", header)
    return Memory(
        weights_bytes=artifact.bytes,
        vocabulary_bytes=int(vocabulary[1]) if vocabulary else 0,
        timesteps=max(sizes, default=0),
        scratch_bytes=scratch,
        step_scratch_bytes=steps,
        state_bytes=state,
    )
