"""What Slicer asks of the module: the tests meant for inside it, and those that it generates, run here too."""

from __future__ import annotations

import importlib.util
import pathlib
import unittest
from collections.abc import Callable
from typing import Any

import pytest


@pytest.mark.parametrize("with_window", [True, False], ids=["main window", "no main window"])
def test_the_tests_for_inside_slicer_pass_here(
    load_panel: Callable[[pathlib.Path], Any], module_file: pathlib.Path, own_settings: pathlib.Path, with_window: bool,
    request: pytest.FixtureRequest
) -> None:
    if with_window:
        request.getfixturevalue("main_window")
    load_panel(module_file)
    path = module_file.parent / "Testing" / "Python" / "ALHVRSegmentationInSlicerTest.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    tests = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tests)
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromModule(tests).run(result)
    print("\n".join(f"skipped inside: {test.id()}: {reason}" for test, reason in result.skipped))
    assert result.testsRun >= 6 and result.wasSuccessful(), "\n".join(
        text for _, text in (*result.failures, *result.errors))


@pytest.fixture
def panel(load_panel: Callable[[pathlib.Path], Any], module_file: pathlib.Path) -> Any:
    return load_panel(module_file)


def test_what_slicer_generates_tests_for_is_filled_in(panel: Any) -> None:
    module = panel.module
    assert module.name == "ALHVRSegmentation" and tuple(module.categories) == ("Segmentation",)
    assert module.contributors and module.acknowledgementText and module.helpText and module.title
    assert not module.icon.isNull()
    assert module.widgetRepresentation() is module.widgetRepresentation()


def test_the_panel_survives_another_scene_and_back(panel: Any) -> None:
    import slicer

    selector = slicer.util.findChildren(panel.representation, className="qMRMLNodeComboBox")[0]
    for scene in (slicer.vtkMRMLScene(), slicer.mrmlScene):
        panel.representation.setMRMLScene(scene)
        slicer.app.processEvents()
    assert selector.mrmlScene() is slicer.mrmlScene


def test_the_panel_is_built_without_a_main_window_and_before_it_is_shown(module_file: pathlib.Path) -> None:
    import slicer
    from slicer_stand_in.module_widgets import load_module, unload_module

    module = load_module(module_file)
    assert slicer.util.mainWindow() is None
    assert module.widgetRepresentation().self().panel is not None
    unload_module(module.name)
