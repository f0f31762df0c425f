"""StopRequest: Ctrl-C, SIGTERM and a closed terminal ask a run to finish its step and save; Ctrl-C again ends it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType

from alhvr.core.streams import hurry


class StopRequest:
    """A flag that signals set while it is used as a context; call it to ask."""

    def __init__(self) -> None:
        self._asked = False
        self._before: dict[int, object] = {}

    def __call__(self) -> bool:
        """True once somebody asked the run to stop."""
        return self._asked

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self._asked and number == signal.SIGINT:
            raise KeyboardInterrupt
        if number != signal.SIGINT:
            hurry()
        self._asked = True

    def _signals(self) -> list[signal.Signals]:
        """A closed terminal counts only where it would end the run; ``nohup`` makes it not count."""
        closed = getattr(signal, "SIGHUP", None)
        heard = [signal.SIGINT, signal.SIGTERM]
        return heard if closed is None or signal.getsignal(closed) == signal.SIG_IGN else [*heard, closed]

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            for number in self._signals():
                self._before[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None,
                 traceback: TracebackType | None) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """A process that begins in here never hears Ctrl-C, which a terminal sends to all; this one hears it afterwards."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
