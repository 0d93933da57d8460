"""Keras for tests, imported when it is first used: collecting tests must not take ten seconds."""

import importlib
import warnings
from typing import Any

__all__ = ["keras", "keras_text", "layers", "tf_keras", "tf_layers"]


class _Late:
    """Stands for a module, or for what an attribute of it holds, until it is looked into."""

    def __init__(self, module: str, *attributes: str) -> None:
        self._module = module
        self._attributes = attributes

    def __getattr__(self, name: str) -> Any:
        # pytest looks at all names of a module for its marks
        if name.startswith(("_", "pytest")) and name != "__version__":
            raise AttributeError(name)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found: Any = importlib.import_module(self._module)
        for attribute in self._attributes:
            found = getattr(found, attribute)
        return getattr(found, name)


keras: Any = _Late("keras")
keras_text: Any = _Late("keras.src.legacy.preprocessing.text")
tf_keras: Any = _Late("tf_keras")
layers: Any = _Late("keras", "layers")
tf_layers: Any = _Late("tf_keras", "layers")
