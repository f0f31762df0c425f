"""The files that the engine writes, taken into the scene and shown by the panel: nothing differs on the way."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import pytest
from one_section import wait_until
from region_worlds import confidences

from alhvr.bundle.description import InferenceSettings
from alhvr.data.geometry import Geometry
from alhvr.export.volumes import write_region_maps
from alhvr.formats.region_tables import RegionMaps, make_region_maps, region_map

TILTED = np.array([[0.8, -0.6, 0, 5], [0.6, 0.8, 0, -8], [0, 0, 1.2, 3], [0, 0, 0, 1]])


@pytest.fixture
def maps(tmp_path: pathlib.Path) -> RegionMaps:
    """What the engine found, also in files called scan."""
    con_a, con_b = confidences((12, 20, 16))
    teacher = np.full(con_a.shape, 204, np.uint8)
    settings = InferenceSettings(beta=0.7, fusion="competition", temperature=0.1)
    geometry = Geometry((16, 20, 12), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    found = make_region_maps(con_a, con_b, teacher, settings, geometry)
    write_region_maps(tmp_path, "scan", found)
    return found


def test_the_panel_shows_what_the_engine_wrote(regions_panel: Any, maps: RegionMaps, tmp_path: pathlib.Path) -> None:
    import slicer

    from ALHVRSegmentationLib.results.region_nodes import make_region_nodes

    scan = slicer.util.addVolumeFromArray(maps.confidence_a.astype(np.int16), TILTED, "scan")
    node = make_region_nodes(scan, None, tmp_path, "scan")
    assert node.GetNodeReferenceID("ALHVR.Segmentation") is None
    regions_panel.parameters.regions = node
    regions_panel.parameters.showRegions = True
    ui = regions_panel.shown.ui
    assert ui.reasonLabel.text == "" and regions_panel.parameters.beta == 0.7
    assert np.array_equal(slicer.util.arrayFromVolume(node), maps.region)
    regions_panel.parameters.beta = 0.95
    regions_panel.shown.finishMove()
    expected = region_map(maps.confidence_a, maps.confidence_b, maps.gamma_table[0.95])
    assert np.array_equal(slicer.util.arrayFromVolume(node), expected)
    volume = (expected == 3).sum() * abs(np.linalg.det(TILTED)) / 1000
    assert ui.unreliableStableVolume.text == f"{volume:.3f} ml"
    assert "the more confident network" in ui.resultLabel.text
    wait_until(lambda: ui.placesTable.rowCount > 0)
    assert "80 %" in [ui.placesTable.item(row, 4).text() for row in range(ui.placesTable.rowCount)]
    assert not ui.placesTable.isColumnHidden(4)
