"""Emulators, ports and hosts that hang, die or answer rubbish: one sentence, and no change."""

import os
import pty
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gatelet.convert.onboard import ways
from gatelet.convert.onboard.verify import Question, c_artifacts, verify, verify_all
from gatelet.convert.onboard.ways import SERIAL, SSH, Way, parse_way
from gatelet.devices.build import build
from gatelet.devices.compilers import find_compiler
from gatelet.devices.toolchains import MACHINES, TOOLCHAINS
from gatelet.errors import ConfigError, DeviceError
from tests.devices.conftest import device_or_skip, question

SOON_S = 2.0
"""Of the limits in these tests: what hangs is ended after that."""

Wrong = Callable[[bytes], bytes | None]
"""What a bad line makes of a line of the board: other bytes, or None: nothing more comes."""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no answer longer than a moment."""
    monkeypatch.setattr(ways, "ANSWER_S", dict.fromkeys(ways.ANSWER_S, SOON_S))
    monkeypatch.setattr(ways, "BEGIN_S", 2 * SOON_S)
    monkeypatch.setattr(ways, "RECORDED_S", SOON_S)


def program(folder: Path, name: str, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a program in front of all others of its name."""
    (folder / "bin").mkdir(exist_ok=True)
    path = folder / "bin" / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    monkeypatch.setenv("PATH", f"{folder / 'bin'}:{os.environ['PATH']}")


EMULATORS = {
    "it hangs": ("exec sleep 60", "gave no answer within 2 s: it hangs, and was ended"),
    "it dies": ("echo no such machine >&2; exit 3", "with code 3: no such machine"),
    "it is killed": ("kill -9 $$", "ended before it was done, by signal 9"),
    "it says something else": ("echo Hello", "answered 'Hello' to 'hello' after 0 rows"),
    "it is of a later version": ("echo gatelet 2 aa", "speaks version 2 of the protocol"),
    "its weights are others": ("echo gatelet 1 aa 0 1e 1 3 0", "do not belong to the code"),
    "it has another model": ("echo gatelet 1 aaaaaaaaaaaa 0 1e 1 0 0", "is of another model"),
    "it faults": ("echo fault; cat", "the program faulted after 0 rows"),
}


