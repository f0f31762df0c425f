"""The section Training on runs as the engine writes them: bar, words, buttons, curves, preview, closing Slicer."""

from __future__ import annotations

import json
import pathlib
import time
from collections.abc import Callable
from typing import Any

import pytest
from child_watch import let_qt_work, let_qt_work_for
from run_worlds import dice_line, write_heartbeat, write_lines, write_preview, write_run
from support import ROOT

LAST_STEP = 500
"""Of the arm at work in a run as write_run() writes it."""


def section(trainer: Any) -> Any:
    from ALHVRTrainerLib.training.section import TrainingSection

    return trainer.panel.section(TrainingSection)


def all_is_read(shown: Any) -> None:
    """A look reads for some milliseconds only, so that a long run is read in several."""
    let_qt_work(lambda: shown.control.reader.state != "starting" and shown.control.reader.curves.iteration >= LAST_STEP)


def nodes(kind: str) -> list[Any]:
    import slicer

    return list(slicer.util.getNodesByClass(kind))


@pytest.fixture
def opened(trainer: Any, project_folder: Callable[..., pathlib.Path]) -> Callable[..., Any]:
    """opened(state, **heartbeat) shows a project with such a run, and returns the section."""

    def show(state: str = "running", **heartbeat: Any) -> Any:
        folder = project_folder()
        write_run(folder / "runs" / "1", state, **heartbeat)
        trainer.logic.session.open(folder)
        shown = section(trainer)
        shown.frame.collapsed = False
        all_is_read(shown)
        return shown

    return show


def test_a_run_is_found_when_its_project_is_opened(opened: Callable, trainer: Any) -> None:
    ui = opened().ui
    assert trainer.logic.session.state == "training"
    assert ui.stateLabel.text == "Training with the archive, 40 min left."
    assert ui.detailLabel.text == ("training 2 of 2: with the archive · step 500, minute 20 · "
                                   "best so far 0.64 at minute 20")
    assert ui.progressBar.value == 666 and ui.healthLabel.text == "Health: learning"


def test_without_a_run_nothing_is_offered(trainer: Any, project: pathlib.Path) -> None:
    ui = section(trainer).ui
    assert ui.stateLabel.text == "Nothing is being trained."
    assert not any(button.enabled for button in (ui.pauseButton, ui.finishButton, ui.discardButton))
    assert not ui.progressBar.visible and not ui.viewFrame.visible


def test_only_what_can_be_done_is_enabled(opened: Callable) -> None:
    shown = opened()
    names = ("pauseButton", "resumeButton", "finishButton", "discardButton")
    for state, enabled in (("running", ["pauseButton", "finishButton", "discardButton"]),
                           ("paused", ["resumeButton", "discardButton"]),
                           ("failed", ["resumeButton", "discardButton"]), ("finished", ["discardButton"])):
        write_heartbeat(shown.control.reader.folder, state)
        shown.control._follower.tick()
        buttons = {name: getattr(shown.ui, name) for name in names}
        assert [name for name, one in buttons.items() if one.enabled and not one.isHidden()] == enabled


def test_a_press_leaves_word_for_the_run(opened: Callable) -> None:
    shown = opened()
    folder = shown.control.reader.folder
    for button, file, state in ((shown.ui.pauseButton, "pause.request", "pausing"),
                                (shown.ui.finishButton, "finish.request", "finishing")):
        button.click()
        assert (folder / file).exists() and shown.control.reader.state == state
        (folder / file).unlink()
        shown.control._follower.tick()


def test_another_window_may_only_look(opened: Callable, trainer: Any) -> None:
    from alhvr.core.process import ProcessMark

    shown = opened()
    trainer.logic.session.holder = ProcessMark(1, "1", "elsewhere")
    trainer.panel.refresh()
    buttons = (shown.ui.pauseButton, shown.ui.finishButton, shown.ui.discardButton)
    assert not any(button.enabled for button in buttons)
    assert nodes("vtkMRMLPlotChartNode")


