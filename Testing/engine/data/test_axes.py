"""Axes: permutation, flips and the slice axis, on any grid."""

from __future__ import annotations

import numpy as np
import pytest
from grids import lps_of_voxels, random_geometry

from alhvr.core.errors import UserError
from alhvr.data.axes import Arrangement, AxisTransform, arrangement, slice_axis
from alhvr.data.geometry import Geometry

IDENTITY = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)


def _grid(size_ijk: tuple[int, int, int], spacing_mm: tuple[float, float, float],
          direction: tuple[float, ...] = IDENTITY) -> Geometry:
    return Geometry(size_ijk, spacing_mm, (0.0, 0.0, 0.0), direction)


@pytest.mark.parametrize(("size_ijk", "spacing_mm", "axis"), [
    ((9, 9, 40), (1.0, 1.0, 5.0), 0),
    ((9, 9, 40), (1.0, 5.0, 1.0), 1),
    ((40, 9, 9), (5.0, 1.0, 1.0), 2),
    ((30, 8, 20), (1.0, 1.1, 1.0), 1),
    ((20, 20, 20), (1.0, 1.0, 1.0), 0),
    ((8, 8, 20), (1.0, 1.0, 1.0), 1),
])
def test_the_slice_axis_is_the_thickest_then_the_shortest_then_k(
        size_ijk: tuple[int, int, int], spacing_mm: tuple[float, float, float], axis: int) -> None:
    assert slice_axis(_grid(size_ijk, spacing_mm)) == axis


@pytest.mark.parametrize("seed", range(30))
def test_arranged_axes_run_to_left_posterior_superior(seed: int) -> None:
    geometry = random_geometry(np.random.default_rng(seed))
    arranged = arrangement(geometry, 3)
    transform = AxisTransform(geometry.shape_kji, arranged, arranged.pick(geometry.shape_kji))
    cosines = np.reshape(transform.prepared_geometry(geometry).direction, (3, 3))
    assert (np.diag(cosines) > 0).all()


def test_oblique_axes_go_to_the_closest_direction() -> None:
    turned = np.deg2rad(30)
    direction = (np.sin(turned), -np.cos(turned), 0.0, np.cos(turned), np.sin(turned), 0.0, 0.0, 0.0, 1.0)
    assert arrangement(_grid((4, 5, 6), (1.0, 1.0, 1.0), direction), 3) == Arrangement((0, 2, 1), (False, False, True))


def test_sagittal_slices_lie_with_posterior_along_rows_and_superior_down() -> None:
    sagittal = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)
    arranged = arrangement(_grid((50, 60, 7), (1.0, 1.0, 6.0), sagittal), 2)
    assert arranged == Arrangement((0, 1, 2), (False, True, False))


@pytest.mark.parametrize("seed", range(30))
def test_points_go_to_the_source_and_back_and_agree_with_the_geometry(seed: int) -> None:
    rng = np.random.default_rng(seed)
    geometry = random_geometry(rng)
    shape = tuple(int(n) for n in rng.integers(3, 30, 3))
    transform = AxisTransform(geometry.shape_kji, arrangement(geometry, 2), shape)
    points = rng.uniform(-5, 30, (20, 3))
    np.testing.assert_allclose(transform.to_prepared(transform.to_source(points)), points, atol=1e-9)
    in_patient = transform.prepared_geometry(geometry).index_to_lps(points[:, ::-1])
    np.testing.assert_allclose(geometry.index_to_lps(transform.to_source(points)[:, ::-1]), in_patient, atol=1e-9)


@pytest.mark.parametrize("seed", range(10))
def test_arranging_moves_each_voxel_with_its_place(seed: int) -> None:
    geometry = random_geometry(np.random.default_rng(seed), 3, 9)
    arranged = arrangement(geometry, 3)
    transform = AxisTransform(geometry.shape_kji, arranged, arranged.pick(geometry.shape_kji))
    moved = [transform.arrange(axis) for axis in lps_of_voxels(geometry)]
    np.testing.assert_allclose(moved, lps_of_voxels(transform.prepared_geometry(geometry)), atol=1e-9)


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1)])
def test_blocks_of_planes_hold_every_plane_once_in_order(order: tuple[int, int, int]) -> None:
    array = np.random.default_rng(0).normal(size=(20, 18, 35))
    transform = AxisTransform(array.shape, Arrangement(order, (True, False, True)), (9, 9, 9))
    found = np.concatenate(list(transform.arranged_blocks(array)))
    assert found.shape == transform.arranged_shape
    np.testing.assert_array_equal(found, transform.arrange(array))


def test_an_array_of_another_shape_is_refused() -> None:
    transform = AxisTransform((2, 3, 4), Arrangement((0, 1, 2), (False, False, False)), (2, 3, 4))
    with pytest.raises(UserError, match=r"\(4, 3, 2\)"):
        transform.forward_label(np.zeros((4, 3, 2), np.uint8))
