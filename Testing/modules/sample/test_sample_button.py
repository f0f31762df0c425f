"""Tests of the sample's button: one click makes, loads and installs; a second takes what is there."""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import pytest
from module_worlds import wait_until
from small_disk import mounted_disk


@pytest.fixture
def section(load_panel: Callable, module_file: pathlib.Path, own_settings: pathlib.Path) -> Any:
    """The section Models of the panel, which has the button."""
    from ALHVRSegmentationLib.models.section import ModelsSection

    return load_panel(module_file).widget.panel.section(ModelsSection)


def click(section: Any) -> str:
    """Press the button and wait; the sentence in the panel."""
    section.ui.sampleButton.click()
    wait_until(lambda: not section.isBusy)
    return section.panel.message


def volumes() -> list[Any]:
    import slicer

    return slicer.util.getNodesByClass("vtkMRMLScalarVolumeNode")


def models(section: Any) -> list[str]:
    return [model.name for model in section.models]


def samples(settings: pathlib.Path) -> list[str]:
    return sorted(path.name for path in (settings / "samples").glob("*"))


def test_one_click_loads_a_scan_and_selects_a_model(section: Any, engine: Callable,
                                                    own_settings: pathlib.Path) -> None:
    calls = engine()
    assert click(section) == "The sample scan One is loaded and the model M selected: press Segment."
    parameters = section.panel.parameters
    assert (parameters.inputVolume.GetName(), parameters.model) == ("One", "ALHVR sample")
    assert (models(section), samples(own_settings), calls()) == (["ALHVR sample"], ["generated"], 1)


def test_a_second_click_makes_nothing_twice(section: Any, engine: Callable) -> None:
    calls = engine()
    click(section)
    section.panel.parameters.model = ""
    section.panel.parameters.inputVolume = None
    click(section)
    assert (len(volumes()), models(section), calls()) == (1, ["ALHVR sample"], 1)
    assert section.panel.parameters.inputVolume is volumes()[0]
    assert section.panel.parameters.model == "ALHVR sample"


def test_a_scan_that_was_removed_is_loaded_again_and_a_model_installed_again(section: Any, engine: Callable) -> None:
    import slicer

    from ALHVRLib.models import store

    calls = engine()
    click(section)
    slicer.mrmlScene.RemoveNode(volumes()[0])
    store.remove("ALHVR sample")
    click(section)
    assert (len(volumes()), models(section), calls()) == (1, ["ALHVR sample"], 1)


def test_a_sample_that_was_damaged_is_made_anew(section: Any, engine: Callable, own_settings: pathlib.Path) -> None:
    calls = engine()
    click(section)
    (own_settings / "samples/generated/images/One.nrrd").write_bytes(b"")
    click(section)
    assert calls() == 2
    assert (own_settings / "samples/generated/images/One.nrrd").stat().st_size > 0


def test_while_it_is_made_the_button_waits_and_cancel_stops_it(section: Any, engine: Callable,
                                                              own_settings: pathlib.Path) -> None:
    engine("time.sleep(600)")
    section.ui.sampleButton.click()
    assert (section.ui.busyLabel.text, section.ui.sampleButton.enabled) == ("Making the sample", False)
    section.onSample()
    section.ui.cancelButton.click()
    assert wait_until(lambda: not section.isBusy) < 3
    assert section.panel.message == "Making the sample was cancelled."
    assert (volumes(), models(section), list((own_settings / "samples").iterdir())) == ([], [], [])
    assert section.ui.sampleButton.enabled


def test_an_engine_that_fails_is_quoted(section: Any, engine: Callable, own_settings: pathlib.Path) -> None:
    engine("say('error', message='The sample model is missing.', hint='Install alhvr again.')\nreturn 2")
    assert click(section) == "The sample was not made: The sample model is missing."
    assert (volumes(), list((own_settings / "samples").iterdir())) == ([], [])


def test_an_engine_that_tells_of_nothing_is_said(section: Any, engine: Callable) -> None:
    engine("return 0")
    assert click(section) == "The sample was not made: The engine reported no scan or no model."


def test_paths_that_lead_elsewhere_are_not_kept(section: Any, engine: Callable, tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.nrrd").write_text("")
    path = str(tmp_path / "x.nrrd")
    engine(f"os.makedirs(arguments[2])\nmade('scan', {path!r})\nmade('model', {path!r})\nreturn 0")
    assert click(section) == "The sample was not made: The engine put its files elsewhere."


def test_a_full_disk_is_said(section: Any, engine: Callable, own_settings: pathlib.Path) -> None:
    engine()
    (own_settings / "samples").mkdir(parents=True)
    with mounted_disk(own_settings / "samples", 1):
        (own_settings / "samples" / "full").write_bytes(bytes(1 << 20))
        assert click(section).startswith("The sample was not made: ")
    assert (volumes(), models(section)) == ([], [])


def test_a_folder_that_cannot_be_made_is_said(section: Any, engine: Callable, own_settings: pathlib.Path) -> None:
    engine()
    own_settings.mkdir()
    (own_settings / "samples").write_text("")
    assert "cannot be written: " in click(section)


def test_another_model_of_the_same_name_is_not_replaced(section: Any, engine: Callable,
                                                        own_settings: pathlib.Path) -> None:
    from model_worlds import write_model_folder

    engine()
    write_model_folder(own_settings / "models" / "ALHVR sample")
    assert '"ALHVR sample" is installed already' in click(section)
    assert volumes() == []


def test_closing_the_scene_ends_it(section: Any, engine: Callable) -> None:
    import slicer

    engine("time.sleep(600)")
    section.ui.sampleButton.click()
    slicer.mrmlScene.Clear(0)
    assert not section.isBusy
    assert section.panel.message == "The scene was closed, so making the sample was ended."


def test_the_panel_goes_in_the_middle_and_leaves_no_process(section: Any, engine: Callable,
                                                           own_settings: pathlib.Path) -> None:
    engine("time.sleep(600)")
    section.ui.sampleButton.click()
    section.panel.cleanUp()
    assert list((own_settings / "samples").iterdir()) == []


def test_it_ends_well_while_another_panel_is_shown(section: Any, engine: Callable) -> None:
    engine()
    section.ui.sampleButton.click()
    section.panel.follow(None)
    wait_until(lambda: not section.isBusy)
    parameters = section.panel.logic.getParameterNode()
    assert (parameters.inputVolume.GetName(), parameters.model) == ("One", "ALHVR sample")


def test_a_saved_scene_knows_its_sample(section: Any, engine: Callable, tmp_path: pathlib.Path) -> None:
    import slicer

    engine()
    click(section)
    slicer.util.saveScene(str(tmp_path / "scene.mrb"))
    slicer.mrmlScene.Clear(0)
    slicer.util.loadScene(str(tmp_path / "scene.mrb"))
    click(section)
    assert len(volumes()) == 1


def test_the_engines_own_sample_is_made(section: Any) -> None:
    import slicer
    from support import ROOT

    if not (ROOT / "alhvr" / "phantom" / "model.zip").is_file():
        pytest.skip("this source tree has no sample model")
    sentence = click(section)
    assert sentence.startswith("The sample scan GeneratedCT1 is loaded and the model Generated abdomen selected")
    array = slicer.util.arrayFromVolume(volumes()[0])
    assert array.ndim == 3
    assert array.std() > 0


def test_a_folder_of_samples_that_somebody_deleted_in_part_is_not_kept(section: Any, engine: Callable,
                                                                      own_settings: pathlib.Path) -> None:
    calls = engine()
    click(section)
    shutil.rmtree(own_settings / "samples/generated/model")
    click(section)
    assert calls() == 2
