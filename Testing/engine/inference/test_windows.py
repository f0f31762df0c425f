"""Windows cover the grid in order, their importances sum to one, and padding is shared by both sides."""

from __future__ import annotations

import numpy as np
import pytest

from alhvr.inference.sliding_window import Window, gaussian, pad, starts, tile


@pytest.mark.parametrize(("size", "expected"), [
    (96, [0]), (140, [0, 44]), (160, [0, 64]), (240, [0, 64, 128, 144]),
])
def test_windows_of_96_with_a_third_shared_start_where_the_paper_starts_them(size, expected):
    assert starts(size, 96, 1 / 3) == expected


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.9])
def test_the_last_window_ends_with_the_axis_and_no_pixel_is_left_out(overlap):
    first = starts(100, 32, overlap)
    seen = np.zeros(100, bool)
    for start in first:
        seen[start:start + 32] = True
    assert first[-1] == 68
    assert seen.all()


def _importance(window: Window) -> np.ndarray:
    return np.stack([window.importance(plane) for plane in range(window.shape[0])])


def test_importances_of_all_windows_sum_to_one_at_every_voxel():
    total = np.zeros((40, 50, 33))
    for window in tile(total.shape, (16, 32, 16), 0.5):
        total[window.place] += _importance(window)
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_a_window_counts_most_at_its_centre():
    importance = _importance(tile((32, 64, 64), (16, 32, 32), 0.5)[13])
    assert importance[7, 15, 15] > 10 * importance[0, 0, 0] > 0


def test_windows_come_in_the_order_of_their_first_plane():
    first = [window.place[0].start for window in tile((40, 50, 33), (16, 32, 16), 0.5)]
    assert first == sorted(first)
    assert len(set(first)) == 4


def test_a_single_window_counts_fully():
    (window,) = tile((16, 32, 48), (16, 32, 48), 0.5)
    assert window.factors is None


def test_slices_that_go_through_whole_are_one_window_each():
    windows = tile((5, 32, 48), (1, 32, 48), 0.5)
    assert [window.place[0].start for window in windows] == [0, 1, 2, 3, 4]
    assert all(window.factors is None for window in windows)


def test_gaussian_is_symmetric_and_never_zero():
    weights = gaussian(17)
    np.testing.assert_array_equal(weights, weights[::-1])
    assert weights[8] == 1
    assert weights.min() > 1e-5


def test_padding_centres_the_grid_and_says_where_it_lies():
    grid = pad((2, 3, 4), (5, 3, 8))
    assert grid.shape == (5, 3, 8)
    assert grid.inside == (slice(1, 3), slice(0, 3), slice(2, 6))


def test_a_large_grid_is_not_padded():
    assert pad((4, 4, 4), (2, 4, 1)).shape == (4, 4, 4)
