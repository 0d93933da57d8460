"""What runs on the device: bundles, vectorizers, backends and the Predictor.

Not the place for conversion or training. Importing this package loads nothing; a name of it loads
its module, and that the standard library only.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from gatelet.runtime.bundle.opening import Artifact, Bundle, open_bundle
    from gatelet.runtime.predictor.prediction import Prediction
    from gatelet.runtime.predictor.predictor import Predictor, load
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


def loads_when_asked(package: str, modules: dict[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package that loads a module when a name of it is asked for.

    Args:
        package: The package's `__name__`.
        modules: The module below the package, by the name that it defines.
    """

    def load_name(name: str) -> Any:
        if name not in modules:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        import sys
        from importlib import import_module

        found = getattr(import_module(f"{package}.{modules[name]}"), name)
        setattr(sys.modules[package], name, found)
        return found

    return load_name


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
            "load": "predictor.predictor",
            "open_bundle": "bundle.opening",
        },
    )


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
