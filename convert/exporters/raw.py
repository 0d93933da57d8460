"""Which operations leave values as the user fed them: exporters round what is computed only."""

from gatelet.runtime.graph.operations import KEEPS_RANGE, MOVES, OPERATIONS

RAW_STAYS_RAW = frozenset(
    one.name for one in OPERATIONS.values() if one.gives in (MOVES, KEEPS_RANGE)
)
"""What only moves values that the user feeds, or picks among them."""
