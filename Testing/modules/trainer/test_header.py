"""Header and frame: one step open at a time, the ways to begin, the sample, and opening at once with many cases."""

from __future__ import annotations

import base64
import json
import pathlib
import time
import zlib
from collections.abc import Callable
from typing import Any

import pytest
from module_worlds import wait_until
from support import ROOT


@pytest.fixture
def header(trainer: Any) -> Any:
    """The section."""
    return trainer.panel.sections[0]


def reopened(trainer: Any) -> Any:
    """The panel as it is after a reload; its new Python side."""
    representation = trainer.parent
    trainer.cleanup()
    representation.reload()
    return representation.self()


def test_opening_one_step_folds_the_others(trainer: Any, project: pathlib.Path) -> None:
    trainer.panel.showSection("CheckSection")
    assert trainer.panel.openSection == "CheckSection"
    trainer.panel.showSection("CasesSection")
    open_ones = [type(one).__name__ for one in trainer.panel.sections if one.TITLE and not one.frame.collapsed]
    assert open_ones == ["CasesSection"]


def test_without_a_project_there_are_the_ways_to_begin_and_no_step(trainer: Any, header: Any) -> None:
    assert header.ui.newButton.visible and header.ui.sampleButton.visible and not header.ui.projectFrame.visible
    assert not [one for one in trainer.panel.sections if one.TITLE and one.frame.visible]


def test_a_project_is_begun_in_a_folder_without_a_typed_word(trainer: Any, header: Any, tmp_path: pathlib.Path,
                                                             dialog_answers: Any) -> None:
    (tmp_path / "Kidneys 2026").mkdir()
    dialog_answers.answer(str(tmp_path / "Kidneys 2026"))
    header.ui.newButton.click()
    assert trainer.logic.session.project.name == header.ui.nameLabel.text == "Kidneys 2026"
    assert trainer.panel.openSection == "CasesSection" and "Add a labelled case" in header.ui.stateLabel.text
    assert header.ui.privacyLabel.visible


def test_a_folder_that_is_no_project_is_refused_in_the_panel(trainer: Any, header: Any, tmp_path: pathlib.Path,
                                                             dialog_answers: Any) -> None:
    dialog_answers.answer(str(tmp_path))
    header.ui.openButton.click()
    assert "is no project" in trainer.panel.message and trainer.logic.session.project is None


def test_the_project_that_was_open_is_open_again_and_a_closed_one_is_not(trainer: Any, header: Any,
                                                                         project: pathlib.Path) -> None:
    header._open(project)
    trainer = reopened(trainer)
    assert trainer.logic.session.folder == project and not trainer.logic.session.isReadOnly
    trainer.panel.sections[0].onClose()
    trainer = reopened(trainer)
    assert trainer.logic.session.folder is None
    assert [action.text.split("  ")[0] for action in trainer.panel.sections[0]._recentMenu.actions()] == [project.name]


def test_the_last_result_is_told_with_what_the_archive_changed(trainer: Any, header: Any,
                                                               project: pathlib.Path) -> None:
    (project / "runs" / "1").mkdir(parents=True)
    (project / "runs" / "1" / "outcome.json").write_text(json.dumps({
        "format": "alhvr outcome 1", "structures": ["liver"], "offered": "labels-only", "change": {"dice": 0.031},
        "arms": {"labels-only": {"mean_dice": 0.807, "model": "labels-only"}}}))
    (project / "runs" / "1" / "labels-only").mkdir()
    trainer.panel.refresh()
    assert header.ui.resultLabel.text == "Last result: mean Dice 0.81 (+0.03 by the archive, not shown)"


@pytest.mark.parametrize("content", ["", "[]", '{"format": "alhvr outcome 1", "arms": 3, "offered": []}',
                                     '{"format": "alhvr outcome 1", "arms": {"archive": []}, "offered": "archive"}'])
def test_a_damaged_outcome_costs_one_line(trainer: Any, header: Any, project: pathlib.Path, content: str) -> None:
    (project / "runs" / "1").mkdir(parents=True)
    (project / "runs" / "1" / "outcome.json").write_text(content)
    trainer.panel.refresh()
    assert not header.ui.resultLabel.visible


def test_one_press_makes_the_sample_and_opens_it_as_a_project(trainer: Any, header: Any,
                                                              tmp_path: pathlib.Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRTrainerLib import header_section

    monkeypatch.setattr(header_section, "SAMPLE_COMMAND", (*header_section.SAMPLE_COMMAND, "--archive", "1"))
    header.ui.sampleButton.click()
    wait_until(lambda: trainer.logic.session.project is not None, 180)
    session = trainer.logic.session
    assert session.project.name == "Sample: abdominal CT" and session.folder.is_relative_to(tmp_path / "ALHVR")
    assert sum(row.heldOut for row in session.caseTable()) == 2 and session.project.minutes
    session.close()
    header.ui.sampleButton.click()
    assert session.project is not None


def big_project(folder: pathlib.Path, labeled: int, archive: int) -> None:
    """Fills a project with the files of many cases and the report of a check of them, without voxels."""
    cases, entries = folder / "cases", []
    for kind in ("images", "labels"):
        (cases / kind).mkdir(exist_ok=True)
    picture = {"rows": 64, "columns": 64, "zlib": base64.b64encode(zlib.compress(bytes(4096))).decode()}
    for number in range(labeled):
        for kind in ("images", "labels"):
            (cases / kind / f"case {number}.nrrd").write_bytes(b"NRRD0004\n\n")
        entries.append({"case": f"labeled/case {number}", "part": "labeled", "name": f"case {number}", "files": [],
                        "label": {"annotated_slices": 40, "structures": {"1": {"voxels": 9}}}, "picture": picture})
    for number in range(archive):
        entries.append({"case": f"unlabeled/s{number}", "part": "unlabeled", "name": f"s{number}",
                        "files": [str(folder / "archive" / f"s{number}.nrrd")], "images": [{"lowest": 0.5}] * 3})
    findings = [{"kind": "holes", "severity": "warning", "seen": f"Case {n} has holes.", "remedy": "Look.",
                 "cases": [f"labeled/case {n % labeled}"], "files": []} for n in range(100)]
    (cases / "labels.json").write_text(json.dumps({str(value): f"structure {value}" for value in range(1, 9)}))
    (folder / "check.json").write_text(json.dumps({
        "format": "alhvr check", "version": 1, "cases": entries, "findings": findings,
        "structures": [{"value": value, "name": f"structure {value}"} for value in range(1, 9)]}))
    record = json.loads((folder / "project.json").read_text())
    (folder / "project.json").write_text(json.dumps({**record, "archive": ["archive"]}))


def test_the_panel_opens_within_a_second(load_panel: Callable, own_settings: pathlib.Path) -> None:
    began = time.process_time()  # of this process alone, however busy the computer is
    load_panel(ROOT / "ALHVRTrainer" / "ALHVRTrainer.py")
    assert time.process_time() - began < 1.0


def test_twenty_cases_and_an_archive_of_500_are_shown_at_once(trainer: Any, project_folder: Callable,
                                                              tmp_path: pathlib.Path) -> None:
    folder = project_folder(labeled=1, archive=0)
    big_project(folder, 20, 500)
    began = time.process_time()
    trainer.logic.session.open(folder)
    opened = time.process_time()
    trainer.panel.refresh()
    assert opened - began < 1.0 and time.process_time() - opened < 0.1
    assert "500 in the archive" in trainer.panel.sections[0].ui.countsLabel.text
