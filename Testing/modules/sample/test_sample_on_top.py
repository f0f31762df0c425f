"""With nothing loaded, the first thing in the panel is the button of the sample, with its progress."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from module_worlds import wait_until


@pytest.fixture
def panel(main_window: Any, load_panel: Callable, module_file: Any, own_settings: Any) -> Any:
    """The panel in Slicer's main window, nothing loaded or installed."""
    return load_panel(module_file).widget.panel


@pytest.fixture
def sample(panel: Any) -> Any:
    """The section of the sample."""
    from ALHVRSegmentationLib.sample.section import SampleSection

    return panel.section(SampleSection)


@pytest.fixture
def models(panel: Any) -> Any:
    """The section Models."""
    from ALHVRSegmentationLib.models.section import ModelsSection

    return panel.section(ModelsSection)


def add_scan(name: str = "scan", kind: str = "vtkMRMLScalarVolumeNode") -> Any:
    import slicer

    return slicer.util.addVolumeFromArray(np.zeros((2, 3, 4), np.uint8), name=name, nodeClassName=kind)


def test_it_is_the_first_thing_in_the_panel(sample: Any, panel: Any, main_window: Any) -> None:
    main_window._panel_widget().fit()
    tops = {section: section.frame.geometry.top() for section in panel._sections if section.frame.visible}
    assert min(tops, key=tops.get) is sample
    assert sample.ui.sampleButton.visible and not sample.ui.busyFrame.visible


def test_one_button_is_shown_and_never_two(sample: Any, models: Any) -> None:
    models.frame.collapsed = False
    assert (sample.ui.sampleButton.visible, models.ui.sampleButton.visible) == (True, False)
    scan = add_scan()
    assert (sample.ui.sampleButton.visible, models.ui.sampleButton.visible) == (False, True)
    import slicer

    slicer.mrmlScene.RemoveNode(scan)
    assert (sample.ui.sampleButton.visible, models.ui.sampleButton.visible) == (True, False)


def test_a_label_map_and_a_hidden_volume_are_no_scan(sample: Any) -> None:
    import slicer

    add_scan("labels", "vtkMRMLLabelMapVolumeNode")
    node = slicer.vtkMRMLScalarVolumeNode()
    node.SetHideFromEditors(True)
    slicer.mrmlScene.AddNode(node)
    assert sample.frame.visible


def test_it_is_back_when_the_scene_is_closed(sample: Any) -> None:
    import slicer

    add_scan()
    slicer.mrmlScene.Clear(0)
    assert sample.frame.visible


def test_its_progress_and_cancel_are_below_it_and_it_goes_when_the_scan_is_there(sample: Any, models: Any, panel: Any,
                                                                                engine: Callable) -> None:
    engine("time.sleep(0.5)")
    sample.ui.sampleButton.click()
    assert sample.ui.busyFrame.visible and sample.ui.busyLabel.text == "Making the sample"
    assert not sample.ui.sampleButton.enabled
    wait_until(lambda: not models.isBusy)
    assert panel.parameters.inputVolume.GetName() == "One"
    assert not sample.frame.visible


def test_cancel_on_top_cancels(sample: Any, models: Any, panel: Any, engine: Callable) -> None:
    engine("time.sleep(600)")
    sample.ui.sampleButton.click()
    sample.ui.cancelButton.click()
    assert wait_until(lambda: not models.isBusy) < 3
    assert panel.message == "Making the sample was cancelled."
    assert sample.ui.sampleButton.enabled
