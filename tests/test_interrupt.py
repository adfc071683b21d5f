"""Ctrl-C in a program that uses vidclf and does not handle it itself."""

from __future__ import annotations

import signal
import threading

import pytest

from vidclf import interrupt
from vidclf.interrupt import finish_on_interrupt


def press() -> None:
    signal.raise_signal(signal.SIGINT)


def test_the_first_ctrl_c_stops_and_is_raised_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    did = []
    with pytest.raises(KeyboardInterrupt), finish_on_interrupt(lambda: did.append("stop")):
        press()
        press()  # at once: an echo
        did.append("finish")
    assert did == ["stop", "finish"]
    assert caplog.messages == ["stopping: finishing the frames in progress; press Ctrl-C again to abort"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_second_ctrl_c_aborts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interrupt, "ECHO_SECONDS", 0.0)
    did = []
    with pytest.raises(KeyboardInterrupt), finish_on_interrupt(lambda: did.append("stop")):
        press()
        press()
        did.append("finish")
    assert did == ["stop"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_failure_after_ctrl_c_does_not_hide_it() -> None:
    with pytest.raises(KeyboardInterrupt) as caught, finish_on_interrupt(lambda: None):
        press()
        raise ValueError("no luck")
    assert isinstance(caught.value.__cause__, ValueError)


def test_without_ctrl_c_nothing_changes() -> None:
    with pytest.raises(ValueError, match="no luck"), finish_on_interrupt(lambda: None):
        raise ValueError("no luck")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda *_: None])
def test_a_handler_of_the_program_stays(handler: signal.Handlers) -> None:
    before = signal.signal(signal.SIGINT, handler)
    try:
        with finish_on_interrupt(lambda: pytest.fail("not asked")):
            assert signal.getsignal(signal.SIGINT) is handler
            press()
    finally:
        assert signal.signal(signal.SIGINT, before) is handler


def test_another_thread_leaves_ctrl_c_alone() -> None:
    seen = []

    def run() -> None:
        with finish_on_interrupt(lambda: None):
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [signal.default_int_handler]
