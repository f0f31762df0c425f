"""Signals ask a run to stop; the handlers found before are put back."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from alhvr.core.signals import StopRequest


@pytest.fixture(autouse=True)
def no_nohup() -> Iterator[None]:
    """A closed terminal would end this process, also where the tests run under ``nohup``."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_asks_and_does_not_interrupt(number: int) -> None:
    with StopRequest() as stop:
        assert not stop()
        signal.raise_signal(number)
        assert stop()


def test_a_second_ctrl_c_ends_at_once() -> None:
    with pytest.raises(KeyboardInterrupt), StopRequest():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)


def test_the_earlier_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with StopRequest():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before


def test_under_nohup_a_closed_terminal_is_nothing() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGHUP)
        assert not stop()
