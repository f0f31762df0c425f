"""ChildProcess: runs the engine beside Slicer, reports its events on the main thread, and ends it within two seconds.

PythonSlicer is a launcher: ending it leaves the Python it started. So that Python reports its process ID first, looks
for the file "cancel" and for its owner, and is ended by its ID when it does not respond. A thread reads its output.
"""

from __future__ import annotations

import collections
import contextlib
import os
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

import slicer
from slicer.i18n import tr as _

from alhvr.core.process import WORK_VARIABLE, belongs, end_all, is_alive, is_running, start_of
from ALHVRLib import child_events, paths
from ALHVRLib.child_events import Event, ExitStatus, Progress, parse_line, progress_of
from ALHVRLib.watched_thread import WatchedThread

LINE_BYTES = 8 << 20
"""Longer lines are left out, which the log tells."""
BUFFER_BYTES = 2 << 20
"""What may wait to be heard; the child waits with the rest."""
TEXT_LETTERS = 4000
"""A line of log text is cut here."""
TICK_MS = 50
TURN_S = 0.002
"""What the thread that reads gets of each tick."""
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


class LaunchError(Exception):
    """There is no process; the text is one sentence for the panel."""


@dataclass(frozen=True)
class Surroundings:
    """What a child runs in."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Over those that Slicer was started with, and over those of every child."""
    python: str = ""
    """Path of a Python of the user's own; "" for PythonSlicer."""


class Launch:
    """One command of ALHVRChild.py in a work folder of its own.

    Args:
        arguments: of ALHVRChild.py.
        folder: the child ends when it is removed; what has it in its environment belongs to this job.
    """

    def __init__(self, arguments: list[str], folder: Path, around: Surroundings) -> None:
        self._arguments, self.folder, self._python = arguments, folder, around.python
        owner = {"ALHVR_OWNER_PID": str(os.getpid()), WORK_VARIABLE: str(folder)}
        self._environment = {**owner, **child_environment(around.python), **around.variables}
        self._cancelFile = folder / "cancel"
        self._exitCodeFile = folder / "exit-code"

    def start(self) -> Popen:
        """Start the launcher; raises LaunchError."""
        command = [*child_command(self._python), *self._arguments]
        try:
            for file in (self._cancelFile, self._exitCodeFile):
                file.unlink(missing_ok=True)
            return slicer.util.launchConsoleProcess(command, updateEnvironment=self._environment)
        except OSError as error:
            raise not_startable(self._python or "PythonSlicer", error) from error

    def ask_to_stop(self) -> bool:
        """Leave word for the child, also for a Python that has not even begun; False where nothing can be written."""
        with contextlib.suppress(OSError):
            self._cancelFile.touch()
            return True
        return False

    def written_exit_code(self) -> int | None:
        """The exit code that the child wrote, whether its output was heard or not; None without one."""
        try:
            with self._exitCodeFile.open(encoding="ascii") as file:
                return int(file.read(20))
        except (OSError, ValueError):
            return None


def child_command(python: str = "") -> list[str]:
    """A Python (PythonSlicer unless another is named) and our script; LaunchError where one of them is missing."""
    command, script = shutil.which(python or "PythonSlicer"), paths.child_script()
    if command is None and python:
        raise LaunchError(_("The Python {path} was not found.").format(path=python))
    if command is None:
        raise LaunchError(_("PythonSlicer, which comes with Slicer, was not found."))
    if not script.is_file():
        raise LaunchError(_("A file of the extension is missing: {file}.").format(file=script))
    return [command, str(script)]


def not_startable(python: str, error: OSError) -> LaunchError:
    """The system refused to start a Python."""
    text = _("{python} could not be started: {reason}.")
    return LaunchError(text.format(python=python, reason=error.strerror or error))


def child_environment(python: str = "") -> dict[str, str]:
    """What every child is told; nothing of the user's other Pythons reaches one in PythonSlicer.

    A Python of the user's own, which is named, has packages of its own: ours are for PythonSlicer.
    """
    return {
        "ALHVR_ENGINE": str(paths.engine_root()),
        "ALHVR_PACKAGES": "" if python else str(paths.packages_folder()),
        **({"PYTHONHOME": ""} if python else {}),
        "PYTHONPATH": "",
        "PYTHONNOUSERSITE": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
    }


