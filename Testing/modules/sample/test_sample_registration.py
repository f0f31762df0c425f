"""Tests of sample/registration.py: the sample is offered in Slicer's Sample Data too."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

from module_worlds import wait_until


def registered(sample_data: Any) -> list[Any]:
    return sample_data.SampleDataLogic.sampleDataSourcesByCategory("ALHVR")


def test_without_sample_data_nothing_happens(slicer_app: object) -> None:
    from ALHVRSegmentationLib.sample.registration import register_sample_data

    register_sample_data()


def test_the_sample_is_registered_once_when_slicer_has_started(sample_data: Any, load_panel: Callable,
                                                               module_file: pathlib.Path) -> None:
    import slicer

    load_panel(module_file)
    slicer.app.startupCompleted.emit()
    slicer.app.startupCompleted.emit()
    assert [source.sampleName for source in registered(sample_data)] == ["ALHVRSample"]
    assert sample_data.titles == {"ALHVR": "ALHVR"}


def test_a_slicer_that_knows_no_categories_registers_it_all_the_same(sample_data: Any, monkeypatch: Any) -> None:
    from ALHVRSegmentationLib.sample.registration import register_sample_data

    monkeypatch.delattr(sample_data.SampleDataLogic, "registerCustomSampleDataCategory")
    register_sample_data()
    assert len(registered(sample_data)) == 1


def test_its_picture_is_there(sample_data: Any) -> None:
    import qt

    from ALHVRSegmentationLib.sample.registration import register_sample_data

    register_sample_data()
    picture = qt.QPixmap(registered(sample_data)[0].thumbnailFileName)
    assert not picture.isNull()


def test_its_button_makes_the_sample_in_the_panel(sample_data: Any, load_panel: Callable, module_file: pathlib.Path,
                                                  own_settings: pathlib.Path, engine: Callable) -> None:
    from ALHVRSegmentationLib.models.section import ModelsSection
    from ALHVRSegmentationLib.sample.registration import register_sample_data

    engine()
    register_sample_data()
    section = load_panel(module_file).widget.panel.section(ModelsSection)
    sample_data.press(registered(sample_data)[0])
    wait_until(lambda: not section.isBusy)
    assert section.panel.parameters.model == "ALHVR sample"
