"""RunReader: what the folder of a run tells, read bit by bit: its state in words, curves, progress and log.

Whoever reads begins at the beginning, whether the run was started a moment ago or last week by another window. No Qt,
no scene. Files in the folder may be anybody's: what is no good is passed over.
"""

from __future__ import annotations

import collections
import os
import shutil
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from slicer.i18n import tr as _

from alhvr.core.errors import UserError
from alhvr.core.files import parse_json, read_bytes
from alhvr.core.process import ProcessMark
from alhvr.formats.project import ARMS
from alhvr.formats.run_state import HEARTBEAT, LineReader, RunLook, RunWatch
from ALHVRLib.child_events import Event, Progress, progress_of
from ALHVRTrainerLib.run.detached import EVENTS, STDERR
from ALHVRTrainerLib.run.words import Moment, sentence_of
from ALHVRTrainerLib.training.curves import DICE, LOSSES, ArmCurves

if TYPE_CHECKING:
    from subprocess import Popen

PIECE_BYTES = 1 << 15
"""Of a file, between two looks at the clock."""
LOG_LINES = 400
LARGEST_REQUEST = 1_000_000
LOG_BYTES = 64_000
LEAST_BYTES = 10_000_000
"""With less room on its disk, no training begins."""
STEPS_STAGE, SCORING_STAGE = "training", "scoring"
"""What the stages are called in which steps are made, and the last one; there are others around them."""
TOLD = ("note", "warning", "artifact")


