"""Random changes of a patch: what moves, what must not, and that a draw can be repeated."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from monai.data import get_track_meta, set_track_meta

from alhvr.config import AugmentConfig
from alhvr.data.augment import Augmenter

NOTHING = AugmentConfig(mirror=False, rotate_degrees=0, scale=0, intensity=False)
SHUFFLE = AugmentConfig(mirror=True, quarter_turns=True, rotate_degrees=0, scale=0, intensity=False)
SPATIAL = AugmentConfig(intensity=False)


def ball(size: tuple[int, ...]) -> np.ndarray:
    """A solid ellipsoid off the centre, uint8 0 and 1."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in size), indexing="ij")
    return (sum((axis - 0.2) ** 2 for axis in axes) < 0.3).astype(np.uint8)


def noise(size: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(7).normal(size=(1, *size)).astype(np.float32)


def changes(augmenter: Augmenter, image: np.ndarray, label: np.ndarray | None, count: int = 12) -> list:
    return [augmenter(image, label, np.random.default_rng(seed)) for seed in range(count)]


@pytest.mark.parametrize("size", [(32, 48), (16, 32, 16)])
def test_the_same_generator_repeats_a_patch_bit_for_bit(size: tuple[int, ...]) -> None:
    augmenter = Augmenter(AugmentConfig(), len(size), size)
    image, label = noise(augmenter.field_size), ball(augmenter.field_size)
    first, again = changes(augmenter, image, label), changes(augmenter, image, label)
    pairs = list(zip(first, again, strict=True))
    assert all(np.array_equal(a.image, b.image) and np.array_equal(a.label, b.label) for a, b in pairs)
    assert len({a.image.tobytes() for a in first}) > 6


def test_a_patch_without_label_has_none_afterwards() -> None:
    augmenter = Augmenter(AugmentConfig(), 2, (32, 32))
    assert all(p.label is None for p in changes(augmenter, noise(augmenter.field_size), None))


@pytest.mark.parametrize("size", [(32, 48), (16, 32, 16)])
def test_all_channels_move_together(size: tuple[int, ...]) -> None:
    augmenter = Augmenter(SPATIAL, len(size), size)
    image = noise(augmenter.field_size)
    both, alone = (changes(augmenter, i, None) for i in (np.concatenate([image, 2 - image]), image))
    for two, one in zip(both, alone, strict=True):
        assert two.image.shape == (2, *size) and np.array_equal(two.image[:1], one.image)
        np.testing.assert_allclose(two.image[1], 2 - one.image[0], atol=1e-5)


@pytest.mark.parametrize("size", [(64, 48), (32, 48, 32)])
def test_image_and_label_move_together(size: tuple[int, ...]) -> None:
    augmenter = Augmenter(SPATIAL, len(size), size)
    label = ball(augmenter.field_size)
    for patch in changes(augmenter, label[np.newaxis].astype(np.float32), label):
        assert patch.label.shape == size and patch.image.shape == (1, *size)
        assert np.mean((patch.image[0] > 0.5) == patch.label) > 0.99
        assert 0 < patch.label.sum() < patch.label.size


def test_an_augmenter_without_changes_returns_the_voxels_untouched() -> None:
    augmenter = Augmenter(NOTHING, 2, (32, 48))
    image, label = noise((32, 48)), ball((32, 48))
    patch = augmenter(image, label, np.random.default_rng(0))
    assert augmenter.margin == (0, 0)
    assert np.array_equal(patch.image, image) and np.array_equal(patch.label, label)


@pytest.mark.parametrize("size", [(32, 32), (32, 48), (16, 32, 48)])
def test_mirrors_and_quarter_turns_only_rearrange_voxels(size: tuple[int, ...]) -> None:
    augmenter = Augmenter(SHUFFLE, len(size), size)
    image, label = noise(size), ball(size)
    for patch in changes(augmenter, image, label):
        assert patch.image.shape == image.shape
        assert np.array_equal(np.sort(patch.image, axis=None), np.sort(image, axis=None))


def test_quarter_turns_of_a_square_reach_all_eight_positions() -> None:
    image = np.arange(256, dtype=np.float32).reshape(1, 16, 16)
    seen = {p.image.tobytes() for p in changes(Augmenter(SHUFFLE, 2, (16, 16)), image, None, count=100)}
    assert len(seen) == 8


def test_a_turned_patch_finds_real_voxels_in_its_corners() -> None:
    """A linear ramp stays linear under rotation and scaling unless border voxels were repeated."""
    augmenter = Augmenter(AugmentConfig(mirror=False, rotate_degrees=25, scale=0.2, intensity=False), 2, (48, 32))
    rows, columns = np.indices(augmenter.field_size)
    ramp = (3 * rows - 2 * columns).astype(np.float32)[np.newaxis]
    design = np.stack([*(axis.ravel() for axis in np.indices((48, 32))), np.ones(48 * 32)], axis=1)
    for patch in changes(augmenter, ramp, None):
        values = patch.image.ravel()
        fitted = design @ np.linalg.lstsq(design, values, rcond=None)[0]
        assert np.abs(values - fitted).max() < 0.01


def test_a_flat_patch_is_never_tilted_out_of_its_slices() -> None:
    augmenter = Augmenter(AugmentConfig(mirror=False, scale=0, intensity=False), 3, (16, 64, 64))
    slices = np.arange(augmenter.field_size[0], dtype=np.float32)[np.newaxis, :, np.newaxis, np.newaxis]
    image = np.broadcast_to(slices, (1, *augmenter.field_size))
    for patch in changes(augmenter, image, None):
        assert np.ptp(patch.image, axis=(2, 3)).max() < 1e-3


def test_intensity_changes_touch_the_image_only() -> None:
    augmenter = Augmenter(AugmentConfig(mirror=False, rotate_degrees=0, scale=0), 2, (32, 32))
    image, label = noise((32, 32)) - 5, ball((32, 32))
    patches = changes(augmenter, image, label, count=40)
    assert all(np.array_equal(p.label, label) and np.isfinite(p.image).all() for p in patches)
    changed = sum(not np.array_equal(p.image, image) for p in patches)
    assert 10 <= changed < 40


def test_a_constant_patch_stays_finite() -> None:
    augmenter = Augmenter(AugmentConfig(), 2, (32, 32))
    image = np.full((1, 32, 32), -1.5, dtype=np.float32)
    assert all(np.isfinite(p.image).all() for p in changes(augmenter, image, None, count=40))


def test_the_result_does_not_depend_on_the_number_of_threads() -> None:
    augmenter = Augmenter(AugmentConfig(), 3, (48, 48, 48))
    image = noise(augmenter.field_size)
    before = torch.get_num_threads()
    results = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        results.append(changes(augmenter, image, None))
    torch.set_num_threads(before)
    assert all(np.array_equal(a.image, b.image) for a, b in zip(*results, strict=True))


def test_the_global_setting_of_monai_is_left_as_it_was() -> None:
    before = get_track_meta()
    set_track_meta(True)
    patch = Augmenter(AugmentConfig(), 2, (32, 32))(noise((32, 32)), None, np.random.default_rng(0))
    assert get_track_meta() is True and type(patch.image) is np.ndarray
    set_track_meta(before)


def test_a_patch_of_another_size_is_refused() -> None:
    augmenter = Augmenter(AugmentConfig(), 2, (32, 32))
    with pytest.raises(ValueError, match="shape"):
        augmenter(noise((40, 32)), None, np.random.default_rng(0))
    with pytest.raises(ValueError, match="label"):
        augmenter(noise((32, 32)), ball((32, 48)), np.random.default_rng(0))


RELEASED = AugmentConfig(mirror=True, quarter_turns=True, rotate_degrees=20, scale=0, intensity=False, law="released")


def eight_positions(image: np.ndarray) -> list[bytes]:
    """``image`` [n, n] turned by quarters, and each of these mirrored."""
    turned = [np.rot90(image, k) for k in range(4)]
    return [np.ascontiguousarray(p).tobytes() for t in turned for p in (t, np.flip(t, 0))]


def test_the_released_law_turns_and_mirrors_half_of_the_slices_rotates_a_quarter_and_leaves_a_quarter() -> None:
    augmenter = Augmenter(RELEASED, 2, (16, 16))
    image = noise((16, 16))
    still, positions = image[0].tobytes(), set(eight_positions(image[0]))
    found = [patch.image[0].tobytes() for patch in changes(augmenter, image, None, 400)]
    rotated = sum(one not in positions for one in found)
    as_it_was = sum(one == still for one in found)
    assert 60 < rotated < 140  # a quarter
    assert 80 < as_it_was < 160  # a quarter, and a sixteenth that is turned and mirrored back: 125 of 400


def test_the_released_rotation_makes_no_new_intensities() -> None:
    augmenter = Augmenter(RELEASED, 2, (16, 16))
    image, label = noise((16, 16)), ball((16, 16))
    for patch in changes(augmenter, image, label, 40):
        assert np.isin(patch.image, image).all() and np.isin(patch.label, label).all()


def test_the_released_law_always_turns_volumes_in_their_first_two_axes() -> None:
    augmenter = Augmenter(RELEASED, 3, (16, 16, 32))
    image = noise((16, 16, 32))
    lines = {line.tobytes() for line in image[0].reshape(-1, 32)}
    for patch in changes(augmenter, image, None, 8):
        assert {line.tobytes() for line in patch.image[0].reshape(-1, 32)} == lines
