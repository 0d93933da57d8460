"""A bundle: its manifest, its files, and their opening.

Importing this package loads nothing; a name of it loads its module.
"""

from gatelet import loads_when_asked

TYPE_CHECKING = False
if TYPE_CHECKING:
    from gatelet.runtime.bundle.opening import Artifact, Bundle, is_bundle, open_bundle

__all__ = ["Artifact", "Bundle", "is_bundle", "open_bundle"]

if not TYPE_CHECKING:
    __getattr__ = loads_when_asked(
        __name__,
        {
            "Artifact": "opening",
            "Bundle": "opening",
            "is_bundle": "opening",
            "open_bundle": "opening",
        },
    )
