"""Tests of the module inside 3D Slicer: it loads, opens without anything installed, keeps its choices, segments.

Run by ctest, or in Slicer's Python console, with this file's folder on sys.path:
    import slicer.testing; slicer.testing.runUnitTest([], "ALHVRSegmentationInSlicerTest")
"""

from __future__ import annotations

import logging
import pathlib
import shutil
import sys
import tempfile
import time
import unittest
from collections.abc import Callable
from typing import Any
from unittest import mock

import numpy as np
import slicer

MODULE = "ALHVRSegmentation"
PATIENCE_S = 300.0


class ALHVRSegmentationInSlicerTest(unittest.TestCase):
    """Each test begins with an empty scene and with folders of its own for models and samples."""

    def setUp(self) -> None:
        slicer.mrmlScene.Clear(0)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="ALHVR-test-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.module = slicer.util.getModule(MODULE)

    def tearDown(self) -> None:
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule("Data")  # the module selector enters no module that it has selected already
        elif self.module.widgetRepresentation().isEntered:
            self.module.widgetRepresentation().exit()
        slicer.mrmlScene.Clear(0)

    def test_the_module_says_what_it_is(self) -> None:
        self.assertEqual(self.module.name, MODULE)
        self.assertIn("Segmentation", list(self.module.categories))
        self.assertFalse(self.module.icon.isNull())
        self.assertIn("not a medical device", self.module.helpText)
        self.assertTrue(self.module.acknowledgementText)

    def test_the_panel_opens_and_loads_nothing_heavy(self) -> None:
        before = set(sys.modules)
        started = time.monotonic()
        panel = self.open()
        seconds = time.monotonic() - started
        came = {name.partition(".")[0] for name in set(sys.modules) - before}
        logging.info("the panel opened in %.2f s", seconds)
        self.assertFalse(came & {"alhvr", "torch", "onnxruntime", "SimpleITK", "highdicom", "matplotlib"})
        self.assertIsNotNone(panel.parameters)

    def test_without_scan_or_library_the_button_waits_and_a_line_says_why(self) -> None:
        panel = self.open()
        self.assertFalse(segmenting(panel).ui.segmentButton.enabled)
        self.assertTrue(segmenting(panel).ui.statusLabel.text)

    def test_choices_come_back_with_a_saved_scene(self) -> None:
        panel = self.open()
        scan = add_scan("Tiny scan")
        panel.parameters.inputVolume = scan
        panel.parameters.beta = 0.65
        panel.parameters.withRegions = False
        self.assertTrue(slicer.util.saveScene(str(self.folder / "scene.mrb")))
        slicer.mrmlScene.Clear(0)
        self.assertIsNone(panel.parameters.inputVolume)
        slicer.util.loadScene(str(self.folder / "scene.mrb"))
        self.assertEqual(panel.parameters.inputVolume.GetName(), "Tiny scan")
        self.assertAlmostEqual(panel.parameters.beta, 0.65)
        self.assertFalse(panel.parameters.withRegions)
        self.assertIs(segmenting(panel).ui.inputSelector.currentNode(), panel.parameters.inputVolume)

    def test_a_scene_may_be_closed_while_the_panel_is_open(self) -> None:
        panel = self.open()
        panel.parameters.inputVolume = add_scan("Tiny scan")
        for _round in range(3):
            slicer.mrmlScene.Clear(0)
        self.assertIsNotNone(panel.parameters)
        self.assertIsNone(panel.parameters.inputVolume)
        self.assertFalse(segmenting(panel).ui.segmentButton.enabled)

    def test_the_sample_scan_is_segmented_by_the_sample_model(self) -> None:
        from ALHVRLib import paths
        from ALHVRLib.requirements import ONNXRUNTIME

        if not ONNXRUNTIME.is_met():
            self.skipTest("onnxruntime is not installed: press Install at the top of the panel, then test again")
        for name in ("models", "samples"):
            patch = mock.patch.object(paths, f"{name}_folder", lambda name=name: self.folder / name)
            patch.start()
            self.addCleanup(patch.stop)
        panel = self.open()
        scan = self.makeSample(panel)
        self.segment(panel)
        segmentation = panel.parameters.segmentation
        self.assertIsNotNone(segmentation, panel.message)
        self.assertGreater(segmentation.GetSegmentation().GetNumberOfSegments(), 0)
        first = segmentation.GetSegmentation().GetNthSegmentID(0)
        mask = slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, first, scan)
        self.assertEqual(mask.shape, slicer.util.arrayFromVolume(scan).shape)
        self.assertGreater(int(mask.sum()), 0)
        self.assertIsNotNone(panel.parameters.regions)

    def makeSample(self, panel: Any) -> Any:
        """Make the sample as by its button; returns the scan."""
        from ALHVRSegmentationLib.models.section import ModelsSection

        panel.section(ModelsSection).ui.sampleButton.click()
        self.waitUntil(lambda: panel.parameters.model and panel.parameters.inputVolume, panel)
        return panel.parameters.inputVolume

    def segment(self, panel: Any) -> None:
        """Press Segment and wait for the end."""
        segmenting(panel).ui.segmentButton.click()
        self.waitUntil(lambda: not segmenting(panel).isRunning, panel)

    def open(self) -> Any:
        """Show the panel as the user does; returns the Panel of the module."""
        representation = self.module.widgetRepresentation()
        if slicer.util.mainWindow() is not None:
            slicer.util.selectModule(MODULE)
        elif not representation.isEntered:
            representation.enter()
        return representation.self().panel

    def waitUntil(self, condition: Callable[[], object], panel: Any) -> None:
        """Let Slicer work until a condition holds."""
        end = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > end:
                self.fail(f"it takes longer than {PATIENCE_S:.0f} s; the panel says: {panel.message}")
            slicer.app.processEvents()
            time.sleep(0.02)


def segmenting(panel: Any) -> Any:
    """The section with the button Segment."""
    from ALHVRSegmentationLib.segment.section import SegmentSection

    return panel.section(SegmentSection)


def add_scan(name: str) -> Any:
    """A tiny volume with a bright box."""
    array = np.zeros((6, 8, 10), np.int16)
    array[2:4, 3:6, 4:7] = 100
    return slicer.util.addVolumeFromArray(array, name=name)
