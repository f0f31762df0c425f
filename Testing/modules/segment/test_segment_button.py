"""The Segment button, with the real engine in a real child process."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest
import SimpleITK
from module_worlds import alhvr, atrium_scans, install, wait_until


def press(segment: Any) -> None:
    segment.ui.segmentButton.click()


def run(segment: Any, seconds: float = 120.0) -> float:
    """Press the button and wait for the end."""
    press(segment)
    assert segment.isRunning, segment.panel.message
    return wait_until(lambda: not segment.isRunning, seconds)


def scene_nodes() -> set[str]:
    import slicer

    return {node.GetID() for node in slicer.util.getNodes("*", useLists=True).values() for node in node}


def first_segment_at(segment: Any, ras: tuple[float, float, float]) -> int:
    """The voxel of the first segment at a point of the world, 0 outside its image."""
    import vtk

    node = segment.panel.parameters.segmentation
    image = node.GetSegmentation().GetNthSegment(0).GetRepresentation("Binary labelmap")
    to_index = vtk.vtkMatrix4x4()
    image.GetWorldToImageMatrix(to_index)
    index = [round(part) for part in to_index.MultiplyPoint((*ras, 1.0))[:3]]
    low, high = image.GetExtent()[::2], image.GetExtent()[1::2]
    inside = all(first <= part <= last for first, part, last in zip(low, index, high, strict=True))
    return int(image.GetScalarComponentAsDouble(*index, 0)) if inside else 0


def choose(segment: Any, model: str) -> None:
    """Choose a model that was installed since the panel looked."""
    segment.panel.parameters.model = model
    segment.panel.follow(segment.panel.parameters)


def segment_names(node: Any) -> list[str]:
    segmentation = node.GetSegmentation()
    return [segmentation.GetNthSegment(number).GetName() for number in range(segmentation.GetNumberOfSegments())]


def test_the_button_waits_for_a_scan_and_says_so(segment: Any) -> None:
    assert not segment.ui.segmentButton.enabled
    assert "Select the scan" in segment.ui.statusLabel.text


def test_the_only_model_is_chosen_by_itself(segment: Any, scan: Any) -> None:
    assert segment.panel.parameters.model
    assert segment.ui.segmentButton.enabled


def test_a_press_makes_a_segmentation_with_the_models_structures(segment: Any, scan: Any) -> None:
    run(segment)
    node = segment.panel.parameters.segmentation
    assert "liver" in segment_names(node), segment.panel.message
    assert "Found: " in segment.panel.message


def test_the_result_is_what_the_command_writes_for_the_file(segment: Any, atrium_model: pathlib.Path,
                                                            tmp_path: pathlib.Path) -> None:
    import slicer

    source = atrium_scans()[-1]
    segment.panel.parameters.inputVolume = slicer.util.loadVolume(str(source))
    choose(segment, install(atrium_model, "atrium").name)
    alhvr("segment", source, "--model", atrium_model, "--out", tmp_path, "--format", "nii.gz")
    expected = slicer.util.loadLabelVolume(str(tmp_path / source.name))
    run(segment)
    node = segment.panel.parameters.segmentation
    segment_id = node.GetSegmentation().GetNthSegmentID(0)
    found = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, segment.panel.parameters.inputVolume)
    assert found.sum() > 1000
    assert np.array_equal(found > 0, slicer.util.arrayFromVolume(expected) > 0)


def test_a_voxel_of_the_result_is_where_it_is_in_the_patient(segment: Any, atrium_model: pathlib.Path,
                                                             tmp_path: pathlib.Path) -> None:
    """Points come from the file that the command writes, read by SimpleITK; the segment is asked in its own grid."""
    import slicer

    source = atrium_scans()[-1]
    segment.panel.parameters.inputVolume = slicer.util.loadVolume(str(source))
    choose(segment, install(atrium_model, "atrium").name)
    alhvr("segment", source, "--model", atrium_model, "--out", tmp_path, "--format", "nii.gz")
    written = SimpleITK.ReadImage(str(tmp_path / source.name))
    run(segment)
    values = SimpleITK.GetArrayFromImage(written)
    for label in (0, 1):
        places = np.argwhere(values == label)
        for kji in places[:: len(places) // 40]:
            left, posterior, superior = written.TransformIndexToPhysicalPoint([int(index) for index in kji[::-1]])
            assert first_segment_at(segment, (-left, -posterior, superior)) == label


def test_an_existing_segmentation_keeps_the_users_segments(segment: Any, scan: Any) -> None:
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "mine")
    node.SetReferenceImageGeometryParameterFromVolumeNode(scan)
    drawn = np.zeros(slicer.util.arrayFromVolume(scan).shape, np.uint8)
    drawn[5:9, 5:9, 5:9] = 1
    segment_id = node.GetSegmentation().AddEmptySegment("tumour", "tumour")
    slicer.util.updateSegmentBinaryLabelmapFromArray(drawn, node, segment_id, scan)
    segment.panel.parameters.segmentation = node
    run(segment)
    assert segment.panel.parameters.segmentation is node
    kept = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, scan)
    assert np.array_equal(kept, drawn)
    assert node.GetSegmentation().GetNumberOfSegments() > 1


def test_the_panel_shows_how_far_it_is_and_offers_to_cancel(segment: Any, big_scan: Any) -> None:
    press(segment)
    assert segment.ui.segmentButton.text == "Cancel"
    wait_until(lambda: segment.ui.progressBar.value > 0)
    assert "left" in segment.ui.statusLabel.text
    wait_until(lambda: segment.ui.segmentButton.enabled)
    segment._startedAt -= 1
    press(segment)
    wait_until(lambda: not segment.isRunning)


def test_cancel_ends_the_child_within_two_seconds_and_leaves_the_scene(segment: Any, big_scan: Any) -> None:
    before = scene_nodes()
    press(segment)
    wait_until(lambda: segment.ui.progressBar.value > 0)
    pid = segment._job._child.pid
    segment._startedAt -= 1
    press(segment)
    assert wait_until(lambda: not segment.isRunning) < 2.0
    assert not pathlib.Path(f"/proc/{pid}").exists() or "Z" in pathlib.Path(f"/proc/{pid}/stat").read_text()
    assert scene_nodes() == before
    assert "Cancelled" in segment.panel.message
    assert segment.ui.segmentButton.text == "Segment"


def test_two_presses_in_a_row_start_one_job_and_say_so(segment: Any, scan: Any) -> None:
    press(segment)
    first = segment._job
    press(segment)
    assert segment._job is first
    assert "already" in segment.panel.message
    wait_until(lambda: not segment.isRunning)
    assert segment.panel.parameters.segmentation is not None


def test_the_jobs_folder_is_gone_afterwards(segment: Any, scan: Any) -> None:
    import slicer

    run(segment)
    assert not list(pathlib.Path(slicer.app.temporaryPath).glob("ALHVR-segment-*"))


@pytest.mark.parametrize("kind", [".mrml", ".mrb"])
def test_a_scene_that_was_saved_and_opened_again_has_the_result(segment: Any, scan: Any, tmp_path: pathlib.Path,
                                                                kind: str) -> None:
    import slicer
    import vtk

    run(segment)
    count = segment.panel.parameters.segmentation.GetSegmentation().GetNumberOfSegments()
    path = tmp_path / f"scene{kind}"
    if kind == ".mrml":
        for node in slicer.util.getNodesByClass("vtkMRMLStorableNode"):
            if node.GetStorageNode() is None and node.GetSaveWithScene() and node.IsA("vtkMRMLVolumeNode"):
                slicer.util.saveNode(node, str(tmp_path / f"{node.GetID()}.nrrd"))
        slicer.util.saveNode(segment.panel.parameters.segmentation, str(tmp_path / "s.seg.nrrd"))
    assert slicer.util.saveScene(str(path))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(path))
    segment.panel.follow(segment.panel.logic.getParameterNode())
    node = segment.panel.parameters.segmentation
    assert node.GetSegmentation().GetNumberOfSegments() == count
    tag = vtk.mutable("")
    assert node.GetSegmentation().GetNthSegment(0).GetTag("TerminologyEntry", tag)
    assert "SCT" in str(tag)
