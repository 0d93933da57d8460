"""Classes under the names that Keras' and scikit-learn's have had, to be pickled from."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import ModuleType
from typing import Any

__all__ = ["pretended"]


@contextmanager
def pretended(name: str, state: Mapping[str, Any]) -> Iterator[Any]:
    """Yield an object of a class that is called `name` for as long as it lasts.

    Args:
        name: Module and class, such as 'keras.preprocessing.text.Tokenizer'.
        state: Its attributes.
    """
    module_name, _, class_name = name.rpartition(".")
    kind = type(class_name, (), {"__module__": module_name})
    parts = module_name.split(".")
    names = [".".join(parts[: i + 1]) for i in range(len(parts))]
    before = {one: sys.modules.get(one) for one in names}
    for one in names:
        sys.modules[one] = ModuleType(one)
    setattr(sys.modules[module_name], class_name, kind)
    made = kind()
    vars(made).update(state)
    try:
        yield made
    finally:
        for one, module in before.items():
            if module is None:
                del sys.modules[one]
            else:
                sys.modules[one] = module
