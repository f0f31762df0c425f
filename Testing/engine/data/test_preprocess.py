"""Preprocess: geometry is sacred; a known point comes back to its voxel from any grid."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from grids import lps_of_voxels, plan_of, random_geometry, random_plan, scan_of
from whole_volume import prepare_whole, restore_by_planes, restore_whole

from alhvr.core.errors import UserError
from alhvr.data import preprocess
from alhvr.data.geometry import Geometry
from alhvr.data.plan import ChannelPlan, Normalization
from alhvr.data.preprocess import PreparedPlanes, axis_transform, prepare, prepare_label

SEEDS = range(40)


def _interior(geometry: Geometry, within: Geometry, margin: float) -> np.ndarray:
    """Boolean [K, J, I]: voxels of ``geometry`` that lie ``margin`` voxels of ``within`` or more inside it."""
    index = within.lps_to_index(lps_of_voxels(geometry).reshape(3, -1).T)
    inside = ((index >= margin) & (index <= np.array(within.size_ijk) - 1 - margin)).all(axis=1)
    return inside.reshape(geometry.shape_kji)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_prepared_voxel_lies_where_its_geometry_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    geometry, plan = random_geometry(rng, 32, 40), random_plan(rng)
    for ramp_mm in range(3):
        prepared = prepare(scan_of(lps_of_voxels(geometry)[ramp_mm], geometry), plan)
        inside = _interior(prepared.geometry, geometry, 13.0)
        expected_mm = lps_of_voxels(prepared.geometry)[ramp_mm]
        np.testing.assert_allclose(prepared.array[0][inside], expected_mm[inside], atol=2e-3)
        assert inside.any()


@pytest.mark.parametrize("seed", SEEDS)
def test_every_restored_voxel_lies_where_the_scan_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    geometry, plan = random_geometry(rng), random_plan(rng)
    prepared = prepare(scan_of(rng.normal(size=geometry.shape_kji), geometry), plan)
    inside = _interior(geometry, prepared.geometry, 0.0)
    for ramp_mm in range(3):
        restored = restore_by_planes(lps_of_voxels(prepared.geometry)[ramp_mm], prepared.transform)
        np.testing.assert_allclose(restored[inside], lps_of_voxels(geometry)[ramp_mm][inside], atol=2e-3)
    assert inside.any()


@pytest.mark.parametrize("seed", SEEDS)
def test_the_centroid_of_a_blob_survives_there_and_back(seed: int) -> None:
    rng = np.random.default_rng(seed)
    geometry, plan = random_geometry(rng, 36, 48), random_plan(rng)
    transform = axis_transform(geometry, plan)
    coarser = max(1.0, *np.divide(transform.arrangement.pick(geometry.shape_kji), transform.shape))
    centre = np.array(geometry.shape_kji) / 2 + rng.uniform(-1, 1, 3)
    grid = np.indices(geometry.shape_kji)
    blob = np.exp(-0.5 * sum((axis - c) ** 2 for axis, c in zip(grid, centre, strict=True)) / (1.5 * coarser) ** 2)
    prepared = prepare(scan_of(blob, geometry), plan)
    back = restore_by_planes(prepared.array[0], prepared.transform)
    shift = [(grid[a] * back).sum() / back.sum() - (grid[a] * blob).sum() / blob.sum() for a in range(3)]
    assert np.abs(shift).max() < 0.05


@pytest.mark.parametrize("seed", SEEDS)
def test_restoring_ones_gives_ones_everywhere(seed: int) -> None:
    rng = np.random.default_rng(seed)
    geometry, plan = random_geometry(rng, 1, 20), random_plan(rng)
    prepared = prepare(scan_of(np.zeros(geometry.shape_kji), geometry), plan)
    restored = restore_by_planes(np.ones_like(prepared.array[0]), prepared.transform)
    assert restored.shape == geometry.shape_kji and (restored == 1).all()


@pytest.mark.parametrize("seed", SEEDS)
def test_untouched_axes_come_back_bit_by_bit(seed: int) -> None:
    rng = np.random.default_rng(seed)
    geometry = random_geometry(rng, 1, 12)
    scan = scan_of(rng.normal(size=geometry.shape_kji), geometry)
    prepared = prepare(scan, plan_of(int(rng.integers(2, 4))))
    np.testing.assert_array_equal(restore_by_planes(prepared.array[0], prepared.transform), scan.array)


@pytest.mark.parametrize("seed", SEEDS)
def test_planes_that_arrive_one_by_one_are_resampled_as_whole_arrays_are(seed: int) -> None:
    rng = np.random.default_rng(seed)
    geometry, plan = random_geometry(rng, 1, 50), random_plan(rng)
    scan = scan_of(rng.normal(size=geometry.shape_kji), geometry)
    prepared = prepare(scan, plan)
    np.testing.assert_allclose(prepared.array[0], prepare_whole(scan, plan), rtol=0, atol=2e-6)
    restored = restore_by_planes(prepared.array[0], prepared.transform)
    np.testing.assert_array_equal(restored, restore_whole(prepared.array[0], prepared.transform))


@pytest.mark.parametrize("kept_bytes", [0, 10**9])
@pytest.mark.parametrize("seed", range(6))
def test_the_smallest_prepared_value_is_known_before_the_planes_and_they_come_all_the_same(
        seed: int, kept_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preprocess, "KEPT_BYTES", kept_bytes)
    rng = np.random.default_rng(seed)
    geometry, plan = random_geometry(rng, 8, 30), (plan_of(), random_plan(rng))[seed % 2]
    scan = scan_of(rng.normal(size=geometry.shape_kji), geometry)
    planes, expected = PreparedPlanes(scan, plan), prepare(scan, plan).array
    assert planes.lowest() == expected.min()
    np.testing.assert_array_equal(np.stack(list(planes), axis=1), expected)


@pytest.mark.parametrize("seed", range(6))
def test_each_channel_is_prepared_as_it_would_be_alone(seed: int) -> None:
    rng = np.random.default_rng(seed)
    geometry, plan = random_geometry(rng, 8, 30), (plan_of(), random_plan(rng))[seed % 2]
    rules = [plan.normalization, Normalization("percentile"), Normalization("ct", -5.0, 5.0, 1.0, 2.0)]
    scan = scan_of(rng.normal(size=geometry.shape_kji), geometry)
    scan = replace(scan, more=(scan.array[::-1] * 7, rng.normal(3, 2, geometry.shape_kji).astype(np.float32)))
    together = replace(plan, channels=tuple(ChannelPlan(f"{n}", plan.modality, rule) for n, rule in enumerate(rules)))
    alone = [prepare(replace(scan, array=array, more=()), replace(plan, normalization=rule)).array
             for array, rule in zip(scan.channels, rules, strict=True)]
    np.testing.assert_array_equal(prepare(scan, together).array, np.concatenate(alone))
    assert PreparedPlanes(scan, together).lowest().tolist() == [array.min() for array in alone]


def test_another_number_of_channels_than_the_plan_has_is_refused_with_their_names() -> None:
    geometry = random_geometry(np.random.default_rng(6))
    plan = plan_of()
    plan = replace(plan, channels=tuple(ChannelPlan(name, plan.modality, plan.normalization) for name in ("T1", "T2")))
    with pytest.raises(UserError, match=r"has 1 channel; needed: 2 channels \(T1, T2\)"):
        prepare(scan_of(np.zeros(geometry.shape_kji), geometry), plan)


def test_prepared_scans_of_a_sheared_grid_keep_its_extent() -> None:
    geometry = random_geometry(np.random.default_rng(3))
    prepared = prepare(scan_of(np.zeros(geometry.shape_kji), geometry), plan_of(target_spacing_mm=(1.0, 2.0, 0.7)))
    volumes_ml = [g.voxel_volume_ml * np.prod(g.size_ijk) for g in (geometry, prepared.geometry)]
    assert volumes_ml[0] == pytest.approx(volumes_ml[1])


def test_volumes_run_to_superior_posterior_and_left() -> None:
    geometry = Geometry((4, 5, 6), (1.0, 2.0, 3.0), (0, 0, 0), (0.0, 0.0, -1.0, -1.0, 0.0, 0.0, 0.0, 1.0, 0.0))
    prepared = prepare(scan_of(np.zeros((6, 5, 4)), geometry), plan_of(3))
    np.testing.assert_allclose(np.reshape(prepared.geometry.direction, (3, 3)), np.eye(3), atol=1e-12)
    assert prepared.geometry.spacing_mm == (3.0, 1.0, 2.0)


def test_in_2d_the_slice_axis_is_never_resampled() -> None:
    geometry = Geometry((20, 7, 24), (0.5, 5.0, 0.5), (0, 0, 0), (1.0, 0, 0, 0, 0, 1, 0, -1, 0))
    transform = axis_transform(geometry, plan_of(2, target_spacing_mm=(1.0, 1.0, 1.0)))
    assert transform.shape == (7, 12, 10)


def test_a_matrix_keeps_the_aspect_and_is_filled_by_the_longer_side() -> None:
    geometry = Geometry((216, 256, 9), (1.0, 1.0, 1.0), (0, 0, 0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    assert axis_transform(geometry, plan_of(2, in_plane_matrix=(128, 128))).shape == (9, 128, 108)


def test_labels_follow_the_image_to_the_prepared_grid() -> None:
    geometry = random_geometry(np.random.default_rng(5), 30, 40)
    plan = plan_of(target_spacing_mm=tuple(1.3 * s for s in geometry.spacing_mm))
    label = np.zeros(geometry.shape_kji, np.uint8)
    label[8:20, 9:22, 7:19] = 2
    image = prepare(scan_of(label, geometry), plan).array[0]
    prepared = prepare_label(label, geometry, plan)
    np.testing.assert_array_equal(prepared[np.abs(image - 1) > 0.1] == 2, (image > 1)[np.abs(image - 1) > 0.1])


def test_a_label_on_another_grid_is_refused() -> None:
    geometry = random_geometry(np.random.default_rng(6))
    with pytest.raises(UserError, match="same grid"):
        prepare_label(np.zeros((2, 3, 4), np.uint8), geometry, plan_of())


def test_prepared_intensities_are_normalised() -> None:
    rng = np.random.default_rng(7)
    geometry = random_geometry(rng, 20, 30)
    scan = scan_of(rng.normal(500, 90, geometry.shape_kji), geometry)
    array = prepare(scan, plan_of(normalization=Normalization("zscore"))).array
    assert abs(array.mean()) < 0.05 and abs(array.std() - 1) < 0.05 and array.dtype == np.float32


def test_the_scan_itself_is_never_changed() -> None:
    geometry = Geometry((8, 8, 8), (1.0, 1.0, 1.0), (0, 0, 0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    scan = scan_of(np.arange(512.0).reshape(8, 8, 8), geometry)
    prepared = prepare(scan, plan_of())
    prepared.array[:] = 0
    np.testing.assert_array_equal(scan.array, np.arange(512.0).reshape(8, 8, 8))


def test_restoring_a_large_volume_takes_about_a_second() -> None:
    geometry = Geometry((512, 512, 60), (0.7, 0.7, 3.0), (0, 0, 0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
    prepared = prepare(scan_of(np.zeros(geometry.shape_kji, np.float32), geometry),
                       plan_of(target_spacing_mm=(1.5, 1.5, 1.5)))
    started_at = time.process_time()
    restore_by_planes(prepared.array[0], prepared.transform)
    assert time.process_time() - started_at < 3.0
