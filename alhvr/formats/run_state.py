"""What a run tells while it works: its heartbeat, what it is asked by files beside it, and its lines as they grow.

RUN/heartbeat.json is written by the process that trains, every two seconds and once at its end:

{"pid": 4242, "start": "183223", "host": "workstation", "beat": 7, "state": "running", "arm": "archive", "message": "",
 "hint": "", "elapsed_s": 61.5}

"start" is when the process began as /proc tells it ("" elsewhere), so that a later process of the same number is not
taken for it; "elapsed_s" is what was trained of the arm at work. The clock of the computer is never asked, so that one
that is set back, or a computer that sleeps, changes nothing. Whoever may write into the folder asks by an empty file:
pause.request saves and ends, finish.request ends with the best model so far.
"""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from alhvr.core.errors import UserError
from alhvr.core.files import open_plain, parse_json, read_bytes, written_atomically
from alhvr.core.process import ProcessMark, is_running
from alhvr.formats.project import ARMS

HEARTBEAT = "heartbeat.json"
BEAT_EVERY_S = 2.0
PATIENCE_S = 60.0
"""How long the heartbeat of another computer may stand still: a network drive may show an old file for so long."""

Told = Literal["running", "paused", "finished", "failed"]
"""What a run says of itself."""
State = Literal["none", "running", "elsewhere", "paused", "finished", "failed", "lost"]
"""What a run is. lost: it says that it runs, and no such process does; elsewhere: on another computer."""
Request = Literal["pause", "finish"]

_LARGEST_BYTES = 64_000
_LONGEST_TEXT = 2000
_REMEMBERED = 256
_LONGEST_LINE = 256_000


@dataclass(frozen=True)
class Heartbeat:
    """One heartbeat of a run."""

    pid: int
    start: str
    """When the process began, in ticks since the computer did; "" where the system does not tell."""
    host: str
    """Name of the computer."""
    beat: int = 0
    """Rises with each; no clock."""
    state: Told = "running"
    arm: str = ""
    """Which training of a comparison is at work; "" for a training alone."""
    message: str = ""
    """What happened, where the run failed or was paused."""
    hint: str = ""
    """What to do about it."""
    elapsed_s: float = 0.0
    """Seconds trained, of the arm at work, over all sittings."""


def own_heartbeat() -> Heartbeat:
    """The first heartbeat of this process."""
    return Heartbeat(**asdict(ProcessMark.of_this_process()))


def write_heartbeat(folder: Path, heartbeat: Heartbeat) -> None:
    """Writes RUN/heartbeat.json whole; where the disk is full, over the one that is there. Raises OSError.

    Texts that are too long are cut.
    """
    values = {name: value[:_LONGEST_TEXT] if isinstance(value, str) else value
              for name, value in asdict(heartbeat).items()}
    data = json.dumps(values).encode("ascii")
    path = folder / HEARTBEAT
    try:
        with written_atomically(path, durable=False) as file:
            file.write(data)
    except OSError:
        if path.is_symlink() or not path.is_file():
            raise
        with open(path, "r+b") as file:  # its room on the disk is taken already
            file.write(data)
            file.truncate()


def read_heartbeat(folder: Path) -> Heartbeat | None:
    """The last heartbeat of the run in ``folder``; None where there is none, or what is there is none."""
    try:
        values = parse_json(read_bytes(folder / HEARTBEAT, at_most=_LARGEST_BYTES), HEARTBEAT)
    except (OSError, UserError, ValueError):
        return None
    return _heartbeat(values)


def _heartbeat(values: Any) -> Heartbeat | None:
    """None for anything that ``write_heartbeat`` does not write."""
    if not isinstance(values, dict):
        return None
    texts = {name: values.get(name) for name in ("start", "host", "state", "arm", "message", "hint")}
    pid, beat, elapsed_s = values.get("pid"), values.get("beat"), values.get("elapsed_s")
    good = (all(isinstance(text, str) and len(text) <= _LONGEST_TEXT for text in texts.values())
            and type(pid) is int and type(beat) is int and 0 < pid < 2**31 and 0 <= beat < 2**63
            and type(elapsed_s) in (int, float) and 0 <= elapsed_s < math.inf
            and texts["state"] in get_args(Told) and texts["arm"] in ("", *ARMS))
    return Heartbeat(pid=pid, beat=beat, elapsed_s=float(elapsed_s), **texts) if good else None


