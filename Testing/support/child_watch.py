"""For tests of child processes: runs one and keeps all that it tells; and engines of a test's own."""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable

PATIENCE_S = 60.0


class Told:
    """A ChildProcess and what it told, in order: events and log lines, at last the ending."""

    def __init__(self, arguments: list, folder: pathlib.Path, **options: object) -> None:
        from ALHVRLib.child_process import ChildProcess

        folder.mkdir(parents=True, exist_ok=True)
        self.said: list = []
        self.endings: list = []
        self.child = ChildProcess(arguments, onEvent=self.said.append, onLog=self.said.append,
                                  onEnd=self.endings.append, workFolder=folder, **options)

    @property
    def events(self) -> list:
        """Only the events."""
        return [said for said in self.said if not isinstance(said, str)]

    @property
    def kinds(self) -> list[str]:
        """The kinds of the events."""
        return [event.kind for event in self.events]

    @property
    def log(self) -> list[str]:
        """Only the log text."""
        return [said for said in self.said if isinstance(said, str)]

    def start(self) -> Told:
        """Start the child."""
        self.child.start()
        return self

    def wait_until(self, condition: Callable[[], bool]) -> Told:
        """Let Qt work until ``condition`` holds."""
        let_qt_work(condition)
        return self

    def end(self) -> object:
        """Wait for the ending, and look that nothing comes after it."""
        let_qt_work(lambda: bool(self.endings))
        said = len(self.said)
        let_qt_work_for(0.15)
        assert len(self.said) == said
        assert len(self.endings) == 1
        assert not self.child.isRunning
        return self.endings[0]


def let_qt_work(condition: Callable[[], bool]) -> None:
    """Process events until ``condition`` holds."""
    import slicer

    until = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < until, "it never happened"
        slicer.app.processEvents()
        time.sleep(0.005)


def let_qt_work_for(seconds: float) -> None:
    """Process events for a while."""
    end = time.monotonic() + seconds
    let_qt_work(lambda: time.monotonic() > end)


def is_running(pid: int) -> bool:
    """Whether a process runs, as the system tells."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def launcher_of(pid: int) -> int:
    """The parent of a process."""
    with open(f"/proc/{pid}/stat") as file:
        return int(file.read().rpartition(")")[2].split()[1])


def write_engine(folder: pathlib.Path, body: str) -> pathlib.Path:
    """An engine whose every command does ``body`` (it may use say(kind, ...) and `arguments`); returns its root."""
    package = folder / "engine" / "alhvr"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    say = "def say(kind, **fields):\n    print(json.dumps({'event': kind, **fields}))\n"
    code = textwrap.indent(textwrap.dedent(body).strip(), "    ")
    code = f"import json, os, sys, time\n\n\n{say}\n\ndef main(arguments):\n{code}\n"
    (package / "cli.py").write_text(code, encoding="utf-8")
    return package.parent


def write_launcher(folder: pathlib.Path, script: str) -> str:
    """A PythonSlicer of the test's own; returns the PATH with it."""
    folder.mkdir(parents=True, exist_ok=True)
    launcher = folder / "PythonSlicer"
    launcher.write_text(f"#!/bin/sh\n{script}\n")
    launcher.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


OWNER = """
import sys, pathlib, time
sys.path[:0] = {paths!r}
folder = pathlib.Path({folder!r})
from slicer_stand_in.boot import boot
boot(folder / "slicer")
import slicer
from ALHVRLib import paths
paths.user_folder = lambda: folder / "user"
paths.engine_root = lambda: pathlib.Path({engine!r})
from child_watch import Told, let_qt_work
told = Told(["segment"], folder / "work").start()
let_qt_work(lambda: told.events)
print(told.child.pid, flush=True)
time.sleep(600)
"""


def start_an_owner(folder: pathlib.Path, engine: pathlib.Path) -> tuple[subprocess.Popen, int]:
    """Another Slicer with a child of its own, for a test to kill; the process ID of that child."""
    support = pathlib.Path(__file__).resolve().parent
    code = OWNER.format(paths=[str(support), str(support.parent), str(support.parents[1] / "ALHVRSegmentation")],
                        folder=str(folder), engine=str(engine))
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    return owner, int(owner.stdout.readline())
