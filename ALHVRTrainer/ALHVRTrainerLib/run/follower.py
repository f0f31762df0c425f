"""Follower: looks at a run twice a second, a little at a time, and tells what has changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import qt

from ALHVRTrainerLib.run.reader import RunReader

if TYPE_CHECKING:
    from subprocess import Popen

TICK_MS, CATCHING_UP_MS = 500, 25
"""From one look to the next; and while a long run that is new to this window is read."""
BUDGET_S = 0.006
"""What reading may take of a tick."""


class Follower:
    """Follows at most one run.

    Args:
        onTick: called after each look, also when nothing has changed; reader.changed says what has.
    """

    def __init__(self, onTick: Callable[[RunReader], None]) -> None:
        self._onTick = onTick
        self.reader: RunReader | None = None
        self._timer = qt.QTimer()
        self._timer.setInterval(TICK_MS)
        self._timer.connect("timeout()", self.tick)

    @property
    def folder(self) -> Path | None:
        """The run that is followed."""
        return None if self.reader is None else self.reader.folder

    def attach(self, folder: Path, process: Popen | None = None) -> None:
        """Follow a run, from its beginning unless it is followed already; process: what was just started for it."""
        if folder != self.folder:
            self.reader = RunReader(folder)
        if process is not None:
            self.reader.begin(process)
        self._timer.start()
        self.tick()

    def detach(self) -> None:
        """Follow nothing; the run goes on."""
        self._timer.stop()
        self.reader = None

    def tick(self, *_arguments: object) -> None:
        """Look once."""
        if self.reader is None:
            return
        more = self.reader.read(BUDGET_S)
        self._timer.setInterval(CATCHING_UP_MS if more else TICK_MS)
        self._onTick(self.reader)
