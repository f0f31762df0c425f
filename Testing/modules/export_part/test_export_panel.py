"""The Export section: follows the segmentation, says what is possible, writes on one press."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scene_worlds import MARK, SHAPE, add_volume, labels, marked_voxels


@pytest.fixture
def panel(
    load_panel: Callable[[pathlib.Path], Any], module_file: pathlib.Path, own_settings: pathlib.Path,
    tmp_path: pathlib.Path,
) -> Any:  # fmt: skip
    """The panel with the folder of the test."""
    panel = load_panel(module_file).widget.panel
    (tmp_path / "out").mkdir()
    section(panel).ui.folderButton.directory = str(tmp_path / "out")
    return panel


def section(panel: Any) -> Any:
    from ALHVRSegmentationLib.export.section import ExportSection

    return panel.section(ExportSection)


def choose_segmentation(panel: Any, name: str = "Größe: 1") -> Any:
    """A segmentation of a scan that is no DICOM, chosen in the panel."""
    import slicer

    from ALHVRSegmentationLib.results.import_segmentation import put_segments

    array = np.zeros(SHAPE, np.uint8)
    array[MARK] = 1
    volume = add_volume(marked_voxels(), np.eye(4))
    placed = put_segments(array, labels("liver"), volume, None, "ALHVR")
    node = slicer.mrmlScene.GetNodeByID(placed.segmentation_id)
    node.SetName(name)
    panel.parameters.segmentation = node
    return node


def names(tmp_path: pathlib.Path) -> list[str]:
    return sorted(path.name for path in (tmp_path / "out").iterdir())


def test_nothing_can_be_exported_before_there_is_a_segmentation(panel: Any) -> None:
    ui = section(panel).ui
    assert [button.enabled for button in (ui.nrrdButton, ui.niftiButton, ui.dicomButton)] == [False] * 3
    assert "none yet" in ui.segmentationLabel.text


def test_the_buttons_write_the_chosen_segmentation_under_its_name(panel: Any, tmp_path: pathlib.Path) -> None:
    choose_segmentation(panel)
    ui = section(panel).ui
    assert (ui.segmentationLabel.text, ui.nameEdit.text) == ("Größe: 1", "Größe_ 1")
    ui.nrrdButton.click()
    assert "Größe_ 1.seg.nrrd" in panel.message
    ui.niftiButton.click()
    assert names(tmp_path) == ["Größe_ 1.json", "Größe_ 1.nii.gz", "Größe_ 1.seg.nrrd"]


def test_dicom_is_disabled_with_the_reason(panel: Any) -> None:
    choose_segmentation(panel)
    ui = section(panel).ui
    assert ui.nrrdButton.enabled
    assert not ui.dicomButton.enabled
    assert ui.dicomReason.text == "DICOM-SEG refers to DICOM images, and the scan Scan was not loaded from DICOM."


def test_a_file_is_replaced_only_on_a_second_press(panel: Any, tmp_path: pathlib.Path) -> None:
    choose_segmentation(panel, "a")
    (tmp_path / "out" / "a.seg.nrrd").write_text("precious")
    section(panel).ui.nrrdButton.click()
    assert "already there" in panel.message
    assert (tmp_path / "out" / "a.seg.nrrd").read_text() == "precious"
    section(panel).ui.nrrdButton.click()
    assert "Written and read back" in panel.message
    assert (tmp_path / "out" / "a.seg.nrrd").stat().st_size > 100


def test_a_folder_that_went_away_is_one_sentence(panel: Any, tmp_path: pathlib.Path) -> None:
    choose_segmentation(panel, "a")
    (tmp_path / "out").rmdir()
    section(panel).ui.niftiButton.click()
    assert "is not there" in panel.message


def test_without_a_name_nothing_is_written(panel: Any) -> None:
    choose_segmentation(panel)
    ui = section(panel).ui
    ui.nameEdit.text = " .. "
    assert not ui.nrrdButton.enabled
    ui.nameEdit.text = "b"
    assert ui.nrrdButton.enabled


def test_a_removed_segmentation_and_a_closed_scene_are_followed(panel: Any) -> None:
    import slicer

    slicer.mrmlScene.RemoveNode(choose_segmentation(panel))
    slicer.app.processEvents()
    assert not section(panel).ui.nrrdButton.enabled
    choose_segmentation(panel)
    slicer.mrmlScene.Clear(0)
    assert not section(panel).ui.nrrdButton.enabled


def test_the_folder_is_remembered(panel: Any, tmp_path: pathlib.Path) -> None:
    import slicer

    assert slicer.util.settingsValue("ALHVR/ExportFolder", "") == str(tmp_path / "out")


def test_moving_the_beta_slider_does_not_ask_the_database_again(panel: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRSegmentationLib.export import dicom_seg

    choose_segmentation(panel)
    asked = []
    monkeypatch.setattr(dicom_seg, "reason_against", lambda node: asked.append(node) or "")
    for step in range(5):
        panel.parameters.beta = 0.5 + step / 100
    assert asked == []
