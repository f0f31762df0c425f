"""Tests of the module inside 3D Slicer: it loads, opens at once without a project, and survives a closed scene.

Run by ctest, or in Slicer's Python console, with this file's folder on sys.path:
    import slicer.testing; slicer.testing.runUnitTest([], "ALHVRTrainerInSlicerTest")
"""

from __future__ import annotations

import logging
import sys
import time
import unittest
from typing import Any

import slicer

MODULE = "ALHVRTrainer"


class ALHVRTrainerInSlicerTest(unittest.TestCase):
    """Each test begins with an empty scene and without a project."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear(0)
        self.module = slicer.util.getModule(MODULE)

    def tearDown(self) -> None:
        self.module.widgetRepresentation().self().logic.session.close()
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule("Data")  # the module selector enters no module that it has selected already
        elif self.module.widgetRepresentation().isEntered:
            self.module.widgetRepresentation().exit()

    def test_the_module_says_what_it_is_and_needs_its_neighbour(self) -> None:
        self.assertEqual(self.module.name, MODULE)
        self.assertIn("ALHVRSegmentation", list(self.module.dependencies))
        self.assertFalse(self.module.icon.isNull())
        self.assertIn("not a medical device", self.module.helpText)

    def test_the_panel_opens_within_a_second_and_loads_nothing_heavy(self) -> None:
        before = set(sys.modules)
        started = time.monotonic()
        panel = self.open()
        seconds = time.monotonic() - started
        came = {name.partition(".")[0] for name in set(sys.modules) - before}
        logging.info("the panel opened in %.2f s", seconds)
        self.assertFalse(came & {"torch", "onnxruntime", "SimpleITK", "matplotlib"})
        self.assertEqual(panel.logic.session.state, "empty")

    def test_a_scene_may_be_closed_while_the_panel_is_open(self) -> None:
        panel = self.open()
        for _round in range(3):
            slicer.mrmlScene.Clear(0)
        self.assertIsNotNone(panel.parameters)

    def open(self) -> Any:
        """Show the panel as the user does; returns the Panel of the module."""
        representation = self.module.widgetRepresentation()
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule(MODULE)
        elif not representation.isEntered:
            representation.enter()
        return representation.self().panel
