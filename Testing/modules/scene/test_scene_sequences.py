"""Sequences: every frame is segmented without moving the browser, and the results go along with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scene_worlds import add_linear_transform, ijk_to_ras, labels, moved, world_point, world_points

SHAPE = (2, 3, 4)


def add_cine(count: int = 3) -> tuple[Any, Any]:
    """A sequence of volumes that shows frame 1, and its proxy; the grid moves from frame to frame."""
    import slicer

    scene = slicer.mrmlScene
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "Cine")
    sequence.SetIndexName("time")
    sequence.SetIndexUnit("ms")
    for number in range(count):
        matrix = ijk_to_ras("oblique")
        matrix[0, 3] += 5 * number
        array = np.full(SHAPE, number, np.int16)
        array[0, 0, 0] = 50
        volume = slicer.util.addVolumeFromArray(array, ijkToRAS=matrix, name="Frame")
        sequence.SetDataNodeAtValue(volume, str(number * 30))
        scene.RemoveNode(volume)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "Browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    browser.SetSelectedItemNumber(1)
    return browser, browser.GetProxyNode(sequence)


def results(count: int = 3) -> list[np.ndarray]:
    """In frame n, voxel (0, 1, n) is label 1."""
    arrays = []
    for number in range(count):
        array = np.zeros(SHAPE, np.uint8)
        array[0, 1, number] = 1
        arrays.append(array)
    return arrays


def write(proxy: Any, segmentation: Any, arrays: Any = None) -> Any:
    from ALHVRSegmentationLib.results.sequences import write_segmentations

    arrays = iter(results() if arrays is None else arrays)
    return write_segmentations(arrays, labels("ventricle"), proxy, segmentation, "ALHVR")


def test_frames_come_in_order_and_the_browser_stays() -> None:
    import slicer

    from ALHVRSegmentationLib.results.sequences import frames, is_proxy

    browser, proxy = add_cine()
    assert is_proxy(proxy)
    assert [int(slicer.util.arrayFromVolume(frame)[1, 1, 1]) for frame in frames(proxy)] == [0, 1, 2]
    assert browser.GetSelectedItemNumber() == 1


def test_the_shown_frame_is_found_again_when_the_browser_has_moved() -> None:
    import slicer

    from ALHVRSegmentationLib.results.import_segmentation import put_segments
    from ALHVRSegmentationLib.results.sequences import frame_at, shown_value

    browser, proxy = add_cine()
    value, place = shown_value(proxy), world_point(proxy, (0, 1, 2))
    browser.SetSelectedItemNumber(2)
    placed = put_segments(results()[2], labels("ventricle"), frame_at(proxy, value), None, "ALHVR")
    segmentation = slicer.mrmlScene.GetNodeByID(placed.segmentation_id)
    assert segmentation.GetName() == "Cine segmentation"
    assert world_points(segmentation, "ALHVR_1")[0] == pytest.approx(place)
    assert segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole()) is proxy


def test_a_lone_volume_is_its_only_frame() -> None:
    import slicer

    from ALHVRSegmentationLib.results.sequences import frames, is_proxy

    volume = slicer.util.addVolumeFromArray(np.zeros(SHAPE, np.int16))
    assert not is_proxy(volume)
    assert list(frames(volume)) == [volume]


def test_a_frame_stands_under_the_transform_of_its_proxy(tmp_path: Any) -> None:
    from ALHVRLib.scene.export_volume import ijk_to_ras as written_matrix
    from ALHVRSegmentationLib.results.sequences import frames

    _browser, proxy = add_cine()
    proxy.SetAndObserveTransformNodeID(add_linear_transform(moved(1.3)).GetID())
    shown = list(frames(proxy))[1]
    assert (written_matrix(shown) @ (2, 1, 0, 1))[:3] == pytest.approx(world_point(proxy, (0, 1, 2)))


@pytest.mark.parametrize("above", ["nothing", "moving"])
def test_the_result_of_each_frame_is_shown_with_its_frame(above: str) -> None:
    from ALHVRSegmentationLib.results.import_segmentation import new_segmentation

    browser, proxy = add_cine()
    if above == "moving":
        proxy.SetAndObserveTransformNodeID(add_linear_transform(moved()).GetID())
    segmentation = new_segmentation(proxy)
    sequence = write(proxy, segmentation)
    assert browser.GetSelectedItemNumber() == 1
    assert browser.GetProxyNode(sequence) is segmentation
    assert (sequence.GetIndexName(), sequence.GetNthIndexValue(2)) == ("time", "60")
    for number in (1, 0, 2):
        browser.SetSelectedItemNumber(number)
        points = world_points(segmentation, "ALHVR_1")
        assert points == pytest.approx(np.array([world_point(proxy, (0, 1, number))]))
    assert segmentation.GetDisplayNode().GetVisibility()
    assert segmentation.GetNodeReference(segmentation.GetReferenceImageGeometryReferenceRole()) is proxy


def test_what_the_user_had_is_in_every_frame() -> None:
    from ALHVRSegmentationLib.results.import_segmentation import new_segmentation

    browser, proxy = add_cine()
    segmentation = new_segmentation(proxy)
    segmentation.GetSegmentation().AddEmptySegment("mine", "Mine")
    write(proxy, segmentation)
    for number in range(3):
        browser.SetSelectedItemNumber(number)
        assert segmentation.GetSegmentation().GetSegment("mine") is not None
        assert len(world_points(segmentation, "ALHVR_1")) == 1


def test_a_result_beside_the_users_own_stands_on_the_scan_under_another_transform() -> None:
    from ALHVRSegmentationLib.results.import_segmentation import new_segmentation

    browser, proxy = add_cine()
    proxy.SetAndObserveTransformNodeID(add_linear_transform(moved()).GetID())
    segmentation = new_segmentation(proxy)
    above = add_linear_transform(moved(1.3))
    segmentation.SetAndObserveTransformNodeID(above.GetID())
    segmentation.GetSegmentation().AddEmptySegment("mine", "Mine")
    write(proxy, segmentation)
    assert segmentation.GetParentTransformNode() is above
    for number in (2, 0):
        browser.SetSelectedItemNumber(number)
        points = world_points(segmentation, "ALHVR_1")
        assert points == pytest.approx(np.array([world_point(proxy, (0, 1, number))]))


def test_nothing_else_comes_into_the_scene_while_the_frames_are_written() -> None:
    import slicer

    from ALHVRSegmentationLib.results.import_segmentation import new_segmentation

    _browser, proxy = add_cine()
    segmentation = new_segmentation(proxy)
    seen = []

    def watched() -> Any:
        for array in results():
            yield array
            seen.append(len(slicer.util.getNodesByClass("vtkMRMLSegmentationNode")))

    write(proxy, segmentation, watched())
    assert seen == [1, 1, 1]


def test_a_second_run_renews_the_frames_of_the_first() -> None:
    import slicer

    from ALHVRSegmentationLib.results.import_segmentation import new_segmentation

    browser, proxy = add_cine()
    segmentation = new_segmentation(proxy)
    first = write(proxy, segmentation)
    second = write(proxy, segmentation, [np.ones(SHAPE, np.uint8)] * 3)
    assert second is first
    assert len(slicer.util.getNodesByClass("vtkMRMLSequenceNode")) == 2
    browser.SetSelectedItemNumber(2)
    assert len(world_points(segmentation, "ALHVR_1")) == np.prod(SHAPE)
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 1


@pytest.mark.parametrize("count", [2, 4])
def test_another_number_of_results_than_frames_changes_nothing(count: int) -> None:
    import slicer

    from ALHVRLib.scene.errors import SceneError
    from ALHVRSegmentationLib.results.import_segmentation import new_segmentation

    _browser, proxy = add_cine()
    segmentation = new_segmentation(proxy)
    nodes = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(SceneError, match="3 frames"):
        write(proxy, segmentation, [np.ones(SHAPE, np.uint8)] * count)
    assert slicer.mrmlScene.GetNumberOfNodes() == nodes
    assert segmentation.GetSegmentation().GetNumberOfSegments() == 0


def test_a_saved_scene_still_moves_through_the_results(tmp_path: Any) -> None:
    import slicer

    from ALHVRSegmentationLib.results.import_segmentation import new_segmentation

    _browser, proxy = add_cine()
    write(proxy, new_segmentation(proxy))
    assert slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    browser = slicer.util.getNode("Browser")
    segmentation = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")[0]
    browser.SetSelectedItemNumber(2)
    assert world_points(segmentation, "ALHVR_1") == pytest.approx(
        np.array([world_point(slicer.util.getNode("Cine"), (0, 1, 2))]), abs=1e-4
    )
