"""The section of the regions by itself."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest

MODULE_FOLDER = pathlib.Path(__file__).resolve().parents[3] / "ALHVRSegmentation"


@pytest.fixture
def regions_panel(clean_slate: None) -> Iterator[Any]:
    """A panel with nothing but the section of the regions, connected to a parameter node."""
    from one_section import OneSectionPanel

    from ALHVRSegmentationLib.regions.section import RegionsSection

    panel = OneSectionPanel(MODULE_FOLDER, RegionsSection)
    panel.follow_new()
    yield panel
    panel.close()
