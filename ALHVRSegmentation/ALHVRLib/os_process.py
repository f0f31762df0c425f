"""Processes of the system by their ID: which belong to a job, and ending all of them.

A process belongs to a job when it is a descendant of the job's own, or when it was started with the job's work folder
in its environment, which what detaches itself in a session of its own keeps. Linux tells both. macOS and Windows tell
only parents here: a worker there that outlives its parent in a session of its own is not found.
"""

from __future__ import annotations

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import time

NO_WINDOW = 0x08000000
WORK_VARIABLE = "ALHVR_WORK"
"""Environment variable of a job's processes: its work folder, which no other job has."""
ROUNDS = 5
"""How often is looked whether processes that were being ended have started others."""
PAUSE_S = 0.01
PROC = pathlib.Path("/proc")


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be buried does not."""
    if pid <= 0:
        return False
    if os.name == "nt":
        return _windows_is_alive(pid)
    if sys.platform.startswith("linux"):
        return _state(pid) not in ("", "Z")
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def start_of(pid: int) -> str:
    """What tells a process from a later one with the same ID; "" where the system does not say."""
    fields = _stat(pid)
    return fields[19] if len(fields) > 19 else ""


def is_running(pid: int, start: str) -> bool:
    """Whether the process runs whose `start_of` was this, and not a later one with the same ID."""
    return is_alive(pid) and start_of(pid) == start


def belongs(pid: object, roots: set[int], work_folder: str) -> bool:
    """Whether a value that was reported as a process ID is one of a job's processes, and can be ended."""
    if type(pid) is not int or pid <= 1:
        return False
    parents = _parents()
    if pid not in parents or pid in _line_of(os.getpid(), parents):
        return False
    return bool(roots & set(_line_of(pid, parents))) or _was_started_for(pid, work_folder)


def end_all(roots: set[int], work_folder: str) -> None:
    """End all processes of a job at once: `roots`, their descendants, and what has its work folder; nobody else.

    The process that calls this is spared, and so are those that it descends from.
    """
    for _round in range(ROUNDS):
        found = _members(roots, work_folder)
        if not found:
            return
        for pid in found:
            _end(pid)
        time.sleep(PAUSE_S)


def _members(roots: set[int], work_folder: str) -> list[int]:
    """The processes of a job that run, those started last first."""
    parents = _parents()
    spared = set(_line_of(os.getpid(), parents))
    return [
        pid for pid in sorted(parents, reverse=True)
        if pid > 1 and pid not in spared
        and (roots & set(_line_of(pid, parents)) or _was_started_for(pid, work_folder)) and is_alive(pid)
    ]


def _line_of(pid: int, parents: dict[int, int]) -> list[int]:
    """A process, its parent, and so on."""
    line = []
    while pid > 1 and pid not in line:
        line.append(pid)
        pid = parents.get(pid, 0)
    return line


def _end(pid: int) -> None:
    with contextlib.suppress(OSError):
        if os.name == "nt":
            subprocess.run(["taskkill", "/F", "/T", "/PID", str(pid)], check=False, capture_output=True,
                           creationflags=NO_WINDOW)
        else:
            os.kill(pid, signal.SIGKILL)


def _parents() -> dict[int, int]:
    """The parent of every process."""
    if sys.platform.startswith("linux"):
        return _linux_parents()
    if os.name == "nt":
        return _windows_parents()
    try:
        listed = subprocess.run(["ps", "-axo", "pid=,ppid="], check=False, capture_output=True, text=True, timeout=5)
        return dict(tuple(map(int, line.split())) for line in listed.stdout.splitlines())
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}


def _linux_parents() -> dict[int, int]:
    parents = {}
    for name in os.listdir(PROC):
        fields = _stat(int(name)) if name.isdigit() else ()
        if fields:
            parents[int(name)] = int(fields[1])
    return parents


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; [] where there are none."""
    try:
        text = (PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _state(pid: int) -> str:
    fields = _stat(pid)
    return fields[0] if fields else ""


def _was_started_for(pid: int, work_folder: str) -> bool:
    """Whether a process has the work folder in its environment; only Linux tells."""
    try:
        variables = (PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return bool(work_folder) and f"{WORK_VARIABLE}={work_folder}".encode(errors="surrogateescape") in variables


def _windows_parents() -> dict[int, int]:
    """From a snapshot of all processes."""
    import ctypes
    from ctypes import wintypes

    class Entry(ctypes.Structure):
        _fields_ = (
            ("size", wintypes.DWORD), ("usage", wintypes.DWORD), ("pid", wintypes.DWORD),
            ("heap", ctypes.c_size_t), ("module", wintypes.DWORD), ("threads", wintypes.DWORD),
            ("parent", wintypes.DWORD), ("priority", wintypes.LONG), ("flags", wintypes.DWORD),
            ("file", ctypes.c_char * 260),
        )

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.CreateToolhelp32Snapshot.restype = ctypes.c_void_p
    kernel.Process32First.argtypes = kernel.Process32Next.argtypes = [ctypes.c_void_p, ctypes.POINTER(Entry)]
    kernel.CloseHandle.argtypes = [ctypes.c_void_p]
    snapshot = kernel.CreateToolhelp32Snapshot(0x2, 0)  # TH32CS_SNAPPROCESS
    if snapshot in (None, ctypes.c_void_p(-1).value):
        return {}
    entry, parents = Entry(size=ctypes.sizeof(Entry)), {}
    there = kernel.Process32First(snapshot, ctypes.byref(entry))
    while there:
        parents[entry.pid] = entry.parent
        there = kernel.Process32Next(snapshot, ctypes.byref(entry))
    kernel.CloseHandle(snapshot)
    return parents


def _windows_is_alive(pid: int) -> bool:
    """os.kill(pid, 0) would end it there."""
    import ctypes

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.OpenProcess.restype = ctypes.c_void_p
    kernel.WaitForSingleObject.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    kernel.CloseHandle.argtypes = [ctypes.c_void_p]
    handle = kernel.OpenProcess(0x00100000, False, pid)  # SYNCHRONIZE
    if not handle:
        return False
    try:
        return kernel.WaitForSingleObject(handle, 0) == 0x102  # WAIT_TIMEOUT: it has not ended
    finally:
        kernel.CloseHandle(handle)
