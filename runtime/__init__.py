"""What runs on the device: bundles, vectorizers, backends and the Predictor.

Not the place for conversion or training. Importing this package loads nothing; a name of it loads
its module, and that the standard library only.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

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

_MODULES = {
    "Artifact": "bundle",
    "Bundle": "bundle",
    "Prediction": "predictor",
    "Predictor": "predictor",
    "Stream": "stream",
    "Vectorizer": "vectorizer",
    "load": "predictor",
    "open_bundle": "bundle",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
