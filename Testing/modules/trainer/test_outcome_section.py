"""The section Outcome: figures and a sentence, keeping a model, sharing it, the worst case, strangers' files."""

from __future__ import annotations

import pathlib
import shutil
import zipfile
from collections.abc import Callable
from typing import Any

import pytest
from child_watch import let_qt_work
from model_worlds import write_model_folder
from run_worlds import write_heartbeat, write_outcome, write_run


@pytest.fixture
def opened(trainer: Any, project_folder: Callable[..., pathlib.Path]) -> Callable[..., Any]:
    """opened(**entries of outcome.json) shows the outcome of a finished run, and returns the section."""

    def show(**changes: Any) -> Any:
        from ALHVRTrainerLib.outcome.section import OutcomeSection

        folder = project_folder()
        run = write_run(folder / "runs" / "1", "finished")
        for arm in ("labels-only", "archive"):
            write_model_folder(run / arm / "model")
        write_outcome(run, **changes)
        trainer.logic.session.open(folder)
        section = trainer.panel.section(OutcomeSection)
        section.frame.collapsed = False
        return section

    return show


def cells(table: Any) -> list[list[str]]:
    return [[table.item(row, column).text() for column in range(table.columnCount)]
            for row in range(table.rowCount)]


def test_the_outcome_is_a_table_and_a_sentence(opened: Callable) -> None:
    ui = opened().ui
    assert ui.sentenceLabel.text == "With the archive: +3.5 Dice (95 %: +1.0 to +6.0) on 2 held-out patients."
    assert ui.warningLabel.text == ("Only 2 held-out patient(s): five or more are needed to trust the "
                                    "figures.")
    assert cells(ui.scoreTable) == [
        ["liver", "0.75\n4.2 mm*", "0.79\n4.2 mm*", "+0.04"], ["spleen", "0.65\n–*", "0.68\n–*", "+0.03"],
        ["mean", "0.70", "0.73", "+0.04"]]


def test_without_an_outcome_nothing_is_offered(trainer: Any, project: pathlib.Path) -> None:
    from ALHVRTrainerLib.outcome.section import OutcomeSection

    ui = trainer.panel.section(OutcomeSection).ui
    assert ui.sentenceLabel.text == "No training has finished yet."
    assert all(getattr(ui, name).isHidden() for name in ("keepArchiveButton", "shareButton", "worstButton",
                                                         "scoreTable", "dotsLabel", "discardButton"))


def test_the_dots_of_better_and_worse_cases_have_their_colours(opened: Callable) -> None:
    cases = [{"case": str(number), "scores": {arm: {"liver": {"dice": dice}} for arm, dice in
                                              zip(("labels-only", "archive"), pair, strict=True)}}
             for number, pair in enumerate([(0.5, 0.8), (0.8, 0.4)])]
    from slicer_stand_in.pictures import panel_image

    label = opened(cases=cases, structures=["liver"]).ui.dotsLabel
    pixels = panel_image(label).astype(int)
    for colour in ((0, 114, 178), (213, 94, 0)):
        assert (abs(pixels - colour).sum(axis=2) < 12).sum() > 60


def test_the_dots_suit_the_theme_that_is_chosen_while_they_are_shown(opened: Callable) -> None:
    from ALHVRTrainerLib.outcome.dots import ON_DARK
    from slicer_stand_in.pictures import look, panel_image

    label = opened().ui.dotsLabel
    with look(label, dark=True):
        pixels = panel_image(label).astype(int)
    ground = pixels[2, 2]
    assert ground.mean() < 100 and (abs(pixels - ON_DARK[0]).sum(axis=2) < 12).sum() > 60
    assert all(contrast(colour, ground) > 3 for colour in ON_DARK)


def test_the_table_of_scores_grows_with_the_letters(opened: Callable, trainer: Any) -> None:
    from slicer_stand_in.pictures import look

    table = opened().ui.scoreTable
    with look(trainer.parent, scale=1.5):
        rows = [table.rowHeight(row) for row in range(table.rowCount)]
        assert table.height >= sum(rows) + table.horizontalHeader().height
        assert rows[0] >= 2 * table.fontMetrics().height()


def contrast(colour: Any, ground: Any) -> float:
    """As WCAG 2 has it; 3 is the least for graphics."""
    def light(rgb: Any) -> float:
        linear = [((part / 255 + 0.055) / 1.055) ** 2.4 for part in rgb]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((light(colour), light(ground)))
    return (high + 0.05) / (low + 0.05)