def test_discard_asks_and_then_deletes(opened: Callable, trainer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRLib import widgets

    monkeypatch.setattr(widgets, "DOUBLE_CLICK_S", 0.0)
    shown = opened("paused")
    run = shown.control.reader.folder
    shown.ui.discardButton.click()
    assert run.exists() and shown.ui.discardButton.text == "Press again to delete it"
    shown.ui.discardButton.click()
    assert not run.exists() and list(run.parent.iterdir()) == []
    assert trainer.logic.session.run is None and shown.ui.stateLabel.text == "Nothing is being trained."


def test_a_run_on_another_computer_is_not_discarded_here(opened: Callable, trainer: Any,
                                                         monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRLib import widgets

    monkeypatch.setattr(widgets, "DOUBLE_CLICK_S", 0.0)
    shown = opened(host="server", pid=2**22 - 3)
    shown.ui.discardButton.click()
    shown.ui.discardButton.click()
    assert shown.control.reader.folder.exists()
    assert trainer.panel.message == "The training runs on the computer server: pause it first."


def test_the_log_is_behind_one_click(opened: Callable) -> None:
    shown = opened()
    (shown.control.reader.folder / "stderr.txt").write_text("something from a library\n")
    assert not shown.ui.logText.visible
    shown.ui.logButton.click()
    assert shown.ui.logText.plainText.splitlines() == [
        "The computer does not go to sleep by itself while this runs.", "something from a library"]


def test_curves_come_with_the_panel_and_go_with_it(opened: Callable, trainer: Any) -> None:
    import slicer

    layout = slicer.app.layoutManager().layout
    opened()
    chart = nodes("vtkMRMLPlotChartNode")[0]
    assert nodes("vtkMRMLPlotViewNode")[0].GetPlotChartNodeID() == chart.GetID()
    trainer.exit()
    assert not nodes("vtkMRMLPlotChartNode") and slicer.app.layoutManager().layout == layout
    trainer.enter()
    assert nodes("vtkMRMLPlotChartNode") and slicer.app.layoutManager().layout != layout


def test_a_folded_section_leaves_the_views_to_others(opened: Callable, trainer: Any) -> None:
    import slicer

    layout = slicer.app.layoutManager().layout
    shown = opened()
    trainer.panel.showSection("OutcomeSection")
    assert not nodes("vtkMRMLPlotChartNode") and slicer.app.layoutManager().layout == layout
    write_lines(shown.control.reader.folder / "archive" / "metrics.jsonl", [dice_line(600, 1440.0, 0.7)], "a")
    let_qt_work(lambda: "0.70 at minute 24" in shown.ui.detailLabel.text)
    assert not nodes("vtkMRMLPlotChartNode")


def test_opening_a_project_shows_a_run_that_is_not_over(trainer: Any, project_folder: Callable) -> None:
    folder = project_folder()
    write_run(folder / "runs" / "1", "paused", elapsed_s=60.0)
    trainer.logic.session.open(folder)
    assert trainer.panel.openSection == "TrainingSection"


def test_a_validation_is_drawn_when_it_comes(opened: Callable) -> None:
    shown = opened()
    write_lines(shown.control.reader.folder / "archive" / "metrics.jsonl", [dice_line(600, 1440.0, 0.7)], "a")
    let_qt_work(lambda: "0.70 at minute 24" in shown.ui.detailLabel.text)
    series = next(node for node in nodes("vtkMRMLPlotSeriesNode") if node.GetName() == "mean, with the archive")
    table = series.GetTableNode().GetTable()
    assert table.GetColumnByName(series.GetYColumnName()).GetValue(5) == 0.7


def test_another_chart_is_chosen_in_the_panel(opened: Callable) -> None:
    shown = opened()
    view = nodes("vtkMRMLPlotViewNode")[0]
    shown.ui.chartBox.currentIndex = 1
    assert view.GetPlotChartNode().GetTitle() == "Losses"
    shown.ui.chartBox.currentIndex = 3
    assert not nodes("vtkMRMLPlotChartNode") and view.GetPlotChartNodeID() is None


def test_closing_the_scene_touches_no_run_and_the_curves_come_back(opened: Callable, trainer: Any) -> None:
    import slicer

    shown = opened()
    slicer.mrmlScene.Clear(0)
    assert shown.control.reader.state == "training"
    let_qt_work(lambda: len(nodes("vtkMRMLPlotSeriesNode")) == 4)


def test_a_reloaded_module_finds_the_run_again(opened: Callable, trainer: Any) -> None:
    shown = opened()
    folder = trainer.logic.session.folder
    trainer.cleanup()
    assert not nodes("vtkMRMLPlotChartNode") and shown.control.reader is None
    trainer.setup()
    trainer.logic.session.open(folder)
    all_is_read(section(trainer))
    assert section(trainer).control.reader.curves.best.dice == 0.64


GONE = 2**22 - 3
"""No process has this ID."""


def has_ended(shown: Any) -> None:
    """The run is done, and so is its process."""
    write_heartbeat(shown.control.reader.folder, "finished", pid=GONE)
    shown.control.reader._child = None


def test_what_the_process_of_the_run_has_begun_is_not_begun_again(opened: Callable, trainer: Any,
                                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRTrainerLib.run.control import RunControl

    monkeypatch.setattr(RunControl, "_launch", lambda control, run: pytest.fail("begun twice"))
    shown, session = opened(), trainer.logic.session
    for minutes in (5.0, 6.0):
        session.save(minutes=minutes)
        shown.control.start()
    write_run(session.folder / "runs" / "2", "running")
    write_queue(session.folder, session.project.queue[1:])
    has_ended(shown)
    let_qt_work(lambda: shown.control.reader.folder.name == "2" and shown.control.state == "training")
    assert [waiting["minutes"] for waiting in session.project.queue] == [6.0]


def write_queue(folder: pathlib.Path, queue: tuple) -> None:
    """As another program does."""
    record = json.loads((folder / "project.json").read_text())
    (folder / "project.json").write_text(json.dumps({**record, "queue": queue}))


def test_a_run_that_a_terminal_begins_is_followed(trainer: Any, project: pathlib.Path) -> None:
    shown, session = section(trainer), trainer.logic.session
    (project / "runs" / "1").mkdir(parents=True)
    shown.control.look()
    assert session.run is None  # it has said nothing yet
    write_run(project / "runs" / "1")
    let_qt_work(lambda: session.state == "training")
    assert shown.ui.pauseButton.enabled


def test_what_another_program_writes_into_the_project_is_taken_over(trainer: Any, project: pathlib.Path) -> None:
    write_queue(project, ({"minutes": 3.0},))
    let_qt_work(lambda: section(trainer).control.nWaiting == 1)
    (project / "project.json").write_text("{")
    section(trainer).control.look()
    assert section(trainer).control.nWaiting == 1


def test_looking_for_what_others_did_takes_less_than_a_millisecond(trainer: Any, project: pathlib.Path) -> None:
    control = section(trainer).control
    for number in range(1, 200):
        (project / "runs" / str(number)).mkdir(parents=True)
    write_run(project / "runs" / "200")
    control.look()
    began_at = time.process_time()
    for _look in range(100):
        control.look()
    assert (time.process_time() - began_at) / 100 < 0.001


def dot_of(module: Any) -> tuple[int, int, int]:
    """Colour of the module's icon in the list of modules, at its lower right."""
    return module.action().icon.pixmap(64, 64).toImage().pixelColor(48, 48).getRgb()[:3]


def test_another_module_shows_that_a_training_goes_on(opened: Callable, trainer: Any, main_window: Any) -> None:
    import slicer

    module = slicer.modules.alhvrtrainer
    slicer.util.selectModule("ALHVRTrainer")
    plain = dot_of(module)
    shown = opened()
    assert dot_of(module) == (63, 127, 208) and shown._sign._button is None
    slicer.util.selectModule("Data")
    button = shown._sign._button
    assert button.text == "ALHVR Trainer: Training with the archive, 40 min left."
    has_ended(shown)
    let_qt_work(lambda: dot_of(module) == (46, 158, 91))
    button.click()
    assert trainer.parent.isEntered and dot_of(module) == plain and shown._sign._button is None


def test_a_slicer_that_starts_shows_that_a_training_goes_on(trainer: Any, project_folder: Callable,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    import slicer
    from ALHVRTrainerLib import recent_projects
    from ALHVRTrainerLib.run.sign import StartLook, TrainingSign

    module, folder = slicer.modules.alhvrtrainer, project_folder()
    plain = dot_of(module)
    monkeypatch.delattr(slicer.modules, "ALHVRTrainerWidget")  # the panel was not opened yet
    recent_projects.remember(folder)
    for state, colour in (("running", (63, 127, 208)), ("paused", plain), ("failed", (208, 48, 48))):
        write_run(folder / "runs" / "1", state)
        look = StartLook()
        let_qt_work(lambda one=look: not one._thread.isWatched)
        assert dot_of(module) == colour
    TrainingSign().show("failed", "", panelIsOpen=True)
    assert dot_of(module) == plain
    (folder / "project.json").write_text("{")
    look = StartLook()
    let_qt_work(lambda: not look._thread.isWatched)
    assert dot_of(module) == plain


def test_a_panel_that_goes_leaves_no_sign(opened: Callable, trainer: Any, main_window: Any) -> None:
    import slicer

    module = slicer.modules.alhvrtrainer
    plain = dot_of(module)
    opened()
    trainer.exit()
    assert dot_of(module) != plain
    trainer.cleanup()
    assert dot_of(module) == plain
    trainer.setup()


def test_window_and_engine_call_the_files_of_a_run_alike(slicer_app: object) -> None:
    from ALHVRTrainerLib.run import control, detached

    from alhvr.comparison import queue

    assert (detached.EVENTS, detached.STDERR, control.QUEUED) == (queue.EVENTS, queue.STDERR, queue.QUEUED)


def test_what_waits_is_counted_and_kept_in_the_project(opened: Callable, trainer: Any) -> None:
    shown = opened()
    assert shown.control.start() == "The training waits until the one that goes on is done."
    assert trainer.logic.session.project.queue[0]["minutes"] == 60.0
    assert shown.ui.queueLabel.text == "1 more training(s) wait for this one."


def test_what_waits_begins_when_the_run_is_done(opened: Callable, trainer: Any,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRTrainerLib.run.control import RunControl

    begun = []
    monkeypatch.setattr(RunControl, "_launch", lambda control, run: begun.append(run))
    shown = opened()
    trainer.logic.session.save(minutes=5.0)
    shown.control.start()
    trainer.logic.session.save(minutes=60.0)
    write_heartbeat(shown.control.reader.folder, "finished")
    let_qt_work_for(0.5)
    assert not begun  # its process is still there, and begins it by itself
    has_ended(shown)
    let_qt_work(lambda: bool(begun))
    assert begun == [trainer.logic.session.folder / "runs" / "2"]
    assert trainer.logic.session.project.queue == () and trainer.logic.session.project.minutes == 5.0


def test_what_cannot_begin_waits_on(opened: Callable, trainer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown = opened()
    shown.control.start()
    monkeypatch.setenv("PATH", "")
    has_ended(shown)
    let_qt_work(lambda: shown.control.state == "finished" and not shown.control._nextIsDue)
    assert len(trainer.logic.session.project.queue) == 1 and len(trainer.logic.session.runs()) == 1


def preview_of(shown: Any, trainer: Any, *iterations: int) -> None:
    """Previews of a scan of the project, found by the section."""
    run = shown.control.reader.folder
    image = next((trainer.logic.session.folder / "cases" / "images").glob("case0*"))
    for grow, iteration in enumerate(iterations):
        write_preview(run, iteration, image, grow=3 * grow)
    write_lines(run / "archive" / "metrics.jsonl", [dice_line(600, 1440.0, 0.7)], "a")


def layers() -> list[str | None]:
    from slicer import vtkMRMLSliceCompositeNode  # noqa: F401

    composite = nodes("vtkMRMLSliceCompositeNode")[0]
    return [composite.GetBackgroundVolumeID(), composite.GetLabelVolumeID()]


def test_segmentations_of_other_scans_do_not_lie_over_a_preview(opened: Callable, trainer: Any) -> None:
    import slicer

    mine, hidden = (slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name) for name in ("mine", "hidden"))
    for node in (mine, hidden):
        node.CreateDefaultDisplayNodes()
    hidden.GetDisplayNode().SetVisibility(False)
    shown = opened()
    preview_of(shown, trainer, 500)
    let_qt_work(lambda: len(nodes("vtkMRMLSegmentationNode")) == 3)
    assert [node.GetDisplayNode().GetVisibility() for node in nodes("vtkMRMLSegmentationNode")] == [0, 0, 1]
    trainer.exit()
    assert [node.GetDisplayNode().GetVisibility() for node in (mine, hidden)] == [1, 0]


def test_a_preview_is_shown_in_the_slices_and_goes_without_a_trace(opened: Callable, trainer: Any) -> None:
    import slicer

    volume = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScalarVolumeNode", "mine")
    slicer.util.setSliceViewerLayers(background=volume)
    shown = opened()
    before = {node.GetID() for node in nodes("vtkMRMLVolumeNode")}
    preview_of(shown, trainer, 500)
    let_qt_work(lambda: bool(nodes("vtkMRMLSegmentationNode")))
    segmentation = nodes("vtkMRMLSegmentationNode")[0].GetSegmentation()
    assert [segmentation.GetNthSegment(number).GetName() for number in range(2)] == ["liver", "spleen"]
    assert [slicer.mrmlScene.GetNodeByID(one).GetName() for one in layers()] == [
        "ALHVR preview: case0", "ALHVR preview: case0, regions"]
    shown.ui.previewBox.currentIndex = 0
    assert layers() == [volume.GetID(), None] and not nodes("vtkMRMLSegmentationNode")
    assert {node.GetID() for node in nodes("vtkMRMLVolumeNode")} == before
    assert not nodes("vtkMRMLColorTableNode") or all("ALHVR preview" not in node.GetName()
                                                     for node in nodes("vtkMRMLColorTableNode"))


def test_the_slider_goes_back_through_the_previews(opened: Callable, trainer: Any) -> None:
    import numpy as np
    import slicer

    shown = opened()
    preview_of(shown, trainer, 100, 500)
    let_qt_work(lambda: bool(nodes("vtkMRMLSegmentationNode")))
    assert shown.ui.minuteSlider.maximum == 1 and shown.ui.minuteLabel.text == "20"

    def size() -> int:
        node = nodes("vtkMRMLSegmentationNode")[0]
        return int(np.count_nonzero(slicer.util.arrayFromSegmentInternalBinaryLabelmap(node, "preview_1")))

    newest = size()
    shown.ui.minuteSlider.value = 0
    let_qt_work(lambda: size() < newest)
    assert shown.ui.minuteLabel.text == "4"


def test_a_scan_outside_of_the_project_is_not_loaded(opened: Callable, trainer: Any, tmp_path: pathlib.Path) -> None:
    import shutil

    shown = opened()
    image = next((trainer.logic.session.folder / "cases" / "images").glob("case0*"))
    outside = tmp_path / "secret" / f"other{image.suffix}"
    outside.parent.mkdir()
    shutil.copy(image, outside)
    write_preview(shown.control.reader.folder, 500, outside)
    write_lines(shown.control.reader.folder / "archive" / "metrics.jsonl", [dice_line(600, 1440.0, 0.7)], "a")
    let_qt_work(lambda: bool(shown.ui.previewNoteLabel.text))
    assert shown.ui.previewNoteLabel.text == "The scan other.nrrd is not in the project or its archive any more."


def test_a_scan_that_a_preview_names_on_another_computer_is_not_looked_up(opened: Callable, tmp_path: pathlib.Path,
                                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    opened()
    from ALHVRTrainerLib.training.preview_files import place_of

    from ALHVRLib.scene.errors import SceneError

    asked: list[pathlib.Path] = []
    monkeypatch.setattr(pathlib.Path, "exists", lambda path: bool(asked.append(path)))
    with pytest.raises(SceneError, match=r"scan\.nrrd is not in the project"):
        place_of(pathlib.Path("//server/share/scan.nrrd"), [tmp_path])
    assert asked == [tmp_path.resolve() / "cases" / "images" / "scan.nrrd"]


@pytest.fixture
def in_main_window(main_window: Any, load_panel: Callable, own_settings: pathlib.Path,
                   project_folder: Callable) -> tuple[Any, pathlib.Path]:
    """The main window, and a run that goes on in its panel."""
    trainer = load_panel(ROOT / "ALHVRTrainer" / "ALHVRTrainer.py").widget
    folder = project_folder()
    run = write_run(folder / "runs" / "1")
    trainer.logic.session.open(folder)
    let_qt_work(lambda: trainer.logic.session.state == "training")
    return main_window, run


def test_closing_slicer_asks_what_becomes_of_the_training(in_main_window: Any, dialog_answers: Any) -> None:
    import qt
    import slicer

    window, run = in_main_window
    for answer, closes, pauses in (("Cancel", False, False), ("Yes", True, False), ("No", True, True)):
        dialog_answers.answer(getattr(qt.QMessageBox, answer))
        assert window.close() is closes
        slicer.app.aboutToQuit.emit()
        assert (run / "pause.request").exists() is pauses
    assert "What is to become of the training?" in dialog_answers.shown[0]


def test_closing_slicer_asks_nothing_while_nothing_is_trained(opened: Callable, main_window: Any) -> None:
    opened("paused")
    assert main_window.close() is True
