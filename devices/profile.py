"""What a device is: a TOML file in profiles/, one a device.

Not a machine at hand, which `gatelet doctor` describes.
"""

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from gatelet.devices.toolchains import ARM, LINUX, MACHINES, TOOLCHAINS
from gatelet.errors import ConfigError

_PROFILES = Path(__file__).parent / "profiles"

BARE = "bare-metal"
"""The platform of microcontrollers."""
PACKAGES = ("c", "cmake", "arduino", "platformio", "esp-idf", "zephyr", "cmsis-pack", "micropython")
FLOATS = ("none", "single", "double")
SIMD = ("none", "dsp", "helium", "neon", "dotprod", "sse2")

SOURCED = ("cpu", "clock_hz", "flash_bytes", "ram_bytes", "stack_bytes")
"""The keys that stand beside a `KEY_source`: where the figure is from."""
_LEAST = {"clock_hz": 100_000, "threads": 1, "flash_bytes": 1, "ram_bytes": 1, "stack_bytes": 1}
_UNITS = {"clock_hz": "hertz", "threads": "processors"}


@dataclass(frozen=True)
class DeviceProfile:
    """What a device offers.

    Args:
        name: As on the command line: its file's name.
        title: For people.
        chip: Its processor's name: 'nRF52840'.
        platform: What its C libraries are built for, such as 'aarch64-linux'; of microcontrollers
            BARE.
        targets: Those that run there, the preferred one first.
        threads: Processors that a model may use.
        cpu: The processor, a row of `toolchains.TOOLCHAINS`.
        floats: What it computes by itself: 'none', 'single' or 'double' precision.
        simd: Its instructions for several numbers at once, or 'none'.
        clock_hz: The highest clock.
        flash_bytes: What may be stored there, the system's own part left out.
        ram_bytes: What may be used at run time.
        stack_bytes: Of the RAM, what a program's stack has unless somebody sets another size.
        emulator: A row of `toolchains.MACHINES`; 'none' where nothing emulates it.
        packages: What its ecosystem takes, of PACKAGES.
        flags: Of the compiler, beside the processor's.
        sources: Where the figures are from, by key.
    """

    name: str
    title: str
    chip: str
    platform: str
    targets: tuple[str, ...]
    threads: int
    cpu: str
    floats: str
    simd: str
    clock_hz: int
    flash_bytes: int
    ram_bytes: int
    stack_bytes: int
    emulator: str
    packages: tuple[str, ...]
    flags: tuple[str, ...] = ()
    sources: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        where = f"device profile '{self.name}'"
        for key in ("name", "title", "chip", "platform"):
            if not getattr(self, key) or not isinstance(getattr(self, key), str):
                raise ConfigError(f"{where}: '{key}' is {getattr(self, key)!r}, not a text")
        for key in ("targets", "packages", "flags"):
            names = getattr(self, key)
            good = isinstance(names, tuple) and all(isinstance(one, str) for one in names)
            if not good or (key == "targets" and not names):
                raise ConfigError(f"{where}: '{key}' is {names!r}, not a list of names")
        for key, least in _LEAST.items():
            value, unit = getattr(self, key), _UNITS.get(key, "bytes")
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigError(
                    f"{where}: '{key}' is {value!r}, not a whole number of {unit}, "
                    f"{f'{least:,} or more' if least > 1 else 'above 0'}"
                )
        known = (
            ("cpu", (self.cpu,), tuple(TOOLCHAINS)),
            ("floats", (self.floats,), FLOATS),
            ("simd", (self.simd,), SIMD),
            ("emulator", (self.emulator,), ("none", *MACHINES)),
            ("packages", self.packages, PACKAGES),
        )
        for key, found, names in known:
            for one in found:
                if one not in names:
                    raise ConfigError(
                        f"{where}: {key} '{one}' is not known: {_similar(one, names)}known are "
                        f"{', '.join(names)}"
                    )
        if self.stack_bytes >= self.ram_bytes:
            raise ConfigError(
                f"{where}: a stack of {self.stack_bytes:,} bytes leaves nothing of the "
                f"{self.ram_bytes:,} bytes of RAM: 'stack_bytes' is a part of 'ram_bytes'"
            )

    @property
    def is_bare(self) -> bool:
        """Whether it is a microcontroller, without an operating system."""
        return self.platform == BARE

    @property
    def is_emulated(self) -> bool:
        """Whether something emulates it."""
        return self.emulator != "none"

    @property
    def stand_in(self) -> str:
        """What it is checked on: 'Cortex-M4F on mps2-an386, not a nRF52840'."""
        cpu, machine = TOOLCHAINS[self.cpu], MACHINES[self.emulator]
        place = self.emulator if cpu.start != LINUX else f"{self.emulator} in user mode"
        other = cpu.start == ARM and machine.core != cpu.title
        code = f"{cpu.title} code on the {machine.core} of" if other else f"{cpu.title} on"
        return f"{code} {place}, not {_article(self.chip)} {self.chip}"


