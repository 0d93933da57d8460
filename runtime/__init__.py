"""What runs on the device: bundles, vectorizers, backends and the Predictor.

Not the place for conversion or training; importing this package loads the standard library only.
"""

from gatelet.runtime.bundle import Artifact, Bundle, open_bundle
from gatelet.runtime.predictor import Prediction, Predictor, load
from gatelet.runtime.stream import Stream
from gatelet.runtime.vectorizer import Vectorizer

__all__ = [
    "Artifact",
    "Bundle",
    "Prediction",
    "Predictor",
    "Stream",
    "Vectorizer",
    "load",
    "open_bundle",
]
