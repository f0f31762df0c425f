"""Worlds for the tests of the Segment section: a panel with a trained model, and a scan of its kind."""

from __future__ import annotations

import pathlib
from collections.abc import Callable
from typing import Any

import module_worlds
import numpy as np
import pytest
from filelock import FileLock


@pytest.fixture(scope="session")
def atrium_model(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> pathlib.Path:
    """A model of the left atrium that the engine has trained on real scans, once in a run of the tests."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "atrium"
    with FileLock(f"{folder}.lock"):
        model = folder / "run" / "model"
        return model if model.exists() else module_worlds.train_atrium(folder)


@pytest.fixture
def panel(load_panel: Callable, module_file: pathlib.Path, own_settings: pathlib.Path) -> Any:
    """The panel with the sample model installed."""
    module_worlds.install_sample_model()
    return load_panel(module_file).widget.panel


@pytest.fixture
def segment(panel: Any) -> Any:
    """The Segment section."""
    from ALHVRSegmentationLib.segment.section import SegmentSection

    return panel.section(SegmentSection)


@pytest.fixture
def scan(panel: Any) -> Any:
    """A generated scan in the scene, chosen as input."""
    node = module_worlds.generated_scan()
    panel.parameters.inputVolume = node
    return node


@pytest.fixture
def big_scan(panel: Any, scan: Any) -> Any:
    """A scan that takes many seconds to segment."""
    import slicer

    array = np.tile(slicer.util.arrayFromVolume(scan), (4, 4, 4))
    node = slicer.util.addVolumeFromArray(array, name="big")
    panel.parameters.inputVolume = node
    return node