class Output:
    """What a process says as it comes, then its exit code; ``read`` is for a thread, the rest for the main thread.

    Read as bytes: a line that is no good UTF-8 arrives all the same, and takes no other with it.
    """

    def __init__(self, process: Popen, work_folder: str) -> None:
        self._process, self._work_folder = process, work_folder
        self._waiting: collections.deque = collections.deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closed = False
        self._pid: tuple[int, str] | None = None

    @property
    def pid(self) -> int | None:
        """Of the Python that does the work, as soon as it was written, whether or not the line was taken."""
        return None if self._pid is None else self._pid[0]

    def is_child_alive(self) -> bool:
        """Whether the process that said so runs, and not a later one with its ID."""
        return self._pid is not None and is_running(*self._pid)

    def next(self) -> Event | str | int | None:
        """An event, a line of log text, the launcher's exit code at the end, or None when there is nothing yet."""
        with self._changed:
            if not self._waiting:
                return None
            said, size = self._waiting.popleft()
            self._bytes -= size
            self._changed.notify_all()
            return said

    def close(self) -> None:
        """Nothing is wanted any more: what still comes is read and forgotten."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def read(self) -> None:
        """Take in all that comes until the process ends; waits while much is not heard yet."""
        with contextlib.suppress(OSError, ValueError), self._process.stdout as text:
            while line := text.buffer.readline(LINE_BYTES):
                if not line.endswith(b"\n") and len(line) >= LINE_BYTES:
                    _skip_line(text.buffer)
                    self._put(f"(A line of more than {LINE_BYTES >> 20} MB was left out.)")
                else:
                    self._take(line)
        self._put(self._process.wait())

    def _take(self, data: bytes) -> None:
        line = parse_line(data.decode("utf-8", errors="backslashreplace").rstrip("\r\n"))
        if line.text or not line.events:
            cut = line.text[:TEXT_LETTERS]
            self._put(cut if len(cut) == len(line.text) else cut + "…", len(cut))
        for event in line.events:
            if event.kind == "child":
                self._meet(event.fields.get("pid"), event.fields.get("start"))
            else:
                self._put(event, len(data))

    def _meet(self, pid: object, start: object) -> None:
        """Take the process ID that the child reports, if it is one of ours.

        A short command may have ended before this is read; there is nothing to end then, and nothing to tell.
        """
        if self._pid is not None:
            return
        if belongs(pid, {self._process.pid}, self._work_folder):
            self._pid = (pid, start_of(pid))
        elif not (isinstance(start, str) and type(pid) is int and not is_alive(pid)):
            self._put(f"(The process ID {pid!r:.40} is not that of the command, and is not used.)")

    def _put(self, said: Event | str | int, size: int = 100) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._bytes < BUFFER_BYTES)
            if not self._closed:
                self._waiting.append((said, size + 100))
                self._bytes += size + 100


def _skip_line(stream: object) -> None:
    """Read to the end of a line and forget it."""
    while (piece := stream.readline(LINE_BYTES)) and not piece.endswith(b"\n"):
        pass


class ChildProcess:
    """One command of alhvr in a process of its own.

    Args:
        arguments: of ``alhvr``; or "--pip" or "--import" and theirs, see ALHVRChild.py.
        onEvent: called with each Event.
        onLog: called with each line of other output.
        onEnd: called with the ExitStatus, once, after the last event; never after discard().
        workFolder: a folder of the job's own. The child ends when it is removed.
        around: variables for the child, and a Python other than PythonSlicer.
    """

    def __init__(self, arguments: Sequence[str], *, onEvent: Callable[[Event], None], onLog: Callable[[str], None],
                 onEnd: Callable[[ExitStatus], None], workFolder: Path, around: Surroundings | None = None) -> None:
        self._launch = Launch([str(argument) for argument in arguments], Path(workFolder), around or Surroundings())
        self._onEvent, self._onLog, self._onEnd = onEvent, onLog, onEnd
        self._state = "new"
        self._thread: WatchedThread | None = None
        self._launcher: Popen | None = None
        self._output: Output | None = None
        self._refusal: ExitStatus | None = None
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
        self._thread = WatchedThread(self._onTick, TICK_MS, TURN_S)
        try:
            self._launcher = self._launch.start()
            self._output = Output(self._launcher, str(self._launch.folder))
            self._thread.start(self._output.read)
        except LaunchError as error:
            self._refusal = child_events.not_started(str(error))
            self._thread.watch()
        slicer.app.connect("aboutToQuit()", self._onAboutToQuit)

    def cancel(self) -> None:
        """Ask it to stop; it is gone within two seconds, and onEnd gets "cancelled" whatever it did."""
        if not self.isRunning or self._cancelledAt is not None:
            return
        self._cancelledAt = time.monotonic()
        if not self._launch.ask_to_stop():
            self._kill()

    def discard(self) -> None:
        """End it at once, without any callback."""
        if not self.isRunning:
            self._state = "over"
            return
        self._launch.ask_to_stop()
        self._kill()
        self._awaitDeath()
        self._leave()

    def _onAboutToQuit(self, *_arguments: object) -> None:
        self.discard()

    def _onTick(self) -> None:
        """Tell what came; a callback that lets Qt work does not bring the next events before it is done."""
        if not self.isRunning:
            return
        if self._refusal is not None:
            self._end(self._refusal)
        else:
            self._hurry()
            self._tell()

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
                self._end(self._exitStatus(said))

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

    def _exitStatus(self, launcher_code: int | None) -> ExitStatus:
        """The child says its exit code as it ends; where that was not heard, it is in a file, or the launcher's."""
        if self._exitCode == 0:
            return child_events.finished()
        if self._exitCode is None and self._complaint is None:
            return self._unheardExitStatus(launcher_code)
        return child_events.failed(self._exitCode, self._complaint, self._lastWords)

    def _unheardExitStatus(self, launcher_code: int | None) -> ExitStatus:
        code = self._launch.written_exit_code()
        if code is None and launcher_code == 0 and (self._hasSpoken or self.pid is not None):
            code = 0
        if code is None:
            return child_events.died(launcher_code)
        return child_events.finished_unheard() if code == 0 else child_events.failed(code, None, self._lastWords)

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
                self._end(self._exitStatus(self._launcher.poll()))

    def _isOver(self) -> bool:
        """It has said its exit code, or is gone without."""
        return self._exitCode is not None or self._isGone()

    def _isGone(self) -> bool:
        return self._launcher.poll() is not None and not self._output.is_child_alive()

    def _end(self, result: ExitStatus) -> None:
        """Tell how it ended, as the last thing; a worker that it left behind ends too."""
        self._kill()
        self._leave()
        self._onEnd(result if self._cancelledAt is None else child_events.cancelled(self._exitCode))

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
            time.sleep(TURN_S)
            self._kill()

    def _leave(self) -> None:
        """Nothing is told any more."""
        self._state = "over"
        slicer.app.disconnect("aboutToQuit()", self._onAboutToQuit)
        self._thread.unwatch()
        self._thread = None
        if self._output is not None:
            self._output.close()
