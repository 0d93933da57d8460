"""Passes: a Graph in, a Graph that predicts the same out.

Not lowering, and not particular to a target.
"""

from gatelet.convert.passes.pad_skip import skip_padding
from gatelet.convert.passes.rewriting import Rewritten, Whole, rewrite

__all__ = ["Rewritten", "Whole", "rewrite", "skip_padding"]
