"""Restoring: classes and confidences plane by plane are those of whole arrays, on any grid."""

from __future__ import annotations

import numpy as np
import pytest
from grids import random_geometry, random_plan
from whole_volume import restore_whole

from alhvr.data.axes import Arrangement, AxisTransform
from alhvr.data.preprocess import axis_transform
from alhvr.formats.region_tables import quantize
from alhvr.inference import output_grid
from alhvr.inference.output_grid import ClassMap, ConfidenceMap

SAME = Arrangement((0, 1, 2), (False, False, False))


def _random_transform(seed: int) -> AxisTransform:
    rng = np.random.default_rng(seed)
    return axis_transform(random_geometry(rng, 1, 34), random_plan(rng))


def _blobs(seed: int, shape: tuple[int, ...], n_classes: int, sharpness: float) -> np.ndarray:
    """[C, *shape] of probabilities that sum to 1: smooth blobs of each class in a sea of the first."""
    rng = np.random.default_rng(seed)
    grid = np.indices(shape)
    logits = [np.full(shape, rng.uniform(-1, 1))]
    for _ in range(n_classes - 1):
        centre, width = rng.uniform(0, 1, 3) * shape, rng.uniform(2, 9)
        distance = sum((axis - c) ** 2 for axis, c in zip(grid, centre, strict=True)) / width**2
        logits.append(3 - distance + 0.3 * rng.normal(size=shape))
    values = np.exp(sharpness * np.array(logits))
    return (values / values.sum(axis=0)).astype(np.float32)


def _classes(transform: AxisTransform, probabilities: np.ndarray) -> np.ndarray:
    found = ClassMap(transform, np.arange(len(probabilities), dtype=np.uint8))
    for plane in np.moveaxis(probabilities, 1, 0):
        found.add(plane)
    return found.array


def _classes_of_whole(transform: AxisTransform, probabilities: np.ndarray) -> np.ndarray:
    return np.stack([restore_whole(values, transform) for values in probabilities]).argmax(axis=0)


@pytest.mark.parametrize("sharpness", [0.05, 1.0, 5.0])
@pytest.mark.parametrize("seed", range(30))
def test_the_winner_is_the_arg_max_of_whole_restored_probabilities(seed: int, sharpness: float) -> None:
    transform = _random_transform(seed)
    probabilities = _blobs(seed, transform.shape, 2 + seed % 5, sharpness)
    np.testing.assert_array_equal(_classes(transform, probabilities), _classes_of_whole(transform, probabilities))


def test_blobs_lie_in_both_kinds_of_planes_that_the_shortcuts_tell_apart() -> None:
    found = [_classes(_random_transform(seed), _blobs(seed, _random_transform(seed).shape, 2 + seed % 5, 5.0))
             for seed in range(30)]
    planes = [plane for array in found for plane in array]
    assert 20 < sum(not plane.any() for plane in planes) < len(planes) - 20


@pytest.mark.parametrize("seed", range(30))
def test_confidences_are_restored_as_whole_arrays_are(seed: int) -> None:
    transform = _random_transform(seed)
    values = np.random.default_rng(seed).uniform(0, 1, transform.shape).astype(np.float32)
    found = ConfidenceMap(transform)
    for plane in values:
        found.add(plane[None])
    np.testing.assert_array_equal(found.array, quantize(restore_whole(values, transform)))


def test_the_lower_index_wins_a_tie() -> None:
    probabilities = np.array([[0.5, 0.1, 0.3], [0.5, 0.2, 0.3], [0.0, 0.7, 0.4]], np.float32)[:, None, None]
    np.testing.assert_array_equal(_classes(AxisTransform((1, 1, 3), SAME, (1, 1, 3)), probabilities)[0, 0], [0, 2, 2])


def test_what_is_written_for_a_class_may_be_any_value() -> None:
    found = ClassMap(AxisTransform((1, 1, 2), SAME, (1, 1, 2)), np.array([0, 700], np.uint16))
    found.add(np.array([[[0.9, 0.2]], [[0.1, 0.8]]], np.float32))
    assert (found.array.dtype, found.array.tolist()) == (np.uint16, [[[0, 700]]])


def test_a_class_that_can_win_nowhere_is_not_interpolated(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(output_grid, "apply_axes", lambda steps, plane: seen.append(plane.max()) or plane)
    probabilities = np.broadcast_to(np.array([0.4, 0.1, 0.3, 0.2], np.float32)[:, None, None, None], (4, 1, 2, 2))
    _classes(AxisTransform((1, 2, 2), SAME, (1, 2, 2)), probabilities)
    assert set(seen) == {np.float32(0.4), np.float32(0.3)}


def test_the_planes_given_are_not_changed() -> None:
    transform = _random_transform(1)
    probabilities = _blobs(1, transform.shape, 4, 1.0)
    before = probabilities.copy()
    _classes(transform, probabilities)
    np.testing.assert_array_equal(probabilities, before)
