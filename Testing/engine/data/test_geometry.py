"""Geometry: a known point keeps its place on any grid."""

from __future__ import annotations

import math

import numpy as np
import pytest
import SimpleITK as sitk

from alhvr.core.errors import UserError
from alhvr.data.geometry import Geometry

IDENTITY = (1.0, 0, 0, 0, 1, 0, 0, 0, 1)
FLIPPED = (-1.0, 0, 0, 0, -1, 0, 0, 0, 1)
C, S = math.cos(math.radians(25)), math.sin(math.radians(25))
OBLIQUE = (C, -S, 0, S * C, C * C, -S, S * S, C * S, C)
SHEARED = (1.0, S, 0, 0, C, 0, 0, 0, 1)
GRIDS = {
    "identity": Geometry((4, 5, 6), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), IDENTITY),
    "flipped": Geometry((4, 5, 6), (1.0, 1.0, 1.0), (3.0, -4.0, 5.0), FLIPPED),
    "permuted": Geometry((4, 5, 6), (0.5, 0.7, 2.0), (3.0, -4.0, 5.0), (0.0, 0, 1, 1, 0, 0, 0, -1, 0)),
    "oblique anisotropic": Geometry((4, 5, 6), (0.4, 0.9, 5.0), (-120.5, 33.0, 7.0), OBLIQUE),
    "sheared": Geometry((4, 5, 6), (1.2, 0.8, 3.0), (10.0, 20.0, 30.0), SHEARED),
}


@pytest.fixture(params=GRIDS, name="grid")
def _grid(request: pytest.FixtureRequest) -> Geometry:
    return GRIDS[request.param]


def test_index_to_lps_agrees_with_itk(grid: Geometry) -> None:
    image = sitk.Image(grid.size_ijk, sitk.sitkUInt8)
    grid.stamp(image)
    index = (1.5, 2.25, 4.75)
    np.testing.assert_allclose(grid.index_to_lps([index])[0], image.TransformContinuousIndexToPhysicalPoint(index))


def test_lps_to_index_is_the_inverse(grid: Geometry) -> None:
    points = np.random.default_rng(0).uniform(-3, 9, (20, 3))
    np.testing.assert_allclose(grid.lps_to_index(grid.index_to_lps(points)), points, atol=1e-9)


def test_a_stamped_image_gives_the_same_geometry_back(grid: Geometry) -> None:
    image = sitk.Image(grid.size_ijk, sitk.sitkFloat32)
    grid.stamp(image)
    assert Geometry.from_sitk(image) == grid


def test_an_affine_gives_the_same_geometry_back(grid: Geometry) -> None:
    assert Geometry.from_affine(grid.size_ijk, grid.affine_lps).difference(grid, tolerance_mm=1e-9) == ""


def test_shape_is_slowest_axis_first() -> None:
    assert GRIDS["identity"].shape_kji == (6, 5, 4)


def test_a_flipped_axis_moves_against_lps() -> None:
    np.testing.assert_allclose(GRIDS["flipped"].index_to_lps([[1, 2, 3]]), [[2, -6, 8]])


@pytest.mark.parametrize(("name", "nominal"), [("identity", True), ("flipped", True), ("permuted", False)])
def test_one_millimetre_on_aligned_axes_is_nominal(name: str, nominal: bool) -> None:
    assert GRIDS[name].nominal is nominal


def test_one_millimetre_on_an_oblique_grid_is_not_nominal() -> None:
    assert not Geometry((4, 5, 6), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), OBLIQUE).nominal


def test_voxel_volume_is_in_millilitres() -> None:
    assert GRIDS["oblique anisotropic"].voxel_volume_ml == pytest.approx(0.4 * 0.9 * 5.0 / 1000)


def test_the_volume_of_a_sheared_voxel_is_smaller_than_its_edges_suggest() -> None:
    assert GRIDS["sheared"].voxel_volume_ml == pytest.approx(1.2 * 0.8 * 3.0 * C / 1000)


def test_equal_grids_have_no_difference(grid: Geometry) -> None:
    nearly = Geometry(grid.size_ijk, grid.spacing_mm, tuple(o + 0.001 for o in grid.origin_lps_mm), grid.direction)
    assert grid.difference(nearly) == ""


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("size_ijk", (4, 5, 7), "size (4, 5, 6) against (4, 5, 7)"),
        ("spacing_mm", (1.0, 1.0, 1.5), "spacing (1, 1, 1) against (1, 1, 1.5) mm"),
        ("origin_lps_mm", (0.0, 0.5, 0.0), "origin (0, 0, 0) against (0, 0.5, 0) mm"),
        ("direction", FLIPPED, "direction (1, 0, 0, 0, 1, 0, 0, 0, 1) against (-1, 0"),
    ],
)
def test_a_difference_names_both_values(field: str, value: tuple, words: str) -> None:
    grid = GRIDS["identity"]
    other = Geometry(**{**{f: getattr(grid, f) for f in grid.__dataclass_fields__}, field: value})
    assert words in grid.difference(other)


def test_a_mirrored_one_voxel_axis_is_still_a_difference() -> None:
    flat = Geometry((4, 5, 1), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), IDENTITY)
    thick = Geometry((4, 5, 1), (1.0, 1.0, 5.0), (0.0, 0.0, 0.0), IDENTITY)
    assert "spacing" in flat.difference(thick)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size_ijk", (4, 0, 6)),
        ("spacing_mm", (1.0, 0.0, 1.0)),
        ("origin_lps_mm", (float("nan"), 0.0, 0.0)),
        ("direction", (1.0, 0, 0, 1, 0, 0, 0, 0, 1)),
    ],
)
def test_an_impossible_grid_is_refused(field: str, value: tuple) -> None:
    grid = GRIDS["identity"]
    with pytest.raises(UserError):
        Geometry(**{**{f: getattr(grid, f) for f in grid.__dataclass_fields__}, field: value})


def test_stamping_an_image_of_another_size_is_refused() -> None:
    with pytest.raises(UserError, match="voxels"):
        GRIDS["identity"].stamp(sitk.Image((6, 5, 4), sitk.sitkUInt8))


@pytest.mark.parametrize(("spacing", "origin"), [
    ((1e-9, 1.0, 1.0), (0.0, 0.0, 0.0)), ((1.0, 1.0, 3653.5), (0.0, 0.0, 0.0)), ((1.0, 1.0, 1.0), (0.0, 1e30, 0.0))])
def test_a_grid_that_no_patient_fits_is_refused(
        spacing: tuple[float, float, float], origin: tuple[float, float, float]) -> None:
    with pytest.raises(UserError, match="accepted"):
        Geometry((4, 5, 6), spacing, origin, (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))
