"""Two bundles compared: is the new one worse than the one that it replaces?

Not parity, which compares the artifacts of one bundle with the model that they came from.
"""

from gatelet.convert.diff.compare import compare
from gatelet.convert.diff.found import ArtifactDiff, BundleDiff, Limits

__all__ = ["ArtifactDiff", "BundleDiff", "Limits", "compare"]
