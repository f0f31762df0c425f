"""Results stand in the patient's study, and a saved scene keeps place, names, colours, terms and voxels."""

from __future__ import annotations

import xml.etree.ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scene_worlds import MARK, SHAPE, add_volume, ijk_to_ras, labels, marked_voxels, world_point, world_points


def tree() -> Any:
    import slicer

    return slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)


def in_study(volume: Any) -> int:
    patient = tree().CreateSubjectItem(tree().GetSceneItemID(), "Patient")
    study = tree().CreateStudyItem(patient, "Study")
    tree().SetItemParent(tree().GetItemByDataNode(volume), study)
    return study


def put(volume: Any, segmentation: Any = None) -> Any:
    import slicer

    from ALHVRSegmentationLib.results.import_segmentation import put_segments

    array = np.zeros(SHAPE, np.uint8)
    array[MARK] = 2
    placed = put_segments(array, labels("liver", "spleen"), volume, segmentation, "ALHVR")
    return slicer.mrmlScene.GetNodeByID(placed.segmentation_id)


def test_a_new_segmentation_joins_the_scans_study() -> None:
    volume = add_volume(marked_voxels(), np.eye(4))
    study = in_study(volume)
    assert tree().GetItemParent(tree().GetItemByDataNode(put(volume))) == study


def test_the_saved_scene_says_that_the_segmentation_is_in_the_study(tmp_path: Path) -> None:
    import slicer

    volume = add_volume(marked_voxels(), np.eye(4))
    in_study(volume)
    node_id = put(volume).GetID()
    assert slicer.util.saveScene(str(tmp_path / "scene.mrml"))
    scene = xml.etree.ElementTree.parse(tmp_path / "scene.mrml")
    (study,) = (item for item in scene.iter("SubjectHierarchyItem") if item.get("name") == "Study")
    assert node_id in [item.get("dataNode") for item in study]


def test_a_segmentation_that_the_user_placed_stays_there() -> None:
    import slicer

    volume = add_volume(marked_voxels(), np.eye(4))
    in_study(volume)
    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode")
    folder = tree().CreateFolderItem(tree().GetSceneItemID(), "Mine")
    tree().SetItemParent(tree().GetItemByDataNode(node), folder)
    put(volume, node)
    assert tree().GetItemParent(tree().GetItemByDataNode(node)) == folder


@pytest.mark.parametrize("ending", [".mrb", ".mrml"])
def test_a_saved_scene_has_the_segments_as_they_were(ending: str, tmp_path: Path) -> None:
    import slicer

    from ALHVRSegmentationLib.results.result_segments import tag_of

    volume = add_volume(marked_voxels(), ijk_to_ras("oblique"))
    in_study(volume)
    node = put(volume)
    before = describe(node)
    if ending == ".mrml":
        assert slicer.util.saveNode(volume, str(tmp_path / "scan.nrrd"))
        assert slicer.util.saveNode(node, str(tmp_path / "result.seg.nrrd"))
    assert slicer.util.saveScene(str(tmp_path / f"scene{ending}"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / f"scene{ending}"))
    node, volume = slicer.util.getNode("Scan segmentation"), slicer.util.getNode("Scan")
    assert describe(node) == before
    assert world_points(node, "ALHVR_2")[0] == pytest.approx(world_point(volume, MARK), abs=1e-4)
    assert node.GetNodeReference(node.GetReferenceImageGeometryReferenceRole()) is volume
    assert tag_of(node.GetSegmentation().GetSegment("ALHVR_2"), "DICOM.SegmentAlgorithmName") == "ALHVR"
    assert put(volume, node).GetSegmentation().GetNumberOfSegments() == 2


def describe(node: Any) -> list[Any]:
    """What a person sees of each segment."""
    from ALHVRSegmentationLib.results.result_segments import tag_of

    segmentation = node.GetSegmentation()
    found = []
    for index in range(segmentation.GetNumberOfSegments()):
        segment = segmentation.GetNthSegment(index)
        terms = tag_of(segment, segment.GetTerminologyEntryTagName())
        colour = tuple(round(part, 3) for part in segment.GetColor())
        found.append((segmentation.GetNthSegmentID(index), segment.GetName(), colour, terms))
    return found
