"""Channels: what is read lies on the first channel's grid, voxel by voxel where it belongs in the patient."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from dicom_files import write_series
from grids import lps_of_voxels, random_geometry
from scipy import ndimage
from support import shared_data

from alhvr.core.errors import UserError
from alhvr.data.case_io import reach, read_case, reading_bytes, resample
from alhvr.data.cases import Case
from alhvr.data.geometry import Geometry
from alhvr.data.reading import content_hash, probe, read_scan

STRAIGHT = (1.0, 0, 0, 0, 1, 0, 0, 0, 1)
THICK = Geometry((20, 24, 6), (1.0, 1.0, 5.0), (0.0, 0.0, 0.0), STRAIGHT)
FINE = Geometry((14, 13, 30), (1.5, 2.0, 1.0), (-0.25, 0.5, -2.0), STRAIGHT)
"""Covers THICK but for a few voxels at its borders."""


def _write(path: Path, array: np.ndarray, geometry: Geometry) -> Path:
    image = SimpleITK.GetImageFromArray(array)
    geometry.stamp(image)
    SimpleITK.WriteImage(image, str(path))
    return path


def _pair(folder: Path, other: Geometry, *, first: Geometry = THICK) -> Case:
    """Two channels, a T1 of noise and a FLAIR whose intensity is a ramp through the patient."""
    noise = np.random.default_rng(0).normal(100, 20, first.shape_kji).astype(np.float32)
    ramp = np.tensordot((1.0, -2.0, 3.0), lps_of_voxels(other), 1).astype(np.float32)
    images = (_write(folder / "t1.nrrd", noise, first), _write(folder / "flair.nrrd", ramp, other))
    return Case("p 1", images[0], None, images[1:])


def test_a_case_of_one_channel_is_its_image(tmp_path: Path) -> None:
    case = replace(_pair(tmp_path, THICK), more_images=())
    scan, alone = read_case(case), read_scan(case.image)
    assert (scan.name, scan.more, scan.channels[0] is scan.array) == ("t1", (), True)
    assert np.array_equal(scan.array, alone.array) and content_hash(scan) == content_hash(alone)


def test_channels_of_one_grid_stay_as_they_are(tmp_path: Path) -> None:
    case = _pair(tmp_path, THICK)
    scan = read_case(case)
    assert (scan.name, scan.source, scan.warnings, scan.geometry) == ("p 1", case.image, (), THICK)
    for array, path in zip(scan.channels, case.images, strict=True):
        assert np.array_equal(array, read_scan(path).array)


def test_a_channel_on_another_grid_is_resampled_to_the_first_with_a_warning(tmp_path: Path) -> None:
    scan = read_case(_pair(tmp_path, FINE))
    (warning,) = scan.warnings
    assert scan.more[0].shape == THICK.shape_kji and scan.more[0].dtype == np.float32
    expected = np.tensordot((1.0, -2.0, 3.0), lps_of_voxels(THICK), 1)
    np.testing.assert_allclose(scan.more[0][:, 2:-2, 2:-2], expected[:, 2:-2, 2:-2], atol=1e-3)
    assert "flair.nrrd lies on another grid than t1.nrrd (size (20, 24, 6) against (14, 13, 30) voxels" in warning
    assert "resampled to it" in warning


@pytest.mark.parametrize("seed", range(8))
def test_any_two_grids_meet_where_they_are_in_the_patient(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target, own = random_geometry(rng), random_geometry(rng, 30, 40)
    middles = [g.index_to_lps((np.array([g.size_ijk]) - 1) / 2)[0] for g in (target, own)]
    own = replace(own, origin_lps_mm=tuple(np.array(own.origin_lps_mm) + middles[0] - middles[1]))
    ramps = lps_of_voxels(own).astype(np.float32)
    index = own.lps_to_index(lps_of_voxels(target).reshape(3, -1).T)
    deep = ((index >= 0) & (index <= np.array(own.size_ijk) - 1)).all(axis=1).reshape(target.shape_kji)
    reached = ((index > -0.49) & (index < np.array(own.size_ijk) - 0.51)).all(axis=1).reshape(target.shape_kji)
    for ramp, expected in zip(ramps, lps_of_voxels(target), strict=True):
        found = resample(ramp, own, target)
        np.testing.assert_allclose(found[deep], expected[deep], atol=2e-3)
        assert np.isfinite(found[reached]).all()
    assert deep.any() and abs(reach(target, own) - np.isfinite(found).mean()) < 0.1


def test_what_a_channel_does_not_reach_takes_its_smallest_value_and_is_said(tmp_path: Path) -> None:
    half = replace(THICK, size_ijk=(20, 24, 3))
    scan = read_case(_pair(tmp_path, half))
    smallest = np.tensordot((1.0, -2.0, 3.0), lps_of_voxels(half), 1).min()
    assert (scan.more[0][3:] == np.float32(smallest)).all() and (scan.more[0][:3] > smallest).any()
    assert scan.warnings[0].endswith("it was resampled to it, and reaches 50 % of it.")


def test_channels_of_two_places_are_refused(tmp_path: Path) -> None:
    case = _pair(tmp_path, replace(THICK, origin_lps_mm=(500.0, 0.0, 0.0)))
    with pytest.raises(UserError, match="flair.nrrd lies on another grid than t1.nrrd and shares no place with it"):
        read_case(case)
    assert reach(THICK, probe(case.more_images[0]).geometry) == 0


def test_a_channel_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    case = _pair(tmp_path, THICK)
    case.more_images[0].write_bytes(b"text")
    with pytest.raises(UserError, match="flair.nrrd"):
        read_case(case)


def test_a_single_slice_has_channels_on_other_grids_too(tmp_path: Path) -> None:
    flat = replace(THICK, size_ijk=(20, 24, 1), origin_lps_mm=(0.0, 0.0, 5.0))
    scan = read_case(_pair(tmp_path, THICK, first=flat))
    expected = np.tensordot((1.0, -2.0, 3.0), lps_of_voxels(flat), 1)
    np.testing.assert_allclose(scan.more[0], expected, atol=1e-3)


def test_dicom_channels_bring_their_modalities(tmp_path: Path) -> None:
    voxels = np.arange(2 * 4 * 5, dtype=np.int16).reshape(2, 4, 5)
    grid = Geometry((5, 4, 2), (1.0, 1.0, 3.0), (0.0, 0.0, 0.0), STRAIGHT)
    for name in ("CT", "MR"):
        write_series(tmp_path / name, voxels, grid, Modality=name)
    scan = read_case(Case("p", tmp_path / "CT", None, (tmp_path / "MR",)))
    assert scan.modalities == ("CT", "MR") and scan.more[0].dtype == np.int16


def test_the_content_of_every_channel_counts(tmp_path: Path) -> None:
    case = _pair(tmp_path, THICK)
    scan = read_case(case)
    other = replace(scan, more=(scan.more[0] + 1,))
    assert len({content_hash(scan), content_hash(other), content_hash(replace(scan, more=()))}) == 3


def test_memory_of_reading_is_known_from_the_headers(tmp_path: Path) -> None:
    same = _pair(tmp_path, THICK)
    assert reading_bytes(same, probe(same.image)) == (8, 0)
    fine = Geometry((100, 100, 100), (0.2, 0.24, 0.3), (0.0, 0.0, 0.0), STRAIGHT)
    other = _pair(tmp_path, fine)
    voxel_bytes, peak = reading_bytes(other, probe(other.image))
    assert voxel_bytes == 8 and peak > 8 * 100**3


@pytest.mark.parametrize(("study", "first", "other"), [
    ("Study1", "13_HCropVolume", "36459-FLAIRreg-76244"), ("Study3", "11_HCropVolume", "36468-FLAIRreg-58706")])
def test_a_real_oblique_series_is_resampled_to_a_real_crop(study: str, first: str, other: str) -> None:
    folder = shared_data("brain-dicom", study)
    scan, flair = read_case(Case("p", folder / first, None, (folder / other,))), read_scan(folder / other)
    voxels = np.random.default_rng(0).integers(0, scan.array.shape, (500, 3))
    index = flair.geometry.lps_to_index(scan.geometry.index_to_lps(voxels[:, ::-1]))[:, ::-1]
    expected = ndimage.map_coordinates(flair.array.astype(np.float64), index.T, order=1, mode="nearest")
    np.testing.assert_allclose(scan.more[0][tuple(voxels.T)], expected, atol=0.05)
    assert f"{other} lies on another grid than {first}" in scan.warnings[0]
