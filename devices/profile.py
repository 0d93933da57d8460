"""What a device is: a TOML file in profiles/, one a device.

Not a machine at hand, which `gatelet doctor` describes.
"""

import difflib
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gatelet.errors import ConfigError

_PROFILES = Path(__file__).parent / "profiles"


@dataclass(frozen=True)
class DeviceProfile:
    """What a device offers.

    Args:
        name: As on the command line: its file's name.
        title: For people.
        platform: What its C libraries are built for, such as 'aarch64-linux'.
        targets: Those that run there, the preferred one first.
        threads: Processors that a model may use.
        flash_bytes: What may be stored there, the system's own part left out.
        ram_bytes: What may be used at run time.
    """

    name: str
    title: str
    platform: str
    targets: tuple[str, ...]
    threads: int
    flash_bytes: int
    ram_bytes: int

    def __post_init__(self) -> None:
        where = f"device profile '{self.name}'"
        for field in ("name", "title", "platform"):
            if not getattr(self, field) or not isinstance(getattr(self, field), str):
                raise ConfigError(f"{where}: '{field}' is {getattr(self, field)!r}, not a text")
        names = self.targets
        if not names or not isinstance(names, tuple) or not all(isinstance(n, str) for n in names):
            raise ConfigError(f"{where}: 'targets' is {self.targets!r}, not a list of names")
        for field in ("threads", "flash_bytes", "ram_bytes"):
            value = getattr(self, field)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ConfigError(f"{where}: '{field}' is {value!r}, not a whole number above 0")


def profile_names() -> tuple[str, ...]:
    """Return the names of all profiles, sorted."""
    return tuple(sorted(path.stem for path in _PROFILES.glob("*.toml")))


def read_profile(name: str) -> DeviceProfile:
    """Read a profile.

    Args:
        name: One of `profile_names`.

    Raises:
        ConfigError: There is no such profile, or its file is wrong.
    """
    known = profile_names()
    if name not in known:
        similar = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean '{similar[0]}'? " if similar else ""
        raise ConfigError(f"device '{name}' is not known: {hint}known are {', '.join(known)}")
    try:
        found = tomllib.loads((_PROFILES / f"{name}.toml").read_text("utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"device profile '{name}' is no TOML: {error}") from error
    return profile_of(name, found)


def profile_of(name: str, found: dict[str, Any]) -> DeviceProfile:
    """Make a profile of what its file says; every key is needed, and no other is known."""
    needed = set(DeviceProfile.__dataclass_fields__) - {"name"}
    for key in sorted(set(found) ^ needed):
        what = "is missing" if key in needed else f"is not known; known are {sorted(needed)}"
        raise ConfigError(f"device profile '{name}': '{key}' {what}")
    targets = found.pop("targets")
    return DeviceProfile(
        name, targets=tuple(targets) if isinstance(targets, list) else targets, **found
    )
