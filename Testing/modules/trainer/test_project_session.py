"""The open project: one window writes to it, what others wrote is kept, the newest news is its state."""

from __future__ import annotations

import json
import pathlib
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from alhvr.core.errors import UserError

HOLD = """
import sys, time
sys.path[:0] = [sys.argv[2]]
from pathlib import Path
from alhvr.formats.window_lock import take_window
print(take_window(Path(sys.argv[1])), flush=True)
time.sleep(600)
"""


@dataclass
class Said:
    state: str
    sentence: str = ""


@pytest.fixture
def other_window(project_folder: Callable[..., pathlib.Path]) -> Any:
    """A project that a process beside this one holds."""
    from support import ROOT

    folder = project_folder()
    process = subprocess.Popen([sys.executable, "-c", HOLD, folder, ROOT], stdout=subprocess.PIPE, text=True)
    process.stdout.readline()
    yield folder
    process.kill()
    process.wait()


def test_without_a_project_the_state_is_empty(trainer: Any) -> None:
    assert trainer.logic.session.state == "empty"


def test_a_project_that_another_window_holds_is_read_only(trainer: Any, other_window: pathlib.Path) -> None:
    session = trainer.logic.session
    session.open(other_window)
    assert session.isReadOnly and "another window" in session.holderText().lower()
    with pytest.raises(UserError):
        session.save(minutes=5.0)


def test_a_project_on_a_disk_that_may_only_be_read_can_be_looked_at(trainer: Any, project_folder: Callable,
                                                                    monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRTrainerLib import project_session

    def refuse(folder: pathlib.Path, **_options: object) -> None:
        raise UserError(f"{folder.name} could not be written: Read-only file system.")

    monkeypatch.setattr(project_session, "take_window", refuse)
    session = trainer.logic.session
    session.open(project_folder())
    assert session.isReadOnly and "Read-only file system" in session.hasFault()[0] and len(session.caseTable()) == 3


def test_a_closed_project_can_be_written_to_by_others(trainer: Any, project: pathlib.Path) -> None:
    assert (project / ".window.lock").exists()
    trainer.logic.session.close()
    assert not (project / ".window.lock").exists()


def test_saving_keeps_what_a_command_wrote_meanwhile(trainer: Any, project: pathlib.Path) -> None:
    record = json.loads((project / "project.json").read_text())
    (project / "project.json").write_text(json.dumps({**record, "compare": False, "of another version": 7}))
    trainer.logic.session.save(minutes=12.0)
    found = json.loads((project / "project.json").read_text())
    assert (found["minutes"], found["compare"], found["of another version"]) == (12.0, False, 7)


def test_a_folder_that_is_no_project_leaves_the_open_one_as_it_is(trainer: Any, project: pathlib.Path) -> None:
    with pytest.raises(UserError, match="no project"):
        trainer.logic.session.open(project / "cases")
    assert trainer.logic.session.folder == project


@pytest.mark.parametrize(("run", "check", "state"), [
    (Said("training"), Said("blocked"), "training"),
    (Said("finished"), Said("blocked"), "blocked"),
    (Said("finished"), Said("ready"), "finished"),
    (None, Said("ready"), "ready"),
])
def test_a_run_that_goes_on_comes_before_the_check(trainer: Any, project: pathlib.Path, run: Said | None,
                                                   check: Said, state: str) -> None:
    session = trainer.logic.session
    session.run, session.check = run, check
    assert session.state == state


def test_the_labelled_cases_are_listed_by_name(trainer: Any, project: pathlib.Path) -> None:
    assert [row.name for row in trainer.logic.session.caseTable()] == ["case0", "case1", "case2"]
