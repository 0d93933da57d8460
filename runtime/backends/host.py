"""What this machine is called in the names of libraries: 'x86_64-linux'.

Not what can be installed on it: that is `gatelet.runtime.measure.doctor`.
"""

import os
import sys
from pathlib import Path

_NAMES = {"amd64": "x86_64", "arm64": "aarch64", "armv7l": "armv7", "armv8l": "armv7"}


def host_platform() -> str:
    """Name this machine as the companions of a bundle do: 'x86_64-linux'."""
    if hasattr(os, "uname"):
        machine = os.uname().machine.lower()
    else:
        import platform

        machine = platform.machine().lower()
    machine = _NAMES.get(machine, machine)
    if sys.maxsize < 2**32:  # a 32-bit Python on a 64-bit kernel, as on many a Raspberry Pi
        machine = {"aarch64": "armv7", "x86_64": "i686"}.get(machine, machine)
    if machine == "armv7" and not {"neon", "asimd"} & set(described_processor().split()):
        machine = "armv7-without-neon"  # the libraries of armv7 use it
    return f"{machine}-{sys.platform}"


def described_processor() -> str:
    """Describe the processor: what is compiled for one may not run on another with this home."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines()
    except OSError:
        import platform

        return platform.processor()
    words = ("model name", "flags", "Features", "CPU part")
    return "\n".join(dict.fromkeys(line for line in lines if line.startswith(words)))
