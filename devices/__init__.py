"""What runs models: profiles of devices.

Not a connection to one.
"""

from gatelet.devices.profile import DeviceProfile, profile_names, read_profile

__all__ = ["DeviceProfile", "profile_names", "read_profile"]
