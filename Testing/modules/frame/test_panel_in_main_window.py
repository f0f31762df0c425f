"""The panel in Slicer's main window: its width there, what lies over what, and visits to other modules."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from module_worlds import install_sample_model
from one_section import wait_until
from region_worlds import SHAPE, make_result

SURE, UNSURE = 65535, 20000
PANEL_WIDTH = 419
SECTIONS = ("segment.section.SegmentSection", "regions.section.RegionsSection", "models.section.ModelsSection",
            "export.section.ExportSection")


@pytest.fixture
def panel(main_window: Any, load_panel: Callable, module_file: pathlib.Path, own_settings: pathlib.Path) -> Any:
    """The module's panel with the sample model installed."""
    install_sample_model()
    return load_panel(module_file).widget.panel


def section(panel: Any, name: str) -> Any:
    import importlib

    module, _, kind = name.rpartition(".")
    return panel.section(getattr(importlib.import_module(f"ALHVRSegmentationLib.{module}"), kind))


def select(name: str) -> None:
    import slicer

    slicer.util.selectModule(name)
    slicer.app.processEvents()


@pytest.fixture
def shown(panel: Any) -> Iterator[Any]:
    """The section of the regions with a result and its list of places."""
    con_a, con_b = np.full((2, *SHAPE), SURE, np.uint16)
    con_a[2:6, 4:10, 2:6] = con_b[2:6, 4:10, 2:6] = UNSURE
    con_a[7, 12, 8] = UNSURE
    world = make_result(arrays=(con_a, con_b), fusion="competition", temperature=1.5, spacing_may_be_nominal=True)
    regions = section(panel, SECTIONS[1])
    panel.parameters.inputVolume = world.node.GetNodeReference("ALHVR.Scan")
    panel.parameters.regions = world.node
    panel.parameters.showRegions = True
    regions.frame.collapsed = False
    wait_until(lambda: regions.ui.placesTable.rowCount > 0)
    return regions


def own_segment(shown: Any) -> Any:
    """The segmentation of the result, with a segment of its own that comes first."""
    segmentation = shown.result.other("ALHVR.Segmentation")
    segmentation.GetSegmentation().AddEmptySegment("liver", "liver")
    return segmentation


def composites() -> list:
    import slicer

    return slicer.util.getNodesByClass("vtkMRMLSliceCompositeNode")


@pytest.mark.parametrize("opened_before", [False, True], ids=["first opening", "opened before"])
def test_the_segment_editor_comes_up_with_the_new_segment(shown: Any, opened_before: bool) -> None:
    import slicer

    segmentation = own_segment(shown)
    if opened_before:
        select("SegmentEditor")
        select("ALHVRSegmentation")
        wait_until(lambda: shown.ui.placesTable.rowCount > 0)
    shown.ui.nextButton.click()
    shown.ui.segmentButton.click()
    editor = slicer.mrmlScene.GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode")
    assert slicer.util.mainWindow().moduleSelector().selectedModule == "SegmentEditor"
    assert editor.GetSelectedSegmentID() == segmentation.GetSegmentation().GetNthSegmentID(1)
    assert editor.GetSourceVolumeNode() is shown.result.other("ALHVR.Scan")


def test_only_there_the_editor_keeps_its_mask_and_another_segment(shown: Any) -> None:
    import slicer

    segmentation = own_segment(shown)
    shown.ui.nextButton.click()
    shown.ui.maskButton.click()
    editor = slicer.mrmlScene.GetSingletonNode("SegmentEditor", "vtkMRMLSegmentEditorNode")
    assert editor.GetMaskMode() == slicer.vtkMRMLSegmentationNode.EditAllowedInsideSingleSegment
    assert editor.GetMaskSegmentID() == segmentation.GetSegmentation().GetNthSegmentID(1)
    assert editor.GetSelectedSegmentID() == "liver"


def test_the_regions_are_there_again_after_a_visit_to_the_segment_editor(shown: Any) -> None:
    shown.ui.nextButton.click()
    shown.ui.segmentButton.click()
    assert not any(composite.GetLabelVolumeID() for composite in composites())
    select("ALHVRSegmentation")
    assert {composite.GetLabelVolumeID() for composite in composites()} == {shown.result.node_id}


def test_a_label_layer_that_the_user_chose_elsewhere_stays(shown: Any) -> None:
    import slicer

    other = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "other")
    select("Data")
    composites()[0].SetLabelVolumeID(other.GetID())
    select("ALHVRSegmentation")
    assert composites()[0].GetLabelVolumeID() == other.GetID()
    assert composites()[1].GetLabelVolumeID() == shown.result.node_id


