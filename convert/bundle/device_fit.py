"""Whether a bundle has room on the devices that it is made for.

Not the profiles themselves: see `gatelet.devices`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from gatelet.devices import DeviceProfile
from gatelet.errors import ConversionError


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
        if profile.is_bare:  # what is linked for it tells: see `gatelet.convert.onboard.deliver`
            continue
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