def _article(name: str) -> str:
    """Return 'a' or 'an', as it is spoken: an nRF52840, an STM32, a BCM2711."""
    spelled = name[:2].upper() == name[:2] or name[1:2].isupper() or name[1:2] == "."
    vowels = "aefhilmnorsx" if spelled else "aeio"
    return "an" if name[0].lower() in vowels else "a"


def profile_names() -> tuple[str, ...]:
    """Return the names of all profiles, sorted."""
    return tuple(sorted(path.stem for path in _PROFILES.glob("*.toml")))


def read_profile(name: str) -> DeviceProfile:
    """Read a profile.

    Args:
        name: One of `profile_names`, or the path of a TOML file of one's own.

    Raises:
        ConfigError: There is no such profile, or its file is wrong.
    """
    known = profile_names()
    path = _PROFILES / f"{name}.toml"
    if name not in known:
        path = Path(name)
        if path.suffix != ".toml":
            raise ConfigError(
                f"device '{name}' is not known: {_similar(name, known)}known are "
                f"{', '.join(known)}, and paths of .toml files"
            )
        name = path.stem
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigError(f"device profile '{path}' cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"device profile '{name}' is no TOML: {error}") from error
    return profile_of(name, found)


def profile_of(name: str, found: dict[str, Any]) -> DeviceProfile:
    """Make a profile of what its file says; every key but 'flags' is needed, no other is known."""
    where = f"device profile '{name}'"
    needed = {one.name for one in fields(DeviceProfile)} - {"name", "flags", "sources"}
    needed |= {f"{key}_source" for key in SOURCED}
    for key in sorted(set(found) - needed - {"flags"}):
        stem = key.rpartition("_")[0]
        close = next((one for one in sorted(needed) if stem and one.rpartition("_")[0] == stem), "")
        hint = f"write '{close}', in {_UNITS.get(close, 'bytes')}; " if close else ""
        raise ConfigError(f"{where}: '{key}' is not known; {hint}known are {sorted(needed)}")
    for key in sorted(needed - set(found)):
        raise ConfigError(f"{where}: '{key}' is missing")
    sources = {key: found[f"{key}_source"] for key in SOURCED}
    for key, text in sources.items():
        if not isinstance(text, str) or not text.strip():
            raise ConfigError(f"{where}: '{key}_source' is {text!r}: say where '{key}' is from")
    values = {key: value for key, value in found.items() if not key.endswith("_source")}
    lists = {key: tuple(one) for key, one in values.items() if isinstance(one, list)}
    return DeviceProfile(name, **{**values, **lists}, sources=sources)


def _similar(name: str, known: tuple[str, ...]) -> str:
    found = difflib.get_close_matches(name, known, n=1)
    return f"did you mean '{found[0]}'? " if found else ""
