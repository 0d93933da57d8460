"""What a device is and how a test runs on it.

Not the place for running models: that is `gatelet.runtime`.
"""

__all__ = ()
