"""The live slider: what slices show while it moves, and all voxels after it, are the engine's regions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from region_worlds import OBLIQUE, World, make_result, move_under

FLIPPED = np.array([[0, 0, -3.0, 20], [-0.8, 0, 0, 10], [0, 0.9, 0, -5], [0, 0, 0, 1]])
PLAIN = np.diag([1.0, 1.0, 2.5, 1.0])
TILTED = np.array([[0.8, -0.6, 0, 5], [0.6, 0.8, 0, -8], [0, 0, 1.2, 3], [0, 0, 0, 1]])


def shown_labels(node: Any) -> dict[str, np.ndarray]:
    """The label that each pixel of each slice view that shows the node takes from it."""
    import slicer
    from vtk.util.numpy_support import vtk_to_numpy

    found = {}
    for name in slicer.app.layoutManager().sliceViewNames():
        layer = slicer.app.layoutManager().sliceWidget(name).sliceLogic().GetLabelLayer()
        if layer.GetVolumeNode() is node:
            layer.GetReslice().Update()
            found[name] = vtk_to_numpy(layer.GetReslice().GetOutput().GetPointData().GetScalars()).copy()
    return found


def show(world: World) -> None:
    """The scan in the background, its regions over it."""
    import slicer

    from ALHVRSegmentationLib.regions import result

    scan = world.node.GetNodeReference(result.SCAN)
    slicer.util.setSliceViewerLayers(background=scan, label=world.node, labelOpacity=0.5, fit=True)


def turn_views(angle: float) -> None:
    """Oblique slice views."""
    import slicer
    import vtk

    for number, name in enumerate(slicer.app.layoutManager().sliceViewNames()):
        node = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()
        turn = vtk.vtkTransform()
        turn.SetMatrix(node.GetSliceToRAS())
        turn.RotateWXYZ(angle, 1, number, 0.5)
        node.GetSliceToRAS().DeepCopy(turn.GetMatrix())
        node.UpdateMatrices()


def check_preview(world: World, betas: tuple[float, ...] = (0.3, 0.95, 0.5)) -> None:
    """Each preview shows in every view what a label map full of the engine's regions would show."""
    import slicer

    from ALHVRSegmentationLib.regions.live_update import LiveRegions
    from ALHVRSegmentationLib.regions.result import RegionResult

    live, result = LiveRegions(), RegionResult(world.node)
    for beta in betas:
        assert live.preview(result, beta)
        seen, kept = shown_labels(world.node), world.shown()
        slicer.util.updateVolumeFromArray(world.node, world.engine_regions(beta))
        expected = shown_labels(world.node)
        assert len(seen) == 3 and all(len(np.unique(labels)) > 2 for labels in expected.values())
        for name, labels in expected.items():
            assert np.array_equal(seen[name], labels), name
        slicer.util.updateVolumeFromArray(world.node, kept)


@pytest.mark.parametrize("grid", [PLAIN, FLIPPED, TILTED, OBLIQUE], ids=["plain", "flipped", "tilted", "sheared"])
@pytest.mark.parametrize("angle", [0.0, 33.0])
def test_slices_show_the_engines_regions_while_the_slider_moves(grid: np.ndarray, angle: float) -> None:
    world = make_result(ijk_to_ras=grid)
    show(world)
    turn_views(angle)
    check_preview(world)


def test_slices_are_exact_under_a_parent_transform() -> None:
    world = make_result(ijk_to_ras=TILTED)
    move_under(world, np.array([[0.5, -0.9, 0, 30], [0.8, 0.6, 0.1, -12], [0, 0.2, 1.4, 8], [0, 0, 0, 1]]))
    show(world)
    check_preview(world)


def test_slices_are_exact_under_a_transform_that_bends() -> None:
    import slicer
    import vtk

    world = make_result(ijk_to_ras=PLAIN)
    bend = vtk.vtkThinPlateSplineTransform()
    corners, moved = vtk.vtkPoints(), vtk.vtkPoints()
    for corner in np.ndindex(2, 2, 2):
        corners.InsertNextPoint(*(np.array(corner) * 15.0))
        moved.InsertNextPoint(*(np.array(corner) * 15.0 + (corner[1] * 3, corner[2] * 2, corner[0] * corner[1] * 4)))
    bend.SetSourceLandmarks(corners)
    bend.SetTargetLandmarks(moved)
    bend.SetBasisToR()
    transform = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLTransformNode", "bent")
    transform.SetAndObserveTransformToParent(bend)
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        node.SetAndObserveTransformNodeID(transform.GetID())
    show(world)
    check_preview(world)