@pytest.mark.parametrize("what", EMULATORS)
@pytest.mark.usefixtures("impatient")
def test_an_emulator_that_fails_is_one_sentence(
    what: str, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, said = EMULATORS[what]
    device_or_skip("bluepill", "gcc")
    program(tmp_path, "qemu-system-arm", script, monkeypatch)
    asked = question(written, "bluepill", compiler="gcc")
    with pytest.raises(DeviceError, match=r"^qemu-system-arm") as caught:
        verify(asked, c_artifacts(asked.bundle, ["full-int8"])[0])
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("impatient")
def test_an_emulator_without_input_that_hangs_is_ended(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = question(written, "mega-2560")
    artifact = c_artifacts(asked.bundle, ["full-int8"])[0]
    for script, said in (
        ("exec sleep 60", "simavr gave no answer within 2 s: it hangs, and was ended"),
        ("exit 4", "simavr ended before it was done, with code 4"),
        ("echo gatelet", "simavr ended before it was done"),
    ):
        program(tmp_path, "simavr", script, monkeypatch)
        with pytest.raises(DeviceError, match=said):
            verify(asked, artifact)


def test_an_emulator_that_is_missing_names_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    profile = device_or_skip("bluepill")
    monkeypatch.setattr("shutil.which", lambda name: None)
    for name, package in (("mps2-an385", "qemu-system-arm"), ("simavr", "simavr")):
        assert MACHINES[name].package == package
    with pytest.raises(DeviceError, match="not installed here: apt-get install qemu-system-arm"):
        Way().check(profile)


@contextmanager
def board(built: Path | None, wrong: Wrong = lambda line: line) -> Iterator[str]:
    """Yield a port with an emulated board behind it, or with nothing."""
    master, slave = pty.openpty()
    stop = threading.Event()
    process = None
    if built is not None:
        machine = MACHINES["mps2-an385"]
        process = subprocess.Popen(
            [machine.program, *machine.words, str(built)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )

    def to_board() -> None:
        while not stop.is_set():
            try:
                data = os.read(master, 4096)
                if process is not None and process.stdin is not None:
                    process.stdin.write(data)
            except OSError:
                return

    def to_host() -> None:
        assert process is not None
        assert process.stdout is not None
        for line in process.stdout:
            made = wrong(line)
            if made is None:
                return
            os.write(master, made)

    threads = [threading.Thread(target=to_board, daemon=True)]
    if process is not None:
        threads.append(threading.Thread(target=to_host, daemon=True))
    for one in threads:
        one.start()
    try:
        yield os.ttyname(slave)
    finally:
        stop.set()
        if process is not None:
            process.kill()
            process.wait()
        os.close(slave)
        os.close(master)
        for one in threads:
            one.join(5)
        for stream in () if process is None else (process.stdin, process.stdout):
            if stream is not None:
                stream.close()


@pytest.fixture(scope="module")
def built(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the self-test of c full-int8 for a Cortex-M3."""
    from gatelet.convert.onboard.case import Examiner
    from gatelet.convert.onboard.verify import golden_rows

    asked = question(written, "bluepill", compiler="gcc")
    folder = tmp_path_factory.mktemp("built")
    (artifact,) = c_artifacts(asked.bundle, ["full-int8"])
    examiner = Examiner(asked.bundle, artifact, steps=False)
    compiler = find_compiler(TOOLCHAINS[asked.profile.cpu], kind="gcc")
    made = build(examiner.case(golden_rows(asked.bundle)), asked.profile, compiler, folder)
    (folder / "board.elf").write_bytes(made.program)
    return folder / "board.elf"


def serial(written: Path, port: str) -> Question:
    return question(written, "bluepill", way=Way(SERIAL, port), compiler="gcc")


def test_a_board_behind_a_serial_port_is_verified(written: Path, built: Path) -> None:
    with board(built) as port:
        asked = serial(written, port)
        (found,) = verify_all(asked, c_artifacts(asked.bundle))
    assert (found.scheme, found.verdict, found.on) == (
        "full-int8",
        "pass",
        f"the board on {port}",
    )
    assert found.rows == 8 + 64
    assert found.same_bits == found.numbers == found.rows
    assert found.stack_bytes


def _answers(count: int, then: bytes | None) -> Wrong:
    """Spoil all lines after so many."""
    seen = 0

    def wrong(line: bytes) -> bytes | None:
        nonlocal seen
        seen += 1
        return line if seen <= count else then

    return wrong


def _flips(word: bytes) -> Wrong:
    """Change the last digit before the end of lines that begin with a word."""

    def wrong(line: bytes) -> bytes | None:
        if not line.startswith(word):
            return line
        head, digit = line[:-2], line[-2:-1]
        return head + (b"1" if digit == b"0" else b"0") + b"\n"

    return wrong


PORTS = {
    "it answers rubbish": (_answers(60, b"\xff\x00#!\n"), "that is no answer of the self-test"),
    "it stops halfway": (_answers(60, None), "stopped: no answer within 2 s; reset it"),
    "it takes other bits": (_flips(b"ok"), "to 'put' after 0 rows: that is no answer"),
    "its bits are lost": (_flips(b"made"), "to 'run' after 0 rows: that is no answer"),
    "it boots noisily, and stops": (_answers(0, b"boot: ok\n"), "did not answer within 4 s"),
}


@pytest.mark.parametrize("what", PORTS)
@pytest.mark.usefixtures("impatient")
def test_a_port_that_fails_is_one_sentence(what: str, written: Path, built: Path) -> None:
    wrong, said = PORTS[what]
    with board(built, wrong) as port:
        asked = serial(written, port)
        with pytest.raises(DeviceError, match=f"^the board on {port}") as caught:
            verify_all(asked, c_artifacts(asked.bundle))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("impatient")
def test_a_port_that_is_none_is_one_sentence(written: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    cases = {
        str(tmp_path / "none"): "cannot be opened: No such file",
        str(tmp_path / "file"): "is no serial port",
    }
    for port, said in cases.items():
        asked = serial(written, port)
        with pytest.raises(DeviceError, match=said):
            verify_all(asked, c_artifacts(asked.bundle))
    with board(None) as port:
        asked = serial(written, port)
        with pytest.raises(DeviceError, match=r"did not answer within 4 s: is the self-test"):
            verify_all(asked, c_artifacts(asked.bundle))


HOSTS = {
    "it is gone": ("echo 'connect to host pi: No route to host' >&2; exit 255", "No route to host"),
    "it does not answer": ("exec sleep 60", "gave no answer within 2 s: is the host there?"),
    "it has no folder": ("cat >/dev/null; echo oops", "it has no folder for the self-test"),
    "it goes away": (
        'case "$*" in *mktemp*) cat >/dev/null; echo /tmp/x;; *) exit 255;; esac',
        "ssh pi ended before it was done, with code 255",
    ),
}


@pytest.mark.parametrize("what", HOSTS)
@pytest.mark.usefixtures("impatient")
def test_a_host_that_fails_is_one_sentence(
    what: str, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, said = HOSTS[what]
    program(tmp_path, "ssh", script, monkeypatch)
    asked = question(written, "x86-64-linux", way=Way(SSH, "pi"))
    with pytest.raises(DeviceError, match=r"^(ssh )?pi") as caught:
        verify(asked, c_artifacts(asked.bundle, ["full-int8"])[0])
    assert said in str(caught.value)


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the host is this machine")
def test_a_linux_board_is_verified_by_ssh(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, "ssh", 'for last; do :; done; exec sh -c "$last"', monkeypatch)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    asked = question(written, "x86-64-linux", way=Way(SSH, "pi"))
    found = verify(asked, c_artifacts(asked.bundle, ["full-int8"])[0])
    assert (found.verdict, found.on) == ("pass", "pi by ssh")
    assert not list(tmp_path.glob("tmp.*"))


def test_a_way_that_is_none_is_refused() -> None:
    for text in ("usb", "serial:", "ssh", "ssh:-oProxyCommand=x", ""):
        with pytest.raises(ConfigError, match=r"expected emulator, serial:PORT or ssh:HOST"):
            parse_way(text)
    assert parse_way("serial:/dev/ttyACM0") == Way(SERIAL, "/dev/ttyACM0")
    with pytest.raises(DeviceError, match="is no Linux board"):
        Way(SSH, "pi").check(device_or_skip("bluepill"))
