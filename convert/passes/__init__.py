"""Passes: a Graph in, a Graph that predicts the same out.

Not lowering, and not particular to a target.
"""

from gatelet.convert.passes.pad_skip import skip_padding

__all__ = ["skip_padding"]
