"""Workers: items are worked on in processes of their own, within the memory given; none is left behind, none lost.

Imports nothing heavy, so that a worker can say how many threads its libraries may have before it loads them.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import ModuleType
from typing import Any, Generic, TypeVar

from alhvr.checking.context import RunContext
from alhvr.core.signals import deaf_to_interrupts

Item = TypeVar("Item")
Made = TypeVar("Made")

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")
_POLL_S = 0.1
"""How often the wait for a worker looks whether somebody asked to stop, in seconds."""
_FAREWELL_S = 5.0
"""How long a worker may take to end before it is killed, in seconds."""
_TRIES = 2
"""How often an item is tried that takes its worker down; the last time with nothing beside it."""
_READY = "ready"
_TOO_LONG = "it took too long"
_ENDED = "the program that read it was ended, perhaps for want of memory"


@dataclass(frozen=True)
class Task(Generic[Item, Made]):
    """What is done with an item; ``make`` and what it takes and gives can be pickled."""

    make: Callable[[Item], Made]
    """In a worker."""
    cost: Callable[[Item], int]
    """Bytes of memory that ``make`` takes at its peak."""
    lost: Callable[[Item, str], Made]
    """What stands for an item that took its worker down each time, or took too long; says why."""
    limit_s: Callable[[Item], float]
    """How long ``make`` may take in a worker."""


@dataclass(frozen=True)
class MemoryBudget:
    """How much may be done at once."""

    workers: int
    """Processes; with none the work is done in this process."""
    n_bytes: int | None
    """Memory for all items that are worked on at a time; one item may exceed it, alone. None: no limit."""


@dataclass(frozen=True)
class _Crash:
    """What a worker says that met a mistake of the program."""

    story: str


@dataclass
class _Worker:
    process: BaseProcess
    line: Connection
    index: int | None = None
    """The item in work."""
    due: float = math.inf
    """Monotonic time by which it has to be done."""
    ready: bool = False


@dataclass
class _Queue:
    """Which items are still to be done, and what those in work take."""

    waiting: list[int]
    tries: dict[int, int] = field(default_factory=dict)
    costs: dict[int, int] = field(default_factory=dict)
    in_work: set[int] = field(default_factory=set)

    def next(self, cost: Callable[[int], int], room: int | None) -> int | None:
        """The first waiting item that fits beside those in work, now in work itself; None when there is none."""
        if any(self.tries.get(index) for index in self.in_work):
            return None
        used = sum(self.costs[index] for index in self.in_work)
        for place, index in enumerate(self.waiting):
            if index not in self.costs:
                self.costs[index] = cost(index)
            fits = room is None or used + self.costs[index] <= room
            if not self.in_work or (fits and not self.tries.get(index)):
                self.in_work.add(self.waiting.pop(place))
                return index
        return None


def work_through(items: Sequence[Item], work: Task[Item, Made], room: MemoryBudget,
                 context: RunContext) -> Iterator[tuple[int, Made]]:
    """Index and result of each item, as they come; raises Cancelled when the context wants it.

    A worker that is killed is replaced and its item tried again. Where no worker can be started at all, the work is
    done in this process. However the iteration ends, no worker is left.
    """
    queue = _Queue(list(range(len(items))))
    crew: list[_Worker] = []
    try:
        if room.workers:
            crew += [_start(work.make) for _ in range(min(room.workers, len(items)))]
        while crew and (queue.waiting or queue.in_work):
            context.raise_if_cancelled()
            _hand_out(crew, queue, items, work, room)
            _kill_overdue(crew, queue)
            for worker in _heard_of(crew):
                yield from _listen(worker, crew, queue, items, work)
    finally:
        _dismiss(crew)
    for index in queue.waiting:
        yield index, work.make(items[index])


def _hand_out(crew: Sequence[_Worker], queue: _Queue, items: Sequence[Item], work: Task[Item, Made],
              room: MemoryBudget) -> None:
    """Gives an item to each worker that has none, as far as the memory goes."""
    for worker in crew:
        if worker.ready and worker.index is None:
            worker.index = queue.next(lambda index: work.cost(items[index]), room.n_bytes)
            if worker.index is None:
                return
            worker.due = time.monotonic() + work.limit_s(items[worker.index])
            with suppress(OSError):  # it is dead, and will be heard of
                worker.line.send(items[worker.index])


def _kill_overdue(crew: Sequence[_Worker], queue: _Queue) -> None:
    """Ends workers that take too long; their items are not tried again."""
    for worker in crew:
        if worker.index is not None and time.monotonic() > worker.due:
            queue.tries[worker.index] = _TRIES
            worker.process.kill()


def _heard_of(crew: Sequence[_Worker]) -> list[_Worker]:
    """Workers that said something or ended."""
    spoke = wait([worker.line for worker in crew], timeout=_POLL_S)
    return [worker for worker in crew if worker.line in spoke]


def _listen(worker: _Worker, crew: list[_Worker], queue: _Queue, items: Sequence[Item],
            work: Task[Item, Made]) -> Iterator[tuple[int, Made]]:
    """The result that ``worker`` has; replaces it where it ended."""
    try:
        message = worker.line.recv()
    except (EOFError, OSError):
        yield from _replace(worker, crew, queue, items, work)
        return
    if isinstance(message, _Crash):
        raise RuntimeError(f"A worker of the check met a mistake of the program:\n{message.story}")
    if not worker.ready:
        worker.ready = True
        return
    index, worker.index = worker.index, None
    queue.in_work.discard(index)
    yield index, message


def _replace(worker: _Worker, crew: list[_Worker], queue: _Queue, items: Sequence[Item],
             work: Task[Item, Made]) -> Iterator[tuple[int, Made]]:
    """A new worker for one that ended; what it had in work is tried again, or given up. One that never began stays out.
    """
    crew.remove(worker)
    _dismiss([worker])
    if worker.ready:
        crew.append(_start(work.make))
    index = worker.index
    if index is None:
        return
    queue.in_work.discard(index)
    queue.tries[index] = queue.tries.get(index, 0) + 1
    if queue.tries[index] < _TRIES:
        queue.waiting.append(index)
    else:
        late = time.monotonic() > worker.due
        yield index, work.lost(items[index], _TOO_LONG if late else _ENDED)


def _start(make: Callable[[Item], Made]) -> _Worker:
    """A worker that loads its libraries and waits for items."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    if hasattr(signal, "pthread_sigmask"):
        resource_tracker.ensure_running()  # which would lift the block on its first start
    with deaf_to_interrupts(), _without_the_program():
        process.start()
    theirs.close()
    with suppress(OSError):
        ours.send(make)
    return _Worker(process, ours)


@contextmanager
def _without_the_program() -> Iterator[None]:
    """A process that begins in here does not run the program's own file, which may be a script without a guard."""
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program


def _dismiss(crew: Sequence[_Worker]) -> None:
    """Ends workers, whatever they do, and waits until they are gone."""
    for worker in crew:
        worker.process.terminate()
        worker.line.close()
    for worker in crew:
        worker.process.join(_FAREWELL_S)
        if worker.process.is_alive():
            worker.process.kill()
            worker.process.join()


def _serve(line: Connection) -> None:
    """The life of a worker; it ends with the one who started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    with suppress(EOFError, OSError):
        make = line.recv()
        line.send(_READY)
        while True:
            line.send(_made(make, line.recv(), line))


def _made(make: Callable[[Any], Any], item: Any, line: Connection) -> Any:
    try:
        return make(item)
    except BaseException:
        line.send(_Crash(traceback.format_exc()))
        raise
