"""Runs self-tests: on what emulates a device, or over a way to a real one.

Not what is made of the scores: a caller compares them.
"""

import contextlib
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gatelet.devices.links import Recorded, Streams
from gatelet.devices.profile import DeviceProfile
from gatelet.devices.protocol import Answer, Conversation, Hello, Link, Row, requests_of
from gatelet.devices.toolchains import AVR, MACHINES, TOOLCHAINS, Machine
from gatelet.errors import DeviceError

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Outcome:
    """What a device made of rows.

    Args:
        hello: What the self-test said of itself.
        answers: One a row.
        stack_bytes: The most that the stack had; 0 where nobody knows.
    """

    hello: Hello
    answers: list[Answer] = field(default_factory=list)
    stack_bytes: int = 0


def missing(profile: DeviceProfile) -> str:
    """Return why a device cannot be emulated here, with the line that installs it; '' if it can."""
    if not profile.is_emulated:
        why = TOOLCHAINS[profile.cpu].without
        return f"nothing here emulates {profile.chip}{f' ({why})' if why else ''}"
    machine = MACHINES[profile.emulator]
    if shutil.which(machine.program) is None:
        return f"{machine.program} is not installed here: apt-get install {machine.package}"
    return ""


@contextlib.contextmanager
def emulated(profile: DeviceProfile, program: Path, *, answer_s: float) -> Iterator[Link]:
    """Start a program on what emulates a device that can be talked to.

    Raises:
        DeviceError: Nothing here emulates it.
    """
    machine = _machine(profile)
    program.chmod(0o700)
    with Streams(
        _command(profile, machine, program), name=machine.program, answer_s=answer_s
    ) as link:
        yield link


def takes_input(profile: DeviceProfile) -> bool:
    """Return whether the emulator of a device gives programs what a host sends."""
    return TOOLCHAINS[profile.cpu].start != AVR


def recorded(profile: DeviceProfile, program: Path, *, run_s: float) -> Link:
    """Run a program that has the host's lines inside, to its end.

    Raises:
        DeviceError: Nothing here emulates the device, or it hangs.
    """
    machine = _machine(profile)
    command = _command(profile, machine, program)
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=run_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise DeviceError(
            f"{machine.program} gave no answer within {run_s:g} s: it hangs, and was ended"
        ) from error
    except OSError as error:
        raise DeviceError(f"{machine.program} cannot be started: {error.strerror}") from error
    if done.returncode:
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"code {done.returncode}"
        raise DeviceError(f"{machine.program} ended before it was done, with {how}")
    text = _COLOURS.sub("", done.stdout.decode("utf-8", "replace"))
    # it ends lines of a serial port with a dot, and has some of its own
    _, first, rest = text.partition("gatelet ")
    return Recorded(f"{first}{rest}".replace(".\n", "\n"), name=machine.program)


def script_of(rows: Iterable[Row], *, steps: bool) -> str:
    """Return all lines of a host, for `recorded`."""
    return "".join(f"{line}\n" for line in requests_of(rows, steps=steps))


def converse(
    link: Link, rows: Iterable[Row], *, source_sha256: str, budget: int = 0, least: int = 0
) -> Outcome:
    """Run rows, and ask how deep the stack was.

    Args:
        link: To the device.
        rows: The rows.
        source_sha256: Of the source that must be there.
        budget: Instructions that are enough; 0 for all rows.
        least: Rows that are run whatever they take.

    Raises:
        DeviceError: It is another program, or it does not answer as it should.
    """
    talk = Conversation(link)
    hello = talk.hello()
    if not source_sha256.startswith(hello.source):
        raise DeviceError(
            f"{link.name}: the self-test there is of another model (source {hello.source}, "
            f"expected {source_sha256[:12]}): put this bundle's own on it"
        )
    outcome = Outcome(hello)
    spent = 0
    for place, row in enumerate(rows):
        if budget and place >= least and spent >= budget:
            break
        outcome.answers.append(talk.run(row, hello))
        spent += outcome.answers[-1].count
    outcome.stack_bytes = talk.stack_bytes()
    talk.bye()
    return outcome


def _machine(profile: DeviceProfile) -> Machine:
    why = missing(profile)
    if why:
        raise DeviceError(why)
    return MACHINES[profile.emulator]


def _command(profile: DeviceProfile, machine: Machine, program: Path) -> Sequence[str]:
    values = {"cpu": TOOLCHAINS[profile.cpu].emulated, "clock_hz": profile.clock_hz}
    return [machine.program, *(word.format(**values) for word in machine.words), str(program)]
