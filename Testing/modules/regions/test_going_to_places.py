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
    ml = abs(np.linalg.det(MOVE @ OBLIQUE)) / 1000
    texts = [table.item(0, column).text() for column in range(5)]
    doubt = (191 * (1 - 30000 / SURE) + 1 - 20000 / SURE) * ml
    assert texts == ["none", f"{192 * ml:.3f}", f"{doubt:.3f}", "", "70 %"]
    assert table.currentRow() == -1 and crosshair().GetCrosshairMode() == crosshair().NoCrosshair


def test_going_to_a_place_moves_every_view_to_its_least_certain_voxel(regions_panel: Any, world: World) -> None:
    import slicer

    regions_panel.shown.ui.nextButton.click()
    point = world_point(DEEPEST)
    assert crosshair().GetCrosshairRAS() == pytest.approx(point)
    assert crosshair().GetCrosshairMode() == crosshair().ShowSmallBasic
    for camera in slicer.util.getNodesByClass("vtkMRMLCameraNode"):
        assert camera.GetFocalPoint() == pytest.approx(point)


@pytest.mark.parametrize("zoom", [1.0, 0.1], ids=["all in sight", "near"])
def test_the_voxel_lies_in_every_slice_and_in_sight_of_it(regions_panel: Any, world: World, zoom: float) -> None:
    import slicer

    from ALHVRSegmentationLib.regions.result import SCAN

    slicer.util.setSliceViewerLayers(background=world.node.GetNodeReference(SCAN), fit=True)
    logics = [slicer.app.layoutManager().sliceWidget(name).sliceLogic() for name in ("Red", "Green", "Yellow")]
    for logic in logics:
        width, height, depth = logic.GetSliceNode().GetFieldOfView()
        logic.GetSliceNode().SetFieldOfView(width * zoom, height * zoom, depth)
    origins = [logic.GetSliceNode().GetXYZOrigin() for logic in logics]
    regions_panel.shown.ui.nextButton.click()
    for logic in logics:
        size = logic.GetSliceNode().GetDimensions()
        x, y, z = logic.GetLabelLayer().GetXYToIJKTransform().GetInverse().TransformPoint(*DEEPEST)
        assert abs(z) < 1e-3 and 0.1 * size[0] <= x <= 0.9 * size[0] and 0.1 * size[1] <= y <= 0.9 * size[1]
    if zoom == 1.0:  # no view was shifted
        assert origins == [logic.GetSliceNode().GetXYZOrigin() for logic in logics]


def test_the_arrow_buttons_walk_through_the_list(regions_panel: Any, world: World) -> None:
    ui = regions_panel.shown.ui
    rows = []
    for button in (ui.nextButton, ui.nextButton, ui.nextButton, ui.previousButton):
        button.click()
        rows.append(ui.placesTable.currentRow())
    assert rows == [0, 1, 1, 0]


def test_a_place_becomes_a_segment_of_exactly_its_voxels(regions_panel: Any, world: World) -> None:
    import slicer

    from ALHVRLib.scene.region_layers import SEGMENTATION
    from ALHVRSegmentationLib.regions.result import SCAN

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

    from ALHVRLib.scene.region_layers import SEGMENTATION
    from ALHVRSegmentationLib.regions.result import SCAN

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
    from ALHVRLib.scene.region_layers import SEGMENTATION

    ui = regions_panel.shown.ui
    ui.nextButton.click()
    ui.segmentButton.click()
    ui.segmentButton.click()
    segmentation = world.node.GetNodeReference(SEGMENTATION).GetSegmentation()
    names = [segmentation.GetNthSegment(number).GetName() for number in range(2)]
    assert names == ["Unsure place", "Unsure place (2)"]


def test_the_segmentation_may_be_elsewhere_in_the_tree_of_transforms(regions_panel: Any, world: World) -> None:
    import slicer

    from ALHVRLib.scene.region_layers import SEGMENTATION
    from ALHVRSegmentationLib.regions.result import SCAN

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

    from ALHVRLib.scene.region_layers import SEGMENTATION

    regions_panel.shown.ui.nextButton.click()
    slicer.mrmlScene.RemoveNode(world.node.GetNodeReference(SEGMENTATION))
    regions_panel.shown.ui.segmentButton.click()
    assert regions_panel.said[-1][0] == "warning" and "no longer in the scene" in regions_panel.said[-1][1]


def test_another_beta_empties_the_list_and_fills_it_anew(regions_panel: Any, world: World) -> None:
    ui = regions_panel.shown.ui
    ui.nextButton.click()
    regions_panel.parameters.beta = 0.02
    wait_until(lambda: ui.placesTable.rowCount == 1)
    assert ui.placesTable.item(0, 1).text().startswith(f"{abs(np.linalg.det(MOVE @ OBLIQUE)) / 1000:.3f}")
    regions_panel.parameters.beta = 0.1
    wait_until(lambda: ui.placesTable.rowCount == 2)


def test_the_list_and_its_current_place_outlive_a_visit_to_another_panel(regions_panel: Any, world: World) -> None:
    ui = regions_panel.shown.ui
    ui.nextButton.click()
    parameters = regions_panel.parameters
    regions_panel.follow(None)
    regions_panel.follow(parameters)
    assert ui.placesTable.rowCount == 2 and ui.placesTable.currentRow() == 0


def test_a_panel_closed_in_the_middle_of_a_search_leaves_nothing_behind(regions_panel: Any, world: World) -> None:
    import threading

    before = threading.active_count()
    regions_panel.parameters.beta = 0.2
    regions_panel.shown.finishMove()
    regions_panel.close()
    wait_until(lambda: threading.active_count() <= before)
    assert np.array_equal(world.shown(), world.engine_regions(0.2))


def test_the_segment_editor_opens_where_there_is_one(
    regions_panel: Any, world: World, main_window: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import slicer

    opened = []
    monkeypatch.setattr(slicer.modules, "segmenteditor", object(), raising=False)
    monkeypatch.setattr(slicer.util, "selectModule", opened.append)
    regions_panel.shown.ui.nextButton.click()
    regions_panel.shown.ui.maskButton.click()
    assert opened == ["SegmentEditor"] and regions_panel.said == []
