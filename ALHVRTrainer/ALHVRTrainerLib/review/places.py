"""PlaceTour: from one place where the model is unsure to the next, the worst first; found in a thread."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import slicer

from alhvr.formats.region_tables import LEVELS, RELIABLE_STABLE, UNRELIABLE_STABLE
from ALHVRLib.places.cells import Stopped
from ALHVRLib.places.components import Volume, find_components
from ALHVRLib.scene.navigation import jump_to, world_of
from ALHVRLib.watched_thread import WatchedThread

TICK_MS, TURN_S = 50, 0.005


class PlaceTour:
    """The places of one scan; onFound() when they are known."""

    def __init__(self, onFound: Callable[[], None]) -> None:
        self._onFound = onFound
        self._found: tuple[tuple[int, ...], ...] = ()
        """(I, J, K) of each."""
        self._at = -1
        self._volumeId = ""
        self._isStopped = False
        self._search = WatchedThread(self._onTick, TICK_MS, TURN_S)

    @property
    def count(self) -> int:
        """How many there are, as far as they were found."""
        return len(self._found)

    @property
    def isSearching(self) -> bool:
        """Whether they are still looked for."""
        return self._search.isWatched

    def start(self, regions: np.ndarray, spacing_mm: tuple[float, ...], volumeId: str) -> None:
        """Look for the places in regions [K, J, I] of a volume, whose voxels have these edges."""
        self._volumeId = volumeId
        self._search.start(self._look, regions, spacing_mm)

    def stop(self) -> None:
        """Look for none any more."""
        self._isStopped = True
        self._search.unwatch()

    def step(self, by: int) -> bool:
        """Go so many places on; False where there is none."""
        volume = slicer.mrmlScene.GetNodeByID(self._volumeId)
        if not self._found or volume is None:
            return False
        self._at = min(max(self._at + by, 0), len(self._found) - 1)
        jump_to(world_of(volume, self._found[self._at]))
        return True

    def worst(self) -> bool:
        """Go to the place where the model is least sure; False where there is none."""
        self._at = -1
        return self.step(1)

    def _look(self, regions: np.ndarray, spacing_mm: tuple[float, ...]) -> None:
        """In the thread. Without the networks' confidences a place of region 3 is as bad as it is large."""
        some = np.where(regions == UNRELIABLE_STABLE, np.uint16(0), np.uint16(LEVELS))
        other = np.where(regions > RELIABLE_STABLE, np.uint16(0), np.uint16(LEVELS))
        try:
            found = find_components(Volume(some, other, spacing_mm=spacing_mm), 1, lambda: self._isStopped)
        except (Stopped, MemoryError):
            return
        self._found = tuple(part.worst for part in found.parts)

    def _onTick(self) -> None:
        if self._search.isOver:
            self._search.unwatch()
            self._onFound()
