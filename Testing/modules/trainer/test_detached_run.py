"""A process that outlives Slicer: no owner, no pipe, no folder held, and it can be ended by force."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from child_watch import is_running, let_qt_work, write_engine, write_launcher
from small_disk import mounted_disk
from support import ROOT

TRAINS = """
names = sorted(name for name in os.environ if name.startswith("ALHVR_") and os.environ[name])
say("started", pid=os.getpid(), names=names, cwd=os.getcwd())
print("a word of a library", file=sys.stderr)
sys.stdout.flush()
until = time.monotonic() + 60
while not os.path.exists("/proc/self/never") and time.monotonic() < until:
    time.sleep(0.05)
"""
WINDOW = """
import sys, pathlib
sys.path[:0] = {paths!r}
folder = pathlib.Path({folder!r})
from slicer_stand_in.boot import boot
boot(folder / "slicer")
from ALHVRLib import paths
paths.user_folder = lambda: folder / "user"
paths.engine_root = lambda: pathlib.Path({engine!r})
from ALHVRTrainerLib.run.detached import start_detached
process = start_detached(["compare"], folder)
print(process.pid, flush=True)
import time
time.sleep(600)
"""


@pytest.fixture
def begin(tmp_path: pathlib.Path, own_settings: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable]:
    """begin(body) starts an engine that does `body` for the run in tmp_path, and returns its Popen."""
    from ALHVRTrainerLib.run.detached import end_by_force, start_detached

    from ALHVRLib import paths

    def start(body: str = TRAINS, **options: Any) -> subprocess.Popen:
        engine = write_engine(tmp_path / "made", body)
        monkeypatch.setattr(paths, "engine_root", lambda: engine)
        return start_detached(["compare", "--out", tmp_path], tmp_path, **options)

    yield start
    for event in events(tmp_path):
        if event["event"] == "child":
            end_by_force(event["pid"], event["start"])


def events(folder: pathlib.Path) -> list[dict[str, Any]]:
    path = folder / "events.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def event(folder: pathlib.Path, kind: str) -> dict[str, Any]:
    let_qt_work(lambda: any(one["event"] == kind for one in events(folder)))
    return next(one for one in events(folder) if one["event"] == kind)


def test_it_has_a_session_of_its_own_and_no_owner(begin: Callable, tmp_path: pathlib.Path) -> None:
    begin()
    started = event(tmp_path, "started")
    assert os.getsid(started["pid"]) != os.getsid(0)
    assert not {"ALHVR_OWNER_PID", "ALHVR_WORK"} & {*started["names"]}
    assert started["cwd"] == str(pathlib.Path.home())
    let_qt_work(lambda: "a word of a library" in (tmp_path / "stderr.txt").read_text())


def test_it_says_whether_the_computer_stays_awake(begin: Callable, tmp_path: pathlib.Path) -> None:
    begin()
    assert "go to sleep" in event(tmp_path, "note")["message"]


def test_a_helper_that_keeps_the_computer_awake_ends_with_it(begin: Callable, tmp_path: pathlib.Path,
                                                             monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bin"
    write_launcher(folder, "")
    helper = folder / "systemd-inhibit"
    helper.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/helper\nexec cat\n")
    helper.chmod(0o755)
    (folder / "PythonSlicer").unlink()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    begin()
    assert event(tmp_path, "note")["message"] == "The computer does not go to sleep by itself while this runs."
    pid = int((tmp_path / "helper").read_text())
    assert is_running(pid)
    os.kill(event(tmp_path, "child")["pid"], signal.SIGKILL)
    let_qt_work(lambda: not is_running(pid))


def test_it_goes_on_when_the_window_is_killed(begin: Callable, tmp_path: pathlib.Path) -> None:
    engine = write_engine(tmp_path / "made", TRAINS)
    places = [str(ROOT / name) for name in ("Testing/support", "Testing", "ALHVRSegmentation", "ALHVRTrainer", ".")]
    code = WINDOW.format(paths=places, folder=str(tmp_path), engine=str(engine))
    window = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    started = event(tmp_path, "started")
    window.kill()
    window.wait()
    window.stdout.close()
    time.sleep(0.4)
    assert is_running(started["pid"])


def test_it_is_ended_by_force_with_its_workers(begin: Callable, tmp_path: pathlib.Path) -> None:
    from ALHVRTrainerLib.run.detached import end_by_force

    begin("import subprocess\nworker = subprocess.Popen(['sleep', '60'])\n"
          "say('started', pid=os.getpid(), worker=worker.pid)\nsys.stdout.flush()\ntime.sleep(60)")
    started, child = event(tmp_path, "started"), event(tmp_path, "child")
    assert end_by_force(child["pid"], child["start"])
    let_qt_work(lambda: not is_running(started["worker"]))


def test_a_process_that_took_over_the_id_is_spared(begin: Callable) -> None:
    from ALHVRTrainerLib.run.detached import end_by_force

    other = subprocess.Popen(["sleep", "60"])
    assert end_by_force(other.pid, "12345")
    assert is_running(other.pid)
    other.kill()
    other.wait()


def test_what_it_says_is_added_when_it_is_started_again(begin: Callable, tmp_path: pathlib.Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"event": "before"}\n')
    begin()
    event(tmp_path, "started")
    assert events(tmp_path)[0] == {"event": "before"}


def test_a_link_in_the_run_folder_is_not_written_through(begin: Callable, tmp_path: pathlib.Path) -> None:
    from ALHVRLib.child_process import LaunchError

    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "events.jsonl").symlink_to(tmp_path / "mine.txt")
    with pytest.raises(LaunchError):
        begin()
    assert (tmp_path / "mine.txt").read_text() == "mine"
    (tmp_path / "events.jsonl").unlink()


def test_a_python_of_the_users_own_is_used_without_slicers_packages(begin: Callable, tmp_path: pathlib.Path) -> None:
    begin(python=sys.executable)
    assert "ALHVR_PACKAGES" not in event(tmp_path, "started")["names"]


def test_a_python_that_is_not_there_is_named(begin: Callable, tmp_path: pathlib.Path) -> None:
    from ALHVRLib.child_process import LaunchError

    with pytest.raises(LaunchError, match="The Python /no/python was not found."):
        begin(python="/no/python")


def test_a_start_that_fails_leaves_no_run(trainer: Any, project: pathlib.Path,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRTrainerLib.training.section import TrainingSection

    from alhvr.core.errors import UserError

    monkeypatch.setenv("PATH", "")
    control = trainer.panel.section(TrainingSection).control
    with pytest.raises(UserError, match="PythonSlicer, which comes with Slicer, was not found"):
        control.start()
    assert trainer.logic.session.runs() == () and trainer.logic.session.run is None


def test_torch_that_is_missing_is_said_in_one_sentence(trainer: Any, project: pathlib.Path, tmp_path: pathlib.Path,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRTrainerLib.training.section import TrainingSection

    from ALHVRLib import paths

    engine = write_engine(tmp_path / "no torch", "import torch_that_is_missing")
    monkeypatch.setattr(paths, "engine_root", lambda: engine)
    section = trainer.panel.section(TrainingSection)
    section.control.start()
    let_qt_work(lambda: section.control.state == "failed")
    assert section.ui.stateLabel.text == ("Stopped: the Python package torch_that_is_missing is missing. "
                                          "The top of the panel offers what is missing.")
    assert section.ui.resumeButton.enabled
    shutil.rmtree(project / "runs")


def test_a_disk_that_is_full_is_said_in_one_sentence(trainer: Any, project: pathlib.Path, tmp_path: pathlib.Path,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRTrainerLib.training.section import TrainingSection

    from ALHVRLib import paths

    engine = write_engine(tmp_path / "made 2", "open(arguments[arguments.index('--out') + 1] + '/x', 'w').write('x')")
    monkeypatch.setattr(paths, "engine_root", lambda: engine)
    (project / "runs").mkdir()
    section = trainer.panel.section(TrainingSection)
    with mounted_disk(project / "runs", 1):
        (project / "runs" / "film").write_bytes(b"x" * ((1 << 20) - (1 << 13)))
        (project / "runs" / "film2").write_bytes(b"x" * (1 << 12))
        section.control.start()
        let_qt_work(lambda: section.control.state == "failed")
        assert section.ui.stateLabel.text == "Stopped: the disk is full. Free some space and press Resume."
        trainer.logic.session.close()
