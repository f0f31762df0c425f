"""The whole story on a real scan, by the widgets: segment, look where it is unsure, export, save, open again."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest
import SimpleITK
from module_worlds import alhvr, atrium_scans, generated_scan, install, wait_until


def run(panel: Any) -> None:
    """Press Segment and wait."""
    from ALHVRSegmentationLib.segment.section import SegmentSection

    section = panel.section(SegmentSection)
    section.ui.segmentButton.click()
    assert section.isRunning, section.ui.statusLabel.text
    wait_until(lambda: not section.isRunning)
    assert panel.parameters.segmentation is not None, panel.message


def are_at(panel: Any, beta: float) -> bool:
    """Whether every voxel has the region that its two confidences and beta make."""
    import slicer

    from ALHVRSegmentationLib.regions.section import RegionsSection

    node, level = panel.parameters.regions, panel.section(RegionsSection).result.level(beta)
    con_a, con_b = (slicer.util.arrayFromVolume(node.GetNodeReference(f"ALHVR.Confidence{name}")) for name in "AB")
    return np.array_equal(slicer.util.arrayFromVolume(node), 1 + (con_a < level).astype(int) + (con_b < level))


def mask(panel: Any, scan: Any) -> np.ndarray:
    import slicer

    node = panel.parameters.segmentation
    return slicer.util.arrayFromSegmentBinaryLabelmap(node, node.GetSegmentation().GetNthSegmentID(0), scan) > 0


def test_a_real_scan_from_the_button_to_a_scene_that_is_opened_again(
    panel: Any, atrium_model: pathlib.Path, tmp_path: pathlib.Path
) -> None:
    import slicer
    from slicer_stand_in.pictures import drag

    from ALHVRSegmentationLib.export.section import ExportSection
    from ALHVRSegmentationLib.regions.section import RegionsSection

    scan = slicer.util.loadVolume(str(atrium_scans()[-1]))
    panel.parameters.inputVolume = scan
    panel.parameters.model = install(atrium_model, "atrium").name
    panel.follow(panel.parameters)
    run(panel)
    found = mask(panel, scan)
    assert found.sum() > 1000

    ui = panel.section(RegionsSection).ui
    ui.showBox.click()
    drag(ui.betaSlider, 0.7, 0.6, 0.5)
    wait_until(lambda: are_at(panel, 0.5))

    wait_until(lambda: ui.placesTable.rowCount > 0)
    ui.nextButton.click()
    place = np.array(slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode").GetCrosshairRAS())
    red = slicer.app.layoutManager().sliceWidget("Red").mrmlSliceNode()
    assert red.GetSliceOffset() == pytest.approx(place[2], abs=1.0)

    export = panel.section(ExportSection).ui
    export.folderButton.directory = str(tmp_path)
    export.nameEdit.text = "atrium"
    export.niftiButton.click()
    written = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "atrium.nii.gz")))
    assert np.array_equal(written > 0, found), panel.message
    assert not export.dicomButton.enabled and "DICOM" in export.dicomReason.text

    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    assert panel.parameters is None or panel.parameters.segmentation is None
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    panel.follow(panel.logic.getParameterNode())
    assert np.array_equal(mask(panel, panel.parameters.inputVolume), found)
    assert panel.parameters.beta == pytest.approx(0.5)
    drag(ui.betaSlider, 0.9)
    wait_until(lambda: are_at(panel, 0.9))


def test_under_a_parent_transform_the_engine_sees_the_scan_as_it_lies_in_the_patient(
    panel: Any, tmp_path: pathlib.Path
) -> None:
    import slicer
    import vtk

    scan = generated_scan()
    panel.parameters.inputVolume = scan
    run(panel)
    upright = mask(panel, scan)
    matrix = vtk.vtkMatrix4x4()
    scan.GetIJKToRASMatrix(matrix)
    turned = slicer.util.arrayFromVTKMatrix(matrix)
    turn = np.array([[0.0, -1, 0, 12], [0, 0, 1, -7], [-1, 0, 0, 30], [0, 0, 0, 1]])
    array = slicer.util.arrayFromVolume(scan).copy()
    other = slicer.util.addVolumeFromArray(array, np.linalg.inv(turn) @ turned, "turned")
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(turn))
    other.SetAndObserveTransformNodeID(transform.GetID())
    panel.parameters.inputVolume = other
    panel.parameters.segmentation = None
    run(panel)
    assert panel.parameters.segmentation.GetParentTransformNode() is transform
    assert np.array_equal(mask(panel, other), upright)


@pytest.mark.parametrize("all_frames", [False, True], ids=["the shown frame", "all frames"])
def test_a_sequence_is_segmented_frame_by_frame(panel: Any, all_frames: bool, tmp_path: pathlib.Path) -> None:
    import slicer

    proxy, browser = _cine()
    panel.parameters.inputVolume = proxy
    panel.parameters.allFrames = all_frames
    run(panel)
    first = mask(panel, proxy)
    assert first.any()
    browser.SetSelectedItemNumber(1)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    second = mask(panel, proxy)
    assert np.array_equal(first, second) != all_frames


def _cine() -> tuple[Any, Any]:
    """Two generated scans on one grid as the frames of a sequence, the first one shown: the proxy, the browser."""
    import slicer

    scene, scan = slicer.mrmlScene, generated_scan()
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "cine")
    sequence.SetDataNodeAtValue(scan, "0")
    slicer.util.arrayFromVolume(scan)[:] = np.roll(slicer.util.arrayFromVolume(scan), 9, axis=1)
    slicer.util.arrayFromVolumeModified(scan)
    sequence.SetDataNodeAtValue(scan, "1")
    scene.RemoveNode(scan)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    browser.SetSelectedItemNumber(0)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    return browser.GetProxyNode(sequence), browser


def test_several_channels_are_asked_for_and_handed_over(panel: Any, tmp_path: pathlib.Path) -> None:
    pytest.importorskip("torch", reason="the test makes a model of two channels with torch")
    from untrained import write_untrained

    from ALHVRSegmentationLib.segment.section import SegmentSection

    model = write_untrained(tmp_path / "two", channels=("T1", "FLAIR"))
    panel.parameters.inputVolume = generated_scan(0)
    panel.parameters.model = install(model, "two").name
    panel.follow(panel.parameters)
    ui = panel.section(SegmentSection).ui
    assert "FLAIR" in ui.channel2Label.text
    assert "FLAIR" in ui.statusLabel.text
    panel.parameters.channel2 = generated_scan(0)
    panel.parameters.withRegions = False
    run(panel)


def test_the_command_agrees_with_the_panel_on_the_sample(panel: Any, tmp_path: pathlib.Path) -> None:
    """The scan that the panel hands over gives what the file gives that the engine wrote itself."""
    import slicer

    alhvr("sample", "--out", tmp_path / "sample")
    path = tmp_path / "sample" / "images" / "GeneratedCT1.nii.gz"
    alhvr("segment", path, "--model", tmp_path / "sample" / "model", "--out", tmp_path / "out", "--format", "nii.gz")
    scan = slicer.util.loadVolume(str(path))
    panel.parameters.inputVolume = scan
    run(panel)
    expected = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(tmp_path / "out" / path.name)))
    first = panel.parameters.segmentation.GetSegmentation().GetNthSegment(0).GetName()
    assert first
    assert np.array_equal(mask(panel, scan), expected == 1)


def test_channels_of_another_number_of_frames_are_refused_with_a_sentence(panel: Any, tmp_path: pathlib.Path) -> None:
    pytest.importorskip("torch", reason="the test makes a model of two channels with torch")
    from untrained import write_untrained

    from ALHVRSegmentationLib.segment.section import SegmentSection

    panel.parameters.inputVolume, _browser = _cine()
    panel.parameters.channel2 = generated_scan(1)
    panel.parameters.allFrames = True
    panel.parameters.model = install(write_untrained(tmp_path / "two", channels=("T1", "FLAIR")), "two").name
    panel.follow(panel.parameters)
    section = panel.section(SegmentSection)
    section.ui.segmentButton.click()
    assert not section.isRunning
    assert "2 and 1 frames" in panel.message
