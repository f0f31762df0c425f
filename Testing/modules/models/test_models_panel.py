"""Tests of the section Models: the real panel, its buttons, drops, and the engine behind them."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable
from typing import Any

import pytest
from model_worlds import engine_model, write_model_folder, zipped
from module_worlds import wait_until


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    """A model that the engine wrote."""
    return engine_model(tmp_path_factory.mktemp("engine") / "liver")


@pytest.fixture
def models(own_settings: pathlib.Path) -> pathlib.Path:
    """Two installed models, of which one is damaged."""
    folder = own_settings / "models"
    write_model_folder(folder / "a", {"name": "Model A"})
    write_model_folder(folder / "b", {"name": "Model B"})
    (write_model_folder(folder / "c") / "models/model.pt").unlink()
    return folder


@pytest.fixture
def section(load_panel: Callable, module_file: pathlib.Path, own_settings: pathlib.Path) -> Any:
    """The section Models of the panel; ask for `models` before it to have some."""
    from ALHVRSegmentationLib.models.section import ModelsSection

    return load_panel(module_file).widget.panel.section(ModelsSection)


def rows(section: Any) -> list[str]:
    return [section.ui.modelList.item(row).text() for row in range(section.ui.modelList.count)]


def words_of(label: Any) -> str:
    import qt

    document = qt.QTextDocument()
    document.setHtml(label.text)
    return " ".join(document.toPlainText().replace("\u200b", "").split())


def wait_idle(section: Any) -> None:
    wait_until(lambda: not section.isBusy)


def press_twice(section: Any) -> None:
    """As a person who has read the question."""
    section.ui.removeButton.click()
    section._removal.askedAt = time.monotonic() - 1
    section.ui.removeButton.click()


def test_without_models_the_panel_says_how_to_begin(section: Any) -> None:
    assert rows(section) == []
    assert words_of(section.ui.cardLabel) == ("No model is installed yet. Add or drop its folder or zip file "
                                              "here, or make the sample.")
    assert not section.ui.removeButton.enabled


def test_a_models_folder_that_cannot_be_read_is_said(own_settings: pathlib.Path, load_panel: Callable,
                                                     module_file: pathlib.Path) -> None:
    from ALHVRSegmentationLib.models.section import ModelsSection

    own_settings.mkdir()
    (own_settings / "models").write_text("")
    section = load_panel(module_file).widget.panel.section(ModelsSection)
    assert "cannot be read: not a directory." in words_of(section.ui.cardLabel)


def test_all_models_are_listed_and_the_bad_one_says_so(models: pathlib.Path, section: Any) -> None:
    assert rows(section) == ["Model A", "Model B", "c (cannot be used)"]
    assert not section.ui.modelList.item(2).icon().isNull()


def test_a_row_chooses_the_model_and_shows_its_card(models: pathlib.Path, section: Any) -> None:
    section.ui.modelList.setCurrentRow(1)
    assert section.panel.parameters.model == "b"
    assert words_of(section.ui.cardLabel).startswith("Model B 2-D U-Net for MR scans")


def test_a_bad_row_shows_the_reason_and_chooses_nothing(models: pathlib.Path, section: Any) -> None:
    section.ui.modelList.setCurrentRow(0)
    section.ui.modelList.setCurrentRow(2)
    assert section.panel.parameters.model == "a"
    assert words_of(section.ui.cardLabel) == "c This model cannot be used: models/model.pt is missing."


def test_the_list_follows_the_parameter_node(models: pathlib.Path, section: Any) -> None:
    section.panel.parameters.model = "b"
    assert section.ui.modelList.currentRow == 1
    section.panel.parameters.model = "gone"
    assert section.ui.modelList.currentRow == -1
    assert "asks for the model gone, which is not installed here" in words_of(section.ui.cardLabel)


def test_a_folder_is_added_by_the_dialog(section: Any, good: pathlib.Path, dialog_answers: Any) -> None:
    dialog_answers.answer(str(good))
    section.ui.addFolderButton.click()
    assert not section.ui.busyFrame.isHidden()
    assert not section.ui.addFolderButton.enabled
    wait_idle(section)
    assert (rows(section), section.panel.parameters.model) == (["M"], "liver")
    assert section.panel.message == "The model M was added."
    assert section.ui.busyFrame.isHidden()


def test_a_dismissed_dialog_adds_nothing(section: Any, dialog_answers: Any) -> None:
    dialog_answers.answer("", "")
    section.ui.addFolderButton.click()
    section.ui.addZipButton.click()
    assert not section.isBusy


def test_a_folder_and_a_zip_are_added_by_dropping_them(section: Any, good: pathlib.Path,
                                                       tmp_path: pathlib.Path) -> None:
    from slicer_stand_in.drops import drop

    other = engine_model(tmp_path / "spleen", seed=1)
    assert drop(section.ui.modelList.viewport(), [good, zipped(other, tmp_path / "packed.zip")])
    wait_idle(section)
    assert rows(section) == ["M (liver)", "M (packed)"]


def test_what_is_no_file_is_not_taken_when_dropped(section: Any) -> None:
    import qt
    from slicer_stand_in.drops import drop, drop_data

    text = qt.QMimeData()
    text.setText("hello")
    assert not drop_data(section.ui.cardLabel, text)
    assert not drop(section.ui.cardLabel, ["https://example.org/model.zip"])
    assert not section.isBusy


def test_a_model_without_onnx_networks_is_not_added_where_there_is_no_pytorch(section: Any, tmp_path: pathlib.Path,
                                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    section.onPaths([str(write_model_folder(tmp_path / "old", without=("models/a_encoder.onnx",)))])
    wait_idle(section)
    text = "The model has no networks in ONNX format, so it needs PyTorch, which is not installed."
    assert (section.panel.message, rows(section)) == (f"old was not added: {text}", [])


def test_a_hostile_zip_ends_in_one_sentence_and_the_same_list(models: pathlib.Path, section: Any,
                                                              tmp_path: pathlib.Path) -> None:
    from slicer_stand_in.drops import drop

    before = rows(section)
    folder = write_model_folder(tmp_path / "m")
    drop(section.widget, [zipped(folder, tmp_path / "x.zip", more={"../evil": b""}), folder])
    wait_idle(section)
    assert section.panel.message.startswith("x.zip was not added: x.zip holds a file with the unsafe name")
    assert rows(section) == before


def test_the_same_model_twice_is_selected_and_not_copied(section: Any, good: pathlib.Path) -> None:
    for _ in range(2):
        section.onPaths([str(good)])
        wait_idle(section)
    assert section.panel.message == "The model M is installed already."
    assert rows(section) == ["M"]


def test_cancel_stops_what_runs_and_what_waits(section: Any, good: pathlib.Path, tmp_path: pathlib.Path) -> None:
    section.onPaths([str(good), str(tmp_path)])
    section.ui.cancelButton.click()
    wait_idle(section)
    assert section.panel.message == "Adding liver was cancelled."
    assert rows(section) == []


def test_the_segment_part_lists_a_model_that_was_added(section: Any, good: pathlib.Path) -> None:
    from ALHVRSegmentationLib.segment.section import SegmentSection

    box = section.panel.section(SegmentSection).ui.modelBox
    assert box.count == 0
    section.onPaths([str(good)])
    wait_idle(section)
    assert (box.count, box.currentText) == (1, "M")
    press_twice(section)
    assert box.count == 0


def test_the_first_press_asks_and_the_second_removes(models: pathlib.Path, section: Any) -> None:
    section.ui.modelList.setCurrentRow(0)
    section.ui.removeButton.click()
    assert (section.ui.removeButton.text, len(rows(section))) == ("Press again to remove", 3)
    section.ui.removeButton.click()  # a double click
    assert len(rows(section)) == 3
    section._removal.askedAt = time.monotonic() - 1
    section.ui.removeButton.click()
    assert rows(section) == ["Model B", "c (cannot be used)"]
    assert section.panel.parameters.model in ("", "b")
    assert section.panel.message == "The model Model A was removed."
    assert not (models / "a").exists()


def test_looking_at_another_model_takes_the_question_back(models: pathlib.Path, section: Any) -> None:
    section.ui.modelList.setCurrentRow(0)
    section.ui.removeButton.click()
    section.ui.modelList.setCurrentRow(2)
    assert section.ui.removeButton.text == "Remove"
    press_twice(section)
    assert rows(section) == ["Model A", "Model B"]


@pytest.mark.parametrize("row", [0, 1])
def test_no_model_is_removed_while_a_scan_is_segmented(models: pathlib.Path, section: Any, row: int,
                                                       monkeypatch: pytest.MonkeyPatch) -> None:
    from ALHVRSegmentationLib.segment.section import SegmentSection

    section.ui.modelList.setCurrentRow(0)
    monkeypatch.setattr(SegmentSection, "isRunning", True)
    section.ui.modelList.setCurrentRow(row)
    press_twice(section)
    monkeypatch.undo()
    assert section.panel.message == "A scan is being segmented: models can be removed when that is done."
    assert (models / "a").exists()


def test_a_model_that_has_gone_meanwhile_is_said_and_leaves_the_list(models: pathlib.Path, section: Any) -> None:
    import shutil

    section.ui.modelList.setCurrentRow(0)
    shutil.rmtree(models / "a")
    press_twice(section)
    assert section.panel.message == 'There is no model "a" any more.'
    assert rows(section) == ["Model B", "c (cannot be used)"]


def test_reveal_opens_the_models_folder(models: pathlib.Path, section: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import qt

    opened = []

    class Desktop:
        @staticmethod
        def openUrl(url: Any) -> bool:
            opened.append(url.toLocalFile())
            return len(opened) < 2

    monkeypatch.setattr(qt, "QDesktopServices", Desktop)
    section.ui.modelList.setCurrentRow(0)
    section.ui.revealButton.click()
    assert (opened, section.panel.message) == ([str(models / "a")], "")
    section.ui.revealButton.click()
    assert section.panel.message == f"The file manager did not open; the folder is {models / 'a'}"


def test_closing_the_scene_forgets_the_choice_and_keeps_the_models(models: pathlib.Path, section: Any) -> None:
    import slicer

    section.ui.modelList.setCurrentRow(1)
    slicer.mrmlScene.Clear(0)
    assert section.panel.parameters.model in ("", "a", "b")
    assert len(rows(section)) == 3


def test_the_panel_goes_in_the_middle_of_an_import_and_leaves_nothing(section: Any, good: pathlib.Path,
                                                                      own_settings: pathlib.Path) -> None:
    section.onPaths([str(good)])
    section.panel.cleanUp()
    assert list((own_settings / "models").glob("*")) == []


def test_models_that_came_while_another_panel_was_shown_are_listed_on_return(models: pathlib.Path,
                                                                           section: Any) -> None:
    section.panel.follow(None)
    write_model_folder(models / "d", {"name": "Model D"})
    section.panel.follow(section.panel.logic.getParameterNode())
    assert "Model D" in rows(section)


def test_an_import_ends_well_while_another_panel_is_shown(section: Any, good: pathlib.Path) -> None:
    section.onPaths([str(good)])
    section.panel.follow(None)
    wait_idle(section)
    assert section.panel.logic.getParameterNode().model == "liver"
