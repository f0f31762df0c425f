"""RunLife: a run tells that it is alive and how it ended, and hears what it is asked by signals and by files."""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType

from alhvr.core.errors import Cancelled, UserError
from alhvr.core.files import opened_to_append, shown
from alhvr.core.signals import StopRequest
from alhvr.core.system import explained
from alhvr.formats.run_state import (
    BEAT_EVERY_S,
    Request,
    Told,
    forget_requests,
    is_asked,
    own_heartbeat,
    read_heartbeat,
    write_heartbeat,
)

LOG = "log.txt"
_LOOK_EVERY_S = 0.1
"""How often is looked for a file that asks something: many may ask, and the run may lie on a network drive."""
_ASLEEP_S = 30.0
_TRIES, _PAUSE_S = 5, 0.05
"""The last heartbeat matters, and a reader may hold the file for a moment."""


class NothingToFinish(Cancelled):
    """The user asked to finish with the best model so far, and nothing was learnt yet."""


class AwakeClock:
    """Seconds in which this process was awake; a computer that sleeps, or a process that was stopped, trains nothing.

    It has to be asked every few seconds, by any thread: a longer gap is one in which nobody was awake to ask.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen, self._asleep_s = time.monotonic(), 0.0

    def __call__(self) -> float:
        """Seconds since some moment, without those asleep."""
        with self._lock:
            now = time.monotonic()
            if now - self._seen > _ASLEEP_S:
                self._asleep_s += now - self._seen
            self._seen = now
            return now - self._asleep_s


class RunLife:
    """The life of the run in ``folder`` while this is used as a context, by one process that holds its lock.

    At the end it is "finished", "paused" where Cancelled was raised, else "failed" with the sentences of the error. A
    disk that is full costs heartbeats, never the run. What was asked before it began is forgotten.
    """

    def __init__(self, folder: Path, resume_command: str) -> None:
        self.resume_command = resume_command
        """What to type to go on with it."""
        self._arm = ""
        self._beating = threading.Lock()
        """Held by the one thread that beats."""
        self.elapsed_s: Callable[[], float] = float
        """Seconds trained of it."""
        self.clock = AwakeClock()
        """By which a run counts how long it trained."""
        self._folder, self._signals = folder, StopRequest()
        self._heart, self._over = own_heartbeat(), threading.Event()
        self._thread = threading.Thread(target=self._beat_on, name="alhvr-heartbeat", daemon=True)
        self._looked_at: dict[Request, float] = {}
        self._asked: dict[Request, bool] = {}

    @property
    def arm(self) -> str:
        """Which training of a comparison is at work; a new one is told at once."""
        return self._arm

    @arm.setter
    def arm(self, arm: str) -> None:
        self._arm = arm
        self._beat()

    def should_pause(self) -> bool:
        """Whether it is to save and end, asked by Ctrl-C, SIGTERM, a closed terminal or pause.request."""
        return self._signals() or self._is_asked("pause")

    def should_finish(self) -> bool:
        """Whether it is to end now with the best model so far, asked by finish.request."""
        return self._is_asked("finish")

    def should_leave(self) -> bool:
        """Whether it is to do no further step, for either reason."""
        return self.should_pause() or self.should_finish()

    def _is_asked(self, request: Request) -> bool:
        now = time.monotonic()
        if now - self._looked_at.get(request, -1.0) >= _LOOK_EVERY_S:
            self._looked_at[request], self._asked[request] = now, is_asked(self._folder, request)
        return self._asked[request]

    def __enter__(self) -> RunLife:
        forget_requests(self._folder)
        before = read_heartbeat(self._folder)
        self._heart = replace(self._heart, beat=0 if before is None else before.beat)
        self._signals.__enter__()
        self._beat()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 traceback: TracebackType | None) -> None:
        self._over.set()
        self._thread.join()
        self._end(error)
        forget_requests(self._folder)
        self._signals.__exit__(kind, error, traceback)

    def _end(self, error: BaseException | None) -> None:
        if error is None:
            return self._beat("finished", tries=_TRIES)
        if isinstance(error, (Cancelled, KeyboardInterrupt)):
            return self._beat("paused", str(error), tries=_TRIES)
        told = explained(error)
        if told is None:
            self._keep_traceback(error)
            told = UserError(f"The program failed ({type(error).__name__}).",
                             f"Resume the run. If it fails again, report it with {LOG} of the run.")
        return self._beat("failed", told.message, told.hint, tries=_TRIES)

    def _keep_traceback(self, error: BaseException) -> None:
        lines = "".join(traceback.format_exception(error)).splitlines()
        with suppress(OSError), opened_to_append(self._folder / LOG) as file:
            file.writelines(f"{shown(line)}\n".encode("utf-8", "backslashreplace") for line in lines)

    def _beat_on(self) -> None:
        while not self._over.wait(BEAT_EVERY_S):
            self.clock()
            self._beat()

    def _beat(self, state: Told = "running", message: str = "", hint: str = "", *, tries: int = 1) -> None:
        with self._beating:
            self._heart = replace(self._heart, beat=self._heart.beat + 1, state=state, arm=self.arm, message=message,
                                  hint=hint, elapsed_s=round(self.elapsed_s(), 1))
            for _ in range(tries):
                with suppress(OSError):
                    return write_heartbeat(self._folder, self._heart)
                time.sleep(_PAUSE_S)
        return None
