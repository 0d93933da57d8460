"""The shared library of a C model: the struct that it hands out, and the opening of it.

Not the calls, which are in `gatelet.runtime.backends.c.backend`. Standard library only.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

from gatelet.errors import BackendError

ABIS = (1, 2)
"""1; or 2, where a stream's states are int32."""
LEVELS = (1, 2, 3, 4)
"""Of x86-64: the plain path, v2, v3, v4."""

_Pointers = ctypes.POINTER(ctypes.c_void_p)
_Sizes = ctypes.POINTER(ctypes.c_int32)


class Library(ctypes.Structure):
    """`struct gatelet_library` of the C source; the functions are called with addresses."""

    code: ctypes.CDLL
    """The shared library that it is in."""
    level: int = 0
    """Of x86-64, as in `open_library`; 0 where there is but one."""

    _fields_ = (
        ("abi", ctypes.c_int32),
        ("description", ctypes.c_char_p),
        ("weights_bytes", ctypes.c_size_t),
        ("check", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t)),
        ("scratch_bytes", ctypes.CFUNCTYPE(ctypes.c_size_t, ctypes.c_int32, _Sizes)),
        (
            "output_shape",
            ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int32, ctypes.c_int32, _Sizes, _Sizes),
        ),
        (
            "run",
            ctypes.CFUNCTYPE(
                ctypes.c_int,
                ctypes.c_void_p,
                _Pointers,
                _Sizes,
                ctypes.c_int32,
                _Pointers,
                ctypes.c_void_p,
            ),
        ),
        (
            "ids_of_text",
            ctypes.CFUNCTYPE(
                ctypes.c_int32,
                ctypes.c_void_p,
                ctypes.c_char_p,
                ctypes.c_size_t,
                ctypes.c_void_p,
            ),
        ),
    )


def open_library(path: Path, *, level: int = 0, steps: bool = False) -> Library:
    """Open a shared library.

    Args:
        path: The file.
        level: Of x86-64: the best (0), or 1 for the plain path, 2, 3 or 4, for tests.
        steps: Open what runs pieces of sequences, with states as further inputs and outputs.

    Raises:
        BackendError: It cannot be opened here, or is not of this kind.
    """
    try:
        return library_of(ctypes.CDLL(str(path.absolute())), path.name, level=level, steps=steps)
    except (OSError, AttributeError) as error:
        raise BackendError(f"the library '{path.name}' cannot be opened: {error}") from error


def library_of(code: ctypes.CDLL, name: str, *, level: int = 0, steps: bool = False) -> Library:
    """Return what an opened shared library hands out; see `open_library`.

    Raises:
        AttributeError: It hands out nothing.
        BackendError: It is not of this kind.
    """
    open_function = code.gatelet_open_steps if steps else code.gatelet_open
    open_function.restype = ctypes.POINTER(Library)
    found = open_function(ctypes.c_int32(level))
    if not found:
        raise BackendError(
            f"the library '{name}' has no code of level {level} for this machine: "
            "unset GATELET_LEVEL"
        )
    library: Library = found.contents
    if library.abi not in ABIS:
        raise BackendError(
            f"the library '{name}' has the interface {library.abi}, this gatelet knows "
            f"{' and '.join(map(str, ABIS))}: convert again, or update gatelet"
        )
    library.code = code
    library.level = level or max((n for n in LEVELS if open_function(ctypes.c_int32(n))), default=0)
    return library
