"""Resident memory of this process: now, and at its peak."""

from __future__ import annotations

import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

STATUS = Path("/proc/self/status")


def resident_gb() -> float:
    """Memory that the process holds now; where the system does not tell (no Linux), the peak."""
    return _from_status("VmRSS") if STATUS.is_file() else peak_gb()


def peak_gb() -> float:
    """Most memory that the process ever held: VmHWM, or what getrusage knows."""
    if STATUS.is_file():
        return _from_status("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


@contextmanager
def watched(*quantities: Callable[[], float], every_s: float = 0.01) -> Iterator[list[float]]:
    """Inside, a thread looks at each quantity again and again; yields the list of their largest values so far."""
    largest = [quantity() for quantity in quantities]
    over = threading.Event()

    def look() -> None:
        while not over.is_set():
            for index, quantity in enumerate(quantities):
                largest[index] = max(largest[index], quantity())
            time.sleep(every_s)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    try:
        yield largest
    finally:
        over.set()
        watcher.join()


def _from_status(name: str) -> float:
    line = next(text for text in STATUS.read_text(encoding="utf-8").splitlines() if text.startswith(name))
    return 1024 * int(line.split()[1]) / 1e9
