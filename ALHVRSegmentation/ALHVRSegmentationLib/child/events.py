"""Events: what a child process says, one JSON object a line; everything else it writes is log text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

MARK = '{"event":'


@dataclass(frozen=True)
class Event:
    """Something the child told: its kind, such as "progress", and what belongs to it."""

    kind: str
    fields: dict[str, Any]

    def text(self, name: str) -> str:
        """A field as text; "" when it is missing."""
        value = self.fields.get(name)
        return value if isinstance(value, str) else ""

    def number(self, name: str) -> float | None:
        """A field as a number; None when it is missing or something else."""
        value = self.fields.get(name)
        return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


@dataclass(frozen=True)
class Progress:
    """How far a stage is."""

    stage: str
    done: int
    total: int
    seconds_left: float | None


def parse_line(line: str) -> Event | None:
    """The event of a line that is nothing else; None for log text."""
    event, text = split_line(line)
    return None if text else event


def split_line(line: str) -> tuple[Event | None, str]:
    """The event in a line and the log text around it: libraries write half lines into the same stream."""
    start = line.find(MARK)
    if start < 0:
        start = line.find("{") if '"event"' in line else -1
    if start < 0:
        return None, line
    try:
        fields, end = json.JSONDecoder().raw_decode(line, start)
    except ValueError:
        return None, line
    kind = fields.pop("event", None)
    if not isinstance(kind, str):
        return None, line
    return Event(kind, fields), (line[:start] + line[end:]).strip()


def progress_of(event: Event) -> Progress | None:
    """The progress that an event tells; None when it tells none, or nonsense."""
    done, total = event.number("done"), event.number("total")
    if event.kind != "progress" or done is None or total is None or total < 0:
        return None
    return Progress(event.text("stage"), int(done), int(total), event.number("seconds_left"))
