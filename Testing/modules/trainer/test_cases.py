"""Cases: added from the scene and from folders, ticks and held-out cases written for the engine, edits only by Done."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from module_worlds import wait_until
from tiny_runs import OBLIQUE, make_scan, write_study

from alhvr.checking.context import RunContext
from alhvr.checking.run import Folders, check
from alhvr.data.case_io import read_values
from alhvr.data.cases import CaseSet, find_cases
from alhvr.data.reading import read_scan
from alhvr.formats.segment_names import read_segment_names


@pytest.fixture
def empty(trainer: Any, tmp_path: pathlib.Path) -> pathlib.Path:
    """A new project without cases, open in the panel."""
    trainer.logic.session.new(tmp_path / "new project")
    return tmp_path / "new project"


@pytest.fixture
def cases(trainer: Any) -> Any:
    """The section."""
    return next(one for one in trainer.panel.sections if type(one).__name__ == "CasesSection")


@pytest.fixture
def add(trainer: Any, cases: Any) -> Callable[..., Any]:
    """add(seed, "liver", "spleen") puts a scan with these segments into the scene and presses Add this case."""
    def press(seed: int, *names: str) -> Any:
        volume, segmentation = scene_pair(seed, names)
        trainer.panel.parameters.caseVolume = volume
        trainer.panel.parameters.caseSegmentation = segmentation
        cases.ui.addPairButton.click()
        return volume, segmentation

    return press


def scene_pair(seed: int, names: tuple[str, ...]) -> tuple[Any, Any]:
    """A tilted scan of the scene, named after a patient, and its segmentation with up to two segments."""
    import slicer

    array, label = make_scan(seed)
    lps_to_ras = np.diag([-1.0, -1.0, 1.0, 1.0])
    volume = slicer.util.addVolumeFromArray(array, lps_to_ras @ OBLIQUE.affine_lps, "SMITH^JOHN")
    segmentation = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", "SMITH segmentation")
    segmentation.SetReferenceImageGeometryParameterFromVolumeNode(volume)
    for value, name in zip((1, 3), names, strict=False):
        segment = segmentation.GetSegmentation().AddEmptySegment("", name)
        mask = (label == value).astype(np.uint8)
        slicer.util.updateSegmentBinaryLabelmapFromArray(mask, segmentation, segment, volume)
    return volume, segmentation


def read(project: pathlib.Path) -> CaseSet:
    return find_cases(project / "cases", labeled=True)


def entries(project: pathlib.Path) -> dict[str, Any]:
    return json.loads((project / "cases" / "cases.json").read_text())["cases"]


def row(trainer: Any, name: str) -> Any:
    return next(one for one in trainer.logic.session.caseTable() if one.name == name)


def click(cases: Any, number: int, title: str) -> None:
    """Click the cell of a row in the column of this title."""
    table = cases.ui.caseTable
    (column,) = [at for at in range(table.columnCount) if table.horizontalHeaderItem(at).text() == title]
    table.setCurrentCell(number, column)
    table.cellClicked(number, column)


def test_a_pair_of_the_scene_is_the_same_case_for_the_engine(empty: pathlib.Path, add: Callable) -> None:
    add(1, "liver", "spleen")
    (case,) = read(empty).cases
    array, label = make_scan(1)
    scan = read_scan(case.image)
    assert np.array_equal(scan.array, array) and np.allclose(scan.geometry.affine_lps, OBLIQUE.affine_lps)
    values = read_values(case, 255)
    assert np.array_equal(values.array == 1, label == 1) and np.array_equal(values.array == 2, label == 3)
    assert not scan.geometry.difference(values.geometry)


def test_nothing_of_the_patient_is_in_the_project_and_the_panel_says_so(trainer: Any, empty: pathlib.Path,
                                                                        add: Callable) -> None:
    add(1, "liver")
    files = [path for path in (empty / "cases").rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {"case 1.nrrd", "case 1.seg.nrrd"}
    assert not [path for path in files if b"SMITH" in path.read_bytes() or "SMITH" in path.name]
    assert "nothing of the patient" in trainer.panel.message


def test_a_structure_without_a_segment_counts_as_not_annotated(trainer: Any, empty: pathlib.Path,
                                                               add: Callable) -> None:
    add(1, "liver")
    add(2, "Liver ", "spleen")
    found = read(empty)
    assert found.label_names == {1: "liver", 2: "spleen"}
    assert [case.not_annotated for case in found.cases] == [(2,), ()]
    assert row(trainer, "case 1").structures == {"liver": "annotated", "spleen": "not annotated"}


def test_a_tick_is_written_for_the_engine_and_taken_back(trainer: Any, cases: Any, empty: pathlib.Path,
                                                         add: Callable) -> None:
    add(1, "liver", "spleen")
    click(cases, 0, "spleen")
    assert entries(empty)["case 1"]["not_annotated"] == ["spleen"]
    assert cases.ui.caseTable.item(0, 3).text() == "\u2013"
    click(cases, 0, "spleen")
    assert "not_annotated" not in entries(empty)["case 1"] and cases.ui.caseTable.item(0, 3).text() == "\u2713"


def test_a_fifth_is_held_out_and_one_at_least_of_two(trainer: Any, empty: pathlib.Path, add: Callable) -> None:
    add(0, "liver", "spleen")
    assert not row(trainer, "case 1").heldOut
    add(1, "liver", "spleen")
    assert [one.heldOut for one in trainer.logic.session.caseTable()] == [False, True]
    result = check(Folders(labeled=empty / "cases"), RunContext())
    assert [facts.case.name for facts in result.part("validation")] == ["case 2"]


def test_scans_of_one_patient_are_held_out_together(trainer: Any, cases: Any, project: pathlib.Path) -> None:
    record = {"cases": {"case0": {"patient": "A"}, "case1": {"patient": "A"}, "case2": {"patient": "B"}}}
    (project / "cases" / "cases.json").write_text(json.dumps(record))
    trainer.panel.refresh()
    click(cases, 0, "Held out")
    assert [one.heldOut for one in trainer.logic.session.caseTable()] == [True, True, False]
    assert "one patient" in trainer.panel.message


def test_a_case_that_is_left_out_is_not_read_by_the_engine(trainer: Any, cases: Any, project: pathlib.Path) -> None:
    cases.ui.caseTable.setCurrentCell(1, 0)
    cases.ui.leaveOutButton.click()
    assert [case.name for case in read(project).cases] == ["case0", "case2"]
    assert cases.ui.leaveOutButton.text == "Use again"


def test_what_is_said_of_a_case_that_is_gone_goes_with_the_next_change(trainer: Any, cases: Any,
                                                                      project: pathlib.Path) -> None:
    (project / "cases" / "cases.json").write_text(json.dumps({"cases": {"case1": {"patient": "A"}, "case2": {}}}))
    for kind in ("images", "labels"):
        (project / "cases" / kind / "case1.nrrd").unlink()
    trainer.panel.refresh()
    click(cases, 1, "Held out")
    assert entries(project) == {"case2": {"held_out": True}} and len(read(project).cases) == 2


@pytest.mark.parametrize("content", ["", "[]", '{"cases": 3, "join": 4}',
                                     '{"cases": {"case0": {"not_annotated": {}}}}'])
def test_a_damaged_cases_file_hides_no_case(trainer: Any, cases: Any, project: pathlib.Path, content: str) -> None:
    (project / "cases" / "cases.json").write_text(content)
    trainer.panel.refresh()
    assert cases.ui.caseTable.rowCount == 3


def test_an_edit_is_saved_by_done_alone_and_the_first_label_is_kept(trainer: Any, cases: Any, project: pathlib.Path,
                                                                    main_window: Any) -> None:
    import slicer

    before = (project / "cases" / "labels" / "case1.nrrd").read_bytes()
    cases.ui.caseTable.setCurrentCell(1, 0)
    cases.ui.editButton.click()
    (label,) = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    names = [label.GetSegmentation().GetNthSegment(index).GetName() for index in range(2)]
    assert names == ["liver", "spleen"]
    label.GetSegmentation().RemoveSegment(label.GetSegmentation().GetNthSegmentID(1))
    slicer.util.selectModule("ALHVRTrainer")
    assert (project / "cases" / "labels" / "case1.nrrd").read_bytes() == before
    cases.ui.doneButton.click()
    assert read_segment_names(project / "cases" / "labels" / "case1.seg.nrrd") == {1: "liver"}
    assert (project / "labels before editing" / "case1.nrrd.bak").read_bytes() == before
    assert not (project / "cases" / "labels" / "case1.nrrd").exists() and not cases.ui.editFrame.visible


def test_closing_the_scene_while_a_label_is_edited_leaves_its_file_as_it_was(trainer: Any, cases: Any,
                                                                             project: pathlib.Path) -> None:
    import slicer

    cases.ui.caseTable.setCurrentCell(1, 0)
    cases.ui.editButton.click()
    slicer.mrmlScene.Clear(0)
    assert not cases.ui.editFrame.visible and (project / "cases" / "labels" / "case1.nrrd").exists()


def test_names_that_are_alike_are_asked_about_once_and_joined(trainer: Any, cases: Any, empty: pathlib.Path,
                                                              add: Callable) -> None:
    add(1, "liver", "spleen")
    add(2, "livr", "spleen")
    assert cases.ui.namesFrame.visible and '"livr"' in cases.ui.namesLabel.text
    cases.ui.joinButton.click()
    assert not cases.ui.namesFrame.visible
    assert set(read(empty).label_names.values()) == {"liver", "spleen"}
    assert row(trainer, "case 2").structures["liver"] == "annotated"


def test_names_that_are_kept_apart_are_not_asked_about_again(trainer: Any, cases: Any, empty: pathlib.Path,
                                                             add: Callable) -> None:
    add(1, "kidney")
    add(2, "kidneys")
    assert cases.ui.namesFrame.visible
    cases.ui.apartButton.click()
    trainer.logic.session.close()
    trainer.logic.session.open(empty)
    assert not cases.ui.namesFrame.visible and len(read(empty).label_names) == 2


def test_a_folder_is_added_by_the_child_as_the_engine_reads_it(trainer: Any, cases: Any, empty: pathlib.Path,
                                                               tmp_path: pathlib.Path, dialog_answers: Any) -> None:
    study = write_study(tmp_path / "study", labeled=2) / "labeled"
    dialog_answers.answer(str(study))
    cases.ui.folderButton.click()
    wait_until(lambda: len(trainer.logic.session.caseTable()) == 2 and not cases.ui.busyFrame.visible, 60)
    assert read(empty).label_names == {1: "liver", 3: "spleen"}
    assert [one.heldOut for one in trainer.logic.session.caseTable()] == [False, True]


def test_files_whose_names_differ_are_added_when_they_are_ticked(trainer: Any, cases: Any, empty: pathlib.Path,
                                                                 tmp_path: pathlib.Path) -> None:
    import qt
    from tiny_runs import write_scan

    array, label = make_scan(0)
    files = [write_scan(tmp_path / "head.nrrd", array), write_scan(tmp_path / "drawn by me.nrrd", label)]
    cases._folders.look([str(path) for path in files])
    wait_until(lambda: cases.ui.pairsFrame.visible, 60)
    item = cases.ui.pairsTable.item(0, 0)
    assert item.checkState() == qt.Qt.Unchecked
    assert "look like those of a label" in cases.ui.pairsTable.item(0, 2).text()
    item.setCheckState(qt.Qt.Checked)
    cases.ui.addPairsButton.click()
    wait_until(lambda: len(trainer.logic.session.caseTable()) == 1, 60)


def test_an_archive_folder_is_stored_and_the_project_itself_refused(trainer: Any, cases: Any, empty: pathlib.Path,
                                                                    tmp_path: pathlib.Path,
                                                                    dialog_answers: Any) -> None:
    archive = tmp_path
    dialog_answers.answer(str(archive / "scans"))
    cases.ui.archiveFolderButton.click()
    assert json.loads((empty / "project.json").read_text())["archive"] == [str(archive / "scans")]
    assert "not there now" in cases.ui.archiveLabel.text or "is not there" in cases.ui.archiveLabel.text
    dialog_answers.answer(str(empty))
    cases.ui.archiveFolderButton.click()
    assert "own folder" in trainer.panel.message


def test_a_window_that_may_only_look_changes_nothing(trainer: Any, cases: Any, project: pathlib.Path) -> None:
    from alhvr.core.process import ProcessMark

    trainer.logic.session.holder = ProcessMark(1, "0", "another computer")
    trainer.panel.refresh()
    click(cases, 0, "liver")
    cases.ui.leaveOutButton.click()
    assert not (project / "cases" / "cases.json").exists() and not cases.ui.addFrame.visible


class Database:
    """What the panel asks of Slicer's DICOM database, with two patients whose files lie beside each other."""

    isOpen = True

    def __init__(self, folder: pathlib.Path) -> None:
        self.folder = folder

    def patients(self) -> list[str]:
        return ["1", "2"]

    def studiesForPatient(self, patient: str) -> list[str]:
        return [f"study {patient}"]

    def seriesForStudy(self, study: str) -> list[str]:
        return [f"{study}/a", f"{study}/b"]

    def filesForSeries(self, series: str) -> list[str]:
        return [str(self.folder / series / "1.dcm")]

    def nameForPatient(self, patient: str) -> str:
        return f"PATIENT {patient}"

    def descriptionForStudy(self, study: str) -> str:
        return study


def test_studies_of_the_dicom_database_become_the_archive(trainer: Any, cases: Any, empty: pathlib.Path,
                                                          tmp_path: pathlib.Path,
                                                          monkeypatch: pytest.MonkeyPatch) -> None:
    import qt
    import slicer

    monkeypatch.setattr(slicer, "dicomDatabase", Database(tmp_path), raising=False)
    trainer.panel.refresh()
    cases.ui.archiveDicomButton.click()
    assert cases.ui.studiesList.count == 2
    cases.ui.studiesList.item(1).setCheckState(qt.Qt.Checked)
    cases.ui.addStudiesButton.click()
    assert trainer.logic.session.project.archive_folders == (tmp_path / "study 2",)
