"""Results become segments on the very voxels of the scan, and what the user had stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scene_worlds import (
    GRIDS,
    MARK,
    SHAPE,
    add_bending_transform,
    add_linear_transform,
    add_volume,
    ijk_to_ras,
    labels,
    marked_voxels,
    moved,
    world_point,
    world_points,
)

NAMES = ("liver", "spleen")


def put(volume: Any, segmentation: Any = None, array: np.ndarray | None = None, names: tuple[str, ...] = NAMES) -> Any:
    from ALHVRSegmentationLib.results.import_segmentation import put_segments

    if array is None:
        array = np.zeros(SHAPE, np.uint8)
        array[MARK] = 1
    return put_segments(array, labels(*names), volume, segmentation, "ALHVR test")


def node_of(placed: Any) -> Any:
    import slicer

    return slicer.mrmlScene.GetNodeByID(placed.segmentation_id)


@pytest.mark.parametrize("kind", GRIDS)
@pytest.mark.parametrize("above", ["nothing", "moving", "scaling", "bending"])
def test_a_voxel_of_the_result_lies_on_its_voxel_of_the_scan(kind: str, above: str) -> None:
    volume = add_volume(marked_voxels(), ijk_to_ras(kind))
    transforms = {"moving": lambda: add_linear_transform(moved()), "scaling": lambda: add_linear_transform(moved(1.7)),
                  "bending": add_bending_transform}  # fmt: skip
    if above in transforms:
        volume.SetAndObserveTransformNodeID(transforms[above]().GetID())
    placed = put(volume)
    points = world_points(node_of(placed), placed.segment_ids[0])
    assert points.shape == (1, 3)
    assert points[0] == pytest.approx(world_point(volume, MARK), abs=1e-9)
    assert placed.not_found == ("spleen",)


def test_an_image_that_does_not_begin_at_zero_gets_its_result_in_place() -> None:
    volume = add_volume(marked_voxels(), ijk_to_ras("sheared"))
    volume.GetImageData().SetExtent(10, 16, 20, 25, 30, 34)
    placed = put(volume)
    expected = world_point(volume, (MARK[0] + 30, MARK[1] + 20, MARK[2] + 10))
    assert world_points(node_of(placed), "ALHVR_1")[0] == pytest.approx(expected, abs=1e-9)


def test_segments_have_name_colour_terms_and_the_tags_that_dicom_needs() -> None:
    from ALHVRSegmentationLib.results.result_segments import tag_of

    node = node_of(put(add_volume(marked_voxels(), np.eye(4))))
    segment = node.GetSegmentation().GetSegment("ALHVR_1")
    assert segment.GetName() == "liver"
    assert segment.GetColor() == pytest.approx((0.2, 0.5, 0.25))
    terms = tag_of(segment, segment.GetTerminologyEntryTagName()).split("~")
    assert len(terms) == 7
    assert terms[1:3] == ["SCT^123037004^Anatomical Structure", "SCT^1000^liver"]
    assert tag_of(segment, "DICOM.SegmentAlgorithmType") == "AUTOMATIC"
    assert tag_of(segment, "DICOM.SegmentAlgorithmName") == "ALHVR test"


def test_the_scan_is_the_reference_and_the_result_is_shown_without_a_surface() -> None:
    volume = add_volume(marked_voxels(), ijk_to_ras("anisotropic"))
    node = node_of(put(volume))
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is volume
    assert node.GetDisplayNode().GetVisibility()
    assert node.GetDisplayNode().GetSegmentVisibility("ALHVR_1")
    assert not node.GetSegmentation().ContainsRepresentation("Closed surface")
    assert node.GetName() == "Scan segmentation"


def test_a_second_run_replaces_the_first() -> None:
    volume = add_volume(marked_voxels(), np.eye(4))
    node = node_of(put(volume))
    array = np.full(SHAPE, 2, np.uint8)
    placed = put(volume, node, array)
    assert placed.segment_ids == ("ALHVR_1", "ALHVR_2")
    assert node.GetSegmentation().GetNumberOfSegments() == 2
    assert len(world_points(node, "ALHVR_2")) == array.size
    assert len(world_points(node, "ALHVR_1")) == 0


def user_segmentation(matrix: np.ndarray, transform: Any = None) -> Any:
    """A segmentation of the user's, with two segments that overlap, on a grid of its own."""
    import slicer

    other = add_volume(np.zeros((4, 4, 4), np.uint8), matrix, "Other scan")
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Mine")
    other.SetAndObserveTransformNodeID(transform.GetID() if transform else None)
    node.SetAndObserveTransformNodeID(transform.GetID() if transform else None)
    node.SetReferenceImageGeometryParameterFromVolumeNode(other)
    for name, size in (("liver", 2), ("lesion", 3)):
        array = np.zeros((4, 4, 4), np.uint8)
        array[:size, :size, :size] = 1
        node.GetSegmentation().AddEmptySegment(f"user_{name}", name)
        slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, f"user_{name}", other)
    return node


