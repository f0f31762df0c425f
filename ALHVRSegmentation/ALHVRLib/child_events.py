"""Child events: what a child process reports, one JSON object a line, and how it ended; all else is log text."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

from slicer.i18n import tr as _

MARK = '{"event":'
MOST_FAILURES = 20
"""Places in one line at which reading an event is tried in vain; what follows is log text."""
MOST_DIGITS = 400
LARGEST = 2**53
"""What lies beyond is no number of voxels, bytes or seconds."""
SPEAKER = "alhvr: "
"""What a complaint on stderr begins with."""


@dataclass(frozen=True)
class Event:
    """Something the child reported: its kind, such as "progress", and what belongs to it."""

    kind: str
    fields: dict[str, Any]

    def text(self, name: str) -> str:
        """A field as text; "" when it is missing."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""

    def shown(self, name: str) -> str:
        """A field as text that any widget can show: half characters are spelt out."""
        return self.text(name).encode("utf-8", "backslashreplace").decode("utf-8")

    def number(self, name: str) -> float | None:
        """A field as a finite number; None when it is missing or something else."""
        return finite(self.fields.get(name))

    def objects(self, name: str) -> tuple[dict, ...]:
        """The objects in a field that is a list; () when it is missing or something else."""
        values = self.fields.get(name)
        return tuple(value for value in values if isinstance(value, dict)) if isinstance(values, list) else ()


@dataclass(frozen=True)
class Line:
    """A line of output: the events in it, and the log text around them, as libraries write into the same stream."""

    events: tuple[Event, ...]
    text: str


@dataclass(frozen=True)
class Progress:
    """How far a stage is: 0 <= done <= total."""

    stage: str
    done: int
    total: int
    seconds_left: float | None


def finite(value: object) -> float | None:
    """A value if it is a finite number of a size that counts something; None for anything else."""
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        return None
    return value if math.isfinite(value) and abs(value) <= LARGEST else None


def parse_line(line: str) -> Line:
    """The events of a line and its other text. Whatever the line holds, nothing is raised."""
    events, texts, at, failures = [], [], 0, 0
    start = _next_start(line, 0)
    while start >= 0 and failures < MOST_FAILURES:
        event, end = _event_at(line, start)
        if event is None:
            failures += 1
            start = line.find(MARK, start + 1)
            continue
        events.append(event)
        texts.append(line[at:start])
        at, start = end, line.find(MARK, end)
    if not events:
        return Line((), line)
    return Line(tuple(events), " ".join(text.strip() for text in (*texts, line[at:]) if text.strip()))


def progress_of(event: Event) -> Progress | None:
    """The progress that an event reports; None when it reports none, or nonsense."""
    done, total = event.number("done"), event.number("total")
    if event.kind != "progress" or done is None or total is None or not 0 <= done <= total:
        return None
    left = event.number("seconds_left")
    return Progress(event.shown("stage"), int(done), int(total), left if left is not None and left >= 0 else None)


def _next_start(line: str, at: int) -> int:
    start = line.find(MARK, at)
    return line.find("{") if start < 0 and '"event"' in line else start


def _event_at(line: str, start: int) -> tuple[Event | None, int]:
    """The event that begins at a place, and where it ends; None where none begins."""
    try:
        fields, end = _DECODER.raw_decode(line, start)
    except (ValueError, RecursionError):
        return None, start
    kind = fields.pop("event", None) if isinstance(fields, dict) else None
    return (Event(kind, fields), end) if isinstance(kind, str) else (None, start)


def _whole_number(digits: str) -> float:
    """int() refuses some thousand digits."""
    return int(digits) if len(digits) <= MOST_DIGITS else math.inf


_DECODER = json.JSONDecoder(parse_int=_whole_number)


@dataclass(frozen=True)
class ExitStatus:
    """What became of a child process."""

    kind: str
    """finished, failed, cancelled, died or not started."""
    message: str
    """One sentence for the panel; "" when it finished and all that it said was heard."""
    hint: str = ""
    """What to do next; may be ""."""
    exit_code: int | None = None

    @property
    def text(self) -> str:
        """Message and hint as one text."""
        return " ".join(f"{self.message} {self.hint}".split())


def finished() -> ExitStatus:
    """It did what it was asked."""
    return ExitStatus("finished", "", exit_code=0)


def finished_unheard() -> ExitStatus:
    """It did what it was asked, with its output closed, so that what it reported did not arrive."""
    return ExitStatus("finished", _("The output of the command was lost."), exit_code=0)


def cancelled(exit_code: int | None) -> ExitStatus:
    """It was told to stop, whatever it did then."""
    return ExitStatus("cancelled", _("Cancelled."), exit_code=exit_code)


def failed(exit_code: int | None, complaint: tuple[str, str] | None, last_words: str) -> ExitStatus:
    """It gave up: with an error event (message, hint), or with a line on stderr."""
    if complaint is not None:
        return ExitStatus("failed", complaint[0], complaint[1], exit_code)
    if last_words.startswith(SPEAKER):
        return ExitStatus("failed", last_words.removeprefix(SPEAKER), exit_code=exit_code)
    return ExitStatus("failed", _("The command ended with an error."), _("The log has the details."), exit_code)


def died(exit_code: int | None) -> ExitStatus:
    """It was killed, or crashed."""
    hint = _("If the computer ran out of memory, close other programs and try again; the log may say more.")
    return ExitStatus("died", _("The background process exited unexpectedly."), hint, exit_code)


def not_started(reason: str) -> ExitStatus:
    """There is no process."""
    return ExitStatus("not started", reason, _("Install Slicer or the extension ALHVR again."))
