"""Real pictures: a volume in the slices, a segmentation over it and in 3-D, the panel beside them."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def volume(clean_slate: None) -> Any:
    """A ball of 100 in a box of 40 x 40 x 40 voxels of 2 mm, shown in all slices."""
    import slicer

    box = np.indices((40, 40, 40)) - 20
    ball = np.where((box**2).sum(axis=0) < 144, 100, 0).astype(np.int16)
    matrix = np.diag([2.0, 2.0, 2.0, 1.0])
    matrix[:3, 3] = -40
    node = slicer.util.addVolumeFromArray(ball, matrix, "ball")
    node.GetDisplayNode().AutoWindowLevelOff()
    node.GetDisplayNode().SetWindowLevelMinMax(0, 200)
    slicer.util.setSliceViewerLayers(background=node, fit=True)
    return node


@pytest.fixture
def segmentation(volume: Any) -> Any:
    """The same ball as a red segment."""
    import slicer

    node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "ball")
    node.CreateDefaultDisplayNodes()
    node.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    segment = node.GetSegmentation().AddEmptySegment("ball", "ball", [1.0, 0.0, 0.0])
    mask = (slicer.util.arrayFromVolume(volume) > 0).astype(np.uint8)
    slicer.util.updateSegmentBinaryLabelmapFromArray(mask, node, segment, volume)
    return node


def test_a_slice_shows_the_volume_grey_on_black(volume: Any) -> None:
    from slicer_stand_in.pictures import view_image

    image = view_image("Red")
    middle = image[200, 200]
    assert (middle == middle[0]).all() and 100 < middle[0] < 150
    assert image[5, 200].max() < 10


def test_a_segment_is_filled_over_the_volume_not_over_black(segmentation: Any) -> None:
    from slicer_stand_in.pictures import view_image

    red, green, _ = (int(value) for value in view_image("Red")[200, 200])
    assert red > green + 40 and green > 30


def test_the_surface_appears_in_3d(segmentation: Any) -> None:
    import slicer
    from slicer_stand_in.pictures import view_image

    before = view_image("3D")
    segmentation.CreateClosedSurfaceRepresentation()
    slicer.app.layoutManager().resetThreeDViews()
    after = view_image("3D")
    reddish = (after[..., 0].astype(int) > after[..., 1].astype(int) + 60).mean()
    assert reddish > 0.05 and not np.array_equal(before, after)


def test_the_same_scene_gives_the_same_picture_twice(segmentation: Any) -> None:
    from slicer_stand_in.pictures import view_image

    assert np.array_equal(view_image("Green"), view_image("Green"))


def test_moving_the_offset_moves_the_slice(volume: Any) -> None:
    import slicer
    from slicer_stand_in.pictures import view_image

    controller = slicer.app.layoutManager().sliceWidget("Red").sliceController()
    controller.setSliceOffsetValue(-39)
    assert view_image("Red").max() < 10


def test_a_panel_stands_beside_the_four_views(volume: Any, load_panel: Any, tmp_path: pathlib.Path) -> None:
    from slicer_stand_in.pictures import beside, four_views, panel_image
    from slicer_stand_in.views import write_png

    panel = load_panel(pathlib.Path(__file__).parent / "modules" / "LifeCyc.py")
    picture = beside(panel_image(panel.representation), four_views())
    write_png(picture, tmp_path / "together.png")
    assert picture.shape[0] >= 800 and picture[:, : panel.representation.width].std() > 5
    assert (tmp_path / "together.png").read_bytes().startswith(b"\x89PNG")


def test_a_panel_can_be_seen_dark_and_enlarged(load_panel: Any) -> None:
    from slicer_stand_in.pictures import look, panel_image

    representation = load_panel(pathlib.Path(__file__).parent / "modules" / "LifeCyc.py").representation
    light, width = panel_image(representation), representation.sizeHint.width()
    with look(representation, dark=True, scale=1.5):
        assert panel_image(representation).mean() < light.mean() - 50
        assert representation.sizeHint.width() > width
    assert abs(panel_image(representation).mean() - light.mean()) < 5


def test_a_layout_with_a_plot_makes_one_plot_view_that_stays() -> None:
    import slicer

    manager, layouts = slicer.app.layoutManager(), slicer.vtkMRMLLayoutNode
    before = manager.layout
    for layout in (layouts.SlicerLayoutFourUpPlotView, before, layouts.SlicerLayoutConventionalPlotView, before):
        manager.setLayout(layout)
    slicer.mrmlScene.Clear(0)
    assert len(slicer.util.getNodesByClass("vtkMRMLPlotViewNode")) == manager.plotViewCount == 1
