"""ProcessMark: a process of this computer or another, told from a later one with the same ID, and whether it runs."""

from __future__ import annotations

import os
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")
_SYNCHRONIZE, _WAIT_TIMEOUT = 0x00100000, 0x102
LARGEST_PID = 2**32


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
        return self.is_here and is_alive(self.pid) and start_of(self.pid) == self.start


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
