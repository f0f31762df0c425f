"""Work in a thread, and the timer in the main thread that gives the thread its turns and notices its end."""

from __future__ import annotations

import threading
from collections.abc import Callable

import qt


class WatchedThread:
    """At most one function at a time in a thread, which may touch neither MRML nor Qt.

    Args:
        onTick: called on the main thread at each tick while watched, also when the function has ended; never inside
            itself, though it may let Qt work.
        tick_ms: from one tick to the next.
        turn_s: what the thread gets of each tick: Slicer's event loop, unlike PySide's, holds Python's lock and would
            let it starve.
    """

    def __init__(self, onTick: Callable[[], None], tick_ms: int, turn_s: float) -> None:
        self._onTick, self._turn_s = onTick, turn_s
        self._thread: threading.Thread | None = None
        self._ticking = False
        self._timer = qt.QTimer()
        self._timer.setInterval(tick_ms)
        self._timer.connect("timeout()", self.tick)

    @property
    def isOver(self) -> bool:
        """Whether no function runs."""
        return self._thread is None or not self._thread.is_alive()

    @property
    def isWatched(self) -> bool:
        """Whether ticks come."""
        return self._timer.isActive()

    def start(self, function: Callable[..., None], *arguments: object) -> None:
        """Run a function, once the one before it is over, and watch it; it ends with Slicer at the latest."""
        self._thread = threading.Thread(target=function, args=arguments, daemon=True)
        self._thread.start()
        self.watch()

    def watch(self) -> None:
        """Let ticks come, whether a function runs or not."""
        self._timer.start()

    def unwatch(self) -> None:
        """No tick comes any more; a function that runs goes on."""
        self._timer.stop()

    def join(self) -> None:
        """Wait until the function is over."""
        if self._thread is not None:
            self._thread.join()

    def tick(self, *_arguments: object) -> None:
        """Give the thread its turn, then call onTick."""
        if self._ticking:
            return
        self._ticking = True
        try:
            if self._thread is not None:
                self._thread.join(self._turn_s)
            self._onTick()
        finally:
            self._ticking = False
