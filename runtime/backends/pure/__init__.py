"""The backend that needs nothing: the Graph's equations in plain Python."""

from gatelet.runtime.backends.pure.run import OPERATIONS, PureBackend

__all__ = ["OPERATIONS", "PureBackend"]
