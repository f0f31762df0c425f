"""BetaMover: while the slider moves the slices follow, and when it rests every voxel does."""

import qt

from ALHVRSegmentationLib.regions.live import LiveRegions
from ALHVRSegmentationLib.regions.values import STEPS, is_at, step_of

_REST_MS = 150
"""So long after the last move, by mouse or key, the whole volume follows."""


class BetaMover:
    """Moves one result at a time.

    onSettled() when all its voxels are at the slider's beta; onLost() when a part of it has left the scene.
    """

    def __init__(self, onSettled, onLost):
        self._onSettled = onSettled
        self._onLost = onLost
        self._live = LiveRegions()
        self._pending = None
        self._timer = qt.QTimer()
        self._timer.setSingleShot(True)
        self._timer.setInterval(_REST_MS)
        self._timer.connect("timeout()", self.finish)

    @property
    def isBehind(self):
        """Whether voxels out of sight are at another beta than the slider."""
        return self._pending is not None

    def check(self, result):
        """Make every voxel of a result that is new here be at its beta: its file may be older than its scene."""
        arrays = result.arrays()
        if arrays is not None and not is_at(arrays.regions, arrays.con_a, arrays.con_b, result.level(result.beta())):
            self._live.complete(result, result.beta())

    def follow(self, result, beta):
        """Move to a beta unless the result is there, or on the way there."""
        at = self._pending[1] if self._pending is not None else result.beta()
        if step_of(at) != step_of(beta):
            self.move(result, beta)

    def move(self, result, beta):
        """Let the slices show a beta now, and the rest when the slider rests; False when the result is lost."""
        beta = step_of(beta) / STEPS
        if not self._live.preview(result, beta):
            self.drop()
            self._onLost()
            return False
        self._pending = (result, beta)
        self._timer.start()
        return True

    def finish(self, *_arguments):
        """Let every voxel follow now."""
        self._timer.stop()
        if self._pending is None:
            return
        (result, beta), self._pending = self._pending, None
        if self._live.complete(result, beta):
            self._onSettled()
        else:
            self._onLost()

    def drop(self):
        """Forget the result and where it was to go."""
        self._timer.stop()
        self._pending = None
        self._live.forget()
