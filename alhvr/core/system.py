"""The system: free memory, free cores, what its refusals mean to people, and how freed memory is kept."""

from __future__ import annotations

import ctypes
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from alhvr.core.errors import RAISE_LIMIT, ModelError, OutOfMemory, UserError, memory_limits
from alhvr.core.files import DISK_IS_FULL, shown, write_refused

_HOST_VM_INFO64 = 4
"""Of macOS: the number of the statistics about virtual memory, and how many 32-bit words they have."""
_VM_INFO_WORDS = 38

_STATISTICS = Path("/proc/stat")
_SHORTEST_LOOK = 0.05

LONGEST_REASON = 200
_NO_MEMORY = ("out of memory", "allocate memory", "bad_alloc", "bad allocation", "not enough memory")

_M_TRIM_THRESHOLD, _M_MMAP_MAX = -1, -4
_NEVER = 2**31 - 1

FOLDER_VARIABLE = "ALHVR_CACHE"
"""Names another folder than the user's cache folder for the cache's own folder to lie in; empty keeps nothing."""


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


def is_out_of_memory(error: BaseException) -> bool:
    """True for what Python, torch, onnxruntime and OpenVINO raise when a GPU or the machine has no memory left."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _NO_MEMORY)


def explained(error: BaseException) -> UserError | None:
    """What to tell people of an error; None for one that is a mistake of the program."""
    if isinstance(error, UserError):
        return error
    if isinstance(error, MemoryError):
        return UserError("The memory is used up.", "Close other programs, or take smaller scans or patches.")
    if isinstance(error, OSError):
        if error.errno in DISK_IS_FULL and error.filename:
            return write_refused(error, Path(os.fsdecode(error.filename)))
        return UserError(f"{error.filename or 'A file'}: {error.strerror or error}.",
                         "Check the path, its permissions and the free disk space.")
    starved = isinstance(error, (ImportError, RuntimeError)) and not isinstance(error, ModuleNotFoundError)
    if starved and memory_limits():
        return UserError(f"Something failed for which the memory may be too little ({error}): this process may use "
                         f"{memory_limits()}.", RAISE_LIMIT)
    return None


@contextmanager
def memory_as_user_error(device: str, *kinds: type[Exception]) -> Iterator[None]:
    """Raises OutOfMemory where the code inside runs out of memory; ``kinds`` are the library's own exceptions."""
    try:
        yield
    except (MemoryError, RuntimeError, *kinds) as error:
        if not is_out_of_memory(error):
            raise
        hint = "Close other programs." if device == "cpu" else "Close other programs, or use --device cpu."
        raise OutOfMemory(f"The memory of {device} is used up.", hint) from error


@contextmanager
def as_model_error(library: str, device: str = "cpu") -> Iterator[None]:
    """Raises OutOfMemory where the code inside, which is work of ``library`` alone, runs out of memory on ``device``.

    Whatever else the library raises becomes a ModelError with the first line of what it says.
    """
    try:
        with memory_as_user_error(device, Exception):
            yield
    except UserError:
        raise
    except Exception as error:
        said = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ModelError(f"{library} cannot run the networks of this model: {shown(said)[:LONGEST_REASON]}",
                         "Copy the model folder again, or choose another --backend.") from error


def keep_freed_memory() -> bool:
    """From now on this process gives freed memory back only where 2 GB lie free at the end of its heap.

    glibc returns large blocks to the system as soon as they are freed, and every step then takes 20,000 to 80,000
    page faults to get the same memory back: 5 to 10 percent of its time. Returns False, and changes nothing, where
    the C library is another one.
    """
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    return bool(library.mallopt(_M_MMAP_MAX, 0)) and bool(library.mallopt(_M_TRIM_THRESHOLD, _NEVER))


def user_caches() -> Path:
    """Where programs of this system keep what they can do without; raises RuntimeError when nobody is at home."""
    if sys.platform == "win32":
        named, usual = os.environ.get("LOCALAPPDATA", ""), ("AppData", "Local")
    elif sys.platform == "darwin":
        named, usual = "", ("Library", "Caches")
    else:
        named, usual = os.environ.get("XDG_CACHE_HOME", ""), (".cache",)
    return Path(named) if named and Path(named).is_absolute() else Path.home().joinpath(*usual)
