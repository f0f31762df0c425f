"""Self test: what Reload and Test tries in any Slicer within seconds, on a scene of its own."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np
import slicer

from alhvr.formats.labels import Code, Label
from ALHVRLib import paths
from ALHVRLib.child_process import ChildProcess
from ALHVRSegmentationLib.results.import_segmentation import put_segments

if TYPE_CHECKING:
    from slicer.ScriptedLoadableModule import ScriptedLoadableModuleTest

PATIENCE_S = 60.0


def run_self_test(test: ScriptedLoadableModuleTest) -> None:
    """Run every check; `test` is the module's ScriptedLoadableModuleTest."""
    for check in (_a_voxel_keeps_its_place, _the_engine_answers):
        slicer.mrmlScene.Clear(0)
        test.delayDisplay(check.__doc__)
        check(test)
    slicer.mrmlScene.Clear(0)


def _a_voxel_keeps_its_place(test: ScriptedLoadableModuleTest) -> None:
    """A voxel of a result lies where it lies in the patient, in a turned scan of flat voxels."""
    matrix = np.array([[0.0, 0.0, 3.0, 10.0], [-0.8, 0.0, 0.0, 20.0], [0.0, 0.9, 0.0, -30.0], [0.0, 0.0, 0.0, 1.0]])
    volume = slicer.util.addVolumeFromArray(np.zeros((5, 7, 9), np.int16), matrix, "turned")
    result = np.zeros((5, 7, 9), np.uint8)
    result[3, 4, 6] = 1
    tissue = Code("SCT", "85756007", "Tissue")
    placed = put_segments(result, (Label(1, "spot", (1.0, 0.0, 0.0), tissue, tissue),), volume, None, "self test")
    node = slicer.mrmlScene.GetNodeByID(placed.segmentation_id)
    test.assertTrue(np.allclose(node.GetSegmentCenterRAS(placed.segment_ids[0]), (matrix @ [6, 4, 3, 1])[:3]))


def _the_engine_answers(test: ScriptedLoadableModuleTest) -> None:
    """The engine runs in a process beside Slicer and ends well."""
    folder, endings = paths.work_folder("selftest"), []
    try:
        child = ChildProcess(["--version"], onEvent=_ignore, onLog=_ignore, onEnd=endings.append, workFolder=folder)
        child.start()
        until = time.monotonic() + PATIENCE_S
        while child.isRunning and time.monotonic() < until:
            slicer.app.processEvents()
        child.discard()
    finally:
        paths.remove_folder(folder)
    test.assertEqual([ending.kind for ending in endings], ["finished"], [ending.message for ending in endings])


def _ignore(_said: object) -> None:
    """Nothing of what it says matters here."""
