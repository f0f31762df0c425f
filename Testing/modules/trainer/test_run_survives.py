"""One real training through a bad day: killed, window gone, stopped for a while, paused, moved, finished early."""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from child_watch import is_running, let_qt_work, let_qt_work_for
from module_worlds import wait_until
from support import ROOT

SETTINGS = {"training": {"threads": 1, "precision": "fp32", "validations": 400, "iterations": 4000},
            "plan": {"patch_size": [32, 32], "batch_size": 4}}
"""Longer than any test waits: it is finished early."""
PATIENCE_S = 240.0


def training(widget: Any, project: pathlib.Path) -> Any:
    """Opens the project in a panel that was made just now; its section Training."""
    from ALHVRTrainerLib.training.section import TrainingSection

    widget.logic.session.open(project)
    section = widget.panel.section(TrainingSection)
    section.frame.collapsed = False
    return section


def wait(section: Any, condition: Callable[[Any], bool]) -> None:
    """Until the run is as wanted; says how it is where it never becomes so."""
    import slicer

    until = time.monotonic() + PATIENCE_S
    while not condition(section.control.reader):
        reader = section.control.reader
        assert time.monotonic() < until and reader.state not in ("failed",), (reader.sentence, reader.logText())
        slicer.app.processEvents()
        time.sleep(0.1)  # so that the training has the processor


def points(section: Any) -> list[list[float]]:
    """Held-out Dice of the training with labels only."""
    arms = section.control.reader.arms
    return arms["labels-only"].mean.points().T.tolist() if "labels-only" in arms else []


def trainer_of(section: Any) -> int:
    return section.control.reader.look.heartbeat.pid


def test_a_training_survives_a_bad_day_with_one_curve(trainer: Any, project_folder: Callable,
                                                      tmp_path: pathlib.Path) -> None:
    import slicer

    project = project_folder(archive=0, minutes=None, settings=SETTINGS)
    section = training(trainer, project)
    section.control.start()
    wait(section, lambda _: bool(points(section)))

    slicer.mrmlScene.Clear(0)  # the scene is closed
    first = trainer_of(section)
    assert is_running(first) and section.control.state == "training"

    os.kill(first, signal.SIGKILL)  # the child is killed
    wait(section, lambda reader: reader.state == "lost")
    assert section.ui.stateLabel.text.startswith("The run ended without a word (computer off?). Resume from minute ")

    labels = sorted((project / "cases" / "labels").glob("case*"))  # a label is edited
    shutil.copy(labels[1], labels[0])

    before = points(section)  # the project is moved to another place
    trainer.logic.session.close()
    moved = tmp_path / "another place" / "livers"
    moved.parent.mkdir()
    project.rename(moved)
    trainer.logic.session.open(moved)
    wait(section, lambda reader: reader.state == "lost" and points(section) == before)
    section.ui.resumeButton.click()
    wait(section, lambda reader: reader.state == "training" and len(points(section)) > len(before))
    after = points(section)
    minutes = [minute for minute, _dice in after]
    assert minutes == sorted(set(minutes)) and after[0] == before[0]

    second = trainer_of(section)  # the window goes without a word, another comes
    trainer.cleanup()
    assert is_running(second)
    trainer.setup()
    section = training(trainer, moved)
    wait(section, lambda reader: reader.state == "training" and points(section)[:len(after)] == after)
    assert trainer_of(section) == second

    os.kill(second, signal.SIGSTOP)  # the computer sleeps
    let_qt_work_for(1.0)
    assert section.control.state == "training"
    os.kill(second, signal.SIGCONT)

    section.ui.finishButton.click()  # enough
    wait(section, lambda reader: reader.state == "finished")
    let_qt_work(lambda: not is_running(second))
    outcome = json.loads((moved / "runs" / "1" / "outcome.json").read_text())
    assert list(outcome["arms"]) == ["labels-only"] and outcome["offered"] == "labels-only"
    assert trainer.logic.session.run.sentence == outcome["sentence"]
    assert trainer.panel.openSection == "OutcomeSection"


def test_a_run_that_waits_begins_while_no_window_is_open(trainer: Any, project_folder: Callable) -> None:
    short = {**SETTINGS, "training": {**SETTINGS["training"], "validations": 1, "iterations": 2}}
    project = project_folder(archive=0, minutes=None, settings=short)
    section = training(trainer, project)
    section.control.start()
    section.control.start()
    trainer.cleanup()
    second = project / "runs" / "2"
    until = time.monotonic() + PATIENCE_S
    while not (second / "outcome.json").exists():
        assert time.monotonic() < until, [path.read_text() for path in project.glob("runs/*/stderr.txt")]
        time.sleep(0.2)
    trainer.setup()
    section = training(trainer, project)
    wait(section, lambda reader: reader.state == "finished" and reader.folder == second)
    assert trainer.logic.session.project.queue == ()
    wait_until(lambda: not section.control.reader.isProcessThere)


