"""Loading and saving through slicer.util on the real storage nodes."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest

OBLIQUE = np.array([[0.0, -1.5, 0.0, 10.0], [1.2, 0.0, 0.0, -20.0], [0.0, 0.0, 3.0, 30.0], [0.0, 0.0, 0.0, 1.0]])


@pytest.fixture
def volume(clean_slate: None) -> Any:
    """5 x 6 x 7 different voxels on a turned grid."""
    import slicer

    return slicer.util.addVolumeFromArray(np.arange(210, dtype=np.int16).reshape(5, 6, 7), OBLIQUE, "scan")


@pytest.mark.parametrize("ending", [".nrrd", ".nii.gz", ".mha"])
def test_a_volume_comes_back_with_voxels_and_grid(volume: Any, ending: str, tmp_path: pathlib.Path) -> None:
    import slicer

    path = str(tmp_path / f"a{ending}")
    assert slicer.util.exportNode(volume, path)
    again = slicer.util.loadVolume(path)
    assert np.array_equal(slicer.util.arrayFromVolume(again), slicer.util.arrayFromVolume(volume))
    matrix = slicer.util.arrayFromVTKMatrix(_ijk_to_ras(again))
    assert np.allclose(matrix, OBLIQUE, atol=1e-4)


def _ijk_to_ras(node: Any) -> Any:
    import vtk

    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return matrix


def test_a_segmentation_keeps_names_colours_and_tags(volume: Any, tmp_path: pathlib.Path) -> None:
    import slicer
    import vtk

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "result")
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segment_id = node.GetSegmentation().AddEmptySegment("liver", "Liver", [0.5, 0.25, 0.0])
    node.GetSegmentation().GetSegment(segment_id).SetTag("note", "kept")
    mask = (slicer.util.arrayFromVolume(volume) > 100).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, segment_id, volume)
    path = str(tmp_path / "result.seg.nrrd")
    assert slicer.util.saveNode(node, path)
    again = slicer.util.loadSegmentation(path)
    segment = again.GetSegmentation().GetSegment("liver")
    tag = vtk.reference("")
    assert segment.GetName() == "Liver" and segment.GetTag("note", tag) and str(tag) == "kept"
    assert np.array_equal(slicer.util.arrayFromSegmentBinaryLabelmap(again, "liver", volume), mask)


def test_a_scene_comes_back_with_its_nodes(volume: Any, tmp_path: pathlib.Path) -> None:
    import slicer

    path = str(tmp_path / "scene.mrb")
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(path)
    assert slicer.util.arrayFromVolume(slicer.util.getNode("scan")).shape == (5, 6, 7)


def test_a_file_that_is_not_there_is_an_error(clean_slate: None) -> None:
    import slicer

    with pytest.raises(RuntimeError, match="nothing.nrrd"):
        slicer.util.loadVolume("/nothing.nrrd")


def test_a_node_has_one_item_in_the_subject_hierarchy(volume: Any) -> None:
    import slicer

    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    item = hierarchy.GetItemByDataNode(volume)
    assert item and hierarchy.GetItemName(item) == "scan"
    slicer.mrmlScene.RemoveNode(volume)
    assert not hierarchy.GetItemDataNode(item)


def add_segment(node: Any) -> None:
    node.GetSegmentation().AddEmptySegment("part", "part")


def segmentation_node(*, hidden: bool) -> Any:
    import slicer

    node = slicer.vtkMRMLSegmentationNode()
    node.SetName("parts")
    node.SetHideFromEditors(hidden)
    return node


def error_lines() -> list[str]:
    """What has been written since, about the subject hierarchy; the test does not fail on it any more."""
    from slicer_stand_in.qt_signals import slot_errors

    lines = [str(error.exception) for error in slot_errors]
    slot_errors.clear()
    return lines


def test_a_segment_of_a_node_that_is_hidden_from_the_editors_writes_an_error_line(clean_slate: None) -> None:
    import slicer

    add_segment(slicer.mrmlScene.AddNode(segmentation_node(hidden=True)))
    assert any("no subject hierarchy item for parts" in line for line in error_lines())


@pytest.mark.parametrize("in_scene", [True, False], ids=["seen", "in no scene"])
def test_a_segment_of_any_other_node_writes_none(clean_slate: None, in_scene: bool) -> None:
    import slicer

    node = segmentation_node(hidden=not in_scene)
    if in_scene:
        slicer.mrmlScene.AddNode(node)
    add_segment(node)
    assert error_lines() == []


@pytest.mark.parametrize("ending", [".mrb", ".mrml"])
def test_what_a_scene_brings_has_its_items_when_all_of_it_is_there(clean_slate: None, tmp_path: pathlib.Path,
                                                                   ending: str) -> None:
    import slicer

    add_segment(slicer.mrmlScene.AddNode(segmentation_node(hidden=False)))
    path = str(tmp_path / f"scene{ending}")
    if ending == ".mrml":
        assert slicer.util.saveNode(slicer.util.getNode("parts"), str(tmp_path / "parts.seg.nrrd"))
    assert slicer.util.saveScene(path)
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(path)
    node = slicer.util.getNode("parts")
    hierarchy = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    assert hierarchy.GetItemByDataNode(node)
    node.GetSegmentation().AddEmptySegment("other", "other")
    assert error_lines() == []
