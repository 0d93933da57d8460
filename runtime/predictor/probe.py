"""Opening an artifact in a child process first, which may die of it without harm.

Not the child, which is `probe_child.py`, and no sandbox: the child runs as this user.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import gatelet.errors
from gatelet.errors import BackendError, GateletError
from gatelet.runtime.bundle.opening import Bundle

TIMEOUT_S = 120.0
MEMORY_LIMIT_BYTES = 4 * 2**30
_COMMAND = (sys.executable, "-P", "-m", "gatelet.runtime.predictor.probe_child")


@dataclass(frozen=True)
class Probe:
    """What a child is asked to open.

    Args:
        path: The bundle's folder.
        target: A target of it, or 'reference' or 'pure'.
        scheme: The artifact's.
    """

    path: str
    target: str
    scheme: str


def probe_bundle(
    bundle: Bundle, *, target: str | None, scheme: str, timeout_s: float = TIMEOUT_S
) -> None:
    """Open an artifact and run the bundle's golden vectors in a child process.

    Raises:
        GateletError: What the child raised; BackendError where it died, hung, or ran out of memory.
    """
    probe = Probe(str(bundle.path.absolute()), str(target), scheme)
    (error,) = probe_all([probe], timeout_s=timeout_s)
    if error is not None:
        raise error


def probe_all(
    probes: Sequence[Probe], *, timeout_s: float = TIMEOUT_S
) -> list[GateletError | None]:
    """Probe one after the other, in as few child processes as survive.

    Args:
        probes: What to open.
        timeout_s: The longest that a child may take for all that it is given.

    Returns:
        For each, None if it can be used, or why not.
    """
    outcomes: list[GateletError | None] = []
    while len(outcomes) < len(probes):
        rest = probes[len(outcomes) :]
        answers, ended = _ask(rest, timeout_s)
        outcomes += map(_outcome, answers)
        if len(answers) < len(rest):
            outcomes.append(_death(rest[len(answers)], ended, timeout_s))
    return outcomes


def _ask(probes: Sequence[Probe], timeout_s: float) -> tuple[list[bytes], int | None]:
    """Return the answers that a child gave, and its exit code; None if it was ended."""
    questions = "".join(json.dumps(asdict(probe)) + "\n" for probe in probes)
    with subprocess.Popen(
        _COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as child:
        try:
            output, _ = child.communicate(questions.encode(), timeout_s)
            ended: int | None = child.returncode
        except subprocess.TimeoutExpired:
            _end(child)
            output, _ = child.communicate()
            ended = None
        except BaseException:  # such as Ctrl-C: nothing may be left running
            _end(child)
            raise
    whole = output.endswith(b"\n")
    lines = output.splitlines()
    return (lines if whole else lines[:-1])[: len(probes)], ended


def _end(child: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(OSError, AttributeError):  # AttributeError: no groups on Windows
        os.killpg(child.pid, signal.SIGKILL)
    child.kill()


def _outcome(answer: bytes) -> GateletError | None:
    try:
        found = json.loads(answer)
        if found is None:
            return None
        kind, message = getattr(gatelet.errors, found["type"], None), str(found["error"])
    except (ValueError, KeyError, TypeError):
        return BackendError("the engine wrote into the answer of its own probe: do not use it")
    if isinstance(kind, type) and issubclass(kind, GateletError):
        return kind(message)
    return BackendError(message)


def _death(probe: Probe, ended: int | None, timeout_s: float) -> BackendError:
    if ended is None:
        how = f"took longer than {timeout_s:g} s"
    elif ended < 0:
        how = f"was ended by {_signal_name(-ended)}"
    else:
        how = f"ended with exit code {ended}"
    return BackendError(
        f"a process that opened bundle '{probe.path}' ({probe.target} {probe.scheme}) {how}: do "
        "not use this bundle",
        target=probe.target,
    )


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
