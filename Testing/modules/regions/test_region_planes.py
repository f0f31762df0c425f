"""The voxels of a plane: none that the plane passes through is missing, few more are there."""

from __future__ import annotations

import numpy as np
import pytest

SHAPE = (7, 12, 10)


@pytest.mark.parametrize("seed", range(12))
def test_every_voxel_that_a_point_of_the_plane_lies_in_is_found(seed: int) -> None:
    from ALHVRSegmentationLib.regions.live_update import voxels_on_plane

    generator = np.random.default_rng(seed)
    origin, along_x, along_y = generator.uniform(0, 7, 3), generator.normal(size=3), generator.normal(size=3)
    points = origin + generator.uniform(-20, 20, (200000, 2)) @ np.stack([along_x, along_y])
    voxels = np.floor(points + 0.5).astype(int)
    voxels = voxels[((voxels >= 0) & (voxels < SHAPE[::-1])).all(axis=1)]
    sampled = np.unique(np.ravel_multi_index(voxels[:, ::-1].T, SHAPE))
    found = voxels_on_plane(origin, along_x, along_y, SHAPE)
    assert len(np.unique(found)) == len(found)
    assert set(sampled) <= set(found)
    assert len(found) <= len(sampled) + 60


def test_a_plane_along_the_grid_takes_one_layer_and_between_two_layers_both() -> None:
    from ALHVRSegmentationLib.regions.live_update import voxels_on_plane

    whole = np.arange(np.prod(SHAPE)).reshape(SHAPE)
    middle = voxels_on_plane(np.array([0.3, 0.1, 4.2]), np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), SHAPE)
    assert sorted(middle) == list(whole[4].ravel())
    between = voxels_on_plane(np.array([2.5, 0, 0]), np.array([0, 2.0, 0]), np.array([0, 0, 0.1]), SHAPE)
    assert sorted(between) == sorted(whole[:, :, 2:4].ravel())


def test_planes_beside_the_grid_and_planes_without_direction_touch_nothing() -> None:
    from ALHVRSegmentationLib.regions.live_update import voxels_on_plane

    x, y = np.array([1.0, 0, 0]), np.array([0, 1.0, 0])
    assert len(voxels_on_plane(np.array([0, 0, 99.0]), x, y, SHAPE)) == 0
    assert len(voxels_on_plane(np.array([0, 0, 2.0]), x, x, SHAPE)) == 0
    assert len(voxels_on_plane(np.array([0, 0, np.nan]), x, y * np.nan, SHAPE)) == 0


def test_points_between_voxels_take_both_and_points_outside_none() -> None:
    from ALHVRSegmentationLib.regions.live_update import voxels_at_points

    points = np.array([[2.0, 3.0, 1.0], [2.5, 3.0, 1.0], [-4.0, 0, 0], [np.nan, 0, 0]])
    rows = [np.unravel_index(flat, SHAPE)[::-1] for flat in voxels_at_points(points, SHAPE)]
    assert [tuple(int(v) for v in row) for row in rows] == [(2, 3, 1), (3, 3, 1)]
