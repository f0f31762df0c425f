"""Streams: where a run tells its progress. It waits for no reader, and goes on when nobody can hear it."""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from typing import Any, TextIO

GONE = (errno.EPIPE, errno.EIO)
"""A reader that ended, and a terminal that was closed."""
MOST_WAITING = 1000
"""Texts that wait for a reader; beyond, what may be dropped is."""
PATIENCE_S = 30.0
"""How long a command that is done waits for a reader that reads nothing at all."""
HURRIED_PATIENCE_S = 1.0
"""The same for one that was asked to end."""
_PIECE_BYTES = 4096
_STANDARD = ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w"))


def occupy_standard_streams() -> None:
    """Puts the null device where stdin, stdout or stderr is closed.

    No file that is opened later gets their numbers then, into which any library may write.
    """
    for descriptor, name, mode in _STANDARD:
        try:
            os.fstat(descriptor)
        except OSError:
            _send_nowhere(descriptor)
        if getattr(sys, name) is None:
            stream = open(descriptor, mode, encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)


@contextmanager
def unblocked_streams() -> Iterator[Writers]:
    """While the block runs, threads write what a BestEffortStream is given, so that no reader can stop the run.

    At the end what waits is written, as long as somebody reads; see Writers.close.
    """
    _WRITERS.active, _WRITERS.hurried = True, False
    try:
        yield _WRITERS
    finally:
        _WRITERS.close()


def write_out(text: str) -> None:
    """Writes a result for people to stdout, after all that was told so far; waits for its reader."""
    _WRITERS.drain(PATIENCE_S)
    stream = BestEffortStream(sys.stdout, waits=True)
    stream.write(text)
    stream.flush()


def hurry() -> None:
    """The command was asked to end, by other means than Ctrl-C: it waits for no reader for long from now on."""
    _WRITERS.hurried = True


class BestEffortStream:
    """A text stream whose writes never fail: what a full disk refuses is lost, and a lost reader is not asked again."""

    def __init__(self, stream: TextIO, *, waits: bool = False) -> None:
        """``waits``: for the reader, also among unblocked_streams."""
        self._stream, self._waits = stream, waits

    def write(self, text: str, *, keep: bool = False) -> None:
        """Writes ``text``, if that is possible; with ``keep`` also where many texts wait for a reader."""
        writer = None if self._waits else _WRITERS.of(self._stream)
        if writer is not None:
            encoding = getattr(self._stream, "encoding", None) or "utf-8"
            writer.put(text.encode(encoding, "backslashreplace"), keep=keep)
            return
        try:
            self._stream.write(text)
        except OSError as error:
            self._give_up(error)

    def flush(self) -> None:
        """Flushes what was written, if that is possible."""
        if not self._waits and _WRITERS.of(self._stream) is not None:
            return
        try:
            self._stream.flush()
        except OSError as error:
            self._give_up(error)

    def __getattr__(self, name: str) -> Any:
        """Everything else is that of the stream."""
        return getattr(self._stream, name)

    def _give_up(self, error: OSError) -> None:
        """Sends what is still to come nowhere, so that not even Python's exit stumbles over a closed pipe."""
        if error.errno in GONE:
            _send_nowhere(self._stream.fileno())


class Writers:
    """The threads that write, one for each file descriptor, while ``active``."""

    def __init__(self) -> None:
        self.active = self.hurried = False
        self._of: dict[int, _Writer | None] = {}

    def of(self, stream: TextIO) -> _Writer | None:
        """The writer of ``stream``; None where there is none: no thread can be had, or it is no file of the system."""
        if not self.active:
            return None
        try:
            descriptor = stream.fileno()
        except (OSError, ValueError, AttributeError):
            return None
        if descriptor not in self._of:
            self._of[descriptor] = _started(stream, descriptor)
        return self._of[descriptor]

    def drain(self, patience_s: float) -> None:
        """Waits until all that was told is written, but for no reader that takes nothing for ``patience_s``."""
        for writer in filter(None, self._of.values()):
            writer.drain(min(patience_s, HURRIED_PATIENCE_S) if self.hurried else patience_s)

    def close(self, patience_s: float = PATIENCE_S) -> None:
        """Drains and ends all threads; what nobody reads in ``patience_s`` is lost, and Ctrl-C ends the waiting."""
        try:
            self.drain(patience_s)
        except KeyboardInterrupt:
            self.drain(0.0)
        for writer in filter(None, self._of.values()):
            writer.end()
        self._of, self.active = {}, False


class _Writer:
    """Writes to one file descriptor from a thread of its own; what is put never waits and never fails."""

    def __init__(self, descriptor: int) -> None:
        """Raises RuntimeError when no thread can be started."""
        self._descriptor = descriptor
        self._waiting: SimpleQueue[bytes | threading.Event | None] = SimpleQueue()
        self._n_pieces = 0
        self._gone = False
        threading.Thread(target=self._work, name="alhvr-output", daemon=True).start()

    def put(self, data: bytes, *, keep: bool) -> None:
        """Queues ``data``; where too much waits, only what is to be kept."""
        if not self._gone and (keep or self._waiting.qsize() < MOST_WAITING):
            self._waiting.put(data)

    def drain(self, patience_s: float) -> None:
        """Waits until what was put is written; gives up when nothing of it is taken for ``patience_s``."""
        done = threading.Event()
        self._waiting.put(done)
        while not self._gone:
            written = self._n_pieces
            if done.wait(patience_s):
                return
            if written == self._n_pieces:
                self._give_up()

    def end(self) -> None:
        """Ends the thread, when it has written what was put."""
        self._waiting.put(None)

    def _work(self) -> None:
        while (item := self._waiting.get()) is not None:
            if isinstance(item, threading.Event):
                item.set()
            elif not self._gone:
                self._write(memoryview(item))

    def _write(self, data: memoryview) -> None:
        while data:
            try:
                data = data[os.write(self._descriptor, data[:_PIECE_BYTES]):]
                self._n_pieces += 1
            except BlockingIOError:
                time.sleep(0.01)
            except OSError as error:
                if error.errno in GONE:
                    self._give_up()
                return

    def _give_up(self) -> None:
        self._gone = True
        _send_nowhere(self._descriptor)


_WRITERS = Writers()


def _started(stream: TextIO, descriptor: int) -> _Writer | None:
    with suppress(OSError):
        stream.flush()
    try:
        return _Writer(descriptor)
    except RuntimeError:
        return None


def _send_nowhere(descriptor: int) -> None:
    """Makes the null device of ``descriptor``."""
    with suppress(OSError):
        nothing = os.open(os.devnull, os.O_RDWR)
        if nothing == descriptor:
            os.set_inheritable(descriptor, True)
        else:
            os.dup2(nothing, descriptor)
            os.close(nothing)