@pytest.mark.parametrize("above", ["nothing", "moving", "scaling"])
@pytest.mark.parametrize("kind", ["oblique", "sheared"])
def test_the_users_segments_stay_though_they_have_another_grid_and_transform(kind: str, above: str) -> None:
    transform = {"nothing": None, "moving": moved(), "scaling": moved(1.7)}[above]
    node = user_segmentation(ijk_to_ras("coronal"), None if transform is None else add_linear_transform(transform))
    before = {name: world_points(node, name) for name in ("user_liver", "user_lesion")}
    volume = add_volume(marked_voxels(), ijk_to_ras(kind))
    volume.SetAndObserveTransformNodeID(add_linear_transform(moved(0.9)).GetID())
    placed = put(volume, node)
    for name, points in before.items():
        assert world_points(node, name) == pytest.approx(points, abs=1e-9)
    assert [len(points) for points in before.values()] == [8, 27]
    assert world_points(node, placed.segment_ids[0])[0] == pytest.approx(world_point(volume, MARK), abs=1e-9)
    assert "another grid" in placed.note


def test_a_users_segment_of_the_same_name_stays_and_ours_gets_another() -> None:
    volume = add_volume(marked_voxels(), np.eye(4))
    node = user_segmentation(np.eye(4))
    placed = put(volume, node)
    segmentation = node.GetSegmentation()
    names = [segmentation.GetNthSegment(index).GetName() for index in range(segmentation.GetNumberOfSegments())]
    assert names == ["liver", "lesion", "liver (model 2)", "spleen"]
    assert put(volume, node).segment_ids == placed.segment_ids
    assert segmentation.GetNumberOfSegments() == 4


def test_a_corrected_or_renamed_segment_of_an_earlier_run_is_the_users() -> None:
    import slicer

    volume = add_volume(marked_voxels(), np.eye(4))
    node = node_of(put(volume))
    corrected = np.zeros(SHAPE, np.uint8)
    corrected[0, 0, :3] = 1
    slicer.util.updateSegmentBinaryLabelmapFromArray(corrected, node, "ALHVR_1", volume)
    node.GetSegmentation().GetSegment("ALHVR_2").SetName("my spleen")
    placed = put(volume, node)
    assert np.array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(node, "ALHVR_1", volume), corrected)
    assert node.GetSegmentation().GetNumberOfSegments() == 4
    assert len(world_points(node, placed.segment_ids[0])) == 1


def test_under_a_bending_transform_the_users_segments_stay_and_ours_is_resampled_to_the_place() -> None:
    volume = add_volume(np.zeros((20, 20, 20), np.int16), np.eye(4))
    volume.SetAndObserveTransformNodeID(add_bending_transform().GetID())
    node = user_segmentation(ijk_to_ras("coronal"))
    array = np.zeros((20, 20, 20), np.uint8)
    array[5:15, 5:15, 5:15] = 1
    placed = put(volume, node, array)
    points = world_points(node, placed.segment_ids[0])
    assert points.mean(axis=0) == pytest.approx(world_point(volume, (9.5, 9.5, 9.5)), abs=0.5)
    assert "resampled" in placed.note
    assert len(world_points(node, "user_lesion")) == 27


def test_overlapping_segments_of_the_user_stay_when_ours_overlaps_them_too() -> None:
    import slicer

    volume = add_volume(np.zeros((4, 4, 4), np.int16), np.eye(4))
    node = user_segmentation(np.eye(4))
    put(volume, node, np.ones((4, 4, 4), np.uint8))
    counts = [int(slicer.util.arrayFromSegmentBinaryLabelmap(node, name, volume).sum())
              for name in ("user_liver", "user_lesion", "ALHVR_1")]  # fmt: skip
    assert counts == [8, 27, 64]


