"""One class per voxel from probabilities, and the largest component of each class."""

from __future__ import annotations

import numpy as np

from alhvr.inference.postprocess import keep_largest_component, winning_class


def test_the_most_probable_class_wins_and_the_lower_index_wins_a_tie():
    probabilities = np.array([[0.5, 0.1, 0.3], [0.5, 0.2, 0.3], [0.0, 0.7, 0.4]], np.float32)[:, None, None]
    np.testing.assert_array_equal(winning_class(probabilities, np.copy)[0, 0], [0, 2, 2])


def test_the_winner_is_the_arg_max_of_restored_probabilities_for_many_classes():
    probabilities = np.random.default_rng(0).dirichlet(np.ones(6), (4, 5, 7)).astype(np.float32)
    moved = np.ascontiguousarray(np.moveaxis(probabilities, -1, 0))
    found = winning_class(moved, lambda values: np.repeat(values, 2, axis=0))
    np.testing.assert_array_equal(found, np.repeat(probabilities.argmax(axis=-1), 2, axis=0))


def test_a_class_that_can_win_nowhere_is_not_restored():
    probabilities = np.array([0.5, 0.2, 0.3], np.float32)[:, None, None, None]
    restored = []
    winning_class(probabilities, lambda values: restored.append(values.max()) or values)
    assert len(restored) == 1


def test_the_input_probabilities_are_not_changed():
    probabilities = np.array([0.2, 0.8], np.float32)[:, None, None, None]
    winning_class(probabilities, lambda values: values)
    assert probabilities[0, 0, 0, 0] == np.float32(0.2)


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
