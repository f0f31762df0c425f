"""Progress events: one small vocabulary, spoken as bars for people or as JSON lines for programs."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol, TextIO

from alhvr.core.files import shown
from alhvr.core.streams import BestEffortStream

if TYPE_CHECKING:
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


_MAY_BE_DROPPED = ("progress", "metrics")


class JsonReporter(SilentReporter):
    """One ASCII JSON object a line, flushed at once; for the Slicer modules and other programs.

    NaN and infinity, which JSON does not know, become null. When nobody reads any more the run goes on unheard; while a
    reader is behind, progress and metrics may be dropped, nothing else is.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = BestEffortStream(stream or sys.stdout)

    def _emit(self, event: str, **fields: Any) -> None:
        line = json.dumps(finite({"event": event, **fields}), allow_nan=False) + "\n"
        self._stream.write(line, keep=event not in _MAY_BE_DROPPED)
        self._stream.flush()

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
    """For people, on stderr: progress bars on a terminal; in a file, or without tqdm, a plain line now and then."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = BestEffortStream(stream or sys.stderr)
        self._live = self._stream.isatty()
        self._bars: dict[str, tqdm] = {}
        self._lines = _SparseLines()

    def _write(self, line: str) -> None:
        """A line of its own, above the bars that are shown; no name in it can move the cursor or turn the writing."""
        if self._bars:
            next(iter(self._bars.values())).write(shown(line), file=self._stream)
        else:
            self._stream.write(f"{shown(line)}\n", keep=True)
        self._stream.flush()

    def _open_bar(self, stage: str, total: int) -> bool:
        """Shows a bar for ``stage``; False where none can be shown."""
        if not self._live:
            return False
        try:
            from tqdm import tqdm  # here, because JSON and plain lines need none, and 3D Slicer does not bring it
        except ImportError:
            self._live = False
            return False
        self._bars[stage] = tqdm(total=total, desc=stage, file=self._stream, dynamic_ncols=True,
                                 leave=not self._bars, position=len(self._bars))
        return True

    def _close(self) -> None:
        while self._bars:
            self._bars.popitem()[1].close()

    def progress(self, stage: str, done: int, total: int, seconds_left: float | None = None) -> None:
        """Moves the bar of ``stage``; a stage that begins within another gets a bar below it until it is done."""
        if stage not in self._bars and not self._open_bar(stage, total):
            line = self._lines.line(stage, done, total, seconds_left)
            if line:
                self._write(line)
            return
        bar = self._bars[stage]
        bar.total = total
        bar.update(done - bar.n)
        if done >= total:
            bar.close()
            del self._bars[stage]

    def metrics(self, iteration: int, **values: Any) -> None:
        """Losses go beside the bar; scores get a line of their own."""
        losses = values.get("losses", {})
        for bar in self._bars.values():
            if losses:
                bar.set_postfix_str(f"loss {losses.get('total', float('nan')):.3f}", refresh=False)
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
        """One line, below what the bars have left."""
        self._close()
        self._write("alhvr: " + " ".join(f"{message} {hint}".split()))

    def finished(self, **summary: Any) -> None:
        """See Reporter.finished."""
        self._close()


class _SparseLines:
    """Progress as lines of a file: for a stage that takes long, every twentieth of it and its end."""

    GAP_S, STEPS = 10.0, 20

    def __init__(self) -> None:
        self._spoke_at = time.monotonic()
        self._told: dict[str, int] = {}

    def line(self, stage: str, done: int, total: int, seconds_left: float | None) -> str:
        """What to write now; "" when it is too early for another line."""
        if done >= total:
            return f"{stage}: {done} of {total}" if self._told.pop(stage, None) is not None else ""
        early = time.monotonic() - self._spoke_at < self.GAP_S
        if early or (done - self._told.get(stage, -total)) * self.STEPS < total:
            return ""
        self._spoke_at, self._told[stage] = time.monotonic(), done
        left = "" if seconds_left is None else f", {in_words(seconds_left)} left"
        return f"{stage}: {done} of {total}{left}"


def in_words(seconds: float) -> str:
    """A length of time for people, such as "40 s", "12 min" or "3.5 h"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def finite(value: Any) -> Any:
    """``value`` (numbers, texts, and lists and dicts of these) with None for NaN and infinity."""
    if isinstance(value, dict):
        return {key: finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