def test_former_label_layers_come_back_after_a_visit_to_the_segment_editor(shown: Any, panel: Any) -> None:
    import slicer

    panel.parameters.showRegions = False
    former = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLabelMapVolumeNode", "former")
    composites()[0].SetLabelVolumeID(former.GetID())
    panel.parameters.showRegions = True
    select("SegmentEditor")
    select("ALHVRSegmentation")
    panel.parameters.showRegions = False
    assert composites()[0].GetLabelVolumeID() == former.GetID()


def test_nothing_lies_behind_the_buttons_below_the_table_after_a_visit_elsewhere(shown: Any, panel: Any,
                                                                                 main_window: Any) -> None:
    select("SegmentEditor")
    select("ALHVRSegmentation")
    section(panel, SECTIONS[3]).frame.collapsed = False
    wait_until(lambda: shown.ui.placesTable.rowCount > 0)
    main_window._panel_widget().fit()
    ui = shown.ui
    table = ui.placesTable.geometry
    assert table.height() >= ui.placesTable.minimumHeight
    for button in (ui.previousButton, ui.nextButton, ui.segmentButton, ui.maskButton, ui.sendBox):
        assert button.geometry.top() >= table.bottom(), button.objectName
    label = ui.resultLabel
    assert label.visible and label.height == label.heightForWidth(label.width)
    assert label.geometry.bottom() <= ui.placesTable.geometry.top()


@pytest.mark.parametrize("width", [380, 419, 700])
def test_a_wrapped_text_is_as_high_as_it_needs_to_be_at_any_width(shown: Any, main_window: Any, width: int) -> None:
    main_window._panel_widget().resize(width, 830)
    main_window._panel_widget().fit()
    label = shown.ui.resultLabel
    for text in (label.text, "short", 5 * label.text):
        label.text = text
        main_window._panel_widget().fit()
        assert label.height == label.heightForWidth(label.width)
        assert label.geometry.bottom() < shown.ui.placesLabel.geometry.top()


@pytest.mark.parametrize("name", SECTIONS)
def test_no_section_makes_the_panel_wider_than_it_is(panel: Any, main_window: Any, name: str) -> None:
    opened = section(panel, name)
    opened.frame.collapsed = False
    if name.endswith("SegmentSection"):
        opened.ui.moreButton.collapsed = False
    if name.endswith("ModelsSection"):
        opened.ui.modelList.setCurrentRow(0)
    main_window._panel_widget().fit()
    assert main_window._panel_widget().least_width <= PANEL_WIDTH


def test_a_long_folder_does_not_make_the_panel_wider(panel: Any, main_window: Any, tmp_path: pathlib.Path) -> None:
    opened = section(panel, SECTIONS[3])
    opened.frame.collapsed = False
    opened.ui.folderButton.directory = str(tmp_path / ("studies of the hospital " * 8).strip())
    main_window._panel_widget().fit()
    assert main_window._panel_widget().least_width <= PANEL_WIDTH


def test_a_message_goes_with_the_scene_that_it_is_about(panel: Any) -> None:
    import slicer

    panel.say("x.nii.gz is already there: press the button again to replace it.")
    slicer.mrmlScene.Clear(0)
    assert panel.message == ""


def left_in_panel(widget: Any, panel: Any) -> int:
    """Pixels from the panel's left edge."""
    import qt

    return widget.mapTo(panel._widget.parent, qt.QPoint(0, 0)).x()


def test_the_set_up_is_inset_as_the_other_sections_are(panel: Any, main_window: Any,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRLib.requirements import Requirement
    from ALHVRLib.setup_section import SetupSection

    monkeypatch.setattr(Requirement, "is_met", lambda _self: False)
    panel.follow(panel.parameters)
    main_window._panel_widget().fit()
    setup, segment = panel.section(SetupSection), section(panel, SECTIONS[0])
    assert setup.ui.packageLabel.visible
    assert left_in_panel(setup.ui.packageLabel, panel) == left_in_panel(segment.ui.segmentButton, panel)


def test_rows_of_channels_that_a_model_does_not_have_leave_no_gap(panel: Any, main_window: Any) -> None:
    main_window._panel_widget().fit()
    ui = section(panel, SECTIONS[0]).ui
    rows = [selector.geometry for selector in (ui.inputSelector, ui.modelBox, ui.outputSelector)]
    gaps = [below.top() - above.bottom() for above, below in zip(rows, rows[1:], strict=False)]
    assert abs(gaps[0] - gaps[1]) <= 2  # boxes of different kinds are a pixel higher or lower
