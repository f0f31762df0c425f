"""The window lock: one Slicer writes to a project, and a window that is gone holds nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from support import ROOT

from alhvr.core.process import ProcessMark
from alhvr.formats.window_lock import WINDOW_LOCK, release_window, take_window, window_holder

MINE = ProcessMark.of_this_process()
ELSEWHERE = replace(MINE, host="another-computer")
OTHER_WINDOW = """
import sys, time
from pathlib import Path
from alhvr.formats.window_lock import take_window
print(take_window(Path(sys.argv[1])).pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def other(tmp_path: Path) -> Iterator[subprocess.Popen]:
    """Another process, which has taken the project in ``tmp_path``."""
    process = subprocess.Popen([sys.executable, "-c", OTHER_WINDOW, tmp_path], stdout=subprocess.PIPE, text=True,
                               cwd=ROOT)
    assert int(process.stdout.readline()) == process.pid
    yield process
    process.kill()
    process.communicate()


def write_lock(folder: Path, mark: ProcessMark) -> None:
    (folder / WINDOW_LOCK).write_text(json.dumps(asdict(mark)))


def test_a_free_project_is_taken_and_let_go_of(tmp_path: Path) -> None:
    assert window_holder(tmp_path) is None
    assert take_window(tmp_path) == take_window(tmp_path) == window_holder(tmp_path) == MINE
    release_window(tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_second_window_is_told_who_has_the_project(tmp_path: Path, other: subprocess.Popen) -> None:
    assert take_window(tmp_path).pid == other.pid
    release_window(tmp_path)
    assert window_holder(tmp_path).pid == other.pid


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells that a process was stopped")
def test_a_suspended_window_keeps_the_project_and_one_that_was_killed_does_not(tmp_path: Path,
                                                                               other: subprocess.Popen) -> None:
    os.kill(other.pid, signal.SIGSTOP)
    assert take_window(tmp_path).pid == other.pid
    other.kill()
    other.wait()
    assert window_holder(tmp_path) is None and take_window(tmp_path) == MINE
    assert [path.name for path in tmp_path.iterdir()] == [WINDOW_LOCK]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux tells when a process began")
def test_a_later_process_with_the_same_id_holds_nothing(tmp_path: Path) -> None:
    write_lock(tmp_path, replace(MINE, start="1"))
    assert window_holder(tmp_path) is None


def test_a_window_on_another_computer_holds_until_it_is_said_that_it_is_gone(tmp_path: Path) -> None:
    write_lock(tmp_path, ELSEWHERE)
    assert take_window(tmp_path) == take_window(tmp_path, even_from=replace(ELSEWHERE, pid=1)) == ELSEWHERE
    assert take_window(tmp_path, even_from=ELSEWHERE) == MINE


@pytest.mark.parametrize("content", ["", "[]", '{"pid": "7"}', '{"pid": -1, "start": "", "host": ""}', "x" * 5000])
def test_a_damaged_lock_holds_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / WINDOW_LOCK).write_text(content)
    assert window_holder(tmp_path) is None and take_window(tmp_path) == MINE
