"""A test must fail when something was left behind: what the stand-in says of each kind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest


@pytest.fixture
def complaints(clean_slate: None) -> Callable[[Callable[[], None]], list[str]]:
    """What the stand-in says after an action, as at the end of a test."""
    from slicer_stand_in.left_behind import Watch

    def after(action: Callable[[], None]) -> list[str]:
        watch = Watch()
        watch.begin()
        action()
        return watch.complaints()

    return after


def test_nothing_is_said_of_a_test_that_leaves_nothing(complaints: Callable) -> None:
    import numpy as np
    import slicer

    def act() -> None:
        slicer.util.addVolumeFromArray(np.zeros((3, 4, 5)))
        combo = slicer.qMRMLNodeComboBox()
        combo.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        combo.setMRMLScene(slicer.mrmlScene)

    assert complaints(act) == []


def test_an_exception_in_a_slot_is_told(complaints: Callable) -> None:
    import qt

    def act() -> None:
        button = qt.QPushButton()
        button.connect("clicked()", lambda: 1 / 0)
        button.click()

    (text,) = complaints(act)
    assert "ZeroDivisionError" in text


def test_a_slot_that_takes_too_many_arguments_is_told(complaints: Callable) -> None:
    import qt

    def act() -> None:
        dialog, button = qt.QDialog(), qt.QPushButton()
        button.clicked.connect(dialog.accept)  # clicked(bool) hands over an argument
        button.click()

    (text,) = complaints(act)
    assert "accept" in text


def test_an_exception_in_an_observer_is_told(complaints: Callable) -> None:
    import slicer

    def act() -> None:
        tag = slicer.mrmlScene.AddObserver(slicer.vtkMRMLScene.NodeAddedEvent, lambda *_: 1 / 0)
        slicer.mrmlScene.AddNewNodeByClass("vtkMRMLModelNode")
        slicer.mrmlScene.RemoveObserver(tag)

    (text,) = complaints(act)
    assert "ZeroDivisionError" in text


def test_an_observer_of_the_scene_is_told(complaints: Callable) -> None:
    import slicer

    tags = []
    found = complaints(
        lambda: tags.append(slicer.mrmlScene.AddObserver(slicer.vtkMRMLScene.EndCloseEvent, lambda *_: None))
    )
    slicer.mrmlScene.RemoveObserver(tags[0])
    assert found == [f"1 observer(s) of {slicer.vtkMRMLScene.EndCloseEvent} left on the scene"]


def test_a_panel_still_connected_to_its_parameter_node_is_told(complaints: Callable) -> None:
    import qt
    import slicer
    from slicer.parameterNodeWrapper import parameterNodeWrapper

    kept = []

    def act() -> None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode", "mine")
        wrapper = parameterNodeWrapper(type("Parameters", (), {"__annotations__": {"flag": bool}}))(node)
        box = qt.QCheckBox()
        wrapper.connectParametersToGui({"flag": box})
        kept.extend([wrapper, box])

    assert complaints(act) == ["an observer left on the parameter node mine"]


def test_a_child_process_is_told(complaints: Callable) -> None:
    children = []
    found = complaints(lambda: children.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])))
    children[0].kill()
    children[0].wait()
    assert found[0].startswith("child process left") and f"({children[0].pid})" in found[0]


def test_a_grandchild_whose_parent_has_ended_is_told(complaints: Callable) -> None:
    import os
    import signal

    from slicer_stand_in.left_behind import child_processes

    def act() -> None:
        subprocess.run(["sh", "-c", "sleep 60 & exit 0"], check=True)

    before = child_processes()
    (text,) = complaints(act)
    for pid in set(child_processes()) - set(before):
        os.kill(pid, signal.SIGKILL)
    assert "sleep" in text


def test_a_dialog_without_a_prepared_answer_is_told(complaints: Callable) -> None:
    import qt

    (text,) = complaints(lambda: qt.QMessageBox.question(None, "title", "Really?"))
    assert "Really?" in text


def test_an_answer_that_nobody_asked_for_is_told(complaints: Callable) -> None:
    from slicer_stand_in.dialogs import dialogs

    (text,) = complaints(lambda: dialogs.answer("/some/file"))
    assert "/some/file" in text


def test_an_error_message_of_slicer_util_counts_as_a_dialog_also_without_a_main_window(complaints: Callable) -> None:
    import slicer

    (text,) = complaints(lambda: slicer.util.errorDisplay("the disk is full"))
    assert "the disk is full" in text


def test_a_dialog_left_open_is_told(complaints: Callable) -> None:
    import qt

    dialogs = []

    def act() -> None:
        dialogs.append(qt.QDialog())
        dialogs[0].windowTitle = "still here"
        dialogs[0].show()

    (text,) = complaints(act)
    dialogs[0].hide()
    assert "still here" in text


def test_prepared_answers_are_given_in_order(dialog_answers: object) -> None:
    import qt
    import slicer

    dialog_answers.answer("/data/scan.nii.gz", qt.QMessageBox.Ok)
    assert qt.QFileDialog.getOpenFileName(None, "Open") == "/data/scan.nii.gz"
    assert slicer.util.confirmOkCancelDisplay("Go on?")
    assert len(dialog_answers.shown) == 2
