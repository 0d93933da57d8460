"""Where the rows of a batch begin behind their padding, as a C function has it.

Not the finding of it, which is in kernels/masks.c.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """Where rows begin: arrays of C, as gatelet_enter_rows in kernels/masks.h makes them.

    Args:
        pads: After how many of them a row begins.
        enter: Its first timestep.
        given: The states of rows that have their own; '' where none has.
    """

    pads: str
    enter: str
    given: str = ""
