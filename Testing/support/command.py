"""Runs the ``alhvr`` command for tests, each time in a process of its own that a test may stop, starve or kill.

The processes are forked from one that has the libraries loaded, which saves seconds each; ``fresh`` starts a new
interpreter as a shell does.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

PRELOADED = ["alhvr.cli", "alhvr.comparison.run", "alhvr.training.run", "alhvr.inference.run", "torch._dynamo"]
PATIENCE_S = 900.0


@dataclass(frozen=True)
class Finished:
    """How a command ended."""

    code: int
    """Exit code; minus the signal when it was killed."""
    out: str
    err: str

    @property
    def events(self) -> list[dict[str, Any]]:
        """The JSON lines on stdout; fails when one of them is no strict JSON."""
        return [json.loads(line, parse_constant=_no_constant) for line in self.out.splitlines()]

    def texts(self, event: str) -> str:
        """All messages of one kind of event, one a line."""
        return "\n".join(e["message"] for e in self.events if e["event"] == event)

    def refused(self, *parts: str) -> None:
        """Asserts exit code 2 and one line on stderr, no traceback, with all of ``parts`` in it."""
        assert self.code == 2, self
        complaint = [line for line in self.err.splitlines() if line.startswith("alhvr: ")]
        assert len(complaint) == 1 and self.err.rstrip().endswith(complaint[0]), self.err
        assert "Traceback" not in self.err
        for part in parts:
            assert part in complaint[0], complaint[0]


class Running:
    """A command under way."""

    def __init__(self, arguments: tuple[Any, ...], *, cwd: Path | None = None, largest_file: int | None = None) -> None:
        """``largest_file``: bytes beyond which the system refuses to write a file, as a full disk does."""
        self._folder = Path(mkdtemp(prefix="alhvr-test-"))
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self.process = context.Process(target=_child, args=([str(a) for a in arguments], str(cwd or Path.cwd()),
                                                            str(self._folder), largest_file))
        self.process.start()

    @property
    def out(self) -> str:
        """What it wrote to stdout so far."""
        return self._read("out")

    def _read(self, stream: str) -> str:
        path = self._folder / stream
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def reaches(self, condition: Callable[[], bool]) -> bool:
        """Waits for ``condition`` as closely as it can; False when the command ended before it held."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            assert time.monotonic() < end, f"it neither happens nor ends: {self.out}"
            if not self.process.is_alive():
                return condition()
            time.sleep(0.0005)
        return True

    def wait_until(self, condition: Callable[[], bool], what: str) -> None:
        """Waits for ``condition``; fails when the command ends before it holds."""
        assert self.reaches(condition), f"{what} never happened: {self.finish()}"

    def send(self, number: int) -> None:
        """Sends a signal."""
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        """Ends it as a power cut does."""
        self.send(signal.SIGKILL)
        self.process.join(PATIENCE_S)

    def finish(self) -> Finished:
        """Waits for its end."""
        self.process.join(PATIENCE_S)
        if self.process.is_alive():
            self.process.kill()
            raise AssertionError(f"the command hangs: {self.out}\n{self._read('err')}")
        return Finished(self.process.exitcode, self.out, self._read("err"))


def alhvr(*arguments: Any, cwd: Path | None = None, largest_file: int | None = None) -> Finished:
    """Runs the command to its end."""
    return Running(arguments, cwd=cwd, largest_file=largest_file).finish()


def fresh(*arguments: Any, **options: Any) -> Finished:
    """Runs ``python -m alhvr`` in a new interpreter; ``options`` are those of subprocess.run."""
    done = subprocess.run([sys.executable, "-m", "alhvr", *map(str, arguments)], capture_output=True, text=True,
                          check=False, timeout=PATIENCE_S, **options)
    return Finished(done.returncode, done.stdout, done.stderr)


def _child(arguments: list[str], cwd: str, folder: str, largest_file: int | None) -> None:
    """The process of one command."""
    for stream, name in ((1, "out"), (2, "err")):
        file = os.open(os.path.join(folder, name), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(file, stream)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)  # noqa: SIM115
    os.chdir(cwd)
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    from alhvr.cli import main

    sys.exit(main(arguments))


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
