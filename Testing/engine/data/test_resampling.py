"""Resample: exact where it must be, against an independent resampler elsewhere."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from alhvr.data.resampling import rescale, rescale_label


def _with_itk(array: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    spacing = [old / new for old, new in zip(array.shape[::-1], shape[::-1], strict=True)]
    origin = [(s - 1) / 2 for s in spacing]
    direction = (1.0, 0, 0, 0, 1, 0, 0, 0, 1)
    resampled = sitk.Resample(sitk.GetImageFromArray(array), shape[::-1], sitk.Transform(), sitk.sitkLinear, origin,
                              spacing, direction, 0.0, sitk.sitkFloat32, True)
    return sitk.GetArrayFromImage(resampled)


@pytest.mark.parametrize("seed", range(20))
def test_linear_resampling_agrees_with_itk_up_to_the_borders(seed: int) -> None:
    rng = np.random.default_rng(seed)
    old, new = (tuple(int(n) for n in rng.integers(2, 25, 3)) for _ in range(2))
    array = rng.normal(size=old).astype(np.float32)
    np.testing.assert_allclose(rescale(array, new), _with_itk(array, new), atol=1e-4)


def test_equal_size_returns_the_very_same_voxels() -> None:
    array = np.random.default_rng(0).normal(size=(3, 4, 5)).astype(np.float32)
    assert rescale(array, (3, 4, 5)) is array


@pytest.mark.parametrize("shape", [(1, 1, 1), (7, 3, 50), (40, 40, 40)])
def test_a_constant_stays_exactly_constant(shape: tuple[int, int, int]) -> None:
    array = np.full((9, 1, 13), 0.3, np.float32)
    assert (rescale(array, shape) == np.float32(0.3)).all()


@pytest.mark.parametrize("axis", range(3))
def test_smoothing_removes_detail_that_would_fold(axis: int) -> None:
    checkered = np.moveaxis(np.broadcast_to(np.arange(40) % 2, (4, 5, 40)), 2, axis).astype(np.float32)
    shape = tuple(n // 3 if a == axis else n for a, n in enumerate(checkered.shape))
    smooth, plain = rescale(checkered, shape, smooth=True), rescale(checkered, shape)
    assert smooth.std() < 0.05 < 0.2 < plain.std()


@pytest.mark.parametrize("axis", range(3))
def test_smoothing_shifts_nothing(axis: int) -> None:
    line = np.exp(-0.5 * ((np.arange(60) - 27.3) / 4) ** 2)
    array = np.moveaxis(np.broadcast_to(line, (3, 4, 60)), 2, axis).astype(np.float32)
    shape = tuple(23 if a == axis else n for a, n in enumerate(array.shape))
    small = np.moveaxis(rescale(array, shape, smooth=True), axis, 2)[0, 0]
    centre = (np.arange(23) * small).sum() / small.sum()
    assert (centre + 0.5) * 60 / 23 - 0.5 == pytest.approx(27.3, abs=0.02)


@pytest.mark.parametrize("shape", [(20, 20, 20), (9, 14, 31), (40, 20, 11)])
def test_the_label_is_the_largest_share_of_all_classes(shape: tuple[int, int, int]) -> None:
    label = np.random.default_rng(1).integers(0, 4, (20, 20, 20)).astype(np.uint8)
    label[5:15, 5:15, 5:15] = 3
    shares = np.stack([rescale((label == c).astype(np.float32), shape, smooth=True) for c in range(4)])
    ordered = np.sort(shares, axis=0)
    clear = ordered[-1] - ordered[-2] > 1e-4
    np.testing.assert_array_equal(rescale_label(label, shape)[clear], shares.argmax(axis=0)[clear])


def test_a_tie_goes_to_the_background() -> None:
    label = np.array([0, 5], np.uint8).reshape(1, 1, 2)
    assert rescale_label(label, (1, 1, 1)).item() == 0


def test_a_label_without_background_keeps_its_values() -> None:
    label = np.array([3, 3, 7, 7], np.uint8).reshape(1, 1, 4)
    assert rescale_label(label, (1, 1, 2)).ravel().tolist() == [3, 7]


def test_a_label_of_one_value_stays_so() -> None:
    assert (rescale_label(np.full((4, 4, 4), 2, np.uint8), (3, 5, 9)) == 2).all()
