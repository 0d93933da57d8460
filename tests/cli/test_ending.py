"""What SIGTERM and SIGHUP leave of a command that writes: nothing, and their exit code."""

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gatelet.cli.ending import ended_in_order
from tests.convert.reading.hostile_files import write_keras

RunCli = Callable[..., Any]
SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@pytest.fixture(autouse=True)
def nothing_handles_them() -> Iterator[None]:
    """Tests may run where a signal is ignored, as under nohup."""
    before = {number: signal.signal(number, signal.SIG_DFL) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_conversion_that_is_ended_leaves_nothing(
    cli: RunCli,
    bundle: Path,
    tree: Callable[[Path], dict[str, bytes]],
    monkeypatch: pytest.MonkeyPatch,
    number: int,
) -> None:
    model = write_keras(bundle.parent / "model.keras")
    before = tree(bundle.parent)
    seen: list[str] = []

    def end(*given: object, **named: object) -> None:
        seen.extend(path.name for path in bundle.parent.glob(".small.stage-*"))
        os.kill(os.getpid(), number)

    monkeypatch.setattr("gatelet.convert.ladder.export_all", end)
    done = cli("convert", model, "--out", bundle, "--target", "onnx", "--no-keras")
    assert (done.code, len(seen)) == (128 + number, 1)
    assert "Traceback" not in done.err
    assert tree(bundle.parent) == before


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with ended_in_order():
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
        os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_a_second_one_ends_at_once() -> None:
    with pytest.raises(SystemExit) as stopped, ended_in_order():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert stopped.value.code == 128 + signal.SIGTERM
