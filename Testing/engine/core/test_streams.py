"""A run goes on when its output goes nowhere: the reader is gone, the terminal is closed, the disk is full."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alhvr.core.progress import BarReporter, JsonReporter
from alhvr.core.streams import BestEffortStream

TALKS = ("import sys, pathlib\n"
         "from alhvr.core.progress import BarReporter, JsonReporter\n"
         "reporters = [JsonReporter(), BarReporter()]\n"
         "sys.stdin.readline()\n"
         "for reporter in reporters:\n"
         "    for n in range(300): reporter.progress('training', n, 300); reporter.note('x' * 100)\n"
         "    reporter.finished()\n"
         "pathlib.Path(sys.argv[1]).write_text('went on')\n")


def talking(mark: Path, **streams: int) -> subprocess.Popen:
    """A program that tells a lot on both streams once it gets a line, then makes the file ``mark``."""
    return subprocess.Popen([sys.executable, "-c", TALKS, mark], stdin=subprocess.PIPE, text=True, **streams)


def ends_well(program: subprocess.Popen, mark: Path) -> bool:
    program.stdin.write("go\n")
    program.stdin.close()
    return program.wait(60) == 0 and mark.read_text() == "went on"


def test_a_reader_that_left(tmp_path: Path) -> None:
    program = talking(tmp_path / "mark", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    program.stdout.close()
    program.stderr.close()
    assert ends_well(program, tmp_path / "mark")


def test_a_terminal_that_was_closed(tmp_path: Path) -> None:
    ours, theirs = os.openpty()
    program = talking(tmp_path / "mark", stdout=theirs, stderr=theirs)
    os.close(theirs)
    time.sleep(0.2)
    os.close(ours)
    assert ends_well(program, tmp_path / "mark")


def test_a_full_disk() -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("no /dev/full on this system")
    with contextlib.suppress(OSError), open("/dev/full", "w") as full:
        for reporter in (JsonReporter(full), BarReporter(full)):
            reporter.note("x" * 100_000)
            reporter.finished()


@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP"])
def test_a_command_that_was_asked_to_end_waits_for_no_reader_for_long_however_it_ends(number: str) -> None:
    code = ("import os, signal, sys\nfrom alhvr.core.signals import StopRequest\n"
            "from alhvr.core.streams import BestEffortStream, unblocked_streams\n"
            "with unblocked_streams(), StopRequest():\n"
            f"    os.kill(os.getpid(), signal.{number})\n    BestEffortStream(sys.stdout).write('x' * 1_000_000)\n")
    began = time.monotonic()
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as program:
        assert program.wait(25) == 0
        assert time.monotonic() - began < 25


def test_what_can_be_heard_is_heard() -> None:
    stream = io.StringIO()
    patient = BestEffortStream(stream)
    patient.write("words")
    patient.flush()
    assert stream.getvalue() == "words" and not patient.isatty()


def test_other_faults_are_not_hidden() -> None:
    stream = io.StringIO()
    stream.close()
    with pytest.raises(ValueError, match="closed file"):
        BestEffortStream(stream).write("words")
