"""The largest component of each class."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from alhvr.inference import postprocess
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


def _kept_whole(array: np.ndarray, index: int) -> np.ndarray:
    """Where class ``index`` stays when its components are looked for in the whole array."""
    labels, _ = ndimage.label(array == index, np.ones((3, 3, 3)))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == sizes.argmax()


@pytest.mark.parametrize("slab_voxels", [1, 500, 10**6])
@pytest.mark.parametrize("seed", range(12))
def test_slabs_keep_what_the_whole_array_would_keep(seed: int, slab_voxels: int, monkeypatch):
    monkeypatch.setattr(postprocess, "SLAB_VOXELS", slab_voxels)
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 24, 3))
    array = rng.choice(4, shape, p=[0.7, *np.repeat(0.1, 3)]).astype(np.uint8) * (rng.random(shape) < rng.uniform(0, 1))
    kept = keep_largest_component(array, (1, 3))
    for index in (1, 3):
        np.testing.assert_array_equal(kept == index, _kept_whole(array, index) if (array == index).any() else False)
    np.testing.assert_array_equal(kept == 2, array == 2)


@pytest.mark.parametrize("slab_voxels", [1, 10**6])
def test_of_two_that_are_equally_large_the_first_stays(slab_voxels: int, monkeypatch):
    monkeypatch.setattr(postprocess, "SLAB_VOXELS", slab_voxels)
    array = np.zeros((9, 6, 6), np.uint8)
    array[1:4, 4, 4] = array[2:5, 1, 1] = array[6:9, 0, 0] = 1
    assert np.argwhere(keep_largest_component(array, (1,)))[:, 1:].tolist() == [[4, 4]] * 3


def test_a_component_that_winds_through_many_slabs_is_one(monkeypatch):
    monkeypatch.setattr(postprocess, "SLAB_VOXELS", 1)
    array = np.zeros((40, 9, 9), np.uint8)
    array[:, ::2, 0] = 1
    array[0, :4, 0] = array[-1, 2:, 0] = 1
    array[20, 4, 8] = 1
    assert keep_largest_component(array, (1,)).sum() == array.sum() - 1
