"""Pictures are right way up whatever the scan's axes, and histograms count what is there."""

from __future__ import annotations

import numpy as np
import pytest

from alhvr.checking.measure import best_slice, histogram, outline, thumbnail
from alhvr.data.geometry import Geometry
from alhvr.data.intensity import Statistics, measure

SIZE, SPACING = (40, 50, 12), (1.0, 1.0, 5.0)
WHOLE = Statistics(0.0, 0.5, 1.0, 0.5, 0.1)


def grid(direction: tuple[float, ...], size: tuple[int, ...] = SIZE, spacing: tuple[float, ...] = SPACING) -> Geometry:
    return Geometry(size, spacing, (0.0, 0.0, 0.0), direction)


AXES = {"axial": (1, 0, 0, 0, 1, 0, 0, 0, 1), "axial, from the scanner's other side": (-1, 0, 0, 0, -1, 0, 0, 0, 1),
        "coronal": (1, 0, 0, 0, 0, 1, 0, 1, 0), "coronal, upside down": (1, 0, 0, 0, 0, 1, 0, -1, 0)}


@pytest.mark.parametrize("name", AXES)
def test_a_mark_at_the_left_front_or_top_is_at_the_upper_right(name: str) -> None:
    geometry = grid(tuple(float(c) for c in AXES[name]))
    index_kji = np.stack(np.meshgrid(*map(np.arange, geometry.shape_kji), indexing="ij"), axis=-1).reshape(-1, 3)
    place = geometry.index_to_lps(index_kji[:, ::-1])
    up = -place[:, 1] if "axial" in name else place[:, 2]
    mark = (place[:, 0] > np.quantile(place[:, 0], 0.7)) & (up > np.quantile(up, 0.7))
    array = mark.reshape(geometry.shape_kji).astype(np.float32)
    seen = thumbnail(array, geometry, best_slice(array > 0, geometry), WHOLE)
    assert seen.shape == (50, 40)
    assert seen[:10, 32:].mean() > 200
    assert seen[20:].max() == 0 and seen[:, :25].max() == 0


def test_thumbnail_and_outline_show_the_slice_with_most_of_the_label() -> None:
    geometry, array = grid(AXES["axial"]), np.zeros((12, 50, 40), dtype=np.uint8)
    array[3, 10:20, 10:20] = 2
    array[9, 10:12, 10:12] = 7
    index = best_slice(array > 0, geometry)
    assert index == 3
    assert set(np.unique(outline(array, geometry, index))) == {0, 2}
    assert best_slice(np.zeros_like(array, dtype=bool), geometry) == best_slice(None, geometry) == 6


def test_the_right_slice_is_shown_where_the_slice_axis_runs_backwards() -> None:
    geometry, array = grid((1.0, 0, 0, 0, 1.0, 0, 0, 0, -1.0)), np.zeros((12, 50, 40), dtype=np.float32)
    array[2] = 1
    assert thumbnail(array, geometry, 2, WHOLE).min() == 255
    assert thumbnail(array, geometry, 9, WHOLE).max() == 0


def test_pixels_of_a_thumbnail_are_square_and_no_more_than_64() -> None:
    geometry = grid(AXES["axial"], size=(300, 100, 10), spacing=(0.5, 1.0, 6.0))
    array = np.zeros(geometry.shape_kji, dtype=np.uint8)
    assert thumbnail(array, geometry, 5, WHOLE).shape == outline(array, geometry, 5).shape == (43, 64)


def test_a_scan_with_axes_alike_is_seen_from_the_feet() -> None:
    geometry = grid(AXES["coronal"], size=(36, 34, 35), spacing=(1.0, 1.0, 1.0))
    array = np.zeros(geometry.shape_kji, dtype=np.float32)
    array[:, 5, :] = 1  # J runs to the head
    assert thumbnail(array, geometry, 5, WHOLE).min() == 255


def test_label_values_beyond_a_byte_are_shown_as_its_largest() -> None:
    array = np.full((12, 50, 40), 4000, dtype=np.uint16)
    assert np.unique(outline(array, grid(AXES["axial"]), 0)).tolist() == [255]


def test_the_histogram_counts_the_voxels_between_the_percentiles() -> None:
    array = np.arange(1000, dtype=np.float32).reshape(10, 10, 10)
    counts = histogram(array, measure(array.ravel()))
    assert len(counts) == 64
    assert sum(counts) == 990
    assert max(counts) - min(counts) <= 1
