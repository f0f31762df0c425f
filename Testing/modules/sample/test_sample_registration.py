"""Tests of ALHVRLib/sample_data.py: the samples are offered in Slicer's Sample Data too."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

from module_worlds import wait_until
from support import ROOT

TRAINER_FILE = ROOT / "ALHVRTrainer" / "ALHVRTrainer.py"
SAMPLE = ("ALHVRSample", "ALHVRSegmentation", "ALHVRSegmentationLib.models.section:ModelsSection")


def registered(sample_data: Any) -> list[Any]:
    return sample_data.SampleDataLogic.sampleDataSourcesByCategory("ALHVR")


def test_without_sample_data_nothing_happens(slicer_app: object) -> None:
    from ALHVRLib.sample_data import register_sample

    register_sample(*SAMPLE)


def test_the_sample_is_registered_once_when_slicer_has_started(sample_data: Any, load_panel: Callable,
                                                               module_file: pathlib.Path) -> None:
    import slicer

    load_panel(module_file)
    slicer.app.startupCompleted.emit()
    slicer.app.startupCompleted.emit()
    assert [source.sampleName for source in registered(sample_data)] == ["ALHVRSample"]
    assert sample_data.titles == {"ALHVR": "ALHVR"}


def test_a_slicer_that_knows_no_categories_registers_it_all_the_same(sample_data: Any, monkeypatch: Any) -> None:
    from ALHVRLib.sample_data import register_sample

    monkeypatch.delattr(sample_data.SampleDataLogic, "registerCustomSampleDataCategory")
    register_sample(*SAMPLE)
    assert len(registered(sample_data)) == 1


def test_its_picture_is_there(sample_data: Any) -> None:
    import qt

    from ALHVRLib.sample_data import register_sample

    register_sample(*SAMPLE)
    picture = qt.QPixmap(registered(sample_data)[0].thumbnailFileName)
    assert not picture.isNull()


def test_its_button_makes_the_sample_in_the_panel(sample_data: Any, load_panel: Callable, module_file: pathlib.Path,
                                                  own_settings: pathlib.Path, engine: Callable) -> None:
    from ALHVRLib.sample_data import register_sample
    from ALHVRSegmentationLib.models.section import ModelsSection

    engine()
    register_sample(*SAMPLE)
    section = load_panel(module_file).widget.panel.section(ModelsSection)
    sample_data.press(registered(sample_data)[0])
    wait_until(lambda: not section.isBusy)
    assert section.panel.parameters.model == "ALHVR sample"


def test_the_trainer_offers_its_project_too_and_the_button_presses_that_of_the_panel(
        sample_data: Any, load_panel: Callable, own_settings: pathlib.Path, monkeypatch: Any) -> None:
    monkeypatch.syspath_prepend(TRAINER_FILE.parent)
    import slicer

    widget = load_panel(TRAINER_FILE).widget
    slicer.app.startupCompleted.emit()
    from ALHVRTrainerLib.header_section import HeaderSection

    pressed = []
    monkeypatch.setattr(HeaderSection, "onSample", lambda section: pressed.append(section))
    [source] = [found for found in registered(sample_data) if found.sampleName == "ALHVRTrainingSample"]
    sample_data.press(source)
    assert pressed == [widget.panel.section(HeaderSection)]
