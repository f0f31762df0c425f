"""Free memory of this computer, or of the container or job that the program runs in, without any library."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_HOST_VM_INFO64 = 4
"""Of macOS: the number of the statistics about virtual memory, and how many 32-bit words they have."""
_VM_INFO_WORDS = 38


def available_bytes(root: Path = Path("/")) -> int | None:
    """Bytes that a program may still take without making others swap; None where the system does not tell.

    On Linux also what the control groups of the process allow (containers, jobs of a cluster); ``root`` holds its
    proc and sys folders.
    """
    with suppress(OSError, ValueError, AttributeError):
        if sys.platform == "win32":
            return _windows()
        if sys.platform == "darwin":
            return _macos()
        return min([_meminfo(root), *_group_rooms(root)])
    return None


def _meminfo(root: Path) -> int:
    """MemAvailable of /proc/meminfo."""
    for line in (root / "proc/meminfo").read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "MemAvailable":
            return int(value.split()[0]) * 1024
    raise ValueError("MemAvailable is missing.")


def _group_rooms(root: Path) -> Iterator[int]:
    """What is left in each control group of this process that has a limit, of either version."""
    groups = root / "proc/self/cgroup"
    for line in groups.read_text().splitlines() if groups.is_file() else ():
        _, controllers, name = line.split(":", 2)
        if controllers == "":
            yield from _rooms(root / "sys/fs/cgroup", name, ("memory.max", "memory.current", "inactive_file"))
        elif "memory" in controllers.split(","):
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
            yield from _rooms(root / "sys/fs/cgroup/memory", name, names)


def _rooms(mount: Path, group: str, names: tuple[str, str, str]) -> Iterator[int]:
    """The same for a group and those that it lies in, under ``mount``; cached files count as free."""
    limit_name, used_name, cache_name = names
    place = mount / group.strip("/")
    for folder in (place, *place.parents):
        with suppress(OSError, ValueError):
            limit = int((folder / limit_name).read_text())
            statistics = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            used = int((folder / used_name).read_text()) - int(statistics.get(cache_name, 0))
            yield max(0, limit - used)
        if folder == mount:
            return


def _windows() -> int:
    """Free physical memory by GlobalMemoryStatusEx."""

    class Status(ctypes.Structure):
        _fields_ = [("length", ctypes.c_uint32), ("load", ctypes.c_uint32),
                    *[(name, ctypes.c_uint64) for name in ("total", "available", "total_page", "available_page",
                                                           "total_virtual", "available_virtual", "extended")]]

    status = Status(length=ctypes.sizeof(Status))
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(ctypes.byref(status)):
        raise OSError("GlobalMemoryStatusEx failed.")
    return min(int(status.available), int(status.available_page))


def _macos() -> int:
    """Free and inactive pages by host_statistics64."""
    system = ctypes.CDLL("/usr/lib/libSystem.dylib")
    words, count = (ctypes.c_uint32 * _VM_INFO_WORDS)(), ctypes.c_uint32(_VM_INFO_WORDS)
    if system.host_statistics64(system.mach_host_self(), _HOST_VM_INFO64, words, ctypes.byref(count)) != 0:
        raise OSError("host_statistics64 failed.")
    free_pages, _, inactive_pages = words[0], words[1], words[2]
    return (free_pages + inactive_pages) * os.sysconf("SC_PAGE_SIZE")
