"""The C target: a library that was compiled for this machine, or is compiled here.

Importing this package loads nothing; a name of it loads its module.
"""

from gatelet import loads_when_asked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gatelet.runtime.backends.c.backend import open_artifact, used_roles

__all__ = ["open_artifact", "used_roles"]

if not TYPE_CHECKING:
    __getattr__ = loads_when_asked(__name__, {"open_artifact": "backend", "used_roles": "backend"})
