"""Does a file compute what its scheme says? The question `computes` of parity.

Not what the scheme costs.
"""

from gatelet.convert.parity.computes.check import check_computes
from gatelet.convert.parity.computes.covered import check_covered

__all__ = ["check_computes", "check_covered"]
