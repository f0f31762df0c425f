"""The largest component of each class."""

from __future__ import annotations

import numpy as np

from alhvr.inference.postprocess import keep_largest_component


def _two_blobs() -> np.ndarray:
    """[6, 8, 8]: class 1 with 27 and 1 voxels, class 2 with 4 and 2 voxels."""
    array = np.zeros((6, 8, 8), np.uint8)
    array[0:3, 0:3, 0:3] = 1
    array[5, 7, 7] = 1
    array[4, 0, 0:4] = 2
    array[0, 7, 6:8] = 2
    return array


def test_only_the_largest_component_of_each_class_stays():
    array = _two_blobs()
    kept = keep_largest_component(array, (1, 2))
    assert (kept == 1).sum() == 27
    assert (kept == 2).sum() == 4
    assert kept[5, 7, 7] == 0


def test_classes_not_named_keep_all_components_and_the_input_stays():
    array = _two_blobs()
    kept = keep_largest_component(array, (1,))
    assert (kept == 2).sum() == 6
    assert (array == 1).sum() == 28


def test_voxels_that_share_a_corner_belong_together():
    array = np.zeros((3, 3, 3), np.uint8)
    array[0, 0, 0] = array[1, 1, 1] = array[2, 2, 2] = 1
    np.testing.assert_array_equal(keep_largest_component(array, (1,)), array)


def test_an_absent_class_is_no_problem():
    assert not keep_largest_component(np.zeros((2, 3, 4), np.uint8), (1, 2)).any()
