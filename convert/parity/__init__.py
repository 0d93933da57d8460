"""Parity: does what is shipped predict what was trained?

Not a converter: it only reads bundles, and needs no TensorFlow.
"""

from gatelet.convert.parity.judge import judge
from gatelet.convert.parity.limits import Settings
from gatelet.convert.parity.measured import Measured
from gatelet.convert.parity.oracles.oracle import Oracle
from gatelet.convert.parity.report import ArtifactReport, Check, ParityReport

__all__ = ["ArtifactReport", "Check", "Measured", "Oracle", "ParityReport", "Settings", "judge"]
