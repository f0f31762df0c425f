"""Going through the list and handing over: views, crosshair, 3-D, the Segment Editor's node, all in the world."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from one_section import wait_until
from region_worlds import OBLIQUE, World, make_result, move_under

SURE = 65535
DEEPEST = (17, 8, 4)
"""I, J, K of the least certain voxel of the worst place."""
MOVE = np.array([[0.5, -0.9, 0, 30], [0.8, 0.6, 0.1, -12], [0, 0.2, 1.4, 8], [0, 0, 0, 1]])


@pytest.fixture
def world(regions_panel: Any) -> World:
    """A result with two places, shown and listed, under a parent transform."""
    con_a, con_b = np.full((2, 12, 20, 30), SURE, np.uint16)
    for con in (con_a, con_b):
        con[2:6, 4:10, 12:20] = 30000
        con[9:11, 15:18, 3:6] = 30000
        con[DEEPEST[::-1]] = 20000
    world = make_result(arrays=(con_a, con_b), teacher=np.full(con_a.shape, 45875, np.uint16))
    move_under(world, MOVE)
    regions_panel.parameters.regions = world.node
    regions_panel.parameters.showRegions = True
    regions_panel.parameters.beta = 0.1
    table = regions_panel.shown.ui.placesTable
    wait_until(lambda: table.rowCount == 2)
    return world


def world_point(ijk: tuple[int, int, int]) -> np.ndarray:
    return (MOVE @ OBLIQUE @ (*ijk, 1))[:3]


def crosshair() -> Any:
    import slicer

    return slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")


def editor() -> Any:
    import slicer

    return slicer.mrmlScene.GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode")


def test_the_list_tells_region_size_doubt_and_teacher(regions_panel: Any, world: World) -> None:
    table = regions_panel.shown.ui.placesTable
    ml = np.prod(world.node.GetSpacing()) / 1000
    texts = [table.item(0, column).text() for column in range(5)]
    doubt = (191 * (1 - 30000 / SURE) + 1 - 20000 / SURE) * ml
    assert texts == ["neither sure", f"{192 * ml:.3f} ml", f"{doubt:.3f} ml", "", "70 %"]
    assert table.currentRow() == -1 and crosshair().GetCrosshairMode() == crosshair().NoCrosshair


def test_going_to_a_place_moves_every_view_to_its_least_certain_voxel(regions_panel: Any, world: World) -> None:
    import slicer

    regions_panel.shown.ui.nextButton.click()
    point = world_point(DEEPEST)
    for name in slicer.app.layoutManager().sliceViewNames():
        node = slicer.app.layoutManager().sliceWidget(name).mrmlSliceNode()
        to_ras = slicer.util.arrayFromVTKMatrix(node.GetXYToRAS())
        width, height, _sheets = node.GetDimensions()
        assert np.linalg.inv(to_ras) @ (*point, 1) == pytest.approx([width / 2, height / 2, 0, 1], abs=1.0)
    assert crosshair().GetCrosshairRAS() == pytest.approx(point)
    assert crosshair().GetCrosshairMode() == crosshair().ShowSmallBasic
    for camera in slicer.util.getNodesByClass("vtkMRMLCameraNode"):
        assert camera.GetFocalPoint() == pytest.approx(point)


def test_the_pixel_in_the_middle_of_the_views_is_that_voxel(regions_panel: Any, world: World) -> None:
    import slicer

    regions_panel.shown.ui.nextButton.click()
    for name in slicer.app.layoutManager().sliceViewNames():
        logic = slicer.app.layoutManager().sliceWidget(name).sliceLogic()
        transform, node = logic.GetLabelLayer().GetXYToIJKTransform(), logic.GetSliceNode()
        inverse = transform.GetInverse()
        x, y, z = inverse.TransformPoint(*DEEPEST)
        assert abs(z) < 1e-3 and abs(x - node.GetDimensions()[0] / 2) < 1 and abs(y - node.GetDimensions()[1] / 2) < 1


def test_the_arrow_buttons_walk_through_the_list(regions_panel: Any, world: World) -> None:
    ui = regions_panel.shown.ui
    rows = []
    for button in (ui.nextButton, ui.nextButton, ui.nextButton, ui.previousButton):
        button.click()
        rows.append(ui.placesTable.currentRow())
    assert rows == [0, 1, 1, 0]


def test_a_place_becomes_a_segment_of_exactly_its_voxels(regions_panel: Any, world: World) -> None:
    import slicer

    from ALHVRSegmentationLib.regions.result import SCAN, SEGMENTATION

    ui = regions_panel.shown.ui
    assert not ui.segmentButton.enabled
    ui.nextButton.click()
    ui.segmentButton.click()
    node, scan = (world.node.GetNodeReference(role) for role in (SEGMENTATION, SCAN))
    (segment_id,) = node.GetSegmentation().GetSegmentIDs()
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, scan)
    expected = np.zeros(mask.shape, bool)
    expected[2:6, 4:10, 12:20] = True
    assert np.array_equal(mask > 0, expected)
    assert editor().GetSelectedSegmentID() == segment_id and editor().GetSegmentationNode() is node
    assert editor().GetSourceVolumeNode() is scan
    assert "open the Segment Editor" in regions_panel.said[-1][1]


def test_all_unsure_voxels_become_the_only_ones_that_may_be_edited(regions_panel: Any, world: World) -> None:
    import slicer

    from ALHVRSegmentationLib.regions.result import SCAN, SEGMENTATION

    node, scan = (world.node.GetNodeReference(role) for role in (SEGMENTATION, SCAN))
    own = node.GetSegmentation().AddEmptySegment("own", "own")
    everything = np.ones(world.con_a.shape, np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(everything, node, own, scan)
    regions_panel.shown.ui.sendBox.currentIndex = 1
    regions_panel.shown.ui.maskButton.click()
    first, second = node.GetSegmentation().GetSegmentIDs()
    mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, second, scan)
    assert np.array_equal(mask > 0, world.engine_regions(0.1) == 3)
    assert slicer.util.arrayFromSegmentBinaryLabelmap(node, first, scan).all()  # nobody lost a voxel
    assert editor().GetMaskSegmentID() == second and editor().GetSelectedSegmentID() == first
    assert editor().GetMaskMode() == slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment


def test_a_second_segment_of_the_same_kind_gets_another_name(regions_panel: Any, world: World) -> None:
    from ALHVRSegmentationLib.regions.result import SEGMENTATION

    ui = regions_panel.shown.ui
    ui.nextButton.click()
    ui.segmentButton.click()
    ui.segmentButton.click()
    segmentation = world.node.GetNodeReference(SEGMENTATION).GetSegmentation()
    names = [segmentation.GetNthSegment(number).GetName() for number in range(2)]
    assert names == ["Unsure place", "Unsure place (2)"]


def test_the_segmentation_may_be_elsewhere_in_the_tree_of_transforms(regions_panel: Any, world: World) -> None:
    import slicer

    from ALHVRSegmentationLib.regions.result import SCAN, SEGMENTATION

    node, scan = (world.node.GetNodeReference(role) for role in (SEGMENTATION, SCAN))
    node.SetAndObserveTransformNodeID(None)
    regions_panel.shown.ui.nextButton.click()
    regions_panel.shown.ui.segmentButton.click()
    (segment_id,) = node.GetSegmentation().GetSegmentIDs()
    middle = np.zeros(3)
    node.GetSegmentCenterRAS(segment_id, middle)
    assert middle == pytest.approx(world_point((15.5, 6.5, 3.5)), abs=2.0)
    assert scan.GetParentTransformNode() is not None and slicer.mrmlScene is not None


def test_without_the_segmentation_nothing_is_made_and_the_panel_says_so(regions_panel: Any, world: World) -> None:
    import slicer

    from ALHVRSegmentationLib.regions.result import SEGMENTATION

    regions_panel.shown.ui.nextButton.click()
    slicer.mrmlScene.RemoveNode(world.node.GetNodeReference(SEGMENTATION))
    regions_panel.shown.ui.segmentButton.click()
    assert regions_panel.said[-1][0] == "warning" and "no longer in the scene" in regions_panel.said[-1][1]


def test_another_beta_empties_the_list_and_fills_it_anew(regions_panel: Any, world: World) -> None:
    ui = regions_panel.shown.ui
    ui.nextButton.click()
    regions_panel.parameters.beta = 0.02
    wait_until(lambda: ui.placesTable.rowCount == 1)
    assert ui.placesTable.item(0, 1).text().startswith(f"{np.prod(world.node.GetSpacing()) / 1000:.3f}")
    regions_panel.parameters.beta = 0.1
    wait_until(lambda: ui.placesTable.rowCount == 2)
