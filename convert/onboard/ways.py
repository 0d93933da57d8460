"""The ways to a device: what emulates it, a serial port, or ssh to a Linux board.

Not the lines that go there and back: see `gatelet.devices.protocol`.
"""

import contextlib
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gatelet.devices.emulators import emulated, missing, recorded, takes_input
from gatelet.devices.links import SerialPort, Streams
from gatelet.devices.profile import DeviceProfile
from gatelet.devices.protocol import Link
from gatelet.devices.toolchains import MACHINES
from gatelet.errors import ConfigError, DeviceError

EMULATOR, SERIAL, SSH = "emulator", "serial", "ssh"
ANSWER_S = {EMULATOR: 120.0, SERIAL: 60.0, SSH: 60.0}
"""How long one answer may take, of a row or a timestep: then the device is taken for dead."""
BEGIN_S = 5.0
"""How long a board may take to start, once its port is opened."""
RECORDED_S = 600.0
"""How long all rows may take where nothing can be sent to the emulator."""
_CONNECT_S = 10


@dataclass(frozen=True)
class Way:
    """A way to a device.

    Args:
        kind: EMULATOR, SERIAL or SSH.
        place: The port, or the host.
    """

    kind: str = EMULATOR
    place: str = ""

    @property
    def builds(self) -> bool:
        """Whether a program is brought to the device; a serial port's board has one."""
        return self.kind != SERIAL

    def counts(self, profile: DeviceProfile) -> bool:
        """Return whether instructions or cycles are counted there."""
        return self.kind == EMULATOR and MACHINES[profile.emulator].counts

    def takes_input(self, profile: DeviceProfile) -> bool:
        """Return whether programs there are given what a host sends."""
        return self.kind != EMULATOR or takes_input(profile)

    def told(self, profile: DeviceProfile) -> str:
        """Say what the model runs on."""
        if self.kind == EMULATOR:
            return profile.stand_in if profile.is_emulated else ""
        return f"the board on {self.place}" if self.kind == SERIAL else f"{self.place} by ssh"

    def refusal(self, profile: DeviceProfile, *, has_room: bool) -> str:
        """Return why a program that fits the device is not run; '' where it is."""
        if self.kind != EMULATOR:
            return ""
        if not profile.is_emulated:
            return f"nothing emulates {profile.chip}"
        return "" if has_room else f"{profile.emulator} has less memory than the {profile.chip}"

    def check(self, profile: DeviceProfile) -> None:
        """Refuse what cannot work, before anything is built.

        Raises:
            DeviceError: The emulator is not installed, or the device is no Linux board.
        """
        if self.kind == EMULATOR and profile.is_emulated and missing(profile):
            raise DeviceError(missing(profile))
        if self.kind == SSH and profile.is_bare:
            raise DeviceError(
                f"'{profile.name}' is no Linux board: --on ssh is for those; use serial:PORT"
            )

    @contextlib.contextmanager
    def link(self, profile: DeviceProfile, program: Path) -> Iterator[Link]:
        """Bring a program to the device, and yield the link to it.

        Raises:
            DeviceError: There is no way there.
        """
        if self.kind == SERIAL:
            with SerialPort(self.place, answer_s=ANSWER_S[SERIAL], begin_s=BEGIN_S) as port:
                port.begin()
                yield port
        elif self.kind == SSH:
            with _by_ssh(self.place, program) as link:
                yield link
        elif self.takes_input(profile):
            with emulated(profile, program, answer_s=ANSWER_S[EMULATOR]) as link:
                yield link
        else:
            yield recorded(profile, program, run_s=RECORDED_S)


def parse_way(text: str) -> Way:
    """Read what --on says.

    Raises:
        ConfigError: It is none of emulator, serial:PORT and ssh:HOST.
    """
    kind, _, place = text.partition(":")
    if text == EMULATOR or (kind in (SERIAL, SSH) and place and not place.startswith("-")):
        return Way(kind, place)
    raise ConfigError(f"--on is '{text}', expected emulator, serial:PORT or ssh:HOST")


@contextlib.contextmanager
def _by_ssh(host: str, program: Path) -> Iterator[Link]:
    """Copy a program into a folder of its own on a host, run it, and take the folder away."""
    ssh = ["ssh", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={_CONNECT_S}", host]
    copy = 'd=$(mktemp -d) && cat >"$d/selftest" && chmod 700 "$d/selftest" && echo "$d"'
    folder = _asked(host, [*ssh, copy], program.read_bytes())
    if not folder.startswith("/") or any(one in folder for one in " '\"\\$`"):
        raise DeviceError(
            f"{host}: it has no folder for the self-test: mktemp said {folder[:80]!r}"
        )
    command = [*ssh, f"'{folder}/selftest'; code=$?; rm -rf '{folder}'; exit $code"]
    with Streams(command, name=f"ssh {host}", answer_s=ANSWER_S[SSH]) as link:
        yield link


def _asked(host: str, command: list[str], given: bytes) -> str:
    try:
        done = subprocess.run(
            command, input=given, capture_output=True, timeout=ANSWER_S[SSH], check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DeviceError(
            f"ssh {host} gave no answer within {ANSWER_S[SSH]:g} s: is the host there?"
        ) from error
    except OSError as error:
        raise DeviceError(f"ssh cannot be started: {error.strerror}") from error
    if done.returncode:
        said = " ".join(done.stderr.decode("utf-8", "replace").split())[:200]
        raise DeviceError(f"ssh {host} failed: {said or f'code {done.returncode}'}")
    return done.stdout.decode("utf-8", "replace").strip()
