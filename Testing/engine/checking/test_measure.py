"""What a label shows, counted by hand: voxels, places, parts and holes."""

from __future__ import annotations

import numpy as np
import pytest

from alhvr.checking.measure import MOST_STRUCTURES, label_facts
from alhvr.data.geometry import Geometry
from alhvr.data.reading import LabelVolume

UPRIGHT = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def label(array: np.ndarray, spacing: tuple[float, float, float] = (1.0, 1.0, 2.0)) -> LabelVolume:
    return LabelVolume(array, Geometry(array.shape[::-1], spacing, (10.0, 20.0, 30.0), UPRIGHT))


def block(shape: tuple[int, int, int] = (6, 20, 20)) -> np.ndarray:
    """Value 3 in 4 x 10 x 8 voxels."""
    array = np.zeros(shape, dtype=np.uint8)
    array[1:5, 2:12, 4:12] = 3
    return array


def test_size_and_place_of_a_structure() -> None:
    found = label_facts(label(block()), None, 255).structures
    assert list(found) == [3]
    assert found[3].voxels == 320
    assert found[3].volume_ml == pytest.approx(0.64)
    assert found[3].slices == 4
    assert found[3].centroid_lps_mm == pytest.approx((10 + 7.5, 20 + 6.5, 30 + 2 * 2.5))
    assert (found[3].n_parts, found[3].largest_part, found[3].hole_voxels) == (1, 1.0, 0)


def test_parts_that_touch_at_a_corner_are_one_and_others_are_counted() -> None:
    array = block()
    array[0, 1, 3] = 3
    assert label_facts(label(array), None, 255).structures[3].n_parts == 1
    array[0, 18, 18] = 3
    found = label_facts(label(array), None, 255).structures[3]
    assert found.n_parts == 2
    assert found.largest_part == pytest.approx(321 / 322)


def test_a_hole_is_background_closed_off_in_space() -> None:
    array = block()
    array[2:4, 5:7, 6] = 0
    assert label_facts(label(array), None, 255).structures[3].hole_voxels == 4
    array[2, 5, 4:6] = 0
    assert label_facts(label(array), None, 255).structures[3].hole_voxels == 0


def test_a_ring_that_is_open_at_its_ends_and_a_filled_one_have_no_hole() -> None:
    array = block()
    array[1:5, 5:7, 6:8] = 0
    assert label_facts(label(array), None, 255).structures[3].hole_voxels == 0
    array = block()
    array[2:4, 5:7, 6] = 1
    assert label_facts(label(array), None, 255).structures[3].hole_voxels == 0


def test_a_gap_between_a_structure_and_what_it_encloses_is_a_hole() -> None:
    array = block()
    array[2:4, 4:8, 6:9] = 1
    array[2, 4, 6] = 0
    assert label_facts(label(array), None, 255).structures[3].hole_voxels == 1


def test_a_single_slice_is_looked_at_as_a_plane() -> None:
    array = np.zeros((1, 12, 12), dtype=np.uint8)
    array[0, 2:10, 2:10] = 1
    array[0, 4:6, 4:6] = 0
    assert label_facts(label(array), None, 255).structures[1].hole_voxels == 4


def test_what_nobody_annotated_is_no_structure_and_no_hole() -> None:
    array = block()
    array[2, 5, 6], array[5] = 9, 9
    found = label_facts(label(array), None, 9)
    assert list(found.structures) == [3]
    assert found.structures[3].hole_voxels == 0
    assert found.n_not_annotated == 401
    assert (found.annotated_slices, found.slices, found.n_voxels) == (5, 6, 2400)


def test_another_grid_is_told_with_both_values() -> None:
    volume = label(block())
    scan = Geometry((20, 20, 6), (1.0, 1.0, 2.5), (10.0, 20.0, 30.0), UPRIGHT)
    assert "spacing (1, 1, 2.5) against (1, 1, 2) mm" in label_facts(volume, scan, 255).other_grid
    assert label_facts(volume, volume.geometry, 255).other_grid == ""


def test_a_file_with_very_many_values_is_counted_only() -> None:
    array = np.arange(6 * 20 * 20, dtype=np.int32).reshape(6, 20, 20) % (2 * MOST_STRUCTURES) - 3
    found = label_facts(label(array), None, 255).structures
    assert len(found) == 2 * MOST_STRUCTURES - 1
    assert found[-3].voxels == 19 and found[-3].n_parts == 1