def test_a_kept_model_is_installed_and_noted_in_the_project(opened: Callable, trainer: Any,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    from alhvr.formats.project import Kept
    from ALHVRLib.models import store

    section = opened()
    take_as_checked(monkeypatch)
    section.ui.keepArchiveButton.click()
    let_qt_work(lambda: trainer.logic.session.project.kept is not None)
    assert trainer.logic.session.project.kept == Kept(1, "archive", "livers 1")
    assert [model.name for model in store.installed()] == ["livers 1"]
    assert section.ui.keepArchiveButton.text == "Keep with archive (kept)"
    section.ui.keepLabelsButton.click()
    let_qt_work(lambda: trainer.logic.session.project.kept.arm == "labels-only")


def take_as_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine's own check needs real networks, and has its tests elsewhere."""
    from ALHVRLib.models.import_model import ModelImport

    def check(importing: Any, arrived: Any) -> None:
        importing._arrived = arrived
        importing._move()

    monkeypatch.setattr(ModelImport, "_check", check)


def test_labels_only_is_offered_where_nothing_was_gained(opened: Callable) -> None:
    ui = opened(verdict="no gain shown", offered="labels-only", too_few=False, n_patients=9).ui
    assert ui.warningLabel.isHidden()
    assert ui.keepLabelsButton.text == "Keep labels only (offered)"
    assert ui.keepArchiveButton.text == "Keep with archive"


def test_one_training_alone_has_one_button_and_no_change(opened: Callable) -> None:
    arm = {"dice": {"liver": 0.7}, "hd95_mm": {"liver": 3.0}, "mean_dice": 0.7, "model": "archive/model"}
    ui = opened(arms={"archive": arm}, change=None, verdict="one arm").ui
    assert ui.keepLabelsButton.isHidden() and not ui.keepArchiveButton.isHidden()
    assert cells(ui.scoreTable)[0] == ["liver", "0.70\n3.0 mm"]


def test_continuing_begins_a_run_from_the_model(opened: Callable, trainer: Any,
                                                monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRTrainerLib.run.control import RunControl

    begun = []
    monkeypatch.setattr(RunControl, "_launch", lambda control, run: begun.append(run.name))
    opened().ui.continueButton.click()
    project = trainer.logic.session.project
    assert begun == ["2"] and (project.start_from, project.minutes) == ("runs/1/archive/model", 60.0)


def test_a_shared_model_is_one_zip_file_that_can_be_added_again(opened: Callable, trainer: Any, dialog_answers: Any,
                                                                tmp_path: pathlib.Path) -> None:
    from ALHVRLib.models.copy_model import ModelCopy

    section = opened()
    dialog_answers.answer(str(tmp_path / "mine"))
    section.ui.shareButton.click()
    let_qt_work(lambda: (tmp_path / "mine.zip").exists() and section.ui.busyFrame.isHidden())
    assert trainer.panel.message.startswith("mine.zip holds the networks, their description and checksums; no scan")
    assert ModelCopy(tmp_path / "mine.zip").run().name == "mine"
    names = zipfile.ZipFile(tmp_path / "mine.zip").namelist()
    assert "mine/manifest.json" in names and len(names) == len(set(names))


def test_a_disk_that_is_full_leaves_no_half_zip(opened: Callable, trainer: Any, dialog_answers: Any,
                                                tmp_path: pathlib.Path) -> None:
    section = opened()
    dialog_answers.answer(str(tmp_path / "not there" / "mine.zip"))
    section.ui.shareButton.click()
    let_qt_work(lambda: trainer.panel.message.startswith("The model was not packed: "))
    assert not (tmp_path / "not there").exists()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"format": "alhvr outcome 2"}'])
def test_a_file_that_is_no_outcome_is_refused(slicer_app: object, tmp_path: pathlib.Path, text: str) -> None:
    from ALHVRTrainerLib.outcome.result import read_outcome

    from alhvr.core.errors import UserError

    (tmp_path / "outcome.json").write_text(text)
    with pytest.raises(UserError, match=r"outcome\.json"):
        read_outcome(tmp_path)


def test_a_file_that_is_no_outcome_is_told_as_one(opened: Callable, trainer: Any) -> None:
    section = opened()
    (section.outcome.run / "outcome.json").write_text("{")
    trainer.panel.refresh()
    assert "outcome.json" in section.ui.sentenceLabel.text and section.outcome is None
    assert section.ui.keepArchiveButton.isHidden()


def test_an_outcome_of_a_stranger_reaches_no_folder_outside(slicer_app: object, tmp_path: pathlib.Path) -> None:
    from ALHVRTrainerLib.outcome.result import read_outcome

    arm = {"dice": {}, "hd95_mm": {}, "mean_dice": float("1e300"), "model": "../../../../etc"}
    cases = [5, {"scores": []}, {"case": "a", "segmentations": {"archive": "../../etc/passwd"}}]
    worst = {"case": "a", "structure": "liver", "dice": 0.1, "arm": "archive"}
    run = write_outcome(tmp_path, arms={"archive": arm}, structures=["liver"] * 5000, cases=cases, worst=worst)
    outcome = read_outcome(run)
    assert outcome.arms["archive"].model is None and outcome.worst.segmentation is None
    assert len(outcome.structures) == 200 and outcome.offered == ""


def test_the_worst_case_is_one_click_away(opened: Callable, trainer: Any) -> None:
    import slicer

    section = opened()
    label = next((trainer.logic.session.folder / "cases" / "labels").glob("case0*"))
    found = section.outcome.run / "held-out" / "labels-only" / "case0.seg.nrrd"
    found.parent.mkdir(parents=True)
    shutil.copy(label, found)
    section._seen = None
    trainer.panel.refresh()
    assert section.ui.worstButton.text == "Worst case: case0, spleen 0.60"
    section.ui.worstButton.click()
    names = [node.GetName() for node in slicer.util.getNodesByClass("vtkMRMLSegmentationNode")]
    assert names == ["case0 label", "case0 as the model found it"] and slicer.util.getNode("case0") is not None


def test_a_worst_case_without_its_segmentation_says_so(opened: Callable, trainer: Any) -> None:
    opened().ui.worstButton.click()
    assert trainer.panel.message == "The segmentation of case0 was not kept."


def test_an_outcome_that_comes_opens_its_section(trainer: Any, project: pathlib.Path) -> None:
    from ALHVRTrainerLib.training.section import TrainingSection

    run = write_run(project / "runs" / "1")
    trainer.panel.showSection("TrainingSection")
    trainer.panel.section(TrainingSection).control.attach()
    write_outcome(run)
    write_heartbeat(run, "finished")
    let_qt_work(lambda: trainer.panel.openSection == "OutcomeSection")
    assert trainer.panel.section(TrainingSection).control.state == "finished"
