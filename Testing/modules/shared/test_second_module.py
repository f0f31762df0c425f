"""The shared library serves a second module, which has a panel, requirements and sections of its own."""

from __future__ import annotations

import importlib
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import pytest
from child_watch import let_qt_work
from model_worlds import write_model_folder
from module_worlds import generated_scan
from support import ROOT

SECOND = pathlib.Path(__file__).parent / "second" / "Second.py"


@pytest.fixture
def panel(load_panel: Callable, own_settings: pathlib.Path) -> Any:
    """The panel of the second module, with one model installed."""
    write_model_folder(own_settings / "models" / "liver")
    return load_panel(SECOND).widget.panel


def section(panel: Any, name: str) -> Any:
    return next(one for one in panel.sections if type(one).__name__ == name)


def test_a_second_module_runs_the_engine_in_a_child_process(panel: Any) -> None:
    ui = section(panel, "VersionSection").ui
    ui.askButton.click()
    let_qt_work(lambda: bool(ui.endLabel.text))
    assert ui.endLabel.text == "finished"
    assert panel.message.startswith("alhvr ")


def test_a_second_module_lists_the_models_of_the_user(panel: Any) -> None:
    assert section(panel, "VersionSection").ui.modelsLabel.text == "Liver and spleen"


def test_a_second_module_asks_for_its_own_requirements(panel: Any) -> None:
    setup = section(panel, "SetupSection")
    assert not setup.ready()
    assert setup.ui.packageLabel.text.startswith("Asking needs the package tables_of_second once: 1 MB to fetch")


def test_a_second_module_decides_itself_when_it_needs_pytorch(panel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = section(panel, "SetupSection")
    assert setup.ui.packageFrame.visible
    monkeypatch.setitem(sys.modules, "torch", None)
    panel.parameters.useTorch = True
    panel.follow(panel.parameters)
    assert not setup.ui.packageFrame.visible
    assert setup.ui.torchFrame.visible


FILES = {name: ROOT / name / f"{name}.py" for name in ("ALHVRSegmentation", "ALHVRTrainer")}
SECTION = {"ALHVRSegmentation": ("ALHVRSegmentationLib.segment.section", "SegmentSection"),
           "ALHVRTrainer": ("ALHVRTrainerLib.header_section", "HeaderSection")}


@pytest.mark.parametrize(("reloaded", "other"), [tuple(FILES), tuple(reversed(FILES))], ids=lambda name: name)
def test_modules_work_on_when_one_is_reloaded_while_the_other_is_open(
        load_panel: Callable, own_settings: pathlib.Path, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch,
        reloaded: str, other: str) -> None:
    import slicer

    monkeypatch.syspath_prepend(FILES["ALHVRTrainer"].parent)
    open_before = {name: load_panel(path).widget for name, path in FILES.items()}
    slicer.util.getModuleWidget(reloaded).onReload()
    widgets = {name: slicer.util.getModuleWidget(name) for name in FILES}
    assert widgets[reloaded] is not open_before[reloaded] and widgets[other] is open_before[other]
    for name, widget in widgets.items():
        file, kind = SECTION[name]
        assert widget.panel.section(getattr(importlib.import_module(file), kind)) in widget.panel.sections
    slicer.mrmlScene.Clear(0)
    for widget in widgets.values():
        widget.exit()
        widget.enter()
    segmentation, trainer = (widgets[name] for name in FILES)
    segmentation.panel.parameters.inputVolume = generated_scan()
    trainer.logic.session.new(tmp_path / "livers", "livers")
    assert not trainer.panel.sections[0].ui.newButton.visible
    second = load_panel(SECOND).widget.panel
    test_a_second_module_runs_the_engine_in_a_child_process(second)
