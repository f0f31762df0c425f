"""DICOM series: order by position, the grid of the headers, each slice's own rescaling."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import slice_dataset, write_series
from support import shared_data

from alhvr.data.dicom_folder import find_series
from alhvr.data.geometry import Geometry
from alhvr.data.reading import probe, read_scan
from alhvr.errors import UserError

C, S = math.cos(math.radians(20)), math.sin(math.radians(20))
OBLIQUE = Geometry((5, 4, 6), (0.5, 0.75, 4.0), (-10.0, 20.0, 30.0), (1.0, 0, 0, 0, C, -S, 0, S, C))
TILTED = Geometry((5, 4, 6), (0.5, 0.5, 3.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, S, 0, 0, C))
REAL = ["Study1/12-T1post-05670", "Study1/13_HCropVolume", "Study3/36468-FLAIRreg-58706"]


def _voxels(geometry: Geometry = OBLIQUE) -> np.ndarray:
    return np.random.default_rng(0).integers(-1000, 2000, geometry.shape_kji).astype(np.int16)


@pytest.mark.parametrize("grid", [OBLIQUE, TILTED], ids=["oblique", "gantry tilt"])
def test_a_series_comes_back_on_its_own_grid(tmp_path: Path, grid: Geometry) -> None:
    write_series(tmp_path, _voxels(grid), grid)
    scan = read_scan(tmp_path)
    assert scan.geometry.difference(grid, tolerance_mm=1e-4) == ""
    np.testing.assert_array_equal(scan.array, _voxels(grid))


def test_slices_against_the_normal_are_turned_round_with_their_places(tmp_path: Path) -> None:
    down = Geometry((5, 4, 6), (0.5, 0.75, 4.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, -1))
    write_series(tmp_path, _voxels(), down)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.array, _voxels()[::-1])
    np.testing.assert_allclose(scan.geometry.index_to_lps([[0, 0, 5]]), [[0, 0, 0]], atol=1e-4)


@pytest.mark.parametrize("series", REAL)
def test_every_real_slice_lies_where_its_header_says(series: str) -> None:
    folder = shared_data("brain-dicom", *series.split("/"))
    scan = read_scan(folder)
    for path in folder.iterdir():
        header = pydicom.dcmread(path)
        orientation = np.array(header.ImageOrientationPatient, float).reshape(2, 3)
        spacing = np.array(header.PixelSpacing, float)
        k = round(scan.geometry.lps_to_index([header.ImagePositionPatient])[0, 2])
        last = header.ImagePositionPatient + orientation[0] * spacing[1] * (header.Columns - 1)
        last = last + orientation[1] * spacing[0] * (header.Rows - 1)
        ours = scan.geometry.index_to_lps([[0, 0, k], [header.Columns - 1, header.Rows - 1, k]])
        np.testing.assert_allclose(ours, [header.ImagePositionPatient, last], atol=0.01)
        np.testing.assert_array_equal(scan.array[k], header.pixel_array)


@pytest.mark.parametrize("series", REAL)
def test_real_series_are_mr_without_warnings(series: str) -> None:
    scan = read_scan(shared_data("brain-dicom", *series.split("/")))
    assert (scan.modality, scan.warnings, scan.name) == ("MR", (), series.split("/")[1])


@pytest.mark.parametrize("modality", ["CT", "MR"])
def test_rescale_slope_and_intercept_are_applied(tmp_path: Path, modality: str) -> None:
    write_series(tmp_path, _voxels(), OBLIQUE, RescaleSlope="2.5", RescaleIntercept="-1024", Modality=modality)
    np.testing.assert_allclose(read_scan(tmp_path).array, _voxels() * 2.5 - 1024)


def test_each_slice_has_its_own_rescale_slope(tmp_path: Path) -> None:
    for index, pixels in enumerate(_voxels()):
        tags = {"RescaleSlope": str(index + 0.5), "RescaleIntercept": "0", "SeriesInstanceUID": "1.2.3"}
        dataset = slice_dataset(pixels, OBLIQUE, index, **tags)
        dataset.save_as(tmp_path / f"{index}.dcm", enforce_file_format=True)
    np.testing.assert_allclose(read_scan(tmp_path).array, _voxels() * (np.arange(6) + 0.5)[:, None, None])


def test_whole_numbers_stay_small_until_a_slice_does_not_fit(tmp_path: Path) -> None:
    write_series(tmp_path / "whole", _voxels(), OBLIQUE, RescaleSlope="1", RescaleIntercept="-1024")
    write_series(tmp_path / "large", _voxels(), OBLIQUE, RescaleSlope="40", RescaleIntercept="0")
    assert read_scan(tmp_path / "whole").array.dtype == np.int16
    large = read_scan(tmp_path / "large").array
    assert large.dtype == np.float32
    np.testing.assert_array_equal(large, _voxels() * 40.0)


@pytest.mark.parametrize(("modality", "expected"), [("CT", "CT"), ("MR", "MR"), ("PT", "other")])
def test_modality_comes_from_the_tag(tmp_path: Path, modality: str, expected: str) -> None:
    write_series(tmp_path, _voxels(), OBLIQUE, Modality=modality)
    assert read_scan(tmp_path).modality == probe(tmp_path).modality == expected


def test_a_missing_slice_is_warned_of_with_the_gaps_seen(tmp_path: Path) -> None:
    write_series(tmp_path, _voxels(), OBLIQUE)[2].unlink()
    (warning,) = read_scan(tmp_path).warnings
    assert "from 4 to 8 mm" in warning and "missing" in warning


def test_rounded_positions_are_no_unequal_gaps(tmp_path: Path) -> None:
    files = write_series(tmp_path, _voxels(), OBLIQUE)
    for path in files:
        dataset = pydicom.dcmread(path)
        dataset.ImagePositionPatient = [f"{value:.2f}" for value in dataset.ImagePositionPatient]
        dataset.save_as(path)
    assert read_scan(tmp_path).warnings == ()


def test_one_slice_takes_its_thickness(tmp_path: Path) -> None:
    write_series(tmp_path, _voxels()[:1], OBLIQUE)
    scan = read_scan(tmp_path)
    assert (scan.array.shape, scan.geometry.spacing_mm) == ((1, 4, 5), (0.5, 0.75, 4.0))


def test_several_images_at_one_place_are_refused(tmp_path: Path) -> None:
    for index in (0, 1, 1):
        dataset = slice_dataset(_voxels()[index], OBLIQUE, index, SeriesInstanceUID="1.2.3")
        dataset.save_as(tmp_path / f"{len(list(tmp_path.iterdir()))}.dcm", enforce_file_format=True)
    with pytest.raises(UserError, match="same place"):
        read_scan(tmp_path)


def test_two_series_in_a_folder_are_listed_by_size_only(tmp_path: Path) -> None:
    write_series(tmp_path, _voxels(), OBLIQUE)
    for path in write_series(tmp_path / "b", _voxels()[:3], OBLIQUE):
        path.rename(tmp_path / f"b{path.name}")
    with pytest.raises(UserError, match=r"1: 6 images of 5 x 4; 2: 3 images of 5 x 4") as caught:
        read_scan(tmp_path)
    assert "Invented" not in str(caught.value)


def test_any_file_of_a_series_stands_for_its_series(tmp_path: Path) -> None:
    files = write_series(tmp_path, _voxels(), OBLIQUE)
    other = write_series(tmp_path / "b", _voxels()[:3] + 1, OBLIQUE)[0]
    other.rename(tmp_path / "other.dcm")
    np.testing.assert_array_equal(read_scan(files[3]).array, _voxels())


def test_mixed_orientations_are_refused(tmp_path: Path) -> None:
    files = write_series(tmp_path, _voxels(), OBLIQUE)
    dataset = pydicom.dcmread(files[0])
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.save_as(files[0])
    with pytest.raises(UserError, match="orientation"):
        read_scan(tmp_path)


@pytest.mark.parametrize(("tags", "words"), [({"NumberOfFrames": 7}, "7 frames"), ({"SamplesPerPixel": 3}, "colour")])
def test_multi_frame_and_colour_images_are_refused(tmp_path: Path, tags: dict, words: str) -> None:
    write_series(tmp_path, _voxels(), OBLIQUE, **tags)
    with pytest.raises(UserError, match=words):
        read_scan(tmp_path)


def test_a_truncated_slice_is_refused_by_name(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    path = write_series(tmp_path, _voxels(), OBLIQUE)[3]
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match=path.name):
        read_scan(tmp_path)
    assert capfd.readouterr().err == ""


def test_files_of_other_kinds_beside_the_series_do_not_matter(tmp_path: Path) -> None:
    write_series(tmp_path, _voxels(), OBLIQUE)
    for name in ("DICOMDIR", "notes.txt", ".hidden"):
        (tmp_path / name).write_text("something else")
    assert [len(series.slices) for series in find_series(tmp_path).series] == [6]


def test_a_dicom_file_without_a_place_is_left_out_with_a_warning(tmp_path: Path) -> None:
    path = write_series(tmp_path, _voxels(), OBLIQUE)[-1]
    dataset = pydicom.dcmread(path)
    del dataset.ImagePositionPatient
    dataset.save_as(path)
    scan = read_scan(tmp_path)
    assert scan.array.shape == (5, 4, 5) and "left out: 1" in scan.warnings[0]
