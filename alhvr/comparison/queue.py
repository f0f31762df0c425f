"""Queue: the run that waits in a project is begun by the process of the run before it, so that it needs no window.

The new run has a process of its own, whose output goes to files in the folder of the run, where any window reads it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from alhvr.core.errors import UserError
from alhvr.core.files import shown
from alhvr.core.progress import Reporter
from alhvr.formats.project import read_project

EVENTS, STDERR = "events.jsonl", "stderr.txt"
QUEUED = ("minutes", "start_from", "compare", "settings")
"""Entries of project.json that a run which waits brings; others in the queue are passed over."""


def begin_next(folder: Path, options: Sequence[str], reporter: Reporter) -> Path | None:
    """Begins the run that waits longest in the project ``folder``; its folder, None where none waits.

    ``options`` are those of ``alhvr compare`` besides the project and the run. Where it cannot begin it waits on, and
    the reporter is warned.
    """
    project = read_project(folder)
    if not project.queue:
        return None
    brought = {name: value for name, value in project.queue[0].items() if name in QUEUED}
    run = project.next_run()
    try:
        run.mkdir(parents=True)  # not where it is there: somebody else has begun one
    except OSError as error:
        return _waits_on(reporter, f"{shown(run)} cannot be made: {error.strerror or error}.")
    try:
        replace(project, queue=project.queue[1:], **brought).write()
    except UserError as error:
        _remove(run)
        return _waits_on(reporter, str(error))
    try:
        _start([*_own_command(), "compare", "--project", str(project.folder), "--out", str(run), *options], run)
    except OSError as error:
        _remove(run)
        with suppress(UserError):
            project.write()
        return _waits_on(reporter, f"No process can be started: {error.strerror or error}.")
    reporter.note(f"The run that waited begins in {shown(run)}.")
    return run


def _waits_on(reporter: Reporter, why: str) -> None:
    reporter.warning(f"The next run of the project waits on: {why}")


def _remove(run: Path) -> None:
    """Leaves nothing of a run that did not begin."""
    with suppress(OSError):
        for name in (EVENTS, STDERR):
            (run / name).unlink(missing_ok=True)
        run.rmdir()


def _own_command() -> list[str]:
    """What this process was started with, up to its command: interpreter, its options, and a script or module."""
    own = sys.argv[1:]
    before = sys.orig_argv[1:len(sys.orig_argv) - len(own)]
    if own[:1] != ["compare"] or not before or sys.orig_argv[-len(own):] != own:
        before = ["-m", "alhvr"]
    return [sys.executable, *before]


def _start(command: list[str], run: Path) -> None:
    """In a session of its own, with files in place of pipes. Raises OSError."""
    with open(run / EVENTS, "ab") as events, open(run / STDERR, "ab") as stderr:
        outputs = {"stdin": subprocess.DEVNULL, "stdout": events, "stderr": stderr}
        if os.name == "nt":
            flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
            subprocess.Popen(command, creationflags=flags, **outputs)
        else:
            subprocess.Popen(command, start_new_session=True, **outputs)
