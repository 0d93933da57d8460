"""The numbers that the exporter and the kernels both know: see kernels/layout.h.

Every generated file asserts that they are the same.
"""

from gatelet.convert.exporters.c.blob import HEAD_BYTES, INT8_CHUNK
from gatelet.convert.exporters.c.convolution import PLACES
from gatelet.convert.exporters.c.integer_values import EXP_ENTRIES, TAIL_ENTRIES
from gatelet.convert.exporters.c.layers import DENSE_ROWS
from gatelet.convert.exporters.c.recurrent import (
    CONV_LSTM_STATES,
    STEPS,
    WALK_STATES,
)
from gatelet.convert.exporters.c.sizes import LARGEST_SIZE, MAX_RANK, SCRATCH_FLOATS, SMALL_FLOATS
from gatelet.convert.exporters.c.writer import ACTIVATION_LIMIT
from gatelet.convert.layouts import LANES, LARGEST_TILE, NIBBLE_ZERO, NIBBLES

LAYOUT = {
    "HEAD_BYTES": HEAD_BYTES,
    "LANES": LANES,
    "LARGEST_TILE": LARGEST_TILE,
    "ACTIVATION_LIMIT": ACTIVATION_LIMIT,
    "INT8_CHUNK": INT8_CHUNK,
    "NIBBLES": NIBBLES,
    "NIBBLE_ZERO": NIBBLE_ZERO,
    "STEPS": STEPS,
    "WALK_STATES": WALK_STATES,
    "CONV_LSTM_STATES": CONV_LSTM_STATES,
    "DENSE_ROWS": DENSE_ROWS,
    "CONVOLUTION_PLACES": PLACES,
    "TAIL_ENTRIES": TAIL_ENTRIES,
    "EXP_ENTRIES": EXP_ENTRIES,
    "MAX_RANK": MAX_RANK,
    "LARGEST_SIZE": LARGEST_SIZE,
    "SCRATCH_FLOATS": SCRATCH_FLOATS,
    "SMALL_FLOATS": SMALL_FLOATS,
}
"""By the name in C, without its GATELET_."""

RESULTS = ("OK", "BAD_ARGUMENT", "BAD_ID", "BAD_WEIGHTS")
"""What functions return; the header has an enumeration of its own."""


def assertions(prefix: str) -> str:
    """Return the C assertions of a model whose macros begin with a prefix."""
    known = {name: str(number) for name, number in LAYOUT.items()}
    known |= {name: f"(int){prefix}_{name}" for name in RESULTS}
    return "\n".join(
        f'_Static_assert(GATELET_{name} == {expected}, "the exporter has another");'
        for name, expected in known.items()
    )
