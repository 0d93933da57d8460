import os
import signal
import threading
from collections.abc import Iterator

import pytest

from gatelet.train.interrupt import NOTICE, hold_interrupts


@pytest.fixture(autouse=True)
def python_handles_ctrl_c() -> Iterator[None]:
    """Tests may run where SIGINT is ignored, as in a shell's background jobs."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_the_first_ctrl_c_waits_for_a_check_and_says_so(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with hold_interrupts() as interrupt:
        interrupt.check()
        press()
        assert interrupt.asked
        with pytest.raises(KeyboardInterrupt):
            interrupt.check()
    assert capfd.readouterr().err == NOTICE.decode()


def test_a_second_ctrl_c_stops_at_once() -> None:
    with hold_interrupts():
        press()
        with pytest.raises(KeyboardInterrupt):
            press()


def test_ctrl_c_is_python_s_own_again_afterwards() -> None:
    with hold_interrupts():
        pass
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_leaves_a_program_s_own_handling_alone() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with hold_interrupts() as interrupt:
        press()
        assert not interrupt.asked
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_works_outside_the_main_thread() -> None:
    entered = []

    def run() -> None:
        with hold_interrupts() as interrupt:
            entered.append(interrupt.asked)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert entered == [False]
