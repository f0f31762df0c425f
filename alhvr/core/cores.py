"""Cores: how many of them are free for the networks, found without any library."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

_STATISTICS = Path("/proc/stat")
_SHORTEST_LOOK = 0.05


@dataclass(frozen=True)
class _Look:
    """What had happened at one moment since the machine was switched on."""

    seconds: float
    busy_seconds: float
    """Over all cores, by everybody but this process and its children that ended; work at low priority does not count,
    for it gives way."""


def free_cores() -> int:
    """Cores not busy with other work of normal priority since this file was imported, at least 1.

    A busy neighbour makes an extra thread slower than none. Where the system does not tell (Windows, macOS), all cores.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if _AT_IMPORT is None:
        return cores
    wait = _SHORTEST_LOOK - (time.monotonic() - _AT_IMPORT.seconds)
    if wait > 0:
        time.sleep(wait)
    now = _look()
    busy = (now.busy_seconds - _AT_IMPORT.busy_seconds) / (now.seconds - _AT_IMPORT.seconds)
    return max(1, min(cores, round(cores - busy)))


def _look() -> _Look | None:
    """None where the system has no such statistics."""
    try:
        fields = _STATISTICS.read_text(encoding="ascii").split("\n", 1)[0].split()
        user, _nice, system = (int(field) / os.sysconf("SC_CLK_TCK") for field in fields[1:4])
    except (OSError, ValueError, AttributeError):
        return None
    return _Look(time.monotonic(), user + system - sum(os.times()[:4]))


_AT_IMPORT = _look()
