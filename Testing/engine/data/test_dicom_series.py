"""DICOM series: order by position, the grid of the headers, each slice's own rescaling."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import AXIAL, OBLIQUE, TILTED, change, place, series_voxels, slice_dataset, write_series
from support import shared_data

from alhvr.core.errors import UserError
from alhvr.data.cases import find_cases
from alhvr.data.dicom_folder import find_series
from alhvr.data.geometry import Geometry
from alhvr.data.reading import probe, read_scan

REAL = ["Study1/12-T1post-05670", "Study1/13_HCropVolume", "Study3/36468-FLAIRreg-58706"]


@pytest.mark.parametrize("grid", [OBLIQUE, TILTED], ids=["oblique", "gantry tilt"])
def test_a_series_comes_back_on_its_own_grid(tmp_path: Path, grid: Geometry) -> None:
    write_series(tmp_path, series_voxels(grid), grid)
    scan = read_scan(tmp_path)
    assert scan.geometry.difference(grid, tolerance_mm=1e-4) == ""
    np.testing.assert_array_equal(scan.array, series_voxels(grid))


def test_slices_against_the_normal_are_turned_round_with_their_places(tmp_path: Path) -> None:
    down = Geometry((5, 4, 6), (0.5, 0.75, 4.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, -1))
    write_series(tmp_path, series_voxels(), down)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.array, series_voxels()[::-1])
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
    write_series(tmp_path, series_voxels(), OBLIQUE, RescaleSlope="2.5", RescaleIntercept="-1024", Modality=modality)
    np.testing.assert_allclose(read_scan(tmp_path).array, series_voxels() * 2.5 - 1024)


def test_each_slice_has_its_own_rescale_slope(tmp_path: Path) -> None:
    for index, pixels in enumerate(series_voxels()):
        tags = {"RescaleSlope": str(index + 0.5), "RescaleIntercept": "0", "SeriesInstanceUID": "1.2.3"}
        dataset = slice_dataset(pixels, OBLIQUE, index, **tags)
        dataset.save_as(tmp_path / f"{index}.dcm", enforce_file_format=True)
    np.testing.assert_allclose(read_scan(tmp_path).array, series_voxels() * (np.arange(6) + 0.5)[:, None, None])


def test_whole_numbers_stay_small_until_a_slice_does_not_fit(tmp_path: Path) -> None:
    write_series(tmp_path / "whole", series_voxels(), OBLIQUE, RescaleSlope="1", RescaleIntercept="-1024")
    write_series(tmp_path / "large", series_voxels(), OBLIQUE, RescaleSlope="40", RescaleIntercept="0")
    assert read_scan(tmp_path / "whole").array.dtype == np.int16
    large = read_scan(tmp_path / "large").array
    assert large.dtype == np.float32
    np.testing.assert_array_equal(large, series_voxels() * 40.0)


@pytest.mark.parametrize(("modality", "expected"), [("CT", "CT"), ("MR", "MR"), ("PT", "other")])
def test_modality_comes_from_the_tag(tmp_path: Path, modality: str, expected: str) -> None:
    write_series(tmp_path, series_voxels(), OBLIQUE, Modality=modality)
    assert read_scan(tmp_path).modality == probe(tmp_path).modality == expected


@pytest.mark.parametrize("index", [1, 2])
def test_a_missing_slice_of_four_is_refused_with_the_gap(tmp_path: Path, index: int) -> None:
    write_series(tmp_path, series_voxels()[:4], OBLIQUE)[index].unlink()
    with pytest.raises(UserError, match="hole: 8 mm between .* where 4 mm are usual"):
        read_scan(tmp_path)


@pytest.mark.parametrize("index", [1, 2, 4])
def test_a_missing_slice_is_refused_with_the_gap_and_its_neighbours(tmp_path: Path, index: int) -> None:
    files = write_series(tmp_path, series_voxels(), OBLIQUE)
    files[index].unlink()
    before, after = files[index - 1].name, files[index + 1].name
    with pytest.raises(UserError, match=f"hole: 8 mm between {before} and {after}, where 4 mm are usual"):
        read_scan(tmp_path)


def test_gaps_that_are_a_little_unequal_are_warned_of(tmp_path: Path) -> None:
    place(write_series(tmp_path, series_voxels(), AXIAL)[2], z=8.6)
    (warning,) = read_scan(tmp_path).warnings
    assert "from 3.4 to 4.6 mm" in warning and "up to 0.6 mm off" in warning


def test_a_slice_moved_aside_by_more_than_half_the_slice_distance_is_refused(tmp_path: Path) -> None:
    change(write_series(tmp_path, series_voxels(), AXIAL)[2], ImagePositionPatient=[3, 0, 8])
    with pytest.raises(UserError, match=r"on no even grid.*slices would be up to 3 mm off"):
        read_scan(tmp_path)


def test_two_blocks_with_a_hole_of_200_mm_are_refused_with_the_hole(tmp_path: Path) -> None:
    for index, path in enumerate(write_series(tmp_path, series_voxels(), AXIAL)):
        place(path, z=4 * index + 200 * (index > 2))
    with pytest.raises(UserError, match=r"a hole: 204 mm between 004\.dcm and 003\.dcm"):
        read_scan(tmp_path)


def test_rounded_positions_are_no_unequal_gaps(tmp_path: Path) -> None:
    files = write_series(tmp_path, series_voxels(), OBLIQUE)
    for path in files:
        dataset = pydicom.dcmread(path)
        dataset.ImagePositionPatient = [f"{value:.2f}" for value in dataset.ImagePositionPatient]
        dataset.save_as(path)
    assert read_scan(tmp_path).warnings == ()


def test_one_slice_takes_its_thickness(tmp_path: Path) -> None:
    write_series(tmp_path, series_voxels()[:1], OBLIQUE)
    scan = read_scan(tmp_path)
    assert (scan.array.shape, scan.geometry.spacing_mm) == ((1, 4, 5), (0.5, 0.75, 4.0))


def test_one_slice_without_a_thickness_takes_1_mm_and_says_so(tmp_path: Path) -> None:
    write_series(tmp_path, series_voxels()[:1], OBLIQUE, SliceThickness=None)
    scan = read_scan(tmp_path)
    assert scan.geometry.spacing_mm[2] == 1.0 and "no slice thickness; 1 mm is used" in scan.warnings[0]


def test_several_images_at_one_place_are_refused(tmp_path: Path) -> None:
    for index in (0, 1, 1):
        number = len(list(tmp_path.iterdir()))
        dataset = slice_dataset(series_voxels()[number], OBLIQUE, index, SeriesInstanceUID="1.2.3")
        dataset.save_as(tmp_path / f"{len(list(tmp_path.iterdir()))}.dcm", enforce_file_format=True)
    with pytest.raises(UserError, match=r"same place: 1 of 3.*1\.dcm and 2\.dcm"):
        read_scan(tmp_path)


def test_two_series_in_a_folder_are_listed_by_size_only(tmp_path: Path) -> None:
    write_series(tmp_path, series_voxels(), OBLIQUE)
    for path in write_series(tmp_path / "b", series_voxels()[:3], OBLIQUE):
        path.rename(tmp_path / f"b{path.name}")
    with pytest.raises(UserError, match=r"1: 6 images of 5 x 4; 2: 3 images of 5 x 4") as caught:
        read_scan(tmp_path)
    assert "Invented" not in str(caught.value)


def test_any_file_of_a_series_stands_for_its_series(tmp_path: Path) -> None:
    files = write_series(tmp_path, series_voxels(), OBLIQUE)
    other = write_series(tmp_path / "b", series_voxels()[:3] + 1, OBLIQUE)[0]
    other.rename(tmp_path / "other.dcm")
    np.testing.assert_array_equal(read_scan(files[3]).array, series_voxels())


def test_a_series_of_nothing_but_single_orientations_is_refused(tmp_path: Path) -> None:
    files = write_series(tmp_path, series_voxels()[:3], AXIAL)
    change(files[0], ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
    change(files[1], ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    with pytest.raises(UserError, match="its 3 images have 3 different orientations"):
        read_scan(tmp_path)


@pytest.mark.parametrize(("tags", "words"), [({"NumberOfFrames": 7}, "7 frames have no places"),
                                             ({"SamplesPerPixel": 3}, "colour")])
def test_multi_frame_and_colour_images_are_refused(tmp_path: Path, tags: dict, words: str) -> None:
    write_series(tmp_path, series_voxels(), OBLIQUE, **tags)
    with pytest.raises(UserError, match=words):
        read_scan(tmp_path)


def test_a_truncated_slice_is_refused_by_name(tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
    path = write_series(tmp_path, series_voxels(), OBLIQUE)[3]
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(UserError, match=path.name):
        read_scan(tmp_path)
    assert capfd.readouterr().err == ""


def test_files_of_other_kinds_beside_the_series_do_not_matter(tmp_path: Path) -> None:
    write_series(tmp_path, series_voxels(), OBLIQUE)
    for name in ("DICOMDIR", "notes.txt", ".hidden"):
        (tmp_path / name).write_text("something else")
    assert [len(series.slices) for series in find_series(tmp_path).series] == [6]


def test_a_dicom_file_without_a_place_is_left_out_with_a_warning(tmp_path: Path) -> None:
    path = write_series(tmp_path, series_voxels(), OBLIQUE)[-1]
    dataset = pydicom.dcmread(path)
    del dataset.ImagePositionPatient
    dataset.save_as(path)
    scan = read_scan(tmp_path)
    assert scan.array.shape == (5, 4, 5) and "left out: 1" in scan.warnings[0]


def test_objects_beside_the_images_are_counted_by_their_kind(tmp_path: Path) -> None:
    write_series(tmp_path, series_voxels(), OBLIQUE)
    for name, kind, modality in (("a", "88.11", "SR"), ("b", "481.3", "RTSTRUCT"), ("c", "11.1", "PR")):
        other = slice_dataset(series_voxels()[0], OBLIQUE, 0, Modality=modality, SeriesInstanceUID=f"1.2.{ord(name)}")
        other.SOPClassUID = other.file_meta.MediaStorageSOPClassUID = f"1.2.840.10008.5.1.4.1.1.{kind}"
        for tag in ("Rows", "Columns", "PixelData", "PixelSpacing", "ImagePositionPatient"):
            delattr(other, tag)
        other.save_as(tmp_path / f"{name}.dcm", enforce_file_format=True)
    assert read_scan(tmp_path).warnings == (
        f"{tmp_path.name}: DICOM files that are no images were left out: 1 PR, 1 SR.",)


SPOILED = {"cut": lambda b: b[:600], "cut in its voxels": lambda b: b[:-20], "zeroed": lambda b: bytes(len(b)),
           "a web page": lambda b: b"<html>Please log in</html>", "empty": lambda b: b""}


@pytest.mark.parametrize("name", ["{}.dcm", "IM {}", "1.2.840.{}", "{}.img"])
@pytest.mark.parametrize("kind", SPOILED)
def test_a_spoiled_file_is_named_where_its_place_is_missed(tmp_path: Path, kind: str, name: str) -> None:
    written = write_series(tmp_path, series_voxels(), OBLIQUE)
    files = [path.rename(tmp_path / name.format(path.stem)) for path in written]
    files[2].write_bytes(SPOILED[kind](files[2].read_bytes()))
    with pytest.raises(UserError, match=f"a hole: 8 mm.*a file could not be used, {files[2].name}: "):
        read_scan(tmp_path)


@pytest.mark.parametrize("kind", SPOILED)
def test_spoiled_files_at_the_end_are_warned_of_with_the_number_and_the_first(tmp_path: Path, kind: str) -> None:
    for path in write_series(tmp_path, series_voxels(), OBLIQUE)[-2:]:
        path.write_bytes(SPOILED[kind](path.read_bytes()))
    scan = read_scan(tmp_path)
    assert scan.array.shape[0] == 4
    (warning,) = scan.warnings
    assert "files that could not be used were left out: 2, the first 001.dcm: " in warning


def test_a_folder_of_spoiled_files_alone_is_a_scan_that_is_refused(tmp_path: Path) -> None:
    for folder in ("p1", "p2", "p3"):
        for path in write_series(tmp_path / folder, series_voxels(), OBLIQUE):
            if folder == "p2":
                path.write_bytes(b"")
    cases = find_cases(tmp_path, labeled=False).cases
    assert [case.name for case in cases] == ["p1", "p2", "p3"]
    with pytest.raises(UserError, match=r"p2 holds no DICOM image that can be used: 6 of 6 files, the first 001\.dcm"):
        read_scan(cases[1].image)
    assert read_scan(cases[2].image).warnings == ()


def test_a_multi_frame_file_costs_only_itself(tmp_path: Path) -> None:
    write_series(tmp_path / "p1", series_voxels(), OBLIQUE)
    write_series(tmp_path / "p2", series_voxels()[:1], OBLIQUE, NumberOfFrames=5)
    write_series(tmp_path / "p3", series_voxels(), OBLIQUE)
    (tmp_path / "p2" / "001.dcm").rename(tmp_path / "p3" / "m.dcm")
    write_series(tmp_path / "p2", series_voxels()[:1], OBLIQUE, NumberOfFrames=5)
    found = find_cases(tmp_path, labeled=False)
    first, third = found.cases
    assert [(left.path.name, left.reason) for left in found.left_out] == [
        ("p2", "its 5 frames have no places in the patient")]
    assert read_scan(first.image).warnings == ()
    assert "left out: 1, the first m.dcm: its 5 frames have no places" in read_scan(third.image).warnings[0]