@dataclass(frozen=True)
class RunLook:
    """What one look at a run showed."""

    state: State
    heartbeat: Heartbeat | None
    asked: Request | None
    """What it was asked for and has not done yet."""


class RunWatch:
    """Looks at the run in ``folder`` again and again; ``is_running`` tells of a process ID and its start."""

    def __init__(self, folder: Path, is_running: Callable[[int, str], bool] = is_running) -> None:
        self._folder, self._is_running = folder, is_running
        self._seen: tuple[int, int] | None = None
        self._moved_at = time.monotonic()

    def look(self) -> RunLook:
        """What the run is now; of a run on another computer that ended without a word, after PATIENCE_S."""
        found = read_heartbeat(self._folder)
        asked = next((request for request in get_args(Request) if is_asked(self._folder, request)), None)
        if found is None:
            return RunLook("none", None, asked)
        return RunLook(self._state(found), found, asked)

    def _state(self, found: Heartbeat) -> State:
        if found.state != "running":
            return found.state
        is_here = found.host == socket.gethostname()
        if (is_here or found.start) and self._is_running(found.pid, found.start):
            return "running"
        if is_here:
            return "lost"
        seen = (found.pid, found.beat)
        if seen != self._seen:
            self._seen, self._moved_at = seen, time.monotonic()
        return "elsewhere" if time.monotonic() - self._moved_at < PATIENCE_S else "lost"


def ask(folder: Path, request: Request) -> None:
    """Asks the run in ``folder``; raises OSError where nothing may be written there."""
    (folder / f"{request}.request").touch()


def is_asked(folder: Path, request: Request) -> bool:
    """Whether the run in ``folder`` was asked and has not done it yet."""
    return os.path.isfile(folder / f"{request}.request")


def forget_requests(folder: Path) -> None:
    """Removes what the run in ``folder`` was asked; what cannot be removed stays."""
    for request in get_args(Request):
        with suppress(OSError):
            os.unlink(folder / f"{request}.request")


@dataclass(frozen=True)
class NewLines:
    """What a file of JSON lines had new."""

    values: tuple[dict[str, Any], ...]
    """The objects in order; what is none was passed over."""
    began_again: bool = False
    """The file is another one than before, as a resumed run makes it: what was read of it before no longer counts."""
    has_more: bool = False
    """There is more to read at once."""


class LineReader:
    """Reads a file of JSON lines as it grows, so much at a time that a window stays awake; never a line twice.

    A line is taken when it is whole. A file that got shorter, or holds other bytes than those that were read, is read
    again from its beginning.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._offset = 0
        self._before = b""
        self._skips = False

    def read(self, at_most_bytes: int = 1_000_000) -> NewLines:
        """The next lines, of ``at_most_bytes`` together; a file that is missing or unreadable has none."""
        try:
            with open_plain(self.path) as file:
                began_again = self._offset > 0 and not self._is_same(file)
                if began_again:
                    self._offset, self._before, self._skips = 0, b"", False
                file.seek(self._offset)
                chunk = file.read(at_most_bytes)
                n_bytes = os.fstat(file.fileno()).st_size
        except (OSError, UserError, ValueError):
            return NewLines(())
        values = self._take(chunk, is_full=len(chunk) == at_most_bytes)
        return NewLines(values, began_again, len(chunk) == at_most_bytes and n_bytes > self._offset)

    def _is_same(self, file: Any) -> bool:
        """Whether the bytes before the offset are those that were read."""
        file.seek(self._offset - len(self._before))
        return file.read(len(self._before)) == self._before

    def _take(self, chunk: bytes, *, is_full: bool) -> tuple[dict[str, Any], ...]:
        """The objects of the whole lines in ``chunk``; a line too long for a chunk is passed over."""
        end = chunk.rfind(b"\n") + 1
        if not end and not is_full:
            return ()
        lines = chunk[:end].split(b"\n")[:-1]
        if self._skips and end:
            lines = lines[1:]
        self._skips = not end
        self._advance(chunk[:end] if end else chunk)
        return tuple(value for line in lines if (value := _object(line)) is not None)

    def _advance(self, taken: bytes) -> None:
        self._offset += len(taken)
        self._before = (self._before + taken[-_REMEMBERED:])[-_REMEMBERED:]


def _object(line: bytes) -> dict[str, Any] | None:
    """The JSON object of a line; NaN and infinity become None."""
    if len(line) > _LONGEST_LINE:
        return None
    try:
        value = json.loads(line, parse_constant=lambda _: None)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None

