"""Progress events: one small vocabulary, spoken as bars for people or as JSON lines for programs."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, Protocol, TextIO

from tqdm import tqdm


class Reporter(Protocol):
    """Whoever listens to a run. Every method takes plain values only, so that an event can be written as JSON."""

    def started(self, command: str) -> None:
        """The command begins."""

    def progress(self, stage: str, done: int, total: int, seconds_left: float | None = None) -> None:
        """``done`` of ``total`` units of ``stage`` are finished."""

    def metrics(self, iteration: int, **values: Any) -> None:
        """Named numbers of one iteration: losses by name, validation Dice per class."""

    def artifact(self, kind: str, path: str) -> None:
        """A file or folder is finished and may be opened."""

    def note(self, message: str) -> None:
        """Something worth knowing that is no warning."""

    def warning(self, message: str) -> None:
        """Something was left out or changed; the run goes on."""

    def error(self, message: str, hint: str = "") -> None:
        """The command ends without its result."""

    def finished(self, **summary: Any) -> None:
        """The command is done."""


class SilentReporter:
    """Listens and says nothing; the base of the other reporters."""

    def started(self, command: str) -> None:
        """See Reporter.started."""

    def progress(self, stage: str, done: int, total: int, seconds_left: float | None = None) -> None:
        """See Reporter.progress."""

    def metrics(self, iteration: int, **values: Any) -> None:
        """See Reporter.metrics."""

    def artifact(self, kind: str, path: str) -> None:
        """See Reporter.artifact."""

    def note(self, message: str) -> None:
        """See Reporter.note."""

    def warning(self, message: str) -> None:
        """See Reporter.warning."""

    def error(self, message: str, hint: str = "") -> None:
        """See Reporter.error."""

    def finished(self, **summary: Any) -> None:
        """See Reporter.finished."""


class JsonReporter(SilentReporter):
    """One ASCII JSON object a line, flushed at once; for the Slicer modules and other programs."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout

    def _emit(self, event: str, **fields: Any) -> None:
        print(json.dumps({"event": event, **fields}, allow_nan=True), file=self._stream, flush=True)  # noqa: T201

    def started(self, command: str) -> None:
        """Names the process, so that a caller can stop it."""
        self._emit("started", pid=os.getpid(), command=command)

    def progress(self, stage: str, done: int, total: int, seconds_left: float | None = None) -> None:
        """See Reporter.progress."""
        self._emit("progress", stage=stage, done=done, total=total, seconds_left=seconds_left)

    def metrics(self, iteration: int, **values: Any) -> None:
        """See Reporter.metrics."""
        self._emit("metrics", iteration=iteration, **values)

    def artifact(self, kind: str, path: str) -> None:
        """See Reporter.artifact."""
        self._emit("artifact", kind=kind, path=path)

    def note(self, message: str) -> None:
        """See Reporter.note."""
        self._emit("note", message=message)

    def warning(self, message: str) -> None:
        """See Reporter.warning."""
        self._emit("warning", message=message)

    def error(self, message: str, hint: str = "") -> None:
        """See Reporter.error."""
        self._emit("error", message=message, hint=hint)

    def finished(self, **summary: Any) -> None:
        """See Reporter.finished."""
        self._emit("finished", **summary)


class BarReporter(SilentReporter):
    """Progress bars and short lines on stderr, for people."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._bar: tqdm | None = None
        self._stage = ""

    def _write(self, line: str) -> None:
        tqdm.write(line, file=self._stream)

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
        self._bar, self._stage = None, ""

    def progress(self, stage: str, done: int, total: int, seconds_left: float | None = None) -> None:
        """Moves the bar of ``stage``; a new stage begins a new bar."""
        if stage != self._stage:
            self._close()
            self._bar = tqdm(total=total, desc=stage, file=self._stream, dynamic_ncols=True, leave=True)
            self._stage = stage
        assert self._bar is not None
        self._bar.total = total
        self._bar.update(done - self._bar.n)
        if done >= total:
            self._close()

    def metrics(self, iteration: int, **values: Any) -> None:
        """Losses go beside the bar; scores get a line of their own."""
        losses = values.get("losses", {})
        if self._bar is not None and losses:
            self._bar.set_postfix_str(f"loss {losses.get('total', float('nan')):.3f}", refresh=False)
        dice = values.get("dice")
        if dice:
            text = ", ".join(f"{name} {value:.3f}" for name, value in dice.items())
            self._write(f"iteration {iteration}: validation Dice {text}")

    def artifact(self, kind: str, path: str) -> None:
        """See Reporter.artifact."""
        self._write(f"{kind}: {path}")

    def note(self, message: str) -> None:
        """See Reporter.note."""
        self._write(message)

    def warning(self, message: str) -> None:
        """See Reporter.warning."""
        self._write(f"warning: {message}")

    def error(self, message: str, hint: str = "") -> None:
        """See Reporter.error."""
        self._close()
        self._write(f"alhvr: {message} {hint}".rstrip())

    def finished(self, **summary: Any) -> None:
        """See Reporter.finished."""
        self._close()


class Countdown:
    """Estimates the seconds left from the pace so far."""

    def __init__(self, total: int, done: int = 0) -> None:
        self._total, self._first = total, done
        self._started_at = time.monotonic()

    def seconds_left(self, done: int) -> float | None:
        """Seconds until ``total`` is reached at the mean pace since the start; None before the first unit."""
        if done <= self._first:
            return None
        elapsed_s = time.monotonic() - self._started_at
        return round(elapsed_s / (done - self._first) * (self._total - done), 1)
