"""Check: begins by itself, tells worst first, each finding with the button that mends it, all without PyTorch."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable
from typing import Any

import pytest
from module_worlds import wait_until


@pytest.fixture
def check(trainer: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The section, in a Slicer without PyTorch, which waits for less than 2 s."""
    from ALHVRLib import requirements

    monkeypatch.setattr(requirements, "has_torch", lambda: False)
    section = next(one for one in trainer.panel.sections if type(one).__name__ == "CheckSection")
    section.checker._timer.setInterval(20)
    return section


def rows(check: Any) -> list[str]:
    """The texts of the findings that are shown."""
    import qt

    labels = [frame.findChildren(qt.QLabel) for frame in check._findings._rows]
    return [next(label.text for label in found if label.text) for found in labels]


def press(check: Any, text: str) -> None:
    """Press the first button of a finding with this text."""
    import qt

    buttons = [button for frame in check._findings._rows for button in frame.findChildren(qt.QPushButton)]
    next(button for button in buttons if button.text == text).click()


def wait_for(trainer: Any, *states: str) -> None:
    wait_until(lambda: trainer.logic.session.state in states, 60)


def test_a_project_is_checked_by_itself_and_is_ready(trainer: Any, check: Any, project: pathlib.Path) -> None:
    assert trainer.logic.session.state == "checking" and trainer.logic.session.hasFault()
    wait_for(trainer, "ready", "blocked")
    assert trainer.logic.session.state == "ready" and trainer.logic.session.hasFault() == ()
    assert (project / "check.json").is_file() and "PyTorch is not installed" in check.ui.forecastLabel.text
    assert "3 labelled, 3 in the archive" in trainer.panel.sections[0].ui.countsLabel.text


def test_the_table_shows_what_the_check_saw(trainer: Any, check: Any, project: pathlib.Path) -> None:
    wait_for(trainer, "ready")
    rows_seen = trainer.logic.session.caseTable()
    assert [row.nSlices for row in rows_seen] == [4, 4, 4]
    assert rows_seen[0].structures == {"liver": "annotated", "spleen": "annotated"}
    table = next(one for one in trainer.panel.sections if type(one).__name__ == "CasesSection").ui.caseTable
    assert not table.item(0, 0).icon().isNull()


def test_a_damaged_case_stops_training_until_it_is_left_out_by_its_button(trainer: Any, check: Any,
                                                                          project: pathlib.Path) -> None:
    path = project / "cases" / "images" / "case1.nrrd"
    path.write_bytes(path.read_bytes()[:-300])
    trainer.logic.session.changed()
    wait_for(trainer, "blocked")
    assert rows(check)[0].startswith("Stops training") and "1 fault" in trainer.logic.session.sentence
    row = next(one for one in trainer.logic.session.caseTable() if one.name == "case1")
    assert row.fault and row.stopsTraining
    press(check, "Leave out case1")
    wait_for(trainer, "ready")
    assert json.loads((project / "cases" / "cases.json").read_text())["cases"]["case1"] == {"left_out": True}


def test_a_structure_declared_and_drawn_all_the_same_is_mended_by_its_button(trainer: Any, check: Any,
                                                                             project: pathlib.Path) -> None:
    (project / "cases" / "cases.json").write_text(json.dumps({"cases": {"case1": {"not_annotated": ["spleen"]}}}))
    trainer.logic.session.changed()
    wait_for(trainer, "ready")
    press(check, "It is annotated")
    row = next(one for one in trainer.logic.session.caseTable() if one.name == "case1")
    assert row.structures["spleen"] == "annotated"


def test_the_button_of_a_finding_opens_its_case(trainer: Any, check: Any, project: pathlib.Path) -> None:
    import slicer

    (project / "cases" / "cases.json").write_text(json.dumps({"cases": {"case1": {"not_annotated": ["spleen"]}}}))
    trainer.logic.session.changed()
    wait_for(trainer, "ready")
    press(check, "Open case1")
    (volume,) = slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")
    assert volume.GetName() == "case1"


def test_a_check_that_is_cancelled_begins_again_when_asked_to(trainer: Any, check: Any, project: pathlib.Path) -> None:
    wait_until(lambda: check.checker.isRunning, 60)
    check.ui.cancelButton.click()
    wait_until(lambda: not check.checker.isRunning, 60)
    assert "cancelled" in check.ui.summaryLabel.text and trainer.logic.session.state == "blocked"
    check.ui.againButton.click()
    wait_for(trainer, "ready")


def test_a_window_that_may_only_look_shows_the_last_check_and_begins_none(trainer: Any, check: Any,
                                                                          project: pathlib.Path) -> None:
    from alhvr.core.process import ProcessMark

    wait_for(trainer, "ready")
    session = trainer.logic.session
    session.holder = ProcessMark(1, "0", "another computer")
    (project / "cases" / "cases.json").write_text('{"cases": {}}')
    session.changed()
    assert session.state == "ready" and not check.checker.isWaiting and not check.ui.againButton.enabled
    assert "another computer" in session.hasFault()[0]


@pytest.mark.parametrize("content", ["", "[]", '{"format": "alhvr check", "cases": [1, {"part": 3}], "findings": 7}',
                                     '{"format": "alhvr check", "findings": [{"severity": "fault", "cases": [[]]}]}'])
def test_a_damaged_report_of_a_stranger_costs_only_itself(trainer: Any, check: Any,
                                                          project_folder: Callable[..., pathlib.Path],
                                                          content: str) -> None:
    folder = project_folder()
    (folder / "check.json").write_text(content)
    trainer.logic.session.open(folder)
    wait_for(trainer, "ready")


def test_with_pytorch_a_forecast_follows_the_check(trainer: Any, check: Any,
                                                   project_folder: Callable[..., pathlib.Path],
                                                   monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRLib import requirements

    pytest.importorskip("torch", reason="the forecast needs PyTorch")
    monkeypatch.setattr(requirements, "has_torch", lambda: True)
    plan = {"dimensions": 2, "patch_size": [32, 32], "batch_size": 4, "width": 8}
    trainer.logic.session.open(project_folder(settings={"plan": plan, "training": {"threads": 1}}))
    wait_until(lambda: "expect" in check.ui.forecastLabel.text and not check.checker.isRunning, 120)
    assert "3 labelled cases: expect" in check.ui.forecastLabel.text and "of memory" in check.ui.forecastLabel.text
    assert trainer.logic.session.state == "ready" and "about" in trainer.logic.session.sentence
