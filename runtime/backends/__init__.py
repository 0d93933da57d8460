"""Backends: one file an engine, each opening an artifact and running rows.

Engines are imported when an artifact is opened, not before.
"""

from gatelet.runtime.backends.backend import Backend, open_backend
from gatelet.runtime.backends.targets import GRAPH_TARGETS, TARGETS, installed_targets

__all__ = ["GRAPH_TARGETS", "TARGETS", "Backend", "installed_targets", "open_backend"]
