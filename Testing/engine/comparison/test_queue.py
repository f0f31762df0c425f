"""The run that waits in a project begins when the one before it is done, without a window, or waits on."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from alhvr.comparison import queue
from alhvr.comparison.queue import begin_next
from alhvr.core.progress import SilentReporter
from alhvr.formats.project import create_project, read_project


class Told(SilentReporter):
    """Keeps what is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []
        self.warnings: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)

    def warning(self, message: str) -> None:
        self.warnings.append(message)


@pytest.fixture
def told() -> Told:
    return Told()


def project_with(tmp_path: Path, *waiting: dict[str, Any]) -> Path:
    """A project without a case, in whose queue these runs wait."""
    folder = tmp_path / "project"
    create_project(folder)
    record = json.loads((folder / "project.json").read_text())
    (folder / "project.json").write_text(json.dumps({**record, "queue": waiting}))
    return folder


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_nothing_begins_where_nothing_waits(tmp_path: Path, told: Told) -> None:
    folder = project_with(tmp_path)
    assert begin_next(folder, [], told) is None
    assert not (folder / "runs").exists() and not told.warnings


def test_the_run_that_waits_has_a_process_that_writes_into_its_folder(tmp_path: Path, told: Told) -> None:
    folder = project_with(tmp_path, {"minutes": 7.0, "name": "not of a run"}, {"minutes": 9.0})
    run = begin_next(folder, ["--progress", "json"], told)
    assert run == folder / "runs" / "1" and told.notes == [f"The run that waited begins in {run}."]
    project = read_project(folder)
    assert (project.minutes, project.queue, project.name) == (7.0, ({"minutes": 9.0},), "project")
    until = time.monotonic() + 60
    while not (run / "events.jsonl").read_text().count("\n") or "error" not in (run / "events.jsonl").read_text():
        assert time.monotonic() < until, (run / "stderr.txt").read_text()
        time.sleep(0.1)
    assert any(line["event"] == "error" and "cases" in line["message"] for line in lines_of(run / "events.jsonl"))


def test_a_run_that_makes_no_project_waits_on(tmp_path: Path, told: Told) -> None:
    folder = project_with(tmp_path, {"minutes": "-7"})
    assert begin_next(folder, [], told) is None
    assert '"minutes"' in told.warnings[0] and len(read_project(folder).queue) == 1
    assert not list((folder / "runs").iterdir())


def test_a_process_that_cannot_be_started_leaves_the_project_as_it_was(tmp_path: Path, told: Told,
                                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project_with(tmp_path, {"minutes": 7.0})
    before = read_project(folder)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no python"))
    assert begin_next(folder, [], told) is None
    assert "No such file" in told.warnings[0] and read_project(folder) == before
    assert not list((folder / "runs").iterdir())


def test_two_that_begin_the_next_run_at_once_begin_it_once(tmp_path: Path, told: Told,
                                                           monkeypatch: pytest.MonkeyPatch) -> None:
    folder = project_with(tmp_path, {"minutes": 7.0})
    before = read_project(folder)
    monkeypatch.setattr(queue, "read_project", lambda _folder: before)  # both have read it before one began
    monkeypatch.setattr(queue, "_start", lambda command, run: None)
    assert begin_next(folder, [], told) is not None
    monkeypatch.setattr(type(before), "next_run", lambda project: project.run_folder(1))
    assert begin_next(folder, [], told) is None and len(told.warnings) == 1


@pytest.mark.parametrize("before", [["-m", "alhvr"], ["/opt/ALHVRChild.py"], ["-X", "utf8", "/opt/bin/alhvr"]])
def test_the_next_process_is_started_as_this_one_was(before: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["alhvr", "compare", "--project", "p"])
    monkeypatch.setattr(sys, "orig_argv", ["python", *before, "compare", "--project", "p"])
    assert queue._own_command() == [sys.executable, *before]
