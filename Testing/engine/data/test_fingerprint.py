"""Fingerprint: what is flat, and what is measured of a scan."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from grids import scan_of

from alhvr.data.fingerprint import Fingerprint, fingerprint, join_channels
from alhvr.data.geometry import Geometry

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def _grid(size_ijk: tuple[int, int, int], spacing_mm: tuple[float, float, float]) -> Geometry:
    return Geometry(size_ijk, spacing_mm, (0.0, 0.0, 0.0), IDENTITY)


@pytest.mark.parametrize(("size_ijk", "spacing_mm", "flat"), [
    ((216, 256, 10), (1.0, 1.0, 1.0), True),
    ((35, 50, 36), (1.0, 1.0, 1.0), False),
    ((190, 140, 88), (1.0, 1.0, 1.0), False),
    ((512, 512, 22), (0.43, 0.43, 6.5), True),
    ((512, 22, 512), (0.43, 6.5, 0.43), True),
    ((512, 512, 300), (0.7, 0.7, 2.0), False),
    ((60, 60, 5), (1.0, 1.0, 1.5), True),
])
def test_thick_or_few_slices_are_flat(
        size_ijk: tuple[int, int, int], spacing_mm: tuple[float, float, float], flat: bool) -> None:
    assert Fingerprint(_grid(size_ijk, spacing_mm), "MR").flat is flat


def test_foreground_leaves_background_and_not_annotated_voxels_out() -> None:
    array = np.array([0.0, 50.0, 60.0, 900.0]).repeat(100).reshape(4, 10, 10)
    label = np.array([0, 1, 2, 9]).repeat(100).reshape(4, 10, 10)
    measured = fingerprint(scan_of(array, _grid((10, 10, 4), (1.0, 1.0, 1.0))), label, not_annotated=9)
    assert measured.foreground.mean == pytest.approx(55) and measured.intensity.upper == pytest.approx(900)


def test_an_empty_label_has_no_foreground() -> None:
    array = np.arange(27.0).reshape(3, 3, 3)
    measured = fingerprint(scan_of(array, _grid((3, 3, 3), (1.0, 1.0, 1.0))), np.zeros((3, 3, 3), int))
    assert measured.foreground is None and measured.size_ijk == (3, 3, 3)


def test_each_channel_is_measured_and_channels_join_to_one_scan() -> None:
    geometry = _grid((6, 5, 4), (1.0, 1.0, 1.0))
    rng = np.random.default_rng(0)
    scan = scan_of(rng.normal(0, 1, geometry.shape_kji), geometry)
    other = scan_of(rng.normal(50, 5, geometry.shape_kji), geometry)
    label = (scan.array > 0).astype(np.uint8)
    found = fingerprint(replace(scan, more=(other.array,), more_modalities=("CT",)), label)
    assert [seen.modality for seen in found.channels] == ["MR", "CT"]
    assert found == join_channels([fingerprint(scan, label), replace(fingerprint(other, label), modality="CT")])
