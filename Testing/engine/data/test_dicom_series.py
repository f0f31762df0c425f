"""DICOM series: order by position, the grid of the headers, each slice's own rescaling."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import slice_dataset, write_series
from support import shared_data

from alhvr.core.errors import UserError
from alhvr.data.cases import find_cases
from alhvr.data.dicom_folder import find_series
from alhvr.data.geometry import Geometry
from alhvr.data.reading import probe, read_scan

C, S = math.cos(math.radians(20)), math.sin(math.radians(20))
OBLIQUE = Geometry((5, 4, 6), (0.5, 0.75, 4.0), (-10.0, 20.0, 30.0), (1.0, 0, 0, 0, C, -S, 0, S, C))
TILTED = Geometry((5, 4, 6), (0.5, 0.5, 3.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, S, 0, 0, C))
AXIAL = Geometry((5, 4, 6), (0.5, 0.75, 4.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1, 0, 0, 0, 1))
REAL = ["Study1/12-T1post-05670", "Study1/13_HCropVolume", "Study3/36468-FLAIRreg-58706"]


def change(path: Path, **tags: object) -> None:
    dataset = pydicom.dcmread(path)
    for tag, value in tags.items():
        setattr(dataset, tag, value)
    dataset.save_as(path)


def place(path: Path, z: float) -> None:
    change(path, ImagePositionPatient=[0, 0, z])


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


@pytest.mark.parametrize("index", [1, 2])
def test_a_missing_slice_of_four_is_refused_with_the_gap(tmp_path: Path, index: int) -> None:
    write_series(tmp_path, _voxels()[:4], OBLIQUE)[index].unlink()
    with pytest.raises(UserError, match="hole: 8 mm between .* where 4 mm are usual"):
        read_scan(tmp_path)


@pytest.mark.parametrize("index", [1, 2, 4])
def test_a_missing_slice_is_refused_with_the_gap_and_its_neighbours(tmp_path: Path, index: int) -> None:
    files = write_series(tmp_path, _voxels(), OBLIQUE)
    files[index].unlink()
    before, after = files[index - 1].name, files[index + 1].name
    with pytest.raises(UserError, match=f"hole: 8 mm between {before} and {after}, where 4 mm are usual"):
        read_scan(tmp_path)


def test_gaps_that_are_a_little_unequal_are_warned_of(tmp_path: Path) -> None:
    place(write_series(tmp_path, _voxels(), AXIAL)[2], z=8.6)
    (warning,) = read_scan(tmp_path).warnings
    assert "from 3.4 to 4.6 mm" in warning and "up to 0.6 mm off" in warning


def test_a_slice_moved_aside_by_more_than_half_the_slice_distance_is_refused(tmp_path: Path) -> None:
    change(write_series(tmp_path, _voxels(), AXIAL)[2], ImagePositionPatient=[3, 0, 8])
    with pytest.raises(UserError, match=r"on no even grid.*slices would be up to 3 mm off"):
        read_scan(tmp_path)


def test_two_blocks_with_a_hole_of_200_mm_are_refused_with_the_hole(tmp_path: Path) -> None:
    for index, path in enumerate(write_series(tmp_path, _voxels(), AXIAL)):
        place(path, z=4 * index + 200 * (index > 2))
    with pytest.raises(UserError, match=r"a hole: 204 mm between 004\.dcm and 003\.dcm"):
        read_scan(tmp_path)


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


def test_one_slice_without_a_thickness_takes_1_mm_and_says_so(tmp_path: Path) -> None:
    write_series(tmp_path, _voxels()[:1], OBLIQUE, SliceThickness=None)
    scan = read_scan(tmp_path)
    assert scan.geometry.spacing_mm[2] == 1.0 and "no slice thickness; 1 mm is used" in scan.warnings[0]


def test_several_images_at_one_place_are_refused(tmp_path: Path) -> None:
    for index in (0, 1, 1):
        number = len(list(tmp_path.iterdir()))
        dataset = slice_dataset(_voxels()[number], OBLIQUE, index, SeriesInstanceUID="1.2.3")
        dataset.save_as(tmp_path / f"{len(list(tmp_path.iterdir()))}.dcm", enforce_file_format=True)
    with pytest.raises(UserError, match=r"same place: 1 of 3.*1\.dcm and 2\.dcm"):
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


def test_a_series_of_nothing_but_single_orientations_is_refused(tmp_path: Path) -> None:
    files = write_series(tmp_path, _voxels()[:3], AXIAL)
    change(files[0], ImageOrientationPatient=[0, 1, 0, 0, 0, -1])
    change(files[1], ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    with pytest.raises(UserError, match="its 3 images have 3 different orientations"):
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


def test_objects_beside_the_images_are_counted_by_their_kind(tmp_path: Path) -> None:
    write_series(tmp_path, _voxels(), OBLIQUE)
    for name, kind, modality in (("a", "88.11", "SR"), ("b", "481.3", "RTSTRUCT"), ("c", "481.3", "RTSTRUCT")):
        other = slice_dataset(_voxels()[0], OBLIQUE, 0, Modality=modality, SeriesInstanceUID=f"1.2.{ord(name)}")
        other.SOPClassUID = other.file_meta.MediaStorageSOPClassUID = f"1.2.840.10008.5.1.4.1.1.{kind}"
        for tag in ("Rows", "Columns", "PixelData", "PixelSpacing", "ImagePositionPatient"):
            delattr(other, tag)
        other.save_as(tmp_path / f"{name}.dcm", enforce_file_format=True)
    assert read_scan(tmp_path).warnings == (
        f"{tmp_path.name}: DICOM files that are no images were left out: 2 RTSTRUCT, 1 SR.",)


SPOILED = {"cut": lambda b: b[:600], "cut in its voxels": lambda b: b[:-20], "zeroed": lambda b: bytes(len(b)),
           "a web page": lambda b: b"<html>Please log in</html>", "empty": lambda b: b""}


@pytest.mark.parametrize("name", ["{}.dcm", "IM {}", "1.2.840.{}", "{}.img"])
@pytest.mark.parametrize("kind", SPOILED)
def test_a_spoiled_file_is_named_where_its_place_is_missed(tmp_path: Path, kind: str, name: str) -> None:
    files = [path.rename(tmp_path / name.format(path.stem)) for path in write_series(tmp_path, _voxels(), OBLIQUE)]
    files[2].write_bytes(SPOILED[kind](files[2].read_bytes()))
    with pytest.raises(UserError, match=f"a hole: 8 mm.*a file could not be used, {files[2].name}: "):
        read_scan(tmp_path)


@pytest.mark.parametrize("kind", SPOILED)
def test_spoiled_files_at_the_end_are_warned_of_with_the_number_and_the_first(tmp_path: Path, kind: str) -> None:
    for path in write_series(tmp_path, _voxels(), OBLIQUE)[-2:]:
        path.write_bytes(SPOILED[kind](path.read_bytes()))
    scan = read_scan(tmp_path)
    assert scan.array.shape[0] == 4
    (warning,) = scan.warnings
    assert "files that could not be used were left out: 2, the first 001.dcm: " in warning


def test_a_folder_of_spoiled_files_alone_is_a_scan_that_is_refused(tmp_path: Path) -> None:
    for folder in ("p1", "p2", "p3"):
        for path in write_series(tmp_path / folder, _voxels(), OBLIQUE):
            if folder == "p2":
                path.write_bytes(b"")
    cases = find_cases(tmp_path, labeled=False).cases
    assert [case.name for case in cases] == ["p1", "p2", "p3"]
    with pytest.raises(UserError, match=r"p2 holds no DICOM image that can be used: 6 of 6 files, the first 001\.dcm"):
        read_scan(cases[1].image)
    assert read_scan(cases[2].image).warnings == ()


def test_a_multi_frame_file_costs_only_itself(tmp_path: Path) -> None:
    write_series(tmp_path / "p1", _voxels(), OBLIQUE)
    write_series(tmp_path / "p2", _voxels()[:1], OBLIQUE, NumberOfFrames=5)
    write_series(tmp_path / "p3", _voxels(), OBLIQUE)
    (tmp_path / "p2" / "001.dcm").rename(tmp_path / "p3" / "m.dcm")
    write_series(tmp_path / "p2", _voxels()[:1], OBLIQUE, NumberOfFrames=5)
    first, second, third = find_cases(tmp_path, labeled=False).cases
    assert read_scan(first.image).warnings == ()
    assert "left out: 1, the first m.dcm: it holds 5 frames" in read_scan(third.image).warnings[0]
    with pytest.raises(UserError, match="it holds 5 frames"):
        read_scan(second.image)


@pytest.mark.parametrize("same_instance", [True, False])
def test_an_image_that_is_there_twice_is_taken_once(tmp_path: Path, same_instance: bool) -> None:
    files = write_series(tmp_path, _voxels(), OBLIQUE)
    copy = pydicom.dcmread(files[2])
    if not same_instance:
        copy.SOPInstanceUID, copy.InstanceNumber = "1.2.3.4", 99
    copy.save_as(tmp_path / "copy of 004.dcm")
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.array, _voxels())
    assert scan.warnings == (f"{tmp_path.name}: images that are there twice were taken once: 1, the first copy of "
                             "004.dcm.",)


def two_passes(folder: Path, shift_mm: float, **second: object) -> None:
    """Six slices, and four more of the same series that begin at the third, shifted; ``second``: their tags."""
    for index, pixels in enumerate(_voxels()):
        first = slice_dataset(pixels, AXIAL, index, SeriesInstanceUID="1.2.3", **dict.fromkeys(second, 1))
        first.save_as(folder / f"a{index}.dcm", enforce_file_format=True)
    for index in range(2, 6):
        again = slice_dataset(_voxels()[index] + 7, AXIAL, index, SeriesInstanceUID="1.2.3", **second)
        again.ImagePositionPatient = [0, 0, 4 * index + shift_mm]
        again.save_as(folder / f"b{index}.dcm", enforce_file_format=True)


@pytest.mark.parametrize("shift_mm", [0.0, 2.0])
@pytest.mark.parametrize("tag", ["AcquisitionNumber", "TemporalPositionIdentifier", "EchoNumbers", "SeriesNumber"])
def test_two_passes_that_a_tag_tells_apart_are_two_scans(tmp_path: Path, tag: str, shift_mm: float) -> None:
    two_passes(tmp_path, shift_mm, **{tag: 2})
    first, second = (read_scan(case.image) for case in find_cases(tmp_path, labeled=False).cases)
    np.testing.assert_array_equal(first.array, _voxels())
    np.testing.assert_array_equal(second.array, _voxels()[2:] + 7)
    assert f"split by {tag} into 2 stacks" in first.warnings[0]


def test_two_passes_at_one_place_that_no_tag_tells_apart_are_refused_with_the_doubles(tmp_path: Path) -> None:
    two_passes(tmp_path, 0.0)
    with pytest.raises(UserError, match=r"same place: 4 of 10 lie where another does; the first are a2\.dcm and b2"):
        read_scan(tmp_path)


def test_two_passes_between_each_other_that_no_tag_tells_apart_are_refused(tmp_path: Path) -> None:
    two_passes(tmp_path, 1.0)
    with pytest.raises(UserError, match=r"1 mm between|hole"):
        read_scan(tmp_path)


@pytest.mark.parametrize("rows", [6, 4])
def test_a_localizer_of_the_same_series_is_left_out_with_a_warning(tmp_path: Path, rows: int) -> None:
    write_series(tmp_path, _voxels(), AXIAL, SeriesInstanceUID="1.2.3")
    scout = slice_dataset(np.resize(_voxels(), (rows, 5)), AXIAL, 0, SeriesInstanceUID="1.2.3")
    scout.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]
    scout.save_as(tmp_path / "scout.dcm", enforce_file_format=True)
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.array, _voxels())
    assert "localizers?): 1, the first scout.dcm" in scan.warnings[0]


def test_two_stacks_of_one_series_in_two_orientations_are_two_scans(tmp_path: Path) -> None:
    write_series(tmp_path, _voxels(), AXIAL, SeriesInstanceUID="1.2.3")
    for path in write_series(tmp_path / "b", _voxels()[:4], OBLIQUE, SeriesInstanceUID="1.2.3"):
        path.rename(tmp_path / f"z{path.name}")
    (tmp_path / "b").rmdir()
    shapes = [read_scan(case.image).array.shape[0] for case in find_cases(tmp_path, labeled=False).cases]
    assert shapes == [6, 4]


def test_a_series_uid_for_each_slice_is_one_scan(tmp_path: Path) -> None:
    for index, path in enumerate(write_series(tmp_path, _voxels(), OBLIQUE)):
        change(path, SeriesInstanceUID=f"1.2.3.{index}")
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.array, _voxels())
    assert "6 DICOM series of one image each" in scan.warnings[0]


def test_a_series_uid_for_each_slice_with_a_hole_is_refused(tmp_path: Path) -> None:
    files = write_series(tmp_path, _voxels(), OBLIQUE)
    for index, path in enumerate(files):
        change(path, SeriesInstanceUID=f"1.2.3.{index}")
    files[2].unlink()
    with pytest.raises(UserError, match="hole: 8 mm.*5 series of one image each"):
        read_scan(tmp_path)


def test_single_images_of_several_studies_stay_scans_of_their_own(tmp_path: Path) -> None:
    for index, path in enumerate(write_series(tmp_path, _voxels(), OBLIQUE)):
        change(path, SeriesInstanceUID=f"1.2.3.{index}", StudyInstanceUID=f"1.2.4.{index}")
    assert len(find_cases(tmp_path, labeled=False).cases) == 6


def test_one_series_in_two_folders_is_one_scan_named_after_the_folder_around(tmp_path: Path) -> None:
    for part in ("a", "b"):
        write_series(tmp_path / "p1" / part, _voxels(), OBLIQUE, SeriesInstanceUID="1.2.3")
        for path in list((tmp_path / "p1" / part).iterdir())[:]:
            if (path.name > "003.dcm") == (part == "a"):
                path.unlink()
    write_series(tmp_path / "p2", _voxels(), OBLIQUE)
    found = find_cases(tmp_path, labeled=False)
    assert [case.name for case in found.cases] == ["p1", "p2"]
    np.testing.assert_array_equal(read_scan(found.cases[0].image).array, _voxels())
    assert found.warnings == ("The folders a and b hold one DICOM series; it was taken for one scan, p1.",)


def test_one_uid_for_two_patients_stays_two_scans_and_is_said(tmp_path: Path) -> None:
    for patient in ("x", "y"):
        write_series(tmp_path / patient, _voxels() + len(patient), OBLIQUE, SeriesInstanceUID="1.2.3")
    found = find_cases(tmp_path, labeled=False)
    assert [case.name for case in found.cases] == ["x", "y"]
    assert "x and y have one SeriesInstanceUID but make no single stack" in found.warnings[0]


def test_a_folder_of_reports_alone_is_said_to_be_left_out(tmp_path: Path) -> None:
    write_series(tmp_path / "p1", _voxels(), OBLIQUE)
    write_series(tmp_path / "seg", _voxels()[:2], OBLIQUE, Modality="SEG")
    found = find_cases(tmp_path, labeled=False)
    assert [case.name for case in found.cases] == ["p1"]
    assert found.warnings == ("seg: DICOM files that are no images were left out: 2 SEG.",)


def test_a_folder_of_nothing_but_zeroed_files_without_an_ending_is_said_to_be_left_out(tmp_path: Path) -> None:
    for folder in ("p1", "p2"):
        for path in write_series(tmp_path / folder, _voxels(), OBLIQUE):
            path = path.rename(path.with_name(f"IM{path.stem}"))
            if folder == "p2":
                path.write_bytes(bytes(800))
    assert find_cases(tmp_path, labeled=False).warnings == (
        "p2: files that could not be used were left out: 6, the first IM001: it holds nothing but zeros.",)


def test_a_linked_folder_is_looked_into_once(tmp_path: Path) -> None:
    write_series(tmp_path / "elsewhere", _voxels(), OBLIQUE)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "p1").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere" / "again").symlink_to(tmp_path / "in")
    assert [case.name for case in find_cases(tmp_path / "in", labeled=False).cases] == ["p1"]


def test_a_link_to_a_folder_around_is_not_followed_and_said(tmp_path: Path) -> None:
    write_series(tmp_path / "in" / "p1", _voxels(), OBLIQUE)
    write_series(tmp_path / "other", _voxels(), OBLIQUE)
    (tmp_path / "in" / "up").symlink_to(tmp_path)
    found = find_cases(tmp_path / "in", labeled=False)
    assert [case.name for case in found.cases] == ["p1"]
    assert found.warnings == ("Passed over in in: links to folders that are listed already or that hold this one: 1 "
                              "(up).",)


def test_one_instance_uid_for_all_images_is_named(tmp_path: Path) -> None:
    write_series(tmp_path, _voxels(), OBLIQUE, SOPInstanceUID="1.2.3.4")
    scan = read_scan(tmp_path)
    np.testing.assert_array_equal(scan.array, _voxels())
    assert "all 6 images have one SOPInstanceUID" in scan.warnings[0]


def test_an_image_that_stores_its_numbers_in_another_way_is_named(tmp_path: Path) -> None:
    change(write_series(tmp_path, np.abs(_voxels()), OBLIQUE)[3], PixelRepresentation=0)
    scan = read_scan(tmp_path)
    assert "1 of 6 images store their numbers in another way" in scan.warnings[0] and "003.dcm" in scan.warnings[0]


def test_series_without_an_ending_that_share_a_folder_are_all_read(tmp_path: Path) -> None:
    for size, name in ((6, "A{}"), (4, "B{}")):
        for index, path in enumerate(write_series(tmp_path, _voxels()[:size], OBLIQUE)):
            path.rename(tmp_path / name.format(index))
    shapes = [read_scan(case.image).array.shape[0] for case in find_cases(tmp_path, labeled=False).cases]
    assert shapes == [6, 4]
