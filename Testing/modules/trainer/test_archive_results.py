"""Segmenting the archive with the kept model: the real engine, what failed, what was cancelled, opening one result."""

from __future__ import annotations

import json
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from child_watch import let_qt_work
from module_worlds import generated_scan, install_sample_model, wait_until
from run_worlds import write_heartbeat, write_outcome, write_run

KEPT = {"run": 1, "arm": "archive", "model": "sample"}


@pytest.fixture
def outcome(trainer: Any, project_folder: Callable[..., pathlib.Path], own_settings: pathlib.Path) -> Any:
    """The section, open, of a project whose kept model is installed."""
    from ALHVRTrainerLib.outcome.section import OutcomeSection

    install_sample_model()
    folder = project_folder(kept=KEPT)
    write_outcome(write_run(folder / "runs" / "1", "finished"))
    trainer.logic.session.open(folder)
    section = trainer.panel.section(OutcomeSection)
    section.frame.collapsed = False
    return section


def results_of(trainer: Any) -> pathlib.Path:
    return trainer.logic.session.folder / "segmented" / "sample"


def rows(section: Any) -> list[list[str]]:
    table = section.ui.archiveTable
    return [[table.item(row, column).text() for column in range(2)] for row in range(table.rowCount)]


def write_results(folder: pathlib.Path, names: list[str], **entry: Any) -> None:
    """A folder of results as the engine leaves it, without results that could be read."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}.seg.nrrd").write_bytes(b"")
    entries = {f"{name}.seg.nrrd": {"source": f"{name}.nrrd", "volumes_ml": {"liver": 12.34}, **entry}
               for name in names}
    (folder / "alhvr-segment.json").write_text(json.dumps({"format": "alhvr-segment", "version": 1,
                                                           "results": entries}))


def test_without_a_kept_model_or_an_archive_nothing_is_offered(trainer: Any, outcome: Any) -> None:
    assert not outcome.ui.segmentArchiveButton.isHidden() and outcome.ui.archiveFrame.isHidden()
    trainer.logic.session.save(archive=())
    assert outcome.ui.segmentArchiveButton.isHidden()


def test_the_archive_is_segmented_and_one_result_is_opened_by_a_click(trainer: Any, outcome: Any) -> None:
    import slicer

    archive = trainer.logic.session.project.archive_folders[0]
    for path in archive.iterdir():
        path.unlink()
    for number in range(2):
        node = generated_scan(number)
        slicer.util.saveNode(node, str(archive / f"scan{number}.nrrd"))
    (archive / "scan10.nrrd").write_bytes(b"NRRD0004\nno scan")
    slicer.mrmlScene.Clear(0)
    outcome.ui.segmentArchiveButton.click()
    wait_until(lambda: outcome._busy.work is None)
    assert trainer.panel.message.startswith("1 of 3 inputs could not be segmented")
    assert [name for name, _words in rows(outcome)] == ["scan10", "scan0", "scan1"]
    assert rows(outcome)[1][1].endswith(" ml")
    assert outcome.ui.archiveLabel.text == "Archive: 2 scans are segmented. 1 could not be; they stand first."
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")  # none is loaded by itself
    for row, name in ((1, "scan0"), (2, "scan1")):
        outcome.ui.archiveTable.setCurrentCell(row, 0)
        outcome.ui.openResultButton.click()
        nodes = [*slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode"),
                 *slicer.util.getNodesByClass("vtkMRMLSegmentationNode")]
        assert [node.GetName() for node in nodes] == [name, f"{name} as the model found it"]
        assert nodes[1].GetSegmentation().GetNumberOfSegments() > 0
    outcome.ui.archiveTable.setCurrentCell(0, 0)
    assert not outcome.ui.openResultButton.enabled


def test_an_edited_result_stays_in_the_scene_when_another_is_opened(slicer_app: object, tmp_path: pathlib.Path) -> None:
    import slicer
    from ALHVRTrainerLib.outcome.worst_case import ShownResult
    from review_worlds import write_ranking
    from tiny_runs import write_study

    archive = write_study(tmp_path, labeled=1, archive=2, ending=".nrrd") / "archive"
    (tmp_path / "review" / "drafts").mkdir(parents=True)
    drafts = write_ranking(tmp_path, archive).parent / "drafts"
    shown = ShownResult()
    for name in ("scan0", "scan1", "scan0"):
        shown.show(name, archive / f"{name}.nrrd", drafts / f"{name}.seg.nrrd", (archive,))
        if name == "scan1":
            slicer.util.getNode("scan1 as the model found it").GetSegmentation().AddEmptySegment("mine")
    nodes = slicer.util.getNodesByClass("vtkMRMLSegmentationNode")
    assert [node.GetName() for node in nodes] == ["scan1 as the model found it", "scan0 as the model found it"]


def test_a_cancelled_one_keeps_what_is_done_and_says_so(trainer: Any, outcome: Any) -> None:
    write_results(results_of(trainer), ["scan0"])
    outcome.ui.segmentArchiveButton.click()
    outcome.ui.cancelButton.click()
    let_qt_work(lambda: outcome._busy.work is None)
    assert trainer.panel.message == "Stopped. 1 results are kept; the next press goes on with the rest."


def test_what_stands_in_the_way_is_said(trainer: Any, outcome: Any, own_settings: pathlib.Path) -> None:
    session = trainer.logic.session
    write_heartbeat(session.folder / "runs" / "1", "running")
    let_qt_work(lambda: session.isBusy)
    outcome.ui.segmentArchiveButton.click()
    assert trainer.panel.message == "The computer trains: segment the archive when that is done."
    write_heartbeat(session.folder / "runs" / "1", "finished")
    let_qt_work(lambda: not session.isBusy)
    shutil.rmtree(own_settings / "models" / "sample")
    outcome.ui.segmentArchiveButton.click()
    assert trainer.panel.message == "The kept model sample is not there any more: keep one again."
    archive = session.project.archive_folders[0]
    archive.rename(archive.with_name("away"))
    outcome.ui.segmentArchiveButton.click()
    assert trainer.panel.message == "The archive archive is not there now: plug in its disk."


def test_hundreds_of_results_are_a_list_and_no_nodes(trainer: Any, outcome: Any) -> None:
    import slicer

    write_results(results_of(trainer), [f"scan{number}" for number in range(800)])
    trainer.panel.refresh()
    assert [name for name, _words in rows(outcome)][:3] == ["scan0", "scan1", "scan2"] and len(rows(outcome)) == 800
    assert rows(outcome)[10] == ["scan10", "liver 12.3 ml"]
    assert not slicer.util.getNodesByClass("vtkMRMLSegmentationNode")


def test_a_result_whose_scan_is_gone_says_so(trainer: Any, outcome: Any) -> None:
    write_results(results_of(trainer), ["elsewhere"])
    trainer.panel.refresh()
    outcome.ui.archiveTable.setCurrentCell(0, 0)
    outcome.ui.openResultButton.click()
    assert trainer.panel.message == "The scan of elsewhere was not found in the archive."


def test_a_record_of_a_stranger_leads_to_no_file_elsewhere(slicer_app: object, tmp_path: pathlib.Path) -> None:
    from ALHVRTrainerLib.outcome.archive_results import failures_in, read_results

    write_results(tmp_path, ["good"], source=7, volumes_ml=[])
    record = json.loads((tmp_path / "alhvr-segment.json").read_text())
    record["results"] |= {"../../etc/passwd.seg.nrrd": {}, "/etc/x.seg.nrrd": {}, "gone.seg.nrrd": {}, "good.nrrd": {},
                          "a\nb.seg.nrrd": {}}
    (tmp_path / "alhvr-segment.json").write_text(json.dumps(record))
    assert [result.name for result in read_results(tmp_path)] == ["good"]
    for text in ("", "[]", '{"results": 7}', '{"results": {"a.seg.nrrd": 7}}'):
        (tmp_path / "alhvr-segment.json").write_text(text)
        assert read_results(tmp_path) == ()
    assert failures_in({"scans": [5, {"outcome": "failed"}]})[0].segmentation is None and failures_in({}) == ()


def test_a_name_of_a_model_that_is_a_path_stays_inside_of_the_project(trainer: Any, outcome: Any) -> None:
    from alhvr.formats.project import Kept

    session = trainer.logic.session
    session.save(kept=Kept(1, "archive", "../../../elsewhere"))
    assert outcome._archive.folder.resolve().is_relative_to(session.folder.resolve() / "segmented")
