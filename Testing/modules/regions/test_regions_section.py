"""The section of the regions as a person uses it: switch, ticks, opacity, the slider by mouse and by key."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from one_section import wait_until
from region_worlds import OBLIQUE, World, confidences, make_result, table_of

from alhvr.formats.region_tables import GammaCurve


@pytest.fixture
def world(regions_panel: Any) -> World:
    """A result that is chosen and shown."""
    world = make_result()
    regions_panel.parameters.regions = world.node
    regions_panel.parameters.showRegions = True
    return world


def label_ids() -> list[str]:
    import slicer

    return [node.GetLabelVolumeID() for node in slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")]


def alphas(node: Any) -> list[float]:
    """Opacity of the colours of regions 1, 2 and 3."""
    found = []
    for region in (1, 2, 3):
        colour = [0.0] * 4
        node.GetDisplayNode().GetColorNode().GetColor(region, colour)
        found.append(round(colour[3], 3))
    return found


def test_without_regions_the_section_says_how_to_get_them(regions_panel: Any) -> None:
    ui = regions_panel.shown.ui
    assert not ui.showBox.visible and not ui.detailsBox.visible
    assert "Also find where the model is unsure" in ui.reasonLabel.text


def test_the_switch_shows_the_regions_in_all_slices_and_gives_back_what_was_there(regions_panel: Any) -> None:
    import slicer

    world = make_result()
    former = slicer.util.addVolumeFromArray(np.ones((3, 3, 3), np.uint8), nodeClassName="vtkMRMLLabelMapVolumeNode")
    slicer.util.setSliceViewerLayers(label=former, labelOpacity=0.25)
    regions_panel.parameters.regions = world.node
    assert label_ids() == [former.GetID()] * 3
    regions_panel.shown.ui.showBox.checked = True
    assert label_ids() == [world.node.GetID()] * 3 and regions_panel.shown.ui.detailsBox.visible
    regions_panel.shown.ui.showBox.checked = False
    assert label_ids() == [former.GetID()] * 3
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    assert [node.GetLabelOpacity() for node in composites] == [0.25] * 3


def test_segments_are_outlines_while_the_regions_are_shown(regions_panel: Any, world: World) -> None:
    from ALHVRLib.scene.region_layers import SEGMENTATION

    display = world.node.GetNodeReference(SEGMENTATION).GetDisplayNode()
    assert not display.GetVisibility2DFill() and display.GetVisibility2DOutline()
    regions_panel.parameters.showRegions = False
    assert display.GetVisibility2DFill()


def test_a_fill_that_the_user_switched_off_stays_off(regions_panel: Any) -> None:
    from ALHVRLib.scene.region_layers import SEGMENTATION

    world = make_result()
    display = world.node.GetNodeReference(SEGMENTATION).GetDisplayNode()
    display.SetVisibility2DFill(False)
    regions_panel.parameters.regions = world.node
    regions_panel.parameters.showRegions = True
    regions_panel.parameters.showRegions = False
    assert not display.GetVisibility2DFill()


def test_a_label_layer_chosen_meanwhile_is_left_alone(regions_panel: Any, world: World) -> None:
    import slicer

    other = slicer.util.addVolumeFromArray(np.ones((3, 3, 3), np.uint8), nodeClassName="vtkMRMLLabelMapVolumeNode")
    composite = slicer.app.layoutManager().sliceWidget("Green").mrmlSliceCompositeNode()
    composite.SetLabelVolumeID(other.GetID())
    regions_panel.parameters.regionOpacity = 0.3
    regions_panel.parameters.showRegions = False
    assert composite.GetLabelVolumeID() == other.GetID() and label_ids().count(other.GetID()) == 1


def test_ticks_make_regions_clear_and_opacity_goes_to_the_views(regions_panel: Any, world: World) -> None:
    import slicer

    assert alphas(world.node) == [0, 1, 1]
    regions_panel.shown.ui.reliableStableBox.checked = True
    regions_panel.shown.ui.unreliableStableBox.checked = False
    assert alphas(world.node) == [1, 1, 0]
    regions_panel.shown.ui.opacitySlider.value = 0.75
    composites = slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")
    assert [node.GetLabelOpacity() for node in composites] == [0.75] * 3


def test_dragging_shows_slices_numbers_and_at_release_every_voxel(regions_panel: Any, world: World) -> None:
    from slicer_stand_in.pictures import drag

    ui = regions_panel.shown.ui
    drag(ui.betaSlider, 0.6, 0.4)
    assert ui.gammaLabel.text == f"{world.curve.gamma(0.4):.4f}"
    assert not np.array_equal(world.shown(), world.engine_regions(0.4))
    wait_until(lambda: np.array_equal(world.shown(), world.engine_regions(0.4)))
    assert regions_panel.parameters.beta == 0.4
    counts = np.bincount(world.shown().ravel(), minlength=4)
    expected = counts[3] * abs(np.linalg.det(OBLIQUE)) / 1000
    assert ui.unreliableStableVolume.text == f"{expected:.3f} ml"


def test_while_dragging_the_parameter_waits_and_a_rest_completes_the_volume(regions_panel: Any, world: World) -> None:
    handle = regions_panel.shown.ui.betaSlider.findChild("ctkDoubleSlider", "Slider")
    handle.sliderPressed.emit()
    handle.setValue(0.3)
    assert regions_panel.parameters.beta == 0.8
    wait_until(lambda: np.array_equal(world.shown(), world.engine_regions(0.3)))
    handle.setValue(0.8)
    handle.sliderReleased.emit()
    wait_until(lambda: np.array_equal(world.shown(), world.engine_regions(0.8)))
    assert regions_panel.parameters.beta == 0.8


def test_keys_and_values_set_from_outside_move_every_voxel_soon(regions_panel: Any, world: World) -> None:
    regions_panel.shown.ui.betaSlider.value = 0.79
    regions_panel.shown.ui.betaSlider.value = 0.78
    assert regions_panel.parameters.beta == 0.78
    wait_until(lambda: np.array_equal(world.shown(), world.engine_regions(0.78)))
    regions_panel.parameters.beta = 0.1
    wait_until(lambda: np.array_equal(world.shown(), world.engine_regions(0.1)))
    assert regions_panel.shown.ui.betaSlider.value == 0.1


def test_the_counts_of_the_engine_are_shown_where_it_made_some(regions_panel: Any) -> None:
    counts = {f"{step / 100:.2f}": [1000, 2000, 3000] for step in range(101)}
    world = make_result(ijk_to_ras=np.diag([2.0, 2.0, 2.0, 1.0]), voxels_by_beta=counts, fusion="mean", temperature=0.1)
    regions_panel.parameters.regions = world.node
    regions_panel.parameters.showRegions = True
    ui = regions_panel.shown.ui
    texts = [ui.reliableStableVolume.text, ui.reliableUnstableVolume.text, ui.unreliableStableVolume.text]
    assert texts == ["8.00 ml", "16.0 ml", "24.0 ml"]
    assert "the mean of both networks" in ui.resultLabel.text and "T = 0.1" in ui.resultLabel.text


def test_a_scan_that_may_not_state_its_voxel_size_is_told(regions_panel: Any) -> None:
    regions_panel.parameters.regions = make_result(spacing_may_be_nominal=True).node
    regions_panel.parameters.showRegions = True
    assert "1,000 voxels" in regions_panel.shown.ui.resultLabel.text


def test_leaving_the_panel_in_the_middle_of_a_move_leaves_no_voxel_behind(regions_panel: Any, world: World) -> None:
    regions_panel.parameters.beta = 0.35
    regions_panel.follow(None)
    assert np.array_equal(world.shown(), world.engine_regions(0.35))


def test_saving_in_the_middle_of_a_move_saves_one_beta(regions_panel: Any, world: World) -> None:
    import slicer

    regions_panel.parameters.beta = 0.35
    slicer.mrmlScene.StartState(slicer.mrmlScene.SaveState)
    slicer.mrmlScene.EndState(slicer.mrmlScene.SaveState)
    assert np.array_equal(world.shown(), world.engine_regions(0.35))


@pytest.mark.parametrize("role", ["", "ALHVR.ConfidenceA", "ALHVR.ConfidenceB"])
def test_a_volume_removed_in_the_middle_of_a_drag_ends_in_a_sentence(
    regions_panel: Any, world: World, role: str
) -> None:
    import slicer

    handle = regions_panel.shown.ui.betaSlider.findChild("ctkDoubleSlider", "Slider")
    handle.sliderPressed.emit()
    handle.setValue(0.3)
    slicer.mrmlScene.RemoveNode(world.node.GetNodeReference(role) if role else world.node)
    handle.setValue(0.4)
    handle.sliderReleased.emit()
    slicer.app.processEvents()
    assert regions_panel.shown.ui.reasonLabel.visible and not regions_panel.shown.ui.detailsBox.visible
    assert regions_panel.shown.result is None


def test_a_scan_removed_in_the_middle_of_a_drag_does_not_matter(regions_panel: Any, world: World) -> None:
    import slicer
    from slicer_stand_in.pictures import drag

    from ALHVRSegmentationLib.regions.result import SCAN

    slicer.mrmlScene.RemoveNode(world.node.GetNodeReference(SCAN))
    drag(regions_panel.shown.ui.betaSlider, 0.3, 0.2)
    wait_until(lambda: np.array_equal(world.shown(), world.engine_regions(0.2)))


def test_closing_the_scene_in_the_middle_of_a_drag_is_quiet(regions_panel: Any, world: World) -> None:
    import slicer

    handle = regions_panel.shown.ui.betaSlider.findChild("ctkDoubleSlider", "Slider")
    handle.sliderPressed.emit()
    handle.setValue(0.3)
    regions_panel.shown.dropScene()
    regions_panel.follow(None)
    slicer.mrmlScene.Clear(0)
    handle.setValue(0.4)
    handle.sliderReleased.emit()
    regions_panel.follow_new()
    wait_until(lambda: regions_panel.shown.ui.reasonLabel.visible)


def test_a_saved_scene_comes_back_at_its_beta(regions_panel: Any, world: World, tmp_path: Any) -> None:
    import slicer

    regions_panel.parameters.beta = 0.35
    regions_panel.shown.finishMove()
    for node in slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"):
        slicer.util.saveNode(node, str(tmp_path / f"{node.GetName().replace(' ', '-')}.nrrd"))
    slicer.util.saveScene(str(tmp_path / "scene.mrml"))
    expected = world.engine_regions(0.35)
    regions_panel.shown.dropScene()
    regions_panel.follow(None)
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrml"))
    regions_panel.follow_new()
    node = next(n for n in slicer.util.getNodesByClass("vtkMRMLLabelMapVolumeNode") if n.GetAttribute("ALHVR.Beta"))
    regions_panel.parameters.regions = node
    assert regions_panel.parameters.beta == 0.35
    regions_panel.parameters.showRegions = True
    assert np.array_equal(slicer.util.arrayFromVolume(node), expected)


def test_two_results_each_keep_their_own_beta(regions_panel: Any, world: World) -> None:
    other = make_result()
    regions_panel.parameters.beta = 0.5
    regions_panel.parameters.regions = other.node
    assert regions_panel.parameters.beta == 0.8
    assert np.array_equal(other.shown(), other.engine_regions(0.8))
    regions_panel.parameters.regions = world.node
    assert regions_panel.parameters.beta == 0.5
    assert np.array_equal(world.shown(), world.engine_regions(regions_panel.parameters.beta))


def test_voxels_that_are_not_at_their_beta_are_mended(regions_panel: Any) -> None:
    import slicer

    world = make_result()
    world.node.SetAttribute("ALHVR.Beta", "0.25")
    regions_panel.parameters.regions = world.node
    assert np.array_equal(slicer.util.arrayFromVolume(world.node), world.engine_regions(0.25))
    assert regions_panel.parameters.beta == 0.25


def test_a_later_run_into_the_same_node_is_taken_up_at_the_beta_of_the_slider(regions_panel: Any, world: World) -> None:
    import json

    import slicer

    regions_panel.parameters.beta = 0.35
    regions_panel.shown.finishMove()
    con_a, con_b = confidences(seed=8)
    for role, array in (("ALHVR.ConfidenceA", con_a), ("ALHVR.ConfidenceB", con_b)):
        slicer.util.updateVolumeFromArray(world.node.GetNodeReference(role), array)
    later = World(world.node, con_a, con_b, GammaCurve(con_a, con_b))
    slicer.util.updateVolumeFromArray(world.node, later.engine_regions(0.8))
    world.node.SetAttribute("ALHVR.RegionTable", json.dumps(table_of(con_a, con_b)))
    regions_panel.shown.refresh()
    assert regions_panel.parameters.beta == 0.35
    assert np.array_equal(later.shown(), later.engine_regions(0.35))
    assert regions_panel.shown.ui.gammaLabel.text == f"{later.curve.gamma(0.35):.4f}"


def test_choosing_another_scan_shows_its_own_regions_or_none(regions_panel: Any, world: World) -> None:
    from ALHVRSegmentationLib.regions.result import SCAN

    other = make_result()
    regions_panel.parameters.inputVolume = world.node.GetNodeReference(SCAN)
    regions_panel.parameters.inputVolume = other.node.GetNodeReference(SCAN)
    assert regions_panel.parameters.regions is other.node
    plain = make_result().node
    plain_scan = plain.GetNodeReference(SCAN)
    plain.RemoveAttribute("ALHVR.RegionTable")
    regions_panel.parameters.inputVolume = plain_scan
    assert regions_panel.parameters.regions is None and label_ids() == [None] * 3


def test_a_damaged_table_is_told(regions_panel: Any, world: World) -> None:
    world.node.SetAttribute("ALHVR.RegionTable", "{}")
    regions_panel.shown.refresh()
    assert "damaged" in regions_panel.shown.ui.reasonLabel.text
