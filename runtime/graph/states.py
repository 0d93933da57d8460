"""What a stream carries from one piece to the next, as the manifest says it.

Not the streaming form of a Graph, which is `gatelet.runtime.graph.streaming`: a process that only
predicts reads the manifest, and does not load that.
"""

import math
from collections.abc import Mapping
from reprlib import repr as show

from gatelet.runtime.records import dataclass

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LARGEST_STATE = 2**24
"""The most elements of a state for one row: a stream has to allocate it."""

STREAM_ROLE = "stream"
"""The role of the companion that an artifact streams with: its streaming form, exported."""


@dataclass(frozen=True)
class State:
    """What is carried from one piece to the next, zero at the start.

    Args:
        input: The name of the value that takes it.
        output: The name of the value that gives it after the piece.
        shape: Without B.
        node: The recurrence that it belongs to.
        dtype: 'int32' where integers are carried as they are.
    """

    input: str
    output: str
    shape: tuple[int, ...]
    node: str = ""
    dtype: str = "float32"

    def to_manifest(self) -> "dict[str, Any]":
        """Return the entry of the manifest."""
        entry = {"input": self.input, "output": self.output, "shape": [None, *self.shape]}
        return entry if self.dtype == "float32" else {**entry, "dtype": self.dtype}


def parse_states(entry: "Mapping[str, Any]") -> tuple[State, ...]:
    """Read the states from an artifact's entry in the manifest; () where it does not stream.

    Raises:
        ValueError: They are not what docs/bundle.md says.
    """
    stream = entry.get("stream")
    if stream is None:
        return ()
    listed = stream.get("states") if isinstance(stream, dict) else None
    if not isinstance(listed, list) or not listed:
        raise ValueError(f"'stream' is {show(stream)}, expected an object with 'states'")
    max_batch = stream.get("max_batch")
    if max_batch is not None and (type(max_batch) is not int or max_batch < 1):
        raise ValueError(f"'max_batch' of 'stream' is {show(max_batch)}, expected 1 or more")
    states = tuple(_parse_state(one) for one in listed)
    for names in ([one.input for one in states], [one.output for one in states]):
        if len(set(names)) < len(names):
            raise ValueError(f"'states' of 'stream' has a name twice: {', '.join(names)}")
    return states


def _parse_state(entry: object) -> State:
    found = entry if isinstance(entry, dict) else {}
    names, shape = [found.get("input"), found.get("output")], found.get("shape")
    if not all(isinstance(name, str) and name for name in names):
        raise ValueError(f"a state of 'stream' is {show(entry)}, expected 'input' and 'output'")
    sizes = shape[1:] if isinstance(shape, list) and shape and shape[0] is None else []
    if not sizes or any(type(size) is not int or size < 1 for size in sizes):
        raise ValueError(f"a state's 'shape' is {show(shape)}, expected [null, size, ...]")
    if math.prod(sizes) > LARGEST_STATE:
        raise ValueError(f"a state's 'shape' is {show(shape)}, more than {LARGEST_STATE:,} a row")
    dtype = found.get("dtype", "float32")
    if dtype not in ("float32", "int32"):
        raise ValueError(f"a state's 'dtype' is {show(dtype)}, expected float32 or int32")
    return State(str(names[0]), str(names[1]), tuple(sizes), dtype=str(dtype))