def test_slices_are_exact_after_scrolling_zooming_and_moving_the_volume() -> None:
    import slicer

    from ALHVRSegmentationLib.regions.live_update import LiveRegions
    from ALHVRSegmentationLib.regions.result import RegionResult

    world = make_result(ijk_to_ras=PLAIN)
    show(world)
    live, result = LiveRegions(), RegionResult(world.node)
    red = slicer.app.layoutManager().sliceWidget("Red")
    for step, beta in enumerate((0.2, 0.4, 0.7, 0.9)):
        red.sliceLogic().SetSliceOffset(3.0 + 5 * step)
        move_under(world, np.array([[1, 0, 0, step], [0, 1, 0, 0], [0, 0, 1, step], [0, 0, 0, 1.0]]))
        live.preview(result, beta)
        seen = shown_labels(world.node)
        live.complete(result, beta)
        assert all(np.array_equal(seen[name], labels) for name, labels in shown_labels(world.node).items())


def test_thick_slabs_and_light_boxes_are_exact_too() -> None:
    import slicer

    world = make_result(ijk_to_ras=TILTED)
    show(world)
    nodes = [slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode() for name in ("Red", "Green")]
    nodes[0].SetLayoutGrid(2, 2)
    check_preview(world)
    nodes[0].SetLayoutGrid(1, 1)
    nodes[1].SetSlabReconstructionEnabled(True)
    nodes[1].SetSlabReconstructionThickness(8)
    check_preview(world)


def test_a_preview_touches_only_voxels_of_the_slices() -> None:
    from ALHVRSegmentationLib.regions.live_update import LiveRegions
    from ALHVRSegmentationLib.regions.result import RegionResult

    world = make_result(ijk_to_ras=PLAIN)
    show(world)
    LiveRegions().preview(RegionResult(world.node), 0.1)
    stale = world.shown() == world.engine_regions(0.8)
    fresh = world.shown() == world.engine_regions(0.1)
    assert (stale | fresh).all() and not fresh.all()


def test_after_release_every_voxel_is_the_engines_at_every_beta() -> None:
    from ALHVRSegmentationLib.regions.live_update import LiveRegions
    from ALHVRSegmentationLib.regions.result import RegionResult

    world = make_result()
    result, live = RegionResult(world.node), LiveRegions()
    for step in range(101):
        assert live.complete(result, step / 100)
        assert np.array_equal(world.shown(), world.engine_regions(step / 100))
        assert result.beta() == step / 100


def test_views_that_show_other_scans_keep_them_and_do_not_count() -> None:
    import slicer

    from ALHVRSegmentationLib.regions.live_update import LiveRegions
    from ALHVRSegmentationLib.regions.result import RegionResult

    world = make_result(ijk_to_ras=PLAIN)
    show(world)
    other = slicer.util.addVolumeFromArray(np.ones((4, 4, 4), np.int16), name="other")
    for name in ("Green", "Yellow"):
        composite = slicer.app.layoutManager().sliceWidget(name).mrmlSliceCompositeNode()
        composite.SetBackgroundVolumeID(other.GetID())
        composite.SetLabelVolumeID(None)
    before = world.shown()
    LiveRegions().preview(RegionResult(world.node), 0.1)
    changed = np.unique(np.argwhere(world.shown() != before)[:, 0])
    assert len(changed) == 1 and list(shown_labels(world.node)) == ["Red"]


@pytest.mark.parametrize("gone", ["node", "ALHVR.ConfidenceA", "ALHVR.ConfidenceB"])
def test_a_part_of_the_result_that_left_the_scene_ends_the_preview(gone: str) -> None:
    import slicer

    from ALHVRSegmentationLib.regions.live_update import LiveRegions
    from ALHVRSegmentationLib.regions.result import RegionResult

    world = make_result()
    show(world)
    live, result = LiveRegions(), RegionResult(world.node)
    assert live.preview(result, 0.3)
    slicer.mrmlScene.RemoveNode(world.node if gone == "node" else world.node.GetNodeReference(gone))
    assert not live.preview(result, 0.4) and not live.complete(result, 0.4)


def test_new_confidences_in_the_same_node_are_seen() -> None:
    import slicer

    from ALHVRSegmentationLib.regions.live_update import LiveRegions
    from ALHVRSegmentationLib.regions.result import CONFIDENCE_A, RegionResult

    world = make_result(ijk_to_ras=PLAIN)
    show(world)
    live, result = LiveRegions(), RegionResult(world.node)
    live.preview(result, 0.8)
    slicer.util.updateVolumeFromArray(world.node.GetNodeReference(CONFIDENCE_A), np.zeros_like(world.con_a))
    live.preview(result, 0.8)
    seen = shown_labels(world.node)
    live.complete(result, 0.8)
    assert not (world.shown() == 1).any()
    assert all(np.array_equal(seen[name], labels) for name, labels in shown_labels(world.node).items())
