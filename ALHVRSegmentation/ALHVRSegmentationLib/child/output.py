"""Output: reads what a child process writes, in a thread that touches neither Qt nor the scene."""

from __future__ import annotations

import contextlib
import queue
import threading
from subprocess import Popen

from ALHVRSegmentationLib.child.events import split_line

LINE_BYTES = 1 << 20


class Output:
    """Lines of a process as they come, then its exit code.

    Read as bytes: a line that is no good UTF-8 arrives all the same, and takes no other with it.
    """

    def __init__(self, process: Popen) -> None:
        self._process = process
        self._said: queue.SimpleQueue = queue.SimpleQueue()
        self.pid: int | None = None
        """Of the Python that does the work, as soon as it was written, whether or not the line was taken."""
        threading.Thread(target=self._read, daemon=True).start()

    def next(self) -> str | int | None:
        """A line, the launcher's exit code at the end, or None when there is nothing yet."""
        with contextlib.suppress(queue.Empty):
            return self._said.get_nowait()
        return None

    def _read(self) -> None:
        with contextlib.suppress(OSError, ValueError), self._process.stdout as text:
            while line := text.buffer.readline(LINE_BYTES):
                self._take(line.decode("utf-8", errors="backslashreplace").rstrip("\r\n"))
        self._said.put(self._process.wait())

    def _take(self, line: str) -> None:
        if self.pid is None:
            event = split_line(line)[0]
            pid = event.fields.get("pid") if event is not None and event.kind == "child" else None
            self.pid = pid if isinstance(pid, int) else None
        self._said.put(line)