def test_when_a_step_fails_the_segmentation_is_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRSegmentationLib.results import import_segmentation

    volume = add_volume(marked_voxels(), ijk_to_ras("oblique"))
    node = user_segmentation(np.eye(4))
    put(volume, node)
    segmentation = node.GetSegmentation()
    known = ["user_liver", "user_lesion", "ALHVR_1", "ALHVR_2"]
    before = {name: world_points(node, name) for name in known}
    volume.SetAndObserveTransformNodeID(add_linear_transform(moved()).GetID())
    real, calls = import_segmentation.result_segment, []

    def failing(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise MemoryError
        return real(*arguments)

    monkeypatch.setattr(import_segmentation, "result_segment", failing)
    with pytest.raises(MemoryError):
        put(volume, node, np.ones(SHAPE, np.uint8))
    assert [segmentation.GetNthSegmentID(index) for index in range(segmentation.GetNumberOfSegments())] == known
    for name, points in before.items():
        assert world_points(node, name) == pytest.approx(points, abs=1e-9)
    assert node.GetParentTransformNode() is None


def test_a_new_segmentation_is_gone_when_a_step_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    import slicer

    from ALHVRSegmentationLib.results import import_segmentation

    volume = add_volume(marked_voxels(), np.eye(4))
    count = slicer.mrmlScene.GetNumberOfNodes()
    monkeypatch.setattr(import_segmentation, "result_segment", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        put(volume)
    assert slicer.mrmlScene.GetNumberOfNodes() == count


def test_results_of_another_size_or_with_unknown_values_change_nothing() -> None:
    import slicer

    from ALHVRLib.scene.errors import SceneError

    volume = add_volume(marked_voxels(), np.eye(4))
    count = slicer.mrmlScene.GetNumberOfNodes()
    for array, word in ((np.zeros((2, 3, 4), np.uint8), "4 x 3 x 2"), (np.full(SHAPE, 9, np.uint8), "no name"),
                        (np.zeros(SHAPE), "no name")):  # fmt: skip
        with pytest.raises(SceneError, match=word):
            put(volume, array=array)
    assert slicer.mrmlScene.GetNumberOfNodes() == count


def test_where_the_user_shows_surfaces_a_second_run_keeps_them_in_step() -> None:
    volume = add_volume(np.zeros((20, 20, 20), np.int16), ijk_to_ras("oblique"))
    array = np.zeros((20, 20, 20), np.uint8)
    array[4:9, 4:9, 4:9], array[12:16, 4:9, 4:9] = 1, 2
    node = node_of(put(volume, array=array))
    node.CreateClosedSurfaceRepresentation()
    array[9:11, 4:9, 4:9] = 1
    put(volume, node, array)
    segment = node.GetSegmentation().GetSegment("ALHVR_1")
    assert segment.GetRepresentation("Closed surface").GetNumberOfPoints() > 0
    assert len(world_points(node, "ALHVR_1")) == 7 * 25


def test_values_beyond_255_are_kept() -> None:
    from alhvr.formats.labels import Code, Label
    from ALHVRSegmentationLib.results.import_segmentation import put_segments

    code = Code("SCT", "1", "thing")
    array = np.zeros(SHAPE, np.uint16)
    array[MARK], array[0, 0, 0] = 40000, 1
    both = tuple(Label(value, f"label {value}", (1, 0, 0), code, code) for value in (1, 40000))
    volume = add_volume(marked_voxels(), np.eye(4))
    node = node_of(put_segments(array, both, volume, None, "ALHVR"))
    assert world_points(node, "ALHVR_40000")[0] == pytest.approx(world_point(volume, MARK))


def test_a_segmentation_made_of_surfaces_is_refused_in_a_sentence() -> None:
    import slicer
    import vtk

    from ALHVRLib.scene.errors import SceneError

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "Printed")
    node.GetSegmentation().SetSourceRepresentationName("Closed surface")
    ball = vtk.vtkSphereSource()
    ball.Update()
    node.AddSegmentFromClosedSurfaceRepresentation(ball.GetOutput(), "ball")
    with pytest.raises(SceneError, match="Printed"):
        put(add_volume(marked_voxels(), np.eye(4)), node)
    assert node.GetSegmentation().GetNumberOfSegments() == 1


def test_what_was_put_can_be_undone_where_the_scene_allows_it() -> None:
    import slicer

    volume = add_volume(marked_voxels(), np.eye(4))
    node = user_segmentation(np.eye(4))
    node.UndoEnabledOn()
    slicer.mrmlScene.SetUndoOn()
    try:
        put(volume, node)
        assert node.GetSegmentation().GetNumberOfSegments() == 4
        slicer.mrmlScene.Undo()
        assert node.GetSegmentation().GetNumberOfSegments() == 2
    finally:
        slicer.mrmlScene.SetUndoOff()
        slicer.mrmlScene.ClearUndoStack()
        slicer.mrmlScene.ClearRedoStack()
