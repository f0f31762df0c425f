"""The section Settings: entries of project.json by widgets, and a button that begins a training or says why not."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from tiny_runs import NAMES


@pytest.fixture(autouse=True)
def no_defaults(slicer_app: object) -> Iterator[None]:
    """The user keeps no defaults of other tests."""
    import slicer
    from ALHVRTrainerLib.settings.length import DEFAULTS_SETTING

    slicer.app.userSettings().remove(DEFAULTS_SETTING)
    yield
    slicer.app.userSettings().remove(DEFAULTS_SETTING)


@pytest.fixture
def settings(trainer: Any, project: pathlib.Path) -> Any:
    """The section, open, of a project with cases."""
    trainer.panel.showSection("SettingsSection")
    return settings_of(trainer)


@pytest.fixture
def checked(trainer: Any, project: pathlib.Path) -> Any:
    """The session, where a check has found nothing and nothing has changed since."""
    from ALHVRTrainerLib.check.section import CheckSection

    (project / "check.json").write_text(json.dumps({"format": "alhvr check", "findings": [], "cases": []}))
    checker = trainer.panel.section(CheckSection).checker
    checker._checked, checker._forecast = checker._inputs(), checker._settings()
    trainer.logic.session.changed()
    assert trainer.logic.session.state == "ready"
    return trainer.logic.session


def settings_of(trainer: Any) -> Any:
    from ALHVRTrainerLib.settings.section import SettingsSection

    return trainer.panel.section(SettingsSection)


def written(project: pathlib.Path) -> dict[str, Any]:
    """What project.json says."""
    return json.loads((project / "project.json").read_text())


def row(section: Any, key: str) -> Any:
    """The row of a folded setting."""
    section.ui.moreButton.collapsed = False
    return next(row for row in section._rows if row.setting.key == key)


def test_the_slider_says_how_long_and_what_that_means(settings: Any, project: pathlib.Path) -> None:
    assert settings.ui.lengthSlider.value == 1 and settings.ui.lengthLabel.text == "1 h"
    assert settings.ui.planLabel.text == (
        "2 h in all: 1 h with labels only, then 1 h with the archive, to know whether it helped.")
    settings.ui.lengthSlider.setValue(0)
    assert written(project)["minutes"] == 15.0
    assert settings.ui.compareBox.text == "Also train without the archive (+ 15 min)"
    assert not settings.ui.minutesBox.isVisible()


def test_any_number_of_minutes_can_be_typed(settings: Any, project: pathlib.Path) -> None:
    settings.ui.lengthSlider.setValue(3)
    assert settings.ui.minutesBox.isVisible() and written(project)["minutes"] == 60.0
    settings.ui.minutesBox.setValue(125)
    assert written(project)["minutes"] == 125.0 and settings.ui.lengthLabel.text == "2 h 5 min"


def test_without_the_comparison_one_training_is_left(settings: Any, project: pathlib.Path) -> None:
    settings.ui.compareBox.setChecked(False)
    assert written(project)["compare"] is False
    assert settings.ui.planLabel.text == "1 h with the archive; what it brings is not shown."


def test_without_an_archive_it_says_so(trainer: Any, project_folder: Callable[..., pathlib.Path]) -> None:
    trainer.logic.session.open(project_folder(archive=0))
    section = settings_of(trainer)
    assert section.ui.planLabel.text == "1 h with labels only, as there is no archive."
    assert not section.ui.compareBox.isVisibleTo(section.widget)


def test_a_folded_setting_is_written_and_its_arrow_leads_back(settings: Any, project: pathlib.Path) -> None:
    beta = row(settings, "method.beta")
    assert beta.field.value == 0.8 and not beta.reset.enabled
    beta.field.setValue(0.6)
    assert written(project)["settings"] == {"method": {"beta": 0.6}}
    assert beta.reset.enabled and "Back to the default: 0.8" in beta.reset.toolTip
    beta.reset.click()
    assert written(project)["settings"] == {} and beta.field.value == 0.8


def test_a_preset_brings_its_own_defaults(settings: Any, project: pathlib.Path) -> None:
    preset, beta = row(settings, "method.preset"), row(settings, "method.beta")
    preset.field.setCurrentIndex(2)
    assert written(project)["settings"] == {"method": {"preset": "paper"}}
    assert beta.field.text == "the paper's" and not beta.reset.enabled


def test_a_patch_that_cannot_be_is_said_and_not_written(settings: Any, trainer: Any, project: pathlib.Path) -> None:
    patch = row(settings, "plan.patch_size")
    patch.field.setText("100, 100")
    patch.field.editingFinished()
    assert "multiples of 16" in trainer.panel.message
    assert written(project)["settings"] == {} and patch.field.text == ""
    patch.field.setText("64 x 64")
    patch.field.editingFinished()
    assert written(project)["settings"] == {"plan": {"patch_size": [64, 64]}}


def test_all_folded_settings_go_back_together_and_unknown_ones_stay(trainer: Any, settings: Any,
                                                                     project: pathlib.Path) -> None:
    trainer.logic.session.save(settings={"method": {"preset": "paper", "beta": 0.5}, "training": {"momentum": 0.8}})
    row(settings, "method.beta")
    settings.ui.resetButton.click()
    assert written(project)["settings"] == {"training": {"momentum": 0.8}}


def test_models_of_the_same_structures_come_first(trainer: Any, settings: Any, project: pathlib.Path,
                                                  own_settings: pathlib.Path) -> None:
    from model_worlds import DESCRIPTION, write_model_folder

    entries = [{**DESCRIPTION["labels"]["labels"][0], "value": value, "name": name}
               for value, name in enumerate(NAMES.values(), start=1)]
    heart = {"name": "Heart", "labels": {"labels": [{**entries[0], "name": "heart"}]}}
    write_model_folder(own_settings / "models" / "a heart", heart)
    write_model_folder(own_settings / "models" / "z mine", {"name": "Mine", "labels": {"labels": entries}})
    trainer.panel.modelsChanged()
    box = settings.ui.startBox
    assert [box.itemText(place) for place in range(box.count)] == ["Scratch", "Mine (same structures)", "Heart"]
    box.setCurrentIndex(1)
    assert written(project)["start_from"] == str(own_settings / "models" / "z mine")


def test_a_model_that_the_project_names_and_that_is_not_here_stays_its_choice(trainer: Any, settings: Any,
                                                                               tmp_path: pathlib.Path) -> None:
    trainer.logic.session.save(start_from="/elsewhere/model")
    assert settings.ui.startBox.currentText == "/elsewhere/model (of the project)"


def test_the_users_defaults_begin_new_projects(trainer: Any, settings: Any, tmp_path: pathlib.Path) -> None:
    settings.ui.lengthSlider.setValue(0)
    row(settings, "training.seed").field.setValue(7)
    settings.ui.defaultsButton.click()
    trainer.logic.session.new(tmp_path / "another")
    record = written(tmp_path / "another")
    assert record["minutes"] == 15.0 and record["settings"] == {"training": {"seed": 7}}


@pytest.mark.parametrize("text", ["{", '{"settings": {"method": {"beta": 7}}}', '{"minutes": -3}', "[]", "9" * 5])
def test_damaged_defaults_are_none(slicer_app: object, text: str) -> None:
    import slicer
    from ALHVRTrainerLib.settings.length import DEFAULTS_SETTING, Defaults, user_defaults

    slicer.app.userSettings().setValue(DEFAULTS_SETTING, text)
    assert user_defaults() == Defaults()


def test_train_waits_for_a_project_and_then_for_cases(trainer: Any, tmp_path: pathlib.Path) -> None:
    section = settings_of(trainer)
    assert not section.ui.trainButton.enabled and section.ui.whyLabel.text == "There is no project yet."
    trainer.logic.session.new(tmp_path / "empty")
    assert section.ui.whyLabel.text == "Add a labelled case."


def test_train_begins_a_run(trainer: Any, settings: Any, checked: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRTrainerLib.training.section import TrainingSection

    begun = []
    monkeypatch.setattr(trainer.panel.section(TrainingSection).control, "start", lambda: begun.append(1) or "Begun.")
    assert settings.ui.trainButton.enabled and settings.ui.trainButton.text == "Train"
    settings.ui.trainButton.click()
    assert begun == [1] and trainer.panel.message == "Begun." and trainer.panel.openSection == "TrainingSection"


def test_train_says_which_setting_of_the_project_is_wrong(trainer: Any, settings: Any, checked: Any) -> None:
    trainer.logic.session.save(settings={"method": {"betta": 1}})
    assert not settings.ui.trainButton.enabled and "betta" in settings.ui.whyLabel.text


def test_a_project_that_is_open_elsewhere_can_only_be_looked_at(trainer: Any, settings: Any,
                                                                monkeypatch: pytest.MonkeyPatch) -> None:
    from alhvr.core.process import ProcessMark

    trainer.logic.session.holder = ProcessMark.of_this_process()
    trainer.panel.refresh()
    assert not settings.ui.choicesFrame.enabled and not settings.ui.trainButton.enabled
    assert settings.ui.whyLabel.text.startswith("Another window")


def test_the_forecast_of_the_check_stands_beside_the_slider(trainer: Any, settings: Any, project: pathlib.Path,
                                                            monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRTrainerLib.check.section import CheckSection

    sentences = ["It takes 1 h.", 7, "a" * 5000]
    report = {"format": "alhvr check", "findings": [], "cases": [], "forecast": {"sentences": sentences}}
    (project / "check.json").write_text(json.dumps(report))
    trainer.panel.refresh()
    assert settings.ui.forecastLabel.text == f"It takes 1 h. {'a' * 300}"
    monkeypatch.setattr(trainer.panel.section(CheckSection).checker, "isForecasting", True)
    trainer.panel.refresh()
    assert settings.ui.forecastLabel.text == "Trying what these settings take..."


def write_scans(project: pathlib.Path) -> None:
    """A check that has read two scans of the archive and could not read a third; a case is held out."""
    cases = [{"part": "unlabeled", "name": name, "files": [f"{name}.nrrd"], "image_problem": problem}
             for name, problem in (("scan0", ""), ("scan1", ""), ("bad", "It is damaged."))]
    (project / "check.json").write_text(json.dumps({"format": "alhvr check", "findings": [], "cases": cases}))
    (project / "cases" / "cases.json").write_text(json.dumps({"cases": {"case1": {"held_out": True}}}))


def test_the_scans_that_a_training_shows_are_chosen_among_those_that_it_has(trainer: Any, settings: Any,
                                                                            project: pathlib.Path) -> None:
    write_scans(project)
    trainer.panel.refresh()
    boxes = (settings.ui.heldOutBox, settings.ui.archiveScanBox)
    offered = [[box.itemText(place) for place in range(box.count)] for box in boxes]
    assert offered == [["the first one", "case1"], ["the first one", "scan0", "scan1"]]
    settings.ui.heldOutBox.setCurrentIndex(1)
    settings.ui.archiveScanBox.setCurrentIndex(2)
    assert written(project)["settings"] == {"preview": {"held_out": "case1", "archive": "scan1"}}
    settings.ui.heldOutBox.setCurrentIndex(0)
    assert written(project)["settings"] == {"preview": {"archive": "scan1"}}


def test_a_scan_to_show_that_is_gone_stays_the_choice_and_is_said_to_be_missing(trainer: Any, settings: Any) -> None:
    trainer.logic.session.save(settings={"preview": {"archive": "old"}})
    assert settings.ui.archiveScanBox.currentText == "old (not there)"


def test_which_scans_are_shown_asks_for_no_new_forecast_and_is_no_default(trainer: Any, settings: Any, checked: Any,
                                                                          project: pathlib.Path,
                                                                          tmp_path: pathlib.Path) -> None:
    from ALHVRTrainerLib.check.section import CheckSection

    checker = trainer.panel.section(CheckSection).checker
    checked.save(settings={"preview": {"held_out": "case1"}})
    assert not checker._wantsForecast()
    settings.ui.defaultsButton.click()
    trainer.logic.session.new(tmp_path / "another")
    assert written(tmp_path / "another")["settings"] == {}
