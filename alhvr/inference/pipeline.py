"""Pipeline: the next item is read and the last result written while the main thread computes; never more than that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent import futures
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, TypeVar

from alhvr.core.errors import Cancelled, UserError

Item = TypeVar("Item")
Read = TypeVar("Read")
Made = TypeVar("Made")
Kept = TypeVar("Kept")

_POLL_S = 0.1
"""How often a wait for a thread looks whether somebody asked to stop, in seconds."""


class BatchAborted(UserError):
    """No item can succeed any more, so that the run ends at once."""


@dataclass(frozen=True)
class Steps(Generic[Item, Read, Made, Kept]):
    """What is done with one item. A UserError in a step is the end of that item only, a BatchAborted one of the run."""

    read: Callable[[Item, Read | None], Read | None]
    """In a thread of its own, ahead. The second argument is what is computed at the same time; None as the answer
    means not beside that: it is asked again when nothing else is under way."""
    compute: Callable[[Item, Read], Made]
    """In the main thread; must call ``Pipeline.pulse`` often, and raise Cancelled when it says so."""
    write: Callable[[Item, Made], Kept]
    """In a thread of its own, behind."""
    wrote: Callable[[Item, Kept], None]
    """In the main thread, soon after ``write`` has ended."""
    failed: Callable[[Item, UserError], None]
    """In the main thread, for an item that ended in a UserError; what it raises ends the run."""
    close: Callable[[], None] = lambda: None
    """In the main thread, when the run ends: ends a ``read`` that is under way, if it can."""


class Pipeline(Generic[Item, Read, Made, Kept]):
    """Runs the steps on many items. At any time at most one item is read ahead, computed, and written."""

    def __init__(self, steps: Steps[Item, Read, Made, Kept], should_stop: Callable[[], bool]) -> None:
        self._steps, self._should_stop = steps, should_stop
        self._ahead: Future[Read | None] | None = None
        self._behind: tuple[Item, Future[Kept]] | None = None

    def run(self, items: Sequence[Item]) -> None:
        """Works through ``items`` in order.

        Raises Cancelled when ``should_stop`` says so, and BatchAborted; what was computed by then is written first.
        """
        with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:
            try:
                for index, item in enumerate(items):
                    self._run_one(item, items[index + 1:index + 2], reader, writer)
            finally:
                reader.shutdown(wait=False, cancel_futures=True)
                self._steps.close()
                self._settle()

    def pulse(self) -> bool:
        """True when the work should stop; on the way, tells of a result that has been written meanwhile."""
        if self._behind is not None and self._behind[1].done():
            self._settle()
        return self._should_stop()

    def _run_one(self, item: Item, following: Sequence[Item], reader: ThreadPoolExecutor,
                 writer: ThreadPoolExecutor) -> None:
        """``following`` is the next item, or nothing."""
        try:
            loaded = self._load(item, reader)
            for next_item in following:
                self._ahead = reader.submit(self._steps.read, next_item, loaded)
            made = self._steps.compute(item, loaded)
        except BatchAborted:
            raise
        except UserError as error:
            self._steps.failed(item, error)
            return
        del loaded
        self._settle()
        self._behind = item, writer.submit(self._steps.write, item, made)

    def _load(self, item: Item, reader: ThreadPoolExecutor) -> Read:
        """What was read ahead for ``item``, or is read now that nothing else is under way."""
        ahead, self._ahead = self._ahead, None
        loaded = None if ahead is None else self._wait(ahead)
        if loaded is None:
            self._settle()
            loaded = self._wait(reader.submit(self._steps.read, item, None))
        if loaded is None:
            raise AssertionError("read gave nothing, though nothing else was under way")
        return loaded

    def _wait(self, reading: Future[Read | None]) -> Read | None:
        """The result of ``reading``; raises Cancelled as soon as somebody asks to stop."""
        while True:
            if self.pulse():
                raise Cancelled("Stopped.")
            if reading.done():
                return reading.result()
            others = [] if self._behind is None else [self._behind[1]]
            futures.wait([reading, *others], timeout=_POLL_S, return_when=futures.FIRST_COMPLETED)

    def _settle(self) -> None:
        """Waits for the result behind, and tells what became of it."""
        if self._behind is None:
            return
        (item, writing), self._behind = self._behind, None
        try:
            kept = writing.result()
        except UserError as error:
            self._steps.failed(item, error)
            if isinstance(error, BatchAborted):
                raise
        else:
            self._steps.wrote(item, kept)
