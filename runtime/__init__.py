"""What runs on the device: bundles, vectorizers, backends and the Predictor.

Not the place for conversion or training. Importing this package loads nothing; a name of it loads
its module, and that the standard library only.
"""

from __future__ import annotations

from gatelet import loads_when_asked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gatelet.runtime.bundle.opening import Artifact, Bundle, open_bundle
    from gatelet.runtime.predictor.loading import load
    from gatelet.runtime.predictor.prediction import Prediction
    from gatelet.runtime.predictor.predictor import Predictor
    from gatelet.runtime.predictor.stream import Stream
    from gatelet.runtime.vectorizer.tokenizer import Vectorizer

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


if not TYPE_CHECKING:
    __getattr__ = loads_when_asked(
        __name__,
        {
            "Artifact": "bundle.opening",
            "Bundle": "bundle.opening",
            "Prediction": "predictor.prediction",
            "Predictor": "predictor.predictor",
            "Stream": "predictor.stream",
            "Vectorizer": "vectorizer.tokenizer",
            "load": "predictor.loading",
            "open_bundle": "bundle.opening",
        },
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
