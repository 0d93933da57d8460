"""Which devices a bundle is made for, and whether it has room there.

Not the profiles themselves: see `gatelet.devices`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gatelet.convert.schemes import Scheme
from gatelet.devices import DeviceProfile, read_profile
from gatelet.errors import ConfigError, ConversionError

__all__ = ["check_flash", "profiles_for"]


def profiles_for(
    devices: Sequence[str], chosen: Sequence[tuple[str, Scheme]]
) -> tuple[DeviceProfile, ...]:
    """Give the profiles of devices that are named.

    Args:
        devices: Their names.
        chosen: The targets and schemes that a conversion makes.

    Raises:
        ConfigError: A name is not known, or a device runs none of the targets.
    """
    profiles = tuple(read_profile(name) for name in dict.fromkeys(devices))
    targets = list(dict.fromkeys(target for target, _ in chosen))
    for one in profiles:
        if not set(targets) & set(one.targets):
            raise ConfigError(
                f"device '{one.name}' runs {', '.join(one.targets)}, and the conversion makes "
                f"{', '.join(targets)}: choose one of its own with --target"
            )
    return profiles


def check_flash(
    profiles: Sequence[DeviceProfile],
    artifacts: Sequence[Mapping[str, Any]],
    files: Sequence[Mapping[str, Any]],
) -> None:
    """Refuse a bundle of which no artifact has room on a device.

    Args:
        profiles: Of the devices.
        artifacts: The bundle's, as in its manifest.
        files: What else it lists, with bytes.

    Raises:
        ConversionError: With the bytes that the smallest artifact needs.
    """
    sizes = {one["path"]: one["bytes"] for one in files}
    for profile in profiles:
        role = f"library:{profile.platform}"
        needed = [
            one["bytes"] + sizes.get(one.get("companions", {}).get(role), 0)
            for one in artifacts
            if one["target"] in profile.targets
        ]
        if needed and min(needed) > profile.flash_bytes:
            raise ConversionError(
                f"the smallest artifact needs {min(needed):,} bytes of flash; device "
                f"'{profile.name}' offers {profile.flash_bytes:,} (over by "
                f"{min(needed) - profile.flash_bytes:,}): choose a smaller --scheme or --vocabulary"
            )
