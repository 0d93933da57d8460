"""What a forked child must not inherit as it is: locks that others hold, and engines at work.

Not the engines, which are the files beside this one.
"""

from __future__ import annotations

import os
from functools import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol
    from weakref import WeakSet
else:
    Protocol = object


class Renewable(Protocol):
    """What has a lock, or an engine that threads of the process before may have been using."""

    def renew(self) -> None:
        """Forget what other threads of the process before were doing."""
        ...


def renew_after_fork(one: Renewable) -> None:
    """Call `renew` in each forked child, as long as the object lives."""
    _renewables().add(one)


@cache
def _renewables() -> WeakSet[Renewable]:
    from weakref import WeakSet  # a millisecond that other backends need not wait for

    found: WeakSet[Renewable] = WeakSet()

    def renew() -> None:
        for one in list(found):
            one.renew()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=renew)
    return found


def abandon(engine: Any) -> None:
    """Keep an engine for ever: its end would wait for threads that a forked child does not have."""
    import ctypes

    ctypes.pythonapi.Py_IncRef(ctypes.py_object(engine))
