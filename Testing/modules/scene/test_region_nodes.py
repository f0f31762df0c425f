"""The regions of a scan are nodes on its grid, known to each other, and a saved scene keeps them so."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from region_files import write_region_files
from scene_worlds import MARK, SHAPE, add_linear_transform, add_volume, ijk_to_ras, marked_voxels, moved, world_point

ROLES = {"ALHVR.ConfidenceA": "confidence-a", "ALHVR.ConfidenceB": "confidence-b", "ALHVR.Teacher": "teacher"}


def make(folder: Path, volume: Any, *, teacher: bool = True) -> tuple[Any, dict[str, Any]]:
    from ALHVRSegmentationLib.results.import_segmentation import new_segmentation
    from ALHVRSegmentationLib.results.region_nodes import make_region_nodes

    files = write_region_files(folder, "scan", volume.GetImageData().GetDimensions()[::-1], teacher=teacher)
    return make_region_nodes(volume, new_segmentation(volume), folder, "scan"), files


def test_all_maps_lie_on_the_scans_grid_under_its_transform(tmp_path: Path) -> None:
    import slicer

    volume = add_volume(marked_voxels(), ijk_to_ras("sheared"))
    volume.SetAndObserveTransformNodeID(add_linear_transform(moved()).GetID())
    node, files = make(tmp_path, volume)
    assert np.array_equal(slicer.util.arrayFromVolume(node), files["regions"])
    assert world_point(node, MARK) == pytest.approx(world_point(volume, MARK))
    for role, ending in ROLES.items():
        other = node.GetNodeReference(role)
        assert np.array_equal(slicer.util.arrayFromVolume(other), files[ending])
        assert slicer.util.arrayFromVolume(other).dtype == np.uint16
        assert world_point(other, MARK) == pytest.approx(world_point(volume, MARK))
        assert other.GetDisplayNode() is None


def test_the_confidence_maps_are_no_items_of_the_tree_but_can_be_saved_by_hand(tmp_path: Path) -> None:
    import slicer

    node, _files = make(tmp_path, add_volume(marked_voxels(), np.eye(4)))
    tree = slicer.vtkMRMLSubjectHierarchyNode.GetSubjectHierarchyNode(slicer.mrmlScene)
    for role in ROLES:
        other = node.GetNodeReference(role)
        assert not other.GetHideFromEditors()
        assert not tree.GetItemByDataNode(other)


def test_the_label_map_tells_scan_segmentation_table_and_three_colours(tmp_path: Path) -> None:
    volume = add_volume(marked_voxels(), np.eye(4))
    node, files = make(tmp_path, volume)
    assert node.GetNodeReference("ALHVR.Scan") is volume
    assert node.GetNodeReference("ALHVR.Segmentation").GetName() == "Scan segmentation"
    assert node.GetAttribute("ALHVR.RegionTable") == files["table"]
    colours = node.GetDisplayNode().GetColorNode()
    assert [colours.GetColorName(value) for value in (1, 2, 3)] == [
        "reliable stable", "reliable unstable", "unreliable stable"]  # fmt: skip
    assert colours.GetNumberOfColors() == 4


def test_a_second_run_renews_the_nodes_of_the_first(tmp_path: Path) -> None:
    import slicer

    volume = add_volume(marked_voxels(), np.eye(4))
    first, _files = make(tmp_path, volume)
    ids = [first.GetNodeReferenceID(role) for role in ROLES]
    (tmp_path / "scan.teacher.nrrd").unlink()
    first.SetAttribute("ALHVR.Beta", "0.35")
    second, _files = make(tmp_path, volume, teacher=False)
    assert second is first
    assert second.GetAttribute("ALHVR.Beta") is None
    assert [second.GetNodeReferenceID(role) for role in ROLES] == [*ids[:2], None]
    assert len(slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")) == 4


def test_regions_of_another_scan_stay(tmp_path: Path) -> None:
    first, _files = make(tmp_path, add_volume(marked_voxels(), np.eye(4)))
    second, _files = make(tmp_path, add_volume(marked_voxels(), np.eye(4), "Second"))
    assert first is not second
    assert first.GetName() == "Scan regions"


@pytest.mark.parametrize("fault", ["missing", "size", "cut", "table"])
def test_a_damaged_result_is_one_sentence_and_changes_nothing(fault: str, tmp_path: Path) -> None:
    import slicer

    from ALHVRLib.scene.errors import SceneError
    from ALHVRSegmentationLib.results.region_nodes import make_region_nodes

    volume = add_volume(marked_voxels(), np.eye(4))
    write_region_files(tmp_path, "scan", (2, 2, 2) if fault == "size" else SHAPE)
    path = tmp_path / "scan.confidence-b.nrrd"
    if fault == "missing":
        path.unlink()
    elif fault == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    elif fault == "table":
        (tmp_path / "scan.regions.json").unlink()
    count = slicer.mrmlScene.GetNumberOfNodes()
    with pytest.raises(SceneError):
        make_region_nodes(volume, None, tmp_path, "scan")
    assert slicer.mrmlScene.GetNumberOfNodes() == count


def saved_and_loaded(path: Path) -> None:
    """Save the scene as the application does: the nodes of an .mrml file first."""
    import slicer

    if path.suffix == ".mrml":
        for name in ("vtkMRMLVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLTransformNode", "vtkMRMLColorTableNode"):
            for node in slicer.util.getNodesByClass(name):
                if node.GetSaveWithScene() and not node.GetHideFromEditors():
                    ending = {"vtkMRMLSegmentationNode": ".seg.nrrd", "vtkMRMLTransformNode": ".h5",
                              "vtkMRMLColorTableNode": ".ctbl"}.get(name, ".nrrd")  # fmt: skip
                    assert slicer.util.saveNode(node, str(path.parent / f"{node.GetID()}{ending}"))
    assert slicer.util.saveScene(str(path))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(path))


@pytest.mark.parametrize("ending", [".mrb", ".mrml"])
def test_a_saved_scene_has_all_of_it_again(ending: str, tmp_path: Path) -> None:
    import slicer

    volume = add_volume(marked_voxels(), ijk_to_ras("oblique"))
    volume.SetAndObserveTransformNodeID(add_linear_transform(moved()).GetID())
    place = world_point(volume, MARK)
    _node, files = make(tmp_path, volume)
    saved_and_loaded(tmp_path / f"scene{ending}")
    node = slicer.util.getNode("Scan regions")
    assert np.array_equal(slicer.util.arrayFromVolume(node), files["regions"])
    assert node.GetAttribute("ALHVR.RegionTable") == files["table"]
    assert node.GetNodeReference("ALHVR.Scan") is slicer.util.getNode("Scan")
    assert node.GetNodeReference("ALHVR.Segmentation") is slicer.util.getNode("Scan segmentation")
    assert world_point(node, MARK) == pytest.approx(place, abs=1e-4)
    assert node.GetDisplayNode().GetColorNode().GetColorName(3) == "unreliable stable"
    for role, file in ROLES.items():
        other = node.GetNodeReference(role)
        assert np.array_equal(slicer.util.arrayFromVolume(other), files[file])
