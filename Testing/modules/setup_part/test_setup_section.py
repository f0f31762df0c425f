"""The top of the panel: says what is missing, installs it when asked, and goes away."""

from __future__ import annotations

import pathlib
import sys
import types

import pytest
from child_watch import let_qt_work
from setup_worlds import package_server, write_wheel


def press(button: object) -> None:
    """Press a button that can be seen and pressed."""
    assert button.isVisible() and button.enabled
    button.click()


def choose_gpu(section: object) -> None:
    """Set "Run on" to the graphics card, in a parameter node of the scene."""
    import slicer

    from ALHVRSegmentationLib.parameters import ALHVRSegmentationParameterNode, RunOn

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLScriptedModuleNode")
    section.panel.parameters = ALHVRSegmentationParameterNode(node)
    section.panel.parameters.runOn = RunOn.GPU
    section.panel.refresh()


def test_it_says_in_one_line_what_is_missing_and_how_large(section: object) -> None:
    from ALHVRLib import paths

    assert section.frame.isVisible()
    assert not section.ready()
    assert section.missingText() == "The package onnxruntime is needed first: see the top of the panel."
    assert section.ui.packageLabel.text == (
        "Segmenting needs the package onnxruntime once: 28 MB to fetch, 76 MB on disk. It goes into the folder of your "
        "Slicer settings; Slicer itself is not changed.")
    assert str(paths.packages_folder()) in section.ui.packageLabel.toolTip
    for name in ("runningFrame", "torchFrame", "fetchText", "logButton"):
        assert not getattr(section.ui, name).isVisible()


def test_it_is_not_there_when_nothing_is_missing(section: object) -> None:
    from ALHVRLib import paths

    (paths.packages_folder() / "onnxruntime").mkdir(parents=True)
    (paths.packages_folder() / "onnxruntime" / "__init__.py").write_text("")
    section.follow(None)
    section.refresh()
    assert not section.frame.isVisible()
    assert section.ready()
    assert section.missingText() == ""


def test_installing_from_a_folder_makes_it_go_away(section: object, dialog_answers: object,
                                                   tmp_path: pathlib.Path) -> None:
    write_wheel(tmp_path / "wheels")
    dialog_answers.answer(str(tmp_path / "wheels"))
    press(section.ui.folderButton)
    assert section.ui.cancelButton.isVisible()
    assert not section.ui.installButton.isVisible()
    let_qt_work(section.ready)
    assert section.panel.said == [("onnxruntime 1.99.0 is installed.", "note")]
    assert section.panel.refreshed
    assert not section.frame.isVisible()


def test_packages_are_installed_one_after_the_other(section: object, dialog_answers: object,
                                                    tmp_path: pathlib.Path) -> None:
    from ALHVRLib.requirements import ONNXRUNTIME, Requirement

    section._requirements = (ONNXRUNTIME, Requirement("tables_here", ">=1", wheels=ONNXRUNTIME.wheels))
    section.follow(None)
    section.refresh()
    assert section.ui.packageLabel.text.startswith("Segmenting needs the packages onnxruntime, tables_here once: 56 MB")
    write_wheel(tmp_path / "wheels")
    dialog_answers.answer(str(tmp_path / "wheels"))
    press(section.ui.folderButton)
    let_qt_work(lambda: bool(section.panel.said))
    assert ONNXRUNTIME.is_met()
    assert section.panel.said[0][0].startswith("tables_here was not installed, and nothing was changed: ")


def test_no_folder_chosen_is_no_installation(section: object, dialog_answers: object) -> None:
    dialog_answers.answer("")
    press(section.ui.folderButton)
    assert section.ui.installButton.isVisible()
    assert section.panel.said == []


def test_a_failed_installation_says_why_and_can_be_tried_again(section: object, dialog_answers: object,
                                                               tmp_path: pathlib.Path) -> None:
    write_wheel(tmp_path / "wheels", "import nowhere_at_all")
    dialog_answers.answer(str(tmp_path / "wheels"))
    press(section.ui.folderButton)
    let_qt_work(lambda: bool(section.panel.said))
    (text, kind), = section.panel.said
    assert kind == "error"
    assert "The Python package nowhere_at_all is missing." in text
    assert section.ui.installButton.isVisible()
    assert section.ui.logButton.isVisible()
    assert not section.ready()


def test_an_empty_folder_is_told_at_once(section: object, dialog_answers: object, tmp_path: pathlib.Path) -> None:
    dialog_answers.answer(str(tmp_path))
    press(section.ui.folderButton)
    assert section.panel.said[0][1] == "error"
    assert section.ui.installButton.isVisible()


