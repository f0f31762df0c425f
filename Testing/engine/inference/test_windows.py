"""Windows cover the grid, their importances sum to one, and padding is taken back."""

from __future__ import annotations

import numpy as np
import pytest

from alhvr.inference.windows import batches, blend, gaussian, pad, starts, tile


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


def test_importances_of_all_windows_sum_to_one_at_every_voxel():
    total = np.zeros((40, 50, 33))
    for window in tile(total.shape, (16, 32, 16), 0.5):
        total[window.place] += window.importance
    np.testing.assert_allclose(total, 1, atol=1e-6)


def test_blending_constant_windows_gives_that_constant():
    total = np.zeros((2, 40, 50), np.float32)
    for window in tile((40, 50), (16, 32), 0.5):
        blend(total, np.full((2, 16, 32), 0.25, np.float32), window)
    np.testing.assert_allclose(total, 0.25, atol=1e-6)


def test_a_window_counts_most_at_its_centre():
    window = tile((64, 64), (32, 32), 0.5)[4]
    importance = window.importance
    assert importance[15, 15] > 10 * importance[0, 0] > 0


def test_a_single_window_counts_fully():
    (window,) = tile((32, 48), (32, 48), 0.5)
    assert window.importance is None


def test_slices_that_go_through_whole_are_one_window_each():
    windows = tile((5, 32, 48), (1, 32, 48), 0.5)
    assert [window.place[0].start for window in windows] == [0, 1, 2, 3, 4]
    assert all(window.importance is None for window in windows)


def test_gaussian_is_symmetric_and_never_zero():
    weights = gaussian(17)
    np.testing.assert_array_equal(weights, weights[::-1])
    assert weights[8] == 1
    assert weights.min() > 1e-5


def test_padding_centres_the_scan_in_its_minimum_and_says_where_it_lies():
    scan = np.arange(1.0, 25.0).reshape(2, 3, 4)
    padded = pad(scan, (5, 3, 8))
    assert padded.array.shape == (5, 3, 8)
    np.testing.assert_array_equal(padded.array[padded.inside], scan)
    assert padded.array[0].max() == scan.min()


def test_a_large_scan_is_not_padded():
    scan = np.ones((4, 4))
    assert pad(scan, (2, 4)).array is scan


def test_batches_hold_every_window_once_in_order():
    windows = tile((7, 16, 16), (1, 16, 16), 0.0)
    groups = list(batches(windows, 3))
    assert [len(group) for group in groups] == [3, 3, 1]
    assert sum(groups, []) == windows