class RunReader:
    """One run folder. `read` takes in what is new; `changed` collects what of it has to be drawn."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.arms: dict[str, ArmCurves] = {}
        self.state, self.sentence = "starting", ""
        self._progress: Progress | None = None
        """What is being done."""
        self._steps: Progress | None = None
        """How far the steps of the training at work are, whatever else is done between them."""
        self._furthest = 0.0
        self.changed: set[str] = set()
        """Of "dice", "losses" and "state"; whoever draws empties it."""
        self._watch = RunWatch(folder)
        self.look: RunLook = self._watch.look()
        self._events = LineReader(folder / EVENTS)
        self._metrics = {arm: LineReader(folder / arm / "metrics.jsonl") for arm in ARMS}
        self._log: collections.deque[str] = collections.deque(maxlen=LOG_LINES)
        self._awaited: Popen | None = None
        """A process that was started here and has not yet said who it is."""
        self._child: ProcessMark | None = None
        """The process that the last start of the run made, as it named itself."""
        self._ended: int | None = None
        """Exit code of that process, as soon as it said so."""
        self._complaint = ("", "")
        self._names: tuple[str, ...] = ()

    @property
    def arm(self) -> str:
        """The training that is at work, or was last; "" before the first."""
        beat = self.look.heartbeat
        if beat is not None and beat.arm:
            return beat.arm
        return next((arm for arm in reversed(ARMS) if arm in self.arms), "")

    @property
    def curves(self) -> ArmCurves:
        """Those of the training at work; empty ones before the first."""
        return self.arms.get(self.arm) or ArmCurves()

    @property
    def wanted(self) -> tuple[str, ...]:
        """The trainings that the run consists of, in their order."""
        return self._names or (self.arm,)

    @property
    def minute(self) -> float:
        """Minutes trained of the training at work."""
        beat = self.look.heartbeat
        return max(beat.elapsed_s if beat is not None else 0.0, self.curves.elapsed_s) / 60

    @property
    def fraction(self) -> float | None:
        """How far the whole run is, 0 to 1, never less than before; None where nothing is known."""
        if self.state == "finished":
            return 1.0
        if self._steps is not None and self._steps.total and self.arm in self.wanted:
            done = self.wanted.index(self.arm) + self._steps.done / self._steps.total
            self._furthest = max(self._furthest, done / len(self.wanted))
        return self._furthest or None

    def begin(self, process: Popen) -> None:
        """A process was started for this run just now."""
        self._awaited = process
        self._judge()

    def read(self, budget_s: float) -> bool:
        """Take in what is new, for about so long; returns whether there is more already."""
        until, more = time.monotonic() + budget_s, True
        while more and time.monotonic() < until:
            more = self._readEvents() | any([self._readMetrics(arm) for arm in ARMS])
        self.look = self._watch.look()
        if not self._names:
            self._names = _arms_of(self.folder)
        self._judge()
        return more

    def processes(self) -> set[tuple[int, str]]:
        """Those of this computer that may be at work on the run now: process ID and start of each."""
        beat = self.look.heartbeat
        found = {(beat.pid, beat.start)} if beat is not None and self.look.state == "running" else set()
        if self._child is not None and self._ended is None and self._child.is_running():
            found.add((self._child.pid, self._child.start))
        return found

    @property
    def isElsewhere(self) -> bool:
        """Whether it was another computer that worked on the run last."""
        beat = self.look.heartbeat
        return beat is not None and beat.host != socket.gethostname()

    @property
    def isProcessThere(self) -> bool:
        """Whether a process of this computer is at work on the run still, also after it said that it is done."""
        beat = self.look.heartbeat
        marks = (self._child, None if beat is None else ProcessMark(beat.pid, beat.start, beat.host))
        return any(mark is not None and mark.is_running() for mark in marks)

    def logText(self) -> str:
        """The newest of what was noted and of what the process wrote besides, for a person."""
        return "\n".join([*self._log, *_last_lines(self.folder / STDERR)])

    def _readEvents(self) -> bool:
        new = self._events.read(PIECE_BYTES)
        if new.began_again:
            self._child = self._ended = None
            self._forgetProgress()
        for values in new.values:
            self._hear(values)
        return new.has_more

    def _hear(self, values: dict[str, Any]) -> None:
        kind = values.get("event")
        if not isinstance(kind, str):
            return
        event = Event(kind, values)
        if kind == "child":
            self._child = ProcessMark.from_values({**values, "host": socket.gethostname()})
            self._awaited = self._ended = None
            self._forgetProgress()
            self._complaint = ("", "")
        elif kind == "ended":
            code = event.number("code")
            self._ended = 1 if code is None else int(code)
        elif kind == "error":
            self._complaint = (event.shown("message"), event.shown("hint"))
            self._log.append(" ".join(self._complaint).strip())
        elif kind in TOLD:
            self._log.append(event.shown("message") or event.shown("path"))
        self._take(progress_of(event))

    def _take(self, progress: Progress | None) -> None:
        self._progress = progress or self._progress
        if progress is not None and progress.stage.startswith(STEPS_STAGE):
            self._steps = progress

    def _forgetProgress(self) -> None:
        self._progress = self._steps = None
        self._furthest = 0.0

    def _readMetrics(self, arm: str) -> bool:
        new = self._metrics[arm].read(PIECE_BYTES)
        if new.began_again:
            self.arms[arm] = ArmCurves()
            self.changed |= {DICE, LOSSES}
        for values in new.values:
            kind = self.arms.setdefault(arm, ArmCurves()).take(values)
            if kind:
                self.changed.add(kind)
        return new.has_more

    def _judge(self) -> None:
        state = self._state()
        beat = self.look.heartbeat
        message, hint = self._complaint if self._isNewer() else ("", "")
        if not message and beat is not None:
            message, hint = beat.message, beat.hint
        if not message and state == "failed" and _is_full(self.folder):
            message, hint = _("The disk is full."), _("Free some space and press Resume.")
        moment = Moment(state=state, arm=self.arm, minute=self.minute, message=message, hint=hint,
                        seconds_left=self._steps.seconds_left if self._steps else None,
                        stage=self._progress.stage if self._progress else "", elsewhere=self.look.state == "elsewhere")
        sentence = sentence_of(moment)
        if (state, sentence) != (self.state, self.sentence):
            self.state, self.sentence = state, sentence
            self.changed.add("state")

    def _state(self) -> str:
        """One of the session's states."""
        if self._awaited is not None:
            return "starting" if self._awaited.poll() is None else "failed"
        if self._isNewer():
            return "starting" if self._ended is None and self._child.is_running() else "failed"
        state = self.look.state
        if state in ("running", "elsewhere"):
            return self._runningState()
        return "lost" if state == "none" else state

    def _runningState(self) -> str:
        if self.look.asked:
            return "pausing" if self.look.asked == "pause" else "finishing"
        if self._progress is not None and self._progress.stage == SCORING_STAGE:
            return "finishing"
        return "training" if self._steps is not None or self.curves.iteration else "starting"

    def _isNewer(self) -> bool:
        """Whether a process was started here after the one that the heartbeat is of, and has no heartbeat yet."""
        child, beat = self._child, self.look.heartbeat
        if child is None or beat is None:
            return child is not None
        if (beat.pid, beat.start) == (child.pid, child.start) or self.look.state in ("running", "elsewhere"):
            return False
        return child.is_running() or _age(self.folder / EVENTS) >= _age(self.folder / HEARTBEAT)


def _is_full(folder: Path) -> bool:
    """Whether the disk is so full that a run cannot even say so."""
    try:
        return shutil.disk_usage(folder).free < LEAST_BYTES
    except OSError:
        return False


def _age(path: Path) -> float:
    """When a file was written last, in seconds; 0 where it is not there."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _arms_of(folder: Path) -> tuple[str, ...]:
    """The trainings that compare.json asks for; () where it is not there yet, or says nothing of use."""
    try:
        asked = parse_json(read_bytes(folder / "compare.json", at_most=LARGEST_REQUEST), "compare.json").get("arms")
    except (OSError, UserError, AttributeError):
        return ()
    return tuple(arm for arm in ARMS if arm in asked) if isinstance(asked, list) else ()


def _last_lines(path: Path) -> list[str]:
    """The end of a text file; [] where there is none."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - LOG_BYTES))
            return file.read(LOG_BYTES).decode("utf-8", "backslashreplace").splitlines()[-LOG_LINES:]
    except OSError:
        return []
