"""Passes: a Graph in, a Graph that predicts the same out.

Not lowering, and not particular to a target.
"""

from gatelet.convert.passes.pad_skip import skip_padding
from gatelet.convert.passes.streaming import Stream, to_stream

__all__ = ["Stream", "skip_padding", "to_stream"]