def test_cancel_stops_installing(section: object, monkeypatch: pytest.MonkeyPatch) -> None:
    with package_server(None) as (port, asked):
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
        press(section.ui.installButton)
        section.onInstall()
        let_qt_work(lambda: bool(asked))
        press(section.ui.cancelButton)
        assert not section.ui.cancelButton.enabled
        let_qt_work(lambda: bool(section.panel.said))
    assert section.panel.said == [("Installing was cancelled; nothing was changed.", "note")]
    assert section.ui.installButton.isVisible()


def test_a_panel_that_goes_takes_the_installation_along(section: object, bare_slicer: pathlib.Path,
                                                        monkeypatch: pytest.MonkeyPatch) -> None:
    with package_server(None) as (port, asked):
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
        press(section.ui.installButton)
        let_qt_work(lambda: bool(asked))
        section.cleanUp()
    assert list(bare_slicer.iterdir()) == []
    assert section.panel.said == []


def test_what_to_fetch_is_shown_and_on_the_clipboard(section: object) -> None:
    import qt

    from ALHVRLib.requirements import ONNXRUNTIME

    press(section.ui.fetchButton)
    command = ONNXRUNTIME.fetch_command(ONNXRUNTIME.wheel())
    assert qt.QApplication.clipboard().text() == command
    assert command in section.ui.fetchText.plainText
    assert ONNXRUNTIME.file_name(ONNXRUNTIME.wheel()) in section.ui.fetchText.plainText
    assert section.ui.fetchText.isVisible()


def test_the_graphics_card_without_the_extension_says_how_to_get_it(section: object) -> None:
    choose_gpu(section)
    assert not section.ready()
    assert section.missingText() == "PyTorch is needed for the graphics card: see the top of the panel."
    assert "Extensions Manager" in section.ui.torchLabel.text
    assert not section.ui.torchButton.isVisible()
    assert not section.ui.packageFrame.isVisible()


PYTORCH_UTILS = """
calls = []
result = None

class PyTorchUtilsLogic:
    def installTorch(self, askConfirmation=False, forceComputationBackend=None, torchVersionRequirement=None,
                     torchvisionVersionRequirement=None):
        calls.append((askConfirmation, torchVersionRequirement))
        if isinstance(result, Exception):
            raise result
        return result
"""


@pytest.fixture
def extension(bare_slicer: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """The extension PyTorch, as far as it is used."""
    (tmp_path / "extension").mkdir()
    (tmp_path / "extension" / "PyTorchUtils.py").write_text(PYTORCH_UTILS)
    monkeypatch.delitem(sys.modules, "PyTorchUtils")
    monkeypatch.syspath_prepend(tmp_path / "extension")
    import PyTorchUtils

    return PyTorchUtils


@pytest.mark.parametrize(("result", "said"), [
    (None, ("PyTorch was not installed.", "error")),
    (RuntimeError("no network\nat all."), ("PyTorch was not installed: no network at all.", "error")),
    (types.ModuleType("torch"), ("PyTorch is installed.", "note"))])
def test_the_extension_installs_pytorch(extension: types.ModuleType, section: object,
                                        result: object, said: tuple[str, str]) -> None:
    extension.result = result
    choose_gpu(section)
    press(section.ui.torchButton)
    assert extension.calls == [(True, ">=2.5")]
    assert section.panel.said == [said]


def test_the_keyboard_goes_from_top_to_bottom(section: object) -> None:
    import qt

    press(section.ui.fetchButton)
    order, widget = [], section.ui.installButton
    for _ in range(40):
        takes_keys = widget.isVisible() and int(widget.focusPolicy) & int(qt.Qt.TabFocus)
        if takes_keys and widget.objectName in vars(section.ui):
            order.append(widget.objectName)
        widget = widget.nextInFocusChain()
        if widget == section.ui.installButton:
            break
    assert order == ["installButton", "folderButton", "fetchButton", "fetchText"]


@pytest.mark.parametrize("scale", [1.0, 1.25])
def test_nothing_is_cut_off(section: object, scale: float) -> None:
    from slicer_stand_in.pictures import look

    press(section.ui.fetchButton)
    with look(section.widget, scale=scale):
        section.widget.resize(380, section.widget.sizeHint.height())
        let_qt_work(lambda: section.widget.width <= 380)
        for name in ("installButton", "folderButton", "fetchButton"):
            button = getattr(section.ui, name)
            assert button.width >= button.sizeHint.width(), name
        label = section.ui.packageLabel
        assert label.height >= label.heightForWidth(label.width)
