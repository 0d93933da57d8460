"""What a package is called, its version and its license: checked once for all forms.

Not where it is written: see `gatelet.convert.packages.writing`.
"""

import re

from gatelet.convert.exporters.c.source import TARGETS_OF_CMAKE
from gatelet.errors import ConfigError

LARGEST_NAME = 63
"""Characters, as the Arduino library index has it."""
_NAME = re.compile(rf"[A-Za-z][A-Za-z0-9_]{{0,{LARGEST_NAME - 1}}}")
_VERSION = re.compile(r"(0|[1-9]\d{0,5})(\.(0|[1-9]\d{0,5})){2}")
_LICENSE = re.compile(r"[A-Za-z0-9.+-]+( (AND|OR|WITH) [A-Za-z0-9.+-]+)*")
_OF_C = re.compile(
    "assert|complex|ctype|errno|fenv|float|inttypes|iso646|limits|locale|math|setjmp|signal|"
    "stdalign|stdarg|stdatomic|stdbool|stddef|stdint|stdio|stdlib|stdnoreturn|string|tgmath|"
    "threads|time|uchar|wchar|wctype|arduino|model"
)
"""Headers that NAME.h would hide."""


def check_name(name: str) -> str:
    """Return a name that every form can use: of a C macro, a library, a component, a target.

    Raises:
        ConfigError: It cannot be one.
    """
    if not _NAME.fullmatch(name):
        raise ConfigError(
            f"--name is '{name}': expected a letter, then at most {LARGEST_NAME - 1} letters, "
            "digits and _, which names in C and libraries of Arduino may have"
        )
    hides = _OF_C.fullmatch(name.lower())
    if hides or name.lower() in TARGETS_OF_CMAKE:
        what = "a header of C programs" if hides else "a target of CMake"
        raise ConfigError(f"--name is '{name}', which is {what} too: choose another")
    return name


def usable_name(name: str) -> str:
    """Return a bundle's prefix of C names as a package's name; `model_` comes first if need be."""
    try:
        return check_name(name[:LARGEST_NAME])
    except ConfigError:
        return check_name(f"model_{name}"[:LARGEST_NAME])


def check_version(version: str) -> str:
    """Return a version that every form can use.

    Raises:
        ConfigError: It is not of the form 1.2.3.
    """
    if not _VERSION.fullmatch(version):
        raise ConfigError(
            f"--package-version is '{version}': expected three numbers, such as 1.0.0"
        )
    return version


def check_license(license_: str) -> str:
    """Return an SPDX expression; which licenses there are is not looked up.

    Raises:
        ConfigError: It is none.
    """
    if not _LICENSE.fullmatch(license_):
        raise ConfigError(
            f"--license is '{license_}': expected an SPDX expression, such as MIT, CC-BY-4.0 or "
            "LicenseRef-Proprietary"
        )
    return license_
