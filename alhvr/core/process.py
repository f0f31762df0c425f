"""Processes of the system: one told from a later one with the same ID, whether it runs, and ending all of a job.

A process belongs to a job when it is a descendant of the job's own, or when it was started with the job's work folder
in its environment, which what detaches itself in a session of its own keeps. Linux tells both. macOS and Windows tell
only parents here: a worker there that outlives its parent in a session of its own is not found.

The modules for 3D Slicer use this too, and their child process loads this one file by its path, whether or not the
engine around it can be imported: it needs the standard library alone.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_SYNCHRONIZE, _WAIT_TIMEOUT = 0x00100000, 0x102
_SNAPSHOT_OF_PROCESSES = 0x2
_NO_WINDOW = 0x08000000
LARGEST_PID = 2**32
WORK_VARIABLE = "ALHVR_WORK"
"""Environment variable of a job's processes: its work folder, which no other job has."""
ROUNDS, PAUSE_S = 5, 0.01
"""How often is looked whether processes that were being ended have started others, and the pause between."""


@dataclass(frozen=True)
class ProcessMark:
    """What a process writes into a file so that others can tell later whether it still runs."""

    pid: int
    """1 or more."""
    start: str
    """When it began, as the system counts (field 22 of /proc/PID/stat); "" where the system does not say."""
    host: str
    """Name of its computer."""

    @classmethod
    def of_this_process(cls) -> ProcessMark:
        """The mark of the process that calls."""
        return cls(os.getpid(), start_of(os.getpid()), socket.gethostname())

    @classmethod
    def from_values(cls, values: object) -> ProcessMark | None:
        """The mark in the plain values of a file, which may hold more; None where it is none."""
        if not isinstance(values, dict):
            return None
        pid, start, host = values.get("pid"), values.get("start"), values.get("host")
        good = type(pid) is int and 1 <= pid <= LARGEST_PID and isinstance(start, str) and isinstance(host, str)
        return cls(pid, start, host) if good else None

    @property
    def is_here(self) -> bool:
        """Whether it is a process of this computer."""
        return self.host == socket.gethostname()

    def is_running(self) -> bool:
        """Whether this very process runs on this computer; one that was stopped with SIGSTOP counts."""
        return self.is_here and is_running(self.pid, self.start)


def start_of(pid: int) -> str:
    """What tells a process from a later one with the same ID; "" where the system does not say."""
    fields = _stat(pid)
    return fields[19] if len(fields) > 19 else ""


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits to be buried does not. Nothing is sent to it."""
    if pid <= 0:
        return False
    if os.name == "nt":
        return _windows_is_alive(pid)
    if sys.platform.startswith("linux"):
        return _stat(pid)[:1] not in ([], ["Z"])
    try:
        os.kill(pid, 0)
    except PermissionError:
        return True
    except (OSError, OverflowError):
        return False
    return True


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
                           creationflags=_NO_WINDOW)
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
    for name in os.listdir(_PROC):
        fields = _stat(int(name)) if name.isdigit() else ()
        if fields:
            parents[int(name)] = int(fields[1])
    return parents


def _was_started_for(pid: int, work_folder: str) -> bool:
    """Whether a process has the work folder in its environment; only Linux tells."""
    try:
        variables = (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
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
    snapshot = kernel.CreateToolhelp32Snapshot(_SNAPSHOT_OF_PROCESSES, 0)
    if snapshot in (None, ctypes.c_void_p(-1).value):
        return {}
    entry, parents = Entry(size=ctypes.sizeof(Entry)), {}
    there = kernel.Process32First(snapshot, ctypes.byref(entry))
    while there:
        parents[entry.pid] = entry.parent
        there = kernel.Process32Next(snapshot, ctypes.byref(entry))
    kernel.CloseHandle(snapshot)
    return parents


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat from the state on; [] where there are none."""
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    return text.rpartition(")")[2].split()


def _windows_is_alive(pid: int) -> bool:
    """os.kill(pid, 0) would end it there."""
    import ctypes

    kernel = ctypes.WinDLL("kernel32", use_last_error=True)
    kernel.OpenProcess.restype = ctypes.c_void_p
    kernel.WaitForSingleObject.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
    kernel.CloseHandle.argtypes = [ctypes.c_void_p]
    handle = kernel.OpenProcess(_SYNCHRONIZE, False, pid)
    if not handle:
        return False
    try:
        return kernel.WaitForSingleObject(handle, 0) == _WAIT_TIMEOUT
    finally:
        kernel.CloseHandle(handle)
