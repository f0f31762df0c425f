"""Detached: a command of the engine in a process that outlives Slicer, and ending it by force.

It has a session of its own, no owner whose end it waits for, and files in place of pipes: what it says goes to
events.jsonl and stderr.txt in the folder of its run, where any window reads it.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import slicer

from alhvr.core.process import WORK_VARIABLE, end_all, is_running
from ALHVRLib.child_process import child_command, child_environment, not_startable

EVENTS, STDERR = "events.jsonl", "stderr.txt"
OWNED = (WORK_VARIABLE, "ALHVR_OWNER_PID")
"""Variables by which a child would end with its owner."""
PATIENCE_S = 3.0
"""How long a process that was killed may take to be gone."""
BREAKAWAY = 0x01000000
"""Windows: not in the job of a terminal or a session that ends all its processes."""


def start_detached(arguments: Sequence[str], folder: Path, python: str = "") -> subprocess.Popen:
    """Start a command whose run is in a folder, which is there; sleep of the computer is held off while it runs.

    Args:
        arguments: of ``alhvr``.
        python: path of a Python with the engine's packages; "" for PythonSlicer.

    Raises LaunchError where there is no process, in one sentence.
    """
    command = [*child_command(python), *map(str, arguments)]
    try:
        with _appended(folder / EVENTS) as events, _appended(folder / STDERR) as stderr:
            return _started(command, _environment(python), events, stderr)
    except OSError as error:
        raise not_startable(python or "PythonSlicer", error) from error


def end_by_force(pid: int, start: str) -> bool:
    """End a process and all that it has started; True when it is gone, also when it was gone before."""
    until = time.monotonic() + PATIENCE_S
    while is_running(pid, start):
        if time.monotonic() > until:
            return False
        end_all({pid}, "")
    return True


def _environment(python: str) -> dict[str, str]:
    variables = {**slicer.util.startupEnvironment(), **child_environment(python), "ALHVR_STAY_AWAKE": "1"}
    return {name: value for name, value in variables.items() if name not in OWNED}


def _appended(path: Path) -> BinaryIO:
    """The file to write at its end, made where it is missing; OSError for a link, which could lead away."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    return open(os.open(path, flags, 0o666), "ab")


def _started(command: list[str], environment: dict[str, str], events: BinaryIO,
             stderr: BinaryIO) -> subprocess.Popen:
    """In the user's own folder, so that no disk and no project is held by it."""
    options = {"env": environment, "stdin": subprocess.DEVNULL, "stdout": events, "stderr": stderr,
               "cwd": Path.home() if Path.home().is_dir() else None}
    if os.name != "nt":
        return subprocess.Popen(command, start_new_session=True, **options)
    flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
    try:
        return subprocess.Popen(command, creationflags=flags | BREAKAWAY, **options)
    except PermissionError:  # the job that Slicer is in lets nobody out
        return subprocess.Popen(command, creationflags=flags, **options)
