"""ChildProcess: runs the engine beside Slicer, tells its events on the main thread, and ends it within two seconds.

PythonSlicer is a launcher: ending it leaves the Python it started. So that Python says its process ID first, looks for
the file "cancel" and for its owner, and is ended by its ID when it does not listen.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from subprocess import Popen

import qt
import slicer

from ALHVRSegmentationLib.child import ending
from ALHVRSegmentationLib.child.ending import Ending
from ALHVRSegmentationLib.child.events import Event, Progress, progress_of
from ALHVRSegmentationLib.child.launch import Launch, LaunchError
from ALHVRSegmentationLib.child.output import Output
from ALHVRSegmentationLib.child.processes import end_all

TICK_MS = 50
YIELD_S = 0.002
"""Slicer's event loop holds Python's lock, so that the thread that reads gets its turn only when this one sleeps."""
TICK_WORK_S = 0.05
"""How long one tick may tell events before the panel gets its turn."""
TICK_EVENTS = 500
"""How many one tick tells; a child that says more waits with the rest."""
CANCEL_S = 1.5
"""When a child that was asked to stop is ended; it ends itself a little earlier, unless it hangs."""
FAREWELL_S = 3.0
"""How long a child may take to end that has said its last, and its output to close that has ended."""
CANCELLED_FAREWELL_S = 0.2
"""The same after a cancel."""


class ChildProcess:
    """One command of alhvr in a process of its own.

    Args:
        arguments: of ``alhvr``; or "--pip" or "--import" and theirs, see ALHVRChild.py.
        onEvent: called with each Event.
        onLog: called with each line of other output.
        onEnd: called with the Ending, once, after the last event; never after discard().
        workFolder: a folder of the job's own. The child ends when it is removed.
        environment: variables for the child, over those that Slicer was started with.
    """

    def __init__(self, arguments: Sequence[str], *, onEvent: Callable[[Event], None], onLog: Callable[[str], None],
                 onEnd: Callable[[Ending], None], workFolder: Path, environment: dict[str, str] | None = None) -> None:
        self._launch = Launch([str(argument) for argument in arguments], Path(workFolder), environment or {})
        self._onEvent, self._onLog, self._onEnd = onEvent, onLog, onEnd
        self._state = "new"
        self._timer: qt.QTimer | None = None
        self._telling = False
        self._launcher: Popen | None = None
        self._output: Output | None = None
        self._refusal: Ending | None = None
        self._cancelledAt: float | None = None
        self._endedAt: float | None = None
        self._exitCode: int | None = None
        self._complaint: tuple[str, str] | None = None
        self._lastWords = ""
        self._hasSpoken = False
        self.progress: Progress | None = None

    @property
    def isRunning(self) -> bool:
        """From start() until onEnd is called, or discard()."""
        return self._state == "running"

    @property
    def pid(self) -> int | None:
        """Process ID of the Python that does the work (not of the launcher); None before it has said so."""
        return None if self._output is None else self._output.pid

    def start(self) -> None:
        """Start it; whatever happens is told by the callbacks later, also that it cannot be started."""
        if self._state != "new":
            raise RuntimeError("A ChildProcess is started once.")
        self._state = "running"
        try:
            self._launcher = self._launch.start()
            self._output = Output(self._launcher, str(self._launch.folder))
        except LaunchError as error:
            self._refusal = ending.not_started(str(error))
        self._timer = qt.QTimer()
        self._timer.setInterval(TICK_MS)
        self._timer.connect("timeout()", self._onTick)
        self._timer.start()
        slicer.app.connect("aboutToQuit()", self._onAboutToQuit)

    def cancel(self) -> None:
        """Ask it to stop; it is gone within two seconds, and onEnd gets "cancelled" whatever it did."""
        if not self.isRunning or self._cancelledAt is not None:
            return
        self._cancelledAt = time.monotonic()
        if not self._launch.ask_to_stop():
            self._kill()

    def discard(self) -> None:
        """End it at once and tell nobody."""
        if not self.isRunning:
            self._state = "over"
            return
        self._launch.ask_to_stop()
        self._kill()
        self._awaitDeath()
        self._leave()

    def _onAboutToQuit(self, *_arguments: object) -> None:
        self.discard()

    def _onTick(self, *_arguments: object) -> None:
        """Tell what came; a callback that lets Qt work does not bring the next events before it is done."""
        if self._telling or not self.isRunning:
            return
        self._telling = True
        try:
            if self._refusal is not None:
                self._end(self._refusal)
            else:
                time.sleep(YIELD_S)
                self._hurry()
                self._tell()
        finally:
            self._telling = False

    def _tell(self) -> None:
        until = time.monotonic() + TICK_WORK_S
        for _number in range(TICK_EVENTS):
            said = self._output.next() if self.isRunning and time.monotonic() < until else None
            if said is None:
                return
            if isinstance(said, Event):
                self._hear(said)
            elif isinstance(said, str):
                self._lastWords = said
                self._onLog(said)
            else:
                self._end(self._ending(said))

    def _hear(self, event: Event) -> None:
        self._hasSpoken = True
        if event.kind == "ended":
            code = event.number("code")
            self._exitCode = None if code is None else int(code)
            return
        self.progress = progress_of(event) or self.progress
        if event.kind == "error":
            self._complaint = (event.shown("message"), event.shown("hint"))
        self._onEvent(event)

    def _ending(self, launcher_code: int | None) -> Ending:
        """The child says its exit code as it ends; where that was not heard, it is in a file, or the launcher's."""
        if self._exitCode == 0:
            return ending.finished()
        if self._exitCode is None and self._complaint is None:
            return self._unheardEnding(launcher_code)
        return ending.failed(self._exitCode, self._complaint, self._lastWords)

    def _unheardEnding(self, launcher_code: int | None) -> Ending:
        code = self._launch.written_exit_code()
        if code is None and launcher_code == 0 and (self._hasSpoken or self.pid is not None):
            code = 0
        if code is None:
            return ending.died(launcher_code)
        return ending.finished_unheard() if code == 0 else ending.failed(code, None, self._lastWords)

    def _hurry(self) -> None:
        """End a child that does not stop, and wait no longer for the output of one that is gone."""
        now = time.monotonic()
        if self._cancelledAt is not None and now > self._cancelledAt + CANCEL_S:
            self._kill()
        if not self._isOver():
            return
        self._endedAt = self._endedAt or now
        if now > self._endedAt + (FAREWELL_S if self._cancelledAt is None else CANCELLED_FAREWELL_S):
            self._tell()
            self._kill()
            if self.isRunning:
                self._end(self._ending(self._launcher.poll()))

    def _isOver(self) -> bool:
        """It has said its exit code, or is gone without."""
        return self._exitCode is not None or self._isGone()

    def _isGone(self) -> bool:
        return self._launcher.poll() is not None and not self._output.is_child_alive()

    def _end(self, result: Ending) -> None:
        """Tell how it ended, as the last thing; a worker that it left behind ends too."""
        self._kill()
        self._leave()
        self._onEnd(result if self._cancelledAt is None else ending.cancelled(self._exitCode))

    def _kill(self) -> None:
        """End everything that was started for this job; nothing happens when all are gone."""
        roots = {self.pid} if self._output is not None and self._output.is_child_alive() else set()
        if self._launcher is not None and self._launcher.poll() is None:
            roots.add(self._launcher.pid)
        end_all(roots, str(self._launch.folder))

    def _awaitDeath(self) -> None:
        """So that its files can be removed now: a process that was killed takes a moment to end."""
        until = time.monotonic() + FAREWELL_S
        while self._launcher is not None and not self._isGone() and time.monotonic() < until:
            time.sleep(YIELD_S)
            self._kill()

    def _leave(self) -> None:
        """Nothing is told any more."""
        self._state = "over"
        slicer.app.disconnect("aboutToQuit()", self._onAboutToQuit)
        self._timer.stop()
        self._timer = None
        if self._output is not None:
            self._output.close()