def test_an_archive_that_is_unplugged_costs_no_run(trainer: Any, project_folder: Callable) -> None:
    project = project_folder(minutes=None, settings=SETTINGS, compare=False)
    archive = trainer_archive(project)
    away = archive.with_name("unplugged")
    section = training(trainer, project)
    section.control.start()
    wait(section, lambda _: len(curve(section)) > 0)

    archive.rename(away)  # while it trains, and while the panel is open
    before = len(curve(section))
    wait(section, lambda reader: reader.state == "training" and len(curve(section)) > before)
    trainer.panel.refresh()
    cases = trainer.panel.section(cases_section())
    assert cases.ui.archiveLabel.text == "Archive: archive is not there now; plug in its disk, or remove the folder."

    section.ui.pauseButton.click()
    wait(section, lambda reader: reader.state == "paused")
    before = curve(section)
    section.ui.resumeButton.click()  # it cannot go on without its scans
    until_failed(section)
    sentence = section.ui.stateLabel.text
    assert sentence.startswith("Stopped: ") and str(archive) in sentence and "Traceback" not in sentence, sentence

    away.rename(archive)  # plugged in again
    section.ui.resumeButton.click()
    wait(section, lambda reader: reader.state == "training" and len(curve(section)) > len(before))
    assert curve(section)[:len(before)] == before
    section.control.discard()


def trainer_archive(project: pathlib.Path) -> pathlib.Path:
    return pathlib.Path(json.loads((project / "project.json").read_text())["archive"][0])


def cases_section() -> Any:
    from ALHVRTrainerLib.cases.section import CasesSection

    return CasesSection


def curve(section: Any) -> list[list[float]]:
    """Held-out Dice of the training with the archive."""
    arms = section.control.reader.arms
    return arms["archive"].mean.points().T.tolist() if "archive" in arms else []


def until_failed(section: Any) -> None:
    wait_until(lambda: section.control.reader.state in ("failed", "lost"), PATIENCE_S)


WINDOW = """
import pathlib, sys, time
sys.path[:0] = {paths!r}
folder = pathlib.Path({folder!r})
from slicer_stand_in.boot import boot
boot(folder / "slicer")
import slicer
from ALHVRLib import paths
paths.user_folder = lambda: folder / "user"
from slicer_stand_in.module_widgets import load_module
from alhvr.formats.run_state import read_heartbeat
widget = load_module(pathlib.Path({module!r})).widgetRepresentation().self()
widget.logic.session.open({project!r})
from ALHVRTrainerLib.training.section import TrainingSection
control = widget.panel.section(TrainingSection).control
control.start()
while not (beat := read_heartbeat(pathlib.Path({project!r}, "runs", "1"))):
    slicer.app.processEvents()
    time.sleep(0.05)
print(beat.pid, flush=True)
while True:
    slicer.app.processEvents()
    time.sleep(0.05)
"""
"""Another Slicer that starts a run of the project, and says its process ID."""


def steps(run: pathlib.Path) -> dict[tuple[int, bool], dict]:
    """What was written of each step and each validation, without the times."""
    path = run / "labels-only" / "metrics.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    values = [json.loads(line) for line in lines]
    return {(value["iteration"], "dice" in value): {key: entry for key, entry in value.items() if key != "elapsed_s"}
            for value in values}


def test_child_and_window_killed_together_lose_no_step_and_the_curve_goes_on(trainer: Any, project_folder: Callable,
                                                                             tmp_path: pathlib.Path) -> None:
    project = project_folder(archive=0, minutes=None, settings=SETTINGS)
    run = project / "runs" / "1"
    code = WINDOW.format(paths=[path for path in sys.path if path], folder=str(tmp_path), project=str(project),
                         module=str(ROOT / "ALHVRTrainer" / "ALHVRTrainer.py"))
    window, child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True), 0
    with window, window.stdout as said:
        try:
            child = int(said.readline())
            until = time.monotonic() + PATIENCE_S
            while max(steps(run), default=(0, False)) <= (10, True):
                assert time.monotonic() < until
                time.sleep(0.1)
        finally:
            window.kill()
            if child:
                os.kill(child, signal.SIGKILL)
    let_qt_work(lambda: not is_running(child))
    before = steps(run)

    section = training(trainer, project)
    wait(section, lambda reader: reader.state == "lost")
    assert not trainer.logic.session.isReadOnly
    section.ui.resumeButton.click()
    wait(section, lambda _reader: max(steps(run), default=(0, False)) > max(before))
    after = steps(run)
    assert {key: after[key] for key in before} == before
    section.ui.finishButton.click()
    wait(section, lambda reader: reader.state == "finished")
    let_qt_work(lambda: not is_running(trainer_of(section)))
