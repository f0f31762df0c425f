"""Next case: from the ranking to a labelled case of which only counts what somebody looked at."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from child_watch import let_qt_work
from review_worlds import UNSURE, add_model, draft_of, write_ranking
from tiny_runs import make_scan


@pytest.fixture
def world(trainer: Any, project_folder: Callable[..., pathlib.Path], tmp_path: pathlib.Path) -> pathlib.Path:
    """A project with a model and a ranking of two scans, open in the panel."""
    folder = project_folder()
    add_model(folder)
    write_ranking(folder, tmp_path / "made" / "archive")
    trainer.logic.session.open(folder)
    trainer.panel.showSection("ReviewSection")
    return folder


@pytest.fixture
def review(trainer: Any, world: pathlib.Path) -> Any:
    return review_of(trainer)


@pytest.fixture
def opened(review: Any) -> Any:
    """The section with the first scan open."""
    review.ui.openButton.click()
    assert review.opened is not None, review.panel.message
    return review


def review_of(trainer: Any) -> Any:
    from ALHVRTrainerLib.review.section import ReviewSection

    return trainer.panel.section(ReviewSection)


def cells(table: Any, row: int) -> list[str]:
    return [table.item(row, column).text() for column in range(table.columnCount)]


def edit(review: Any, name: str, change: Callable[[np.ndarray], None]) -> None:
    """What painting does: the voxels of a segment are others, and the scene says so."""
    import slicer

    node, volume = review.opened.segmentation, review.opened.volume
    segment_id = node.GetSegmentation().GetSegmentIdBySegmentName(name)
    array = slicer.util.arrayFromSegmentBinaryLabelmap(node, segment_id, volume)
    change(array)
    slicer.util.updateSegmentBinaryLabelmapFromArray(array, node, segment_id, volume)
    assert review.opened._settle.isActive()
    review.opened.takeEdits()


def look_at(review: Any, k: int) -> None:
    """Let the red view show a slice of the scan."""
    import slicer

    from ALHVRLib.scene.navigation import jump_to, world_of

    nodes = slicer.util.getNodesByClass("vtkMRMLSliceNode")
    if not nodes:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSliceNode", "Red")
        node.SetOrientationToAxial()
    jump_to(world_of(review.opened.volume, (16, 16, k)))


def paint_missing_spleen(array: np.ndarray) -> None:
    array[1] = make_scan(100)[1][1] == 3


def test_before_the_first_model_it_says_when_it_comes(trainer: Any, project: pathlib.Path) -> None:
    section = review_of(trainer)
    assert section.ui.needLabel.text.startswith("Comes after the first training")
    assert not section.ui.reviewFrame.isVisibleTo(section.widget)


def test_the_scans_are_listed_with_score_and_reason(review: Any) -> None:
    table = review.ui.scansTable
    assert [cells(table, row)[1:] for row in range(table.rowCount)] == [["scan0", "0.90", "spleen uncertain"],
                                                                       ["scan1", "0.80", "spleen uncertain"]]
    let_qt_work(lambda: not review._table._timer.isActive())
    assert not table.item(0, 0).icon().isNull()


def test_the_engine_ranks_the_archive_in_the_child(trainer: Any, project_folder: Callable[..., pathlib.Path]) -> None:
    from model_worlds import engine_model

    folder = project_folder()
    engine_model(add_model(folder))
    trainer.logic.session.open(folder)
    trainer.panel.showSection("ReviewSection")
    section = review_of(trainer)
    section.ui.rankButton.click()
    assert section.ui.busyFrame.isVisible()
    let_qt_work(lambda: not section.ui.busyFrame.isVisible())
    assert trainer.panel.message == "" and section.ui.scansTable.rowCount == 3
    assert (folder / "review" / "ranking.json").is_file()


def test_opening_a_scan_brings_draft_and_regions_into_the_scene(opened: Any) -> None:
    import slicer

    masks = opened.opened.masks()
    assert np.array_equal(masks["liver"], draft_of(0) == 1) and np.array_equal(masks["spleen"], draft_of(0) == 3)
    labels = slicer.util.getNodesByClass("vtkMRMLLabelMapVolumeNode")
    assert [slicer.util.arrayFromVolume(node)[UNSURE] for node in labels] == [3]
    table = opened.ui.structuresTable
    assert [cells(table, row) for row in range(2)] == [["liver", "not annotated"], ["spleen", "not annotated"]]
    assert not opened.ui.acceptButton.enabled and opened.ui.acceptLabel.isVisible()


def test_the_editor_opens_beside_a_bar_with_the_same_buttons(trainer: Any, world: pathlib.Path, opened: Any,
                                                             main_window: Any) -> None:
    opened.ui.laterButton.click()
    opened.ui.openButton.click()
    assert main_window.moduleSelector().selectedModule == "SegmentEditor"
    button = opened._bar.button("next")
    assert button.shortcut.toString() == "N" and opened._bar.button("previous").shortcut.toString() == "P"
    opened._bar.button("whole").trigger()
    assert opened.ui.acceptButton.enabled
    opened.onLater()
    assert not opened._bar.isShown


def test_the_worst_place_is_one_press_away(opened: Any) -> None:
    import slicer

    from ALHVRLib.scene.navigation import world_of

    look_at(opened, 0)
    let_qt_work(lambda: opened.ui.worstButton.enabled)
    opened.ui.worstButton.click()
    crosshair = slicer.mrmlScene.GetFirstNodeByClass("vtkMRMLCrosshairNode")
    wanted = world_of(opened.opened.volume, UNSURE[::-1])
    assert np.allclose(crosshair.GetCrosshairRAS() if crosshair else wanted, wanted, atol=0.1)
    assert 2 in [one.index for one in opened.opened.shownSlices()]


def test_an_edit_counts_in_its_slice_and_for_its_structure_alone(opened: Any) -> None:
    edit(opened, "spleen", paint_missing_spleen)
    table = opened.ui.structuresTable
    assert [cells(table, row) for row in range(2)] == [["liver", "not annotated"], ["spleen", "1 of 4 slices"]]
    assert opened.ui.acceptButton.enabled


def test_what_is_called_right_counts_for_the_ticked_structures(opened: Any) -> None:
    import qt

    look_at(opened, 2)
    opened.ui.structuresTable.item(0, 0).setCheckState(qt.Qt.Unchecked)
    opened.ui.rightButton.click()
    table = opened.ui.structuresTable
    assert [cells(table, row)[1] for row in range(2)] == ["not annotated", "1 of 4 slices"]
    assert opened.opened.annotated.structures["spleen"].slices[0].tolist() == [False, False, True, False]
    opened.ui.wholeButton.click()
    assert [cells(table, row)[1] for row in range(2)] == ["not annotated", "4 of 4 slices"]


def test_accepting_adds_a_case_that_the_engine_reads_as_it_was_annotated(world: pathlib.Path, opened: Any) -> None:
    from alhvr.data.case_io import LabelDecoder
    from alhvr.data.cases import find_cases
    from alhvr.data.reading import read_scan
    from alhvr.formats.labels import NOT_ANNOTATED, LabelSet

    edit(opened, "spleen", paint_missing_spleen)
    look_at(opened, 2)
    opened.ui.rightButton.click()
    opened.ui.acceptButton.click()
    assert "is added as case 1" in opened.panel.message
    found = find_cases(world / "cases", labeled=True)
    case = next(case for case in found.cases if case.name == "case 1")
    scan = read_scan(case.image)
    assert np.array_equal(scan.array, make_scan(100)[0])
    index = LabelDecoder(LabelSet.from_names(found.label_names), NOT_ANNOTATED).read(case, scan.geometry)
    label = make_scan(100)[1]
    wanted = np.full(label.shape, NOT_ANNOTATED, np.uint8)
    wanted[1][label[1] == 3] = 2
    wanted[2] = np.select([label[2] == 1, label[2] == 3], [1, 2], 0)
    assert np.array_equal(index, wanted)


def test_a_structure_that_nobody_looked_at_is_not_annotated_in_the_case(world: pathlib.Path, opened: Any) -> None:
    edit(opened, "spleen", paint_missing_spleen)
    opened.ui.acceptButton.click()
    entry = json.loads((world / "cases" / "cases.json").read_text())["cases"]["case 1"]
    assert entry["not_annotated"] == ["liver"] and "annotated_on" in entry


def test_all_channels_of_a_scan_become_those_of_the_case(world: pathlib.Path, review: Any,
                                                        tmp_path: pathlib.Path) -> None:
    archive = tmp_path / "made" / "archive"
    for channel in range(2):
        (archive / f"scan0_{channel:04d}.nrrd").write_bytes((archive / "scan0.nrrd").read_bytes())
    write_ranking(world, archive, scans=1, image=str(archive / "scan0_0000.nrrd"))
    review.panel.refresh()
    review.ui.openButton.click()
    review.ui.wholeButton.click()
    review.ui.acceptButton.click()
    images = world / "cases" / "images"
    assert [path.name for path in sorted(images.glob("case 1*"))] == ["case 1_0000.nrrd", "case 1_0001.nrrd"]
    assert (images / "case 1_0001.nrrd").read_bytes() == (archive / "scan0.nrrd").read_bytes()


def test_what_was_decided_is_written_down_and_the_next_scan_opens(world: pathlib.Path, opened: Any) -> None:
    opened.opened.seconds = 90.0
    edit(opened, "spleen", paint_missing_spleen)
    opened.ui.acceptButton.click()
    line, = (world / "review" / "decisions.jsonl").read_text().splitlines()
    record = json.loads(line)
    assert (record["case"], record["decision"], record["label"]) == ("scan0", "accepted", "case 1")
    assert 1.5 <= record["minutes"] < 2 and record["dice"] == {"spleen": 0.0} and record["run"] == 1
    assert opened.opened.scan.case == "scan1" and opened.ui.scansTable.rowCount == 1
    assert opened.ui.curvePicture.isVisible() and "1 scans accepted" in opened.ui.curveLabel.text


def test_a_declined_scan_is_not_offered_again(trainer: Any, world: pathlib.Path, review: Any) -> None:
    review.ui.declineButton.click()
    assert [cells(review.ui.scansTable, row)[1] for row in range(review.ui.scansTable.rowCount)] == ["scan1"]
    trainer.logic.session.close()
    trainer.logic.session.open(world)
    assert review.ui.scansTable.rowCount == 1


def test_a_scan_that_was_left_goes_on_where_it_was(world: pathlib.Path, opened: Any) -> None:
    import slicer

    edit(opened, "spleen", paint_missing_spleen)
    opened.opened.seconds = 61.0
    opened.ui.laterButton.click()
    assert opened.opened is None and not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    opened.ui.openButton.click()
    assert opened.panel.message == "scan0 goes on where it was left." and opened.opened.seconds >= 61.0
    assert opened.opened.masks()["spleen"][1].any()
    assert cells(opened.ui.structuresTable, 1) == ["spleen", "1 of 4 slices"]


def test_edits_that_cannot_be_read_cost_themselves(world: pathlib.Path, review: Any) -> None:
    (world / "review" / "edits").mkdir()
    (world / "review" / "edits" / "scan0.seg.nrrd").write_text("no segmentation")
    review.ui.openButton.click()
    assert "cannot be read: it begins from the model's draft." in review.panel.message
    assert np.array_equal(review.opened.masks()["liver"], draft_of(0) == 1)


def test_a_crash_costs_a_minute_at_most(world: pathlib.Path, opened: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRTrainerLib.review import opened as module

    edit(opened, "spleen", paint_missing_spleen)
    files = [world / "review" / "edits" / name for name in ("scan0.seg.nrrd", "scan0.json")]
    opened.opened._onTick()
    assert not any(file.exists() for file in files)
    monkeypatch.setattr(module, "SAVE_S", 0.0)
    opened.opened._onTick()
    assert all(file.is_file() for file in files)


def test_closing_the_scene_keeps_the_edits(world: pathlib.Path, opened: Any) -> None:
    import slicer

    edit(opened, "spleen", paint_missing_spleen)
    slicer.mrmlScene.Clear(0)
    assert opened.opened is None and (world / "review" / "edits" / "scan0.seg.nrrd").is_file()


def test_after_five_cases_another_training_is_offered_and_not_begun(trainer: Any, world: pathlib.Path,
                                                                    review: Any) -> None:
    from ALHVRTrainerLib.review.record import ACCEPTED, Decision, add_decision

    project = trainer.logic.session.project
    for number in range(5):
        add_decision(project, Decision(f"old{number}", ACCEPTED, dice={"liver": 0.5 + 0.1 * number}, run=1))
        trainer.logic.session.changed()
        assert review.ui.retrainFrame.isVisible() == (number == 4)
    review.ui.retrainButton.click()
    assert json.loads((world / "project.json").read_text())["start_from"] == "runs/1/archive/model"
    assert trainer.panel.openSection == "SettingsSection" and not (world / "runs" / "2").exists()


HOSTILE = {
    "a draft from outside": {"segmentation": "../../made/archive/scan0.nrrd"},
    "a name with a path": {"case": "../scan0"},
    "no draft": {"segmentation": None},
    "a score of words": {"score": "much"},
}


@pytest.mark.parametrize("case", HOSTILE)
def test_a_bad_entry_of_a_ranking_costs_itself(project_folder: Callable[..., pathlib.Path], tmp_path: pathlib.Path,
                                               case: str) -> None:
    folder = project_folder()
    path = write_ranking(folder, tmp_path / "made" / "archive")
    record = json.loads(path.read_text())
    record["scans"][0].update(HOSTILE[case])
    path.write_text(json.dumps(record))
    assert [scan.case for scan in ranking_of(folder).scans] == ["scan1"]


def test_a_scan_outside_of_the_archive_is_not_opened(trainer: Any, review: Any, world: pathlib.Path,
                                                     tmp_path: pathlib.Path) -> None:
    write_ranking(world, tmp_path / "made" / "labeled" / "images", image=str(tmp_path / "elsewhere.nrrd"))
    (tmp_path / "elsewhere.nrrd").write_bytes((tmp_path / "made" / "archive" / "scan0.nrrd").read_bytes())
    trainer.panel.refresh()
    review.ui.openButton.click()
    assert review.opened is None
    assert trainer.panel.message == "The scan elsewhere.nrrd is not in the project or its archive any more."


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "other"}', '{"format": "alhvr ranking 1", "scans": 3}'])
def test_a_damaged_ranking_is_none(project_folder: Callable[..., pathlib.Path], text: str) -> None:
    folder = project_folder()
    (folder / "review").mkdir()
    (folder / "review" / "ranking.json").write_text(text)
    assert ranking_of(folder).scans == ()


def test_lines_that_are_no_decision_are_passed_over(project_folder: Callable[..., pathlib.Path]) -> None:
    from ALHVRTrainerLib.review.record import read_decisions

    from alhvr.formats.project import read_project

    folder = project_folder()
    (folder / "review").mkdir()
    good = '{"case": "a", "decision": "accepted", "minutes": 1e99, "dice": {"l": 7}}'
    lines = ["", "{", '"text"', '{"case": 1}', good]
    (folder / "review" / "decisions.jsonl").write_text("\n".join(lines))
    decision, = read_decisions(read_project(folder))
    assert (decision.case, decision.minutes, decision.dice) == ("a", 0.0, {})


def ranking_of(folder: pathlib.Path) -> Any:
    from ALHVRTrainerLib.review.record import read_ranking

    from alhvr.formats.project import read_project

    return read_ranking(read_project(folder))
