"""Output: reads what a child process writes, in a thread that touches neither Qt nor the scene."""

from __future__ import annotations

import collections
import contextlib
import threading
from subprocess import Popen

from ALHVRSegmentationLib.child.events import Event, parse_line
from ALHVRSegmentationLib.child.processes import belongs, is_alive, start_of

LINE_BYTES = 8 << 20
"""Longer lines are left out, which the log tells."""
BUFFER_BYTES = 2 << 20
"""What may wait to be heard; the child waits with the rest."""
TEXT_LETTERS = 4000
"""A line of log text is cut here."""


class Output:
    """What a process says as it comes, then its exit code.

    Read as bytes: a line that is no good UTF-8 arrives all the same, and takes no other with it.
    """

    def __init__(self, process: Popen, work_folder: str) -> None:
        self._process, self._work_folder = process, work_folder
        self._waiting: collections.deque = collections.deque()
        self._bytes = 0
        self._changed = threading.Condition()
        self._closed = False
        self._pid: tuple[int, str] | None = None
        threading.Thread(target=self._read, daemon=True).start()

    @property
    def pid(self) -> int | None:
        """Of the Python that does the work, as soon as it was written, whether or not the line was taken."""
        return None if self._pid is None else self._pid[0]

    def is_child_alive(self) -> bool:
        """Whether the process that said so runs, and not a later one with its ID."""
        return self._pid is not None and is_alive(self._pid[0]) and start_of(self._pid[0]) == self._pid[1]

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

    def _read(self) -> None:
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
                self._meet(event.fields.get("pid"))
            else:
                self._put(event, len(data))

    def _meet(self, pid: object) -> None:
        """Take the process ID that the child reports, if it is one of ours."""
        if self._pid is not None:
            return
        if belongs(pid, {self._process.pid}, self._work_folder):
            self._pid = (pid, start_of(pid))
        else:
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
