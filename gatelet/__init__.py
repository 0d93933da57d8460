"""gatelet: recurrent networks from training to edge devices, with proof that predictions survive.

Not a place for code: import `gatelet.runtime`, `gatelet.convert` or `gatelet.train`.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["__version__", "loads_when_asked"]

__version__ = "0.1.0"


def loads_when_asked(package: str, modules: dict[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package that loads a module when a name of it is asked for.

    It stands here, as this package is loaded in any case: a module of its own would cost each
    start.

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
