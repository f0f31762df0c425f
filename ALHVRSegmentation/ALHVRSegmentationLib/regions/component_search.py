"""Search: runs the list of uncertain places on a thread that knows neither MRML nor Qt, and drops outdated answers."""

from __future__ import annotations

import threading
from collections.abc import Callable

from ALHVRLib.places.cells import Stopped
from ALHVRLib.places.components import Components, Volume, find_components
from ALHVRLib.places.segment_images import images_of
from ALHVRLib.scene.region_layers import SEGMENTATION
from ALHVRLib.watched_thread import WatchedThread
from ALHVRSegmentationLib.regions.result import RegionResult

_TICK_MS = 20
_TURN_S = 0.03
"""What the thread gets of each tick."""


class _Work:
    """One search."""

    def __init__(self) -> None:
        self.found = None
        self.problem = ""
        self._stop = threading.Event()

    def run(self, volume: Volume, level: int) -> None:
        """In the thread, which lets go of the arrays as soon as it ends."""
        try:
            self.found = find_components(volume, level, self._stop.is_set)
        except Stopped:
            pass
        except (MemoryError, RuntimeError, ValueError, ImportError) as error:
            self.problem = str(error) or type(error).__name__

    def stop(self) -> None:
        """End soon."""
        self._stop.set()

    @property
    def is_wanted(self) -> bool:
        """Whether nobody stopped it."""
        return not self._stop.is_set()


class ComponentSearch:
    """At most one thread at work; onFound(Found or None, problem) is called on the main thread, for the newest only."""

    def __init__(self, onFound: Callable[[Components | None, str], None]) -> None:
        self._onFound = onFound
        self._work = None
        self._next = None
        self._thread = WatchedThread(self._onTick, _TICK_MS, _TURN_S)

    @property
    def isRunning(self) -> bool:
        """Whether an answer is still to come."""
        return self._thread.isWatched

    def start(self, result: RegionResult, beta: float) -> None:
        """Search the places of a RegionResult at a beta; an earlier search is dropped."""
        self._next = (result, beta)
        if self._work is not None:
            self._work.stop()
        else:
            self._begin()
        self._thread.watch()

    def stop(self) -> None:
        """Drop what is under way; no call comes any more."""
        self._thread.unwatch()
        self._next = None
        if self._work is not None:
            self._work.stop()

    def _onTick(self) -> None:
        if not self._thread.isOver:
            return
        work, self._work = self._work, None
        if self._next is not None:
            self._begin()
            if self._work is not None:
                return
        self._thread.unwatch()
        if work is not None and work.is_wanted:
            self._onFound(work.found, work.problem)

    def _begin(self) -> None:
        (result, beta), self._next = self._next, None
        arrays = result.arrays()
        if arrays is not None:
            images = images_of(result.other(SEGMENTATION), result.node())
            volume = Volume(arrays.con_a, arrays.con_b, result.teacher(), result.spacing_mm(), images)
            self._work = _Work()
            self._thread.start(self._work.run, volume, result.level(beta))
