"""Padding that passes skip: which columns stay, and the states that the skipped ones lead to.

Not the pass, which is `gatelet.convert.passes.pad_skip`.
"""

import numpy as np

from gatelet.runtime.backends.reference.operation import Array, Call


def trim_padding(call: Call) -> list[Array]:
    """Run a `TrimPadding` node: ids without the columns that are 0 in every row, and `start`."""
    (ids,) = call.inputs
    used = np.flatnonzero((ids != 0).any(axis=0))
    last = ids.shape[1] - 1
    start = int(used[0]) if len(used) else last
    if call.attributes["limit"] is not None:
        start = min(start, call.attributes["limit"])
    end = int(used[-1]) if call.attributes["trailing"] and len(used) else last
    return [ids[:, start : max(end, start) + 1], np.array(start, np.int32)]


def pad_state(call: Call) -> list[Array]:
    """Run a `PadState` node: row `start` of the table, for each row of the ids."""
    start, ids = call.inputs
    return [np.repeat(call.weights["table"][int(start)][None], len(ids), axis=0)]
